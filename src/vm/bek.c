/* SPDX-License-Identifier: MIT */
/* The BEK VOLUME: a small FAT that the Azure host makes at every start of an encrypted VM, with the
 * passphrase in LinuxPassPhraseFileName and one copy a data disk in LinuxPassPhraseFileName_CONTROLLER_LUN.
 * There can be none or several; which one belongs to which disk only trying tells. Old ones were NTFS: named,
 * but not read. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "fs/fs.h"
#include "vm/keys.h"

enum { MAX_KEY_FILE = 64 << 10, MAX_FILES = 512 };
static const char passphrase_name[] = "LinuxPassPhraseFileName";
static const char readme_name[] = "CRITICAL_DATA_WARNING_README.txt";
static const uint64_t max_volume = 1ULL << 30;

void bek_free(struct bek_volume *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->nfiles; i++)
		free(b->files[i].name);
	free(b->files);
	free(b);
}
DEFINE_CLEANUP(struct bek_volume *, bek, bek_free)

static int add_file(void *arg, const char *name)
{
	struct bek_volume *b = arg;
	struct bek_file *f;

	if (b->nfiles >= MAX_FILES)
		return 1;
	f = vec_push(&b->files, &b->nfiles);
	if (!f)
		return -ENOMEM;
	f->name = str_ndup(name, strlen(name));
	if (!f->name) {
		b->nfiles--;
		return -ENOMEM;
	}
	f->passphrase = strstr(name, passphrase_name) != NULL;
	b->has_readme |= str_eq_nocase(name, readme_name);
	return 0;
}

/* The exactly named file first, then the others by name: the order of the directory is anybody's. */
static int by_likelihood(const void *a, const void *b)
{
	const struct bek_file *x = a, *y = b;
	bool ex = str_eq(x->name, passphrase_name), ey = str_eq(y->name, passphrase_name);

	if (ex != ey)
		return ex ? -1 : 1;
	if (x->passphrase != y->passphrase)
		return x->passphrase ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool is_guid(const char *s)
{
	size_t n = strlen(s);

	return n >= 36 && strspn(s, "0123456789abcdefABCDEF-") >= 36 && s[8] == '-' && s[13] == '-' &&
	       s[18] == '-' && s[23] == '-';
}

/* Worth trying as a key? Beside the passphrase files: the protector that stamping leaves under a GUID, *.bek,
 * and what has the length of a passphrase. */
static bool may_be_key(const struct bek_file *f)
{
	return f->passphrase || is_guid(f->name) || str_ends(f->name, ".bek") || str_ends(f->name, ".BEK") ||
	       (f->size >= 172 && f->size <= 174);
}

static int add_key(struct graph *g, struct node *n, const struct bek_file *f, const char *bytes, size_t len,
		   struct err *e)
{
	cleanup_key struct key *k = calloc(1, sizeof(*k));

	if (!k)
		return err_oom(e);
	k->origin = KEY_BEK;
	k->node = n;
	k->length = f->size;
	k->found_at = str_printf("%s:/%s", n->name, f->name);
	k->name = str_printf("%s", f->name);
	k->raw = secret_copy(bytes, len);
	if (!k->found_at || !k->name || !k->raw)
		return err_oom(e);
	return keys_add(g, take_ptr(&k), e);
}

/* One file: what it is, and its key where it may be one. 0, or -ENOMEM; all else is in its why. */
static int read_file(struct graph *g, struct node *n, struct fs *fs, struct bek_file *f, struct err *e)
{
	cleanup_free char *path = str_printf("/%s", f->name);
	char *bytes = NULL;
	struct fs_stat st;
	size_t len = 0;
	int r;

	if (!path)
		return err_oom(e);
	if (fs_stat(fs, path, FS_NOFOLLOW, &st, &f->why) < 0)
		return 0;
	f->size = st.size;
	if (st.type != FS_FILE) {
		f->passphrase = false;
		return 0;
	}
	if (!may_be_key(f))
		return 0;
	if (st.size > MAX_KEY_FILE)
		return err_set(&f->why, 0, "%ju bytes: more than the 64 KiB that a key can have",
			       (uintmax_t)st.size);
	r = fs_slurp(fs, path, MAX_KEY_FILE, &bytes, &len, &f->why);
	if (r == -ENOMEM)
		return err_oom(e);
	if (r < 0)
		return 0;
	/* an empty file means something only where a passphrase should be */
	r = len || f->passphrase ? add_key(g, n, f, bytes, len, e) : 0;
	secret_wipe(bytes, len);
	free(bytes);
	return r < 0 ? r : 0;
}

static bool has_bek_label(const struct node *n)
{
	return n->label && str_eq_nocase(n->label, "BEK VOLUME");
}

static bool has_passphrase(const struct bek_volume *b)
{
	for (size_t i = 0; i < b->nfiles; i++)
		if (b->files[i].passphrase)
			return true;
	return false;
}

static int read_files(struct graph *g, struct node *n, struct fs *fs, struct bek_volume *b, struct err *e)
{
	int r = fs_list(fs, "/", add_file, b, &b->why);

	if (r == -ENOMEM)
		return err_oom(e);
	if (b->nfiles)
		qsort(b->files, b->nfiles, sizeof(*b->files), by_likelihood);
	if (!b->by_label && !b->has_readme && !has_passphrase(b))
		return 0;
	for (size_t i = 0; i < b->nfiles; i++) {
		r = read_file(g, n, fs, &b->files[i], e);
		if (r < 0)
			return r;
	}
	return 1;
}

int bek_read(struct graph *g, struct node *n, struct bek_volume **ret, struct err *e)
{
	cleanup(cleanup_bekp) struct bek_volume *b = NULL;
	bool fat = str_eq(n->fmt, "vfat") && n->size <= max_volume;
	bool labelled = (fat || str_eq(n->fmt, "ntfs")) && has_bek_label(n);
	struct fs *fs;
	int r = 1;

	if (!fat && !labelled)
		return 0;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_oom(e);
	b->node = n;
	b->by_label = labelled;
	fs = node_fs(n, &b->why);
	if (fs)
		r = read_files(g, n, fs, b, e);
	else if (!labelled)
		r = 0;
	if (r <= 0)
		return r;
	n->kind = KIND_BEK;
	*ret = take_ptr(&b);
	return 1;
}
