/* SPDX-License-Identifier: MIT */
/* Tests the LUKS reader: luks1.c, luks2.c, luks2_json.c, luks_judge.c, luks_read.c and the parser of luks.c.
 */
#include <time.h>
#include "format/ext.h"
#include "format/format.h"
#include "format/luks.h"
#include "make-luks.h"

static struct luks_info info;
static struct err e;

static int read_bytes(const uint8_t *p, size_t n)
{
	struct blk *b = mem_blk(p, n);
	int r = luks_read(b, &info, &e);

	blk_unref(b);
	return r;
}

static uint8_t *luks2(size_t *n)
{
	make_luks2("h");
	return make_load("h", n);
}

static const struct luks_slot *slot(int id)
{
	for (unsigned i = 0; i < info.nslots; i++)
		if (info.slots[i].id == id)
			return &info.slots[i];
	cr_assert(false, "no slot %d", id);
	return NULL;
}

TestSuite(luks, .init = make_begin, .timeout = 60);

Test(luks, a_luks2_header_says_what_cryptsetup_wrote)
{
	size_t n;
	uint8_t *p = luks2(&n);

	cr_assert_eq(read_bytes(p, n), 1, "%s", e.msg);
	cr_assert_eq(info.version, 2);
	cr_assert_str_eq(info.uuid, "11111111-2222-3333-4444-555555555555");
	cr_assert_str_eq(info.label, "data one");
	cr_assert_str_eq(info.cipher, "aes-xts-plain64");
	cr_assert_eq(info.key_size, 64);
	cr_assert_eq(info.payload_offset, 1 << 20);
	cr_assert_eq(info.sector_size, 512);
	cr_assert_eq(info.hdr_size, 16384);
	cr_assert_eq(info.total_size, 32768 + (512 << 10));
	cr_assert_eq(info.nslots, 1);
	cr_assert(slot(0)->active && !slot(0)->unbound && !slot(0)->bad.msg[0]);
	cr_assert_str_eq(slot(0)->kdf, "argon2id");
	cr_assert_eq(slot(0)->memory, 1 << 20);
	cr_assert_eq(slot(0)->iterations, 4);
	cr_assert_eq(info.copy_used, 0);
	cr_assert_str_empty(info.damage.msg);
	cr_assert_str_empty(info.refused.msg);
	free(p);
}

Test(luks, a_wrong_checksum_makes_the_other_copy_count)
{
	size_t n;
	uint8_t *p = luks2(&n);

	p[4100] ^= 1;
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert_eq(info.copy_used, 1);
	cr_assert(strstr(info.damage.msg, "primary") && strstr(info.damage.msg, "checksum"), "%s",
		  info.damage.msg);
	cr_assert_eq(info.nslots, 1);
	cr_assert_str_empty(info.refused.msg);

	p[4100] ^= 1;
	p[16384 + 4100] ^= 1;
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert_eq(info.copy_used, 0);
	cr_assert(strstr(info.damage.msg, "secondary"), "%s", info.damage.msg);

	p[4100] ^= 1;
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert(info.broken);
	cr_assert_str_not_empty(info.refused.msg);
	cr_assert_eq(info.nslots, 0);
	free(p);
}

Test(luks, a_wiped_primary_is_a_header_with_damage)
{
	size_t n;
	uint8_t *p = luks2(&n);

	memset(p, 0, 16384);
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert_eq(info.copy_used, 1);
	cr_assert(strstr(info.damage.msg, "gone"), "%s", info.damage.msg);
	cr_assert_str_eq(info.uuid, "11111111-2222-3333-4444-555555555555");
	/* a damaged secondary alone is the rest of something older */
	p[16384 + 4200] ^= 1;
	cr_assert_eq(read_bytes(p, n), 0);
	free(p);
}

Test(luks, the_copy_with_the_higher_number_is_used)
{
	size_t n, m;
	uint8_t *old = luks2(&n), *new_;

	make_file("key2", "another", 7);
	RUN("cryptsetup", "luksAddKey", "-q", FAST_ARGON, "--key-file", make_path("key"), make_path("h"),
	    make_path("key2"));
	new_ = make_load("h", &m);
	cr_assert_eq(n, m);

	memcpy(old + 16384, new_ + 16384, 16384);
	cr_assert_eq(read_bytes(old, n), 1);
	cr_assert_eq(info.copy_used, 1);
	cr_assert_eq(info.nslots, 2);
	cr_assert(strstr(info.damage.msg, "differ"), "%s", info.damage.msg);

	free(old);
	old = luks2(&n);
	memcpy(new_ + 16384, old + 16384, 16384);
	cr_assert_eq(read_bytes(new_, m), 1);
	cr_assert_eq(info.copy_used, 0);
	cr_assert_eq(info.nslots, 2);
	free(old);
	free(new_);
}

