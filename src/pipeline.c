/* SPDX-License-Identifier: MIT */
/* Open, scan, read, judge. Read this file first: it is the table of contents.
 *
 *   descriptors -> file -> overlay -> graph (partitions, LUKS, file systems; keys and headers between passes) -> machines -> judgements
 *
 * Everything here runs in the child: it has descriptors opened read-only and no other rights. */
#include "pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/str.h"
#include "base/vec.h"
#include "format/luks.h"
#include "format/lvm.h"
#include "fs/kernel.h"
#include "vm/machine.h"
#include "vm/plain.h"

enum { MAX_KEY = 64 * 1024 };

/* ---- keys and headers from the command line ---- */

/* A typed key is not echoed; the trailing newline of a typed line goes away with the forms that are tried. */
static ssize_t read_quietly(int fd, void *buf, size_t len)
{
	struct termios old;
	bool tty = isatty(fd) && tcgetattr(fd, &old) == 0;
	ssize_t n = 0, got;

	if (tty) {
		struct termios quiet = old;

		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(fd, TCSAFLUSH, &quiet);
	}
	while ((size_t)n < len && (got = read(fd, (char *)buf + n, len - (size_t)n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			n = -1;
			break;
		}
		n += got;
		if (tty)
			break;
	}
	if (tty)
		tcsetattr(fd, TCSAFLUSH, &old);
	return n;
}

static int read_key(struct rescue *r, size_t i, struct key **ret, struct err *e)
{
	cleanup_key struct key *key = calloc(1, sizeof(*key));
	cleanup_secret struct secret *buf = secret_new(MAX_KEY + 1);
	ssize_t n;

	if (!key || !buf)
		return err_oom(e);
	n = read_quietly(r->key_fds[i].fd, buf->data, buf->len);
	if (n < 0)
		return err_set(e, -EIO, "key %s: cannot be read", r->key_fds[i].name);
	if (n > MAX_KEY)
		return err_set(e, -EFBIG, "key %s: longer than 64 KiB; a key file was expected", r->key_fds[i].name);
	key->origin = r->key_fds[i].is_stdin ? KEY_STDIN : KEY_FILE;
	key->found_at = str_printf("%s", r->key_fds[i].is_stdin ? "standard input" : r->key_fds[i].name);
	key->name = str_printf("%s", key->found_at ? key->found_at : "");
	key->length = (uint64_t)n;
	key->empty_file = n == 0;
	key->wrapped = key_is_wrapped(buf->data, (size_t)n);
	key->raw = secret_copy(buf->data, (size_t)n);
	if (!key->raw || !key->found_at || !key->name)
		return err_oom(e);
	*ret = take_ptr(&key);
	return 0;
}

/* The graph gets a copy; the original stays for a second look. */
static int add_key(struct rescue *r, const struct key *given, struct err *e)
{
	cleanup_key struct key *key = calloc(1, sizeof(*key));
	int added;

	if (!key)
		return err_oom(e);
	*key = *given;
	key->found_at = str_printf("%s", given->found_at);
	key->name = str_printf("%s", given->name);
	key->raw = secret_copy(given->raw->data, given->raw->len);
	if (!key->raw || !key->found_at || !key->name)
		return err_oom(e);
	added = keys_add(&r->graph, take_ptr(&key), e);
	return added < 0 ? added : 0;
}

static int read_keys(struct rescue *r)
{
	for (size_t i = 0; i < r->nkey_fds; i++) {
		struct err e = { "" };
		struct key *key = NULL, **slot;
		int ret = read_key(r, i, &key, &e);

		slot = ret == 0 ? vec_push(&r->given_keys, &r->ngiven_keys) : NULL;
		if (slot) {
			*slot = key;
			continue;
		}
		key_free(key);
		fprintf(stderr, "aderescue: %s\n", ret < 0 ? e.msg : "out of memory");
		r->open_failed = true;
	}
	r->nkey_fds = 0;
	return 0;
}

static int add_header_file(struct rescue *r, size_t i, struct err *e)
{
	const char *name = r->header_fds[i].name;
	struct header *h = calloc(1, sizeof(*h)), **slot;
	off_t size = lseek(r->header_fds[i].fd, 0, SEEK_END);
	int found;

	if (!h)
		return err_oom(e);
	h->detached = true;
	h->slot = -1;
	h->path = str_printf("%s", name);
	found = size > 0 && h->path ? blk_open_file(r->header_fds[i].fd, (uint64_t)size, name, &h->blk, e) : -ENODATA;
	if (found == 0)
		found = luks_read(h->blk, &h->info, e);
	if (found <= 0) {
		header_free(h);
		return err_set(e, -EBADMSG, "%s: no LUKS header; a detached header was expected", name);
	}
	slot = vec_push(&r->graph.headers, &r->graph.nheaders);
	if (!slot) {
		header_free(h);
		return err_oom(e);
	}
	*slot = h;
	return 0;
}

/* What was named and cannot be used is said; the rest goes on, and the exit status is 1 in the end. */
static void add_given(struct rescue *r)
{
	read_keys(r);
	for (size_t i = 0; i < r->ngiven_keys; i++) {
		struct err e = { "" };

		if (add_key(r, r->given_keys[i], &e) < 0) {
			fprintf(stderr, "aderescue: %s\n", e.msg);
			r->open_failed = true;
		}
	}
	for (size_t i = 0; i < r->nheader_fds; i++) {
		struct err e = { "" };

		if (add_header_file(r, i, &e) < 0) {
			fprintf(stderr, "aderescue: %s\n", e.msg);
			r->open_failed = true;
		}
	}
}

/* ---- scan ---- */

static int open_disk(struct rescue *r, size_t i, struct err *e)
{
	struct host_disk *d = &r->disks[i];
	cleanup_blk struct blk *file = NULL;
	int ret;

	if (!r->overlays[i]) {
		ret = blk_open_file(d->fd, d->size, d->name, &file, e);
		if (ret == 0)
			ret = blk_open_overlay(file, &r->overlays[i], e);
		if (ret < 0)
			return ret;
	}
	r->roots[i] = graph_add(&r->graph, d->name, KIND_DISK, NULL, r->overlays[i]);
	if (!r->roots[i])
		return err_oom(e);
	r->roots[i]->disk = (int)i;
	r->roots[i]->sector = d->sector;
	return 0;
}

static bool is_ext(const struct node *n)
{
	return str_starts(n->fmt, "ext");
}

static bool has_journal(const struct node *n)
{
	return is_ext(n) || str_eq(n->fmt, "xfs");
}

/* 0; -EOPNOTSUPP: there is no e2fsck or no FUSE here */
static int replay_by_e2fsck(struct rescue *r, struct node *n, struct err *why)
{
	struct export *x = NULL;
	struct check_result res = { 0 };
	int ret = broker_export(r->broker, n->blk, &x, why);

	if (ret == 0)
		ret = export_check(x, CHECK_E2FSCK_JOURNAL, &res, why);
	export_close(x);
	if (ret == 0 && res.status != 0 && res.status != 1)
		ret = err_set(why, -EIO, "the journal could not be replayed: %s", res.why ? res.why : "e2fsck gave up");
	check_result_done(&res);
	return ret;
}

/* As the kernel does it when it mounts: whole, or the overlays are as they were before. */
static int replay_by_kernel(struct rescue *r, struct node *n, struct err *why)
{
	cleanup_free struct overlay_mark **marks = calloc(r->ndisks + 1, sizeof(*marks));
	struct fs *fs = NULL;
	int ret = marks ? 0 : err_oom(why);

	for (size_t i = 0; ret == 0 && i < r->ndisks; i++)
		if (r->overlays[i])
			ret = blk_overlay_mark(r->overlays[i], &marks[i], why);
	if (ret == 0)
		ret = kernel_fs_open(r->broker, n, true, &fs, why);
	if (ret == 0)
		ret = fs_sync(fs, why);
	fs_close(fs);
	for (size_t i = 0; marks && i < r->ndisks; i++) {
		if (ret == 0)
			blk_overlay_mark_free(marks[i]);
		else if (marks[i])
			blk_overlay_restore(r->overlays[i], marks[i]);
	}
	return ret;
}

/* A journal that needs recovery is replayed into the overlay before anything is believed. Where that is not possible, facts stay marked stale. */
static int replay(struct rescue *r, struct node *n, struct err *e)
{
	struct err *why = &n->replay_why, second = { "" };
	int ret;

	n->replay_tried = true;
	fs_close(n->fs);
	n->fs = NULL;
	n->fs_tried = false;
	ret = is_ext(n) ? replay_by_e2fsck(r, n, why) : replay_by_kernel(r, n, why);
	if (ret == -EOPNOTSUPP && is_ext(n) && replay_by_kernel(r, n, &second) == 0)
		ret = 0;
	if (ret == -ENOMEM)
		return err_oom(e);
	n->replayed = ret == 0;
	node_forget(n);
	return 1; /* whatever came of it: now it is looked into */
}

/* The order of replaying: a raw device may turn out to be half-way in a re-encryption, whose header lies in a /boot or a
 * root that has to be replayed itself; replayed as what it still looks like it would lose what tells how far it has come.
 * So first /boot and what lies in opened volumes, then roots, then all the rest, each when nothing else is left to find. */
enum { REPLAY_BOOT, REPLAY_ROOT, REPLAY_ALL };

static int replay_rank(const struct node *n, struct fs *fs)
{
	if (node_luks_above(n) || (!fs_is_root(fs) && fs_is_boot(fs)))
		return REPLAY_BOOT;
	return fs_is_root(fs) ? REPLAY_ROOT : REPLAY_ALL;
}

static int replay_journals(struct rescue *r, int rank, struct err *e)
{
	int changed = 0;

	for (size_t i = 0; i < r->graph.n; i++) {
		struct node *n = r->graph.nodes[i];
		struct fs *fs = n->blk && has_journal(n) && !n->replay_tried ? node_fs(n, NULL) : NULL;
		int ret;

		if (!fs || !fs->stale || replay_rank(n, fs) > rank)
			continue;
		ret = replay(r, n, e);
		if (ret < 0)
			return ret;
		changed |= ret;
	}
	return changed;
}

/* A header that was opened on an earlier look opens with the volume key of that look. */
static int use_known(struct rescue *r, struct graph *g, struct err *e)
{
	int changed = 0;

	for (size_t i = 0; i < g->nheaders; i++)
		for (size_t k = 0; k < r->nknown && !g->headers[i]->vk; k++) {
			struct header *h = g->headers[i];

			if (strcmp(h->info.uuid, r->known[k].uuid) || *h->info.refused.msg)
				continue;
			h->vk = secret_copy(r->known[k].vk->data, r->known[k].vk->len);
			if (!h->vk)
				return err_oom(e);
			h->slot = r->known[k].slot;
			for (size_t j = 0; j < g->nkeys; j++)
				if (str_eq(g->keys[j]->found_at, r->known[k].found_at)) {
					h->by = g->keys[j];
					g->keys[j]->variant = r->known[k].variant;
					g->keys[j]->opens++;
				}
			free(h->why);
			h->why = NULL;
			changed = 1;
		}
	return changed;
}

static void keep_known(struct rescue *r)
{
	for (size_t i = 0; i < r->graph.nheaders; i++) {
		const struct header *h = r->graph.headers[i];
		struct known_vk *slot = h->vk && h->by ? vec_push(&r->known, &r->nknown) : NULL;

		if (!slot)
			continue;
		memcpy(slot->uuid, h->info.uuid, sizeof(slot->uuid));
		slot->vk = secret_copy(h->vk->data, h->vk->len);
		slot->slot = h->slot;
		slot->found_at = str_printf("%s", h->by->found_at);
		slot->variant = h->by->variant;
		if (!slot->vk || !slot->found_at) {
			secret_free(slot->vk);
			free(slot->found_at);
			r->nknown--;    /* then it is derived once more */
		}
	}
}

static void forget_known(struct rescue *r)
{
	for (size_t i = 0; i < r->nknown; i++) {
		secret_free(r->known[i].vk);
		free(r->known[i].found_at);
	}
	free(r->known);
	r->known = NULL;
	r->nknown = 0;
}

/* Between two passes: journals, then keys and headers in what became readable, then locks. */
static int between(void *arg, struct graph *g, struct err *e)
{
	struct rescue *r = arg;
	int changed = replay_journals(r, REPLAY_BOOT, e), ret;

	if (changed < 0)
		return changed;
	ret = vm_find_keys_and_headers(g, &r->find, e);
	if (ret < 0)
		return ret;
	changed |= ret;
	ret = use_known(r, g, e);
	if (ret < 0)
		return ret;
	changed |= ret;
	ret = keys_unlock(g, 0, e);
	if (ret < 0)
		return ret;
	changed |= ret;
	ret = headers_try_detached(g, e);
	for (int rank = REPLAY_ROOT; !ret && !changed && rank <= REPLAY_ALL; rank++)
		ret = replay_journals(r, rank, e);
	if (ret < 0 || ret || changed)
		return ret < 0 ? ret : 1;
	/* last: a volume group is put together once no volume can open any more */
	return lvm_finish(g, e);
}

/* What is a BEK VOLUME, what is mounted read-write here, what looks like ciphertext. */
static void mark_nodes(struct rescue *r)
{
	for (size_t i = 0; i < r->graph.n; i++) {
		struct node *n = r->graph.nodes[i];

		for (size_t b = 0; b < r->find.nbeks; b++)
			if (r->find.beks[b]->node == n)
				n->kind = KIND_BEK;
		for (size_t h = 0; h < r->host.nbusy; h++)
			if (r->host.busy[h].rw && str_eq(r->host.busy[h].node, n->name))
				n->moving = true;
		if (n->opaque < 0 && n->blk && !*n->fmt && !n->format && n->state == NODE_OPEN && !node_has_children(&r->graph, n)) {
			enum tri opaque = plain_is_opaque(n->blk, NULL, NULL);

			n->opaque = opaque == TRI_UNKNOWN ? -1 : opaque == TRI_YES;
		}
	}
}

int rescue_scan(struct rescue *r, struct err *e)
{
	int ret = 0;

	if (!r->roots) {
		r->roots = calloc(r->ndisks + 1, sizeof(struct node *));
		r->overlays = r->overlays ? r->overlays : calloc(r->ndisks + 1, sizeof(struct blk *));
	}
	if (!r->roots || !r->overlays)
		return err_oom(e);
	kernel_hook_init(&r->kernel, r->broker);
	r->graph.kernel = &r->kernel;
	for (size_t i = 0; ret == 0 && i < r->ndisks; i++)
		ret = open_disk(r, i, e);
	if (ret == 0) {
		add_given(r);
		ret = graph_run(&r->graph, between, r, e);
	}
	if (ret == 0)
		mark_nodes(r);
	return ret;
}

/* ---- read and judge ---- */

int rescue_read_vms(struct rescue *r, struct err *e)
{
	struct vm_options o = {
		.all_disks_attached = r->opt.all_disks_attached,
		.data_disks = r->opt.data_disks,
		.not_encrypted = r->opt.not_encrypted,
		.n_not_encrypted = r->opt.n_not_encrypted,
		.machine = r->opt.machine,
		.look_closer = r->opt.verbose,
	};

	return vms_read(&r->graph, r->roots, r->ndisks, r->find.beks, r->find.nbeks, &o, &r->vms, &r->nvms, &r->unassigned, &r->nunassigned, e);
}

int rescue_judge(struct rescue *r, struct err *e)
{
	r->judged = calloc(r->nvms + 1, sizeof(struct judgement *));
	if (!r->judged)
		return err_oom(e);
	for (size_t i = 0; i < r->nvms; i++) {
		int ret = judge(r->vms[i], &r->judged[i], e);

		if (ret < 0)
			return ret;
	}
	return 0;
}

void rescue_forget(struct rescue *r)
{
	for (size_t i = 0; r->judged && i < r->nvms; i++)
		judgement_free(r->judged[i]);
	free(r->judged);
	r->judged = NULL;
	vms_free(r->vms, r->nvms);
	r->vms = NULL;
	r->nvms = 0;
	free(r->unassigned);
	r->unassigned = NULL;
	r->nunassigned = 0;
	for (size_t i = 0; i < r->find.nbeks; i++)
		bek_free(r->find.beks[i]);
	free(r->find.beks);
	free(r->find.seen);
	r->find = (struct find_state){ 0 };
	forget_known(r);
	keep_known(r);
	graph_done(&r->graph);
	free(r->roots);
	r->roots = NULL;
}

void rescue_done(struct rescue *r)
{
	rescue_forget(r);
	for (size_t i = 0; r->overlays && i < r->ndisks; i++)
		blk_unref(r->overlays[i]);
	free(r->overlays);
	r->overlays = NULL;
	forget_known(r);
	for (size_t i = 0; i < r->ngiven_keys; i++)
		key_free(r->given_keys[i]);
	free(r->given_keys);
	r->given_keys = NULL;
	r->ngiven_keys = 0;
}
