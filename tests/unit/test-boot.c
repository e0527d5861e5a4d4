/* SPDX-License-Identifier: MIT */
/* Tests vm/boot.c and vm/bootcfg.c: /boot wherever it lies, its menus, its header, and what ADE left in the boot path. */
#include <criterion/criterion.h>

#include "vm/bootcfg.h"
#include "vmfix.h"

struct boot_fix {
	struct fix f;
	struct memfs boot;
	struct node node;
};

/* /boot on a volume of its own */
static void boot_init(struct boot_fix *b)
{
	fix_init(&b->f);
	mem_init(&b->boot);
	b->node = (struct node){.name = (char *)(uintptr_t)"sdc2", .fs = &b->boot.fs};
	b->f.nodes[1] = &b->node;
	b->f.g.n = 2;
	b->f.vm.boot = &b->node;
	mem_dir(&b->f.root, "/boot");
	tree_mount(&b->f.vm.tree, "/boot", &b->boot.fs, &b->node, NULL, NULL);
}

static void boot_end(struct boot_fix *b)
{
	fix_done(&b->f);
	mem_done(&b->boot);
}

static void read_boot(struct fix *f)
{
	cr_assert_eq(boot_read(&f->vm, &f->g, &f->e), 0);
}

Test(boot, reads_a_ubuntu_boot_volume)
{
	struct boot_fix b;
	struct boot_facts *o = &b.f.vm.bootf;
	void *luks = luks1_bytes();

	boot_init(&b);
	mem_text(&b.boot, "/grub/grub.cfg",
		 "set timeout=0\nif x; then\nmenuentry 'Ubuntu, with \"Linux\"' --class ubuntu {\n\tlinux\t/vmlinuz-5.15 root=/dev/mapper/osencrypt ro \\\n"
		 "\t\tconsole=ttyS0\n\tinitrd\t/initrd.img-5.15\n}\nsubmenu 'More' {\nmenuentry 'Old' {\nlinux /vmlinuz-5.4 root=UUID=1\n}\n}\nfi\n");
	mem_bytes(&b.boot, "/luks/osluksheader", luks, LUKS1_BYTES);
	mem_text(&b.boot, "/vmlinuz-5.15", "");
	mem_text(&b.boot, "/initrd.img-5.15", "");
	mem_text(&b.boot, "/config-5.15", "");
	read_boot(&b.f);

	cr_assert_eq(o->have, HAVE_YES);
	cr_assert_not(o->on_root);
	cr_assert(o->read_whole);
	cr_assert_eq(o->grub_cfg.have, HAVE_YES);
	cr_assert_str_eq(o->grub_cfg.path, "/boot/grub/grub.cfg");
	cr_assert_eq(o->n, 2);
	cr_assert_str_eq(o->v[0].title, "Ubuntu, with \"Linux\"");
	cr_assert_str_eq(o->v[0].kernel, "/vmlinuz-5.15");
	cr_assert(strstr(o->v[0].args, "root=/dev/mapper/osencrypt ro") && strstr(o->v[0].args, "console=ttyS0"));
	cr_assert_str_eq(o->v[0].initrd, "/initrd.img-5.15");
	cr_assert_eq(o->v[0].line, 4);
	cr_assert_str_eq(o->v[0].file, "/boot/grub/grub.cfg");
	cr_assert_str_eq(o->v[0].node_path, "/grub/grub.cfg");
	cr_assert_eq(o->v[1].line, 10);
	cr_assert_null(o->v[1].initrd);
	cr_assert_eq(o->luks_dir, HAVE_YES);
	cr_assert(o->luks_dir_only_header);
	cr_assert_str_eq(o->osheader.path, "/boot/luks/osluksheader");
	cr_assert(o->osheader.is_luks && !o->osheader.zero_filled);
	cr_assert_eq(o->osheader.size, LUKS1_BYTES);
	cr_assert_eq(o->header, b.f.g.headers[0]);
	cr_assert_str_eq(o->header->path, "/luks/osluksheader");
	cr_assert_eq(o->header->node, &b.node);
	cr_assert_not(o->header->in_state_dir);
	cr_assert(o->nkernels == 1 && o->ninitrds == 1);
	cr_assert(b.f.vm.boot_patched);
	cr_assert_str_eq(b.f.vm.boot_patch_evidence, "/boot/grub/grub.cfg:4: root=/dev/mapper/osencrypt");
	cr_assert_eq(b.f.vm.ngaps, 0);
	boot_end(&b);
	free(luks);
}

