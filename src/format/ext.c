/* SPDX-License-Identifier: MIT */
/* ext2, ext3 and ext4 as a format and as files. Reading is our own (ext_super, ext_inode, ext_map, ext_dir,
 * ext_xattr); writing goes through libext2fs (ext_write) and is refused wherever the file system is not
 * clean, has a journal to replay, quotas that libext2fs would not keep, or features that are not known here.
 * What is encrypted file by file is listed, never read. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/bytes.h"
#include "base/str.h"
#include "format/ext_priv.h"
#include "format/format.h"

enum { FL_ENCRYPT = 0x800, FL_EXTENTS = 0x80000, FL_INLINE = 0x10000000, OS_HURD = 1 };

static int ext_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	cleanup_free struct ext_info *info = malloc(sizeof(*info));
	int rc;

	if (!info)
		return err_oom(e);
	rc = ext_find_super(blk, info, e);
	if (rc > 0)
		*ret_meta = take_ptr(&info);
	return rc;
}

static const char *skip_reading(const struct ext_info *info)
{
	if (info->incompat & EXT_INCOMPAT_JOURNAL_DEV)
		return "it is the external journal of another file system";
	if (info->incompat & ~EXT_INCOMPAT_KNOWN)
		return "it has features that are not known here";
	return NULL;
}

static int ext_describe(struct node *node, struct err *e)
{
	const struct ext_info *info = node->meta;
	size_t len = strnlen(info->label, sizeof(info->label) - 1);

	(void)snprintf(node->fmt, sizeof(node->fmt), "%s", ext_type(info));
	node->uuid[0] = '\0';
	if (!bytes_all_zero(info->uuid, sizeof(info->uuid)))
		bytes_uuid(info->uuid, node->uuid);
	/* libblkid cuts white space at the end */
	while (len && (info->label[len - 1] == ' ' ||
		       (info->label[len - 1] >= '\t' && info->label[len - 1] <= '\r')))
		len--;
	free(node->label);
	node->label = NULL;
	if (len) {
		node->label = str_ndup(info->label, len);
		if (!node->label)
			return err_oom(e);
	}

	node->why.msg[0] = '\0';
	node->state = NODE_OPEN;
	if (skip_reading(info)) {
		node->state = NODE_UNSUPPORTED;
		err_set(&node->why, 0, "%s", skip_reading(info));
	} else if (info->damage.msg[0]) {
		node->state = NODE_DAMAGED;
		node->why = info->damage;
	} else if (info->incompat & EXT_INCOMPAT_RECOVER) {
		err_set(&node->why, 0, "its journal was not replayed: what is read may be old");
	} else if (info->state & EXT_STATE_ERROR) {
		err_set(&node->why, 0, "it is marked as having errors");
	}
	return 0;
}

/* ---- why nothing may be written ---- */

static const char *refuse_state(const struct ext_info *info)
{
	if (info->incompat & EXT_INCOMPAT_RECOVER)
		return "its journal was not replayed";
	if (info->from_backup || info->damage.msg[0])
		return "its superblock is damaged";
	if (info->state & EXT_STATE_ERROR)
		return "it is marked as having errors";
	if (!(info->state & EXT_STATE_CLEAN))
		return "it was not unmounted cleanly";
	if (info->last_orphan || info->ro_compat & EXT_RO_ORPHAN_PRESENT || info->state & EXT_STATE_ORPHAN)
		return "deleted files wait to be cleaned up in it";
	return NULL;
}

static const char *refuse_features(const struct ext_info *info)
{
	if (info->ro_compat & (EXT_RO_QUOTA | EXT_RO_PROJECT))
		return "it keeps quotas";
	if (info->ro_compat & EXT_RO_READONLY)
		return "it is marked read-only";
	if (info->incompat & EXT_INCOMPAT_MMP)
		return "it is protected against being used by two systems (mmp)";
	if (info->compat & EXT_COMPAT_HAS_JOURNAL && !info->journal_ino)
		return "its journal is on another device";
	if (info->creator_os == OS_HURD)
		return "it was made by another operating system";
	if (info->rev < 1)
		return "it is of the oldest revision";
	if (info->compat & ~EXT_COMPAT_KNOWN || info->incompat & ~EXT_INCOMPAT_KNOWN ||
	    info->ro_compat & ~EXT_RO_WRITABLE)
		return "it has features that are not known here";
	return NULL;
}

static int refuse(struct ext_fs *x, const char *why, struct err *e)
{
	if (!why || x->fs.write_refused)
		return 0;
	x->fs.write_refused = str_ndup(why, strlen(why));
	return x->fs.write_refused ? 0 : err_oom(e);
}

