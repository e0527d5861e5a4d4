/* SPDX-License-Identifier: MIT */
/* Tests format/xfs*.c: images that kernels wrote (data/make-xfs), whose listing must be what the kernel
 * lists; the same images damaged in every way that has an answer; and a directory of 60000 entries by
 * mkfs.xfs. */
#include <inttypes.h>
#include <unistd.h>
#include "disk.h"
#include "format/xfs.h"

/* The reader's checksum, here to make damage that bears a right one. */
uint32_t xfs_crc32c(uint32_t crc, const void *buf, size_t len);

struct image {
	uint8_t *p;
	size_t n;
	struct blk *blk;
	struct node node;
	struct fs *fs;
};

static const char *data_dir(void)
{
	static char path[1024];
	const char *src = getenv("srcdir");

	snprintf(path, sizeof(path), "%s/tests/unit/data", src ? src : ".");
	return path;
}

static void image_read(struct image *i, const char *name)
{
	char command[1200];
	size_t cap = 0, n;
	FILE *f;

	*i = (struct image){ 0 };
	snprintf(command, sizeof(command), "xz -dc %s/xfs-%s.img.xz", data_dir(), name);
	f = popen(command, "r");
	cr_assert(f);
	do {
		if (i->n == cap) {
			cap += 32 << 20;
			i->p = realloc(i->p, cap);
			cr_assert(i->p);
		}
		n = fread(i->p + i->n, 1, cap - i->n, f);
		i->n += n;
	} while (n);
	if (pclose(f) != 0 || !i->n)
		cr_skip_test("xz is not installed");
}

static int raw_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e);
static void raw_close(struct blk *b)
{
	free(b);
}
static const struct blk_ops raw_ops = { .kind = "raw", .pread = raw_pread, .close = raw_close };
struct raw {
	struct blk blk;
	const uint8_t *p;
};
static int raw_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	(void)e;
	memcpy(buf, ((struct raw *)b)->p + off, len);
	return 0;
}

static void image_close(struct image *i)
{
	fs_close(i->fs);
	if (i->node.meta)
		format_xfs.free_meta(i->node.meta);
	free(i->node.label);
	blk_unref(i->blk);
	i->fs = NULL;
	i->blk = NULL;
	i->node = (struct node){ 0 };
}

/* Looks at the bytes as they are now. Is it XFS? */
static bool image_look(struct image *i)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	struct err e = { "" };
	int rc;

	cr_assert(raw);
	image_close(i);
	raw->blk = (struct blk){ .ops = &raw_ops, .size = i->n, .align = 1, .refs = 1 };
	raw->p = i->p;
	i->blk = i->node.blk = &raw->blk;
	rc = format_xfs.parse(i->blk, &i->node.meta, &e);
	cr_assert_geq(rc, 0, "%s", e.msg);
	if (!rc)
		return false;
	i->node.format = &format_xfs;
	cr_assert_eq(format_xfs.describe(&i->node, &e), 0);
	return true;
}

static int image_open(struct image *i, struct err *e)
{
	cr_assert(image_look(i));
	return format_xfs.open_fs(&i->node, &i->fs, e);
}

static void image_use(struct image *i, const char *name)
{
	struct err e = { "" };

	image_read(i, name);
	cr_assert_eq(image_open(i, &e), 0, "%s", e.msg);
}

static void image_done(struct image *i)
{
	image_close(i);
	free(i->p);
}

/* ---- the listing of data/make-xfs ---- */

struct lines {
	char **v;
	size_t n;
};

