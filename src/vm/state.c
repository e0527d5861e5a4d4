/* SPDX-License-Identifier: MIT */
/* The state directory of Azure Disk Encryption, /var/lib/azure_disk_encryption_config: what lies in it, by
 * name and by content (a file's name proves nothing, a LUKS header under any name is some disk's only one),
 * the ini files, the markers and the mount registry. The directory may be a link, and /var a volume of its
 * own; where it cannot be looked at it is unknown, never absent. Also the archive directory, the places of
 * builds before 0.1.0.98, /oldroot and /memroot. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/facts.h"

#define cleanup_text cleanup(text_done)

enum { MAX_MARKERS = 1000, MAX_OLD = 100, MAX_OLD_LOOKED = 10000 };

const struct state_file *state_find(const struct state_dir *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

bool state_has(const struct state_dir *s, enum state_kind kind)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == kind)
			return true;
	return false;
}

bool state_has_marker(const struct state_dir *s, const char *name)
{
	for (size_t i = 0; i < s->nmarkers; i++)
		if (str_eq(s->markers[i], name))
			return true;
	return false;
}

static void unknown(struct vm *vm, int err, const char *why)
{
	struct state_dir *s = &vm->state;

	s->have = HAVE_UNKNOWN;
	free(s->why);
	s->why = str_printf("%s", why);
	path_gap(vm, s->mount ? s->mount->node : NULL, STATE_DIR, err, why);
}

/* Is the last component a link, and where does it lead? */
static void look_at_link(struct vm *vm)
{
	struct state_dir *s = &vm->state;
	cleanup_free char *real = NULL;
	const struct mount *m;
	struct fs_stat st;

	if (tree_resolve(&vm->tree, STATE_DIR, FS_NOFOLLOW, &m, &real, NULL) < 0 || !m->fs ||
	    fs_stat(m->fs, real, FS_NOFOLLOW, &st, NULL) < 0 || st.type != FS_LINK)
		return;
	s->is_link = true;
	s->link_leaves = s->mount != m;
}

/* Find the directory. 1 it is there, 0 all is said. */
static int locate(struct vm *vm)
{
	struct state_dir *s = &vm->state;
	struct fs_stat st = {0};
	struct err e = {""};
	int err = vm_where(vm, STATE_DIR, &s->mount, &s->real_path, &st, &e);

	look_at_link(vm);
	if (err == -ENOENT && vm_var_is_here(vm)) {
		s->have = HAVE_NO;
		return 0;
	}
	if (err == -ENOENT)
		err_set(&e, err,
			"there is no /var/lib here: /var probably lies on a volume that was not found");
	if (err == 0 && st.type != FS_DIR) {
		s->not_dir = true;
		err = err_set(&e, -ENOTDIR, "a %s of that name, not a directory", path_type(st.type));
	}
	if (err < 0) {
		unknown(vm, err, e.msg);
		return 0;
	}
	s->have = HAVE_YES;
	return 1;
}

static int read_entries(struct vm *vm, struct graph *g, struct err *e)
{
	struct state_dir *s = &vm->state;
	cleanup_names struct names names = {0};
	struct state_look look = {.graph = g,
				  .node = s->mount->node,
				  .fs = s->mount->fs,
				  .dir = s->real_path,
				  .in_state_dir = true,
				  .budget = CONTENT_BUDGET};
	struct err why = {""};
	int err = names_list(s->mount->fs, s->real_path, STATE_MAX_ENTRIES, &names, &why);

	if (err == -ENOMEM)
		return err_oom(e);
	if (err < 0)
		unknown(vm, err, why.msg);
	s->too_many = names.too_many;
	if (s->too_many)
		vm_gap(vm, s->mount->node, STATE_DIR, "more than %d entries: not all were looked at",
		       STATE_MAX_ENTRIES);

	for (size_t i = 0; i < names.n; i++) {
		struct state_file *f = vec_push(&s->v, &s->n);

		if (!f)
			return err_oom(e);
		f->name = take_ptr(&names.v[i]);
		err = state_look_file(&look, f, e);
		if (err < 0)
			return err;
		f->opens = f->key && f->key->opens > 0;
		if (f->mtime > s->newest)
			s->newest = f->mtime;
		if (f->unreadable) {
			cleanup_free char *path = path_join(STATE_DIR, f->name);

			vm_gap(vm, s->mount->node, path, "%s", f->why);
		}
	}
	return 0;
}

