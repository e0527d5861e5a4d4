/* SPDX-License-Identifier: MIT */
/* LUKS volumes as nodes of the graph. A header at byte 0 makes a node wait until a key that was found
 * elsewhere has opened it; then its payload becomes a node of its own. A secondary header alone, with the
 * primary wiped, is taken only where nothing else is on the device: old secondary headers survive under a
 * swap area, a PV or a file system that was made over them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"
#include "base/vec.h"
#include "format/ext.h"
#include "format/format.h"
#include "format/luks.h"

enum {
	LOOK = 0x10048, /* from the start: as far as the furthest signature */
	BROKEN_HEADER = 16 << 20, /* worth keeping where nobody knows how long the header is */
};

void header_free(struct header *h)
{
	if (!h)
		return;
	blk_unref(h->blk);
	secret_free(h->vk);
	free(h->tried);
	free(h->path);
	free(h->why);
	free(h);
}

struct header *graph_add_header(struct graph *g, struct node *node, const char *path, struct blk *blk,
				const struct luks_info *info, bool detached)
{
	struct header *h = calloc(1, sizeof(*h)), **slot;

	if (!h)
		return NULL;
	h->node = node;
	h->info = *info;
	h->detached = detached;
	h->slot = -1;
	h->path = path ? str_ndup(path, strlen(path)) : NULL;
	slot = path && !h->path ? NULL : vec_push(&g->headers, &g->nheaders);
	if (!slot) {
		header_free(h);
		return NULL;
	}
	h->blk = blk_ref(blk);
	return *slot = h;
}

int luks_open_volume(struct header *h, struct node *dev, struct blk **ret, struct err *e)
{
	cleanup_blk struct blk *half = NULL;
	int r;

	if (!h->info.online)
		return luks_open_payload(&h->info, dev->blk, h->vk, ret, e);
	r = luks_open_half(&h->info, h->blk, dev->blk, h->vk, &half, e);
	/* what crashed half-way needs its journal more than anything: it is replayed above, in memory */
	return r < 0 ? r : blk_open_overlay(half, ret, e);
}

void luks_mark_half(const struct header *h, struct node *dev)
{
	char why[200];

	if (!h->info.online)
		return;
	luks_say_half(&h->info, dev->size, why, sizeof(why));
	fs_close(dev->fs);
	dev->fs = NULL;
	dev->half = true;
	dev->opaque = 0;
	dev->state = NODE_OPEN;
	err_set(&dev->why, 0, "%s%s%s", why, h->info.damage.msg[0] ? "; " : "", h->info.damage.msg);
}

static bool has_swap(const uint8_t *p, size_t n)
{
	for (size_t page = 4096; page <= 65536 && page <= n; page *= 2)
		if (memcmp(p + page - 10, "SWAPSPACE2", 10) == 0 ||
		    memcmp(p + page - 10, "SWAP-SPACE", 10) == 0)
			return true;
	return false;
}

static bool has_label(const uint8_t *p)
{
	for (unsigned sector = 0; sector < 4; sector++)
		if (memcmp(p + sector * 512, "LABELONE", 8) == 0)
			return true;
	return false;
}

/* Does something live on this device that was made over an old LUKS volume? */
static bool is_taken(struct blk *b)
{
	static const uint8_t md[4] = { 0xfc, 0x4e, 0x2b, 0xa9 };
	cleanup_free uint8_t *p = calloc(1, LOOK);
	struct ext_info ext;

	if (!p || blk_pread(b, p, b->size < LOOK ? b->size : LOOK, 0, NULL) < 0)
		return false;
	if (has_swap(p, LOOK) || has_label(p) || memcmp(p, "XFSB", 4) == 0 ||
	    memcmp(p + 0x10040, "_BHRfS_M", 8) == 0)
		return true;
	/* FAT, NTFS and partition tables end their first sector like this; MD members 1.1 and 1.2 */
	if ((p[510] == 0x55 && p[511] == 0xaa) || memcmp(p, md, 4) == 0 || memcmp(p + 4096, md, 4) == 0)
		return true;
	return ext_read_super(b, EXT_SUPER_OFF, &ext, NULL) == 0;
}