static int add_line(void *arg, const char *name)
{
	struct lines *l = arg;

	l->v = realloc(l->v, (l->n + 1) * sizeof(*l->v));
	cr_assert(l->v);
	l->v[l->n] = strdup(name);
	cr_assert(l->v[l->n++]);
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void lines_done(struct lines *l)
{
	for (size_t k = 0; k < l->n; k++)
		free(l->v[k]);
	free(l->v);
}

static void add_file(struct fs *fs, const char *path, struct lines *sums)
{
	char hex[65], line[1200], *text = NULL;
	uint8_t sum[32];
	struct err e = { "" };
	size_t n;

	cr_assert_eq(fs_slurp(fs, path, 256 << 20, &text, &n, &e), 0, "%s", e.msg);
	bytes_sha256(text, n, sum);
	bytes_hex(sum, 32, hex);
	/* sorted by the path, shown with the sum before it */
	snprintf(line, sizeof(line), "%s\1%s", path + 1, hex);
	add_line(sums, line);
	free(text);
}

static void walk(struct fs *fs, const char *path, struct lines *found, struct lines *sums)
{
	struct lines names = { 0 };
	char *target = NULL, line[1200];
	struct err e = { "" };
	struct fs_stat st;

	cr_assert_eq(fs_stat(fs, path, FS_NOFOLLOW, &st, &e), 0, "%s", e.msg);
	if (st.type == FS_LINK)
		cr_assert_eq(fs_readlink(fs, path, &target, &e), 0, "%s", e.msg);
	snprintf(line, sizeof(line), "%s|%c|%o|%u|%u|%u|%ju|%jd|%s", path + 1, "fdlpscb"[st.type], st.mode,
		 st.uid, st.gid, st.nlink, (uintmax_t)st.size, (intmax_t)st.mtime, target ? target : "");
	free(target);
	add_line(found, line);
	if (st.type == FS_FILE)
		add_file(fs, path, sums);
	if (st.type != FS_DIR)
		return;
	cr_assert_eq(fs_list(fs, path, add_line, &names, &e), 0, "%s", e.msg);
	for (size_t k = 0; k < names.n; k++) {
		snprintf(line, sizeof(line), "%s/%s", strcmp(path, "/") ? path : "", names.v[k]);
		walk(fs, line, found, sums);
	}
	lines_done(&names);
}

static void sum_of_listing(struct fs *fs, char hex[65])
{
	struct lines found = { 0 }, sums = { 0 };
	cleanup_str struct str all = { 0 };
	uint8_t sum[32];

	walk(fs, "/", &found, &sums);
	qsort(found.v, found.n, sizeof(*found.v), by_bytes);
	qsort(sums.v, sums.n, sizeof(*sums.v), by_bytes);
	for (size_t k = 0; k < found.n; k++)
		str_addf(&all, "%s\n", found.v[k]);
	for (size_t k = 0; k < sums.n; k++) {
		char *hash = strrchr(sums.v[k], '\1');

		str_addf(&all, "%s  %.*s\n", hash + 1, (int)(hash - sums.v[k]), sums.v[k]);
	}
	cr_assert(!all.failed);
	bytes_gcrypt_init();
	bytes_sha256(str_text(&all), all.n, sum);
	bytes_hex(sum, 32, hex);
	lines_done(&found);
	lines_done(&sums);
}

static void expect_listing(struct fs *fs, const char *name)
{
	char path[1100], line[200], hex[65], want[65] = "", which[32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/xfs.sums", data_dir());
	f = fopen(path, "r");
	cr_assert(f, "%s", path);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%64s %31s", hex, which) == 2 && !strcmp(which, name))
			memcpy(want, hex, sizeof(want));
	fclose(f);
	sum_of_listing(fs, hex);
	cr_expect_str_eq(hex, want, "%s", name);
}

static void like_the_kernel(const char *name)
{
	struct image i;

	image_use(&i, name);
	cr_expect(!i.fs->stale);
	cr_expect_eq(i.node.state, NODE_OPEN);
	cr_expect_str_empty(i.node.why.msg);
	expect_listing(i.fs, name);
	image_done(&i);
}

Test(xfs, reads_version_5_as_the_kernel_does)
{
	like_the_kernel("v5");
}

Test(xfs, reads_version_4_with_blocks_of_512_bytes_as_the_kernel_does)
{
	like_the_kernel("v4");
}

Test(xfs, reads_blocks_of_1_KiB_large_directory_blocks_and_sparse_inodes)
{
	like_the_kernel("small");
}

Test(xfs, reads_blocks_of_64_KiB_and_wide_extent_counts)
{
	like_the_kernel("large");
}

Test(xfs, says_what_libblkid_says)
{
	struct image i;

	image_use(&i, "v5");
	cr_expect_str_eq(i.node.fmt, "xfs");
	cr_expect_str_eq(i.node.label, "rescue me");
	cr_expect_str_eq(i.node.uuid, "11111111-2222-3333-4444-555555555555");
	cr_expect_eq(i.fs->last_write, 0);
	cr_expect(i.fs->used && i.fs->free && i.fs->used + i.fs->free < i.n);
	image_done(&i);
}

Test(xfs, never_writes)
{
	struct image i;
	struct err e = { "" };

	image_use(&i, "v5");
	cr_expect_null(i.fs->ops->replace);
	cr_expect_null(i.fs->ops->rename);
	cr_expect_eq(fs_replace(i.fs, "/small", "x", 1, &e), -EOPNOTSUPP);
	cr_expect(i.fs->write_refused);
	image_done(&i);
}

Test(xfs, reads_from_any_byte_on)
{
	static char whole[3 << 20], part[70000];
	size_t n, got;
	struct image i;
	struct err e = { "" };

	image_use(&i, "v5");
	cr_assert_eq(fs_read(i.fs, "/frag", whole, sizeof(whole), 0, &n, &e), 0, "%s", e.msg);
	for (uint64_t off = 1; off + sizeof(part) < n; off = off * 2 + 4095) {
		cr_assert_eq(fs_read(i.fs, "/frag", part, sizeof(part), off, &got, &e), 0, "%s", e.msg);
		cr_assert_eq(got, sizeof(part));
		cr_assert_eq(memcmp(part, whole + off, got), 0, "at %ju", (uintmax_t)off);
	}
	cr_expect_eq(fs_read(i.fs, "/small", part, sizeof(part), 4, &got, &e), 0);
	cr_expect_eq(got, 2);
	cr_expect_eq(fs_read(i.fs, "/small", part, sizeof(part), 6, &got, &e), 0);
	cr_expect_eq(got, 0);
	cr_expect_eq(fs_read(i.fs, "/d5", part, sizeof(part), 0, &got, &e), -EISDIR);
	cr_expect_eq(fs_read(i.fs, "/chr", part, sizeof(part), 0, &got, &e), -EINVAL);
	cr_expect_eq(fs_read(i.fs, "/none", part, sizeof(part), 0, &got, &e), -ENOENT);
	image_done(&i);
}

/* ---- extended attributes ---- */

struct wanted {
	const char *name;
	uint8_t value[20001];
	size_t n;
	unsigned seen, all;
};

static int look_for(void *arg, const char *name, const void *v, size_t n)
{
	struct wanted *w = arg;

	w->all++;
	if (strcmp(name, w->name) != 0)
		return 0;
	w->seen++;
	w->n = n;
	memcpy(w->value, v, n < sizeof(w->value) ? n : sizeof(w->value));
	return 0;
}

static unsigned attr_get(struct image *i, const char *path, const char *name, struct wanted *w)
{
	struct err e = { "" };

	*w = (struct wanted){ .name = name };
	cr_assert_eq(fs_xattrs(i->fs, path, look_for, w, &e), 0, "%s", e.msg);
	return w->seen;
}

Test(xfs, gives_extended_attributes_of_every_form)
{
	static const uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0, 0, 0 };
	static struct wanted w;
	struct image i;
	char name[64];

	image_use(&i, "v5");
	cr_expect_eq(attr_get(&i, "/d5/e0", "security.selinux", &w), 1);
	cr_expect_eq(w.n, 27);
	cr_expect_str_eq((const char *)w.value, "system_u:object_r:etc_t:s0");
	cr_expect_eq(attr_get(&i, "/d5/e0", "trusted.empty", &w), 1);
	cr_expect_eq(w.n, 0);
	cr_expect_eq(w.all, 3);
	cr_expect_eq(attr_get(&i, "/d5/e1", "user.long", &w), 1);
	cr_expect_eq(w.n, 2000);
	cr_expect_eq(attr_get(&i, "/d5/e1", "user.remote", &w), 1);
	cr_assert_eq(w.n, 20000);
	for (unsigned k = 0; k < 20000; k++)
		cr_assert_eq(w.value[k], k % 251);
	for (unsigned k = 0; k < 400; k += 57) {
		snprintf(name, sizeof(name), "user.attribute-number-%u", k);
		cr_expect_eq(attr_get(&i, "/d5/e2", name, &w), 1, "%s", name);
		cr_expect_eq(w.all, 400);
	}
	cr_expect_eq(attr_get(&i, "/small", "system.posix_acl_access", &w), 1);
	cr_expect_eq(w.n, 4 + 5 * 8);
	cr_expect_arr_eq(w.value, acl, sizeof(acl));
	cr_expect_eq(attr_get(&i, "/plain", "user.one", &w), 0);
	image_done(&i);

	image_use(&i, "v4");
	cr_expect_eq(attr_get(&i, "/small", "user.one", &w), 1);
	cr_expect_eq(attr_get(&i, "/small", "security.selinux", &w), 1);
	cr_expect_eq(w.n, 26);
	cr_expect_eq(attr_get(&i, "/small", "user.long", &w), 1);
	cr_expect_eq(w.n, 5000);
	for (unsigned k = 0; k < 5000; k++)
		cr_assert_eq(w.value[k], 'v');
	for (unsigned k = 1; k < 40; k++) {
		snprintf(name, sizeof(name), "user.number-%u", k);
		cr_expect_eq(attr_get(&i, "/empty", name, &w), 1, "%s", name);
		cr_expect_eq(w.n, k * 5);
		cr_expect_eq(w.all, 39);
	}
	image_done(&i);
}

/* ---- the log ---- */

Test(xfs, sees_a_log_that_was_not_replayed)
{
	struct image i;

	image_use(&i, "dirty");
	cr_expect(i.fs->stale);
	cr_expect_eq(i.node.state, NODE_OPEN);
	expect_why(&i.node, "log was not replayed");
	cr_expect(strstr(i.fs->write_refused, "log was not replayed"));
	expect_listing(i.fs, "dirty");
	image_done(&i);
}

static size_t log_at(struct image *i, size_t *ret_n)
{
	const struct xfs_info *x = xfs_node_info(&i->node);
	uint64_t ag = x->log_start >> x->ag_log, in_ag = x->log_start & ((1ULL << x->ag_log) - 1);

	*ret_n = (size_t)x->log_blocks * x->block_size;
	return (size_t)((ag * x->ag_blocks + in_ag) * x->block_size);
}

static enum xfs_log_state state_now(struct image *i)
{
	cr_assert(image_look(i));
	return xfs_node_info(&i->node)->log;
}

/* A ring of n blocks that is full: round r before head, r - 1 from there on, an unmount's record before the
 * head. */
static void make_ring(uint8_t *p, size_t n, size_t head, uint32_t r, bool unmount)
{
	size_t at = (head + n - 2) % n, op = (at + 1) % n;

	for (size_t k = 0; k < n; k++) {
		memset(p + k * 512, 0, 512);
		put_be(p + k * 512, k < head ? r : r - 1, 4);
	}
	put_be(p + at * 512, 0xfeedbabe, 4);
	put_be(p + at * 512 + 4, at < head ? r : r - 1, 4);
	put_be(p + at * 512 + 8, 2, 4);
	put_be(p + at * 512 + 12, 512, 4);
	put_be(p + at * 512 + 40, 1, 4);
	put_be(p + at * 512 + 320, 32768, 4);
	p[op * 512 + 8] = 0xaa;
	p[op * 512 + 9] = unmount ? 0x20 : 0x10;
}

Test(xfs, calls_a_log_clean_only_where_it_ends_in_an_unmount)
{
	struct image i;
	size_t n, base, at;

	image_use(&i, "v5");
	base = log_at(&i, &n);
	cr_expect_eq(state_now(&i), XFS_LOG_CLEAN);
	make_ring(i.p + base, n / 512, 100, 7, true);
	at = base + 98 * 512;
	cr_expect_eq(state_now(&i), XFS_LOG_CLEAN);

	i.p[at + 512 + 9] = 0;
	cr_expect_eq(state_now(&i), XFS_LOG_DIRTY);
	i.p[at + 512 + 9] = 0x20;

	/* two operations: something else is in it */
	i.p[at + 43] = 2;
	cr_expect_eq(state_now(&i), XFS_LOG_DIRTY);
	i.p[at + 43] = 1;

	/* longer than the log says: not a whole record, and none before it */
	put_be(i.p + at + 12, 0x7fffffff, 4);
	cr_expect_neq(state_now(&i), XFS_LOG_CLEAN);
	put_be(i.p + at + 12, 512, 4);

	/* no magic where the record should begin */
	i.p[at] ^= 1;
	cr_expect_neq(state_now(&i), XFS_LOG_CLEAN);
	i.p[at] ^= 1;

	/* random bytes */
	for (size_t k = 0; k < n; k++)
		i.p[base + k] = (uint8_t)(k * k >> 7 ^ k);
	cr_expect_eq(state_now(&i), XFS_LOG_UNKNOWN);
	expect_why(&i.node, "cannot be told");
	cr_expect_eq(image_open(&i, NULL), 0);
	cr_expect(i.fs->stale);
	image_done(&i);
}

Test(xfs, finds_the_head_of_the_log_all_around_the_ring)
{
	struct image i;
	size_t n, base;

	image_use(&i, "v5");
	base = log_at(&i, &n);
	n /= 512;
	for (size_t head = 1; head <= n; head += head < 20 || head > n - 20 ? 1 : 997)
		for (int unmount = 0; unmount <= 1; unmount++) {
			make_ring(i.p + base, n, head, 7, unmount);
			cr_assert_eq(state_now(&i), unmount ? XFS_LOG_CLEAN : XFS_LOG_DIRTY, "head %zu",
				     head);
			/* a block of a later record arrived, one before it did not */
			if (head > n - 100 || head < 5)
				continue;
			put_be(i.p + base + (head + 1) * 512, 7, 4);
			cr_assert_eq(state_now(&i), unmount ? XFS_LOG_CLEAN : XFS_LOG_DIRTY, "head %zu",
				     head);
		}
	image_done(&i);
}

/* ---- superblocks ---- */

static void sign(uint8_t *p, size_t n, size_t at)
{
	memset(p + at, 0, 4);
	put_le(p + at, ~xfs_crc32c(~0U, p, n), 4);
}

static void sign_super(struct image *i)
{
	sign(i->p, 512, 224);
}

Test(xfs, knows_where_the_copies_of_the_superblock_lie)
{
	const struct xfs_info *x;
	struct image i;
	struct err e = { "" };

	image_use(&i, "v5");
	x = xfs_fs_info(i.fs);
	cr_assert_eq(x->ag_count, 4);
	for (uint32_t ag = 0; ag < x->ag_count; ag++) {
		struct xfs_info copy;

		cr_expect_eq(xfs_check_copy(i.blk, x, ag, &e), 0, "%s", e.msg);
		cr_expect_eq(xfs_read_super(i.blk, xfs_super_off(x, ag), &copy, &e), 0, "%s", e.msg);
		cr_expect_arr_eq(copy.uuid, x->uuid, 16);
	}
	cr_expect_eq(xfs_check_copy(i.blk, x, 4, &e), -ENOENT);
	i.p[xfs_super_off(x, 2) + 40] ^= 1;
	cr_expect_eq(xfs_check_copy(i.blk, x, 2, &e), -ENOENT);
	i.p[xfs_super_off(x, 3)] = 0;
	cr_expect_eq(xfs_check_copy(i.blk, x, 3, &e), -ENOENT);
	image_done(&i);
}

Test(xfs, reads_on_where_a_copy_agrees_with_a_superblock_of_wrong_checksum)
{
	struct image i;

	image_use(&i, "v5");
	i.p[110] ^= 1;
	cr_assert_eq(image_open(&i, NULL), 0);
	cr_expect_eq(i.node.state, NODE_DAMAGED);
	expect_why(&i.node, "checksum is wrong");
	expect_listing(i.fs, "v5");
	image_done(&i);
}

Test(xfs, uses_a_copy_where_the_superblock_is_damaged)
{
	/* what is overwritten: block size, AG count, root inode, everything, everything with zeroes */
	static const struct {
		size_t at, n;
		int with;
	} rows[] = { { 4, 4, 0xff }, { 88, 4, 0 }, { 56, 8, 0x11 }, { 4, 508, 0xa5 }, { 0, 512, 0 } };
	uint8_t saved[512];
	struct image i;

	image_use(&i, "v5");
	memcpy(saved, i.p, sizeof(saved));
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		struct err e = { "" };

		memset(i.p + rows[k].at, rows[k].with, rows[k].n);
		cr_assert_eq(image_open(&i, &e), 0, "row %zu: %s", k, e.msg);
		cr_expect_eq(i.node.state, NODE_DAMAGED);
		expect_why(&i.node, "copy at byte");
		cr_expect_str_eq(i.node.uuid, "11111111-2222-3333-4444-555555555555");
		expect_listing(i.fs, "v5");
		memcpy(i.p, saved, sizeof(saved));
	}
	image_done(&i);
}

