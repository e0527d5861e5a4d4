/* SPDX-License-Identifier: MIT */
/* Row 1: the root is opaque or LUKS, and nothing opens it. A header that a key opens, but whose volume cannot
 * be mapped here (a re-encryption in flight), is not locked. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri holds(const struct vm *vm, char **why)
{
	const struct volume *v = vm->root_volume;

	if (vm->root && (!v || v->state == VS_PLAIN_FS || v->state == VS_OPENED))
		return TRI_NO;
	if (!v)
		return cannot_tell(why, "the volume of the root file system was not found");
	switch (v->state) {
	case VS_LOCKED:
	case VS_OPAQUE:
		return is_locked(v) && !(vm->bootf.header && vm->bootf.header->vk &&
					 header_online(vm->bootf.header))
			       ? TRI_YES
			       : TRI_NO;
	case VS_PLAIN_FS:
	case VS_OPENED:
		return TRI_NO;
	case VS_BLANK:
	case VS_OTHER:
	case VS_UNKNOWN:
		break;
	}
	return cannot_tell(why, "nothing is recognised on %s, which should be the root volume", vol_name(v));
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct volume *v = vm->root_volume;
	const struct header *h;
	struct finding *f;
	enum tri t = holds(vm, why);

	if (t != TRI_YES)
		return t;
	h = v->header ? v->header : vm->bootf.header;
	f = finding_add(out, &rule_root_locked, v->node, NULL, 0);
	finding_say(f, "%s %s, and nothing here opens it", vol_name(v),
		    v->state == VS_LOCKED ? "is a LUKS volume" : "has no signature and is ciphertext");
	if (h && !h->info.broken)
		finding_say(f, "its header is whole: LUKS%d, UUID %s, %s", h->info.version, h->info.uuid,
			    h->path ? h->path : "on the volume itself");
	else if (vm->bootf.have != HAVE_YES)
		finding_say(f, "the boot file system that should hold its header could not be read or is not "
			       "attached");
	if (h && h->why)
		finding_say(f, "%s", h->why);
	return TRI_YES;
}

const struct rule rule_root_locked = {
	.id = "root-locked",
	.row = "1",
	.title = "The OS volume is encrypted and no key or header given here opens it.",
	.why = "Everything ADE remembers lies inside the encrypted volume, so nothing can be judged before "
	       "it opens. Azure adds the BEK VOLUME "
	       "with the key only for disks that are there when a VM is created or started from deallocated; "
	       "a disk attached later comes "
	       "without its key. A restore without encryption settings, or a snapshot from before a key "
	       "rotation, gives no key or an old one.",
	.advice = "Get the key: deallocate and start the rescue VM with the disk attached, or read the "
		  "secret from Key Vault and give it with "
		  "-k. Locked is not lost: the header says whether anything is damaged.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_UNKNOWN,
	.check = check,
};
