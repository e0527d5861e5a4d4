/* SPDX-License-Identifier: MIT */
/* A disk or an image file, by a descriptor that somebody else opened for reading. There is no write here. A
 * failed read is tried again in small steps, so that a bad sector costs its neighbours nothing and the
 * message names the first byte that cannot be had. Every failure is -EIO: the caller learns the kernel's
 * reason from the sentence. */
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include "base/bytes.h"
#include "base/str.h"
#include "blk/blk.h"

enum { STEP = 4096 };

struct blk_file {
	struct blk blk;
	int fd;
	char *name;
};

static _Atomic uint64_t stats_bytes, stats_reads;

/* As pread, but an interrupted one is taken up again and a failure is negative errno. */
static ssize_t read_some(int fd, uint8_t *buf, size_t len, uint64_t off)
{
	ssize_t n;

	do {
		n = pread(fd, buf, len, (off_t)off);
		atomic_fetch_add_explicit(&stats_reads, 1, memory_order_relaxed);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	atomic_fetch_add_explicit(&stats_bytes, (uint64_t)n, memory_order_relaxed);
	return n;
}

static int file_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	const struct blk_file *f = (const struct blk_file *)b;
	uint8_t *p = buf;
	bool stepping = false;
	size_t want;
	ssize_t n;

	while (len) {
		want = stepping && len > STEP - off % STEP ? STEP - off % STEP : len;
		n = read_some(f->fd, p, want, off);
		if (n < 0 && !stepping) {
			stepping = true;
			continue;
		}
		if (n < 0)
			return err_set(e, -EIO, "%s: cannot be read at byte %ju: %s", f->name, (uintmax_t)off,
				       strerror((int)-n));
		if (n == 0)
			return err_set(e, -EIO, "%s: ended at byte %ju, expected %ju", f->name,
				       (uintmax_t)off, (uintmax_t)b->size);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static void file_close(struct blk *b)
{
	struct blk_file *f = (struct blk_file *)b;

	if (f->fd >= 0)
		close(f->fd);
	free(f->name);
	free(f);
}

static const struct blk_ops file_ops = {
	.kind = "file",
	.pread = file_pread,
	.close = file_close,
};

void blk_file_stats(uint64_t *ret_bytes, uint64_t *ret_reads)
{
	*ret_bytes = atomic_load_explicit(&stats_bytes, memory_order_relaxed);
	*ret_reads = atomic_load_explicit(&stats_reads, memory_order_relaxed);
}

int blk_open_file(int fd, uint64_t size, const char *name, struct blk **ret, struct err *e)
{
	cleanup_blk struct blk *b = NULL;
	struct blk_file *f;

	if (size > INT64_MAX)
		return err_set(e, -ERANGE, "%s: %ju bytes are more than a file can have", name,
			       (uintmax_t)size);
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_oom(e);
	f->blk = (struct blk){.ops = &file_ops, .size = size, .align = 1, .refs = 1};
	f->fd = -1;
	b = &f->blk;

	f->name = str_ndup(name, strlen(name));
	if (!f->name)
		return err_oom(e);
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (f->fd < 0)
		return err_set(e, -errno, "%s: descriptor cannot be kept: %s", name, strerror(errno));
	*ret = take_ptr(&b);
	return 0;
}
