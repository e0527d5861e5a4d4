/* SPDX-License-Identifier: MIT */
/* The facts of an undo file: JSON that clean wrote, read back with a depth limit. */
#include "cmd/run_facts.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/str.h"
#include "repair/undo.h"
#include "report/report.h"

static const char *get(struct json_object *o, const char *name)
{
	struct json_object *v;

	return o && json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static struct json_object *parse(const char *text)
{
	struct json_tokener *tok = text ? json_tokener_new_ex(16) : NULL;
	struct json_object *o = tok ? json_tokener_parse_ex(tok, text, (int)strlen(text) + 1) : NULL;

	if (tok)
		json_tokener_free(tok);
	return o && json_object_is_type(o, json_type_object) ? o : NULL;
}

int run_facts_read(const char *path, struct run_facts *ret, struct err *e)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct change_set cs = { 0 };
	struct stat st;
	int r;

	if (fd < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "%s: not an undo file", path);
	r = undo_read_image(fd, &cs, e);
	if (r < 0) {
		err_wrap(e, r, "%s", path);
		return r;
	}
	*ret = (struct run_facts){ .run = str_printf("%s", cs.run), .plan_id = str_printf("%s", cs.plan_id), .facts = parse(cs.facts) };
	ret->machine = cs.machine ? str_printf("%s", cs.machine) : NULL;
	ret->verdict_before = get(ret->facts, "verdict_before");
	ret->rule_before = get(ret->facts, "rule_before");
	ret->verdict_after = get(ret->facts, "verdict_after");
	ret->rule_after = get(ret->facts, "rule_after");
	ret->data = get(ret->facts, "data");
	change_set_done(&cs);
	return ret->run && ret->plan_id ? 0 : err_oom(e);
}

void run_facts_done(struct run_facts *f)
{
	free(f->run);
	free(f->plan_id);
	free(f->machine);
	json_object_put(f->facts);
	*f = (struct run_facts){ 0 };
}

const char *run_facts_name(const struct run_facts *f)
{
	return f->machine && *f->machine ? f->machine : "-";
}

void run_facts_by_hand(const struct run_facts *f, FILE *out)
{
	struct json_object *a;

	if (!f->facts || !json_object_object_get_ex(f->facts, "by_hand", &a) || !json_object_is_type(a, json_type_array))
		return;
	fputs("by hand, in the failed system once it runs:\n", out);
	for (size_t i = 0; i < json_object_array_length(a); i++)
		fprintf(out, "  %s\n", json_object_get_string(json_object_array_get_idx(a, i)));
}

static struct json_object *refused_json(int code, const char *why)
{
	struct json_object *o = json_object_new_object(), *reasons = json_object_new_array();

	json_object_array_add(reasons, json_str(why));
	json_object_object_add(o, "code", json_object_new_int(code));
	json_object_object_add(o, "why", reasons);
	json_object_object_add(o, "first", json_object_new_array());
	return o;
}

static struct json_object *file_json(const char *path)
{
	struct json_object *o = json_object_new_object();
	struct stat st;

	json_object_object_add(o, "path", json_str(path));
	json_object_object_add(o, "size", stat(path, &st) == 0 ? json_object_new_int64(st.st_size) : NULL);
	json_object_object_add(o, "sha256", NULL);
	return o;
}

int run_facts_print(const struct run_facts *f, const char *path, int code, const char *why, bool resume)
{
	struct json_object *o = json_object_new_object(), *edits = NULL;

	if (!f->facts || !json_object_object_get_ex(f->facts, "edits", &edits))
		edits = NULL;
	json_object_object_add(o, "schema_version", json_object_new_int(1));
	json_object_object_add(o, "run", json_str(f->run));
	json_object_object_add(o, "plan_id", json_str(f->plan_id));
	json_object_object_add(o, "machine", json_str(f->machine));
	json_object_object_add(o, "edits", edits ? json_object_get(edits) : json_object_new_array());
	json_object_object_add(o, "refused", code ? refused_json(code, why) : NULL);
	json_object_object_add(o, "applied", json_object_new_boolean(code == 0));
	json_object_object_add(o, "undo_file", file_json(path));
	json_object_object_add(o, "verdict_before", json_str(resume ? f->verdict_before : f->verdict_after));
	json_object_object_add(o, "verdict_after", json_str(resume ? f->verdict_after : f->verdict_before));
	return json_print(o, stdout);
}
