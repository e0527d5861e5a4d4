/* SPDX-License-Identifier: MIT */
/* Tests vm/unlock.c, unlock_worker.c, format/luks.c and luks_detached.c: keys open headers, headers find
 * their volumes. */
#include <sys/prctl.h>
#include "base/str.h"
#include "make-luks.h"
#include "vm/keys.h"
#include "vm/unlock_parts.h"

static struct err e;

static struct key *key_of(const void *bytes, size_t n, const char *name)
{
	struct key *k = calloc(1, sizeof(*k));

	cr_assert_not_null(k);
	k->origin = KEY_FILE;
	k->raw = secret_copy(bytes, n);
	k->length = n;
	k->name = str_printf("%s", name);
	k->found_at = str_printf("%s", name);
	return k;
}

static void add_key(struct graph *g, const char *text)
{
	cr_assert_eq(keys_add(g, key_of(text, strlen(text), text), &e), 1);
}

static struct node *add_disk(struct graph *g, const char *name)
{
	struct blk *b = make_blk(name);
	struct node *n = graph_add(g, name, KIND_DISK, NULL, b);

	blk_unref(b);
	cr_assert_not_null(n);
	n->disk = (int)g->n - 1;
	return n;
}

/* A detached header from a file, as if it lay in the file system of node. */
static struct header *add_header(struct graph *g, const char *name, struct node *node)
{
	struct luks_info info;
	struct blk *b = make_blk(name);
	struct header *h;

	cr_assert_eq(luks_read(b, &info, &e), 1);
	h = graph_add_header(g, node, name, b, &info, true);
	blk_unref(b);
	cr_assert_not_null(h);
	return h;
}

static int between(void *arg, struct graph *g, struct err *err)
{
	int a = keys_unlock(g, 2, err), b = a < 0 ? a : headers_try_detached(g, err);

	(void)arg;
	cr_assert(a >= 0 && b >= 0, "%s", err->msg);
	return a || b;
}

static void run_graph(struct graph *g)
{
	cr_assert_eq(graph_run(g, between, NULL, &e), 0, "%s", e.msg);
}

TestSuite(unlock, .init = make_begin, .timeout = 120);

Test(unlock, a_key_opens_its_volume)
{
	struct graph g = { 0 };
	struct node *n, *inner;

	make_luks2("os");
	n = add_disk(&g, "os");
	add_key(&g, "wrong");
	add_key(&g, "secret");
	run_graph(&g);
	inner = graph_find(&g, "os:open");
	cr_assert_not_null(inner);
	cr_assert_eq(n->state, NODE_OPEN);
	cr_assert_str_eq(n->fmt, "crypto_LUKS");
	cr_assert_str_eq(n->label, "data one");
	cr_assert_eq(inner->kind, KIND_LUKS);
	cr_assert_eq(inner->size, 1 << 20);
	cr_assert_eq(inner->opened_by, g.headers[0]);
	cr_assert_eq(g.headers[0]->volume, n);
	cr_assert_eq(g.headers[0]->opened, inner);
	cr_assert_eq(g.headers[0]->slot, 0);
	cr_assert_eq(g.headers[0]->by, g.keys[1]);
	cr_assert_null(g.headers[0]->why);
	cr_assert_eq(g.keys[1]->opens, 1);
	cr_assert_str_eq(g.keys[1]->variant, "as is");
	cr_assert_eq(g.keys[0]->opens, 0);
	graph_done(&g);
}

Test(unlock, without_its_key_a_volume_says_why_it_is_locked)
{
	struct graph g = { 0 };
	struct node *n;

	make_luks2("os");
	n = add_disk(&g, "os");
	run_graph(&g);
	cr_assert_eq(n->state, NODE_LOCKED);
	cr_assert(strstr(n->why.msg, "no key was found"), "%s", n->why.msg);
	add_key(&g, "wrong");
	add_key(&g, "also wrong");
	run_graph(&g);
	cr_assert_eq(n->state, NODE_LOCKED);
	cr_assert(strstr(n->why.msg, "none of the 2 keys"), "%s", n->why.msg);
	cr_assert(g.headers[0]->tried_all);
	cr_assert_eq(g.headers[0]->keys_tried, 2);
	cr_assert_eq(g.nheaders, 1);
	/* a key that is found later is tried all the same */
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_not_null(graph_find(&g, "os:open"));
	graph_done(&g);
}

