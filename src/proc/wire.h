/* SPDX-License-Identifier: MIT */
/* The messages between the two processes: one SOCK_SEQPACKET packet each, a fixed head and at most WIRE_MAX bytes, and
 * perhaps one descriptor. Every request gets exactly one answer. */
#ifndef PROC_WIRE_H
#define PROC_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum wire_op {
	WIRE_EXPORT,      /* -> id, fd: a mounted /dev/fuse */
	WIRE_UNEXPORT,    /* id */
	WIRE_CHECK,       /* id, a: enum checker -> a: status (-1 killed), payload: output */
	WIRE_KCAN,        /* payload: a file system's name -> 0: the kernel could be asked to mount it */
	WIRE_KMOUNT,      /* id, a: 1 to write, payload: a file system's name -> fd: the socket of its file server (kserve.h) */
	WIRE_KUMOUNT,     /* id: the file server ends, everything is written, mount and loop device are gone */
	WIRE_COMMIT,      /* fd: memfd with an undo file that is not armed; payload: disk indexes, then bounds -> payload: path, a: size, sha256 */
	WIRE_MKDIR,       /* payload: rel; mode */
	WIRE_CREATE,
	WIRE_WRITE,       /* a: offset; payload: bytes */
	WIRE_FINISH,      /* a: size; mode, uid, gid; c: mtime */
	WIRE_SYMLINK,     /* payload: rel NUL target */
	WIRE_XATTR,       /* payload: name NUL value */
	WIRE_DIRMETA,
	WIRE_ANSWER,
};
enum { WIRE_MAX = 128 * 1024 };
struct wire {
	uint32_t op;
	int32_t code;             /* answers: 0 or -errno; then the payload is the sentence */
	uint64_t a;
	int64_t c;
	uint32_t mode, uid, gid;
	uint32_t len;             /* of the payload */
	uint32_t id, pad;         /* which export */
};
/* A run of bytes of a disk that a commit may change. */
struct wire_bound { uint32_t disk, pad; uint64_t off, len; };

/* Send one packet; fd -1: none. 0 or -errno. */
int wire_send(int sock, const struct wire *w, const void *payload, int fd);
/* Receive one; buf has WIRE_MAX + 1 bytes and is NUL-terminated. *ret_fd is -1 where none came. 0 at the end of the stream, 1 got one, -errno. */
int wire_recv(int sock, struct wire *w, char *buf, int *ret_fd);

#endif
