/* SPDX-License-Identifier: MIT */
/* What the targets share: a disk as a list of sectors, so that an input of a few KiB can be a disk of any size, and the walk over what
 * a format makes of it. An input is the disk's size in sectors (32 bit, little-endian) and then, as often as there is room, a sector's
 * number (32 bit) and its 512 bytes; all else reads as zeroes. tests/fuzz/seeds writes this form. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"
#include "format/format.h"
#include "replay.h"

enum { FUZZ_SECTOR = 512, FUZZ_RECORD = 4 + FUZZ_SECTOR, FUZZ_ENTRIES = 100, FUZZ_DEPTH = 8 };

/* What must hold whatever the input is. */
#define MUST(x)                 \
	do {                    \
		if (!(x))       \
			abort();\
	} while (0)

struct sparse {
	struct blk blk;         /* first */
	uint8_t *data;
	size_t n;               /* records */
};

/* The target is what is to be measured, not its disk. */
#ifdef __clang__
#define FAST __attribute__((no_sanitize("coverage", "undefined")))
#else
#define FAST
#endif

static inline FAST uint64_t sparse_sector(const struct sparse *s, size_t i)
{
	le32 v;

	memcpy(&v, s->data + 4 + i * FUZZ_RECORD, 4);
	return le32_get(v);
}

static inline FAST uint8_t *sparse_bytes(const struct sparse *s, size_t i)
{
	return s->data + 8 + i * FUZZ_RECORD;
}

/* The bytes of one sector, to be changed; NULL: it is not in the input. */
static inline uint8_t *sparse_at(struct blk *blk, uint64_t sector)
{
	const struct sparse *s = (struct sparse *)blk;

	for (size_t i = s->n; i-- > 0;)
		if (sparse_sector(s, i) == sector)
			return sparse_bytes(s, i);
	return NULL;
}

static inline FAST int sparse_pread(struct blk *blk, void *buf, size_t len, uint64_t off, struct err *e)
{
	const struct sparse *s = (struct sparse *)blk;

	(void)e;
	MUST(range_in(off, len, blk->size));
	memset(buf, 0, len);
	for (size_t i = 0; i < s->n; i++) {
		uint64_t at = sparse_sector(s, i) * FUZZ_SECTOR, to = at + FUZZ_SECTOR, from = at > off ? at : off;

		if (to > off + len)
			to = off + len;
		if (from < to)
			memcpy((uint8_t *)buf + (from - off), sparse_bytes(s, i) + (from - at), to - from);
	}
	return 0;
}

static inline void sparse_close(struct blk *blk)
{
	free(((struct sparse *)blk)->data);
	free(blk);
}

/* NULL: too short for a disk. */
static inline struct blk *sparse_open(const uint8_t *data, size_t size)
{
	static const struct blk_ops ops = { .kind = "sparse", .pread = sparse_pread, .close = sparse_close };
	struct sparse *s;
	le32 sectors;

	if (size < 4)
		return NULL;
	memcpy(&sectors, data, 4);
	s = calloc(1, sizeof(*s));
	MUST(s && (s->data = malloc(size)));
	memcpy(s->data, data, size);
	s->n = (size - 4) / FUZZ_RECORD;
	s->blk = (struct blk){ .ops = &ops, .size = (uint64_t)le32_get(sectors) * FUZZ_SECTOR, .align = 1, .refs = 1 };
	return &s->blk;
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* ---- the walk ---- */

struct walk { struct fs *fs; char path[4096]; unsigned left, depth; };

static inline int walk_xattr(void *arg, const char *name, const void *v, size_t n)
{
	MUST(name && strlen(name) < 300 && (v || !n));
	(void)arg;
	return 0;
}

static inline int walk_entry(void *arg, const char *name);

static inline void walk_path(struct walk *w)
{
	struct fs_stat st = { 0 };
	char buf[5000], *link = NULL;
	size_t n = 0;

	if (fs_stat(w->fs, w->path, FS_NOFOLLOW, &st, NULL) < 0)
		return;
	(void)fs_xattrs(w->fs, w->path, walk_xattr, NULL, NULL);
	if (st.type == FS_LINK && fs_readlink(w->fs, w->path, &link, NULL) == 0)
		free(link);
	if (st.type == FS_FILE) {
		MUST(fs_read(w->fs, w->path, buf, sizeof(buf), 0, &n, NULL) < 0 || n <= sizeof(buf));
		(void)fs_read(w->fs, w->path, buf, sizeof(buf), st.size - st.size / 3, &n, NULL);
		(void)fs_read(w->fs, w->path, buf, sizeof(buf), st.size - 1, &n, NULL);
	}
	if (st.type == FS_DIR && w->depth < FUZZ_DEPTH) {
		w->depth++;
		(void)fs_list(w->fs, w->path, walk_entry, w, NULL);
		w->depth--;
	}
}

static inline int walk_entry(void *arg, const char *name)
{
	struct walk *w = arg;
	size_t n = strlen(w->path), len = strlen(name);

	MUST(len && len < 1100 && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, ".."));
	if (!w->left)
		return 1;
	w->left--;
	if (n + len + 2 > sizeof(w->path))
		return 0;
	if (n > 1)
		w->path[n] = '/';
	memcpy(w->path + n + (n > 1), name, len + 1);
	walk_path(w);
	w->path[n] = '\0';
	return 0;
}

