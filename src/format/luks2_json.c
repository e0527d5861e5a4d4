/* SPDX-License-Identifier: MIT */
/* The JSON area of a LUKS2 header (LUKS2 on-disk-format 1.1.2, section 3). Size, depth, number of values and
 * length of strings are capped on the text, before json-c allocates anything for it. Believed is only what
 * libcryptsetup believes: all five top-level objects, numbers in the form the format demands, key areas
 * behind both copies and apart from one another, references that lead somewhere. One fault, and the copy is
 * not believed at all. */
#include "format/luks_parts.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"

enum {
	MAX_DEPTH = LUKS2_MAX_DEPTH,
	MAX_KEY = 512, /* bytes of a volume key: unbound keys can be longer than ciphers need */
	MAX_SECTOR = 4096,
};
static const uint64_t max_slots_size = 128 << 20;

struct doc {
	struct json_object *keyslots, *tokens, *segments, *digests, *config;
	uint64_t hdr_size, areas_end;
	uint32_t slots, segs; /* bits by id */
	unsigned digests_of[LUKS_MAX_SLOTS];
	struct luks_info *info;
	struct err *why;
};

static void cleanup_jsonp(struct json_object **p)
{
	json_object_put(*p);
}
static void cleanup_tokenerp(struct json_tokener **p)
{
	if (*p)
		json_tokener_free(*p);
}

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, type))
		return NULL;
	return v;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v = member(o, key, json_type_string);

	return v ? json_object_get_string(v) : NULL;
}

/* Offsets and sizes are decimal strings. */
static bool number_of(struct json_object *o, const char *key, uint64_t *ret)
{
	const char *s = text_of(o, key);

	return s && str_to_u64(s, ret);
}

static bool int_of(struct json_object *o, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	struct json_object *v = member(o, key, json_type_int);
	int64_t n = v ? json_object_get_int64(v) : min - 1;

	if (!v || n < min || n > max)
		return false;
	*ret = n;
	return true;
}

static bool id_of(const char *key, unsigned max, unsigned *ret)
{
	uint64_t n;

	if (!str_to_u64(key, &n) || n >= max)
		return false;
	*ret = (unsigned)n;
	return true;
}

static void copy_text(struct json_object *o, const char *key, char *out, size_t room)
{
	const char *s = text_of(o, key);

	luks_text(out, room, s ? s : "", s ? strlen(s) : 0);
}

