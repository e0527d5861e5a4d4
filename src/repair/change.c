/* SPDX-License-Identifier: MIT */
/* Change sets where they are made, in the process that stages a plan: what an overlay holds becomes changes of whole 512-byte sectors, and a disk gets
 * the identity by which a run finds it again. Also the wire form of a set. Nothing here writes to a disk; sectors outside of the given
 * bounds never get into a set. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/vec.h"
#include "blk/blk.h"
#include "repair/undo_priv.h"

/* ---- who a disk is ---- */

/* A blk as the only file of a wio, to be read. */
struct blk_io {
	struct wio io;
	struct blk *blk;
	struct err *e;
};

static int blk_io_pread(struct wio *io, int file, void *buf, size_t len, uint64_t off)
{
	const struct blk_io *b = (const struct blk_io *)io;

	return file == 0 ? blk_pread(b->blk, buf, len, off, b->e) : -EINVAL;
}

static uint64_t blk_io_size(struct wio *io, int file)
{
	return file == 0 ? ((const struct blk_io *)io)->blk->size : 0;
}

int disk_identify(struct blk *raw, const char *name, const char *path, uint32_t sector, const char *serial, const struct change *changes, size_t n,
		  unsigned disk, struct disk_identity *ret, struct err *e)
{
	struct blk_io b = { .io = { .pread = blk_io_pread, .size = blk_io_size }, .blk = raw, .e = e };
	const struct change_set cs = { .v = (struct change *)changes, .n = n };
	struct disk_identity id = { .size = raw->size, .sector = sector };
	int r = undo_identity(&b.io, 0, &cs, disk, id.digest, e);

	if (r < 0)
		return r;
	if (serial)
		memcpy(id.serial, serial, strnlen(serial, sizeof(id.serial) - 1));
	id.name = str_printf("%s", name ? name : "");
	id.path = str_printf("%s", path ? path : "");
	if (!id.name || !id.path) {
		free(id.name);
		free(id.path);
		return err_oom(e);
	}
	*ret = id;
	return 0;
}

/* ---- what an overlay changed ---- */

struct collect {
	struct change_set *cs;
	unsigned disk;
	const struct change_bound *bounds;
	size_t nbounds;
	uint64_t bytes;
	struct err *e;
};

static const struct change_bound *bound_of(const struct collect *c, uint64_t off, size_t len)
{
	for (size_t i = 0; i < c->nbounds; i++)
		if (off >= c->bounds[i].off && range_in(off - c->bounds[i].off, len, c->bounds[i].len))
			return &c->bounds[i];
	return NULL;
}

static int add_change(struct collect *c, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len)
{
	struct change *slot;

	c->bytes += len;
	if (c->cs->n >= UNDO_MAX_CHANGES || c->bytes > UNDO_MAX_BYTES)
		return err_set(c->e, -EFBIG, "the plan changes more than one run may (1 GiB in a million places)");
	slot = vec_push(&c->cs->v, &c->cs->n);
	if (!slot)
		return err_oom(c->e);
	*slot = (struct change){ .disk = c->disk, .off = off, .len = len, .old_ = malloc(len), .new_ = malloc(len) };
	if (!slot->old_ || !slot->new_)
		return err_oom(c->e);
	memcpy(slot->old_, old_, len);
	memcpy(slot->new_, new_, len);
	return 0;
}

/* Sectors that differ and lie in the same bound become one change. */
static int collect_run(void *arg, uint64_t off, const uint8_t *old_, const uint8_t *new_, size_t len)
{
	struct collect *c = arg;
	const struct change_bound *in = NULL;
	size_t from = 0;

	for (size_t i = 0, n; i <= len; i += n) {
		const struct change_bound *here = NULL;

		n = len - i < UNDO_SECTOR && i < len ? len - i : UNDO_SECTOR;
		if (i < len && memcmp(old_ + i, new_ + i, n))
			here = bound_of(c, off + i, n);
		if (in && here != in) {
			int r = add_change(c, off + from, old_ + from, new_ + from, (i < len ? i : len) - from);

			if (r < 0)
				return r;
		}
		if (here != in)
			from = i;
		in = here;
	}
	return 0;
}

int change_set_collect(struct blk *overlay, unsigned disk, const struct change_bound *bounds, size_t nbounds, struct change_set *cs, struct err *e)
{
	struct collect c = { .cs = cs, .disk = disk, .bounds = bounds, .nbounds = nbounds, .e = e };

	for (size_t i = 0; i < cs->n; i++)
		c.bytes += cs->v[i].len;
	return blk_overlay_walk(overlay, collect_run, &c, e);
}

/* ---- between two processes ---- */

/* A descriptor as the log of a wio without disks. */
struct image_io { struct wio io; int fd; };

static int image_pread(struct wio *io, int file, void *buf, size_t len, uint64_t off)
{
	uint8_t *p = buf;

	if (file != WIO_LOG)
		return -EINVAL;
	while (len) {
		ssize_t n = pread(((struct image_io *)io)->fd, p, len, (off_t)off);

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

static int image_pwrite(struct wio *io, int file, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;

	if (file != WIO_LOG)
		return -EINVAL;
	while (len) {
		ssize_t n = pwrite(((struct image_io *)io)->fd, p, len, (off_t)off);

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

static uint64_t image_size(struct wio *io, int file)
{
	struct stat st;

	return file == WIO_LOG && fstat(((struct image_io *)io)->fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

int undo_write_image(int fd, const struct change_set *cs, struct err *e)
{
	struct image_io m = { .io = { .pread = image_pread, .pwrite = image_pwrite, .size = image_size }, .fd = fd };
	struct undo_file f = { .body_len = 0 };
	int r = undo_check_set(cs, e);

	return r ? r : undo_write_set(&m.io, cs, &f, e);
}

int undo_read_image(int fd, struct change_set *ret, struct err *e)
{
	struct image_io m = { .io = { .pread = image_pread, .pwrite = image_pwrite, .size = image_size }, .fd = fd };
	struct undo_file f = { .body_len = 0 };
	int r = undo_load(&m.io, true, &f, e);

	if (r < 0)
		return r;
	if (!f.whole) {
		undo_file_done(&f);
		return err_set(e, -EBADMSG, "undo file: is not whole; the run that made it ended before it wrote to a disk");
	}
	*ret = f.cs;
	return 0;
}
