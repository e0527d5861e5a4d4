/* SPDX-License-Identifier: MIT */
/* Directories of ext (the kernel's Documentation/filesystems/ext4/directory.rst), read whole, block by block:
 * the nodes of a hash tree look like empty blocks to a reader like this one, so the tree itself is never
 * trusted. What can be read is kept, and what cannot is remembered as damage: a name that is not found in a
 * damaged directory is not "absent". At most EXT_MAX_ENTRIES names; the last few directories are kept. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/bytes.h"
#include "base/str.h"
#include "base/vec.h"
#include "format/ext_priv.h"

enum {
	MAX_DIR_BLOCKS = 1 << 18,
	MAX_ERRORS = 1000,
	FL_ENCRYPT = 0x800,
	FL_INLINE = 0x10000000,
	TAIL_SIZE = 12,
	TAIL_TYPE = 0xde,
	DX_ROOT_INFO = 24,
	DX_ROOT_LIMIT = 32,
	DX_NODE_LIMIT = 8,
};

struct dirent_disk {
	le32 ino;
	le16 rec_len;
	uint8_t name_len, type;
};
static_assert(sizeof(struct dirent_disk) == 8, "ext directory entry");

static int __attribute__((format(printf, 3, 4))) note(struct ext_dir *d, int code, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (d->bad)
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->bad = code;
	err_set(&d->why, code, "directory inode %" PRIu32 ": %s", d->ino, text);
	return 0;
}

static int add_name(struct ext_dir *d, uint32_t ino, const uint8_t *name, uint8_t len)
{
	struct ext_dirent *v;
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
	*v = (struct ext_dirent){ .ino = ino, .name = (uint32_t)d->names_n, .len = len };
	memcpy(names + d->names_n, name, len);
	names[d->names_n + len] = '\0';
	/* an encrypted name is any bytes at all */
	for (size_t k = 0; d->encrypted && k < len; k++)
		if (!names[d->names_n + k] || names[d->names_n + k] == '/')
			names[d->names_n + k] = '_';
	d->names_n += (size_t)len + 1;
	return 0;
}

static int take_entry(struct ext_fs *x, struct ext_dir *d, const struct dirent_disk *h, const uint8_t *name)
{
	uint32_t ino = le32_get(h->ino);

	if (h->name_len == 1 && name[0] == '.')
		return 0;
	if (h->name_len == 2 && name[0] == '.' && name[1] == '.') {
		if (!d->parent)
			d->parent = ino;
		return 0;
	}
	if (ino > x->info.inodes || !h->name_len)
		return note(d, -EBADMSG, "an entry is damaged");
	if (!d->encrypted && (memchr(name, '\0', h->name_len) || memchr(name, '/', h->name_len)))
		return note(d, -EBADMSG, "a name has a NUL or a slash in it");
	if (d->n >= EXT_MAX_ENTRIES)
		return note(d, -EBADMSG, "it has more than %d entries", EXT_MAX_ENTRIES);
	return add_name(d, ino, name, h->name_len);
}

/* The entries in n bytes. With 64 KiB blocks, 65535 and 0 mean the whole block. */
static int parse_entries(struct ext_fs *x, struct ext_dir *d, const uint8_t *p, size_t n)
{
	struct dirent_disk h;
	size_t rec;
	int rc;

	for (size_t off = 0; off < n; off += rec) {
		if (n - off < sizeof(h))
			return note(d, -EBADMSG, "an entry is cut off");
		memcpy(&h, p + off, sizeof(h));
		rec = le16_get(h.rec_len);
		if (n == 65536 && (rec == 65535 || rec == 0))
			rec = 65536;
		if (rec < sizeof(h) || rec % 4 || rec > n - off || h.name_len > rec - sizeof(h))
			return note(d, -EBADMSG, "an entry is damaged");
		if (!le32_get(h.ino))
			continue;
		rc = take_entry(x, d, &h, p + off + sizeof(h));
		if (rc)
			return rc;
	}
	return 0;
}

uint32_t ext_seed(const struct ext_fs *x, const struct ext_inode *i)
{
	uint8_t no[8] = { (uint8_t)i->ino,
			  (uint8_t)(i->ino >> 8),
			  (uint8_t)(i->ino >> 16),
			  (uint8_t)(i->ino >> 24),
			  (uint8_t)i->generation,
			  (uint8_t)(i->generation >> 8),
			  (uint8_t)(i->generation >> 16),
			  (uint8_t)(i->generation >> 24) };

	return ext2fs_crc32c_le(x->lib->csum_seed, no, sizeof(no));
}

/* Does the chain of entries end in a checksum? In a node of the hash tree such a tail may be left over from
 * before. */
bool ext_dir_has_tail(const uint8_t *p, size_t bs)
{
	struct dirent_disk h;
	size_t off = 0;

	while (off < bs - TAIL_SIZE) {
		memcpy(&h, p + off, sizeof(h));
		if (le16_get(h.rec_len) < sizeof(h) || le16_get(h.rec_len) % 4)
			return false;
		off += le16_get(h.rec_len);
	}
	if (off != bs - TAIL_SIZE)
		return false;
	memcpy(&h, p + off, sizeof(h));
	return !le32_get(h.ino) && le16_get(h.rec_len) == TAIL_SIZE && !h.name_len && h.type == TAIL_TYPE;
}

