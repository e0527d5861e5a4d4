/* SPDX-License-Identifier: MIT */
/* Tests format/vhd.c: only a footer that fits is taken away, and nothing else is ever hidden. */
#include "disk.h"

enum { RAW = 64 * 1024, FOOTER = 512, VHD = RAW + FOOTER };

static uint8_t disk[VHD + FOOTER];

static void checksum(uint8_t *f)
{
	uint32_t sum = 0;

	memset(f + 64, 0, 4);
	for (size_t i = 0; i < FOOTER; i++)
		sum += f[i];
	put_be(f + 64, ~sum, 4);
}

static void put_footer(uint8_t *f, uint32_t type, uint64_t original, uint64_t current)
{
	memset(f, 0, FOOTER);
	memcpy(f, "conectix", 8);
	put_be(f + 8, 2, 4);
	put_be(f + 12, 0x10000, 4);
	put_be(f + 16, type == 2 ? UINT64_MAX : 512, 8);
	memcpy(f + 28, "win ", 4);
	put_be(f + 40, original, 8);
	put_be(f + 48, current, 8);
	put_be(f + 60, type, 4);
	checksum(f);
}

/* One MBR partition, so that what lies before the footer is something. */
static void put_disk(void)
{
	memset(disk, 0, sizeof(disk));
	disk[446 + 4] = 0x83;
	put_le(disk + 446 + 8, 8, 4);
	put_le(disk + 446 + 12, RAW / 512 - 8, 4);
	disk[510] = 0x55;
	disk[511] = 0xaa;
}

static void expect_raw(size_t len, const char *what)
{
	struct graph g;
	struct node *n = look_at_bytes(&g, "os.vhd", disk, len);

	cr_expect_str_eq(n->fmt, "dos", "%s", what);
	cr_expect_eq(n->blk->size, len, "%s: the whole file is the disk", what);
	graph_done(&g);
}

Test(vhd, fixed_is_the_disk_without_its_footer)
{
	struct graph g;
	struct node *n;

	put_disk();
	put_footer(disk + RAW, 2, RAW, RAW);
	n = look_at_bytes(&g, "os.vhd", disk, VHD);
	cr_expect_eq(n->blk->size, RAW);
	cr_expect_eq(n->size, RAW);
	cr_expect_str_eq(n->fmt, "dos");
	cr_expect_eq(n->state, NODE_OPEN);
	cr_assert(graph_find(&g, "os.vhd1"), "the disk in it is looked at");
	cr_expect_eq(graph_find(&g, "os.vhd1")->offset + graph_find(&g, "os.vhd1")->size, RAW);
	graph_done(&g);
}

Test(vhd, either_size_of_the_footer_may_be_the_one_that_fits)
{
	struct graph g;
	struct node *n;

	put_disk();
	put_footer(disk + RAW, 2, RAW, RAW - 4096);
	n = look_at_bytes(&g, "os.vhd", disk, VHD);
	cr_expect_eq(n->blk->size, RAW);
	graph_done(&g);
}

Test(vhd, footer_of_another_size_is_not_taken_away)
{
	put_disk();
	put_footer(disk + RAW, 2, RAW - 512, RAW - 512);
	expect_raw(VHD, "smaller");
	put_footer(disk + RAW, 2, VHD, VHD);
	expect_raw(VHD, "larger");
	put_footer(disk + RAW, 2, 0, UINT64_MAX);
	expect_raw(VHD, "absurd");
}

Test(vhd, footer_with_a_bad_checksum_is_not_taken_away)
{
	put_disk();
	for (size_t i = 0; i < FOOTER; i++) {
		put_footer(disk + RAW, 2, RAW, RAW);
		disk[RAW + i] ^= 0x10;
		expect_raw(VHD, "one bit off");
	}
}

Test(vhd, footer_elsewhere_is_not_looked_for)
{
	put_disk();
	put_footer(disk + RAW - 512, 2, RAW, RAW);
	expect_raw(VHD, "one sector early");
	put_disk();
	expect_raw(VHD, "none");
}

Test(vhd, dynamic_and_differencing_are_named_and_refused)
{
	struct graph g;
	struct node *n;

	for (uint32_t type = 3; type <= 4; type++) {
		put_disk();
		put_footer(disk, type, 1 << 30, 1 << 30);
		put_footer(disk + RAW, type, 1 << 30, 1 << 30);
		n = look_at_bytes(&g, "os.vhd", disk, VHD);
		cr_expect_eq(n->state, NODE_UNSUPPORTED);
		cr_expect_str_eq(n->fmt, "vhd");
		expect_why(n, type == 3 ? "dynamic" : "differencing");
		cr_expect_eq(g.n, 1);
		graph_done(&g);

		/* cut off: the copy at the front is left */
		n = look_at_bytes(&g, "os.vhd", disk, VHD - 1000);
		cr_expect_eq(n->state, NODE_UNSUPPORTED);
		graph_done(&g);
	}
}

Test(vhd, footer_below_a_footer_is_refused)
{
	struct graph g;
	struct node *n;

	put_disk();
	put_footer(disk + RAW, 2, RAW, RAW);
	put_footer(disk + VHD, 2, VHD, VHD);
	n = look_at_bytes(&g, "os.vhd", disk, VHD + FOOTER);
	cr_expect_eq(n->state, NODE_DAMAGED);
	expect_why(n, "VHD inside");
	graph_done(&g);
}

Test(vhd, disk_with_a_bad_last_sector_is_still_a_disk)
{
	cleanup_blk struct blk *mem = NULL, *bad = NULL;
	struct graph g;
	struct node *n;

	put_disk();
	cr_assert_eq(blk_open_mem(disk, RAW, &mem, NULL), 0);
	bad = bad_open(mem, RAW - 512, RAW);
	n = look_at(&g, "sdc", bad, 0);
	cr_expect_str_eq(n->fmt, "dos");
	graph_done(&g);
}

Test(vhd, files_too_short_are_none)
{
	cleanup_blk struct blk *b = NULL;
	void *meta = NULL;

	put_footer(disk, 2, 0, 0);
	cr_assert_eq(blk_open_mem(disk, 512, &b, NULL), 0);
	cr_expect_eq(format_vhd.parse(b, &meta, NULL), 0);
}

Test(vhd, what_qemu_makes_is_read)
{
	char path[64], vhd[80];
	struct blk *b;
	struct graph g;
	struct node *n;

	put_disk();
	temp_file(path, 4 << 20);
	snprintf(vhd, sizeof(vhd), "%s.vhd", path);
	tool("qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on %s %s", path, vhd);
	b = open_path(vhd);
	n = look_at(&g, "x.vhd", b, 0);
	cr_expect_eq(n->blk->size, 4 << 20);
	cr_expect_eq(b->size, (4 << 20) + 512);
	graph_done(&g);
	blk_unref(b);
	tool("qemu-img convert -f raw -O vpc -o subformat=dynamic %s %s", path, vhd);
	b = open_path(vhd);
	n = look_at(&g, "x.vhd", b, 0);
	cr_expect_eq(n->state, NODE_UNSUPPORTED);
	graph_done(&g);
	blk_unref(b);
	unlink(vhd);
	unlink(path);
}
