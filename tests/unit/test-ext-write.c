/* SPDX-License-Identifier: MIT */
/* Tests format/ext_write.c: after every change e2fsck has nothing to say, the change is there, and nothing
 * else changed. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <inttypes.h>
#include <malloc.h>
#include "base/bytes.h"
#include "ext-image.h"

enum { MANY = 5000, STATE_FILES = 20, MAX_SEEN = 64, CLOCK = 1700000000 };

static void fill(struct image *i, unsigned many)
{
	char name[300];

	image_mkdir(i, "etc");
	image_mkdir(i, "lib");
	image_mkdir(i, "lib/azure");
	image_mkdir(i, "small");
	image_put(i, "etc/fstab", "UUID=1 / ext4 defaults 0 1\n", 27);
	image_put(i, "etc/other", "other", 5);
	image_put(i, "small/a", "", 0);
	image_link(i, "link", "etc/fstab");
	for (unsigned k = 0; k < STATE_FILES; k++) {
		(void)snprintf(name, sizeof(name), "lib/azure/state-%u", k);
		image_put(i, name, name, strlen(name));
	}
	image_mkdir(i, "many");
	for (unsigned k = 0; k < many; k++) {
		(void)snprintf(name, sizeof(name), "many/entry-number-%u", k);
		image_put(i, name, "", 0);
	}
}

/* What a file is: all that must not change when another one does. */
struct fact {
	char path[300];
	struct fs_stat st;
	uint32_t crc;
};
struct facts {
	struct fs *fs;
	char path[1000];
	struct fact v[MAX_SEEN]; size_t n;
};

static int add_fact(void *arg, const char *name)
{
	struct facts *f = arg;
	struct fact *v = &f->v[f->n];
	size_t before = strlen(f->path);
	struct err e = { "" };
	char *text;
	size_t n;

	if (!strcmp(name, "many") || !strcmp(name, "lost+found"))
		return 0;
	cr_assert_lt(f->n++, MAX_SEEN);
	(void)snprintf(f->path + before, sizeof(f->path) - before, "/%s", name);
	(void)snprintf(v->path, sizeof(v->path), "%.299s", f->path);
	cr_assert_eq(fs_stat(f->fs, f->path, FS_NOFOLLOW, &v->st, &e), 0, "%s", e.msg);
	if (v->st.type == FS_FILE) {
		cr_assert_eq(fs_slurp(f->fs, f->path, 20 << 20, &text, &n, &e), 0, "%s", e.msg);
		v->crc = bytes_crc32(0, text, n);
		free(text);
	}
	if (v->st.type == FS_DIR)
		cr_assert_eq(fs_list(f->fs, f->path, add_fact, f, &e), 0, "%s", e.msg);
	f->path[before] = '\0';
	return 0;
}

static struct facts *facts_of(struct fs *fs)
{
	struct facts *f = calloc(1, sizeof(*f));
	struct err e = { "" };

	f->fs = fs;
	cr_assert_eq(fs_list(fs, "/", add_fact, f, &e), 0, "%s", e.msg);
	return f;
}

static const struct fact *fact_of(const struct facts *f, const char *path)
{
	for (size_t k = 0; k < f->n; k++)
		if (!strcmp(f->v[k].path, path))
			return &f->v[k];
	return NULL;
}

/* All but the paths of one file and its folder is as it was. */
static void expect_same(const struct facts *old, struct fs *fs, const char *file, const char *folder)
{
	struct facts *new_ = facts_of(fs);

	for (size_t k = 0; k < old->n; k++) {
		const struct fact *a = &old->v[k], *b = fact_of(new_, a->path);

		if (!strcmp(a->path, file) || !strcmp(a->path, folder) || str_starts(a->path, file))
			continue;
		cr_assert(b, "%s is gone", a->path);
		cr_assert(a->crc == b->crc && !memcmp(&a->st, &b->st, sizeof(a->st)), "%s changed", a->path);
	}
	free(new_);
}

