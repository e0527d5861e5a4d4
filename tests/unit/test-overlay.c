/* SPDX-License-Identifier: MIT */
/* Tests blk/overlay.c: that it reads like a disk that was written, that the layer below never is, and that
 * the walk and the marks tell exactly what changed. */
#include <criterion/criterion.h>
#include <string.h>
#include "blk/blk.h"

enum { SIZE = 100 * 4096 + 1536 }; /* the last block is a short one */

static uint8_t base[SIZE], model[SIZE], buf[SIZE];

static void open_both(struct blk **ret_under, struct blk **ret_over)
{
	size_t i;

	for (i = 0; i < SIZE; i++)
		base[i] = (uint8_t)(i * 11 + (i >> 9));
	memcpy(model, base, SIZE);
	cr_assert_eq(blk_open_mem(base, SIZE, ret_under, NULL), 0);
	cr_assert_eq(blk_open_overlay(*ret_under, ret_over, NULL), 0);
	cr_assert_eq((*ret_over)->size, SIZE);
}

static void random_writes(struct blk *over, unsigned n)
{
	size_t off, len, i;

	while (n--) {
		off = (size_t)rand() % SIZE;
		len = (size_t)rand() % 9000;
		len = len > SIZE - off ? SIZE - off : len;
		for (i = 0; i < len; i++)
			model[off + i] = buf[i] = (uint8_t)rand();
		cr_assert_eq(blk_pwrite(over, buf, len, off, NULL), 0);
	}
}

static void expect_model(struct blk *over)
{
	cr_assert_eq(blk_pread(over, buf, SIZE, 0, NULL), 0);
	cr_assert_eq(memcmp(buf, model, SIZE), 0);
}

Test(overlay, reads_as_if_the_disk_had_been_written)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;
	size_t off, len;
	unsigned n;

	open_both(&under, &over);
	expect_model(over);
	srand(3);
	for (n = 0; n < 300; n++) {
		random_writes(over, 1);
		off = (size_t)rand() % SIZE;
		len = (size_t)rand() % (SIZE - off + 1);
		cr_assert_eq(blk_pread(over, buf, len, off, NULL), 0);
		cr_assert_eq(memcmp(buf, model + off, len), 0);
	}
	expect_model(over);
	cr_assert_eq(blk_pread(under, buf, SIZE, 0, NULL), 0);
	cr_assert_eq(memcmp(buf, base, SIZE), 0, "the layer below is never written");
}

Test(overlay, thousands_of_blocks_are_found_again)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;
	uint64_t no;

	cr_assert_eq(blk_open_map(&(struct extent){0, 1ull << 46, NULL, 0}, 1, &under, NULL), 0);
	cr_assert_eq(blk_open_overlay(under, &over, NULL), 0);
	for (no = 0; no < 5000; no++)
		cr_assert_eq(blk_pwrite(over, &no, 8, no * no * 4096 * 50 + 16, NULL), 0);
	for (no = 0; no < 5000; no++) {
		cr_assert_eq(blk_pread(over, buf, 4096, no * no * 4096 * 50, NULL), 0);
		cr_assert_eq(memcmp(buf + 16, &no, 8), 0, "block %ju", (uintmax_t)no);
	}
}

/* What a walk has seen. */
struct seen {
	uint64_t off[600], next;
	size_t len[600], n;
	int answer;
};

static int see(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len)
{
	struct seen *s = arg;

	cr_assert(off >= s->next && off % 4096 == 0 && len > 0 && len % 512 == 0);
	cr_assert(len % 4096 == 0 || off + len == SIZE);
	cr_assert_eq(memcmp(old_, base + off, len), 0);
	cr_assert_eq(memcmp(new_, model + off, len), 0);
	s->off[s->n] = off;
	s->len[s->n++] = len;
	s->next = off + len + 1; /* neighbours are joined: the next run starts later */
	return s->answer;
}

