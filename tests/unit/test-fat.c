/* SPDX-License-Identifier: MIT */
/* Tests format/fat*.c: three widths, long names, labels as libblkid reads them, and volumes that lie. */
#include "disk.h"

#include "format/fat.h"
#include "fs/fs.h"

/* A small volume: one sector a cluster, two sectors a FAT, clusters 2 to 99. */
enum { SECTOR = 512, RESERVED = 4, FAT_SECTORS = 2, ROOT_ENTRIES = 64, CLUSTERS = 98, MAX_VOLUME = 1 << 20 };

static uint8_t volume[MAX_VOLUME];
static struct {
	unsigned bits, sector;
	uint64_t root, data, size;
	unsigned used;                  /* slots in the root directory */
} v;

static void put_fat(uint32_t cluster, uint32_t value)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		uint8_t *f = volume + (RESERVED + copy * FAT_SECTORS) * v.sector;

		if (v.bits == 32) {
			put_le(f + 4 * cluster, value, 4);
		} else if (v.bits == 16) {
			put_le(f + 2 * cluster, value, 2);
		} else {
			uint8_t *p = f + cluster + cluster / 2;
			unsigned old = p[0] | p[1] << 8;

			value &= 0xfff;
			put_le(p, cluster & 1 ? (old & 0xf) | value << 4 : (old & 0xf000) | value, 2);
		}
	}
}

static uint8_t *cluster_at(uint32_t c)
{
	return volume + v.data + (uint64_t)(c - 2) * v.sector;
}

static void put_volume(unsigned bits, unsigned sector)
{
	bool fat32 = bits == 32;
	uint64_t total;

	memset(volume, 0, sizeof(volume));
	memset(&v, 0, sizeof(v));
	v.bits = bits;
	v.sector = sector;
	v.root = (RESERVED + 2 * FAT_SECTORS) * sector;
	v.data = v.root + (fat32 ? 0 : ROOT_ENTRIES * 32 + sector - 1) / sector * sector;
	/* 16 bits take more clusters, nearly all behind the end of what the tests use */
	total = v.data / sector + (bits == 16 ? 5000 : CLUSTERS);
	v.size = v.data + CLUSTERS * sector;
	memcpy(volume, "\xeb\x3c\x90mkfs.fat", 11);
	put_le(volume + 11, sector, 2);
	volume[13] = 1;
	put_le(volume + 14, RESERVED, 2);
	volume[16] = 2;
	put_le(volume + 17, fat32 ? 0 : ROOT_ENTRIES, 2);
	put_le(volume + 19, total, 2);
	volume[21] = 0xf8;
	put_le(volume + 22, fat32 ? 0 : bits == 16 ? 20 : FAT_SECTORS, 2);
	if (fat32) {
		put_le(volume + 36, FAT_SECTORS, 4);
		put_le(volume + 44, 2, 4);
	}
	memcpy(volume + (fat32 ? 67 : 39), "\xef\xbe\xad\xde", 4);
	memcpy(volume + (fat32 ? 71 : 43), "NO NAME    FAT32   ", 19);
	if (!fat32)
		memcpy(volume + 54, bits == 12 ? "FAT12   " : "FAT16   ", 8);
	volume[510] = 0x55;
	volume[511] = 0xaa;
	if (fat32) {
		v.root = v.data;
		put_fat(2, 0x0fffffff);
	}
}

/* FAT16 wants more clusters than two sectors of FAT can name: give it its 20 sectors. */
static void put_volume16(void)
{
	put_volume(16, SECTOR);
	v.root = (RESERVED + 2 * 20) * SECTOR;
	v.data = v.root + ROOT_ENTRIES * 32;
	v.size = v.data + CLUSTERS * SECTOR;
	put_le(volume + 19, v.data / SECTOR + 5000, 2);
}

