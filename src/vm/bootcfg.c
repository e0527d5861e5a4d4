/* SPDX-License-Identifier: MIT */
/* Boot menus, read as far as kernel, initrd and arguments: GRUB's grub.cfg and grub.conf (menuentry or title,
 * linux*, kernel, initrd*, set kernelopts), and entries of the Boot Loader Specification. This is not a
 * shell: conditions are not decided, every branch's entry is kept. Lines joined by a backslash are one. */
#include "vm/bootcfg.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

enum { MAX_VARS = 256 };

/* A line under the reader's hand: p..end, blanks at the front taken off as words are taken. */
struct words {
	const char *p, *end;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\0';
}

/* The next word: quotes are taken off, backslashes outside single quotes escape. NULL: none left, or out of
 * memory. */
static char *next_word(struct words *w)
{
	cleanup_str struct str s = {0};
	char quote = 0;

	while (w->p < w->end && blank(*w->p))
		w->p++;
	if (w->p == w->end)
		return NULL;
	str_addn(&s, "", 0);
	for (; w->p < w->end && (quote || !blank(*w->p)); w->p++) {
		if (quote && *w->p == quote)
			quote = 0;
		else if (!quote && (*w->p == '\'' || *w->p == '"'))
			quote = *w->p;
		else if (*w->p == '\\' && quote != '\'' && w->p + 1 < w->end)
			str_addn(&s, ++w->p, 1);
		else if (*w->p)
			str_addn(&s, w->p, 1);
	}
	return str_take(&s);
}

/* What is left of the line, without blanks at its ends. */
static char *rest(struct words *w)
{
	while (w->p < w->end && blank(*w->p))
		w->p++;
	while (w->end > w->p && blank(w->end[-1]))
		w->end--;
	return str_ndup(w->p, (size_t)(w->end - w->p));
}

static const char *var_get(const struct bootvars *vars, const char *name, size_t n)
{
	for (size_t i = vars->n; i > 0; i--)
		if (strlen(vars->v[i - 1].name) == n && !memcmp(vars->v[i - 1].name, name, n))
			return vars->v[i - 1].value;
	return NULL;
}

/* $name and ${name} replaced where known, kept where not. GRUB falls back from kernelopts to
 * default_kernelopts. */
static char *expand(const char *p, const struct bootvars *vars)
{
	cleanup_str struct str s = {0};

	while (*p) {
		size_t skip = *p != '$' ? 0 : p[1] == '{' ? 2 : 1, n = 0;
		const char *value = NULL;

		while (skip && (isalnum((unsigned char)p[skip + n]) || p[skip + n] == '_'))
			n++;
		if (n && (skip == 1 || p[skip + n] == '}'))
			value = var_get(vars, p + skip, n);
		if (n && !value && n == 10 && !memcmp(p + skip, "kernelopts", n))
			value = var_get(vars, "default_kernelopts", 18);
		if (s.n > 1 << 20)
			break;
		if (value) {
			str_add(&s, value);
			p += skip + n + (skip == 2);
		} else {
			str_addn(&s, p++, 1);
		}
	}
	return str_take(&s);
}

void bootvars_done(struct bootvars *vars)
{
	for (size_t i = 0; i < vars->n; i++) {
		free(vars->v[i].name);
		free(vars->v[i].value);
	}
	free(vars->v);
	*vars = (struct bootvars){0};
}

/* "name=value", from a grubenv line or a set command's word */
static int var_add(struct bootvars *vars, const char *p, size_t n, struct err *e)
{
	const char *eq = memchr(p, '=', n);
	struct bootvar *var;

	if (!eq || eq == p || vars->n >= MAX_VARS)
		return 0;
	var = vec_push(&vars->v, &vars->n);
	if (!var)
		return err_oom(e);
	var->name = str_ndup(p, (size_t)(eq - p));
	var->value = str_ndup(eq + 1, n - (size_t)(eq + 1 - p));
	if (var->name && var->value)
		return 0;
	free(var->name);
	free(var->value);
	vars->n--;
	return err_oom(e);
}

