/* SPDX-License-Identifier: MIT */
/* The failed system's whole tree: several file systems mounted at places, walked as one. Links are resolved
 * inside the tree, component by component, crossing into the mounted file systems; ".." at "/" stays. */
#ifndef FS_TREE_H
#define FS_TREE_H

#include "fs/fs.h"

struct node;
struct mount {
	char *at;                  /* "/", "/var", "/boot": no trailing slash but for the root */
	struct fs *fs;             /* borrowed; NULL: something is mounted there that cannot be read */
	const struct node *node;   /* borrowed; NULL where the device is not attached */
	char *why;                 /* why fs is NULL */
};
struct tree {
	struct mount *v;
	size_t n;
};
/* Takes at and why by copy. */
int tree_mount(struct tree *, const char *at, struct fs *, const struct node *, const char *why, struct err *e);
void tree_done(struct tree *);
/* Which mount holds path after all links, and the path in it. -ENOENT; -ENODEV: the path leads into a mount that
 * cannot be read (e has why). *ret_path is malloc'd, absolute in the mount's fs. flags: FS_NOFOLLOW. */
int tree_resolve(const struct tree *, const char *path, int flags, const struct mount **ret, char **ret_path, struct err *e);
int tree_stat(const struct tree *, const char *path, int flags, struct fs_stat *ret, struct err *e);
int tree_list(const struct tree *, const char *path, int (*fn)(void *arg, const char *name), void *arg, struct err *e);
int tree_readlink(const struct tree *, const char *path, char **ret, struct err *e);
int tree_read(const struct tree *, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n, struct err *e);
int tree_slurp(const struct tree *, const char *path, size_t max, char **ret, size_t *ret_n, struct err *e);

#endif
