/* SPDX-License-Identifier: MIT */
/* FAT12, FAT16 and FAT32 (Microsoft's FAT specification 1.03): the boot sector, and label and UUID as
 * libblkid spells them. An own reader, as no library here takes the small FAT32 volumes that Linux makes
 * and mounts: what is FAT32 is said by the length fields, not by the count of clusters. It never writes,
 * and ignores FSInfo and the dirty bits.
 *
 * The label is the root directory's volume entry, else the boot sector's; "NO NAME" is none. Refused: NTFS,
 * exFAT and BitLocker, whose boot sectors look alike, and geometries that Linux would not mount. */
#include "format/fat.h"
#include "format/format.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"
#include "format/fat_priv.h"

struct fat_boot_disk {
	uint8_t jump[3];
	char oem[8];
	le16 sector;
	uint8_t cluster;
	le16 reserved;
	uint8_t fats;
	le16 root_entries, sectors16;
	uint8_t media;
	le16 fat_len16, track, heads;
	le32 hidden, sectors32;
	union {
		struct {
			uint8_t drive, reserved, signature, serial[4];
			char label[11], magic[8];
		} fat16;
		struct {
			le32 fat_len32;
			le16 flags, version;
			le32 root_cluster;
			le16 info, backup;
			uint8_t reserved[12], drive, reserved2, signature, serial[4];
			char label[11], magic[8];
		} fat32;
	} u;
};
static_assert(sizeof(struct fat_boot_disk) == 90, "FAT boot sector");

static bool fat_has_magic(const struct fat_boot_disk *b)
{
	const char *m = b->u.fat16.magic;

	return memcmp(m, "FAT12   ", 8) == 0 || memcmp(m, "FAT16   ", 8) == 0 ||
	       memcmp(m, "FAT     ", 8) == 0 || memcmp(m, "MSDOS", 5) == 0 ||
	       memcmp(b->u.fat32.magic, "FAT32   ", 8) == 0 || memcmp(b->u.fat32.magic, "MSWIN", 5) == 0;
}

/* Does it begin like a boot sector? JFS and HPFS put a FAT-like one before themselves. */
static bool fat_has_shape(const struct fat_boot_disk *b, const uint8_t s[512])
{
	if (memcmp(b->oem, "NTFS    ", 8) == 0 || memcmp(b->oem, "EXFAT   ", 8) == 0)
		return false;
	if (fat_has_magic(b))
		return true;
	if (memcmp(b->u.fat16.magic, "JFS     ", 8) == 0 || memcmp(b->u.fat16.magic, "HPFS    ", 8) == 0)
		return false;
	return (b->jump[0] == 0xeb || b->jump[0] == 0xe9) && s[510] == 0x55 && s[511] == 0xaa;
}

bool fat_is_bitlocker(const uint8_t s[512])
{
	static const uint8_t to_go[16] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
					  0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};

	return memcmp(s + 3, "-FVE-FS-", 8) == 0 || memcmp(s + 424, to_go, sizeof(to_go)) == 0;
}

static bool is_pow2(uint32_t v)
{
	return v && !(v & (v - 1));
}

/* How many bits an entry has; 0: too many clusters. */
static unsigned fat_bits(uint64_t clusters, bool fat32)
{
	if (fat32)
		return clusters <= 0x0ffffff6 ? 32 : 0;
	if (clusters < 4085)
		return 12;
	return clusters < 65525 ? 16 : 0;
}

bool fat_geometry_read(const uint8_t s[512], struct fat_geometry *ret)
{
	struct fat_boot_disk b;
	struct fat_geometry g = {0};
	uint64_t total, fat_sectors, root_sectors, data, clusters, capacity;
	bool fat32;

	memcpy(&b, s, sizeof(b));
	g.sector = le16_get(b.sector);
	g.fats = b.fats;
	if (!fat_has_shape(&b, s) || fat_is_bitlocker(s))
		return false;
	if (!is_pow2(g.sector) || g.sector < 512 || g.sector > 4096 || !is_pow2(b.cluster))
		return false;
	if (!b.fats || !le16_get(b.reserved))
		return false;
	if (b.media != 0xf0 && b.media < 0xf8)
		return false;

	/* 32-bit counts of sectors of at most 4096 bytes: nothing overflows 64 bits */
	total = le16_get(b.sectors16) ? le16_get(b.sectors16) : le32_get(b.sectors32);
	fat32 = !le16_get(b.fat_len16);
	fat_sectors = fat32 ? le32_get(b.u.fat32.fat_len32) : le16_get(b.fat_len16);
	root_sectors = ((uint64_t)le16_get(b.root_entries) * FAT_SLOT + g.sector - 1) / g.sector;
	data = le16_get(b.reserved) + fat_sectors * b.fats + root_sectors;
	if (!fat_sectors || total <= data)
		return false;
	clusters = (total - data) / b.cluster;
	g.bits = fat_bits(clusters, fat32);
	if (!g.bits || !clusters)
		return false;
	capacity = fat_sectors * g.sector * 8 / g.bits;
	if (capacity <= 2)
		return false;

	g.clusters = (uint32_t)(clusters < capacity - 2 ? clusters : capacity - 2);
	g.cluster = g.sector * b.cluster;
	g.fat = (uint64_t)le16_get(b.reserved) * g.sector;
	g.fat_len = fat_sectors * g.sector;
	g.root = fat32 ? 0 : g.fat + g.fat_len * b.fats;
	g.root_len = fat32 ? 0 : (uint64_t)le16_get(b.root_entries) * FAT_SLOT;
	g.root_cluster = fat32 ? le32_get(b.u.fat32.root_cluster) : 0;
	g.data = data * g.sector;
	g.total = total * g.sector;
	/* bit 7: no mirroring, the low bits name the copy in use */
	if (fat32 && le16_get(b.u.fat32.flags) & 0x80)
		g.active = le16_get(b.u.fat32.flags) & 0x0f;
	if (g.active >= g.fats)
		return false;
	memcpy(g.label, fat32 ? b.u.fat32.label : b.u.fat16.label, sizeof(g.label));
	memcpy(g.serial, fat32 ? b.u.fat32.serial : b.u.fat16.serial, sizeof(g.serial));
	*ret = g;
	return true;
}

