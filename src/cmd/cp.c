/* SPDX-License-Identifier: MIT */
/* cp: files out of the image, written by the parent below one destination; -a whole trees with mode, owner, times and attributes. Device nodes, FIFOs and
 * sockets are not made, and said. The walk has a depth limit and visits what the directory entries name, never what a link points to. */
#include "cmd/paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

enum { CHUNK = 1 << 20, MAX_DEPTH = 256 };
struct copy {
	struct rescue *r;
	const struct tree *tree;
	char *buf;
	unsigned long skipped, failed;
};
struct name_list { char **v; size_t n; };

static void complain(struct copy *c, const char *path, const char *why)
{
	cleanup_free char *shown = str_escape(path, strlen(path), true);

	fprintf(stderr, "aderescue: %s: %s\n", shown ? shown : "?", why);
	c->failed++;
}

static int keep_name(void *arg, const char *name)
{
	struct name_list *list = arg;
	char **slot = vec_push(&list->v, &list->n);

	return slot && (*slot = str_printf("%s", name)) ? 0 : -ENOMEM;
}

static int send_xattr(void *arg, const char *name, const void *v, size_t n)
{
	struct copy *c = arg;
	struct err e = { "" };

	/* what this host does not take (security.* without SELinux) is said, and the file is copied all the same */
	if (broker_xattr(c->r->broker, name, v, n, &e) < 0)
		fprintf(stderr, "aderescue: extended attribute not kept: %s\n", e.msg);
	return 0;
}

static int copy_xattrs(struct copy *c, const char *path)
{
	const struct mount *m;
	cleanup_free char *inner = NULL;

	if (tree_resolve(c->tree, path, FS_NOFOLLOW, &m, &inner, NULL) < 0)
		return 0;
	return fs_xattrs(m->fs, inner, send_xattr, c, NULL) < 0 ? 0 : 0;
}

static int copy_file(struct copy *c, const char *path, const char *rel, const struct fs_stat *st, struct err *e)
{
	uint64_t off = 0;
	size_t n = 0;
	int ret = broker_create(c->r->broker, rel, 0600, e), done;

	if (ret < 0)
		return ret;
	do {
		ret = tree_read(c->tree, path, c->buf, CHUNK, off, &n, e);
		/* holes stay holes: the size is set at the end */
		if (ret == 0 && n && !(c->buf[0] == 0 && !memcmp(c->buf, c->buf + 1, n - 1)))
			ret = broker_write(c->r->broker, c->buf, n, off, e);
		off += n;
	} while (ret == 0 && n);
	if (ret == 0 && c->r->opt.archive)
		copy_xattrs(c, path);
	done = broker_finish(c->r->broker, ret < 0 ? off : st->size, st->mode, st->uid, st->gid, st->mtime, ret < 0 ? NULL : e);
	return ret < 0 ? ret : done;
}

static int copy_any(struct copy *c, const char *path, const char *rel, unsigned depth, struct err *e);

static int copy_dir(struct copy *c, const char *path, const char *rel, const struct fs_stat *st, unsigned depth, struct err *e)
{
	struct name_list list = { 0 };
	int ret = broker_mkdir(c->r->broker, rel, 0700, e);

	if (ret < 0)
		return ret;
	ret = tree_list(c->tree, path, keep_name, &list, e);
	if (ret < 0) {
		complain(c, path, e->msg);
		ret = 0;
	}
	for (size_t i = 0; ret == 0 && i < list.n; i++) {
		cleanup_free char *from = str_printf("%s/%s", strcmp(path, "/") ? path : "", list.v[i]);
		cleanup_free char *to = str_printf("%s/%s", rel, list.v[i]);

		ret = from && to ? copy_any(c, from, to, depth + 1, e) : -ENOMEM;
	}
	for (size_t i = 0; i < list.n; i++)
		free(list.v[i]);
	free(list.v);
	if (ret == 0)
		ret = broker_dirmeta(c->r->broker, rel, st->mode, st->uid, st->gid, st->mtime, e);
	return ret;
}

/* One entry; a failure of one file is said, counted, and does not end the copy. */
static int copy_any(struct copy *c, const char *path, const char *rel, unsigned depth, struct err *e)
{
	cleanup_free char *target = NULL;
	struct fs_stat st;
	struct err one = { "" };
	int ret = tree_stat(c->tree, path, c->r->opt.archive || depth ? FS_NOFOLLOW : 0, &st, &one);

	if (ret == 0 && depth > MAX_DEPTH)
		ret = err_set(&one, -ELOOP, "deeper than %d folders", MAX_DEPTH);
	if (ret == 0)
		switch (st.type) {
		case FS_FILE:
			ret = copy_file(c, path, rel, &st, &one);
			break;
		case FS_DIR:
			if (!c->r->opt.archive)
				ret = err_set(&one, -EISDIR, "is a directory; cp -a copies trees");
			else
				ret = copy_dir(c, path, rel, &st, depth, &one);
			break;
		case FS_LINK:
			ret = tree_readlink(c->tree, path, &target, &one);
			if (ret == 0)
				ret = broker_symlink(c->r->broker, rel, target, st.uid, st.gid, st.mtime, &one);
			break;
		default:
			ret = 0;
			c->skipped++;
			complain(c, path, "a device, FIFO or socket: not copied");
			c->failed--;
		}
	if (ret == -EPIPE || ret == -ENOMEM || ret == -ENOSPC || ret == -EDQUOT)
		return err_set(e, ret, "%s", one.msg);
	if (ret < 0) {
		if (depth == 0)
			return err_set(e, ret, "%s", one.msg);
		complain(c, path, one.msg);
	}
	return 0;
}

static int copy_word(struct rescue *r, const char *word, char *buf)
{
	struct place p;
	struct err e = { "" };
	int code = place_find(r, word, &p);

	if (code == 0) {
		struct copy c = { .r = r, .tree = p.tree, .buf = buf };
		cleanup_free char *path = str_printf("%s", p.path);
		const char *base;
		int ret;

		for (size_t n = path ? strlen(path) : 0; n > 1 && path[n - 1] == '/';)
			path[--n] = '\0';
		base = path ? strrchr(path, '/') + 1 : "";
		ret = path ? copy_any(&c, path, *base ? base : "root", 0, &e) : err_oom(&e);
		code = ret < 0 ? place_failed(word, ret, &e) : c.failed ? EXIT_FAIL : EXIT_OK;
	}
	place_done(&p);
	return code;
}

int cmd_cp(struct rescue *r)
{
	cleanup_free char *buf = malloc(CHUNK);
	int worst = EXIT_OK;

	if (!buf) {
		fputs("aderescue: out of memory\n", stderr);
		return EXIT_FAIL;
	}
	for (size_t i = 0; i + 1 < r->nargs; i++) {
		int code = copy_word(r, r->args[i], buf);

		if (code > worst)
			worst = code;
	}
	return worst;
}
