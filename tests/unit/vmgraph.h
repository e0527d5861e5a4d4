/* SPDX-License-Identifier: MIT */
/* Machines from a graph made by hand: file systems in memory on nodes that look like partitions. */
#ifndef TESTS_VMGRAPH_H
#define TESTS_VMGRAPH_H

#include <criterion/criterion.h>
#include <stdio.h>

#include "memfs.h"
#include "format/luks.h"
#include "vm/facts.h"
#include "vm/machine.h"

enum { MAX = 64 };
static struct graph g;
static struct node *disks[8];
static size_t ndisks;
static struct memfs *files[MAX];
static struct vm **vms;
static size_t nvms;
static int *unassigned;
static size_t nunassigned;
static struct bek_volume *beks[4];
static size_t nbeks;
static struct vm_options opt;

static inline void look(void)
{
	struct err e = { "" };

	cr_assert_eq(vms_read(&g, disks, ndisks, beks, nbeks, &opt, &vms, &nvms, &unassigned, &nunassigned, &e), 0, "%s", e.msg);
}

static inline void setup(void)
{
	memset(&g, 0, sizeof(g));
	ndisks = nbeks = nvms = 0;
	opt = (struct vm_options){ .data_disks = -1 };
}

static inline void teardown(void)
{
	vms_free(vms, nvms);
	free(unassigned);
	for (size_t i = 0; i < g.n; i++)
		g.nodes[i]->fs = NULL;  /* ours, not the graph's */
	graph_done(&g);
	for (size_t i = 0; i < MAX && files[i]; i++) {
		mem_done(files[i]);
		free(files[i]);
		files[i] = NULL;
	}
}

static inline struct node *disk(const char *name)
{
	struct node *n = graph_add(&g, name, KIND_DISK, NULL, NULL);

	n->disk = (int)ndisks;
	n->state = NODE_OPEN;
	snprintf(n->fmt, sizeof(n->fmt), "gpt");
	disks[ndisks++] = n;
	return n;
}

/* fill: 0 zeroes, 't' text, 'r' random */
static inline struct node *part(struct node *parent, unsigned no, const char *fmt, const char *uuid, char fill, size_t mib)
{
	cleanup_free uint8_t *p = calloc(mib ? mib : 1, 1 << 20);
	cleanup_blk struct blk *b = NULL;
	char name[64];
	struct node *n;
	uint64_t s = 88172645463325252ULL + no;

	for (size_t i = 0; fill && i < mib << 20; i++) {
		if (fill == 't') {
			p[i] = (uint8_t)"plain text and nothing else "[i % 28];
			continue;
		}
		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		p[i] = (uint8_t)(s >> 16);
	}
	cr_assert_eq(blk_open_mem(p, mib << 20, &b, NULL), 0);
	snprintf(name, sizeof(name), "%s%u", parent->name, no);
	n = graph_add(&g, name, KIND_PARTITION, parent, b);
	n->partno = no;
	n->state = NODE_OPEN;
	n->fs_tried = true;
	snprintf(n->fmt, sizeof(n->fmt), "%s", fmt);
	snprintf(n->uuid, sizeof(n->uuid), "%s", uuid);
	return n;
}

static inline struct memfs *fs_on(struct node *n)
{
	struct memfs *m = malloc(sizeof(*m));

	mem_init(m);
	mem_dir(m, "/lost+found");
	for (size_t i = 0; i < MAX; i++)
		if (!files[i]) {
			files[i] = m;
			break;
		}
	n->fs = &m->fs;
	return m;
}

static inline struct memfs *root_on(struct node *n, const char *fstab, const char *crypttab)
{
	struct memfs *m = fs_on(n);

	mem_link(m, "/etc/os-release", "../usr/lib/os-release");
	mem_text(m, "/usr/lib/os-release", "ID=ubuntu\n");
	mem_dir(m, "/var/lib/waagent");
	mem_dir(m, "/boot");
	if (fstab)
		mem_text(m, "/etc/fstab", fstab);
	if (crypttab)
		mem_text(m, "/etc/crypttab", crypttab);
	return m;
}

static inline struct memfs *boot_on(struct node *n)
{
	struct memfs *m = fs_on(n);

	mem_dir(m, "/grub");
	mem_text(m, "/vmlinuz-6.1", "x");
	return m;
}

static inline const struct mount *mounted(const struct vm *vm, const char *at)
{
	for (size_t i = 0; i < vm->tree.n; i++)
		if (str_eq(vm->tree.v[i].at, at))
			return &vm->tree.v[i];
	return NULL;
}

static inline const struct volume *vol(const struct vm *vm, const char *name)
{
	for (size_t i = 0; i < vm->nvolumes; i++)
		if (str_eq(vm->volumes[i].node->name, name))
			return &vm->volumes[i];
	return NULL;
}

static inline bool owns(const struct vm *vm, int d)
{
	for (size_t i = 0; i < vm->ndisks; i++)
		if (vm->disks[i] == d)
			return true;
	return false;
}

static inline struct header *attach(struct node *n, struct node *opened, struct key *key)
{
	struct luks_info info = { .version = 2 };
	cleanup_blk struct blk *b = blk_ref(n->blk);
	struct header *h = graph_add_header(&g, n, NULL, b, &info, false);

	h->volume = n;
	h->opened = opened;
	h->by = key;
	h->vk = key ? secret_new(64) : NULL;
	return h;
}

static inline struct key *bek_key(struct node *n)
{
	struct key *k = calloc(1, sizeof(*k)), **slot = vec_push(&g.keys, &g.nkeys);

	k->origin = n ? KEY_BEK : KEY_FILE;
	k->node = n;
	k->found_at = str_printf("key");
	k->name = str_printf("LinuxPassPhraseFileName");
	k->raw = secret_new(172);
	k->length = 172;
	k->opens = 1;
	return *slot = k;
}

#endif
