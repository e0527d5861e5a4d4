/* SPDX-License-Identifier: MIT */
/* LUKS1: one binary header of 592 bytes, big-endian, no checksum (LUKS1 on-disk-format 1.2.3). Offsets count
 * 512-byte sectors. A payload offset of 0 means that the header is detached. Magic that ends in DE AD instead
 * of BA BE was put there by an offline re-encryption that was interrupted. A header whose key areas overlap
 * one another or the payload is a header all the same, but no key may be tried on it: `refused` says why. */
#include "format/luks_parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

enum {
	SLOTS = 8,
	SLOT_ACTIVE = 0x00ac71f3,
	SLOT_FREE = 0x0000dead,
	KEY_MIN = 16,
	KEY_MAX = 64,
	/* eight slots of the largest key take 2 MiB; nothing that is meant well lies further out */
	MAX_TOTAL = 128 << 20,
};

struct luks1_slot_disk {
	be32 active, iterations;
	uint8_t salt[32];
	be32 offset, stripes;
};
struct luks1_header_disk {
	uint8_t magic[6];
	be16 version;
	char cipher[32], mode[32], hash[32];
	be32 payload_offset, key_bytes;
	uint8_t digest[20], digest_salt[32];
	be32 digest_iterations;
	char uuid[40];
	struct luks1_slot_disk slots[SLOTS];
};
static_assert(sizeof(struct luks1_slot_disk) == 48, "LUKS1 key slot on disk");
static_assert(sizeof(struct luks1_header_disk) == 592, "LUKS1 header on disk");

/* 1 sound, 0 refused is set. All eight slots count, free ones too: that is how the format is checked
 * everywhere. */
static int check_areas(const struct luks1_header_disk *d, uint64_t area, struct luks_info *ret)
{
	uint64_t payload = (uint64_t)be32_get(d->payload_offset) * LUKS_SECTOR;

	for (int i = 0; i < SLOTS; i++) {
		uint64_t start = (uint64_t)be32_get(d->slots[i].offset) * LUKS_SECTOR;

		if (be32_get(d->slots[i].stripes) != LUKS_STRIPES)
			return err_set(&ret->refused, 0, "key slot %d has %u stripes, not %d", i,
				       be32_get(d->slots[i].stripes), LUKS_STRIPES);
		if (start < sizeof(*d))
			return err_set(&ret->refused, 0, "key slot %d begins inside the header", i);
		if (start + area > MAX_TOTAL)
			return err_set(&ret->refused, 0, "key slot %d lies at byte %ju, far outside a header",
				       i, (uintmax_t)start);
		if (payload && start + area > payload)
			return err_set(&ret->refused, 0, "key slot %d overlaps the payload", i);
		for (int j = 0; j < i; j++) {
			uint64_t other = (uint64_t)be32_get(d->slots[j].offset) * LUKS_SECTOR;

			if (start < other + area && other < start + area)
				return err_set(&ret->refused, 0, "key slots %d and %d overlap", j, i);
		}
		if (start + area > ret->hdr_size)
			ret->hdr_size = start + area;
	}
	return 1;
}

static void read_slot(const struct luks1_slot_disk *s, int id, uint64_t area, struct luks_info *ret)
{
	struct luks_slot *slot;

	if (be32_get(s->active) == SLOT_FREE)
		return;
	if (be32_get(s->active) != SLOT_ACTIVE) {
		err_set(&ret->damage, 0, "key slot %d is neither in use nor free", id);
		return;
	}
	slot = &ret->slots[ret->nslots++];
	slot->id = id;
	slot->active = true;
	snprintf(slot->kdf, sizeof(slot->kdf), "pbkdf2");
	snprintf(slot->hash, sizeof(slot->hash), "%s", ret->digest_hash);
	slot->iterations = be32_get(s->iterations);
	slot->cpus = 1;
	slot->key_size = ret->key_size;
	snprintf(slot->area_cipher, sizeof(slot->area_cipher), "%s", ret->cipher);
	slot->area_offset = (uint64_t)be32_get(s->offset) * LUKS_SECTOR;
	slot->area_size = area;
	slot->priority = 1;
}

static void read_segment(struct luks_info *ret)
{
	struct luks_segment *s = &ret->segments[ret->nsegments++];

	snprintf(s->type, sizeof(s->type), "crypt");
	s->offset = ret->payload_offset;
	s->sector_size = LUKS_SECTOR;
	snprintf(s->cipher, sizeof(s->cipher), "%s", ret->cipher);
}

static void read_fields(const struct luks1_header_disk *d, struct luks_info *ret)
{
	char name[33], mode[33];

	luks_text(name, sizeof(name), d->cipher, sizeof(d->cipher));
	luks_text(mode, sizeof(mode), d->mode, sizeof(d->mode));
	if (snprintf(ret->cipher, sizeof(ret->cipher), "%s-%s", name, mode) >= (int)sizeof(ret->cipher))
		ret->cipher[sizeof(ret->cipher) - 2] = '?'; /* a cut name must not look like a shorter one */
	luks_text(ret->digest_hash, sizeof(ret->digest_hash), d->hash, sizeof(d->hash));
	luks_text(ret->uuid, sizeof(ret->uuid), d->uuid, sizeof(d->uuid));
	ret->digest_iterations = be32_get(d->digest_iterations);
	ret->key_size = be32_get(d->key_bytes);
	ret->payload_offset = (uint64_t)be32_get(d->payload_offset) * LUKS_SECTOR;
	ret->sector_size = LUKS_SECTOR;
	ret->hdr_size = sizeof(*d);
}

int luks1_read(struct blk *hdr, struct luks_info *ret, struct err *e)
{
	static const uint8_t magic[6] = { 'L', 'U', 'K', 'S', 0xba, 0xbe },
			     stopped[6] = { 'L', 'U', 'K', 'S', 0xde, 0xad };
	struct luks1_header_disk d;
	uint64_t area;
	int r;

	if (hdr->size < sizeof(d))
		return 0;
	r = blk_pread(hdr, &d, sizeof(d), 0, e);
	if (r < 0)
		return r;
	if ((memcmp(d.magic, magic, 6) != 0 && memcmp(d.magic, stopped, 6) != 0) || be16_get(d.version) != 1)
		return 0;

	ret->version = 1;
	ret->in_flight_magic = memcmp(d.magic, stopped, 6) == 0;
	read_fields(&d, ret);
	if (ret->in_flight_magic)
		err_set(&ret->refused, 0, "an offline re-encryption was interrupted");
	if (ret->key_size < KEY_MIN || ret->key_size > KEY_MAX) {
		err_set(&ret->refused, 0, "a volume key of %u bytes", ret->key_size);
		ret->total_size = 4096;
		return 1;
	}
	area = luks_area_size(ret->key_size);
	if (check_areas(&d, area, ret) > 0)
		for (int i = 0; i < SLOTS; i++)
			read_slot(&d.slots[i], i, area, ret);
	read_segment(ret);
	ret->total_size = (ret->hdr_size + 4095) / 4096 * 4096;
	return 1;
}
