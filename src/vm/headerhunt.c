/* SPDX-License-Identifier: MIT */
/* Looking for the header of an OS volume where luks/osluksheader is gone: Ubuntu's and RHEL 7's initramfs
 * images hold a copy (perhaps of before a rotation of the key), and a deleted file's blocks can still be
 * there. Only where something on the same disk is ciphertext by its bytes. A wrong one does no harm: a header
 * is kept only where it decrypts to something. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/luks.h"
#include "vm/bootpieces.h"
#include "vm/facts.h"
#include "vm/plain.h"

enum { MAX_ENTRIES = 10000, MAX_IMAGES = 8, MAX_FOUND = 8, SMALL = 16 << 20, CHUNK = 1 << 20, STEP = 512 };
#define MAX_RAW (2ULL << 30) /* of a device that is looked through */

/* Something on this disk that a detached header could belong to. */
static bool needs_header(const struct graph *g, const struct node *boot)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = g->nodes[i];

		if (n == boot || n->disk != boot->disk || !n->blk || *n->fmt || n->size < SMALL ||
		    node_has_children(g, n) || n->kind == KIND_LUKS)
			continue;
		if (n->opaque > 0 || (n->opaque < 0 && plain_is_opaque(n->blk, NULL, NULL) == TRI_YES))
			return true;
	}
	return false;
}

static bool have_osheader(const struct graph *g, const struct node *node)
{
	for (size_t i = 0; i < g->nheaders; i++) {
		const struct header *h = g->headers[i];

		if (h->node != node || !str_ends(h->path, "luks/osluksheader") || strchr(h->path, '!') ||
		    h->info.broken)
			continue;
		for (unsigned k = 0; k < h->info.nslots; k++)
			if (h->info.slots[k].active)
				return true;
	}
	return false;
}

static bool is_known(const struct graph *g, const struct node *node, const char *path)
{
	for (size_t i = 0; i < g->nheaders; i++)
		if (g->headers[i]->node == node && str_eq(g->headers[i]->path, path))
			return true;
	return false;
}

/* The same header from another image? By all that tells states of a header apart. */
static bool is_same(const struct header *h, struct blk *blk, const struct luks_info *info)
{
	cleanup_free uint8_t *a = NULL, *b = NULL;
	size_t n = info->hdr_size < (4 << 20) ? (size_t)info->hdr_size : 4 << 20;

	if (!str_eq(h->info.uuid, info->uuid) || h->info.seqid != info->seqid ||
	    h->info.hdr_size != info->hdr_size)
		return false;
	a = malloc(n + 1);
	b = malloc(n + 1);
	return a && b && blk_pread(h->blk, a, n, 0, NULL) == 0 && blk_pread(blk, b, n, 0, NULL) == 0 &&
	       !memcmp(a, b, n);
}

static struct node *graph_node(const struct graph *g, const struct node *node)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->nodes[i] == node)
			return g->nodes[i];
	return NULL;
}

/* A header whose bytes are blk becomes one of the graph. 1, 0: none that can be read, or the same as another.
 */
static int add(struct graph *g, const struct node *node, const char *path, struct blk *blk, struct err *e)
{
	cleanup_free struct luks_info *info = calloc(1, sizeof(*info));
	int r = info ? luks_read(blk, info, NULL) : -ENOMEM;

	if (r == -ENOMEM)
		return err_oom(e);
	if (r <= 0 || info->broken || is_known(g, node, path))
		return 0;
	for (size_t i = 0; i < g->nheaders; i++)
		if (g->headers[i]->node == node && g->headers[i]->detached &&
		    is_same(g->headers[i], blk, info))
			return 0;
	return graph_add_header(g, graph_node(g, node), path, blk, info, true) ? 1 : err_oom(e);
}

/* ---- initramfs images ---- */