Test(boot, reads_bls_entries_and_their_variables)
{
	struct boot_fix b;
	struct boot_facts *o = &b.f.vm.bootf;

	boot_init(&b);
	mem_text(&b.boot, "/grub2/grub.cfg", "set kernelopts=\"root=/dev/x ro\"\nset default_kernelopts=\"root=/dev/y\"\nblscfg\n");
	mem_text(&b.boot, "/grub2/grubenv",
		 "# GRUB Environment Block\nsaved_entry=a\nkernelopts=root=/dev/mapper/rootvg-rootlv ro rd.luks.ade.partuuid=1-2\n######");
	mem_text(&b.boot, "/loader/entries/a.conf",
		 "title RHEL (4.18)\nversion 4.18\nlinux /vmlinuz-4.18\ninitrd /initramfs-4.18.img $tuned_initrd\noptions $kernelopts $tuned_params\ngrub_class kernel\n");
	mem_text(&b.boot, "/loader/entries/b.conf", "title T\r\nlinux /v\r\noptions a\r\noptions ${kernelopts}b\r\n");
	mem_text(&b.boot, "/loader/entries/c.conf.bak", "linux /no\n");
	mem_text(&b.boot, "/loader/entries/empty.conf", "");
	read_boot(&b.f);
	cr_assert_eq(o->n, 2);
	cr_assert_str_eq(o->v[0].title, "RHEL (4.18)");
	cr_assert_str_eq(o->v[0].args, "root=/dev/mapper/rootvg-rootlv ro rd.luks.ade.partuuid=1-2 $tuned_params");
	cr_assert_str_eq(o->v[0].file, "/boot/loader/entries/a.conf");
	cr_assert_eq(o->v[0].line, 5);
	cr_assert_str_eq(o->v[1].args, "a root=/dev/mapper/rootvg-rootlv ro rd.luks.ade.partuuid=1-2b");
	cr_assert(strstr(b.f.vm.boot_patch_evidence, "a.conf:5: rd.luks.ade.partuuid=1-2"));
	boot_end(&b);
}

Test(boot, falls_back_to_the_defaults_of_grub_cfg)
{
	struct boot_fix b;

	boot_init(&b);
	mem_text(&b.boot, "/grub2/grub.cfg", "set default_kernelopts=\"root=/dev/y ro\"\n");
	mem_text(&b.boot, "/loader/entries/a.conf", "linux /v\noptions $kernelopts\n");
	read_boot(&b.f);
	cr_assert_str_eq(b.f.vm.bootf.v[0].args, "root=/dev/y ro");
	cr_assert_not(b.f.vm.boot_patched);
	boot_end(&b);
}

Test(boot, reads_the_grub_conf_of_release_6)
{
	struct boot_fix b;

	boot_init(&b);
	mem_text(&b.boot, "/grub/grub.conf", "default=0\ntitle CentOS (2.6.32)\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.32 ro root=/dev/sda2\n\tinitrd /initramfs-2.6.32.img\n");
	mem_link(&b.boot, "/grub/menu.lst", "./grub.conf");
	read_boot(&b.f);
	cr_assert_eq(b.f.vm.bootf.n, 1);
	cr_assert_str_eq(b.f.vm.bootf.v[0].title, "CentOS (2.6.32)");
	cr_assert_str_eq(b.f.vm.bootf.v[0].args, "ro root=/dev/sda2");
	cr_assert_str_eq(b.f.vm.bootf.v[0].initrd, "/initramfs-2.6.32.img");
	cr_assert_eq(b.f.vm.ngaps, 0);
	boot_end(&b);
}

