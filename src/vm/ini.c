/* SPDX-License-Identifier: MIT */
/* ADE's ini dialect, as Python's ConfigParser writes it ("key = value", lower-cased keys, continuation lines
 * that begin with a blank), read tolerantly: a file that was cut short by a crash is a shape that ADE leaves,
 * not an error. Values are taken as they stand: no interpolation, no unescaping, no inline comments. At most
 * 4096 pairs. */
#include "vm/ini.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

enum { MAX_PAIRS = 4096 };

struct ini_reader {
	struct ini *ini;
	char *section;
	char *key;     /* of the pair that may still be continued; NULL: none */
	unsigned line; /* where that pair began */
	struct str value;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void trim(const char **p, size_t *n)
{
	while (*n && is_blank(**p)) {
		(*p)++;
		(*n)--;
	}
	while (*n && is_blank((*p)[*n - 1]))
		(*n)--;
}

static void reader_done(struct ini_reader *r)
{
	free(r->section);
	free(r->key);
	str_done(&r->value);
}

/* The pair is complete: give it to the ini. */
static int reader_flush(struct ini_reader *r, struct err *e)
{
	cleanup_free char *section = NULL;
	cleanup_free char *value = NULL;
	struct ini_pair *pair;

	if (!r->key)
		return 0;
	if (r->ini->n >= MAX_PAIRS) {
		r->ini->truncated = true;
		free(take_ptr(&r->key));
		str_done(&r->value);
		return 0;
	}
	section = str_printf("%s", r->section ? r->section : "");
	value = str_take(&r->value);
	if (!section || !value)
		return err_oom(e);
	pair = vec_push(&r->ini->v, &r->ini->n);
	if (!pair)
		return err_oom(e);

	pair->section = take_ptr(&section);
	pair->value = take_ptr(&value);
	pair->key = take_ptr(&r->key);
	pair->line = r->line;
	return 0;
}

static int reader_section(struct ini_reader *r, const char *p, size_t n, struct err *e)
{
	const char *end = memchr(p, ']', n);

	if (!end) {
		r->ini->truncated = true;
		return 0;
	}
	free(r->section);
	r->section = str_ndup(p + 1, (size_t)(end - p) - 1);
	return r->section ? 0 : err_oom(e);
}

static int reader_pair(struct ini_reader *r, const char *p, size_t n, unsigned line, struct err *e)
{
	size_t sep = 0, key_len, value_len;
	const char *key = p, *value;

	while (sep < n && p[sep] != '=' && p[sep] != ':')
		sep++;
	key_len = sep;
	trim(&key, &key_len);
	if (sep == n || !key_len) {
		r->ini->truncated = true;
		return 0;
	}
	value = p + sep + 1;
	value_len = n - sep - 1;
	trim(&value, &value_len);

	r->key = str_ndup(key, key_len);
	r->line = line;
	str_addn(&r->value, value, value_len);
	return r->key && !r->value.failed ? 0 : err_oom(e);
}

static int reader_line(struct ini_reader *r, const char *p, size_t n, unsigned line, struct err *e)
{
	const char *nul = memchr(p, '\0', n);
	bool indented = n && (*p == ' ' || *p == '\t');
	int err;

	if (nul) {
		r->ini->truncated = true;
		n = (size_t)(nul - p);
	}
	trim(&p, &n);
	if (!n)
		return 0;
	if (indented && r->key) {
		str_addn(&r->value, "\n", 1);
		str_addn(&r->value, p, n);
		return r->value.failed ? err_oom(e) : 0;
	}

	err = reader_flush(r, e);
	if (err < 0 || *p == '#' || *p == ';')
		return err;
	return *p == '[' ? reader_section(r, p, n, e) : reader_pair(r, p, n, line, e);
}

static int reader_text(struct ini_reader *r, const char *text, size_t len, struct err *e)
{
	unsigned line = 0;
	int err;

	while (len) {
		const char *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) : len;

		if (!nl)
			r->ini->truncated = true;
		err = reader_line(r, text, n, ++line, e);
		if (err < 0)
			return err;
		text += n + (nl ? 1 : 0);
		len -= n + (nl ? 1 : 0);
	}
	return reader_flush(r, e);
}

const char *ini_get(const struct ini *ini, const char *key)
{
	for (size_t i = ini->n; i > 0; i--)
		if (str_eq_nocase(ini->v[i - 1].key, key))
			return ini->v[i - 1].value;
	return NULL;
}

bool ini_conflicts(const struct ini *ini, const char *key)
{
	const char *last = ini_get(ini, key);

	for (size_t i = 0; i < ini->n; i++)
		if (str_eq_nocase(ini->v[i].key, key) && !str_eq(ini->v[i].value, last))
			return true;
	return false;
}

void ini_done(struct ini *ini)
{
	for (size_t i = 0; i < ini->n; i++) {
		free(ini->v[i].section);
		free(ini->v[i].key);
		free(ini->v[i].value);
	}
	free(ini->v);
	*ini = (struct ini){0};
}

int ini_parse(const char *text, size_t len, struct ini *ret, struct err *e)
{
	struct ini ini = {.empty = true};
	cleanup(reader_done) struct ini_reader r = {.ini = &ini};
	int err;

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		len -= 3;
	}
	for (size_t i = 0; i < len && ini.empty; i++)
		ini.empty = is_blank(text[i]) || text[i] == '\n' || text[i] == '\0';

	err = reader_text(&r, text, len, e);
	if (err < 0) {
		ini_done(&ini);
		return err;
	}
	*ret = ini;
	return 0;
}
