/* SPDX-License-Identifier: MIT */
/* Whose encryption is it: ADE's, the owner's own, or stated by the operator not to be any. The contract's
 * terms "encrypted" and "foreign LUKS"; doubt makes neither, and then the volume is possibly encrypted. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/luks.h"
#include "vm/machine.h"

static bool line_of(const struct machine *m, const struct volume *v)
{
	for (size_t i = 0; i < m->vm->nlines; i++)
		if (m->vm->lines[i].volume == v && m->vm->lines[i].owner != TAB_ADE_BEK)
			return true;
	return false;
}

static bool has_data_line(const struct machine *m)
{
	for (size_t i = 0; i < m->vm->nlines; i++)
		if (m->vm->lines[i].owner == TAB_ADE_DATA && !m->vm->lines[i].volume)
			return true;
	return false;
}

/* Opened by a key of this machine? One of the command line is, where it opens what ADE's files stand for. */
static bool key_is_ade(const struct machine *m, const struct volume *v)
{
	const struct header *h = v->header;

	if (!h || !h->vk || !h->by)
		return false;
	if (h->by->origin == KEY_BEK || h->by->origin == KEY_STATE_DIR || h->by->origin == KEY_EMPTY)
		return true;
	if (str_ends(h->path, "luks/osluksheader") || h->in_state_dir || h->info.ade_token)
		return true;
	for (size_t i = 0; i < m->w->g->nheaders; i++) {
		const struct header *o = m->w->g->headers[i];

		if (o->vk && o->by == h->by && (str_ends(o->path, "luks/osluksheader") || o->in_state_dir))
			return true;
	}
	return has_data_line(m);
}

static void set_ade(struct machine *m, struct volume *v)
{
	bool named = line_of(m, v) || v->backup_mount_info;

	if (named && v->state == VS_PLAIN_FS && v->plain == TRI_YES)
		named = false; /* left over from before it was decrypted */
	v->ade = named || key_is_ade(m, v);
}

/* ---- the owner's own LUKS ---- */

/* No trace of ADE, and all the places where one would be were looked at. */
static bool bears_no_trace(const struct vm *vm)
{
	return vm->root && vm->state.have == HAVE_NO && vm->archive_dir == HAVE_NO &&
	       vm->old_places == HAVE_NO && vm->waagent != HAVE_UNKNOWN && !vm->nexts && !vm->nlines &&
	       vm->crypttab_file.have != HAVE_UNKNOWN && vm->fstab_file.have != HAVE_UNKNOWN && !vm->nbeks &&
	       !vm->boot_patched && !vm->bootf.osheader.path && vm->bootf.luks_dir == HAVE_NO;
}

static bool has_own_key(const struct tab_row *row)
{
	const char *key = tab_f(row, 2);

	return *key && !str_eq_nocase(key, "none") && !str_eq(key, "-") &&
	       !strstr(key, "LinuxPassPhraseFileName") && !strstr(key, "cleartext_key") &&
	       !str_eq(tab_f(row, 0), "osencrypt") && !crypttab_is_swap(row);
}

static bool crypttab_says_own(const struct machine *m, const struct volume *v)
{
	for (size_t i = 0; i < m->crypttab.n; i++) {
		const struct tab_row *row = &m->crypttab.v[i];
		const struct node *n = NULL;
		char why[200];

		if (has_own_key(row) && dev_find(m, tab_f(row, 1), &n, why) == FOUND_ONE && n == v->node)
			return true;
	}
	return false;
}

static void set_foreign(struct machine *m, struct volume *v)
{
	if (v->ade || !str_eq(v->node->fmt, "crypto_LUKS") ||
	    (v->header && (v->header->detached || v->header->info.ade_token)))
		return;
	v->foreign_luks = crypttab_says_own(m, v) || bears_no_trace(m->vm);
}

/* ---- --not-encrypted ---- */

/* Can a line of crypttab or azure_crypt_mount whose device cannot be followed mean this volume? */
static bool can_be_meant(const struct machine *m, const struct volume *v)
{
	struct dev d;

	for (size_t i = 0; i < m->vm->nlines; i++) {
		const struct ade_line *l = &m->vm->lines[i];

		if (l->owner != TAB_ADE_DATA || l->volume)
			continue;
		dev_parse(m, l->device ? l->device : "", &d);
		if (d.kind == DEV_NONE || d.kind == DEV_MAPPER || dev_can_mean(&d, v->node))
			return true;
	}
	for (size_t i = 0; i < m->crypttab.n; i++) {
		const struct tab_row *row = &m->crypttab.v[i];
		const struct node *n = NULL;
		char why[200];

		if (crypttab_is_swap(row))
			continue;
		dev_parse(m, tab_f(row, 1), &d);
		if (dev_find(m, tab_f(row, 1), &n, why) == FOUND_ONE ? n == v->node
								     : dev_can_mean(&d, v->node))
			return true;
	}
	return false;
}

static const char *why_not(const struct machine *m, const struct volume *v)
{
	if (v == m->vm->root_volume || v->role == VOL_ROOT)
		return "it is the root volume";
	if (v->header || v->ade)
		return "a header or a line of the failed system belongs to it";
	if (v->state != VS_OPAQUE && v->state != VS_UNKNOWN)
		return "it is not opaque";
	if (m->vm->root &&
	    (m->vm->crypttab_file.have == HAVE_UNKNOWN || m->vm->state.crypt_mount_have == HAVE_UNKNOWN))
		return "crypttab or azure_crypt_mount could not be read";
	if (can_be_meant(m, v))
		return "a line of crypttab or azure_crypt_mount can mean it";
	return NULL;
}

static int state_it(struct machine *m, struct volume *v, struct err *e)
{
	const char *why;
	char *text;

	for (size_t i = 0; i < m->w->opt->n_not_encrypted; i++) {
		if (!str_eq(m->w->opt->not_encrypted[i], v->node->name))
			continue;
		why = why_not(m, v);
		v->not_encrypted = !why;
		if (!why)
			continue;
		text = str_printf("%s%s--not-encrypted is not accepted: %s", v->plain_why ? v->plain_why : "",
				  v->plain_why ? "; " : "", why);
		if (!text)
			return err_oom(e);
		free(v->plain_why);
		v->plain_why = text;
	}
	return 0;
}

int volumes_flags(struct machine *m, struct err *e)
{
	for (size_t i = 0; i < m->vm->nvolumes; i++) {
		struct volume *v = &m->vm->volumes[i];

		set_ade(m, v);
		set_foreign(m, v);
		if (state_it(m, v, e) < 0)
			return -ENOMEM;
	}
	return 0;
}
