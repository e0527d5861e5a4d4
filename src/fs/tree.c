/* SPDX-License-Identifier: MIT */
/* The one place where paths of the failed system are walked. Symbolic links are resolved here, component by
 * component, with the failed system's root as "/": back ends see absolute paths without links, and nothing
 * ever leaves the images. fs.c walks a single file system as a tree with one mount. As in the kernel: 40
 * links, names of 255 bytes, paths of 4096. A mount that cannot be read hides what lies under it: -ENODEV,
 * never "absent". */
#include "fs/tree.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

enum { MAX_LINKS = 40, MAX_NAME = 255, MAX_PATH = 4096 };

/* A walk: `at` is where it stands, absolute and without links ("" for the root); `rest` is what is left to
 * go. */
struct walk {
	const struct tree *tree;
	struct str at;
	char *rest;
	unsigned links;
	bool follow;                    /* the last component too */
	bool must_be_dir;               /* a slash was behind it */
	struct fs_stat st;              /* of where it stands; type FS_DIR at mounts that cannot be read */
};

static void walk_done(struct walk *w)
{
	str_done(&w->at);
	free(w->rest);
}
#define cleanup_walk cleanup(walk_done)

static int path_err(struct err *e, int code, const char *path)
{
	cleanup_free char *shown = str_escape(path, strnlen(path, MAX_PATH), false);

	return err_wrap(e, code, "%s", shown ? shown : "?");
}

/* Is path the place `at` or below it? */
static bool is_below(const char *path, const char *at)
{
	size_t n = strlen(at);

	if (n == 1)
		return true;
	return strncmp(path, at, n) == 0 && (path[n] == '/' || !path[n]);
}

/* The mount that holds an absolute path without links: the longest one, of equals the last. *ret_in: the path
 * in it. */
static const struct mount *mount_of(const struct tree *t, const char *path, const char **ret_in)
{
	const struct mount *best = NULL;
	size_t best_n = 0;

	for (size_t i = 0; i < t->n; i++) {
		size_t n = strlen(t->v[i].at);

		if (n >= best_n && is_below(path, t->v[i].at)) {
			best = &t->v[i];
			best_n = n;
		}
	}
	if (best) {
		*ret_in = best_n == 1 ? path : path + best_n;
		if (!**ret_in)
			*ret_in = "/";
	}
	return best;
}

static int no_device(const struct mount *m, struct err *e)
{
	if (!m)
		return err_set(e, -ENODEV, "the root file system is not known");
	return err_set(e, -ENODEV, "what is mounted at %s cannot be read: %s", m->at,
		       m->why ? m->why : "it is not attached");
}

/* What is at path, an absolute one without links but perhaps a link itself. */
static int look(const struct tree *t, const char *path, struct fs_stat *ret, struct err *e)
{
	const char *in = "/";
	const struct mount *m;

	if (!*path)
		path = "/";
	m = mount_of(t, path, &in);
	/* a mount's root is a directory though it cannot be read, and so is "/": more may be mounted below */
	if (m ? !m->fs && !strcmp(in, "/") : !strcmp(path, "/")) {
		*ret = (struct fs_stat){ .type = FS_DIR };
		return 0;
	}
	if (!m || !m->fs)
		return no_device(m, e);
	return m->fs->ops->stat(m->fs, in, ret, e);
}

static void step_up(struct str *at)
{
	while (at->n && at->p[at->n - 1] != '/')
		at->n--;
	if (at->n)
		at->n--;
	if (at->p)
		at->p[at->n] = '\0';
}

/* The link that w stands on: go back to its folder, its target before the rest. */
static int step_link(struct walk *w, const char *rest, struct err *e)
{
	const char *in = "/";
	const struct mount *m = mount_of(w->tree, str_text(&w->at), &in);
	cleanup_free char *target = NULL;
	char *next;
	int rc;

	if (++w->links > MAX_LINKS)
		return err_set(e, -ELOOP, "more than %d symbolic links", MAX_LINKS);
	if (!m || !m->fs)
		return no_device(m, e);
	rc = m->fs->ops->readlink(m->fs, in, &target, e);
	if (rc)
		return rc;
	if (!*target)
		return err_set(e, -ENOENT, "a symbolic link with an empty target");
	if (strlen(target) >= MAX_PATH)
		return err_set(e, -ENAMETOOLONG, "a symbolic link to a path above %d bytes", MAX_PATH);
	next = str_printf("%s%s", target, rest);
	if (!next)
		return err_oom(e);
	free(w->rest);
	w->rest = next;
	if (*target == '/') {
		w->at.n = 0;
		w->at.p[0] = '\0';
	} else {
		step_up(&w->at);
	}
	return 0;
}

