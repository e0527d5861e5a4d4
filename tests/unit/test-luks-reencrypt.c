/* SPDX-License-Identifier: MIT */
/* Tests format/luks_reencrypt.c and luks_hotzone.c: headers are made by cryptsetup (reencrypt --init-only), their segments are
 * then edited to any state half-way, and the device is brought into that state with the volume key. Whatever the state,
 * the content reads as it was before, or not at all. */
#include <gcrypt.h>
#include "base/str.h"
#include "format/luks.h"
#include "make-luks.h"

enum { MIB = 1 << 20, SIZE = 4 * MIB, BLOCK = 4096 };

static struct err e;
static struct luks_info info;
static uint8_t *hdr, *plain, *disk;
static size_t hdr_len;
static struct secret *vk;
static struct blk *half;

static void begin(void)
{
	uint8_t key[64];

	bytes_gcrypt_init();
	make_begin();
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7 + 1);
	vk = secret_copy(key, sizeof(key));
	make_file("vk", key, sizeof(key));
	make_file("key", "secret", 6);
	plain = calloc(1, SIZE);
	disk = calloc(1, SIZE);
	cr_assert(vk && plain && disk);
	/* blocks of text, and some that look like ciphertext */
	for (size_t i = 0; i < SIZE; i += BLOCK) {
		if (i / BLOCK % 5 == 3)
			gcry_create_nonce(plain + i, BLOCK);
		else
			for (size_t j = 0; j < BLOCK; j += 16)
				snprintf((char *)plain + i + j, 16, "block %08zx", i + j);
	}
	memcpy(disk, plain, SIZE);
}

static void end(void)
{
	blk_unref(half);
	secret_free(vk);
	free(hdr);
	free(plain);
	free(disk);
}

TestSuite(reencrypt, .init = begin, .fini = end, .timeout = 120);

/* ---- states ---- */

static void make_header_of(const char *resilience, const char *slots_size)
{
	make_empty("h", 16 * MIB);
	make_file("disk", plain, SIZE);
	RUN("cryptsetup", "reencrypt", "-q", "--encrypt", "--init-only", "--type", "luks2", FAST_PBKDF2, "--key-size",
	    "512", "--sector-size", "512", "--volume-key-file", make_path("vk"), "--key-file", make_path("key"),
	    "--resilience", resilience, "--luks2-keyslots-size", slots_size, "--header", make_path("h"), make_path("disk"));
	hdr = make_load("h", &hdr_len);
}

static void make_header(const char *resilience)
{
	make_header_of(resilience, "16744448");
}

/* The segments in use, n of them, instead of the one that is there at first. */
static void set_segments(const char *segments, unsigned n)
{
	char to[4096];

	snprintf(to, sizeof(to), "\"segments\":{%s,\"%u\":{", segments, n);
	luks2_edit(hdr, "\"segments\":{\"0\":{\"type\":\"linear\",\"offset\":\"0\",\"size\":\"dynamic\"},\"1\":{", to);
	snprintf(to, sizeof(to), "\"backup-previous\"]},\"%u\":{", n + 1);
	luks2_edit(hdr, "\"backup-previous\"]},\"2\":{", to);
	snprintf(to, sizeof(to), "\"segments\":[\"%u\"]", n + 1);
	luks2_edit(hdr, "\"segments\":[\"2\"]", to);
}

static const char *crypt_at(unsigned id, uint64_t off, uint64_t len, const char *flags)
{
	static char text[4][400];
	static unsigned next;
	char *p = text[next++ % 4];

	snprintf(p, sizeof(text[0]),
		 "\"%u\":{\"type\":\"crypt\",\"offset\":\"%ju\",\"size\":\"%ju\",\"iv_tweak\":\"%ju\","
		 "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512%s}",
		 id, (uintmax_t)off, (uintmax_t)len, (uintmax_t)off / 512, flags);
	return p;
}
#define HOT ",\"flags\":[\"in-reencryption\"]"

/* 0 to a encrypted, a to b in conversion (none where they are equal), the rest not. */
static void set_state(uint64_t a, uint64_t b)
{
	char text[2000];
	unsigned n = 0;

	text[0] = '\0';
	if (a)
		snprintf(text, sizeof(text), "%s,", crypt_at(n++, 0, a, ""));
	if (b > a) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s,", crypt_at(n, a, b - a, HOT));
		n++;
	}
	snprintf(text + strlen(text), sizeof(text) - strlen(text),
		 "\"%u\":{\"type\":\"linear\",\"offset\":\"%ju\",\"size\":\"dynamic\"}", n, (uintmax_t)b);
	set_segments(text, n + 1);
}

