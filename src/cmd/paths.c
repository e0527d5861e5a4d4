/* SPDX-License-Identifier: MIT */
/* Finding what a [NODE]:PATH word means. */
#include "cmd/paths.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

int place_failed(const char *word, int code, const struct err *e)
{
	cleanup_free char *shown = str_escape(word, strlen(word), true);

	fprintf(stderr, "aderescue: %s: %s\n", shown ? shown : "?", *e->msg ? e->msg : strerror(-code));
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
		return EXIT_NONE;
	case -ENOKEY:
		return EXIT_UNKNOWN;
	}
	return EXIT_FAIL;
}

char *place_shown(const char *name)
{
	return isatty(STDOUT_FILENO) ? str_escape(name, strlen(name), false) : str_printf("%s", name);
}

static const struct vm *find_machine(struct rescue *r, const char *name, int *ret_code)
{
	const struct vm *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->nvms; i++)
		if (!*name || str_eq(r->vms[i]->name, name)) {
			found = r->vms[i];
			n++;
		}
	*ret_code = 0;
	if (n == 1)
		return found;
	if (n > 1) {
		fputs("aderescue: several machines are attached; name one as NAME:/path:", stderr);
		for (size_t i = 0; i < r->nvms; i++) {
			cleanup_free char *shown = r->vms[i]->name ? str_escape(r->vms[i]->name, strlen(r->vms[i]->name), true) : NULL;

			fprintf(stderr, " %s", shown ? shown : "-");
		}
		fputc('\n', stderr);
		*ret_code = EXIT_AMBIGUOUS;
	}
	return NULL;
}

/* Is something locked that could hold what was asked for? */
static bool anything_locked(const struct rescue *r)
{
	for (size_t i = 0; i < r->graph.nheaders; i++)
		if (!r->graph.headers[i]->vk)
			return true;
	return false;
}

static int in_machine(struct rescue *r, const char *name, struct place *p)
{
	int code;
	const struct vm *vm = find_machine(r, r->opt.machine && !*name ? r->opt.machine : name, &code);

	if (code)
		return code;
	if (!vm || !vm->root) {
		bool locked = anything_locked(r);

		fprintf(stderr, "aderescue: %s\n", locked ? "the failed system's root is locked: no key opens it" : "no readable root file system of a failed system here");
		return locked ? EXIT_UNKNOWN : EXIT_NONE;
	}
	p->tree = &vm->tree;
	return 0;
}

static int in_node(struct node *n, struct place *p)
{
	struct err e = { "" };
	struct fs *fs = node_fs(n, &e);

	if (!fs) {
		bool locked = n->state == NODE_LOCKED;

		fprintf(stderr, "aderescue: %s: %s\n", n->name, locked ? (*n->why.msg ? n->why.msg : "locked, no key opens it") : e.msg);
		return locked ? EXIT_UNKNOWN : EXIT_FAIL;
	}
	if (tree_mount(&p->one, "/", fs, n, NULL, &e) < 0) {
		fprintf(stderr, "aderescue: %s\n", e.msg);
		return EXIT_FAIL;
	}
	if (fs->stale)
		fprintf(stderr, "aderescue: %s: its journal was not replayed; what is read may be old (%s)\n", n->name, n->replay_why.msg);
	p->tree = &p->one;
	return 0;
}

int place_find(struct rescue *r, const char *word, struct place *p)
{
	const char *colon = strstr(word, ":/");
	cleanup_free char *name = colon ? str_ndup(word, (size_t)(colon - word)) : NULL;
	struct node *n;

	*p = (struct place){ 0 };
	if (!colon) {
		fprintf(stderr, "aderescue: '%s': NODE:/path or :/path was expected\n", word);
		return EXIT_USAGE;
	}
	if (!name) {
		fputs("aderescue: out of memory\n", stderr);
		return EXIT_FAIL;
	}
	p->path = colon + 1;
	if (!*name)
		return in_machine(r, "", p);
	n = graph_find(&r->graph, name);
	if (n)
		return in_node(n, p);
	for (size_t i = 0; i < r->nvms; i++)
		if (str_eq(r->vms[i]->name, name))
			return in_machine(r, name, p);
	fprintf(stderr, "aderescue: '%s': no such node or machine; aderescue scan lists the nodes\n", name);
	return EXIT_NONE;
}

void place_done(struct place *p)
{
	tree_done(&p->one);
	*p = (struct place){ 0 };
}