/* Calls fn with every member of an object; stops at the first answer below 0. */
static int each(struct doc *d, struct json_object *o,
		int (*fn)(struct doc *, const char *key, struct json_object *v, void *arg), void *arg)
{
	struct json_object_iterator it = json_object_iter_begin(o), end = json_object_iter_end(o);

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		int r = fn(d, json_object_iter_peek_name(&it), json_object_iter_peek_value(&it), arg);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- key slots ---- */

static int area_overlaps(const struct doc *d, const struct luks_slot *s)
{
	for (unsigned i = 0; i < d->info->nslots; i++) {
		const struct luks_slot *o = &d->info->slots[i];

		if (o != s && s->area_offset < o->area_offset + o->area_size &&
		    o->area_offset < s->area_offset + s->area_size)
			return err_set(d->why, -EBADMSG, "the areas of key slots %d and %d overlap", o->id,
				       s->id);
	}
	return 0;
}

static int read_area(struct doc *d, struct json_object *area, struct luks_slot *s)
{
	uint64_t end;

	if (!text_of(area, "type") || !number_of(area, "offset", &s->area_offset) ||
	    !number_of(area, "size", &s->area_size))
		return err_set(d->why, -EBADMSG, "the area of key slot %d is malformed", s->id);
	if (!s->area_size || s->area_offset < 2 * d->hdr_size ||
	    add_overflows(s->area_offset, s->area_size, &end) || end > d->areas_end)
		return err_set(d->why, -EBADMSG, "the area of key slot %d lies outside the key slots area",
			       s->id);
	return area_overlaps(d, s);
}

static int read_kdf(struct doc *d, struct json_object *kdf, struct luks_slot *s)
{
	int64_t time = 0, memory = 0, cpus = 1;
	bool sound = text_of(kdf, "type") && text_of(kdf, "salt");

	copy_text(kdf, "type", s->kdf, sizeof(s->kdf));
	copy_text(kdf, "hash", s->hash, sizeof(s->hash));
	if (str_eq(s->kdf, "pbkdf2"))
		sound = sound && s->hash[0] && int_of(kdf, "iterations", 0, INT64_MAX, &time);
	else if (str_eq(s->kdf, "argon2i") || str_eq(s->kdf, "argon2id"))
		sound = sound && int_of(kdf, "time", 0, INT64_MAX, &time) &&
			int_of(kdf, "memory", 0, INT64_MAX / 1024, &memory) &&
			int_of(kdf, "cpus", 0, INT32_MAX, &cpus);
	if (!sound)
		return err_set(d->why, -EBADMSG, "the key derivation of key slot %d is malformed", s->id);
	s->cpus = (unsigned)cpus;
	s->iterations = (uint64_t)time;
	s->memory = (uint64_t)memory * 1024;
	return 0;
}

static int read_passphrase_slot(struct doc *d, struct json_object *o, struct luks_slot *s)
{
	struct json_object *af = member(o, "af", json_type_object),
			   *area = member(o, "area", json_type_object);
	struct json_object *kdf = member(o, "kdf", json_type_object);
	int64_t size, stripes;

	if (!af || !area || !kdf || !str_eq(text_of(area, "type"), "raw") || !text_of(area, "encryption") ||
	    !int_of(area, "key_size", 1, MAX_KEY, &size))
		return err_set(d->why, -EBADMSG, "key slot %d is malformed", s->id);
	if (!str_eq(text_of(af, "type"), "luks1") || !text_of(af, "hash") ||
	    !int_of(af, "stripes", LUKS_STRIPES, LUKS_STRIPES, &stripes))
		return err_set(d->why, -EBADMSG, "the anti-forensic splitter of key slot %d is malformed",
			       s->id);
	if (luks_area_size(s->key_size) > s->area_size)
		return err_set(d->why, -EBADMSG, "the area of key slot %d is too small for its key", s->id);
	copy_text(area, "encryption", s->area_cipher, sizeof(s->area_cipher));
	s->active = true;
	return read_kdf(d, kdf, s);
}

static int read_reencrypt_slot(struct doc *d, struct json_object *o, struct luks_slot *s)
{
	struct json_object *area = member(o, "area", json_type_object);
	int64_t sector = 0;

	if (!text_of(o, "mode") || !text_of(o, "direction"))
		return err_set(d->why, -EBADMSG, "re-encryption slot %d is malformed", s->id);
	copy_text(o, "mode", s->mode, sizeof(s->mode));
	copy_text(o, "direction", s->direction, sizeof(s->direction));
	copy_text(area, "type", s->resilience, sizeof(s->resilience));
	copy_text(area, "hash", s->resilience_hash, sizeof(s->resilience_hash));
	if (int_of(area, "sector_size", 512, MAX_SECTOR, &sector))
		s->resilience_sector = (uint64_t)sector;
	if (text_of(area, "shift_size") && !number_of(area, "shift_size", &s->shift_size))
		return err_set(d->why, -EBADMSG, "re-encryption slot %d is malformed", s->id);
	s->reencrypt = true;
	return 0;
}

static int read_slot(struct doc *d, const char *key, struct json_object *o, void *arg)
{
	struct json_object *area = member(o, "area", json_type_object);
	struct luks_slot *s;
	int64_t size, priority = 1;
	unsigned id;
	int r;

	(void)arg;
	if (!id_of(key, LUKS_MAX_SLOTS, &id) || (d->slots & 1U << id) || d->info->nslots == LUKS_MAX_SLOTS)
		return err_set(d->why, -EBADMSG, "a key slot has no proper number");
	if (!text_of(o, "type") || !int_of(o, "key_size", 1, MAX_KEY, &size) || !area)
		return err_set(d->why, -EBADMSG, "key slot %u is malformed", id);
	if (json_object_object_get_ex(o, "priority", NULL) && !int_of(o, "priority", 0, 2, &priority))
		return err_set(d->why, -EBADMSG, "the priority of key slot %u is malformed", id);
	d->slots |= 1U << id;
	s = &d->info->slots[d->info->nslots++];
	s->id = (int)id;
	s->key_size = (unsigned)size;
	s->priority = (int)priority;
	r = read_area(d, area, s);
	if (r < 0)
		return r;
	if (str_eq(text_of(o, "type"), "luks2"))
		return read_passphrase_slot(d, o, s);
	if (str_eq(text_of(o, "type"), "reencrypt"))
		return read_reencrypt_slot(d, o, s);
	return 0; /* a type of the future: there, but not ours to try */
}

/* ---- segments ---- */

static int read_flags(struct doc *d, struct json_object *o, struct luks_segment *s)
{
	struct json_object *flags = NULL;

	if (!json_object_object_get_ex(o, "flags", &flags))
		return 0;
	if (!json_object_is_type(flags, json_type_array))
		return err_set(d->why, -EBADMSG, "the flags of segment %d are malformed", s->id);
	for (size_t i = 0; i < json_object_array_length(flags); i++) {
		struct json_object *f = json_object_array_get_idx(flags, i);
		const char *name =
			json_object_is_type(f, json_type_string) ? json_object_get_string(f) : NULL;

		if (!name)
			return err_set(d->why, -EBADMSG, "the flags of segment %d are malformed", s->id);
		s->in_reencryption |= str_eq(name, "in-reencryption");
		s->backup_previous |= str_eq(name, "backup-previous");
		s->backup_final |= str_eq(name, "backup-final");
		s->backup_moved |= str_eq(name, "backup-moved-segment");
	}
	return 0;
}

static int read_crypt_segment(struct doc *d, struct json_object *o, struct luks_segment *s)
{
	const char *cipher = text_of(o, "encryption");
	int64_t sector;

	if (!cipher || !*cipher || !number_of(o, "iv_tweak", &s->iv_tweak) ||
	    !int_of(o, "sector_size", 512, MAX_SECTOR, &sector) || (sector & (sector - 1)))
		return err_set(d->why, -EBADMSG, "segment %d is malformed", s->id);
	copy_text(o, "encryption", s->cipher, sizeof(s->cipher));
	s->sector_size = (unsigned)sector;
	s->integrity = json_object_object_get_ex(o, "integrity", NULL);
	if (s->size % s->sector_size)
		return err_set(d->why, -EBADMSG, "the size of segment %d is no multiple of its sectors",
			       s->id);
	return 0;
}

static int read_segment(struct doc *d, const char *key, struct json_object *o, void *arg)
{
	const char *type = text_of(o, "type"), *size = text_of(o, "size");
	struct luks_segment *s;
	unsigned id;
	int r;

	(void)arg;
	if (!id_of(key, 32, &id) || (d->segs & 1U << id) || d->info->nsegments == LUKS_MAX_SEGMENTS)
		return err_set(d->why, -EBADMSG, "a segment has no proper number, or there are too many");
	d->segs |= 1U << id;
	s = &d->info->segments[d->info->nsegments++];
	s->id = (int)id;
	if (!type || !size || !number_of(o, "offset", &s->offset) || s->offset % LUKS_SECTOR)
		return err_set(d->why, -EBADMSG, "segment %u is malformed", id);
	if (!str_eq(size, "dynamic") &&
	    (!number_of(o, "size", &s->size) || !s->size || s->size % LUKS_SECTOR))
		return err_set(d->why, -EBADMSG, "the size of segment %u is malformed", id);
	copy_text(o, "type", s->type, sizeof(s->type));
	r = read_flags(d, o, s);
	if (r < 0)
		return r;
	return str_eq(type, "crypt") ? read_crypt_segment(d, o, s) : 0;
}

static bool is_backup(const struct luks_segment *s)
{
	return s->backup_previous || s->backup_final || s->backup_moved;
}

/* A segment may claim to go on for ever; then it does. */
static uint64_t end_of(const struct luks_segment *s)
{
	uint64_t end;

	return !s->size || add_overflows(s->offset, s->size, &end) ? UINT64_MAX : end;
}

static int by_id(const void *a, const void *b)
{
	const struct luks_segment *x = a, *y = b;

	return x->id - y->id;
}

/* Regular segments are numbered from 0, backups of a re-encryption follow; regular ones do not overlap. */
static int check_segments(struct doc *d)
{
	struct luks_segment *v = d->info->segments;
	unsigned n = d->info->nsegments, regular = 0;

	qsort(v, n, sizeof(*v), by_id);
	while (regular < n && !is_backup(&v[regular]))
		regular++;
	if (!regular)
		return err_set(d->why, -EBADMSG, "there is no segment");
	for (unsigned i = 0; i < n; i++) {
		if (v[i].id != (int)i || (i >= regular && !is_backup(&v[i])))
			return err_set(d->why, -EBADMSG, "the segments are not numbered as they must be");
		for (unsigned j = 0; i < regular && j < i; j++)
			if (v[i].offset < end_of(&v[j]) && v[j].offset < end_of(&v[i]))
				return err_set(d->why, -EBADMSG, "segments %u and %u overlap", j, i);
		if (i + 1 < regular && !v[i].size)
			return err_set(d->why, -EBADMSG, "segment %u has no end, but is not the last", i);
	}
	return 0;
}

/* ---- digests and tokens: what they refer to must be there ---- */

/* The bits of the ids in an array of strings. */
static int read_refs(struct doc *d, struct json_object *o, const char *key, uint32_t there, uint32_t *ret)
{
	struct json_object *a = member(o, key, json_type_array);
	uint32_t bits = 0;

	if (!a)
		return err_set(d->why, -EBADMSG, "a list of %s is malformed", key);
	for (size_t i = 0; i < json_object_array_length(a); i++) {
		struct json_object *v = json_object_array_get_idx(a, i);
		unsigned id;

		if (!json_object_is_type(v, json_type_string) || !id_of(json_object_get_string(v), 32, &id))
			return err_set(d->why, -EBADMSG, "a list of %s is malformed", key);
		if (!(there & 1U << id))
			return err_set(d->why, -EBADMSG,
				       "a list names number %u of the %s, which is not there", id, key);
		bits |= 1U << id;
	}
	*ret = bits;
	return 0;
}

/* Which segment tells cipher and key: the one the re-encryption leads to, else the first encrypted one. */
static const struct luks_segment *main_segment(const struct luks_info *info)
{
	const struct luks_segment *found = NULL;

	for (unsigned i = 0; i < info->nsegments; i++) {
		const struct luks_segment *s = &info->segments[i];

		if (!str_eq(s->type, "crypt"))
			continue;
		if (s->backup_final)
			return s;
		if (!found)
			found = s;
	}
	return found;
}

/* The digest of the re-encryption: what cannot be read of it does not vouch for anything. */
static void read_reencrypt_digest(struct doc *d, struct json_object *o, int64_t iterations)
{
	struct luks_digest *g = &d->info->reencrypt;

	*g = (struct luks_digest){ .iterations = (uint64_t)iterations };
	if (!str_eq(text_of(o, "type"), "pbkdf2"))
		return;
	copy_text(o, "hash", g->hash, sizeof(g->hash));
	g->salt_len = luks2_decode(text_of(o, "salt"), g->salt, sizeof(g->salt));
	g->sum_len = luks2_decode(text_of(o, "digest"), g->sum, sizeof(g->sum));
}

static int read_digest(struct doc *d, const char *key, struct json_object *o, void *arg)
{
	const struct luks_segment *payload = main_segment(d->info);
	uint32_t slots, segs;
	int64_t iterations;
	unsigned id;
	int r;

	(void)arg;
	if (!id_of(key, 32, &id) || !text_of(o, "type"))
		return err_set(d->why, -EBADMSG, "a digest is malformed");
	r = read_refs(d, o, "keyslots", d->slots, &slots);
	if (!r)
		r = read_refs(d, o, "segments", d->segs, &segs);
	if (r < 0)
		return r;
	if (!str_eq(text_of(o, "type"), "pbkdf2"))
		iterations = 0;
	else if (!text_of(o, "hash") || !text_of(o, "salt") || !text_of(o, "digest") ||
		 !int_of(o, "iterations", 0, INT64_MAX, &iterations))
		return err_set(d->why, -EBADMSG, "digest %u is malformed", id);
	for (unsigned i = 0; i < d->info->nslots; i++) {
		struct luks_slot *s = &d->info->slots[i];

		if (!(slots & 1U << s->id))
			continue;
		d->digests_of[s->id]++;
		if (s->reencrypt)
			read_reencrypt_digest(d, o, iterations);
		s->unbound = !segs;
		if (payload && (segs & 1U << payload->id) && s->active)
			d->info->key_size = s->key_size;
	}
	/* the dearest digest is what a trial can cost */
	if ((uint64_t)iterations >= d->info->digest_iterations) {
		d->info->digest_iterations = (uint64_t)iterations;
		copy_text(o, "hash", d->info->digest_hash, sizeof(d->info->digest_hash));
	}
	return 0;
}

static int check_digests(const struct doc *d)
{
	for (unsigned i = 0; i < d->info->nslots; i++) {
		const struct luks_slot *s = &d->info->slots[i];

		if (d->digests_of[s->id] > 1)
			return err_set(d->why, -EBADMSG, "key slot %d has more than one digest", s->id);
		if (s->active && !d->digests_of[s->id])
			return err_set(d->why, -EBADMSG, "key slot %d has no digest", s->id);
	}
	return 0;
}

static int read_token(struct doc *d, const char *key, struct json_object *o, void *arg)
{
	uint32_t slots;
	unsigned id;

	(void)arg;
	if (!id_of(key, LUKS_MAX_TOKENS, &id) || !text_of(o, "type"))
		return err_set(d->why, -EBADMSG, "a token is malformed");
	d->info->ade_token |= str_eq(text_of(o, "type"), "Azure_Disk_Encryption");
	return read_refs(d, o, "keyslots", d->slots, &slots);
}

/* ---- config ---- */

static int read_requirements(struct doc *d)
{
	struct json_object *req = NULL, *list;

	if (!json_object_object_get_ex(d->config, "requirements", &req))
		return 0;
	if (!json_object_is_type(req, json_type_object))
		return err_set(d->why, -EBADMSG, "the requirements are malformed");
	if (!json_object_object_get_ex(req, "mandatory", &list))
		return 0;
	if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) > LUKS_MAX_REQS)
		return err_set(d->why, -EBADMSG, "the requirements are malformed, or too many");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *v = json_object_array_get_idx(list, i);
		char *out = d->info->requirements[d->info->nrequirements];

		if (!json_object_is_type(v, json_type_string))
			return err_set(d->why, -EBADMSG, "the requirements are malformed");
		luks_text(out, sizeof(d->info->requirements[0]), json_object_get_string(v),
			  (size_t)json_object_get_string_len(v));
		d->info->nrequirements++;
	}
	return 0;
}

