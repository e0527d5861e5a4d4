/* SPDX-License-Identifier: MIT */
/* What follows from a verdict: what ADE will do, what to do next, what not to do. */
#ifndef RULE_FUTURE_H
#define RULE_FUTURE_H

#include "rule/rule.h"

/* Fill boot, enable, disable, boot_after_clean. 0 or -ENOMEM. */
int foresee(struct judgement *);
/* Fill next and stop. 0 or -ENOMEM. */
int advise(struct judgement *);

#endif
