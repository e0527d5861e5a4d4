/* SPDX-License-Identifier: MIT */
/* Row 7b: the root's physical volume, plain or inside the opened volume, names no logical volumes any more,
 * and its ring holds an older text that does. Without LVM it does not hold; a root that could not be read may
 * lie on LVM. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rule/facts.h"
#include "rule/list.h"

static void say_text(struct finding *f, const struct removed_vg *v)
{
	char when[32] = "";
	time_t t = (time_t)v->when;
	struct tm tm;

	if (v->when > 0 && gmtime_r(&t, &tm))
		strftime(when, sizeof(when), " of %Y-%m-%d %H:%MZ", &tm);
	finding_say(f,
		    "the text to restore is the one of seqno %ju%s, %zu logical volume%s, at byte %ju of %s: "
		    "the newest "
		    "from before the removals",
		    (uintmax_t)v->seqno, when, v->nlvs, plural(v->nlvs), (uintmax_t)v->offset, v->pv->name);
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct removed_vg *v = &vm->removed_vg;
	struct finding *f;

	if (v->is == TRI_UNKNOWN)
		return cannot_tell(why, "%s", or_dash(v->why));
	if (v->is == TRI_NO && !vm->root && !v->pv)
		return cannot_tell(why, "the root file system was not read, it may lie on LVM");
	if (v->is == TRI_NO || !v->pv)
		return TRI_NO;

	f = finding_add(out, &rule_vg_removed, v->pv, NULL, 0);
	if (v->now)
		finding_say(f, "volume group %s on %s has no logical volumes any more", v->now, v->pv->name);
	else
		finding_say(f, "physical volume %s names no volume group any more; it was %s", v->pv->name,
			    or_dash(v->name));
	say_text(f, v);
	if (vm->root && v->opened)
		finding_say(f,
			    "through that text the root can be read: it is whole as far as it was looked at");
	else
		finding_say(f, "the root could not be read through that text");
	if (v->encrypted)
		finding_say(f, "the device is encrypted already: the group was not restored behind it");
	return TRI_YES;
}

const struct rule rule_vg_removed = {
    .id = "vg-removed",
    .row = "7b",
    .title = "The volume group of the root was removed and not restored.",
    .why = "On RHEL and CentOS 7 with LVM, ADE removes the volume group rootvg before it encrypts the "
	   "partition, and restores it afterwards "
	   "from a copy in memory. When the machine goes down in between, the physical volume names no "
	   "volume group; the data are intact, and "
	   "older texts of the metadata are still in the ring at the start of the physical volume.",
    .advice =
	"Do not create a volume group, a file system or a partition here. The text to restore is "
	"the newest one in the ring from before "
	"the run of removals; the last text with the group's name has no volumes any more. Work on "
	"a copy of the disk. aderescue reads through that text without restoring it: ls, cat and cp show the "
	"files.",
    .clean = NULL,
    .severity = SEV_ERROR,
    .verdict = VERDICT_DANGEROUS,
    .check = check,
};
