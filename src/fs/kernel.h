/* SPDX-License-Identifier: MIT */
/* The kernel as one more back end: for file systems that nothing here reads (btrfs), and for all writes that
 * our own readers must not do (XFS, ext4 with quotas). Root only. */
#ifndef FS_KERNEL_H
#define FS_KERNEL_H

#include "graph.h"

struct broker;
/* A hook for graphs whose child process has this broker; NULL forgets it. The hook is the caller's and
 * outlives the graph. */
void kernel_hook_init(struct kernel_hook *, struct broker *);
/* Mount the node's bytes (its overlay) and read, or write as well. Nothing may be left of the node's own file
 * system's caches. While it is open nobody else writes to these bytes. fs_sync unmounts, so that everything
 * is in the overlay; reading on mounts it again, for reading only. The errors: -EOPNOTSUPP where it is not
 * possible here at all, -EBUSY where an equal file system is in the way, else what went wrong. */
int kernel_fs_open(struct broker *, struct node *, bool write, struct fs **ret, struct err *e);

#endif
