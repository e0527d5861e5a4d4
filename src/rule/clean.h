/* SPDX-License-Identifier: MIT */
/* The edits of a clean, row by row: the fix functions of rows 17 and 18. */
#ifndef RULE_CLEAN_H
#define RULE_CLEAN_H

#include "rule/rule.h"

int clean_boot_luks(const struct vm *, const struct finding *, struct plan *, struct err *e);
int clean_state(const struct vm *, const struct finding *, struct plan *, struct err *e);

#endif
