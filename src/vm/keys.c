/* SPDX-License-Identifier: MIT */
/* Keys as they are found and the forms in which they are tried. The whole content of a key file is the
 * passphrase, but people copy keys through editors (a newline comes on), PowerShell (UTF-16, byte order
 * marks) and Key Vault (one more base64 layer): each of these is undone, once. Two keys of the same bytes are
 * one key. An empty key file is not tried as itself; it brings the empty passphrase, which may have been set
 * from such a file. */
#include "vm/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

enum { MAX_FORMS = 8, MAX_KEYS = 1024 };

void key_free(struct key *k)
{
	if (!k)
		return;
	secret_free(k->raw);
	free(k->found_at);
	free(k->name);
	free(k);
}

/* ---- base64 ---- */

enum alphabet { BASE64_EITHER, BASE64_STANDARD, BASE64_URL, BASE64_NONE };

/* One character; which alphabet it is of goes to *a. */
static uint32_t digit_of(uint8_t c, enum alphabet *a)
{
	*a = BASE64_EITHER;
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26U;
	if (c >= '0' && c <= '9')
		return c - '0' + 52U;
	*a = c == '+' || c == '/' ? BASE64_STANDARD : c == '-' || c == '_' ? BASE64_URL : BASE64_NONE;
	return c == '+' || c == '-' ? 62 : 63;
}

/* Decodes all of p but line breaks; out has room for n bytes. The length, or -1 where it is not base64.
 * Without its padding it counts as of the URL alphabet, which leaves it out. */
static long decode(const uint8_t *p, size_t n, uint8_t *out, enum alphabet *ret)
{
	enum alphabet seen = BASE64_EITHER, a;
	size_t digits = 0, pads = 0;
	uint32_t bits = 0, have = 0, d;
	long len = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || p[i] == '\r')
			continue;
		if (p[i] == '=') {
			pads++;
			continue;
		}
		d = digit_of(p[i], &a);
		if (a == BASE64_NONE || pads || (a != BASE64_EITHER && seen != BASE64_EITHER && a != seen))
			return -1;
		seen = a != BASE64_EITHER ? a : seen;
		bits = bits << 6 | d;
		have += 6;
		digits++;
		if (have >= 8) {
			have -= 8;
			out[len++] = (uint8_t)(bits >> have);
			bits &= (1U << have) - 1;
		}
	}
	if (digits % 4 == 1 || (pads && (digits + pads) % 4) || pads > 2)
		return -1;
	if (digits % 4 && !pads)
		seen = seen == BASE64_STANDARD ? BASE64_NONE : BASE64_URL;
	*ret = seen;
	return seen == BASE64_NONE ? -1 : len;
}

/* ---- forms ---- */

struct forms {
	struct key_form *v;
	int n;
	bool failed;
};
/* What the four forms of a text are called, by the coding it came in. */
struct names {
	const char *as_is, *cut, *base64, *base64url;
};
static const struct names plain_names = {
	"as is",
	"without trailing newline",
	"base64-decoded once",
	"base64url-decoded once",
};
static const struct names utf16_names = {
	"UTF-16 decoded",
	"UTF-16 decoded, without trailing newline",
	"UTF-16 decoded, base64-decoded once",
	"UTF-16 decoded, base64url-decoded once",
};
static const struct names utf8_names = {
	"without byte order mark",
	"without byte order mark and trailing newline",
	"without byte order mark, base64-decoded once",
	"without byte order mark, base64url-decoded once",
};

/* Takes bytes; an empty or a known form is dropped. */
static void add_form(struct forms *f, struct secret *bytes, const char *variant)
{
	bool dup = !bytes || !bytes->len || f->n == MAX_FORMS;

	f->failed |= !bytes;
	for (int i = 0; !dup && i < f->n; i++)
		dup = f->v[i].bytes->len == bytes->len &&
		      memcmp(f->v[i].bytes->data, bytes->data, bytes->len) == 0;
	if (dup)
		secret_free(bytes);
	else
		f->v[f->n++] = (struct key_form){ .bytes = bytes, .variant = variant };
}

static void add_text_forms(struct forms *f, const uint8_t *p, size_t n, const struct names *names)
{
	struct secret *decoded;
	enum alphabet a;
	long len;

	add_form(f, secret_copy(p, n), names->as_is);
	while (n && (p[n - 1] == '\n' || p[n - 1] == '\r'))
		n--;
	add_form(f, secret_copy(p, n), names->cut);
	decoded = secret_new(n);
	if (!decoded) {
		f->failed = true;
		return;
	}
	len = decode(p, n, decoded->data, &a);
	decoded->len = len > 0 ? (size_t)len : 0;
	add_form(f, decoded, a == BASE64_URL && len > 0 ? names->base64url : names->base64);
}

