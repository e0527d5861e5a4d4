/* SPDX-License-Identifier: MIT */
/* One verb, one file, one row. A verb prints its answer and returns the exit code of the contract. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "pipeline.h"

enum upto { UPTO_NOTHING, UPTO_SCAN, UPTO_VM, UPTO_VERDICT };
struct verb {
	const char *name;
	int (*run)(struct rescue *);    /* in the child; the parent for UPTO_NOTHING */
	enum upto upto;
	const char *args, *help;
};
enum { EXIT_OK = 0, EXIT_FAIL = 1, EXIT_USAGE = 2, EXIT_NONE = 3, EXIT_STALE = 4, EXIT_UNFINISHED = 5, EXIT_INCONSISTENT = 6,
       EXIT_DANGEROUS = 7, EXIT_UNKNOWN = 8, EXIT_REFUSED = 9, EXIT_AMBIGUOUS = 10, EXIT_BUSY = 11, EXIT_CHANGED = 12, EXIT_UNVERIFIED = 13 };

int cmd_scan(struct rescue *);
int cmd_bek(struct rescue *);
int cmd_luks(struct rescue *);
int cmd_diagnose(struct rescue *);
int cmd_clean(struct rescue *);
int cmd_undo(struct rescue *);
int cmd_resume(struct rescue *);
int cmd_ls(struct rescue *);
int cmd_cat(struct rescue *);
int cmd_cp(struct rescue *);
int cmd_save(struct rescue *);
int cmd_explain(struct rescue *);

#endif
