/* SPDX-License-Identifier: MIT */
/* A run of bytes that can be read, and perhaps written, at any offset. A read is whole or an error; there
 * are no short reads. 0 or -errno. Offsets come from hostile disks: a bad range is -ERANGE, not an assert.
 * Reads and writes of blks made by the functions below may come from several threads: layers that keep state
 * (overlay, crypt) take one lock for all. Everything else (opening, references, marks being restored) is for one
 * thread; so is a range that one thread writes while another reads it. */
#ifndef BLK_BLK_H
#define BLK_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"

struct blk;
struct blk_ops {
	const char *kind;                         /* "file", "overlay", "map", "crypt", "mem" */
	int (*pread)(struct blk *, void *buf, size_t len, uint64_t off, struct err *e);
	int (*pwrite)(struct blk *, const void *buf, size_t len, uint64_t off, struct err *e);
	void (*close)(struct blk *);              /* drops its refs on what lies under it */
	/* where the range lies in what is under it, piece by piece; NULL: it has no one place (blk_places) */
	int (*below)(struct blk *, uint64_t off, uint64_t len, int (*fn)(void *arg, struct blk *under, uint64_t off, uint64_t len), void *arg);
};
struct blk {                                      /* first member of every layer's own struct */
	const struct blk_ops *ops;                /* pwrite NULL: read-only, for good */
	uint64_t size;                            /* bytes, fixed when opened */
	uint32_t align;                           /* ops see only multiples of this; blk.c bounces */
	unsigned refs;
};

int blk_pread(struct blk *, void *buf, size_t len, uint64_t off, struct err *e);
int blk_pwrite(struct blk *, const void *buf, size_t len, uint64_t off, struct err *e);
bool blk_is_writable(const struct blk *);         /* false: every blk_pwrite is -EROFS */
struct blk *blk_ref(struct blk *);                /* returns it; NULL is fine */
void blk_unref(struct blk *);                     /* NULL is fine; the last one closes */
/* The layers' lock; may be taken again by its holder. Held while a layer looks at its own state and what lies
 * directly under an overlay, never while another process is waited for. */
void blk_lock(void);
void blk_unlock(void);
DEFINE_CLEANUP(struct blk *, blk, blk_unref)
#define cleanup_blk cleanup(cleanup_blkp)

/* A descriptor opened O_RDONLY by somebody else; dup'ed here. size is what the caller found (fstat or
 * BLKGETSIZE64). A read past what the file has by now is -EIO ("ended at byte N"). name is for messages. */
int blk_open_file(int fd, uint64_t size, const char *name, struct blk **ret, struct err *e);
/* Bytes read from all file layers of this process so far, and a count of reads. */
void blk_file_stats(uint64_t *ret_bytes, uint64_t *ret_reads);

/* A copy of buf (readable and writable); buf NULL: zeroes. */
int blk_open_mem(const void *buf, size_t len, struct blk **ret, struct err *e);

/* Writes land in memory, in blocks of 4096; the layer below is never written. */
int blk_open_overlay(struct blk *under, struct blk **ret, struct err *e);
/* Runs of changed blocks in ascending order, neighbours joined; only blocks whose bytes differ from what
 * lies below. old_ and new_ are len bytes each, valid during the call; len is a multiple of 512 (the last
 * run ends at the device's end). A non-zero answer of fn ends the walk and is returned. */
int blk_overlay_walk(struct blk *overlay,
		     int (*fn)(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len),
		     void *arg, struct err *e);
/* Where a range of a volume lies on the disks: fn is called with each overlay at the bottom and a range in it, which is no
 * smaller than what may be written. A non-zero answer of fn ends the walk and is returned. -EOPNOTSUPP: some of it lies
 * nowhere, or not above an overlay. */
int blk_places(struct blk *, uint64_t off, uint64_t len, int (*fn)(void *arg, struct blk *under, uint64_t off, uint64_t len), void *arg, struct err *e);
/* Forget all writes. */
void blk_overlay_reset(struct blk *overlay);
/* A frozen copy of the writes so far, to come back to with blk_overlay_restore (which frees it). */
struct overlay_mark;
int blk_overlay_mark(struct blk *overlay, struct overlay_mark **ret, struct err *e);
void blk_overlay_restore(struct blk *overlay, struct overlay_mark *mark);
void blk_overlay_mark_free(struct overlay_mark *mark);   /* when there is no way back; NULL is fine */

struct extent {
	uint64_t start, len;                      /* in the map; contiguous from 0, in order */
	struct blk *under;                        /* NULL: reads as zeroes, not writable */
	uint64_t off;                             /* in under */
};
/* The map takes its own refs. Extents that leave their device or do not join up: -ERANGE. */
int blk_open_map(const struct extent *x, size_t n, struct blk **ret, struct err *e);
/* One window of under: the common map. */
int blk_open_window(struct blk *under, uint64_t off, uint64_t len, struct blk **ret, struct err *e);
/* Chunks (a power of two of bytes) dealt out to n legs in turn. Of each leg under, off and len count; all are as
 * long, and whole chunks. */
enum { STRIPE_MAX_LEGS = 128 };
int blk_open_stripe(const struct extent *legs, size_t n, uint64_t chunk, struct blk **ret, struct err *e);

struct crypt_params {
	const struct secret *key;                 /* 32 or 64 bytes: AES-128 or AES-256 in XTS; copied */
	uint64_t offset;                          /* payload begins here in under, bytes */
	uint64_t size;                            /* payload length, bytes; 0: to the end */
	uint64_t iv_offset;                       /* plain64 start, in 512-byte units */
	uint32_t sector_size;                     /* 512 to 4096; plain64 counts 512-byte units even so */
};
int blk_open_crypt(struct blk *under, const struct crypt_params *p, struct blk **ret, struct err *e);

/* A stage: bytes of a blk in a sealed memfd, for libraries that insist on a path or descriptor. The memfd has
 * size `size` (sparse) and holds the given ranges, at most 512 MiB of them; all else reads as zero. */
struct stage_range { uint64_t off, len; };
int blk_stage(struct blk *, uint64_t size, const struct stage_range *r, size_t n, int *ret_fd, struct err *e);
/* The window that libblkid wants: whole up to 64 MiB, else the first 4 MiB + 128 KiB and the last 2 MiB. */
int blk_stage_probe(struct blk *, int *ret_fd, struct err *e);

#endif