Test(overlay, a_walk_tells_every_change_once_in_order)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;
	struct seen s = {.n = 0};
	size_t i, changed = 0, told = 0;

	open_both(&under, &over);
	cr_assert_eq(blk_overlay_walk(over, see, &s, NULL), 0);
	cr_assert_eq(s.n, 0);

	srand(4);
	random_writes(over, 40);
	cr_assert_eq(blk_overlay_walk(over, see, &s, NULL), 0);
	for (i = 0; i < SIZE; i += 4096)
		if (memcmp(base + i, model + i, SIZE - i < 4096 ? SIZE - i : 4096) != 0)
			changed++;
	for (i = 0; i < s.n; i++)
		told += (s.len[i] + 4095) / 4096;
	cr_assert_eq(told, changed);
}

Test(overlay, the_short_last_block_ends_at_the_devices_end)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;
	struct seen s = {.n = 0};

	open_both(&under, &over);
	model[SIZE - 1] ^= 1;
	cr_assert_eq(blk_pwrite(over, model + SIZE - 1, 1, SIZE - 1, NULL), 0);
	cr_assert_eq(blk_overlay_walk(over, see, &s, NULL), 0);
	cr_assert(s.n == 1 && s.off[0] == 100 * 4096 && s.len[0] == 1536);
	expect_model(over);
}

Test(overlay, bytes_written_as_they_were_are_no_change)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;
	struct seen s = {.n = 0};

	open_both(&under, &over);
	cr_assert_eq(blk_pwrite(over, base + 5000, 20000, 5000, NULL), 0);
	cr_assert_eq(blk_overlay_walk(over, see, &s, NULL), 0);
	cr_assert_eq(s.n, 0);
}

Test(overlay, an_answer_other_than_0_ends_the_walk)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;
	struct seen s = {.answer = -ENOSPC};

	open_both(&under, &over);
	model[0] ^= 1;
	model[9000] ^= 1;
	cr_assert_eq(blk_pwrite(over, model, 1, 0, NULL), 0);
	cr_assert_eq(blk_pwrite(over, model + 9000, 1, 9000, NULL), 0);
	cr_assert_eq(blk_overlay_walk(over, see, &s, NULL), -ENOSPC);
	cr_assert_eq(s.n, 1);
	s = (struct seen){.answer = 5};
	cr_assert_eq(blk_overlay_walk(over, see, &s, NULL), 5);
}

struct big {
	uint64_t next;
	size_t runs, longest;
};

static int see_big(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len)
{
	struct big *s = arg;

	cr_assert(off == s->next && old_[0] == 0 && new_[len - 1] == 9);
	s->next = off + len;
	s->runs++;
	s->longest = len > s->longest ? len : s->longest;
	return 0;
}

Test(overlay, a_run_is_at_most_one_mebibyte)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;
	uint8_t nines[4096];
	struct big s = {.runs = 0};
	uint64_t off;

	memset(nines, 9, sizeof(nines));
	cr_assert_eq(blk_open_map(&(struct extent){0, 1 << 30, NULL, 0}, 1, &under, NULL), 0);
	cr_assert_eq(blk_open_overlay(under, &over, NULL), 0);
	for (off = 0; off < 5 * 512 * 1024; off += 4096)
		cr_assert_eq(blk_pwrite(over, nines, 4096, off, NULL), 0);
	cr_assert_eq(blk_overlay_walk(over, see_big, &s, NULL), 0);
	cr_assert(s.runs == 3 && s.longest == 1024 * 1024 && s.next == 5 * 512 * 1024);
}

Test(overlay, a_reset_forgets_all)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;

	open_both(&under, &over);
	srand(5);
	random_writes(over, 20);
	blk_overlay_reset(over);
	memcpy(model, base, SIZE);
	expect_model(over);
	random_writes(over, 20);
	expect_model(over);
}

Test(overlay, a_mark_is_frozen_and_can_be_come_back_to)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;
	struct overlay_mark *none = NULL, *some = NULL, *unused = NULL;
	static uint8_t then[SIZE];

	open_both(&under, &over);
	cr_assert_eq(blk_overlay_mark(over, &none, NULL), 0);
	srand(6);
	random_writes(over, 20);
	memcpy(then, model, SIZE);
	cr_assert_eq(blk_overlay_mark(over, &some, NULL), 0);
	cr_assert_eq(blk_overlay_mark(over, &unused, NULL), 0);
	random_writes(over, 60);
	expect_model(over);

	blk_overlay_restore(over, some);
	memcpy(model, then, SIZE);
	expect_model(over);
	random_writes(over, 20);
	expect_model(over);
	blk_overlay_restore(over, none);
	memcpy(model, base, SIZE);
	expect_model(over);
	blk_overlay_mark_free(unused);
	blk_overlay_mark_free(NULL);
}