static uint8_t *put_slot(const char raw[11], uint8_t attr, uint32_t cluster, uint32_t size)
{
	uint8_t *s = volume + v.root + 32 * v.used++;

	memset(s, 0, 32);
	memcpy(s, raw, 11);
	s[11] = attr;
	put_le(s + 20, cluster >> 16, 2);
	put_le(s + 22, 10 << 11 | 20 << 5 | 15, 2);
	put_le(s + 24, (2024 - 1980) << 9 | 2 << 5 | 29, 2);
	put_le(s + 26, cluster & 0xffff, 2);
	put_le(s + 28, size, 4);
	return s;
}

static uint8_t alias_sum(const char raw[11])
{
	uint8_t sum = 0;

	for (size_t i = 0; i < 11; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + (uint8_t)raw[i]);
	return sum;
}

/* The slots of a long name, before its short one; units end with a NUL. */
static void put_long(const uint16_t *units, const char raw[11])
{
	static const unsigned at[13] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	unsigned len = 0, n;

	while (units[len])
		len++;
	n = (len + 12) / 13;
	for (unsigned no = n; no; no--) {
		uint8_t *s = put_slot(raw, 0x0f, 0, 0);

		memset(s, 0, 32);
		s[0] = (uint8_t)(no | (no == n ? 0x40 : 0));
		s[11] = 0x0f;
		s[13] = alias_sum(raw);
		for (unsigned i = 0; i < 13; i++) {
			unsigned k = (no - 1) * 13 + i;

			put_le(s + at[i], k < len ? units[k] : k == len ? 0 : 0xffff, 2);
		}
	}
}

static void put_long_ascii(const char *name, const char raw[11])
{
	uint16_t units[260] = {0};

	for (size_t i = 0; name[i]; i++)
		units[i] = (uint8_t)name[i];
	put_long(units, raw);
}

/* Content for a file: a chain of n clusters from first, filled with bytes that tell where they are. */
static void put_chain(uint32_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		put_fat(first + i, i + 1 < n ? first + i + 1 : 0x0fffffff);
		for (unsigned k = 0; k < v.sector; k++)
			cluster_at(first + i)[k] = (uint8_t)(first + i + k);
	}
}

static struct graph g;

static struct node *look(void)
{
	cleanup_blk struct blk *b = NULL;

	cr_assert_eq(blk_open_mem(volume, v.size, &b, NULL), 0);
	return look_at(&g, "bek", b, 0);
}

static struct fs *look_fs(void)
{
	struct node *n = look();
	struct err e = {{0}};
	struct fs *fs = node_fs(n, &e);

	cr_assert_str_eq(n->fmt, "vfat");
	cr_assert(fs, "%s", e.msg);
	return fs;
}

static int add_name(void *arg, const char *name)
{
	struct str *s = arg;

	str_addf(s, "%s|", name);
	return 0;
}

static void expect_list(struct fs *fs, const char *path, const char *want)
{
	cleanup_str struct str names = {0};
	struct err e = {{0}};

	cr_expect_eq(fs->ops->list(fs, path, add_name, &names, &e), 0, "%s", e.msg);
	cr_expect_str_eq(str_text(&names), want);
}

/* Reads n bytes from off of a file that put_chain made, and compares. */
static void expect_content(struct fs *fs, const char *path, uint32_t first, uint64_t off, size_t n)
{
	uint8_t buf[64 * 1024];
	struct err e = {{0}};
	size_t got = 0;

	cr_assert_leq(n, sizeof(buf));
	cr_assert_eq(fs->ops->read(fs, path, buf, n, off, &got, &e), 0, "%s: %s", path, e.msg);
	cr_assert_eq(got, n, "%s: %zu bytes", path, got);
	for (size_t i = 0; i < n; i++) {
		uint64_t at = off + i;

		cr_assert_eq(buf[i], (uint8_t)(first + at / v.sector + at % v.sector), "%s at %zu", path, i);
	}
}