Test(xfs, finds_the_root_by_another_copy_where_the_first_does_not_know_it)
{
	struct image i;
	struct err e = { "" };
	uint8_t *copy;

	image_use(&i, "v5");
	copy = i.p + xfs_super_off(xfs_fs_info(i.fs), 1);
	memset(copy + 56, 0xff, 8);
	sign(copy, 512, 224);
	memset(i.p, 0, 512);
	cr_assert_eq(image_open(&i, &e), 0, "%s", e.msg);
	expect_listing(i.fs, "v5");
	image_done(&i);
}

Test(xfs, does_not_claim_what_lies_over_an_old_XFS)
{
	uint64_t s = 88172645463325252ULL;
	uint8_t saved[8192];
	struct image i;

	image_use(&i, "v5");
	memcpy(saved, i.p, sizeof(saved));
	/* ciphertext, from the start on */
	for (size_t k = 0; k < sizeof(saved); k++)
		i.p[k] = (uint8_t)rnd(&s);
	cr_expect(!image_look(&i));
	/* a cleared signature, then a swap area */
	memcpy(i.p, saved, sizeof(saved));
	memset(i.p, 0, 1024);
	memcpy(i.p + 4086, "SWAPSPACE2", 10);
	cr_expect(!image_look(&i));
	/* a cleared signature, then software RAID */
	memcpy(i.p, saved, sizeof(saved));
	memset(i.p, 0, 4);
	cr_expect(image_look(&i));
	put_le(i.p + 4096, 0xa92b4efc, 4);
	cr_expect(!image_look(&i));
	image_done(&i);
}

