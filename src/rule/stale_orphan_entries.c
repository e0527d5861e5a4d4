/* SPDX-License-Identifier: MIT */
/* 18i: lines of crypttab or fstab that name a mapper which no LUKS device backs. Where fstab.azure.backup has
 * the original of a line, it is quoted: nobody else remembers it. */
#include <string.h>

#include "rule/facts.h"
#include "rule/list.h"

/* The line of fstab.azure.backup that mounts the same place; malloc'd, NULL: none. */
static char *original_of(const struct vm *vm, const char *mount_at)
{
	const char *text = vm->fstab_azure_backup.have == HAVE_YES ? vm->fstab_azure_backup.text : NULL;

	if (!mount_at)
		return NULL;
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		size_t first = strcspn(text, " \t\n");
		const char *at = text + first + strspn(text + first, " \t");

		if (*text != '#' && first < n && strncmp(at, mount_at, strlen(mount_at)) == 0 &&
		    strchr(" \t\n", at[strlen(mount_at)]))
			return str_ndup(text, n);
		text += n + (text[n] == '\n');
	}
	return NULL;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	enum tri any = TRI_NO;

	if (!looks_stale(vm))
		return TRI_NO;
	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];
		cleanup_free char *original = NULL;
		enum tri orphan;
		struct finding *f;

		if (!line_is_tab(l) || l->owner == TAB_ADE_TEMP)
			continue;
		orphan = line_orphan(vm, l, why);
		any = tri_or(any, orphan);
		if (orphan != TRI_YES)
			continue;
		f = finding_add(out, &rule_stale_orphan_entries, vm->root, l->file,
				l->row ? l->row->line : 0);
		finding_say(f, "names mapper %s, which no attached device backs", or_dash(l->mapper));
		original = str_eq(l->file, "/etc/fstab") ? original_of(vm, l->mount_at) : NULL;
		if (original)
			finding_say(f, "the original line, from fstab.azure.backup: %s", original);
	}
	return any;
}

const struct rule rule_stale_orphan_entries = {
	.id = "stale-orphan-entries",
	.row = "18i",
	.title = "Lines of crypttab or fstab name encrypted volumes that do not exist.",
	.why = "ADE's lines stayed behind when the volumes were decrypted, replaced or detached. Each boot "
	       "waits for them, and ADE counts them as "
	       "encrypted volumes, which changes how its next request fails ('True is not in list').",
	.advice = "Let aderescue clean comment the lines out, then put the original line of fstab back where "
		  "one is quoted.",
	.clean = "Each such line is commented out with '# aderescue: ' in front; all other bytes, owner, "
		 "mode, times and extended attributes stay.",
	.severity = SEV_WARNING,
	.check = check,
};
