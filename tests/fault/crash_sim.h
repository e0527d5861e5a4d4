/* SPDX-License-Identifier: MIT */
/* A power cut at every operation of a run. Disks and undo file live in memory behind a wio that keeps what was written since the last sync apart, per
 * file, as a drive's cache does: a cut leaves all of it, none of it, any part of it, in any order, torn at 512 bytes. After each cut the run is taken
 * back or finished, in half of the cases with a second cut in the middle of that, and then all disks together must hold every byte of before, or every
 * byte of after. Only changed bytes are kept for each state; a write anywhere else counts as a loss. */
#ifndef FAULT_CRASH_SIM_H
#define FAULT_CRASH_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"
#include "repair/undo_priv.h"

enum { CRASH_MAX_DISKS = 4, CRASH_MAX_PENDING = 4096 };

/* ---- what is run ---- */

struct crash_set {
	const char *name;
	size_t ndisks;
	const uint8_t *before[CRASH_MAX_DISKS], *after[CRASH_MAX_DISKS];
	uint64_t size[CRASH_MAX_DISKS];
	struct change_set cs;
	size_t *pos, bytes;             /* where each change's bytes lie among all changed bytes */
};

/* Everything that survives: the changed bytes of all disks, and the undo file. */
struct world { uint8_t *disks, *log; size_t log_len; };

struct pending {
	int file;
	uint64_t off;
	size_t len;
	uint8_t *data;                  /* NULL: the file is made len bytes long */
};

struct sim {
	struct wio io;
	const struct crash_set *set;
	struct world now, durable;
	size_t log_cap;
	struct pending pending[CRASH_MAX_PENDING];
	size_t npending;
	bool dir_synced, stray, disk_written;
	unsigned ops;                   /* writes, syncs, reserves so far */
	unsigned crash_at;              /* nothing happens from this one on; UINT_MAX: never */
	bool break_order;               /* syncs of the undo file before the first write to a disk do nothing */
	unsigned fail_at, lie_at;       /* this one fails with fail_code (a write does half of it); this write is lost without a word */
	int fail_code;
	bool fail_for_ever;
};

static uint64_t crash_seed = 0x9e3779b97f4a7c15ull;

static inline uint64_t crash_random(uint64_t below)
{
	crash_seed ^= crash_seed << 13;
	crash_seed ^= crash_seed >> 7;
	crash_seed ^= crash_seed << 17;
	return (crash_seed * 0x2545f4914f6cdd1dull >> 11) % below;
}

static inline void *crash_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		abort();
	return p;
}

/* ---- the bytes ---- */

static inline bool world_write(struct world *w, const struct crash_set *set, size_t log_cap, int file, uint64_t off, const uint8_t *data, size_t len)
{
	size_t i, done = 0;
	struct undo_overlap o;

	if (file == WIO_LOG) {
		if (off + len > log_cap)
			return false;
		memcpy(w->log + off, data, len);
		w->log_len = off + len > w->log_len ? (size_t)(off + len) : w->log_len;
		return true;
	}
	i = undo_first_change(&set->cs, (unsigned)file, off);
	while (undo_next_overlap(&set->cs, (unsigned)file, off, len, &i, &o)) {
		memcpy(w->disks + set->pos[o.change - set->cs.v] + o.in_change, data + o.in_range, o.len);
		done += o.len;
	}
	return done == len;
}

static inline int sim_pread(struct wio *io, int file, void *buf, size_t len, uint64_t off)
{
	struct sim *s = (struct sim *)io;
	uint8_t *p = buf;
	struct undo_overlap o;
	size_t i;

	if (s->ops > s->crash_at)
		return -EIO;
	if (file == WIO_LOG) {
		if (!range_in(off, len, s->now.log_len))
			return -EIO;
		memcpy(buf, s->now.log + off, len);
		return 0;
	}
	if (!range_in(off, len, s->set->size[file]))
		return -EIO;
	memcpy(buf, s->set->before[file] + off, len);
	i = undo_first_change(&s->set->cs, (unsigned)file, off);
	while (undo_next_overlap(&s->set->cs, (unsigned)file, off, len, &i, &o))
		memcpy(p + o.in_range, s->now.disks + s->set->pos[o.change - s->set->cs.v] + o.in_change, o.len);
	return 0;
}

/* Counts the operation. 1: go on, 0: pretend, -errno. */
static inline int sim_op(struct sim *s, bool is_write)
{
	unsigned op = s->ops++;

	if (op >= s->crash_at) {
		s->ops = s->crash_at + 1;
		return -EIO;
	}
	if (op == s->fail_at || (s->fail_for_ever && op > s->fail_at))
		return s->fail_code;
	return op == s->lie_at && is_write ? 0 : 1;
}

