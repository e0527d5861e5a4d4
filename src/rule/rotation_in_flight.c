/* SPDX-License-Identifier: MIT */
/* Row 13: something is encrypted, and bek_backup is there, or the key files of one BEK VOLUME, meant to be
 * copies, differ. */
#include "rule/facts.h"
#include "rule/list.h"
#include "vm/keys.h"

/* Equal keys are kept once in the graph: two of one BEK VOLUME mean that they differ. */
static const struct node *keys_differ(const struct vm *vm)
{
	for (size_t i = 0; vm->graph && i < vm->graph->nkeys; i++) {
		const struct key *a = vm->graph->keys[i];

		if (a->origin != KEY_BEK || a->empty_file || !a->node ||
		    !str_starts(a->name, "LinuxPassPhraseFileName"))
			continue;
		for (size_t k = i + 1; k < vm->graph->nkeys; k++) {
			const struct key *b = vm->graph->keys[k];

			if (b->origin == KEY_BEK && b->node == a->node && !b->empty_file &&
			    str_starts(b->name, "LinuxPassPhraseFileName") && (a->opens || b->opens))
				return a->node;
		}
	}
	return NULL;
}

static void say_backup(const struct vm *vm, struct findings *out)
{
	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *s = &vm->state.v[i];
		struct finding *f;

		if (s->kind != SK_BEK_BACKUP)
			continue;
		f = finding_add(out, &rule_rotation_in_flight, vm->state.mount ? vm->state.mount->node : NULL,
				vm->state.path, 0);
		finding_say(f,
			    "bek_backup (%ju bytes), the passphrase from before a rotation, is in the state "
			    "directory",
			    (uintmax_t)s->size);
		finding_say(f, "%s",
			    s->opens ? "it opens a volume that is attached"
				     : "it opens nothing that is attached");
	}
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri backup = state_kind_there(vm, SK_BEK_BACKUP, "bek_backup", why);
	const struct node *differ = keys_differ(vm);
	enum tri t = tri_and(any_encrypted(vm, why), differ ? TRI_YES : backup);

	if (t != TRI_YES)
		return t;
	say_backup(vm, out);
	if (differ)
		finding_say(
			finding_add(out, &rule_rotation_in_flight, differ, NULL, 0),
			"the key files of the BEK VOLUME on %s differ, though they are meant to be copies",
			differ->name);
	return TRI_YES;
}

const struct rule rule_rotation_in_flight = {
	.id = "rotation-in-flight",
	.row = "13",
	.title = "A key rotation began and did not end.",
	.why = "To change keys, ADE enrols the new passphrase next to the old one on each volume, then "
	       "removes the old one. Older versions keep the "
	       "old passphrase in bek_backup meanwhile. When the rotation stops in between, some volumes may "
	       "open with the old key only.",
	.advice = "See which key opens which header (aderescue luks). Keep bek_backup until the current key "
		  "is seen to open every header. Save the "
		  "keys first (aderescue save DIR).",
	.clean = NULL,
	.severity = SEV_WARNING,
	.verdict = VERDICT_INCONSISTENT,
	.check = check,
};
