/* SPDX-License-Identifier: MIT */
/* What holds for every layer: ranges are checked here, reads and writes that do not fit a layer's alignment
 * go through a bounce buffer here, and layers are counted here. A layer's own functions see whole aligned
 * blocks inside the device and nothing else. */
#include <pthread.h>
#include "base/bytes.h"
#include "blk/blk.h"

enum { ALIGN_MAX = 4096 };

static int check_range(const struct blk *b, const char *what, size_t len, uint64_t off, struct err *e)
{
	if (!range_in(off, len, b->size))
		return err_set(e, -ERANGE, "%s of %zu bytes at byte %ju: outside the %ju bytes there are",
			       what, len, (uintmax_t)off, (uintmax_t)b->size);
	if (b->align > ALIGN_MAX || (b->align > 1 && b->size % b->align != 0))
		return err_set(e, -EINVAL, "%s layer: size %ju does not suit alignment %u", b->ops->kind,
			       (uintmax_t)b->size, b->align);
	return 0;
}

/* The piece of [off, off+len) for one call: part of a block, or as many whole blocks as there are. */
static size_t next_piece(const struct blk *b, size_t len, uint64_t off, size_t *ret_skip)
{
	size_t rest;

	*ret_skip = b->align > 1 ? off % b->align : 0;
	if (b->align <= 1)
		return len;
	if (*ret_skip == 0 && len >= b->align)
		return len - len % b->align;
	rest = b->align - *ret_skip;
	return len < rest ? len : rest;
}

/* Is the piece less than a whole number of blocks? */
static bool is_partial(const struct blk *b, size_t piece, size_t skip)
{
	return skip != 0 || (b->align > 1 && piece % b->align != 0);
}

int blk_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	uint8_t bounce[ALIGN_MAX], *p = buf;
	size_t piece, skip;
	int r;

	r = check_range(b, "read", len, off, e);
	for (; r == 0 && len; len -= piece, off += piece, p += piece) {
		piece = next_piece(b, len, off, &skip);
		if (!is_partial(b, piece, skip)) {
			r = b->ops->pread(b, p, piece, off, e);
			continue;
		}
		r = b->ops->pread(b, bounce, b->align, off - skip, e);
		if (r == 0)
			memcpy(p, bounce + skip, piece);
	}
	return r < 0 ? r : 0;
}

int blk_pwrite(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	uint8_t bounce[ALIGN_MAX];
	const uint8_t *p = buf;
	size_t piece, skip;
	int r;

	if (!blk_is_writable(b))
		return err_set(e, -EROFS, "%s layer: read-only", b->ops->kind);
	r = check_range(b, "write", len, off, e);
	for (; r == 0 && len; len -= piece, off += piece, p += piece) {
		piece = next_piece(b, len, off, &skip);
		if (!is_partial(b, piece, skip)) {
			r = b->ops->pwrite(b, p, piece, off, e);
			continue;
		}
		r = b->ops->pread(b, bounce, b->align, off - skip, e);
		if (r < 0)
			continue;
		memcpy(bounce + skip, p, piece);
		r = b->ops->pwrite(b, bounce, b->align, off - skip, e);
	}
	return r < 0 ? r : 0;
}

bool blk_is_writable(const struct blk *b)
{
	return b->ops->pwrite != NULL;
}

static pthread_mutex_t lock;
static pthread_once_t lock_once = PTHREAD_ONCE_INIT;

/* Also in a forked process, where the thread that had it does not exist. */
static void lock_renew(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

static void lock_init(void)
{
	lock_renew();
	pthread_atfork(blk_lock, blk_unlock, lock_renew);
}

void blk_lock(void)
{
	pthread_once(&lock_once, lock_init);
	pthread_mutex_lock(&lock);
}

void blk_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

struct blk *blk_ref(struct blk *b)
{
	if (b)
		b->refs++;
	return b;
}

void blk_unref(struct blk *b)
{
	if (b && --b->refs == 0)
		b->ops->close(b);
}
