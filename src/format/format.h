/* SPDX-License-Identifier: MIT */
/* One on-disk format. parse is pure (bytes in, struct out) so that a fuzzer can call it with a mem blk. "Damaged but
 * recognisable" is not "not mine": parse returns 1 and records the damage in its meta. */
#ifndef FORMAT_FORMAT_H
#define FORMAT_FORMAT_H

#include "graph.h"

struct format {
	const char *name;               /* ours: "vhd", "gpt", "mbr", "luks", "ext", "xfs", "fat", "other" */
	int (*parse)(struct blk *, void **ret_meta, struct err *e);   /* 1 mine, 0 not mine, <0 I/O */
	/* Fill node->fmt, uuid, label, state, why from meta. NULL: nothing to fill. */
	int (*describe)(struct node *, struct err *e);
	/* Add children to the graph. -EAGAIN: wait (state and why say for what). NULL: a leaf. */
	int (*expand)(struct graph *, struct node *, struct err *e);
	int (*open_fs)(struct node *, struct fs **ret, struct err *e); /* NULL: no file system of ours */
	void (*free_meta)(void *meta);
};

/* Order is meaning: containers before file systems; luks before ext, since stale ext superblocks survive in-place
 * encryption; other (libblkid) last, it names what is left. */
#define FORMATS(X) X(vhd) X(gpt) X(mbr) X(luks) X(lvm) X(ext) X(xfs) X(fat) X(other)
#define X(n) extern const struct format format_##n;
FORMATS(X)
#undef X

/* partition children, used by gpt.c and mbr.c: checks 0 < start, start+len <= disk, overlap; names the child as the
 * kernel would (sdc4, nvme0n1p4, os.img4) */
struct part {
	unsigned no;
	uint64_t start, len;            /* bytes */
	char type[40], uuid[40], *name;
	bool bad;                       /* leaves the disk or overlaps another: kept as a node of state damaged, without bytes */
	struct err why;
};
int parts_check(struct part *p, size_t n, uint64_t disk_size);
int parts_expand(struct graph *, struct node *disk, const struct part *p, size_t n, struct err *e);

#endif
