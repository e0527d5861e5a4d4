/* SPDX-License-Identifier: MIT */
/* Tests blk_places: where a volume lies on its disks, through maps, stripes and encryption down to the overlays. */
#include <criterion/criterion.h>
#include <string.h>
#include "blk/blk.h"

static struct err e;

struct seen {
	struct blk *disk[8];
	uint64_t off[8], len[8];
	size_t n;
	int answer;
};

static int note(void *arg, struct blk *under, uint64_t off, uint64_t len)
{
	struct seen *s = arg;

	cr_assert_lt(s->n, 8);
	s->disk[s->n] = under;
	s->off[s->n] = off;
	s->len[s->n++] = len;
	return s->answer;
}

static struct blk *disk_of(size_t len)
{
	struct blk *mem = NULL, *overlay = NULL;

	cr_assert_eq(blk_open_mem(NULL, len, &mem, &e), 0);
	cr_assert_eq(blk_open_overlay(mem, &overlay, &e), 0);
	blk_unref(mem);
	return overlay;
}

static void expect(const struct seen *s, size_t i, const struct blk *disk, uint64_t off, uint64_t len)
{
	cr_assert_lt(i, s->n);
	cr_assert_eq(s->disk[i], disk);
	cr_assert_eq(s->off[i], off, "%ju", (uintmax_t)s->off[i]);
	cr_assert_eq(s->len[i], len, "%ju", (uintmax_t)s->len[i]);
}

Test(places, a_partition_of_a_disk)
{
	struct blk *disk = disk_of(1 << 20), *part = NULL;
	struct seen s = { .n = 0 };

	cr_assert_eq(blk_open_window(disk, 65536, 131072, &part, &e), 0);
	cr_assert_eq(blk_places(part, 0, part->size, note, &s, &e), 0);
	cr_assert_eq(s.n, 1);
	expect(&s, 0, disk, 65536, 131072);
	blk_unref(part);
	blk_unref(disk);
}

Test(places, a_volume_on_two_disks_piece_by_piece)
{
	struct blk *a = disk_of(1 << 20), *b = disk_of(1 << 20), *lv = NULL;
	const struct extent x[] = { { 0, 8192, a, 4096 }, { 8192, 4096, b, 12288 } };
	struct seen s = { .n = 0 };

	cr_assert_eq(blk_open_map(x, 2, &lv, &e), 0);
	cr_assert_eq(blk_places(lv, 4096, 8192, note, &s, &e), 0);
	cr_assert_eq(s.n, 2);
	expect(&s, 0, a, 8192, 4096);
	expect(&s, 1, b, 12288, 4096);
	blk_unref(lv);
	blk_unref(a);
	blk_unref(b);
}

Test(places, stripes_lie_in_every_leg_and_a_chunk_in_one)
{
	struct blk *a = disk_of(1 << 20), *b = disk_of(1 << 20), *lv = NULL;
	const struct extent legs[] = { { 0, 32768, a, 4096 }, { 0, 32768, b, 8192 } };
	struct seen s = { .n = 0 }, one = { .n = 0 };

	cr_assert_eq(blk_open_stripe(legs, 2, 4096, &lv, &e), 0);
	cr_assert_eq(blk_places(lv, 0, lv->size, note, &s, &e), 0);
	cr_assert_eq(s.n, 2);
	expect(&s, 0, a, 4096, 32768);
	expect(&s, 1, b, 8192, 32768);
	/* chunk 3 is the second one of b */
	cr_assert_eq(blk_places(lv, 3 * 4096 + 512, 512, note, &one, &e), 0);
	cr_assert_eq(one.n, 1);
	expect(&one, 0, b, 8192 + 4096 + 512, 512);
	blk_unref(lv);
	blk_unref(a);
	blk_unref(b);
}

Test(places, an_encrypted_volume_in_whole_sectors)
{
	struct blk *disk = disk_of(1 << 20), *open = NULL;
	struct secret *key = secret_new(64);
	struct crypt_params p = { .key = key, .offset = 16384, .sector_size = 4096 };
	struct seen s = { .n = 0 };

	cr_assert(key);
	for (size_t i = 0; i < 64; i++)
		key->data[i] = (uint8_t)(i * 7);
	cr_assert_eq(blk_open_crypt(disk, &p, &open, &e), 0, "%s", e.msg);
	cr_assert_eq(blk_places(open, 4100, 10, note, &s, &e), 0);
	cr_assert_eq(s.n, 1);
	expect(&s, 0, disk, 16384 + 4096, 4096);
	blk_unref(open);
	blk_unref(disk);
	secret_free(key);
}

Test(places, what_lies_nowhere_is_said)
{
	struct blk *disk = disk_of(1 << 20), *lv = NULL, *mem = NULL;
	const struct extent x[] = { { 0, 4096, disk, 0 }, { 4096, 4096, NULL, 0 } };
	struct seen s = { .n = 0 };

	cr_assert_eq(blk_open_map(x, 2, &lv, &e), 0);
	cr_assert_eq(blk_places(lv, 0, 8192, note, &s, &e), -EOPNOTSUPP);
	cr_assert_eq(blk_open_mem(NULL, 4096, &mem, &e), 0);
	cr_assert_eq(blk_places(mem, 0, 4096, note, &s, &e), -EOPNOTSUPP);
	cr_assert(*e.msg);
	cr_assert_eq(blk_places(disk, 1, 1 << 20, note, &s, &e), -ERANGE);
	blk_unref(mem);
	blk_unref(lv);
	blk_unref(disk);
}

Test(places, an_answer_ends_the_walk)
{
	struct blk *disk = disk_of(1 << 20), *lv = NULL;
	const struct extent x[] = { { 0, 4096, disk, 0 }, { 4096, 4096, disk, 65536 } };
	struct seen s = { .answer = 7 };

	cr_assert_eq(blk_open_map(x, 2, &lv, &e), 0);
	cr_assert_eq(blk_places(lv, 0, 8192, note, &s, &e), 7);
	cr_assert_eq(s.n, 1);
	blk_unref(lv);
	blk_unref(disk);
}
