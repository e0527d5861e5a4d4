/* SPDX-License-Identifier: MIT */
/* Which device does a detached header belong to? Neither knows of the other: any header opens any device, to
 * rubbish mostly. So each header that has its volume key is tried in memory on the devices in which nothing
 * is recognised, those of its own disk first (a copy of the same disk may be attached too), and kept where
 * the first bytes decrypt to a signature that the format's own parser then believes. With a re-encryption in
 * flight the beginning may be plaintext: then the largest device that fits is taken, and where the volume
 * cannot be opened half-way the device is named all the same. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/format.h"
#include "format/luks.h"

enum { LOOK = 0x10048 };

/* Is there a signature worth asking a parser about? Random bytes have one in a thousand million times. */
static bool has_signature(struct blk *b)
{
	cleanup_free uint8_t *p = calloc(1, LOOK);

	if (!p || blk_pread(b, p, b->size < LOOK ? b->size : LOOK, 0, NULL) < 0)
		return false;
	if (p[0x438] == 0x53 && p[0x439] == 0xef)
		return true;
	if (memcmp(p, "XFSB", 4) == 0 || memcmp(p + 0x10040, "_BHRfS_M", 8) == 0)
		return true;
	for (unsigned i = 0; i < 4; i++)
		if (memcmp(p + i * 512, "LABELONE", 8) == 0)
			return true;
	for (size_t page = 4096; page <= 65536; page *= 2)
		if (memcmp(p + page - 10, "SWAPSPACE2", 10) == 0)
			return true;
	return false;
}

static bool is_known_to(const struct format *f, struct blk *b)
{
	char name[] = "trial";
	struct node trial = {
		.name = name, .blk = b, .format = f, .size = b->size, .sector = 512, .disk = -1
	};
	bool known;

	if (f->parse(b, &trial.meta, NULL) <= 0)
		return false;
	known = !f->describe || (f->describe(&trial, NULL) >= 0 && trial.fmt[0]);
	free(trial.label);
	if (f->free_meta)
		f->free_meta(trial.meta);
	return known;
}

static bool is_recognised(struct blk *b)
{
	return has_signature(b) && (is_known_to(&format_ext, b) || is_known_to(&format_xfs, b) ||
				    is_known_to(&format_lvm, b) || is_known_to(&format_other, b));
}

static bool is_volume_of_other(const struct graph *g, const struct node *n)
{
	for (size_t i = 0; i < g->nheaders; i++)
		if (g->headers[i]->volume == n)
			return true;
	return false;
}

static bool is_device(const struct node *n)
{
	return n->blk && (n->kind == KIND_DISK || n->kind == KIND_PARTITION);
}

/* A device in which nothing is recognised and that nothing else opens. */
static bool is_candidate(const struct graph *g, const struct header *h, const struct node *n)
{
	return is_device(n) && n != h->node && !n->fmt[0] && !node_has_children(g, n) &&
	       !is_volume_of_other(g, n);
}

static int set_why(struct header *h, char *why, struct err *e)
{
	if (!why)
		return err_oom(e);
	free(h->why);
	h->why = why;
	return 0;
}

static int add_volume(struct graph *g, struct header *h, struct node *n, struct blk *payload, struct err *e)
{
	cleanup_free char *name = str_printf("%s:open", n->name);
	struct node *child = name ? graph_add(g, name, KIND_LUKS, n, payload) : NULL;
	int r = child ? 0 : err_oom(e);

	if (!r && h->node)
		r = graph_add_parent(child, h->node, e);
	if (r < 0)
		return r;
	child->opened_by = h;
	if (h->info.sector_size > child->sector)
		child->sector = h->info.sector_size;
	h->volume = n;
	h->opened = child;
	luks_mark_half(h, n);
	free(h->why);
	h->why = NULL;
	return 1;
}

static int try_node(struct graph *g, struct header *h, struct node *n, struct err *e)
{
	cleanup_blk struct blk *payload = NULL;
	int r = luks_open_volume(h, n, &payload, NULL);

	if (r == -ENOMEM)
		return err_oom(e);
	if (r < 0 || !is_recognised(payload))
		return 0;
	return add_volume(g, h, n, payload, e);
}

static bool is_same_disk(const struct header *h, const struct node *n)
{
	return h->node && h->node->disk >= 0 && h->node->disk == n->disk;
}

static int try_header(struct graph *g, struct header *h, struct err *e)
{
	size_t end = g->n;
	int r = 0;

	for (int own = 1; own >= 0; own--)
		for (size_t i = h->nodes_tried; i < end; i++) {
			struct node *n = g->nodes[i];

			if (is_same_disk(h, n) != (own == 1) || !is_candidate(g, h, n))
				continue;
			r = try_node(g, h, n, e);
			if (r)
				return r;
		}
	h->nodes_tried = end;
	return set_why(h, str_printf("a key opens it, but no attached device decrypts with it"), e);
}

/* Two files can hold the same header: what one of them opened belongs to the other as well. */
static bool share_volume(const struct graph *g, struct header *h)
{
	for (size_t i = 0; h->vk && i < g->nheaders; i++) {
		const struct header *o = g->headers[i];

		if (o == h || !o->volume || !o->vk || o->vk->len != h->vk->len ||
		    memcmp(o->vk->data, h->vk->data, h->vk->len) != 0 ||
		    o->info.payload_offset != h->info.payload_offset)
			continue;
		h->volume = o->volume;
		h->opened = o->opened;
		if (h->opened) {
			free(h->why);
			h->why = NULL;
		}
		return true;
	}
	return false;
}

