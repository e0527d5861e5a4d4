/* SPDX-License-Identifier: MIT */
/* Row 7: the OS volume opens, but plaintext is left in its raw bytes: the copy from a RAM root was cut off.
 * After a finished one every non-zero raw block is ciphertext. */
#include "rule/facts.h"
#include "rule/list.h"

static bool asked_of(const struct volume *v)
{
	return v->state == VS_OPENED && v->header && v->header->detached && !header_online(v->header) &&
	       !v->foreign_luks;
}

static enum tri one(const struct volume *v, bool is_root, struct findings *out, char **why)
{
	struct finding *f;

	if (!asked_of(v))
		return TRI_NO;
	if (!v->dd_asked || !v->dd_sampled)
		return is_root ? cannot_tell(why, "whether all of %s was encrypted could not be sampled",
					     vol_name(v))
			       : TRI_NO;
	if (!v->dd_low)
		return TRI_NO;
	f = finding_add(out, &rule_dd_interrupted, v->node, NULL, 0);
	finding_say(f, "%s opens, but %u of %u non-zero raw blocks that were sampled are plaintext",
		    vol_name(v), v->dd_low, v->dd_sampled);
	return TRI_YES;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri any = TRI_NO;

	if (vm->root_volume && is_locked(vm->root_volume))
		any = cannot_tell(why, "the root volume %s is locked", vol_name(vm->root_volume));
	for (size_t i = 0; i < vm->nvolumes; i++)
		if (vol_is_mine(vm, i))
			any = tri_or(any, one(&vm->volumes[i], &vm->volumes[i] == vm->root_volume, out, why));
	return any;
}

const struct rule rule_dd_interrupted = {
	.id = "dd-interrupted",
	.row = "7",
	.title = "The encryption of the OS volume was cut off; part of it is still plaintext and it cannot "
		 "be resumed.",
	.why = "On older distributions ADE encrypts the OS volume from a small system in memory, with one "
	       "long copy over the whole partition. "
	       "Its progress is kept nowhere. When the machine goes down in the middle, the head is "
	       "ciphertext and the tail plaintext.",
	.advice = "Restore the OS disk from the snapshot or backup of before the encryption. Where there is "
		  "none, an expert can join the "
		  "decrypted head and the plaintext tail on a copy: keep the header and the key (aderescue "
		  "save DIR), write nothing to this disk.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_DANGEROUS,
	.check = check,
};
