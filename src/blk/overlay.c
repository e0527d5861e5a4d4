/* SPDX-License-Identifier: MIT */
/* Writes that stay in memory, in blocks of 4096 bytes over a layer that is never written. Blocks are found by
 * a hash of their number (open addressing, at most half full) and counted, so that a mark shares them with
 * the overlay until one of the two writes. What lay below is kept at the first write: somebody else may change
 * the disk meanwhile, and his bytes must not be taken for those that were looked at. A block that is written
 * whole may be one that cannot be read. */
#include <string.h>
#include "base/bytes.h"
#include "blk/blk.h"

enum { BLOCK = 4096, RUN_MAX = 1024 * 1024, PLACES_DEPTH = 64 };

struct block {
	uint64_t no;
	size_t refs;
	int was_error;         /* why `was` could not be read, or 0 */
	uint8_t was[BLOCK];    /* what lay below when the block was first written: what a commit may replace */
	uint8_t data[BLOCK];
};

struct table {
	struct block **slot; /* 1 << bits of them; NULL: no table yet */
	unsigned bits;
	size_t n;
};

struct blk_overlay {
	struct blk blk;
	struct blk *under;
	struct table table;
};

struct overlay_mark {
	struct table table;
};

static size_t table_slots(const struct table *t)
{
	return t->slot ? (size_t)1 << t->bits : 0;
}

/* Where block no is, or the empty slot where it belongs; t has slots. */
static struct block **table_find(const struct table *t, uint64_t no)
{
	size_t i = (size_t)(no * 0x9e3779b97f4a7c15ull >> (64 - t->bits));

	while (t->slot[i] && t->slot[i]->no != no)
		i = (i + 1) & (((size_t)1 << t->bits) - 1);
	return &t->slot[i];
}

static struct block *table_get(const struct table *t, uint64_t no)
{
	return t->n ? *table_find(t, no) : NULL;
}

/* Room for one block more. */
static int table_grow(struct table *t)
{
	struct table bigger = {.bits = t->slot ? t->bits + 1 : 6};
	size_t i;

	if (t->slot && t->n < table_slots(t) / 2)
		return 0;
	bigger.slot = calloc((size_t)1 << bigger.bits, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -ENOMEM;
	for (i = 0; i < table_slots(t); i++)
		if (t->slot[i])
			*table_find(&bigger, t->slot[i]->no) = t->slot[i];
	free(t->slot);
	t->slot = bigger.slot;
	t->bits = bigger.bits;
	return 0;
}

static void table_done(struct table *t)
{
	size_t i;

	for (i = 0; i < table_slots(t); i++)
		if (t->slot[i] && --t->slot[i]->refs == 0)
			free(t->slot[i]);
	free(t->slot);
	*t = (struct table){0};
}

/* A table of its own with the same blocks. */
static int table_copy(const struct table *t, struct table *ret)
{
	struct table copy = *t;
	size_t i;

	if (t->slot) {
		copy.slot = malloc(table_slots(t) * sizeof(*copy.slot));
		if (!copy.slot)
			return -ENOMEM;
		memcpy(copy.slot, t->slot, table_slots(t) * sizeof(*copy.slot));
	}
	for (i = 0; i < table_slots(t); i++)
		if (t->slot[i])
			t->slot[i]->refs++;
	*ret = copy;
	return 0;
}

/* How many bytes block no has: the last one of the device may be short. */
static size_t block_len(const struct blk *b, uint64_t no)
{
	uint64_t rest = b->size - no * BLOCK;

	return rest < BLOCK ? (size_t)rest : BLOCK;
}

/* The block, for this overlay alone to write; whole: all its bytes are about to be written. */
static int block_for_write(struct blk_overlay *o, uint64_t no, bool whole, struct block **ret, struct err *e)
{
	struct block *old = table_get(&o->table, no);
	cleanup_free struct block *fresh = NULL;
	int r = 0;

	if (old && old->refs == 1) {
		*ret = old;
		return 0;
	}
	fresh = malloc(sizeof(*fresh));
	if (!fresh || table_grow(&o->table) < 0)
		return err_oom(e);
	fresh->no = no;
	fresh->refs = 1;
	if (old) {
		memcpy(fresh->data, old->data, BLOCK);
		memcpy(fresh->was, old->was, BLOCK);
		fresh->was_error = old->was_error;
	} else {
		memset(fresh->was, 0, BLOCK);
		r = fresh->was_error = blk_pread(o->under, fresh->was, block_len(&o->blk, no), no * BLOCK, whole ? NULL : e);
		memcpy(fresh->data, fresh->was, BLOCK);
	}
	if (r < 0 && !whole)
		return r;

	if (old)
		old->refs--;
	else
		o->table.n++;
	*ret = *table_find(&o->table, no) = take_ptr(&fresh);
	return 0;
}

static int write_locked(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	struct blk_overlay *o = (struct blk_overlay *)b;
	struct block *block = NULL;
	const uint8_t *p = buf;
	size_t skip, n;
	int r;

	for (; len; len -= n, off += n, p += n) {
		skip = off % BLOCK;
		n = len < BLOCK - skip ? len : BLOCK - skip;
		r = block_for_write(o, off / BLOCK, n == block_len(b, off / BLOCK), &block, e);
		if (r < 0)
			return r;
		memcpy(block->data + skip, p, n);
	}
	return 0;
}

static int overlay_pwrite(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	int r;

	blk_lock();
	r = write_locked(b, buf, len, off, e);
	blk_unlock();
	return r;
}

/* How many of len bytes from byte off on come from below, up to the first block that was written. */
static size_t bytes_below(const struct blk_overlay *o, size_t len, uint64_t off)
{
	size_t n = 0;

	if (!o->table.n)
		return len;
	while (n < len && !table_get(&o->table, (off + n) / BLOCK))
		n += BLOCK - (off + n) % BLOCK;
	return n < len ? n : len;
}

static int read_locked(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct blk_overlay *o = (struct blk_overlay *)b;
	uint8_t *p = buf;
	size_t skip, n;
	int r;

	for (; len; len -= n, off += n, p += n) {
		n = bytes_below(o, len, off);
		if (n) {
			r = blk_pread(o->under, p, n, off, e);
			if (r < 0)
				return r;
			continue;
		}
		skip = off % BLOCK;
		n = len < BLOCK - skip ? len : BLOCK - skip;
		memcpy(p, table_get(&o->table, off / BLOCK)->data + skip, n);
	}
	return 0;
}

static int overlay_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	int r;

	blk_lock();
	r = read_locked(b, buf, len, off, e);
	blk_unlock();
	return r;
}

