/* SPDX-License-Identifier: MIT */
/* Tests blk/crypt.c against what cryptsetup 2.6.1 makes of a known megabyte (`cryptsetup reencrypt --encrypt`
 * with --sector-size and --key-size): the SHA-256 of all ciphertext, and 16 bytes from the middle of it. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>
#include "base/bytes.h"
#include "blk/blk.h"

enum { MIB = 1024 * 1024, SPOT = 0xa5000 };

struct known {
	uint32_t sector_size;
	size_t key_len;
	char key[130], spot[34], sha256[66];
};

static struct known known[] = {
	{512, 32,
	 "08e89c0d65e492fba2e9516f285be9104a73ffa25badc9c96e1112fb1503ac01",
	 "65a548a3fcaaaf2340fd3ae870ed33c2",
	 "7aebcac16adc430840950877a757381ace45f5515e26b9440dbf80ec1b6f580c"},
	{512, 64,
	 "72d2dcb3a9649fb2eaf2b9214ca118205b0ce4e0a7a1197e233815eb87112169"
	 "ae44dbe9acab90285b7f6e74387f6695c1f46104a057e86b8936b00a0e4e0570",
	 "4446cca13879f1ec94c48300bd7b2004",
	 "558fcb608b77d6af6ea95ad229f0a969c1929f10f97b3f8afc3d25b6b3f50077"},
	{4096, 32,
	 "65e796bc5351f1436acaa331c07e78547c058a6d3a229715b0981cc35d3f2140",
	 "ad86c16a44b330ec81edd1109ff65d4b",
	 "f4399613b7e17618583b352201f1c2a60cee7eb1c511ea23092915bc26c81c71"},
	{4096, 64,
	 "76661312cfa03ca68e44fb56314a3d1603d2824b33579f1da986cd5d72cf1db5"
	 "b5944b9e3fea65cb6b0eec6e45cd9c0f7cdac95c84a8ca91cdec80fae7caec1b",
	 "30bcd9aa72471673ebcb35b743c1e965",
	 "55a3da6166392db04b1a75d76ae2d0f4c30a574260baf02acdd38caf8ad2fb5c"},
};

static uint8_t plain[MIB], cipher[MIB];

static void fill_plain(void)
{
	size_t i;

	for (i = 0; i < MIB; i++)
		plain[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 12) * 29);
}
TestSuite(crypt, .init = fill_plain);

static struct secret *key_of(const struct known *k)
{
	struct secret *key = secret_new(k->key_len);
	unsigned byte;
	size_t i;

	for (i = 0; i < k->key_len; i++) {
		cr_assert_eq(sscanf(k->key + 2 * i, "%2x", &byte), 1);
		key->data[i] = (uint8_t)byte;
	}
	return key;
}

/* The known volume: open, its payload at offset in a device of MIB + offset bytes. */
static struct blk *open_known(const struct known *k, uint64_t offset, struct blk **ret_under)
{
	cleanup_secret struct secret *key = key_of(k);
	struct crypt_params p = {.key = key, .offset = offset, .sector_size = k->sector_size};
	struct blk *b = NULL;
	struct err e = {""};

	cr_assert_eq(blk_open_mem(NULL, MIB + offset, ret_under, NULL), 0);
	cr_assert_eq(blk_open_crypt(*ret_under, &p, &b, &e), 0, "%s", e.msg);
	cr_assert_eq(b->size, MIB);
	return b;
}

ParameterizedTestParameters(crypt, gives_the_bytes_that_cryptsetup_gives)
{
	return cr_make_param_array(struct known, known, sizeof(known) / sizeof(known[0]));
}

ParameterizedTest(struct known *k, crypt, gives_the_bytes_that_cryptsetup_gives)
{
	cleanup_blk struct blk *under = NULL, *b = open_known(k, 512, &under);
	uint8_t sum[32], back[5000];
	char hex[65];

	cr_assert_eq(blk_pwrite(b, plain, MIB, 0, NULL), 0);
	cr_assert_eq(blk_pread(under, cipher, MIB, 512, NULL), 0);
	bytes_hex(cipher + SPOT, 16, hex);
	cr_assert_str_eq(hex, k->spot);
	bytes_sha256(cipher, MIB, sum);
	bytes_hex(sum, 32, hex);
	cr_assert_str_eq(hex, k->sha256);

	cr_assert_eq(blk_pread(b, back, sizeof(back), SPOT - 1001, NULL), 0);
	cr_assert_arr_eq(back, plain + SPOT - 1001, sizeof(back));
	cr_assert_eq(blk_pread(b, cipher, MIB, 0, NULL), 0);
	cr_assert_eq(memcmp(cipher, plain, MIB), 0);
}

ParameterizedTestParameters(crypt, any_order_of_writes_gives_the_same_ciphertext)
{
	return cr_make_param_array(struct known, known, sizeof(known) / sizeof(known[0]));
}

