/* SPDX-License-Identifier: MIT */
/* Which disks are attached, which of them this system runs from, and how a disk is opened: read-only, once, by its descriptor ever after. Read from
 * sysfs, /proc/self/mountinfo and /proc/swaps below `root`, so that tests can bring a system of their own. Nothing here reads what a disk holds, but
 * for the first bytes of an image that must not be a container format. */
#include "vm/host.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/host_sys.h"

enum { MAX_DISKS = 256 };

int host_skip(struct host *h, const char *disk, const char *why)
{
	void *grown = vec_grow(h->skipped, h->nskipped, sizeof(*h->skipped));

	if (!grown)
		return -ENOMEM;
	h->skipped = grown;
	h->skipped[h->nskipped].disk = str_printf("%s", disk);
	h->skipped[h->nskipped].why = str_printf("%s", why);
	h->nskipped++;
	return 0;
}

/* ---- opening ---- */

static int open_kind(const char *path, struct host_disk *d, struct err *e)
{
	struct stat st;
	int sector = 512;
	uint64_t size = 0;

	if (fstat(d->fd, &st) < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR, "%s: a directory; a block device, a raw image or a fixed VHD was expected", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL, "%s: neither a block device nor a file; a disk or a raw image was expected", path);
	d->is_blk = S_ISBLK(st.st_mode);
	size = (uint64_t)st.st_size;
	if (d->is_blk && (ioctl(d->fd, BLKGETSIZE64, &size) < 0 || ioctl(d->fd, BLKSSZGET, &sector) < 0))
		return err_set(e, -errno, "%s: size unknown: %s", path, strerror(errno));
	d->size = size;
	d->sector = (uint32_t)sector;
	if (size == 0)
		return err_set(e, -EINVAL, "%s: is empty (0 bytes); a disk or a raw image was expected", path);
	if (size > 1ULL << 53)
		return err_set(e, -EINVAL, "%s: is larger than 2^53 bytes", path);
	return 0;
}

