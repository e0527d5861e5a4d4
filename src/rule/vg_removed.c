/* SPDX-License-Identifier: MIT */
/* Row 7b: the root is a physical volume whose volume group was removed. The text of LVM's metadata ring is
 * not read yet, so with an LVM root this cannot be told; without one it does not hold. */
#include <string.h>

#include "rule/facts.h"
#include "rule/list.h"

static bool is_pv(const struct node *n)
{
	return n && strcmp(n->fmt, "LVM2_member") == 0;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct volume *v = vm->root_volume;

	(void)out;
	if (vm->root_lvm || (v && (is_pv(v->inner) || is_pv(v->node))))
		return cannot_tell(why, "the root lies on LVM, whose metadata is not read yet");
	if (!vm->root)
		return cannot_tell(why, "the root file system was not read, it may lie on LVM");
	return TRI_NO;
}

const struct rule rule_vg_removed = {
	.id = "vg-removed",
	.row = "7b",
	.title = "The volume group of the root was removed and not restored.",
	.why = "On RHEL and CentOS 7 with LVM, ADE removes the volume group rootvg before it encrypts the "
	       "partition, and restores it afterwards "
	       "from a copy in memory. When the machine goes down in between, the physical volume names no "
	       "volume group; the data are intact, and "
	       "older texts of the metadata are still in the ring at the start of the physical volume.",
	.advice = "Do not create a volume group, a file system or a partition here. The text to restore is "
		  "the newest one in the ring from before "
		  "the run of removals; the last text with the group's name has no volumes any more. Work on "
		  "a copy of the disk.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_DANGEROUS,
	.check = check,
};