bool fat_is_boot_sector(const uint8_t s[512])
{
	struct fat_geometry g;

	return memcmp(s + 3, "NTFS    ", 8) == 0 || memcmp(s + 3, "EXFAT   ", 8) == 0 ||
	       fat_is_bitlocker(s) || fat_geometry_read(s, &g);
}

struct fat_meta {
	struct fat_geometry g;
	char label[12];                 /* "": none */
	struct err why;                 /* what is damaged */
};

static void fat_set_label(struct fat_meta *m, const char raw[11])
{
	size_t n = 11;

	while (n && (raw[n - 1] == ' ' || !raw[n - 1]))
		n--;
	if (memcmp(raw, "NO NAME    ", 11) == 0)
		n = 0;
	memcpy(m->label, raw, n);
	m->label[n] = 0;
	if (n && m->label[0] == 0x05)
		m->label[0] = (char)0xe5;
}

static int fat_find_label(void *arg, const struct fat_entry *d)
{
	if ((d->attr & (ATTR_VOLUME | ATTR_DIR)) != ATTR_VOLUME || d->cluster)
		return 0;
	fat_set_label(arg, d->raw);
	return 1;
}

static int fat_parse(struct blk *blk, void **ret_meta, struct err *e)
{
	cleanup_free struct fat_meta *m = NULL;
	cleanup_free struct fat *f = NULL;
	struct fat_geometry g;
	uint8_t s[512];
	int r;

	if (blk->size < sizeof(s))
		return 0;
	r = blk_pread(blk, s, sizeof(s), 0, e);
	if (r < 0)
		return r;
	if (!fat_geometry_read(s, &g))
		return 0;
	m = calloc(1, sizeof(*m));
	f = malloc(sizeof(*f));
	if (!m || !f)
		return err_oom(e);

	m->g = g;
	if (fat_init(f, blk, &g) < 0) {
		err_set(&m->why, 0, "device of %" PRIu64 " bytes ends before the first cluster, at %" PRIu64,
			blk->size, g.data);
	} else {
		r = fat_dir_each(f, 0, fat_find_label, m, &m->why);
		if (r == -ENOMEM)
			return err_oom(e);
		if (r < 0)
			err_wrap(&m->why, r, "root directory");
		else if (g.total > blk->size)
			err_set(&m->why, 0, "file system has %" PRIu64 " bytes, the device %" PRIu64, g.total,
				blk->size);
	}
	if (!*m->label)
		fat_set_label(m, g.label);
	*ret_meta = take_ptr(&m);
	return 1;
}

static int fat_describe(struct node *node, struct err *e)
{
	const struct fat_meta *m = node->meta;
	const uint8_t *id = (const uint8_t *)m->g.serial;

	memcpy(node->fmt, "vfat", 5);
	if (!bytes_all_zero(id, 4))
		snprintf(node->uuid, sizeof(node->uuid), "%02X%02X-%02X%02X", id[3], id[2], id[1], id[0]);
	if (*m->label) {
		free(node->label);
		node->label = str_ndup(m->label, strlen(m->label));
		if (!node->label)
			return err_oom(e);
	}
	node->why = m->why;
	node->state = node->blk->size > m->g.data ? NODE_OPEN : NODE_DAMAGED;
	return 0;
}

static int fat_open_fs(struct node *node, struct fs **ret, struct err *e)
{
	const struct fat_meta *m = node->meta;
	struct fat *f = malloc(sizeof(*f));

	if (!f)
		return err_oom(e);
	if (fat_init(f, node->blk, &m->g) < 0) {
		free(f);
		return err_set(e, -EBADMSG, "%s", m->why.msg);
	}
	blk_ref(f->blk);
	*ret = fat_fs(f);
	return 0;
}

const struct format format_fat = {
	.name = "fat",
	.parse = fat_parse,
	.describe = fat_describe,
	.open_fs = fat_open_fs,
	.free_meta = free,
};
