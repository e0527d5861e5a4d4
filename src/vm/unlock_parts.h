/* SPDX-License-Identifier: MIT */
/* What the two files of unlocking share: the process that tries one key form on one header. Nothing else includes this. */
#ifndef VM_UNLOCK_PARTS_H
#define VM_UNLOCK_PARTS_H

#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/secret.h"
#include "format/luks.h"

/* What one trial needs: a staged header, the slots to try in that order, and the passphrase. */
struct trial {
	int stage;                      /* sealed memfd; borrowed */
	int slots[LUKS_MAX_SLOTS];
	unsigned nslots;
	const struct secret *passphrase;
};
struct worker {
	pid_t pid;
	int pipe;                       /* read end */
	int64_t started;                /* seconds, monotonic */
};

/* Fork one. 0, or -errno (-EAGAIN: no process to be had at the moment). */
int worker_start(struct worker *, const struct trial *, struct err *e);
/* Its pipe has something: the slot that was opened (>= 0) and the volume key, -EPERM: the passphrase opens none of them, or
 * another error with e set. The process is gone afterwards. */
int worker_collect(struct worker *, struct secret **ret_vk, struct err *e);
/* End it without asking. */
void worker_kill(struct worker *);
int64_t worker_now(void);
/* keys_unlock with the memory that there is as an argument. */
struct graph;
int unlock_within(struct graph *, unsigned ncpu, uint64_t memory, struct err *e);

#endif
