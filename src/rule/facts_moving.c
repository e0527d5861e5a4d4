/* SPDX-License-Identifier: MIT */
/* A file system of the failed machine is mounted read-write on this very system: its facts may change while
 * they are read. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->tree.n; i++) {
		const struct node *n = vm->tree.v[i].node;

		if (!n || !n->moving)
			continue;
		any = true;
		finding_say(finding_add(out, &rule_facts_moving, n, vm->tree.v[i].at, 0),
			    "it is mounted read-write on this system");
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_facts_moving = {
	.id = "facts-moving",
	.row = "",
	.title = "A file system of the failed machine is in use on this system.",
	.why = "Rescue systems of the same image mount a disk by an equal UUID, often its /boot. What is "
	       "read then may be half written.",
	.advice = "Unmount it here and look again, before dnf, dracut, clean or detach.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
