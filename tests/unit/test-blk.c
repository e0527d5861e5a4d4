/* SPDX-License-Identifier: MIT */
/* Tests blk/blk.c, file.c, map.c and mem.c: ranges, alignment, counting of references, and that every byte of
 * a map comes from where its extent says. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "blk/blk.h"

enum { DISK = 64 * 1024 };

static uint8_t disk[DISK];

static void fill_disk(void)
{
	size_t i;

	for (i = 0; i < DISK; i++)
		disk[i] = (uint8_t)(i * 7 + (i >> 8) * 3);
}
TestSuite(blk, .init = fill_disk);
TestSuite(map, .init = fill_disk);

static struct blk *mem_disk(void)
{
	struct blk *b = NULL;

	cr_assert_eq(blk_open_mem(disk, DISK, &b, NULL), 0);
	return b;
}

Test(blk, ranges_outside_are_refused)
{
	cleanup_blk struct blk *b = mem_disk();
	struct err e = {""};
	uint8_t buf[16];

	cr_assert_eq(blk_pread(b, buf, 16, DISK - 15, &e), -ERANGE);
	cr_assert(strstr(e.msg, "outside"), "%s", e.msg);
	cr_assert_eq(blk_pread(b, buf, 1, UINT64_MAX, NULL), -ERANGE);
	cr_assert_eq(blk_pread(b, buf, SIZE_MAX, 1, NULL), -ERANGE);
	cr_assert_eq(blk_pwrite(b, buf, 16, DISK - 15, NULL), -ERANGE);
	cr_assert_eq(blk_pread(b, buf, 0, DISK + 1, NULL), -ERANGE);
	cr_assert_eq(blk_pread(b, buf, 0, DISK, NULL), 0);
	cr_assert_eq(blk_pwrite(b, buf, 0, 0, NULL), 0);
	cr_assert_eq(blk_pread(b, buf, 16, DISK - 16, NULL), 0);
	cr_assert_arr_eq(buf, disk + DISK - 16, 16);
}

/* A layer that is strict about what blk.c promises it, and counts. */
struct strict {
	struct blk blk;
	unsigned reads, writes, *closed;
	uint8_t bytes[16 * 512];
};

static int strict_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct strict *s = (struct strict *)b;

	(void)e;
	cr_assert(len > 0 && len % 512 == 0 && off % 512 == 0 && off + len <= b->size);
	memcpy(buf, s->bytes + off, len);
	s->reads++;
	return 0;
}

static int strict_pwrite(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	struct strict *s = (struct strict *)b;

	(void)e;
	cr_assert(len > 0 && len % 512 == 0 && off % 512 == 0 && off + len <= b->size);
	memcpy(s->bytes + off, buf, len);
	s->writes++;
	return 0;
}

static void strict_close(struct blk *b)
{
	struct strict *s = (struct strict *)b;

	if (s->closed)
		(*s->closed)++;
	free(s);
}

static const struct blk_ops strict_ops = {
	.kind = "strict", .pread = strict_pread, .pwrite = strict_pwrite, .close = strict_close};

static struct strict *new_strict(void)
{
	struct strict *s = calloc(1, sizeof(*s));

	cr_assert_not_null(s);
	s->blk = (struct blk){.ops = &strict_ops, .size = sizeof(s->bytes), .align = 512, .refs = 1};
	memcpy(s->bytes, disk, sizeof(s->bytes));
	return s;
}

Test(blk, any_range_of_an_aligned_layer_can_be_read_and_written)
{
	struct strict *s = new_strict();
	cleanup_blk struct blk *b = &s->blk;
	uint8_t model[sizeof(s->bytes)], buf[sizeof(s->bytes)];
	uint64_t off;
	size_t len, i;
	unsigned n;

	memcpy(model, s->bytes, sizeof(model));
	srand(1);
	for (n = 0; n < 20000; n++) {
		off = (uint64_t)rand() % sizeof(model);
		len = (size_t)rand() % (sizeof(model) - off + 1);
		if (n % 3 == 0)
			len %= 600;
		if (n % 2) {
			cr_assert_eq(blk_pread(b, buf, len, off, NULL), 0);
			cr_assert_eq(memcmp(buf, model + off, len), 0);
			continue;
		}
		for (i = 0; i < len; i++)
			model[off + i] = buf[i] = (uint8_t)rand();
		cr_assert_eq(blk_pwrite(b, buf, len, off, NULL), 0);
		cr_assert_eq(memcmp(s->bytes, model, sizeof(model)), 0);
	}
}

