/* SPDX-License-Identifier: MIT */
/* Who on this system holds the disks that were given: mounts, swap, device-mapper, md and loop devices, and the command that lets go of each. For an image
 * file: the loop devices on it. */
#include "vm/host.h"
#include "vm/host_sys.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "base/vec.h"

enum { MAX_DEPTH = 16 };
struct look {
	const char *root;
	struct sys_mounts mounts;
	struct sys_swaps swaps;
	struct host *host;
	int disk;
};

static int hold(struct look *l, const char *node, char *holder, char *release, bool rw)
{
	struct host_holder *h = vec_push(&l->host->busy, &l->host->nbusy);

	if (!h || !holder || !release) {
		free(holder);
		free(release);
		return -ENOMEM;
	}
	*h = (struct host_holder){ .node = str_printf("%s", node), .holder = holder, .release = release, .rw = rw, .disk = l->disk };
	return h->node ? 0 : -ENOMEM;
}

/* "LVM-" and 64 characters: VG and LV UUIDs without dashes. */
static char *release_lvm(const char *dm_uuid)
{
	const char *u = dm_uuid + 4;

	return str_printf("vgchange -an --select vg_uuid=%.6s-%.4s-%.4s-%.4s-%.4s-%.4s-%.6s", u, u + 6, u + 10, u + 14, u + 18, u + 22, u + 26);
}

static int hold_by_device(struct look *l, const char *node, const char *holder)
{
	char name[128], uuid[160];

	sys_text(l->root, name, sizeof(name), "/sys/class/block/%s/dm/name", holder);
	sys_text(l->root, uuid, sizeof(uuid), "/sys/class/block/%s/dm/uuid", holder);
	if (str_starts(holder, "md"))
		return hold(l, node, str_printf("md array %s", holder), str_printf("mdadm --stop /dev/%s", holder), false);
	if (!*name)
		return hold(l, node, str_printf("%s", holder), str_printf("losetup -d /dev/%s", holder), false);
	if (str_starts(uuid, "LVM-") && strlen(uuid) >= 68)
		return hold(l, node, str_printf("device-mapper %s (LVM)", name), release_lvm(uuid), false);
	if (str_starts(uuid, "CRYPT-"))
		return hold(l, node, str_printf("device-mapper %s (opened volume)", name), str_printf("cryptsetup close %s", name), false);
	return hold(l, node, str_printf("device-mapper %s", name), str_printf("dmsetup remove %s", name), false);
}

static int look_mounts(struct look *l, const char *node, const char *device)
{
	for (size_t i = 0; i < l->mounts.n; i++) {
		const struct sys_mount *m = &l->mounts.v[i];
		char name[64];

		sys_dev_name(l->root, m->major, m->minor, name, sizeof(name));
		if (strcmp(name, device))
			continue;
		if (hold(l, node, str_printf("mounted %s on %s", m->rw ? "read-write" : "read-only", m->at), str_printf("umount %s", m->at), m->rw) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < l->swaps.n; i++)
		if (!strcmp(l->swaps.v[i], device) && hold(l, node, str_printf("swap"), str_printf("swapoff /dev/%s", device), true) < 0)
			return -ENOMEM;
	return 0;
}

/* A device, what is mounted from it, then what lies on it. node is the name people know: the disk's own partition. */
static int look_device(struct look *l, const char *node, const char *device, unsigned depth)
{
	cleanup_free char *folder = str_printf("%s/sys/class/block/%s/holders", l->root, device);
	struct dirent *entry;
	DIR *dir;
	int r;

	if (!folder)
		return -ENOMEM;
	if (depth > MAX_DEPTH)
		return 0;
	dir = opendir(folder);
	r = 0;
	while (dir && r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			r = look_device(l, node, entry->d_name, depth + 1);
			if (r == 0)
				r = hold_by_device(l, node, entry->d_name);
		}
	if (dir)
		closedir(dir);
	return r ? r : look_mounts(l, node, device);
}

static int look_partitions(struct look *l, const char *disk)
{
	cleanup_free char *folder = str_printf("%s/sys/block/%s", l->root, disk);
	struct dirent *entry;
	DIR *dir = folder ? opendir(folder) : NULL;
	int r = folder ? 0 : -ENOMEM;

	while (dir && r == 0 && (entry = readdir(dir))) {
		char number[16];

		if (!str_starts(entry->d_name, disk))
			continue;
		sys_text(l->root, number, sizeof(number), "/sys/block/%s/%s/partition", disk, entry->d_name);
		if (*number)
			r = look_device(l, entry->d_name, entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	return r;
}

/* Loop devices whose backing file is this image; then whoever uses those. */
static int look_loops(struct look *l, const struct host_disk *d)
{
	cleanup_free char *real = realpath(d->path, NULL), *folder = str_printf("%s/sys/block", l->root);
	struct dirent *entry;
	DIR *dir = folder && real ? opendir(folder) : NULL;
	int r = 0;

	while (dir && r == 0 && (entry = readdir(dir))) {
		char backing[4096];

		if (!str_starts(entry->d_name, "loop"))
			continue;
		sys_text(l->root, backing, sizeof(backing), "/sys/block/%s/loop/backing_file", entry->d_name);
		if (strcmp(backing, real))
			continue;
		r = look_partitions(l, entry->d_name);
		if (r == 0)
			r = look_device(l, d->name, entry->d_name, 0);
		if (r == 0)
			r = hold(l, d->name, str_printf("loop device %s", entry->d_name), str_printf("losetup -d /dev/%s", entry->d_name), false);
	}
	if (dir)
		closedir(dir);
	return r;
}

static int look_disk(struct look *l, const struct host_disk *d)
{
	struct stat st;
	char name[64];
	int r;

	if (!d->is_blk)
		return look_loops(l, d);
	if (fstat(d->fd, &st) < 0)
		return 0;
	sys_dev_name(l->root, major(st.st_rdev), minor(st.st_rdev), name, sizeof(name));
	if (!*name)
		return 0;
	r = look_partitions(l, name);
	return r ? r : look_device(l, name, name, 0);
}

int host_holders(const char *root, const struct host_disk *disks, size_t n, struct host *h, struct err *e)
{
	struct look l = { .root = root, .host = h };
	int r = sys_mounts_read(root, &l.mounts, e);

	if (r == 0)
		r = sys_swaps_read(root, &l.swaps, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		l.disk = (int)i;
		if (look_disk(&l, &disks[i]) < 0)
			r = err_oom(e);
	}
	sys_mounts_done(&l.mounts);
	sys_swaps_done(&l.swaps);
	return r;
}
