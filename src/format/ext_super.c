/* SPDX-License-Identifier: MIT */
/* The superblock of ext2, ext3 and ext4 and its copies, after the kernel's
 * Documentation/filesystems/ext4/super.rst. Pure: bytes in, struct out, no library, so that nothing later
 * meets counts that cannot be. A superblock whose magic is gone is taken for ours only where a copy at the
 * place that its own geometry demands has the same UUID: ciphertext over an old file system must not be
 * mistaken for a damaged one. */
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include "base/bytes.h"
#include "format/ext.h"

enum {
	MAGIC = 0xef53,
	MAX_LOG_BLOCK = 6,
	MAX_LOG_CLUSTER = 29,
	OLD_INODE_SIZE = 128,
	OLD_FIRST_INO = 11,
	OLD_DESC_SIZE = 32
};

struct ext_super_disk {
	le32 inodes, blocks_lo, reserved_lo, free_blocks_lo, free_inodes, first_data_block, log_block_size,
	    log_cluster_size;
	le32 blocks_per_group, clusters_per_group, inodes_per_group, mtime, wtime;
	le16 mounts, max_mounts, magic, state, errors, minor_rev;
	le32 lastcheck, checkinterval, creator_os, rev;
	le16 resuid, resgid;
	le32 first_ino;
	le16 inode_size, group_nr;
	le32 compat, incompat, ro_compat;
	uint8_t uuid[16];
	char label[16], last_mounted[64];
	le32 algorithms;
	uint8_t prealloc[2];
	le16 reserved_gdt;
	uint8_t journal_uuid[16];
	le32 journal_ino, journal_dev, last_orphan, hash_seed[4];
	uint8_t hash_version, journal_backup;
	le16 desc_size;
	le32 mount_opts, first_meta_bg, mkfs_time, journal_blocks[17];
	le32 blocks_hi, reserved_hi, free_blocks_hi;
	le16 extra_isize[2];
	le32 flags;
	le16 raid_stride, mmp_interval;
	le64 mmp_block;
	le32 raid_width;
	uint8_t log_flex, csum_type, encryption_level, pad;
	le64 written;
	le32 snapshot[2];
	le64 snapshot_reserved;
	le32 snapshot_list, error_count;
	uint8_t errors_told[0xb4];
	le32 backup_groups[2];
	uint8_t encryption[20];
	le32 lost_found, project_quota, csum_seed;
	uint8_t wtime_hi, mtime_hi, mkfs_time_hi, lastcheck_hi, error_times_hi[4];
	le32 encoding, orphan_file, unused[94], csum;
};
static_assert(sizeof(struct ext_super_disk) == EXT_SUPER_SIZE, "ext superblock");
static_assert(offsetof(struct ext_super_disk, magic) == 0x38, "ext superblock");
static_assert(offsetof(struct ext_super_disk, uuid) == 0x68, "ext superblock");
static_assert(offsetof(struct ext_super_disk, blocks_hi) == 0x150, "ext superblock");
static_assert(offsetof(struct ext_super_disk, error_count) == 0x194, "ext superblock");
static_assert(offsetof(struct ext_super_disk, backup_groups) == 0x24c, "ext superblock");
static_assert(offsetof(struct ext_super_disk, wtime_hi) == 0x274, "ext superblock");

static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static bool is_power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

static bool is_power_of(uint32_t n, uint32_t base)
{
	uint64_t p = base;

	while (p < n)
		p *= base;
	return p == n;
}

static int64_t time_get(le32 lo, uint8_t hi)
{
	return (int64_t)((uint64_t)hi << 32 | le32_get(lo));
}

static void fill_names(struct ext_info *x, const struct ext_super_disk *d)
{
	memcpy(x->uuid, d->uuid, sizeof(x->uuid));
	memcpy(x->journal_uuid, d->journal_uuid, sizeof(x->journal_uuid));
	memcpy(x->label, d->label, sizeof(d->label));
	x->label[sizeof(d->label)] = '\0';
	x->last_mount = time_get(d->mtime, d->mtime_hi);
	x->last_write = time_get(d->wtime, d->wtime_hi);
	x->last_check = time_get(d->lastcheck, d->lastcheck_hi);
	x->made = time_get(d->mkfs_time, d->mkfs_time_hi);
	x->state = le16_get(d->state);
	x->errors = le16_get(d->errors);
	x->journal_ino = le32_get(d->journal_ino);
	x->journal_dev = le32_get(d->journal_dev);
	x->last_orphan = le32_get(d->last_orphan);
	x->error_count = le32_get(d->error_count);
	x->flags = le32_get(d->flags);
	x->creator_os = le32_get(d->creator_os);
}

