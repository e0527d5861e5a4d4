/* SPDX-License-Identifier: MIT */
/* The failed system's whole tree, by its own fstab(5): each line with a place in the tree becomes a mount,
 * also where its device is not here or cannot be read, since what lies under such a place is not what the
 * system saw. /boot and /var that fstab does not name are looked for by content on the root's own disk, and
 * only there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/facts.h"
#include "vm/machine.h"

enum { MAX_MOUNTS = 256 };

/* Is `at` the state directory's place or above it? */
static bool holds_state(const char *at)
{
	size_t n = strlen(at);

	return n > 1 && !strncmp(STATE_DIR, at, n) && (STATE_DIR[n] == '/' || !STATE_DIR[n]);
}

/* fstab's place, without doubled and trailing slashes; NULL: no place below / (or out of memory). */
static char *clean_place(const char *at)
{
	char *s, *out;

	if (*at != '/')
		return NULL;
	s = out = str_printf("%s", at);
	for (const char *p = s; p && *p; p++)
		if (*p != '/' || out == s || out[-1] != '/')
			*out++ = *p;
	if (!s)
		return NULL;
	while (out > s && out[-1] == '/')
		out--;
	*out = '\0';
	if (*s && !strstr(s, "/../") && !strstr(s, "/./"))
		return s;
	free(s);
	return NULL;
}

/* What the kernel makes up: what lies under it on disk is not hidden from us by it. */
static bool is_made_up(const char *type, const char *at)
{
	static const char *const types[] = { "proc",	    "sysfs",   "devpts",   "devtmpfs", "tmpfs",
					     "ramfs",	    "cgroup",  "cgroup2",  "debugfs",  "securityfs",
					     "hugetlbfs",   "mqueue",  "configfs", "tracefs",  "efivarfs",
					     "binfmt_misc", "fusectl", "usbfs",	   "swap",     "ignore" };

	if (holds_state(at))
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_eq(type, types[i]))
			return true;
	return false;
}

static int note_var(struct machine *m, const char *at, const char *spec, const char *why, struct err *e)
{
	cleanup_free char *shown = str_escape(spec, strlen(spec), false);
	char **slot = NULL;

	if (shown)
		slot = vec_push(&m->vm->var_missing, &m->vm->nvar_missing);
	if (slot)
		*slot = str_printf("%s for %s: %s", shown, at, why);
	return slot && *slot ? 0 : err_oom(e);
}

static int mount_missing(struct machine *m, const char *at, const struct node *n, const char *spec,
			 const char *why, struct err *e)
{
	cleanup_free char *text = NULL, *shown = str_escape(spec, strlen(spec), false);
	int r;

	text = shown ? str_printf("%s: %s", shown, why) : NULL;
	if (!text)
		return err_oom(e);
	r = tree_mount(&m->vm->tree, at, NULL, n, text, e);
	if (r == 0 && holds_state(at))
		r = note_var(m, at, spec, why, e);
	return r == -ENOMEM ? r : 0;
}

static int mount_node(struct machine *m, const char *at, const struct node *n, const char *spec,
		      struct err *e)
{
	struct err why = { "" };
	struct fs *fs = node_files(n, &why);
	int r;

	if (!fs)
		return mount_missing(m, at, n, spec, why.msg, e);
	r = tree_mount(&m->vm->tree, at, fs, n, NULL, e);
	return r == -ENOMEM ? r : 0;
}

static int mount_row(struct machine *m, const struct tab_row *row, struct err *e)
{
	cleanup_free char *at = clean_place(tab_f(row, 1));
	const char *spec = tab_f(row, 0), *type = tab_f(row, 2), *options = tab_f(row, 3);
	const struct node *n = NULL;
	char why[200];

	if (!at || is_made_up(type, at) || tab_option(options, "noauto", NULL))
		return 0;
	if (tab_option(options, "bind", NULL) || tab_option(options, "rbind", NULL))
		return mount_missing(m, at, NULL, spec, "bind mounts are not followed", e);
	if (dev_find(m, spec, &n, why) != FOUND_ONE)
		return mount_missing(m, at, NULL, spec, why, e);
	/* what is read of a btrfs is its default subvolume, which is another tree than the one named here */
	if (str_eq(n->fmt, "btrfs") && (tab_option(options, "subvol", NULL) || tab_option(options, "subvolid", NULL)))
		return mount_missing(m, at, n, spec, "btrfs subvolumes are not followed", e);
	return mount_node(m, at, n, spec, e);
}

