/* SPDX-License-Identifier: MIT */
/* XFS: superblock and copies, the log's state, every file and directory. Checksums are put right first, where a magic says what is there. */
#include "fuzz.h"
#include "format/xfs_priv.h"

static void repair_one(struct blk *blk, uint64_t off, size_t len, size_t at)
{
	uint8_t *s = sparse_at(blk, off / FUZZ_SECTOR), *all;

	if (!s || len > 65536 || !range_in(off, len, blk->size) || !(all = malloc(len)))
		return;
	memset(s + at, 0, 4);
	(void)blk_pread(blk, all, len, off, NULL);
	put_le32(s + at, ~xfs_crc32c(~(uint32_t)0, all, len));
	free(all);
}

static void repair(struct blk *blk)
{
	static const struct { const char *magic; unsigned skip, n; enum { SECTOR, INODE, BLOCK, DIRBLOCK } unit; size_t at; } kinds[] = {
		{ "XFSB", 0, 4, SECTOR, 224 }, { "XAGF", 0, 4, SECTOR, 216 }, { "XAGI", 0, 4, SECTOR, 312 }, { "IN", 0, 2, INODE, 100 },
		{ "XDB3", 0, 4, DIRBLOCK, 4 }, { "XDD3", 0, 4, DIRBLOCK, 4 }, { "BMA3", 0, 4, BLOCK, 64 }, { "XSLM", 0, 4, BLOCK, 12 },
		{ "XARM", 0, 4, BLOCK, 12 }, { "\x3d\xf1", 8, 2, DIRBLOCK, 12 }, { "\x3d\xff", 8, 2, DIRBLOCK, 12 },
		{ "\x3e\xbe", 8, 2, BLOCK, 12 }, { "\x3b\xee", 8, 2, BLOCK, 12 },
	};
	const struct sparse *s = (struct sparse *)blk;
	struct xfs_info x;

	if (xfs_read_super(blk, 0, &x, NULL) < 0)
		return;
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
			const uint32_t units[] = { x.sector_size, x.inode_size, x.block_size, x.dir_block_size };
			uint64_t off = sparse_sector(s, i) * FUZZ_SECTOR;
			bool small = kinds[k].unit == INODE && x.inode_size < FUZZ_SECTOR;

			if (!memcmp(sparse_bytes(s, i) + kinds[k].skip, kinds[k].magic, kinds[k].n) && !small)
				repair_one(blk, off, units[kinds[k].unit], kinds[k].at);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_blk struct blk *blk = sparse_open(data, size);
	struct graph g = { 0 };
	struct xfs_info x;

	if (!blk)
		return 0;
	repair(blk);
	if (xfs_find_super(blk, &x, NULL) > 0)
		for (uint32_t ag = 0; ag < x.ag_count && ag < 4; ag++)
			(void)xfs_check_copy(blk, &x, ag, NULL);
	(void)fuzz_format(&g, &format_xfs, blk);
	graph_done(&g);
	return 0;
}
