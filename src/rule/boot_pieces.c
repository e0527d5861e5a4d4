/* SPDX-License-Identifier: MIT */
/* The boot pieces of an encrypted OS that lie in tables and menus: the osencrypt line of crypttab, the
 * header's path in it, the header file itself, and the PARTUUIDs and UUIDs named by crypttab, by the kernel
 * arguments of every boot entry and by /etc/default/grub. A piece disagrees only where what was read says so;
 * a variable in the arguments ($kernelopts), or an entry whose method is not known, could not be read. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "rule/boot_pieces.h"

bool boot_pieces_apply(const struct vm *vm)
{
	const struct volume *v = vm->root_volume;

	return v && !v->foreign_luks && v->state == VS_OPENED && v->header && v->header->detached;
}

/* ---- the list ---- */

void boot_pieces_done(struct pieces *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].say);
	free(p->v);
	*p = (struct pieces){0};
}

static struct piece *piece(struct pieces *p, enum piece_state state)
{
	struct piece *slot = vec_push(&p->v, &p->n);

	if (!slot) {
		p->oom = true;
		return NULL;
	}
	slot->state = state;
	p->count[state]++;
	return slot;
}

void piece_agrees(struct pieces *p)
{
	(void)piece(p, PIECE_AGREES);
}

static void say(struct pieces *p, struct piece *to, const char *fmt, va_list ap)
{
	cleanup_str struct str s = {0};

	if (!to)
		return;
	str_addv(&s, fmt, ap);
	to->say = str_take(&s);
	p->oom |= !to->say;
}

void piece_wrong(struct pieces *p, const struct node *where, const char *path, unsigned line, const char *fmt,
		 ...)
{
	struct piece *to = piece(p, PIECE_DISAGREES);
	va_list ap;

	if (to) {
		to->where = where;
		to->path = path;
		to->line = line;
	}
	va_start(ap, fmt);
	say(p, to, fmt, ap);
	va_end(ap);
}

void piece_unread(struct pieces *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(p, piece(p, PIECE_UNREAD), fmt, ap);
	va_end(ap);
}

/* ---- which generation ---- */

static bool has_ade_arguments(const struct vm *vm)
{
	if (vm->bootf.default_grub.have == HAVE_YES && vm->bootf.default_grub.text &&
	    strstr(vm->bootf.default_grub.text, "rd.luks.ade.partuuid="))
		return true;
	for (size_t i = 0; i < vm->bootf.n; i++)
		if (vm->bootf.v[i].args && strstr(vm->bootf.v[i].args, "rd.luks.ade.partuuid="))
			return true;
	return false;
}

static enum boot_method method_of_image(const struct vm *vm)
{
	const struct boot_pieces *b = &vm->bootf.pieces;
	const struct initramfs *in = b->has_default && b->nimages ? &b->images[0].in : NULL;

	if (b->looked && b->hook[HOOK_91ADE_ONLINE] == HAVE_YES)
		return METHOD_ONLINE;
	if (b->looked && b->hook[HOOK_91ADE] == HAVE_YES)
		return METHOD_91ADE;
	if (in && in->ade_online)
		return METHOD_ONLINE;
	return in && in->ade ? METHOD_91ADE : METHOD_UNKNOWN;
}

enum boot_method boot_method(const struct vm *vm)
{
	static const char *const rpm[] = {"rhel", "centos", "ol", "almalinux", "rocky"};
	const struct boot_pieces *b = &vm->bootf.pieces;
	unsigned long major = vm->os.version ? strtoul(vm->os.version, NULL, 10) : 0;

	if (str_eq(vm->os.id, "ubuntu") || str_eq(vm->os.id, "debian")) {
		/* one that was upgraded may go on as it was */
		if (b->has_default && b->images[0].in.key_script && !b->images[0].in.boot_script)
			return METHOD_KEYSCRIPT;
		return !major ? METHOD_UNKNOWN : major < 20 ? METHOD_KEYSCRIPT : METHOD_SCRIPT;
	}
	if (str_eq(vm->os.id, "mariner") || str_eq(vm->os.id, "azurelinux") || has_ade_arguments(vm))
		return METHOD_ONLINE;
	for (size_t i = 0; i < sizeof(rpm) / sizeof(*rpm); i++)
		if (str_eq(vm->os.id, rpm[i]) && major >= 8)
			return METHOD_ONLINE;
	return method_of_image(vm);
}

/* ---- tables and menus ---- */

/* The value of NAME=value among blank-separated arguments, the last one; malloc'd, NULL where it is not
 * there. */