static inline void sim_pend(struct sim *s, int file, uint64_t off, const void *data, size_t len)
{
	struct pending *p = &s->pending[s->npending++];

	if (s->npending > CRASH_MAX_PENDING)
		abort();
	*p = (struct pending){ .file = file, .off = off, .len = len };
	if (data) {
		p->data = crash_alloc(len);
		memcpy(p->data, data, len);
	}
}

static inline int sim_pwrite(struct wio *io, int file, const void *buf, size_t len, uint64_t off)
{
	struct sim *s = (struct sim *)io;
	int r = sim_op(s, true);

	s->disk_written |= file != WIO_LOG;
	if (r == 0 || (r < 0 && s->ops > s->crash_at))
		return r;
	if (r < 0)
		len = len / 2 / UNDO_SECTOR * UNDO_SECTOR;
	if (!world_write(&s->now, s->set, s->log_cap, file, off, buf, len))
		s->stray = true;
	sim_pend(s, file, off, buf, len);
	return r < 0 ? r : 0;
}

static inline int sim_reserve(struct wio *io, uint64_t len)
{
	struct sim *s = (struct sim *)io;
	int r = sim_op(s, false);

	if (r < 0)
		return r;
	if (len > s->log_cap)
		return -ENOSPC;
	s->now.log_len = (size_t)len;
	sim_pend(s, WIO_LOG, 0, NULL, (size_t)len);
	return 0;
}

static inline void world_apply(struct world *w, const struct sim *s, const struct pending *p, uint64_t from, uint64_t to)
{
	if (!p->data)
		w->log_len = p->len > w->log_len ? p->len : w->log_len;
	else if (from < to)
		world_write(w, s->set, s->log_cap, p->file, p->off + from, p->data + from, (size_t)(to - from));
}

static inline int sim_sync(struct wio *io, int file)
{
	struct sim *s = (struct sim *)io;
	int r = sim_op(s, false);
	size_t kept = 0;

	if (r < 0 || (s->break_order && file == WIO_LOG && !s->disk_written))
		return r < 0 ? r : 0;
	for (size_t i = 0; i < s->npending; i++) {
		struct pending *p = &s->pending[i];

		if (p->file != file) {
			s->pending[kept++] = *p;
			continue;
		}
		world_apply(&s->durable, s, p, 0, p->len);
		free(p->data);
	}
	s->npending = kept;
	return 0;
}

static inline int sim_sync_dir(struct wio *io)
{
	struct sim *s = (struct sim *)io;
	int r = sim_op(s, false);

	s->dir_synced |= r > 0;
	return r < 0 ? r : 0;
}

static inline uint64_t sim_size(struct wio *io, int file)
{
	struct sim *s = (struct sim *)io;

	return file == WIO_LOG ? s->now.log_len : s->set->size[file];
}

/* ---- worlds and sims ---- */

static inline struct world world_copy(const struct crash_set *set, size_t log_cap, const struct world *w)
{
	struct world c = { .disks = crash_alloc(set->bytes), .log = crash_alloc(log_cap), .log_len = w->log_len };

	memcpy(c.disks, w->disks, set->bytes);
	if (w->log_len)
		memcpy(c.log, w->log, w->log_len);
	return c;
}

static inline void world_done(struct world *w)
{
	free(w->disks);
	free(w->log);
}

/* The disks as they were before, or as they shall be after; no undo file. */
static inline struct world world_start(const struct crash_set *set, size_t log_cap, bool after)
{
	struct world w = { .disks = crash_alloc(set->bytes), .log = crash_alloc(log_cap) };

	for (size_t i = 0; i < set->cs.n; i++)
		memcpy(w.disks + set->pos[i], after ? set->cs.v[i].new_ : set->cs.v[i].old_, set->cs.v[i].len);
	return w;
}

static inline size_t crash_log_cap(const struct crash_set *set)
{
	return (size_t)undo_file_len(undo_body_len(&set->cs));
}

static inline struct sim *sim_new(const struct crash_set *set, const struct world *from)
{
	struct sim *s = crash_alloc(sizeof(*s));

	s->io = (struct wio){ .pread = sim_pread, .pwrite = sim_pwrite, .sync = sim_sync, .sync_dir = sim_sync_dir,
			      .reserve = sim_reserve, .size = sim_size };
	s->set = set;
	s->log_cap = crash_log_cap(set);
	s->now = world_copy(set, s->log_cap, from);
	s->durable = world_copy(set, s->log_cap, from);
	s->crash_at = s->fail_at = s->lie_at = UINT32_MAX;
	s->dir_synced = from->log_len > 0;
	return s;
}

