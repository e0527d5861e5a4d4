/* SPDX-License-Identifier: MIT */
/* Nodes and the worklist. A volume's key can be a file on another disk and its header a file in another partition's
 * file system, so recursion over one disk cannot find everything: each pass offers every unresolved node to its
 * format, until a pass changes nothing. What still waits at the end is part of the diagnosis. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/format.h"
#include "format/luks.h"
#include "vm/keys.h"

enum {
	MAX_NODES = 65536,      /* partitions, volumes and LVs of all disks: more is no rescue case but an attack */
	MAX_DEPTH = 16,         /* of containers in containers */
	MAX_PASSES = 64,
};

static const struct format *const formats[] = {
#define X(n) &format_##n,
	FORMATS(X)
#undef X
};

struct node *graph_find(const struct graph *g, const char *name)
{
	for (size_t i = 0; i < g->n; i++)
		if (str_eq(g->nodes[i]->name, name))
			return g->nodes[i];
	return NULL;
}

static char *unique_name(const struct graph *g, const char *name)
{
	char *s = str_printf("%s", name);

	for (unsigned i = 2; s && graph_find(g, s); i++) {
		free(s);
		s = str_printf("%s#%u", name, i);
	}
	return s;
}

static void node_free(struct node *n)
{
	fs_close(n->fs);
	if (n->format && n->format->free_meta)
		n->format->free_meta(n->meta);
	blk_unref(n->blk);
	free(n->parents);
	free(n->partname);
	free(n->label);
	free(n->name);
	free(n);
}

int graph_add_parent(struct node *n, struct node *parent, struct err *e)
{
	struct node **slot = vec_push(&n->parents, &n->nparents);

	if (!slot)
		return err_oom(e);
	*slot = parent;
	if (n->disk != parent->disk)
		n->disk = n->nparents == 1 ? parent->disk : -1;
	return 0;
}

struct node *graph_add(struct graph *g, const char *name, enum node_kind kind, struct node *parent, struct blk *blk)
{
	struct node *n, **slot;

	if (g->n >= MAX_NODES)
		return NULL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->kind = kind;
	n->disk = -1;
	n->opaque = -1;
	n->sector = parent ? parent->sector : 512;
	n->kernel = g->kernel;
	n->name = unique_name(g, name);
	if (!n->name || (parent && graph_add_parent(n, parent, NULL) < 0)) {
		node_free(n);
		return NULL;
	}
	if (blk) {
		n->blk = blk_ref(blk);
		n->size = blk->size;
	}
	slot = vec_push(&g->nodes, &g->n);
	if (!slot) {
		node_free(n);
		return NULL;
	}
	return *slot = n;
}

int graph_children(const struct graph *g, const struct node *parent, int (*fn)(void *arg, struct node *), void *arg)
{
	for (size_t i = 0; i < g->n; i++)
		for (size_t j = 0; j < g->nodes[i]->nparents; j++)
			if (g->nodes[i]->parents[j] == parent) {
				int r = fn(arg, g->nodes[i]);

				if (r)
					return r;
				break;
			}
	return 0;
}

static int is_child(void *arg, struct node *n)
{
	(void)arg;
	(void)n;
	return 1;
}

bool node_has_children(const struct graph *g, const struct node *n)
{
	return graph_children(g, n, is_child, NULL) != 0;
}

static unsigned depth_of(const struct node *n)
{
	unsigned deepest = 0;

	for (size_t i = 0; i < n->nparents; i++) {
		unsigned d = 1 + depth_of(n->parents[i]);

		if (d > deepest)
			deepest = d;
	}
	return deepest;
}

/* The kernel reads partition tables of whole disks only; a stale one inside a partition would hide what is there now. */
static bool may_be(const struct format *f, const struct node *n)
{
	bool table = f == &format_vhd || f == &format_gpt || f == &format_mbr;

	return !table || n->kind == KIND_DISK;
}

