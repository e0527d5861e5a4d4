/* SPDX-License-Identifier: MIT */
/* Machines and their judgements as JSON: `diagnose --json`, as doc/json.md says. */
#include "report/report.h"

#include <string.h>
#include <time.h>

#include "base/str.h"

static void add(struct json_object *o, const char *name, struct json_object *v)
{
	json_object_object_add(o, name, v);
}

struct json_object *json_time(int64_t t)
{
	char buf[32];
	time_t seconds = (time_t)t;
	struct tm tm;

	if (!t || !gmtime_r(&seconds, &tm))
		return NULL;
	strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_object_new_string(buf);
}

static struct json_object *json_strings(char *const *v, size_t n)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(a, json_str(v[i]));
	return a;
}

static struct json_object *json_finding(const struct finding *f, bool fixable)
{
	struct json_object *o = json_object_new_object(), *where = json_object_new_object();

	add(where, "node", f->where ? json_str(f->where->name) : NULL);
	add(where, "path", json_str(f->path));
	add(where, "line", f->line ? json_object_new_int64(f->line) : NULL);
	add(o, "id", json_object_new_string(f->rule->id));
	add(o, "severity", json_object_new_string(severity_name(f->severity)));
	add(o, "title", json_object_new_string(f->rule->title));
	add(o, "where", where);
	add(o, "evidence", json_strings(f->evidence, f->nevidence));
	add(o, "remedy", json_str(f->remedy ? f->remedy : f->rule->advice));
	add(o, "fix", json_object_new_boolean(f->rule->fix && fixable));
	return o;
}

static struct json_object *json_future(const struct future *f)
{
	struct json_object *o = json_object_new_object();

	add(o, "outcome", json_object_new_string(outcome_name(f->outcome)));
	add(o, "text", json_str(f->text ? f->text : ""));
	return o;
}

static struct json_object *json_root(const struct vm *vm)
{
	struct json_object *o;
	const struct volume *v = vm->root_volume;

	if (!vm->root_raw && !vm->root)
		return NULL;
	o = json_object_new_object();
	add(o, "node", json_str(vm->root_raw ? vm->root_raw->name : vm->root->name));
	add(o, "fs", vm->root && *vm->root->fmt ? json_str(vm->root->fmt) : NULL);
	add(o, "lv", json_str(vm->root_lv));
	if (v && v->state == VS_OPENED)
		add(o, "encrypted", json_object_new_boolean(1));
	else if (v && (v->state == VS_LOCKED || v->state == VS_OPAQUE || v->state == VS_UNKNOWN))
		add(o, "encrypted", v->state == VS_UNKNOWN ? NULL : json_object_new_boolean(1));
	else
		add(o, "encrypted", v && vm->root ? json_object_new_boolean(0) : NULL);
	return o;
}

static struct json_object *json_state_dir(const struct vm *vm)
{
	static const char *const states[] = { [HAVE_NO] = "absent", [HAVE_YES] = "present", [HAVE_UNKNOWN] = "unknown" };
	struct json_object *o;

	if (vm->state.have == HAVE_NO)
		return NULL;
	o = json_object_new_object();
	add(o, "node", vm->state.have == HAVE_YES && vm->state.mount && vm->state.mount->node ? json_str(vm->state.mount->node->name) : NULL);
	add(o, "path", json_str(vm->state.path));
	add(o, "state", json_object_new_string(states[vm->state.have]));
	return o;
}

static struct json_object *json_extension(const struct vm *vm)
{
	const struct extension *x = vm->ext;
	struct json_object *o;

	if (!x)
		return NULL;
	o = json_object_new_object();
	add(o, "version", json_str(x->version));
	add(o, "pass", json_object_new_string(x->dual_pass ? "dual" : "single"));
	add(o, "handler_state", json_str(x->handler_state));
	add(o, "settings_seq", x->newest ? json_object_new_int64((int64_t)x->newest->seq) : NULL);
	add(o, "mrseq", x->mrseq_have == HAVE_YES ? json_object_new_int64((int64_t)x->mrseq) : NULL);
	add(o, "last_status", json_str(x->last_status));
	return o;
}

static struct json_object *json_os(const struct vm *vm)
{
	struct json_object *o;

	if (!vm->os.id)
		return NULL;
	o = json_object_new_object();
	add(o, "id", json_str(vm->os.id));
	add(o, "version", json_str(vm->os.version));
	add(o, "name", json_str(vm->os.name));
	return o;
}

static struct json_object *json_then(const struct judgement *j)
{
	struct json_object *o = json_object_new_object();

	add(o, "boot", json_future(&j->boot));
	add(o, "enable", json_future(&j->enable));
	add(o, "disable", json_future(&j->disable));
	add(o, "boot_after_clean", json_future(&j->boot_after_clean));
	return o;
}

struct json_object *json_machine(const struct rescue *r, const struct judgement *j)
{
	const struct vm *vm = j->vm;
	struct json_object *o = json_object_new_object(), *findings = json_object_new_array();

	(void)r;
	for (size_t i = 0; i < j->findings.n; i++)
		json_object_array_add(findings, json_finding(&j->findings.v[i], j->clean_allowed));
	add(o, "name", json_str(vm->name));
	add(o, "machine_id", json_str(vm->machine_id));
	add(o, "vm_id", json_str(vm->vm_id));
	add(o, "last_boot", json_time(vm->last_boot));
	add(o, "last_write", json_time(vm->last_write));
	add(o, "verdict", json_object_new_string(verdict_name(j->verdict)));
	add(o, "rule", json_object_new_string(j->rule ? j->rule->id : "undecided"));
	add(o, "data", json_object_new_string(data_name(j->data)));
	add(o, "os", json_os(vm));
	add(o, "root", json_root(vm));
	add(o, "state_dir", json_state_dir(vm));
	add(o, "extension", json_extension(vm));
	add(o, "findings", findings);
	add(o, "then", json_then(j));
	add(o, "next", json_strings(j->next, j->nnext));
	add(o, "stop", json_strings(j->stop, j->nstop));
	return o;
}

struct json_object *json_diagnose(const struct rescue *r)
{
	struct json_object *o = json_object_new_object(), *machines = json_object_new_array(), *unassigned = json_object_new_array();

	for (size_t i = 0; i < r->nvms; i++)
		json_object_array_add(machines, json_machine(r, r->judged[i]));
	for (size_t i = 0; i < r->nunassigned; i++)
		if (r->roots[r->unassigned[i]])
			json_object_array_add(unassigned, json_str(r->roots[r->unassigned[i]]->name));
	add(o, "schema_version", json_object_new_int(1));
	add(o, "tool_version", json_object_new_string(PACKAGE_VERSION));
	add(o, "nodes", json_nodes(r));
	add(o, "keys", json_keys(r));
	add(o, "machines", machines);
	add(o, "unassigned", unassigned);
	add(o, "host", json_host(r));
	return o;
}
