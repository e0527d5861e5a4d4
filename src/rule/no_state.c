/* SPDX-License-Identifier: MIT */
/* Row 20: no state directory, no header, no line, no extension. Never said without the OS disk, nor where a
 * place could not be looked at: a directory that cannot be seen is not an absent one. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;
	enum tri t;

	if (vm->state.have == HAVE_YES || vm->nexts || count_lines(vm, line_is_item) || vm->nold_headers ||
	    vm->archive_dir == HAVE_YES || vm->old_places == HAVE_YES)
		return TRI_NO;
	t = state_believed(vm, why) ? TRI_YES : TRI_UNKNOWN;
	if (vm->waagent == HAVE_UNKNOWN)
		t = cannot_tell(why, "/var/lib/waagent could not be looked at");
	t = tri_and(t, tri_not(boot_luks_there(vm, why)));
	if (t == TRI_NO)
		return t;
	t = tri_and(t, nothing_here(vm, why));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_no_state, vm->root, NULL, 0);
	finding_say(f, "no state directory, no LUKS header, no line in crypttab or fstab, no extension");
	return TRI_YES;
}

const struct rule rule_no_state = {
	.id = "no-state",
	.row = "20",
	.title = "ADE left nothing on this machine.",
	.why = "Neither the state directory nor a header, a line in crypttab or fstab, or the extension's "
	       "own directory is there, and all volumes that "
	       "are attached are plaintext.",
	.advice = "There is nothing to clean. If Azure says this VM is encrypted, this is an old or a wrong "
		  "disk.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.verdict = VERDICT_NO_STATE,
	.check = check,
};
