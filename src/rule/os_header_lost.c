/* SPDX-License-Identifier: MIT */
/* Row 2: the root is ciphertext, /boot was read whole, and no usable header is there. Also where a copy from
 * elsewhere opens the root: the machine cannot boot with it. A /boot that could not be read is no proof, it
 * is row 1. */
#include <string.h>

#include "rule/facts.h"
#include "rule/list.h"

enum { MAX_SAID = 6 }; /* headers named one by one */

/* Whatever pairs a header with the root (locked, opened, nothing): by its bytes. An attached header is no
 * lost one. */
static enum tri raw_is_ciphertext(const struct volume *v, char **why)
{
	if (v->header && !v->header->detached)
		return TRI_NO;
	switch (v->state) {
	case VS_OPENED:
		return TRI_YES;
	case VS_LOCKED:
	case VS_OPAQUE:
	case VS_UNKNOWN:
		break;
	case VS_PLAIN_FS:
	case VS_BLANK:
	case VS_OTHER:
		return TRI_NO;
	}
	if (v->opaque == TRI_UNKNOWN)
		return cannot_tell(why, "whether the root volume %s is ciphertext could not be told",
				   vol_name(v));
	return v->opaque;
}

/* Headers inside an image are named IMAGE!MEMBER, those without a name by their first byte. */
static void say_copy(const struct header *h, struct finding *f)
{
	const char *inside = h->path ? strchr(h->path, '!') : NULL;
	const char *on = h->node ? h->node->name : "-";

	if (inside)
		finding_say(f, "a copy of the header, %s inside %s:%.*s, opens the root", inside + 1, on,
			    (int)(inside - h->path), h->path);
	else
		finding_say(f, "a copy of the header found elsewhere (%s:%s) opens the root", on,
			    or_dash(h->path));
}

/* The headers that were found and tried, and what came of it. */
static bool say_tried(const struct vm *vm, struct finding *f)
{
	unsigned n = 0;

	for (size_t i = 0; vm->graph && i < vm->graph->nheaders; i++) {
		const struct header *h = vm->graph->headers[i];

		if (!h->detached || h->opened || h == vm->bootf.header)
			continue;
		if (++n > MAX_SAID)
			break;
		finding_say(f, "the header %s%s%s does not open %s: %s", h->node ? h->node->name : "",
			    h->node ? ":" : "", or_dash(h->path), vol_name(vm->root_volume),
			    h->why ? h->why : "no key opens it");
	}
	return n > 0;
}

static void say_what_is_there(const struct vm *vm, struct finding *f)
{
	const char *path = vm->bootf.osheader.path;

	if (!path)
		finding_say(f, "there is no luks/osluksheader on the boot file system, which was read whole");
	else if (vm->bootf.osheader.zero_filled)
		finding_say(f, "%s is there and holds nothing but zeroes (%ju bytes)", path,
			    (uintmax_t)vm->bootf.osheader.size);
	else if (vm->bootf.header && !vm->bootf.header->info.broken)
		finding_say(f, "%s is a LUKS header without any key slot", path);
	else
		finding_say(f, "%s is there, but is no LUKS header that can be read", path);
	if (vm->root_volume->state == VS_OPENED)
		say_copy(vm->root_volume->header, f);
	else if (!say_tried(vm, f))
		finding_say(f, "no other header was found, in initramfs images and in the raw bytes of /boot neither");
}

static enum tri check(const struct vm *vm, struct findings *out, char **why)
{
	const struct volume *v = vm->root_volume;
	cleanup_free char *boot_why = NULL;
	struct finding *f;
	enum tri raw;

	if (!v || v->foreign_luks)
		return v ? TRI_NO : cannot_tell(why, "the volume of the root file system was not found");
	raw = raw_is_ciphertext(v, why);
	if (raw != TRI_YES || header_usable(vm->bootf.header))
		return raw == TRI_YES ? TRI_NO : raw;
	if (!boot_believed(vm, &boot_why))
		return v->state == VS_OPENED
			       ? cannot_tell(why, "%s", boot_why ? boot_why : "/boot could not be read")
			       : TRI_NO;

	f = finding_add(out, &rule_os_header_lost, v->node, NULL, 0);
	finding_say(f, "%s has no signature and is ciphertext", vol_name(v));
	say_what_is_there(vm, f);
	return TRI_YES;
}

const struct rule rule_os_header_lost = {
	.id = "os-header-lost",
	.row = "2",
	.title = "The OS volume is encrypted and its LUKS header is missing or unusable.",
	.why = "ADE keeps the LUKS header of the OS volume as a file, /boot/luks/osluksheader, on the "
	       "unencrypted boot file system. The "
	       "encrypted partition itself holds no header. The file is gone, full of zeroes or damaged: "
	       "/boot/luks was deleted, /boot was made "
	       "anew, or the extension ran its PatchBootSystem step again and overwrote the file with zeroes "
	       "before it failed.",
	.advice = "Do not run enable again and write nothing to the disk. Copies of the header inside initramfs "
		  "images (Ubuntu and RHEL 7 embed it), in the state directory, in older places and in the raw bytes "
		  "of /boot were looked for and tried. Where one opens the root: save it, and put it to "
		  "/boot/luks/osluksheader. Else look in snapshots and backups of the OS disk and in copies saved earlier, "
		  "and give each to aderescue with --header. "
		  "The passphrase alone does not help: the volume key is in the header.",
	.clean = NULL,
	.severity = SEV_ERROR,
	.verdict = VERDICT_DANGEROUS,
	.check = check,
};