static void expect_variant(const void *bytes, size_t n, const char *variant)
{
	struct graph g = { 0 };

	add_disk(&g, "os");
	cr_assert_eq(keys_add(&g, key_of(bytes, n, "k"), &e), 1);
	run_graph(&g);
	cr_assert_not_null(graph_find(&g, "os:open"), "%s", variant);
	cr_assert_str_eq(g.keys[0]->variant, variant);
	graph_done(&g);
}

Test(unlock, every_form_of_a_key_is_tried)
{
	make_luks2("os");
	expect_variant("secret", 6, "as is");
	expect_variant("secret\n", 7, "without trailing newline");
	expect_variant("c2VjcmV0", 8, "base64-decoded once");
	expect_variant("c2VjcmV0\r\n", 10, "base64-decoded once");
	expect_variant("\xff\xfes\0e\0c\0r\0e\0t\0\r\0\n\0", 18, "UTF-16 decoded, without trailing newline");
	expect_variant("\xef\xbb\xbfsecret", 9, "without byte order mark");
}

Test(unlock, luks1_opens_with_the_key_of_its_third_slot)
{
	struct graph g = { 0 };

	make_file("key", "secret", 6);
	make_file("key2", "second", 6);
	make_file("key3", "third", 5);
	make_empty("os", 4 << 20);
	RUN("cryptsetup", "luksFormat", "-q", "--type", "luks1", FAST_PBKDF2, "--key-size", "256",
	    "--key-file", make_path("key"), make_path("os"));
	RUN("cryptsetup", "luksAddKey", "-q", FAST_PBKDF2, "--key-file", make_path("key"), make_path("os"),
	    make_path("key2"));
	RUN("cryptsetup", "luksAddKey", "-q", FAST_PBKDF2, "--key-file", make_path("key"), make_path("os"),
	    make_path("key3"));
	add_disk(&g, "os");
	add_key(&g, "third");
	run_graph(&g);
	cr_assert_not_null(graph_find(&g, "os:open"));
	cr_assert_eq(g.headers[0]->slot, 2);
	cr_assert_eq(g.headers[0]->vk->len, 32);
	cr_assert_eq(graph_find(&g, "os:open")->size, 2 << 20);
	graph_done(&g);
}

Test(unlock, a_bad_slot_is_not_tried_but_the_good_one_is)
{
	struct graph g = { 0 };
	size_t n;
	uint8_t *p;

	make_luks2("os");
	make_file("key2", "another", 7);
	RUN("cryptsetup", "luksAddKey", "-q", FAST_ARGON, "--key-file", make_path("key"), make_path("os"),
	    make_path("key2"));
	p = make_load("os", &n);
	luks2_edit(p, "\"time\":4", "\"time\":4000000000");
	make_file("os", p, n);
	free(p);

	add_disk(&g, "os");
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_null(graph_find(&g, "os:open"));
	cr_assert(strstr(g.headers[0]->why, "key slot 0 is not tried"), "%s", g.headers[0]->why);
	add_key(&g, "another");
	run_graph(&g);
	cr_assert_not_null(graph_find(&g, "os:open"));
	cr_assert_eq(g.headers[0]->slot, 1);
	graph_done(&g);
}

