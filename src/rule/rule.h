/* SPDX-License-Identifier: MIT */
/* Rules judge a struct vm and nothing else: no I/O, no printing. A row holds, does not hold, or cannot be told. */
#ifndef RULE_RULE_H
#define RULE_RULE_H

#include "base/str.h"
#include "repair/plan.h"
#include "vm/vm.h"

enum verdict { VERDICT_NONE, VERDICT_NO_STATE, VERDICT_CONSISTENT, VERDICT_STALE, VERDICT_UNFINISHED, VERDICT_INCONSISTENT,
	       VERDICT_DANGEROUS, VERDICT_UNKNOWN };
enum severity { SEV_NOTE, SEV_WARNING, SEV_ERROR, SEV_NEVER_DELETE };
enum data_state { DATA_INTACT, DATA_LOCKED, DATA_AT_RISK, DATA_LOST, DATA_UNKNOWN };

struct rule;
struct deny;
struct finding {
	const struct rule *rule;
	enum severity severity;         /* the rule's, unless the finding has its own */
	const struct node *where;       /* borrowed; NULL: the machine */
	char *path; unsigned line;      /* NULL, 0: none */
	char **evidence; size_t nevidence;  /* sentences; raw bytes of disks already escaped */
	char *remedy;                   /* NULL: the rule's advice */
};
struct findings { struct finding *v; size_t n; };

struct rule {
	const char *id;        /* "stale-orphan-entries": stable for ever; JSON, docs and tests name it */
	const char *row;       /* "18i", "" where it is no row of the contract */
	const char *title;     /* one sentence, no values in it */
	const char *why;       /* how this comes about on Azure */
	const char *advice;    /* what a person does */
	const char *clean;     /* what clean or fix does about it; NULL: nothing */
	enum severity severity;
	enum verdict verdict;  /* VERDICT_NONE: a finding only */
	/* Holds, does not, or cannot be told. Adds its findings to out where it holds; where it cannot be told, *unknown_why (malloc'd) says
	 * what is missing. <0 never: out of memory is TRI_UNKNOWN with *unknown_why NULL. */
	enum tri (*check)(const struct vm *, struct findings *out, char **unknown_why);
	/* Add edits to the plan, or NULL. */
	int (*fix)(const struct vm *, const struct finding *, struct plan *, struct err *e);
};
/* A finding of this rule appended to out; where, path may be NULL. Then evidence by finding_say. NULL: out of memory. */
struct finding *finding_add(struct findings *out, const struct rule *, const struct node *where, const char *path, unsigned line);
/* printf, one sentence; values of disks must be escaped by the caller (str_escape). */
void finding_say(struct finding *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void findings_done(struct findings *);

/* What follows. outcome as in the contract. */
enum outcome { OUT_NOTHING, OUT_WORKS, OUT_FAILS, OUT_STARTS_ENCRYPTION, OUT_DESTROYS, OUT_UNKNOWN };
struct future { enum outcome outcome; char *text; };
struct judgement {
	const struct vm *vm;
	enum verdict verdict;
	const struct rule *rule;        /* the row that gave it */
	enum data_state data;
	struct findings findings;       /* of all rules that hold, rows first in their order */
	char **unknown; size_t nunknown;/* sentences: rows that could not be told and why */
	struct future boot, enable, disable, boot_after_clean;
	char **next; size_t nnext;      /* commands */
	char **stop; size_t nstop;      /* what must not be done */
	bool starts_by_itself;          /* after the clean, the next boot runs the pending settings */
	bool clean_allowed;             /* stale, and no never-delete finding */
	char **refused; size_t nrefused;/* why clean is refused though the verdict is stale */
	unsigned exit_code;             /* of this machine, as in the contract */
};
int judge(const struct vm *, struct judgement **ret, struct err *e);
/* The same with other safety rules than deny_rules: for tests, which take one out. */
int judge_with(const struct vm *, const struct deny *, struct judgement **ret, struct err *e);
void judgement_free(struct judgement *);

/* The safety rules of a clean. Each says whether it forbids setting the state aside; where it cannot be told, it forbids too. *why
 * (malloc'd) is the sentence for both. They do not ask what the verdict was: each stands for itself. A table ends with id NULL. */
struct deny { const char *id; enum tri (*denies)(const struct vm *, char **why); };
extern const struct deny deny_rules[];

/* Fill the plan with the edits of a clean. goal: 0, 'e' enable, 'n' no-start. -EPERM: refused, e has the first reason (all are in
 * judgement->refused); -ENOMEM. A goal that is missing is no refusal here: the plan may be shown without one. */
int clean_plan(const struct judgement *, char goal, struct plan *, struct err *e);

extern const struct rule *const rules[];   /* rows in the order they are asked, then findings; NULL at the end */
const struct rule *rule_find(const char *id);
const char *verdict_name(enum verdict);    /* "no-state", ... */
const char *verdict_headline(enum verdict, const struct rule *);  /* fixed words of the contract */
const char *severity_name(enum severity);
const char *data_name(enum data_state);
const char *outcome_name(enum outcome);

#endif
