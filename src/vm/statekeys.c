/* SPDX-License-Identifier: MIT */
/* Keys and LUKS headers in a state directory, looked for by content in every regular file, whatever its name:
 * losing one of them loses a disk. A key is 172 characters of base64 (with or without a newline), or the 128
 * random bytes of a cleartext_key; files with a key's name are tried as they are. Links are followed
 * inside their file system; nothing is read that is not a regular file. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "vm/facts.h"

enum {
	MAX_HEADERS = 64,     /* of one directory */
	MAX_NAMED_KEYS = 256, /* files with a key's name */
	MAX_OTHER_KEYS = 32,  /* files that look like one: each costs a key derivation a header */
	PASSPHRASE_LEN = 172,
	CLEARTEXT_LEN = 128,
};

static bool is_archive_of(const char *name, const char *live)
{
	size_t n = strlen(live);

	return !strncmp(name, live, n) && name[n] == '_' && name[n + 1] >= '0' && name[n + 1] <= '9';
}

enum state_kind state_kind_of(const char *name)
{
	static const struct {
		const char *name;
		enum state_kind kind;
		bool prefix, archived;
	} names[] = {
		{"azure_crypt_config.ini", SK_CONFIG, false, true},
		{"azure_crypt_params.ini", SK_PARAMS, false, true},
		{"azure_crypt_request_queue.ini", SK_QUEUE, false, true},
		{"azure_decrypt_request_queue.ini", SK_DECRYPT_QUEUE, false, true},
		{"azure_crypt_ongoing_item.ini", SK_ONGOING, false, true},
		{"azure_crypt_mount", SK_CRYPT_MOUNT, false, true},
		{"imds_stored_results.ini", SK_IMDS, false, true},
		{"azure_crypt_copy_progress.ini", SK_COPY_PROGRESS, false, false},
		{"copy_header_slice_file", SK_HEADER_SLICE, false, false},
		{"copy_slice_item.bak", SK_ITEM_SLICE, false, false},
		{"azureluksheader", SK_LUKS_HEADER, true, false},
		{"cleartext_key", SK_CLEARTEXT_KEY, true, false},
		{"bek_backup", SK_BEK_BACKUP, false, false},
		{"os_encryption_markers", SK_MARKERS, false, false},
		{"custom_cmk.json", SK_CUSTOM_CMK, false, false},
		{"LinuxPassPhraseFileName", SK_PASSPHRASE, true, false},
		{"resume_daemon_status-", SK_RESUME_STATUS, true, false},
	};
	const char *aside = strstr(name, ".aderescue-");

	if (aside && aside[11] >= '0' && aside[11] <= '9')
		return SK_ASIDE;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (names[i].prefix ? str_starts(name, names[i].name) : str_eq(name, names[i].name))
			return names[i].kind;
		if (names[i].archived && is_archive_of(name, names[i].name))
			return SK_ARCHIVE;
	}
	return str_ends(name, ".lck") ? SK_LOCK : SK_OTHER;
}

static bool is_named_key(enum state_kind kind)
{
	return kind == SK_PASSPHRASE || kind == SK_BEK_BACKUP || kind == SK_CLEARTEXT_KEY;
}

static bool is_base64_key(const uint8_t *p, size_t n)
{
	if (n == PASSPHRASE_LEN + 2 && p[n - 2] == '\r' && p[n - 1] == '\n')
		n -= 2;
	else if (n == PASSPHRASE_LEN + 1 && p[n - 1] == '\n')
		n -= 1;
	if (n != PASSPHRASE_LEN || p[n - 1] != '=' || p[n - 2] != '=')
		return false;
	for (size_t i = 0; i < n - 2; i++)
		if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'A' && p[i] <= 'Z') &&
		    !(p[i] >= 'a' && p[i] <= 'z') && p[i] != '+' && p[i] != '/')
			return false;
	return true;
}

