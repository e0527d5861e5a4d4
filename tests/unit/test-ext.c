/* SPDX-License-Identifier: MIT */
/* Tests format/ext_super.c, ext.c, ext_map.c, ext_dir.c, ext_xattr.c and ext_alloc.c: images of mke2fs are
 * read whole, and damaged ones end in an error or in what can still be read. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <inttypes.h>
#include "base/bytes.h"
#include "ext-image.h"

enum { SUPER = 1024, LONG_NAMES = 300, BIG = 700000, FAR = 3000000 };

static uint8_t *big_bytes(void)
{
	static uint8_t b[BIG];

	for (size_t i = 0; i < BIG; i++)
		b[i] = (uint8_t)(i * 2654435761u >> 13);
	return b;
}

/* A folder with what the readers must know: short and long links, holes, a directory of many blocks. */
static void fill(struct image *i)
{
	char name[300];
	FILE *f;

	image_mkdir(i, "etc");
	image_mkdir(i, "many");
	image_put(i, "etc/fstab", "UUID=1 / ext4 defaults 0 1\n", 27);
	image_put(i, "empty", "", 0);
	memset(name, 'm', sizeof(name));
	image_put(i, "mid", name, 130);
	image_put(i, "big", big_bytes(), BIG);
	image_link(i, "short", "etc/fstab");
	memset(name, 'l', 200);
	name[200] = '\0';
	image_link(i, "long", name);
	for (unsigned k = 0; k < LONG_NAMES; k++) {
		(void)snprintf(name, sizeof(name), "many/a-name-of-some-length-%u", k);
		image_put(i, name, name, strlen(name));
	}
	(void)snprintf(name, sizeof(name), "%s/holes", i->folder);
	f = fopen(name, "w");
	cr_assert(f && fseek(f, FAR, SEEK_SET) == 0 && fputs("end", f) >= 0 && fclose(f) == 0);
	(void)snprintf(name, sizeof(name), "%s/fifo", i->folder);
	cr_assert_eq(mkfifo(name, 0600), 0);
}

static int count_name(void *arg, const char *name)
{
	(void)name;
	(*(unsigned *)arg)++;
	return 0;
}

static void expect_tree(struct fs *fs)
{
	struct err e = { "" };
	struct fs_stat st;
	unsigned n = 0;
	size_t len;
	char *text;
	uint8_t *buf = malloc(FAR + 4);

	cr_assert_eq(fs_slurp(fs, "/short", 100, &text, &len, &e), 0, "%s", e.msg);
	cr_assert_str_eq(text, "UUID=1 / ext4 defaults 0 1\n");
	free(text);
	cr_assert_eq(fs_readlink(fs, "/long", &text, &e), 0, "%s", e.msg);
	cr_assert(strlen(text) == 200 && strspn(text, "l") == 200);
	free(text);
	cr_assert_eq(fs_slurp(fs, "/mid", 200, &text, &len, &e), 0, "%s", e.msg);
	cr_assert(len == 130 && strspn(text, "m") == 130);
	free(text);
	cr_assert_eq(fs_list(fs, "/many", count_name, &n, &e), 0, "%s", e.msg);
	cr_assert_eq(n, LONG_NAMES);
	cr_assert_eq(fs_slurp(fs, "/many/a-name-of-some-length-299", 100, &text, &len, &e), 0, "%s", e.msg);
	cr_assert_str_eq(text, "many/a-name-of-some-length-299");
	free(text);

	cr_assert_eq(fs_read(fs, "/big", buf, FAR, 0, &len, &e), 0, "%s", e.msg);
	cr_assert(len == BIG && !memcmp(buf, big_bytes(), BIG));
	cr_assert_eq(fs_read(fs, "/big", buf, 5000, 4095, &len, &e), 0);
	cr_assert(len == 5000 && !memcmp(buf, big_bytes() + 4095, 5000));
	cr_assert_eq(fs_read(fs, "/big", buf, 10, BIG, &len, &e), 0);
	cr_assert_eq(len, 0);
	cr_assert_eq(fs_read(fs, "/holes", buf, FAR + 4, 0, &len, &e), 0, "%s", e.msg);
	cr_assert(len == FAR + 3 && bytes_all_zero(buf, FAR) && !memcmp(buf + FAR, "end", 3));
	cr_assert_eq(fs_stat(fs, "/holes", 0, &st, &e), 0);
	cr_assert(st.type == FS_FILE && st.size == FAR + 3 && st.blocks < 200000);
	cr_assert_eq(fs_stat(fs, "/fifo", 0, &st, &e), 0);
	cr_assert(st.type == FS_FIFO && st.mode == 0600);
	cr_assert_eq(fs_stat(fs, "/nope", 0, &st, &e), -ENOENT);
	free(buf);
}

