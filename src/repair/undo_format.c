/* SPDX-License-Identifier: MIT */
/* The undo file, written as doc/undo-format.md says: one header sector, a body of records (each with a CRC-32, all of them under one SHA-256)
 * whose old and new bytes lie at multiples of 512, and four state records in blocks of their own. undo_load.c reads it. A set that is not well
 * formed or beyond the limits is refused here, before it is written and after it was read. */
#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "repair/undo_layout.h"

static le32 put32(uint32_t x)
{
	le32 v;

	x = htole32(x);
	memcpy(v.b, &x, sizeof(x));
	return v;
}

static le64 put64(uint64_t x)
{
	le64 v;

	x = htole64(x);
	memcpy(v.b, &x, sizeof(x));
	return v;
}

static size_t text_len(const char *s)
{
	return s ? strlen(s) : 0;
}

/* ---- limits ---- */

/* YYYYMMDDTHHMMSSZ-xxxx: it becomes a file's name. */
static bool is_run_name(const char run[32])
{
	static const char form[] = "ddddddddTddddddZ-xxxx";

	for (size_t i = 0; i < sizeof(form); i++) {
		bool digit = run[i] >= '0' && run[i] <= '9';

		if (form[i] == 'd' ? !digit : form[i] == 'x' ? !digit && (run[i] < 'a' || run[i] > 'f') : run[i] != form[i])
			return false;
	}
	return true;
}

static bool is_plan_id(const char id[17])
{
	size_t n = strnlen(id, 17);

	return (n == 0 || n == 16) && strspn(id, "0123456789abcdef") == n;
}

static int check_disks(const struct change_set *cs, struct err *e)
{
	for (size_t i = 0; i < cs->ndisks; i++) {
		const struct disk_identity *d = &cs->disks[i];

		if (d->size == 0 || d->size > 1ULL << 53)
			return err_set(e, -EINVAL, "disk %zu of the set: a size of %ju bytes", i, (uintmax_t)d->size);
		if (d->sector < 512 || d->sector > 65536 || (d->sector & (d->sector - 1)))
			return err_set(e, -EINVAL, "disk %zu of the set: a sector size of %u", i, d->sector);
		if (text_len(d->name) > UNDO_MAX_NAME || text_len(d->path) > UNDO_MAX_NAME ||
		    !memchr(d->serial, 0, sizeof(d->serial)))
			return err_set(e, -EINVAL, "disk %zu of the set: a name that is too long", i);
	}
	return 0;
}

static int check_changes(const struct change_set *cs, struct err *e)
{
	uint64_t end = 0, bytes = 0;
	unsigned disk = 0;

	for (size_t i = 0; i < cs->n; i++) {
		const struct change *c = &cs->v[i];

		/* by disk, and no disk without one */
		if (c->disk != disk) {
			disk++;
			end = 0;
		}
		if (c->disk != disk || disk >= cs->ndisks || (i == 0 && disk != 0))
			return err_set(e, -EINVAL, "change %zu of the set: disk %u is out of order", i, c->disk);
		if (c->len == 0 || !range_in(c->off, c->len, cs->disks[disk].size) || c->off % UNDO_SECTOR ||
		    (c->len % UNDO_SECTOR && c->off + c->len != cs->disks[disk].size))
			return err_set(e, -EINVAL, "change %zu of the set: %zu bytes at byte %ju are no sectors of the disk", i, c->len,
				       (uintmax_t)c->off);
		if (c->off < end)
			return err_set(e, -EINVAL, "change %zu of the set: overlaps the one before", i);
		end = c->off + c->len;
		bytes += c->len;
		if (bytes > UNDO_MAX_BYTES)
			return err_set(e, -EINVAL, "the set changes more than 1 GiB");
	}
	return disk + 1 == cs->ndisks ? 0 : err_set(e, -EINVAL, "disk %u of the set: has no change", disk + 1);
}

