/* SPDX-License-Identifier: MIT */
/* Cluster chains and directories of FAT, with long names. A chain may visit no cluster twice and none
 * outside the device; a directory may have 65,536 slots and 4,096 entries.
 *
 * A long name that does not belong to its entry, is "." or "..", or holds a '/' or a lone surrogate, gives
 * way to the short name; in short names NUL and '/' read as '_'. So no name that leaves here can lead out
 * of its directory. */
#include "format/fat_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "format/utf16.h"

enum {
	FAT_MAX_SLOTS = 65536, FAT_MAX_ENTRIES = 4096, FAT_BAD = 0x0ffffff7, FAT_END = 0x0ffffff8,
	LFN_MAX_SLOTS = 20, LFN_UNITS = 13, ATTR_LFN = 0x0f,
};
static_assert(FAT_NAME_SIZE == 3 * LFN_MAX_SLOTS * LFN_UNITS + 1, "FAT name");

struct fat_slot_disk {
	uint8_t name[11], attr, lower, ctime_tenths;
	le16 ctime, cdate, adate, cluster_high, mtime, mdate, cluster_low;
	le32 size;
};
static_assert(sizeof(struct fat_slot_disk) == FAT_SLOT, "FAT directory entry");

int fat_init(struct fat *f, struct blk *blk, const struct fat_geometry *g)
{
	memset(f, 0, sizeof(*f));
	f->blk = blk;
	f->g = *g;
	if (blk->size <= g->data)
		return -ERANGE;
	f->clusters = g->clusters;
	if ((blk->size - g->data) / g->cluster < f->clusters)
		f->clusters = (uint32_t)((blk->size - g->data) / g->cluster);
	return 0;
}

/* One byte of the FAT; where a copy cannot be read, the others are tried. */
static int fat_byte(struct fat *f, uint64_t off, uint8_t *ret, struct err *e)
{
	uint64_t at = off - off % FAT_CACHE;
	uint64_t len = f->g.fat_len - at < FAT_CACHE ? f->g.fat_len - at : FAT_CACHE;
	int r = 0;

	if (!f->cached || f->cache_at != at) {
		f->cached = false;
		for (unsigned i = 0; i < f->g.fats; i++) {
			unsigned copy = (f->g.active + i) % f->g.fats;

			r = blk_pread(f->blk, f->cache, len, f->g.fat + copy * f->g.fat_len + at, e);
			if (r == 0 || r == -ENOMEM)
				break;
		}
		if (r < 0)
			return err_wrap(e, r, "FAT");
		f->cached = true;
		f->cache_at = at;
	}
	*ret = f->cache[off - at];
	return 0;
}

/* The FAT's entry of a cluster, its marks spelled as FAT32's. */
static int fat_entry_get(struct fat *f, uint32_t cluster, uint32_t *ret, struct err *e)
{
	unsigned bits = f->g.bits;
	uint64_t off = bits == 12 ? (uint64_t)cluster + cluster / 2 : (uint64_t)cluster * (bits / 8);
	uint32_t v = 0, bad;

	for (unsigned i = 0; i < (bits == 32 ? 4 : 2); i++) {
		uint8_t b = 0;
		int r = fat_byte(f, off + i, &b, e);

		if (r < 0)
			return r;
		v |= (uint32_t)b << (8 * i);
	}
	if (bits == 12)
		v = cluster & 1 ? v >> 4 : v & 0xfff;
	v &= 0x0fffffff;
	bad = bits == 12 ? 0xff7 : bits == 16 ? 0xfff7 : FAT_BAD;
	*ret = v >= bad ? v - bad + FAT_BAD : v;
	return 0;
}

static bool fat_is_cluster(const struct fat *f, uint32_t c)
{
	return c >= 2 && c - 2 < f->clusters;
}

uint64_t fat_cluster_off(const struct fat *f, uint32_t c)
{
	return f->g.data + (uint64_t)(c - 2) * f->g.cluster;
}

void fat_walk_done(struct fat_walk *w)
{
	free(w->seen);
}

