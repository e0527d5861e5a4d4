/* SPDX-License-Identifier: MIT */
#include "vmgraph.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(volumes, .init = setup, .fini = teardown);

#define MAPPER "c49ff535-1df9-45ad-9dad-f0846509f052"
#define LUN_LINE MAPPER " /dev/disk/azure/scsi1/lun0-part1 /mnt/azure_bek_disk/LinuxPassPhraseFileName_1_0 luks,nofail\n"

static void type(struct node *n, const char *guid)
{
	snprintf(n->parttype, sizeof(n->parttype), "%s", guid);
}

Test(volumes, a_random_partition_is_opaque_unless_its_type_or_size_says_that_it_is_code)
{
	struct node *a = disk("sda");

	root_on(part(a, 1, "f2fs", "", 't', 17), NULL, NULL);
	part(a, 2, "", "", 'r', 17);
	type(part(a, 3, "", "", 'r', 17), "21686148-6449-6e6f-744e-656564454649");
	type(part(a, 4, "", "", 'r', 17), "9e1a2d38-c612-4316-aa26-8b49521e5a8b");
	type(part(a, 5, "", "", 'r', 17), "e3c9e316-0b5c-4db8-817d-f92df00215ae");
	part(a, 6, "", "", 'r', 15);
	part(a, 7, "", "", 0, 17);
	part(a, 8, "", "", 't', 17);
	look();
	cr_expect_eq(vol(vms[0], "sda2")->state, VS_OPAQUE);
	cr_expect_eq(vol(vms[0], "sda2")->opaque, TRI_YES);
	cr_expect_eq(vol(vms[0], "sda2")->role, VOL_DATA);
	for (unsigned i = 3; i <= 6; i++) {
		char name[8];

		snprintf(name, sizeof(name), "sda%u", i);
		cr_expect_eq(vol(vms[0], name)->role, VOL_SMALL, "%s", name);
		cr_expect_eq(vol(vms[0], name)->opaque, TRI_NO, "%s", name);
		cr_expect_neq(vol(vms[0], name)->state, VS_OPAQUE, "%s", name);
	}
	cr_expect_eq(vol(vms[0], "sda7")->state, VS_BLANK);
	cr_expect_eq(vol(vms[0], "sda8")->state, VS_UNKNOWN);
	cr_expect_eq(vol(vms[0], "sda8")->opaque, TRI_NO);
}

Test(volumes, a_small_partition_with_a_luks_header_is_still_locked)
{
	struct node *a = disk("sda");

	root_on(part(a, 1, "f2fs", "", 't', 17), NULL, NULL);
	part(a, 2, "crypto_LUKS", "", 't', 4);
	look();
	cr_expect_eq(vol(vms[0], "sda2")->state, VS_LOCKED);
}

Test(volumes, swap_with_a_random_key_is_not_opaque)
{
	struct node *a = disk("sdc"), *b = disk("sdd");

	root_on(part(a, 1, "f2fs", "", 't', 17), NULL,
		"swap1 /dev/sda2 /dev/urandom swap\nswap2 PARTUUID=abc /dev/random swap\nswap3 /dev/sdb4 /dev/urandom swap\n"
		"swap4 /dev/sda1 /dev/urandom swap\n");
	part(a, 2, "", "", 'r', 17);
	snprintf(part(a, 3, "", "", 'r', 17)->partuuid, 40, "ABC");
	part(a, 4, "", "", 'r', 17);    /* the OS disk was sdb at that boot */
	part(b, 2, "", "", 'r', 17);    /* another disk's partition 2 is not meant */
	look();
	for (unsigned i = 2; i <= 4; i++) {
		char name[8];

		snprintf(name, sizeof(name), "sdc%u", i);
		cr_expect_eq(vol(vms[0], name)->role, VOL_SWAP, "%s", name);
		cr_expect_eq(vol(vms[0], name)->opaque, TRI_NO, "%s", name);
		cr_expect_eq(vol(vms[0], name)->state, VS_OTHER, "%s", name);
	}
	cr_expect_eq(vol(vms[0], "sdd2")->state, VS_OPAQUE);
	cr_expect_eq(vol(vms[0], "sdc1")->role, VOL_ROOT);
}

