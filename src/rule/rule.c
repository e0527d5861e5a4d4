/* SPDX-License-Identifier: MIT */
/* The table of rules in its order, findings and their sentences, and the names that the contract fixes.
 * Sentences may quote names from disks: whatever could steer a terminal is escaped once more here, text that
 * is safe stays as it is. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "rule/list.h"
#include "rule/rule.h"

const struct rule *const rules[] = {
#define X(n) &rule_##n,
	ROWS(X) FINDINGS(X)
#undef X
		NULL};

/* Does x differ from s in doubled backslashes only? Then s was escaped already, or needs no escaping. */
static bool only_backslashes(const char *s, const char *x)
{
	for (; *s && *s == *x; s++, x++)
		if (*s == '\\' && x[1] == '\\')
			x++;
	return !*s && !*x;
}

/* Takes s and gives it back, escaped where it needs to be; NULL: out of memory. */
static char *make_safe(char *s)
{
	char *x = str_escape(s, strlen(s), false);

	if (x && only_backslashes(s, x)) {
		free(x);
		return s;
	}
	free(s);
	return x;
}

struct finding *finding_add(struct findings *out, const struct rule *rule, const struct node *where,
			    const char *path, unsigned line)
{
	cleanup_free char *copy = path ? str_ndup(path, strlen(path)) : NULL;
	struct finding *f;

	if (path && !copy)
		return NULL;
	f = vec_push(&out->v, &out->n);
	if (!f)
		return NULL;
	f->rule = rule;
	f->severity = rule->severity;
	f->where = where;
	f->path = take_ptr(&copy);
	f->line = line;
	return f;
}

void finding_say(struct finding *f, const char *fmt, ...)
{
	cleanup_str struct str s = {0};
	cleanup_free char *text = NULL;
	char **slot;
	va_list ap;

	if (!f)
		return;
	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	text = str_take(&s);
	if (!text)
		return;
	text = make_safe(text);
	if (!text)
		return;
	slot = vec_push(&f->evidence, &f->nevidence);
	if (slot)
		*slot = take_ptr(&text);
}

static void finding_done(struct finding *f)
{
	for (size_t i = 0; i < f->nevidence; i++)
		free(f->evidence[i]);
	free(f->evidence);
	free(f->path);
	free(f->remedy);
}

void findings_done(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		finding_done(&f->v[i]);
	free(f->v);
	*f = (struct findings){0};
}

const struct rule *rule_find(const char *id)
{
	for (size_t i = 0; rules[i]; i++)
		if (str_eq(rules[i]->id, id))
			return rules[i];
	return NULL;
}

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {
		[VERDICT_NONE] = "none",
		[VERDICT_NO_STATE] = "no-state",
		[VERDICT_CONSISTENT] = "consistent",
		[VERDICT_STALE] = "stale",
		[VERDICT_UNFINISHED] = "unfinished",
		[VERDICT_INCONSISTENT] = "inconsistent",
		[VERDICT_DANGEROUS] = "dangerous",
		[VERDICT_UNKNOWN] = "unknown",
	};

	return (size_t)v < sizeof(names) / sizeof(*names) ? names[v] : "unknown";
}

const char *verdict_headline(enum verdict v, const struct rule *rule)
{
	static const char *const lines[] = {
		[VERDICT_NONE] = "CANNOT JUDGE",
		[VERDICT_NO_STATE] = "NO ADE STATE",
		[VERDICT_CONSISTENT] = "ENCRYPTED AND CONSISTENT",
		[VERDICT_STALE] = "STALE",
		[VERDICT_UNFINISHED] = "UNFINISHED",
		[VERDICT_INCONSISTENT] = "INCONSISTENT",
		[VERDICT_DANGEROUS] = "DANGEROUS",
		[VERDICT_UNKNOWN] = "CANNOT JUDGE",
	};

	if (rule && str_eq(rule->id, "configured"))
		return "CONFIGURED, NOTHING ENCRYPTED YET";
	if (rule && str_eq(rule->id, "finishing"))
		return "BOOT ONCE TO FINISH";
	if (rule && str_eq(rule->id, "root-locked"))
		return "LOCKED";
	return (size_t)v < sizeof(lines) / sizeof(*lines) ? lines[v] : "CANNOT JUDGE";
}

const char *severity_name(enum severity s)
{
	switch (s) {
	case SEV_NOTE:
		return "note";
	case SEV_WARNING:
		return "warning";
	case SEV_ERROR:
		return "error";
	case SEV_NEVER_DELETE:
		break;
	}
	return "never-delete";
}

const char *data_name(enum data_state d)
{
	switch (d) {
	case DATA_INTACT:
		return "intact";
	case DATA_LOCKED:
		return "locked";
	case DATA_AT_RISK:
		return "at-risk";
	case DATA_LOST:
		return "lost";
	case DATA_UNKNOWN:
		break;
	}
	return "unknown";
}

const char *outcome_name(enum outcome o)
{
	switch (o) {
	case OUT_NOTHING:
		return "nothing";
	case OUT_WORKS:
		return "works";
	case OUT_FAILS:
		return "fails";
	case OUT_STARTS_ENCRYPTION:
		return "starts-encryption";
	case OUT_DESTROYS:
		return "destroys";
	case OUT_UNKNOWN:
		break;
	}
	return "unknown";
}
