/* SPDX-License-Identifier: MIT */
/* Tests rule/boot_pieces.c and boot_pieces_image.c: which pieces a system of which generation has, and that only what was read
 * disagrees. */
#include <criterion/criterion.h>

#include "rule/boot_pieces.h"
#include "vm-builder.h"

#define PART "aaaaaaaa-1111-2222-3333-444444444444"
#define OTHER "cccccccc-1111-2222-3333-444444444444"

static struct build b;
static struct boot_image images[2];
static char *initrds[2], *kernels[1];
static struct boot_pieces *p;

/* An encrypted Ubuntu 22.04 whose pieces are all there. */
static void setup(void)
{
	build_plain(&b);
	b_encrypted_os(&b);
	p = &b.vm.bootf.pieces;
	memset(images, 0, sizeof(images));
	initrds[0] = b_str("initrd.img-5.15");
	kernels[0] = b_str("vmlinuz-5.15");
	b.vm.bootf.initrds = initrds;
	b.vm.bootf.ninitrds = 1;
	b.vm.bootf.kernels = kernels;
	b.vm.bootf.nkernels = 1;
	b.entries[0] = (struct boot_entry){.args = b_str("root=/dev/mapper/osencrypt ro"), .file = b_str("/boot/grub/grub.cfg"), .line = 3};
	b.vm.bootf.v = b.entries;
	b.vm.bootf.n = 1;
	p->looked = true;
	p->hook[HOOK_ADE_HOOK] = p->hook[HOOK_ADE_BOOT] = HAVE_YES;
	strcpy(p->boot_partuuid, PART);
	p->vfat = p->dm_crypt = 'm';
	p->images = images;
	p->nimages = 1;
	p->has_default = true;
	images[0] = (struct boot_image){
		.name = b_str("initrd.img-5.15"),
		.path = b_str("/boot/initrd.img-5.15"),
		.copy = COPY_EQUAL,
		.in = {.whole = true, .boot_script = true, .cryptsetup = true, .dm_crypt = true, .vfat = true},
	};
	strcpy(images[0].in.boot_partuuid, PART);
}
static void teardown(void)
{
	build_done(&b);
}
TestSuite(boot_pieces, .init = setup, .fini = teardown);

/* How many disagree and were not read; the first sentence of either. */
static void expect_line(unsigned line, unsigned wrong, unsigned unread, const char *says)
{
	cleanup_pieces struct pieces list = {0};
	bool said = !says;

	boot_pieces_read(&b.vm, &list);
	for (size_t i = 0; i < list.n; i++) {
		cr_assert_eq(list.v[i].say != NULL, list.v[i].state != PIECE_AGREES, "line %u", line);
		said |= list.v[i].say && says && strstr(list.v[i].say, says);
	}
	cr_assert_eq(list.count[PIECE_DISAGREES], wrong, "line %u: %u disagree", line, list.count[PIECE_DISAGREES]);
	cr_assert_eq(list.count[PIECE_UNREAD], unread, "line %u: %u unread", line, list.count[PIECE_UNREAD]);
	cr_assert(said, "line %u: '%s' is not said", line, says);
	cr_assert_eq(boot_pieces_wrong(&b.vm), wrong);
}
#define expect(wrong, unread, says) expect_line(__LINE__, wrong, unread, says)

Test(boot_pieces, all_agree_where_all_is_there)
{
	expect(0, 0, NULL);
	build_done(&b);
	build_plain(&b);
	expect(0, 0, NULL);
}

Test(boot_pieces, what_the_default_initramfs_lacks_disagrees)
{
	struct initramfs *in = &images[0].in;

	in->boot_script = false;
	expect(1, 0, "crypt-ade-boot, which opens the OS volume, is not in it");
	in->boot_script = true;
	in->cryptsetup = false;
	expect(1, 0, "cryptsetup is not in it");
	in->cryptsetup = true;
	in->dm_crypt = false;
	expect(1, 0, "dm_crypt");
	p->dm_crypt = 'y';
	expect(0, 0, NULL);
	p->dm_crypt = 0;
	expect(0, 0, NULL);
	in->dm_crypt = true;
	in->vfat = false;
	expect(1, 0, "vfat");
	in->vfat_builtin = true;
	expect(0, 0, NULL);
}

