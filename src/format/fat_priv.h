/* SPDX-License-Identifier: MIT */
/* Inside the FAT reader: fat.c knows boot sectors, fat_dir.c clusters and directories, fat_fs.c files. */
#ifndef FORMAT_FAT_PRIV_H
#define FORMAT_FAT_PRIV_H

#include "base/bytes.h"
#include "blk/blk.h"
#include "format/fat.h"
#include "fs/fs.h"

enum {
	FAT_CACHE = 4096, FAT_MAX_DEPTH = 8, FAT_SLOT = 32,
	FAT_NAME_SIZE = 781,            /* 20 parts of 13 UTF-16 units, as UTF-8 */
	ATTR_READONLY = 0x01, ATTR_VOLUME = 0x08, ATTR_DIR = 0x10,
};

struct fat {
	struct fs fs;                   /* first */
	struct blk *blk;                /* borrowed while parsing, owned once it is a file system */
	struct fat_geometry g;
	uint32_t clusters;              /* those of g.clusters that lie wholly on the device */
	uint8_t cache[FAT_CACHE];       /* of the FAT, from cache_at */
	uint64_t cache_at;
	bool cached;
	/* the file read last: its chain, checked from end to end */
	uint32_t *chain;
	uint32_t chain_first, chain_n;
};

struct fat_entry {
	char name[FAT_NAME_SIZE], alias[13];
	char raw[11];
	uint8_t attr;
	uint32_t cluster, size;
	uint64_t at;                    /* where its slot is, bytes: its inode number */
	le16 ctime, cdate, adate, mtime, mdate;
};

/* A walk along a chain; seen has one bit for each cluster. */
struct fat_walk {
	struct fat *f;
	uint32_t cur;
	uint8_t *seen;
};

/* Borrows blk. -ERANGE: the device ends before the first cluster. */
int fat_init(struct fat *f, struct blk *blk, const struct fat_geometry *g);
uint64_t fat_cluster_off(const struct fat *f, uint32_t cluster);

/* 1 and w->cur is the first cluster, or the next one; 0: the chain ended. -EBADMSG. */
int fat_walk_start(struct fat_walk *w, struct fat *f, uint32_t first, struct err *e);
int fat_walk_next(struct fat_walk *w, struct err *e);
void fat_walk_done(struct fat_walk *w);

/* Every entry of the directory that begins at first (0: the root), volume entries too, in the order of the
 * disk; those before a damaged spot are still given. A non-zero answer of fn ends the walk and is returned.
 */
int fat_dir_each(struct fat *f, uint32_t first, int (*fn)(void *arg, const struct fat_entry *), void *arg,
		 struct err *e);

/* A file system over a set-up struct fat, which it takes. */
struct fs *fat_fs(struct fat *f);

#endif
