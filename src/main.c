/* SPDX-License-Identifier: MIT */
/* aderescue: options, the verb table, exit status; nothing else.
 *
 * The folders below src/, in the order of the data, say what happens: blk moves the bytes, format knows them, fs reads files, vm understands the
 * machine, rule judges, repair changes, report says.
 *
 *   disk --(parent: O_RDONLY)--> blk -> format -> fs -> vm -> rule -> report
 *                                                          \-> repair (child: staged) --(parent: the only writer)--> disk
 *
 * The parent opens what was named and forks; the child does the work (proc/). */
#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/str.h"
#include "base/vec.h"
#include "cmd/args.h"
#include "cmd/cmd.h"

static const struct verb verbs[] = {
	{ "diagnose", cmd_diagnose, UPTO_VERDICT, "[DISK...]", "judge every failed machine on the disks" },
	{ "scan", cmd_scan, UPTO_SCAN, "[DISK...]", "the tree of disks" },
	{ "bek", cmd_bek, UPTO_SCAN, "[DISK...]", "BEK VOLUMEs and what their keys open" },
	{ "luks", cmd_luks, UPTO_SCAN, "[DISK...]", "LUKS headers and which key opens which slot" },
	{ "ls", cmd_ls, UPTO_VM, "[DISK... --] [NODE]:PATH...", "list files" },
	{ "cat", cmd_cat, UPTO_VM, "[DISK... --] [NODE]:PATH...", "print files" },
	{ "cp", cmd_cp, UPTO_VM, "[DISK... --] [NODE]:PATH... DEST", "copy files out" },
	{ "save", cmd_save, UPTO_VM, "DIR [DISK...]", "keep keys, headers, state directories and tables in a new folder" },
	{ "clean", cmd_clean, UPTO_VERDICT, "[DISK...]", "the plan for stale state; with --apply carried out" },
	{ "undo", cmd_undo, UPTO_NOTHING, "[RUN|FILE] [DISK...]", "take a run back" },
	{ "resume", cmd_resume, UPTO_NOTHING, "[RUN] [DISK...]", "finish a run that was cut short" },
	{ "explain", cmd_explain, UPTO_NOTHING, "[ID]", "a rule or finding in full" },
};
enum { NVERBS = sizeof(verbs) / sizeof(*verbs) };

static void usage(FILE *out)
{
	fprintf(out, "Usage: aderescue VERB [OPTIONS] [DISK...]\n\n"
		     "Reads the disks of a failed, encrypted Azure VM; changes nothing but in\n"
		     "clean --apply, undo and resume. Without DISK: every attached disk that this\n"
		     "system does not run from.\n\n");
	for (size_t i = 0; i < NVERBS; i++)
		fprintf(out, "  %s %s\n        %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	fputs("\nOptions:\n", out);
	args_help(out);
	fputs("\nSee aderescue(8). First: aderescue diagnose\n", out);
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < NVERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* The exit code, unless the answer could not be written. */
static int flushed(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "aderescue: standard output: %s\n", strerror(errno));
	return code == EXIT_OK ? EXIT_FAIL : code;
}

/* A key that was given and opens nothing is no failure, but it is said. */
static void report_useless_keys(const struct rescue *r)
{
	for (size_t i = 0; i < r->graph.nkeys; i++) {
		const struct key *k = r->graph.keys[i];
		cleanup_free char *shown = str_escape(k->found_at, strlen(k->found_at), true);

		if (k->opens || (k->origin != KEY_FILE && k->origin != KEY_STDIN))
			continue;
		fprintf(stderr, "aderescue: key %s (%ju bytes) opens nothing here%s\n", shown ? shown : "?", (uintmax_t)k->length,
			k->wrapped ? "; by its length it is probably still wrapped by a KEK" : "");
	}
}

/* Runs in the child, without privileges. */
static int run_child(void *arg, struct broker *b)
{
	struct rescue *r = arg;
	struct err e = { "" };
	int code = 0;

	r->broker = b;
	if (r->opt.require_sandbox && !sandbox_is_whole()) {
		fputs("aderescue: this kernel does not give the whole sandbox (Landlock, seccomp, no new privileges), and --require-sandbox was given\n", stderr);
		rescue_done(r);
		return EXIT_FAIL;
	}
	if (r->verb->upto >= UPTO_SCAN)
		code = rescue_scan(r, &e);
	if (code == 0 && r->verb->upto >= UPTO_SCAN)
		report_useless_keys(r);
	if (code == 0 && r->verb->upto >= UPTO_VM)
		code = rescue_read_vms(r, &e);
	if (code == 0 && r->verb->upto >= UPTO_VERDICT)
		code = rescue_judge(r, &e);
	if (code < 0) {
		fprintf(stderr, "aderescue: %s\n", e.msg);
		code = EXIT_FAIL;
	} else {
		code = r->verb->run(r);
		if (r->open_failed && code != EXIT_USAGE)
			code = EXIT_FAIL;
	}
	rescue_done(r);
	return flushed(code);
}

/* Disks that are held here: nothing may be written to them. */
static char **refusals(const struct rescue *r)
{
	char **v = calloc(r->ndisks + 1, sizeof(*v));

	for (size_t i = 0; v && i < r->host.nbusy; i++) {
		const struct host_holder *h = &r->host.busy[i];

		if (!v[h->disk])
			v[h->disk] = str_printf("%s is in use here (%s); let go with: %s", h->node, h->holder, h->release);
	}
	return v;
}

static int run_with_child(struct rescue *r)
{
	struct broker_options o = { .undo_file = r->opt.undo_file, .may_commit = r->opt.apply };
	cleanup_free struct commit_disk *disks = calloc(r->ndisks + 1, sizeof(*disks));
	char **refused = refusals(r);
	int code;

	if (!disks || !refused) {
		fputs("aderescue: out of memory\n", stderr);
		return EXIT_FAIL;
	}
	for (size_t i = 0; i < r->ndisks; i++)
		disks[i] = (struct commit_disk){ .fd = r->disks[i].fd, .path = r->disks[i].path };
	o.disks = disks;
	o.ndisks = r->ndisks;
	o.disk_refused = (const char *const *)refused;
	code = args_destination(r, &o) < 0 ? EXIT_USAGE : broker_run(&o, run_child, r);
	for (size_t i = 0; i < r->ndisks; i++)
		free(refused[i]);
	free(refused);
	return code;
}

int main(int argc, char **argv)
{
	struct rescue r = { .opt = { .data_disks = -1 } };
	int code;

	sandbox_begin();
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return fflush(stdout) ? EXIT_FAIL : EXIT_OK;
	}
	if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		args_version(stdout);
		return fflush(stdout) ? EXIT_FAIL : EXIT_OK;
	}
	r.verb = find_verb(argv[1]);
	if (!r.verb) {
		fprintf(stderr, "aderescue: unknown verb '%s'; aderescue --help lists them\n", argv[1]);
		return EXIT_USAGE;
	}
	code = args_parse(&r, argc - 1, argv + 1);
	if (code == ARGS_HELP) {
		usage(stdout);
		return EXIT_OK;
	}
	if (code == 0 && r.verb->upto == UPTO_NOTHING)
		code = r.verb->run(&r);
	else if (code == 0) {
		code = args_open(&r);
		if (code == 0)
			code = run_with_child(&r);
	}
	args_done(&r);
	return flushed(code);
}
