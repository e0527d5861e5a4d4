/* SPDX-License-Identifier: MIT */
/* A file system out of a table, for tests of walking: rows of paths, types and content. Reading a row that is
 * no regular file is counted, since the real one might hang there. */
#ifndef TESTS_FAKE_FS_H
#define TESTS_FAKE_FS_H

#include <string.h>
#include "fs/fs.h"

struct fake_row {
	const char *path;
	enum fs_type type;
	const char *text;               /* content, or a link's target */
};
struct fake_fs {
	struct fs fs;
	const struct fake_row *rows;
	unsigned wrong_reads, closed;
	char renamed[300], new_name[300], replaced[300];
};

static inline const struct fake_row *fake_find(struct fs *fs, const char *path)
{
	const struct fake_row *r = ((struct fake_fs *)fs)->rows;

	for (; r->path; r++)
		if (!strcmp(r->path, path))
			return r;
	return NULL;
}

static inline int fake_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *e)
{
	const struct fake_row *r = fake_find(fs, path);

	if (!r && !strcmp(path, "/")) {
		*ret = (struct fs_stat){ .type = FS_DIR };
		return 0;
	}
	if (!r)
		return err_set(e, -ENOENT, "no such file");
	*ret = (struct fs_stat){ .type = r->type, .size = r->text ? strlen(r->text) : 0 };
	return 0;
}

static inline int fake_list(struct fs *fs, const char *path, int (*fn)(void *arg, const char *name),
			    void *arg, struct err *e)
{
	size_t n = strlen(path);
	int rc = 0;

	(void)e;
	if (n == 1)
		n = 0;
	for (const struct fake_row *r = ((struct fake_fs *)fs)->rows; r->path && !rc; r++)
		if (!strncmp(r->path, path, n) && r->path[n] == '/' && r->path[n + 1] &&
		    !strchr(r->path + n + 1, '/'))
			rc = fn(arg, r->path + n + 1);
	return rc;
}

static inline int fake_readlink(struct fs *fs, const char *path, char **ret, struct err *e)
{
	const struct fake_row *r = fake_find(fs, path);

	(void)e;
	*ret = strdup(r->text);
	return 0;
}

static inline int fake_read(struct fs *fs, const char *path, void *buf, size_t len, uint64_t off,
			    size_t *ret_n, struct err *e)
{
	const struct fake_row *r = fake_find(fs, path);
	size_t n = r && r->text ? strlen(r->text) : 0;

	(void)e;
	if (!r || r->type != FS_FILE)
		((struct fake_fs *)fs)->wrong_reads++;
	n = off < n ? n - (size_t)off : 0;
	n = n < len ? n : len;
	if (n)
		memcpy(buf, r->text + off, n);
	*ret_n = n;
	return 0;
}

static inline int fake_replace(struct fs *fs, const char *path, const void *buf, size_t len, struct err *e)
{
	(void)buf;
	(void)len;
	(void)e;
	strncpy(((struct fake_fs *)fs)->replaced, path, 299);
	return 0;
}

static inline int fake_rename(struct fs *fs, const char *path, const char *new_name, struct err *e)
{
	(void)e;
	strncpy(((struct fake_fs *)fs)->renamed, path, 299);
	strncpy(((struct fake_fs *)fs)->new_name, new_name, 299);
	return 0;
}

static inline void fake_close(struct fs *fs)
{
	((struct fake_fs *)fs)->closed++;
}

static const struct fs_ops fake_ops = {
	.name = "fake",
	.stat = fake_stat,
	.list = fake_list,
	.readlink = fake_readlink,
	.read = fake_read,
	.replace = fake_replace,
	.rename = fake_rename,
	.close = fake_close,
};
#define FAKE_FS(table) { .fs = { .ops = &fake_ops }, .rows = (table) }

#endif
