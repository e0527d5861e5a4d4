/* SPDX-License-Identifier: MIT */
/* The changes that a rescue needs in ext: rename an entry in its folder, replace or create a small file. They
 * go through libext2fs onto the overlay, and every one is written out at once. Refused: whatever ext.c found
 * against the file system, damaged directories, encrypted, casefolded, verity, immutable and append-only
 * inodes, files with several names. Where a change fails half way, all further ones are refused until the
 * overlay was put back and the file system opened again. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include "base/bytes.h"
#include "base/str.h"
#include "format/ext_priv.h"

enum {
	MAX_CONTENT = 16 << 20,
	SPARE_BLOCKS = 16,
	FL_IMMUTABLE = 0x10,
	FL_APPEND = 0x20,
	FL_ENCRYPT = 0x800,
	FL_INDEX = 0x1000,
	FL_EXTENTS = 0x80000,
	FL_VERITY = 0x100000,
	FL_INLINE = 0x10000000,
	FL_CASEFOLD = 0x40000000,
};

/* A name in its folder, and what it leads to. */
struct place {
	struct ext_inode folder, inode; /* inode.ino 0: nothing of that name */
	const char *name;               /* borrowed from the path */
	bool touched;                   /* something was written */
};

static void place_done(struct place *p)
{
	ext_inode_done(&p->folder);
	ext_inode_done(&p->inode);
}
#define cleanup_place cleanup(place_done)

/* libext2fs's inode, at least as long as its struct. */
struct lib_inode {
	struct ext2_inode_large *v;
	size_t size;
};

static void lib_inode_done(struct lib_inode *i)
{
	free(i->v);
}
#define cleanup_lib_inode cleanup(lib_inode_done)

static int lib_inode_read(struct ext_fs *x, uint32_t ino, struct lib_inode *i, struct err *e)
{
	errcode_t rc;

	i->size = x->info.inode_size;
	if (!i->v)
		i->v = calloc(1, i->size > sizeof(*i->v) ? i->size : sizeof(*i->v));
	if (!i->v)
		return err_oom(e);
	rc = ext2fs_read_inode_full(x->lib, ino, (struct ext2_inode *)i->v, (int)i->size);
	return rc ? ext_lib_err(x, rc, e, "reading an inode") : 0;
}

static int lib_inode_write(struct ext_fs *x, uint32_t ino, struct lib_inode *i, struct err *e)
{
	errcode_t rc = ext2fs_write_inode_full(x->lib, ino, (struct ext2_inode *)i->v, (int)i->size);

	return rc ? ext_lib_err(x, rc, e, "writing an inode") : 0;
}

static int64_t clock_now(void)
{
	uint64_t t;

	if (str_to_u64(getenv("SOURCE_DATE_EPOCH"), &t) && t <= INT64_MAX)
		return (int64_t)t;
	return time(NULL);
}

/* The part beyond 2038 and the nanoseconds, where the inode has room for them. */
static uint32_t epoch(int64_t t)
{
	return (uint32_t)((uint64_t)(t - (int32_t)t) >> 32 & 3);
}

static int touch_folder(struct ext_fs *x, uint32_t ino, struct err *e)
{
	cleanup_lib_inode struct lib_inode i = { 0 };
	int64_t t = x->lib->now;
	int rc = lib_inode_read(x, ino, &i, e);

	if (rc)
		return rc;
	i.v->i_mtime = i.v->i_ctime = (uint32_t)t;
	if (i.size > EXT2_GOOD_OLD_INODE_SIZE &&
	    i.v->i_extra_isize >= offsetof(struct ext2_inode_large, i_atime_extra) - EXT2_GOOD_OLD_INODE_SIZE)
		i.v->i_mtime_extra = i.v->i_ctime_extra = epoch(t);
	return lib_inode_write(x, ino, &i, e);
}

/* ---- before anything is written ---- */