static void expect_read_error(struct fs *fs, const char *path, int code, const char *why)
{
	struct err e = {{0}};
	uint8_t buf[4096];
	size_t got = 12345;

	cr_expect_eq(fs->ops->read(fs, path, buf, sizeof(buf), 0, &got, &e), code, "%s", e.msg);
	cr_expect_eq(got, 12345, "nothing is handed out");
	cr_expect(strstr(e.msg, why), "\"%s\" lacks \"%s\"", e.msg, why);
}

static void put_any(unsigned bits)
{
	if (bits == 16)
		put_volume16();
	else
		put_volume(bits, SECTOR);
}

Test(fat, reads_files_of_all_widths)
{
	static const unsigned width[] = {12, 16, 32};

	for (size_t i = 0; i < 3; i++) {
		struct fs_stat st;
		struct fs *fs;

		put_any(width[i]);
		put_slot("KEY     BIN", 0x21, 10, 1234);
		put_chain(10, 3);
		put_slot("EMPTY   TXT", 0x20, 0, 0);
		fs = look_fs();
		expect_list(fs, "/", "KEY.BIN|EMPTY.TXT|");
		expect_content(fs, "/KEY.BIN", 10, 0, 1234);
		expect_content(fs, "/KEY.BIN", 10, 500, 100);
		expect_content(fs, "/KEY.BIN", 10, 1200, 34);
		expect_content(fs, "/KEY.BIN", 10, 1234, 0);
		expect_content(fs, "/EMPTY.TXT", 0, 0, 0);
		cr_assert_eq(fs->ops->stat(fs, "/KEY.BIN", &st, NULL), 0);
		cr_expect_eq(st.size, 1234);
		cr_expect_eq(st.type, FS_FILE);
		cr_expect_eq(st.mode, 0444);
		cr_expect_eq(st.blocks, 1536);
		cr_expect_eq(st.mtime, 1709202030, "29 February 2024, 10:20:30");
		cr_expect_eq(fs->ops->stat(fs, "/none", &st, NULL), -ENOENT);
		cr_expect_eq(fs->ops->stat(fs, "/KEY.BIN/x", &st, NULL), -ENOTDIR);
		cr_expect_eq(fs->ops->list(fs, "/KEY.BIN", add_name, NULL, NULL), -ENOTDIR);
		cr_expect_eq(fs->ops->stat(fs, "/", &st, NULL), 0);
		cr_expect_eq(st.type, FS_DIR);
		cr_expect_null(fs->ops->replace);
		cr_expect_null(fs->ops->rename);
		graph_done(&g);
	}
}

Test(fat, sectors_of_4096_bytes_are_read)
{
	struct fs *fs;

	put_volume(32, 4096);
	put_slot("KEY     BIN", 0x20, 10, 10000);
	put_chain(10, 3);
	fs = look_fs();
	expect_content(fs, "/KEY.BIN", 10, 0, 10000);
	graph_done(&g);
}

Test(fat, long_names_are_read_and_found_in_any_case)
{
	static const uint16_t smile[] = {'s', 0xe9, 0x20ac, 0xd83d, 0xde00, '.', 't', 0};
	struct fs *fs;

	put_volume(32, SECTOR);
	put_long_ascii("LinuxPassPhraseFileName_1_0", "LINUXP~1   ");
	put_slot("LINUXP~1   ", 0x20, 10, 172);
	put_chain(10, 1);
	put_long(smile, "S~1     T  ");
	put_slot("S~1     T  ", 0x20, 11, 7);
	put_chain(11, 1);
	put_slot("LOWER   TXT", 0x20, 12, 5)[12] = 0x18;
	put_chain(12, 1);
	put_slot("\x05" "E5     Q  ", 0x20, 0, 0);
	fs = look_fs();
	expect_list(fs, "/", "LinuxPassPhraseFileName_1_0|s\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.t|"
		    "lower.txt|\xe5" "E5.Q|");
	expect_content(fs, "/LinuxPassPhraseFileName_1_0", 10, 0, 172);
	expect_content(fs, "/linuxpassphrasefilename_1_0", 10, 0, 172);
	expect_content(fs, "/LINUXP~1", 10, 0, 172);
	expect_content(fs, "/s\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.T", 11, 0, 7);
	expect_content(fs, "/LOWER.TXT", 12, 0, 5);
	graph_done(&g);
}

