/* SPDX-License-Identifier: MIT */
/* Which machines are there? A readable root file system is one (by its files, never by its size or number),
 * and so is a disk with a Linux /boot whose root cannot be read; and a disk that a firmware starts from,
 * where /boot cannot be read either. What the raw root is on the latter: the device that the header in /boot
 * belongs to; what kernel arguments and crypttab-like arguments name; else the largest partition of that disk
 * with no signature at all, else the largest whose content cannot be read here. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/luks.h"
#include "vm/machine.h"
#include "vm/plain.h"

enum { MAX_MACHINES = 64, MIN_ROOT = 16 << 20 };

struct machine *machine_new(struct work *w, struct err *e)
{
	struct machine *m = calloc(1, sizeof(*m)), **slot = NULL;

	if (m) {
		m->w = w;
		m->os_disk = -1;
		m->vm = calloc(1, sizeof(*m->vm));
		m->disk = calloc(w->ndisks + 1, sizeof(*m->disk));
		m->seed = calloc(w->ndisks + 1, sizeof(*m->seed));
	}
	if (m && m->vm && m->disk && m->seed)
		slot = vec_push(&w->v, &w->n);
	if (!slot) {
		if (m) {
			free(m->vm);
			free(m->disk);
			free(m->seed);
		}
		free(m);
		err_oom(e);
		return NULL;
	}
	m->vm->graph = w->g;
	m->vm->all_disks_attached = w->opt->all_disks_attached;
	m->vm->data_disks_said = w->opt->data_disks;
	m->vm->beks = w->beks;
	m->vm->nbeks = w->nbeks;
	return *slot = m;
}

void machine_seed(struct machine *m, const struct node *n)
{
	for (size_t d = 0; n && d < m->w->ndisks; d++)
		if (node_is_on_disk(n, (int)d))
			m->seed[d] = m->disk[d] = true;
}

static bool has_type(const struct node *n, const char *const *types)
{
	for (; *types; types++)
		if (str_eq_nocase(n->parttype, *types))
			return true;
	return false;
}

/* What a firmware starts from: only OS disks have it. */
static bool is_firmware_part(const struct node *n)
{
	static const char *const types[] = { "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef",
					     "21686148-6449-6e6f-744e-656564454649",
					     "9e1a2d38-c612-4316-aa26-8b49521e5a8b", NULL };

	return n->kind == KIND_PARTITION && has_type(n, types);
}

/* GRUB's first stage in the boot sector: how disks without such a partition start. */
static bool has_grub(const struct node *disk)
{
	uint8_t code[440];

	return disk->blk && disk->blk->size >= 512 &&
	       blk_pread(disk->blk, code, sizeof(code), 0, NULL) == 0 &&
	       memmem(code, sizeof(code), "GRUB", 4);
}

bool disk_starts(const struct work *w, int disk)
{
	bool found = disk >= 0 && (size_t)disk < w->ndisks && w->disks[disk] && has_grub(w->disks[disk]);

	for (size_t i = 0; i < w->g->n && !found; i++)
		found = disk >= 0 && w->g->nodes[i]->disk == disk && is_firmware_part(w->g->nodes[i]);
	return found;
}

/* The LV nearest to the root; *ret_above: no LUKS volume lies between. */
static const struct node *root_lv(const struct node *n, bool *ret_above)
{
	*ret_above = true;
	for (unsigned depth = 0; n && depth < 20; depth++) {
		if (n->kind == KIND_LV)
			return n;
		*ret_above &= n->kind != KIND_LUKS;
		n = node_below(n, 0);
	}
	*ret_above = false;
	return NULL;
}

/* A volume group can lie on several disks: the root's device is the PV on the disk that the firmware starts
 * from. */
