/* SPDX-License-Identifier: MIT */
/* Tests format/lvm*.c: images made by LVM's own tools (data/make-lvm), whose volumes an independent reader has summed; and
 * volumes made here, whose metadata lies under CRCs that are right. */
#include "disk.h"
#include <unistd.h>
#include "format/luks.h"
#include "format/lvm.h"

enum { SIZE = 3 << 20, MDA = 4096, MDA_SIZE = (1 << 20) - 4096, PE = 64 * 1024 };

static int finish(void *arg, struct graph *g, struct err *e)
{
	(void)arg;
	return lvm_finish(g, e);
}

static void run(struct graph *g)
{
	struct err e = { "" };

	cr_assert_eq(graph_run(g, finish, NULL, &e), 0, "%s", e.msg);
}

static struct node *add(struct graph *g, const char *name, int disk, struct blk *b)
{
	struct node *n = graph_add(g, name, KIND_DISK, NULL, b);

	cr_assert(n);
	n->disk = disk;
	return n;
}

/* ---- images ---- */

static const char *data_dir(void)
{
	static char path[512];
	const char *src = getenv("srcdir");

	snprintf(path, sizeof(path), "%s/tests/unit/data", src ? src : ".");
	return path;
}

static struct blk *image(const char *name)
{
	static uint8_t bytes[8 << 20];
	struct blk *b = NULL;
	char command[600];
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command), "xz -dc %s/lvm-%s.img.xz", data_dir(), name);
	f = popen(command, "r");
	cr_assert(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	cr_assert_eq(pclose(f), 0, "%s", command);
	cr_assert_eq(blk_open_mem(bytes, n, &b, NULL), 0);
	return b;
}

static struct node *add_image(struct graph *g, const char *name, const char *img, int disk)
{
	cleanup_blk struct blk *b = image(img);

	return add(g, name, disk, b);
}

/* What grub-fstest found in the LV of this name. */
static void sum_of(const char *lv, char out[65])
{
	char path[600], line[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/lvm.sums", data_dir());
	f = fopen(path, "r");
	cr_assert(f, "%s", path);
	*out = '\0';
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (str_eq(line + 65, lv))
			snprintf(out, 65, "%.64s", line);
	}
	fclose(f);
	cr_assert(*out, "%s", lv);
}

static void expect_sum(const struct node *n, const char *lv)
{
	char want[65], hex[65];
	uint8_t sum[32], *p;

	cr_assert(n, "%s", lv);
	cr_assert(n->blk, "%s: %s", n->name, n->why.msg);
	cr_assert_eq(n->state, NODE_OPEN, "%s: %s", n->name, n->why.msg);
	p = malloc(n->blk->size);
	cr_assert_eq(blk_pread(n->blk, p, n->blk->size, 0, NULL), 0);
	bytes_sha256(p, n->blk->size, sum);
	free(p);
	bytes_hex(sum, 32, hex);
	sum_of(lv, want);
	cr_expect_str_eq(hex, want, "%s", n->name);
}

static void expect_lv(const struct graph *g, const char *name, const char *lv)
{
	expect_sum(graph_find(g, name), lv);
}

Test(lvm, a_linear_volume_reads_as_another_reader_reads_it)
{
	struct graph g = { 0 };
	struct node *pv = add_image(&g, "pv", "linear", 0), *vg, *lv;
	struct lvm_vg_info info;
	char *mapper;

	run(&g);
	vg = graph_find(&g, "root-vg");
	lv = graph_find(&g, "root-vg/root-lv");
	cr_assert(vg && lv);
	cr_expect_eq(pv->state, NODE_OPEN, "%s", pv->why.msg);
	cr_expect_str_eq(pv->why.msg, "");
	cr_expect_str_eq(pv->fmt, "LVM2_member");
	cr_expect(vg->kind == KIND_VG && !vg->blk && vg->state == NODE_OPEN && vg->nparents == 1 && vg->parents[0] == pv && !*vg->why.msg);
	cr_expect(lv->kind == KIND_LV && lv->nparents == 1 && lv->parents[0] == vg && lv->size == 6 * PE && lv->disk == 0);
	cr_expect(blk_is_writable(lv->blk));
	expect_sum(lv, "root-vg/root-lv");
	expect_lv(&g, "root-vg/var_lv", "root-vg/var_lv");
	cr_assert(lvm_vg_info(vg, &info));
	cr_expect_str_eq(info.name, "root-vg");
	cr_expect_str_eq(info.uuid, vg->uuid);
	cr_expect(info.nlvs == 2 && info.seqno == 4 && !info.nmissing && info.nolds == 4 && info.olds[3].current && !info.olds[2].current);
	mapper = lvm_mapper_name(lv);
	cr_expect_str_eq(mapper, "root--vg-root--lv");
	free(mapper);
	cr_expect_null(lvm_text_to_keep(pv));
	cr_expect_not(lvm_vg_info(pv, &info));
	graph_done(&g);
}

Test(lvm, the_uuid_is_spelled_as_libblkid_spells_it)
{
	static const char *const images[] = { "linear", "data1", "data2", "data3", "wrap", "removed" };

	for (size_t i = 0; i < 6; i++) {
		cleanup_blk struct blk *b = image(images[i]);
		struct node ours = { .blk = b }, theirs = { .blk = b };

		cr_assert_eq(format_lvm.parse(b, &ours.meta, NULL), 1);
		cr_assert_eq(format_lvm.describe(&ours, NULL), 0);
		cr_assert_eq(format_other.parse(b, &theirs.meta, NULL), 1);
		cr_assert_eq(format_other.describe(&theirs, NULL), 0);
		cr_expect_str_eq(ours.uuid, theirs.uuid);
		cr_expect_str_eq(ours.fmt, theirs.fmt);
		format_lvm.free_meta(ours.meta);
		format_other.free_meta(theirs.meta);
	}
}

static void expect_datavg(const struct graph *g, const char *vg)
{
	static const char *const lvs[] = { "one", "two", "three", "span", "last" };

	for (size_t i = 0; i < 5; i++) {
		char name[64], lv[64];

		snprintf(name, sizeof(name), "%s/%s", vg, lvs[i]);
		snprintf(lv, sizeof(lv), "datavg/%s", lvs[i]);
		expect_lv(g, name, lv);
	}
}

Test(lvm, volumes_over_three_disks_read_the_same_in_any_order)
{
	static const char order[6][3] = { "123", "132", "213", "231", "312", "321" };

	for (size_t i = 0; i < 6; i++) {
		struct graph g = { 0 };
		struct node *vg;

		for (int k = 0; k < 3; k++) {
			char img[8];

			snprintf(img, sizeof(img), "data%c", order[i][k]);
			add_image(&g, img, img, k);
		}
		run(&g);
		vg = graph_find(&g, "datavg");
		cr_assert(vg && vg->state == NODE_OPEN && vg->nparents == 3 && vg->disk == -1);
		cr_expect(vg->parents[0] == graph_find(&g, "data1"));
		expect_datavg(&g, "datavg");
		cr_expect_eq(g.n, 3 + 1 + 5);
		graph_done(&g);
	}
}