Test(boot, reads_boot_on_the_root)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, "/boot/grub/grub.cfg", "menuentry 'a' {\nlinux /boot/vmlinuz root=UUID=1\n}\n");
	mem_sparse(&f.root, "/boot/luks/osluksheader", 33554432);
	mem_text(&f.root, "/boot/luks/notes", "x");
	mem_text(&f.root, "/etc/default/grub", "# GRUB_CMDLINE_LINUX=\"root=/dev/mapper/osencrypt\"\nGRUB_CMDLINE_LINUX=\"quiet rd.luks.ade.bootuuid=7\"\n");
	mem_text(&f.root, "/lib/dracut/modules.d/91adeOnline/x", "");
	mem_text(&f.root, "/etc/lvm/lvm.conf", "devices {\n# osencrypt\nfilter = [\"a|osencrypt|\"]\n}\n");
	read_boot(&f);
	cr_assert(f.vm.bootf.on_root);
	cr_assert_str_eq(f.vm.bootf.v[0].node_path, "/boot/grub/grub.cfg");
	cr_assert(f.vm.bootf.osheader.zero_filled && !f.vm.bootf.osheader.is_luks);
	cr_assert_null(f.vm.bootf.header);
	cr_assert_not(f.vm.bootf.luks_dir_only_header);
	cr_assert_str_eq(f.vm.boot_patch_evidence, "/etc/default/grub:2: rd.luks.ade.bootuuid=7; /lib/dracut/modules.d/91adeOnline; /etc/lvm/lvm.conf:3: osencrypt");
	fix_done(&f);
}

Test(boot, no_luks_directory_is_told_from_an_unreadable_one)
{
	struct boot_fix b;

	boot_init(&b);
	mem_text(&b.boot, "/vmlinuz", "");
	read_boot(&b.f);
	cr_assert_eq(b.f.vm.bootf.luks_dir, HAVE_NO);
	cr_assert(b.f.vm.bootf.read_whole);
	cr_assert_null(b.f.vm.bootf.osheader.path);
	mem_dir(&b.boot, "/luks");
	mem_fail(&b.boot, "/luks", -EIO, 0);
	read_boot(&b.f);
	cr_assert_eq(b.f.vm.bootf.luks_dir, HAVE_UNKNOWN);
	cr_assert_not(b.f.vm.bootf.read_whole);
	cr_assert(fix_gap(&b.f, "/boot/luks"));
	boot_end(&b);
}

Test(boot, a_header_with_a_bad_block_is_not_read_whole)
{
	struct boot_fix b;

	boot_init(&b);
	mem_sparse(&b.boot, "/luks/osluksheader", 33554432);
	mem_fail(&b.boot, "/luks/osluksheader", -EIO, 20 << 20);
	read_boot(&b.f);
	cr_assert_not(b.f.vm.bootf.read_whole);
	cr_assert_not(b.f.vm.bootf.osheader.zero_filled, "what was not read is not zero");
	cr_assert(fix_gap(&b.f, "/boot/luks/osluksheader"));
	mem_node(&b.boot, "/luks/osluksheader", FS_BLOCK);
	read_boot(&b.f);
	cr_assert_not(b.f.vm.bootf.read_whole);
	boot_end(&b);
}

Test(boot, a_boot_that_is_not_attached_is_no_boot_and_a_gap)
{
	struct fix f;

	fix_init(&f);
	mem_dir(&f.root, "/boot");
	mem_dir(&f.root, "/boot/luks");
	tree_mount(&f.vm.tree, "/boot", NULL, NULL, "UUID=7 is not attached", NULL);
	read_boot(&f);
	cr_assert_eq(f.vm.bootf.have, HAVE_NO);
	cr_assert_eq(f.vm.bootf.luks_dir, HAVE_UNKNOWN);
	cr_assert_not(f.vm.bootf.read_whole);
	cr_assert_str_eq(fix_gap(&f, "/boot")->why, "UUID=7 is not attached");
	fix_done(&f);
}

