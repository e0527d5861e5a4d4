/* SPDX-License-Identifier: MIT */
/* Row 9b: data disks are encrypted, the OS is plain, and a queue asks for the OS: it is attempted, and fails,
 * at every boot. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri wants_os(const struct vm *vm, char **why)
{
	enum tri there = config_there(vm, why);
	const char *vt = config_volume_type(vm);

	if (there != TRI_YES)
		return there;
	return str_eq_nocase(vt, "OS") || str_eq_nocase(vt, "All") ? TRI_YES : TRI_NO;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;
	enum tri t;

	t = tri_and(root_looks_plain(vm, why), data_encrypted(vm, why));
	t = tri_and(t, queue_there(vm, why));
	t = tri_and(t, wants_os(vm, why));
	if (t == TRI_NO)
		return t;
	t = tri_and(t, tri_not(any_online(vm, why)));
	t = tri_and(t, tri_not(ongoing_there(vm, why)));
	t = tri_and(t, tri_not(decrypt_queue_there(vm, why)));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_os_attempt_pending, vm->state.mount ? vm->state.mount->node : NULL,
			vm->state.path, 0);
	finding_say(
		f,
		"data disks are encrypted, the root is plain, and the request queue asks for VolumeType %s",
		or_dash(config_volume_type(vm)));
	if (vm->log.last_error)
		finding_say(f, "extension.log: %s", vm->log.last_error);
	return TRI_YES;
}

const struct rule rule_os_attempt_pending = {
	.id = "os-attempt-pending",
	.row = "9b",
	.title = "The data disks are encrypted, and ADE tries again to encrypt the OS disk at every boot.",
	.why = "The request asked for all volumes. The data disks were done, the OS disk was not, and the "
	       "queue that would be removed at the end is "
	       "still there: every boot starts the attempt again, which on older distributions drops SSH for "
	       "its duration.",
	.advice = "Remove only the request queue, on the running VM or in a chroot, and on older "
		  "distributions with it the markers. Keep all else: the "
		  "data disks need it.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.verdict = VERDICT_INCONSISTENT,
	.check = check,
};
