/* SPDX-License-Identifier: MIT */
/* What boot.c asks of bootpieces.c, and header hunting (headerhunt.c). */
#ifndef VM_BOOTPIECES_H
#define VM_BOOTPIECES_H

#include "vm/vm.h"

/* The pieces in the system's own tree: hooks, modprobe.d, lvm.conf. Nothing of it ends in gaps: what could not be read is
 * HAVE_UNKNOWN there. -ENOMEM. */
int bootpieces_tree(struct vm *, struct err *e);
/* The kernel that boots by default, its configuration, and initramfs images: its own, and the others where it does not have all
 * that one of ADE's systems boots with, or where look_closer is set. base: /boot in fs. saved: GRUB's saved_entry, or NULL. */
int bootpieces_images(struct vm *, struct fs *, const char *base, const char *saved, struct err *e);
void bootpieces_done(struct boot_pieces *);

/* Where luks/osluksheader of a boot file system is missing or cannot be read, and something on its disk could be what it
 * belongs to: copies inside initramfs images ("initrd.img-5.15!boot/luks/osluksheader"), and headers without a name anywhere in
 * the raw bytes of the device. They become detached headers of the graph, for unlocking to try. base: /boot in fs. 1 something
 * was added, 0, -ENOMEM. */
int headers_hunt(struct graph *, const struct node *, struct fs *, const char *base, struct err *e);
/* The version of a kernel in the name of its image or initramfs, malloc'd; NULL: none, or a rescue or kdump image. */
char *boot_version(const char *name);
/* Newer first, by strverscmp. */
int boot_newer(const void *a, const void *b);

#endif
