/* SPDX-License-Identifier: MIT */
/* Row 3's exception: in the phase BackupHeader ADE only copies the first 50 MiB of a device into
 * copy_header_slice_file. The device is still plaintext where the copy, as far as it got, equals its start.
 * Which device it was is told by the ext superblock in the copy, since LUN names mean nothing here. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"
#include "format/ext.h"
#include "vm/facts.h"
#include "vm/machine.h"

#define SLICE STATE_DIR "/copy_header_slice_file"
enum { CHUNK = 1 << 20, MAX_SLICE = 64 << 20 };

/* The plaintext volume with the UUID that the copy has; NULL: none, or several. */
static const struct node *find_volume(const struct machine *m, struct blk *head)
{
	const struct node *found = NULL;
	struct ext_info x;
	char uuid[37];

	if (ext_read_super(head, EXT_SUPER_OFF, &x, NULL) < 0)
		return NULL;
	bytes_uuid(x.uuid, uuid);
	for (size_t i = 0; i < m->vm->nvolumes; i++) {
		const struct volume *v = &m->vm->volumes[i];

		if (v->state != VS_PLAIN_FS || !str_eq_nocase(v->node->uuid, uuid))
			continue;
		if (found)
			return NULL;
		found = v->node;
	}
	return found;
}

/* 1 equal, 0 not, <0 */
static int compare(const struct machine *m, const struct node *n, uint64_t size)
{
	cleanup_free uint8_t *a = malloc(CHUNK), *b = malloc(CHUNK);

	if (!a || !b)
		return -ENOMEM;
	for (uint64_t off = 0; off < size; off += CHUNK) {
		size_t want = size - off < CHUNK ? (size_t)(size - off) : CHUNK, got = 0;
		int r = tree_read(&m->vm->tree, SLICE, a, want, off, &got, NULL);

		if (r == 0 && got == want)
			r = blk_pread(n->blk, b, want, off, NULL);
		if (r < 0 || got != want)
			return r < 0 ? r : -EIO;
		if (memcmp(a, b, want))
			return 0;
	}
	return 1;
}

void slice_compare(struct machine *m)
{
	cleanup_blk struct blk *head = NULL;
	cleanup_free uint8_t *buf = calloc(1, CHUNK);
	const struct node *n;
	struct fs_stat st;
	size_t got = 0;
	int r;

	if (m->vm->state.have != HAVE_YES || !state_has(&m->vm->state, SK_HEADER_SLICE) || !buf)
		return;
	if (tree_stat(&m->vm->tree, SLICE, 0, &st, NULL) < 0 || st.type != FS_FILE || !st.size ||
	    st.size > MAX_SLICE)
		return;
	if (tree_read(&m->vm->tree, SLICE, buf, CHUNK, 0, &got, NULL) < 0 ||
	    blk_open_mem(buf, CHUNK, &head, NULL) < 0)
		return;
	n = find_volume(m, head);
	if (!n || st.size > n->size)
		return;
	r = compare(m, n, st.size);
	m->vm->state.slice_compared = r >= 0;
	m->vm->state.slice_is_start = r == 1;
}