size_t undo_first_change(const struct change_set *cs, unsigned disk, uint64_t off)
{
	size_t low = 0, high = cs->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct change *c = &cs->v[mid];

		if (c->disk < disk || (c->disk == disk && c->off + c->len <= off))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool undo_next_overlap(const struct change_set *cs, unsigned disk, uint64_t off, uint64_t len, size_t *i, struct undo_overlap *ret)
{
	const struct change *c = *i < cs->n ? &cs->v[*i] : NULL;
	uint64_t from, to;

	if (!c || c->disk != disk || c->off >= off + len)
		return false;
	from = c->off > off ? c->off : off;
	to = c->off + c->len < off + len ? c->off + c->len : off + len;
	*ret = (struct undo_overlap){ .change = c, .in_range = (size_t)(from - off), .in_change = (size_t)(from - c->off),
				      .len = (size_t)(to - from) };
	(*i)++;
	return true;
}

/* Where a watch meets a change it must expect what that writes. */
static bool is_watch_met(const struct change_set *cs, const struct watch *w)
{
	size_t i = undo_first_change(cs, w->disk, w->off);
	struct undo_overlap o;

	while (undo_next_overlap(cs, w->disk, w->off, w->len, &i, &o))
		if (o.change->new_ && w->bytes && memcmp(o.change->new_ + o.in_change, w->bytes + o.in_range, o.len))
			return false;
	return true;
}

static int check_watches(const struct change_set *cs, struct err *e)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < cs->nwatches; i++) {
		const struct watch *w = &cs->watches[i];

		if (w->disk >= cs->ndisks || w->len == 0 || !range_in(w->off, w->len, cs->disks[w->disk].size))
			return err_set(e, -EINVAL, "watch %zu of the set: leaves the disk", i);
		bytes += w->len;
		if (bytes > UNDO_MAX_WATCHED)
			return err_set(e, -EINVAL, "the set watches more than 64 MiB");
		if (!is_watch_met(cs, w))
			return err_set(e, -EINVAL, "watch %zu of the set: expects other bytes than the set writes", i);
	}
	return 0;
}

int undo_check_set(const struct change_set *cs, struct err *e)
{
	int r;

	if (cs->ndisks == 0 || cs->ndisks > UNDO_MAX_DISKS || cs->n == 0 || cs->n > UNDO_MAX_CHANGES || cs->nwatches > UNDO_MAX_WATCHES)
		return err_set(e, -EINVAL, "a set of %zu disks, %zu changes and %zu watches", cs->ndisks, cs->n, cs->nwatches);
	if (!is_run_name(cs->run) || !is_plan_id(cs->plan_id))
		return err_set(e, -EINVAL, "the set's run or plan has no proper name");
	if (text_len(cs->machine) > UNDO_MAX_NAME || text_len(cs->facts) > UNDO_MAX_FACTS)
		return err_set(e, -EINVAL, "the set's texts are too long");
	r = check_disks(cs, e);
	if (r == 0)
		r = check_changes(cs, e);
	return r ? r : check_watches(cs, e);
}

/* ---- lengths ---- */

uint64_t undo_body_len(const struct change_set *cs)
{
	uint64_t len = 0;
	size_t i;

	for (i = 0; i < cs->ndisks; i++)
		len += UNDO_SECTOR + undo_padded(sizeof(struct undo_identity_disk) + text_len(cs->disks[i].name) +
						    text_len(cs->disks[i].path), UNDO_SECTOR);
	if (cs->machine)
		len += UNDO_SECTOR + undo_padded(strlen(cs->machine), UNDO_SECTOR);
	if (cs->facts)
		len += UNDO_SECTOR + undo_padded(strlen(cs->facts), UNDO_SECTOR);
	for (i = 0; i < cs->n; i++)
		len += UNDO_SECTOR + 2 * undo_padded(cs->v[i].len, UNDO_SECTOR);
	for (i = 0; i < cs->nwatches; i++)
		len += UNDO_SECTOR + undo_padded(cs->watches[i].len, UNDO_SECTOR);
	return undo_padded(len, UNDO_BLOCK);
}

uint64_t undo_file_len(uint64_t body_len)
{
	return UNDO_BLOCK + body_len + (uint64_t)SLOT_COUNT * UNDO_BLOCK;
}

/* ---- writing ---- */

/* Bytes on their way into the file, counted into the digest. */
struct sink {
	struct wio *io;
	gcry_md_hd_t md;
	uint8_t *buf;                   /* UNDO_CHUNK bytes */
	size_t n;
	uint64_t off;
	int err;
};

