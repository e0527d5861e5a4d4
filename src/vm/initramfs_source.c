/* SPDX-License-Identifier: MIT */
/* The bytes of an initramfs image in order: of the file, by a buffer, or of a packed part, by libarchive with
 * exactly one filter that the magic named and the "raw" format. Only filters that are linked in are used: one
 * that would start a program is refused. Every byte is counted, and the clocks are looked at every MiB. */
#include "vm/initramfs_parts.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"

enum { CHUNK = 128 << 10 };

int image_open(struct image *m, struct fs *fs, const char *path, struct err *e)
{
	struct fs_stat st;
	int err = fs_stat(fs, path, 0, &st, e);

	if (err < 0)
		return err;
	if (st.type != FS_FILE)
		return err_set(e, -EINVAL, "not a regular file");
	*m = (struct image){.fs = fs, .path = path, .size = st.size};
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &m->cpu);
	clock_gettime(CLOCK_MONOTONIC, &m->wall);
	return 0;
}

static bool past(clockid_t clock, const struct timespec *start, time_t seconds)
{
	struct timespec now;

	return clock_gettime(clock, &now) == 0 && now.tv_sec - start->tv_sec > seconds;
}

int image_spend(struct image *m, uint64_t n, struct err *e)
{
	m->spent += n;
	if (m->spent > INITRAMFS_MAX_UNPACKED)
		return err_set(e, -EFBIG, "unpacks to more than 1 GiB");
	if (m->spent < m->next_look)
		return 0;
	m->next_look = m->spent + (1 << 20);
	if (past(CLOCK_PROCESS_CPUTIME_ID, &m->cpu, INITRAMFS_MAX_CPU) ||
	    past(CLOCK_MONOTONIC, &m->wall, INITRAMFS_MAX_WALL))
		return err_set(e, -ETIME, "takes too long to unpack: given up after %ju bytes",
			       (uintmax_t)m->spent);
	return 0;
}

/* The next bytes of the file. 1, 0 at its end, or -errno. */
static int image_next(struct image *m, uint8_t *buf, size_t *ret_n, struct err *e)
{
	uint64_t left = m->off < m->size ? m->size - m->off : 0;
	size_t n = 0;
	int err;

	if (!left)
		return 0;
	err = fs_read(m->fs, m->path, buf, left < CHUNK ? (size_t)left : CHUNK, m->off, &n, e);
	if (err < 0)
		return err;
	if (!n || n > CHUNK)
		return err_set(e, -EIO, "the file ended at byte %ju", (uintmax_t)m->off);
	m->off += n;
	*ret_n = n;
	err = image_spend(m, n, e);
	return err < 0 ? err : 1;
}

/* ---- packed parts ---- */

static const struct packing {
	const char *name;
	unsigned n;
	const char *magic;
	int (*filter)(struct archive *); /* NULL: known by name only */
} packings[] = {
	{"gzip", 2, "\x1f\x8b", archive_read_support_filter_gzip},
	{"xz", 6,
	 "\xfd"
	 "7zXZ\0",
	 archive_read_support_filter_xz},
	{"zstd", 4, "\x28\xb5\x2f\xfd", archive_read_support_filter_zstd},
	{"lz4", 4, "\x02\x21\x4c\x18", archive_read_support_filter_lz4},
	{"lz4", 4, "\x04\x22\x4d\x18", archive_read_support_filter_lz4},
	{"bzip2", 3, "BZh", archive_read_support_filter_bzip2},
	{"lzma", 3, "\x5d\0\0", archive_read_support_filter_lzma},
	{"lzop", 4, "\x89LZO", NULL},
};

const char *source_packing(const uint8_t magic[6])
{
	for (size_t i = 0; i < sizeof(packings) / sizeof(*packings); i++)
		if (!memcmp(magic, packings[i].magic, packings[i].n))
			return packings[i].name;
	return NULL;
}

