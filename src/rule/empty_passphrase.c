/* SPDX-License-Identifier: MIT */
/* A volume that the empty passphrase opens: encrypted in name only. */
#include "rule/facts.h"
#include "rule/list.h"
#include "vm/keys.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (!v->header || !v->header->by || v->header->by->origin != KEY_EMPTY)
			continue;
		any = true;
		finding_say(finding_add(out, &rule_empty_passphrase, v->node, NULL, 0),
			    "THE EMPTY PASSPHRASE OPENS %s: anybody can read it", vol_name(v));
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_empty_passphrase = {
	.id = "empty-passphrase",
	.row = "",
	.title = "A volume is encrypted with the empty passphrase.",
	.why = "A defect on Python 3 can leave the key file with 0 bytes when the passphrase was given in "
	       "the request. cryptsetup takes an empty key file, so "
	       "the volume was encrypted with no secret at all.",
	.advice = "Treat the data as not encrypted. Save what is needed, and have the key rotated once the "
		  "machine runs.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.check = check,
};
