/* SPDX-License-Identifier: MIT */
/* The newest settings were not run: the next boot runs them by itself. */
#include "rule/facts.h"
#include "rule/list.h"
#include "rule/request.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct settings *s = newest_settings(vm);
	enum tri t = request_pending(vm, why);
	struct finding *f;

	if (t != TRI_YES || !s)
		return t;
	f = finding_add(out, &rule_request_pending, vm->root, vm->ext->dir, 0);
	finding_say(f, "request no. %ju (%s, VolumeType %s) is the newest", (uintmax_t)s->seq,
		    or_dash(s->operation), or_dash(s->volume_type));
	if (vm->ext->mrseq_have == HAVE_YES)
		finding_say(f, "the last one that was run is no. %ju", (uintmax_t)vm->ext->mrseq);
	else
		finding_say(f, "there is no mrseq: nothing says that any request was run");
	return TRI_YES;
}

const struct rule rule_request_pending = {
	.id = "request-pending",
	.row = "",
	.title = "The newest request was never run; ADE runs it by itself at the next boot.",
	.why = "The agent hands each request to ADE as a numbered settings file; ADE notes the number of the "
	       "last one it ran in mrseq. When the two differ, "
	       "the next boot carries the request out without anybody asking again, encryption of the OS "
	       "disk included.",
	.advice = "Decide before the next boot: aderescue clean takes --for enable (let it run) or --for "
		  "no-start (nothing starts).",
	.clean = "With --for no-start, mrseq is set to the number of the newest settings.",
	.severity = SEV_WARNING,
	.check = check,
};
