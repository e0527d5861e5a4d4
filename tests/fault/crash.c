/* SPDX-License-Identifier: MIT */
/* crash [-n STATES_PER_SET] [--break=order] [BEFORE AFTER | BEFORE1+BEFORE2 AFTER1+AFTER2]...
 *
 * Cuts the power at every operation of a commit (crash_sim.h), on built-in sets and on pairs of images. The last line is "N crash states, L lost", and
 * the exit status is 1 where anything was lost. --break=order leaves out the syncs between the undo file and the disks, to show that the count can
 * be other than 0. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_sim.h"

static const uint8_t *map_file(const char *path, uint64_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0) {
		perror(path);
		exit(2);
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED) {
		perror(path);
		exit(2);
	}
	close(fd);
	*ret_size = (uint64_t)st.st_size;
	return p;
}

/* Images joined by '+'. */
static size_t map_files(const char *names, const uint8_t **ret, uint64_t *sizes)
{
	char *copy = strdup(names), *save = NULL;
	size_t n = 0;

	for (char *name = strtok_r(copy, "+", &save); name && n < CRASH_MAX_DISKS; name = strtok_r(NULL, "+", &save), n++)
		ret[n] = map_file(name, &sizes[n]);
	free(copy);
	return n;
}

static struct crash_count run_pair(const char *before, const char *after, unsigned states, bool broken)
{
	struct crash_set set = { .name = before };
	uint64_t sizes[CRASH_MAX_DISKS] = { 0 };
	struct crash_count c;

	set.ndisks = map_files(before, set.before, set.size);
	if (map_files(after, set.after, sizes) != set.ndisks || memcmp(sizes, set.size, sizeof(sizes)) || !crash_set_build(&set)) {
		fprintf(stderr, "crash: %s %s: not a pair of disks that differ\n", before, after);
		exit(2);
	}
	c = crash_enumerate(&set, states, broken);
	printf("%s: %zu changes, %zu bytes, %u points, %u states, %u lost\n", before, set.cs.n, set.bytes, c.points, c.states, c.lost);
	crash_set_done(&set);
	for (size_t i = 0; i < set.ndisks; i++) {
		munmap((void *)set.before[i], (size_t)set.size[i]);
		munmap((void *)set.after[i], (size_t)set.size[i]);
	}
	return c;
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = { { "break", required_argument, NULL, 'b' }, { NULL, 0, NULL, 0 } };
	unsigned states = 600;
	unsigned long total = 0, lost = 0;
	bool broken = false;
	int c;

	while ((c = getopt_long(argc, argv, "n:", longopts, NULL)) != -1) {
		if (c == 'n' && atoi(optarg) > 0)
			states = (unsigned)atoi(optarg);
		else if (c == 'b' && !strcmp(optarg, "order"))
			broken = true;
		else
			return 2;
	}
	if ((argc - optind) % 2)
		return 2;
	for (unsigned i = 0; i < CRASH_BUILTIN; i++) {
		struct crash_set set;
		struct crash_count n;

		crash_builtin(i, &set);
		n = crash_enumerate(&set, states, broken);
		printf("%s: %zu changes, %zu bytes, %u points, %u states, %u lost\n", set.name, set.cs.n, set.bytes, n.points, n.states, n.lost);
		crash_builtin_done(&set);
		total += n.states;
		lost += n.lost;
	}
	for (int i = optind; i < argc; i += 2) {
		struct crash_count n = run_pair(argv[i], argv[i + 1], states, broken);

		total += n.states;
		lost += n.lost;
	}
	printf("%lu crash states, %lu lost\n", total, lost);
	return lost ? 1 : 0;
}
