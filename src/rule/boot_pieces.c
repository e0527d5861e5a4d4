/* SPDX-License-Identifier: MIT */
/* The boot pieces of an encrypted OS: the osencrypt line of crypttab, the header's path in it, the PARTUUIDs
 * and UUIDs named by it and by the kernel arguments, initramfs images. A piece disagrees only where what was
 * read says so; a variable in the arguments
 * ($kernelopts), or an entry whose method is not known, is "not looked at". */
#include <stdlib.h>
#include <string.h>

#include "rule/boot_pieces.h"

bool boot_pieces_apply(const struct vm *vm)
{
	const struct volume *v = vm->root_volume;

	return v && !v->foreign_luks && v->state == VS_OPENED && v->header && v->header->detached;
}

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

struct count {
	const struct vm *vm;
	const struct rule *rule;
	struct findings *out;
	unsigned wrong;
};

static struct finding *wrong(struct count *c, const struct node *where, const char *path, unsigned line)
{
	c->wrong++;
	return c->out ? finding_add(c->out, c->rule, where, path, line) : NULL;
}

static const char *root_partuuid(const struct vm *vm)
{
	return vm->root_raw && *vm->root_raw->partuuid ? vm->root_raw->partuuid : NULL;
}

static void check_crypttab_line(struct count *c, const struct ade_line *l)
{
	const char *want = root_partuuid(c->vm), *have = NULL;
	unsigned line = l->row ? l->row->line : 0;

	if (str_starts(l->device, "/dev/disk/by-partuuid/"))
		have = l->device + strlen("/dev/disk/by-partuuid/");
	else if (str_starts(l->device, "PARTUUID="))
		have = l->device + strlen("PARTUUID=");
	if (have && want && !str_eq_nocase(have, want))
		finding_say(wrong(c, c->vm->root, "/etc/crypttab", line),
			    "osencrypt names partition %s, but the OS volume is partition %s", have, want);
	if (l->header && str_starts(l->header, "/boot/luks/osluksheader") &&
	    !str_eq(l->header, "/boot/luks/osluksheader"))
		finding_say(wrong(c, c->vm->root, "/etc/crypttab", line),
			    "a second entry is glued to the header path of the osencrypt line: '%s'",
			    l->header);
	else if (l->header && !str_eq(l->header, "/boot/luks/osluksheader") &&
		 !str_eq(l->header, "/osluksheader"))
		finding_say(wrong(c, c->vm->root, "/etc/crypttab", line),
			    "osencrypt looks for its header at %s, where ADE does not keep it", l->header);
}

static void check_crypttab(struct count *c)
{
	const struct vm *vm = c->vm;
	size_t n = 0;

	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];

		if (l->owner != TAB_ADE_OS || !str_eq(l->file, "/etc/crypttab"))
			continue;
		n++;
		check_crypttab_line(c, l);
	}
	if (!n && vm->root && vm->crypttab_file.have != HAVE_UNKNOWN)
		finding_say(wrong(c, vm->root, "/etc/crypttab", 0),
			    "no line of crypttab opens the OS volume (osencrypt)");
}

/* Does this machine boot by the rd.luks.ade arguments? TRI_UNKNOWN: its method is not known. */
static enum tri uses_ade_arguments(const struct vm *vm)
{
	if (vm->bootf.default_grub.have == HAVE_YES &&
	    strstr(vm->bootf.default_grub.text, "rd.luks.ade.partuuid="))
		return TRI_YES;
	for (size_t i = 0; i < vm->bootf.n; i++)
		if (vm->bootf.v[i].args && strstr(vm->bootf.v[i].args, "rd.luks.ade.partuuid="))
			return TRI_YES;
	if (str_eq(vm->os.id, "ubuntu") || str_eq(vm->os.id, "debian"))
		return TRI_NO;
	return TRI_UNKNOWN;
}

