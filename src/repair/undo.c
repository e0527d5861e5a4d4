/* SPDX-License-Identifier: MIT */
/* The protocol of a run (doc/undo-format.md). Commit: the undo file whole and on its medium, then the armed record, then the disks, then the
 * read-back, then the done record, each behind a sync of what came before. From armed to done every 512-byte sector of every change is old or new,
 * so that a run that was cut short anywhere can be taken back or finished from the undo file alone. A sector that is neither is somebody
 * else's, and then nothing is written. A failed sync is final: what it lost cannot be asked for again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "repair/undo_priv.h"

/* What a sector of a change may hold. */
enum want { WANT_OLD = 1, WANT_NEW = 2, WANT_EITHER = 3 };

/* The first ranges that hold something else, for the sentence. */
struct strays {
	struct { unsigned disk; uint64_t from, to; } v[3];
	size_t n;
	bool more;
};

static void strays_add(struct strays *s, unsigned disk, uint64_t off, size_t len)
{
	if (s->n && s->v[s->n - 1].disk == disk && s->v[s->n - 1].to == off && !s->more) {
		s->v[s->n - 1].to = off + len;
	} else if (s->n < sizeof(s->v) / sizeof(*s->v)) {
		s->v[s->n].disk = disk;
		s->v[s->n].from = off;
		s->v[s->n++].to = off + len;
	} else {
		s->more = true;
	}
}

static int strays_err(const struct strays *s, const struct change_set *cs, int code, const char *what, struct err *e)
{
	char text[256] = "", name[64];

	for (size_t i = 0; i < s->n; i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n, "%s%.24s bytes %" PRIu64 "-%" PRIu64, i ? ", " : "",
			 undo_disk_name(cs, s->v[i].disk, name), s->v[i].from, s->v[i].to - 1);
	}
	return err_set(e, code, "%s%s: %s", text, s->more ? " and more" : "", what);
}

static int read_disk(struct wio *io, const struct change_set *cs, unsigned disk, void *buf, size_t len, uint64_t off, struct err *e)
{
	int r = io->pread(io, (int)disk, buf, len, off);
	char name[64];

	if (r < 0)
		return err_set(e, r, "%s: cannot be read at byte %ju: %s", undo_disk_name(cs, disk, name), (uintmax_t)off, strerror(-r));
	return 0;
}

/* ---- who a disk is ---- */

/* One edge of the disk into the digest's buffer, its changes as zeroes. */
static int identity_edge(struct wio *io, int file, const struct change_set *cs, unsigned disk, uint64_t off, size_t len, uint8_t *buf,
			 struct err *e)
{
	size_t i = undo_first_change(cs, disk, off);
	struct undo_overlap o;
	int r = io->pread(io, file, buf, len, off);

	if (r < 0)
		return err_set(e, r, "disk: cannot be read at byte %ju: %s", (uintmax_t)off, strerror(-r));
	while (undo_next_overlap(cs, disk, off, len, &i, &o))
		memset(buf + o.in_range, 0, o.len);
	return 0;
}

int undo_identity(struct wio *io, int file, const struct change_set *cs, unsigned disk, uint8_t ret[32], struct err *e)
{
	uint64_t size = io->size(io, file), le = htole64(size);
	size_t edge = size < UNDO_EDGE ? (size_t)size : UNDO_EDGE;
	cleanup_free uint8_t *buf = malloc(sizeof(le) + 2 * edge);
	int r;

	if (!buf)
		return err_oom(e);
	memcpy(buf, &le, sizeof(le));
	r = identity_edge(io, file, cs, disk, 0, edge, buf + sizeof(le), e);
	if (r == 0)
		r = identity_edge(io, file, cs, disk, size - edge, edge, buf + sizeof(le) + edge, e);
	if (r < 0)
		return r;
	bytes_sha256(buf, sizeof(le) + 2 * edge, ret);
	return 0;
}

static int check_identities(struct wio *io, const struct change_set *cs, struct err *e)
{
	uint8_t digest[32];
	char name[64];

	for (size_t i = 0; i < cs->ndisks; i++) {
		uint64_t size = io->size(io, (int)i);
		int r;

		undo_disk_name(cs, (unsigned)i, name);
		if (size != cs->disks[i].size)
			return err_set(e, -ESTALE, "%s: has %ju bytes, the disk of this run has %ju", name, (uintmax_t)size,
				       (uintmax_t)cs->disks[i].size);
		r = undo_identity(io, (int)i, cs, (unsigned)i, digest, e);
		if (r < 0)
			return err_wrap(e, r, "%s", name);
		if (memcmp(digest, cs->disks[i].digest, sizeof(digest)))
			return err_set(e, -ESTALE, "%s: its first and last 64 KiB are not those of the disk of this run", name);
	}
	return 0;
}