size_t ext_dir_tree_at(const uint8_t *p, size_t bs)
{
	struct dirent_disk first, second;
	le32 reserved;

	memcpy(&first, p, sizeof(first));
	memcpy(&second, p + 12, sizeof(second));
	memcpy(&reserved, p + DX_ROOT_INFO, sizeof(reserved));
	if (!le32_get(first.ino) && le16_get(first.rec_len) == (bs == 65536 ? 65535 : bs) && !first.name_len)
		return DX_NODE_LIMIT;
	if (le16_get(first.rec_len) == 12 && le16_get(second.rec_len) == (bs == 65536 ? 65535 : bs) - 12 &&
	    !le32_get(reserved) && p[DX_ROOT_INFO + 5] == 8)
		return DX_ROOT_LIMIT;
	return 0;
}

static bool block_csum_ok(const struct ext_fs *x, const struct ext_inode *i, const uint8_t *p)
{
	size_t bs = x->info.block_size, at, tail;
	static const uint8_t zero[4];
	uint32_t crc;
	le16 limit, count;
	le32 stored;

	if (!(x->info.ro_compat & EXT_RO_METADATA_CSUM))
		return true;
	if (ext_dir_has_tail(p, bs)) {
		memcpy(&stored, p + bs - 4, sizeof(stored));
		return ext2fs_crc32c_le(ext_seed(x, i), p, bs - TAIL_SIZE) == le32_get(stored);
	}
	at = ext_dir_tree_at(p, bs);
	if (!at)
		return false;
	memcpy(&limit, p + at, sizeof(limit));
	memcpy(&count, p + at + 2, sizeof(count));
	tail = at + (size_t)le16_get(limit) * 8;
	if (tail + 8 > bs || le16_get(count) > le16_get(limit))
		return false;
	memcpy(&stored, p + tail + 4, sizeof(stored));
	crc = ext2fs_crc32c_le(ext_seed(x, i), p, at + (size_t)le16_get(count) * 8);
	crc = ext2fs_crc32c_le(crc, p + tail, 4);
	return ext2fs_crc32c_le(crc, zero, sizeof(zero)) == le32_get(stored);
}

static int read_inline_dir(struct ext_fs *x, const struct ext_inode *i, struct ext_dir *d)
{
	size_t n = 0, size = i->size > x->info.inode_size ? x->info.inode_size : (size_t)i->size;
	cleanup_free uint8_t *buf = malloc(size + 1);
	struct err e = { "" };
	le32 parent;
	int rc;

	if (!buf)
		return -ENOMEM;
	rc = ext_read_data(x, i, buf, size, 0, &n, &e);
	if (rc)
		return note(d, rc, "%s", e.msg);
	if (n < EXT_BLOCK_BYTES)
		return note(d, -EBADMSG, "its inline data is cut off");
	memcpy(&parent, buf, sizeof(parent));
	d->parent = le32_get(parent);
	rc = parse_entries(x, d, buf + 4, EXT_BLOCK_BYTES - 4);
	if (rc)
		return rc;
	return parse_entries(x, d, buf + EXT_BLOCK_BYTES, n - EXT_BLOCK_BYTES);
}

