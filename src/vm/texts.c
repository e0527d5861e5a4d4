/* SPDX-License-Identifier: MIT */
/* The small texts that say which system this was: os-release(5) (or redhat-release, for releases before it),
 * hostname(5), machine-id(5), fstab(5), crypttab(5) and ADE's fstab.azure.backup. The VM's id at Azure is
 * what cloud-init or the agent noted down at provisioning; SharedConfig.xml holds other ids, so it is not
 * asked. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "vm/facts.h"

#define cleanup_text cleanup(text_done)

enum { MAX_NAME = 64 };

/* The first line, without blanks at its ends and without what follows a NUL; NULL where empty or out of
 * memory. */
static char *first_line(const struct text_file *t)
{
	size_t n, i = 0;

	if (t->have != HAVE_YES)
		return NULL;
	n = strcspn(t->text, "\r\n");
	while (i < n && isspace((unsigned char)t->text[i]))
		i++;
	while (n > i && isspace((unsigned char)t->text[n - 1]))
		n--;
	return n > i ? str_ndup(t->text + i, n - i) : NULL;
}

/* The value of NAME=value in a file of shell assignments: quotes taken off, \" \\ \$ \` decoded. */
static char *shell_value(const char *p)
{
	cleanup_str struct str s = {0};
	char quote = 0;

	if (*p == '"' || *p == '\'')
		quote = *p++;
	for (; *p && *p != '\n' && *p != '\r' && (quote ? *p != quote : !isspace((unsigned char)*p)); p++) {
		if (*p == '\\' && quote != '\'' && p[1] && strchr("\"\\$`", p[1]))
			p++;
		str_addn(&s, p, 1);
	}
	return str_take(&s);
}

static char *shell_get(const struct text_file *t, const char *name)
{
	size_t len = strlen(name);
	const char *p = t->have == HAVE_YES ? t->text : NULL;

	while (p && *p) {
		p += strspn(p, " \t");
		if (!strncmp(p, name, len) && p[len] == '=')
			return shell_value(p + len + 1);
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	return NULL;
}

/* "Red Hat Enterprise Linux Server release 6.9 (Santiago)" */
static void read_redhat_release(struct vm *vm)
{
	static const struct {
		const char *begins, *id;
	} families[] = {
		{"Red Hat", "rhel"},
		{"CentOS", "centos"},
		{"Oracle", "ol"},
		{"Fedora", "fedora"},
	};
	cleanup_text struct text_file t = {0};
	const char *version;

	text_read(vm, "/etc/redhat-release", &t);
	vm->os.name = first_line(&t);
	if (!vm->os.name)
		return;
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (!vm->os.id && str_starts(vm->os.name, families[i].begins))
			vm->os.id = str_printf("%s", families[i].id);
	version = strstr(vm->os.name, "release ");
	if (version)
		vm->os.version = str_ndup(version + 8, strspn(version + 8, "0123456789."));
}

static void read_os(struct vm *vm)
{
	cleanup_text struct text_file t = {0};

	text_read(vm, "/etc/os-release", &t);
	if (t.have != HAVE_YES) {
		text_done(&t);
		text_read(vm, "/usr/lib/os-release", &t);
	}
	vm->os.id = shell_get(&t, "ID");
	vm->os.version = shell_get(&t, "VERSION_ID");
	vm->os.name = shell_get(&t, "PRETTY_NAME");
	vm->os.like = shell_get(&t, "ID_LIKE");
	if (!vm->os.name)
		vm->os.name = shell_get(&t, "NAME");
	if (!vm->os.id && !vm->os.name)
		read_redhat_release(vm);
}

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
	       c == '_' || c == '-';
}

static void read_name(struct vm *vm)
{
	cleanup_text struct text_file t = {0};

	text_read(vm, "/etc/hostname", &t);
	vm->name = first_line(&t);
	if (!vm->name) {
		text_done(&t);
		text_read(vm, "/etc/sysconfig/network", &t);
		vm->name = shell_get(&t, "HOSTNAME");
	}
	if (!vm->name)
		return;
	if (strlen(vm->name) > MAX_NAME)
		vm->name[MAX_NAME] = '\0';
	for (char *p = vm->name; *p; p++)
		if (!is_name_char(*p))
			*p = '?';
	if (!*vm->name)
		free(take_ptr(&vm->name));
}