Test(luks, a_cut_header_is_never_more_than_its_bytes)
{
	size_t n;
	uint8_t *p = luks2(&n);

	for (size_t cut = 0; cut <= n; cut = cut < 40000 ? cut + 509 : cut + 65536) {
		int r = read_bytes(p, cut);

		cr_assert(r == 0 || r == 1);
		cr_assert_eq(r, cut >= 512, "cut at %zu", cut);
		cr_assert_eq(r && !info.broken, cut >= 16384, "cut at %zu", cut);
		if (r && !info.broken && cut < 32768 + 256000)
			cr_assert(strstr(slot(0)->bad.msg, "cut off"), "cut at %zu: %s", cut,
				  slot(0)->bad.msg);
	}
	free(p);
}

static const struct {
	const char *from, *to, *refused, *bad;
} edits[] = {
	{ "\"encryption\":\"aes-xts-plain64\",\"sector", "\"encryption\":\"cipher_null-ecb\",\"sector",
	  "null cipher", "" },
	{ "\"encryption\":\"aes-xts-plain64\",\"sector", "\"encryption\":\"serpent-xts-plain64\",\"sector",
	  "serpent-xts-plain64", "" },
	{ "\"encryption\":\"aes-xts-plain64\",\"key_size\"",
	  "\"encryption\":\"cipher_null-ecb\",\"key_size\"", "", "null cipher" },
	{ "\"encryption\":\"aes-xts-plain64\",\"key_size\"",
	  "\"encryption\":\"twofish-xts-plain64\",\"key_size\"", "", "twofish" },
	{ "\"memory\":1024", "\"memory\":4194305", "", "4 GiB" },
	{ "\"memory\":1024", "\"memory\":9007199254740991", "", "4 GiB" },
	{ "\"time\":4", "\"time\":4000000000", "", "above 10 minutes" },
	{ "\"time\":4,\"memory\":1024", "\"time\":4000,\"memory\":2097152", "", "minutes" },
	{ "\"iterations\":1000", "\"iterations\":4000000000", "", "minutes" },
	{ "\"type\":\"argon2id\"", "\"type\":\"scrypt\"", "", "scrypt" },
	{ "\"keyslots_size\":\"524288\"",
	  "\"keyslots_size\":\"524288\",\"requirements\":{\"mandatory\":[\"opal\"]}", "opal", "" },
	{ "\"keyslots_size\":\"524288\"",
	  "\"keyslots_size\":\"524288\",\"requirements\":{\"mandatory\":[\"offline-reencrypt\"]}",
	  "offline re-encryption", "" },
	{ "\"sector_size\":512", "\"sector_size\":512,\"integrity\":{\"type\":\"hmac(sha256)\"}", "integrity",
	  "" },
	{ "\"size\":\"dynamic\"",
	  "\"size\":\"524288\",\"iv_tweak\":\"0\",\"encryption\":\"aes-xts-plain64\",\"sector_size\":512},"
	  "\"1\":{\"type\":\"crypt\",\"offset\":\"1572864\",\"size\":\"dynamic\"",
	  "2 encrypted segments", "" },
};

Test(luks, what_a_key_must_not_be_tried_on_is_refused_by_name)
{
	size_t n;
	uint8_t *p = luks2(&n), *q = malloc(n);

	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		memcpy(q, p, n);
		if (strstr(edits[i].from, "iterations"))
			/* of the digest, whatever cryptsetup took */
			luks2_edit(q, "\"iterations\":", "\"iterations\":900000");
		else
			luks2_edit(q, edits[i].from, edits[i].to);
		cr_assert_eq(read_bytes(q, n), 1, "edit %zu", i);
		if (*edits[i].refused)
			cr_assert(strstr(info.refused.msg, edits[i].refused), "edit %zu: %s", i,
				  info.refused.msg);
		else
			cr_assert_str_empty(info.refused.msg, "edit %zu", i);
		if (*edits[i].bad)
			cr_assert(strstr(slot(0)->bad.msg, edits[i].bad), "edit %zu: %s", i,
				  slot(0)->bad.msg);
	}
	free(q);
	free(p);
}