static void check_argument(struct count *c, const char *args, const char *name, const char *want,
			   const char *file, unsigned line)
{
	cleanup_free char *have = argument(args, name);

	if (!have)
		finding_say(wrong(c, c->vm->boot, file, line),
			    "the kernel arguments have no %s: expect the initramfs emergency shell", name);
	else if (!*have)
		finding_say(wrong(c, c->vm->boot, file, line),
			    "%s is empty: expect the initramfs emergency shell", name);
	else if (want && *want && !str_eq_nocase(have, want))
		finding_say(wrong(c, c->vm->boot, file, line), "%s is %s, but on this disk it is %s", name,
			    have, want);
}

static void check_entry(struct count *c, const struct boot_entry *b, enum tri ade_args)
{
	const struct vm *vm = c->vm;
	cleanup_free char *root = argument(b->args, "root");

	if (!b->args || has_variable(b->args) || is_rescue_entry(b))
		return;
	if (ade_args == TRI_YES) {
		check_argument(c, b->args, "rd.luks.ade.partuuid", root_partuuid(vm), b->file, b->line);
		check_argument(c, b->args, "rd.luks.ade.bootuuid", vm->boot ? vm->boot->uuid : NULL, b->file,
			       b->line);
	}
	if (str_starts(root, "PARTUUID=") && root_partuuid(vm) &&
	    str_eq_nocase(root + strlen("PARTUUID="), root_partuuid(vm)))
		finding_say(wrong(c, vm->boot, b->file, b->line),
			    "root= names the encrypted partition itself (%s)", root);
}

static void check_default_grub(struct count *c)
{
	const struct text_file *f = &c->vm->bootf.default_grub;
	const char *want = root_partuuid(c->vm);
	cleanup_free char *have = NULL;

	if (f->have != HAVE_YES || !f->text || !want)
		return;
	for (const char *p = strstr(f->text, "rd.luks.ade.partuuid="); p;
	     p = strstr(p + 1, "rd.luks.ade.partuuid=")) {
		free(have);
		have = str_ndup(p + strlen("rd.luks.ade.partuuid="),
				strcspn(p + strlen("rd.luks.ade.partuuid="), " \t\r\n\"'"));
	}
	if (have && *have && !str_eq_nocase(have, want))
		finding_say(wrong(c, c->vm->root, "/etc/default/grub", 0),
			    "rd.luks.ade.partuuid is %s, but the OS volume is partition %s", have, want);
}

unsigned boot_pieces_wrong(const struct vm *vm, const struct rule *rule, struct findings *out)
{
	struct count c = {vm, rule, out, 0};
	enum tri ade_args;

	if (!boot_pieces_apply(vm))
		return 0;
	check_crypttab(&c);
	check_default_grub(&c);
	ade_args = uses_ade_arguments(vm);
	for (size_t i = 0; i < vm->bootf.n; i++)
		check_entry(&c, &vm->bootf.v[i], ade_args);
	if (vm->bootf.have == HAVE_YES && vm->bootf.nkernels && !vm->bootf.ninitrds)
		finding_say(wrong(&c, vm->boot, "/boot", 0), "there are kernels, but no initramfs image");
	return c.wrong;
}

unsigned boot_pieces_unread(const struct vm *vm, struct finding *f)
{
	unsigned n = 0, variables = 0;

	if (vm->crypttab_file.have == HAVE_UNKNOWN || !vm->root) {
		finding_say(f, "/etc/crypttab could not be read");
		n++;
	}
	if (!vm->bootf.n) {
		finding_say(f, "no boot menu entries were read");
		n++;
	}
	for (size_t i = 0; i < vm->bootf.n; i++)
		variables += has_variable(vm->bootf.v[i].args);
	if (variables) {
		finding_say(f, "the arguments of %u boot entries hold variables that are not resolved",
			    variables);
		n++;
	}
	if (vm->bootf.n && uses_ade_arguments(vm) == TRI_UNKNOWN) {
		finding_say(f, "no boot entry has ADE's kernel arguments; whether this system needs them is "
			       "not known");
		n++;
	}
	finding_say(f, "the inside of initramfs images, modprobe.d (vfat) and the filter of lvm.conf are not "
		       "looked at");
	return n + 1;
}
