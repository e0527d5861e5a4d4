/* SPDX-License-Identifier: MIT */
/* Which attached volume stands behind each of ADE's lines. LUN names mean nothing on another machine, so a
 * data line is followed by what the volume says of itself, by its header file, by UUIDs; and "nothing backs
 * it" is said only where every attached volume that could be meant is proved plain or is known to be another
 * one's. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/luks.h"
#include "vm/machine.h"

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static const struct volume *volume_of(const struct machine *m, const struct node *n)
{
	for (size_t i = 0; n && i < m->vm->nvolumes; i++)
		if (m->vm->volumes[i].node == n || m->vm->volumes[i].inner == n)
			return &m->vm->volumes[i];
	return NULL;
}

static const struct volume *by_role(const struct machine *m, enum vol_role role)
{
	for (size_t i = 0; i < m->vm->nvolumes; i++)
		if (m->vm->volumes[i].role == role)
			return &m->vm->volumes[i];
	return NULL;
}

/* The only volume that says it was this mapper. */
static const struct volume *by_info(const struct machine *m, const char *mapper)
{
	const struct volume *found = NULL;

	for (size_t i = 0; mapper && i < m->w->ninfos; i++) {
		const struct volume *v =
			str_eq(m->w->infos[i].mapper, mapper) ? volume_of(m, m->w->infos[i].node) : NULL;

		if (!v || v == found)
			continue;
		if (found)
			return NULL;
		found = v;
	}
	return found;
}

static bool is_in_tree(const struct machine *m, const struct node *n)
{
	for (size_t i = 0; n && i < m->vm->tree.n; i++)
		if (m->vm->tree.v[i].node == n)
			return true;
	return false;
}

/* By the header file that the line names, or azureluksheaderMAPPER; by a header whose UUID is the mapper's
 * name. */
static const struct volume *by_header(const struct machine *m, const struct ade_line *l)
{
	cleanup_free char *file = l->mapper ? str_printf("azureluksheader%s", l->mapper) : NULL;

	for (size_t i = 0; i < m->w->g->nheaders; i++) {
		const struct header *h = m->w->g->headers[i];
		const char *base = base_name(h->path);
		const struct volume *v = h->volume ? volume_of(m, h->volume) : NULL;

		if (!v)
			continue;
		if (base && is_in_tree(m, h->node) &&
		    (str_eq(base, base_name(l->header)) || str_eq(base, file)))
			return v;
		if (str_eq_nocase(h->info.uuid, l->mapper))
			return v;
	}
	return NULL;
}

/* FOUND_NONE: its name could be followed, and nothing attached has it. */
static enum found by_device(const struct machine *m, const struct ade_line *l, const struct volume **ret)
{
	const struct node *n = NULL;
	char why[200];
	enum found f = l->device && !dev_mapper(l->device) ? dev_find(m, l->device, &n, why) : FOUND_UNTOLD;

	if (f == FOUND_ONE)
		*ret = volume_of(m, n);
	return f == FOUND_ONE && !*ret ? FOUND_UNTOLD : f;
}

static bool is_online(const struct volume *v)
{
	return v->header && (v->header->info.online || v->header->info.in_flight_magic);
}

static enum tri backs(const struct volume *v)
{
	switch (v->state) {
	case VS_OPENED:
	case VS_LOCKED:
	case VS_OPAQUE:
		return TRI_YES;
	case VS_PLAIN_FS:
		if (is_online(v))
			return TRI_YES;
		return v->plain == TRI_YES ? TRI_NO : TRI_UNKNOWN;
	case VS_BLANK:
		return TRI_NO;
	case VS_OTHER:
	case VS_UNKNOWN:
		break;
	}
	return v->plain == TRI_YES ? TRI_NO : TRI_UNKNOWN;
}

static bool is_named_elsewhere(const struct machine *m, const struct volume *v)
{
	for (size_t i = 0; i < m->w->ninfos; i++)
		if (m->w->infos[i].node == v->inner && m->w->infos[i].mapper)
			return true;
	for (size_t i = 0; i < m->vm->nlines; i++)
		if (m->vm->lines[i].volume == v)
			return true;
	return false;
}