/* ---- looking ---- */

static void compare_sectors(const struct change *c, const uint8_t *now, size_t at, size_t len, enum want want, struct strays *s)
{
	if ((want & WANT_NEW) && !memcmp(now, c->new_ + at, len))
		return;
	if ((want & WANT_OLD) && !memcmp(now, c->old_ + at, len))
		return;
	for (size_t i = 0, n; i < len; i += n) {
		n = len - i < UNDO_SECTOR ? len - i : UNDO_SECTOR;
		if (!((want & WANT_OLD) && !memcmp(now + i, c->old_ + at + i, n)) &&
		    !((want & WANT_NEW) && !memcmp(now + i, c->new_ + at + i, n)))
			strays_add(s, c->disk, c->off + at + i, n);
	}
}

/* Every sector of every change as wanted; else code and the sentence. */
static int check_changes(struct wio *io, const struct change_set *cs, enum want want, int code, const char *what, struct err *e)
{
	cleanup_free uint8_t *buf = malloc(UNDO_CHUNK);
	struct strays strays = { .n = 0 };

	if (!buf)
		return err_oom(e);
	for (size_t i = 0; i < cs->n && !strays.more; i++)
		for (size_t at = 0, n; at < cs->v[i].len; at += n) {
			int r;

			n = cs->v[i].len - at < UNDO_CHUNK ? cs->v[i].len - at : UNDO_CHUNK;
			r = read_disk(io, cs, cs->v[i].disk, buf, n, cs->v[i].off + at, e);
			if (r < 0)
				return r;
			compare_sectors(&cs->v[i], buf, at, n, want, &strays);
		}
	return strays.n ? strays_err(&strays, cs, code, what, e) : 0;
}

/* The watched bytes; outside_only: those that no change covers, which are the same before, after and in between. */
static int check_watches(struct wio *io, const struct change_set *cs, bool outside_only, int code, const char *what, struct err *e)
{
	for (size_t i = 0; i < cs->nwatches; i++) {
		const struct watch *w = &cs->watches[i];
		cleanup_free uint8_t *buf = malloc(w->len);
		size_t k = undo_first_change(cs, w->disk, w->off);
		struct undo_overlap o;
		struct strays s = { .n = 0 };
		int r = buf ? read_disk(io, cs, w->disk, buf, w->len, w->off, e) : err_oom(e);

		if (r < 0)
			return r;
		while (outside_only && undo_next_overlap(cs, w->disk, w->off, w->len, &k, &o))
			memcpy(buf + o.in_range, w->bytes + o.in_range, o.len);
		if (!memcmp(buf, w->bytes, w->len))
			continue;
		strays_add(&s, w->disk, w->off, w->len);
		return strays_err(&s, cs, code, what, e);
	}
	return 0;
}

/* ---- writing ---- */

static int write_changes(struct wio *io, const struct change_set *cs, enum want what, struct err *e)
{
	char name[64];

	for (size_t i = 0; i < cs->n; i++) {
		const struct change *c = &cs->v[i];
		const uint8_t *bytes = what == WANT_NEW ? c->new_ : c->old_;

		for (size_t at = 0, n; at < c->len; at += n) {
			int r;

			n = c->len - at < UNDO_CHUNK ? c->len - at : UNDO_CHUNK;
			r = io->pwrite(io, (int)c->disk, bytes + at, n, c->off + at);
			if (r < 0)
				return err_set(e, r, "%s: cannot be written at byte %ju: %s", undo_disk_name(cs, c->disk, name),
					       (uintmax_t)(c->off + at), strerror(-r));
		}
	}
	for (size_t i = 0; i < cs->ndisks; i++) {
		int r = io->sync(io, (int)i);

		if (r < 0)
			return err_set(e, r, "%s: what was written did not reach it: %s", undo_disk_name(cs, (unsigned)i, name), strerror(-r));
	}
	return check_changes(io, cs, what, -EIO, "reads back other bytes than were written", e);
}

/* What an armed run leaves to be done. */
static int still_armed(const struct change_set *cs, const char *how, struct err *e)
{
	return err_wrap(e, -EIO, "run %.31s stays armed; %s", cs->run, how);
}

static int write_new(struct wio *io, const struct undo_file *f, const struct change_set *cs, struct err *e)
{
	int r = write_changes(io, cs, WANT_NEW, e);

	if (r == 0)
		r = check_watches(io, cs, false, -EIO, "is not what it must be after the commit", e);
	if (r < 0)
		return still_armed(cs, "take it back with 'aderescue undo', which needs nothing but the undo file", e);
	r = undo_write_slot(io, f, SLOT_DONE, e);
	return r < 0 ? still_armed(cs, "all was written and read back, but could not be marked so; 'aderescue resume' or 'undo' can", e) : 0;
}

