/* SPDX-License-Identifier: MIT */
/* fstab lines that name kernel devices: on Azure the letters change from boot to boot. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	if (vm->fstab_file.have == HAVE_UNKNOWN)
		return cannot_tell(why, "/etc/fstab could not be read");
	for (size_t i = 0; i < vm->fstab.n; i++) {
		const struct tab_row *r = &vm->fstab.v[i];

		if (!str_starts(tab_f(r, 0), "/dev/sd"))
			continue;
		any = true;
		finding_say(finding_add(out, &rule_fstab_device_names, vm->root, "/etc/fstab", r->line),
			    "%s is mounted by its kernel name %s", tab_f(r, 1), tab_f(r, 0));
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_fstab_device_names = {
	.id = "fstab-device-names",
	.row = "",
	.title = "fstab mounts a disk by its kernel name.",
	.why = "The letters of disks change from boot to boot on Azure, more so when the BEK VOLUME comes "
	       "and goes. The wrong disk may be mounted, or none.",
	.advice = "Name the file system by UUID or label, with nofail for data disks.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.check = check,
};