static int mount_rows(struct machine *m, struct err *e)
{
	for (size_t i = 0; i < m->fstab.n && m->vm->tree.n < MAX_MOUNTS; i++) {
		int r = mount_row(m, &m->fstab.v[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- by content ---- */

static const struct mount *mount_at(const struct machine *m, const char *at)
{
	for (size_t i = m->vm->tree.n; i-- > 0;)
		if (str_eq(m->vm->tree.v[i].at, at))
			return &m->vm->tree.v[i];
	return NULL;
}

static bool is_mounted(const struct machine *m, const struct node *n)
{
	for (size_t i = 0; i < m->vm->tree.n; i++)
		if (m->vm->tree.v[i].node == n)
			return true;
	return false;
}

static bool fs_is_var(struct fs *fs)
{
	if (fs_has(fs, "/lib/azure_disk_encryption_config", FS_DIR) || fs_has(fs, "/lib/waagent", FS_DIR))
		return true;
	return fs_has(fs, "/log", FS_DIR) &&
	       (fs_has(fs, "/lib/dpkg", FS_DIR) || fs_has(fs, "/lib/rpm", FS_DIR));
}

/* The only unmounted file system of the OS disk with such content; *several where there are more. */
static const struct node *find_content(const struct machine *m, bool (*is)(struct fs *), bool *several)
{
	const struct node *found = NULL;

	*several = false;
	for (size_t i = 0; i < m->w->g->n; i++) {
		const struct node *n = m->w->g->nodes[i];
		struct fs *fs;

		if (!n->blk || n == m->vm->root || !node_is_on_disk(n, m->os_disk) || is_mounted(m, n) ||
		    node_is_bek(m->w, n))
			continue;
		fs = node_files(n, NULL);
		if (!fs || fs_is_root(fs) || !is(fs))
			continue;
		*several |= found && !node_lies_on(n, found);
		found = n;
	}
	return *several ? NULL : found;
}

static int is_kernel(void *arg, const char *name)
{
	(void)arg;
	return str_starts(name, "vmlinu") || str_starts(name, "luks");
}

static int find_boot(struct machine *m, struct err *e)
{
	const struct node *n;
	bool several = false;

	if (mount_at(m, "/boot"))
		return 0;
	if (m->vm->root && fs_list(node_files(m->vm->root, NULL), "/boot", is_kernel, NULL, NULL) == 1)
		return 0; /* /boot is a directory of the root */
	if (m->boot_unread)
		return mount_missing(m, "/boot", NULL, "/boot",
				     "no file system of this disk that could be it can be read", e);
	n = m->boot_found ? m->boot_found : find_content(m, fs_is_boot, &several);
	if (n)
		return mount_node(m, "/boot", n, n->name, e);
	if (several)
		return mount_missing(m, "/boot", NULL, "/boot",
				     "fstab does not name it, and several file systems look like it", e);
	return 0;
}

static int find_var(struct machine *m, bool fstab_read, struct err *e)
{
	const struct node *n;
	bool several;

	for (size_t i = 0; i < m->vm->tree.n; i++)
		if (holds_state(m->vm->tree.v[i].at))
			return 0;
	if (!m->vm->root || fs_has(node_files(m->vm->root, NULL), "/var/lib", FS_DIR))
		return 0;
	n = find_content(m, fs_is_var, &several);
	if (n)
		return mount_node(m, "/var", n, n->name, e);
	if (several)
		return mount_missing(m, "/var", NULL, "/var",
				     "fstab does not name it, and several file systems look like it", e);
	if (!fstab_read)
		return mount_missing(m, "/var", NULL, "/var",
				     "it is not on the root, and fstab could not be read", e);
	return 0;
}

static int read_tab(struct machine *m, const char *path, bool escapes, struct tab *ret, bool *ret_read,
		    struct err *e)
{
	struct text_file t = { 0 };
	int r = 0;

	text_read(m->vm, path, &t);
	*ret_read = t.have != HAVE_UNKNOWN;
	if (t.have == HAVE_YES)
		r = tab_parse(t.text, t.len, escapes, ret, NULL);
	text_done(&t);
	*ret_read &= r == 0;
	return r == -ENOMEM ? err_oom(e) : 0;
}

static void note_places(struct machine *m)
{
	const struct mount *boot = mount_at(m, "/boot"), *esp = mount_at(m, "/boot/efi");

	m->vm->boot = boot && boot->fs ? boot->node : NULL;
	m->vm->esp = esp ? esp->node : NULL;
	for (size_t i = 0; !m->vm->esp && m->os_disk >= 0 && i < m->w->g->n; i++) {
		const struct node *n = m->w->g->nodes[i];

		if (n->disk == m->os_disk && (str_eq(n->parttype, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b") ||
					      str_eq(n->parttype, "0xef")))
			m->vm->esp = n;
	}
	for (size_t i = 0; i < m->vm->tree.n; i++)
		if (m->vm->tree.v[i].fs && m->vm->tree.v[i].fs->last_write > m->vm->last_write)
			m->vm->last_write = m->vm->tree.v[i].fs->last_write;
}

int mounts_read(struct machine *m, struct err *e)
{
	bool fstab_read = true, crypttab_read;
	int r = 0;

	if (m->vm->root) {
		r = tree_mount(&m->vm->tree, "/", node_files(m->vm->root, NULL), m->vm->root, NULL, e);
		if (r == 0)
			r = read_tab(m, "/etc/fstab", true, &m->fstab, &fstab_read, e);
		if (r == 0)
			r = read_tab(m, "/etc/crypttab", false, &m->crypttab, &crypttab_read, e);
		if (r == 0)
			r = mount_rows(m, e);
	}
	if (r == 0)
		r = find_boot(m, e);
	if (r == 0)
		r = find_var(m, fstab_read, e);
	if (r == 0)
		note_places(m);
	return r == -ENOMEM ? r : 0;
}