Test(volumes, swap_by_crypttab_never_hides_what_a_header_opens)
{
	struct node *a = disk("sdc"), *two, *open;

	root_on(part(a, 1, "f2fs", "", 't', 17), NULL, "swap /dev/sdb2 /dev/urandom swap\n");
	two = part(a, 2, "", "", 'r', 17);
	open = graph_add(&g, "sdc2:open", KIND_LUKS, two, two->blk);
	open->fs_tried = true;
	attach(two, open, bek_key(a));
	look();
	cr_expect_eq(vol(vms[0], "sdc2")->state, VS_OPENED);
	cr_expect(vol(vms[0], "sdc2")->ade);
}

Test(volumes, a_lun_line_is_backed_by_nothing_only_where_nothing_can_be_meant)
{
	root_on(part(disk("sda"), 1, "f2fs", "", 't', 17), "/dev/mapper/" MAPPER " /data ext4 nofail 0 0\n", LUN_LINE);
	part(disk("sdb"), 1, "f2fs", "", 't', 17);
	look();
	cr_assert_eq(vms[0]->nlines, 2);
	cr_expect_eq(vms[0]->lines[0].backed, TRI_NO);
	cr_expect_eq(vms[0]->lines[1].backed, TRI_NO);
	cr_expect_null(vms[0]->lines[0].volume);
	cr_expect_eq(vms[0]->nmissing, 1);
	cr_expect(strstr(vms[0]->missing[0], MAPPER));
	cr_expect_eq(vms[0]->data_disks_named, 1);
	cr_expect_eq(vms[0]->data_disks_attached, 1);
}

Test(volumes, a_lun_line_may_mean_an_opaque_partition_of_its_number)
{
	struct node *b;

	root_on(part(disk("sda"), 1, "f2fs", "", 't', 17), NULL, LUN_LINE);
	b = disk("sdb");
	part(b, 1, "", "", 'r', 17);
	part(b, 2, "", "", 'r', 17);
	opt.not_encrypted = (char *[]){ (char[]){ "sdb1" }, (char[]){ "sdb2" } };
	opt.n_not_encrypted = 2;
	look();
	cr_expect_eq(vms[0]->lines[0].backed, TRI_UNKNOWN);
	cr_expect_eq(vms[0]->nmissing, 0);
	cr_expect_not(vol(vms[0], "sdb1")->not_encrypted);
	cr_expect(strstr(vol(vms[0], "sdb1")->plain_why, "not accepted"), "%s", vol(vms[0], "sdb1")->plain_why);
	cr_expect(vol(vms[0], "sdb2")->not_encrypted);
}

Test(volumes, the_operators_word_is_never_taken_for_the_root_or_for_what_a_header_opens)
{
	struct node *a = disk("sda"), *b = disk("sdb"), *one, *open;

	part(a, 1, "", "", 'r', 17);
	boot_on(part(a, 2, "f2fs", "", 't', 1));
	one = part(b, 1, "", "", 'r', 17);
	open = graph_add(&g, "sdb1:open", KIND_LUKS, one, one->blk);
	open->fs_tried = true;
	attach(one, open, NULL);
	opt.not_encrypted = (char *[]){ (char[]){ "sda1" }, (char[]){ "sdb1" } };
	opt.n_not_encrypted = 2;
	look();
	cr_expect_eq(vms[0]->root_volume, vol(vms[0], "sda1"));
	cr_expect_not(vol(vms[0], "sda1")->not_encrypted);
	cr_expect_not(vol(vms[0], "sdb1")->not_encrypted);
}

Test(volumes, a_volume_that_says_which_mapper_it_was_backs_that_line)
{
	struct node *a = disk("sda"), *luks = part(disk("sdb"), 1, "crypto_LUKS", "", 't', 17), *other = part(disk("sdc"), 1, "crypto_LUKS", "", 't', 17),
		    *open;

	root_on(part(a, 1, "f2fs", "", 't', 17), NULL, LUN_LINE);
	open = graph_add(&g, "sdb1:open", KIND_LUKS, luks, luks->blk);
	open->fs_tried = true;
	mem_text(fs_on(open), "/.azure_ade_backup_mount_info/crypttab_line", LUN_LINE);
	attach(luks, open, bek_key(NULL));
	attach(other, NULL, NULL);
	look();
	cr_expect_eq(vms[0]->lines[0].volume, vol(vms[0], "sdb1"));
	cr_expect_eq(vms[0]->lines[0].backed, TRI_YES);
	cr_expect(vol(vms[0], "sdb1")->ade);
	cr_expect(owns(vms[0], 1));
	cr_expect_not(owns(vms[0], 2));
	cr_expect_not(vol(vms[0], "sdc1")->ade);
	cr_expect_not(vol(vms[0], "sdc1")->foreign_luks);
}

