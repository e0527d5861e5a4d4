/* SPDX-License-Identifier: MIT */
/* The superblock of XFS and its copies, after "XFS Algorithms & Data Structures" (the on-disk format
 * document). Pure: bytes in, struct out, so that nothing later meets counts that cannot be. A superblock
 * whose magic is gone is taken for ours only where the rest of the first group's headers is whole and a copy
 * at the place that they demand has the same UUID: ciphertext, or another format, over an old file system
 * must not be mistaken for a damaged one. */
#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include "format/xfs_priv.h"

enum {
	MIN_BLOCK_LOG = 9,
	MAX_BLOCK_LOG = 16,
	MIN_SECTOR_LOG = 9,
	MAX_SECTOR_LOG = 15,
	MIN_INODE_LOG = 8,
	MAX_INODE_LOG = 11,
	MIN_AG_BLOCKS = 64,
	V4_FTYPE = 0x200,
	CSUM_AT = 224,
	MD_MAGIC = (int)0xa92b4efc,
};

struct xfs_super_disk {
	uint8_t magic[4];
	be32 block_size;
	be64 blocks, rt_blocks, rt_extents;
	uint8_t uuid[16];
	be64 log_start, root_ino, rt_bitmap_ino, rt_summary_ino;
	be32 rt_extent_size, ag_blocks, ag_count, rt_bitmap_blocks, log_blocks;
	be16 version, sector_size, inode_size, inodes_per_block;
	char label[12];
	uint8_t block_log, sector_log, inode_log, inode_per_block_log, ag_log, rt_extent_log, in_progress,
	    max_pct;
	be64 inodes, free_inodes, free_blocks, free_rt_extents, user_quota_ino, group_quota_ino;
	be16 quota_flags;
	uint8_t flags, shared;
	be32 inode_align, unit, width;
	uint8_t dir_log, log_sector_log;
	be16 log_sector_size;
	be32 log_unit, features2, bad_features2, compat, ro_compat, incompat, log_incompat;
	le32 csum;
	be32 sparse_align;
	be64 project_quota_ino, lsn;
	uint8_t meta_uuid[16];
};
static_assert(sizeof(struct xfs_super_disk) == 264, "XFS superblock");
static_assert(offsetof(struct xfs_super_disk, version) == 100, "XFS superblock");
static_assert(offsetof(struct xfs_super_disk, free_blocks) == 144, "XFS superblock");
static_assert(offsetof(struct xfs_super_disk, features2) == 200, "XFS superblock");
static_assert(offsetof(struct xfs_super_disk, csum) == CSUM_AT, "XFS superblock");
static_assert(offsetof(struct xfs_super_disk, meta_uuid) == 248, "XFS superblock");

/* The head of AGF and AGI: what a group says of itself. */
struct ag_head_disk {
	uint8_t magic[4];
	be32 version, no, length;
};
static_assert(sizeof(struct ag_head_disk) == 16, "XFS group header");
enum { AGF_UUID = 64, AGF_CSUM = 216, AGI_UUID = 296, AGI_CSUM = 312 };

/* table[k][i]: of the byte i and k zero bytes after it */
static uint32_t crc_table[8][256];

static void crc_prepare(void)
{
	static atomic_bool ready;

	if (ready)
		return;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (unsigned k = 0; k < 64; k++) {
			c = c >> 1 ^ (c & 1 ? 0x82f63b78 : 0);
			if (k % 8 == 7)
				crc_table[k / 8][i] = c;
		}
	}
	ready = true;
}

uint32_t xfs_crc32c(uint32_t crc, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	crc_prepare();
	for (; len >= 8; len -= 8, p += 8) {
		crc ^= p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		crc = crc_table[7][crc & 0xff] ^ crc_table[6][crc >> 8 & 0xff] ^
		      crc_table[5][crc >> 16 & 0xff] ^ crc_table[4][crc >> 24] ^ crc_table[3][p[4]] ^
		      crc_table[2][p[5]] ^ crc_table[1][p[6]] ^ crc_table[0][p[7]];
	}
	for (; len; len--, p++)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 0xff];
	return crc;
}

bool xfs_csum_ok(const void *buf, size_t len, size_t at)
{
	static const uint8_t zero[4];
	const uint8_t *p = buf;
	uint32_t crc = xfs_crc32c(~(uint32_t)0, p, at);
	le32 stored;

	memcpy(&stored, p + at, sizeof(stored));
	crc = xfs_crc32c(crc, zero, sizeof(zero));
	return ~xfs_crc32c(crc, p + at + 4, len - at - 4) == le32_get(stored);
}

