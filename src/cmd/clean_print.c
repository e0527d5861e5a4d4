/* SPDX-License-Identifier: MIT */
/* What clean answers: the plan, the refusal, or what was done. That the next boot starts an encryption by itself is always among the first five lines. */
#include "cmd/clean.h"

#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/str.h"

static struct json_object *lines_json(char *const *v, size_t n)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(a, json_str(v[i]));
	return a;
}

static struct json_object *refused_json(const struct clean *c)
{
	struct json_object *o;

	if (!c->code)
		return NULL;
	o = json_object_new_object();
	json_object_object_add(o, "code", json_object_new_int(c->code));
	json_object_object_add(o, "why", lines_json(c->why, c->nwhy));
	json_object_object_add(o, "first", lines_json(c->first, c->nfirst));
	return o;
}

static struct json_object *undo_json(const struct clean *c)
{
	struct json_object *o;
	char hex[65];

	if (!c->applied)
		return NULL;
	bytes_hex(c->result.undo_sha256, 32, hex);
	o = json_object_new_object();
	json_object_object_add(o, "path", json_str(c->result.undo_path));
	json_object_object_add(o, "size", json_object_new_int64((int64_t)c->result.undo_size));
	json_object_object_add(o, "sha256", json_object_new_string(hex));
	return o;
}

static int print_json(const struct clean *c)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "schema_version", json_object_new_int(1));
	json_object_object_add(o, "run", *c->run ? json_object_new_string(c->run) : NULL);
	json_object_object_add(o, "plan_id", *c->plan_id ? json_object_new_string(c->plan_id) : NULL);
	json_object_object_add(o, "machine", json_str(c->name));
	json_object_object_add(o, "edits", c->edits ? json_object_get(c->edits) : json_object_new_array());
	json_object_object_add(o, "refused", refused_json(c));
	json_object_object_add(o, "applied", json_object_new_boolean(c->applied));
	json_object_object_add(o, "undo_file", undo_json(c));
	json_object_object_add(o, "starts_by_itself", json_object_new_boolean(c->starts_by_itself));
	json_object_object_add(o, "by_hand", c->by_hand ? json_object_get(c->by_hand) : json_object_new_array());
	json_object_object_add(o, "verdict_before", c->verdict_before ? json_object_new_string(c->verdict_before) : NULL);
	json_object_object_add(o, "verdict_after", c->verdict_after ? json_object_new_string(c->verdict_after) : NULL);
	return json_print(o, stdout);
}

static void say(const char *raw)
{
	cleanup_free char *text = str_escape(raw, strlen(raw), true);

	fputs(text ? text : "?", stdout);
}

static const char *field(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) && v ? json_object_get_string(v) : "";
}

/* The edits come as JSON, in which text from disks is escaped already but for control characters. */
static void print_edit(struct json_object *x)
{
	struct json_object *lines;
	const char *kind = field(x, "kind");
	cleanup_str struct str s = { 0 };

	json_object_object_get_ex(x, "lines", &lines);
	str_addf(&s, "%s:%s", field(x, "node"), field(x, "path"));
	for (size_t i = 0; i < json_object_array_length(lines); i++)
		str_addf(&s, "%s%s", i ? ", " : " line ", json_object_get_string(json_object_array_get_idx(lines, i)));
	if (*field(x, "to"))
		str_addf(&s, "\nto %s", field(x, "to"));
	text_wrap(!strcmp(kind, "rename") ? "rename " : !strcmp(kind, "replay-journal") ? "replay " : json_object_array_length(lines) ? "comment " : "write  ",
		  "       ", str_text(&s), stdout);
}

static void print_boot(const struct clean *c)
{
	if (c->starts_by_itself)
		puts("boot   ADE STARTS BY ITSELF at the next boot: its newest request has not been\n       run; --for no-start prevents that");
	if (c->boot_text && *c->boot_text)
		text_wrap("boot   ", "       ", c->boot_text, stdout);
}