struct layout {
	char options[120], fmt[8];
};
static struct layout layouts[] = {
	{ "-t ext4 -b 4096", "ext4" },
	{ "-t ext4 -b 1024", "ext4" },
	{ "-t ext3 -b 1024", "ext3" },
	{ "-t ext2 -b 1024", "ext2" },
	{ "-t ext2 -b 2048 -O ^sparse_super,^resize_inode", "ext2" },
	{ "-t ext4 -b 1024 -O inline_data -I 256", "ext4" },
	{ "-t ext4 -b 1024 -O ^metadata_csum,^extents,^64bit", "ext4" },
	{ "-t ext4 -b 1024 -O bigalloc -C 4096", "ext4" },
	{ "-t ext4 -b 1024 -O meta_bg,^resize_inode", "ext4" },
	{ "-t ext4 -b 1024 -O sparse_super2", "ext4" },
	{ "-t ext4 -b 4096 -I 128", "ext4" },
	{ "-t ext4 -b 65536", "ext4" },
	{ "-t ext4 -b 1024 -O ^filetype,^has_journal,uninit_bg,^metadata_csum", "ext4" },
};

ParameterizedTestParameters(ext, every_layout_is_read)
{
	return cr_make_param_array(struct layout, layouts, sizeof(layouts) / sizeof(layouts[0]));
}

ParameterizedTest(struct layout *l, ext, every_layout_is_read)
{
	struct image i;
	uint64_t picks[50], off;
	uint32_t group = 0;
	struct err e = { "" };
	int n;

	image_new(&i);
	fill(&i);
	image_make(&i, l->options, "48M");
	image_open(&i);
	cr_assert(i.fs, "%s: %s", l->options, i.node.fs_why.msg);
	cr_assert_str_eq(i.node.fmt, l->fmt);
	cr_assert_eq(i.node.state, NODE_OPEN);
	cr_assert_null(i.fs->write_refused);
	expect_tree(i.fs);

	while (ext_next_backup(ext_node_info(&i.node), &group, &off)) {
		struct ext_info copy;

		cr_assert_eq(ext_read_super(i.disk, off, &copy, &e), 0, "group %" PRIu32 ": %s", group,
			     e.msg);
		cr_assert(copy.group_nr == group && !memcmp(copy.uuid, ext_node_info(&i.node)->uuid, 16));
	}
	n = ext_pick_allocated(i.fs, picks, 50, &e);
	cr_assert_eq(n, 50, "%s", e.msg);
	for (int k = 1; k < n; k++)
		cr_assert_lt(picks[k - 1], picks[k]);
	image_done(&i);
}

Test(ext, names_and_numbers_are_those_of_the_superblock)
{
	struct image i;

	image_new(&i);
	image_make(&i, "-t ext4 -b 1024 -U 11223344-5566-7788-99aa-bbccddeeff00 -L root\\x20disk", "16M");
	image_open(&i);
	cr_assert_str_eq(i.node.uuid, "11223344-5566-7788-99aa-bbccddeeff00");
	cr_assert_str_eq(i.node.label, "root\\x20disk");
	cr_assert_eq(ext_node_info(&i.node)->blocks, 16384);
	cr_assert_eq(ext_node_info(&i.node)->groups, 2);
	cr_assert_gt(i.fs->free, 1 << 20);
	cr_assert_eq(i.fs->used + i.fs->free, 16 << 20);
	cr_assert(i.fs->last_write > 0 && !i.fs->stale);
	image_done(&i);
}

Test(ext, backups_are_where_the_geometry_puts_them)
{
	struct ext_info x = {
		.groups = 130, .blocks_per_group = 8192, .first_data_block = 1, .block_size = 1024
	};
	static const uint32_t sparse[] = { 1, 3, 5, 7, 9, 25, 27, 49, 81, 125 };
	uint32_t g = 0;
	uint64_t off;
	unsigned n = 0;

	while (ext_next_backup(&x, &g, &off))
		n++;
	cr_assert_eq(n, 129, "without sparse_super every group has one");
	x.ro_compat = EXT_RO_SPARSE_SUPER;
	g = 0;
	for (n = 0; ext_next_backup(&x, &g, &off); n++) {
		cr_assert_eq(g, sparse[n]);
		cr_assert_eq(off, ((uint64_t)g * 8192 + 1) * 1024);
	}
	cr_assert_eq(n, 10);
	x.compat = EXT_COMPAT_SPARSE_SUPER2;
	x.backup_groups[1] = 129;
	g = 0;
	cr_assert(ext_next_backup(&x, &g, &off));
	cr_assert_eq(g, 129);
	cr_assert_not(ext_next_backup(&x, &g, &off));
}

