/* SPDX-License-Identifier: MIT */
/* LUKS headers for tests, made by cryptsetup on files of a temporary folder, and ways to damage them. Where
 * the tool is missing the test is skipped. */
#ifndef MAKE_LUKS_H
#define MAKE_LUKS_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/bytes.h"
#include "blk/blk.h"

#define FAST_ARGON                                                                                           \
	"--pbkdf", "argon2id", "--pbkdf-memory", "1024", "--pbkdf-force-iterations", "4",                    \
		"--pbkdf-parallel", "1"
#define FAST_PBKDF2 "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"

static char make_dir[64];

static void make_done(void)
{
	struct dirent *d;
	DIR *dir = make_dir[0] ? opendir(make_dir) : NULL;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
	if (make_dir[0])
		rmdir(make_dir);
}

static void make_begin(void)
{
	snprintf(make_dir, sizeof(make_dir), "/tmp/aderescue-test-XXXXXX");
	cr_assert_not_null(mkdtemp(make_dir));
	atexit(make_done);
}

static __attribute__((unused)) const char *make_path(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", make_dir, name);
	return p;
}

static __attribute__((unused)) void make_file(const char *name, const void *bytes, size_t n)
{
	FILE *f = fopen(make_path(name), "wb");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(bytes, 1, n, f), n);
	cr_assert_eq(fclose(f), 0);
}

static __attribute__((unused)) void make_empty(const char *name, off_t size)
{
	make_file(name, "", 0);
	cr_assert_eq(truncate(make_path(name), size), 0);
}

/* Runs a tool; its words go nowhere. Skips the test where there is no such tool. */
static __attribute__((unused)) void make_run(const char *const argv[])
{
	int status = 0;
	pid_t pid = fork();

	cr_assert(pid >= 0);
	if (pid == 0) {
		int fd = open("/dev/null", O_RDWR);

		setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
		/* the tool is not built with our sanitizer */
		unsetenv("LD_PRELOAD");
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		cr_skip_test("%s is not installed", argv[0]);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s %s failed: status %x", argv[0], argv[1],
		  status);
}
#define RUN(...) make_run((const char *const[]){ __VA_ARGS__, NULL })

/* The whole file. */
static __attribute__((unused)) uint8_t *make_load(const char *name, size_t *ret_n)
{
	FILE *f = fopen(make_path(name), "rb");
	uint8_t *p;
	long n;

	cr_assert_not_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	p = malloc((size_t)n + 1);
	cr_assert_not_null(p);
	cr_assert_eq(fread(p, 1, (size_t)n, f), (size_t)n);
	fclose(f);
	*ret_n = (size_t)n;
	return p;
}

static __attribute__((unused)) struct blk *make_blk(const char *name)
{
	int fd = open(make_path(name), O_RDONLY | O_CLOEXEC);
	struct blk *b = NULL;
	struct err e = { "" };
	struct stat st;

	cr_assert(fd >= 0 && fstat(fd, &st) == 0);
	cr_assert_eq(blk_open_file(fd, (uint64_t)st.st_size, name, &b, &e), 0, "%s", e.msg);
	close(fd);
	return b;
}

static __attribute__((unused)) struct blk *mem_blk(const void *p, size_t n)
{
	struct blk *b = NULL;

	cr_assert_eq(blk_open_mem(p, n, &b, NULL), 0);
	return b;
}

/* A LUKS2 header with a small key slots area in a file of 2 MiB, passphrase in the file "key". */
static __attribute__((unused)) void make_luks2(const char *name)
{
	make_file("key", "secret", 6);
	make_empty(name, 2 << 20);
	RUN("cryptsetup", "luksFormat", "-q", "--type", "luks2", FAST_ARGON, "--luks2-keyslots-size", "512k",
	    "--offset", "2048", "--uuid", "11111111-2222-3333-4444-555555555555", "--label", "data one",
	    "--sector-size", "512", "--key-file", make_path("key"), make_path(name));
}

/* The checksums of a LUKS2 header after an edit. size: of one copy. */
static __attribute__((unused)) void luks2_resum(uint8_t *hdr, size_t size)
{
	for (int i = 0; i < 2; i++) {
		uint8_t *copy = hdr + (size_t)i * size;

		memset(copy + 448, 0, 64);
		bytes_sha256(copy, size, copy + 448);
	}
}

/* Replaces text in the JSON of both copies and repairs the checksums. */
static __attribute__((unused)) void luks2_edit(uint8_t *hdr, const char *from, const char *to)
{
	for (int i = 0; i < 2; i++) {
		char *json = (char *)hdr + i * 16384 + 4096, *at = strstr(json, from);
		size_t rest;

		cr_assert_not_null(at, "%s is not in the header", from);
		rest = strlen(at + strlen(from)) + 1;
		cr_assert(strlen(json) + strlen(to) < 12000);
		memmove(at + strlen(to), at + strlen(from), rest);
		memcpy(at, to, strlen(to));
		memset(json + strlen(json), 0, 12288 - strlen(json));
	}
	luks2_resum(hdr, 16384);
}

#endif
