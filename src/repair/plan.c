/* SPDX-License-Identifier: MIT */
/* A plan: edits that were decided on and not carried out yet. Its id says which edits on which disks, so that what is applied later is what was
 * shown before: neither the time stamp in new names nor the names that disks have today go into it. Carrying it out means the overlay, never a
 * disk; a file system that must not be written is refused by the file system itself. */
#include "repair/plan.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/vec.h"
#include "fs/fs.h"
#include "repair/undo.h"

enum { MAX_DEPTH = 16, MAX_DISKS = 256 };

/* ---- edits ---- */

static void edit_done(struct edit *ed)
{
	free(ed->path);
	free(ed->new_name);
	free(ed->data);
	free(ed->shown_path);
	free(ed->lines);
	free(ed->because);
	*ed = (struct edit){ .path = NULL };
}

int edit_because(struct edit *ed, const char *rule_id)
{
	const char **slot;

	for (size_t i = 0; i < ed->nbecause; i++)
		if (str_eq(ed->because[i], rule_id))
			return 0;
	slot = vec_push(&ed->because, &ed->nbecause);
	if (!slot)
		return -ENOMEM;
	*slot = rule_id;
	return 0;
}

/* Moves the edit into the plan, or frees it. */
static struct edit *add(struct plan *p, struct edit *ed, bool whole, const char *because)
{
	struct edit *slot = NULL;

	if (whole && ed->path && ed->shown_path && edit_because(ed, because) == 0)
		slot = vec_push(&p->v, &p->n);
	if (slot)
		*slot = *ed;
	else
		edit_done(ed);
	return slot;
}

struct edit *plan_rename(struct plan *p, const struct node *on, const char *path, const char *shown_path, const char *new_name, const char *because)
{
	struct edit ed = { .kind = EDIT_RENAME, .on = on, .path = str_printf("%s", path), .shown_path = str_printf("%s", shown_path),
			   .new_name = str_printf("%s", new_name) };

	return add(p, &ed, ed.new_name != NULL, because);
}

struct edit *plan_replace(struct plan *p, const struct node *on, const char *path, const char *shown_path, const void *data, size_t len,
			  const char *because)
{
	struct edit ed = { .kind = EDIT_REPLACE, .on = on, .path = str_printf("%s", path), .shown_path = str_printf("%s", shown_path),
			   .data = malloc(len ? len : 1), .len = len };

	if (ed.data && len)
		memcpy(ed.data, data, len);
	return add(p, &ed, ed.data != NULL, because);
}

void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		edit_done(&p->v[i]);
	free(p->v);
	*p = (struct plan){ .v = NULL };
}

/* ---- the id ---- */

static void hash_u64(gcry_md_hd_t md, uint64_t x)
{
	x = htole64(x);
	gcry_md_write(md, &x, sizeof(x));
}

static void hash_bytes(gcry_md_hd_t md, const void *p, size_t n)
{
	hash_u64(md, n);
	if (n)
		gcry_md_write(md, p, n);
}

static void hash_text(gcry_md_hd_t md, const char *s)
{
	hash_u64(md, s != NULL);
	hash_bytes(md, s, s ? strlen(s) : 0);
}

/* Bytes in which the plan's stamp may stand: it is left out wherever it does. */
static void hash_unstamped(gcry_md_hd_t md, const void *bytes, size_t n, const char *stamp)
{
	const uint8_t *p = bytes, *hit;
	size_t len = strlen(stamp);

	while (len && n >= len && (hit = memmem(p, n, stamp, len))) {
		hash_bytes(md, p, (size_t)(hit - p));
		n -= (size_t)(hit - p) + len;
		p = hit + len;
	}
	hash_bytes(md, p, n);
	hash_u64(md, UINT64_MAX);       /* no length: ends the parts */
}

