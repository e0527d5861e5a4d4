/* SPDX-License-Identifier: MIT */
/* The request that ADE was last given (N.settings), against what it remembers: what differs, whether it still
 * runs, and with which version's habits. */
#ifndef RULE_REQUEST_H
#define RULE_REQUEST_H

#include "rule/facts.h"

const struct settings *newest_settings(const struct vm *); /* NULL: none, or it could not be read */
bool op_is_enable(const char *operation);
bool op_formats_all(const char *operation);
bool op_is_disable(const char *operation);
/* Would ADE say "the settings changed"? NO where there is nothing to compare. *ret_what (may be NULL,
 * malloc'd): the first difference. */
enum tri params_differ(const struct vm *, char **ret_what, char **why);
/* -1, 0, 1 as strcmp, dotted numbers; NULL counts as 0. */
int version_compare(const char *a, const char *b);
bool version_below(const struct vm *, const char *single_pass,
		   const char *dual_pass); /* NULL: never of that kind */
bool online_distro(const struct vm *);
/* Was the newest request run? YES: mrseq is its number. */
enum tri request_was_run(const struct vm *, char **why);
/* After the state directory is gone, does the next boot run the newest request? UNKNOWN counts as yes for
 * safety. */
enum tri request_pending(const struct vm *, char **why);
/* Will ADE find a key at the next boot? YES: on an attached BEK VOLUME; NO: none was ever stored with Azure.
 */
enum tri key_expected(const struct vm *);
/* config's secretseqnum; false where absent or empty. */
bool config_secretseqnum(const struct vm *, uint64_t *ret);

#endif
