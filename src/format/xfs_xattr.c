/* SPDX-License-Identifier: MIT */
/* Extended attributes of XFS ("XFS Algorithms & Data Structures", chapter "Extended attributes"): those in
 * the inode, and those in leaf blocks, which are found by the left edge of their tree and then one after the
 * other; long values lie in blocks of their own. Names and POSIX ACLs are given in the kernel's form. What
 * leaves its room, or comes by a second time, is refused. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "format/xfs_priv.h"

enum {
	FL_LOCAL = 0x1,
	FL_ROOT = 0x2,
	FL_SECURE = 0x4,
	FL_PARENT = 0x8,
	FL_INCOMPLETE = 0x80,
	SHORT_HEAD = 4,
	LEAF = 0xfbee,
	LEAF_V5 = 0x3bee,
	NODE = 0xfebe,
	NODE_V5 = 0x3ebe,
	MAX_DEPTH = 5,
	MAX_LEAVES = 1 << 18,
	MAX_NAMES = 100000,
	REMOTE_HEAD = 56,
	ACL_USER = 2,
	ACL_GROUP = 8,
	MAX_NAME = 255,
};

struct info_disk {
	be32 next, prev;
	be16 magic, pad;
};
struct info_v5_disk {
	struct info_disk info;
	le32 csum;
	uint8_t self[40];
};
struct node_entry_disk {
	be32 hash, before;
};
struct leaf_entry_disk {
	be32 hash;
	be16 at;
	uint8_t flags, pad;
};
struct remote_value_disk {
	be32 block, len;
	uint8_t name_len;
};
struct remote_head_disk {
	uint8_t magic[4];
	be32 off, len;
	le32 csum;
	uint8_t self[40];
};
struct acl_disk {
	be32 tag, id;
	be16 perm, pad;
};
struct acl_out {
	uint8_t tag[2], perm[2], id[4];
};
static_assert(sizeof(struct info_disk) == 12 && sizeof(struct info_v5_disk) == 56, "XFS attribute block");
static_assert(sizeof(struct node_entry_disk) == 8 && sizeof(struct leaf_entry_disk) == 8,
	      "XFS attribute entry");
static_assert(sizeof(struct remote_value_disk) == 9 && sizeof(struct remote_head_disk) == REMOTE_HEAD,
	      "XFS attribute value");
static_assert(sizeof(struct acl_disk) == 12 && sizeof(struct acl_out) == 8, "XFS ACL");

struct visit {
	struct xfs_fs *x;
	const struct xfs_inode *i;
	int (*fn)(void *arg, const char *name, const void *v, size_t n);
	void *arg;
	unsigned told;
};

static int damaged(const struct visit *v, struct err *e)
{
	return err_set(e, -EBADMSG, "inode %" PRIu64 ": its extended attributes are damaged", v->i->ino);
}

/* The kernel's form of an ACL: version 2, ids of nobody where there is none. */
static int tell_acl(struct visit *v, const char *name, const uint8_t *p, size_t n, struct err *e)
{
	cleanup_free uint8_t *out = NULL;
	size_t count, len;
	be32 stored;

	if (n < sizeof(stored))
		return damaged(v, e);
	memcpy(&stored, p, sizeof(stored));
	count = be32_get(stored);
	if (count > (n - sizeof(stored)) / sizeof(struct acl_disk))
		return damaged(v, e);
	len = 4 + count * sizeof(struct acl_out);
	out = calloc(1, len);
	if (!out)
		return err_oom(e);
	out[0] = 2;
	for (size_t k = 0; k < count; k++) {
		struct acl_out o = { .id = { 0xff, 0xff, 0xff, 0xff } };
		struct acl_disk d;
		uint32_t tag, id;

		memcpy(&d, p + sizeof(stored) + k * sizeof(d), sizeof(d));
		tag = be32_get(d.tag);
		id = be32_get(d.id);
		for (unsigned b = 0; b < 2; b++) {
			o.tag[b] = (uint8_t)(tag >> 8 * b);
			o.perm[b] = (uint8_t)(be16_get(d.perm) >> 8 * b);
		}
		for (unsigned b = 0; b < 4 && (tag == ACL_USER || tag == ACL_GROUP); b++)
			o.id[b] = (uint8_t)(id >> 8 * b);
		memcpy(out + 4 + k * sizeof(o), &o, sizeof(o));
	}
	return v->fn(v->arg, name, out, len);
}

static bool is_named(const uint8_t *name, size_t n, const char *what)
{
	return n == strlen(what) && !memcmp(name, what, n);
}