static int luks_parse(struct blk *b, void **ret_meta, struct err *e)
{
	cleanup_free struct luks_info *info = calloc(1, sizeof(*info));
	uint8_t magic[4];
	int r;

	if (!info)
		return err_oom(e);
	r = luks_read(b, info, e);
	if (r <= 0)
		return r;
	if (info->copy_used == 1 && blk_pread(b, magic, sizeof(magic), 0, NULL) == 0 &&
	    memcmp(magic, "LUKS", 4) != 0 && is_taken(b))
		return 0;
	*ret_meta = take_ptr(&info);
	return 1;
}

static int luks_describe(struct node *n, struct err *e)
{
	const struct luks_info *info = n->meta;

	snprintf(n->fmt, sizeof(n->fmt), "crypto_LUKS");
	snprintf(n->uuid, sizeof(n->uuid), "%s", info->uuid);
	if (info->label[0]) {
		free(n->label);
		n->label = str_ndup(info->label, sizeof(info->label));
		if (!n->label)
			return err_oom(e);
	}
	n->state = NODE_LOCKED;
	if (info->damage.msg[0])
		err_set(&n->why, 0, "%s", info->damage.msg);
	return 0;
}

static struct header *find_attached(const struct graph *g, const struct node *n)
{
	for (size_t i = 0; i < g->nheaders; i++)
		if (g->headers[i]->node == n && !g->headers[i]->detached)
			return g->headers[i];
	return NULL;
}

/* The header's bytes are a window of the volume's: what the header needs and no more. */
static struct header *add_attached(struct graph *g, struct node *n, struct err *e)
{
	const struct luks_info *info = n->meta;
	uint64_t wanted = info->broken ? BROKEN_HEADER : info->total_size;
	uint64_t len = wanted < n->blk->size ? wanted : n->blk->size;
	cleanup_blk struct blk *window = NULL;

	if (blk_open_window(n->blk, 0, len, &window, e) < 0)
		return NULL;
	return graph_add_header(g, n, NULL, window, info, false);
}

static int set_why(struct header *h, const char *text, struct err *e)
{
	char *why = str_ndup(text, strlen(text));

	if (!why)
		return err_oom(e);
	free(h->why);
	h->why = why;
	return 0;
}

static int give_up(struct header *h, struct node *n, int code, enum node_state state, const char *text,
		   struct err *e)
{
	struct err why = { "" }; /* text may be what e holds */

	err_set(&why, 0, "%s", text);
	n->state = state;
	if (set_why(h, why.msg, e) < 0)
		return -ENOMEM;
	return err_set(e, code, "%s", why.msg);
}

static int open_volume(struct graph *g, struct node *n, struct header *h, struct err *e)
{
	cleanup_blk struct blk *payload = NULL;
	cleanup_free char *name = NULL;
	struct node *child;
	struct err why = { "" };
	int r;

	h->volume = n;
	r = luks_open_volume(h, n, &payload, &why);
	if (r == -ENOMEM)
		return err_oom(e);
	if (r < 0)
		return give_up(h, n, r, r == -EOPNOTSUPP ? NODE_UNSUPPORTED : NODE_DAMAGED, why.msg, e);
	name = str_printf("%s:open", n->name);
	child = name ? graph_add(g, name, KIND_LUKS, n, payload) : NULL;
	if (!child)
		return err_oom(e);
	child->opened_by = h;
	if (h->info.sector_size > child->sector)
		child->sector = h->info.sector_size;
	h->opened = child;
	free(h->why);
	h->why = NULL;
	n->state = NODE_OPEN;
	n->why = h->info.damage;
	luks_mark_half(h, n);
	return 0;
}

static int luks_expand(struct graph *g, struct node *n, struct err *e)
{
	struct header *h = find_attached(g, n);

	if (!h)
		h = add_attached(g, n, e);
	if (!h)
		return err_oom(e);
	if (h->opened)
		return 0;
	if (h->info.broken)
		return give_up(h, n, -EBADMSG, NODE_DAMAGED, h->info.refused.msg, e);
	if (h->info.refused.msg[0])
		return give_up(h, n, -EOPNOTSUPP, NODE_UNSUPPORTED, h->info.refused.msg, e);
	if (h->vk)
		return open_volume(g, n, h, e);
	n->state = NODE_LOCKED;
	return err_set(e, -EAGAIN, "%s%s%s", h->why ? h->why : "locked: no key was tried yet",
		       h->info.damage.msg[0] ? "; " : "", h->info.damage.msg);
}

const struct format format_luks = {
	.name = "luks",
	.parse = luks_parse,
	.describe = luks_describe,
	.expand = luks_expand,
	.free_meta = free,
};
