/* SPDX-License-Identifier: MIT */
/* An initramfs image as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format): newc
 * archives one after the other with zeroes between them, and packed parts that hold the same. The first
 * archives are often uncompressed (microcode, modules), the last part is packed. Everything is counted; a
 * truncated, damaged or absurd image is named and what was seen before stays seen. */
#include "vm/initramfs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/str.h"
#include "vm/initramfs_parts.h"

/* cpio's "newc" header: all fields are hexadecimal text */
struct newc {
	char magic[6], ino[8], mode[8], uid[8], gid[8], nlink[8], mtime[8], filesize[8], devmajor[8],
	    devminor[8], rdevmajor[8], rdevminor[8], namesize[8], check[8];
};
_Static_assert(sizeof(struct newc) == 110, "newc header");

struct walk {
	struct initramfs *ret;
	struct source *s;
	bool keep_header;
	bool in_archive; /* a member was seen and its archive has not ended yet */
};

static bool hex8(const char p[8], uint32_t *ret)
{
	uint32_t x = 0;

	for (int i = 0; i < 8; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;

		if (d < 0)
			return false;
		x = x << 4 | (uint32_t)d;
	}
	*ret = x;
	return true;
}

static int damaged(const struct walk *w, const char *what, struct err *e)
{
	return err_set(e, -EBADMSG, "damaged: %s (byte %ju of the part at byte %ju)", what,
		       (uintmax_t)w->s->used, (uintmax_t)w->s->start);
}

static int take_text(struct walk *w, const char *name, uint32_t size, struct err *e)
{
	uint32_t n = size < INITRAMFS_MAX_TEXT ? size : INITRAMFS_MAX_TEXT;
	cleanup_free char *text = calloc(1, (size_t)n + 1);
	int err;

	if (!text)
		return err_oom(e);
	err = source_take(w->s, text, n, e);
	if (!err)
		err = source_take(w->s, NULL, size - n, e);
	return err ? err : member_text(w->ret, name, text, n, e);
}

/* The first one that begins like a LUKS header is kept. */
static int take_header(struct walk *w, const char *name, uint32_t size, struct err *e)
{
	cleanup_free uint8_t *bytes = NULL;
	struct initramfs *r = w->ret;
	bool first = !r->header_path;
	int err;

	if (size > INITRAMFS_MAX_HEADER || r->header)
		return source_take(w->s, NULL, size, e);
	bytes = malloc(size ? size : 1);
	if (!bytes)
		return err_oom(e);
	err = source_take(w->s, bytes, size, e);
	if (err)
		return err;
	if (first || (size >= 4 && !memcmp(bytes, "LUKS", 4))) {
		free(r->header_path);
		r->header_path = str_printf("%s", name);
		if (!r->header_path)
			return err_oom(e);
		r->header_zero = size && bytes_all_zero(bytes, size);
	}
	if (w->keep_header && size >= 4 && !memcmp(bytes, "LUKS", 4)) {
		r->header = take_ptr(&bytes);
		r->header_len = size;
	}
	return 0;
}

static int take_body(struct walk *w, const char *name, uint32_t mode, uint32_t size, struct err *e)
{
	enum member kind = member_name(w->ret, name, S_ISREG(mode));
	int err;

	if (!size || !S_ISREG(mode) || kind == MEMBER_PLAIN)
		err = source_take(w->s, NULL, size, e);
	else
		err = kind == MEMBER_TEXT ? take_text(w, name, size, e) : take_header(w, name, size, e);
	if (!err && size % 4)
		err = source_take(w->s, NULL, 4 - size % 4, e);
	return err;
}

/* One member whose magic was taken. */
static int take_member(struct walk *w, struct err *e)
{
	char name[INITRAMFS_MAX_NAME], *p = name;
	uint32_t mode, size, namesize;
	struct newc h;
	int err = source_take(w->s, h.ino, sizeof(h) - sizeof(h.magic), e);

	if (err)
		return err;
	if (!hex8(h.mode, &mode) || !hex8(h.filesize, &size) || !hex8(h.namesize, &namesize))
		return damaged(w, "a cpio header has no numbers", e);
	if (!namesize || namesize > sizeof(name))
		return damaged(w, "a name is longer than any can be", e);
	if (++w->ret->entries > INITRAMFS_MAX_ENTRIES)
		return err_set(e, -EFBIG, "has more than %d members", INITRAMFS_MAX_ENTRIES);
	err = source_take(w->s, name, namesize, e);
	if (!err)
		err = source_take(w->s, NULL, -(sizeof(h) + namesize) % 4, e);
	if (err)
		return err;
	if (name[namesize - 1] || strlen(name) != namesize - 1)
		return damaged(w, "a name does not end where it should", e);
	w->in_archive = true;
	if (str_eq(name, "TRAILER!!!")) {
		w->in_archive = false;
		w->ret->archives++;
		return source_take(w->s, NULL, size, e);
	}
	while (str_starts(p, "./") || *p == '/')
		p += *p == '/' ? 1 : 2;
	return take_body(w, p, mode, size, e);
}

