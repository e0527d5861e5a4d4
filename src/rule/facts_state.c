/* SPDX-License-Identifier: MIT */
/* Predicates about the state directory, the ongoing item, header files, tables, disks and keys. ADE asks for
 * the mere existence of its files, so an empty file counts as present here. A directory that was read past an
 * unreplayed journal, or not in full, proves what it shows and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "rule/facts.h"
#include "rule/list.h"
#include "vm/ini.h"
#include "vm/keys.h"

static const struct fs *state_fs(const struct vm *vm)
{
	if (vm->state.mount && vm->state.mount->fs)
		return vm->state.mount->fs;
	return vm->root ? vm->root->fs : NULL;
}

bool state_believed(const struct vm *vm, char **why)
{
	const struct fs *fs = state_fs(vm);

	if (vm->state.have == HAVE_UNKNOWN)
		cannot_tell(why, "the state directory could not be looked at%s%s", vm->state.why ? ": " : "",
			    vm->state.why ? vm->state.why : "");
	else if (vm->state.not_dir)
		cannot_tell(why, "the state directory is not a directory");
	else if (vm->state.too_many)
		cannot_tell(why, "the state directory has too many entries to list");
	else if (!vm->root && vm->state.have == HAVE_NO)
		cannot_tell(why, "the root file system was not read");
	else if (fs && fs->stale)
		cannot_tell(why, "the journal of the file system with the state directory was not replayed");
	else
		return true;
	return false;
}

enum tri state_file_there(const struct vm *vm, enum have have, const char *name, char **why)
{
	if (vm->state.have == HAVE_YES && have == HAVE_YES)
		return TRI_YES;
	if (!state_believed(vm, why))
		return TRI_UNKNOWN;
	if (vm->state.have == HAVE_YES && have == HAVE_UNKNOWN)
		return cannot_tell(why, "%s in the state directory could not be read", name);
	return TRI_NO;
}

static enum tri kind_there(const struct vm *vm, enum state_kind kind, bool filled, const char *name,
			   char **why)
{
	for (size_t i = 0; i < vm->state.n; i++) {
		const struct state_file *f = &vm->state.v[i];

		if (f->kind == kind && (!filled || f->size || f->unreadable))
			return TRI_YES;
	}
	(void)name;
	return state_believed(vm, why) ? TRI_NO : TRI_UNKNOWN;
}

enum tri state_kind_there(const struct vm *vm, enum state_kind kind, const char *name, char **why)
{
	return kind_there(vm, kind, false, name, why);
}

enum tri state_kind_filled(const struct vm *vm, enum state_kind kind, const char *name, char **why)
{
	return kind_there(vm, kind, true, name, why);
}

enum tri marker_there(const struct vm *vm, const char *marker, char **why)
{
	for (size_t i = 0; i < vm->state.nmarkers; i++)
		if (str_eq(vm->state.markers[i], marker))
			return TRI_YES;
	if (!state_believed(vm, why))
		return TRI_UNKNOWN;
	if (vm->state.markers_have == HAVE_UNKNOWN)
		return cannot_tell(why, "os_encryption_markers could not be read");
	return TRI_NO;
}

enum tri any_marker(const struct vm *vm, char **why)
{
	return vm->state.nmarkers ? TRI_YES : marker_there(vm, "", why);
}

enum tri config_there(const struct vm *vm, char **why)
{
	return state_file_there(vm, vm->state.config.have, "azure_crypt_config.ini", why);
}

enum tri params_there(const struct vm *vm, char **why)
{
	return state_file_there(vm, vm->state.params.have, "azure_crypt_params.ini", why);
}

enum tri queue_there(const struct vm *vm, char **why)
{
	return state_file_there(vm, vm->state.queue.have, "azure_crypt_request_queue.ini", why);
}

enum tri decrypt_queue_there(const struct vm *vm, char **why)
{
	return state_file_there(vm, vm->state.dqueue.have, "azure_decrypt_request_queue.ini", why);
}

enum tri ongoing_there(const struct vm *vm, char **why)
{
	return state_file_there(vm, vm->state.ongoing.have, "azure_crypt_ongoing_item.ini", why);
}

enum phase ongoing_phase(const struct vm *vm, char **why)
{
	enum tri there = ongoing_there(vm, why);
	const char *p;

	if (there != TRI_YES)
		return there == TRI_NO ? PHASE_NONE : PHASE_UNKNOWN;
	p = ini_get(&vm->state.ongoing.ini, "phase");
	if (!p || !*p || vm->state.ongoing.ini.empty) {
		cannot_tell(why, "azure_crypt_ongoing_item.ini does not name its phase");
		return PHASE_UNKNOWN;
	}
	if (ini_conflicts(&vm->state.ongoing.ini, "phase")) {
		cannot_tell(why, "azure_crypt_ongoing_item.ini names two phases");
		return PHASE_UNKNOWN;
	}
	if (str_eq_nocase(p, "BackupHeader"))
		return PHASE_BACKUP;
	if (str_eq_nocase(p, "Done"))
		return PHASE_DONE;
	if (str_eq_nocase(p, "DecryptingData"))
		return PHASE_DECRYPT;
	if (str_eq_nocase(p, "EncryptDevice") || str_eq_nocase(p, "EncryptingData") ||
	    str_eq_nocase(p, "RecoverHeader"))
		return PHASE_COPY;
	cannot_tell(why, "azure_crypt_ongoing_item.ini names an unknown phase, '%s'", p);
	return PHASE_UNKNOWN;
}

const char *config_volume_type(const struct vm *vm)
{
	const char *vt = NULL;

	if (vm->state.have == HAVE_YES && vm->state.config.have == HAVE_YES)
		vt = ini_get(&vm->state.config.ini, "volumetype");
	return vt && *vt && !str_eq(vt, "None") ? vt : NULL;
}

bool queue_is_online(const struct vm *vm)
{
	const char *mode =
		vm->state.queue.have == HAVE_YES ? ini_get(&vm->state.queue.ini, "encryptionmode") : NULL;

	return str_eq_nocase(mode, "Online");
}

enum tri state_leftover(const struct vm *vm, char **why)
{
	enum tri t = config_there(vm, why);
	enum phase p = ongoing_phase(vm, why);

	t = tri_or(t, params_there(vm, why));
	t = tri_or(t, queue_there(vm, why));
	t = tri_or(t, decrypt_queue_there(vm, why));
	t = tri_or(t, state_kind_there(vm, SK_BEK_BACKUP, "bek_backup", why));
	t = tri_or(t, any_marker(vm, why));
	t = tri_or(t, state_file_there(vm, vm->state.crypt_mount_have, "azure_crypt_mount", why));
	if (p == PHASE_BACKUP || p == PHASE_DONE)
		return TRI_YES;
	return t;
}

/* ---- header files ---- */
static bool opens_a_volume(const struct vm *vm, const struct header *h)
{
	if (!h)
		return false;
	if (h->opened)
		return true;
	for (size_t i = 0; i < vm->nvolumes; i++)
		if (vm->volumes[i].header == h && vm->volumes[i].state == VS_OPENED)
			return true;
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static bool ongoing_names(const struct vm *vm, const char *base, const char *mapper)
{
	cleanup_free char *why = NULL;
	enum tri there = ongoing_there(vm, &why);
	const char *m, *h;

	if (there != TRI_YES)
		return there == TRI_UNKNOWN;
	m = ini_get(&vm->state.ongoing.ini, "mappername");
	h = ini_get(&vm->state.ongoing.ini, "headerfilepath");
	if (!m || !*m) /* an empty or truncated item may mean any mapper */
		return true;
	return str_eq(m, mapper) || str_eq(base_name(h), base);
}

/* Does anything still name this header file or its mapper? */
static bool still_named(const struct vm *vm, const struct state_file *f)
{
	const char *base = base_name(f->name);
	const char *mapper = str_starts(base, "azureluksheader") ? base + strlen("azureluksheader") : NULL;

	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];

		if ((mapper && *mapper && str_eq(l->mapper, mapper)) ||
		    (l->header && str_eq(base_name(l->header), base)))
			return true;
	}
	return ongoing_names(vm, base, mapper);
}