/* Could this volume be what the line means, for all that is known? */
static bool can_be(const struct machine *m, const struct volume *v, const struct ade_line *l)
{
	struct dev d;

	if (v == m->vm->root_volume || v->role == VOL_BEK || v->role == VOL_SMALL || v->role == VOL_BOOT ||
	    v->role == VOL_ESP || v->role == VOL_SWAP || backs(v) == TRI_NO || is_named_elsewhere(m, v))
		return false;
	dev_parse(m, l->device ? l->device : "", &d);
	return d.kind == DEV_NONE || d.kind == DEV_MAPPER || d.kind == DEV_TEMP || dev_can_mean(&d, v->node);
}

static bool is_data(const struct ade_line *l)
{
	return l->owner == TAB_ADE_DATA || l->owner == TAB_ADE_TEMP;
}

static void back_line(struct machine *m, struct ade_line *l)
{
	const struct volume *v = NULL;
	enum found f = FOUND_UNTOLD;

	if (l->owner == TAB_ADE_BEK) {
		l->volume = by_role(m, VOL_BEK);
		l->backed = m->w->nbeks ? TRI_YES : TRI_UNKNOWN;
		return;
	}
	if (l->owner == TAB_ADE_OS)
		v = m->vm->root_volume;
	else if (l->owner == TAB_ADE_TEMP)
		v = by_role(m, VOL_TEMP);
	else
		v = by_info(m, l->mapper);
	if (!v && is_data(l))
		v = by_header(m, l);
	if (!v && is_data(l))
		f = by_device(m, l, &v);
	l->volume = v;
	l->backed = v ? backs(v) : f == FOUND_NONE ? TRI_NO : TRI_UNKNOWN;
}

/* fstab's line of a mapper is backed by what backs crypttab's. */
static void share_mapper(struct machine *m, struct ade_line *l)
{
	for (size_t i = 0; l->mapper && i < m->vm->nlines; i++) {
		const struct ade_line *o = &m->vm->lines[i];

		if (l->volume || o == l || !str_eq(o->mapper, l->mapper))
			continue;
		if (o->volume)
			l->volume = o->volume;
		if (o->volume || o->backed == TRI_NO)
			l->backed = o->backed;
	}
}

/* One mapper is left, and one volume that this machine's key opens: they belong together. */
static void pair_the_last(struct machine *m)
{
	const struct volume *last = NULL;
	const char *mapper = NULL;

	for (size_t i = 0; i < m->vm->nlines; i++) {
		const struct ade_line *l = &m->vm->lines[i];

		if (l->owner != TAB_ADE_DATA || l->volume || l->backed != TRI_UNKNOWN)
			continue;
		if (!l->mapper || (mapper && !str_eq(mapper, l->mapper)))
			return;
		mapper = l->mapper;
		for (size_t k = 0; k < m->vm->nvolumes; k++) {
			const struct volume *v = &m->vm->volumes[k];

			if (!can_be(m, v, l))
				continue;
			if (v->state != VS_OPENED || (last && last != v))
				return;
			last = v;
		}
	}
	for (size_t i = 0; last && i < m->vm->nlines; i++)
		if (str_eq(m->vm->lines[i].mapper, mapper)) {
			m->vm->lines[i].volume = last;
			m->vm->lines[i].backed = TRI_YES;
		}
}

static void nothing_left(struct machine *m, struct ade_line *l)
{
	if (!is_data(l) || l->volume || l->backed != TRI_UNKNOWN)
		return;
	for (size_t i = 0; i < m->vm->nvolumes; i++)
		if (can_be(m, &m->vm->volumes[i], l))
			return;
	l->backed = TRI_NO;
}

int backing_read(struct machine *m, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < m->vm->nlines; i++)
		back_line(m, &m->vm->lines[i]);
	for (size_t i = 0; i < m->vm->nlines; i++)
		share_mapper(m, &m->vm->lines[i]);
	pair_the_last(m);
	for (size_t i = 0; i < m->vm->nlines; i++)
		nothing_left(m, &m->vm->lines[i]);
	return 0;
}
