/* SPDX-License-Identifier: MIT */
/* The extension's handler directories below /var/lib/waagent, in all names it was ever published under and in
 * both generations (0.1.x dual pass, 1.x single pass): config/N.settings (publicSettings as an object or as a
 * string of JSON), the rejected ones, HandlerState, mrseq and the last status. Which settings count is
 * decided as the extension does it: the newest by modification time that was not rejected. Protected settings
 * are only noted, never kept. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/facts.h"

#define cleanup_text cleanup(text_done)

enum { MAX_HANDLERS = 64, MAX_WAAGENT = 20000, MAX_FILES = 10000, MAX_SETTINGS = 1000, MAX_DEPTH = 32 };

static void json_free(struct json_object *o)
{
	json_object_put(o);
}
DEFINE_CLEANUP(struct json_object *, json, json_free)
#define cleanup_json cleanup(cleanup_jsonp)

/* Brackets open at once, strings skipped: asked before a parser recurses. */
static unsigned json_depth(const char *p, size_t n)
{
	unsigned depth = 0, deepest = 0;
	bool string = false;

	for (size_t i = 0; i < n; i++) {
		if (string && p[i] == '\\')
			i++;
		else if (p[i] == '"')
			string = !string;
		else if (!string && (p[i] == '{' || p[i] == '['))
			deepest = ++depth > deepest ? depth : deepest;
		else if (!string && (p[i] == '}' || p[i] == ']') && depth)
			depth--;
	}
	return deepest;
}

static int json_parse(const char *text, size_t len, struct json_object **ret, struct err *e)
{
	cleanup_json struct json_object *o = NULL;
	struct json_tokener *tok;
	enum json_tokener_error jerr;
	size_t used;

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		len -= 3;
	}
	if (!len)
		return err_set(e, -EBADMSG, "empty");
	if (len > TEXT_MAX)
		return err_set(e, -EBADMSG, "JSON above 1M");
	if (json_depth(text, len) > MAX_DEPTH)
		return err_set(e, -EBADMSG, "JSON nested deeper than %d", MAX_DEPTH);
	tok = json_tokener_new_ex(MAX_DEPTH + 1);
	if (!tok)
		return err_oom(e);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	o = json_tokener_parse_ex(tok, text, (int)len);
	jerr = json_tokener_get_error(tok);
	used = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	if (jerr != json_tokener_success || !o)
		return err_set(e, -EBADMSG, "JSON that does not parse (%s)",
			       jerr == json_tokener_success ? "null" : json_tokener_error_desc(jerr));
	for (; used < len; used++)
		if (!strchr(" \t\r\n", text[used]) || !text[used])
			return err_set(e, -EBADMSG, "JSON followed by something else");

	*ret = take_ptr(&o);
	return 0;
}

static struct json_object *member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &v))
		return NULL;
	return v;
}

static struct json_object *first(struct json_object *o)
{
	return json_object_is_type(o, json_type_array) && json_object_array_length(o)
		       ? json_object_array_get_idx(o, 0)
		       : NULL;
}

/* A member as text; NULL where it is absent or null, or where there is no memory, which sets *oom. */
static char *member_text(struct json_object *o, const char *name, bool *oom)
{
	struct json_object *v = member(o, name);
	const char *s = v ? json_object_get_string(v) : NULL;
	char *copy = s ? str_printf("%s", s) : NULL;

	*oom |= v && !copy;
	return copy;
}

static void settings_done(struct settings *s)
{
	free(s->why);
	free(s->operation);
	free(s->volume_type);
	free(s->kv_url);
	free(s->kv_id);
	free(s->kek_url);
	free(s->kek_kv_id);
	free(s->kek_alg);
	free(s->sequence_version);
	free(s->format_query);
	free(s->aad_client_id);
	free(s->aad_thumbprint);
	free(s->keystore_type);
	free(s->migrate_flag);
}

static int take_public(struct settings *s, struct json_object *o, struct err *e)
{
	bool oom = false;

	s->operation = member_text(o, "EncryptionOperation", &oom);
	s->volume_type = member_text(o, "VolumeType", &oom);
	s->kv_url = member_text(o, "KeyVaultURL", &oom);
	s->kv_id = member_text(o, "KeyVaultResourceId", &oom);
	s->kek_url = member_text(o, "KeyEncryptionKeyURL", &oom);
	s->kek_kv_id = member_text(o, "KekVaultResourceId", &oom);
	s->kek_alg = member_text(o, "KeyEncryptionAlgorithm", &oom);
	s->sequence_version = member_text(o, "SequenceVersion", &oom);
	s->format_query = member_text(o, "DiskFormatQuery", &oom);
	s->aad_client_id = member_text(o, "AADClientID", &oom);
	s->aad_thumbprint = member_text(o, "AADClientCertThumbprint", &oom);
	s->keystore_type = member_text(o, "KeyStoreType", &oom);
	s->migrate_flag = member_text(o, "MigrateFlag", &oom);
	return oom ? err_oom(e) : 0;
}

