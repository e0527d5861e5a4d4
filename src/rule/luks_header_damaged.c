/* SPDX-License-Identifier: MIT */
/* A LUKS header with damage: one of its copies is bad, or none can be believed. */
#include "rule/facts.h"
#include "rule/list.h"

static bool say(struct findings *out, const struct header *h, const struct node *where)
{
	if (!h || !h->info.damage.msg[0])
		return false;
	finding_say(finding_add(out, &rule_luks_header_damaged, h->node ? h->node : where, h->path, 0), "%s",
		    h->info.damage.msg);
	return true;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool boot_said = false, any = false;

	(void)why;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		if (!vol_is_mine(vm, i))
			continue;
		boot_said |= vm->volumes[i].header == vm->bootf.header;
		any |= say(out, vm->volumes[i].header, vm->volumes[i].node);
	}
	if (!boot_said)
		any |= say(out, vm->bootf.header, vm->boot);
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_luks_header_damaged = {
	.id = "luks-header-damaged",
	.row = "",
	.title = "A LUKS header is damaged.",
	.why = "LUKS2 keeps two copies of its metadata and can live on one; the key slots exist once. "
	       "Something wrote over part of the header.",
	.advice = "Save the header as it is (aderescue save DIR) before anything repairs it. cryptsetup "
		  "repairs a bad copy by itself when it opens the "
		  "volume for writing: let it do so only after that.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