Test(boot, is_read_where_the_root_is_locked)
{
	struct boot_fix b;
	void *luks = luks1_bytes();

	boot_init(&b);
	tree_done(&b.f.vm.tree);
	mem_text(&b.boot, "/grub/grub.cfg", "linux /v root=/dev/mapper/osencrypt\n");
	mem_bytes(&b.boot, "/luks/osluksheader", luks, LUKS1_BYTES);
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			tree_mount(&b.f.vm.tree, "/", NULL, NULL, "locked", NULL);
		read_boot(&b.f);
		cr_assert_eq(b.f.vm.bootf.have, HAVE_YES);
		cr_assert(b.f.vm.bootf.header);
		cr_assert_eq(b.f.vm.bootf.n, 1);
		cr_assert_eq(b.f.vm.bootf.default_grub.have, HAVE_UNKNOWN);
		cr_assert(b.f.vm.boot_patched);
	}
	boot_end(&b);
	free(luks);
}

Test(boot, scans_headers_as_a_boot_volume_and_as_a_root_have_them)
{
	struct boot_fix b;
	void *luks = luks1_bytes();

	boot_init(&b);
	mem_bytes(&b.boot, "/luks/a-copy", luks, LUKS1_BYTES);
	mem_bytes(&b.boot, "/luks/osluksheader", luks, LUKS1_BYTES);
	mem_bytes(&b.boot, "/luks.aderescue-20260101T000000Z/osluksheader", luks, LUKS1_BYTES);
	mem_text(&b.boot, "/luks/notes", "x");
	mem_bytes(&b.f.root, "/boot/luks/osluksheader", luks, LUKS1_BYTES);
	mem_node(&b.f.root, "/luks", FS_FIFO);
	cr_assert_eq(boot_scan_headers(&b.f.g, &b.node, &b.boot.fs, NULL), 1);
	cr_assert_eq(b.f.g.nheaders, 3);
	cr_assert_str_eq(b.f.g.headers[0]->path, "/luks/osluksheader", "the one in its place first");
	cr_assert_eq(boot_scan_headers(&b.f.g, &b.node, &b.boot.fs, NULL), 0);
	cr_assert_eq(boot_scan_headers(&b.f.g, &b.f.node, &b.f.root.fs, NULL), 1);
	cr_assert_str_eq(b.f.g.headers[3]->path, "/boot/luks/osluksheader");
	cr_assert_eq(b.f.g.headers[3]->node, &b.f.node);
	read_boot(&b.f);
	cr_assert_eq(b.f.g.nheaders, 4);
	cr_assert_eq(b.f.vm.bootf.header, b.f.g.headers[0]);
	boot_end(&b);
	free(luks);
}

Test(boot, menus_have_a_stated_maximum)
{
	struct boot_fix b;
	cleanup_str struct str s = {0};

	boot_init(&b);
	for (int i = 0; i < 5000; i++)
		str_add(&s, "linux /v a\n");
	mem_text(&b.boot, "/grub/grub.cfg", str_text(&s));
	read_boot(&b.f);
	cr_assert_eq(b.f.vm.bootf.n, BOOT_MAX_ENTRIES);
	cr_assert(fix_gap(&b.f, "/boot/grub/grub.cfg"));
	boot_end(&b);
}

