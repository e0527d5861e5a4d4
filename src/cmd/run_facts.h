/* SPDX-License-Identifier: MIT */
/* What an undo file says of its run in words: written by clean, read back by undo and resume. */
#ifndef CMD_RUN_FACTS_H
#define CMD_RUN_FACTS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include "base/err.h"

struct run_facts {
	char *run, *plan_id, *machine;              /* machine NULL: no name */
	struct json_object *facts;                  /* the JSON of the undo file; owned */
	const char *verdict_before, *rule_before, *verdict_after, *rule_after, *data;  /* borrowed from facts; NULL: not there */
};
/* -EBADMSG: not an undo file, or damaged. */
int run_facts_read(const char *path, struct run_facts *ret, struct err *e);
void run_facts_done(struct run_facts *);
const char *run_facts_name(const struct run_facts *);
/* The commands that take the run back by hand in the booted VM. */
void run_facts_by_hand(const struct run_facts *, FILE *);
/* undo and resume as JSON; refused where code is not 0. */
int run_facts_print(const struct run_facts *, const char *path, int code, const char *why, bool resume);
int exit_of(int code);

#endif
