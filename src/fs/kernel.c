/* SPDX-License-Identifier: MIT */
/* The kernel as a back end. The volume is exported by FUSE, served by a thread of this process; the parent
 * has it mounted through a loop device in its private mount namespace (proc/kmount.c), and a file server
 * there answers our requests (proc/kserve.c). All that the kernel writes, log replay included, lands in the
 * overlay.
 *
 * Refuses: what cannot be written to even in memory, and a btrfs of several devices (the kernel would look
 * for the others on the real disks). */
#include "fs/kernel.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/str.h"
#include "proc/broker.h"
#include "proc/kserve.h"

enum { ANSWER_SECONDS = 150, MAX_ENTRIES = 16 << 20, MAX_LINK = 4096 };
enum { BTRFS_SUPER = 65536, BTRFS_MAGIC = 0x40, BTRFS_NUM_DEVICES = 0x88 };

struct kernel_fs {
	struct fs fs;
	struct broker *broker;
	struct blk *blk;
	char fmt[24];
	bool write;
	bool dead; /* it failed once: nothing more is asked */
	struct export *x; /* NULL: not mounted now */
	int sock;
	char *buf; /* the last answer; WIRE_MAX + 1 bytes */
};

static struct kernel_fs *kernel_of(struct fs *fs)
{
	return (struct kernel_fs *)fs;
}

/* ---- mounting ---- */

static int mount_it(struct kernel_fs *k, struct err *e)
{
	struct export *x = NULL;
	int r;

	if (k->dead)
		return err_set(e, -EIO, "%s: the kernel's mount failed before", k->fmt);
	if (k->x)
		return 0;
	r = broker_export(k->broker, k->blk, &x, e);
	if (r == 0)
		r = export_kmount(x, k->fmt, k->write, &k->sock, e);
	if (r < 0) {
		export_close(x);
		return r;
	}
	k->x = x;
	return 0;
}

/* Everything out, and gone. After this the overlay has what the kernel wrote, or it is an error. */
static int unmount_it(struct kernel_fs *k, struct err *e)
{
	int r;

	if (!k->x)
		return 0;
	close(k->sock);
	k->sock = -1;
	r = export_kumount(k->x, e);
	if (r == 0 && export_has_failed(k->x))
		r = err_set(e, -EIO, "%s: a write of the kernel's could not be kept", k->fmt);
	export_close(k->x);
	k->x = NULL;
	return r;
}

/* ---- requests ---- */

static int wait_answer(struct kernel_fs *k, struct wire *w, struct err *e)
{
	struct pollfd p = { .fd = k->sock, .events = POLLIN };
	int fd = -1, n;

	do
		n = poll(&p, 1, ANSWER_SECONDS * 1000);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		n = wire_recv(k->sock, w, k->buf, &fd);
	if (fd >= 0)
		close(fd);
	if (n == 1)
		return 0;
	k->dead = true;
	return err_set(e, -EIO, "%s: the kernel's mount does not answer any more", k->fmt);
}

/* path and, where there is one, a second word. w becomes the answer's head, k->buf its payload. */
static int ask(struct kernel_fs *k, struct wire *w, const char *path, const char *more, int fd, struct err *e)
{
	cleanup_free char *shown = NULL;
	cleanup_str struct str s = { 0 };
	struct err why = { "" };
	int r = mount_it(k, e);

	if (r < 0)
		return r;
	str_addn(&s, path, strlen(path) + 1);
	if (more)
		str_addn(&s, more, strlen(more) + 1);
	if (s.failed)
		return err_oom(e);
	if (s.n > WIRE_MAX)
		return err_set(e, -ENAMETOOLONG, "a path of %zu bytes", s.n);
	w->len = (uint32_t)s.n;
	r = wire_send(k->sock, w, s.p, fd);
	r = r < 0 ? err_set(&why, -EIO, "%s: the kernel's mount is gone", k->fmt) : wait_answer(k, w, &why);
	if (r == 0 && w->code < 0)
		r = err_set(&why, w->code, "%s", k->buf);
	if (r == 0)
		return 0;
	shown = str_escape(path, strlen(path), false);
	return err_set(e, r, "%s: %s", shown ? shown : "?", why.msg);
}

static int too_short(struct kernel_fs *k, struct err *e)
{
	k->dead = true;
	return err_set(e, -EBADMSG, "%s: the file server's answer is of the wrong form", k->fmt);
}

