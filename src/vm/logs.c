/* SPDX-License-Identifier: MIT */
/* extension.log, where ADE says what went wrong: the newest of all names and generations (single pass has
 * one, dual pass one a version). Only its last 1 MiB is read. A line is an error where the extension's logger
 * marks it so; the marks are its level word "Error" and the agent's "ERROR:". Known failures are recognised
 * by their fixed words. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "vm/facts.h"

#define LOG_DIR "/var/log/azure"

enum { MAX_DIRS = 1000, MAX_LINE = 1000 };

/* The newest log seen so far. */
struct newest {
	char *path;
	int64_t mtime;
};

static void newest_done(struct newest *n)
{
	free(n->path);
}

static int offer(struct vm *vm, struct newest *best, const char *dir, struct err *e)
{
	cleanup_free char *path = path_join(dir, "extension.log");
	cleanup_free char *real = NULL;
	const struct mount *m;
	struct fs_stat st;

	if (!path)
		return err_oom(e);
	if (vm_where(vm, path, &m, &real, &st, NULL) < 0 || (best->path && st.mtime <= best->mtime))
		return 0;
	free(best->path);
	best->path = take_ptr(&path);
	best->mtime = st.mtime;
	return 0;
}

/* The log of one extension's directory, and those of the versions below it. */
static int offer_all(struct vm *vm, struct newest *best, const char *name, struct err *e)
{
	cleanup_free char *dir = path_join(LOG_DIR, name);
	cleanup_names struct names versions = {0};
	int err;

	if (!dir)
		return err_oom(e);
	err = offer(vm, best, dir, e);
	if (err < 0 || vm_names(vm, dir, MAX_DIRS, &versions, NULL) < 0)
		return err;
	for (size_t i = 0; i < versions.n && !err; i++) {
		cleanup_free char *below = path_join(dir, versions.v[i]);

		if (versions.v[i][0] < '0' || versions.v[i][0] > '9')
			continue;
		err = below ? offer(vm, best, below, e) : err_oom(e);
	}
	return err;
}

static int find_log(struct vm *vm, struct newest *best, struct err *e)
{
	cleanup_names struct names names = {0};
	struct err why = {""};
	int err = vm_names(vm, LOG_DIR, MAX_DIRS, &names, &why);

	if (err == -ENOMEM)
		return err_oom(e);
	if (err == -ENOENT)
		return 0;
	if (err < 0) {
		path_gap(vm, NULL, LOG_DIR, err, why.msg);
		return 0;
	}
	for (size_t i = 0; i < names.n && err >= 0; i++)
		if (strstr(names.v[i], "AzureDiskEncryptionForLinux"))
			err = offer_all(vm, best, names.v[i], e);
	return err;
}

/* The tail of the log. *cut: something before it was left out. */
static int read_tail(struct vm *vm, const char *path, struct text_file *t, bool *cut, struct err *e)
{
	cleanup_free char *real = NULL;
	cleanup_free char *text = NULL;
	const struct mount *m;
	struct fs_stat st;
	size_t n = 0, got = 0;
	uint64_t off;
	int err = vm_where(vm, path, &m, &real, &st, e);

	if (err < 0)
		return err;
	if (st.type != FS_FILE)
		return err_set(e, -EINVAL, "not a regular file");
	off = st.size > TEXT_MAX ? st.size - TEXT_MAX : 0;
	n = (size_t)(st.size - off);
	text = malloc(n + 1);
	if (!text)
		return err_oom(e);
	while (got < n) {
		size_t more = 0;

		err = fs_read(m->fs, real, text + got, n - got, off + got, &more, e);
		if (err < 0)
			return err;
		if (!more || more > n - got)
			return err_set(e, -EIO, "ended at byte %ju", (uintmax_t)(off + got));
		got += more;
	}
	text[n] = '\0';
	*cut = off > 0;
	t->text = take_ptr(&text);
	t->len = n;
	t->mtime = st.mtime;
	t->stale = m->fs->stale;
	return 0;
}

static bool is_error(const char *s)
{
	return strstr(s, "   Error   ") || strstr(s, "ERROR:") || strstr(s, "[Error]") ||
	       strstr(s, " ERROR ");
}

static bool is_success(const char *s)
{
	return strstr(s, "Encryption succeeded") || strstr(s, "Decryption succeeded") ||
	       strstr(s, "successfully encrypted") || strstr(s, "Encryption settings updated");
}

static void keep_line(char **slot, char **line)
{
	free(*slot);
	*slot = take_ptr(line);
}

static int take_line(struct log_facts *log, const char *p, size_t n, unsigned line, struct err *e)
{
	cleanup_free char *s = str_ndup(p, n < MAX_LINE ? n : MAX_LINE);

	if (!s)
		return err_oom(e);
	s[strcspn(s, "\r")] = '\0';
	log->none_type |= strstr(s, "NoneType") != NULL;
	log->cannot_find_passphrase |= strstr(s, "Cannot find current passphrase file") != NULL;
	log->true_not_in_list |= strstr(s, "True is not in list") != NULL;
	log->bytes_like |= strstr(s, "a bytes-like object is required") != NULL;

	if (is_success(s)) {
		keep_line(&log->last_success, &s);
		return 0;
	}
	if (!is_error(s))
		return 0;
	if (!log->first_error) {
		log->first_error = str_printf("%s", s);
		log->first_error_line = line;
		if (!log->first_error)
			return err_oom(e);
	}
	keep_line(&log->last_error, &s);
	log->last_error_line = line;
	return 0;
}

static int take_lines(struct log_facts *log, bool cut, struct err *e)
{
	const char *p = log->file.text, *end = p + log->file.len;
	unsigned line = 1;

	if (cut) {
		p = memchr(p, '\n', log->file.len);
		p = p ? p + 1 : end;
	}
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = nl ? (size_t)(nl - p) : (size_t)(end - p);
		int err = take_line(log, p, n, cut ? 0 : line++, e);

		if (err < 0)
			return err;
		p += n + (nl ? 1 : 0);
	}
	return 0;
}

void logs_done(struct vm *vm)
{
	text_done(&vm->log.file);
	free(vm->log.first_error);
	free(vm->log.last_error);
	free(vm->log.last_success);
	vm->log = (struct log_facts){0};
}

int logs_read(struct vm *vm, struct err *e)
{
	cleanup(newest_done) struct newest best = {0};
	struct text_file *t = &vm->log.file;
	struct err why = {""};
	bool cut = false;
	int err;

	logs_done(vm);
	err = find_log(vm, &best, e);
	if (err < 0 || !best.path)
		return err;
	t->path = take_ptr(&best.path);
	err = read_tail(vm, t->path, t, &cut, &why);
	if (err == -ENOMEM)
		return err_oom(e);
	if (err < 0) {
		t->have = HAVE_UNKNOWN;
		t->why = str_printf("%s", why.msg);
		return vm_gap(vm, NULL, t->path, "%s", why.msg) ? err_oom(e) : 0;
	}
	t->have = HAVE_YES;
	return take_lines(&vm->log, cut, e);
}
