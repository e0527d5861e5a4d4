/* SPDX-License-Identifier: MIT */
/* Row 15: something is encrypted, and azure_crypt_config.ini is not there, or does not name a volume type. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri missing(const struct vm *vm, char **why)
{
	enum tri there = config_there(vm, why);

	if (there != TRI_YES)
		return tri_not(there);
	return config_volume_type(vm) ? TRI_NO : TRI_YES;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;
	enum tri t = tri_and(any_encrypted(vm, why), missing(vm, why));

	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_config_missing, vm->state.mount ? vm->state.mount->node : NULL,
			vm->state.path, 0);
	if (vm->state.have != HAVE_YES)
		finding_say(f, "volumes are encrypted, and there is no state directory");
	else if (vm->state.config.have != HAVE_YES)
		finding_say(f, "volumes are encrypted, and azure_crypt_config.ini is not there");
	else
		finding_say(f, "volumes are encrypted, and azure_crypt_config.ini names no volume type");
	return TRI_YES;
}

const struct rule rule_config_missing = {
	.id = "config-missing",
	.row = "15",
	.title = "Volumes are encrypted, and ADE's configuration is missing or empty.",
	.why = "azure_crypt_config.ini says which volume type was asked for and which key file belongs to "
	       "it. It was deleted or moved by hand, or "
	       "a write was cut off. Booting does not need it. Without it ADE no longer refuses a wrong "
	       "volume type, and Disable does not find "
	       "the key's name.",
	.advice = "Restore the file (volumetype, bekfilename = LinuxPassPhraseFileName, secretseqnum) from a "
		  "backup or from a directory set aside "
		  "earlier, or leave it and run no enable or disable.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.verdict = VERDICT_INCONSISTENT,
	.check = check,
};
