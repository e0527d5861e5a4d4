/* SPDX-License-Identifier: MIT */
/* The parent's side of an export: opens /dev/fuse and mounts it in a mount namespace of its own, so that no other process of this system sees the
 * file, and nothing is left when we are killed. Without root the same is tried in a user namespace. */
#include "proc/proc.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/str.h"

enum { NOBODY = 65534 };

static int write_text(const char *path, const char *text)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);   /* our own id maps in /proc, no disk */
	size_t n = strlen(text);

	return fd >= 0 && write(fd, text, n) == (ssize_t)n ? 0 : -errno;
}

/* A user namespace in which we are who we were, and may mount. */
static int own_user_namespace(struct err *e)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];
	int r;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return err_set(e, -EOPNOTSUPP, "FUSE needs root or user namespaces here: %s", strerror(errno));
	/* the id maps of a process that is not dumpable belong to root; this process never holds a key */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	r = write_text("/proc/self/uid_map", map);
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	if (r == 0)
		r = write_text("/proc/self/gid_map", map);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return r < 0 ? err_set(e, -EOPNOTSUPP, "no user namespace of our own: %s", strerror(-r)) : 0;
}

static int own_namespace(struct fuse_place *p, struct err *e)
{
	if (p->ready)
		return 0;
	if (geteuid() == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			return err_set(e, -EOPNOTSUPP, "no mount namespace of our own: %s", strerror(errno));
	} else {
		int r = own_user_namespace(e);

		if (r < 0)
			return r;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, -EOPNOTSUPP, "the mount namespace cannot be made private: %s", strerror(errno));
	p->ready = true;
	return 0;
}

int fuse_place_mount(struct fuse_place *p, int *ret_fd, struct err *e)
{
	cleanup_close int fd = -1;
	char options[160];
	unsigned uid = geteuid() == 0 ? NOBODY : geteuid(), gid = geteuid() == 0 ? NOBODY : getegid();
	int r;

	if (p->mounted)
		return err_set(e, -EBUSY, "one export at a time");
	r = own_namespace(p, e);
	if (r < 0)
		return r;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -EOPNOTSUPP, "/dev/fuse: %s", strerror(errno));
	snprintf(p->dir, sizeof(p->dir), "%s/aderescue-XXXXXX", geteuid() == 0 ? "/run" : "/tmp");
	if (!mkdtemp(p->dir))
		return err_set(e, -EOPNOTSUPP, "%s: %s", p->dir, strerror(errno));
	chmod(p->dir, 0755);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions", fd, uid, gid);
	if (mount("aderescue", p->dir, "fuse.aderescue", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, options) < 0) {
		r = err_set(e, -EOPNOTSUPP, "FUSE mount: %s", strerror(errno));
		rmdir(p->dir);
		return r;
	}
	p->mounted = true;
	*ret_fd = take_fd(&fd);
	return 0;
}

void fuse_place_umount(struct fuse_place *p)
{
	if (!p->mounted)
		return;
	umount2(p->dir, MNT_DETACH);
	rmdir(p->dir);
	p->mounted = false;
}
