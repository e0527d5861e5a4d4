/* SPDX-License-Identifier: MIT */
/* Giving up what a parser of hostile disks does not need. Each layer is best effort, but for one: where we are root and cannot become nobody,
 * nothing is read. Landlock leaves the kernel's random devices and /proc readable; what is open already stays open. */
#include "base/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 65534 };
static struct sandbox_state state;

/* The leak check of a sanitized build looks at its own process as a debugger would. */
#ifdef SANITIZED
enum { DUMPABLE = 1 };
#else
enum { DUMPABLE = 0 };
#endif

void sandbox_begin(void)
{
	struct rlimit none = { 0, 0 };

	umask(077);
	setrlimit(RLIMIT_CORE, &none);
	state.not_dumpable = prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) == 0 && !DUMPABLE;
	state.uid = geteuid();
}

static int become_nobody(struct err *e)
{
	if (geteuid() == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
			return err_set(e, -EPERM, "cannot give up root: error %d", errno);
		if (setuid(0) == 0)
			return err_set(e, -EPERM, "cannot give up root for good");
	}
	state.uid = geteuid();
	return 0;
}

/* Landlock: reading a few files is all that is left. Returns the ABI in force, 0: none. */
static int restrict_files(void)
{
	static const char *const readable[] = { "/dev/urandom", "/dev/random", "/proc" };
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t all = (1ULL << 13) - 1;  /* ABI 1: execute, write, read, read_dir, remove, make */
	struct landlock_ruleset_attr attr;
	int fd, done = 0;

	if (abi < 1)
		return 0;
	if (abi >= 2)
		all |= 1ULL << 13;        /* refer */
	if (abi >= 3)
		all |= 1ULL << 14;        /* truncate */
	attr = (struct landlock_ruleset_attr){ .handled_access_fs = all };
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (fd < 0)
		return 0;
	for (size_t i = 0; i < sizeof(readable) / sizeof(*readable); i++) {
		struct landlock_path_beneath_attr rule = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE };
		struct stat st;

		rule.parent_fd = open(readable[i], O_PATH | O_CLOEXEC);
		if (rule.parent_fd < 0)
			continue;
		if (fstat(rule.parent_fd, &st) == 0 && S_ISDIR(st.st_mode))
			rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
		syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
		close(rule.parent_fd);
	}
	if (syscall(SYS_landlock_restrict_self, fd, 0) == 0)
		done = abi;
	close(fd);
	return done;
}

/* What a parser has no business with answers EPERM. */
static bool filter_calls(void)
{
	static const int denied[] = {
#ifndef SANITIZED
		SCMP_SYS(ptrace),
#endif
		SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
		SCMP_SYS(socket), SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
		SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at),
		SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
		SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff),
		SCMP_SYS(add_key), SCMP_SYS(keyctl), SCMP_SYS(request_key), SCMP_SYS(userfaultfd), SCMP_SYS(mknod), SCMP_SYS(mknodat),
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	bool ok = ctx != NULL;

	for (size_t i = 0; ok && i < sizeof(denied) / sizeof(*denied); i++)
		ok = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), denied[i], 0) == 0;
	ok = ok && seccomp_load(ctx) == 0;
	if (ctx)
		seccomp_release(ctx);
	return ok;
}

int sandbox_enter(struct err *e)
{
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	r = become_nobody(e);
	if (r < 0)
		return r;
	/* a change of uid takes both back */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	state.not_dumpable = prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) == 0 && !DUMPABLE;
	state.no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
	state.landlock = restrict_files();
	state.seccomp = filter_calls();
	return 0;
}

int sandbox_checker(int cpu_seconds, struct err *e)
{
	const struct rlimit cpu = { (rlim_t)cpu_seconds, (rlim_t)cpu_seconds + 1 }, files = { 64, 64 }, none = { 0, 0 };
	int r;

	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &none);
	r = become_nobody(e);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return r;
}

/* Only these, for good: being root gives none back, neither by exec nor by a change of uid. */
static int keep_capabilities(uint32_t keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = keep, .permitted = keep } };

	for (int c = 0; c < 64; c++)
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EINVAL)
			return -errno;
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int sandbox_file_server(struct err *e)
{
	const uint32_t keep = 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_FOWNER | 1U << CAP_CHOWN | 1U << CAP_FSETID;
	int r = keep_capabilities(keep);

	if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || !filter_calls()))
		r = -EPERM;
	return r < 0 ? err_set(e, -EPERM, "the file server cannot give up root's rights: error %d", -r) : 0;
}

const struct sandbox_state *sandbox_state(void)
{
	return &state;
}

bool sandbox_is_whole(void)
{
	return state.no_new_privs && state.not_dumpable && state.landlock > 0 && state.seccomp && state.uid != 0;
}
