/* SPDX-License-Identifier: MIT */
/* A file inside an image as a run of bytes: so that a 32 MiB header is read where it lies, a few sectors at a
 * time. */
#ifndef FS_FSFILE_H
#define FS_FSFILE_H

#include "graph.h"

/* The first max bytes (or all) of a regular file in a node's file system; read-only. The node is borrowed and
 * must outlive every read; its file system may be forgotten and opened again in between. Closing touches
 * neither. -EINVAL: not a regular file. */
int blk_open_fsfile(struct node *, const char *path, uint64_t max, struct blk **ret, struct err *e);

#endif
