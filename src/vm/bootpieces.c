/* SPDX-License-Identifier: MIT */
/* The pieces that an encrypted OS boots with, beyond menus and tables: ADE's hooks in the system, modprobe.d,
 * lvm.conf, and the inside of initramfs images. Which kernel boots by default is told as far as GRUB's menus
 * tell it: the saved entry, else the first one of the menu, else the newest kernel. An embedded header is
 * compared with the one of /boot by the key slot that opened the OS volume: copies are made when the
 * initramfs is, and grow old when the key is rotated. */
#include "vm/bootpieces.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/facts.h"

enum { MAX_IMAGES = 8, MAX_CONFS = 200, MAX_AREA = 4 << 20 };

const char *const boot_hook_path[HOOKS] = {
	[HOOK_LUKSHEADER] = "/usr/share/initramfs-tools/hooks/luksheader",
	[HOOK_KEY_SCRIPT] = "/usr/sbin/azure_crypt_key.sh",
	[HOOK_ADE_HOOK] = "/usr/share/initramfs-tools/hooks/crypt-ade-hook",
	[HOOK_ADE_BOOT] = "/usr/share/initramfs-tools/scripts/init-premount/crypt-ade-boot",
	[HOOK_91ADE] = "/lib/dracut/modules.d/91ade",
	[HOOK_91ADE_ONLINE] = "/lib/dracut/modules.d/91adeOnline",
	[HOOK_ADE_CONF] = "/etc/dracut.conf.d/ade.conf",
	[HOOK_FORCE_PARTUUID] = "/etc/default/grub.d/40-force-partuuid.cfg",
};

void bootpieces_done(struct boot_pieces *p)
{
	for (size_t i = 0; i < p->nimages; i++) {
		free(p->images[i].name);
		free(p->images[i].path);
		initramfs_done(&p->images[i].in);
	}
	free(p->images);
	free(p->kernel);
	free(p->vfat_off_path);
	free(p->vfat_off);
	*p = (struct boot_pieces){0};
}

/* ---- the system's tree ---- */

static enum have have_of(int err)
{
	return !err ? HAVE_YES : err == -ENOENT ? HAVE_NO : HAVE_UNKNOWN;
}

static enum have slurp(const struct vm *vm, const char *path, char **ret, size_t *ret_n, int *ret_err)
{
	int err = tree_slurp(&vm->tree, path, TEXT_MAX, ret, ret_n, NULL);

	*ret_err = err == -ENOMEM ? err : 0;
	return have_of(err);
}

static int read_modprobe_file(struct vm *vm, const char *path, struct err *e)
{
	struct boot_pieces *b = &vm->bootf.pieces;
	cleanup_free char *text = NULL;
	size_t n = 0;
	int err, off;

	switch (slurp(vm, path, &text, &n, &err)) {
	case HAVE_NO:
		return 0;
	case HAVE_UNKNOWN:
		b->modprobe = b->modprobe == HAVE_YES ? HAVE_YES : HAVE_UNKNOWN;
		return err ? err_oom(e) : 0;
	case HAVE_YES:
		break;
	}
	if (b->vfat_off)
		return 0;
	off = modprobe_vfat_off(text, n, &b->vfat_off, &b->vfat_off_line, e);
	if (off <= 0)
		return off;
	b->modprobe = HAVE_YES;
	b->vfat_off_path = str_printf("%s", path);
	return b->vfat_off_path ? 0 : err_oom(e);
}

static int read_modprobe_dir(struct vm *vm, const char *dir, struct err *e)
{
	cleanup_names struct names names = {0};
	int err = vm_names(vm, dir, MAX_CONFS, &names, NULL);

	if (err == -ENOMEM)
		return err_oom(e);
	if ((err < 0 && err != -ENOENT) || names.too_many)
		vm->bootf.pieces.modprobe = HAVE_UNKNOWN;
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = path_join(dir, names.v[i]);

		if (!path)
			return err_oom(e);
		err = str_ends(path, ".conf") ? read_modprobe_file(vm, path, e) : 0;
		if (err < 0)
			return err;
	}
	return 0;
}

static int read_modprobe(struct vm *vm, struct err *e)
{
	static const char *const dirs[] = {"/etc/modprobe.d", "/lib/modprobe.d"};
	int err = 0;

	vm->bootf.pieces.modprobe = HAVE_NO;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs) && !err; i++)
		err = read_modprobe_dir(vm, dirs[i], e);
	return err;
}

int bootpieces_tree(struct vm *vm, struct err *e)
{
	struct boot_pieces *b = &vm->bootf.pieces;
	cleanup_free char *script = NULL;
	cleanup_free char *lvm = NULL;
	size_t n = 0;
	int err;

	for (size_t i = 0; i < HOOKS; i++) {
		cleanup_free char *path = NULL;
		const struct mount *m;

		err = vm_where(vm, boot_hook_path[i], &m, &path, NULL, NULL);
		if (err == -ENOMEM)
			return err_oom(e);
		b->hook[i] = have_of(err);
	}
	if (slurp(vm, boot_hook_path[HOOK_ADE_BOOT], &script, &n, &err) == HAVE_YES)
		bootscript_partuuid(script, b->boot_partuuid, &b->boot_token);
	if (err)
		return err_oom(e);
	b->lvm = slurp(vm, "/etc/lvm/lvm.conf", &lvm, &n, &err);
	if (b->lvm == HAVE_YES)
		lvmconf_filter(lvm, n, &b->filter);
	if (err)
		return err_oom(e);
	b->looked = true;
	return read_modprobe(vm, e);
}

