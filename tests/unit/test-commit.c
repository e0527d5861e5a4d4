/* SPDX-License-Identifier: MIT */
/* Tests repair/commit.c, runs.c and place.c on image files: the undo file's place, name and modes, what is refused before anything is written, and that
 * disks are found by content wherever they are. Everything runs without root and below a folder of its own. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../fault/crash_sim.h"
#include "base/cleanup.h"
#include "repair/commit_priv.h"

static struct crash_set set;
static char top[] = "/tmp/test-commit-XXXXXX";
static char image[2][64];
static struct commit_disk disks[2];
static struct err e;

static void write_image(const char *path, unsigned disk)
{
	FILE *f = fopen(path, "w");

	cr_assert(f);
	cr_assert_eq(fwrite(set.before[disk], 1, (size_t)set.size[disk], f), (size_t)set.size[disk]);
	fclose(f);
}

static void setup(void)
{
	cr_assert(mkdtemp(top));
	cr_assert_eq(chmod(top, 0755), 0);
	if (geteuid() == 0) {
		cr_assert_eq(chown(top, 65534, 65534), 0);
		cr_assert_eq(setegid(65534), 0);
		cr_assert_eq(seteuid(65534), 0);
	}
	/* as main() does: a process that is not dumpable must still reach its own descriptors */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setenv("XDG_STATE_HOME", top, 1);
	crash_builtin(2, &set);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(image[i], sizeof(image[i]), "%s/disk%u.img", top, i);
		write_image(image[i], i);
		disks[i] = (struct commit_disk){ .fd = open(image[i], O_RDONLY | O_CLOEXEC), .path = image[i] };
		cr_assert_geq(disks[i].fd, 0);
	}
}

static void teardown(void)
{
	char command[64];

	/* for whoever looks at this process when it ends */
	if (getuid() == 0) {
		cr_assert_eq(seteuid(0), 0);
		cr_assert_eq(setegid(0), 0);
	}
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	crash_builtin_done(&set);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	cr_assert_eq(system(command), 0);
}

TestSuite(commit, .init = setup, .fini = teardown);

/* -1 neither, 0 before, 1 after; every byte of the image */
static int image_is(const char *path, unsigned disk)
{
	size_t size = (size_t)set.size[disk];
	uint8_t *now = crash_alloc(size + 1);
	FILE *f = fopen(path, "r");
	int is;

	cr_assert(f);
	cr_assert_eq(fread(now, 1, size + 1, f), size);
	is = !memcmp(now, set.before[disk], size) ? 0 : !memcmp(now, set.after[disk], size) ? 1 : -1;
	fclose(f);
	free(now);
	return is;
}

#define expect_images(want)                                                             \
	do {                                                                            \
		cr_assert_eq(image_is(image[0], 0), want);                              \
		cr_assert_eq(image_is(image[1], 1), want);                              \
	} while (0)

static char *undo_path(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/aderescue/undo/20261123T031207Z-1a2b.undo", top);
	return path;
}

/* The run as it is where the power went in the middle of the disks: armed, the first disk half written. */
static void leave_armed(void)
{
	struct commit_result res = { .undo_path = NULL };
	uint8_t zero[UNDO_SECTOR] = { 0 };
	struct stat st;
	int fd;

	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0, "%s", e.msg);
	fd = open(res.undo_path, O_RDWR);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(pwrite(fd, zero, sizeof(zero), st.st_size - (SLOT_COUNT - SLOT_DONE) * UNDO_BLOCK), (ssize_t)sizeof(zero));
	close(fd);
	fd = open(image[0], O_RDWR);
	cr_assert_eq(pwrite(fd, set.before[0] + 4096, 1024, 4096), 1024);
	close(fd);
	commit_result_done(&res);
	cr_assert_eq(image_is(image[0], 0), -1);
}