static int check_flags(const struct ext_inode *i, struct err *e)
{
	if (i->flags & (FL_IMMUTABLE | FL_APPEND))
		return err_set(e, -EPERM, "inode %" PRIu32 " is immutable or append-only", i->ino);
	if (i->flags & (FL_ENCRYPT | FL_CASEFOLD | FL_VERITY))
		return err_set(e, -EOPNOTSUPP,
			       "inode %" PRIu32 " is encrypted, casefolded or sealed by verity", i->ino);
	return 0;
}

static int find_in(struct ext_fs *x, struct place *p, const char *new_name, struct err *e)
{
	cleanup_ext_dir struct ext_dir *d = NULL;
	uint32_t ino = 0, other;
	int rc = ext_dir_get(x, &p->folder, &d, e);

	if (rc)
		return rc;
	if (d->bad)
		return err_set(e, -EBADMSG, "%s", d->why.msg);
	if (new_name && !ext_dir_find(d, new_name, strlen(new_name), &other, NULL))
		return err_set(e, -EEXIST, "there is something of the new name");
	rc = ext_dir_find(d, p->name, strlen(p->name), &ino, e);
	if (rc)
		return rc == -ENOENT && !new_name ? 0 : rc;
	return ext_inode_read(x, ino, &p->inode, e);
}

/* Descriptors that libext2fs is asked to change must be sound. Only before the first write: it walks all groups. */
static int check_descriptors(struct ext_fs *x, struct err *e)
{
	if (!x->desc_checked && ext2fs_check_desc(x->lib))
		return err_set(e, -EROFS, "its group descriptors are damaged");
	x->desc_checked = true;
	return 0;
}

/* new_name: the entry must be there and this name must not; NULL: the entry may be absent. */
static int find_place(struct ext_fs *x, const char *path, const char *new_name, struct place *p,
		      struct err *e)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *folder = NULL;
	int rc;

	if (x->fs.write_refused || !x->lib)
		return err_set(e, -EROFS, "%s",
			       x->fs.write_refused ? x->fs.write_refused : "the file system is not open");
	rc = check_descriptors(x, e);
	if (rc)
		return rc;
	if (!slash || !slash[1] || strlen(slash + 1) > EXT_MAX_NAME ||
	    (new_name && (!*new_name || strlen(new_name) > EXT_MAX_NAME)))
		return err_set(e, -EINVAL, "not a name in a folder");
	folder = str_ndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!folder)
		return err_oom(e);
	p->name = slash + 1;
	rc = ext_lookup(x, folder, &p->folder, e);
	if (!rc && (p->folder.mode & S_IFMT) != S_IFDIR)
		rc = err_set(e, -ENOTDIR, "not a directory");
	if (!rc)
		rc = check_flags(&p->folder, e);
	if (!rc)
		rc = find_in(x, p, new_name, e);
	if (!rc && p->inode.ino)
		rc = check_flags(&p->inode, e);
	x->lib->now = clock_now();
	return rc;
}

static int need_block_bitmap(struct ext_fs *x, struct err *e)
{
	errcode_t rc = x->lib->block_map ? 0 : ext2fs_read_block_bitmap(x->lib);

	return rc ? ext_lib_err(x, rc, e, "reading the block bitmaps") : 0;
}

static int need_room(struct ext_fs *x, size_t len, struct err *e)
{
	uint64_t blocks = len / x->info.block_size + 1 + (uint64_t)SPARE_BLOCKS * x->info.cluster_blocks;
	int rc = need_block_bitmap(x, e);

	if (!rc && ext2fs_free_blocks_count(x->lib->super) < blocks)
		rc = err_set(e, -ENOSPC, "the file system is full");
	return rc;
}

/* ---- after ---- */

/* Writes out what libext2fs holds; a change that failed after its first write closes the file system for
 * more. */
