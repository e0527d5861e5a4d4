/* SPDX-License-Identifier: MIT */
/* What the files of XFS share: xfs_super and xfs_log say what there is, xfs_inode reads inodes, xfs_bmap says
 * where content lies, xfs_dir reads directories, xfs_xattr extended attributes, xfs_fs is the back end.
 * Nothing here writes. */
#ifndef FORMAT_XFS_PRIV_H
#define FORMAT_XFS_PRIV_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "format/xfs.h"
#include "fs/fs.h"

enum {
	XFS_LEVELS = 9, /* of a block map's tree, at most */
	XFS_DIRS = 16, /* directories that are kept */
	XFS_MAX_ENTRIES = 1000000,
	XFS_MAX_NAME = 255,
	XFS_MAX_RUN = 1 << 20, /* bytes of one read */
	XFS_MAX_LINK = 1024,
	XFS_MAX_XATTR = 65536,
};
enum xfs_form { XFS_FORM_DEV = 0, XFS_FORM_LOCAL = 1, XFS_FORM_EXTENTS = 2, XFS_FORM_BTREE = 3 };

struct xfs_dir;
struct xfs_fs {
	struct fs fs; /* first */
	struct xfs_info info;
	struct blk *blk; /* owned ref */
	struct {
		uint64_t block;
		uint8_t *buf;
	} nodes[XFS_LEVELS + 1]; /* of block maps, by level; block 0: empty */
	struct xfs_dir *dirs[XFS_DIRS];
	unsigned clock;
};

/* A part of an inode: content, or extended attributes. */
struct xfs_fork {
	uint8_t form; /* enum xfs_form */
	const uint8_t *p;
	size_t size; /* in the inode's raw bytes; size 0: there is no such fork */
	uint64_t extents;
};
struct xfs_inode {
	uint64_t ino, size, blocks;
	uint32_t nlink, uid, gid;
	uint16_t mode; /* type and permissions */
	int64_t mtime, ctime, atime;
	uint32_t mtime_nsec;
	bool realtime; /* content is on the realtime device */
	struct xfs_fork data, attr;
	uint8_t *raw; /* info.inode_size bytes as on disk; owned */
};
void xfs_inode_done(struct xfs_inode *);
#define cleanup_xfs_inode cleanup(xfs_inode_done)

/* xfs_super.c */
uint32_t xfs_crc32c(uint32_t crc, const void *buf, size_t len);
/* The checksum of len bytes with a little-endian one at `at`, as all of XFS version 5 keeps it. */
bool xfs_csum_ok(const void *buf, size_t len, size_t at);

/* xfs_inode.c: -EBADMSG for numbers out of range, bad checksums and unused inodes */
int xfs_inode_read(struct xfs_fs *, uint64_t ino, struct xfs_inode *ret, struct err *e);
bool xfs_ino_ok(const struct xfs_fs *, uint64_t ino);

/* xfs_bmap.c */
struct xfs_run {
	uint64_t at, len; /* byte on the device; blocks, at least 1 */
	bool hole; /* reads as zero; at means nothing */
};
/* Where logical block lblk lies, and how many follow it in one piece. */
int xfs_map(struct xfs_fs *, const struct xfs_inode *, const struct xfs_fork *, uint64_t lblk,
	    struct xfs_run *ret, struct err *e);
/* len bytes of a fork from off, whatever the inode's size. */
int xfs_read_fork(struct xfs_fs *, const struct xfs_inode *, const struct xfs_fork *, void *buf, size_t len,
		  uint64_t off, struct err *e);
/* Content of a file; *ret_n is less than len only at the end. */
int xfs_read_data(struct xfs_fs *, const struct xfs_inode *, void *buf, size_t len, uint64_t off,
		  size_t *ret_n, struct err *e);

/* What a metadata block of version 5 says of itself, and where. */
struct xfs_self {
	size_t csum, uuid, owner, blkno;
};
extern const struct xfs_self xfs_self_dir, xfs_self_da, xfs_self_map, xfs_self_remote;
/* "" where all is right (always in version 4), else what is wrong, ready to be put after "its ... ". at: the
 * block's byte on the device. */
const char *xfs_self_wrong(const struct xfs_fs *, const struct xfs_self *, const uint8_t *p, size_t len,
			   uint64_t owner, uint64_t at);
static inline bool xfs_is_v5(const struct xfs_fs *x)
{
	return x->info.version == 5;
}

/* xfs_dir.c: a directory read whole and kept. bad is not 0 where parts could not be read; why says it. */
struct xfs_dirent {
	uint64_t ino;
	uint32_t name;
	uint8_t len;
	bool suspect;
}; /* name: offset in names; suspect: of a damaged block */
struct xfs_dir {
	uint64_t ino, parent;
	struct xfs_dirent *v;
	size_t n;
	char *names;
	size_t names_n, names_cap;
	uint32_t *sorted; /* indexes of v by name */
	unsigned used, pins;
	bool cached, suspect; /* suspect: what is read now is */
	int bad;
	struct err why;
};
int xfs_dir_get(struct xfs_fs *, const struct xfs_inode *, struct xfs_dir **ret,
		struct err *e); /* give back with xfs_dir_put */
void xfs_dir_put(struct xfs_dir *);
DEFINE_CLEANUP(struct xfs_dir *, xfs_dir, xfs_dir_put)
#define cleanup_xfs_dir cleanup(cleanup_xfs_dirp)
static inline const char *xfs_dir_name(const struct xfs_dir *d, size_t i)
{
	return d->names + d->v[i].name;
}
/* An absolute path without links. */
int xfs_lookup(struct xfs_fs *, const char *path, struct xfs_inode *ret, struct err *e);
void xfs_caches_drop(struct xfs_fs *);
/* "path": why, with the path escaped; returns code. */
int xfs_path_err(struct err *e, int code, const char *path);

/* xfs_xattr.c: values of at most XFS_MAX_XATTR bytes, names as the kernel gives them */
int xfs_xattr_each(struct xfs_fs *, const struct xfs_inode *,
		   int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg, struct err *e);

/* xfs_fs.c */
extern const struct fs_ops xfs_fs_ops;
/* Takes its own ref of blk. */
int xfs_fs_open(struct blk *, const struct xfs_info *, struct fs **ret, struct err *e);

#endif
