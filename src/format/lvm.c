/* SPDX-License-Identifier: MIT */
/* Physical volumes as nodes of the graph, and what can be asked of them. A PV waits until lvm_group.c has put its volume group
 * together: that is done when nothing else changes any more, since a PV that is still locked may hold a newer text, and another
 * disk a second copy of the same PV. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/format.h"
#include "format/lvm_group.h"

/* Texts of one run of removals are not further apart, in seconds. */
enum { REMOVAL_GAP = 3600 };

static int lvm_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	struct lvm_pv *pv = NULL;
	int r = lvm_pv_read(blk, &pv, e);

	if (r > 0)
		*ret_meta = pv;
	return r;
}

static int lvm_describe(struct node *n, struct err *e)
{
	const struct lvm_pv *pv = n->meta;

	(void)e;
	memcpy(n->fmt, "LVM2_member", 12);
	memcpy(n->uuid, pv->uuid, sizeof(pv->uuid));
	err_set(&n->fs_why, 0, "LVM2_member: holds logical volumes, no files");
	if (!*pv->uuid) {
		n->state = NODE_DAMAGED;
		n->why = pv->why;
		return 0;
	}
	n->state = NODE_WAITING;
	err_set(&n->why, 0, "its volume group is not put together yet");
	return 0;
}

static int find_vg_child(void *arg, struct node *n)
{
	if (n->kind != KIND_VG)
		return 0;
	*(struct node **)arg = n;
	return 1;
}

static int lvm_expand(struct graph *g, struct node *n, struct err *e)
{
	struct lvm_pv *pv = n->meta;

	/* read anew after its VG was built */
	if (!pv->vg_node && graph_children(g, n, find_vg_child, &pv->vg_node)) {
		n->why = pv->why;
		return 0;
	}
	if (pv->vg_node || pv->settled)
		return 0;
	return err_set(e, -EAGAIN, "its volume group is not put together yet");
}

bool lvm_pv_info(const struct node *n, struct lvm_pv_info *ret)
{
	const struct lvm_pv *pv = n->format == &format_lvm ? n->meta : NULL;

	if (!pv)
		return false;
	*ret = (struct lvm_pv_info){
		.uuid = pv->uuid, .vg_name = pv->vg ? pv->vg->name : NULL, .broken = pv->broken,
		.olds = pv->olds, .nolds = pv->nolds, .cut = pv->cut,
	};
	return true;
}

/* The PV's last change before the run of removals that ends its ring: steps back over texts that lost volumes or that a removal
 * wrote, as long as these belong to one run. */
static const struct lvm_old *before_removals(const struct lvm_old *v, size_t last)
{
	size_t i = last;

	while (i > 0) {
		const struct lvm_old *now = &v[i], *was = &v[i - 1];
		bool one_run = i == last || !now->when || !v[i + 1].when || v[i + 1].when - now->when <= REMOVAL_GAP;

		if (!str_eq(now->vg_uuid, was->vg_uuid) || !one_run)
			break;
		if (was->nlvs < now->nlvs || (was->nlvs == now->nlvs && !now->removal))
			break;
		i--;
	}
	return v[i].nlvs ? &v[i] : NULL;
}

const struct lvm_old *lvm_text_to_keep(const struct node *n)
{
	const struct lvm_pv *pv = n->format == &format_lvm ? n->meta : NULL;
	size_t newest = 0;

	if (!pv || (pv->vg && pv->vg->nlvs) || pv->broken || !pv->nolds)
		return NULL;
	/* seqnos of several groups may be in one ring: the one written last counts */
	for (size_t i = 1; i < pv->nolds; i++)
		if (pv->olds[i].when > pv->olds[newest].when ||
		    (pv->olds[i].when == pv->olds[newest].when && pv->olds[i].seqno >= pv->olds[newest].seqno))
			newest = i;
	return before_removals(pv->olds, newest);
}

int lvm_read_text(const struct node *n, const struct lvm_old *old, char **ret, struct err *e)
{
	const struct lvm_pv *pv = n->format == &format_lvm ? n->meta : NULL;
	size_t len;

	if (!pv || !n->blk)
		return err_set(e, -EINVAL, "%s: not a physical volume", n->name);
	return lvm_pv_text(n->blk, pv, old->offset, ret, &len, e);
}

/* Every dash of a name is doubled, so that the one between them can be told. */
static void add_mapper_name(struct str *s, const char *name)
{
	for (; *name; name++)
		str_addf(s, *name == '-' ? "--" : "%c", *name);
}

char *lvm_mapper_name(const struct node *lv)
{
	cleanup_str struct str s = { 0 };
	const char *slash = lv->kind == KIND_LV ? strchr(lv->name, '/') : NULL;
	cleanup_free char *name = NULL;
	struct lvm_vg_info vg;

	if (!slash || !lv->nparents || !lvm_vg_info(lv->parents[0], &vg))
		return NULL;
	name = str_ndup(slash + 1, strcspn(slash + 1, "#"));
	if (!name)
		return NULL;
	add_mapper_name(&s, vg.name);
	str_add(&s, "-");
	add_mapper_name(&s, name);
	return str_take(&s);
}

const struct format format_lvm = {
	.name = "lvm",
	.parse = lvm_parse,
	.describe = lvm_describe,
	.expand = lvm_expand,
	.free_meta = lvm_pv_free,
};
