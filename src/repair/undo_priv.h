/* SPDX-License-Identifier: MIT */
/* What the files of this folder share about undo files: the layout in memory, the limits, and the four state records. */
#ifndef REPAIR_UNDO_PRIV_H
#define REPAIR_UNDO_PRIV_H

#include "repair/undo.h"

enum {
	UNDO_SECTOR = 512,              /* what a disk writes whole or not at all */
	UNDO_BLOCK = 4096,              /* what a 4Kn disk or a page cache writes whole: a state record has one for itself */
	UNDO_CHUNK = 1 << 20,           /* of one read or write */
	UNDO_MAX_DISKS = 64,
	UNDO_MAX_CHANGES = 1000000,
	UNDO_MAX_WATCHES = 4096,
	UNDO_MAX_WATCHED = 64 << 20,    /* bytes of all watches */
	UNDO_MAX_NAME = 4096,
	UNDO_MAX_FACTS = 16 << 20,
	UNDO_MAX_BYTES = 1 << 30,       /* changed by one run, all disks together */
	UNDO_EDGE = 64 << 10,           /* the head and the tail of a disk that its identity covers */
};

/* The state records, in the order in which they lie behind the body. */
enum undo_slot { SLOT_ARM, SLOT_DONE, SLOT_UNDOING, SLOT_UNDONE, SLOT_COUNT };
enum undo_slot_is { SLOT_EMPTY, SLOT_GOOD, SLOT_BAD };

struct undo_file {
	struct change_set cs;
	bool whole;                     /* the body was read and verified; cs has all of it */
	uint64_t body_len;
	uint8_t header_sha[32];         /* of the header's sector: binds the state records to it */
	enum undo_slot_is slot[SLOT_COUNT];
};
void undo_file_done(struct undo_file *);
/* An undo that was begun and not ended is RUN_ARMED with *ret_undoing true. */
enum run_state undo_file_state(const struct undo_file *, bool *ret_undoing);

/* Is the set well formed and within the limits? Bytes are looked at only where they are there. -EINVAL with the sentence. */
int undo_check_set(const struct change_set *, struct err *e);
/* The first change of the disk that ends behind off, or of a later disk, or cs->n. */
size_t undo_first_change(const struct change_set *, unsigned disk, uint64_t off);
/* The parts of [off, off+len) that changes cover: *i begins with undo_first_change; false at the end. */
struct undo_overlap { const struct change *change; size_t in_range, in_change, len; };
bool undo_next_overlap(const struct change_set *, unsigned disk, uint64_t off, uint64_t len, size_t *i, struct undo_overlap *ret);
uint64_t undo_body_len(const struct change_set *);
uint64_t undo_file_len(uint64_t body_len);
/* Header, body and empty state records. Fills f but for f->cs. */
int undo_write_set(struct wio *, const struct change_set *, struct undo_file *f, struct err *e);
/* The body once more from the file: its digest must be the one that f's header has. */
int undo_verify_body(struct wio *, const struct undo_file *f, struct err *e);
/* One state record, its sync, and a look whether it is there. */
int undo_write_slot(struct wio *, const struct undo_file *, enum undo_slot, struct err *e);
/* Read and verify. with_bytes false: the bytes of changes and watches are verified, not kept. */
int undo_load(struct wio *, bool with_bytes, struct undo_file *ret, struct err *e);

/* The name of a disk for a message: printable ASCII, at most 63 bytes. */
const char *undo_disk_name(const struct change_set *, unsigned disk, char buf[64]);

#endif
