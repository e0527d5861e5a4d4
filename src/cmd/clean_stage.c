/* SPDX-License-Identifier: MIT */
/* Staging: the plan is carried out in the overlays, the file system's own checker looks at the result, the machine is diagnosed again there, and only
 * then are the changed bytes collected. Nothing here can reach a disk. */
#include "cmd/clean.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/luks.h"

enum { WATCH_LEN = 4096 };

/* ---- what outlives the first look ---- */

static const char *edit_kind_name(enum edit_kind k)
{
	static const char *const names[] = { [EDIT_RENAME] = "rename", [EDIT_REPLACE] = "replace", [EDIT_REPLAY] = "replay-journal" };

	return names[k];
}

static struct json_object *edit_json(const struct edit *x)
{
	struct json_object *o = json_object_new_object(), *because = json_object_new_array(), *lines = json_object_new_array();

	for (size_t i = 0; i < x->nbecause; i++)
		json_object_array_add(because, json_object_new_string(x->because[i]));
	for (size_t i = 0; i < x->nlines; i++)
		json_object_array_add(lines, json_object_new_int64(x->lines[i]));
	json_object_object_add(o, "kind", json_object_new_string(edit_kind_name(x->kind)));
	json_object_object_add(o, "node", json_str(x->on->name));
	json_object_object_add(o, "path", json_str(x->shown_path ? x->shown_path : x->path));
	json_object_object_add(o, "to", json_str(x->new_name));
	json_object_object_add(o, "lines", lines);
	json_object_object_add(o, "because", because);
	return o;
}

static void add_command(struct json_object *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_command(struct json_object *a, const char *fmt, ...)
{
	cleanup_str struct str s = { 0 };
	va_list ap;

	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	json_object_array_add(a, json_str(str_text(&s)));
}

/* A small text that was replaced, or made: how to have it back. */
static void by_hand_text(struct json_object *a, const struct edit *x, const char *path)
{
	struct fs *fs = node_fs((struct node *)x->on, NULL);
	cleanup_free char *old = NULL;
	size_t n = 0;
	int r = fs ? fs_slurp(fs, x->path, 64, &old, &n, NULL) : -EIO;

	if (r == -ENOENT)
		add_command(a, "rm %s", path);
	else if (r == 0 && strspn(old, "0123456789") == n)
		add_command(a, "printf %%s %s > %s", old, path);
	else
		add_command(a, "# %s was replaced: its old content is in the undo file", path);
}

/* The way back in the booted VM, where the undo file no longer fits. */
static void by_hand(struct json_object *a, const struct edit *x)
{
	const char *path = x->shown_path ? x->shown_path : x->path, *slash;

	if (x->kind == EDIT_RENAME) {
		slash = strrchr(path, '/');
		add_command(a, "mv %.*s/%s %s", slash ? (int)(slash - path) : 0, path, x->new_name, path);
	} else if (x->kind == EDIT_REPLACE && x->nlines) {
		for (size_t i = 0; i < x->nlines; i++)
			add_command(a, "sed -i '%us/^# aderescue: //' %s", x->lines[i], path);
	} else if (x->kind == EDIT_REPLACE) {
		by_hand_text(a, x, path);
	}
}

static struct json_object *finding_ids(const struct judgement *j)
{
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < j->findings.n; i++)
		json_object_object_add(o, j->findings.v[i].rule->id, json_object_new_boolean(1));
	return o;
}

/* ---- where a volume lies on its disk ---- */

struct note { struct clean *c; bool watch; };

/* A range of a disk, by the overlay on it. */
static int note_place(void *arg, struct blk *overlay, uint64_t off, uint64_t len)
{
	const struct note *note = arg;
	struct clean *c = note->c;
	struct wire_bound *b;
	uint32_t disk = 0;
	void *w;

	while (disk < c->r->ndisks && c->r->overlays[disk] != overlay)
		disk++;
	if (disk == c->r->ndisks)
		return -EOPNOTSUPP;
	if (!note->watch) {
		b = vec_push(&c->bounds, &c->nbounds);
		if (!b)
			return -ENOMEM;
		*b = (struct wire_bound){ .disk = disk, .off = off, .len = len };
		return 0;
	}
	w = vec_grow(c->watches, c->nwatches, sizeof(*c->watches));
	if (!w)
		return -ENOMEM;
	c->watches = w;
	c->watches[c->nwatches].disk = disk;
	c->watches[c->nwatches].off = off;
	c->watches[c->nwatches++].len = len;
	return 0;
}

