/* SPDX-License-Identifier: MIT */
/* Tests repair/plan.c: that a plan copies what it is given, that its id names the edits and the disks and nothing that changes by itself, and that
 * edits are carried out in their order, each file system written out once. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "repair/plan.h"
#include "repair/undo.h"

static struct err e;

/* ---- a file system that notes what it is told ---- */

struct noting { struct fs fs; struct str *notes; int fail; };

static int noting_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *err)
{
	(void)fs;
	*ret = (struct fs_stat){ .type = strstr(path, "file") ? FS_FILE : FS_DIR, .mode = 0755, .nlink = 1 };
	return strstr(path, "stamp") ? err_set(err, -ENOENT, "%s: not there", path) : 0;
}

static int noting_replace(struct fs *fs, const char *path, const void *buf, size_t len, struct err *err)
{
	struct noting *n = (struct noting *)fs;

	str_addf(n->notes, "replace %s %.*s;", path, (int)len, (const char *)buf);
	return n->fail ? err_set(err, n->fail, "cannot") : 0;
}

static int noting_rename(struct fs *fs, const char *path, const char *name, struct err *err)
{
	struct noting *n = (struct noting *)fs;

	str_addf(n->notes, "rename %s %s;", path, name);
	return n->fail ? err_set(err, n->fail, "cannot") : 0;
}

static int noting_sync(struct fs *fs, struct err *err)
{
	(void)err;
	str_add(((struct noting *)fs)->notes, "sync;");
	return 0;
}

static const struct fs_ops noting_ops = { .name = "noting", .stat = noting_stat, .replace = noting_replace, .rename = noting_rename,
					  .sync = noting_sync };

static char name_a[] = "sdc4", name_b[] = "sdc1";
static struct node disk = { .kind = KIND_DISK, .size = 1 << 30, .fmt = "gpt", .uuid = "d" };
static struct node *disk_as_parent[] = { &disk };
static struct node a = { .name = name_a, .kind = KIND_PARTITION, .fmt = "ext4", .uuid = "u-a", .size = 1 << 20, .parents = disk_as_parent,
			 .nparents = 1, .fs_tried = true };
static struct node b = { .name = name_b, .kind = KIND_PARTITION, .fmt = "ext4", .uuid = "u-b", .size = 1 << 20, .parents = disk_as_parent,
			 .nparents = 1, .fs_tried = true };

static struct plan sample(const char *stamp)
{
	struct plan p = { .goal = 'e', .machine = "web07" };
	char name[80];

	snprintf(p.stamp, sizeof(p.stamp), "%s", stamp);
	snprintf(name, sizeof(name), "config.aderescue-%s", stamp);
	cr_assert(plan_rename(&p, &a, "/var/lib/config", "/var/lib/config", name, "stale-state"));
	cr_assert(plan_replace(&p, &b, "/file", "/etc/file", "text", 4, "stale-orphan-entries"));
	return p;
}

static void id_of(const struct plan *p, const struct disk_identity *d, size_t n, char out[17])
{
	cr_assert_eq(plan_id(p, d, n, out, &e), 0, "%s", e.msg);
	cr_assert_eq(strspn(out, "0123456789abcdef"), 16);
	cr_assert_eq(strlen(out), 16);
}

Test(plan, keeps_copies_and_each_reason_once)
{
	struct plan p = { .goal = 0 };
	char path[] = "/a", shown[] = "/b", name[] = "c", data[] = "d";
	struct edit *ed = plan_rename(&p, &a, path, shown, name, "one");

	cr_assert(ed);
	cr_assert_eq(edit_because(ed, "two"), 0);
	cr_assert_eq(edit_because(ed, "one"), 0);
	cr_assert_eq(ed->nbecause, 2);
	cr_assert(plan_replace(&p, &a, path, shown, data, 1, "one"));
	cr_assert(plan_replace(&p, &a, path, shown, NULL, 0, "one"));
	path[1] = shown[1] = name[0] = data[0] = 'x';
	cr_assert_eq(p.n, 3);
	cr_assert_str_eq(p.v[0].path, "/a");
	cr_assert_str_eq(p.v[0].shown_path, "/b");
	cr_assert_str_eq(p.v[0].new_name, "c");
	cr_assert_eq(memcmp(p.v[1].data, "d", 1), 0);
	cr_assert_eq(p.v[2].len, 0);
	plan_done(&p);
	cr_assert_eq(p.n, 0);
}

