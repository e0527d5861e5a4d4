/* SPDX-License-Identifier: MIT */
/* GUID partition tables (UEFI specification 2.10, chapter 5), on logical sectors of 512 and of 4096 bytes.
 * Primary and backup are both read and compared; what is wrong with either is said, and where the primary
 * is bad the backup is used. Nothing is ever repaired.
 *
 * As for the kernel, a GPT without a protective MBR does not count, but where sector 0 is empty or
 * unreadable and the header is good we take it all the same and say so. A protective MBR without any good
 * header is a damaged GPT. Refused: more than 256 entries, entry sizes that are no power of two from 128 to
 * 4096, a table outside the disk. */
#include "format/format.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"
#include "format/fat.h"
#include "format/utf16.h"

enum { GPT_MAX_ENTRIES = 256, GPT_MIN_ENTRY = 128, GPT_MAX_ENTRY = 4096, GPT_NAME_UNITS = 36 };

struct gpt_header_disk {
	char signature[8];
	le32 revision, size, crc, reserved;
	le64 my_lba, alternate_lba, first_usable, last_usable;
	uint8_t guid[16];
	le64 entries_lba;
	le32 entries_count, entry_size, entries_crc;
};
static_assert(sizeof(struct gpt_header_disk) == 92, "GPT header");

struct gpt_entry_disk {
	uint8_t type[16], guid[16];
	le64 first, last, attributes;
	uint8_t name[2 * GPT_NAME_UNITS];
};
static_assert(sizeof(struct gpt_entry_disk) == GPT_MIN_ENTRY, "GPT entry");

/* One of the two copies. alternate is valid wherever the signature is there, and not to be trusted unless
 * good. */
struct gpt_copy {
	bool there, good;
	struct err why;                 /* why it is not good */
	uint64_t lba, alternate, first_usable, last_usable, entries_lba, entries_sectors;
	uint32_t count, entry_size, entries_crc;
	uint8_t guid[16];
	uint8_t *entries;               /* owned */
};

enum pmbr { PMBR_NONE, PMBR_EMPTY, PMBR_UNREADABLE, PMBR_PROTECTIVE, PMBR_HYBRID };

struct gpt {
	unsigned sector;
	enum pmbr pmbr;
	struct gpt_copy primary, backup;
	const struct gpt_copy *used;    /* NULL: neither is good */
	struct part *parts;
	size_t n;
	struct err why;                 /* what is damaged or odd */
};

static void gpt_free(void *meta)
{
	struct gpt *g = meta;

	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++)
		free(g->parts[i].name);
	free(g->parts);
	free(g->primary.entries);
	free(g->backup.entries);
	free(g);
}
DEFINE_CLEANUP(struct gpt *, gpt, gpt_free)

/* Appends a sentence to what is damaged. */
static __attribute__((format(printf, 2, 3))) void gpt_note(struct gpt *g, const char *fmt, ...)
{
	size_t n = strlen(g->why.msg);
	va_list ap;

	va_start(ap, fmt);
	if (n + 3 < sizeof(g->why.msg)) {
		if (n) {
			memcpy(g->why.msg + n, "; ", 3);
			n += 2;
		}
		vsnprintf(g->why.msg + n, sizeof(g->why.msg) - n, fmt, ap);
	}
	va_end(ap);
}

/* What sector 0 says: is there an entry of type 0xee, and are there others? */
static enum pmbr gpt_read_pmbr(struct blk *blk, bool *ret_strict)
{
	unsigned protective = 0, others = 0;
	uint8_t s[512];

	*ret_strict = false;
	if (blk_pread(blk, s, sizeof(s), 0, NULL) < 0)
		return PMBR_UNREADABLE;
	if (s[510] != 0x55 || s[511] != 0xaa)
		return bytes_all_zero(s, sizeof(s)) ? PMBR_EMPTY : PMBR_NONE;

	*ret_strict = !fat_is_boot_sector(s);
	for (size_t i = 0; i < 4; i++) {
		const uint8_t *p = s + 446 + 16 * i;
		le32 start;

		memcpy(&start, p + 8, sizeof(start));
		if (p[0] & 0x7f || (p[4] == 0xee && le32_get(start) != 1))
			*ret_strict = false;
		protective += p[4] == 0xee;
		others += p[4] && p[4] != 0xee;
	}
	*ret_strict &= protective == 1;
	if (!protective)
		return PMBR_NONE;
	return others ? PMBR_HYBRID : PMBR_PROTECTIVE;
}

static bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* Are the numbers of a header whose CRC is right within bounds? */
static int gpt_check_bounds(struct gpt_copy *c, unsigned sector, uint64_t disk_size, uint64_t my_lba)
{
	uint64_t off, bytes = (uint64_t)c->count * c->entry_size;

	if (my_lba != c->lba)
		return err_set(&c->why, -EBADMSG, "header at LBA %" PRIu64 " says it lies at %" PRIu64,
			       c->lba, my_lba);
	if (!c->count || c->count > GPT_MAX_ENTRIES)
		return err_set(&c->why, -EBADMSG, "%" PRIu32 " entries, not 1 to %d", c->count,
			       GPT_MAX_ENTRIES);
	if (!is_pow2(c->entry_size) || c->entry_size < GPT_MIN_ENTRY || c->entry_size > GPT_MAX_ENTRY)
		return err_set(&c->why, -EBADMSG, "entry size of %" PRIu32 " bytes", c->entry_size);
	if (c->first_usable > c->last_usable)
		return err_set(&c->why, -EBADMSG, "first usable LBA %" PRIu64 " is after the last, %" PRIu64,
			       c->first_usable, c->last_usable);
	if (!c->entries_lba || mul_overflows(c->entries_lba, sector, &off) ||
	    !range_in(off, bytes, disk_size))
		return err_set(&c->why, -EBADMSG, "entries at LBA %" PRIu64 " are not on the disk",
			       c->entries_lba);

	c->entries_sectors = (bytes + sector - 1) / sector;
	if (c->lba >= c->entries_lba && c->lba - c->entries_lba < c->entries_sectors)
		return err_set(&c->why, -EBADMSG, "entries at LBA %" PRIu64 " cover the header",
			       c->entries_lba);
	return 0;
}

static int gpt_read_header(struct blk *blk, unsigned sector, struct gpt_copy *c)
{
	struct gpt_header_disk h;
	uint8_t raw[4096];
	uint32_t size, crc;
	int r;

	r = blk_pread(blk, raw, sector, c->lba * sector, &c->why);
	if (r < 0)
		return r;
	memcpy(&h, raw, sizeof(h));
	if (memcmp(h.signature, "EFI PART", 8) != 0)
		return err_set(&c->why, -ENOENT, "no header at LBA %" PRIu64, c->lba);
	c->there = true;
	c->alternate = le64_get(h.alternate_lba);
	c->first_usable = le64_get(h.first_usable);
	c->last_usable = le64_get(h.last_usable);
	c->entries_lba = le64_get(h.entries_lba);
	c->count = le32_get(h.entries_count);
	c->entry_size = le32_get(h.entry_size);
	c->entries_crc = le32_get(h.entries_crc);
	memcpy(c->guid, h.guid, sizeof(c->guid));

	size = le32_get(h.size);
	if (size < sizeof(h) || size > sector)
		return err_set(&c->why, -EBADMSG, "header size of %" PRIu32 " bytes", size);
	memset(raw + offsetof(struct gpt_header_disk, crc), 0, sizeof(h.crc));
	crc = bytes_crc32(0, raw, size);
	if (crc != le32_get(h.crc))
		return err_set(&c->why, -EBADMSG, "header CRC is %08" PRIx32 ", stored %08" PRIx32, crc,
			       le32_get(h.crc));
	return gpt_check_bounds(c, sector, blk->size, le64_get(h.my_lba));
}

