/* SPDX-License-Identifier: MIT */
/* The boot pieces of an encrypted OS that are files: ADE's hooks in the system, which the next initramfs is
 * made with; what the default kernel's initramfs really holds; vfat in modprobe.d, without which the BEK
 * VOLUME cannot be mounted; the filter of lvm.conf. What an image that was not walked to its end does not
 * show is not known. */
#include <string.h>

#include "rule/boot_pieces.h"

static const struct node *boot_node(const struct vm *vm)
{
	return vm->bootf.on_root ? vm->root : vm->boot;
}

static const char *root_partuuid(const struct vm *vm)
{
	return vm->root_raw && *vm->root_raw->partuuid ? vm->root_raw->partuuid : NULL;
}

/* ---- hooks ---- */

static void check_hook(const struct vm *vm, enum boot_hook hook, const char *what, struct pieces *p)
{
	switch (vm->bootf.pieces.hook[hook]) {
	case HAVE_YES:
		piece_agrees(p);
		break;
	case HAVE_NO:
		piece_wrong(p, vm->root, boot_hook_path[hook], 0,
			    "is not there: the next initramfs is made without %s", what);
		break;
	case HAVE_UNKNOWN:
		piece_unread(p, "%s could not be read", boot_hook_path[hook]);
	}
}

static void check_boot_script(const struct vm *vm, struct pieces *p)
{
	const struct boot_pieces *b = &vm->bootf.pieces;
	const char *path = boot_hook_path[HOOK_ADE_BOOT], *part = root_partuuid(vm);

	if (b->hook[HOOK_ADE_BOOT] != HAVE_YES || !part)
		return;
	if (*b->boot_partuuid && !str_eq_nocase(b->boot_partuuid, part))
		piece_wrong(p, vm->root, path, 0, "opens partition %s, but the OS volume is partition %s",
			    b->boot_partuuid, part);
	else if (b->boot_token && !*b->boot_partuuid)
		piece_wrong(p, vm->root, path, 0,
			    "its place holder ROOTPARTUUID was never replaced by the partition's PARTUUID");
	else if (*b->boot_partuuid)
		piece_agrees(p);
}

/* vfat as a module that modprobe.d does not let in. */
static void check_modprobe(const struct vm *vm, struct pieces *p)
{
	const struct boot_pieces *b = &vm->bootf.pieces;

	if (b->modprobe == HAVE_UNKNOWN)
		piece_unread(p, "not all of modprobe.d could be read");
	else if (b->modprobe == HAVE_YES && b->vfat != 'y')
		piece_wrong(p, vm->root, b->vfat_off_path, b->vfat_off_line,
			    "'%s': the BEK VOLUME is FAT and cannot be mounted; the next initramfs takes "
			    "this line in",
			    b->vfat_off);
	else
		piece_agrees(p);
}

static void check_lvm(const struct vm *vm, struct pieces *p)
{
	const struct boot_pieces *b = &vm->bootf.pieces;
	const struct lvm_filter *f = &b->filter;
	const char *part = root_partuuid(vm);

	if (b->lvm == HAVE_UNKNOWN)
		piece_unread(p, "/etc/lvm/lvm.conf could not be read");
	else if (b->lvm == HAVE_YES && f->line && f->rejects_rest && !f->takes_osencrypt)
		piece_wrong(p, vm->root, "/etc/lvm/lvm.conf", f->line,
			    "the filter does not let LVM see osencrypt, on which the volume group lies");
	else if (b->lvm == HAVE_YES && f->takes_osencrypt && *f->rejects && part &&
		 !str_eq_nocase(f->rejects, part))
		piece_wrong(p, vm->root, "/etc/lvm/lvm.conf", f->line,
			    "the filter rejects partition %s, but the OS volume is partition %s", f->rejects,
			    part);
	else
		piece_agrees(p);
}

