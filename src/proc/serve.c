/* SPDX-License-Identifier: MIT */
/* The parent: forks the child, serves its requests, and returns its exit status. It parses nothing that comes
 * from a disk; a plan comes as an undo file that is not armed yet, is read by the reader of undo files, and
 * every change must lie inside the volumes that the plan names. */
#include "proc/proc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/str.h"
#include "base/vec.h"

struct server {
	const struct broker_options *opt;
	int sock;
	char *buf;
	struct fuse_places places;
	struct outfiles out;
	bool committed;
};

/* Is the change inside one of the bounds of its disk? */
static bool change_is_bound(const struct change *c, uint32_t disk, const struct wire_bound *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (b[i].disk == disk && c->off >= b[i].off && c->len <= b[i].len &&
		    c->off - b[i].off <= b[i].len - c->len)
			return true;
	return false;
}

static int check_plan(const struct server *s, const struct change_set *cs, const uint32_t *index,
		      const struct wire_bound *b, size_t n, struct err *e)
{
	for (size_t i = 0; i < cs->ndisks; i++) {
		if (index[i] >= s->opt->ndisks)
			return err_set(e, -EBADMSG, "the plan names disk %u of %zu", index[i],
				       s->opt->ndisks);
		if (s->opt->disk_refused && s->opt->disk_refused[index[i]])
			return err_set(e, -EBUSY, "%s", s->opt->disk_refused[index[i]]);
	}
	for (size_t i = 0; i < cs->n; i++)
		if (cs->v[i].disk >= cs->ndisks || !change_is_bound(&cs->v[i], index[cs->v[i].disk], b, n))
			return err_set(e, -EBADMSG,
				       "the plan changes byte %ju, which lies outside the volumes it names",
				       (uintmax_t)cs->v[i].off);
	return 0;
}

static int commit(struct server *s, const struct wire *w, int fd, struct commit_result *res, struct err *e)
{
	struct change_set cs = { 0 };
	cleanup_free struct commit_disk *disks = NULL;
	cleanup_free uint32_t *index = NULL;
	cleanup_free struct wire_bound *bounds = NULL;
	size_t head = w->a * sizeof(*index), nbounds;
	int r;

	if (!s->opt->may_commit || s->committed)
		return err_set(e, -EPERM, "nothing may be written in this run");
	if (fd < 0 || w->a == 0 || w->a > s->opt->ndisks || head > w->len ||
	    (w->len - head) % sizeof(*bounds))
		return err_set(e, -EBADMSG, "a plan of the wrong form");
	nbounds = (w->len - head) / sizeof(*bounds);
	index = malloc(head);
	bounds = malloc(w->len - head + 1);
	disks = calloc(w->a, sizeof(*disks));
	if (!index || !bounds || !disks)
		return err_oom(e);
	memcpy(index, s->buf, head);
	memcpy(bounds, s->buf + head, w->len - head);
	r = undo_read_image(fd, &cs, e);
	if (r == 0 && cs.ndisks != w->a)
		r = err_set(e, -EBADMSG, "a plan of the wrong form");
	if (r == 0)
		r = check_plan(s, &cs, index, bounds, nbounds, e);
	if (r == 0) {
		for (size_t i = 0; i < cs.ndisks; i++)
			disks[i] = s->opt->disks[index[i]];
		s->committed = true;
		r = commit_apply(&cs, disks, s->opt->undo_file, res, e);
	}
	change_set_done(&cs);
	return r;
}

static int answer(struct server *s, int code, uint64_t a, const void *payload, size_t len, int fd)
{
	struct wire w = { .op = WIRE_ANSWER, .code = code, .a = a, .len = (uint32_t)len };

	return wire_send(s->sock, &w, payload, fd);
}

/* The answer to what went well, or not: with a descriptor that is closed here. */
static int answer_fd(struct server *s, int code, uint32_t id, int fd, const struct err *e)
{
	struct wire w = {
		.op = WIRE_ANSWER, .code = code, .id = id, .len = code < 0 ? (uint32_t)strlen(e->msg) : 0
	};
	int r = wire_send(s->sock, &w, e->msg, fd);

	if (fd >= 0)
		close(fd);
	return r;
}

static int serve_commit(struct server *s, const struct wire *w, int fd)
{
	struct commit_result res = { 0 };
	struct err e = { "" };
	cleanup_str struct str text = { 0 };
	int r = commit(s, w, fd, &res, &e);

	if (r == 0) {
		str_addn(&text, res.undo_sha256, 32);
		str_add(&text, res.undo_path);
		r = answer(s, 0, res.undo_size, text.p, text.n, -1);
	} else {
		r = answer(s, r, 0, e.msg, strlen(e.msg), -1);
	}
	commit_result_done(&res);
	return r;
}

