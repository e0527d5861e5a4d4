/* SPDX-License-Identifier: MIT */
/* What an initramfs image holds of the pieces that an encrypted OS boots with. Nothing of it is believed beyond that: a piece
 * that was seen is there; a piece that was not seen is missing only where the image was walked to its end. */
#ifndef VM_INITRAMFS_H
#define VM_INITRAMFS_H

#include <stdbool.h>
#include <stdint.h>
#include "fs/fs.h"

enum {
	INITRAMFS_MAX_ENTRIES = 200000,
	INITRAMFS_MAX_NAME = 4096,
	INITRAMFS_MAX_TEXT = 64 << 10,    /* of a member whose text is looked at */
	INITRAMFS_MAX_HEADER = 32 << 20,  /* of an embedded osluksheader */
	INITRAMFS_MAX_CPU = 10,           /* seconds */
	INITRAMFS_MAX_WALL = 60,
};
#define INITRAMFS_MAX_UNPACKED (1ULL << 30)
#define INITRAMFS_MAX_DICT (128ULL << 20)       /* of an xz or lzma stream: what its decoder may allocate */

struct initramfs {
	bool whole;                     /* walked to its end */
	char *why;                      /* why not: damaged, over a limit, a compression that is not known, no memory */
	uint64_t size;                  /* of the file */
	uint64_t unpacked;              /* bytes that were gone through */
	unsigned entries, archives;     /* members; cpio archives that ended */
	const char *packed;             /* how the last packed part is: "gzip", "xz", "zstd", ...; NULL: none is */

	/* pieces that were seen */
	bool dracut;                    /* made by dracut: its list of modules is there */
	bool ade, ade_online;           /* dracut modules 91ade, 91adeOnline */
	bool boot_script;               /* crypt-ade-boot */
	char boot_partuuid[40];         /* the partition it opens, "" where it names none by PARTUUID */
	bool boot_token;                /* ... where the place holder ROOTPARTUUID was never replaced */
	bool key_script;                /* azure_crypt_key.sh */
	bool cryptsetup, dm_crypt, vfat;/* the program (or systemd's); the kernel modules as files */
	bool dm_crypt_builtin, vfat_builtin;    /* by the kernel's own list in the image */
	char *vfat_off;                 /* a line of modprobe.d that keeps vfat from being loaded: "FILE:LINE: text" */
	char *crypttab;                 /* osencrypt's line of a crypttab in the image, or NULL */
	char *header_path;              /* an osluksheader in it, NULL: none was seen */
	uint8_t *header; size_t header_len;     /* its bytes, where they were asked for and begin like a LUKS header */
	bool header_zero;               /* it holds nothing but zeroes */
};

/* Walk the image: uncompressed newc archives and the zeroes between them, then what is packed (gzip, xz, lzma, zstd, lz4,
 * bzip2), read as it goes and never held whole. path: resolved. What is wrong with the image ends in ret->why; 0, or -ENOMEM.
 * keep_header: keep the first embedded header's bytes. */
int initramfs_read(struct fs *, const char *path, bool keep_header, struct initramfs *ret, struct err *e);
void initramfs_done(struct initramfs *);

#endif