Test(lvm, a_text_that_runs_over_the_end_of_the_ring_is_read)
{
	struct graph g = { 0 };
	struct lvm_pv_info info;
	struct node *pv = add_image(&g, "pv", "wrap", 0);
	bool wrapped = false;

	run(&g);
	expect_lv(&g, "wrapvg/lv", "wrapvg/lv");
	cr_assert(lvm_pv_info(pv, &info));
	for (size_t i = 0; i < info.nolds; i++)
		wrapped |= info.olds[i].current && info.olds[i].offset + info.olds[i].len > MDA + MDA_SIZE;
	cr_expect(wrapped);
	cr_expect_geq(info.nolds, 15);
	for (size_t i = 1; i < info.nolds; i++)
		cr_expect_eq(info.olds[i].seqno, info.olds[i - 1].seqno + 1);
	graph_done(&g);
}

Test(lvm, a_removed_group_is_found_in_the_ring_and_opened_read_only)
{
	struct graph g = { 0 };
	struct node *pv = add_image(&g, "pv", "removed", 0), *vg = NULL;
	const struct lvm_old *keep;
	struct lvm_pv_info info;
	struct lvm_vg_info vi;
	struct err e = { "" };
	char *text = NULL;

	run(&g);
	cr_expect(g.n == 1 && pv->state == NODE_OPEN);
	expect_why(pv, "in no volume group");
	expect_why(pv, "rootvg");
	cr_assert(lvm_pv_info(pv, &info));
	cr_expect(!info.vg_name && !info.broken && info.nolds > 8 && info.olds[info.nolds - 1].nlvs == 0);
	keep = lvm_text_to_keep(pv);
	cr_assert(keep);
	cr_expect(keep->nlvs == 5 && !keep->removal && str_eq(keep->vg_name, "rootvg") && keep->when && keep->seqno == 7);
	cr_assert_eq(lvm_read_text(pv, keep, &text, &e), 0, "%s", e.msg);
	cr_expect(str_starts(text, "rootvg {\n") && strstr(text, "seqno = 7\n") && strlen(text) == keep->len);
	free(text);
	cr_assert_eq(lvm_open_text(&g, pv, keep, &vg, &e), 0, "%s", e.msg);
	run(&g);
	expect_lv(&g, "rootvg/rootlv", "rootvg/rootlv");
	expect_lv(&g, "rootvg/varlv", "rootvg/varlv");
	cr_expect_not(blk_is_writable(graph_find(&g, "rootvg/rootlv")->blk));
	cr_expect(lvm_vg_info(vg, &vi) && vi.from_old_text && vi.seqno == 7);
	graph_done(&g);
}

Test(lvm, without_one_disk_the_rest_can_be_read_and_the_missing_one_is_named)
{
	struct graph g = { 0 };
	struct node *vg, *span, *three;
	struct lvm_vg_info info;
	uint8_t p[512];
	struct err e = { "" };
	char uuid[64];

	add_image(&g, "c", "data3", 0);
	run(&g);
	memcpy(uuid, g.nodes[0]->uuid, sizeof(uuid));
	cr_expect(g.n == 1 && g.nodes[0]->state == NODE_OPEN, "its own text is ignored, so it names no group");
	graph_done(&g);

	add_image(&g, "b", "data2", 0);
	add_image(&g, "a", "data1", 1);
	run(&g);
	vg = graph_find(&g, "datavg");
	cr_assert(vg && vg->state == NODE_DAMAGED);
	expect_why(vg, uuid);
	cr_assert(lvm_vg_info(vg, &info));
	cr_expect(info.nmissing == 1 && str_eq(info.missing[0], uuid));
	expect_lv(&g, "datavg/one", "datavg/one");
	expect_lv(&g, "datavg/two", "datavg/two");
	span = graph_find(&g, "datavg/span");
	three = graph_find(&g, "datavg/three");
	cr_assert(span && span->state == NODE_DAMAGED && span->blk && three && three->blk);
	expect_why(span, uuid);
	cr_expect_eq(blk_pread(span->blk, p, 512, 7 * PE - 512, &e), 0);
	cr_expect_eq(blk_pread(span->blk, p, 512, 7 * PE, &e), -EIO);
	cr_expect(strstr(e.msg, uuid));
	cr_expect_eq(blk_pread(three->blk, p, 512, 16384, &e), 0);
	cr_expect_eq(blk_pread(three->blk, p, 512, 32768, &e), -EIO);
	cr_expect_eq(graph_find(&g, "datavg/last")->state, NODE_DAMAGED);

	/* and then it turns up */
	add_image(&g, "c", "data3", 2);
	run(&g);
	cr_expect(vg->state == NODE_OPEN && vg->nparents == 3 && !*vg->why.msg);
	expect_datavg(&g, "datavg");
	cr_expect_eq(g.n, 3 + 1 + 5);
	graph_done(&g);
}

Test(lvm, a_copy_of_the_disk_becomes_a_group_of_its_own)
{
	struct graph g = { 0 };
	struct node *vg2;

	add_image(&g, "a", "linear", 0);
	add_image(&g, "b", "linear", 1);
	run(&g);
	vg2 = graph_find(&g, "root-vg#2");
	cr_assert(vg2);
	cr_expect(graph_find(&g, "root-vg")->disk == 0 && vg2->disk == 1);
	cr_expect(graph_find(&g, "root-vg/root-lv")->disk == 0 && graph_find(&g, "root-vg#2/root-lv")->disk == 1);
	expect_lv(&g, "root-vg/root-lv", "root-vg/root-lv");
	expect_lv(&g, "root-vg#2/root-lv", "root-vg/root-lv");
	graph_done(&g);
}

Test(lvm, a_copy_that_comes_later_becomes_a_group_of_its_own)
{
	struct graph g = { 0 };

	add_image(&g, "a", "linear", 0);
	run(&g);
	add_image(&g, "b", "linear", 1);
	run(&g);
	cr_assert(graph_find(&g, "root-vg#2"));
	cr_expect_eq(graph_find(&g, "root-vg#2")->disk, 1);
	graph_done(&g);
}

Test(lvm, partitions_of_one_disk_are_never_mixed_with_those_of_its_copy)
{
	static const char *const order[6] = { "data1", "data2", "data3", "data3", "data1", "data2" };
	struct graph g = { 0 };

	/* disk 0 and its copy, disk 1, in turn */
	for (int i = 0; i < 6; i++)
		add_image(&g, order[i], order[i], i == 1 || i == 3 || i == 4);
	run(&g);
	cr_assert(graph_find(&g, "datavg") && graph_find(&g, "datavg#2") && !graph_find(&g, "datavg#3"));
	for (size_t i = 0; i < g.n; i++)
		if (g.nodes[i]->kind == KIND_VG || g.nodes[i]->kind == KIND_LV)
			cr_expect_geq(g.nodes[i]->disk, 0, "%s", g.nodes[i]->name);
	expect_datavg(&g, "datavg");
	expect_datavg(&g, "datavg#2");
	graph_done(&g);
}

