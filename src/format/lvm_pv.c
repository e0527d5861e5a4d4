/* SPDX-License-Identifier: MIT */
/* A physical volume: the label in one of the first four sectors, the header with the places of data and metadata, and in each
 * metadata area a header and a ring of texts, of which the header names the current one. A text may run over the ring's end and
 * go on behind the header. Older texts stay in the ring until they are overwritten: all that still parse are listed.
 *
 * CRCs are CRC-32 from LVM's own start value, without a final inversion. Refused: areas beyond the device, above LVM_MAX_MDA or
 * overlapping, texts above LVM_MAX_TEXT, lists without an end. Where one copy is bad the other is used, and why says so. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/lvm_priv.h"

enum { SECTOR = 512, LABEL_SECTORS = 4, DEFAULT_MDA = 4096, MDA_LOCNS = 4 };
/* As much of a ring is copied to look for texts, and no more: each start may claim all of it */
#define SCAN_BUDGET (64ull << 20)

struct label_disk {
	char id[8];
	le64 sector;
	le32 crc, offset;
	char type[8];
};
static_assert(sizeof(struct label_disk) == 32, "LVM label");

struct locn_disk { le64 offset, size; };
static_assert(sizeof(struct locn_disk) == 16, "LVM area");

struct raw_locn_disk { le64 offset, size; le32 crc, flags; };
static_assert(sizeof(struct raw_locn_disk) == 24, "LVM text location");

struct mda_disk {
	le32 crc;
	char magic[16];
	le32 version;
	le64 start, size;
	struct raw_locn_disk locns[MDA_LOCNS];
};
static_assert(sizeof(struct mda_disk) == 136, "LVM metadata area header");

static const char mda_magic[16] = { ' ', 'L', 'V', 'M', '2', ' ', 'x', '[', '5', 'A', '%', 'r', '0', 'N', '*', '>' };

void lvm_pv_free(void *meta)
{
	struct lvm_pv *pv = meta;

	if (!pv)
		return;
	for (size_t i = 0; i < pv->nolds; i++)
		free(pv->olds[i].vg_name);
	free(pv->olds);
	lvm_vg_unref(pv->vg);
	free(pv);
}

static uint32_t lvm_crc(const void *p, size_t len)
{
	return ~bytes_crc32(~0xf597a6cfu, p, len);
}

static __attribute__((format(printf, 2, 3))) void note(struct lvm_pv *pv, const char *fmt, ...)
{
	size_t n = strlen(pv->why.msg), room = sizeof(pv->why.msg);
	va_list ap;

	va_start(ap, fmt);
	if (n + 3 < room) {
		if (n) {
			memcpy(pv->why.msg + n, "; ", 3);
			n += 2;
		}
		(void)vsnprintf(pv->why.msg + n, room - n, fmt, ap);
	}
	va_end(ap);
}

/* ---- label and header ---- */

static bool format_uuid(const uint8_t raw[32], char out[LVM_UUID])
{
	static const uint8_t groups[7] = { 6, 4, 4, 4, 4, 4, 6 };
	char *p = out;

	for (unsigned g = 0; g < 7; raw += groups[g++]) {
		if (g)
			*p++ = '-';
		memcpy(p, raw, groups[g]);
		p += groups[g];
	}
	*p = '\0';
	return lvm_uuid_ok(out);
}

/* The sector of the label, or -1. bad: there is one, and its CRC or its numbers are wrong. */
static int find_label(const uint8_t *p, bool *ret_bad)
{
	*ret_bad = false;
	for (unsigned i = 0; i < LABEL_SECTORS; i++) {
		const uint8_t *s = p + i * SECTOR;
		struct label_disk l;

		memcpy(&l, s, sizeof(l));
		if (memcmp(l.id, "LABELONE", 8) != 0 || memcmp(l.type, "LVM2 001", 8) != 0)
			continue;
		/* offset is where the CRC's own field ends, at the latest */
		if (le64_get(l.sector) == i && le32_get(l.offset) >= sizeof(l) && le32_get(l.offset) <= SECTOR - 40 &&
		    lvm_crc(s + 20, SECTOR - 20) == le32_get(l.crc)) {
			*ret_bad = false;
			return (int)i;
		}
		*ret_bad = true;
	}
	return -1;
}

