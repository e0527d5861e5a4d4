/* SPDX-License-Identifier: MIT */
/* One file system as a tree with one mount: the walking is tree.c's. Here is what only a single file system
 * can do: the writes. A write goes where the path leads after all links, never through a link that leads
 * nowhere, and never where the back end has a reason against it. */
#include "fs/fs.h"

#include <string.h>

#include "base/str.h"
#include "fs/tree.h"

enum { MAX_NAME = 255 };

/* A tree of one mount, on the stack; fs is only borrowed. */
#define FS_TREE(name, fs_)                                                              \
	struct mount name##_mount = { .at = (char[]){ "/" }, .fs = (fs_) };             \
	const struct tree name = { .v = &name##_mount, .n = 1 }

static int path_err(struct err *e, int code, const char *path)
{
	cleanup_free char *shown = str_escape(path, strlen(path), false);

	return err_wrap(e, code, "%s", shown ? shown : "?");
}

void fs_close(struct fs *fs)
{
	if (!fs)
		return;
	free(fs->write_refused);
	fs->write_refused = NULL;
	fs->ops->close(fs);
}

int fs_resolve(struct fs *fs, const char *path, int flags, char **ret, struct err *e)
{
	FS_TREE(t, fs);
	const struct mount *m;

	return tree_resolve(&t, path, flags, &m, ret, e);
}

int fs_stat(struct fs *fs, const char *path, int flags, struct fs_stat *ret, struct err *e)
{
	FS_TREE(t, fs);

	return tree_stat(&t, path, flags, ret, e);
}

int fs_list(struct fs *fs, const char *path, int (*fn)(void *arg, const char *name), void *arg, struct err *e)
{
	FS_TREE(t, fs);

	return tree_list(&t, path, fn, arg, e);
}

int fs_readlink(struct fs *fs, const char *path, char **ret, struct err *e)
{
	FS_TREE(t, fs);

	return tree_readlink(&t, path, ret, e);
}

int fs_read(struct fs *fs, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n,
	    struct err *e)
{
	FS_TREE(t, fs);

	return tree_read(&t, path, buf, len, off, ret_n, e);
}

int fs_slurp(struct fs *fs, const char *path, size_t max, char **ret, size_t *ret_n, struct err *e)
{
	FS_TREE(t, fs);

	return tree_slurp(&t, path, max, ret, ret_n, e);
}

int fs_xattrs(struct fs *fs, const char *path,
	      int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg, struct err *e)
{
	cleanup_free char *real = NULL;
	int rc = fs_resolve(fs, path, 0, &real, e);

	if (rc)
		return rc;
	return fs->ops->xattrs ? fs->ops->xattrs(fs, real, fn, arg, e) : 0;
}

static int may_write(const struct fs *fs, bool can, const char *path, struct err *e)
{
	if (!can)
		return path_err(
		    e, err_set(e, -EOPNOTSUPP, "%s file systems cannot be changed here", fs->ops->name),
		    path);
	if (fs->write_refused)
		return path_err(
		    e,
		    err_set(e, -EROFS, "nothing may be changed in this file system: %s", fs->write_refused),
		    path);
	return 0;
}

/* Where the last name of a path begins; -EINVAL where there is none that could be created or renamed. */
static int last_name(const char *path, size_t *ret_at, size_t *ret_n, struct err *e)
{
	size_t end = strlen(path), at;

	while (end && path[end - 1] == '/')
		end--;
	at = end;
	while (at && path[at - 1] != '/')
		at--;
	if (at == end || (end - at == 1 && path[at] == '.') ||
	    (end - at == 2 && !strncmp(path + at, "..", 2)))
		return err_set(e, -EINVAL, "no name at its end");
	if (end - at > MAX_NAME)
		return err_set(e, -ENAMETOOLONG, "a name above %d bytes", MAX_NAME);
	*ret_at = at;
	*ret_n = end - at;
	return 0;
}

/* The path with links resolved in its folder only. */
static int resolve_folder(struct fs *fs, const char *path, char **ret, struct err *e)
{
	cleanup_free char *folder = NULL, *real = NULL;
	size_t at, n;
	int rc = last_name(path, &at, &n, e);

	if (rc)
		return path_err(e, rc, path);
	folder = at ? str_ndup(path, at) : str_ndup("/", 1);
	if (!folder)
		return err_oom(e);
	/* the slash at the end makes it a directory or an error */
	rc = fs_resolve(fs, folder, 0, &real, e);
	if (rc)
		return rc;
	*ret = str_printf("%s/%.*s", strcmp(real, "/") ? real : "", (int)n, path + at);
	return *ret ? 0 : err_oom(e);
}

int fs_replace(struct fs *fs, const char *path, const void *buf, size_t len, struct err *e)
{
	cleanup_free char *real = NULL;
	struct fs_stat st;
	int rc = may_write(fs, fs->ops->replace, path, e);

	if (rc)
		return rc;
	rc = fs_resolve(fs, path, 0, &real, e);
	if (rc == -ENOENT && !str_ends(path, "/")) {
		rc = resolve_folder(fs, path, &real, e);
		if (rc)
			return rc;
		rc = fs->ops->stat(fs, real, &st, e);
		if (!rc)
			return path_err(e, err_set(e, -ENOENT, "a symbolic link that leads nowhere"), path);
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc ? rc : fs->ops->replace(fs, real, buf, len, e);
}

int fs_rename(struct fs *fs, const char *path, const char *new_name, struct err *e)
{
	cleanup_free char *real = NULL;
	size_t at, n;
	int rc = may_write(fs, fs->ops->rename, path, e);

	if (rc)
		return rc;
	rc = last_name(new_name, &at, &n, e);
	if (!rc && (at || new_name[n]))
		rc = err_set(e, -EINVAL, "a slash in it");
	if (rc)
		return path_err(e, rc, new_name);
	rc = resolve_folder(fs, path, &real, e);
	return rc ? rc : fs->ops->rename(fs, real, new_name, e);
}

int fs_sync(struct fs *fs, struct err *e)
{
	return fs->ops->sync ? fs->ops->sync(fs, e) : 0;
}
