/* SPDX-License-Identifier: MIT */
/* The undo file, read (doc/undo-format.md). It can come from another machine, or from a process that reads hostile disks: every length is bounded
 * before memory is taken for it, every byte that is not demanded must be zero, and all else is refused with where and what. */
#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/vec.h"
#include "repair/undo_layout.h"

/* The body as it comes from the file; every byte handed out is in the digest. */
struct source {
	struct wio *io;
	gcry_md_hd_t md;
	uint64_t off, end;
	bool keep;                      /* the bytes of changes and watches */
	uint64_t changed, watched;      /* bytes so far */
};

static int source_read(struct source *s, void *buf, size_t len, struct err *e)
{
	uint8_t *p = buf;

	if (!range_in(s->off, len, s->end))
		return err_set(e, -EBADMSG, "undo file: record at byte %ju is longer than what is left", (uintmax_t)s->off);
	while (len) {
		size_t n = len < UNDO_CHUNK ? len : UNDO_CHUNK;
		int r = s->io->pread(s->io, WIO_LOG, p, n, s->off);

		if (r < 0)
			return err_set(e, r, "undo file: cannot be read at byte %ju: %s", (uintmax_t)s->off, strerror(-r));
		gcry_md_write(s->md, p, n);
		s->off += n;
		p += n;
		len -= n;
	}
	return 0;
}

struct record {
	uint64_t at, off, len;
	unsigned disk;
	uint8_t *payload;               /* copies of undo_padded(len), and one NUL behind */
};

/* The next record, which must be of this type; len at most max. */
static int source_record(struct source *s, enum undo_record_type type, unsigned copies, uint64_t max, struct record *ret, struct err *e)
{
	struct undo_record_disk rec;
	struct record x = { .at = s->off };
	cleanup_free uint8_t *payload = NULL;
	uint64_t bytes;
	int r;

	r = source_read(s, &rec, sizeof(rec), e);
	if (r < 0)
		return r;
	if (memcmp(rec.magic, UNDO_RECORD_MAGIC, sizeof(rec.magic)) || le32_get(rec.type) != type ||
	    le32_get(rec.crc) != undo_record_crc(&rec) ||
	    !bytes_all_zero(rec.reserved, sizeof(rec.reserved)))
		return err_set(e, -EBADMSG, "undo file: record at byte %ju is damaged", (uintmax_t)x.at);
	x.off = le64_get(rec.off);
	x.len = le64_get(rec.len);
	x.disk = le32_get(rec.disk);
	if (x.len > max || undo_padded(x.len, UNDO_SECTOR) > (s->end - s->off) / copies)
		return err_set(e, -EBADMSG, "undo file: record at byte %ju says %ju bytes, which is too much", (uintmax_t)x.at,
			       (uintmax_t)x.len);
	bytes = copies * undo_padded(x.len, UNDO_SECTOR);
	payload = malloc((size_t)bytes + 1);
	if (!payload)
		return err_oom(e);
	r = source_read(s, payload, (size_t)bytes, e);
	if (r < 0)
		return r;
	if (le32_get(rec.payload_crc) != bytes_crc32(0, payload, (size_t)bytes))
		return err_set(e, -EBADMSG, "undo file: the bytes of the record at byte %ju are damaged", (uintmax_t)x.at);
	for (unsigned i = 0; i < copies; i++)
		if (!bytes_all_zero(payload + (i + 1) * (bytes / copies) - (bytes / copies - x.len), (size_t)(bytes / copies - x.len)))
			return err_set(e, -EBADMSG, "undo file: record at byte %ju has bytes where none belong", (uintmax_t)x.at);
	payload[bytes] = 0;
	x.payload = take_ptr(&payload);
	*ret = x;
	return 0;
}

