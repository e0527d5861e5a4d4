/* SPDX-License-Identifier: MIT */
/* What the names and texts of an initramfs tell. Names are matched by their ends, since images have /lib as a
 * link or /usr/lib, and dracut puts numbers before the names of its hooks. Pieces: those that Azure Disk
 * Encryption's boot patches put there. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "vm/bootconf.h"
#include "vm/initramfs_parts.h"

static const char *base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

static bool is_crypttab(const char *name)
{
	return str_eq(name, "etc/crypttab") || str_eq(name, "cryptroot/crypttab") ||
	       str_eq(name, "conf/conf.d/cryptroot");
}

static bool is_modprobe_conf(const char *name)
{
	return str_ends(name, ".conf") &&
	       (str_starts(name, "etc/modprobe.d/") || str_starts(name, "lib/modprobe.d/") ||
		str_starts(name, "usr/lib/modprobe.d/"));
}

enum member member_name(struct initramfs *r, const char *name, bool regular)
{
	const char *base = base_of(name);

	if (str_starts(base, "dm-crypt.ko"))
		r->dm_crypt = true;
	else if (str_starts(base, "vfat.ko"))
		r->vfat = true;
	else if (str_eq(base, "cryptsetup") || str_eq(base, "systemd-cryptsetup"))
		r->cryptsetup = true;
	else if (str_eq(base, "azure_crypt_key.sh"))
		r->key_script = true;
	else if (str_eq(base, "crypt-run-generator-ade"))
		r->ade_online = true;
	else if (str_eq(base, "50-udev-ade.rules"))
		r->ade = true;
	if (!regular)
		return MEMBER_PLAIN;
	if (str_eq(base, "osluksheader"))
		return MEMBER_HEADER;
	if (str_eq(base, "crypt-ade-boot"))
		r->boot_script = true;
	else if (!str_ends(name, "lib/dracut/modules.txt") && !str_eq(base, "modules.builtin") &&
		 !is_crypttab(name) && !is_modprobe_conf(name))
		return MEMBER_PLAIN;
	return MEMBER_TEXT;
}

/* dracut lists its modules without the numbers before their names. */
static void read_dracut_modules(struct initramfs *r, const char *text)
{
	r->dracut = true;
	for (const char *p = text; *p; p += strcspn(p, "\r\n"), p += strspn(p, "\r\n")) {
		size_t n = strcspn(p, " \t\r\n");

		r->ade |= n == 3 && !memcmp(p, "ade", 3);
		r->ade_online |= n == 9 && !memcmp(p, "adeOnline", 9);
	}
}

static int read_crypttab(struct initramfs *r, const char *text, struct err *e)
{
	const char *p = text;

	for (; *p; p += strcspn(p, "\n"), p += strspn(p, "\n")) {
		size_t n = strcspn(p, "\r\n");

		if (r->crypttab || n < 9 ||
		    (memcmp(p, "osencrypt", 9) && (n < 16 || memcmp(p, "target=osencrypt", 16))))
			continue;
		r->crypttab = str_ndup(p, n);
		if (!r->crypttab)
			return err_oom(e);
	}
	return 0;
}

static int read_modprobe(struct initramfs *r, const char *name, const char *text, size_t n, struct err *e)
{
	cleanup_free char *line = NULL;
	unsigned at;
	int off = modprobe_vfat_off(text, n, &line, &at, e);

	if (off <= 0 || r->vfat_off)
		return off < 0 ? off : 0;
	r->vfat_off = str_printf("%s:%u: %s", name, at, line);
	return r->vfat_off ? 0 : err_oom(e);
}

int member_text(struct initramfs *r, const char *name, const char *text, size_t n, struct err *e)
{
	const char *base = base_of(name);

	if (str_eq(base, "crypt-ade-boot"))
		bootscript_partuuid(text, r->boot_partuuid, &r->boot_token);
	else if (str_eq(base, "modules.txt"))
		read_dracut_modules(r, text);
	else if (str_eq(base, "modules.builtin")) {
		r->vfat_builtin |= strstr(text, "/vfat.ko") != NULL;
		r->dm_crypt_builtin |= strstr(text, "/dm-crypt.ko") != NULL;
	} else if (is_crypttab(name))
		return read_crypttab(r, text, e);
	else if (is_modprobe_conf(name))
		return read_modprobe(r, name, text, n, e);
	return 0;
}
