/* SPDX-License-Identifier: MIT */
/* Owned locals are declared with their cleanup and given away with take_ptr/take_fd. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(fn) __attribute__((cleanup(fn)))

/* Gives ownership away: the variable becomes NULL. */
#define take_ptr(p)                     \
	__extension__({                          \
		__typeof__(*(p)) taken_ = *(p);  \
		*(p) = NULL;                     \
		taken_;                          \
	})
#define take_fd(p)                 \
	__extension__({            \
		int taken_ = *(p); \
		*(p) = -1;         \
		taken_;            \
	})

/* Define the cleanup function for a pointer type from its destructor. */
#define DEFINE_CLEANUP(type, name, destroy)          \
	static inline void cleanup_##name##p(type *p) \
	{                                            \
		if (*p)                              \
			destroy(*p);                 \
	}

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}
static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
DEFINE_CLEANUP(FILE *, file, fclose)

#define cleanup_free cleanup(cleanup_freep)
#define cleanup_close cleanup(cleanup_closep)
#define cleanup_file cleanup(cleanup_filep)

#endif
