/* SPDX-License-Identifier: MIT */
/* Files of builds before 0.1.0.98, in /etc and in /: read, never changed. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;

	if (vm->old_places != HAVE_YES)
		return vm->old_places == HAVE_NO
			       ? TRI_NO
			       : cannot_tell(why, "the places of very old versions could not be looked at");
	f = finding_add(out, &rule_state_in_old_place, vm->root, NULL, 0);
	for (size_t i = 0; i < vm->nold_paths && i < 20; i++)
		finding_say(f, "%s is there", vm->old_paths[i]);
	return TRI_YES;
}

const struct rule rule_state_in_old_place = {
	.id = "state-in-old-place",
	.row = "",
	.title = "Files of a very old version of ADE lie outside the state directory.",
	.why = "Builds before 0.1.0.98 kept their files in /etc and the headers of data disks in the root "
	       "directory. No later version reads them, but a header "
	       "among them can be the only one of its disk.",
	.advice = "Leave them. Save any header among them (aderescue save DIR).",
	.clean = NULL,
	.severity = SEV_NOTE,
	.check = check,
};
