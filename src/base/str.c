/* SPDX-License-Identifier: MIT */
/* Text buffers, and the escaping of every byte that comes from a disk (RFC 3629 decides what UTF-8 is;
 * overlong forms, surrogates and what lies above U+10FFFF are not). Nothing that could move a cursor, turn
 * the writing direction or end a line gets through str_escape. */
#include <stdio.h>
#include <string.h>
#include "base/str.h"

/* Room for n more bytes and the NUL. */
static bool str_room(struct str *s, size_t n)
{
	size_t need, cap;
	char *p;

	if (s->failed)
		return false;
	if (n >= PTRDIFF_MAX - s->n) {
		s->failed = true;
		return false;
	}
	need = s->n + n + 1;
	if (need <= s->cap)
		return true;

	cap = s->cap > PTRDIFF_MAX / 2 ? need : 2 * s->cap;
	if (cap < need)
		cap = need < 64 ? 64 : need;
	p = realloc(s->p, cap);
	if (!p) {
		s->failed = true;
		return false;
	}
	s->p = p;
	s->cap = cap;
	return true;
}

void str_addn(struct str *s, const void *bytes, size_t n)
{
	if (!str_room(s, n))
		return;
	if (n)
		memcpy(s->p + s->n, bytes, n);
	s->n += n;
	s->p[s->n] = '\0';
}

void str_add(struct str *s, const char *text)
{
	if (text)
		str_addn(s, text, strlen(text));
}

void str_addv(struct str *s, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		s->failed = true;
	if (n < 0 || !str_room(s, (size_t)n))
		return;
	(void)vsnprintf(s->p + s->n, (size_t)n + 1, fmt, ap);
	s->n += (size_t)n;
}

void str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_addv(s, fmt, ap);
	va_end(ap);
}

const char *str_text(const struct str *s)
{
	return s->p ? s->p : "";
}

void str_done(struct str *s)
{
	free(s->p);
	*s = (struct str){0};
}

char *str_take(struct str *s)
{
	char *text;

	str_addn(s, "", 0); /* an empty one gets its NUL */
	text = s->failed ? NULL : take_ptr(&s->p);
	str_done(s);
	return text;
}

char *str_printf(const char *fmt, ...)
{
	struct str s = {0};
	va_list ap;

	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	return str_take(&s);
}

char *str_ndup(const void *p, size_t n)
{
	return p ? strndup(p, n) : strdup("");
}

/* The length of the well-formed character at p (1 to 4), or 0. */
static size_t utf8_char(const uint8_t *p, size_t n, uint32_t *ret_code)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len, i;
	uint32_t c;

	if (p[0] < 0x80) {
		*ret_code = p[0];
		return 1;
	}
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;

	c = p[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_code = c;
	return len;
}

/* Would printing it do anything but print it? */
static bool is_control(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return true;
	if (c == 0x061c || c == 0x200e || c == 0x200f)
		return true;
	return (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void add_hex(struct str *s, const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		str_addf(s, "\\x%02x", p[i]);
}

void str_add_escaped(struct str *s, const void *bytes, size_t n, bool ascii)
{
	const uint8_t *p = bytes;
	uint32_t c = 0;
	size_t len;

	for (; n; n -= len, p += len) {
		len = utf8_char(p, n, &c);
		if (!len)
			add_hex(s, p, len = 1);
		else if (is_control(c) || (ascii && c > 0x7f))
			add_hex(s, p, len);
		else if (c == '\\')
			str_add(s, "\\\\");
		else
			str_addn(s, p, len);
	}
}

char *str_escape(const void *bytes, size_t n, bool ascii)
{
	struct str s = {0};

	str_add_escaped(&s, bytes, n, ascii);
	return str_take(&s);
}

char *str_json(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	struct str s = {0};
	uint32_t c = 0;
	size_t len;

	for (; n; n -= len, p += len) {
		len = utf8_char(p, n, &c);
		if (!len || c == 0)
			add_hex(&s, p, len = 1);
		else if (c == '\\')
			str_add(&s, "\\\\");
		else
			str_addn(&s, p, len);
	}
	return str_take(&s);
}

bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static unsigned char ascii_lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool str_eq_nocase(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && ascii_lower(*a) == ascii_lower(*b); a++, b++)
		;
	return !*a && !*b;
}

bool str_starts(const char *s, const char *prefix)
{
	return s && strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s && strlen(s) >= n && strcmp(s + strlen(s) - n, suffix) == 0;
}

bool str_to_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s || !*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

void str_size(uint64_t bytes, char out[16])
{
	unsigned exp = 0, tenths = 0;
	uint64_t whole = bytes;

	while (exp < 6 && bytes >> (10 * (exp + 1)))
		exp++;
	if (exp) {
		whole = bytes >> (10 * exp);
		/* lsblk's rounding: the rest in 1024ths, to the next hundred of them */
		tenths = (unsigned)(((bytes >> (10 * (exp - 1)) & 1023) + 50) / 100);
		if (tenths >= 10) {
			whole++;
			tenths = 0;
		}
	}
	if (tenths)
		snprintf(out, 16, "%u.%u%c", (unsigned)whole, tenths, "BKMGTPE"[exp]);
	else
		snprintf(out, 16, "%u%c", (unsigned)whole, "BKMGTPE"[exp]);
}
