/* SPDX-License-Identifier: MIT */
/* Tests format/gpt.c: both copies, both sector sizes, and CRC-valid tables that lie. */
#include "disk.h"

enum { DISK = 1 << 20, COUNT = 128, ENTRY = 128 };

static uint8_t disk[DISK];

/* A table to be laid down on the disk; lba 1 and the last one, as UEFI wants it. */
struct table {
	unsigned sector;
	uint64_t size;                  /* of the disk it was made for */
	uint64_t first_usable, last_usable, alternate[2], my[2], entries_lba[2];
	uint32_t count, entry_size, header_size;
	struct { uint64_t first, last; } parts[4];
};

static struct table table_new(unsigned sector, uint64_t size)
{
	uint64_t last = size / sector - 1, span = COUNT * ENTRY / sector;

	return (struct table){
		.sector = sector, .size = size, .first_usable = 2 + span, .last_usable = last - span - 1,
		.alternate = {last, 1}, .my = {1, last}, .entries_lba = {2, last - span},
		.count = COUNT, .entry_size = ENTRY, .header_size = 92,
		.parts = {{40, 59}, {60, 99}, {0, 0}, {100, 119}},
	};
}

/* The entries, where the honest layout has them, whatever the header claims; answers their CRC for count
 * entries. */
static uint32_t put_entries(const struct table *t, uint64_t at)
{
	uint8_t *p = disk + at;
	size_t len = (size_t)t->count * t->entry_size;

	memset(p, 0, COUNT * ENTRY);
	for (unsigned i = 0; i < 4; i++) {
		uint8_t *x = p + ENTRY * i;

		if (!t->parts[i].first && !t->parts[i].last)
			continue;
		memset(x, 0xa0, 16);
		memset(x + 16, (int)(0xb0 + i), 16);
		put_le(x + 32, t->parts[i].first, 8);
		put_le(x + 40, t->parts[i].last, 8);
		memcpy(x + 56, "n\0\xe9\0\x3d\xd8\x00\xde", 8);
	}
	return len <= COUNT * ENTRY ? bytes_crc32(0, p, len) : 0;
}

static void put_copy(const struct table *t, unsigned which)
{
	uint64_t last = t->size / t->sector - 1, span = COUNT * ENTRY / t->sector;
	uint64_t lba = which ? last : 1, entries = which ? last - span : 2;
	uint8_t *h = disk + lba * t->sector;
	uint32_t crc = put_entries(t, entries * t->sector);

	memset(h, 0, t->sector);
	memcpy(h, "EFI PART\0\0\1\0", 12);
	put_le(h + 12, t->header_size, 4);
	put_le(h + 24, t->my[which], 8);
	put_le(h + 32, t->alternate[which], 8);
	put_le(h + 40, t->first_usable, 8);
	put_le(h + 48, t->last_usable, 8);
	memset(h + 56, 0xc5, 16);
	put_le(h + 72, t->entries_lba[which], 8);
	put_le(h + 80, t->count, 4);
	put_le(h + 84, t->entry_size, 4);
	put_le(h + 88, crc, 4);
	if (t->header_size <= t->sector)
		put_le(h + 16, bytes_crc32(0, h, t->header_size), 4);
}

static void put_pmbr(void)
{
	memset(disk, 0, 512);
	disk[446 + 4] = 0xee;
	put_le(disk + 446 + 8, 1, 4);
	put_le(disk + 446 + 12, UINT32_MAX, 4);
	disk[510] = 0x55;
	disk[511] = 0xaa;
}

static void put_table(const struct table *t)
{
	memset(disk, 0, sizeof(disk));
	put_pmbr();
	put_copy(t, 0);
	put_copy(t, 1);
}

static void put_good(void)
{
	struct table t = table_new(512, DISK);

	put_table(&t);
}

static const struct node *part(const struct graph *g, const char *name, uint64_t first, uint64_t last,
			       unsigned sector)
{
	const struct node *n = graph_find(g, name);

	cr_assert(n, "%s is not there", name);
	cr_expect_eq(n->offset, first * sector);
	cr_expect_eq(n->size, (last - first + 1) * sector);
	cr_expect(n->blk);
	return n;
}