static const struct {
	const char *from, *to;
} faults[] = {
	{ "\"stripes\":4000", "\"stripes\":4001" },
	{ "\"offset\":\"32768\"", "\"offset\":\"32767\"" },
	{ "\"offset\":\"32768\"", "\"offset\":\"557056\"" },
	{ "\"size\":\"258048\"", "\"size\":\"18446744073709551615\"" },
	{ "\"size\":\"258048\"", "\"size\":\"255999\"" },
	{ "\"size\":\"258048\"", "\"size\":258048" },
	{ "\"keyslots\":[\"0\"]", "\"keyslots\":[\"1\"]" },
	{ "\"keyslots\":[\"0\"]", "\"keyslots\":[]" },
	{ "\"segments\":[\"0\"]", "\"segments\":[\"7\"]" },
	{ "\"json_size\":\"12288\"", "\"json_size\":\"12289\"" },
	{ "\"keyslots_size\":\"524288\"", "\"keyslots_size\":\"1048576\"" },
	{ "\"keyslots_size\":\"524288\"", "\"keyslots_size\":\"-1\"" },
	{ "\"offset\":\"1048576\"", "\"offset\":\"18446744073709551616\"" },
	{ "\"offset\":\"1048576\"", "\"offset\":\"1000\"" },
	{ "\"sector_size\":512", "\"sector_size\":\"512\"" },
	{ "\"sector_size\":512", "\"sector_size\":0" },
	{ "\"sector_size\":512", "\"sector_size\":768" },
	{ "\"size\":\"dynamic\"", "\"size\":\"0\"" },
	{ "\"segments\":{\"0\"", "\"segments\":{\"1\"" },
	{ "\"keyslots\":{\"0\"", "\"keyslots\":{\"32\"" },
	{ "\"keyslots\":{\"0\"", "\"keyslots\":{\"x\"" },
	{ "\"key_size\":64,\"af\"", "\"key_size\":600,\"af\"" },
	{ "\"key_size\":64,\"af\"", "\"key_size\":-64,\"af\"" },
	{ "\"tokens\":{}", "\"tokens\":[]" },
	{ "\"tokens\":{}", "\"tokens\":{\"0\":{\"type\":\"x\",\"keyslots\":[\"9\"]}}" },
	{ "\"config\":{", "\"konfig\":{" },
	{ "\"salt\":", "\"salz\":" },
};

Test(luks, a_fault_in_the_json_makes_the_copy_unbelievable)
{
	size_t n;
	uint8_t *p = luks2(&n), *q = malloc(n);

	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		memcpy(q, p, n);
		luks2_edit(q, faults[i].from, faults[i].to);
		cr_assert_eq(read_bytes(q, n), 1, "fault %zu", i);
		cr_assert(info.broken, "fault %zu is believed", i);
		cr_assert_str_not_empty(info.damage.msg);
	}
	/* and of one copy only: the other one is used */
	memcpy(q, p, n);
	luks2_edit(q, "\"stripes\":4000", "\"stripes\":4001");
	memcpy(q + 16384, p + 16384, 16384);
	cr_assert_eq(read_bytes(q, n), 1);
	cr_assert(!info.broken && info.copy_used == 1);
	cr_assert(strstr(info.damage.msg, "anti-forensic"), "%s", info.damage.msg);
	free(q);
	free(p);
}

Test(luks, the_token_of_a_confidential_vm_is_seen)
{
	size_t n;
	uint8_t *p = luks2(&n);

	luks2_edit(p, "\"tokens\":{}",
		   "\"tokens\":{\"5\":{\"type\":\"Azure_Disk_Encryption\",\"keyslots\":[\"0\"],\"version\":"
		   "\"1.0\"}}");
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert(info.ade_token);
	free(p);
}

