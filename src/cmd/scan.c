/* SPDX-License-Identifier: MIT */
/* scan: the tree of disks, as lsblk would print it. */
#include "cmd/cmd.h"
#include "report/report.h"

int cmd_scan(struct rescue *r)
{
	struct json_object *o;

	if (!r->opt.json)
		return text_scan(r, stdout) < 0 ? EXIT_FAIL : EXIT_OK;
	o = json_object_new_object();
	json_object_object_add(o, "schema_version", json_object_new_int(1));
	json_object_object_add(o, "nodes", json_nodes(r));
	json_object_object_add(o, "host", json_host(r));
	return json_print(o, stdout) < 0 ? EXIT_FAIL : EXIT_OK;
}