static void sink_flush(struct sink *s)
{
	if (s->n == 0 || s->err)
		return;
	gcry_md_write(s->md, s->buf, s->n);
	s->err = s->io->pwrite(s->io, WIO_LOG, s->buf, s->n, s->off);
	s->off += s->n;
	s->n = 0;
}

static void sink_add(struct sink *s, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len && !s->err) {
		size_t n = UNDO_CHUNK - s->n < len ? UNDO_CHUNK - s->n : len;

		memcpy(s->buf + s->n, p, n);
		s->n += n;
		p += n;
		len -= n;
		if (s->n == UNDO_CHUNK)
			sink_flush(s);
	}
}

/* One or two byte strings of the same length, each padded to sectors. */
struct payload { const void *part[2]; size_t len; };

static uint32_t payload_crc(const struct payload *p)
{
	static const uint8_t zero[UNDO_SECTOR];
	uint32_t crc = 0;

	for (size_t i = 0; i < 2 && p->part[i]; i++) {
		crc = bytes_crc32(crc, p->part[i], p->len);
		crc = bytes_crc32(crc, zero, undo_padded(p->len, UNDO_SECTOR) - p->len);
	}
	return crc;
}

static void sink_record(struct sink *s, enum undo_record_type type, unsigned disk, uint64_t off, const struct payload *p)
{
	static const uint8_t zero[UNDO_SECTOR];
	struct undo_record_disk rec = { .type = put32(type), .disk = put32(disk), .off = put64(off), .len = put64(p->len) };

	memcpy(rec.magic, UNDO_RECORD_MAGIC, sizeof(rec.magic));
	rec.payload_crc = put32(payload_crc(p));
	rec.crc = put32(undo_record_crc(&rec));
	sink_add(s, &rec, sizeof(rec));
	for (size_t i = 0; i < 2 && p->part[i]; i++) {
		sink_add(s, p->part[i], p->len);
		sink_add(s, zero, undo_padded(p->len, UNDO_SECTOR) - p->len);
	}
}

static int sink_disk(struct sink *s, const struct disk_identity *id, unsigned disk)
{
	struct undo_identity_disk fixed = { .size = put64(id->size), .sector = put32(id->sector) };
	cleanup_str struct str text = { 0 };

	fixed.name_len = put32((uint32_t)text_len(id->name));
	fixed.path_len = put32((uint32_t)text_len(id->path));
	memcpy(fixed.digest, id->digest, sizeof(fixed.digest));
	memcpy(fixed.serial, id->serial, strnlen(id->serial, sizeof(fixed.serial) - 1));
	str_addn(&text, &fixed, sizeof(fixed));
	str_add(&text, id->name ? id->name : "");
	str_add(&text, id->path ? id->path : "");
	if (text.failed)
		return -ENOMEM;
	sink_record(s, REC_DISK, disk, 0, &(struct payload){ { text.p, NULL }, text.n });
	return 0;
}

static int sink_body(struct sink *s, const struct change_set *cs, uint64_t body_len)
{
	static const uint8_t zero[UNDO_SECTOR];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < cs->ndisks; i++)
		r = sink_disk(s, &cs->disks[i], (unsigned)i);
	if (r < 0)
		return r;
	if (cs->machine)
		sink_record(s, REC_MACHINE, 0, 0, &(struct payload){ { cs->machine, NULL }, strlen(cs->machine) });
	if (cs->facts)
		sink_record(s, REC_FACTS, 0, 0, &(struct payload){ { cs->facts, NULL }, strlen(cs->facts) });
	for (i = 0; i < cs->n; i++)
		sink_record(s, REC_CHANGE, cs->v[i].disk, cs->v[i].off,
			    &(struct payload){ { cs->v[i].old_, cs->v[i].new_ }, cs->v[i].len });
	for (i = 0; i < cs->nwatches; i++)
		sink_record(s, REC_WATCH, cs->watches[i].disk, cs->watches[i].off,
			    &(struct payload){ { cs->watches[i].bytes, NULL }, cs->watches[i].len });
	while (!s->err && s->off + s->n < UNDO_BLOCK + body_len)
		sink_add(s, zero, UNDO_SECTOR);
	sink_flush(s);
	return s->err;
}

