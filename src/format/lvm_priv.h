/* SPDX-License-Identifier: MIT */
/* What the files of the LVM2 reader know of each other. Document: lvm2's doc/ and the bytes that its tools write; nothing is
 * written here. */
#ifndef FORMAT_LVM_PRIV_H
#define FORMAT_LVM_PRIV_H

#include "base/bytes.h"
#include "format/lvm.h"

enum {
	LVM_MAX_MDA = 16 << 20, LVM_MAX_TEXT = 4 << 20, LVM_MAX_DEPTH = 16, LVM_MAX_TOKENS = 1000000,
	LVM_MAX_PVS = 512,              /* in a VG */
	LVM_MAX_LVS = 1024,             /* in a VG */
	LVM_MAX_NODES = 2048,           /* LVs of all VGs */
	LVM_MAX_OLDS = 4096,
	LVM_MDA_HEADER = 512,
	LVM_MAX_AREAS = 4,              /* metadata areas of a PV; LVM makes two at most */
	LVM_NAME = 128,
};

/* ---- lvm_text.c: the text as a tree ---- */

enum lvm_type { LVM_SECTION, LVM_NUMBER, LVM_STRING, LVM_ARRAY, LVM_ODD };
struct lvm_item {
	const char *name;               /* NULL: a member of an array */
	const char *text;               /* of a string */
	uint64_t number;
	uint32_t child, next;           /* index; 0: none */
	enum lvm_type type;
};
struct lvm_tree {
	char *text;                     /* owned; names and strings point into it */
	struct lvm_item *v; size_t n;   /* v[0] is the whole text, a section */
};
/* Parses up to the first NUL or len. -EBADMSG with line and reason. */
int lvm_tree_parse(const char *text, size_t len, struct lvm_tree **ret, struct err *e);
void lvm_tree_free(struct lvm_tree *);
DEFINE_CLEANUP(struct lvm_tree *, lvm_tree, lvm_tree_free)
#define cleanup_lvm_tree cleanup(cleanup_lvm_treep)
/* By name in a section; NULL: not there, or of another type. in NULL is fine. */
const struct lvm_item *lvm_find(const struct lvm_tree *, const struct lvm_item *in, const char *name, enum lvm_type);
const char *lvm_string(const struct lvm_tree *, const struct lvm_item *in, const char *name);   /* or NULL */
bool lvm_number(const struct lvm_tree *, const struct lvm_item *in, const char *name, uint64_t *ret);
bool lvm_has_flag(const struct lvm_tree *, const struct lvm_item *in, const char *array, const char *flag);
/* Walk: for (i = lvm_first(t, in); i; i = lvm_next(t, i)) */
const struct lvm_item *lvm_first(const struct lvm_tree *, const struct lvm_item *in);
const struct lvm_item *lvm_next(const struct lvm_tree *, const struct lvm_item *);
size_t lvm_count(const struct lvm_tree *, const struct lvm_item *in);

/* ---- lvm_vg.c: the tree as a volume group ---- */

struct lvm_area { unsigned pv; uint64_t pe; };   /* index into pvs; first extent there */
struct lvm_seg {
	uint64_t start, count;          /* extents of the LV */
	uint64_t chunk;                 /* bytes; where n > 1 */
	struct lvm_area *areas; size_t n;
};
enum lvm_fault { LVM_FINE, LVM_UNSUPPORTED, LVM_DAMAGED };
struct lvm_lv {
	char *name;
	bool visible, writable;
	bool origin;                    /* of a snapshot: a write would have to save the old bytes first */
	uint64_t extents;
	struct lvm_seg *segs; size_t nsegs;   /* in order; only those of striped segments */
	enum lvm_fault fault;
	struct err why;
};
struct lvm_vgpv {
	char *key;                      /* "pv0" */
	char uuid[LVM_UUID];
	uint64_t pe_start, pe_count;    /* bytes, extents */
	bool missing;                   /* so the text says */
};
struct lvm_vg {
	unsigned refs;
	char name[LVM_NAME], uuid[LVM_UUID];
	uint64_t seqno, extent;         /* extent: bytes */
	time_t when;
	bool exported, partial, writable;
	struct lvm_vgpv *pvs; size_t npvs;
	struct lvm_lv *lvs; size_t nlvs;
};
bool lvm_name_ok(const char *name);
bool lvm_uuid_ok(const char *dashed);
int lvm_vg_read(const struct lvm_tree *, struct lvm_vg **ret, struct err *e);
struct lvm_vg *lvm_vg_ref(struct lvm_vg *);
void lvm_vg_unref(struct lvm_vg *);
DEFINE_CLEANUP(struct lvm_vg *, lvm_vg, lvm_vg_unref)
#define cleanup_lvm_vg cleanup(cleanup_lvm_vgp)
/* Do both lay out the same volumes on the same PVs? */
bool lvm_vg_same(const struct lvm_vg *, const struct lvm_vg *);
/* Fills all but offset, len and current; false: not the text of a VG. -ENOMEM is the only failure. */
int lvm_old_read(const struct lvm_tree *, struct lvm_old *ret, struct err *e);

/* ---- lvm_pv.c: label, header and metadata areas ---- */

struct lvm_mda {
	uint64_t off, size;             /* where pv_header says it is */
	bool good, ignored;
	struct err why;                 /* why not good */
};
struct lvm_pv {
	char uuid[LVM_UUID];
	struct lvm_mda mdas[LVM_MAX_AREAS]; unsigned nmdas;
	struct lvm_vg *vg;              /* the newest of its texts; NULL: none */
	struct lvm_old *olds; size_t nolds;
	bool cut;                       /* not all of the ring was looked at */
	bool broken;                    /* nothing can be believed */
	struct err why;
	/* lvm.c */
	struct node *vg_node;           /* built */
	bool settled;                   /* belongs nowhere, as far as can be seen */
};
int lvm_pv_read(struct blk *, struct lvm_pv **ret, struct err *e);   /* 1, 0 not a PV, <0 */
void lvm_pv_free(void *);
DEFINE_CLEANUP(struct lvm_pv *, lvm_pv, lvm_pv_free)
#define cleanup_lvm_pv cleanup(cleanup_lvm_pvp)
/* The text that begins at byte off of the PV, copied out of the ring; its CRC is not known. */
int lvm_pv_text(struct blk *, const struct lvm_pv *, uint64_t off, char **ret, size_t *ret_len, struct err *e);

/* ---- lvm_map.c: an LV as a blk ---- */

/* under: parallel to vg->pvs, NULL: not there. Ranges that are not there are unreadable and make *ret_gap the index of such a PV,
 * else -1. */
int lvm_map_open(const struct lvm_vg *, const struct lvm_lv *, struct blk *const *under, bool read_only, struct blk **ret,
		 int *ret_gap, struct err *e);

#endif
