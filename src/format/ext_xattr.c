/* SPDX-License-Identifier: MIT */
/* Extended attributes of ext (the kernel's Documentation/filesystems/ext4/attributes.rst): those in the
 * inode, those in a block of their own, and values in inodes of their own. Names and POSIX ACLs are given in
 * the kernel's form. What leaves its room, is out of order or above EXT_MAX_XATTR is refused. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/bytes.h"
#include "format/ext_priv.h"

enum {
	MAGIC = (int)0xea020000,
	OLD_SIZE = 128,
	HEADER_SIZE = 32,
	INDEX_ACL = 2,
	INDEX_DEFAULT_ACL = 3,
	INDEX_SYSTEM = 7,
	FL_EA_INODE = 0x200000,
	FL_INLINE = 0x10000000,
	MAX_ENTRIES = 4096,
	ACL_USER = 2,
	ACL_GROUP = 8,
};

struct xattr_disk {
	uint8_t name_len, index;
	le16 value_off;
	le32 value_ino, value_len, hash;
};
static_assert(sizeof(struct xattr_disk) == 16, "ext attribute");
struct acl_disk {
	le16 tag, perm;
};
struct acl_out {
	le16 tag, perm;
	le32 id;
};
static_assert(sizeof(struct acl_disk) == 4 && sizeof(struct acl_out) == 8, "ext ACL");

/* A run of entries: they begin at `first`, values lie at value_base + their offset; all in p[0..n). */
struct area {
	const uint8_t *p;
	size_t n, first, value_base;
};
struct visit {
	struct ext_fs *x;
	const struct ext_inode *inode;
	int (*fn)(void *arg, const char *name, const void *v, size_t n);
	void *arg;
};

static const char *prefix(unsigned index)
{
	static const char *const names[] = {
		[1] = "user.",
		[2] = "system.posix_acl_access",
		[3] = "system.posix_acl_default",
		[4] = "trusted.",
		[6] = "security.",
		[7] = "system.",
		[8] = "system.richacl",
	};

	return index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
}

static int damaged(const struct ext_inode *i, struct err *e)
{
	return err_set(e, -EBADMSG, "inode %" PRIu32 ": its extended attributes are damaged", i->ino);
}

/* The entry at *off; 1 there is one, 0 the end, <0 damage. *off moves on. */
static int next_entry(const struct ext_inode *i, const struct area *a, size_t *off, struct xattr_disk *ret,
		      const uint8_t **ret_name, struct err *e)
{
	size_t len;

	/* the last entry may end where the area does */
	if (a->n - *off < 4 || bytes_all_zero(a->p + *off, 4))
		return 0;
	if (a->n - *off < sizeof(*ret))
		return damaged(i, e);
	memcpy(ret, a->p + *off, sizeof(*ret));
	len = (sizeof(*ret) + ret->name_len + 3) & ~(size_t)3;
	if (len > a->n - *off)
		return damaged(i, e);
	*ret_name = a->p + *off + sizeof(*ret);
	*off += len;
	if (le32_get(ret->value_ino))
		return 1;
	if (!range_in((uint64_t)a->value_base + le16_get(ret->value_off), le32_get(ret->value_len), a->n))
		return damaged(i, e);
	return 1;
}

/* The area in the inode; n is 0 where there is none. */
static void inode_area(const struct ext_inode *i, uint32_t inode_size, struct area *ret)
{
	size_t at = OLD_SIZE + i->extra_isize;
	le32 magic;

	*ret = (struct area){ 0 };
	if (!i->extra_isize || at + 8 > inode_size)
		return;
	memcpy(&magic, i->raw + at, sizeof(magic));
	if (le32_get(magic) != (uint32_t)MAGIC)
		return;
	*ret = (struct area){ .p = i->raw + at + 4, .n = inode_size - at - 4 };
}

static int value_of_inode(struct visit *v, const struct xattr_disk *d, uint8_t **ret, struct err *e)
{
	cleanup_ext_inode struct ext_inode i = { 0 };
	size_t len = le32_get(d->value_len), n = 0;
	cleanup_free uint8_t *buf = NULL;
	int rc;

	if (len > EXT_MAX_XATTR)
		return err_set(e, -EBADMSG, "inode %" PRIu32 ": an extended attribute of %zu bytes",
			       v->inode->ino, len);
	rc = ext_inode_read(v->x, le32_get(d->value_ino), &i, e);
	if (rc)
		return rc;
	if (!(i.flags & FL_EA_INODE) || i.flags & FL_INLINE || i.size != len)
		return damaged(v->inode, e);
	buf = malloc(len + 1);
	if (!buf)
		return err_oom(e);
	rc = ext_read_data(v->x, &i, buf, len, 0, &n, e);
	if (rc)
		return rc;
	*ret = take_ptr(&buf);
	return 0;
}

