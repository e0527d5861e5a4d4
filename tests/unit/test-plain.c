/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/ext.h"
#include "vm/plain.h"
#include "vm/sample.h"

enum { MIB = 1 << 20 };

static void random_bytes(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rnd(&seed);
}

static void text_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)"the quick brown fox jumps over the lazy dog; "[i % 45];
}

static struct blk *mem(const uint8_t *p, size_t n)
{
	struct blk *b = NULL;

	cr_assert_eq(blk_open_mem(p, n, &b, NULL), 0);
	return b;
}

static enum tri opaque(const uint8_t *p, size_t n, bool *blank)
{
	cleanup_blk struct blk *b = mem(p, n);

	return plain_is_opaque(b, blank, NULL);
}

/* A sparse giant: zero below `from`, random from there to `to`. Counts what is read. */
struct giant {
	struct blk blk;
	uint64_t from, to, bytes;
	uint8_t *noise;
};

static int giant_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct giant *g = (struct giant *)b;

	(void)e;
	g->bytes += len;
	for (size_t i = 0; i < len; i += 512) {
		bool noise = off + i >= g->from && off + i < g->to;

		if (noise)
			memcpy((uint8_t *)buf + i, g->noise + (off + i) % MIB, 512);
		else
			memset((uint8_t *)buf + i, 0, 512);
	}
	return 0;
}

static void giant_close(struct blk *b)
{
	(void)b;
}

static const struct blk_ops giant_ops = { .kind = "giant", .pread = giant_pread, .close = giant_close };

static struct giant giant(uint64_t from, uint64_t to)
{
	struct giant g = { .blk = { .ops = &giant_ops, .size = 64ULL << 40, .align = 512, .refs = 1 }, .from = from, .to = to };

	g.noise = malloc(MIB);
	random_bytes(g.noise, MIB, 5);
	return g;
}

Test(plain, random_bytes_are_opaque_and_text_and_zeroes_are_not)
{
	uint8_t *p = calloc(8, MIB);
	bool blank = true;

	random_bytes(p, 8 * MIB, 1);
	cr_expect_eq(opaque(p, 8 * MIB, &blank), TRI_YES);
	cr_expect_not(blank);
	text_bytes(p, 8 * MIB);
	cr_expect_eq(opaque(p, 8 * MIB, &blank), TRI_NO);
	cr_expect_not(blank);
	memset(p, 0, 8 * MIB);
	cr_expect_eq(opaque(p, 8 * MIB, &blank), TRI_NO);
	cr_expect(blank);
	free(p);
}

Test(plain, the_first_64_blocks_that_are_not_zero_decide_whatever_lies_behind_them)
{
	uint8_t *p = calloc(4, MIB);

	random_bytes(p, 4 * MIB, 2);
	text_bytes(p + 64 * 4096, 4096);
	cr_expect_eq(opaque(p, 4 * MIB, NULL), TRI_YES);
	text_bytes(p + 63 * 4096, 4096);
	cr_expect_eq(opaque(p, 4 * MIB, NULL), TRI_NO);

	/* zero blocks are not counted */
	random_bytes(p, 4 * MIB, 3);
	memset(p + 4096, 0, 100 * 4096);
	text_bytes(p + 163 * 4096, 4096);
	cr_expect_eq(opaque(p, 4 * MIB, NULL), TRI_NO);
	random_bytes(p + 163 * 4096, 4096, 4);
	text_bytes(p + 164 * 4096, 4096);
	cr_expect_eq(opaque(p, 4 * MIB, NULL), TRI_YES);
	free(p);
}

Test(plain, fewer_than_64_blocks_are_no_proof)
{
	uint8_t *p = calloc(4, MIB);
	bool blank = true;

	random_bytes(p + MIB, 63 * 4096, 2);
	cr_expect_eq(opaque(p, 4 * MIB, &blank), TRI_UNKNOWN);
	cr_expect_not(blank);
	text_bytes(p + 2 * MIB, 16);
	cr_expect_eq(opaque(p, 4 * MIB, NULL), TRI_NO);
	free(p);
}

Test(plain, tiny_devices_are_never_opaque)
{
	uint8_t p[5000];

	random_bytes(p, sizeof(p), 9);
	for (size_t n = 1; n < sizeof(p); n += 499)
		cr_expect_eq(opaque(p, n, NULL), TRI_UNKNOWN, "%zu bytes", n);
}

