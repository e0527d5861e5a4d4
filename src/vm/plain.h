/* SPDX-License-Identifier: MIT */
/* What raw bytes prove: plaintext, ciphertext, or neither. Terms: the contract's "plain" and "opaque". Reads are bounded
 * (at most 64 MiB a volume, a few hundred reads). */
#ifndef VM_PLAIN_H
#define VM_PLAIN_H

#include "graph.h"
#include "vm/vm.h"

/* No signature, and the first 64 non-zero 4 KiB blocks (holes skipped by sampling where the device is sparse) all have 7.85
 * bit a byte or more. TRI_UNKNOWN: could not be read, or fewer than 64 non-zero blocks were found in what may be read and none
 * was low. TRI_NO with *blank (may be NULL) where all that was looked at is zero. */
enum tri plain_is_opaque(struct blk *, bool *blank, struct err *e);
/* Is the file system on this node plaintext from its raw bytes? For ext: every backup superblock that the geometry demands
 * has the magic and the same UUID, and low-entropy non-zero blocks are among the first, the middle and the last allocated ones
 * (by the block bitmaps). *ret_why (malloc'd) says the evidence either way. Other file systems: signature, its UUID's copies
 * where the format has them (XFS AG superblocks, FAT's backup boot sector), low-entropy blocks over the whole device. */
enum tri plain_prove(const struct node *, char **ret_why, struct err *e);
/* Row 7: among at most 256 non-zero raw 4 KiB blocks (allocated by the decrypted bitmaps where sane, else spread over the last half; at
 * most 64 MiB read), how many have low entropy. opened: the decrypted file system's node. */
int plain_sample_raw(struct blk *raw, const struct node *opened, unsigned *ret_low, unsigned *ret_sampled, uint64_t *ret_first_low, struct err *e);

#endif
