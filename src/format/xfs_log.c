/* SPDX-License-Identifier: MIT */
/* Is the log of an XFS clean? After "XFS Algorithms & Data Structures", chapter "Journaling log": the log is
 * a ring of 512-byte blocks, each stamped with the number of the round in which it was written. Where the
 * round changes is the head; the last record before it is that of an unmount where the log is clean. Nothing
 * is replayed. Whatever does not fit together is not called clean. */
#include <assert.h>
#include <inttypes.h>
#include "format/xfs_priv.h"

enum {
	BB = 512,
	WINDOW = 4096, /* blocks before the head that may have been written out of order */
	RECORD = 262144 / BB + 8, /* of the longest record */
	HEADER_DATA = 32768, /* bytes whose rounds one header block keeps */
	MAGIC = (int)0xfeedbabe,
	VERSION_2 = 2,
	OP_UNMOUNT = 0x20,
	MAX_LEN = 262144,
	MIN_BLOCKS = 64,
	PARTIAL = 2,
};

struct log_record_disk {
	be32 magic, round, version, len;
	be64 lsn, tail_lsn;
	le32 csum;
	be32 prev, ops, rounds[HEADER_DATA / BB], format;
	uint8_t uuid[16];
	be32 size;
};
struct log_op_disk {
	be32 transaction, len;
	uint8_t client, flags;
	be16 reserved;
};
static_assert(sizeof(struct log_record_disk) == 324, "XFS log record");
static_assert(sizeof(struct log_op_disk) == 12, "XFS log operation");

struct log {
	struct blk *blk;
	uint64_t base; /* byte */
	uint64_t n; /* blocks */
};

static int log_read(struct log *l, uint64_t at, uint64_t n, uint8_t *buf, struct err *e)
{
	return blk_pread(l->blk, buf, (size_t)n * BB, l->base + at * BB, e);
}

/* A header keeps its round in its second word. */
static uint32_t round_of(const uint8_t *block)
{
	be32 w;

	memcpy(&w, block, sizeof(w));
	if (be32_get(w) == (uint32_t)MAGIC)
		memcpy(&w, block + 4, sizeof(w));
	return be32_get(w);
}

static int round_at(struct log *l, uint64_t at, uint32_t *ret, struct err *e)
{
	uint8_t block[BB];
	int rc = log_read(l, at, 1, block, e);

	if (!rc)
		*ret = round_of(block);
	return rc;
}

/* The first block of round r, where those before it are of another one and the last is of r. */
static int bisect(struct log *l, uint32_t r, uint64_t *ret, struct err *e)
{
	uint64_t lo = 0, hi = l->n - 1;
	uint32_t round = 0;
	int rc;

	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;

		rc = round_at(l, mid, &round, e);
		if (rc)
			return rc;
		if (round == r)
			hi = mid;
		else
			lo = mid;
	}
	*ret = hi;
	return 0;
}

/* The first block of round r in [from, from + n); n where there is none. At most WINDOW blocks. */
static int first_of(struct log *l, uint64_t from, uint64_t n, uint32_t r, uint64_t *ret, struct err *e)
{
	cleanup_free uint8_t *buf = malloc((size_t)n * BB + 1);
	int rc;

	if (!buf)
		return err_oom(e);
	rc = log_read(l, from, n, buf, e);
	if (rc)
		return rc;
	for (*ret = 0; *ret < n; ++*ret)
		if (round_of(buf + *ret * BB) == r)
			break;
	return 0;
}

/* Blocks before the head may have been on their way when the system stopped: those missing still bear the old
 * round `old`, or at the end of the ring the one before it. */
static int step_back(struct log *l, uint32_t old, uint64_t *head, struct err *e)
{
	uint64_t window = l->n < WINDOW ? l->n : WINDOW, n, at;
	int rc;

	if (*head < window) {
		n = window - *head;
		rc = first_of(l, l->n - n, n, old - 1, &at, e);
		if (rc || at < n) {
			*head = l->n - n + at;
			return rc;
		}
	}
	n = *head < window ? *head : window;
	rc = first_of(l, *head - n, n, old, &at, e);
	if (!rc && at < n)
		*head = *head - n + at;
	return rc;
}

/* 1 and *ret_head; 0: the log was never used; <0 */
static int find_head(struct log *l, uint64_t *ret_head, struct err *e)
{
	uint32_t first = 0, last = 0, old;
	int rc = round_at(l, 0, &first, e);

	if (!rc)
		rc = round_at(l, l->n - 1, &last, e);
	if (rc)
		return rc;
	if (!first)
		return last ? err_set(e, -EBADMSG, "its rounds are 0 and %" PRIu32, last) : 0;
	if (first != last && first - 1 != last)
		return err_set(e, -EBADMSG, "its rounds are %" PRIu32 " and %" PRIu32, first, last);
	*ret_head = l->n;
	old = first - 1;
	if (first != last)
		rc = bisect(l, last, ret_head, e);
	if (!rc)
		rc = step_back(l, old, ret_head, e);
	return rc ? rc : 1;
}

