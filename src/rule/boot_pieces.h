/* SPDX-License-Identifier: MIT */
/* The pieces that an encrypted OS boots with, as far as struct vm shows them. */
#ifndef RULE_BOOT_PIECES_H
#define RULE_BOOT_PIECES_H

#include "rule/facts.h"

/* How many pieces disagree; each is said to out as a finding of rule (out may be NULL: only count). Only for
 * a machine whose OS volume opened with a detached header. */
unsigned boot_pieces_wrong(const struct vm *, const struct rule *, struct findings *out);
/* The pieces that were not looked at or could not be read, as evidence of f. Returns how many. */
unsigned boot_pieces_unread(const struct vm *, struct finding *f);
/* Does this machine boot with these pieces at all? */
bool boot_pieces_apply(const struct vm *);

#endif
