/* SPDX-License-Identifier: MIT */
#include "vmgraph.h"

TestSuite(vm, .init = setup, .fini = teardown);

Test(vm, a_root_is_known_by_its_files_not_by_its_size)
{
	struct node *a = disk("sda"), *small = part(a, 1, "f2fs", "", 't', 1), *big = part(a, 2, "f2fs", "", 't', 4);

	root_on(small, NULL, NULL);
	mem_dir(fs_on(big), "/srv");
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_eq(vms[0]->root, small);
	cr_expect_eq(vms[0]->root_raw, small);
	cr_expect_eq(vms[0]->ndisks, 1);
	cr_expect_eq(nunassigned, 0);
	cr_expect_eq(vms[0]->root_volume->role, VOL_ROOT);
	cr_expect_eq(vms[0]->root_volume->plain, TRI_YES);
}

Test(vm, a_folder_with_passwd_but_no_usr_is_no_root)
{
	struct memfs *m = fs_on(part(disk("sda"), 1, "f2fs", "", 't', 1));

	mem_text(m, "/etc/fstab", "");
	mem_text(m, "/etc/passwd", "");
	look();
	cr_expect_eq(nvms, 0);
	cr_expect_eq(nunassigned, 1);
}

Test(vm, a_var_that_is_not_attached_hides_what_lies_under_it)
{
	struct memfs *m = root_on(part(disk("sda"), 1, "f2fs", "", 't', 1), "UUID=aaaa /var xfs defaults 0 0\n", NULL);

	mem_text(m, STATE_DIR "/azure_crypt_config.ini", "x");
	look();
	cr_assert_eq(nvms, 1);
	cr_assert(mounted(vms[0], "/var"));
	cr_expect_null(mounted(vms[0], "/var")->fs);
	cr_expect_eq(vms[0]->nvar_missing, 1);
	cr_expect(strstr(vms[0]->var_missing[0], "UUID=aaaa"));
	cr_expect_eq(vms[0]->state.have, HAVE_UNKNOWN);
}

Test(vm, var_on_a_logical_volume_is_found_by_both_of_its_names)
{
	static const char *const names[] = { "/dev/mapper/root--vg-var--lv", "/dev/root-vg/var-lv" };

	for (size_t i = 0; i < 2; i++) {
		struct node *a, *vg, *lv;
		char fstab[100];

		setup();
		a = disk("sda");
		snprintf(fstab, sizeof(fstab), "%s /var xfs defaults 0 0\n", names[i]);
		root_on(part(a, 1, "f2fs", "", 't', 1), fstab, NULL);
		vg = graph_add(&g, "root-vg", KIND_VG, part(a, 2, "LVM2_member", "", 't', 1), NULL);
		lv = graph_add(&g, "root-vg/var-lv", KIND_LV, vg, g.nodes[1]->blk);
		lv->state = NODE_OPEN;
		lv->fs_tried = true;
		snprintf(lv->fmt, sizeof(lv->fmt), "f2fs");
		mem_dir(fs_on(lv), "/lib/azure_disk_encryption_config");
		look();
		cr_assert_eq(nvms, 1);
		cr_expect_eq(mounted(vms[0], "/var")->node, lv, "%s", names[i]);
		cr_expect_eq(vms[0]->state.have, HAVE_YES);
		cr_expect_eq(vol(vms[0], "root-vg/var-lv")->role, VOL_VAR);
		cr_expect_eq(vol(vms[0], "sda2")->role, VOL_VAR);
		cr_expect_eq(vol(vms[0], "sda2")->plain, TRI_YES, "%s", vol(vms[0], "sda2")->plain_why);
		if (!i)
			teardown();
	}
}

Test(vm, a_group_that_was_not_looked_into_is_not_plain)
{
	struct node *a = disk("sda");

	root_on(part(a, 1, "f2fs", "", 't', 1), "/dev/mapper/rootvg-varlv /var xfs defaults 0 0\n", NULL);
	part(a, 2, "LVM2_member", "", 't', 1);
	look();
	cr_expect_eq(vol(vms[0], "sda2")->state, VS_PLAIN_FS);
	cr_expect_eq(vol(vms[0], "sda2")->plain, TRI_UNKNOWN);
	cr_expect_eq(vms[0]->nvar_missing, 1);
}

