/* SPDX-License-Identifier: MIT */
/* MBR ("dos") partition tables with their chain of extended boot records, as the kernel reads them:
 * partitions 1 to 4, logical ones from 5 in the order of the chain. Sectors are 512 bytes unless the disk's
 * node says 4096.
 *
 * A sector 0 with 55 AA is not yet an MBR: refused are boot sectors of FAT, exFAT, NTFS and BitLocker,
 * headers of LUKS and XFS, boot flags other than 00 and 80, protective MBRs of a GPT, and tables without
 * one sound entry. The chain may have at most 128 records, none twice and none at sector 0; where it
 * breaks, what came before counts and the break is said. Tables nested in partitions (BSD, Solaris) are not
 * looked at. */
#include "format/format.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"
#include "format/fat.h"

enum {
	MBR_PRIMARY = 4, MBR_MAX_EBR = 128, MBR_MAX_LOGICAL = 128,
	MBR_MAX_PARTS = MBR_PRIMARY + MBR_MAX_LOGICAL,
};

struct mbr_entry_disk {
	uint8_t flags, chs_first[3], type, chs_last[3];
	le32 start, sectors;
};
static_assert(sizeof(struct mbr_entry_disk) == 16, "MBR entry");

struct mbr_disk {
	uint8_t code[440];
	le32 id;
	uint8_t reserved[2];
	struct mbr_entry_disk entries[4];
	uint8_t magic[2];
};
static_assert(sizeof(struct mbr_disk) == 512, "MBR");

struct mbr {
	uint32_t id;
	unsigned sector;
	struct part parts[MBR_MAX_PARTS];
	size_t n;
	unsigned logical;               /* how many of them */
	uint64_t seen[MBR_MAX_EBR];     /* EBRs, sector numbers */
	size_t nseen;
	struct err why;                 /* where the chain breaks */
};

static bool mbr_is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static int mbr_add(struct mbr *m, unsigned no, uint64_t start, const struct mbr_entry_disk *d)
{
	struct part *p;

	if (m->n >= MBR_MAX_PARTS)
		return err_set(&m->why, -EBADMSG, "more than %d logical partitions", MBR_MAX_LOGICAL);
	p = &m->parts[m->n++];
	p->no = no;
	p->start = start * m->sector;   /* below 2^33 sectors: cannot overflow */
	p->len = (uint64_t)le32_get(d->sectors) * m->sector;
	snprintf(p->type, sizeof(p->type), "0x%x", d->type);
	if (m->id)
		snprintf(p->uuid, sizeof(p->uuid), "%08" PRIx32 "-%02x", m->id, no);
	return 0;
}

/* The partitions of one EBR; *ret_next is the sector of the next one, 0: none. */
static int mbr_read_ebr(struct blk *blk, struct mbr *m, uint64_t base, uint64_t base_len, uint64_t at,
			uint64_t *ret_next)
{
	struct mbr_disk s;
	int r;

	*ret_next = 0;
	r = blk_pread(blk, &s, sizeof(s), at * m->sector, &m->why);
	if (r < 0)
		return r;
	if (s.magic[0] != 0x55 || s.magic[1] != 0xaa)
		return err_set(&m->why, -EBADMSG, "extended boot record at sector %" PRIu64 ": no signature",
			       at);

	for (size_t i = 0; i < 4; i++) {
		const struct mbr_entry_disk *d = &s.entries[i];
		uint64_t start = at + le32_get(d->start), len = le32_get(d->sectors);

		/* an entry of type 0 with a length counts for the kernel, and so in the numbering */
		if (!len || mbr_is_extended(d->type))
			continue;
		/* the third and fourth entry are seldom meant: only where they lie inside */
		if (i >= 2 && !range_in(start - base, len, base_len))
			continue;
		r = mbr_add(m, 5 + m->logical++, start, d);
		if (r < 0)
			return r;
		if (start == at) {
			struct part *p = &m->parts[m->n - 1];

			p->bad = true;
			err_set(&p->why, 0, "partition %u covers its own boot record", p->no);
		}
	}
	for (size_t i = 0; i < 4 && !*ret_next; i++)
		if (mbr_is_extended(s.entries[i].type) && le32_get(s.entries[i].sectors))
			*ret_next = base + le32_get(s.entries[i].start);
	return 0;
}