/* ---- re-encryption in flight ---- */

static bool is_plain(const struct node *n)
{
	static const char *const can_be_encrypted[] = {
		"ext2", "ext3", "ext4", "xfs", "btrfs", "LVM2_member"
	};

	for (size_t i = 0; i < sizeof(can_be_encrypted) / sizeof(*can_be_encrypted); i++)
		if (str_eq(n->fmt, can_be_encrypted[i]))
			return true;
	return false;
}

static bool decrypts(const struct header *h, const struct node *n)
{
	const struct luks_segment *s = &h->info.segments[0];
	struct crypt_params p = {
		.key = h->vk, .offset = s->offset, .iv_offset = s->iv_tweak, .sector_size = s->sector_size
	};
	cleanup_blk struct blk *view = NULL;

	if (!h->vk || h->vk->len != h->info.key_size || n->fmt[0] || s->offset >= n->blk->size)
		return false;
	return blk_open_crypt(n->blk, &p, &view, NULL) == 0 && is_recognised(view);
}

/* Where it cannot be opened, its beginning is all there is to go by. */
static bool seems_in_flight(const struct header *h, const struct node *n)
{
	bool crypt = h->info.nsegments && str_eq(h->info.segments[0].type, "crypt");
	bool surely_crypt = crypt && !h->info.segments[0].in_reencryption;

	return (crypt && decrypts(h, n)) || (!surely_crypt && is_plain(n));
}

/* Does the volume open on it, half-way, to something that is known? payload is given only then. */
static bool opens_half(struct header *h, struct node *n, struct blk **ret, struct err *why)
{
	cleanup_blk struct blk *payload = NULL;
	uint8_t first[4096];

	if (!h->vk || (n->fmt[0] && !is_plain(n)) || luks_open_volume(h, n, &payload, why) < 0)
		return false;
	if (is_recognised(payload)) {
		*ret = take_ptr(&payload);
		return true;
	}
	if (payload->size >= sizeof(first))
		(void)blk_pread(payload, first, sizeof(first), 0, why);
	return false;
}

static bool may_be_in_flight(const struct graph *g, const struct header *h, const struct node *n)
{
	return is_device(n) && n != h->node && !n->half && !is_volume_of_other(g, n);
}

/* The largest device that fits: the volume is the system's root, and what else is plain on its disk is /boot.
 * payload comes with one that opens, and why says what kept one from it. */
static struct node *find_half(const struct graph *g, struct header *h, bool own, struct blk **payload,
			      struct err *why)
{
	struct node *found = NULL;

	for (size_t i = 0; i < g->n; i++) {
		struct node *n = g->nodes[i];
		struct blk *opened = NULL;

		if (!may_be_in_flight(g, h, n) || is_same_disk(h, n) != own || (found && n->size <= found->size) ||
		    !opens_half(h, n, &opened, why))
			continue;
		blk_unref(*payload);
		*payload = opened;
		found = n;
	}
	return found;
}

static struct node *find_in_flight(const struct graph *g, const struct header *h, bool own)
{
	struct node *found = NULL;

	for (size_t i = 0; i < g->n; i++) {
		struct node *n = g->nodes[i];

		if (may_be_in_flight(g, h, n) && is_same_disk(h, n) == own && seems_in_flight(h, n) &&
		    (!found || n->size > found->size))
			found = n;
	}
	return found;
}

static int say_in_flight(struct header *h, const struct err *why, struct err *e)
{
	char text[200] = "re-encryption in flight, and no attached device fits";

	if (h->volume)
		luks_say_half(&h->info, h->volume->size, text, sizeof(text));
	return set_why(h, str_printf("%s%s%.190s", text, *why->msg ? "; not read half-way: " : "", why->msg), e);
}

static int match_in_flight(struct graph *g, struct header *h, struct err *e)
{
	cleanup_blk struct blk *payload = NULL;
	struct err why = { "" };
	struct node *n;

	h->volume = NULL; /* a device that only seemed to fit, before there was a key */
	n = find_half(g, h, true, &payload, &why);
	if (!n && share_volume(g, h) && h->opened)
		return 0;
	if (!n)
		n = find_half(g, h, false, &payload, &why);
	if (n)
		return add_volume(g, h, n, payload, e);
	if (!h->volume)
		h->volume = find_in_flight(g, h, true);
	if (!h->volume)
		h->volume = find_in_flight(g, h, false);
	return h->vk ? say_in_flight(h, &why, e) : 0; /* without a key unlocking says why */
}

int headers_try_detached(struct graph *g, struct err *e)
{
	int opened = 0;

	for (size_t i = 0; i < g->nheaders; i++) {
		struct header *h = g->headers[i];
		int r = 0;

		if (!h->detached || (h->volume && (h->opened || !h->info.online)) || h->info.broken ||
		    h->info.refused.msg[0])
			continue;
		if (h->info.online)
			r = match_in_flight(g, h, e);
		else if (h->vk)
			r = try_header(g, h, e);
		if (r < 0)
			return r;
		if (!h->volume)
			(void)share_volume(g, h);
		opened |= r;
	}
	return opened;
}
