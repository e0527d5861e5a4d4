/* SPDX-License-Identifier: MIT */
/* Tests vm/keys.c and vm/bek.c: the forms of a key, the list of keys, and what a BEK VOLUME holds. */
#include "base/str.h"
#include "make-luks.h"
#include "vm/keys.h"

static struct err e;

static struct key *key_of(const void *bytes, size_t n)
{
	struct key *k = calloc(1, sizeof(*k));

	cr_assert_not_null(k);
	k->origin = KEY_FILE;
	k->raw = secret_copy(bytes, n);
	k->length = n;
	k->name = str_printf("k.txt");
	k->found_at = str_printf("k.txt");
	return k;
}

struct form {
	const char *text, *variant;
};

static void expect_forms(const void *bytes, size_t n, const struct form *want, int count)
{
	struct key *k = key_of(bytes, n);
	struct key_form got[8];
	int r = key_forms(k, got);

	cr_assert_eq(r, count, "%d forms, not %d", r, count);
	for (int i = 0; i < r; i++) {
		cr_assert_str_eq(got[i].variant, want[i].variant);
		cr_assert_eq(got[i].bytes->len, strlen(want[i].text), "form %d has %zu bytes", i,
			     got[i].bytes->len);
		cr_assert_eq(memcmp(got[i].bytes->data, want[i].text, got[i].bytes->len), 0, "form %d", i);
		secret_free(got[i].bytes);
	}
	key_free(k);
}

Test(keys, a_plain_key_has_one_form)
{
	expect_forms("pass word!", 10, (struct form[]){ { "pass word!", "as is" } }, 1);
}

Test(keys, a_newline_is_taken_off)
{
	expect_forms("pa ss\n", 6,
		     (struct form[]){ { "pa ss\n", "as is" }, { "pa ss", "without trailing newline" } }, 2);
	expect_forms("pa ss\r\n", 7,
		     (struct form[]){ { "pa ss\r\n", "as is" }, { "pa ss", "without trailing newline" } }, 2);
	expect_forms("\n", 1, (struct form[]){ { "\n", "as is" } }, 1);
}

Test(keys, base64_is_undone_once)
{
	/* of "c2VjcmV0", which is base64 itself */
	expect_forms("YzJWamNtVjA=", 12,
		     (struct form[]){ { "YzJWamNtVjA=", "as is" }, { "c2VjcmV0", "base64-decoded once" } },
		     2);
	expect_forms("YzJW\namNt\nVjA=\n", 15,
		     (struct form[]){ { "YzJW\namNt\nVjA=\n", "as is" },
				      { "YzJW\namNt\nVjA=", "without trailing newline" },
				      { "c2VjcmV0", "base64-decoded once" } },
		     3);
}

Test(keys, base64url_is_undone_with_and_without_padding)
{
	expect_forms("_-8=", 4,
		     (struct form[]){ { "_-8=", "as is" }, { "\xff\xef", "base64url-decoded once" } }, 2);
	expect_forms("_-8", 3,
		     (struct form[]){ { "_-8", "as is" }, { "\xff\xef", "base64url-decoded once" } }, 2);
	expect_forms("/+8=", 4, (struct form[]){ { "/+8=", "as is" }, { "\xff\xef", "base64-decoded once" } },
		     2);
	/* neither: two alphabets in one, wrong padding, one character over */
	expect_forms("_+8=", 4, (struct form[]){ { "_+8=", "as is" } }, 1);
	expect_forms("YQ===", 5, (struct form[]){ { "YQ===", "as is" } }, 1);
	expect_forms("YWFhY", 5, (struct form[]){ { "YWFhY", "as is" } }, 1);
	expect_forms("Y=Q=", 4, (struct form[]){ { "Y=Q=", "as is" } }, 1);
}

