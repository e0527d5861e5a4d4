/* SPDX-License-Identifier: MIT */
/* Tests vm/lines.c: which lines are ADE's, in every form that ADE ever wrote, and that the owner's lines are never taken. */
#include <criterion/criterion.h>

#include "vmfix.h"

#define U1 "c49ff535-1df9-45ad-9dad-f0846509f052"
#define U2 "7b9c0a4e-0d5c-4c8a-b5d1-5c6f0f1fbb1e"
#define KEY "/mnt/azure_bek_disk/LinuxPassPhraseFileName"

static void read_lines(struct fix *f, const char *crypttab, const char *fstab, const char *mounts)
{
	fix_init(f);
	if (crypttab)
		mem_text(&f->root, "/etc/crypttab", crypttab);
	if (fstab)
		mem_text(&f->root, "/etc/fstab", fstab);
	if (mounts)
		mem_text(&f->root, STATE_DIR "/azure_crypt_mount", mounts);
	cr_assert_eq(texts_read(&f->vm, NULL), 0);
	cr_assert_eq(state_read(&f->vm, &f->g, NULL), 0);
	cr_assert_eq(lines_read(&f->vm, NULL), 0);
}

struct crypttab_row {
	const char *line;
	enum tab_owner owner;
	const char *mapper, *device, *key, *header;
	bool cleartext;
};
static const struct crypttab_row crypttab_rows[] = {
	{"osencrypt /dev/disk/azure/root-part1 none luks,discard,header=/boot/luks/osluksheader,keyscript=/usr/sbin/azure_crypt_key.sh",
	 TAB_ADE_OS, "osencrypt", "/dev/disk/azure/root-part1", NULL, "/boot/luks/osluksheader", false},
	{"osencrypt /dev/disk/by-partuuid/11-22 " KEY " luks,discard,header=/boot/luks/osluksheader",
	 TAB_ADE_OS, "osencrypt", "/dev/disk/by-partuuid/11-22", KEY, "/boot/luks/osluksheader", false},
	{"osencrypt UUID=osencrypt-locked none discard,header=/osluksheader",
	 TAB_ADE_OS, "osencrypt", "UUID=osencrypt-locked", NULL, "/osluksheader", false},
	{"osencrypt /dev/sda2", TAB_ADE_OS, "osencrypt", "/dev/sda2", NULL, NULL, false},
	{U1 " /dev/disk/azure/scsi1/lun0-part1 " KEY "_1_0 luks,nofail",
	 TAB_ADE_DATA, U1, "/dev/disk/azure/scsi1/lun0-part1", KEY "_1_0", NULL, false},
	{U1 " /dev/x " KEY "_1_0 luks,nofail,header=" STATE_DIR "/azureluksheader" U1,
	 TAB_ADE_DATA, U1, "/dev/x", KEY "_1_0", STATE_DIR "/azureluksheader" U1, false},
	{U1 " /dev/x " STATE_DIR "/cleartext_key" U1 " luks,nofail",
	 TAB_ADE_DATA, U1, "/dev/x", STATE_DIR "/cleartext_key" U1, NULL, true},
	{"resourceencrypt /dev/disk/azure/resource-part1 " KEY " luks,nofail",
	 TAB_ADE_TEMP, "resourceencrypt", "/dev/disk/azure/resource-part1", KEY, NULL, false},
	{"mydata /dev/sdc /mnt/azure_bek_disk/LinuxPassPhraseFileName luks", TAB_ADE_DATA, "mydata", "/dev/sdc", KEY, NULL, false},
	{"other /dev/sdc none luks,header=" STATE_DIR "/azureluksheader1",
	 TAB_ADE_DATA, "other", "/dev/sdc", NULL, STATE_DIR "/azureluksheader1", false},
	{"root /dev/sda1 none luks,keyscript=/usr/sbin/azure_crypt_key.sh", TAB_ADE_OS, "root", "/dev/sda1", NULL, NULL, false},
	/* the owner's */
	{"secret /dev/sdc1 /root/keys/secret.key luks", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
	{"secret /dev/sdc1 none luks", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
	{"luks-" U1 " UUID=" U1 " none discard", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
	{U1 " /dev/sdc1 /root/cleartext_key" U1 " luks", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
	{"cryptswap /dev/sdb2 /dev/urandom swap,cipher=aes-xts-plain64", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
	{"secret /dev/sdc1 /root/k luks,header=/root/hdr/osluksheader", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
	{"osencrypt2 /dev/sdc1 /root/k luks", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
	{"secret", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
	{"# osencrypt /dev/sda2 none luks", TAB_NOT_ADE, NULL, NULL, NULL, NULL, false},
};

Test(lines, classifies_every_form_of_crypttab_line)
{
	for (size_t i = 0; i < sizeof(crypttab_rows) / sizeof(*crypttab_rows); i++) {
		const struct crypttab_row *r = &crypttab_rows[i];
		struct fix f;

		for (int newline = 0; newline < 2; newline++) {
			cleanup_free char *text = str_printf("%s%s", r->line, newline ? "\n" : "");

			read_lines(&f, text, NULL, NULL);
			cr_assert_eq(f.vm.nlines, r->owner != TAB_NOT_ADE, "%s", r->line);
			if (f.vm.nlines) {
				const struct ade_line *l = &f.vm.lines[0];

				cr_assert_eq(l->owner, r->owner, "%s", r->line);
				cr_assert(str_eq(l->mapper, r->mapper), "%s", r->line);
				cr_assert(str_eq(l->device, r->device), "%s", r->line);
				cr_assert(str_eq(l->key, r->key), "%s", r->line);
				cr_assert(str_eq(l->header, r->header), "%s: %s", r->line, l->header);
				cr_assert_eq(l->cleartext, r->cleartext, "%s", r->line);
				cr_assert_not(l->glued, "%s", r->line);
				cr_assert_eq(l->backed, TRI_UNKNOWN);
				cr_assert_str_eq(l->file, "/etc/crypttab");
				cr_assert_eq(l->row->line, 1);
			}
			fix_done(&f);
		}
	}
}

static void expect(const struct ade_line *l, enum tab_owner owner, const char *mapper, const char *device, const char *header)
{
	cr_assert_eq(l->owner, owner);
	cr_assert_str_eq(l->mapper, mapper);
	cr_assert_str_eq(l->device, device);
	cr_assert(str_eq(l->header, header), "%s", l->header);
	cr_assert(l->glued);
}

Test(lines, takes_glued_entries_apart)
{
	struct fix f;

	read_lines(&f, "osencrypt /dev/a " KEY " luks,discard,header=/boot/luks/osluksheader" U1 " /dev/b " KEY "_1_0 luks,nofail\n", NULL, NULL);
	cr_assert_eq(f.vm.nlines, 2);
	expect(&f.vm.lines[0], TAB_ADE_OS, "osencrypt", "/dev/a", "/boot/luks/osluksheader");
	expect(&f.vm.lines[1], TAB_ADE_DATA, U1, "/dev/b", NULL);
	cr_assert_str_eq(f.vm.lines[1].key, KEY "_1_0");
	cr_assert_eq(f.vm.lines[0].row, f.vm.lines[1].row);
	cr_assert_not(f.vm.lines[0].shared || f.vm.lines[1].shared);
	fix_done(&f);
}

Test(lines, takes_three_glued_entries_apart)
{
	struct fix f;

	read_lines(&f, "osencrypt UUID=osencrypt-locked none discard,header=/osluksheader" U1 " /dev/b " KEY " luks,nofail,header=" STATE_DIR
		       "/azureluksheader" U1 U2 " /dev/c " KEY " luks,nofail", NULL, NULL);
	cr_assert_eq(f.vm.nlines, 3);
	expect(&f.vm.lines[0], TAB_ADE_OS, "osencrypt", "UUID=osencrypt-locked", "/osluksheader");
	expect(&f.vm.lines[1], TAB_ADE_DATA, U1, "/dev/b", STATE_DIR "/azureluksheader" U1);
	expect(&f.vm.lines[2], TAB_ADE_DATA, U2, "/dev/c", NULL);
	fix_done(&f);
}

Test(lines, takes_an_entry_off_the_owners_line)
{
	struct fix f;

	read_lines(&f, "swap /dev/sdb1 /dev/urandom swap" U1 " /dev/b " KEY " luks\nsecret /dev/c /root/k" U2 " /dev/d " KEY " luks\n"
		       "x /dev/e none luks,keyscript=/bin/kosencrypt /dev/f none luks,header=/boot/luks/osluksheader\n", NULL, NULL);
	cr_assert_eq(f.vm.nlines, 3);
	expect(&f.vm.lines[0], TAB_ADE_DATA, U1, "/dev/b", NULL);
	expect(&f.vm.lines[1], TAB_ADE_DATA, U2, "/dev/d", NULL);
	expect(&f.vm.lines[2], TAB_ADE_OS, "osencrypt", "/dev/f", "/boot/luks/osluksheader");
	cr_assert(f.vm.lines[0].shared && f.vm.lines[1].shared && f.vm.lines[2].shared);
	fix_done(&f);
}

Test(lines, an_owners_entry_glued_behind_ades_makes_the_line_shared)
{
	struct fix f;

	read_lines(&f, "osencrypt /dev/a none luks,header=/boot/luks/osluksheadermine /dev/b /root/k luks\n"
		       U1 " /dev/c " KEY " luks,nofailmine2 /dev/d /root/k luks\n"
		       U2 " /dev/e " KEY " luks\n", NULL, NULL);
	cr_assert_eq(f.vm.nlines, 3);
	expect(&f.vm.lines[0], TAB_ADE_OS, "osencrypt", "/dev/a", "/boot/luks/osluksheader");
	cr_assert(f.vm.lines[0].shared);
	cr_assert(f.vm.lines[1].glued && f.vm.lines[1].shared, "something is glued, whatever it is called");
	cr_assert_not(f.vm.lines[2].glued || f.vm.lines[2].shared);
	fix_done(&f);
}

Test(lines, does_not_take_whole_lines_apart)
{
	struct fix f;

	read_lines(&f, "osencrypt /dev/a " KEY " luks,header=/boot/luks/osluksheader.bak # /dev/x\n"
		       U1 " /dev/b " KEY " luks,header=" STATE_DIR "/azureluksheader" U1 " more\n", NULL, NULL);
	cr_assert_eq(f.vm.nlines, 2);
	cr_assert_not(f.vm.lines[0].glued || f.vm.lines[1].glued);
	cr_assert_str_eq(f.vm.lines[0].header, "/boot/luks/osluksheader.bak");
	fix_done(&f);
}

Test(lines, reads_fstab)
{
	struct fix f;

	read_lines(&f, "mydata /dev/sdc " KEY " luks\n" U2 " /dev/sdd /root/k luks\n",
		   "UUID=1 / ext4 defaults 0 1\n"
		   "LABEL=BEK\\040VOLUME /mnt/azure_bek_disk auto defaults,discard,nofail 0 0\n"
		   "/dev/mapper/" U1 " /data1 auto defaults,nofail,discard 0 0\n"
		   "/dev/mapper/" U2 " /mine auto defaults 0 0\n"
		   "/dev/mapper/osencrypt / ext4 defaults 0 1\n"
		   "/dev/mapper/resourceencrypt /mnt/resource auto defaults,discard,nofail 0 0\n"
		   "/dev/mapper/rootvg-rootlv / xfs defaults 0 0\n"
		   "/dev/mapper/mydata /data2 xfs defaults 0 0\n"
		   "/dev/mapper/ /x xfs defaults 0 0\n"
		   "#/dev/mapper/" U1 " /old auto defaults 0 0\n", NULL);
	cr_assert_eq(f.vm.nlines, 6);
	cr_assert_eq(f.vm.lines[1].owner, TAB_ADE_BEK);
	cr_assert_null(f.vm.lines[1].mapper);
	cr_assert_str_eq(f.vm.lines[1].mount_at, "/mnt/azure_bek_disk");
	cr_assert_eq(f.vm.lines[2].owner, TAB_ADE_DATA);
	cr_assert_str_eq(f.vm.lines[2].mapper, U1);
	cr_assert_str_eq(f.vm.lines[2].mount_at, "/data1");
	cr_assert_str_eq(f.vm.lines[2].file, "/etc/fstab");
	cr_assert_eq(f.vm.lines[2].row->line, 3);
	cr_assert_eq(f.vm.lines[3].owner, TAB_ADE_OS);
	cr_assert_eq(f.vm.lines[4].owner, TAB_ADE_TEMP);
	cr_assert_str_eq(f.vm.lines[5].mapper, "mydata");
	fix_done(&f);
}

Test(lines, reads_azure_crypt_mount)
{
	struct fix f;

	read_lines(&f, NULL, NULL,
		   "osencrypt /dev/disk/azure/root-part1 /boot/luks/osluksheader / ext4 False -1\n"
		   U1 " /dev/disk/azure/scsi1/lun0-part1 " STATE_DIR "/azureluksheader" U1 " /data1 ext4 True 0\n"
		   U2 " /dev/disk/azure/scsi1/lun1 None None xfs False\n");
	cr_assert_eq(f.vm.nlines, 3);
	cr_assert_eq(f.vm.lines[0].owner, TAB_ADE_OS);
	cr_assert_str_eq(f.vm.lines[0].mount_at, "/");
	cr_assert_eq(f.vm.lines[1].owner, TAB_ADE_DATA);
	cr_assert(f.vm.lines[1].cleartext);
	cr_assert_str_eq(f.vm.lines[1].key, STATE_DIR "/cleartext_key" U1);
	cr_assert_str_eq(f.vm.lines[1].header, STATE_DIR "/azureluksheader" U1);
	cr_assert_null(f.vm.lines[2].header);
	cr_assert_null(f.vm.lines[2].mount_at);
	cr_assert_str_eq(f.vm.lines[2].file, STATE_DIR "/azure_crypt_mount");
	fix_done(&f);
}

Test(lines, survives_mutations)
{
	static const char seed[] = "osencrypt /dev/a " KEY " luks,header=/boot/luks/osluksheader" U1 " /dev/b " KEY " luks\nswap /dev/c /dev/urandom swap";
	char buf[sizeof(seed) + 64];
	uint64_t r = 4;
	struct fix f;

	fix_init(&f);
	for (int i = 0; i < 20000; i++) {
		size_t n = fix_mutate(seed, sizeof(seed) - 1, buf, &r);

		cr_assert_eq(tab_parse(buf, n, false, &f.vm.crypttab, NULL), 0);
		cr_assert_eq(tab_parse(buf, n, true, &f.vm.fstab, NULL), 0);
		cr_assert_eq(tab_parse(buf, n, false, &f.vm.state.crypt_mount, NULL), 0);
		cr_assert_eq(lines_read(&f.vm, NULL), 0);
		facts_done(&f.vm);
	}
	fix_done(&f);
}