/* All of a volume is where its plan may write; its superblock tells later whether it was used. */
static int note_volume(struct clean *c, const struct node *n, struct err *e)
{
	uint64_t super = str_eq(n->fmt, "btrfs") ? 65536 : 0;
	struct note note = { .c = c };
	struct err why = { "" };
	int ret = n->blk && n->size >= super + WATCH_LEN ? blk_places(n->blk, 0, n->size, note_place, &note, &why) : -EOPNOTSUPP;

	note.watch = true;
	if (ret == 0)
		ret = blk_places(n->blk, super, WATCH_LEN, note_place, &note, &why);
	if (ret == -ENOMEM)
		return err_oom(e);
	return ret < 0 ? err_set(e, ret, "%s: where it lies on its disk cannot be told%s%s", n->name, *why.msg ? ": " : "", why.msg) : 0;
}

static int note_places(struct clean *c, struct err *e)
{
	for (size_t i = 0; i < c->plan.n; i++) {
		bool known = false;
		int ret;

		for (size_t k = 0; k < i; k++)
			known |= c->plan.v[k].on == c->plan.v[i].on;
		ret = known ? 0 : note_volume(c, c->plan.v[i].on, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* ---- the staging ---- */

/* A journal that was replayed to read is part of what is written to that file system. */
static int add_replays(struct clean *c, struct err *e)
{
	size_t n = c->plan.n;

	for (size_t i = 0; i < n; i++) {
		const struct node *on = c->plan.v[i].on;
		bool listed = false;
		struct edit *slot;

		for (size_t k = 0; k < c->plan.n; k++)
			listed |= c->plan.v[k].on == on && c->plan.v[k].kind == EDIT_REPLAY;
		if (!on->replayed || listed)
			continue;
		slot = vec_push(&c->plan.v, &c->plan.n);
		if (!slot)
			return err_oom(e);
		*slot = (struct edit){ .kind = EDIT_REPLAY, .on = on, .shown_path = str_printf("journal") };
		if (!slot->shown_path || edit_because(slot, "journal-not-replayed") < 0)
			return err_oom(e);
	}
	return 0;
}

/* One identity a disk given, without any change: for the plan's id. */
static int identify_all(struct clean *c, struct err *e)
{
	struct rescue *r = c->r;
	cleanup_free struct disk_identity *ids = calloc(r->ndisks + 1, sizeof(*ids));
	int ret = ids ? 0 : err_oom(e);

	for (size_t i = 0; ret == 0 && i < r->ndisks; i++) {
		cleanup_blk struct blk *raw = NULL;

		ret = blk_open_file(r->disks[i].fd, r->disks[i].size, r->disks[i].name, &raw, e);
		if (ret == 0)
			ret = disk_identify(raw, r->disks[i].name, r->disks[i].path, r->disks[i].sector, r->disks[i].serial, NULL, 0, 0, &ids[i], e);
	}
	if (ret == 0)
		ret = plan_id(&c->plan, ids, r->ndisks, c->plan_id, e);
	for (size_t i = 0; ids && i < r->ndisks; i++) {
		free(ids[i].name);
		free(ids[i].path);
	}
	return ret;
}

/* What checks a file system, and what it is called. NULL: nothing does, and it is not written. */
static const char *checker_of(const struct node *n, enum checker *ret)
{
	static const struct { const char *fmt; enum checker which; const char *name; } rows[] = {
		{ "ext", CHECK_E2FSCK, "e2fsck -fn" }, { "xfs", CHECK_XFS_REPAIR, "xfs_repair -n" }, { "btrfs", CHECK_BTRFS, "btrfs check --readonly" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (str_starts(n->fmt, rows[i].fmt)) {
			*ret = rows[i].which;
			return rows[i].name;
		}
	return NULL;
}

static int check_node(struct clean *c, const struct node *n)
{
	enum checker which = CHECK_E2FSCK;
	const char *name = checker_of(n, &which);
	struct export *x = NULL;
	struct check_result res = { 0 };
	struct err e = { "" };
	int ret = name ? broker_export(c->r->broker, n->blk, &x, &e) : err_set(&e, -EOPNOTSUPP, "there is no checker for %s", n->fmt);

	if (ret < 0) {
		clean_refuse(c, EXIT_REFUSED, "%s cannot be checked here before it is written: %s", n->name, e.msg);
		return c->code;
	}
	ret = export_check(x, which, &res, &e);
	export_close(x);
	if (ret < 0)
		clean_refuse(c, EXIT_REFUSED, "%s cannot be checked here before it is written: %s", n->name, e.msg);
	else if (res.status != 0)
		clean_refuse(c, EXIT_UNVERIFIED, "%s: %s is not content with the staged result (%s); nothing was written", n->name, name,
			     res.why ? res.why : "it found damage, there before or made by the plan");
	check_result_done(&res);
	return c->code;
}

/* Each checker is named once. */
static void checked_by(struct str *by, const struct node *n)
{
	enum checker which;
	const char *name = checker_of(n, &which);

	if (name && !strstr(str_text(by), name))
		str_addf(by, "%s%s", by->n ? ", " : "", name);
}

static int check_all(struct clean *c)
{
	cleanup_str struct str by = { 0 };

	for (size_t i = 0; i < c->plan.n; i++) {
		const struct node *n = c->plan.v[i].on;
		bool done = false;

		for (size_t k = 0; k < i; k++)
			done |= c->plan.v[k].on == n;
		if (done)
			continue;
		if (check_node(c, n))
			return c->code;
		checked_by(&by, n);
	}
	str_add(&by, " clean");
	c->checked = str_take(&by);
	return c->checked ? 0 : EXIT_FAIL;
}

/* Diagnose what the plan left; it must be what was meant. */
static int look_again(struct clean *c, const char *root, struct err *e)
{
	struct rescue *r = c->r;
	const struct judgement *j = NULL;
	int ret;

	rescue_forget(r);
	ret = rescue_scan(r, e);
	if (ret == 0)
		ret = rescue_read_vms(r, e);
	if (ret == 0)
		ret = rescue_judge(r, e);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < r->nvms; i++)
		if (r->vms[i]->root_raw && str_eq(r->vms[i]->root_raw->name, root))
			j = r->judged[i];
	if (!j) {
		clean_refuse(c, EXIT_UNVERIFIED, "the machine is not found again in the staged result; nothing was written");
		return 0;
	}
	c->verdict_after = verdict_name(j->verdict);
	c->rule_after = j->rule ? j->rule->id : "undecided";
	if (j->boot.text) {
		/* what the boot does is read from the result, not foretold */
		free(c->boot_text);
		c->boot_text = str_printf("%s", j->boot.text);
		c->starts_by_itself = j->starts_by_itself;
	}
	if (j->verdict != VERDICT_NO_STATE)
		clean_refuse(c, EXIT_UNVERIFIED, "the staged result is %s (%s), not no-state; nothing was written", c->verdict_after, c->rule_after);
	for (size_t i = 0; i < j->findings.n; i++)
		if (j->findings.v[i].severity >= SEV_ERROR && !json_object_object_get_ex(c->findings, j->findings.v[i].rule->id, NULL))
			clean_refuse(c, EXIT_UNVERIFIED, "the staged result has a new finding: %s; nothing was written", j->findings.v[i].rule->title);
	return 0;
}

static int collect_disk(struct clean *c, size_t i, struct err *e)
{
	struct rescue *r = c->r;
	cleanup_free struct change_bound *bounds = calloc(c->nbounds + 1, sizeof(*bounds));
	cleanup_blk struct blk *raw = NULL;
	size_t n = 0, before = c->cs.n;
	struct disk_identity *id;
	uint32_t *index;
	int ret;

	if (!bounds)
		return err_oom(e);
	for (size_t k = 0; k < c->nbounds; k++)
		if (c->bounds[k].disk == i)
			bounds[n++] = (struct change_bound){ .off = c->bounds[k].off, .len = c->bounds[k].len };
	if (!n)
		return 0;
	ret = change_set_collect(r->overlays[i], (unsigned)c->cs.ndisks, bounds, n, &c->cs, e);
	if (ret < 0 || c->cs.n == before)
		return ret;
	ret = blk_open_file(r->disks[i].fd, r->disks[i].size, r->disks[i].name, &raw, e);
	if (ret < 0)
		return ret;
	index = vec_grow(c->disk_index, c->cs.ndisks, sizeof(*index));
	if (!index)
		return err_oom(e);
	c->disk_index = index;
	c->disk_index[c->cs.ndisks] = (uint32_t)i;
	id = vec_push(&c->cs.disks, &c->cs.ndisks);
	if (!id)
		return err_oom(e);
	return disk_identify(raw, r->disks[i].name, r->disks[i].path, r->disks[i].sector, r->disks[i].serial, c->cs.v, c->cs.n,
			     (unsigned)(c->cs.ndisks - 1), id, e);
}

/* The bytes that will tell whether the file system was used since, as they will be after the commit. */
static int collect_watch(struct clean *c, size_t i, struct err *e)
{
	struct watch *w;
	unsigned disk = 0;

	while (disk < c->cs.ndisks && c->disk_index[disk] != c->watches[i].disk)
		disk++;
	if (disk == c->cs.ndisks)
		return 0;
	w = vec_push(&c->cs.watches, &c->cs.nwatches);
	if (!w)
		return err_oom(e);
	*w = (struct watch){ .disk = disk, .off = c->watches[i].off, .len = c->watches[i].len, .bytes = malloc(c->watches[i].len) };
	if (!w->bytes)
		return err_oom(e);
	return blk_pread(c->r->overlays[c->watches[i].disk], w->bytes, w->len, w->off, e);
}

static int write_facts(struct clean *c, struct err *e)
{
	const struct options *o = &c->r->opt;
	struct json_object *f = json_object_new_object(), *said = json_object_new_object(), *plain = json_object_new_array();

	for (size_t i = 0; i < o->n_not_encrypted; i++)
		json_object_array_add(plain, json_str(o->not_encrypted[i]));
	json_object_object_add(said, "all_disks_attached", json_object_new_boolean(o->all_disks_attached));
	json_object_object_add(said, "data_disks", o->data_disks >= 0 ? json_object_new_int(o->data_disks) : NULL);
	json_object_object_add(said, "not_encrypted", plain);
	json_object_object_add(said, "for", o->goal ? json_object_new_string(o->goal == 'e' ? "enable" : "no-start") : NULL);
	json_object_object_add(f, "tool_version", json_object_new_string(PACKAGE_VERSION));
	json_object_object_add(f, "edits", json_object_get(c->edits));
	json_object_object_add(f, "by_hand", json_object_get(c->by_hand));
	json_object_object_add(f, "operator", said);
	json_object_object_add(f, "verdict_before", json_object_new_string(c->verdict_before));
	json_object_object_add(f, "rule_before", json_object_new_string(c->rule_before));
	json_object_object_add(f, "verdict_after", json_object_new_string(c->verdict_after));
	json_object_object_add(f, "rule_after", json_object_new_string(c->rule_after));
	json_object_object_add(f, "data", json_object_new_string(data_name(c->data)));
	c->cs.facts = str_printf("%s", json_object_to_json_string_ext(f, JSON_C_TO_STRING_PLAIN));
	json_object_put(f);
	c->cs.machine = str_printf("%s", c->name);
	memcpy(c->cs.run, c->run, sizeof(c->cs.run));
	memcpy(c->cs.plan_id, c->plan_id, sizeof(c->cs.plan_id));
	return c->cs.facts && c->cs.machine ? 0 : err_oom(e);
}

static int collect(struct clean *c, struct err *e)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < c->r->ndisks; i++)
		ret = collect_disk(c, i, e);
	for (size_t i = 0; ret == 0 && i < c->nwatches; i++)
		ret = collect_watch(c, i, e);
	return ret ? ret : write_facts(c, e);
}

static void keep_words(struct clean *c, const struct judgement *j)
{
	c->edits = json_object_new_array();
	c->by_hand = json_object_new_array();
	c->findings = finding_ids(j);
	for (size_t i = 0; i < c->plan.n; i++)
		json_object_array_add(c->edits, edit_json(&c->plan.v[i]));
	/* the way back goes from the last edit to the first */
	for (size_t i = c->plan.n; i-- > 0;)
		by_hand(c->by_hand, &c->plan.v[i]);
}

int clean_stage(struct clean *c)
{
	const struct judgement *j = c->r->judged[c->which];
	cleanup_free char *root = j->vm->root_raw ? str_printf("%s", j->vm->root_raw->name) : NULL;
	struct err e = { "" };
	int ret = root ? add_replays(c, &e) : err_set(&e, -ENODEV, "the machine has no root");

	if (ret == 0)
		ret = note_places(c, &e);
	if (ret == 0)
		ret = identify_all(c, &e);
	if (ret == 0) {
		keep_words(c, j);
		ret = plan_apply(&c->plan, &e);
	}
	if (ret < 0) {
		clean_refuse(c, ret == -EROFS || ret == -EOPNOTSUPP ? EXIT_REFUSED : ret == -EBUSY ? EXIT_BUSY : EXIT_FAIL, "%s", e.msg);
		return c->code;
	}
	if (check_all(c))
		return c->code;
	ret = look_again(c, root, &e);
	if (ret == 0 && !c->code)
		ret = collect(c, &e);
	if (ret < 0)
		clean_refuse(c, ret == -ESTALE ? EXIT_CHANGED : EXIT_FAIL, "%s", e.msg);
	else if (!c->code && !c->cs.n)
		clean_refuse(c, EXIT_CHANGED, "somebody else wrote to the disk while the plan was made; nothing was written");
	return c->code;
}
