/* SPDX-License-Identifier: MIT */
/* Row 8: a LUKS header lies in the state directory, or where very old builds put it. Whatever its name, by
 * content. The row holds where the volume of that header is not attached or does not open. Where it opens,
 * this is a finding that forbids a clean and the rows below decide. With all disks confirmed and nothing left
 * that names it, it is header-without-volume. */
#include "rule/facts.h"
#include "rule/list.h"

struct walk {
	struct findings *out;
	enum tri t;
};

static void one(void *arg, const struct vm *vm, const struct state_file *s, const char *path)
{
	enum header_fate fate = header_file_fate(vm, s);
	struct walk *w = arg;
	struct finding *f;

	if (fate == HEADER_WITHOUT_VOLUME)
		return;
	f = finding_add(w->out, &rule_only_header_copy, vm->state.mount ? vm->state.mount->node : NULL, path,
			0);
	if (fate == HEADER_OPENS) {
		if (f)
			f->severity = SEV_NEVER_DELETE;
		finding_say(f,
			    "%s is the LUKS header of a volume that opens with it: without this file that "
			    "volume is lost",
			    s->name);
		return;
	}
	w->t = TRI_YES;
	if (s->luks_damaged)
		finding_say(f, "%s has the mark of a LUKS header and is damaged", s->name);
	else
		finding_say(
			f,
			"%s is a LUKS header, and the volume it belongs to is not attached or does not open",
			s->name);
	if (s->header && !s->header->info.broken)
		finding_say(f, "LUKS%d, UUID %s%s", s->header->info.version, s->header->info.uuid,
			    s->header->vk ? "; a key here opens the header itself" : "");
}

/* A file that could not be looked at may be a header. */
static enum tri unread(const struct vm *vm, char **why)
{
	for (size_t i = 0; i < vm->state.n; i++)
		if (vm->state.v[i].unreadable && vm->state.v[i].type == FS_FILE)
			return cannot_tell(
				why, "whether %s in the state directory is a LUKS header could not be told",
				vm->state.v[i].name);
	for (size_t i = 0; i < vm->nold_headers; i++)
		if (vm->old_headers[i].unreadable)
			return cannot_tell(why, "whether %s is a LUKS header could not be told",
					   vm->old_headers[i].name);
	if (vm->old_places == HAVE_UNKNOWN)
		return cannot_tell(
			why, "the places where very old versions kept LUKS headers could not be looked at");
	return state_believed(vm, why) ? TRI_NO : TRI_UNKNOWN;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct walk w = {out, TRI_NO};

	each_header_file(vm, one, &w);
	return w.t == TRI_YES ? TRI_YES : unread(vm, why);
}

const struct rule rule_only_header_copy = {
	.id = "only-header-copy",
	.row = "8",
	.title = "The state directory holds the only LUKS header of a data disk.",
	.why = "The dual-pass version of ADE keeps the LUKS header of an encrypted data disk as a file, "
	       "azureluksheader and a UUID, in its state "
	       "directory. The disk itself has no header and no signature. Whoever deletes the directory "
	       "destroys the data on that disk, even "
	       "with the passphrase at hand.",
	.advice = "Copy the header elsewhere first (aderescue save DIR). Attach the data disk it belongs to, "
		  "and its key. Never delete or move "
		  "the state directory of this machine.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_DANGEROUS,
	.check = check,
};