static int op_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *e)
{
	struct kernel_fs *k = kernel_of(fs);
	struct wire w = { .op = KFS_STAT };
	int r = ask(k, &w, path, NULL, -1, e);

	if (r < 0)
		return r;
	if (w.len != sizeof(*ret))
		return too_short(k, e);
	memcpy(ret, k->buf, sizeof(*ret));
	return 0;
}

/* The names of one answer; fn may ask on its own, so it gets a copy. */
static int give_names(const char *names, size_t len, size_t *count, int (*fn)(void *arg, const char *name),
		      void *arg)
{
	for (size_t at = 0; at < len; at += strlen(names + at) + 1) {
		const char *name = names + at;
		int r;

		if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
			continue;
		if (++*count > MAX_ENTRIES)
			return -EBADMSG;
		r = fn(arg, name);
		if (r)
			return r;
	}
	return 0;
}

static int op_list(struct fs *fs, const char *path, int (*fn)(void *arg, const char *name), void *arg,
		   struct err *e)
{
	struct kernel_fs *k = kernel_of(fs);
	int64_t next = 0;
	size_t count = 0;

	for (;;) {
		struct wire w = { .op = KFS_LIST, .c = next };
		cleanup_free char *names = NULL;
		int r = ask(k, &w, path, NULL, -1, e);

		if (r < 0)
			return r;
		if (w.a)
			return 0;
		if (w.c == next)
			return err_set(e, -EBADMSG, "a directory of the %s does not come to its end", k->fmt);
		next = w.c;
		names = malloc(w.len + 1);
		if (!names)
			return err_oom(e);
		memcpy(names, k->buf, w.len);
		names[w.len] = '\0';
		r = give_names(names, w.len, &count, fn, arg);
		if (count > MAX_ENTRIES)
			return err_set(e, -EBADMSG, "a directory of the %s has more than %d entries", k->fmt,
				       MAX_ENTRIES);
		if (r)
			return r;
	}
}

static int op_readlink(struct fs *fs, const char *path, char **ret, struct err *e)
{
	struct kernel_fs *k = kernel_of(fs);
	struct wire w = { .op = KFS_READLINK };
	int r = ask(k, &w, path, NULL, -1, e);

	if (r < 0)
		return r;
	if (w.len > MAX_LINK || memchr(k->buf, 0, w.len))
		return err_set(e, -EBADMSG, "a symbolic link of the %s has no sound target", k->fmt);
	*ret = str_ndup(k->buf, w.len);
	return *ret ? 0 : err_oom(e);
}

static int op_read(struct fs *fs, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n,
		   struct err *e)
{
	struct kernel_fs *k = kernel_of(fs);
	size_t done = 0;

	while (done < len) {
		uint32_t want = len - done < KFS_PIECE ? (uint32_t)(len - done) : KFS_PIECE;
		struct wire w = { .op = KFS_READ, .a = off + done, .mode = want };
		int r = ask(k, &w, path, NULL, -1, e);

		if (r < 0)
			return r;
		if (w.len > want)
			return too_short(k, e);
		memcpy((char *)buf + done, k->buf, w.len);
		done += w.len;
		if (w.len < want)
			break;
	}
	*ret_n = done;
	return 0;
}

static int op_xattrs(struct fs *fs, const char *path,
		     int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg,
		     struct err *e)
{
	struct kernel_fs *k = kernel_of(fs);
	struct wire w = { .op = KFS_XATTRS };
	cleanup_free char *all = NULL;
	int r = ask(k, &w, path, NULL, -1, e);

	if (r < 0)
		return r;
	all = malloc(w.len + 1);
	if (!all)
		return err_oom(e);
	memcpy(all, k->buf, w.len);
	all[w.len] = '\0';
	for (size_t at = 0; at < w.len;) {
		size_t name = strlen(all + at) + 1;
		uint32_t n = 0;

		if (name + sizeof(n) > w.len - at)
			return too_short(k, e);
		memcpy(&n, all + at + name, sizeof(n));
		if (n > w.len - at - name - sizeof(n))
			return too_short(k, e);
		r = fn(arg, all + at, all + at + name + sizeof(n), n);
		if (r)
			return r;
		at += name + sizeof(n) + n;
	}
	return 0;
}

static int op_replace(struct fs *fs, const char *path, const void *buf, size_t len, struct err *e)
{
	struct wire w = { .op = KFS_REPLACE };
	cleanup_close int fd = memfd_create("aderescue-content", MFD_CLOEXEC);

	if (fd < 0)
		return err_set(e, -errno, "no memory for the new content");
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)buf + done, len - done);

		if (n <= 0)
			return err_set(e, -EIO, "no memory for the new content");
		done += (size_t)n;
	}
	return ask(kernel_of(fs), &w, path, NULL, fd, e);
}