/* len blocks from block phys on */
static int read_blocks(struct ext_fs *x, const struct ext_inode *i, struct ext_dir *d, uint64_t phys,
		       uint64_t len, uint8_t *buf)
{
	uint32_t bs = x->info.block_size;
	struct err e = { "" };
	int rc;

	for (uint64_t k = 0; k < len && d->n < EXT_MAX_ENTRIES; k++) {
		rc = blk_pread(x->blk, buf, bs, (phys + k) * bs, &e);
		if (rc) {
			note(d, rc, "%s", e.msg);
			continue;
		}
		if (!block_csum_ok(x, i, buf))
			note(d, -EBADMSG, "the checksum of one of its blocks is wrong");
		rc = parse_entries(x, d, buf, bs);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_dir(struct ext_fs *x, const struct ext_inode *i, struct ext_dir *d)
{
	uint32_t bs = x->info.block_size;
	uint64_t blocks = i->size / bs + (i->size % bs != 0), at = 0;
	cleanup_free uint8_t *buf = malloc(bs);
	struct ext_run run;
	struct err e = { "" };
	unsigned errors = 0;
	int rc;

	if (!buf)
		return -ENOMEM;
	if (!blocks || i->size % bs)
		note(d, -EBADMSG, "its length of %" PRIu64 " bytes is not whole blocks", i->size);
	for (; at < blocks && at < MAX_DIR_BLOCKS && errors < MAX_ERRORS && d->n < EXT_MAX_ENTRIES;
	     at += run.len) {
		rc = ext_map(x, i, at, &run, &e);
		if (rc) {
			note(d, rc, "%s", e.msg);
			run.len = 1;
			errors++;
			continue;
		}
		if (run.len > blocks - at)
			run.len = blocks - at;
		if (run.hole)
			note(d, -EBADMSG, "it has a hole");
		if (run.hole)
			continue;
		if (run.len > MAX_DIR_BLOCKS)
			run.len = MAX_DIR_BLOCKS;
		rc = read_blocks(x, i, d, run.phys, run.len, buf);
		if (rc)
			return rc;
	}
	if (at < blocks)
		note(d, -EBADMSG, "it is too long to be read whole");
	return 0;
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct ext_dir *d = arg;
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	int c = strcmp(ext_dir_name(d, ia), ext_dir_name(d, ib));

	/* of two entries of one name the first one counts */
	return c ? c : (ia > ib) - (ia < ib);
}

static void dir_free(struct ext_dir *d)
{
	free(d->v);
	free(d->names);
	free(d->sorted);
	free(d);
}

static int dir_load(struct ext_fs *x, const struct ext_inode *i, struct ext_dir *d)
{
	int rc;

	d->ino = i->ino;
	d->encrypted = i->flags & FL_ENCRYPT;
	rc = i->flags & FL_INLINE ? read_inline_dir(x, i, d) : read_dir(x, i, d);
	if (rc)
		return rc;
	d->sorted = malloc((d->n + 1) * sizeof(*d->sorted));
	if (!d->sorted)
		return -ENOMEM;
	for (size_t k = 0; k < d->n; k++)
		d->sorted[k] = (uint32_t)k;
	qsort_r(d->sorted, d->n, sizeof(*d->sorted), by_name, d);
	return 0;
}

/* Keeps d in the place of the one that was not used for longest; where all are in use it lives until it is
 * put. */
static void dir_keep(struct ext_fs *x, struct ext_dir *d)
{
	struct ext_dir **slot = NULL;

	for (size_t k = 0; k < EXT_DIRS; k++) {
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

int ext_dir_get(struct ext_fs *x, const struct ext_inode *i, struct ext_dir **ret, struct err *e)
{
	struct ext_dir *d = NULL;
	int rc;

	for (size_t k = 0; k < EXT_DIRS && !d; k++)
		if (x->dirs[k] && x->dirs[k]->ino == i->ino)
			d = x->dirs[k];
	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return err_oom(e);
		rc = dir_load(x, i, d);
		if (rc) {
			dir_free(d);
			return rc == -ENOMEM ? err_oom(e) : rc;
		}
		dir_keep(x, d);
	}
	d->used = ++x->clock;
	d->pins++;
	*ret = d;
	return 0;
}

void ext_dir_put(struct ext_dir *d)
{
	if (!--d->pins && !d->cached)
		dir_free(d);
}

int ext_dir_find(const struct ext_dir *d, const char *name, size_t len, uint32_t *ret_ino, struct err *e)
{
	size_t lo = 0, hi = d->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const char *have = ext_dir_name(d, d->sorted[mid]);
		int c = strncmp(have, name, len);

		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < d->n && d->v[d->sorted[lo]].len == len &&
	    !memcmp(ext_dir_name(d, d->sorted[lo]), name, len)) {
		*ret_ino = d->v[d->sorted[lo]].ino;
		return 0;
	}
	if (d->bad)
		return err_set(e, d->bad, "%s", d->why.msg);
	return err_set(e, -ENOENT, "no such file");
}

int ext_path_err(struct err *e, int code, const char *path)
{
	cleanup_free char *shown = str_escape(path, strlen(path), false);

	return err_wrap(e, code, "%s", shown ? shown : "?");
}

int ext_lookup(struct ext_fs *x, const char *path, struct ext_inode *ret, struct err *e)
{
	struct ext_inode i = { 0 };
	int rc;

	if (!x->lib)
		return err_set(e, -EIO, "the file system could not be opened again after a change");
	rc = ext_inode_read(x, EXT_ROOT_INO, &i, e);
	for (const char *p = path; !rc; p += strcspn(p, "/")) {
		cleanup_ext_dir struct ext_dir *d = NULL;
		uint32_t ino;

		p += strspn(p, "/");
		if (!*p)
			break;
		if ((i.mode & S_IFMT) != S_IFDIR)
			rc = err_set(e, -ENOTDIR, "not a directory");
		if (!rc)
			rc = ext_dir_get(x, &i, &d, e);
		if (!rc)
			rc = ext_dir_find(d, p, strcspn(p, "/"), &ino, e);
		ext_inode_done(&i);
		if (!rc)
			rc = ext_inode_read(x, ino, &i, e);
	}
	if (rc) {
		ext_inode_done(&i);
		return ext_path_err(e, rc, path);
	}
	*ret = i;
	return 0;
}

void ext_caches_drop(struct ext_fs *x)
{
	for (size_t k = 0; k < EXT_DIRS; k++) {
		if (x->dirs[k] && x->dirs[k]->pins)
			x->dirs[k]->cached = false;
		else if (x->dirs[k])
			dir_free(x->dirs[k]);
		x->dirs[k] = NULL;
	}
	for (size_t k = 0; k < EXT_NODES; k++) {
		free(x->nodes[k].buf);
		x->nodes[k].buf = NULL;
	}
}
