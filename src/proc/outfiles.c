/* SPDX-License-Identifier: MIT */
/* Files that leave the image: created by the parent below one destination, by names relative to it, never following a link, never over what is there,
 * never a device node. Names come from hostile disks; the kernel resolves them beneath the destination only (openat2). */
#include "proc/proc.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "base/str.h"

static int open_beneath(int dir, const char *rel, int flags, mode_t mode)
{
	struct open_how how = { .flags = (uint64_t)flags | O_CLOEXEC | O_NOFOLLOW, .mode = mode,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, dir, rel, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The folder of rel, opened; *ret_base points to the last component. */
static int open_parent(const struct outfiles *o, const char *rel, const char **ret_base, struct err *e)
{
	const char *slash = strrchr(rel, '/');
	cleanup_free char *folder = slash ? str_ndup(rel, (size_t)(slash - rel)) : str_ndup(".", 1);
	int fd;

	*ret_base = slash ? slash + 1 : rel;
	if (!folder)
		return err_oom(e);
	if (!**ret_base || !strcmp(*ret_base, ".") || !strcmp(*ret_base, ".."))
		return err_set(e, -EINVAL, "not a name for a file");
	fd = open_beneath(o->dir, *folder ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? err_set(e, fd, "%s: %s", folder, strerror(-fd)) : fd;
}

static int make_dir(struct outfiles *o, const char *rel, mode_t mode, struct err *e)
{
	const char *base;
	cleanup_close int dir = open_parent(o, rel, &base, e);

	if (dir < 0)
		return dir;
	if (mkdirat(dir, base, mode & 0700) < 0 && errno != EEXIST)
		return err_set(e, -errno, "%s: %s", rel, strerror(errno));
	return 0;
}

static int make_file(struct outfiles *o, const char *rel, struct err *e)
{
	const char *name = o->single ? o->single : rel;
	int fd;

	if (o->file >= 0)
		return err_set(e, -EBUSY, "a file is open already");
	/* O_EXCL: a file that is there is never opened, whatever it is */
	fd = open_beneath(o->dir, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return err_set(e, fd, "%s: %s", name, fd == -EEXIST ? "is there already, and is left as it is" : strerror(-fd));
	o->file = fd;
	return 0;
}

static int write_file(struct outfiles *o, const void *buf, size_t len, uint64_t off, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(o->file, (const char *)buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, n < 0 ? -errno : -EIO, "writing: %s", strerror(n < 0 ? errno : EIO));
		done += (size_t)n;
	}
	return 0;
}

static int set_meta(const struct outfiles *o, int fd, const struct wire *w, struct err *e)
{
	struct timespec times[2] = { { .tv_sec = w->c }, { .tv_sec = w->c } };

	if (o->keep_owner && geteuid() == 0 && fchown(fd, w->uid, w->gid) < 0)
		return err_set(e, -errno, "owner: %s", strerror(errno));
	/* set-id bits only where the owner is kept as well */
	if (fchmod(fd, w->mode & (o->keep_owner ? 07777 : 0777)) < 0 || futimens(fd, times) < 0)
		return err_set(e, -errno, "mode and time: %s", strerror(errno));
	return 0;
}

static int finish_file(struct outfiles *o, const struct wire *w, struct err *e)
{
	cleanup_close int fd = take_fd(&o->file);

	if (fd < 0)
		return err_set(e, -EBADF, "no file is open");
	if (ftruncate(fd, (off_t)w->a) < 0)
		return err_set(e, -errno, "size: %s", strerror(errno));
	return set_meta(o, fd, w, e);
}

static int finish_dir(struct outfiles *o, const char *rel, const struct wire *w, struct err *e)
{
	cleanup_close int fd = open_beneath(o->dir, rel, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return err_set(e, fd, "%s: %s", rel, strerror(-fd));
	return set_meta(o, fd, w, e);
}

static int make_link(struct outfiles *o, const struct wire *w, const char *payload, size_t len, struct err *e)
{
	struct timespec times[2] = { { .tv_sec = w->c }, { .tv_sec = w->c } };
	size_t n = strlen(payload);
	const char *base;
	cleanup_close int dir = open_parent(o, payload, &base, e);

	if (dir < 0)
		return dir;
	if (n + 1 > len || symlinkat(payload + n + 1, dir, base) < 0)
		return err_set(e, n + 1 > len ? -EINVAL : -errno, "%s: %s", payload, strerror(errno));
	if (o->keep_owner && geteuid() == 0 && fchownat(dir, base, w->uid, w->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, -errno, "%s: owner: %s", payload, strerror(errno));
	if (utimensat(dir, base, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, -errno, "%s: time: %s", payload, strerror(errno));
	return 0;
}

static int set_xattr(struct outfiles *o, const char *payload, size_t len, struct err *e)
{
	size_t n = strlen(payload);

	if (o->file < 0 || n + 1 > len)
		return err_set(e, -EINVAL, "no file is open");
	if (fsetxattr(o->file, payload, payload + n + 1, len - n - 1, 0) < 0)
		return err_set(e, -errno, "%s: %s", payload, strerror(errno));
	return 0;
}

int outfiles_serve(struct outfiles *o, const struct wire *w, const char *payload, struct err *e)
{
	if (o->dir < 0)
		return err_set(e, -EPERM, "no destination was given");
	switch (w->op) {
	case WIRE_MKDIR:
		return make_dir(o, payload, w->mode, e);
	case WIRE_CREATE:
		return make_file(o, payload, e);
	case WIRE_WRITE:
		return o->file < 0 ? err_set(e, -EBADF, "no file is open") : write_file(o, payload, w->len, w->a, e);
	case WIRE_FINISH:
		return finish_file(o, w, e);
	case WIRE_DIRMETA:
		return finish_dir(o, payload, w, e);
	case WIRE_SYMLINK:
		return make_link(o, w, payload, w->len, e);
	case WIRE_XATTR:
		return set_xattr(o, payload, w->len, e);
	}
	return err_set(e, -EINVAL, "no such request");
}

/* The destination is a folder that is there, or (one file) a name in a folder that is there. */
int outfiles_open(struct outfiles *o, const struct broker_options *opt, struct err *e)
{
	const char *slash;
	cleanup_free char *folder = NULL;

	*o = (struct outfiles){ .dir = -1, .file = -1, .keep_owner = opt->dest_owner };
	if (!opt->dest)
		return 0;
	if (opt->dest_new_private && mkdir(opt->dest, 0700) < 0)
		return err_set(e, -errno, "%s: %s", opt->dest, errno == EEXIST ? "is there already; a new folder is needed" : strerror(errno));
	if (opt->dest_is_dir || opt->dest_new_private) {
		o->dir = open(opt->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return o->dir < 0 ? err_set(e, -errno, "%s: %s", opt->dest, strerror(errno)) : 0;
	}
	slash = strrchr(opt->dest, '/');
	folder = slash ? str_ndup(opt->dest, (size_t)(slash - opt->dest)) : str_ndup(".", 1);
	o->single = str_printf("%s", slash ? slash + 1 : opt->dest);
	if (!folder || !o->single)
		return err_oom(e);
	o->dir = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return o->dir < 0 ? err_set(e, -errno, "%s: %s", folder, strerror(errno)) : 0;
}

void outfiles_close(struct outfiles *o)
{
	if (o->dir >= 0)
		close(o->dir);
	if (o->file >= 0)
		close(o->file);
	free(o->single);
	*o = (struct outfiles){ .dir = -1, .file = -1 };
}