Test(fat, exact_name_goes_before_one_of_another_case)
{
	struct fs *fs;

	put_volume(32, SECTOR);
	put_long_ascii("keyfile", "KEYFIL~1   ");
	put_slot("KEYFIL~1   ", 0x20, 10, 5);
	put_long_ascii("KeyFile", "KEYFIL~2   ");
	put_slot("KEYFIL~2   ", 0x20, 11, 5);
	put_chain(10, 1);
	put_chain(11, 1);
	fs = look_fs();
	expect_content(fs, "/KeyFile", 11, 0, 5);
	expect_content(fs, "/keyfile", 10, 0, 5);
	expect_content(fs, "/KEYFILE", 10, 0, 5);
	graph_done(&g);
}

Test(fat, long_name_that_is_broken_or_dangerous_gives_way_to_the_short_one)
{
	static const uint16_t lone[] = {'a', 0xd83d, 'b', 0};
	struct fs *fs;
	uint8_t *first;

	put_volume(32, SECTOR);
	put_long_ascii("..", "UP      TXT");
	put_slot("UP      TXT", 0x20, 0, 0);
	put_long_ascii(".", "HERE    TXT");
	put_slot("HERE    TXT", 0x20, 0, 0);
	put_long_ascii("a/../../b", "SLASH   TXT");
	put_slot("SLASH   TXT", 0x20, 0, 0);
	put_long(lone, "LONE    TXT");
	put_slot("LONE    TXT", 0x20, 0, 0);
	put_long_ascii("other", "ELSE    TXT");
	put_slot("SUM     TXT", 0x20, 0, 0);
	first = volume + v.root + 32 * v.used;
	put_long_ascii("a name of several parts", "ORDER   TXT");
	first[0] = 0x43;
	put_slot("ORDER   TXT", 0x20, 0, 0);
	put_slot("A/B\0    /  ", 0x20, 0, 0);
	put_slot("..         ", 0x10, 0, 0);
	put_slot(".          ", 0x10, 0, 0);
	put_slot("           ", 0x20, 0, 0);
	put_slot("\xe5GONE   TXT", 0x20, 0, 0);
	put_slot("LABEL      ", 0x08, 0, 0);
	fs = look_fs();
	expect_list(fs, "/", "UP.TXT|HERE.TXT|SLASH.TXT|LONE.TXT|SUM.TXT|ORDER.TXT|A_B_._|");
	graph_done(&g);
}

Test(fat, label_is_the_root_directorys_else_the_boot_sectors)
{
	struct node *n;

	put_volume(32, SECTOR);
	n = look();
	cr_expect_null(n->label, "NO NAME is none");
	cr_expect_str_eq(n->uuid, "DEAD-BEEF");
	cr_expect_eq(n->state, NODE_OPEN);
	cr_expect_eq(n->why.msg[0], 0);
	graph_done(&g);

	memcpy(volume + 71, "BOOT LABEL ", 11);
	n = look();
	cr_expect_str_eq(n->label, "BOOT LABEL");
	graph_done(&g);

	put_slot("X       TXT", 0x20, 0, 0);
	put_slot("BEK VOLUME ", 0x08, 0, 0);
	n = look();
	cr_expect_str_eq(n->label, "BEK VOLUME");
	graph_done(&g);

	put_volume16();
	put_slot("\x05" "ABEL      ", 0x28, 0, 0);
	memset(volume + 39, 0, 4);
	n = look();
	cr_expect_str_eq(n->label, "\xe5" "ABEL");
	cr_expect_eq(n->uuid[0], 0, "no serial number, no UUID");
	graph_done(&g);
}

