/* SPDX-License-Identifier: MIT */
/* libext2fs over a struct blk. Its io_manager opens by name only, so the blk to open is handed over beside
 * it. Every write goes straight to the blk: libext2fs is the only cache. Multi-mount protection is left out:
 * it sleeps and opens the device by name. Backup superblocks are never written, as the kernel does not write
 * them either. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/bytes.h"
#include "format/ext_priv.h"

/* set while ext2fs_open2 runs */
static _Thread_local struct ext_fs *opening;

static errcode_t io_range(io_channel c, unsigned long long block, int count, uint64_t *ret_off,
			  size_t *ret_len)
{
	if (mul_overflows(block, (uint64_t)c->block_size, ret_off))
		return EXT2_ET_SHORT_READ;
	*ret_len = count < 0 ? (size_t)-(int64_t)count : (size_t)count * (size_t)c->block_size;
	return 0;
}

static errcode_t io_read64(io_channel c, unsigned long long block, int count, void *data)
{
	struct ext_fs *x = c->private_data;
	uint64_t off;
	size_t len;
	errcode_t rc = io_range(c, block, count, &off, &len);

	if (rc)
		return rc;
	return blk_pread(x->blk, data, len, off, &x->io_why) ? EXT2_ET_SHORT_READ : 0;
}

static errcode_t io_write64(io_channel c, unsigned long long block, int count, const void *data)
{
	struct ext_fs *x = c->private_data;
	uint64_t off;
	size_t len;
	errcode_t rc = io_range(c, block, count, &off, &len);

	if (rc)
		return rc;
	return blk_pwrite(x->blk, data, len, off, &x->io_why) ? EXT2_ET_SHORT_WRITE : 0;
}

static errcode_t io_read(io_channel c, unsigned long block, int count, void *data)
{
	return io_read64(c, block, count, data);
}

static errcode_t io_write(io_channel c, unsigned long block, int count, const void *data)
{
	return io_write64(c, block, count, data);
}

static errcode_t io_set_blksize(io_channel c, int size)
{
	c->block_size = size;
	return 0;
}

static errcode_t io_flush(io_channel c)
{
	(void)c;
	return 0;
}

static errcode_t io_close(io_channel c)
{
	if (--c->refcount > 0)
		return 0;
	free(c->name);
	free(c);
	return 0;
}

static errcode_t io_open(const char *name, int flags, io_channel *ret);

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "blk",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read,
	.write_blk = io_write,
	.flush = io_flush,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
};

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
	io_channel c = NULL;

	if (!opening)
		return EXT2_ET_BAD_DEVICE_NAME;
	if (flags & IO_FLAG_RW && !opening->blk->ops->pwrite)
		return EXT2_ET_RO_FILSYS;
	c = calloc(1, sizeof(*c));
	if (!c)
		return EXT2_ET_NO_MEMORY;
	/* freed by libext2fs's allocator too, which is malloc's */
	c->name = strdup(name);
	if (!c->name) {
		free(c);
		return EXT2_ET_NO_MEMORY;
	}
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = &manager;
	c->block_size = 1024;
	c->refcount = 1;
	c->private_data = opening;
	*ret = c;
	return 0;
}

int ext_lib_err(struct ext_fs *x, errcode_t rc, struct err *e, const char *what)
{
	int code = -EBADMSG;

	if (rc > 0 && rc < 1000)
		code = -(int)rc;
	else if (rc == EXT2_ET_NO_MEMORY)
		code = -ENOMEM;
	else if (rc == EXT2_ET_SHORT_READ || rc == EXT2_ET_SHORT_WRITE)
		code = -EIO;
	else if (rc == EXT2_ET_BLOCK_ALLOC_FAIL || rc == EXT2_ET_INODE_ALLOC_FAIL ||
		 rc == EXT2_ET_DIR_NO_SPACE)
		code = -ENOSPC;
	else if (rc == EXT2_ET_UNSUPP_FEATURE || rc == EXT2_ET_RO_UNSUPP_FEATURE)
		code = -EOPNOTSUPP;
	if (code == -EIO && x->io_why.msg[0])
		return err_set(e, code, "%s: %s", what, x->io_why.msg);
	return err_set(e, code, "%s: %s", what, error_message(rc));
}

/* libext2fs tells of some damage by com_err, on stderr; codes tell us enough. */
static void stay_quiet(const char *who, long code, const char *fmt, va_list ap)
{
	(void)who;
	(void)code;
	(void)fmt;
	(void)ap;
}

int ext_lib_open(struct ext_fs *x, struct err *e)
{
	static bool told;
	int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP;
	uint64_t super = x->info.from_backup ? x->info.off / x->info.block_size : 0;
	errcode_t rc;

	if (!told) {
		initialize_ext2_error_table();
		(void)set_com_err_hook(stay_quiet);
	}
	told = true;
	if (!x->fs.write_refused)
		flags |= EXT2_FLAG_RW;
	if (x->info.csum_bad)
		flags |= EXT2_FLAG_IGNORE_CSUM_ERRORS;
	if (super > INT32_MAX)
		return err_set(e, -EOPNOTSUPP,
			       "the superblock copy at byte %" PRIu64 " is out of libext2fs's reach",
			       x->info.off);

	opening = x;
	x->lib = NULL;
	rc = ext2fs_open2("blk", NULL, flags, (int)super, super ? x->info.block_size : 0, &manager, &x->lib);
	opening = NULL;
	if (rc) {
		x->lib = NULL;
		return ext_lib_err(x, rc, e, "the file system could not be opened");
	}
	/* only the superblock's own checksum was to be overlooked */
	x->lib->flags &= ~EXT2_FLAG_IGNORE_CSUM_ERRORS;
	x->lib->flags |= EXT2_FLAG_MASTER_SB_ONLY;
	/* bit arrays of a large file system would take gigabytes */
	x->lib->default_bitmap_type = EXT2FS_BMAP64_RBTREE;
	x->desc_checked = false;
	return 0;
}

void ext_lib_close(struct ext_fs *x)
{
	if (x->lib)
		ext2fs_free(x->lib);
	x->lib = NULL;
}
