/* SPDX-License-Identifier: MIT */
/* A logical volume as a layer over its physical volumes: extents, and stripes where a segment has several. What lies on a
 * physical volume that is not there, or beyond the end of one that was cut off, cannot be read and says why; the rest can.
 *
 * Read-only where the metadata says so, and where it is the origin of a snapshot: there LVM would have saved the old bytes first. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "format/lvm_priv.h"

/* A range that is not there, of any length. */
struct gap_blk { struct blk blk; char uuid[LVM_UUID]; };

static int gap_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	(void)buf;
	(void)len;
	(void)off;
	return err_set(e, -EIO, "physical volume %s: not attached, or cut off before this", ((struct gap_blk *)b)->uuid);
}

static void gap_close(struct blk *b)
{
	free(b);
}

static int gap_open(const char *uuid, struct blk **ret, struct err *e)
{
	static const struct blk_ops ops = { .kind = "gap", .pread = gap_pread, .close = gap_close };
	struct gap_blk *g = calloc(1, sizeof(*g));

	if (!g)
		return err_oom(e);
	g->blk = (struct blk){ .ops = &ops, .size = INT64_MAX, .align = 1, .refs = 1 };
	memcpy(g->uuid, uuid, sizeof(g->uuid));
	*ret = &g->blk;
	return 0;
}

struct ro_blk { struct blk blk; struct blk *under; };

static int ro_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	return blk_pread(((struct ro_blk *)b)->under, buf, len, off, e);
}

static void ro_close(struct blk *b)
{
	blk_unref(((struct ro_blk *)b)->under);
	free(b);
}

/* Takes the caller's ref of under. */
static int ro_open(struct blk *under, struct blk **ret, struct err *e)
{
	static const struct blk_ops ops = { .kind = "read-only", .pread = ro_pread, .close = ro_close };
	struct ro_blk *r = calloc(1, sizeof(*r));

	if (!r) {
		blk_unref(under);
		return err_oom(e);
	}
	r->blk = (struct blk){ .ops = &ops, .size = under->size, .align = 1, .refs = 1 };
	r->under = under;
	*ret = &r->blk;
	return 0;
}

/* The extents of one LV while they are gathered; each holds a ref. */
struct extents { struct extent *v; size_t n; uint64_t size; };

static void extents_done(struct extents *x)
{
	for (size_t i = 0; i < x->n; i++)
		blk_unref(x->v[i].under);
	free(x->v);
}

/* Takes the caller's ref of under. */
static int extents_add(struct extents *x, struct blk *under, uint64_t off, uint64_t len, struct err *e)
{
	struct extent *slot = vec_push(&x->v, &x->n);

	if (!slot) {
		blk_unref(under);
		return err_oom(e);
	}
	*slot = (struct extent){ .start = x->size, .len = len, .under = under, .off = off };
	x->size += len;
	return 0;
}

/* One area: what there is of it, then what there is not. */
static int add_area(struct extents *x, const struct lvm_vgpv *pv, struct blk *under, uint64_t off, uint64_t len, bool *ret_gap,
		    struct err *e)
{
	uint64_t there = !under || off >= under->size ? 0 : under->size - off;
	struct blk *gap = NULL;
	int r = 0;

	if (there > len)
		there = len;
	if (there)
		r = extents_add(x, blk_ref(under), off, there, e);
	if (r < 0 || there == len)
		return r;
	*ret_gap = true;
	r = gap_open(pv->uuid, &gap, e);
	return r < 0 ? r : extents_add(x, gap, 0, len - there, e);
}

struct job {
	const struct lvm_vg *vg;
	struct blk *const *under;
	int gap;
};

static int add_seg_area(struct job *j, struct extents *x, const struct lvm_area *a, uint64_t len, struct err *e)
{
	const struct lvm_vgpv *pv = &j->vg->pvs[a->pv];
	bool gap = false;
	int r;

	r = add_area(x, pv, j->under[a->pv], pv->pe_start + a->pe * j->vg->extent, len, &gap, e);
	if (gap && j->gap < 0)
		j->gap = (int)a->pv;
	return r;
}

/* A leg of a stripe, as one extent over a map of its own. */
static int add_leg(struct job *j, struct extents *legs, const struct lvm_area *a, uint64_t len, struct err *e)
{
	cleanup(extents_done) struct extents x = { 0 };
	struct blk *map = NULL;
	int r;

	r = add_seg_area(j, &x, a, len, e);
	if (r == 0)
		r = blk_open_map(x.v, x.n, &map, e);
	return r < 0 ? r : extents_add(legs, map, 0, len, e);
}

static int add_stripes(struct job *j, struct extents *x, const struct lvm_seg *seg, uint64_t len, struct err *e)
{
	cleanup(extents_done) struct extents legs = { 0 };
	struct blk *stripe = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < seg->n; i++)
		r = add_leg(j, &legs, &seg->areas[i], len / seg->n, e);
	if (r == 0)
		r = blk_open_stripe(legs.v, legs.n, seg->chunk, &stripe, e);
	return r < 0 ? r : extents_add(x, stripe, 0, len, e);
}

int lvm_map_open(const struct lvm_vg *vg, const struct lvm_lv *lv, struct blk *const *under, bool read_only, struct blk **ret,
		 int *ret_gap, struct err *e)
{
	cleanup(extents_done) struct extents x = { 0 };
	struct job j = { vg, under, -1 };
	struct blk *map = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < lv->nsegs; i++) {
		const struct lvm_seg *seg = &lv->segs[i];
		uint64_t len = seg->count * vg->extent;

		if (!seg->areas)
			return err_set(e, -EOPNOTSUPP, "segment %zu cannot be mapped", i);
		r = seg->n == 1 ? add_seg_area(&j, &x, &seg->areas[0], len, e) : add_stripes(&j, &x, seg, len, e);
	}
	if (r == 0)
		r = blk_open_map(x.v, x.n, &map, e);
	if (r == 0 && (read_only || lv->origin || !lv->writable || !vg->writable))
		r = ro_open(map, &map, e);
	if (r < 0)
		return r;
	*ret_gap = j.gap;
	*ret = map;
	return 0;
}
