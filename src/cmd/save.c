/* SPDX-License-Identifier: MIT */
/* save: what can never be made again, in a new folder 0700: every key file, LUKS header, state directory and partition table, with a manifest of
 * where each came from and its SHA-256. Files are 0600 and nothing is ever overwritten. People are told to run it before anything else. */
#include "cmd/cmd.h"
#include "report/report.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"
#include "base/vec.h"
#include "fs/tree.h"

enum { CHUNK = 1 << 20, TABLE = 1 << 20, STATE_MAX = 1 << 30, MAX_ENTRIES = 100000, MAX_DEPTH = 8 };

struct save {
	struct rescue *r;
	struct json_object *items;      /* of the manifest */
	char *buf;                      /* CHUNK bytes */
	unsigned keys, headers, states, tables, failed;
};
/* Where bytes come from: a blk, or a file of a tree, or memory. */
struct source { struct blk *blk; const struct tree *tree; const char *path; const struct secret *secret; uint64_t size; };

/* A file name of ours from names of disks: letters, digits, dot, dash, underscore; everything else "_". */
static char *safe_name(const char *prefix, const char *raw)
{
	char *s = str_printf("%s%.120s", prefix, raw);

	for (char *c = s; c && *c; c++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_/", *c))
			*c = '_';
	for (char *c = s ? s + strlen(prefix) : NULL; c && *c; c++)
		if (*c == '/' || (*c == '.' && (c == s + strlen(prefix))))
			*c = '_';
	return s;
}

static int read_source(const struct source *src, void *buf, size_t len, uint64_t off, size_t *ret_n, struct err *e)
{
	if (src->tree)
		return tree_read(src->tree, src->path, buf, len, off, ret_n, e);
	*ret_n = off >= src->size ? 0 : src->size - off < len ? (size_t)(src->size - off) : len;
	if (src->secret) {
		memcpy(buf, src->secret->data + off, *ret_n);
		return 0;
	}
	return *ret_n ? blk_pread(src->blk, buf, *ret_n, off, e) : 0;
}

/* Copies and hashes; all-zero chunks become holes. */
static int copy_out(struct save *s, const struct source *src, gcry_md_hd_t md, uint64_t *ret_size, struct err *e)
{
	uint64_t off = 0;
	size_t n;
	int ret;

	do {
		ret = read_source(src, s->buf, CHUNK, off, &n, e);
		if (ret == 0 && n) {
			gcry_md_write(md, s->buf, n);
			if (!bytes_all_zero(s->buf, n))
				ret = broker_write(s->r->broker, s->buf, n, off, e);
			off += n;
		}
		if (ret == 0 && off > STATE_MAX)
			ret = err_set(e, -EFBIG, "larger than 1 GiB");
	} while (ret == 0 && n);
	*ret_size = off;
	if (src->secret)
		secret_wipe(s->buf, CHUNK);
	return ret;
}

/* No hash of what may be a key: it would help to guess it. */
static bool is_key(const struct save *s, const char *from, uint64_t size)
{
	for (size_t i = 0; i < s->r->graph.nkeys; i++)
		if (str_eq(s->r->graph.keys[i]->found_at, from) || (s->r->graph.keys[i]->length == size && str_ends(from, s->r->graph.keys[i]->name)))
			return true;
	return false;
}

static void note(struct save *s, const char *name, const char *kind, const char *from, uint64_t size, const unsigned char *sum)
{
	struct json_object *o = json_object_new_object();
	char hex[65];

	bytes_hex(sum, 32, hex);
	json_object_object_add(o, "file", json_str(name));
	json_object_object_add(o, "kind", json_object_new_string(kind));
	json_object_object_add(o, "from", json_str(from));
	json_object_object_add(o, "size", json_object_new_int64((int64_t)size));
	json_object_object_add(o, "sha256", is_key(s, from, size) ? NULL : json_object_new_string(hex));
	json_object_array_add(s->items, o);
}

static int fail(struct save *s, const char *what, const struct err *e)
{
	cleanup_free char *shown = str_escape(what, strlen(what), true);

	fprintf(stderr, "aderescue: %s: %s\n", shown ? shown : "?", e->msg);
	s->failed++;
	return -1;
}

/* One file; a failure is said and counted, and the others are saved all the same. */
static int save_one(struct save *s, const char *name, const char *kind, const char *from, const struct source *src)
{
	struct err e = { "" };
	gcry_md_hd_t md = NULL;
	uint64_t size = 0;
	int ret, done;

	bytes_gcrypt_init();
	if (gcry_md_open(&md, GCRY_MD_SHA256, 0))
		return fail(s, name, &(struct err){ "out of memory" });
	ret = broker_create(s->r->broker, name, 0600, &e);
	if (ret == 0) {
		ret = copy_out(s, src, md, &size, &e);
		done = broker_finish(s->r->broker, size, 0600, 0, 0, s->r->now, ret < 0 ? NULL : &e);
		ret = ret < 0 ? ret : done;
	}
	if (ret == 0)
		note(s, name, kind, from, size, gcry_md_read(md, GCRY_MD_SHA256));
	gcry_md_close(md);
	return ret < 0 ? fail(s, name, &e) : 0;
}

static void save_keys(struct save *s)
{
	for (size_t i = 0; i < s->r->graph.nkeys; i++) {
		const struct key *k = s->r->graph.keys[i];
		cleanup_free char *number = str_printf("keys/%02zu-", i), *name = number ? safe_name(number, k->name) : NULL;
		struct source src = { .secret = k->raw, .size = k->raw ? k->raw->len : 0 };

		if (k->origin == KEY_EMPTY || k->empty_file || !k->raw)
			continue;
		if (name && save_one(s, name, "key", k->found_at, &src) == 0)
			s->keys++;
	}
}

static void save_headers(struct save *s)
{
	for (size_t i = 0; i < s->r->graph.nheaders; i++) {
		const struct header *h = s->r->graph.headers[i];
		cleanup_free char *place = header_place(h), *number = str_printf("headers/%02zu-", i);
		cleanup_free char *name = number && place ? safe_name(number, place) : NULL;
		struct source src = { .blk = h->blk, .size = h->info.total_size };

		if (!h->blk)
			continue;
		if (!src.size || src.size > h->blk->size)
			src.size = h->blk->size < (32u << 20) ? h->blk->size : 32u << 20;
		if (name && save_one(s, name, "luks-header", place, &src) == 0)
			s->headers++;
	}
}

static void save_tables(struct save *s)
{
	for (size_t i = 0; i < s->r->ndisks; i++) {
		struct node *n = s->r->roots[i];
		uint64_t tail = n && n->blk && n->blk->size > 2 * TABLE ? n->blk->size - TABLE : 0;
		cleanup_free char *number = str_printf("tables/%02zu-", i), *base = n && number ? safe_name(number, n->name) : NULL;
		cleanup_free char *head = base ? str_printf("%s.first-1MiB", base) : NULL, *last = base ? str_printf("%s.last-1MiB", base) : NULL;
		cleanup_blk struct blk *end = NULL;
		struct source src;

		if (!n || !n->blk || !head || !last)
			continue;
		src = (struct source){ .blk = n->blk, .size = n->blk->size < TABLE ? n->blk->size : TABLE };
		if (save_one(s, head, "partition-table", n->name, &src) == 0)
			s->tables++;
		if (tail && blk_open_window(n->blk, tail, n->blk->size - tail, &end, NULL) == 0) {
			src = (struct source){ .blk = end, .size = end->size };
			save_one(s, last, "partition-table-backup", n->name, &src);
		}
	}
}

/* ---- state directories ---- */

struct names { char **v; size_t n; };

static int keep_name(void *arg, const char *name)
{
	struct names *names = arg;
	char **slot = names->n < MAX_ENTRIES ? vec_push(&names->v, &names->n) : NULL;

	return slot && (*slot = str_printf("%s", name)) ? 0 : -ENOMEM;
}

static void save_dir(struct save *s, const struct tree *t, const char *path, const char *to, unsigned depth);

static void save_entry(struct save *s, const struct tree *t, const char *path, const char *to, unsigned depth)
{
	struct fs_stat st;
	struct err e = { "" };
	struct source src = { .tree = t, .path = path };

	if (tree_stat(t, path, FS_NOFOLLOW, &st, &e) < 0)
		fail(s, path, &e);
	else if (st.type == FS_DIR && depth < MAX_DEPTH)
		save_dir(s, t, path, to, depth + 1);
	else if (st.type == FS_FILE)
		save_one(s, to, "state", path, &src);
	else
		fail(s, path, &(struct err){ "neither a file nor a folder: not saved" });
}

static void save_dir(struct save *s, const struct tree *t, const char *path, const char *to, unsigned depth)
{
	struct names names = { 0 };
	struct err e = { "" };

	if (broker_mkdir(s->r->broker, to, 0700, &e) < 0 || tree_list(t, path, keep_name, &names, &e) < 0)
		fail(s, path, &e);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *from = str_printf("%s/%s", path, names.v[i]), *number = str_printf("%s/%05zu-", to, i);
		cleanup_free char *name = number ? safe_name(number, names.v[i]) : NULL;

		if (from && name)
			save_entry(s, t, from, name, depth);
		free(names.v[i]);
	}
	free(names.v);
}

