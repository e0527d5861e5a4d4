/* SPDX-License-Identifier: MIT */
/* Tests base/str.c: growing text, and that nothing hostile survives the escaping. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>
#include "base/str.h"

Test(str, text_grows_by_every_way_of_adding)
{
	cleanup_str struct str s = {0};
	size_t i;

	cr_assert_str_eq(str_text(&s), "");
	str_add(&s, "a");
	str_addn(&s, "bcd", 2);
	str_addf(&s, "-%d-%s", 42, "x");
	cr_assert_str_eq(str_text(&s), "abc-42-x");
	cr_assert_eq(s.n, 8);
	for (i = 0; i < 5000; i++)
		str_addf(&s, "%04zu", i);
	cr_assert_eq(s.n, 8 + 4 * 5000);
	cr_assert_eq(strlen(str_text(&s)), s.n);
	cr_assert_str_eq(str_text(&s) + s.n - 8, "49984999");
	cr_assert_not(s.failed);
}

Test(str, taking_gives_the_text_away_and_empties)
{
	struct str s = {0};
	char *text;

	str_add(&s, "mine");
	text = str_take(&s);
	cr_assert_str_eq(text, "mine");
	cr_assert(!s.p && !s.n && !s.cap);
	free(text);
	text = str_take(&s);
	cr_assert_str_eq(text, "", "an empty one is the empty text, not NULL");
	free(text);
}

Test(str, failing_leaves_the_text_and_sticks)
{
	struct str s = {0};

	str_add(&s, "kept");
	str_addn(&s, "", SIZE_MAX - 2);
	cr_assert(s.failed);
	str_add(&s, "more");
	str_addf(&s, "%d", 1);
	cr_assert_str_eq(str_text(&s), "kept");
	cr_assert_null(str_take(&s));
	cr_assert(!s.p && !s.failed, "taking starts afresh");
}

struct escape_row {
	char in[24];
	size_t n;
	char out[64], ascii[64], json[64];
};

ParameterizedTestParameters(str, disk_bytes_are_escaped)
{
#define ROW(in, out, ascii, json) {in, sizeof(in) - 1, out, ascii, json}
	static struct escape_row rows[] = {
		ROW("", "", "", ""),
		ROW("plain text", "plain text", "plain text", "plain text"),
		ROW("a\\b", "a\\\\b", "a\\\\b", "a\\\\b"),
		ROW("\\x41", "\\\\x41", "\\\\x41", "\\\\x41"),
		ROW("n\nt\te\x1b[2J", "n\\x0at\\x09e\\x1b[2J", "n\\x0at\\x09e\\x1b[2J", "n\nt\te\x1b[2J"),
		ROW("\x7f", "\\x7f", "\\x7f", "\x7f"),
		ROW("z\0z", "z\\x00z", "z\\x00z", "z\\x00z"),
		ROW("\xc3\xa4", "\xc3\xa4", "\\xc3\\xa4", "\xc3\xa4"),
		ROW("\xe2\x82\xac", "\xe2\x82\xac", "\\xe2\\x82\\xac", "\xe2\x82\xac"),
		ROW("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\\xf0\\x9f\\x98\\x80", "\xf0\x9f\x98\x80"),
		ROW("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", "\\xf4\\x8f\\xbf\\xbf", "\xf4\x8f\xbf\xbf"),
		/* C1, next line, bidirectional controls, line separators */
		ROW("\xc2\x9b", "\\xc2\\x9b", "\\xc2\\x9b", "\xc2\x9b"),
		ROW("\xc2\x85", "\\xc2\\x85", "\\xc2\\x85", "\xc2\x85"),
		ROW("\xe2\x80\xae", "\\xe2\\x80\\xae", "\\xe2\\x80\\xae", "\xe2\x80\xae"),
		ROW("\xe2\x81\xa6", "\\xe2\\x81\\xa6", "\\xe2\\x81\\xa6", "\xe2\x81\xa6"),
		ROW("\xe2\x80\xa8", "\\xe2\\x80\\xa8", "\\xe2\\x80\\xa8", "\xe2\x80\xa8"),
		ROW("\xe2\x80\x8f", "\\xe2\\x80\\x8f", "\\xe2\\x80\\x8f", "\xe2\x80\x8f"),
		ROW("\xd8\x9c", "\\xd8\\x9c", "\\xd8\\x9c", "\xd8\x9c"),
		/* not UTF-8: alone, cut, overlong, surrogate, too large */
		ROW("\xff", "\\xff", "\\xff", "\\xff"),
		ROW("\x80", "\\x80", "\\x80", "\\x80"),
		ROW("\xe2\x82", "\\xe2\\x82", "\\xe2\\x82", "\\xe2\\x82"),
		ROW("\xe2\x82z", "\\xe2\\x82z", "\\xe2\\x82z", "\\xe2\\x82z"),
		ROW("\xc0\xaf", "\\xc0\\xaf", "\\xc0\\xaf", "\\xc0\\xaf"),
		ROW("\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\xe0\\x80\\xaf", "\\xe0\\x80\\xaf"),
		ROW("\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"),
		ROW("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80",
		    "\\xf4\\x90\\x80\\x80"),
		ROW("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80", "\\xf8\\x88\\x80\\x80\\x80",
		    "\\xf8\\x88\\x80\\x80\\x80"),
	};
