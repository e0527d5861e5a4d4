/* SPDX-License-Identifier: MIT */
/* Directories of XFS, version 2 and 3 ("XFS Algorithms & Data Structures", chapter "Directories"), read
 * whole: short ones lie in the inode, all others keep their entries in blocks below byte 2^35 of the
 * directory. The hash tables above are never trusted nor needed. What can be read is kept, and what cannot is
 * remembered as damage: a name that is not found in a damaged directory is not "absent", and an entry of a
 * block with a wrong checksum is shown but not followed. At most XFS_MAX_ENTRIES names; the last few
 * directories are kept. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/str.h"
#include "base/vec.h"
#include "format/xfs_priv.h"

enum {
	MAX_DIR_BLOCKS = 1 << 18,
	MAX_ERRORS = 1000,
	HEAD = 16,
	HEAD_V5 = 64,
	ENTRY_HEAD = 9,
	TAG = 2,
	UNUSED = 0xffff,
	ALIGN = 8,
	TAIL = 8,
	LEAF_ENTRY = 8,
};

struct dir_tail_disk {
	be32 n, stale;
};
static_assert(sizeof(struct dir_tail_disk) == TAIL, "XFS directory block");

static int __attribute__((format(printf, 3, 4))) note(struct xfs_dir *d, int code, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	if (d->bad)
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->bad = code;
	err_set(&d->why, code, "directory inode %" PRIu64 ": %s", d->ino, text);
	return 0;
}

static uint64_t get_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t k = 0; k < n; k++)
		v = v << 8 | p[k];
	return v;
}

static int add_name(struct xfs_dir *d, uint64_t ino, const uint8_t *name, uint8_t len)
{
	struct xfs_dirent *v;
	char *names = d->names;

	if (d->names_n + len + 1 > d->names_cap) {
		size_t cap = d->names_cap ? 2 * d->names_cap : 4096;

		names = realloc(names, cap);
		if (!names)
			return -ENOMEM;
		d->names = names;
		d->names_cap = cap;
	}
	v = vec_push(&d->v, &d->n);
	if (!v)
		return -ENOMEM;
	*v = (struct xfs_dirent){
		.ino = ino, .name = (uint32_t)d->names_n, .len = len, .suspect = d->suspect
	};
	memcpy(names + d->names_n, name, len);
	names[d->names_n + len] = '\0';
	d->names_n += (size_t)len + 1;
	return 0;
}

static int take_entry(struct xfs_fs *x, struct xfs_dir *d, uint64_t ino, const uint8_t *name, uint8_t len)
{
	if (len == 1 && name[0] == '.')
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		if (!d->parent)
			d->parent = ino;
		return 0;
	}
	if (!len || !xfs_ino_ok(x, ino))
		return note(d, -EBADMSG, "an entry is damaged");
	if (memchr(name, '\0', len) || memchr(name, '/', len))
		return note(d, -EBADMSG, "a name has a NUL or a slash in it");
	if (d->n >= XFS_MAX_ENTRIES)
		return note(d, -EBADMSG, "it has more than %d entries", XFS_MAX_ENTRIES);
	return add_name(d, ino, name, len);
}

/* ---- in the inode: a count, the parent, entries of length, place, name, type and inode ---- */

static int read_short(struct xfs_fs *x, const struct xfs_inode *i, struct xfs_dir *d)
{
	const uint8_t *p = i->data.p;
	size_t n = (size_t)i->size, wide, off, len;
	int rc = 0;

	if (n < 6)
		return note(d, -EBADMSG, "it is damaged");
	wide = p[1] ? 8 : 4;
	off = 2 + wide;
	if (n < off)
		return note(d, -EBADMSG, "it is damaged");
	d->parent = get_be(p + 2, wide);
	for (unsigned k = 0; k < p[0] && !rc; k++) {
		if (n - off < 3)
			return note(d, -EBADMSG, "an entry is cut off");
		len = 3 + (size_t)p[off] + x->info.ftype;
		if (n - off < len + wide)
			return note(d, -EBADMSG, "an entry is cut off");
		rc = take_entry(x, d, get_be(p + off + len, wide), p + off + 3, p[off]);
		off += len + wide;
	}
	return rc;
}

/* ---- in blocks ---- */

/* Entries in p[off..n): inode, length, name, type, and at the end of a multiple of 8 bytes where the entry
 * begins. */
