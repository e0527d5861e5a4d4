/* SPDX-License-Identifier: MIT */
/* A list of extents read as one device: a partition, a logical volume, a VHD without its footer, a volume
 * that is half encrypted. Refuses extents that leave what lies under them, do not join up or are empty; a
 * hole reads as zeroes and cannot be written. */
#include <string.h>
#include "base/bytes.h"
#include "blk/blk.h"

struct blk_map {
	struct blk blk;
	size_t n;
	struct extent x[];
};

/* The extent that holds byte off; there is one, as off is below the map's size. */
static const struct extent *find_extent(const struct blk_map *m, uint64_t off)
{
	size_t lo = 0, hi = m->n, mid;

	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (m->x[mid].start <= off)
			lo = mid;
		else
			hi = mid;
	}
	return &m->x[lo];
}

/* How many of len bytes from byte off on lie in x. */
static size_t bytes_here(const struct extent *x, size_t len, uint64_t off)
{
	uint64_t rest = x->len - (off - x->start);

	return len < rest ? len : (size_t)rest;
}

static int map_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	const struct blk_map *m = (const struct blk_map *)b;
	const struct extent *x = find_extent(m, off);
	uint8_t *p = buf;
	size_t n;
	int r;

	for (; len; x++, len -= n, off += n, p += n) {
		n = bytes_here(x, len, off);
		if (!x->under) {
			memset(p, 0, n);
			continue;
		}
		r = blk_pread(x->under, p, n, x->off + (off - x->start), e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A write is refused before its first byte has gone anywhere. */
static int map_pwrite(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	const struct blk_map *m = (const struct blk_map *)b;
	const struct extent *first = find_extent(m, off), *x;
	const uint8_t *p = buf;
	size_t n;
	int r;

	for (x = first; x < m->x + m->n && x->start < off + len; x++)
		if (!x->under || !blk_is_writable(x->under))
			return err_set(e, -EROFS, "write of %zu bytes at byte %ju: %s", len, (uintmax_t)off,
				       x->under ? "read-only" : "there is nothing to hold them");
	for (x = first; len; x++, len -= n, off += n, p += n) {
		n = bytes_here(x, len, off);
		r = blk_pwrite(x->under, p, n, x->off + (off - x->start), e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int map_below(struct blk *b, uint64_t off, uint64_t len,
		     int (*fn)(void *arg, struct blk *under, uint64_t off, uint64_t len), void *arg)
{
	const struct blk_map *m = (const struct blk_map *)b;
	const struct extent *x = find_extent(m, off);
	uint64_t n;
	int r;

	for (; len; x++, len -= n, off += n) {
		n = x->len - (off - x->start);
		n = n < len ? n : len;
		r = x->under ? fn(arg, x->under, x->off + (off - x->start), n) : -EOPNOTSUPP;
		if (r)
			return r;
	}
	return 0;
}

static void map_close(struct blk *b)
{
	struct blk_map *m = (struct blk_map *)b;
	size_t i;

	for (i = 0; i < m->n; i++)
		blk_unref(m->x[i].under);
	free(m);
}

static const struct blk_ops map_ops = {
	.kind = "map",
	.pread = map_pread,
	.pwrite = map_pwrite,
	.close = map_close,
	.below = map_below,
};

static const struct blk_ops map_ops_read_only = {
	.kind = "map",
	.pread = map_pread,
	.close = map_close,
};

static int check_extents(const struct extent *x, size_t n, uint64_t *ret_size, bool *ret_writable,
			 struct err *e)
{
	bool writable = false;
	uint64_t size = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (x[i].start != size || x[i].len == 0 || add_overflows(size, x[i].len, &size))
			return err_set(e, -ERANGE,
				       "extent %zu: %ju bytes at byte %ju do not join the one before", i,
				       (uintmax_t)x[i].len, (uintmax_t)x[i].start);
		if (x[i].under && !range_in(x[i].off, x[i].len, x[i].under->size))
			return err_set(e, -ERANGE,
				       "extent %zu: %ju bytes at byte %ju: outside the %ju bytes there are",
				       i, (uintmax_t)x[i].len, (uintmax_t)x[i].off,
				       (uintmax_t)x[i].under->size);
		writable = writable || (x[i].under && blk_is_writable(x[i].under));
	}
	*ret_size = size;
	*ret_writable = writable;
	return 0;
}

int blk_open_map(const struct extent *x, size_t n, struct blk **ret, struct err *e)
{
	bool writable = false;
	struct blk_map *m;
	uint64_t size = 0;
	size_t i;
	int r;

	r = check_extents(x, n, &size, &writable, e);
	if (r < 0)
		return r;
	if (n > (SIZE_MAX - sizeof(*m)) / sizeof(*x))
		return err_oom(e);
	m = calloc(1, sizeof(*m) + n * sizeof(*x));
	if (!m)
		return err_oom(e);

	m->blk = (struct blk){.ops = &map_ops_read_only, .size = size, .align = 1, .refs = 1};
	if (writable)
		m->blk.ops = &map_ops;
	m->n = n;
	for (i = 0; i < n; i++) {
		m->x[i] = x[i];
		blk_ref(x[i].under);
	}
	*ret = &m->blk;
	return 0;
}

int blk_open_window(struct blk *under, uint64_t off, uint64_t len, struct blk **ret, struct err *e)
{
	struct extent x = {.start = 0, .len = len, .under = under, .off = off};

	if (!range_in(off, len, under->size))
		return err_set(e, -ERANGE, "%ju bytes at byte %ju: outside the %ju bytes there are",
			       (uintmax_t)len, (uintmax_t)off, (uintmax_t)under->size);
	return blk_open_map(&x, len ? 1 : 0, ret, e);
}
