/* SPDX-License-Identifier: MIT */
/* Thousands of machines put together at random: whatever they hold, a verdict that lets something be set
 * aside, or says that there is nothing, is never given beside a fact that speaks against it, and knowing less
 * never gives a safer verdict. */
#include <criterion/criterion.h>

#include "vm-builder.h"

enum { MACHINES = 20000 };

static uint32_t state;
static unsigned dice(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % n;
}
static bool one_in(unsigned n)
{
	return dice(n) == 0;
}

static const char *const types[] = {"OS", "Data", "All", "", "data", "x"};
static const char *const phases[] = {"BackupHeader",
				     "EncryptDevice",
				     "EncryptingData",
				     "RecoverHeader",
				     "Done",
				     "DecryptingData",
				     "",
				     "?"};
static const char *const markers[] = {"PrereqState", "SelinuxState", "PatchBootSystemState",
				      "ResumeEncryptionState"};

static void random_state(struct build *b)
{
	cleanup_free char *config = str_printf("[azure_crypt_config]\nvolumetype = %s\nsecretseqnum = %s\n\n",
					       types[dice(6)], one_in(2) ? "" : "2");
	unsigned extras = dice(3);

	if (one_in(4))
		return;
	b_state(b);
	if (!one_in(3))
		b_config(b, one_in(10) ? "" : config);
	if (one_in(3))
		b_params(b, one_in(3) ? ""
				      : "[azure_extension_params]\nencryptionoperation = "
					"EnableEncryption\nkeyvaulturl = https://a/\n\n");
	if (one_in(3))
		b_queue(b, one_in(3) ? "[q]\nencryptionmode = Online\n\n" : "[q]\nvolumetype = All\n\n");
	if (one_in(6))
		b_dqueue(b);
	if (one_in(5))
		b_ongoing(b, phases[dice(8)]);
	for (unsigned i = 0; i < 4; i++)
		if (one_in(4))
			b_marker(b, markers[i]);
	for (unsigned i = 0; i < extras; i++) {
		static const enum state_kind kinds[] = {SK_HEADER_SLICE,  SK_ITEM_SLICE, SK_LUKS_HEADER,
							SK_CLEARTEXT_KEY, SK_BEK_BACKUP, SK_LOCK,
							SK_ARCHIVE,	  SK_PASSPHRASE, SK_OTHER,
							SK_ASIDE,	  SK_IMDS};
		struct state_file *f = b_file(b, "some file", kinds[dice(11)], dice(2) * 172);

		f->is_luks = f->kind == SK_LUKS_HEADER ? !one_in(4) : one_in(12);
		f->luks_damaged = one_in(20);
		f->opens = one_in(12);
		f->unreadable = one_in(15);
		f->type = one_in(15) ? FS_LINK : FS_FILE;
		if (f->is_luks && one_in(2))
			f->header = b_header(b, true);
	}
	b->vm.state.slice_compared = one_in(2);
	b->vm.state.slice_is_start = one_in(2);
}

static void random_volumes(struct build *b)
{
	unsigned n = dice(3);

	for (unsigned i = 0; i < n; i++) {
		struct volume *v = b_volume(b, "sde1", (enum vol_role)(one_in(5) ? VOL_OS : VOL_DATA),
					    (enum vol_state)(one_in(2) ? VS_PLAIN_FS : dice(7)));

		if (v->state == VS_OPENED)
			b_open(b, v, b_header(b, one_in(3)));
		else if (v->state == VS_LOCKED && !one_in(4))
			v->header = b_header(b, false);
		v->ade = v->state == VS_OPENED || one_in(5);
		v->foreign_luks = one_in(10) && (v->state == VS_LOCKED || v->state == VS_OPENED);
		v->not_encrypted = one_in(12);
		if (one_in(10))
			v->plain = (enum tri)dice(3);
		if (one_in(10))
			v->opaque = (enum tri)dice(3);
		b->mine[b->vm.nvolumes - 1] = !one_in(4);
	}
}

static void random_os(struct build *b)
{
	switch (dice(8)) {
	case 0:
	case 1:
		b_encrypted_os(b);
		b->vm.root_volume->dd_asked = !one_in(5);
		b->vm.root_volume->dd_low = one_in(5);
		break;
	case 2:
		b_lock_root(b, one_in(2) ? VS_LOCKED : VS_OPAQUE);
		break;
	case 3:
		b_boot_header(b)->info.online = one_in(2);
		break;
	default:
		break;
	}
	if (one_in(10))
		b->vm.root_volume->plain = (enum tri)dice(3);
	b->vm.root_lvm = one_in(12);
	if (one_in(12))
		b->vm.removed_vg.is = TRI_UNKNOWN;
}

