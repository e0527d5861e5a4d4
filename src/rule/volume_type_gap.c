/* SPDX-License-Identifier: MIT */
/* Row 16: the configured volume type does not cover what is encrypted. OS: the OS and nothing else. Data:
 * data only. All: the OS, with or without data (data without the OS is rows 9b and 16b). */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri gap(const struct vm *vm, const char *vt, char **why)
{
	if (str_eq_nocase(vt, "All"))
		return TRI_NO;
	if (str_eq_nocase(vt, "OS"))
		return data_encrypted(vm, why);
	if (str_eq_nocase(vt, "Data"))
		return os_encrypted(vm, why);
	return any_encrypted(vm, why);
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const char *vt = config_volume_type(vm);
	struct finding *f;
	enum tri t;

	if (!vt)
		return config_there(vm, why) == TRI_UNKNOWN ? tri_and(TRI_UNKNOWN, any_encrypted(vm, why))
							    : TRI_NO;
	t = gap(vm, vt, why);
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_volume_type_gap, vm->state.mount ? vm->state.mount->node : NULL,
			vm->state.path, 0);
	finding_say(f, "azure_crypt_config.ini says VolumeType %s, but %s encrypted", vt,
		    str_eq_nocase(vt, "OS")	? "data disks are"
		    : str_eq_nocase(vt, "Data") ? "the OS is"
						: "volumes are");
	return TRI_YES;
}

const struct rule rule_volume_type_gap = {
	.id = "volume-type-gap",
	.row = "16",
	.title = "More is encrypted than the configured volume type says.",
	.why = "ADE remembers the volume type of the last accepted request. A later request with another "
	       "type, a disk moved here from another VM, or "
	       "a file restored from elsewhere leaves the two apart. Nothing is wrong with the data.",
	.advice = "The next enable must use the volume type All; any other is refused or leaves the gap.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.verdict = VERDICT_INCONSISTENT,
	.check = check,
};