/* The first of these files whose first line is `digits` hexadecimal digits, dashes aside. */
static char *read_id(struct vm *vm, const char *const *paths, size_t digits)
{
	for (; *paths; paths++) {
		cleanup_text struct text_file t = {0};
		cleanup_free char *line = NULL;
		size_t n = 0;

		text_read(vm, *paths, &t);
		line = first_line(&t);
		for (const char *p = line; p && *p; p++)
			n = isxdigit((unsigned char)*p) ? n + 1 : *p == '-' ? n : digits + 1;
		if (line && n == digits)
			return take_ptr(&line);
	}
	return NULL;
}

static int read_tab(struct vm *vm, const char *path, bool escapes, struct text_file *file, struct tab *tab,
		    struct err *e)
{
	struct err why = {""};
	int err;

	text_read(vm, path, file);
	if (file->have != HAVE_YES)
		return 0;
	err = tab_parse(file->text, file->len, escapes, tab, &why);
	if (err == -ENOMEM)
		return err_oom(e);
	if (err < 0) {
		file->have = HAVE_UNKNOWN;
		file->why = str_printf("%s", why.msg);
		vm_gap(vm, NULL, path, "%s", why.msg);
	}
	return 0;
}

static void newer(struct vm *vm, const char *path)
{
	cleanup_free char *real = NULL;
	const struct mount *m;
	struct fs_stat st;

	if (vm_where(vm, path, &m, &real, &st, NULL) == 0 && st.mtime > vm->last_boot)
		vm->last_boot = st.mtime;
}

/* What a boot writes to; a hint for people, so what cannot be read leaves no gap. */
static void read_last_boot(struct vm *vm)
{
	static const char *const logs[] = {
		"/var/log/wtmp",  "/var/log/lastlog", "/var/log/boot.log",
		"/var/log/dmesg", "/var/log/journal",
	};
	cleanup_free char *journal = NULL;

	vm->last_boot = 0;
	for (size_t i = 0; i < sizeof(logs) / sizeof(*logs); i++)
		newer(vm, logs[i]);
	if (vm->machine_id)
		journal = str_printf("/var/log/journal/%s/system.journal", vm->machine_id);
	if (journal)
		newer(vm, journal);
}

void texts_done(struct vm *vm)
{
	text_done(&vm->fstab_file);
	text_done(&vm->crypttab_file);
	text_done(&vm->fstab_azure_backup);
	tab_done(&vm->fstab);
	tab_done(&vm->crypttab);
	free(take_ptr(&vm->os.id));
	free(take_ptr(&vm->os.version));
	free(take_ptr(&vm->os.name));
	free(take_ptr(&vm->os.like));
	free(take_ptr(&vm->name));
	free(take_ptr(&vm->machine_id));
	free(take_ptr(&vm->vm_id));
}

int texts_read(struct vm *vm, struct err *e)
{
	static const char *const machine_ids[] = {"/etc/machine-id", "/var/lib/dbus/machine-id", NULL};
	static const char *const vm_ids[] = {"/var/lib/cloud/data/instance-id",
					     "/var/lib/waagent/provisioned", NULL};
	int err;

	texts_done(vm);
	err = read_tab(vm, "/etc/fstab", true, &vm->fstab_file, &vm->fstab, e);
	if (!err)
		err = read_tab(vm, "/etc/crypttab", false, &vm->crypttab_file, &vm->crypttab, e);
	if (err)
		return err;
	text_read(vm, "/etc/fstab.azure.backup", &vm->fstab_azure_backup);
	read_os(vm);
	read_name(vm);
	vm->machine_id = read_id(vm, machine_ids, 32);
	vm->vm_id = read_id(vm, vm_ids, 32);
	read_last_boot(vm);
	return 0;
}