Test(xfs, says_that_a_superblock_without_a_copy_is_of_no_use)
{
	struct image i;
	struct err e = { "" };

	image_use(&i, "v5");
	for (uint32_t ag = 1; ag < 4; ag++)
		memset(i.p + xfs_super_off(xfs_fs_info(i.fs), ag), 0, 512);
	image_look(&i);
	cr_expect_eq(i.node.state, NODE_OPEN, "a good primary is enough");
	i.p[4] = 0xff;
	cr_expect_eq(image_open(&i, &e), -EBADMSG);
	cr_expect_eq(i.node.state, NODE_DAMAGED);
	expect_why(&i.node, "no copy of it was found");
	image_done(&i);
}

Test(xfs, refuses_counts_that_cannot_be)
{
	static const struct {
		size_t at, n;
		uint64_t v;
	} rows[] = {
		{ 4, 4, 256 },	       { 4, 4, 131072 },     { 4, 4, 4097 },	    { 8, 8, 0 },
		{ 8, 8, UINT64_MAX },  { 8, 8, 1ULL << 52 }, { 84, 4, 0 },	    { 84, 4, 63 },
		{ 84, 4, UINT32_MAX }, { 88, 4, 0 },	     { 88, 4, UINT32_MAX }, { 100, 2, 0xb4a6 },
		{ 102, 2, 256 },       { 104, 2, 128 },	     { 104, 2, 4096 },	    { 106, 2, 3 },
		{ 120, 1, 63 },	       { 121, 1, 40 },	     { 122, 1, 31 },	    { 123, 1, 200 },
		{ 124, 1, 255 },       { 192, 1, 5 },
	};
	uint8_t p[512];
	struct xfs_info x;
	struct image i;

	image_use(&i, "v5");
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		cleanup_blk struct blk *b = NULL;
		struct err e = { "" };

		memcpy(p, i.p, sizeof(p));
		put_be(p + rows[k].at, rows[k].v, rows[k].n);
		cr_assert_eq(blk_open_mem(p, sizeof(p), &b, NULL), 0);
		cr_expect_eq(xfs_read_super(b, 0, &x, &e), -EBADMSG, "row %zu", k);
		cr_expect(*e.msg);
	}
	image_done(&i);
}

