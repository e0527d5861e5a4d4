/* SPDX-License-Identifier: MIT */
/* Which physical volumes belong together? Those of one VG UUID; the newest text of them, by seqno, says what is in the group.
 *
 * A PV that comes twice is a copy: a snapshot of the failed disk, or the rescue VM's own. Then PVs of one disk belong together,
 * and PVs of several disks only where their seqno tells it; nothing is guessed, since a volume mixed of two copies is corrupt. What
 * cannot be told is missing in each of the sets. A PV that is seen raw and through a mapping is what the mapping shows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/format.h"
#include "format/luks.h"
#include "format/lvm_group.h"

enum { MAX_DEPTH = 20, MAX_MEMBERS = 1024 };

/* The unplaced PVs of one VG. set[i] is the set of member i. */
struct group {
	char uuid[LVM_UUID];
	struct node **v; size_t n;
	size_t *set;
	bool *twice;                    /* its disk has it more than once */
	bool copies;                    /* a PV comes more than once, here or in a VG that was built before */
};

static void group_done(struct group *x)
{
	free(x->v);
	free(x->set);
	free(x->twice);
}
#define cleanup_group cleanup(group_done)

static struct lvm_pv *pv_of(const struct node *n)
{
	struct lvm_pv *pv = n->format == &format_lvm ? n->meta : NULL;

	return pv && *pv->uuid ? pv : NULL;
}

static uint64_t seqno_of(const struct node *n)
{
	const struct lvm_pv *pv = pv_of(n);

	return pv->vg ? pv->vg->seqno : 0;
}

static bool lies_on(const struct node *n, const struct node *on, unsigned depth)
{
	if (n == on)
		return true;
	for (size_t i = 0; depth < MAX_DEPTH && i < n->nparents; i++)
		if (lies_on(n->parents[i], on, depth + 1))
			return true;
	return false;
}

static bool lists(const struct lvm_vg *vg, const char *uuid)
{
	for (size_t i = 0; vg && i < vg->npvs; i++)
		if (str_eq(vg->pvs[i].uuid, uuid))
			return true;
	return false;
}

static void settle(struct node *n, struct err why)
{
	struct lvm_pv *pv = pv_of(n);

	pv->settled = true;
	n->state = pv->broken ? NODE_DAMAGED : NODE_OPEN;
	n->why = why;
}

/* The header of a re-encryption that is under way on this device, or NULL. */
static const struct header *in_flight(const struct graph *g, const struct node *n)
{
	for (size_t i = 0; i < g->nheaders; i++)
		if (g->headers[i]->volume == n && g->headers[i]->info.online)
			return g->headers[i];
	return NULL;
}

/* Is it free to be placed, and not only the raw side of a mapping that shows the same PV? */
static bool is_free(const struct graph *g, struct node *n)
{
	struct lvm_pv *pv = pv_of(n);
	const struct header *h;

	if (!pv || pv->vg_node || !n->blk)
		return false;
	h = in_flight(g, n);
	if (h && h->opened) {
		struct err why = { "" };

		err_set(&why, 0, "half-way encrypted: what it holds is seen through %s", h->opened->name);
		settle(n, why);
		return false;
	}
	for (size_t i = 0; i < g->n; i++) {
		struct node *o = g->nodes[i];

		if (o != n && pv_of(o) && str_eq(o->uuid, n->uuid) && lies_on(o, n, 0)) {
			struct err why = { "" };

			err_set(&why, 0, "the same physical volume is seen through %s, which is used", o->name);
			settle(n, why);
			return false;
		}
	}
	return true;
}

/* ---- gathering ---- */

static int add_member(struct group *x, struct node *n, struct err *e)
{
	struct node **slot;

	if (x->n >= MAX_MEMBERS)
		return 0;
	slot = vec_push(&x->v, &x->n);
	if (!slot)
		return err_oom(e);
	*slot = n;
	return 0;
}

static bool is_listed(const struct group *x, size_t n, const char *uuid)
{
	for (size_t i = 0; i < n; i++)
		if (lists(pv_of(x->v[i])->vg, uuid))
			return true;
	return false;
}