enum header_fate header_file_fate(const struct vm *vm, const struct state_file *f)
{
	if (opens_a_volume(vm, f->header))
		return HEADER_OPENS;
	if (!disks_confirmed(vm) || still_named(vm, f) || vm->state.crypt_mount_have == HAVE_UNKNOWN ||
	    vm->crypttab_file.have == HAVE_UNKNOWN)
		return HEADER_ALONE;
	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];
		cleanup_free char *why = NULL;

		if (v->state != VS_OPENED && vol_unencrypted(v, &why) != TRI_YES)
			return HEADER_ALONE;
	}
	return HEADER_WITHOUT_VOLUME;
}

static void header_files_of(const struct vm *vm, const struct state_file *v, size_t n, const char *dir,
			    void (*fn)(void *, const struct vm *, const struct state_file *, const char *),
			    void *arg)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *path = NULL;

		if (!v[i].is_luks && !v[i].luks_damaged)
			continue;
		path = dir ? str_printf("%s/%s", dir, v[i].name) : str_printf("%s", v[i].name);
		fn(arg, vm, &v[i], path ? path : v[i].name);
	}
}

void each_header_file(const struct vm *vm,
		      void (*fn)(void *, const struct vm *, const struct state_file *, const char *),
		      void *arg)
{
	header_files_of(vm, vm->state.v, vm->state.n, vm->state.path ? vm->state.path : "", fn, arg);
	header_files_of(vm, vm->old_headers, vm->nold_headers, NULL, fn, arg);
}

