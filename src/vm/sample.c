/* SPDX-License-Identifier: MIT */
/* Raw 4 KiB blocks by their entropy. The measure is that of the contract: Shannon entropy of the bytes of one
 * aligned block. Blocks that would cross the end of the device are not looked at: they are shorter, and short
 * runs have less entropy. Sectors of 512 bytes that are zero are left out, as whole blocks are: where encrypted
 * space was never written, a log or metadata record leaves single sectors of ciphertext among zeroes. */
#include "vm/sample.h"

#include <string.h>

#include "base/bytes.h"

enum { SECTOR = 512 };

int sampler_init(struct sampler *s, struct blk *blk, uint64_t budget, struct err *e)
{
	memset(s, 0, sizeof(*s));
	s->blk = blk;
	s->left = budget;
	s->buf = malloc((size_t)SAMPLE_CHUNK * SAMPLE_BLOCK);
	return s->buf ? 0 : err_oom(e);
}

void sampler_done(struct sampler *s)
{
	if (s->buf)
		memset(s->buf, 0, (size_t)SAMPLE_CHUNK * SAMPLE_BLOCK);
	free(s->buf);
	s->buf = NULL;
}

/* What random bytes surely have, in so few of them: 7.59 bit on average in 512, 7.80 in 1024, 7.90 in 2048. */
static double bits_of(size_t len)
{
	if (len == SAMPLE_BLOCK)
		return SAMPLE_BITS;
	return len < 1024 ? 7.3 : len < 2048 ? 7.6 : 7.75;
}

enum block_kind sample_kind(const uint8_t *block)
{
	uint8_t sectors[SAMPLE_BLOCK];
	size_t n = 0;

	for (size_t i = 0; i < SAMPLE_BLOCK; i += SECTOR) {
		if (bytes_all_zero(block + i, SECTOR))
			continue;
		memcpy(sectors + n, block + i, SECTOR);
		n += SECTOR;
	}
	if (!n)
		return BLOCK_ZERO;
	return bytes_entropy(sectors, n) < bits_of(n) ? BLOCK_LOW : BLOCK_HIGH;
}

int sample_at(struct sampler *s, uint64_t off, unsigned blocks, struct err *e)
{
	uint64_t have;
	int r;

	s->n = 0;
	off -= off % SAMPLE_BLOCK;
	if (off >= s->blk->size)
		return 0;
	have = (s->blk->size - off) / SAMPLE_BLOCK;
	if (have > s->left / SAMPLE_BLOCK)
		have = s->left / SAMPLE_BLOCK;
	if (blocks > SAMPLE_CHUNK)
		blocks = SAMPLE_CHUNK;
	if (blocks > have)
		blocks = (unsigned)have;
	if (!blocks)
		return 0;

	r = blk_pread(s->blk, s->buf, (size_t)blocks * SAMPLE_BLOCK, off, e);
	if (r < 0)
		return r;
	s->left -= (uint64_t)blocks * SAMPLE_BLOCK;
	s->at = off;
	s->n = blocks;
	for (unsigned i = 0; i < blocks; i++)
		s->kind[i] = sample_kind(s->buf + (size_t)i * SAMPLE_BLOCK);
	return (int)blocks;
}

void sample_count(const struct sampler *s, struct sample_sum *sum, unsigned most)
{
	for (unsigned i = 0; i < s->n && sample_nonzero(sum) < most; i++) {
		if (s->kind[i] == BLOCK_ZERO) {
			sum->zero++;
			continue;
		}
		if (s->kind[i] == BLOCK_HIGH) {
			sum->high++;
			continue;
		}
		if (!sum->low++)
			sum->first_low = s->at + (uint64_t)i * SAMPLE_BLOCK;
	}
}