static void overlay_close(struct blk *b)
{
	struct blk_overlay *o = (struct blk_overlay *)b;

	table_done(&o->table);
	blk_unref(o->under);
	free(o);
}

static const struct blk_ops overlay_ops = {
	.kind = "overlay",
	.pread = overlay_pread,
	.pwrite = overlay_pwrite,
	.close = overlay_close,
};

int blk_open_overlay(struct blk *under, struct blk **ret, struct err *e)
{
	struct blk_overlay *o = calloc(1, sizeof(*o));

	if (!o)
		return err_oom(e);
	o->blk = (struct blk){.ops = &overlay_ops, .size = under->size, .align = 1, .refs = 1};
	o->under = blk_ref(under);
	*ret = &o->blk;
	return 0;
}

static struct blk_overlay *overlay_of(struct blk *b)
{
	return b->ops == &overlay_ops ? (struct blk_overlay *)b : NULL;
}

void blk_overlay_reset(struct blk *b)
{
	struct blk_overlay *o = overlay_of(b);

	blk_lock();
	if (o)
		table_done(&o->table);
	blk_unlock();
}

int blk_overlay_mark(struct blk *b, struct overlay_mark **ret, struct err *e)
{
	struct blk_overlay *o = overlay_of(b);
	struct overlay_mark *mark;
	int r = -ENOMEM;

	if (!o)
		return err_set(e, -EINVAL, "%s layer: has no writes to mark", b->ops->kind);
	mark = calloc(1, sizeof(*mark));
	blk_lock();
	if (mark)
		r = table_copy(&o->table, &mark->table);
	blk_unlock();
	if (r < 0) {
		free(mark);
		return err_oom(e);
	}
	*ret = mark;
	return 0;
}

void blk_overlay_mark_free(struct overlay_mark *mark)
{
	if (!mark)
		return;
	blk_lock();
	table_done(&mark->table);
	blk_unlock();
	free(mark);
}

void blk_overlay_restore(struct blk *b, struct overlay_mark *mark)
{
	struct blk_overlay *o = overlay_of(b);

	blk_lock();
	if (o && mark) {
		table_done(&o->table);
		o->table = mark->table;
		mark->table = (struct table){0};
	}
	blk_unlock();
	blk_overlay_mark_free(mark);
}

