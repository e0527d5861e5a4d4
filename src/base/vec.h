/* SPDX-License-Identifier: MIT */
/* Growing arrays without a type of their own: a pointer v, a count n and no stored capacity
 * (capacity is the next power of two of n, at least 8). */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>

/* Make room for one more element; returns the new array or NULL (old one untouched). */
void *vec_grow(void *v, size_t n, size_t elem);

/* Append a zeroed element and give its address, or NULL when out of memory. */
#define vec_push(vp, np)                                                          \
	__extension__({                                                           \
		void *grown_ = vec_grow(*(vp), *(np), sizeof(**(vp)));            \
		__typeof__(*(vp)) slot_ = NULL;                                   \
		if (grown_) {                                                     \
			*(vp) = grown_;                                           \
			slot_ = &(*(vp))[(*(np))++];                              \
			__builtin_memset(slot_, 0, sizeof(*slot_));               \
		}                                                                 \
		slot_;                                                            \
	})

#endif