/* Convert these bytes of the disk, as cryptsetup would have written them. */
static void convert(uint64_t off, uint64_t len)
{
	struct crypt_params c = { .key = vk, .sector_size = 512 };
	struct blk *b = mem_blk(disk, SIZE), *view = NULL;

	cr_assert_eq(blk_open_crypt(b, &c, &view, &e), 0, "%s", e.msg);
	cr_assert_eq(blk_pwrite(view, plain + off, len, off, &e), 0, "%s", e.msg);
	cr_assert_eq(blk_pread(b, disk, SIZE, 0, &e), 0);
	blk_unref(view);
	blk_unref(b);
}

static const struct luks_slot *reencrypt_slot(void)
{
	unsigned i = 0;

	while (i + 1 < info.nslots && !info.slots[i].reencrypt)
		i++;
	cr_assert(info.slots[i].reencrypt);
	return &info.slots[i];
}

static void read_header(void)
{
	struct blk *b = mem_blk(hdr, hdr_len);

	cr_assert_eq(luks_read(b, &info, &e), 1, "%s", e.msg);
	blk_unref(b);
	cr_assert_str_empty(info.damage.msg, "%s", info.damage.msg);
}

/* What the re-encryption slot keeps of a zone: checksums of its blocks, or its bytes. */
static void protect(uint64_t off, uint64_t len)
{
	const struct luks_slot *s;
	uint8_t *area;

	read_header();
	s = reencrypt_slot();
	area = hdr + s->area_offset;
	if (str_eq(s->resilience, "journal")) {
		memcpy(area, plain + off, len);
		return;
	}
	for (uint64_t i = 0; i < len; i += s->resilience_sector, area += 32)
		bytes_sha256(plain + off + i, s->resilience_sector, area);
}

static int open_half_on(size_t size)
{
	struct blk *h = mem_blk(hdr, hdr_len), *d = mem_blk(disk, size);
	int r;

	read_header();
	r = luks_open_half(&info, h, d, vk, &half, &e);
	blk_unref(h);
	blk_unref(d);
	return r;
}

static void expect_content(uint64_t off, uint64_t len)
{
	uint8_t *p = malloc(len);

	cr_assert_not_null(p);
	cr_assert_eq(blk_pread(half, p, len, off, &e), 0, "%s", e.msg);
	cr_assert(memcmp(p, plain + off, len) == 0, "%ju bytes at %ju", (uintmax_t)len, (uintmax_t)off);
	free(p);
}

static void expect_untold(uint64_t off)
{
	uint8_t p[512];

	cr_assert_eq(blk_pread(half, p, sizeof(p), off, &e), -EIO);
	cr_assert(strstr(e.msg, "nothing tells"), "%s", e.msg);
}

static void expect_refused(int code, const char *why)
{
	int r = open_half_on(SIZE);

	cr_assert_eq(r, code, "%d: %s", r, r ? e.msg : "opened");
	cr_assert(strstr(e.msg, why), "%s", e.msg);
}

/* ---- what is read ---- */

Test(reencrypt, before_the_first_zone_all_is_as_it_was)
{
	make_header("checksum");
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	cr_assert_eq(half->size, SIZE);
	expect_content(0, SIZE);
}

Test(reencrypt, between_two_zones_both_parts_are_one_content)
{
	make_header("journal");
	set_state(MIB, MIB);
	convert(0, MIB);
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, SIZE);
	expect_content(MIB - 700, 1400);
}

Test(reencrypt, of_a_zone_with_checksums_each_block_is_read_as_what_it_is)
{
	make_header("checksum");
	set_state(MIB, 2 * MIB);
	protect(MIB, MIB);
	convert(0, MIB);
	for (uint64_t off = MIB; off < 2 * MIB; off += BLOCK)
		if (off / BLOCK % 3)
			convert(off, BLOCK);
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, SIZE);
	expect_content(MIB + 100, 9000);
}

Test(reencrypt, a_zone_with_a_journal_is_read_from_there)
{
	make_header("journal");
	set_state(0, MIB);
	protect(0, MIB);
	gcry_create_nonce(disk, MIB); /* torn, whatever it is */
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, SIZE);
}

