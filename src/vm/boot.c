/* SPDX-License-Identifier: MIT */
/* /boot of the failed system, on its own volume or on the root: menus and kernel arguments, kernels and
 * initial RAM disks, luks/osluksheader (read whole: whether it can be read decides whether a header is lost),
 * and whether ADE patched the boot path (arguments, initramfs hooks, dracut modules, lvm.conf's filter).
 * Initial RAM disks are named here, and opened by bootpieces.c where the OS is or may be encrypted. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/bootcfg.h"
#include "vm/bootpieces.h"
#include "vm/facts.h"
#include "vm/machine.h"

#define cleanup_text cleanup(text_done)

enum { MAX_ENTRIES = 10000, MAX_LUKS_FILES = 100, MAX_LUKS_DIRS = 16, MAX_BLS = 1000, MAX_EFI = 64 };

/* Where /boot lies: base is "/" on a volume of its own, "/boot" (links resolved) on the root. */
struct place {
	struct fs *fs;
	const struct node *node;
	char *base;
	bool in_tree; /* "/boot/..." of the tree leads there */
};

static void place_done(struct place *p)
{
	free(p->base);
}

static int find_place(struct vm *vm, struct place *p, struct err *e)
{
	const struct mount *m = NULL;
	struct fs_stat st;
	int err = vm_where(vm, "/boot", &m, &p->base, &st, e);

	if (!err && st.type != FS_DIR)
		return err_set(e, -ENOTDIR, "no directory");
	if (!err) {
		p->fs = m->fs;
		p->node = m->node;
		p->in_tree = true;
		vm->bootf.on_root = str_eq(m->at, "/");
		return 0;
	}
	if (!vm->boot || !vm->boot->fs || vm->boot == vm->root)
		return err;
	p->fs = vm->boot->fs;
	p->node = vm->boot;
	p->base = str_printf("/");
	return p->base ? 0 : err_oom(e);
}

/* A text file below /boot: through the tree where that leads there, else from the boot volume alone. */
static void place_text(struct vm *vm, const struct place *p, const char *name, struct text_file *ret)
{
	cleanup_free char *path = path_join("/boot", name);
	cleanup_free char *inside = path_join(p->base, name);
	char at[] = "/boot";
	struct mount only = {.at = at, .fs = p->fs, .node = p->node};
	struct vm alone = {.tree = {.v = &only, .n = 1}};

	if (!path || !inside) {
		*ret = (struct text_file){.have = HAVE_UNKNOWN};
		return;
	}
	if (p->in_tree) {
		text_read(vm, path, ret);
		return;
	}
	text_read(&alone, path, ret);
	for (size_t i = 0; i < alone.ngaps; i++) {
		vm_gap(vm, p->node, path, "%s", alone.gaps[i].why);
		free(alone.gaps[i].path);
		free(alone.gaps[i].why);
	}
	free(alone.gaps);
}

struct boot_reader {
	struct vm *vm;
	struct graph *graph;
	struct place place;
	struct bootvars vars;
};

static void boot_reader_done(struct boot_reader *r)
{
	place_done(&r->place);
	bootvars_done(&r->vars);
}

/* Parse one menu file; keep: where its text goes, or NULL. */
static int read_menu(struct boot_reader *r, const char *name, bool bls, struct text_file *keep, struct err *e)
{
	cleanup_text struct text_file t = {0};
	cleanup_free char *path = path_join("/boot", name);
	cleanup_free char *inside = path_join(r->place.base, name);
	struct bootmenu m = {.v = &r->vm->bootf.v,
			     .n = &r->vm->bootf.n,
			     .file = path,
			     .node_path = inside,
			     .vars = &r->vars};
	int err = 0;

	if (!path || !inside)
		return err_oom(e);
	place_text(r->vm, &r->place, name, &t);
	if (t.have == HAVE_YES)
		err = bls ? bootmenu_bls(&m, t.text, t.len, e) : bootmenu_grub(&m, t.text, t.len, e);
	if (m.full)
		vm_gap(r->vm, r->place.node, path, "more than %d boot entries", BOOT_MAX_ENTRIES);
	if (keep && (t.have == HAVE_YES || (t.have == HAVE_UNKNOWN && keep->have == HAVE_NO)) &&
	    keep->have != HAVE_YES) {
		text_done(keep);
		*keep = t;
		t = (struct text_file){0};
	}
	return err;
}