static size_t line_len(const char *p, size_t len)
{
	const char *nl = memchr(p, '\n', len);

	return nl ? (size_t)(nl - p) : len;
}

int bootvars_parse(const char *text, size_t len, struct bootvars *vars, struct err *e)
{
	while (len) {
		size_t n = line_len(text, len), step = n < len ? n + 1 : n;
		int err = *text == '#' ? 0 : var_add(vars, text, n, e);

		if (err < 0)
			return err;
		text += step;
		len -= step;
	}
	return 0;
}

void boot_entry_done(struct boot_entry *b)
{
	free(b->title);
	free(b->kernel);
	free(b->initrd);
	free(b->args);
	free(b->file);
	free(b->node_path);
	*b = (struct boot_entry){0};
}

/* A new entry with file names filled in; NULL with *ret_err 0 where the menu is full. */
static struct boot_entry *entry_new(struct bootmenu *m, unsigned line, int *ret_err, struct err *e)
{
	struct boot_entry b = {.line = line,
			       .file = str_printf("%s", m->file),
			       .node_path = str_printf("%s", m->node_path)},
			  *slot;

	*ret_err = 0;
	if (*m->n >= BOOT_MAX_ENTRIES) {
		m->full = true;
		boot_entry_done(&b);
		return NULL;
	}
	slot = b.file && b.node_path ? vec_push(m->v, m->n) : NULL;
	if (!slot) {
		boot_entry_done(&b);
		*ret_err = err_oom(e);
		return NULL;
	}
	*slot = b;
	return slot;
}

struct grub_reader {
	struct bootmenu *menu;
	char *title;
	bool open; /* the last entry may still get an initrd */
};

static void grub_done(struct grub_reader *g)
{
	free(g->title);
}

static int grub_linux(struct grub_reader *g, struct words *w, unsigned line, struct err *e)
{
	cleanup_free char *args = NULL;
	struct boot_entry *b;
	int err;

	b = entry_new(g->menu, line, &err, e);
	if (!b)
		return err;
	g->open = true;
	b->title = str_printf("%s", g->title ? g->title : "");
	b->kernel = next_word(w);
	args = rest(w);
	b->args = args ? expand(args, g->menu->vars) : NULL;
	return b->title && b->args ? 0 : err_oom(e);
}

static int grub_initrd(struct grub_reader *g, struct words *w, struct err *e)
{
	struct boot_entry *b = *g->menu->n ? &(*g->menu->v)[*g->menu->n - 1] : NULL;

	if (!g->open || !b || b->initrd)
		return 0;
	b->initrd = rest(w);
	return b->initrd ? 0 : err_oom(e);
}

static int grub_title(struct grub_reader *g, struct words *w, bool whole_line, struct err *e)
{
	free(g->title);
	g->title = whole_line ? rest(w) : next_word(w);
	g->open = false;
	return g->title || w->p == w->end ? 0 : err_oom(e);
}

static int grub_set(struct grub_reader *g, struct words *w, struct err *e)
{
	cleanup_free char *word = next_word(w);

	if (!word || var_get(g->menu->vars, word, strcspn(word, "=")))
		return 0;
	return var_add(g->menu->vars, word, strlen(word), e);
}

static int grub_line(struct grub_reader *g, const char *p, size_t n, unsigned line, struct err *e)
{
	struct words w = {p, p + n};
	cleanup_free char *cmd = next_word(&w);

	if (!cmd || *cmd == '#')
		return 0;
	if (str_eq(cmd, "menuentry"))
		return grub_title(g, &w, false, e);
	if (str_eq(cmd, "title"))
		return grub_title(g, &w, true, e);
	if (str_eq(cmd, "linux") || str_eq(cmd, "linux16") || str_eq(cmd, "linuxefi") ||
	    str_eq(cmd, "kernel"))
		return grub_linux(g, &w, line, e);
	if (str_eq(cmd, "initrd") || str_eq(cmd, "initrd16") || str_eq(cmd, "initrdefi"))
		return grub_initrd(g, &w, e);
	return str_eq(cmd, "set") ? grub_set(g, &w, e) : 0;
}

