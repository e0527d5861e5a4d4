/* SPDX-License-Identifier: MIT */
/* A LUKS volume that is not ADE's: a note, nothing else. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (!v->foreign_luks || !vol_is_mine(vm, i))
			continue;
		any = true;
		finding_say(finding_add(out, &rule_foreign_luks, v->node, NULL, 0),
			    "%s is a LUKS volume that ADE did not make", vol_name(v));
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_foreign_luks = {
	.id = "foreign-luks",
	.row = "",
	.title = "A LUKS volume is not ADE's own.",
	.why = "The failed system's crypttab gives it another key file and another name than ADE would, or "
	       "the machine bears no trace of ADE.",
	.advice = "Nothing follows from it for ADE. Open it with its owner's key.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.check = check,
};
