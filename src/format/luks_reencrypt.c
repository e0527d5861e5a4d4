/* SPDX-License-Identifier: MIT */
/* A volume whose re-encryption has stopped half-way, as one map (LUKS2 on-disk-format 1.1.2, re-encryption).
 * Where each byte of the content lies before and after its conversion follows from the backup segments, for
 * which the digest of the re-encryption vouches; the segments in use tell only how far it has come, and one
 * that lies anywhere else is refused. Between both parts there may be a zone in conversion: what was there
 * before is in the re-encryption slot (journal), or still in its old place (data shift), or checksums tell
 * which blocks are converted. Nothing is recovered on the disk. Refuses a change of the volume key and
 * headers that nothing vouches for (requirement online-reencrypt without a version). */
#include "format/luks_parts.h"

#include <gcrypt.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"

enum {
	MAX_VOUCHED = 1024, /* bytes that the digest is made over */
	MAX_ITERATIONS = 10000000,
	MAX_PARTS = LUKS_MAX_SEGMENTS + 4,
	BLOCK = 4096,
	LOOK = 4096, /* blocks behind a frontier that may be older than the data */
	LOOK_ON = 256, /* and so many behind the first that is surely not converted */
};

struct half {
	const struct luks_info *info;
	struct blk *hdr, *dev;
	const struct secret *vk;
	const struct luks_slot *slot;
	const struct luks_segment *previous, *final, *moved;
	bool forward;
	struct extent x[MAX_PARTS]; /* each with a ref of its own */
	size_t n;
	uint64_t at; /* so long is the map by now */
};

static void half_done(struct half *h)
{
	for (size_t i = 0; i < h->n; i++)
		blk_unref(h->x[i].under);
}

/* ---- what the header says, and what vouches for it ---- */

static int take_once(const struct luks_segment **slot, const struct luks_segment *s, struct err *e)
{
	if (*slot)
		return err_set(e, -EBADMSG, "two backup segments of one kind");
	*slot = s;
	return 0;
}

static int find_backups(struct half *h, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < h->info->nsegments && !r; i++) {
		const struct luks_segment *s = &h->info->segments[i];

		if (s->backup_previous + s->backup_final + s->backup_moved > 1)
			return err_set(e, -EBADMSG, "segment %d is two kinds of backup at once", s->id);
		if (s->backup_previous)
			r = take_once(&h->previous, s, e);
		else if (s->backup_final)
			r = take_once(&h->final, s, e);
		else if (s->backup_moved)
			r = take_once(&h->moved, s, e);
	}
	if (!r && (!h->previous || !h->final))
		return err_set(e, -EBADMSG, "the header does not say what the volume was and is to be");
	return r;
}

static int find_slot(struct half *h, struct err *e)
{
	for (unsigned i = 0; i < h->info->nslots; i++) {
		if (!h->info->slots[i].reencrypt)
			continue;
		if (h->slot)
			return err_set(e, -EBADMSG, "there are two re-encryption slots");
		h->slot = &h->info->slots[i];
	}
	if (!h->slot)
		return err_set(e, -EBADMSG, "the header requires a re-encryption, but has no slot for it");
	h->forward = str_eq(h->slot->direction, "forward");
	if (!h->forward && !str_eq(h->slot->direction, "backward"))
		return err_set(e, -EBADMSG, "a re-encryption in direction \"%s\"", h->slot->direction);
	return 0;
}

static bool is_crypt(const struct luks_segment *s)
{
	return str_eq(s->type, "crypt");
}

static int check_kind(const struct half *h, struct err *e)
{
	bool encrypt = str_eq(h->slot->mode, "encrypt"), decrypt = str_eq(h->slot->mode, "decrypt");
	const struct luks_segment *plain = encrypt ? h->previous : h->final;
	const struct luks_segment *crypt = encrypt ? h->final : h->previous;

	if (str_eq(h->slot->mode, "reencrypt"))
		return err_set(e, -EOPNOTSUPP,
			       "its volume key is being changed; half-way between two keys it is not read");
	if (!encrypt && !decrypt)
		return err_set(e, -EOPNOTSUPP, "a re-encryption of mode \"%s\" is not known", h->slot->mode);
	if (!str_eq(plain->type, "linear") || !is_crypt(crypt) ||
	    (h->moved && !str_eq(h->moved->type, h->previous->type)))
		return err_set(e, -EBADMSG, "the backup segments are not those of mode \"%s\"", h->slot->mode);
	if (!str_eq(crypt->cipher, h->info->cipher))
		return err_set(e, -EBADMSG, "two ciphers in one volume");
	if (h->moved && !h->moved->size)
		return err_set(e, -EBADMSG, "the moved segment has no size");
	return 0;
}