Test(plan, id_does_not_depend_on_the_hour_or_on_names_of_disks)
{
	struct disk_identity d[2] = { { .size = 1, .digest = { 1 } }, { .size = 2, .digest = { 2 } } }, other[2] = { d[1], d[0] };
	struct plan p = sample("20261123T031207Z"), q = sample("20271224T235959Z");
	char one[17], two[17], named[] = "sdx4", node[] = "/dev/sdx";

	id_of(&p, d, 2, one);
	a.name = named;
	other[0].path = other[0].name = node;
	id_of(&q, other, 2, two);
	a.name = name_a;
	cr_assert_str_eq(one, two);
	plan_done(&p);
	plan_done(&q);
}

#define expect_other(change, back)                                      \
	do {                                                            \
		change;                                                 \
		id_of(&p, d, 2, other);                                 \
		cr_assert_str_neq(other, id, #change);                  \
		back;                                                   \
		id_of(&p, d, 2, other);                                 \
		cr_assert_str_eq(other, id);                            \
	} while (0)

Test(plan, id_depends_on_every_edit_and_every_disk)
{
	struct disk_identity d[2] = { { .size = 1, .digest = { 1 } }, { .size = 2, .digest = { 2 } } };
	struct plan p = sample("20261123T031207Z");
	char id[17], other[17];

	id_of(&p, d, 2, id);
	expect_other(p.goal = 'n', p.goal = 'e');
	expect_other(p.machine = "web08", p.machine = "web07");
	expect_other(p.n = 1, p.n = 2);
	expect_other(p.v[0].kind = EDIT_REPLACE, p.v[0].kind = EDIT_RENAME);
	expect_other(p.v[0].path[1] = 'x', p.v[0].path[1] = 'v');
	expect_other(p.v[0].new_name[0] = 'x', p.v[0].new_name[0] = 'c');
	expect_other(p.v[0].on = &b, p.v[0].on = &a);
	expect_other(((char *)p.v[1].data)[3] = 'x', ((char *)p.v[1].data)[3] = 't');
	expect_other(p.v[1].len = 3, p.v[1].len = 4);
	expect_other(a.uuid[0] = 'x', a.uuid[0] = 'u');
	expect_other(a.offset = 512, a.offset = 0);
	expect_other(disk.size++, disk.size--);
	expect_other(d[1].digest[31] = 1, d[1].digest[31] = 0);
	expect_other(d[0].size = 9, d[0].size = 1);
	cr_assert_eq(plan_id(&p, d, 1, other, &e), 0);
	cr_assert_str_neq(other, id);
	plan_done(&p);
}

Test(plan, is_carried_out_in_order_and_each_file_system_synced_once)
{
	struct str notes = { .p = NULL };
	struct noting on_a = { { .ops = &noting_ops }, &notes, 0 }, on_b = { { .ops = &noting_ops }, &notes, 0 };
	struct plan p = sample("stamp");

	a.fs = &on_a.fs;
	b.fs = &on_b.fs;
	cr_assert(plan_rename(&p, &a, "/oldroot", "/oldroot", "oldroot.stamp", "stale-state"));
	p.v[0].kind = EDIT_REPLAY;      /* only shown */
	cr_assert_eq(plan_apply(&p, &e), 0, "%s", e.msg);
	cr_assert_str_eq(str_text(&notes), "replace /file text;sync;rename /oldroot oldroot.stamp;sync;");
	str_done(&notes);
	plan_done(&p);
	a.fs = b.fs = NULL;
}

Test(plan, ends_at_the_first_edit_that_fails)
{
	struct str notes = { .p = NULL };
	struct noting on_a = { { .ops = &noting_ops }, &notes, -EROFS }, on_b = { { .ops = &noting_ops }, &notes, 0 };
	struct plan p = sample("stamp");

	a.fs = &on_a.fs;
	b.fs = &on_b.fs;
	cr_assert_eq(plan_apply(&p, &e), -EROFS);
	cr_assert(strstr(e.msg, "sdc4"), "%s", e.msg);
	cr_assert_null(strstr(str_text(&notes), "replace"));
	cr_assert_null(strstr(str_text(&notes), "sync"));
	a.fs = b.fs = NULL;
	/* a file system that cannot be opened */
	cr_assert_eq(plan_apply(&p, &e), -EOPNOTSUPP);
	str_done(&notes);
	plan_done(&p);
}