void boot_pieces_hooks(const struct vm *vm, enum boot_method m, struct pieces *p)
{
	const struct boot_pieces *b = &vm->bootf.pieces;

	if (!b->looked) {
		piece_unread(p, "hooks, modprobe.d (vfat) and the filter of lvm.conf were not looked at");
		return;
	}
	switch (m) {
	case METHOD_UNKNOWN:
		break;
	case METHOD_KEYSCRIPT:
		check_hook(vm, HOOK_KEY_SCRIPT, "the script that reads the key", p);
		check_hook(vm, HOOK_LUKSHEADER, "the header", p);
		break;
	case METHOD_SCRIPT:
		check_hook(vm, HOOK_ADE_HOOK, "ADE's hook", p);
		check_hook(vm, HOOK_ADE_BOOT, "the script that opens the OS volume", p);
		check_boot_script(vm, p);
		if (b->hook[HOOK_FORCE_PARTUUID] == HAVE_YES)
			piece_wrong(
			    p, vm->root, boot_hook_path[HOOK_FORCE_PARTUUID], 0,
			    "is there again: the next update-grub boots the encrypted partition itself");
		else if (b->hook[HOOK_FORCE_PARTUUID] == HAVE_NO)
			piece_agrees(p);
		break;
	case METHOD_91ADE:
		check_hook(vm, HOOK_91ADE, "ADE's dracut module", p);
		break;
	case METHOD_ONLINE:
		check_hook(vm, HOOK_91ADE_ONLINE, "ADE's dracut module", p);
		check_hook(vm, HOOK_ADE_CONF, "dm_crypt and the modules that ADE asks for", p);
		break;
	}
	check_modprobe(vm, p);
	if (vm->root_lvm)
		check_lvm(vm, p);
}

/* ---- the default kernel's initramfs ---- */

struct image_check {
	const struct vm *vm;
	const struct boot_image *i;
	struct pieces *p;
};

static void missing(struct image_check *c, bool seen, const char *what)
{
	if (seen)
		piece_agrees(c->p);
	else if (c->i->in.whole)
		piece_wrong(c->p, boot_node(c->vm), c->i->path, 0, "%s is not in it", what);
}

/* A kernel module: in the image, or built into the kernel. Where neither is known it is no piece. */
static void check_module(struct image_check *c, const char *name, bool seen, bool builtin, char config)
{
	if (seen || builtin || config == 'y')
		piece_agrees(c->p);
	else if (config == 'm' && c->i->in.whole)
		piece_wrong(c->p, boot_node(c->vm), c->i->path, 0,
			    "the module %s is not in it, and the kernel does not have it built in", name);
}

static void check_image_partuuid(struct image_check *c)
{
	const struct initramfs *in = &c->i->in;
	const char *part = root_partuuid(c->vm);

	if (!in->boot_script || !part)
		return;
	if (*in->boot_partuuid && !str_eq_nocase(in->boot_partuuid, part))
		piece_wrong(c->p, boot_node(c->vm), c->i->path, 0,
			    "its crypt-ade-boot opens partition %s, but the OS volume is partition %s",
			    in->boot_partuuid, part);
	else if (in->boot_token && !*in->boot_partuuid)
		piece_wrong(c->p, boot_node(c->vm), c->i->path, 0,
			    "its crypt-ade-boot still has the place holder ROOTPARTUUID: the boot ends in "
			    "the initramfs shell");
	else if (*in->boot_partuuid)
		piece_agrees(c->p);
}

/* needed: this system boots from the copy. Where it is but a copy, its age is no matter. */
static void check_copy(struct image_check *c, bool needed)
{
	const struct header *h = c->vm->bootf.header;
	const struct node *at = boot_node(c->vm);
	const char *path = c->i->path;

	switch (c->i->copy) {
	case COPY_EQUAL:
	case COPY_OPENS:
		piece_agrees(c->p);
		return;
	case COPY_NONE:
		if (needed)
			missing(c, false,
				"a copy of the header (osluksheader), which this system boots from,");
		return;
	case COPY_ALONE:
		return;
	case COPY_OLDER:
		if (needed)
			piece_wrong(c->p, at, path, 0,
				    "the header in it has not the key slot that opens the OS volume "
				    "(sequence number %ju, that of /boot %ju): made before the key was "
				    "changed",
				    (uintmax_t)c->i->copy_seqid, h ? (uintmax_t)h->info.seqid : 0);
		return;
	case COPY_OTHER:
		piece_wrong(c->p, at, path, 0,
			    "the header in it is that of another volume than /boot/luks/osluksheader");
		return;
	case COPY_DAMAGED:
		if (needed)
			piece_wrong(c->p, at, path, 0, "the header in it %s",
				    c->i->in.header_zero ? "is nothing but zeroes"
							 : "is no LUKS header that can be read");
	}
}

