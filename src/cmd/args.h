/* SPDX-License-Identifier: MIT */
/* The command line: options, which words are DISKs, and opening what was named. In the parent. */
#ifndef CMD_ARGS_H
#define CMD_ARGS_H

#include <stdio.h>
#include "pipeline.h"

enum { ARGS_HELP = -1 };
/* argv[0] is the verb. 0, ARGS_HELP, or an exit code after a sentence on stderr. DISK words end in r->disk_args, the verb's own in r->args. */
int args_parse(struct rescue *, int argc, char **argv);
/* Open the DISKs, keys and headers; find out who holds them. 0 or an exit code. What was named and cannot be opened is said and sets open_failed. */
int args_open(struct rescue *);
/* Where files go, for the verbs that bring files out. -EINVAL after a sentence. */
int args_destination(struct rescue *, struct broker_options *);
void args_help(FILE *);
void args_version(FILE *);
void args_done(struct rescue *);

#endif
