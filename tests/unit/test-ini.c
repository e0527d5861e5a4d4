/* SPDX-License-Identifier: MIT */
/* Tests vm/ini.c: the shapes that ConfigParser and crashes leave, and that nothing makes it fail. */
#include <criterion/criterion.h>

#include "vm/ini.h"
#include "vmfix.h"

static struct ini parse(const char *text, size_t n)
{
	struct ini ini = {0};

	cr_assert_eq(ini_parse(text, n, &ini, NULL), 0);
	return ini;
}
#define PARSE(text) parse(text, sizeof(text) - 1)

Test(ini, reads_what_config_parser_writes)
{
	struct ini ini = PARSE("[azure_crypt_config]\nbekfilename = LinuxPassPhraseFileName\nvolumetype = All\n"
			       "secretseqnum = 2\nsecreturi = https://v.vault.azure.net/secrets/a=b/7d\n\n");

	cr_assert_eq(ini.n, 4);
	cr_assert_str_eq(ini_get(&ini, "BekFileName"), "LinuxPassPhraseFileName");
	cr_assert_str_eq(ini_get(&ini, "volumetype"), "All");
	cr_assert_str_eq(ini_get(&ini, "secreturi"), "https://v.vault.azure.net/secrets/a=b/7d");
	cr_assert_str_eq(ini.v[0].section, "azure_crypt_config");
	cr_assert_eq(ini.v[1].line, 3);
	cr_assert_null(ini_get(&ini, "nothing"));
	cr_assert_not(ini.empty);
	cr_assert_not(ini.truncated);
	ini_done(&ini);
}

Test(ini, keeps_blank_values_apart_from_missing_ones)
{
	struct ini ini = PARSE("[azure_crypt_config]\nbekfilename = \nvolumetype = All\nsecretseqnum = \n\n");

	cr_assert_str_eq(ini_get(&ini, "bekfilename"), "");
	cr_assert_str_eq(ini_get(&ini, "secretseqnum"), "");
	cr_assert_not(ini.truncated);
	ini_done(&ini);
}

Test(ini, an_empty_file_is_a_shape_and_no_error)
{
	struct ini zero = PARSE(""), blank = PARSE("  \r\n\n\t\n"), nul = PARSE("\0\0\0\0");

	cr_assert(zero.empty && !zero.n && !zero.truncated);
	cr_assert(blank.empty && !blank.n);
	cr_assert(nul.empty && nul.truncated);
}

Test(ini, joins_lines_that_begin_with_a_tab)
{
	struct ini ini = PARSE("[q]\ndiskformatquery = [\n\t{\n\t\"name\": \"a\"\n\t}\n\t]\nvolumetype = Data\n");

	cr_assert_str_eq(ini_get(&ini, "diskformatquery"), "[\n{\n\"name\": \"a\"\n}\n]");
	cr_assert_str_eq(ini_get(&ini, "volumetype"), "Data");
	cr_assert_eq(ini.n, 2);
	ini_done(&ini);
}

Test(ini, tolerates_bom_crlf_missing_and_double_sections)
{
	struct ini ini = PARSE("\xef\xbb\xbfVolumeType = OS\r\n[a]\r\nx=1\r\n[a]\r\nX : 2\r\n");

	cr_assert_str_eq(ini_get(&ini, "volumetype"), "OS");
	cr_assert_str_eq(ini_get(&ini, "x"), "2", "the last wins");
	cr_assert_str_eq(ini.v[0].section, "");
	cr_assert_not(ini.truncated);
	ini_done(&ini);
}

Test(ini, says_when_it_was_cut_short)
{
	struct ini cut = PARSE("[azure_crypt_params]\nvolumetype = A"), junk = PARSE("[a]\nx = 1\nhalf a li\n"),
		   nuls = PARSE("[a]\nx = 1\0\0\0\0\n"), section = PARSE("[azure_cr\nx = 1\n");

	cr_assert(cut.truncated);
	cr_assert_str_eq(ini_get(&cut, "volumetype"), "A");
	cr_assert(junk.truncated);
	cr_assert(nuls.truncated);
	cr_assert_str_eq(ini_get(&nuls, "x"), "1");
	cr_assert(section.truncated);
	ini_done(&cut);
	ini_done(&junk);
	ini_done(&nuls);
	ini_done(&section);
}

Test(ini, does_no_interpolation_and_keeps_odd_bytes)
{
	struct ini ini = PARSE("[a]\nx = %(y)s \xff\x1b[31m\ny = \\n\n# z = 1\n; z = 2\n");

	cr_assert_str_eq(ini_get(&ini, "x"), "%(y)s \xff\x1b[31m");
	cr_assert_str_eq(ini_get(&ini, "y"), "\\n");
	cr_assert_null(ini_get(&ini, "z"));
	ini_done(&ini);
}

Test(ini, stops_at_a_stated_count_of_pairs)
{
	cleanup_str struct str s = {0};
	struct ini ini;

	for (int i = 0; i < 20000; i++)
		str_addf(&s, "k%d = v\n", i);
	ini = parse(str_text(&s), s.n);
	cr_assert_eq(ini.n, 4096);
	cr_assert(ini.truncated);
	ini_done(&ini);
}

Test(ini, survives_mutations)
{
	static const char seed[] = "\xef\xbb\xbf[azure_crypt_config]\nbekfilename = Linux\n\tcontinued\r\nvolumetype: All\n[x]\n\n";
	char buf[sizeof(seed) + 64];
	uint64_t r = 1;

	for (int i = 0; i < 30000; i++) {
		size_t n = fix_mutate(seed, sizeof(seed) - 1, buf, &r);
		char *exact = malloc(n ? n : 1);
		struct ini ini;

		memcpy(exact, buf, n);
		ini = parse(exact, n);
		for (size_t j = 0; j < ini.n; j++)
			cr_assert(ini.v[j].section && ini.v[j].key && *ini.v[j].key && ini.v[j].value && ini.v[j].line);
		(void)ini_get(&ini, "volumetype");
		ini_done(&ini);
		free(exact);
	}
}
