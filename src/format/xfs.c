/* SPDX-License-Identifier: MIT */
/* XFS as a format, after "XFS Algorithms & Data Structures": versions 4 and 5, read only. A log that was not
 * replayed is seen and told, not replayed. Refused, by name: features that are not known here, version 1
 * directories, a realtime section inside the data device. What lies on a realtime device is listed, never
 * read. */
#include <inttypes.h>
#include <stdio.h>
#include "base/str.h"
#include "format/format.h"
#include "format/xfs_priv.h"

/* Of version 4: what its second word of features may say. */
enum { V4_DIR2 = 0x2000, V4_FEATURES2_KNOWN = 0x2 | 0x8 | 0x80 | 0x200 };

static int xfs_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	cleanup_free struct xfs_info *info = malloc(sizeof(*info));
	int rc;

	if (!info)
		return err_oom(e);
	rc = xfs_find_super(blk, info, e);
	if (rc > 0)
		*ret_meta = take_ptr(&info);
	return rc;
}

/* Set *why to what keeps us from reading it; true where there is such a thing. */
static bool has_unknown(const struct xfs_info *x, struct err *why)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = { { XFS_INCOMPAT_ZONED, " zoned" }, { XFS_INCOMPAT_ZONE_GAPS, " zone_gaps" } };
	uint32_t left = x->version == 5 ? x->incompat & ~(uint32_t)XFS_INCOMPAT_KNOWN : 0;
	char text[64] = "", rest[16] = "";

	if (x->unusable)
		return false;
	if (x->version == 4 && !(x->features & V4_DIR2)) {
		err_set(why, 0, "XFS: its directories are of version 1, which is not known here");
		return true;
	}
	if (x->version == 4 && x->features2 & ~(uint32_t)V4_FEATURES2_KNOWN) {
		err_set(why, 0, "XFS: it has features that are not known here: 0x%" PRIx32,
			x->features2 & ~(uint32_t)V4_FEATURES2_KNOWN);
		return true;
	}
	if (!left)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (left & names[i].bit)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", names[i].name);
		left &= ~names[i].bit;
	}
	if (left)
		(void)snprintf(rest, sizeof(rest), " 0x%" PRIx32, left);
	err_set(why, 0, "XFS: it has features that are not known here:%s%s", text, rest);
	return true;
}

static void say_why(struct node *node, const struct xfs_info *x)
{
	const char *rt =
	    x->rt_blocks && !x->unusable ? "it has a realtime device: files on that are not read" : "";
	const char *log = x->unusable || x->log == XFS_LOG_CLEAN ? "" : x->log_why.msg;
	const char *damage = x->damage.msg;

	node->why.msg[0] = '\0';
	node->state = NODE_OPEN;
	if (has_unknown(x, &node->why)) {
		node->state = NODE_UNSUPPORTED;
		return;
	}
	if (*damage)
		node->state = NODE_DAMAGED;
	if (*damage || *log || *rt)
		err_set(&node->why, 0, "%s%s%s%s%s", damage, *damage && *log ? "; " : "", log,
			*rt && (*damage || *log) ? "; " : "", rt);
}

static int xfs_describe(struct node *node, struct err *e)
{
	const struct xfs_info *info = node->meta;
	size_t len = strnlen(info->label, sizeof(info->label) - 1);

	(void)snprintf(node->fmt, sizeof(node->fmt), "xfs");
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
	say_why(node, info);
	return 0;
}

static int xfs_open_fs(struct node *node, struct fs **ret, struct err *e)
{
	struct err why = { "" };
	struct xfs_info info;
	int rc = xfs_find_super(node->blk, &info, e);

	if (rc < 0)
		return rc;
	if (!rc)
		return err_set(e, -EBADMSG, "no XFS superblock");
	if (has_unknown(&info, &why))
		return err_set(e, -EOPNOTSUPP, "%s", why.msg);
	if (info.unusable)
		return err_set(e, -EBADMSG, "%s", info.damage.msg);
	return xfs_fs_open(node->blk, &info, ret, e);
}

const struct xfs_info *xfs_fs_info(const struct fs *fs)
{
	return fs && fs->ops == &xfs_fs_ops ? &((const struct xfs_fs *)fs)->info : NULL;
}

const struct xfs_info *xfs_node_info(const struct node *node)
{
	return node && node->format == &format_xfs ? node->meta : NULL;
}

const struct format format_xfs = {
	.name = "xfs",
	.parse = xfs_parse,
	.describe = xfs_describe,
	.open_fs = xfs_open_fs,
	.free_meta = free,
};