static char *argument(const char *args, const char *name)
{
	size_t n = strlen(name);
	const char *found = NULL;

	for (const char *p = args; p && *p;) {
		p += strspn(p, " \t\"'");
		if (strncmp(p, name, n) == 0 && p[n] == '=')
			found = p + n + 1;
		p += strcspn(p, " \t\"'");
	}
	return found ? str_ndup(found, strcspn(found, " \t\"'")) : NULL;
}

static bool is_rescue_entry(const struct boot_entry *b)
{
	return (b->kernel && strstr(b->kernel, "rescue")) || (b->title && strstr(b->title, "rescue"));
}

static bool has_variable(const char *args)
{
	return args && strchr(args, '$');
}

static const char *root_partuuid(const struct vm *vm)
{
	return vm->root_raw && *vm->root_raw->partuuid ? vm->root_raw->partuuid : NULL;
}

static const struct node *boot_node(const struct vm *vm)
{
	return vm->bootf.on_root ? vm->root : vm->boot;
}

static void check_crypttab_line(struct pieces *p, const struct vm *vm, const struct ade_line *l)
{
	const char *want = root_partuuid(vm), *have = NULL;
	unsigned line = l->row ? l->row->line : 0;

	if (str_starts(l->device, "/dev/disk/by-partuuid/"))
		have = l->device + strlen("/dev/disk/by-partuuid/");
	else if (str_starts(l->device, "PARTUUID="))
		have = l->device + strlen("PARTUUID=");
	if (have && want && !str_eq_nocase(have, want))
		piece_wrong(p, vm->root, "/etc/crypttab", line,
			    "osencrypt names partition %s, but the OS volume is partition %s", have, want);
	else if (have && want)
		piece_agrees(p);
	if (!l->header)
		return;
	if (str_eq(l->header, "/boot/luks/osluksheader") || str_eq(l->header, "/osluksheader"))
		piece_agrees(p);
	else if (str_starts(l->header, "/boot/luks/osluksheader"))
		piece_wrong(p, vm->root, "/etc/crypttab", line,
			    "a second entry is glued to the header path of the osencrypt line: '%s'",
			    l->header);
	else
		piece_wrong(p, vm->root, "/etc/crypttab", line,
			    "osencrypt looks for its header at %s, where ADE does not keep it", l->header);
}

static void check_crypttab(struct pieces *p, const struct vm *vm)
{
	size_t n = 0;

	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];

		if (l->owner != TAB_ADE_OS || !str_eq(l->file, "/etc/crypttab"))
			continue;
		n++;
		check_crypttab_line(p, vm, l);
	}
	if (n)
		piece_agrees(p); /* the line itself */
	else if (!vm->root || vm->crypttab_file.have == HAVE_UNKNOWN)
		piece_unread(p, "/etc/crypttab could not be read");
	else
		piece_wrong(p, vm->root, "/etc/crypttab", 0,
			    "no line of crypttab opens the OS volume (osencrypt)");
}

/* What of an argument is wrong; an entry counts as one piece. */
static bool check_argument(struct pieces *p, const struct vm *vm, const struct boot_entry *b,
			   const char *name, const char *want)
{
	cleanup_free char *have = argument(b->args, name);

	if (!have)
		piece_wrong(p, boot_node(vm), b->file, b->line,
			    "the kernel arguments have no %s: expect the initramfs emergency shell", name);
	else if (!*have)
		piece_wrong(p, boot_node(vm), b->file, b->line,
			    "%s is empty: expect the initramfs emergency shell", name);
	else if (want && *want && !str_eq_nocase(have, want))
		piece_wrong(p, boot_node(vm), b->file, b->line, "%s is %s, but on this disk it is %s", name,
			    have, want);
	else
		return true;
	return false;
}

/* A root= that names the ciphertext itself, or a file system that is not here. */
static bool check_root(struct pieces *p, const struct vm *vm, const struct boot_entry *b)
{
	cleanup_free char *root = argument(b->args, "root");
	const char *part = root_partuuid(vm);
	const char *uuid = vm->root && *vm->root->uuid ? vm->root->uuid : NULL;

	if (str_starts(root, "PARTUUID=") && part && str_eq_nocase(root + strlen("PARTUUID="), part))
		piece_wrong(p, boot_node(vm), b->file, b->line,
			    "root= names the encrypted partition itself (%s)", root);
	else if (str_starts(root, "UUID=") && uuid && !str_eq_nocase(root + strlen("UUID="), uuid))
		piece_wrong(p, boot_node(vm), b->file, b->line,
			    "root= is %s, but the root file system's UUID is %s", root, uuid);
	else
		return true;
	return false;
}

