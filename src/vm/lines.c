/* SPDX-License-Identifier: MIT */
/* Which lines of crypttab, azure_crypt_mount and fstab are Azure Disk Encryption's, and what they say. The
 * rest is the owner's and is never touched, so doubt means "not ADE's": a line with a key of its own under a
 * name of its own is foreign. ADE appends lines without a newline, so two entries can stand glued in one
 * line; both are told. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/facts.h"

enum { MAX_WORDS = 32, UUID_LEN = 36 };

static const char crypttab_path[] = "/etc/crypttab";
static const char fstab_path[] = "/etc/fstab";
static const char crypt_mount_path[] = STATE_DIR "/azure_crypt_mount";

static bool is_uuid(const char *s)
{
	for (size_t i = 0; i < UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !s[i] || !strchr("0123456789abcdefABCDEF", s[i]))
			return false;
	}
	return s[UUID_LEN] == '\0';
}

static bool is_device(const char *s)
{
	static const char *const begins[] = {"/dev/", "UUID=", "PARTUUID=", "LABEL=", "PARTLABEL=", "ID="};

	for (size_t i = 0; s && i < sizeof(begins) / sizeof(*begins); i++)
		if (str_starts(s, begins[i]))
			return true;
	return false;
}

static bool is_cleartext_key(const char *key)
{
	return strstr(key, "/azure_disk_encryption_config/cleartext_key") != NULL;
}

static enum tab_owner owner_of_name(const char *mapper)
{
	if (str_eq(mapper, "osencrypt"))
		return TAB_ADE_OS;
	return str_eq(mapper, "resourceencrypt") ? TAB_ADE_TEMP : TAB_ADE_DATA;
}

static enum tab_owner crypttab_owner(const char *mapper, const char *key, const char *options)
{
	cleanup_free char *header = NULL;
	cleanup_free char *script = NULL;

	if (owner_of_name(mapper) != TAB_ADE_DATA)
		return owner_of_name(mapper);
	(void)tab_option(options, "header", &header);
	(void)tab_option(options, "keyscript", &script);
	if (str_eq(header, "/boot/luks/osluksheader") || str_eq(header, "/osluksheader") ||
	    (script && str_ends(script, "azure_crypt_key.sh")))
		return TAB_ADE_OS;
	if (strstr(key, "LinuxPassPhraseFileName") || is_cleartext_key(key))
		return TAB_ADE_DATA;
	if (header && (str_starts(header, STATE_DIR "/") || str_starts(header, "/azureluksheader")))
		return TAB_ADE_DATA;
	return TAB_NOT_ADE;
}

/* A copy of a field, NULL for "none", "None", "-" and the empty one. */
static int take_field(char **slot, const char *s, struct err *e)
{
	if (!s || !*s || str_eq_nocase(s, "none") || str_eq(s, "-"))
		return 0;
	*slot = str_printf("%s", s);
	return *slot ? 0 : err_oom(e);
}

static void line_done(struct ade_line *l)
{
	free(l->mapper);
	free(l->device);
	free(l->key);
	free(l->header);
	free(l->mount_at);
}

/* Takes l, also on failure. */
static int add_line(struct vm *vm, struct ade_line *l, struct err *e)
{
	struct ade_line *slot = vec_push(&vm->lines, &vm->nlines);

	l->backed = TRI_UNKNOWN;
	if (slot) {
		*slot = *l;
		return 0;
	}
	line_done(l);
	return err_oom(e);
}

/* Where the second entry begins in a field that two entries share; 0: the field is one entry's. */
static size_t glue_at(const char *s)
{
	static const char *const headers[] = {"header=/boot/luks/osluksheader", "header=/osluksheader"};
	static const char *const names[] = {"osencrypt", "resourceencrypt"};
	size_t n = strlen(s);

	if (n > UUID_LEN && is_uuid(s + n - UUID_LEN))
		return n - UUID_LEN;
	for (size_t i = 0; i < 2; i++)
		if (n > strlen(names[i]) && str_ends(s, names[i]))
			return n - strlen(names[i]);
	for (size_t i = 0; i < 2; i++) {
		const char *p = strstr(s, headers[i]);
		size_t len = strlen(headers[i]);

		if (p && p[len] && !strchr(p + len, ','))
			return (size_t)(p - s) + len;
	}
	return 0;
}