static int read_config(struct doc *d)
{
	struct json_object *flags = NULL;
	uint64_t json_size, slots_size;

	if (!number_of(d->config, "json_size", &json_size) || json_size != d->hdr_size - LUKS2_BIN)
		return err_set(d->why, -EBADMSG, "the configured size of the JSON area is wrong");
	if (!number_of(d->config, "keyslots_size", &slots_size) || slots_size % 4096 ||
	    slots_size > max_slots_size)
		return err_set(d->why, -EBADMSG, "the configured size of the key slots area is wrong");
	if (json_object_object_get_ex(d->config, "flags", &flags) &&
	    !json_object_is_type(flags, json_type_array))
		return err_set(d->why, -EBADMSG, "the flags of the configuration are malformed");
	d->areas_end = 2 * d->hdr_size + slots_size;
	d->info->total_size = d->areas_end;
	return read_requirements(d);
}

/* The payload must begin behind the key slots area, unless it is on another device (offset 0). */
static int read_payload(struct doc *d)
{
	const struct luks_segment *s = main_segment(d->info);
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < d->info->nsegments; i++)
		if (!is_backup(&d->info->segments[i]) && d->info->segments[i].offset < first)
			first = d->info->segments[i].offset;
	if (first && first < d->areas_end)
		return err_set(d->why, -EBADMSG, "the key slots area overlaps the payload");
	if (!s)
		return 0;
	snprintf(d->info->cipher, sizeof(d->info->cipher), "%s", s->cipher);
	d->info->sector_size = s->sector_size;
	d->info->payload_offset = s->offset;
	return 0;
}

