/* SPDX-License-Identifier: MIT */
/* Tests fs/fs.c: paths inside one file system, and the writes that go through them. */
#include <criterion/criterion.h>
#include "fs/fs.h"
#include "base/str.h"
#include "fake-fs.h"

static const struct fake_row rows[] = {
	{ "/etc", FS_DIR, NULL },
	{ "/etc/fstab", FS_FILE, "UUID=1 / ext4\n" },
	{ "/etc/empty", FS_FILE, "" },
	{ "/etc/mtab", FS_LINK, "../proc/self/mounts" },
	{ "/etc/up", FS_LINK, "../../../../etc/fstab" },
	{ "/etc/abs", FS_LINK, "/etc/fstab" },
	{ "/etc/chain", FS_LINK, "abs" },
	{ "/e", FS_LINK, "etc" },
	{ "/slash", FS_LINK, "//etc//./" },
	{ "/loop1", FS_LINK, "loop2" },
	{ "/loop2", FS_LINK, "/loop1" },
	{ "/self", FS_LINK, "." },
	{ "/nothing", FS_LINK, "" },
	{ "/fifo", FS_FIFO, NULL },
	{ "/disk", FS_BLOCK, NULL },
	{ "/socket", FS_SOCKET, NULL },
	{ NULL, FS_OTHER, NULL },
};

static int resolve_code(const char *path, int flags, const char *want)
{
	struct fake_fs f = FAKE_FS(rows);
	cleanup_free char *got = NULL;
	struct err e = { "" };
	int rc = fs_resolve(&f.fs, path, flags, &got, &e);

	if (!rc)
		cr_assert_str_eq(got, want, "%s: %s", path, got);
	else
		cr_assert(e.msg[0], "%s: an error without a sentence", path);
	return rc;
}

Test(fs, links_are_resolved_inside_the_image)
{
	cr_assert_eq(resolve_code("/etc/fstab", 0, "/etc/fstab"), 0);
	cr_assert_eq(resolve_code("etc/fstab", 0, "/etc/fstab"), 0);
	cr_assert_eq(resolve_code("//etc/.//fstab", 0, "/etc/fstab"), 0);
	cr_assert_eq(resolve_code("/e/fstab", 0, "/etc/fstab"), 0);
	cr_assert_eq(resolve_code("/e/chain", 0, "/etc/fstab"), 0);
	cr_assert_eq(resolve_code("/etc/up", 0, "/etc/fstab"), 0);
	cr_assert_eq(resolve_code("/slash/fstab", 0, "/etc/fstab"), 0);
	cr_assert_eq(resolve_code("/../../etc/../etc/fstab", 0, "/etc/fstab"), 0);
	cr_assert_eq(resolve_code("/..", 0, "/"), 0);
	cr_assert_eq(resolve_code("/self/self/self/etc", 0, "/etc"), 0);
}

Test(fs, the_last_link_stays_where_it_is_asked_to)
{
	cr_assert_eq(resolve_code("/e", FS_NOFOLLOW, "/e"), 0);
	cr_assert_eq(resolve_code("/e/chain", FS_NOFOLLOW, "/etc/chain"), 0);
	cr_assert_eq(resolve_code("/e/", FS_NOFOLLOW, "/etc"), 0);
	cr_assert_eq(resolve_code("/e/.", FS_NOFOLLOW, "/etc"), 0);
}

Test(fs, what_cannot_be_walked_is_an_error)
{
	char name[300] = "/", path[5000];

	cr_assert_eq(resolve_code("/nope", 0, ""), -ENOENT);
	cr_assert_eq(resolve_code("", 0, ""), -ENOENT);
	cr_assert_eq(resolve_code("/etc/mtab", 0, ""), -ENOENT);
	cr_assert_eq(resolve_code("/nothing", 0, ""), -ENOENT);
	cr_assert_eq(resolve_code("/etc/fstab/x", 0, ""), -ENOTDIR);
	cr_assert_eq(resolve_code("/etc/fstab/..", 0, ""), -ENOTDIR);
	cr_assert_eq(resolve_code("/etc/fstab/", 0, ""), -ENOTDIR);
	cr_assert_eq(resolve_code("/loop1", 0, ""), -ELOOP);
	cr_assert_eq(resolve_code("/loop1/x", FS_NOFOLLOW, ""), -ELOOP);
	memset(name + 1, 'n', 256);
	cr_assert_eq(resolve_code(name, 0, ""), -ENAMETOOLONG);
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	cr_assert_eq(resolve_code(path, 0, ""), -ENAMETOOLONG);
	path[4095] = '\0';
	cr_assert_eq(resolve_code(path, 0, "/"), 0);
}

