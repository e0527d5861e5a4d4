/* SPDX-License-Identifier: MIT */
/* Tests repair/undo.c, undo_format.c, undo_load.c and change.c: that a run can be taken back and finished wherever it was cut short, that what is damaged,
 * hostile or changed by others is refused before anything is written, and that sets hold exactly what an overlay changed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../fault/crash_sim.h"
#include "base/cleanup.h"
#include "blk/blk.h"
#include "repair/undo_layout.h"

static struct crash_set set;
static struct err e;

static void with_set(unsigned which)
{
	crash_builtin(which, &set);
}

static void two_disks(void)
{
	with_set(2);
}

static void done(void)
{
	crash_builtin_done(&set);
}

TestSuite(undo, .init = two_disks, .fini = done);

/* A world after a whole commit. */
static struct world committed(void)
{
	struct world start = world_start(&set, crash_log_cap(&set), false), left;
	struct sim *s = sim_new(&set, &start);

	cr_assert_eq(undo_commit(&s->io, &set.cs, &e), 0, "%s", e.msg);
	left = sim_cut(s, 0);
	sim_free(s);
	world_done(&start);
	return left;
}

/* A world after a commit that was cut short at this operation, all that was written kept. */
static struct world cut_short(unsigned at)
{
	struct world start = world_start(&set, crash_log_cap(&set), false), left;
	struct sim *s = sim_new(&set, &start);

	s->crash_at = at;
	cr_assert_lt(undo_commit(&s->io, &set.cs, &e), 0);
	left = sim_cut(s, 1);
	sim_free(s);
	world_done(&start);
	return left;
}

/* The first operation on a disk. */
static unsigned first_disk_write(void)
{
	struct world start = world_start(&set, crash_log_cap(&set), false);
	unsigned at = 0;

	for (bool wrote = false; !wrote; at++) {
		struct sim *s = sim_new(&set, &start);

		s->crash_at = at + 1;
		cr_assert_lt(undo_commit(&s->io, &set.cs, NULL), 0);
		wrote = s->disk_written && world_is(&set, &s->now) != 0;
		sim_free(s);
	}
	world_done(&start);
	return at - 1;
}

static int run(int (*way)(struct wio *, struct err *), struct world *w)
{
	struct sim *s = sim_new(&set, w);
	int r = way(&s->io, &e);

	cr_assert_not(s->stray);
	world_done(w);
	*w = sim_cut(s, 0);
	sim_free(s);
	return r;
}

static enum run_state state_of(const struct world *w)
{
	struct sim *s = sim_new(&set, w);
	struct change_set cs = { .n = 0 };
	enum run_state state;

	cr_assert_eq(undo_read(&s->io, &cs, &state, &e), 0, "%s", e.msg);
	change_set_done(&cs);
	sim_free(s);
	return state;
}

Test(undo, takes_a_run_back_byte_for_byte_and_only_once)
{
	struct world w = committed();

	cr_assert_eq(world_is(&set, &w), 1);
	cr_assert_eq(state_of(&w), RUN_DONE);
	cr_assert_eq(run(undo_run, &w), 0, "%s", e.msg);
	cr_assert_eq(world_is(&set, &w), 0);
	cr_assert_eq(state_of(&w), RUN_UNDONE);
	cr_assert_eq(run(undo_run, &w), -EALREADY);
	cr_assert_eq(run(undo_resume, &w), -EALREADY);
	cr_assert_eq(world_is(&set, &w), 0);
	world_done(&w);
}

Test(undo, finishes_a_run_that_was_cut_short_and_can_still_take_it_back)
{
	struct world w = cut_short(first_disk_write() + 2);

	cr_assert_eq(state_of(&w), RUN_ARMED);
	cr_assert_eq(world_is(&set, &w), -1);
	cr_assert_eq(run(undo_resume, &w), 0, "%s", e.msg);
	cr_assert_eq(world_is(&set, &w), 1);
	cr_assert_eq(state_of(&w), RUN_DONE);
	cr_assert_eq(run(undo_resume, &w), -EALREADY);
	cr_assert_eq(run(undo_run, &w), 0, "%s", e.msg);
	cr_assert_eq(world_is(&set, &w), 0);
	world_done(&w);
}

