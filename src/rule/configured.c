/* SPDX-License-Identifier: MIT */
/* Row 14b: ADE is configured for data disks and there is none to encrypt: a machine on its own terms in
 * order, not stale. Whatever speaks against it makes it row 18 (18c). */
#include "rule/facts.h"
#include "rule/list.h"
#include "rule/request.h"

static bool has_data_device(const struct vm *vm)
{
	for (size_t i = 0; i < vm->nvolumes; i++)
		if (vm->volumes[i].role == VOL_DATA && !vm->volumes[i].foreign_luks)
			return true;
	return false;
}

static bool last_status_success(const struct vm *vm)
{
	return vm->ext && str_eq_nocase(vm->ext->last_status, "success");
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct settings *s = newest_settings(vm);
	const char *vt = config_volume_type(vm);
	struct finding *f;
	enum tri t = config_there(vm, why);

	if (t == TRI_YES && !str_eq_nocase(vt, "Data"))
		return TRI_NO;
	if (has_data_device(vm) || count_lines(vm, line_is_item) ||
	    (!have_bek_key(vm) && !last_status_success(vm)))
		return TRI_NO;
	if (!s)
		return vm->waagent == HAVE_UNKNOWN || (vm->ext && vm->ext->newest)
			       ? tri_and(t, cannot_tell(
						    why,
						    "the newest settings of the extension could not be read"))
			       : TRI_NO;
	if (!str_eq_nocase(s->volume_type, "Data"))
		return TRI_NO;
	t = tri_and(t, tri_not(params_differ(vm, NULL, why)));
	t = tri_and(t, tri_not(queue_there(vm, why)));
	t = tri_and(t, tri_not(decrypt_queue_there(vm, why)));
	t = tri_and(t, tri_not(ongoing_there(vm, why)));
	t = tri_and(t, tri_not(any_marker(vm, why)));
	t = tri_and(t, tri_not(state_kind_there(vm, SK_BEK_BACKUP, "bek_backup", why)));
	t = tri_and(t, tri_not(state_file_there(vm, vm->state.crypt_mount_have, "azure_crypt_mount", why)));
	t = tri_and(t, root_plain(vm, why));
	if (t == TRI_NO)
		return t;
	t = tri_and(t, nothing_here(vm, why));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_configured, vm->state.mount ? vm->state.mount->node : NULL, vm->state.path,
			0);
	finding_say(f, "VolumeType is Data, no data disk is attached, and %s",
		    have_bek_key(vm) ? "a key is on the BEK VOLUME" : "the last status was success");
	return TRI_YES;
}

const struct rule rule_configured = {
	.id = "configured",
	.row = "14b",
	.title = "ADE is configured for data disks, and there is none to encrypt yet.",
	.why = "Encryption of data disks was enabled on a VM that has none. ADE keeps its configuration and "
	       "key ready for disks that come later.",
	.advice = "There is nothing to clean. To be rid of it, run disable at Azure.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.verdict = VERDICT_CONSISTENT,
	.check = check,
};