static int tell(struct visit *v, unsigned flags, const uint8_t *name, size_t name_n, const uint8_t *value,
		size_t n, struct err *e)
{
	char full[32 + MAX_NAME];

	if (flags & (FL_PARENT | FL_INCOMPLETE))
		return 0;
	if (++v->told > MAX_NAMES || !name_n || memchr(name, '\0', name_n))
		return damaged(v, e);
	if (flags & FL_ROOT && is_named(name, name_n, "SGI_ACL_FILE"))
		return tell_acl(v, "system.posix_acl_access", value, n, e);
	if (flags & FL_ROOT && is_named(name, name_n, "SGI_ACL_DEFAULT"))
		return tell_acl(v, "system.posix_acl_default", value, n, e);
	(void)snprintf(full, sizeof(full), "%s%.*s",
		       flags & FL_ROOT	   ? "trusted."
		       : flags & FL_SECURE ? "security."
					   : "user.",
		       (int)name_n, (const char *)name);
	return v->fn(v->arg, full, value, n);
}

/* ---- in the inode ---- */

static int tell_short(struct visit *v, struct err *e)
{
	const uint8_t *p = v->i->attr.p;
	size_t size = v->i->attr.size, off = SHORT_HEAD, name_n, n;
	be16 total;
	int rc = 0;

	if (size < SHORT_HEAD)
		return damaged(v, e);
	memcpy(&total, p, sizeof(total));
	if (be16_get(total) > size || be16_get(total) < SHORT_HEAD)
		return damaged(v, e);
	size = be16_get(total);
	for (unsigned k = 0; k < p[2] && !rc; k++, off += 3 + name_n + n) {
		if (size - off < 3)
			return damaged(v, e);
		name_n = p[off];
		n = p[off + 1];
		if (size - off < 3 + name_n + n)
			return damaged(v, e);
		rc = tell(v, p[off + 2], p + off + 3, name_n, p + off + 3 + name_n, n, e);
	}
	return rc;
}

/* ---- in blocks ---- */

static bool head_ok(const struct visit *v, const struct remote_head_disk *h, size_t off, size_t room,
		    size_t *ret_n)
{
	(void)v;
	*ret_n = be32_get(h->len);
	return !memcmp(h->magic, "XARM", 4) && be32_get(h->off) == off && *ret_n && *ret_n <= room;
}

/* A value in blocks of its own; in version 5 each begins with a header. */
static int read_remote(struct visit *v, uint32_t block, uint8_t *out, size_t len, struct err *e)
{
	size_t bs = v->x->info.block_size, done = 0, n = 0;
	cleanup_free uint8_t *buf = NULL;
	struct remote_head_disk h;
	struct xfs_run run = { 0 };
	int rc;

	if (!xfs_is_v5(v->x))
		return xfs_read_fork(v->x, v->i, &v->i->attr, out, len, (uint64_t)block * bs, e);
	buf = malloc(bs);
	if (!buf)
		return err_oom(e);
	for (uint64_t b = block; done < len; b++, done += n) {
		rc = xfs_map(v->x, v->i, &v->i->attr, b, &run, e);
		if (!rc)
			rc = xfs_read_fork(v->x, v->i, &v->i->attr, buf, bs, b * bs, e);
		if (rc)
			return rc;
		memcpy(&h, buf, sizeof(h));
		if (!head_ok(v, &h, done, len - done < bs - REMOTE_HEAD ? len - done : bs - REMOTE_HEAD,
			     &n) ||
		    *xfs_self_wrong(v->x, &xfs_self_remote, buf, bs, v->i->ino, run.at))
			return damaged(v, e);
		memcpy(out + done, buf + REMOTE_HEAD, n);
	}
	return 0;
}

static int tell_remote(struct visit *v, unsigned flags, const uint8_t *p, size_t room, struct err *e)
{
	cleanup_free uint8_t *value = NULL;
	struct remote_value_disk d;
	size_t len;
	int rc;

	if (room < sizeof(d))
		return damaged(v, e);
	memcpy(&d, p, sizeof(d));
	len = be32_get(d.len);
	if (room - sizeof(d) < d.name_len)
		return damaged(v, e);
	if (flags & (FL_PARENT | FL_INCOMPLETE))
		return 0;
	if (len > XFS_MAX_XATTR)
		return err_set(e, -EBADMSG, "inode %" PRIu64 ": an extended attribute of %zu bytes",
			       v->i->ino, len);
	value = malloc(len + 1);
	if (!value)
		return err_oom(e);
	rc = read_remote(v, be32_get(d.block), value, len, e);
	return rc ? rc : tell(v, flags, p + sizeof(d), d.name_len, value, len, e);
}

static int tell_entry(struct visit *v, const uint8_t *block, const struct leaf_entry_disk *entry,
		      struct err *e)
{
	size_t at = be16_get(entry->at), bs = v->x->info.block_size, n;
	be16 len;

