/* SPDX-License-Identifier: MIT */
/* Where the content of an XFS inode lies ("XFS Algorithms & Data Structures", chapter "Data extents"): lists
 * of extents in the inode, or B+trees. Every step goes one level down, so that a tree that points at itself
 * ends; every extent lies in its group or is refused. Content is read in long runs straight into the caller's
 * buffer. */
#include <assert.h>
#include <inttypes.h>
#include "format/xfs_priv.h"

enum { RECORD = 16, KEY = 8, ROOT_HEAD = 4, HEAD = 24, HEAD_V5 = 72, OFF_BITS = 54, COUNT_MASK = 0x1fffff };

struct map_head_disk {
	uint8_t magic[4];
	be16 level, n;
	be64 left, right;
};
struct map_root_disk {
	be16 level, n;
};
static_assert(sizeof(struct map_head_disk) == HEAD, "XFS block map");
static_assert(sizeof(struct map_root_disk) == ROOT_HEAD, "XFS block map");

const struct xfs_self xfs_self_dir = { .csum = 4, .blkno = 8, .uuid = 24, .owner = 40 };
const struct xfs_self xfs_self_da = { .csum = 12, .blkno = 16, .uuid = 32, .owner = 48 };
const struct xfs_self xfs_self_map = { .blkno = 24, .uuid = 40, .owner = 56, .csum = 64 };
const struct xfs_self xfs_self_remote = { .csum = 12, .uuid = 16, .owner = 32, .blkno = 40 };

const char *xfs_self_wrong(const struct xfs_fs *x, const struct xfs_self *s, const uint8_t *p, size_t len,
			   uint64_t owner, uint64_t at)
{
	be64 own, no;

	if (!xfs_is_v5(x))
		return "";
	memcpy(&own, p + s->owner, sizeof(own));
	memcpy(&no, p + s->blkno, sizeof(no));
	if (!xfs_csum_ok(p, len, s->csum))
		return x->fs.stale ? "has a wrong checksum, maybe as the log was not replayed"
				   : "has a wrong checksum";
	if (memcmp(p + s->uuid, x->info.meta_uuid, sizeof(x->info.meta_uuid)) != 0)
		return "is of another file system";
	if (be64_get(own) != owner)
		return "is of another inode";
	return be64_get(no) == at / 512 ? "" : "belongs to another place";
}

static uint64_t get64(const uint8_t *p)
{
	be64 v;

	memcpy(&v, p, sizeof(v));
	return be64_get(v);
}

/* n blocks from a block's number on, as a byte of the device; false where they leave their group. */
static bool place(const struct xfs_info *x, uint64_t fsb, uint64_t n, uint64_t *ret)
{
	uint64_t ag = fsb >> x->ag_log, in_ag = fsb & (((uint64_t)1 << x->ag_log) - 1), block;

	if (ag >= x->ag_count || !in_ag || !range_in(in_ag, n, x->ag_blocks))
		return false;
	block = ag * x->ag_blocks + in_ag;
	*ret = block * x->block_size;
	return range_in(block, n, x->blocks);
}

static size_t head_size(const struct xfs_fs *x)
{
	return xfs_is_v5(x) ? HEAD_V5 : HEAD;
}

/* A block of a tree, kept until another one of the same level is asked for. Its checksum is looked at once,
 * the rest each time. */
