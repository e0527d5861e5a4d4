/* SPDX-License-Identifier: MIT */
/* Nodes, keys and the host as JSON, field by field as doc/json.md says. Text from disks goes through str_json; what is unknown is null. */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/sandbox.h"
#include "base/str.h"

struct json_object *json_str(const char *raw)
{
	cleanup_free char *text = raw ? str_json(raw, strlen(raw)) : NULL;

	return text ? json_object_new_string(text) : NULL;
}

static void add(struct json_object *o, const char *name, struct json_object *v)
{
	json_object_object_add(o, name, v);
}

static struct json_object *number(uint64_t v)
{
	return json_object_new_int64((int64_t)v);
}

static struct json_object *text_or_null(const char *s)
{
	return s && *s ? json_str(s) : NULL;
}

char *header_place(const struct header *h)
{
	if (!h)
		return NULL;
	if (!h->node)
		return str_printf("%s", h->path ? h->path : "");
	return h->path ? str_printf("%s:%s", h->node->name, h->path) : str_printf("%s", h->node->name);
}

/* The header of an opened volume, or the one that is at the beginning of a node. */
static const struct header *header_of(const struct rescue *r, const struct node *n)
{
	if (n->opened_by)
		return n->opened_by;
	for (size_t i = 0; i < r->graph.nheaders; i++)
		if (r->graph.headers[i]->volume == n || (!r->graph.headers[i]->detached && r->graph.headers[i]->node == n))
			return r->graph.headers[i];
	return NULL;
}

static struct json_object *json_parents(const struct node *n)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < n->nparents; i++)
		json_object_array_add(a, json_str(n->parents[i]->name));
	return a;
}

static struct json_object *json_node(const struct rescue *r, const struct node *n)
{
	struct json_object *o = json_object_new_object();
	const struct host_disk *d = n->nparents == 0 && n->disk >= 0 && (size_t)n->disk < r->ndisks ? &r->disks[n->disk] : NULL;
	cleanup_free char *header = header_place(header_of(r, n));

	add(o, "name", json_str(n->name));
	add(o, "kind", json_object_new_string(node_kind_name(n->kind)));
	add(o, "format", text_or_null(n->fmt));
	add(o, "parents", json_parents(n));
	add(o, "size", n->blk || n->size ? number(n->size) : NULL);
	add(o, "uuid", text_or_null(n->uuid));
	add(o, "label", text_or_null(n->label));
	add(o, "state", json_object_new_string(node_state_name(n->state)));
	add(o, "why", text_or_null(n->why.msg));
	add(o, "offset", n->partno ? number(n->offset) : NULL);
	add(o, "header", text_or_null(header));
	add(o, "opaque", n->opaque < 0 ? (*n->fmt || node_has_children(&r->graph, n) ? json_object_new_boolean(0) : NULL) : json_object_new_boolean(n->opaque));
	add(o, "stale", json_object_new_boolean(n->fs && n->fs->stale));
	add(o, "moving", json_object_new_boolean(n->moving));
	add(o, "lun", d ? text_or_null(d->lun) : NULL);
	add(o, "bus", d ? text_or_null(d->bus) : NULL);
	return o;
}

struct json_object *json_nodes(const struct rescue *r)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < r->graph.n; i++)
		json_object_array_add(a, json_node(r, r->graph.nodes[i]));
	return a;
}

static struct json_object *json_sandbox(void)
{
	const struct sandbox_state *s = sandbox_state();
	struct json_object *o = json_object_new_object();

	add(o, "no_new_privs", json_object_new_boolean(s->no_new_privs));
	add(o, "dumpable", json_object_new_boolean(!s->not_dumpable));
	add(o, "landlock", json_object_new_int(s->landlock));
	add(o, "seccomp", json_object_new_boolean(s->seccomp));
	add(o, "uid", number(s->uid));
	return o;
}

struct json_object *json_host(const struct rescue *r)
{
	struct json_object *o = json_object_new_object(), *skipped = json_object_new_array(), *busy = json_object_new_array();
	struct json_object *warnings = json_object_new_array();

	for (size_t i = 0; i < r->host.nskipped; i++) {
		struct json_object *s = json_object_new_object();

		add(s, "disk", json_str(r->host.skipped[i].disk));
		add(s, "why", json_str(r->host.skipped[i].why));
		json_object_array_add(skipped, s);
	}
	for (size_t i = 0; i < r->host.nbusy; i++) {
		struct json_object *b = json_object_new_object();

		add(b, "node", json_str(r->host.busy[i].node));
		add(b, "holder", json_str(r->host.busy[i].holder));
		add(b, "release", json_str(r->host.busy[i].release));
		json_object_array_add(busy, b);
	}
	for (size_t i = 0; i < r->host.nwarnings; i++)
		json_object_array_add(warnings, json_str(r->host.warnings[i]));
	add(o, "skipped", skipped);
	add(o, "busy", busy);
	add(o, "warnings", warnings);
	add(o, "safe_to_detach", json_object_new_boolean(r->host.nbusy == 0));
	add(o, "sandbox", json_sandbox());
	return o;
}

static struct json_object *json_opens(const struct rescue *r, const struct key *k)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < r->graph.nheaders; i++) {
		const struct header *h = r->graph.headers[i];
		cleanup_free char *place = header_place(h);
		const struct node *volume = h->volume ? h->volume : h->detached ? NULL : h->node;
		struct json_object *o;

		if (h->by != k || !h->vk)
			continue;
		o = json_object_new_object();
		add(o, "node", volume ? json_str(volume->name) : NULL);
		add(o, "header", json_str(place));
		add(o, "slot", json_object_new_int(h->slot));
		json_object_array_add(a, o);
	}
	return a;
}

struct json_object *json_keys(const struct rescue *r)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < r->graph.nkeys; i++) {
		const struct key *k = r->graph.keys[i];
		struct json_object *o = json_object_new_object();

		add(o, "found_at", json_str(k->found_at));
		add(o, "length", number(k->length));
		add(o, "variant", k->variant ? json_object_new_string(k->variant) : NULL);
		add(o, "opens", json_opens(r, k));
		json_object_array_add(a, o);
	}
	return a;
}

int json_print(struct json_object *o, FILE *f)
{
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	int r = !text || fputs(text, f) < 0 || fputc('\n', f) < 0 || fflush(f) ? -EIO : 0;

	json_object_put(o);
	return r;
}