static int read_ini(struct vm *vm, const char *name, enum have *ret_have, struct ini *ret, struct err *e)
{
	cleanup_free char *path = path_join(STATE_DIR, name);
	cleanup_text struct text_file t = {0};

	if (!path)
		return err_oom(e);
	text_read(vm, path, &t);
	*ret_have = t.have;
	return t.have == HAVE_YES ? ini_parse(t.text, t.len, ret, e) : 0;
}

static int read_inis(struct vm *vm, struct err *e)
{
	struct state_dir *s = &vm->state;
	int err = read_ini(vm, "azure_crypt_config.ini", &s->config.have, &s->config.ini, e);

	if (!err)
		err = read_ini(vm, "azure_crypt_params.ini", &s->params.have, &s->params.ini, e);
	if (!err)
		err = read_ini(vm, "azure_crypt_request_queue.ini", &s->queue.have, &s->queue.ini, e);
	if (!err)
		err = read_ini(vm, "azure_decrypt_request_queue.ini", &s->dqueue.have, &s->dqueue.ini, e);
	if (!err)
		err = read_ini(vm, "azure_crypt_ongoing_item.ini", &s->ongoing.have, &s->ongoing.ini, e);
	if (!err)
		err = read_ini(vm, "imds_stored_results.ini", &s->imds.have, &s->imds.ini, e);
	return err;
}

static int read_crypt_mount(struct vm *vm, struct err *e)
{
	struct state_dir *s = &vm->state;
	cleanup_text struct text_file t = {0};
	struct err why = {""};
	int err = 0;

	text_read(vm, STATE_DIR "/azure_crypt_mount", &t);
	s->crypt_mount_have = t.have;
	if (t.have == HAVE_YES)
		err = tab_parse(t.text, t.len, false, &s->crypt_mount, &why);
	if (err == -ENOMEM)
		return err_oom(e);
	if (err < 0) {
		s->crypt_mount_have = HAVE_UNKNOWN;
		vm_gap(vm, s->mount->node, STATE_DIR "/azure_crypt_mount", "%s", why.msg);
	}
	return 0;
}

/* Markers are empty files: anything else was put there for a reason. */
static int look_at_markers(struct vm *vm, const char *folder, struct err *e)
{
	struct state_dir *s = &vm->state;

	for (size_t i = 0; i < s->nmarkers && !s->odd_marker; i++) {
		cleanup_free char *path = str_printf("%s/%s", folder, s->markers[i]);
		struct fs_stat st;

		if (!path)
			return err_oom(e);
		if (tree_stat(&vm->tree, path, FS_NOFOLLOW, &st, NULL) == 0 && st.type == FS_FILE && st.size == 0)
			continue;
		s->odd_marker = str_printf("%s", s->markers[i]);
		if (!s->odd_marker)
			return err_oom(e);
	}
	return 0;
}

static int read_markers(struct vm *vm, struct err *e)
{
	static const char path[] = STATE_DIR "/os_encryption_markers";
	struct state_dir *s = &vm->state;
	struct names names = {0};
	struct err why = {""};
	int err = vm_names(vm, path, MAX_MARKERS, &names, &why);

	if (err == -ENOMEM)
		return err_oom(e);
	s->markers_have = err == -ENOENT ? HAVE_NO : err || names.too_many ? HAVE_UNKNOWN : HAVE_YES;
	if (s->markers_have == HAVE_UNKNOWN)
		path_gap(vm, s->mount->node, path, err, err ? why.msg : "more entries than can be");
	s->markers = names.v;
	s->nmarkers = names.n;
	return look_at_markers(vm, path, e);
}

/* The ini files and the rest are as unknown as the directory, unless it is known to be absent. */
static void all_unknown(struct state_dir *s)
{
	s->config.have = s->params.have = s->queue.have = s->dqueue.have = s->have;
	s->ongoing.have = s->imds.have = s->have;
	s->crypt_mount_have = s->markers_have = s->have;
}

static int old_path(struct vm *vm, const char *dir, const char *name, struct err *e)
{
	char **slot = vm->nold_paths < MAX_OLD ? vec_push(&vm->old_paths, &vm->nold_paths) : NULL;

	vm->old_places = HAVE_YES;
	if (!slot && vm->nold_paths >= MAX_OLD)
		return 0;
	if (slot)
		*slot = path_join(dir, name);
	return slot && *slot ? 0 : err_oom(e);
}

/* azureluksheader* in the root directory, looked at as in the state directory; name becomes the path. */
static int old_header(struct vm *vm, struct state_look *look, const char *name, struct err *e)
{
	struct state_file *f = vec_push(&vm->old_headers, &vm->nold_headers);
	char *path;
	int err;

	if (!f)
		return err_oom(e);
	f->name = str_printf("%s", name);
	if (!f->name)
		return err_oom(e);
	err = state_look_file(look, f, e);
	path = path_join("/", name);
	if (!path)
		return err_oom(e);
	free(f->name);
	f->name = path;
	f->opens = f->key && f->key->opens > 0;
	if (f->unreadable)
		vm_gap(vm, look->node, path, "%s", f->why);
	return err;
}