static void expect_good_parts(const struct graph *g, unsigned sector)
{
	part(g, "sdc1", 40, 59, sector);
	part(g, "sdc2", 60, 99, sector);
	part(g, "sdc4", 100, 119, sector);
	cr_expect_eq(g->n, 4);
}

static void expect_none(const char *what)
{
	cleanup_blk struct blk *b = NULL;
	void *meta = NULL;

	cr_assert_eq(blk_open_mem(disk, DISK, &b, NULL), 0);
	cr_expect_eq(format_gpt.parse(b, &meta, NULL), 0, "%s", what);
}

Test(gpt, lists_partitions_with_their_identities)
{
	struct graph g;
	struct node *n;
	const struct node *p;

	put_good();
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_str_eq(n->fmt, "gpt");
	cr_expect_str_eq(n->uuid, "c5c5c5c5-c5c5-c5c5-c5c5-c5c5c5c5c5c5");
	cr_expect_eq(n->state, NODE_OPEN);
	cr_expect_eq(n->why.msg[0], 0, "%s", n->why.msg);
	cr_expect_eq(n->sector, 512);
	expect_good_parts(&g, 512);
	p = graph_find(&g, "sdc4");
	cr_expect_eq(p->partno, 4);
	cr_expect_eq(p->disk, 7);
	cr_expect_str_eq(p->partuuid, "b3b3b3b3-b3b3-b3b3-b3b3-b3b3b3b3b3b3");
	cr_expect_str_eq(p->parttype, "a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0");
	cr_expect_str_eq(p->partname, "n\xc3\xa9\xf0\x9f\x98\x80");
	cr_expect_eq(p->kind, KIND_PARTITION);
	graph_done(&g);
}

Test(gpt, sectors_of_4096_bytes_are_found)
{
	struct table t = table_new(4096, DISK);
	struct graph g;
	struct node *n;

	put_table(&t);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_eq(n->sector, 4096);
	expect_good_parts(&g, 4096);
	cr_expect_eq(graph_find(&g, "sdc1")->sector, 4096);
	graph_done(&g);

	disk[4096 + 60] ^= 1;
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "backup used");
	expect_good_parts(&g, 4096);
	graph_done(&g);
}

Test(gpt, damaged_primary_header_gives_way_to_the_backup)
{
	struct graph g;
	struct node *n;

	for (unsigned i = 0; i < 92; i++) {
		put_good();
		disk[512 + i] ^= 0x21;
		n = look_at_bytes(&g, "sdc", disk, DISK);
		cr_expect_eq(n->state, NODE_OPEN);
		expect_why(n, "primary GPT: ");
		expect_why(n, "backup used");
		if (i >= 56 && i < 72)
			expect_why(n, "header CRC");
		expect_good_parts(&g, 512);
		graph_done(&g);
	}
}

Test(gpt, damaged_primary_entries_give_way_to_the_backup)
{
	struct graph g;
	struct node *n;

	put_good();
	disk[1024 + 32] ^= 1;
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "entries CRC");
	expect_why(n, "backup used");
	expect_good_parts(&g, 512);
	graph_done(&g);
}

Test(gpt, damaged_backup_is_said_and_the_primary_used)
{
	struct graph g;
	struct node *n;

	put_good();
	disk[DISK - 512 + 60] ^= 1;
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "backup GPT: header CRC");
	expect_good_parts(&g, 512);
	graph_done(&g);

	put_good();
	disk[DISK - 33 * 512] ^= 1;
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "backup GPT: entries CRC");
	graph_done(&g);

	put_good();
	memset(disk + DISK - 512, 0, 512);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "backup GPT: no header");
	graph_done(&g);
}

Test(gpt, copies_that_disagree_are_said)
{
	struct table t = table_new(512, DISK);
	struct graph g;
	struct node *n;

	put_table(&t);
	t.parts[0].last = 50;
	put_copy(&t, 1);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "differs");
	expect_good_parts(&g, 512);
	graph_done(&g);
}

