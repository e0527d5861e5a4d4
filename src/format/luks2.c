/* SPDX-License-Identifier: MIT */
/* LUKS2: two copies of a binary header and a JSON area, each with a sequence number and a checksum over both
 * (LUKS2 on-disk-format 1.1.2). The second copy lies behind the first, at one of nine sizes that the format
 * allows; when the first is damaged or gone it is looked for at all of them. Of the copies that are intact
 * and make sense the one with the higher sequence number counts; nothing is repaired, the damage is told. */
#include "format/luks_parts.h"

#include <assert.h>
#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"

enum { MIN_HDR = 0x4000, DIGEST_MIN = 20, DIGEST_MAX = 64, CSUM_AT = 448 };

struct luks2_header_disk {
	uint8_t magic[6];
	be16 version;
	be64 hdr_size, seqid;
	char label[48], checksum_alg[32];
	uint8_t salt[64];
	char uuid[40], subsystem[48];
	be64 hdr_offset;
	uint8_t padding[184];
	uint8_t csum[64];
};
static_assert(sizeof(struct luks2_header_disk) == 512, "LUKS2 binary header on disk, without its padding");

/* One copy as it was found. */
struct copy {
	bool magic;  /* it calls itself a LUKS header */
	bool sum;    /* its checksum is right */
	bool intact; /* and its JSON makes sense: info is filled */
	uint64_t hdr_size, seqid;
	uint8_t digest[32]; /* of the JSON area, to compare */
	bool unread;	    /* it could not be read at all */
	struct err why;	    /* why it is not intact */
	struct luks_info *info;
};

static void copy_done(struct copy *c)
{
	free(c->info);
}

static bool is_hdr_size(uint64_t n)
{
	return n >= MIN_HDR && n <= LUKS2_MAX_HDR && (n & (n - 1)) == 0;
}

/* 1 right, 0 wrong (why is set). all is the whole copy; the field of the checksum counts as zeroes. */
static int check_sum(uint8_t *all, const struct luks2_header_disk *d, struct copy *c)
{
	char name[33];
	uint8_t sum[DIGEST_MAX];
	unsigned n;
	int algo;

	luks_text(name, sizeof(name), d->checksum_alg, sizeof(d->checksum_alg));
	bytes_gcrypt_init();
	algo = gcry_md_map_name(name);
	n = algo ? gcry_md_get_algo_dlen(algo) : 0;
	if (n < DIGEST_MIN || n > DIGEST_MAX || gcry_md_test_algo(algo) != 0)
		return err_set(&c->why, 0, "its checksum algorithm \"%s\" is not known", name);
	memset(all + CSUM_AT, 0, sizeof(d->csum));
	gcry_md_hash_buffer(algo, sum, all, c->hdr_size);
	if (memcmp(sum, d->csum, n) != 0)
		return err_set(&c->why, 0, "its %s checksum is wrong", name);
	return 1;
}

static void fill_info(const struct luks2_header_disk *d, struct luks_info *info)
{
	info->version = 2;
	info->seqid = be64_get(d->seqid);
	info->hdr_size = be64_get(d->hdr_size);
	luks_text(info->uuid, sizeof(info->uuid), d->uuid, sizeof(d->uuid));
	memcpy(info->label, d->label, sizeof(info->label) - 1);
	memcpy(info->subsystem, d->subsystem, sizeof(info->subsystem) - 1);
}

/* 0 whatever was found, or -ENOMEM. */
static int read_body(struct blk *hdr, uint64_t off, const struct luks2_header_disk *d, struct copy *c,
		     struct err *e)
{
	cleanup_free uint8_t *all = NULL;
	int r;

	if (!range_in(off, c->hdr_size, hdr->size))
		return err_set(&c->why, 0, "it is cut off: %ju bytes where %ju are needed",
			       (uintmax_t)hdr->size, (uintmax_t)(off + c->hdr_size));
	all = malloc(c->hdr_size);
	if (!all)
		return err_oom(e);
	if (blk_pread(hdr, all, c->hdr_size, off, &c->why) < 0)
		return 0;
	c->sum = check_sum(all, d, c) > 0;
	if (!c->sum)
		return 0;
	bytes_sha256(all + LUKS2_BIN, c->hdr_size - LUKS2_BIN, c->digest);
	r = luks2_json_read((char *)all + LUKS2_BIN, c->hdr_size - LUKS2_BIN, c->hdr_size, c->info, &c->why);
	if (r == -ENOMEM)
		return err_oom(e);
	c->intact = r > 0;
	return 0;
}

