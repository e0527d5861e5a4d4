/* SPDX-License-Identifier: MIT */
/* Where the content of an ext inode lies: extent trees, block maps, inline data (the kernel's
 * Documentation/filesystems/ext4/{ifork,blockmap,inlinedata}.rst). Every step goes one level down, so that a
 * tree that points at itself ends after five; every block lies in the file system or is refused. Content is
 * read in long runs straight into the caller's buffer. */
#include <assert.h>
#include <inttypes.h>
#include "base/bytes.h"
#include "format/ext_priv.h"

enum {
	EXTENT_MAGIC = 0xf30a,
	MAX_DEPTH = 5,
	MAX_EXTENT = 32768,
	DIRECT = 12,
	FL_EXTENTS = 0x80000,
	FL_INLINE = 0x10000000
};

struct extent_header_disk {
	le16 magic, entries, max, depth;
	le32 generation;
};
struct extent_disk {
	le32 block;
	le16 len, start_hi;
	le32 start_lo;
};
struct extent_index_disk {
	le32 block, leaf_lo;
	le16 leaf_hi, unused;
};
static_assert(sizeof(struct extent_header_disk) == 12, "ext extent");
static_assert(sizeof(struct extent_disk) == 12, "ext extent");
static_assert(sizeof(struct extent_index_disk) == 12, "ext extent");

static bool blocks_ok(const struct ext_fs *x, uint64_t block, uint64_t n)
{
	return block > x->info.first_data_block && range_in(block, n, x->info.blocks);
}

/* A block of a map or tree, kept until another one of the same level is asked for. */
static int read_node(struct ext_fs *x, unsigned level, uint64_t block, const uint8_t **ret, struct err *e)
{
	int rc;

	if (!blocks_ok(x, block, 1))
		return err_set(e, -EBADMSG,
			       "its block map leads to block %" PRIu64 ", outside the file system", block);
	if (x->nodes[level].buf && x->nodes[level].block == block) {
		*ret = x->nodes[level].buf;
		return 0;
	}
	if (!x->nodes[level].buf)
		x->nodes[level].buf = malloc(x->info.block_size);
	if (!x->nodes[level].buf)
		return err_oom(e);
	x->nodes[level].block = 0;
	rc = blk_pread(x->blk, x->nodes[level].buf, x->info.block_size, block * x->info.block_size, e);
	if (rc)
		return rc;
	x->nodes[level].block = block;
	*ret = x->nodes[level].buf;
	return 0;
}

static bool node_csum_ok(const struct ext_fs *x, const struct ext_inode *i, const uint8_t *node, unsigned max)
{
	size_t tail = 12 + (size_t)max * 12;
	le32 stored;

	if (!(x->info.ro_compat & EXT_RO_METADATA_CSUM))
		return true;
	if (tail + sizeof(stored) > x->info.block_size)
		return false;
	memcpy(&stored, node + tail, sizeof(stored));
	return ext2fs_crc32c_le(ext_seed(x, i), node, tail) ==
	       le32_get(stored);
}

static int check_header(const struct ext_inode *i, const uint8_t *node, size_t size, int depth,
			struct extent_header_disk *ret, struct err *e)
{
	unsigned entries, max;

	memcpy(ret, node, sizeof(*ret));
	entries = le16_get(ret->entries);
	max = le16_get(ret->max);
	if (le16_get(ret->magic) != EXTENT_MAGIC || entries > max || 12 + (size_t)max * 12 > size ||
	    le16_get(ret->depth) > MAX_DEPTH)
		return err_set(e, -EBADMSG, "inode %" PRIu32 ": a node of its extent tree is damaged",
			       i->ino);
	if (depth >= 0 && le16_get(ret->depth) != depth)
		return err_set(e, -EBADMSG,
			       "inode %" PRIu32
			       ": a node of its extent tree is of level %u in the place of %d",
			       i->ino, le16_get(ret->depth), depth);
	return 0;
}

/* The last of n entries that begins at or before lblk (-1: none), and where the next one begins (or *end as
 * it was). Both kinds of entry begin with the logical block. */
