/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#ifndef PROC_PROC_H
#define PROC_PROC_H

#include "proc/broker.h"

struct broker {
	int sock;
	char *buf;                              /* WIRE_MAX + 1 bytes: the last answer's payload */
};
/* Send, wait for the answer; w becomes its head, b->buf its payload. A refusal comes back as its code and sentence. */
int broker_ask(struct broker *, struct wire *w, const void *payload, int fd, int *ret_fd, struct err *e);

/* ---- parent ---- */
/* FUSE: a private mount namespace on first use, a new folder for each mount. */
struct fuse_place { bool ready; char dir[64]; bool mounted; };
int fuse_place_mount(struct fuse_place *, int *ret_fd, struct err *e);
void fuse_place_umount(struct fuse_place *);
/* Run a checker on FILE, as nobody; output is the caller's buffer of cap bytes, NUL-terminated. *ret_status -1: killed, e says why. */
int checker_run(enum checker, const char *file, char *output, size_t cap, int *ret_status, struct err *e);

/* Files below one destination. */
struct outfiles { int dir; int file; bool keep_owner; char *single; };
int outfiles_open(struct outfiles *, const struct broker_options *, struct err *e);
int outfiles_serve(struct outfiles *, const struct wire *, const char *payload, struct err *e);
void outfiles_close(struct outfiles *);

#endif
