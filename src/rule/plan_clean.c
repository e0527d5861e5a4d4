/* SPDX-License-Identifier: MIT */
/* The edits of a clean, as the contract lists them: renames, commented lines, and with --for no-start the
 * number in mrseq. No I/O: paths are those that reading the machine found. An edit that several findings want
 * is one edit with all their ids. Refused is whatever judge() refused; nothing is refused or allowed anew
 * here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "rule/clean.h"
#include "rule/facts.h"
#include "rule/list.h"

static struct edit *planned(struct plan *p, const struct node *on, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].on == on && str_eq(p->v[i].path, path))
			return &p->v[i];
	return NULL;
}

static int because(struct edit *edit, const char *id)
{
	for (size_t i = 0; i < edit->nbecause; i++)
		if (str_eq(edit->because[i], id))
			return 0;
	return edit_because(edit, id);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int set_aside(struct plan *p, const struct node *on, const char *path, const char *shown,
		     const char *reason, struct err *e)
{
	cleanup_free char *name = str_printf("%s.aderescue-%s", base_name(path), p->stamp);
	struct edit *edit = planned(p, on, path);

	if (edit)
		return because(edit, reason) < 0 ? err_oom(e) : 0;
	if (!name || !plan_rename(p, on, path, shown, name, reason))
		return err_oom(e);
	return 0;
}

int clean_boot_luks(const struct vm *vm, const struct finding *f, struct plan *p, struct err *e)
{
	const struct node *on = vm->bootf.on_root ? vm->root : vm->boot;

	(void)f;
	if (vm->bootf.luks_dir != HAVE_YES && !vm->bootf.osheader.path)
		return 0;
	if (!on)
		return err_set(e, -EPERM, "/boot/luks: the file system that holds it is not known");
	return set_aside(p, on, vm->bootf.on_root ? "/boot/luks" : "/luks", "/boot/luks",
			 rule_fresh_header_plain_root.id, e);
}

/* ---- crypttab and fstab ---- */
struct lines {
	unsigned *v;
	size_t n;
	bool orphan, temp;
};

/* A row may hold two glued entries: it goes only where that is right for both. */
static bool row_goes(const struct vm *vm, const struct ade_line *line)
{
	for (size_t i = 0; i < vm->nlines; i++) {
		cleanup_free char *why = NULL;

		if (str_eq(vm->lines[i].file, line->file) && vm->lines[i].row &&
		    vm->lines[i].row->line == line->row->line &&
		    line_orphan(vm, &vm->lines[i], &why) != TRI_YES)
			return false;
	}
	return true;
}

static int lines_of(const struct vm *vm, const char *file, struct lines *ret)
{
	for (size_t i = 0; i < vm->nlines; i++) {
		const struct ade_line *l = &vm->lines[i];
		unsigned *slot;
		bool known = false;

		if (!str_eq(l->file, file) || !l->row || !row_goes(vm, l))
			continue;
		ret->temp |= l->owner == TAB_ADE_TEMP;
		ret->orphan |= l->owner != TAB_ADE_TEMP;
		for (size_t k = 0; k < ret->n; k++)
			known |= ret->v[k] == l->row->line;
		if (known)
			continue;
		slot = vec_push(&ret->v, &ret->n);
		if (!slot)
			return -ENOMEM;
		*slot = l->row->line;
	}
	return 0;
}

static int comment_out(const struct vm *vm, const char *file, const struct tab *tab, struct lines *l,
		       struct plan *p, struct err *e)
{
	cleanup_free char *text = NULL;
	struct edit *edit;
	size_t len = 0;
	int err;

	err = tab_comment_lines(tab, l->v, l->n, &text, &len, e);
	if (err < 0)
		return err;
	edit = plan_replace(p, vm->root, file, file, text, len,
			    l->orphan ? rule_stale_orphan_entries.id : rule_stale_temp_disk_entry.id);
	if (!edit || (l->orphan && l->temp && because(edit, rule_stale_temp_disk_entry.id) < 0))
		return err_oom(e);
	if (because(edit, rule_stale_state.id) < 0)
		return err_oom(e);
	edit->lines = take_ptr(&l->v);
	edit->nlines = l->n;
	return 0;
}

static int clean_tab(const struct vm *vm, const char *file, const struct tab *tab, struct plan *p,
		     struct err *e)
{
	struct lines l = {0};
	int err = lines_of(vm, file, &l);

	if (err < 0)
		err = err_oom(e);
	else if (l.n)
		err = comment_out(vm, file, tab, &l, p, e);
	free(l.v);
	return err;
}

