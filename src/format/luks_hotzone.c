/* SPDX-License-Identifier: MIT */
/* The last zone of a re-encryption that stopped half-way, as a device of its own: which of its blocks are
 * converted is told by the checksums that the re-encryption slot keeps of the blocks as they were before
 * (LUKS2 on-disk-format 1.1.2, re-encryption). Nothing is recovered on the disk: each block is judged when it
 * is read. What nothing tells is a device that cannot be read; and a lid over all of it refuses every write. */
#include "format/luks_parts.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { MAX_SUM = 64, MAX_BLOCK = 4096 };

struct zone {
	struct blk blk;
	struct blk *raw, *sums, *before, *after;
	int algo;
	unsigned sum_len;
};

/* 1 the block is as it was before, 0 it is converted, <0 it cannot be read. */
static int is_before(struct zone *z, uint64_t off, struct err *e)
{
	uint8_t block[MAX_BLOCK], want[MAX_SUM], sum[MAX_SUM];
	int r = blk_pread(z->raw, block, z->blk.align, off, e);

	if (!r)
		r = blk_pread(z->sums, want, z->sum_len, off / z->blk.align * z->sum_len, e);
	if (r < 0)
		return r;
	gcry_md_hash_buffer(z->algo, sum, block, z->blk.align);
	return memcmp(sum, want, z->sum_len) == 0;
}

static int zone_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct zone *z = (struct zone *)b;
	uint8_t *p = buf;

	for (size_t n = b->align; len; len -= n, off += n, p += n) {
		int r = is_before(z, off, e);

		if (r >= 0)
			r = blk_pread(r ? z->before : z->after, p, n, off, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static void zone_close(struct blk *b)
{
	struct zone *z = (struct zone *)b;

	blk_unref(z->raw);
	blk_unref(z->sums);
	blk_unref(z->before);
	blk_unref(z->after);
	free(z);
}

static const struct blk_ops zone_ops = { .kind = "hotzone", .pread = zone_pread, .close = zone_close };

int luks_open_zone(const struct luks_zone *p, struct blk **ret, struct err *e)
{
	uint64_t count = p->block ? p->raw->size / p->block : 0, room;
	struct zone *z;
	unsigned len;
	int algo;

	bytes_gcrypt_init();
	algo = gcry_md_map_name(p->hash);
	len = algo && !gcry_md_test_algo(algo) ? gcry_md_get_algo_dlen(algo) : 0;
	if (!len || len > MAX_SUM)
		return err_set(e, -EOPNOTSUPP, "checksums of blocks by \"%s\" are not known", p->hash);
	if (p->block < LUKS_SECTOR || p->block > MAX_BLOCK || (p->block & (p->block - 1)))
		return err_set(e, -EBADMSG, "checksums of blocks of %u bytes", p->block);
	if (p->raw->size % p->block || p->before->size != p->raw->size || p->after->size != p->raw->size)
		return err_set(e, -EBADMSG, "the zone in re-encryption is not whole blocks");
	if (mul_overflows(count, len, &room) || room > p->sums->size)
		return err_set(e, -EBADMSG,
			       "the checksums of %ju blocks are more than the re-encryption slot holds",
			       (uintmax_t)count);
	z = calloc(1, sizeof(*z));
	if (!z)
		return err_oom(e);
	z->blk = (struct blk){ .ops = &zone_ops, .size = p->raw->size, .align = p->block, .refs = 1 };
	z->raw = blk_ref(p->raw);
	z->sums = blk_ref(p->sums);
	z->before = blk_ref(p->before);
	z->after = blk_ref(p->after);
	z->algo = algo;
	z->sum_len = len;
	*ret = &z->blk;
	return 0;
}

/* ---- what nothing tells ---- */

static int untold_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	(void)b;
	(void)buf;
	return err_set(e, -EIO,
		       "%zu bytes at byte %ju of it: in the hot zone of an interrupted re-encryption, and nothing "
		       "tells whether it was converted",
		       len, (uintmax_t)off);
}

static void untold_close(struct blk *b)
{
	free(b);
}

static const struct blk_ops untold_ops = { .kind = "untold", .pread = untold_pread, .close = untold_close };

int luks_open_untold(uint64_t len, struct blk **ret, struct err *e)
{
	struct blk *b = calloc(1, sizeof(*b));

	if (!b)
		return err_oom(e);
	*b = (struct blk){ .ops = &untold_ops, .size = len, .align = 1, .refs = 1 };
	*ret = b;
	return 0;
}

/* ---- the lid ---- */

struct lid {
	struct blk blk;
	struct blk *under;
};

static int lid_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	return blk_pread(((struct lid *)b)->under, buf, len, off, e);
}

static void lid_close(struct blk *b)
{
	blk_unref(((struct lid *)b)->under);
	free(b);
}

static const struct blk_ops lid_ops = { .kind = "lid", .pread = lid_pread, .close = lid_close };

int luks_open_lid(struct blk *under, struct blk **ret, struct err *e)
{
	struct lid *l = calloc(1, sizeof(*l));

	if (!l)
		return err_oom(e);
	l->blk = (struct blk){ .ops = &lid_ops, .size = under->size, .align = 1, .refs = 1 };
	l->under = blk_ref(under);
	*ret = &l->blk;
	return 0;
}
