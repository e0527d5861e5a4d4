/* SPDX-License-Identifier: MIT */
/* The tree of disks by libsmartcols. A node with several parents is shown below its first. */
#include "report/report.h"

#include <libsmartcols.h>
#include <locale.h>
#include <langinfo.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

enum { COL_NAME, COL_SIZE, COL_FORMAT, COL_STATE, COL_LABEL, COL_UUID, COL_WHY };

static int set(struct libscols_line *line, size_t col, const char *raw)
{
	cleanup_free char *text = raw ? str_escape(raw, strlen(raw), !str_eq(nl_langinfo(CODESET), "UTF-8")) : NULL;

	return text && *text ? scols_line_set_data(line, col, text) : 0;
}

static const char *shown_state(const struct node *n)
{
	if (n->opaque == 1 && n->state == NODE_OPEN)
		return "opaque";
	return node_state_name(n->state);
}

static int add_node(struct libscols_table *t, struct libscols_line **lines, const struct rescue *r, size_t i)
{
	const struct node *n = r->graph.nodes[i];
	struct libscols_line *parent = NULL;
	char size[16];
	int ret;

	for (size_t j = 0; n->nparents && j < i; j++)
		if (r->graph.nodes[j] == n->parents[0])
			parent = lines[j];
	lines[i] = scols_table_new_line(t, parent);
	if (!lines[i])
		return -ENOMEM;
	str_size(n->size, size);
	ret = set(lines[i], COL_NAME, n->name);
	ret |= set(lines[i], COL_SIZE, n->blk || n->size ? size : "");
	ret |= set(lines[i], COL_FORMAT, n->kind == KIND_BEK && !*n->fmt ? "bek" : n->fmt);
	ret |= set(lines[i], COL_STATE, shown_state(n));
	ret |= set(lines[i], COL_LABEL, n->label);
	ret |= set(lines[i], COL_UUID, n->uuid);
	ret |= set(lines[i], COL_WHY, *n->why.msg ? n->why.msg : n->moving ? "mounted read-write here" : "");
	return ret ? -ENOMEM : 0;
}

int text_scan(const struct rescue *r, FILE *f)
{
	struct libscols_table *t = scols_new_table();
	cleanup_free struct libscols_line **lines = calloc(r->graph.n + 1, sizeof(*lines));
	int ret = !t || !lines ? -ENOMEM : 0;

	if (ret == 0) {
		scols_table_set_stream(t, f);
		scols_table_enable_ascii(t, !str_eq(nl_langinfo(CODESET), "UTF-8"));
		scols_table_new_column(t, "NAME", 0, SCOLS_FL_TREE);
		scols_table_new_column(t, "SIZE", 0, SCOLS_FL_RIGHT);
		scols_table_new_column(t, "FORMAT", 0, 0);
		scols_table_new_column(t, "STATE", 0, 0);
		scols_table_new_column(t, "LABEL", 0, 0);
		scols_table_new_column(t, "UUID", 0, 0);
		scols_table_new_column(t, "NOTE", 0, 0);
	}
	for (size_t i = 0; ret == 0 && i < r->graph.n; i++)
		ret = add_node(t, lines, r, i);
	if (ret == 0)
		ret = scols_print_table(t);
	scols_unref_table(t);
	for (size_t i = 0; i < r->host.nskipped; i++)
		if (!r->opt.quiet)
			fprintf(stderr, "aderescue: skipped %s: %s\n", r->host.skipped[i].disk, r->host.skipped[i].why);
	for (size_t i = 0; i < r->host.nbusy; i++)
		if (!r->opt.quiet)
			fprintf(stderr, "aderescue: %s is in use here (%s): %s\n", r->host.busy[i].node, r->host.busy[i].holder, r->host.busy[i].release);
	return ret < 0 || ferror(f) ? -EIO : 0;
}
