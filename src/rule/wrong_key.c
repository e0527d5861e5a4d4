/* SPDX-License-Identifier: MIT */
/* Beside a locked volume: keys were found, and none opens it. */
#include "rule/facts.h"
#include "rule/list.h"
#include "vm/keys.h"

static void say_keys(const struct vm *vm, struct finding *f)
{
	for (size_t i = 0; vm->graph && i < vm->graph->nkeys && i < 10; i++) {
		const struct key *k = vm->graph->keys[i];

		finding_say(f, "tried: %s, %ju bytes%s%s", or_dash(k->found_at), (uintmax_t)k->length,
			    k->wrapped ? ", by its size probably still wrapped by a key encryption key" : "",
			    k->opens ? "; it opens another header" : "");
	}
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	if (!have_key(vm))
		return TRI_NO;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];
		struct finding *f;

		if (!vol_is_mine(vm, i) || v->foreign_luks || !is_locked(v) || v->role == VOL_TEMP ||
		    v->not_encrypted || (v->header && v->header->info.refused.msg[0]))
			continue;
		any = true;
		f = finding_add(out, &rule_wrong_key, v->node, NULL, 0);
		finding_say(f, "%s is locked, and no key that was found opens it", vol_name(v));
		say_keys(vm, f);
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_wrong_key = {
	.id = "wrong-key",
	.row = "",
	.title = "A volume is locked, and none of the keys found opens it.",
	.why = "The BEK VOLUME may belong to the rescue VM or to another disk; the key may have been rotated "
	       "since the disk was copied, or the copy is older "
	       "than the rotation. A value from Key Vault may still be wrapped by a key encryption key, or "
	       "belong to another secret version.",
	.advice = "Try the other versions of the secret in Key Vault: old ones are kept. The secret's tags "
		  "name the machine and the key file. For a wrapped "
		  "value, unwrap it with the key encryption key first.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.check = check,
};
