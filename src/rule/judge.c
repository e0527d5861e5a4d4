/* SPDX-License-Identifier: MIT */
/* All rows are asked in order, the first that holds gives the verdict; but consistent, stale and no-state are
 * given only where every row above is known not to hold, else undecided. Then what the data are, what may be
 * done, what follows. A row that could not be told never makes a verdict safer. */
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "rule/facts.h"
#include "rule/future.h"
#include "rule/list.h"
#include "rule/request.h"

static const struct rule *const rows[] = {
#define X(n) &rule_##n,
	ROWS(X)
#undef X
};
static const struct rule *const others[] = {
#define X(n) &rule_##n,
	FINDINGS(X)
#undef X
};
enum { NROWS = sizeof(rows) / sizeof(*rows), NOTHERS = sizeof(others) / sizeof(*others) };

struct answer {
	enum tri t;
	struct findings findings;
	char *why;
};

static int ask(const struct vm *vm, const struct rule *rule, struct answer *ret)
{
	ret->t = rule->check(vm, &ret->findings, &ret->why);
	if (ret->t == TRI_UNKNOWN && !ret->why)
		return -ENOMEM;
	return 0;
}

static bool is_guarded(enum verdict v)
{
	return v == VERDICT_CONSISTENT || v == VERDICT_STALE || v == VERDICT_NO_STATE;
}

/* Which row gives the verdict. *ret_would (may become NULL): the row that would have, were all above it
 * known. */
static size_t decide(const struct answer *a, const struct rule **ret_would)
{
	bool doubt = false;

	*ret_would = NULL;
	for (size_t i = 0; i + 1 < NROWS; i++) {
		if (a[i].t == TRI_UNKNOWN)
			doubt = true;
		if (a[i].t != TRI_YES)
			continue;
		if (!doubt || !is_guarded(rows[i]->verdict))
			return i;
		*ret_would = rows[i];
		break;
	}
	return NROWS - 1;
}

static int add_line(char ***v, size_t *n, char *text)
{
	char **slot = text ? vec_push(v, n) : NULL;

	if (!slot) {
		free(text);
		return -ENOMEM;
	}
	*slot = text;
	return 0;
}