Test(plain, what_cannot_be_read_is_unknown_but_a_plain_block_before_it_is_proof)
{
	uint8_t *p = calloc(1, MIB);
	cleanup_blk struct blk *b = NULL, *bad = NULL, *late = NULL;
	struct err e = { "" };

	random_bytes(p, MIB, 1);
	b = mem(p, MIB);
	bad = bad_open(b, 8192, 12288);
	cr_expect_eq(plain_is_opaque(bad, NULL, &e), TRI_UNKNOWN);
	cr_expect(strstr(e.msg, "bad sector"), "%s", e.msg);
	late = bad_open(b, 512 * 1024, 513 * 1024);
	cr_expect_eq(plain_is_opaque(late, NULL, NULL), TRI_YES);
	free(p);
}

Test(plain, a_sparse_giant_costs_at_most_64_mib)
{
	struct giant zero = giant(0, 0), tail = giant(20ULL << 40, 64ULL << 40), head = giant(0, 1 << 30), spot = giant(5000000, 5004096);
	bool blank = false;

	cr_expect_eq(plain_is_opaque(&zero.blk, &blank, NULL), TRI_NO);
	cr_expect(blank);
	cr_expect_leq(zero.bytes, 64ULL << 20);
	cr_expect_eq(plain_is_opaque(&tail.blk, &blank, NULL), TRI_YES);
	cr_expect_leq(tail.bytes, 64ULL << 20);
	cr_expect_eq(plain_is_opaque(&head.blk, &blank, NULL), TRI_YES);
	cr_expect_leq(head.bytes, 1ULL << 20);
	plain_is_opaque(&spot.blk, &blank, NULL);
	cr_expect_leq(spot.bytes, 64ULL << 20);
	free(zero.noise);
	free(tail.noise);
	free(head.noise);
	free(spot.noise);
}

/* ---- file systems ---- */

static char dir[64], image[96], tree[96];

static void sh(const char *fmt, ...)
{
	char cmd[2000];
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	r = system(cmd);
	cr_assert(WIFEXITED(r) && WEXITSTATUS(r) == 0, "%s", cmd);
}

static void fs_init(void)
{
	snprintf(dir, sizeof(dir), "/tmp/aderescue-plain-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(image, sizeof(image), "%s/img", dir);
	snprintf(tree, sizeof(tree), "%s/t", dir);
	sh("mkdir %s", tree);
}

static void fs_fini(void)
{
	sh("rm -rf %s", dir);
}

/* `files` files of `size` random bytes each, and some text: what compressed files look like */
static void fill(unsigned files, size_t size)
{
	uint8_t *p = malloc(size);

	for (unsigned i = 0; i < files; i++) {
		char path[160];
		FILE *f;

		random_bytes(p, size, 77 + i);
		snprintf(path, sizeof(path), "%s/f%03u.gz", tree, i);
		f = fopen(path, "w");
		cr_assert(f);
		cr_assert_eq(fwrite(p, 1, size, f), size);
		fclose(f);
	}
	free(p);
}

static void make_ext(const char *options, unsigned mib)
{
	sh("mke2fs -q -t ext4 -F %s -d %s %s %uM >%s/log 2>&1", options, tree, image, mib, dir);
}

static void spoil(uint64_t off, size_t n, uint64_t seed)
{
	uint8_t *p = malloc(n);
	int fd = open(image, O_WRONLY);

	random_bytes(p, n, seed);
	cr_assert_eq(pwrite(fd, p, n, (off_t)off), (ssize_t)n);
	close(fd);
	free(p);
}

static enum tri prove(char **ret_why)
{
	struct graph g;
	struct stat st;
	cleanup_blk struct blk *b = NULL;
	int fd = open(image, O_RDONLY);
	struct err e = { "" };
	enum tri t;

	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(blk_open_file(fd, (uint64_t)st.st_size, "img", &b, &e), 0);
	close(fd);
	t = plain_prove(look_at(&g, "img", b, 0), ret_why, &e);
	cr_assert(*ret_why);
	graph_done(&g);
	return t;
}

static void expect_proof(enum tri want, const char *part, int line)
{
	cleanup_free char *why = NULL;
	enum tri t = prove(&why);

	cr_expect_eq(t, want, "line %d: %d, %s", line, (int)t, why);
	cr_expect(strstr(why, part), "line %d: \"%s\" lacks \"%s\"", line, why, part);
}

TestSuite(prove, .init = fs_init, .fini = fs_fini);

Test(prove, ordinary_ext_file_systems_are_plain)
{
	static const char *const options[] = { "", "-b 1024", "-b 2048", "-O ^has_journal", "-O ^metadata_csum,^64bit", "-b 4096 -O sparse_super2",
					       "-b 1024 -O ^sparse_super,^resize_inode", "-O bigalloc -C 65536", "-O inline_data" };

	sh("cp -r /etc/ssl/openssl.cnf /etc/passwd /etc/group %s/ 2>/dev/null || cp /etc/passwd %s/", tree, tree);
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		sh("rm -f %s", image);
		make_ext(options[i], 64);
		expect_proof(TRI_YES, "plaintext blocks", (int)i);
	}
}

