/* SPDX-License-Identifier: MIT */
/* A confidential VM keeps its passphrases in the state directory; there is no BEK VOLUME. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *s = &vm->state.v[i];

		if (s->kind != SK_PASSPHRASE || (!s->size && !s->unreadable))
			continue;
		any = true;
		finding_say(finding_in_state(out, &rule_cvm_key_in_dir, vm, s->name),
			    "a passphrase of %ju bytes%s", (uintmax_t)s->size,
			    s->opens ? "; it opens a volume that is attached" : "");
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_cvm_key_in_dir = {
	.id = "cvm-key-in-dir",
	.row = "",
	.title = "The passphrase of this confidential VM lies in its state directory.",
	.why = "Confidential VMs get no BEK VOLUME. ADE keeps their passphrase as a file in the state "
	       "directory; the only other copy is wrapped inside "
	       "the LUKS header of each data disk and can be unwrapped by the VM alone.",
	.advice = "Save it first (aderescue save DIR). Never delete the state directory of this machine.",
	.clean = NULL,
	.severity = SEV_NEVER_DELETE,
	.check = check,
};