/* JSON areas that are only made to hurt: 4 MiB copies with a right checksum. */
static void bomb(const char *head, const char *unit, const char *tail)
{
	enum { COPY = 4 << 20 };
	size_t n;
	uint8_t *small = luks2(&n), *p = calloc(2, COPY), size[8] = { 0, 0, 0, 0, 0, 0x40, 0, 0 };
	char *json = (char *)p + 4096;
	clock_t start;

	memcpy(p, small, 4096);
	memcpy(p + 8, size, 8);
	memcpy(json, head, strlen(head));
	for (json += strlen(head); json + strlen(unit) + strlen(tail) + 2 < (char *)p + COPY;
	     json += strlen(unit))
		memcpy(json, unit, strlen(unit));
	memcpy(json, tail, strlen(tail));
	memset(p + 448, 0, 64);
	bytes_sha256(p, COPY, p + 448);
	start = clock();
	cr_assert_eq(read_bytes(p, 2 * COPY), 1);
	cr_assert(info.broken);
	cr_assert_lt((double)(clock() - start) / CLOCKS_PER_SEC, 2.0);
	free(small);
	free(p);
}

Test(luks, json_bombs_are_refused_quickly)
{
	bomb("{\"a\":", "[", "");
	bomb("{\"a\":[0", ",0", "]}");
	bomb("{\"a\":{", "\"a\":{},", "\"b\":0}}");
	bomb("{\"a\":\"", "aaaaaaaaaaaaaaaa", "\"}");
	bomb("{\"a\":\"", "\\", "\"}");
	bomb("{", " ", "}");
	bomb("", "}", "");
}

/* ---- LUKS1 ---- */

static uint8_t *luks1(size_t *n)
{
	make_file("key", "secret", 6);
	make_file("key2", "second", 6);
	make_file("key3", "third", 5);
	make_empty("h1", 4 << 20);
	RUN("cryptsetup", "luksFormat", "-q", "--type", "luks1", FAST_PBKDF2, "--key-file", make_path("key"),
	    make_path("h1"));
	for (int i = 2; i <= 3; i++)
		RUN("cryptsetup", "luksAddKey", "-q", FAST_PBKDF2, "--key-file", make_path("key"),
		    make_path("h1"), make_path(i == 2 ? "key2" : "key3"));
	return make_load("h1", n);
}

Test(luks, a_luks1_header_says_what_cryptsetup_wrote)
{
	size_t n;
	uint8_t *p = luks1(&n);

	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert_eq(info.version, 1);
	cr_assert_str_eq(info.cipher, "aes-xts-plain64");
	cr_assert_eq(info.nslots, 3);
	cr_assert_eq(slot(2)->iterations, 1000);
	cr_assert_str_eq(slot(2)->kdf, "pbkdf2");
	cr_assert_eq(info.payload_offset, 2 << 20);
	cr_assert_str_empty(info.refused.msg);
	cr_assert_str_empty(info.damage.msg);
	free(p);
}

Test(luks, an_interrupted_offline_reencryption_is_a_header_without_keys)
{
	size_t n;
	uint8_t *p = luks1(&n);

	p[4] = 0xde;
	p[5] = 0xad;
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert(info.in_flight_magic);
	cr_assert(strstr(info.refused.msg, "re-encryption"), "%s", info.refused.msg);
	free(p);
}

Test(luks, evil_luks1_headers_are_refused)
{
	static const struct {
		size_t at;
		uint8_t bytes[4];
		const char *why;
	} evil[] = {
		{ 208 + 44, { 0, 0, 0, 1 }, "stripes" },
		{ 208 + 40, { 0, 0, 0, 0 }, "inside the header" },
		{ 208 + 40, { 0, 0, 0x0f, 0xff }, "overlaps the payload" },
		{ 208 + 40, { 0xff, 0xff, 0xff, 0xff }, "outside" },
		{ 208 + 48 + 40, { 0, 0, 0, 0x10 }, "overlap" },
		{ 108, { 0, 0, 0, 8 }, "volume key" },
		{ 108, { 0xff, 0xff, 0xff, 0xff }, "volume key" },
		{ 104, { 0, 0, 0, 1 }, "overlaps the payload" },
		{ 8, { 'd', 'e', 's', 0 }, "des-xts-plain64" },
	};
	size_t n;
	uint8_t *p = luks1(&n), old[4];

	for (size_t i = 0; i < sizeof(evil) / sizeof(*evil); i++) {
		memcpy(old, p + evil[i].at, 4);
		memcpy(p + evil[i].at, evil[i].bytes, 4);
		cr_assert_eq(read_bytes(p, n), 1);
		cr_assert(strstr(info.refused.msg, evil[i].why), "evil %zu: %s", i, info.refused.msg);
		memcpy(p + evil[i].at, old, 4);
	}
	free(p);
}