struct layout {
	char options[120];
};
static struct layout layouts[] = {
	{ "-t ext4 -b 4096 -N 8000" },
	{ "-t ext4 -b 1024 -N 8000" },
	{ "-t ext4 -b 1024 -O ^metadata_csum,^64bit -N 8000" },
	{ "-t ext4 -b 4096 -O ^extents,^64bit -N 8000" },
	{ "-t ext4 -b 4096 -O inline_data -I 256 -N 8000" },
	{ "-t ext4 -b 1024 -O inline_data -I 512 -N 8000" },
	{ "-t ext4 -b 1024 -O bigalloc -C 4096 -N 8000" },
	{ "-t ext4 -b 1024 -O meta_bg,^resize_inode -N 8000" },
	{ "-t ext4 -b 4096 -O orphan_file,metadata_csum_seed,large_dir,ea_inode -N 8000" },
	{ "-t ext4 -b 1024 -I 128 -N 8000" },
	{ "-t ext3 -b 1024 -N 8000" },
	{ "-t ext3 -b 4096 -I 128 -N 8000" },
	{ "-t ext2 -b 1024 -O ^dir_index -N 8000" },
	{ "-t ext2 -b 1024 -O ^filetype -N 8000" },
	{ "-t ext4 -b 1024 -O uninit_bg,^metadata_csum,^has_journal -N 8000" },
};

static void expect_rename(struct image *i, const char *path, const char *folder, const char *new_name)
{
	struct facts *old = facts_of(i->fs);
	struct fs_stat was, is, parent;
	struct err e = { "" };
	char moved[600];

	(void)snprintf(moved, sizeof(moved), "%s/%s", folder, new_name);
	cr_assert_eq(fs_stat(i->fs, path, FS_NOFOLLOW, &was, &e), 0, "%s", e.msg);
	cr_assert_eq(fs_rename(i->fs, path, new_name, &e), 0, "%s", e.msg);
	cr_assert_eq(fs_stat(i->fs, moved, FS_NOFOLLOW, &is, &e), 0, "it is there before it is synced: %s",
		     e.msg);
	image_commit(i);
	cr_assert_eq(fs_stat(i->fs, path, FS_NOFOLLOW, &is, &e), -ENOENT);
	cr_assert_eq(fs_stat(i->fs, moved, FS_NOFOLLOW, &is, &e), 0, "%s", e.msg);
	cr_assert(!memcmp(&was, &is, sizeof(was)), "%s: its inode changed", path);
	cr_assert_eq(fs_stat(i->fs, folder, 0, &parent, &e), 0);
	cr_assert(parent.mtime == CLOCK && parent.ctime == CLOCK, "%s: its times did not change", folder);
	expect_same(old, i->fs, path, folder);
	free(old);
}

ParameterizedTestParameters(ext_write, entries_are_renamed)
{
	return cr_make_param_array(struct layout, layouts, sizeof(layouts) / sizeof(layouts[0]));
}

ParameterizedTest(struct layout *l, ext_write, entries_are_renamed)
{
	char name[256];
	struct image i;

	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	image_new(&i);
	fill(&i, 300);
	image_make(&i, l->options, "48M");
	image_open(&i);
	expect_rename(&i, "/lib/azure", "/lib", "azure.aderescue-20261125T000000Z");
	expect_rename(&i, "/etc/fstab", "/etc", "f");
	memset(name, 'n', 255);
	name[255] = '\0';
	expect_rename(&i, "/etc/f", "/etc", name);
	expect_rename(&i, "/small/a", "/small", name);
	expect_rename(&i, "/link", "/", "renamed-link");
	expect_rename(&i, "/many/entry-number-7", "/many", name);
	cr_assert_eq(fs_rename(i.fs, "/etc/other", name, NULL), -EEXIST);
	cr_assert_eq(fs_rename(i.fs, "/etc/gone", "x", NULL), -ENOENT);
	cr_assert_null(i.fs->write_refused, "%s", i.fs->write_refused);
	image_done(&i);
}

