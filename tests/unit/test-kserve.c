/* SPDX-License-Identifier: MIT */
/* Tests proc/kserve.c, the file server, in a folder of its own: no path leaves it, no special file is opened,
 * what is written keeps what it had, and nothing is overwritten by a rename. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "proc/kserve.h"

static char dir[] = "/tmp/test-kserve-XXXXXX";
static char buf[WIRE_MAX + 1];
static int sock;
static pid_t server;

static void make(const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = NULL;
	cleanup_file FILE *f = NULL;

	cr_assert_gt(asprintf(&path, "%s/%s", dir, name), 0);
	f = fopen(path, "w");
	cr_assert(f);
	fputs(text, f);
	cr_assert_eq(fchmod(fileno(f), mode), 0);
}

static void at(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s/root/%s", dir, name);
}

static void start(void)
{
	char path[PATH_MAX];
	int socks[2];

	cr_assert(mkdtemp(dir));
	at(path, "");
	cr_assert_eq(mkdir(path, 0755), 0);
	at(path, "d");
	cr_assert_eq(mkdir(path, 0755), 0);
	make("outside", "secret", 0644);
	make("root/file", "0123456789", 0640);
	make("root/d/other", "other", 0644);
	at(path, "d/up");
	cr_assert_eq(symlink("../../outside", path), 0);
	at(path, "link");
	cr_assert_eq(symlink("d", path), 0);
	at(path, "fifo");
	cr_assert_eq(mkfifo(path, 0644), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks), 0);
	server = fork();
	if (server == 0) {
		at(path, "");
		close(socks[0]);
		if (chdir(path) < 0)
			_exit(1);
		kserve(socks[1], malloc(WIRE_MAX + 1));
	}
	close(socks[1]);
	sock = socks[0];
}

static void stop(void)
{
	char command[64];
	int status = 0;

	close(sock);
	waitpid(server, &status, 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server ended by itself");
}

TestSuite(kserve, .init = start, .fini = stop);

/* The answer's code; its payload in buf, its head in *w. */
static int ask(struct wire *w, const char *payload, size_t len, int fd)
{
	int got = -1;

	w->len = (uint32_t)len;
	cr_assert_eq(wire_send(sock, w, payload, fd), 0);
	cr_assert_eq(wire_recv(sock, w, buf, &got), 1);
	cr_assert_eq(got, -1);
	return w->code;
}

static int ask_path(uint32_t op, const char *path)
{
	struct wire w = { .op = op, .mode = KFS_PIECE };

	return ask(&w, path, strlen(path) + 1, -1);
}

Test(kserve, tells_what_a_file_is)
{
	struct fs_stat st;

	cr_assert_eq(ask_path(KFS_STAT, "/file"), 0);
	memcpy(&st, buf, sizeof(st));
	cr_assert_eq(st.type, FS_FILE);
	cr_assert_eq(st.mode, 0640);
	cr_assert_eq(st.size, 10);
	cr_assert_eq(ask_path(KFS_STAT, "/fifo"), 0);
	memcpy(&st, buf, sizeof(st));
	cr_assert_eq(st.type, FS_FIFO);
	cr_assert_eq(ask_path(KFS_STAT, "/d/up"), 0);
	memcpy(&st, buf, sizeof(st));
	cr_assert_eq(st.type, FS_LINK);
	cr_assert_eq(ask_path(KFS_STAT, "/none"), -ENOENT);
	cr_assert(*buf, "a refusal says why");
}

Test(kserve, reads_pieces)
{
	struct wire w = { .op = KFS_READ, .a = 4, .mode = 3 };

	cr_assert_eq(ask(&w, "/file", 6, -1), 0);
	cr_assert_eq(w.len, 3);
	cr_assert_arr_eq(buf, "456", 3);
	w = (struct wire){ .op = KFS_READ, .a = 8, .mode = 100 };
	cr_assert_eq(ask(&w, "/file", 6, -1), 0);
	cr_assert_eq(w.len, 2);
	w = (struct wire){ .op = KFS_READ, .a = UINT64_MAX, .mode = 100 };
	cr_assert_eq(ask(&w, "/file", 6, -1), 0);
	cr_assert_eq(w.len, 0);
}

Test(kserve, follows_no_link_and_never_leaves)
{
	cr_assert_eq(ask_path(KFS_READ, "/d/up"), -EINVAL);
	cr_assert_eq(ask_path(KFS_READ, "/link/other"), -ELOOP);
	cr_assert_eq(ask_path(KFS_STAT, "/../outside"), -ENOENT);
	cr_assert_eq(ask_path(KFS_READ, "/../../outside"), -ENOENT);
	cr_assert_eq(ask_path(KFS_STAT, "file"), -EINVAL);
	cr_assert_eq(ask_path(KFS_STAT, ""), -EINVAL);
	cr_assert_eq(ask_path(KFS_READLINK, "/d/up"), 0);
	cr_assert_str_eq(buf, "../../outside");
	cr_assert_eq(ask_path(KFS_READLINK, "/file"), -EINVAL);
}