static int op_rename(struct fs *fs, const char *path, const char *new_name, struct err *e)
{
	struct wire w = { .op = KFS_RENAME };

	return ask(kernel_of(fs), &w, path, new_name, -1, e);
}

static int op_sync(struct fs *fs, struct err *e)
{
	struct kernel_fs *k = kernel_of(fs);
	struct wire w = { .op = KFS_SYNC };
	struct err later = { "" };
	int r = k->x ? ask(k, &w, "/", NULL, -1, e) : 0, r2 = unmount_it(k, &later);

	if (r == 0 && r2 < 0)
		r = err_set(e, r2, "%s", later.msg);
	k->dead |= r < 0;
	k->write = false;
	return r;
}

static void op_close(struct fs *fs)
{
	struct kernel_fs *k = kernel_of(fs);

	unmount_it(k, NULL);
	blk_unref(k->blk);
	free(k->fs.write_refused);
	free(k->buf);
	free(k);
}

static const struct fs_ops kernel_fs_ops = {
	.name = "kernel",
	.stat = op_stat,
	.list = op_list,
	.readlink = op_readlink,
	.read = op_read,
	.xattrs = op_xattrs,
	.replace = op_replace,
	.rename = op_rename,
	.sync = op_sync,
	.close = op_close,
};

/* ---- opening ---- */

static int refuse_blk(struct blk *blk, const char *fmt, struct err *e)
{
	uint8_t super[256];
	le64 devices;
	int r;

	if (!blk_is_writable(blk))
		return err_set(e, -EOPNOTSUPP, "the kernel mounts only what could be written to, in memory");
	if (!str_eq(fmt, "btrfs"))
		return 0;
	r = blk_pread(blk, super, sizeof(super), BTRFS_SUPER, e);
	if (r < 0)
		return r;
	if (memcmp(super + BTRFS_MAGIC, "_BHRfS_M", 8))
		return err_set(e, -EBADMSG, "its first superblock is damaged");
	memcpy(&devices, super + BTRFS_NUM_DEVICES, sizeof(devices));
	if (le64_get(devices) != 1)
		return err_set(e, -EOPNOTSUPP, "a btrfs of %ju devices is not put together here",
			       (uintmax_t)le64_get(devices));
	return 0;
}

static int look_at_space(struct kernel_fs *k, struct err *e)
{
	struct wire w = { .op = KFS_SPACE };
	struct kfs_space s;
	int r = ask(k, &w, "/", NULL, -1, e);

	if (r < 0)
		return r;
	if (w.len != sizeof(s))
		return too_short(k, e);
	memcpy(&s, k->buf, sizeof(s));
	k->fs.used = s.used;
	k->fs.free = s.free;
	return 0;
}

int kernel_fs_open(struct broker *b, struct node *n, bool write, struct fs **ret, struct err *e)
{
	static const char why[] = "it is mounted for reading";
	struct kernel_fs *k = NULL;
	int r = n->blk ? refuse_blk(n->blk, n->fmt, e) : err_set(e, -ENOKEY, "not open");

	if (r == 0)
		r = broker_kernel_can(b, n->fmt, e);
	if (r < 0)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return err_oom(e);
	*k = (struct kernel_fs){ .fs = { .ops = &kernel_fs_ops },
				 .broker = b,
				 .blk = blk_ref(n->blk),
				 .write = write,
				 .sock = -1,
				 .buf = malloc(WIRE_MAX + 1) };
	memcpy(k->fmt, n->fmt, sizeof(k->fmt));
	k->fs.kernel_may = !write;
	k->fs.write_refused = write ? NULL : str_ndup(why, sizeof(why));
	r = k->buf && (write || k->fs.write_refused) ? look_at_space(k, e) : err_oom(e);
	if (r < 0) {
		op_close(&k->fs);
		return r;
	}
	*ret = &k->fs;
	return 0;
}

static int hook_can(void *arg, const char *fmt, struct err *e)
{
	return broker_kernel_can(arg, fmt, e);
}

static int hook_open(void *arg, struct node *n, bool write, struct fs **ret, struct err *e)
{
	return kernel_fs_open(arg, n, write, ret, e);
}

void kernel_hook_init(struct kernel_hook *h, struct broker *b)
{
	*h = (struct kernel_hook){ .arg = b, .can = hook_can, .open = hook_open };
}