static void expect_replace(struct image *i, const char *path, size_t len)
{
	struct facts *old = facts_of(i->fs);
	struct fs_stat was, is;
	struct err e = { "" };
	char *data = malloc(len + 1), *got;
	size_t n;

	for (size_t k = 0; k < len; k++)
		data[k] = (char)('a' + (k * 7 + len) % 26);
	cr_assert_eq(fs_stat(i->fs, path, 0, &was, &e), 0, "%s", e.msg);
	cr_assert_eq(fs_replace(i->fs, path, data, len, &e), 0, "%s: %zu bytes: %s", path, len, e.msg);
	image_commit(i);
	cr_assert_eq(fs_slurp(i->fs, path, len, &got, &n, &e), 0, "%s", e.msg);
	cr_assert(n == len && !memcmp(got, data, n), "%s: %zu bytes are not what was written", path, len);
	free(got);
	cr_assert_eq(fs_stat(i->fs, path, 0, &is, &e), 0);
	cr_assert_eq(is.size, len);
	is.size = was.size;
	is.blocks = was.blocks;
	cr_assert(!memcmp(&was, &is, sizeof(was)), "%s: owner, mode, times or inode changed", path);
	expect_same(old, i->fs, path, "");
	free(old);
	free(data);
}

ParameterizedTestParameters(ext_write, files_are_replaced)
{
	return cr_make_param_array(struct layout, layouts, sizeof(layouts) / sizeof(layouts[0]));
}

ParameterizedTest(struct layout *l, ext_write, files_are_replaced)
{
	static const size_t sizes[] = { 27, 20, 61, 150, 0, 1, 5000, 5000, 90000, 3, 400000, 100 };
	struct image i;

	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	image_new(&i);
	fill(&i, 0);
	image_make(&i, l->options, "48M");
	image_debugfs(&i, "ea_set /etc/fstab user.kept value");
	image_debugfs(&i, "sif /etc/fstab mtime 20200102030405");
	image_debugfs(&i, "sif /etc/fstab uid 77");
	image_open(&i);
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
		expect_replace(&i, "/etc/fstab", sizes[k]);
	expect_replace(&i, "/small/a", 70000);
	image_debugfs(&i, "ea_get /etc/fstab user.kept");
	cr_assert(strstr(image_output(&i), "value"), "%s", image_output(&i));
	image_done(&i);
}

ParameterizedTestParameters(ext_write, files_are_created)
{
	return cr_make_param_array(struct layout, layouts, sizeof(layouts) / sizeof(layouts[0]));
}

ParameterizedTest(struct layout *l, ext_write, files_are_created)
{
	struct facts *old;
	struct image i;
	struct fs_stat st;
	struct err e = { "" };
	char *got;
	size_t n;

	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	image_new(&i);
	fill(&i, 0);
	image_make(&i, l->options, "48M");
	image_open(&i);
	old = facts_of(i.fs);
	cr_assert_eq(fs_replace(i.fs, "/etc/new", "new\n", 4, &e), 0, "%s", e.msg);
	cr_assert_eq(fs_replace(i.fs, "/etc/empty", "", 0, &e), 0, "%s", e.msg);
	image_commit(&i);
	cr_assert_eq(fs_slurp(i.fs, "/etc/new", 10, &got, &n, &e), 0, "%s", e.msg);
	cr_assert_str_eq(got, "new\n");
	free(got);
	cr_assert_eq(fs_stat(i.fs, "/etc/new", 0, &st, &e), 0);
	cr_assert(st.type == FS_FILE && st.mode == 0644 && !st.uid && !st.gid && st.nlink == 1 &&
		  st.mtime == CLOCK);
	expect_same(old, i.fs, "/etc/new", "/etc");
	free(old);
	image_done(&i);
}

/* A directory as large as they get, with a hash tree and without. */
static void rename_in_large_directory(const char *options, bool tree)
{
	char name[256], path[300];
	struct image i;
	struct err e = { "" };
	struct fs_stat st;

	image_new(&i);
	fill(&i, MANY);
	image_make(&i, options, "64M");
	if (tree) {
		const char *argv[] = { "e2fsck", "-fyD", i.path, NULL };

		cr_assert_lt(image_run(&i, argv), 2, "%s", image_output(&i));
	}
	image_open(&i);
	memset(name, 'z', 200);
	for (unsigned k = 0; k < 300; k++) {
		(void)snprintf(path, sizeof(path), "/many/entry-number-%u", k * 16);
		(void)snprintf(name + 200, sizeof(name) - 200, "-%u", k);
		cr_assert_eq(fs_rename(i.fs, path, name, &e), 0, "%s", e.msg);
	}
	image_commit(&i);
	for (unsigned k = 0; k < 300; k++) {
		(void)snprintf(path, sizeof(path), "/many/%.200s-%u", name, k);
		cr_assert_eq(fs_stat(i.fs, path, 0, &st, &e), 0, "%s", e.msg);
	}
	image_done(&i);
}

