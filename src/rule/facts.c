/* SPDX-License-Identifier: MIT */
/* Predicates about volumes: what is encrypted, what is proved plain, what is in flight. Terms are the
 * contract's: "plain" is proved by raw bytes, "opaque" and "locked" are possibly encrypted, a foreign LUKS
 * volume is a note and nothing else. A plaintext signature alone proves nothing: a re-encryption that was
 * only prepared shows one too. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rule/facts.h"
#include "vm/keys.h"

enum tri cannot_tell(char **why, const char *fmt, ...)
{
	cleanup_str struct str s = {0};
	va_list ap;

	if (*why)
		return TRI_UNKNOWN;
	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	*why = str_take(&s);
	return TRI_UNKNOWN;
}

const char *vol_name(const struct volume *v)
{
	return v && v->node && v->node->name ? v->node->name : "(unnamed volume)";
}

bool vol_is_mine(const struct vm *vm, size_t i)
{
	return !vm->mine || vm->mine[i];
}

bool vol_relevant(const struct volume *v)
{
	return v->role != VOL_BEK && v->role != VOL_TEMP && v->role != VOL_SMALL;
}

bool header_usable(const struct header *h)
{
	if (!h || h->info.broken)
		return false;
	if (h->vk || h->opened)
		return true;
	for (unsigned i = 0; i < h->info.nslots && i < LUKS_MAX_SLOTS; i++)
		if (h->info.slots[i].active && !h->info.slots[i].reencrypt)
			return true;
	return false;
}

bool header_online(const struct header *h)
{
	return h && (h->info.online || h->info.in_flight_magic);
}

bool is_locked(const struct volume *v)
{
	if (v->state != VS_LOCKED && v->state != VS_OPAQUE)
		return false;
	return !(v->header && (v->header->vk || v->header->opened));
}

/* The operator's word on an opaque volume: never on the root, on what a header belongs to, or on what the
 * failed system names. */
static bool stated_plain(const struct volume *v)
{
	return v->not_encrypted && v->role != VOL_ROOT && !v->header && !v->ade;
}

static enum tri plain_fs_unencrypted(const struct volume *v, char **why)
{
	if (header_online(v->header))
		return TRI_NO;
	if (v->opaque == TRI_YES)
		return cannot_tell(why, "%s shows a file system and looks like ciphertext", vol_name(v));
	if (v->role == VOL_BOOT || v->role == VOL_ESP || v->role == VOL_SWAP || v->plain == TRI_YES)
		return TRI_YES;
	return cannot_tell(why, "%s is not proved to be plaintext%s%s", vol_name(v), v->plain_why ? ": " : "",
			   v->plain_why ? v->plain_why : "");
}

/* Something small that bears a LUKS header is looked at all the same. */
static enum tri small_unencrypted(const struct volume *v, char **why)
{
	if (v->role == VOL_SMALL && v->state == VS_OPENED)
		return TRI_NO;
	if (v->role == VOL_SMALL && v->state == VS_LOCKED)
		return cannot_tell(why, "%s has a LUKS header and is locked", vol_name(v));
	return TRI_YES;
}

enum tri vol_unencrypted(const struct volume *v, char **why)
{
	if (v->foreign_luks)
		return TRI_YES;
	if (!vol_relevant(v))
		return small_unencrypted(v, why);

	switch (v->state) {
	case VS_OPENED:
		return TRI_NO;
	case VS_LOCKED:
		return v->ade ? TRI_NO : cannot_tell(why, "%s is locked", vol_name(v));
	case VS_OPAQUE:
		if (stated_plain(v))
			return TRI_YES;
		return v->ade ? TRI_NO
			      : cannot_tell(why, "%s has no signature and looks like ciphertext",
					    vol_name(v));
	case VS_BLANK:
		if (v->role != VOL_ROOT && !v->ade)
			return TRI_YES;
		return cannot_tell(why, "%s is named by the failed system and is blank", vol_name(v));
	case VS_PLAIN_FS:
	case VS_OTHER:
		return plain_fs_unencrypted(v, why);
	case VS_UNKNOWN:
		break;
	}
	if (stated_plain(v))
		return TRI_YES;
	return cannot_tell(why, "%s has no signature, and whether it is ciphertext could not be told",
			   vol_name(v));
}

enum tri os_encrypted(const struct vm *vm, char **why)
{
	const struct volume *v = vm->root_volume;

	if (!v)
		return cannot_tell(why, "the volume of the root file system was not found");
	if (v->foreign_luks)
		return TRI_NO;
	switch (v->state) {
	case VS_OPENED:
		return TRI_YES;
	case VS_LOCKED:
	case VS_OPAQUE:
		if (!is_locked(v))
			return TRI_YES;
		return cannot_tell(why, "the root volume %s is locked", vol_name(v));
	case VS_PLAIN_FS:
		if (v->plain == TRI_NO)
			return cannot_tell(
				why, "the root volume %s shows a file system, but not all of it is plaintext",
				vol_name(v));
		return TRI_NO;
	case VS_BLANK:
	case VS_OTHER:
	case VS_UNKNOWN:
		break;
	}
	return cannot_tell(why, "nothing is recognised on the root volume %s", vol_name(v));
}

