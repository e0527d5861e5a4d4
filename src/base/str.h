/* SPDX-License-Identifier: MIT */
/* Text buffers, and the escaping of every byte that comes from a disk. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"

/* A growing string; {0} is empty. After running out of memory `failed` is set, text stays what it was,
 * and every later call is a no-op: check once at the end. */
struct str {
	char *p;        /* NUL-terminated when n > 0; may be NULL when empty */
	size_t n, cap;
	bool failed;
};
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const void *bytes, size_t n);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_addv(struct str *s, const char *fmt, va_list ap);
/* The text, never NULL; the str keeps it. */
const char *str_text(const struct str *s);
/* Gives the text to the caller (to be freed) and empties s; NULL when failed. */
char *str_take(struct str *s);
void str_done(struct str *s);
#define cleanup_str cleanup(str_done)

/* malloc'd printf; NULL when out of memory. */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* strdup of at most n bytes, stopping at a NUL. */
char *str_ndup(const void *p, size_t n);

/* Escapes bytes of a disk for people and JSON: what is not valid UTF-8, control characters (C0, DEL, C1),
 * bidirectional controls and line separators become \xHH (each byte), a backslash becomes \\. The result
 * is valid UTF-8 without control characters. With ascii, every non-ASCII byte is escaped too. */
char *str_escape(const void *bytes, size_t n, bool ascii);
/* The same appended to s. */
void str_add_escaped(struct str *s, const void *bytes, size_t n, bool ascii);
/* For JSON strings: only bytes that are not valid UTF-8 become \xHH and a backslash becomes \\; control
 * characters stay (json-c escapes them as \u00HH), but for NUL, which becomes \x00. Returns malloc'd text,
 * or NULL. */
char *str_json(const void *bytes, size_t n);

bool str_eq(const char *a, const char *b);          /* NULL-safe */
bool str_eq_nocase(const char *a, const char *b);   /* NULL-safe, ASCII */
bool str_starts(const char *s, const char *prefix); /* NULL s: false */
bool str_ends(const char *s, const char *suffix);
/* Decimal only, the whole string, no sign or blanks; false otherwise or on overflow. */
bool str_to_u64(const char *s, uint64_t *ret);
/* 30G, 128M, 1.5T as lsblk prints sizes (powers of 1024, one decimal where needed). out has 16 bytes. */
void str_size(uint64_t bytes, char out[16]);

#endif
