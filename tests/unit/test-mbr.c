/* SPDX-License-Identifier: MIT */
/* Tests format/mbr.c and the names of format/part.c: what the kernel would list, and nothing outside the
 * disk. */
#include "disk.h"

enum { DISK = 1 << 20, SECTORS = DISK / 512 };

static uint8_t disk[DISK];

static void put_entry(uint64_t sector, unsigned i, uint8_t type, uint32_t start, uint32_t len)
{
	uint8_t *p = disk + sector * 512 + 446 + 16 * i;

	p[4] = type;
	put_le(p + 8, start, 4);
	put_le(p + 12, len, 4);
	disk[sector * 512 + 510] = 0x55;
	disk[sector * 512 + 511] = 0xaa;
}

static void put_mbr(void)
{
	memset(disk, 0, sizeof(disk));
	put_le(disk + 440, 0xdeadbe01, 4);
	put_entry(0, 0, 0x83, 64, 100);
}

/* An extended partition 2 from 200 with logical ones in records at 200, 300, 400, ... */
static void put_chain(unsigned n)
{
	put_mbr();
	put_entry(0, 1, 0x05, 200, SECTORS - 200);
	for (unsigned i = 0; i < n; i++) {
		put_entry(200 + 100 * i, 0, 0x83, 10, 50);
		if (i + 1 < n)
			put_entry(200 + 100 * i, 1, 0x05, 100 * (i + 1), 100);
	}
}

static const struct node *child(const struct graph *g, const char *name, uint64_t start, uint64_t len)
{
	const struct node *n = graph_find(g, name);

	cr_assert(n, "%s is not there", name);
	cr_expect_eq(n->offset, start * 512, "%s begins at %ju", name, (uintmax_t)n->offset / 512);
	cr_expect_eq(n->size, len * 512, "%s has %ju sectors", name, (uintmax_t)n->size / 512);
	return n;
}

static void expect_none(const char *what)
{
	cleanup_blk struct blk *b = NULL;
	void *meta = NULL;

	cr_assert_eq(blk_open_mem(disk, DISK, &b, NULL), 0);
	cr_expect_eq(format_mbr.parse(b, &meta, NULL), 0, "%s", what);
}

Test(mbr, lists_primary_and_logical_partitions)
{
	struct graph g;
	const struct node *n;

	put_chain(3);
	put_entry(0, 3, 0x07, 170, 20);
	disk[446] = 0x80;
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_str_eq(n->fmt, "dos");
	cr_expect_str_eq(n->uuid, "deadbe01");
	cr_expect_eq(n->why.msg[0], 0);
	cr_expect_eq(g.n, 6);
	n = child(&g, "sdc1", 64, 100);
	cr_expect_str_eq(n->partuuid, "deadbe01-01");
	cr_expect_str_eq(n->parttype, "0x83");
	cr_expect_eq(n->partno, 1);
	cr_expect_eq(n->disk, 7);
	cr_expect_eq(n->sector, 512);
	cr_expect_str_eq(child(&g, "sdc4", 170, 20)->parttype, "0x7");
	child(&g, "sdc5", 210, 50);
	child(&g, "sdc6", 310, 50);
	cr_expect_str_eq(child(&g, "sdc7", 410, 50)->partuuid, "deadbe01-07");
	expect_sound_extents(&g, g.nodes[0]);
	graph_done(&g);
}

Test(mbr, names_are_the_kernels)
{
	static const struct { const char *disk, *part; } row[] = {
		{"sda", "sda1"}, {"nvme0n1", "nvme0n1p1"}, {"loop0", "loop0p1"}, {"mmcblk0", "mmcblk0p1"},
		{"nbd12", "nbd12p1"}, {"os.img", "os.img1"}, {"disk.vhd0", "disk.vhd01"},
		{"os.img#2", "os.img#2p1"}, {"sdaa", "sdaa1"}, {"image", "image1"},
	};

	put_mbr();
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct graph g;

		look_at_bytes(&g, row[i].disk, disk, DISK);
		cr_expect(graph_find(&g, row[i].part), "%s", row[i].part);
		graph_done(&g);
	}
}

