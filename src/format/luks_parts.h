/* SPDX-License-Identifier: MIT */
/* What the files of the LUKS reader share with one another. Nothing else includes this. */
#ifndef FORMAT_LUKS_PARTS_H
#define FORMAT_LUKS_PARTS_H

#include "format/luks.h"

enum {
	LUKS_STRIPES = 4000,
	LUKS_SECTOR = 512,
	LUKS2_MAX_HDR = 4 << 20,        /* one copy: binary header and JSON */
	LUKS2_BIN = 4096,               /* the binary header in front of the JSON */
	LUKS2_MAX_DEPTH = 32,           /* of its JSON */
};

/* 1 a LUKS1 header, 0 none, <0 I/O. */
int luks1_read(struct blk *hdr, struct luks_info *ret, struct err *e);
/* 1 a LUKS2 header (perhaps broken), 0 none, <0 I/O. */
int luks2_read(struct blk *hdr, struct luks_info *ret, struct err *e);
/* The JSON area of one copy: fills slots, segments, requirements and what hangs on them. 1, or -EBADMSG with the reason
 * why this copy cannot be believed, -ENOMEM. hdr_size is the copy's. */
int luks2_json_read(const char *area, size_t size, uint64_t hdr_size, struct luks_info *ret, struct err *e);
/* luks2_text.c: the length of the object that the text begins with, walked without allocating, or 0 with why set; and
 * standard base64 without line ends: how many bytes, 0 where it is none, or too long for the room. */
size_t luks2_measure(const char *p, size_t n, struct err *why);
unsigned luks2_decode(const char *s, uint8_t *out, unsigned room);
/* Fills refused, and bad of each slot. */
void luks_judge(struct luks_info *);
/* A string of the disk for messages and comparisons: cut to the room, what is not printable ASCII becomes '?'. */
void luks_text(char *out, size_t room, const void *bytes, size_t n);
/* Bytes that the anti-forensic split of a key takes, in whole sectors; 0: more than a key can be. */
uint64_t luks_area_size(uint64_t key_size);

/* luks_hotzone.c: a zone whose blocks are converted or not, which the checksums of what was there before tell. All four
 * are read from byte 0; before and after are its content where it is not converted and where it is. */
struct luks_zone {
	struct blk *raw, *sums, *before, *after;
	const char *hash;
	unsigned block;
};
int luks_open_zone(const struct luks_zone *, struct blk **ret, struct err *e);
/* Bytes of which nothing tells whether they were converted: every read of them fails and says so. */
int luks_open_untold(uint64_t len, struct blk **ret, struct err *e);
/* The same bytes, never to be written. */
int luks_open_lid(struct blk *under, struct blk **ret, struct err *e);

#endif