Test(blk, aligned_ranges_take_one_call)
{
	struct strict *s = new_strict();
	cleanup_blk struct blk *b = &s->blk;
	uint8_t buf[8 * 512];

	cr_assert_eq(blk_pread(b, buf, sizeof(buf), 512, NULL), 0);
	cr_assert_eq(s->reads, 1);
	cr_assert_eq(blk_pwrite(b, buf, sizeof(buf), 512, NULL), 0);
	cr_assert(s->reads == 1 && s->writes == 1);
	cr_assert_eq(blk_pread(b, buf, 1000, 100, NULL), 0);
	cr_assert_eq(s->reads, 4, "a head, a block and a tail");
}

Test(blk, a_layer_that_does_not_suit_its_alignment_is_refused)
{
	struct strict *s = new_strict();
	cleanup_blk struct blk *b = &s->blk;
	uint8_t buf[16];

	b->size -= 100;
	cr_assert_eq(blk_pread(b, buf, 16, 0, NULL), -EINVAL);
	b->size += 100;
	b->align = 8192;
	cr_assert_eq(blk_pread(b, buf, 16, 0, NULL), -EINVAL);
}

Test(blk, the_last_reference_closes_all_the_way_down)
{
	struct strict *s = new_strict();
	struct blk *map = NULL, *over = NULL, *window = NULL;
	unsigned closed = 0;

	s->closed = &closed;
	cr_assert_eq(blk_open_window(&s->blk, 512, 1024, &window, NULL), 0);
	cr_assert_eq(blk_open_overlay(window, &over, NULL), 0);
	cr_assert_eq(blk_open_map(&(struct extent){0, 1024, over, 0}, 1, &map, NULL), 0);
	cr_assert_eq(blk_ref(map), map);
	blk_unref(&s->blk);
	blk_unref(window);
	blk_unref(over);
	blk_unref(map);
	cr_assert_eq(closed, 0);
	blk_unref(map);
	cr_assert_eq(closed, 1);
	blk_unref(NULL);
	cr_assert_null(blk_ref(NULL));
}

Test(blk, memory_is_a_copy)
{
	cleanup_blk struct blk *b = mem_disk(), *zero = NULL, *empty = NULL;
	uint8_t buf[4] = {1, 2, 3, 4};

	cr_assert_eq(blk_pwrite(b, buf, 4, 10, NULL), 0);
	cr_assert_eq(disk[10], (uint8_t)70);
	cr_assert_eq(blk_open_mem(NULL, 8, &zero, NULL), 0);
	cr_assert_eq(blk_pread(zero, buf, 4, 4, NULL), 0);
	cr_assert_arr_eq(buf, "\0\0\0\0", 4);
	cr_assert_eq(blk_open_mem(NULL, 0, &empty, NULL), 0);
	cr_assert_eq(blk_pread(empty, buf, 1, 0, NULL), -ERANGE);
}

/* a file that holds the disk */
static int disk_file(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, disk, DISK), DISK);
	return fd;
}

Test(blk, a_file_is_read_and_never_written)
{
	cleanup_blk struct blk *b = NULL, *window = NULL;
	uint64_t bytes0, reads0, bytes, reads;
	uint8_t buf[5000];
	int fd = disk_file();

	cr_assert_eq(blk_open_file(fd, DISK, "disk", &b, NULL), 0);
	close(fd); /* the layer has its own */
	blk_file_stats(&bytes0, &reads0);
	cr_assert_eq(blk_pread(b, buf, sizeof(buf), 4321, NULL), 0);
	cr_assert_arr_eq(buf, disk + 4321, sizeof(buf));
	blk_file_stats(&bytes, &reads);
	cr_assert_eq(bytes - bytes0, sizeof(buf));
	cr_assert_eq(reads - reads0, 1);

	cr_assert_not(blk_is_writable(b));
	cr_assert_eq(blk_pwrite(b, buf, 1, 0, NULL), -EROFS);
	cr_assert_eq(blk_open_window(b, 0, 100, &window, NULL), 0);
	cr_assert_not(blk_is_writable(window));
	cr_assert_eq(blk_pwrite(window, buf, 1, 0, NULL), -EROFS);
}

