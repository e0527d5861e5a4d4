/* SPDX-License-Identifier: MIT */
/* Row 5: a decryption is queued, no disk is inside it, and something encrypted is left or not attached. A
 * decrypt queue with nothing left to decrypt is leftover state (row 18). */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri one_left(const struct volume *v, char **why)
{
	cleanup_free char *reason = NULL;
	enum tri plain;

	if (v->foreign_luks || !vol_relevant(v))
		return TRI_NO;
	if (v->state == VS_OPENED || v->state == VS_LOCKED || v->state == VS_OPAQUE)
		return TRI_YES;
	plain = vol_unencrypted(v, &reason);
	return plain == TRI_UNKNOWN ? cannot_tell(why, "%s", or_dash(reason)) : tri_not(plain);
}

static enum tri anything_left(const struct vm *vm, char **why)
{
	cleanup_free char *missing = NULL;
	enum tri left = TRI_NO;

	if (disks_complete(vm, &missing) != TRI_YES)
		return TRI_YES;
	for (size_t i = 0; i < vm->nvolumes; i++)
		left = tri_or(left, one_left(&vm->volumes[i], why));
	return left;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	cleanup_free char *missing = NULL;
	struct finding *f;
	enum tri t;

	t = tri_and(decrypt_queue_there(vm, why), tri_not(ongoing_there(vm, why)));
	if (t != TRI_NO)
		t = tri_and(t, anything_left(vm, why));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_decrypting, vm->state.mount ? vm->state.mount->node : NULL, vm->state.path,
			0);
	finding_say(f, "azure_decrypt_request_queue.ini is there, and no disk is in the middle of a copy");
	if (disks_complete(vm, &missing) != TRI_YES)
		finding_say(f, "%s", or_dash(missing));
	for (size_t i = 0; i < vm->nlines; i++)
		if (vm->lines[i].cleartext)
			finding_say(f, "%s is to be opened with a cleartext key from the state directory",
				    or_dash(vm->lines[i].mapper));
	return TRI_YES;
}

const struct rule rule_decrypting = {
	.id = "decrypting",
	.row = "5",
	.title = "A decryption of the data disks was asked for and has not ended.",
	.why = "Disable adds a cleartext key to each data disk, writes a decrypt queue, clears the settings "
	       "at Azure and overwrites the "
	       "passphrase on the BEK VOLUME. From then on the cleartext_key files in the state directory "
	       "may be the only keys. The machine "
	       "went down between two disks; nothing is half copied.",
	.advice = "Boot the VM with all of its disks and let the decryption go on. Keep the cleartext_key "
		  "files: save them first (aderescue save "
		  "DIR).",
	.clean = NULL,
	.severity = SEV_WARNING,
	.verdict = VERDICT_UNFINISHED,
	.check = check,
};
