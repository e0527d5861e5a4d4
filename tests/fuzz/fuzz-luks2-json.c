/* SPDX-License-Identifier: MIT */
/* The JSON area of LUKS2: the input is its text; the binary header before it is right. The first byte says how large the disk is. */
#define FUZZ_TEXT
#include "luks.h"

enum { COPY = 0x4000, BIN = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = { 2 * COPY, 16 << 20, 17 << 20, 1 << 20 };
	cleanup_blk struct blk *blk = NULL, *map = NULL;
	struct extent x[2];
	uint8_t *p;

	if (size < 1 || size > COPY - BIN)
		return 0;
	p = calloc(1, COPY);
	MUST(p);
	memcpy(p, "LUKS\xba\xbe\0\2", 8);
	p[14] = COPY >> 8;
	p[23] = 7;
	memcpy(p + 72, "sha256", 6);
	memcpy(p + 168, "8f1c9d0a-1111-4222-8333-944455556666", 36);
	memcpy(p + BIN, data + 1, size - 1);
	bytes_sha256(p, COPY, p + 448);
	MUST(blk_open_mem(p, COPY, &blk, NULL) == 0);
	free(p);
	x[0] = (struct extent){ .start = 0, .len = COPY, .under = blk };
	x[1] = (struct extent){ .start = COPY, .len = sizes[data[0] % 4] - COPY };
	MUST(blk_open_map(x, 2, &map, NULL) == 0);
	fuzz_luks(map);
	return 0;
}
