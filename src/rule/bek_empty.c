/* SPDX-License-Identifier: MIT */
/* Row 12: something is encrypted, also a locked root, and a key file on a BEK VOLUME has 0 bytes. */
#include "rule/facts.h"
#include "rule/list.h"
#include "vm/keys.h"

static enum tri needs_key(const struct vm *vm, char **why)
{
	if (vm->root_volume && !vm->root_volume->foreign_luks && is_locked(vm->root_volume))
		return TRI_YES;
	return any_encrypted(vm, why);
}

static unsigned say_empty(const struct vm *vm, struct findings *out, enum tri *unread, char **why)
{
	unsigned n = 0;

	for (size_t i = 0; i < vm->nbeks; i++) {
		const struct bek_volume *b = vm->beks[i];

		if (b->why.msg[0] && !b->nfiles)
			*unread = cannot_tell(why, "the BEK VOLUME on %s could not be read: %s",
					      b->node ? b->node->name : "-", b->why.msg);
		for (size_t k = 0; k < b->nfiles; k++) {
			if (!b->files[k].passphrase || b->files[k].size || b->files[k].why.msg[0])
				continue;
			n++;
			if (out)
				finding_say(finding_add(out, &rule_bek_empty, b->node, b->files[k].name, 0),
					    "%s on the BEK VOLUME has 0 bytes%s", b->files[k].name,
					    have_bek_key(vm) ? "; other key files are there" : "");
		}
	}
	return n;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri need = needs_key(vm, why);
	enum tri unread = TRI_NO;
	unsigned n;

	n = say_empty(vm, need == TRI_YES ? out : NULL, &unread, why);
	return tri_and(need, n ? TRI_YES : unread);
}

const struct rule rule_bek_empty = {
	.id = "bek-empty",
	.row = "12",
	.title = "Volumes are encrypted, and a key file on the BEK VOLUME is empty.",
	.why = "When a key rotation fails, some versions of ADE on Python 3 die while they write the old "
	       "passphrase back and leave the file with 0 "
	       "bytes. The running VM goes on, its next boot hangs. Disable empties the files as well. "
	       "Copies with a controller and disk number "
	       "in the name, and the secret in Key Vault, are not touched by the defect.",
	.advice = "Try the other key files of the volume and the secret in Key Vault (-k). Deallocate and "
		  "start the failed VM rather than reboot it: "
		  "Azure then makes the BEK VOLUME anew from Key Vault.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_INCONSISTENT,
	.check = check,
};