/* Reads one copy. What is wrong with it goes into c; only lack of memory is an error. */
static int gpt_read_copy(struct blk *blk, unsigned sector, uint64_t lba, struct gpt_copy *c, struct err *e)
{
	cleanup_free uint8_t *entries = NULL;
	uint32_t crc;
	size_t len;
	int r;

	memset(c, 0, sizeof(*c));
	c->lba = lba;
	if (gpt_read_header(blk, sector, c) < 0)
		return 0;

	len = (size_t)c->count * c->entry_size;
	entries = malloc(len);
	if (!entries)
		return err_oom(e);
	r = blk_pread(blk, entries, len, c->entries_lba * sector, &c->why);
	if (r < 0)
		return r == -ENOMEM ? err_oom(e) : 0;
	crc = bytes_crc32(0, entries, len);
	if (crc != c->entries_crc) {
		err_set(&c->why, 0, "entries CRC is %08" PRIx32 ", stored %08" PRIx32, crc, c->entries_crc);
		return 0;
	}
	c->entries = take_ptr(&entries);
	c->good = true;
	return 0;
}

/* Where the backup may be: where the primary says, and at the disk's end. */
static int gpt_read_backup(struct blk *blk, struct gpt *g, uint64_t last, struct err *e)
{
	uint64_t said = g->primary.alternate;
	int r;

	if (g->primary.there && said > 1 && said <= last) {
		r = gpt_read_copy(blk, g->sector, said, &g->backup, e);
		if (r < 0 || g->backup.good || said == last)
			return r;
		free(take_ptr(&g->backup.entries));
	}
	/* a good primary says where its backup is; one that lies elsewhere belongs to another table */
	if (g->primary.good && said > 1 && said <= last)
		return 0;
	return gpt_read_copy(blk, g->sector, last, &g->backup, e);
}

/* Both copies for one sector size. 1: one of them is good. */
static int gpt_read(struct blk *blk, unsigned sector, struct gpt *g, struct err *e)
{
	uint64_t sectors = blk->size / sector;
	int r;

	g->sector = sector;
	g->used = NULL;
	free(take_ptr(&g->primary.entries));
	free(take_ptr(&g->backup.entries));
	memset(&g->primary, 0, sizeof(g->primary));
	memset(&g->backup, 0, sizeof(g->backup));
	if (sectors < 3)
		return 0;

	r = gpt_read_copy(blk, sector, 1, &g->primary, e);
	if (r < 0)
		return r;
	r = gpt_read_backup(blk, g, sectors - 1, e);
	if (r < 0)
		return r;
	g->used = g->primary.good ? &g->primary : g->backup.good ? &g->backup : NULL;
	return g->used != NULL;
}

static void gpt_say_damage(struct gpt *g, uint64_t last)
{
	const struct gpt_copy *p = &g->primary, *b = &g->backup;

	if (!g->used) {
		gpt_note(g, "primary GPT: %s; backup GPT: %s", p->why.msg, b->why.msg);
		return;
	}
	if (!p->good)
		gpt_note(g, "primary GPT: %s; backup used", p->why.msg);
	else if (p->alternate <= 1 || p->alternate > last)
		gpt_note(g, "backup GPT at LBA %" PRIu64 " is not on the disk, whose last is %" PRIu64,
			 p->alternate, last);
	else if (!b->good)
		gpt_note(g, "backup GPT: %s", b->why.msg);
	else if (b->entries_crc != p->entries_crc || memcmp(b->guid, p->guid, sizeof(b->guid)) != 0)
		gpt_note(g, "backup GPT differs from the primary, which is used");
	if (b->good && b->lba != last && (!p->good || p->alternate == b->lba))
		gpt_note(g, "backup GPT is at LBA %" PRIu64 ", not at the disk's end, %" PRIu64
			 ": the disk was enlarged", b->lba, last);
	if (g->used->last_usable > last)
		gpt_note(g, "last usable LBA %" PRIu64 " is not on the disk: the disk is cut off",
			 g->used->last_usable);
	if (g->pmbr == PMBR_HYBRID)
		gpt_note(g, "hybrid MBR: its own entries are not looked at");
	else if (g->pmbr == PMBR_EMPTY)
		gpt_note(g, "no protective MBR: the kernel does not see this table");
	else if (g->pmbr == PMBR_UNREADABLE)
		gpt_note(g, "sector 0 cannot be read");
}

