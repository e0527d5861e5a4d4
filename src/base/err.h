/* SPDX-License-Identifier: MIT */
/* Why something failed, for a human. On the caller's stack; a NULL struct err is allowed everywhere.
 *
 * Codes are negative errno with these special meanings: -ENOENT not found, -EAGAIN not enough yet,
 * -EBADMSG hostile or damaged bytes, -EOPNOTSUPP recognised but not supported, -ENOKEY locked, -ERANGE
 * outside the device. Nothing else has a special meaning. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>
#include <stdarg.h>

struct err {
	char msg[400];
};

/* Set the sentence (lower case, no full stop, object first); returns code. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Put "outer: " before what is there already; returns code. */
int err_wrap(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The sentence for running out of memory; returns -ENOMEM. */
int err_oom(struct err *e);

#endif
