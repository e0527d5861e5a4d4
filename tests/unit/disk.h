/* SPDX-License-Identifier: MIT */
/* Disks for the tests of format/: bytes in memory, a disk with bad sectors, and a graph that has looked at
 * one. */
#ifndef TESTS_UNIT_DISK_H
#define TESTS_UNIT_DISK_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/bytes.h"
#include "base/str.h"
#include "format/format.h"

static inline void put_le(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline void put_be(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[n - 1 - i] = (uint8_t)(v >> (8 * i));
}

/* xorshift: the same bytes in every run */
static inline uint32_t rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16);
}

/* A disk whose bytes from..to-1 cannot be read. */
struct bad_blk {
	struct blk blk;
	struct blk *under;
	uint64_t from, to;
};

static inline int bad_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct bad_blk *x = (struct bad_blk *)b;

	if (off < x->to && off + len > x->from)
		return err_set(e, -EIO, "bad sector");
	return blk_pread(x->under, buf, len, off, e);
}

static inline void bad_close(struct blk *b)
{
	blk_unref(((struct bad_blk *)b)->under);
	free(b);
}

static inline struct blk *bad_open(struct blk *under, uint64_t from, uint64_t to)
{
	static const struct blk_ops ops = {.kind = "bad", .pread = bad_pread, .close = bad_close};
	struct bad_blk *x = calloc(1, sizeof(*x));

	cr_assert(x);
	x->blk = (struct blk){.ops = &ops, .size = under->size, .align = 1, .refs = 1};
	x->under = blk_ref(under);
	x->from = from;
	x->to = to;
	return &x->blk;
}

/* The graph after it has looked at one disk. */
static inline struct node *look_at(struct graph *g, const char *name, struct blk *blk, unsigned sector)
{
	struct node *n;
	struct err e = {{0}};

	memset(g, 0, sizeof(*g));
	n = graph_add(g, name, KIND_DISK, NULL, blk);
	cr_assert(n);
	n->disk = 7;
	if (sector)
		n->sector = sector;
	cr_assert_eq(graph_run(g, NULL, NULL, &e), 0, "%s", e.msg);
	return n;
}

static inline struct node *look_at_bytes(struct graph *g, const char *name, const void *bytes, size_t len)
{
	cleanup_blk struct blk *b = NULL;

	cr_assert_eq(blk_open_mem(bytes, len, &b, NULL), 0);
	return look_at(g, name, b, 0);
}

static inline void expect_why(const struct node *n, const char *part)
{
	cr_expect(strstr(n->why.msg, part), "%s: \"%s\" lacks \"%s\"", n->name, n->why.msg, part);
}

/* No extent that can be read leaves the disk, none overlaps another; damaged ones have no bytes. */
static inline void expect_sound_extents(const struct graph *g, const struct node *disk)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct node *a = g->nodes[i];

		if (!a->nparents || a->parents[0] != disk)
			continue;
		if (!a->blk) {
			cr_assert_eq(a->state, NODE_DAMAGED);
			cr_assert(*a->why.msg);
			continue;
		}
		cr_assert(a->offset > 0 && a->size > 0, "%s", a->name);
		cr_assert(range_in(a->offset, a->size, disk->blk->size), "%s", a->name);
		cr_assert_eq(a->blk->size, a->size);
		for (size_t k = i + 1; k < g->n; k++) {
			const struct node *b = g->nodes[k];

			if (b->nparents && b->parents[0] == disk && b->blk && a->offset < b->offset + b->size)
				cr_assert(a->offset + a->size <= b->offset, "%s overlaps", a->name);
		}
	}
}

/* An empty temporary file, for the caller to unlink. */
static inline char *temp_file(char path[64], uint64_t size)
{
	int fd;

	snprintf(path, 64, "/tmp/aderescue-test-XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
	return path;
}

/* Runs a stock tool by the shell; the test is skipped where it is not installed. */
static inline void tool(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void tool(const char *fmt, ...)
{
	char cmd[2048], probe[64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	cr_assert(n > 0 && (size_t)n < sizeof(cmd));
	snprintf(probe, sizeof(probe), "command -v %.*s >/dev/null 2>&1", (int)strcspn(cmd, " "), cmd);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (system(probe) != 0)
		cr_skip_test("%.*s is not installed", (int)strcspn(cmd, " "), cmd);
	cr_assert_eq(system(cmd), 0, "%s", cmd);
}

static inline struct blk *open_path(const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct blk *b = NULL;
	struct stat st;

	cr_assert(fd >= 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(blk_open_file(fd, (uint64_t)st.st_size, "test", &b, NULL), 0);
	return b;
}

#endif
