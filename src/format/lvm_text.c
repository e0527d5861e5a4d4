/* SPDX-License-Identifier: MIT */
/* LVM2's configuration text as a tree: NAME { ... } and NAME = value, where a value is a number, a string in single or double
 * quotes, or an array of these in brackets; # begins a comment. In double quotes a backslash takes the next character as it is.
 *
 * Refused: more than LVM_MAX_TOKENS tokens, LVM_MAX_DEPTH sections in one another, numbers beyond 64 bits, anything that does not
 * end where it should. */
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "format/lvm_priv.h"

struct lex {
	char *p, *end;                  /* *end is NUL */
	unsigned line, tokens;
	struct lvm_tree *tree;
};

static int parse_section(struct lex *l, uint32_t in, unsigned depth, struct err *e);

void lvm_tree_free(struct lvm_tree *t)
{
	if (!t)
		return;
	free(t->v);
	free(t->text);
	free(t);
}

static int bad(const struct lex *l, const char *what, struct err *e)
{
	return err_set(e, -EBADMSG, "metadata text, line %u: %s", l->line, what);
}

static void skip_blank(struct lex *l)
{
	bool comment = false;

	for (; l->p < l->end; l->p++) {
		if (*l->p == '\n') {
			l->line++;
			comment = false;
		} else if (*l->p == '#') {
			comment = true;
		} else if (!comment && !strchr(" \t\r\v\f", *l->p)) {
			return;
		}
	}
}

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_-.+/", c));
}

/* A new item below `in`, after *last (0: the first); answers its index in *last. */
static int add_item(struct lex *l, uint32_t in, uint32_t *last, struct err *e)
{
	struct lvm_tree *t = l->tree;
	struct lvm_item *x;
	uint32_t index;

	if (++l->tokens > LVM_MAX_TOKENS)
		return bad(l, "more words than any volume group has", e);
	x = vec_push(&t->v, &t->n);
	if (!x)
		return err_oom(e);
	index = (uint32_t)(t->n - 1);
	if (*last)
		t->v[*last].next = index;
	else if (index)
		t->v[in].child = index;
	*last = index;
	return 0;
}

/* Cut out in place: the escapes only shrink it. */
static int parse_string(struct lex *l, const char **ret, struct err *e)
{
	char quote = *l->p++, *out = l->p;

	*ret = out;
	for (; l->p < l->end && *l->p != quote; l->p++) {
		if (*l->p == '\n')
			l->line++;
		if (quote == '"' && *l->p == '\\' && l->p + 1 < l->end)
			l->p++;
		*out++ = *l->p;
	}
	if (l->p == l->end)
		return bad(l, "a string without an end", e);
	l->p++;
	*out = '\0';
	return 0;
}

static int parse_number(struct lex *l, struct lvm_item *x, struct err *e)
{
	x->type = *l->p == '-' ? LVM_ODD : LVM_NUMBER;
	l->p += *l->p == '-' || *l->p == '+';
	if (l->p == l->end || *l->p < '0' || *l->p > '9')
		return bad(l, "neither a number, a string nor an array", e);
	for (; l->p < l->end; l->p++) {
		unsigned char digit = (unsigned char)(*l->p - '0');

		if (*l->p == '.') {
			x->type = LVM_ODD;
			continue;
		}
		if (digit > 9)
			break;
		if (x->type == LVM_NUMBER && (mul_overflows(x->number, 10, &x->number) ||
					      add_overflows(x->number, digit, &x->number)))
			return bad(l, "a number beyond 64 bits", e);
	}
	return 0;
}

static int parse_value(struct lex *l, uint32_t at, struct err *e)
{
	struct lvm_item *x = &l->tree->v[at];

	if (l->p < l->end && (*l->p == '"' || *l->p == '\'')) {
		x->type = LVM_STRING;
		return parse_string(l, &x->text, e);
	}
	return parse_number(l, x, e);
}

static int parse_array(struct lex *l, uint32_t at, struct err *e)
{
	uint32_t last = 0;

	l->tree->v[at].type = LVM_ARRAY;
	l->p++;
	for (;;) {
		int r;

		skip_blank(l);
		if (l->p < l->end && *l->p == ']')
			break;
		if (last) {
			if (l->p == l->end || *l->p != ',')
				return bad(l, "an array without an end", e);
			l->p++;
			skip_blank(l);
			if (l->p < l->end && *l->p == ']')
				break;
		}
		r = add_item(l, at, &last, e);
		if (r == 0)
			r = parse_value(l, last, e);
		if (r < 0)
			return r;
	}
	l->p++;
	return 0;
}

