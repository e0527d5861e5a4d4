/* SPDX-License-Identifier: MIT */
/* The command line, as the contract fixes it. Wrong usage comes before everything; then what was named is opened, read-only. */
#include "cmd/args.h"

#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <libcryptsetup.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/vec.h"
#include "cmd/cmd.h"

enum {
	OPT_HEADER = 256, OPT_ALL_DISKS, OPT_DATA_DISKS, OPT_NOT_ENCRYPTED, OPT_FOR, OPT_APPLY, OPT_MACHINE, OPT_PLAN, OPT_UNDO_FILE,
	OPT_SUMMARY, OPT_WAIT, OPT_RUNNING, OPT_SANDBOX, OPT_COLOR, OPT_PROGRESS, OPT_LIST,
};

static const struct option options[] = {
	{ "json", no_argument, NULL, 'J' },
	{ "key-file", required_argument, NULL, 'k' },
	{ "header", required_argument, NULL, OPT_HEADER },
	{ "all-disks-attached", no_argument, NULL, OPT_ALL_DISKS },
	{ "data-disks", required_argument, NULL, OPT_DATA_DISKS },
	{ "not-encrypted", required_argument, NULL, OPT_NOT_ENCRYPTED },
	{ "for", required_argument, NULL, OPT_FOR },
	{ "apply", no_argument, NULL, OPT_APPLY },
	{ "machine", required_argument, NULL, OPT_MACHINE },
	{ "plan", required_argument, NULL, OPT_PLAN },
	{ "undo-file", required_argument, NULL, OPT_UNDO_FILE },
	{ "summary", no_argument, NULL, OPT_SUMMARY },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "running", no_argument, NULL, OPT_RUNNING },
	{ "require-sandbox", no_argument, NULL, OPT_SANDBOX },
	{ "color", optional_argument, NULL, OPT_COLOR },
	{ "progress", optional_argument, NULL, OPT_PROGRESS },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

void args_help(FILE *out)
{
	fputs("  -J, --json              one JSON document on stdout\n"
	      "  -k, --key-file FILE     a key to try besides those found; - is stdin\n"
	      "      --header FILE       a detached LUKS header to try\n"
	      "      --data-disks N      how many data disks the failed VM has at Azure\n"
	      "      --all-disks-attached  no disk of the failed VM is missing here\n"
	      "      --not-encrypted NODE  an opaque NODE is known not to be ADE's\n"
	      "      --for GOAL          clean: 'enable': ADE may run its pending request at\n"
	      "                          the next boot; 'no-start': it must start nothing\n"
	      "      --apply             clean: carry the plan out\n"
	      "      --plan ID           clean: exactly the plan shown with this id\n"
	      "      --machine NAME      one of several machines\n"
	      "      --undo-file FILE    where the undo file goes\n"
	      "      --require-sandbox   no sandbox, no work\n"
	      "      --list              undo: the runs that are known\n"
	      "  -q, --quiet   -v, --verbose   --color=auto|always|never\n"
	      "  -h, --help    -V, --version\n", out);
}

void args_version(FILE *out)
{
	fprintf(out, "%s %s (libcryptsetup: as linked)\n", PACKAGE_NAME, PACKAGE_VERSION);
}

static int wrong(const char *what, const char *value, const char *expected)
{
	fprintf(stderr, "aderescue: %s '%s': %s was expected\n", what, value ? value : "", expected);
	return EXIT_USAGE;
}

static int push(char ***v, size_t *n, char *word)
{
	char **slot = vec_push(v, n);

	if (!slot) {
		fputs("aderescue: out of memory\n", stderr);
		return EXIT_FAIL;
	}
	*slot = word;
	return 0;
}

static int parse_number(const char *text, const char *what, uint64_t max, uint64_t *ret)
{
	return str_to_u64(text, ret) && *ret <= max ? 0 : wrong(what, text, "a whole number");
}

static int set_color(struct options *o, const char *when)
{
	const char *no = getenv("NO_COLOR");

	if (!when || !strcmp(when, "always"))
		o->color = 1;
	else if (!strcmp(when, "never"))
		o->color = 0;
	else if (!strcmp(when, "auto"))
		o->color = isatty(STDOUT_FILENO) && !(no && *no);
	else
		return wrong("--color", when, "auto, always or never");
	return 0;
}

