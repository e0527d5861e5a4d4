/* SPDX-License-Identifier: MIT */
/* A volume group that was removed under the root: ADE on EL7 does so before it encrypts, and restores it
 * afterwards. The physical volume then names no logical volumes, and its metadata ring still holds the text
 * from before. Where an OS disk has such a physical volume and no root that can be read, the volumes of that
 * text become nodes, read-only, so that what they hold can be judged and taken out. A group removed on any
 * other disk is its owner's own matter. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/lvm.h"
#include "vm/machine.h"

enum { MAX_OPENED = 4 };

static bool has_root(const struct work *w, int disk)
{
	for (size_t i = 0; i < w->g->n; i++) {
		const struct node *n = w->g->nodes[i];
		struct fs *fs = n->blk && *n->fmt && node_is_on_disk(n, disk) ? node_files(n, NULL) : NULL;

		if (fs && fs_is_root(fs))
			return true;
	}
	return false;
}

/* The VG of an older text that was opened on this PV, or NULL. */
static const struct node *opened_on(const struct graph *g, const struct node *pv)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = g->nodes[i];
		struct lvm_vg_info vg;

		if (n->nparents && n->parents[0] == pv && lvm_vg_info(n, &vg) && vg.from_old_text)
			return n;
	}
	return NULL;
}

int removed_open(struct work *w, struct err *e)
{
	size_t end = w->g->n, opened = 0;

	for (size_t i = 0; i < end && opened < MAX_OPENED; i++) {
		struct node *n = w->g->nodes[i], *vg;
		const struct lvm_old *keep = n->blk ? lvm_text_to_keep(n) : NULL;
		struct err why = { "" };
		int r;

		if (!keep || opened_on(w->g, n) || !disk_starts(w, node_disk(n)) || has_root(w, node_disk(n)))
			continue;
		r = lvm_open_text(w->g, n, keep, &vg, &why);
		if (r == -ENOMEM)
			return err_oom(e);
		opened += r == 0;
	}
	return opened ? graph_run(w->g, NULL, NULL, e) : 0;
}

/* ---- row 7b ---- */

static int cannot_tell(struct removed_vg *v, char *why, struct err *e)
{
	v->is = TRI_UNKNOWN;
	v->why = why;
	return why ? 0 : err_oom(e);
}

/* The PV on the root's device; the one that is seen through the opened volume where there are both. */
static const struct node *root_pv(const struct machine *m)
{
	const struct node *found = NULL;

	for (size_t i = 0; m->vm->root_raw && i < m->w->g->n; i++) {
		const struct node *n = m->w->g->nodes[i];
		struct lvm_pv_info pv;

		if (lvm_pv_info(n, &pv) && node_raw(n) == m->vm->root_raw && (!found || node_luks_above(n)))
			found = n;
	}
	return found;
}

static int removed_fill(struct machine *m, const struct node *n, const struct lvm_old *keep, const char *now,
			struct err *e)
{
	struct removed_vg *v = &m->vm->removed_vg;

	v->is = TRI_YES;
	v->seqno = keep->seqno;
	v->offset = keep->offset;
	v->nlvs = keep->nlvs;
	v->when = keep->when;
	v->opened = opened_on(m->w->g, n);
	v->name = str_printf("%s", keep->vg_name);
	v->now = now ? str_printf("%s", now) : NULL;
	return v->name && (!now || v->now) ? 0 : err_oom(e);
}

int removed_read(struct machine *m, struct err *e)
{
	struct removed_vg *v = &m->vm->removed_vg;
	const struct node *n = root_pv(m);
	const struct lvm_old *keep;
	struct lvm_pv_info pv;

	v->is = TRI_NO;
	if (!n || !lvm_pv_info(n, &pv))
		return m->vm->root
			   ? 0
			   : cannot_tell(
				 v, str_printf("the root file system was not read, it may lie on LVM"), e);
	v->pv = n;
	v->encrypted = node_luks_above(n) != NULL;
	keep = lvm_text_to_keep(n);
	if (keep)
		return removed_fill(m, n, keep, pv.vg_name, e);
	if (m->vm->root)
		return 0;
	if (pv.broken || !pv.vg_name)
		return cannot_tell(v,
				   str_printf("%s is a physical volume that names no volume group%s%s%s",
					      n->name,
					      pv.cut ? ", and not all of its ring was looked at" : "",
					      *n->why.msg ? ": " : "", n->why.msg),
				   e);
	return 0;
}