/* The archives of one source. 1: something else begins, its first 6 bytes are in magic; 0: the end. */
static int walk_archives(struct walk *w, uint8_t magic[6], struct err *e)
{
	for (;;) {
		int err = w->in_archive ? 0 : source_skip_zeroes(w->s, e);

		if (!err)
			err = source_take(w->s, magic, 6, e);
		if (err == -ENODATA && !w->in_archive)
			return w->ret->archives ? 0 : err_set(e, -ENODATA, "holds no archive");
		/* what cannot be unpacked behind the end of an archive is no part of it */
		if (err && w->s->archive && w->s->failed && !w->in_archive && w->ret->archives &&
		    err != -EFBIG && err != -ETIME)
			return 0;
		if (err)
			return err;
		if (memcmp(magic, "070701", 6) && memcmp(magic, "070702", 6))
			return w->in_archive ? damaged(w, "no member where one should be", e) : 1;
		err = take_member(w, e);
		if (err)
			return err;
	}
}

static int walk_packed(struct walk *w, struct image *m, uint64_t at, const char *packing, uint64_t *ret_end,
		       struct err *e)
{
	cleanup_source struct source packed = {0};
	struct source *outer = w->s;
	unsigned archives = w->ret->archives;
	uint8_t magic[6];
	int err = source_packed(&packed, m, at, packing, e);

	w->ret->packed = packing;
	w->s = &packed;
	if (!err)
		err = walk_archives(w, magic, e);
	if (err > 0 && w->ret->archives > archives)
		err = 0; /* rubbish behind the last archive: the kernel ignores it as well */
	else if (err > 0)
		err = damaged(w, "what is packed is no cpio archive", e);
	if (!err && w->ret->archives == archives)
		err = err_set(e, -EBADMSG, "nothing is in the packed part at byte %ju", (uintmax_t)at);
	if (!err)
		err = source_check(&packed, e);
	*ret_end = source_end(&packed);
	w->s = outer;
	return err;
}

static int walk_image(struct initramfs *ret, struct image *m, bool keep_header, struct err *e)
{
	uint64_t at = 0;
	bool packed = false;

	while (at < m->size) {
		cleanup_source struct source raw = {0};
		struct walk w = {.ret = ret, .s = &raw, .keep_header = keep_header};
		const char *packing;
		uint8_t magic[6];
		int err;

		source_raw(&raw, m, at);
		err = walk_archives(&w, magic, e);
		if (err <= 0)
			return err;
		at += raw.used - 6;
		packing = source_packing(magic);
		if (!packing)
			return packed ? 0
				      : err_set(e, -EBADMSG,
						"at byte %ju neither a cpio archive nor a compression that "
						"is known begins",
						(uintmax_t)at);
		err = walk_packed(&w, m, at, packing, &at, e);
		if (err)
			return err;
		packed = true;
	}
	return packed ? 0 : err_set(e, -ENODATA, "is empty");
}

int initramfs_read(struct fs *fs, const char *path, bool keep_header, struct initramfs *ret, struct err *e)
{
	struct err why = {""};
	struct image m;
	int err;

	*ret = (struct initramfs){0};
	err = image_open(&m, fs, path, &why);
	if (!err) {
		ret->size = m.size;
		err = walk_image(ret, &m, keep_header, &why);
		ret->unpacked = m.spent;
	}
	if (err == -ENOMEM) {
		initramfs_done(ret);
		return err_oom(e);
	}
	ret->whole = err == 0;
	if (!err)
		return 0;
	ret->why = str_escape(why.msg, strlen(why.msg), false);
	return ret->why ? 0 : err_oom(e);
}

void initramfs_done(struct initramfs *r)
{
	free(r->why);
	free(r->vfat_off);
	free(r->crypttab);
	free(r->header_path);
	free(r->header);
	*r = (struct initramfs){0};
}
