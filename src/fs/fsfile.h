/* SPDX-License-Identifier: MIT */
/* A file inside an image as a run of bytes: so that a 32 MiB header is read where it lies, a few sectors at a
 * time. */
#ifndef FS_FSFILE_H
#define FS_FSFILE_H

#include "fs/fs.h"

/* The first max bytes (or all) of a regular file; read-only. The fs is borrowed and must outlive every read;
 * closing does not touch it. -EINVAL: not a regular file. */
int blk_open_fsfile(struct fs *, const char *path, uint64_t max, struct blk **ret, struct err *e);

#endif
