/* SPDX-License-Identifier: MIT */
/* Boot pieces of an encrypted OS that could not be read, or that this program does not look at. */
#include "rule/boot_pieces.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	(void)why;
	if (!boot_pieces_apply(vm))
		return TRI_NO;
	boot_pieces_unread(vm, finding_add(out, &rule_boot_piece_unread, vm->boot, NULL, 0));
	return TRI_YES;
}

const struct rule rule_boot_piece_unread = {
	.id = "boot-piece-unread",
	.row = "",
	.title = "Some pieces that the encrypted OS boots with were not looked at.",
	.why = "Not every piece is read, and some could not be. The verdict says nothing about these.",
	.advice = "If the machine does not boot, look at these by hand in a chroot.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.check = check,
};
