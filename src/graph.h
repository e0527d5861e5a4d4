/* SPDX-License-Identifier: MIT */
/* The picture that `scan` prints: nodes and what they lie on. A node is one thing: kind says how its bytes
 * come about, fmt what they hold. The graph owns its nodes; nodes never move in memory. */
#ifndef GRAPH_H
#define GRAPH_H

#include <stdbool.h>
#include "blk/blk.h"
#include "fs/fs.h"

enum node_kind { KIND_DISK, KIND_PARTITION, KIND_LUKS, KIND_VG, KIND_LV, KIND_MD, KIND_BEK, KIND_UNKNOWN };
enum node_state { NODE_NEW, NODE_OPEN, NODE_LOCKED, NODE_WAITING, NODE_DAMAGED, NODE_UNSUPPORTED };

struct format;
struct header;
struct node;
/* How the kernel is asked to read or write a file system (fs/kernel.h). */
struct kernel_hook {
	void *arg;
	int (*can)(void *arg, const char *fmt, struct err *e);   /* 0, or why it is not possible here */
	int (*open)(void *arg, struct node *, bool write, struct fs **ret, struct err *e);
};
struct node {
	char *name;                     /* "sda", "sda2", "os.img4", "rootvg/rootlv", "sda4:open": used on the command line */
	enum node_kind kind;
	struct blk *blk;                /* owned ref; NULL where there are no bytes (a VG, a locked volume) */
	const struct format *format;    /* NULL: nothing of ours recognised */
	void *meta;                     /* the format's own, freed by format->free_meta */
	char fmt[24];                   /* libblkid's spelling: "gpt", "dos", "ext4", "vfat", "crypto_LUKS", ""; also of
					 * formats we only name */
	char uuid[64], *label;          /* libblkid's spelling; label is raw bytes, NULL: none */
	enum node_state state;
	struct err why;                 /* why not open, or what is damaged; empty: nothing to say */
	struct node **parents; size_t nparents;   /* borrowed; an LV has many. First: what its bytes come from */
	uint64_t size;
	uint64_t offset;                /* of a partition in its disk */
	unsigned partno;                /* 0: not a partition */
	char partuuid[40];              /* as blkid: GUID, or "xxxxxxxx-NN" for MBR */
	char parttype[40];              /* GPT type GUID lower case, or "0x83" */
	char *partname;                 /* GPT name, UTF-8, or NULL */
	unsigned sector;                /* logical sector size found or assumed; disks and partitions */
	int disk;                       /* index of the disk in struct rescue; -1: several */
	const struct header *opened_by; /* for opened volumes: the LUKS header used; borrowed from graph */
	struct fs *fs;                  /* owned; NULL: no file system, or not openable (then fs_why says why) */
	struct err fs_why;
	bool fs_tried;
	int8_t opaque;                  /* 1 yes, 0 no, -1 not asked yet */
	bool moving;                    /* mounted read-write on this system: facts may change */
	bool replay_tried, replayed;    /* its journal needed recovery: replayed into the overlay, or replay_why says why not */
	struct err replay_why;
	unsigned passes;                /* how often the worklist offered it */
	const struct kernel_hook *kernel;   /* the graph's */
	bool half;                      /* a re-encryption stopped half-way on it: its files are those of the opened volume */
};

/* One LUKS header, attached or detached (luks.h). One key that was found (keys.h). */
struct key;
struct graph {
	struct node **nodes; size_t n;
	struct header **headers; size_t nheaders;   /* owned */
	struct key **keys; size_t nkeys;            /* owned, in the order to try */
	const struct kernel_hook *kernel;           /* borrowed; NULL: never. Set before the first node is added */
	void (*progress)(void *arg, const char *what);
	void *progress_arg;
};

/* A new node below parent (NULL for a disk); takes its own ref of blk (may be NULL). The name is made unique by
 * "#2", "#3" where it would clash. Parents: more by graph_add_parent. NULL: out of memory. */
struct node *graph_add(struct graph *, const char *name, enum node_kind, struct node *parent, struct blk *);
int graph_add_parent(struct node *, struct node *parent, struct err *e);
struct node *graph_find(const struct graph *, const char *name);   /* by name, or NULL */
/* children of a node, in order of creation: fn's non-zero answer ends the walk */
int graph_children(const struct graph *, const struct node *, int (*fn)(void *arg, struct node *), void *arg);
bool node_has_children(const struct graph *, const struct node *);
/* Offer nodes to formats until a pass changes nothing. between is called between two passes (keys are found there)
 * and answers 1 when it changed something. I/O errors of single nodes end in their why, not here. */
int graph_run(struct graph *, int (*between)(void *arg, struct graph *, struct err *e), void *arg, struct err *e);
/* The node's file system, opened on first use; NULL with e set. */
struct fs *node_fs(struct node *, struct err *e);
/* The same for writing: where its reader leaves that to the kernel (fs->by_kernel), the kernel's back end takes its place as node->fs, and whoever
 * borrowed the old one must have done with it. 0, or why nothing may be written. fs_sync then unmounts; node_forget brings the reader back. */
int node_fs_writable(struct node *, struct fs **ret, struct err *e);
/* Forget the file system and the format's facts: the bytes were changed below (a journal was replayed, a plan applied). */
void node_forget(struct node *);
const char *node_kind_name(enum node_kind);
const char *node_state_name(enum node_state);   /* of contract.md: open, locked, waiting, damaged, unsupported */
void graph_done(struct graph *);

#endif