static int read_env(struct boot_reader *r, const char *name, struct err *e)
{
	cleanup_text struct text_file t = {0};

	place_text(r->vm, &r->place, name, &t);
	return t.have == HAVE_YES ? bootvars_parse(t.text, t.len, &r->vars, e) : 0;
}

/* Names of a directory below /boot. -ENOENT: no such directory. */
static int place_names(const struct place *p, const char *name, size_t max, struct names *ret, struct err *e)
{
	cleanup_free char *path = path_join(p->base, name);
	cleanup_free char *real = NULL;
	struct fs_stat st;
	int err;

	if (!path)
		return err_oom(e);
	err = fs_resolve(p->fs, path, 0, &real, e);
	if (!err)
		err = fs_stat(p->fs, real, 0, &st, e);
	if (!err && st.type != FS_DIR)
		err = err_set(e, -ENOTDIR, "no directory");
	return err ? err : names_list(p->fs, real, max, ret, e);
}

static int read_bls(struct boot_reader *r, struct err *e)
{
	cleanup_names struct names names = {0};
	struct err why = {""};
	int err = place_names(&r->place, "loader/entries", MAX_BLS, &names, &why);

	if (err == -ENOMEM)
		return err_oom(e);
	if ((err < 0 && err != -ENOENT) || names.too_many)
		vm_gap(r->vm, r->place.node, "/boot/loader/entries", "%s",
		       names.too_many ? "too many entries" : why.msg);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *name = path_join("loader/entries", names.v[i]);

		if (!str_ends(names.v[i], ".conf"))
			continue;
		err = name ? read_menu(r, name, true, NULL, e) : err_oom(e);
		if (err < 0)
			return err;
	}
	return 0;
}

/* The menu of EFI systems up to RHEL 8 lies on the ESP: /boot/efi/EFI/VENDOR/grub.cfg. */
static int read_efi_menus(struct boot_reader *r, struct err *e)
{
	cleanup_names struct names names = {0};
	int err;

	if (!r->place.in_tree || vm_names(r->vm, "/boot/efi/EFI", MAX_EFI, &names, NULL) < 0)
		return 0;
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *dir = path_join("efi/EFI", names.v[i]);
		cleanup_free char *name = dir ? path_join(dir, "grub.cfg") : NULL;
		cleanup_free char *env = dir ? path_join(dir, "grubenv") : NULL;
		cleanup_free char *path = name ? path_join("/boot", name) : NULL;
		cleanup_free char *real = NULL;
		const struct mount *m;

		if (!path || !env)
			return err_oom(e);
		if (vm_where(r->vm, path, &m, &real, NULL, NULL) < 0)
			continue;
		err = read_env(r, env, e);
		if (!err)
			err = read_menu(r, name, false, &r->vm->bootf.grub_cfg, e);
		if (err < 0)
			return err;
	}
	return 0;
}

static int read_menus(struct boot_reader *r, struct err *e)
{
	static const char *const envs[] = {"grub2/grubenv", "grub/grubenv"};
	static const char *const menus[] = {"grub/grub.cfg", "grub2/grub.cfg", "grub/grub.conf",
					    "grub/menu.lst"};
	size_t before;
	int err = 0;

	for (size_t i = 0; i < sizeof(envs) / sizeof(*envs) && !err; i++)
		err = read_env(r, envs[i], e);
	for (size_t i = 0; i < 2 && !err; i++)
		err = read_menu(r, menus[i], false, &r->vm->bootf.grub_cfg, e);
	before = r->vm->bootf.n;
	/* EL6: menu.lst is a link to grub.conf, so one of them is enough */
	for (size_t i = 2; i < 4 && !err && r->vm->bootf.n == before; i++)
		err = read_menu(r, menus[i], false, &r->vm->bootf.grub_cfg, e);
	if (!err)
		err = read_efi_menus(r, e);
	return err ? err : read_bls(r, e);
}

static int keep_name(char ***v, size_t *n, char **name, struct err *e)
{
	char **slot = vec_push(v, n);

	if (!slot)
		return err_oom(e);
	*slot = take_ptr(name);
	return 0;
}

