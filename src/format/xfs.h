/* SPDX-License-Identifier: MIT */
/* What others may know of XFS: the superblock, where its copies must lie, and what its log says. Pure: bytes
 * in, struct out. Every allocation group begins with a copy of the superblock; the first one is the primary.
 */
#ifndef FORMAT_XFS_H
#define FORMAT_XFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "blk/blk.h"

enum {
	XFS_SUPER_SIZE = 512, /* what is read of a superblock first; its checksum covers a sector */
	XFS_MAX_SECTOR = 32768,
};

enum xfs_incompat {
	XFS_INCOMPAT_FTYPE = 0x1,
	XFS_INCOMPAT_SPINODES = 0x2,
	XFS_INCOMPAT_META_UUID = 0x4,
	XFS_INCOMPAT_BIGTIME = 0x8,
	XFS_INCOMPAT_NEEDSREPAIR = 0x10,
	XFS_INCOMPAT_NREXT64 = 0x20,
	XFS_INCOMPAT_EXCHRANGE = 0x40,
	XFS_INCOMPAT_PARENT = 0x80,
	XFS_INCOMPAT_METADIR = 0x100,
	XFS_INCOMPAT_ZONED = 0x200,
	XFS_INCOMPAT_ZONE_GAPS = 0x400,
	XFS_INCOMPAT_KNOWN = 0x1ff, /* what is read here */
};

enum xfs_log_state {
	XFS_LOG_CLEAN, /* its last record is that of an unmount */
	XFS_LOG_DIRTY, /* there is something to replay */
	XFS_LOG_EXTERNAL, /* on another device: nothing can be told */
	XFS_LOG_UNKNOWN, /* damaged, or it could not be read: not to be taken for clean */
};

struct xfs_info {
	uint64_t off; /* bytes: where this superblock was read */
	uint32_t block_size, sector_size, inode_size, dir_block_size; /* bytes */
	uint64_t blocks, free_blocks; /* free ones: the superblock's word, old on a crashed system */
	uint32_t ag_blocks, ag_count; /* the last group may be shorter */
	uint8_t ag_log,
	    inode_log; /* bits for a block's number in its group; for an inode's number in its block */
	uint64_t root_ino,
	    log_start; /* UINT64_MAX: this copy does not know; 0: the log is on another device */
	uint32_t log_blocks;
	uint64_t rt_blocks; /* of the realtime device, 0: none */
	unsigned version; /* 4 or 5 */
	uint16_t features; /* of version 4 */
	uint32_t features2;
	uint32_t compat, ro_compat, incompat, log_incompat; /* of version 5 */
	bool ftype; /* directory entries hold the type of file */
	bool in_progress; /* it was never finished being made; of the primary only */
	uint8_t uuid[16], meta_uuid[16]; /* meta_uuid: what metadata blocks bear */
	char label[13]; /* raw bytes */
	enum xfs_log_state log; /* set by xfs_find_super */
	struct err log_why; /* why the log is not clean */
	bool csum_bad; /* version 5, and the superblock's checksum does not match */
	bool truncated; /* the device is shorter than the file system */
	bool from_copy; /* the primary is damaged; this is a copy */
	bool unusable; /* the primary is damaged, no copy was found: sizes and counts mean nothing */
	struct err damage; /* what is wrong; empty: nothing */
};

/* The superblock at byte off (0, or what xfs_super_off says). 0; -ENOENT: no magic there; -EBADMSG: the
 * magic, but counts that cannot be (e says which); or an I/O error. A bad checksum and a short device are no
 * errors: csum_bad, truncated and damage tell. The log is not looked at. */
int xfs_read_super(struct blk *, uint64_t off, struct xfs_info *ret, struct err *e);
/* The primary, or where it is damaged a copy; then the log. 1 found, 0 no XFS here, <0 I/O. */
int xfs_find_super(struct blk *, struct xfs_info *ret, struct err *e);
/* The byte where the superblock of a group must lie; ag 0 is the primary, ag_count - 1 the last. */
static inline uint64_t xfs_super_off(const struct xfs_info *x, uint32_t ag)
{
	return (uint64_t)ag * x->ag_blocks * x->block_size;
}
/* Is the copy of group ag there: magic, the same UUID, and in version 5 a good checksum? 0 yes; -ENOENT no, e
 * says what is there; or an I/O error. */
int xfs_check_copy(struct blk *, const struct xfs_info *, uint32_t ag, struct err *e);
/* Is the log clean? Reads at most a few MiB. Sets log and log_why. */
void xfs_look_at_log(struct blk *, struct xfs_info *);

struct fs;
struct node;
/* Of a node that XFS recognised, or of an opened file system of ours; else NULL. Borrowed. */
const struct xfs_info *xfs_node_info(const struct node *);
const struct xfs_info *xfs_fs_info(const struct fs *);

#endif