/* ---- disks ---- */
char *disks_contradiction(const struct vm *vm)
{
	if (vm->data_disks_said < 0)
		return NULL;
	if (vm->data_disks_attached < (unsigned)vm->data_disks_said)
		return str_printf("--data-disks says %d, but only %u data disk%s attached",
				  vm->data_disks_said, vm->data_disks_attached,
				  vm->data_disks_attached == 1 ? " is" : "s are");
	if ((unsigned)vm->data_disks_said < vm->data_disks_named)
		return str_printf("--data-disks says %d, but the failed system's own files name %u",
				  vm->data_disks_said, vm->data_disks_named);
	return NULL;
}

bool disks_confirmed(const struct vm *vm)
{
	if (vm->data_disks_said >= 0 && (vm->data_disks_attached < (unsigned)vm->data_disks_said ||
					 (unsigned)vm->data_disks_said < vm->data_disks_named))
		return false;
	return vm->all_disks_attached || vm->data_disks_said >= 0;
}

enum tri disks_complete(const struct vm *vm, char **why)
{
	if (vm->nvar_missing)
		return cannot_tell(why, "a disk with part of the operating system is not attached: %s",
				   vm->var_missing[0]);
	if (disks_confirmed(vm))
		return TRI_YES;
	if (vm->nmissing)
		return cannot_tell(why, "a disk that the failed system names is not attached: %s",
				   vm->missing[0]);
	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];

		if (l->owner == TAB_ADE_DATA && line_is_item(l) && !l->volume && l->backed != TRI_YES)
			return cannot_tell(why, "%s line %u names %s, and no attached disk backs it", l->file,
					   l->row ? l->row->line : 0, or_dash(l->mapper));
	}
	return TRI_YES;
}

bool line_is_item(const struct ade_line *l)
{
	return l->owner != TAB_ADE_BEK && l->owner != TAB_NOT_ADE;
}

bool line_is_tab(const struct ade_line *l)
{
	return str_eq(l->file, "/etc/crypttab") || str_eq(l->file, "/etc/fstab");
}

size_t count_lines(const struct vm *vm, bool (*pred)(const struct ade_line *))
{
	size_t n = 0;

	for (size_t i = 0; i < vm->nlines; i++)
		n += pred(&vm->lines[i]);
	return n;
}

/* A mapper that no LUKS device backs: nothing attached is it, or what is attached is proved plain. The
 * temporary disk is never attached here and holds nothing that lasts. */
enum tri line_orphan(const struct vm *vm, const struct ade_line *l, char **why)
{
	if (!line_is_item(l))
		return TRI_NO;
	if (l->volume) {
		if (l->volume->state == VS_OPENED || is_locked(l->volume))
			return TRI_NO;
		return vol_unencrypted(l->volume, why);
	}
	if (l->owner == TAB_ADE_TEMP || l->owner == TAB_ADE_OS)
		return l->backed == TRI_YES ? TRI_NO : TRI_YES;
	if (l->backed == TRI_YES)
		return TRI_NO;
	if (!disks_confirmed(vm))
		return cannot_tell(why, "%s names %s, which no attached disk backs", l->file,
				   or_dash(l->mapper));
	return TRI_YES;
}

