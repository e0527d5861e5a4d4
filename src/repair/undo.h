/* SPDX-License-Identifier: MIT */
/* The undo file and the armed/done protocol (doc/undo-format.md). All disk and log I/O goes through struct wio, so that tests can
 * end it after any operation; the real one is in commit.c, the only file that opens a disk for writing. */
#ifndef REPAIR_UNDO_H
#define REPAIR_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct blk;

/* Who a disk is, by content: computed with every changed range read as zeroes, so that it is the same before, after and in between. */
struct disk_identity {
	char *name, *path;              /* for people, and a hint where to look: never trusted */
	uint64_t size;
	uint32_t sector;
	uint8_t digest[32];             /* SHA-256 over size (64 bit, little-endian), first 64 KiB and last 64 KiB, changed ranges as zeroes */
	char serial[64];                /* of sysfs, "" for images; shown, and compared where both have one */
};
/* One run of changed bytes. Multiples of 512 (but for the device's end). */
struct change { unsigned disk; uint64_t off; size_t len; uint8_t *old_, *new_; };
/* Bytes to compare and never to write: superblocks, log heads of the file systems touched; as they are after the commit. */
struct watch { unsigned disk; uint64_t off; size_t len; uint8_t *bytes; };
struct change_set {
	struct disk_identity *disks; size_t ndisks;   /* only disks with changes */
	struct change *v; size_t n;                   /* by disk, then offset; disjoint */
	struct watch *watches; size_t nwatches;
	char run[32];                                 /* YYYYMMDDTHHMMSSZ-xxxx */
	char plan_id[17];
	char *machine;
	char *facts;                                  /* JSON text: tool version, edits, verdicts, operator's words, by-hand commands */
};
void change_set_done(struct change_set *);

/* I/O of a commit. file is an index: 0..ndisks-1 the disks, LOG the undo file. -errno. */
enum { WIO_LOG = -1 };
struct wio {
	int (*pread)(struct wio *, int file, void *buf, size_t len, uint64_t off);
	int (*pwrite)(struct wio *, int file, const void *buf, size_t len, uint64_t off);
	int (*sync)(struct wio *, int file);
	int (*sync_dir)(struct wio *);                /* the undo file's folder */
	int (*reserve)(struct wio *, uint64_t len);   /* room for the undo file */
	uint64_t (*size)(struct wio *, int file);
};
enum run_state { RUN_NONE /* not complete: nothing was written to a disk */, RUN_ARMED, RUN_DONE, RUN_UNDONE };

/* Write the undo file, arm it, write the disks, read back, mark done. Before arming every change's old bytes are compared with the
 * disk: -ESTALE where they differ (exit 12). After arming a failure leaves the run armed; -EIO with e saying so. */
int undo_commit(struct wio *, const struct change_set *, struct err *e);
/* Read and verify an undo file: all CRCs and digests. -EBADMSG: not one, or damaged, saying where. Where the run was never armed and the body is
 * not whole, *ret_state is RUN_NONE and ret has the run's name and nothing else. A run whose undo was cut short is RUN_ARMED. */
int undo_read(struct wio *, struct change_set *ret, enum run_state *ret_state, struct err *e);
/* Take the run back: every extent must be new (done), or old or new in each 512-byte sector (armed); else -ESTALE listing the first ranges. Watches must
 * be as after the commit (armed: their bytes outside of the changes), else -ESTALE: used since. RUN_UNDONE afterwards. -EALREADY: it is taken back
 * already. -ENODATA: it was never armed, nothing was written to a disk. -EIO: cut short, the run stays armed, the same call goes on. */
int undo_run(struct wio *, struct err *e);
/* Finish an armed run. -EALREADY: done, or taken back. -EPERM: its undo has begun, so that only undo_run can go on. Else as undo_run. */
int undo_resume(struct wio *, struct err *e);
/* The same set as an undo file that is not armed, written to (read from) a descriptor of a memfd: the wire form between the two processes. Reading
 * takes an undo file in any state, but a whole one: -EBADMSG. */
int undo_write_image(int fd, const struct change_set *, struct err *e);
int undo_read_image(int fd, struct change_set *ret, struct err *e);
/* The identity digest of a disk read through wio, with cs's changes of that disk as zeroes. */
int undo_identity(struct wio *, int file, const struct change_set *cs, unsigned disk, uint8_t ret[32], struct err *e);

/* ---- for the process that stages a plan: by blk, without any wio ---- */
/* Fill ret (name and path are copied) from the raw disk, with the given changes of that disk as zeroes. On failure ret is untouched. */
int disk_identify(struct blk *raw, const char *name, const char *path, uint32_t sector, const char *serial, const struct change *changes, size_t n,
		  unsigned disk, struct disk_identity *ret, struct err *e);
/* Append what differs in the overlay (blk_overlay_walk) to cs->v as changes of this disk: only 512-byte sectors that differ and lie inside one of the
 * bounds; no change crosses from one bound into another. What lies outside is left out on purpose: journals replayed only for reading.
 * Call it disk by disk in ascending order. -EFBIG: more than one run may change. */
struct change_bound { uint64_t off, len; };
int change_set_collect(struct blk *overlay, unsigned disk, const struct change_bound *bounds, size_t nbounds, struct change_set *cs, struct err *e);

#endif