static void poke(const struct image *i, uint64_t off, const void *bytes, size_t n)
{
	cr_assert_eq(blk_pwrite(i->disk, bytes, n, off, NULL), 0);
}

static void reopen(struct image *i)
{
	struct err e = { "" };

	fs_close(i->fs);
	i->fs = NULL;
	format_ext.free_meta(i->node.meta);
	i->node.meta = NULL;
	cr_assert_eq(format_ext.parse(i->disk, &i->node.meta, &e), 1, "%s", e.msg);
	cr_assert_eq(format_ext.describe(&i->node, &e), 0);
	i->node.fs_why.msg[0] = '\0';
	(void)format_ext.open_fs(&i->node, &i->fs, &i->node.fs_why);
}

Test(ext, a_copy_is_used_where_the_primary_is_damaged)
{
	static const uint8_t bad[4] = { 0xff, 0xff, 0xff, 0xff };
	static const uint8_t zero[2];
	char uuid[64];
	struct image i;

	image_new(&i);
	fill(&i);
	image_make(&i, "-t ext4 -b 1024", "48M");
	image_open(&i);
	strcpy(uuid, i.node.uuid);
	poke(&i, SUPER + 0x20, bad, 4);                 /* blocks per group */
	reopen(&i);
	cr_assert_eq(i.node.state, NODE_DAMAGED);
	cr_assert(strstr(i.node.why.msg, "copy"), "%s", i.node.why.msg);
	cr_assert_str_eq(i.node.uuid, uuid);
	cr_assert(i.fs && i.fs->write_refused, "%s", i.node.fs_why.msg);
	expect_tree(i.fs);

	fs_close(i.fs);
	i.fs = NULL;
	blk_overlay_reset(i.disk);
	poke(&i, SUPER + 0x38, zero, 2);                /* the magic */
	reopen(&i);
	cr_assert_eq(i.node.state, NODE_DAMAGED);
	expect_tree(i.fs);
	image_done(&i);
}

Test(ext, damage_without_a_copy_is_named_and_not_opened)
{
	static const uint8_t bad[4] = { 0xff, 0xff, 0xff, 0xff };
	struct image i;

	image_new(&i);
	image_make(&i, "-t ext4 -b 1024", "4M");
	image_open(&i);
	poke(&i, SUPER + 0x20, bad, 4);
	reopen(&i);
	cr_assert_eq(i.node.state, NODE_DAMAGED);
	cr_assert_str_eq(i.node.fmt, "ext4");
	cr_assert_null(i.fs);
	cr_assert(strstr(i.node.fs_why.msg, "damaged"), "%s", i.node.fs_why.msg);
	image_done(&i);
}

Test(ext, a_wrong_superblock_checksum_is_damage_but_can_be_read)
{
	static const uint8_t mounts[2] = { 0x77, 0x77 };
	struct image i;

	image_new(&i);
	fill(&i);
	image_make(&i, "-t ext4 -b 1024", "48M");
	image_open(&i);
	poke(&i, SUPER + 0x34, mounts, 2);
	reopen(&i);
	cr_assert_eq(i.node.state, NODE_DAMAGED);
	cr_assert(ext_node_info(&i.node)->csum_bad);
	cr_assert(i.fs && i.fs->write_refused, "%s", i.node.fs_why.msg);
	expect_tree(i.fs);
	image_done(&i);
}

Test(ext, an_unreplayed_journal_makes_it_stale_and_read_only)
{
	struct image i;

	image_new(&i);
	fill(&i);
	image_make(&i, "-t ext4 -b 1024", "48M");
	image_debugfs(&i, "feature needs_recovery");
	image_open(&i);
	cr_assert_eq(i.node.state, NODE_OPEN);
	cr_assert(strstr(i.node.why.msg, "journal"), "%s", i.node.why.msg);
	cr_assert(i.fs->stale && strstr(i.fs->write_refused, "journal"));
	cr_assert_eq(fs_rename(i.fs, "/etc", "etc2", NULL), -EROFS);
	expect_tree(i.fs);
	image_done(&i);
}

