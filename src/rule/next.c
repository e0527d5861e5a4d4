/* SPDX-License-Identifier: MIT */
/* What to do next, and what not to do, by the row that gave the verdict. Only commands that write to no disk
 * of the case, or our own (which write after showing a plan and saving an undo file). RG, OSDISK, RESCUEVM,
 * SECRETURL, DIR, N stand for what no disk knows. A machine's name is put into a command only where it is
 * harmless there. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "rule/facts.h"
#include "rule/future.h"
#include "rule/list.h"

enum { MAX_LINES = 6, MAX_NAME = 64 };

/* {name} is the machine, {root} its root volume. */
static const struct advice {
	const char *id;
	const char *next[MAX_LINES], *stop[MAX_LINES];
} table[] = {
	{"os-header-lost",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK",
	  "aderescue diagnose --header COPY        a copy of osluksheader from elsewhere",
	  "aderescue save DIR", "aderescue explain os-header-lost"},
	 {"no enable, disable, mkfs, fsck, luksFormat; write nothing to the disk: older copies may still be "
	  "on it"}},
	{"os-header-lost, but a copy opens it",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK",
	  "aderescue save DIR        keeps the copy that opens the root, in DIR/headers",
	  "aderescue chroot --stage      put that copy to /boot/luks/osluksheader; nothing is written until commit",
	  "aderescue explain os-header-lost"},
	 {"no enable, disable, mkfs, fsck, luksFormat before the header is back",
	  "never delete the initramfs images of this VM: one of them may hold the only header"}},
	{"root-locked",
	 {"az vm deallocate -g RG -n RESCUEVM; az vm start -g RG -n RESCUEVM    brings the BEK VOLUME",
	  "aderescue diagnose", "az disk show -g RG -n OSDISK --query encryptionSettingsCollection",
	  "az keyvault secret show --id SECRETURL --query value -o tsv > k", "aderescue diagnose -k k"},
	 {"no enable, disable, fsck, mkfs, pvcreate on {root}: it looks empty and is not",
	  "no key in Run Command: its script stays on the VM"}},
	{"decryption-stuck",
	 {"az snapshot create -g RG -n {name}-before --source DATADISK",
	  "aderescue save DIR        keeps the cleartext keys and slices",
	  "aderescue explain decryption-stuck"},
	 {"never delete the decrypt queue, the ongoing item, the slice files or cleartext_key*",
	  "never resume the copy from the index on the disk"}},
	{"inplace-copy-interrupted",
	 {"az snapshot create -g RG -n {name}-before --source DATADISK", "aderescue save DIR",
	  "az vm start -g RG -n {name}    with all disks and its key: ADE goes on by itself",
	  "az vm encryption show -g RG -n {name}"},
	 {"never delete or move anything in the state directory",
	  "no mount, fsck, mkfs on the half-copied disk"}},
	{"decrypting",
	 {"az snapshot create -g RG -n {name}-before --source DATADISK",
	  "aderescue save DIR        keeps the cleartext keys",
	  "az vm start -g RG -n {name}    with all disks: ADE goes on by itself"},
	 {"never delete cleartext_key* or the decrypt queue"}},
	{"online-in-flight",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK",
	  "aderescue save DIR        keys, headers, tables",
	  "az vm start -g RG -n {name}    with its key: ADE goes on by itself",
	  "az vm encryption show -g RG -n {name}"},
	 {"no mount, pvcreate, mkfs, fsck, cryptsetup on the raw volume, whatever lsblk shows; no enable, no "
	  "disable",
	  "never delete /boot/luks, the queue or the markers"}},
	{"dd-interrupted",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK", "aderescue save DIR",
	  "aderescue explain dd-interrupted"},
	 {"no enable, fsck, mkfs: what is left of the plaintext would be lost"}},
	{"vg-removed",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK",
	  "aderescue save DIR        also keeps LVM's texts",
	  "aderescue cp -a :/ OUT    takes the files out, through the text from before",
	  "aderescue explain vg-removed"},
	 {"no vgcreate, pvcreate, mkfs on {root}"}},
	{"only-header-copy",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK",
	  "aderescue save DIR        keeps the header", "aderescue luks",
	  "aderescue diagnose        with the data disk attached"},
	 {"never delete the state directory: the header of a data disk is in it, the passphrase alone opens "
	  "nothing"}},
	{"lvm-marker-missing",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK",
	  "aderescue save DIR        keeps the header", "aderescue explain lvm-marker-missing"},
	 {"no enable before the markers are back: it overwrites the header of the OS volume"}},
	{"boot-pieces-missing",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK",
	  "aderescue chroot --stage        repair the named pieces; nothing is written until commit"},
	 {"never delete the state directory or its markers"}},
	{"bek-empty",
	 {"aderescue save DIR", "aderescue luks        which key opens what",
	  "az vm deallocate -g RG -n {name}; az vm start -g RG -n {name}",
	  "az keyvault secret show --id SECRETURL --query value -o tsv > k", "aderescue diagnose -k k"},
	 {"do not reboot the failed VM while it still runs: it may not come back without its key"}},
	{"rotation-in-flight",
	 {"aderescue save DIR        keeps both keys", "aderescue luks        which key opens which header"},
	 {"never delete bek_backup before the current key is seen to open every header"}},
	{"os-attempt-pending",
	 {"az snapshot create -g RG -n {name}-before --source OSDISK",
	  "aderescue chroot --stage        remove only the request queue",
	  "aderescue explain os-attempt-pending"},
	 {"never delete the state directory: the data disks need it"}},
	{"config-missing",
	 {"aderescue save DIR", "aderescue ls -l :/var/lib        is a directory set aside there?",
	  "aderescue explain config-missing"},
	 {"no enable, no disable before the configuration is back"}},
	{"volume-type-gap",
	 {"aderescue explain volume-type-gap"},
	 {"never delete the state directory; no enable with another type than All"}},
	{"os-never-finished",
	 {"az vm encryption show -g RG -n {name}", "aderescue explain os-never-finished"},
	 {"never delete the state directory: the data disks need it"}},
	{"finishing",
	 {"az vm start -g RG -n {name}    once, with its key", "az vm encryption show -g RG -n {name}"},
	 {"never delete the state directory or its markers"}},
	{"consistent",
	 {"aderescue chroot --stage      work in it; nothing is written until commit",
	  "aderescue cp -a :/srv OUT     take files out"},
	 {"never delete the state directory or os_encryption_markers of this VM: a later enable could "
	  "overwrite the header of the OS volume"}},
	{"configured", {"az vm encryption show -g RG -n {name}"}, {NULL}},
	{"residue",
	 {"az vm encryption show -g RG -n {name}    if it says encrypted: this is an old or a wrong disk"},
	 {NULL}},
	{"no-state",
	 {"az vm encryption show -g RG -n {name}    if it says encrypted: this is an old or a wrong disk"},
	 {NULL}},
	{"undecided",
	 {"aderescue scan        what is locked, damaged or waiting",
	  "aderescue diagnose --all-disks-attached        once they are", "aderescue save DIR"},
	 {"delete nothing and run no enable or disable before this is judged"}},
};

