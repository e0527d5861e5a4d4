/* SPDX-License-Identifier: MIT */
/* Small questions about nodes and their files, for those who look for machines. A file that cannot be looked
 * at is not there for these questions: they only choose where to look closer. */
#include <string.h>

#include "base/str.h"
#include "format/luks.h"
#include "format/lvm.h"
#include "vm/machine.h"

enum { MAX_DEPTH = 20 };

/* What the bytes of n come from, by i; NULL: no more. An opened volume's second parent holds its header, not
 * its bytes; of a volume group it is the physical volumes that the LV lies on. */
const struct node *node_below(const struct node *n, size_t i)
{
	if (n->kind == KIND_LUKS && i)
		return NULL;
	if (n->kind == KIND_LV && lvm_lv_pv(n, 0))
		return lvm_lv_pv(n, i);
	return i < n->nparents ? n->parents[i] : NULL;
}

/* A volume group itself is asked for by those who claim its disks. */
static bool lies_on(const struct node *n, const struct node *on, unsigned depth)
{
	const struct node *p;

	if (n == on || (on->kind == KIND_VG && n->nparents && n->parents[0] == on))
		return true;
	for (size_t i = 0; depth <= MAX_DEPTH && (p = node_below(n, i)); i++)
		if (lies_on(p, on, depth + 1))
			return true;
	return false;
}

bool node_lies_on(const struct node *n, const struct node *on)
{
	return lies_on(n, on, 0);
}

static bool is_on_disk(const struct node *n, int disk, unsigned depth)
{
	const struct node *p;

	if (!n->nparents)
		return n->disk == disk;
	for (size_t i = 0; depth <= MAX_DEPTH && (p = node_below(n, i)); i++)
		if (is_on_disk(p, disk, depth + 1))
			return true;
	return false;
}

bool node_is_on_disk(const struct node *n, int disk)
{
	return disk >= 0 && is_on_disk(n, disk, 0);
}

int node_disk(const struct node *n)
{
	for (unsigned depth = 0; n && depth <= MAX_DEPTH; depth++) {
		if (!n->nparents)
			return n->disk;
		if (node_below(n, 1))
			return -1;
		n = node_below(n, 0);
	}
	return -1;
}

const struct node *node_luks_above(const struct node *n)
{
	for (unsigned depth = 0; n && depth <= MAX_DEPTH; depth++) {
		if (n->kind == KIND_LUKS)
			return n;
		n = node_below(n, 0);
	}
	return NULL;
}

const struct node *node_raw(const struct node *n)
{
	for (unsigned depth = 0; n && depth <= MAX_DEPTH; depth++) {
		if (n->kind == KIND_LUKS)
			return n->nparents ? n->parents[0] : n;
		if (n->kind != KIND_LV && n->kind != KIND_VG && n->kind != KIND_MD)
			return n;
		if (!node_below(n, 0))
			return n;
		n = node_below(n, 0);
	}
	return n;
}

bool node_is_bek(const struct work *w, const struct node *n)
{
	for (size_t i = 0; i < w->nbeks; i++)
		if (w->beks[i]->node == n)
			return true;
	return n->kind == KIND_BEK;
}

static int rank_header(const struct header *h)
{
	return (h->opened ? 4 : 0) + (h->vk ? 2 : 0) + (str_ends(h->path, "luks/osluksheader") ? 1 : 0);
}

const struct header *node_header(const struct graph *g, const struct node *n)
{
	const struct header *best = NULL;

	for (size_t i = 0; i < g->nheaders; i++) {
		const struct header *h = g->headers[i];

		if (h->volume != n && (h->detached || h->node != n))
			continue;
		if (!best || rank_header(h) > rank_header(best))
			best = h;
	}
	return best;
}

bool node_is_taken(const struct machine *m, const struct node *n)
{
	for (size_t i = 0; i < m->w->n; i++) {
		const struct machine *o = m->w->v[i];

		for (size_t d = 0; o->vm != m->vm && d < m->w->ndisks; d++)
			if (o->seed[d] && !m->seed[d] && node_is_on_disk(n, (int)d))
				return true;
	}
	return false;
}

struct fs *node_files(const struct node *n, struct err *e)
{
	return node_fs((struct node *)(uintptr_t)n, e);
}

bool fs_has(struct fs *fs, const char *path, enum fs_type type)
{
	struct fs_stat st;

	return fs_stat(fs, path, 0, &st, NULL) == 0 && st.type == type;
}

bool fs_has_any(struct fs *fs, const char *path)
{
	struct fs_stat st;

	return fs_stat(fs, path, FS_NOFOLLOW, &st, NULL) == 0;
}

/* Links are not followed: /etc/os-release leads to /usr, which may be a volume of its own. */
bool fs_is_root(struct fs *fs)
{
	if (!fs_has_any(fs, "/usr") && !fs_has_any(fs, "/bin"))
		return false;
	return fs_has_any(fs, "/etc/os-release") ||
	       (fs_has(fs, "/etc/fstab", FS_FILE) && fs_has(fs, "/etc/passwd", FS_FILE));
}

static int is_kernel(void *arg, const char *name)
{
	(void)arg;
	return str_starts(name, "vmlinuz");
}

bool fs_is_boot(struct fs *fs)
{
	if (fs_has(fs, "/luks/osluksheader", FS_FILE))
		return true;
	if (!fs_has(fs, "/grub", FS_DIR) && !fs_has(fs, "/grub2", FS_DIR) && !fs_has(fs, "/loader", FS_DIR))
		return false;
	return fs_list(fs, "/", is_kernel, NULL, NULL) == 1;
}