static int read_doc(struct doc *d, struct json_object *root)
{
	int r;

	d->keyslots = member(root, "keyslots", json_type_object);
	d->tokens = member(root, "tokens", json_type_object);
	d->segments = member(root, "segments", json_type_object);
	d->digests = member(root, "digests", json_type_object);
	d->config = member(root, "config", json_type_object);
	if (!d->keyslots || !d->tokens || !d->segments || !d->digests || !d->config)
		return err_set(d->why, -EBADMSG,
			       "its JSON lacks one of keyslots, tokens, segments, digests, config");
	r = read_config(d);
	if (!r)
		r = each(d, d->keyslots, read_slot, NULL);
	if (!r)
		r = each(d, d->segments, read_segment, NULL);
	if (!r)
		r = check_segments(d);
	if (!r)
		r = each(d, d->digests, read_digest, NULL);
	if (!r)
		r = check_digests(d);
	if (!r)
		r = each(d, d->tokens, read_token, NULL);
	if (!r)
		r = read_payload(d);
	return r < 0 ? r : 1;
}

int luks2_json_read(const char *area, size_t size, uint64_t hdr_size, struct luks_info *ret, struct err *e)
{
	cleanup(cleanup_tokenerp) struct json_tokener *tok = NULL;
	cleanup(cleanup_jsonp) struct json_object *root = NULL;
	struct doc d = { .hdr_size = hdr_size, .info = ret, .why = e };
	size_t len;

	if (!size || area[0] != '{')
		return err_set(e, -EBADMSG, "its JSON does not begin with an object");
	len = luks2_measure(area, size, e);
	if (!len)
		return -EBADMSG;
	if (len == size || !bytes_all_zero(area + len, size - len))
		return err_set(e, -EBADMSG, "there are other bytes behind its JSON");
	tok = json_tokener_new_ex(MAX_DEPTH);
	if (!tok)
		return -ENOMEM;
	root = json_tokener_parse_ex(tok, area, (int)len);
	if (!root)
		return err_set(e, -EBADMSG, "its JSON is malformed: %s",
			       json_tokener_error_desc(json_tokener_get_error(tok)));
	return read_doc(&d, root);
}