Test(undo, that_has_begun_goes_on_and_is_not_turned_round)
{
	struct world w = committed(), mid;
	struct sim *s = sim_new(&set, &w);

	s->crash_at = 4; /* the record, its sync, two writes */
	cr_assert_lt(undo_run(&s->io, &e), 0);
	mid = sim_cut(s, 1);
	sim_free(s);
	cr_assert_eq(world_is(&set, &mid), -1);
	cr_assert_eq(state_of(&mid), RUN_ARMED);
	cr_assert_eq(run(undo_resume, &mid), -EPERM);
	cr_assert_eq(world_is(&set, &mid), -1);
	cr_assert_eq(run(undo_run, &mid), 0, "%s", e.msg);
	cr_assert_eq(world_is(&set, &mid), 0);
	world_done(&mid);
	world_done(&w);
}

Test(undo, of_a_run_that_was_never_armed_has_nothing_to_do)
{
	unsigned armed = first_disk_write() - 2;

	for (unsigned at = 1; at < armed; at++) {
		struct world w = cut_short(at);
		int r = run(undo_run, &w);

		cr_assert(r == -ENODATA || r == -EBADMSG, "%u: %d", at, r);
		cr_assert_eq(world_is(&set, &w), 0);
		world_done(&w);
	}
}

Test(crash, loses_no_byte_at_any_operation)
{
	unsigned states = 0;

	for (unsigned i = 0; i < CRASH_BUILTIN; i++) {
		struct crash_count c;

		with_set(i);
		c = crash_enumerate(&set, 400, false);
		cr_assert_eq(c.lost, 0, "%s: %u of %u", set.name, c.lost, c.states);
		states += c.states;
		done();
	}
	cr_assert_geq(states, 2000);
}

Test(crash, is_seen_where_the_order_is_broken)
{
	for (unsigned i = 0; i < CRASH_BUILTIN; i++) {
		with_set(i);
		cr_assert_gt(crash_enumerate(&set, 400, true).lost, 0, "%s", set.name);
		done();
	}
}

Test(undo, commit_refuses_a_disk_that_is_not_what_it_was)
{
	for (size_t i = 0; i < set.cs.n; i++) {
		struct world start = world_start(&set, crash_log_cap(&set), false);
		struct sim *s;

		start.disks[set.pos[i] + set.cs.v[i].len - 1] ^= 1;
		s = sim_new(&set, &start);
		cr_assert_eq(undo_commit(&s->io, &set.cs, &e), -ESTALE);
		cr_assert_eq(s->ops, 0);
		sim_free(s);
		world_done(&start);
	}
}

Test(undo, commit_refuses_another_disk)
{
	struct world start = world_start(&set, crash_log_cap(&set), false);
	struct sim *s = sim_new(&set, &start);

	set.cs.disks[1].digest[5] ^= 1;
	cr_assert_eq(undo_commit(&s->io, &set.cs, &e), -ESTALE);
	set.cs.disks[1].digest[5] ^= 1;
	set.cs.disks[0].size += 512;
	cr_assert_eq(undo_commit(&s->io, &set.cs, &e), -ESTALE);
	set.cs.disks[0].size -= 512;
	cr_assert_eq(s->ops, 0);
	sim_free(s);
	world_done(&start);
}

