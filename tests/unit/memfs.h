/* SPDX-License-Identifier: MIT */
/* A file system in memory for tests: a table of paths with content and type, faults on demand. Paths are absolute; the
 * folders above an entry are made with it. Only what fs.c needs is there; nothing can be written. */
#ifndef TESTS_MEMFS_H
#define TESTS_MEMFS_H

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "fs/fs.h"

struct mem_entry {
	char *path;
	enum fs_type type;
	char *data;             /* a link's target too; NULL: reads as zeroes */
	uint64_t size;
	int64_t mtime;
	uint32_t nlink;
	int fail;               /* -errno for read, list and stat of it */
	uint64_t fail_from;     /* reads at or above this byte fail with fail; stat and list then work */
};
struct memfs {
	struct fs fs;           /* first */
	struct mem_entry *v;
	size_t n;
	bool sorted;
	uint64_t bytes_read;
};

static int mem_order(const void *a, const void *b)
{
	return strcmp(((const struct mem_entry *)a)->path, ((const struct mem_entry *)b)->path);
}

static struct mem_entry *mem_find(struct memfs *m, const char *path)
{
	struct mem_entry key = {.path = (char *)(uintptr_t)path};

	if (!m->sorted)
		qsort(m->v, m->n, sizeof(*m->v), mem_order);
	m->sorted = true;
	return bsearch(&key, m->v, m->n, sizeof(*m->v), mem_order);
}

/* A new entry, or the old one of that path emptied. The address holds until the next one is added. */
static struct mem_entry *mem_add(struct memfs *m, const char *path, enum fs_type type, const void *data, uint64_t size)
{
	char *slash = strrchr(path, '/');
	struct mem_entry *e = m->n && m->sorted ? mem_find(m, path) : NULL;

	for (size_t i = 0; !e && !m->sorted && i < m->n && m->n < 1000; i++)
		if (!strcmp(m->v[i].path, path))
			e = &m->v[i];
	if (!e) {
		if (slash && slash != path) {
			char *parent = str_ndup(path, (size_t)(slash - path));
			bool there = false;

			for (size_t i = m->n; i > 0 && !there; i--)
				there = !strcmp(m->v[i - 1].path, parent) ||
					(!strncmp(m->v[i - 1].path, parent, strlen(parent)) &&
					 m->v[i - 1].path[strlen(parent)] == '/');
			if (!there)
				mem_add(m, parent, FS_DIR, NULL, 0);
			free(parent);
		}
		e = vec_push(&m->v, &m->n);
		e->path = str_printf("%s", path);
		m->sorted = false;
	}
	free(e->data);
	e->type = type;
	e->size = size;
	e->data = data ? malloc(size + 1) : NULL;
	if (data && size)
		memcpy(e->data, data, size);
	e->mtime = 1600000000;
	e->nlink = 1;
	return e;
}

static inline struct mem_entry *mem_text(struct memfs *m, const char *path, const char *text)
{
	return mem_add(m, path, FS_FILE, text, strlen(text));
}
static inline struct mem_entry *mem_bytes(struct memfs *m, const char *path, const void *data, size_t n)
{
	return mem_add(m, path, FS_FILE, data, n);
}
static inline struct mem_entry *mem_sparse(struct memfs *m, const char *path, uint64_t size)
{
	return mem_add(m, path, FS_FILE, NULL, size);
}
static inline struct mem_entry *mem_dir(struct memfs *m, const char *path)
{
	return mem_add(m, path, FS_DIR, NULL, 0);
}
static inline struct mem_entry *mem_link(struct memfs *m, const char *path, const char *target)
{
	return mem_add(m, path, FS_LINK, target, strlen(target));
}
static inline struct mem_entry *mem_node(struct memfs *m, const char *path, enum fs_type type)
{
	return mem_add(m, path, type, NULL, 0);
}
static inline void mem_fail(struct memfs *m, const char *path, int fail, uint64_t from)
{
	struct mem_entry *e = mem_find(m, path);

	e->fail = fail;
	e->fail_from = from;
}

static int memfs_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *e)
{
	struct mem_entry *m = mem_find((struct memfs *)fs, path);

	if (!strcmp(path, "/") && !m) {
		*ret = (struct fs_stat){.type = FS_DIR, .mode = 0755, .nlink = 2};
		return 0;
	}
	if (!m)
		return err_set(e, -ENOENT, "%s: not there", path);
	if (m->fail && !m->fail_from && m->type == FS_DIR)
		return err_set(e, m->fail, "%s: cannot be read", path);
	*ret = (struct fs_stat){.type = m->type, .mode = 0644, .nlink = m->nlink, .size = m->size, .mtime = m->mtime};
	return 0;
}

static int memfs_list(struct fs *fs, const char *path, int (*fn)(void *arg, const char *name), void *arg, struct err *e)
{
	struct memfs *m = (struct memfs *)fs;
	struct mem_entry *dir = mem_find(m, path);
	size_t n = strcmp(path, "/") ? strlen(path) : 0;

	if (dir && dir->fail)
		return err_set(e, dir->fail, "%s: cannot be listed", path);
	for (size_t i = 0; i < m->n; i++) {
		const char *p = m->v[i].path;
		int r;

		if (strncmp(p, path, n) || p[n] != '/' || !p[n + 1] || strchr(p + n + 1, '/'))
			continue;
		r = fn(arg, p + n + 1);
		if (r)
			return r;
	}
	return 0;
}

static int memfs_readlink(struct fs *fs, const char *path, char **ret, struct err *e)
{
	struct mem_entry *m = mem_find((struct memfs *)fs, path);

	if (!m || m->type != FS_LINK)
		return err_set(e, -EINVAL, "%s: no link", path);
	*ret = str_ndup(m->data, m->size);
	return *ret ? 0 : err_oom(e);
}

static int memfs_read(struct fs *fs, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n, struct err *e)
{
	struct memfs *mem = (struct memfs *)fs;
	struct mem_entry *m = mem_find(mem, path);
	size_t n;

	if (!m || m->type != FS_FILE)
		return err_set(e, -EINVAL, "%s: no file", path);
	n = off >= m->size ? 0 : m->size - off < len ? (size_t)(m->size - off) : len;
	if (m->fail && off + n > m->fail_from)
		return err_set(e, m->fail, "%s: read error", path);
	if (m->data)
		memcpy(buf, m->data + off, n);
	else
		memset(buf, 0, n);
	mem->bytes_read += n;
	*ret_n = n;
	return 0;
}

static void memfs_close(struct fs *fs)
{
	(void)fs;
}

static const struct fs_ops memfs_ops = {
	.name = "memfs",
	.stat = memfs_stat,
	.list = memfs_list,
	.readlink = memfs_readlink,
	.read = memfs_read,
	.close = memfs_close,
};

static inline void mem_init(struct memfs *m)
{
	*m = (struct memfs){.fs = {.ops = &memfs_ops}};
}
static inline void mem_done(struct memfs *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].path);
		free(m->v[i].data);
	}
	free(m->v);
	*m = (struct memfs){0};
}

#endif
