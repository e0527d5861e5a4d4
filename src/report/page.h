/* SPDX-License-Identifier: MIT */
/* A page of bounded size: lines with a rank; where they are too many, the least important go first. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { PAGE_COLUMNS = 79, RANK_MUST = 0 };
struct page_line { char *text; int rank; unsigned paragraph; };
struct page { struct page_line *v; size_t n; unsigned paragraphs; int failed; bool whole_words; /* a path longer than a line stays in one piece */ };

/* One paragraph: head before its first line, indent before the others; text is escaped to ASCII and wrapped. */
void page_add(struct page *, int rank, const char *head, const char *indent, const char *text);
void page_addf(struct page *, int rank, const char *head, const char *indent, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Shorten the paragraphs of the highest rank, last ones first, to one line that ends in "...", then drop them, until at most max_lines and
 * max_bytes are left; RANK_MUST stays. */
void page_fit(struct page *, size_t max_lines, size_t max_bytes);
int page_print(const struct page *, FILE *);
void page_done(struct page *);

#endif