static int settings_parse(struct settings *s, const char *text, size_t len, struct err *e)
{
	cleanup_json struct json_object *o = NULL;
	cleanup_json struct json_object *inner = NULL;
	struct json_object *handler, *public;
	int err = json_parse(text, len, &o, e);

	if (err < 0)
		return err;
	handler = member(first(member(o, "runtimeSettings")), "handlerSettings");
	if (!handler)
		return err_set(e, -EBADMSG, "no runtimeSettings[0].handlerSettings in it");
	s->has_protected = member(handler, "protectedSettings") != NULL;

	public = member(handler, "publicSettings");
	if (json_object_is_type(public, json_type_string)) {
		err = json_parse(json_object_get_string(public), (size_t)json_object_get_string_len(public),
				 &inner, e);
		if (err < 0)
			return err_wrap(e, err, "publicSettings");
		public = inner;
	}
	if (public && !json_object_is_type(public, json_type_object))
		return err_set(e, -EBADMSG, "publicSettings is neither an object nor a string of JSON");
	return take_public(s, public, e);
}

static void settings_unreadable(struct settings *s, const char *why)
{
	s->unreadable = true;
	if (!s->why)
		s->why = str_printf("%s", why);
}

static int settings_read(struct vm *vm, const char *path, struct settings *s, struct err *e)
{
	cleanup_text struct text_file t = {0};
	struct fs_stat st = {0};
	struct err why = {""};
	int err = 0;

	if (vm_exists(vm, path, &st) == HAVE_YES) {
		s->mtime = st.mtime;
		s->mtime_nsec = st.mtime_nsec;
	}
	text_read(vm, path, &t);
	if (t.have != HAVE_YES) {
		settings_unreadable(s, t.why ? t.why : "not there");
		return 0;
	}
	err = settings_parse(s, t.text, t.len, &why);
	if (err == -ENOMEM)
		return err_oom(e);
	if (err < 0) {
		settings_unreadable(s, why.msg);
		vm_gap(vm, NULL, path, "%s", why.msg);
	}
	return 0;
}

/* "12.settings" -> 12 */
static bool numbered(const char *name, const char *suffix, uint64_t *ret)
{
	cleanup_free char *digits = NULL;

	if (!str_ends(name, suffix) || strlen(name) == strlen(suffix))
		return false;
	digits = str_ndup(name, strlen(name) - strlen(suffix));
	return digits && str_to_u64(digits, ret);
}

static bool has_seq(const struct extension *x, uint64_t seq)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->v[i].seq == seq)
			return true;
	return false;
}

static bool is_rejected(const struct names *names, uint64_t seq)
{
	uint64_t n;

	for (size_t i = 0; i < names->n; i++)
		if (numbered(names->v[i], ".settings.rejected", &n) && n == seq)
			return true;
	return false;
}

static int by_seq(const void *a, const void *b)
{
	const struct settings *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The settings files with this ending; a rejected one counts only where its twin is gone. */
static int read_settings(struct vm *vm, struct extension *x, const char *dir, const struct names *names,
			 const char *suffix, struct err *e)
{
	for (size_t i = 0; i < names->n; i++) {
		cleanup_free char *path = NULL;
		struct settings *s;
		uint64_t seq;
		int err;

		if (!numbered(names->v[i], suffix, &seq) || has_seq(x, seq))
			continue;
		if (x->n >= MAX_SETTINGS)
			return vm_gap(vm, NULL, dir, "more than %d settings files", MAX_SETTINGS) ? err_oom(e)
												  : 0;
		path = path_join(dir, names->v[i]);
		s = path ? vec_push(&x->v, &x->n) : NULL;
		if (!s)
			return err_oom(e);
		s->seq = seq;
		s->rejected = is_rejected(names, seq);
		err = settings_read(vm, path, s, e);
		if (err < 0)
			return err;
	}
	return 0;
}

static void find_newest(struct extension *x)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct settings *s = &x->v[i], *best = x->newest;

		if (s->rejected)
			continue;
		if (!best || s->mtime > best->mtime ||
		    (s->mtime == best->mtime && s->mtime_nsec >= best->mtime_nsec))
			x->newest = s;
	}
}

