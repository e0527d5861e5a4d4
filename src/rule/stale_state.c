/* SPDX-License-Identifier: MIT */
/* Row 18: nothing is encrypted anywhere, and what ADE left says otherwise. Needs proof of the first half: the
 * root and every data device plain in their raw bytes, no header in the state directory, nothing in flight,
 * no named disk missing. */
#include "rule/clean.h"
#include "rule/facts.h"
#include "rule/list.h"

static void note_header(void *arg, const struct vm *vm, const struct state_file *s, const char *path)
{
	bool *lonely = arg;

	(void)path;
	*lonely |= header_file_fate(vm, s) != HEADER_WITHOUT_VOLUME;
}

static enum tri no_header_files(const struct vm *vm)
{
	bool lonely = false;

	each_header_file(vm, note_header, &lonely);
	return lonely ? TRI_NO : TRI_YES;
}

/* BackupHeader and Done left nothing on a disk; anything else did. */
static enum tri item_harmless(const struct vm *vm, char **why)
{
	switch (ongoing_phase(vm, why)) {
	case PHASE_NONE:
	case PHASE_BACKUP:
	case PHASE_DONE:
		return TRI_YES;
	case PHASE_COPY:
	case PHASE_DECRYPT:
		return TRI_NO;
	case PHASE_UNKNOWN:
		break;
	}
	return TRI_UNKNOWN;
}

static bool line_is_left(const struct ade_line *l)
{
	return line_is_tab(l) && line_is_item(l);
}

static void say_files(const struct vm *vm, struct finding *f)
{
	static const struct {
		enum state_kind kind;
		const char *what;
	} kinds[] = {
		{SK_CONFIG, "a configuration"},
		{SK_PARAMS, "the parameters of a request"},
		{SK_QUEUE, "a request queue"},
		{SK_DECRYPT_QUEUE, "a decrypt queue with nothing left to decrypt"},
		{SK_ONGOING, "a note of a disk that was never touched or is done"},
		{SK_BEK_BACKUP, "an old passphrase"},
		{SK_CRYPT_MOUNT, "a list of mounts without devices"},
		{SK_CLEARTEXT_KEY, "a cleartext key that opens nothing"},
	};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
		for (size_t i = 0; i < vm->state.n; i++)
			if (vm->state.v[i].kind == kinds[k].kind)
				finding_say(f, "%s: %s%s", vm->state.v[i].name, kinds[k].what,
					    vm->state.v[i].size ? "" : " (empty)");
	if (vm->state.nmarkers)
		finding_say(f, "os_encryption_markers: %zu state%s done, among them %s", vm->state.nmarkers,
			    plural(vm->state.nmarkers), vm->state.markers[0]);
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	size_t lines = count_lines(vm, line_is_left);
	struct finding *f;
	enum tri t;

	t = tri_or(state_leftover(vm, why), lines ? TRI_YES : TRI_NO);
	t = tri_and(t, tri_and(item_harmless(vm, why), no_header_files(vm)));
	t = tri_and(t, root_plain(vm, why));
	if (t == TRI_NO)
		return t;
	t = tri_and(t, nothing_here(vm, why));
	if (t != TRI_YES)
		return t;
	f = finding_add(out, &rule_stale_state, vm->state.mount ? vm->state.mount->node : vm->root,
			vm->state.path, 0);
	say_files(vm, f);
	if (lines)
		finding_say(f, "%zu line%s of crypttab or fstab name mappers that no device backs", lines,
			    plural(lines));
	finding_say(f, "no LUKS header, no ciphertext and no copy under way on %zu volume%s", vm->nvolumes,
		    plural(vm->nvolumes));
	return TRI_YES;
}

const struct rule rule_stale_state = {
	.id = "stale-state",
	.row = "18",
	.title = "Nothing is encrypted, but what ADE left on the disk says otherwise.",
	.why = "An enable failed early, a Disable ended without tidying up, or the disk comes from a VM that "
	       "was restored from before the encryption. "
	       "ADE reads its leftover files again at every boot and acts on the mere existence of most of "
	       "them, so that each new request fails, "
	       "or starts something that nobody asked for.",
	.advice = "Take a snapshot, then let aderescue clean set the state aside. Azure's own records are "
		  "not changed by that: clear them with az vm "
		  "encryption disable, or by a new enable.",
	.clean = "Renames the state directory to azure_disk_encryption_config.aderescue-TIME on its own file "
		 "system, likewise an empty /oldroot and "
		 "/memroot, and comments out the ADE lines of crypttab and fstab whose mapper no device "
		 "backs. Nothing is deleted. With --for "
		 "no-start, mrseq is set to the number of the newest settings, so that the next boot starts "
		 "nothing.",
	.severity = SEV_WARNING,
	.verdict = VERDICT_STALE,
	.check = check,
	.fix = clean_state,
};