/* The state directory, what was set aside earlier, and the archive: all that begins with its name. */
static void save_states(struct save *s)
{
	for (size_t i = 0; i < s->r->nvms; i++) {
		const struct vm *vm = s->r->vms[i];
		struct names names = { 0 };
		cleanup_free char *prefix = str_printf("state/%zu-", i);

		tree_list(&vm->tree, "/var/lib", keep_name, &names, NULL);
		for (size_t k = 0; k < names.n; k++) {
			cleanup_free char *from = str_printf("/var/lib/%s", names.v[k]), *to = prefix ? safe_name(prefix, names.v[k]) : NULL;

			if (from && to && str_starts(names.v[k], "azure_disk_encryption_")) {
				save_dir(s, &vm->tree, from, to, 0);
				s->states++;
			}
			free(names.v[k]);
		}
		free(names.v);
	}
}

static int save_manifest(struct save *s, struct err *e)
{
	struct json_object *o = json_object_new_object();
	const char *text;
	int ret;

	json_object_object_add(o, "schema_version", json_object_new_int(1));
	json_object_object_add(o, "tool_version", json_object_new_string(PACKAGE_VERSION));
	json_object_object_add(o, "made", json_time(s->r->now));
	json_object_object_add(o, "warning", json_object_new_string("Opening a volume for writing with a saved header destroys it where its encryption is unfinished."));
	json_object_object_add(o, "files", json_object_get(s->items));
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	ret = broker_create(s->r->broker, "manifest.json", 0600, e);
	if (ret == 0)
		ret = broker_write(s->r->broker, text, strlen(text), 0, e);
	if (ret == 0)
		ret = broker_finish(s->r->broker, strlen(text), 0600, 0, 0, s->r->now, e);
	json_object_put(o);
	return ret;
}