static int parse_entries(struct xfs_fs *x, struct xfs_dir *d, const uint8_t *p, size_t off, size_t n)
{
	size_t len;
	int rc;

	for (; off < n; off += len) {
		bool unused = n - off >= ALIGN && get_be(p + off, 2) == UNUSED;

		if (n - off < 2 * ALIGN && !unused)
			return note(d, -EBADMSG, "an entry is cut off");
		len = unused ? (size_t)get_be(p + off + 2, 2)
			     : (size_t)ENTRY_HEAD + p[off + 8] + x->info.ftype + TAG;
		len = (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
		if (!len || len > n - off || get_be(p + off + len - TAG, TAG) != off)
			return note(d, -EBADMSG, "an entry is damaged");
		if (unused)
			continue;
		rc = take_entry(x, d, get_be(p + off, 8), p + off + ENTRY_HEAD, p[off + 8]);
		if (rc)
			return rc;
	}
	return 0;
}

/* A block: nothing but entries, or in the only one of a small directory a hash table behind them. */
static int parse_block(struct xfs_fs *x, struct xfs_dir *d, uint64_t no, const uint8_t *p, uint64_t at)
{
	size_t size = x->info.dir_block_size, end = size, table;
	bool v5 = xfs_is_v5(x), single = !memcmp(p, v5 ? "XDB3" : "XD2B", 4);
	struct dir_tail_disk tail;
	const char *why;

	if (!single && memcmp(p, v5 ? "XDD3" : "XD2D", 4) != 0)
		return note(d, -EBADMSG, "block %" PRIu64 " of it is not one of a directory", no);
	why = xfs_self_wrong(x, &xfs_self_dir, p, size, d->ino, at);
	if (*why)
		note(d, -EBADMSG, "block %" PRIu64 " of it (byte %" PRIu64 ") %s", no, at, why);
	d->suspect = *why;
	if (single) {
		memcpy(&tail, p + size - TAIL, sizeof(tail));
		if (no || mul_overflows(be32_get(tail.n), LEAF_ENTRY, &table) ||
		    table > size - TAIL - HEAD_V5)
			return note(d, -EBADMSG, "block %" PRIu64 " of it is damaged", no);
		end = size - TAIL - table;
	}
	return parse_entries(x, d, p, v5 ? HEAD_V5 : HEAD, end);
}

static int read_blocks(struct xfs_fs *x, const struct xfs_inode *i, struct xfs_dir *d)
{
	uint32_t size = x->info.dir_block_size, per = size / x->info.block_size;
	uint64_t end = (uint64_t)1 << 35, blocks = (i->size < end ? i->size : end) / size;
	cleanup_free uint8_t *buf = malloc(size);
	unsigned errors = 0, looked = 0;
	struct err e = { "" };
	struct xfs_run run = { 0 };
	uint64_t no = 0;
	int rc;

	if (!buf)
		return -ENOMEM;
	if (!blocks || i->size % size || i->size > end)
		note(d, -EBADMSG, "its length of %" PRIu64 " bytes cannot be", i->size);
	for (; no < blocks && looked < MAX_DIR_BLOCKS && errors < MAX_ERRORS && d->n < XFS_MAX_ENTRIES;
	     no++, looked++) {
		rc = xfs_map(x, i, &i->data, no * per, &run, &e);
		/* what was deleted leaves holes */
		if (!rc && run.hole && run.len >= per) {
			no += run.len / per - 1;
			continue;
		}
		if (!rc)
			rc = xfs_read_fork(x, i, &i->data, buf, size, no * size, &e);
		if (rc == -ENOMEM)
			return rc;
		if (rc) {
			note(d, rc, "%s", e.msg);
			errors++;
			continue;
		}
		rc = parse_block(x, d, no, buf, run.at);
		if (rc)
			return rc;
	}
	if (no < blocks)
		note(d, -EBADMSG, "it is too long to be read whole");
	return 0;
}

/* ---- the directories that are kept ---- */

static int by_name(const void *a, const void *b, void *arg)
{
	const struct xfs_dir *d = arg;
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	int c = strcmp(xfs_dir_name(d, ia), xfs_dir_name(d, ib));

	/* of two entries of one name the first one counts */
	return c ? c : (ia > ib) - (ia < ib);
}

static void dir_free(struct xfs_dir *d)
{
	free(d->v);
	free(d->names);
	free(d->sorted);
	free(d);
}

static int dir_load(struct xfs_fs *x, const struct xfs_inode *i, struct xfs_dir *d)
{
	int rc;

	d->ino = i->ino;
	rc = i->data.form == XFS_FORM_LOCAL ? read_short(x, i, d) : read_blocks(x, i, d);
	if (rc)
		return rc;
	d->sorted = malloc((d->n + 1) * sizeof(*d->sorted));
	if (!d->sorted)
		return -ENOMEM;
	for (size_t k = 0; k < d->n; k++)
		d->sorted[k] = (uint32_t)k;
	if (d->n)
		qsort_r(d->sorted, d->n, sizeof(*d->sorted), by_name, d);
	return 0;
}

/* Keeps d in the place of the one that was not used for longest; where all are in use it lives until it is
 * put. */
static void dir_keep(struct xfs_fs *x, struct xfs_dir *d)
{
	struct xfs_dir **slot = NULL;

	for (size_t k = 0; k < XFS_DIRS; k++) {
		if (!x->dirs[k]) {
			slot = &x->dirs[k];
			break;
		}
		if (!x->dirs[k]->pins && (!slot || x->dirs[k]->used < (*slot)->used))
			slot = &x->dirs[k];
	}
	if (!slot)
		return;
	if (*slot)
		dir_free(*slot);
	*slot = d;
	d->cached = true;
}

int xfs_dir_get(struct xfs_fs *x, const struct xfs_inode *i, struct xfs_dir **ret, struct err *e)
{
	struct xfs_dir *d = NULL;
	int rc;

	for (size_t k = 0; k < XFS_DIRS && !d; k++)
		if (x->dirs[k] && x->dirs[k]->ino == i->ino)
			d = x->dirs[k];
	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return err_oom(e);
		rc = dir_load(x, i, d);
		if (rc) {
			dir_free(d);
			return err_oom(e);
		}
		dir_keep(x, d);
	}
	d->used = ++x->clock;
	d->pins++;
	*ret = d;
	return 0;
}

