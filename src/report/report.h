/* SPDX-License-Identifier: MIT */
/* Saying: the same structs as text, as JSON. Only these files know widths, colours and field names. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <json-c/json.h>
#include <stdio.h>
#include "format/luks.h"
#include "pipeline.h"

struct json_object *json_nodes(const struct rescue *);
struct json_object *json_host(const struct rescue *);
struct json_object *json_keys(const struct rescue *);
struct json_object *json_machine(const struct rescue *, const struct judgement *);
struct json_object *json_str(const char *raw);           /* NULL: null; bytes escaped by str_json */
struct json_object *json_time(int64_t t);               /* ISO 8601, UTC; 0: null */
char *header_place(const struct header *);              /* "os.img2:/luks/osluksheader", malloc'd; NULL for NULL */
int json_print(struct json_object *, FILE *);            /* one document and a newline; -EIO */
/* diagnose: the whole document, and its text (first-screens), one block a machine, most severe last; the last lines are "aderescue: ..." */
struct json_object *json_diagnose(const struct rescue *);
int text_diagnose(const struct rescue *, FILE *);
/* "aderescue: NAME verdict=V rule=R data=D exit=N" */
void text_last_line(const struct judgement *, unsigned exit_code, FILE *);   /* judgement NULL: no machine */
/* NAME of the last line: [A-Za-z0-9._-], at most 64, other bytes "?", "-" for NULL or "". malloc'd. */
char *text_machine_name(const char *raw);
/* text wrapped at 79 columns: head before the first line, indent before the others. Text is escaped (ASCII). */
void text_wrap(const char *head, const char *indent, const char *text, FILE *);
unsigned diagnose_exit(const struct rescue *);           /* the most severe of all */
int text_scan(const struct rescue *, FILE *);

#endif
