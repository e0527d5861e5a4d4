/* SPDX-License-Identifier: MIT */
/* Tests format/other.c: what libblkid names is named, what it must not say is not said, and nothing is
 * guessed. */
#include "disk.h"

#include "fs/fs.h"

enum { DISK = 4 << 20 };        /* libblkid asks less of devices below 1.44 MB */

static uint8_t disk[DISK];

static void put_swap(void)
{
	put_le(disk + 1024, 1, 4);
	put_le(disk + 1028, DISK / 4096 - 1, 4);
	memset(disk + 1036, 0x5a, 16);
	memcpy(disk + 1052, "swaplabel", 9);
	memcpy(disk + 4086, "SWAPSPACE2", 10);
}

static void put_squashfs(void)
{
	memcpy(disk, "hsqs", 4);
	put_le(disk + 28, 4, 2);
}

static int parse(void **ret_meta)
{
	cleanup_blk struct blk *b = NULL;

	cr_assert_eq(blk_open_mem(disk, DISK, &b, NULL), 0);
	return format_other.parse(b, ret_meta, NULL);
}

Test(other, swap_is_named_and_holds_no_files)
{
	struct err e = {{0}};
	struct graph g;
	struct node *n;

	put_swap();
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_str_eq(n->fmt, "swap");
	cr_expect_str_eq(n->uuid, "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a");
	cr_expect_str_eq(n->label, "swaplabel");
	cr_expect_eq(n->state, NODE_OPEN);
	cr_expect_null(node_fs(n, &e));
	cr_expect_str_eq(n->fs_why.msg, "swap: holds no files");
	cr_expect_str_eq(e.msg, "swap: holds no files");
	graph_done(&g);
}

Test(other, file_system_without_a_reader_is_open_and_says_so)
{
	struct graph g;
	struct node *n;

	put_squashfs();
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_str_eq(n->fmt, "squashfs");
	cr_expect_eq(n->state, NODE_OPEN);
	cr_expect_str_eq(n->fs_why.msg, "squashfs: no reader here");
	cr_expect_null(node_fs(n, NULL));
	graph_done(&g);
}

Test(other, two_signatures_are_damage_and_not_guessed_at)
{
	struct graph g;
	struct node *n;

	put_swap();
	put_squashfs();
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_eq(n->state, NODE_DAMAGED);
	cr_expect_eq(n->fmt[0], 0);
	expect_why(n, "swap");
	expect_why(n, " and ");
	expect_why(n, "squashfs");
	graph_done(&g);
}

Test(other, never_says_luks)
{
	void *meta = NULL;
	struct node n = {0};

	memcpy(disk, "LUKS\xba\xbe\0\1", 8);
	memcpy(disk + 8, "aes", 3);
	memcpy(disk + 40, "xts-plain64", 11);
	memcpy(disk + 72, "sha256", 6);
	cr_expect_eq(parse(&meta), 0);

	/* a stale secondary header does not hide a swap */
	memset(disk, 0, sizeof(disk));
	memcpy(disk + 0x4000, "SKUL\xba\xbe\0\2", 8);
	put_be(disk + 0x4000 + 8, 0x4000, 8);
	put_be(disk + 0x4000 + 256, 0x4000, 8);
	cr_expect_eq(parse(&meta), 0);
	put_swap();
	cr_assert_eq(parse(&n.meta), 1);
	cr_assert_eq(format_other.describe(&n, NULL), 0);
	cr_expect_str_eq(n.fmt, "swap");
	format_other.free_meta(n.meta);
	free(n.label);
}

Test(other, bitlocker_is_named_and_refused)
{
	struct graph g;
	struct node *n;

	memcpy(disk, "\xeb\x58\x90-FVE-FS-", 11);
	put_le(disk + 510, 0xaa55, 2);
	n = look_at_bytes(&g, "sdc", disk, DISK);
	cr_expect_str_eq(n->fmt, "BitLocker");
	cr_expect_eq(n->state, NODE_UNSUPPORTED);
	expect_why(n, "Windows");
	graph_done(&g);
}

Test(other, partition_tables_are_not_its_business)
{
	void *meta = NULL;

	disk[446 + 4] = 0x83;
	put_le(disk + 446 + 8, 64, 4);
	put_le(disk + 446 + 12, 64, 4);
	put_le(disk + 510, 0xaa55, 2);
	cr_expect_eq(parse(&meta), 0);
}

Test(other, zeroes_noise_and_nothing_have_no_name)
{
	cleanup_blk struct blk *b = NULL;
	uint64_t seed = 1;
	void *meta = NULL;

	cr_expect_eq(parse(&meta), 0);
	for (size_t i = 0; i < DISK; i++)
		disk[i] = (uint8_t)rnd(&seed);
	cr_expect_eq(parse(&meta), 0);
	cr_assert_eq(blk_open_mem(disk, 100, &b, NULL), 0);
	cr_expect_eq(format_other.parse(b, &meta, NULL), 0);
}

Test(other, large_device_is_named_from_a_stage)
{
	cleanup_blk struct blk *b = NULL;
	char path[64];
	void *meta = NULL;
	struct node n = {0};

	temp_file(path, 0);
	tool("truncate -s 3G %s", path);
	tool("mkswap -U 01234567-89ab-cdef-0123-456789abcdef %s >/dev/null 2>&1", path);
	b = open_path(path);
	cr_assert_eq(format_other.parse(b, &meta, NULL), 1);
	n.meta = meta;
	cr_assert_eq(format_other.describe(&n, NULL), 0);
	cr_expect_str_eq(n.uuid, "01234567-89ab-cdef-0123-456789abcdef");
	format_other.free_meta(meta);
	unlink(path);
}

Test(other, unreadable_device_is_an_error)
{
	cleanup_blk struct blk *mem = NULL, *bad = NULL;
	struct err e = {{0}};
	void *meta = NULL;

	put_swap();
	cr_assert_eq(blk_open_mem(disk, DISK, &mem, NULL), 0);
	bad = bad_open(mem, 4096, 8192);
	cr_expect_eq(format_other.parse(bad, &meta, &e), -EIO);
	cr_expect(strstr(e.msg, "bad sector"), "%s", e.msg);
}
