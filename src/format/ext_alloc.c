/* SPDX-License-Identifier: MIT */
/* Which blocks of an ext file system are allocated, for sampling. The group descriptors give the count of
 * each group; only the bitmaps of the groups that are picked from are read, so that a large disk costs no
 * more than a small one. Blocks of the layout itself (superblocks, descriptors, bitmaps, inode tables) are
 * left out. */
#include <inttypes.h>
#include <stdlib.h>
#include "base/bytes.h"
#include "base/vec.h"
#include "format/ext_priv.h"

struct run {
	uint64_t start, end;            /* blocks, end not included */
};
struct alloc {
	struct ext_fs *x;
	struct run *meta; size_t nmeta; /* sorted, disjoint */
	uint64_t *upto;                 /* by group: data blocks in it and in all before it */
	uint8_t *bitmap;
	uint32_t group;                 /* whose bitmap it is; UINT32_MAX: none */
};

static void alloc_done(struct alloc *a)
{
	free(a->meta);
	free(a->upto);
	free(a->bitmap);
}
#define cleanup_alloc cleanup(alloc_done)

static uint64_t group_start(const struct ext_info *i, uint32_t g)
{
	return (uint64_t)g * i->blocks_per_group + i->first_data_block;
}

static uint64_t group_end(const struct ext_info *i, uint32_t g)
{
	uint64_t end = group_start(i, g) + i->blocks_per_group;

	return end < i->blocks ? end : i->blocks;
}

/* A cluster that metadata lies in holds nothing else. */
static int add_run(struct alloc *a, uint64_t start, uint64_t len, struct err *e)
{
	const struct ext_info *i = &a->x->info;
	uint64_t mask = i->cluster_blocks - 1, end;
	struct run *r;

	if (!len)
		return 0;
	if (!range_in(start, len, i->blocks))
		return err_set(
		    e, -EBADMSG,
		    "group descriptors: something lies at block %" PRIu64 ", outside the file system", start);
	r = vec_push(&a->meta, &a->nmeta);
	if (!r)
		return err_oom(e);
	end = (start + len + mask) & ~mask;
	*r = (struct run){ start & ~mask, end < i->blocks ? end : i->blocks };
	return 0;
}

static int add_group(struct alloc *a, uint32_t g, struct err *e)
{
	const struct ext_info *i = &a->x->info;
	uint64_t table = ((uint64_t)i->inodes_per_group * i->inode_size + i->block_size - 1) / i->block_size;
	uint64_t start = group_start(i, g), room = group_end(i, g) - start, len;
	blk_t used = 0;
	int rc;

	/* superblock and descriptors stand together at the start; the boot block is before the first one */
	(void)ext2fs_super_and_bgd_loc2(a->x->lib, g, NULL, NULL, NULL, &used);
	len = used + (g == 0 && i->block_size == EXT_SUPER_OFF && !start ? 1 : 0);
	rc = add_run(a, start, len < room ? len : room, e);
	if (!rc)
		rc = add_run(a, ext2fs_block_bitmap_loc(a->x->lib, g), 1, e);
	if (!rc)
		rc = add_run(a, ext2fs_inode_bitmap_loc(a->x->lib, g), 1, e);
	if (!rc)
		rc = add_run(a, ext2fs_inode_table_loc(a->x->lib, g), table, e);
	return rc;
}