static int read_config(struct vm *vm, struct extension *x, struct err *e)
{
	cleanup_free char *dir = path_join(x->dir, "config");
	cleanup_free char *state = path_join(x->dir, "config/HandlerState");
	cleanup_names struct names names = {0};
	cleanup_text struct text_file t = {0};
	struct err why = {""};
	int err;

	if (!dir || !state)
		return err_oom(e);
	err = vm_names(vm, dir, MAX_FILES, &names, &why);
	if (err == -ENOMEM)
		return err_oom(e);
	if ((err < 0 && err != -ENOENT) || names.too_many)
		path_gap(vm, NULL, dir, err,
			 names.too_many ? "too many entries: not all were looked at" : why.msg);
	err = read_settings(vm, x, dir, &names, ".settings", e);
	if (!err)
		err = read_settings(vm, x, dir, &names, ".settings.rejected", e);
	if (err < 0)
		return err;
	if (x->n)
		qsort(x->v, x->n, sizeof(*x->v), by_seq);
	find_newest(x);

	text_read(vm, state, &t);
	if (t.have != HAVE_YES)
		return 0;
	x->handler_state = str_ndup(t.text, strcspn(t.text, " \t\r\n"));
	return x->handler_state ? 0 : err_oom(e);
}

/* The number that was run last. An empty file is "none", as the extension takes it. */
static int read_mrseq(struct vm *vm, struct extension *x, struct err *e)
{
	cleanup_free char *path = path_join(x->dir, "mrseq");
	cleanup_free char *digits = NULL;
	cleanup_text struct text_file t = {0};
	const char *p;

	if (!path)
		return err_oom(e);
	text_read(vm, path, &t);
	x->mrseq_have = t.have;
	if (t.have != HAVE_YES)
		return 0;
	p = t.text + strspn(t.text, " \t\r\n");
	digits = str_ndup(p, strcspn(p, " \t\r\n"));
	if (!digits)
		return err_oom(e);
	if (!t.len || str_eq(digits, "-1")) {
		x->mrseq_have = HAVE_NO;
	} else if (!str_to_u64(digits, &x->mrseq) || strlen(t.text) != t.len) {
		x->mrseq_have = HAVE_UNKNOWN;
		vm_gap(vm, NULL, path, "no number");
	}
	return 0;
}