Test(xfs, names_what_it_does_not_know)
{
	struct image i;
	struct err e = { "" };

	image_use(&i, "v5");
	put_be(i.p + 216, 0x8200 | 3, 4);
	sign_super(&i);
	cr_expect_eq(image_open(&i, &e), -EOPNOTSUPP);
	cr_expect_eq(i.node.state, NODE_UNSUPPORTED);
	expect_why(&i.node, "zoned 0x8000");
	/* what only matters to writers is no obstacle */
	put_be(i.p + 216, xfs_node_info(&i.node)->incompat & XFS_INCOMPAT_KNOWN, 4);
	put_be(i.p + 212, 0xff00, 4);
	sign_super(&i);
	cr_expect_eq(image_open(&i, &e), 0, "%s", e.msg);
	image_done(&i);
}

Test(xfs, names_an_external_log_and_a_realtime_device)
{
	struct image i;
	struct err e = { "" };

	image_use(&i, "v5");
	put_be(i.p + 48, 0, 8);
	put_be(i.p + 16, 1000, 8);
	sign_super(&i);
	cr_assert_eq(image_open(&i, &e), 0, "%s", e.msg);
	expect_why(&i.node, "its log is on another device");
	expect_why(&i.node, "realtime device");
	cr_expect(i.fs->stale);
	image_done(&i);
}

