/* SPDX-License-Identifier: MIT */
/* What could not be read, and why. */
#include "rule/facts.h"
#include "rule/list.h"

enum { MAX_SAID = 20 };

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	(void)why;
	for (size_t i = 0; i < vm->ngaps && i < MAX_SAID; i++) {
		const struct gap *g = &vm->gaps[i];

		finding_say(finding_add(out, &rule_unread, g->node, g->path && *g->path ? g->path : NULL, 0),
			    "%s", or_dash(g->why));
	}
	return vm->ngaps ? TRI_YES : TRI_NO;
}

const struct rule rule_unread = {
	.id = "unread",
	.row = "",
	.title = "Something could not be read.",
	.why = "A read error, damage, a limit of this program, or something else than a regular file in the "
	       "place of one. A verdict that needs it is not given.",
	.advice = "See the reason beside it. Where the disk has read errors, copy it first and work on the "
		  "copy.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
