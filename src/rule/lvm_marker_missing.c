/* SPDX-License-Identifier: MIT */
/* Row 11: the OS is encrypted, its root lies on LVM, and the marker that keeps ADE from beginning anew is
 * missing. LVM is not read yet: with an LVM root this holds where everything needed was read all the same,
 * and otherwise cannot be told; it never "does not hold". Without LVM it does not hold: there ADE sees
 * osencrypt among the mounts. */
#include <string.h>

#include "rule/facts.h"
#include "rule/list.h"

static bool lvm_root(const struct vm *vm)
{
	const struct volume *v = vm->root_volume;

	return vm->root_lvm || (v && v->inner && strcmp(v->inner->fmt, "LVM2_member") == 0) ||
	       (v && v->node && strcmp(v->node->fmt, "LVM2_member") == 0);
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;

	if (!lvm_root(vm))
		return vm->root ? TRI_NO
				: cannot_tell(why, "the root file system was not read, it may lie on LVM");
	if (!vm->root || os_encrypted(vm, why) != TRI_YES ||
	    marker_there(vm, "PatchBootSystemState", why) != TRI_NO)
		return cannot_tell(why, "the root lies on LVM, which is not read yet");

	f = finding_add(out, &rule_lvm_marker_missing, vm->state.mount ? vm->state.mount->node : NULL,
			vm->state.path, 0);
	finding_say(f, "the OS is encrypted with its root on LVM, and "
		       "os_encryption_markers/PatchBootSystemState is not there");
	return TRI_YES;
}

const struct rule rule_lvm_marker_missing = {
	.id = "lvm-marker-missing",
	.row = "11",
	.title = "A marker is missing that keeps ADE from encrypting the encrypted OS volume again.",
	.why = "ADE asks the list of mounts whether the OS is encrypted already; with the root on LVM that "
	       "list never shows it. Only the empty "
	       "file os_encryption_markers/PatchBootSystemState then keeps it from starting over. Without "
	       "the marker, the next enable with a new "
	       "sequence number overwrites /boot/luks/osluksheader with zeroes (online distributions) or "
	       "removes the volume group (RHEL 7). "
	       "The machine runs well until then.",
	.advice = "Run no enable. Save the header now (aderescue save DIR). Create the empty marker file "
		  "again, PrereqState and "
		  "PatchBootSystemState, before anything else is done with ADE.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_DANGEROUS,
	.check = check,
};
