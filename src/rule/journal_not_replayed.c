/* SPDX-License-Identifier: MIT */
/* A file system was read past a journal that was not replayed: what it does not show may be there all the
 * same. */
#include "rule/facts.h"
#include "rule/list.h"

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	for (size_t i = 0; i < vm->tree.n; i++) {
		const struct mount *m = &vm->tree.v[i];

		if (!m->fs || !m->fs->stale)
			continue;
		any = true;
		finding_say(finding_add(out, &rule_journal_not_replayed, m->node, m->at, 0),
			    "its journal was not replayed%s%s",
			    m->node && m->node->replay_why.msg[0] ? ": " : "",
			    m->node ? m->node->replay_why.msg : "");
	}
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_journal_not_replayed = {
	.id = "journal-not-replayed",
	.row = "",
	.title = "A file system was not closed cleanly, and its journal could not be replayed here.",
	.why = "The machine crashed or was stopped hard. The last changes are in the journal only; files "
	       "that were made or removed last are not seen. What was "
	       "read is not believed where it says that something is absent.",
	.advice = "Run aderescue where FUSE and e2fsck are at hand, and as root for XFS, whose log the kernel "
		  "replays: on an overlay, never on the disk.",
	.clean = NULL,
	.severity = SEV_WARNING,
	.check = check,
};
