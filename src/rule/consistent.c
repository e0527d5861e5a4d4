/* SPDX-License-Identifier: MIT */
/* Row 14: encrypted, every volume of this machine that is attached opens, the configuration says so, nothing
 * is queued or under way. A data disk that is not here is a finding, not a doubt. */
#include "rule/boot_pieces.h"
#include "rule/list.h"

/* Volume types by what they cover; data without the OS under All is row 16b. */
static enum tri type_matches(const struct vm *vm, char **why)
{
	const char *vt = config_volume_type(vm);

	if (!vt)
		return config_there(vm, why) == TRI_UNKNOWN ? TRI_UNKNOWN : TRI_NO;
	if (str_eq_nocase(vt, "Data"))
		return tri_not(os_encrypted(vm, why));
	if (str_eq_nocase(vt, "OS"))
		return tri_and(os_encrypted(vm, why), tri_not(data_encrypted(vm, why)));
	return str_eq_nocase(vt, "All") ? os_encrypted(vm, why) : TRI_NO;
}

static enum tri all_open(const struct vm *vm, char **why)
{
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];
		cleanup_free char *reason = NULL;

		if (!vol_is_mine(vm, i) || v->foreign_luks || v->state == VS_OPENED)
			continue;
		if (is_locked(v) && (v->ade || v->role == VOL_ROOT))
			return TRI_NO;
		if (v->state == VS_LOCKED || v->state == VS_OPAQUE)
			if (vol_unencrypted(v, &reason) != TRI_YES)
				return cannot_tell(why, "%s", reason ? reason : "a volume is locked");
	}
	return TRI_YES;
}

/* The boot pieces, where the OS is encrypted: rows above hold where one disagrees. */
static void say_pieces(const struct vm *vm, struct finding *f)
{
	cleanup_pieces struct pieces p = {0};

	boot_pieces_read(vm, &p);
	if (p.oom || !p.count[PIECE_AGREES] || p.count[PIECE_DISAGREES])
		return;
	if (p.count[PIECE_UNREAD])
		finding_say(f, "all %u boot pieces that could be read agree with the disk; %u could not be read",
			    p.count[PIECE_AGREES], p.count[PIECE_UNREAD]);
	else
		finding_say(f, "all %u boot pieces agree with the disk: if this VM does not boot, ADE is not the reason",
			    p.count[PIECE_AGREES]);
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct finding *f;
	enum tri t;

	t = tri_and(any_encrypted(vm, why), all_open(vm, why));
	t = tri_and(t, type_matches(vm, why));
	t = tri_and(t, tri_not(queue_there(vm, why)));
	t = tri_and(t, tri_not(decrypt_queue_there(vm, why)));
	t = tri_and(t, tri_not(ongoing_there(vm, why)));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_consistent, vm->root_raw, NULL, 0);
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (vol_is_mine(vm, i) && v->state == VS_OPENED && !v->foreign_luks)
			finding_say(f, "%s opens (%s)", vol_name(v),
				    v->header && v->header->detached ? "detached header" : "attached header");
	}
	finding_say(f, "VolumeType %s, nothing queued, nothing under way", or_dash(config_volume_type(vm)));
	say_pieces(vm, f);
	return TRI_YES;
}

const struct rule rule_consistent = {
	.id = "consistent",
	.row = "14",
	.title = "Encrypted, and everything agrees.",
	.why = "The encrypted volumes open with their key, the configuration covers exactly what is "
	       "encrypted, and no request is queued or under way.",
	.advice = "There is nothing to clean. If the VM does not boot, ADE's state is not the reason; look "
		  "at its logs and the serial console. Never "
		  "delete the state directory or its markers.",
	.clean = NULL,
	.severity = SEV_NOTE,
	.verdict = VERDICT_CONSISTENT,
	.check = check,
};