static int by_start(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int collect_meta(struct alloc *a, struct err *e)
{
	size_t n = 0;
	int rc = 0;

	for (uint32_t g = 0; g < a->x->info.groups && !rc; g++)
		rc = add_group(a, g, e);
	if (rc || !a->nmeta)
		return rc;
	qsort(a->meta, a->nmeta, sizeof(*a->meta), by_start);
	for (size_t k = 1; k < a->nmeta; k++) {
		if (a->meta[k].start > a->meta[n].end)
			a->meta[++n] = a->meta[k];
		else if (a->meta[k].end > a->meta[n].end)
			a->meta[n].end = a->meta[k].end;
	}
	a->nmeta = n + 1;
	return 0;
}

/* The first run of metadata that ends after block. */
static size_t meta_after(const struct alloc *a, uint64_t block)
{
	size_t lo = 0, hi = a->nmeta;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (a->meta[mid].end <= block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_meta(const struct alloc *a, uint64_t block)
{
	size_t k = meta_after(a, block);

	return k < a->nmeta && a->meta[k].start <= block;
}

static uint64_t meta_between(const struct alloc *a, uint64_t start, uint64_t end)
{
	uint64_t n = 0;

	for (size_t k = meta_after(a, start); k < a->nmeta && a->meta[k].start < end; k++) {
		uint64_t from = a->meta[k].start > start ? a->meta[k].start : start;

		n += (a->meta[k].end < end ? a->meta[k].end : end) - from;
	}
	return n;
}

/* How many data blocks each group holds, by its descriptor. */
static int count(struct alloc *a, struct err *e)
{
	const struct ext_info *i = &a->x->info;
	uint64_t total = 0;

	a->upto = calloc(i->groups, sizeof(*a->upto));
	a->bitmap = malloc(i->block_size);
	if (!a->upto || !a->bitmap)
		return err_oom(e);
	for (uint32_t g = 0; g < i->groups; g++) {
		uint64_t start = group_start(i, g), end = group_end(i, g);
		uint64_t clusters = (end - start + i->cluster_blocks - 1) / i->cluster_blocks;
		uint64_t free_clusters = ext2fs_bg_free_blocks_count(a->x->lib, g), used, meta;

		if (free_clusters > clusters)
			return err_set(e, -EBADMSG,
				       "group %" PRIu32 ": %" PRIu64 " free clusters of %" PRIu64, g,
				       free_clusters, clusters);
		used = (clusters - free_clusters) * i->cluster_blocks;
		used = used < end - start ? used : end - start;
		meta = meta_between(a, start, end);
		if (!ext2fs_bg_flags_test(a->x->lib, g, EXT2_BG_BLOCK_UNINIT) && used > meta)
			total += used - meta;
		a->upto[g] = total;
	}
	return 0;
}

static int load_bitmap(struct alloc *a, uint32_t g, struct err *e)
{
	const struct ext_info *i = &a->x->info;
	uint64_t at = ext2fs_block_bitmap_loc(a->x->lib, g), clusters, set = 0;
	int rc;

	if (a->group == g)
		return 0;
	a->group = UINT32_MAX;
	rc = blk_pread(a->x->blk, a->bitmap, i->block_size, at * i->block_size, e);
	if (rc)
		return rc;
	clusters = (group_end(i, g) - group_start(i, g) + i->cluster_blocks - 1) / i->cluster_blocks;
	for (uint64_t k = 0; k < clusters; k++)
		set += a->bitmap[k / 8] >> k % 8 & 1;
	/* before its journal is replayed a descriptor may be older than its bitmap */
	if (!a->x->fs.stale && clusters - set != ext2fs_bg_free_blocks_count(a->x->lib, g))
		return err_set(e, -EBADMSG,
			       "group %" PRIu32 ": its bitmap has %" PRIu64
			       " free clusters, its descriptor says %" PRIu32,
			       g, clusters - set, ext2fs_bg_free_blocks_count(a->x->lib, g));
	if (!a->x->fs.stale && !ext2fs_block_bitmap_csum_verify(a->x->lib, g, (char *)a->bitmap,
								(int)(i->clusters_per_group / 8)))
		return err_set(e, -EBADMSG, "group %" PRIu32 ": the checksum of its block bitmap is wrong",
			       g);
	a->group = g;
	return 0;
}

/* The rank-th data block of the group, or its last one where there are not as many; 0: it has none. */
static uint64_t nth_block(const struct alloc *a, uint32_t g, uint64_t rank)
{
	const struct ext_info *i = &a->x->info;
	uint64_t start = group_start(i, g), end = group_end(i, g), found = 0;

	for (uint64_t b = start; b < end; b++) {
		uint64_t bit = (b - start) / i->cluster_blocks;

		if (!(a->bitmap[bit / 8] >> bit % 8 & 1) || is_meta(a, b))
			continue;
		found = b;
		if (!rank--)
			break;
	}
	return found;
}

static int pick(struct alloc *a, uint64_t rank, uint64_t *ret, struct err *e)
{
	uint32_t lo = 0, hi = a->x->info.groups - 1;
	int rc;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->upto[mid] <= rank)
			lo = mid + 1;
		else
			hi = mid;
	}
	rc = load_bitmap(a, lo, e);
	if (rc)
		return rc;
	*ret = nth_block(a, lo, rank - (lo ? a->upto[lo - 1] : 0));
	return 0;
}

int ext_pick_allocated(struct fs *fs, uint64_t *blocks, size_t max, struct err *e)
{
	cleanup_alloc struct alloc a = { .group = UINT32_MAX };
	uint64_t total, b = 0;
	size_t n = 0;
	int rc;

	if (!ext_fs_info(fs))
		return err_set(e, -EOPNOTSUPP, "not an ext file system");
	a.x = ext_of(fs);
	if (!a.x->lib)
		return err_set(e, -EIO, "the file system is not open");
	rc = collect_meta(&a, e);
	if (!rc)
		rc = count(&a, e);
	if (rc)
		return rc;
	total = a.upto[a.x->info.groups - 1];
	if (max > total)
		max = (size_t)total;
	if (max > INT32_MAX)
		max = INT32_MAX;
	for (size_t k = 0; k < max; k++) {
		/* below 2^48 each; 128 bits keep the product whole */
		uint64_t rank = max == 1 ? 0 : (uint64_t)((unsigned __int128)k * (total - 1) / (max - 1));

		rc = pick(&a, rank, &b, e);
		if (rc)
			return rc;
		if (b && (!n || b > blocks[n - 1]))
			blocks[n++] = b;
	}
	return (int)n;
}
