/* SPDX-License-Identifier: MIT */
/* The boot pieces of an encrypted OS on a root that is plain: it will not boot. */
#include "rule/facts.h"
#include "rule/list.h"

/* The default kernel's initramfs, where it is ADE's too: it waits for the BEK VOLUME. */
static void say_image(const struct vm *vm, struct finding *f)
{
	const struct boot_pieces *b = &vm->bootf.pieces;
	const struct initramfs *in = b->has_default ? &b->images[0].in : NULL;
	const char *what = !in		     ? NULL
			   : in->boot_script ? "crypt-ade-boot"
			   : in->key_script  ? "azure_crypt_key.sh"
			   : in->ade_online  ? "the dracut module 91adeOnline"
			   : in->ade	     ? "the dracut module 91ade"
					     : NULL;

	if (what)
		finding_say(f, "%s, which boots by default, has %s in it", b->images[0].path, what);
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;
	enum tri t = tri_and(vm->boot_patched ? TRI_YES : TRI_NO, root_looks_plain(vm, why));

	if (t == TRI_NO)
		return t;
	t = tri_and(t, tri_not(any_online(vm, why)));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_boot_patched_plain_root, vm->bootf.on_root ? vm->root : vm->boot, NULL, 0);
	finding_say(f, "%s",
		    vm->boot_patch_evidence ? vm->boot_patch_evidence
					    : "the boot configuration names /dev/mapper/osencrypt");
	say_image(vm, f);
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
