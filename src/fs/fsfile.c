/* SPDX-License-Identifier: MIT */
/* A block layer over one file of a file system. The file's size is fixed when it is opened; a file that ends
 * before that is an I/O error, as on a disk that shrank. Only regular files: a FIFO, device or socket has no
 * bytes of its own. */
#include "fs/fsfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct fsfile {
	struct blk blk;
	struct node *node; /* borrowed */
	char *path;
};

static int fsfile_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct fsfile *f = (struct fsfile *)b;
	struct fs *fs = node_fs(f->node, e);
	uint8_t *p = buf;

	if (!fs)
		return -EIO;
	while (len) {
		size_t n = 0;
		int err = fs_read(fs, f->path, p, len, off, &n, e);

		if (err < 0)
			return err;
		if (!n || n > len)
			return err_set(e, -EIO, "file in an image: ended at byte %ju", (uintmax_t)off);
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static void fsfile_close(struct blk *b)
{
	struct fsfile *f = (struct fsfile *)b;

	free(f->path);
	free(f);
}

static const struct blk_ops fsfile_ops = {
	.kind = "file",
	.pread = fsfile_pread,
	.close = fsfile_close,
};

int blk_open_fsfile(struct node *node, const char *path, uint64_t max, struct blk **ret, struct err *e)
{
	struct fs *fs = node_fs(node, e);
	struct fs_stat st;
	struct fsfile *f;
	int err = fs ? fs_stat(fs, path, 0, &st, e) : -EIO;

	if (err < 0)
		return err;
	if (st.type != FS_FILE)
		return err_set(e, -EINVAL, "file in an image: not a regular file");

	f = calloc(1, sizeof(*f));
	if (!f)
		return err_oom(e);
	f->blk = (struct blk){
		.ops = &fsfile_ops, .size = st.size < max ? st.size : max, .align = 1, .refs = 1};
	f->node = node;
	f->path = str_printf("%s", path);
	if (!f->path) {
		free(f);
		return err_oom(e);
	}
	*ret = &f->blk;
	return 0;
}
