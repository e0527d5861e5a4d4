/* SPDX-License-Identifier: MIT */
/* Two crypttab entries glued into one line: ADE wrote the first without a newline at its end. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct tab_row *last = NULL;
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];

		if (!l->glued || (l->row && l->row == last))
			continue;
		any = true;
		last = l->row;
		finding_say(
			finding_add(out, &rule_crypttab_glued, vm->root, l->file, l->row ? l->row->line : 0),
			"two entries are glued into one line");
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_crypttab_glued = {
	.id = "crypttab-glued",
	.row = "",
	.title = "Two entries of crypttab are glued into one line.",
	.why = "ADE appends the OS entry without a newline at its end, and newer versions no longer begin "
	       "the next entry with one. The header path then ends in "
	       "the name of the next volume, and neither is found.",
	.advice = "Break the line in two by hand, after the header path.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