static void put_text(struct secret *s, const char *text)
{
	size_t n = strlen(text);

	if (n > MAX_VOUCHED - s->len)
		n = MAX_VOUCHED - s->len;
	memcpy(s->data + s->len, text, n);
	s->len += n;
}

static void put_number(struct secret *s, uint64_t value, unsigned bytes)
{
	for (unsigned i = bytes; i-- > 0 && s->len < MAX_VOUCHED;)
		s->data[s->len++] = (uint8_t)(value >> (8 * i));
}

static void put_segment(struct secret *s, const struct luks_segment *g)
{
	put_text(s, g->type);
	put_number(s, g->offset, 8);
	if (g->size)
		put_number(s, g->size, 8);
	else
		put_text(s, "dynamic");
	if (!is_crypt(g))
		return;
	put_number(s, g->iv_tweak, 8);
	put_text(s, g->cipher);
	put_number(s, g->sector_size, 4);
}

/* What the digest is made over: version, volume key, re-encryption slot, backup segments. s is MAX_VOUCHED long. */
static void put_vouched(const struct half *h, struct secret *s)
{
	const struct luks_slot *k = h->slot;

	s->len = 0;
	put_text(s, "v");
	put_number(s, '0' + h->info->online_version, 1);
	memcpy(s->data + s->len, h->vk->data, h->vk->len);
	s->len += h->vk->len;
	put_text(s, k->mode);
	put_text(s, k->direction);
	put_text(s, k->resilience);
	put_number(s, k->area_offset, 8);
	put_number(s, k->area_size, 8);
	if (str_ends(k->resilience, "checksum")) {
		put_text(s, k->resilience_hash);
		put_number(s, k->resilience_sector, 4);
	}
	if (str_starts(k->resilience, "datashift"))
		put_number(s, k->shift_size, 8);
	put_segment(s, h->previous);
	put_segment(s, h->final);
	if (h->moved)
		put_segment(s, h->moved);
}

static int verify(const struct half *h, struct err *e)
{
	const struct luks_digest *d = &h->info->reencrypt;
	cleanup_secret struct secret *blob = secret_new(MAX_VOUCHED);
	uint8_t sum[sizeof(d->sum)];
	int algo;

	if (!blob)
		return err_oom(e);
	if (h->info->online_version < 2)
		return err_set(e, -EOPNOTSUPP,
			       "a re-encryption of the first version: nothing in the header vouches for its "
			       "parameters, so it is not read half-way");
	bytes_gcrypt_init();
	algo = gcry_md_map_name(d->hash);
	if (!d->sum_len || !d->salt_len || !d->iterations || !algo || gcry_md_test_algo(algo) ||
	    d->sum_len != gcry_md_get_algo_dlen(algo))
		return err_set(e, -EBADMSG, "the digest of the re-encryption is missing or not known");
	if (d->iterations > MAX_ITERATIONS)
		return err_set(e, -EBADMSG, "the digest of the re-encryption wants %ju iterations",
			       (uintmax_t)d->iterations);
	put_vouched(h, blob);
	if (gcry_kdf_derive(blob->data, blob->len, GCRY_KDF_PBKDF2, algo, d->salt, d->salt_len, d->iterations,
			    d->sum_len, sum))
		return err_set(e, -EIO, "the digest of the re-encryption cannot be computed");
	if (memcmp(sum, d->sum, d->sum_len) != 0)
		return err_set(e, -EBADMSG,
			       "the digest of the re-encryption does not vouch for its parameters: the header "
			       "was changed, and nothing is decrypted by it");
	return 0;
}

/* ---- places ---- */

/* Where byte `at` of the content lies before and after its conversion. */
static int place_of(const struct half *h, const struct luks_segment *by, uint64_t at, uint64_t *ret,
		    struct err *e)
{
	if (by == h->previous && h->moved && at == 0) {
		*ret = h->moved->offset;
		return 0;
	}
	if (add_overflows(by->offset, at, ret))
		return err_set(e, -EBADMSG, "a segment at byte %ju of the content", (uintmax_t)at);
	return 0;
}

/* len bytes of the content from `at`, as base has them at byte `place` in the form of `by`. */
static int open_view(const struct half *h, const struct luks_segment *by, struct blk *base, uint64_t place,
		     uint64_t at, uint64_t len, struct blk **ret, struct err *e)
{
	struct crypt_params p = { .key = h->vk,
				  .offset = place,
				  .size = len,
				  .sector_size = by->sector_size };

	if (!is_crypt(by))
		return blk_open_window(base, place, len, ret, e);
	if (at % by->sector_size || add_overflows(by->iv_tweak, at / LUKS_SECTOR, &p.iv_offset))
		return err_set(e, -EBADMSG, "a segment begins within a sector");
	return blk_open_crypt(base, &p, ret, e);
}