/* Follows the chain of one extended partition; where it breaks is in m->why. */
static void mbr_read_chain(struct blk *blk, struct mbr *m, uint64_t base, uint64_t base_len)
{
	for (uint64_t at = base, next; ; at = next) {
		for (size_t i = 0; i < m->nseen; i++) {
			if (m->seen[i] != at)
				continue;
			err_set(&m->why, 0, "extended boot record at sector %" PRIu64 " comes twice: a loop",
				at);
			return;
		}
		if (!at) {
			err_set(&m->why, 0, "extended boot record at sector 0");
			return;
		}
		if (m->nseen >= MBR_MAX_EBR) {
			err_set(&m->why, 0, "more than %d extended boot records", MBR_MAX_EBR);
			return;
		}
		m->seen[m->nseen++] = at;
		if (mbr_read_ebr(blk, m, base, base_len, at, &next) < 0 || !next)
			return;
	}
}

/* Is sector 0 an MBR, for a disk of so many sectors? */
static bool mbr_is_table(const struct mbr_disk *s, const uint8_t raw[512], uint64_t disk_sectors)
{
	unsigned sound = 0;

	if (s->magic[0] != 0x55 || s->magic[1] != 0xaa || fat_is_boot_sector(raw))
		return false;
	if (memcmp(raw, "LUKS\xba\xbe", 6) == 0 || memcmp(raw, "SKUL\xba\xbe", 6) == 0 ||
	    memcmp(raw, "XFSB", 4) == 0)
		return false;

	for (size_t i = 0; i < 4; i++) {
		const struct mbr_entry_disk *d = &s->entries[i];
		uint32_t start = le32_get(d->start);

		if ((d->flags & 0x7f) || d->type == 0xee)
			return false;
		sound += d->type && le32_get(d->sectors) && start && start < disk_sectors;
	}
	return sound > 0;
}

/* Reads the whole table; 1: there is one. */
static int mbr_read(struct blk *blk, unsigned sector, struct mbr *m, struct err *e)
{
	struct mbr_disk s;
	uint8_t raw[512];
	int r;

	memset(m, 0, sizeof(*m));
	m->sector = sector;
	if (blk->size < 2 * (uint64_t)sector)
		return 0;
	r = blk_pread(blk, raw, sizeof(raw), 0, e);
	if (r < 0)
		return r;
	memcpy(&s, raw, sizeof(s));
	if (!mbr_is_table(&s, raw, blk->size / sector))
		return 0;

	m->id = le32_get(s.id);
	for (unsigned i = 0; i < MBR_PRIMARY; i++) {
		const struct mbr_entry_disk *d = &s.entries[i];

		if (le32_get(d->sectors) && !mbr_is_extended(d->type))
			mbr_add(m, i + 1, le32_get(d->start), d);
	}
	for (unsigned i = 0; i < MBR_PRIMARY; i++) {
		const struct mbr_entry_disk *d = &s.entries[i];

		if (mbr_is_extended(d->type) && le32_get(d->sectors))
			mbr_read_chain(blk, m, le32_get(d->start), le32_get(d->sectors));
	}
	r = parts_check(m->parts, m->n, blk->size);
	return r < 0 ? err_oom(e) : 1;
}

static int mbr_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	cleanup_free struct mbr *m = malloc(sizeof(*m));
	int r;

	if (!m)
		return err_oom(e);
	r = mbr_read(blk, 512, m, e);
	if (r > 0)
		*ret_meta = take_ptr(&m);
	return r;
}

static int mbr_describe(struct node *node, struct err *e)
{
	struct mbr *m = node->meta;
	int r;

	/* parse has only bytes, and they do not say how long a sector is */
	if (node->sector == 4096 && m->sector != 4096) {
		r = mbr_read(node->blk, 4096, m, e);
		if (r < 0)
			return r;
		if (!r)
			return err_set(e, -EBADMSG, "MBR without a sound entry for 4096-byte sectors");
	}
	memcpy(node->fmt, "dos", 4);
	if (m->id)
		snprintf(node->uuid, sizeof(node->uuid), "%08" PRIx32, m->id);
	node->why = m->why;
	node->state = NODE_OPEN;
	return 0;
}

static int mbr_expand(struct graph *g, struct node *node, struct err *e)
{
	const struct mbr *m = node->meta;

	return parts_expand(g, node, m->parts, m->n, e);
}

const struct format format_mbr = {
	.name = "mbr",
	.parse = mbr_parse,
	.describe = mbr_describe,
	.expand = mbr_expand,
	.free_meta = free,
};