static int fat_walk_step(struct fat_walk *w, uint32_t to, struct err *e)
{
	if (!to)
		return err_set(e, -EBADMSG, "cluster chain leads to a free cluster");
	if (to == FAT_BAD)
		return err_set(e, -EBADMSG, "cluster chain leads to a bad cluster");
	if (!fat_is_cluster(w->f, to))
		return err_set(e, -EBADMSG, "cluster chain leads to cluster %" PRIu32 ", which is none", to);
	if (w->seen[to / 8] & 1u << to % 8)
		return err_set(e, -EBADMSG, "cluster chain comes back to cluster %" PRIu32 ": a loop", to);
	w->seen[to / 8] |= (uint8_t)(1u << to % 8);
	w->cur = to;
	return 1;
}

int fat_walk_start(struct fat_walk *w, struct fat *f, uint32_t first, struct err *e)
{
	w->f = f;
	w->seen = calloc((size_t)f->clusters / 8 + 2, 1);
	if (!w->seen)
		return err_oom(e);
	return fat_walk_step(w, first, e);
}

/* 1: w->cur is the next cluster, 0: the chain ended. */
int fat_walk_next(struct fat_walk *w, struct err *e)
{
	uint32_t next;
	int r;

	r = fat_entry_get(w->f, w->cur, &next, e);
	if (r < 0)
		return r;
	if (next >= FAT_END)
		return 0;
	return fat_walk_step(w, next, e);
}

/* The parts of a long name, gathered in the order of the disk: last part first. */
struct fat_lfn {
	uint8_t units[2 * LFN_MAX_SLOTS * LFN_UNITS];
	unsigned n, next;               /* parts in all, and the one that must come next; next 0: whole */
	uint8_t sum;
};

static void fat_lfn_add(struct fat_lfn *l, const uint8_t s[FAT_SLOT])
{
	unsigned no = s[0] & 0x3f;
	uint8_t *to;

	if (s[0] & 0x40) {
		memset(l, 0, sizeof(*l));
		l->n = no <= LFN_MAX_SLOTS ? no : 0;
		l->next = l->n;
		l->sum = s[13];
	}
	if (!l->n || !no || no != l->next || s[13] != l->sum) {
		l->n = 0;
		return;
	}
	to = l->units + 2 * LFN_UNITS * (no - 1);
	memcpy(to, s + 1, 10);
	memcpy(to + 10, s + 14, 12);
	memcpy(to + 22, s + 28, 4);
	l->next--;
}

static bool fat_name_is_dots(const char *name)
{
	return str_eq(name, ".") || str_eq(name, "..");
}

/* The long name, if there is a whole one for this short name that may stand in a path. */
static bool fat_lfn_name(const struct fat_lfn *l, const char raw[11], char out[FAT_NAME_SIZE])
{
	uint8_t sum = 0;
	bool clean;

	for (size_t i = 0; i < 11; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + (uint8_t)raw[i]);
	if (!l->n || l->next || sum != l->sum)
		return false;
	return utf16_to_utf8(l->units, (size_t)l->n * LFN_UNITS, out, &clean) && clean && !strchr(out, '/') &&
	       !fat_name_is_dots(out);
}

