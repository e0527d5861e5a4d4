/* SPDX-License-Identifier: MIT */
/* Between two passes of the graph: keys and detached headers in file systems that became readable. Every file
 * system is looked at, since nobody knows yet which machine it belongs to: as a root, as a /var or /var/lib
 * of its own, as a /boot. State directories that were set aside or copied by support scripts are looked into
 * as well. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/facts.h"
#include "vm/machine.h"

enum { MAX_DIRS = 64 };

struct dirs {
	const char *in;
	char *v[MAX_DIRS];
	size_t n;
	bool oom;
};

static int collect_dir(void *arg, const char *name)
{
	struct dirs *d = arg;

	if (!str_starts(name, "azure_disk_encryption"))
		return 0;
	if (d->n == MAX_DIRS)
		return 1;
	d->v[d->n] = path_join(d->in, name);
	d->oom |= !d->v[d->n];
	d->n += d->v[d->n] != NULL;
	return d->oom;
}

static int scan_below(struct graph *g, const struct node *n, struct fs *fs, const char *in, struct err *e)
{
	struct dirs d = { .in = in };
	int added = 0, r = 0;

	(void)fs_list(fs, in, collect_dir, &d, NULL);
	for (size_t i = 0; i < d.n; i++) {
		if (r >= 0 && fs_has(fs, d.v[i], FS_DIR))
			r = state_scan_keys(g, n, fs, d.v[i], e);
		added |= r > 0;
		free(d.v[i]);
	}
	if (d.oom)
		return err_oom(e);
	return r < 0 ? r : added;
}

static int scan_fs(struct graph *g, const struct node *n, struct fs *fs, struct err *e)
{
	static const char *const places[] = { "/var/lib", "/lib", "/" };
	int added = 0, r;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		r = scan_below(g, n, fs, places[i], e);
		if (r < 0)
			return r;
		added |= r;
	}
	r = state_scan_old(g, n, fs, e);
	if (r < 0)
		return r;
	added |= r;
	if (fs_is_root(fs)) {
		r = state_scan_keys(g, n, fs, "/tmp", e);
		if (r < 0)
			return r;
		added |= r;
	}
	r = boot_scan_headers(g, n, fs, e);
	return r < 0 ? r : added | r;
}

static bool was_seen(const struct find_state *s, const struct node *n)
{
	for (size_t i = 0; i < s->nseen; i++)
		if (s->seen[i] == n)
			return true;
	return false;
}

/* 1: a BEK VOLUME, noted */
static int scan_bek(struct graph *g, struct find_state *s, struct node *n, struct err *e)
{
	struct bek_volume *b = NULL, **slot;
	int r = bek_read(g, n, &b, e);

	if (r <= 0)
		return r;
	slot = vec_push(&s->beks, &s->nbeks);
	if (!slot) {
		bek_free(b);
		return err_oom(e);
	}
	*slot = b;
	return 1;
}

/* Its journal is still to be replayed: what that adds or removes is not known yet. */
static bool is_not_replayed(struct node *n)
{
	struct fs *fs = (str_starts(n->fmt, "ext") || str_eq(n->fmt, "xfs")) && !n->replay_tried ? node_fs(n, NULL) : NULL;

	return fs && fs->stale;
}

static int scan_node(struct graph *g, struct find_state *s, struct node *n, struct err *e)
{
	struct err why = { "" };
	const struct node **slot;
	struct fs *fs;
	int r;

	if (!n->blk || n->state == NODE_NEW || was_seen(s, n) || is_not_replayed(n))
		return 0;
	slot = vec_push(&s->seen, &s->nseen);
	if (!slot)
		return err_oom(e);
	*slot = n;
	r = scan_bek(g, s, n, &why);
	if (r == -ENOMEM)
		return err_oom(e);
	if (r > 0)
		return 1;
	fs = node_fs(n, NULL);
	r = fs ? scan_fs(g, n, fs, &why) : 0;
	return r == -ENOMEM ? err_oom(e) : r > 0;
}

int vm_find_keys_and_headers(struct graph *g, struct find_state *s, struct err *e)
{
	int added = 0;

	for (size_t i = 0; i < g->n; i++) {
		int r = scan_node(g, s, g->nodes[i], e);

		if (r < 0)
			return r;
		added |= r;
	}
	return added;
}
