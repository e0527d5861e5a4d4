/* SPDX-License-Identifier: MIT */
/* The file server of one mount by the kernel. It runs with root's right to pass over permissions and no
 * other, in a root folder that is the mount. Every path is resolved by openat2(2) without links, without
 * leaving the root or the mount; on kernels before 5.6, component by component to the same end. A file is
 * looked at by O_PATH before it is opened, so that no FIFO, socket or device ever is. */
#include "proc/kserve.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"

struct kserver {
	int root;
	char *buf; /* the request; WIRE_MAX + 1 bytes */
	char *out; /* the answer; WIRE_MAX bytes */
	struct wire answer;
};
struct dirent64_head {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
};
enum { DIRENT_NAME = 19, MAX_COMPONENT = 255 };

static int failed(struct err *e)
{
	int code = errno;

	return err_set(e, -code, "%s", strerror(code));
}

/* ---- opening ---- */

/* The same without openat2: each component by itself, none of them a link. */
static int walk(int root, const char *path, int flags, mode_t mode)
{
	cleanup_close int at = fcntl(root, F_DUPFD_CLOEXEC, 3);
	char name[MAX_COMPONENT + 1];
	int fd;

	for (;;) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n > MAX_COMPONENT) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, n ? path : ".", n ? n : 1);
		name[n ? n : 1] = '\0';
		path += n;
		if (!path[strspn(path, "/")])
			return openat(at, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
		fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return -1;
		close(at);
		at = fd;
	}
}

static int open_file(const struct kserver *k, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
				.mode = mode,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV |
					   RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, k->root, path, &how, sizeof(how));

	return fd < 0 && errno == ENOSYS ? walk(k->root, path, flags, mode) : (int)fd;
}

/* A regular file that was looked at first. */
static int open_regular(const struct kserver *k, const char *path, int flags, struct stat *st, struct err *e)
{
	cleanup_close int seen = open_file(k, path, O_PATH, 0);
	int fd;

	if (seen < 0 || fstat(seen, st) < 0)
		return failed(e);
	if (!S_ISREG(st->st_mode))
		return err_set(e, S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL, "not a regular file");
	fd = open_file(k, path, flags | O_NONBLOCK, 0);
	return fd < 0 ? failed(e) : fd;
}

/* The folder of a path, and its last name. */
static int open_parent(const struct kserver *k, const char *path, int flags, const char **ret_name,
		       struct err *e)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *dir = NULL;
	int fd;

	if (!slash || !slash[1])
		return err_set(e, -EINVAL, "no name at its end");
	dir = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (!dir)
		return err_oom(e);
	fd = open_file(k, dir, flags | O_DIRECTORY, 0);
	if (fd < 0)
		return failed(e);
	*ret_name = slash + 1;
	return fd;
}

/* ---- reading ---- */

static enum fs_type type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return FS_FILE;
	case S_IFDIR:
		return FS_DIR;
	case S_IFLNK:
		return FS_LINK;
	case S_IFIFO:
		return FS_FIFO;
	case S_IFSOCK:
		return FS_SOCKET;
	case S_IFCHR:
		return FS_CHAR;
	case S_IFBLK:
		return FS_BLOCK;
	}
	return FS_OTHER;
}

static int do_stat(struct kserver *k, struct err *e)
{
	cleanup_close int fd = open_file(k, k->buf, O_PATH, 0);
	struct fs_stat out;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(e);
	memset(&out, 0, sizeof(out));
	out.type = type_of(st.st_mode);
	out.mode = st.st_mode & 07777;
	out.uid = st.st_uid;
	out.gid = st.st_gid;
	out.nlink = (uint32_t)st.st_nlink;
	out.size = (uint64_t)st.st_size;
	out.blocks = (uint64_t)st.st_blocks * 512;
	out.ino = st.st_ino;
	out.mtime = st.st_mtim.tv_sec;
	out.mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
	out.ctime = st.st_ctim.tv_sec;
	out.atime = st.st_atim.tv_sec;
	out.rdev_major = major(st.st_rdev);
	out.rdev_minor = minor(st.st_rdev);
	memcpy(k->out, &out, sizeof(out));
	k->answer.len = sizeof(out);
	return 0;
}