/* One sentence for each reason, with all the rows it keeps from being told. */
static int say_unknown(struct judgement *j, const struct answer *a)
{
	for (size_t i = 0; i + 1 < NROWS; i++) {
		cleanup_str struct str s = {0};
		bool said = a[i].t != TRI_UNKNOWN;

		for (size_t k = 0; !said && k < i; k++)
			said = a[k].t == TRI_UNKNOWN && str_eq(a[k].why, a[i].why);
		if (said)
			continue;
		str_add_escaped(&s, a[i].why, strlen(a[i].why), false);
		str_add(&s, " (cannot be told: ");
		for (size_t k = i; k + 1 < NROWS; k++)
			if (a[k].t == TRI_UNKNOWN && str_eq(a[k].why, a[i].why))
				str_addf(&s, "%s%s", k == i ? "" : ", ", rows[k]->id);
		str_add(&s, ")");
		if (add_line(&j->unknown, &j->nunknown, str_take(&s)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Moves the findings of one answer to the judgement. */
static int keep(struct judgement *j, struct answer *a)
{
	for (size_t i = 0; i < a->findings.n; i++) {
		struct finding *slot = vec_push(&j->findings.v, &j->findings.n);

		if (!slot)
			return -ENOMEM;
		*slot = a->findings.v[i];
		a->findings.v[i] = (struct finding){0};
	}
	return 0;
}

static bool is_finding_too(const struct judgement *j, size_t i, size_t verdict_row, enum tri t)
{
	if (i == verdict_row)
		return true;
	if (i == NROWS - 1)
		return false;
	if (t != TRI_YES) /* a row that leaves a finding without holding, as only-header-copy does */
		return t == TRI_NO;
	if (rows[i]->verdict == VERDICT_CONSISTENT || rows[i]->verdict == VERDICT_NO_STATE)
		return false;
	return rows[i]->verdict != VERDICT_STALE || j->verdict == VERDICT_STALE;
}

static int gather(struct judgement *j, struct answer *a, struct answer *o, size_t verdict_row)
{
	for (size_t i = 0; i < NROWS; i++)
		if (is_finding_too(j, i, verdict_row, a[i].t) && keep(j, &a[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < NOTHERS; i++)
		if (o[i].t == TRI_YES && (!str_starts(others[i]->row, "18") || j->verdict == VERDICT_STALE) &&
		    keep(j, &o[i]) < 0)
			return -ENOMEM;
	return 0;
}

static bool holds(const struct answer *a, const char *id)
{
	for (size_t i = 0; i < NROWS; i++)
		if (str_eq(rows[i]->id, id))
			return a[i].t == TRI_YES;
	return false;
}

static enum data_state judge_data(const struct vm *vm, const struct answer *a)
{
	static const char *const risky[] = {"decryption-stuck", "inplace-copy-interrupted", "decrypting",
					    "online-in-flight", "dd-interrupted",	    "vg-removed",
					    "only-header-copy", "lvm-marker-missing"};
	enum data_state worst = DATA_INTACT;

	if (holds(a, "os-header-lost"))
		return vm->root_volume && vm->root_volume->state == VS_OPENED ? DATA_AT_RISK : DATA_LOST;
	for (size_t i = 0; i < sizeof(risky) / sizeof(*risky); i++)
		if (holds(a, risky[i]))
			return DATA_AT_RISK;
	if (holds(a, "root-locked"))
		return DATA_LOCKED;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];
		cleanup_free char *why = NULL;

		if (!vol_is_mine(vm, i) || v->foreign_luks || !vol_relevant(v) || v->state == VS_OPENED)
			continue;
		if (v->state == VS_LOCKED)
			return DATA_LOCKED;
		if (vol_unencrypted(v, &why) != TRI_YES)
			worst = DATA_UNKNOWN;
	}
	for (size_t i = 0; i < 10 && i < NROWS; i++) /* whether something is under way must be known */
		if (a[i].t == TRI_UNKNOWN)
			worst = DATA_UNKNOWN;
	return vm->root ? worst : DATA_UNKNOWN;
}

static unsigned exit_code(enum verdict v)
{
	switch (v) {
	case VERDICT_NO_STATE:
	case VERDICT_CONSISTENT:
		return 0;
	case VERDICT_STALE:
		return 4;
	case VERDICT_UNFINISHED:
		return 5;
	case VERDICT_INCONSISTENT:
		return 6;
	case VERDICT_DANGEROUS:
		return 7;
	case VERDICT_NONE:
	case VERDICT_UNKNOWN:
		break;
	}
	return 8;
}

static int ask_denies(struct judgement *j, const struct deny *d)
{
	for (; d->id; d++) {
		cleanup_free char *why = NULL;
		cleanup_free char *text = NULL;
		bool said = false;

		if (d->denies(j->vm, &why) == TRI_NO)
			continue;
		text = why ? str_escape(why, strlen(why), false) : NULL;
		if (!text)
			return -ENOMEM;
		for (size_t i = 0; i < j->nrefused; i++)
			said |= str_eq(j->refused[i], text);
		if (!said && add_line(&j->refused, &j->nrefused, take_ptr(&text)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Stale is not enough: nothing that must never be deleted, and no safety rule, may speak against it. */
static int allow_clean(struct judgement *j, const struct deny *denies)
{
	bool never = false;

	if (j->verdict != VERDICT_STALE)
		return 0;
	if (ask_denies(j, denies) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < j->findings.n; i++)
		never |= j->findings.v[i].severity == SEV_NEVER_DELETE;
	if (never && !j->nrefused &&
	    add_line(&j->refused, &j->nrefused,
		     str_printf("a finding says that something there must never be deleted")) < 0)
		return -ENOMEM;
	j->clean_allowed = !j->nrefused && !never;
	return 0;
}

/* What is missing is the evidence of "undecided". */
static void explain_undecided(struct judgement *j, const struct rule *would)
{
	for (size_t i = 0; i < j->findings.n; i++) {
		struct finding *f = &j->findings.v[i];

		if (f->rule != &rule_undecided)
			continue;
		for (size_t k = 0; k < j->nunknown; k++)
			finding_say(f, "%s", j->unknown[k]);
		if (would)
			finding_say(f, "it would be %s, but that is said only where all of this is known",
				    would->id);
		else if (!j->nunknown)
			finding_say(
				f, "all was read, but it fits none of the states that ADE is known to leave");
	}
}

static int fill(struct judgement *j, struct answer *a, struct answer *o, const struct deny *denies)
{
	const struct rule *would;
	cleanup_free char *why = NULL;
	size_t row;

	for (size_t i = 0; i < NROWS; i++)
		if (ask(j->vm, rows[i], &a[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < NOTHERS; i++)
		if (ask(j->vm, others[i], &o[i]) < 0)
			return -ENOMEM;

	row = decide(a, &would);
	j->rule = rows[row];
	j->verdict = rows[row]->verdict;
	j->exit_code = exit_code(j->verdict);
	j->data = judge_data(j->vm, a);
	j->starts_by_itself = request_pending(j->vm, &why) != TRI_NO;
	if (say_unknown(j, a) < 0 || gather(j, a, o, row) < 0 || allow_clean(j, denies) < 0)
		return -ENOMEM;
	explain_undecided(j, would);
	return foresee(j) < 0 ? -ENOMEM : advise(j);
}

static void answers_done(struct answer *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		findings_done(&a[i].findings);
		free(a[i].why);
	}
}

int judge_with(const struct vm *vm, const struct deny *denies, struct judgement **ret, struct err *e)
{
	struct answer a[NROWS] = {0}, o[NOTHERS] = {0};
	struct judgement *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return err_oom(e);
	j->vm = vm;
	err = fill(j, a, o, denies);
	answers_done(a, NROWS);
	answers_done(o, NOTHERS);
	if (err < 0) {
		judgement_free(j);
		return err_oom(e);
	}
	*ret = j;
	return 0;
}

int judge(const struct vm *vm, struct judgement **ret, struct err *e)
{
	return judge_with(vm, deny_rules, ret, e);
}

static void lines_free(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

void judgement_free(struct judgement *j)
{
	if (!j)
		return;
	findings_done(&j->findings);
	lines_free(j->unknown, j->nunknown);
	lines_free(j->next, j->nnext);
	lines_free(j->stop, j->nstop);
	lines_free(j->refused, j->nrefused);
	free(j->boot.text);
	free(j->enable.text);
	free(j->disable.text);
	free(j->boot_after_clean.text);
	free(j);
}
