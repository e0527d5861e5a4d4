/* SPDX-License-Identifier: MIT */
/* The volumes of a machine and what each is for: devices that are no container of partitions, on its own
 * disks and on those that belong to none. A PV is a volume (its plaintext or ciphertext is what counts), and
 * so is an LV, unless it lies in an opened LUKS volume: that one's raw device stands for all in it. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/luks.h"
#include "vm/facts.h"
#include "vm/machine.h"

enum { MAX_SMALL = 16 << 20, MAX_TYPED = 256 << 20, MAX_DEPTH = 20 };

static bool has_partitions(const struct work *w, const struct node *n)
{
	for (size_t i = 0; i < w->g->n; i++) {
		const struct node *c = w->g->nodes[i];

		if ((c->kind == KIND_PARTITION || c->kind == KIND_BEK) && c->nparents && c->parents[0] == n)
			return true;
	}
	return false;
}

/* Does all that n lies on lie in opened LUKS volumes? Of a group on several devices, some may be plain. */
static bool is_in_luks(const struct node *n, unsigned depth)
{
	const struct node *p;

	if (n->kind == KIND_LUKS)
		return true;
	for (size_t i = 0; (p = node_below(n, i)); i++)
		if (depth > MAX_DEPTH || !is_in_luks(p, depth + 1))
			return false;
	return n->nparents > 0;
}

static bool is_volume(const struct work *w, const struct node *n)
{
	if (n->kind == KIND_VG || n->kind == KIND_LUKS || has_partitions(w, n))
		return false;
	if (n->kind == KIND_LV || n->kind == KIND_MD)
		return !is_in_luks(n, 0) || str_eq(n->fmt, "crypto_LUKS");
	return true;
}

static bool is_mine(const struct machine *m, const struct node *n)
{
	for (size_t d = 0; d < m->w->ndisks; d++)
		if (m->disk[d] && node_is_on_disk(n, (int)d))
			return true;
	return false;
}

static bool is_free(const struct machine *m, const struct node *n)
{
	for (size_t d = 0; d < m->w->ndisks; d++)
		if (node_is_on_disk(n, (int)d) && !disk_is_free(m->w, (int)d))
			return false;
	return true;
}

/* ---- what it is for ---- */

static bool has_type(const struct node *n, const char *const *types)
{
	for (; *types; types++)
		if (str_eq_nocase(n->parttype, *types))
			return true;
	return false;
}

/* BIOS boot, PReP, Microsoft reserved: what lies there is code, as random as ciphertext, or nothing. */
static bool is_small(const struct node *n)
{
	static const char *const types[] = { "21686148-6449-6e6f-744e-656564454649",
					     "9e1a2d38-c612-4316-aa26-8b49521e5a8b",
					     "e3c9e316-0b5c-4db8-817d-f92df00215ae", NULL };

	if (n->kind == KIND_PARTITION && has_type(n, types) && n->size <= MAX_TYPED)
		return true;
	/* a disk of that size is asked all the same: the contract leaves out partitions only */
	return n->kind != KIND_DISK && n->size < MAX_SMALL;
}

static bool is_esp(const struct node *n)
{
	static const char *const types[] = { "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef", NULL };

	return has_type(n, types);
}

/* Does a crypttab line with a random key mean this device? A kernel name of another disk may be what the OS
 * disk was called at that boot: then it means the OS disk's partition of that number, where nothing says that
 * it is something else. */
static bool is_random_swap(const struct machine *m, const struct node *n)
{
	for (size_t i = 0; i < m->crypttab.n; i++) {
		const struct tab_row *row = &m->crypttab.v[i];
		const struct node *named = NULL;
		struct dev d;
		char why[200];

		if (!crypttab_is_swap(row) || n == m->vm->root_raw)
			continue;
		if (dev_find(m, tab_f(row, 1), &named, why) == FOUND_ONE && named == n)
			return true;
		dev_parse(m, tab_f(row, 1), &d);
		if (d.kind == DEV_KERNEL && d.partno && n->kind == KIND_PARTITION && n->disk == m->os_disk &&
		    n->partno == d.partno && !*n->fmt && !node_header(m->w->g, n))
			return true;
	}
	return false;
}

static bool is_temp(const struct machine *m, const struct volume *v)
{
	struct fs *fs;

	if (node_disk(v->node) == m->os_disk)
		return false;
	if (str_eq_nocase(v->inner->label, "Temporary Storage"))
		return true;
	fs = v->inner->blk && *v->inner->fmt ? node_files(v->inner, NULL) : NULL;
	return fs && fs_has(fs, "/DATALOSS_WARNING_README.txt", FS_FILE);
}