static void fill(struct xfs_info *x, const struct xfs_super_disk *d)
{
	x->version = be16_get(d->version) & 0xf;
	x->features = be16_get(d->version) & 0xfff0;
	x->features2 = be32_get(d->features2) | (x->version == 4 ? be32_get(d->bad_features2) : 0);
	x->block_size = be32_get(d->block_size);
	x->sector_size = be16_get(d->sector_size);
	x->inode_size = be16_get(d->inode_size);
	x->blocks = be64_get(d->blocks);
	x->free_blocks = be64_get(d->free_blocks);
	x->ag_blocks = be32_get(d->ag_blocks);
	x->ag_count = be32_get(d->ag_count);
	x->ag_log = d->ag_log;
	x->inode_log = d->inode_per_block_log;
	x->root_ino = be64_get(d->root_ino);
	x->log_start = be64_get(d->log_start);
	x->log_blocks = be32_get(d->log_blocks);
	x->rt_blocks = be64_get(d->rt_blocks);
	if (x->version == 5) {
		x->compat = be32_get(d->compat);
		x->ro_compat = be32_get(d->ro_compat);
		x->incompat = be32_get(d->incompat);
		x->log_incompat = be32_get(d->log_incompat);
	}
	x->ftype = x->version == 5 ? x->incompat & XFS_INCOMPAT_FTYPE : x->features2 & V4_FTYPE;
	x->in_progress = d->in_progress;
	memcpy(x->uuid, d->uuid, sizeof(x->uuid));
	memcpy(x->meta_uuid, x->incompat & XFS_INCOMPAT_META_UUID ? d->meta_uuid : d->uuid,
	       sizeof(x->meta_uuid));
	memcpy(x->label, d->label, sizeof(d->label));
}

static bool is_log2(uint32_t size, unsigned log, unsigned min, unsigned max)
{
	return log >= min && log <= max && size == (uint32_t)1 << log;
}

/* Block, sector, inode and directory block sizes: all that must hold before anything is divided by them. */
static int check_sizes(struct xfs_info *x, const struct xfs_super_disk *d, struct err *e)
{
	if (x->version != 4 && x->version != 5)
		return err_set(e, -EBADMSG, "XFS superblock: version %u", x->version);
	if (!is_log2(x->block_size, d->block_log, MIN_BLOCK_LOG, MAX_BLOCK_LOG))
		return err_set(e, -EBADMSG, "XFS superblock: block size of %" PRIu32 " bytes, 2^%u",
			       x->block_size, d->block_log);
	/* the oldest file systems leave the sector's size out */
	if (!x->sector_size && !d->sector_log)
		x->sector_size = 512;
	else if (!is_log2(x->sector_size, d->sector_log, MIN_SECTOR_LOG, MAX_SECTOR_LOG))
		return err_set(e, -EBADMSG, "XFS superblock: sector size of %" PRIu32 " bytes, 2^%u",
			       x->sector_size, d->sector_log);
	if (!is_log2(x->inode_size, d->inode_log, MIN_INODE_LOG, MAX_INODE_LOG) ||
	    x->inode_size > x->block_size)
		return err_set(e, -EBADMSG, "XFS superblock: inode size of %" PRIu32 " bytes, 2^%u",
			       x->inode_size, d->inode_log);
	if (x->inode_log != d->block_log - d->inode_log ||
	    be16_get(d->inodes_per_block) != x->block_size / x->inode_size)
		return err_set(e, -EBADMSG, "XFS superblock: %u inodes a block, 2^%u",
			       be16_get(d->inodes_per_block), x->inode_log);
	if (d->dir_log + d->block_log > MAX_BLOCK_LOG)
		return err_set(e, -EBADMSG, "XFS superblock: directory blocks of 2^%u bytes",
			       d->dir_log + d->block_log);
	x->dir_block_size = x->block_size << d->dir_log;
	return 0;
}

static unsigned log2_up(uint32_t n)
{
	unsigned log = 0;

	while (log < 32 && (uint64_t)1 << log < n)
		log++;
	return log;
}

