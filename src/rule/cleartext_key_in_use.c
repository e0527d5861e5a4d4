/* SPDX-License-Identifier: MIT */
/* A cleartext_key* that opens a header: the working key of a disk whose decryption has not ended. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri t = TRI_NO;

	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *s = &vm->state.v[i];

		if (s->kind != SK_CLEARTEXT_KEY)
			continue;
		if (s->unreadable)
			t = tri_or(t, cannot_tell(why, "%s could not be read", s->name));
		if (!s->opens)
			continue;
		t = TRI_YES;
		finding_say(finding_in_state(out, &rule_cleartext_key_in_use, vm, s->name),
			    "it opens a LUKS header that is attached");
	}
	return t;
}

const struct rule rule_cleartext_key_in_use = {
	.id = "cleartext-key-in-use",
	.row = "",
	.title = "A cleartext key in the state directory opens a volume.",
	.why = "Disable adds a random key to each disk and keeps it in the state directory until the disk is "
	       "decrypted. By then the passphrase on the BEK "
	       "VOLUME is overwritten and Azure's settings are cleared: this file may be the only key.",
	.advice = "Save it first (aderescue save DIR). Never delete the state directory of this machine.",
	.clean = NULL,
	.severity = SEV_NEVER_DELETE,
	.check = check,
};
