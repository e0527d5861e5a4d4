/* SPDX-License-Identifier: MIT */
/* Fixed VHD: a raw disk and a footer in its last 512 bytes (Virtual Hard Disk Image Format Specification
 * 1.0). The footer is believed only with a good checksum and when one of its sizes is exactly what lies
 * before it; any other file is read as a raw disk, whole, so that no byte is hidden. Dynamic and
 * differencing VHDs are named and refused, and so is a footer below a footer.
 *
 * A VHD is not a thing with children: expand replaces the node's view. It puts a window without the footer
 * in the place of node->blk, frees its own meta, and sets node->format to NULL, node->meta to NULL,
 * node->fmt to "" and node->state to NODE_NEW and node->passes to 0: the graph then offers the same node
 * again, which is now a raw disk. */
#include "format/format.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

enum { VHD_FOOTER = 512, VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };

struct vhd_footer_disk {
	char cookie[8];
	be32 features, version;
	be64 data_offset;
	be32 timestamp;
	char creator_app[4];
	be32 creator_version;
	char creator_os[4];
	be64 original_size, current_size;
	be16 cylinders;
	uint8_t heads, sectors;
	be32 type, checksum;
	uint8_t uuid[16];
	uint8_t saved_state;
	uint8_t reserved[427];
};
static_assert(sizeof(struct vhd_footer_disk) == VHD_FOOTER, "VHD footer");

struct vhd {
	unsigned type;
	uint64_t size;                  /* fixed: bytes before the footer */
	bool nested;                    /* what lies before the footer ends in a footer that fits as well */
};

/* The footer at off: its type, or 0 where there is none. A sector that cannot be read is none: a disk is
 * not given up for its last sector, and a first one that is bad is found out by whoever needs it. */
static int vhd_read_footer(struct blk *blk, uint64_t off, uint64_t *ret_original, uint64_t *ret_current)
{
	struct vhd_footer_disk f;
	uint8_t raw[VHD_FOOTER];
	uint32_t sum = 0;

	if (blk_pread(blk, raw, sizeof(raw), off, NULL) < 0)
		return 0;
	memcpy(&f, raw, sizeof(f));
	if (memcmp(f.cookie, "conectix", 8) != 0)
		return 0;

	/* the checksum counts as zeroes in its own sum */
	memset(raw + offsetof(struct vhd_footer_disk, checksum), 0, sizeof(f.checksum));
	for (size_t i = 0; i < sizeof(raw); i++)
		sum += raw[i];
	if (~sum != be32_get(f.checksum))
		return 0;

	*ret_original = be64_get(f.original_size);
	*ret_current = be64_get(f.current_size);
	switch (be32_get(f.type)) {
	case VHD_FIXED:
	case VHD_DYNAMIC:
	case VHD_DIFFERENCING:
		return (int)be32_get(f.type);
	}
	return 0;
}

/* The type of the VHD that the first size bytes of blk are, or 0. */
static int vhd_probe(struct blk *blk, uint64_t size)
{
	uint64_t original, current;
	int type;

	if (size < 2 * VHD_FOOTER)
		return 0;
	type = vhd_read_footer(blk, size - VHD_FOOTER, &original, &current);
	if (type == VHD_FIXED && current != size - VHD_FOOTER && original != size - VHD_FOOTER)
		return 0;
	if (type)
		return type;

	/* A dynamic VHD begins with a copy, which is what is left when the file was cut off. */
	type = vhd_read_footer(blk, 0, &original, &current);
	return type == VHD_FIXED ? 0 : type;
}

static int vhd_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	cleanup_free struct vhd *v = NULL;
	int type = vhd_probe(blk, blk->size);

	if (!type)
		return 0;

	v = calloc(1, sizeof(*v));
	if (!v)
		return err_oom(e);
	v->type = (unsigned)type;
	v->size = blk->size - VHD_FOOTER;
	v->nested = type == VHD_FIXED && vhd_probe(blk, v->size);
	*ret_meta = take_ptr(&v);
	return 1;
}

static int vhd_describe(struct node *node, struct err *e)
{
	const struct vhd *v = node->meta;

	(void)e;
	memcpy(node->fmt, "vhd", 4);
	if (v->type != VHD_FIXED) {
		node->state = NODE_UNSUPPORTED;
		err_set(&node->why, 0, "%s VHD: only fixed ones are read; convert it to a raw image first",
			v->type == VHD_DYNAMIC ? "dynamic" : "differencing");
	} else if (v->nested) {
		node->state = NODE_DAMAGED;
		err_set(&node->why, 0, "VHD inside a fixed VHD: which one is meant cannot be told");
	} else {
		node->state = NODE_OPEN;
	}
	return 0;
}

static int vhd_expand(struct graph *g, struct node *node, struct err *e)
{
	struct vhd *v = node->meta;
	struct blk *raw = NULL;
	int r;

	(void)g;
	if (v->type != VHD_FIXED || v->nested)
		return 0;
	r = blk_open_window(node->blk, 0, v->size, &raw, e);
	if (r < 0)
		return r;

	blk_unref(node->blk);
	node->blk = raw;
	node->size = v->size;
	free(v);
	node->meta = NULL;
	node->format = NULL;
	node->fmt[0] = 0;
	node->state = NODE_NEW;
	node->passes = 0;
	return 0;
}

const struct format format_vhd = {
	.name = "vhd",
	.parse = vhd_parse,
	.describe = vhd_describe,
	.expand = vhd_expand,
	.free_meta = free,
};