Test(xfs, says_that_a_device_is_too_short)
{
	struct image i;
	struct err e = { "" };

	image_use(&i, "v5");
	i.n -= 4096;
	cr_assert_eq(image_open(&i, &e), 0, "%s", e.msg);
	cr_expect_eq(i.node.state, NODE_DAMAGED);
	expect_why(&i.node, "the device only");
	/* not even the first group */
	i.n = 1 << 20;
	cr_assert(image_look(&i));
	i.n = 300;
	cr_assert(!image_look(&i));
	image_done(&i);
}

/* ---- inodes and blocks ---- */

static uint8_t *inode_at(struct image *i, const char *path)
{
	const struct xfs_info *x = xfs_fs_info(i->fs);
	struct fs_stat st;
	uint64_t ag, block;

	cr_assert_eq(fs_stat(i->fs, path, FS_NOFOLLOW, &st, NULL), 0);
	ag = st.ino >> (x->ag_log + x->inode_log);
	block = ag * x->ag_blocks + (st.ino >> x->inode_log & ((1U << x->ag_log) - 1));
	return i->p + block * x->block_size + (st.ino & ((1U << x->inode_log) - 1)) * x->inode_size;
}

static int stat_now(struct image *i, const char *path, struct err *e)
{
	struct fs_stat st;

	cr_assert_eq(image_open(i, NULL), 0);
	return fs_stat(i->fs, path, FS_NOFOLLOW, &st, e);
}

Test(xfs, refuses_an_inode_of_wrong_checksum)
{
	struct image i;
	struct err e = { "" };

	image_use(&i, "v5");
	inode_at(&i, "/small")[57] ^= 1;
	cr_expect_eq(stat_now(&i, "/small", &e), -EBADMSG);
	cr_expect(strstr(e.msg, "checksum is wrong") && strstr(e.msg, "/small"), "%s", e.msg);
	cr_expect_eq(stat_now(&i, "/plain", &e), 0);
	image_done(&i);
}

Test(xfs, refuses_an_inode_that_cannot_be)
{
	/* of version 5, signed again: other number, other file system, free, more extents than fit,
	 * attributes outside */
	static const struct {
		size_t at, n;
		uint64_t v;
	} rows[] = { { 159, 1, 0xee },	    { 160, 4, 1 },   { 2, 2, 0 }, { 0, 2, 0 }, { 4, 1, 2 },
		     { 76, 4, 0x7fffffff }, { 82, 1, 0xff }, { 5, 1, 1 }, { 5, 1, 9 } };
	uint8_t saved[512], *p;
	struct image i;

	image_use(&i, "v5");
	p = inode_at(&i, "/plain");
	memcpy(saved, p, sizeof(saved));
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		struct err e = { "" };

		put_be(p + rows[k].at, rows[k].v, rows[k].n);
		sign(p, 512, 100);
		cr_expect_eq(stat_now(&i, "/plain", &e), -EBADMSG, "row %zu", k);
		memcpy(p, saved, sizeof(saved));
	}
	image_done(&i);
}

Test(xfs, does_not_read_what_is_on_the_realtime_device)
{
	struct image i;
	struct err e = { "" };
	uint8_t *p, b[8];
	size_t n;

	image_use(&i, "v5");
	p = inode_at(&i, "/plain");
	p[91] |= 1;
	sign(p, 512, 100);
	cr_assert_eq(image_open(&i, NULL), 0);
	cr_expect_eq(fs_read(i.fs, "/plain", b, sizeof(b), 0, &n, &e), -EOPNOTSUPP);
	cr_expect(strstr(e.msg, "realtime"), "%s", e.msg);
	image_done(&i);
}