/* What follows a name. The name's end is overwritten last, as it may be the very byte that says what follows. */
static int parse_rest(struct lex *l, uint32_t at, char *name_end, unsigned depth, struct err *e)
{
	char c;

	skip_blank(l);
	c = *l->p;
	if (c != '{' && c != '=')
		return bad(l, "a name with neither = nor { behind it", e);
	l->p++;
	*name_end = '\0';
	if (c == '{') {
		l->tree->v[at].type = LVM_SECTION;
		return parse_section(l, at, depth + 1, e);
	}
	skip_blank(l);
	if (l->p < l->end && *l->p == '[')
		return parse_array(l, at, e);
	return parse_value(l, at, e);
}

static int parse_section(struct lex *l, uint32_t in, unsigned depth, struct err *e)
{
	uint32_t last = 0;

	if (depth > LVM_MAX_DEPTH)
		return bad(l, "sections nested too deep", e);
	for (;;) {
		char *name;
		int r;

		skip_blank(l);
		if (l->p == l->end && depth == 0)
			return 0;
		if (l->p < l->end && *l->p == '}' && depth) {
			l->p++;
			return 0;
		}
		for (name = l->p; is_bare(*l->p);)
			l->p++;
		if (l->p == name)
			return bad(l, l->p == l->end ? "a section without an end" : "not a name", e);
		r = add_item(l, in, &last, e);
		if (r < 0)
			return r;
		l->tree->v[last].name = name;
		r = parse_rest(l, last, l->p, depth, e);
		if (r < 0)
			return r;
	}
}

int lvm_tree_parse(const char *text, size_t len, struct lvm_tree **ret, struct err *e)
{
	cleanup_lvm_tree struct lvm_tree *t = NULL;
	struct lex l = { .line = 1 };
	uint32_t root = 0;
	int r;

	len = strnlen(text, len);
	if (len > LVM_MAX_TEXT)
		return err_set(e, -EBADMSG, "metadata text of %zu bytes", len);
	t = calloc(1, sizeof(*t));
	if (!t || !(t->text = malloc(len + 1)))
		return err_oom(e);
	memcpy(t->text, text, len);
	t->text[len] = '\0';
	l.p = t->text;
	l.end = t->text + len;
	l.tree = t;
	r = add_item(&l, 0, &root, e);
	if (r == 0)
		r = parse_section(&l, 0, 0, e);
	if (r < 0)
		return r;
	*ret = take_ptr(&t);
	return 0;
}

const struct lvm_item *lvm_first(const struct lvm_tree *t, const struct lvm_item *in)
{
	return in && in->child ? &t->v[in->child] : NULL;
}

const struct lvm_item *lvm_next(const struct lvm_tree *t, const struct lvm_item *x)
{
	return x->next ? &t->v[x->next] : NULL;
}

size_t lvm_count(const struct lvm_tree *t, const struct lvm_item *in)
{
	size_t n = 0;

	for (const struct lvm_item *x = lvm_first(t, in); x; x = lvm_next(t, x))
		n++;
	return n;
}

const struct lvm_item *lvm_find(const struct lvm_tree *t, const struct lvm_item *in, const char *name, enum lvm_type type)
{
	for (const struct lvm_item *x = lvm_first(t, in); x; x = lvm_next(t, x))
		if (x->name && strcmp(x->name, name) == 0)
			return x->type == type ? x : NULL;
	return NULL;
}

const char *lvm_string(const struct lvm_tree *t, const struct lvm_item *in, const char *name)
{
	const struct lvm_item *x = lvm_find(t, in, name, LVM_STRING);

	return x ? x->text : NULL;
}

bool lvm_number(const struct lvm_tree *t, const struct lvm_item *in, const char *name, uint64_t *ret)
{
	const struct lvm_item *x = lvm_find(t, in, name, LVM_NUMBER);

	if (x)
		*ret = x->number;
	return x != NULL;
}

bool lvm_has_flag(const struct lvm_tree *t, const struct lvm_item *in, const char *array, const char *flag)
{
	const struct lvm_item *a = lvm_find(t, in, array, LVM_ARRAY);

	for (const struct lvm_item *x = lvm_first(t, a); x; x = lvm_next(t, x))
		if (x->type == LVM_STRING && strcmp(x->text, flag) == 0)
			return true;
	return false;
}
