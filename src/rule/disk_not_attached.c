/* SPDX-License-Identifier: MIT */
/* A device that the failed system's own files name, and that no attached disk backs. Not the temporary disk.
 * With the operator's confirmation the entries are orphans instead. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	cleanup_free char *contradiction = disks_contradiction(vm);
	cleanup_free char *reason = NULL;
	struct finding *f;

	(void)why;
	if (!contradiction && disks_complete(vm, &reason) == TRI_YES)
		return TRI_NO;
	f = finding_add(out, &rule_disk_not_attached, NULL, NULL, 0);
	if (contradiction)
		finding_say(f, "%s", contradiction);
	for (size_t i = 0; i < vm->nmissing; i++)
		finding_say(f, "%s", vm->missing[i]);
	for (size_t i = 0; i < vm->nvar_missing; i++)
		finding_say(f, "/var lies on %s, which is not attached", vm->var_missing[i]);
	if (!contradiction && !vm->nmissing && !vm->nvar_missing)
		finding_say(f, "%s", or_dash(reason));
	return TRI_YES;
}

const struct rule rule_disk_not_attached = {
	.id = "disk-not-attached",
	.row = "",
	.title = "A disk that the failed system names is not attached.",
	.why = "crypttab, fstab, azure_crypt_mount or the last status name a volume that is on none of the "
	       "disks here. It may be encrypted, and the state "
	       "directory may hold what opens it; so nothing can be called stale while it is away.",
	.advice = "Attach the disk and look again. If the VM has no such disk any more, say so: "
		  "--all-disks-attached, or --data-disks with the number of "
		  "data disks at Azure (az vm show --query \"length(storageProfile.dataDisks)\").",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
