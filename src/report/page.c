/* SPDX-License-Identifier: MIT */
/* Composing a page: wrapping, ranking, fitting. */
#include "report/page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "report/report.h"

static void push(struct page *p, int rank, struct str *line)
{
	struct page_line *slot = vec_push(&p->v, &p->n);

	if (slot)
		*slot = (struct page_line){ .text = str_take(line), .rank = rank, .paragraph = p->paragraphs };
	if (!slot || !slot->text) {
		p->failed = 1;
		if (slot)
			p->n--;
	}
	str_done(line);
	*line = (struct str){ 0 };
}

/* Words go on while they fit; a word longer than a line is broken. */
static void wrap(struct page *p, int rank, const char *head, const char *indent, const char *text)
{
	struct str line = { 0 };
	size_t gap = 0;                 /* two spaces of ours stay two */
	bool fresh = true;

	str_add(&line, head);
	while (*text) {
		size_t n = strcspn(text, " \n"), room = PAGE_COLUMNS - strlen(indent);

		if (n > room && !p->whole_words)
			n = room;
		if (!fresh && line.n + gap + n > PAGE_COLUMNS) {
			push(p, rank, &line);
			str_add(&line, indent);
			fresh = true;
		}
		if (!fresh)
			for (size_t i = 0; i < gap; i++)
				str_add(&line, " ");
		str_addn(&line, text, n);
		fresh = false;
		text += n;
		if (*text == '\n') {
			push(p, rank, &line);
			str_add(&line, indent);
			fresh = true;
			text++;
		}
		gap = strspn(text, " ");
		text += gap;
	}
	push(p, rank, &line);
	p->paragraphs++;
}

void page_add(struct page *p, int rank, const char *head, const char *indent, const char *text)
{
	cleanup_free char *safe = NULL;
	cleanup_str struct str parts = { 0 };

	/* newlines of ours stay; everything else from disks is escaped, but backslashes of text that was escaped before */
	for (const char *s = text; *s;) {
		size_t n = strcspn(s, "\n\\");

		str_add_escaped(&parts, s, n, true);
		s += n;
		if (*s)
			str_addn(&parts, s++, 1);
	}
	safe = str_take(&parts);
	wrap(p, rank, head, indent, safe ? safe : "");
}

void page_addf(struct page *p, int rank, const char *head, const char *indent, const char *fmt, ...)
{
	cleanup_str struct str s = { 0 };
	va_list ap;

	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	page_add(p, rank, head, indent, str_text(&s));
}

static size_t bytes_of(const struct page *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += strlen(p->v[i].text) + 1;
	return n;
}

static void drop_line(struct page *p, size_t i)
{
	free(p->v[i].text);
	memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof(*p->v));
	p->n--;
}

/* The line before a dropped one of its paragraph says that something is missing. */
static void mark_cut(struct page *p, struct page_line *l)
{
	size_t n = strlen(l->text);
	char *cut;

	if (str_ends(l->text, " ..."))
		return;
	if (n > PAGE_COLUMNS - 4)
		n = PAGE_COLUMNS - 4;
	cut = str_printf("%.*s ...", (int)n, l->text);
	if (!cut) {
		p->failed = 1;
		return;
	}
	free(l->text);
	l->text = cut;
}

void page_fit(struct page *p, size_t max_lines, size_t max_bytes)
{
	while (p->n > max_lines || bytes_of(p) > max_bytes) {
		size_t worst = 0;

		for (size_t i = 0; i < p->n; i++)
			if (p->v[i].rank >= p->v[worst].rank)
				worst = i;
		if (p->n == 0 || p->v[worst].rank == RANK_MUST)
			return;
		if (worst && p->v[worst - 1].paragraph == p->v[worst].paragraph)
			mark_cut(p, &p->v[worst - 1]);
		drop_line(p, worst);
	}
}

int page_print(const struct page *p, FILE *f)
{
	for (size_t i = 0; i < p->n; i++)
		if (fprintf(f, "%s\n", p->v[i].text) < 0)
			return -EIO;
	return p->failed ? -ENOMEM : 0;
}

void page_done(struct page *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].text);
	free(p->v);
	*p = (struct page){ 0 };
}

void text_wrap(const char *head, const char *indent, const char *text, FILE *f)
{
	struct page p = { .whole_words = true };

	page_add(&p, RANK_MUST, head, indent, text);
	page_print(&p, f);
	page_done(&p);
}
