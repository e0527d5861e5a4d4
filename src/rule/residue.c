/* SPDX-License-Identifier: MIT */
/* Row 19: at most locks, the imds file, archives, resume_daemon_status files, cleartext keys that open
 * nothing, an empty directory, an extension directory, and what our own clean set aside. A file of another
 * kind makes this impossible to tell. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri file_is_residue(const struct state_file *f, char **why)
{
	switch (f->kind) {
	case SK_LOCK:
	case SK_IMDS:
	case SK_ARCHIVE:
	case SK_RESUME_STATUS:
	case SK_ASIDE:
	case SK_MARKERS: /* without markers in it: else row 18 */
		return TRI_YES;
	case SK_CLEARTEXT_KEY:
		if (!f->unreadable)
			return f->opens ? TRI_NO : TRI_YES;
		break;
	case SK_CONFIG:
	case SK_PARAMS:
	case SK_QUEUE:
	case SK_DECRYPT_QUEUE:
	case SK_ONGOING:
	case SK_BEK_BACKUP:
	case SK_CRYPT_MOUNT:
		return TRI_NO;
	case SK_HEADER_SLICE:
	case SK_ITEM_SLICE:
	case SK_LUKS_HEADER:
	case SK_PASSPHRASE:
	case SK_CUSTOM_CMK:
	case SK_COPY_PROGRESS:
	case SK_OTHER:
		break;
	}
	return cannot_tell(why, "the state directory holds '%s', which is not known to be harmless", f->name);
}

static bool anything_there(const struct vm *vm)
{
	return vm->state.have == HAVE_YES || vm->nexts || vm->archive_dir == HAVE_YES ||
	       vm->old_places == HAVE_YES;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;
	enum tri t = TRI_YES;

	if (state_leftover(vm, why) == TRI_YES || count_lines(vm, line_is_item))
		return TRI_NO;
	if (!anything_there(vm) && vm->waagent != HAVE_UNKNOWN)
		return state_believed(vm, why) ? TRI_NO : TRI_UNKNOWN;
	if (vm->waagent == HAVE_UNKNOWN)
		t = cannot_tell(why, "/var/lib/waagent could not be looked at");
	t = tri_and(t, tri_not(state_leftover(vm, why)));
	for (size_t i = 0; i < vm->state.n; i++)
		t = tri_and(t, vm->state.v[i].is_luks || vm->state.v[i].luks_damaged
				       ? TRI_NO
				       : file_is_residue(&vm->state.v[i], why));
	t = tri_and(t, vm->nold_headers ? TRI_NO : TRI_YES);
	t = tri_and(t, tri_not(boot_luks_there(vm, why)));
	if (t == TRI_NO)
		return t;
	t = tri_and(t, nothing_here(vm, why));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_residue, vm->state.mount ? vm->state.mount->node : vm->root,
			vm->state.have == HAVE_YES ? vm->state.path : NULL, 0);
	if (vm->state.have == HAVE_YES)
		finding_say(f, "the state directory holds %zu entr%s, none that ADE acts on", vm->state.n,
			    vm->state.n == 1 ? "y" : "ies");
	if (vm->nexts)
		finding_say(f, "the extension is on the disk (version %s)", or_dash(vm->exts[0].version));
	return TRI_YES;
}

const struct rule rule_residue = {
	.id = "residue",
	.row = "19",
	.title = "Nothing is encrypted, and what ADE left does nothing.",
	.why = "ADE makes its directory for a mere status report, and never removes locks and archives. "
	       "Files that were set aside by aderescue clean "
	       "stay as well. None of them is read again.",
	.advice = "There is nothing to clean. If Azure says this VM is encrypted, this is an old or a wrong "
		  "disk.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.verdict = VERDICT_NO_STATE,
	.check = check,
};
