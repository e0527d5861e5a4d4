/* SPDX-License-Identifier: MIT */
/* Row 16b: data disks are encrypted, the OS is plain, VolumeType All, and nothing asks for the OS any more.
 */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const char *vt = config_volume_type(vm);
	struct finding *f;
	enum tri t;

	t = tri_and(root_looks_plain(vm, why), data_encrypted(vm, why));
	t = tri_and(t, tri_not(queue_there(vm, why)));
	if (!vt)
		t = tri_and(t, config_there(vm, why) == TRI_UNKNOWN ? TRI_UNKNOWN : TRI_NO);
	else
		t = tri_and(t, str_eq_nocase(vt, "All") ? TRI_YES : TRI_NO);
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_os_never_finished, vm->root_raw, NULL, 0);
	finding_say(f, "VolumeType is All, data disks are encrypted, the root is plain, and no request queue "
		       "is left");
	return TRI_YES;
}

const struct rule rule_os_never_finished = {
	.id = "os-never-finished",
	.row = "16b",
	.title = "All volumes were to be encrypted; the data disks are, the OS disk is not.",
	.why = "The request asked for all volumes. The data disks were done, the encryption of the OS disk "
	       "failed or was given up, and its queue is "
	       "gone. The machine runs as it is; Azure may show it as encrypted.",
	.advice = "Either run enable again with the volume type All, after a snapshot, or leave it. Do not "
		  "remove the state: the data disks need it.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.verdict = VERDICT_INCONSISTENT,
	.check = check,
};
