/* SPDX-License-Identifier: MIT */
/* Undo files: read, and offered to undo and resume over disks of zeroes, which must not be written outside of the changes. CRCs and digests
 * are put right first. */
#include "fuzz.h"
#include "repair/undo_layout.h"

enum { MAX_LOG = 1 << 20 };
struct log { struct wio io; uint8_t *p; size_t n; const struct change_set *cs; };

static int log_pread(struct wio *io, int file, void *buf, size_t len, uint64_t off)
{
	const struct log *l = (struct log *)io;

	memset(buf, 0, len);
	if (file != WIO_LOG)
		return 0;
	if (!range_in(off, len, l->n))
		return -EIO;
	memcpy(buf, l->p + off, len);
	return 0;
}

static int log_pwrite(struct wio *io, int file, const void *buf, size_t len, uint64_t off)
{
	const struct log *l = (struct log *)io;
	bool inside = false;

	if (file == WIO_LOG) {
		if (!range_in(off, len, l->n))
			return -ENOSPC;
		memcpy(l->p + off, buf, len);
		return 0;
	}
	for (size_t i = 0; i < l->cs->n; i++)
		inside |= l->cs->v[i].disk == (unsigned)file && off >= l->cs->v[i].off && off + len <= l->cs->v[i].off + l->cs->v[i].len;
	MUST(inside);
	return 0;
}

static int log_sync(struct wio *io, int file)
{
	(void)io;
	(void)file;
	return 0;
}

static int log_sync_dir(struct wio *io)
{
	(void)io;
	return 0;
}

static int log_reserve(struct wio *io, uint64_t len)
{
	(void)io;
	(void)len;
	return 0;
}

static uint64_t log_size(struct wio *io, int file)
{
	const struct log *l = (struct log *)io;

	if (file == WIO_LOG)
		return l->n;
	return (size_t)file < l->cs->ndisks ? l->cs->disks[file].size : 0;
}

/* All that is computed over other bytes, as far as the file is one. */
static void repair(struct log *l)
{
	struct undo_header_disk h;
	uint64_t at = UNDO_BLOCK, end, len;

	if (l->n < UNDO_BLOCK)
		return;
	memcpy(&h, l->p, sizeof(h));
	end = UNDO_BLOCK + le64_get(h.body_len);
	if (end < UNDO_BLOCK || end > l->n)
		return;
	while (end - at >= UNDO_SECTOR) {
		struct undo_record_disk r;

		memcpy(&r, l->p + at, sizeof(r));
		if (memcmp(r.magic, UNDO_RECORD_MAGIC, sizeof(r.magic)) || le64_get(r.len) > l->n)
			break;
		len = undo_padded(le64_get(r.len), UNDO_SECTOR) * (le32_get(r.type) == REC_CHANGE ? 2 : 1);
		if (len > end - at - UNDO_SECTOR)
			break;
		put_le32(r.payload_crc.b, bytes_crc32(0, l->p + at + UNDO_SECTOR, len));
		put_le32(r.crc.b, undo_record_crc(&r));
		memcpy(l->p + at, &r, sizeof(r));
		at += UNDO_SECTOR + len;
	}
	bytes_sha256(l->p + UNDO_BLOCK, end - UNDO_BLOCK, h.body_sha);
	put_le32(h.crc.b, undo_header_crc(&h));
	memcpy(l->p, &h, sizeof(h));
	for (int i = 0; i < SLOT_COUNT && end + (uint64_t)(i + 1) * UNDO_BLOCK <= l->n; i++) {
		struct undo_state_disk s;
		uint8_t *p = l->p + end + (size_t)i * UNDO_BLOCK;

		memcpy(&s, p, sizeof(s));
		if (memcmp(s.magic, UNDO_STATE_MAGIC, sizeof(s.magic)))
			continue;
		bytes_sha256(&h, sizeof(h), s.header_sha);
		put_le32(s.crc.b, undo_state_crc(&s));
		memcpy(p, &s, sizeof(s));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct change_set cs = { 0 };
	struct log l = {
		.io = { .pread = log_pread, .pwrite = log_pwrite, .sync = log_sync, .sync_dir = log_sync_dir, .reserve = log_reserve,
			.size = log_size },
		.cs = &cs,
	};
	cleanup_blk struct blk *blk = sparse_open(data, size);
	enum run_state state;

	if (!blk || blk->size > MAX_LOG)
		return 0;
	l.n = (size_t)blk->size;
	l.p = malloc(l.n + 1);
	MUST(l.p && blk_pread(blk, l.p, l.n, 0, NULL) == 0);
	repair(&l);
	if (undo_read(&l.io, &cs, &state, NULL) == 0 && state != RUN_NONE) {
		MUST(undo_check_set(&cs, NULL) == 0);
		(void)undo_resume(&l.io, NULL);
		(void)undo_run(&l.io, NULL);
	}
	change_set_done(&cs);
	free(l.p);
	return 0;
}
