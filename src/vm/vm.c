/* SPDX-License-Identifier: MIT */
/* From nodes to machines, in this order: roots, each root's tree, disks with a /boot and no root, the texts
 * and facts in the trees, which disk is whose, the volumes and what their raw bytes prove, and what backs
 * ADE's lines. What cannot be told ends in gaps and in "unknown"; only running out of memory is an error. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "vm/facts.h"
#include "vm/machine.h"

static void free_texts(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	facts_done(vm);
	tree_done(&vm->tree);
	for (size_t i = 0; i < vm->nvolumes; i++) {
		free(vm->volumes[i].plain_why);
		free(vm->volumes[i].mount_at);
		free(vm->volumes[i].backup_mount_info);
	}
	free(vm->volumes);
	free(vm->mine);
	free(vm->disks);
	free_texts(vm->var_missing, vm->nvar_missing);
	free_texts(vm->missing, vm->nmissing);
	free(vm->removed_vg.why);
	free(vm->removed_vg.now);
	free(vm->removed_vg.name);
	free(vm);
}

void vms_free(struct vm **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		vm_free(v[i]);
	free(v);
}

void machines_done(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		vm_free(w->v[i]->vm);
		free(w->v[i]->disk);
		free(w->v[i]->seed);
		tab_done(&w->v[i]->fstab);
		tab_done(&w->v[i]->crypttab);
		free(w->v[i]);
	}
	free(w->v);
	infos_done(w);
}

static int find_machines(struct work *w, struct err *e)
{
	size_t roots;
	int r = infos_read(w, e);

	if (r == 0)
		r = removed_open(w, e);
	if (r == 0)
		r = roots_find(w, e);
	for (size_t i = 0; r == 0 && i < w->n; i++)
		r = mounts_read(w->v[i], e);
	roots = w->n;
	if (r == 0)
		r = boots_find(w, e);
	for (size_t i = roots; r == 0 && i < w->n; i++)
		r = mounts_read(w->v[i], e);
	return r;
}

static int read_facts(struct machine *m, struct err *e)
{
	struct vm *vm = m->vm;
	int r = texts_read(vm, e);

	vm->look_closer = m->w->opt->look_closer;
	if (r == 0)
		r = state_read(vm, m->w->g, e);
	if (r == 0)
		r = extensions_read(vm, e);
	if (r == 0)
		r = boot_read(vm, m->w->g, e);
	if (r == 0)
		r = logs_read(vm, e);
	if (r == 0)
		r = lines_read(vm, e);
	if (r == 0 && !vm->root)
		boots_find_root(m);
	return r < 0 ? r : removed_read(m, e);
}

static int read_volumes(struct machine *m, struct err *e)
{
	int r = volumes_read(m, e);

	if (r == 0)
		r = volumes_judge(m, e);
	if (r == 0)
		r = backing_read(m, e);
	if (r == 0)
		r = volumes_flags(m, e);
	if (r == 0)
		r = missing_read(m, e);
	if (r == 0)
		slice_compare(m);
	for (size_t d = 0; r == 0 && d < m->w->ndisks; d++)
		if (!m->w->disks[d])
			r = vm_gap(m->vm, NULL, "", "disk %zu could not be read", d);
	return r;
}

static int read_all(struct work *w, int **ret_unassigned, size_t *ret_n, struct err *e)
{
	int r = find_machines(w, e);

	for (size_t i = 0; r == 0 && i < w->n; i++)
		r = read_facts(w->v[i], e);
	if (r == 0)
		r = group_disks(w, ret_unassigned, ret_n, e);
	for (size_t i = 0; r == 0 && i < w->n; i++)
		r = read_volumes(w->v[i], e);
	return r;
}

int vms_read(struct graph *g, struct node **disks, size_t ndisks, struct bek_volume **beks, size_t nbeks,
	     const struct vm_options *opt, struct vm ***ret, size_t *ret_n, int **ret_unassigned,
	     size_t *ret_nunassigned, struct err *e)
{
	cleanup(machines_done) struct work w = {
		.g = g, .disks = disks, .ndisks = ndisks, .beks = beks, .nbeks = nbeks, .opt = opt
	};
	cleanup_free int *unassigned = NULL;
	size_t nunassigned = 0;
	struct vm **v;

	if (read_all(&w, &unassigned, &nunassigned, e) < 0)
		return err_oom(e);
	v = calloc(w.n + 1, sizeof(struct vm *));
	if (!v)
		return err_oom(e);
	for (size_t i = 0; i < w.n; i++)
		v[i] = take_ptr(&w.v[i]->vm);
	*ret = v;
	*ret_n = w.n;
	*ret_unassigned = take_ptr(&unassigned);
	*ret_nunassigned = nunassigned;
	return 0;
}
