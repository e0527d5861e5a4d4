/* SPDX-License-Identifier: MIT */
/* The state of each volume, and what its raw bytes prove. A signature names what a volume shows, never what
 * it is: whether it is plaintext is a proof of its own, and what could be neither read nor proved is unknown.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/luks.h"
#include "vm/machine.h"
#include "vm/plain.h"

enum { TABLE = 1 << 20 }; /* an empty partition table keeps to the first and the last MiB */

static bool is_swap(const struct node *n)
{
	return str_eq(n->fmt, "swap");
}

/* File systems and PVs: what a volume of ADE's shows when it is not encrypted. */
static bool is_plain_fmt(const struct node *n)
{
	static const char *const fmts[] = { "ext2",    "ext3",	"ext4",	    "ext4dev",	  "xfs", "btrfs",
					    "vfat",    "exfat", "ntfs",	    "f2fs",	  "jfs", "reiserfs",
					    "iso9660", "udf",	"squashfs", "LVM2_member" };

	for (size_t i = 0; i < sizeof(fmts) / sizeof(*fmts); i++)
		if (str_eq(n->fmt, fmts[i]))
			return true;
	return false;
}

static int set_why(struct volume *v, char *why, struct err *e)
{
	free(v->plain_why);
	v->plain_why = why;
	return why ? 0 : err_oom(e);
}

/* The roles that are never opaque, by the contract. */
static bool is_excluded(const struct volume *v)
{
	return v->role == VOL_SMALL || v->role == VOL_SWAP || v->role == VOL_TEMP || v->role == VOL_BEK;
}

/* No signature: ciphertext, blank, or neither. */
static int judge_bytes(struct machine *m, struct volume *v, struct blk *blk, struct err *e)
{
	struct err why = { "" };
	bool blank = false,
	     paired = v->header && (v->header->volume == v->node || v->node == m->vm->root_raw);
	enum tri opaque = plain_is_opaque(blk, &blank, &why);

	v->opaque = is_excluded(v) ? TRI_NO : opaque;
	v->plain = opaque == TRI_YES ? TRI_NO : TRI_UNKNOWN;
	v->state = VS_UNKNOWN;
	if (v->header && v->header->opened && v->header->volume == v->node)
		return 0; /* judge_state says opened */
	if (paired && !blank && (opaque != TRI_NO || v->header->volume == v->node))
		v->state = VS_LOCKED;
	else if (v->role == VOL_SWAP && !blank)
		v->state = VS_OTHER; /* a random key of each boot */
	else if (v->opaque == TRI_YES)
		v->state = VS_OPAQUE;
	else if (blank)
		v->state = VS_BLANK;
	if (blank) {
		v->plain = TRI_YES;
		return set_why(v, str_printf("all that was looked at is zero"), e);
	}
	if (opaque == TRI_YES)
		return set_why(v, str_printf("no signature, and its first blocks look like ciphertext"), e);
	return set_why(v,
		       *why.msg ? str_printf("no signature: %s", why.msg)
				: str_printf("no signature, but not ciphertext either"),
		       e);
}

static int judge_table(struct machine *m, struct volume *v, struct err *e)
{
	cleanup_blk struct blk *inside = NULL;
	const struct node *n = v->node;

	v->opaque = TRI_UNKNOWN;
	if (n->state != NODE_OPEN || n->blk->size <= 3 * (uint64_t)TABLE)
		return set_why(v,
			       str_printf("a partition table that cannot be used%s%s",
					  *n->why.msg ? ": " : "", n->why.msg),
			       e);
	if (blk_open_window(n->blk, TABLE, n->blk->size - 2 * (uint64_t)TABLE, &inside, e) < 0)
		return -ENOMEM;
	return judge_bytes(m, v, inside, e);
}

static int judge_state(struct machine *m, struct volume *v, struct err *e)
{
	const struct node *n = v->node;

	if (!n->blk) {
		v->state = n->state == NODE_LOCKED || n->state == NODE_WAITING ? VS_LOCKED : VS_UNKNOWN;
		return set_why(v, str_printf("%s", *n->why.msg ? n->why.msg : "no bytes to look at"), e);
	}
	if (str_eq(n->fmt, "gpt") || str_eq(n->fmt, "dos"))
		return judge_table(m, v, e);
	if (!*n->fmt && v->role == VOL_SMALL) {
		v->opaque = TRI_NO;
		return set_why(v, str_printf("not asked"), e);
	}
	if (!*n->fmt && n->state == NODE_OPEN) {
		if (judge_bytes(m, v, n->blk, e) < 0)
			return -ENOMEM;
	} else if (!*n->fmt || str_eq(n->fmt, "vhd")) {
		return set_why(v, str_printf("%s", n->why.msg), e);
	} else {
		v->opaque = TRI_NO;
		v->state = str_eq(n->fmt, "crypto_LUKS") ? VS_LOCKED
			   : is_plain_fmt(n)		 ? VS_PLAIN_FS
							 : VS_OTHER;
	}
	if (v->header && v->header->opened && v->header->volume == n)
		v->state = VS_OPENED;
	return 0;
}

/* ---- proofs ---- */

static int prove_fs(struct volume *v, struct err *e)
{
	char *why = NULL;

	v->plain = plain_prove(v->node, &why, e);
	return set_why(v, why, e);
}