Test(gpt, both_damaged_is_damaged_and_shows_nothing)
{
	struct graph g;
	struct node *n;

	put_good();
	disk[512 + 60] ^= 1;
	disk[DISK - 512 + 60] ^= 1;
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_eq(n->state, NODE_DAMAGED);
	cr_expect_str_eq(n->fmt, "gpt");
	expect_why(n, "primary GPT: header CRC");
	expect_why(n, "backup GPT: header CRC");
	cr_expect_eq(g.n, 1);
	graph_done(&g);

	memset(disk, 0, sizeof(disk));
	put_pmbr();
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_eq(n->state, NODE_DAMAGED);
	expect_why(n, "no header");
	graph_done(&g);
}

Test(gpt, unreadable_sectors_give_way_to_the_backup)
{
	static const struct { uint64_t from, to; } row[] = {{512, 1024}, {1024, 1536}, {0, 34 * 512}};

	put_good();
	for (size_t i = 0; i < 3; i++) {
		cleanup_blk struct blk *mem = NULL, *bad = NULL;
		struct graph g;
		struct node *n;

		cr_assert_eq(blk_open_mem(disk, DISK, &mem, NULL), 0);
		bad = bad_open(mem, row[i].from, row[i].to);
		n = look_at(&g, "sdc", bad, 0);
		expect_why(n, "bad sector");
		expect_why(n, "backup used");
		expect_good_parts(&g, 512);
		graph_done(&g);
	}
}

Test(gpt, enlarged_disk_is_said_with_either_copy)
{
	struct table t = table_new(512, DISK / 2);
	struct graph g;
	struct node *n;

	put_table(&t);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "enlarged");
	expect_good_parts(&g, 512);
	graph_done(&g);

	disk[512 + 60] ^= 1;
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "backup used");
	expect_why(n, "enlarged");
	expect_good_parts(&g, 512);
	graph_done(&g);
}

Test(gpt, cut_off_disk_keeps_what_lies_on_it)
{
	struct table t = table_new(512, DISK);
	struct graph g;
	struct node *n;

	t.parts[3].last = 1500;
	put_table(&t);
	n = look_at_bytes(&g, "sdc", disk, DISK / 2);
	expect_why(n, "cut off");
	part(&g, "sdc1", 40, 59, 512);
	cr_expect_eq(graph_find(&g, "sdc4")->state, NODE_DAMAGED);
	expect_why(graph_find(&g, "sdc4"), "beyond the end");
	expect_sound_extents(&g, n);
	graph_done(&g);
}

Test(gpt, partitions_that_overlap_or_cover_the_table_are_damaged)
{
	struct table t = table_new(512, DISK);
	struct graph g;
	struct node *n;

	t.parts[1].first = 59;
	t.parts[2].first = 33;
	t.parts[2].last = 35;
	put_table(&t);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_sound_extents(&g, n);
	expect_why(graph_find(&g, "sdc1"), "overlaps partition 2");
	expect_why(graph_find(&g, "sdc2"), "overlaps partition 1");
	expect_why(graph_find(&g, "sdc3"), "covers the partition table");
	cr_expect(graph_find(&g, "sdc4")->blk);
	graph_done(&g);
}

Test(gpt, partition_over_the_header_in_use_is_damaged)
{
	struct table t = table_new(512, DISK);
	struct graph g;

	t.parts[0].first = t.parts[0].last = 1;
	t.parts[3].first = t.parts[3].last = DISK / 512 - 1;
	put_table(&t);
	look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(graph_find(&g, "sdc1"), "covers the partition table");
	cr_expect(graph_find(&g, "sdc4")->blk, "the copy in use is the primary");
	graph_done(&g);

	disk[512 + 60] ^= 1;
	look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(graph_find(&g, "sdc4"), "covers the partition table");
	graph_done(&g);
}

Test(gpt, header_that_was_copied_elsewhere_is_no_header)
{
	struct table t = table_new(512, DISK);
	struct graph g;
	struct node *n;

	t.my[0] = DISK / 512 - 1;
	put_table(&t);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "header at LBA 1 says it lies at 2047; backup used");
	expect_good_parts(&g, 512);
	graph_done(&g);
}

Test(gpt, needs_a_protective_mbr)
{
	struct graph g;
	struct node *n;

	/* a real MBR: the GPT is left over */
	put_good();
	disk[446 + 4] = 0x83;
	put_le(disk + 446 + 8, 40, 4);
	put_le(disk + 446 + 12, 100, 4);
	expect_none("MBR");

	/* something else in sector 0 */
	put_good();
	memset(disk, 'x', 512);
	expect_none("other");

	/* wiped: the header alone speaks, but not a backup that may be left over */
	put_good();
	memset(disk, 0, 512);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "no protective MBR");
	expect_good_parts(&g, 512);
	graph_done(&g);
	memset(disk, 0, 34 * 512);
	expect_none("backup alone");
}

