/* SPDX-License-Identifier: MIT */
/* A partition table of this machine's disks is damaged or has only one good copy. */
#include <string.h>

#include "rule/facts.h"
#include "rule/list.h"

static bool of_machine(const struct vm *vm, const struct node *n)
{
	for (size_t i = 0; i < vm->ndisks; i++)
		if (vm->disks[i] == n->disk)
			return true;
	return false;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; vm->graph && i < vm->graph->n; i++) {
		const struct node *n = vm->graph->nodes[i];

		if (strcmp(n->fmt, "gpt") != 0 || !of_machine(vm, n) ||
		    (n->state != NODE_DAMAGED && !n->why.msg[0]))
			continue;
		any = true;
		finding_say(finding_add(out, &rule_gpt_damaged, n, NULL, 0), "%s",
			    n->why.msg[0] ? n->why.msg : "the partition table is damaged");
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_gpt_damaged = {
	.id = "gpt-damaged",
	.row = "",
	.title = "A copy of the partition table is damaged or missing.",
	.why = "GPT keeps two copies, at both ends of the disk. A disk that was enlarged or copied short has "
	       "its second copy in the wrong place; a bad "
	       "checksum means that something wrote over one.",
	.advice = "Compare the two copies before anything is repaired: sgdisk --verify only reads. Repair on "
		  "a copy, or after a snapshot.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