Test(lvm, where_copies_cannot_be_told_apart_nothing_is_mixed)
{
	struct graph g = { 0 };
	size_t ones = 0, vgs = 0;

	add_image(&g, "a", "data1", 0);
	add_image(&g, "b", "data2", 1);
	add_image(&g, "c", "data3", 2);
	add_image(&g, "a2", "data1", 3);
	run(&g);
	for (size_t i = 0; i < g.n; i++) {
		struct node *n = g.nodes[i];

		vgs += n->kind == KIND_VG;
		if (n->kind != KIND_LV)
			continue;
		if (strstr(n->name, "/one") && n->state == NODE_OPEN) {
			expect_sum(n, "datavg/one");
			ones++;
		}
		if (strstr(n->name, "/span") || strstr(n->name, "/two") || strstr(n->name, "/three"))
			cr_expect_eq(n->state, NODE_DAMAGED, "%s", n->name);
	}
	cr_expect_eq(ones, 2);
	cr_expect_geq(vgs, 2);
	expect_why(graph_find(&g, "datavg"), "more than once");
	graph_done(&g);
}

Test(lvm, a_volume_that_comes_twice_on_one_disk_goes_with_nothing)
{
	struct graph g = { 0 };
	size_t ones = 0;

	add_image(&g, "sda1", "data1", 0);
	add_image(&g, "sda2", "data2", 0);
	add_image(&g, "sda3", "data3", 0);
	add_image(&g, "sda4", "data1", 0);
	run(&g);
	for (size_t i = 0; i < g.n; i++) {
		struct node *n = g.nodes[i];

		ones += n->kind == KIND_LV && strstr(n->name, "/one") && n->state == NODE_OPEN;
		if (n->kind == KIND_LV && strstr(n->name, "/span"))
			cr_expect_eq(n->state, NODE_DAMAGED, "%s", n->name);
	}
	cr_expect_eq(ones, 2);
	graph_done(&g);
}

Test(lvm, a_disk_that_is_cut_off_gives_what_it_has)
{
	struct graph g = { 0 };
	cleanup_blk struct blk *b = image("linear"), *cut = NULL;
	struct node *lv;
	uint8_t p[512];

	/* root-lv has extents 0-3 and 7-8, var_lv 4-6 */
	cr_assert_eq(blk_open_window(b, 0, (1 << 20) + 8 * PE, &cut, NULL), 0);
	add(&g, "pv", 0, cut);
	run(&g);
	expect_lv(&g, "root-vg/var_lv", "root-vg/var_lv");
	lv = graph_find(&g, "root-vg/root-lv");
	cr_assert(lv && lv->state == NODE_DAMAGED);
	expect_why(lv, "shorter");
	cr_expect_eq(blk_pread(lv->blk, p, 512, 5 * PE - 512, NULL), 0);
	cr_expect_eq(blk_pread(lv->blk, p, 512, 5 * PE, NULL), -EIO);
	graph_done(&g);
}

static void flip(struct blk *b, uint64_t off)
{
	uint8_t x = 0;

	cr_assert_eq(blk_pread(b, &x, 1, off, NULL), 0);
	x ^= 1;
	cr_assert_eq(blk_pwrite(b, &x, 1, off, NULL), 0);
}

Test(lvm, the_second_copy_of_the_metadata_is_used_where_the_first_is_bad)
{
	static const uint64_t at[] = { MDA + 10, MDA + 40, MDA + 48, MDA + 60 };

	for (size_t i = 0; i < 5; i++) {
		cleanup_blk struct blk *b = image("data2");
		struct graph g = { 0 };
		struct node *n;
		le64 off;

		cr_assert_eq(blk_pread(b, &off, sizeof(off), MDA + 40, NULL), 0);
		flip(b, i < 4 ? at[i] : MDA + le64_get(off) + 30);
		n = add(&g, "pv", 0, b);
		run(&g);
		cr_expect(graph_find(&g, "datavg"), "%zu", i);
		expect_why(n, "metadata area 1: ");
		expect_why(n, "the other copy is used");
		graph_done(&g);
	}
}

/* An update that was cut short leaves one area behind the other: both are good, and the newer counts. */
Test(lvm, of_two_good_areas_the_newer_counts)
{
	for (int second = 0; second < 2; second++) {
		cleanup_blk struct blk *b = image("data2");
		struct graph g = { 0 };
		struct lvm_pv_info info;
		struct lvm_vg_info vi;
		uint64_t newest, mda = MDA, off = 0, len = 0;
		uint8_t h[512], text[65536];
		void *meta = NULL;
		struct node n = { .blk = b, .format = &format_lvm };
		le64 start;

		cr_assert_eq(format_lvm.parse(b, &meta, NULL), 1);
		n.meta = meta;
		cr_assert(lvm_pv_info(&n, &info));
		newest = info.olds[info.nolds - 1].seqno;
		for (size_t i = 0; i < info.nolds; i++)
			if (info.olds[i].seqno + 1 == newest && (info.olds[i].offset > 2 << 20) == second) {
				off = info.olds[i].offset;
				len = info.olds[i].len + 1;
			}
		format_lvm.free_meta(meta);
		cr_assert(off && len < sizeof(text));
		if (second) {
			/* the second area is the second in the list of the label's sector */
			cr_assert_eq(blk_pread(b, &start, sizeof(start), 512 + 32 + 40 + 48, NULL), 0);
			mda = le64_get(start);
		}
		cr_assert_eq(blk_pread(b, text, len, off, NULL), 0);
		cr_assert_eq(blk_pread(b, h, sizeof(h), mda, NULL), 0);
		put_le(h + 40, off - mda, 8);
		put_le(h + 48, len, 8);
		put_le(h + 56, ~bytes_crc32(~0xf597a6cfu, text, len), 4);
		put_le(h, ~bytes_crc32(~0xf597a6cfu, h + 4, 508), 4);
		cr_assert_eq(blk_pwrite(b, h, sizeof(h), mda, NULL), 0);
		add(&g, "pv", 0, b);
		run(&g);
		cr_assert(lvm_vg_info(graph_find(&g, "datavg"), &vi));
		cr_expect_eq(vi.seqno, newest);
		cr_expect_str_eq(g.nodes[0]->why.msg, "");
		graph_done(&g);
	}
}

Test(lvm, a_group_whose_only_text_is_bad_is_damaged)
{
	cleanup_blk struct blk *b = image("linear");
	struct graph g = { 0 };
	struct node *n;

	flip(b, MDA + 41);
	n = add(&g, "pv", 0, b);
	run(&g);
	cr_expect(n->state == NODE_DAMAGED && g.n == 1);
	expect_why(n, "header CRC");
	graph_done(&g);
}

Test(lvm, a_bad_label_over_lvm_metadata_is_damage_and_over_nothing_is_nothing)
{
	cleanup_blk struct blk *b = image("linear");
	struct graph g = { 0 };
	uint8_t zero[512] = { 0 };
	void *meta = NULL;
	struct node *n;

	flip(b, 512 + 40);
	n = add(&g, "pv", 0, b);
	run(&g);
	cr_expect_eq(n->state, NODE_DAMAGED);
	cr_expect_str_eq(n->fmt, "LVM2_member");
	expect_why(n, "label");
	graph_done(&g);
	cr_assert_eq(blk_pwrite(b, zero, sizeof(zero), MDA, NULL), 0);
	cr_expect_eq(format_lvm.parse(b, &meta, NULL), 0);
}

