/* SPDX-License-Identifier: MIT */
/* Inodes of ext, after the kernel's Documentation/filesystems/ext4/inodes.rst, read raw and checked here.
 * Refused: numbers out of range, reserved inodes other than the root, wrong checksums, inodes that are not in
 * use. */
#include <assert.h>
#include <inttypes.h>
#include <sys/stat.h>
#include "base/bytes.h"
#include "format/ext_priv.h"

enum { OLD_SIZE = 128, OFF_CSUM_LO = 0x7c, OFF_CSUM_HI = 0x82, FL_HUGE_FILE = 0x40000, OS_HURD = 1 };

struct inode_disk {
	le16 mode, uid;
	le32 size, atime, ctime, mtime, dtime;
	le16 gid, nlink;
	le32 blocks, flags, version;
	uint8_t block[EXT_BLOCK_BYTES];
	le32 generation, acl, size_high, faddr;
	le16 blocks_hi, acl_hi, uid_hi, gid_hi, csum_lo, unused;
	/* from here on only where the inode is longer and extra_isize covers it */
	le16 extra_isize, csum_hi;
	le32 ctime_extra, mtime_extra, atime_extra;
};
static_assert(sizeof(struct inode_disk) == 0x90, "ext inode");
static_assert(offsetof(struct inode_disk, extra_isize) == OLD_SIZE, "ext inode");
static_assert(offsetof(struct inode_disk, csum_lo) == OFF_CSUM_LO, "ext inode");
static_assert(offsetof(struct inode_disk, csum_hi) == OFF_CSUM_HI, "ext inode");

static int read_raw(struct ext_fs *x, uint32_t ino, uint8_t *raw, struct err *e)
{
	const struct ext_info *info = &x->info;
	uint32_t group, index;
	uint64_t table, off, table_blocks;

	if (ino < 1 || ino > info->inodes || (ino < info->first_ino && ino != EXT_ROOT_INO))
		return err_set(e, -EBADMSG, "inode %" PRIu32 ": no such number", ino);
	group = (ino - 1) / info->inodes_per_group;
	index = (ino - 1) % info->inodes_per_group;
	table = ext2fs_inode_table_loc(x->lib, group);
	table_blocks =
	    ((uint64_t)info->inodes_per_group * info->inode_size + info->block_size - 1) / info->block_size;
	if (table <= info->first_data_block || !range_in(table, table_blocks, info->blocks))
		return err_set(e, -EBADMSG,
			       "inode %" PRIu32 ": the inode table of group %" PRIu32
			       " lies at block %" PRIu64,
			       ino, group, table);
	off = table * info->block_size + (uint64_t)index * info->inode_size;
	return blk_pread(x->blk, raw, info->inode_size, off, e);
}

static bool csum_ok(const struct ext_fs *x, uint32_t ino, const struct inode_disk *d, const uint8_t *raw,
		    uint32_t extra_isize)
{
	static const uint8_t zero[2];
	bool wide = extra_isize >= OFF_CSUM_HI + 2 - OLD_SIZE;
	uint8_t no[4] = { (uint8_t)ino, (uint8_t)(ino >> 8), (uint8_t)(ino >> 16), (uint8_t)(ino >> 24) };
	uint32_t crc, stored = le16_get(d->csum_lo), size = x->info.inode_size;

	if (!(x->info.ro_compat & EXT_RO_METADATA_CSUM))
		return true;
	crc = ext2fs_crc32c_le(x->lib->csum_seed, no, sizeof(no));
	crc = ext2fs_crc32c_le(crc, d->generation.b, sizeof(d->generation.b));
	crc = ext2fs_crc32c_le(crc, raw, OFF_CSUM_LO);
	crc = ext2fs_crc32c_le(crc, zero, 2);
	if (size == OLD_SIZE)
		return (ext2fs_crc32c_le(crc, raw + OFF_CSUM_LO + 2, 2) & 0xffff) == stored;
	crc = ext2fs_crc32c_le(crc, raw + OFF_CSUM_LO + 2, OFF_CSUM_HI - OFF_CSUM_LO - 2);
	crc = ext2fs_crc32c_le(crc, wide ? zero : raw + OFF_CSUM_HI, 2);
	crc = ext2fs_crc32c_le(crc, raw + OFF_CSUM_HI + 2, size - OFF_CSUM_HI - 2);
	if (!wide)
		return (crc & 0xffff) == stored;
	return crc == (stored | (uint32_t)le16_get(d->csum_hi) << 16);
}

