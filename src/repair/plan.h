/* SPDX-License-Identifier: MIT */
/* A plan: declarative edits, shown before anything happens, staged in the overlay, checked there, and only then handed to
 * the writer. */
#ifndef REPAIR_PLAN_H
#define REPAIR_PLAN_H

#include <stdbool.h>
#include "graph.h"

enum edit_kind { EDIT_RENAME, EDIT_REPLACE, EDIT_REPLAY };
struct edit {
	enum edit_kind kind;
	const struct node *on;          /* the node with the file system; borrowed */
	char *path;                     /* in that node's file system; NULL for EDIT_REPLAY (of its journal) */
	char *new_name;                 /* EDIT_RENAME: base name, with the time stamp */
	void *data; size_t len;         /* EDIT_REPLACE: the whole new content */
	char *shown_path;               /* as the failed system knows it ("/etc/crypttab") */
	unsigned *lines; size_t nlines; /* EDIT_REPLACE: line numbers commented out, for showing */
	const char **because; size_t nbecause;  /* rule ids, static strings */
};
struct plan {
	struct edit *v; size_t n;
	char stamp[20];                 /* YYYYMMDDTHHMMSSZ, of new names */
	char goal;                      /* 0 none, 'e' enable, 'n' no-start */
	const char *machine;            /* name or "-" */
};
/* Copies every string given. NULL: out of memory. */
struct edit *plan_rename(struct plan *, const struct node *, const char *path, const char *shown_path, const char *new_name, const char *because);
struct edit *plan_replace(struct plan *, const struct node *, const char *path, const char *shown_path, const void *data, size_t len, const char *because);
int edit_because(struct edit *, const char *rule_id);
void plan_done(struct plan *);
/* 16 hex digits over the edits (without the stamp in new names) and the identity of every disk. */
struct disk_identity;
int plan_id(const struct plan *, const struct disk_identity *disks, size_t n, char out[17], struct err *e);
/* Carry the edits out on the nodes' file systems (their blks lie on overlays) and sync them. */
int plan_apply(const struct plan *, struct err *e);

#endif