/* The last record header before head, going back around the ring at most RECORD blocks. 1, 0: none, <0. */
static int find_record(struct log *l, uint64_t head, uint64_t *ret_at, struct log_record_disk *ret,
		       struct err *e)
{
	uint8_t block[BB];
	uint64_t at = head;
	int rc;

	for (unsigned k = 0; k < RECORD && k < l->n; k++) {
		at = at ? at - 1 : l->n - 1;
		rc = log_read(l, at, 1, block, e);
		if (rc)
			return rc;
		memcpy(ret, block, sizeof(*ret));
		if (be32_get(ret->magic) == (uint32_t)MAGIC) {
			*ret_at = at;
			return 1;
		}
	}
	return 0;
}

/* How many blocks the headers of a record take; 0: it cannot be one. */
static uint64_t header_blocks(const struct log_record_disk *r)
{
	uint32_t version = be32_get(r->version), size = be32_get(r->size), len = be32_get(r->len);

	if (!version || version > VERSION_2 || len > MAX_LEN || !len)
		return 0;
	if (version != VERSION_2 || size <= HEADER_DATA)
		return 1;
	return size > MAX_LEN ? 0 : (size + HEADER_DATA - 1) / HEADER_DATA;
}

static int is_unmount(struct log *l, uint64_t at, const struct log_record_disk *r, uint64_t headers,
		      bool *ret, struct err *e)
{
	uint8_t block[BB];
	struct log_op_disk op;
	int rc = log_read(l, (at + headers) % l->n, 1, block, e);

	if (rc)
		return rc;
	memcpy(&op, block, sizeof(op));
	*ret = be32_get(r->ops) == 1 && op.flags & OP_UNMOUNT;
	return 0;
}

/* Does the last whole record before head end there, and is it an unmount's? A record that was cut short is
 * passed over, as recovery does. */
static int judge(struct log *l, uint64_t head, bool *ret_clean, struct err *e)
{
	struct log_record_disk r = { 0 };
	uint64_t at = 0, headers;
	int rc;

	for (unsigned k = 0; k < PARTIAL; k++) {
		rc = find_record(l, head, &at, &r, e);
		if (rc <= 0)
			return rc ? rc
				  : err_set(e, -EBADMSG, "it has no record before its head at block %" PRIu64,
					    head);
		headers = header_blocks(&r);
		if (!headers)
			return err_set(e, -EBADMSG, "the record at block %" PRIu64 " is damaged", at);
		if ((at + headers + (be32_get(r.len) + BB - 1) / BB) % l->n == head % l->n)
			return is_unmount(l, at, &r, headers, ret_clean, e);
		head = at;
	}
	*ret_clean = false;
	return 0;
}

static int look(struct blk *blk, const struct xfs_info *x, bool *ret_clean, struct err *e)
{
	uint64_t ag = x->log_start >> x->ag_log, in_ag = x->log_start & (((uint64_t)1 << x->ag_log) - 1),
		 block, head = 0;
	struct log l = { .blk = blk };
	int rc;

	block = ag * x->ag_blocks + in_ag;
	if (ag >= x->ag_count || in_ag >= x->ag_blocks || !range_in(block, x->log_blocks, x->blocks))
		return err_set(e, -EBADMSG, "the superblock puts it outside the file system");
	l.base = block * x->block_size;
	l.n = (uint64_t)x->log_blocks * (x->block_size / BB);
	if (l.n < MIN_BLOCKS)
		return err_set(e, -EBADMSG, "it has %" PRIu64 " blocks only", l.n);
	rc = find_head(&l, &head, e);
	if (rc > 0)
		return judge(&l, head, ret_clean, e);
	*ret_clean = true;
	return rc;
}

void xfs_look_at_log(struct blk *blk, struct xfs_info *x)
{
	struct err why = { "" };
	bool clean = false;
	int rc;

	x->log_why.msg[0] = '\0';
	if (x->unusable) {
		x->log = XFS_LOG_UNKNOWN;
		err_set(&x->log_why, 0, "XFS: where its log lies is not known");
		return;
	}
	if (!x->log_start) {
		x->log = XFS_LOG_EXTERNAL;
		err_set(&x->log_why, 0,
			"XFS: its log is on another device: whether it was replayed cannot be told");
		return;
	}
	rc = look(blk, x, &clean, &why);
	x->log = rc ? XFS_LOG_UNKNOWN : clean ? XFS_LOG_CLEAN : XFS_LOG_DIRTY;
	if (rc)
		err_set(&x->log_why, 0, "XFS: whether its log was replayed cannot be told: %s", why.msg);
	else if (!clean)
		err_set(&x->log_why, 0, "XFS: log was not replayed: what is read may be old");
}