static int (*filter_of(const char *packing))(struct archive *)
{
	for (size_t i = 0; i < sizeof(packings) / sizeof(*packings); i++)
		if (str_eq(packings[i].name, packing))
			return packings[i].filter;
	return NULL;
}

static la_ssize_t feed(struct archive *a, void *arg, const void **ret)
{
	struct source *s = arg;
	size_t n = 0;
	int r = image_next(s->image, s->buf, &n, &s->read_why);

	if (r < 0) {
		archive_set_error(a, EIO, "%s", s->read_why.msg);
		return -1;
	}
	*ret = s->buf;
	return r ? (la_ssize_t)n : 0;
}

/* The unpacker's own sentence, or that of the read below it. */
static int unpack_failed(struct source *s, int code, struct err *e)
{
	s->failed = true;
	if (*s->read_why.msg)
		return err_set(e, code, "%s", s->read_why.msg);
	return err_set(e, code, "the packed part at byte %ju: %s", (uintmax_t)s->start,
		       archive_error_string(s->archive) ? archive_error_string(s->archive)
							: "cannot be unpacked");
}

/* xz: the size of a filter chain's dictionary, from the header of the first block; lzma: from its own. The
 * decoder allocates it. 0: not told. */
static uint64_t xz_dict(const uint8_t *p, size_t n)
{
	size_t at = 14, end = n > 12 ? 12 + ((size_t)p[12] + 1) * 4 : 0;

	if (!end || end > n)
		return 0;
	for (unsigned sizes = (p[13] >> 6) & 3; sizes; sizes &= sizes - 1)
		while (at < end && p[at++] & 0x80)
			;
	for (unsigned filters = (p[13] & 3) + 1u; filters && at + 2 <= end; filters--) {
		uint8_t id = p[at], props = p[at + 1];

		if (id & 0x80 || props & 0x80)
			return 0;
		at += 2;
		if (id == 0x21 && props == 1 && at < end && p[at] <= 40)
			return (2 | (uint64_t)(p[at] & 1)) << (p[at] / 2 + 11);
		at += props;
	}
	return 0;
}

static int check_dict(struct image *m, uint64_t off, const char *packing, struct err *e)
{
	uint8_t head[1100];
	uint64_t dict = 0;
	size_t n = 0;
	int err;

	if (!str_eq(packing, "xz") && !str_eq(packing, "lzma"))
		return 0;
	err = fs_read(m->fs, m->path, head, sizeof(head), off, &n, e);
	if (err < 0)
		return err;
	if (str_eq(packing, "xz"))
		dict = xz_dict(head, n);
	else if (n >= 5)
		dict = head[1] | (uint64_t)head[2] << 8 | (uint64_t)head[3] << 16 | (uint64_t)head[4] << 24;
	if (dict > INITRAMFS_MAX_DICT)
		return err_set(e, -EFBIG, "the packed part at byte %ju asks for %ju bytes of memory",
			       (uintmax_t)off, (uintmax_t)dict);
	return 0;
}

int source_packed(struct source *s, struct image *m, uint64_t off, const char *packing, struct err *e)
{
	int (*filter)(struct archive *) = filter_of(packing);
	struct archive_entry *entry;
	int err = check_dict(m, off, packing, e), r;

	source_raw(s, m, off);
	if (err < 0)
		return err;
	s->sum = str_eq(packing, "gzip");
	s->archive = archive_read_new();
	s->buf = malloc(CHUNK);
	if (!s->archive || !s->buf)
		return err_oom(e);
	if (!filter || filter(s->archive) != ARCHIVE_OK)
		return err_set(e, -EOPNOTSUPP, "the packed part at byte %ju is %s, which is not read here",
			       (uintmax_t)off, packing);
	if (archive_read_support_format_raw(s->archive) != ARCHIVE_OK ||
	    archive_read_support_format_empty(s->archive) != ARCHIVE_OK)
		return err_oom(e);
	if (archive_read_open(s->archive, s, NULL, feed, NULL) != ARCHIVE_OK)
		return unpack_failed(s, -EBADMSG, e);
	r = archive_read_next_header(s->archive, &entry);
	if (r != ARCHIVE_OK && r != ARCHIVE_EOF)
		return unpack_failed(s, -EBADMSG, e);
	if (archive_filter_count(s->archive) != 2)
		return err_set(e, -EBADMSG,
			       "the packed part at byte %ju is damaged, or packed more than once",
			       (uintmax_t)off);
	return 0;
}

