/* SPDX-License-Identifier: MIT */
/* Tests base/bytes.c: sums and printed forms against values from their standards, checked arithmetic at its
 * edges. */
#include <criterion/criterion.h>
#include "base/bytes.h"
#include "base/err.h"
#include "base/vec.h"

Test(bytes, crc32_is_the_one_of_zlib)
{
	uint8_t buf[300];
	uint32_t crc;
	size_t i;

	cr_assert_eq(bytes_crc32(0, "", 0), 0);
	cr_assert_eq(bytes_crc32(0, "123456789", 9), 0xcbf43926);
	memset(buf, 0, 32);
	cr_assert_eq(bytes_crc32(0, buf, 32), 0x190a55ad);
	memset(buf, 0xff, 32);
	cr_assert_eq(bytes_crc32(0, buf, 32), 0xff6cab0b);

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 31 + (i >> 3));
	crc = bytes_crc32(0, buf, sizeof(buf));
	for (i = 0; i < sizeof(buf); i++)
		cr_assert_eq(bytes_crc32(bytes_crc32(0, buf, i), buf + i, sizeof(buf) - i), crc, "cut at %zu",
			     i);
}

Test(bytes, one_byte_anywhere_is_not_zero)
{
	uint8_t buf[70] = {0};
	size_t i;

	for (i = 0; i <= sizeof(buf); i++)
		cr_assert(bytes_all_zero(buf, i), "%zu zeroes", i);
	for (i = 0; i < sizeof(buf); i++) {
		buf[i] = 1;
		cr_assert_not(bytes_all_zero(buf, sizeof(buf)), "a one at %zu", i);
		cr_assert(bytes_all_zero(buf, i), "before a one at %zu", i);
		buf[i] = 0;
	}
}

Test(bytes, entropy_runs_from_0_to_8)
{
	uint8_t buf[1024] = {0};
	double bits;
	size_t i;

	cr_assert_eq(bytes_entropy(buf, 0), 0);
	memset(buf, 'x', sizeof(buf));
	cr_assert_eq(bytes_entropy(buf, sizeof(buf)), 0);
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	cr_assert_eq(bytes_entropy(buf, sizeof(buf)), 8);
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = i % 4 == 0;
	bits = bytes_entropy(buf, sizeof(buf));
	cr_assert(bits > 0.8112 && bits < 0.8113, "%f", bits);
}

Test(bytes, uuids_and_guids_are_printed_in_their_orders)
{
	static const uint8_t efi[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
					0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
	char out[37];

	bytes_guid(efi, out);
	cr_assert_str_eq(out, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
	bytes_uuid(efi, out);
	cr_assert_str_eq(out, "28732ac1-1ff8-d211-ba4b-00a0c93ec93b");
}

Test(bytes, hexadecimal_is_lower_case)
{
	char out[7];

	bytes_hex("\x00\xab\x7f", 3, out);
	cr_assert_str_eq(out, "00ab7f");
	bytes_hex("", 0, out);
	cr_assert_str_empty(out);
}

Test(bytes, sha256_is_the_one_of_fips_180)
{
	uint8_t sum[32];
	char hex[65];

	bytes_sha256("abc", 3, sum);
	bytes_hex(sum, sizeof(sum), hex);
	cr_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	bytes_sha256("", 0, sum);
	bytes_hex(sum, sizeof(sum), hex);
	cr_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

Test(bytes, integers_are_read_in_their_order)
{
	cr_assert_eq(le16_get((le16){{1, 2}}), 0x0201);
	cr_assert_eq(be16_get((be16){{1, 2}}), 0x0102);
	cr_assert_eq(le32_get((le32){{1, 2, 3, 4}}), 0x04030201);
	cr_assert_eq(be32_get((be32){{1, 2, 3, 4}}), 0x01020304);
	cr_assert_eq(le64_get((le64){{1, 2, 3, 4, 5, 6, 7, 8}}), 0x0807060504030201);
	cr_assert_eq(be64_get((be64){{1, 2, 3, 4, 5, 6, 7, 8}}), 0x0102030405060708);
}

Test(bytes, arithmetic_says_when_it_overflows)
{
	uint64_t r;

	cr_assert_not(add_overflows(UINT64_MAX - 1, 1, &r));
	cr_assert(add_overflows(UINT64_MAX, 1, &r));
	cr_assert_not(mul_overflows(1ull << 32, (1ull << 32) - 1, &r));
	cr_assert(mul_overflows(1ull << 32, 1ull << 32, &r));
	cr_assert(range_in(0, 10, 10));
	cr_assert(range_in(10, 0, 10));
	cr_assert_not(range_in(11, 0, 10));
	cr_assert_not(range_in(1, 10, 10));
	cr_assert_not(range_in(UINT64_MAX, 2, 10));
	cr_assert_not(range_in(2, UINT64_MAX, 10));
}

Test(err, wrapping_puts_the_outer_first_and_cuts_the_end)
{
	char filler[600];
	struct err e = {""};

	cr_assert_eq(err_set(&e, -EIO, "inner %d", 7), -EIO);
	cr_assert_eq(err_wrap(&e, -EBADMSG, "outer"), -EBADMSG);
	cr_assert_str_eq(e.msg, "outer: inner 7");

	memset(filler, 'f', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	err_set(&e, -EIO, "%s", filler);
	cr_assert_eq(strlen(e.msg), sizeof(e.msg) - 1);
	err_wrap(&e, -EIO, "outer");
	cr_assert_eq(strlen(e.msg), sizeof(e.msg) - 1);
	cr_assert_eq(strncmp(e.msg, "outer: fff", 10), 0);
	err_wrap(&e, -EIO, "%s", filler);
	cr_assert_eq(strlen(e.msg), sizeof(e.msg) - 1);
}

Test(err, nobody_needs_to_listen)
{
	struct err e = {""};

	cr_assert_eq(err_set(NULL, -EIO, "x"), -EIO);
	cr_assert_eq(err_wrap(NULL, -EIO, "x"), -EIO);
	cr_assert_eq(err_oom(NULL), -ENOMEM);
	err_wrap(&e, -EIO, "alone");
	cr_assert_str_eq(e.msg, "alone");
	err_set(&e, -EIO, "again %s", e.msg);
	cr_assert_str_eq(e.msg, "again alone");
}

Test(vec, an_array_keeps_its_elements_while_it_grows)
{
	struct { uint64_t a, b; } *v = NULL, *slot;
	size_t n = 0, i;

	for (i = 0; i < 1000; i++) {
		slot = vec_push(&v, &n);
		cr_assert_not_null(slot);
		cr_assert(slot->a == 0 && slot->b == 0);
		slot->a = i;
		slot->b = ~i;
	}
	cr_assert_eq(n, 1000);
	for (i = 0; i < n; i++)
		cr_assert(v[i].a == i && v[i].b == ~i, "element %zu", i);
	free(v);
}

Test(vec, a_count_that_would_overflow_is_refused)
{
	cr_assert_null(vec_grow(NULL, SIZE_MAX / 2 + 1, 1));
	cr_assert_null(vec_grow(NULL, (size_t)1 << 40, (size_t)1 << 40));
}