static void check_entry(struct pieces *p, const struct vm *vm, const struct boot_entry *b, enum boot_method m)
{
	bool fine = true;

	if (!b->args || has_variable(b->args) || is_rescue_entry(b))
		return;
	/* an entry that boots no system of its own: memtest, firmware */
	if (m == METHOD_ONLINE && !strstr(b->args, "osencrypt-locked") && !strstr(b->args, "rd.luks.name=")) {
		const char *boot = vm->boot ? vm->boot->uuid : NULL;

		fine = check_argument(p, vm, b, "rd.luks.ade.partuuid", root_partuuid(vm));
		fine = check_argument(p, vm, b, "rd.luks.ade.bootuuid", boot) && fine;
	}
	fine = check_root(p, vm, b) && fine;
	if (fine)
		piece_agrees(p);
}

static void check_entries(struct pieces *p, const struct vm *vm, enum boot_method m)
{
	unsigned variables = 0;

	for (size_t i = 0; i < vm->bootf.n; i++) {
		check_entry(p, vm, &vm->bootf.v[i], m);
		variables += has_variable(vm->bootf.v[i].args) && !is_rescue_entry(&vm->bootf.v[i]);
	}
	if (!vm->bootf.n)
		piece_unread(p, "no boot menu entries were read");
	if (variables)
		piece_unread(p, "the arguments of %u boot entries hold variables that are not resolved",
			     variables);
}

/* The last value of NAME= in a text; malloc'd. *line: where. */
static char *last_value(const char *text, const char *name, unsigned *line)
{
	char *have = NULL;
	const char *seen = text;

	*line = 1;
	for (const char *p = strstr(text, name); p; p = strstr(p + 1, name)) {
		const char *begin = p;

		while (begin > text && begin[-1] != '\n')
			begin--;
		if (begin[strspn(begin, " \t")] == '#')
			continue;
		for (; seen < p; seen++)
			*line += *seen == '\n';
		free(have);
		have = str_ndup(p + strlen(name), strcspn(p + strlen(name), " \t\r\n\"'"));
	}
	return have;
}

static void check_default_grub(struct pieces *p, const struct vm *vm, enum boot_method m)
{
	const struct text_file *f = &vm->bootf.default_grub;
	const char *part = root_partuuid(vm);
	unsigned line, root_line;
	cleanup_free char *have = NULL;
	cleanup_free char *root = NULL;

	if (f->have == HAVE_UNKNOWN && vm->root)
		piece_unread(p, "/etc/default/grub could not be read");
	if (f->have != HAVE_YES || !f->text || !part)
		return;
	have = last_value(f->text, "rd.luks.ade.partuuid=", &line);
	root = last_value(f->text, "root=PARTUUID=", &root_line);
	if (have && *have && !str_eq_nocase(have, part))
		piece_wrong(p, vm->root, "/etc/default/grub", line,
			    "rd.luks.ade.partuuid is %s, but the OS volume is partition %s", have, part);
	else if (root && str_eq_nocase(root, part))
		piece_wrong(p, vm->root, "/etc/default/grub", root_line,
			    "root= names the encrypted partition itself (PARTUUID=%s)", root);
	else if (m == METHOD_ONLINE && !have && has_ade_arguments(vm))
		piece_wrong(p, vm->root, "/etc/default/grub", 0,
			    "has no rd.luks.ade.partuuid, which boot entries have: the next grub2-mkconfig "
			    "leaves it out");
	else
		piece_agrees(p);
}

/* luks/osluksheader: where it opens the root. Row 2 speaks where it does not. */
static void check_header(struct pieces *p, const struct vm *vm)
{
	const struct header *h = vm->bootf.header;

	if (h && header_usable(h) && (h == vm->root_volume->header || h->opened))
		piece_agrees(p);
}

void boot_pieces_read(const struct vm *vm, struct pieces *p)
{
	enum boot_method m;

	*p = (struct pieces){0};
	if (!boot_pieces_apply(vm))
		return;
	m = boot_method(vm);
	check_crypttab(p, vm);
	check_header(p, vm);
	check_default_grub(p, vm, m);
	check_entries(p, vm, m);
	if (vm->bootf.have == HAVE_YES && vm->bootf.nkernels && !vm->bootf.ninitrds)
		piece_wrong(p, boot_node(vm), "/boot", 0, "there are kernels, but no initramfs image");
	if (m == METHOD_UNKNOWN)
		piece_unread(
		    p, "whether this system (%s %s) needs kernel arguments and hooks of ADE is not known",
		    or_dash(vm->os.id), or_dash(vm->os.version));
	boot_pieces_hooks(vm, m, p);
	boot_pieces_image(vm, m, p);
}

unsigned boot_pieces_wrong(const struct vm *vm)
{
	cleanup_pieces struct pieces p = {0};

	boot_pieces_read(vm, &p);
	return p.count[PIECE_DISAGREES];
}
