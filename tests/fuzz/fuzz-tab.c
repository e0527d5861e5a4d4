/* SPDX-License-Identifier: MIT */
/* fstab, crypttab, azure_crypt_mount; and the editor: commented lines are gone as rows, all other bytes are as they were. The first byte
 * says whether \040 is decoded. */
#define FUZZ_TEXT
#include "fuzz.h"
#include "vm/tab.h"

/* Every second line commented out. */
static void comment(const struct tab *t, bool escapes)
{
	static const char mark[] = "# aderescue: ";
	unsigned lines[64];
	size_t n = 0, len = 0, from = 0, at = 0;
	char *text = NULL;
	struct tab again = { 0 };

	for (size_t i = 0; i < t->n && n < 64; i += 2)
		lines[n++] = t->v[i].line;
	if (tab_comment_lines(t, lines, n, &text, &len, NULL) < 0)
		return;
	MUST(len == t->len + n * strlen(mark));
	for (size_t i = 0; i < n; i++) {
		size_t start = t->v[2 * i].off, before;

		if (!start && t->len >= 3 && !memcmp(t->text, "\xef\xbb\xbf", 3))
			start = 3;      /* the mark of UTF-8 stays first */
		before = start - from;

		MUST(!memcmp(text + at, t->text + from, before) && !memcmp(text + at + before, mark, strlen(mark)));
		from += before;
		at += before + strlen(mark);
	}
	MUST(len - at == t->len - from && !memcmp(text + at, t->text + from, t->len - from));
	MUST(tab_parse(text, len, escapes, &again, NULL) == 0 && again.n == t->n - n);
	tab_done(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tab t = { 0 };

	if (!size || tab_parse((const char *)data + 1, size - 1, data[0] & 1, &t, NULL) < 0)
		return 0;
	for (size_t i = 0; i < t.n; i++) {
		char *value = NULL;

		MUST(t.v[i].nf && t.v[i].nf <= TAB_MAX_FIELDS && range_in(t.v[i].off, t.v[i].len, t.len));
		for (size_t k = 0; k < t.v[i].nf; k++)
			MUST(t.v[i].f[k]);
		(void)tab_option(tab_f(&t.v[i], 3), "header", &value);
		free(value);
	}
	comment(&t, data[0] & 1);
	tab_done(&t);
	return 0;
}