/* Folders D in D in D: cluster 3, 4, ... each with the next one and a file F. */
static void put_deep(unsigned n)
{
	put_volume(32, SECTOR);
	for (unsigned i = 0; i < n; i++) {
		uint64_t root = v.root;

		put_slot("D          ", 0x10, 3 + i, 0);
		put_fat(3 + i, 0x0fffffff);
		v.root = v.data + (1 + i) * SECTOR;
		v.used = 0;
		put_slot(".          ", 0x10, 3 + i, 0);
		put_slot("F          ", 0x20, 60, 3);
		if (!i)
			cr_assert_eq(root, v.data);
	}
	put_chain(60, 1);
}

Test(fat, paths_are_at_most_eight_folders_deep)
{
	struct fs_stat st;
	struct fs *fs;

	put_deep(9);
	fs = look_fs();
	expect_list(fs, "/d/D", "F|D|");
	expect_content(fs, "/D/D/D/D/D/D/D/D/F", 60, 0, 3);
	cr_expect_eq(fs->ops->stat(fs, "/D/D/D/D/D/D/D/D/D/F", &st, NULL), -EBADMSG);
	graph_done(&g);
}

Test(fat, directory_in_itself_has_an_end)
{
	struct fs_stat st;
	struct fs *fs;

	put_volume(32, SECTOR);
	put_slot("D          ", 0x10, 2, 0);
	put_slot("NONE       ", 0x10, 0, 0);
	fs = look_fs();
	expect_list(fs, "/D/D/D", "D|NONE|");
	cr_expect_eq(fs->ops->stat(fs, "/D/D/D/D/D/D/D/D/D/D", &st, NULL), -EBADMSG);
	cr_expect_eq(fs->ops->list(fs, "/NONE", add_name, NULL, NULL), -EBADMSG);
	cr_expect_eq(fs->ops->stat(fs, "/NONE/D", &st, NULL), -EBADMSG);
	graph_done(&g);
}

Test(fat, broken_chains_are_errors_and_give_no_bytes)
{
	static const unsigned width[] = {12, 16, 32};

	for (size_t i = 0; i < 3; i++) {
		struct fs *fs;

		put_any(width[i]);
		put_slot("LOOP       ", 0x20, 10, 2000);
		put_chain(10, 4);
		put_fat(12, 10);
		put_slot("SELF       ", 0x20, 20, 1000);
		put_fat(20, 20);
		put_slot("FREE       ", 0x20, 30, 1000);
		put_slot("BAD        ", 0x20, 40, 1000);
		put_fat(40, 0x0ffffff7);
		put_slot("SHORT      ", 0x20, 50, 3000);
		put_chain(50, 5);
		put_slot("OUTSIDE    ", 0x20, 60, 1000);
		put_fat(60, 3000);
		put_slot("BEFORE     ", 0x20, 1, 1000);
		put_slot("NOWHERE    ", 0x20, 0, 1000);
		put_slot("HUGE       ", 0x20, 70, UINT32_MAX);
		put_chain(70, 3);
		put_slot("GOOD       ", 0x20, 80, 1000);
		put_chain(80, 2);
		fs = look_fs();
		expect_read_error(fs, "/LOOP", -EBADMSG, "loop");
		expect_read_error(fs, "/SELF", -EBADMSG, "loop");
		expect_read_error(fs, "/FREE", -EBADMSG, "free cluster");
		expect_read_error(fs, "/BAD", -EBADMSG, "bad cluster");
		expect_read_error(fs, "/SHORT", -EBADMSG, "ends before");
		expect_read_error(fs, "/OUTSIDE", -EBADMSG, "cluster 3000");
		expect_read_error(fs, "/BEFORE", -EBADMSG, "cluster 1");
		expect_read_error(fs, "/NOWHERE", -EBADMSG, "free cluster");
		expect_read_error(fs, "/HUGE", -EBADMSG, "larger than");
		expect_content(fs, "/GOOD", 80, 0, 1000);
		graph_done(&g);
	}
}