Test(luks, absurd_luks1_iterations_are_not_tried)
{
	size_t n;
	uint8_t *p = luks1(&n);

	memset(p + 208 + 4, 0xff, 4);
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert(strstr(slot(0)->bad.msg, "minutes"), "%s", slot(0)->bad.msg);
	cr_assert_str_empty(slot(1)->bad.msg);
	/* the digest is part of every trial */
	memset(p + 164, 0xff, 4);
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert_str_not_empty(slot(1)->bad.msg);
	free(p);
}

Test(luks, a_luks1_null_cipher_is_refused_by_name)
{
	size_t n;
	uint8_t *p = luks1(&n);

	memcpy(p + 8, "cipher_null", 12);
	memcpy(p + 40, "ecb", 4);
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert(strstr(info.refused.msg, "null cipher"), "%s", info.refused.msg);
	free(p);
}

/* ---- re-encryption in flight, ranges ---- */

Test(luks, an_online_reencryption_in_flight_is_known_and_not_opened)
{
	struct secret *vk = secret_new(64);
	struct blk *dev, *payload = NULL;
	uint64_t done, total;
	size_t n;
	uint8_t *p;

	make_file("key", "secret", 6);
	make_empty("h", 16 << 20);
	make_empty("disk", 8 << 20);
	RUN("cryptsetup", "reencrypt", "-q", "--encrypt", "--init-only", "--type", "luks2", FAST_ARGON,
	    "--key-file", make_path("key"), "--header", make_path("h"), make_path("disk"));
	p = make_load("h", &n);
	cr_assert_eq(read_bytes(p, n), 1, "%s", e.msg);
	cr_assert(info.online);
	cr_assert_str_empty(info.refused.msg);
	cr_assert_str_eq(info.cipher, "aes-xts-plain64");
	cr_assert_eq(info.key_size, 64);
	cr_assert_eq(info.nslots, 2);
	cr_assert(slot(1)->reencrypt && !slot(1)->active);
	cr_assert_str_eq(slot(1)->mode, "encrypt");
	cr_assert(luks_progress(&info, 8 << 20, &done, &total));
	cr_assert_eq(done, 0);
	cr_assert_eq(total, 8 << 20);

	dev = make_blk("disk");
	cr_assert_eq(luks_open_payload(&info, dev, vk, &payload, &e), -EOPNOTSUPP);
	cr_assert(strstr(e.msg, "in flight"), "%s", e.msg);
	blk_unref(dev);
	secret_free(vk);
	free(p);
}

Test(luks, a_finished_luks_volume_is_all_ciphertext)
{
	uint64_t done, total;
	size_t n;
	uint8_t *p = luks2(&n);

	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert(luks_progress(&info, 2 << 20, &done, &total));
	cr_assert(done == total && total == 1 << 20);
	cr_assert_not(luks_progress(&info, 1 << 20, &done, &total));
	free(p);
}

Test(luks, the_payload_must_fit_its_device)
{
	struct secret *vk = secret_new(64), *shorter = secret_new(32);
	struct blk *dev = mem_blk(NULL, 2 << 20), *small = mem_blk(NULL, 1 << 20), *payload = NULL;
	size_t n;
	uint8_t *p = luks2(&n);

	memset(vk->data, 1, 32);
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert_eq(luks_open_payload(&info, small, vk, &payload, &e), -ERANGE);
	cr_assert_eq(luks_open_payload(&info, dev, shorter, &payload, &e), -EBADMSG);
	cr_assert_eq(luks_open_payload(&info, dev, vk, &payload, &e), 0, "%s", e.msg);
	cr_assert_eq(payload->size, 1 << 20);
	blk_unref(payload);
	blk_unref(dev);
	blk_unref(small);
	secret_free(vk);
	secret_free(shorter);
	free(p);
}

Test(luks, the_ranges_hold_both_copies_and_the_good_slots)
{
	struct stage_range r[LUKS_MAX_SLOTS + 1];
	size_t n;
	uint8_t *p = luks2(&n);

	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert_eq(luks_ranges(&info, r, LUKS_MAX_SLOTS + 1), 2);
	cr_assert(r[0].off == 0 && r[0].len == 32768);
	cr_assert(r[1].off == 32768 && r[1].len == 256000);
	cr_assert_eq(luks_ranges(&info, r, 1), 1);
	luks2_edit(p, "\"time\":4", "\"time\":4000000000");
	cr_assert_eq(read_bytes(p, n), 1);
	cr_assert_eq(luks_ranges(&info, r, LUKS_MAX_SLOTS + 1), 1);
	free(p);
}