/* Down into one name of n bytes; rest is what comes behind it. */
static int step_down(struct walk *w, const char *name, size_t n, const char *rest, struct err *e)
{
	size_t before = w->at.n;
	bool last = !*rest;
	int rc;

	if (w->st.type != FS_DIR)
		return err_set(e, -ENOTDIR, "not a directory");
	if (n > MAX_NAME || w->at.n + 1 + n >= MAX_PATH)
		return err_set(e, -ENAMETOOLONG, "name or path too long");
	str_add(&w->at, "/");
	str_addn(&w->at, name, n);
	if (w->at.failed)
		return err_oom(e);
	rc = look(w->tree, str_text(&w->at), &w->st, e);
	if (rc) {
		w->at.n = before;
		w->at.p[before] = '\0';
		return rc;
	}
	if (w->st.type == FS_LINK && (!last || w->follow)) {
		rc = step_link(w, rest, e);
		if (!rc)
			rc = look(w->tree, str_text(&w->at), &w->st, e);
		return rc;
	}
	memmove(w->rest, rest, strlen(rest) + 1);
	return 0;
}

static int step(struct walk *w, struct err *e)
{
	char *name = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(name, "/");

	if (!n || (n == 1 && name[0] == '.')) {
		w->must_be_dir = true;
		memmove(w->rest, name + n, strlen(name + n) + 1);
		return 0;
	}
	w->must_be_dir = false;
	if (n != 2 || name[0] != '.' || name[1] != '.')
		return step_down(w, name, n, name + n, e);
	if (w->st.type != FS_DIR)
		return err_set(e, -ENOTDIR, "not a directory");
	step_up(&w->at);
	memmove(w->rest, name + n, strlen(name + n) + 1);
	w->must_be_dir = true;
	return look(w->tree, str_text(&w->at), &w->st, e);
}

static int walk(struct walk *w, const char *path, struct err *e)
{
	int rc;

	if (!*path)
		return err_set(e, -ENOENT, "an empty path");
	if (strlen(path) >= MAX_PATH)
		return err_set(e, -ENAMETOOLONG, "a path above %d bytes", MAX_PATH);
	w->rest = str_ndup(path, MAX_PATH);
	if (!w->rest)
		return err_oom(e);
	/* a damaged root does not keep us out of what is mounted below it */
	if (look(w->tree, "/", &w->st, NULL))
		w->st = (struct fs_stat){ .type = FS_DIR };
	while (*w->rest) {
		rc = step(w, e);
		if (rc)
			return rc;
	}
	if (!w->at.n)
		return look(w->tree, "/", &w->st, e);
	if (w->must_be_dir && w->st.type != FS_DIR)
		return err_set(e, -ENOTDIR, "not a directory");
	return 0;
}

static int resolve(const struct tree *t, const char *path, int flags, const struct mount **ret,
		   char **ret_path, struct fs_stat *ret_st, struct err *e)
{
	cleanup_walk struct walk w = { .tree = t, .follow = !(flags & FS_NOFOLLOW) };
	const struct mount *m;
	const char *in = "/";
	char *copy;
	int rc = walk(&w, path, e);

	if (rc)
		return path_err(e, rc, path);
	m = mount_of(t, w.at.n ? str_text(&w.at) : "/", &in);
	if (!m || !m->fs)
		return path_err(e, no_device(m, e), path);
	copy = str_ndup(in, strlen(in));
	if (!copy)
		return err_oom(e);
	*ret = m;
	*ret_path = copy;
	*ret_st = w.st;
	return 0;
}

/* "at" without doubled, trailing and missing slashes; where the tree so far shows links in it, without these,
 * since a mount lies where its path leads. */
static char *mount_place(const struct tree *t, const char *at)
{
	cleanup_walk struct walk w = { .tree = t, .follow = true };
	struct str s = { 0 };

	if (t->n && !walk(&w, at, NULL))
		return w.at.n ? str_take(&w.at) : str_ndup("/", 1);
	for (const char *p = at; *p; p += strcspn(p, "/")) {
		p += strspn(p, "/");
		if (!*p)
			break;
		str_add(&s, "/");
		str_addn(&s, p, strcspn(p, "/"));
	}
	if (!s.n)
		str_add(&s, "/");
	return str_take(&s);
}

