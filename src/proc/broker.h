/* SPDX-License-Identifier: MIT */
/* Two processes. The parent ("broker") opens disks, holds locks, mounts FUSE, runs checkers as nobody and is the only writer; it parses
 * nothing that comes from a disk. The child, without privileges, does all the rest and asks the parent over a socket. */
#ifndef PROC_BROKER_H
#define PROC_BROKER_H

#include <stdbool.h>
#include "base/err.h"
#include "base/sandbox.h"
#include "blk/blk.h"
#include "proc/wire.h"
#include "repair/commit.h"

/* ---- child side ---- */
struct broker;                          /* the child's end; NULL where there is no parent (unit tests): everything is -EOPNOTSUPP */
/* A file that shows a blk (read and write go to it) to third processes, through FUSE; the parent mounts, a thread of ours serves. While it
 * exists the caller must not write to the blk. Several may exist at once: the layers that keep state lock themselves (blk.h). -EOPNOTSUPP: no
 * FUSE here, e says why. */
struct export;
int broker_export(struct broker *, struct blk *, struct export **ret, struct err *e);
void export_close(struct export *);
/* Run a checker on the exported file as a third process, nobody, with limits (wall and CPU time, 1 MiB of output). */
enum checker { CHECK_E2FSCK_JOURNAL /* e2fsck -E journal_only -y */, CHECK_E2FSCK /* e2fsck -fn */, CHECK_XFS_REPAIR /* xfs_repair -n */,
	       CHECK_BTRFS /* btrfs check --readonly */ };
struct check_result { int status; /* exit status, or -1: killed, timed out, flooded */ char *output; char *why; };
int export_check(struct export *, enum checker, struct check_result *ret, struct err *e);
void check_result_done(struct check_result *);
/* Has a write to the exported blk failed? Then what the writer left is not whole. */
bool export_has_failed(const struct export *);
/* Could the kernel be asked to mount this file system ("xfs", "btrfs", "ext4")? 0, or -EOPNOTSUPP and why not (no root, no FUSE, no loop devices, no
 * such file system in this kernel). */
int broker_kernel_can(struct broker *, const char *fmt, struct err *e);
/* Mount the exported file by the kernel, through a loop device, in the parent's private mount namespace; *ret_sock is the file server's socket
 * (kserve.h), the caller's to close. Unmount before export_close: 0 means that everything was written to the blk and nothing is left. */
int export_kmount(struct export *, const char *fmt, bool write, int *ret_sock, struct err *e);
int export_kumount(struct export *, struct err *e);
/* Hand a change set to the writer. disk_index: for each disk of the set, its place among the disks given; bounds: where the plan's volumes lie, outside of
 * which the writer refuses a change. */
int broker_commit(struct broker *, const struct change_set *, const uint32_t *disk_index, const struct wire_bound *bounds, size_t nbounds,
		  struct commit_result *ret, struct err *e);
/* Files outside: for cp and save. The parent creates below one destination given on the command line, never following links, never over a file. */
int broker_mkdir(struct broker *, const char *rel, uint32_t mode, struct err *e);
int broker_create(struct broker *, const char *rel, uint32_t mode, struct err *e);     /* becomes the current file */
int broker_write(struct broker *, const void *buf, size_t len, uint64_t off, struct err *e);
int broker_finish(struct broker *, uint64_t size, uint32_t mode, uint32_t uid, uint32_t gid, int64_t mtime, struct err *e);   /* of the current file */
int broker_symlink(struct broker *, const char *rel, const char *target, uint32_t uid, uint32_t gid, int64_t mtime, struct err *e);
int broker_xattr(struct broker *, const char *name, const void *v, size_t n, struct err *e);   /* of the current file, before finish */
int broker_dirmeta(struct broker *, const char *rel, uint32_t mode, uint32_t uid, uint32_t gid, int64_t mtime, struct err *e);

/* ---- both ---- */
struct broker_options {
	const struct commit_disk *disks; size_t ndisks;
	const char *const *disk_refused;        /* per disk: why it must not be written (held here), or NULL; exit 11 */
	const char *undo_file;
	bool may_commit;                        /* clean --apply only */
	const char *dest;                       /* cp, save: destination on this host; NULL: none */
	bool dest_is_dir, dest_new_private;     /* cp into a folder; save: make a new folder 0700 */
	bool dest_owner;                        /* cp -a: keep owners */
};
/* Fork. In the child: drop privileges, then run(arg, broker) and exit with its answer. In the parent: serve until the child ends, then return
 * its exit status (1 where it was killed, with a sentence on stderr). */
int broker_run(const struct broker_options *, int (*run)(void *arg, struct broker *), void *arg);

#endif