/* Look for one copy at off. 0 whatever was found, or -ENOMEM; what cannot be read is damaged. */
static int read_copy(struct blk *hdr, uint64_t off, struct copy *c, struct err *e)
{
	static const uint8_t first[6] = { 'L', 'U', 'K', 'S', 0xba, 0xbe },
			     second[6] = { 'S', 'K', 'U', 'L', 0xba, 0xbe };
	struct luks2_header_disk d;

	if (!range_in(off, sizeof(d), hdr->size))
		return 0;
	c->unread = blk_pread(hdr, &d, sizeof(d), off, &c->why) < 0;
	if (c->unread)
		return 0;
	c->magic = memcmp(d.magic, off ? second : first, 6) == 0;
	if (!c->magic)
		return 0;
	if (be16_get(d.version) != 2)
		return err_set(&c->why, 0, "its version %u is not known", be16_get(d.version));
	c->hdr_size = be64_get(d.hdr_size);
	c->seqid = be64_get(d.seqid);
	if (!is_hdr_size(c->hdr_size) || (off && c->hdr_size != off))
		return err_set(&c->why, 0, "its size %ju is none that the format allows",
			       (uintmax_t)c->hdr_size);
	if (be64_get(d.hdr_offset) != off)
		return err_set(&c->why, 0, "it says that it lies at byte %ju",
			       (uintmax_t)be64_get(d.hdr_offset));
	c->info = calloc(1, sizeof(*c->info));
	if (!c->info)
		return err_oom(e);
	fill_info(&d, c->info);
	return read_body(hdr, off, &d, c, e);
}

/* The secondary copy: where the first says, or wherever one is. The first intact one is taken, else the first
 * with the magic. */
static int find_second(struct blk *hdr, const struct copy *one, struct copy *two, struct err *e)
{
	for (uint64_t off = MIN_HDR; off <= LUKS2_MAX_HDR; off *= 2) {
		struct copy c = { 0 };
		int r;

		if (one->sum && off != one->hdr_size)
			continue;
		r = read_copy(hdr, off, &c, e);
		if (r == -ENOMEM) {
			copy_done(&c);
			return r;
		}
		if (c.intact || (c.magic && !two->magic) || one->sum) {
			copy_done(two);
			*two = c;
		} else {
			copy_done(&c);
		}
		if (two->intact)
			break;
	}
	return 0;
}

static void add_state(struct str *s, const char *which, const struct copy *c)
{
	if (c->magic)
		str_addf(s, "the %s copy is damaged: %.150s", which, c->why.msg);
	else
		str_addf(s, "the %s copy is gone%s%.100s", which, c->unread ? ": " : "",
			 c->unread ? c->why.msg : "");
}

static void tell_damage(const struct copy *one, const struct copy *two, struct err *damage)
{
	cleanup_str struct str s = { 0 };

	if (!one->intact)
		add_state(&s, "primary", one);
	if (!one->intact && !two->intact)
		str_add(&s, "; ");
	if (!two->intact)
		add_state(&s, "secondary", two);
	if (!one->intact && two->intact)
		str_add(&s, "; the secondary one is used");
	if (one->intact && two->intact && one->seqid != two->seqid)
		str_addf(&s, "the copies differ (primary number %ju, secondary %ju); the newer one is used",
			 (uintmax_t)one->seqid, (uintmax_t)two->seqid);
	else if (one->intact && two->intact && memcmp(one->digest, two->digest, sizeof(one->digest)) != 0)
		str_addf(&s, "both copies are number %ju, but they differ; the primary one is used",
			 (uintmax_t)one->seqid);
	if (s.n)
		err_set(damage, 0, "%s", str_text(&s));
}

static int choose(struct copy *one, struct copy *two, struct luks_info *ret)
{
	const struct copy *use = NULL;

	if (one->intact && (!two->intact || one->seqid >= two->seqid))
		use = one;
	else if (two->intact)
		use = two;
	if (use) {
		*ret = *use->info;
		ret->copy_used = use == two;
		tell_damage(one, two, &ret->damage);
		return 1;
	}
	/* a second copy alone that is damaged too is the rest of something older */
	if (!one->magic)
		return 0;
	if (one->info)
		memcpy(ret->uuid, one->info->uuid, sizeof(ret->uuid));
	ret->version = 2;
	ret->broken = true;
	tell_damage(one, two, &ret->damage);
	return 1;
}

int luks2_read(struct blk *hdr, struct luks_info *ret, struct err *e)
{
	cleanup(copy_done) struct copy one = { 0 };
	cleanup(copy_done) struct copy two = { 0 };
	int r = read_copy(hdr, 0, &one, e);

	if (r == -ENOMEM)
		return r;
	r = find_second(hdr, &one, &two, e);
	if (r == -ENOMEM)
		return r;
	r = choose(&one, &two, ret);
	if (!r && hdr->size >= sizeof(struct luks2_header_disk)) {
		/* none: is it because byte 0 could not be read at all? */
		uint8_t probe[LUKS_SECTOR];

		return blk_pread(hdr, probe, sizeof(probe), 0, e) < 0 ? -EIO : 0;
	}
	return r;
}
