/* SPDX-License-Identifier: MIT */
/* Small configuration texts that decide whether an encrypted OS boots: modprobe.d(5), the LVM filters of
 * lvm.conf(5), a kernel's configuration, and ADE's script crypt-ade-boot. Read line by line, as far as they
 * matter; comments are left out. */
#include "vm/bootconf.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"

/* Lines of a text; {text, n} at first. p..p+len is the line, at its number. */
struct lines {
	const char *next;
	size_t left;
	const char *p;
	size_t len;
	unsigned at;
};

static bool line_next(struct lines *l)
{
	const char *nl;

	if (!l->left)
		return false;
	nl = memchr(l->next, '\n', l->left);
	l->p = l->next;
	l->len = nl ? (size_t)(nl - l->next) : l->left;
	l->next += nl ? l->len + 1 : l->len;
	l->left -= nl ? l->len + 1 : l->len;
	l->at++;
	return true;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next blank-separated word of [*p, end). */
static bool word(const char **p, const char *end, const char **ret, size_t *ret_n)
{
	while (*p < end && blank(**p))
		(*p)++;
	*ret = *p;
	while (*p < end && !blank(**p))
		(*p)++;
	*ret_n = (size_t)(*p - *ret);
	return *ret_n > 0;
}

static bool is(const char *w, size_t n, const char *text)
{
	return n == strlen(text) && !memcmp(w, text, n);
}

/* A command that ends without loading anything. */
static bool does_nothing(const char *w, size_t n)
{
	for (size_t i = n; i > 0; i--)
		if (w[i - 1] == '/') {
			w += i;
			n -= i;
			break;
		}
	return is(w, n, "true") || is(w, n, "false") || is(w, n, "nologin") || is(w, n, ":") ||
	       is(w, n, "null");
}

int modprobe_vfat_off(const char *text, size_t n, char **ret_line, unsigned *ret_at, struct err *e)
{
	struct lines l = {.next = text, .left = n};

	while (line_next(&l)) {
		const char *p = l.p, *end = l.p + l.len, *cmd, *module, *what;
		size_t cmd_n, module_n, what_n;

		if (!word(&p, end, &cmd, &cmd_n) || !word(&p, end, &module, &module_n) ||
		    !is(module, module_n, "vfat"))
			continue;
		if (!is(cmd, cmd_n, "blacklist") &&
		    !(is(cmd, cmd_n, "install") && word(&p, end, &what, &what_n) &&
		      does_nothing(what, what_n)))
			continue;
		*ret_line = str_ndup(l.p, l.len < 200 ? l.len : 200);
		*ret_at = l.at;
		return *ret_line ? 1 : err_oom(e);
	}
	return 0;
}

/* A GUID at p? */
static bool guid_at(const char *p, char out[40])
{
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? p[i] != '-' : !isxdigit((unsigned char)p[i]))
			return false;
	}
	if (isxdigit((unsigned char)p[36]) || p[36] == '-')
		return false;
	memcpy(out, p, 36);
	out[36] = '\0';
	return true;
}

void bootscript_partuuid(const char *text, char out[40], bool *ret_token)
{
	static const char *const before[] = {"by-partuuid/", "PARTUUID="};

	*out = '\0';
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++)
		for (const char *p = strstr(text, before[i]); p; p = strstr(p + 1, before[i])) {
			const char *value = p + strlen(before[i]);

			if (str_starts(value, "ROOTPARTUUID"))
				*ret_token = true;
			else if (!*out)
				(void)guid_at(value, out);
		}
}

/* ---- lvm.conf ---- */

/* One pattern of a filter: a or r, a delimiter, a regular expression, the delimiter. */
static void lvm_pattern(struct lvm_filter *f, const char *p, size_t n)
{
	char text[256], *pattern = text + 2;

	if (n < 4 || n >= sizeof(text) || (p[0] != 'a' && p[0] != 'r'))
		return;
	memcpy(text, p, n - 1); /* without the last delimiter */
	text[n - 1] = '\0';
	if (p[0] == 'a' && (strstr(pattern, "osencrypt") || str_starts(pattern, "/dev/mapper") ||
			    str_starts(pattern, "^/dev/mapper") || str_eq(pattern, ".*") ||
			    str_eq(pattern, ".*/") || str_eq(pattern, "/dev/") || str_eq(pattern, "^/dev/")))
		f->takes_osencrypt = true;
	if (p[0] == 'r' && (str_eq(pattern, ".*") || str_eq(pattern, ".*/") || str_eq(pattern, ".") ||
			    str_eq(pattern, "/.*/")))
		f->rejects_rest = true;
	for (char *q = pattern; p[0] == 'r' && *q && !*f->rejects; q++)
		if (strlen(q) >= 36)
			(void)guid_at(q, f->rejects);
}

/* The quoted patterns of one line, behind its "=". */
static void lvm_patterns(struct lvm_filter *f, const char *p, const char *end)
{
	while (p < end) {
		const char *open = memchr(p, '"', (size_t)(end - p));
		const char *close = open ? memchr(open + 1, '"', (size_t)(end - open - 1)) : NULL;

		if (!close)
			return;
		lvm_pattern(f, open + 1, (size_t)(close - open - 1));
		p = close + 1;
	}
}

/* Where the value of filter or global_filter begins in a line, or NULL. */
static const char *lvm_value(const char *p, const char *end)
{
	for (; p < end; p++) {
		size_t n = 0;
		const char *q;

		if (*p == '#')
			return NULL;
		while (p + n < end && (isalnum((unsigned char)p[n]) || p[n] == '_'))
			n++;
		if (!n)
			continue;
		q = p + n;
		while (q < end && blank(*q))
			q++;
		if (q < end && *q == '=' && (is(p, n, "filter") || is(p, n, "global_filter")))
			return q + 1;
		p += n - 1;
	}
	return NULL;
}

void lvmconf_filter(const char *text, size_t n, struct lvm_filter *ret)
{
	struct lines l = {.next = text, .left = n};
	bool open = false;

	*ret = (struct lvm_filter){0};
	while (line_next(&l)) {
		const char *end = l.p + l.len, *value = open ? l.p : lvm_value(l.p, end);

		if (!value || (open && l.len && l.p[strspn(l.p, " \t")] == '#'))
			continue;
		ret->line = l.at;
		lvm_patterns(ret, value, end);
		open = (open || memchr(value, '[', (size_t)(end - value))) &&
		       !memchr(value, ']', (size_t)(end - value));
	}
}

char kconfig_value(const char *text, size_t n, const char *name)
{
	struct lines l = {.next = text, .left = n};
	size_t len = strlen(name);

	while (line_next(&l)) {
		if (l.len > len + 1 && !memcmp(l.p, name, len) && l.p[len] == '=')
			return l.p[len + 1];
		if (l.len > len + 2 && l.p[0] == '#' && !memcmp(l.p + 2, name, len) && l.p[len + 2] == ' ')
			return 'n';
	}
	return 0;
}
