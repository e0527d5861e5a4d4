/* SPDX-License-Identifier: MIT */
/* Files of a FAT file system, read-only. Names are compared without case, as FAT does, but an exact match
 * goes first. A path may be 8 folders deep, since a directory may contain itself. A file is read only when
 * its chain is sound from end to end. Times are local on FAT, and taken as UTC; owners and modes there are
 * none. */
#include "format/fat_priv.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/str.h"

struct fat_find {
	const char *name;
	struct fat_entry exact, nearly;
	bool has_exact, has_nearly;
};

static bool fat_same_name(const char *name, const char *want, size_t len, bool any_case)
{
	if (strlen(name) != len)
		return false;
	return (any_case ? strncasecmp(name, want, len) : strncmp(name, want, len)) == 0;
}

static int fat_find_entry(void *arg, const struct fat_entry *d)
{
	struct fat_find *find = arg;
	size_t len = strcspn(find->name, "/");

	if (d->attr & ATTR_VOLUME)
		return 0;
	if (fat_same_name(d->name, find->name, len, false)) {
		find->exact = *d;
		find->has_exact = true;
		return 1;
	}
	if (!find->has_nearly && (fat_same_name(d->name, find->name, len, true) ||
				  fat_same_name(d->alias, find->name, len, true))) {
		find->nearly = *d;
		find->has_nearly = true;
	}
	return 0;
}

/* The entry of a path; the root is an entry made up, with cluster 0. */
static int fat_lookup(struct fat *f, const char *path, struct fat_entry *ret, struct err *e)
{
	cleanup_free struct fat_find *find = calloc(1, sizeof(*find));
	const char *p = path + strspn(path, "/");
	int r;

	if (!find)
		return err_oom(e);
	memset(ret, 0, sizeof(*ret));
	ret->attr = ATTR_DIR;
	for (unsigned depth = 0; *p; depth++) {
		if (!(ret->attr & ATTR_DIR))
			return err_set(e, -ENOTDIR, "not a directory");
		if (depth > FAT_MAX_DEPTH)
			return err_set(e, -EBADMSG, "more than %d folders deep", FAT_MAX_DEPTH);
		if (depth && !ret->cluster)
			return err_set(e, -EBADMSG, "a directory without clusters");
		memset(find, 0, sizeof(*find));
		find->name = p;
		r = fat_dir_each(f, ret->cluster, fat_find_entry, find, e);
		/* what was found before the directory's damaged spot counts */
		if (r < 0 && !find->has_nearly)
			return r;
		if (!find->has_exact && !find->has_nearly)
			return err_set(e, -ENOENT, "no such file");
		*ret = find->has_exact ? find->exact : find->nearly;
		p += strcspn(p, "/");
		p += strspn(p, "/");
	}
	return 0;
}

/* Seconds since 1970; 0 where the date is none. */
static int64_t fat_time(le16 date, le16 time)
{
	unsigned d = le16_get(date), t = le16_get(time);
	struct tm tm = {
		.tm_year = (int)(80 + (d >> 9)), .tm_mon = (int)(d >> 5 & 15) - 1, .tm_mday = (int)(d & 31),
		.tm_hour = (int)(t >> 11), .tm_min = (int)(t >> 5 & 63), .tm_sec = (int)(t & 31) * 2,
	};

	if (tm.tm_mon < 0 || tm.tm_mon > 11 || !tm.tm_mday || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 59)
		return 0;
	return timegm(&tm);
}

static int fat_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct err *e)
{
	struct fat *f = (struct fat *)fs;
	struct fat_entry d;
	int r;

	r = fat_lookup(f, path, &d, e);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->type = d.attr & ATTR_DIR ? FS_DIR : FS_FILE;
	ret->mode = d.attr & ATTR_DIR ? 0755 : 0644;
	if (d.attr & ATTR_READONLY)
		ret->mode &= 0555;
	ret->nlink = 1;
	ret->size = d.attr & ATTR_DIR ? 0 : d.size;
	ret->blocks = (ret->size + f->g.cluster - 1) / f->g.cluster * f->g.cluster;
	ret->ino = d.at ? d.at / FAT_SLOT : 1;
	ret->mtime = fat_time(d.mdate, d.mtime);
	ret->ctime = fat_time(d.cdate, d.ctime);
	ret->atime = fat_time(d.adate, (le16){{0, 0}});
	return 0;
}

