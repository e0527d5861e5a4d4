/* SPDX-License-Identifier: MIT */
/* A LUKS header in the state directory to which no volume belongs any more: every disk is confirmed attached,
 * every device is proved plain or opened by another header, and nothing names its mapper. As after a finished
 * dual-pass Disable. Still never deleted. */
#include "rule/facts.h"
#include "rule/list.h"

struct walk {
	struct findings *out;
	bool any;
};

static void one(void *arg, const struct vm *vm, const struct state_file *s, const char *path)
{
	struct walk *w = arg;
	struct finding *f;

	if (header_file_fate(vm, s) != HEADER_WITHOUT_VOLUME)
		return;
	w->any = true;
	f = finding_add(w->out, &rule_header_without_volume, vm->state.mount ? vm->state.mount->node : NULL,
			path, 0);
	finding_say(f,
		    "%s is a LUKS header; every attached device is plaintext or opens with another header, "
		    "and nothing names it",
		    s->name);
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	struct walk w = {out, false};

	(void)why;
	each_header_file(vm, one, &w);
	return w.any ? TRI_YES : TRI_NO;
}

const struct rule rule_header_without_volume = {
	.id = "header-without-volume",
	.row = "",
	.title = "The state directory holds a LUKS header to which no volume belongs any more.",
	.why = "After a Disable of the dual-pass version the header files stay behind. Here every disk of "
	       "the VM was confirmed as attached, and all of "
	       "them are plaintext or open otherwise. A header cannot say which disk it belongs to, so that "
	       "this rests on the confirmation.",
	.advice = "Copy the file elsewhere (aderescue save DIR) and keep it. aderescue does not clean this "
		  "machine: if you are sure, set the directory "
		  "aside by hand, with mv and never with rm.",
	.clean = NULL,
	.severity = SEV_NEVER_DELETE,
	.check = check,
};