static int find_entry(const uint8_t *node, unsigned n, uint64_t lblk, uint64_t *end)
{
	unsigned lo = 0, hi = n;
	le32 block;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		memcpy(&block, node + 12 + (size_t)mid * 12, sizeof(block));
		if (le32_get(block) <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < n) {
		memcpy(&block, node + 12 + (size_t)lo * 12, sizeof(block));
		if (le32_get(block) < *end)
			*end = le32_get(block);
	}
	return (int)lo - 1;
}

static int map_leaf(struct ext_fs *x, const struct ext_inode *i, const uint8_t *node, int at, uint64_t lblk,
		    uint64_t end, struct ext_run *ret, struct err *e)
{
	struct extent_disk d;
	uint64_t first, len, phys;

	*ret = (struct ext_run){ .len = end > lblk ? end - lblk : 1, .hole = true };
	if (at < 0)
		return 0;
	memcpy(&d, node + 12 + (size_t)at * 12, sizeof(d));
	first = le32_get(d.block);
	len = le16_get(d.len);
	phys = (uint64_t)le16_get(d.start_hi) << 32 | le32_get(d.start_lo);
	if (len > MAX_EXTENT)
		len -= MAX_EXTENT;      /* allocated, not written: reads as zero */
	else
		ret->hole = false;
	if (!len || !blocks_ok(x, phys, len))
		return err_set(e, -EBADMSG,
			       "inode %" PRIu32 ": an extent of %" PRIu64 " blocks at block %" PRIu64
			       " leaves the file system",
			       i->ino, len, phys);
	if (lblk - first >= len) {
		ret->hole = true;
		return 0;
	}
	ret->phys = phys + (lblk - first);
	if (first + len - lblk < ret->len)
		ret->len = first + len - lblk;
	return 0;
}

static int map_extents(struct ext_fs *x, const struct ext_inode *i, uint64_t lblk, struct ext_run *ret,
		       struct err *e)
{
	const uint8_t *node = i->block;
	size_t size = sizeof(i->block);
	uint64_t end = (uint64_t)1 << 32;
	struct extent_header_disk h;
	struct extent_index_disk d;
	int depth = -1, at, rc;

	if (lblk >= end)
		return err_set(e, -EBADMSG, "inode %" PRIu32 ": block %" PRIu64 " of a file cannot be",
			       i->ino, lblk);
	for (unsigned level = 0;; level++) {
		rc = check_header(i, node, size, depth, &h, e);
		if (rc)
			return rc;
		if (level && !node_csum_ok(x, i, node, le16_get(h.max)))
			return err_set(
			    e, -EBADMSG,
			    "inode %" PRIu32 ": the checksum of a node of its extent tree is wrong", i->ino);
		at = find_entry(node, le16_get(h.entries), lblk, &end);
		depth = le16_get(h.depth);
		if (depth == 0 || at < 0)
			return map_leaf(x, i, node, depth ? -1 : at, lblk, end, ret, e);
		memcpy(&d, node + 12 + (size_t)at * 12, sizeof(d));
		rc = read_node(x, level, (uint64_t)le16_get(d.leaf_hi) << 32 | le32_get(d.leaf_lo), &node, e);
		if (rc)
			return err_wrap(e, rc, "inode %" PRIu32, i->ino);
		size = x->info.block_size;
		depth--;
	}
}

static uint32_t pointer(const uint8_t *table, uint64_t at)
{
	le32 p;

	memcpy(&p, table + at * 4, sizeof(p));
	return le32_get(p);
}

/* A run within one table of n pointers that begins at pointer `at`. */
static int run_in_table(struct ext_fs *x, const struct ext_inode *i, const uint8_t *table, uint64_t at,
			uint64_t n, struct ext_run *ret, struct err *e)
{
	uint32_t first = pointer(table, at);
	uint64_t len = 1;

	while (at + len < n && pointer(table, at + len) == (first ? first + len : 0))
		len++;
	if (first && !blocks_ok(x, first, len))
		return err_set(e, -EBADMSG,
			       "inode %" PRIu32 ": its blocks from %" PRIu32 " on leave the file system",
			       i->ino, first);
	*ret = (struct ext_run){ .phys = first, .len = len, .hole = !first };
	return 0;
}