static void random_rest(struct build *b)
{
	b->fs.stale = one_in(15);
	b->boot_fs.stale = one_in(15);
	if (one_in(12))
		b->vm.bootf.have = (enum have)dice(3);
	b->vm.bootf.read_whole = !one_in(12);
	if (one_in(12))
		b->vm.crypttab_file.have = HAVE_UNKNOWN;
	if (one_in(3)) {
		b_settings(b, 3, one_in(4) ? "DisableEncryption" : "EnableEncryption", types[dice(6)],
			   "https://b/");
		b->ext.mrseq = 2 + dice(2);
		b->ext.mrseq_have = (enum have)dice(3);
		b->ext.dual_pass = one_in(4);
		b->ext.version = b_str(b->ext.dual_pass ? "0.1.0.999340"
				       : one_in(2)	? "1.1.0.30"
							: "1.4.0.12");
	}
	if (one_in(12))
		b->vm.waagent = HAVE_UNKNOWN;
	if (one_in(6))
		b_line(b, one_in(2) ? "/etc/crypttab" : "/etc/fstab", (enum tab_owner)(1 + dice(4)),
		       "c49ff535", one_in(2) ? &b->volumes[dice((unsigned)b->vm.nvolumes)] : NULL);
	if (one_in(10))
		b_missing(b, "lun 7");
	b->vm.all_disks_attached = one_in(3);
	if (one_in(8))
		b->vm.data_disks_said = (int)dice(2);
	if (one_in(4))
		b_bek(b, "LinuxPassPhraseFileName", dice(2) * 172);
	b->vm.old_places = one_in(15) ? HAVE_UNKNOWN : HAVE_NO;
	b->vm.oldroot = (enum have)dice(3);
	b->vm.oldroot_empty = one_in(2);
}

static void random_machine(struct build *b, uint32_t seed)
{
	state = seed * 2654435761u + 88172645u;
	build_plain(b);
	random_os(b);
	random_volumes(b);
	random_state(b);
	random_rest(b);
	if (!b->vm.root)
		b->vm.state.have = HAVE_UNKNOWN;
}

/* ---- what must be true of any machine, asked anew from the facts ---- */

static bool may_be_encrypted(const struct build *b, const char **what)
{
	for (size_t i = 0; i < b->vm.nvolumes; i++) {
		const struct volume *v = &b->volumes[i];
		bool word = v->not_encrypted && !v->ade && !v->header && v->role != VOL_ROOT;

		if (v->foreign_luks || v->role == VOL_BOOT)
			continue;
		*what = "a volume";
		if (v->state == VS_OPENED || v->state == VS_LOCKED || (v->state == VS_OPAQUE && !word) ||
		    (v->state == VS_UNKNOWN && !word))
			return true;
		if (v->state == VS_PLAIN_FS && (v->plain != TRI_YES || v->opaque == TRI_YES))
			return true;
	}
	return false;
}

static bool in_flight(const struct build *b, const char **what)
{
	const char *phase = ini_get(&b->vm.state.ongoing.ini, "phase");

	*what = "a re-encryption";
	if (b->vm.bootf.header && b->vm.bootf.header->info.online)
		return true;
	*what = "an ongoing item";
	if (b->vm.state.have == HAVE_YES && b->vm.state.ongoing.have == HAVE_YES &&
	    !str_eq(phase, "BackupHeader") && !str_eq(phase, "Done"))
		return true;
	*what = "a slice";
	for (size_t i = 0; i < b->vm.state.n; i++) {
		const struct state_file *f = &b->files[i];

		if (f->kind == SK_ITEM_SLICE && f->size)
			return true;
		if (f->kind == SK_HEADER_SLICE && f->size &&
		    !(str_eq(phase, "BackupHeader") && b->vm.state.slice_compared &&
		      b->vm.state.slice_is_start))
			return true;
	}
	return false;
}

static bool not_seen(const struct build *b, const char **what)
{
	*what = "something not seen";
	return b->vm.state.have == HAVE_UNKNOWN || !b->vm.root || b->fs.stale ||
	       b->vm.bootf.have != HAVE_YES || !b->vm.bootf.read_whole ||
	       b->vm.crypttab_file.have == HAVE_UNKNOWN || b->vm.old_places == HAVE_UNKNOWN ||
	       b->vm.removed_vg.is == TRI_UNKNOWN || (b->vm.boot && b->boot_fs.stale);
}

static bool disk_missing(const struct build *b, const char **what)
{
	bool fits =
		b->vm.data_disks_said < 0 || (b->vm.data_disks_attached >= (unsigned)b->vm.data_disks_said &&
					      (unsigned)b->vm.data_disks_said >= b->vm.data_disks_named);
	bool said = (b->vm.all_disks_attached || b->vm.data_disks_said >= 0) && fits;

	*what = "a missing disk";
	return b->vm.nmissing && !said;
}

static bool header_file(const struct build *b)
{
	for (size_t i = 0; i < b->vm.state.n; i++)
		if (b->files[i].is_luks || b->files[i].luks_damaged)
			return true;
	return false;
}

static bool key_file(const struct build *b)
{
	for (size_t i = 0; i < b->vm.state.n; i++)
		if (b->files[i].opens || b->files[i].unreadable ||
		    (b->files[i].kind == SK_PASSPHRASE && b->files[i].size))
			return true;
	return false;
}