#undef ROW
	return cr_make_param_array(struct escape_row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct escape_row *row, str, disk_bytes_are_escaped)
{
	cleanup_free char *out = str_escape(row->in, row->n, false);
	cleanup_free char *ascii = str_escape(row->in, row->n, true);
	cleanup_free char *json = str_json(row->in, row->n);

	cr_assert_str_eq(out, row->out);
	cr_assert_str_eq(ascii, row->ascii);
	cr_assert_str_eq(json, row->json);
}

Test(str, no_three_bytes_get_a_control_through)
{
	cleanup_free char *out = NULL;
	uint8_t in[3];
	unsigned i;
	char *p;

	for (i = 0; i < 1u << 24; i += 7) { /* 7 divides no power of two: every byte turns up everywhere */
		in[0] = (uint8_t)(i >> 16);
		in[1] = (uint8_t)(i >> 8);
		in[2] = (uint8_t)i;
		if (in[0] >= 0x20 && in[0] < 0x7f && (i & 0xff00))
			continue;
		out = str_escape(in, 3, false);
		for (p = out; *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f ||
			    ((unsigned char)*p == 0xc2 && (unsigned char)p[1] < 0xa0))
				cr_assert(0, "%06x", i);
		free(take_ptr(&out));
	}
}

Test(str, numbers_are_whole_decimal_and_fit)
{
	static const char *const bad[] = {"",   "-1", "+1", " 1", "1 ", "0x10", "1a", "18446744073709551616",
					  "99999999999999999999"};
	uint64_t v = 77;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(str_to_u64(bad[i], &v), "%s", bad[i]);
	cr_assert_not(str_to_u64(NULL, &v));
	cr_assert_eq(v, 77, "written on success only");
	cr_assert(str_to_u64("18446744073709551615", &v));
	cr_assert_eq(v, UINT64_MAX);
	cr_assert(str_to_u64("0007", &v));
	cr_assert_eq(v, 7);
}

Test(str, sizes_are_printed_as_lsblk_prints_them)
{
	static const struct { uint64_t bytes; const char *text; } rows[] = {
		{0, "0B"}, {1, "1B"}, {1023, "1023B"}, {1024, "1K"}, {1536, "1.5K"}, {512ull << 20, "512M"},
		{30ull << 30, "30G"}, {1536ull << 30, "1.5T"}, {(30ull << 30) - 512, "30G"},
		{126ull << 20, "126M"}, {UINT64_MAX, "16E"}, {1ull << 60, "1E"}, {5368709632ull, "5G"},
		{1073741824ull + 107374182, "1.1G"},
	};
	char out[16];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_size(rows[i].bytes, out);
		cr_assert_str_eq(out, rows[i].text, "%ju: %s", (uintmax_t)rows[i].bytes, out);
	}
}

Test(str, comparing_takes_null)
{
	cr_assert(str_eq(NULL, NULL) && !str_eq("a", NULL) && !str_eq(NULL, "a") && str_eq("a", "a"));
	cr_assert(!str_eq("a", "A") && str_eq_nocase("aZ", "Az") && !str_eq_nocase("a", "ab"));
	cr_assert(str_eq_nocase(NULL, NULL) && !str_eq_nocase("", NULL) && !str_eq_nocase("\xc4", "\xe4"));
	cr_assert(str_starts("/boot/luks", "/boot") && !str_starts("/bo", "/boot") && !str_starts(NULL, ""));
	cr_assert(str_ends("x.bek", ".bek") && !str_ends("bek", ".bek"));
	cr_assert(!str_ends(NULL, "") && str_ends("x", ""));
}

Test(str, copies_stop_at_a_nul_and_at_the_end)
{
	cleanup_free char *a = str_ndup("abc\0def", 7), *b = str_ndup("abc", 2);
	cleanup_free char *c = str_printf("%s-%d", "x", 3);

	cr_assert_str_eq(a, "abc");
	cr_assert_str_eq(b, "ab");
	cr_assert_str_eq(c, "x-3");
}
