/* SPDX-License-Identifier: MIT */
/* luks: every LUKS header found, attached or detached, and which key opens which slot. */
#include "cmd/cmd.h"
#include "report/report.h"

#include <string.h>

#include "base/str.h"

static struct json_object *json_slots(const struct luks_info *i)
{
	struct json_object *a = json_object_new_array();

	for (unsigned s = 0; s < i->nslots; s++) {
		const struct luks_slot *l = &i->slots[s];
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "slot", json_object_new_int(l->id));
		json_object_object_add(o, "active", json_object_new_boolean(l->active));
		json_object_object_add(o, "type", json_object_new_string(l->reencrypt ? "reencrypt" : "luks"));
		json_object_object_add(o, "kdf", *l->kdf ? json_str(l->kdf) : NULL);
		json_object_object_add(o, "memory", l->memory ? json_object_new_int64((int64_t)l->memory) : NULL);
		json_object_object_add(o, "iterations", l->iterations ? json_object_new_int64((int64_t)l->iterations) : NULL);
		json_object_object_add(o, "refused", *l->bad.msg ? json_str(l->bad.msg) : NULL);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *json_header(const struct header *h)
{
	const struct luks_info *i = &h->info;
	struct json_object *o = json_object_new_object(), *reqs = json_object_new_array();
	const struct node *volume = h->volume ? h->volume : h->detached ? NULL : h->node;
	cleanup_free char *place = header_place(h);

	for (unsigned k = 0; k < i->nrequirements; k++)
		json_object_array_add(reqs, json_str(i->requirements[k]));
	json_object_object_add(o, "found_at", json_str(place));
	json_object_object_add(o, "detached", json_object_new_boolean(h->detached));
	json_object_object_add(o, "version", json_object_new_int(i->version));
	json_object_object_add(o, "uuid", *i->uuid ? json_str(i->uuid) : NULL);
	json_object_object_add(o, "cipher", *i->cipher ? json_str(i->cipher) : NULL);
	json_object_object_add(o, "key_size", json_object_new_int64(i->key_size));
	json_object_object_add(o, "sector_size", json_object_new_int64(i->sector_size));
	json_object_object_add(o, "payload_offset", json_object_new_int64((int64_t)i->payload_offset));
	json_object_object_add(o, "requirements", reqs);
	json_object_object_add(o, "slots", json_slots(i));
	json_object_object_add(o, "damage", *i->damage.msg ? json_str(i->damage.msg) : NULL);
	json_object_object_add(o, "refused", *i->refused.msg ? json_str(i->refused.msg) : NULL);
	json_object_object_add(o, "volume", volume ? json_str(volume->name) : NULL);
	json_object_object_add(o, "open", json_object_new_boolean(h->vk != NULL));
	json_object_object_add(o, "opened_slot", h->vk ? json_object_new_int(h->slot) : NULL);
	json_object_object_add(o, "key", h->by ? json_str(h->by->found_at) : NULL);
	json_object_object_add(o, "why", json_str(h->why));
	return o;
}

static void say(const char *raw)
{
	cleanup_free char *text = str_escape(raw ? raw : "?", strlen(raw ? raw : "?"), true);

	fputs(text ? text : "?", stdout);
}

static void text_header(const struct header *h)
{
	const struct luks_info *i = &h->info;
	cleanup_free char *place = header_place(h);
	unsigned active = 0;

	for (unsigned s = 0; s < i->nslots; s++)
		active += i->slots[s].active && !i->slots[s].reencrypt;
	say(place);
	printf("  LUKS%d %s%s, %s, %u-byte sectors\n", i->version, i->uuid, h->detached ? ", detached" : "", *i->cipher ? i->cipher : "?", i->sector_size);
	printf("  key slots: %u in use", active);
	for (unsigned s = 0; s < i->nslots; s++)
		if (i->slots[s].active)
			printf("%s %d %s%s", s ? "," : ":", i->slots[s].id, i->slots[s].reencrypt ? "re-encryption" : i->slots[s].kdf,
			       *i->slots[s].bad.msg ? " (not tried)" : "");
	putchar('\n');
	for (unsigned s = 0; s < i->nslots; s++)
		if (*i->slots[s].bad.msg)
			printf("  slot %d not tried: %s\n", i->slots[s].id, i->slots[s].bad.msg);
	for (unsigned k = 0; k < i->nrequirements; k++)
		printf("  IN FLIGHT: requires %s\n", i->requirements[k]);
	if (*i->damage.msg)
		printf("  damaged: %s\n", i->damage.msg);
	if (*i->refused.msg)
		printf("  refused: %s\n", i->refused.msg);
	if (h->vk) {
		printf("  opened by ");
		say(h->by ? h->by->found_at : NULL);
		printf(", slot %d", h->slot);
		if (h->by && h->by->variant && strcmp(h->by->variant, "as is"))
			printf(" (%s)", h->by->variant);
		printf("; volume: ");
		say(h->volume ? h->volume->name : h->detached ? "none found on these disks" : h->node ? h->node->name : NULL);
		putchar('\n');
	} else if (!*i->refused.msg) {
		printf("  LOCKED: ");
		say(!h->why ? "no key was found" : str_starts(h->why, "locked: ") ? h->why + strlen("locked: ") : h->why);
		putchar('\n');
	}
}

int cmd_luks(struct rescue *r)
{
	int code = r->graph.nheaders ? EXIT_OK : EXIT_NONE;
	struct json_object *o, *headers;

	for (size_t i = 0; i < r->graph.nheaders; i++)
		if (!r->graph.headers[i]->vk)
			code = EXIT_UNKNOWN;
	if (!r->opt.json) {
		for (size_t i = 0; i < r->graph.nheaders; i++)
			text_header(r->graph.headers[i]);
		if (code == EXIT_NONE)
			fputs("aderescue: no LUKS header on these disks\n", stderr);
		return code;
	}
	o = json_object_new_object();
	headers = json_object_new_array();
	for (size_t i = 0; i < r->graph.nheaders; i++)
		json_object_array_add(headers, json_header(r->graph.headers[i]));
	json_object_object_add(o, "schema_version", json_object_new_int(1));
	json_object_object_add(o, "headers", headers);
	json_object_object_add(o, "keys", json_keys(r));
	json_object_object_add(o, "host", json_host(r));
	return json_print(o, stdout) < 0 ? EXIT_FAIL : code;
}