Test(lvm, the_member_of_a_mirror_is_not_the_volume)
{
	static const uint8_t magic[4] = { 0xfc, 0x4e, 0x2b, 0xa9 };
	static const uint64_t at[] = { SIZE - 8192, SIZE - 65536 };

	for (size_t i = 0; i < 2; i++) {
		cleanup_blk struct blk *b = image("linear");
		void *meta = NULL;

		cr_assert_eq(blk_pwrite(b, magic, 4, at[i], NULL), 0);
		cr_expect_eq(format_lvm.parse(b, &meta, NULL), 0);
	}
}

/* ---- volumes made here ---- */

static uint32_t crc_of(const void *p, size_t len)
{
	return ~bytes_crc32(~0xf597a6cfu, p, len);
}

struct made {
	uint8_t bytes[SIZE];
	uint64_t locns[6];              /* data: offset, size, 0, 0; metadata: offset, size */
	uint64_t mda_start, mda_size, version;
	uint64_t text_off, text_len, flags;
	uint64_t label_off, label_sector;
	bool endless;                   /* the lists have no end */
};

static void made_init(struct made *m)
{
	memset(m, 0, sizeof(*m));
	m->locns[0] = 1 << 20;
	m->locns[4] = m->mda_start = MDA;
	m->locns[5] = m->mda_size = MDA_SIZE;
	m->version = 1;
	m->text_off = 512;
	m->label_off = 32;
	m->label_sector = 1;
}

/* PVs of these tests are told apart by one letter. */
static void put_pv(struct made *m, char letter, const char *text)
{
	uint8_t *s = m->bytes + 512, *p = s + (m->label_off <= 400 ? m->label_off : 32), *h = m->bytes + MDA;

	memcpy(s, "LABELONE", 8);
	put_le(s + 8, m->label_sector, 8);
	put_le(s + 20, m->label_off, 4);
	memcpy(s + 24, "LVM2 001", 8);
	memset(p, letter, 32);
	put_le(p + 32, SIZE, 8);
	for (size_t i = 0; i < 6; i++)
		put_le(p + 40 + 8 * i, m->locns[i], 8);
	for (uint8_t *q = p + 40; m->endless && q + 16 <= s + 512; q += 16)
		put_le(q, 1 << 20, 8);
	put_le(s + 16, crc_of(s + 20, 492), 4);
	memcpy(h + 4, " LVM2 x[5A%r0N*>", 16);
	put_le(h + 20, m->version, 4);
	put_le(h + 24, m->mda_start, 8);
	put_le(h + 32, m->mda_size, 8);
	if (text) {
		size_t len = strlen(text) + 1;

		if (!m->text_len)
			m->text_len = len;
		memcpy(h + 512, text, len);
		put_le(h + 40, m->text_off, 8);
		put_le(h + 48, m->text_len, 8);
		put_le(h + 56, m->text_len <= SIZE / 2 ? crc_of(h + 512, m->text_len) : 0, 4);
		put_le(h + 60, m->flags, 4);
	}
	put_le(h, crc_of(h + 4, 508), 4);
	for (size_t off = 1 << 20; off < SIZE; off += 4096)
		snprintf((char *)m->bytes + off, 32, "%c %08zx", letter, off);
}

/* The text of a VG on PVs named by letters. lvs is put in as it is. */
static char *text_of(const char *name, char vg, unsigned seqno, const char *pvs, const char *head, const char *lvs)
{
	struct str s = { 0 };
	char id[33];

#define UUID(letter) (memset(id, (letter), 32), id[32] = 0, id), id + 6, id + 10, id + 14, id + 18, id + 22, id + 26
#define UUID_FMT "%.6s-%.4s-%.4s-%.4s-%.4s-%.4s-%.6s"
	str_addf(&s, "%s {\nid = \"" UUID_FMT "\"\nseqno = %u\n", name, UUID(vg), seqno);
	str_addf(&s, "%s\nphysical_volumes {\n",
		 head ? head : "status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\nextent_size = 128");
	for (size_t i = 0; pvs[i]; i++)
		str_addf(&s, "pv%zu {\nid = \"" UUID_FMT "\"\npe_start = 2048\npe_count = 32\n}\n", i, UUID(pvs[i]));
	str_addf(&s, "}\nlogical_volumes {\n%s}\n}\n# by hand\ncontents = \"Text Format Volume Group\"\nversion = 1\n"
		 "creation_time = %u\t# then\n", lvs, 1700000000 + seqno);
	return str_take(&s);
}

#define LV(name, more) name " {\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nsegment_count = 1\nsegment1 {\nstart_extent = 0\nextent_count = 4\n" more "\n}\n}\n"
#define LINEAR(pv, pe) "type = \"striped\"\nstripe_count = 1\nstripes = [\n\"" pv "\", " #pe "\n]"

static struct node *add_text(struct graph *g, const char *node, int disk, char letter, char *text)
{
	static struct made m;
	struct node *n;
	cleanup_blk struct blk *b = NULL;

	made_init(&m);
	put_pv(&m, letter, text);
	free(text);
	cr_assert_eq(blk_open_mem(m.bytes, SIZE, &b, NULL), 0);
	n = add(g, node, disk, b);
	return n;
}

static void expect_at(const struct node *n, uint64_t off, const char *mark)
{
	char p[16] = "";

	cr_assert(n && n->blk, "%s", n ? n->why.msg : mark);
	cr_assert_eq(blk_pread(n->blk, p, 10, off, NULL), 0);
	cr_expect_str_eq(p, mark, "%s", n->name);
}

Test(lvm, comments_quotes_and_escapes_are_understood)
{
	struct graph g = { 0 };
	struct node *n;

	add_text(&g, "pv", 0, 'a', text_of("vg", 'V', 3, "a", NULL,
		"# nothing { here }\ntags_odd = [ 'single', \"a \\\"}{ # b\\\\\" , -3, 1.5, ]\n"
		LV("lv#c {", LINEAR("pv0", 2))));
	run(&g);
	graph_done(&g);
	memset(&g, 0, sizeof(g));
	add_text(&g, "pv", 0, 'a', text_of("vg", 'V', 3, "a", NULL,
		"tags = [ 'single', \"a \\\"}{ # b\\\\\" , -3, 1.5, ] # nothing { here }\nlv # }\n"
		"{status=[\"READ\",\"WRITE\",\"VISI\\BLE\"] segment_count=1 segment1{start_extent=0 extent_count=4 "
		"type=\"striped\" stripe_count=1 stripes=[\"pv0\",2]}}\n"));
	run(&g);
	n = graph_find(&g, "vg/lv");
	expect_at(n, 0, "a 00120000");
	graph_done(&g);
}

