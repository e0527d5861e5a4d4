/* SPDX-License-Identifier: MIT */
/* The child's end: requests to the parent, one at a time. Without a parent (NULL) everything is -EOPNOTSUPP. */
#include "proc/broker.h"
#include "proc/proc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/str.h"

int broker_ask(struct broker *b, struct wire *w, const void *payload, int fd, int *ret_fd, struct err *e)
{
	int got = -1, r;

	if (!b)
		return err_set(e, -EOPNOTSUPP, "there is no parent process to ask");
	r = wire_send(b->sock, w, payload, fd);
	if (r == 0)
		r = wire_recv(b->sock, w, b->buf, &got);
	if (r <= 0) {
		if (got >= 0)
			close(got);
		return err_set(e, r < 0 ? r : -EPIPE, "the parent process does not answer");
	}
	if (ret_fd)
		*ret_fd = got;
	else if (got >= 0)
		close(got);
	if (w->code < 0)
		return err_set(e, w->code, "%s", b->buf);
	return 0;
}

static int simple(struct broker *b, struct wire w, const void *payload, size_t len, struct err *e)
{
	if (len > WIRE_MAX)
		return err_set(e, -ENAMETOOLONG, "a request of %zu bytes", len);
	w.len = (uint32_t)len;
	return broker_ask(b, &w, payload, -1, NULL, e);
}

int broker_mkdir(struct broker *b, const char *rel, uint32_t mode, struct err *e)
{
	return simple(b, (struct wire){ .op = WIRE_MKDIR, .mode = mode }, rel, strlen(rel), e);
}

int broker_create(struct broker *b, const char *rel, uint32_t mode, struct err *e)
{
	return simple(b, (struct wire){ .op = WIRE_CREATE, .mode = mode }, rel, strlen(rel), e);
}

int broker_write(struct broker *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	int r = 0;

	for (size_t done = 0; r == 0 && done < len;) {
		size_t n = len - done < WIRE_MAX ? len - done : WIRE_MAX;

		r = simple(b, (struct wire){ .op = WIRE_WRITE, .a = off + done }, (const char *)buf + done, n, e);
		done += n;
	}
	return r;
}

int broker_finish(struct broker *b, uint64_t size, uint32_t mode, uint32_t uid, uint32_t gid, int64_t mtime, struct err *e)
{
	return simple(b, (struct wire){ .op = WIRE_FINISH, .a = size, .mode = mode, .uid = uid, .gid = gid, .c = mtime }, NULL, 0, e);
}

int broker_dirmeta(struct broker *b, const char *rel, uint32_t mode, uint32_t uid, uint32_t gid, int64_t mtime, struct err *e)
{
	return simple(b, (struct wire){ .op = WIRE_DIRMETA, .mode = mode, .uid = uid, .gid = gid, .c = mtime }, rel, strlen(rel), e);
}

static int two_parts(struct broker *b, struct wire w, const char *first, const void *second, size_t n, struct err *e)
{
	cleanup_str struct str s = { 0 };

	str_addn(&s, first, strlen(first) + 1);
	str_addn(&s, second, n);
	if (s.failed)
		return err_oom(e);
	return simple(b, w, s.p, s.n, e);
}

int broker_symlink(struct broker *b, const char *rel, const char *target, uint32_t uid, uint32_t gid, int64_t mtime, struct err *e)
{
	return two_parts(b, (struct wire){ .op = WIRE_SYMLINK, .uid = uid, .gid = gid, .c = mtime }, rel, target, strlen(target), e);
}

int broker_xattr(struct broker *b, const char *name, const void *v, size_t n, struct err *e)
{
	return two_parts(b, (struct wire){ .op = WIRE_XATTR }, name, v, n, e);
}

int broker_commit(struct broker *b, const struct change_set *cs, const uint32_t *disk_index, const struct wire_bound *bounds, size_t nbounds,
		  struct commit_result *ret, struct err *e)
{
	struct wire w = { .op = WIRE_COMMIT, .a = cs->ndisks };
	cleanup_close int fd = memfd_create("aderescue-plan", MFD_CLOEXEC);
	cleanup_str struct str s = { 0 };
	int r;

	if (fd < 0)
		return err_set(e, -errno, "no memory for the plan");
	r = undo_write_image(fd, cs, e);
	if (r < 0)
		return r;
	str_addn(&s, disk_index, cs->ndisks * sizeof(*disk_index));
	str_addn(&s, bounds, nbounds * sizeof(*bounds));
	if (s.failed || s.n > WIRE_MAX)
		return err_set(e, -ENOMEM, "the plan has too many parts");
	w.len = (uint32_t)s.n;
	r = broker_ask(b, &w, s.p, fd, NULL, e);
	if (r < 0)
		return r;
	if (w.len < 33)
		return err_set(e, -EBADMSG, "the parent's answer is too short");
	memcpy(ret->undo_sha256, b->buf, 32);
	ret->undo_size = w.a;
	ret->undo_path = str_ndup(b->buf + 32, w.len - 32);
	return ret->undo_path ? 0 : err_oom(e);
}