Test(fat, file_before_a_directorys_damage_is_found)
{
	struct err e = {{0}};
	struct fs_stat st;
	struct fs *fs;

	put_volume(32, SECTOR);
	put_slot("KEY        ", 0x20, 10, 500);
	put_chain(10, 1);
	while (v.used < SECTOR / 32)
		put_slot("FILLER     ", 0x20, 0, 0);
	put_fat(2, 2);
	fs = look_fs();
	expect_why(g.nodes[0], "loop");
	expect_content(fs, "/KEY", 10, 0, 500);
	/* not "not found" where not all could be seen */
	cr_expect_eq(fs->ops->stat(fs, "/NONE", &st, &e), -EBADMSG);
	graph_done(&g);
}

Test(fat, bad_sector_of_one_fat_is_read_from_the_other)
{
	cleanup_blk struct blk *mem = NULL, *bad = NULL;
	struct fs *fs;

	put_volume(32, SECTOR);
	put_slot("KEY        ", 0x20, 10, 1000);
	put_chain(10, 2);
	cr_assert_eq(blk_open_mem(volume, v.size, &mem, NULL), 0);
	bad = bad_open(mem, RESERVED * SECTOR, RESERVED * SECTOR + 1);
	fs = node_fs(look_at(&g, "bek", bad, 0), NULL);
	cr_assert(fs);
	expect_content(fs, "/KEY", 10, 0, 1000);
	graph_done(&g);
}

Test(fat, fat_without_mirroring_is_read_from_the_copy_in_use)
{
	struct fat_geometry geo;
	struct fs *fs;

	put_volume(32, SECTOR);
	put_slot("KEY        ", 0x20, 10, 1000);
	put_chain(10, 2);
	memset(volume + RESERVED * SECTOR, 0xff, FAT_SECTORS * SECTOR);
	volume[40] = 0x81;
	fs = look_fs();
	expect_content(fs, "/KEY", 10, 0, 1000);
	graph_done(&g);

	volume[40] = 0x82;
	cr_expect(!fat_geometry_read(volume, &geo), "there is no third copy");
}

Test(fat, crowded_directory_is_cut_at_4096_entries)
{
	cleanup_str struct str names = {0};
	struct err e = {{0}};
	struct fs *fs;

	put_volume(32, 4096);
	for (unsigned i = 0; i < 5000; i++) {
		char raw[12];

		if (i % 128 == 0 && i)
			put_fat(2 + i / 128 - 1, 2 + i / 128);
		snprintf(raw, sizeof(raw), "F%07u   ", i);
		put_slot(raw, 0x20, 0, 0);
	}
	put_fat(2 + 4999 / 128, 0x0fffffff);
	fs = look_fs();
	cr_expect_eq(fs->ops->list(fs, "/", add_name, &names, &e), -EBADMSG);
	cr_expect(strstr(e.msg, "4096 entries"), "%s", e.msg);
	cr_expect(strstr(str_text(&names), "F0004095|"));
	graph_done(&g);
}

Test(fat, shrunken_volume_is_said_and_the_rest_read)
{
	struct node *n;
	struct fs *fs;

	put_volume(32, SECTOR);
	put_slot("IN         ", 0x20, 10, 1000);
	put_chain(10, 2);
	put_slot("OUT        ", 0x20, 60, 1000);
	put_chain(60, 2);
	v.size = v.data + 40 * SECTOR;
	fs = look_fs();
	n = g.nodes[0];
	expect_why(n, "the device");
	expect_content(fs, "/IN", 10, 0, 1000);
	expect_read_error(fs, "/OUT", -EBADMSG, "cluster 60");
	graph_done(&g);

	v.size = v.data - 1;
	n = look();
	cr_expect_eq(n->state, NODE_DAMAGED);
	cr_expect_null(node_fs(n, NULL));
	graph_done(&g);
}