Test(reencrypt, a_zone_without_resilience_cannot_be_read_and_the_rest_can)
{
	make_header("none");
	set_state(MIB, 2 * MIB);
	convert(0, MIB);
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, MIB);
	expect_untold(MIB);
	expect_untold(2 * MIB - 512);
	expect_content(2 * MIB, SIZE - 2 * MIB);
}

Test(reencrypt, without_resilience_a_frontier_that_fits_the_data_is_believed)
{
	make_header("none");
	set_state(MIB, MIB);
	convert(0, MIB);
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, SIZE);
}

Test(reencrypt, without_resilience_nothing_behind_a_frontier_older_than_the_data_is_read)
{
	make_header("none");
	set_state(MIB, MIB);
	convert(0, 2 * MIB);
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, MIB);
	expect_untold(MIB);
	expect_untold(SIZE - 512);
}

Test(reencrypt, without_resilience_what_looks_like_ciphertext_at_the_frontier_is_not_told)
{
	make_header("none");
	set_state(3 * BLOCK, 3 * BLOCK); /* block 3 is random in the plain */
	convert(0, 3 * BLOCK);
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, 3 * BLOCK);
	expect_untold(3 * BLOCK);
	expect_content(4 * BLOCK, SIZE - 4 * BLOCK);
}

Test(reencrypt, when_all_is_converted_the_requirement_alone_is_left)
{
	make_header("checksum");
	set_segments(crypt_at(0, 0, SIZE, ""), 1);
	convert(0, SIZE);
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, SIZE);
}

Test(reencrypt, it_is_never_written)
{
	make_header("checksum");
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	cr_assert_not(blk_is_writable(half));
	cr_assert_eq(blk_pwrite(half, "x", 1, 0, &e), -EROFS);
}

Test(reencrypt, it_says_how_far_it_has_come)
{
	char text[200];

	make_header("checksum");
	set_state(MIB, 2 * MIB);
	read_header();
	luks_say_half(&info, SIZE, text, sizeof(text));
	cr_assert_str_eq(text, "re-encryption in flight: 1048576 of 4194304 bytes converted (25.0 %)");
	luks_say_half(&info, MIB, text, sizeof(text));
	cr_assert_str_eq(text, "re-encryption in flight");
}

/* ---- what vouches for it ---- */

Test(reencrypt, parameters_that_the_digest_does_not_vouch_for_are_refused)
{
	make_header("checksum");
	luks2_edit(hdr, "\"direction\":\"forward\"", "\"direction\":\"backward\"");
	expect_refused(-EBADMSG, "does not vouch");
}

Test(reencrypt, backup_segments_that_the_digest_does_not_vouch_for_are_refused)
{
	make_header("checksum");
	luks2_edit(hdr, "\"iv_tweak\":\"0\"", "\"iv_tweak\":\"8\"");
	expect_refused(-EBADMSG, "does not vouch");
}

Test(reencrypt, a_mode_that_was_changed_is_refused)
{
	make_header("checksum");
	luks2_edit(hdr, "\"mode\":\"encrypt\"", "\"mode\":\"decrypt\"");
	expect_refused(-EBADMSG, "not those of mode");
}

Test(reencrypt, another_volume_key_is_refused)
{
	make_header("checksum");
	vk->data[5] ^= 1;
	expect_refused(-EBADMSG, "does not vouch");
}

Test(reencrypt, without_a_digest_nothing_is_read)
{
	make_header("checksum");
	luks2_edit(hdr, "\"keyslots\":[\"1\"]", "\"keyslots\":[]");
	expect_refused(-EBADMSG, "digest");
}

Test(reencrypt, the_first_version_is_refused_by_name)
{
	make_header("checksum");
	luks2_edit(hdr, "\"online-reencrypt-v2\"", "\"online-reencrypt\"");
	expect_refused(-EOPNOTSUPP, "first version");
}

Test(reencrypt, a_change_of_the_volume_key_is_refused_by_name)
{
	make_header("checksum");
	luks2_edit(hdr, "\"mode\":\"encrypt\"", "\"mode\":\"reencrypt\"");
	expect_refused(-EOPNOTSUPP, "volume key is being changed");
}

/* ---- segments that contradict it ---- */

static void expect_segments_refused(const char *segments, unsigned n, int code, const char *why)
{
	make_header("checksum");
	set_segments(segments, n);
	expect_refused(code, why);
}