static int set_progress(struct options *o, const char *when)
{
	static const char *const names[] = { "auto", "always", "never", "json" };

	for (size_t i = 0; i < 4; i++)
		if (!when || !strcmp(when, names[i])) {
			o->progress = when ? (enum progress_mode)i : PROGRESS_ALWAYS;
			return 0;
		}
	return wrong("--progress", when, "auto, always, never or json");
}

static int set_option(struct rescue *r, int c)
{
	struct options *o = &r->opt;
	uint64_t number;

	switch (c) {
	case 'J': o->json = true; return 0;
	case 'q': o->quiet = true; return 0;
	case 'v': o->verbose = true; return 0;
	case 'l': o->long_form = true; return 0;
	case 'a': o->archive = true; return 0;
	case 'k': return push(&o->key_files, &o->nkey_files, optarg);
	case OPT_HEADER: return push(&o->headers, &o->nheaders, optarg);
	case OPT_NOT_ENCRYPTED: return push(&o->not_encrypted, &o->n_not_encrypted, optarg);
	case OPT_ALL_DISKS: o->all_disks_attached = true; return 0;
	case OPT_APPLY: o->apply = true; return 0;
	case OPT_MACHINE: o->machine = optarg; return 0;
	case OPT_PLAN: o->plan = optarg; return 0;
	case OPT_UNDO_FILE: o->undo_file = optarg; return 0;
	case OPT_SUMMARY: o->summary = true; return 0;
	case OPT_RUNNING: o->running = true; return 0;
	case OPT_SANDBOX: o->require_sandbox = true; return 0;
	case OPT_LIST: o->list = true; return 0;
	case OPT_COLOR: return set_color(o, optarg);
	case OPT_PROGRESS: return set_progress(o, optarg);
	case OPT_DATA_DISKS:
		if (parse_number(optarg, "--data-disks", 4096, &number))
			return EXIT_USAGE;
		o->data_disks = (int)number;
		return 0;
	case OPT_WAIT:
		if (parse_number(optarg, "--wait", 86400, &number))
			return EXIT_USAGE;
		o->wait = (unsigned)number;
		return 0;
	case OPT_FOR:
		if (strcmp(optarg, "enable") && strcmp(optarg, "no-start"))
			return wrong("--for", optarg, "'enable' or 'no-start'");
		o->goal = optarg[0];
		return 0;
	}
	return EXIT_USAGE;
}

/* "lun:3" */
static bool is_lun(const char *word)
{
	uint64_t number;

	return str_starts(word, "lun:") && str_to_u64(word + 4, &number);
}

/* Words before "--" are DISKs for the verbs that take paths. Without "--" a word with a colon is a path, but a LUN or a file that is there. */
static bool is_path_word(const char *word)
{
	struct stat st;

	return strchr(word, ':') && !is_lun(word) && stat(word, &st) < 0;
}

static bool takes_paths(const struct verb *v)
{
	return v->run == cmd_ls || v->run == cmd_cat || v->run == cmd_cp;
}

/* How many words before the DISKs are the verb's own, at most. */
static size_t own_words(const struct verb *v)
{
	return v->run == cmd_save || v->run == cmd_undo || v->run == cmd_resume || v->run == cmd_explain ? 1 : 0;
}

static int sort_words(struct rescue *r, int argc, char **argv, int first, bool divided)
{
	size_t own = own_words(r->verb);
	int code = 0;

	for (int i = first; code == 0 && i < argc; i++) {
		bool last = i == argc - 1, mine;

		if (takes_paths(r->verb))
			mine = !divided && (is_path_word(argv[i]) || (r->verb->run == cmd_cp && last));
		else
			mine = r->nargs < own;
		if (mine)
			code = push(&r->args, &r->nargs, argv[i]);
		else
			code = push(&r->disk_args, &r->ndisk_args, argv[i]);
	}
	return code;
}