/* fn may write to the overlay that is walked: it is told of the writes before. */
static int write_back(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len)
{
	struct blk *over = arg;

	cr_assert_eq(memcmp(new_, model + off, len), 0);
	cr_assert_eq(blk_pwrite(over, old_, len, off, NULL), 0);
	return blk_pwrite(over, "x", 1, (off + 50 * 4096) % SIZE, NULL);
}

Test(overlay, a_walk_sees_the_writes_before_it)
{
	cleanup_blk struct blk *under = NULL, *over = NULL;

	open_both(&under, &over);
	srand(7);
	random_writes(over, 10);
	cr_assert_eq(blk_overlay_walk(over, write_back, over, NULL), 0);
}

/* A disk with one bad block. */
struct broken {
	struct blk blk;
};

static int broken_pread(struct blk *b, void *out, size_t len, uint64_t off, struct err *e)
{
	(void)b;
	if (off < 3 * 4096 && off + len > 2 * 4096)
		return err_set(e, -EIO, "broken: cannot be read at byte %d", 2 * 4096);
	memset(out, 0x42, len);
	return 0;
}

static void broken_close(struct blk *b)
{
	(void)b;
}

static const struct blk_ops broken_ops = {.kind = "broken", .pread = broken_pread, .close = broken_close};

Test(overlay, a_bad_block_can_be_written_over_whole_but_not_in_part)
{
	struct broken broken = {.blk = {.ops = &broken_ops, .size = 8 * 4096, .align = 1, .refs = 1}};
	cleanup_blk struct blk *over = NULL;
	struct err e = {""};

	memset(model, 7, 4096);
	cr_assert_eq(blk_open_overlay(&broken.blk, &over, NULL), 0);
	cr_assert_eq(blk_pread(over, buf, 8 * 4096, 0, NULL), -EIO);
	cr_assert_eq(blk_pwrite(over, model, 100, 2 * 4096, NULL), -EIO);
	cr_assert_eq(blk_pwrite(over, model, 4096, 2 * 4096, NULL), 0);
	cr_assert_eq(blk_pread(over, buf, 8 * 4096, 0, NULL), 0);
	cr_assert(buf[2 * 4096 - 1] == 0x42 && buf[2 * 4096] == 7);
	cr_assert(buf[3 * 4096 - 1] == 7 && buf[3 * 4096] == 0x42);
	cr_assert_eq(blk_overlay_walk(over, see, &(struct seen){.n = 0}, &e), -EIO,
		     "what cannot be saved must not be changed");
	cr_assert_str_eq(e.msg, "changed block at byte 8192: what lay there could not be read");
}

static int old_bytes(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len)
{
	(void)off;
	(void)new_;
	(void)len;
	*(uint8_t *)arg = old_[0];
	return 0;
}

Test(overlay, what_somebody_else_writes_below_is_not_taken_for_what_was_there)
{
	cleanup_blk struct blk *mem = NULL, *over = NULL;
	uint8_t was = 0xff;

	cr_assert_eq(blk_open_mem(NULL, 2 * 4096, &mem, NULL), 0);
	cr_assert_eq(blk_open_overlay(mem, &over, NULL), 0);
	cr_assert_eq(blk_pwrite(over, "x", 1, 100, NULL), 0);
	cr_assert_eq(blk_pwrite(mem, "other", 5, 0, NULL), 0);
	cr_assert_eq(blk_overlay_walk(over, old_bytes, &was, NULL), 0);
	cr_assert_eq(was, 0, "the commit compares these with the disk, and must find the other's bytes there");
}

Test(overlay, other_layers_have_no_marks)
{
	cleanup_blk struct blk *mem = NULL;
	struct overlay_mark *mark = NULL;

	cr_assert_eq(blk_open_mem(NULL, 512, &mem, NULL), 0);
	cr_assert_eq(blk_overlay_mark(mem, &mark, NULL), -EINVAL);
	cr_assert_eq(blk_overlay_walk(mem, see, NULL, NULL), -EINVAL);
	blk_overlay_reset(mem);
	blk_overlay_restore(mem, NULL);
}
