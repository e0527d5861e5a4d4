/* SPDX-License-Identifier: MIT */
/* What forbids a clean, whatever the verdict says: a second look at the very things that would be set aside,
 * by content and not by name. Where it cannot be told, it is forbidden too. Each rule stands for itself, so
 * that a mistake in one row of the table, or in one of these, costs nothing alone. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rule/facts.h"
#include "rule/list.h"
#include "vm/ini.h"

static enum tri deny(char **why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static enum tri deny(char **why, const char *fmt, ...)
{
	cleanup_str struct str s = {0};
	va_list ap;

	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	free(*why);
	*why = str_take(&s);
	return TRI_YES;
}

/* A volume that is, or may be, encrypted. */
static enum tri deny_encrypted(const struct vm *vm, char **why)
{
	enum tri t;

	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (v->state == VS_OPENED && !v->foreign_luks && v->role != VOL_TEMP && v->role != VOL_BEK)
			return deny(why, "%s is encrypted", vol_name(v));
	}
	t = nothing_encrypted(vm, why);
	return t == TRI_NO ? deny(why, "a volume that is attached is encrypted") : tri_not(t);
}

static enum tri deny_root(const struct vm *vm, char **why)
{
	enum tri t = root_plain(vm, why);

	return t == TRI_NO ? deny(why, "the root is not plaintext") : tri_not(t);
}

static enum tri deny_online(const struct vm *vm, char **why)
{
	enum tri t = any_online(vm, why);

	return t == TRI_YES ? deny(why, "a re-encryption is in flight") : t;
}

/* A LUKS header under any name: primary or secondary magic, whole or damaged. */
static enum tri deny_header(const struct vm *vm, char **why)
{
	const char *name = NULL;

	for (size_t i = 0; !name && i < vm->state.n; i++)
		if (vm->state.v[i].is_luks || vm->state.v[i].luks_damaged || vm->state.v[i].header)
			name = vm->state.v[i].name;
	if (name)
		return deny(why,
			    "%s in the state directory is a LUKS header: it may be the only one of its disk",
			    name);
	return TRI_NO;
}

static enum tri deny_old_header(const struct vm *vm, char **why)
{
	for (size_t i = 0; i < vm->nold_headers; i++)
		if (vm->old_headers[i].is_luks || vm->old_headers[i].luks_damaged ||
		    vm->old_headers[i].unreadable)
			return deny(why, "%s is, or may be, the only LUKS header of a disk",
				    vm->old_headers[i].name);
	return vm->old_places == HAVE_UNKNOWN
		       ? cannot_tell(why, "the places of very old versions could not be looked at")
		       : TRI_NO;
}

/* Any file whose content opens a header: cleartext keys, bek_backup, a passphrase under another name. */
static enum tri deny_working_key(const struct vm *vm, char **why)
{
	for (size_t i = 0; i < vm->state.n; i++)
		if (vm->state.v[i].opens)
			return deny(why, "%s in the state directory is a key that opens a volume",
				    vm->state.v[i].name);
	return TRI_NO;
}

/* A cleartext key that opens nothing here may open a disk that is not here, whatever the operator says of it. */
static enum tri deny_cleartext_key(const struct vm *vm, char **why)
{
	for (size_t i = 0; i < vm->state.n; i++)
		if (vm->state.v[i].kind == SK_CLEARTEXT_KEY && vm->nmissing)
			return deny(why, "%s may be the key of a disk that is not attached",
				    vm->state.v[i].name);
	return TRI_NO;
}

static enum tri deny_cvm(const struct vm *vm, char **why)
{
	const char *type =
		vm->state.imds.have == HAVE_YES ? ini_get(&vm->state.imds.ini, "securitytype") : NULL;

	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *s = &vm->state.v[i];

		if (s->kind == SK_PASSPHRASE && (s->size || s->unreadable))
			return deny(why, "%s in the state directory is the passphrase of a confidential VM",
				    s->name);
		if (s->kind == SK_CUSTOM_CMK)
			return deny(why, "%s in the state directory belongs to the keys of a confidential VM",
				    s->name);
	}
	if (str_eq_nocase(type, "ConfidentialVM"))
		return deny(why, "this is a confidential VM, which keeps its keys in the state directory");
	return TRI_NO;
}

/* Slices of plaintext: the only copy of what they hold, but for a backup that equals the start of its
 * untouched disk. */
static enum tri deny_slices(const struct vm *vm, char **why)
{
	cleanup_free char *unused = NULL;
	bool harmless = vm->state.slice_compared && vm->state.slice_is_start &&
			ongoing_phase(vm, &unused) == PHASE_BACKUP;

	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *s = &vm->state.v[i];

		if (s->kind == SK_ITEM_SLICE && (s->size || s->unreadable))
			return deny(why, "%s may hold the only copy of a part of a disk", s->name);
		if (s->kind == SK_HEADER_SLICE && (s->size || s->unreadable) && !harmless)
			return deny(why, "%s may hold the only copy of the start of a disk", s->name);
	}
	return TRI_NO;
}

static enum tri deny_ongoing(const struct vm *vm, char **why)
{
	switch (ongoing_phase(vm, why)) {
	case PHASE_NONE:
	case PHASE_BACKUP:
	case PHASE_DONE:
		return TRI_NO;
	case PHASE_COPY:
	case PHASE_DECRYPT:
		return deny(why, "azure_crypt_ongoing_item.ini says that a disk is half copied");
	case PHASE_UNKNOWN:
		break;
	}
	return TRI_UNKNOWN;
}

