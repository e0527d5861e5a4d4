/* SPDX-License-Identifier: MIT */
/* What the files of ext share. Reading goes its own bounded way (ext_inode, ext_map, ext_dir, ext_xattr):
 * libext2fs gives the group descriptors and the checksums. Writing (ext_write) goes through libext2fs, on
 * file systems that are clean only. */
#ifndef FORMAT_EXT_PRIV_H
#define FORMAT_EXT_PRIV_H

#include <ext2fs/ext2fs.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "fs/fs.h"
#include "format/ext.h"

enum {
	EXT_NODES = 6, /* levels of a block map that are kept */
	EXT_DIRS = 16, /* directories that are kept */
	EXT_MAX_ENTRIES = 1000000,
	EXT_MAX_NAME = 255,
	EXT_MAX_RUN = 1 << 20, /* bytes of one read */
	EXT_MAX_LINK = 4096,
	EXT_MAX_XATTR = 65536,
	EXT_BLOCK_BYTES = 60, /* i_block: the block map, inline data, or the target of a short link */
	EXT_ROOT_INO = 2,
};

struct ext_dir;
struct ext_fs {
	struct fs fs;                   /* first */
	struct ext_info info;
	struct blk *blk;                /* owned ref */
	ext2_filsys lib;                /* NULL after a failed re-opening */
	struct err io_why;              /* of the last read or write below libext2fs that failed */
	struct { uint64_t block; uint8_t *buf; } nodes[EXT_NODES];
	struct ext_dir *dirs[EXT_DIRS];
	unsigned clock;
	bool desc_checked;              /* before the first write: that the descriptors lie where they may */
};

struct ext_inode {
	uint32_t ino, flags, nlink, uid, gid;
	uint16_t mode;                  /* type and permissions */
	uint64_t size, sectors, acl_block;
	int64_t mtime, ctime, atime;
	uint32_t mtime_nsec;
	uint32_t dtime, generation;
	uint8_t block[EXT_BLOCK_BYTES];
	uint8_t *raw;                   /* info.inode_size bytes as on disk; owned */
	uint32_t extra_isize;           /* 0: there is no room for extended attributes */
};
void ext_inode_done(struct ext_inode *);
#define cleanup_ext_inode cleanup(ext_inode_done)

/* ext_io.c */
int ext_lib_open(struct ext_fs *, struct err *e);       /* 0 and lib set */
void ext_lib_close(struct ext_fs *);                    /* drops what was not flushed */
/* Turns a libext2fs code into ours: "what: why". */
int ext_lib_err(struct ext_fs *, errcode_t, struct err *e, const char *what);

/* ext_inode.c: -EBADMSG for numbers out of range, bad checksums and unused inodes */
int ext_inode_read(struct ext_fs *, uint32_t ino, struct ext_inode *ret, struct err *e);

/* ext_map.c */
struct ext_run {
	uint64_t phys, len;             /* blocks; len is at least 1 */
	bool hole;                      /* reads as zero; phys means nothing */
};
/* Where logical block lblk lies, and how many follow it in one piece. */
int ext_map(struct ext_fs *, const struct ext_inode *, uint64_t lblk, struct ext_run *ret, struct err *e);
/* Content, inline or in blocks, of any type of inode; *ret_n is less only at the end. */
int ext_read_data(struct ext_fs *, const struct ext_inode *, void *buf, size_t len, uint64_t off,
		  size_t *ret_n, struct err *e);

/* ext_dir.c: a directory read whole and kept. bad is not 0 where parts could not be read; why says it. */
struct ext_dirent { uint32_t ino, name; uint8_t len; };  /* name: offset in names */
struct ext_dir {
	uint32_t ino, parent;
	struct ext_dirent *v; size_t n;
	char *names; size_t names_n, names_cap;
	uint32_t *sorted;               /* indexes of v by name */
	unsigned used, pins;
	bool cached, encrypted;
	int bad;
	struct err why;
};
int ext_dir_get(struct ext_fs *, const struct ext_inode *, struct ext_dir **ret,
		struct err *e); /* give back with ext_dir_put */
void ext_dir_put(struct ext_dir *);
DEFINE_CLEANUP(struct ext_dir *, ext_dir, ext_dir_put)
#define cleanup_ext_dir cleanup(cleanup_ext_dirp)
static inline const char *ext_dir_name(const struct ext_dir *d, size_t i)
{
	return d->names + d->v[i].name;
}
/* The inode of a name: 0, -ENOENT, or the directory's damage where the name may be in the part that could not
 * be read. */
int ext_dir_find(const struct ext_dir *, const char *name, size_t len, uint32_t *ret_ino, struct err *e);
/* An absolute path without links. */
int ext_lookup(struct ext_fs *, const char *path, struct ext_inode *ret, struct err *e);
void ext_caches_drop(struct ext_fs *);

/* Of one block of a directory: does its chain of entries end in a checksum? Where do limit and count of a
 * node of the hash tree stand (0: it is not such a node)? */
bool ext_dir_has_tail(const uint8_t *p, size_t bs);
size_t ext_dir_tree_at(const uint8_t *p, size_t bs);
/* What the checksums of an inode's blocks begin with. */
uint32_t ext_seed(const struct ext_fs *, const struct ext_inode *);

/* ext_scrub.c: libext2fs splits the blocks of a hash tree in memory that it does not clear, and writes that
 * out. Remember the blocks of a directory; later clear what is unused in those that have changed. */
struct ext_marks {
	uint32_t *crc; size_t n;
};
int ext_scrub_mark(struct ext_fs *, const struct ext_inode *dir, struct ext_marks *ret, struct err *e);
int ext_scrub(struct ext_fs *, uint32_t dir, const struct ext_marks *, struct err *e);

/* ext_xattr.c: values of at most EXT_MAX_XATTR bytes, names as the kernel gives them */
int ext_xattr_each(struct ext_fs *, const struct ext_inode *,
		   int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg, struct err *e);
/* What inline data does not fit into i_block; *ret_n 0 where there is none. Borrowed from the inode. */
int ext_inline_tail(const struct ext_inode *, uint32_t inode_size, const uint8_t **ret, size_t *ret_n,
		    struct err *e);

/* ext.c */
extern const struct fs_ops ext_fs_ops;
int ext_reopen(struct ext_fs *, struct err *e);
static inline struct ext_fs *ext_of(struct fs *fs)
{
	return (struct ext_fs *)fs;
}

/* ext_write.c */
int ext_op_replace(struct fs *, const char *path, const void *buf, size_t len, struct err *e);
int ext_op_rename(struct fs *, const char *path, const char *new_name, struct err *e);
int ext_op_sync(struct fs *, struct err *e);

/* "path": why, with the path escaped; returns code. */
int ext_path_err(struct err *e, int code, const char *path);

#endif
