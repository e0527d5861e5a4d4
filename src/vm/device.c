/* SPDX-License-Identifier: MIT */
/* Devices by the names that the failed system's own files give them: UUID=, LABEL=, PARTUUID=, PARTLABEL=
 * (fstab(5)) and the links of udev below /dev/disk, names of mappers and logical volumes, Azure's links for
 * the OS disk. A LUN or a kernel name means another disk on this machine, so these are followed for the OS
 * disk alone. Where a copy of the same disk is attached too, UUIDs come twice: the machine's own disks go
 * first, those of another machine are never taken. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/luks.h"
#include "format/lvm.h"
#include "vm/machine.h"

/* ---- reading the name ---- */

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* udev writes \x20 for a blank; quotes around a value are taken off. */
static void copy_value(char *out, size_t size, const char *s, bool udev)
{
	size_t n = 0;
	char quote = *s == '"' || *s == '\'' ? *s : 0;

	for (s += quote != 0; *s && *s != quote && n + 1 < size; s++) {
		int hi = udev && s[0] == '\\' && s[1] == 'x' ? hex_of(s[2]) : -1,
		    lo = hi >= 0 ? hex_of(s[3]) : -1;

		if (lo >= 0) {
			out[n++] = (char)(hi * 16 + lo);
			s += 3;
		} else {
			out[n++] = *s;
		}
	}
	out[n] = '\0';
}

static bool parse_tag(const char *spec, struct dev *ret)
{
	static const struct {
		const char *begins;
		enum dev_kind kind;
		bool udev;
	} tags[] = {
		{ "UUID=", DEV_UUID, false },
		{ "LABEL=", DEV_LABEL, false },
		{ "PARTUUID=", DEV_PARTUUID, false },
		{ "PARTLABEL=", DEV_PARTLABEL, false },
		{ "/dev/disk/by-uuid/", DEV_UUID, true },
		{ "/dev/disk/by-label/", DEV_LABEL, true },
		{ "/dev/disk/by-partuuid/", DEV_PARTUUID, true },
		{ "/dev/disk/by-partlabel/", DEV_PARTLABEL, true },
		{ "/dev/mapper/", DEV_MAPPER, false },
		{ "/dev/disk/by-id/dm-name-", DEV_MAPPER, true },
	};

	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
		if (str_starts(spec, tags[i].begins)) {
			ret->kind = tags[i].kind;
			copy_value(ret->value, sizeof(ret->value), spec + strlen(tags[i].begins),
				   tags[i].udev);
			return true;
		}
	return false;
}

/* digits to the end, or to a character of stop; false where there are none */
static bool parse_number(const char **p, unsigned *ret)
{
	unsigned n = 0;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++)
		n = n < 100000 ? n * 10 + (unsigned)(**p - '0') : n;
	*ret = n;
	return true;
}

/* what follows a disk's link: nothing, or -partN */
static bool parse_part(const char *p, struct dev *ret)
{
	if (!*p)
		return true;
	if (!str_starts(p, "-part"))
		return false;
	p += 5;
	return parse_number(&p, &ret->partno) && !*p;
}

static bool parse_azure(const char *spec, struct dev *ret)
{
	static const struct {
		const char *begins;
		enum dev_kind kind;
		bool lun;
	} links[] = {
		{ "/dev/disk/azure/root", DEV_OS, false },
		{ "/dev/disk/azure/os", DEV_OS, false },
		{ "/dev/disk/cloud/azure_root", DEV_OS, false },
		{ "/dev/disk/azure/scsi0/lun0", DEV_OS, false },
		{ "/dev/disk/azure/resource", DEV_TEMP, false },
		{ "/dev/disk/cloud/azure_resource", DEV_TEMP, false },
		{ "/dev/disk/azure/scsi0/lun1", DEV_TEMP, false },
		{ "/dev/disk/azure/BEK", DEV_BEK, false },
		{ "/dev/disk/azure/scsi1/lun", DEV_LUN, true },
		{ "/dev/disk/azure/data/by-lun/", DEV_LUN, true },
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		const char *p = spec + strlen(links[i].begins);
		struct dev d = { .kind = links[i].kind };

		if (!str_starts(spec, links[i].begins) || (links[i].lun && !parse_number(&p, &d.lun)) ||
		    !parse_part(p, &d))
			continue;
		*ret = d;
		return true;
	}
	return false;
}

