/* SPDX-License-Identifier: MIT */
/* The writer: the only file that opens a disk for writing, always in the parent process. */
#ifndef REPAIR_COMMIT_H
#define REPAIR_COMMIT_H

#include "repair/undo.h"

struct commit_disk { int fd; const char *path; };   /* fd: the read-only descriptor held since the start; it is reopened through it */
struct commit_result { char *undo_path; uint64_t undo_size; uint8_t undo_sha256[32]; };
void commit_result_done(struct commit_result *);
/* Write the set. disks are parallel to the set's. undo_file NULL: the default place, its folders made 0700. Never
 * on a disk that is changed (-EINVAL), never over an existing file (-EEXIST).
 * Takes O_EXCL on block devices (-EBUSY), flock on every disk (-EBUSY), refuses a disk that another armed run covers (-EBUSY), compares identities from the
 * descriptor (-ESTALE). SIGINT, SIGTERM, SIGHUP and SIGPIPE are held back from arming to done. Where nothing was written to a disk the undo file is
 * removed again. */
int commit_apply(const struct change_set *, const struct commit_disk *disks, const char *undo_file, struct commit_result *ret, struct err *e);

/* Runs known: files in the default folder, by name, which is by time. A file that cannot be read or is damaged is listed as RUN_NONE with damage set
 * (else NULL): its run's name is that of the file. */
struct run_info {
	char *path; char run[32]; char *machine; enum run_state state; uint64_t size;
	struct disk_identity *disks; size_t ndisks; char *facts; char *damage;
};
int runs_list(struct run_info **ret, size_t *ret_n, struct err *e);
void runs_free(struct run_info *, size_t n);
/* Undo or resume a run. file: the undo file. candidates: paths where its disks may be (block devices or images); each disk is found by
 * identity, never by name: -ENODEV none, -ENOTUNIQ several, -ESTALE one that is it by serial or path, but was changed, -EBUSY one that is held here.
 * The paths in the undo file are tried too. Else as undo_run and undo_resume. Sentences for people are put into *ret_text (malloc'd) on success. */
/* UNDO_HINTS: the paths that the undo file remembers are candidates too. Without candidates they always are; where disks were named, only those may be
 * written. */
enum { UNDO_RESUME = 1, UNDO_HINTS = 2 };
int commit_undo(const char *file, const char *const *candidates, size_t n, int flags, char **ret_text, struct err *e);
/* /var/lib/aderescue/undo for root, else $XDG_STATE_HOME/aderescue/undo or ~/.local/state/aderescue/undo: malloc'd, NULL: out of memory or no home. */
char *commit_undo_dir(void);

#endif