static int hunt_image(struct graph *g, const struct node *node, struct fs *fs, const char *base,
		      const char *name, struct err *e)
{
	cleanup(initramfs_done) struct initramfs in = {0};
	cleanup_free char *path = path_join(base, name);
	cleanup_free char *real = NULL;
	cleanup_free char *shown = NULL;
	cleanup_blk struct blk *blk = NULL;
	int err = path ? fs_resolve(fs, path, 0, &real, NULL) : -ENOMEM;

	if (!err)
		err = initramfs_read(fs, real, true, &in, e);
	if (err || !in.header)
		return err == -ENOMEM ? err_oom(e) : 0;
	shown = str_printf("%s!%s", path, in.header_path);
	if (!shown)
		return err_oom(e);
	err = blk_open_mem(in.header, in.header_len, &blk, e);
	return err < 0 ? err_oom(e) : add(g, node, shown, blk, e);
}

/* *is_boot: base is where a kernel or an initramfs lies. */
static int hunt_images(struct graph *g, const struct node *node, struct fs *fs, const char *base,
		       bool *is_boot, struct err *e)
{
	cleanup_names struct names names = {0};
	unsigned images = 0;
	int added = 0, r = names_list(fs, base, MAX_ENTRIES, &names, NULL);

	if (r < 0)
		return r == -ENOMEM ? err_oom(e) : 0;
	qsort(names.v, names.n, sizeof(*names.v), boot_newer);
	for (size_t i = 0; i < names.n && images < MAX_IMAGES; i++) {
		struct fs_stat st;
		cleanup_free char *path = path_join(base, names.v[i]);

		if (!path)
			return err_oom(e);
		if ((!str_starts(names.v[i], "initr") && !str_starts(names.v[i], "vmlinuz")) ||
		    fs_stat(fs, path, FS_NOFOLLOW, &st, NULL) < 0 || st.type != FS_FILE)
			continue;
		*is_boot = true;
		if (*names.v[i] == 'v')
			continue;
		images++;
		r = hunt_image(g, node, fs, base, names.v[i], e);
		if (r < 0)
			return r;
		added |= r;
	}
	return added;
}

/* ---- raw bytes ---- */

static int hunt_at(struct graph *g, const struct node *node, uint64_t off, struct err *e)
{
	cleanup_free char *path = str_printf("byte %ju", (uintmax_t)off);
	cleanup_blk struct blk *blk = NULL;
	uint64_t left = node->blk->size - off;
	int err;

	if (!path)
		return err_oom(e);
	err = blk_open_window(node->blk, off, left < HEADER_MAX ? left : HEADER_MAX, &blk, NULL);
	if (err < 0)
		return err == -ENOMEM ? err_oom(e) : 0;
	return add(g, node, path, blk, e);
}

/* Headers by their magic on a sector boundary. What cannot be read is passed over. */
static int hunt_raw(struct graph *g, const struct node *node, struct err *e)
{
	cleanup_free uint8_t *buf = malloc(CHUNK);
	uint64_t end = node->blk->size < MAX_RAW ? node->blk->size : MAX_RAW;
	unsigned found = 0;
	int added = 0;

	if (!buf)
		return err_oom(e);
	for (uint64_t off = STEP; off < end && found < MAX_FOUND; off += CHUNK) {
		size_t n = end - off < CHUNK ? (size_t)(end - off) : CHUNK;

		if (blk_pread(node->blk, buf, n, off, NULL) < 0)
			continue;
		for (size_t i = 0; i + STEP <= n && found < MAX_FOUND; i += STEP) {
			int r;

			if (memcmp(buf + i, "LUKS\xba\xbe\0", 7) || (buf[i + 7] != 1 && buf[i + 7] != 2))
				continue;
			r = hunt_at(g, node, off + i, e);
			if (r < 0)
				return r;
			found += (unsigned)r;
			added |= r;
		}
	}
	return added;
}

int headers_hunt(struct graph *g, const struct node *node, struct fs *fs, const char *base, struct err *e)
{
	bool is_boot = false;
	int added, r;

	if (!node->blk || have_osheader(g, node) || !needs_header(g, node))
		return 0;
	added = hunt_images(g, node, fs, base, &is_boot, e);
	if (added < 0 || !is_boot)
		return added;
	r = hunt_raw(g, node, e);
	return r < 0 ? r : added | r;
}
