/* SPDX-License-Identifier: MIT */
/* The state directory is a symbolic link, or no directory: it is read where that is possible, and never
 * renamed. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;

	(void)why;
	if (!vm->state.is_link && !vm->state.not_dir)
		return TRI_NO;
	f = finding_in_state(out, &rule_state_dir_is_link, vm, NULL);
	if (vm->state.is_link)
		finding_say(f, "it is a symbolic link%s%s",
			    vm->state.link_leaves ? " that leaves its file system or leads nowhere" : ", to ",
			    vm->state.link_leaves ? "" : or_dash(vm->state.real_path));
	else
		finding_say(f, "it is not a directory");
	return TRI_YES;
}

const struct rule rule_state_dir_is_link = {
	.id = "state-dir-is-link",
	.row = "",
	.title = "The state directory is not a plain directory.",
	.why = "ADE makes a directory. Somebody moved it and left a link, or put something else in its "
	       "place. Renaming a link sets nothing aside, so that "
	       "clean refuses.",
	.advice = "Find out where the link leads and who made it; replace it by the directory itself on the "
		  "running machine.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
