/* SPDX-License-Identifier: MIT */
/* Inodes of XFS ("XFS Algorithms & Data Structures", chapter "On-disk inode"): versions 1 to 3, times of both
 * kinds, counts of extents of both widths. An inode's number says where it lies. What is unused, out of place
 * or has a wrong checksum is refused. */
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <sys/stat.h>
#include "format/xfs_priv.h"

enum {
	V2_SIZE = 100,
	V3_SIZE = 176,
	CSUM_AT = 100,
	FL_REALTIME = 0x1,
	FL2_BIGTIME = 0x8,
	FL2_NREXT64 = 0x10,
	RECORD = 16,
};

struct xfs_inode_disk {
	uint8_t magic[2];
	be16 mode;
	uint8_t version, form;
	be16 old_nlink;
	be32 uid, gid, nlink;
	be16 project_lo, project_hi;
	be64 big_extents, atime, mtime, ctime, size, blocks;
	be32 extent_size, extents;
	be16 attr_extents;
	uint8_t fork_off, attr_form;
	be32 dm_mask;
	be16 dm_state, flags;
	be32 generation, next_unlinked;
	le32 csum;
	be64 changes, lsn, flags2;
	be32 cow_extent_size;
	uint8_t pad[12];
	be64 created, ino;
	uint8_t uuid[16];
};
static_assert(sizeof(struct xfs_inode_disk) == V3_SIZE, "XFS inode");
static_assert(offsetof(struct xfs_inode_disk, size) == 56, "XFS inode");
static_assert(offsetof(struct xfs_inode_disk, fork_off) == 82, "XFS inode");
static_assert(offsetof(struct xfs_inode_disk, csum) == CSUM_AT, "XFS inode");
static_assert(offsetof(struct xfs_inode_disk, ino) == 152, "XFS inode");

void xfs_inode_done(struct xfs_inode *i)
{
	free(i->raw);
	i->raw = NULL;
}

/* The block of an inode in the file system, and its number in it; false where there is none. */
static bool locate(const struct xfs_info *x, uint64_t ino, uint64_t *ret_block, uint32_t *ret_slot)
{
	uint64_t ag = ino >> (x->ag_log + x->inode_log);
	uint64_t in_ag = ino >> x->inode_log & (((uint64_t)1 << x->ag_log) - 1);

	*ret_slot = (uint32_t)(ino & ((1U << x->inode_log) - 1));
	*ret_block = ag * x->ag_blocks + in_ag;
	/* block 0 of a group is its superblock */
	return ag < x->ag_count && in_ag && in_ag < x->ag_blocks && *ret_block < x->blocks;
}

bool xfs_ino_ok(const struct xfs_fs *x, uint64_t ino)
{
	uint64_t block;
	uint32_t slot;

	return locate(&x->info, ino, &block, &slot);
}

static int64_t time_get(be64 v, bool big, uint32_t *ret_nsec)
{
	enum { SEC = 1000000000 };
	uint64_t t = be64_get(v);

	if (big) {
		*ret_nsec = (uint32_t)(t % SEC);
		return (int64_t)(t / SEC) + INT32_MIN;
	}
	*ret_nsec = (uint32_t)t < SEC ? (uint32_t)t : 0;
	return (int32_t)(t >> 32);
}

static void fill(struct xfs_inode *i, const struct xfs_inode_disk *d, bool v5)
{
	uint64_t flags2 = v5 ? be64_get(d->flags2) : 0;
	bool big = flags2 & FL2_BIGTIME, wide = flags2 & FL2_NREXT64;
	uint32_t ignored;

	i->mode = be16_get(d->mode);
	i->uid = be32_get(d->uid);
	i->gid = be32_get(d->gid);
	i->nlink = d->version == 1 ? be16_get(d->old_nlink) : be32_get(d->nlink);
	i->size = be64_get(d->size);
	i->blocks = be64_get(d->blocks);
	i->mtime = time_get(d->mtime, big, &i->mtime_nsec);
	i->ctime = time_get(d->ctime, big, &ignored);
	i->atime = time_get(d->atime, big, &ignored);
	i->realtime = be16_get(d->flags) & FL_REALTIME;
	i->data.form = d->form;
	i->attr.form = d->attr_form;
	if (wide) {
		be32 n;

		/* what narrow inodes keep the two counts in is the wide count of attribute extents */
		memcpy(&n, i->raw + offsetof(struct xfs_inode_disk, extents), sizeof(n));
		i->attr.extents = be32_get(n);
		i->data.extents = be64_get(d->big_extents);
	} else {
		i->data.extents = be32_get(d->extents);
		i->attr.extents = be16_get(d->attr_extents);
	}
}

