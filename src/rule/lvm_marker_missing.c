/* SPDX-License-Identifier: MIT */
/* Row 11: the OS is encrypted, its root lies on LVM inside that, and the marker that keeps ADE from beginning
 * anew is missing. It does not hold without LVM, nor where the LUKS volume lies on a logical volume: there
 * ADE sees osencrypt among the mounts; nor on EL6, whose method asks for nothing of the kind. */
#include <stdlib.h>
#include <string.h>

#include "rule/facts.h"
#include "rule/list.h"

static bool is_el(const struct vm *vm, const char *major)
{
	static const char *const ids[] = {"rhel", "centos", "ol"};
	size_t n = strlen(major);

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		if (str_eq(vm->os.id, ids[i]) && vm->os.version && !strncmp(vm->os.version, major, n) &&
		    (!vm->os.version[n] || vm->os.version[n] == '.'))
			return true;
	return false;
}

static void say_how(struct finding *f, const struct vm *vm)
{
	if (is_el(vm, "7"))
		finding_say(f,
			    "%s %s: the next enable with a new sequence number would remove the volume group "
			    "under the running system",
			    vm->os.id, vm->os.version);
	else
		finding_say(f, "the next enable with a new sequence number would overwrite "
			       "/boot/luks/osluksheader with zeroes");
	if (!vm->state.nmarkers)
		finding_say(f, "no marker is there at all");
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri t, enc;
	struct finding *f;

	if (!vm->root)
		return cannot_tell(why, "the root file system was not read, it may lie on LVM");
	if (!vm->root_lvm || is_el(vm, "6"))
		return TRI_NO;
	enc = os_encrypted(vm, why);
	t = marker_there(vm, "PatchBootSystemState", why);
	t = tri_and(enc, tri_not(t));
	if (t != TRI_YES)
		return t;

	f = finding_add(out, &rule_lvm_marker_missing, vm->state.mount ? vm->state.mount->node : vm->root,
			vm->state.path, 0);
	finding_say(f,
		    "the OS is encrypted with its root on LVM (%s), and "
		    "os_encryption_markers/PatchBootSystemState is not there",
		    or_dash(vm->root_lv));
	say_how(f, vm);
	return TRI_YES;
}

const struct rule rule_lvm_marker_missing = {
    .id = "lvm-marker-missing",
    .row = "11",
    .title = "A marker is missing that keeps ADE from encrypting the encrypted OS volume again.",
    .why = "ADE asks the list of mounts whether the OS is encrypted already; with the root on LVM that "
	   "list never shows it. Only the empty "
	   "file os_encryption_markers/PatchBootSystemState then keeps it from starting over. Without "
	   "the marker, the next enable with a new "
	   "sequence number overwrites /boot/luks/osluksheader with zeroes (online distributions) or "
	   "removes the volume group (RHEL 7). "
	   "The machine runs well until then.",
    .advice = "Run no enable. Save the header now (aderescue save DIR). Create the empty marker file "
	      "again, PrereqState and "
	      "PatchBootSystemState, before anything else is done with ADE.",
    .clean = NULL,
    .severity = SEV_ERROR,
    .verdict = VERDICT_DANGEROUS,
    .check = check,
};
