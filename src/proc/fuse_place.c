/* SPDX-License-Identifier: MIT */
/* The parent's side of exports: opens /dev/fuse and mounts it in a mount namespace of its own, so that no
 * other process of this system sees the file, and nothing is left when we are killed but an empty folder,
 * which a later run removes. Without root the same is tried in a user namespace. The folder is locked while
 * we live: a folder that is a mount point in another process's namespace could be removed under it. */
#include "proc/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/str.h"

enum { NOBODY = 65534, TRIES = 8 };

static const char *places_above(void)
{
	return geteuid() == 0 ? "/run" : "/tmp";
}

static const char *places_prefix(void)
{
	return geteuid() == 0 ? "aderescue-" : ".aderescue-";
}

static int write_text(const char *path, const char *text)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC); /* our own id maps in /proc, no disk */
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
		return err_set(e, -EOPNOTSUPP, "FUSE needs root or user namespaces here: %s",
			       strerror(errno));
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

static int own_namespace(struct err *e)
{
	if (geteuid() == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			return err_set(e, -EOPNOTSUPP, "no mount namespace of our own: %s", strerror(errno));
	} else {
		int r = own_user_namespace(e);

		if (r < 0)
			return r;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, -EOPNOTSUPP, "the mount namespace cannot be made private: %s",
			       strerror(errno));
	return 0;
}

/* Is the open folder still the one at the path? A sweep of another run may have come between making and
 * locking it. */
static bool is_still_there(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int make_folder(struct fuse_places *p, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		snprintf(p->dir, sizeof(p->dir), "%s/%sXXXXXX", places_above(), places_prefix());
		if (!mkdtemp(p->dir))
			return err_set(e, -EOPNOTSUPP, "%s: %s", p->dir, strerror(errno));
		chmod(p->dir, 0755);
		p->lock = open(p->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (p->lock >= 0 && flock(p->lock, LOCK_EX | LOCK_NB) == 0 && is_still_there(p->lock, p->dir))
			return 0;
		if (p->lock >= 0)
			close(p->lock);
		rmdir(p->dir);
	}
	return err_set(e, -EOPNOTSUPP, "%s: no folder of our own", places_above());
}

int fuse_places_prepare(struct fuse_places *p, struct err *e)
{
	int r;

	if (p->ready)
		return 0;
	r = own_namespace(e);
	if (r == 0)
		r = make_folder(p, e);
	if (r < 0)
		return r;
	if (mount("aderescue", p->dir, "tmpfs", MS_NOSUID | MS_NOEXEC | (geteuid() ? MS_NODEV : 0),
		  "mode=0755,size=64k") < 0) {
		r = err_set(e, -EOPNOTSUPP, "%s: no file system in memory there: %s", p->dir,
			    strerror(errno));
		rmdir(p->dir);
		close(p->lock);
		return r;
	}
	p->ready = true;
	return 0;
}

struct fuse_place *fuse_places_get(struct fuse_places *p, uint32_t id, char *path)
{
	if (id >= FUSE_PLACES || !p->v[id].used)
		return NULL;
	snprintf(path, 64, "%s/%u", p->dir, id);
	return &p->v[id];
}

/* The folders of a place; those of an earlier export are used again. */
static int make_place(const char *path, struct err *e)
{
	static const char *const names[] = { "", "/fuse", "/mnt", "/dev" };
	char sub[80];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(sub, sizeof(sub), "%s%s", path, names[i]);
		if (mkdir(sub, 0755) < 0 && errno != EEXIST)
			return err_set(e, -EOPNOTSUPP, "%s: %s", sub, strerror(errno));
		chmod(sub, 0755);
	}
	return 0;
}

static int mount_fuse(const char *path, int *ret_fd, struct err *e)
{
	unsigned uid = geteuid() == 0 ? NOBODY : geteuid(), gid = geteuid() == 0 ? NOBODY : getegid();
	cleanup_close int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[160], sub[80];

	if (fd < 0)
		return err_set(e, -EOPNOTSUPP, "/dev/fuse: %s", strerror(errno));
	snprintf(sub, sizeof(sub), "%s/fuse", path);
	/* others: the loop device is attached by root, the file belongs to nobody; nobody else is in this
	 * namespace */
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions%s", fd, uid, gid,
		 geteuid() == 0 ? ",allow_other" : "");
	if (mount("aderescue", sub, "fuse.aderescue", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME,
		  options) < 0)
		return err_set(e, -EOPNOTSUPP, "FUSE mount: %s", strerror(errno));
	*ret_fd = take_fd(&fd);
	return 0;
}

int fuse_places_mount(struct fuse_places *p, uint32_t *ret_id, int *ret_fd, struct err *e)
{
	char path[64];
	uint32_t id = 0;
	int r = fuse_places_prepare(p, e);

	if (r < 0)
		return r;
	while (id < FUSE_PLACES && p->v[id].used)
		id++;
	if (id == FUSE_PLACES)
		return err_set(e, -EBUSY, "more than %d exports at a time", FUSE_PLACES);
	snprintf(path, sizeof(path), "%s/%u", p->dir, id);
	r = make_place(path, e);
	if (r == 0)
		r = mount_fuse(path, ret_fd, e);
	if (r < 0)
		return r;
	p->v[id] = (struct fuse_place){ .used = true };
	*ret_id = id;
	return 0;
}

void fuse_places_umount(struct fuse_places *p, uint32_t id)
{
	char path[64], sub[80];
	struct fuse_place *place = fuse_places_get(p, id, path);

	if (!place)
		return;
	if (place->k.begun)
		kmount_stop(&place->k, path, NULL);
	snprintf(sub, sizeof(sub), "%s/fuse", path);
	umount2(sub, MNT_DETACH);
	*place = (struct fuse_place){ 0 };
}

void fuse_places_close(struct fuse_places *p)
{
	if (!p->ready)
		return;
	for (uint32_t i = 0; i < FUSE_PLACES; i++)
		fuse_places_umount(p, i);
	umount2(p->dir, MNT_DETACH);
	rmdir(p->dir);
	close(p->lock);
	p->ready = false;
}

/* Ours by name and owner, and no living run has it locked. */
static void sweep_one(int above, const char *name)
{
	cleanup_close int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(above, name, AT_REMOVEDIR); /* only ever an empty one */
}

void fuse_places_sweep(void)
{
	DIR *dir = opendir(places_above());
	size_t n = strlen(places_prefix());
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (str_starts(entry->d_name, places_prefix()) && strlen(entry->d_name) == n + 6)
			sweep_one(dirfd(dir), entry->d_name);
	if (dir)
		closedir(dir);
}