static bool is_copy(const struct graph *g, const struct group *x, const struct node *n)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->v[i] != n && str_eq(x->v[i]->uuid, n->uuid))
			return true;
	for (size_t i = 0; i < g->n; i++)
		if (g->nodes[i] != n && pv_of(g->nodes[i]) && pv_of(g->nodes[i])->vg_node && str_eq(g->nodes[i]->uuid, n->uuid))
			return true;
	return false;
}

/* Those whose own text has the VG's UUID, and those without a text that one of these lists. */
static int gather(struct graph *g, struct group *x, struct err *e)
{
	size_t with_text;
	int r = 0;

	for (size_t i = 0; r == 0 && i < g->n; i++) {
		struct lvm_pv *pv = pv_of(g->nodes[i]);

		if (pv && pv->vg && str_eq(pv->vg->uuid, x->uuid) && is_free(g, g->nodes[i]))
			r = add_member(x, g->nodes[i], e);
	}
	with_text = x->n;
	for (size_t i = 0; r == 0 && i < g->n; i++) {
		struct lvm_pv *pv = pv_of(g->nodes[i]);

		if (pv && !pv->vg && is_listed(x, with_text, pv->uuid) && is_free(g, g->nodes[i]))
			r = add_member(x, g->nodes[i], e);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < x->n && !x->copies; i++)
		x->copies = is_copy(g, x, x->v[i]);
	x->set = calloc(x->n + 1, sizeof(*x->set));
	x->twice = calloc(x->n + 1, sizeof(*x->twice));
	return x->set && x->twice ? 0 : err_oom(e);
}

/* ---- sets ---- */

static void mark_twice(struct group *x)
{
	for (size_t i = 0; i < x->n; i++)
		for (size_t k = 0; k < i; k++)
			if (x->v[i]->disk == x->v[k]->disk && str_eq(x->v[i]->uuid, x->v[k]->uuid))
				x->twice[i] = x->twice[k] = true;
}

static bool are_mates(const struct group *x, size_t a, size_t b)
{
	return x->v[a]->disk >= 0 && x->v[a]->disk == x->v[b]->disk && !x->twice[a] && !x->twice[b];
}

static uint64_t set_seqno(const struct group *x, size_t set)
{
	uint64_t max = 0;

	for (size_t i = 0; i < x->n; i++)
		if (x->set[i] == set && seqno_of(x->v[i]) > max)
			max = seqno_of(x->v[i]);
	return max;
}

/* Among the sets of this seqno no PV comes twice: then they are one. */
static void merge_by_seqno(struct group *x, const uint64_t *seqno, size_t set)
{
	for (size_t i = 0; i < x->n; i++)
		for (size_t k = i + 1; seqno[i] == seqno[set] && k < x->n; k++)
			if (seqno[k] == seqno[set] && str_eq(x->v[i]->uuid, x->v[k]->uuid))
				return;
	for (size_t i = 0; i < x->n; i++)
		if (seqno[i] == seqno[set])
			x->set[i] = set;
}

/* A set's number is that of its first member. */
static int part(struct group *x, struct err *e)
{
	cleanup_free uint64_t *seqno = NULL;

	if (!x->copies)
		return 0;
	mark_twice(x);
	for (size_t i = 0; i < x->n; i++) {
		x->set[i] = i;
		for (size_t k = 0; k < i; k++)
			if (are_mates(x, i, k)) {
				x->set[i] = x->set[k];
				break;
			}
	}
	seqno = calloc(x->n, sizeof(*seqno));
	if (!seqno)
		return err_oom(e);
	for (size_t i = 0; i < x->n; i++)
		seqno[i] = set_seqno(x, x->set[i]);
	for (size_t i = 0; i < x->n; i++) {
		bool first = seqno[i] != 0;

		for (size_t k = 0; k < i && first; k++)
			first = seqno[k] != seqno[i];
		if (first)
			merge_by_seqno(x, seqno, i);
	}
	return 0;
}

