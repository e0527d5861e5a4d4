/* SPDX-License-Identifier: MIT */
/* Chunks dealt out to several legs in turn, as device-mapper's "striped" target does: chunk k of the volume is
 * chunk k / n of leg k % n. A layer of its own, since a list of extents would be as long as the volume has
 * chunks. Refuses no legs or more than STRIPE_MAX_LEGS, a chunk that is no power of two, and legs that are not
 * whole chunks or leave what lies under them. */
#include <string.h>
#include "base/bytes.h"
#include "blk/blk.h"

struct blk_stripe {
	struct blk blk;
	uint64_t chunk;
	size_t n;
	struct { struct blk *under; uint64_t off; } legs[];
};

/* Where byte off is: answers the leg; so many bytes from there on lie together. */
static size_t find_leg(const struct blk_stripe *s, uint64_t off, size_t len, uint64_t *ret_off, size_t *ret_len)
{
	uint64_t k = off / s->chunk, in = off % s->chunk, rest = s->chunk - in;
	size_t leg = (size_t)(k % s->n);

	*ret_off = s->legs[leg].off + k / s->n * s->chunk + in;
	*ret_len = len < rest ? len : (size_t)rest;
	return leg;
}

static int stripe_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	const struct blk_stripe *s = (const struct blk_stripe *)b;
	uint8_t *p = buf;
	size_t n = 0;

	for (; len; len -= n, off += n, p += n) {
		uint64_t at = 0;
		size_t leg = find_leg(s, off, len, &at, &n);
		int r = blk_pread(s->legs[leg].under, p, n, at, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int stripe_pwrite(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	const struct blk_stripe *s = (const struct blk_stripe *)b;
	const uint8_t *p = buf;
	size_t n = 0;

	for (; len; len -= n, off += n, p += n) {
		uint64_t at = 0;
		size_t leg = find_leg(s, off, len, &at, &n);
		int r = blk_pwrite(s->legs[leg].under, p, n, at, e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Of more than one chunk: the rows of chunks it touches, in every leg. */
static int stripe_below(struct blk *b, uint64_t off, uint64_t len,
			int (*fn)(void *arg, struct blk *under, uint64_t off, uint64_t len), void *arg)
{
	const struct blk_stripe *s = (const struct blk_stripe *)b;
	uint64_t row = s->chunk * s->n, first = off / row, last = (off + len - 1) / row;

	if (off % s->chunk + len <= s->chunk) {
		uint64_t at = 0;
		size_t n = 0, leg = find_leg(s, off, (size_t)len, &at, &n);

		return fn(arg, s->legs[leg].under, at, len);
	}
	for (size_t i = 0; i < s->n; i++) {
		int r = fn(arg, s->legs[i].under, s->legs[i].off + first * s->chunk, (last - first + 1) * s->chunk);

		if (r)
			return r;
	}
	return 0;
}

static void stripe_close(struct blk *b)
{
	struct blk_stripe *s = (struct blk_stripe *)b;

	for (size_t i = 0; i < s->n; i++)
		blk_unref(s->legs[i].under);
	free(s);
}

static const struct blk_ops stripe_ops = {
	.kind = "stripe",
	.pread = stripe_pread,
	.pwrite = stripe_pwrite,
	.close = stripe_close,
	.below = stripe_below,
};

static const struct blk_ops stripe_ops_read_only = {
	.kind = "stripe",
	.pread = stripe_pread,
	.close = stripe_close,
};

static int check_legs(const struct extent *legs, size_t n, uint64_t chunk, bool *ret_writable, struct err *e)
{
	bool writable = true;

	if (!n || n > STRIPE_MAX_LEGS)
		return err_set(e, -EBADMSG, "%zu stripes, not 1 to %d", n, STRIPE_MAX_LEGS);
	if (chunk < 512 || (chunk & (chunk - 1)))
		return err_set(e, -EBADMSG, "stripes of %ju bytes", (uintmax_t)chunk);
	for (size_t i = 0; i < n; i++) {
		const struct extent *x = &legs[i];

		if (!x->under || !x->len || x->len != legs[0].len || x->len % chunk)
			return err_set(e, -EBADMSG, "stripe %zu: %ju bytes are not whole chunks of %ju", i,
				       (uintmax_t)x->len, (uintmax_t)chunk);
		if (!range_in(x->off, x->len, x->under->size))
			return err_set(e, -ERANGE, "stripe %zu: %ju bytes at byte %ju: outside the %ju bytes there are",
				       i, (uintmax_t)x->len, (uintmax_t)x->off, (uintmax_t)x->under->size);
		/* a write must not stop half way through for a leg that takes none */
		writable = writable && blk_is_writable(x->under);
	}
	*ret_writable = writable;
	return 0;
}

int blk_open_stripe(const struct extent *legs, size_t n, uint64_t chunk, struct blk **ret, struct err *e)
{
	bool writable = false;
	struct blk_stripe *s;
	uint64_t size;
	int r;

	r = check_legs(legs, n, chunk, &writable, e);
	if (r < 0)
		return r;
	if (mul_overflows(legs[0].len, n, &size))
		return err_set(e, -ERANGE, "%zu stripes of %ju bytes", n, (uintmax_t)legs[0].len);
	s = calloc(1, sizeof(*s) + n * sizeof(s->legs[0]));
	if (!s)
		return err_oom(e);
	s->blk = (struct blk){.ops = writable ? &stripe_ops : &stripe_ops_read_only, .size = size, .align = 1, .refs = 1};
	s->chunk = chunk;
	s->n = n;
	for (size_t i = 0; i < n; i++) {
		s->legs[i].under = blk_ref(legs[i].under);
		s->legs[i].off = legs[i].off;
	}
	*ret = &s->blk;
	return 0;
}
