/* SPDX-License-Identifier: MIT */
/* Tests what vm/{roots,nodes,rootvg,missing}.c know of LVM: which device a root on a volume group is, on which side of LUKS the LV
 * lies, removed groups and missing volumes. */
#include <stdlib.h>

#include "vmgraph.h"
#include "format/lvm.h"

#define ESP "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

TestSuite(vm_lvm, .init = setup, .fini = teardown);

static struct node *inner(const char *name, enum node_kind kind, struct node *parent, struct blk *b, const char *fmt)
{
	struct node *n = graph_add(&g, name, kind, parent, b);

	n->state = NODE_OPEN;
	n->fs_tried = true;
	snprintf(n->fmt, sizeof(n->fmt), "%s", fmt);
	return n;
}

static struct node *esp(struct node *d)
{
	struct node *n = part(d, 15, "vfat", "", 't', 1);

	snprintf(n->parttype, sizeof(n->parttype), ESP);
	return n;
}

/* ---- which side of LUKS ---- */

Test(vm_lvm, a_root_on_lvm_in_luks_is_one_that_mount_does_not_show)
{
	struct node *p = part(disk("sda"), 4, "", "", 'r', 1), *open = inner("sda4:open", KIND_LUKS, p, p->blk, "LVM2_member");
	struct node *vg = inner("rootvg", KIND_VG, open, NULL, ""), *lv = inner("rootvg/rootlv", KIND_LV, vg, p->blk, "xfs");

	root_on(lv, "/dev/mapper/rootvg-rootlv / xfs defaults 0 0\n", NULL);
	attach(p, open, bek_key(NULL))->detached = true;
	look();
	cr_assert_eq(nvms, 1);
	cr_expect(vms[0]->root_lvm);
	cr_expect_str_eq(vms[0]->root_lv, "rootvg/rootlv");
	cr_expect_eq(vms[0]->root_raw, p);
	cr_expect_null(vol(vms[0], "rootvg/rootlv"));
	cr_expect_eq(vms[0]->root_volume->state, VS_OPENED);
	cr_expect_eq(vms[0]->removed_vg.is, TRI_NO);
}

Test(vm_lvm, a_root_in_luks_on_an_lv_is_one_that_mount_shows)
{
	struct node *p = part(disk("sda"), 4, "LVM2_member", "", 't', 1), *vg = inner("rootvg", KIND_VG, p, NULL, "");
	struct node *lv = inner("rootvg/rootlv", KIND_LV, vg, p->blk, "crypto_LUKS");
	struct node *open = inner("rootvg/rootlv:open", KIND_LUKS, lv, p->blk, "xfs");

	root_on(open, NULL, NULL);
	attach(lv, open, bek_key(NULL));
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_not(vms[0]->root_lvm);
	cr_expect_str_eq(vms[0]->root_lv, "rootvg/rootlv");
	cr_expect_eq(vms[0]->root_raw, lv);
	/* the LV is judged by its header, so the PV below is plain for all that is known */
	cr_expect_eq(vol(vms[0], "rootvg/rootlv")->state, VS_OPENED);
	cr_expect_eq(vol(vms[0], "sda4")->plain, TRI_YES, "%s", vol(vms[0], "sda4")->plain_why);
}

Test(vm_lvm, of_a_group_on_two_disks_the_root_is_the_one_that_starts)
{
	struct node *b = disk("sdb"), *a = disk("sda"), *second = part(b, 1, "LVM2_member", "", 't', 1), *first, *vg, *lv;

	esp(a);
	first = part(a, 4, "LVM2_member", "", 't', 1);
	vg = inner("rootvg", KIND_VG, second, NULL, "");
	cr_assert_eq(graph_add_parent(vg, first, NULL), 0);
	lv = inner("rootvg/rootlv", KIND_LV, vg, first->blk, "xfs");
	root_on(lv, NULL, NULL);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_eq(vms[0]->root_raw, first);
	cr_expect(vms[0]->root_lvm);
	cr_expect(owns(vms[0], 0) && owns(vms[0], 1));
}

/* ---- a removed group ---- */

/* make-lvm's image of a group whose volumes and then itself were removed, as a partition of 3 MiB */
static struct node *removed_on(struct node *d, unsigned no)
{
	const char *src = getenv("srcdir");
	static uint8_t bytes[8 << 20];
	struct blk *b = NULL;
	char command[600], name[64];
	struct node *n;
	size_t len;
	FILE *f;

	snprintf(command, sizeof(command), "xz -dc %s/tests/unit/data/lvm-removed.img.xz", src ? src : ".");
	f = popen(command, "r");
	cr_assert(f);
	len = fread(bytes, 1, sizeof(bytes), f);
	cr_assert_eq(pclose(f), 0);
	cr_assert_eq(blk_open_mem(bytes, len, &b, NULL), 0);
	snprintf(name, sizeof(name), "%s%u", d->name, no);
	n = graph_add(&g, name, KIND_PARTITION, d, b);
	n->partno = no;
	n->disk = d->disk;
	n->size = 64 << 20;             /* a root is not smaller */
	blk_unref(b);
	return n;
}