Test(prove, compressed_files_do_not_hide_plaintext)
{
	fill(50, 1000003);
	make_ext("-b 4096", 96);
	expect_proof(TRI_YES, "plaintext blocks", __LINE__);
	sh("rm -f %s", image);
	make_ext("-b 1024", 96);
	expect_proof(TRI_YES, "copies of the superblock", __LINE__);
}

Test(prove, a_tail_of_ciphertext_is_not_plain)
{
	fill(50, 1000003);
	make_ext("-b 4096", 64);
	spoil(32 * MIB, 32 * MIB, 9);
	expect_proof(TRI_UNKNOWN, "last", __LINE__);
	sh("rm -f %s", image);
	make_ext("-b 1024", 64);
	spoil(40 * MIB, 24 * MIB, 9);
	expect_proof(TRI_NO, "a copy of the superblock must be", __LINE__);
}

Test(prove, a_head_of_ciphertext_is_not_plain)
{
	cleanup_free char *why = NULL;

	fill(10, 100000);
	make_ext("-b 1024", 64);
	spoil(0, 4 * MIB, 9);
	cr_expect_neq(prove(&why), TRI_YES, "%s", why);
}

Test(prove, a_copy_that_is_another_file_systems_is_not_ours)
{
	uint8_t uuid[16];
	int fd;

	fill(5, 1000);
	make_ext("-b 1024", 64);
	fd = open(image, O_RDWR);
	random_bytes(uuid, 16, 3);
	cr_assert_eq(pwrite(fd, uuid, 16, 8193 * 1024 + 0x68), 16);
	close(fd);
	expect_proof(TRI_UNKNOWN, "a copy of the superblock must be at byte 8389632 and is not", __LINE__);
}

Test(prove, bitmaps_that_contradict_their_counts_prove_nothing)
{
	cleanup_free char *why = NULL;
	struct ext_info x;
	cleanup_blk struct blk *b = NULL;
	int fd;

	fill(5, 300000);
	make_ext("-b 4096 -O ^metadata_csum", 64);
	fd = open(image, O_RDONLY);
	cr_assert_eq(blk_open_file(fd, 64 * MIB, "img", &b, NULL), 0);
	close(fd);
	cr_assert_eq(ext_read_super(b, EXT_SUPER_OFF, &x, NULL), 0);
	/* the descriptor table and all that follows */
	spoil(4096, 16 * MIB, 4);
	cr_expect_neq(prove(&why), TRI_YES);
}

Test(prove, fat_needs_its_backup_boot_sector)
{
	sh("truncate -s 64M %s && mkfs.vfat -F 32 -n DATA %s >/dev/null && mcopy -i %s /etc/passwd ::/", image, image, image);
	expect_proof(TRI_YES, "1 of 1 copies", __LINE__);
	spoil(6 * 512, 4096, 3);
	expect_proof(TRI_UNKNOWN, "a copy of the boot sector", __LINE__);
}

Test(prove, xfs_needs_every_allocation_group)
{
	int r = system("command -v mkfs.xfs >/dev/null");

	if (r)
		cr_skip_test("no mkfs.xfs");
	sh("truncate -s 320M %s && mkfs.xfs -q %s", image, image);
	expect_proof(TRI_YES, "3 of 3 copies", __LINE__);
	spoil(240ULL * MIB, 8192, 3);
	expect_proof(TRI_NO, "a copy of the superblock must be at byte 251658240", __LINE__);
}

Test(prove, luks_and_nothing_are_not_plain)
{
	struct node n = { .fmt = "crypto_LUKS" };
	uint8_t *p = calloc(1, MIB);
	cleanup_free char *a = NULL, *b = NULL, *c = NULL;

	n.blk = mem(p, MIB);
	cr_expect_eq(plain_prove(&n, &a, NULL), TRI_NO);
	*n.fmt = '\0';
	cr_expect_eq(plain_prove(&n, &b, NULL), TRI_UNKNOWN);
	blk_unref(n.blk);
	n.blk = NULL;
	cr_expect_eq(plain_prove(&n, &c, NULL), TRI_UNKNOWN);
	free(p);
}

Test(prove, hostile_superblocks_end_and_are_not_plain)
{
	static const char *const fmts[] = { "ext4", "xfs", "btrfs", "ntfs", "vfat" };
	uint64_t seed = 12;
	uint8_t *p = calloc(1, MIB);

	for (unsigned round = 0; round < 200; round++) {
		struct node n = { .fmt = "" };
		cleanup_free char *why = NULL;

		random_bytes(p, 131072, seed + round);
		memcpy(p, "XFSB", 4);
		memcpy(p + 65536 + 64, "_BHRfS_M", 8);
		put_be(p + 88, round % 4 ? rnd(&seed) % 9 : rnd(&seed), 4);
		snprintf(n.fmt, sizeof(n.fmt), "%s", fmts[round % 5]);
		n.blk = mem(p, round % 7 ? MIB : round % 512);
		plain_prove(&n, &why, NULL);
		blk_unref(n.blk);
	}
	free(p);
}

