/* SPDX-License-Identifier: MIT */
/* ADE's ini dialect (Python's ConfigParser), read tolerantly: missing section, duplicate sections and keys (the last
 * wins), CRLF, BOM, NULs, tab continuation lines, empty file. Keys are compared without case. */
#ifndef VM_INI_H
#define VM_INI_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

struct ini_pair { char *section, *key, *value; unsigned line; };   /* value trimmed; "" where empty */
struct ini {
	struct ini_pair *v; size_t n;
	bool empty;              /* 0 bytes or only blanks */
	bool truncated;          /* the last line has no newline, or a line is neither section, pair nor continuation */
};
int ini_parse(const char *text, size_t len, struct ini *ret, struct err *e);  /* never refuses text; -ENOMEM only */
const char *ini_get(const struct ini *, const char *key);  /* of any section; NULL: not there */
/* Does the key stand there twice, with different values? Then neither may be believed where it matters. */
bool ini_conflicts(const struct ini *, const char *key);
void ini_done(struct ini *);

#endif