Test(vm, copies_of_one_disk_are_two_machines_and_each_takes_its_own)
{
	for (unsigned i = 0; i < 2; i++) {
		struct node *d = disk(i ? "sdb" : "sda");

		root_on(part(d, 1, "f2fs", "root", 't', 1), "UUID=root / ext4 x 0 1\nUUID=boot /boot ext4 x 0 1\nUUID=data /data ext4 x 0 0\n", NULL);
		boot_on(part(d, 2, "f2fs", "boot", 't', 1));
	}
	fs_on(part(disk("sdc"), 1, "f2fs", "data", 't', 1));
	look();
	cr_assert_eq(nvms, 2);
	for (unsigned i = 0; i < 2; i++) {
		cr_expect_eq(vms[i]->boot->disk, (int)i);
		cr_expect(owns(vms[i], (int)i) && !owns(vms[i], 1 - (int)i) && !owns(vms[i], 2));
		/* a disk that both could claim counts for each, and belongs to none */
		cr_assert(vol(vms[i], "sdc1"));
		cr_expect_not(vms[i]->mine[vol(vms[i], "sdc1") - vms[i]->volumes]);
		cr_expect_null(vol(vms[i], i ? "sda1" : "sdb1"));
	}
	cr_assert_eq(nunassigned, 1);
	cr_expect_eq(unassigned[0], 2);
}

Test(vm, a_twin_lends_nothing_that_its_copy_lacks)
{
	struct node *a = disk("sda"), *b = disk("sdb");

	root_on(part(a, 1, "f2fs", "root", 't', 1), "UUID=var /var ext4 x 0 1\n", NULL);
	root_on(part(b, 1, "f2fs", "root", 't', 1), "UUID=var /var ext4 x 0 1\n", NULL);
	mem_dir(fs_on(part(b, 2, "f2fs", "var", 't', 1)), "/lib");
	look();
	cr_assert_eq(nvms, 2);
	cr_expect_null(mounted(vms[0], "/var")->fs);
	cr_expect_eq(vms[0]->nvar_missing, 1);
	cr_expect_not_null(mounted(vms[1], "/var")->fs);
}

Test(vm, two_volumes_of_one_uuid_on_free_disks_are_not_guessed_at)
{
	root_on(part(disk("sda"), 1, "f2fs", "root", 't', 1), "UUID=var /var ext4 x 0 1\n", NULL);
	mem_dir(fs_on(part(disk("sdb"), 1, "f2fs", "var", 't', 1)), "/lib");
	mem_dir(fs_on(part(disk("sdc"), 1, "f2fs", "var", 't', 1)), "/lib");
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_null(mounted(vms[0], "/var")->fs);
	cr_expect(strstr(vms[0]->var_missing[0], "several"), "%s", vms[0]->var_missing[0]);
	cr_expect_eq(nunassigned, 2);
}

Test(vm, boot_and_var_that_fstab_does_not_name_are_found_by_content_on_the_same_disk)
{
	struct node *a = disk("sda"), *r = part(a, 1, "f2fs", "", 't', 1), *boot = part(a, 2, "f2fs", "", 't', 1), *var = part(a, 3, "f2fs", "", 't', 1);
	struct memfs *m = fs_on(r);

	mem_text(m, "/etc/os-release", "ID=rhel\n");
	mem_dir(m, "/usr");
	mem_dir(m, "/var");
	boot_on(boot);
	mem_dir(fs_on(var), "/lib/azure_disk_encryption_config");
	boot_on(part(disk("sdb"), 1, "f2fs", "", 't', 1));
	look();
	cr_expect_eq(vms[0]->boot, boot);
	cr_expect_eq(mounted(vms[0], "/var")->node, var);
	cr_expect_eq(vms[0]->state.have, HAVE_YES);
	/* the other disk with a /boot is a machine whose root cannot be read */
	cr_assert_eq(nvms, 2);
	cr_expect_null(vms[1]->root);
	cr_expect_eq(vms[1]->state.have, HAVE_UNKNOWN);
}

Test(vm, a_disk_with_boot_and_an_opaque_rest_is_a_locked_machine)
{
	struct node *a = disk("sda"), *boot = part(a, 1, "f2fs", "", 't', 20), *root = part(a, 2, "", "", 'r', 17);

	boot_on(boot);
	part(a, 3, "", "", 0, 40);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_null(vms[0]->root);
	cr_expect_eq(vms[0]->root_raw, root);
	cr_expect_eq(vms[0]->boot, boot);
	cr_assert(vms[0]->root_volume);
	cr_expect_eq(vms[0]->root_volume->state, VS_OPAQUE);
	cr_expect_eq(vms[0]->root_volume->role, VOL_ROOT);
}