static int read_disk(struct source *s, struct disk_identity *id, struct err *e)
{
	struct undo_identity_disk fixed;
	cleanup_free uint8_t *payload = NULL;
	struct record rec;
	uint64_t name, path;
	int r = source_record(s, REC_DISK, 1, sizeof(fixed) + 2 * UNDO_MAX_NAME, &rec, e);

	if (r < 0)
		return r;
	payload = rec.payload;
	if (rec.len < sizeof(fixed))
		return err_set(e, -EBADMSG, "undo file: record at byte %ju is too short", (uintmax_t)rec.at);
	memcpy(&fixed, payload, sizeof(fixed));
	name = le32_get(fixed.name_len);
	path = le32_get(fixed.path_len);
	if (name > UNDO_MAX_NAME || path > UNDO_MAX_NAME || sizeof(fixed) + name + path != rec.len ||
	    memchr(payload + sizeof(fixed), 0, (size_t)(name + path)) || !memchr(fixed.serial, 0, sizeof(fixed.serial)) ||
	    !bytes_all_zero(fixed.reserved, sizeof(fixed.reserved)))
		return err_set(e, -EBADMSG, "undo file: the disk at byte %ju is not well formed", (uintmax_t)rec.at);
	id->size = le64_get(fixed.size);
	id->sector = le32_get(fixed.sector);
	memcpy(id->digest, fixed.digest, sizeof(id->digest));
	memcpy(id->serial, fixed.serial, sizeof(id->serial));
	id->name = str_ndup(payload + sizeof(fixed), (size_t)name);
	id->path = str_ndup(payload + sizeof(fixed) + name, (size_t)path);
	return id->name && id->path ? 0 : err_oom(e);
}

static int read_text(struct source *s, enum undo_record_type type, uint64_t max, char **ret, struct err *e)
{
	struct record rec;
	int r = source_record(s, type, 1, max, &rec, e);

	if (r < 0)
		return r;
	if (memchr(rec.payload, 0, (size_t)rec.len)) {
		free(rec.payload);
		return err_set(e, -EBADMSG, "undo file: the text at byte %ju has a zero byte in it", (uintmax_t)rec.at);
	}
	rec.payload[rec.len] = 0;
	*ret = (char *)rec.payload;
	return 0;
}

static int read_change(struct source *s, struct change *c, struct err *e)
{
	struct record rec;
	int r = source_record(s, REC_CHANGE, 2, UNDO_MAX_BYTES - s->changed, &rec, e);
	size_t len;

	if (r < 0)
		return r;
	len = (size_t)rec.len;
	s->changed += len;
	*c = (struct change){ .disk = rec.disk, .off = rec.off, .len = len };
	if (s->keep && len) {
		c->old_ = malloc(len);
		c->new_ = malloc(len);
		if (c->old_ && c->new_) {
			memcpy(c->old_, rec.payload, len);
			memcpy(c->new_, rec.payload + undo_padded(len, UNDO_SECTOR), len);
		}
	}
	free(rec.payload);
	return !s->keep || !len || (c->old_ && c->new_) ? 0 : err_oom(e);
}

static int read_watch(struct source *s, struct watch *w, struct err *e)
{
	struct record rec;
	int r = source_record(s, REC_WATCH, 1, UNDO_MAX_WATCHED - s->watched, &rec, e);

	if (r < 0)
		return r;
	s->watched += rec.len;
	*w = (struct watch){ .disk = rec.disk, .off = rec.off, .len = (size_t)rec.len };
	if (s->keep)
		w->bytes = take_ptr(&rec.payload);
	free(rec.payload);
	return 0;
}

/* Grown as records really come, so that a header alone cannot take memory. */
static int read_records(struct source *s, const struct undo_header_disk *h, struct change_set *cs, struct err *e)
{
	uint32_t flags = le32_get(h->flags);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < le32_get(h->ndisks); i++) {
		struct disk_identity *id = vec_push(&cs->disks, &cs->ndisks);

		r = id ? read_disk(s, id, e) : err_oom(e);
	}
	if (r == 0 && (flags & UNDO_HAS_MACHINE))
		r = read_text(s, REC_MACHINE, UNDO_MAX_NAME, &cs->machine, e);
	if (r == 0 && (flags & UNDO_HAS_FACTS))
		r = read_text(s, REC_FACTS, UNDO_MAX_FACTS, &cs->facts, e);
	for (uint32_t i = 0; r == 0 && i < le32_get(h->nchanges); i++) {
		struct change *c = vec_push(&cs->v, &cs->n);

		r = c ? read_change(s, c, e) : err_oom(e);
	}
	for (uint32_t i = 0; r == 0 && i < le32_get(h->nwatches); i++) {
		struct watch *w = vec_push(&cs->watches, &cs->nwatches);

		r = w ? read_watch(s, w, e) : err_oom(e);
	}
	return r;
}

