/* SPDX-License-Identifier: MIT */
/* Looking at raw 4 KiB blocks: zero, low entropy (plaintext for certain), or high (ciphertext, or a compressed file). Every
 * look is counted, so that no hostile size can make us read more than a stated number of bytes. */
#ifndef VM_SAMPLE_H
#define VM_SAMPLE_H

#include <stdint.h>
#include "blk/blk.h"

enum {
	SAMPLE_BLOCK = 4096,
	SAMPLE_CHUNK = 64,              /* blocks a read, at most: 256 KiB */
};
#define SAMPLE_BITS 7.85                /* bits a byte: random bytes have 7.95 in 4096 of them, text and structures below 7 */
#define SAMPLE_BUDGET (64ULL << 20)     /* bytes read a volume, at most */

enum block_kind { BLOCK_ZERO, BLOCK_LOW, BLOCK_HIGH };

struct sampler {
	struct blk *blk;
	uint64_t left;                  /* bytes that may still be read */
	uint8_t *buf;                   /* SAMPLE_CHUNK blocks */
	enum block_kind kind[SAMPLE_CHUNK];
	uint64_t at;                    /* offset of kind[0] */
	unsigned n;                     /* how many of kind are set */
};
/* -ENOMEM */
int sampler_init(struct sampler *, struct blk *, uint64_t budget, struct err *e);
void sampler_done(struct sampler *);
#define cleanup_sampler cleanup(sampler_done)
/* Classify at most SAMPLE_CHUNK whole blocks from off on (rounded down to a block). Returns how many, 0 where the budget or the
 * device ends, or -errno. */
int sample_at(struct sampler *, uint64_t off, unsigned blocks, struct err *e);
enum block_kind sample_kind(const uint8_t *block);

/* What was found in a row of looks. */
struct sample_sum { unsigned low, high, zero; uint64_t first_low; };
static inline unsigned sample_nonzero(const struct sample_sum *s)
{
	return s->low + s->high;
}
/* Add the last look, at most up to `most` non-zero blocks in all. */
void sample_count(const struct sampler *, struct sample_sum *, unsigned most);

#endif
