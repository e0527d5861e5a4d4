/* SPDX-License-Identifier: MIT */
/* Between lvm_group.c, which decides what PVs belong together, and lvm_build.c, which makes nodes of it. */
#ifndef FORMAT_LVM_GROUP_H
#define FORMAT_LVM_GROUP_H

#include "format/lvm_priv.h"

/* PVs that make up one volume group, as far as they are there. */
struct lvm_set {
	struct lvm_vg *vg;              /* borrowed: the newest text of them */
	struct node **pvs;              /* owned array, parallel to vg->pvs; NULL: missing */
	size_t nmissing;
	bool conflict;                  /* another text of the same seqno lays out other volumes */
	bool elsewhere;                 /* a missing one is attached, but among several copies */
	bool half;                      /* a re-encryption is under way on one of them, which is seen raw */
	bool old_text;                  /* not what the disk says now */
};
/* The VG's node and its LVs. */
int lvm_build(struct graph *, const struct lvm_set *, struct node **ret, struct err *e);
/* A PV that was missing is there: LVs that become whole are offered to the formats anew. 1: some did. */
int lvm_build_join(struct graph *, struct node *vg, struct node *pv, struct err *e);
/* Is this PV missing in that VG, and does its text agree with the one the VG was built of? */
bool lvm_build_wants(const struct node *vg, const struct lvm_pv *);

#endif