Test(reencrypt, a_gap_between_segments_is_refused)
{
	char text[1000];

	snprintf(text, sizeof(text), "%s,\"1\":{\"type\":\"linear\",\"offset\":\"2097152\",\"size\":\"dynamic\"}",
		 crypt_at(0, 0, MIB, ""));
	expect_segments_refused(text, 2, -EBADMSG, "must be linear at byte 1048576");
}

Test(reencrypt, segments_that_overlap_are_not_even_read)
{
	char text[1000];
	struct blk *b;

	snprintf(text, sizeof(text), "%s,\"1\":{\"type\":\"linear\",\"offset\":\"524288\",\"size\":\"dynamic\"}",
		 crypt_at(0, 0, MIB, ""));
	make_header("checksum");
	set_segments(text, 2);
	b = mem_blk(hdr, hdr_len);
	cr_assert_eq(luks_read(b, &info, &e), 1);
	cr_assert(info.broken);
	cr_assert(strstr(info.damage.msg, "overlap"), "%s", info.damage.msg);
	cr_assert_eq(luks_open_half(&info, b, b, vk, &half, &e), -EINVAL);
	blk_unref(b);
}

Test(reencrypt, other_sector_numbers_are_refused)
{
	char text[1000];

	snprintf(text, sizeof(text), "%s,\"1\":{\"type\":\"linear\",\"offset\":\"1048576\",\"size\":\"dynamic\"}",
		 "\"0\":{\"type\":\"crypt\",\"offset\":\"0\",\"size\":\"1048576\",\"iv_tweak\":\"2048\","
		 "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512}");
	expect_segments_refused(text, 2, -EBADMSG, "not encrypted as");
}

Test(reencrypt, other_sector_sizes_are_refused)
{
	char text[1000];

	snprintf(text, sizeof(text), "%s,\"1\":{\"type\":\"linear\",\"offset\":\"1048576\",\"size\":\"dynamic\"}",
		 "\"0\":{\"type\":\"crypt\",\"offset\":\"0\",\"size\":\"1048576\",\"iv_tweak\":\"0\","
		 "\"encryption\":\"aes-xts-plain64\",\"sector_size\":4096}");
	expect_segments_refused(text, 2, -EBADMSG, "not encrypted as");
}

Test(reencrypt, converted_bytes_behind_those_that_are_not_are_refused)
{
	char text[1000];

	snprintf(text, sizeof(text), "\"0\":{\"type\":\"linear\",\"offset\":\"0\",\"size\":\"1048576\"},%s",
		 crypt_at(1, MIB, SIZE - MIB, ""));
	expect_segments_refused(text, 2, -EBADMSG, "order");
}

Test(reencrypt, two_zones_in_conversion_are_refused)
{
	char text[2000];

	snprintf(text, sizeof(text), "%s,%s,\"2\":{\"type\":\"linear\",\"offset\":\"2097152\",\"size\":\"dynamic\"}",
		 crypt_at(0, 0, MIB, HOT), crypt_at(1, MIB, MIB, HOT));
	expect_segments_refused(text, 3, -EBADMSG, "order");
}

Test(reencrypt, segments_beyond_the_device_are_refused)
{
	make_header("checksum");
	set_state(MIB, MIB);
	cr_assert_eq(open_half_on(MIB), -ERANGE, "%s", e.msg);
	cr_assert_eq(open_half_on(MIB / 2), -ERANGE, "%s", e.msg);
	hdr_len = 0;
}

Test(reencrypt, a_zone_longer_than_its_journal_is_refused)
{
	make_header_of("journal", "512k");
	set_state(0, MIB);
	expect_refused(-EBADMSG, "longer than its journal");
}

/* ---- shifted and backward ---- */