Test(xfs, shows_but_does_not_follow_names_of_a_block_of_wrong_checksum)
{
	struct lines names = { 0 };
	struct image i;
	struct err e = { "" };
	uint8_t *p, ino[8];
	struct fs_stat st;

	image_use(&i, "v5");
	cr_assert_eq(fs_stat(i.fs, "/d100", 0, &st, NULL), 0);
	put_be(ino, st.ino, 8);
	p = i.p;
	do
		p = i.p + (size_t)(p - i.p) + 4096;
	while (memcmp(p, "XDB3", 4) != 0 || memcmp(p + 40, ino, 8) != 0);
	p[20] ^= 1;
	cr_assert_eq(image_open(&i, NULL), 0);
	cr_expect_eq(fs_list(i.fs, "/d100", add_line, &names, &e), -EBADMSG);
	cr_expect(strstr(e.msg, "checksum"), "%s", e.msg);
	cr_expect_eq(names.n, 100);
	cr_expect_eq(fs_stat(i.fs, "/d100/entry-7", 0, &st, &e), -EBADMSG);
	/* absent is not what it says of a directory that it could not read whole */
	cr_expect_eq(fs_stat(i.fs, "/d100/none", 0, &st, &e), -EBADMSG);
	cr_expect_eq(fs_stat(i.fs, "/big/entry-number-7", 0, &st, &e), 0);
	lines_done(&names);
	image_done(&i);
}

Test(xfs, is_not_led_around_by_a_block_map_that_points_at_itself)
{
	const struct xfs_info *x;
	static uint8_t buf[1 << 20];
	struct image i;
	struct err e = { "" };
	uint8_t *p, *node;
	size_t n, max;

	image_use(&i, "v4");
	x = xfs_fs_info(i.fs);
	p = inode_at(&i, "/frag");
	cr_assert_eq(p[5], 3, "a tree");
	cr_assert_eq(p[101], 2, "of two levels above the leaves");
	/* of the node below the root, every pointer leads to itself */
	max = ((p[82] ? (size_t)p[82] * 8 : 256 - 100) - 4) / 16;
	node = i.p + ((uint64_t)0 << x->ag_log);
	{
		uint64_t fsb = 0;

		for (unsigned k = 0; k < 8; k++)
			fsb = fsb << 8 | p[100 + 4 + max * 8 + k];
		node = i.p +
		       ((fsb >> x->ag_log) * x->ag_blocks + (fsb & ((1U << x->ag_log) - 1))) * x->block_size;
		cr_assert_eq(memcmp(node, "BMAP", 4), 0);
		max = (512 - 24) / 16;
		for (size_t k = 0; k < max; k++)
			put_be(node + 24 + max * 8 + k * 8, fsb, 8);
	}
	cr_assert_eq(image_open(&i, NULL), 0);
	cr_expect_eq(fs_read(i.fs, "/frag", buf, sizeof(buf), 0, &n, &e), -EBADMSG);
	cr_expect(strstr(e.msg, "block map"), "%s", e.msg);
	image_done(&i);
}

/* Where the first extent of a file lies, whose map is in the inode. */
static uint8_t *first_extent(struct image *i, const char *path, size_t fork, bool *ret_unwritten)
{
	const struct xfs_info *x = xfs_fs_info(i->fs);
	uint8_t *p = inode_at(i, path);
	uint64_t fsb = 0;

	cr_assert_eq(p[5], 2, "extents");
	p += fork;
	*ret_unwritten = p[0] & 0x80;
	for (unsigned k = 7; k < 14; k++)
		fsb = fsb << 8 | p[k];
	fsb = fsb >> 5 & 0x7ffffffffffffULL;
	return i->p + ((fsb >> x->ag_log) * x->ag_blocks + (fsb & ((1U << x->ag_log) - 1))) * x->block_size;
}

Test(xfs, reads_what_was_never_written_as_zeroes)
{
	static uint8_t buf[90000];
	struct image i;
	struct err e = { "" };
	bool unwritten;
	size_t n;

	image_use(&i, "v5");
	memset(first_extent(&i, "/unwritten", 176, &unwritten), 0x55, 65536);
	cr_assert(unwritten);
	cr_assert_eq(fs_read(i.fs, "/unwritten", buf, sizeof(buf), 0, &n, &e), 0, "%s", e.msg);
	cr_expect_eq(n, sizeof(buf));
	cr_expect(bytes_all_zero(buf, n));
	image_done(&i);
}

Test(xfs, notes_an_entry_that_is_not_where_it_says)
{
	struct lines names = { 0 };
	struct image i;
	struct err e = { "" };
	bool unwritten;
	uint8_t *p;

	image_use(&i, "v4");
	p = first_extent(&i, "/d100", 100, &unwritten);
	cr_assert_eq(memcmp(p, "XD2B", 4), 0);
	/* "." comes first: inode, length, name, and at the end of 16 bytes its place */
	cr_assert_eq(p[16 + 15], 16);
	p[16 + 15] = 24;
	cr_assert_eq(image_open(&i, NULL), 0);
	cr_expect_eq(fs_list(i.fs, "/d100", add_line, &names, &e), -EBADMSG);
	cr_expect(strstr(e.msg, "entry is damaged"), "%s", e.msg);
	lines_done(&names);
	image_done(&i);
}

