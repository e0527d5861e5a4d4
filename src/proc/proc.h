/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#ifndef PROC_PROC_H
#define PROC_PROC_H

#include <sys/types.h>

#include "proc/broker.h"

struct broker {
	int sock;
	char *buf;                              /* WIRE_MAX + 1 bytes: the last answer's payload */
};
/* Send, wait for the answer; w becomes its head, b->buf its payload. A refusal comes back as its code and sentence. */
int broker_ask(struct broker *, struct wire *w, const void *payload, int fd, int *ret_fd, struct err *e);

/* ---- parent ---- */
/* Mounts by the kernel of an exported file. */
struct kmount { bool begun, mounted; pid_t server; int loop; bool is_btrfs; };
/* 0, or -EOPNOTSUPP and what is missing; the private namespace apart. */
int kmount_can(const char *fmt, struct err *e);
/* dir: of the place, with fuse/disk, mnt/ and dev/ in it. *ret_sock: to the file server. */
int kmount_start(struct kmount *, const char *dir, const char *fmt, bool write, int *ret_sock, struct err *e);
int kmount_stop(struct kmount *, const char *dir, struct err *e);

/* FUSE: on first use a private mount namespace and in it one folder, which in there is a file system in memory; each export has a place below. */
enum { FUSE_PLACES = 32 };
struct fuse_place { bool used; struct kmount k; };
struct fuse_places { bool ready; char dir[40]; int lock; struct fuse_place v[FUSE_PLACES]; };
int fuse_places_prepare(struct fuse_places *, struct err *e);
int fuse_places_mount(struct fuse_places *, uint32_t *ret_id, int *ret_fd, struct err *e);
/* NULL: no such export. path has 64 bytes and becomes its folder. */
struct fuse_place *fuse_places_get(struct fuse_places *, uint32_t id, char *path);
void fuse_places_umount(struct fuse_places *, uint32_t id);
void fuse_places_close(struct fuse_places *);
/* Remove the empty folders that killed runs left. */
void fuse_places_sweep(void);
/* Run a checker on FILE, as nobody; output is the caller's buffer of cap bytes, NUL-terminated. *ret_status -1: killed, e says why. */
int checker_run(enum checker, const char *file, char *output, size_t cap, int *ret_status, struct err *e);

/* Files below one destination. */
struct outfiles { int dir; int file; bool keep_owner; char *single; };
int outfiles_open(struct outfiles *, const struct broker_options *, struct err *e);
int outfiles_serve(struct outfiles *, const struct wire *, const char *payload, struct err *e);
void outfiles_close(struct outfiles *);

#endif
