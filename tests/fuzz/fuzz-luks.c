/* SPDX-License-Identifier: MIT */
/* LUKS1 and LUKS2 on a disk. The checksums of LUKS2's copies are put right first. */
#include "luks.h"

/* Of the copy at byte off, where it is not longer than 256 KiB. */
static void repair(struct blk *blk, uint64_t off)
{
	uint8_t *h = sparse_at(blk, off / FUZZ_SECTOR), *all;
	int algo;
	be64 size;

	if (!h || (memcmp(h, "LUKS\xba\xbe\0\2", 8) && memcmp(h, "SKUL\xba\xbe\0\2", 8)))
		return;
	memcpy(&size, h + 8, 8);
	algo = h[72 + 31] ? 0 : gcry_md_map_name((char *)h + 72);
	if (!algo || gcry_md_get_algo_dlen(algo) > 64 || be64_get(size) > 256 << 10 || be64_get(size) < 512 ||
	    !range_in(off, be64_get(size), blk->size))
		return;
	memset(h + 448, 0, 64);
	all = malloc(be64_get(size));
	MUST(all && blk_pread(blk, all, be64_get(size), off, NULL) == 0);
	if (gcry_md_get_algo_dlen(algo))
		gcry_md_hash_buffer(algo, h + 448, all, be64_get(size));
	free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_blk struct blk *blk = sparse_open(data, size);
	struct graph g = { 0 };

	if (!blk)
		return 0;
	bytes_gcrypt_init();
	repair(blk, 0);
	for (uint64_t off = 0x4000; off <= 0x40000; off *= 2)
		repair(blk, off);
	fuzz_luks(blk);
	(void)fuzz_format(&g, &format_luks, blk);
	graph_done(&g);
	return 0;
}
