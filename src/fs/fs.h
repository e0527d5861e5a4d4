/* SPDX-License-Identifier: MIT */
/* Files inside an image. Back ends see paths already resolved by fs.c: absolute, no links, no "..", no
 * doubled slashes. Names are bytes; they may hold anything but NUL and '/'. */
#ifndef FS_FS_H
#define FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "blk/blk.h"

enum fs_type { FS_FILE, FS_DIR, FS_LINK, FS_FIFO, FS_SOCKET, FS_CHAR, FS_BLOCK, FS_OTHER };
struct fs_stat {
	enum fs_type type;
	uint32_t mode;         /* permission bits only */
	uint32_t uid, gid, nlink;
	uint64_t size;         /* what the inode says: not to be trusted for allocation */
	uint64_t blocks;       /* bytes really allocated */
	uint64_t ino;
	int64_t mtime, ctime, atime;   /* seconds since 1970 */
	uint32_t mtime_nsec;
	uint32_t rdev_major, rdev_minor;
};
struct fs;
struct fs_ops {
	const char *name;
	int (*stat)(struct fs *, const char *path, struct fs_stat *ret, struct err *e);
	/* every entry but "." and ".."; a non-zero answer of fn ends the walk and is returned */
	int (*list)(struct fs *, const char *path, int (*fn)(void *arg, const char *name), void *arg, struct err *e);
	int (*readlink)(struct fs *, const char *path, char **ret, struct err *e);
	/* at most len bytes from off; *ret_n is less only at the end of the file */
	int (*read)(struct fs *, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n, struct err *e);
	/* calls fn for each extended attribute; NULL: none */
	int (*xattrs)(struct fs *, const char *path, int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg, struct err *e);
	/* replace content, or create with mode 0644 root where absent; keeps mode, owner, times, attributes, inode */
	int (*replace)(struct fs *, const char *path, const void *buf, size_t len, struct err *e);   /* or NULL */
	/* rename an entry within its folder; the new name must not exist; inode untouched but ctime */
	int (*rename)(struct fs *, const char *path, const char *new_name, struct err *e);           /* or NULL */
	/* write everything out to the blk below and re-read on the next call */
	int (*sync)(struct fs *, struct err *e);                                                      /* or NULL */
	void (*close)(struct fs *);
};
struct fs {
	const struct fs_ops *ops;
	bool stale;            /* the journal was not replayed: what is read may be old */
	char *write_refused;   /* why nothing may be written here (features, state, errors), or NULL */
	bool kernel_may;       /* set by a reader: write_refused is a limit of its own and no fault; the kernel could write */
	bool by_kernel;        /* and it can here: node_fs_writable opens it so. Not refused, then, but by this reader */
	uint64_t used, free;   /* bytes, 0 where the back end cannot tell */
	int64_t last_write, last_mount; /* the superblock's times, 0: unknown */
};
void fs_close(struct fs *);
DEFINE_CLEANUP(struct fs *, fs, fs_close)
#define cleanup_fs cleanup(cleanup_fsp)

/* All of these walk component by component inside this file system: symbolic links are followed (at most
 * 40) with this file system's root as "/", ".." at the root stays there; nothing ever leaves the image.
 * A path that leaves for another mounted volume is the business of vm/mounts. -ENOENT, -ENOTDIR, -ELOOP. */
enum { FS_NOFOLLOW = 1 };        /* do not follow the last component */
int fs_stat(struct fs *, const char *path, int flags, struct fs_stat *ret, struct err *e);
int fs_list(struct fs *, const char *path, int (*fn)(void *arg, const char *name), void *arg, struct err *e);
int fs_readlink(struct fs *, const char *path, char **ret, struct err *e);
int fs_read(struct fs *, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n, struct err *e);
/* A whole regular file (never a FIFO, device or socket: -EINVAL) of at most max bytes (-EFBIG above);
 * NUL-terminated for comfort. *ret is the caller's to free. */
int fs_slurp(struct fs *, const char *path, size_t max, char **ret, size_t *ret_n, struct err *e);
/* The path with all links resolved (malloc'd). */
int fs_resolve(struct fs *, const char *path, int flags, char **ret, struct err *e);
int fs_replace(struct fs *, const char *path, const void *buf, size_t len, struct err *e);
int fs_rename(struct fs *, const char *path, const char *new_name, struct err *e);
int fs_sync(struct fs *, struct err *e);
int fs_xattrs(struct fs *, const char *path, int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg, struct err *e);

#endif