/* The newest text of a set, or NULL; conflict: there is another of the same seqno. */
static struct lvm_vg *newest(const struct group *x, size_t set, bool *ret_conflict)
{
	struct lvm_vg *best = NULL;

	*ret_conflict = false;
	for (size_t i = 0; i < x->n; i++) {
		struct lvm_vg *vg = x->set[i] == set ? pv_of(x->v[i])->vg : NULL;

		if (!vg || (best && vg->seqno < best->seqno))
			continue;
		if (!best || vg->seqno > best->seqno) {
			best = vg;
			*ret_conflict = false;
		} else if (!lvm_vg_same(best, vg)) {
			*ret_conflict = true;
		}
	}
	return best;
}

static struct node *member_of(const struct group *x, size_t set, const char *uuid)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->set[i] == set && str_eq(x->v[i]->uuid, uuid))
			return x->v[i];
	return NULL;
}

static bool is_attached(const struct graph *g, const char *uuid)
{
	for (size_t i = 0; i < g->n; i++)
		if (pv_of(g->nodes[i]) && str_eq(g->nodes[i]->uuid, uuid))
			return true;
	return false;
}

/* PVs of the set that its newest text does not list any more. */
static void settle_leftovers(struct group *x, size_t set, const struct lvm_vg *vg)
{
	for (size_t i = 0; i < x->n; i++) {
		struct err why = { "" };

		if (x->set[i] != set || lists(vg, x->v[i]->uuid))
			continue;
		err_set(&why, 0, "volume group %s does not list it any more: its own text of seqno %" PRIu64 " is older than %" PRIu64,
			vg->name, seqno_of(x->v[i]), vg->seqno);
		settle(x->v[i], why);
	}
}

/* 1: built. */
static int build_set(struct graph *g, struct group *x, size_t set, bool partial, struct err *e)
{
	cleanup_free struct node **pvs = NULL;
	struct lvm_set s = { 0 };
	struct node *vg;
	int r;

	s.vg = newest(x, set, &s.conflict);
	if (!s.vg)
		return 0;
	pvs = calloc(s.vg->npvs, sizeof(struct node *));
	if (!pvs)
		return err_oom(e);
	for (size_t i = 0; i < s.vg->npvs; i++) {
		pvs[i] = member_of(x, set, s.vg->pvs[i].uuid);
		s.nmissing += !pvs[i];
		s.half = s.half || (pvs[i] && in_flight(g, pvs[i]));
		s.elsewhere = s.elsewhere || (!pvs[i] && is_attached(g, s.vg->pvs[i].uuid));
	}
	if (s.nmissing && !partial)
		return 0;
	settle_leftovers(x, set, s.vg);
	if (s.nmissing == s.vg->npvs)
		return 0;
	s.pvs = pvs;
	r = lvm_build(g, &s, &vg, e);
	return r < 0 ? r : 1;
}

/* ---- a PV that turns up after its VG was built without it ---- */

/* 1: it was given to the one VG that misses it. */
static int join(struct graph *g, struct node *n, struct err *e)
{
	struct node *found = NULL;

	for (size_t i = 0; i < g->n; i++) {
		if (!lvm_build_wants(g->nodes[i], pv_of(n)))
			continue;
		if (found)
			return 0;
		found = g->nodes[i];
	}
	return found ? lvm_build_join(g, found, n, e) : 0;
}

static int join_late(struct graph *g, struct err *e)
{
	int changed = 0;

	for (size_t i = 0; i < g->n; i++) {
		struct node *n = g->nodes[i];
		struct group alone = { .v = &n, .n = 1 };
		bool copy = false;
		int r;

		if (!pv_of(n) || !is_free(g, n))
			continue;
		copy = is_copy(g, &alone, n);
		for (size_t k = 0; k < g->n && !copy; k++) {
			const struct node *o = g->nodes[k];

			copy = o != n && pv_of(o) && str_eq(o->uuid, n->uuid) && !lies_on(n, o, 0);
		}
		r = copy ? 0 : join(g, n, e);
		if (r < 0)
			return r;
		changed |= r;
	}
	return changed;
}