Test(lvm, names_of_any_length_and_with_dashes_are_kept)
{
	char name[128], node[300], lv[600];
	struct graph g = { 0 };
	struct node *n;
	char *mapper;

	memset(name, 'x', 127);
	name[127] = '\0';
	memcpy(name, "a--b-.+_", 8);
	snprintf(lv, sizeof(lv), "%s%s", name, LV("", LINEAR("pv0", 0)));
	add_text(&g, "pv", 0, 'a', text_of(name, 'V', 3, "a", NULL, lv));
	run(&g);
	snprintf(node, sizeof(node), "%s/%s", name, name);
	n = graph_find(&g, node);
	expect_at(n, 0, "a 00100000");
	mapper = lvm_mapper_name(n);
	cr_expect(str_starts(mapper, "a----b--.+_xxx") && strstr(mapper, "x-a----b--.+_"));
	free(mapper);
	graph_done(&g);
}

Test(lvm, every_other_segment_type_is_named_and_not_read)
{
	static const char *const types[] = {
		"mirror", "raid1", "raid5", "raid10", "thin", "thin-pool", "cache", "cache-pool", "writecache", "integrity", "vdo",
		"vdo-pool", "error", "zero",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct graph g = { 0 };
		char lv[400], why[64];
		struct node *n;

		snprintf(lv, sizeof(lv), LV("lv", "type = \"%s\"\nstripe_count = 1\nstripes = [\"pv0\", 0]"), types[i]);
		snprintf(why, sizeof(why), "segment type %s", types[i]);
		add_text(&g, "pv", 0, 'a', text_of("vg", 'V', 3, "a", NULL, lv));
		run(&g);
		n = graph_find(&g, "vg/lv");
		cr_assert(n && n->state == NODE_UNSUPPORTED && !n->blk);
		cr_expect_str_eq(n->why.msg, why);
		cr_expect_eq(n->size, 4 * PE);
		graph_done(&g);
	}
}

Test(lvm, internal_volumes_get_no_node)
{
	struct graph g = { 0 };

	add_text(&g, "pv", 0, 'a', text_of("vg", 'V', 3, "a", NULL,
		"lvol0_pmspare {\nstatus = [\"READ\", \"WRITE\"]\nsegment_count = 1\nsegment1 {\nstart_extent = 0\nextent_count = 1\n"
		LINEAR("pv0", 9) "\n}\n}\n" LV("lv", LINEAR("pv0", 0))));
	run(&g);
	cr_expect_eq(g.n, 3);
	cr_expect(graph_find(&g, "vg/lv") && !graph_find(&g, "vg/lvol0_pmspare"));
	graph_done(&g);
}

#define SNAPSHOT(kind) "snapshot0 {\nstatus = [\"READ\", \"WRITE\"]\nsegment_count = 1\nsegment1 {\nstart_extent = 0\nextent_count = 4\n" \
	"type = \"snapshot\"\nchunk_size = 8\norigin = \"root\"\n" kind " = \"snap\"\n}\n}\n"

Test(lvm, a_snapshot_is_not_taken_for_a_volume_and_its_origin_is_not_written)
{
	struct graph g = { 0 };
	struct node *root, *snap;

	add_text(&g, "pv", 0, 'a', text_of("vg", 'V', 3, "a", NULL,
		LV("root", LINEAR("pv0", 0)) LV("snap", LINEAR("pv0", 8)) SNAPSHOT("cow_store")));
	run(&g);
	root = graph_find(&g, "vg/root");
	snap = graph_find(&g, "vg/snap");
	expect_at(root, 0, "a 00100000");
	cr_expect(root->state == NODE_OPEN && !blk_is_writable(root->blk));
	cr_assert(snap && snap->state == NODE_UNSUPPORTED && !snap->blk);
	expect_why(snap, "snapshot");
	graph_done(&g);

	memset(&g, 0, sizeof(g));
	add_text(&g, "pv", 0, 'a', text_of("vg", 'V', 3, "a", NULL,
		LV("root", LINEAR("pv0", 0)) LV("snap", LINEAR("pv0", 8)) SNAPSHOT("merging_store")));
	run(&g);
	root = graph_find(&g, "vg/root");
	cr_assert(root && root->state == NODE_UNSUPPORTED && !root->blk);
	expect_why(root, "merged");
	graph_done(&g);
}

Test(lvm, a_volume_that_was_being_moved_is_not_read)
{
	struct graph g = { 0 };
	struct node *n;

	add_text(&g, "pv", 0, 'a', text_of("vg", 'V', 3, "a", NULL,
		"pvmove0 {\nstatus = [\"READ\", \"WRITE\", \"PVMOVE\", \"LOCKED\"]\nsegment_count = 1\nsegment1 {\nstart_extent = 0\n"
		"extent_count = 4\ntype = \"mirror\"\nmirror_count = 2\nmirrors = [\"pv0\", 0, \"pv0\", 8]\n}\n}\n" LV("lv", LINEAR("pvmove0", 0))));
	run(&g);
	n = graph_find(&g, "vg/lv");
	cr_assert(n && n->state == NODE_UNSUPPORTED && !n->blk);
	expect_why(n, "pvmove0");
	graph_done(&g);
}

Test(lvm, exported_and_read_only_groups_say_so)
{
	struct graph g = { 0 };
	struct node *vg;

	add_text(&g, "pv", 0, 'a', text_of("vg", 'V', 3, "a", "status = [\"EXPORTED\", \"READ\"]\nextent_size = 128",
					   LV("lv", LINEAR("pv0", 0))));
	run(&g);
	vg = graph_find(&g, "vg");
	cr_assert(vg && vg->state == NODE_OPEN);
	expect_why(vg, "exported");
	expect_at(graph_find(&g, "vg/lv"), 0, "a 00100000");
	cr_expect_not(blk_is_writable(graph_find(&g, "vg/lv")->blk));
	graph_done(&g);
}

Test(lvm, two_groups_of_one_name_are_told_apart)
{
	struct graph g = { 0 };

	add_text(&g, "a", 0, 'a', text_of("rootvg", 'V', 3, "a", NULL, LV("lv", LINEAR("pv0", 0))));
	add_text(&g, "b", 1, 'b', text_of("rootvg", 'W', 9, "b", NULL, LV("lv", LINEAR("pv0", 1))));
	run(&g);
	expect_at(graph_find(&g, "rootvg/lv"), 0, "a 00100000");
	expect_at(graph_find(&g, "rootvg#2/lv"), 0, "b 00110000");
	cr_expect_str_eq(graph_find(&g, "rootvg")->why.msg, "");
	graph_done(&g);
}

Test(lvm, the_highest_seqno_of_all_disks_wins)
{
	for (int flip_order = 0; flip_order < 2; flip_order++) {
		struct graph g = { 0 };
		char *old = text_of("vg", 'V', 3, "ab", NULL, LV("lv", LINEAR("pv0", 0)));
		char *new = text_of("vg", 'V', 4, "ab", NULL, LV("lv", LINEAR("pv1", 2)));

		if (flip_order)
			add_text(&g, "b", 0, 'b', new);
		add_text(&g, "a", 1, 'a', old);
		if (!flip_order)
			add_text(&g, "b", 0, 'b', new);
		run(&g);
		expect_at(graph_find(&g, "vg/lv"), 0, "b 00120000");
		cr_expect(graph_find(&g, "vg")->nparents == 2 && graph_find(&g, "vg")->state == NODE_OPEN && !graph_find(&g, "vg#2"));
		graph_done(&g);
	}
}

