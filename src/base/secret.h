/* SPDX-License-Identifier: MIT */
/* Key bytes: pages of their own, locked, left out of core files, wiped when freed. Never printed: there
 * is no formatter for this type. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"

struct secret {
	uint8_t *data;
	size_t len;
	size_t mapped;       /* whole pages */
};
/* len zero bytes; NULL when out of memory. A refused mlock is tolerated. */
struct secret *secret_new(size_t len);
struct secret *secret_copy(const void *bytes, size_t len);
void secret_free(struct secret *s);   /* wipes; NULL is fine */
void secret_wipe(void *p, size_t len); /* for buffers that held key bytes for a moment */
DEFINE_CLEANUP(struct secret *, secret, secret_free)
#define cleanup_secret cleanup(cleanup_secretp)

#endif