/* ---- keys ---- */
bool have_bek_key(const struct vm *vm)
{
	for (size_t i = 0; i < vm->nbeks; i++)
		for (size_t k = 0; k < vm->beks[i]->nfiles; k++)
			if (vm->beks[i]->files[k].passphrase && vm->beks[i]->files[k].size)
				return true;
	return false;
}

bool have_key(const struct vm *vm)
{
	for (size_t i = 0; vm->graph && i < vm->graph->nkeys; i++)
		if (!vm->graph->keys[i]->empty_file && vm->graph->keys[i]->origin != KEY_EMPTY)
			return true;
	return have_bek_key(vm);
}

/* ---- gaps ---- */
static bool gap_matters(const struct gap *g)
{
	static const char *const harmless[] = {
		"/var/log",	 "/boot/grub",	    "/boot/efi",     "/boot/loader",
		"/boot/vmlinuz", "/boot/init",	    "/etc/default",  "/etc/modprobe.d",
		"/etc/lvm",	 "/etc/os-release", "/etc/hostname", "/etc/machine-id",
		"/usr"};

	if (!g->path || !*g->path)
		return true;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		if (str_starts(g->path, harmless[i]))
			return false;
	return true;
}

enum tri all_looked_at(const struct vm *vm, char **why)
{
	enum tri t = TRI_YES;

	if (!state_believed(vm, why))
		t = TRI_UNKNOWN;
	if (vm->fstab_file.have == HAVE_UNKNOWN)
		t = cannot_tell(why, "/etc/fstab could not be read");
	if (vm->crypttab_file.have == HAVE_UNKNOWN)
		t = cannot_tell(why, "/etc/crypttab could not be read");
	if (vm->root && vm->root->fs && vm->root->fs->stale)
		t = cannot_tell(why, "the journal of the root file system was not replayed");
	if (vm->bootf.luks_dir == HAVE_UNKNOWN)
		t = cannot_tell(why, "whether /boot/luks exists could not be told");
	if (vm->old_places == HAVE_UNKNOWN)
		t = cannot_tell(why, "the places of old versions (/etc/azure_crypt_*, /azureluksheader*) "
				     "could not be looked at");
	else if (vm->old_places == HAVE_YES && !disks_confirmed(vm))
		t = cannot_tell(why, "files of a very old version lie outside the state directory and may "
				     "name a disk that is not attached");
	for (size_t i = 0; i < vm->ngaps; i++)
		if (gap_matters(&vm->gaps[i]))
			t = cannot_tell(why, "%s could not be read: %s",
					vm->gaps[i].path && *vm->gaps[i].path ? vm->gaps[i].path : "a volume",
					or_dash(vm->gaps[i].why));
	return t;
}

enum tri nothing_here(const struct vm *vm, char **why)
{
	enum tri t = nothing_encrypted(vm, why);

	t = tri_and(t, tri_not(any_online(vm, why)));
	t = tri_and(t, disks_complete(vm, why));
	return tri_and(t, all_looked_at(vm, why));
}

static bool row_holds(const struct rule *rule, const struct vm *vm)
{
	cleanup_free char *why = NULL;
	struct findings f = {0};
	enum tri t = rule->check(vm, &f, &why);

	findings_done(&f);
	return t == TRI_YES;
}

bool looks_stale(const struct vm *vm)
{
	return row_holds(&rule_stale_state, vm) || row_holds(&rule_fresh_header_plain_root, vm);
}

struct finding *finding_in_state(struct findings *out, const struct rule *rule, const struct vm *vm,
				 const char *name)
{
	cleanup_free char *path = NULL;

	if (name && vm->state.path)
		path = str_printf("%s/%s", vm->state.path, name);
	return finding_add(out, rule, vm->state.mount ? vm->state.mount->node : vm->root,
			   path ? path : vm->state.path, 0);
}