void xfs_dir_put(struct xfs_dir *d)
{
	if (!--d->pins && !d->cached)
		dir_free(d);
}

/* The inode of a name: 0, -ENOENT, or the directory's damage where the name may be in the part that could not
 * be read. */
static int dir_find(const struct xfs_dir *d, const char *name, size_t len, uint64_t *ret_ino, struct err *e)
{
	size_t lo = 0, hi = d->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (strncmp(xfs_dir_name(d, d->sorted[mid]), name, len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < d->n && d->v[d->sorted[lo]].len == len &&
	    !memcmp(xfs_dir_name(d, d->sorted[lo]), name, len)) {
		*ret_ino = d->v[d->sorted[lo]].ino;
		if (!d->v[d->sorted[lo]].suspect)
			return 0;
	}
	if (d->bad)
		return err_set(e, d->bad, "%s", d->why.msg);
	return err_set(e, -ENOENT, "no such file");
}

int xfs_path_err(struct err *e, int code, const char *path)
{
	cleanup_free char *shown = str_escape(path, strlen(path), false);

	return err_wrap(e, code, "%s", shown ? shown : "?");
}

int xfs_lookup(struct xfs_fs *x, const char *path, struct xfs_inode *ret, struct err *e)
{
	struct xfs_inode i = { 0 };
	int rc = xfs_inode_read(x, x->info.root_ino, &i, e);

	for (const char *p = path; !rc; p += strcspn(p, "/")) {
		cleanup_xfs_dir struct xfs_dir *d = NULL;
		uint64_t ino = 0;

		p += strspn(p, "/");
		if (!*p)
			break;
		if ((i.mode & S_IFMT) != S_IFDIR)
			rc = err_set(e, -ENOTDIR, "not a directory");
		if (!rc)
			rc = xfs_dir_get(x, &i, &d, e);
		if (!rc)
			rc = dir_find(d, p, strcspn(p, "/"), &ino, e);
		xfs_inode_done(&i);
		if (!rc)
			rc = xfs_inode_read(x, ino, &i, e);
	}
	if (rc) {
		xfs_inode_done(&i);
		return xfs_path_err(e, rc, path);
	}
	*ret = i;
	return 0;
}

void xfs_caches_drop(struct xfs_fs *x)
{
	for (size_t k = 0; k < XFS_DIRS; k++) {
		if (x->dirs[k] && x->dirs[k]->pins)
			x->dirs[k]->cached = false;
		else if (x->dirs[k])
			dir_free(x->dirs[k]);
		x->dirs[k] = NULL;
	}
	for (size_t k = 0; k < sizeof(x->nodes) / sizeof(x->nodes[0]); k++) {
		free(x->nodes[k].buf);
		x->nodes[k].buf = NULL;
		x->nodes[k].block = 0;
	}
}
