/* SPDX-License-Identifier: MIT */
/* Packets over the socket between parent and child. A packet that is shorter than its head says, or longer than the
 * limit, is -EBADMSG: the parent then ends the child. */
#include "proc/wire.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int wire_send(int sock, const struct wire *w, const void *payload, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov[2] = { { (void *)w, sizeof(*w) }, { (void *)payload, w->len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = w->len ? 2 : 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int take_descriptor(struct msghdr *m)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

int wire_recv(int sock, struct wire *w, char *buf, int *ret_fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov[2] = { { w, sizeof(*w) }, { buf, WIRE_MAX } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*ret_fd = -1;
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	*ret_fd = take_descriptor(&m);
	if ((size_t)n < sizeof(*w) || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || w->len != (size_t)n - sizeof(*w)) {
		if (*ret_fd >= 0)
			close(*ret_fd);
		*ret_fd = -1;
		return -EBADMSG;
	}
	buf[w->len] = '\0';
	return 1;
}
