/* SPDX-License-Identifier: MIT */
/* explain: a rule in full, or all of them; doc/rules.md is made of the same rows. */
#include "cmd/cmd.h"
#include "report/report.h"

#include <string.h>

#include "base/str.h"

/* Wrapped at 78 columns, every line indented by two. */
static void wrap(const char *head, const char *text)
{
	size_t column = 0;

	if (!text || !*text)
		return;
	printf("%s\n", head);
	while (*text) {
		size_t n = strcspn(text, " ");

		if (column && column + 1 + n > 76) {
			putchar('\n');
			column = 0;
		}
		printf("%s%.*s", column ? " " : "  ", (int)n, text);
		column += n + 1;
		text += n;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void explain(const struct rule *rule)
{
	wrap(rule->id, rule->title);
	if (*rule->row)
		printf("  row %s, verdict %s\n", rule->row, verdict_name(rule->verdict));
	else
		printf("  a finding, severity %s\n", severity_name(rule->severity));
	wrap("why", rule->why);
	wrap("what to do", rule->advice);
	wrap("what clean does", rule->clean);
}

static struct json_object *json_rule(const struct rule *rule)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "id", json_object_new_string(rule->id));
	json_object_object_add(o, "row", *rule->row ? json_object_new_string(rule->row) : NULL);
	json_object_object_add(o, "title", json_object_new_string(rule->title));
	json_object_object_add(o, "verdict", rule->verdict == VERDICT_NONE ? NULL : json_object_new_string(verdict_name(rule->verdict)));
	json_object_object_add(o, "severity", json_object_new_string(severity_name(rule->severity)));
	json_object_object_add(o, "why", rule->why ? json_object_new_string(rule->why) : NULL);
	json_object_object_add(o, "advice", rule->advice ? json_object_new_string(rule->advice) : NULL);
	json_object_object_add(o, "clean", rule->clean ? json_object_new_string(rule->clean) : NULL);
	json_object_object_add(o, "fix", json_object_new_boolean(rule->fix != NULL));
	return o;
}

int cmd_explain(struct rescue *r)
{
	const struct rule *only = r->nargs ? rule_find(r->args[0]) : NULL;
	struct json_object *o, *list;

	if (r->nargs && !only) {
		cleanup_free char *shown = str_escape(r->args[0], strlen(r->args[0]), true);

		fprintf(stderr, "aderescue: '%s': no such rule; aderescue explain lists them\n", shown ? shown : "?");
		return EXIT_NONE;
	}
	if (!r->opt.json) {
		for (size_t i = 0; rules[i]; i++)
			if (!only || only == rules[i]) {
				explain(rules[i]);
				if (!only && rules[i + 1])
					putchar('\n');
			}
		return EXIT_OK;
	}
	o = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; rules[i]; i++)
		if (!only || only == rules[i])
			json_object_array_add(list, json_rule(rules[i]));
	json_object_object_add(o, "schema_version", json_object_new_int(1));
	json_object_object_add(o, "rules", list);
	return json_print(o, stdout) < 0 ? EXIT_FAIL : EXIT_OK;
}