/* azure_crypt_mount is the only record of its volumes: each must be the OS, or known to be plain or gone. */
static enum tri deny_crypt_mount(const struct vm *vm, char **why)
{
	if (vm->state.crypt_mount_have == HAVE_UNKNOWN)
		return cannot_tell(why, "azure_crypt_mount could not be read");
	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];

		if (line_is_tab(l) || l->owner != TAB_ADE_DATA)
			continue;
		if (l->volume ? l->volume->plain != TRI_YES && l->volume->state != VS_BLANK
			      : !disks_confirmed(vm))
			return deny(why,
				    "azure_crypt_mount is the only record of %s, which is not proved to be "
				    "plaintext",
				    or_dash(l->mapper));
	}
	return TRI_NO;
}

static enum tri deny_unreadable(const struct vm *vm, char **why)
{
	for (size_t i = 0; i < vm->state.n; i++)
		if (vm->state.v[i].unreadable)
			return deny(why, "%s in the state directory could not be read%s%s",
				    vm->state.v[i].name, vm->state.v[i].why ? ": " : "",
				    vm->state.v[i].why ? vm->state.v[i].why : "");
	if (!state_believed(vm, why))
		return TRI_UNKNOWN;
	return tri_not(all_looked_at(vm, why));
}

/* Things that ADE never makes there: whoever did may have meant something by it, and a directory was not
 * looked into. */
static enum tri deny_strange(const struct vm *vm, char **why)
{
	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *s = &vm->state.v[i];

		if (s->type == FS_FILE || (s->type == FS_DIR && s->kind == SK_MARKERS))
			continue;
		return deny(why, "%s in the state directory is a %s, which ADE does not make", s->name,
			    s->type == FS_DIR	 ? "directory"
			    : s->type == FS_LINK ? "symbolic link"
						 : "special file");
	}
	if (vm->state.odd_marker)
		return deny(why, "os_encryption_markers/%s in the state directory is no empty file, as ADE makes them",
			    vm->state.odd_marker);
	return TRI_NO;
}

static enum tri deny_not_a_directory(const struct vm *vm, char **why)
{
	if (vm->state.is_link || vm->state.not_dir)
		return deny(why, "the state directory is %s",
			    vm->state.is_link ? "a symbolic link" : "not a directory");
	if (vm->state.have == HAVE_YES &&
	    (!vm->state.mount || !vm->state.mount->node || !vm->state.real_path))
		return cannot_tell(why, "where the state directory really lies could not be told");
	return TRI_NO;
}

static enum tri deny_disks(const struct vm *vm, char **why)
{
	cleanup_free char *contradiction = disks_contradiction(vm);

	if (contradiction)
		return deny(why, "%s", contradiction);
	return tri_not(disks_complete(vm, why));
}

/* Only under row 17 does /boot/luks move, and only when it holds nothing but a header that opens nothing. */
static enum tri deny_boot_luks(const struct vm *vm, char **why)
{
	if (boot_luks_there(vm, why) == TRI_NO)
		return TRI_NO;
	if (vm->bootf.luks_dir == HAVE_UNKNOWN || !boot_believed(vm, why))
		return TRI_UNKNOWN;
	if (!vm->bootf.luks_dir_only_header)
		return deny(why, "/boot/luks holds more than a header file");
	if (vm->bootf.header && vm->bootf.header->opened)
		return deny(why, "the header in /boot/luks opens a volume");
	return TRI_NO;
}

static enum tri refuses_writes(const struct node *n, char **why)
{
	if (!n || !n->fs)
		return TRI_NO;
	if (n->fs->stale)
		return deny(why, "the journal of %s was not replayed", or_dash(n->name));
	if (n->fs->write_refused && !n->fs->by_kernel)
		return deny(why, "%s cannot be changed: %s", or_dash(n->name), n->fs->write_refused);
	return TRI_NO;
}

static enum tri deny_filesystem(const struct vm *vm, char **why)
{
	enum tri t = refuses_writes(vm->root, why);

	if (t == TRI_NO && vm->state.mount)
		t = refuses_writes(vm->state.mount->node, why);
	if (t == TRI_NO && vm->bootf.luks_dir == HAVE_YES && !vm->bootf.on_root)
		t = refuses_writes(vm->boot, why);
	return t;
}

static enum tri deny_stated(const struct vm *vm, char **why)
{
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (v->not_encrypted && (v->role == VOL_ROOT || v->header || v->ade))
			return deny(why,
				    "--not-encrypted is not accepted for %s: a header or the failed system "
				    "itself names it",
				    vol_name(v));
	}
	return TRI_NO;
}

const struct deny deny_rules[] = {
	{"encrypted-volume", deny_encrypted},
	{"root-not-plain", deny_root},
	{"online-in-flight", deny_online},
	{"luks-header", deny_header},
	{"old-luks-header", deny_old_header},
	{"working-key", deny_working_key},
	{"cleartext-key", deny_cleartext_key},
	{"confidential-vm", deny_cvm},
	{"slices", deny_slices},
	{"ongoing-item", deny_ongoing},
	{"crypt-mount", deny_crypt_mount},
	{"unreadable", deny_unreadable},
	{"strange-entry", deny_strange},
	{"not-a-directory", deny_not_a_directory},
	{"disks", deny_disks},
	{"boot-luks", deny_boot_luks},
	{"filesystem", deny_filesystem},
	{"stated", deny_stated},
	{NULL, NULL},
};
