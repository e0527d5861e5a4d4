/* SPDX-License-Identifier: MIT */
/* The pieces that an encrypted OS boots with, as far as struct vm shows them: each agrees with the disk, disagrees, or could not
 * be read. A piece that a system of this generation does not have is none of them. */
#ifndef RULE_BOOT_PIECES_H
#define RULE_BOOT_PIECES_H

#include "rule/facts.h"

/* How an encrypted OS of this generation opens its volume at boot. */
enum boot_method {
	METHOD_UNKNOWN,
	METHOD_KEYSCRIPT,       /* Ubuntu up to 18.04: crypttab's key script, the header copied into the initramfs */
	METHOD_SCRIPT,          /* Ubuntu 20.04 and later: crypt-ade-boot */
	METHOD_91ADE,           /* RHEL 7: dracut module 91ade, the header copied into the initramfs */
	METHOD_ONLINE           /* RHEL 7 with PARTUUID, RHEL 8 and later, Mariner, Azure Linux: 91adeOnline */
};
enum boot_method boot_method(const struct vm *);

enum piece_state { PIECE_AGREES, PIECE_DISAGREES, PIECE_UNREAD };
struct piece {
	enum piece_state state;
	const struct node *where;       /* of its file; NULL: the machine */
	const char *path;               /* borrowed; NULL: none */
	unsigned line;
	char *say;                      /* what disagrees with what, or why it was not read; NULL where it agrees */
};
struct pieces {
	struct piece *v;
	size_t n;
	bool oom;
	unsigned count[3];              /* by state */
};
/* Only for a machine whose OS volume opened with a detached header; else none. */
void boot_pieces_read(const struct vm *, struct pieces *);
void boot_pieces_done(struct pieces *);
#define cleanup_pieces cleanup(boot_pieces_done)
unsigned boot_pieces_wrong(const struct vm *); /* how many disagree */
/* Does this machine boot with these pieces at all? */
bool boot_pieces_apply(const struct vm *);

/* For boot_pieces.c and boot_pieces_image.c. */
void piece_agrees(struct pieces *);
void piece_wrong(struct pieces *, const struct node *where, const char *path, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void piece_unread(struct pieces *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The pieces inside the default kernel's initramfs, and the hooks, modprobe.d and lvm.conf in the system. */
void boot_pieces_hooks(const struct vm *, enum boot_method, struct pieces *);
void boot_pieces_image(const struct vm *, enum boot_method, struct pieces *);

#endif
