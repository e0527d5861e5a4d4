/* SPDX-License-Identifier: MIT */
/* What is asked of every LUKS header that was read, by both targets. */
#ifndef FUZZ_LUKS_H
#define FUZZ_LUKS_H

#include <gcrypt.h>
#include "fuzz.h"
#include "format/luks.h"

/* Every digest of a re-encryption vouches: what is wanted is what lies behind it. Stands before libgcrypt's own. */
static const struct luks_digest *wanted;

gpg_error_t gcry_kdf_derive(const void *phrase, size_t phrase_len, int algo, int sub, const void *salt, size_t salt_len, unsigned long rounds,
			    size_t n, void *out)
{
	(void)phrase;
	(void)phrase_len;
	(void)algo;
	(void)sub;
	(void)salt;
	(void)salt_len;
	(void)rounds;
	memset(out, 0, n);
	if (wanted)
		memcpy(out, wanted->sum, n < sizeof(wanted->sum) ? n : sizeof(wanted->sum));
	return 0;
}

static inline void fuzz_luks(struct blk *blk)
{
	struct stage_range r[2 + LUKS_MAX_SLOTS];
	struct luks_info *info = malloc(sizeof(*info));
	struct blk *open = NULL;
	struct secret *vk;
	uint64_t done = 0, total = 0;
	char say[200];
	size_t n;

	MUST(info);
	if (luks_read(blk, info, NULL) <= 0) {
		free(info);
		return;
	}
	MUST(info->nslots <= LUKS_MAX_SLOTS && info->nsegments <= LUKS_MAX_SEGMENTS && info->nrequirements <= LUKS_MAX_REQS);
	MUST(memchr(info->uuid, 0, sizeof(info->uuid)) && memchr(info->label, 0, sizeof(info->label)));
	n = luks_ranges(info, r, sizeof(r) / sizeof(*r));
	MUST(n <= sizeof(r) / sizeof(*r));
	for (size_t i = 1; i < n; i++)
		MUST(range_in(r[i].off, r[i].len, blk->size));
	if (luks_progress(info, blk->size, &done, &total))
		MUST(done <= total);
	luks_say_half(info, blk->size, say, sizeof(say));

	vk = secret_new(info->key_size && info->key_size <= 128 ? info->key_size : 64);
	MUST(vk);
	memset(vk->data, 7, vk->len / 2);
	if (luks_open_payload(info, blk, vk, &open, NULL) == 0)
		touch(open);
	blk_unref(take_ptr(&open));
	wanted = &info->reencrypt;
	if (luks_open_half(info, blk, blk, vk, &open, NULL) == 0) {
		uint8_t sector[FUZZ_SECTOR];

		touch(open);
		for (uint64_t off = 0; off < 16 << 20; off += 1 << 19)
			(void)blk_pread(open, sector, sizeof(sector), off, NULL);
	}
	wanted = NULL;
	blk_unref(open);
	secret_free(vk);
	free(info);
}

#endif