static inline void sim_free(struct sim *s)
{
	for (size_t i = 0; i < s->npending; i++)
		free(s->pending[i].data);
	world_done(&s->now);
	world_done(&s->durable);
	free(s);
}

/* -1 neither, 0 before, 1 after */
static inline int world_is(const struct crash_set *set, const struct world *w)
{
	bool before = true, after = true;

	for (size_t i = 0; i < set->cs.n; i++) {
		before &= !memcmp(w->disks + set->pos[i], set->cs.v[i].old_, set->cs.v[i].len);
		after &= !memcmp(w->disks + set->pos[i], set->cs.v[i].new_, set->cs.v[i].len);
	}
	return before ? 0 : after ? 1 : -1;
}

/* ---- the cut ---- */

/* Some sectors of one write: a piece from the front, from the back, or here and there. */
static inline void apply_torn(struct world *w, const struct sim *s, const struct pending *p)
{
	uint64_t sectors = (p->len + UNDO_SECTOR - 1) / UNDO_SECTOR, cut = crash_random(sectors + 1);
	uint64_t how = crash_random(3);

	for (uint64_t i = 0; i < sectors; i++) {
		uint64_t to = (i + 1) * UNDO_SECTOR < p->len ? (i + 1) * UNDO_SECTOR : p->len;

		if (how == 0 ? i < cut : how == 1 ? i >= cut : crash_random(2))
			world_apply(w, s, p, i * UNDO_SECTOR, to);
	}
}

/* What is left after a cut: variant 0 none of what was not synced, 1 all of it, 2 all of the disks' and none of the undo file's, 3 the other way
 * round, 4 and up: any part, torn, in any order. */
static inline struct world sim_cut(const struct sim *s, unsigned variant)
{
	struct world w = world_copy(s->set, s->log_cap, &s->durable);
	size_t *order = crash_alloc(s->npending * sizeof(*order));

	for (size_t i = 0; i < s->npending; i++) {
		size_t k = variant > 4 && (variant & 1) ? (size_t)crash_random(i + 1) : i;

		order[i] = order[k];
		order[k] = i;
	}
	for (size_t i = 0; i < s->npending; i++) {
		const struct pending *p = &s->pending[order[i]];
		uint64_t fate = variant < 4 ? variant == 1 || (variant == 2 && p->file != WIO_LOG) || (variant == 3 && p->file == WIO_LOG) :
				crash_random(3);

		if (fate == 1)
			world_apply(&w, s, p, 0, p->len);
		else if (fate == 2)
			apply_torn(&w, s, p);
	}
	if (!s->dir_synced && (variant == 0 || (variant > 3 && crash_random(2))))
		w.log_len = 0;
	free(order);
	return w;
}

/* ---- after the cut ---- */

enum crash_way { CRASH_UNDO, CRASH_RESUME };

/* Goes one of the two ways; cut_at UINT_MAX: to its end. Answers what is left, and whether all went as it must. */
static inline struct world crash_recover(const struct crash_set *set, const struct world *from, enum crash_way way, unsigned cut_at, bool *ok)
{
	struct sim *s = sim_new(set, from);
	struct world left;
	int r;

	s->crash_at = cut_at;
	r = way == CRASH_UNDO ? undo_run(&s->io, NULL) : undo_resume(&s->io, NULL);
	left = sim_cut(s, cut_at == UINT32_MAX ? 0 : (unsigned)crash_random(8));
	if (s->stray || (r == 0 && world_is(set, &left) != (way == CRASH_UNDO ? 0 : 1)))
		*ok = false;
	/* to its end it must come, unless there is nothing to do, or nothing was ever written */
	if (cut_at == UINT32_MAX && r < 0 && r != -EALREADY && !((r == -ENODATA || r == -EBADMSG) && world_is(set, &left) == 0))
		*ok = false;
	sim_free(s);
	return left;
}

