/* SPDX-License-Identifier: MIT */
/* Tests fs/tree.c: several file systems walked as one. */
#include <criterion/criterion.h>
#include "fs/tree.h"
#include "base/str.h"
#include "fake-fs.h"

static const struct fake_row root_rows[] = {
	{ "/var", FS_DIR, NULL },
	{ "/var/hidden", FS_FILE, "below the mount" },
	{ "/boot", FS_DIR, NULL },
	{ "/run", FS_DIR, NULL },
	{ "/srv", FS_DIR, NULL },
	{ "/link", FS_LINK, "var/lib/dir/file" },
	{ "/srv/run", FS_LINK, "/run" },
	{ "/variable", FS_FILE, "not in /var" },
	{ NULL, FS_OTHER, NULL },
};
static const struct fake_row var_rows[] = {
	{ "/lib", FS_DIR, NULL },
	{ "/lib/dir", FS_LINK, "/boot/grub" },
	{ "/up", FS_LINK, "../variable" },
	{ "/root", FS_LINK, "/" },
	{ NULL, FS_OTHER, NULL },
};
static const struct fake_row boot_rows[] = {
	{ "/grub", FS_DIR, NULL },
	{ "/grub/file", FS_FILE, "in boot" },
	{ NULL, FS_OTHER, NULL },
};

struct world {
	struct fake_fs root, var, boot;
	struct tree t;
};

static void world_make(struct world *w)
{
	*w = (struct world){ .root = FAKE_FS(root_rows),
			     .var = FAKE_FS(var_rows),
			     .boot = FAKE_FS(boot_rows) };
	cr_assert_eq(tree_mount(&w->t, "/", &w->root.fs, NULL, NULL, NULL), 0);
	cr_assert_eq(tree_mount(&w->t, "/var/", &w->var.fs, NULL, NULL, NULL), 0);
	cr_assert_eq(tree_mount(&w->t, "//boot", &w->boot.fs, NULL, NULL, NULL), 0);
}

static void expect(const struct tree *t, const char *path, const char *text)
{
	cleanup_free char *got = NULL;
	struct err e = { "" };
	size_t n;

	cr_assert_eq(tree_slurp(t, path, 100, &got, &n, &e), 0, "%s: %s", path, e.msg);
	cr_assert_str_eq(got, text);
}

Test(tree, links_cross_into_other_mounts_and_back)
{
	struct world w;
	struct fs_stat st;

	world_make(&w);
	cr_assert_str_eq(w.t.v[1].at, "/var");
	cr_assert_str_eq(w.t.v[2].at, "/boot");
	expect(&w.t, "/boot/grub/file", "in boot");
	expect(&w.t, "/link", "in boot");
	expect(&w.t, "/var/lib/dir/file", "in boot");
	expect(&w.t, "/var/up", "not in /var");
	expect(&w.t, "/var/root/variable", "not in /var");
	expect(&w.t, "/var/../variable", "not in /var");
	expect(&w.t, "/boot/../../boot/grub/../grub/file", "in boot");
	cr_assert_eq(tree_stat(&w.t, "/var/hidden", 0, &st, NULL), -ENOENT,
		     "what lies under a mount is hidden");
	cr_assert_eq(tree_stat(&w.t, "/variable", 0, &st, NULL), 0, "/variable is not below /var");
	tree_done(&w.t);
	cr_assert_eq(w.t.n, 0);
}

Test(tree, resolve_tells_mount_and_path_in_it)
{
	cleanup_free char *path = NULL, *top = NULL;
	const struct mount *m;
	struct world w;

	world_make(&w);
	cr_assert_eq(tree_resolve(&w.t, "/link", 0, &m, &path, NULL), 0);
	cr_assert(m == &w.t.v[2]);
	cr_assert_str_eq(path, "/grub/file");
	cr_assert_eq(tree_resolve(&w.t, "/boot", 0, &m, &top, NULL), 0);
	cr_assert(m == &w.t.v[2]);
	cr_assert_str_eq(top, "/");
	tree_done(&w.t);
}

Test(tree, a_mount_that_cannot_be_read_is_never_absent)
{
	struct fs_stat st;
	struct world w;
	struct err e = { "" };
	char *text;
	size_t n;

	world_make(&w);
	cr_assert_eq(tree_mount(&w.t, "/srv", NULL, NULL, "the disk is locked", NULL), 0);
	cr_assert_eq(tree_stat(&w.t, "/srv/x", 0, &st, &e), -ENODEV);
	cr_assert(strstr(e.msg, "the disk is locked"), "%s", e.msg);
	cr_assert_eq(tree_stat(&w.t, "/srv", 0, &st, &e), -ENODEV);
	cr_assert_eq(tree_slurp(&w.t, "/srv/run", 9, &text, &n, &e), -ENODEV);
	cr_assert_eq(tree_stat(&w.t, "/srv/../variable", 0, &st, &e), 0, "%s", e.msg);
	tree_done(&w.t);
}

Test(tree, what_is_mounted_is_found_without_a_root)
{
	struct fake_fs boot = FAKE_FS(boot_rows);
	struct tree t = { 0 };
	struct fs_stat st;

	cr_assert_eq(tree_stat(&t, "/etc", 0, &st, NULL), -ENODEV);
	cr_assert_eq(tree_mount(&t, "/boot", &boot.fs, NULL, NULL, NULL), 0);
	expect(&t, "/boot/grub/file", "in boot");
	cr_assert_eq(tree_stat(&t, "/etc", 0, &st, NULL), -ENODEV);
	cr_assert_eq(tree_stat(&t, "/", 0, &st, NULL), -ENODEV);
	cr_assert_eq(tree_list(&t, "/", NULL, NULL, NULL), -ENODEV);
	tree_done(&t);
}

Test(tree, a_mount_lies_where_its_path_leads_and_the_last_one_on_top)
{
	struct fake_fs other = FAKE_FS(var_rows);
	struct fs_stat st;
	struct world w;

	world_make(&w);
	cr_assert_eq(tree_mount(&w.t, "/srv/run", &other.fs, NULL, NULL, NULL), 0);
	cr_assert_str_eq(w.t.v[3].at, "/run");
	cr_assert_eq(tree_stat(&w.t, "/run/lib", 0, &st, NULL), 0);
	cr_assert_eq(tree_stat(&w.t, "/srv/run/lib", 0, &st, NULL), 0);
	cr_assert_eq(tree_mount(&w.t, "/boot", &other.fs, NULL, NULL, NULL), 0);
	cr_assert_eq(tree_stat(&w.t, "/boot/lib", 0, &st, NULL), 0);
	cr_assert_eq(tree_stat(&w.t, "/boot/grub", 0, &st, NULL), -ENOENT);
	tree_done(&w.t);
}