/* A container format would be misread as a raw disk; its guest data may even look like one (a raw disk that grows a header). */
static int refuse_container(const char *path, const struct host_disk *d, struct err *e)
{
	static const struct { const char *magic; size_t n; const char *name; } containers[] = {
		{ "QFI\xfb", 4, "qcow2" }, { "KDMV", 4, "VMDK" }, { "COWD", 4, "VMDK" }, { "vhdxfile", 8, "VHDX" },
		{ "QED", 4, "QED" }, { "<<< ", 4, "VDI" },
	};
	char head[8] = { 0 };

	if (d->is_blk)
		return 0;
	if (pread(d->fd, head, sizeof(head), 0) < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	for (size_t i = 0; i < sizeof(containers) / sizeof(*containers); i++)
		if (!memcmp(head, containers[i].magic, containers[i].n))
			return err_set(e, -EINVAL, "%s: a %s image; a raw image or a fixed VHD was expected (qemu-img convert -O raw)", path,
				       containers[i].name);
	return 0;
}

int host_open(const char *path, struct host_disk *ret, struct err *e)
{
	struct host_disk d = { .fd = -1 };
	const char *slash = strrchr(path, '/');
	int r;

	/* O_NONBLOCK: a FIFO must not hang us; it has no effect on disks and files */
	d.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (d.fd < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	r = open_kind(path, &d, e);
	if (r == 0)
		r = refuse_container(path, &d, e);
	if (r < 0) {
		close(d.fd);
		return r;
	}
	d.path = str_printf("%s", path);
	d.name = str_printf("%s", slash && slash[1] ? slash + 1 : path);
	if (!d.path || !d.name) {
		close(d.fd);
		free(d.path);
		free(d.name);
		return err_oom(e);
	}
	*ret = d;
	return 0;
}

/* ---- the disks of this system ---- */

/* What sysfs says of a disk: where it sits. */
static void describe_disk(const char *root, struct host_disk *d)
{
	cleanup_free char *link = sys_link(root, "/sys/block/%s/device", d->name);
	const char *lun;

	sys_text(root, d->model, sizeof(d->model), "/sys/block/%s/device/model", d->name);
	sys_text(root, d->serial, sizeof(d->serial), "/sys/block/%s/device/serial", d->name);
	if (!*d->serial)
		sys_text(root, d->serial, sizeof(d->serial), "/sys/block/%s/device/wwid", d->name);
	if (str_starts(d->name, "nvme"))
		snprintf(d->bus, sizeof(d->bus), "nvme");
	else if (link && strstr(link, "VMBUS"))
		snprintf(d->bus, sizeof(d->bus), "vmbus");
	else if (str_starts(d->name, "vd"))
		snprintf(d->bus, sizeof(d->bus), "virtio");
	else if (link)
		snprintf(d->bus, sizeof(d->bus), "scsi");
	lun = link ? strrchr(link, ':') : NULL;
	if (lun && isdigit((unsigned char)lun[1]))
		snprintf(d->lun, sizeof(d->lun), "%.10s", lun + 1);
}

/* Azure's temporary disk: by the controller it sits on, or by its model. */
static bool is_temporary(const char *root, const struct host_disk *d)
{
	cleanup_free char *link = sys_link(root, "/sys/block/%s/device", d->name);

	if (strstr(d->model, "NVMe Direct Disk"))
		return true;
	if (!link)
		return false;
	if (strstr(link, "/00000000-0001-"))
		return true;
	return strstr(link, "/f8b3781a-1e82-4818-a1c3-") && !strcmp(d->lun, "1");
}

static bool is_whole_disk(const char *root, const char *name)
{
	static const char *const others[] = { "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "zd", "drbd", "loop" };
	char size[32];

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (str_starts(name, others[i]))
			return false;
	sys_text(root, size, sizeof(size), "/sys/block/%s/size", name);
	return *size && strcmp(size, "0");
}

static int add_disk(const char *root, const char *name, const struct sys_used *used, struct host_disk **v, size_t *n, struct host *h)
{
	cleanup_free char *path = str_printf("/dev/%s", name);
	struct host_disk d = { .fd = -1 }, *slot;
	struct err e = { "" };
	const char *why = sys_used_why(used, name);

	if (!path)
		return -ENOMEM;
	if (why)
		return host_skip(h, name, why);
	d.name = (char *)name;
	describe_disk(root, &d);
	if (is_temporary(root, &d))
		return host_skip(h, name, "the temporary disk of this VM");
	if (host_open(path, &d, &e) < 0)
		return host_skip(h, name, e.msg);
	describe_disk(root, &d);
	slot = vec_push(v, n);
	if (!slot)
		return -ENOMEM;
	*slot = d;
	return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

int host_disks(const char *root, struct host_disk **ret, size_t *ret_n, struct host *h, struct err *e)
{
	cleanup_free char *folder = str_printf("%s/sys/block", root);
	struct sys_used used = { 0 };
	struct dirent **list = NULL;
	int n, r = 0;

	*ret = NULL;
	*ret_n = 0;
	if (!folder)
		return err_oom(e);
	r = sys_used_read(root, &used, e);
	if (r < 0)
		return r;
	n = scandir(folder, &list, NULL, by_name);
	for (int i = 0; i < n; i++) {
		if (r == 0 && list[i]->d_name[0] != '.' && is_whole_disk(root, list[i]->d_name) && *ret_n < MAX_DISKS)
			r = add_disk(root, list[i]->d_name, &used, ret, ret_n, h);
		free(list[i]);
	}
	free(list);
	sys_used_done(&used);
	return r < 0 ? err_oom(e) : 0;
}

int host_open_lun(const char *root, const char *lun, struct host_disk *ret, struct err *e)
{
	struct host h = { 0 };
	struct host_disk *v = NULL;
	size_t n = 0, found = 0, which = 0;
	int r = host_disks(root, &v, &n, &h, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (!strcmp(v[i].lun, lun)) {
			found++;
			which = i;
		}
	if (r == 0 && found == 1)
		r = host_open(v[which].path, ret, e);
	else if (r == 0)
		r = err_set(e, found ? -ENOTUNIQ : -ENOENT, "lun:%s: %s", lun,
			    found ? "several disks have this LUN; name the device" : "no attached disk has this LUN");
	if (r == 0)
		describe_disk(root, ret);
	host_disks_free(v, n);
	host_done(&h);
	return r;
}

void host_describe(const char *root, struct host_disk *d)
{
	if (d->is_blk)
		describe_disk(root, d);
}

void host_disks_free(struct host_disk *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].fd >= 0)
			close(v[i].fd);
		free(v[i].path);
		free(v[i].name);
	}
	free(v);
}

void host_done(struct host *h)
{
	for (size_t i = 0; i < h->nskipped; i++) {
		free(h->skipped[i].disk);
		free(h->skipped[i].why);
	}
	for (size_t i = 0; i < h->nbusy; i++) {
		free(h->busy[i].node);
		free(h->busy[i].holder);
		free(h->busy[i].release);
	}
	for (size_t i = 0; i < h->nwarnings; i++)
		free(h->warnings[i]);
	free(h->skipped);
	free(h->busy);
	free(h->warnings);
	*h = (struct host){ 0 };
}