struct fat_list {
	int (*fn)(void *arg, const char *name);
	void *arg;
};

static int fat_list_entry(void *arg, const struct fat_entry *d)
{
	struct fat_list *l = arg;

	return d->attr & ATTR_VOLUME ? 0 : l->fn(l->arg, d->name);
}

static int fat_list(struct fs *fs, const char *path, int (*fn)(void *arg, const char *name), void *arg,
		    struct err *e)
{
	struct fat_list l = {fn, arg};
	struct fat *f = (struct fat *)fs;
	struct fat_entry d;
	int r;

	r = fat_lookup(f, path, &d, e);
	if (r < 0)
		return r;
	if (!(d.attr & ATTR_DIR))
		return err_set(e, -ENOTDIR, "not a directory");
	if (d.at && !d.cluster)
		return err_set(e, -EBADMSG, "a directory without clusters");
	return fat_dir_each(f, d.cluster, fat_list_entry, &l, e);
}

static int fat_readlink(struct fs *fs, const char *path, char **ret, struct err *e)
{
	(void)fs;
	(void)path;
	(void)ret;
	return err_set(e, -EINVAL, "FAT has no links");
}

/* The clusters of a whole file, kept for the next read. */
static int fat_load_chain(struct fat *f, const struct fat_entry *d, struct err *e)
{
	cleanup(fat_walk_done) struct fat_walk w = {0};
	cleanup_free uint32_t *chain = NULL;
	uint32_t n = (uint32_t)(((uint64_t)d->size + f->g.cluster - 1) / f->g.cluster);
	int r;

	if (f->chain && f->chain_first == d->cluster && f->chain_n == n)
		return 0;
	if (n > f->clusters)
		return err_set(e, -EBADMSG, "file of %" PRIu32 " bytes is larger than all clusters", d->size);
	chain = malloc(n * sizeof(*chain));
	if (!chain)
		return err_oom(e);

	r = fat_walk_start(&w, f, d->cluster, e);
	for (uint32_t i = 0; r > 0; r = fat_walk_next(&w, e)) {
		chain[i++] = w.cur;
		if (i == n)
			break;
	}
	if (r < 0)
		return r;
	if (!r)
		return err_set(e, -EBADMSG, "cluster chain ends before the %" PRIu32 " bytes do", d->size);
	free(f->chain);
	f->chain = take_ptr(&chain);
	f->chain_first = d->cluster;
	f->chain_n = n;
	return 0;
}

static int fat_read(struct fs *fs, const char *path, void *buf, size_t len, uint64_t off, size_t *ret_n,
		    struct err *e)
{
	struct fat *f = (struct fat *)fs;
	struct fat_entry d;
	size_t done = 0;
	int r;

	r = fat_lookup(f, path, &d, e);
	if (r < 0)
		return r;
	if (d.attr & ATTR_DIR)
		return err_set(e, -EISDIR, "a directory");
	if (off > d.size)
		off = d.size;
	if (len > d.size - off)
		len = (size_t)(d.size - off);
	if (len) {
		r = fat_load_chain(f, &d, e);
		if (r < 0)
			return r;
	}

	while (done < len) {
		uint32_t in = (uint32_t)((off + done) % f->g.cluster);
		size_t n = f->g.cluster - in < len - done ? f->g.cluster - in : len - done;

		r = blk_pread(f->blk, (uint8_t *)buf + done, n,
			      fat_cluster_off(f, f->chain[(off + done) / f->g.cluster]) + in, e);
		if (r < 0)
			return r;
		done += n;
	}
	*ret_n = done;
	return 0;
}

static void fat_close(struct fs *fs)
{
	struct fat *f = (struct fat *)fs;

	blk_unref(f->blk);
	free(f->chain);
	free(f);
}

static const struct fs_ops fat_ops = {
	.name = "vfat",
	.stat = fat_stat,
	.list = fat_list,
	.readlink = fat_readlink,
	.read = fat_read,
	.close = fat_close,
};

struct fs *fat_fs(struct fat *f)
{
	f->fs.ops = &fat_ops;
	return &f->fs;
}
