/* SPDX-License-Identifier: MIT */
/* Keys: where found, in which forms they are tried, what they open. Key bytes never leave struct secret but through
 * the unlock workers' pipes. */
#ifndef VM_KEYS_H
#define VM_KEYS_H

#include "format/luks.h"
#include "graph.h"

enum key_origin { KEY_BEK, KEY_FILE, KEY_STDIN, KEY_STATE_DIR, KEY_EMPTY };
struct key {
	enum key_origin origin;
	const struct node *node;        /* the BEK VOLUME or file system; NULL for files of this host */
	char *found_at;                 /* "sdd1:/LinuxPassPhraseFileName", "k.txt", "standard input": raw name, escape to print */
	char *name;                     /* base name of the file */
	struct secret *raw;             /* as found, at most 64 KiB */
	uint64_t length;                /* of the file, bytes */
	bool empty_file;                /* a 0-byte key file: not tried as itself */
	bool wrapped;                   /* 256, 384 or 512 decoded bytes: probably still wrapped by a KEK */
	const char *variant;            /* the form that worked: "as is", "without trailing newline", "base64-decoded once",
					 * "base64url-decoded once", "UTF-16 decoded"; NULL: none yet */
	unsigned opens;                 /* how many headers it opened */
	bool cvm;                       /* a LinuxPassPhraseFileName* in the state directory */
};
void key_free(struct key *);
DEFINE_CLEANUP(struct key *, key, key_free)
#define cleanup_key cleanup(cleanup_keyp)

/* The forms of a key in the order to try (each at most once: equal bytes are dropped). Each ret[i].bytes is the caller's
 * to free. Returns the count, at most 8, or -ENOMEM. */
struct key_form { struct secret *bytes; const char *variant; };
int key_forms(const struct key *, struct key_form ret[8]);
/* Does the content look like a KEK-wrapped value: 256, 384 or 512 bytes after base64 or base64url decoding? */
bool key_is_wrapped(const void *bytes, size_t n);

/* Add a key to the graph (takes it); equal bytes that were added before are kept once, found_at of the first wins,
 * unless the new one is a 0-byte file (always kept). 1 added, 0 a copy, <0. */
int keys_add(struct graph *, struct key *, struct err *e);
/* Is this node a BEK VOLUME: a small FAT with the label "BEK VOLUME" (any case), or with LinuxPassPhraseFileName* or
 * CRITICAL_DATA_WARNING_README.txt on it? Its files: names, sizes, readable or not. */
struct bek_file { char *name; uint64_t size; bool passphrase; struct err why; };
struct bek_volume { struct node *node; struct bek_file *files; size_t nfiles; bool by_label; bool has_readme; struct err why; };
int bek_read(struct graph *, struct node *, struct bek_volume **ret, struct err *e);  /* 1 a BEK VOLUME (keys added), 0 not */
void bek_free(struct bek_volume *);

/* Unlock what can be: every header not open x every key not tried on it, one derivation each (crypt_volume_key_get,
 * never a check first), in forked workers on all cores within the memory there is; the key that opened one is tried first
 * on the next. Sets header->vk, by, slot, key->variant and opens. 1 when any header was opened, 0 none, <0 only for
 * out of memory or fork failures. ncpu 0: as many as there are. */
int keys_unlock(struct graph *, unsigned ncpu, struct err *e);

#endif