/* ---- row 7 ---- */

Test(plain, a_finished_conversion_has_no_plain_block_and_an_unfinished_one_has)
{
	uint8_t *p = calloc(64, MIB);
	struct node opened = { .fmt = "LVM2_member", .fs_tried = true };
	unsigned low = 9, sampled = 0;
	uint64_t first = 0;
	cleanup_blk struct blk *done = NULL, *half = NULL, *sparse = NULL, *zero = NULL;

	random_bytes(p, 64 * MIB, 5);
	done = mem(p, 64 * MIB);
	cr_assert_eq(plain_sample_raw(done, &opened, &low, &sampled, &first, NULL), 0);
	cr_expect_eq(low, 0);
	cr_expect_eq(sampled, 256);
	text_bytes(p + 60 * MIB, 4 * MIB);
	half = mem(p, 64 * MIB);
	cr_assert_eq(plain_sample_raw(half, &opened, &low, &sampled, &first, NULL), 0);
	cr_expect_gt(low, 8);
	cr_expect_geq(first, 60 * MIB);

	/* the last half is not used: the first one tells */
	memset(p + 32 * MIB, 0, 32 * MIB);
	text_bytes(p + 20 * MIB, 12 * MIB);
	sparse = mem(p, 64 * MIB);
	cr_assert_eq(plain_sample_raw(sparse, &opened, &low, &sampled, &first, NULL), 0);
	cr_expect_gt(low, 8);
	memset(p, 0, 64 * MIB);
	zero = mem(p, 64 * MIB);
	cr_assert_eq(plain_sample_raw(zero, &opened, &low, &sampled, &first, NULL), 0);
	cr_expect_eq(sampled, 0);
	free(p);
}

Test(prove, raw_blocks_are_looked_at_where_the_decrypted_bitmaps_say_so)
{
	struct graph g;
	cleanup_blk struct blk *b = NULL, *raw = NULL;
	uint8_t *p = malloc(64 * MIB);
	struct node *n;
	unsigned low, sampled;
	uint64_t first;
	int fd;

	fill(20, 1000000);
	make_ext("-b 4096", 64);
	fd = open(image, O_RDONLY);
	cr_assert_eq(blk_open_file(fd, 64 * MIB, "img", &b, NULL), 0);
	n = look_at(&g, "img", b, 0);
	random_bytes(p, 64 * MIB, 8);
	/* plaintext of what is not allocated: deleted files of before the conversion would be ciphertext too, but zeroes stay zeroes */
	memset(p + 60 * MIB, 0, 4 * MIB);
	raw = mem(p, 64 * MIB);
	cr_assert_eq(plain_sample_raw(raw, n, &low, &sampled, &first, NULL), 0);
	cr_expect_eq(low, 0);
	cr_expect_eq(sampled, 256);
	/* the raw device is the plain one: nothing was converted */
	cr_assert_eq(plain_sample_raw(b, n, &low, &sampled, &first, NULL), 0);
	cr_expect_gt(low, 0);
	graph_done(&g);
	close(fd);
	free(p);
}

Test(plain, kinds_are_told_at_the_threshold)
{
	uint8_t p[4096];

	memset(p, 0, sizeof(p));
	cr_expect_eq(sample_kind(p), BLOCK_ZERO);
	p[4095] = 1;
	cr_expect_eq(sample_kind(p), BLOCK_LOW);
	random_bytes(p, sizeof(p), 3);
	cr_expect_eq(sample_kind(p), BLOCK_HIGH);
	/* a tail of zeroes, as the last block of a compressed file has, within a sector */
	memset(p + 3600, 0, 496);
	cr_expect_eq(sample_kind(p), BLOCK_LOW);
}

Test(plain, sectors_of_ciphertext_among_zeroes_prove_no_plaintext)
{
	for (unsigned seed = 0; seed < 200; seed++)
		for (size_t n = 512; n < 4096; n += 512) {
			uint8_t p[4096] = { 0 };

			random_bytes(p + 512, n < 3584 ? n : 3584, seed + 10);
			cr_assert_eq(sample_kind(p), BLOCK_HIGH, "%zu bytes, seed %u", n, seed);
			memset(p + 512, 0x20, 256);
			if (n == 512)
				cr_assert_eq(sample_kind(p), BLOCK_LOW);
		}
}