Test(mbr, what_sfdisk_makes_is_read_alike)
{
	char path[64];
	struct blk *b;
	struct graph g;
	struct node *n;

	temp_file(path, DISK);
	tool("sfdisk -q %s <<'EOF'\nlabel: dos\nlabel-id: 0x12345678\nunit: sectors\n"
	     "start=64, size=100, type=83\nstart=200, size=1800, type=f\nstart=170, size=20, type=ef\n"
	     "start=240, size=60, type=83\nstart=400, size=300, type=82\nEOF", path);
	b = open_path(path);
	n = look_at(&g, "a.img", b, 0);
	cr_expect_str_eq(n->uuid, "12345678");
	cr_expect_eq(g.n, 5);
	child(&g, "a.img1", 64, 100);
	child(&g, "a.img3", 170, 20);
	child(&g, "a.img5", 240, 60);
	cr_expect_str_eq(child(&g, "a.img6", 400, 300)->partuuid, "12345678-06");
	graph_done(&g);
	blk_unref(b);
	unlink(path);
}

Test(mbr, chain_that_loops_ends)
{
	struct graph g;
	struct node *n;

	put_chain(3);
	put_entry(400, 1, 0x05, 100, 100);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "loop");
	cr_expect_eq(n->state, NODE_OPEN, "what came before the loop counts");
	cr_expect_eq(g.n, 5);
	graph_done(&g);

	put_chain(1);
	put_entry(200, 1, 0x05, 0, 100);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "loop");
	graph_done(&g);
}

Test(mbr, chain_that_breaks_is_said)
{
	struct graph g;
	struct node *n;

	put_chain(3);
	disk[300 * 512 + 510] = 0;
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "no signature");
	child(&g, "sdc5", 210, 50);
	cr_expect_eq(g.n, 3);
	graph_done(&g);

	put_chain(2);
	put_entry(200, 1, 0x05, UINT32_MAX, 100);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect(*n->why.msg, "a record outside the disk");
	graph_done(&g);

	put_mbr();
	put_entry(0, 1, 0x05, 0, 100);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "sector 0");
	cr_expect_eq(g.n, 2);
	graph_done(&g);
}

Test(mbr, chain_has_at_most_128_records)
{
	struct graph g;
	struct node *n;

	put_mbr();
	put_entry(0, 1, 0x05, 200, SECTORS - 200);
	for (unsigned i = 0; i < 200; i++) {
		put_entry(200 + 4 * i, 0, 0x83, 1, 2);
		put_entry(200 + 4 * i, 1, 0x05, 4 * (i + 1), 4);
	}
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(n, "more than 128");
	cr_expect_eq(g.n, 2 + 128);
	graph_done(&g);
}

Test(mbr, records_without_a_partition_are_not_numbered)
{
	struct graph g;

	put_chain(3);
	put_entry(300, 0, 0, 0, 0);
	look_at_bytes(&g, "sdc", disk, DISK);
	child(&g, "sdc5", 210, 50);
	child(&g, "sdc6", 410, 50);
	cr_expect_eq(g.n, 4);
	graph_done(&g);
}

Test(mbr, partitions_outside_the_disk_or_over_another_are_damaged)
{
	struct graph g;
	struct node *n;

	put_mbr();
	put_entry(0, 1, 0x83, 150, 100);
	put_entry(0, 2, 0x83, 1000, UINT32_MAX);
	put_entry(0, 3, 0x83, 400, 10);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	expect_sound_extents(&g, n);
	expect_why(graph_find(&g, "sdc1"), "overlaps partition 2");
	expect_why(graph_find(&g, "sdc2"), "overlaps partition 1");
	expect_why(graph_find(&g, "sdc3"), "beyond the end");
	cr_expect(graph_find(&g, "sdc4")->blk);
	graph_done(&g);

	put_chain(1);
	put_entry(200, 0, 0x83, 0, 50);
	look_at_bytes(&g, "sdc", disk, DISK);
	expect_why(graph_find(&g, "sdc5"), "its own boot record");
	graph_done(&g);
}