/* "2014-05-29T04:20:13Z" -> seconds; 0 where it is none */
static int64_t parse_time(const char *s)
{
	struct tm tm = {0};
	const char *end = s ? strptime(s, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	return end && (*end == 'Z' || !*end) ? (int64_t)timegm(&tm) : 0;
}

static int take_status(struct extension *x, struct json_object *o, int64_t mtime, struct err *e)
{
	struct json_object *status = member(o, "status"), *sub;
	bool oom = false;
	cleanup_free char *stamp = member_text(o, "timestampUTC", &oom);
	cleanup_free char *volumes = NULL;
	cleanup_json struct json_object *inner = NULL;

	x->last_status = member_text(status, "status", &oom);
	x->last_message = member_text(member(status, "formattedMessage"), "message", &oom);
	x->last_status_time = parse_time(stamp);
	if (!x->last_status_time)
		x->last_status_time = mtime;

	sub = first(member(status, "substatus"));
	volumes = member_text(member(sub, "formattedMessage"), "message", &oom);
	if (volumes && json_parse(volumes, strlen(volumes), &inner, NULL) == 0) {
		x->status_os = member_text(inner, "os", &oom);
		x->status_data = member_text(inner, "data", &oom);
	}
	return oom ? err_oom(e) : 0;
}

/* The agent reports the status file of the highest number. */
static int read_status(struct vm *vm, struct extension *x, struct err *e)
{
	cleanup_free char *dir = path_join(x->dir, "status");
	cleanup_free char *path = NULL;
	cleanup_names struct names names = {0};
	cleanup_text struct text_file t = {0};
	cleanup_json struct json_object *o = NULL;
	const char *newest = NULL;
	uint64_t best = 0, n;
	struct err why = {""};
	int err;

	if (!dir)
		return err_oom(e);
	err = vm_names(vm, dir, MAX_FILES, &names, &why);
	if (err < 0 && err != -ENOENT && err != -ENOMEM)
		path_gap(vm, NULL, dir, err, why.msg);
	for (size_t i = 0; i < names.n; i++)
		if (numbered(names.v[i], ".status", &n) && (!newest || n >= best)) {
			newest = names.v[i];
			best = n;
		}
	path = newest ? path_join(dir, newest) : NULL;
	if (err == -ENOMEM || (newest && !path))
		return err_oom(e);
	if (!newest)
		return 0;
	text_read(vm, path, &t);
	if (t.have != HAVE_YES)
		return 0;
	err = json_parse(t.text, t.len, &o, &why);
	if (err < 0)
		return vm_gap(vm, NULL, path, "%s", why.msg) || err == -ENOMEM ? err_oom(e) : 0;
	return take_status(x, json_object_is_type(o, json_type_array) ? first(o) : o, t.mtime, e);
}

/* The version in a handler directory's name; NULL: not one of the extension's. */
static const char *handler_version(const char *name)
{
	static const char *const publishers[] = {
		"Microsoft.Azure.Security.Edp.",
		"Microsoft.Azure.Security.",
		"Microsoft.OSTCExtensions.",
	};
	static const char type[] = "AzureDiskEncryptionForLinux";

	for (size_t i = 0; i < sizeof(publishers) / sizeof(*publishers); i++) {
		const char *p = name + strlen(publishers[i]);

		if (!str_starts(name, publishers[i]) || !str_starts(p, type))
			continue;
		p += sizeof(type) - 1;
		if (str_starts(p, "Test"))
			p += 4;
		if (*p == '-' && p[1] >= '0' && p[1] <= '9' && p[1 + strspn(p + 1, "0123456789.")] == '\0')
			return p + 1;
	}
	return NULL;
}

static int version_cmp(const char *a, const char *b)
{
	while (*a || *b) {
		unsigned long long x = strtoull(a, NULL, 10), y = strtoull(b, NULL, 10);

		if (x != y)
			return x < y ? -1 : 1;
		a += strspn(a, "0123456789");
		b += strspn(b, "0123456789");
		a += *a == '.';
		b += *b == '.';
	}
	return 0;
}

static int read_handler(struct vm *vm, const char *name, const char *version, struct err *e)
{
	struct fs_stat st;
	struct extension *x;
	cleanup_free char *dir = path_join(WAAGENT_DIR, name);
	enum have have;
	int err;

	if (!dir)
		return err_oom(e);
	have = vm_exists(vm, dir, &st);
	if (have != HAVE_YES || st.type != FS_DIR)
		return 0;
	x = vec_push(&vm->exts, &vm->nexts);
	if (!x)
		return err_oom(e);
	x->dir = take_ptr(&dir);
	x->version = str_printf("%s", version);
	if (!x->version)
		return err_oom(e);
	x->dual_pass = str_starts(version, "0.");
	err = read_config(vm, x, e);
	if (!err)
		err = read_mrseq(vm, x, e);
	return err ? err : read_status(vm, x, e);
}

static void find_live(struct vm *vm)
{
	struct extension *best = NULL;

	for (size_t i = 0; i < vm->nexts; i++) {
		struct extension *x = &vm->exts[i];
		bool on = str_eq(x->handler_state, "Enabled");
		bool best_on = best && str_eq(best->handler_state, "Enabled");

		if (!best || (on && !best_on) ||
		    (on == best_on && version_cmp(x->version, best->version) > 0))
			best = x;
	}
	if (best)
		best->live = true;
	vm->ext = best;
}

void extensions_done(struct vm *vm)
{
	for (size_t i = 0; i < vm->nexts; i++) {
		struct extension *x = &vm->exts[i];

		for (size_t j = 0; j < x->n; j++)
			settings_done(&x->v[j]);
		free(x->v);
		free(x->dir);
		free(x->version);
		free(x->handler_state);
		free(x->last_status);
		free(x->last_message);
		free(x->status_os);
		free(x->status_data);
	}
	free(take_ptr(&vm->exts));
	vm->nexts = 0;
	vm->ext = NULL;
}

int extensions_read(struct vm *vm, struct err *e)
{
	cleanup_names struct names names = {0};
	struct err why = {""};
	int err = vm_names(vm, WAAGENT_DIR, MAX_WAAGENT, &names, &why);

	extensions_done(vm);
	if (err == -ENOMEM)
		return err_oom(e);
	if (err == -ENOENT && !vm_var_is_here(vm))
		err = err_set(&why, -ENODEV,
			      "there is no /var/lib here: /var probably lies on a volume that was not found");
	vm->waagent = err == -ENOENT ? HAVE_NO : err < 0 || names.too_many ? HAVE_UNKNOWN : HAVE_YES;
	if (vm->waagent == HAVE_UNKNOWN)
		path_gap(vm, NULL, WAAGENT_DIR, err,
			 err < 0 ? why.msg : "too many entries: not all were looked at");
	for (size_t i = 0; i < names.n; i++) {
		const char *version = handler_version(names.v[i]);

		if (!version)
			continue;
		if (vm->nexts >= MAX_HANDLERS) {
			vm->waagent = HAVE_UNKNOWN;
			vm_gap(vm, NULL, WAAGENT_DIR, "more than %d handler directories", MAX_HANDLERS);
			break;
		}
		err = read_handler(vm, names.v[i], version, e);
		if (err < 0)
			return err;
	}
	find_live(vm);
	return 0;
}
