/* SPDX-License-Identifier: MIT */
/* What partition tables have in common: whether extents are sound, and the nodes they become. An extent
 * that is empty, begins at byte 0, leaves the disk or overlaps another one is kept as a damaged node
 * without bytes, so that nothing is ever read or written through it. Of two that overlap both are bad:
 * which one is true cannot be told.
 *
 * Names are the kernel's: sdc4, but nvme0n1p4 where the disk's name ends in a digit; a name with a dot is
 * an image file and never gets the p (os.img4, os.vhd.14), unless it ends in the "#2" that made it unique. */
#include "format/format.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"

static void part_bad(struct part *p, const char *why)
{
	p->bad = true;
	err_set(&p->why, 0, "partition %u %s", p->no, why);
}

static void part_check_extent(struct part *p, uint64_t disk_size)
{
	if (p->bad)
		return;

	if (!p->len)
		part_bad(p, "is empty");
	else if (!p->start)
		part_bad(p, "begins at byte 0, where the partition table is");
	else if (p->start >= disk_size)
		part_bad(p, "begins beyond the end of the disk");
	else if (!range_in(p->start, p->len, disk_size))
		part_bad(p, "ends beyond the end of the disk");
}

static bool parts_overlap(const struct part *a, const struct part *b)
{
	return a->start < b->start + b->len && b->start < a->start + a->len;
}

static void part_bad_overlap(struct part *p, unsigned other)
{
	if (p->bad)
		return;
	p->bad = true;
	err_set(&p->why, 0, "partition %u overlaps partition %u", p->no, other);
}

int parts_check(struct part *p, size_t n, uint64_t disk_size)
{
	cleanup_free bool *out = calloc(n ? n : 1, sizeof(*out));
	int bad = 0;

	if (!out)
		return -ENOMEM;

	for (size_t i = 0; i < n; i++) {
		part_check_extent(&p[i], disk_size);
		out[i] = p[i].bad;
	}

	/* n is at most 256 for GPT, 132 for MBR. One that leaves the disk makes no other bad. */
	for (size_t i = 0; i < n; i++) {
		for (size_t k = i + 1; k < n; k++) {
			if (out[i] || out[k] || !parts_overlap(&p[i], &p[k]))
				continue;
			part_bad_overlap(&p[i], p[k].no);
			part_bad_overlap(&p[k], p[i].no);
		}
	}

	for (size_t i = 0; i < n; i++)
		bad += p[i].bad;
	return bad;
}

static char *part_name(const struct node *disk, unsigned no)
{
	const char *base = disk->name, *dup = strrchr(base, '#');
	size_t len = strlen(base);
	bool digit = len && isdigit((unsigned char)base[len - 1]);
	bool numbered = dup && dup[1] && !dup[1 + strspn(dup + 1, "0123456789")];
	bool p = digit && (numbered || !strchr(base, '.'));

	return str_printf("%s%s%u", base, p ? "p" : "", no);
}

static int part_expand(struct graph *g, struct node *disk, const struct part *p, struct err *e)
{
	cleanup_free char *name = part_name(disk, p->no), *partname = NULL;
	cleanup_blk struct blk *blk = NULL;
	struct err why = p->why;
	bool bad = p->bad;
	struct node *node;

	if (!name)
		return err_oom(e);
	if (p->name && !(partname = str_ndup(p->name, strlen(p->name))))
		return err_oom(e);
	if (!bad) {
		int r = blk_open_window(disk->blk, p->start, p->len, &blk, &why);

		if (r == -ENOMEM)
			return err_oom(e);
		bad = r < 0;
	}

	node = graph_add(g, name, KIND_PARTITION, disk, blk);
	if (!node)
		return err_oom(e);
	node->partno = p->no;
	node->offset = p->start;
	node->size = p->len;
	node->sector = disk->sector;
	node->disk = disk->disk;
	memcpy(node->partuuid, p->uuid, sizeof(node->partuuid));
	memcpy(node->parttype, p->type, sizeof(node->parttype));
	free(node->partname);
	node->partname = take_ptr(&partname);
	if (bad) {
		node->state = NODE_DAMAGED;
		node->why = why;
	}
	return 0;
}

int parts_expand(struct graph *g, struct node *disk, const struct part *p, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int r = part_expand(g, disk, &p[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}
