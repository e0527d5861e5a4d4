/* SPDX-License-Identifier: MIT */
/* Key bytes: each secret has pages of its own, so that locking, leaving out of core files and wiping touch
 * nothing else. A refused mlock (RLIMIT_MEMLOCK of an unprivileged user) is tolerated. Nothing here prints
 * or formats a byte of them. */
#include <string.h>
#include <sys/mman.h>
#include "base/secret.h"

static size_t whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (len > SIZE_MAX / 2)
		return 0;
	return len ? (len + page - 1) / page * page : page;
}

struct secret *secret_new(size_t len)
{
	size_t mapped = whole_pages(len);
	struct secret *s;
	void *p;

	if (!mapped)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		free(s);
		return NULL;
	}

	(void)mlock(p, mapped);
	(void)madvise(p, mapped, MADV_DONTDUMP);
	s->data = p;
	s->len = len;
	s->mapped = mapped;
	return s;
}

struct secret *secret_copy(const void *bytes, size_t len)
{
	struct secret *s = secret_new(len);

	if (s && len)
		memcpy(s->data, bytes, len);
	return s;
}

void secret_free(struct secret *s)
{
	if (!s)
		return;
	if (s->data) {
		/* the whole mapping: len may have been lowered by its owner */
		explicit_bzero(s->data, s->mapped);
		(void)munmap(s->data, s->mapped);
	}
	explicit_bzero(s, sizeof(*s));
	free(s);
}

void secret_wipe(void *p, size_t len)
{
	if (p && len)
		explicit_bzero(p, len);
}