/* ---- which kernel ---- */

char *boot_version(const char *name)
{
	static const char *const before[] = {"vmlinuz-", "initrd.img-", "initramfs-", "initrd-"};

	if (strstr(name, "rescue") || strstr(name, "kdump") || str_ends(name, ".old") ||
	    str_ends(name, ".bak") || str_ends(name, ".dpkg-bak"))
		return NULL;
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++)
		if (str_starts(name, before[i])) {
			const char *version = name + strlen(before[i]);
			size_t n = strlen(version);

			if (i == 2 && str_ends(version, ".img"))
				n -= 4;
			return n ? str_ndup(version, n) : NULL;
		}
	return NULL;
}

static const char *base_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

/* GRUB knows an entry by its title, one of the Boot Loader Specification by its file's name. */
static bool is_named(const struct boot_entry *b, const char *saved)
{
	const char *file = base_of(b->file);
	size_t n = saved ? strlen(saved) : 0;

	if (!n || !file)
		return false;
	return str_eq(b->title, saved) ||
	       (!strncmp(file, saved, n) && (!file[n] || str_eq(file + n, ".conf")));
}

static bool is_bls(const struct boot_entry *b)
{
	return b->file && strstr(b->file, "/loader/entries/");
}

/* Entries of GRUB's own menu go by their order, those of the Boot Loader Specification by their version. */
static const struct boot_entry *default_entry(const struct boot_facts *b, const char *saved)
{
	const struct boot_entry *best = NULL;

	for (size_t i = 0; i < b->n; i++)
		if (is_named(&b->v[i], saved))
			return &b->v[i];
	for (size_t i = 0; i < b->n; i++) {
		const struct boot_entry *x = &b->v[i];
		cleanup_free char *version = x->kernel ? boot_version(base_of(x->kernel)) : NULL;

		if (!version)
			continue;
		if (!is_bls(x))
			return best && !is_bls(best) ? best : x;
		if (!best || strverscmp(base_of(x->kernel), base_of(best->kernel)) > 0)
			best = x;
	}
	return best;
}

int boot_newer(const void *a, const void *b)
{
	return strverscmp(*(char *const *)b, *(char *const *)a);
}

/* The version of the newest kernel that is there. */
static char *newest_kernel(const struct boot_facts *b)
{
	char *best = NULL;

	for (size_t i = 0; i < b->nkernels; i++) {
		char *version = boot_version(b->kernels[i]);

		if (version && (!best || strverscmp(version, best) > 0)) {
			free(best);
			best = version;
		} else {
			free(version);
		}
	}
	return best;
}

/* The file name of an entry's initramfs: the last of its initrd words that is one. */
static char *entry_image(const struct boot_entry *entry)
{
	char *ret = NULL;

	for (const char *p = entry->initrd; p && *p;) {
		size_t n;

		p += strspn(p, " \t");
		n = strcspn(p, " \t");
		if (n) {
			cleanup_free char *word = str_ndup(p, n);
			const char *base = base_of(word);

			if (base && str_starts(base, "initr") && !strchr(base, '$')) {
				free(ret);
				ret = str_printf("%s", base);
			}
		}
		p += n;
	}
	return ret;
}

static char *image_of_version(const struct boot_facts *b, const char *version)
{
	for (size_t i = 0; version && i < b->ninitrds; i++) {
		cleanup_free char *v = boot_version(b->initrds[i]);

		if (str_eq(v, version))
			return str_printf("%s", b->initrds[i]);
	}
	return NULL;
}

/* ---- images ---- */

static bool same_area(struct blk *a, struct blk *b, const struct luks_slot *s)
{
	cleanup_free uint8_t *x = NULL, *y = NULL;

	if (!s->area_size || s->area_size > MAX_AREA)
		return false;
	x = malloc(s->area_size);
	y = malloc(s->area_size);
	return x && y && blk_pread(a, x, s->area_size, s->area_offset, NULL) == 0 &&
	       blk_pread(b, y, s->area_size, s->area_offset, NULL) == 0 && !memcmp(x, y, s->area_size);
}

static const struct luks_slot *slot_find(const struct luks_info *info, int id)
{
	for (unsigned i = 0; i < info->nslots; i++)
		if (info->slots[i].id == id && info->slots[i].active)
			return &info->slots[i];
	return NULL;
}

/* Does every slot of /boot's header that matters (the one that opened the volume, else all) stand in the copy
 * as well? */
