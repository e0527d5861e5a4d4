/* SPDX-License-Identifier: MIT */
/* The runs that are known, and the disks they were made on. A disk is found by its size and the digest of its edges (and its serial where both sides
 * have one), never by its name: names change with every attach. Everything is opened for reading here; a disk that somebody holds is refused
 * before anybody thinks of writing to it. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/vec.h"
#include "repair/commit_priv.h"

enum { MAX_RUNS = 100000 };

/* ---- the list ---- */

static int is_undo_name(const struct dirent *d)
{
	return d->d_name[0] != '.' && str_ends(d->d_name, ".undo");
}

/* Open and load; the bytes of changes are verified, not kept. */
static int load_run(const char *path, int *ret_fd, struct undo_file *ret, struct err *e)
{
	cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct disk_io d;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -errno, "undo file: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "not an undo file");
	disk_io_init(&d, fd, -1, NULL, 0);
	r = undo_load(&d.io, false, ret, e);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int list_one(const char *folder, const char *name, struct run_info *info, struct err *e)
{
	cleanup_close int fd = -1;
	struct undo_file f = { .body_len = 0 };
	struct err why = { "" };
	struct stat st;
	bool undoing;
	int r;

	info->path = str_printf("%s/%s", folder, name);
	if (!info->path)
		return err_oom(e);
	snprintf(info->run, sizeof(info->run), "%.*s", (int)(strlen(name) - strlen(".undo")), name);
	r = load_run(info->path, &fd, &f, &why);
	if (r == -ENOMEM)
		return err_oom(e);
	if (r < 0) {
		info->damage = str_printf("%s", why.msg);
		return info->damage ? 0 : err_oom(e);
	}
	memcpy(info->run, f.cs.run, sizeof(info->run));
	info->state = undo_file_state(&f, &undoing);
	info->size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	info->machine = take_ptr(&f.cs.machine);
	info->facts = take_ptr(&f.cs.facts);
	info->disks = take_ptr(&f.cs.disks);
	info->ndisks = f.cs.ndisks;
	f.cs.ndisks = 0;
	undo_file_done(&f);
	return 0;
}

void runs_free(struct run_info *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t d = 0; d < v[i].ndisks; d++) {
			free(v[i].disks[d].name);
			free(v[i].disks[d].path);
		}
		free(v[i].disks);
		free(v[i].path);
		free(v[i].machine);
		free(v[i].facts);
		free(v[i].damage);
	}
	free(v);
}

int runs_list(struct run_info **ret, size_t *ret_n, struct err *e)
{
	cleanup_free char *folder = commit_undo_dir();
	struct dirent **names = NULL;
	struct run_info *v = NULL;
	size_t n = 0;
	int count = folder ? scandir(folder, &names, is_undo_name, alphasort) : 0, r = 0;

	if (count < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_set(e, -errno, "%s: %s", folder, strerror(errno));
	for (int i = 0; i < count; i++) {
		struct run_info *slot = r == 0 && i < MAX_RUNS ? vec_push(&v, &n) : NULL;

		if (slot)
			r = list_one(folder, names[i]->d_name, slot, e);
		else if (r == 0)
			r = i < MAX_RUNS ? err_oom(e) : err_set(e, -EFBIG, "%s: more than %d undo files", folder, MAX_RUNS);
		free(names[i]);
	}
	free(names);
	if (r < 0) {
		runs_free(v, n);
		return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

/* ---- whose disk is it? ---- */

/* -1: the serials are there and differ, 1: they are there and equal, 0: nothing to compare. */
static int compare_serials(const char *a, const char *b)
{
	return !*a || !*b ? 0 : strcmp(a, b) ? -1 : 1;
}

/* 1 it is this disk, 0 it is not, -errno. */
static int has_identity(struct wio *io, int file, const struct change_set *cs, unsigned disk, const char *serial, struct err *e)
{
	uint8_t digest[32];
	int r;

	if (io->size(io, file) != cs->disks[disk].size || compare_serials(serial, cs->disks[disk].serial) < 0)
		return 0;
	r = undo_identity(io, file, cs, disk, digest, e);
	return r < 0 ? r : !memcmp(digest, cs->disks[disk].digest, sizeof(digest));
}

/* A disk that the run wrote half of may not even have the edges it had: the serial is enough here. */
static int covers(struct wio *io, const struct undo_file *f, int file, const struct disk_identity *id, struct err *e)
{
	for (size_t i = 0; i < f->cs.ndisks; i++) {
		int r = has_identity(io, file, &f->cs, (unsigned)i, id->serial, e);

		if (r == 0 && id->size == f->cs.disks[i].size)
			r = compare_serials(id->serial, f->cs.disks[i].serial) > 0;
		if (r)
			return r;
	}
	return 0;
}

static int refuse_armed(const struct run_info *run, const struct change_set *cs, const int *disks, struct err *e)
{
	cleanup_close int fd = -1;
	struct undo_file f = { .body_len = 0 };
	struct disk_io d;
	char name[64];
	int r = load_run(run->path, &fd, &f, e);

	if (r < 0)
		return err_wrap(e, r, "%s", run->path);
	disk_io_init(&d, fd, -1, disks, cs->ndisks);
	for (size_t i = 0; r == 0 && i < cs->ndisks; i++) {
		r = covers(&d.io, &f, (int)i, &cs->disks[i], e);
		if (r > 0)
			r = err_set(e, -EBUSY, "%s: run %s on it was cut short; undo or resume %s first", undo_disk_name(cs, (unsigned)i, name),
				    run->run, run->run);
	}
	undo_file_done(&f);
	return r;
}

int runs_refuse_armed(const struct change_set *cs, const int *disks, struct err *e)
{
	struct run_info *v = NULL;
	size_t n = 0;
	int r = runs_list(&v, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (v[i].state == RUN_ARMED)
			r = refuse_armed(&v[i], cs, disks, e);
	runs_free(v, n);
	return r;
}

/* ---- finding disks ---- */

struct found {
	struct host_disk *v;
	size_t n;
};

static bool is_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) || S_ISBLK(b->st_mode))
		return S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* One path more, unless it is there already. hint: a path from the undo file, of which nothing may be believed. */
static int add_candidate(struct found *f, const char *path, bool hint, struct err *e)
{
	struct host_disk d = { .fd = -1 }, *slot;
	struct stat st, other;
	int r;

	if (hint && (*path != '/' || stat(path, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))))
		return 0;
	r = host_open(path, &d, hint ? NULL : e);
	if (r < 0)
		return hint && r != -ENOMEM ? 0 : r;
	host_describe("", &d);
	r = fstat(d.fd, &st) < 0 ? -errno : 0;
	for (size_t i = 0; r == 0 && i < f->n; i++)
		if (fstat(f->v[i].fd, &other) == 0 && is_same(&st, &other))
			r = 1;
	slot = r == 0 ? vec_push(&f->v, &f->n) : NULL;
	if (slot) {
		*slot = d;
		return 0;
	}
	close(d.fd);
	free(d.path);
	free(d.name);
	return r > 0 ? 0 : err_oom(e);
}

/* Why no candidate is this disk: there is one that must be it, but was changed; or there is none. */
static int not_found(const struct found *f, const struct change_set *cs, unsigned disk, const struct err *open_err, struct err *e)
{
	const struct disk_identity *id = &cs->disks[disk];
	char name[64];

	undo_disk_name(cs, disk, name);
	for (size_t i = 0; i < f->n; i++) {
		cleanup_free char *real = realpath(f->v[i].path, NULL);
		int serial = compare_serials(f->v[i].serial, id->serial);

		if (f->v[i].size == id->size && (serial > 0 || (serial == 0 && str_eq(real, id->path))))
			return err_set(e, -ESTALE, "%s: has the size and %s of %s of this run, but its first or last 64 KiB were changed since; nothing was written",
				       f->v[i].name, serial > 0 ? "the serial" : "the place", name);
	}
	return err_set(e, -ENODEV, "%s: none of %zu disks looked at is this one (by size and by content); attach it, or name it%s%s", name, f->n,
		       *open_err->msg ? "; " : "", open_err->msg);
}

/* Which candidate is this disk of the set. */
static int find_one(const struct found *f, const struct change_set *cs, unsigned disk, const struct err *open_err, size_t *ret, struct err *e)
{
	size_t matches = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct err why = { "" };
		struct disk_io d;
		int r;

		disk_io_init(&d, -1, -1, &f->v[i].fd, 1);
		r = has_identity(&d.io, 0, cs, disk, f->v[i].serial, &why);
		if (r == -ENOMEM)
			return err_oom(e);
		if (r <= 0)
			continue;
		if (matches++)
			return err_set(e, -ENOTUNIQ, "%s and %s have the same content (a snapshot?); name the one to write to, or detach the other",
				       f->v[*ret].path, f->v[i].path);
		*ret = i;
	}
	return matches ? 0 : not_found(f, cs, disk, open_err, e);
}