/* An entry's extent in bytes; one that cannot be is left at start 0 and bad. */
static void gpt_set_extent(struct part *p, const struct gpt *g, uint64_t first, uint64_t last)
{
	const struct gpt_copy *c = g->used;

	if (last < first || mul_overflows(last - first, g->sector, &p->len) ||
	    add_overflows(p->len, g->sector, &p->len) || mul_overflows(first, g->sector, &p->start)) {
		p->start = p->len = 0;
		p->bad = true;
		err_set(&p->why, 0, "partition %u: first LBA %" PRIu64 ", last LBA %" PRIu64, p->no, first,
			last);
	} else if (first <= 1 || (first <= c->lba && last >= c->lba) ||
		   (first < c->entries_lba + c->entries_sectors && last >= c->entries_lba)) {
		p->bad = true;
		err_set(&p->why, 0, "partition %u covers the partition table", p->no);
	}
}

static int gpt_read_parts(struct gpt *g, uint64_t disk_size, struct err *e)
{
	const struct gpt_copy *c = g->used;
	char name[3 * GPT_NAME_UNITS + 1];
	int r;

	g->parts = calloc(c->count, sizeof(*g->parts));
	if (!g->parts)
		return err_oom(e);
	for (uint32_t i = 0; i < c->count; i++) {
		struct part *p = &g->parts[g->n];
		struct gpt_entry_disk d;

		memcpy(&d, c->entries + (size_t)i * c->entry_size, sizeof(d));
		if (bytes_all_zero(d.type, sizeof(d.type)))
			continue;
		g->n++;
		p->no = i + 1;
		bytes_guid(d.type, p->type);
		bytes_guid(d.guid, p->uuid);
		gpt_set_extent(p, g, le64_get(d.first), le64_get(d.last));
		if (!utf16_to_utf8(d.name, GPT_NAME_UNITS, name, NULL))
			continue;
		p->name = str_ndup(name, strlen(name));
		if (!p->name)
			return err_oom(e);
	}
	r = parts_check(g->parts, g->n, disk_size);
	return r < 0 ? err_oom(e) : 0;
}

/* Tries both sector sizes: 1 where one of them gave a good copy. */
static int gpt_find(struct blk *blk, struct gpt *g, struct err *e)
{
	int r;

	r = gpt_read(blk, 512, g, e);
	if (r < 0 || (r && g->primary.good))
		return r;
	/* a 512-byte backup alone may be left over from an older table: a primary at 4096 goes before it */
	r = gpt_read(blk, 4096, g, e);
	if (r < 0 || (r && g->primary.good))
		return r;
	r = gpt_read(blk, 512, g, e);
	if (r)
		return r;
	r = gpt_read(blk, 4096, g, e);
	if (r || g->primary.there || g->backup.there)
		return r;
	return gpt_read(blk, 512, g, e);
}

static int gpt_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	cleanup(cleanup_gptp) struct gpt *g = NULL;
	bool strict;
	int r;

	if (blk->size < 3 * 512)
		return 0;
	g = calloc(1, sizeof(*g));
	if (!g)
		return err_oom(e);

	g->pmbr = gpt_read_pmbr(blk, &strict);
	if (g->pmbr == PMBR_NONE)
		return 0;
	r = gpt_find(blk, g, e);
	if (r < 0)
		return r;
	if (!g->used && !strict)
		return 0;
	/* an empty sector 0 is also how a file system begins that replaced an older table: its backup may
	 * still be there */
	if (g->pmbr == PMBR_EMPTY && !g->primary.good)
		return 0;

	gpt_say_damage(g, blk->size / g->sector - 1);
	if (g->used) {
		r = gpt_read_parts(g, blk->size, e);
		if (r < 0)
			return r;
	}
	*ret_meta = take_ptr(&g);
	return 1;
}

static int gpt_describe(struct node *node, struct err *e)
{
	const struct gpt *g = node->meta;

	(void)e;
	memcpy(node->fmt, "gpt", 4);
	node->why = g->why;
	node->state = g->used ? NODE_OPEN : NODE_DAMAGED;
	if (!g->used)
		return 0;
	node->sector = g->sector;
	bytes_guid(g->used->guid, node->uuid);
	return 0;
}

static int gpt_expand(struct graph *graph, struct node *node, struct err *e)
{
	const struct gpt *g = node->meta;

	return parts_expand(graph, node, g->parts, g->n, e);
}

const struct format format_gpt = {
	.name = "gpt",
	.parse = gpt_parse,
	.describe = gpt_describe,
	.expand = gpt_expand,
	.free_meta = gpt_free,
};