Test(boot, knows_ades_arguments_as_whole_words)
{
	static const struct { const char *args, *found; } rows[] = {
		{"ro root=/dev/mapper/osencrypt quiet", "root=/dev/mapper/osencrypt"},
		{"ro root=/dev/mapper/osencrypt2", NULL},
		{"xroot=/dev/mapper/osencrypt", NULL},
		{"rd.luks.ade.partuuid= rd.debug", "rd.luks.ade.partuuid="},
		{"rd.luks.uuid=osencrypt", "rd.luks.uuid=osencrypt"},
		{"\"rd.luks.ade.bootuuid=1\"", "rd.luks.ade.bootuuid=1"},
		{"", NULL},
		{NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_free char *found = bootargs_patched(rows[i].args);

		cr_assert(str_eq(found, rows[i].found), "%s: %s", rows[i].args, found);
	}
}

static void mutate(const char *seed, size_t len, bool bls, uint64_t r)
{
	char *buf = malloc(len + 64);

	for (int i = 0; i < 20000; i++) {
		size_t n = fix_mutate(seed, len, buf, &r), count = 0;
		char *exact = malloc(n ? n : 1);
		struct boot_entry *v = NULL;
		struct bootvars vars = {0};
		struct bootmenu m = {.v = &v, .n = &count, .file = "f", .node_path = "n", .vars = &vars};

		memcpy(exact, buf, n);
		cr_assert_eq(bootvars_parse(exact, n, &vars, NULL), 0);
		cr_assert_eq(bls ? bootmenu_bls(&m, exact, n, NULL) : bootmenu_grub(&m, exact, n, NULL), 0);
		for (size_t j = 0; j < count; j++) {
			cr_assert(v[j].args && v[j].title && v[j].line);
			boot_entry_done(&v[j]);
		}
		free(v);
		free(exact);
		bootvars_done(&vars);
	}
	free(buf);
}

Test(boot, survives_mutated_menus)
{
	static const char grub[] = "set kernelopts=\"root=/dev/x $a\"\na=${b}\nmenuentry 'U \"L\"' {\nlinux /v root=${kernelopts} \\\n q\ninitrd /i\n}\ntitle x\nkernel /k $kernelopts";
	static const char bls[] = "title R\nkernelopts=root=1\nlinux /v\ninitrd /i\noptions $kernelopts ${x} a\noptions b\n";

	mutate(grub, sizeof(grub) - 1, false, 5);
	mutate(bls, sizeof(bls) - 1, true, 6);
}

/* ---- the pieces inside an initramfs ---- */

static size_t cpio_member(char *out, const char *name, const void *body, size_t n)
{
	size_t len = (size_t)sprintf(out, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1, 0100644, 0, 0, 1, 0, n, 0, 0, 0, 0,
				     strlen(name) + 1, 0);

	memcpy(out + len, name, strlen(name) + 1);
	len += strlen(name) + 1;
	while (len % 4)
		out[len++] = 0;
	if (n)
		memcpy(out + len, body, n);
	len += n;
	while (len % 4)
		out[len++] = 0;
	return len;
}

/* An image with ADE's script and a header, or without. */
static void put_image(struct memfs *m, const char *path, const char *script, const void *header)
{
	char *p = calloc(1, LUKS1_BYTES + 8192);
	size_t n = 0;

	if (script)
		n += cpio_member(p + n, "scripts/init-premount/crypt-ade-boot", script, strlen(script));
	if (header)
		n += cpio_member(p + n, "boot/luks/osluksheader", header, LUKS1_BYTES);
	n += cpio_member(p + n, "TRAILER!!!", "", 0);
	mem_bytes(m, path, p, n);
	free(p);
}

#define SCRIPT "cryptsetup luksOpen /dev/disk/by-partuuid/1c0ffee0-1111-4222-8333-444455556601 osencrypt"

static void two_kernels(struct boot_fix *b, void *luks)
{
	boot_init(b);
	mem_bytes(&b->boot, "/luks/osluksheader", luks, LUKS1_BYTES);
	mem_text(&b->boot, "/vmlinuz-5.9", "");
	mem_text(&b->boot, "/vmlinuz-5.15", "");
	mem_text(&b->boot, "/config-5.15", "CONFIG_VFAT_FS=m\nCONFIG_DM_CRYPT=y\n");
	mem_link(&b->boot, "/initrd.img", "initrd.img-5.15");
	put_image(&b->boot, "/initrd.img-5.15", SCRIPT, luks);
	put_image(&b->boot, "/initrd.img-5.9", SCRIPT, NULL);
}

Test(boot, looks_into_the_default_kernels_initramfs_alone_where_all_is_there)
{
	struct boot_fix b;
	struct boot_pieces *p = &b.f.vm.bootf.pieces;
	void *luks = luks1_bytes();

	two_kernels(&b, luks);
	mem_text(&b.f.root, "/etc/modprobe.d/a.conf", "options x y=1\n");
	mem_text(&b.f.root, "/lib/modprobe.d/cis.conf", "\ninstall vfat /bin/true\n");
	mem_text(&b.f.root, "/usr/share/initramfs-tools/scripts/init-premount/crypt-ade-boot", "by-partuuid/ROOTPARTUUID");
	read_boot(&b.f);
	cr_assert(p->looked && p->has_default);
	cr_assert_eq(p->nimages, 1);
	cr_assert_str_eq(p->kernel, "5.15", "newer than 5.9");
	cr_assert_str_eq(p->images[0].path, "/boot/initrd.img-5.15");
	cr_assert(p->images[0].in.whole && p->images[0].in.boot_script && !p->images[0].in.header);
	cr_assert_eq(p->images[0].copy, COPY_EQUAL);
	cr_assert(p->vfat == 'm' && p->dm_crypt == 'y');
	cr_assert_eq(p->modprobe, HAVE_YES);
	cr_assert_str_eq(p->vfat_off_path, "/lib/modprobe.d/cis.conf");
	cr_assert_eq(p->vfat_off_line, 2);
	cr_assert(p->hook[HOOK_ADE_BOOT] == HAVE_YES && p->hook[HOOK_ADE_HOOK] == HAVE_NO && p->boot_token);
	cr_assert_eq(p->lvm, HAVE_NO);
	cr_assert_eq(b.f.vm.ngaps, 0);
	b.f.vm.look_closer = true;
	read_boot(&b.f);
	cr_assert_eq(p->nimages, 2, "-v looks into all");
	boot_end(&b);
	free(luks);
}

Test(boot, the_default_is_what_grub_says)
{
	static const struct { const char *cfg, *env, *image; } rows[] = {
		{"menuentry 'A' {\nlinux /vmlinuz-5.9 x\ninitrd /micro.img /initrd.img-5.9\n}\nmenuentry 'B' {\nlinux /vmlinuz-5.15 x\ninitrd /initrd.img-5.15\n}\n",
		 "", "initrd.img-5.9"},
		{"menuentry 'A' {\nlinux /vmlinuz-5.9 x\ninitrd /initrd.img-5.9\n}\nmenuentry 'B' {\nlinux /vmlinuz-5.15 x\ninitrd /initrd.img-5.15 $x\n}\n",
		 "saved_entry=B\n", "initrd.img-5.15"},
		{"menuentry 'A' {\nlinux /vmlinuz-5.9 x\n}\n", "", "initrd.img-5.9"},
		{"menuentry 'rescue' {\nlinux /vmlinuz-0-rescue-1 x\n}\n", "", "initrd.img-5.15"},
		{"", "", "initrd.img-5.15"},
	};
	void *luks = luks1_bytes();

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct boot_fix b;

		two_kernels(&b, luks);
		mem_text(&b.boot, "/grub/grub.cfg", rows[i].cfg);
		mem_text(&b.boot, "/grub/grubenv", rows[i].env);
		read_boot(&b.f);
		cr_assert(b.f.vm.bootf.pieces.has_default);
		cr_assert_str_eq(b.f.vm.bootf.pieces.images[0].name, rows[i].image, "row %zu", i);
		boot_end(&b);
	}
	free(luks);
}

