/* SPDX-License-Identifier: MIT */
/* LVM2 on a disk: label, areas, texts, groups, volumes. The CRCs of label, area headers and current texts are put right first. */
#include "fuzz.h"
#include "format/lvm_priv.h"

static uint32_t crc(const void *p, size_t n)
{
	return ~bytes_crc32(~0xf597a6cfu, p, n);
}

/* The header at a sector, and the text that it names; the text may go round the area's end. */
static void repair_mda(struct blk *blk, uint64_t off, uint64_t size)
{
	uint8_t *h = off % FUZZ_SECTOR ? NULL : sparse_at(blk, off / FUZZ_SECTOR), *text;
	uint64_t at, len, first;
	le64 v;

	if (!h || memcmp(h + 4, " LVM2 x[5A%r0N*>", 16) || !range_in(off, size, blk->size))
		return;
	memcpy(&v, h + 40, 8);
	at = le64_get(v);
	memcpy(&v, h + 48, 8);
	len = le64_get(v);
	if (at >= LVM_MDA_HEADER && at < size && len <= size - LVM_MDA_HEADER && len < 1 << 20 && (text = malloc(len + 1))) {
		first = len < size - at ? len : size - at;
		(void)blk_pread(blk, text, first, off + at, NULL);
		(void)blk_pread(blk, text + first, len - first, off + LVM_MDA_HEADER, NULL);
		put_le32(h + 56, crc(text, len));
		free(text);
	}
	put_le32(h, crc(h + 4, LVM_MDA_HEADER - 4));
}

static void repair(struct blk *blk)
{
	for (uint64_t i = 0; i < 4; i++) {
		uint8_t *s = sparse_at(blk, i);
		uint64_t at = 32 + 40, zeroes = 0;
		le64 off, size;

		if (!s || memcmp(s, "LABELONE", 8))
			continue;
		for (; zeroes < 2 && at + 16 <= FUZZ_SECTOR; at += 16) {
			memcpy(&off, s + at, 8);
			memcpy(&size, s + at + 8, 8);
			if (zeroes)
				repair_mda(blk, le64_get(off), le64_get(size));
			zeroes += !le64_get(off);
		}
		put_le32(s + 16, crc(s + 20, FUZZ_SECTOR - 20));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_blk struct blk *blk = sparse_open(data, size);
	struct graph g = { 0 };
	struct lvm_pv_info info;
	struct node *n, *vg;

	if (!blk)
		return 0;
	repair(blk);
	n = fuzz_format(&g, &format_lvm, blk);
	for (int i = 0; n && i < 4 && lvm_finish(&g, NULL) > 0; i++)
		check_nodes(&g);
	if (n && lvm_pv_info(n, &info)) {
		(void)lvm_text_to_keep(n);
		for (size_t i = 0; i < info.nolds && i < 4; i++) {
			cleanup_free char *text = NULL;

			(void)lvm_read_text(n, &info.olds[i], &text, NULL);
			(void)lvm_open_text(&g, n, &info.olds[i], &vg, NULL);
		}
		check_nodes(&g);
	}
	for (size_t i = 0; i < g.n; i++)
		free(g.nodes[i]->kind == KIND_LV ? lvm_mapper_name(g.nodes[i]) : NULL);
	graph_done(&g);
	return 0;
}