void source_raw(struct source *s, struct image *m, uint64_t off)
{
	*s = (struct source){.image = m, .start = off};
	m->off = off;
}

void source_done(struct source *s)
{
	if (s->archive)
		archive_read_free(s->archive);
	free(s->buf);
	*s = (struct source){0};
}

uint64_t source_end(const struct source *s)
{
	la_int64_t n = s->archive ? archive_filter_bytes(s->archive, -1) : (la_int64_t)s->used;
	uint64_t end;

	if (n < 0 || add_overflows(s->start, (uint64_t)n, &end) || end > s->image->size)
		return s->image->size;
	return end;
}

int source_check(const struct source *s, struct err *e)
{
	uint64_t end = source_end(s);
	struct {
		le32 crc, size;
	} tail;
	size_t n = 0;

	if (!s->sum || s->failed || end < s->start + sizeof(tail))
		return 0;
	if (fs_read(s->image->fs, s->image->path, &tail, sizeof(tail), end - sizeof(tail), &n, NULL) < 0 ||
	    n != sizeof(tail))
		return 0;
	/* several gzip members in a row have other sums */
	if (le32_get(tail.size) != (uint32_t)s->out || le32_get(tail.crc) == s->crc)
		return 0;
	return err_set(e, -EBADMSG, "damaged: the check sum of the packed part at byte %ju is wrong",
		       (uintmax_t)s->start);
}

/* 1 more bytes at hand, 0 the end, or -errno */
static int refill(struct source *s, struct err *e)
{
	const void *p;
	la_int64_t off;
	int r;

	if (!s->archive) {
		if (!s->buf)
			s->buf = malloc(CHUNK);
		s->p = s->buf;
		r = s->buf ? image_next(s->image, s->buf, &s->n, e) : err_oom(e);
		s->failed = r < 0;
		return r;
	}
	do
		r = archive_read_data_block(s->archive, &p, &s->n, &off);
	while (r == ARCHIVE_OK && !s->n);
	if (r == ARCHIVE_EOF) {
		s->n = 0;
		return 0;
	}
	if (r != ARCHIVE_OK) {
		s->n = 0;
		return unpack_failed(s, archive_errno(s->archive) == ENOMEM ? -ENOBUFS : -EBADMSG, e);
	}
	s->p = p;
	if (s->sum)
		s->crc = bytes_crc32(s->crc, p, s->n);
	s->out += s->n;
	r = image_spend(s->image, s->n, e);
	s->failed = r < 0;
	return r < 0 ? r : 1;
}

int source_take(struct source *s, void *buf, uint64_t len, struct err *e)
{
	uint8_t *to = buf;

	while (len) {
		size_t n;
		int r = s->n ? 1 : refill(s, e);

		if (r < 0)
			return r;
		if (!r)
			return err_set(e, -ENODATA,
				       "ends in the middle of a member (byte %ju of the part at byte %ju)",
				       (uintmax_t)s->used, (uintmax_t)s->start);
		n = len < s->n ? (size_t)len : s->n;
		if (to) {
			memcpy(to, s->p, n);
			to += n;
		}
		s->p += n;
		s->n -= n;
		s->used += n;
		len -= n;
	}
	return 0;
}

int source_skip_zeroes(struct source *s, struct err *e)
{
	for (;;) {
		int r = s->n ? 1 : refill(s, e);

		if (r <= 0)
			return r;
		while (s->n && !*s->p) {
			s->p++;
			s->n--;
			s->used++;
		}
		if (s->n)
			return 0;
	}
}