/* Which volume, whatever it is called today: what it holds and where it lies. */
static void hash_node(gcry_md_hd_t md, const struct node *n, unsigned depth)
{
	hash_u64(md, n != NULL);
	if (!n || depth > MAX_DEPTH)
		return;
	hash_u64(md, n->kind);
	hash_text(md, n->fmt);
	hash_text(md, n->uuid);
	hash_u64(md, n->offset);
	hash_u64(md, n->size);
	hash_u64(md, n->partno);
	hash_node(md, n->nparents ? n->parents[0] : NULL, depth + 1);
}

static void hash_edit(gcry_md_hd_t md, const struct edit *ed, const char *stamp)
{
	hash_u64(md, ed->kind);
	hash_node(md, ed->on, 0);
	hash_text(md, ed->path);
	hash_text(md, ed->shown_path);
	hash_unstamped(md, ed->new_name ? ed->new_name : "", ed->new_name ? strlen(ed->new_name) : 0, stamp);
	hash_unstamped(md, ed->data, ed->len, stamp);
}

static int by_digest(const void *a, const void *b)
{
	const struct disk_identity *x = *(const struct disk_identity *const *)a, *y = *(const struct disk_identity *const *)b;

	return memcmp(x->digest, y->digest, sizeof(x->digest));
}

int plan_id(const struct plan *p, const struct disk_identity *disks, size_t n, char out[17], struct err *e)
{
	const struct disk_identity *sorted[MAX_DISKS];
	gcry_md_hd_t md;

	if (n > MAX_DISKS)
		return err_set(e, -EINVAL, "the plan is for %zu disks, %d at most", n, MAX_DISKS);
	bytes_gcrypt_init();
	if (gcry_md_open(&md, GCRY_MD_SHA256, 0))
		return err_oom(e);
	hash_u64(md, (uint64_t)(unsigned char)p->goal);
	hash_text(md, p->machine);
	hash_u64(md, p->n);
	for (size_t i = 0; i < p->n; i++)
		hash_edit(md, &p->v[i], p->stamp);
	/* in an order of their own, not in that in which they were named */
	for (size_t i = 0; i < n; i++)
		sorted[i] = &disks[i];
	if (n)
		qsort(sorted, n, sizeof(*sorted), by_digest);
	hash_u64(md, n);
	for (size_t i = 0; i < n; i++) {
		hash_u64(md, sorted[i]->size);
		hash_bytes(md, sorted[i]->digest, sizeof(sorted[i]->digest));
	}
	bytes_hex(gcry_md_read(md, GCRY_MD_SHA256), 8, out);
	gcry_md_close(md);
	return 0;
}

/* ---- carrying it out ---- */

static int apply_edit(const struct edit *ed, struct err *e)
{
	struct fs *fs = NULL;
	int r;

	if (ed->kind == EDIT_REPLAY)
		return 0;
	/* the plan only borrows the node, opening its file system is the node's own affair */
	r = node_fs_writable((struct node *)ed->on, &fs, e);
	if (r < 0)
		return r;
	if (ed->kind == EDIT_RENAME)
		r = fs_rename(fs, ed->path, ed->new_name, e);
	else
		r = fs_replace(fs, ed->path, ed->data, ed->len, e);
	return r < 0 ? err_wrap(e, r, "%s", ed->on->name) : 0;
}

/* Is this the last edit on its file system? */
static bool is_last_on(const struct plan *p, size_t i)
{
	for (size_t k = i + 1; k < p->n; k++)
		if (p->v[k].kind != EDIT_REPLAY && p->v[k].on == p->v[i].on)
			return false;
	return p->v[i].kind != EDIT_REPLAY;
}

int plan_apply(const struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		int r = apply_edit(&p->v[i], e);

		if (r == 0 && is_last_on(p, i)) {
			r = fs_sync(node_fs((struct node *)p->v[i].on, e), e);
			if (r < 0)
				err_wrap(e, r, "%s", p->v[i].on->name);
		}
		if (r < 0)
			return r;
	}
	return 0;
}
