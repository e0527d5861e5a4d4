/* SPDX-License-Identifier: MIT */
/* Bytes of a blk in a sealed memfd (memfd_create(2), fcntl(2) F_ADD_SEALS), for libraries that insist on a
 * path or a descriptor: crypt_load repairs what it finds, so no library ever gets the disk. Blocks of zeroes
 * stay holes. Refuses to hold more than STAGE_MAX bytes, as ranges come from hostile headers. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "base/bytes.h"
#include "blk/blk.h"

enum { STEP = 256 * 1024, HOLE = 4096 };
#define STAGE_MAX (512ull << 20)

#define PROBE_WHOLE (64ull << 20)
#define PROBE_HEAD ((4ull << 20) + (128ull << 10))
#define PROBE_TAIL (2ull << 20)

static int write_all(int fd, const uint8_t *p, size_t len, uint64_t off, struct err *e)
{
	ssize_t n;

	while (len) {
		n = pwrite(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, n < 0 ? -errno : -EIO, "staging file: %s",
				       strerror(n < 0 ? errno : EIO));
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Writes what is not zero, in runs of whole HOLE blocks. */
static int write_sparse(int fd, const uint8_t *p, size_t len, uint64_t off, struct err *e)
{
	size_t from = 0, to, n;
	int r;

	while (from < len) {
		for (to = from; to < len; to += n) {
			n = len - to < HOLE ? len - to : HOLE;
			if (bytes_all_zero(p + to, n))
				break;
		}
		r = write_all(fd, p + from, to - from, off + from, e);
		if (r < 0)
			return r;
		from = to < len ? to + (len - to < HOLE ? len - to : HOLE) : len;
	}
	return 0;
}

static int copy_range(struct blk *b, int fd, const struct stage_range *x, uint8_t *buf, struct err *e)
{
	uint64_t done;
	size_t n;
	int r;

	for (done = 0; done < x->len; done += n) {
		n = x->len - done < STEP ? (size_t)(x->len - done) : STEP;
		r = blk_pread(b, buf, n, x->off + done, e);
		if (r < 0)
			return r;
		/* ranges may overlap: the bytes are the same, so a skipped zero never hides an older byte */
		r = write_sparse(fd, buf, n, x->off + done, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_ranges(const struct blk *b, uint64_t size, const struct stage_range *x, size_t n,
			struct err *e)
{
	uint64_t sum = 0;
	size_t i;

	if (size > INT64_MAX)
		return err_set(e, -ERANGE, "staging file of %ju bytes: too large", (uintmax_t)size);
	for (i = 0; i < n; i++) {
		if (!range_in(x[i].off, x[i].len, size) || !range_in(x[i].off, x[i].len, b->size))
			return err_set(e, -ERANGE,
				       "staging %ju bytes at byte %ju: outside the %ju bytes there are",
				       (uintmax_t)x[i].len, (uintmax_t)x[i].off, (uintmax_t)b->size);
		if (add_overflows(sum, x[i].len, &sum) || sum > STAGE_MAX)
			return err_set(e, -EOPNOTSUPP, "staging more than %llu bytes: not supported",
				       STAGE_MAX);
	}
	return 0;
}

int blk_stage(struct blk *b, uint64_t size, const struct stage_range *x, size_t n, int *ret_fd, struct err *e)
{
	cleanup_free uint8_t *buf = NULL;
	cleanup_close int fd = -1;
	size_t i;
	int r;

	r = check_ranges(b, size, x, n, e);
	if (r < 0)
		return r;
	buf = malloc(STEP);
	if (!buf)
		return err_oom(e);
	fd = memfd_create("stage", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return err_set(e, -errno, "staging file of %ju bytes: %s", (uintmax_t)size, strerror(errno));

	for (i = 0; i < n && r == 0; i++)
		r = copy_range(b, fd, &x[i], buf, e);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return err_set(e, -errno, "staging file cannot be sealed: %s", strerror(errno));
	*ret_fd = take_fd(&fd);
	return 0;
}

int blk_stage_probe(struct blk *b, int *ret_fd, struct err *e)
{
	struct stage_range x[2] = {{0, b->size}, {0, 0}};
	size_t n = 1;

	if (b->size > PROBE_WHOLE) {
		x[0].len = PROBE_HEAD;
		x[1] = (struct stage_range){b->size - PROBE_TAIL, PROBE_TAIL};
		n = 2;
	}
	return blk_stage(b, b->size, x, n, ret_fd, e);
}