struct words {
	char *v[MAX_WORDS];
	size_t n;
};

static void words_done(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
}

static int words_split(const char *p, size_t len, struct words *w, struct err *e)
{
	static const char blanks[] = " \t\r\v\f";
	size_t i = 0, start;

	while (w->n < MAX_WORDS) {
		while (i < len && (!p[i] || strchr(blanks, p[i])))
			i++;
		if (i == len)
			return 0;
		for (start = i; i < len && p[i] && !strchr(blanks, p[i]);)
			i++;
		w->v[w->n] = str_ndup(p + start, i - start);
		if (!w->v[w->n])
			return err_oom(e);
		w->n++;
	}
	return 0;
}

/* 1: the entry is the owner's. */
static int crypttab_entry(struct vm *vm, const struct tab_row *row, const char *mapper, const char *device,
			  const char *key, const char *options, struct err *e)
{
	struct ade_line l = {.file = crypttab_path, .row = row};
	int err;

	l.owner = crypttab_owner(mapper, key, options);
	if (l.owner == TAB_NOT_ADE)
		return 1;
	l.cleartext = is_cleartext_key(key);
	(void)tab_option(options, "header", &l.header);
	err = take_field(&l.mapper, mapper, e);
	if (!err)
		err = take_field(&l.device, device, e);
	if (!err)
		err = take_field(&l.key, key, e);
	if (!err)
		return add_line(vm, &l, e);
	line_done(&l);
	return err;
}

/* The entry whose device is word i. Where another is glued to its key or options, the word is cut, *next is
 * the name that begins the other, and the answer is the word with the other's device; else 0. */
static size_t cut_entry(struct words *w, size_t i, char **next)
{
	for (size_t k = i + 1; k < i + 3 && k + 1 < w->n; k++) {
		size_t cut = is_device(w->v[k + 1]) ? glue_at(w->v[k]) : 0;

		if (!cut)
			continue;
		*next = str_printf("%s", w->v[k] + cut);
		w->v[k][cut] = '\0';
		return k + 1;
	}
	return 0;
}

/* The words of a line as one entry after the other. */
static int crypttab_entries(struct vm *vm, const struct tab_row *row, struct words *w, struct err *e)
{
	cleanup_free char *mapper = str_printf("%s", w->v[0]);
	size_t i = 1, before = vm->nlines, end;
	bool glued = false, shared = false, more;

	do {
		cleanup_free char *next = NULL;
		const char *f[3]; /* device, key, options */
		size_t after = cut_entry(w, i, &next);
		int r;

		if (!mapper || (after && !next))
			return err_oom(e);
		end = after ? after : w->n;
		for (size_t k = 0; k < 3; k++)
			f[k] = i + k < end ? w->v[i + k] : "";
		r = crypttab_entry(vm, row, mapper, f[0], f[1], f[2], e);
		if (r < 0)
			return r;
		/* one more device behind all fields: something is glued here that cannot be taken apart */
		more = !after && i + 3 < w->n && is_device(w->v[i + 3]);
		shared |= r == 1 || more;
		glued |= after > 0 || more;
		free(mapper);
		mapper = take_ptr(&next);
		i = after;
	} while (i);

	for (size_t k = before; k < vm->nlines; k++) {
		vm->lines[k].glued = glued;
		vm->lines[k].shared = glued && shared;
	}
	return 0;
}