/* Copies one part of a short name without the blanks that fill it up. */
static size_t fat_alias_part(char *out, const char *raw, size_t n, bool lower)
{
	while (n && raw[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < n; i++) {
		out[i] = raw[i] == '/' || !raw[i] ? '_' : raw[i];
		if (lower && out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + 'a' - 'A');
	}
	return n;
}

static void fat_alias(const char raw[11], uint8_t lower, char out[13])
{
	size_t n = fat_alias_part(out, raw, 8, lower & 0x08);

	if (n && out[0] == 0x05)
		out[0] = (char)0xe5;
	out[n] = '.';
	n += 1 + fat_alias_part(out + n + 1, raw + 8, 3, lower & 0x10);
	if (out[n - 1] == '.')
		n--;
	out[n] = 0;
}

static void fat_entry_fill(struct fat_entry *d, const struct fat_slot_disk *s, const struct fat_lfn *l,
			   uint64_t at)
{
	memcpy(d->raw, s->name, sizeof(d->raw));
	fat_alias(d->raw, s->lower, d->alias);
	if (!fat_lfn_name(l, d->raw, d->name))
		memcpy(d->name, d->alias, sizeof(d->alias));
	d->attr = s->attr;
	d->cluster = le16_get(s->cluster_low) | (uint32_t)le16_get(s->cluster_high) << 16;
	d->size = le32_get(s->size);
	d->at = at;
	d->ctime = s->ctime;
	d->cdate = s->cdate;
	d->adate = s->adate;
	d->mtime = s->mtime;
	d->mdate = s->mdate;
}

/* What a walk over a directory carries along. fn sees volume entries too; its non-zero answer ends the
 * walk. */
struct fat_dir {
	int (*fn)(void *arg, const struct fat_entry *);
	void *arg;
	struct fat_lfn lfn;
	struct fat_entry entry;
	unsigned slots, entries;
	bool end;
};

static int fat_dir_entry(struct fat *f, struct fat_dir *d, const struct fat_slot_disk *s, uint64_t at,
			 struct err *e)
{
	fat_entry_fill(&d->entry, s, &d->lfn, at);
	if (f->g.bits != 32)
		d->entry.cluster &= 0xffff;
	if (!*d->entry.name || fat_name_is_dots(d->entry.name))
		return 0;
	if (d->entries++ >= FAT_MAX_ENTRIES)
		return err_set(e, -EBADMSG, "directory has more than %d entries", FAT_MAX_ENTRIES);
	return d->fn(d->arg, &d->entry);
}

static int fat_dir_slots(struct fat *f, struct fat_dir *d, const uint8_t *p, size_t len, uint64_t at,
			 struct err *e)
{
	for (size_t i = 0; i + FAT_SLOT <= len; i += FAT_SLOT) {
		struct fat_slot_disk s;
		int r;

		memcpy(&s, p + i, sizeof(s));
		if (!s.name[0]) {
			d->end = true;
			return 0;
		}
		if (d->slots++ >= FAT_MAX_SLOTS)
			return err_set(e, -EBADMSG, "directory has more than %d slots", FAT_MAX_SLOTS);
		if (s.name[0] != 0xe5 && (s.attr & 0x3f) == ATTR_LFN) {
			fat_lfn_add(&d->lfn, p + i);
			continue;
		}
		r = s.name[0] == 0xe5 ? 0 : fat_dir_entry(f, d, &s, at + i, e);
		if (r)
			return r;
		d->lfn.n = 0;
	}
	return 0;
}

/* A run of bytes of a directory, in pieces that fit the stack. */
static int fat_dir_bytes(struct fat *f, struct fat_dir *d, uint64_t off, uint64_t len, struct err *e)
{
	uint8_t buf[4096];
	int r = 0;

	for (uint64_t done = 0; !r && !d->end && done < len; done += sizeof(buf)) {
		size_t n = len - done < sizeof(buf) ? (size_t)(len - done) : sizeof(buf);

		r = blk_pread(f->blk, buf, n, off + done, e);
		if (!r)
			r = fat_dir_slots(f, d, buf, n, off + done, e);
	}
	return r;
}

int fat_dir_each(struct fat *f, uint32_t first, int (*fn)(void *arg, const struct fat_entry *), void *arg,
		 struct err *e)
{
	cleanup(fat_walk_done) struct fat_walk w = {0};
	cleanup_free struct fat_dir *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_oom(e);
	d->fn = fn;
	d->arg = arg;
	if (!first && f->g.bits != 32)
		return fat_dir_bytes(f, d, f->g.root, f->g.root_len, e);

	r = fat_walk_start(&w, f, first ? first : f->g.root_cluster, e);
	while (r > 0) {
		r = fat_dir_bytes(f, d, fat_cluster_off(f, w.cur), f->g.cluster, e);
		if (r || d->end)
			return r;
		r = fat_walk_next(&w, e);
	}
	return r;
}
