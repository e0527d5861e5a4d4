/* SPDX-License-Identifier: MIT */
/* [NODE]:PATH words: which tree and which path in it. */
#ifndef CMD_PATHS_H
#define CMD_PATHS_H

#include "cmd/cmd.h"
#include "fs/tree.h"

struct place {
	struct tree one;                /* a tree of one mount, where a node was named */
	const struct tree *tree;        /* to walk */
	const char *path;               /* in the word; borrowed */
};
/* An exit code after a sentence on stderr, or 0. ":/x" is the failed system's whole tree, "NODE:/x" a node's file system, "NAME:/x" a machine's tree. */
int place_find(struct rescue *, const char *word, struct place *ret);
void place_done(struct place *);
/* The exit code of the contract for an error of a file operation, after its sentence on stderr. */
int place_failed(const char *word, int code, const struct err *e);
/* Words for the terminal: escaped, malloc'd; without a terminal the bytes as they are. */
char *place_shown(const char *name);

#endif