Test(volumes, luks_with_a_key_of_its_owner_is_foreign_and_with_none_it_is_not)
{
	struct node *a = disk("sda"), *b = disk("sdb");

	root_on(part(a, 1, "f2fs", "", 't', 17), NULL,
		"mine UUID=l1 /root/k luks\nasked UUID=l2 none luks\nosencrypt UUID=l3 /root/k luks\nade UUID=l4 /x/LinuxPassPhraseFileName luks\n");
	for (unsigned i = 1; i <= 4; i++) {
		char uuid[4];

		snprintf(uuid, sizeof(uuid), "l%u", i);
		attach(part(b, i, "crypto_LUKS", uuid, 't', 17), NULL, NULL);
	}
	look();
	cr_expect(vol(vms[0], "sdb1")->foreign_luks);
	cr_expect_not(vol(vms[0], "sdb2")->foreign_luks);
	cr_expect_not(vol(vms[0], "sdb3")->foreign_luks);
	cr_expect_not(vol(vms[0], "sdb4")->foreign_luks);
	cr_expect(vol(vms[0], "sdb4")->ade);
	cr_expect(owns(vms[0], 1));
}

Test(volumes, a_machine_that_never_met_ade_has_foreign_luks_only)
{
	root_on(part(disk("sda"), 1, "f2fs", "", 't', 17), NULL, NULL);
	attach(part(disk("sdb"), 1, "crypto_LUKS", "", 't', 17), NULL, NULL);
	look();
	cr_expect(vol(vms[0], "sdb1")->foreign_luks);
}

Test(volumes, names_of_data_disks_are_counted_once)
{
	struct node *a = disk("sda");

	root_on(part(a, 1, "f2fs", "", 't', 17),
		"UUID=gone /data1 ext4 x\n/dev/disk/azure/scsi1/lun3-part1 /d3 ext4 x\n/dev/disk/azure/scsi1/lun3-part2 /d4 ext4 x\n"
		"UUID=d /d5 ext4 x\nUUID=efi /boot/efi vfat x\n/dev/sdb1 /mnt auto x\n/dev/disk/cloud/azure_resource-part1 /mnt auto x\n"
		"LABEL=BEK\\040VOLUME /mnt/azure_bek_disk auto x\ntmpfs /tmp tmpfs x\n//nas/x /nas cifs x\n",
		LUN_LINE "swap /dev/sdb1 /dev/urandom swap\nx UUID=nowhere none luks\n");
	fs_on(part(disk("sdb"), 1, "f2fs", "d", 't', 17));
	look();
	/* gone, lun 3, disk sdb, lun 0, nowhere */
	cr_expect_eq(vms[0]->data_disks_named, 5, "%u", vms[0]->data_disks_named);
	cr_expect_eq(vms[0]->data_disks_attached, 1);
	cr_expect(owns(vms[0], 1));
	cr_expect_eq(vms[0]->nmissing, 2);
	cr_expect_eq(vol(vms[0], "sdb1")->role, VOL_DATA);
	cr_expect_str_eq(vol(vms[0], "sdb1")->mount_at, "/d5");
}

Test(volumes, an_empty_partition_table_is_blank_and_one_that_hides_ciphertext_is_opaque)
{
	struct node *d;

	root_on(part(disk("sda"), 1, "f2fs", "", 't', 17), NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct node *filled = part(g.nodes[0], 8 + i, "", "", i ? 'r' : 0, 17);

		d = disk(i ? "sdc" : "sdb");
		d->blk = blk_ref(filled->blk);
		d->size = filled->blk->size;
	}
	look();
	cr_expect_eq(vol(vms[0], "sdb")->state, VS_BLANK);
	cr_expect_eq(vol(vms[0], "sdc")->state, VS_OPAQUE);
}

/* ---- images of stock tools ---- */

static char dir[64];

static void sh(const char *fmt, ...)
{
	char cmd[3000];
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	r = system(cmd);
	cr_assert(WIFEXITED(r) && WEXITSTATUS(r) == 0, "%s", cmd);
}

