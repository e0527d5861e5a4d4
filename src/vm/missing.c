/* SPDX-License-Identifier: MIT */
/* Which devices do the failed system's own files name that no attached disk backs (disk-not-attached), and
 * how many data disks do they name at all? ADE's lines, crypttab and the last status make a disk missed; a
 * plain line of fstab only counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/lvm.h"
#include "vm/machine.h"

/* ---- sentences ---- */

static int miss(struct machine *m, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int miss(struct machine *m, struct err *e, const char *fmt, ...)
{
	cleanup_str struct str s = { 0 };
	char **slot;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	slot = vec_push(&m->vm->missing, &m->vm->nmissing);
	if (slot)
		*slot = str_take(&s);
	return slot && *slot ? 0 : err_oom(e);
}

static bool said_before(const struct machine *m, size_t line)
{
	for (size_t i = 0; i < line; i++)
		if (str_eq(m->vm->lines[i].mapper, m->vm->lines[line].mapper))
			return true;
	return false;
}

static int miss_lines(struct machine *m, struct err *e)
{
	for (size_t i = 0; i < m->vm->nlines; i++) {
		const struct ade_line *l = &m->vm->lines[i];
		cleanup_free char *mapper = NULL, *device = NULL;

		if (l->owner != TAB_ADE_DATA || l->volume || l->backed != TRI_NO ||
		    (l->mapper && said_before(m, i)))
			continue;
		mapper = l->mapper ? str_escape(l->mapper, strlen(l->mapper), false) : str_printf("a mapper");
		device =
			l->device ? str_escape(l->device, strlen(l->device), false) : str_printf("no device");
		if (!mapper || !device)
			return err_oom(e);
		if (miss(m, e, "%s line %u names %s (%s), and no attached disk is it", l->file,
			 l->row ? l->row->line : 0, mapper, device) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* A line that is not ADE's, but could be: no key file of the owner's own. */
static bool could_be_ade(const struct tab_row *row)
{
	const char *key = tab_f(row, 2);

	return !*key || str_eq_nocase(key, "none") || str_eq(key, "-");
}

static bool is_row_of_ade(const struct machine *m, const char *file, const struct tab_row *row)
{
	for (size_t i = 0; i < m->vm->nlines; i++)
		if (str_eq(m->vm->lines[i].file, file) && m->vm->lines[i].row && m->vm->lines[i].row->line == row->line)
			return true;
	return false;
}

static bool is_ade_row(const struct machine *m, const struct tab_row *row)
{
	return is_row_of_ade(m, "/etc/crypttab", row);
}

static int miss_crypttab(struct machine *m, struct err *e)
{
	for (size_t i = 0; i < m->crypttab.n; i++) {
		const struct tab_row *row = &m->crypttab.v[i];
		cleanup_free char *device = NULL;
		const struct node *n;
		char why[200];

		if (!could_be_ade(row) || crypttab_is_swap(row) || is_ade_row(m, row) || row->nf < 2 ||
		    dev_find(m, tab_f(row, 1), &n, why) != FOUND_NONE)
			continue;
		device = str_escape(tab_f(row, 1), strlen(tab_f(row, 1)), false);
		if (!device)
			return err_oom(e);
		if (miss(m, e, "/etc/crypttab line %u names %s, and no attached disk is it", row->line,
			 device) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* A logical volume, or a mapper that is not ADE's, which fstab mounts and nothing attached is. Where a volume
 * is still locked it may lie in that one: it is said to be missing all the same. */
static int miss_mapped(struct machine *m, struct err *e)
{
	for (size_t i = 0; i < m->fstab.n; i++) {
		const struct tab_row *row = &m->fstab.v[i];
		cleanup_free char *device = NULL;
		const struct node *n;
		struct dev d;
		char why[200];

		dev_parse(m, tab_f(row, 0), &d);
		if ((d.kind != DEV_LV && d.kind != DEV_MAPPER) || tab_option(tab_f(row, 3), "noauto", NULL) ||
		    is_row_of_ade(m, "/etc/fstab", row) || dev_find(m, tab_f(row, 0), &n, why) != FOUND_NONE)
			continue;
		device = str_escape(tab_f(row, 0), strlen(tab_f(row, 0)), false);
		if (!device)
			return err_oom(e);
		if (miss(m, e, "/etc/fstab line %u names %s, and no attached disk holds it", row->line, device) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* A volume group of this machine that is not whole. */
static int miss_pvs(struct machine *m, struct err *e)
{
	for (size_t i = 0; i < m->w->g->n; i++) {
		const struct node *n = m->w->g->nodes[i];
		struct lvm_vg_info vg;
		bool mine = false;

		if (!lvm_vg_info(n, &vg) || !vg.nmissing || vg.from_old_text)
			continue;
		for (size_t d = 0; d < m->w->ndisks; d++)
			mine |= m->disk[d] && node_is_on_disk(n, (int)d);
		if (mine && miss(m, e, "volume group %s lacks %zu of its physical volumes (%s)", n->name,
				 vg.nmissing, vg.missing[0]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool has_encrypted_data(const struct machine *m)
{
	for (size_t i = 0; i < m->vm->nvolumes; i++) {
		const struct volume *v = &m->vm->volumes[i];

		if (v != m->vm->root_volume && (v->role == VOL_DATA || v->role == VOL_OS) &&
		    !v->foreign_luks &&
		    (v->state == VS_OPENED || v->state == VS_LOCKED || v->state == VS_OPAQUE))
			return true;
	}
	return false;
}

static bool status_says_data(const struct machine *m)
{
	const char *s = m->vm->ext ? m->vm->ext->status_data : NULL;

	return str_eq_nocase(s, "Encrypted") || str_eq_nocase(s, "EncryptionInProgress") ||
	       str_eq_nocase(s, "DecryptionInProgress");
}

/* ---- counting data disks ---- */

struct named {
	char **v;
	size_t n;
};

static int name_it(struct named *s, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int name_it(struct named *s, struct err *e, const char *fmt, ...)
{
	cleanup_str struct str text = { 0 };
	char **slot;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	for (size_t i = 0; !text.failed && i < s->n; i++)
		if (str_eq(s->v[i], str_text(&text)))
			return 0;
	slot = text.failed ? NULL : vec_push(&s->v, &s->n);
	if (!slot)
		return err_oom(e);
	*slot = str_take(&text);
	if (!*slot)
		s->n--;
	return *slot ? 0 : err_oom(e);
}

static bool is_temp_disk(const struct machine *m, int disk)
{
	bool temp = false;

	for (size_t i = 0; i < m->vm->nvolumes; i++) {
		const struct volume *v = &m->vm->volumes[i];

		if (!node_is_on_disk(v->node, disk) || v->role == VOL_SMALL)
			continue;
		if (v->role != VOL_TEMP)
			return false;
		temp = true;
	}
	return temp;
}

static bool is_bek_disk(const struct work *w, int disk)
{
	for (size_t i = 0; i < w->g->n; i++)
		if (node_is_bek(w, w->g->nodes[i]) && node_is_on_disk(w->g->nodes[i], disk))
			return true;
	return false;
}

static bool is_data_disk(const struct machine *m, int disk)
{
	return disk != m->os_disk && m->w->disks[disk] && !is_bek_disk(m->w, disk) && !is_temp_disk(m, disk);
}

static int name_node(struct machine *m, struct named *s, const struct node *n, struct err *e)
{
	for (size_t d = 0; d < m->w->ndisks; d++)
		if (node_is_on_disk(n, (int)d) && is_data_disk(m, (int)d) && name_it(s, e, "disk %zu", d) < 0)
			return -ENOMEM;
	return 0;
}

static int name_device(struct machine *m, struct named *s, const char *spec, bool certain, struct err *e)
{
	const struct node *n;
	struct dev d;
	char why[200];

	if (dev_find(m, spec, &n, why) == FOUND_ONE)
		return name_node(m, s, n, e);
	dev_parse(m, spec, &d);
	switch (d.kind) {
	case DEV_LUN:
		return name_it(s, e, "lun %u", d.lun);
	case DEV_KERNEL:
		return certain ? name_it(s, e, "kernel %s", d.value) : 0;
	case DEV_UUID:
	case DEV_PARTUUID:
	case DEV_LABEL:
	case DEV_PARTLABEL:
	case DEV_OTHER:
		return name_it(s, e, "%s", spec);
	default:
		return 0; /* of the OS disk, of a volume group, a mapper (its own line counts), no device */
	}
}

/* Is this a place that is the operating system's by rights? Its device is on the OS disk, also where it
 * cannot be found any more. */
static bool is_os_place(const char *at)
{
	static const char *const places[] = { "/boot",
					      "/usr",
					      "/var",
					      "/tmp",
					      "/home",
					      "/opt",
					      "/root",
					      "/etc",
					      "/efi",
					      "/mnt/resource",
					      "/mnt/azure_bek_disk" };

	if (*at != '/' || !at[1])
		return true;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		size_t n = strlen(places[i]);

		if (!strncmp(at, places[i], n) && (!at[n] || at[n] == '/'))
			return true;
	}
	return false;
}

static int name_fstab(struct machine *m, struct named *s, struct err *e)
{
	for (size_t i = 0; i < m->fstab.n; i++) {
		const struct tab_row *row = &m->fstab.v[i];
		const struct node *n;
		char why[200];
		const char *at = tab_f(row, 1);
		int r;

		if (is_os_place(at) && dev_find(m, tab_f(row, 0), &n, why) != FOUND_ONE)
			continue;
		/* /dev/sdb1 on /mnt is the temporary disk */
		r = name_device(m, s, tab_f(row, 0), !str_eq(at, "/mnt"), e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int name_lines(struct machine *m, struct named *s, struct err *e)
{
	for (size_t i = 0; i < m->vm->nlines; i++) {
		const struct ade_line *l = &m->vm->lines[i];
		struct dev d = { .kind = DEV_NONE };
		int r;

		if (l->owner != TAB_ADE_DATA)
			continue;
		if (l->device)
			dev_parse(m, l->device, &d);
		if (l->volume)
			r = name_node(m, s, l->volume->node, e);
		else if (l->device && d.kind != DEV_MAPPER && d.kind != DEV_NONE)
			r = name_device(m, s, l->device, true, e);
		else if (!said_before(m, i))
			r = name_it(s, e, "mapper %s", l->mapper ? l->mapper : "");
		else
			r = 0;
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < m->crypttab.n; i++)
		if (!crypttab_is_swap(&m->crypttab.v[i]) && !is_ade_row(m, &m->crypttab.v[i]) &&
		    name_device(m, s, tab_f(&m->crypttab.v[i], 1), true, e) < 0)
			return -ENOMEM;
	return 0;
}

static void count_attached(struct machine *m)
{
	for (size_t d = 0; d < m->w->ndisks; d++)
		if (is_data_disk(m, (int)d) && (m->disk[d] || (m->w->n == 1 && disk_is_free(m->w, (int)d))))
			m->vm->data_disks_attached++;
}

int missing_read(struct machine *m, struct err *e)
{
	struct named s = { 0 };
	int r = miss_lines(m, e);

	if (r == 0)
		r = miss_crypttab(m, e);
	if (r == 0)
		r = miss_mapped(m, e);
	if (r == 0)
		r = miss_pvs(m, e);
	if (r == 0 && status_says_data(m) && !has_encrypted_data(m))
		r = miss(
			m, e,
			"the last status says that data disks are %s, and none that is attached is encrypted",
			m->vm->ext->status_data);
	if (r == 0)
		r = name_fstab(m, &s, e);
	if (r == 0)
		r = name_lines(m, &s, e);
	m->vm->data_disks_named = (unsigned)s.n;
	if (status_says_data(m) && !s.n)
		m->vm->data_disks_named = 1;
	for (size_t i = 0; i < s.n; i++)
		free(s.v[i]);
	free(s.v);
	count_attached(m);
	return r;
}
