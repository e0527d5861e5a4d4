/* SPDX-License-Identifier: MIT */
/* XFS as a back end: stat, list, readlink, read and extended attributes. There is no write operation, and
 * never will be: a change of an XFS is the kernel's business, which replays the log first. */
#include <assert.h>
#include <inttypes.h>
#include <sys/stat.h>
#include "base/str.h"
#include "format/xfs_priv.h"

enum { LINK_HEAD = 56 };

/* Before a target that lies in blocks, in version 5. */
struct link_head_disk {
	uint8_t magic[4];
	be32 off, len;
	le32 csum;
	uint8_t self[40];
};
static_assert(sizeof(struct link_head_disk) == LINK_HEAD, "XFS symbolic link");

static struct xfs_fs *xfs_of(struct fs *fs)
{
	return (struct xfs_fs *)fs;
}

static enum fs_type type_of(uint16_t mode)
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
	default:
		return FS_OTHER;
	}
}

static int op_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	cleanup_xfs_inode struct xfs_inode i = { 0 };
	int rc = xfs_lookup(x, path, &i, e);
	be32 dev;

	if (rc)
		return rc;
	*ret = (struct fs_stat){
		.type = type_of(i.mode),
		.mode = i.mode & 07777,
		.uid = i.uid,
		.gid = i.gid,
		.nlink = i.nlink,
		.size = i.size,
		.ino = i.ino,
		.mtime = i.mtime,
		.ctime = i.ctime,
		.atime = i.atime,
		.mtime_nsec = i.mtime_nsec,
	};
	if (mul_overflows(i.blocks, x->info.block_size, &ret->blocks))
		ret->blocks = UINT64_MAX;
	if ((ret->type == FS_CHAR || ret->type == FS_BLOCK) && i.data.size >= sizeof(dev)) {
		memcpy(&dev, i.data.p, sizeof(dev));
		ret->rdev_major = be32_get(dev) >> 18;
		ret->rdev_minor = be32_get(dev) & 0x3ffff;
	}
	return 0;
}

static int op_list(struct fs *fs, const char *path, int (*fn)(void *arg, const char *name), void *arg,
		   struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	cleanup_xfs_inode struct xfs_inode i = { 0 };
	cleanup_xfs_dir struct xfs_dir *d = NULL;
	int rc = xfs_lookup(x, path, &i, e);

	if (rc)
		return rc;
	if (type_of(i.mode) != FS_DIR)
		return xfs_path_err(e, err_set(e, -ENOTDIR, "not a directory"), path);
	rc = xfs_dir_get(x, &i, &d, e);
	if (rc)
		return xfs_path_err(e, rc, path);
	for (size_t k = 0; k < d->n; k++) {
		rc = fn(arg, xfs_dir_name(d, k));
		if (rc)
			return rc;
	}
	if (d->bad)
		return xfs_path_err(e, err_set(e, d->bad, "%s", d->why.msg), path);
	return 0;
}

/* Part of a target: one extent, which in version 5 begins with a header. *ret_n: how many bytes of the target
 * it held. */
static int read_link_part(struct xfs_fs *x, const struct xfs_inode *i, const struct xfs_run *run, char *out,
			  size_t done, size_t left, size_t *ret_n, struct err *e)
{
	size_t size = (size_t)run->len * x->info.block_size, head = xfs_is_v5(x) ? LINK_HEAD : 0;
	cleanup_free uint8_t *buf = malloc(size);
	struct link_head_disk h;
	const char *why;
	int rc;

	if (!buf)
		return err_oom(e);
	rc = blk_pread(x->blk, buf, size, run->at, e);
	if (rc)
		return err_wrap(e, rc, "inode %" PRIu64, i->ino);
	*ret_n = left < size - head ? left : size - head;
	why = xfs_self_wrong(x, &xfs_self_remote, buf, size, i->ino, run->at);
	if (*why)
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": the target at byte %" PRIu64 " %s", i->ino,
			       run->at, why);
	memcpy(&h, buf, sizeof(h));
	if (head && (memcmp(h.magic, "XSLM", 4) != 0 || be32_get(h.off) != done || be32_get(h.len) != *ret_n))
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": the target at byte %" PRIu64 " is damaged",
			       i->ino, run->at);
	memcpy(out + done, buf + head, *ret_n);
	return 0;
}

