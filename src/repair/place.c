/* SPDX-License-Identifier: MIT */
/* Where undo files go. The default folder is made 0700, each new folder on its medium before the next; a folder that others may write to is refused
 * as the default, since they could put another file in the place of ours. A folder on a disk that is about to be changed is refused: what is to
 * survive a change must not lie on what is changed. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "repair/commit_priv.h"

enum { MAX_DEPTH = 16 };        /* of devices on devices */

char *commit_undo_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return str_printf("/var/lib/aderescue/undo");
	if (state && *state == '/')
		return str_printf("%s/aderescue/undo", state);
	return home && *home == '/' ? str_printf("%s/.local/state/aderescue/undo", home) : NULL;
}

/* One step down, made where it is missing. *dir is replaced. */
static int step_into(int *dir, const char *name, const char *whole, struct err *e)
{
	int next;

	if (mkdirat(*dir, name, 0700) == 0) {
		if (fsync(*dir) < 0)
			return err_set(e, -errno, "%s: a new folder did not reach its disk: %s", whole, strerror(errno));
	} else if (errno != EEXIST) {
		return err_set(e, -errno, "%s: cannot be made: %s", whole, strerror(errno));
	}
	next = openat(*dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (next < 0)
		return err_set(e, -errno, "%s: %s", whole, strerror(errno));
	close(*dir);
	*dir = next;
	return 0;
}

static int make_folder(const char *path, int *ret, struct err *e)
{
	cleanup_free char *copy = str_printf("%s", path);
	cleanup_close int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL;
	struct stat st;

	if (!copy)
		return err_oom(e);
	if (dir < 0)
		return err_set(e, -errno, "/: %s", strerror(errno));
	for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		int r = step_into(&dir, name, path, e);

		if (r < 0)
			return r;
	}
	if (fstat(dir, &st) < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(e, -EPERM, "%s: others may write there; name another place with --undo-file", path);
	*ret = take_fd(&dir);
	return 0;
}

static int default_place(const char run[32], struct undo_place *p, struct err *e)
{
	p->folder = commit_undo_dir();
	p->name = str_printf("%.31s.undo", run);
	if (!p->folder || !p->name)
		return err_set(e, -ENOENT, "undo file: there is no home folder; name a place with --undo-file");
	return make_folder(p->folder, &p->dir, e);
}

static int named_place(const char *file, struct undo_place *p, struct err *e)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
	cleanup_free char *folder = slash ? str_ndup(file, slash == file ? 1 : (size_t)(slash - file)) : str_printf(".");

	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(e, -EISDIR, "%s: names no file", file);
	p->name = str_printf("%s", name);
	if (!folder || !p->name)
		return err_oom(e);
	p->folder = realpath(folder, NULL);
	if (!p->folder)
		return err_set(e, -errno, "%s: %s", folder, strerror(errno));
	p->dir = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->dir < 0 ? err_set(e, -errno, "%s: %s", p->folder, strerror(errno)) : 0;
}

void undo_place_done(struct undo_place *p)
{
	if (p->dir >= 0)
		close(p->dir);
	free(p->folder);
	free(p->name);
	*p = (struct undo_place){ .dir = -1 };
}

int undo_place_open(const char *file, const char run[32], struct undo_place *ret, struct err *e)
{
	struct undo_place p = { .dir = -1 };
	int r = file ? named_place(file, &p, e) : default_place(run, &p, e);

	if (r < 0) {
		undo_place_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

/* ---- is it on that disk? ---- */

/* MAJOR:MINOR of a file "dev" of sysfs. */
static bool sysfs_dev(const char *folder, const char *name, dev_t *ret)
{
	cleanup_free char *path = str_printf("%s/%s/dev", folder, name);
	cleanup_file FILE *f = path ? fopen(path, "re") : NULL;
	unsigned major_, minor_;

	if (!f || fscanf(f, "%u:%u", &major_, &minor_) != 2)
		return false;
	*ret = makedev(major_, minor_);
	return true;
}

/* Is the file behind this loop device the image? */
static bool is_backed_by(const char *folder, const struct stat *image)
{
	cleanup_free char *path = str_printf("%s/loop/backing_file", folder);
	cleanup_file FILE *f = path ? fopen(path, "re") : NULL;
	char backing[PATH_MAX];
	struct stat st;

	if (!f || !fgets(backing, sizeof(backing), f))
		return false;
	backing[strcspn(backing, "\n")] = 0;
	return S_ISREG(image->st_mode) && stat(backing, &st) == 0 && st.st_dev == image->st_dev && st.st_ino == image->st_ino;
}

/* Does this device lie on the disk: is it that, a partition of it, or made from a device that does? */
static bool lies_on(dev_t dev, const struct stat *disk, unsigned depth)
{
	cleanup_free char *folder = str_printf("/sys/dev/block/%u:%u", major(dev), minor(dev));
	cleanup_free char *slaves = folder ? str_printf("%s/slaves", folder) : NULL;
	cleanup_free char *partition = folder ? str_printf("%s/partition", folder) : NULL;
	struct dirent *entry;
	bool found = false;
	dev_t below;
	DIR *dir;

	/* what cannot be told is taken for the worst */
	if (depth > MAX_DEPTH || !slaves || !partition)
		return true;
	if ((S_ISBLK(disk->st_mode) && dev == disk->st_rdev) || is_backed_by(folder, disk))
		return true;
	if (access(partition, F_OK) == 0 && sysfs_dev(folder, "..", &below) && lies_on(below, disk, depth + 1))
		return true;
	dir = opendir(slaves);
	while (dir && !found && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && sysfs_dev(slaves, entry->d_name, &below))
			found = lies_on(below, disk, depth + 1);
	if (dir)
		closedir(dir);
	return found;
}

int undo_place_refuse(const struct undo_place *p, int disk, const char *name, struct err *e)
{
	struct stat folder, st;

	if (fstat(p->dir, &folder) < 0 || fstat(disk, &st) < 0)
		return err_set(e, -errno, "%s: %s", p->folder, strerror(errno));
	if (lies_on(folder.st_dev, &st, 0))
		return err_set(e, -EINVAL, "%s: lies on %s, which is to be changed; name another place with --undo-file", p->folder, name);
	return 0;
}