Test(fat, absurd_boot_sectors_are_not_fat)
{
	static const struct { unsigned at; uint32_t value; size_t n; const char *what; } row[] = {
		{11, 0, 2, "sector size 0"}, {11, 513, 2, "odd sector size"}, {11, 256, 2, "sector size 256"},
		{11, 8192, 2, "sector size 8192"}, {13, 0, 1, "cluster size 0"}, {13, 3, 1, "cluster size 3"},
		{14, 0, 2, "no reserved sectors"}, {16, 0, 1, "no FAT"}, {19, 3, 2, "ends before the data"},
		{36, 0, 4, "FAT of no length"}, {36, UINT32_MAX, 4, "FAT longer than the volume"},
		{21, 0x12, 1, "media"}, {510, 0, 2, "no signature"}, {3, 0x5346544e, 4, NULL},
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct fat_geometry geo;

		put_volume(32, SECTOR);
		memset(volume + 82, 0, 8);
		cr_assert(fat_geometry_read(volume, &geo));
		cr_assert(fat_is_boot_sector(volume));
		put_le(volume + row[i].at, row[i].value, row[i].n);
		if (!row[i].what)
			memcpy(volume + 3, "NTFS    ", 8);
		cr_expect(!fat_geometry_read(volume, &geo), "%s", row[i].what);
	}
}

/* ---- what the stock tools make ---- */

static void expect_tools(const char *mkfs, uint64_t size, bool mtools)
{
	char path[64], key[64];
	struct blk *b;
	struct fs *fs;
	struct node *n;
	char buf[4096];
	size_t got = 0;
	struct err e = {{0}};
	int r;

	temp_file(path, size);
	temp_file(key, 0);
	tool("%s -n 'BEK VOLUME' -i 1234abcd %s >/dev/null 2>&1", mkfs, path);
	tool("printf '%%0172d' 7 > %s", key);
	if (mtools) {
		tool("mcopy -i %s %s '::/LinuxPassPhraseFileName'", path, key);
		tool("mmd -i %s '::/a folder with a long name'", path);
		tool("mcopy -i %s %s '::/a folder with a long name/KEY.TXT'", path, key);
	}
	b = open_path(path);
	n = look_at(&g, "bek.img", b, 0);
	cr_expect_str_eq(n->fmt, "vfat");
	cr_expect_str_eq(n->label, "BEK VOLUME");
	cr_expect_str_eq(n->uuid, "1234-ABCD");
	fs = node_fs(n, &e);
	cr_assert(fs, "%s", e.msg);
	if (mtools) {
		expect_list(fs, "/", "LinuxPassPhraseFileName|a folder with a long name|");
		r = fs->ops->read(fs, "/A folder with a long name/key.txt", buf, sizeof(buf), 0, &got, &e);
		cr_assert_eq(r, 0, "%s", e.msg);
		cr_expect_eq(got, 172);
		cr_expect_eq(buf[171], '7');
		cr_expect_eq(buf[170], '0');
	} else {
		expect_list(fs, "/", "");
	}
	graph_done(&g);
	blk_unref(b);
	unlink(path);
	unlink(key);
}

Test(fat, what_mkfs_and_mtools_make_is_read)
{
	expect_tools("mkfs.vfat -F 12", 2 << 20, true);
	expect_tools("mkfs.vfat -F 16", 48 << 20, true);
	expect_tools("mkfs.vfat -F 32 -s 1", 48 << 20, true);
}

Test(fat, small_fat32_that_mtools_refuses_is_read)
{
	expect_tools("mkfs.vfat -F 32", 32 << 20, false);
	expect_tools("mkfs.vfat -F 32 -S 4096", 16 << 20, false);
}

/* ---- hostile ---- */

static unsigned visited;

struct walk {
	struct fs *fs;
	char path[4096];
	unsigned depth;
};