static int read_node(struct xfs_fs *x, const struct xfs_inode *i, unsigned level, uint64_t fsb,
		     const uint8_t **ret, unsigned *ret_n, struct err *e)
{
	uint32_t bs = x->info.block_size;
	struct map_head_disk h;
	const char *why = "";
	uint64_t at;
	uint8_t *buf;
	int rc;

	if (!place(&x->info, fsb, 1, &at))
		return err_set(e, -EBADMSG,
			       "inode %" PRIu64 ": its block map leads to block %" PRIu64
			       ", which there is not",
			       i->ino, fsb);
	if (!x->nodes[level].buf)
		x->nodes[level].buf = malloc(bs);
	buf = x->nodes[level].buf;
	if (!buf)
		return err_oom(e);
	if (x->nodes[level].block != fsb) {
		x->nodes[level].block = 0;
		rc = blk_pread(x->blk, buf, bs, at, e);
		if (rc)
			return err_wrap(e, rc, "inode %" PRIu64, i->ino);
		why = xfs_self_wrong(x, &xfs_self_map, buf, bs, i->ino, at);
	} else if (xfs_is_v5(x) && get64(buf + xfs_self_map.owner) != i->ino) {
		why = "is of another inode";
	}
	if (*why)
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": block %" PRIu64 " of its block map %s",
			       i->ino, fsb, why);
	memcpy(&h, buf, sizeof(h));
	*ret_n = be16_get(h.n);
	if (memcmp(h.magic, xfs_is_v5(x) ? "BMA3" : "BMAP", 4) != 0 || be16_get(h.level) != level ||
	    !*ret_n || *ret_n > (bs - head_size(x)) / RECORD)
		return err_set(e, -EBADMSG,
			       "inode %" PRIu64 ": block %" PRIu64 " of its block map is damaged", i->ino,
			       fsb);
	x->nodes[level].block = fsb;
	*ret = buf;
	return 0;
}

/* Of n entries of `step` bytes the last one that begins at or before lblk (-1: none), and where the next one
 * begins. In a record the first bit is a flag, and nine bits of the place follow. */
static int find_entry(const uint8_t *p, unsigned n, size_t step, uint64_t lblk, uint64_t *end)
{
	unsigned lo = 0, hi = n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		uint64_t first = get64(p + (size_t)mid * step);

		if (step == RECORD)
			first = first << 1 >> 10;
		if (first <= lblk) {
			lo = mid + 1;
		} else {
			hi = mid;
			if (first < *end)
				*end = first;
		}
	}
	return (int)lo - 1;
}

static int map_leaf(struct xfs_fs *x, const struct xfs_inode *i, const uint8_t *recs, unsigned n,
		    uint64_t lblk, uint64_t end, struct xfs_run *ret, struct err *e)
{
	uint64_t hi, lo, first, len, at = 0;
	int k = find_entry(recs, n, RECORD, lblk, &end);

	*ret = (struct xfs_run){ .len = end > lblk ? end - lblk : 1, .hole = true };
	if (k < 0)
		return 0;
	hi = get64(recs + (size_t)k * RECORD);
	lo = get64(recs + (size_t)k * RECORD + 8);
	first = hi << 1 >> 10;
	len = lo & COUNT_MASK;
	if (!len || !place(&x->info, (hi & 0x1ff) << 43 | lo >> 21, len, &at))
		return err_set(e, -EBADMSG,
			       "inode %" PRIu64 ": an extent of %" PRIu64 " blocks at block %" PRIu64
			       " leaves its group",
			       i->ino, len, (hi & 0x1ff) << 43 | lo >> 21);
	if (lblk - first >= len)
		return 0;
	/* allocated and never written: reads as zero */
	ret->hole = hi >> 63;
	ret->at = at + (lblk - first) * x->info.block_size;
	if (first + len - lblk < ret->len)
		ret->len = first + len - lblk;
	return 0;
}

static int map_tree(struct xfs_fs *x, const struct xfs_inode *i, const struct xfs_fork *f, uint64_t lblk,
		    struct xfs_run *ret, struct err *e)
{
	uint64_t end = (uint64_t)1 << OFF_BITS;
	const uint8_t *keys, *pointers, *node = NULL;
	struct map_root_disk root;
	unsigned level, n, max = (unsigned)((f->size - ROOT_HEAD) / RECORD);
	int at, rc;

	memcpy(&root, f->p, sizeof(root));
	level = be16_get(root.level);
	n = be16_get(root.n);
	if (!level || level > XFS_LEVELS || !n || n > max)
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": the root of its block map is damaged",
			       i->ino);
	keys = f->p + ROOT_HEAD;
	for (;;) {
		pointers = keys + (size_t)max * KEY;
		at = find_entry(keys, n, KEY, lblk, &end);
		if (at < 0)
			return map_leaf(x, i, NULL, 0, lblk, end, ret, e);
		rc = read_node(x, i, --level, get64(pointers + (size_t)at * KEY), &node, &n, e);
		if (rc)
			return rc;
		keys = node + head_size(x);
		max = (unsigned)((x->info.block_size - head_size(x)) / RECORD);
		if (!level)
			return map_leaf(x, i, keys, n, lblk, end, ret, e);
	}
}