static int read_body(struct source *s, const struct undo_header_disk *h, struct change_set *cs, struct err *e)
{
	uint8_t rest[UNDO_BLOCK];
	int r = read_records(s, h, cs, e);

	if (r < 0)
		return r;
	if (s->end - s->off >= UNDO_BLOCK)
		return err_set(e, -EBADMSG, "undo file: its records end at byte %ju, its body at %ju", (uintmax_t)s->off,
			       (uintmax_t)s->end);
	size_t n = (size_t)(s->end - s->off);

	r = source_read(s, rest, n, e);
	if (r < 0)
		return r;
	if (!bytes_all_zero(rest, n))
		return err_set(e, -EBADMSG, "undo file: bytes after the last record");
	if (memcmp(gcry_md_read(s->md, GCRY_MD_SHA256), h->body_sha, sizeof(h->body_sha)))
		return err_set(e, -EBADMSG, "undo file: its SHA-256 is not the one that its header has");
	r = undo_check_set(cs, e);
	return r < 0 ? err_wrap(e, -EBADMSG, "undo file") : 0;
}

static int read_header(struct wio *io, struct undo_header_disk *h, struct undo_file *f, struct err *e)
{
	uint64_t size = io->size(io, WIO_LOG), body;
	uint8_t block[UNDO_BLOCK];
	int r;

	if (size < UNDO_BLOCK)
		return err_set(e, -EBADMSG, "undo file: %ju bytes are too few for one", (uintmax_t)size);
	r = io->pread(io, WIO_LOG, block, sizeof(block), 0);
	if (r < 0)
		return err_set(e, r, "undo file: cannot be read at byte 0: %s", strerror(-r));
	memcpy(h, block, sizeof(*h));
	if (bytes_all_zero(block, sizeof(block)))
		return err_set(e, -EBADMSG, "undo file: its header is empty: the run ended before it was armed, or the file was damaged since");
	if (memcmp(h->magic, UNDO_HEADER_MAGIC, sizeof(h->magic)))
		return err_set(e, -EBADMSG, "not an undo file");
	if (le32_get(h->crc) != undo_header_crc(h) ||
	    !bytes_all_zero(h->reserved, sizeof(h->reserved)) || !bytes_all_zero(block + sizeof(*h), sizeof(block) - sizeof(*h)))
		return err_set(e, -EBADMSG, "undo file: its header is damaged");
	if (le32_get(h->version) != UNDO_VERSION || le32_get(h->header_len) != UNDO_BLOCK)
		return err_set(e, -EBADMSG, "undo file: version %u is not known here", le32_get(h->version));
	body = le64_get(h->body_len);
	if (body % UNDO_BLOCK || body > INT64_MAX / 2 || undo_file_len(body) != le64_get(h->file_len))
		return err_set(e, -EBADMSG, "undo file: its header is not well formed");
	if (size != undo_file_len(body))
		return err_set(e, -EBADMSG, "undo file: has %ju bytes, must have %ju", (uintmax_t)size, (uintmax_t)undo_file_len(body));
	if (le32_get(h->ndisks) > UNDO_MAX_DISKS || le32_get(h->nchanges) > UNDO_MAX_CHANGES ||
	    le32_get(h->nwatches) > UNDO_MAX_WATCHES || le32_get(h->flags) > (UNDO_HAS_MACHINE | UNDO_HAS_FACTS) ||
	    !memchr(h->run, 0, sizeof(h->run)) || !memchr(h->plan_id, 0, sizeof(f->cs.plan_id)))
		return err_set(e, -EBADMSG, "undo file: its header has a count or name that cannot be");
	f->body_len = body;
	bytes_sha256(h, sizeof(*h), f->header_sha);
	memcpy(f->cs.run, h->run, sizeof(f->cs.run));
	memcpy(f->cs.plan_id, h->plan_id, sizeof(f->cs.plan_id));
	return 0;
}

static int read_slot(struct wio *io, struct undo_file *f, enum undo_slot slot, struct err *e)
{
	uint8_t block[UNDO_BLOCK];
	struct undo_state_disk s;
	int r = io->pread(io, WIO_LOG, block, sizeof(block), undo_slot_off(f->body_len, slot));

	if (r < 0 && r != -EIO)
		return err_set(e, r, "undo file: state record cannot be read: %s", strerror(-r));
	memcpy(&s, block, sizeof(s));
	if (r == -EIO)
		f->slot[slot] = SLOT_BAD;
	else if (bytes_all_zero(block, sizeof(block)))
		f->slot[slot] = SLOT_EMPTY;
	else if (!memcmp(s.magic, UNDO_STATE_MAGIC, sizeof(s.magic)) && le32_get(s.kind) == (uint32_t)slot + 1 && le32_get(s.zero) == 0 &&
		 !memcmp(s.run, f->cs.run, sizeof(s.run)) && !memcmp(s.header_sha, f->header_sha, sizeof(s.header_sha)) &&
		 bytes_all_zero(s.reserved, sizeof(s.reserved)) && bytes_all_zero(block + sizeof(s), sizeof(block) - sizeof(s)) &&
		 le32_get(s.crc) == undo_state_crc(&s))
		f->slot[slot] = SLOT_GOOD;
	else
		f->slot[slot] = SLOT_BAD;
	return 0;
}

