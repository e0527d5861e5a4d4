/* SPDX-License-Identifier: MIT */
/* GPT, MBR and VHD: no partition may leave the disk or overlap another, whatever the table says. Checksums of GPT are put right first. */
#include "fuzz.h"

static void repair_gpt(struct blk *blk, uint64_t at)
{
	uint8_t *h = sparse_at(blk, at), *entries;
	uint64_t len;
	le32 n, size, hdr;
	le64 lba;

	if (!h || memcmp(h, "EFI PART", 8))
		return;
	memcpy(&hdr, h + 12, 4);
	memcpy(&lba, h + 72, 8);
	memcpy(&n, h + 80, 4);
	memcpy(&size, h + 84, 4);
	len = (uint64_t)le32_get(n) * le32_get(size);
	if (len <= 1 << 20 && le64_get(lba) < UINT32_MAX && range_in(le64_get(lba) * FUZZ_SECTOR, len, blk->size) && (entries = malloc(len + 1))) {
		(void)blk_pread(blk, entries, len, le64_get(lba) * FUZZ_SECTOR, NULL);
		put_le32(h + 88, bytes_crc32(0, entries, len));
		free(entries);
	}
	put_le32(h + 16, 0);
	put_le32(h + 16, bytes_crc32(0, h, le32_get(hdr) <= FUZZ_SECTOR ? le32_get(hdr) : 92));
}

static void repair_vhd(uint8_t *f)
{
	uint32_t sum = 0;

	if (!f || memcmp(f, "conectix", 8))
		return;
	memset(f + 64, 0, 4);
	for (size_t i = 0; i < FUZZ_SECTOR; i++)
		sum += f[i];
	sum = ~sum;
	for (int i = 0; i < 4; i++)
		f[64 + i] = (uint8_t)(sum >> (24 - 8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct format *const formats[] = { &format_vhd, &format_gpt, &format_mbr };
	cleanup_blk struct blk *blk = sparse_open(data, size);

	if (!blk)
		return 0;
	repair_gpt(blk, 1);
	repair_gpt(blk, 8);
	repair_vhd(sparse_at(blk, 0));
	if (blk->size) {
		repair_gpt(blk, blk->size / FUZZ_SECTOR - 1);
		repair_vhd(sparse_at(blk, blk->size / FUZZ_SECTOR - 1));
	}
	for (size_t i = 0; i < 3; i++) {
		struct graph g = { 0 };

		(void)fuzz_format(&g, formats[i], blk);
		graph_done(&g);
	}
	return 0;
}