/* ---- a run ---- */

static int check_before(struct wio *io, const struct change_set *cs, struct err *e)
{
	int r = check_identities(io, cs, e);

	if (r == 0)
		r = check_changes(io, cs, WANT_OLD, -ESTALE, "is not what it was when the plan was made; nothing was written", e);
	if (r == 0)
		r = check_watches(io, cs, true, -ESTALE, "is not what it was when the plan was made; nothing was written", e);
	return r;
}

/* The undo file, whole and on its medium, not armed. */
static int write_log(struct wio *io, const struct change_set *cs, struct undo_file *f, struct err *e)
{
	int r = io->reserve(io, undo_file_len(undo_body_len(cs)));

	if (r < 0)
		return err_set(e, r, "undo file: no room for its %ju bytes: %s", (uintmax_t)undo_file_len(undo_body_len(cs)), strerror(-r));
	r = undo_write_set(io, cs, f, e);
	if (r < 0)
		return r;
	r = io->sync(io, WIO_LOG);
	if (r < 0)
		return err_set(e, r, "undo file: did not reach its disk: %s", strerror(-r));
	r = io->sync_dir(io);
	if (r < 0)
		return err_set(e, r, "undo file: its folder did not reach its disk: %s", strerror(-r));
	return undo_verify_body(io, f, e);
}

int undo_commit(struct wio *io, const struct change_set *cs, struct err *e)
{
	struct undo_file f = { .body_len = 0 };
	int r = undo_check_set(cs, e);

	if (r == 0)
		r = check_before(io, cs, e);
	if (r < 0)
		return r;
	r = write_log(io, cs, &f, e);
	if (r == 0)
		r = undo_write_slot(io, &f, SLOT_ARM, e);
	if (r < 0)
		return err_wrap(e, r, "nothing was written to a disk");
	return write_new(io, &f, cs, e);
}

/* What both ways out of a run begin with: the file is whole, the disks are those of the run, and hold nothing but what the run's state allows. */
static int open_run(struct wio *io, struct undo_file *f, enum run_state *ret_state, bool *ret_undoing, struct err *e)
{
	static const char used[] = "was changed since by something else; nothing was written";
	static const char system_used[] = "the file system was used since (a boot, a mount, a repair); nothing was written";
	bool done;
	int r = undo_load(io, true, f, e);

	if (r < 0)
		return r;
	*ret_state = undo_file_state(f, ret_undoing);
	if (*ret_state == RUN_NONE)
		return err_set(e, -ENODATA, "run %.31s was never armed: nothing was written to a disk, there is nothing to take back", f->cs.run);
	if (*ret_state == RUN_UNDONE)
		return err_set(e, -EALREADY, "run %.31s is taken back already", f->cs.run);
	r = check_identities(io, &f->cs, e);
	if (r < 0)
		return r;
	done = *ret_state == RUN_DONE;
	r = check_changes(io, &f->cs, done ? WANT_NEW : WANT_EITHER, -ESTALE, used, e);
	return r ? r : check_watches(io, &f->cs, !done, -ESTALE, system_used, e);
}

static int take_back(struct wio *io, const struct undo_file *f, bool undoing, struct err *e)
{
	static const char again[] = "'aderescue undo' goes on where it ended";
	int r = undoing ? 0 : undo_write_slot(io, f, SLOT_UNDOING, e);

	if (r < 0)
		return err_wrap(e, r, "run %.31s was not taken back, nothing was written to a disk", f->cs.run);
	r = write_changes(io, &f->cs, WANT_OLD, e);
	if (r < 0)
		return still_armed(&f->cs, again, e);
	r = undo_write_slot(io, f, SLOT_UNDONE, e);
	return r < 0 ? still_armed(&f->cs, "every byte is back, but could not be marked so; 'aderescue undo' can", e) : 0;
}

int undo_run(struct wio *io, struct err *e)
{
	struct undo_file f = { .body_len = 0 };
	enum run_state state;
	bool undoing;
	int r = open_run(io, &f, &state, &undoing, e);

	if (r == 0)
		r = take_back(io, &f, undoing, e);
	undo_file_done(&f);
	return r;
}

int undo_resume(struct wio *io, struct err *e)
{
	struct undo_file f = { .body_len = 0 };
	enum run_state state;
	bool undoing;
	int r = open_run(io, &f, &state, &undoing, e);

	if (r == 0 && undoing)
		r = err_set(e, -EPERM, "run %.31s: taking it back has begun; 'aderescue undo' goes on", f.cs.run);
	if (r == 0 && state == RUN_DONE)
		r = err_set(e, -EALREADY, "run %.31s is done already", f.cs.run);
	if (r == 0)
		r = write_new(io, &f, &f.cs, e);
	undo_file_done(&f);
	return r;
}
