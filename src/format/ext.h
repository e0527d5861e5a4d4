/* SPDX-License-Identifier: MIT */
/* What others may know of ext2, ext3 and ext4: the superblock, where its copies must lie, and which blocks
 * hold data. The first two are pure: bytes in, struct out, no library. */
#ifndef FORMAT_EXT_H
#define FORMAT_EXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "blk/blk.h"

enum {
	EXT_SUPER_OFF = 1024,           /* bytes from the start: the primary superblock */
	EXT_SUPER_SIZE = 1024,
	EXT_MAX_GROUPS = 1 << 20,
};

enum ext_compat {
	EXT_COMPAT_HAS_JOURNAL = 0x4,
	EXT_COMPAT_RESIZE_INODE = 0x10,
	EXT_COMPAT_DIR_INDEX = 0x20,
	EXT_COMPAT_SPARSE_SUPER2 = 0x200,
	EXT_COMPAT_ORPHAN_FILE = 0x1000,
	EXT_COMPAT_KNOWN = 0x1f7f,
};
enum ext_incompat {
	EXT_INCOMPAT_FILETYPE = 0x2,
	EXT_INCOMPAT_RECOVER = 0x4,
	EXT_INCOMPAT_JOURNAL_DEV = 0x8,
	EXT_INCOMPAT_META_BG = 0x10,
	EXT_INCOMPAT_EXTENTS = 0x40,
	EXT_INCOMPAT_64BIT = 0x80,
	EXT_INCOMPAT_MMP = 0x100,
	EXT_INCOMPAT_FLEX_BG = 0x200,
	EXT_INCOMPAT_EA_INODE = 0x400,
	EXT_INCOMPAT_CSUM_SEED = 0x2000,
	EXT_INCOMPAT_LARGEDIR = 0x4000,
	EXT_INCOMPAT_INLINE_DATA = 0x8000,
	EXT_INCOMPAT_ENCRYPT = 0x10000,
	EXT_INCOMPAT_CASEFOLD = 0x20000,
	EXT_INCOMPAT_KNOWN = 0x3e7de,
};
enum ext_ro_compat {
	EXT_RO_SPARSE_SUPER = 0x1,
	EXT_RO_LARGE_FILE = 0x2,
	EXT_RO_HUGE_FILE = 0x8,
	EXT_RO_GDT_CSUM = 0x10,
	EXT_RO_DIR_NLINK = 0x20,
	EXT_RO_EXTRA_ISIZE = 0x40,
	EXT_RO_QUOTA = 0x100,
	EXT_RO_BIGALLOC = 0x200,
	EXT_RO_METADATA_CSUM = 0x400,
	EXT_RO_READONLY = 0x1000,
	EXT_RO_PROJECT = 0x2000,
	EXT_RO_SHARED_BLOCKS = 0x4000,
	EXT_RO_VERITY = 0x8000,
	EXT_RO_ORPHAN_PRESENT = 0x10000,
	EXT_RO_WRITABLE = EXT_RO_SPARSE_SUPER | EXT_RO_LARGE_FILE | 0x4 | EXT_RO_HUGE_FILE | EXT_RO_GDT_CSUM |
			  EXT_RO_DIR_NLINK | EXT_RO_EXTRA_ISIZE | EXT_RO_BIGALLOC | EXT_RO_METADATA_CSUM |
			  EXT_RO_VERITY,
};
enum ext_state { EXT_STATE_CLEAN = 1, EXT_STATE_ERROR = 2, EXT_STATE_ORPHAN = 4 };

struct ext_info {
	uint64_t off;                   /* bytes: where this superblock was read */
	uint32_t group_nr;              /* the group that it says it lies in */
	uint32_t block_size, cluster_blocks; /* bytes; blocks in a cluster, 1 without bigalloc */
	uint64_t blocks, free_blocks;   /* free ones: the superblock's word, old on a crashed system */
	uint32_t inodes, groups, first_data_block, blocks_per_group, clusters_per_group, inodes_per_group;
	uint32_t first_ino, inode_size, desc_size, desc_blocks, first_meta_bg, reserved_gdt_blocks;
	uint32_t compat, incompat, ro_compat;   /* enum ext_compat, ext_incompat, ext_ro_compat */
	uint32_t backup_groups[2];      /* sparse_super2's */
	uint32_t rev, creator_os, flags;
	uint16_t state, errors;         /* enum ext_state; what to do on errors */
	uint8_t uuid[16], journal_uuid[16];
	char label[17];                 /* raw bytes */
	int64_t last_mount, last_write, last_check, made;  /* seconds since 1970, 0: never */
	uint32_t journal_ino, journal_dev, last_orphan, error_count;
	bool csum_bad;                  /* metadata_csum is on and the superblock's does not match */
	bool truncated;                 /* the device is shorter than the file system */
	bool from_backup;               /* the primary is damaged; this is a copy */
	bool unusable;                  /* so are all copies: sizes and counts mean nothing, groups is 0 */
	struct err damage;              /* what is wrong with the primary; empty: nothing */
};

/* The superblock at byte off (EXT_SUPER_OFF, or what ext_next_backup says). 0; -ENOENT: no magic there;
 * -EBADMSG: the magic, but counts that cannot be (e says which); -EOPNOTSUPP: more groups than
 * EXT_MAX_GROUPS; or an I/O error. A bad checksum and a short device are no errors: csum_bad, truncated and
 * damage tell. */
int ext_read_super(struct blk *, uint64_t off, struct ext_info *ret, struct err *e);
/* The primary, or where it is damaged the best copy. 1 found, 0 no ext here, <0 I/O. */
int ext_find_super(struct blk *, struct ext_info *ret, struct err *e);
/* "ext2", "ext3", "ext4", "ext4dev" or "jbd", as libblkid decides it. */
const char *ext_type(const struct ext_info *);
/* Does the geometry demand a superblock in this group? */
bool ext_has_super(const struct ext_info *, uint32_t group);
/* The next group after *group with a backup superblock, and the byte where it must lie; start with *group =
 * 0. A file system without sparse_super has one in every group. */
bool ext_next_backup(const struct ext_info *, uint32_t *group, uint64_t *ret_off);

struct fs;
struct node;
/* Of a node that ext recognised, or of an opened file system of ours; else NULL. Borrowed. */
const struct ext_info *ext_node_info(const struct node *);
const struct ext_info *ext_fs_info(const struct fs *);
/* Numbers of allocated blocks that are not metadata of the layout (superblocks, descriptors, bitmaps, inode
 * tables), ascending, spread evenly, the first and the last among them; a number times block_size is the byte
 * in the file system. Reads only the bitmaps of the groups it picks from. How many were found (at most max);
 * -EBADMSG where bitmaps and counts contradict each other; -EOPNOTSUPP where fs is not ext. */
int ext_pick_allocated(struct fs *, uint64_t *blocks, size_t max, struct err *e);

#endif