	if (at + 3 > bs)
		return damaged(v, e);
	if (!(entry->flags & FL_LOCAL))
		return tell_remote(v, entry->flags, block + at, bs - at, e);
	memcpy(&len, block + at, sizeof(len));
	n = be16_get(len);
	if (at + 3 + block[at + 2] + n > bs)
		return damaged(v, e);
	return tell(v, entry->flags, block + at + 3, block[at + 2], block + at + 3 + block[at + 2], n, e);
}

static int tell_leaf(struct visit *v, const uint8_t *block, struct err *e)
{
	size_t head = xfs_is_v5(v->x) ? sizeof(struct info_v5_disk) : sizeof(struct info_disk);
	size_t first = head + (xfs_is_v5(v->x) ? 24 : 20);
	struct leaf_entry_disk entry;
	be16 count;
	int rc = 0;

	memcpy(&count, block + head, sizeof(count));
	if (be16_get(count) > (v->x->info.block_size - first) / sizeof(entry))
		return damaged(v, e);
	for (unsigned k = 0; k < be16_get(count) && !rc; k++) {
		memcpy(&entry, block + first + k * sizeof(entry), sizeof(entry));
		rc = tell_entry(v, block, &entry, e);
	}
	return rc;
}

/* Block no of the attributes, and whether it is a leaf. */
static int read_block(struct visit *v, uint64_t no, uint8_t *buf, bool *ret_leaf, struct err *e)
{
	size_t bs = v->x->info.block_size;
	struct info_disk h;
	struct xfs_run run = { 0 };
	const char *why;
	int rc = xfs_map(v->x, v->i, &v->i->attr, no, &run, e);

	if (!rc)
		rc = run.hole ? damaged(v, e) : xfs_read_fork(v->x, v->i, &v->i->attr, buf, bs, no * bs, e);
	if (rc)
		return rc;
	why = xfs_self_wrong(v->x, &xfs_self_da, buf, bs, v->i->ino, run.at);
	if (*why)
		return err_set(e, -EBADMSG,
			       "inode %" PRIu64 ": block %" PRIu64
			       " of its extended attributes (byte %" PRIu64 ") %s",
			       v->i->ino, no, run.at, why);
	memcpy(&h, buf, sizeof(h));
	*ret_leaf = be16_get(h.magic) == (xfs_is_v5(v->x) ? LEAF_V5 : LEAF);
	if (!*ret_leaf && be16_get(h.magic) != (xfs_is_v5(v->x) ? NODE_V5 : NODE))
		return damaged(v, e);
	return 0;
}

/* The first leaf, by the left edge of the tree: it is left in buf, and *ret_no is its number. */
static int find_first_leaf(struct visit *v, uint8_t *buf, uint64_t *ret_no, struct err *e)
{
	size_t first = xfs_is_v5(v->x) ? sizeof(struct info_v5_disk) + 8 : sizeof(struct info_disk) + 4;
	struct node_entry_disk entry;
	bool leaf = false;
	uint64_t no = 0;
	int rc;

	for (unsigned depth = 0; depth <= MAX_DEPTH; depth++) {
		rc = read_block(v, no, buf, &leaf, e);
		if (rc)
			return rc;
		if (leaf) {
			*ret_no = no;
			return 0;
		}
		memcpy(&entry, buf + first, sizeof(entry));
		no = be32_get(entry.before);
	}
	return damaged(v, e);
}

static int tell_leaves(struct visit *v, struct err *e)
{
	cleanup_free uint8_t *buf = malloc(v->x->info.block_size), *seen = calloc(1, MAX_LEAVES / 8);
	bool leaf = true;
	uint64_t no = 0;
	struct info_disk h;
	int rc;

	if (!buf || !seen)
		return err_oom(e);
	rc = find_first_leaf(v, buf, &no, e);
	while (!rc) {
		if (!leaf || no >= MAX_LEAVES || seen[no / 8] & 1 << no % 8)
			return damaged(v, e);
		seen[no / 8] |= (uint8_t)(1 << no % 8);
		rc = tell_leaf(v, buf, e);
		memcpy(&h, buf, sizeof(h));
		no = be32_get(h.next);
		if (rc || !no)
			break;
		rc = read_block(v, no, buf, &leaf, e);
	}
	return rc;
}

int xfs_xattr_each(struct xfs_fs *x, const struct xfs_inode *i,
		   int (*fn)(void *arg, const char *name, const void *v, size_t n), void *arg, struct err *e)
{
	struct visit v = { .x = x, .i = i, .fn = fn, .arg = arg };

	if (!i->attr.size)
		return 0;
	if (i->attr.form == XFS_FORM_LOCAL)
		return tell_short(&v, e);
	if (i->attr.form == XFS_FORM_EXTENTS && !i->attr.extents)
		return 0;
	return tell_leaves(&v, e);
}
