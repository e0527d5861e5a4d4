/* SPDX-License-Identifier: MIT */
/* Row 6: a LUKS header says that its re-encryption has not ended. The raw volume may still look like a
 * healthy file system: only the header tells. */
#include "rule/facts.h"
#include "rule/list.h"

static void say_header(const struct vm *vm, struct findings *out, const struct header *h,
		       const struct volume *v)
{
	const struct node *where = v ? v->node : h->node;
	uint64_t done = 0, total = 0;
	struct finding *f;

	f = finding_add(out, &rule_online_in_flight, where, v ? NULL : h->path, 0);
	if (h->info.in_flight_magic)
		finding_say(f,
			    "the header of %s has the mark of an offline re-encryption that was interrupted",
			    where && where->name ? where->name : or_dash(h->path));
	else
		finding_say(f, "the header requires '%s': a re-encryption is in flight (%s)",
			    h->info.nrequirements ? h->info.requirements[0] : "online-reencrypt",
			    h->path ? h->path : "attached");
	if (v && v->node && luks_progress(&h->info, v->node->size, &done, &total) && total)
		finding_say(f, "%ju of %ju bytes are ciphertext (%u %%)", (uintmax_t)done, (uintmax_t)total,
			    (unsigned)(done / (total / 100 ? total / 100 : 1)));
	if (v && v->state == VS_PLAIN_FS)
		finding_say(f,
			    "%s still shows a plaintext file system; mounting or changing it raw damages it",
			    vol_name(v));
	if (vm->state.have == HAVE_YES && vm->state.queue.have == HAVE_NO)
		finding_say(f, "the request queue is gone: ADE will not go on by itself");
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool boot_said = false;

	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (v->foreign_luks || !vol_is_mine(vm, i) || !header_online(v->header))
			continue;
		boot_said |= v->header == vm->bootf.header;
		say_header(vm, out, v->header, v);
	}
	if (!boot_said && header_online(vm->bootf.header))
		say_header(vm, out, vm->bootf.header, vm->root_volume);
	return any_online(vm, why);
}

const struct rule rule_online_in_flight = {
	.id = "online-in-flight",
	.row = "6",
	.title = "An online encryption has begun and has not ended.",
	.why = "Newer distributions are encrypted in place by cryptsetup reencrypt, which notes its progress "
	       "in the LUKS header. Until it ends, "
	       "the volume is part plaintext and part ciphertext, and right after the first step it looks "
	       "like an ordinary file system. "
	       "ADE resumes at the next boot, as long as its request queue is there.",
	.advice = "Let the VM go on by itself: boot it with its key. Never mount, check or activate the raw "
		  "volume, and never delete /boot/luks, "
		  "the request queue or the markers. If the queue is gone, cryptsetup reencrypt "
		  "--resume-only can finish it, on a copy first.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_UNFINISHED,
	.check = check,
};