/* One list of places, ended by zeroes; -1 where there is no end. */
static int read_locns(const uint8_t *s, size_t *at, struct locn_disk *out, unsigned max)
{
	for (unsigned n = 0; *at + sizeof(*out) <= SECTOR; n++) {
		struct locn_disk l;

		memcpy(&l, s + *at, sizeof(l));
		*at += sizeof(l);
		if (!le64_get(l.offset))
			return (int)n;
		if (n == max)
			return -1;
		out[n] = l;
	}
	return -1;
}

static int read_header(struct lvm_pv *pv, const uint8_t *s, size_t at, uint64_t size)
{
	struct locn_disk data[LVM_MAX_AREAS], mdas[LVM_MAX_AREAS];
	int n;

	if (!format_uuid(s + at, pv->uuid)) {
		*pv->uuid = '\0';
		return err_set(&pv->why, -EBADMSG, "label without a UUID");
	}
	at += 32 + 8;
	if (read_locns(s, &at, data, LVM_MAX_AREAS) < 0)
		return err_set(&pv->why, -EBADMSG, "the list of data areas has no end");
	n = read_locns(s, &at, mdas, LVM_MAX_AREAS);
	if (n < 0)
		return err_set(&pv->why, -EBADMSG, "the list of metadata areas has no end");
	for (int i = 0; i < n; i++) {
		struct lvm_mda *m = &pv->mdas[pv->nmdas++];

		m->off = le64_get(mdas[i].offset);
		m->size = le64_get(mdas[i].size);
		if (!range_in(m->off, m->size, size))
			err_set(&m->why, 0, "%" PRIu64 " bytes at byte %" PRIu64 " leave the device", m->size, m->off);
		else if (m->size <= 2 * LVM_MDA_HEADER || m->size > LVM_MAX_MDA)
			err_set(&m->why, 0, "%" PRIu64 " bytes, not more than %d and at most %d", m->size, 2 * LVM_MDA_HEADER, LVM_MAX_MDA);
		for (unsigned k = 0; k + 1 < pv->nmdas && !*m->why.msg; k++)
			if (m->off < pv->mdas[k].off + pv->mdas[k].size && pv->mdas[k].off < m->off + m->size)
				err_set(&m->why, 0, "overlaps another");
	}
	return 0;
}

/* ---- the ring ---- */

/* len bytes from byte off of the area on, at most once around the ring; NUL behind them. */
static char *ring_copy(const uint8_t *area, size_t size, size_t off, size_t len)
{
	size_t first = len < size - off ? len : size - off;
	char *p = malloc(len + 1);

	if (!p)
		return NULL;
	memcpy(p, area + off, first);
	memcpy(p + first, area + LVM_MDA_HEADER, len - first);
	p[len] = '\0';
	return p;
}

/* How long is the text at off? Up to its NUL, or once around the ring, or as long as texts may be. */
static size_t ring_len(const uint8_t *area, size_t size, size_t off)
{
	size_t n = strnlen((const char *)area + off, size - off);

	if (off + n == size)
		n += strnlen((const char *)area + LVM_MDA_HEADER, off - LVM_MDA_HEADER);
	return n < LVM_MAX_TEXT ? n : LVM_MAX_TEXT;
}

/* "name {" at the start of a sector: that is how every text begins. */
static bool is_start(const uint8_t *p)
{
	char name[LVM_NAME + 1];
	size_t n = 0;

	while (n < LVM_NAME && p[n] > ' ')
		n++;
	memcpy(name, p, n);
	name[n] = '\0';
	return p[n] == ' ' && p[n + 1] == '{' && lvm_name_ok(name);
}

static int add_old(struct lvm_pv *pv, const struct lvm_mda *m, const char *text, size_t off, size_t len, struct err *e)
{
	cleanup_lvm_tree struct lvm_tree *t = NULL;
	struct lvm_old old = { .offset = m->off + off, .len = len }, *slot;
	int r;

	r = lvm_tree_parse(text, len, &t, e);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	r = lvm_old_read(t, &old, e);
	if (r <= 0)
		return r;
	slot = vec_push(&pv->olds, &pv->nolds);
	if (!slot) {
		free(old.vg_name);
		return err_oom(e);
	}
	*slot = old;
	return 0;
}