Test(kserve, opens_no_fifo, .timeout = 20)
{
	int fd = memfd_create("new", 0);
	struct wire w = { .op = KFS_REPLACE };

	cr_assert_eq(ask_path(KFS_READ, "/fifo"), -EINVAL);
	cr_assert_eq(ask(&w, "/fifo", 6, fd), -EINVAL);
	cr_assert_eq(ask_path(KFS_READ, "/d"), -EISDIR);
	cr_assert_eq(ask_path(KFS_XATTRS, "/fifo"), 0);
	close(fd);
}

Test(kserve, lists_every_name_once_over_several_answers)
{
	char path[PATH_MAX];
	unsigned names = 0;
	int64_t next = 0;

	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "root/d/a-name-that-is-not-short-at-all-%d", i);
		make(path, "", 0644);
	}
	for (int answers = 0;; answers++) {
		struct wire w = { .op = KFS_LIST, .c = next };

		cr_assert_lt(answers, 1000);
		cr_assert_eq(ask(&w, "/d", 3, -1), 0);
		if (w.a)
			break;
		next = w.c;
		for (size_t k = 0; k < w.len; k += strlen(buf + k) + 1)
			names++;
	}
	cr_assert_eq(names, 3000 + 2 + 2, "%u", names);
}

Test(kserve, replaces_in_place_and_keeps_the_rest)
{
	const struct timespec times[2] = { { 1000000000, 5 }, { 1100000000, 123456789 } };
	struct wire w = { .op = KFS_REPLACE };
	int fd = memfd_create("new", 0);
	struct stat before, after;
	char path[PATH_MAX];

	at(path, "file");
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	cr_assert_eq(stat(path, &before), 0);
	cr_assert_eq(write(fd, "new", 3), 3);
	cr_assert_eq(ask(&w, "/file", 6, fd), 0, "%s", buf);
	cr_assert_eq(stat(path, &after), 0);
	cr_assert_eq(after.st_size, 3);
	cr_assert_eq(after.st_ino, before.st_ino);
	cr_assert_eq(after.st_mode, before.st_mode);
	cr_assert_eq(after.st_mtim.tv_sec, 1100000000);
	cr_assert_eq(after.st_mtim.tv_nsec, 123456789);
	cr_assert_eq(after.st_atim.tv_sec, 1000000000);
	w = (struct wire){ .op = KFS_REPLACE };
	cr_assert_eq(ask(&w, "/file", 6, -1), -EINVAL, "without content");
	close(fd);
}

Test(kserve, replaces_through_no_link)
{
	struct wire w = { .op = KFS_REPLACE };
	int fd = memfd_create("new", 0);

	cr_assert_eq(ask(&w, "/d/up", 6, fd), -EINVAL);
	w = (struct wire){ .op = KFS_REPLACE };
	cr_assert_eq(ask(&w, "/link/new", 10, fd), -ELOOP);
	close(fd);
}

Test(kserve, renames_within_its_folder_and_over_nothing)
{
	struct wire w = { .op = KFS_RENAME };

	cr_assert_eq(ask(&w, "/d/other\0better", 16, -1), 0, "%s", buf);
	cr_assert_eq(ask_path(KFS_STAT, "/d/better"), 0);
	w = (struct wire){ .op = KFS_RENAME };
	cr_assert_eq(ask(&w, "/file\0link", 11, -1), -EEXIST);
	w = (struct wire){ .op = KFS_RENAME };
	cr_assert_eq(ask(&w, "/file\0d/x", 10, -1), -EINVAL);
	w = (struct wire){ .op = KFS_RENAME };
	cr_assert_eq(ask(&w, "/file\0..", 9, -1), -EINVAL);
	w = (struct wire){ .op = KFS_RENAME };
	cr_assert_eq(ask(&w, "/file", 6, -1), -EINVAL, "without a name");
	w = (struct wire){ .op = KFS_RENAME };
	cr_assert_eq(ask(&w, "/\0x", 4, -1), -EINVAL, "the root itself");
}

Test(kserve, answers_what_it_does_not_know)
{
	cr_assert_eq(ask_path(77, "/file"), -EINVAL);
	cr_assert_eq(ask_path(KFS_SYNC, "/"), 0);
	cr_assert_eq(ask_path(KFS_SPACE, "/"), 0);
}