Test(commit, writes_the_disks_and_an_undo_file_for_nobody_else)
{
	struct commit_result res = { .undo_path = NULL };
	const char *const paths[] = { image[0], image[1] };
	cleanup_free char *text = NULL;
	uint8_t digest[32], *bytes;
	struct stat st;
	FILE *f;

	umask(0);
	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0, "%s", e.msg);
	expect_images(1);
	cr_assert_str_eq(res.undo_path, undo_path());
	cr_assert_eq(stat(res.undo_path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq((uint64_t)st.st_size, res.undo_size);
	bytes = crash_alloc(res.undo_size);
	f = fopen(res.undo_path, "r");
	cr_assert_eq(fread(bytes, 1, res.undo_size, f), res.undo_size);
	fclose(f);
	bytes_sha256(bytes, res.undo_size, digest);
	cr_assert_eq(memcmp(digest, res.undo_sha256, 32), 0);
	free(bytes);
	*strrchr(res.undo_path, '/') = 0;
	cr_assert_eq(stat(res.undo_path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	commit_result_done(&res);

	cr_assert_eq(commit_undo(undo_path(), paths, 2, 0, &text, &e), 0, "%s", e.msg);
	expect_images(0);
	cr_assert(strstr(text, "taken back"), "%s", text);
	cr_assert_eq(commit_undo(undo_path(), paths, 2, 0, &text, &e), -EALREADY);
	expect_images(0);
}

Test(commit, never_writes_over_a_file)
{
	struct commit_result res = { .undo_path = NULL };
	char path[64];

	snprintf(path, sizeof(path), "%s/x", top);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(commit_apply(&set.cs, disks, path, &res, &e), -EEXIST);
	/* not even over a disk */
	cr_assert_eq(commit_apply(&set.cs, disks, image[1], &res, &e), -EEXIST);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink("/tmp/nowhere", path), 0);
	cr_assert_eq(commit_apply(&set.cs, disks, path, &res, &e), -EEXIST);
	expect_images(0);
}

Test(commit, leaves_no_undo_file_where_nothing_was_written)
{
	struct commit_result res = { .undo_path = NULL };
	int fd = open(image[1], O_RDWR);

	cr_assert_eq(pwrite(fd, "changed", 7, 1 << 20), 7);
	close(fd);
	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), -ESTALE);
	cr_assert_eq(access(undo_path(), F_OK), -1);
	cr_assert_eq(image_is(image[0], 0), 0);
}

Test(commit, refuses_a_disk_that_another_one_has_locked)
{
	struct commit_result res = { .undo_path = NULL };
	int fd = open(image[1], O_RDWR);

	cr_assert_eq(flock(fd, LOCK_EX), 0);
	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), -EBUSY);
	expect_images(0);
	close(fd);
	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0, "%s", e.msg);
	commit_result_done(&res);
}

Test(commit, refuses_a_disk_that_an_armed_run_covers)
{
	struct commit_result res = { .undo_path = NULL };
	char path[64];

	leave_armed();
	memcpy(set.cs.run, "20261124T000000Z-0000", 22);
	snprintf(path, sizeof(path), "%s/other", top);
	cr_assert_eq(commit_apply(&set.cs, disks, path, &res, &e), -EBUSY);
	cr_assert(strstr(e.msg, "undo or resume 20261123T031207Z-1a2b first"), "%s", e.msg);
	cr_assert_eq(access(path, F_OK), -1);
}

Test(commit, refuses_a_set_that_leads_out_of_the_folder)
{
	struct commit_result res = { .undo_path = NULL };

	memcpy(set.cs.run, "../../../x", 11);
	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), -EINVAL);
	expect_images(0);
}

Test(commit, refuses_a_default_folder_that_others_may_write_to)
{
	struct commit_result res = { .undo_path = NULL };
	char path[64];

	snprintf(path, sizeof(path), "%s/aderescue", top);
	cr_assert_eq(mkdir(path, 0777), 0);
	snprintf(path, sizeof(path), "%s/aderescue/undo", top);
	cr_assert_eq(mkdir(path, 0777), 0);
	cr_assert_eq(chmod(path, 0777), 0);
	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), -EPERM);
	expect_images(0);
}

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

Test(commit, lets_signals_through_again_afterwards)
{
	struct commit_result res = { .undo_path = NULL };

	signal(SIGTERM, on_signal);
	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0);
	raise(SIGTERM);
	cr_assert_eq(interrupted, 1);
	commit_result_done(&res);
}

Test(commit, finishes_or_takes_back_an_armed_run)
{
	const char *const paths[] = { image[0], image[1] };
	cleanup_free char *text = NULL, *again = NULL;

	leave_armed();
	cr_assert_eq(commit_undo(undo_path(), paths, 2, UNDO_RESUME, &text, &e), 0, "%s", e.msg);
	expect_images(1);
	cr_assert_eq(commit_undo(undo_path(), paths, 2, UNDO_RESUME, &text, &e), -EALREADY);
	cr_assert_eq(commit_undo(undo_path(), paths, 2, 0, &again, &e), 0, "%s", e.msg);
	expect_images(0);
}

Test(commit, finds_disks_by_content_under_any_name_and_in_any_order)
{
	struct commit_result res = { .undo_path = NULL };
	char moved[2][64];
	const char *const paths[] = { moved[1], "/dev/null", top, moved[0] };
	cleanup_free char *text = NULL;

	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(moved[i], sizeof(moved[i]), "%s/elsewhere%u", top, i);
		cr_assert_eq(rename(image[i], moved[i]), 0);
	}
	cr_assert_eq(commit_undo(res.undo_path, NULL, 0, 0, &text, &e), -ENODEV);
	cr_assert_eq(commit_undo(res.undo_path, paths, 1, 0, &text, &e), -ENODEV);
	cr_assert_eq(image_is(moved[1], 1), 1);
	cr_assert_eq(commit_undo(res.undo_path, paths, 4, 0, &text, &e), 0, "%s", e.msg);
	cr_assert_eq(image_is(moved[0], 0), 0);
	cr_assert_eq(image_is(moved[1], 1), 0);
	commit_result_done(&res);
}