static int scan_ring(struct lvm_pv *pv, const struct lvm_mda *m, const uint8_t *area, uint64_t *budget, struct err *e)
{
	for (size_t off = LVM_MDA_HEADER; off + SECTOR <= m->size; off += SECTOR) {
		cleanup_free char *text = NULL;
		size_t len;
		int r;

		if (!is_start(area + off))
			continue;
		len = ring_len(area, (size_t)m->size, off);
		if (len > *budget || pv->nolds >= LVM_MAX_OLDS) {
			pv->cut = true;
			return 0;
		}
		*budget -= len;
		text = ring_copy(area, (size_t)m->size, off, len);
		if (!text)
			return err_oom(e);
		r = add_old(pv, m, text, off, len, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_olds(const void *a, const void *b)
{
	const struct lvm_old *x = a, *y = b;

	if (x->seqno != y->seqno)
		return x->seqno < y->seqno ? -1 : 1;
	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* ---- metadata areas ---- */

static int check_mda(struct lvm_mda *m, const uint8_t *area, struct mda_disk *h)
{
	memcpy(h, area, sizeof(*h));
	if (memcmp(h->magic, mda_magic, sizeof(mda_magic)) != 0)
		return err_set(&m->why, -EBADMSG, "no header");
	if (lvm_crc(area + 4, LVM_MDA_HEADER - 4) != le32_get(h->crc))
		return err_set(&m->why, -EBADMSG, "header CRC is %08" PRIx32 ", stored %08" PRIx32,
			       lvm_crc(area + 4, LVM_MDA_HEADER - 4), le32_get(h->crc));
	if (le32_get(h->version) != 1)
		return err_set(&m->why, -EBADMSG, "version %" PRIu32, le32_get(h->version));
	if (le64_get(h->start) != m->off || le64_get(h->size) != m->size)
		return err_set(&m->why, -EBADMSG, "header says %" PRIu64 " bytes at byte %" PRIu64 ", the label %" PRIu64 " at %" PRIu64,
			       le64_get(h->size), le64_get(h->start), m->size, m->off);
	return 0;
}

/* The current text, parsed; 0 and *ret untouched where the header names none. */
static int read_current(struct lvm_mda *m, const uint8_t *area, const struct mda_disk *h, struct lvm_vg **ret, struct err *e)
{
	uint64_t off = le64_get(h->locns[0].offset), len = le64_get(h->locns[0].size);
	cleanup_lvm_tree struct lvm_tree *t = NULL;
	cleanup_free char *text = NULL;
	uint32_t crc;
	int r;

	m->ignored = le32_get(h->locns[0].flags) & 1;
	if (!off || !len || m->ignored)
		return 0;
	if (off < LVM_MDA_HEADER || off >= m->size || len > m->size - LVM_MDA_HEADER || len > LVM_MAX_TEXT)
		return err_set(&m->why, -EBADMSG, "text of %" PRIu64 " bytes at byte %" PRIu64 " of %" PRIu64, len, off, m->size);
	text = ring_copy(area, (size_t)m->size, (size_t)off, (size_t)len);
	if (!text)
		return err_oom(e);
	crc = lvm_crc(text, (size_t)len);
	if (crc != le32_get(h->locns[0].crc))
		return err_set(&m->why, -EBADMSG, "text CRC is %08" PRIx32 ", stored %08" PRIx32, crc, le32_get(h->locns[0].crc));
	r = lvm_tree_parse(text, (size_t)len, &t, &m->why);
	if (r == 0)
		r = lvm_vg_read(t, ret, &m->why);
	return r == -ENOMEM ? err_oom(e) : r;
}

/* What is wrong with one area is kept with it: only lack of memory is an error. */
static int read_mda(struct blk *blk, struct lvm_pv *pv, struct lvm_mda *m, uint64_t *budget, struct err *e)
{
	cleanup_lvm_vg struct lvm_vg *vg = NULL;
	cleanup_free uint8_t *area = NULL;
	struct mda_disk h;
	size_t from = pv->nolds;
	int r;

	if (*m->why.msg)
		return 0;
	area = malloc((size_t)m->size);
	if (!area)
		return err_oom(e);
	if (blk_pread(blk, area, (size_t)m->size, m->off, &m->why) < 0)
		return 0;
	r = scan_ring(pv, m, area, budget, e);
	if (r < 0 || check_mda(m, area, &h) < 0)
		return r;
	r = read_current(m, area, &h, &vg, e);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	m->good = true;
	if (!vg)
		return 0;
	for (size_t i = from; i < pv->nolds; i++)
		pv->olds[i].current = pv->olds[i].offset == m->off + le64_get(h.locns[0].offset);
	if (!pv->vg || vg->seqno > pv->vg->seqno) {
		lvm_vg_unref(pv->vg);
		pv->vg = take_ptr(&vg);
	}
	return 0;
}

static int read_mdas(struct blk *blk, struct lvm_pv *pv, struct err *e)
{
	uint64_t budget = SCAN_BUDGET;
	unsigned bad = 0;

	for (unsigned i = 0; i < pv->nmdas; i++) {
		int r = read_mda(blk, pv, &pv->mdas[i], &budget, e);

		if (r < 0)
			return r;
		if (!pv->mdas[i].good) {
			note(pv, "metadata area %u: %s", i + 1, pv->mdas[i].why.msg);
			bad++;
		}
	}
	pv->broken = pv->nmdas && bad == pv->nmdas;
	if (bad && !pv->broken)
		note(pv, "the other copy is used");
	if (pv->cut)
		note(pv, "not all older texts were looked at");
	if (pv->nolds)
		qsort(pv->olds, pv->nolds, sizeof(*pv->olds), compare_olds);
	return 0;
}

/* A label whose CRC is wrong is one of ours where the metadata stands where LVM puts it; else something was written over it. */
static bool has_default_mda(struct blk *blk)
{
	uint8_t s[SECTOR];

	return blk_pread(blk, s, sizeof(s), DEFAULT_MDA, NULL) == 0 && memcmp(s + 4, mda_magic, sizeof(mda_magic)) == 0;
}

/* The member of a mirror with its superblock at the end shows what the mirror holds: it is not the PV. */
static bool is_md_member(struct blk *blk)
{
	static const uint8_t magic[4] = { 0xfc, 0x4e, 0x2b, 0xa9 };
	uint8_t s[4];

	if (blk->size < 256 * 1024)
		return false;
	if (blk_pread(blk, s, 4, (blk->size & ~65535ull) - 65536, NULL) == 0 && memcmp(s, magic, 4) == 0)
		return true;
	return blk_pread(blk, s, 4, (blk->size - 8192) & ~4095ull, NULL) == 0 && memcmp(s, magic, 4) == 0;
}

int lvm_pv_read(struct blk *blk, struct lvm_pv **ret, struct err *e)
{
	cleanup_lvm_pv struct lvm_pv *pv = NULL;
	uint8_t head[LABEL_SECTORS * SECTOR];
	le32 offset;
	bool bad;
	int at, r;

	if (blk->size < sizeof(head))
		return 0;
	r = blk_pread(blk, head, sizeof(head), 0, e);
	if (r < 0)
		return r;
	at = find_label(head, &bad);
	if (at < 0 && !(bad && has_default_mda(blk)))
		return 0;
	if (is_md_member(blk))
		return 0;
	pv = calloc(1, sizeof(*pv));
	if (!pv)
		return err_oom(e);
	if (at < 0) {
		pv->broken = true;
		err_set(&pv->why, 0, "the label's CRC is wrong");
	} else {
		const uint8_t *s = head + at * SECTOR;

		memcpy(&offset, s + offsetof(struct label_disk, offset), sizeof(offset));
		pv->broken = read_header(pv, s, le32_get(offset), blk->size) < 0;
	}
	if (!pv->broken) {
		r = read_mdas(blk, pv, e);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(&pv);
	return 1;
}

int lvm_pv_text(struct blk *blk, const struct lvm_pv *pv, uint64_t off, char **ret, size_t *ret_len, struct err *e)
{
	for (unsigned i = 0; i < pv->nmdas; i++) {
		const struct lvm_mda *m = &pv->mdas[i];
		cleanup_free uint8_t *area = NULL;
		size_t len;
		int r;

		if (off < m->off + LVM_MDA_HEADER || off >= m->off + m->size || m->size > LVM_MAX_MDA)
			continue;
		area = malloc((size_t)m->size);
		if (!area)
			return err_oom(e);
		r = blk_pread(blk, area, (size_t)m->size, m->off, e);
		if (r < 0)
			return r;
		len = ring_len(area, (size_t)m->size, (size_t)(off - m->off));
		*ret = ring_copy(area, (size_t)m->size, (size_t)(off - m->off), len);
		if (!*ret)
			return err_oom(e);
		*ret_len = len;
		return 0;
	}
	return err_set(e, -ENOENT, "no text at byte %" PRIu64, off);
}