/* Letters, digits, dots and dashes only, and no dash in front: else a placeholder. */
static void safe_name(const char *name, char out[MAX_NAME + 1])
{
	size_t n = 0;

	while (name && name[n] && n < MAX_NAME &&
	       (isalnum((unsigned char)name[n]) || ((name[n] == '-' || name[n] == '.') && n)))
		n++;
	if (!n || name[n]) {
		memcpy(out, "VM", 3);
		return;
	}
	memcpy(out, name, n);
	out[n] = '\0';
}

static int put(const struct judgement *j, const char *text, char ***v, size_t *n)
{
	cleanup_str struct str s = {0};
	char name[MAX_NAME + 1];
	char **slot;

	safe_name(j->vm->name, name);
	while (*text) {
		if (strncmp(text, "{name}", 6) == 0) {
			str_add(&s, name);
			text += 6;
		} else if (strncmp(text, "{root}", 6) == 0) {
			const char *root = vol_name(j->vm->root_volume);

			str_add_escaped(&s, root, strlen(root), false);
			text += 6;
		} else {
			str_addn(&s, text++, 1);
		}
	}
	if (s.failed)
		return -ENOMEM;
	slot = vec_push(v, n);
	if (!slot)
		return -ENOMEM;
	*slot = str_take(&s);
	if (!*slot) {
		(*n)--;
		return -ENOMEM;
	}
	return 0;
}

