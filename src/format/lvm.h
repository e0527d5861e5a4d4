/* SPDX-License-Identifier: MIT */
/* LVM2: physical volumes, volume groups and logical volumes, by our own bounded reader (lvm*.c). A PV is a node of
 * format "lvm" (fmt LVM2_member); its VG is a node of kind KIND_VG without bytes, its LVs are nodes of kind KIND_LV. */
#ifndef FORMAT_LVM_H
#define FORMAT_LVM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "graph.h"

/* "xxxxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxxxx" and its NUL */
enum { LVM_UUID = 39 };

/* A text of a volume group in the metadata ring of a PV. */
struct lvm_old {
	uint64_t seqno;
	char *vg_name;
	uint64_t offset;                /* of the text's first byte in the PV */
	size_t nlvs;                    /* internal ones too */
	time_t when;                    /* creation_time; 0: not said */
	char vg_uuid[LVM_UUID];
	size_t len;                     /* bytes of the text, without its NUL */
	bool current;                   /* the header points here */
	bool removal;                   /* its description says that lvremove or vgremove wrote it */
};

struct lvm_pv_info {
	const char *uuid;
	const char *vg_name;            /* of the newest text on this PV; NULL: names no VG, or nothing of it can be read */
	bool broken;                    /* no header or text could be believed: node->why says why */
	const struct lvm_old *olds; size_t nolds;   /* by seqno, oldest first; the current one among them */
	bool cut;                       /* the ring holds more texts than were looked at */
};
/* false: not a PV. Borrowed from the node. */
bool lvm_pv_info(const struct node *pv, struct lvm_pv_info *ret);

struct lvm_vg_info {
	const char *name, *uuid;        /* as the text has them: the node's name may have a "#2" */
	uint64_t seqno;
	size_t nlvs;                    /* visible ones */
	const char (*missing)[LVM_UUID]; size_t nmissing;   /* PVs that are not attached, or of which it cannot be told */
	const struct lvm_old *olds; size_t nolds;           /* of its first PV */
	bool exported, partial;
	bool conflict;                  /* two PVs hold different texts of the same seqno */
	bool from_old_text;
};
/* false: not a VG of ours. Borrowed from the nodes. */
bool lvm_vg_info(const struct node *vg, struct lvm_vg_info *ret);

/* The PVs that hold extents of an LV and are attached, by i; NULL: no more of them, or not an LV whose extents are known. */
struct node *lvm_lv_pv(const struct node *lv, size_t i);

/* The name of an LV's mapping, as device-mapper spells it: "my--vg-root", without "#2"; to be freed. NULL: no memory or no LV. */
char *lvm_mapper_name(const struct node *lv);

/* Build what can be built, between two passes when nothing else changed: first volume groups that are complete; where there
 * are none, those with missing PVs. 1: added nodes, 0: nothing left to do. */
int lvm_finish(struct graph *, struct err *e);

/* Of a PV whose volume group was removed, or has no LVs any more: the newest text from before the final run of removals. NULL: the
 * current text has LVs, or no older one has. */
const struct lvm_old *lvm_text_to_keep(const struct node *pv);
/* The bytes of a text, for vgcfgrestore; NUL-terminated, to be freed. */
int lvm_read_text(const struct node *pv, const struct lvm_old *, char **ret, struct err *e);
/* The VG of an older text with its LVs as nodes below the PVs, read-only. */
int lvm_open_text(struct graph *, struct node *pv, const struct lvm_old *, struct node **ret, struct err *e);

#endif
