/* SPDX-License-Identifier: MIT */
/* What the files of clean share. */
#ifndef CMD_CLEAN_H
#define CMD_CLEAN_H

#include "cmd/cmd.h"
#include "report/report.h"

/* A clean from the judgement to the commit. Strings that outlive the first look are copies: the graph is forgotten for the second. */
struct clean {
	struct rescue *r;
	size_t which;                   /* of r->judged, at the first look */
	char *name;                     /* "-" where there is none; owned */
	struct plan plan;               /* its nodes dangle after the second look */
	char plan_id[17];
	char run[32];
	struct json_object *edits;      /* for showing and for the undo file; owned */
	struct json_object *by_hand;    /* commands; owned */
	struct json_object *findings;   /* ids of the first look, as an object of id: true; owned */
	struct change_set cs;
	uint32_t *disk_index;           /* parallel to cs.disks */
	struct wire_bound *bounds; size_t nbounds;      /* of the volumes edited, on their disks */
	struct { uint32_t disk; uint64_t off, len; } *watches; size_t nwatches;
	const char *verdict_before, *rule_before;       /* static strings */
	const char *verdict_after, *rule_after;
	enum data_state data;
	bool starts_by_itself;          /* at the next boot after this plan */
	char *boot_text;                /* what the boot after the clean does */
	char *checked;                  /* what the checker said, in one line */
	int code;                       /* the exit code in the end */
	char **why; size_t nwhy;        /* refused: reasons */
	char **first; size_t nfirst;    /* refused: what to do first */
	struct commit_result result; bool applied;
};
/* Reasons and first steps, printf; 0. */
void clean_refuse(struct clean *, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void clean_first(struct clean *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Carry the plan out in the overlays, check, look again, collect the changes. 0, or an exit code with reasons. */
int clean_stage(struct clean *);
/* The answer. */
int clean_print(const struct clean *);
void clean_done(struct clean *);

#endif