static int read_link_blocks(struct xfs_fs *x, const struct xfs_inode *i, char *out, struct err *e)
{
	uint32_t bs = x->info.block_size;
	struct xfs_run run = { 0 };
	uint64_t lblk = 0;
	size_t done = 0, n = 0;
	int rc;

	for (; done < i->size; done += n, lblk += run.len) {
		rc = xfs_map(x, i, &i->data, lblk, &run, e);
		if (rc)
			return rc;
		if (run.hole || run.len > XFS_MAX_RUN / bs)
			return err_set(e, -EBADMSG, "inode %" PRIu64 ": a symbolic link with a hole", i->ino);
		rc = read_link_part(x, i, &run, out, done, (size_t)i->size - done, &n, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_link(struct xfs_fs *x, const struct xfs_inode *i, char **ret, struct err *e)
{
	cleanup_free char *buf = NULL;
	int rc = 0;

	if (type_of(i->mode) != FS_LINK)
		return err_set(e, -EINVAL, "not a symbolic link");
	if (!i->size || i->size > XFS_MAX_LINK)
		return err_set(e, -EBADMSG, "a symbolic link of %" PRIu64 " bytes", i->size);
	buf = calloc(1, (size_t)i->size + 1);
	if (!buf)
		return err_oom(e);
	if (i->data.form != XFS_FORM_LOCAL)
		rc = read_link_blocks(x, i, buf, e);
	else if (i->size > i->data.size)
		rc = err_set(e, -EBADMSG, "a symbolic link of %" PRIu64 " bytes in its inode", i->size);
	else
		memcpy(buf, i->data.p, (size_t)i->size);
	if (rc)
		return rc;
	if (strlen(buf) != i->size)
		return err_set(e, -EBADMSG, "a symbolic link with a NUL in it");
	*ret = take_ptr(&buf);
	return 0;
}

static int op_readlink(struct fs *fs, const char *path, char **ret, struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	cleanup_xfs_inode struct xfs_inode i = { 0 };
	int rc = xfs_lookup(x, path, &i, e);

	if (rc)
		return rc;
	rc = read_link(x, &i, ret, e);
	return rc ? xfs_path_err(e, rc, path) : 0;
}

static int op_read(struct fs *fs, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n,
		   struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	cleanup_xfs_inode struct xfs_inode i = { 0 };
	int rc = xfs_lookup(x, path, &i, e);

	if (rc)
		return rc;
	if (type_of(i.mode) != FS_FILE)
		rc = err_set(e, type_of(i.mode) == FS_DIR ? -EISDIR : -EINVAL, "not a regular file");
	else
		rc = xfs_read_data(x, &i, buf, len, off, ret_n, e);
	return rc ? xfs_path_err(e, rc, path) : 0;
}

static int op_xattrs(struct fs *fs, const char *path,
		     int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg,
		     struct err *e)
{
	struct xfs_fs *x = xfs_of(fs);
	cleanup_xfs_inode struct xfs_inode i = { 0 };
	int rc = xfs_lookup(x, path, &i, e);

	if (rc)
		return rc;
	return xfs_xattr_each(x, &i, fn, arg, e);
}

static void op_close(struct fs *fs)
{
	struct xfs_fs *x = xfs_of(fs);

	xfs_caches_drop(x);
	blk_unref(x->blk);
	free(x->fs.write_refused);
	free(x);
}

const struct fs_ops xfs_fs_ops = {
	.name = "xfs",
	.stat = op_stat,
	.list = op_list,
	.readlink = op_readlink,
	.read = op_read,
	.xattrs = op_xattrs,
	.close = op_close,
};

int xfs_fs_open(struct blk *blk, const struct xfs_info *info, struct fs **ret, struct err *e)
{
	struct xfs_fs *x = calloc(1, sizeof(*x));
	cleanup_xfs_inode struct xfs_inode root = { 0 };
	const char *why = info->log == XFS_LOG_CLEAN ? "XFS is only read here" : info->log_why.msg;
	uint64_t log = info->log_start ? info->log_blocks : 0;
	int rc;

	if (!x)
		return err_oom(e);
	x->fs.ops = &xfs_fs_ops;
	x->info = *info;
	x->blk = blk_ref(blk);
	x->fs.stale = info->log != XFS_LOG_CLEAN;
	x->fs.kernel_may = !info->damage.msg[0] &&
			   !(info->version == 5 && info->incompat & XFS_INCOMPAT_NEEDSREPAIR) &&
			   !info->rt_blocks;
	x->fs.write_refused = str_ndup(why, strlen(why));
	/* copies of the superblock do not keep count */
	if (!info->from_copy && log <= info->blocks && info->free_blocks <= info->blocks - log) {
		x->fs.free = info->free_blocks * info->block_size;
		x->fs.used = (info->blocks - log - info->free_blocks) * info->block_size;
	}
	rc = x->fs.write_refused ? xfs_inode_read(x, info->root_ino, &root, e) : err_oom(e);
	if (!rc && type_of(root.mode) != FS_DIR)
		rc = err_set(e, -EBADMSG, "inode %" PRIu64 ": the root is not a directory", info->root_ino);
	if (rc) {
		op_close(&x->fs);
		return rc;
	}
	*ret = &x->fs;
	return 0;
}