ParameterizedTest(struct known *k, crypt, any_order_of_writes_gives_the_same_ciphertext)
{
	cleanup_blk struct blk *under = NULL, *b = open_known(k, 0, &under);
	uint64_t off;
	uint8_t sum[32];
	char hex[65];
	size_t n;

	/* 253 is prime to MIB / 1021 + 1 pieces: each is written once, none after its neighbour */
	for (n = 0; n < MIB / 1021 + 1; n++) {
		off = n * 253 % (MIB / 1021 + 1) * 1021;
		cr_assert_eq(blk_pwrite(b, plain + off, MIB - off < 1021 ? MIB - off : 1021, off, NULL), 0);
	}
	cr_assert_eq(blk_pread(under, cipher, MIB, 0, NULL), 0);
	bytes_sha256(cipher, MIB, sum);
	bytes_hex(sum, 32, hex);
	cr_assert_str_eq(hex, k->sha256);
}

Test(crypt, the_iv_offset_counts_units_of_512_bytes)
{
	cleanup_blk struct blk *under = NULL, *whole = open_known(&known[3], 0, &under), *half = NULL;
	cleanup_secret struct secret *key = key_of(&known[3]);
	struct crypt_params p = {.key = key, .offset = MIB / 2, .size = MIB / 4, .iv_offset = MIB / 2 / 512,
				 .sector_size = 4096};
	uint8_t buf[4096];

	cr_assert_eq(blk_pwrite(whole, plain, MIB, 0, NULL), 0);
	cr_assert_eq(blk_open_crypt(under, &p, &half, NULL), 0);
	cr_assert_eq(half->size, MIB / 4);
	cr_assert_eq(blk_pread(half, buf, 4096, MIB / 8, NULL), 0);
	cr_assert_arr_eq(buf, plain + MIB / 2 + MIB / 8, 4096);
}

Test(crypt, what_a_header_must_not_say_is_refused)
{
	cleanup_secret struct secret *key = secret_new(64), *odd = secret_new(48);
	cleanup_blk struct blk *under = NULL, *ok = NULL;
	const struct crypt_params good = {.key = key, .sector_size = 512};
	const struct { struct crypt_params p; int code; } rows[] = {
		{{.key = odd, .sector_size = 512}, -EOPNOTSUPP},
		{{.key = NULL, .sector_size = 512}, -EOPNOTSUPP},
		{{.key = key, .sector_size = 0}, -EOPNOTSUPP},
		{{.key = key, .sector_size = 256}, -EOPNOTSUPP},
		{{.key = key, .sector_size = 1536}, -EOPNOTSUPP},
		{{.key = key, .sector_size = 8192}, -EOPNOTSUPP},
		{{.key = key, .sector_size = 512, .offset = 8193}, -ERANGE},
		{{.key = key, .sector_size = 512, .offset = UINT64_MAX, .size = 512}, -ERANGE},
		{{.key = key, .sector_size = 512, .offset = 512, .size = 8192}, -ERANGE},
		{{.key = key, .sector_size = 512, .size = UINT64_MAX}, -ERANGE},
		{{.key = key, .sector_size = 4096, .size = 512}, -EBADMSG},
	};
	struct blk *b = NULL;
	struct err e;
	size_t i;

	cr_assert_eq(blk_open_mem(NULL, 8192, &under, NULL), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e.msg[0] = '\0';
		cr_assert_eq(blk_open_crypt(under, &rows[i].p, &b, &e), rows[i].code, "row %zu: %s", i,
			     e.msg);
		cr_assert(b == NULL && e.msg[0]);
	}
	cr_assert_eq(under->refs, 1, "a refused layer keeps nothing");
	cr_assert_eq(blk_open_crypt(under, &good, &ok, NULL), 0);
}

Test(crypt, a_tail_that_is_no_sector_is_left_out)
{
	cleanup_secret struct secret *key = secret_copy("0123456789abcdef0123456789ABCDEF", 32);
	struct crypt_params p = {.key = key, .sector_size = 4096, .offset = 512};
	cleanup_blk struct blk *under = NULL, *b = NULL;

	cr_assert_eq(blk_open_mem(NULL, 3 * 4096, &under, NULL), 0);
	cr_assert_eq(blk_open_crypt(under, &p, &b, NULL), 0);
	cr_assert_eq(b->size, 2 * 4096);
}

Test(crypt, the_key_is_copied_and_writes_leave_the_callers_bytes)
{
	cleanup_secret struct secret *key = secret_copy("0123456789abcdef0123456789ABCDEF", 32);
	struct crypt_params p = {.key = key, .sector_size = 512};
	cleanup_blk struct blk *under = NULL, *b = NULL;
	uint8_t buf[1024], back[1024];

	cr_assert_eq(blk_open_mem(NULL, 1024, &under, NULL), 0);
	cr_assert_eq(blk_open_crypt(under, &p, &b, NULL), 0);
	secret_free(take_ptr(&key));
	memcpy(buf, plain, 1024);
	cr_assert_eq(blk_pwrite(b, buf, 1024, 0, NULL), 0);
	cr_assert_arr_eq(buf, plain, 1024);
	cr_assert_eq(blk_pread(b, back, 1024, 0, NULL), 0);
	cr_assert_arr_eq(back, plain, 1024);
}
