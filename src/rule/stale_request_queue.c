/* SPDX-License-Identifier: MIT */
/* 18d: a queue: the request is carried out again at every boot, whatever the sequence number says. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool q, dq;

	if (!looks_stale(vm))
		return TRI_NO;
	q = queue_there(vm, why) == TRI_YES;
	dq = decrypt_queue_there(vm, why) == TRI_YES;
	if (q) {
		struct finding *f =
			finding_in_state(out, &rule_stale_request_queue, vm, "azure_crypt_request_queue.ini");

		finding_say(f, "an encryption is started again at every boot");
		if (config_there(vm, why) == TRI_YES && !config_volume_type(vm))
			finding_say(f, "the configuration names no volume type: ADE crashes while it makes "
				       "its status, and reports nothing");
	}
	if (dq)
		finding_say(finding_in_state(out, &rule_stale_request_queue, vm,
					     "azure_decrypt_request_queue.ini"),
			    "a decryption is queued, and nothing is left to decrypt");
	return q || dq ? TRI_YES : TRI_NO;
}

const struct rule rule_stale_request_queue = {
	.id = "stale-request-queue",
	.row = "18d",
	.title = "A request queue is left and is carried out at every boot.",
	.why = "The queue is removed when the work ends, whether it succeeded or failed. When the machine "
	       "went down in between, the queue stays, and ADE "
	       "runs it again at every boot even if the request with its number was processed. On older "
	       "distributions each attempt to encrypt the OS "
	       "drops SSH for its duration.",
	.advice = "Set the state aside (aderescue clean).",
	.clean = "The file goes aside with the state directory.",
	.severity = SEV_WARNING,
	.check = check,
};
