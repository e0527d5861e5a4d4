/* SPDX-License-Identifier: MIT */
/* What the extension will do: at the next boot, on a new enable or disable, at the boot after a clean.
 * Follows its own dispatcher: the settings' number against mrseq, the mere existence of params and queues,
 * the guards in their order. What rests on things that no disk shows (Key Vault, the VM's size) is said with
 * an "if". */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rule/boot_pieces.h"
#include "rule/facts.h"
#include "rule/future.h"
#include "rule/list.h"
#include "rule/request.h"
#include "vm/ini.h"

/* cleaned: the state directory is set aside. by_itself: nobody asks again, the next boot does it. */
struct run {
	const struct vm *vm;
	bool cleaned, by_itself;
};

static int will(struct future *f, enum outcome outcome, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int will(struct future *f, enum outcome outcome, const char *fmt, ...)
{
	cleanup_str struct str s = {0};
	va_list ap;

	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	if (s.failed)
		return -ENOMEM;
	free(f->text);
	f->outcome = outcome;
	f->text = str_escape(str_text(&s), s.n, false);
	return f->text ? 0 : -ENOMEM;
}

/* What is in the state directory, for this run: nothing after a clean. */
static enum tri seen(const struct run *r, enum tri (*fact)(const struct vm *, char **))
{
	cleanup_free char *why = NULL;

	return r->cleaned ? TRI_NO : fact(r->vm, &why);
}

static enum tri backup_there(const struct vm *vm, char **why)
{
	return state_kind_there(vm, SK_BEK_BACKUP, "bek_backup", why);
}

static enum tri changed(const struct vm *vm, char **why)
{
	return params_differ(vm, NULL, why);
}

static enum tri patch_marker(const struct vm *vm, char **why)
{
	return marker_there(vm, "PatchBootSystemState", why);
}

static enum tri encrypted(const struct vm *vm)
{
	cleanup_free char *why = NULL;

	return any_encrypted(vm, &why);
}

static enum tri os_is_encrypted(const struct vm *vm)
{
	cleanup_free char *why = NULL;

	return os_encrypted(vm, &why);
}

static size_t plain_data_volumes(const struct vm *vm)
{
	size_t n = 0;

	for (size_t i = 0; i < vm->nvolumes; i++)
		n += vm->volumes[i].role == VOL_DATA && vm->volumes[i].state == VS_PLAIN_FS &&
		     vol_is_mine(vm, i);
	return n;
}

static bool wants_os(const struct settings *s)
{
	return str_eq_nocase(s->volume_type, "OS") || str_eq_nocase(s->volume_type, "All");
}

/* ---- enable ---- */
static int will_encrypt(const struct run *r, const struct settings *s, struct future *f)
{
	const char *how = r->by_itself ? "BY ITSELF at the next boot" : "if the key vault lets ADE in";
	size_t data = plain_data_volumes(r->vm);

	if (op_formats_all(s->operation) && (data || r->vm->nmissing))
		return will(f, OUT_DESTROYS,
			    "ADE FORMATS EVERY MOUNTED DATA VOLUME %s (no. %ju, EnableEncryptionFormatAll): "
			    "their data are lost",
			    how, (uintmax_t)s->seq);
	if (wants_os(s))
		return will(f, OUT_STARTS_ENCRYPTION,
			    "ADE STARTS ENCRYPTING THE OS DISK %s (no. %ju, VolumeType %s)%s", how,
			    (uintmax_t)s->seq, s->volume_type,
			    online_distro(r->vm) ? ": it reboots once and goes on while the VM runs"
						 : ": no SSH for hours");
	if (!data && !r->vm->nmissing)
		return will(f, OUT_NOTHING,
			    "ADE runs no. %ju (VolumeType %s) and finds no data volume to encrypt",
			    (uintmax_t)s->seq, or_dash(s->volume_type));
	return will(f, OUT_STARTS_ENCRYPTION,
		    "ADE STARTS ENCRYPTING THE DATA DISKS %s (no. %ju, VolumeType %s)", how,
		    (uintmax_t)s->seq, or_dash(s->volume_type));
}

/* Things that make an attempt on the OS fail, or succeed in name only. */
static bool os_blocked(const struct run *r, const struct settings *s, struct future *f, int *ret)
{
	const struct vm *vm = r->vm;

	if (!wants_os(s) || os_is_encrypted(vm) != TRI_NO)
		return false;
	if (online_distro(vm) && seen(r, patch_marker) == TRI_YES) {
		*ret = will(f, OUT_FAILS,
			    "reports success and leaves the OS in plaintext: its markers say that all steps "
			    "are done");
		return true;
	}
	if (!online_distro(vm) && vm->oldroot == HAVE_YES && !(r->cleaned && vm->oldroot_empty)) {
		*ret = will(f, OUT_FAILS,
			    "fails each time: /oldroot is there, and the OS encryption refuses to begin");
		return true;
	}
	return false;
}

/* The volume type guard. */
static bool type_refused(const struct run *r, const struct settings *s, struct future *f, int *ret)
{
	const char *vt = r->cleaned ? NULL : config_volume_type(r->vm);

	if (!vt || !s->volume_type || version_below(r->vm, "1.1.0.47", "9") ||
	    str_eq_nocase(vt, s->volume_type) || str_eq_nocase(s->volume_type, "All"))
		return false;
	*ret = will(f, OUT_FAILS, "fails: 'Moving from volume type %s to volume type %s is not allowed'", vt,
		    s->volume_type);
	return true;
}

static int run_first_time(const struct run *r, const struct settings *s, struct future *f)
{
	int ret = 0;

	if (type_refused(r, s, f, &ret))
		return ret;
	if (seen(r, config_there) == TRI_YES && key_expected(r->vm) == TRI_NO)
		return will(f, OUT_FAILS,
			    "fails in silence: 'EncryptionConfig is present, but could not get the %s file.'",
			    r->vm->ext && version_below(r->vm, "1.1.0.50", "9") ? "BEK" : "key");
	if (seen(r, config_there) == TRI_YES && key_expected(r->vm) == TRI_UNKNOWN && !r->cleaned)
		return will(f, OUT_UNKNOWN,
			    "depends on whether Azure still delivers the key that was stored; without it ADE "
			    "stops in silence");
	if (os_blocked(r, s, f, &ret))
		return ret;
	return will_encrypt(r, s, f);
}

static int run_queue(const struct run *r, const struct settings *s, struct future *f)
{
	int ret = 0;

	if (seen(r, config_there) == TRI_NO)
		return will(f, OUT_FAILS,
			    "ADE retries its queue at every boot and fails: 'Encryption config not found.'");
	if (!config_volume_type(r->vm))
		return will(f, OUT_FAILS,
			    "ADE crashes while it makes its status (no volume type in the configuration): no "
			    "status is reported");
	if (key_expected(r->vm) == TRI_NO)
		return will(f, OUT_FAILS,
			    "ADE retries its queue at every boot and fails: 'Passphrase file not found.'");
	if (os_blocked(r, s, f, &ret))
		return ret;
	if (key_expected(r->vm) == TRI_UNKNOWN)
		return will(f, OUT_UNKNOWN,
			    "ADE runs its queue again: it encrypts if Azure still delivers the key, else "
			    "'Passphrase file not found.'");
	return will_encrypt(r, s, f);
}

/* The sentence that a rotation without a key ends with, by version. */
static const char *no_key_message(const struct vm *vm)
{
	if (version_below(vm, "1.1.0.39", "0.1.0.999347"))
		return "'coercing to Unicode: need string or buffer, NoneType found'";
	if (version_below(vm, "1.1.0.50", "0.1.0.999347"))
		return "a TypeError about NoneType";
	return "'Cannot find current passphrase file. ...'";
}

static int run_rotation(const struct run *r, const struct settings *s, struct future *f)
{
	uint64_t seq;

	if (encrypted(r->vm) == TRI_YES)
		return will(f, OUT_WORKS,
			    "ADE takes the request no. %ju for a key rotation: a new key for every volume",
			    (uintmax_t)s->seq);
	if (config_secretseqnum(r->vm, &seq) && seq >= s->seq)
		return will(f, OUT_UNKNOWN,
			    "ADE takes the request for the second half of a key rotation; how it ends "
			    "depends on its key file");
	switch (key_expected(r->vm)) {
	case TRI_NO:
		if (count_lines(r->vm, line_is_item))
			return will(f, OUT_FAILS,
				    "fails each time: ADE tries to rotate a key that is not there, 'True is "
				    "not in list'");
		return will(f, OUT_FAILS, "fails each time: ADE tries to rotate a key that is not there, %s",
			    no_key_message(r->vm));
	case TRI_YES:
		return will(f, OUT_STARTS_ENCRYPTION,
			    "ADE rotates the key first, then encrypts what is plain (no. %ju, VolumeType %s)",
			    (uintmax_t)s->seq, or_dash(s->volume_type));
	case TRI_UNKNOWN:
		break;
	}
	return will(f, OUT_UNKNOWN,
		    "ADE tries to rotate the key: it fails if Azure no longer delivers one, %s",
		    no_key_message(r->vm));
}

static bool takes_rotation(const struct run *r)
{
	if (seen(r, params_there) == TRI_YES && seen(r, changed) == TRI_YES)
		return true;
	return seen(r, backup_there) == TRI_YES && version_below(r->vm, "1.1.0.39", "9");
}

/* One run of the handler with the newest settings. same: their number is that of the last run. */
static int run_handler(const struct run *r, bool same, struct future *f)
{
	const struct settings *s = newest_settings(r->vm);
	enum tri queue = seen(r, queue_there);

	if (!s)
		return will(f, OUT_UNKNOWN,
			    "the newest settings could not be read: what ADE does is not known");
	if (op_is_disable(s->operation))
		return will(f, OUT_NOTHING,
			    same ? "ADE does nothing: its last request, a Disable, was run"
				 : "ADE runs the Disable that was asked for last (no. %ju)",
			    (uintmax_t)s->seq);
	if (!op_is_enable(s->operation))
		return will(f, OUT_FAILS,
			    "ADE refuses its newest request: 'Encryption operation %s is not supported'",
			    or_dash(s->operation));
	if (queue == TRI_UNKNOWN)
		return will(f, OUT_UNKNOWN,
			    "the state directory could not be read: what ADE does is not known");
	if (takes_rotation(r))
		return same ? will(f, OUT_NOTHING, "ADE does nothing (request no. %ju was run)",
				   (uintmax_t)s->seq)
			    : run_rotation(r, s, f);
	if (queue == TRI_YES)
		return run_queue(r, s, f);
	if (same)
		return will(f, OUT_NOTHING, "ADE does nothing (request no. %ju was run)", (uintmax_t)s->seq);
	if (encrypted(r->vm) == TRI_YES && !(wants_os(s) && os_is_encrypted(r->vm) == TRI_NO))
		return will(f, OUT_NOTHING, "ADE runs no. %ju and finds everything encrypted",
			    (uintmax_t)s->seq);
	return run_first_time(r, s, f);
}

/* ---- boot ---- */
static int boot_generic(const struct vm *vm, bool cleaned, struct future *f)
{
	struct run r = {vm, cleaned, true};
	cleanup_free char *why = NULL, *why2 = NULL, *why3 = NULL;
	enum tri was_run = request_was_run(vm, &why);

	if (vm->boot_patched && root_looks_plain(vm, &why2) == TRI_YES)
		return will(f, OUT_FAILS,
			    "does not boot: the boot configuration expects osencrypt, which nothing maps");
	if (seen(&r, decrypt_queue_there) == TRI_YES)
		return will(f, OUT_NOTHING,
			    "boots; ADE finds its decrypt queue and nothing to decrypt, and removes it");
	if (!vm->ext) {
		if (vm->waagent == HAVE_UNKNOWN || vm->nexts)
			return will(f, OUT_UNKNOWN,
				    "whether the extension is on this disk, and which of its versions is "
				    "live, could not be told");
		return will(f, OUT_NOTHING,
			    "the extension is not on this disk: the boot runs nothing of ADE");
	}
	if (!vm->ext->newest)
		return will(f, OUT_NOTHING, "no request is on this disk: the boot runs nothing of ADE");
	if (was_run == TRI_UNKNOWN || (cleaned && request_pending(vm, &why3) == TRI_UNKNOWN))
		return will(f, OUT_UNKNOWN,
			    "which request ADE ran last could not be read: it may start by itself");
	return run_handler(&r, was_run == TRI_YES, f);
}

static int boot_online(const struct vm *vm, struct future *f)
{
	cleanup_free char *why = NULL;

	if (boot_pieces_wrong(vm))
		return will(f, OUT_FAILS,
			    "stops in the initramfs emergency shell: boot pieces disagree; once repaired it "
			    "boots and goes on");
	if (queue_there(vm, &why) == TRI_NO)
		return will(
			f, OUT_NOTHING,
			"boots if the key is there, but the encryption is not resumed: its queue is gone");
	return will(f, OUT_STARTS_ENCRYPTION, "boots if the key is there, and goes on encrypting by itself");
}

static int boot_lvm(const struct vm *vm, struct future *f)
{
	cleanup_free char *why = NULL;

	if (request_pending(vm, &why) != TRI_NO)
		return will(f, OUT_DESTROYS,
			    "ADE runs a request that was never run: it then %s",
			    online_distro(vm) ? "overwrites the header of the OS volume with zeroes"
					      : "removes the volume group of the running system");
	return will(f, OUT_NOTHING, "boots; ADE does nothing as long as no new request comes");
}

static int boot_of(const struct judgement *j, struct future *f)
{
	const char *id = j->rule->id;

	if (str_eq(id, "online-in-flight"))
		return boot_online(j->vm, f);
	if (str_eq(id, "lvm-marker-missing"))
		return boot_lvm(j->vm, f);
	if (str_eq(id, "bek-empty") && os_is_encrypted(j->vm) != TRI_YES)
		return will(f, OUT_UNKNOWN,
			    "boots; the data disks stay closed unless Azure makes the BEK VOLUME anew");
	return boot_generic(j->vm, false, f);
}

/* ---- enable and disable ---- */
static int enable_of(const struct judgement *j, struct future *f)
{
	struct run r = {j->vm, false, false};
	enum tri enc = encrypted(j->vm);

	if (j->vm->boot_patched && j->verdict == VERDICT_STALE)
		return will(f, OUT_FAILS, "the VM does not boot before its boot configuration is repaired");
	if (enc == TRI_YES && j->vm->root_lvm && os_is_encrypted(j->vm) != TRI_NO) {
		cleanup_free char *why = NULL;

		if (patch_marker(j->vm, &why) == TRI_YES)
			return will(f, OUT_WORKS,
				    "safe (markers present): the same settings do nothing; changed ones rotate the key");
		return will(f, OUT_UNKNOWN,
			    "not before the markers are checked: with the root on LVM they are what keeps "
			    "ADE from starting over");
	}
	/* an empty file makes any settings count as changed */
	if (enc == TRI_YES && j->vm->state.params.have == HAVE_YES && j->vm->state.params.ini.empty)
		return will(f, OUT_WORKS,
			    "rotates the key, with the same settings too: azure_crypt_params.ini is empty, so any count as changed");
	if (enc == TRI_YES)
		return will(f, OUT_WORKS,
			    "safe: the same settings do nothing; changed ones rotate the key; only the type "
			    "All adds volumes");
	if (!newest_settings(j->vm))
		return will(f, OUT_UNKNOWN,
			    "no earlier request to go by: as on a new VM, if the key vault lets ADE in");
	return run_handler(&r, false, f);
}

static int disable_of(const struct judgement *j, struct future *f)
{
	if (os_is_encrypted(j->vm) == TRI_YES)
		return will(f, OUT_FAILS,
			    "never: not supported with an encrypted OS disk; Azure's records go wrong");
	if (encrypted(j->vm) == TRI_YES)
		return will(f, OUT_WORKS,
			    "decrypts the data disks, if their key opens them; take a snapshot first, an "
			    "interrupted one is never resumed");
	if (encrypted(j->vm) == TRI_UNKNOWN)
		return will(f, OUT_UNKNOWN, "not before it is known what is encrypted");
	if (j->verdict == VERDICT_STALE)
		return will(f, OUT_UNKNOWN,
			    "nothing to decrypt; if the extension runs, it clears Azure's settings and "
			    "archives its own files");
	return will(f, OUT_NOTHING, "nothing to decrypt");
}

/* ---- rows whose future does not depend on more ---- */
static const struct {
	const char *id;
	struct {
		enum outcome outcome;
		const char *text;
	} boot, enable, disable;
} fixed[] = {
	{"os-header-lost",
	 {OUT_FAILS, "does not boot: nothing opens the OS volume without its header"},
	 {OUT_FAILS, "never: it cannot bring the header back, and may overwrite what is left"},
	 {OUT_FAILS, "never: not supported with an encrypted OS disk"}},
	{"root-locked",
	 {OUT_UNKNOWN, "depends on whether Azure can deliver the key to the VM"},
	 {OUT_UNKNOWN, "not before the volume was opened and judged"},
	 {OUT_UNKNOWN, "never with an encrypted OS disk"}},
	{"decryption-stuck",
	 {OUT_NOTHING,
	  "ADE sees its own note and does nothing: the status stays DecryptionInProgress for ever"},
	 {OUT_DESTROYS,
	  "never: once the decrypt queue is gone, the encrypting code picks the half-decrypted disk up"},
	 {OUT_FAILS, "is not resumed"}},
	{"inplace-copy-interrupted",
	 {OUT_STARTS_ENCRYPTION, "ADE goes on with the copy by itself, if the disk and its key are there"},
	 {OUT_UNKNOWN, "never while unfinished"},
	 {OUT_UNKNOWN, "never while unfinished: it overwrites the key"}},
	{"decrypting",
	 {OUT_WORKS, "ADE goes on decrypting the data disks that are attached"},
	 {OUT_UNKNOWN, "never while unfinished"},
	 {OUT_WORKS, "under way already"}},
	{"online-in-flight",
	 {OUT_UNKNOWN, NULL},
	 {OUT_UNKNOWN, "never while unfinished: settings change, keys rotate, or it is refused"},
	 {OUT_FAILS, "never while unfinished"}},
	{"dd-interrupted",
	 {OUT_FAILS, "does not boot: the OS volume is part ciphertext, part plaintext"},
	 {OUT_DESTROYS, "never: it would encrypt over what is left"},
	 {OUT_FAILS, "never: not supported with an encrypted OS disk"}},
	{"vg-removed",
	 {OUT_FAILS, "does not boot: the volume group of the root is not there"},
	 {OUT_FAILS, "never before the volume group is restored"},
	 {OUT_FAILS, "never before the volume group is restored"}},
	{"only-header-copy",
	 {OUT_UNKNOWN, "the OS boots; the data disk opens where it is attached, as long as the header file "
		       "stays in its place"},
	 {OUT_UNKNOWN, "not before the data disk is attached and opens"},
	 {OUT_UNKNOWN, "not before the data disk is attached and opens"}},
	{"lvm-marker-missing",
	 {OUT_UNKNOWN, NULL},
	 {OUT_DESTROYS, "ADE starts over: it overwrites the header of the OS volume with zeroes, or removes "
			"its volume group"},
	 {OUT_FAILS, "never: not supported with an encrypted OS disk"}},
	{"boot-pieces-missing",
	 {OUT_FAILS, "expect the initramfs emergency shell until the named pieces agree"},
	 {OUT_FAILS, "not before it boots"},
	 {OUT_FAILS, "never: not supported with an encrypted OS disk"}},
	{"bek-empty",
	 {OUT_FAILS,
	  "hangs for want of a key, unless the VM is deallocated and started and Key Vault still has it"},
	 {OUT_FAILS, "not before there is a key"},
	 {OUT_FAILS, "fails: 'luksAdd failed with return code'"}},
	{"os-attempt-pending",
	 {OUT_STARTS_ENCRYPTION, "ADE tries again to encrypt the OS disk, as at every boot"},
	 {OUT_UNKNOWN, "not before the request queue is out of the way"},
	 {OUT_WORKS, "decrypts the data disks, if their key opens them; take a snapshot first"}},
	{"finishing",
	 {OUT_WORKS, "boots with its key; ADE removes its queue and reports success"},
	 {OUT_UNKNOWN, "not before that boot"},
	 {OUT_FAILS, "never: not supported with an encrypted OS disk; Azure's records go wrong"}},
	{"undecided",
	 {OUT_UNKNOWN, "cannot be told from what was read"},
	 {OUT_UNKNOWN, "not before this machine is judged"},
	 {OUT_UNKNOWN, "not before this machine is judged"}},
};

static int foresee_three(struct judgement *j)
{
	size_t n = sizeof(fixed) / sizeof(*fixed), i = 0;
	int err;

	while (i < n && !str_eq(fixed[i].id, j->rule->id))
		i++;
	if (i == n)
		return boot_of(j, &j->boot) < 0 || enable_of(j, &j->enable) < 0 ||
				       disable_of(j, &j->disable) < 0
			       ? -ENOMEM
			       : 0;

	if (!fixed[i].boot.text || (str_eq(j->rule->id, "bek-empty") && os_is_encrypted(j->vm) == TRI_NO))
		err = boot_of(j, &j->boot);
	else
		err = will(&j->boot, fixed[i].boot.outcome, "%s", fixed[i].boot.text);
	if (!err)
		err = will(&j->enable, fixed[i].enable.outcome, "%s", fixed[i].enable.text);
	return err ? err : will(&j->disable, fixed[i].disable.outcome, "%s", fixed[i].disable.text);
}

int foresee(struct judgement *j)
{
	if (foresee_three(j) < 0)
		return -ENOMEM;
	if (j->verdict == VERDICT_STALE)
		return boot_generic(j->vm, true, &j->boot_after_clean);
	return will(&j->boot_after_clean, j->boot.outcome, "nothing is cleaned; %s", j->boot.text);
}