Test(vm, an_os_disk_of_which_nothing_can_be_read_is_a_machine_all_the_same)
{
	struct node *a = disk("sda"), *esp = part(a, 15, "vfat", "", 't', 1), *root;

	snprintf(esp->parttype, sizeof(esp->parttype), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
	part(a, 2, "xfs", "", 't', 30);
	root = part(a, 1, "", "", 'r', 17);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_eq(vms[0]->root_raw, root);
	cr_expect_eq(vms[0]->esp, esp);
	cr_expect_not(vms[0]->bootf.read_whole);
	cr_expect_eq(vms[0]->state.have, HAVE_UNKNOWN);
}

Test(vm, grub_in_the_boot_sector_makes_an_os_disk_too)
{
	struct node *a = disk("sda");
	uint8_t sector[512] = "\xeb\x63\x90";

	memcpy(sector + 0x180, "GRUB ", 5);
	cr_assert_eq(blk_open_mem(sector, sizeof(sector), &a->blk, NULL), 0);
	part(a, 1, "xfs", "", 't', 17);
	part(a, 2, "xfs", "", 't', 30);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_str_eq(vms[0]->root_raw->name, "sda2");
	cr_expect_eq(vms[0]->state.have, HAVE_UNKNOWN);
}

Test(vm, a_data_disk_of_which_nothing_can_be_read_is_no_machine)
{
	struct node *a = disk("sda");

	part(a, 1, "xfs", "", 't', 30);
	part(a, 2, "", "", 'r', 17);
	look();
	cr_expect_eq(nvms, 0);
}

Test(vm, names_of_devices_are_read_as_the_failed_system_meant_them)
{
	struct node *a = disk("sdc"), *root = part(a, 1, "f2fs", "ab", 't', 1), *two = part(a, 2, "f2fs", "", 't', 1);
	struct work w = { .g = &g, .disks = disks, .ndisks = ndisks, .opt = &opt };
	struct machine *m;
	static const struct { const char *spec; enum found found; unsigned no; } rows[] = {
		{ "UUID=AB", FOUND_ONE, 1 }, { "UUID=\"ab\"", FOUND_ONE, 1 }, { "/dev/disk/by-uuid/ab", FOUND_ONE, 1 },
		{ "/dev/sda2", FOUND_ONE, 2 }, { "/dev/sdb2", FOUND_UNTOLD, 0 }, { "/dev/sda9", FOUND_NONE, 0 },
		{ "/dev/nvme0n1p2", FOUND_ONE, 2 }, { "/dev/nvme1n1p2", FOUND_UNTOLD, 0 },
		{ "/dev/disk/azure/root-part2", FOUND_ONE, 2 }, { "/dev/disk/azure/scsi0/lun0-part2", FOUND_ONE, 2 },
		{ "/dev/disk/cloud/azure_root-part1", FOUND_ONE, 1 }, { "/dev/disk/azure/scsi1/lun0-part2", FOUND_UNTOLD, 0 },
		{ "/dev/disk/azure/resource-part1", FOUND_UNTOLD, 0 }, { "LABEL=my\\x20disk", FOUND_NONE, 0 },
		{ "/dev/disk/by-label/my\\x20disk", FOUND_ONE, 2 }, { "LABEL=my disk", FOUND_ONE, 2 },
		{ "PARTUUID=1C0FFEE0-1111-4222-8333-444455556601", FOUND_ONE, 1 }, { "UUID=", FOUND_NONE, 0 }, { "tmpfs", FOUND_NONE, 0 },
		{ "", FOUND_NONE, 0 }, { "/dev/", FOUND_UNTOLD, 0 }, { "/dev/sd", FOUND_UNTOLD, 0 }, { "/dev/disk/by-id/scsi-1", FOUND_UNTOLD, 0 },
		{ "/dev/mapper/gone", FOUND_NONE, 0 }, { "/dev/mapper/", FOUND_NONE, 0 }, { "/dev/sda99999999999999999999", FOUND_NONE, 0 },
	};

	two->label = str_printf("my disk");
	snprintf(root->partuuid, sizeof(root->partuuid), "1c0ffee0-1111-4222-8333-444455556601");
	m = machine_new(&w, NULL);
	m->os_disk = 0;
	m->vm->root_raw = root;
	machine_seed(m, root);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct node *n = NULL;
		char why[200];
		enum found f = dev_find(m, rows[i].spec, &n, why);

		cr_expect_eq(f, rows[i].found, "%s: %d (%s)", rows[i].spec, (int)f, why);
		if (f == FOUND_ONE)
			cr_expect_eq(n->partno, rows[i].no, "%s", rows[i].spec);
	}
	machines_done(&w);
}

