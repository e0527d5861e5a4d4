/* SPDX-License-Identifier: MIT */
/* Tests base/secret.c: pages of its own, left out of core files, wiped when freed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "base/bytes.h"
#include "base/secret.h"

Test(secret, a_new_one_is_zero_and_a_copy_is_the_same)
{
	cleanup_secret struct secret *a = secret_new(100), *c = secret_new(0);
	cleanup_secret struct secret *b = secret_copy("key bytes", 9);

	cr_assert_eq(a->len, 100);
	cr_assert(bytes_all_zero(a->data, a->len));
	cr_assert_eq(b->len, 9);
	cr_assert_arr_eq(b->data, "key bytes", 9);
	cr_assert(c && c->len == 0 && c->data);
}

Test(secret, has_whole_pages_of_its_own)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	cleanup_secret struct secret *a = secret_new(page + 1), *b = secret_new(1);

	cr_assert_eq((uintptr_t)a->data % page, 0);
	cr_assert_eq(a->mapped, 2 * page);
	cr_assert_eq(b->mapped, page);
	cr_assert(b->data + b->mapped <= a->data || a->data + a->mapped <= b->data);
}

Test(secret, a_size_that_overflows_is_refused)
{
	cr_assert_null(secret_new(SIZE_MAX));
	cr_assert_null(secret_new(SIZE_MAX / 2 + 1));
	secret_free(NULL);
}

/* The flags of the mapping that holds p, from the kernel's own list. */
static bool mapping_has_flag(const void *p, const char *flag)
{
	cleanup_file FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	unsigned long from, to;
	bool here = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			return strstr(line, flag) != NULL;
	}
	return false;
}

Test(secret, is_left_out_of_core_files)
{
	cleanup_secret struct secret *a = secret_new(32);
	char on_the_stack[16] = "";

	if (!mapping_has_flag(on_the_stack, " rd "))
		cr_skip_test("no VmFlags here");
	cr_assert(mapping_has_flag(a->data, " dd "));
	cr_assert_not(mapping_has_flag(on_the_stack, " dd "));
}

Test(secret, wiping_clears_every_byte)
{
	uint8_t buf[33];

	memset(buf, 0xaa, sizeof(buf));
	secret_wipe(buf, sizeof(buf) - 1);
	cr_assert(bytes_all_zero(buf, sizeof(buf) - 1));
	cr_assert_eq(buf[32], 0xaa);
	secret_wipe(NULL, 0);
}
