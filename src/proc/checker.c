/* SPDX-License-Identifier: MIT */
/* File system checkers as third processes: nobody, fixed paths, a clean environment, and limits of wall time,
 * CPU time and output. Their output is handed on as bytes; nothing here reads it. Some images make e2fsck run
 * for ever and print gigabytes: it is then killed with its whole group. */
#include "proc/proc.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/str.h"

enum { OUTPUT_MAX = 1 << 20, MAX_ARGS = 5 };

/* xfs_repair and btrfs read all metadata: a full disk of a VM takes its time. args: FILE comes last. */
static const struct program {
	const char *name;
	const char *paths[4];
	const char *args[MAX_ARGS];
	int seconds;
} programs[] = {
	[CHECK_E2FSCK_JOURNAL] = { "e2fsck",
				   { "/sbin/e2fsck", "/usr/sbin/e2fsck" },
				   { "-E", "journal_only", "-y" },
				   60 },
	[CHECK_E2FSCK] = { "e2fsck", { "/sbin/e2fsck", "/usr/sbin/e2fsck" }, { "-f", "-n" }, 60 },
	[CHECK_XFS_REPAIR] = { "xfs_repair",
			       { "/sbin/xfs_repair", "/usr/sbin/xfs_repair" },
			       { "-n", "-f" },
			       600 },
	[CHECK_BTRFS] = { "btrfs",
			  { "/sbin/btrfs", "/usr/sbin/btrfs", "/bin/btrfs", "/usr/bin/btrfs" },
			  { "check", "--readonly" },
			  600 },
};

static const char *find_program(const struct program *p)
{
	for (size_t i = 0; i < sizeof(p->paths) / sizeof(*p->paths) && p->paths[i]; i++)
		if (access(p->paths[i], X_OK) == 0)
			return p->paths[i];
	return NULL;
}

static void run_child(const char *program, char *const argv[], int seconds, int out)
{
	const char *now = getenv("SOURCE_DATE_EPOCH");
	char clock[64];
	char *env[] = { (char *)"LC_ALL=C", (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL, NULL };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (now && strlen(now) < 32) {
		snprintf(clock, sizeof(clock), "E2FSCK_TIME=%s", now);
		env[2] = clock;
	}
	setpgid(0, 0);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
	    sandbox_checker(seconds, NULL) < 0)
		_exit(127);
	execve(program, argv, env);
	_exit(127);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads until the end, the time limit or the output limit; NULL or why it must be killed. */
static const char *drain(int fd, int seconds, char *output, size_t cap)
{
	int64_t end = now_ms() + seconds * 1000;
	size_t kept = 0, seen = 0;
	const char *why = NULL;
	char buf[4096];

	while (!why) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = end - now_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			why = "ran too long";
			break;
		}
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		seen += (size_t)n;
		if (seen > OUTPUT_MAX)
			why = "printed more than 1 MiB";
		if ((size_t)n > cap - 1 - kept)
			n = (ssize_t)(cap - 1 - kept);
		memcpy(output + kept, buf, (size_t)n);
		kept += (size_t)n;
	}
	output[kept] = '\0';
	return why;
}

static int run(const char *program, char *const argv[], int seconds, char *output, size_t cap,
	       int *ret_status, struct err *e)
{
	int pipes[2], status = 0;
	const char *why;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_set(e, -errno, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0) {
		int r = err_set(e, -errno, "fork: %s", strerror(errno));

		close(pipes[0]);
		close(pipes[1]);
		return r;
	}
	if (pid == 0)
		run_child(program, argv, seconds, pipes[1]);
	close(pipes[1]);
	why = drain(pipes[0], seconds, output, cap);
	close(pipes[0]);
	if (why) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (why)
		return err_set(e, -ECANCELED, "%s %s and was stopped", program, why);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return err_set(e, -ECANCELED, "%s ended by %s %d", program,
			       WIFSIGNALED(status) ? "signal" : "status",
			       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	*ret_status = WEXITSTATUS(status);
	return 0;
}

int checker_run(enum checker which, const char *file, char *output, size_t cap, int *ret_status,
		struct err *e)
{
	const struct program *p = &programs[which];
	char *argv[MAX_ARGS + 3] = { NULL };
	const char *path;
	size_t n = 0;

	if ((unsigned)which >= sizeof(programs) / sizeof(*programs))
		return err_set(e, -EINVAL, "no such checker");
	path = find_program(p);
	if (!path)
		return err_set(e, -EOPNOTSUPP, "%s is not installed here", p->name);
	argv[n++] = (char *)p->name;
	for (size_t i = 0; i < MAX_ARGS && p->args[i]; i++)
		argv[n++] = (char *)p->args[i];
	argv[n] = (char *)file;
	return run(path, argv, p->seconds, output, cap, ret_status, e);
}
