/* SPDX-License-Identifier: MIT */
/* Is a file system plaintext in its raw bytes? The contract's "plain": every copy of the superblock that the
 * geometry demands is there, and blocks of low entropy are among the first, the middle and the last allocated
 * ones. A block that looks like ciphertext proves nothing, since compressed files do; one that does not
 * proves plaintext. A signature at the start alone is no proof either: copying from the end leaves it in
 * place until the last moment. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"
#include "format/ext.h"
#include "vm/plain.h"
#include "vm/sample.h"

enum {
	PICKS = 16384, /* allocated blocks asked for */
	TRIES_LEAST = 256,
	TRIES_MOST = 1024, /* non-zero ones looked at for one of low entropy: first, middle, last */
	LOOKS = 4096, /* and all ones, in each of four walks: 16 MiB */
	SPREAD = 512,
	LOOK = 16, /* without bitmaps: 512 looks of 64 KiB */
	MAX_AGS = 4096,
	SECTOR = 512,
};

static enum tri say(char **ret_why, enum tri t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static enum tri say(char **ret_why, enum tri t, const char *fmt, ...)
{
	cleanup_str struct str s = { 0 };
	va_list ap;

	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	*ret_why = str_take(&s);
	return *ret_why ? t : TRI_UNKNOWN;
}

/* What lies where a copy must be: ciphertext proves the opposite of plain, all else is damage. */
static enum tri no_copy(const struct node *n, uint64_t off, const char *what, char **ret_why)
{
	cleanup_sampler struct sampler s = { 0 };
	struct err e = { "" };

	if (sampler_init(&s, n->blk, SAMPLE_BLOCK, &e) == 0 && sample_at(&s, off, 1, &e) == 1 &&
	    s.kind[0] == BLOCK_HIGH)
		return say(ret_why, TRI_NO,
			   "%s must be at byte %ju, but there is ciphertext or something else as random",
			   what, (uintmax_t)off);
	return say(ret_why, TRI_UNKNOWN, "%s must be at byte %ju and is not", what, (uintmax_t)off);
}

/* ---- blocks of low entropy ---- */

struct found {
	bool first, middle, last;
};

static enum tri judge_found(const struct found *f, const char *copies, char **ret_why)
{
	if (f->first && f->middle && f->last)
		return say(ret_why, TRI_YES,
			   "%splaintext blocks among the first, the middle and the last ones", copies);
	return say(ret_why, TRI_UNKNOWN,
		   "%sno plaintext block found among the %s%s%s ones: ciphertext, or compressed files",
		   copies, f->first ? "" : "first ", f->middle ? "" : "middle ", f->last ? "" : "last");
}

/* Without bitmaps: looks over the whole device, and of all non-zero blocks found the thirds. */
static int spread_find_low(const struct node *node, struct found *f, struct err *e)
{
	cleanup_sampler struct sampler s = { 0 };
	cleanup_free bool *low = calloc((size_t)SPREAD * LOOK, sizeof(*low));
	uint64_t step = node->blk->size / SPREAD;
	size_t n = 0;
	int r = sampler_init(&s, node->blk, SAMPLE_BUDGET, e);

	if (r < 0 || !low)
		return err_oom(e);
	if (step < (uint64_t)LOOK * SAMPLE_BLOCK)
		step = (uint64_t)LOOK * SAMPLE_BLOCK;
	for (uint64_t i = 0; i < SPREAD; i++) {
		r = sample_at(&s, i * step, LOOK, e);
		if (r < 0)
			return r;
		for (unsigned k = 0; k < s.n; k++)
			if (s.kind[k] != BLOCK_ZERO)
				low[n++] = s.kind[k] == BLOCK_LOW;
	}
	for (size_t i = 0; i < n; i++) {
		f->first |= low[i] && i * 3 < n;
		f->middle |= low[i] && i * 3 + 3 > n && i * 3 < n * 2;
		f->last |= low[i] && i * 3 + 3 > n * 2;
	}
	return 0;
}

/* From numbers of file system blocks to those of the 4 KiB blocks that they lie in, each once. Returns how
 * many. */
static int to_blocks(uint64_t *picks, int n, uint32_t bs)
{
	int out = 0;

	for (int i = 0; i < n; i++) {
		uint64_t block = picks[i] * bs / SAMPLE_BLOCK;

		if (!out || picks[out - 1] != block)
			picks[out++] = block;
	}
	return out;
}

/* How many picks follow picks[i] on disk in direction dir, one after the other: they are read at once. */
static int run_of(const uint64_t *picks, int n, int i, int dir)
{
	int k = 1;

	while (k < LOOK && i + dir * k >= 0 && i + dir * k < n &&
	       (dir > 0 ? picks[i + k] == picks[i] + (unsigned)k : picks[i - k] + (unsigned)k == picks[i]))
		k++;
	return k;
}

/* Is one of at most `tries` non-zero blocks from picks[i] on, in steps of dir, plaintext? 1, 0, <0 */
static int find_low(struct sampler *s, const uint64_t *picks, int n, int i, int dir, unsigned tries,
		    struct err *e)
{
	struct sample_sum sum = { 0 };
	int looks = 0, k;

	for (; i >= 0 && i < n && looks < LOOKS && sample_nonzero(&sum) < tries; i += dir * k, looks += k) {
		int r;

		k = run_of(picks, n, i, dir);
		r = sample_at(s, picks[dir > 0 ? i : i - k + 1] * SAMPLE_BLOCK, (unsigned)k, e);
		if (r < 0)
			return r;
		if (!r)
			return 0;
		sample_count(s, &sum, tries + LOOK);
		if (sum.low)
			return 1;
	}
	return 0;
}

static int ext_find_low(struct sampler *s, const uint64_t *picks, int n, struct found *f, struct err *e)
{
	unsigned tries = (unsigned)n / 16;
	int r;

	if (tries < TRIES_LEAST)
		tries = TRIES_LEAST;
	if (tries > TRIES_MOST)
		tries = TRIES_MOST;
	if (tries > ((unsigned)n + 2) / 3)
		tries = ((unsigned)n + 2) / 3;

	r = find_low(s, picks, n, 0, 1, tries, e);
	f->first = r == 1;
	if (r >= 0)
		r = find_low(s, picks, n, n / 2, 1, tries / 2 + 1, e);
	f->middle = r == 1;
	if (r == 0)
		r = find_low(s, picks, n, n / 2, -1, tries / 2 + 1, e);
	f->middle |= r == 1;
	if (r >= 0)
		r = find_low(s, picks, n, n - 1, -1, tries, e);
	f->last = r == 1;
	return r < 0 ? r : 0;
}

/* 0 all copies are there, else the answer is in *ret. */
static int ext_copies(const struct node *node, const struct ext_info *x, unsigned *ret_n, enum tri *ret,
		      char **ret_why)
{
	struct ext_info copy;
	uint32_t group = 0;
	uint64_t off;

	*ret_n = 0;
	while (ext_next_backup(x, &group, &off)) {
		struct err e = { "" };
		int r = ext_read_super(node->blk, off, &copy, &e);

		if (r < 0 && r != -ENOENT && r != -EBADMSG && r != -EOPNOTSUPP)
			*ret = say(ret_why, TRI_UNKNOWN,
				   "the superblock's copy at byte %ju cannot be read: %s", (uintmax_t)off,
				   e.msg);
		else if (r < 0 || memcmp(copy.uuid, x->uuid, sizeof(x->uuid)))
			*ret = no_copy(node, off, "a copy of the superblock", ret_why);
		else if (++*ret_n <= EXT_MAX_GROUPS)
			continue;
		return 1;
	}
	return 0;
}

static enum tri ext_prove(struct node *node, char **ret_why)
{
	cleanup_sampler struct sampler s = { 0 };
	cleanup_free uint64_t *picks = NULL;
	cleanup_free char *copies = NULL;
	const struct ext_info *x = ext_node_info(node);
	struct found f = { 0 };
	struct err e = { "" };
	struct fs *fs;
	enum tri t = TRI_UNKNOWN;
	unsigned ncopies;
	int n, r;

	if (!x || x->from_backup || x->truncated || x->csum_bad)
		return say(ret_why, TRI_UNKNOWN, "%s", x ? x->damage.msg : "its superblock was not read");
	if (ext_copies(node, x, &ncopies, &t, ret_why))
		return t;
	copies = str_printf("%u of %u copies of the superblock, ", ncopies, ncopies);
	fs = node_fs(node, &e);
	if (!fs)
		return say(ret_why, TRI_UNKNOWN, "the file system cannot be opened: %s", e.msg);
	x = ext_fs_info(fs);
	picks = calloc(PICKS, sizeof(*picks));
	if (!x || !picks || !copies || sampler_init(&s, node->blk, SAMPLE_BUDGET, &e) < 0)
		return TRI_UNKNOWN;
	n = ext_pick_allocated(fs, picks, PICKS, &e);
	if (n < 0)
		return say(ret_why, TRI_UNKNOWN, "%sbut its block bitmaps cannot be used: %s", copies, e.msg);
	r = n ? ext_find_low(&s, picks, to_blocks(picks, n, x->block_size), &f, &e)
	      : spread_find_low(node, &f, &e);
	if (r < 0)
		return say(ret_why, TRI_UNKNOWN, "%sthen a read error: %s", copies, e.msg);
	return judge_found(&f, copies, ret_why);
}

/* ---- copies that other formats keep ---- */

/* ok: its copies are there (say how many in *ret_n); else the answer is in *ret. */
static bool xfs_copies(const struct node *n, unsigned *ret_n, enum tri *ret, char **ret_why)
{
	uint8_t first[SECTOR], ag[SECTOR];
	be32 bs, blocks, count;
	uint64_t step;
	struct err e = { "" };

	if (n->blk->size < SECTOR || blk_pread(n->blk, first, sizeof(first), 0, &e) < 0 ||
	    memcmp(first, "XFSB", 4)) {
		*ret = say(ret_why, TRI_UNKNOWN, "the superblock cannot be read%s%s", *e.msg ? ": " : "",
			   e.msg);
		return false;
	}
	memcpy(bs.b, first + 4, 4);
	memcpy(blocks.b, first + 84, 4);
	memcpy(count.b, first + 88, 4);
	if (!be32_get(count) || be32_get(count) > MAX_AGS ||
	    mul_overflows(be32_get(bs), be32_get(blocks), &step) || step < SECTOR) {
		*ret = say(ret_why, TRI_UNKNOWN, "%u allocation groups of %u blocks: not looked at",
			   be32_get(count), be32_get(blocks));
		return false;
	}
	for (uint32_t i = 1; i < be32_get(count); i++) {
		if (!range_in(step * i, SECTOR, n->blk->size) ||
		    blk_pread(n->blk, ag, sizeof(ag), step * i, &e) < 0) {
			*ret = say(ret_why, TRI_UNKNOWN, "allocation group %u cannot be read", i);
			return false;
		}
		if (memcmp(ag, "XFSB", 4) || memcmp(ag + 32, first + 32, 16)) {
			*ret = no_copy(n, step * i, "a copy of the superblock", ret_why);
			return false;
		}
	}
	*ret_n = be32_get(count) - 1;
	return true;
}

/* btrfs: at 64 KiB, copies at 64 MiB and 256 GiB where the device reaches so far. */
static bool btrfs_copies(const struct node *n, unsigned *ret_n, enum tri *ret, char **ret_why)
{
	static const uint64_t places[] = { 64ULL << 10, 64ULL << 20, 256ULL << 30 };
	uint8_t sb[SECTOR], first[SECTOR];
	struct err e = { "" };

	*ret_n = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (!range_in(places[i], 4096, n->blk->size))
			break;
		if (blk_pread(n->blk, sb, sizeof(sb), places[i], &e) < 0) {
			*ret = say(ret_why, TRI_UNKNOWN, "the superblock at byte %ju cannot be read: %s",
				   (uintmax_t)places[i], e.msg);
			return false;
		}
		if (memcmp(sb + 64, "_BHRfS_M", 8) || (i && memcmp(sb + 32, first + 32, 16))) {
			*ret = no_copy(n, places[i], "a superblock", ret_why);
			return false;
		}
		if (!i)
			memcpy(first, sb, sizeof(first));
		else
			++*ret_n;
	}
	return true;
}