static void fill_counts(struct ext_info *x, const struct ext_super_disk *d)
{
	bool wide;

	x->rev = le32_get(d->rev);
	x->group_nr = le16_get(d->group_nr);
	x->compat = x->rev ? le32_get(d->compat) : 0;
	x->incompat = x->rev ? le32_get(d->incompat) : 0;
	x->ro_compat = x->rev ? le32_get(d->ro_compat) : 0;
	wide = x->incompat & EXT_INCOMPAT_64BIT;
	x->blocks = le32_get(d->blocks_lo) | (wide ? (uint64_t)le32_get(d->blocks_hi) << 32 : 0);
	x->free_blocks =
	    le32_get(d->free_blocks_lo) | (wide ? (uint64_t)le32_get(d->free_blocks_hi) << 32 : 0);
	x->inodes = le32_get(d->inodes);
	x->first_data_block = le32_get(d->first_data_block);
	x->blocks_per_group = le32_get(d->blocks_per_group);
	x->clusters_per_group = le32_get(d->clusters_per_group);
	x->inodes_per_group = le32_get(d->inodes_per_group);
	x->first_ino = x->rev ? le32_get(d->first_ino) : OLD_FIRST_INO;
	x->inode_size = x->rev ? le16_get(d->inode_size) : OLD_INODE_SIZE;
	x->desc_size = wide ? le16_get(d->desc_size) : OLD_DESC_SIZE;
	x->first_meta_bg = le32_get(d->first_meta_bg);
	x->reserved_gdt_blocks = le16_get(d->reserved_gdt);
	x->backup_groups[0] = le32_get(d->backup_groups[0]);
	x->backup_groups[1] = le32_get(d->backup_groups[1]);
}

/* Block, cluster, inode and descriptor sizes: all that must hold before anything is divided by them. */
static int check_sizes(struct ext_info *x, const struct ext_super_disk *d, struct err *e)
{
	uint32_t log = le32_get(d->log_block_size), log_cluster = le32_get(d->log_cluster_size);

	if (x->rev > 1)
		return err_set(e, -EBADMSG, "ext superblock: revision %" PRIu32, x->rev);
	if (log > MAX_LOG_BLOCK)
		return err_set(e, -EBADMSG, "ext superblock: block size of 2^%" PRIu64 " bytes",
			       (uint64_t)log + 10);
	x->block_size = (uint32_t)1024 << log;
	x->cluster_blocks = 1;
	if (x->ro_compat & EXT_RO_BIGALLOC) {
		if (log_cluster < log || log_cluster + 10 > MAX_LOG_CLUSTER)
			return err_set(e, -EBADMSG, "ext superblock: cluster size of 2^%" PRIu64 " bytes",
				       (uint64_t)log_cluster + 10);
		x->cluster_blocks = (uint32_t)1 << (log_cluster - log);
	}
	if (!is_power_of_2(x->inode_size) || x->inode_size < OLD_INODE_SIZE || x->inode_size > x->block_size)
		return err_set(e, -EBADMSG, "ext superblock: inode size of %" PRIu32 " bytes", x->inode_size);
	if (!is_power_of_2(x->desc_size) || x->desc_size < OLD_DESC_SIZE || x->desc_size > x->block_size)
		return err_set(e, -EBADMSG, "ext superblock: group descriptor size of %" PRIu32 " bytes",
			       x->desc_size);
	return 0;
}

