/* SPDX-License-Identifier: MIT */
/* 18f: markers of an OS encryption on a machine whose OS is plain: ADE skips the steps they stand for. */
#include "rule/facts.h"
#include "rule/list.h"
#include "rule/request.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;

	if (!looks_stale(vm) || any_marker(vm, why) != TRI_YES)
		return TRI_NO;
	f = finding_in_state(out, &rule_stale_os_markers, vm, "os_encryption_markers");
	for (size_t i = 0; i < vm->state.nmarkers && i < 10; i++)
		finding_say(f, "%s is marked as done", vm->state.markers[i]);
	if (online_distro(vm) && marker_there(vm, "PatchBootSystemState", why) == TRI_YES)
		finding_say(f, "with PatchBootSystemState done, the next enable reports success and leaves "
			       "the OS in plaintext");
	else if (marker_there(vm, "PrereqState", why) == TRI_YES)
		finding_say(f, "with PrereqState done, the key script is not copied again: the OS could stop "
			       "at a passphrase prompt");
	return TRI_YES;
}

const struct rule rule_stale_os_markers = {
	.id = "stale-os-markers",
	.row = "18f",
	.title = "Steps of an OS encryption are marked as done, and the OS is plaintext.",
	.why = "ADE marks each finished step with an empty file and never removes it. After a failed "
	       "attempt, or on a disk restored from before the "
	       "encryption, the next enable skips those steps: on newer distributions it reports success "
	       "without encrypting anything.",
	.advice = "Set the state aside (aderescue clean). Never do this by hand on a machine whose OS is "
		  "encrypted: there the markers protect the header.",
	.clean = "The directory goes aside with the state directory.",
	.severity = SEV_WARNING,
	.check = check,
};