/* An attached header: the first 8 MiB are moved to the end, and each zone goes 8 MiB up. */
static void make_shifted(const char *hot)
{
	enum { SHIFT = 8 * MIB, LONG = 28 * MIB };
	struct crypt_params c = { .key = vk, .offset = SHIFT, .sector_size = 512 };
	struct blk *b, *view = NULL;
	uint8_t *all = calloc(1, LONG), *was = calloc(1, LONG);
	size_t n;

	cr_assert(all && was);
	for (size_t i = 0; i < 12 * MIB; i += SIZE)
		memcpy(was + i, plain, SIZE);
	was[0] ^= 1; /* the three are not the same */
	was[SIZE] ^= 2;
	make_file("a", was, LONG);
	RUN("cryptsetup", "reencrypt", "-q", "--encrypt", "--init-only", "--type", "luks2", FAST_PBKDF2, "--key-size",
	    "512", "--sector-size", "512", "--volume-key-file", make_path("vk"), "--key-file", make_path("key"),
	    "--reduce-device-size", "16M", make_path("a"));
	free(all);
	all = make_load("a", &n);
	cr_assert_eq(n, LONG);
	/* moved: 0 to 8 MiB, in place: 8 to 12 MiB of the content, which are in conversion */
	luks2_edit(all, "\"1\":{\"type\":\"linear\",\"offset\":\"8388608\",\"size\":\"4194304\"}", hot);
	b = mem_blk(all, LONG);
	cr_assert_eq(blk_open_crypt(b, &c, &view, &e), 0, "%s", e.msg);
	/* only half of the zone has arrived */
	cr_assert_eq(blk_pwrite(view, was + 8 * MIB, 2 * MIB, 8 * MIB, &e), 0, "%s", e.msg);
	cr_assert_eq(luks_read(b, &info, &e), 1);
	cr_assert_str_empty(info.damage.msg, "%s", info.damage.msg);
	if (luks_open_half(&info, b, b, vk, &half, &e) == 0) {
		uint8_t *p = malloc(12 * MIB);

		cr_assert_eq(half->size, 12 * MIB);
		cr_assert_eq(blk_pread(half, p, 12 * MIB, 0, &e), 0, "%s", e.msg);
		cr_assert(memcmp(p, was, 12 * MIB) == 0);
		free(p);
	}
	blk_unref(view);
	blk_unref(b);
	free(all);
	free(was);
}

Test(reencrypt, of_a_zone_that_is_shifted_the_source_is_read)
{
	make_shifted("\"1\":{\"type\":\"crypt\",\"offset\":\"16777216\",\"size\":\"4194304\",\"iv_tweak\":\"16384\","
		     "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512" HOT "}");
	cr_assert_not_null(half, "%s", e.msg);
}

Test(reencrypt, a_shifted_zone_in_another_place_is_refused)
{
	make_shifted("\"1\":{\"type\":\"crypt\",\"offset\":\"12582912\",\"size\":\"4194304\",\"iv_tweak\":\"16384\","
		     "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512" HOT "}");
	cr_assert_null(half);
	cr_assert(strstr(e.msg, "must be crypt at byte 16777216"), "%s", e.msg);
}

/* ---- decryption ---- */

Test(reencrypt, a_decryption_half_way_is_read_the_same_way)
{
	char to[1000];

	make_header("checksum");
	RUN("cryptsetup", "reencrypt", "-q", "--resume-only", "--force-offline-reencrypt", "--key-file", make_path("key"),
	    "--header", make_path("h"), make_path("disk"));
	RUN("cryptsetup", "reencrypt", "-q", "--decrypt", "--init-only", "--force-offline-reencrypt", "--key-file",
	    make_path("key"), "--resilience", "checksum", "--header", make_path("h"), make_path("disk"));
	free(hdr);
	hdr = make_load("h", &hdr_len);
	/* backward: the last MiB is plain already */
	snprintf(to, sizeof(to), "%s,\"1\":{\"type\":\"linear\",\"offset\":\"3145728\",\"size\":\"dynamic\"},\"2\":{",
		 crypt_at(0, 0, 3 * MIB, ""));
	luks2_edit(hdr,
		   "\"0\":{\"type\":\"crypt\",\"offset\":\"0\",\"size\":\"dynamic\",\"iv_tweak\":\"0\",\"encryption\":"
		   "\"aes-xts-plain64\",\"sector_size\":512},\"1\":{",
		   to);
	luks2_edit(hdr, "\"backup-previous\"]},\"2\":{", "\"backup-previous\"]},\"3\":{");
	luks2_edit(hdr, "\"segments\":[\"0\",\"1\"]", "\"segments\":[\"0\",\"2\"]");
	convert(0, 3 * MIB);
	cr_assert_eq(open_half_on(SIZE), 0, "%s", e.msg);
	expect_content(0, SIZE);
	luks_say_half(&info, SIZE, to, sizeof(to));
	cr_assert(strstr(to, "1048576 of 4194304"), "%s", to);
}