int tree_mount(struct tree *t, const char *at, struct fs *fs, const struct node *node, const char *why,
	       struct err *e)
{
	cleanup_free char *place = mount_place(t, at), *reason = why ? str_ndup(why, strlen(why)) : NULL;
	struct mount *m;

	if (!place || (why && !reason))
		return err_oom(e);
	m = vec_push(&t->v, &t->n);
	if (!m)
		return err_oom(e);
	*m = (struct mount){ .at = take_ptr(&place), .fs = fs, .node = node, .why = take_ptr(&reason) };
	return 0;
}

void tree_done(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].at);
		free(t->v[i].why);
	}
	free(t->v);
	*t = (struct tree){ 0 };
}

int tree_resolve(const struct tree *t, const char *path, int flags, const struct mount **ret, char **ret_path,
		 struct err *e)
{
	struct fs_stat st;

	return resolve(t, path, flags, ret, ret_path, &st, e);
}

int tree_stat(const struct tree *t, const char *path, int flags, struct fs_stat *ret, struct err *e)
{
	cleanup_free char *in = NULL;
	const struct mount *m;

	return resolve(t, path, flags, &m, &in, ret, e);
}

int tree_list(const struct tree *t, const char *path, int (*fn)(void *arg, const char *name), void *arg,
	      struct err *e)
{
	cleanup_free char *in = NULL;
	const struct mount *m;
	struct fs_stat st;
	int rc = resolve(t, path, 0, &m, &in, &st, e);

	if (rc)
		return rc;
	if (st.type != FS_DIR)
		return path_err(e, err_set(e, -ENOTDIR, "not a directory"), path);
	return m->fs->ops->list(m->fs, in, fn, arg, e);
}

int tree_readlink(const struct tree *t, const char *path, char **ret, struct err *e)
{
	cleanup_free char *in = NULL;
	const struct mount *m;
	struct fs_stat st;
	int rc = resolve(t, path, FS_NOFOLLOW, &m, &in, &st, e);

	if (rc)
		return rc;
	if (st.type != FS_LINK)
		return path_err(e, err_set(e, -EINVAL, "not a symbolic link"), path);
	return m->fs->ops->readlink(m->fs, in, ret, e);
}

/* Reading a FIFO or a device through the kernel would hang or worse: regular files only. */
static int resolve_file(const struct tree *t, const char *path, const struct mount **ret, char **ret_in,
			struct fs_stat *ret_st, struct err *e)
{
	cleanup_free char *in = NULL;
	int rc = resolve(t, path, 0, ret, &in, ret_st, e);

	if (rc)
		return rc;
	if (ret_st->type != FS_FILE)
		return path_err(
		    e, err_set(e, ret_st->type == FS_DIR ? -EISDIR : -EINVAL, "not a regular file"), path);
	*ret_in = take_ptr(&in);
	return 0;
}

int tree_read(const struct tree *t, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n,
	      struct err *e)
{
	cleanup_free char *in = NULL;
	const struct mount *m;
	struct fs_stat st;
	int rc = resolve_file(t, path, &m, &in, &st, e);

	return rc ? rc : m->fs->ops->read(m->fs, in, buf, len, off, ret_n, e);
}

int tree_slurp(const struct tree *t, const char *path, size_t max, char **ret, size_t *ret_n, struct err *e)
{
	cleanup_free char *in = NULL, *buf = NULL;
	const struct mount *m;
	struct fs_stat st;
	size_t n = 0;
	int rc = resolve_file(t, path, &m, &in, &st, e);

	if (rc)
		return rc;
	if (st.size > max || st.size >= SIZE_MAX)
		return path_err(e, err_set(e, -EFBIG, "%ju bytes, more than %zu", (uintmax_t)st.size, max),
				path);
	buf = calloc(1, (size_t)st.size + 1);
	if (!buf)
		return err_oom(e);
	rc = m->fs->ops->read(m->fs, in, buf, (size_t)st.size, 0, &n, e);
	if (rc)
		return rc;
	if (n > st.size)
		return path_err(e, err_set(e, -EIO, "more bytes came than the file has"), path);
	buf[n] = '\0';
	*ret = take_ptr(&buf);
	*ret_n = n;
	return 0;
}