static int check_usage(const struct rescue *r)
{
	const struct options *o = &r->opt;
	bool changes = r->verb->run == cmd_clean;

	if (r->verb->run == cmd_explain && r->ndisk_args)
		return wrong(r->verb->name, r->disk_args[0], "one rule id");
	if (takes_paths(r->verb) && r->nargs < (r->verb->run == cmd_cp ? 2u : 1u))
		return wrong(r->verb->name, "", r->verb->args);
	if (r->verb->run == cmd_save && r->nargs < 1)
		return wrong(r->verb->name, "", r->verb->args);
	if ((o->apply || o->goal || o->plan) && !changes)
		return wrong(r->verb->name, o->apply ? "--apply" : o->plan ? "--plan" : "--for", "a verb that changes something (clean)");
	if (o->running)
		return wrong(r->verb->name, "--running", "a disk (a running system is not read by this version)");
	if (o->summary || o->wait)
		return wrong(r->verb->name, o->summary ? "--summary" : "--wait", "an option of this version (aderescue --help lists them)");
	if (o->long_form && r->verb->run != cmd_ls)
		return wrong(r->verb->name, "-l", "ls");
	if (o->archive && r->verb->run != cmd_cp)
		return wrong(r->verb->name, "-a", "cp");
	return 0;
}

int args_parse(struct rescue *r, int argc, char **argv)
{
	int divide, c, code = set_color(&r->opt, "auto");
	int whole = argc;
	char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t now;

	r->now = epoch && str_to_u64(epoch, &now) && now < INT64_MAX ? (int64_t)now : (int64_t)time(NULL);
	/* words behind "--" are the verb's own; getopt sees only what comes before, so its reordering cannot mix the two */
	for (divide = 1; divide < argc && strcmp(argv[divide], "--"); divide++)
		;
	argc = divide;
	opterr = 0;
	while (code == 0 && (c = getopt_long(argc, argv, "Jk:qvhVla", options, NULL)) != -1) {
		if (c == 'h')
			return ARGS_HELP;
		if (c == 'V') {
			args_version(stdout);
			exit(fflush(stdout) ? EXIT_FAIL : EXIT_OK);
		}
		if (c == '?' || c == ':') {
			const char *word = argv[optind - 1] ? argv[optind - 1] : "";

			return wrong("option", word, "an option of aderescue --help, with its value,");
		}
		code = set_option(r, c);
	}
	if (code)
		return code;
	code = sort_words(r, argc, argv, optind, divide < whole);
	for (int i = divide + 1; code == 0 && i < whole; i++)
		code = takes_paths(r->verb) ? push(&r->args, &r->nargs, argv[i]) : push(&r->disk_args, &r->ndisk_args, argv[i]);
	return code ? code : check_usage(r);
}

/* ---- opening ---- */

static bool same_disk(const struct host_disk *a, const struct host_disk *b)
{
	struct stat x, y;

	if (fstat(a->fd, &x) < 0 || fstat(b->fd, &y) < 0)
		return false;
	return a->is_blk && b->is_blk ? x.st_rdev == y.st_rdev : x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void open_one(struct rescue *r, const char *word)
{
	struct host_disk d = { .fd = -1 }, *slot;
	struct err e = { "" };
	int ret = is_lun(word) ? host_open_lun("", word + 4, &d, &e) : host_open(word, &d, &e);

	if (ret < 0) {
		fprintf(stderr, "aderescue: %s\n", e.msg);
		r->open_failed = true;
		return;
	}
	host_describe("", &d);
	for (size_t i = 0; i < r->ndisks; i++)
		if (same_disk(&r->disks[i], &d)) {
			close(d.fd);
			free(d.path);
			free(d.name);
			return;
		}
	slot = vec_push(&r->disks, &r->ndisks);
	if (slot)
		*slot = d;
	else
		r->open_failed = true;
}

static int open_disks(struct rescue *r)
{
	struct err e = { "" };

	if (!r->ndisk_args) {
		if (host_disks("", &r->disks, &r->ndisks, &r->host, &e) < 0) {
			fprintf(stderr, "aderescue: %s\n", e.msg);
			return EXIT_FAIL;
		}
		if (!r->ndisks) {
			fputs("aderescue: no disk is attached but those this system runs from\n", stderr);
			for (size_t i = 0; i < r->host.nskipped; i++)
				fprintf(stderr, "aderescue: skipped %s: %s\n", r->host.skipped[i].disk, r->host.skipped[i].why);
			return EXIT_NONE;
		}
		return 0;
	}
	for (size_t i = 0; i < r->ndisk_args; i++)
		open_one(r, r->disk_args[i]);
	return r->ndisks ? 0 : EXIT_FAIL;
}

static int open_extra(const char *name, bool *failed)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))) {
		close(fd);
		fd = -1;
		errno = EINVAL;
	}
	if (fd >= 0 && S_ISFIFO(st.st_mode))
		fcntl(fd, F_SETFL, 0);   /* a process substitution: wait for its writer */
	if (fd < 0) {
		fprintf(stderr, "aderescue: %s: %s; a file was expected\n", name, strerror(errno));
		*failed = true;
	}
	return fd;
}