/* No volumes on it: then all behind its metadata has to be zero. */
static int prove_empty_pv(struct volume *v, struct err *e)
{
	cleanup_blk struct blk *rest = NULL;
	struct err why = { "" };
	bool blank = false;
	enum tri opaque;

	v->plain = TRI_UNKNOWN;
	if (v->node->blk->size <= 2 * (uint64_t)TABLE)
		return set_why(v, str_printf("a physical volume too small to hold anything"), e);
	if (blk_open_window(v->node->blk, TABLE, v->node->blk->size - 2 * (uint64_t)TABLE, &rest, e) < 0)
		return -ENOMEM;
	opaque = plain_is_opaque(rest, &blank, &why);
	v->plain = blank ? TRI_YES : opaque == TRI_YES ? TRI_NO : TRI_UNKNOWN;
	return set_why(v,
		       str_printf("no logical volumes lie on it, and what was looked at is %s",
				  blank			? "zero"
				  : opaque == TRI_YES	? "ciphertext"
				  : opaque == TRI_NO	? "not"
							: "not to be told"),
		       e);
}

/* An LV that is a LUKS volume is judged by itself. */
static bool is_luks_lv(const struct volume *lv)
{
	return lv->state == VS_OPENED || lv->state == VS_LOCKED;
}

/* A PV is as plain as all that lies in its group. */
static int prove_pv(struct machine *m, struct volume *v, struct err *e)
{
	enum tri all = TRI_YES;
	const char *bad = NULL;
	unsigned n = 0, luks = 0;

	for (size_t i = 0; i < m->vm->nvolumes; i++) {
		const struct volume *lv = &m->vm->volumes[i];

		if (lv == v || lv->node->kind != KIND_LV || !node_lies_on(lv->node, v->node))
			continue;
		n++;
		if (is_luks_lv(lv)) {
			luks++;
			continue;
		}
		if (lv->plain != TRI_YES && !bad)
			bad = lv->node->name;
		all = tri_and(all, lv->plain);
	}
	if (!n && v->node->state != NODE_OPEN && v->node->state != NODE_DAMAGED)
		return set_why(v, str_printf("its volume group could not be looked into"), e);
	if (!n)
		return prove_empty_pv(v, e);
	v->plain = all;
	if (bad)
		return set_why(v, str_printf("%s, which lies on it, is not proved", bad), e);
	return set_why(v,
		       luks ? str_printf("%u of %u logical volumes on it are proved, %u judged by their "
					 "LUKS header",
					 n - luks, n, luks)
			    : str_printf("%u of %u logical volumes on it are proved", n, n),
		       e);
}

static bool is_pv(const struct volume *v)
{
	return v->state == VS_PLAIN_FS && str_eq(v->node->fmt, "LVM2_member");
}

static int prove(struct volume *v, struct err *e)
{
	switch (v->state) {
	case VS_OPENED:
	case VS_LOCKED:
	case VS_OPAQUE:
		v->plain = v->opaque == TRI_UNKNOWN && v->state == VS_LOCKED && !v->header ? TRI_UNKNOWN
											   : TRI_NO;
		return v->plain_why ? 0 : set_why(v, str_printf("encrypted"), e);
	case VS_OTHER:
		v->plain = is_swap(v->node) ? TRI_YES : TRI_UNKNOWN;
		return set_why(v,
			       *v->node->fmt ? str_printf("signature %s", v->node->fmt)
					     : str_printf("swap with a random key of each boot, by crypttab"),
			       e);
	case VS_PLAIN_FS:
		if (v->role == VOL_BEK || v->role == VOL_SMALL || v->role == VOL_TEMP)
			return set_why(v, str_printf("not asked"), e);
		return is_pv(v) ? 0 : prove_fs(v, e);
	case VS_BLANK:
	case VS_UNKNOWN:
		break;
	}
	return 0;
}

/* Row 7: a conversion with a detached header that stopped half-way left plaintext behind. */
static int sample_raw(struct volume *v, struct err *e)
{
	const struct header *h = v->header;
	uint64_t first;
	struct err why = { "" };
	int r;

	if (v->state != VS_OPENED || !h->detached || h->info.payload_offset || h->info.online ||
	    !v->node->blk)
		return 0;
	r = plain_sample_raw(v->node->blk, v->inner, &v->dd_low, &v->dd_sampled, &first, &why);
	v->dd_asked = r == 0 && v->dd_sampled > 0;
	return r == -ENOMEM ? err_oom(e) : 0;
}

static int note_info(struct machine *m, struct volume *v, struct err *e)
{
	for (size_t i = 0; i < m->w->ninfos && !v->backup_mount_info; i++) {
		if (m->w->infos[i].node != v->inner)
			continue;
		v->backup_mount_info = str_printf("%s", m->w->infos[i].path);
		if (!v->backup_mount_info)
			return err_oom(e);
	}
	return 0;
}

int volumes_judge(struct machine *m, struct err *e)
{
	for (size_t i = 0; i < m->vm->nvolumes; i++) {
		struct volume *v = &m->vm->volumes[i];

		if (judge_state(m, v, e) < 0 || prove(v, e) < 0 || sample_raw(v, e) < 0 ||
		    note_info(m, v, e) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < m->vm->nvolumes; i++)
		if (is_pv(&m->vm->volumes[i]) && prove_pv(m, &m->vm->volumes[i], e) < 0)
			return -ENOMEM;
	return 0;
}