static bool is_at_or_above(const char *at, const char *path)
{
	size_t n = strlen(at);

	return !strncmp(at, path, n) && (!path[n] || path[n] == '/');
}

static enum vol_role role_of_place(const struct machine *m, const struct volume *v, const char *at)
{
	if (str_eq(at, "/"))
		return VOL_ROOT;
	if (str_eq(at, "/boot"))
		return VOL_BOOT;
	if (str_eq(at, "/boot/efi") || str_eq(at, "/efi"))
		return VOL_ESP;
	if (is_at_or_above(at, STATE_DIR))
		return VOL_VAR;
	if (str_eq(at, "/usr"))
		return VOL_USR;
	return node_is_on_disk(v->node, m->os_disk) ? VOL_OS : VOL_DATA;
}

/* The most important place in the tree whose file system lies on it: the roles are in that order. */
static bool role_by_mounts(struct machine *m, struct volume *v, enum vol_role *ret, const char **ret_at)
{
	bool found = false;

	for (size_t i = 0; i < m->vm->tree.n; i++) {
		const struct mount *mount = &m->vm->tree.v[i];
		enum vol_role role;

		if (!mount->node || !node_lies_on(mount->node, v->node))
			continue;
		role = role_of_place(m, v, mount->at);
		if (!found || role < *ret) {
			*ret = role;
			*ret_at = mount->at;
		}
		found = true;
	}
	return found;
}

static enum vol_role role_of(struct machine *m, struct volume *v, const char **ret_at)
{
	const struct node *n = v->node;
	enum vol_role role = VOL_DATA;

	*ret_at = NULL;
	if (node_is_bek(m->w, n))
		return VOL_BEK;
	if (role_by_mounts(m, v, &role, ret_at))
		return n == m->vm->root_raw ? VOL_ROOT : role;
	if (n == m->vm->root_raw)
		return VOL_ROOT;
	if (is_esp(n) && *n->fmt)
		return VOL_ESP;
	if (is_small(n))
		return VOL_SMALL;
	if (str_eq(n->fmt, "swap") || is_random_swap(m, n))
		return VOL_SWAP;
	if (is_temp(m, v))
		return VOL_TEMP;
	return *n->fmt && !str_eq(n->fmt, "crypto_LUKS") && node_is_on_disk(n, m->os_disk) ? VOL_OS
											   : VOL_DATA;
}

static int add_volume(struct machine *m, const struct node *n, struct err *e)
{
	struct volume *v = vec_push(&m->vm->volumes, &m->vm->nvolumes);
	const struct header *h = node_header(m->w->g, n);
	const char *at;

	if (!v)
		return err_oom(e);
	v->node = n;
	v->header = h;
	v->inner = h && h->opened ? h->opened : n;
	v->state = VS_UNKNOWN;
	v->plain = v->opaque = TRI_UNKNOWN;
	v->role = role_of(m, v, &at);
	if (!at)
		return 0;
	v->mount_at = str_printf("%s", at);
	return v->mount_at ? 0 : err_oom(e);
}

/* After the last one was added: they move in memory before. */
static int note_volumes(struct machine *m, struct err *e)
{
	struct vm *vm = m->vm;

	vm->mine = calloc(vm->nvolumes + 1, sizeof(*vm->mine));
	if (!vm->mine)
		return err_oom(e);
	for (size_t i = 0; i < vm->nvolumes; i++) {
		struct volume *v = &vm->volumes[i];

		vm->mine[i] = is_mine(m, v->node);
		if (v->node == vm->root_raw)
			vm->root_volume = v;
		if (vm->boot && v->inner == vm->boot)
			vm->boot_volume = v;
	}
	if (vm->root_volume && !vm->root_volume->header && vm->bootf.header && !vm->bootf.header->volume)
		vm->root_volume->header = vm->bootf.header;
	return 0;
}

int volumes_read(struct machine *m, struct err *e)
{
	for (size_t i = 0; i < m->w->g->n; i++) {
		const struct node *n = m->w->g->nodes[i];

		if (!is_volume(m->w, n) || !(is_mine(m, n) || is_free(m, n)))
			continue;
		if (add_volume(m, n, e) < 0)
			return -ENOMEM;
	}
	return note_volumes(m, e);
}