static int finish(struct ext_fs *x, const struct place *p, const char *path, int rc, struct err *e)
{
	static const char why[] = "an earlier change of it failed half way";
	errcode_t code = 0;

	if (!rc && p->touched)
		code = ext2fs_flush(x->lib);
	if (code)
		rc = ext_lib_err(x, code, e, "writing it out");
	if (p->touched)
		ext_caches_drop(x);
	if (!rc)
		return 0;
	if (p->touched && !x->fs.write_refused) {
		x->fs.write_refused = str_ndup(why, sizeof(why));
		if (!x->fs.write_refused)
			ext_lib_close(x);       /* no memory to say so: then nothing works any more */
	}
	return ext_path_err(e, rc, path);
}

/* ---- names ---- */

static int link_in_tree(struct ext_fs *x, struct place *p, const char *name, uint32_t ino, int type,
			struct err *e)
{
	struct ext_marks marks = { 0 };
	errcode_t code;
	int rc;

	/* the tree may have to be split */
	rc = need_block_bitmap(x, e);
	if (!rc)
		rc = ext_scrub_mark(x, &p->folder, &marks, e);
	if (rc)
		return rc;
	p->touched = true;
	code = ext2fs_link(x->lib, p->folder.ino, name, ino, type);
	rc = code ? ext_lib_err(x, code, e, "adding a name") : ext_scrub(x, p->folder.ino, &marks, e);
	free(marks.crc);
	return rc;
}

static int link_name(struct ext_fs *x, struct place *p, const char *name, uint32_t ino, int type,
		     struct err *e)
{
	errcode_t code;
	int rc;

	if (!(x->info.incompat & EXT_INCOMPAT_FILETYPE))
		type = 0;
	if (p->folder.flags & FL_INDEX)
		return link_in_tree(x, p, name, ino, type, e);
	p->touched = true;
	code = ext2fs_link(x->lib, p->folder.ino, name, ino, type);
	if (code == EXT2_ET_DIR_NO_SPACE) {
		rc = need_block_bitmap(x, e);
		if (rc)
			return rc;
		code = ext2fs_expand_dir(x->lib, p->folder.ino);
		if (!code)
			code = ext2fs_link(x->lib, p->folder.ino, name, ino, type);
	}
	return code ? ext_lib_err(x, code, e, "adding a name") : 0;
}