Test(blk, a_file_that_shrank_is_named_with_its_end)
{
	cleanup_blk struct blk *b = NULL;
	cleanup_close int fd = disk_file();
	struct err e = {""};
	uint8_t buf[4096];

	cr_assert_eq(blk_open_file(fd, DISK, "os.vhd", &b, NULL), 0);
	cr_assert_eq(ftruncate(fd, 10000), 0);
	cr_assert_eq(blk_pread(b, buf, 4096, 8000, &e), -EIO);
	cr_assert_str_eq(e.msg, "os.vhd: ended at byte 10000, expected 65536");
	cr_assert_eq(blk_pread(b, buf, 2000, 8000, &e), 0);
}

/* The process's own memory is a file in which an unmapped page is a bad sector. */
Test(blk, a_bad_sector_is_named_and_its_neighbours_are_read)
{
	cleanup_close int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	cleanup_blk struct blk *b = NULL;
	uint8_t *pages, buf[4 * 4096];
	char expect[100];
	struct err e = {""};

	pages = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(pages, MAP_FAILED);
	memset(pages, 0x5a, 4 * 4096);
	munmap(pages + 2 * 4096, 4096);
	if (fd < 0 || pread(fd, buf, 1, (off_t)(uintptr_t)(pages + 2 * 4096)) >= 0 || errno != EIO)
		cr_skip_test("this kernel has no unreadable byte to offer");

	cr_assert_eq(blk_open_file(fd, INT64_MAX, "sdx", &b, NULL), 0);
	cr_assert_eq(blk_pread(b, buf, sizeof(buf), (uintptr_t)pages + 100, &e), -EIO);
	snprintf(expect, sizeof(expect), "sdx: cannot be read at byte %ju: Input/output error",
		 (uintmax_t)(uintptr_t)(pages + 2 * 4096));
	cr_assert_str_eq(e.msg, expect);
	cr_assert_eq(blk_pread(b, buf, 2 * 4096, (uintptr_t)pages, NULL), 0);
	cr_assert_eq(blk_pread(b, buf, 4096, (uintptr_t)pages + 3 * 4096, NULL), 0);
	cr_assert_eq(buf[4095], 0x5a);
}

Test(blk, a_file_larger_than_files_can_be_is_refused)
{
	cleanup_close int fd = disk_file();
	struct blk *b = NULL;

	cr_assert_eq(blk_open_file(fd, UINT64_MAX, "disk", &b, NULL), -ERANGE);
	cr_assert_eq(blk_open_file(-1, 10, "disk", &b, NULL), -EBADF);
	cr_assert_null(b);
}

Test(map, every_byte_comes_from_its_extent)
{
	cleanup_blk struct blk *under = mem_disk(), *map = NULL;
	const struct extent x[] = {
		{0, 1000, under, 5000},
		{1000, 1, under, 0},
		{1001, 2000, NULL, 0},
		{3001, 4096, under, DISK - 4096},
	};
	uint8_t model[7097], buf[7097];
	size_t off, len;
	unsigned n;

	memcpy(model, disk + 5000, 1000);
	model[1000] = disk[0];
	memset(model + 1001, 0, 2000);
	memcpy(model + 3001, disk + DISK - 4096, 4096);
	cr_assert_eq(blk_open_map(x, 4, &map, NULL), 0);
	cr_assert_eq(map->size, sizeof(model));
	srand(2);
	for (n = 0; n < 5000; n++) {
		off = (size_t)rand() % sizeof(model);
		len = (size_t)rand() % (sizeof(model) - off + 1);
		memset(buf, 0xee, sizeof(buf));
		cr_assert_eq(blk_pread(map, buf, len, off, NULL), 0);
		cr_assert_eq(memcmp(buf, model + off, len), 0, "%zu at %zu", len, off);
		cr_assert(len == sizeof(buf) || buf[len] == 0xee);
	}
}

