/* SPDX-License-Identifier: MIT */
/* Row 10: the OS is encrypted, and a boot piece that was read disagrees. Pieces that were not read are the
 * finding boot-piece-unread and do not make this row impossible to tell. */
#include "rule/boot_pieces.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri os = os_encrypted(vm, why);
	cleanup_pieces struct pieces p = {0};
	bool first = true;

	if (os != TRI_YES)
		return os;
	boot_pieces_read(vm, &p);
	for (size_t i = 0; i < p.n; i++) {
		const struct piece *x = &p.v[i];
		struct finding *f;

		if (x->state != PIECE_DISAGREES)
			continue;
		f = finding_add(out, &rule_boot_pieces_missing, x->where, x->path, x->line);
		finding_say(f, "%s", or_dash(x->say));
		if (first)
			finding_say(f, "%u of %u boot pieces that could be read agree with the disk",
				    p.count[PIECE_AGREES], p.count[PIECE_AGREES] + p.count[PIECE_DISAGREES]);
		first = false;
	}
	if (p.oom)
		return TRI_UNKNOWN;
	return p.count[PIECE_DISAGREES] ? TRI_YES : TRI_NO;
}

const struct rule rule_boot_pieces_missing = {
	.id = "boot-pieces-missing",
	.row = "10",
	.title = "The OS volume is encrypted, and pieces it boots with are missing or disagree.",
	.why = "An encrypted OS boots through a line in crypttab, the header file, kernel arguments and an "
	       "initramfs that knows ADE. An update of "
	       "the kernel or of the boot loader, a restored /boot, a cloned disk with new PARTUUIDs, or an "
	       "encryption that was cut off in its "
	       "last step leaves them out of step. The data are fine; the machine ends in an emergency "
	       "shell.",
	.advice = "Unlock the disk here, repair the named pieces in a chroot (crypttab, grub, initramfs), "
		  "keep the state directory as it is.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_INCONSISTENT,
	.check = check,
};