/* UTF-16 with a byte order mark, when all of it is ASCII. Returns false where it is not. */
static bool decode_utf16(const uint8_t *p, size_t n, uint8_t *out)
{
	bool big = n >= 2 && p[0] == 0xfe && p[1] == 0xff, little = n >= 2 && p[0] == 0xff && p[1] == 0xfe;

	if ((!big && !little) || n % 2)
		return false;
	for (size_t i = 2; i < n; i += 2) {
		uint8_t high = big ? p[i] : p[i + 1], low = big ? p[i + 1] : p[i];

		if (high || low >= 0x80)
			return false;
		out[i / 2 - 1] = low;
	}
	return true;
}

static void add_all_forms(struct forms *f, const struct secret *raw)
{
	static const uint8_t bom8[3] = { 0xef, 0xbb, 0xbf };
	cleanup_secret struct secret *text = NULL;

	add_text_forms(f, raw->data, raw->len, &plain_names);
	if (raw->len > sizeof(bom8) && memcmp(raw->data, bom8, sizeof(bom8)) == 0)
		add_text_forms(f, raw->data + sizeof(bom8), raw->len - sizeof(bom8), &utf8_names);
	if (raw->len < 4)
		return;
	text = secret_new(raw->len / 2 - 1);
	if (!text)
		f->failed = true;
	else if (decode_utf16(raw->data, raw->len, text->data))
		add_text_forms(f, text->data, text->len, &utf16_names);
}

int key_forms(const struct key *k, struct key_form ret[8])
{
	struct forms f = { .v = ret };

	if (k->origin == KEY_EMPTY) {
		ret[0] = (struct key_form){ .bytes = secret_new(0), .variant = "the empty passphrase" };
		return ret[0].bytes ? 1 : -ENOMEM;
	}
	if (k->empty_file || !k->raw)
		return 0;
	add_all_forms(&f, k->raw);
	if (!f.failed)
		return f.n;
	while (f.n)
		secret_free(ret[--f.n].bytes);
	return -ENOMEM;
}

bool key_is_wrapped(const void *bytes, size_t n)
{
	cleanup_secret struct secret *out = n ? secret_new(n) : NULL;
	enum alphabet a;
	long len = out ? decode(bytes, n, out->data, &a) : -1;

	return len == 256 || len == 384 || len == 512;
}

/* ---- the graph's list ---- */

/* The empty passphrase stays the last of the list. */
static int append(struct graph *g, struct key *k, struct err *e)
{
	struct key **slot = vec_push(&g->keys, &g->nkeys);

	if (!slot) {
		key_free(k);
		return err_oom(e);
	}
	*slot = k;
	if (g->nkeys >= 2 && slot[-1]->origin == KEY_EMPTY && k->origin != KEY_EMPTY) {
		slot[0] = slot[-1];
		slot[-1] = k;
	}
	return 1;
}

static int append_empty(struct graph *g, const struct key *file, struct err *e)
{
	cleanup_key struct key *k = NULL;

	for (size_t i = 0; i < g->nkeys; i++)
		if (g->keys[i]->origin == KEY_EMPTY)
			return 1;
	k = calloc(1, sizeof(*k));
	if (!k)
		return err_oom(e);
	k->origin = KEY_EMPTY;
	k->node = file->node;
	k->raw = secret_new(0);
	k->name = str_printf("%s", "");
	k->found_at = str_printf("%s", file->found_at ? file->found_at : "");
	if (!k->raw || !k->name || !k->found_at)
		return err_oom(e);
	return append(g, take_ptr(&k), e);
}

static bool is_same(const struct key *a, const struct key *b)
{
	return a->origin != KEY_EMPTY && a->raw && b->raw && a->raw->len == b->raw->len &&
	       memcmp(a->raw->data, b->raw->data, a->raw->len) == 0;
}

int keys_add(struct graph *g, struct key *k, struct err *e)
{
	int r;

	if (k->origin != KEY_EMPTY && (!k->raw || !k->raw->len))
		k->empty_file = true;
	for (size_t i = 0; !k->empty_file && i < g->nkeys; i++)
		if (is_same(g->keys[i], k)) {
			key_free(k);
			return 0;
		}
	if (g->nkeys >= MAX_KEYS) {
		key_free(k);
		return err_set(e, 0, "more than %d keys: the others are not tried", MAX_KEYS);
	}
	if (k->raw && k->raw->len)
		k->wrapped = key_is_wrapped(k->raw->data, k->raw->len);
	r = append(g, k, e);
	if (r > 0 && k->empty_file)
		r = append_empty(g, k, e);
	return r;
}