Test(boot_pieces, what_was_not_read_is_no_disagreement)
{
	images[0].in = (struct initramfs){.why = b_str("damaged: x")};
	images[0].copy = COPY_NONE;
	expect(0, 1, "/boot/initrd.img-5.15: damaged: x");
	p->has_default = false;
	expect(0, 1, "which initramfs image boots");
	p->hook[HOOK_ADE_HOOK] = p->modprobe = HAVE_UNKNOWN;
	expect(0, 3, "modprobe.d");
	p->looked = false;
	expect(0, 2, "were not looked at");
}

Test(boot_pieces, an_older_kernels_image_that_has_it_is_named)
{
	images[1] = (struct boot_image){.name = b_str("initrd.img-5.9"), .path = b_str("/boot/initrd.img-5.9"), .in = {.whole = true, .boot_script = true}};
	p->nimages = 2;
	expect(0, 0, NULL);
	images[0].in.boot_script = false;
	expect(1, 0, "it is in initrd.img-5.9");
}

Test(boot_pieces, partuuids_are_compared_wherever_they_stand)
{
	strcpy(images[0].in.boot_partuuid, OTHER);
	expect(1, 0, "its crypt-ade-boot opens partition " OTHER);
	*images[0].in.boot_partuuid = 0;
	expect(0, 0, NULL);
	images[0].in.boot_token = true;
	expect(1, 0, "place holder");
	images[0].in.boot_token = false;
	strcpy(p->boot_partuuid, OTHER);
	expect(1, 0, "opens partition " OTHER);
	strcpy(p->boot_partuuid, "AAAAAAAA-1111-2222-3333-444444444444");
	images[0].in.crypttab = b_str("osencrypt /dev/disk/by-partuuid/" OTHER " k luks");
	expect(1, 0, "its crypttab names another partition");
	images[0].in.crypttab = b_str("osencrypt /dev/disk/by-partuuid/" PART " k luks");
	expect(0, 0, NULL);
}

Test(boot_pieces, hooks_in_the_system_make_the_next_initramfs)
{
	p->hook[HOOK_ADE_BOOT] = HAVE_NO;
	expect(1, 0, "the next initramfs is made without");
	p->hook[HOOK_ADE_BOOT] = HAVE_YES;
	p->hook[HOOK_FORCE_PARTUUID] = HAVE_YES;
	expect(1, 0, "update-grub");
	/* pieces of other generations are none here */
	p->hook[HOOK_FORCE_PARTUUID] = HAVE_NO;
	p->hook[HOOK_91ADE_ONLINE] = p->hook[HOOK_KEY_SCRIPT] = HAVE_NO;
	expect(0, 0, NULL);
}

Test(boot_pieces, vfat_may_be_off_where_it_is_built_in)
{
	p->modprobe = HAVE_YES;
	p->vfat_off_path = b_str("/etc/modprobe.d/cis.conf");
	p->vfat_off = b_str("install vfat /bin/true");
	p->vfat_off_line = 7;
	expect(1, 0, "install vfat /bin/true");
	images[0].in.vfat_off = b_str("etc/modprobe.d/cis.conf:7: install vfat /bin/true");
	expect(2, 0, "etc/modprobe.d/cis.conf:7");
	p->vfat = 'y';
	expect(0, 0, NULL);
}

Test(boot_pieces, the_age_of_an_embedded_header_matters_where_it_is_booted_from)
{
	images[0].copy = COPY_OLDER;
	expect(0, 0, NULL);
	images[0].copy = COPY_OTHER;
	expect(1, 0, "another volume");
	b.vm.os.version = b_str("18.04");
	p->hook[HOOK_KEY_SCRIPT] = p->hook[HOOK_LUKSHEADER] = HAVE_YES;
	images[0].in.key_script = true;
	images[0].in.boot_script = false;
	images[0].copy = COPY_EQUAL;
	cr_assert_eq(boot_method(&b.vm), METHOD_KEYSCRIPT);
	expect(0, 0, NULL);
	images[0].copy = COPY_OLDER;
	expect(1, 0, "has not the key slot");
	images[0].copy = COPY_DAMAGED;
	images[0].in.header_zero = true;
	expect(1, 0, "zeroes");
	images[0].copy = COPY_NONE;
	expect(1, 0, "osluksheader");
	images[0].in.whole = false;
	expect(0, 1, NULL);
}

