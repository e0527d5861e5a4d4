/* SPDX-License-Identifier: MIT */
/* How the readers of the failed machine's files look: every answer is yes, no, or not to be told, and the
 * last leaves a gap with the reason. "No" needs proof: the walk through the tree ended at a directory that
 * could be read and has no such entry. A dangling or looping link, a volume that is not attached, a FIFO or
 * device in place of a file, an I/O error and a file above 1 MiB are all "not to be told". */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/facts.h"

enum { MAX_GAPS = 1000 };

int vm_gap(struct vm *vm, const struct node *node, const char *path, const char *fmt, ...)
{
	cleanup_free char *why = NULL;
	cleanup_free char *copy = NULL;
	cleanup_str struct str s = {0};
	struct gap *gap;
	va_list ap;

	if (vm->ngaps >= MAX_GAPS)
		return 0;
	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	why = str_take(&s);
	copy = str_printf("%s", path ? path : "");
	if (!why || !copy)
		return -ENOMEM;
	for (size_t i = 0; i < vm->ngaps; i++)
		if (vm->gaps[i].node == node && str_eq(vm->gaps[i].path, copy) &&
		    str_eq(vm->gaps[i].why, why))
			return 0;

	gap = vec_push(&vm->gaps, &vm->ngaps);
	if (!gap)
		return -ENOMEM;
	gap->node = node;
	gap->path = take_ptr(&copy);
	gap->why = take_ptr(&why);
	return 0;
}