/* One state: recover, perhaps with a second cut; then all disks must be one or the other. */
static inline bool crash_judge(const struct crash_set *set, const struct world *cut, enum crash_way way, bool twice)
{
	struct world a, b;
	bool ok = true;
	int is;

	a = crash_recover(set, cut, way, twice ? (unsigned)crash_random(2 * set->cs.n + 10) : UINT32_MAX, &ok);
	if (twice) {
		/* an undo that began cannot be turned into a resume; the other way round is fine */
		b = crash_recover(set, &a, way == CRASH_RESUME && crash_random(2) ? CRASH_RESUME : CRASH_UNDO, UINT32_MAX, &ok);
		world_done(&a);
		a = b;
	}
	is = world_is(set, &a);
	/* whatever was left, an undo now brings the bytes of before */
	b = crash_recover(set, &a, CRASH_UNDO, UINT32_MAX, &ok);
	ok = ok && is >= 0 && world_is(set, &b) == 0;
	world_done(&a);
	world_done(&b);
	return ok;
}

struct crash_count { unsigned points, states, lost; };

/* Cuts after every operation of the commit, in at least `states` states. */
static inline struct crash_count crash_enumerate(const struct crash_set *set, unsigned states, bool break_order)
{
	struct world start = world_start(set, crash_log_cap(set), false);
	struct crash_count c = { .points = 0 };
	struct sim *s = sim_new(set, &start);
	unsigned variants;

	s->break_order = break_order;
	if (undo_commit(&s->io, &set->cs, NULL) < 0 || world_is(set, &s->durable) != 1)
		c.lost++;
	c.points = s->ops + 1;
	sim_free(s);
	variants = states / c.points + 1 > 6 ? states / c.points + 1 : 6;
	for (unsigned at = 0; at < c.points; at++) {
		s = sim_new(set, &start);
		s->break_order = break_order;
		s->crash_at = at;
		(void)undo_commit(&s->io, &set->cs, NULL);
		for (unsigned v = 0; v < variants; v++) {
			struct world cut = sim_cut(s, v);

			c.lost += s->stray || !crash_judge(set, &cut, (c.states & 1) ? CRASH_RESUME : CRASH_UNDO, (c.states >> 1) & 1);
			c.states++;
			world_done(&cut);
		}
		sim_free(s);
	}
	world_done(&start);
	return c;
}

/* ---- sets ---- */

static inline void crash_set_change(struct crash_set *set, unsigned disk, uint64_t off, size_t len)
{
	struct change_set *cs = &set->cs;
	struct change *v = realloc(cs->v, (cs->n + 1) * sizeof(*v));

	if (!v)
		abort();
	cs->v = v;
	v[cs->n++] = (struct change){ .disk = disk, .off = off, .len = len, .old_ = crash_alloc(len), .new_ = crash_alloc(len) };
	memcpy(v[cs->n - 1].old_, set->before[disk] + off, len);
	memcpy(v[cs->n - 1].new_, set->after[disk] + off, len);
}

static inline void crash_set_watch(struct crash_set *set, size_t i, unsigned disk, uint64_t off, size_t len)
{
	set->cs.watches[i] = (struct watch){ .disk = disk, .off = off, .len = len, .bytes = crash_alloc(len) };
	memcpy(set->cs.watches[i].bytes, set->after[disk] + off, len);
}

/* Runs of sectors that differ. */
static inline void crash_set_diff(struct crash_set *set, unsigned disk)
{
	uint64_t size = set->size[disk], from = 0, n;
	bool in = false;

	for (uint64_t off = 0; off <= size; off += n) {
		bool differs;

		n = size - off < UNDO_SECTOR && off < size ? size - off : UNDO_SECTOR;
		differs = off < size && memcmp(set->before[disk] + off, set->after[disk] + off, (size_t)n);
		if (in && !differs)
			crash_set_change(set, disk, from, (size_t)((off < size ? off : size) - from));
		if (!in && differs)
			from = off;
		in = differs;
	}
}

/* Fills set->cs and the rest from the images; false where a pair does not differ. Each disk's first and last 4 KiB are watched. */
static inline bool crash_set_build(struct crash_set *set)
{
	struct change_set *cs = &set->cs;
	struct world none = { .log = NULL };
	struct sim *s;

	cs->ndisks = set->ndisks;
	cs->disks = crash_alloc(set->ndisks * sizeof(*cs->disks));
	cs->watches = crash_alloc(2 * set->ndisks * sizeof(*cs->watches));
	memcpy(cs->run, "20261123T031207Z-1a2b", 22);
	for (unsigned i = 0; i < set->ndisks; i++) {
		size_t before = cs->n, edge = set->size[i] < 4096 ? (size_t)set->size[i] : 4096;

		crash_set_diff(set, i);
		if (cs->n == before)
			return false;
		cs->disks[i] = (struct disk_identity){ .size = set->size[i], .sector = 512, .name = strdup("disk"), .path = strdup("") };
		crash_set_watch(set, cs->nwatches++, i, 0, edge);
		crash_set_watch(set, cs->nwatches++, i, set->size[i] - edge, edge);
	}
	set->pos = crash_alloc(cs->n * sizeof(*set->pos));
	for (size_t i = 0; i < cs->n; i++) {
		set->pos[i] = set->bytes;
		set->bytes += cs->v[i].len;
	}
	none.disks = crash_alloc(set->bytes);
	s = sim_new(set, &none);
	for (unsigned i = 0; i < set->ndisks; i++)
		if (undo_identity(&s->io, (int)i, cs, i, cs->disks[i].digest, NULL) < 0)
			abort();
	sim_free(s);
	free(none.disks);
	return true;
}

