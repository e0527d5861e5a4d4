/* SPDX-License-Identifier: MIT */
/* One key derivation in a process of its own: libcryptsetup gets a sealed memory copy of the header, never a
 * disk, and only crypt_volume_key_get is called, which proves the passphrase and gives the volume key with
 * one derivation a slot. A crash, a memory bomb or an endless loop in there costs this process and no more.
 * The volume key comes back through a pipe; both ends wipe what held it. */
#include "vm/unlock_parts.h"

#include <fcntl.h>
#include <libcryptsetup.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The answer: slot or -errno, length of the volume key, the key itself. Less than PIPE_BUF, so it comes whole
 * or not at all. It stays in one secret page on either side. */
enum { MAX_VK = 64, AT_CODE = 0, AT_LEN = 4, AT_VK = 8, ANSWER = AT_VK + MAX_VK };

static void silent(int level, const char *msg, void *arg)
{
	(void)level;
	(void)msg;
	(void)arg;
}

/* The slot that was opened, with the key in page; -EPERM, or what else went wrong. */
static int try_slots(struct crypt_device *cd, const struct trial *t, uint8_t *page)
{
	const char *passphrase = (const char *)t->passphrase->data;
	int worst = -EPERM;

	for (unsigned i = 0; i < t->nslots; i++) {
		size_t len = MAX_VK;
		int r = crypt_volume_key_get(cd, t->slots[i], (char *)page + AT_VK, &len, passphrase,
					     t->passphrase->len);
		uint32_t len32 = (uint32_t)len;

		if (r >= 0) {
			memcpy(page + AT_LEN, &len32, sizeof(len32));
			return t->slots[i];
		}
		if (r != -EPERM)
			worst = r;
	}
	return worst;
}

static int derive(const struct trial *t, uint8_t *page)
{
	struct crypt_device *cd = NULL;
	char path[40];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->stage);
	/* a process that is not dumpable may not open its own descriptors unless it is root; there are no
	 * core files (RLIMIT_CORE) */
	if (access(path, R_OK) < 0)
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	crypt_set_log_callback(NULL, silent, NULL);
	r = crypt_init(&cd, path);
	if (r < 0)
		return r;
	crypt_set_log_callback(cd, silent, NULL);
	r = crypt_load(cd, CRYPT_LUKS, NULL);
	if (r >= 0)
		r = try_slots(cd, t, page);
	crypt_free(cd);
	return r;
}

static void child(const struct trial *t, int out, pid_t parent) __attribute__((noreturn));
static void child(const struct trial *t, int out, pid_t parent)
{
	struct secret *page = secret_new(ANSWER);
	const struct rlimit none = { 0, 0 };
	ssize_t n = -1;
	int32_t code;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	if (page && getppid() == parent) {
		code = derive(t, page->data);
		memcpy(page->data + AT_CODE, &code, sizeof(code));
		n = write(out, page->data, ANSWER);
	}
	secret_free(page);
	_exit(n == ANSWER ? 0 : 1);
}

int worker_start(struct worker *w, const struct trial *t, struct err *e)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, -errno, "no pipe for a key derivation: %s", strerror(errno));
	w->pid = fork();
	if (w->pid == 0)
		child(t, fds[1], parent);
	close(fds[1]);
	if (w->pid < 0) {
		int code = -errno;

		close(fds[0]);
		return err_set(e, code, "no process for a key derivation: %s", strerror(-code));
	}
	w->pipe = fds[0];
	w->started = worker_now();
	return 0;
}

/* Its status, or -1. */
static int reap(struct worker *w)
{
	int status = -1;

	while (waitpid(w->pid, &status, 0) < 0)
		if (errno != EINTR)
			break;
	close(w->pipe);
	*w = (struct worker){ .pid = -1, .pipe = -1 };
	return status;
}

static int judge_death(int status, struct err *e)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return err_set(e, -ENOMEM, "the key derivation was killed, for lack of memory probably");
	if (WIFSIGNALED(status))
		return err_set(e, -EIO, "the key derivation ended by signal %d", WTERMSIG(status));
	return err_set(e, -EIO, "the key derivation ended without an answer");
}

int worker_collect(struct worker *w, struct secret **ret_vk, struct err *e)
{
	cleanup_secret struct secret *page = secret_new(ANSWER);
	cleanup_secret struct secret *vk = NULL;
	ssize_t n = -1;
	int32_t code;
	uint32_t len;
	int status;

	if (page)
		do
			n = read(w->pipe, page->data, ANSWER);
		while (n < 0 && errno == EINTR);
	status = reap(w);
	if (!page)
		return err_oom(e);
	if (n != ANSWER)
		return judge_death(status, e);
	memcpy(&code, page->data + AT_CODE, sizeof(code));
	memcpy(&len, page->data + AT_LEN, sizeof(len));
	if (code < 0)
		return err_set(e, code, "%s", strerror(-code));
	if (len > MAX_VK)
		return err_set(e, -EBADMSG, "a volume key of %u bytes", len);
	vk = secret_copy(page->data + AT_VK, len);
	if (!vk)
		return err_oom(e);
	*ret_vk = take_ptr(&vk);
	return code;
}

void worker_kill(struct worker *w)
{
	if (w->pid <= 0)
		return;
	kill(w->pid, SIGKILL);
	(void)reap(w);
}

int64_t worker_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}