Test(gpt, hybrid_mbr_is_said_and_not_looked_at)
{
	struct graph g;
	struct node *n;

	put_good();
	disk[462 + 4] = 0x83;
	put_le(disk + 462 + 8, 40, 4);
	put_le(disk + 462 + 12, 20, 4);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_str_eq(n->fmt, "gpt");
	expect_why(n, "hybrid");
	expect_good_parts(&g, 512);
	graph_done(&g);
}

Test(gpt, counts_and_sizes_beyond_bounds_are_refused)
{
	static const struct { uint32_t count, entry, header; const char *why; } row[] = {
		{257, 128, 92, "257 entries"}, {0, 128, 92, "0 entries"}, {UINT32_MAX, 128, 92, "entries"},
		{128, 64, 92, "entry size"}, {128, 192, 92, "entry size"}, {4, 8192, 92, "entry size"},
		{128, 0, 92, "entry size"}, {128, 128, 91, "header size"}, {128, 128, 513, "header size"},
		{128, 128, UINT32_MAX, "header size"},
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct table t = table_new(512, DISK);
		struct graph g;
		struct node *n;

		t.count = row[i].count;
		t.entry_size = row[i].entry;
		t.header_size = row[i].header;
		put_table(&t);
		n = look_at_bytes(&g, "sdc", disk, DISK);
		cr_expect_eq(n->state, NODE_DAMAGED, "%s", row[i].why);
		expect_why(n, row[i].why);
		graph_done(&g);
	}
}

Test(gpt, what_sfdisk_makes_is_read_alike)
{
	char path[64];
	struct blk *b;
	struct graph g;
	struct node *n;
	const struct node *p;

	temp_file(path, 8 << 20);
	tool("sfdisk -q %s <<'EOF'\nlabel: gpt\nunit: sectors\n"
	     "label-id: 11111111-2222-3333-4444-555555555555\n"
	     "1 : start=2048, size=1000, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, "
	     "uuid=ABCDEF01-2345-6789-ABCD-EF0123456789, name=root\n"
	     "14 : start=4096, size=8, type=21686148-6449-6E6F-744E-656564454649\nEOF", path);
	b = open_path(path);
	n = look_at(&g, "os.img", b, 0);
	cr_expect_str_eq(n->uuid, "11111111-2222-3333-4444-555555555555");
	cr_expect_eq(n->why.msg[0], 0, "%s", n->why.msg);
	p = part(&g, "os.img1", 2048, 3047, 512);
	cr_expect_str_eq(p->partuuid, "abcdef01-2345-6789-abcd-ef0123456789");
	cr_expect_str_eq(p->parttype, "0fc63daf-8483-4772-8e79-3d69d8477de4");
	cr_expect_str_eq(p->partname, "root");
	cr_expect_null(part(&g, "os.img14", 4096, 4103, 512)->partname);
	graph_done(&g);
	blk_unref(b);
	unlink(path);
}

/* ---- tables whose CRCs are right and whose numbers lie ---- */

static unsigned variants;

static void expect_harmless(const struct table *t, unsigned copies)
{
	cleanup_blk struct blk *b = NULL;
	struct table honest = table_new(t->sector, t->size);
	struct graph g = {0};
	struct node *n;
	int r;

	memset(disk, 0, t->size);
	put_pmbr();
	put_copy(copies & 1 ? t : &honest, 0);
	put_copy(copies & 2 ? t : &honest, 1);
	cr_assert_eq(blk_open_mem(disk, t->size, &b, NULL), 0);
	n = graph_add(&g, "sdc", KIND_DISK, NULL, b);
	r = format_gpt.parse(b, &n->meta, NULL);
	cr_assert_eq(r, 1, "a protective MBR makes it a GPT, damaged or not");
	n->format = &format_gpt;
	cr_assert_eq(format_gpt.describe(n, NULL), 0);
	cr_assert_eq(format_gpt.expand(&g, n, NULL), 0);
	expect_sound_extents(&g, n);
	graph_done(&g);
	variants++;
}