static int open_extras(struct rescue *r)
{
	r->key_fds = calloc(r->opt.nkey_files + 1, sizeof(*r->key_fds));
	r->header_fds = calloc(r->opt.nheaders + 1, sizeof(*r->header_fds));
	if (!r->key_fds || !r->header_fds)
		return EXIT_FAIL;
	for (size_t i = 0; i < r->opt.nkey_files; i++) {
		bool is_stdin = !strcmp(r->opt.key_files[i], "-");
		int fd = is_stdin ? STDIN_FILENO : open_extra(r->opt.key_files[i], &r->open_failed);

		if (fd >= 0) {
			r->key_fds[r->nkey_fds].name = r->opt.key_files[i];
			r->key_fds[r->nkey_fds].fd = fd;
			r->key_fds[r->nkey_fds++].is_stdin = is_stdin;
		}
	}
	for (size_t i = 0; i < r->opt.nheaders; i++) {
		int fd = open_extra(r->opt.headers[i], &r->open_failed);

		if (fd >= 0) {
			r->header_fds[r->nheader_fds].name = r->opt.headers[i];
			r->header_fds[r->nheader_fds++].fd = fd;
		}
	}
	return 0;
}

int args_open(struct rescue *r)
{
	struct err e = { "" };
	int code = open_extras(r);

	if (code == 0)
		code = open_disks(r);
	if (code == 0 && host_holders("", r->disks, r->ndisks, &r->host, &e) < 0) {
		fprintf(stderr, "aderescue: %s\n", e.msg);
		code = EXIT_FAIL;
	}
	return code;
}

int args_destination(struct rescue *r, struct broker_options *o)
{
	struct stat st;

	if (r->verb->run == cmd_save) {
		o->dest = r->args[0];
		o->dest_new_private = true;
		o->dest_owner = false;
	}
	if (r->verb->run != cmd_cp)
		return 0;
	o->dest = r->args[r->nargs - 1];
	o->dest_owner = r->opt.archive;
	o->dest_is_dir = stat(o->dest, &st) == 0 && S_ISDIR(st.st_mode);
	r->dest_is_dir = o->dest_is_dir;
	if (r->nargs > 2 && !o->dest_is_dir) {
		fprintf(stderr, "aderescue: %s: an existing folder was expected, since there is more than one file\n", o->dest);
		return -EINVAL;
	}
	if (r->opt.archive && !o->dest_is_dir) {
		fprintf(stderr, "aderescue: %s: an existing folder was expected\n", o->dest);
		return -EINVAL;
	}
	return 0;
}

void args_done(struct rescue *r)
{
	host_disks_free(r->disks, r->ndisks);
	host_done(&r->host);
	for (size_t i = 0; i < r->nkey_fds; i++)
		if (!r->key_fds[i].is_stdin)
			close(r->key_fds[i].fd);
	for (size_t i = 0; i < r->nheader_fds; i++)
		close(r->header_fds[i].fd);
	free(r->key_fds);
	free(r->header_fds);
	free(r->opt.key_files);
	free(r->opt.headers);
	free(r->opt.not_encrypted);
	free(r->disk_args);
	free(r->args);
}
