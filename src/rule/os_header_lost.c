/* SPDX-License-Identifier: MIT */
/* Row 2: the root is ciphertext, /boot was read whole, and no usable header is there. Also where a copy from
 * elsewhere opens the root: the machine cannot boot with it. A /boot that could not be read is no proof, it
 * is row 1. */
#include "rule/facts.h"
#include "rule/list.h"

/* Whatever pairs a header with the root (locked, opened, nothing): by its bytes. An attached header is no
 * lost one. */
static enum tri raw_is_ciphertext(const struct volume *v, char **why)
{
	if (v->header && !v->header->detached)
		return TRI_NO;
	switch (v->state) {
	case VS_OPENED:
		return TRI_YES;
	case VS_LOCKED:
	case VS_OPAQUE:
	case VS_UNKNOWN:
		break;
	case VS_PLAIN_FS:
	case VS_BLANK:
	case VS_OTHER:
		return TRI_NO;
	}
	if (v->opaque == TRI_UNKNOWN)
		return cannot_tell(why, "whether the root volume %s is ciphertext could not be told",
				   vol_name(v));
	return v->opaque;
}

static void say_what_is_there(const struct vm *vm, struct finding *f)
{
	const char *path = vm->bootf.osheader.path;

	if (!path)
		finding_say(f, "there is no luks/osluksheader on the boot file system, which was read whole");
	else if (vm->bootf.osheader.zero_filled)
		finding_say(f, "%s is there and holds nothing but zeroes (%ju bytes)", path,
			    (uintmax_t)vm->bootf.osheader.size);
	else if (vm->bootf.header && !vm->bootf.header->info.broken)
		finding_say(f, "%s is a LUKS header without any key slot", path);
	else
		finding_say(f, "%s is there, but is no LUKS header that can be read", path);
	if (vm->root_volume->state == VS_OPENED)
		finding_say(f, "a copy of the header found elsewhere (%s) opens the root",
			    or_dash(vm->root_volume->header->path));
	else
		finding_say(f, "no other header that was found opens %s", vol_name(vm->root_volume));
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct volume *v = vm->root_volume;
	cleanup_free char *boot_why = NULL;
	struct finding *f;
	enum tri raw;

	if (!v || v->foreign_luks)
		return v ? TRI_NO : cannot_tell(why, "the volume of the root file system was not found");
	raw = raw_is_ciphertext(v, why);
	if (raw != TRI_YES || header_usable(vm->bootf.header))
		return raw == TRI_YES ? TRI_NO : raw;
	if (!boot_believed(vm, &boot_why))
		return v->state == VS_OPENED
			       ? cannot_tell(why, "%s", boot_why ? boot_why : "/boot could not be read")
			       : TRI_NO;

	f = finding_add(out, &rule_os_header_lost, v->node, NULL, 0);
	finding_say(f, "%s has no signature and is ciphertext", vol_name(v));
	say_what_is_there(vm, f);
	return TRI_YES;
}

const struct rule rule_os_header_lost = {
	.id = "os-header-lost",
	.row = "2",
	.title = "The OS volume is encrypted and its LUKS header is missing or unusable.",
	.why = "ADE keeps the LUKS header of the OS volume as a file, /boot/luks/osluksheader, on the "
	       "unencrypted boot file system. The "
	       "encrypted partition itself holds no header. The file is gone, full of zeroes or damaged: "
	       "/boot/luks was deleted, /boot was made "
	       "anew, or the extension ran its PatchBootSystem step again and overwrote the file with zeroes "
	       "before it failed.",
	.advice = "Do not run enable again and write nothing to the disk. Look for a copy of the header: "
		  "inside older initramfs images (Ubuntu "
		  "and RHEL 7 embed it), in snapshots and backups of the OS disk, in copies saved earlier. "
		  "Give each to aderescue with --header. "
		  "The passphrase alone does not help: the volume key is in the header.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_DANGEROUS,
	.check = check,
};
