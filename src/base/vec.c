/* SPDX-License-Identifier: MIT */
/* Growing arrays without a stored capacity: it is the next power of two of the count, at least 8, so a
 * count that is itself a power of two means that the array is full. */
#include <stdint.h>
#include <stdlib.h>
#include "base/vec.h"

void *vec_grow(void *v, size_t n, size_t elem)
{
	size_t cap = n < 8 ? 8 : 2 * n;

	if (v && n > 0 && (n < 8 || (n & (n - 1)) != 0))
		return v;
	if (elem == 0 || n > SIZE_MAX / 2 || cap > PTRDIFF_MAX / elem)
		return NULL;
	return realloc(v, cap * elem);
}