Test(commit, tries_the_paths_that_the_undo_file_remembers)
{
	struct commit_result res = { .undo_path = NULL };
	cleanup_free char *text = NULL;

	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0);
	cr_assert_eq(commit_undo(res.undo_path, NULL, 0, 0, &text, &e), 0, "%s", e.msg);
	expect_images(0);
	commit_result_done(&res);
}

Test(commit, does_not_choose_between_two_copies)
{
	struct commit_result res = { .undo_path = NULL };
	cleanup_free char *text = NULL;
	char copy[64], command[160];
	const char *const paths[] = { copy };

	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0);
	snprintf(copy, sizeof(copy), "%s/copy", top);
	snprintf(command, sizeof(command), "cp %s %s", image[1], copy);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(commit_undo(res.undo_path, paths, 1, UNDO_HINTS, &text, &e), -ENOTUNIQ);
	expect_images(1);
	/* the same disk under two names is one */
	cr_assert_eq(unlink(copy), 0);
	cr_assert_eq(link(image[1], copy), 0);
	cr_assert_eq(commit_undo(res.undo_path, paths, 1, UNDO_HINTS, &text, &e), 0, "%s", e.msg);
	commit_result_done(&res);
}

Test(commit, says_that_a_disk_in_its_old_place_was_changed)
{
	struct commit_result res = { .undo_path = NULL };
	cleanup_free char *text = NULL;
	int fd = open(image[1], O_RDWR);

	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0);
	cr_assert_eq(pwrite(fd, "boot", 4, 8192), 4);
	cr_assert_eq(commit_undo(res.undo_path, NULL, 0, 0, &text, &e), -ESTALE);
	cr_assert_eq(image_is(image[0], 0), 1);
	cr_assert_eq(pwrite(fd, set.after[1] + 8192, 4, 8192), 4);
	cr_assert_eq(pwrite(fd, "boot", 4, (1 << 20) + 100), 4);
	cr_assert_eq(commit_undo(res.undo_path, NULL, 0, 0, &text, &e), -ESTALE);
	cr_assert_eq(image_is(image[0], 0), 1);
	close(fd);
	commit_result_done(&res);
}

Test(commit, undo_refuses_what_is_no_undo_file)
{
	cleanup_free char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "%s/none", top);
	cr_assert_eq(commit_undo(path, NULL, 0, 0, &text, &e), -ENOENT);
	cr_assert_eq(commit_undo(image[0], NULL, 0, 0, &text, &e), -EBADMSG);
	cr_assert_lt(commit_undo(top, NULL, 0, 0, &text, &e), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(commit_undo(path, NULL, 0, 0, &text, &e), -EBADMSG);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink(image[0], path), 0);
	cr_assert_lt(commit_undo(path, NULL, 0, 0, &text, &e), 0);
	expect_images(0);
}

Test(commit, lists_runs_with_their_states_and_damage)
{
	struct commit_result res = { .undo_path = NULL };
	struct run_info *v = NULL;
	char machine[] = "web07", facts[] = "{}", path[128];
	size_t n = 7;
	int fd;

	cr_assert_eq(runs_list(&v, &n, &e), 0);
	cr_assert_eq(n, 0);
	runs_free(v, n);
	set.cs.machine = machine;
	set.cs.facts = facts;
	cr_assert_eq(commit_apply(&set.cs, disks, NULL, &res, &e), 0, "%s", e.msg);
	set.cs.machine = set.cs.facts = NULL;
	snprintf(path, sizeof(path), "%s/aderescue/undo/20271123T031207Z-1a2b.undo", top);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert_eq(write(fd, "junk", 4), 4);
	close(fd);
	cr_assert_eq(runs_list(&v, &n, &e), 0, "%s", e.msg);
	cr_assert_eq(n, 2);
	cr_assert_str_eq(v[0].run, "20261123T031207Z-1a2b");
	cr_assert_str_eq(v[0].path, res.undo_path);
	cr_assert_str_eq(v[0].machine, "web07");
	cr_assert_str_eq(v[0].facts, "{}");
	cr_assert_eq(v[0].state, RUN_DONE);
	cr_assert_eq(v[0].size, res.undo_size);
	cr_assert_eq(v[0].ndisks, 2);
	cr_assert_str_eq(v[0].disks[1].name, "disk1.img");
	cr_assert_str_eq(v[0].disks[1].path, image[1]);
	cr_assert_null(v[0].damage);
	cr_assert_eq(v[1].state, RUN_NONE);
	cr_assert_str_eq(v[1].run, "20271123T031207Z-1a2b");
	cr_assert(v[1].damage);
	runs_free(v, n);
	commit_result_done(&res);
}
