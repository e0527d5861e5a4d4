/* SPDX-License-Identifier: MIT */
/* .azure_ade_backup_mount_info: what ADE writes inside each data volume about itself (crypttab_line,
 * fstab_line or azure_crypt_mount_line, one line each), so that a volume tells which mapper it was on
 * whatever machine it hangs. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/machine.h"

#define INFO_DIR "/.azure_ade_backup_mount_info"
enum { MAX_LINE = 64 << 10, MAX_INFOS = 4096 };

static char *dup_or_null(const char *s)
{
	return *s && !str_eq(s, "None") ? str_printf("%s", s) : NULL;
}

static void fill_from_row(struct backup_info *b, const char *file, const struct tab_row *row)
{
	char **mount_at = &b->mount_at, **device = &b->device, **mapper = &b->mapper;

	if (str_eq(file, "fstab_line")) {
		const char *name = dev_mapper(tab_f(row, 0));

		if (name && !*mapper)
			*mapper = str_printf("%s", name);
		if (!*mount_at)
			*mount_at = dup_or_null(tab_f(row, 1));
		return;
	}
	if (!*mapper)
		*mapper = dup_or_null(tab_f(row, 0));
	if (!*device)
		*device = dup_or_null(tab_f(row, 1));
	if (str_eq(file, "azure_crypt_mount_line") && !*mount_at)
		*mount_at = dup_or_null(tab_f(row, 3));
}

static int read_line(struct fs *fs, const char *file, struct backup_info *b, struct err *e)
{
	cleanup_free char *path = str_printf("%s/%s", INFO_DIR, file);
	cleanup_free char *text = NULL;
	struct tab tab = { 0 };
	size_t n = 0;
	int r = path ? fs_slurp(fs, path, MAX_LINE, &text, &n, NULL) : -ENOMEM;

	if (r < 0)
		return r == -ENOMEM ? err_oom(e) : 0;
	r = tab_parse(text, n, str_eq(file, "fstab_line"), &tab, NULL);
	if (r == 0 && tab.n)
		fill_from_row(b, file, &tab.v[0]);
	tab_done(&tab);
	return r == -ENOMEM ? err_oom(e) : 0;
}

static void info_done(struct backup_info *b)
{
	free(b->path);
	free(b->mapper);
	free(b->device);
	free(b->mount_at);
	*b = (struct backup_info){ 0 };
}

static int read_info(struct work *w, const struct node *n, struct fs *fs, struct err *e)
{
	static const char *const files[] = { "crypttab_line", "azure_crypt_mount_line", "fstab_line" };
	struct backup_info b = { .node = n, .path = str_printf(INFO_DIR) }, *slot;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (read_line(fs, files[i], &b, e) < 0) {
			info_done(&b);
			return -ENOMEM;
		}
	slot = vec_push(&w->infos, &w->ninfos);
	if (!slot) {
		info_done(&b);
		return err_oom(e);
	}
	*slot = b;
	return 0;
}

int infos_read(struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->g->n && w->ninfos < MAX_INFOS; i++) {
		const struct node *n = w->g->nodes[i];
		struct fs *fs = n->blk ? node_files(n, NULL) : NULL;

		if (fs && fs_has(fs, INFO_DIR, FS_DIR) && read_info(w, n, fs, e) < 0)
			return -ENOMEM;
	}
	return 0;
}

void infos_done(struct work *w)
{
	for (size_t i = 0; i < w->ninfos; i++)
		info_done(&w->infos[i]);
	free(w->infos);
	w->infos = NULL;
	w->ninfos = 0;
}