Test(undo, refuses_what_others_changed_and_names_it)
{
	struct world w = committed(), was;

	w.disks[set.pos[2] + 700] ^= 1;
	was = world_copy(&set, crash_log_cap(&set), &w);
	cr_assert_eq(run(undo_run, &w), -ESTALE);
	cr_assert(strstr(e.msg, "bytes 1049088-1049599"), "%s", e.msg);
	cr_assert_eq(memcmp(w.disks, was.disks, set.bytes), 0);
	cr_assert_eq(state_of(&w), RUN_DONE);
	/* exactly new is asked for: a sector that is old again was written by somebody */
	w.disks[set.pos[2] + 700] ^= 1;
	memcpy(w.disks + set.pos[2] + 512, set.cs.v[2].old_ + 512, 512);
	cr_assert_eq(run(undo_run, &w), -ESTALE);
	world_done(&w);
	world_done(&was);
}

Test(undo, refuses_an_armed_run_with_a_sector_that_is_neither)
{
	struct world w = cut_short(first_disk_write() + 2), was;

	w.disks[set.pos[0] + 512] ^= 1;
	was = world_copy(&set, crash_log_cap(&set), &w);
	cr_assert_eq(run(undo_run, &w), -ESTALE);
	cr_assert_eq(run(undo_resume, &w), -ESTALE);
	cr_assert_eq(memcmp(w.disks, was.disks, set.bytes), 0);
	world_done(&w);
	world_done(&was);
}

Test(undo, refuses_a_file_system_that_was_used_since)
{
	static uint8_t fresh[3 << 20];
	const uint8_t *was = set.before[1];
	struct world w = committed(), armed = cut_short(first_disk_write() + 2);

	/* bytes that no change covers, in the middle of the disk, where the identity does not look */
	free(set.cs.watches[0].bytes);
	set.cs.watches[0] = (struct watch){ .disk = 1, .off = 1 << 19, .len = 512, .bytes = crash_alloc(512) };
	memcpy(set.cs.watches[0].bytes, set.after[1] + (1 << 19), 512);
	world_done(&w);
	world_done(&armed);
	w = committed();
	armed = cut_short(first_disk_write() + 2);
	memcpy(fresh, was, sizeof(fresh));
	fresh[(1 << 19) + 8]++;
	set.before[1] = fresh;
	cr_assert_eq(run(undo_run, &w), -ESTALE);
	cr_assert(strstr(e.msg, "used since"), "%s", e.msg);
	cr_assert_eq(world_is(&set, &w), 1);
	cr_assert_eq(run(undo_resume, &armed), -ESTALE);
	cr_assert_eq(run(undo_run, &armed), -ESTALE);
	set.before[1] = was;
	cr_assert_eq(run(undo_run, &w), 0, "%s", e.msg);
	world_done(&w);
	world_done(&armed);
}

/* One operation of a commit fails: then it is not a success, and the bytes are there, or undo brings them. */
static void fail_commit(unsigned at, int code, bool for_ever)
{
	struct world start = world_start(&set, crash_log_cap(&set), false), left;
	struct sim *s = sim_new(&set, &start);
	int r;

	s->fail_at = at;
	s->fail_code = code;
	s->fail_for_ever = for_ever;
	e.msg[0] = 0;
	r = undo_commit(&s->io, &set.cs, &e);
	cr_assert_lt(r, 0, "operation %u: a success", at);
	cr_assert_neq(e.msg[0], 0);
	cr_assert_eq(strstr(e.msg, "nothing was written to a disk") != NULL, !s->disk_written, "%s", e.msg);
	cr_assert_eq(strstr(e.msg, "stays armed") != NULL, s->disk_written, "%s", e.msg);
	for (unsigned v = 0; v < 8; v++) {
		left = sim_cut(s, v);
		r = run(undo_run, &left);
		cr_assert_eq(world_is(&set, &left), 0, "operation %u, cut %u: %d %s", at, v, r, e.msg);
		world_done(&left);
	}
	sim_free(s);
	world_done(&start);
}