Test(mbr, boot_sectors_of_file_systems_are_no_table)
{
	put_mbr();
	memcpy(disk, "\xeb\x52\x90NTFS    ", 11);
	expect_none("NTFS");
	put_mbr();
	memcpy(disk, "\xeb\x76\x90" "EXFAT   ", 11);
	expect_none("exFAT");
	put_mbr();
	memcpy(disk, "\xeb\x58\x90-FVE-FS-", 11);
	expect_none("BitLocker");
	put_mbr();
	memcpy(disk, "\xeb\x3c\x90mkfs.fat\0\2\1\1\0\2\0\2\0\10\xf8\4\0", 24);
	expect_none("FAT12");
	put_mbr();
	memcpy(disk, "LUKS\xba\xbe\0\1", 8);
	expect_none("LUKS");
	put_mbr();
	memcpy(disk, "XFSB", 4);
	expect_none("XFS");
}

Test(mbr, sector_without_signature_flags_or_sound_entry_is_no_table)
{
	put_mbr();
	disk[511] = 0;
	expect_none("signature");
	put_mbr();
	disk[446 + 48] = 0x01;
	expect_none("boot flag");
	put_mbr();
	put_entry(0, 0, 0x83, 0, 100);
	expect_none("starts at 0");
	put_entry(0, 0, 0x83, 64, 0);
	expect_none("empty");
	put_entry(0, 0, 0x83, SECTORS, 10);
	expect_none("beyond the end");
	put_entry(0, 0, 0, 64, 100);
	expect_none("type 0");
	put_mbr();
	put_entry(0, 1, 0xee, 1, SECTORS - 1);
	expect_none("protective entry of a GPT");
}

Test(mbr, sectors_of_4096_bytes_count_where_the_node_says_so)
{
	cleanup_blk struct blk *b = NULL;
	struct graph g;

	memset(disk, 0, sizeof(disk));
	put_entry(0, 0, 0x83, 2, 10);
	put_entry(0, 1, 0x05, 20, 200);
	put_entry(20 * 8, 0, 0x83, 2, 10);
	put_entry(20 * 8, 1, 0x05, 50, 100);
	put_entry(70 * 8, 0, 0x83, 2, 10);
	cr_assert_eq(blk_open_mem(disk, DISK, &b, NULL), 0);
	look_at(&g, "sdc", b, 4096);
	child(&g, "sdc1", 2 * 8, 10 * 8);
	child(&g, "sdc5", 22 * 8, 10 * 8);
	cr_expect_eq(child(&g, "sdc6", 72 * 8, 10 * 8)->sector, 4096);
	graph_done(&g);
	look_at(&g, "sdc", b, 512);
	child(&g, "sdc1", 2, 10);
	cr_expect_null(graph_find(&g, "sdc6"));
	graph_done(&g);
}

Test(mbr, no_mutation_leaves_the_disk)
{
	uint64_t seed = 4711;
	static uint8_t good[DISK];

	put_chain(8);
	memcpy(good, disk, DISK);
	for (unsigned round = 0; round < 20000; round++) {
		cleanup_blk struct blk *b = NULL;
		struct graph g = {0};
		struct node *n;
		unsigned hits = 1 + rnd(&seed) % 6;

		/* only the sectors with tables, and of them only the tables */
		for (unsigned i = 0; i < hits; i++) {
			unsigned at = rnd(&seed) % 9, off = 440 + rnd(&seed) % 72;
			uint8_t value = rnd(&seed) % 3 ? (uint8_t)rnd(&seed) : 5;

			disk[(at ? 100 + 100 * at : 0) * 512 + off] = value;
		}
		cr_assert_eq(blk_open_mem(disk, 1100 * 512, &b, NULL), 0);
		n = graph_add(&g, "sdc", KIND_DISK, NULL, b);
		if (format_mbr.parse(b, &n->meta, NULL) > 0) {
			n->format = &format_mbr;
			cr_assert_eq(format_mbr.describe(n, NULL), 0);
			cr_assert_eq(format_mbr.expand(&g, n, NULL), 0);
			expect_sound_extents(&g, n);
		}
		graph_done(&g);
		memcpy(disk, good, 1100 * 512);
	}
}