/* sda1, xvda1, nvme0n1p2: the disk's name into value, the partition's number into partno */
static bool parse_kernel(const char *spec, struct dev *ret)
{
	static const char *const kinds[] = { "sd", "xvd", "vd", "hd" };
	const char *name = spec + 5, *p;
	unsigned n;

	if (!str_starts(spec, "/dev/"))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		p = name + strlen(kinds[i]);
		if (!str_starts(name, kinds[i]) || !islower((unsigned char)*p))
			continue;
		p += strspn(p, "abcdefghijklmnopqrstuvwxyz");
		snprintf(ret->value, sizeof(ret->value), "%.*s", (int)(p - name), name);
		ret->kind = DEV_KERNEL;
		return !*p || (parse_number(&p, &ret->partno) && !*p);
	}
	p = name + 4;
	if (!str_starts(name, "nvme") || !parse_number(&p, &n) || *p++ != 'n' || !parse_number(&p, &n))
		return false;
	snprintf(ret->value, sizeof(ret->value), "%.*s", (int)(p - name), name);
	ret->kind = DEV_KERNEL;
	return !*p || (*p++ == 'p' && parse_number(&p, &ret->partno) && !*p);
}

/* The disk that the kernel called so was the OS disk: sda, nvme0n1, or the one that fstab's line for / names.
 */
static bool is_os_kernel_name(const struct machine *m, const char *disk)
{
	if (str_eq(disk, "sda") || str_eq(disk, "xvda") || str_eq(disk, "vda") || str_eq(disk, "hda") ||
	    str_eq(disk, "nvme0n1"))
		return true;
	for (size_t i = 0; i < m->fstab.n; i++) {
		struct dev d = { .kind = DEV_NONE };

		if (str_eq(tab_f(&m->fstab.v[i], 1), "/") && parse_kernel(tab_f(&m->fstab.v[i], 0), &d) &&
		    str_eq(d.value, disk))
			return true;
	}
	return false;
}

/* /dev/VG/LV */
static bool parse_lv(const char *spec, struct dev *ret)
{
	static const char *const not_vgs[] = { "disk/", "mapper/", "md/",  "block/", "char/",
					       "fd/",	"pts/",	   "shm/", "cdrom/" };
	const char *vg = spec + 5, *slash;

	slash = str_starts(spec, "/dev/") ? strchr(vg, '/') : NULL;
	if (!slash || slash == vg || !slash[1] || strchr(slash + 1, '/'))
		return false;
	for (size_t i = 0; i < sizeof(not_vgs) / sizeof(*not_vgs); i++)
		if (str_starts(vg, not_vgs[i]))
			return false;
	ret->kind = DEV_LV;
	snprintf(ret->value, sizeof(ret->value), "%s", vg);
	return true;
}

void dev_parse(const struct machine *m, const char *spec, struct dev *ret)
{
	*ret = (struct dev){ .kind = DEV_NONE };
	if (parse_tag(spec, ret) || parse_azure(spec, ret) || parse_lv(spec, ret))
		return;
	if (parse_kernel(spec, ret)) {
		if (is_os_kernel_name(m, ret->value))
			ret->kind = DEV_OS;
		return;
	}
	*ret = (struct dev){ .kind = str_starts(spec, "/dev/") ? DEV_OTHER : DEV_NONE };
}

const char *dev_mapper(const char *spec)
{
	return str_starts(spec, "/dev/mapper/") && spec[12] ? spec + 12 : NULL;
}

bool crypttab_is_swap(const struct tab_row *row)
{
	return str_eq(tab_f(row, 2), "/dev/urandom") || str_eq(tab_f(row, 2), "/dev/random") ||
	       str_eq(tab_f(row, 2), "/dev/hwrng");
}