/* ---- all of them ---- */

static int build_group(struct graph *g, const char *uuid, bool partial, struct err *e)
{
	cleanup_group struct group x = { 0 };
	int built = 0, r;

	memcpy(x.uuid, uuid, sizeof(x.uuid));
	r = gather(g, &x, e);
	if (r == 0)
		r = part(&x, e);
	for (size_t set = 0; r >= 0 && set < x.n; set++) {
		bool there = false;

		for (size_t i = 0; i < x.n; i++)
			there |= x.set[i] == set;
		r = there ? build_set(g, &x, set, partial, e) : 0;
		built |= r > 0;
	}
	return r < 0 ? r : built;
}

static int build_all(struct graph *g, bool partial, struct err *e)
{
	size_t end = g->n;
	int built = 0;

	for (size_t i = 0; i < end; i++) {
		struct node *n = g->nodes[i];
		struct lvm_pv *pv = pv_of(n);
		int r;

		if (!pv || !pv->vg || pv->vg_node || pv->settled || !is_free(g, n))
			continue;
		r = build_group(g, pv->vg->uuid, partial, e);
		if (r < 0)
			return r;
		built |= r;
	}
	return built;
}

static void settle_rest(struct graph *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct lvm_pv *pv = pv_of(g->nodes[i]);
		struct err why = { "" };

		if (!pv || pv->vg_node || pv->settled)
			continue;
		if (*pv->why.msg)
			why = pv->why;
		else if (pv->nolds)
			err_set(&why, 0, "in no volume group; %zu older texts in its ring, the newest of volume group %s", pv->nolds,
				pv->olds[pv->nolds - 1].vg_name);
		else
			err_set(&why, 0, "in no volume group");
		settle(g->nodes[i], why);
	}
}

int lvm_finish(struct graph *g, struct err *e)
{
	int r = join_late(g, e);

	if (r == 0)
		r = build_all(g, false, e);
	if (r == 0)
		r = build_all(g, true, e);
	if (r == 0)
		settle_rest(g);
	return r;
}

/* ---- an older text ---- */

/* The PV of a text: on the disk of the PV that holds the text, else the only one there is. */
static struct node *find_pv(const struct graph *g, const struct node *holder, const char *uuid)
{
	struct node *own = NULL, *other = NULL;
	size_t nown = 0, nother = 0;

	for (size_t i = 0; i < g->n; i++) {
		struct node *n = g->nodes[i];

		if (!pv_of(n) || !n->blk || !str_eq(n->uuid, uuid))
			continue;
		if (n == holder)
			return n;
		if (n->disk >= 0 && n->disk == holder->disk) {
			own = n;
			nown++;
		} else {
			other = n;
			nother++;
		}
	}
	if (nown)
		return nown == 1 ? own : NULL;
	return nother == 1 ? other : NULL;
}

int lvm_open_text(struct graph *g, struct node *pv, const struct lvm_old *old, struct node **ret, struct err *e)
{
	cleanup_lvm_tree struct lvm_tree *t = NULL;
	cleanup_lvm_vg struct lvm_vg *vg = NULL;
	cleanup_free struct node **pvs = NULL;
	cleanup_free char *text = NULL;
	struct lvm_set s = { .old_text = true };
	int r;

	r = lvm_read_text(pv, old, &text, e);
	if (r == 0)
		r = lvm_tree_parse(text, strlen(text), &t, e);
	if (r == 0)
		r = lvm_vg_read(t, &vg, e);
	if (r < 0)
		return r;
	pvs = calloc(vg->npvs, sizeof(struct node *));
	if (!pvs)
		return err_oom(e);
	for (size_t i = 0; i < vg->npvs; i++) {
		pvs[i] = find_pv(g, pv, vg->pvs[i].uuid);
		s.nmissing += !pvs[i];
	}
	s.vg = vg;
	s.pvs = pvs;
	return lvm_build(g, &s, ret, e);
}
