/* SPDX-License-Identifier: MIT */
/* Bytes in memory: a header that was found in a file, a test's disk, a fuzzer's buffer. */
#include <string.h>
#include "blk/blk.h"

struct blk_mem {
	struct blk blk;
	uint8_t *bytes;
};

static int mem_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	const struct blk_mem *m = (const struct blk_mem *)b;

	(void)e;
	memcpy(buf, m->bytes + off, len);
	return 0;
}

static int mem_pwrite(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	struct blk_mem *m = (struct blk_mem *)b;

	(void)e;
	memcpy(m->bytes + off, buf, len);
	return 0;
}

static void mem_close(struct blk *b)
{
	struct blk_mem *m = (struct blk_mem *)b;

	free(m->bytes);
	free(m);
}

static const struct blk_ops mem_ops = {
	.kind = "mem",
	.pread = mem_pread,
	.pwrite = mem_pwrite,
	.close = mem_close,
};

int blk_open_mem(const void *buf, size_t len, struct blk **ret, struct err *e)
{
	struct blk_mem *m = calloc(1, sizeof(*m));

	if (!m)
		return err_oom(e);
	m->blk = (struct blk){.ops = &mem_ops, .size = len, .align = 1, .refs = 1};
	m->bytes = calloc(1, len ? len : 1);
	if (!m->bytes) {
		free(m);
		return err_oom(e);
	}
	if (buf && len)
		memcpy(m->bytes, buf, len);
	*ret = &m->blk;
	return 0;
}
