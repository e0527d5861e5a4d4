/* SPDX-License-Identifier: MIT */
/* Which disks belong to which machine: by its mounts, its crypttab and azure_crypt_mount, the headers and
 * keys it keeps, its volume groups, and what a volume says of itself. A disk that two machines could claim
 * with equal right (copies of one machine attached at once) belongs to none: then it counts for each of them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/machine.h"

static void claim(struct machine *m, const struct node *n)
{
	for (size_t d = 0; n && d < m->w->ndisks; d++)
		if (node_is_on_disk(n, (int)d) && !node_is_taken(m, n))
			m->disk[d] = true;
}

static bool has_mounted(const struct machine *m, const struct node *n)
{
	for (size_t i = 0; n && i < m->vm->tree.n; i++)
		if (m->vm->tree.v[i].node == n)
			return true;
	return false;
}

static bool is_mine(const struct machine *m, const struct node *n)
{
	for (size_t d = 0; n && d < m->w->ndisks; d++)
		if (m->disk[d] && node_is_on_disk(n, (int)d))
			return true;
	return false;
}

static void claim_device(struct machine *m, const char *spec)
{
	const struct node *n = NULL;
	char why[200];

	if (spec && dev_find(m, spec, &n, why) == FOUND_ONE)
		claim(m, n);
}

static void claim_tables(struct machine *m)
{
	for (size_t i = 0; i < m->vm->tree.n; i++)
		claim(m, m->vm->tree.v[i].node);
	for (size_t i = 0; i < m->fstab.n; i++)
		claim_device(m, tab_f(&m->fstab.v[i], 0));
	for (size_t i = 0; i < m->crypttab.n; i++)
		claim_device(m, tab_f(&m->crypttab.v[i], 1));
	for (size_t i = 0; i < m->vm->nlines; i++)
		claim_device(m, m->vm->lines[i].device);
}

static bool line_names(const struct machine *m, const char *mapper)
{
	for (size_t i = 0; mapper && i < m->vm->nlines; i++)
		if (str_eq(m->vm->lines[i].mapper, mapper))
			return true;
	return false;
}

static void claim_infos(struct machine *m)
{
	for (size_t i = 0; i < m->w->ninfos; i++)
		if (line_names(m, m->w->infos[i].mapper))
			claim(m, m->w->infos[i].node);
}

static bool has_data_lines(const struct machine *m)
{
	for (size_t i = 0; i < m->vm->nlines; i++)
		if (m->vm->lines[i].owner == TAB_ADE_DATA)
			return true;
	return false;
}

/* Is this key one that opened something of this machine, or that it keeps? A key of a BEK VOLUME or of the
 * command line says nothing of its machine by itself: where there is only one machine it is that one's. */
static bool key_is_of(const struct machine *m, const struct key *k)
{
	const struct graph *g = m->w->g;

	if (k->origin == KEY_STATE_DIR)
		return has_mounted(m, k->node);
	for (size_t i = 0; i < g->nheaders; i++) {
		const struct header *h = g->headers[i];

		if (h->by == k && h->vk &&
		    (has_mounted(m, h->path ? h->node : NULL) || (h->volume && is_mine(m, h->volume))))
			return true;
	}
	return m->w->n == 1 && (k->origin == KEY_BEK || has_data_lines(m));
}

static void claim_headers(struct machine *m)
{
	const struct graph *g = m->w->g;

	for (size_t i = 0; i < g->nheaders; i++) {
		const struct header *h = g->headers[i];

		if (!h->volume || is_mine(m, h->volume))
			continue;
		if ((h->path && has_mounted(m, h->node)) || (h->vk && h->by && key_is_of(m, h->by)))
			claim(m, h->volume);
	}
}

/* A BEK VOLUME whose key opened something of this machine. */
static void claim_keys(struct machine *m)
{
	for (size_t i = 0; i < m->w->g->nkeys; i++) {
		const struct key *k = m->w->g->keys[i];

		if (k->origin == KEY_BEK && k->node && k->opens && key_is_of(m, k))
			claim(m, k->node);
	}
}

/* A volume group that has one PV on a disk of ours has them all. */
static void claim_groups(struct machine *m)
{
	for (size_t i = 0; i < m->w->g->n; i++)
		if (m->w->g->nodes[i]->kind == KIND_VG && is_mine(m, m->w->g->nodes[i]))
			claim(m, m->w->g->nodes[i]);
}

/* More than one claim: nobody's. */
static void drop_disputed(struct work *w)
{
	for (size_t d = 0; d < w->ndisks; d++) {
		unsigned claims = 0;

		for (size_t i = 0; i < w->n; i++)
			claims += w->v[i]->disk[d];
		for (size_t i = 0; claims > 1 && i < w->n; i++)
			w->v[i]->disk[d] = w->v[i]->seed[d];
	}
}

bool disk_is_free(const struct work *w, int disk)
{
	if (disk < 0)
		return false;
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i]->disk[disk])
			return false;
	return true;
}

static int list_disks(struct machine *m, struct err *e)
{
	for (size_t d = 0; d < m->w->ndisks; d++) {
		int *slot = m->disk[d] ? vec_push(&m->vm->disks, &m->vm->ndisks) : NULL;

		if (m->disk[d] && !slot)
			return err_oom(e);
		if (slot)
			*slot = (int)d;
	}
	return 0;
}

int group_disks(struct work *w, int **ret_unassigned, size_t *ret_n, struct err *e)
{
	cleanup_free int *free_disks = NULL;
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		claim_tables(w->v[i]);
		claim_infos(w->v[i]);
		for (unsigned again = 0; again < 2; again++) {
			claim_headers(w->v[i]);
			claim_groups(w->v[i]);
		}
		claim_keys(w->v[i]);
	}
	drop_disputed(w);
	for (size_t i = 0; i < w->n; i++)
		if (list_disks(w->v[i], e) < 0)
			return -ENOMEM;
	for (size_t d = 0; d < w->ndisks; d++) {
		int *slot = disk_is_free(w, (int)d) ? vec_push(&free_disks, &n) : NULL;

		if (slot)
			*slot = (int)d;
		else if (disk_is_free(w, (int)d))
			return err_oom(e);
	}
	*ret_unassigned = take_ptr(&free_disks);
	*ret_n = n;
	return 0;
}