Test(unlock, both_kinds_of_damage_still_open_as_root_and_as_nobody)
{
	static const size_t wipe[3][2] = { { 0, 4096 }, { 16384, 4096 }, { 4352, 4 } };

	for (int i = 0; i < 6; i++) {
		struct graph g = { 0 };
		size_t n;
		uint8_t *p;

		make_luks2("os");
		p = make_load("os", &n);
		memset(p + wipe[i / 2][0], 0, wipe[i / 2][1]);
		make_file("os", p, n);
		free(p);
		add_disk(&g, "os");
		add_key(&g, "secret");
		/* as the sandbox leaves a process: not dumpable, so that /proc/self/fd is root's */
		if (i % 2 && geteuid() == 0) {
			pid_t pid = fork();
			int status = 1;

			if (pid == 0) {
				if (setresuid(65534, 65534, 65534) < 0)
					_exit(2);
				prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
				if (graph_run(&g, between, NULL, &e) < 0)
					_exit(3);
				_exit(graph_find(&g, "os:open") ? 0 : 4);
			}
			cr_assert_eq(waitpid(pid, &status, 0), pid);
			cr_assert_eq(status, 0, "as nobody, damage %d: %x", i / 2, status);
		}
		run_graph(&g);
		cr_assert_not_null(graph_find(&g, "os:open"), "damage %d", i / 2);
		cr_assert_str_not_empty(graph_find(&g, "os")->why.msg);
		graph_done(&g);
	}
}

Test(unlock, many_disks_open_with_one_key)
{
	struct graph g = { 0 };
	size_t n;
	uint8_t *p;

	make_luks2("os");
	p = make_load("os", &n);
	for (int i = 0; i < 32; i++) {
		char name[16];

		snprintf(name, sizeof(name), "data%d", i);
		make_file(name, p, n);
		add_disk(&g, name);
	}
	free(p);
	add_key(&g, "wrong one");
	add_key(&g, "wrong two");
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_eq(g.nheaders, 32);
	for (size_t i = 0; i < g.nheaders; i++)
		cr_assert_not_null(g.headers[i]->opened, "%zu", i);
	cr_assert_eq(g.keys[2]->opens, 32);
	graph_done(&g);
}

Test(unlock, the_empty_passphrase_is_tried_only_beside_an_empty_file)
{
	struct graph g = { 0 };

	make_file("key", "", 0);
	make_empty("os", 2 << 20);
	RUN("cryptsetup", "luksFormat", "-q", "--type", "luks2", FAST_ARGON, "--luks2-keyslots-size", "512k",
	    "--offset", "2048", "--key-file", make_path("key"), make_path("os"));
	add_disk(&g, "os");
	add_key(&g, "something");
	run_graph(&g);
	cr_assert_null(graph_find(&g, "os:open"));
	cr_assert_eq(keys_add(&g, key_of("", 0, "LinuxPassPhraseFileName"), &e), 1);
	run_graph(&g);
	cr_assert_not_null(graph_find(&g, "os:open"));
	cr_assert_eq(g.headers[0]->by->origin, KEY_EMPTY);
	cr_assert_eq(g.headers[0]->by->opens, 1);
	graph_done(&g);
}

Test(unlock, too_little_memory_is_said_and_nothing_tried)
{
	struct graph g = { 0 };

	make_luks2("os");
	add_disk(&g, "os");
	add_key(&g, "secret");
	cr_assert_eq(graph_run(&g, NULL, NULL, &e), 0);
	cr_assert_eq(unlock_within(&g, 2, (64 + 32) << 20, &e), 0);
	cr_assert(strstr(g.headers[0]->why, "this machine lacks 1 MiB"), "%s", g.headers[0]->why);
	cr_assert_not(g.headers[0]->tried_all);
	cr_assert_eq(g.headers[0]->keys_tried, 0);
	cr_assert_eq(unlock_within(&g, 2, (64 + 32 + 2) << 20, &e), 1);
	graph_done(&g);
}