Test(undo, never_calls_a_failed_commit_a_success)
{
	struct world start = world_start(&set, crash_log_cap(&set), false);
	struct sim *s = sim_new(&set, &start);
	unsigned ops;

	cr_assert_eq(undo_commit(&s->io, &set.cs, &e), 0);
	ops = s->ops;
	sim_free(s);
	world_done(&start);
	for (unsigned at = 0; at < ops; at++) {
		fail_commit(at, -EIO, false);
		fail_commit(at, -ENOSPC, true);
		fail_commit(at, -ENODEV, true);
	}
}

Test(undo, survives_a_failure_in_its_own_middle)
{
	struct world w = committed();

	for (unsigned at = 0; at < set.cs.n + 6; at++) {
		struct sim *s = sim_new(&set, &w);
		struct world left;
		int r;

		s->fail_at = at;
		s->fail_code = -EIO;
		cr_assert_lt(undo_run(&s->io, &e), 0, "operation %u", at);
		left = sim_cut(s, 1);
		sim_free(s);
		r = run(undo_run, &left);
		cr_assert(r == 0 || r == -EALREADY, "%s", e.msg);
		cr_assert_eq(world_is(&set, &left), 0);
		world_done(&left);
	}
	world_done(&w);
}

Test(undo, sees_a_write_that_was_lost_without_a_word)
{
	struct world start = world_start(&set, crash_log_cap(&set), false);
	bool done_yet = false;

	for (unsigned at = 0; !done_yet; at++) {
		struct sim *s = sim_new(&set, &start);
		struct world left;
		int r;

		s->lie_at = at;
		r = undo_commit(&s->io, &set.cs, &e);
		done_yet = s->ops <= at;
		left = sim_cut(s, 0);
		/* a success is one where nothing was lost: the operation was no write, or zeroes over zeroes */
		if (r == 0)
			cr_assert(world_is(&set, &left) == 1 && state_of(&left) == RUN_DONE, "operation %u", at);
		(void)run(undo_run, &left);
		cr_assert_eq(world_is(&set, &left), 0, "operation %u: %s", at, e.msg);
		world_done(&left);
		sim_free(s);
	}
	world_done(&start);
}

/* ---- damaged undo files ---- */

static size_t interesting(const struct world *w)
{
	size_t slots = w->log_len - (size_t)SLOT_COUNT * UNDO_BLOCK;

	switch (crash_random(5)) {
	case 0: return (size_t)crash_random(256);
	case 1: return slots + (size_t)crash_random(SLOT_COUNT) * UNDO_BLOCK + (size_t)crash_random(96);
	case 2: return UNDO_BLOCK + (size_t)crash_random(8) * UNDO_SECTOR + (size_t)crash_random(48);
	default: return (size_t)crash_random(w->log_len);
	}
}

static void damage(struct world *w)
{
	size_t at = interesting(w), n;

	switch (crash_random(6)) {
	case 0:
		w->log_len = (size_t)crash_random(w->log_len);
		return;
	case 1: /* a sector of nothing */
		memset(w->log + at / UNDO_SECTOR * UNDO_SECTOR, 0, UNDO_SECTOR);
		return;
	case 2: /* one sector in the place of another */
		n = interesting(w) / UNDO_SECTOR;
		memcpy(w->log + at / UNDO_SECTOR * UNDO_SECTOR, w->log + n * UNDO_SECTOR, UNDO_SECTOR);
		return;
	default:
		for (n = (size_t)crash_random(4) + 1; n; n--, at = interesting(w))
			w->log[at] ^= (uint8_t)(1 + crash_random(255));
	}
}

Test(undo, never_writes_anything_wrong_from_ten_thousand_damaged_files, .timeout = 120)
{
	struct world from[3] = { committed(), cut_short(first_disk_write() + 3), committed() };
	unsigned refused = 0;

	cr_assert_eq(run(undo_run, &from[2]), 0);
	for (unsigned i = 0; i < 10000; i++) {
		struct world w = world_copy(&set, crash_log_cap(&set), &from[i % 3]);
		int is;

		damage(&w);
		e.msg[0] = 0;
		if (run(i % 2 ? undo_run : undo_resume, &w) < 0) {
			refused++;
			cr_assert_neq(e.msg[0], 0);
		}
		is = world_is(&set, &w);
		cr_assert(is >= 0 || !memcmp(w.disks, from[i % 3].disks, set.bytes), "round %u", i);
		world_done(&w);
	}
	cr_assert_gt(refused, 5000);
	for (unsigned i = 0; i < 3; i++)
		world_done(&from[i]);
}