/* Descriptors with a wrong checksum are never written; counts the free blocks on the way. */
static int look_at_groups(struct ext_fs *x, struct err *e)
{
	uint64_t free_blocks = 0, size = x->info.blocks * x->info.block_size;
	bool bad = false;
	int rc = 0;

	for (uint32_t g = 0; g < x->info.groups; g++) {
		free_blocks += (uint64_t)ext2fs_bg_free_blocks_count(x->lib, g) * x->info.cluster_blocks;
		bad = bad || !ext2fs_group_desc_csum_verify(x->lib, g);
	}
	if (free_blocks <= x->info.blocks) {
		x->fs.free = free_blocks * x->info.block_size;
		x->fs.used = size - x->fs.free;
	}
	if (bad || free_blocks > x->info.blocks)
		rc = refuse(x, "its group descriptors are damaged", e);
	return rc;
}

int ext_reopen(struct ext_fs *x, struct err *e)
{
	struct ext_info info;
	int rc = ext_find_super(x->blk, &info, e);

	ext_caches_drop(x);
	ext_lib_close(x);
	if (rc < 0)
		return rc;
	if (!rc)
		return err_set(e, -EBADMSG, "no ext superblock");
	if (skip_reading(&info))
		return err_set(e, -EOPNOTSUPP, "%s", skip_reading(&info));
	if (info.unusable)
		return err_set(e, -EBADMSG, "%s", info.damage.msg);
	x->info = info;
	x->fs.stale = info.incompat & EXT_INCOMPAT_RECOVER;
	x->fs.last_write = info.last_write;
	x->fs.last_mount = info.last_mount;
	x->fs.used = 0;
	x->fs.free = 0;
	free(x->fs.write_refused);
	x->fs.write_refused = NULL;
	rc = refuse(x, refuse_state(&info), e);
	x->fs.kernel_may = !x->fs.write_refused && !(info.compat & EXT_COMPAT_HAS_JOURNAL && !info.journal_ino) &&
			   info.ro_compat & (EXT_RO_QUOTA | EXT_RO_PROJECT) && !(info.ro_compat & EXT_RO_READONLY) &&
			   !(info.incompat & EXT_INCOMPAT_MMP) && info.creator_os != OS_HURD && info.rev >= 1;
	if (!rc)
		rc = refuse(x, refuse_features(&info), e);
	if (!rc && !x->blk->ops->pwrite)
		rc = refuse(x, "its device is open for reading only", e);
	if (!rc)
		rc = ext_lib_open(x, e);
	if (!rc)
		rc = look_at_groups(x, e);
	return rc;
}

/* ---- files ---- */

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

static void fill_device(const struct ext_inode *i, struct fs_stat *ret)
{
	le32 old_, new_;
	uint32_t v;

	memcpy(&old_, i->block, sizeof(old_));
	memcpy(&new_, i->block + 4, sizeof(new_));
	v = le32_get(old_);
	ret->rdev_major = v >> 8 & 0xff;
	ret->rdev_minor = v & 0xff;
	if (v)
		return;
	v = le32_get(new_);
	ret->rdev_major = v >> 8 & 0xfff;
	ret->rdev_minor = (v & 0xff) | (v >> 12 & 0xfff00);
}

static int op_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	cleanup_ext_inode struct ext_inode i = { 0 };
	int rc = ext_lookup(x, path, &i, e);

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
	if (mul_overflows(i.sectors, 512, &ret->blocks))
		ret->blocks = UINT64_MAX;
	if (ret->type == FS_CHAR || ret->type == FS_BLOCK)
		fill_device(&i, ret);
	return 0;
}

static int op_list(struct fs *fs, const char *path, int (*fn)(void *arg, const char *name), void *arg,
		   struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	cleanup_ext_inode struct ext_inode i = { 0 };
	cleanup_ext_dir struct ext_dir *d = NULL;
	int rc = ext_lookup(x, path, &i, e);

	if (rc)
		return rc;
	if (type_of(i.mode) != FS_DIR)
		return ext_path_err(e, err_set(e, -ENOTDIR, "not a directory"), path);
	rc = ext_dir_get(x, &i, &d, e);
	if (rc)
		return ext_path_err(e, rc, path);
	for (size_t k = 0; k < d->n; k++) {
		rc = fn(arg, ext_dir_name(d, k));
		if (rc)
			return rc;
	}
	if (d->bad)
		return ext_path_err(e, err_set(e, d->bad, "%s", d->why.msg), path);
	return 0;
}