/* Entries of one directory that begin with prefix. */
static int read_old_dir(struct vm *vm, struct graph *g, const char *dir, const char *prefix, bool headers,
			struct err *e)
{
	cleanup_names struct names names = {0};
	cleanup_free char *real = NULL;
	const struct mount *m = NULL;
	struct state_look look = {.graph = g, .in_state_dir = true, .budget = CONTENT_BUDGET};
	struct err why = {""};
	int err = vm_where(vm, dir, &m, &real, NULL, &why);

	if (!err)
		err = names_list(m->fs, real, MAX_OLD_LOOKED, &names, &why);
	if (err == -ENOMEM)
		return err_oom(e);
	if (err == 0 && names.too_many)
		err = err_set(&why, -E2BIG, "too many entries: not all were looked at");
	if (err < 0 && err != -ENOENT) {
		vm->old_places = vm->old_places == HAVE_YES ? HAVE_YES : HAVE_UNKNOWN;
		path_gap(vm, m ? m->node : NULL, dir, err, why.msg);
	}
	look.node = m ? m->node : NULL;
	look.fs = m ? m->fs : NULL;
	look.dir = real;
	for (size_t i = 0; i < names.n; i++) {
		if (!str_starts(names.v[i], prefix))
			continue;
		err = old_path(vm, dir, names.v[i], e);
		if (!err && headers && vm->nold_headers < MAX_OLD)
			err = old_header(vm, &look, names.v[i], e);
		if (err < 0)
			return err;
	}
	return 0;
}

static enum have read_empty_dir(struct vm *vm, const char *path, bool *ret_empty)
{
	cleanup_names struct names names = {0};
	struct fs_stat st;
	enum have have = vm_exists(vm, path, &st);

	*ret_empty = have == HAVE_YES && st.type == FS_DIR && vm_names(vm, path, 1, &names, NULL) == 0 &&
		     !names.n;
	return have;
}

void state_done(struct vm *vm)
{
	struct state_dir *s = &vm->state;

	for (size_t i = 0; i < s->n; i++)
		state_file_done(&s->v[i]);
	for (size_t i = 0; i < s->nmarkers; i++)
		free(s->markers[i]);
	for (size_t i = 0; i < vm->nold_paths; i++)
		free(vm->old_paths[i]);
	for (size_t i = 0; i < vm->nold_headers; i++)
		state_file_done(&vm->old_headers[i]);
	ini_done(&s->config.ini);
	ini_done(&s->params.ini);
	ini_done(&s->queue.ini);
	ini_done(&s->dqueue.ini);
	ini_done(&s->ongoing.ini);
	ini_done(&s->imds.ini);
	tab_done(&s->crypt_mount);
	free(s->v);
	free(s->markers);
	free(s->odd_marker);
	free(s->path);
	free(s->real_path);
	free(s->why);
	*s = (struct state_dir){0};
	free(take_ptr(&vm->old_paths));
	free(take_ptr(&vm->old_headers));
	vm->nold_paths = vm->nold_headers = 0;
}

static int read_dir(struct vm *vm, struct graph *g, struct err *e)
{
	int err;

	if (!locate(vm)) {
		all_unknown(&vm->state);
		return 0;
	}
	err = read_entries(vm, g, e);
	if (!err)
		err = read_inis(vm, e);
	if (!err)
		err = read_crypt_mount(vm, e);
	return err ? err : read_markers(vm, e);
}

int state_read(struct vm *vm, struct graph *g, struct err *e)
{
	int err;

	state_done(vm);
	vm->state.path = str_printf("%s", STATE_DIR);
	if (!vm->state.path)
		return err_oom(e);
	err = read_dir(vm, g, e);
	if (err < 0)
		return err;

	vm->archive_dir = vm_exists(vm, STATE_ARCHIVE, NULL);
	vm->old_places = HAVE_NO;
	err = read_old_dir(vm, g, "/", "azureluksheader", true, e);
	if (!err)
		err = read_old_dir(vm, g, "/etc", "azure_crypt_", false, e);
	vm->oldroot = read_empty_dir(vm, "/oldroot", &vm->oldroot_empty);
	vm->memroot = read_empty_dir(vm, "/memroot", &vm->memroot_empty);
	return err;
}