static int read_images(struct boot_reader *r, struct names *names, struct err *e)
{
	struct boot_facts *b = &r->vm->bootf;
	int err = 0;

	for (size_t i = 0; i < names->n && !err; i++) {
		const char *s = names->v[i];

		if (str_starts(s, "vmlinuz"))
			err = keep_name(&b->kernels, &b->nkernels, &names->v[i], e);
		else if (str_starts(s, "initrd") || str_starts(s, "initramfs"))
			err = keep_name(&b->initrds, &b->ninitrds, &names->v[i], e);
	}
	return err;
}

/* Something below /boot could not be read: a lost header cannot be told any more. */
static void not_whole(struct boot_reader *r, const char *path, const char *why)
{
	r->vm->bootf.read_whole = false;
	vm_gap(r->vm, r->place.node, path, "%s", why);
}

static int read_luks_file(struct boot_reader *r, const char *dir, const char *name, struct err *e)
{
	struct boot_facts *b = &r->vm->bootf;
	cleanup_free char *path = path_join(dir, name);
	cleanup_free char *shown = path_join("/boot/luks", name);
	bool is_header = str_eq(name, "osluksheader");
	struct content c = {0};
	struct fs_stat st;
	struct err why = {""};
	int err;

	if (!path || !shown)
		return err_oom(e);
	err = fs_stat(r->place.fs, path, 0, &st, &why);
	if (!err && st.type != FS_FILE)
		err = err_set(&why, -EINVAL, "not a regular file");
	if (is_header)
		b->osheader.path = take_ptr(&shown);
	if (!err) {
		err = content_look(r->place.fs, path, st.size, CONTENT_MAX, &c, &why);
		if (is_header) {
			b->osheader.size = st.size;
			b->osheader.is_luks = c.header_place;
			b->osheader.zero_filled = !err && c.zero;
		}
	}
	if (err == -ENOMEM)
		return err_oom(e);
	if (err < 0)
		not_whole(r, is_header ? b->osheader.path : shown, why.msg);
	if (is_header && c.header_place &&
	    content_header(r->graph, r->place.node, path, false, &b->header, NULL) == -ENOMEM)
		return err_oom(e);
	return 0;
}

static int read_luks_dir(struct boot_reader *r, struct err *e)
{
	struct boot_facts *b = &r->vm->bootf;
	cleanup_free char *path = path_join(r->place.base, "luks");
	cleanup_free char *real = NULL;
	cleanup_names struct names names = {0};
	struct err why = {""};
	int err;

	if (!path)
		return err_oom(e);
	err = place_names(&r->place, "luks", MAX_LUKS_FILES, &names, &why);
	if (err == -ENOMEM)
		return err_oom(e);
	b->luks_dir = !err ? HAVE_YES : err == -ENOENT ? HAVE_NO : HAVE_UNKNOWN;
	if (b->luks_dir == HAVE_UNKNOWN || names.too_many)
		not_whole(r, "/boot/luks", err ? why.msg : "more entries than can be");
	if (err)
		return 0;
	if (fs_resolve(r->place.fs, path, 0, &real, &why) < 0)
		return 0;
	b->luks_dir_only_header = names.n == 0 || (names.n == 1 && str_eq(names.v[0], "osluksheader"));
	for (size_t i = 0; i < names.n; i++) {
		err = read_luks_file(r, real, names.v[i], e);
		if (err < 0)
			return err;
	}
	return 0;
}

