/* SPDX-License-Identifier: MIT */
/* Why something failed: one sentence in a buffer of the caller's. Sentences that do not fit are cut at
 * the end; the part put in front by err_wrap is the one that is kept. */
#include <stdio.h>
#include <string.h>
#include "base/err.h"

int err_set(struct err *e, int code, const char *fmt, ...)
{
	char msg[sizeof(e->msg)] = "";
	va_list ap;

	if (!e)
		return code;
	/* an argument may be the old sentence itself */
	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	memcpy(e->msg, msg, sizeof(msg));
	return code;
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
	char msg[sizeof(e->msg)] = "";
	size_t n, inner;
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);

	n = strlen(msg);
	if (e->msg[0] && n + 3 < sizeof(msg)) {
		memcpy(msg + n, ": ", 2);
		n += 2;
		inner = strnlen(e->msg, sizeof(msg) - 1 - n);
		memcpy(msg + n, e->msg, inner);
		msg[n + inner] = '\0';
	}
	memcpy(e->msg, msg, sizeof(msg));
	return code;
}

int err_oom(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory");
}