Test(ext_write, a_directory_with_a_hash_tree_keeps_it)
{
	rename_in_large_directory("-t ext4 -b 1024 -N 8000", true);
}

Test(ext_write, a_large_directory_without_a_tree_grows)
{
	rename_in_large_directory("-t ext2 -b 1024 -O ^dir_index -N 8000", false);
}

static int add_crc(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len)
{
	uint32_t *crc = arg;

	(void)old_;
	*crc = bytes_crc32(*crc, &off, sizeof(off));
	*crc = bytes_crc32(*crc, new_, len);
	return 0;
}

/* libext2fs splits blocks of a tree in memory that holds anything. */
Test(ext_write, the_same_change_writes_the_same_bytes)
{
	static const int fills[] = { 0x55, 0xaa };
	uint32_t crc[2] = { 0 };
	char name[256], path[300];
	struct image i;
	struct err e = { "" };
	const char *argv[] = { "e2fsck", "-fyD", i.path, NULL };

	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	image_new(&i);
	fill(&i, 1500);
	image_make(&i, "-t ext4 -b 4096 -N 8000", "48M");
	cr_assert_lt(image_run(&i, argv), 2, "%s", image_output(&i));
	memset(name, 'z', 200);
	for (unsigned round = 0; round < 2; round++) {
		mallopt(M_PERTURB, fills[round]);
		image_open(&i);
		for (unsigned k = 0; k < 100; k++) {
			(void)snprintf(path, sizeof(path), "/many/entry-number-%u", k * 15);
			(void)snprintf(name + 200, sizeof(name) - 200, "-%u", k);
			cr_assert_eq(fs_rename(i.fs, path, name, &e), 0, "%s", e.msg);
		}
		cr_assert_eq(blk_overlay_walk(i.disk, add_crc, &crc[round], NULL), 0);
		image_close(&i);
	}
	mallopt(M_PERTURB, 0);
	cr_assert_eq(crc[0], crc[1], "bytes of this process's memory went to the disk");
	image_done(&i);
}

static int count_changes(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len)
{
	(void)off;
	(void)old_;
	(void)new_;
	*(size_t *)arg += len;
	return 0;
}

Test(ext_write, a_change_of_the_same_length_writes_one_block)
{
	struct image i;
	struct err e = { "" };
	size_t changed = 0;

	image_new(&i);
	fill(&i, 0);
	image_make(&i, "-t ext4 -b 4096", "48M");
	image_open(&i);
	cr_assert_eq(fs_replace(i.fs, "/etc/fstab", "UUID=2 / ext4 defaults 0 1\n", 27, &e), 0, "%s", e.msg);
	cr_assert_eq(blk_overlay_walk(i.disk, count_changes, &changed, NULL), 0);
	cr_assert_eq(changed, 4096);
	image_commit(&i);
	image_done(&i);
}

struct refusal {
	char options[80], command[80], path[40];
	int code;
	char why[40];
};
static struct refusal refusals[] = {
	{ "-t ext4 -O quota", "stats", "/etc/fstab", -EROFS, "quota" },
	{ "-t ext4", "feature needs_recovery", "/etc/fstab", -EROFS, "journal" },
	{ "-t ext4", "ssv state 0", "/etc/fstab", -EROFS, "cleanly" },
	{ "-t ext4", "ssv state 3", "/etc/fstab", -EROFS, "errors" },
	{ "-t ext4", "ssv last_orphan 12", "/etc/fstab", -EROFS, "deleted files" },
	{ "-t ext4", "ssv feature_ro_compat 0x80000000", "/etc/fstab", -EROFS, "features" },
	{ "-t ext4", "ssv feature_compat 0x80000000", "/etc/fstab", -EROFS, "features" },
	{ "-t ext4", "sif /etc/fstab flags 0x80010", "/etc/fstab", -EPERM, "immutable" },
	{ "-t ext4", "sif /etc/fstab flags 0x80020", "/etc/fstab", -EPERM, "append-only" },
	{ "-t ext4", "sif /etc flags 0x80010", "/etc/fstab", -EPERM, "immutable" },
	{ "-t ext4", "sif /etc/fstab flags 0x180000", "/etc/fstab", -EOPNOTSUPP, "verity" },
	{ "-t ext4", "sif /etc/fstab flags 0x80800", "/etc/fstab", -EOPNOTSUPP, "encrypted" },
	{ "-t ext4 -O ^dir_index", "sif /etc flags 0x40080000", "/etc/fstab", -EOPNOTSUPP, "casefolded" },
	{ "-t ext4", "link /etc/fstab /etc/second", "/etc/fstab", -EMLINK, "names" },
};