static int open_place(const struct half *h, const struct luks_segment *by, uint64_t at, uint64_t len,
		      struct blk **ret, struct err *e)
{
	uint64_t place = 0;
	int r = place_of(h, by, at, &place, e);

	return r < 0 ? r : open_view(h, by, h->dev, place, at, len, ret, e);
}

/* Takes the ref. */
static int add_part(struct half *h, struct blk *part, struct err *e)
{
	if (h->n == MAX_PARTS) {
		blk_unref(part);
		return err_set(e, -EBADMSG, "too many parts");
	}
	h->x[h->n++] = (struct extent){ .start = h->at, .len = part->size, .under = part };
	h->at += part->size;
	return 0;
}

static int add_view(struct half *h, const struct luks_segment *by, uint64_t len, struct err *e)
{
	struct blk *part = NULL;
	int r = len ? open_place(h, by, h->at, len, &part, e) : 0;

	return r < 0 || !len ? r : add_part(h, part, e);
}

static int add_untold(struct half *h, uint64_t len, struct err *e)
{
	struct blk *part = NULL;
	int r = len ? luks_open_untold(len, &part, e) : 0;

	return r < 0 || !len ? r : add_part(h, part, e);
}

/* ---- the zone in conversion ---- */

static int add_by_sums(struct half *h, uint64_t len, struct err *e)
{
	cleanup_blk struct blk *raw = NULL, *sums = NULL, *before = NULL, *after = NULL;
	struct luks_zone z = { .hash = h->slot->resilience_hash, .block = (unsigned)h->slot->resilience_sector };
	uint64_t place = 0, whole = z.block ? len - len % z.block : 0;
	struct blk *zone = NULL;
	int r = place_of(h, h->final, h->at, &place, e);

	if (!whole)
		return r < 0 ? r : add_untold(h, len, e);
	if (!r)
		r = blk_open_window(h->dev, place, whole, &raw, e);
	if (!r)
		r = blk_open_window(h->hdr, h->slot->area_offset, h->slot->area_size, &sums, e);
	if (!r)
		r = open_place(h, h->previous, h->at, whole, &before, e);
	if (!r)
		r = open_place(h, h->final, h->at, whole, &after, e);
	z.raw = raw;
	z.sums = sums;
	z.before = before;
	z.after = after;
	if (!r)
		r = luks_open_zone(&z, &zone, e);
	if (!r)
		r = add_part(h, zone, e);
	/* there are no checksums of less than a block */
	return r < 0 ? r : add_untold(h, len - whole, e);
}

static int add_by_journal(struct half *h, uint64_t len, struct err *e)
{
	struct blk *part = NULL;
	int r;

	if (len > h->slot->area_size)
		return err_set(e, -EBADMSG, "the zone in re-encryption is longer than its journal");
	r = open_view(h, h->previous, h->hdr, h->slot->area_offset, h->at, len, &part, e);
	return r < 0 ? r : add_part(h, part, e);
}

/* Source and target are apart: what was there before still is. */
static int add_by_shift(struct half *h, uint64_t len, struct err *e)
{
	uint64_t from = 0, to = 0;
	int r = place_of(h, h->previous, h->at, &from, e);

	if (!r)
		r = place_of(h, h->final, h->at, &to, e);
	if (r < 0)
		return r;
	if (len > (from < to ? to - from : from - to))
		return add_untold(h, len, e);
	return add_view(h, h->previous, len, e);
}

static int add_hot(struct half *h, uint64_t len, struct err *e)
{
	const char *how = h->slot->resilience;
	uint64_t from = 0, to = 0;
	int r = place_of(h, h->previous, h->at, &from, e);

	if (!r)
		r = place_of(h, h->final, h->at, &to, e);
	if (r < 0)
		return r;
	if (str_starts(how, "datashift") && from != to)
		return add_by_shift(h, len, e);
	if (str_starts(how, "datashift-"))
		how += strlen("datashift-"); /* of the moved segment, which is converted where it is */
	if (from == to && str_eq(how, "checksum"))
		return add_by_sums(h, len, e);
	if (from == to && str_eq(how, "journal"))
		return add_by_journal(h, len, e);
	return add_untold(h, len, e);
}

/* ---- a frontier that may be older than the data ---- */

