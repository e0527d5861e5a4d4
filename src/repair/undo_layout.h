/* SPDX-License-Identifier: MIT */
/* The undo file as it lies on the disk (doc/undo-format.md). */
#ifndef REPAIR_UNDO_LAYOUT_H
#define REPAIR_UNDO_LAYOUT_H

#include <assert.h>

#include "base/bytes.h"
#include "repair/undo_priv.h"

enum { UNDO_VERSION = 1, UNDO_HAS_MACHINE = 1, UNDO_HAS_FACTS = 2 };
enum undo_record_type { REC_DISK = 1, REC_MACHINE, REC_FACTS, REC_CHANGE, REC_WATCH };

#define UNDO_HEADER_MAGIC "aderescue undo\r\n"
#define UNDO_STATE_MAGIC "aderescue state\n"
#define UNDO_RECORD_MAGIC "adeR\r\n\032\n"

struct undo_header_disk {
	char magic[16];
	le32 version, header_len;
	le64 body_len, file_len;
	le32 ndisks, nchanges, nwatches, flags;
	char run[32];
	char plan_id[24];
	uint8_t body_sha[32];
	uint8_t reserved[364];
	le32 crc;
};
static_assert(sizeof(struct undo_header_disk) == UNDO_SECTOR, "one sector");

struct undo_record_disk {
	char magic[8];
	le32 type, disk;
	le64 off, len;
	le32 payload_crc;
	uint8_t reserved[472];
	le32 crc;
};
static_assert(sizeof(struct undo_record_disk) == UNDO_SECTOR, "one sector");

struct undo_identity_disk {
	le64 size;
	le32 sector, name_len, path_len;
	uint8_t digest[32];
	char serial[64];
	uint8_t reserved[12];
};
static_assert(sizeof(struct undo_identity_disk) == 128, "no holes");

struct undo_state_disk {
	char magic[16];
	le32 kind, zero;
	char run[32];
	uint8_t header_sha[32];
	uint8_t reserved[420];
	le32 crc;
};
static_assert(sizeof(struct undo_state_disk) == UNDO_SECTOR, "one sector");

static inline uint64_t undo_padded(uint64_t len, uint64_t to)
{
	return (len + to - 1) / to * to;
}
/* Where a state record lies. */
static inline uint64_t undo_slot_off(uint64_t body_len, enum undo_slot slot)
{
	return UNDO_BLOCK + body_len + (uint64_t)slot * UNDO_BLOCK;
}
static inline uint32_t undo_header_crc(const struct undo_header_disk *h)
{
	return bytes_crc32(0, h, offsetof(struct undo_header_disk, crc));
}
static inline uint32_t undo_record_crc(const struct undo_record_disk *r)
{
	return bytes_crc32(0, r, offsetof(struct undo_record_disk, crc));
}
static inline uint32_t undo_state_crc(const struct undo_state_disk *s)
{
	return bytes_crc32(0, s, offsetof(struct undo_state_disk, crc));
}

#endif
