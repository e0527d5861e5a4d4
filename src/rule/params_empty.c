/* SPDX-License-Identifier: MIT */
/* An empty params file on an encrypted machine: any new request becomes a key rotation. (On a plain machine
 * it is 18a.) */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri t = tri_and(params_there(vm, why), vm->state.params.ini.empty ? TRI_YES : TRI_NO);

	if (t != TRI_YES)
		return t;
	t = any_encrypted(vm, why);
	if (t == TRI_YES)
		finding_say(finding_in_state(out, &rule_params_empty, vm, "azure_crypt_params.ini"),
			    "it has no content");
	return t;
}

const struct rule rule_params_empty = {
	.id = "params-empty",
	.row = "",
	.title = "ADE's parameters are empty on an encrypted machine.",
	.why = "A support script leaves an empty azure_crypt_params.ini, and a write that was cut off does "
	       "too. It differs from any request, so that the next "
	       "one with a new sequence number becomes a key rotation.",
	.advice = "Nothing has to be done for booting. Expect the next enable to rotate the key; take a "
		  "snapshot first.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
