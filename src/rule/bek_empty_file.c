/* SPDX-License-Identifier: MIT */
/* A key file of 0 bytes on a BEK VOLUME where nothing is encrypted (where something is, it is row 12). */
#include "rule/facts.h"
#include "rule/list.h"
#include "vm/keys.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	cleanup_free char *unused = NULL;
	bool any = false;

	(void)why;
	if (any_encrypted(vm, &unused) == TRI_YES || (vm->root_volume && is_locked(vm->root_volume)))
		return TRI_NO;
	for (size_t i = 0; i < vm->nbeks; i++)
		for (size_t k = 0; k < vm->beks[i]->nfiles; k++) {
			const struct bek_file *b = &vm->beks[i]->files[k];

			if (!b->passphrase || b->size || b->why.msg[0])
				continue;
			any = true;
			finding_say(finding_add(out, &rule_bek_empty_file, vm->beks[i]->node, b->name, 0),
				    "%s has 0 bytes", b->name);
		}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_bek_empty_file = {
	.id = "bek-empty-file",
	.row = "",
	.title = "A key file on a BEK VOLUME is empty, and nothing that is attached needs it.",
	.why = "Disable overwrites the key files with 0 bytes before it deletes them; a failed rotation of "
	       "some versions leaves one empty as well.",
	.advice = "Nothing has to be done for the disks that are attached. If a data disk is missing here, "
		  "attach it and look again.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.check = check,
};
