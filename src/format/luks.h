/* SPDX-License-Identifier: MIT */
/* LUKS1 and LUKS2 headers: what the bytes say, by our own bounded reader (nothing here derives a key or writes).
 * Format: cryptsetup's LUKS1 on-disk-format 1.2.3 and LUKS2 on-disk-format 1.1.2. */
#ifndef FORMAT_LUKS_H
#define FORMAT_LUKS_H

#include <stdbool.h>
#include <stdint.h>
#include "blk/blk.h"
#include "base/secret.h"

enum { LUKS_MAX_SLOTS = 32, LUKS_MAX_SEGMENTS = 16, LUKS_MAX_REQS = 8, LUKS_MAX_TOKENS = 32 };
struct luks_slot {
	int id;
	bool active;
	bool reencrypt;                 /* a slot of type "reencrypt": no passphrase */
	char kdf[16];                   /* pbkdf2, argon2i, argon2id */
	char hash[24];
	uint64_t iterations;            /* pbkdf2 iterations, or argon2 time */
	uint64_t memory;                /* argon2, bytes */
	unsigned cpus;                  /* argon2 */
	unsigned key_size;              /* bytes */
	char area_cipher[40];           /* what the slot's area is encrypted with */
	uint64_t area_offset, area_size;/* in the header device, bytes */
	int priority;                   /* 0 ignore, 1 normal, 2 prefer */
	bool unbound;                   /* its key belongs to no segment: opening it proves nothing of the volume */
	struct err bad;                 /* why it must not be tried (absurd cost, null cipher, overlap); empty: fine */
	/* reencrypt slots */
	char mode[16], direction[16], resilience[24], resilience_hash[24];
	uint64_t resilience_sector, shift_size;
};
struct luks_segment {
	int id;
	char type[12];                  /* crypt, linear */
	uint64_t offset, size;          /* bytes; size 0: dynamic, to the end */
	uint64_t iv_tweak;
	char cipher[40];
	unsigned sector_size;
	bool integrity;
	bool in_reencryption, backup_previous, backup_final, backup_moved;
};
/* A digest of the header: PBKDF2 over what it vouches for. sum_len 0: there is none. */
struct luks_digest {
	char hash[24];
	uint64_t iterations;
	uint8_t salt[64], sum[64];
	unsigned salt_len, sum_len;
};
struct luks_info {
	int version;                    /* 1, 2 */
	char uuid[40], label[48], subsystem[48];
	uint64_t seqid;                 /* LUKS2 */
	uint64_t hdr_size;              /* LUKS2: one copy's binary header + JSON; LUKS1: to the end of the key material */
	uint64_t total_size;            /* bytes of the header device that matter: copies and all areas */
	/* damage: LUKS2 copies. copy_used 0 primary, 1 secondary */
	int copy_used;
	struct err damage;              /* what is damaged; empty: nothing */
	bool broken;                    /* the magic is there, but no copy can be believed: damage says why, nothing else is known */
	bool in_flight_magic;           /* LUKS1 with \xde\xad: offline re-encryption was interrupted */
	char cipher[40];                /* of the payload: "aes-xts-plain64" (of the default or final segment) */
	unsigned key_size;              /* bytes of the volume key */
	char digest_hash[24];           /* of the volume key's digest, whose PBKDF2 is part of every trial */
	uint64_t digest_iterations;
	uint64_t payload_offset;        /* bytes; 0: detached */
	unsigned sector_size;
	struct luks_slot slots[LUKS_MAX_SLOTS]; unsigned nslots;       /* only those that are there */
	struct luks_segment segments[LUKS_MAX_SEGMENTS]; unsigned nsegments;
	char requirements[LUKS_MAX_REQS][40]; unsigned nrequirements;
	bool online;                    /* requirements name online-reencrypt, or its version -v2 or -v3 */
	unsigned online_version;        /* 1 to 3; 0: none */
	struct luks_digest reencrypt;   /* over the parameters of the re-encryption and the volume keys */
	bool ade_token;                 /* a token of type Azure_Disk_Encryption */
	struct err refused;             /* why no key may be tried on it at all (cipher, unknown requirement, integrity, several
					 * segments without re-encryption); empty: fine */
};

