/* SPDX-License-Identifier: MIT */
/* Nodes for a volume group and its logical volumes: the VG's node has no bytes, its parents are its PVs; an LV's parent is its
 * VG. Internal LVs get no node. What is of a type that is not read, or damaged, or partly on a PV that is missing, gets a node
 * that says so; of the last kind what is there can be read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/format.h"
#include "format/lvm_group.h"

/* meta of a VG's node */
struct built {
	struct lvm_vg *vg;
	struct node **pvs;              /* parallel to vg->pvs; NULL: missing */
	char (*missing)[LVM_UUID]; size_t nmissing;
	bool conflict, elsewhere, half, old_text, covered;
};

static void built_free(void *meta)
{
	struct built *b = meta;

	if (!b)
		return;
	lvm_vg_unref(b->vg);
	free(b->pvs);
	free(b->missing);
	free(b);
}
DEFINE_CLEANUP(struct built *, built, built_free)

/* Never parsed: a VG has no bytes of its own. */
static int vg_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	(void)blk;
	(void)ret_meta;
	(void)e;
	return 0;
}

static const struct format format_vg = { .name = "lvm-vg", .parse = vg_parse, .free_meta = built_free };

static struct built *built_of(const struct node *n)
{
	return n->kind == KIND_VG && n->format == &format_vg ? n->meta : NULL;
}

static __attribute__((format(printf, 2, 3))) void say(struct node *n, const char *fmt, ...)
{
	size_t len = strlen(n->why.msg), room = sizeof(n->why.msg);
	va_list ap;

	va_start(ap, fmt);
	if (len + 3 < room) {
		if (len) {
			memcpy(n->why.msg + len, "; ", 3);
			len += 2;
		}
		(void)vsnprintf(n->why.msg + len, room - len, fmt, ap);
	}
	va_end(ap);
}

/* ---- logical volumes ---- */

static int refuse(struct node *n, enum node_state state, const char *why)
{
	n->state = state;
	err_set(&n->why, 0, "%s", why);
	return 0;
}

/* The LV's bytes, where it has any. */
static int lv_fill(struct node *n, const struct built *b, const struct lvm_lv *lv, struct err *e)
{
	cleanup_free struct blk **under = NULL;
	cleanup_blk struct blk *blk = NULL;
	struct err why = { "" };
	int gap = -1, r;

	n->size = lv->fault == LVM_DAMAGED ? 0 : lv->extents * b->vg->extent;
	if (lv->fault != LVM_FINE)
		return refuse(n, lv->fault == LVM_DAMAGED ? NODE_DAMAGED : NODE_UNSUPPORTED, lv->why.msg);
	if (b->covered)
		return refuse(n, NODE_DAMAGED, "the extents of a physical volume cover its own metadata");
	under = calloc(b->vg->npvs, sizeof(*under));
	if (!under)
		return err_oom(e);
	for (size_t i = 0; i < b->vg->npvs; i++)
		under[i] = b->pvs[i] ? b->pvs[i]->blk : NULL;
	r = lvm_map_open(b->vg, lv, under, b->conflict || b->half || b->old_text, &blk, &gap, &why);
	if (r == -ENOMEM)
		return err_oom(e);
	if (r < 0)
		return refuse(n, NODE_DAMAGED, why.msg);
	blk_unref(n->blk);
	n->blk = take_ptr(&blk);
	n->state = NODE_NEW;
	n->why = (struct err){ "" };
	if (gap < 0)
		return 0;
	n->state = NODE_DAMAGED;
	if (b->pvs[gap])
		err_set(&n->why, 0, "physical volume %s (%s) is shorter than its extents: what lies beyond its end cannot be read",
			b->vg->pvs[gap].uuid, b->pvs[gap]->name);
	else
		err_set(&n->why, 0, "physical volume %s is %s: what lies on it cannot be read", b->vg->pvs[gap].uuid,
			b->elsewhere ? "missing, or attached more than once" : "missing");
	return 0;
}

static size_t count_lv_nodes(const struct graph *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += g->nodes[i]->kind == KIND_LV;
	return n;
}