/* A damaged body is refused whatever the state records say, and so is every damaged record of it. */
Test(undo, refuses_every_damaged_byte_of_the_body)
{
	struct world w = committed();
	size_t end = w.log_len - (size_t)SLOT_COUNT * UNDO_BLOCK;

	for (size_t at = 0; at < end; at += 61) {
		w.log[at] ^= 0x40;
		cr_assert_eq(run(undo_run, &w), -EBADMSG, "byte %zu", at);
		cr_assert_eq(world_is(&set, &w), 1);
		w.log[at] ^= 0x40;
	}
	cr_assert_eq(run(undo_run, &w), 0);
	world_done(&w);
}

static void break_slot(struct world *w, enum undo_slot slot)
{
	w->log[w->log_len - (size_t)(SLOT_COUNT - slot) * UNDO_BLOCK + 40] ^= 0x55;
}

Test(undo, takes_a_damaged_state_record_for_what_asks_most)
{
	struct world w = committed(), armed = cut_short(first_disk_write() + 2), undone;

	/* done: still exactly new */
	break_slot(&w, SLOT_DONE);
	cr_assert_eq(state_of(&w), RUN_DONE);
	break_slot(&w, SLOT_ARM);
	cr_assert_eq(state_of(&w), RUN_DONE);
	cr_assert_eq(run(undo_run, &w), 0, "%s", e.msg);
	cr_assert_eq(world_is(&set, &w), 0);
	undone = w;
	/* undone: it is done again, and nothing that is old can be wrong */
	break_slot(&undone, SLOT_UNDONE);
	cr_assert_eq(state_of(&undone), RUN_ARMED);
	cr_assert_eq(run(undo_run, &undone), 0, "%s", e.msg);
	/* armed: every sector old or new */
	break_slot(&armed, SLOT_ARM);
	cr_assert_eq(state_of(&armed), RUN_ARMED);
	cr_assert_eq(run(undo_run, &armed), 0, "%s", e.msg);
	cr_assert_eq(world_is(&set, &armed), 0);
	world_done(&undone);
	world_done(&armed);
}

/* ---- hostile undo files: all sums are right ---- */

static void sum_header(struct world *w)
{
	struct undo_header_disk h;
	uint32_t crc;

	memcpy(&h, w->log, sizeof(h));
	crc = htole32(undo_header_crc(&h));
	memcpy(h.crc.b, &crc, 4);
	memcpy(w->log, &h, sizeof(h));
}

Test(undo, refuses_counts_and_lengths_that_cannot_be)
{
	static const struct { size_t at; uint64_t value; unsigned len; } v[] = {
		{ 16, 2, 4 }, { 20, 512, 4 }, { 24, UINT64_MAX, 8 }, { 24, 1ull << 62, 8 }, { 24, 4097, 8 }, { 32, 0, 8 }, { 40, 65, 4 }, { 40, 0, 4 },
		{ 40, 3, 4 }, { 44, 1000001, 4 }, { 44, UINT32_MAX, 4 }, { 44, 1, 4 }, { 48, 4097, 4 }, { 48, 0, 4 }, { 52, 4, 4 }, { 52, 1, 4 },
		{ 56, 0x2f2e2e2f2e2e2f2eull, 8 }, { 144, 1, 1 },
	};
	struct world w = committed();

	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		struct world bad = world_copy(&set, crash_log_cap(&set), &w);
		uint64_t le = htole64(v[i].value);

		memcpy(bad.log + v[i].at, &le, v[i].len);
		sum_header(&bad);
		cr_assert_eq(run(undo_run, &bad), -EBADMSG, "%zu", i);
		cr_assert_eq(world_is(&set, &bad), 1);
		world_done(&bad);
	}
	world_done(&w);
}