/* ---- the format ---- */

static int parse_bytes(const uint8_t *p, size_t n)
{
	struct blk *b = mem_blk(p, n);
	void *meta = NULL;
	int r = format_luks.parse(b, &meta, &e);

	format_luks.free_meta(meta);
	blk_unref(b);
	return r;
}

Test(luks, a_secondary_header_alone_does_not_win_over_what_lives_there)
{
	size_t n;
	uint8_t *p = luks2(&n), *q = malloc(n);

	memset(p, 0, 16384);
	cr_assert_eq(parse_bytes(p, n), 1);
	memcpy(q, p, n);
	memcpy(q + 4086, "SWAPSPACE2", 10);
	cr_assert_eq(parse_bytes(q, n), 0);
	memcpy(q, p, n);
	memcpy(q + 512, "LABELONE", 8);
	cr_assert_eq(parse_bytes(q, n), 0);
	memcpy(q, p, n);
	memcpy(q, "XFSB", 4);
	cr_assert_eq(parse_bytes(q, n), 0);
	/* an ext magic without a superblock around it is nothing */
	memcpy(q, p, n);
	q[0x438] = 0x53;
	q[0x439] = 0xef;
	cr_assert_eq(parse_bytes(q, n), 1);
	free(p);
	free(q);
}

Test(luks, a_secondary_header_under_an_ext_file_system_is_old)
{
	size_t n, m;
	uint8_t *p = luks2(&n), *q;

	make_empty("fs", 2 << 20);
	RUN("mkfs.ext4", "-q", make_path("fs"));
	q = make_load("fs", &m);
	memcpy(q + 16384, p + 16384, 16384);
	cr_assert_eq(parse_bytes(q, m), 0);
	free(p);
	free(q);
}

/* ---- random damage ---- */

static uint32_t seed = 12345;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void mutate_json(uint8_t *q)
{
	static const char *const bits[] = { "\"",    "{",    "}",    "[",	"]",
					    ",",     ":",    "-1",   "0",	"18446744073709551615",
					    "\"0\"", "null", "1e99", "\\u0000", "\xff" };
	char *json = (char *)q + 4096;
	const char *bit = bits[rnd(sizeof(bits) / sizeof(*bits))];
	size_t len = strlen(json), at = rnd((uint32_t)len), cut = rnd(12);

	if (cut > len - at)
		cut = len - at;
	if (len + strlen(bit) + 1 > 12288)
		return;
	memmove(json + at + strlen(bit), json + at + cut, len - at - cut + 1);
	memcpy(json + at, bit, strlen(bit));
	memcpy(q + 16384 + 4096, q + 4096, 12288);
}

Test(luks, no_mutation_crashes_the_reader_or_holds_it_up, .timeout = 600)
{
	size_t n, m;
	uint8_t *p = luks2(&n), *o = luks1(&m), *q = malloc(n > m ? n : m);
	struct stage_range r[LUKS_MAX_SLOTS + 1];
	unsigned believed = 0;
	uint64_t done, total;

	for (int i = 0; i < 6000; i++) {
		bool first = i % 3 == 0;
		unsigned times = 1 + rnd(4);
		clock_t start;

		memcpy(q, first ? o : p, first ? 4096 : 65536);
		while (times--) {
			if (first)
				q[rnd(592)] ^= (uint8_t)(1u << rnd(8));
			else if (i % 3 == 1)
				mutate_json(q);
			else
				q[rnd(2) * 16384 + (rnd(3) ? 4096 + rnd(1200) : rnd(512))] ^=
					(uint8_t)(1u << rnd(8));
		}
		if (!first)
			luks2_resum(q, 16384);
		start = clock();
		if (read_bytes(q, first ? m : 65536) == 1 && !info.broken && !info.refused.msg[0]) {
			believed++;
			cr_assert_leq(luks_ranges(&info, r, LUKS_MAX_SLOTS + 1), LUKS_MAX_SLOTS + 1);
			(void)luks_progress(&info, 2 << 20, &done, &total);
		}
		cr_assert_lt((double)(clock() - start) / CLOCKS_PER_SEC, 2.0, "mutation %d", i);
	}
	cr_assert_gt(believed, 100, "the mutations do not reach the inside");
	free(p);
	free(o);
	free(q);
}
