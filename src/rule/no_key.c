/* SPDX-License-Identifier: MIT */
/* Beside a locked volume: no key was found at all. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	if (have_key(vm))
		return TRI_NO;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];
		struct finding *f;

		if (!vol_is_mine(vm, i) || v->foreign_luks || !is_locked(v) || v->role == VOL_TEMP ||
		    v->not_encrypted)
			continue;
		any = true;
		f = finding_add(out, &rule_no_key, v->node, NULL, 0);
		finding_say(f, "%s is locked, and no key was found to try on it", vol_name(v));
		finding_say(f, "%s",
			    vm->nbeks ? "a BEK VOLUME is attached, without a key on it"
				      : "no BEK VOLUME is attached, and no key file was given");
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_no_key = {
	.id = "no-key",
	.row = "",
	.title = "A volume is locked, and there is no key to try.",
	.why = "Azure attaches the BEK VOLUME with the key when a VM is created with the disk, or started "
	       "from deallocated, and only if the disk still "
	       "carries its encryption settings and Key Vault lets Azure read the secret. A disk that was "
	       "attached to a running VM comes without.",
	.advice = "Deallocate and start this rescue VM with the disk attached; or read the secret from Key "
		  "Vault and give it with -k.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.check = check,
};