/* Which format is it? What cannot be read is damaged, and says so; an unreadable byte of one format's does not hide the others. */
static void recognise(struct node *n)
{
	struct err failed = { "" };

	n->state = NODE_OPEN;   /* nothing recognised: its bytes can be read all the same */
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct err e = { "" };
		int r = may_be(formats[i], n) ? formats[i]->parse(n->blk, &n->meta, &e) : 0;

		if (r < 0 && !*failed.msg)
			failed = e;
		if (r <= 0)
			continue;
		n->why = e;
		n->format = formats[i];
		if (n->format->describe && n->format->describe(n, &n->why) < 0)
			n->state = NODE_DAMAGED;
		return;
	}
	if (*failed.msg) {
		n->why = failed;
		n->state = NODE_DAMAGED;
	}
}

/* Offer one node; 1 when something changed. */
static int offer(struct graph *g, struct node *n, struct err *e)
{
	size_t before = g->n, headers = g->nheaders;
	int changed = 0, r;

	if (!n->blk)
		return 0;
	if (n->state == NODE_NEW) {
		if (depth_of(n) > MAX_DEPTH) {
			n->state = NODE_UNSUPPORTED;
			err_set(&n->why, -EOPNOTSUPP, "more than %d containers in one another", MAX_DEPTH);
			return 1;
		}
		recognise(n);
		changed = 1;
	}
	if (!n->format || !n->format->expand || n->state == NODE_DAMAGED || n->state == NODE_UNSUPPORTED)
		return changed;
	if (n->state == NODE_OPEN && n->passes)
		return changed;
	n->passes++;
	r = n->format->expand(g, n, &n->why);
	if (r == -ENOMEM)
		return err_oom(e);
	if (r < 0 && r != -EAGAIN && n->state == NODE_OPEN)
		n->state = NODE_DAMAGED;
	else if (r >= 0 && (n->state == NODE_LOCKED || n->state == NODE_WAITING))
		n->state = NODE_OPEN;
	return changed || g->n != before || g->nheaders != headers || n->state == NODE_NEW;
}

static int one_pass(struct graph *g, struct err *e)
{
	int changed = 0;

	for (size_t i = 0; i < g->n; i++) {
		int r = offer(g, g->nodes[i], e);

		if (r < 0)
			return r;
		changed |= r;
	}
	return changed;
}

int graph_run(struct graph *g, int (*between)(void *arg, struct graph *, struct err *e), void *arg, struct err *e)
{
	for (unsigned pass = 0; pass < MAX_PASSES; pass++) {
		int changed = one_pass(g, e), found = 0;

		if (changed < 0)
			return changed;
		if (changed)
			continue;
		if (between)
			found = between(arg, g, e);
		if (found < 0)
			return found;
		if (!found)
			return 0;
	}
	return 0;
}

/* Below an opened volume whose re-encryption is in flight? */
static bool lies_on_half(const struct node *n)
{
	for (unsigned depth = 0; n && depth <= MAX_DEPTH; depth++) {
		if (n->kind == KIND_LUKS && n->opened_by && n->opened_by->info.online)
			return true;
		n = n->nparents ? n->parents[0] : NULL;
	}
	return false;
}

/* What is read of such a volume is put together in memory: there is no place to write to. */
static int refuse_writes(struct node *n, struct err *e)
{
	static const char why[] = "a re-encryption is in flight: nothing is written to this volume before it has ended";

	if (!n->fs || !lies_on_half(n))
		return 0;
	free(n->fs->write_refused);
	n->fs->write_refused = str_ndup(why, sizeof(why));
	if (n->fs->write_refused)
		return 0;
	fs_close(n->fs);
	n->fs = NULL;
	return err_oom(e);
}

/* Where the reader leaves writing to the kernel: can it be asked here? If not, the reason to refuse says so. */
static int offer_kernel(struct node *n, struct err *e)
{
	struct fs *fs = n->fs;
	struct err why = { "" };
	char *text;

	if (!fs->kernel_may || fs->stale || !fs->write_refused || lies_on_half(n) || !blk_is_writable(n->blk))
		return 0;
	fs->by_kernel = n->kernel && n->kernel->can(n->kernel->arg, n->fmt, &why) == 0;
	if (fs->by_kernel || !n->kernel)
		return 0;
	text = str_printf("%s, and the kernel cannot do it instead: %s", fs->write_refused, why.msg);
	if (!text)
		return err_oom(e);
	free(fs->write_refused);
	fs->write_refused = text;
	return 0;
}