static const struct node *root_device(const struct work *w, const struct node *n)
{
	for (unsigned depth = 0; n && (n->kind == KIND_LV || n->kind == KIND_VG) && depth < 20; depth++) {
		const struct node *pv = node_below(n, 0), *p;

		for (size_t i = 0; (p = node_below(n, i)); i++)
			if (disk_starts(w, node_disk(p))) {
				pv = p;
				break;
			}
		n = pv;
	}
	return n ? node_raw(n) : NULL;
}

static int add_root(struct work *w, const struct node *n, struct err *e)
{
	struct machine *m = machine_new(w, e);
	const struct node *lv;

	if (!m)
		return -ENOMEM;
	m->vm->root = n;
	m->vm->root_raw = root_device(w, n);
	lv = root_lv(n, &m->vm->root_lvm);
	m->vm->root_lv = lv ? lv->name : NULL;
	m->os_disk = node_disk(m->vm->root_raw);
	machine_seed(m, n);
	return 0;
}

/* The same bytes seen twice, raw and through a mapping, are one root: the mapping, which is what the system
 * used. */
static bool is_below_another(const struct work *w, const struct node *n)
{
	for (size_t i = 0; i < w->g->n; i++) {
		const struct node *o = w->g->nodes[i];
		struct fs *fs = o != n && o->blk && node_lies_on(o, n) ? node_files(o, NULL) : NULL;

		if (fs && fs_is_root(fs))
			return true;
	}
	return false;
}

int roots_find(struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->g->n && w->n < MAX_MACHINES; i++) {
		const struct node *n = w->g->nodes[i];
		struct fs *fs = n->blk && !node_is_bek(w, n) ? node_files(n, NULL) : NULL;

		if (fs && fs_is_root(fs) && !is_below_another(w, n) && add_root(w, n, e) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool is_mounted(const struct work *w, const struct node *n)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->v[i]->vm->tree.n; k++)
			if (w->v[i]->vm->tree.v[k].node == n)
				return true;
	return false;
}

static bool is_seed(const struct work *w, int disk)
{
	for (size_t i = 0; disk >= 0 && i < w->n; i++)
		if (w->v[i]->seed[disk])
			return true;
	return false;
}

static int find_boots(struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->g->n && w->n < MAX_MACHINES; i++) {
		const struct node *n = w->g->nodes[i];
		int disk = node_disk(n);
		struct fs *fs;
		struct machine *m;

		if (!n->blk || disk < 0 || is_seed(w, disk) || node_is_bek(w, n) || is_mounted(w, n))
			continue;
		fs = node_files(n, NULL);
		if (!fs || !fs_is_boot(fs))
			continue;
		m = machine_new(w, e);
		if (!m)
			return -ENOMEM;
		m->os_disk = disk;
		m->boot_found = n;
		machine_seed(m, n);
	}
	return 0;
}

/* ---- an OS disk whose /boot cannot be read either ---- */

/* Nothing that a root is made of. */
static bool is_known_else(const struct node *n)
{
	static const char *const roots[] = { "xfs",	    "btrfs",	   "ext2", "ext3", "ext4",
					     "LVM2_member", "crypto_LUKS", "f2fs", "jfs",  "reiserfs" };

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++)
		if (str_eq(n->fmt, roots[i]))
			return false;
	return *n->fmt;
}

/* Is it a thing that a root or a /boot is made of, and that cannot be read? */
static bool is_unread(const struct node *n)
{
	if (n->kind != KIND_PARTITION || is_firmware_part(n) || n->size < MIN_ROOT)
		return false;
	if (!n->blk)
		return true;
	if (*n->fmt)
		return !is_known_else(n) && !node_files(n, NULL);
	return n->state != NODE_OPEN || plain_is_opaque(n->blk, NULL, NULL) == TRI_YES;
}

static bool is_os_disk(const struct work *w, int disk)
{
	bool unread = false;

	for (size_t i = 0; i < w->g->n; i++) {
		const struct node *n = w->g->nodes[i];

		if (n->kind == KIND_PARTITION && n->disk == disk)
			unread |= !is_firmware_part(n) && is_unread(n);
	}
	return unread && disk_starts(w, disk);
}

