/* SPDX-License-Identifier: MIT */
/* The text of a volume group as a struct: physical volumes, logical volumes, segments. Only striped segments (linear ones are
 * striped over one) directly on physical volumes are read; every other type is named and its volume is not put together.
 *
 * What is wrong with one volume is kept with it. Refused as a whole: names and UUIDs that LVM does not make or that come twice,
 * absurd extent sizes, more volumes than LVM_MAX_PVS and LVM_MAX_LVS. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/lvm_priv.h"

/* JSON's numbers end here; no disk is as large */
#define MAX_BYTES (1ull << 53)

static void lv_done(struct lvm_lv *lv)
{
	for (size_t i = 0; i < lv->nsegs; i++)
		free(lv->segs[i].areas);
	free(lv->segs);
	free(lv->name);
}

void lvm_vg_unref(struct lvm_vg *vg)
{
	if (!vg || --vg->refs)
		return;
	for (size_t i = 0; i < vg->npvs; i++)
		free(vg->pvs[i].key);
	for (size_t i = 0; i < vg->nlvs; i++)
		lv_done(&vg->lvs[i]);
	free(vg->pvs);
	free(vg->lvs);
	free(vg);
}

struct lvm_vg *lvm_vg_ref(struct lvm_vg *vg)
{
	vg->refs++;
	return vg;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool lvm_name_ok(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (!n || n >= LVM_NAME || *s == '-' || str_eq(s, ".") || str_eq(s, ".."))
		return false;
	for (; *s; s++)
		if (!is_alnum(*s) && !strchr("+_.-", *s))
			return false;
	return true;
}

bool lvm_uuid_ok(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (n != LVM_UUID - 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool dash = i == 6 || i == 11 || i == 16 || i == 21 || i == 26 || i == 31;

		if (dash ? s[i] != '-' : !is_alnum(s[i]) && s[i] != '!' && s[i] != '#')
			return false;
	}
	return true;
}

/* A word from a text, for a sentence: what is not printable ASCII is left out. */
static void copy_word(char out[32], const char *s)
{
	size_t n = 0;

	for (; *s && n < 31; s++)
		if (is_alnum(*s) || strchr("+_.-", *s))
			out[n++] = *s;
	out[n] = '\0';
}

static __attribute__((format(printf, 3, 4))) int lv_fault(struct lvm_lv *lv, enum lvm_fault fault, const char *fmt, ...)
{
	va_list ap;

	if (lv->fault >= fault)
		return 0;
	lv->fault = fault;
	va_start(ap, fmt);
	(void)vsnprintf(lv->why.msg, sizeof(lv->why.msg), fmt, ap);
	va_end(ap);
	return 0;
}

/* ---- physical volumes ---- */

static int read_pv(struct lvm_vg *vg, const struct lvm_tree *t, const struct lvm_item *x, struct err *e)
{
	const char *id = lvm_string(t, x, "id");
	struct lvm_vgpv *pv;
	uint64_t start = 0;

	if (!lvm_uuid_ok(id))
		return err_set(e, -EBADMSG, "metadata text: physical volume %zu has no UUID", vg->npvs);
	for (size_t i = 0; i < vg->npvs; i++)
		if (str_eq(vg->pvs[i].uuid, id) || str_eq(vg->pvs[i].key, x->name))
			return err_set(e, -EBADMSG, "metadata text: physical volume %s is named twice", id);
	pv = vec_push(&vg->pvs, &vg->npvs);
	if (!pv || !(pv->key = str_ndup(x->name, strlen(x->name))))
		return err_oom(e);
	memcpy(pv->uuid, id, sizeof(pv->uuid));
	if (!lvm_number(t, x, "pe_start", &start) || !lvm_number(t, x, "pe_count", &pv->pe_count) ||
	    start > MAX_BYTES / 512 || pv->pe_count > MAX_BYTES / vg->extent)
		return err_set(e, -EBADMSG, "metadata text: physical volume %s: extents that no disk has", id);
	pv->pe_start = start * 512;
	pv->missing = lvm_has_flag(t, x, "flags", "MISSING") || lvm_has_flag(t, x, "status", "MISSING");
	return 0;
}

static int read_pvs(struct lvm_vg *vg, const struct lvm_tree *t, const struct lvm_item *section, struct err *e)
{
	size_t n = lvm_count(t, section);
	int r = 0;

	if (!n || n > LVM_MAX_PVS)
		return err_set(e, -EBADMSG, "metadata text: %zu physical volumes, not 1 to %d", n, LVM_MAX_PVS);
	for (const struct lvm_item *x = lvm_first(t, section); r == 0 && x; x = lvm_next(t, x))
		r = x->type == LVM_SECTION ? read_pv(vg, t, x, e) : 0;
	return r;
}

/* ---- segments ---- */

static int find_pv(const struct lvm_vg *vg, const char *key)
{
	for (size_t i = 0; i < vg->npvs; i++)
		if (str_eq(vg->pvs[i].key, key))
			return (int)i;
	return -1;
}

/* "stripes": the key of a PV and an extent there, in turn. */
static int read_areas(const struct lvm_vg *vg, struct lvm_lv *lv, struct lvm_seg *seg, const struct lvm_tree *t,
		      const struct lvm_item *list, struct err *e)
{
	uint64_t each = seg->count / seg->n;
	size_t n = 0;

	seg->areas = calloc(seg->n, sizeof(*seg->areas));
	if (!seg->areas)
		return err_oom(e);
	for (const struct lvm_item *x = lvm_first(t, list); x && n < seg->n; n++) {
		const struct lvm_item *pe = lvm_next(t, x);
		int pv = x->type == LVM_STRING ? find_pv(vg, x->text) : -1;

		if (x->type != LVM_STRING || !pe || pe->type != LVM_NUMBER)
			break;
		if (pv < 0) {
			char word[32];

			copy_word(word, x->text);
			return lv_fault(lv, LVM_UNSUPPORTED, "lies on %s, which is no physical volume", word);
		}
		if (!range_in(pe->number, each, vg->pvs[pv].pe_count))
			return lv_fault(lv, LVM_DAMAGED, "extents %" PRIu64 " to %" PRIu64 " of physical volume %s, which has %" PRIu64,
					pe->number, pe->number + each - 1, vg->pvs[pv].uuid, vg->pvs[pv].pe_count);
		seg->areas[n] = (struct lvm_area){ (unsigned)pv, pe->number };
		x = lvm_next(t, pe);
	}
	if (n != seg->n || lvm_count(t, list) != 2 * seg->n)
		return lv_fault(lv, LVM_DAMAGED, "%zu stripes are said and others are listed", seg->n);
	return 0;
}

static int read_striped(const struct lvm_vg *vg, struct lvm_lv *lv, struct lvm_seg *seg, const struct lvm_tree *t,
			const struct lvm_item *x, struct err *e)
{
	uint64_t stripes = 0, sectors = 0;
	int r;

	if (!lvm_number(t, x, "stripe_count", &stripes) || !stripes || stripes > STRIPE_MAX_LEGS)
		return lv_fault(lv, LVM_DAMAGED, "%" PRIu64 " stripes, not 1 to %d", stripes, STRIPE_MAX_LEGS);
	seg->n = (size_t)stripes;
	if (seg->count % stripes)
		return lv_fault(lv, LVM_DAMAGED, "%" PRIu64 " extents in %" PRIu64 " stripes", seg->count, stripes);
	if (stripes > 1) {
		bool said = lvm_number(t, x, "stripe_size", &sectors) && sectors && sectors <= MAX_BYTES / 512;

		seg->chunk = said ? sectors * 512 : 0;
		if (!said || (sectors & (sectors - 1)) || seg->count / stripes * vg->extent % seg->chunk)
			return lv_fault(lv, LVM_DAMAGED, "stripes of %" PRIu64 " sectors", sectors);
	}
	r = read_areas(vg, lv, seg, t, lvm_find(t, x, "stripes", LVM_ARRAY), e);
	if (lv->fault != LVM_FINE)
		free(take_ptr(&seg->areas));    /* not all of them may be filled */
	return r;
}

static int read_seg(const struct lvm_vg *vg, struct lvm_lv *lv, const struct lvm_tree *t, const struct lvm_item *x, struct err *e)
{
	const char *type = lvm_string(t, x, "type");
	struct lvm_seg *seg;
	char word[32];

	seg = vec_push(&lv->segs, &lv->nsegs);
	if (!seg)
		return err_oom(e);
	if (!lvm_number(t, x, "start_extent", &seg->start) || !lvm_number(t, x, "extent_count", &seg->count) || !seg->count ||
	    !range_in(seg->start, seg->count, MAX_BYTES / vg->extent) || !type)
		return lv_fault(lv, LVM_DAMAGED, "segment %zu has no sound extents", lv->nsegs);
	if (str_eq(type, "striped") || str_eq(type, "linear"))
		return read_striped(vg, lv, seg, t, x, e);
	copy_word(word, type);
	return lv_fault(lv, LVM_UNSUPPORTED, "segment type %s", word);
}

static int compare_segs(const void *a, const void *b)
{
	const struct lvm_seg *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static void check_segs(struct lvm_lv *lv, uint64_t said)
{
	if (!lv->nsegs || lv->nsegs != said) {
		lv_fault(lv, LVM_DAMAGED, "%" PRIu64 " segments are said, %zu are there", said, lv->nsegs);
		return;
	}
	qsort(lv->segs, lv->nsegs, sizeof(*lv->segs), compare_segs);
	for (size_t i = 0; i < lv->nsegs; i++) {
		if (lv->segs[i].start != lv->extents)
			lv_fault(lv, LVM_DAMAGED, "segments do not join at extent %" PRIu64, lv->extents);
		if (add_overflows(lv->extents, lv->segs[i].count, &lv->extents))
			lv->extents = 0;
	}
}

/* ---- logical volumes ---- */

static int read_lv(struct lvm_vg *vg, const struct lvm_tree *t, const struct lvm_item *x, struct err *e)
{
	uint64_t said = 0;
	struct lvm_lv *lv;
	int r = 0;

	if (!lvm_name_ok(x->name))
		return err_set(e, -EBADMSG, "metadata text: logical volume %zu has a name that LVM does not make", vg->nlvs);
	for (size_t i = 0; i < vg->nlvs; i++)
		if (str_eq(vg->lvs[i].name, x->name))
			return err_set(e, -EBADMSG, "metadata text: logical volume %s is there twice", x->name);
	lv = vec_push(&vg->lvs, &vg->nlvs);
	if (!lv || !(lv->name = str_ndup(x->name, strlen(x->name))))
		return err_oom(e);
	lv->visible = lvm_has_flag(t, x, "status", "VISIBLE");
	lv->writable = lvm_has_flag(t, x, "status", "WRITE");
	if (lvm_has_flag(t, x, "status", "PVMOVE") || lvm_has_flag(t, x, "status", "CONVERTING"))
		lv_fault(lv, LVM_UNSUPPORTED, "it was being moved or converted");
	(void)lvm_number(t, x, "segment_count", &said);
	for (const struct lvm_item *s = lvm_first(t, x); r == 0 && s; s = lvm_next(t, s))
		if (s->type == LVM_SECTION && str_starts(s->name, "segment"))
			r = read_seg(vg, lv, t, s, e);
	if (r == 0)
		check_segs(lv, said);
	return r;
}

static struct lvm_lv *find_lv(struct lvm_vg *vg, const char *name)
{
	for (size_t i = 0; name && i < vg->nlvs; i++)
		if (str_eq(vg->lvs[i].name, name))
			return &vg->lvs[i];
	return NULL;
}

/* A hidden LV ties an origin to the store of its snapshot, which is a plain striped LV to look at. While a snapshot is being
 * merged back, the origin's bytes are in both. */
static void mark_snapshot(struct lvm_vg *vg, const struct lvm_tree *t, const struct lvm_item *seg)
{
	const char *merging = lvm_string(t, seg, "merging_store");
	struct lvm_lv *origin = find_lv(vg, lvm_string(t, seg, "origin"));
	struct lvm_lv *store = find_lv(vg, merging ? merging : lvm_string(t, seg, "cow_store"));

	if (store)
		lv_fault(store, LVM_UNSUPPORTED, "segment type snapshot, of %s", origin ? origin->name : "nothing");
	if (!origin)
		return;
	origin->origin = true;
	if (merging)
		lv_fault(origin, LVM_UNSUPPORTED, "a snapshot is being merged into it");
}

static void mark_snapshots(struct lvm_vg *vg, const struct lvm_tree *t, const struct lvm_item *section)
{
	for (const struct lvm_item *x = lvm_first(t, section); x; x = lvm_next(t, x))
		for (const struct lvm_item *s = lvm_first(t, x); s && x->type == LVM_SECTION; s = lvm_next(t, s))
			if (s->type == LVM_SECTION && str_eq(lvm_string(t, s, "type"), "snapshot"))
				mark_snapshot(vg, t, s);
}

static int read_lvs(struct lvm_vg *vg, const struct lvm_tree *t, const struct lvm_item *section, struct err *e)
{
	size_t n = lvm_count(t, section);
	int r = 0;

	if (n > LVM_MAX_LVS)
		return err_set(e, -EBADMSG, "metadata text: %zu logical volumes, more than %d", n, LVM_MAX_LVS);
	for (const struct lvm_item *x = lvm_first(t, section); r == 0 && x; x = lvm_next(t, x))
		r = x->type == LVM_SECTION ? read_lv(vg, t, x, e) : 0;
	if (r == 0)
		mark_snapshots(vg, t, section);
	return r;
}

/* ---- no extent belongs to two volumes ---- */

struct claim { unsigned pv; uint64_t pe, count; struct lvm_lv *lv; };

static int compare_claims(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	if (x->pv != y->pv)
		return x->pv < y->pv ? -1 : 1;
	return (x->pe > y->pe) - (x->pe < y->pe);
}

static void mark_overlaps(struct claim *c, size_t n)
{
	struct claim *far = c;          /* whose end is the furthest so far */

	qsort(c, n, sizeof(*c), compare_claims);
	for (size_t i = 1; i < n; i++) {
		if (c[i].pv == far->pv && c[i].pe < far->pe + far->count) {
			lv_fault(c[i].lv, LVM_DAMAGED, "has extent %" PRIu64 " of a physical volume together with %s", c[i].pe, far->lv->name);
			lv_fault(far->lv, LVM_DAMAGED, "has extent %" PRIu64 " of a physical volume together with %s", c[i].pe, c[i].lv->name);
		}
		if (c[i].pv != far->pv || c[i].pe + c[i].count > far->pe + far->count)
			far = &c[i];
	}
}

static int check_overlaps(struct lvm_vg *vg, struct err *e)
{
	cleanup_free struct claim *c = NULL;
	size_t n = 0;

	for (size_t i = 0; i < vg->nlvs; i++)
		for (size_t s = 0; s < vg->lvs[i].nsegs && vg->lvs[i].fault != LVM_DAMAGED; s++) {
			const struct lvm_seg *seg = &vg->lvs[i].segs[s];

			for (size_t a = 0; seg->areas && a < seg->n; a++) {
				struct claim *slot = vec_push(&c, &n);

				if (!slot)
					return err_oom(e);
				*slot = (struct claim){ seg->areas[a].pv, seg->areas[a].pe, seg->count / seg->n, &vg->lvs[i] };
			}
		}
	if (n)
		mark_overlaps(c, n);
	return 0;
}

/* ---- the whole ---- */

/* The one section of a text that is a volume group. */
static const struct lvm_item *find_vg(const struct lvm_tree *t)
{
	const struct lvm_item *found = NULL;
	const char *contents = lvm_string(t, &t->v[0], "contents");

	for (const struct lvm_item *x = lvm_first(t, &t->v[0]); x; x = lvm_next(t, x)) {
		if (x->type != LVM_SECTION)
			continue;
		if (found)
			return NULL;
		found = x;
	}
	if (!found || !lvm_name_ok(found->name) || !lvm_uuid_ok(lvm_string(t, found, "id")) ||
	    (contents && !str_eq(contents, "Text Format Volume Group")))
		return NULL;
	return found;
}

static int read_head(struct lvm_vg *vg, const struct lvm_tree *t, const struct lvm_item *x, struct err *e)
{
	uint64_t sectors = 0, when = 0, version = 1;

	snprintf(vg->name, sizeof(vg->name), "%s", x->name);
	memcpy(vg->uuid, lvm_string(t, x, "id"), sizeof(vg->uuid));
	(void)lvm_number(t, &t->v[0], "version", &version);
	if (version != 1)
		return err_set(e, -EOPNOTSUPP, "metadata text: version %" PRIu64, version);
	if (!lvm_number(t, x, "seqno", &vg->seqno))
		return err_set(e, -EBADMSG, "metadata text: no seqno");
	if (!lvm_number(t, x, "extent_size", &sectors) || !sectors || sectors > UINT32_MAX)
		return err_set(e, -EBADMSG, "metadata text: extents of %" PRIu64 " sectors", sectors);
	vg->extent = sectors * 512;
	if (lvm_number(t, &t->v[0], "creation_time", &when) && when <= INT64_MAX)
		vg->when = (time_t)when;
	vg->exported = lvm_has_flag(t, x, "status", "EXPORTED");
	vg->partial = lvm_has_flag(t, x, "status", "PARTIAL") || lvm_has_flag(t, x, "flags", "PARTIAL");
	vg->writable = lvm_has_flag(t, x, "status", "WRITE");
	return 0;
}

int lvm_vg_read(const struct lvm_tree *t, struct lvm_vg **ret, struct err *e)
{
	cleanup_lvm_vg struct lvm_vg *vg = NULL;
	const struct lvm_item *x = find_vg(t);
	int r;

	if (!x)
		return err_set(e, -EBADMSG, "metadata text: not one volume group with a name and a UUID");
	vg = calloc(1, sizeof(*vg));
	if (!vg)
		return err_oom(e);
	vg->refs = 1;
	r = read_head(vg, t, x, e);
	if (r == 0)
		r = read_pvs(vg, t, lvm_find(t, x, "physical_volumes", LVM_SECTION), e);
	if (r == 0)
		r = read_lvs(vg, t, lvm_find(t, x, "logical_volumes", LVM_SECTION), e);
	if (r == 0)
		r = check_overlaps(vg, e);
	if (r < 0)
		return r;
	*ret = take_ptr(&vg);
	return 0;
}

static bool same_segs(const struct lvm_seg *a, const struct lvm_seg *b)
{
	if (a->start != b->start || a->count != b->count || a->chunk != b->chunk || a->n != b->n || !a->areas != !b->areas)
		return false;
	for (size_t i = 0; a->areas && i < a->n; i++)
		if (a->areas[i].pv != b->areas[i].pv || a->areas[i].pe != b->areas[i].pe)
			return false;
	return true;
}

bool lvm_vg_same(const struct lvm_vg *a, const struct lvm_vg *b)
{
	if (a->extent != b->extent || a->npvs != b->npvs || a->nlvs != b->nlvs)
		return false;
	for (size_t i = 0; i < a->npvs; i++)
		if (!str_eq(a->pvs[i].uuid, b->pvs[i].uuid) || a->pvs[i].pe_start != b->pvs[i].pe_start)
			return false;
	for (size_t i = 0; i < a->nlvs; i++) {
		const struct lvm_lv *x = &a->lvs[i], *y = &b->lvs[i];

		if (!str_eq(x->name, y->name) || x->nsegs != y->nsegs || x->fault != y->fault)
			return false;
		for (size_t s = 0; s < x->nsegs; s++)
			if (!same_segs(&x->segs[s], &y->segs[s]))
				return false;
	}
	return true;
}

int lvm_old_read(const struct lvm_tree *t, struct lvm_old *ret, struct err *e)
{
	const struct lvm_item *x = find_vg(t);
	const char *by = lvm_string(t, &t->v[0], "description");
	uint64_t when = 0;

	if (!x || !lvm_number(t, x, "seqno", &ret->seqno) || !lvm_first(t, lvm_find(t, x, "physical_volumes", LVM_SECTION)))
		return 0;
	ret->vg_name = str_ndup(x->name, strlen(x->name));
	if (!ret->vg_name)
		return err_oom(e);
	memcpy(ret->vg_uuid, lvm_string(t, x, "id"), sizeof(ret->vg_uuid));
	ret->nlvs = lvm_count(t, lvm_find(t, x, "logical_volumes", LVM_SECTION));
	if (lvm_number(t, &t->v[0], "creation_time", &when) && when <= INT64_MAX)
		ret->when = (time_t)when;
	ret->removal = str_starts(by, "Write from lvremove") || str_starts(by, "Write from vgremove");
	return 1;
}
