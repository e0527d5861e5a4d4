/* SPDX-License-Identifier: MIT */
/* The operator's word on an opaque volume, recorded beside the verdict that rests on it. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (!v->not_encrypted)
			continue;
		any = true;
		finding_say(finding_add(out, &rule_stated_not_encrypted, v->node, NULL, 0),
			    "you stated that %s is not encrypted by ADE; its bytes do not prove it",
			    vol_name(v));
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_stated_not_encrypted = {
	.id = "stated-not-encrypted",
	.row = "",
	.title = "The operator stated that a volume is not encrypted.",
	.why = "A volume without a signature whose bytes look random can be ADE's, or the owner's own "
	       "(another tool's encryption, a wiped disk). The option "
	       "--not-encrypted decides it by word, for this run.",
	.advice = "Be sure: if the volume was encrypted by ADE after all, what is set aside may be what "
		  "opens it. It is renamed, not deleted.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