/* Ciphertext is as even as chance: the squares of how often each value comes make 69,600 with a deviation of 360. */
static bool is_uneven(const uint8_t *p)
{
	unsigned count[256] = { 0 };
	uint64_t sum = 0;

	for (unsigned i = 0; i < BLOCK; i++)
		count[p[i]]++;
	for (unsigned i = 0; i < 256; i++)
		sum += (uint64_t)count[i] * count[i];
	return sum > 80000;
}

enum proof { NOTHING, BEFORE, AFTER };

static int prove_block(struct blk *before, struct blk *after, uint64_t off, enum proof *ret, struct err *e)
{
	uint8_t p[BLOCK];
	bool was, is;
	int r = blk_pread(before, p, BLOCK, off, e);

	was = r == 0 && is_uneven(p);
	if (!r)
		r = blk_pread(after, p, BLOCK, off, e);
	is = r == 0 && is_uneven(p);
	*ret = was == is ? NOTHING : was ? BEFORE : AFTER;
	return r;
}

/* Without resilience the header is written when the conversion stops in good order, and not before: where it
 * was cut off, the frontier lies somewhere behind the one that is told. How many of len bytes nothing tells: those to
 * the first block that is surely not converted, and all where there is none near, or a converted one beyond. */
static int measure_untold(const struct half *h, uint64_t len, uint64_t *ret, struct err *e)
{
	cleanup_blk struct blk *before = NULL, *after = NULL;
	uint64_t blocks = len / BLOCK, first = UINT64_MAX, from = 0, to = 0;
	int r = place_of(h, h->previous, h->at, &from, e);

	if (!r)
		r = place_of(h, h->final, h->at, &to, e);
	*ret = len;
	if (r < 0 || from != to)
		return r;
	r = open_view(h, h->previous, h->dev, from, h->at, len, &before, e);
	if (!r)
		r = open_view(h, h->final, h->dev, to, h->at, len, &after, e);
	for (uint64_t i = 0; !r && i < blocks && i < (first == UINT64_MAX ? LOOK : first + LOOK_ON); i++) {
		uint64_t off = h->forward ? i * BLOCK : len - (i + 1) * BLOCK;
		enum proof proof = NOTHING;

		r = prove_block(before, after, off, &proof, e);
		if (proof == AFTER)
			return r;
		if (proof == BEFORE && first == UINT64_MAX)
			first = i;
	}
	if (!r && first != UINT64_MAX)
		*ret = first * BLOCK;
	return r;
}

static int add_before(struct half *h, uint64_t len, bool at_frontier, struct err *e)
{
	uint64_t untold = 0;
	int r = 0;

	if (at_frontier && str_eq(h->slot->resilience, "none"))
		r = measure_untold(h, len, &untold, e);
	if (!r && h->forward)
		r = add_untold(h, untold, e);
	if (!r)
		r = add_view(h, h->previous, len - untold, e);
	if (!r && !h->forward)
		r = add_untold(h, untold, e);
	return r;
}

/* ---- the segments in use ---- */

static bool is_backup(const struct luks_segment *s)
{
	return s->backup_previous || s->backup_final || s->backup_moved;
}

/* Does it lie where, and look as, the backup segment says? */
static int check_segment(const struct half *h, const struct luks_segment *s, const struct luks_segment *by,
			 struct err *e)
{
	uint64_t place = 0;
	int r = place_of(h, by, h->at, &place, e);

	if (r < 0)
		return r;
	if (s->offset != place || !str_eq(s->type, by->type))
		return err_set(e, -EBADMSG,
			       "segment %d (%s) lies at byte %ju; by the re-encryption it must be %s at byte %ju",
			       s->id, s->type, (uintmax_t)s->offset, by->type, (uintmax_t)place);
	if (is_crypt(s) && (!str_eq(s->cipher, by->cipher) || s->sector_size != by->sector_size ||
			    s->iv_tweak != by->iv_tweak + h->at / LUKS_SECTOR))
		return err_set(e, -EBADMSG, "segment %d is not encrypted as the re-encryption says", s->id);
	return 0;
}

static int segment_size(const struct half *h, const struct luks_segment *s, uint64_t *ret, struct err *e)
{
	unsigned sector = is_crypt(h->final) ? h->final->sector_size : h->previous->sector_size;

	if (s->offset >= h->dev->size || !range_in(s->offset, s->size, h->dev->size))
		return err_set(e, -ERANGE, "segment %d at byte %ju does not fit a device of %ju bytes", s->id,
			       (uintmax_t)s->offset, (uintmax_t)h->dev->size);
	*ret = s->size;
	if (!s->size) {
		*ret = h->dev->size - s->offset;
		*ret -= *ret % sector;
	}
	if (!*ret)
		return err_set(e, -ERANGE, "segment %d has not one whole sector", s->id);
	return 0;
}

