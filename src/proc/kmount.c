/* SPDX-License-Identifier: MIT */
/* The kernel as a reader and writer of one exported file: a loop device on it, mounted by a fixed type and
 * nothing but fixed options, by a process of its own that then gives up all it can and serves files
 * (kserve.c). That process mounts inside a root folder that holds this loop device's node and no other
 * device: a btrfs that says it has more devices cannot have the kernel open them. The parent waits with a
 * limit and never reads what is mounted.
 *
 * Nothing stays when everybody is killed: the mount namespace ends with its last process, the loop device
 * clears itself with its mount. */
#include "proc/kserve.h"
#include "proc/proc.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/loop.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "base/sandbox.h"
#include "base/str.h"

enum { MOUNT_SECONDS = 120, LOOP_TRIES = 64, CLEAR_SECONDS = 10 };

/* What may be mounted. nouuid: the rescue system can have a copy of the same file system mounted. A
 * superblock may say "panic on errors". */
static const struct kind {
	const char *fmt, *type, *options;
} kinds[] = {
	{ "xfs", "xfs", "nouuid" },
	{ "btrfs", "btrfs", "skip_balance" },
	{ "ext2", "ext4", "errors=remount-ro,noinit_itable" },
	{ "ext3", "ext4", "errors=remount-ro,noinit_itable" },
	{ "ext4", "ext4", "errors=remount-ro,noinit_itable" },
};

static const struct kind *find_kind(const char *fmt)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].fmt, fmt))
			return &kinds[i];
	return NULL;
}

/* ---- is it possible? ---- */

static int can_open(const char *device, struct err *e)
{
	cleanup_close int fd = open(device, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_set(e, -EOPNOTSUPP, "%s: %s", device, strerror(errno)) : 0;
}

int kmount_can(const char *fmt, struct err *e)
{
	const struct kind *kind = find_kind(fmt);
	cleanup_close int fs = -1;
	int r;

	if (!kind)
		return err_set(e, -EOPNOTSUPP, "%s is not mounted here", fmt);
	if (geteuid() != 0)
		return err_set(e, -EOPNOTSUPP, "only root can have the kernel mount it");
	r = can_open("/dev/fuse", e);
	if (r == 0)
		r = can_open("/dev/loop-control", e);
	if (r < 0)
		return r;
	/* loads its module where there is one; kernels before 5.2 cannot be asked before the mount */
	fs = (int)syscall(SYS_fsopen, kind->type, 1U /* close on exec */);
	if (fs < 0 && errno != ENOSYS)
		return err_set(e, -EOPNOTSUPP,
			       errno == ENODEV ? "this kernel has no %s" : "this kernel does not give %s",
			       kind->type);
	return 0;
}

/* ---- in the new process ---- */

/* Nothing of the parent's but the socket: no disk, no output. */
static int close_others(int sock)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* no disk */

	if (null < 0)
		return -1;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	if (dup3(sock, 3, O_CLOEXEC) < 0 && sock != 3)
		return -1;
	if (syscall(SYS_close_range, 4U, ~0U, 0U) < 0)
		for (int fd = 4; fd < 4096; fd++)
			close(fd);
	return 3;
}

/* The loop device's node in the mount's own dev/; its number comes from sysfs, since a system may have loop
 * devices with partitions. */
static int make_node(const char *dir, int no, char path[96], struct err *e)
{
	char sys[64], text[32] = "";
	unsigned major_, minor_;
	cleanup_close int fd = -1;
	ssize_t n;

	snprintf(sys, sizeof(sys), "/sys/block/loop%d/dev", no);
	fd = open(sys, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0 || sscanf(text, "%u:%u", &major_, &minor_) != 2)
		return err_set(e, -EIO, "%s cannot be read", sys);
	snprintf(path, 96, "%s/dev/loop%d", dir, no);
	unlink(path);
	if (mknod(path, S_IFBLK | 0600, makedev(major_, minor_)) < 0)
		return err_set(e, -EOPNOTSUPP, "%s: %s", path, strerror(errno));
	return 0;
}

/* Kernels before 5.8 need two steps; killed between them, a loop device without a mount stays. */
static int configure_loop(int loop, int file)
{
	struct loop_config c = { .fd = (uint32_t)file,
				 .info = { .lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
					   .lo_file_name = "aderescue" } };

	if (ioctl(loop, LOOP_CONFIGURE, &c) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOTTY)
		return -errno;
	if (ioctl(loop, LOOP_SET_FD, file) < 0)
		return -errno;
	if (ioctl(loop, LOOP_SET_STATUS64, &c.info) == 0)
		return 0;
	ioctl(loop, LOOP_CLR_FD, 0);
	return -EOPNOTSUPP;
}