Test(map, writes_go_through_and_holes_refuse_them_whole)
{
	cleanup_blk struct blk *under = mem_disk(), *map = NULL;
	struct extent x[] = {{0, 512, under, 1024}, {512, 512, under, 8192}, {1024, 512, NULL, 0}};
	uint8_t data[1024], buf[1024];
	struct err e = {""};

	memset(data, 0x77, sizeof(data));
	cr_assert_eq(blk_open_map(x, 3, &map, NULL), 0);
	cr_assert_eq(blk_pwrite(map, data, 600, 300, NULL), 0);
	cr_assert_eq(blk_pread(under, buf, 212, 1324, NULL), 0);
	cr_assert_arr_eq(buf, data, 212);
	cr_assert_eq(blk_pread(under, buf, 388, 8192, NULL), 0);
	cr_assert_arr_eq(buf, data, 388);

	memset(data, 0x11, sizeof(data));
	cr_assert_eq(blk_pwrite(map, data, 200, 900, &e), -EROFS);
	cr_assert_eq(blk_pread(map, buf, 124, 900, NULL), 0);
	cr_assert_neq(buf[0], 0x11, "nothing of a refused write arrives");
}

Test(map, extents_that_do_not_join_or_leave_their_device_are_refused)
{
	cleanup_blk struct blk *under = mem_disk();
	struct blk *map = NULL;
	struct extent gap[] = {{0, 512, under, 0}, {513, 512, under, 0}};
	struct extent overlap[] = {{0, 512, under, 0}, {511, 512, under, 0}};
	struct extent late[] = {{1, 512, under, 0}};
	struct extent empty[] = {{0, 0, under, 0}, {0, 512, under, 0}};
	struct extent past[] = {{0, 512, under, DISK - 511}};
	struct extent wraps[] = {{0, 512, under, UINT64_MAX - 10}};
	struct extent huge[] = {{0, UINT64_MAX, NULL, 0}, {UINT64_MAX, 512, NULL, 0}};

	cr_assert_eq(blk_open_map(gap, 2, &map, NULL), -ERANGE);
	cr_assert_eq(blk_open_map(overlap, 2, &map, NULL), -ERANGE);
	cr_assert_eq(blk_open_map(late, 1, &map, NULL), -ERANGE);
	cr_assert_eq(blk_open_map(empty, 2, &map, NULL), -ERANGE);
	cr_assert_eq(blk_open_map(past, 1, &map, NULL), -ERANGE);
	cr_assert_eq(blk_open_map(wraps, 1, &map, NULL), -ERANGE);
	cr_assert_eq(blk_open_map(huge, 2, &map, NULL), -ERANGE);
	cr_assert_null(map);
	cr_assert_eq(under->refs, 1, "a refused map keeps nothing");
}

Test(map, a_window_is_one_extent)
{
	cleanup_blk struct blk *under = mem_disk(), *window = NULL, *none = NULL;
	struct blk *bad = NULL;
	uint8_t buf[4], expect[4];

	cr_assert_eq(blk_open_window(under, 512, 1024, &window, NULL), 0);
	cr_assert_eq(window->size, 1024);
	cr_assert_eq(blk_pread(window, buf, 4, 1020, NULL), 0);
	cr_assert_eq(blk_pread(under, expect, 4, 1532, NULL), 0);
	cr_assert_arr_eq(buf, expect, 4);
	cr_assert_eq(blk_pread(window, buf, 4, 1021, NULL), -ERANGE);
	cr_assert_eq(blk_open_window(under, 0, DISK + 1, &bad, NULL), -ERANGE);
	cr_assert_eq(blk_open_window(under, DISK, UINT64_MAX, &bad, NULL), -ERANGE);
	cr_assert_eq(blk_open_window(under, DISK, 0, &none, NULL), 0);
	cr_assert_eq(none->size, 0);
}