int runs_refuse_held(const struct host_disk *v, size_t n, struct err *e)
{
	struct host h = { 0 };
	int r = host_holders("", v, n, &h, e);

	if (r == 0 && h.nbusy)
		r = err_set(e, -EBUSY, "%s is in use here (%s); let go with: %s", h.busy[0].node, h.busy[0].holder, h.busy[0].release);
	host_done(&h);
	return r;
}

/* Its own descriptor and names, so that the candidates can be let go. */
static int keep_disk(const struct host_disk *d, struct host_disk *ret, struct err *e)
{
	*ret = *d;
	ret->path = str_printf("%s", d->path);
	ret->name = str_printf("%s", d->name);
	ret->fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 3);
	if (ret->fd < 0)
		return err_set(e, -errno, "%s: %s", d->name, strerror(errno));
	return ret->path && ret->name ? 0 : err_oom(e);
}

static int pick(const struct found *f, const struct change_set *cs, const struct err *open_err, struct host_disk *v, size_t *n, struct err *e)
{
	size_t chosen[UNDO_MAX_DISKS], which = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < cs->ndisks; i++) {
		r = find_one(f, cs, (unsigned)i, open_err, &which, e);
		for (size_t k = 0; r == 0 && k < i; k++)
			if (chosen[k] == which)
				r = err_set(e, -ENOTUNIQ, "%s: would be two disks of this run at once", f->v[which].path);
		chosen[i] = which;
		if (r == 0)
			r = keep_disk(&f->v[which], &v[(*n)++], e);
	}
	return r ? r : runs_refuse_held(v, *n, e);
}

int runs_find_disks(const struct change_set *cs, const char *const *candidates, size_t n, bool hints, struct host_disk **ret,
		    struct err *e)
{
	struct found f = { .v = NULL };
	struct host_disk *v = calloc(cs->ndisks, sizeof(*v));
	struct err open_err = { "" };
	size_t count = 0;
	int r = v ? 0 : err_oom(e);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (add_candidate(&f, candidates[i], false, &open_err) == -ENOMEM)
			r = err_oom(e);
	for (size_t i = 0; hints && r == 0 && i < cs->ndisks; i++)
		r = add_candidate(&f, cs->disks[i].path, true, e);
	if (r == 0)
		r = pick(&f, cs, &open_err, v, &count, e);
	host_disks_free(f.v, f.n);
	if (r < 0) {
		host_disks_free(v, count);
		return r;
	}
	*ret = v;
	return 0;
}