static int check_groups(struct ext_info *x, struct err *e)
{
	uint64_t bits = (uint64_t)x->block_size * 8, per_block = x->block_size / x->inode_size, groups;

	if (!(x->ro_compat & EXT_RO_BIGALLOC))
		x->clusters_per_group = x->blocks_per_group;
	if (x->clusters_per_group < 8 || x->clusters_per_group > bits || x->clusters_per_group % 8)
		return err_set(e, -EBADMSG, "ext superblock: %" PRIu32 " clusters a group",
			       x->clusters_per_group);
	if ((uint64_t)x->clusters_per_group * x->cluster_blocks != x->blocks_per_group)
		return err_set(e, -EBADMSG,
			       "ext superblock: %" PRIu32 " blocks a group but %" PRIu32 " clusters",
			       x->blocks_per_group, x->clusters_per_group);
	if (x->inodes_per_group < per_block || x->inodes_per_group > bits || x->inodes_per_group % 8)
		return err_set(e, -EBADMSG, "ext superblock: %" PRIu32 " inodes a group",
			       x->inodes_per_group);
	if (x->first_data_block > (x->block_size == 1024 ? 1 : 0))
		return err_set(e, -EBADMSG, "ext superblock: first data block %" PRIu32, x->first_data_block);
	if (x->blocks <= x->first_data_block || x->blocks >> 48)
		return err_set(e, -EBADMSG, "ext superblock: %" PRIu64 " blocks", x->blocks);

	groups = (x->blocks - x->first_data_block + x->blocks_per_group - 1) / x->blocks_per_group;
	if (groups * x->inodes_per_group != x->inodes)
		return err_set(e, -EBADMSG,
			       "ext superblock: %" PRIu32 " inodes in %" PRIu64 " groups of %" PRIu32,
			       x->inodes, groups, x->inodes_per_group);
	if (groups > EXT_MAX_GROUPS)
		return err_set(e, -EOPNOTSUPP, "ext superblock: %" PRIu64 " groups, more than %d", groups,
			       EXT_MAX_GROUPS);
	x->groups = (uint32_t)groups;
	x->desc_blocks = (uint32_t)((groups * x->desc_size + x->block_size - 1) / x->block_size);
	if (x->incompat & EXT_INCOMPAT_META_BG && x->first_meta_bg > x->desc_blocks)
		return err_set(e, -EBADMSG, "ext superblock: first meta block group %" PRIu32,
			       x->first_meta_bg);
	if (x->reserved_gdt_blocks > x->block_size / 4)
		return err_set(e, -EBADMSG, "ext superblock: %" PRIu32 " reserved descriptor blocks",
			       x->reserved_gdt_blocks);
	return 0;
}

/* An external journal has a superblock of the same kind, with no groups. */
static int check(struct ext_info *x, const struct ext_super_disk *d, struct err *e)
{
	int rc = check_sizes(x, d, e);

	if (rc || x->incompat & EXT_INCOMPAT_JOURNAL_DEV)
		return rc;
	return check_groups(x, e);
}

static void note_damage(struct ext_info *x, uint64_t size)
{
	uint64_t bytes = 0;

	if (x->incompat & EXT_INCOMPAT_JOURNAL_DEV)
		return;
	if (mul_overflows(x->blocks, x->block_size, &bytes) || bytes > size)
		x->truncated = true;
	if (x->csum_bad)
		err_set(&x->damage, 0, "the superblock's checksum is wrong");
	else if (x->truncated)
		err_set(&x->damage, 0, "the file system is %" PRIu64 " bytes long, the device only %" PRIu64,
			bytes, size);
	else if (x->free_blocks > x->blocks)
		err_set(&x->damage, 0, "the superblock counts %" PRIu64 " free blocks of %" PRIu64,
			x->free_blocks, x->blocks);
}

/* magic: whether it must be there. *ret is filled as far as it goes on -EBADMSG too. */
static int read_super(struct blk *blk, uint64_t off, bool magic, struct ext_info *ret, struct err *e)
{
	struct ext_super_disk d;
	struct ext_info x = { .off = off };
	int rc;

	if (!range_in(off, sizeof(d), blk->size))
		return err_set(e, -ENOENT, "no ext superblock: the device ends before it");
	rc = blk_pread(blk, &d, sizeof(d), off, e);
	if (rc)
		return rc;
	if (magic && le16_get(d.magic) != MAGIC)
		return err_set(e, -ENOENT, "no ext superblock at byte %" PRIu64, off);

	fill_counts(&x, &d);
	fill_names(&x, &d);
	if (x.ro_compat & EXT_RO_METADATA_CSUM)
		x.csum_bad = crc32c(~(uint32_t)0, (const uint8_t *)&d,
				    offsetof(struct ext_super_disk, csum)) != le32_get(d.csum);
	rc = check(&x, &d, e);
	if (!rc)
		note_damage(&x, blk->size);
	if (!rc || rc == -EBADMSG)
		*ret = x;
	return rc;
}

/* A copy that tells of itself what its place demands. like: its UUID must be this one; NULL: any. */
static bool is_backup_at(struct blk *blk, uint64_t off, uint32_t group, const uint8_t *like,
			 struct ext_info *ret)
{
	struct ext_info x;

	if (read_super(blk, off, true, &x, NULL) || x.csum_bad || x.group_nr != (group & 0xffff))
		return false;
	if (group >= x.groups || !ext_has_super(&x, group))
		return false;
	if (((uint64_t)group * x.blocks_per_group + x.first_data_block) * x.block_size != off)
		return false;
	if (like && memcmp(x.uuid, like, sizeof(x.uuid)) != 0)
		return false;
	*ret = x;
	return true;
}