static int serve_check(struct server *s, const struct wire *w)
{
	struct err e = { "" };
	char path[64], file[96];
	struct fuse_place *place = fuse_places_get(&s->places, w->id, path);
	int status = 0, r;

	if (!place || place->k.begun)
		return answer(s, -EINVAL, 0, "no export to check", 18, -1);
	snprintf(file, sizeof(file), "%s/fuse/disk", path);
	r = checker_run((enum checker)w->a, file, s->buf, WIRE_MAX, &status, &e);
	if (r < 0)
		return answer(s, r, 0, e.msg, strlen(e.msg), -1);
	return answer(s, 0, (uint64_t)status, s->buf, strlen(s->buf), -1);
}

static int serve_kernel(struct server *s, const struct wire *w)
{
	char path[64];
	struct fuse_place *place = fuse_places_get(&s->places, w->id, path);
	struct err e = { "" };
	int r, sock = -1;

	if (w->op == WIRE_KCAN) {
		r = kmount_can(s->buf, &e);
		if (r == 0)
			r = fuse_places_prepare(&s->places, &e);
	} else if (!place || place->k.begun != (w->op == WIRE_KUMOUNT)) {
		r = err_set(&e, -EINVAL, "no such export");
	} else if (w->op == WIRE_KMOUNT) {
		r = kmount_start(&place->k, path, s->buf, w->a == 1, &sock, &e);
	} else {
		r = kmount_stop(&place->k, path, &e);
	}
	return answer_fd(s, r, w->id, sock, &e);
}

static int serve_one(struct server *s, const struct wire *w, int fd)
{
	struct err e = { "" };
	uint32_t id = 0;
	int r, fuse = -1;

	switch (w->op) {
	case WIRE_EXPORT:
		r = fuse_places_mount(&s->places, &id, &fuse, &e);
		return answer_fd(s, r, id, fuse, &e);
	case WIRE_UNEXPORT:
		fuse_places_umount(&s->places, w->id);
		return answer(s, 0, 0, NULL, 0, -1);
	case WIRE_KCAN:
	case WIRE_KMOUNT:
	case WIRE_KUMOUNT:
		return serve_kernel(s, w);
	case WIRE_CHECK:
		return serve_check(s, w);
	case WIRE_COMMIT:
		return serve_commit(s, w, fd);
	default:
		r = outfiles_serve(&s->out, w, s->buf, &e);
		return answer(s, r, 0, e.msg, r < 0 ? strlen(e.msg) : 0, -1);
	}
}

static void serve(struct server *s)
{
	for (;;) {
		struct wire w;
		int fd, r = wire_recv(s->sock, &w, s->buf, &fd);

		if (r <= 0)
			return;
		r = serve_one(s, &w, fd);
		if (fd >= 0)
			close(fd);
		if (r < 0)
			return;
	}
}

static int child(int sock, int (*run)(void *arg, struct broker *), void *arg)
{
	struct broker b = { .sock = sock, .buf = malloc(WIRE_MAX + 1) };
	struct err e = { "" };

	if (!b.buf || sandbox_enter(&e) < 0) {
		fprintf(stderr, "aderescue: %s\n", *e.msg ? e.msg : "out of memory");
		return 1;
	}
	int r = run(arg, &b);

	free(b.buf);
	return r;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) != SIGINT && WTERMSIG(status) != SIGPIPE)
		fprintf(stderr,
			"aderescue: the reading process was ended by signal %d; nothing was written\n",
			WTERMSIG(status));
	return 1;
}

int broker_run(const struct broker_options *opt, int (*run)(void *arg, struct broker *), void *arg)
{
	struct server s = { .opt = opt, .buf = malloc(WIRE_MAX + 1) };
	struct err e = { "" };
	int socks[2], code;
	pid_t pid;

	if (!s.buf || outfiles_open(&s.out, opt, &e) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0) {
		fprintf(stderr, "aderescue: %s\n", *e.msg ? e.msg : strerror(errno));
		free(s.buf);
		return 1;
	}
	fuse_places_sweep();
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(socks[0]);
		outfiles_close(&s.out);
		free(s.buf);
		code = child(socks[1], run, arg);
		if (fflush(NULL) != 0 && code == 0)
			code = 1;
		exit(code);
	}
	close(socks[1]);
	s.sock = socks[0];
	if (pid > 0) {
		signal(SIGINT, SIG_IGN); /* the child gets it as well and ends; what is being committed here
					    is not cut short */
		serve(&s);
	}
	fuse_places_close(&s.places);
	outfiles_close(&s.out);
	close(s.sock);
	free(s.buf);
	return pid > 0 ? wait_for(pid) : 1;
}