static int64_t time_get(le32 seconds, le32 extra, bool has_extra)
{
	int64_t t = (int32_t)le32_get(seconds);

	return has_extra ? t + ((int64_t)(le32_get(extra) & 3) << 32) : t;
}

static void fill_times(struct ext_inode *i, const struct inode_disk *d)
{
	uint32_t extra = i->extra_isize ? i->extra_isize + OLD_SIZE : 0;

	i->ctime = time_get(d->ctime, d->ctime_extra, extra >= offsetof(struct inode_disk, ctime_extra) + 4);
	i->mtime = time_get(d->mtime, d->mtime_extra, extra >= offsetof(struct inode_disk, mtime_extra) + 4);
	i->atime = time_get(d->atime, d->atime_extra, extra >= offsetof(struct inode_disk, atime_extra) + 4);
	if (extra >= offsetof(struct inode_disk, mtime_extra) + 4)
		i->mtime_nsec = le32_get(d->mtime_extra) >> 2;
	if (i->mtime_nsec >= 1000000000)
		i->mtime_nsec = 0;
}

static void fill(const struct ext_info *info, struct ext_inode *i, const struct inode_disk *d)
{
	bool hurd = info->creator_os == OS_HURD, regular;

	i->mode = le16_get(d->mode);
	regular = (i->mode & S_IFMT) == S_IFREG;
	i->flags = le32_get(d->flags);
	i->nlink = le16_get(d->nlink);
	i->uid = le16_get(d->uid) | (hurd ? 0 : (uint32_t)le16_get(d->uid_hi) << 16);
	i->gid = le16_get(d->gid) | (hurd ? 0 : (uint32_t)le16_get(d->gid_hi) << 16);
	i->size = le32_get(d->size);
	/* of an old directory this word is its ACL */
	if (regular || info->incompat & EXT_INCOMPAT_LARGEDIR)
		i->size |= (uint64_t)le32_get(d->size_high) << 32;
	i->sectors = le32_get(d->blocks);
	if (info->ro_compat & EXT_RO_HUGE_FILE && !hurd)
		i->sectors |= (uint64_t)le16_get(d->blocks_hi) << 32;
	if (info->ro_compat & EXT_RO_HUGE_FILE && i->flags & FL_HUGE_FILE)
		i->sectors *= info->block_size / 512;
	i->acl_block = le32_get(d->acl) |
		       (info->incompat & EXT_INCOMPAT_64BIT ? (uint64_t)le16_get(d->acl_hi) << 32 : 0);
	i->dtime = le32_get(d->dtime);
	i->generation = le32_get(d->generation);
	memcpy(i->block, d->block, sizeof(i->block));
	fill_times(i, d);
}

void ext_inode_done(struct ext_inode *i)
{
	free(i->raw);
	i->raw = NULL;
}

int ext_inode_read(struct ext_fs *x, uint32_t ino, struct ext_inode *ret, struct err *e)
{
	struct ext_inode i = { .ino = ino };
	cleanup_free uint8_t *raw = malloc(x->info.inode_size);
	struct inode_disk d = { 0 };
	int rc;

	if (!raw)
		return err_oom(e);
	rc = read_raw(x, ino, raw, e);
	if (rc)
		return rc;
	memcpy(&d, raw, x->info.inode_size < sizeof(d) ? x->info.inode_size : sizeof(d));
	if (x->info.inode_size > OLD_SIZE)
		i.extra_isize = le16_get(d.extra_isize);
	if (i.extra_isize > x->info.inode_size - OLD_SIZE || i.extra_isize % 4)
		return err_set(e, -EBADMSG, "inode %" PRIu32 ": extra size of %" PRIu32 " bytes", ino,
			       i.extra_isize);
	fill(&x->info, &i, &d);
	if (!i.mode || !i.nlink)
		return err_set(e, -EBADMSG, "inode %" PRIu32 ": a name leads to it, but it is not in use",
			       ino);
	if (!csum_ok(x, ino, &d, raw, i.extra_isize))
		return err_set(e, -EBADMSG, "inode %" PRIu32 ": its checksum is wrong", ino);
	i.raw = take_ptr(&raw);
	*ret = i;
	return 0;
}