Test(boot, bls_entries_go_by_their_version)
{
	struct boot_fix b;
	void *luks = luks1_bytes();

	two_kernels(&b, luks);
	mem_text(&b.boot, "/loader/entries/a-5.15.conf", "linux /vmlinuz-5.15\ninitrd /initrd.img-5.15\n");
	mem_text(&b.boot, "/loader/entries/a-5.9.conf", "linux /vmlinuz-5.9\ninitrd /initrd.img-5.9\n");
	read_boot(&b.f);
	cr_assert_str_eq(b.f.vm.bootf.pieces.images[0].name, "initrd.img-5.15");
	mem_text(&b.boot, "/grub2/grubenv", "saved_entry=a-5.9\n");
	read_boot(&b.f);
	cr_assert_str_eq(b.f.vm.bootf.pieces.images[0].name, "initrd.img-5.9");
	boot_end(&b);
	free(luks);
}

Test(boot, an_embedded_header_is_compared_by_the_slot_that_matters)
{
	struct boot_fix b;
	struct boot_pieces *p = &b.f.vm.bootf.pieces;
	uint8_t *luks = luks1_bytes(), *copy = luks1_bytes();

	two_kernels(&b, luks);
	copy[8 * 512 + 7] ^= 1; /* key material of slot 0 */
	put_image(&b.boot, "/initrd.img-5.15", SCRIPT, copy);
	read_boot(&b.f);
	cr_assert_eq(p->images[0].copy, COPY_OLDER);
	cr_assert_eq(p->nimages, 2, "the others are looked into as well");
	copy[0xa8] = '9'; /* the UUID */
	put_image(&b.boot, "/initrd.img-5.15", SCRIPT, copy);
	read_boot(&b.f);
	cr_assert_eq(p->images[0].copy, COPY_OTHER);
	memset(copy, 0, 512);
	put_image(&b.boot, "/initrd.img-5.15", SCRIPT, copy);
	read_boot(&b.f);
	cr_assert_eq(p->images[0].copy, COPY_DAMAGED);
	cr_assert_not(p->images[0].in.header_zero);
	put_image(&b.boot, "/initrd.img-5.15", SCRIPT, NULL);
	read_boot(&b.f);
	cr_assert_eq(p->images[0].copy, COPY_NONE);
	boot_end(&b);
	free(luks);
	free(copy);
}