static int read_crypttab(struct vm *vm, struct err *e)
{
	for (size_t i = 0; i < vm->crypttab.n; i++) {
		const struct tab_row *row = &vm->crypttab.v[i];
		cleanup(words_done) struct words w = {.n = 0};
		size_t skip = row->off == 0 && str_starts(vm->crypttab.text, "\xef\xbb\xbf") ? 3 : 0;
		int err = words_split(vm->crypttab.text + row->off + skip, row->len - skip, &w, e);

		if (!err && w.n)
			err = crypttab_entries(vm, row, &w, e);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Seven fields: mapper, device, header, mount point, file system, cleartext key?, slot. All lines are ADE's.
 */
static int read_crypt_mount(struct vm *vm, struct err *e)
{
	for (size_t i = 0; i < vm->state.crypt_mount.n; i++) {
		const struct tab_row *row = &vm->state.crypt_mount.v[i];
		struct ade_line l = {
			.file = crypt_mount_path, .row = row, .owner = owner_of_name(tab_f(row, 0))};
		int err = take_field(&l.mapper, tab_f(row, 0), e);

		l.cleartext = str_eq_nocase(tab_f(row, 5), "true");
		if (!err)
			err = take_field(&l.device, tab_f(row, 1), e);
		if (!err)
			err = take_field(&l.header, tab_f(row, 2), e);
		if (!err)
			err = take_field(&l.mount_at, tab_f(row, 3), e);
		if (!err && l.cleartext) {
			l.key = str_printf("%s/cleartext_key%s", STATE_DIR, tab_f(row, 0));
			err = l.key ? 0 : err_oom(e);
		}
		if (err < 0) {
			line_done(&l);
			return err;
		}
		err = add_line(vm, &l, e);
		if (err < 0)
			return err;
	}
	return 0;
}

/* The mapper that a device name stands for; NULL: none. */
static const char *mapper_of(const char *device)
{
	static const char *const begins[] = {"/dev/mapper/", "/dev/disk/by-id/dm-name-"};

	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++)
		if (str_starts(device, begins[i]) && device[strlen(begins[i])])
			return device + strlen(begins[i]);
	return NULL;
}

static bool is_bek(const char *device, const char *at)
{
	return str_eq_nocase(device, "LABEL=BEK VOLUME") || str_eq_nocase(device, "LABEL=\"BEK VOLUME\"") ||
	       str_starts(device, "/dev/disk/azure/BEK") || str_starts(device, "/dev/disk/by-label/BEK") ||
	       str_eq(at, "/mnt/azure_bek_disk");
}

/* Whose is a mapper that fstab names? Crypttab and azure_crypt_mount decide; a name that neither knows is
 * ADE's where it looks like one that only ADE gives. */
static enum tab_owner fstab_owner(const struct vm *vm, const char *mapper)
{
	for (size_t i = 0; i < vm->nlines; i++)
		if (str_eq(vm->lines[i].mapper, mapper))
			return vm->lines[i].owner;
	for (size_t i = 0; i < vm->crypttab.n; i++)
		if (str_eq(tab_f(&vm->crypttab.v[i], 0), mapper))
			return TAB_NOT_ADE;
	if (is_uuid(mapper) || owner_of_name(mapper) != TAB_ADE_DATA)
		return owner_of_name(mapper);
	return TAB_NOT_ADE;
}

static int read_fstab(struct vm *vm, struct err *e)
{
	for (size_t i = 0; i < vm->fstab.n; i++) {
		const struct tab_row *row = &vm->fstab.v[i];
		const char *device = tab_f(row, 0), *mapper = mapper_of(device);
		struct ade_line l = {.file = fstab_path, .row = row};
		int err;

		l.owner = is_bek(device, tab_f(row, 1)) ? TAB_ADE_BEK
			  : mapper			? fstab_owner(vm, mapper)
							: TAB_NOT_ADE;
		if (l.owner == TAB_NOT_ADE)
			continue;
		err = l.owner == TAB_ADE_BEK ? 0 : take_field(&l.mapper, mapper, e);
		if (!err)
			err = take_field(&l.device, device, e);
		if (!err)
			err = take_field(&l.mount_at, tab_f(row, 1), e);
		if (err < 0) {
			line_done(&l);
			return err;
		}
		err = add_line(vm, &l, e);
		if (err < 0)
			return err;
	}
	return 0;
}

void lines_done(struct vm *vm)
{
	for (size_t i = 0; i < vm->nlines; i++)
		line_done(&vm->lines[i]);
	free(take_ptr(&vm->lines));
	vm->nlines = 0;
}

int lines_read(struct vm *vm, struct err *e)
{
	int err;

	lines_done(vm);
	err = read_crypttab(vm, e);
	if (!err)
		err = read_crypt_mount(vm, e);
	return err ? err : read_fstab(vm, e);
}

void facts_done(struct vm *vm)
{
	lines_done(vm);
	logs_done(vm);
	boot_done(vm);
	extensions_done(vm);
	state_done(vm);
	texts_done(vm);
	for (size_t i = 0; i < vm->ngaps; i++) {
		free(vm->gaps[i].path);
		free(vm->gaps[i].why);
	}
	free(take_ptr(&vm->gaps));
	vm->ngaps = 0;
}