static int check_groups(struct xfs_info *x, struct err *e)
{
	uint64_t bytes;

	if (x->ag_blocks < MIN_AG_BLOCKS || x->ag_log != log2_up(x->ag_blocks))
		return err_set(e, -EBADMSG, "XFS superblock: groups of %" PRIu32 " blocks, 2^%u",
			       x->ag_blocks, x->ag_log);
	if (mul_overflows(x->blocks, x->block_size, &bytes) || bytes > INT64_MAX)
		return err_set(e, -EBADMSG, "XFS superblock: %" PRIu64 " blocks", x->blocks);
	if (!x->ag_count || x->blocks > (uint64_t)x->ag_count * x->ag_blocks ||
	    x->blocks <= ((uint64_t)x->ag_count - 1) * x->ag_blocks)
		return err_set(e, -EBADMSG,
			       "XFS superblock: %" PRIu64 " blocks in %" PRIu32 " groups of %" PRIu32,
			       x->blocks, x->ag_count, x->ag_blocks);
	return 0;
}

static void note_damage(struct xfs_info *x, uint64_t size)
{
	uint64_t bytes = x->blocks * x->block_size;

	x->truncated = bytes > size;
	if (x->csum_bad)
		err_set(&x->damage, 0, "the superblock's checksum is wrong");
	else if (x->truncated)
		err_set(&x->damage, 0, "the file system is %" PRIu64 " bytes long, the device only %" PRIu64,
			bytes, size);
	else if (x->in_progress && !x->off)
		err_set(&x->damage, 0, "the file system was never finished being made");
	else if (x->incompat & XFS_INCOMPAT_NEEDSREPAIR)
		err_set(&x->damage, 0, "it is marked as in need of xfs_repair");
	else if (x->free_blocks > x->blocks)
		err_set(&x->damage, 0, "the superblock counts %" PRIu64 " free blocks of %" PRIu64,
			x->free_blocks, x->blocks);
}

static int check_csum(struct blk *blk, struct xfs_info *x, struct err *e)
{
	cleanup_free uint8_t *sector = NULL;
	int rc;

	if (x->version != 5)
		return 0;
	if (!range_in(x->off, x->sector_size, blk->size)) {
		x->csum_bad = true;
		return 0;
	}
	sector = malloc(x->sector_size);
	if (!sector)
		return err_oom(e);
	rc = blk_pread(blk, sector, x->sector_size, x->off, e);
	if (!rc)
		x->csum_bad = !xfs_csum_ok(sector, x->sector_size, CSUM_AT);
	return rc;
}

/* magic: whether it must be there. *ret is filled as far as it goes on -EBADMSG too. */
static int read_super(struct blk *blk, uint64_t off, bool magic, struct xfs_info *ret, struct err *e)
{
	struct xfs_info x = { .off = off };
	struct xfs_super_disk d;
	int rc;

	if (!range_in(off, XFS_SUPER_SIZE, blk->size))
		return err_set(e, -ENOENT, "no XFS superblock: the device ends before it");
	rc = blk_pread(blk, &d, sizeof(d), off, e);
	if (rc)
		return rc;
	if (magic && memcmp(d.magic, "XFSB", 4) != 0)
		return err_set(e, -ENOENT, "no XFS superblock at byte %" PRIu64, off);

	fill(&x, &d);
	rc = check_sizes(&x, &d, e);
	if (!rc)
		rc = check_groups(&x, e);
	if (!rc)
		rc = check_csum(blk, &x, e);
	if (!rc)
		note_damage(&x, blk->size);
	if (!rc || rc == -EBADMSG)
		*ret = x;
	return rc;
}

/* ---- copies ---- */

/* A copy that tells of itself what its place demands. like: its UUID must be this one; NULL: any. */
static bool is_copy_at(struct blk *blk, uint64_t off, const uint8_t *like, struct xfs_info *ret)
{
	struct xfs_info x;
	uint64_t step;

	if (read_super(blk, off, true, &x, NULL) || x.csum_bad)
		return false;
	step = (uint64_t)x.ag_blocks * x.block_size;
	if (!off || off % step || off / step >= x.ag_count)
		return false;
	if (like && memcmp(x.uuid, like, sizeof(x.uuid)) != 0)
		return false;
	*ret = x;
	return true;
}

/* The length of the first group by its free-space header, which follows the superblock by a sector; 0: there
 * is none. */
static uint32_t agf_length(struct blk *blk, uint32_t sector)
{
	struct ag_head_disk h;

	if (!range_in(sector, sizeof(h), blk->size) || blk_pread(blk, &h, sizeof(h), sector, NULL))
		return 0;
	return !memcmp(h.magic, "XAGF", 4) && be32_get(h.version) == 1 && !be32_get(h.no) ? be32_get(h.length)
											  : 0;
}