/* By its own reader; a file system that has none, by the kernel. */
static int open_fs(struct node *n, struct err *e)
{
	int r;

	if (!n->blk)
		return err_set(e, -ENOKEY, "%s: not open", n->name);
	if (str_eq(n->fmt, "btrfs") && n->kernel && n->state == NODE_OPEN) {
		r = n->kernel->open(n->kernel->arg, n, false, &n->fs, e);
		if (r < 0)
			return err_wrap(e, r, "%s: only the kernel reads btrfs", n->name);
	} else if (!n->format || !n->format->open_fs) {
		return err_set(e, -EOPNOTSUPP, "%s: no file system that can be read here%s%s", n->name, *n->fmt ? ": " : "", n->fmt);
	} else {
		r = n->format->open_fs(n, &n->fs, e);
		if (r < 0)
			return r;
	}
	r = refuse_writes(n, e);
	return r < 0 ? r : offer_kernel(n, e);
}

struct fs *node_fs(struct node *n, struct err *e)
{
	if (n->half) {
		err_set(&n->fs_why, 0, "%s: half-way encrypted: read %s:open instead", n->name, n->name);
		err_set(e, -EOPNOTSUPP, "%s", n->fs_why.msg);
		return NULL;
	}
	if (n->fs)
		return n->fs;
	if (!n->fs_tried) {
		n->fs_tried = true;
		if (open_fs(n, &n->fs_why) < 0) {
			fs_close(n->fs);
			n->fs = NULL;
		}
	}
	if (!n->fs)
		err_set(e, -EOPNOTSUPP, "%s", n->fs_why.msg);
	return n->fs;
}

int node_fs_writable(struct node *n, struct fs **ret, struct err *e)
{
	struct fs *fs = node_fs(n, e);
	int r;

	if (!fs)
		return -EOPNOTSUPP;
	if (fs->by_kernel) {
		fs_close(fs);
		n->fs = NULL;
		r = n->kernel->open(n->kernel->arg, n, true, &n->fs, &n->fs_why);
		if (r < 0)
			return err_set(e, r, "%s: %s", n->name, n->fs_why.msg);
		fs = n->fs;
	}
	*ret = fs;
	return 0;
}

void node_forget(struct node *n)
{
	fs_close(n->fs);
	n->fs = NULL;
	n->fs_tried = false;
	if (n->format && n->format->free_meta)
		n->format->free_meta(n->meta);
	n->meta = NULL;
	n->format = NULL;
	n->state = NODE_NEW;
	n->why = n->fs_why = (struct err){ "" };
	recognise(n);
}

const char *node_kind_name(enum node_kind k)
{
	static const char *const names[] = {
		[KIND_DISK] = "disk", [KIND_PARTITION] = "partition", [KIND_LUKS] = "luks", [KIND_VG] = "vg",
		[KIND_LV] = "lv", [KIND_MD] = "md", [KIND_BEK] = "bek", [KIND_UNKNOWN] = "unknown",
	};
	return names[k];
}

const char *node_state_name(enum node_state s)
{
	static const char *const names[] = {
		[NODE_NEW] = "unsupported", [NODE_OPEN] = "open", [NODE_LOCKED] = "locked", [NODE_WAITING] = "waiting",
		[NODE_DAMAGED] = "damaged", [NODE_UNSUPPORTED] = "unsupported",
	};
	return names[s];
}

void graph_done(struct graph *g)
{
	/* children first: they lie on their parents */
	for (size_t i = g->n; i-- > 0;)
		node_free(g->nodes[i]);
	for (size_t i = 0; i < g->nheaders; i++)
		header_free(g->headers[i]);
	for (size_t i = 0; i < g->nkeys; i++)
		key_free(g->keys[i]);
	free(g->nodes);
	free(g->headers);
	free(g->keys);
	memset(g, 0, sizeof(*g));
}