int clean_state(const struct vm *vm, const struct finding *f, struct plan *p, struct err *e)
{
	int err = 0;

	(void)f;
	if (vm->state.have == HAVE_YES) {
		if (!vm->state.mount || !vm->state.mount->node || !vm->state.real_path)
			return err_set(e, -EPERM,
				       "the state directory: where it really lies could not be told");
		err = set_aside(p, vm->state.mount->node, vm->state.real_path, vm->state.path,
				rule_stale_state.id, e);
	}
	if (!err)
		err = clean_tab(vm, "/etc/crypttab", &vm->crypttab, p, e);
	if (!err)
		err = clean_tab(vm, "/etc/fstab", &vm->fstab, p, e);
	return err;
}

/* ---- what every clean does ---- */
static int clean_empty_roots(const struct vm *vm, struct plan *p, struct err *e)
{
	int err = 0;

	if (vm->oldroot == HAVE_YES && vm->oldroot_empty)
		err = set_aside(p, vm->root, "/oldroot", "/oldroot", rule_stale_retry_blocker.id, e);
	if (!err && vm->memroot == HAVE_YES && vm->memroot_empty)
		err = set_aside(p, vm->root, "/memroot", "/memroot", rule_stale_retry_blocker.id, e);
	return err;
}

/* ---- mrseq ---- */
static bool under(const char *at, const char *path)
{
	size_t n = strlen(at);

	if (n && at[n - 1] == '/')
		n--;
	return strncmp(at, path, n) == 0 && (path[n] == '/' || !path[n]);
}

/* The file system that holds a path of the failed system, links apart. */
static const struct mount *mount_of(const struct vm *vm, const char *path)
{
	const struct mount *best = NULL;

	for (size_t i = 0; i < vm->tree.n; i++)
		if (under(vm->tree.v[i].at, path) && (!best || strlen(vm->tree.v[i].at) >= strlen(best->at)))
			best = &vm->tree.v[i];
	return best;
}

static int put_number(const struct vm *vm, const char *dir, uint64_t number, struct plan *p, struct err *e)
{
	cleanup_free char *path = str_printf("%s/mrseq", dir);
	cleanup_free char *text = str_printf("%ju", (uintmax_t)number);
	const struct mount *m;
	size_t skip;

	if (!path || !text)
		return err_oom(e);
	m = mount_of(vm, path);
	if (!m || !m->node || !m->fs)
		return err_set(e, -EPERM, "%s: the file system that holds it is not known", path);
	if (m->fs->write_refused && !m->fs->by_kernel)
		return err_set(e, -EPERM, "%s: cannot be changed: %s", path, m->fs->write_refused);
	skip = strcmp(m->at, "/") == 0 ? 0 : strlen(m->at);
	if (!plan_replace(p, m->node, path + skip, path, text, strlen(text), rule_request_pending.id))
		return err_oom(e);
	return 0;
}

/* ADE must start nothing by itself: it compares mrseq with the number of the newest settings that are not
 * rejected. */
static int no_start(const struct vm *vm, struct plan *p, struct err *e)
{
	const struct extension *x = vm->ext;
	int err = 0;

	if (!x)
		return vm->nexts || vm->waagent == HAVE_UNKNOWN
			       ? err_set(e, -EPERM,
					 "the live directory of the extension is not known, so that no-start "
					 "cannot be kept")
			       : 0;
	if (!x->newest)
		return 0;
	if (x->mrseq_have != HAVE_YES || x->mrseq != x->newest->seq)
		err = put_number(vm, x->dir, x->newest->seq, p, e);
	if (!err && vm->archive_dir == HAVE_YES)
		err = put_number(vm, "/var/lib/azure_disk_encryption_archive", x->newest->seq, p, e);
	return err;
}

/* Each edit names all findings that want it: those on its path or below it. */
static int add_reasons(const struct judgement *j, struct plan *p, struct err *e)
{
	for (size_t i = 0; i < j->findings.n; i++) {
		const struct finding *f = &j->findings.v[i];

		if (!f->path || !str_starts(f->rule->row, "18"))
			continue;
		for (size_t k = 0; k < p->n; k++)
			if (p->v[k].kind == EDIT_RENAME && under(p->v[k].shown_path, f->path) &&
			    because(&p->v[k], f->rule->id) < 0)
				return err_oom(e);
	}
	return 0;
}

int clean_plan(const struct judgement *j, char goal, struct plan *p, struct err *e)
{
	int err = 0;

	if (j->nrefused)
		return err_set(e, -EPERM, "%s", j->refused[0]);
	if (j->verdict != VERDICT_STALE || !j->clean_allowed)
		return err_set(e, -EPERM, "the verdict is %s: there is nothing that may be set aside",
			       verdict_name(j->verdict));

	for (size_t i = 0; !err && i < j->findings.n; i++)
		if (j->findings.v[i].rule->fix)
			err = j->findings.v[i].rule->fix(j->vm, &j->findings.v[i], p, e);
	if (!err)
		err = clean_empty_roots(j->vm, p, e);
	if (!err && goal == 'n')
		err = no_start(j->vm, p, e);
	return err ? err : add_reasons(j, p, e);
}
