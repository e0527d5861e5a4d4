/* SPDX-License-Identifier: MIT */
/* Row 3: a data disk is half copied. Not where the phase is BackupHeader and the saved slice equals the start
 * of the device: that phase writes the slice and touches nothing else. */
#include "rule/facts.h"
#include "rule/list.h"
#include "vm/ini.h"

static enum tri by_slices(const struct vm *vm, enum phase phase, char **why)
{
	enum tri head = state_kind_filled(vm, SK_HEADER_SLICE, "copy_header_slice_file", why);
	enum tri item = state_kind_filled(vm, SK_ITEM_SLICE, "copy_slice_item.bak", why);

	if (phase == PHASE_DECRYPT) /* the slice is row 4's */
		item = TRI_NO;
	if (item == TRI_YES || head != TRI_YES)
		return tri_or(item, head);
	if (phase != PHASE_BACKUP)
		return TRI_YES;
	if (!vm->state.slice_compared)
		return cannot_tell(why, "copy_header_slice_file could not be compared with the start of the "
					"disk it was taken from");
	return vm->state.slice_is_start ? item : TRI_YES;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum phase phase = ongoing_phase(vm, why);
	struct finding *f;
	enum tri t;

	t = phase == PHASE_COPY ? TRI_YES : by_slices(vm, phase, why);
	if (t == TRI_NO && phase == PHASE_UNKNOWN)
		t = TRI_UNKNOWN;
	if (t != TRI_YES)
		return t;

	f = finding_add(out, &rule_inplace_copy_interrupted, vm->state.mount ? vm->state.mount->node : NULL,
			vm->state.path, 0);
	if (vm->state.ongoing.have == HAVE_YES)
		finding_say(f,
			    "azure_crypt_ongoing_item.ini: phase '%s', %s slices of 50 MiB done, device %s, "
			    "mapper %s",
			    or_dash(ini_get(&vm->state.ongoing.ini, "phase")),
			    or_dash(ini_get(&vm->state.ongoing.ini, "currentsliceindex")),
			    or_dash(ini_get(&vm->state.ongoing.ini, "devicepath")),
			    or_dash(ini_get(&vm->state.ongoing.ini, "mappername")));
	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *s = &vm->state.v[i];

		if ((s->kind == SK_HEADER_SLICE || s->kind == SK_ITEM_SLICE) && s->size)
			finding_say(f, "%s holds %ju bytes of the disk's plaintext, perhaps the only copy",
				    s->name, (uintmax_t)s->size);
	}
	return TRI_YES;
}

const struct rule rule_inplace_copy_interrupted = {
	.id = "inplace-copy-interrupted",
	.row = "3",
	.title = "The encryption of a data disk stopped in the middle of copying it.",
	.why = "ADE encrypts an existing data disk by copying it onto itself, slice by slice from the end, "
	       "through files in the state "
	       "directory. The first 50 MiB exist only in copy_header_slice_file until the copy ends, and "
	       "the slice that was being written "
	       "only in copy_slice_item.bak. The disk is part plaintext and part ciphertext; "
	       "azure_crypt_ongoing_item.ini says where.",
	.advice = "Let the VM itself go on: boot it with this disk and its key (BEK VOLUME); ADE resumes by "
		  "itself. Or restore the snapshot from "
		  "before the encryption. Remove nothing in the state directory and do not mount or check "
		  "the disk.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_UNFINISHED,
	.check = check,
};
