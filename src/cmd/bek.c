/* SPDX-License-Identifier: MIT */
/* bek: BEK VOLUMEs, their files, and what their keys open. A key is named by where it was found, its length, and what it opens. */
#include "cmd/cmd.h"
#include "report/report.h"

#include <string.h>

#include "base/str.h"

static struct json_object *json_bek(const struct bek_volume *b)
{
	struct json_object *o = json_object_new_object(), *files = json_object_new_array();

	for (size_t i = 0; i < b->nfiles; i++) {
		struct json_object *f = json_object_new_object();

		json_object_object_add(f, "name", json_str(b->files[i].name));
		json_object_object_add(f, "size", json_object_new_int64((int64_t)b->files[i].size));
		json_object_object_add(f, "passphrase", json_object_new_boolean(b->files[i].passphrase));
		json_object_object_add(f, "why", *b->files[i].why.msg ? json_str(b->files[i].why.msg) : NULL);
		json_object_array_add(files, f);
	}
	json_object_object_add(o, "node", json_str(b->node->name));
	json_object_object_add(o, "label", json_object_new_boolean(b->by_label));
	json_object_object_add(o, "files", files);
	json_object_object_add(o, "why", *b->why.msg ? json_str(b->why.msg) : NULL);
	return o;
}

/* What a key opens, in words, appended to s. */
static void say_opens(const struct rescue *r, const struct key *k, struct str *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->graph.nheaders; i++) {
		const struct header *h = r->graph.headers[i];
		const struct node *volume = h->volume ? h->volume : h->detached ? NULL : h->node;
		cleanup_free char *place = header_place(h);

		if (h->by != k || !h->vk)
			continue;
		str_add(s, n++ ? ", " : "opens ");
		if (volume)
			str_add_escaped(s, volume->name, strlen(volume->name), true);
		else
			str_add(s, "no attached volume");
		str_add(s, " (header ");
		str_add_escaped(s, place ? place : "?", place ? strlen(place) : 1, true);
		str_addf(s, ", slot %d)", h->slot);
	}
	if (!n)
		str_add(s, k->empty_file ? "EMPTY FILE (0 bytes): the key is not here" : k->wrapped ? "opens nothing; probably still wrapped by a KEK" : "opens nothing");
	if (n && k->variant && strcmp(k->variant, "as is"))
		str_addf(s, ", used %s", k->variant);
}

static void text_keys(const struct rescue *r, FILE *f)
{
	for (size_t i = 0; i < r->graph.nkeys; i++) {
		const struct key *k = r->graph.keys[i];
		cleanup_str struct str s = { 0 };

		if (k->origin == KEY_EMPTY && !k->opens)
			continue;
		str_add_escaped(&s, k->found_at, strlen(k->found_at), true);
		if (k->origin == KEY_EMPTY)
			str_add(&s, ": THE EMPTY PASSPHRASE ");
		else
			str_addf(&s, ": %ju bytes, ", (uintmax_t)k->length);
		say_opens(r, k, &s);
		fprintf(f, "%s\n", str_text(&s));
	}
}

/* Locked: there are headers, and no key opens any. */
static bool nothing_opens(const struct rescue *r)
{
	for (size_t i = 0; i < r->graph.nheaders; i++)
		if (r->graph.headers[i]->vk)
			return false;
	return r->graph.nheaders > 0;
}

int cmd_bek(struct rescue *r)
{
	int code = !r->find.nbeks ? EXIT_NONE : nothing_opens(r) ? EXIT_UNKNOWN : EXIT_OK;
	struct json_object *o, *volumes;

	if (!r->opt.json) {
		for (size_t i = 0; i < r->find.nbeks; i++) {
			const struct bek_volume *b = r->find.beks[i];

			printf("%s  BEK VOLUME%s, %zu files\n", b->node->name, b->by_label ? "" : " (without its label)", b->nfiles);
		}
		text_keys(r, stdout);
		if (!r->find.nbeks)
			fprintf(stderr, "aderescue: no BEK VOLUME on these disks; Azure adds it only at VM creation or deallocate and start\n");
		return code;
	}
	o = json_object_new_object();
	volumes = json_object_new_array();
	for (size_t i = 0; i < r->find.nbeks; i++)
		json_object_array_add(volumes, json_bek(r->find.beks[i]));
	json_object_object_add(o, "schema_version", json_object_new_int(1));
	json_object_object_add(o, "volumes", volumes);
	json_object_object_add(o, "keys", json_keys(r));
	json_object_object_add(o, "host", json_host(r));
	return json_print(o, stdout) < 0 ? EXIT_FAIL : code;
}
