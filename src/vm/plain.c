/* SPDX-License-Identifier: MIT */
/* Ciphertext by its raw bytes (the contract's "opaque"), and what a conversion that stopped half-way left in
 * plaintext (row 7). "First non-zero blocks" on a sparse device: the first 4 MiB are read whole; after that
 * looks are spread over the device until one meets bytes, and reading goes on from there. A device of 64 TiB
 * costs no more than one of 64 MiB. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/ext.h"
#include "format/luks.h"
#include "vm/plain.h"
#include "vm/sample.h"

enum {
	OPAQUE_BLOCKS = 64, /* of the contract */
	RAW_BLOCKS = 256, /* of the contract, row 7 */
	RAW_PICKS = 2048, /* allocated blocks asked for: many of them may be zero in the raw bytes */
	SPREAD = 384, /* looks over a device, 64 KiB each: 24 MiB */
	LOOK = 16, /* blocks a look */
};
#define HEAD (4ULL << 20)
#define RUN (8ULL << 20) /* read on from the first bytes met */

static bool decided(const struct sample_sum *sum)
{
	return sum->low || sample_nonzero(sum) >= OPAQUE_BLOCKS;
}

/* Read from off to end until it is decided. 1 decided, 0 not, <0 */
static int read_on(struct sampler *s, uint64_t off, uint64_t end, struct sample_sum *sum, struct err *e)
{
	while (off < end) {
		int n = sample_at(s, off, SAMPLE_CHUNK, e);

		if (n < 0)
			return n;
		if (!n)
			return 0;
		sample_count(s, sum, OPAQUE_BLOCKS);
		if (decided(sum))
			return 1;
		off = s->at + (uint64_t)n * SAMPLE_BLOCK;
	}
	return 0;
}

static int look_for_first(struct sampler *s, struct sample_sum *sum, struct err *e)
{
	uint64_t size = s->blk->size, end = size <= SAMPLE_BUDGET ? size : HEAD, span, done = 0;
	int r = read_on(s, 0, end, sum, e);

	if (r || end == size)
		return r;
	span = size - HEAD;
	for (unsigned i = 0; i < SPREAD; i++) {
		uint64_t off = HEAD + span / SPREAD * i;
		bool first = !sample_nonzero(sum);

		if (off < done)
			continue;
		r = sample_at(s, off, LOOK, e);
		if (r <= 0)
			return r;
		sample_count(s, sum, OPAQUE_BLOCKS);
		if (decided(sum))
			return 1;
		if (!first || !sample_nonzero(sum))
			continue;
		done = off + RUN;
		r = read_on(s, off + (uint64_t)LOOK * SAMPLE_BLOCK, done, sum, e);
		if (r)
			return r;
	}
	return 0;
}

enum tri plain_is_opaque(struct blk *blk, bool *blank, struct err *e)
{
	cleanup_sampler struct sampler s = { 0 };
	struct sample_sum sum = { 0 };
	int r;

	if (blank)
		*blank = false;
	if (sampler_init(&s, blk, SAMPLE_BUDGET, e) < 0)
		return TRI_UNKNOWN;
	r = look_for_first(&s, &sum, e);
	if (sum.low)
		return TRI_NO;
	if (r < 0)
		return TRI_UNKNOWN;
	if (sample_nonzero(&sum) >= OPAQUE_BLOCKS)
		return TRI_YES;
	if (!sample_nonzero(&sum) && sum.zero) {
		if (blank)
			*blank = true;
		return TRI_NO;
	}
	err_set(e, -ENODATA, "only %u blocks that are not zero were found, %d are needed",
		sample_nonzero(&sum), OPAQUE_BLOCKS);
	return TRI_UNKNOWN;
}

/* ---- row 7 ---- */

/* The raw blocks below those that the decrypted bitmaps call allocated. -EOPNOTSUPP, -EBADMSG: there are none
 * to go by. */
static int raw_by_bitmap(struct sampler *s, const struct node *opened, struct sample_sum *sum, struct err *e)
{
	cleanup_free uint64_t *picks = NULL;
	struct fs *fs = opened ? node_fs((struct node *)(uintptr_t)opened, e) : NULL;
	const struct ext_info *x = fs ? ext_fs_info(fs) : NULL;
	int n;

	if (!x)
		return err_set(e, -EOPNOTSUPP, "no block bitmaps to go by");
	picks = calloc(RAW_PICKS, sizeof(*picks));
	if (!picks)
		return err_oom(e);
	n = ext_pick_allocated(fs, picks, RAW_PICKS, e);
	if (n <= 0)
		return n < 0 ? n : -ENODATA;
	/* strided, so that an early end is still spread over the whole */
	for (int stride = 8, start = 0; start < stride; start++)
		for (int i = start; i < n; i += stride) {
			int r = sample_at(s, picks[i] * x->block_size, 1, e);

			if (r < 0)
				return r;
			sample_count(s, sum, RAW_BLOCKS);
		}
	return 0;
}

/* Spread over [from, to), at most `each` non-zero blocks a look. */
static int raw_spread(struct sampler *s, uint64_t from, uint64_t to, struct sample_sum *sum, struct err *e)
{
	uint64_t step = (to - from) / SPREAD;

	if (step < (uint64_t)LOOK * SAMPLE_BLOCK)
		step = (uint64_t)LOOK * SAMPLE_BLOCK;
	for (unsigned start = 0; start < 8; start++)
		for (uint64_t i = start; from + i * step < to && i < SPREAD; i += 8) {
			unsigned want = sample_nonzero(sum) + 2;
			int r = sample_at(s, from + i * step, LOOK, e);

			if (r < 0)
				return r;
			sample_count(s, sum, want < RAW_BLOCKS ? want : RAW_BLOCKS);
			if (!r || sample_nonzero(sum) >= RAW_BLOCKS)
				return 0;
		}
	return 0;
}

int plain_sample_raw(struct blk *raw, const struct node *opened, unsigned *ret_low, unsigned *ret_sampled,
		     uint64_t *ret_first_low, struct err *e)
{
	cleanup_sampler struct sampler s = { 0 };
	struct sample_sum sum = { 0 };
	int r = sampler_init(&s, raw, SAMPLE_BUDGET, e);

	if (r < 0)
		return r;
	r = raw_by_bitmap(&s, opened, &sum, e);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !sample_nonzero(&sum)) {
		memset(&sum, 0, sizeof(sum));
		r = raw_spread(&s, raw->size / 2, raw->size, &sum, e);
		/* the last half of a volume group's space is often unused: then the first half has to tell */
		if (r == 0 && sample_nonzero(&sum) < RAW_BLOCKS)
			r = raw_spread(&s, 0, raw->size / 2, &sum, e);
	}
	if (r < 0)
		return r;
	*ret_low = sum.low;
	*ret_sampled = sample_nonzero(&sum);
	*ret_first_low = sum.first_low;
	return 0;
}