/* One more piece of evidence that the boot path is ADE's. */
static void patched(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void patched(struct vm *vm, const char *fmt, ...)
{
	cleanup_free char *old = take_ptr(&vm->boot_patch_evidence);
	cleanup_str struct str s = {0};
	va_list ap;

	if (old && strlen(old) > 2000) {
		vm->boot_patch_evidence = take_ptr(&old);
		return;
	}
	if (old)
		str_addf(&s, "%s; ", old);
	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	vm->boot_patched = true;
	vm->boot_patch_evidence = str_take(&s);
}

static void patched_line(struct vm *vm, const char *file, unsigned line, const char *what)
{
	cleanup_free char *where = str_escape(file, strlen(file), false);
	cleanup_free char *arg = str_escape(what, strlen(what), false);

	patched(vm, "%s:%u: %s", where ? where : "?", line, arg ? arg : "?");
}

/* Lines of a text, comments left out, that hold ADE's arguments or (needle) a word. */
static void look_in_text(struct vm *vm, const struct text_file *t, const char *needle)
{
	unsigned line = 0;

	for (size_t off = 0, n; t->have == HAVE_YES && off < t->len; off += n + 1) {
		const char *p = t->text + off, *nl = memchr(p, '\n', t->len - off);
		cleanup_free char *copy = NULL;
		cleanup_free char *arg = NULL;

		n = nl ? (size_t)(nl - p) : t->len - off;
		line++;
		copy = str_ndup(p, n);
		if (!copy || copy[strspn(copy, " \t")] == '#')
			continue;
		arg = needle ? strstr(copy, needle) ? str_printf("%s", needle) : NULL : NULL;
		for (char *q = copy; !needle && !arg && (q = strchr(q, '=')); q++) {
			cleanup_free char *after = bootargs_patched(q + 1);

			arg = take_ptr(&after);
		}
		if (arg) {
			patched_line(vm, t->path ? t->path : "?", line, arg);
			return;
		}
	}
}

static void look_for_patches(struct vm *vm)
{
	static const char *const hooks[] = {
		"/usr/share/initramfs-tools/hooks/luksheader",
		"/usr/share/initramfs-tools/hooks/crypt-ade-hook",
		"/usr/share/initramfs-tools/scripts/init-premount/crypt-ade-boot",
		"/lib/dracut/modules.d/91ade",
		"/lib/dracut/modules.d/91adeOnline",
		"/etc/dracut.conf.d/ade.conf",
	};
	cleanup_text struct text_file lvm = {0};

	for (size_t i = 0; i < vm->bootf.n; i++) {
		cleanup_free char *arg = bootargs_patched(vm->bootf.v[i].args);

		if (arg)
			patched_line(vm, vm->bootf.v[i].file, vm->bootf.v[i].line, arg);
	}
	look_in_text(vm, &vm->bootf.default_grub, NULL);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
		if (vm_exists(vm, hooks[i], NULL) == HAVE_YES)
			patched(vm, "%s", hooks[i]);
	text_read(vm, "/etc/lvm/lvm.conf", &lvm);
	look_in_text(vm, &lvm, "osencrypt");
}

void boot_done(struct vm *vm)
{
	struct boot_facts *b = &vm->bootf;

	text_done(&b->grub_cfg);
	text_done(&b->default_grub);
	bootpieces_done(&b->pieces);
	for (size_t i = 0; i < b->n; i++)
		boot_entry_done(&b->v[i]);
	for (size_t i = 0; i < b->nkernels; i++)
		free(b->kernels[i]);
	for (size_t i = 0; i < b->ninitrds; i++)
		free(b->initrds[i]);
	free(b->v);
	free(b->kernels);
	free(b->initrds);
	free(b->osheader.path);
	*b = (struct boot_facts){0};
	free(take_ptr(&vm->boot_patch_evidence));
	vm->boot_patched = false;
}

static int read_boot(struct boot_reader *r, struct err *e)
{
	struct boot_facts *b = &r->vm->bootf;
	cleanup_names struct names names = {0};
	struct err why = {""};
	int err = find_place(r->vm, &r->place, &why);

	if (err == -ENOMEM)
		return err_oom(e);
	b->luks_dir = HAVE_UNKNOWN;
	if (err < 0) {
		b->have = HAVE_NO;
		path_gap(r->vm, r->vm->boot, "/boot", err, why.msg);
		return 0;
	}
	b->have = HAVE_YES;
	b->read_whole = true;
	err = names_list(r->place.fs, r->place.base, MAX_ENTRIES, &names, &why);
	if (err == -ENOMEM)
		return err_oom(e);
	if (err < 0 || names.too_many) {
		b->have = HAVE_UNKNOWN;
		not_whole(r, "/boot", err < 0 ? why.msg : "too many entries");
	}
	err = read_images(r, &names, e);
	if (!err)
		err = read_luks_dir(r, e);
	return err ? err : read_menus(r, e);
}

static const char *saved_entry(const struct bootvars *vars)
{
	for (size_t i = vars->n; i > 0; i--)
		if (str_eq(vars->v[i - 1].name, "saved_entry"))
			return vars->v[i - 1].value;
	return NULL;
}

/* Only where the OS is encrypted or the boot looks so: unpacking takes its time. */
static int read_pieces(struct boot_reader *r, struct err *e)
{
	struct vm *vm = r->vm;
	int err;

	if (!vm->boot_patched && !vm->bootf.header && !(vm->root && node_luks_above(vm->root)))
		return 0;
	err = bootpieces_tree(vm, e);
	if (!err && r->place.fs)
		err = bootpieces_images(vm, r->place.fs, r->place.base, saved_entry(&r->vars), e);
	return err;
}

int boot_read(struct vm *vm, struct graph *g, struct err *e)
{
	cleanup(boot_reader_done) struct boot_reader r = {.vm = vm, .graph = g};
	int err;

	boot_done(vm);
	err = read_boot(&r, e);
	if (err < 0)
		return err;
	text_read(vm, "/etc/default/grub", &vm->bootf.default_grub);
	look_for_patches(vm);
	return read_pieces(&r, e);
}

static int scan_file(struct graph *g, const struct node *node, struct fs *fs, const char *dir,
		     const char *name, struct err *e)
{
	cleanup_free char *path = path_join(dir, name);
	const struct header *h;
	struct content c;
	struct fs_stat st;
	int err;

	if (!path)
		return err_oom(e);
	if (fs_stat(fs, path, 0, &st, NULL) < 0 || st.type != FS_FILE)
		return 0;
	err = content_look(fs, path, st.size, HEADER_MAX, &c, NULL);
	if (c.header_place)
		err = content_header(g, node, path, false, &h, NULL);
	return err == -ENOMEM ? err_oom(e) : err == 1;
}

/* Register the header files of one directory, osluksheader before any other. */
static int scan_dir(struct graph *g, const struct node *node, struct fs *fs, const char *dir, struct err *e)
{
	cleanup_free char *real = NULL;
	cleanup_names struct names names = {0};
	int added, err = fs_resolve(fs, dir, 0, &real, NULL);

	if (!err)
		err = names_list(fs, real, MAX_LUKS_FILES, &names, NULL);
	if (err < 0)
		return err == -ENOMEM ? err_oom(e) : 0;
	added = scan_file(g, node, fs, real, "osluksheader", e);
	for (size_t i = 0; i < names.n && added >= 0; i++) {
		err = scan_file(g, node, fs, real, names.v[i], e);
		added = err < 0 ? err : added | err;
	}
	return added;
}

/* luks itself, then what stands beside it under a name that begins so (copies, what was set aside). */
static int scan_base(struct graph *g, const struct node *node, struct fs *fs, const char *base, struct err *e)
{
	cleanup_free char *luks = path_join(base, "luks");
	cleanup_names struct names names = {0};
	unsigned dirs = 0;
	int added, err;

	if (!luks)
		return err_oom(e);
	added = scan_dir(g, node, fs, luks, e);
	if (added < 0 || names_list(fs, base, MAX_ENTRIES, &names, NULL) < 0)
		return added;
	for (size_t i = 0; i < names.n && dirs < MAX_LUKS_DIRS; i++) {
		cleanup_free char *dir = NULL;

		if (!str_starts(names.v[i], "luks") || !names.v[i][4])
			continue;
		dirs++;
		dir = path_join(base, names.v[i]);
		err = dir ? scan_dir(g, node, fs, dir, e) : err_oom(e);
		if (err < 0)
			return err;
		added |= err;
	}
	return added;
}

int boot_scan_headers(struct graph *g, const struct node *node, struct fs *fs, struct err *e)
{
	cleanup_free char *boot = NULL;
	const char *bases[2] = {"/", NULL};
	int added = 0, r = 0;

	if (fs_resolve(fs, "/boot", 0, &boot, NULL) == 0 && !str_eq(boot, "/"))
		bases[1] = boot;
	for (size_t i = 0; i < 2 && r >= 0; i++) {
		r = bases[i] ? scan_base(g, node, fs, bases[i], e) : 0;
		added |= r > 0;
	}
	for (size_t i = 0; i < 2 && r >= 0; i++) {
		r = bases[i] ? headers_hunt(g, node, fs, bases[i], e) : 0;
		added |= r > 0;
	}
	return r < 0 ? r : added;
}