static int attach_loop(const char *dir, int *ret_no, int *ret_fd, struct err *e)
{
	char path[96];
	cleanup_close int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file = -1; /* no disk */
	int r = -EBUSY;

	snprintf(path, sizeof(path), "%s/fuse/disk", dir);
	file = open(path, O_RDWR | O_CLOEXEC); /* no disk: the overlay that our child serves */
	if (control < 0 || file < 0)
		return err_set(e, -EOPNOTSUPP, "%s: %s", control < 0 ? "/dev/loop-control" : path,
			       strerror(errno));
	for (int i = 0; i < LOOP_TRIES && r == -EBUSY; i++) {
		int no = ioctl(control, LOOP_CTL_GET_FREE), loop;

		if (no < 0)
			return err_set(e, -EOPNOTSUPP, "no free loop device: %s", strerror(errno));
		r = make_node(dir, no, path, e);
		if (r < 0)
			return r;
		loop = open(path, O_RDWR | O_CLOEXEC); /* no disk: the loop device */
		if (loop < 0)
			return err_set(e, -EOPNOTSUPP, "%s: %s", path, strerror(errno));
		r = configure_loop(loop, file);
		if (r == 0) {
			*ret_no = no;
			*ret_fd = loop;
			return 0;
		}
		close(loop);
		unlink(path);
	}
	return err_set(e, -EOPNOTSUPP, "no loop device can be attached: %s", strerror(-r));
}

static int mount_failed(const struct kind *kind, int code, struct err *e)
{
	if (code == ENODEV)
		return err_set(e, -EOPNOTSUPP, "this kernel has no %s", kind->type);
	if (code == EEXIST)
		return err_set(
		    e, -EBUSY,
		    "the kernel does not mount it: a file system of this UUID is mounted on this system");
	/* EINVAL: also a feature that this kernel was built without */
	return err_set(e, code == EINVAL ? -EOPNOTSUPP : -EIO,
		       "the kernel does not mount it as %s: %s; its log (dmesg) says why", kind->type,
		       strerror(code));
}

/* Into the folder of the place, the mount there, then into the mount. */
static int mount_there(const char *dir, const struct kind *kind, bool write, int no, struct err *e)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | (write ? 0 : MS_RDONLY);
	struct statvfs v;
	char source[32];

	snprintf(source, sizeof(source), "/dev/loop%d", no);
	if (chdir(dir) < 0 || chroot(".") < 0)
		return err_set(e, -EIO, "%s: %s", dir, strerror(errno));
	if (mount(source, "/mnt", kind->type, flags, kind->options) < 0)
		return mount_failed(kind, errno, e);
	if (chdir("/mnt") < 0 || chroot(".") < 0 || statvfs(".", &v) < 0)
		return err_set(e, -EIO, "the mount cannot be entered: %s", strerror(errno));
	if ((v.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC)) != (ST_NOSUID | ST_NODEV | ST_NOEXEC))
		return err_set(e, -EIO, "the mount has not the flags it was given");
	if (write && (v.f_flag & ST_RDONLY))
		return err_set(e, -EROFS, "the kernel mounts it for reading only");
	return 0;
}

static void server(int sock, char *buf, const char *dir, const struct kind *kind, bool write, pid_t parent)
    __attribute__((noreturn));
static void server(int sock, char *buf, const char *dir, const struct kind *kind, bool write, pid_t parent)
{
	struct wire ready = { .op = WIRE_ANSWER };
	struct err e = { "" };
	int no = -1, loop = -1, r;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	sock = close_others(sock);
	if (sock < 0 || getppid() != parent)
		_exit(1);
	r = attach_loop(dir, &no, &loop, &e);
	if (r == 0)
		r = mount_there(dir, kind, write, no, &e);
	if (loop >= 0)
		close(loop); /* from here on the mount alone holds it */
	if (r == 0)
		r = sandbox_file_server(&e);
	ready.code = r;
	ready.a = no >= 0 ? (uint64_t)no : UINT64_MAX;
	ready.len = r < 0 ? (uint32_t)strlen(e.msg) : 0;
	if (wire_send(sock, &ready, e.msg, -1) < 0 || r < 0)
		_exit(1);
	kserve(sock, buf);
}

/* ---- in the parent ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* true: it has ended. */
static bool wait_for(pid_t pid, int seconds, int *ret_status)
{
	int64_t end = now_ms() + seconds * 1000;
	pid_t got;

	while ((got = waitpid(pid, ret_status, WNOHANG)) == 0 && now_ms() < end)
		nap();
	return got == pid;
}

static void kill_server(struct kmount *k)
{
	int status;

	if (k->server <= 0)
		return;
	kill(k->server, SIGKILL);
	wait_for(k->server, CLEAR_SECONDS, &status);
	k->server = 0;
}