/* The command that applies exactly this plan. */
static void print_apply(const struct clean *c)
{
	const struct options *o = &c->r->opt;
	cleanup_str struct str s = { 0 };

	str_addf(&s, "aderescue clean --apply --plan %s", c->plan_id);
	if (o->data_disks >= 0)
		str_addf(&s, " --data-disks %d", o->data_disks);
	else
		str_add(&s, o->all_disks_attached ? " --all-disks-attached" : " --data-disks N");
	if (o->goal || c->starts_by_itself)
		str_addf(&s, " --for %s", o->goal == 'n' ? "no-start" : o->goal == 'e' ? "enable" : "enable|no-start");
	for (size_t i = 0; i < o->n_not_encrypted; i++)
		str_addf(&s, " --not-encrypted %s", o->not_encrypted[i]);
	if (o->machine)
		str_addf(&s, " --machine %s", o->machine);
	for (size_t i = 0; i < c->r->ndisk_args; i++)
		str_addf(&s, " %s", c->r->disk_args[i]);
	text_wrap("apply  ", "         ", str_text(&s), stdout);
}

static void print_plan(const struct clean *c)
{
	uint64_t bytes = 0;

	say(c->name);
	printf("  PLAN %s: nothing is written yet\n", c->plan_id);
	print_boot(c);
	for (size_t i = 0; i < json_object_array_length(c->edits); i++)
		print_edit(json_object_array_get_idx(c->edits, i));
	for (size_t i = 0; i < c->cs.n; i++)
		bytes += c->cs.v[i].len;
	printf("staged %zu runs, %ju bytes on %zu disk%s; %s; diagnosed again: %s\n", c->cs.n, (uintmax_t)bytes, c->cs.ndisks,
	       c->cs.ndisks == 1 ? "" : "s", c->checked, c->verdict_after);
	if (c->r->host.nbusy)
		printf("first  %s is in use here: %s\n", c->r->host.busy[0].node, c->r->host.busy[0].release);
	puts("first  az snapshot create of the OS disk");
	print_apply(c);
}

static void print_applied(const struct clean *c)
{
	char hex[65], size[16];

	bytes_hex(c->result.undo_sha256, 32, hex);
	str_size(c->result.undo_size, size);
	say(c->name);
	printf("  CLEANED: %zu change%s made, checked, written, read back\n", (size_t)json_object_array_length(c->edits),
	       json_object_array_length(c->edits) == 1 ? "" : "s");
	print_boot(c);
	for (size_t i = 0; i < json_object_array_length(c->edits); i++)
		print_edit(json_object_array_get_idx(c->edits, i));
	printf("undo   %s, %s\n       sha256 %s\n", c->result.undo_path, size, hex);
	puts("       COPY IT OFF THIS VM: it dies with it. It works until the disk is next\n       written. After a boot, by hand in the VM:");
	for (size_t i = 0; i < json_object_array_length(c->by_hand); i++) {
		fputs("       ", stdout);
		say(json_object_get_string(json_object_array_get_idx(c->by_hand, i)));
		putchar('\n');
	}
	puts("next   detach the disk; az vm repair restore -g RG -n VM; az vm encryption show");
}

static void print_refused(const struct clean *c)
{
	if (c->name) {
		say(c->name);
		fputs("  ", stdout);
	}
	printf("REFUSED: nothing was written\n");
	for (size_t i = 0; i < c->nwhy; i++)
		text_wrap("why    ", "       ", c->why[i], stdout);
	for (size_t i = 0; i < c->nfirst; i++)
		text_wrap("first  ", "       ", c->first[i], stdout);
}

int clean_print(const struct clean *c)
{
	cleanup_free char *name = text_machine_name(c->name);
	bool after = c->applied && !c->code;

	for (size_t i = 0; c->code && i < c->nwhy; i++) {
		cleanup_free char *shown = str_escape(c->why[i], strlen(c->why[i]), true);

		fprintf(stderr, "aderescue: %s\n", shown ? shown : "?");
	}
	if (c->r->opt.json)
		return print_json(c);
	if (c->code)
		print_refused(c);
	else if (c->applied)
		print_applied(c);
	else if (*c->plan_id)
		print_plan(c);
	else {
		say(c->name);
		puts("  NOTHING TO CLEAN: ADE left nothing that matters");
	}
	printf("aderescue: %s verdict=%s rule=%s data=%s exit=%d\n", name ? name : "-", after ? c->verdict_after : c->verdict_before ? c->verdict_before : "unknown",
	       after ? c->rule_after : c->rule_before ? c->rule_before : "none", c->verdict_before ? data_name(c->data) : "unknown", c->code);
	return fflush(stdout) ? -EIO : 0;
}