/* Packs what one getdents64 gave; names are shorter than the entries they come from, so they fit. */
static int do_list(struct kserver *k, const struct wire *w, struct err *e)
{
	cleanup_close int fd = open_file(k, k->buf, O_RDONLY | O_DIRECTORY, 0);
	cleanup_free char *entries = malloc(KFS_PIECE);
	size_t used = 0;
	long n;

	if (!entries)
		return err_oom(e);
	if (fd < 0 || (w->c && lseek(fd, w->c, SEEK_SET) < 0))
		return failed(e);
	n = syscall(SYS_getdents64, fd, entries, KFS_PIECE);
	if (n < 0)
		return failed(e);
	k->answer.a = n == 0;
	k->answer.c = w->c;
	for (long at = 0; at + DIRENT_NAME < n;) {
		const char *name = entries + at + DIRENT_NAME;
		struct dirent64_head head;
		size_t len;

		memcpy(&head.off, entries + at + 8, sizeof(head.off));
		memcpy(&head.len, entries + at + 16, sizeof(head.len));
		if (head.len <= DIRENT_NAME || head.len > n - at)
			break;
		len = strnlen(name, head.len - DIRENT_NAME);
		memcpy(k->out + used, name, len);
		k->out[used + len] = '\0';
		used += len + 1;
		at += head.len;
		k->answer.c = head.off;
	}
	k->answer.len = (uint32_t)used;
	return 0;
}

static int do_readlink(struct kserver *k, struct err *e)
{
	cleanup_close int fd = open_file(k, k->buf, O_PATH, 0);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", k->out, KFS_PIECE);

	if (n < 0)
		return fd >= 0 && errno == ENOENT ? err_set(e, -EINVAL, "not a symbolic link") : failed(e);
	k->answer.len = (uint32_t)n;
	return 0;
}