static bool find_by_agf(struct blk *blk, const uint8_t *like, struct xfs_info *ret)
{
	for (unsigned s = MIN_SECTOR_LOG; s <= MAX_SECTOR_LOG; s++) {
		uint64_t length = agf_length(blk, (uint32_t)1 << s);

		for (unsigned b = MIN_BLOCK_LOG; length && b <= MAX_BLOCK_LOG; b++)
			for (unsigned ag = 1; ag <= 2; ag++)
				if (is_copy_at(blk, (length << b) * ag, like, ret))
					return true;
	}
	return false;
}

/* Where mkfs.xfs puts the second group by default: a quarter, an eighth, ... of the device, or the largest
 * group there can be. */
static bool find_by_default(struct blk *blk, const uint8_t *like, struct xfs_info *ret)
{
	static const unsigned counts[] = { 4, 2, 8, 16, 32 };

	for (unsigned b = MIN_BLOCK_LOG; b <= MAX_BLOCK_LOG; b++) {
		uint64_t blocks = blk->size >> b;

		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
			if (is_copy_at(blk, ((blocks + counts[i] - 1) / counts[i]) << b, like, ret))
				return true;
		if (is_copy_at(blk, ((((uint64_t)1 << 40) - 1) >> b) << b, like, ret))
			return true;
	}
	return false;
}

/* The copies where x says that they are: three of them, and the last. */
static bool find_by_own(struct blk *blk, const struct xfs_info *x, const uint8_t *like, struct xfs_info *ret)
{
	const uint32_t ags[] = { 1, 2, 3, x->ag_count - 1 };
	uint64_t step, off;

	if (mul_overflows(x->ag_blocks, x->block_size, &step))
		return false;
	for (size_t i = 0; i < sizeof(ags) / sizeof(ags[0]); i++)
		if (!mul_overflows(step, ags[i], &off) && is_copy_at(blk, off, like, ret))
			return true;
	return false;
}

static bool find_copy(struct blk *blk, const struct xfs_info *x, const uint8_t *like, struct xfs_info *ret)
{
	return find_by_own(blk, x, like, ret) || find_by_agf(blk, like, ret) ||
	       find_by_default(blk, like, ret);
}

/* mkfs.xfs writes the root inode's number into the last copy and the one in the middle only. */
static void fill_root_ino(struct blk *blk, struct xfs_info *x, uint64_t primary)
{
	const uint32_t ags[] = { x->ag_count - 1, (x->ag_count - 1) / 2 };
	struct xfs_info other;

	for (size_t i = 0; i < sizeof(ags) / sizeof(ags[0]) && x->root_ino == UINT64_MAX; i++)
		if (is_copy_at(blk, xfs_super_off(x, ags[i]), x->uuid, &other))
			x->root_ino = other.root_ino;
	if (x->root_ino == UINT64_MAX)
		x->root_ino = primary;
}

static void take_copy(struct blk *blk, struct xfs_info *ret, const struct xfs_info *copy, uint64_t root_ino,
		      const char *why)
{
	*ret = *copy;
	ret->from_copy = true;
	fill_root_ino(blk, ret, root_ino);
	err_set(&ret->damage, 0,
		"the primary superblock is damaged (%s); its copy at byte %" PRIu64 " was used", why,
		copy->off);
}

/* Do a primary and a copy say the same, but for what only the primary keeps up to date? */
static bool agree(const struct xfs_info *a, const struct xfs_info *b)
{
	return a->version == b->version && a->block_size == b->block_size &&
	       a->sector_size == b->sector_size && a->inode_size == b->inode_size &&
	       a->dir_block_size == b->dir_block_size && a->blocks == b->blocks &&
	       a->ag_blocks == b->ag_blocks && a->ag_count == b->ag_count && a->log_start == b->log_start &&
	       a->log_blocks == b->log_blocks &&
	       !((a->incompat ^ b->incompat) & ~(uint32_t)XFS_INCOMPAT_NEEDSREPAIR) &&
	       (a->root_ino == b->root_ino || b->root_ino == UINT64_MAX) &&
	       !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) &&
	       !memcmp(a->meta_uuid, b->meta_uuid, sizeof(a->meta_uuid));
}

