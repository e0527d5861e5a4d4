/* SPDX-License-Identifier: MIT */
/* Tests vm/tab.c: fields and line numbers, and that commenting out a line changes no other byte. */
#include <criterion/criterion.h>

#include "vm/tab.h"
#include "vmfix.h"

static struct tab parse(const char *text, size_t n, bool escapes)
{
	struct tab tab = {0};

	cr_assert_eq(tab_parse(text, n, escapes, &tab, NULL), 0);
	return tab;
}
#define PARSE(text, escapes) parse(text, sizeof(text) - 1, escapes)

Test(tab, reads_fields_and_line_numbers)
{
	struct tab t = PARSE("# a comment\n\nUUID=1\t/\text4  defaults 0 1\n  LABEL=BEK\\040VOLUME /mnt/azure_bek_disk auto x 0 0\n", true);

	cr_assert_eq(t.n, 2);
	cr_assert_eq(t.v[0].line, 3);
	cr_assert_eq(t.v[0].nf, 6);
	cr_assert_str_eq(tab_f(&t.v[0], 1), "/");
	cr_assert_str_eq(tab_f(&t.v[0], 5), "1");
	cr_assert_str_eq(tab_f(&t.v[0], 7), "");
	cr_assert_eq(t.v[1].line, 4);
	cr_assert_str_eq(tab_f(&t.v[1], 0), "LABEL=BEK VOLUME");
	cr_assert_eq(memcmp(t.text + t.v[1].off, "  LABEL", 7), 0);
	tab_done(&t);
}

Test(tab, leaves_escapes_alone_where_there_are_none)
{
	struct tab t = PARSE("a\\040b /dev/x \\04 \\777\n", false), e = PARSE("\\04 \\777 \\000 \\134x", true);

	cr_assert_str_eq(tab_f(&t.v[0], 0), "a\\040b");
	cr_assert_str_eq(tab_f(&e.v[0], 0), "\\04");
	cr_assert_str_eq(tab_f(&e.v[0], 1), "\\777");
	cr_assert_str_eq(tab_f(&e.v[0], 2), "\\000", "a NUL would hide the rest");
	cr_assert_str_eq(tab_f(&e.v[0], 3), "\\x");
	tab_done(&t);
	tab_done(&e);
}

Test(tab, tolerates_bom_crlf_nul_and_a_missing_last_newline)
{
	struct tab t = PARSE("\xef\xbb\xbfosencrypt /dev/a none luks\r\nb\0c d", false);

	cr_assert_eq(t.n, 2);
	cr_assert_str_eq(tab_f(&t.v[0], 0), "osencrypt");
	cr_assert_str_eq(tab_f(&t.v[0], 3), "luks");
	cr_assert_str_eq(tab_f(&t.v[1], 0), "b");
	cr_assert_str_eq(tab_f(&t.v[1], 1), "c");
	cr_assert_eq(t.v[0].len, strlen("\xef\xbb\xbfosencrypt /dev/a none luks"));
	tab_done(&t);
}

Test(tab, comments_out_lines_and_keeps_every_other_byte)
{
	static const char text[] = "\xef\xbb\xbf" "one  a\r\n# two\n\n\tfour x\\040y \n five\xff";
	struct tab t = PARSE(text, true);
	const unsigned lines[] = {1, 5, 4, 4};
	char *out = NULL;
	size_t n = 0;

	cr_assert_eq(tab_comment_lines(&t, lines, 4, &out, &n, NULL), 0);
	cr_assert_str_eq(out, "\xef\xbb\xbf# aderescue: one  a\r\n# two\n\n# aderescue: \tfour x\\040y \n# aderescue:  five\xff");
	cr_assert_eq(n, strlen(out));
	free(out);
	cr_assert_eq(tab_comment_lines(&t, lines, 0, &out, &n, NULL), 0);
	cr_assert_eq(n, sizeof(text) - 1);
	cr_assert_eq(memcmp(out, text, n), 0);
	free(out);
	tab_done(&t);
}

Test(tab, refuses_a_line_that_is_not_there)
{
	struct tab t = PARSE("one\ntwo\n", false);
	const unsigned lines[] = {3}, zero[] = {0};
	struct err e = {""};
	char *out = NULL;
	size_t n;

	cr_assert_eq(tab_comment_lines(&t, lines, 1, &out, &n, &e), -ENOENT);
	cr_assert_eq(tab_comment_lines(&t, zero, 1, &out, &n, &e), -ENOENT);
	cr_assert_null(out);
	tab_done(&t);
}

Test(tab, refuses_more_rows_than_any_table_has)
{
	struct tab t = {0};
	char *text = malloc(30000);

	for (int i = 0; i < 15000; i++)
		memcpy(text + 2 * i, "a\n", 2);
	cr_assert_eq(tab_parse(text, 30000, false, &t, NULL), -EBADMSG);
	cr_assert_null(t.text);
	free(text);
}

Test(tab, keeps_eight_fields_at_most)
{
	struct tab t = PARSE("1 2 3 4 5 6 7 8 9 10\n", false);

	cr_assert_eq(t.v[0].nf, TAB_MAX_FIELDS);
	cr_assert_str_eq(tab_f(&t.v[0], 7), "8");
	tab_done(&t);
}

Test(tab, finds_options_by_whole_names)
{
	char *v = NULL;

	cr_assert(tab_option("luks,discard,header=/a=b,nofail", "header", &v));
	cr_assert_str_eq(v, "/a=b");
	free(v);
	cr_assert(tab_option("luks,nofail", "nofail", &v));
	cr_assert_null(v);
	cr_assert_not(tab_option("xheader=/a,headers=/b", "header", &v));
	cr_assert_null(v);
	cr_assert_not(tab_option("", "header", NULL));
	cr_assert_not(tab_option(NULL, "header", NULL));
	cr_assert(tab_option(",,a,", "a", NULL));
	cr_assert(tab_option("header=", "header", &v));
	cr_assert_str_eq(v, "");
	free(v);
}

Test(tab, survives_mutations)
{
	static const char seed[] = "# c\nosencrypt /dev/disk/by-partuuid/1 none luks,header=/boot/luks/osluksheader\r\nLABEL=BEK\\040VOLUME /mnt x\n";
	char buf[sizeof(seed) + 64];
	uint64_t r = 2;

	for (int i = 0; i < 30000; i++) {
		size_t n = fix_mutate(seed, sizeof(seed) - 1, buf, &r), len = 0;
		char *exact = malloc(n ? n : 1), *out = NULL;
		struct tab t;

		memcpy(exact, buf, n);
		t = parse(exact, n, i % 2);
		for (size_t j = 0; j < t.n; j++) {
			unsigned line = t.v[j].line;

			cr_assert(t.v[j].nf && t.v[j].off + t.v[j].len <= n);
			cr_assert_eq(tab_comment_lines(&t, &line, 1, &out, &len, NULL), 0);
			cr_assert_eq(len, n + strlen("# aderescue: "));
			free(out);
		}
		tab_done(&t);
		free(exact);
	}
}
