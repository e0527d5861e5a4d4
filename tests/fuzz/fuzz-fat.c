/* SPDX-License-Identifier: MIT */
/* FAT12, FAT16, FAT32: the boot sector, the chains, the directories and the files. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_blk struct blk *blk = sparse_open(data, size);
	struct graph g = { 0 };

	if (!blk)
		return 0;
	(void)fuzz_format(&g, &format_fat, blk);
	graph_done(&g);
	return 0;
}