/* NTFS: the boot sector again in the last sector. FAT32: a backup boot sector, usually sector 6. Both have 55
 * aa. */
static bool boot_copy(const struct node *n, bool ntfs, unsigned *ret_n, enum tri *ret, char **ret_why)
{
	uint8_t first[SECTOR], copy[SECTOR];
	le16 size, at;
	le64 total;
	uint64_t off = 0;
	struct err e = { "" };

	*ret_n = 0;
	if (blk_pread(n->blk, first, sizeof(first), 0, &e) < 0) {
		*ret = say(ret_why, TRI_UNKNOWN, "the boot sector cannot be read: %s", e.msg);
		return false;
	}
	memcpy(size.b, first + 11, 2);
	memcpy(at.b, first + 50, 2);
	memcpy(total.b, first + 40, 8);
	if (!ntfs && (memcmp(first + 82, "FAT32", 5) || !le16_get(at) || le16_get(at) == 0xffff))
		return true;
	if (mul_overflows(ntfs ? le64_get(total) : le16_get(at), le16_get(size), &off) ||
	    !range_in(off, SECTOR, n->blk->size) || blk_pread(n->blk, copy, sizeof(copy), off, &e) < 0) {
		*ret = say(ret_why, TRI_UNKNOWN, "the copy of the boot sector at byte %ju cannot be read",
			   (uintmax_t)off);
		return false;
	}
	if (memcmp(copy + 3, first + 3, 60) || copy[510] != 0x55 || copy[511] != 0xaa) {
		*ret = no_copy(n, off, "a copy of the boot sector", ret_why);
		return false;
	}
	*ret_n = 1;
	return true;
}

