/* SPDX-License-Identifier: MIT */
/* Between the files that read an initramfs image: bytes as they come (initramfs_source.c), and what a member's name and text
 * say (initramfs_member.c). */
#ifndef VM_INITRAMFS_PARTS_H
#define VM_INITRAMFS_PARTS_H

#include <time.h>
#include "vm/initramfs.h"

/* The image's file, and what may still be spent on it. */
struct image {
	struct fs *fs;
	const char *path;
	uint64_t size, off;             /* off: next byte to read */
	uint64_t spent, next_look;      /* bytes read and unpacked; when to look at the clocks again */
	struct timespec cpu, wall;      /* when it began */
};
int image_open(struct image *, struct fs *, const char *path, struct err *e);
/* n more bytes were gone through: -EFBIG, -ETIME where that is too much. */
int image_spend(struct image *, uint64_t n, struct err *e);

/* Bytes in order, of the file itself or of what is packed in it. */
struct archive;
struct source {
	struct image *image;
	struct archive *archive;        /* NULL: the file's own bytes */
	uint8_t *buf;                   /* of the file */
	const uint8_t *p; size_t n;     /* at hand */
	uint64_t used;                  /* bytes taken so far */
	uint64_t start;                 /* where in the file it begins */
	bool failed;                    /* what follows cannot be had: not the end */
	bool sum; uint32_t crc; uint64_t out;   /* of gzip, whose check sum libarchive does not look at */
	struct err read_why;            /* of the reads below the unpacker */
};
void source_raw(struct source *, struct image *, uint64_t off);
/* The compression that begins with these 6 bytes; NULL: none that is known. */
const char *source_packing(const uint8_t magic[6]);
/* -EOPNOTSUPP: known by name only. */
int source_packed(struct source *, struct image *, uint64_t off, const char *packing, struct err *e);
void source_done(struct source *);
#define cleanup_source cleanup(source_done)
/* Exactly n bytes; buf NULL: pass over them. -ENODATA at the end (with none or fewer than n left). */
int source_take(struct source *, void *buf, uint64_t n, struct err *e);
/* Pass over zeroes. */
int source_skip_zeroes(struct source *, struct err *e);
/* Where in the file a packed part ended. */
uint64_t source_end(const struct source *);
/* The check sum behind a gzip part that was read to its end; -EBADMSG where it differs. */
int source_check(const struct source *, struct err *e);

enum member { MEMBER_PLAIN, MEMBER_TEXT, MEMBER_HEADER };
/* Note what the name tells; should the content be looked at? regular: not a link or a directory. */
enum member member_name(struct initramfs *, const char *name, bool regular);
/* text: NUL-terminated. -ENOMEM */
int member_text(struct initramfs *, const char *name, const char *text, size_t n, struct err *e);

#endif
