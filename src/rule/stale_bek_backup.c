/* SPDX-License-Identifier: MIT */
/* 18b: bek_backup on a machine where nothing is encrypted. */
#include "rule/facts.h"
#include "rule/list.h"
#include "rule/request.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;

	if (!looks_stale(vm) || state_kind_there(vm, SK_BEK_BACKUP, "bek_backup", why) != TRI_YES)
		return TRI_NO;
	f = finding_in_state(out, &rule_stale_bek_backup, vm, "bek_backup");
	if (version_below(vm, "1.1.0.39", "9"))
		finding_say(f, "version %s takes the way of a key rotation because this file exists",
			    or_dash(vm->ext->version));
	else
		finding_say(f, "a passphrase of an earlier rotation; it opens nothing that is attached");
	return TRI_YES;
}

const struct rule rule_stale_bek_backup = {
	.id = "stale-bek-backup",
	.row = "18b",
	.title = "A passphrase from an earlier key rotation is left, and nothing is encrypted.",
	.why = "The dual-pass version, and single pass up to 1.1.0.38, keep the old passphrase in bek_backup "
	       "while they rotate keys. Its mere existence "
	       "makes those versions rotate again, whether or not anything changed. Newer versions ignore "
	       "it.",
	.advice = "Set the state aside (aderescue clean).",
	.clean = "The file goes aside with the state directory.",
	.severity = SEV_WARNING,
	.check = check,
};