Test(undo, refuses_records_whose_lengths_leave_the_file)
{
	static const uint64_t lens[] = { 0, 1, 511, 1ull << 20, 1ull << 30, (1ull << 30) + 1, 1ull << 40, UINT64_MAX, UINT64_MAX - 511 };
	struct world w = committed();
	size_t end = w.log_len - (size_t)SLOT_COUNT * UNDO_BLOCK;

	for (size_t at = UNDO_BLOCK; at < end; at += UNDO_SECTOR) {
		struct undo_record_disk rec;

		memcpy(&rec, w.log + at, sizeof(rec));
		if (memcmp(rec.magic, UNDO_RECORD_MAGIC, sizeof(rec.magic)))
			continue;
		for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
			struct world bad = world_copy(&set, crash_log_cap(&set), &w);
			uint64_t le = htole64(lens[i]);
			uint32_t crc;

			memcpy(rec.len.b, &le, 8);
			crc = htole32(undo_record_crc(&rec));
			memcpy(rec.crc.b, &crc, 4);
			memcpy(bad.log + at, &rec, sizeof(rec));
			cr_assert_eq(run(undo_run, &bad), -EBADMSG, "record at %zu, length %zu", at, i);
			world_done(&bad);
		}
	}
	world_done(&w);
}

Test(undo, refuses_what_is_no_undo_file_at_all)
{
	size_t cap = crash_log_cap(&set);

	for (unsigned i = 0; i < 300; i++) {
		struct world w = world_start(&set, cap, true);

		w.log_len = (size_t)crash_random(cap + 1);
		for (size_t k = 0; i % 2 && k < w.log_len; k++)
			w.log[k] = (uint8_t)crash_random(256);
		cr_assert_eq(run(undo_run, &w), -EBADMSG);
		world_done(&w);
	}
}

/* ---- sets ---- */

