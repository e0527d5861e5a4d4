/* SPDX-License-Identifier: MIT */
/* libext2fs (1.47 at least) splits a block of a directory's hash tree in memory that it does not clear, so
 * that the unused bytes of the new blocks are what this process happened to have there: nothing that may go
 * to a disk, and never twice the same. Here the unused bytes of the blocks that a change has written are
 * cleared. Blocks that the change did not touch are left alone, and so is every directory without a tree. */
#include <inttypes.h>
#include "base/bytes.h"
#include "base/vec.h"
#include "format/ext_priv.h"

enum { MAX_BLOCKS = 1 << 18, HEADER = 8, CSUM_TAIL = 12 };

struct walk {
	struct ext_fs *x;
	struct ext_inode inode;
	uint8_t *buf;                   /* one block */
	uint64_t block;                 /* where it lies */
};

static void walk_done(struct walk *w)
{
	ext_inode_done(&w->inode);
	free(w->buf);
}
#define cleanup_walk cleanup(walk_done)

static int walk_open(struct walk *w, uint32_t dir, struct err *e)
{
	w->buf = malloc(w->x->info.block_size);
	return w->buf ? ext_inode_read(w->x, dir, &w->inode, e) : err_oom(e);
}

/* Block `at` of the directory: 1 it was read, 0 there is none. */
static int walk_read(struct walk *w, uint64_t at, struct err *e)
{
	uint32_t bs = w->x->info.block_size;
	struct ext_run run;
	int rc;

	if (at >= w->inode.size / bs)
		return 0;
	if (at >= MAX_BLOCKS)
		return err_set(e, -EFBIG, "a directory of more than %d blocks", MAX_BLOCKS);
	rc = ext_map(w->x, &w->inode, at, &run, e);
	if (!rc && run.hole)
		rc = err_set(e, -EBADMSG, "directory inode %" PRIu32 ": it has a hole", w->inode.ino);
	if (rc)
		return rc;
	w->block = run.phys;
	rc = blk_pread(w->x->blk, w->buf, bs, w->block * bs, e);
	return rc ? rc : 1;
}

/* A node of the tree: what lies behind its last entry. Its checksum does not cover that. */
static void clear_node(uint8_t *p, size_t bs, size_t at)
{
	size_t from, to;
	le16 limit, count;

	memcpy(&limit, p + at, sizeof(limit));
	memcpy(&count, p + at + 2, sizeof(count));
	from = at + (size_t)le16_get(count) * 8;
	to = at + (size_t)le16_get(limit) * 8;
	if (from < to && to <= bs)
		memset(p + from, 0, to - from);
}

/* A block of entries: what lies behind each name. An entry is inode (4), length (2), name's length (1), type
 * (1), name. */
static void clear_entries(uint8_t *p, size_t n)
{
	static const uint8_t none[4];
	size_t rec, used;
	le16 len;

	for (size_t off = 0; n - off >= HEADER; off += rec) {
		memcpy(&len, p + off + 4, sizeof(len));
		rec = le16_get(len);
		used = HEADER + (memcmp(p + off, none, sizeof(none)) ? p[off + 6] : 0);
		if (rec < used || rec > n - off)
			return;
		memset(p + off + used, 0, rec - used);
	}
}

static int clear_block(struct walk *w, struct err *e)
{
	uint32_t bs = w->x->info.block_size, crc;
	size_t at = ext_dir_tree_at(w->buf, bs);
	bool csum = w->x->info.ro_compat & EXT_RO_METADATA_CSUM;

	/* with 64 KiB blocks lengths are written in another way */
	if (bs > 32768)
		return 0;
	if (at) {
		clear_node(w->buf, bs, at);
	} else if (!csum || ext_dir_has_tail(w->buf, bs)) {
		clear_entries(w->buf, csum ? bs - CSUM_TAIL : bs);
		crc = csum ? ext2fs_crc32c_le(ext_seed(w->x, &w->inode), w->buf, bs - CSUM_TAIL) : 0;
		for (unsigned k = 0; csum && k < 4; k++)
			w->buf[bs - 4 + k] = (uint8_t)(crc >> 8 * k);
	}
	return blk_pwrite(w->x->blk, w->buf, bs, w->block * bs, e);
}

int ext_scrub_mark(struct ext_fs *x, const struct ext_inode *dir, struct ext_marks *ret, struct err *e)
{
	cleanup_walk struct walk w = { .x = x };
	cleanup_free uint32_t *crc = NULL;
	uint32_t *slot;
	size_t n = 0;
	int rc = walk_open(&w, dir->ino, e);

	while (!rc && (rc = walk_read(&w, n, e)) > 0) {
		slot = vec_push(&crc, &n);
		if (!slot)
			return err_oom(e);
		*slot = bytes_crc32(0, w.buf, x->info.block_size);
		rc = 0;
	}
	if (rc)
		return rc;
	ret->crc = take_ptr(&crc);
	ret->n = n;
	return 0;
}

int ext_scrub(struct ext_fs *x, uint32_t dir, const struct ext_marks *marks, struct err *e)
{
	cleanup_walk struct walk w = { .x = x };
	int rc;

	/* the map has changed below the blocks of it that are kept */
	ext_caches_drop(x);
	rc = walk_open(&w, dir, e);
	for (uint64_t at = 0; !rc && (rc = walk_read(&w, at, e)) > 0; at++) {
		rc = 0;
		if (at >= marks->n || bytes_crc32(0, w.buf, x->info.block_size) != marks->crc[at])
			rc = clear_block(&w, e);
	}
	return rc;
}