static int do_read(struct kserver *k, const struct wire *w, struct err *e)
{
	size_t want = w->mode < KFS_PIECE ? w->mode : KFS_PIECE, done = 0;
	struct stat st;
	cleanup_close int fd = open_regular(k, k->buf, O_RDONLY, &st, e);

	if (fd < 0)
		return fd;
	if (w->a > INT64_MAX - KFS_PIECE)
		return 0;
	while (done < want) {
		ssize_t n = pread(fd, k->out + done, want - done, (off_t)(w->a + done));

		if (n < 0)
			return failed(e);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	k->answer.len = (uint32_t)done;
	return 0;
}

/* One attribute into the answer. */
static int add_xattr(struct kserver *k, const char *file, const char *name, struct err *e)
{
	size_t head = strlen(name) + 1 + sizeof(uint32_t);
	uint32_t len;
	ssize_t n;

	if (head > WIRE_MAX - k->answer.len)
		return err_set(e, -E2BIG, "its extended attributes are too many");
	n = lgetxattr(file, name, k->out + k->answer.len + head, WIRE_MAX - k->answer.len - head);
	if (n < 0)
		return errno == ERANGE	  ? err_set(e, -E2BIG, "its extended attributes are too many")
		       : errno == ENODATA ? 0
					  : failed(e);
	len = (uint32_t)n;
	memcpy(k->out + k->answer.len, name, strlen(name) + 1);
	memcpy(k->out + k->answer.len + strlen(name) + 1, &len, sizeof(len));
	k->answer.len += (uint32_t)(head + (size_t)n);
	return 0;
}

/* By name in the file's own folder: a special file or a link cannot be opened for this. */
static int do_xattrs(struct kserver *k, struct err *e)
{
	cleanup_free char *names = malloc(KFS_PIECE);
	cleanup_close int dir = -1;
	const char *name = ".";
	ssize_t n;
	int r = 0;

	if (!names)
		return err_oom(e);
	if (strcmp(k->buf, "/")) {
		dir = open_parent(k, k->buf, O_RDONLY, &name, e);
		if (dir < 0)
			return dir;
	}
	if (fchdir(dir < 0 ? k->root : dir) < 0)
		return failed(e);
	n = llistxattr(name, names, KFS_PIECE);
	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : failed(e);
	for (ssize_t at = 0; r == 0 && at < n; at += (ssize_t)strlen(names + at) + 1)
		r = add_xattr(k, name, names + at, e);
	return r;
}

static int do_space(struct kserver *k, struct err *e)
{
	struct kfs_space s = { 0 };
	struct statvfs v;

	if (fstatvfs(k->root, &v) < 0)
		return failed(e);
	s.used = (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize;
	s.free = (uint64_t)v.f_bfree * v.f_frsize;
	memcpy(k->out, &s, sizeof(s));
	k->answer.len = sizeof(s);
	return 0;
}

/* ---- writing: what is written here is the overlay of a process that has no disk open for writing ---- */

static int do_rename(struct kserver *k, const struct wire *w, struct err *e)
{
	const char *to = k->buf + strlen(k->buf) + 1, *name = NULL;
	cleanup_close int dir = -1;

	if (to >= k->buf + w->len || !*to || strchr(to, '/') || !strcmp(to, ".") || !strcmp(to, "..") ||
	    strlen(to) > MAX_COMPONENT)
		return err_set(e, -EINVAL, "no name to rename it to");
	dir = open_parent(k, k->buf, O_RDONLY, &name, e);
	if (dir < 0)
		return dir;
	if (renameat2(dir, name, dir, to, RENAME_NOREPLACE) < 0 || fsync(dir) < 0)
		return failed(e);
	return 0;
}

/* Opens what is to be replaced, or makes it; *st as it was before. O_WRONLY: on the overlay, no disk. */
static int open_to_replace(struct kserver *k, struct stat *st, bool *ret_new, struct err *e)
{
	struct err why = { "" };
	int fd = open_regular(k, k->buf, O_WRONLY, st, &why); /* no disk */

	*ret_new = false;
	if (fd >= 0)
		return fd;
	if (fd != -ENOENT)
		return err_set(e, fd, "%s", why.msg);
	*ret_new = true;
	fd = open_file(k, k->buf, O_WRONLY | O_CREAT | O_EXCL, 0644); /* no disk */
	if (fd < 0)
		return failed(e);
	if (fchown(fd, 0, 0) < 0 || fchmod(fd, 0644) < 0 || fstat(fd, st) < 0) {
		int r = failed(e);

		close(fd);
		return r;
	}
	return fd;
}

static int copy_content(int from, int to, uint64_t size, char *buf, struct err *e)
{
	for (uint64_t done = 0; done < size;) {
		ssize_t n = pread(from, buf, KFS_PIECE, (off_t)done);

		if (n <= 0)
			return err_set(e, -EIO, "the new content cannot be read");
		if (pwrite(to, buf, (size_t)n, (off_t)done) != n)
			return failed(e);
		done += (uint64_t)n;
	}
	return 0;
}

/* The same inode, with the owner, mode, times and attributes it had. */
static int do_replace(struct kserver *k, int content, struct err *e)
{
	struct stat st, from, now;
	bool made = false;
	cleanup_close int fd = -1;
	int r;

	if (content < 0 || fstat(content, &from) < 0 || !S_ISREG(from.st_mode) || from.st_size > KFS_MAX_FILE)
		return err_set(e, -EINVAL, "no new content of at most 64 MiB");
	fd = open_to_replace(k, &st, &made, e);
	if (fd < 0)
		return fd;
	/* the kernel drops these when a file is written to, and we may not put them back */
	if (!made && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return err_set(e, -EOPNOTSUPP, "a file with capabilities is not changed");
	if (ftruncate(fd, 0) < 0)
		return failed(e);
	r = copy_content(content, fd, (uint64_t)from.st_size, k->out, e);
	if (r < 0)
		return r;
	if (fstat(fd, &now) < 0 || (now.st_mode != st.st_mode && fchmod(fd, st.st_mode & 07777) < 0))
		return failed(e);
	if (!made) {
		const struct timespec times[2] = { st.st_atim, st.st_mtim };

		if (futimens(fd, times) < 0)
			return failed(e);
	}
	if (fsync(fd) < 0 || fstat(fd, &now) < 0)
		return failed(e);
	if (now.st_mode != st.st_mode || now.st_uid != st.st_uid || now.st_gid != st.st_gid ||
	    now.st_size != from.st_size)
		return err_set(e, -EIO, "it is not what it was meant to become");
	return 0;
}

/* ---- the loop ---- */

static int serve_one(struct kserver *k, const struct wire *w, int fd, struct err *e)
{
	if (w->op != KFS_SYNC && w->op != KFS_SPACE &&
	    (k->buf[0] != '/' || strnlen(k->buf, w->len) > PATH_MAX))
		return err_set(e, -EINVAL, "no path");
	switch (w->op) {
	case KFS_STAT:
		return do_stat(k, e);
	case KFS_LIST:
		return do_list(k, w, e);
	case KFS_READLINK:
		return do_readlink(k, e);
	case KFS_READ:
		return do_read(k, w, e);
	case KFS_XATTRS:
		return do_xattrs(k, e);
	case KFS_RENAME:
		return do_rename(k, w, e);
	case KFS_REPLACE:
		return do_replace(k, fd, e);
	case KFS_SYNC:
		return syncfs(k->root) < 0 ? failed(e) : 0;
	case KFS_SPACE:
		return do_space(k, e);
	}
	return err_set(e, -EINVAL, "no such request");
}

void kserve(int sock, char *buf)
{
	struct kserver k = { .root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			     .buf = buf,
			     .out = malloc(WIRE_MAX) };
	struct wire w;
	int fd;

	while (k.root >= 0 && k.out && wire_recv(sock, &w, k.buf, &fd) == 1) {
		struct err e = { "" };
		int r;

		k.answer = (struct wire){ .op = WIRE_ANSWER };
		r = serve_one(&k, &w, fd, &e);
		if (fd >= 0)
			close(fd);
		if (r < 0)
			k.answer =
			    (struct wire){ .op = WIRE_ANSWER, .code = r, .len = (uint32_t)strlen(e.msg) };
		if (wire_send(sock, &k.answer, r < 0 ? e.msg : k.out, -1) < 0)
			break;
	}
	_exit(0);
}