Test(ext, an_external_journal_is_named)
{
	struct image i;

	image_new(&i);
	rmdir(i.folder);
	strcpy(i.folder, "/");
	{
		const char *argv[] = { "mke2fs", "-q",	 "-F",	 "-O", "journal_dev",
				       "-b",	 "1024", i.path, "4M", NULL };

		if (image_run(&i, argv) == 127)
			cr_skip_test("mke2fs is not installed");
	}
	image_open(&i);
	cr_assert_str_eq(i.node.fmt, "jbd");
	cr_assert_eq(i.node.state, NODE_UNSUPPORTED);
	cr_assert_null(i.fs);
	image_done(&i);
}

Test(ext, other_bytes_are_not_ours)
{
	static uint8_t buf[65536];
	struct blk *b = NULL;
	void *meta = NULL;
	uint32_t x = 1;

	for (unsigned round = 0; round < 200; round++) {
		size_t n = round < 4 ? round * 512 : sizeof(buf);

		for (size_t k = 0; k < sizeof(buf); k++)
			buf[k] = round ? (uint8_t)((x = x * 1664525 + 1013904223) >> 24) : 0;
		if (round > 100) {
			buf[SUPER + 0x38] = 0x53;
			buf[SUPER + 0x39] = 0xef;
		}
		cr_assert_eq(blk_open_mem(buf, n, &b, NULL), 0);
		cr_assert_eq(format_ext.parse(b, &meta, NULL), 0);
		blk_unref(b);
	}
}

Test(ext, a_device_that_is_too_short_is_damage)
{
	struct image i;
	struct blk *half = NULL;
	struct err e = { "" };
	void *meta = NULL;

	image_new(&i);
	image_make(&i, "-t ext4 -b 1024", "16M");
	image_open(&i);
	cr_assert_eq(blk_open_window(i.disk, 0, 9 << 20, &half, &e), 0);
	cr_assert_eq(format_ext.parse(half, &meta, &e), 1);
	cr_assert(((struct ext_info *)meta)->truncated);
	cr_assert(strstr(((struct ext_info *)meta)->damage.msg, "device"));
	free(meta);
	blk_unref(half);
	image_done(&i);
}

/* The first block of a directory or file, from debugfs, which says it in its last line. */
static uint64_t first_block(const struct image *i, const char *path)
{
	char command[200];
	const char *p, *line;

	(void)snprintf(command, sizeof(command), "bmap %s 0", path);
	image_debugfs(i, command);
	for (p = line = image_output(i); *p; p++)
		if (*p == '\n' && p[1])
			line = p + 1;
	return strtoull(line, NULL, 10);
}

Test(ext, a_damaged_directory_gives_what_it_has_and_then_an_error)
{
	static const uint8_t bad[2] = { 0x03, 0x00 };
	struct image i;
	struct err e = { "" };
	struct fs_stat st;
	uint64_t block;
	unsigned n = 0;

	image_new(&i);
	fill(&i);
	image_make(&i, "-t ext4 -b 1024 -O ^metadata_csum", "48M");
	block = first_block(&i, "/many");
	cr_assert_gt(block, 1, "%s", image_output(&i));
	image_open(&i);
	poke(&i, block * 1024 + 24 + 4, bad, 2);        /* the third entry's length */
	reopen(&i);
	cr_assert_eq(fs_list(i.fs, "/many", count_name, &n, &e), -EBADMSG);
	cr_assert(strstr(e.msg, "/many"), "%s", e.msg);
	cr_assert(n > 200 && n < LONG_NAMES, "%u", n);
	cr_assert_eq(fs_stat(i.fs, "/many/nope", 0, &st, &e), -EBADMSG, "a name may be in the damaged part");
	cr_assert_eq(fs_rename(i.fs, "/many/a-name-of-some-length-299", "x", &e), -EBADMSG,
		     "nothing is changed in a damaged directory");
	image_done(&i);
}

Test(ext, a_directory_that_holds_itself_ends)
{
	struct image i;
	char path[4096] = "";
	struct fs_stat st;

	image_new(&i);
	fill(&i);
	image_make(&i, "-t ext4 -b 1024", "48M");
	image_debugfs(&i, "link /etc /etc/self");
	image_open(&i);
	for (unsigned k = 0; k < 200; k++)
		strcat(path, k ? "/self" : "/etc");
	cr_assert_eq(fs_stat(i.fs, path, 0, &st, NULL), 0);
	image_done(&i);
}

