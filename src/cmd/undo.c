/* SPDX-License-Identifier: MIT */
/* undo and resume: take a run back, or finish one that was cut short; both from the undo file alone, without a key. In the parent: nothing here looks
 * at what a disk holds, but compares bytes. */
#include "cmd/cmd.h"
#include "cmd/run_facts.h"
#include "report/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/vec.h"

static const char *state_name(enum run_state s)
{
	static const char *const names[] = { [RUN_NONE] = "incomplete", [RUN_ARMED] = "armed", [RUN_DONE] = "done", [RUN_UNDONE] = "undone" };

	return names[s];
}

int exit_of(int code)
{
	switch (code) {
	case -ESTALE:
	case -EALREADY:
		return EXIT_CHANGED;
	case -EBUSY:
		return EXIT_BUSY;
	case -ENOTUNIQ:
		return EXIT_AMBIGUOUS;
	case -ENODEV:
	case -ENOENT:
		return EXIT_NONE;
	case -EILSEQ:
		return EXIT_UNVERIFIED;
	}
	return code < 0 ? EXIT_FAIL : EXIT_OK;
}

static int list_runs(const struct rescue *r)
{
	struct run_info *v = NULL;
	struct json_object *o, *a;
	struct err e = { "" };
	size_t n = 0;
	int ret = runs_list(&v, &n, &e);

	if (ret < 0) {
		fprintf(stderr, "aderescue: %s\n", e.msg);
		return EXIT_FAIL;
	}
	o = json_object_new_object();
	a = json_object_new_array();
	for (size_t i = 0; i < n; i++) {
		struct json_object *run = json_object_new_object(), *disks = json_object_new_array();

		if (!r->opt.json)
			printf("%s  %-10s %s  %s\n", v[i].run, state_name(v[i].state), v[i].machine ? v[i].machine : "-", v[i].path);
		for (size_t d = 0; d < v[i].ndisks; d++)
			json_object_array_add(disks, json_str(v[i].disks[d].name));
		json_object_object_add(run, "run", json_str(v[i].run));
		json_object_object_add(run, "state", json_object_new_string(state_name(v[i].state)));
		json_object_object_add(run, "machine", json_str(v[i].machine));
		json_object_object_add(run, "path", json_str(v[i].path));
		json_object_object_add(run, "disks", disks);
		json_object_array_add(a, run);
	}
	json_object_object_add(o, "schema_version", json_object_new_int(1));
	json_object_object_add(o, "runs", a);
	if (r->opt.json)
		ret = json_print(o, stdout);
	else
		json_object_put(o);
	runs_free(v, n);
	return ret < 0 ? EXIT_FAIL : EXIT_OK;
}

/* "20261123T031207Z-1a2b" */
static bool is_run_name(const char *s)
{
	static const char form[] = "ddddddddTddddddZ-xxxx";

	if (strlen(s) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)s[i]) : form[i] == 'x' ? !isxdigit((unsigned char)s[i]) : s[i] != form[i])
			return false;
	return true;
}

/* By the second in the name; within one second a run that is done is later than one that was taken back. */
static bool is_later(const struct run_info *a, const struct run_info *b)
{
	int order = strncmp(a->run, b->run, strlen("YYYYMMDDTHHMMSSZ"));

	return order > 0 || (order == 0 && a->state == RUN_DONE && b->state != RUN_DONE);
}

/* The one armed run, else the latest. 0 or an exit code after a sentence. */
static int choose_run(const struct run_info *v, size_t n, bool only_armed, const struct run_info **ret)
{
	size_t armed = 0;

	*ret = NULL;
	for (size_t i = 0; i < n; i++)
		if (v[i].state == RUN_ARMED) {
			armed++;
			*ret = &v[i];
		}
	if (armed == 1)
		return 0;
	if (armed > 1) {
		fputs("aderescue: several runs were cut short; name one:", stderr);
		for (size_t i = 0; i < n; i++)
			if (v[i].state == RUN_ARMED)
				fprintf(stderr, " %s", v[i].run);
		fputc('\n', stderr);
		return EXIT_AMBIGUOUS;
	}
	for (size_t i = 0; i < n && !only_armed; i++)
		if (v[i].state != RUN_NONE && (!*ret || is_later(&v[i], *ret)))
			*ret = &v[i];
	if (!*ret) {
		fprintf(stderr, "aderescue: no run %sis known here; aderescue undo FILE takes an undo file from elsewhere\n", only_armed ? "that was cut short " : "");
		return EXIT_NONE;
	}
	return 0;
}