static int write_header(struct wio *io, const struct change_set *cs, struct undo_file *f, const uint8_t body_sha[32])
{
	uint8_t block[UNDO_BLOCK] = { 0 };
	struct undo_header_disk h = { .version = put32(UNDO_VERSION), .header_len = put32(UNDO_BLOCK) };

	memcpy(h.magic, UNDO_HEADER_MAGIC, sizeof(h.magic));
	h.body_len = put64(f->body_len);
	h.file_len = put64(undo_file_len(f->body_len));
	h.ndisks = put32((uint32_t)cs->ndisks);
	h.nchanges = put32((uint32_t)cs->n);
	h.nwatches = put32((uint32_t)cs->nwatches);
	h.flags = put32((cs->machine ? UNDO_HAS_MACHINE : 0) | (cs->facts ? UNDO_HAS_FACTS : 0));
	memcpy(h.run, cs->run, strnlen(cs->run, sizeof(cs->run) - 1));
	memcpy(h.plan_id, cs->plan_id, strnlen(cs->plan_id, sizeof(cs->plan_id) - 1));
	memcpy(h.body_sha, body_sha, sizeof(h.body_sha));
	h.crc = put32(undo_header_crc(&h));
	bytes_sha256(&h, sizeof(h), f->header_sha);
	memcpy(block, &h, sizeof(h));
	return io->pwrite(io, WIO_LOG, block, sizeof(block), 0);
}

int undo_write_set(struct wio *io, const struct change_set *cs, struct undo_file *f, struct err *e)
{
	cleanup_free uint8_t *buf = malloc(UNDO_CHUNK);
	struct sink s = { .io = io, .buf = buf, .off = UNDO_BLOCK };
	uint8_t zero[UNDO_BLOCK] = { 0 };
	int r;

	bytes_gcrypt_init();
	if (!buf || gcry_md_open(&s.md, GCRY_MD_SHA256, 0))
		return err_oom(e);
	f->body_len = undo_body_len(cs);
	r = sink_body(&s, cs, f->body_len);
	if (r == 0)
		r = write_header(io, cs, f, gcry_md_read(s.md, GCRY_MD_SHA256));
	gcry_md_close(s.md);
	for (int slot = 0; r == 0 && slot < SLOT_COUNT; slot++)
		r = io->pwrite(io, WIO_LOG, zero, sizeof(zero), undo_slot_off(f->body_len, slot));
	if (r < 0)
		return err_set(e, r, "undo file: cannot be written: %s", strerror(-r));
	memcpy(f->cs.run, cs->run, sizeof(f->cs.run));
	return 0;
}

int undo_write_slot(struct wio *io, const struct undo_file *f, enum undo_slot slot, struct err *e)
{
	static const char *const names[SLOT_COUNT] = { "armed", "done", "undo begun", "undone" };
	struct undo_state_disk s = { .kind = put32((uint32_t)slot + 1) }, back;
	int r;

	memcpy(s.magic, UNDO_STATE_MAGIC, sizeof(s.magic));
	memcpy(s.run, f->cs.run, strnlen(f->cs.run, sizeof(s.run) - 1));
	memcpy(s.header_sha, f->header_sha, sizeof(s.header_sha));
	s.crc = put32(undo_state_crc(&s));
	r = io->pwrite(io, WIO_LOG, &s, sizeof(s), undo_slot_off(f->body_len, slot));
	if (r == 0)
		r = io->sync(io, WIO_LOG);
	if (r == 0)
		r = io->pread(io, WIO_LOG, &back, sizeof(back), undo_slot_off(f->body_len, slot));
	if (r == 0 && memcmp(&s, &back, sizeof(s)))
		r = -EIO;
	if (r < 0)
		return err_set(e, r, "undo file: cannot be marked '%s': %s", names[slot], strerror(-r));
	return 0;
}


const char *undo_disk_name(const struct change_set *cs, unsigned disk, char buf[64])
{
	const char *name = disk < cs->ndisks && cs->disks[disk].name ? cs->disks[disk].name : "";
	size_t n = strnlen(name, 63);

	for (size_t i = 0; i < n; i++)
		buf[i] = name[i] > ' ' && name[i] < 127 ? name[i] : '?';
	buf[n] = 0;
	return buf;
}