bool dev_can_mean(const struct dev *d, const struct node *n)
{
	if (d->kind != DEV_LUN && d->kind != DEV_KERNEL)
		return d->kind == DEV_OTHER;
	return n->kind == KIND_LV || n->kind == KIND_MD || d->partno == n->partno;
}

/* ---- finding it ---- */

/* "vg/lv", also where the graph added "#2" since two have the same name */
static bool is_name(const char *name, const char *want)
{
	size_t len = strlen(want);

	return !strncmp(name, want, len) &&
	       (!name[len] || (name[len] == '#' && isdigit((unsigned char)name[len + 1])));
}

/* "rootvg-rootlv" of device-mapper: a hyphen that belongs to a name is doubled */
static bool is_dm_name(const char *name, const char *dm)
{
	const char *slash = strchr(name, '/');

	if (!slash)
		return false;
	for (; *dm; dm++, name++) {
		if (*dm == '-' && dm[1] != '-') {
			if (name != slash)
				return false;
		} else {
			if (name == slash || *name != *dm)
				return false;
			dm += *dm == '-';
		}
	}
	return name > slash && (!*name || *name == '#');
}

/* By the names in the metadata of its group; by the node's where that is not to be had. */
static bool is_lv(const struct node *n, const char *want)
{
	const char *lv = strchr(n->name, '/');
	struct lvm_vg_info vg;
	size_t len, lvlen;

	if (!lv || !n->nparents || !lvm_vg_info(n->parents[0], &vg))
		return is_name(n->name, want);
	len = strlen(vg.name);
	lvlen = strcspn(++lv, "#");
	return !strncmp(want, vg.name, len) && want[len] == '/' && strlen(want + len + 1) == lvlen &&
	       !strncmp(want + len + 1, lv, lvlen);
}

static bool is_lv_mapper(const struct node *n, const char *want)
{
	cleanup_free char *name = lvm_mapper_name(n);

	return name ? str_eq(name, want) : is_dm_name(n->name, want);
}

static bool matches(const struct machine *m, const struct dev *d, const struct node *n)
{
	switch (d->kind) {
	case DEV_UUID:
		return *d->value && str_eq_nocase(n->uuid, d->value) && !str_eq(n->fmt, "gpt") &&
		       !str_eq(n->fmt, "dos");
	case DEV_LABEL:
		return *d->value && str_eq(n->label, d->value);
	case DEV_PARTUUID:
		return *d->value && str_eq_nocase(n->partuuid, d->value);
	case DEV_PARTLABEL:
		return *d->value && str_eq(n->partname, d->value);
	case DEV_LV:
		return n->kind == KIND_LV && is_lv(n, d->value);
	case DEV_MAPPER:
		return n->kind == KIND_LV && is_lv_mapper(n, d->value);
	case DEV_OS:
		return n->disk == m->os_disk && m->os_disk >= 0 &&
		       (d->partno ? n->kind == KIND_PARTITION && n->partno == d->partno
				  : n->kind == KIND_DISK);
	case DEV_BEK:
		return node_is_bek(m->w, n);
	default:
		return false;
	}
}

static int rank(const struct machine *m, const struct node *n)
{
	if (node_is_on_disk(n, m->os_disk))
		return 2;
	for (size_t d = 0; d < m->w->ndisks; d++)
		if (m->disk[d] && node_is_on_disk(n, (int)d))
			return 1;
	return 0;
}

static enum found find_by(const struct machine *m, const struct dev *d, const struct node **ret,
			  char why[200])
{
	const struct node *best = NULL;
	bool several = false, taken = false;
	int best_rank = -1;

	for (size_t i = 0; i < m->w->g->n; i++) {
		const struct node *n = m->w->g->nodes[i];
		int r;

		if (!matches(m, d, n))
			continue;
		if (node_is_taken(m, n)) {
			taken = true;
			continue;
		}
		r = rank(m, n);
		if (r < best_rank || (r == best_rank && node_lies_on(best, n)))
			continue; /* an opened volume goes before its device */
		several = r == best_rank && !node_lies_on(n, best);
		best = n;
		best_rank = r;
	}
	if (best && !several) {
		*ret = best;
		return FOUND_ONE;
	}
	snprintf(why, 200, "%s",
		 several ? "several attached volumes have this name"
		 : taken ? "only a disk of another machine has this name"
			 : "not attached");
	return several ? FOUND_MANY : FOUND_NONE;
}