static enum tri one_data_encrypted(const struct volume *v, char **why)
{
	if (v == NULL || v->foreign_luks || !vol_relevant(v))
		return TRI_NO;
	switch (v->state) {
	case VS_OPENED:
		return TRI_YES;
	case VS_LOCKED:
	case VS_OPAQUE:
		if (v->ade || !is_locked(v))
			return TRI_YES;
		if (stated_plain(v))
			return TRI_NO;
		return cannot_tell(why, "%s is %s", vol_name(v),
				   v->state == VS_LOCKED ? "locked" : "possibly ciphertext");
	case VS_PLAIN_FS:
		if (v->plain == TRI_NO)
			return cannot_tell(why, "%s shows a file system, but not all of it is plaintext",
					   vol_name(v));
		return TRI_NO;
	case VS_BLANK:
	case VS_OTHER:
		return TRI_NO;
	case VS_UNKNOWN:
		break;
	}
	if (v->opaque != TRI_UNKNOWN || stated_plain(v))
		return TRI_NO;
	return cannot_tell(why, "whether %s is ciphertext could not be told", vol_name(v));
}

enum tri data_encrypted(const struct vm *vm, char **why)
{
	enum tri any = TRI_NO;

	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (vol_is_mine(vm, i) && v != vm->root_volume)
			any = tri_or(any, one_data_encrypted(v, why));
	}
	return any;
}

enum tri any_encrypted(const struct vm *vm, char **why)
{
	enum tri os = os_encrypted(vm, why);

	return tri_or(os, data_encrypted(vm, why));
}

enum tri nothing_encrypted(const struct vm *vm, char **why)
{
	enum tri all = TRI_YES;

	if (!vm->root_volume || !vm->root)
		all = cannot_tell(why, "the root file system was not read");
	for (size_t i = 0; i < vm->nvolumes; i++)
		all = tri_and(all, vol_unencrypted(&vm->volumes[i], why));
	return all;
}

enum tri root_plain(const struct vm *vm, char **why)
{
	const struct volume *v = vm->root_volume;

	if (!v || !vm->root)
		return cannot_tell(why, "the root file system was not read");
	if (v->state == VS_OPENED || v->foreign_luks)
		return TRI_NO;
	return vol_unencrypted(v, why);
}

enum tri root_looks_plain(const struct vm *vm, char **why)
{
	const struct volume *v = vm->root_volume;

	if (!v)
		return cannot_tell(why, "the volume of the root file system was not found");
	if (v->state != VS_PLAIN_FS)
		return v->state == VS_UNKNOWN
			       ? cannot_tell(why, "nothing is recognised on the root volume %s", vol_name(v))
			       : TRI_NO;
	if (v->plain == TRI_NO)
		return cannot_tell(why, "not all of the root volume %s is plaintext", vol_name(v));
	return TRI_YES;
}

bool boot_believed(const struct vm *vm, char **why)
{
	const struct node *n = vm->bootf.on_root ? vm->root : vm->boot;

	if (vm->bootf.have != HAVE_YES || !vm->bootf.read_whole) {
		cannot_tell(why, "/boot could not be read whole");
		return false;
	}
	if (n && n->fs && n->fs->stale) {
		cannot_tell(why, "the journal of the file system with /boot (%s) was not replayed", n->name);
		return false;
	}
	return true;
}

enum tri boot_luks_there(const struct vm *vm, char **why)
{
	if (vm->bootf.luks_dir == HAVE_YES || vm->bootf.osheader.path)
		return TRI_YES;
	if (vm->bootf.luks_dir == HAVE_UNKNOWN)
		return cannot_tell(why, "whether /boot/luks exists could not be told");
	return boot_believed(vm, why) ? TRI_NO : TRI_UNKNOWN;
}

static enum tri one_online(const struct volume *v, char **why)
{
	if (v->foreign_luks)
		return TRI_NO;
	if (header_online(v->header))
		return TRI_YES;
	if (v->state == VS_LOCKED && (!v->header || v->header->info.broken))
		return cannot_tell(why, "the LUKS header of %s cannot be read", vol_name(v));
	if (v->state == VS_UNKNOWN && v->opaque == TRI_UNKNOWN && vol_relevant(v))
		return cannot_tell(why, "%s could not be read", vol_name(v));
	return TRI_NO;
}

enum tri any_online(const struct vm *vm, char **why)
{
	enum tri any = header_online(vm->bootf.header) ? TRI_YES : TRI_NO;

	for (size_t i = 0; i < vm->nvolumes; i++)
		if (vol_is_mine(vm, i))
			any = tri_or(any, one_online(&vm->volumes[i], why));
	if (any == TRI_YES)
		return any;
	/* a root that opened tells by its own header; else only a /boot that was read shows that there is
	 * none in flight */
	if (vm->root_volume && vm->root_volume->state == VS_OPENED && vm->root_volume->header)
		return any;
	if (!boot_believed(vm, why))
		return TRI_UNKNOWN;
	if (vm->bootf.osheader.is_luks && (!vm->bootf.header || vm->bootf.header->info.broken))
		return cannot_tell(why, "luks/osluksheader is a LUKS header that cannot be read");
	return any;
}
