/* SPDX-License-Identifier: MIT */
/* Row 21: no other row may be given. judge.c reaches it only then, and adds what could not be told as
 * evidence. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	(void)why;
	finding_add(out, &rule_undecided, vm->root, NULL, 0);
	return TRI_YES;
}

const struct rule rule_undecided = {
	.id = "undecided",
	.row = "21",
	.title = "What could be read does not decide what this machine is.",
	.why = "A file, a volume or a disk that the decision needs could not be read, is locked or is not "
	       "attached, or what was read fits none of the "
	       "states that ADE is known to leave. Calling such a machine clean or stale could cost data, so "
	       "it is not done.",
	.advice = "See what is named as missing or unreadable: attach all disks of the VM and its key, "
		  "confirm them with --all-disks-attached or "
		  "--data-disks, and look again. Nothing is cleaned meanwhile.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.verdict = VERDICT_UNKNOWN,
	.check = check,
};
