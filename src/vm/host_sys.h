/* SPDX-License-Identifier: MIT */
/* sysfs, mountinfo and swaps below a root folder, for host.c and holders.c. */
#ifndef VM_HOST_SYS_H
#define VM_HOST_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "vm/host.h"

/* The first line of a file, trimmed, "" where it cannot be read. */
void sys_text(const char *root, char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Where a symbolic link leads (malloc'd, resolved), or NULL. */
char *sys_link(const char *root, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct sys_mount { unsigned major, minor; char *at, *fstype; bool rw; };
struct sys_mounts { struct sys_mount *v; size_t n; };
int sys_mounts_read(const char *root, struct sys_mounts *ret, struct err *e);
void sys_mounts_done(struct sys_mounts *);
struct sys_swaps { char **v; size_t n; };        /* kernel names: "sda2" */
int sys_swaps_read(const char *root, struct sys_swaps *ret, struct err *e);
void sys_swaps_done(struct sys_swaps *);
/* The kernel name of MAJOR:MINOR ("sda1", "dm-0"), "" unknown. */
void sys_dev_name(const char *root, unsigned major, unsigned minor, char *buf, size_t size);

/* The whole disks under /, /usr, /var, their folders and swap. */
struct sys_used { struct { char *disk, *why; } *v; size_t n; };
int sys_used_read(const char *root, struct sys_used *ret, struct err *e);
const char *sys_used_why(const struct sys_used *, const char *disk);
void sys_used_done(struct sys_used *);

#endif