/* Forward: converted, in conversion, not converted; backward the other way round. What was moved comes first in any case. */
static int check_order(const struct half *h, const struct luks_segment *s, bool after, int *stage,
		       struct err *e)
{
	int now = s->in_reencryption ? 1 : after == h->forward ? 0 : 2;

	if (h->at == 0 && h->moved)
		return 0;
	if (now < *stage || (now == 1 && *stage == 1))
		return err_set(e, -EBADMSG, "the segments are in an order that a re-encryption %s does not leave",
			       h->slot->direction);
	*stage = now;
	return 0;
}

static bool is_after(const struct half *h, const struct luks_segment *s)
{
	return s->in_reencryption || str_eq(s->type, h->final->type);
}

/* The part that is not converted next to the one that is: there a frontier can be older than the data. */
static bool is_at_frontier(const struct half *h, unsigned i)
{
	const struct luks_segment *v = h->info->segments;

	if (h->forward)
		return i == 0 || is_after(h, &v[i - 1]);
	return i + 1 >= h->info->nsegments || is_backup(&v[i + 1]) || is_after(h, &v[i + 1]);
}

static int add_segment(struct half *h, unsigned i, int *stage, unsigned *hot, struct err *e)
{
	const struct luks_segment *s = &h->info->segments[i];
	bool after = is_after(h, s);
	uint64_t size = 0;
	int r = check_segment(h, s, after ? h->final : h->previous, e);

	if (!r)
		r = segment_size(h, s, &size, e);
	if (!r)
		r = check_order(h, s, after, stage, e);
	if (r < 0)
		return r;
	if (h->moved && h->at == 0 && size != h->moved->size && (!after || s->in_reencryption))
		return err_set(e, -EBADMSG, "segment %d is not as long as the moved one", s->id);
	*hot += s->in_reencryption;
	if (*hot > 1)
		return err_set(e, -EBADMSG, "two segments are in re-encryption at once");
	if (s->in_reencryption)
		return add_hot(h, size, e);
	return after ? add_view(h, h->final, size, e) : add_before(h, size, is_at_frontier(h, i), e);
}

static int build(struct half *h, struct err *e)
{
	unsigned hot = 0;
	int r = 0, stage = 0;

	for (unsigned i = 0; !r && i < h->info->nsegments && !is_backup(&h->info->segments[i]); i++)
		r = add_segment(h, i, &stage, &hot, e);
	return r;
}

int luks_open_half(const struct luks_info *info, struct blk *hdr, struct blk *dev, const struct secret *vk,
		   struct blk **ret, struct err *e)
{
	cleanup(half_done) struct half h = { .info = info, .hdr = hdr, .dev = dev, .vk = vk };
	cleanup_blk struct blk *map = NULL;
	int r;

	if (!info->online || info->in_flight_magic)
		return err_set(e, -EINVAL, "no re-encryption is in flight");
	if (info->broken || info->refused.msg[0])
		return err_set(e, -EOPNOTSUPP, "%s", info->refused.msg);
	if (!vk || vk->len != info->key_size)
		return err_set(e, -EBADMSG, "the volume key does not fit the header");
	r = find_slot(&h, e);
	if (!r)
		r = find_backups(&h, e);
	if (!r)
		r = check_kind(&h, e);
	if (!r)
		r = verify(&h, e);
	if (!r)
		r = build(&h, e);
	if (!r)
		r = blk_open_map(h.x, h.n, &map, e);
	return r < 0 ? r : luks_open_lid(map, ret, e);
}

void luks_say_half(const struct luks_info *info, uint64_t device_size, char *out, size_t room)
{
	uint64_t done = 0, total = 0, hot = 0;
	bool decrypt = false;

	for (unsigned i = 0; i < info->nslots; i++)
		decrypt |= info->slots[i].reencrypt && str_eq(info->slots[i].mode, "decrypt");
	for (unsigned i = 0; i < info->nsegments; i++)
		hot += info->segments[i].in_reencryption ? info->segments[i].size : 0;
	if (!luks_progress(info, device_size, &done, &total) || done > total || hot > total - done) {
		snprintf(out, room, "re-encryption in flight");
		return;
	}
	if (decrypt)
		done = total - done - hot;
	snprintf(out, room, "re-encryption in flight: %ju of %ju bytes converted (%.1f %%)", (uintmax_t)done,
		 (uintmax_t)total, 100.0 * (double)done / (double)total);
}
