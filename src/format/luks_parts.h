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
};

/* 1 a LUKS1 header, 0 none, <0 I/O. */
int luks1_read(struct blk *hdr, struct luks_info *ret, struct err *e);
/* 1 a LUKS2 header (perhaps broken), 0 none, <0 I/O. */
int luks2_read(struct blk *hdr, struct luks_info *ret, struct err *e);
/* The JSON area of one copy: fills slots, segments, requirements and what hangs on them. 1, or -EBADMSG with the reason
 * why this copy cannot be believed, -ENOMEM. hdr_size is the copy's. */
int luks2_json_read(const char *area, size_t size, uint64_t hdr_size, struct luks_info *ret, struct err *e);
/* Fills refused, and bad of each slot. */
void luks_judge(struct luks_info *);
/* A string of the disk for messages and comparisons: cut to the room, what is not printable ASCII becomes '?'. */
void luks_text(char *out, size_t room, const void *bytes, size_t n);
/* Bytes that the anti-forensic split of a key takes, in whole sectors; 0: more than a key can be. */
uint64_t luks_area_size(uint64_t key_size);

#endif
