/* SPDX-License-Identifier: MIT */
/* ext images for tests, made by mke2fs from a folder, and opened through an overlay as the program does it.
 * Tests are skipped where e2fsprogs is not installed. */
#ifndef TESTS_EXT_IMAGE_H
#define TESTS_EXT_IMAGE_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/str.h"
#include "format/ext.h"
#include "format/format.h"

struct image {
	char dir[64], folder[80], path[80];
	struct blk *file, *disk;        /* disk: the overlay */
	struct node node;
	struct fs *fs;
};

/* Runs a tool; its output goes to a file in the image's folder. The exit status, or 127 where there is no
 * such tool. */
static inline int image_run(const struct image *i, const char *const argv[])
{
	char out[96];
	int status = 0;
	pid_t pid;

	(void)snprintf(out, sizeof(out), "%s/out", i->dir);
	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
	pid = fork();
	if (pid == 0) {
		int fd = open(out, O_CREAT | O_TRUNC | O_WRONLY, 0600);

		dup2(fd, 1);
		dup2(fd, 2);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* What the last tool said. */
static inline const char *image_output(const struct image *i)
{
	static char text[4096];
	char out[96];
	FILE *f;
	size_t n;

	(void)snprintf(out, sizeof(out), "%s/out", i->dir);
	f = fopen(out, "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	if (f)
		fclose(f);
	return text;
}

static inline void image_put(const struct image *i, const char *name, const void *data, size_t n)
{
	char path[400];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", i->folder, name);
	f = fopen(path, "w");
	cr_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0, "%s", path);
}

static inline void image_mkdir(const struct image *i, const char *name)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/%s", i->folder, name);
	cr_assert_eq(mkdir(path, 0755), 0);
}

static inline void image_link(const struct image *i, const char *name, const char *target)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/%s", i->folder, name);
	cr_assert_eq(symlink(target, path), 0);
}

static inline void image_new(struct image *i)
{
	memset(i, 0, sizeof(*i));
	strcpy(i->dir, "/tmp/test-ext-XXXXXX");
	cr_assert(mkdtemp(i->dir));
	(void)snprintf(i->folder, sizeof(i->folder), "%s/tree", i->dir);
	(void)snprintf(i->path, sizeof(i->path), "%s/image", i->dir);
	cr_assert_eq(mkdir(i->folder, 0755), 0);
}

/* options: mke2fs's, separated by blanks. */
static inline void image_make(struct image *i, const char *options, const char *size)
{
	char copy[400], *argv[40] = { (char *)"mke2fs", (char *)"-q", (char *)"-F", (char *)"-d", i->folder };
	size_t n = 5;
	int rc;

	(void)snprintf(copy, sizeof(copy), "%s", options);
	for (char *p = strtok(copy, " "); p && n < 36; p = strtok(NULL, " "))
		argv[n++] = p;
	argv[n++] = i->path;
	argv[n++] = (char *)size;
	rc = image_run(i, (const char *const *)argv);
	if (rc == 127)
		cr_skip_test("mke2fs is not installed");
	cr_assert_eq(rc, 0, "mke2fs %s: %s", options, image_output(i));
}

static inline void image_debugfs(const struct image *i, const char *command)
{
	const char *argv[] = { "debugfs", "-w", "-R", command, i->path, NULL };

	cr_assert_eq(image_run(i, argv), 0, "%s", image_output(i));
}

static inline void image_open(struct image *i)
{
	struct err e = { "" };
	int fd = open(i->path, O_RDONLY);
	struct stat st;

	cr_assert(fd >= 0 && fstat(fd, &st) == 0);
	cr_assert_eq(blk_open_file(fd, (uint64_t)st.st_size, "image", &i->file, &e), 0, "%s", e.msg);
	close(fd);
	cr_assert_eq(blk_open_overlay(i->file, &i->disk, &e), 0, "%s", e.msg);
	i->node = (struct node){ .blk = i->disk, .format = &format_ext };
	cr_assert_eq(format_ext.parse(i->disk, &i->node.meta, &e), 1, "%s", e.msg);
	cr_assert_eq(format_ext.describe(&i->node, &e), 0);
	if (i->node.state != NODE_UNSUPPORTED && format_ext.open_fs(&i->node, &i->fs, &e))
		i->node.fs_why = e;
}

static inline void image_close(struct image *i)
{
	fs_close(i->fs);
	i->fs = NULL;
	if (i->node.meta)
		format_ext.free_meta(i->node.meta);
	i->node.meta = NULL;
	free(i->node.label);
	i->node.label = NULL;
	blk_unref(i->disk);
	blk_unref(i->file);
	i->disk = i->file = NULL;
}

static inline void image_done(struct image *i)
{
	const char *argv[] = { "rm", "-rf", i->dir, NULL };

	image_close(i);
	(void)image_run(i, argv);
}

static inline int image_write_back(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_,
				   size_t len)
{
	(void)old_;
	return pwrite(*(int *)arg, new_, len, (off_t)off) == (ssize_t)len ? 0 : -EIO;
}

/* Commits the overlay to the image, closes it, has it checked and opens it again. */
static inline void image_commit(struct image *i)
{
	const char *argv[] = { "e2fsck", "-fn", i->path, NULL };
	int fd = open(i->path, O_WRONLY);

	cr_assert_eq(fs_sync(i->fs, NULL), 0);
	cr_assert(fd >= 0 && blk_overlay_walk(i->disk, image_write_back, &fd, NULL) == 0);
	close(fd);
	image_close(i);
	cr_assert_eq(image_run(i, argv), 0, "e2fsck: %s", image_output(i));
	image_open(i);
}

#endif