static size_t hostile_values(uint64_t *v, unsigned sector, uint64_t size)
{
	uint64_t sectors = size / sector, span = COUNT * ENTRY / sector;
	const uint64_t all[] = {
		0, 1, 2, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / sector, UINT64_MAX / sector + 1,
		1ull << 63, UINT32_MAX, 1ull << 32, sectors - 1, sectors, sectors + 1, size, 1 + span,
		2 + span, sectors - span - 1, 50,
	};

	memcpy(v, all, sizeof(all));
	return sizeof(all) / sizeof(*all);
}

static void try_header_fields(unsigned sector, uint64_t size, unsigned copies, const uint64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (unsigned field = 0; field < 8; field++) {
			struct table t = table_new(sector, size);

			for (unsigned c = 0; c < 2; c++) {
				if (field == 0)
					t.my[c] = v[i];
				else if (field == 1)
					t.alternate[c] = v[i];
				else if (field == 2)
					t.entries_lba[c] = v[i];
			}
			if (field == 3)
				t.first_usable = v[i];
			else if (field == 4)
				t.last_usable = v[i];
			else if (field == 5)
				t.count = (uint32_t)v[i];
			else if (field == 6)
				t.entry_size = (uint32_t)v[i];
			else if (field == 7)
				t.header_size = (uint32_t)v[i];
			expect_harmless(&t, copies);
		}
	}
}

Test(gpt, no_lie_with_a_good_crc_leaves_the_disk)
{
	uint64_t v[32];

	for (unsigned s = 0; s < 2; s++) {
		unsigned sector = s ? 4096 : 512;
		uint64_t size = s ? 512 * 1024 : 128 * 1024;
		size_t n = hostile_values(v, sector, size);

		for (unsigned copies = 1; copies <= 3; copies++) {
			try_header_fields(sector, size, copies, v, n);
			for (size_t i = 0; i < n * n; i++) {
				struct table t = table_new(sector, size);

				t.parts[i % 4].first = v[i / n];
				t.parts[i % 4].last = v[i % n];
				expect_harmless(&t, copies);
			}
		}
	}
	cr_expect_geq(variants, 2000, "%u", variants);
}

Test(gpt, no_mutation_leaves_the_disk)
{
	static uint8_t good[128 * 1024];
	struct table t = table_new(512, sizeof(good));
	uint64_t seed = 99;

	put_table(&t);
	memcpy(good, disk, sizeof(good));
	for (unsigned round = 0; round < 20000; round++) {
		cleanup_blk struct blk *b = NULL;
		struct graph g = {0};
		struct node *n;

		memcpy(disk, good, sizeof(good));
		for (unsigned i = 1 + rnd(&seed) % 4; i; i--) {
			/* sector 0, a header, or the first entries; then the CRCs are made good again */
			static const unsigned from[] = {
				446, 512, 1024, sizeof(good) - 512, sizeof(good) - 33 * 512,
			};
			static const unsigned len[] = {66, 92, 512, 92, 512};
			unsigned k = rnd(&seed) % 5;

			disk[from[k] + rnd(&seed) % len[k]] = (uint8_t)rnd(&seed);
		}
		for (unsigned c = 0; c < 2; c++) {
			uint8_t *h = disk + (c ? sizeof(good) - 512 : 512);
			uint8_t *x = disk + (c ? sizeof(good) - 33 * 512 : 1024);

			put_le(h + 88, bytes_crc32(0, x, COUNT * ENTRY), 4);
			put_le(h + 16, 0, 4);
			put_le(h + 16, bytes_crc32(0, h, 92), 4);
		}
		cr_assert_eq(blk_open_mem(disk, sizeof(good), &b, NULL), 0);
		n = graph_add(&g, "sdc", KIND_DISK, NULL, b);
		if (format_gpt.parse(b, &n->meta, NULL) > 0) {
			n->format = &format_gpt;
			cr_assert_eq(format_gpt.describe(n, NULL), 0);
			cr_assert_eq(format_gpt.expand(&g, n, NULL), 0);
			expect_sound_extents(&g, n);
		}
		graph_done(&g);
	}
}
