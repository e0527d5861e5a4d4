/* SPDX-License-Identifier: MIT */
/* The boot pieces of an encrypted OS on a root that is plain: it will not boot. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri t = tri_and(vm->boot_patched ? TRI_YES : TRI_NO, root_looks_plain(vm, why));

	if (t == TRI_NO)
		return t;
	t = tri_and(t, tri_not(any_online(vm, why)));
	if (t == TRI_YES)
		finding_say(finding_add(out, &rule_boot_patched_plain_root,
					vm->bootf.on_root ? vm->root : vm->boot, NULL, 0),
			    "%s",
			    vm->boot_patch_evidence ? vm->boot_patch_evidence
						    : "the boot configuration names /dev/mapper/osencrypt");
	return t;
}

const struct rule rule_boot_patched_plain_root = {
	.id = "boot-patched-plain-root",
	.row = "",
	.title = "The boot configuration expects an encrypted OS volume, but the root is plaintext.",
	.why = "An encryption of the OS disk changed the kernel arguments, the initramfs or lvm.conf and did "
	       "not encrypt, or the root was restored from before. "
	       "Nothing maps osencrypt, so that the boot ends in an emergency shell.",
	.advice =
		"In a chroot: take root=/dev/mapper/osencrypt and the rd.luks.ade arguments out of "
		"/etc/default/grub and the boot entries, remove the filter "
		"from lvm.conf and ADE's initramfs hooks, make grub's configuration and the initramfs anew.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.check = check,
};
