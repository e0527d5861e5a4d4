/* SPDX-License-Identifier: MIT */
/* A failed machine for the tests of its readers: one root file system in memory, mounted at "/", on a node of a graph. */
#ifndef TESTS_VMFIX_H
#define TESTS_VMFIX_H

#include "memfs.h"
#include "vm/facts.h"

struct fix {
	struct memfs root;
	struct node node;
	struct node *nodes[2];
	struct graph g;
	struct vm vm;
	struct err e;
};

static inline void fix_init(struct fix *f)
{
	memset(f, 0, sizeof(*f));
	mem_init(&f->root);
	f->node.name = (char *)(uintptr_t)"sdc1";
	f->node.fs = &f->root.fs;
	f->nodes[0] = &f->node;
	f->g.nodes = f->nodes;
	f->g.n = 1;
	tree_mount(&f->vm.tree, "/", &f->root.fs, &f->node, NULL, NULL);
	f->vm.root = &f->node;
	mem_dir(&f->root, "/var/lib");
	mem_dir(&f->root, "/etc");
}

static inline void fix_done(struct fix *f)
{
	facts_done(&f->vm);
	tree_done(&f->vm.tree);
	for (size_t i = 0; i < f->g.nheaders; i++)
		header_free(f->g.headers[i]);
	for (size_t i = 0; i < f->g.nkeys; i++)
		key_free(f->g.keys[i]);
	free(f->g.headers);
	free(f->g.keys);
	mem_done(&f->root);
}

/* A detached LUKS1 header that parses, with one active slot; returns its size. */
enum { LUKS1_BYTES = 2 << 20 };
static inline void *luks1_bytes(void)
{
	uint8_t *p = calloc(1, LUKS1_BYTES);

	memcpy(p, "LUKS\xba\xbe\0\1", 8);
	strcpy((char *)p + 8, "aes");
	strcpy((char *)p + 40, "xts-plain64");
	strcpy((char *)p + 72, "sha256");
	p[0x6f] = 64;
	p[0xa7] = 100;
	strcpy((char *)p + 0xa8, "8f1c9d0a-1111-4222-8333-944455556666");
	for (unsigned i = 0; i < 8; i++) {
		uint8_t *s = p + 208 + 48 * i;
		uint32_t sector = 8 + 504 * i;

		memcpy(s, i ? "\0\0\xde\xad" : "\0\xac\x71\xf3", 4);
		s[6] = 4;
		s[42] = (uint8_t)(sector >> 8);
		s[43] = (uint8_t)sector;
		s[46] = 0x0f;
		s[47] = 0xa0;
	}
	return p;
}

/* 172 characters as ADE makes them. */
static inline void key172(char out[176], char fill)
{
	memset(out, fill, 170);
	memcpy(out + 170, "==", 3);
}

static inline const struct gap *fix_gap(const struct fix *f, const char *path)
{
	for (size_t i = 0; i < f->vm.ngaps; i++)
		if (!strcmp(f->vm.gaps[i].path, path))
			return &f->vm.gaps[i];
	return NULL;
}

/* A small deterministic generator, for mutation loops. */
static inline uint32_t fix_random(uint64_t *s)
{
	*s = *s * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*s >> 33);
}

/* Some bytes of n changed, cut or doubled; returns the new length, at most n + 64. buf has room for n + 64. */
static inline size_t fix_mutate(const char *seed, size_t n, char *buf, uint64_t *s)
{
	static const char spice[] = "\n\r\t \0\\\"'[]{}=:,#$;%\xff\xc0\x1b";
	unsigned changes = 1 + fix_random(s) % 6;
	size_t len = n;

	memcpy(buf, seed, n);
	for (unsigned i = 0; i < changes && len; i++) {
		size_t at = fix_random(s) % len;

		switch (fix_random(s) % 5) {
		case 0:
			buf[at] = (char)fix_random(s);
			break;
		case 1:
			buf[at] = spice[fix_random(s) % (sizeof(spice) - 1)];
			break;
		case 2:
			len = fix_random(s) % 8 ? len : at;
			break;
		case 3:
			if (len < n + 60) {
				memmove(buf + at + 1, buf + at, len - at);
				buf[at] = spice[fix_random(s) % (sizeof(spice) - 1)];
				len++;
			}
			break;
		default:
			memmove(buf + at, buf + at + 1, len - at - 1);
			len--;
		}
	}
	return len;
}

#endif