Test(lvm, a_disk_that_the_newest_text_does_not_list_is_left_out)
{
	struct graph g = { 0 };
	struct node *b;

	b = add_text(&g, "b", 0, 'b', text_of("vg", 'V', 3, "ab", NULL, LV("lv", LINEAR("pv1", 0))));
	add_text(&g, "a", 1, 'a', text_of("vg", 'V', 8, "a", NULL, LV("lv", LINEAR("pv0", 0))));
	run(&g);
	expect_at(graph_find(&g, "vg/lv"), 0, "a 00100000");
	cr_expect(graph_find(&g, "vg")->state == NODE_OPEN && !graph_find(&g, "vg#2"));
	cr_expect_eq(b->state, NODE_OPEN);
	expect_why(b, "does not list it");
	graph_done(&g);
}

Test(lvm, different_texts_of_one_seqno_are_said_and_nothing_is_written)
{
	struct graph g = { 0 };
	struct lvm_vg_info info;

	add_text(&g, "a", 0, 'a', text_of("vg", 'V', 3, "ab", NULL, LV("lv", LINEAR("pv0", 0))));
	add_text(&g, "b", 1, 'b', text_of("vg", 'V', 3, "ab", NULL, LV("lv", LINEAR("pv1", 0))));
	run(&g);
	cr_assert(lvm_vg_info(graph_find(&g, "vg"), &info));
	cr_expect(info.conflict && graph_find(&g, "vg")->state == NODE_DAMAGED);
	cr_expect_not(blk_is_writable(graph_find(&g, "vg/lv")->blk));
	graph_done(&g);
}

Test(lvm, copies_of_different_age_go_with_those_of_their_seqno)
{
	struct graph g = { 0 };

	/* a and b now, and a snapshot of a from before */
	add_text(&g, "a_old", 0, 'a', text_of("vg", 'V', 3, "ab", NULL, LV("lv", LINEAR("pv0", 0))));
	add_text(&g, "b", 1, 'b', text_of("vg", 'V', 5, "ab", NULL, LV("lv", LINEAR("pv1", 1))));
	add_text(&g, "a", 2, 'a', text_of("vg", 'V', 5, "ab", NULL, LV("lv", LINEAR("pv1", 1))));
	run(&g);
	cr_assert(graph_find(&g, "vg") && graph_find(&g, "vg#2"));
	cr_expect(graph_find(&g, "vg")->parents[0] == graph_find(&g, "a") && graph_find(&g, "vg")->nparents == 2);
	cr_expect(graph_find(&g, "vg#2")->parents[0] == graph_find(&g, "a_old") && graph_find(&g, "vg#2")->nparents == 1);
	expect_at(graph_find(&g, "vg/lv"), 0, "b 00110000");
	graph_done(&g);
}

Test(lvm, a_volume_without_metadata_of_its_own_is_found_by_its_uuid)
{
	static struct made m;
	struct graph g = { 0 };
	cleanup_blk struct blk *b = NULL;
	struct node *n;

	made_init(&m);
	m.locns[4] = m.locns[5] = 0;
	put_pv(&m, 'b', NULL);
	cr_assert_eq(blk_open_mem(m.bytes, SIZE, &b, NULL), 0);
	n = add(&g, "b", 0, b);
	add_text(&g, "a", 1, 'a', text_of("vg", 'V', 3, "ab", NULL, LV("lv", LINEAR("pv1", 1))));
	run(&g);
	expect_at(graph_find(&g, "vg/lv"), 0, "b 00110000");
	cr_expect(n->state == NODE_OPEN && graph_find(&g, "vg")->nparents == 2);
	graph_done(&g);
}

Test(lvm, what_is_seen_raw_and_through_a_mapping_is_the_mapping)
{
	struct graph g = { 0 };
	struct node *raw = add_image(&g, "sda4", "linear", 0), *open;
	cleanup_blk struct blk *b = image("linear");

	open = graph_add(&g, "sda4:open", KIND_LUKS, raw, b);
	run(&g);
	cr_expect(graph_find(&g, "root-vg")->parents[0] == open && !graph_find(&g, "root-vg#2"));
	expect_why(raw, "sda4:open");
	graph_done(&g);
}

Test(lvm, a_volume_that_is_being_encrypted_is_not_taken_for_a_plain_one)
{
	struct luks_info info = { .online = true };

	for (int opened = 0; opened < 2; opened++) {
		struct graph g = { 0 };
		struct node *raw = add_image(&g, "sda4", "linear", 0), *zero = add_image(&g, "zero", "removed", 1);
		struct header *h = graph_add_header(&g, NULL, "/boot/luks/osluksheader", raw->blk, &info, true);

		h->volume = raw;
		h->opened = opened ? zero : NULL;
		run(&g);
		if (opened) {
			expect_why(raw, "half-way");
			cr_expect_null(graph_find(&g, "root-vg"));
		} else {
			expect_why(graph_find(&g, "root-vg"), "re-encryption");
			cr_expect_not(blk_is_writable(graph_find(&g, "root-vg/root-lv")->blk));
		}
		graph_done(&g);
	}
}

Test(lvm, a_run_of_removals_ends_where_the_one_before_it_was_long_ago)
{
	static struct made m;
	struct graph g = { 0 };
	cleanup_blk struct blk *b = NULL;
	const struct { unsigned seqno, lvs, day; } texts[] = { { 5, 4, 0 }, { 6, 3, 0 }, { 7, 2, 9 }, { 8, 1, 9 }, { 9, 0, 9 } };
	struct node *n;

	made_init(&m);
	put_pv(&m, 'a', NULL);
	for (size_t i = 0; i < 5; i++) {
		char lvs[2000] = "", *text, *when, now[16];

		for (unsigned k = 0; k < texts[i].lvs; k++)
			snprintf(lvs + strlen(lvs), sizeof(lvs) - strlen(lvs), LV("lv%u", "type = \"striped\""), k);
		text = text_of("vg", 'V', texts[i].seqno, "a", NULL, lvs);
		when = strstr(text, "creation_time = ") + 16;
		snprintf(now, sizeof(now), "%010u", 1700000000 + texts[i].day * 86400 + texts[i].seqno);
		memcpy(when, now, 10);
		strcpy((char *)m.bytes + MDA + 512 + 4096 * i, text);
		free(text);
	}
	cr_assert_eq(blk_open_mem(m.bytes, SIZE, &b, NULL), 0);
	n = add(&g, "pv", 0, b);
	run(&g);
	cr_assert(lvm_text_to_keep(n));
	cr_expect_eq(lvm_text_to_keep(n)->seqno, 6);
	graph_done(&g);
}

