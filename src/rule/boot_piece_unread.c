/* SPDX-License-Identifier: MIT */
/* Boot pieces of an encrypted OS that could not be read. */
#include "rule/boot_pieces.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	cleanup_pieces struct pieces p = {0};
	struct finding *f;

	(void)why;
	boot_pieces_read(vm, &p);
	if (!p.count[PIECE_UNREAD])
		return TRI_NO;
	f = finding_add(out, &rule_boot_piece_unread, vm->bootf.on_root ? vm->root : vm->boot, NULL, 0);
	for (size_t i = 0; i < p.n; i++)
		if (p.v[i].state == PIECE_UNREAD)
			finding_say(f, "%s", or_dash(p.v[i].say));
	return TRI_YES;
}

const struct rule rule_boot_piece_unread = {
	.id = "boot-piece-unread",
	.row = "",
	.title = "Some pieces that the encrypted OS boots with could not be read.",
	.why = "An initramfs can be damaged, packed in a way that is not read here, or too large; a boot "
	       "entry can hold variables that nothing resolves. The verdict says nothing about these.",
	.advice = "If the machine does not boot, look at these by hand in a chroot.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.check = check,
};
