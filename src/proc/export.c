/* SPDX-License-Identifier: MIT */
/* A blk as the file "disk" of a FUSE mount, served by a thread of this process on the descriptor that the
 * parent opened and mounted. Nothing is cached for writing, so every write of a checker reaches the blk
 * before the checker goes on. */
#define FUSE_USE_VERSION 34
#include "proc/proc.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"

enum { INO_DISK = 2, TIMEOUT = 3600 };
struct export
{
	struct broker *broker;
	struct blk *blk;
	struct fuse_session *session;
	pthread_t thread;
	bool running;
	bool mounted;
	uint32_t id;
	atomic_bool failed; /* a write could not be kept */
};

static struct export *self(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static void fill(const struct export *x, fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){
		.st_ino = ino, .st_uid = geteuid(), .st_gid = getegid(), .st_nlink = 1, .st_blksize = 4096
	};
	st->st_mode = ino == INO_DISK ? S_IFREG | 0600 : S_IFDIR | 0700;
	if (ino == INO_DISK) {
		st->st_size = (off_t)x->blk->size;
		st->st_blocks = (blkcnt_t)(x->blk->size / 512);
	}
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .ino = INO_DISK,
					  .attr_timeout = TIMEOUT,
					  .entry_timeout = TIMEOUT };

	if (parent != FUSE_ROOT_ID || strcmp(name, "disk")) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill(self(req), INO_DISK, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	fill(self(req), ino, &st);
	fuse_reply_attr(req, &st, TIMEOUT);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (ino != INO_DISK) {
		fuse_reply_err(req, EISDIR);
		return;
	}
	fi->direct_io = 1;
	fuse_reply_open(req, fi);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct blk *blk = self(req)->blk;
	cleanup_free char *buf = NULL;

	(void)ino;
	(void)fi;
	if ((uint64_t)off >= blk->size)
		size = 0;
	else if (size > blk->size - (uint64_t)off)
		size = (size_t)(blk->size - (uint64_t)off);
	buf = malloc(size + 1);
	if (!buf)
		fuse_reply_err(req, ENOMEM);
	else if (blk_pread(blk, buf, size, (uint64_t)off, NULL) < 0)
		fuse_reply_err(req, EIO);
	else
		fuse_reply_buf(req, buf, size);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	int r = blk_pwrite(self(req)->blk, buf, size, (uint64_t)off, NULL);

	if (r < 0)
		self(req)->failed = true;

	(void)ino;
	(void)fi;
	if (r < 0)
		fuse_reply_err(req, r == -ERANGE ? ENOSPC : EIO);
	else
		fuse_reply_write(req, size);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.lookup = on_lookup,
	.getattr = on_getattr,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
};

static void *serve(void *arg)
{
	struct export *x = arg;

	fuse_session_loop(x->session);
	return NULL;
}

static int start(struct export *x, int fd, struct err *e)
{
	char *argv[] = { (char *)"aderescue", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	char place[32];
	sigset_t all, old;
	int r;

	x->session = fuse_session_new(&args, &ops, sizeof(ops), x);
	fuse_opt_free_args(&args);
	if (!x->session)
		return err_set(e, -EOPNOTSUPP, "no FUSE session can be made");
	snprintf(place, sizeof(place), "/dev/fd/%d", fd);
	if (fuse_session_mount(x->session, place) < 0)
		return err_set(e, -EOPNOTSUPP, "the FUSE descriptor is not accepted");
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	r = pthread_create(&x->thread, NULL, serve, x);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return err_set(e, -r, "no thread for FUSE");
	x->running = true;
	return 0;
}

void export_close(struct export *x)
{
	struct wire w = { .op = WIRE_UNEXPORT };

	if (!x)
		return;
	w.id = x->id;
	if (x->session)
		fuse_session_exit(x->session);
	if (x->mounted)
		broker_ask(x->broker, &w, NULL, -1, NULL, NULL); /* the unmount ends the thread's read */
	if (x->running)
		pthread_join(x->thread, NULL);
	if (x->session)
		fuse_session_destroy(x->session);
	blk_unref(x->blk);
	free(x);
}

int broker_export(struct broker *b, struct blk *blk, struct export **ret, struct err *e)
{
	struct wire w = { .op = WIRE_EXPORT };
	struct export *x = calloc(1, sizeof(*x));
	int fd = -1, r;

	if (!x)
		return err_oom(e);
	x->broker = b;
	x->blk = blk_ref(blk);
	r = broker_ask(b, &w, NULL, -1, &fd, e);
	x->mounted = r == 0;
	x->id = w.id;
	if (r == 0 && fd < 0)
		r = err_set(e, -EOPNOTSUPP, "no FUSE descriptor came");
	if (r == 0)
		r = start(x, fd, e);
	/* libfuse owns fd once mounted and closes it with the session */
	if (r < 0 && fd >= 0 && !x->session)
		close(fd);
	if (r < 0) {
		export_close(x);
		return r;
	}
	*ret = x;
	return 0;
}

int export_check(struct export *x, enum checker which, struct check_result *ret, struct err *e)
{
	struct wire w = { .op = WIRE_CHECK, .a = which, .id = x->id };
	struct err why = { "" };
	int r = broker_ask(x->broker, &w, NULL, -1, NULL, &why);

	if (r < 0 && r != -ECANCELED)
		return err_set(e, r, "%s", why.msg);
	*ret = (struct check_result){ .status = r < 0 ? -1 : (int)w.a };
	if (r < 0)
		ret->why = str_printf("%s", why.msg);
	else
		ret->output = str_ndup(x->broker->buf, w.len);
	return ret->why || ret->output ? 0 : err_oom(e);
}

void check_result_done(struct check_result *r)
{
	free(r->output);
	free(r->why);
	*r = (struct check_result){ 0 };
}

bool export_has_failed(const struct export *x)
{
	return x->failed;
}

int broker_kernel_can(struct broker *b, const char *fmt, struct err *e)
{
	struct wire w = { .op = WIRE_KCAN, .len = (uint32_t)strlen(fmt) };

	return broker_ask(b, &w, fmt, -1, NULL, e);
}

int export_kmount(struct export *x, const char *fmt, bool write, int *ret_sock, struct err *e)
{
	struct wire w = { .op = WIRE_KMOUNT, .id = x->id, .a = write, .len = (uint32_t)strlen(fmt) };
	int sock = -1, r = broker_ask(x->broker, &w, fmt, -1, &sock, e);

	if (r < 0)
		return r;
	if (sock < 0)
		return err_set(e, -EIO, "no file server came");
	*ret_sock = sock;
	return 0;
}

int export_kumount(struct export *x, struct err *e)
{
	struct wire w = { .op = WIRE_KUMOUNT, .id = x->id };

	return broker_ask(x->broker, &w, NULL, -1, NULL, e);
}