Test(boot_pieces, root_arguments_that_name_another_file_system_disagree)
{
	struct node *root = (struct node *)(uintptr_t)b.vm.root;

	b.entries[0].args = b_str("root=UUID=cafe ro");
	expect(0, 0, NULL);
	strcpy(root->uuid, "beef");
	expect(1, 0, "root= is UUID=cafe");
	b.entries[0].args = b_str("root=UUID=BEEF ro");
	expect(0, 0, NULL);
}

Test(boot_pieces, the_grub_default_is_read_with_its_line)
{
	cleanup_pieces struct pieces list = {0};
	char text[] = "# rd.luks.ade.partuuid=" OTHER "\nGRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX+=\" rd.luks.ade.partuuid=" OTHER "\"\n";

	b.vm.os.id = b_str("rhel");
	b.vm.os.version = b_str("9.4");
	b.vm.bootf.default_grub = (struct text_file){.have = HAVE_YES, .text = text, .len = sizeof(text) - 1};
	boot_pieces_read(&b.vm, &list);
	for (size_t i = 0; i < list.n; i++)
		if (str_eq(list.v[i].path, "/etc/default/grub")) {
			cr_assert_eq(list.v[i].line, 3);
			return;
		}
	cr_assert_fail("nothing is said of /etc/default/grub");
}

Test(boot_pieces, lvm_must_see_osencrypt)
{
	b.vm.root_lvm = true;
	p->lvm = HAVE_YES;
	expect(0, 0, NULL);
	p->filter = (struct lvm_filter){.line = 4, .rejects_rest = true};
	expect(1, 0, "does not let LVM see osencrypt");
	p->filter = (struct lvm_filter){.line = 4, .takes_osencrypt = true, .rejects = OTHER};
	expect(1, 0, "rejects partition " OTHER);
	strcpy(p->filter.rejects, PART);
	expect(0, 0, NULL);
	p->lvm = HAVE_UNKNOWN;
	expect(0, 1, "lvm.conf");
}

Test(boot_pieces, generations_are_told_apart)
{
	static const struct { const char *id, *version; enum boot_hook hook; enum boot_method method; } rows[] = {
		{"ubuntu", "16.04", HOOKS, METHOD_KEYSCRIPT},
		{"ubuntu", "20.04", HOOKS, METHOD_SCRIPT},
		{"ubuntu", "24.04", HOOKS, METHOD_SCRIPT},
		{"rhel", "8.8", HOOKS, METHOD_ONLINE},
		{"ol", "8.5", HOOKS, METHOD_ONLINE},
		{"mariner", "2.0", HOOKS, METHOD_ONLINE},
		{"azurelinux", "3.0", HOOKS, METHOD_ONLINE},
		{"rhel", "7.9", HOOKS, METHOD_UNKNOWN},
		{"rhel", "7.9", HOOK_91ADE, METHOD_91ADE},
		{"centos", "7", HOOK_91ADE_ONLINE, METHOD_ONLINE},
		{"sles", "15.4", HOOKS, METHOD_UNKNOWN},
		{NULL, NULL, HOOKS, METHOD_UNKNOWN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		memset(p->hook, 0, sizeof(p->hook));
		if (rows[i].hook != HOOKS)
			p->hook[rows[i].hook] = HAVE_YES;
		b.vm.os.id = b_str(rows[i].id);
		b.vm.os.version = b_str(rows[i].version);
		cr_assert_eq(boot_method(&b.vm), rows[i].method, "%s %s: %d", rows[i].id, rows[i].version, boot_method(&b.vm));
	}
	expect(0, 1, "is not known");
}

Test(boot_pieces, the_consistent_machine_says_how_many_agree)
{
	struct findings out = {0};
	char *why = NULL;

	b_config(&b, "[azure_crypt_config]\nbekfilename = LinuxPassPhraseFileName\nvolumetype = OS\nsecretseqnum = 2\n\n");
	cr_assert_eq(rule_consistent.check(&b.vm, &out, &why), TRI_YES);
	cr_assert(strstr(out.v[0].evidence[out.v[0].nevidence - 1], "boot pieces agree with the disk: if this VM does not boot, ADE is not the reason"));
	findings_done(&out);
	images[0].in.whole = false;
	cr_assert_eq(rule_consistent.check(&b.vm, &out, &why), TRI_YES);
	cr_assert(strstr(out.v[0].evidence[out.v[0].nevidence - 1], "1 could not be read"));
	cr_assert_not(strstr(out.v[0].evidence[out.v[0].nevidence - 1], "ADE is not the reason"));
	findings_done(&out);
	free(why);
}