static void check_invariants(const struct build *b, const struct judgement *j, uint32_t seed)
{
	const char *what = "";

	if (j->verdict == VERDICT_STALE || j->verdict == VERDICT_NO_STATE) {
		cr_assert_not(may_be_encrypted(b, &what), "machine %u: %s beside %s", seed, j->rule->id,
			      what);
		cr_assert_not(in_flight(b, &what), "machine %u: %s beside %s", seed, j->rule->id, what);
		cr_assert_not(not_seen(b, &what), "machine %u: %s beside %s", seed, j->rule->id, what);
		cr_assert_not(disk_missing(b, &what), "machine %u: %s beside %s", seed, j->rule->id, what);
	}
	if (j->verdict == VERDICT_NO_STATE)
		cr_assert_not(header_file(b), "machine %u: %s beside a header file", seed, j->rule->id);
	if (j->verdict == VERDICT_CONSISTENT)
		cr_assert_not(b->vm.state.have == HAVE_UNKNOWN || b->fs.stale || b->vm.removed_vg.is != TRI_NO,
			      "machine %u: %s", seed, j->rule->id);
	if (j->clean_allowed) {
		cr_assert_eq(j->verdict, VERDICT_STALE);
		cr_assert_not(header_file(b) || key_file(b), "machine %u: a clean beside a header or key",
			      seed);
	}
	for (size_t i = 0; i < j->findings.n; i++)
		if (j->findings.v[i].severity == SEV_NEVER_DELETE)
			cr_assert_not(j->clean_allowed, "machine %u", seed);
	cr_assert_eq(j->clean_allowed && j->nrefused, 0);
}

static bool is_safe(enum verdict v)
{
	return v == VERDICT_CONSISTENT || v == VERDICT_STALE || v == VERDICT_NO_STATE;
}

/* One fact less. */
static void forget_one(struct build *b)
{
	struct volume *v = &b->volumes[dice((unsigned)b->vm.nvolumes)];

	switch (dice(12)) {
	case 0:
		b->vm.state.have = HAVE_UNKNOWN;
		break;
	case 1:
		b->vm.state.config.have =
			b->vm.state.have == HAVE_YES ? HAVE_UNKNOWN : b->vm.state.config.have;
		break;
	case 2:
		b->vm.state.ongoing.have =
			b->vm.state.have == HAVE_YES ? HAVE_UNKNOWN : b->vm.state.ongoing.have;
		break;
	case 3:
		b->vm.state.queue.have = b->vm.state.have == HAVE_YES ? HAVE_UNKNOWN : b->vm.state.queue.have;
		break;
	case 4:
		b->vm.crypttab_file.have = HAVE_UNKNOWN;
		break;
	case 5:
		b->vm.fstab_file.have = HAVE_UNKNOWN;
		break;
	case 6:
		b->vm.bootf.read_whole = false;
		break;
	case 7:
		b->vm.old_places = HAVE_UNKNOWN;
		break;
	case 8:
		v->plain = v->opaque = TRI_UNKNOWN;
		v->state = v->state == VS_PLAIN_FS ? VS_PLAIN_FS : VS_UNKNOWN;
		break;
	case 9:
		b->vm.waagent = HAVE_UNKNOWN;
		b->vm.ext = NULL;
		b->vm.nexts = 0;
		break;
	case 10:
		b->fs.stale = true;
		break;
	default:
		for (size_t i = 0; i < b->vm.state.n; i++)
			b->files[i].unreadable = true;
		break;
	}
}

Test(random, no_safe_verdict_beside_a_fact_that_speaks_against_it)
{
	static struct build b;
	unsigned count[VERDICT_UNKNOWN + 1] = {0}, allowed = 0;

	for (uint32_t seed = 1; seed <= MACHINES; seed++) {
		struct judgement *j = NULL;

		random_machine(&b, seed);
		cr_assert_eq(judge(&b.vm, &j, NULL), 0);
		check_invariants(&b, j, seed);
		count[j->verdict]++;
		allowed += j->clean_allowed;
		judgement_free(j);
		build_done(&b);
	}
	/* every verdict was reached, so that the above says something */
	for (int v = VERDICT_NO_STATE; v <= VERDICT_UNKNOWN; v++)
		cr_assert_gt(count[v], 20, "%s: %u", verdict_name((enum verdict)v), count[v]);
	cr_assert_gt(allowed, 100, "%u", allowed);
}

Test(random, knowing_less_never_gives_a_safer_verdict)
{
	static struct build b;
	unsigned changed = 0;

	for (uint32_t seed = 1; seed <= MACHINES; seed++) {
		struct judgement *before = NULL, *after = NULL;

		random_machine(&b, seed);
		cr_assert_eq(judge(&b.vm, &before, NULL), 0);
		forget_one(&b);
		cr_assert_eq(judge(&b.vm, &after, NULL), 0);
		if (is_safe(after->verdict))
			cr_assert_eq(before->verdict, after->verdict, "machine %u: %s became %s", seed,
				     before->rule->id, after->rule->id);
		if (after->clean_allowed)
			cr_assert(before->clean_allowed, "machine %u", seed);
		changed += before->verdict != after->verdict;
		judgement_free(before);
		judgement_free(after);
		build_done(&b);
	}
	cr_assert_gt(changed, 1000, "%u", changed);
}
