/* SPDX-License-Identifier: MIT */
/* ls: names of the image, sorted; -l with mode, owner, size and time. Names are escaped on a terminal. */
#include "cmd/paths.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "base/vec.h"

enum { MAX_ENTRIES = 1000000 };
struct names { char **v; size_t n; };

static int keep(void *arg, const char *name)
{
	struct names *names = arg;
	char **slot = names->n < MAX_ENTRIES ? vec_push(&names->v, &names->n) : NULL;

	return slot && (*slot = str_printf("%s", name)) ? 0 : -ENOMEM;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

static char type_letter(enum fs_type t)
{
	static const char letters[] = { [FS_FILE] = '-', [FS_DIR] = 'd', [FS_LINK] = 'l', [FS_FIFO] = 'p', [FS_SOCKET] = 's',
					[FS_CHAR] = 'c', [FS_BLOCK] = 'b', [FS_OTHER] = '?' };

	return letters[t];
}

static void mode_text(const struct fs_stat *st, char out[11])
{
	static const char bits[] = "rwxrwxrwx";

	out[0] = type_letter(st->type);
	for (int i = 0; i < 9; i++)
		out[1 + i] = st->mode & (0400u >> i) ? bits[i] : '-';
	if (st->mode & 04000)
		out[3] = st->mode & 0100 ? 's' : 'S';
	if (st->mode & 02000)
		out[6] = st->mode & 010 ? 's' : 'S';
	if (st->mode & 01000)
		out[9] = st->mode & 1 ? 't' : 'T';
	out[10] = '\0';
}

static void print_long(const struct tree *t, const char *path, const char *name, const struct fs_stat *st)
{
	cleanup_free char *shown = place_shown(name), *target = NULL, *shown_target = NULL;
	char mode[11], when[32] = "?";
	time_t seconds = (time_t)st->mtime;
	struct tm tm;

	mode_text(st, mode);
	if (gmtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%SZ", &tm);
	printf("%s %3u %5u %5u %10ju %s %s", mode, st->nlink, st->uid, st->gid, (uintmax_t)st->size, when, shown ? shown : "?");
	if (st->type == FS_LINK && tree_readlink(t, path, &target, NULL) == 0 && (shown_target = place_shown(target)))
		printf(" -> %s", shown_target);
	putchar('\n');
}

static struct json_object *json_entry(const struct tree *t, const char *path, const char *name, const struct fs_stat *st)
{
	static const char *const types[] = { [FS_FILE] = "file", [FS_DIR] = "dir", [FS_LINK] = "link", [FS_FIFO] = "fifo", [FS_SOCKET] = "socket",
					     [FS_CHAR] = "char", [FS_BLOCK] = "block", [FS_OTHER] = "other" };
	struct json_object *o = json_object_new_object();
	cleanup_free char *target = NULL;

	if (st->type == FS_LINK)
		tree_readlink(t, path, &target, NULL);
	json_object_object_add(o, "name", json_str(name));
	json_object_object_add(o, "path", json_str(path));
	json_object_object_add(o, "type", json_object_new_string(types[st->type]));
	json_object_object_add(o, "mode", json_object_new_int64(st->mode));
	json_object_object_add(o, "uid", json_object_new_int64(st->uid));
	json_object_object_add(o, "gid", json_object_new_int64(st->gid));
	json_object_object_add(o, "size", json_object_new_int64((int64_t)st->size));
	json_object_object_add(o, "mtime", json_time(st->mtime));
	json_object_object_add(o, "target", json_str(target));
	return o;
}

static int show(struct rescue *r, const struct tree *t, const char *path, const char *name, struct json_object *entries, struct err *e)
{
	cleanup_free char *shown = NULL;
	struct fs_stat st;
	int ret;

	if (!r->opt.json && !r->opt.long_form) {
		shown = place_shown(name);
		return puts(shown ? shown : "?") < 0 ? -EIO : 0;
	}
	ret = tree_stat(t, path, FS_NOFOLLOW, &st, e);
	if (ret < 0)
		return ret;
	if (r->opt.json)
		json_object_array_add(entries, json_entry(t, path, name, &st));
	else
		print_long(t, path, name, &st);
	return 0;
}

static int list_dir(struct rescue *r, const struct tree *t, const char *path, struct json_object *entries, struct err *e)
{
	struct names names = { 0 };
	struct err listed = { "" };
	int ret = tree_list(t, path, keep, &names, &listed), worst = ret;

	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), compare);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *full = str_printf("%s/%s", strcmp(path, "/") ? path : "", names.v[i]);
		struct err one = { "" };

		ret = full ? show(r, t, full, names.v[i], entries, &one) : -ENOMEM;
		if (ret < 0 && worst == 0) {
			worst = ret;
			listed = one;
		}
	}
	names_done(&names);
	return worst < 0 ? err_set(e, worst, "%s", listed.msg) : 0;
}

static int list_one(struct rescue *r, const struct place *p, struct json_object *entries, struct err *e)
{
	cleanup_free char *path = str_printf("%s", p->path);
	struct fs_stat st;
	const char *base;
	int ret;

	if (!path)
		return err_oom(e);
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';)
		path[--n] = '\0';
	ret = tree_stat(p->tree, path, r->opt.long_form ? FS_NOFOLLOW : 0, &st, e);
	if (ret < 0)
		return ret;
	if (st.type == FS_DIR)
		return list_dir(r, p->tree, path, entries, e);
	base = strrchr(path, '/');
	return show(r, p->tree, path, base ? base + 1 : path, entries, e);
}

int cmd_ls(struct rescue *r)
{
	struct json_object *o = NULL, *entries = NULL;
	int worst = EXIT_OK;

	if (r->opt.json) {
		o = json_object_new_object();
		entries = json_object_new_array();
		json_object_object_add(o, "schema_version", json_object_new_int(1));
		json_object_object_add(o, "entries", entries);
	}
	for (size_t i = 0; i < r->nargs; i++) {
		struct place p;
		struct err e = { "" };
		int code = place_find(r, r->args[i], &p), ret;

		if (code == 0) {
			if (r->nargs > 1 && !r->opt.json)
				printf("%s%s:\n", i ? "\n" : "", r->args[i]);
			ret = list_one(r, &p, entries, &e);
			if (ret < 0)
				code = place_failed(r->args[i], ret, &e);
		}
		if (code > worst)
			worst = code;
		place_done(&p);
	}
	if (o && json_print(o, stdout) < 0)
		return EXIT_FAIL;
	return worst;
}