Test(vm, the_temporary_disk_is_known_by_label_or_warning_and_never_on_the_os_disk)
{
	struct node *a = disk("sda"), *b = disk("sdb"), *c = disk("sdc"), *t, *o;

	root_on(part(a, 1, "f2fs", "", 't', 1), NULL, NULL);
	o = part(a, 2, "ntfs", "", 't', 17);
	o->label = str_printf("Temporary Storage");
	t = part(b, 1, "ntfs", "", 't', 17);
	t->label = str_printf("Temporary Storage");
	mem_text(fs_on(part(c, 1, "f2fs", "", 't', 17)), "/DATALOSS_WARNING_README.txt", "x");
	look();
	cr_expect_eq(vol(vms[0], "sda2")->role, VOL_OS);
	cr_expect_eq(vol(vms[0], "sdb1")->role, VOL_TEMP);
	cr_expect_eq(vol(vms[0], "sdc1")->role, VOL_TEMP);
	cr_expect_eq(vms[0]->data_disks_attached, 0);
}

Test(vm, a_data_volume_opened_by_a_key_of_the_only_bek_volume_belongs_to_the_only_machine)
{
	struct node *a = disk("sda"), *b = disk("sdb"), *c = disk("sdc"), *luks, *bek, *open;

	root_on(part(a, 1, "f2fs", "", 't', 1), NULL, "c49ff535-1df9-45ad-9dad-f0846509f052 /dev/disk/azure/scsi1/lun0-part1 /mnt/azure_bek_disk/LinuxPassPhraseFileName_1_0 luks,nofail\n");
	luks = part(b, 1, "crypto_LUKS", "", 't', 17);
	bek = part(c, 1, "vfat", "", 't', 1);
	bek->kind = KIND_BEK;
	open = graph_add(&g, "sdb1:open", KIND_LUKS, luks, luks->blk);
	open->fs_tried = true;
	attach(luks, open, bek_key(bek));
	look();
	cr_assert_eq(nvms, 1);
	cr_expect(owns(vms[0], 1) && owns(vms[0], 2));
	cr_expect(vol(vms[0], "sdb1")->ade);
	cr_expect_eq(vol(vms[0], "sdb1")->state, VS_OPENED);
	cr_assert_eq(vms[0]->nlines, 1);
	cr_expect_eq(vms[0]->lines[0].volume, vol(vms[0], "sdb1"));
	cr_expect_eq(vms[0]->lines[0].backed, TRI_YES);
	cr_expect_eq(vms[0]->nmissing, 0);
	cr_expect_eq(vms[0]->data_disks_attached, 1);
}

Test(vm, disks_that_cannot_be_read_leave_a_gap)
{
	root_on(part(disk("sda"), 1, "f2fs", "", 't', 1), NULL, NULL);
	disks[ndisks++] = NULL;
	look();
	cr_assert_eq(nvms, 1);
	cr_assert_gt(vms[0]->ngaps, 0);
	cr_expect(strstr(vms[0]->gaps[vms[0]->ngaps - 1].why, "disk 1"));
}

Test(vm, hostile_tables_end)
{
	cleanup_str struct str fstab = { 0 }, crypttab = { 0 };

	for (unsigned i = 0; i < 3000; i++)
		str_addf(&fstab, "/dev/mapper/m%u /%u/../%u ext4 bind 0 0\n/dev/mapper/m%u /a//b%u/ ext4 x\n", i, i, i, i, i);
	for (unsigned i = 0; i < 3000; i++)
		str_addf(&crypttab, "m%u /dev/mapper/m%u none luks\nosencrypt /dev/mapper/osencrypt none luks\n", i, i + 1);
	root_on(part(disk("sda"), 1, "f2fs", "", 't', 1), str_text(&fstab), str_text(&crypttab));
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_leq(vms[0]->tree.n, 258);
}