/* ---- hostile ---- */

/* Whatever was read: nothing leaves what lies below, and what was not opened says why. */
static void expect_bounded(struct graph *g)
{
	uint8_t p[4096];

	for (size_t i = 0; i < g->n; i++) {
		struct node *n = g->nodes[i];
		uint64_t at[3] = { 0, 0, 0 };

		cr_assert_neq(n->state, NODE_NEW, "%s", n->name);
		if (n->kind == KIND_LV && !n->blk)
			cr_assert(*n->why.msg && (n->state == NODE_DAMAGED || n->state == NODE_UNSUPPORTED), "%s", n->name);
		if (n->state == NODE_DAMAGED)
			cr_assert(*n->why.msg, "%s", n->name);
		if (n->kind != KIND_LV || !n->blk)
			continue;
		cr_assert(n->blk->size && n->blk->size <= 1ull << 53);
		if (n->blk->size < sizeof(p))
			continue;
		at[1] = (n->blk->size - sizeof(p)) / 2;
		at[2] = n->blk->size - sizeof(p);
		for (size_t k = 0; k < 3; k++) {
			int r = blk_pread(n->blk, p, sizeof(p), at[k], NULL);

			cr_assert(r == 0 || (r == -EIO && n->state == NODE_DAMAGED), "%s: %d", n->name, r);
		}
	}
}

static void look_at_made(struct made *m)
{
	cleanup_blk struct blk *b = NULL;
	struct graph g = { 0 };

	cr_assert_eq(blk_open_mem(m->bytes, SIZE, &b, NULL), 0);
	add(&g, "pv", 0, b);
	run(&g);
	expect_bounded(&g);
	graph_done(&g);
}

static const uint64_t odd[] = {
	0, 1, 2, 31, 32, 33, 127, 128, 129, 511, 512, 513, 2047, 2048, 4095, 4096, 4097, MDA_SIZE - 1, MDA_SIZE, MDA_SIZE + 1,
	SIZE / 512, SIZE / 512 + 1, SIZE - 1, SIZE, SIZE + 1, (16 << 20) + 1, INT32_MAX, UINT32_MAX, UINT32_MAX + 1ull, 1ull << 33,
	8ull << 30, 1ull << 52, 1ull << 53, INT64_MAX, UINT64_MAX - 511, UINT64_MAX - 1, UINT64_MAX,
};
enum { ODD = sizeof(odd) / sizeof(*odd) };

static char *plain_text(void)
{
	return text_of("vg", 'V', 3, "a", NULL, LV("lv", LINEAR("pv0", 2)) LV("st", "type = \"striped\"\nstripe_count = 2\nstripe_size = 8\n"
									     "stripes = [ \"pv0\", 10, \"pv0\", 20 ]"));
}

Test(lvm, headers_that_lie_under_right_crcs_are_refused_or_bounded)
{
	static struct made m;
	unsigned count = 0;

	for (size_t field = 0; field < 14; field++)
		for (size_t i = 0; i < ODD; i++) {
			cleanup_free char *text = plain_text();
			uint64_t *at[] = {
				&m.locns[0], &m.locns[1], &m.locns[2], &m.locns[3], &m.locns[4], &m.locns[5], &m.mda_start, &m.mda_size,
				&m.version, &m.text_off, &m.text_len, &m.flags, &m.label_off, &m.label_sector,
			};

			made_init(&m);
			*at[field] = odd[i];
			put_pv(&m, 'a', text);
			look_at_made(&m);
			count++;
		}
	cr_expect_geq(count, 500);
}

Test(lvm, the_places_of_a_header_must_agree_and_lie_on_the_disk)
{
	static const struct { size_t field; uint64_t value; const char *why; } cases[] = {
		{ 0, MDA + 512, "header says" }, { 1, MDA_SIZE - 1, "header says" }, { 2, UINT64_MAX - 100, "leave the device" },
		{ 3, SIZE, "leave the device" }, { 3, 100, "100 bytes" }, { 4, 2, "version 2" }, { 5, 511, "text of" },
		{ 5, MDA_SIZE, "text of" }, { 6, MDA_SIZE - 511, "text of" }, { 6, UINT64_MAX, "text of" }, { 6, 40, "without an end" },
	};
	static struct made m;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t *at[] = { &m.mda_start, &m.mda_size, &m.locns[4], &m.locns[5], &m.version, &m.text_off, &m.text_len };
		cleanup_free char *text = plain_text();
		cleanup_blk struct blk *b = NULL;
		struct graph g = { 0 };
		struct node *n;

		made_init(&m);
		*at[cases[i].field] = cases[i].value;
		put_pv(&m, 'a', text);
		cr_assert_eq(blk_open_mem(m.bytes, SIZE, &b, NULL), 0);
		n = add(&g, "pv", 0, b);
		run(&g);
		cr_expect(n->state == NODE_DAMAGED && g.n == 1, "%zu", i);
		expect_why(n, cases[i].why);
		graph_done(&g);
	}
	made_init(&m);
	m.endless = true;
	put_pv(&m, 'a', NULL);
	look_at_made(&m);
}

/* Replaces the number behind the k-th " = " or ", " that has one; false: there is none. */
static char *with_number(const char *text, size_t k, uint64_t v)
{
	struct str s = { 0 };

	for (const char *p = text; *p; p++) {
		bool number = p > text + 1 && p[-1] == ' ' && (p[-2] == '=' || p[-2] == ',') && *p >= '0' && *p <= '9';

		if (!number || k--)
			continue;
		str_addn(&s, text, (size_t)(p - text));
		str_addf(&s, "%ju", (uintmax_t)v);
		str_add(&s, p + strspn(p, "0123456789"));
		return str_take(&s);
	}
	return NULL;
}

Test(lvm, texts_that_lie_under_right_crcs_are_refused_or_bounded)
{
	cleanup_free char *text = plain_text();
	static struct made m;
	unsigned count = 0;

	for (size_t k = 0; k < 100; k++)
		for (size_t i = 0; i < ODD; i++) {
			cleanup_free char *lie = with_number(text, k, odd[i]);

			if (!lie)
				break;
			made_init(&m);
			put_pv(&m, 'a', lie);
			look_at_made(&m);
			count++;
		}
	cr_expect_geq(count, 500);
}

static void expect_refused(char *text, const char *why)
{
	struct graph g = { 0 };
	struct node *n = add_text(&g, "pv", 0, 'a', text), *bad = n;

	run(&g);
	for (size_t i = 0; i < g.n; i++)
		if (g.nodes[i]->kind == KIND_LV)
			bad = g.nodes[i];
	cr_expect_eq(bad->state, NODE_DAMAGED, "%s", why);
	expect_why(bad, why);
	cr_expect(bad == n || !bad->blk);
	graph_done(&g);
}

static char *with_lv(const char *lvs)
{
	return text_of("vg", 'V', 3, "a", NULL, lvs);
}

