/* SPDX-License-Identifier: MIT */
/* Reading the kernel's own tables: proc_pid_mountinfo(5), /proc/swaps, and the block devices of sysfs with their slaves. */
#include "vm/host_sys.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/vec.h"

enum { MAX_TABLE = 16 << 20, MAX_DEPTH = 16 };

void sys_text(const char *root, char *buf, size_t size, const char *fmt, ...)
{
	cleanup_str struct str path = { 0 };
	cleanup_file FILE *f = NULL;
	va_list ap;
	size_t n;

	*buf = '\0';
	str_add(&path, root);
	va_start(ap, fmt);
	str_addv(&path, fmt, ap);
	va_end(ap);
	f = path.failed ? NULL : fopen(path.p, "re");
	if (!f || !fgets(buf, (int)size, f)) {
		*buf = '\0';
		return;
	}
	n = strlen(buf);
	while (n && isspace((unsigned char)buf[n - 1]))
		buf[--n] = '\0';
}

char *sys_link(const char *root, const char *fmt, ...)
{
	cleanup_str struct str path = { 0 };
	va_list ap;

	str_add(&path, root);
	va_start(ap, fmt);
	str_addv(&path, fmt, ap);
	va_end(ap);
	return path.failed ? NULL : realpath(path.p, NULL);
}

static int read_table(const char *root, const char *name, struct str *ret, struct err *e)
{
	cleanup_free char *path = str_printf("%s%s", root, name);
	cleanup_close int fd = -1;
	char buf[8192];
	ssize_t n;

	if (!path)
		return err_oom(e);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	while ((n = read(fd, buf, sizeof(buf))) > 0 && ret->n < MAX_TABLE)
		str_addn(ret, buf, (size_t)n);
	if (n < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	return ret->failed ? err_oom(e) : 0;
}

/* \040 and its like, in place */
static void decode_octal(char *s)
{
	char *out = s;

	for (; *s; s++)
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	*out = '\0';
}

static int add_mount(struct sys_mounts *m, char *line)
{
	char *save = NULL, *f[6], *word, *fstype, *super;
	struct sys_mount *slot;
	unsigned major, minor;

	for (size_t i = 0; i < 6; i++)
		if (!(f[i] = strtok_r(i ? NULL : line, " ", &save)))
			return 0;
	while ((word = strtok_r(NULL, " ", &save)) && strcmp(word, "-"))
		;
	fstype = strtok_r(NULL, " ", &save);
	strtok_r(NULL, " ", &save);
	super = strtok_r(NULL, " ", &save);
	if (sscanf(f[2], "%u:%u", &major, &minor) != 2)
		return 0;
	slot = vec_push(&m->v, &m->n);
	if (!slot)
		return -ENOMEM;
	decode_octal(f[4]);
	*slot = (struct sys_mount){ .major = major, .minor = minor, .at = str_printf("%s", f[4]),
				    .fstype = str_printf("%s", fstype ? fstype : ""),
				    .rw = str_starts(super, "rw") };
	return slot->at && slot->fstype ? 0 : -ENOMEM;
}

int sys_mounts_read(const char *root, struct sys_mounts *ret, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char *save = NULL;
	int r = read_table(root, "/proc/self/mountinfo", &text, e);

	if (r < 0)
		return r;
	for (char *line = text.p ? strtok_r(text.p, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		/* strtok_r of the inner line needs its own end */
		if (add_mount(ret, line) < 0)
			return err_oom(e);
	}
	return 0;
}

void sys_mounts_done(struct sys_mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].at);
		free(m->v[i].fstype);
	}
	free(m->v);
	*m = (struct sys_mounts){ 0 };
}

int sys_swaps_read(const char *root, struct sys_swaps *ret, struct err *e)
{
	cleanup_str struct str text = { 0 };
	char *save = NULL;
	int r = read_table(root, "/proc/swaps", &text, e);

	if (r == -ENOENT)
		return 0;       /* a kernel without swap */
	if (r < 0)
		return r;
	for (char *line = text.p ? strtok_r(text.p, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		char **slot;

		if (!str_starts(line, "/dev/"))
			continue;
		line[strcspn(line, " \t")] = '\0';
		slot = vec_push(&ret->v, &ret->n);
		if (!slot || !(*slot = str_printf("%s", strrchr(line, '/') + 1)))
			return err_oom(e);
	}
	return 0;
}

void sys_swaps_done(struct sys_swaps *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct sys_swaps){ 0 };
}