static int next(struct judgement *j, const char *text)
{
	return put(j, text, &j->next, &j->nnext);
}

static int stop(struct judgement *j, const char *text)
{
	return put(j, text, &j->stop, &j->nstop);
}

/* A clean rests on the number of data disks, and on what the next boot may start. */
static int advise_stale(struct judgement *j)
{
	int err = next(j, "az snapshot create -g RG -n {name}-before --source OSDISK");

	if (!err && !disks_confirmed(j->vm))
		err = next(j, "az vm show -g RG -n {name} --query \"length(storageProfile.dataDisks)\"");
	if (!err && !j->clean_allowed) {
		err = next(j, "aderescue save DIR");
		if (!err)
			err = next(j, "aderescue clean        says why it refuses this machine");
		return err ? err
			   : stop(j, "do not delete the directory by hand: something in it may be the only "
				     "copy of a key or header");
	}
	if (!err && j->starts_by_itself) {
		err = next(j,
			   "aderescue clean --data-disks N --for enable      ADE may start at boot");
		if (!err)
			err = next(j, "aderescue clean --data-disks N --for no-start    ADE must not");
	} else if (!err) {
		err = next(j, "aderescue clean --data-disks N    shows the plan; writes nothing yet");
	}
	return err ? err : stop(j, "do not delete the directory by hand; do not run enable before clean");
}

static int advise_original_lines(struct judgement *j)
{
	for (size_t i = 0; i < j->findings.n; i++) {
		const struct finding *f = &j->findings.v[i];

		for (size_t k = 0; f->rule == &rule_stale_orphan_entries && k < f->nevidence; k++) {
			cleanup_free char *text = NULL;

			if (!str_starts(f->evidence[k], "the original line"))
				continue;
			text = str_printf("after clean, in the VM: %s", f->evidence[k]);
			if (!text || next(j, text) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int advise_never_delete(struct judgement *j)
{
	for (size_t i = 0; i < j->findings.n; i++)
		if (j->findings.v[i].severity == SEV_NEVER_DELETE)
			return stop(j, "never delete the state directory: it holds a key or a header that "
				       "something may need");
	return 0;
}

/* The table's word for the row. */
static const char *advice_id(const struct judgement *j)
{
	const struct volume *root = j->vm->root_volume;

	if (j->rule == &rule_os_header_lost && root && root->state == VS_OPENED)
		return "os-header-lost, but a copy opens it";
	return j->rule->id;
}

int advise(struct judgement *j)
{
	int err = 0;

	if (j->verdict == VERDICT_STALE)
		err = advise_stale(j);
	for (size_t i = 0; !err && i < sizeof(table) / sizeof(*table); i++) {
		if (!str_eq(table[i].id, advice_id(j)))
			continue;
		for (size_t k = 0; !err && k < MAX_LINES && table[i].next[k]; k++)
			err = next(j, table[i].next[k]);
		for (size_t k = 0; !err && k < MAX_LINES && table[i].stop[k]; k++)
			err = stop(j, table[i].stop[k]);
	}
	if (!err)
		err = advise_original_lines(j);
	return err ? err : advise_never_delete(j);
}
