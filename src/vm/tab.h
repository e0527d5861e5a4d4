/* SPDX-License-Identifier: MIT */
/* fstab, crypttab and azure_crypt_mount: one parser that keeps line numbers, and an editor that leaves every byte it does
 * not mean to change as it was. */
#ifndef VM_TAB_H
#define VM_TAB_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum { TAB_MAX_FIELDS = 8 };
struct tab_row {
	unsigned line;                  /* from 1 */
	size_t off, len;                /* of the line in the text, without its newline */
	char *f[TAB_MAX_FIELDS];        /* fields; fstab's \040 escapes are decoded. NULL beyond nf */
	size_t nf;
};
struct tab {
	char *text; size_t len;         /* the whole file as read */
	struct tab_row *v; size_t n;    /* comments and blank lines are not rows */
};
/* escapes: decode \040-style octal (fstab). Lines end with \n or \r\n; the last may lack it. NULs end a field. */
int tab_parse(const char *text, size_t len, bool escapes, struct tab *ret, struct err *e);
void tab_done(struct tab *);
/* The text with the given lines commented out by "# aderescue: " in front, all other bytes kept. */
int tab_comment_lines(const struct tab *, const unsigned *lines, size_t n, char **ret, size_t *ret_len, struct err *e);

/* field access with names */
static inline const char *tab_f(const struct tab_row *r, size_t i)
{
	return i < r->nf ? r->f[i] : "";
}
/* does the comma-separated option list hold name or name=value? *ret_value (may be NULL) points into a malloc'd copy */
bool tab_option(const char *options, const char *name, char **ret_value);

#endif