static bool group_header_ok(struct blk *blk, const struct xfs_info *x, unsigned sector, const char *magic,
			    size_t uuid_at, size_t csum_at)
{
	cleanup_free uint8_t *buf = NULL;
	uint64_t off = (uint64_t)sector * x->sector_size;
	struct ag_head_disk h;

	if (!range_in(off, x->sector_size, blk->size))
		return false;
	buf = malloc(x->sector_size);
	if (!buf || blk_pread(blk, buf, x->sector_size, off, NULL))
		return false;
	memcpy(&h, buf, sizeof(h));
	if (memcmp(h.magic, magic, 4) != 0 || be32_get(h.version) != 1 || be32_get(h.no) ||
	    be32_get(h.length) != x->ag_blocks)
		return false;
	if (x->version != 5)
		return true;
	return xfs_csum_ok(buf, x->sector_size, csum_at) &&
	       !memcmp(buf + uuid_at, x->meta_uuid, sizeof(x->meta_uuid));
}

/* The first sector is empty, or a superblock but for its magic; and no software RAID begins at 4096. */
static bool lost_magic_only(struct blk *blk, const struct xfs_info *copy)
{
	uint8_t sector[XFS_SUPER_SIZE];
	struct xfs_info x;
	le32 md;

	if (blk_pread(blk, &md, sizeof(md), 4096, NULL) || le32_get(md) == (uint32_t)MD_MAGIC)
		return false;
	if (blk_pread(blk, sector, sizeof(sector), 0, NULL))
		return false;
	if (bytes_all_zero(sector, sizeof(sector)))
		return true;
	return !read_super(blk, 0, false, &x, NULL) && agree(&x, copy);
}

static bool find_without_magic(struct blk *blk, struct xfs_info *ret)
{
	return find_by_agf(blk, NULL, ret) && lost_magic_only(blk, ret) &&
	       group_header_ok(blk, ret, 1, "XAGF", AGF_UUID, AGF_CSUM) &&
	       group_header_ok(blk, ret, 2, "XAGI", AGI_UUID, AGI_CSUM);
}

static void take_unusable(struct xfs_info *ret, const struct xfs_info *primary, const char *why)
{
	*ret = *primary;
	ret->unusable = true;
	err_set(&ret->damage, 0, "the superblock is damaged and no copy of it was found (%s)", why);
}

int xfs_read_super(struct blk *blk, uint64_t off, struct xfs_info *ret, struct err *e)
{
	struct xfs_info x;
	int rc = read_super(blk, off, true, &x, e);

	if (!rc)
		*ret = x;
	return rc;
}

int xfs_check_copy(struct blk *blk, const struct xfs_info *x, uint32_t ag, struct err *e)
{
	struct xfs_info copy;
	uint64_t off = xfs_super_off(x, ag);
	int rc = ag < x->ag_count ? read_super(blk, off, true, &copy, e)
				  : err_set(e, -ENOENT, "there is no group %" PRIu32, ag);

	if (rc == -EBADMSG)
		return -ENOENT;
	if (rc)
		return rc;
	if (memcmp(copy.uuid, x->uuid, sizeof(copy.uuid)) != 0)
		return err_set(e, -ENOENT, "the superblock at byte %" PRIu64 " has another UUID", off);
	return copy.csum_bad
		   ? err_set(e, -ENOENT, "the superblock at byte %" PRIu64 " has a wrong checksum", off)
		   : 0;
}

/* 1 found, 0 not XFS, <0 I/O. */
static int find(struct blk *blk, struct xfs_info *ret, struct err *e)
{
	struct xfs_info x, copy;
	struct err why = { "" };
	int rc = read_super(blk, 0, true, &x, &why);

	if (!rc && !x.csum_bad) {
		*ret = x;
		return 1;
	}
	if (rc == -ENOENT && find_without_magic(blk, &copy)) {
		take_copy(blk, ret, &copy, UINT64_MAX, "its magic is gone");
		return 1;
	}
	if (rc && rc != -EBADMSG)
		return rc == -ENOENT ? 0 : err_set(e, rc, "%s", why.msg);
	if (!rc)
		err_set(&why, 0, "its checksum is wrong");
	if (!find_copy(blk, &x, x.uuid, &copy) && !find_copy(blk, &x, NULL, &copy)) {
		take_unusable(ret, &x, why.msg);
	} else if (!rc && agree(&x, &copy)) {
		*ret = x;
		err_set(&ret->damage, 0,
			"the superblock's checksum is wrong; its copy at byte %" PRIu64 " says the same",
			copy.off);
	} else {
		take_copy(blk, ret, &copy, x.root_ino, why.msg);
	}
	return 1;
}

int xfs_find_super(struct blk *blk, struct xfs_info *ret, struct err *e)
{
	struct xfs_info x;
	int rc = find(blk, &x, e);

	if (rc <= 0)
		return rc;
	xfs_look_at_log(blk, &x);
	*ret = x;
	return 1;
}
