/* SPDX-License-Identifier: MIT */
/* Boot menus as text: grub.cfg, the older grub.conf, BLS entries, grubenv. Pure: bytes in, entries out. */
#ifndef VM_BOOTCFG_H
#define VM_BOOTCFG_H

#include "vm/vm.h"

/* Variables that menus refer to ($kernelopts). */
struct bootvar {
	char *name, *value;
};
struct bootvars {
	struct bootvar *v;
	size_t n;
};
void bootvars_done(struct bootvars *);
/* grubenv: NAME=value lines; a later one wins. */
int bootvars_parse(const char *text, size_t len, struct bootvars *, struct err *e);

/* Entries are appended to *v; file and node_path are copied into each. Kernel arguments have $name and
 * ${name} replaced by what vars know; variables that grub.cfg sets are added to vars where these do not know
 * them yet (conditions are not decided, and grubenv goes first). At most BOOT_MAX_ENTRIES in all: what is
 * beyond is dropped and full set. */
enum { BOOT_MAX_ENTRIES = 1000 };
struct bootmenu {
	struct boot_entry **v;
	size_t *n;
	const char *file, *node_path;
	struct bootvars *vars;
	bool full;
};
int bootmenu_grub(struct bootmenu *, const char *text, size_t len, struct err *e);
int bootmenu_bls(struct bootmenu *, const char *text, size_t len, struct err *e);
void boot_entry_done(struct boot_entry *);

/* Does this run of kernel arguments hold what ADE puts there: root=/dev/mapper/osencrypt, rd.luks.ade.*,
 * rd.luks.uuid=osencrypt? The first such argument, malloc'd, or NULL. */
char *bootargs_patched(const char *args);

#endif