Test(unlock, a_refused_header_is_unsupported_and_a_broken_one_damaged)
{
	struct graph g = { 0 };
	size_t n;
	uint8_t *p;

	make_luks2("os");
	p = make_load("os", &n);
	luks2_edit(p, "\"encryption\":\"aes-xts-plain64\",\"sector",
		   "\"encryption\":\"cipher_null-ecb\",\"sector");
	make_file("null", p, n);
	memset(p + 4096, 'x', 100);
	memset(p + 16384 + 4096, 'x', 100);
	make_file("broken", p, n);
	free(p);
	add_disk(&g, "null");
	add_disk(&g, "broken");
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_eq(graph_find(&g, "null")->state, NODE_UNSUPPORTED);
	cr_assert(strstr(graph_find(&g, "null")->why.msg, "null cipher"));
	cr_assert(strstr(g.headers[0]->why, "null cipher"));
	cr_assert_eq(graph_find(&g, "broken")->state, NODE_DAMAGED);
	cr_assert_str_eq(graph_find(&g, "broken")->fmt, "crypto_LUKS");
	cr_assert_eq(g.nheaders, 2);
	graph_done(&g);
}

/* ---- detached headers ---- */

static void make_detached(const char *disk, const char *header)
{
	make_file("key", "secret", 6);
	make_empty(disk, 8 << 20);
	make_empty(header, 16 << 20);
	RUN("mkfs.ext4", "-q", "-L", "root", make_path(disk));
	RUN("cp", make_path(disk), make_path("plain"));
	RUN("cryptsetup", "reencrypt", "-q", "--encrypt", "--type", "luks2", FAST_ARGON, "--key-file",
	    make_path("key"), "--header", make_path(header), make_path(disk));
}

Test(unlock, a_detached_header_finds_its_volume_among_others)
{
	struct graph g = { 0 };
	struct header *h;
	struct node *inner;
	uint8_t *noise = malloc(4 << 20), *plain, *got;
	uint32_t x = 1;
	size_t n;

	for (size_t i = 0; i < 4 << 20; i++)
		noise[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 16);
	make_detached("root", "osluksheader");
	make_file("noise", noise, 4 << 20);
	free(noise);
	add_disk(&g, "noise");
	add_disk(&g, "root");
	h = add_header(&g, "osluksheader", NULL);
	add_key(&g, "secret");
	run_graph(&g);
	inner = graph_find(&g, "root:open");
	cr_assert_not_null(inner);
	cr_assert_null(graph_find(&g, "noise:open"));
	cr_assert_eq(h->opened, inner);
	cr_assert_eq(h->volume, graph_find(&g, "root"));
	cr_assert_eq(inner->opened_by, h);
	cr_assert_null(h->why);
	cr_assert_str_eq(inner->fmt, "ext4");

	plain = make_load("plain", &n);
	cr_assert_eq(inner->size, n);
	got = malloc(n);
	cr_assert_eq(blk_pread(inner->blk, got, n, 0, &e), 0);
	cr_assert_eq(memcmp(plain, got, n), 0);
	free(got);
	free(plain);
	graph_done(&g);
}

Test(unlock, a_header_prefers_the_volume_of_its_own_disk)
{
	struct graph g = { 0 };
	struct node *one, *two, *boot;
	struct header *h, *copy;

	make_detached("root", "osluksheader");
	RUN("cp", make_path("root"), make_path("again"));
	make_empty("boot", 2 << 20);
	RUN("mkfs.ext4", "-q", make_path("boot"));
	one = add_disk(&g, "root");
	two = add_disk(&g, "again");
	boot = add_disk(&g, "boot");
	boot->disk = two->disk;
	h = add_header(&g, "osluksheader", boot);
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_eq(h->volume, two);
	cr_assert_eq(h->opened->nparents, 2);
	cr_assert_eq(h->opened->parents[0], two);
	cr_assert_eq(h->opened->parents[1], boot);
	/* the same header once more takes the other copy; a third time it shares */
	copy = add_header(&g, "osluksheader", NULL);
	run_graph(&g);
	cr_assert_eq(copy->volume, one);
	copy = add_header(&g, "osluksheader", NULL);
	run_graph(&g);
	cr_assert_not_null(copy->volume);
	cr_assert_not_null(copy->opened);
	graph_done(&g);
}