/* Which undo file: a RUN, a FILE, or none named. *ret_path is malloc'd. */
static int find_file(const struct rescue *r, const char *word, bool resume, char **ret_path)
{
	struct run_info *v = NULL;
	const struct run_info *chosen = NULL;
	struct err e = { "" };
	size_t n = 0;
	int code = 0;

	(void)r;
	if (word && !is_run_name(word)) {
		*ret_path = str_printf("%s", word);
		return *ret_path ? 0 : EXIT_FAIL;
	}
	if (runs_list(&v, &n, &e) < 0) {
		fprintf(stderr, "aderescue: %s\n", e.msg);
		return EXIT_FAIL;
	}
	for (size_t i = 0; word && i < n; i++)
		if (!strcmp(v[i].run, word))
			chosen = &v[i];
	if (word && !chosen) {
		fprintf(stderr, "aderescue: %s: no such run; aderescue undo --list shows them\n", word);
		code = EXIT_NONE;
	}
	if (!word)
		code = choose_run(v, n, resume, &chosen);
	if (code == 0) {
		*ret_path = str_printf("%s", chosen->path);
		code = *ret_path ? 0 : EXIT_FAIL;
	}
	runs_free(v, n);
	return code;
}

/* Is the first word no undo file but a DISK? Undo files say so themselves. */
static bool is_undo_file(const char *path)
{
	struct run_facts facts = { 0 };
	bool yes = run_facts_read(path, &facts, NULL) == 0;

	run_facts_done(&facts);
	return yes;
}

static int say_result(const struct rescue *r, const struct run_facts *f, const char *path, int code, const char *text, bool resume)
{
	const char *verdict = resume ? f->verdict_after : f->verdict_before, *rule = resume ? f->rule_after : f->rule_before;
	bool applied = code == EXIT_OK;

	if (r->opt.json)
		return run_facts_print(f, path, code, text, resume) < 0 ? EXIT_FAIL : code;
	if (applied)
		printf("%s  %s: run %s, every byte as it was %s\n", run_facts_name(f), resume ? "FINISHED" : "TAKEN BACK", f->run,
		       resume ? "planned" : "before");
	else
		run_facts_by_hand(f, stdout);
	printf("aderescue: %s verdict=%s rule=%s data=%s exit=%d\n", run_facts_name(f), applied && verdict ? verdict : "unknown",
	       applied && rule ? rule : "none", applied && f->data ? f->data : "unknown", code);
	return code;
}

static int candidates(struct rescue *r, const char ***ret, size_t *ret_n)
{
	struct err e = { "" };

	if (!r->ndisk_args && host_disks("", &r->disks, &r->ndisks, &r->host, &e) < 0) {
		fprintf(stderr, "aderescue: %s\n", e.msg);
		return EXIT_FAIL;
	}
	*ret = calloc(r->ndisk_args + r->ndisks + 1, sizeof(**ret));
	if (!*ret)
		return EXIT_FAIL;
	for (size_t i = 0; i < r->ndisk_args; i++)
		(*ret)[(*ret_n)++] = r->disk_args[i];
	for (size_t i = 0; i < r->ndisks; i++)
		(*ret)[(*ret_n)++] = r->disks[i].path;
	return 0;
}

static int run(struct rescue *r, bool resume)
{
	const char *word = r->nargs ? r->args[0] : NULL;
	cleanup_free char *path = NULL, *text = NULL;
	cleanup_free const char **paths = NULL;
	struct run_facts facts = { 0 };
	struct err e = { "" };
	size_t n = 0;
	int code, ret;

	if (r->opt.list)
		return list_runs(r);
	if (word && !is_run_name(word) && !is_undo_file(word)) {
		char **slot = vec_push(&r->disk_args, &r->ndisk_args);

		if (!slot)
			return EXIT_FAIL;
		if (access(word, F_OK) < 0) {
			fprintf(stderr, "aderescue: %s: neither a run, nor an undo file, nor a disk\n", word);
			return EXIT_NONE;
		}
		*slot = r->args[0];
		word = NULL;
	}
	code = find_file(r, word, resume, &path);
	if (code == 0)
		code = candidates(r, &paths, &n);
	if (code)
		return code;
	ret = run_facts_read(path, &facts, &e);
	if (ret == 0)
		ret = commit_undo(path, paths, n, (resume ? UNDO_RESUME : 0) | (r->ndisk_args ? 0 : UNDO_HINTS), &text, &e);
	code = exit_of(ret);
	if (ret < 0)
		fprintf(stderr, "aderescue: %s\n", e.msg);
	else if (text && *text && !r->opt.quiet && !r->opt.json)
		fputs(text, stdout);
	if (facts.run)
		code = say_result(r, &facts, path, code, ret < 0 ? e.msg : "", resume);
	run_facts_done(&facts);
	return code;
}

int cmd_undo(struct rescue *r)
{
	return run(r, false);
}

int cmd_resume(struct rescue *r)
{
	return run(r, true);
}
