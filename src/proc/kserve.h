/* SPDX-License-Identifier: MIT */
/* The file server of one mount by the kernel: a process that has this mount as its root and nothing else, and
 * answers typed requests of the child (packets as in wire.h). Paths are absolute and resolved: no links, no
 * "..". Files are named, never handed out; FIFOs, sockets and devices are never opened. */
#ifndef PROC_KSERVE_H
#define PROC_KSERVE_H

#include "base/err.h"
#include "fs/fs.h"
#include "proc/wire.h"

enum kfs_op {
	KFS_STAT = 100, /* payload: path -> struct fs_stat */
	KFS_LIST, /* path; c: where to go on -> names with their NULs; c: where to go on, a: 1 at the end */
	KFS_READLINK, /* path -> target */
	KFS_READ, /* path; a: offset, mode: length, at most KFS_PIECE -> bytes */
	KFS_XATTRS, /* path -> for each: name NUL, uint32_t length, value */
	KFS_RENAME, /* path NUL new name */
	KFS_REPLACE, /* path; fd: a memfd with the new content */
	KFS_SYNC,
	KFS_SPACE, /* -> struct kfs_space */
};
enum { KFS_PIECE = 64 * 1024, KFS_MAX_FILE = 64 << 20 };
struct kfs_space {
	uint64_t used, free;
};

/* The current folder, in a mount namespace and with rights that the caller has seen to, until the socket
 * ends. Never returns. buf: WIRE_MAX + 1 bytes. */
void kserve(int sock, char *buf) __attribute__((noreturn));

#endif
