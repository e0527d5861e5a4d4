/* SPDX-License-Identifier: MIT */
/* Tables of lines with fields: fstab(5), crypttab(5) and ADE's azure_crypt_mount. The text is kept as it was
 * read, so that a line can be commented out without touching another byte (owner's formatting, CRLF, a
 * missing last newline). At most 10,000 rows; fields beyond the eighth are not kept. */
#include "vm/tab.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

enum { MAX_ROWS = 10000 };

static const char comment_mark[] = "# aderescue: ";

static size_t bom_len(const char *text, size_t len)
{
	return len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' || c == '\0';
}

/* One octal escape at p: its byte, or 0 where there is none. */
static unsigned char octal(const char *p, size_t n)
{
	if (n < 4 || p[0] != '\\' || p[1] < '0' || p[1] > '3' || p[2] < '0' || p[2] > '7' || p[3] < '0' ||
	    p[3] > '7')
		return 0;
	return (unsigned char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
}

static char *field(const char *p, size_t n, bool escapes)
{
	char *s = malloc(n + 1), *w = s;

	if (!s)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = escapes ? octal(p + i, n - i) : 0;

		*w++ = c ? (char)c : p[i];
		i += c ? 3 : 0;
	}
	*w = '\0';
	return s;
}

static void row_done(struct tab_row *row)
{
	for (size_t i = 0; i < TAB_MAX_FIELDS; i++)
		free(row->f[i]);
}

static int row_parse(struct tab_row *row, const char *p, size_t n, bool escapes, struct err *e)
{
	size_t i = 0, start;

	while (row->nf < TAB_MAX_FIELDS) {
		while (i < n && is_space(p[i]))
			i++;
		if (i == n || (row->nf == 0 && p[i] == '#'))
			return 0;
		for (start = i; i < n && !is_space(p[i]);)
			i++;
		row->f[row->nf] = field(p + start, i - start, escapes);
		if (!row->f[row->nf])
			return err_oom(e);
		row->nf++;
	}
	return 0;
}

/* One line of n bytes at off; a comment or a blank one gives no row. */
static int tab_line(struct tab *tab, unsigned line, size_t off, size_t n, bool escapes, struct err *e)
{
	struct tab_row row = {.line = line, .off = off, .len = n}, *slot;
	size_t skip = off == 0 ? bom_len(tab->text, n) : 0;
	int err;

	if (row.len && tab->text[off + row.len - 1] == '\r')
		row.len--;
	err = row_parse(&row, tab->text + off + skip, n - skip, escapes, e);
	if (!err && !row.nf)
		return 0;
	if (!err && tab->n >= MAX_ROWS)
		err = err_set(e, -EBADMSG, "more than %d lines", MAX_ROWS);
	slot = err ? NULL : vec_push(&tab->v, &tab->n);
	if (!slot) {
		row_done(&row);
		return err ? err : err_oom(e);
	}
	*slot = row;
	return 0;
}

void tab_done(struct tab *tab)
{
	for (size_t i = 0; i < tab->n; i++)
		row_done(&tab->v[i]);
	free(tab->v);
	free(tab->text);
	*tab = (struct tab){0};
}

int tab_parse(const char *text, size_t len, bool escapes, struct tab *ret, struct err *e)
{
	struct tab tab = {.text = malloc(len + 1), .len = len};
	unsigned line = 0;
	int err = 0;

	if (!tab.text)
		return err_oom(e);
	if (len)
		memcpy(tab.text, text, len);
	tab.text[len] = '\0';

	for (size_t off = 0, n; off < len && !err; off += n + 1) {
		const char *nl = memchr(tab.text + off, '\n', len - off);

		n = nl ? (size_t)(nl - (tab.text + off)) : len - off;
		err = tab_line(&tab, ++line, off, n, escapes, e);
	}
	if (err) {
		tab_done(&tab);
		return err;
	}
	*ret = tab;
	return 0;
}

static bool is_among(const unsigned *lines, size_t n, unsigned line)
{
	for (size_t i = 0; i < n; i++)
		if (lines[i] == line)
			return true;
	return false;
}

int tab_comment_lines(const struct tab *tab, const unsigned *lines, size_t n, char **ret, size_t *ret_len,
		      struct err *e)
{
	cleanup_str struct str out = {0};
	unsigned line = 0;

	for (size_t off = 0, len; off < tab->len; off += len) {
		const char *p = tab->text + off;
		const char *nl = memchr(p, '\n', tab->len - off);
		size_t skip = 0;

		len = nl ? (size_t)(nl - p) + 1 : tab->len - off;
		if (is_among(lines, n, ++line)) {
			skip = off == 0 ? bom_len(p, len) : 0;
			str_addn(&out, p, skip);
			str_add(&out, comment_mark);
		}
		str_addn(&out, p + skip, len - skip);
	}
	for (size_t i = 0; i < n; i++)
		if (!lines[i] || lines[i] > line)
			return err_set(e, -ENOENT, "line %u: the file has %u", lines[i], line);

	*ret_len = out.n;
	*ret = str_take(&out);
	return *ret ? 0 : err_oom(e);
}

bool tab_option(const char *options, const char *name, char **ret_value)
{
	size_t len = strlen(name);

	if (ret_value)
		*ret_value = NULL;
	for (const char *p = options; p && *p;) {
		size_t n = strcspn(p, ",");

		if (n >= len && !memcmp(p, name, len) && (n == len || p[len] == '=')) {
			if (ret_value && n > len)
				*ret_value = str_ndup(p + len + 1, n - len - 1);
			return true;
		}
		p += n + (p[n] == ',');
	}
	return false;
}
