/* SPDX-License-Identifier: MIT */
/* Tests blk/stripe.c: byte by byte where a striped volume has its bytes, and what is refused. */
#include "disk.h"

enum { LEG = 64 * 1024, CHUNK = 4096 };

static struct blk *leg_open(uint8_t fill)
{
	static uint8_t bytes[2 * LEG];
	struct blk *b = NULL;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(fill ^ (i / 512));
	cr_assert_eq(blk_open_mem(bytes, sizeof(bytes), &b, NULL), 0);
	return b;
}

Test(stripe, reads_each_byte_from_the_leg_whose_turn_it_is)
{
	struct blk *a = leg_open(0x10), *b = leg_open(0x60), *c = leg_open(0xb0), *s = NULL;
	struct extent legs[3] = { { 0, LEG, a, 0 }, { 0, LEG, b, 512 }, { 0, LEG, c, LEG } };
	uint8_t all[3 * LEG], part[10000];

	cr_assert_eq(blk_open_stripe(legs, 3, CHUNK, &s, NULL), 0);
	cr_assert_eq(s->size, 3 * LEG);
	cr_assert_eq(blk_pread(s, all, sizeof(all), 0, NULL), 0);
	for (size_t i = 0; i < sizeof(all); i++) {
		size_t chunk = i / CHUNK, leg = chunk % 3, at = (size_t)legs[leg].off + chunk / 3 * CHUNK + i % CHUNK;
		static const uint8_t fill[3] = { 0x10, 0x60, 0xb0 };

		cr_assert_eq(all[i], (uint8_t)(fill[leg] ^ (at / 512)), "byte %zu", i);
	}
	for (size_t off = 0; off + sizeof(part) < sizeof(all); off += 4099) {
		cr_assert_eq(blk_pread(s, part, sizeof(part), off, NULL), 0);
		cr_assert_arr_eq(part, all + off, sizeof(part));
	}
	blk_unref(a);
	blk_unref(b);
	blk_unref(c);
	blk_unref(s);
}

Test(stripe, a_write_is_read_back_and_touches_nothing_else)
{
	struct blk *a = leg_open(0x10), *b = leg_open(0x60), *s = NULL;
	struct extent legs[2] = { { 0, LEG, a, LEG }, { 0, LEG, b, LEG } };
	uint8_t before[2 * LEG], after[2 * LEG], low[LEG], low_after[LEG];

	cr_assert_eq(blk_open_stripe(legs, 2, CHUNK, &s, NULL), 0);
	cr_assert(blk_is_writable(s));
	cr_assert_eq(blk_pread(s, before, sizeof(before), 0, NULL), 0);
	cr_assert_eq(blk_pread(a, low, sizeof(low), 0, NULL), 0);
	for (size_t i = 5000; i < 15000; i++)
		before[i] ^= 0xff;
	cr_assert_eq(blk_pwrite(s, before + 5000, 10000, 5000, NULL), 0);
	cr_assert_eq(blk_pread(s, after, sizeof(after), 0, NULL), 0);
	cr_assert_eq(blk_pread(a, low_after, sizeof(low), 0, NULL), 0);
	cr_assert_arr_eq(before, after, sizeof(after));
	cr_assert_arr_eq(low, low_after, sizeof(low));
	blk_unref(a);
	blk_unref(b);
	blk_unref(s);
}

Test(stripe, one_leg_that_is_read_only_makes_all_of_it_read_only)
{
	struct blk *a = leg_open(0), *b = leg_open(1), *bad = bad_open(b, 0, 1), *s = NULL;
	struct extent legs[2] = { { 0, LEG, a, 0 }, { 0, LEG, bad, 0 } };
	uint8_t x[1] = { 0 };

	cr_assert_eq(blk_open_stripe(legs, 2, CHUNK, &s, NULL), 0);
	cr_assert_not(blk_is_writable(s));
	cr_assert_eq(blk_pread(s, x, 1, CHUNK, NULL), -EIO);
	cr_assert_eq(blk_pread(s, x, 1, 0, NULL), 0);
	blk_unref(a);
	blk_unref(b);
	blk_unref(bad);
	blk_unref(s);
}

Test(stripe, what_cannot_be_dealt_out_is_refused)
{
	struct blk *a = leg_open(0), *s = NULL;
	struct extent legs[129], good = { 0, LEG, a, 0 };

	for (size_t i = 0; i < 129; i++)
		legs[i] = good;
	cr_expect_lt(blk_open_stripe(legs, 0, CHUNK, &s, NULL), 0);
	cr_expect_lt(blk_open_stripe(legs, 129, CHUNK, &s, NULL), 0);
	cr_expect_lt(blk_open_stripe(legs, 2, 0, &s, NULL), 0);
	cr_expect_lt(blk_open_stripe(legs, 2, 3 * 4096, &s, NULL), 0);
	cr_expect_lt(blk_open_stripe(legs, 2, 1ull << 63, &s, NULL), 0);
	cr_expect_lt(blk_open_stripe(legs, 2, 2 * LEG, &s, NULL), 0);
	legs[1].len = LEG - 4096;
	cr_expect_lt(blk_open_stripe(legs, 2, CHUNK, &s, NULL), 0);
	legs[1] = good;
	legs[1].off = LEG + 512;
	cr_expect_eq(blk_open_stripe(legs, 2, CHUNK, &s, NULL), -ERANGE);
	legs[1].off = UINT64_MAX;
	cr_expect_eq(blk_open_stripe(legs, 2, CHUNK, &s, NULL), -ERANGE);
	cr_expect_null(s);
	blk_unref(a);
}