void change_set_done(struct change_set *cs)
{
	size_t i;

	for (i = 0; i < cs->ndisks; i++) {
		free(cs->disks[i].name);
		free(cs->disks[i].path);
	}
	for (i = 0; i < cs->n; i++) {
		free(cs->v[i].old_);
		free(cs->v[i].new_);
	}
	for (i = 0; i < cs->nwatches; i++)
		free(cs->watches[i].bytes);
	free(cs->disks);
	free(cs->v);
	free(cs->watches);
	free(cs->machine);
	free(cs->facts);
	*cs = (struct change_set){ 0 };
}

void undo_file_done(struct undo_file *f)
{
	change_set_done(&f->cs);
	*f = (struct undo_file){ 0 };
}

/* A state record that is damaged (its sector was being written when the power went, or it rotted since) counts as what asks most of the disks:
 * armed, because then every sector must be old or new; done, because then all of them must be new and the file system unused; an undo that began or
 * ended as not begun or not ended. */
enum run_state undo_file_state(const struct undo_file *f, bool *ret_undoing)
{
	*ret_undoing = f->slot[SLOT_UNDOING] == SLOT_GOOD;
	if (f->slot[SLOT_UNDONE] == SLOT_GOOD)
		return RUN_UNDONE;
	if (*ret_undoing)
		return RUN_ARMED;
	if (f->slot[SLOT_DONE] != SLOT_EMPTY)
		return RUN_DONE;
	return f->slot[SLOT_ARM] != SLOT_EMPTY ? RUN_ARMED : RUN_NONE;
}

/* No state record was ever written: a body that is not whole means that the run ended while it wrote that. */
static bool is_never_armed(const struct undo_file *f)
{
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		if (f->slot[slot] != SLOT_EMPTY)
			return false;
	return true;
}

static void keep_name_only(struct undo_file *f)
{
	struct change_set cs = { 0 };

	memcpy(cs.run, f->cs.run, sizeof(cs.run));
	memcpy(cs.plan_id, f->cs.plan_id, sizeof(cs.plan_id));
	change_set_done(&f->cs);
	f->cs = cs;
}

static int load(struct wio *io, bool with_bytes, struct undo_file *f, struct err *e)
{
	struct source s = { .io = io, .off = UNDO_BLOCK, .keep = with_bytes };
	struct undo_header_disk h;
	int r;

	r = read_header(io, &h, f, e);
	for (int slot = 0; r == 0 && slot < SLOT_COUNT; slot++)
		r = read_slot(io, f, slot, e);
	if (r < 0)
		return r;
	s.end = UNDO_BLOCK + f->body_len;
	if (gcry_md_open(&s.md, GCRY_MD_SHA256, 0))
		return err_oom(e);
	r = read_body(&s, &h, &f->cs, e);
	gcry_md_close(s.md);
	f->whole = r == 0;
	if (r == -EBADMSG && is_never_armed(f)) {
		keep_name_only(f);
		return 0;
	}
	return r;
}

int undo_load(struct wio *io, bool with_bytes, struct undo_file *ret, struct err *e)
{
	struct undo_file f = { 0 };
	int r;

	bytes_gcrypt_init();
	r = load(io, with_bytes, &f, e);
	if (r < 0) {
		undo_file_done(&f);
		return r;
	}
	*ret = f;
	return 0;
}

int undo_verify_body(struct wio *io, const struct undo_file *f, struct err *e)
{
	struct undo_file back = { 0 };
	bool same;
	int r = undo_load(io, false, &back, e);

	if (r < 0)
		return r;
	same = back.whole && is_never_armed(&back) && !memcmp(back.header_sha, f->header_sha, sizeof(f->header_sha));
	undo_file_done(&back);
	return same ? 0 : err_set(e, -EIO, "undo file: reads back as something else than was written");
}

int undo_read(struct wio *io, struct change_set *ret, enum run_state *ret_state, struct err *e)
{
	struct undo_file f = { 0 };
	bool undoing;
	int r = undo_load(io, true, &f, e);

	if (r < 0)
		return r;
	*ret_state = undo_file_state(&f, &undoing);
	*ret = f.cs;
	return 0;
}