Test(unlock, a_header_whose_volume_is_not_attached_says_so)
{
	struct graph g = { 0 };
	struct header *h;

	make_detached("root", "osluksheader");
	make_empty("blank", 2 << 20);
	add_disk(&g, "blank");
	h = add_header(&g, "osluksheader", NULL);
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_not_null(h->vk);
	cr_assert_null(h->volume);
	cr_assert(strstr(h->why, "no attached device"), "%s", h->why);
	/* attached later */
	add_disk(&g, "root");
	run_graph(&g);
	cr_assert_not_null(h->opened);
	graph_done(&g);
}

Test(unlock, in_flight_the_largest_plain_device_is_opened_and_not_read_as_plain)
{
	struct graph g = { 0 };
	struct node *root, *boot;
	struct header *h;

	make_file("key", "secret", 6);
	make_empty("root", 8 << 20);
	make_empty("boot", 2 << 20);
	make_empty("h", 16 << 20);
	RUN("mkfs.ext4", "-q", make_path("root"));
	RUN("mkfs.ext4", "-q", make_path("boot"));
	RUN("cryptsetup", "reencrypt", "-q", "--encrypt", "--init-only", "--type", "luks2", FAST_ARGON,
	    "--key-file", make_path("key"), "--header", make_path("h"), make_path("root"));
	root = add_disk(&g, "root");
	boot = add_disk(&g, "boot");
	boot->disk = root->disk;
	h = add_header(&g, "h", boot);
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_not_null(h->vk);
	cr_assert_eq(h->volume, root);
	cr_assert_not_null(h->opened);
	cr_assert_eq(h->opened, graph_find(&g, "root:open"));
	cr_assert_str_eq(h->opened->fmt, "ext4");
	cr_assert(strstr(root->why.msg, "in flight: 0 of 8388608 bytes converted (0.0 %)"), "%s", root->why.msg);
	cr_assert(root->half && !boot->half);
	cr_assert_null(node_fs(root, &e));
	cr_assert(strstr(e.msg, "read root:open instead"), "%s", e.msg);
	cr_assert_not_null(node_fs(h->opened, &e), "%s", e.msg);
	cr_assert(strstr(h->opened->fs->write_refused, "re-encryption is in flight"));
	graph_done(&g);
}

/* A megabyte of the volume is encrypted, as cryptsetup would have written it. */
static void encrypt_head(const struct header *h, const char *name)
{
	struct crypt_params c = { .key = h->vk, .sector_size = 512 };
	struct blk *disk, *view = NULL;
	size_t n;
	uint8_t *p = make_load(name, &n);

	disk = mem_blk(p, n);
	cr_assert_eq(blk_open_crypt(disk, &c, &view, &e), 0, "%s", e.msg);
	cr_assert_eq(blk_pwrite(view, p, 1 << 20, 0, &e), 0, "%s", e.msg);
	cr_assert_eq(blk_pread(disk, p, n, 0, &e), 0);
	make_file(name, p, n);
	blk_unref(view);
	blk_unref(disk);
	free(p);
}