static enum tri other_prove(const struct node *node, char **ret_why)
{
	cleanup_free char *copies = NULL;
	struct found f = { 0 };
	struct err e = { "" };
	enum tri t = TRI_UNKNOWN;
	unsigned n = 0;
	bool ok = true, has_copies = true;

	if (str_eq(node->fmt, "xfs"))
		ok = xfs_copies(node, &n, &t, ret_why);
	else if (str_eq(node->fmt, "btrfs"))
		ok = btrfs_copies(node, &n, &t, ret_why);
	else if (str_eq(node->fmt, "vfat") || str_eq(node->fmt, "ntfs"))
		ok = boot_copy(node, str_eq(node->fmt, "ntfs"), &n, &t, ret_why);
	else
		has_copies = false;
	if (!ok)
		return t;
	if (spread_find_low(node, &f, &e) < 0)
		return say(ret_why, TRI_UNKNOWN, "read error: %s", e.msg);
	copies = has_copies ? str_printf("%u of %u copies of the superblock, ", n, n)
			    : str_printf("signature %s, ", node->fmt);
	if (!copies)
		return TRI_UNKNOWN;
	return judge_found(&f, copies, ret_why);
}

enum tri plain_prove(const struct node *node, char **ret_why, struct err *e)
{
	enum tri t;

	*ret_why = NULL;
	if (!node->blk || !*node->fmt)
		t = say(ret_why, TRI_UNKNOWN, "%s",
			node->blk ? "no file system that is known" : "no bytes to look at");
	else if (str_eq(node->fmt, "crypto_LUKS"))
		t = say(ret_why, TRI_NO, "a LUKS header");
	else if (str_starts(node->fmt, "ext") && strlen(node->fmt) == 4)
		t = ext_prove((struct node *)(uintptr_t)node, ret_why);
	else
		t = other_prove(node, ret_why);
	if (!*ret_why)
		err_oom(e);
	return t;
}
