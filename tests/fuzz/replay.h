/* SPDX-License-Identifier: MIT */
/* Without libFuzzer: a main that gives each file named, or found below a folder named, to the target. What libFuzzer would find now
 * ends the program in the same way; which file it was is the last line. */
#ifndef FUZZ_REPLAY_H
#define FUZZ_REPLAY_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef WITH_LIBFUZZER
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/cleanup.h"

enum { REPLAY_MAX = 1 << 20 };
static unsigned replayed;

static int replay_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	cleanup_free uint8_t *data = NULL;
	cleanup_file FILE *f = NULL;
	size_t n;

	(void)st;
	(void)where;
	if (type != FTW_F)
		return 0;
	f = fopen(path, "rb");
	data = malloc(REPLAY_MAX);
	if (!f || !data) {
		perror(path);
		return 1;
	}
	n = fread(data, 1, REPLAY_MAX, f);
	fprintf(stderr, "%s\n", path);
	/* as long as it is, so that a sanitizer sees the first byte behind it */
	data = realloc(data, n ? n : 1);
	LLVMFuzzerTestOneInput(data, n);
	replayed++;
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= nftw(argv[i], replay_one, 16, FTW_PHYS) != 0;
	printf("%u passed, %d failed\n", replayed, failed);
	return failed;
}
#endif

#endif