char *path_join(const char *dir, const char *name)
{
	return str_printf("%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

const char *path_type(enum fs_type type)
{
	switch (type) {
	case FS_FILE:
		return "file";
	case FS_DIR:
		return "directory";
	case FS_LINK:
		return "symbolic link";
	case FS_FIFO:
		return "FIFO";
	case FS_SOCKET:
		return "socket";
	case FS_CHAR:
	case FS_BLOCK:
		return "device node";
	case FS_OTHER:
		break;
	}
	return "thing of unknown type";
}

/* Is there a mount, readable or not, that the path can lie in? Without a root, "not there" would prove
 * nothing. */
static bool is_covered(const struct vm *vm, const char *path)
{
	for (size_t i = 0; i < vm->tree.n; i++) {
		const char *at = vm->tree.v[i].at;
		size_t n = strlen(at);

		if (str_eq(at, "/") || (str_starts(path, at) && (path[n] == '/' || !path[n])))
			return true;
	}
	return false;
}

/* A path that does not resolve is absent only where no link on the way is to blame: the first component that
 * is missing must be missing by name. */
static int really_absent(const struct vm *vm, const char *path, struct err *e)
{
	for (const char *end = path; *end;) {
		cleanup_free char *part = NULL;
		cleanup_free char *real = NULL;
		const struct mount *m;
		struct fs_stat st;
		int err;

		end += strspn(end, "/");
		end += strcspn(end, "/");
		part = str_ndup(path, (size_t)(end - path));
		if (!part)
			return err_oom(e);
		err = tree_resolve(&vm->tree, part, FS_NOFOLLOW, &m, &real, NULL);
		if (!err && m->fs)
			err = fs_stat(m->fs, real, FS_NOFOLLOW, &st, NULL);
		if (err || !m->fs)
			break;
		free(take_ptr(&real));
		if (st.type == FS_LINK && tree_resolve(&vm->tree, part, 0, &m, &real, NULL) < 0)
			return err_set(e, -ELOOP, "a symbolic link that leads nowhere");
	}
	return err_set(e, -ENOENT, "not there");
}

int vm_where(const struct vm *vm, const char *path, const struct mount **ret, char **ret_path,
	     struct fs_stat *st, struct err *e)
{
	cleanup_free char *real = NULL;
	const struct mount *m = NULL;
	struct fs_stat local;
	int err;

	if (!is_covered(vm, path))
		return err_set(e, -ENODEV, "the root file system could not be read");
	err = tree_resolve(&vm->tree, path, 0, &m, &real, e);
	if (!err && !m->fs)
		err = err_set(e, -ENODEV, "%s",
			      m->why ? m->why : "the volume that belongs here is not attached");
	if (!err)
		err = fs_stat(m->fs, real, FS_NOFOLLOW, st ? st : &local, e);
	if (err == -ENOENT)
		return really_absent(vm, path, e);
	if (err < 0)
		return err;

	*ret = m;
	*ret_path = take_ptr(&real);
	return 0;
}

/* A sentence without the path in front: the gap has it already. */
static const char *bare(const char *why, const char *path)
{
	size_t n = strlen(path);

	while (n && str_starts(why, path) && why[n] == ':' && why[n + 1] == ' ')
		why += n + 2;
	return why;
}

/* The gap of one path. A whole volume that is not here is one gap, at its mount point, not one for every file
 * on it. */
void path_gap(struct vm *vm, const struct node *node, const char *path, int err, const char *why)
{
	const char *place = is_covered(vm, path) ? path : "/";
	size_t best = 0;

	for (size_t i = 0; err == -ENODEV && i < vm->tree.n; i++) {
		const char *at = vm->tree.v[i].at;
		size_t n = strlen(at);

		if (vm->tree.v[i].fs || n < best)
			continue;
		if (str_eq(at, "/") || (str_starts(path, at) && (path[n] == '/' || !path[n]))) {
			place = at;
			best = n;
			why = vm->tree.v[i].why ? vm->tree.v[i].why
						: "the volume that belongs here is not attached";
		}
	}
	vm_gap(vm, node, place, "%s", bare(why, path));
}

enum have vm_exists(struct vm *vm, const char *path, struct fs_stat *st)
{
	cleanup_free char *real = NULL;
	const struct mount *m;
	struct err e = {""};
	int err = vm_where(vm, path, &m, &real, st, &e);

	if (err == -ENOENT)
		return HAVE_NO;
	if (!err)
		return HAVE_YES;
	path_gap(vm, NULL, path, err, e.msg);
	return HAVE_UNKNOWN;
}

bool vm_var_is_here(struct vm *vm)
{
	bool here = vm->fstab_file.have == HAVE_YES;

	if (vm_exists(vm, "/var/lib", NULL) == HAVE_YES)
		return true;
	for (size_t i = 0; here && i < vm->fstab.n; i++)
		if (str_eq(tab_f(&vm->fstab.v[i], 1), "/var") ||
		    str_eq(tab_f(&vm->fstab.v[i], 1), "/var/lib"))
			here = false;
	return here;
}

static int text_slurp(const struct mount *m, const char *real, const struct fs_stat *st,
		      struct text_file *ret, struct err *e)
{
	char size[16];
	int err;

	if (st->type != FS_FILE)
		return err_set(e, -EINVAL, "a %s, not a regular file", path_type(st->type));
	str_size(st->size, size);
	if (st->size > TEXT_MAX)
		return err_set(e, -EFBIG, "%s large: over the limit of 1M", size);
	err = fs_slurp(m->fs, real, TEXT_MAX, &ret->text, &ret->len, e);
	if (err < 0)
		return err;
	ret->mtime = st->mtime;
	ret->stale = m->fs->stale;
	return 0;
}

void text_read(struct vm *vm, const char *path, struct text_file *ret)
{
	cleanup_free char *real = NULL;
	const struct mount *m = NULL;
	struct fs_stat st = {0};
	struct err e = {""};
	int err;

	*ret = (struct text_file){.have = HAVE_UNKNOWN, .path = str_printf("%s", path)};
	err = vm_where(vm, path, &m, &real, &st, &e);
	if (err == -ENOENT) {
		ret->have = HAVE_NO;
		return;
	}
	if (!err)
		err = text_slurp(m, real, &st, ret, &e);
	if (!err) {
		ret->have = HAVE_YES;
		return;
	}
	ret->why = str_printf("%s", bare(e.msg, path));
	path_gap(vm, m ? m->node : NULL, path, err, e.msg);
}

void text_done(struct text_file *t)
{
	free(t->path);
	free(t->text);
	free(t->why);
	*t = (struct text_file){0};
}

struct collect {
	struct names *names;
	size_t max;
	bool oom;
};

static int collect_name(void *arg, const char *name)
{
	struct collect *c = arg;
	char **slot;

	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	if (c->names->n >= c->max) {
		c->names->too_many = true;
		return 1;
	}
	slot = vec_push(&c->names->v, &c->names->n);
	if (slot)
		*slot = strdup(name);
	c->oom = !slot || !*slot;
	return c->oom;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
	*names = (struct names){0};
}

int names_list(struct fs *fs, const char *path, size_t max, struct names *ret, struct err *e)
{
	cleanup_names struct names names = {0};
	struct collect c = {.names = &names, .max = max};
	int err = fs_list(fs, path, collect_name, &c, e);

	if (c.oom)
		return err_oom(e);
	if (err < 0)
		return err;
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	*ret = names;
	names = (struct names){0};
	return 0;
}

int vm_names(const struct vm *vm, const char *path, size_t max, struct names *ret, struct err *e)
{
	cleanup_free char *real = NULL;
	const struct mount *m;
	struct fs_stat st;
	int err = vm_where(vm, path, &m, &real, &st, e);

	if (err < 0)
		return err;
	if (st.type != FS_DIR)
		return err_set(e, -ENOTDIR, "a %s, not a directory", path_type(st.type));
	return names_list(m->fs, real, max, ret, e);
}