static inline void crash_set_done(struct crash_set *set)
{
	change_set_done(&set->cs);
	free(set->pos);
}

/* Built-in sets: where one changes what. Lengths of 0 end a disk. */
struct crash_place { uint64_t off; size_t len; };
struct crash_recipe {
	const char *name;
	uint64_t size[CRASH_MAX_DISKS];
	struct crash_place at[CRASH_MAX_DISKS][32];
};
#define CRASH_MIB (1u << 20)
static const struct crash_recipe crash_recipes[] = {
	{ "ext4, scattered", { 8 * CRASH_MIB },
	  { { { 1024, 1024 }, { 4096, 4096 }, { 65536 + 512, 512 }, { 66 * 1024, 1024 }, { 80 * 1024, 256 }, { 100 * 1024, 1024 },
	      { 200 * 1024, 4096 }, { 300 * 1024 + 1536, 512 }, { CRASH_MIB, 4096 }, { CRASH_MIB + 8192, 12288 }, { 3 * CRASH_MIB, 512 },
	      { 3 * CRASH_MIB + 1024, 512 }, { 3 * CRASH_MIB + 2048, 512 }, { 4 * CRASH_MIB, 4096 }, { 5 * CRASH_MIB, 16384 },
	      { 6 * CRASH_MIB + 100, 40 }, { 7 * CRASH_MIB, 1024 } } } },
	{ "crypt, 4096-byte sectors", { 4 * CRASH_MIB },
	  { { { 0, 4096 }, { 16384, 8192 }, { CRASH_MIB, 4096 }, { CRASH_MIB + 8192, 12288 }, { 2 * CRASH_MIB, 4096 }, { 3 * CRASH_MIB, 32768 },
	      { 4 * CRASH_MIB - 4096, 4096 } } } },
	{ "two disks", { 2 * CRASH_MIB, 3 * CRASH_MIB },
	  { { { 4096, 4096 }, { 65536, 1024 }, { CRASH_MIB, 8192 } }, { { 512, 512 }, { 70000, 3000 }, { CRASH_MIB, 4096 }, { 2 * CRASH_MIB, 512 } } } },
	{ "first and last bytes", { CRASH_MIB, 100 * 1024 + 100 },
	  { { { 0, 512 }, { 1024, 512 }, { CRASH_MIB - 1024, 512 }, { CRASH_MIB - 512, 512 } }, { { 0, 1 }, { 100 * 1024 + 99, 1 } } } },
	{ "one small disk", { 700 }, { { { 0, 700 } } } },
};
enum { CRASH_BUILTIN = sizeof(crash_recipes) / sizeof(*crash_recipes) };

static inline void crash_builtin(unsigned which, struct crash_set *set)
{
	const struct crash_recipe *r = &crash_recipes[which];

	*set = (struct crash_set){ .name = r->name };
	for (; set->ndisks < CRASH_MAX_DISKS && r->size[set->ndisks]; set->ndisks++) {
		size_t size = (size_t)r->size[set->ndisks];
		uint8_t *before = crash_alloc(size), *after = crash_alloc(size);

		for (size_t i = 0; i < size; i += 97)
			before[i] = (uint8_t)crash_random(256);
		memcpy(after, before, size);
		for (const struct crash_place *p = r->at[set->ndisks]; p->len; p++)
			for (size_t i = 0; i < p->len; i++)
				after[p->off + i] = (uint8_t)(before[p->off + i] + 1 + crash_random(255));
		set->before[set->ndisks] = before;
		set->after[set->ndisks] = after;
		set->size[set->ndisks] = size;
	}
	if (!crash_set_build(set))
		abort();
}

static inline void crash_builtin_done(struct crash_set *set)
{
	for (size_t i = 0; i < set->ndisks; i++) {
		free((void *)set->before[i]);
		free((void *)set->after[i]);
	}
	crash_set_done(set);
}

#endif
