/* SPDX-License-Identifier: MIT */
/* Row 17: /boot/luks is there, the root is proved plaintext and nothing else is encrypted: an attempt that
 * never began to encrypt. /boot/luks itself, not a copy under another name. */
#include "rule/clean.h"
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct volume *v = vm->root_volume;
	struct finding *f;
	enum tri t;

	t = tri_and(boot_luks_there(vm, why), root_plain(vm, why));
	if (t == TRI_NO)
		return t;
	t = tri_and(t, nothing_here(vm, why));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_fresh_header_plain_root, vm->bootf.on_root ? vm->root : vm->boot,
			"/boot/luks", 0);
	finding_say(f, "%s is plaintext%s%s", vol_name(v), v->plain_why ? ": " : "",
		    v->plain_why ? v->plain_why : "");
	if (vm->bootf.header && !vm->bootf.header->info.broken)
		finding_say(f,
			    "%s is a LUKS%d header, UUID %s, without a re-encryption in flight, and belongs "
			    "to nothing",
			    or_dash(vm->bootf.osheader.path), vm->bootf.header->info.version,
			    vm->bootf.header->info.uuid);
	else if (vm->bootf.osheader.path)
		finding_say(f, "%s is %s", vm->bootf.osheader.path,
			    vm->bootf.osheader.zero_filled ? "full of zeroes" : "no LUKS header");
	else
		finding_say(f, "/boot/luks is there without a header");
	return TRI_YES;
}

const struct rule rule_fresh_header_plain_root = {
	.id = "fresh-header-plain-root",
	.row = "17",
	.title = "An encryption of the OS disk was prepared and never began; its header directory is left in "
		 "/boot.",
	.why = "Before the first byte is encrypted, ADE makes /boot/luks with a header file in it. The "
	       "attempt ended there. A leftover /boot/luks "
	       "makes every retry fail on RHEL and CentOS 7. The root was proved to be plaintext from its "
	       "raw bytes, not by its signature alone.",
	.advice = "Take a snapshot, then let aderescue clean set /boot/luks and the state directory aside.",
	.clean = "Renames /boot/luks to /boot/luks.aderescue-TIME, then does what it does for stale-state. "
		 "Nothing is deleted.",
	.severity = SEV_WARNING,
	.verdict = VERDICT_STALE,
	.check = check,
	.fix = clean_boot_luks,
};
