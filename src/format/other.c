/* SPDX-License-Identifier: MIT */
/* What none of our own readers took: libblkid puts a name to it, on a sealed copy of the bytes it wants. It
 * is asked first for what the disks of such machines bear, and only where that is nothing for the rest, so
 * that a rare and weak signature makes no common one ambiguous. Never for crypto_LUKS: that is what our own
 * reader has already denied, and a stale secondary header must not hide a live swap. Partition tables are
 * ours alone, and BitLocker is known by its boot sector, as libblkid wants bytes from the middle of the
 * volume.
 *
 * Naming is not reading: the node is open, and open_fs says that there is no reader. Two names at once are
 * not guessed at: the node is damaged and both are told. */
#include "format/format.h"

#include <blkid.h>
#include <string.h>

#include "base/str.h"
#include "format/fat.h"

enum { OTHER_MAX_NAMES = 16 };

struct other {
	char fmt[24], uuid[64];
	char *label;
	struct err ambiguous;           /* the names where there are several */
};

static const char *const common_types[] = {
	"vfat", "exfat", "ntfs", "ext2", "ext3", "ext4", "jbd", "xfs", "xfs_external_log", "btrfs", "f2fs",
	"iso9660", "udf", "squashfs", "zfs_member", "swap", "swsuspend", "LVM1_member", "LVM2_member",
	"linux_raid_member", "bcache", "DM_verity_hash", "DM_integrity", NULL,
};
static const char *const never_types[] = {"crypto_LUKS", NULL};

DEFINE_CLEANUP(blkid_probe, probe, blkid_free_probe)

static void other_free(void *meta)
{
	struct other *o = meta;

	if (o)
		free(o->label);
	free(o);
}
DEFINE_CLEANUP(struct other *, other, other_free)

static int other_open_probe(int fd, blkid_probe *ret, struct err *e)
{
	const int flags = BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL;
	cleanup(cleanup_probep) blkid_probe pr = blkid_new_probe();

	if (!pr)
		return err_oom(e);
	if (blkid_probe_set_device(pr, fd, 0, 0) < 0 || blkid_probe_enable_partitions(pr, 0) < 0 ||
	    blkid_probe_enable_superblocks(pr, 1) < 0 || blkid_probe_set_superblocks_flags(pr, flags) < 0)
		return err_set(e, -EIO, "libblkid cannot be set up");
	*ret = take_ptr(&pr);
	return 0;
}

/* As blkid_do_safeprobe: 0 found, 1 nothing, -2 more than one. */
static int other_ask(blkid_probe pr, int filter, const char *const *types)
{
	char *names[sizeof(common_types) / sizeof(*common_types)] = {NULL};

	/* the library's interface takes char *, but does not write */
	for (size_t i = 0; types[i]; i++)
		names[i] = (char *)(uintptr_t)types[i];
	blkid_reset_probe(pr);
	if (blkid_probe_filter_superblocks_type(pr, filter, names) < 0)
		return -1;
	return blkid_do_safeprobe(pr);
}

static int other_fill(blkid_probe pr, struct other *o, struct err *e)
{
	const char *s;

	if (blkid_probe_lookup_value(pr, "TYPE", &s, NULL) == 0)
		snprintf(o->fmt, sizeof(o->fmt), "%s", s);
	if (blkid_probe_lookup_value(pr, "UUID", &s, NULL) == 0)
		snprintf(o->uuid, sizeof(o->uuid), "%s", s);
	if (blkid_probe_lookup_value(pr, "LABEL", &s, NULL) == 0) {
		o->label = str_ndup(s, strlen(s));
		if (!o->label)
			return err_oom(e);
	}
	return 1;
}

