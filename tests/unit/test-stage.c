/* SPDX-License-Identifier: MIT */
/* Tests blk/stage.c: a stage has the bytes it was asked for, zeroes elsewhere, and cannot be changed. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/bytes.h"
#include "blk/blk.h"

enum { DISK = 1024 * 1024 };

static uint8_t disk[DISK], buf[DISK];

static struct blk *open_disk(void)
{
	struct blk *b = NULL;
	size_t i;

	for (i = 0; i < DISK; i++)
		disk[i] = i / 4096 % 3 == 1 ? 0 : (uint8_t)(1 + i % 251); /* every third block is zero */
	cr_assert_eq(blk_open_mem(disk, DISK, &b, NULL), 0);
	return b;
}

Test(stage, holds_the_ranges_and_zeroes_elsewhere)
{
	cleanup_blk struct blk *b = open_disk();
	struct stage_range r[] = {{100, 300000}, {500000, 1}, {DISK - 7, 7}, {90000, 5000}, {0, 0}};
	static uint8_t model[DISK];
	cleanup_close int fd = -1;
	struct stat st;

	memcpy(model + 100, disk + 100, 300000);
	model[500000] = disk[500000];
	memcpy(model + DISK - 7, disk + DISK - 7, 7);
	cr_assert_eq(blk_stage(b, DISK, r, 5, &fd, NULL), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(st.st_size, DISK);
	cr_assert_eq(pread(fd, buf, DISK, 0), DISK);
	cr_assert_eq(memcmp(buf, model, DISK), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), 0);
}

Test(stage, can_be_larger_than_what_it_holds)
{
	cleanup_blk struct blk *b = open_disk();
	struct stage_range r = {0, DISK};
	cleanup_close int fd = -1;
	struct stat st;

	cr_assert_eq(blk_stage(b, 1ull << 40, &r, 1, &fd, NULL), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(st.st_size, 1ll << 40);
	cr_assert_lt(st.st_blocks * 512, DISK, "zero blocks are holes");
	cr_assert_eq(pread(fd, buf, DISK, 0), DISK);
	cr_assert_eq(memcmp(buf, disk, DISK), 0);
}

Test(stage, cannot_be_changed_by_anybody)
{
	cleanup_blk struct blk *b = open_disk();
	struct stage_range r = {0, DISK};
	cleanup_close int fd = -1, again = -1;
	char path[64];

	cr_assert_eq(blk_stage(b, DISK, &r, 1, &fd, NULL), 0);
	cr_assert_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_lt(pwrite(fd, "x", 1, 0), 0);
	cr_assert_lt(ftruncate(fd, 0), 0);
	cr_assert_lt(ftruncate(fd, 2 * DISK), 0);
	cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(again < 0 || pwrite(again, "x", 1, 0) < 0);
}

Test(stage, ranges_of_a_hostile_header_are_refused)
{
	cleanup_blk struct blk *b = open_disk(), *huge = NULL;
	const struct stage_range past = {DISK - 1, 2}, wraps = {UINT64_MAX, 2}, size = {10, 100};
	const struct stage_range much[] = {{0, 300ull << 20}, {0, 300ull << 20}}, endless = {0, 1ull << 50};
	int fd = -1;

	cr_assert_eq(blk_stage(b, 2 * DISK, &past, 1, &fd, NULL), -ERANGE);
	cr_assert_eq(blk_stage(b, DISK, &wraps, 1, &fd, NULL), -ERANGE);
	cr_assert_eq(blk_stage(b, 100, &size, 1, &fd, NULL), -ERANGE);
	cr_assert_eq(blk_stage(b, UINT64_MAX, &size, 1, &fd, NULL), -ERANGE);
	cr_assert_eq(blk_open_map(&(struct extent){0, 1ull << 50, NULL, 0}, 1, &huge, NULL), 0);
	cr_assert_eq(blk_stage(huge, 1ull << 50, much, 2, &fd, NULL), -EOPNOTSUPP);
	cr_assert_eq(blk_stage(huge, 1ull << 50, &endless, 1, &fd, NULL), -EOPNOTSUPP);
	cr_assert_eq(fd, -1);
}

/* A device whose every byte is the low byte of its sector number plus one. */
static int stripes_pread(struct blk *b, void *out, size_t len, uint64_t off, struct err *e)
{
	uint8_t *p = out;
	size_t i;

	(void)b;
	(void)e;
	for (i = 0; i < len; i++)
		p[i] = (uint8_t)((off + i) / 512 % 255 + 1);
	return 0;
}

static void stripes_close(struct blk *b)
{
	(void)b;
}

static const struct blk_ops stripes_ops = {.kind = "stripes", .pread = stripes_pread, .close = stripes_close};

static bool stage_has(int fd, uint64_t off)
{
	uint8_t got[512], want[512];

	stripes_pread(NULL, want, 512, off, NULL);
	cr_assert_eq(pread(fd, got, 512, (off_t)off), 512);
	cr_assert(memcmp(got, want, 512) == 0 || bytes_all_zero(got, 512));
	return memcmp(got, want, 512) == 0;
}

Test(stage, a_probe_window_is_the_two_ends_of_a_large_device)
{
	const uint64_t size = 10ull << 30, head = (4ull << 20) + (128 << 10), tail = 2ull << 20;
	struct blk stripes = {.ops = &stripes_ops, .size = size, .align = 1, .refs = 1};
	cleanup_close int fd = -1;

	cr_assert_eq(blk_stage_probe(&stripes, &fd, NULL), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_END), (off_t)size);
	cr_assert(stage_has(fd, 0) && stage_has(fd, head - 512) && !stage_has(fd, head));
	cr_assert(!stage_has(fd, size - tail - 512) && stage_has(fd, size - tail));
	cr_assert(stage_has(fd, size - 512));
}

Test(stage, a_probe_window_is_all_of_a_small_device)
{
	struct blk stripes = {.ops = &stripes_ops, .size = 64ull << 20, .align = 1, .refs = 1};
	struct blk tiny = stripes;
	cleanup_close int fd = -1, fd2 = -1;

	cr_assert_eq(blk_stage_probe(&stripes, &fd, NULL), 0);
	cr_assert(stage_has(fd, 30ull << 20) && stage_has(fd, (64ull << 20) - 512));
	tiny.size = 0;
	cr_assert_eq(blk_stage_probe(&tiny, &fd2, NULL), 0);
	cr_assert_eq(lseek(fd2, 0, SEEK_END), 0);
}
