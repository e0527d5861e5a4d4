/* SPDX-License-Identifier: MIT */
/* The writer: the only file that opens a disk for writing, and only through the descriptor by which it was read all along, so that a name that means
 * another disk by now is never followed. It follows undo.c for the order of things and brings the real I/O to it. It refuses a disk that this
 * system holds, that another aderescue works on, or that a run cut short covers, and an undo file where one is already. */
#include "repair/commit.h"

#include <fcntl.h>
#include <gcrypt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "repair/commit_priv.h"

/* ---- the real wio ---- */

static int fd_of(const struct disk_io *d, int file)
{
	if (file == WIO_LOG)
		return d->log;
	return file >= 0 && (size_t)file < d->n ? d->disks[file] : -1;
}

static int io_pread(struct wio *io, int file, void *buf, size_t len, uint64_t off)
{
	int fd = fd_of((struct disk_io *)io, file);
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;   /* 0: it has become shorter */
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int io_pwrite(struct wio *io, int file, const void *buf, size_t len, uint64_t off)
{
	struct disk_io *d = (struct disk_io *)io;
	int fd = fd_of(d, file);
	const uint8_t *p = buf;

	if (file != WIO_LOG)
		d->wrote = true;
	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* A failed fsync is not tried again: the kernel has forgotten what it could not write. Afterwards the cache is dropped, so that what is read back
 * comes from the medium. */
static int io_sync(struct wio *io, int file)
{
	int fd = fd_of((struct disk_io *)io, file);

	if (fsync(fd) < 0)
		return -errno;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static int io_sync_dir(struct wio *io)
{
	return fsync(((struct disk_io *)io)->dir) < 0 ? -errno : 0;
}

/* undo_write_set then writes every byte of it, before anything is armed: a file system that allocates on writing is full then, not later. */
static int io_reserve(struct wio *io, uint64_t len)
{
	int log = ((struct disk_io *)io)->log;
	int r = ftruncate(log, (off_t)len) < 0 ? errno : posix_fallocate(log, 0, (off_t)len);

	return -r;
}

static uint64_t io_size(struct wio *io, int file)
{
	int fd = fd_of((struct disk_io *)io, file);
	uint64_t size = 0;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return 0;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, &size) < 0 ? 0 : size;
	return st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

void disk_io_init(struct disk_io *d, int log, int dir, const int *disks, size_t n)
{
	*d = (struct disk_io){
		.io = { .pread = io_pread, .pwrite = io_pwrite, .sync = io_sync, .sync_dir = io_sync_dir, .reserve = io_reserve,
			.size = io_size },
		.log = log, .dir = dir, .disks = disks, .n = n,
	};
}

/* ---- disks, for writing ---- */

struct write_fds { int *v; size_t n; };

static void write_fds_close(struct write_fds *w)
{
	for (size_t i = 0; i < w->n; i++)
		close(w->v[i]);
	free(w->v);
	*w = (struct write_fds){ .n = 0 };
}

/* udev locks a device for the moment in which it looks at it; an image is locked by nobody but us. */
static int lock_disk(int fd, bool is_blk)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

	for (unsigned left = is_blk ? 20 : 0; flock(fd, LOCK_EX | LOCK_NB) < 0; left--) {
		if (errno != EWOULDBLOCK || !left)
			return errno == EWOULDBLOCK ? -EBUSY : -errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int reopen_disk(int fd, const char *name, int *ret, struct err *e)
{
	cleanup_close int w = -1;
	char path[32];
	struct stat st, again;
	int flags = O_RDWR | O_CLOEXEC | O_NOCTTY, r;

	if (fstat(fd, &st) < 0)
		return err_set(e, -errno, "%s: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL, "%s: neither a block device nor a file", name);
	if (S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	w = open(path, flags);
	if (w < 0 && errno == EBUSY)
		return err_set(e, -EBUSY, "%s: is held by this system (mounted, activated or unlocked); nothing was written", name);
	if (w < 0)
		return err_set(e, -errno, "%s: cannot be opened for writing: %s", name, strerror(errno));
	if (fstat(w, &again) < 0 || again.st_rdev != st.st_rdev || again.st_ino != st.st_ino || again.st_dev != st.st_dev)
		return err_set(e, -ESTALE, "%s: has become another disk; nothing was written", name);
	r = lock_disk(w, S_ISBLK(st.st_mode));
	if (r < 0)
		return err_set(e, r, "%s: another program has locked it (aderescue, udev); nothing was written", name);
	*ret = take_fd(&w);
	return 0;
}

/* Block devices stay ours alone, and every disk locked, until the descriptors are closed. */
static int reopen_disks(const struct commit_disk *disks, size_t n, struct write_fds *w, struct err *e)
{
	int r = 0;

	w->v = calloc(n, sizeof(*w->v));
	if (!w->v)
		return err_oom(e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = reopen_disk(disks[i].fd, disks[i].path, &w->v[i], e);
		w->n += r == 0;
	}
	return r;
}

/* ---- signals ---- */

/* Whoever hangs up or interrupts waits until the run is done; a full log must be an error, not an end. */
static void hold_signals(sigset_t *ret_before)
{
	static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGXFSZ, SIGTSTP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(held) / sizeof(*held); i++)
		sigaddset(&set, held[i]);
	sigprocmask(SIG_BLOCK, &set, ret_before);
}

static void release_signals(const sigset_t *before)
{
	sigprocmask(SIG_SETMASK, before, NULL);
}

/* ---- commit ---- */

void commit_result_done(struct commit_result *res)
{
	free(res->undo_path);
	*res = (struct commit_result){ .undo_path = NULL };
}

/* The set with what this process knows of the disks itself in the place of what it was told: their names, where they are, their serials. */
static int own_view(const struct change_set *cs, const struct commit_disk *disks, struct change_set *ret, struct err *e)
{
	*ret = *cs;
	ret->disks = calloc(cs->ndisks, sizeof(*ret->disks));
	if (!ret->disks)
		return err_oom(e);
	for (size_t i = 0; i < cs->ndisks; i++) {
		struct disk_identity *id = &ret->disks[i];
		const char *slash = strrchr(disks[i].path, '/');
		struct host_disk h = { .fd = disks[i].fd };
		struct stat st;

		*id = cs->disks[i];
		id->path = realpath(disks[i].path, NULL);
		if (!id->path)
			id->path = str_printf("%s", disks[i].path);
		id->name = h.name = str_printf("%s", slash ? slash + 1 : disks[i].path);
		if (!id->path || !id->name)
			return err_oom(e);
		h.is_blk = fstat(h.fd, &st) == 0 && S_ISBLK(st.st_mode);
		host_describe("", &h);
		if (*h.serial && *id->serial && strcmp(h.serial, id->serial))
			return err_set(e, -ESTALE, "%s: has another serial than the disk of the plan; nothing was written", disks[i].path);
		if (*h.serial)
			memcpy(id->serial, h.serial, sizeof(id->serial));
	}
	return 0;
}

static void own_view_done(struct change_set *own)
{
	for (size_t i = 0; own->disks && i < own->ndisks; i++) {
		free(own->disks[i].name);
		free(own->disks[i].path);
	}
	free(own->disks);
}

static int create_log(const struct undo_place *p, int *ret, struct err *e)
{
	int fd = openat(p->dir, p->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return err_set(e, -EEXIST, "%s/%s: is there already, and is not written over", p->folder, p->name);
	if (fd < 0)
		return err_set(e, -errno, "%s/%s: cannot be made: %s", p->folder, p->name, strerror(errno));
	(void)flock(fd, LOCK_EX | LOCK_NB);
	*ret = fd;
	return 0;
}

static int hash_file(struct wio *io, uint64_t size, uint8_t ret[32], struct err *e)
{
	cleanup_free uint8_t *buf = malloc(UNDO_CHUNK);
	gcry_md_hd_t md;
	int r = 0;

	if (!buf || gcry_md_open(&md, GCRY_MD_SHA256, 0))
		return err_oom(e);
	for (uint64_t off = 0; r == 0 && off < size; off += UNDO_CHUNK) {
		size_t n = size - off < UNDO_CHUNK ? (size_t)(size - off) : UNDO_CHUNK;

		r = io->pread(io, WIO_LOG, buf, n, off);
		if (r == 0)
			gcry_md_write(md, buf, n);
	}
	if (r == 0)
		memcpy(ret, gcry_md_read(md, GCRY_MD_SHA256), 32);
	gcry_md_close(md);
	return r < 0 ? err_set(e, r, "undo file: cannot be read: %s", strerror(-r)) : 0;
}

static int run_commit(const struct change_set *cs, const struct write_fds *w, const struct undo_place *p, struct commit_result *ret, struct err *e)
{
	struct commit_result res = { .undo_path = str_printf("%s%s%s", p->folder, strcmp(p->folder, "/") ? "/" : "", p->name) };
	cleanup_close int log = -1;
	struct disk_io d;
	sigset_t before;
	int r = res.undo_path ? create_log(p, &log, e) : err_oom(e);

	if (r < 0) {
		commit_result_done(&res);
		return r;
	}
	disk_io_init(&d, log, p->dir, w->v, w->n);
	hold_signals(&before);
	r = undo_commit(&d.io, cs, e);
	if (r < 0 && !d.wrote)
		(void)unlinkat(p->dir, p->name, 0);
	release_signals(&before);
	if (r < 0 && d.wrote)
		err_wrap(e, r, "undo file %.200s", res.undo_path);
	res.undo_size = d.io.size(&d.io, WIO_LOG);
	if (r == 0)
		r = hash_file(&d.io, res.undo_size, res.undo_sha256, e);
	if (r < 0) {
		commit_result_done(&res);
		return r;
	}
	*ret = res;
	return 0;
}

/* The exclusive open tells of a block device; of an image only the loop devices do. */
static int refuse_held(const struct change_set *cs, const struct commit_disk *disks, const struct write_fds *w, struct err *e)
{
	cleanup_free struct host_disk *v = calloc(w->n, sizeof(*v));
	struct stat st;

	if (!v)
		return err_oom(e);
	for (size_t i = 0; i < w->n; i++)
		v[i] = (struct host_disk){ .path = (char *)disks[i].path, .name = cs->disks[i].name, .fd = w->v[i],
					   .is_blk = fstat(w->v[i], &st) == 0 && S_ISBLK(st.st_mode) };
	return runs_refuse_held(v, w->n, e);
}

static int commit_view(const struct change_set *cs, const struct commit_disk *disks, const char *undo_file, struct commit_result *ret, struct err *e)
{
	struct undo_place place = { .dir = -1 };
	struct write_fds w = { .n = 0 };
	int r = reopen_disks(disks, cs->ndisks, &w, e);

	if (r == 0)
		r = refuse_held(cs, disks, &w, e);
	if (r == 0)
		r = runs_refuse_armed(cs, w.v, e);
	if (r == 0)
		r = undo_place_open(undo_file, cs->run, &place, e);
	for (size_t i = 0; r == 0 && i < w.n; i++)
		r = undo_place_refuse(&place, w.v[i], disks[i].path, e);
	if (r == 0)
		r = run_commit(cs, &w, &place, ret, e);
	undo_place_done(&place);
	write_fds_close(&w);
	return r;
}

int commit_apply(const struct change_set *cs, const struct commit_disk *disks, const char *undo_file, struct commit_result *ret, struct err *e)
{
	struct change_set own = { .n = 0 };
	int r = undo_check_set(cs, e);

	if (r < 0)
		return r;
	bytes_gcrypt_init();
	r = own_view(cs, disks, &own, e);
	if (r == 0)
		r = commit_view(&own, disks, undo_file, ret, e);
	own_view_done(&own);
	return r;
}

/* ---- undo and resume ---- */

static int open_log(const char *file, int *ret, struct err *e)
{
	cleanup_close int fd = open(file, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, -ENOENT, "%s: there is no such undo file", file);
	if (fd < 0)
		return err_set(e, -errno, "%s: cannot be opened for reading and writing: %s", file, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "%s: not an undo file", file);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, -EBUSY, "%s: another aderescue works with it", file);
	*ret = take_fd(&fd);
	return 0;
}

/* The set of a run that can be taken further; the state is asked for again when it is. */
static int read_set(int log, bool resume, struct change_set *ret, struct err *e)
{
	struct disk_io d;
	enum run_state state;
	int r;

	disk_io_init(&d, log, -1, NULL, 0);
	r = undo_read(&d.io, ret, &state, e);
	if (r < 0)
		return r;
	if (state == RUN_NONE)
		r = err_set(e, -ENODATA, "run %s was never armed: nothing was written to a disk, there is nothing to take back", ret->run);
	else if (state == RUN_UNDONE)
		r = err_set(e, -EALREADY, "run %s is taken back already", ret->run);
	else if (state == RUN_DONE && resume)
		r = err_set(e, -EALREADY, "run %s is done already", ret->run);
	return r;
}

static char *say(const struct change_set *cs, const struct host_disk *disks, bool resume)
{
	struct str s = { .n = 0 };
	uint64_t bytes = 0;
	char name[64];

	for (size_t i = 0; i < cs->n; i++)
		bytes += cs->v[i].len;
	str_addf(&s, "run %s %s: %" PRIu64 " bytes in %zu places written and read back\n", cs->run, resume ? "finished" : "taken back", bytes, cs->n);
	for (size_t i = 0; i < cs->ndisks; i++) {
		str_add(&s, "  ");
		str_add_escaped(&s, disks[i].path, strlen(disks[i].path), true);
		undo_disk_name(cs, (unsigned)i, name);
		if (!str_eq(name, disks[i].name))
			str_addf(&s, ", which was %s", name);
		str_add(&s, "\n");
	}
	return str_take(&s);
}

static int go_on(int log, const struct change_set *cs, const struct host_disk *disks, bool resume, char **ret_text, struct err *e)
{
	cleanup_free struct commit_disk *open_ = calloc(cs->ndisks, sizeof(*open_));
	cleanup_free char *text = say(cs, disks, resume);
	struct write_fds w = { .n = 0 };
	struct disk_io d;
	sigset_t before;
	int r;

	if (!open_ || !text)
		return err_oom(e);
	for (size_t i = 0; i < cs->ndisks; i++)
		open_[i] = (struct commit_disk){ .fd = disks[i].fd, .path = disks[i].path };
	r = reopen_disks(open_, cs->ndisks, &w, e);
	if (r == 0) {
		disk_io_init(&d, log, -1, w.v, w.n);
		hold_signals(&before);
		r = resume ? undo_resume(&d.io, e) : undo_run(&d.io, e);
		release_signals(&before);
	}
	write_fds_close(&w);
	if (r == 0)
		*ret_text = take_ptr(&text);
	return r;
}

int commit_undo(const char *file, const char *const *candidates, size_t n, int flags, char **ret_text, struct err *e)
{
	struct change_set cs = { .n = 0 };
	struct host_disk *disks = NULL;
	cleanup_close int log = -1;
	int r = open_log(file, &log, e);

	if (r < 0)
		return r;
	r = read_set(log, flags & UNDO_RESUME, &cs, e);
	if (r == 0)
		r = runs_find_disks(&cs, candidates, n, n == 0 || (flags & UNDO_HINTS), &disks, e);
	if (r == 0)
		r = go_on(log, &cs, disks, flags & UNDO_RESUME, ret_text, e);
	if (disks)
		host_disks_free(disks, cs.ndisks);
	change_set_done(&cs);
	return r < 0 ? err_wrap(e, r, "%s", file) : 0;
}