Test(unlock, in_flight_the_device_whose_head_decrypts_is_opened)
{
	struct graph g = { 0 };
	struct header *h;
	size_t n;
	uint8_t *p;

	make_file("key", "secret", 6);
	make_empty("root", 8 << 20);
	make_empty("plain", 16 << 20);
	make_empty("h", 16 << 20);
	RUN("mkfs.ext4", "-q", make_path("root"));
	RUN("mkfs.ext4", "-q", make_path("plain"));
	RUN("cryptsetup", "reencrypt", "-q", "--encrypt", "--init-only", "--type", "luks2", FAST_ARGON,
	    "--key-file", make_path("key"), "--header", make_path("h"), make_path("root"));
	add_header(&g, "h", NULL);
	add_key(&g, "secret");
	run_graph(&g);
	encrypt_head(g.headers[0], "root");
	graph_done(&g);

	p = make_load("h", &n);
	luks2_edit(p,
		   "\"segments\":{\"0\":{\"type\":\"linear\",\"offset\":\"0\",\"size\":\"dynamic\"},\"1\":{",
		   "\"segments\":{\"0\":{\"type\":\"crypt\",\"offset\":\"0\",\"size\":\"1048576\",\"iv_"
		   "tweak\":\"0\","
		   "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512},"
		   "\"1\":{\"type\":\"linear\",\"offset\":\"1048576\",\"size\":\"dynamic\"},\"2\":{");
	luks2_edit(p, "\"backup-previous\"]},\"2\":{", "\"backup-previous\"]},\"3\":{");
	luks2_edit(p, "\"segments\":[\"2\"]", "\"segments\":[\"0\",\"3\"]");
	make_file("h", p, n);
	free(p);
	add_disk(&g, "plain");
	add_disk(&g, "root");
	h = add_header(&g, "h", NULL);
	cr_assert_str_empty(h->info.refused.msg);
	/* without its key it could be any device */
	run_graph(&g);
	cr_assert_null(h->volume);
	cr_assert(strstr(h->why, "in flight"), "%s", h->why);
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_eq(h->volume, graph_find(&g, "root"));
	cr_assert_not_null(h->opened);
	cr_assert_str_eq(h->opened->fmt, "ext4");
	cr_assert(strstr(h->volume->why.msg, "12.5 %"), "%s", h->volume->why.msg);
	graph_done(&g);
}

Test(unlock, an_attached_header_in_flight_is_opened)
{
	struct graph g = { 0 };
	struct node *n;

	make_file("key", "secret", 6);
	make_empty("data", 64 << 20);
	RUN("mkfs.ext4", "-q", make_path("data"), "32M");
	RUN("cryptsetup", "reencrypt", "-q", "--encrypt", "--init-only", "--type", "luks2", FAST_ARGON,
	    "--key-file", make_path("key"), "--reduce-device-size", "32768S", make_path("data"));
	n = add_disk(&g, "data");
	add_key(&g, "secret");
	run_graph(&g);
	cr_assert_not_null(g.headers[0]->vk);
	cr_assert_eq(g.headers[0]->volume, n);
	cr_assert_not_null(g.headers[0]->opened);
	cr_assert_str_eq(g.headers[0]->opened->fmt, "ext4");
	cr_assert_eq(n->state, NODE_OPEN);
	cr_assert(strstr(n->why.msg, "in flight"), "%s", n->why.msg);
	graph_done(&g);
}

static void count(void *arg, const char *what)
{
	cr_assert(strstr(what, "trying"));
	++*(int *)arg;
}

Test(unlock, what_opened_one_header_is_tried_first_on_the_next)
{
	struct graph g = { 0 };
	int tries = 0;

	make_luks2("one");
	make_luks2("two");
	make_luks2("three");
	add_disk(&g, "one");
	add_disk(&g, "two");
	add_disk(&g, "three");
	g.progress = count;
	g.progress_arg = &tries;
	for (int i = 0; i < 5; i++) {
		char name[] = "wrong 0!";

		name[6] = (char)('0' + i);
		add_key(&g, name);
	}
	add_key(&g, "secret");
	cr_assert_eq(graph_run(&g, NULL, NULL, &e), 0);
	cr_assert_eq(keys_unlock(&g, 1, &e), 1);
	/* six at most until the first opens, wherever the one core was then, and one each for what is left */
	cr_assert_leq(tries, 3 * 6);
	for (size_t i = 0; i < g.nheaders; i++)
		cr_assert_not_null(g.headers[i]->vk);
	tries = 0;
	make_luks2("four");
	add_disk(&g, "four");
	cr_assert_eq(graph_run(&g, NULL, NULL, &e), 0);
	cr_assert_eq(keys_unlock(&g, 1, &e), 1);
	cr_assert_eq(tries, 1);
	graph_done(&g);
}
