/* SPDX-License-Identifier: MIT */
/* diagnose: judges every failed machine on the disks; the main verb. */
#include "cmd/cmd.h"
#include "report/report.h"

int cmd_diagnose(struct rescue *r)
{
	int code = (int)diagnose_exit(r), ret;

	ret = r->opt.json ? json_print(json_diagnose(r), stdout) : text_diagnose(r, stdout);
	for (size_t i = 0; i < r->host.nskipped && !r->opt.quiet && !r->opt.json; i++)
		fprintf(stderr, "aderescue: skipped %s: %s\n", r->host.skipped[i].disk, r->host.skipped[i].why);
	return ret < 0 ? EXIT_FAIL : code;
}