static void check_crypttab(struct image_check *c)
{
	const char *line = c->i->in.crypttab, *part = root_partuuid(c->vm),
		   *have = line ? strstr(line, "by-partuuid/") : NULL;

	if (!have || !part)
		return;
	have += strlen("by-partuuid/");
	if (strlen(part) <= strcspn(have, " \t,") && !strncasecmp(have, part, strlen(part)))
		piece_agrees(c->p);
	else
		piece_wrong(c->p, boot_node(c->vm), c->i->path, 0,
			    "its crypttab names another partition than %s: '%s'", part, line);
}

/* An older kernel's image that has what the default's has not. */
static const char *better_image(const struct vm *vm)
{
	for (size_t i = 1; i < vm->bootf.pieces.nimages; i++) {
		const struct initramfs *in = &vm->bootf.pieces.images[i].in;

		if (in->whole && (in->boot_script || in->key_script || in->ade || in->ade_online))
			return vm->bootf.pieces.images[i].name;
	}
	return NULL;
}

static void check_opener(struct image_check *c, bool seen, const char *what)
{
	const char *other = better_image(c->vm);

	if (seen || !other || !c->i->in.whole)
		missing(c, seen, what);
	else
		piece_wrong(c->p, boot_node(c->vm), c->i->path, 0,
			    "%s is not in it; it is in %s, whose kernel can be chosen in the boot menu", what,
			    other);
}

static void check_vfat_line(struct image_check *c)
{
	const struct boot_pieces *b = &c->vm->bootf.pieces;
	const struct initramfs *in = &c->i->in;

	if (in->vfat_off && b->vfat != 'y' && !in->vfat_builtin)
		piece_wrong(c->p, boot_node(c->vm), c->i->path, 0,
			    "%s: the BEK VOLUME is FAT and cannot be mounted", in->vfat_off);
	else if (in->whole)
		piece_agrees(c->p);
}

void boot_pieces_image(const struct vm *vm, enum boot_method m, struct pieces *p)
{
	const struct boot_pieces *b = &vm->bootf.pieces;
	struct image_check c = {vm, b->images, p};
	const struct initramfs *in = b->has_default ? &b->images[0].in : NULL;

	if (!in) {
		if (!b->looked || vm->bootf.ninitrds)
			piece_unread(p, "%s",
				     b->looked ? "which initramfs image boots by default could not be told"
					       : "the inside of the initramfs images was not looked at");
		return;
	}
	if (!in->whole)
		piece_unread(p, "%s: %s", c.i->path, or_dash(in->why));
	if (m == METHOD_UNKNOWN)
		return;
	if (m == METHOD_SCRIPT) {
		check_opener(&c, in->boot_script, "crypt-ade-boot, which opens the OS volume,");
		check_image_partuuid(&c);
	} else if (m == METHOD_KEYSCRIPT) {
		check_opener(&c, in->key_script, "azure_crypt_key.sh, which reads the key,");
	} else {
		check_opener(&c, m == METHOD_91ADE ? in->ade : in->ade_online,
			     m == METHOD_91ADE ? "the dracut module 91ade" : "the dracut module 91adeOnline");
	}
	check_copy(&c, m == METHOD_KEYSCRIPT || m == METHOD_91ADE);
	check_crypttab(&c);
	missing(&c, in->cryptsetup, "cryptsetup");
	check_module(&c, "dm_crypt", in->dm_crypt, in->dm_crypt_builtin, b->dm_crypt);
	check_module(&c, "vfat", in->vfat, in->vfat_builtin, b->vfat);
	check_vfat_line(&c);
}