Test(keys, utf16_of_an_editor_is_undone)
{
	static const char little[] = { '\xff', '\xfe', 'a', 0, ' ', 0, 'b', 0, '\r', 0, '\n', 0 };
	static const char big[] = { '\xfe', '\xff', 0, 'a', 0, '!' };
	struct key *k = key_of(little, sizeof(little));
	struct key_form f[8];
	int n = key_forms(k, f);

	cr_assert_eq(n, 3);
	cr_assert_str_eq(f[0].variant, "as is");
	cr_assert_str_eq(f[1].variant, "UTF-16 decoded");
	cr_assert(f[1].bytes->len == 5 && memcmp(f[1].bytes->data, "a b\r\n", 5) == 0);
	cr_assert(f[2].bytes->len == 3 && memcmp(f[2].bytes->data, "a b", 3) == 0);
	for (int i = 0; i < n; i++)
		secret_free(f[i].bytes);
	key_free(k);

	k = key_of(big, sizeof(big));
	n = key_forms(k, f);
	cr_assert_eq(n, 2);
	cr_assert(f[1].bytes->len == 2 && memcmp(f[1].bytes->data, "a!", 2) == 0);
	for (int i = 0; i < n; i++)
		secret_free(f[i].bytes);
	key_free(k);
}

Test(keys, no_input_has_more_than_eight_forms)
{
	uint32_t x = 7;

	for (int i = 0; i < 20000; i++) {
		static const char chars[] = "AZaz09+/-_=\n\r\xff\xfe\xef\xbb\xbf\x00 ";
		char buf[40];
		size_t n = (x >> 8) % sizeof(buf);
		struct key_form f[8];
		struct key *k;
		int r;

		for (size_t j = 0; j < n; j++) {
			x = x * 1664525u + 1013904223u;
			buf[j] = chars[(x >> 8) % (sizeof(chars) - 1)];
		}
		x = x * 1664525u + 1013904223u;
		k = key_of(buf, n);
		k->empty_file = !n;
		r = key_forms(k, f);
		cr_assert(r >= (n ? 1 : 0) && r <= 8);
		while (r-- > 0)
			secret_free(f[r].bytes);
		key_free(k);
	}
}

Test(keys, a_wrapped_value_is_told_by_its_length)
{
	char b64[700];

	memset(b64, 'A', sizeof(b64));
	memcpy(b64 + 342, "==", 2);
	cr_assert(key_is_wrapped(b64, 344));
	cr_assert(key_is_wrapped(b64, 342));
	b64[5] = '_';
	cr_assert(key_is_wrapped(b64, 342));
	b64[342] = 'A';
	b64[343] = 'A';
	cr_assert(key_is_wrapped(b64, 512));
	cr_assert_not(key_is_wrapped(b64, 172));
	cr_assert_not(key_is_wrapped(b64, 340));
	cr_assert_not(key_is_wrapped("", 0));
}

Test(keys, equal_bytes_are_kept_once)
{
	struct graph g = { 0 };
	struct key *second = key_of("same", 4);

	cr_assert_eq(keys_add(&g, key_of("same", 4), &e), 1);
	cr_assert_eq(keys_add(&g, second, &e), 0);
	cr_assert_eq(keys_add(&g, key_of("other", 5), &e), 1);
	cr_assert_eq(g.nkeys, 2);
	graph_done(&g);
}

Test(keys, an_empty_file_brings_the_empty_passphrase_as_the_last_key)
{
	struct graph g = { 0 };
	struct key_form f[8];

	cr_assert_eq(keys_add(&g, key_of("", 0), &e), 1);
	cr_assert_eq(keys_add(&g, key_of("", 0), &e), 1);
	cr_assert_eq(keys_add(&g, key_of("later", 5), &e), 1);
	cr_assert_eq(g.nkeys, 4);
	cr_assert(g.keys[0]->empty_file && g.keys[1]->empty_file);
	cr_assert_eq(key_forms(g.keys[0], f), 0);
	cr_assert_not(g.keys[2]->empty_file);
	cr_assert_eq(g.keys[3]->origin, KEY_EMPTY);
	cr_assert_eq(key_forms(g.keys[3], f), 1);
	cr_assert_eq(f[0].bytes->len, 0);
	secret_free(f[0].bytes);
	graph_done(&g);
}

/* ---- BEK VOLUME ---- */

static char passphrase[173];

static void fill(void)
{
	make_begin();
	memset(passphrase, 'k', 170);
	memcpy(passphrase + 170, "==", 3);
}

static struct node *scan(struct graph *g, const char *name)
{
	struct blk *b = make_blk(name);
	struct node *n = graph_add(g, name, KIND_DISK, NULL, b);

