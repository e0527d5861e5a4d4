/* SPDX-License-Identifier: MIT */
/* 18g: directories whose mere existence makes a retry fail. */
#include "rule/facts.h"
#include "rule/list.h"

static bool say(struct findings *out, const struct node *where, const char *path, enum have have,
		const char *what)
{
	if (have != HAVE_YES)
		return false;
	finding_say(finding_add(out, &rule_stale_retry_blocker, where, path, 0), "%s", what);
	return true;
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	bool any = false;

	(void)why;
	if (!looks_stale(vm))
		return TRI_NO;
	any |= say(out, vm->root, "/oldroot", vm->oldroot,
		   vm->oldroot_empty ? "it is there and empty: the OS encryption refuses to begin"
				     : "it is there and not empty: look into it; it is not set aside");
	any |= say(out, vm->root, "/memroot", vm->memroot,
		   vm->memroot_empty ? "it is there and empty"
				     : "it is there and not empty: it is not set aside");
	any |= say(out, vm->bootf.on_root ? vm->root : vm->boot, "/boot/luks", vm->bootf.luks_dir,
		   "it is there: on RHEL and CentOS 7 every retry fails on it");
	return any ? TRI_YES : TRI_NO;
}

const struct rule rule_stale_retry_blocker = {
	.id = "stale-retry-blocker",
	.row = "18g",
	.title = "Directories of a failed attempt are left and make the next one fail.",
	.why = "The method that encrypts from a RAM root makes /oldroot, /memroot and /boot/luks. If an "
	       "attempt leaves them behind, the next one refuses "
	       "to begin (/oldroot) or fails to make the directory (/boot/luks on RHEL and CentOS 7).",
	.advice = "Let aderescue clean set the empty ones aside; look into those that are not empty.",
	.clean = "Renames /oldroot and /memroot where they are empty, and /boot/luks where "
		 "fresh-header-plain-root holds.",
	.severity = SEV_WARNING,
	.check = check,
};
