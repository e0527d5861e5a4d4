/* SPDX-License-Identifier: MIT */
/* Row 4: a decryption that died inside a disk. ADE never goes on with it: it sees its own ongoing item and
 * stops. The row is asked before row 3, since a decryption writes copy_slice_item.bak too. */
#include "rule/facts.h"
#include "rule/list.h"
#include "vm/ini.h"

static enum tri holds(const struct vm *vm, char **why)
{
	enum phase phase = ongoing_phase(vm, why);
	enum tri inside;

	if (phase == PHASE_DECRYPT)
		return TRI_YES;
	inside = tri_or(ongoing_there(vm, why),
			state_kind_filled(vm, SK_ITEM_SLICE, "copy_slice_item.bak", why));
	inside = tri_and(decrypt_queue_there(vm, why), inside);
	/* an item without a phase may be a decryption whose queue was deleted by hand */
	return phase == PHASE_UNKNOWN && inside == TRI_NO ? TRI_UNKNOWN : inside;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;
	const char *dev;
	enum tri t = holds(vm, why);

	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_decryption_stuck, vm->state.mount ? vm->state.mount->node : NULL,
			vm->state.path, 0);
	if (vm->state.ongoing.have == HAVE_YES) {
		dev = ini_get(&vm->state.ongoing.ini, "devicepath");
		finding_say(f, "azure_crypt_ongoing_item.ini: phase '%s', slice %s, device %s",
			    or_dash(ini_get(&vm->state.ongoing.ini, "phase")),
			    or_dash(ini_get(&vm->state.ongoing.ini, "currentsliceindex")), or_dash(dev));
	}
	if (vm->state.dqueue.have == HAVE_YES)
		finding_say(f, "azure_decrypt_request_queue.ini is there: a decryption was asked for and did "
			       "not end");
	if (state_kind_filled(vm, SK_ITEM_SLICE, "copy_slice_item.bak", why) == TRI_YES)
		finding_say(f, "copy_slice_item.bak holds the slice that was being written");
	return TRI_YES;
}

const struct rule rule_decryption_stuck = {
	.id = "decryption-stuck",
	.row = "4",
	.title = "A decryption stopped inside a data disk, and ADE will never go on with it.",
	.why = "Disable copies each data disk back to plaintext in slices and notes its progress. When the "
	       "machine goes down in between, the "
	       "next start finds that note, logs that it exists and does nothing, for ever: the status stays "
	       "DecryptionInProgress. If the "
	       "decrypt queue is removed by hand, the encrypting code picks the half-decrypted disk up. By "
	       "then the key on the BEK VOLUME "
	       "has been overwritten: the cleartext_key file in the state directory can be the only key left "
	       "here.",
	.advice = "Restore the data disk from a snapshot of before the Disable if there is one. Otherwise "
		  "work on a copy only: save the state "
		  "directory with its cleartext_key and slice files first (aderescue save DIR). Never resume "
		  "the copy from the index on the disk.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_DANGEROUS,
	.check = check,
};