	blk_unref(b);
	cr_assert_not_null(n);
	cr_assert_eq(graph_run(g, NULL, NULL, &e), 0, "%s", e.msg);
	return n;
}

static void make_fat(const char *label)
{
	make_empty("bek", 2 << 20);
	RUN("mkfs.vfat", "-n", label, make_path("bek"));
}

static void put(const char *name, const void *bytes, size_t n)
{
	char target[128];

	make_file("put", bytes, n);
	snprintf(target, sizeof(target), "::%s", name);
	RUN("mcopy", "-i", make_path("bek"), make_path("put"), target);
}

TestSuite(bek, .init = fill, .timeout = 30);

Test(bek, the_key_files_are_read_the_exact_name_first)
{
	struct graph g = { 0 };
	struct bek_volume *b = NULL;
	struct node *n;

	make_fat("bek volume");
	put("LinuxPassPhraseFileName_1_0", passphrase, 172);
	put("settings_01.json", "{}", 2);
	put("CRITICAL_DATA_WARNING_README.txt", "do not", 6);
	passphrase[0] = 'j';
	put("LinuxPassPhraseFileName", passphrase, 172);
	n = scan(&g, "bek");
	cr_assert_str_eq(n->fmt, "vfat");
	cr_assert_eq(bek_read(&g, n, &b, &e), 1, "%s", e.msg);
	cr_assert(b->by_label && b->has_readme);
	cr_assert_eq(b->nfiles, 4);
	cr_assert_eq(n->kind, KIND_BEK);
	cr_assert_eq(g.nkeys, 2);
	cr_assert_str_eq(g.keys[0]->name, "LinuxPassPhraseFileName");
	cr_assert_str_eq(g.keys[0]->found_at, "bek:/LinuxPassPhraseFileName");
	cr_assert(g.keys[0]->raw->len == 172 && g.keys[0]->raw->data[0] == 'j');
	cr_assert_eq(g.keys[0]->length, 172);
	cr_assert_str_eq(g.keys[1]->name, "LinuxPassPhraseFileName_1_0");
	bek_free(b);
	graph_done(&g);
}

Test(bek, a_volume_without_label_is_known_by_its_files)
{
	struct graph g = { 0 };
	struct bek_volume *b = NULL;

	make_fat("OTHER");
	put("LinuxPassPhraseFileName", passphrase, 172);
	cr_assert_eq(bek_read(&g, scan(&g, "bek"), &b, &e), 1);
	cr_assert_not(b->by_label);
	cr_assert_eq(g.nkeys, 1);
	bek_free(b);
	graph_done(&g);
}

Test(bek, another_fat_is_none)
{
	struct graph g = { 0 };
	struct bek_volume *b = NULL;

	make_fat("EFI");
	put("grub.cfg", passphrase, 172);
	cr_assert_eq(bek_read(&g, scan(&g, "bek"), &b, &e), 0);
	cr_assert_null(b);
	cr_assert_eq(g.nkeys, 0);
	graph_done(&g);
}

Test(bek, an_empty_volume_is_one_without_keys)
{
	struct graph g = { 0 };
	struct bek_volume *b = NULL;

	make_fat("BEK VOLUME");
	cr_assert_eq(bek_read(&g, scan(&g, "bek"), &b, &e), 1);
	cr_assert_eq(g.nkeys, 0);
	bek_free(b);
	graph_done(&g);
}

Test(bek, an_empty_and_a_huge_key_file_are_told_apart)
{
	struct graph g = { 0 };
	struct bek_volume *b = NULL;
	uint8_t *huge = calloc(1, 65537);

	make_fat("BEK VOLUME");
	put("LinuxPassPhraseFileName", "", 0);
	put("LinuxPassPhraseFileName_1_1", huge, 65537);
	cr_assert_eq(bek_read(&g, scan(&g, "bek"), &b, &e), 1);
	cr_assert_eq(g.nkeys, 2);
	cr_assert(g.keys[0]->empty_file);
	cr_assert_eq(g.keys[1]->origin, KEY_EMPTY);
	cr_assert_str_eq(b->files[1].name, "LinuxPassPhraseFileName_1_1");
	cr_assert(strstr(b->files[1].why.msg, "64 KiB"), "%s", b->files[1].why.msg);
	free(huge);
	bek_free(b);
	graph_done(&g);
}
