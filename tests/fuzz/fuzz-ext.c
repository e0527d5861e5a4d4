/* SPDX-License-Identifier: MIT */
/* ext2, ext3, ext4: superblock and copies, every file and directory; then a rename and a replaced file on an overlay. What was written is
 * not compared: where a bitmap calls blocks free that are in use, only e2fsck can tell, and the program asks it before anything is
 * committed. */
#include "fuzz.h"
#include "format/ext.h"

struct pick { char dir[300], file[300]; struct fs *fs; };

static int pick_names(void *arg, const char *name)
{
	struct pick *p = arg;
	struct fs_stat st;
	char path[300] = "/";

	if (strlen(name) > 255)
		return 0;
	strcat(path, name);
	if (fs_stat(p->fs, path, FS_NOFOLLOW, &st, NULL) == 0 && (st.type == FS_FILE || st.type == FS_DIR))
		strcpy(st.type == FS_FILE ? p->file : p->dir, path);
	return 0;
}

static void write_some(struct fs *fs)
{
	struct pick p = { .fs = fs };

	(void)fs_list(fs, "/", pick_names, &p, NULL);
	if (*p.dir)
		(void)fs_rename(fs, p.dir, "moved.away", NULL);
	if (*p.file)
		(void)fs_replace(fs, p.file, "new content", 11, NULL);
	(void)fs_sync(fs, NULL);
	walk_fs(fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_blk struct blk *blk = sparse_open(data, size), *over = NULL;
	struct graph g = { 0 };
	struct node *n;
	uint64_t blocks[8];

	if (!blk)
		return 0;
	MUST(blk_open_overlay(blk, &over, NULL) == 0);
	n = fuzz_format(&g, &format_ext, over);
	if (n && n->fs) {
		(void)ext_pick_allocated(n->fs, blocks, 8, NULL);
		if (!n->fs->write_refused)
			write_some(n->fs);
	}
	graph_done(&g);
	return 0;
}