ParameterizedTestParameters(ext_write, what_cannot_be_changed_safely_is_refused)
{
	return cr_make_param_array(struct refusal, refusals, sizeof(refusals) / sizeof(refusals[0]));
}

ParameterizedTest(struct refusal *r, ext_write, what_cannot_be_changed_safely_is_refused)
{
	struct image i;
	struct err e = { "" };
	size_t changed = 0;
	int rc;

	image_new(&i);
	fill(&i, 0);
	image_make(&i, r->options, "48M");
	image_debugfs(&i, r->command);
	if (!strncmp(r->command, "link", 4))
		image_debugfs(&i, "sif /etc/fstab links_count 2");
	image_open(&i);
	cr_assert(i.fs, "%s", i.node.fs_why.msg);
	rc = fs_replace(i.fs, r->path, "x", 1, &e);
	cr_assert_eq(rc, r->code, "%s: %d %s", r->command, rc, e.msg);
	cr_assert(strstr(e.msg, r->why), "%s", e.msg);
	if (r->code != -EMLINK) {
		rc = fs_rename(i.fs, r->path, "x", &e);
		cr_assert_eq(rc, r->code, "%s: %d %s", r->command, rc, e.msg);
	}
	cr_assert(blk_overlay_walk(i.disk, count_changes, &changed, NULL) == 0 && !changed,
		  "something was written");
	image_done(&i);
}

Test(ext_write, only_regular_files_are_replaced)
{
	struct image i;

	image_new(&i);
	fill(&i, 0);
	image_make(&i, "-t ext4", "48M");
	image_open(&i);
	cr_assert_eq(fs_replace(i.fs, "/etc", "x", 1, NULL), -EINVAL);
	cr_assert_eq(fs_replace(i.fs, "/etc/fstab", NULL, (16 << 20) + 1, NULL), -EFBIG);
	cr_assert_eq(fs_replace(i.fs, "/link", "x", 1, NULL), 0, "through a link into its target");
	image_commit(&i);
	image_done(&i);
}

Test(ext_write, a_full_file_system_is_left_as_it_is)
{
	struct image i;
	struct err e = { "" };
	char *much = calloc(1, 8 << 20);
	size_t changed = 0;

	image_new(&i);
	fill(&i, 0);
	image_make(&i, "-t ext4 -b 1024 -O ^has_journal", "4M");
	image_open(&i);
	cr_assert_eq(fs_replace(i.fs, "/etc/fstab", much, 8 << 20, &e), -ENOSPC, "%s", e.msg);
	cr_assert(blk_overlay_walk(i.disk, count_changes, &changed, NULL) == 0 && !changed,
		  "something was written");
	cr_assert_null(i.fs->write_refused);
	free(much);
	image_done(&i);
}

Test(ext_write, a_disk_that_cannot_be_written_is_left_alone)
{
	struct image i;
	struct err e = { "" };
	struct fs *fs = NULL;
	struct node node;

	image_new(&i);
	fill(&i, 0);
	image_make(&i, "-t ext4", "48M");
	image_open(&i);
	node = i.node;
	node.blk = i.file;
	cr_assert_eq(format_ext.open_fs(&node, &fs, &e), 0, "%s", e.msg);
	cr_assert_eq(fs_rename(fs, "/etc", "etc2", &e), -EROFS);
	fs_close(fs);
	image_done(&i);
}