/* The opened volume on a device, as its mapper would show it. */
static enum found opened_on(const struct machine *m, const struct node *device, const struct node **ret,
			    char why[200])
{
	const struct header *h = node_header(m->w->g, device);

	if (h && h->opened) {
		*ret = h->opened;
		return FOUND_ONE;
	}
	snprintf(why, 200, "%s is not open", device->name);
	return FOUND_UNTOLD;
}

static bool info_names(const struct machine *m, const char *name, const struct node **ret)
{
	const struct node *found = NULL;

	for (size_t i = 0; i < m->w->ninfos; i++) {
		const struct backup_info *b = &m->w->infos[i];

		if (!str_eq(b->mapper, name) || node_is_taken(m, b->node) || b->node == found)
			continue;
		if (found)
			return false;
		found = b->node;
	}
	*ret = found;
	return found != NULL;
}

/* A LUKS header file azureluksheaderNAME, as ADE keeps them, says which device is the mapper. */
static const struct node *header_file_names(const struct machine *m, const char *name)
{
	cleanup_free char *end = str_printf("/azureluksheader%s", name);

	for (size_t i = 0; end && i < m->w->g->nheaders; i++) {
		const struct header *h = m->w->g->headers[i];

		if (h->node && h->volume && str_ends(h->path, end) && !node_is_taken(m, h->node) &&
		    !node_is_taken(m, h->volume))
			return h->volume;
	}
	return NULL;
}

static enum found find_mapper(const struct machine *m, const struct dev *d, const struct node **ret,
			      char why[200])
{
	const struct node *n = NULL;
	const struct tab_row *row = NULL;
	struct dev device;

	if (str_eq(d->value, "osencrypt") && m->vm->root_raw)
		return opened_on(m, m->vm->root_raw, ret, why);
	if (find_by(m, d, ret, why) == FOUND_ONE)
		return FOUND_ONE;
	if (info_names(m, d->value, ret))
		return FOUND_ONE;
	for (size_t i = 0; i < m->crypttab.n; i++)
		if (str_eq(tab_f(&m->crypttab.v[i], 0), d->value))
			row = &m->crypttab.v[i];
	n = header_file_names(m, d->value);
	if (!n && row) {
		dev_parse(m, tab_f(row, 1), &device);
		if (device.kind != DEV_MAPPER && find_by(m, &device, &n, why) != FOUND_ONE)
			n = NULL;
	}
	if (n)
		return opened_on(m, n, ret, why);
	snprintf(why, 200,
		 row ? "whose device cannot be followed here, or is not attached"
		     : "not attached, or named nowhere else");
	return row && device.kind >= DEV_LUN ? FOUND_UNTOLD : FOUND_NONE;
}

enum found dev_find(const struct machine *m, const char *spec, const struct node **ret, char why[200])
{
	struct dev d;

	*why = '\0';
	dev_parse(m, spec, &d);
	switch (d.kind) {
	case DEV_NONE:
		snprintf(why, 200, "no device");
		return FOUND_NONE;
	case DEV_MAPPER:
		return find_mapper(m, &d, ret, why);
	case DEV_OS:
		if (m->os_disk >= 0)
			return find_by(m, &d, ret, why);
		snprintf(why, 200, "which disk was the OS disk is not known");
		return FOUND_UNTOLD;
	case DEV_LUN:
	case DEV_KERNEL:
	case DEV_OTHER:
	case DEV_TEMP:
		snprintf(why, 200, "a name that cannot be followed on another machine");
		return FOUND_UNTOLD;
	default:
		return find_by(m, &d, ret, why);
	}
}