static int answer(const struct save *s)
{
	struct json_object *o;

	if (s->r->opt.json) {
		o = json_object_new_object();
		json_object_object_add(o, "schema_version", json_object_new_int(1));
		json_object_object_add(o, "folder", json_str(s->r->args[0]));
		json_object_object_add(o, "files", json_object_get(s->items));
		json_object_object_add(o, "failed", json_object_new_int64(s->failed));
		return json_print(o, stdout);
	}
	printf("saved  %u keys, %u LUKS headers, %u state directories, %u partition tables in %s\n", s->keys, s->headers, s->states, s->tables, s->r->args[0]);
	puts("       COPY IT OFF THIS VM; it holds keys: keep it as you keep a password");
	puts("STOP   a saved header is for safe keeping: opening a volume for writing with it\n"
	     "       destroys the volume where its encryption is unfinished");
	return fflush(stdout) ? -EIO : 0;
}

int cmd_save(struct rescue *r)
{
	static const char *const folders[] = { "keys", "headers", "tables", "state" };
	struct save s = { .r = r, .items = json_object_new_array(), .buf = malloc(CHUNK) };
	struct err e = { "" };
	int ret = s.buf && s.items ? 0 : err_oom(&e);

	for (size_t i = 0; ret == 0 && i < sizeof(folders) / sizeof(*folders); i++)
		ret = broker_mkdir(r->broker, folders[i], 0700, &e);
	if (ret == 0) {
		save_keys(&s);
		save_headers(&s);
		save_tables(&s);
		save_states(&s);
		ret = save_manifest(&s, &e);
	}
	if (ret < 0)
		fprintf(stderr, "aderescue: %s\n", e.msg);
	else
		ret = answer(&s);
	json_object_put(s.items);
	free(s.buf);
	return ret < 0 || s.failed ? EXIT_FAIL : EXIT_OK;
}