static int find_unread(struct work *w, struct err *e)
{
	for (size_t d = 0; d < w->ndisks && w->n < MAX_MACHINES; d++) {
		struct machine *m;

		if (!w->disks[d] || is_seed(w, (int)d) || !is_os_disk(w, (int)d))
			continue;
		m = machine_new(w, e);
		if (!m)
			return -ENOMEM;
		m->os_disk = (int)d;
		m->boot_unread = true;
		machine_seed(m, w->disks[d]);
	}
	return 0;
}

int boots_find(struct work *w, struct err *e)
{
	int r = find_boots(w, e);

	return r < 0 ? r : find_unread(w, e);
}

/* ---- the raw root of a machine whose root cannot be read ---- */

static const struct node *root_by_header(const struct machine *m)
{
	const struct graph *g = m->w->g;

	if (m->vm->bootf.header && m->vm->bootf.header->volume)
		return m->vm->bootf.header->volume;
	for (size_t i = 0; i < g->nheaders; i++)
		if (g->headers[i]->node == m->boot_found && g->headers[i]->volume)
			return g->headers[i]->volume;
	return NULL;
}

/* "name=value" in kernel arguments: the value as a malloc'd text */
static char *argument(const char *args, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = args; p && *p; p += strcspn(p, " \t")) {
		p += strspn(p, " \t");
		if (!strncmp(p, name, len))
			return str_ndup(p + len, strcspn(p + len, " \t\r\n"));
	}
	return NULL;
}

static const struct node *named_by(const struct machine *m, const char *spec)
{
	const struct node *n = NULL;
	char why[200];

	if (!spec || dev_find(m, spec, &n, why) != FOUND_ONE || node_disk(node_raw(n)) != m->os_disk)
		return NULL;
	return node_raw(n);
}

static const struct node *root_by_arguments(const struct machine *m)
{
	for (size_t i = 0; i < m->vm->bootf.n; i++) {
		const char *args = m->vm->bootf.v[i].args;
		cleanup_free char *uuid = argument(args, "rd.luks.ade.partuuid="),
				  *root = argument(args, "root=");
		cleanup_free char *spec = uuid ? str_printf("PARTUUID=%s", uuid) : NULL;
		const struct node *n = named_by(m, spec);

		if (!n)
			n = named_by(m, root);
		if (n && n != m->boot_found)
			return n;
	}
	return NULL;
}

/* How much does it look like a root that cannot be read? 0: not at all. */
static int root_rank(const struct machine *m, const struct node *n)
{
	if (n->kind != KIND_PARTITION || n->disk != m->os_disk || n == m->boot_found || is_known_else(n) ||
	    is_firmware_part(n))
		return 0;
	if (n->size < MIN_ROOT || (n->blk && node_files(n, NULL)))
		return 0;
	if (*n->fmt || !n->blk)
		return 1;
	return plain_is_opaque(n->blk, NULL, NULL) == TRI_YES ? 3 : 2;
}

static const struct node *root_by_elimination(const struct machine *m)
{
	const struct node *best = NULL;
	int best_rank = 0;

	for (size_t i = 0; i < m->w->g->n; i++) {
		const struct node *n = m->w->g->nodes[i];
		int rank = root_rank(m, n);

		if (!rank || rank < best_rank || (rank == best_rank && n->size <= best->size))
			continue;
		best = n;
		best_rank = rank;
	}
	return best;
}

void boots_find_root(struct machine *m)
{
	const struct node *n = root_by_header(m);

	if (!n)
		n = root_by_arguments(m);
	if (!n)
		n = root_by_elimination(m);
	m->vm->root_raw = n;
	machine_seed(m, n);
	if (n)
		m->vm->root_lvm = str_eq(n->fmt, "LVM2_member");
}