static int by_number(const void *a, const void *b)
{
	const struct block *x = *(struct block *const *)a, *y = *(struct block *const *)b;

	return x->no < y->no ? -1 : x->no > y->no;
}

/* A run of changed blocks that waits for its neighbours. */
struct run {
	uint8_t *old_, *new_; /* RUN_MAX bytes each */
	uint64_t off;
	size_t len;
	int (*fn)(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len);
	void *arg;
};

static int run_flush(struct run *run)
{
	size_t len = run->len;

	run->len = 0;
	return len ? run->fn(run->arg, run->off, run->old_, run->new_, len) : 0;
}

static int run_add(struct run *run, struct blk_overlay *o, const struct block *block, struct err *e)
{
	size_t len = block_len(&o->blk, block->no);
	uint64_t off = block->no * BLOCK;
	int r;

	if (block->was_error < 0)
		return err_set(e, block->was_error, "changed block at byte %ju: what lay there could not be read", (uintmax_t)off);
	if (memcmp(block->was, block->data, len) == 0)
		return 0;
	if (run->off + run->len != off || run->len + len > RUN_MAX) {
		r = run_flush(run);
		if (r != 0)
			return r;
		run->off = off;
	}
	memcpy(run->old_ + run->len, block->was, len);
	memcpy(run->new_ + run->len, block->data, len);
	run->len += len;
	return 0;
}

/* Compacts the blocks to the front of the mark's slots, in ascending order. The table is no table after this,
 * but table_done still finds every block. */
static void sort_blocks(struct table *t)
{
	size_t i, n = 0;

	for (i = 0; i < table_slots(t); i++) {
		if (!t->slot[i])
			continue;
		t->slot[n] = t->slot[i];
		if (n++ != i)
			t->slot[i] = NULL;
	}
	if (n)
		qsort(t->slot, n, sizeof(*t->slot), by_number);
}

DEFINE_CLEANUP(struct overlay_mark *, mark, blk_overlay_mark_free)

int blk_overlay_walk(struct blk *b,
		     int (*fn)(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len),
		     void *arg, struct err *e)
{
	cleanup(cleanup_markp) struct overlay_mark *mark = NULL;
	cleanup_free uint8_t *old_ = NULL, *new_ = NULL;
	struct run run = {.fn = fn, .arg = arg};
	size_t i;
	int r;

	/* the mark keeps the blocks as they are now, whatever fn does to the overlay */
	r = blk_overlay_mark(b, &mark, e);
	if (r < 0)
		return r;
	run.old_ = old_ = malloc(RUN_MAX);
	run.new_ = new_ = malloc(RUN_MAX);
	if (!old_ || !new_)
		return err_oom(e);

	sort_blocks(&mark->table);
	for (i = 0; i < mark->table.n; i++) {
		r = run_add(&run, overlay_of(b), mark->table.slot[i], e);
		if (r != 0)
			return r;
	}
	return run_flush(&run);
}

/* ---- where a volume lies ---- */

struct places {
	int (*fn)(void *arg, struct blk *under, uint64_t off, uint64_t len);
	void *arg;
	struct err *e;
	unsigned depth;
};

static int find_places(void *arg, struct blk *b, uint64_t off, uint64_t len)
{
	struct places *p = arg;
	int r;

	if (overlay_of(b))
		return p->fn(p->arg, b, off, len);
	if (!b->ops->below || p->depth == PLACES_DEPTH)
		return err_set(p->e, -EOPNOTSUPP, "%s layer: what is written to it has no one place on a disk", b->ops->kind);
	p->depth++;
	r = b->ops->below(b, off, len, find_places, p);
	p->depth--;
	return r;
}

int blk_places(struct blk *b, uint64_t off, uint64_t len,
	       int (*fn)(void *arg, struct blk *under, uint64_t off, uint64_t len), void *arg, struct err *e)
{
	struct places p = {.fn = fn, .arg = arg, .e = e};

	if (off > b->size || len > b->size - off)
		return err_set(e, -ERANGE, "%ju bytes at byte %ju: outside the %ju bytes there are", (uintmax_t)len,
			       (uintmax_t)off, (uintmax_t)b->size);
	return len ? find_places(&p, b, off, len) : 0;
}
