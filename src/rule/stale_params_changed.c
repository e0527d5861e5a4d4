/* SPDX-License-Identifier: MIT */
/* 18a: the remembered parameters differ from the newest settings, or are empty: ADE takes the way of a key
 * rotation, which needs a key that is not there. */
#include "rule/facts.h"
#include "rule/list.h"
#include "rule/request.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	cleanup_free char *what = NULL;
	struct finding *f;
	enum tri t;

	if (!looks_stale(vm))
		return TRI_NO;
	t = params_differ(vm, &what, why);
	if (t != TRI_YES)
		return t;
	f = finding_in_state(out, &rule_stale_params_changed, vm, "azure_crypt_params.ini");
	finding_say(f, "%s", or_dash(what));
	if (vm->log.cannot_find_passphrase || vm->log.none_type)
		finding_say(f, "extension.log has the failure that follows from it");
	return TRI_YES;
}

const struct rule rule_stale_params_changed = {
	.id = "stale-params-changed",
	.row = "18a",
	.title = "The parameters that ADE remembers differ from the newest request.",
	.why = "An earlier enable stored its parameters and failed. The request was repeated with corrected "
	       "ones, another key vault for instance. ADE "
	       "concludes that an encrypted machine is to get a new key, looks for the current key, finds "
	       "none and fails: 'Cannot find current "
	       "passphrase file', in old versions a TypeError about NoneType. It does so for ever. An empty "
	       "file differs from any request.",
	.advice = "Set the state aside (aderescue clean); the next enable then begins anew.",
	.clean = "The file goes aside with the state directory.",
	.severity = SEV_WARNING,
	.check = check,
};
