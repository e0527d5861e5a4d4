/* SPDX-License-Identifier: MIT */
/* This rescue system: which disks it runs from, who holds the others. Read in the parent from mountinfo, swaps and sysfs. */
#ifndef VM_HOST_H
#define VM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct host_holder { char *node;    /* kernel name of the disk, partition or image: "sdc2" */
	char *holder;               /* "mounted read-write on /boot", "device-mapper rootvg-rootlv", "loop0", "swap" */
	char *release;              /* the command that lets go: "umount /boot" */
	bool rw;                    /* a file system of it is mounted read-write */
	int disk; };                /* index into the disks given */
struct host {
	struct { char *disk, *why; } *skipped; size_t nskipped;
	struct host_holder *busy; size_t nbusy;
	char **warnings; size_t nwarnings;
};
struct host_disk { char *path, *name; int fd; uint64_t size; uint32_t sector; bool is_blk; char serial[64], lun[16], bus[16], model[64]; };
/* root: "/" but in tests, where a folder stands in for /proc and /sys. All attached whole disks but those the system runs from. */
int host_disks(const char *root, struct host_disk **ret, size_t *ret_n, struct host *h, struct err *e);
/* Open one named disk or image O_RDONLY. -ENOENT, -EISDIR, -EINVAL (a directory, a FIFO, a container format such as qcow2) with the sentence. */
int host_open(const char *path, struct host_disk *ret, struct err *e);
/* lun:N: the one attached disk (of those that host_disks gives) with this LUN; -ENOENT, -ENOTUNIQ. */
int host_open_lun(const char *root, const char *lun, struct host_disk *ret, struct err *e);
/* Fill bus, lun, model and serial of a block device that was named. */
void host_describe(const char *root, struct host_disk *);
int host_skip(struct host *, const char *disk, const char *why);
/* Who holds these disks. */
int host_holders(const char *root, const struct host_disk *disks, size_t n, struct host *h, struct err *e);
void host_done(struct host *);
void host_disks_free(struct host_disk *, size_t n);

#endif