static bool has_slots(const struct header *h, struct blk *copy, const struct luks_info *info)
{
	bool any = false;

	for (unsigned i = 0; i < h->info.nslots; i++) {
		const struct luks_slot *s = &h->info.slots[i], *o;

		if (!s->active || s->reencrypt || (h->slot >= 0 && s->id != h->slot))
			continue;
		o = slot_find(info, s->id);
		if (!o || o->area_offset != s->area_offset || o->area_size != s->area_size ||
		    !same_area(h->blk, copy, s))
			return false;
		any = true;
	}
	return any;
}

static int compare_header(struct boot_image *i, const struct header *h, struct err *e)
{
	cleanup_free struct luks_info *info = calloc(1, sizeof(*info));
	cleanup_blk struct blk *copy = NULL;
	int r;

	if (!info)
		return err_oom(e);
	if (!i->in.header) {
		i->copy = i->in.header_path ? COPY_DAMAGED : COPY_NONE;
		return 0;
	}
	r = blk_open_mem(i->in.header, i->in.header_len, &copy, e);
	if (r < 0)
		return r;
	free(take_ptr(&i->in.header));
	r = luks_read(copy, info, NULL);
	if (r == -ENOMEM)
		return err_oom(e);
	i->copy_seqid = info->seqid;
	if (r <= 0 || info->broken)
		i->copy = COPY_DAMAGED;
	else if (!h || h->info.broken)
		i->copy = COPY_ALONE;
	else if (!str_eq_nocase(info->uuid, h->info.uuid))
		i->copy = COPY_OTHER;
	else if (!has_slots(h, copy, info))
		i->copy = COPY_OLDER;
	else
		i->copy = info->seqid == h->info.seqid ? COPY_EQUAL : COPY_OPENS;
	return 0;
}

static int look_into(struct vm *vm, struct fs *fs, const char *base, const char *name, struct err *e)
{
	struct boot_pieces *b = &vm->bootf.pieces;
	cleanup_free char *path = path_join(base, name);
	cleanup_free char *real = NULL;
	struct boot_image *slot;
	int err = path ? fs_resolve(fs, path, 0, &real, NULL) : -ENOMEM;

	if (err == -ENOMEM)
		return err_oom(e);
	slot = vec_push(&b->images, &b->nimages);
	if (!slot)
		return err_oom(e);
	slot->name = str_printf("%s", name);
	slot->path = path_join("/boot", name);
	if (!slot->name || !slot->path)
		return err_oom(e);
	if (err < 0) {
		slot->in.why = str_printf("%s", err == -ENOENT ? "is not there" : "could not be found");
		return slot->in.why ? 0 : err_oom(e);
	}
	err = initramfs_read(fs, real, true, &slot->in, e);
	if (!err)
		err = compare_header(slot, vm->bootf.header, e);
	free(take_ptr(&slot->in.header));
	return err;
}

/* Could an encrypted OS boot with this one, by what is in it? */
static bool has_all(const struct boot_image *i)
{
	const struct initramfs *r = &i->in;

	return r->whole && (r->boot_script || r->key_script || r->ade || r->ade_online) &&
	       i->copy != COPY_OLDER && i->copy != COPY_OTHER && i->copy != COPY_DAMAGED;
}

static int read_kernel_config(struct boot_pieces *b, struct fs *fs, const char *base, struct err *e)
{
	cleanup_free char *name = b->kernel ? str_printf("config-%s", b->kernel) : NULL;
	cleanup_free char *path = name ? path_join(base, name) : NULL;
	cleanup_free char *text = NULL;
	size_t n = 0;
	int err;

	if (!path)
		return b->kernel ? err_oom(e) : 0;
	err = fs_slurp(fs, path, TEXT_MAX, &text, &n, NULL);
	if (err < 0)
		return err == -ENOMEM ? err_oom(e) : 0;
	b->vfat = kconfig_value(text, n, "CONFIG_VFAT_FS");
	b->dm_crypt = kconfig_value(text, n, "CONFIG_DM_CRYPT");
	return 0;
}

int bootpieces_images(struct vm *vm, struct fs *fs, const char *base, const char *saved, struct err *e)
{
	struct boot_facts *f = &vm->bootf;
	struct boot_pieces *b = &f->pieces;
	const struct boot_entry *entry = default_entry(f, saved);
	cleanup_free char *image = entry ? entry_image(entry) : NULL;
	int err = 0;

	b->kernel = entry && entry->kernel ? boot_version(base_of(entry->kernel)) : NULL;
	if (!b->kernel)
		b->kernel = newest_kernel(f);
	if (!image)
		image = image_of_version(f, b->kernel);
	err = read_kernel_config(b, fs, base, e);
	if (!err && image)
		err = look_into(vm, fs, base, image, e);
	b->has_default = image && !err;
	if (err || (b->has_default && has_all(&b->images[0]) && !vm->look_closer))
		return err;
	for (size_t i = f->ninitrds; i > 0 && !err && b->nimages < MAX_IMAGES; i--) {
		cleanup_free char *version = boot_version(f->initrds[i - 1]);

		if (version && !str_eq(f->initrds[i - 1], image))
			err = look_into(vm, fs, base, f->initrds[i - 1], e);
	}
	return err;
}
