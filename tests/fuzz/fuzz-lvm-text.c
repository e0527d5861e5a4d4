/* SPDX-License-Identifier: MIT */
/* The text of a volume group: tree, group, and the maps of its volumes over disks of zeroes. */
#define FUZZ_TEXT
#include "fuzz.h"
#include "format/lvm_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_lvm_tree struct lvm_tree *t = NULL;
	cleanup_lvm_vg struct lvm_vg *vg = NULL;
	cleanup_blk struct blk *pv = NULL;
	struct blk *under[LVM_MAX_PVS];
	struct extent hole = { .len = 64 << 20 };
	struct lvm_old old = { 0 };

	if (lvm_tree_parse((const char *)data, size, &t, NULL) < 0)
		return 0;
	if (lvm_old_read(t, &old, NULL) > 0)
		free(old.vg_name);
	if (lvm_vg_read(t, &vg, NULL) < 0)
		return 0;
	MUST(vg->npvs <= LVM_MAX_PVS && vg->nlvs <= LVM_MAX_LVS && lvm_vg_same(vg, vg));
	MUST(blk_open_map(&hole, 1, &pv, NULL) == 0);
	for (size_t i = 0; i < LVM_MAX_PVS; i++)
		under[i] = i % 3 == 2 ? NULL : pv;
	for (size_t i = 0; i < vg->nlvs; i++) {
		cleanup_blk struct blk *lv = NULL;
		int gap = -1;

		if (lvm_map_open(vg, &vg->lvs[i], under, i % 2, &lv, &gap, NULL) == 0 && lv)
			touch(lv);
	}
	return 0;
}