static int other_name_all(blkid_probe pr, struct other *o, struct err *e)
{
	cleanup_str struct str names = {0};
	const char *s;

	blkid_reset_probe(pr);
	for (unsigned i = 0; i < OTHER_MAX_NAMES && blkid_do_probe(pr) == 0; i++)
		if (blkid_probe_lookup_value(pr, "TYPE", &s, NULL) == 0)
			str_addf(&names, "%s%s", names.n ? " and " : "", s);
	if (names.failed)
		return err_oom(e);
	err_set(&o->ambiguous, 0, "signatures of %s: which one holds cannot be told", str_text(&names));
	return 1;
}

static int other_parse_bitlocker(struct blk *blk, void **ret_meta, struct err *e)
{
	struct other *o;
	uint8_t s[512];
	int r;

	r = blk_pread(blk, s, sizeof(s), 0, e);
	if (r < 0 || !fat_is_bitlocker(s))
		return r;
	o = calloc(1, sizeof(*o));
	if (!o)
		return err_oom(e);
	memcpy(o->fmt, "BitLocker", 10);
	*ret_meta = o;
	return 1;
}

static int other_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	cleanup(cleanup_probep) blkid_probe pr = NULL;
	cleanup(cleanup_otherp) struct other *o = NULL;
	cleanup_close int fd = -1;
	int r;

	if (blk->size < 512)
		return 0;
	r = other_parse_bitlocker(blk, ret_meta, e);
	if (r)
		return r;
	r = blk_stage_probe(blk, &fd, e);
	if (r < 0)
		return r;
	r = other_open_probe(fd, &pr, e);
	if (r < 0)
		return r;
	o = calloc(1, sizeof(*o));
	if (!o)
		return err_oom(e);

	r = other_ask(pr, BLKID_FLTR_ONLYIN, common_types);
	if (r == 1)
		r = other_ask(pr, BLKID_FLTR_NOTIN, never_types);
	if (r == 1)
		return 0;
	if (r == 0)
		r = other_fill(pr, o, e);
	else if (r == -2)
		r = other_name_all(pr, o, e);
	else
		r = err_set(e, -EIO, "libblkid failed");
	if (r > 0)
		*ret_meta = take_ptr(&o);
	return r;
}

/* Why there are no files to be had from it. */
static const char *other_why_no_fs(const char *fmt)
{
	if (str_eq(fmt, "swap") || str_eq(fmt, "swsuspend"))
		return "holds no files";
	if (str_ends(fmt, "_member"))
		return "not put together here";
	return "no reader here";
}

static int other_describe(struct node *node, struct err *e)
{
	const struct other *o = node->meta;

	if (*o->ambiguous.msg) {
		node->state = NODE_DAMAGED;
		node->why = o->ambiguous;
		return 0;
	}
	memcpy(node->fmt, o->fmt, sizeof(node->fmt));
	memcpy(node->uuid, o->uuid, sizeof(node->uuid));
	if (o->label) {
		free(node->label);
		node->label = str_ndup(o->label, strlen(o->label));
		if (!node->label)
			return err_oom(e);
	}
	node->state = NODE_OPEN;
	err_set(&node->fs_why, 0, "%s: %s", o->fmt, other_why_no_fs(o->fmt));
	if (str_eq(o->fmt, "BitLocker")) {
		node->state = NODE_UNSUPPORTED;
		err_set(&node->why, 0, "BitLocker: a Windows volume, which is not opened here");
	} else if (str_eq(o->fmt, "vfat") || str_starts(o->fmt, "ext")) {
		/* ours to read, and our reader found no sound superblock */
		node->state = NODE_DAMAGED;
		err_set(&node->why, 0, "%s: there is a signature, but the superblock is not sound", o->fmt);
	}
	return 0;
}

static int other_open_fs(struct node *node, struct fs **ret, struct err *e)
{
	(void)ret;
	return err_set(e, -EOPNOTSUPP, "%s%s%s", node->fmt, *node->fmt ? ": " : "",
		       other_why_no_fs(node->fmt));
}

const struct format format_other = {
	.name = "other",
	.parse = other_parse,
	.describe = other_describe,
	.open_fs = other_open_fs,
	.free_meta = other_free,
};
