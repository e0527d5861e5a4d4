/* SPDX-License-Identifier: MIT */
/* A whole disk through the worklist, all formats at once, libblkid too; then the files of whatever can be opened. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_blk struct blk *blk = sparse_open(data, size);
	struct graph g = { 0 };

	if (!blk)
		return 0;
	MUST(graph_add(&g, "disk", KIND_DISK, NULL, blk));
	(void)graph_run(&g, NULL, NULL, NULL);
	check_nodes(&g);
	for (size_t i = 0; i < g.n; i++)
		if (node_fs(g.nodes[i], NULL))
			walk_fs(g.nodes[i]->fs);
	graph_done(&g);
	return 0;
}