/* Where the two forks lie: attributes begin at fork_off, in units of 8 bytes; 0: none. */
static bool place_forks(struct xfs_inode *i, uint32_t inode_size, size_t start, uint8_t fork_off)
{
	size_t room = inode_size - start, off = (size_t)fork_off * 8;

	if (off >= room)
		return false;
	i->data.p = i->raw + start;
	i->data.size = fork_off ? off : room;
	i->attr.p = i->raw + start + off;
	i->attr.size = fork_off ? room - off : 0;
	return true;
}

static bool fork_ok(const struct xfs_fork *f)
{
	switch (f->form) {
	case XFS_FORM_LOCAL:
		return true;
	case XFS_FORM_EXTENTS:
		return f->extents <= f->size / RECORD;
	case XFS_FORM_BTREE:
		return f->size >= 4 + RECORD;
	default:
		return false;
	}
}

static bool forms_ok(const struct xfs_inode *i)
{
	switch (i->mode & S_IFMT) {
	case S_IFREG:
		if (i->data.form == XFS_FORM_LOCAL)
			return false;
		break;
	case S_IFDIR:
	case S_IFLNK:
		break;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		if (i->data.form != XFS_FORM_DEV)
			return false;
		return !i->attr.size || fork_ok(&i->attr);
	default:
		return false;
	}
	if (!i->realtime && i->data.form == XFS_FORM_LOCAL && i->size > i->data.size)
		return false;
	return fork_ok(&i->data) && (!i->attr.size || fork_ok(&i->attr));
}

static const char *wrong(const struct xfs_fs *x, const struct xfs_inode *i, const struct xfs_inode_disk *d)
{
	bool v5 = xfs_is_v5(x);

	if (memcmp(d->magic, "IN", 2) != 0)
		return "a name leads to it, but there is no inode";
	if (v5 && !xfs_csum_ok(i->raw, x->info.inode_size, CSUM_AT))
		return x->fs.stale ? "its checksum is wrong, maybe as the log was not replayed"
				   : "its checksum is wrong";
	if (v5 ? d->version != 3 : d->version != 1 && d->version != 2)
		return "its version does not suit the file system";
	if (v5 && be64_get(d->ino) != i->ino)
		return "it says that it is another one";
	if (v5 && memcmp(d->uuid, x->info.meta_uuid, sizeof(d->uuid)) != 0)
		return "it belongs to another file system";
	if (!be16_get(d->mode))
		return "a name leads to it, but it is not in use";
	return NULL;
}

int xfs_inode_read(struct xfs_fs *x, uint64_t ino, struct xfs_inode *ret, struct err *e)
{
	uint32_t size = x->info.inode_size, slot;
	struct xfs_inode i = { .ino = ino };
	struct xfs_inode_disk d = { 0 };
	cleanup_free uint8_t *raw = NULL;
	const char *why;
	uint64_t block;
	int rc;

	if (!locate(&x->info, ino, &block, &slot))
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": there is no such place in the file system",
			       ino);
	raw = malloc(size);
	if (!raw)
		return err_oom(e);
	rc = blk_pread(x->blk, raw, size, block * x->info.block_size + (uint64_t)slot * size, e);
	if (rc)
		return err_wrap(e, rc, "inode %" PRIu64, ino);
	i.raw = raw;
	memcpy(&d, raw, xfs_is_v5(x) ? V3_SIZE : V2_SIZE);
	why = wrong(x, &i, &d);
	if (why)
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": %s", ino, why);
	fill(&i, &d, xfs_is_v5(x));
	if (!place_forks(&i, size, xfs_is_v5(x) ? V3_SIZE : V2_SIZE, d.fork_off) || i.size > INT64_MAX ||
	    !forms_ok(&i))
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": it is damaged", ino);
	raw = NULL;
	*ret = i;
	return 0;
}
