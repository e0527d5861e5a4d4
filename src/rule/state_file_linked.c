/* SPDX-License-Identifier: MIT */
/* Regular files of the state directory with more than one name. Renaming the directory does not touch the
 * other names. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *s = &vm->state.v[i];

		if (s->type != FS_FILE || s->nlink < 2)
			continue;
		any = true;
		finding_say(finding_in_state(out, &rule_state_file_linked, vm, s->name), "it has %u names",
			    s->nlink);
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_state_file_linked = {
	.id = "state-file-linked",
	.row = "",
	.title = "A file of the state directory has another name elsewhere.",
	.why = "ADE makes no hard links. A backup program or a person did.",
	.advice = "Setting the directory aside does not change the other name. Look for it if it matters.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
