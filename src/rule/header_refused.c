/* SPDX-License-Identifier: MIT */
/* A LUKS header on which no key is tried: absurd costs, an unknown requirement or cipher, or memory that this
 * machine lacks. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (!vol_is_mine(vm, i) || !v->header || !v->header->info.refused.msg[0])
			continue;
		any = true;
		finding_say(finding_add(out, &rule_header_refused, v->node, v->header->path, 0), "%s",
			    v->header->info.refused.msg);
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_header_refused = {
	.id = "header-refused",
	.row = "",
	.title = "No key is tried on a LUKS header, because of what it asks for.",
	.why = "A header can ask for more memory or time than any real one does, for a cipher that ADE never "
	       "uses, or for features that this program does not "
	       "know. Such a header may be damaged or made to do harm.",
	.advice = "Open the volume with cryptsetup on a copy if you trust the header, or on a machine with "
		  "more memory if that is what it lacks.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