static int map_pointers(struct ext_fs *x, const struct ext_inode *i, uint64_t lblk, struct ext_run *ret,
			struct err *e)
{
	uint64_t per = x->info.block_size / 4, span = 1, block;
	const uint8_t *table = NULL;
	unsigned depth = 1;
	int rc;

	if (lblk < DIRECT)
		return run_in_table(x, i, i->block, lblk, DIRECT, ret, e);
	lblk -= DIRECT;
	for (span = per; depth <= 3 && lblk >= span; depth++, span *= per)
		lblk -= span;
	if (depth > 3)
		return err_set(e, -EBADMSG, "inode %" PRIu32 ": it is longer than a file can be", i->ino);

	/* span: how many blocks the subtree below `block` holds */
	block = pointer(i->block, DIRECT + depth - 1);
	for (unsigned level = 0; level < depth; level++) {
		if (!block) {
			*ret = (struct ext_run){ .len = span - lblk, .hole = true };
			return 0;
		}
		rc = read_node(x, level, block, &table, e);
		if (rc)
			return err_wrap(e, rc, "inode %" PRIu32, i->ino);
		span /= per;
		if (span == 1)
			break;
		block = pointer(table, lblk / span);
		lblk %= span;
	}
	return run_in_table(x, i, table, lblk, per, ret, e);
}

int ext_map(struct ext_fs *x, const struct ext_inode *i, uint64_t lblk, struct ext_run *ret, struct err *e)
{
	if (i->flags & FL_EXTENTS)
		return map_extents(x, i, lblk, ret, e);
	return map_pointers(x, i, lblk, ret, e);
}

static int read_inline(struct ext_fs *x, const struct ext_inode *i, uint8_t *buf, size_t len, uint64_t off,
		       struct err *e)
{
	const uint8_t *tail = NULL;
	size_t tail_n = 0, n = 0;
	int rc;

	memset(buf, 0, len);
	if (off < sizeof(i->block)) {
		n = sizeof(i->block) - off < len ? sizeof(i->block) - off : len;
		memcpy(buf, i->block + off, n);
	}
	if (n == len)
		return 0;
	rc = ext_inline_tail(i, x->info.inode_size, &tail, &tail_n, e);
	if (rc)
		return rc;
	off = off + n - sizeof(i->block);
	if (!range_in(off, len - n, tail_n))
		return err_set(e, -EBADMSG,
			       "inode %" PRIu32 ": it says %" PRIu64 " bytes, its inline data is shorter",
			       i->ino, i->size);
	memcpy(buf + n, tail + off, len - n);
	return 0;
}

/* One run of at most EXT_MAX_RUN bytes; how many. */
static int read_run(struct ext_fs *x, const struct ext_inode *i, uint8_t *buf, size_t len, uint64_t off,
		    size_t *ret_n, struct err *e)
{
	uint32_t bs = x->info.block_size, within = (uint32_t)(off % bs);
	struct ext_run run;
	int rc = ext_map(x, i, off / bs, &run, e);

	if (rc)
		return rc;
	if (run.len < (uint64_t)EXT_MAX_RUN / bs + 1 && run.len * bs - within < len)
		len = (size_t)(run.len * bs - within);
	if (len > EXT_MAX_RUN)
		len = EXT_MAX_RUN;
	*ret_n = len;
	if (run.hole) {
		memset(buf, 0, len);
		return 0;
	}
	rc = blk_pread(x->blk, buf, len, run.phys * bs + within, e);
	return rc ? err_wrap(e, rc, "inode %" PRIu32, i->ino) : 0;
}

int ext_read_data(struct ext_fs *x, const struct ext_inode *i, void *buf, size_t len, uint64_t off,
		  size_t *ret_n, struct err *e)
{
	size_t done = 0, n;
	int rc;

	if (off >= i->size)
		len = 0;
	else if (len > i->size - off)
		len = (size_t)(i->size - off);
	if (i->flags & FL_INLINE) {
		rc = len ? read_inline(x, i, buf, len, off, e) : 0;
		if (rc)
			return rc;
		done = len;
	}
	for (; done < len; done += n) {
		rc = read_run(x, i, (uint8_t *)buf + done, len - done, off + done, &n, e);
		if (rc)
			return rc;
	}
	*ret_n = len;
	return 0;
}
