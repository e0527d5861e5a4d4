/* SPDX-License-Identifier: MIT */
/* Small configuration texts of the boot path. Pure: bytes in, facts out. */
#ifndef VM_BOOTCONF_H
#define VM_BOOTCONF_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

/* Does a text of modprobe.d keep vfat from being loaded ("install vfat /bin/true", "blacklist vfat")? 1: *ret_line (the caller's) and
 * *ret_at say where; 0; -ENOMEM. */
int modprobe_vfat_off(const char *text, size_t n, char **ret_line, unsigned *ret_at, struct err *e);

/* The partition that the script crypt-ade-boot opens: a GUID after "by-partuuid/" or "PARTUUID=". out "": it names none so.
 * *ret_token: the place holder ROOTPARTUUID stands where a GUID should. */
void bootscript_partuuid(const char *text, char out[40], bool *ret_token);

/* What filter and global_filter of lvm.conf mean for an encrypted PV. line 0: no filter is set. */
struct lvm_filter {
	unsigned line;                  /* of the last filter */
	bool takes_osencrypt;           /* accepts something named osencrypt, /dev/mapper or all */
	bool rejects_rest;              /* "r|.*|" and the like */
	char rejects[40];               /* the GUID of a partition that it rejects, "": none */
};
void lvmconf_filter(const char *text, size_t n, struct lvm_filter *ret);

/* CONFIG_NAME of a kernel's configuration: 'y', 'm', 'n' (said not to be set) or 0 (not said). name with "CONFIG_". */
char kconfig_value(const char *text, size_t n, const char *name);

#endif