/* A short target lies in the inode where a file's block map would be. */
static bool is_short_link(const struct ext_fs *x, const struct ext_inode *i)
{
	uint64_t acl_sectors = i->acl_block ? (uint64_t)x->info.block_size * x->info.cluster_blocks / 512 : 0;

	return i->size < EXT_BLOCK_BYTES && !(i->flags & (FL_EXTENTS | FL_INLINE)) &&
	       i->sectors <= acl_sectors;
}

static int read_link(struct ext_fs *x, const struct ext_inode *i, char **ret, struct err *e)
{
	cleanup_free char *buf = NULL;
	size_t n = 0;
	int rc = 0;

	if (type_of(i->mode) != FS_LINK)
		return err_set(e, -EINVAL, "not a symbolic link");
	if (i->flags & FL_ENCRYPT)
		return err_set(e, -EOPNOTSUPP, "encrypted by the file system");
	if (!i->size || i->size > EXT_MAX_LINK)
		return err_set(e, -EBADMSG, "a symbolic link of %" PRIu64 " bytes", i->size);
	buf = calloc(1, (size_t)i->size + 1);
	if (!buf)
		return err_oom(e);
	if (is_short_link(x, i))
		memcpy(buf, i->block, (size_t)i->size);
	else
		rc = ext_read_data(x, i, buf, (size_t)i->size, 0, &n, e);
	if (rc)
		return rc;
	if (strlen(buf) != i->size)
		return err_set(e, -EBADMSG, "a symbolic link with a NUL in it");
	*ret = take_ptr(&buf);
	return 0;
}

static int op_readlink(struct fs *fs, const char *path, char **ret, struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	cleanup_ext_inode struct ext_inode i = { 0 };
	int rc = ext_lookup(x, path, &i, e);

	if (rc)
		return rc;
	rc = read_link(x, &i, ret, e);
	return rc ? ext_path_err(e, rc, path) : 0;
}

static int op_read(struct fs *fs, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n,
		   struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	cleanup_ext_inode struct ext_inode i = { 0 };
	int rc = ext_lookup(x, path, &i, e);

	if (rc)
		return rc;
	if (type_of(i.mode) != FS_FILE)
		rc = err_set(e, type_of(i.mode) == FS_DIR ? -EISDIR : -EINVAL, "not a regular file");
	else if (i.flags & FL_ENCRYPT)
		rc = err_set(e, -EOPNOTSUPP, "encrypted by the file system");
	else
		rc = ext_read_data(x, &i, buf, len, off, ret_n, e);
	return rc ? ext_path_err(e, rc, path) : 0;
}

static int op_xattrs(struct fs *fs, const char *path,
		     int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg,
		     struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	cleanup_ext_inode struct ext_inode i = { 0 };
	int rc = ext_lookup(x, path, &i, e);

	return rc ? rc : ext_xattr_each(x, &i, fn, arg, e);
}

static void op_close(struct fs *fs)
{
	struct ext_fs *x = ext_of(fs);

	ext_caches_drop(x);
	ext_lib_close(x);
	blk_unref(x->blk);
	free(x->fs.write_refused);
	free(x);
}

const struct fs_ops ext_fs_ops = {
	.name = "ext",
	.stat = op_stat,
	.list = op_list,
	.readlink = op_readlink,
	.read = op_read,
	.xattrs = op_xattrs,
	.replace = ext_op_replace,
	.rename = ext_op_rename,
	.sync = ext_op_sync,
	.close = op_close,
};

static int ext_open_fs(struct node *node, struct fs **ret, struct err *e)
{
	struct ext_fs *x = calloc(1, sizeof(*x));
	int rc;

	if (!x)
		return err_oom(e);
	x->fs.ops = &ext_fs_ops;
	x->blk = blk_ref(node->blk);
	rc = ext_reopen(x, e);
	if (rc) {
		op_close(&x->fs);
		return rc;
	}
	*ret = &x->fs;
	return 0;
}

const struct ext_info *ext_fs_info(const struct fs *fs)
{
	return fs && fs->ops == &ext_fs_ops ? &((const struct ext_fs *)fs)->info : NULL;
}

const struct ext_info *ext_node_info(const struct node *node)
{
	return node && node->format == &format_ext ? node->meta : NULL;
}

const struct format format_ext = {
	.name = "ext",
	.parse = ext_parse,
	.describe = ext_describe,
	.open_fs = ext_open_fs,
	.free_meta = free,
};