static inline void walk_fs(struct fs *fs)
{
	struct walk w = { .fs = fs, .path = "/", .left = FUZZ_ENTRIES };

	walk_path(&w);
}

/* ---- one format on one disk ---- */

static inline void touch(struct blk *blk)
{
	uint8_t buf[512];
	size_t n = blk->size < sizeof(buf) ? (size_t)blk->size : sizeof(buf);

	(void)blk_pread(blk, buf, n, 0, NULL);
	(void)blk_pread(blk, buf, n, blk->size - n, NULL);
}

/* No partition with bytes leaves its disk, begins with the table, or shares a byte with another. */
static inline void check_nodes(const struct graph *g)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct node *a = g->nodes[i];

		MUST(memchr(a->fmt, 0, sizeof(a->fmt)) && memchr(a->uuid, 0, sizeof(a->uuid)) && memchr(a->why.msg, 0, sizeof(a->why.msg)));
		if (a->blk)
			touch(a->blk);
		if (a->kind != KIND_PARTITION || !a->blk)
			continue;
		MUST(a->offset && a->size == a->blk->size && range_in(a->offset, a->size, a->parents[0]->blk->size));
		for (size_t k = 0; k < i; k++) {
			const struct node *b = g->nodes[k];

			MUST(b->kind != KIND_PARTITION || !b->blk || a->offset + a->size <= b->offset || b->offset + b->size <= a->offset);
		}
	}
}

/* Parse, describe, expand, files; then the node, or NULL where it is not of this format. */
static inline struct node *fuzz_format(struct graph *g, const struct format *f, struct blk *blk)
{
	struct node *n = graph_add(g, "disk", KIND_DISK, NULL, blk);
	struct err e = { "" };
	void *meta = NULL;
	struct fs *fs = NULL;

	MUST(n);
	if (f->parse(blk, &meta, &e) <= 0) {
		MUST(!meta);
		return NULL;
	}
	n->format = f;
	n->meta = meta;
	n->state = NODE_OPEN;
	if (f->describe && f->describe(n, &n->why) < 0)
		n->state = NODE_DAMAGED;
	if (f->open_fs && f->open_fs(n, &fs, &n->fs_why) == 0) {
		walk_fs(fs);
		n->fs = fs;
		n->fs_tried = true;
	}
	if (f->expand && n->state != NODE_DAMAGED && n->state != NODE_UNSUPPORTED)
		(void)f->expand(g, n, &n->why);
	check_nodes(g);
	return n;
}

/* ---- mutations that keep sectors where they are ---- */

#if defined(WITH_LIBFUZZER) && !defined(FUZZ_TEXT)
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

static inline unsigned draw(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % below;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size_t n = size < 4 ? 0 : (size - 4) / FUZZ_RECORD, i, len;
	uint8_t *rec;

	if (!n || draw(&seed, 64) == 0)
		return LLVMFuzzerMutate(data, size, max);
	size = 4 + n * FUZZ_RECORD;
	i = draw(&seed, (unsigned)n);
	rec = data + 4 + i * FUZZ_RECORD;
	switch (draw(&seed, 20)) {
	case 0:
		LLVMFuzzerMutate(data, 4, 4);
		return size;
	case 1:
		LLVMFuzzerMutate(rec, 4, 4);
		return size;
	case 2: /* one more sector, like this one */
		if (size + FUZZ_RECORD > max)
			return size;
		memmove(data + size, rec, FUZZ_RECORD);
		put_le32(data + size, draw(&seed, 256));
		return size + FUZZ_RECORD;
	case 3: /* one less */
		if (n == 1)
			return size;
		memmove(rec, rec + FUZZ_RECORD, size - 4 - (i + 1) * FUZZ_RECORD);
		return size - FUZZ_RECORD;
	case 4:
	case 5: /* as text: what is inserted moves the rest of the sector */
		len = strnlen((char *)rec + 4, FUZZ_SECTOR);
		LLVMFuzzerMutate(rec + 4, len, FUZZ_SECTOR);
		return size;
	default: /* one field */
		len = (size_t)1 << draw(&seed, 5);
		LLVMFuzzerMutate(rec + 4 + draw(&seed, (unsigned)(FUZZ_SECTOR / len)) * len, len, len);
		return size;
	}
}
#endif

#endif