/* The kernel's form of an ACL: version 2, every entry with an id. */
static int tell_acl(struct visit *v, const char *name, const uint8_t *p, size_t n, struct err *e)
{
	static const le32 version = { { 2, 0, 0, 0 } };
	cleanup_free uint8_t *out = NULL;
	size_t done = 4, out_n = 4;

	if (n < 4 || p[0] != 1 || !bytes_all_zero(p + 1, 3))
		return damaged(v->inode, e);
	out = malloc(4 + n / sizeof(struct acl_disk) * sizeof(struct acl_out));
	if (!out)
		return err_oom(e);
	memcpy(out, version.b, 4);
	for (; done < n; out_n += sizeof(struct acl_out)) {
		struct acl_disk d;
		struct acl_out o = { .id = { { 0xff, 0xff, 0xff, 0xff } } };

		if (n - done < sizeof(d))
			return damaged(v->inode, e);
		memcpy(&d, p + done, sizeof(d));
		done += sizeof(d);
		o.tag = d.tag;
		o.perm = d.perm;
		if (le16_get(d.tag) == ACL_USER || le16_get(d.tag) == ACL_GROUP) {
			if (n - done < sizeof(o.id))
				return damaged(v->inode, e);
			memcpy(&o.id, p + done, sizeof(o.id));
			done += sizeof(o.id);
		}
		memcpy(out + out_n, &o, sizeof(o));
	}
	return v->fn(v->arg, name, out, out_n);
}

static int tell(struct visit *v, const struct area *a, const struct xattr_disk *d, const uint8_t *name,
		struct err *e)
{
	const uint8_t *value = a->p + a->value_base + le16_get(d->value_off);
	cleanup_free uint8_t *owned = NULL;
	size_t len = le32_get(d->value_len);
	char full[32 + 256];
	int rc;

	if (!prefix(d->index) || (d->index == INDEX_SYSTEM && d->name_len == 4 && !memcmp(name, "data", 4)))
		return 0;
	if (memchr(name, '\0', d->name_len))
		return damaged(v->inode, e);
	(void)snprintf(full, sizeof(full), "%s%.*s", prefix(d->index), d->name_len, (const char *)name);
	if (le32_get(d->value_ino)) {
		rc = value_of_inode(v, d, &owned, e);
		if (rc)
			return rc;
		value = owned;
	}
	if (d->index == INDEX_ACL || d->index == INDEX_DEFAULT_ACL)
		return tell_acl(v, full, value, len, e);
	/* an empty value has no place */
	return v->fn(v->arg, full, len ? value : (const uint8_t *)"", len);
}

static int tell_area(struct visit *v, const struct area *a, struct err *e)
{
	size_t off = a->first;
	const uint8_t *name;
	struct xattr_disk d;
	int rc;

	for (unsigned k = 0; k < MAX_ENTRIES; k++) {
		rc = next_entry(v->inode, a, &off, &d, &name, e);
		if (rc <= 0)
			return rc;
		rc = tell(v, a, &d, name, e);
		if (rc)
			return rc;
	}
	return damaged(v->inode, e);
}

static bool block_csum_ok(const struct ext_fs *x, uint64_t block, const uint8_t *p)
{
	static const uint8_t zero[4];
	uint8_t no[8];
	uint32_t crc;
	le32 stored;

	if (!(x->info.ro_compat & EXT_RO_METADATA_CSUM))
		return true;
	for (unsigned k = 0; k < 8; k++)
		no[k] = (uint8_t)(block >> 8 * k);
	memcpy(&stored, p + 16, sizeof(stored));
	crc = ext2fs_crc32c_le(x->lib->csum_seed, no, sizeof(no));
	crc = ext2fs_crc32c_le(crc, p, 16);
	crc = ext2fs_crc32c_le(crc, zero, sizeof(zero));
	return ext2fs_crc32c_le(crc, p + 20, x->info.block_size - 20) == le32_get(stored);
}

static int tell_block(struct visit *v, struct err *e)
{
	uint64_t block = v->inode->acl_block;
	uint32_t bs = v->x->info.block_size;
	cleanup_free uint8_t *buf = NULL;
	struct area a;
	le32 magic;
	int rc;

	if (block <= v->x->info.first_data_block || block >= v->x->info.blocks)
		return damaged(v->inode, e);
	buf = malloc(bs);
	if (!buf)
		return err_oom(e);
	rc = blk_pread(v->x->blk, buf, bs, block * bs, e);
	if (rc)
		return rc;
	memcpy(&magic, buf, sizeof(magic));
	if (le32_get(magic) != (uint32_t)MAGIC || !block_csum_ok(v->x, block, buf))
		return damaged(v->inode, e);
	a = (struct area){ .p = buf, .n = bs, .first = HEADER_SIZE };
	return tell_area(v, &a, e);
}

int ext_xattr_each(struct ext_fs *x, const struct ext_inode *i,
		   int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg, struct err *e)
{
	struct visit v = { .x = x, .inode = i, .fn = fn, .arg = arg };
	struct area a;
	int rc;

	inode_area(i, x->info.inode_size, &a);
	if (a.n) {
		rc = tell_area(&v, &a, e);
		if (rc)
			return rc;
	}
	return i->acl_block ? tell_block(&v, e) : 0;
}

int ext_inline_tail(const struct ext_inode *i, uint32_t inode_size, const uint8_t **ret, size_t *ret_n,
		    struct err *e)
{
	const uint8_t *name;
	struct xattr_disk d;
	struct area a;
	size_t off = 0;
	int rc;

	*ret_n = 0;
	inode_area(i, inode_size, &a);
	while (a.n) {
		rc = next_entry(i, &a, &off, &d, &name, e);
		if (rc <= 0)
			return rc;
		if (d.index != INDEX_SYSTEM || d.name_len != 4 || memcmp(name, "data", 4) != 0 ||
		    le32_get(d.value_ino))
			continue;
		*ret = a.p + le16_get(d.value_off);
		*ret_n = le32_get(d.value_len);
		return 0;
	}
	return 0;
}
