/* SPDX-License-Identifier: MIT */
/* Row 9: the OS is encrypted by the method that works from a RAM root, and only the queue is left: that
 * method deletes its copy in memory, and the first boot deletes the one on disk. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;
	enum tri t;

	t = tri_and(os_encrypted(vm, why), queue_there(vm, why));
	if (t == TRI_NO)
		return t;
	t = tri_and(t, tri_not(ongoing_there(vm, why)));
	t = tri_and(t, tri_not(any_online(vm, why)));
	if (t == TRI_YES && queue_is_online(vm))
		return cannot_tell(why, "the request queue asks for online encryption, but no header is in "
					"the middle of one");
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_finishing, vm->state.mount ? vm->state.mount->node : NULL, vm->state.path,
			0);
	finding_say(f, "the OS volume is encrypted and opens; the request queue is still there, as it is "
		       "until the first boot");
	return TRI_YES;
}

const struct rule rule_finishing = {
	.id = "finishing",
	.row = "9",
	.title = "The OS volume is encrypted; one boot removes the rest of the request.",
	.why = "On older distributions ADE encrypts the OS disk from a system in memory. When it ends, it "
	       "deletes the request queue there; the queue "
	       "on the disk is now inside the encrypted volume and goes at the first boot.",
	.advice = "Boot the VM with its key. Nothing has to be cleaned.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.verdict = VERDICT_CONSISTENT,
	.check = check,
};