/* Reads a header that begins at byte 0 of hdr. 1: a header (perhaps damaged, perhaps refused), 0: none, <0: I/O.
 * For LUKS2 the secondary copy is looked for at the eight offsets of the format when the primary is bad; whether two
 * intact copies disagree is in damage. Never allocates more than 9 MiB. */
int luks_read(struct blk *hdr, struct luks_info *ret, struct err *e);
/* The ranges of the header device a library needs to load and unlock it: both copies and the areas of the active slots.
 * Returns how many were written, at most max. */
size_t luks_ranges(const struct luks_info *, struct stage_range *r, size_t max);
/* The share of the payload that is ciphertext, from the segments, what is in between not counted; false where it cannot
 * be told. */
bool luks_progress(const struct luks_info *, uint64_t device_size, uint64_t *ret_done, uint64_t *ret_total);

/* How a header and its device meet. Owned by the graph. */
struct node;
struct header {
	struct node *node;              /* the node that holds the header bytes: the volume itself (attached), or the file system */
	char *path;                     /* in that node's file system, or NULL when attached; for --header: the file's name, node NULL */
	struct blk *blk;                /* the header's bytes: at most what luks_info.total_size says, or 32 MiB */
	struct luks_info info;
	bool detached;
	bool tried_all;                 /* every key so far was tried */
	unsigned keys_tried;            /* how many of graph->keys were tried */
	const struct key **tried; size_t ntried;      /* which: a later key may come to stand before an earlier one */
	size_t nodes_tried;             /* detached: how many of graph->nodes were looked at */
	struct secret *vk;              /* volume key, once a key opened it */
	const struct key *by;           /* the key that did; borrowed */
	int slot;                       /* the slot it opened, -1: none */
	struct node *volume;            /* the opened volume's device node (not the child), or NULL: none found */
	struct node *opened;            /* the opened volume: a node of kind KIND_LUKS */
	bool in_state_dir;              /* found in the failed system's state directory */
	char *why;                      /* why it is not open: no key, refused, no volume; NULL while open */
};
void header_free(struct header *);   /* NULL is fine */
/* A new header of the graph, with the bytes taken by a ref of its own. info is copied. NULL: out of memory. */
struct graph;
struct header *graph_add_header(struct graph *, struct node *node, const char *path, struct blk *blk, const struct luks_info *info, bool detached);

/* The payload of a volume at rest over dev; with a re-encryption in flight -EOPNOTSUPP. */
int luks_open_payload(const struct luks_info *, struct blk *dev, const struct secret *vk, struct blk **ret, struct err *e);

/* The payload of a volume whose re-encryption has stopped half-way: one map over what is plain, what is encrypted and what
 * was being converted, read as the volume's content. It can never be written. hdr is the header's device, which holds what the
 * last zone is recovered from. -EOPNOTSUPP: a kind that is not read; -EBADMSG: the header contradicts itself, or its digest does
 * not vouch for it; -ERANGE: it does not fit the device. What nothing tells is -EIO when it is read. */
int luks_open_half(const struct luks_info *, struct blk *hdr, struct blk *dev, const struct secret *vk, struct blk **ret, struct err *e);
/* "re-encryption in flight: N of M bytes converted (P %)", or without the figures where they cannot be told. */
void luks_say_half(const struct luks_info *, uint64_t device_size, char *out, size_t room);
/* The content of the volume on dev, either of both. Half-way, writes stay in memory above it, for a journal that has to be
 * replayed: they never come to a disk. */
int luks_open_volume(struct header *, struct node *dev, struct blk **ret, struct err *e);
/* Half-way only: dev says how far it has come, and is not read any more as what its first bytes may still look like. */
void luks_mark_half(const struct header *, struct node *dev);

/* Which device does a detached header belong to? It does not say, so each one that has its volume key is tried in memory on
 * the devices in which nothing is recognised, those of its own disk first, and kept where the decrypted bytes are
 * recognised. With a re-encryption in flight the device that fits its first segment is taken. 1: something was
 * opened, 0: nothing new. */
int headers_try_detached(struct graph *, struct err *e);

#endif
