/* SPDX-License-Identifier: MIT */
/* 18h: an entry for the temporary disk alone: harmless, but it makes ADE generate a key. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	if (!looks_stale(vm))
		return TRI_NO;
	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];

		if (l->owner != TAB_ADE_TEMP)
			continue;
		any = true;
		finding_say(finding_add(out, &rule_stale_temp_disk_entry, vm->root, l->file,
					l->row ? l->row->line : 0),
			    "names %s, the encrypted temporary disk", or_dash(l->mapper));
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_stale_temp_disk_entry = {
	.id = "stale-temp-disk-entry",
	.row = "18h",
	.title = "An entry for an encrypted temporary disk is left.",
	.why = "ADE encrypts the temporary disk along with the data disks when all are formatted. Its entry "
	       "(resourceencrypt) stays when nothing else is "
	       "encrypted any more. It is harmless, but ADE makes a new key for the temporary disk because "
	       "of it.",
	.advice = "Set the state aside (aderescue clean).",
	.clean = "The line is commented out; all other bytes of the file stay.",
	.severity = SEV_NOTE,
	.check = check,
};