static int finish(void *arg, struct graph *graph, struct err *e)
{
	(void)arg;
	return lvm_finish(graph, e);
}

Test(vm_lvm, a_group_removed_under_the_root_is_told_and_opened)
{
	struct node *a = disk("sda"), *p;

	esp(a);
	boot_on(part(a, 2, "xfs", "", 't', 1));
	p = removed_on(a, 4);
	cr_assert_eq(graph_run(&g, finish, NULL, NULL), 0);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_eq(vms[0]->root_raw, p);
	cr_expect_eq(vms[0]->removed_vg.is, TRI_YES);
	cr_expect_eq(vms[0]->removed_vg.pv, p);
	cr_expect_str_eq(vms[0]->removed_vg.name, "rootvg");
	cr_expect_null(vms[0]->removed_vg.now);
	cr_expect_eq(vms[0]->removed_vg.seqno, 7);
	cr_expect_eq(vms[0]->removed_vg.nlvs, 5);
	cr_expect_not(vms[0]->removed_vg.encrypted);
	cr_expect(vms[0]->removed_vg.opened && graph_find(&g, "rootvg/rootlv"));
}

Test(vm_lvm, looking_twice_opens_the_old_text_once)
{
	struct node *a = disk("sda");
	size_t n;

	esp(a);
	boot_on(part(a, 2, "xfs", "", 't', 1));
	removed_on(a, 4);
	cr_assert_eq(graph_run(&g, finish, NULL, NULL), 0);
	look();
	n = g.n;
	vms_free(vms, nvms);
	free(unassigned);
	look();
	cr_expect_eq(g.n, n);
}

Test(vm_lvm, a_group_removed_on_a_data_disk_is_its_owners_matter)
{
	struct node *a = disk("sda"), *b = disk("sdb");
	size_t n;

	root_on(part(a, 1, "f2fs", "", 't', 1), "", NULL);
	removed_on(b, 1);
	cr_assert_eq(graph_run(&g, finish, NULL, NULL), 0);
	n = g.n;
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_eq(vms[0]->removed_vg.is, TRI_NO);
	cr_expect_eq(g.n, n, "nothing of it is opened");
}

Test(vm_lvm, a_root_beside_it_on_the_disk_needs_no_older_text)
{
	struct node *a = disk("sda");

	esp(a);
	root_on(part(a, 1, "f2fs", "", 't', 1), "", NULL);
	removed_on(a, 4);
	cr_assert_eq(graph_run(&g, finish, NULL, NULL), 0);
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_eq(vms[0]->removed_vg.is, TRI_NO);
	cr_expect_null(graph_find(&g, "rootvg/rootlv"));
}

Test(vm_lvm, where_the_root_was_not_read_a_removed_group_cannot_be_told)
{
	struct node *a = disk("sda");

	esp(a);
	boot_on(part(a, 2, "xfs", "", 't', 1));
	part(a, 4, "", "", 'r', 32)->opaque = 1;
	look();
	cr_assert_eq(nvms, 1);
	cr_expect_eq(vms[0]->removed_vg.is, TRI_UNKNOWN);
	cr_expect(vms[0]->removed_vg.why);
}

/* ---- what is missing ---- */

Test(vm_lvm, a_logical_volume_that_fstab_mounts_and_no_disk_holds_is_missing)
{
	root_on(part(disk("sda"), 1, "f2fs", "", 't', 1),
		"/dev/mapper/datavg-datalv /data xfs defaults 0 0\n/dev/datavg/other /other xfs noauto 0 0\n", NULL);
	look();
	cr_assert_eq(nvms, 1);
	cr_assert_eq(vms[0]->nmissing, 1);
	cr_expect(strstr(vms[0]->missing[0], "datavg-datalv"), "%s", vms[0]->missing[0]);
}

Test(vm_lvm, a_physical_volume_without_volumes_is_plain_only_where_it_is_blank)
{
	static const char fills[] = { 0, 't', 'r' };
	static const enum tri want[] = { TRI_YES, TRI_UNKNOWN, TRI_NO };
	struct node *a = disk("sda"), *b = disk("sdb");

	root_on(part(a, 1, "f2fs", "", 't', 1), "", NULL);
	for (unsigned i = 0; i < 3; i++)
		part(b, i + 1, "LVM2_member", "", fills[i], 20);
	look();
	cr_assert_eq(nvms, 1);
	for (unsigned i = 0; i < 3; i++) {
		const struct volume *v = vol(vms[0], (const char *[]){ "sdb1", "sdb2", "sdb3" }[i]);

		cr_expect_eq(v->plain, want[i], "%s: %s", v->node->name, v->plain_why);
	}
}
