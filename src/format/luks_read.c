/* SPDX-License-Identifier: MIT */
/* A LUKS header as facts: which version, what of it is damaged, what a key may be tried on, and where the
 * payload is. Nothing here derives a key. */
#include "format/luks_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"

void luks_text(char *out, size_t room, const void *bytes, size_t n)
{
	const char *p = bytes;
	size_t i;

	for (i = 0; i < n && i + 1 < room && p[i]; i++)
		out[i] = p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '?';
	out[i] = '\0';
	/* a cut name must not look like another one */
	if (i && i < n && p[i])
		out[i - 1] = '?';
}

uint64_t luks_area_size(uint64_t key_size)
{
	return (key_size * LUKS_STRIPES + LUKS_SECTOR - 1) / LUKS_SECTOR * LUKS_SECTOR;
}

/* What the device is too short for is there by name only. */
static void check_device(const struct blk *hdr, struct luks_info *info)
{
	for (unsigned i = 0; i < info->nslots; i++) {
		struct luks_slot *s = &info->slots[i];

		if (s->active && !range_in(s->area_offset, luks_area_size(s->key_size), hdr->size))
			err_set(&s->bad, 0,
				"its key area lies beyond the end of the header, which is cut off at %ju "
				"bytes",
				(uintmax_t)hdr->size);
	}
}

int luks_read(struct blk *hdr, struct luks_info *ret, struct err *e)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = luks1_read(hdr, ret, e);
	if (r == 0)
		r = luks2_read(hdr, ret, e);
	else if (r < 0 && luks2_read(hdr, ret, NULL) > 0)
		r = 1; /* byte 0 cannot be read, but there is a second copy */
	if (r <= 0)
		return r;
	if (!ret->total_size)
		ret->total_size = LUKS2_BIN;
	check_device(hdr, ret);
	luks_judge(ret);
	return 1;
}

size_t luks_ranges(const struct luks_info *info, struct stage_range *r, size_t max)
{
	size_t n = 0;

	if (!max || info->broken)
		return 0;
	r[n++] = (struct stage_range){ 0, info->version == 2 ? 2 * info->hdr_size : 4096 };
	for (unsigned i = 0; i < info->nslots && n < max; i++) {
		const struct luks_slot *s = &info->slots[i];

		if (s->active && !s->bad.msg[0])
			r[n++] = (struct stage_range){ s->area_offset, luks_area_size(s->key_size) };
	}
	return n;
}

static bool is_backup(const struct luks_segment *s)
{
	return s->backup_previous || s->backup_final || s->backup_moved;
}

bool luks_progress(const struct luks_info *info, uint64_t device_size, uint64_t *ret_done,
		   uint64_t *ret_total)
{
	uint64_t done = 0, total = 0;

	if (info->broken || info->in_flight_magic)
		return false;
	for (unsigned i = 0; i < info->nsegments; i++) {
		const struct luks_segment *s = &info->segments[i];
		uint64_t size = s->size;

		if (is_backup(s))
			continue;
		if (!size && s->offset >= device_size)
			return false;
		if (!size)
			size = device_size - s->offset;
		if (add_overflows(total, size, &total))
			return false;
		if (str_eq(s->type, "crypt") && !s->in_reencryption)
			done += size;
	}
	if (!total)
		return false;
	*ret_done = done;
	*ret_total = total;
	return true;
}

int luks_open_payload(const struct luks_info *info, struct blk *dev, const struct secret *vk,
		      struct blk **ret, struct err *e)
{
	const struct luks_segment *s = &info->segments[0];
	struct crypt_params p = { .key = vk };

	if (info->online || info->in_flight_magic)
		return err_set(e, -EOPNOTSUPP,
			       "a re-encryption is in flight: part of the volume is encrypted and part is not");
	if (info->refused.msg[0])
		return err_set(e, -EOPNOTSUPP, "%s", info->refused.msg);
	if (!info->nsegments || !vk || vk->len != info->key_size)
		return err_set(e, -EBADMSG, "the volume key does not fit the header");
	if (s->offset >= dev->size || (s->size && !range_in(s->offset, s->size, dev->size)))
		return err_set(e, -ERANGE, "the payload at byte %ju does not fit a device of %ju bytes",
			       (uintmax_t)s->offset, (uintmax_t)dev->size);

	p.offset = s->offset;
	p.size = s->size ? s->size : dev->size - s->offset;
	p.iv_offset = s->iv_tweak;
	p.sector_size = s->sector_size;
	p.size -= p.size % p.sector_size;
	if (!p.size)
		return err_set(e, -ERANGE, "the payload has not one whole sector");
	return blk_open_crypt(dev, &p, ret, e);
}