Test(boot, no_image_is_unpacked_on_a_machine_without_a_trace_of_encryption)
{
	struct boot_fix b;
	void *luks = luks1_bytes();

	boot_init(&b);
	mem_text(&b.boot, "/vmlinuz-5.15", "");
	put_image(&b.boot, "/initrd.img-5.15", NULL, luks);
	read_boot(&b.f);
	cr_assert(!b.f.vm.bootf.pieces.looked && !b.f.vm.bootf.pieces.nimages);
	cr_assert_eq(boot_scan_headers(&b.f.g, &b.node, &b.boot.fs, NULL), 0, "nothing on the disk needs a header");
	boot_end(&b);
	free(luks);
}

/* A disk whose second device is ciphertext, and whose /boot has lost its header. */
static void lost_header(struct boot_fix *b, struct node *opaque, struct node **nodes)
{
	enum { SIZE = 16 << 20 };
	uint8_t *bytes = malloc(SIZE);
	uint64_t seed = 9;

	for (size_t i = 0; i < SIZE; i += 4) {
		uint32_t x = fix_random(&seed) ^ fix_random(&seed) << 16;

		memcpy(bytes + i, &x, 4);
	}
	*opaque = (struct node){.name = (char *)(uintptr_t)"sdc1", .kind = KIND_PARTITION, .size = SIZE, .opaque = -1};
	cr_assert_eq(blk_open_mem(bytes, SIZE, &opaque->blk, NULL), 0);
	free(bytes);
	nodes[0] = &b->node;
	nodes[1] = opaque;
	b->f.g.nodes = nodes;
	b->f.g.n = 2;
}

Test(boot, a_lost_header_is_found_in_initramfs_images_and_in_raw_bytes)
{
	struct boot_fix b;
	struct node opaque, *nodes[2];
	uint8_t *luks = luks1_bytes(), *raw = calloc(1, 8 << 20);

	boot_init(&b);
	lost_header(&b, &opaque, nodes);
	mem_text(&b.boot, "/vmlinuz-5.15", "");
	put_image(&b.boot, "/initrd.img-5.15", SCRIPT, luks);
	put_image(&b.boot, "/initrd.img-5.9", SCRIPT, luks);
	luks[0xa8] = '7';
	memcpy(raw + (1 << 20) + 1024, luks, LUKS1_BYTES);
	cr_assert_eq(blk_open_mem(raw, 8 << 20, &b.node.blk, NULL), 0);
	b.node.size = 8 << 20;
	cr_assert_eq(boot_scan_headers(&b.f.g, &b.node, &b.boot.fs, NULL), 1);
	cr_assert_eq(b.f.g.nheaders, 2, "the same header twice is kept once");
	cr_assert_str_eq(b.f.g.headers[0]->path, "/initrd.img-5.15!boot/luks/osluksheader");
	cr_assert_str_eq(b.f.g.headers[1]->path, "byte 1049600");
	cr_assert(b.f.g.headers[0]->detached && b.f.g.headers[0]->node == &b.node);
	cr_assert_eq(boot_scan_headers(&b.f.g, &b.node, &b.boot.fs, NULL), 0);
	blk_unref(b.node.blk);
	blk_unref(opaque.blk);
	boot_end(&b);
	free(luks);
	free(raw);
}