static void open_image(const char *name)
{
	char path[128];
	struct stat st;
	cleanup_blk struct blk *b = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	cr_assert(fd >= 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(blk_open_file(fd, (uint64_t)st.st_size, name, &b, NULL), 0);
	close(fd);
	disks[ndisks] = graph_add(&g, name, KIND_DISK, NULL, b);
	disks[ndisks]->disk = (int)ndisks;
	ndisks++;
}

static struct find_state found;
static int between(void *arg, struct graph *graph, struct err *e)
{
	(void)arg;
	return vm_find_keys_and_headers(graph, &found, e);
}

static void image_init(void)
{
	setup();
	found = (struct find_state){ 0 };
	snprintf(dir, sizeof(dir), "/tmp/aderescue-vol-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static void image_fini(void)
{
	vms_free(vms, nvms);
	free(unassigned);
	free(found.seen);
	graph_done(&g);
	sh("rm -rf %s", dir);
}

TestSuite(images, .init = image_init, .fini = image_fini);

/* root, BIOS boot of random bytes, ESP, random swap; a second disk with a shredded partition */
static void make_os_disk(void)
{
	sh("cd %s && mkdir -p t/etc t/usr/lib t/var/lib/waagent t/boot t/data && echo ID=ubuntu >t/usr/lib/os-release && "
	   "ln -s ../usr/lib/os-release t/etc/os-release && cp /etc/passwd t/etc/ && "
	   "printf 'UUID=11111111-1111-4111-8111-111111111111 / ext4 defaults 0 1\\n' >t/etc/fstab && "
	   "printf 'swap /dev/sda3 /dev/urandom swap\\n' >t/etc/crypttab && "
	   "mke2fs -q -t ext4 -F -U 11111111-1111-4111-8111-111111111111 -d t root 48M >log 2>&1 && truncate -s 110M os && "
	   "printf 'label: gpt\\nstart=2048,size=98304\\nstart=100352,size=8192,type=21686148-6449-6E6F-744E-656564454649\\n"
	   "start=108544,size=40960\\nstart=149504,size=40960,type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\\n' | sfdisk -q os && "
	   "dd if=root of=os bs=1M seek=1 conv=notrunc status=none && "
	   "dd if=/dev/urandom of=os bs=512 seek=100352 count=49152 conv=notrunc status=none && "
	   "mkfs.vfat esp -C 20480 >/dev/null && dd if=esp of=os bs=512 seek=149504 conv=notrunc status=none", dir);
}

Test(images, an_ordinary_os_disk_is_plain_and_nothing_on_it_opaque)
{
	make_os_disk();
	open_image("os");
	cr_assert_eq(graph_run(&g, between, NULL, NULL), 0);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_str_eq(vms[0]->os.id, "ubuntu");
	cr_expect_eq(vms[0]->root_volume->plain, TRI_YES, "%s", vms[0]->root_volume->plain_why);
	cr_expect_eq(vol(vms[0], "os2")->role, VOL_SMALL);
	cr_expect_eq(vol(vms[0], "os3")->role, VOL_SWAP);
	cr_expect_eq(vol(vms[0], "os4")->role, VOL_ESP);
	for (size_t i = 0; i < vms[0]->nvolumes; i++)
		cr_expect_neq(vms[0]->volumes[i].state, VS_OPAQUE, "%s", vms[0]->volumes[i].node->name);
	cr_expect_gt(vms[0]->last_write, 0);
}

Test(images, a_shredded_partition_of_another_disk_is_opaque)
{
	make_os_disk();
	sh("cd %s && truncate -s 64M data && printf 'label: dos\\nstart=2048,size=100000\\n' | sfdisk -q data && "
	   "dd if=/dev/urandom of=data bs=512 seek=2048 count=100000 conv=notrunc status=none", dir);
	open_image("os");
	open_image("data");
	cr_assert_eq(graph_run(&g, between, NULL, NULL), 0);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_eq(vol(vms[0], "data1")->state, VS_OPAQUE);
	cr_expect_eq(vol(vms[0], "data1")->plain, TRI_NO);
	cr_expect_eq(nunassigned, 1);
}

Test(images, a_root_whose_tail_is_ciphertext_is_not_plain)
{
	make_os_disk();
	sh("cd %s && for i in $(seq 35); do head -c 1000003 /dev/urandom >t/data/$i; done && "
	   "mke2fs -q -t ext4 -F -b 1024 -U 11111111-1111-4111-8111-111111111111 -d t root2 48M >log 2>&1 && "
	   "dd if=root2 of=os bs=1M seek=1 conv=notrunc status=none && dd if=/dev/urandom of=os bs=1M seek=31 count=18 conv=notrunc status=none", dir);
	open_image("os");
	cr_assert_eq(graph_run(&g, between, NULL, NULL), 0);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_neq(vms[0]->root_volume->plain, TRI_YES, "%s", vms[0]->root_volume->plain_why);
}
