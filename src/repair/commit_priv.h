/* SPDX-License-Identifier: MIT */
/* What the files of this folder share about real disks and real folders; all of it in the parent process. */
#ifndef REPAIR_COMMIT_PRIV_H
#define REPAIR_COMMIT_PRIV_H

#include "repair/commit.h"
#include "repair/undo_priv.h"
#include "vm/host.h"

/* The real wio. Borrows every descriptor; log and dir are -1 where there is none. */
struct disk_io {
	struct wio io;
	int log, dir;
	const int *disks;
	size_t n;
	bool wrote;                     /* a write to a disk was tried */
};
void disk_io_init(struct disk_io *, int log, int dir, const int *disks, size_t n);

/* Where an undo file goes: its folder, open, and its name there. */
struct undo_place { int dir; char *folder, *name; };
void undo_place_done(struct undo_place *);
/* file NULL: RUN.undo in the default folder, which is made where it is missing. */
int undo_place_open(const char *file, const char run[32], struct undo_place *ret, struct err *e);
/* -EINVAL where the folder lies on this disk (a block device, one of its partitions, whatever lies on them, or an image behind a loop device). */
int undo_place_refuse(const struct undo_place *, int disk, const char *name, struct err *e);

/* -EBUSY where an armed run of the default folder covers one of these disks (parallel to the set's). */
int runs_refuse_armed(const struct change_set *, const int *disks, struct err *e);
/* -EBUSY where this system holds one of them: a mount, a mapping, a loop device on an image. */
int runs_refuse_held(const struct host_disk *, size_t n, struct err *e);
/* The disks of a set among candidates and the paths that the set remembers; *ret is parallel to the set's disks, open for reading. None of them
 * is held here. */
int runs_find_disks(const struct change_set *, const char *const *candidates, size_t n, bool hints, struct host_disk **ret,
		    struct err *e);

#endif