Test(fs, forty_links_are_followed_and_no_more)
{
	char path[300] = "";

	for (unsigned i = 0; i < 40; i++)
		strcat(path, "/self");
	cr_assert_eq(resolve_code(path, 0, "/"), 0);
	strcat(path, "/self");
	cr_assert_eq(resolve_code(path, 0, "/"), -ELOOP);
}

Test(fs, slurp_reads_regular_files_up_to_a_limit_and_nothing_else)
{
	struct fake_fs f = FAKE_FS(rows);
	static const char *const others[] = { "/fifo", "/disk", "/socket" };
	char *text = NULL;
	size_t n = 9;

	cr_assert_eq(fs_slurp(&f.fs, "/e/chain", 14, &text, &n, NULL), 0);
	cr_assert_eq(n, 14);
	cr_assert_str_eq(text, "UUID=1 / ext4\n");
	free(text);
	cr_assert_eq(fs_slurp(&f.fs, "/etc/empty", 0, &text, &n, NULL), 0);
	cr_assert(n == 0 && !text[0]);
	free(text);
	cr_assert_eq(fs_slurp(&f.fs, "/etc/fstab", 13, &text, &n, NULL), -EFBIG);
	cr_assert_eq(fs_slurp(&f.fs, "/etc", 100, &text, &n, NULL), -EISDIR);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(fs_slurp(&f.fs, others[i], 100, &text, &n, NULL), -EINVAL);
		cr_assert_eq(fs_read(&f.fs, others[i], &n, 1, 0, &n, NULL), -EINVAL);
	}
	cr_assert_eq(f.wrong_reads, 0);
}

Test(fs, renames_go_to_the_folder_that_the_path_leads_to)
{
	struct fake_fs f = FAKE_FS(rows);

	cr_assert_eq(fs_rename(&f.fs, "/e/chain", "x", NULL), 0);
	cr_assert_str_eq(f.renamed, "/etc/chain", "the link itself is renamed, not where it leads");
	cr_assert_str_eq(f.new_name, "x");
	cr_assert_eq(fs_rename(&f.fs, "/etc/", "etc2", NULL), 0);
	cr_assert_str_eq(f.renamed, "/etc");
	cr_assert_eq(fs_rename(&f.fs, "/etc/fstab", "a/b", NULL), -EINVAL);
	cr_assert_eq(fs_rename(&f.fs, "/etc/fstab", "a/", NULL), -EINVAL);
	cr_assert_eq(fs_rename(&f.fs, "/etc/fstab", "/a", NULL), -EINVAL);
	cr_assert_eq(fs_rename(&f.fs, "/etc/fstab", "..", NULL), -EINVAL);
	cr_assert_eq(fs_rename(&f.fs, "/etc/fstab", "", NULL), -EINVAL);
	cr_assert_eq(fs_rename(&f.fs, "/", "x", NULL), -EINVAL);
	cr_assert_eq(fs_rename(&f.fs, "/etc/..", "x", NULL), -EINVAL);
}

Test(fs, replace_follows_links_but_never_one_that_leads_nowhere)
{
	struct fake_fs f = FAKE_FS(rows);

	cr_assert_eq(fs_replace(&f.fs, "/e/chain", "x", 1, NULL), 0);
	cr_assert_str_eq(f.replaced, "/etc/fstab");
	cr_assert_eq(fs_replace(&f.fs, "/e/new", "x", 1, NULL), 0);
	cr_assert_str_eq(f.replaced, "/etc/new");
	cr_assert_eq(fs_replace(&f.fs, "/new", "x", 1, NULL), 0);
	cr_assert_str_eq(f.replaced, "/new");
	cr_assert_eq(fs_replace(&f.fs, "/etc/mtab", "x", 1, NULL), -ENOENT);
	cr_assert_eq(fs_replace(&f.fs, "/nope/new", "x", 1, NULL), -ENOENT);
	cr_assert_eq(fs_replace(&f.fs, "/e/new/", "x", 1, NULL), -ENOENT);
}

Test(fs, nothing_is_changed_where_there_is_a_reason_against_it)
{
	struct fake_fs f = FAKE_FS(rows);
	struct err e = { "" };

	f.fs.write_refused = strdup("its journal was not replayed");
	cr_assert_eq(fs_replace(&f.fs, "/etc/fstab", "x", 1, &e), -EROFS);
	cr_assert(strstr(e.msg, "its journal was not replayed"), "%s", e.msg);
	cr_assert_eq(fs_rename(&f.fs, "/etc/fstab", "x", &e), -EROFS);
	cr_assert(!f.replaced[0] && !f.renamed[0]);
	fs_close(&f.fs);
	cr_assert(f.closed == 1 && !f.fs.write_refused);
	fs_close(NULL);
}