Test(ext, an_extent_tree_that_points_at_itself_ends)
{
	struct image i;
	struct err e = { "" };
	uint8_t node[1024] = { 0x0a, 0xf3, 1, 0, 84, 0, 1, 0 };
	uint64_t block;
	size_t n;
	char c;

	image_new(&i);
	fill(&i);
	image_make(&i, "-t ext4 -b 1024 -O ^metadata_csum", "48M");
	block = first_block(&i, "/big");
	image_debugfs(&i, "sif /big block[0] 0x0001f30a");
	image_debugfs(&i, "sif /big block[1] 0x00010004");
	image_debugfs(&i, "sif /big block[2] 0");
	image_debugfs(&i, "sif /big block[3] 0");
	{
		char command[100];

		(void)snprintf(command, sizeof(command), "sif /big block[4] %" PRIu64, block);
		image_debugfs(&i, command);
	}
	image_debugfs(&i, "sif /big block[5] 0");
	image_open(&i);
	node[12 + 4] = (uint8_t)block;
	node[12 + 5] = (uint8_t)(block >> 8);
	node[12 + 6] = (uint8_t)(block >> 16);
	poke(&i, block * 1024, node, sizeof(node));
	reopen(&i);
	cr_assert_eq(fs_read(i.fs, "/big", &c, 1, 0, &n, &e), -EBADMSG);
	cr_assert(strstr(e.msg, "extent tree"), "%s", e.msg);
	image_done(&i);
}

Test(ext, what_the_file_system_encrypts_is_listed_but_not_read)
{
	struct image i;
	struct err e = { "" };
	struct fs_stat st;
	char *text;
	size_t n;

	image_new(&i);
	fill(&i);
	image_make(&i, "-t ext4 -b 1024", "48M");
	image_debugfs(&i, "sif /etc/fstab flags 0x80800");
	image_debugfs(&i, "sif /long flags 0x80800");
	image_debugfs(&i, "sif /many flags 0x80800");
	image_open(&i);
	cr_assert_eq(fs_slurp(i.fs, "/etc/fstab", 100, &text, &n, &e), -EOPNOTSUPP);
	cr_assert(strstr(e.msg, "encrypted"), "%s", e.msg);
	cr_assert_eq(fs_readlink(i.fs, "/long", &text, &e), -EOPNOTSUPP);
	cr_assert_eq(fs_stat(i.fs, "/etc/fstab", 0, &st, &e), 0);
	{
		unsigned names = 0;

		cr_assert_eq(fs_list(i.fs, "/many", count_name, &names, &e), 0, "%s", e.msg);
		cr_assert_eq(names, LONG_NAMES);
	}
	image_done(&i);
}

struct seen {
	unsigned n;
	bool user, label;
};

static int see(void *arg, const char *name, const void *v, size_t n)
{
	struct seen *s = arg;

	s->n++;
	s->user = s->user || (!strcmp(name, "user.a") && n == 5 && !memcmp(v, "hello", 5));
	s->label = s->label || (!strcmp(name, "security.selinux") && n == 300);
	return 0;
}

Test(ext, extended_attributes_are_told)
{
	struct image i;
	struct seen s = { 0 };
	struct err e = { "" };
	char value[301], name[400];

	image_new(&i);
	fill(&i);
	memset(value, 'v', 300);
	(void)snprintf(name, sizeof(name), "%s/value", i.dir);
	{
		FILE *f = fopen(name, "w");

		cr_assert(f && fwrite(value, 1, 300, f) == 300 && fclose(f) == 0);
	}
	image_make(&i, "-t ext4 -b 1024", "48M");
	image_debugfs(&i, "ea_set /etc/fstab user.a hello");
	(void)snprintf(name, sizeof(name), "ea_set -f %s/value /etc/fstab security.selinux", i.dir);
	image_debugfs(&i, name);
	image_open(&i);
	cr_assert_eq(fs_xattrs(i.fs, "/etc/fstab", see, &s, &e), 0, "%s", e.msg);
	cr_assert(s.n == 2 && s.user && s.label, "%u", s.n);
	image_done(&i);
}

Test(ext, contradicting_bitmaps_are_refused)
{
	struct image i;
	struct err e = { "" };
	uint64_t picks[8];
	static const uint8_t none[1024];

	image_new(&i);
	fill(&i);
	image_make(&i, "-t ext4 -b 1024 -O ^metadata_csum,^flex_bg", "16M");
	image_open(&i);
	cr_assert_eq(ext_pick_allocated(i.fs, picks, 8, &e), 8, "%s", e.msg);
	cr_assert_eq(ext_pick_allocated(i.fs, picks, 1, &e), 1);
	/* behind the superblock and the descriptors: the blocks kept for growing, the bitmaps, the inodes */
	for (uint64_t b = 3; b < 200; b++)
		poke(&i, b * 1024, none, sizeof(none));
	reopen(&i);
	cr_assert_eq(ext_pick_allocated(i.fs, picks, 8, &e), -EBADMSG);
	image_done(&i);
}