#define expect_refused(change, back)                                            \
	do {                                                                    \
		change;                                                         \
		cr_assert_eq(undo_check_set(&set.cs, &e), -EINVAL, #change);    \
		back;                                                           \
		cr_assert_eq(undo_check_set(&set.cs, &e), 0, "%s", e.msg);      \
	} while (0)

Test(undo, refuses_sets_that_are_not_well_formed)
{
	struct change *v = set.cs.v;
	struct watch *w = set.cs.watches;
	size_t n = set.cs.n;
	char huge[UNDO_MAX_NAME + 2];

	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = 0;
	cr_assert_eq(undo_check_set(&set.cs, &e), 0, "%s", e.msg);
	expect_refused(set.cs.n = 0, set.cs.n = n);
	expect_refused(set.cs.n = UNDO_MAX_CHANGES + 1, set.cs.n = n);
	expect_refused(set.cs.ndisks = 0, set.cs.ndisks = 2);
	expect_refused(set.cs.ndisks = 1, set.cs.ndisks = 2);
	expect_refused(set.cs.n = 3, set.cs.n = n);
	expect_refused(v[0].disk = 1, v[0].disk = 0);
	expect_refused(v[n - 1].disk = 2, v[n - 1].disk = 1);
	expect_refused(v[1].off -= 100, v[1].off += 100);
	expect_refused(v[0].off = UINT64_MAX - 511, v[0].off = 4096);
	expect_refused(v[0].len = 100, v[0].len = 4096);
	expect_refused(v[0].len = 0, v[0].len = 4096);
	expect_refused(v[1].off = 4096 + 512, v[1].off = 65536);
	expect_refused(v[2].len = 2 << 20, v[2].len = 8192);
	expect_refused(w[0].len = 0, w[0].len = 4096);
	expect_refused(w[0].off = UINT64_MAX, w[0].off = 0);
	expect_refused(w[0].disk = 2, w[0].disk = 0);
	expect_refused(w[2].bytes[600] ^= 1, w[2].bytes[600] ^= 1);
	expect_refused(memcpy(set.cs.run, "../../../../etc/pass", 21), memcpy(set.cs.run, "20261123T031207Z-1a2b", 22));
	expect_refused(set.cs.run[21] = 'x', set.cs.run[21] = 0);
	expect_refused(set.cs.plan_id[0] = 'x', set.cs.plan_id[0] = 0);
	expect_refused(set.cs.machine = huge, set.cs.machine = NULL);
	expect_refused(set.cs.disks[0].size = 0, set.cs.disks[0].size = 2 << 20);
	expect_refused(set.cs.disks[0].sector = 513, set.cs.disks[0].sector = 512);
}

static void expect_same(const struct change_set *a, const struct change_set *b)
{
	cr_assert(a->ndisks == b->ndisks && a->n == b->n && a->nwatches == b->nwatches);
	for (size_t i = 0; i < a->ndisks; i++) {
		cr_assert_str_eq(a->disks[i].name, b->disks[i].name);
		cr_assert_str_eq(a->disks[i].path, b->disks[i].path);
		cr_assert_str_eq(a->disks[i].serial, b->disks[i].serial);
		cr_assert(a->disks[i].size == b->disks[i].size && a->disks[i].sector == b->disks[i].sector);
		cr_assert_eq(memcmp(a->disks[i].digest, b->disks[i].digest, 32), 0);
	}
	for (size_t i = 0; i < a->n; i++) {
		cr_assert(a->v[i].disk == b->v[i].disk && a->v[i].off == b->v[i].off && a->v[i].len == b->v[i].len);
		cr_assert_eq(memcmp(a->v[i].old_, b->v[i].old_, a->v[i].len), 0);
		cr_assert_eq(memcmp(a->v[i].new_, b->v[i].new_, a->v[i].len), 0);
	}
	for (size_t i = 0; i < a->nwatches; i++) {
		cr_assert(a->watches[i].disk == b->watches[i].disk && a->watches[i].off == b->watches[i].off);
		cr_assert(a->watches[i].len == b->watches[i].len && !memcmp(a->watches[i].bytes, b->watches[i].bytes, a->watches[i].len));
	}
	cr_assert_str_eq(a->run, b->run);
	cr_assert_str_eq(a->plan_id, b->plan_id);
	cr_assert_str_eq(a->machine, b->machine);
	cr_assert_str_eq(a->facts, b->facts);
}

Test(undo, reads_from_a_descriptor_what_was_written_to_it)
{
	cleanup_close int fd = memfd_create("t", MFD_CLOEXEC);
	struct change_set back = { .n = 0 };
	char machine[] = "web07", facts[] = "{\"tool_version\":\"1\"}";
	int r;

	memcpy(set.cs.plan_id, "0123456789abcdef", 17);
	set.cs.machine = machine;
	set.cs.facts = facts;
	memcpy(set.cs.disks[1].serial, "6002248", 8);
	set.cs.disks[0].sector = 4096;
	cr_assert_eq(undo_write_image(fd, &set.cs, &e), 0, "%s", e.msg);
	cr_assert_eq(undo_read_image(fd, &back, &e), 0, "%s", e.msg);
	expect_same(&set.cs, &back);
	change_set_done(&back);
	set.cs.machine = set.cs.facts = NULL;
	/* one that is not whole is no set */
	r = (int)pwrite(fd, "x", 1, 8192 + 40);
	cr_assert_eq(r, 1);
	cr_assert_eq(undo_read_image(fd, &back, &e), -EBADMSG);
	cr_assert_eq(ftruncate(fd, 20000), 0);
	cr_assert_eq(undo_read_image(fd, &back, &e), -EBADMSG);
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_assert_eq(undo_read_image(fd, &back, &e), -EBADMSG);
}

Test(undo, finds_the_same_identity_before_after_and_in_between)
{
	cleanup_blk struct blk *before = NULL, *after = NULL;
	struct disk_identity a = { .size = 0 }, b = { .size = 0 };

	cr_assert_eq(blk_open_mem(set.before[1], (size_t)set.size[1], &before, &e), 0);
	cr_assert_eq(blk_open_mem(set.after[1], (size_t)set.size[1], &after, &e), 0);
	cr_assert_eq(disk_identify(before, "sdc", "/dev/sdc", 512, "S1", set.cs.v, set.cs.n, 1, &a, &e), 0);
	cr_assert_eq(disk_identify(after, "sdd", "/dev/sdd", 512, "S1", set.cs.v, set.cs.n, 1, &b, &e), 0);
	cr_assert_eq(memcmp(a.digest, b.digest, 32), 0);
	cr_assert_eq(memcmp(a.digest, set.cs.disks[1].digest, 32), 0);
	cr_assert_str_eq(b.name, "sdd");
	cr_assert_eq(a.size, set.size[1]);
	free(a.name);
	free(a.path);
	free(b.name);
	free(b.path);
	cr_assert_eq(disk_identify(after, "sdd", "/dev/sdd", 512, NULL, NULL, 0, 0, &b, &e), 0);
	cr_assert_neq(memcmp(a.digest, b.digest, 32), 0);
	free(b.name);
	free(b.path);
}

Test(change, holds_the_sectors_that_differ_inside_the_bounds)
{
	enum { SIZE = 64 * 1024 + 700 };
	static uint8_t base[SIZE];
	static const struct change_bound bounds[] = { { 4096, 8192 }, { 12288, 4096 }, { 65536, 700 } };
	static const struct { uint64_t off; size_t len; } want[] = { { 4608, 512 }, { 11776, 512 }, { 12288, 1024 }, { 65536 + 512, 188 } };
	cleanup_blk struct blk *under = NULL, *over = NULL;
	struct change_set cs = { .n = 0 };
	uint8_t ones[2048];

	memset(ones, 1, sizeof(ones));
	cr_assert_eq(blk_open_mem(base, SIZE, &under, &e), 0);
	cr_assert_eq(blk_open_overlay(under, &over, &e), 0);
	cr_assert_eq(blk_pwrite(over, ones, 10, 4700, &e), 0);          /* one sector of a block */
	cr_assert_eq(blk_pwrite(over, ones, 1536, 11776, &e), 0);       /* across two bounds */
	cr_assert_eq(blk_pwrite(over, ones, 2048, 1000, &e), 0);        /* outside */
	cr_assert_eq(blk_pwrite(over, ones, 512, 4096 - 256, &e), 0);   /* half in: only the half inside */
	cr_assert_eq(blk_pwrite(over, base, 512, 4096, &e), 0);         /* taken back */
	cr_assert_eq(blk_pwrite(over, ones, 2, SIZE - 2, &e), 0);       /* the short last sector */
	cr_assert_eq(change_set_collect(over, 3, bounds, 3, &cs, &e), 0, "%s", e.msg);
	cr_assert_eq(cs.n, sizeof(want) / sizeof(*want), "%zu", cs.n);
	for (size_t i = 0; i < cs.n; i++) {
		cr_assert(cs.v[i].off == want[i].off && cs.v[i].len == want[i].len && cs.v[i].disk == 3, "%zu", i);
		cr_assert_eq(memcmp(cs.v[i].old_, base + cs.v[i].off, cs.v[i].len), 0);
		cr_assert_neq(memcmp(cs.v[i].new_, cs.v[i].old_, cs.v[i].len), 0);
	}
	change_set_done(&cs);
	cr_assert_eq(change_set_collect(over, 0, NULL, 0, &cs, &e), 0);
	cr_assert_eq(cs.n, 0);
}