void sys_dev_name(const char *root, unsigned major, unsigned minor, char *buf, size_t size)
{
	cleanup_free char *link = sys_link(root, "/sys/dev/block/%u:%u", major, minor);

	snprintf(buf, size, "%s", link ? strrchr(link, '/') + 1 : "");
}

static int mark_used(struct sys_used *u, const char *disk, const char *why)
{
	void *grown;

	if (sys_used_why(u, disk))
		return 0;
	grown = vec_grow(u->v, u->n, sizeof(*u->v));
	if (!grown)
		return -ENOMEM;
	u->v = grown;
	u->v[u->n].disk = str_printf("%s", disk);
	u->v[u->n].why = str_printf("%s", why);
	return u->v[u->n].disk && u->v[u->n++].why ? 0 : -ENOMEM;
}

/* The whole disks under a device: its slaves' disks, or the disk it is a partition of. */
static int mark_disks_under(const char *root, const char *name, const char *why, unsigned depth, struct sys_used *u)
{
	cleanup_free char *link = sys_link(root, "/sys/class/block/%s", name);
	cleanup_free char *slaves = link ? str_printf("%s/slaves", link) : NULL;
	cleanup_free char *part = link ? str_printf("%s/partition", link) : NULL;
	struct dirent *entry;
	DIR *dir;
	int r = 0, found = 0;

	if (!link || depth > MAX_DEPTH)
		return 0;
	if (part && access(part, F_OK) == 0) {
		*strrchr(link, '/') = '\0';
		return mark_disks_under(root, strrchr(link, '/') + 1, why, depth + 1, u);
	}
	dir = slaves ? opendir(slaves) : NULL;
	while (dir && r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			found = 1;
			r = mark_disks_under(root, entry->d_name, why, depth + 1, u);
		}
	if (dir)
		closedir(dir);
	return found ? r : mark_used(u, strrchr(link, '/') + 1, why);
}

/* Is this a mount the system runs from? */
static bool is_own_mount(const struct sys_mount *m)
{
	return !strcmp(m->at, "/") || !strcmp(m->at, "/usr") || !strcmp(m->at, "/var") || str_starts(m->at, "/usr/") ||
	       str_starts(m->at, "/var/") ;
}

int sys_used_read(const char *root, struct sys_used *ret, struct err *e)
{
	struct sys_mounts mounts = { 0 };
	struct sys_swaps swaps = { 0 };
	int r = sys_mounts_read(root, &mounts, e);

	if (r == 0)
		r = sys_swaps_read(root, &swaps, e);
	for (size_t i = 0; r == 0 && i < mounts.n; i++) {
		char name[64];
		cleanup_free char *why = str_printf("this system runs from it (%s)", mounts.v[i].at);

		if (!is_own_mount(&mounts.v[i]))
			continue;
		sys_dev_name(root, mounts.v[i].major, mounts.v[i].minor, name, sizeof(name));
		if (*name && mark_disks_under(root, name, why ? why : "this system runs from it", 0, ret) < 0)
			r = err_oom(e);
	}
	for (size_t i = 0; r == 0 && i < swaps.n; i++)
		if (mark_disks_under(root, swaps.v[i], "swap of this system", 0, ret) < 0)
			r = err_oom(e);
	sys_mounts_done(&mounts);
	sys_swaps_done(&swaps);
	return r;
}

const char *sys_used_why(const struct sys_used *u, const char *disk)
{
	for (size_t i = 0; i < u->n; i++)
		if (!strcmp(u->v[i].disk, disk))
			return u->v[i].why;
	return NULL;
}

void sys_used_done(struct sys_used *u)
{
	for (size_t i = 0; i < u->n; i++) {
		free(u->v[i].disk);
		free(u->v[i].why);
	}
	free(u->v);
	*u = (struct sys_used){ 0 };
}