Test(xfs, refuses_extents_that_leave_their_group)
{
	struct image i;
	struct err e = { "" };
	uint8_t *p, b[8];
	size_t n;

	image_use(&i, "v4");
	p = inode_at(&i, "/plain");
	cr_assert_eq(p[5], 2, "extents");
	memset(p + 100 + 13, 0xff, 3);
	cr_assert_eq(image_open(&i, NULL), 0);
	cr_expect_eq(fs_read(i.fs, "/plain", b, sizeof(b), 0, &n, &e), -EBADMSG);
	cr_expect(strstr(e.msg, "leaves its group"), "%s", e.msg);
	image_done(&i);
}

/* ---- what mkfs.xfs makes ---- */

Test(xfs, reads_a_directory_of_60000_entries)
{
	char path[64], proto[64];
	struct lines names = { 0 };
	struct image i = { 0 };
	struct err e = { "" };
	struct fs_stat st;
	FILE *f;

	temp_file(path, 320 << 20);
	temp_file(proto, 0);
	f = fopen(proto, "w");
	cr_assert(f);
	fputs("/none\n0 0\nd--755 0 0\nmany d--755 0 0\n", f);
	for (unsigned k = 0; k < 60000; k++)
		fprintf(f, "a-name-of-some-length-%05u ---644 0 0 /dev/null\n", k);
	fputs("$\n$\n", f);
	fclose(f);
	tool("mkfs.xfs -q -f -p %s %s >/dev/null 2>&1", proto, path);
	i.blk = i.node.blk = open_path(path);
	unlink(path);
	unlink(proto);
	cr_assert_eq(format_xfs.parse(i.blk, &i.node.meta, &e), 1, "%s", e.msg);
	cr_assert_eq(format_xfs.open_fs(&i.node, &i.fs, &e), 0, "%s", e.msg);
	cr_expect(!i.fs->stale);
	cr_expect_eq(fs_list(i.fs, "/many", add_line, &names, &e), 0, "%s", e.msg);
	cr_expect_eq(names.n, 60000);
	cr_expect_eq(fs_stat(i.fs, "/many/a-name-of-some-length-59999", 0, &st, &e), 0, "%s", e.msg);
	cr_expect_eq(fs_stat(i.fs, "/many/a-name-of-some-length-60000", 0, &st, &e), -ENOENT);
	lines_done(&names);
	image_done(&i);
}

/* ---- anything at all ---- */

static int ignore_attr(void *arg, const char *name, const void *v, size_t n)
{
	(void)arg;
	(void)name;
	(void)v;
	(void)n;
	return 0;
}

static void touch_all(struct fs *fs, const char *path, unsigned *left)
{
	static char buf[1 << 16];
	struct lines names = { 0 };
	struct fs_stat st;
	char *target = NULL, *sub;
	size_t n;

	if (!*left || fs->ops->stat(fs, path, &st, NULL))
		return;
	--*left;
	fs->ops->xattrs(fs, path, ignore_attr, NULL, NULL);
	if (st.type == FS_LINK && !fs->ops->readlink(fs, path, &target, NULL))
		free(target);
	if (st.type == FS_FILE)
		fs->ops->read(fs, path, buf, sizeof(buf), st.size / 2, &n, NULL);
	if (st.type != FS_DIR || strlen(path) > 200)
		return;
	fs->ops->list(fs, path, add_line, &names, NULL);
	for (size_t k = 0; k < names.n; k++) {
		sub = str_printf("%s/%s", strcmp(path, "/") ? path : "", names.v[k]);
		touch_all(fs, sub, left);
		free(sub);
	}
	lines_done(&names);
}

Test(xfs, survives_damage_of_any_kind, .timeout = 120)
{
	static const char *const magics[] = { "XFSB", "IN\x81", "IN\x41", "XD2", "BMA", "\xfe\xed\xba" };
	uint64_t s = 88172645463325252ULL;
	struct image i;

	image_use(&i, "v4");
	for (unsigned round = 0; round < 200; round++) {
		const char *magic = magics[rnd(&s) % 6];
		size_t at = rnd(&s) % (i.n / 512) * 512, n = 1 + rnd(&s) % 8, where[8];
		uint8_t old[8];
		unsigned left = 300;

		for (size_t k = 0; k < i.n / 256 && memcmp(i.p + at, magic, strlen(magic)) != 0; k++)
			at = (at + 256) % i.n;
		for (size_t k = 0; k < n; k++) {
			where[k] = at + rnd(&s) % 256;
			old[k] = i.p[where[k]];
			i.p[where[k]] = rnd(&s) % 3 ? (uint8_t)rnd(&s) : 0xff;
		}
		if (image_look(&i) && !format_xfs.open_fs(&i.node, &i.fs, NULL))
			touch_all(i.fs, "/", &left);
		for (size_t k = n; k--;)
			i.p[where[k]] = old[k];
	}
	image_done(&i);
}
