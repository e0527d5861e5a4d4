/* SPDX-License-Identifier: MIT */
/* 18e: the remembered volume type forbids the newest request. Only the same type, or All, is allowed; the
 * dual-pass version and single pass before 1.1.0.47 do not ask. */
#include "rule/facts.h"
#include "rule/list.h"
#include "rule/request.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct settings *s = newest_settings(vm);
	const char *vt = config_volume_type(vm);

	(void)why;
	if (!looks_stale(vm) || !s || !vt || !op_is_enable(s->operation) || !s->volume_type ||
	    version_below(vm, "1.1.0.47", "9"))
		return TRI_NO;
	if (str_eq_nocase(vt, s->volume_type) || str_eq_nocase(s->volume_type, "All"))
		return TRI_NO;
	finding_say(finding_in_state(out, &rule_stale_volume_type, vm, "azure_crypt_config.ini"),
		    "remembered: %s, newest request: %s; 'Moving from volume type %s to volume type %s is "
		    "not allowed'",
		    vt, s->volume_type, vt, s->volume_type);
	return TRI_YES;
}

const struct rule rule_stale_volume_type = {
	.id = "stale-volume-type",
	.row = "18e",
	.title = "The volume type that ADE remembers forbids the newest request.",
	.why = "The type of the first accepted request is remembered even when nothing was encrypted. A "
	       "later request may only name the same type or "
	       "All; anything else is refused.",
	.advice = "Set the state aside (aderescue clean), or ask for the type All.",
	.clean = "The file goes aside with the state directory.",
	.severity = SEV_WARNING,
	.check = check,
};