/* The damaged primary gives no geometry that can be trusted: try where mke2fs puts copies by default. */
static bool find_default_backup(struct blk *blk, struct ext_info *ret)
{
	static const uint32_t groups[] = { 1, 3, 5, 7, 9, 25, 27, 49 };

	for (unsigned log = 0; log <= MAX_LOG_BLOCK; log++) {
		uint64_t bs = (uint64_t)1024 << log, per_group = bs * 8;

		for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
			uint64_t off = (groups[i] * per_group + (log ? 0 : 1)) * bs;

			if (range_in(off, EXT_SUPER_SIZE, blk->size) &&
			    is_backup_at(blk, off, groups[i], NULL, ret))
				return true;
		}
	}
	return false;
}

/* The first copy that the geometry of x demands and that has its UUID. Tries eight. */
static bool find_own_backup(struct blk *blk, const struct ext_info *x, struct ext_info *ret)
{
	uint32_t group = 0;
	uint64_t off;

	for (unsigned i = 0; i < 8 && ext_next_backup(x, &group, &off); i++)
		if (is_backup_at(blk, off, group, x->uuid, ret))
			return true;
	return false;
}

static void take_backup(struct ext_info *ret, const struct ext_info *copy, const char *why)
{
	*ret = *copy;
	ret->from_backup = true;
	err_set(&ret->damage, 0,
		"the primary superblock is damaged (%s); its copy at byte %" PRIu64 " was used", why,
		copy->off);
}

/* Sixteen bits of magic are little; these fields are 32 bits each and hardly ever anything else. */
static bool is_surely_ext(const struct ext_info *x)
{
	enum { MAX_REV = 1, MAX_OS = 4, KNOWN_STATES = 7 };

	return x->rev <= MAX_REV && x->creator_os <= MAX_OS && !(x->state & ~KNOWN_STATES) && x->block_size;
}

static void take_unusable(struct ext_info *ret, const struct ext_info *primary, const char *why)
{
	*ret = *primary;
	ret->unusable = true;
	ret->groups = 0;
	err_set(&ret->damage, 0, "the superblock is damaged and no copy of it was found (%s)", why);
}

int ext_read_super(struct blk *blk, uint64_t off, struct ext_info *ret, struct err *e)
{
	struct ext_info x;
	int rc = read_super(blk, off, true, &x, e);

	if (!rc)
		*ret = x;
	return rc;
}

int ext_find_super(struct blk *blk, struct ext_info *ret, struct err *e)
{
	struct ext_info x, copy;
	struct err why = { "" };
	int rc = read_super(blk, EXT_SUPER_OFF, true, &x, &why);

	if (!rc) {
		*ret = x;
		return 1;
	}
	if (rc == -EBADMSG && find_default_backup(blk, &copy)) {
		take_backup(ret, &copy, why.msg);
		return 1;
	}
	if (rc == -EBADMSG && is_surely_ext(&x)) {
		take_unusable(ret, &x, why.msg);
		return 1;
	}
	if (rc == -ENOENT && !read_super(blk, EXT_SUPER_OFF, false, &x, NULL) &&
	    !bytes_all_zero(x.uuid, sizeof(x.uuid)) && find_own_backup(blk, &x, &copy)) {
		take_backup(ret, &copy, "its magic is gone");
		return 1;
	}
	if (rc == -ENOENT || rc == -EBADMSG)
		return 0;
	return err_set(e, rc, "%s", why.msg);
}

const char *ext_type(const struct ext_info *x)
{
	enum { EXT3_RO = 0x7, EXT2_INCOMPAT = 0x12, EXT3_INCOMPAT = 0x16, FLAG_TEST = 0x4 };

	if (x->incompat & EXT_INCOMPAT_JOURNAL_DEV)
		return "jbd";
	if (x->ro_compat & ~EXT3_RO || x->incompat & ~EXT3_INCOMPAT)
		return x->flags & FLAG_TEST ? "ext4dev" : "ext4";
	return x->compat & EXT_COMPAT_HAS_JOURNAL ? "ext3" : "ext2";
}

bool ext_has_super(const struct ext_info *x, uint32_t group)
{
	if (group == 0)
		return true;
	if (x->compat & EXT_COMPAT_SPARSE_SUPER2)
		return group == x->backup_groups[0] || group == x->backup_groups[1];
	if (group == 1 || !(x->ro_compat & EXT_RO_SPARSE_SUPER))
		return true;
	return is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

bool ext_next_backup(const struct ext_info *x, uint32_t *group, uint64_t *ret_off)
{
	for (uint32_t g = *group + 1; g < x->groups; g++) {
		if (!ext_has_super(x, g))
			continue;
		*group = g;
		*ret_off = ((uint64_t)g * x->blocks_per_group + x->first_data_block) * x->block_size;
		return true;
	}
	return false;
}
