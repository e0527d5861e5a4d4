/* SPDX-License-Identifier: MIT */
/* cat: the bytes of regular files on stdout. Never a device, FIFO or socket of the image. */
#include "cmd/paths.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static int write_all(const char *buf, size_t n)
{
	while (n) {
		ssize_t done = write(STDOUT_FILENO, buf, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		buf += done;
		n -= (size_t)done;
	}
	return 0;
}

static int cat_file(const struct place *p, const char *path, struct err *e)
{
	cleanup_free char *buf = malloc(CHUNK);
	struct fs_stat st;
	uint64_t off = 0;
	size_t n = 0;
	int ret;

	if (!buf)
		return err_oom(e);
	ret = tree_stat(p->tree, path, 0, &st, e);
	if (ret < 0)
		return ret;
	if (st.type == FS_DIR)
		return err_set(e, -EISDIR, "is a directory; a file was expected");
	if (st.type != FS_FILE)
		return err_set(e, -EINVAL, "is neither a file nor a link to one");
	do {
		ret = tree_read(p->tree, path, buf, CHUNK, off, &n, e);
		if (ret == 0)
			ret = write_all(buf, n);
		off += n;
	} while (ret == 0 && n > 0);
	return ret;
}

int cmd_cat(struct rescue *r)
{
	int worst = EXIT_OK;

	for (size_t i = 0; i < r->nargs; i++) {
		struct place p;
		struct err e = { "" };
		int code = place_find(r, r->args[i], &p), ret;

		if (code == EXIT_USAGE || code == EXIT_AMBIGUOUS)
			return code;
		if (code == 0 && (ret = cat_file(&p, p.path, &e)) < 0) {
			if (ret == -EPIPE) {
				place_done(&p);
				return EXIT_FAIL;
			}
			code = place_failed(r->args[i], ret, &e);
		}
		if (code > worst)
			worst = code;
		place_done(&p);
	}
	return worst;
}