/* How the mount went, as the server says. */
static int wait_ready(struct kmount *k, int sock, char *buf, struct err *e)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct wire w = { .op = 0 };
	int fd = -1, n;

	do
		n = poll(&p, 1, MOUNT_SECONDS * 1000);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_set(e, -ETIMEDOUT, "the kernel did not mount it within %d seconds", MOUNT_SECONDS);
	n = wire_recv(sock, &w, buf, &fd);
	if (fd >= 0)
		close(fd);
	if (n != 1)
		return err_set(e, -EIO, "the process that was to mount it ended");
	k->loop = w.a <= INT32_MAX ? (int)w.a : -1;
	return w.code < 0 ? err_set(e, w.code, "%s", buf) : 0;
}

int kmount_start(struct kmount *k, const char *dir, const char *fmt, bool write, int *ret_sock, struct err *e)
{
	const struct kind *kind = find_kind(fmt);
	cleanup_free char *buf = malloc(WIRE_MAX + 1);
	pid_t parent = getpid();
	int socks[2], r;

	if (!buf)
		return err_oom(e);
	r = kmount_can(fmt, e);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
		return err_set(e, -errno, "no socket: %s", strerror(errno));
	*k = (struct kmount){ .begun = true, .loop = -1, .is_btrfs = !strcmp(kind->type, "btrfs") };
	k->server = fork();
	if (k->server == 0)
		server(socks[1], buf, dir, kind, write, parent);
	close(socks[1]);
	r = k->server < 0 ? err_set(e, -errno, "fork: %s", strerror(errno)) : wait_ready(k, socks[0], buf, e);
	if (r == 0) {
		k->mounted = true;
		*ret_sock = socks[0];
		return 0;
	}
	close(socks[0]);
	kmount_stop(k, dir, NULL);
	return r;
}

/* In a process of its own, since it may wait for ever. A btrfs device that was seen is remembered by the
 * kernel until it is told to forget. */
static void unmounter(const char *mnt, int loop, bool is_btrfs) __attribute__((noreturn));
static void unmounter(const char *mnt, int loop, bool is_btrfs)
{
	int r = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (int64_t end = now_ms() + CLEAR_SECONDS * 1000; r < 0 && now_ms() < end; nap()) {
		r = umount2(mnt, UMOUNT_NOFOLLOW);
		if (r < 0 && errno != EBUSY)
			break;
	}
	r = r < 0 ? errno : 0;
	if (is_btrfs && loop >= 0) {
		struct btrfs_ioctl_vol_args args = { 0 };
		int control = open("/dev/btrfs-control", O_RDWR | O_CLOEXEC); /* no disk */

		snprintf(args.name, sizeof(args.name), "/dev/loop%d", loop);
		if (control >= 0)
			ioctl(control, BTRFS_IOC_FORGET_DEV, &args);
	}
	_exit(r);
}

/* After the unmount the kernel lets go of the file a moment later. */
static bool is_cleared(int loop, const char *dir)
{
	int64_t end = now_ms() + CLEAR_SECONDS * 1000;
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/loop%d/loop/backing_file", loop);
	for (; loop >= 0; nap()) {
		cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
		char text[128] = "";

		/* gone, or somebody else's by now */
		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 || !str_starts(text, dir))
			return true;
		if (now_ms() > end)
			return false;
	}
	return true;
}

int kmount_stop(struct kmount *k, const char *dir, struct err *e)
{
	const struct kmount was = *k;
	int status = 0;
	char mnt[96];
	pid_t pid;

	if (!k->begun)
		return 0;
	kill_server(k);
	snprintf(mnt, sizeof(mnt), "%s/mnt", dir);
	pid = fork();
	if (pid == 0)
		unmounter(mnt, was.loop, was.is_btrfs);
	*k = (struct kmount){ .loop = -1 };
	if (pid < 0 || !wait_for(pid, MOUNT_SECONDS, &status)) {
		if (pid > 0)
			kill(pid, SIGKILL);
		umount2(mnt, MNT_DETACH);
		return err_set(e, -ETIMEDOUT, "the kernel did not unmount it within %d seconds",
			       MOUNT_SECONDS);
	}
	/* EINVAL: no mount there */
	if (!WIFEXITED(status) || (WEXITSTATUS(status) && (was.mounted || WEXITSTATUS(status) != EINVAL))) {
		umount2(mnt, MNT_DETACH);
		return err_set(e, -EIO, "it cannot be unmounted: %s",
			       WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "killed");
	}
	return is_cleared(was.loop, dir) ? 0 : err_set(e, -EIO, "loop device %d did not go away", was.loop);
}