static int walk_entry(void *arg, const char *name)
{
	struct walk *w = arg;
	size_t len = strlen(w->path), got;
	static uint8_t buf[8192];
	struct fs_stat st;

	cr_assert(*name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	if (++visited > 100)
		return 1;
	snprintf(w->path + len, sizeof(w->path) - len, "/%s", name);
	if (w->fs->ops->stat(w->fs, w->path, &st, NULL) == 0) {
		if (st.type == FS_FILE &&
		    w->fs->ops->read(w->fs, w->path, buf, sizeof(buf), len % 3 * 300, &got, NULL) == 0)
			cr_assert(got <= sizeof(buf));
		if (st.type == FS_DIR && w->depth < 3) {
			w->depth++;
			w->fs->ops->list(w->fs, w->path, walk_entry, w, NULL);
			w->depth--;
		}
	}
	w->path[len] = 0;
	return 0;
}

static void walk_all(struct blk *b)
{
	struct node n = {.name = (char *)(uintptr_t)"bek", .blk = b};
	struct walk w = {0};

	if (format_fat.parse(b, &n.meta, NULL) <= 0)
		return;
	cr_assert_eq(format_fat.describe(&n, NULL), 0);
	visited = 0;
	if (format_fat.open_fs(&n, &w.fs, NULL) == 0) {
		w.fs->ops->list(w.fs, "/", walk_entry, &w, NULL);
		w.fs->ops->close(w.fs);
	}
	format_fat.free_meta(n.meta);
	free(n.label);
}

Test(fat, no_mutation_crashes_or_hangs)
{
	static const unsigned width[] = {12, 16, 32};
	static uint8_t good[MAX_VOLUME];
	uint64_t seed = 20240229;

	for (unsigned round = 0; round < 30000; round++) {
		cleanup_blk struct blk *b = NULL;

		if (round % 10000 == 0) {
			put_any(width[round / 10000]);
			put_slot("BEK VOLUME ", 0x08, 0, 0);
			put_long_ascii("LinuxPassPhraseFileName_of_some_length", "LINUXP~1   ");
			put_slot("LINUXP~1   ", 0x20, 10, 1234);
			put_chain(10, 3);
			put_slot("DIR        ", 0x10, 20, 0);
			put_fat(20, 0x0fffffff);
			memcpy(cluster_at(20), volume + v.root, 160);
			memcpy(good, volume, v.size);
		}
		for (unsigned i = 1 + rnd(&seed) % 8; i; i--) {
			/* the boot sector, the FATs, the two directories */
			const uint64_t from[] = {
				0, RESERVED * SECTOR, v.root, (uint64_t)(cluster_at(20) - volume),
			};
			static const unsigned len[] = {90, 256, 320, 320};
			unsigned k = rnd(&seed) % 4;

			volume[from[k] + rnd(&seed) % len[k]] = rnd(&seed) % 4 ? (uint8_t)rnd(&seed) : 0xff;
		}
		cr_assert_eq(blk_open_mem(volume, v.size, &b, NULL), 0);
		walk_all(b);
		memcpy(volume, good, v.size);
	}
}

Test(fat, noise_crashes_nothing)
{
	uint64_t seed = 5;

	for (unsigned round = 0; round < 2000; round++) {
		cleanup_blk struct blk *b = NULL;
		size_t size = 512 + rnd(&seed) % 16384;

		for (size_t i = 0; i < size; i++)
			volume[i] = (uint8_t)rnd(&seed);
		put_le(volume + 510, 0xaa55, 2);
		volume[0] = 0xeb;
		put_le(volume + 11, 512u << rnd(&seed) % 4, 2);
		volume[13] = (uint8_t)(1u << rnd(&seed) % 8);
		volume[16] &= 3;
		volume[21] = 0xf8;
		cr_assert_eq(blk_open_mem(volume, size, &b, NULL), 0);
		walk_all(b);
	}
}
