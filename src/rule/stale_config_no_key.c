/* SPDX-License-Identifier: MIT */
/* 18c: a configuration without a key: ADE stops in silence at every boot. Where the parameters changed, 18a
 * tells the failure. */
#include "rule/facts.h"
#include "rule/list.h"
#include "rule/request.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	uint64_t seq;
	struct finding *f;

	if (!looks_stale(vm) || config_there(vm, why) != TRI_YES || have_bek_key(vm) ||
	    params_differ(vm, NULL, why) == TRI_YES || queue_there(vm, why) == TRI_YES)
		return TRI_NO;
	f = finding_in_state(out, &rule_stale_config_no_key, vm, "azure_crypt_config.ini");
	finding_say(f, "VolumeType %s; no key file is on any attached BEK VOLUME",
		    or_dash(config_volume_type(vm)));
	if (!config_secretseqnum(vm, &seq))
		finding_say(f, "no secretseqnum: its key was never stored with Azure");
	return TRI_YES;
}

const struct rule rule_stale_config_no_key = {
	.id = "stale-config-no-key",
	.row = "18c",
	.title = "A configuration is there, but no key.",
	.why = "ADE writes its configuration before it has a key. When the attempt ends there, or the key "
	       "was lost because it had not been stored when "
	       "the VM was deallocated, each later run logs that the configuration is present but the key "
	       "file could not be had, and stops.",
	.advice = "Set the state aside (aderescue clean); the next enable then makes a new key.",
	.clean = "The file goes aside with the state directory.",
	.severity = SEV_WARNING,
	.check = check,
};