Test(lvm, what_no_lvm_writes_is_refused_by_name)
{
	expect_refused(with_lv(LV("lv", "type = \"striped\"\nstripe_count = 4294967296\nstripes = [\"pv0\", 0]")), "stripes, not 1 to 128");
	expect_refused(with_lv(LV("lv", "type = \"striped\"\nstripe_count = 2\nstripe_size = 8\nstripes = [\"pv0\", 0]")), "2 stripes are said");
	expect_refused(with_lv(LV("lv", "type = \"striped\"\nstripe_count = 2\nstripe_size = 7\nstripes = [\"pv0\", 0, \"pv0\", 9]")), "7 sectors");
	expect_refused(with_lv(LV("lv", "type = \"striped\"\nstripe_count = 3\nstripe_size = 8\nstripes = [\"pv0\", 0]")), "4 extents in 3");
	expect_refused(with_lv(LV("lv", LINEAR("pv0", 29))), "extents 29 to 32");
	expect_refused(with_lv(LV("lv", LINEAR("pv0", 18446744073709551615))), "extents 18446744073709551615");
	expect_refused(with_lv(LV("lv", LINEAR("pv0", 18446744073709551616))), "beyond 64 bits");
	expect_refused(with_lv("lv {\nstatus = [\"VISIBLE\"]\nsegment_count = 0\n}\n"), "0 segments");
	expect_refused(with_lv("lv {\nstatus = [\"VISIBLE\"]\nsegment_count = 1\nsegment1 {\nstart_extent = 1\nextent_count = 4\n"
			       LINEAR("pv0", 0) "\n}\n}\n"), "do not join");
	expect_refused(with_lv(LV("lv", LINEAR("pv0", 0)) LV("lw", LINEAR("pv0", 3))), "together with lv");
	expect_refused(with_lv(LV("lv", LINEAR("pv0", 0)) LV("lv", LINEAR("pv0", 8))), "twice");
	expect_refused(with_lv(LV("..", LINEAR("pv0", 0))), "a name that LVM does not make");
	expect_refused(with_lv(LV("a/b", LINEAR("pv0", 0))), "a name that LVM does not make");
	expect_refused(with_lv("x { x { x { x { x { x { x { x { x { x { x { x { x { x { x { x {"), "too deep");
	expect_refused(with_lv("x {"), "without an end");
	expect_refused(with_lv("x = \"y"), "neither");
	expect_refused(with_lv("x = [ 1, 2"), "without an end");
	expect_refused(with_lv("x 1"), "neither");
	expect_refused(with_lv("x = }"), "neither");
	expect_refused(text_of("vg", 'V', 3, "aa", NULL, ""), "named twice");
	expect_refused(text_of("vg", 'V', 3, "", NULL, ""), "0 physical volumes");
	expect_refused(text_of("vg", 'V', 3, "a", "extent_size = 0", ""), "extents of 0");
	expect_refused(text_of("vg", 'V', 3, "a", "extent_size = 4294967296", ""), "extents of 4294967296");
	expect_refused(text_of("v/g", 'V', 3, "a", NULL, ""), "not one volume group");
	expect_refused(text_of("vg", '%', 3, "a", NULL, ""), "not one volume group");
}

Test(lvm, extents_over_the_metadata_are_not_opened)
{
	char *text = with_lv(LV("lv", LINEAR("pv0", 0))), *p = strstr(text, "pe_start = 2048");
	struct graph g = { 0 };

	memcpy(p, "pe_start =   64", 15);
	add_text(&g, "pv", 0, 'a', text);
	run(&g);
	cr_expect_eq(graph_find(&g, "vg")->state, NODE_DAMAGED);
	cr_expect(graph_find(&g, "vg/lv")->state == NODE_DAMAGED && !graph_find(&g, "vg/lv")->blk);
	expect_why(graph_find(&g, "vg/lv"), "cover");
	graph_done(&g);
}

Test(lvm, a_million_words_and_thousands_of_volumes_are_too_many)
{
	struct str s = { 0 };

	for (unsigned i = 0; i < 40000; i++)
		str_add(&s, "x=[1,1,1,1,1,1]");
	expect_refused(with_lv(str_text(&s)), "text");
	str_done(&s);
	for (unsigned i = 0; i < 1100; i++)
		str_addf(&s, "l%u {\n}\n", i);
	expect_refused(with_lv(str_text(&s)), "1100 logical volumes");
	str_done(&s);
}

/* Every sector of the ring begins a text that has no end before the ring's. */
Test(lvm, a_ring_full_of_beginnings_does_not_take_for_ever)
{
	static struct made m;
	cleanup_blk struct blk *b = NULL;
	struct graph g = { 0 };
	struct lvm_pv_info info;
	struct node *n;

	made_init(&m);
	put_pv(&m, 'a', NULL);
	memset(m.bytes + MDA + 512, ' ', MDA_SIZE - 512);
	for (size_t off = MDA + 512; off < MDA + MDA_SIZE; off += 512)
		memcpy(m.bytes + off, "vg {", 4);
	cr_assert_eq(blk_open_mem(m.bytes, SIZE, &b, NULL), 0);
	n = add(&g, "pv", 0, b);
	run(&g);
	cr_expect(lvm_pv_info(n, &info) && info.cut && !info.nolds);
	graph_done(&g);
}

static void mutate(uint8_t *p, size_t len, uint64_t *state)
{
	for (unsigned i = 0, n = 1 + rnd(state) % 8; i < n; i++) {
		size_t at = rnd(state) % len;

		if (rnd(state) % 3)
			p[at] = "0123456789{}[]=\"\\#, \n\0ap"[rnd(state) % 24];
		else
			p[at] = (uint8_t)rnd(state);
	}
}

Test(lvm, random_changes_under_right_crcs_do_no_harm)
{
	cleanup_free char *text = plain_text();
	uint64_t state = 20260101;
	unsigned opened = 0;
	static struct made m;

	for (unsigned i = 0; i < 3000; i++) {
		cleanup_free char *lie = str_ndup(text, strlen(text));
		cleanup_blk struct blk *b = NULL;
		struct graph g = { 0 };

		mutate((uint8_t *)lie, strlen(text), &state);
		made_init(&m);
		m.text_len = strlen(text) + 1;
		put_pv(&m, 'a', lie);
		memcpy(m.bytes + MDA + 512, lie, strlen(text) + 1);
		if (i % 3 == 0) {
			uint8_t *s = m.bytes + 512;

			mutate(s + 32, 120, &state);
			put_le(s + 16, crc_of(s + 20, 492), 4);
		}
		if (i % 3 == 1) {
			mutate(m.bytes + MDA + 20, 60, &state);
			put_le(m.bytes + MDA, crc_of(m.bytes + MDA + 4, 508), 4);
		} else {
			uint8_t *h = m.bytes + MDA;

			put_le(h + 56, crc_of(h + 512, m.text_len), 4);
			put_le(h, crc_of(h + 4, 508), 4);
		}
		cr_assert_eq(blk_open_mem(m.bytes, SIZE, &b, NULL), 0);
		add(&g, "pv", 0, b);
		run(&g);
		opened += g.n > 1;
		expect_bounded(&g);
		graph_done(&g);
	}
	cr_expect_geq(opened, 40, "%u", opened);
}