static int add_lvs(struct graph *g, struct node *vg, const struct built *b, struct err *e)
{
	size_t room = LVM_MAX_NODES - count_lv_nodes(g);

	for (size_t i = 0; i < b->vg->nlvs; i++) {
		const struct lvm_lv *lv = &b->vg->lvs[i];
		cleanup_free char *name = NULL;
		struct node *n;
		int r;

		if (!lv->visible)
			continue;
		if (!room--) {
			vg->state = NODE_UNSUPPORTED;
			say(vg, "more than %d logical volumes on all disks: the rest is left out", LVM_MAX_NODES);
			return 0;
		}
		name = str_printf("%s/%s", vg->name, lv->name);
		n = name ? graph_add(g, name, KIND_LV, vg, NULL) : NULL;
		if (!n)
			return err_oom(e);
		r = lv_fill(n, b, lv, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the volume group ---- */

static int fill_missing(struct built *b, struct err *e)
{
	free(b->missing);
	b->nmissing = 0;
	b->missing = calloc(b->vg->npvs, sizeof(*b->missing));
	if (!b->missing)
		return err_oom(e);
	for (size_t i = 0; i < b->vg->npvs; i++)
		if (!b->pvs[i])
			memcpy(b->missing[b->nmissing++], b->vg->pvs[i].uuid, LVM_UUID);
	return 0;
}

static void describe_vg(struct node *n, const struct built *b)
{
	n->why = (struct err){ "" };
	n->state = b->nmissing || b->conflict || b->half || b->covered ? NODE_DAMAGED : NODE_OPEN;
	if (b->old_text)
		say(n, "from the older text of seqno %" PRIu64 ", read-only", b->vg->seqno);
	if (b->nmissing)
		say(n, "%zu of %zu physical volumes %s: %s%s", b->nmissing, b->vg->npvs,
		    b->elsewhere ? "missing, or attached more than once so that it cannot be told which belongs here" : "missing",
		    b->missing[0], b->nmissing > 1 ? " and others" : "");
	if (b->conflict)
		say(n, "its physical volumes hold different texts of seqno %" PRIu64 ": read-only", b->vg->seqno);
	if (b->half)
		say(n, "a re-encryption is under way below it, and what was converted already reads as ciphertext: read-only");
	if (b->covered)
		say(n, "the extents of a physical volume cover its own metadata");
	if (b->vg->exported)
		say(n, "exported: LVM does not activate it before vgimport");
	if (b->vg->partial)
		say(n, "its metadata says that it is partial");
	for (size_t i = 0; i < b->vg->npvs; i++)
		if (b->pvs[i] && b->vg->pvs[i].missing)
			say(n, "its metadata says that physical volume %s is missing, which is here", b->vg->pvs[i].uuid);
}

/* Would a write to a volume reach the label or a metadata area? */
static bool is_covered(const struct lvm_vgpv *x, uint64_t extent, const struct lvm_pv *pv)
{
	uint64_t end = x->pe_start + x->pe_count * extent;

	if (x->pe_start < 2048)
		return true;
	for (unsigned i = 0; i < pv->nmdas; i++)
		if (range_in(pv->mdas[i].off, pv->mdas[i].size, UINT64_MAX) && pv->mdas[i].off < end &&
		    x->pe_start < pv->mdas[i].off + pv->mdas[i].size)
			return true;
	return false;
}

static void check_covered(struct built *b)
{
	b->covered = false;
	for (size_t i = 0; i < b->vg->npvs; i++)
		if (b->pvs[i] && is_covered(&b->vg->pvs[i], b->vg->extent, b->pvs[i]->meta))
			b->covered = true;
}

static void place_pv(struct node *n, struct node *vg)
{
	struct lvm_pv *pv = n->meta;

	pv->vg_node = vg;
	n->state = NODE_OPEN;
	n->why = pv->why;
}

static int add_vg(struct graph *g, struct built *b, struct node **ret, struct err *e)
{
	struct node *vg = NULL;

	for (size_t i = 0; i < b->vg->npvs; i++) {
		if (!b->pvs[i])
			continue;
		if (!vg) {
			vg = graph_add(g, b->vg->name, KIND_VG, b->pvs[i], NULL);
			if (!vg)
				return err_oom(e);
		} else if (graph_add_parent(vg, b->pvs[i], e) < 0) {
			return -ENOMEM;
		}
	}
	if (!vg)
		return err_set(e, -ENOENT, "volume group %s: none of its physical volumes is attached", b->vg->name);
	memcpy(vg->uuid, b->vg->uuid, sizeof(b->vg->uuid));
	*ret = vg;
	return 0;
}

int lvm_build(struct graph *g, const struct lvm_set *s, struct node **ret, struct err *e)
{
	cleanup(cleanup_builtp) struct built *b = calloc(1, sizeof(*b));
	struct node *vg = NULL;
	int r;

	if (!b)
		return err_oom(e);
	b->vg = lvm_vg_ref(s->vg);
	b->conflict = s->conflict;
	b->elsewhere = s->elsewhere;
	b->half = s->half;
	b->old_text = s->old_text;
	b->pvs = calloc(b->vg->npvs, sizeof(struct node *));
	if (!b->pvs)
		return err_oom(e);
	memcpy(b->pvs, s->pvs, b->vg->npvs * sizeof(struct node *));
	r = fill_missing(b, e);
	if (r == 0)
		r = add_vg(g, b, &vg, e);
	if (r < 0)
		return r;
	vg->format = &format_vg;
	vg->meta = b;
	check_covered(b);
	describe_vg(vg, b);
	for (size_t i = 0; !b->old_text && i < b->vg->npvs; i++)
		if (b->pvs[i])
			place_pv(b->pvs[i], vg);
	*ret = vg;
	return add_lvs(g, vg, take_ptr(&b), e);
}

static int index_of(const struct lvm_vg *vg, const char *uuid)
{
	for (size_t i = 0; i < vg->npvs; i++)
		if (str_eq(vg->pvs[i].uuid, uuid))
			return (int)i;
	return -1;
}

bool lvm_build_wants(const struct node *n, const struct lvm_pv *pv)
{
	const struct built *b = built_of(n);
	int i = b && !b->old_text ? index_of(b->vg, pv->uuid) : -1;

	if (i < 0 || b->pvs[i])
		return false;
	return !pv->vg || (str_eq(pv->vg->uuid, b->vg->uuid) && pv->vg->seqno <= b->vg->seqno);
}

struct rejoin { struct built *b; struct err *e; int changed; };

/* Only volumes that had a gap, and only where nothing was found in them yet. */
static int rejoin_lv(void *arg, struct node *n)
{
	struct rejoin *j = arg;
	const char *slash = strchr(n->name, '/');
	int r;

	if (n->kind != KIND_LV || n->state != NODE_DAMAGED || n->format || !slash)
		return 0;
	for (size_t i = 0; i < j->b->vg->nlvs; i++) {
		if (!str_eq(j->b->vg->lvs[i].name, slash + 1))
			continue;
		r = lv_fill(n, j->b, &j->b->vg->lvs[i], j->e);
		j->changed |= n->state == NODE_NEW;
		return r;
	}
	return 0;
}

int lvm_build_join(struct graph *g, struct node *vg, struct node *pv, struct err *e)
{
	struct built *b = built_of(vg);
	struct rejoin j = { b, e, 0 };
	int i = index_of(b->vg, pv->uuid), r;

	if (i < 0)
		return 0;
	r = graph_add_parent(vg, pv, e);
	if (r < 0)
		return r;
	b->pvs[i] = pv;
	place_pv(pv, vg);
	check_covered(b);
	r = fill_missing(b, e);
	if (r < 0)
		return r;
	describe_vg(vg, b);
	r = graph_children(g, vg, rejoin_lv, &j);
	return r < 0 ? r : 1;
}

static bool uses(const struct lvm_lv *lv, size_t pv)
{
	for (size_t i = 0; i < lv->nsegs; i++)
		for (size_t k = 0; k < lv->segs[i].n; k++)
			if (lv->segs[i].areas[k].pv == pv)
				return true;
	return false;
}

struct node *lvm_lv_pv(const struct node *n, size_t i)
{
	const struct built *b = n->kind == KIND_LV && n->nparents ? built_of(n->parents[0]) : NULL;
	const char *slash = b ? strrchr(n->name, '/') : NULL;
	const struct lvm_lv *lv = NULL;
	size_t len = slash ? strcspn(++slash, "#") : 0;

	for (size_t k = 0; slash && !lv && k < b->vg->nlvs; k++)
		if (strlen(b->vg->lvs[k].name) == len && !strncmp(b->vg->lvs[k].name, slash, len))
			lv = &b->vg->lvs[k];
	for (size_t k = 0; lv && k < b->vg->npvs; k++)
		if (b->pvs[k] && uses(lv, k) && !i--)
			return b->pvs[k];
	return NULL;
}

bool lvm_vg_info(const struct node *n, struct lvm_vg_info *ret)
{
	const struct built *b = built_of(n);
	const struct lvm_pv *pv = b && n->nparents && n->parents[0]->format == &format_lvm ? n->parents[0]->meta : NULL;

	if (!b)
		return false;
	*ret = (struct lvm_vg_info){
		.name = b->vg->name, .uuid = b->vg->uuid, .seqno = b->vg->seqno,
		.missing = (const char (*)[LVM_UUID])b->missing, .nmissing = b->nmissing,
		.olds = pv ? pv->olds : NULL, .nolds = pv ? pv->nolds : 0,
		.exported = b->vg->exported, .partial = b->vg->partial, .conflict = b->conflict, .from_old_text = b->old_text,
	};
	for (size_t i = 0; i < b->vg->nlvs; i++)
		ret->nlvs += b->vg->lvs[i].visible;
	return true;
}