/* One logical line from text: lines that end in a backslash are joined. *used: how many bytes, *lines: how
 * many lines. */
static int logical_line(const char *text, size_t len, struct str *s, size_t *used, unsigned *lines,
			struct err *e)
{
	*used = 0;
	*lines = 0;
	for (;;) {
		const char *p = text + *used;
		size_t n = line_len(p, len - *used), keep = n;

		if (keep && p[keep - 1] == '\r')
			keep--;
		*used += n < len - *used ? n + 1 : n;
		(*lines)++;
		if (!keep || p[keep - 1] != '\\' || *used == len) {
			str_addn(s, p, keep);
			return s->failed ? err_oom(e) : 0;
		}
		str_addn(s, p, keep - 1);
	}
}

int bootmenu_grub(struct bootmenu *m, const char *text, size_t len, struct err *e)
{
	cleanup(grub_done) struct grub_reader g = {.menu = m};
	unsigned line = 1, lines;
	size_t used;

	for (; len; text += used, len -= used, line += lines) {
		cleanup_str struct str s = {0};
		int err = logical_line(text, len, &s, &used, &lines, e);

		if (!err)
			err = grub_line(&g, str_text(&s), s.n, line, e);
		if (err < 0)
			return err;
	}
	return 0;
}

static int bls_take(char **slot, struct words *w, const char *between, struct err *e)
{
	cleanup_free char *old = take_ptr(slot);
	cleanup_free char *value = rest(w);

	if (!value)
		return err_oom(e);
	*slot = old ? str_printf("%s%s%s", old, between, value) : take_ptr(&value);
	return *slot ? 0 : err_oom(e);
}

int bootmenu_bls(struct bootmenu *m, const char *text, size_t len, struct err *e)
{
	cleanup(boot_entry_done) struct boot_entry got = {0};
	struct boot_entry *b;
	unsigned line = 0;
	int err = 0;

	for (size_t n, step; len && !err; text += step, len -= step) {
		struct words w = {text, text + (n = line_len(text, len))};
		cleanup_free char *key = next_word(&w);

		step = n < len ? n + 1 : n;
		line++;
		if (!got.line && str_eq(key, "options"))
			got.line = line;
		if (str_eq(key, "title"))
			err = bls_take(&got.title, &w, " ", e);
		else if (str_eq(key, "linux"))
			err = bls_take(&got.kernel, &w, " ", e);
		else if (str_eq(key, "initrd"))
			err = bls_take(&got.initrd, &w, " ", e);
		else if (str_eq(key, "options"))
			err = bls_take(&got.args, &w, " ", e);
	}
	if (err || !got.kernel)
		return err;
	b = entry_new(m, got.line ? got.line : 1, &err, e);
	if (!b)
		return err;
	b->args = expand(got.args ? got.args : "", m->vars);
	b->title = got.title ? take_ptr(&got.title) : str_printf("%s", "");
	b->kernel = take_ptr(&got.kernel);
	b->initrd = take_ptr(&got.initrd);
	return b->args && b->title ? 0 : err_oom(e);
}

char *bootargs_patched(const char *args)
{
	for (const char *p = args; p && *p;) {
		size_t n;

		p += strspn(p, " \t\r\n\"'");
		n = strcspn(p, " \t\r\n\"'");
		if (str_starts(p, "rd.luks.ade.") ||
		    (n == 26 && str_starts(p, "root=/dev/mapper/osencrypt")) ||
		    str_starts(p, "rd.luks.uuid=osencrypt"))
			return str_ndup(p, n);
		p += n;
	}
	return NULL;
}