static bool is_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((p[i] < ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r') || p[i] >= 0x7f)
			return false;
	return true;
}

/* May a file of this name and size be a key at all? */
static bool may_be_key(const struct state_file *f)
{
	if (is_named_key(f->kind))
		return true;
	if (f->size >= PASSPHRASE_LEN && f->size <= PASSPHRASE_LEN + 2)
		return true;
	return f->size == CLEARTEXT_LEN && (f->kind == SK_OTHER || f->kind == SK_ASIDE);
}

static const struct key *key_known(const struct graph *g, const struct node *node, const char *found_at,
				   const struct secret *raw)
{
	for (size_t i = 0; i < g->nkeys; i++) {
		const struct key *k = g->keys[i];

		if (raw->len && k->raw && k->raw->len == raw->len &&
		    !memcmp(k->raw->data, raw->data, raw->len))
			return k;
		if (!raw->len && k->empty_file && k->node == node && str_eq(k->found_at, found_at))
			return k;
	}
	return NULL;
}

static int key_register(struct state_look *l, struct state_file *f, const char *path, struct secret **raw,
			struct err *e)
{
	cleanup_free char *found_at = str_printf("%s:%s", l->node && l->node->name ? l->node->name : "",
						 path);
	cleanup_key struct key *key = NULL;
	size_t before = l->graph->nkeys;
	int err;

	if (!found_at)
		return err_oom(e);
	f->key = key_known(l->graph, l->node, found_at, *raw);
	if (f->key)
		return 0;
	key = calloc(1, sizeof(*key));
	if (!key)
		return err_oom(e);
	key->origin = KEY_STATE_DIR;
	key->node = l->node;
	key->found_at = take_ptr(&found_at);
	key->name = str_printf("%s", f->name);
	key->length = f->size;
	key->empty_file = f->size == 0;
	key->cvm = f->kind == SK_PASSPHRASE;
	key->raw = take_ptr(raw);
	if (!key->name)
		return err_oom(e);

	f->key = key;
	err = keys_add(l->graph, take_ptr(&key), e);
	if (err <= 0 && l->graph->nkeys == before)
		f->key = NULL;
	l->added |= err > 0;
	return err < 0 ? err : 0;
}

static int look_for_key(struct state_look *l, struct state_file *f, const char *path, struct err *e)
{
	cleanup_secret struct secret *raw = NULL;
	unsigned *count = is_named_key(f->kind) ? &l->named_keys : &l->other_keys;
	size_t n = 0;
	int err;

	if (!may_be_key(f))
		return 0;
	if (f->size > KEY_MAX)
		return err_set(e, -EFBIG, "too large for a key");
	raw = secret_new(f->size);
	if (!raw)
		return err_oom(e);
	err = f->size ? fs_read(l->fs, path, raw->data, f->size, 0, &n, e) : 0;
	if (err < 0)
		return err;
	if (n != f->size)
		return err_set(e, -EIO, "ended at byte %zu", n);
	if (!is_named_key(f->kind) && !is_base64_key(raw->data, n) &&
	    (l->keys_only || n != CLEARTEXT_LEN || is_text(raw->data, n)))
		return 0;
	if (++*count > (is_named_key(f->kind) ? MAX_NAMED_KEYS : MAX_OTHER_KEYS))
		return err_set(e, -E2BIG, "may be a key, but there are too many to try");
	return key_register(l, f, path, &raw, e);
}

static int look_for_header(struct state_look *l, struct state_file *f, const char *path, struct err *e)
{
	bool slice = f->kind == SK_HEADER_SLICE || f->kind == SK_ITEM_SLICE;
	uint64_t max = l->budget < CONTENT_MAX ? l->budget : CONTENT_MAX;
	struct content c;
	char size[16], seen[16];
	int err = content_look(l->fs, path, f->size, max, &c, e);

	l->budget -= c.looked_at < l->budget ? c.looked_at : l->budget;
	f->zero_filled = err == 0 && c.zero;
	f->is_luks = c.header_place || (c.inside && !slice);
	f->luks_damaged = f->is_luks;
	if (c.header_place && ++l->headers <= MAX_HEADERS) {
		int r = content_header(l->graph, l->node, path, l->in_state_dir, &f->header, NULL);

		f->luks_damaged = r < 0;
		l->added |= r == 1;
		if (r == -ENOMEM)
			return err_oom(e);
	}
	if (err < 0)
		return err;
	if (l->headers > MAX_HEADERS && c.header_place)
		return err_set(e, -E2BIG, "a LUKS header, but there are too many to try");
	str_size(f->size, size);
	str_size(c.looked_at, seen);
	return c.whole ? 0 : err_set(e, -EFBIG, "%s large: only its first %s were looked at", size, seen);
}

void state_file_done(struct state_file *f)
{
	free(f->name);
	free(f->why);
	*f = (struct state_file){0};
}

static int file_unreadable(struct state_file *f, int err, const struct err *why, struct err *e)
{
	if (err == -ENOMEM)
		return err_oom(e);
	if (f->unreadable)
		return 0;
	f->unreadable = true;
	f->why = str_printf("%s", why->msg);
	return f->why ? 0 : err_oom(e);
}

/* A link is looked through inside its file system: *path and st become those of where it leads. */
static int follow_link(struct state_look *l, char **path, struct fs_stat *st, struct err *e)
{
	cleanup_free char *link = take_ptr(path);
	int err = fs_resolve(l->fs, link, 0, path, e);

	if (!err)
		err = fs_stat(l->fs, *path, 0, st, e);
	if (err == -ENOENT)
		err_set(e, err, "a symbolic link that leads nowhere in this file system");
	return err;
}

static int look_at_content(struct state_look *l, struct state_file *f, const char *path, struct err *e)
{
	struct err why = {""};
	int err = l->keys_only ? 0 : look_for_header(l, f, path, &why);

	if (err < 0 && file_unreadable(f, err, &why, e) < 0)
		return -ENOMEM;
	err = look_for_key(l, f, path, &why);
	return err < 0 ? file_unreadable(f, err, &why, e) : 0;
}

int state_look_file(struct state_look *l, struct state_file *f, struct err *e)
{
	cleanup_free char *path = path_join(l->dir, f->name);
	struct fs_stat st;
	struct err why = {""};
	int err;

	if (!path)
		return err_oom(e);
	f->kind = state_kind_of(f->name);
	f->type = FS_FILE; /* for all that is known until it was looked at */
	err = fs_stat(l->fs, path, FS_NOFOLLOW, &st, &why);
	if (err < 0)
		return file_unreadable(f, err, &why, e);
	f->type = st.type;
	f->mtime = st.mtime;
	f->mode = st.mode;
	f->nlink = st.nlink;
	if (f->type == FS_LINK)
		err = follow_link(l, &path, &st, &why);
	if (err < 0)
		return file_unreadable(f, err, &why, e);

	f->size = st.size;
	if (f->type == FS_DIR)
		return 0;
	if (st.type != FS_FILE) {
		err_set(&why, 0, "a %s: not looked into", path_type(st.type));
		return file_unreadable(f, 0, &why, e);
	}
	return look_at_content(l, f, path, e);
}

static const char *last_name(const char *dir)
{
	const char *name = strrchr(dir, '/');

	return name ? name + 1 : dir;
}

static int scan(struct graph *g, const struct node *node, struct fs *fs, const char *dir, const char *prefix,
		struct err *e)
{
	cleanup_free char *real = NULL;
	cleanup_names struct names names = {0};
	struct state_look l = {.graph = g, .node = node, .fs = fs, .budget = CONTENT_BUDGET};
	int err;

	err = fs_resolve(fs, dir, 0, &real, NULL);
	if (!err)
		err = names_list(fs, real, STATE_MAX_ENTRIES, &names, NULL);
	if (err)
		return err == -ENOMEM ? err_oom(e) : 0;

	l.dir = real;
	l.in_state_dir = prefix || str_starts(last_name(dir), last_name(STATE_DIR));
	l.keys_only = !l.in_state_dir && !str_starts(last_name(dir), "azure_disk_encryption_");
	for (size_t i = 0; i < names.n; i++) {
		struct state_file f = {.name = names.v[i]};

		if (prefix && !str_starts(f.name, prefix))
			continue;
		err = state_look_file(&l, &f, e);
		free(f.why);
		if (err < 0)
			return err;
	}
	return l.added;
}

int state_scan_old(struct graph *g, const struct node *node, struct fs *fs, struct err *e)
{
	return scan(g, node, fs, "/", "azureluksheader", e);
}

int state_scan_keys(struct graph *g, const struct node *node, struct fs *fs, const char *dir, struct err *e)
{
	return scan(g, node, fs, dir, NULL, e);
}