int xfs_map(struct xfs_fs *x, const struct xfs_inode *i, const struct xfs_fork *f, uint64_t lblk,
	    struct xfs_run *ret, struct err *e)
{
	if (lblk >> OFF_BITS)
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": block %" PRIu64 " of a file cannot be",
			       i->ino, lblk);
	if (f->size && f->form == XFS_FORM_EXTENTS)
		return map_leaf(x, i, f->p, (unsigned)f->extents, lblk, (uint64_t)1 << OFF_BITS, ret, e);
	if (f->size && f->form == XFS_FORM_BTREE)
		return map_tree(x, i, f, lblk, ret, e);
	return err_set(e, -EBADMSG, "inode %" PRIu64 ": it has no block map", i->ino);
}

/* As xfs_map, but extents that lie one after the other on the device are one run, until it has `want` blocks.
 */
static int map_long(struct xfs_fs *x, const struct xfs_inode *i, const struct xfs_fork *f, uint64_t lblk,
		    uint64_t want, struct xfs_run *ret, struct err *e)
{
	int rc = xfs_map(x, i, f, lblk, ret, e);
	struct xfs_run next = { 0 };

	while (!rc && ret->len < want && !((lblk + ret->len) >> OFF_BITS)) {
		/* what is wrong further on is told when it is read */
		if (xfs_map(x, i, f, lblk + ret->len, &next, NULL) || next.hole != ret->hole)
			break;
		if (!ret->hole && next.at != ret->at + ret->len * x->info.block_size)
			break;
		ret->len += next.len;
	}
	return rc;
}

/* One run of at most XFS_MAX_RUN bytes; how many. */
static int read_run(struct xfs_fs *x, const struct xfs_inode *i, const struct xfs_fork *f, uint8_t *buf,
		    size_t len, uint64_t off, size_t *ret_n, struct err *e)
{
	uint32_t bs = x->info.block_size, within = (uint32_t)(off % bs);
	struct xfs_run run = { 0 };
	int rc;

	if (len > XFS_MAX_RUN)
		len = XFS_MAX_RUN;
	rc = map_long(x, i, f, off / bs, ((uint64_t)len + within + bs - 1) / bs, &run, e);
	if (rc)
		return rc;
	if (run.len <= XFS_MAX_RUN / bs && run.len * bs - within < len)
		len = (size_t)(run.len * bs - within);
	*ret_n = len;
	if (run.hole) {
		memset(buf, 0, len);
		return 0;
	}
	rc = blk_pread(x->blk, buf, len, run.at + within, e);
	return rc ? err_wrap(e, rc, "inode %" PRIu64, i->ino) : 0;
}

int xfs_read_fork(struct xfs_fs *x, const struct xfs_inode *i, const struct xfs_fork *f, void *buf,
		  size_t len, uint64_t off, struct err *e)
{
	size_t n = 0;
	int rc;

	for (size_t done = 0; done < len; done += n) {
		rc = read_run(x, i, f, (uint8_t *)buf + done, len - done, off + done, &n, e);
		if (rc)
			return rc;
	}
	return 0;
}

int xfs_read_data(struct xfs_fs *x, const struct xfs_inode *i, void *buf, size_t len, uint64_t off,
		  size_t *ret_n, struct err *e)
{
	int rc = 0;

	if (i->realtime)
		return err_set(e, -EOPNOTSUPP, "its content is on the realtime device of the file system");
	if (off >= i->size)
		len = 0;
	else if (len > i->size - off)
		len = (size_t)(i->size - off);
	rc = xfs_read_fork(x, i, &i->data, buf, len, off, e);
	if (!rc)
		*ret_n = len;
	return rc;
}
