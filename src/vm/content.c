/* SPDX-License-Identifier: MIT */
/* What a file holds, whatever its name says: LUKS magics (LUKS1, LUKS2's first and second copy, the magic of
 * an interrupted offline re-encryption), or nothing but zeroes. cryptsetup's LUKS2 on-disk format 1.1.2 names
 * the offsets of the second copy; a magic elsewhere on a sector boundary (a header in an archive) is seen
 * too, but not parsed. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"
#include "fs/fsfile.h"
#include "vm/facts.h"

enum { CHUNK = 1 << 20, STEP = 512 };

/* 1 a LUKS magic that can begin a header, 2 the second copy's, 0 none */
static int magic_at(const uint8_t *p, size_t n)
{
	if (n < 6)
		return 0;
	if (!memcmp(p, "LUKS\xba\xbe", 6) || !memcmp(p, "LUKS\xde\xad", 6))
		return 1;
	return memcmp(p, "SKUL\xba\xbe", 6) ? 0 : 2;
}

static bool is_second_place(uint64_t off)
{
	return off >= 0x4000 && off <= 0x400000 && !(off & (off - 1));
}

static void look_at_chunk(struct content *c, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += STEP) {
		uint64_t off = c->looked_at + i;
		int magic = magic_at(p + i, n - i);

		if (magic && (off == 0 ? magic == 1 : magic == 2 && is_second_place(off)))
			c->header_place = true;
		else if (magic)
			c->inside = true;
	}
	if (c->zero)
		c->zero = bytes_all_zero(p, n);
}

int content_look(struct fs *fs, const char *path, uint64_t size, uint64_t max, struct content *ret,
		 struct err *e)
{
	cleanup_free uint8_t *buf = malloc(CHUNK);
	uint64_t end = size < max ? size : max;

	*ret = (struct content){.zero = true};
	if (!buf)
		return err_oom(e);
	while (ret->looked_at < end) {
		size_t want = end - ret->looked_at < CHUNK ? (size_t)(end - ret->looked_at) : CHUNK, n = 0;
		int err = fs_read(fs, path, buf, want, ret->looked_at, &n, e);

		if (err < 0)
			return err;
		if (n == 0 || n > want)
			return err_set(e, -EIO, "ended at byte %ju", (uintmax_t)ret->looked_at);
		look_at_chunk(ret, buf, n);
		ret->looked_at += n;
	}
	ret->whole = end == size;
	ret->zero = ret->zero && ret->whole && size > 0;
	return 0;
}

/* The graph's own, writable view of a node. */
static struct node *graph_node(const struct graph *g, const struct node *node)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->nodes[i] == node)
			return g->nodes[i];
	return NULL;
}

static struct header *header_known(const struct graph *g, const struct node *node, const char *path)
{
	for (size_t i = 0; i < g->nheaders; i++)
		if (g->headers[i]->node == node && str_eq(g->headers[i]->path, path))
			return g->headers[i];
	return NULL;
}

/* A new header of the graph; broken ones are not registered, there is nothing to try on them. */
static int header_new(struct graph *g, struct node *node, const char *path, struct header **ret,
		      struct err *e)
{
	cleanup_free struct luks_info *info = calloc(1, sizeof(*info));
	cleanup_blk struct blk *blk = NULL;
	int r;

	if (!node)
		return err_set(e, -EBADMSG, "a LUKS magic, on a device that is not known");
	if (!info)
		return err_oom(e);
	r = blk_open_fsfile(node, path, HEADER_MAX, &blk, e);
	if (!r)
		r = luks_read(blk, info, e);
	if (r < 0)
		return r;
	if (r == 0 || info->broken)
		return err_set(e, -EBADMSG, "a LUKS magic, but no header that can be read%s%s",
			       r && *info->damage.msg ? ": " : "", r ? info->damage.msg : "");
	*ret = graph_add_header(g, node, path, blk, info, true);
	return *ret ? 1 : err_oom(e);
}

int content_header(struct graph *g, const struct node *node, const char *path, bool in_state_dir,
		   const struct header **ret, struct err *e)
{
	struct header *h = header_known(g, node, path);
	int r = h ? 0 : header_new(g, graph_node(g, node), path, &h, e);

	if (r < 0)
		return r;
	h->in_state_dir |= in_state_dir;
	*ret = h;
	return r;
}