static int type_code(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

int ext_op_rename(struct fs *fs, const char *path, const char *new_name, struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	cleanup_place struct place p = { 0 };
	errcode_t code;
	int rc = find_place(x, path, new_name, &p, e);

	if (!rc)
		rc = link_name(x, &p, new_name, p.inode.ino, type_code(p.inode.mode), e);
	if (!rc) {
		code = ext2fs_unlink(x->lib, p.folder.ino, p.name, p.inode.ino, 0);
		if (code)
			rc = ext_lib_err(x, code, e, "removing the old name");
	}
	if (!rc)
		rc = touch_folder(x, p.folder.ino, e);
	return finish(x, &p, path, rc, e);
}

/* ---- content ---- */

/* 1: every block of the file has its place on the disk; 0: there are holes, or it is inline. */
static int is_all_there(struct ext_fs *x, const struct ext_inode *i, struct err *e)
{
	uint64_t blocks = (i->size + x->info.block_size - 1) / x->info.block_size;
	struct ext_run run;
	int rc;

	if (i->flags & FL_INLINE)
		return 0;
	for (uint64_t at = 0; at < blocks; at += run.len) {
		rc = ext_map(x, i, at, &run, e);
		if (rc || run.hole)
			return rc;
	}
	return 1;
}

static int overwrite(struct ext_fs *x, struct place *p, const uint8_t *buf, size_t len, struct err *e)
{
	uint32_t bs = x->info.block_size;
	struct ext_run run;
	size_t n;
	int rc;

	for (size_t off = 0; off < len; off += n) {
		rc = ext_map(x, &p->inode, off / bs, &run, e);
		if (rc)
			return rc;
		n = run.len < (len - off + bs - 1) / bs ? (size_t)run.len * bs : len - off;
		p->touched = true;
		rc = blk_pwrite(x->blk, buf + off, n, run.phys * bs, e);
		if (rc)
			return rc;
	}
	return 0;
}

/* Block by block: ext2fs_file_write copies all of its input into a buffer of three blocks where the file's
 * data is inline. */
static int write_content(struct ext_fs *x, uint32_t ino, const uint8_t *buf, size_t len, struct err *e)
{
	uint32_t bs = x->info.block_size;
	ext2_file_t file = NULL;
	unsigned n = 0;
	errcode_t code = ext2fs_file_open(x->lib, ino, EXT2_FILE_WRITE, &file), closed;

	if (code)
		return ext_lib_err(x, code, e, "opening it for writing");
	for (size_t off = 0; off < len && !code; off += n) {
		code = ext2fs_file_write(file, buf + off, len - off < bs ? (unsigned)(len - off) : bs, &n);
		if (!code && !n)
			code = EXT2_ET_SHORT_WRITE;
	}
	closed = ext2fs_file_close(file);
	code = code ? code : closed;
	return code ? ext_lib_err(x, code, e, "writing its content") : 0;
}

/* Inline data that stays inline. 1 done, 0 it does not fit. */
static int rewrite_inline(struct ext_fs *x, struct lib_inode *i, uint32_t ino, const uint8_t *buf, size_t len,
			  struct err *e)
{
	cleanup_free uint8_t *copy = malloc(len + 1);
	errcode_t code;
	int rc;

	if (!copy)
		return err_oom(e);
	memcpy(copy, buf, len);
	code = ext2fs_inline_data_set(x->lib, ino, (struct ext2_inode *)i->v, copy, len);
	if (code == EXT2_ET_INLINE_DATA_NO_SPACE)
		return 0;
	if (code)
		return ext_lib_err(x, code, e, "writing its inline data");
	rc = lib_inode_read(x, ino, i, e);
	if (rc)
		return rc;
	i->v->i_size = (uint32_t)len;
	rc = lib_inode_write(x, ino, i, e);
	return rc ? rc : 1;
}

/* Free the old blocks; the file is empty then. */
static int empty_file(struct ext_fs *x, struct lib_inode *i, uint32_t ino, struct err *e)
{
	errcode_t code = ext2fs_punch(x->lib, ino, (struct ext2_inode *)i->v, NULL, 0, ~(blk64_t)0);
	int rc;

	if (code)
		return ext_lib_err(x, code, e, "freeing its blocks");
	rc = lib_inode_read(x, ino, i, e);
	if (rc)
		return rc;
	i->v->i_size = 0;
	i->v->i_size_high = 0;
	return lib_inode_write(x, ino, i, e);
}

static int restore_times(struct ext_fs *x, uint32_t ino, const struct ext2_inode_large *old, struct err *e)
{
	cleanup_lib_inode struct lib_inode i = { 0 };
	int rc = lib_inode_read(x, ino, &i, e);

	if (rc)
		return rc;
	i.v->i_atime = old->i_atime;
	i.v->i_ctime = old->i_ctime;
	i.v->i_mtime = old->i_mtime;
	if (i.size >= sizeof(*i.v)) {
		i.v->i_ctime_extra = old->i_ctime_extra;
		i.v->i_mtime_extra = old->i_mtime_extra;
		i.v->i_atime_extra = old->i_atime_extra;
	}
	return lib_inode_write(x, ino, &i, e);
}

static int rewrite(struct ext_fs *x, struct place *p, const uint8_t *buf, size_t len, struct err *e)
{
	cleanup_lib_inode struct lib_inode i = { 0 };
	uint32_t ino = p->inode.ino;
	struct ext2_inode_large old;
	int rc = need_room(x, len, e);

	if (!rc)
		rc = lib_inode_read(x, ino, &i, e);
	if (rc)
		return rc;
	memcpy(&old, i.v, sizeof(old));
	p->touched = true;
	if (p->inode.flags & FL_INLINE) {
		rc = rewrite_inline(x, &i, ino, buf, len, e);
		/* what does not fit moves into blocks by being written there */
		if (!rc)
			rc = write_content(x, ino, buf, len, e);
		if (rc > 0)
			rc = 0;
	} else {
		rc = empty_file(x, &i, ino, e);
		if (!rc && len)
			rc = write_content(x, ino, buf, len, e);
	}
	return rc ? rc : restore_times(x, ino, &old, e);
}

/* A new inode for a file without content, mode 0644, root's. */
static int new_inode(struct ext_fs *x, uint32_t ino, struct err *e)
{
	cleanup_lib_inode struct lib_inode i = { .size = x->info.inode_size };
	ext2_extent_handle_t h = NULL;
	int64_t t = x->lib->now;
	errcode_t code = 0;

	i.v = calloc(1, i.size > sizeof(*i.v) ? i.size : sizeof(*i.v));
	if (!i.v)
		return err_oom(e);
	i.v->i_mode = S_IFREG | 0644;
	i.v->i_links_count = 1;
	i.v->i_atime = i.v->i_ctime = i.v->i_mtime = i.v->i_crtime = (uint32_t)t;
	if (i.size > EXT2_GOOD_OLD_INODE_SIZE) {
		i.v->i_extra_isize = sizeof(*i.v) - EXT2_GOOD_OLD_INODE_SIZE;
		i.v->i_ctime_extra = i.v->i_mtime_extra = i.v->i_atime_extra = i.v->i_crtime_extra = epoch(t);
	}
	if (x->info.incompat & EXT_INCOMPAT_EXTENTS) {
		i.v->i_flags |= FL_EXTENTS;
		/* puts an empty tree into the inode */
		code = ext2fs_extent_open2(x->lib, ino, (struct ext2_inode *)i.v, &h);
		if (!code)
			ext2fs_extent_free(h);
	}
	return code ? ext_lib_err(x, code, e, "making an inode") : lib_inode_write(x, ino, &i, e);
}

static int create(struct ext_fs *x, struct place *p, const uint8_t *buf, size_t len, struct err *e)
{
	ext2_ino_t ino = 0;
	errcode_t code;
	int rc = need_room(x, len, e);

	if (rc)
		return rc;
	code = x->lib->inode_map ? 0 : ext2fs_read_inode_bitmap(x->lib);
	if (!code)
		code = ext2fs_new_inode(x->lib, p->folder.ino, S_IFREG | 0644, NULL, &ino);
	if (code)
		return ext_lib_err(x, code, e, "finding a free inode");
	rc = link_name(x, p, p->name, ino, EXT2_FT_REG_FILE, e);
	if (rc)
		return rc;
	ext2fs_inode_alloc_stats2(x->lib, ino, +1, 0);
	rc = new_inode(x, ino, e);
	if (!rc && len)
		rc = write_content(x, ino, buf, len, e);
	return rc ? rc : touch_folder(x, p->folder.ino, e);
}

static int replace(struct ext_fs *x, struct place *p, const void *buf, size_t len, struct err *e)
{
	int whole = 0;

	if (!p->inode.ino)
		return create(x, p, buf, len, e);
	if ((p->inode.mode & S_IFMT) != S_IFREG)
		return err_set(e, -EINVAL, "not a regular file");
	if (p->inode.nlink != 1)
		return err_set(e, -EMLINK, "the file has %" PRIu32 " names", p->inode.nlink);
	if (len == p->inode.size)
		whole = is_all_there(x, &p->inode, e);
	if (whole < 0)
		return whole;
	return whole ? overwrite(x, p, buf, len, e) : rewrite(x, p, buf, len, e);
}

int ext_op_replace(struct fs *fs, const char *path, const void *buf, size_t len, struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	cleanup_place struct place p = { 0 };
	int rc = len > MAX_CONTENT ? err_set(e, -EFBIG, "more than %d bytes", MAX_CONTENT)
				   : find_place(x, path, NULL, &p, e);

	if (!rc)
		rc = replace(x, &p, buf, len, e);
	return finish(x, &p, path, rc, e);
}

/* Every change was written out when it was made; what lies below may have been changed by others. */
int ext_op_sync(struct fs *fs, struct err *e)
{
	return ext_reopen(ext_of(fs), e);
}
