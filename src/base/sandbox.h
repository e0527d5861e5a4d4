/* SPDX-License-Identifier: MIT */
/* What a process gives up before it looks at bytes from disks. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <stdbool.h>
#include "base/err.h"

struct sandbox_state { bool no_new_privs, not_dumpable; int landlock; bool seccomp; unsigned uid; };

/* For every process, first thing: no core files, not dumpable, umask 077. */
void sandbox_begin(void);
/* For the child: ends with its parent, no new privileges, nobody where it was root, Landlock (only /dev/urandom, /dev/random, /proc/self, and
 * what is open already), and a system-call filter. What could not be had is left out and shown by sandbox_state. -EPERM only where root could not be given up. */
int sandbox_enter(struct err *e);
/* For a checker that will be exec'ed: nobody, limits, no new privileges; no Landlock, no filter. -EPERM as above. */
int sandbox_checker(int cpu_seconds, struct err *e);
/* For the file server of a mount by the kernel, which stays root: no capability but those to pass over permissions and to keep owners and modes, none that can
 * be had back, no new privileges, the filter of system calls. All of it, or -EPERM. */
int sandbox_file_server(struct err *e);
const struct sandbox_state *sandbox_state(void);
/* Is every layer in force? */
bool sandbox_is_whole(void);

#endif
