/* SPDX-License-Identifier: MIT */
/* Tests vm/initramfs*.c and vm/bootconf.c: images made here by cpio's own format, packed by whatever stock tools are installed;
 * damaged, truncated and absurd ones. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/bootconf.h"
#include "vm/initramfs.h"
#include "vmfix.h"

/* ---- a cpio archive in memory ---- */

static void pad(struct str *s)
{
	while (s->n % 4)
		str_addn(s, "\0\0\0", 1);
}

static void member(struct str *s, const char *name, unsigned mode, const void *body, size_t n)
{
	str_addf(s, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1, mode, 0, 0, 1, 0, n, 0, 0, 0, 0, strlen(name) + 1, 0);
	str_addn(s, name, strlen(name) + 1);
	pad(s);
	str_addn(s, body, n);
	pad(s);
}

static void text(struct str *s, const char *name, const char *body)
{
	member(s, name, S_IFREG | 0644, body, strlen(body));
}

static void end(struct str *s)
{
	member(s, "TRAILER!!!", 0, "", 0);
}

/* Bytes that hardly compress, so that cuts and flips hit what matters. */
static void noise(struct str *s, const char *name, size_t n, uint64_t seed)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)fix_random(&seed);
	member(s, name, S_IFREG | 0644, p, n);
	free(p);
}

/* What ADE's Ubuntu 22.04 has in it. */
static void whole(struct str *s)
{
	void *luks = luks1_bytes();

	member(s, ".", S_IFDIR | 0755, "", 0);
	member(s, "lib", S_IFLNK | 0777, "usr/lib", 7);
	text(s, "scripts/init-premount/crypt-ade-boot",
	     "#!/bin/sh\nmount -a\ncryptsetup luksOpen /dev/disk/by-partuuid/1c0ffee0-1111-4222-8333-444455556601 osencrypt\n");
	text(s, "cryptroot/crypttab", "other x y z\nosencrypt /dev/disk/by-partuuid/1c0ffee0-1111-4222-8333-444455556601 k luks\r\n");
	noise(s, "bin/busybox", 300000, 7);
	member(s, "usr/sbin/cryptsetup", S_IFREG | 0755, "ELF", 3);
	text(s, "usr/lib/modules/5.15/kernel/fs/fat/vfat.ko.zst", "x");
	text(s, "usr/lib/modules/5.15/kernel/drivers/md/dm-crypt.ko", "x");
	text(s, "usr/lib/modules/5.15/modules.builtin", "kernel/fs/fat/fat.ko\n");
	member(s, "boot/luks/osluksheader", S_IFREG | 0600, luks, LUKS1_BYTES);
	end(s);
	free(luks);
}

static void early(struct str *s)
{
	text(s, "kernel/x86/microcode/GenuineIntel.bin", "microcode");
	end(s);
	while (s->n % 512)
		str_addn(s, "\0", 1);
}

/* ---- reading ---- */

static struct memfs m;
static struct initramfs r;
static void begin(void)
{
	mem_init(&m);
}
static void finish(void)
{
	initramfs_done(&r);
	mem_done(&m);
}
TestSuite(initramfs, .init = begin, .fini = finish, .timeout = 120);

static void look(const void *p, size_t n)
{
	initramfs_done(&r);
	mem_bytes(&m, "/initrd", p, n);
	cr_assert_eq(initramfs_read(&m.fs, "/initrd", true, &r, NULL), 0);
	cr_assert_eq(r.whole, r.why == NULL, "%s", r.why);
}

static void expect_all(void)
{
	cr_assert(r.whole, "%s", r.why);
	cr_assert(r.boot_script && r.cryptsetup && r.dm_crypt && r.vfat && !r.dracut && !r.ade && !r.ade_online && !r.key_script);
	cr_assert_str_eq(r.boot_partuuid, "1c0ffee0-1111-4222-8333-444455556601");
	cr_assert_str_eq(r.crypttab, "osencrypt /dev/disk/by-partuuid/1c0ffee0-1111-4222-8333-444455556601 k luks");
	cr_assert_str_eq(r.header_path, "boot/luks/osluksheader");
	cr_assert_eq(r.header_len, LUKS1_BYTES);
	cr_assert_not(r.vfat_builtin);
	cr_assert_null(r.vfat_off);
}

/* n bytes through a stock tool; false where it is not installed. */
static bool pack(const char *command, const struct str *in, struct str *out)
{
	char dir[] = "/tmp/test-initramfs-XXXXXX", path[64], line[256];
	FILE *f;
	int c;

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/in", dir);
	f = fopen(path, "wb");
	cr_assert_eq(fwrite(in->p, 1, in->n, f), in->n);
	fclose(f);
	snprintf(line, sizeof(line), "%s <%s 2>/dev/null", command, path);
	f = popen(line, "r");
	while ((c = fgetc(f)) != EOF) {
		char byte = (char)c;

		str_addn(out, &byte, 1);
	}
	c = pclose(f);
	unlink(path);
	rmdir(dir);
	return c == 0 && out->n > 0;
}

static const char *const tools[] = {"gzip -n9", "xz --check=crc32", "xz -9", "lzma", "zstd -qc", "zstd -q19c", "lz4 -lc", "lz4 -c", "bzip2 -c"};
enum { TOOLS = sizeof(tools) / sizeof(*tools) };

Test(initramfs, uncompressed_archives_are_walked)
{
	cleanup_str struct str s = {0};

	whole(&s);
	look(s.p, s.n);
	expect_all();
	cr_assert_eq(r.archives, 1);
	cr_assert_null(r.packed);
}

Test(initramfs, every_compression_is_read)
{
	cleanup_str struct str main = {0};
	unsigned ran = 0;

	whole(&main);
	for (int i = 0; i < TOOLS; i++) {
		cleanup_str struct str packed = {0}, parts = {0};

		if (!pack(tools[i], &main, &packed))
			continue;
		ran++;
		look(packed.p, packed.n);
		expect_all();
		/* early parts and zeroes before it, as Ubuntu 22.04 has them */
		early(&parts);
		early(&parts);
		for (int k = 0; k < 3 * 512; k++)
			str_addn(&parts, "\0", 1);
		str_addn(&parts, packed.p, packed.n);
		look(parts.p, parts.n);
		expect_all();
		cr_assert_eq(r.archives, 3);
		cr_assert(r.packed && !strncmp(tools[i], r.packed, 2), "%s: %s", tools[i], r.packed);
	}
	cr_assert_geq(ran, 3);
}

Test(initramfs, what_is_cut_off_is_said_and_what_was_seen_stays)
{
	cleanup_str struct str main = {0};

	whole(&main);
	look(main.p, main.n / 2);
	cr_assert_not(r.whole);
	cr_assert(r.boot_script && r.cryptsetup && !r.header);
	for (int i = 0; i < TOOLS; i++) {
		cleanup_str struct str packed = {0};

		if (!pack(tools[i], &main, &packed))
			continue;
		for (size_t n = 1; n < 16; n++) {
			look(packed.p, packed.n * n / 16);
			cr_assert_not(r.whole, "%s: %zu of 16", tools[i], n);
		}
	}
}

/* A flipped byte may hide in a content without a check sum, but never makes a piece out of nothing, nor a crash. */
Test(initramfs, damage_ends_in_a_reason_or_does_not_matter)
{
	cleanup_str struct str main = {0};
	uint64_t seed = 11;

	whole(&main);
	for (int i = 0; i < TOOLS; i++) {
		cleanup_str struct str packed = {0};

		if (!pack(tools[i], &main, &packed))
			continue;
		for (int k = 0; k < 25; k++) {
			size_t at = fix_random(&seed) % packed.n;
			char old = packed.p[at];

			packed.p[at] = (char)(old ^ (1 << fix_random(&seed) % 8));
			look(packed.p, packed.n);
			cr_assert_not(r.dracut || r.ade_online || r.key_script);
			cr_assert(strncmp(tools[i], "gzip", 4) || !r.whole || at < 10, "gzip's check sum is looked at");
			packed.p[at] = old;
		}
	}
}

Test(initramfs, mutated_archives_are_survived)
{
	cleanup_str struct str s = {0};
	uint64_t seed = 3;
	char *buf;

	text(&s, "etc/modprobe.d/a.conf", "install vfat /bin/true\n");
	text(&s, "lib/dracut/modules.txt", "crypt\nadeOnline\n");
	text(&s, "boot/luks/osluksheader", "LUKS");
	end(&s);
	early(&s);
	buf = malloc(s.n + 64);
	for (int i = 0; i < 20000; i++) {
		size_t n = fix_mutate(s.p, s.n, buf, &seed);
		char *exact = malloc(n ? n : 1);

		memcpy(exact, buf, n);
		look(exact, n);
		free(exact);
	}
	free(buf);
}

Test(initramfs, a_bomb_is_given_up_on)
{
	cleanup_str struct str packed = {0};
	FILE *f = popen("head -c 1200000000 /dev/zero | gzip -1", "r");
	int c;

	while ((c = fgetc(f)) != EOF) {
		char byte = (char)c;

		str_addn(&packed, &byte, 1);
	}
	pclose(f);
	look(packed.p, packed.n);
	cr_assert_not(r.whole);
	cr_assert(strstr(r.why, "1 GiB"), "%s", r.why);
	cr_assert_leq(r.unpacked, (1ull << 30) + (4 << 20));
}

Test(initramfs, a_sparse_image_of_zeroes_ends)
{
	mem_sparse(&m, "/initrd", 1ull << 50);
	cr_assert_eq(initramfs_read(&m.fs, "/initrd", true, &r, NULL), 0);
	cr_assert_not(r.whole);
}

Test(initramfs, members_have_a_stated_maximum)
{
	cleanup_str struct str s = {0};
	char name[32];

	for (int i = 0; i < INITRAMFS_MAX_ENTRIES + 10; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		member(&s, name, S_IFREG, "", 0);
	}
	end(&s);
	look(s.p, s.n);
	cr_assert_not(r.whole);
	cr_assert(strstr(r.why, "members"));
}

Test(initramfs, a_hundred_thousand_members_are_no_problem)
{
	cleanup_str struct str s = {0};
	char name[32];

	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		member(&s, name, S_IFREG, "x", 1);
	}
	whole(&s);
	look(s.p, s.n);
	expect_all();
	cr_assert_gt(r.entries, 100000);
}

Test(initramfs, absurd_headers_are_damage)
{
	static const char *const rows[] = {
		"070701zzzzzzzz",
		"0707010000000100008000000000000000000000000001000000000000000000000000000000000000000000000000FFFFFFFF00000000",
		"0707010000000100008000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000",
		"07070100000001000081a40000000000000000000000010000000 ffffffff",
		"070707", "LUKS", "", "0", "\x1f\x8b", "\x1f\x8b\x08", "BZh9", "\x28\xb5\x2f\xfd", "\x02\x21\x4c\x18\xff\xff\xff\xff",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_str struct str s = {0};

		look(rows[i], strlen(rows[i]));
		cr_assert_not(r.whole, "%s", rows[i]);
		early(&s);
		str_addn(&s, rows[i], strlen(rows[i]));
		look(s.p, s.n);
		cr_assert(!r.whole || strlen(rows[i]) < 6, "%s behind the microcode", rows[i]);
	}
}

Test(initramfs, a_decoder_that_asks_for_gigabytes_is_not_started)
{
	/* an xz block whose LZMA2 dictionary is 4 GiB - 1; an lzma one of 2 GiB */
	static const uint8_t xz[64] = {0xfd, '7', 'z', 'X', 'Z', 0, 0, 1, 0x69, 0x22, 0xde, 0x36, 2, 0, 0x21, 1, 40};
	static const uint8_t lzma[64] = {0x5d, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	look(xz, sizeof(xz));
	cr_assert(strstr(r.why, "bytes of memory"), "%s", r.why);
	look(lzma, sizeof(lzma));
	cr_assert(strstr(r.why, "bytes of memory"), "%s", r.why);
}

Test(initramfs, a_read_error_is_named)
{
	cleanup_str struct str main = {0}, packed = {0};

	whole(&main);
	mem_bytes(&m, "/initrd", main.p, main.n);
	mem_fail(&m, "/initrd", -EIO, 400000);
	cr_assert_eq(initramfs_read(&m.fs, "/initrd", true, &r, NULL), 0);
	cr_assert(!r.whole && strstr(r.why, "read error"), "%s", r.why);
	if (pack("gzip -n", &main, &packed)) {
		mem_bytes(&m, "/initrd", packed.p, packed.n);
		mem_fail(&m, "/initrd", -EIO, 200000);
		initramfs_done(&r);
		cr_assert_eq(initramfs_read(&m.fs, "/initrd", true, &r, NULL), 0);
		cr_assert(!r.whole && strstr(r.why, "read error"), "%s", r.why);
	}
	initramfs_done(&r);
	mem_node(&m, "/fifo", FS_FIFO);
	cr_assert_eq(initramfs_read(&m.fs, "/fifo", true, &r, NULL), 0);
	cr_assert_not(r.whole);
}

Test(initramfs, a_compression_that_is_not_read_is_named)
{
	cleanup_str struct str s = {0};

	early(&s);
	str_addn(&s, "\x89LZO\0\r\n\x1a\n", 9);
	look(s.p, s.n);
	cr_assert(strstr(r.why, "lzop"), "%s", r.why);
}

Test(initramfs, dracut_images_tell_by_their_list)
{
	cleanup_str struct str s = {0};

	text(&s, "usr/lib/dracut/modules.txt", "bash\ncrypt\nadeOnline\nlvm\n");
	text(&s, "usr/lib/dracut/hooks/cmdline/30-parse-crypt-ade.sh", "x");
	text(&s, "usr/lib/modprobe.d/vfat.conf", "#blacklist vfat\n  blacklist   vfat\n");
	text(&s, "lib/modules/4.18/modules.builtin", "kernel/drivers/md/dm-crypt.ko\nkernel/fs/fat/vfat.ko\n");
	member(&s, "usr/lib/systemd/systemd-cryptsetup", S_IFREG | 0755, "x", 1);
	end(&s);
	look(s.p, s.n);
	cr_assert(r.dracut && r.ade_online && !r.ade && r.dm_crypt_builtin && r.vfat_builtin && r.cryptsetup);
	cr_assert_str_eq(r.vfat_off, "usr/lib/modprobe.d/vfat.conf:2:   blacklist   vfat");
	s.n = 0;
	text(&s, "lib/dracut/modules.txt", "ade\n");
	member(&s, "osluksheader", S_IFREG, "\0\0\0\0", 4);
	end(&s);
	look(s.p, s.n);
	cr_assert(r.ade && !r.ade_online && r.header_zero && !r.header);
}

Test(initramfs, a_header_above_its_limit_is_passed_over)
{
	cleanup_str struct str s = {0};
	char *big = calloc(1, INITRAMFS_MAX_HEADER + 4);

	memcpy(big, "LUKS\xba\xbe", 6);
	member(&s, "boot/luks/osluksheader", S_IFREG, big, INITRAMFS_MAX_HEADER + 4);
	end(&s);
	look(s.p, s.n);
	cr_assert(r.whole && !r.header);
	free(big);
}

/* ---- bootconf ---- */

Test(bootconf, vfat_is_off_only_where_a_line_says_so)
{
	static const struct { const char *text; int off; unsigned line; } rows[] = {
		{"install vfat /bin/true\n", 1, 1},
		{"\n\tinstall\tvfat\t/usr/bin/false\r\n", 1, 2},
		{"install vfat /sbin/nologin", 1, 1},
		{"blacklist vfat", 1, 1},
		{"#install vfat /bin/true\n", 0, 0},
		{"# blacklist vfat\n", 0, 0},
		{"install vfat /sbin/modprobe --ignore-install vfat\n", 0, 0},
		{"install vfatx /bin/true\ninstall fat /bin/true\n", 0, 0},
		{"options vfat x=1\nalias vfat off\n", 0, 0},
		{"install vfat", 0, 0},
		{"", 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_free char *line = NULL;
		unsigned at = 0;

		cr_assert_eq(modprobe_vfat_off(rows[i].text, strlen(rows[i].text), &line, &at, NULL), rows[i].off, "%s", rows[i].text);
		cr_assert_eq(at, rows[i].line);
	}
}

Test(bootconf, the_boot_script_names_its_partition)
{
	static const struct { const char *text, *guid; bool token; } rows[] = {
		{"cryptsetup luksOpen /dev/disk/by-partuuid/1c0ffee0-1111-4222-8333-444455556601 osencrypt", "1c0ffee0-1111-4222-8333-444455556601", false},
		{"cryptsetup luksOpen /dev/disk/by-partuuid/ROOTPARTUUID osencrypt", "", true},
		{"cryptsetup luksOpen /dev/disk/azure/root-part1 osencrypt", "", false},
		{"PARTUUID=1c0ffee0-1111-4222-8333-4444555566011", "", false},
		{"by-partuuid/1c0ffee0-1111", "", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char out[40];
		bool token = false;

		bootscript_partuuid(rows[i].text, out, &token);
		cr_assert_str_eq(out, rows[i].guid);
		cr_assert_eq(token, rows[i].token);
	}
}

Test(bootconf, lvm_filters_are_read)
{
	static const struct { const char *text; unsigned line; bool takes, rest; const char *guid; } rows[] = {
		{"", 0, false, false, ""},
		{"devices {\n\t# filter = [ \"r|.*|\" ]\n}\n", 0, false, false, ""},
		{"devices { filter = [\"a|osencrypt|\", \"r|1c0ffee0-1111-4222-8333-444455556601|\"] }\n", 1, true, false, "1c0ffee0-1111-4222-8333-444455556601"},
		{"devices {\nglobal_filter=[ \"a|/dev/sda.*|\",\n \"r|.*|\" ]\n}\n", 3, false, true, ""},
		{"devices {\n filter = [ \"a|^/dev/mapper|\", \"r/.*/\" ]\n}\n", 2, true, true, ""},
		{"devices {\n filter = [ \"a|.*|\" ]\n}\n", 2, true, false, ""},
		{"my_filter = [ \"r|.*|\" ]\n", 0, false, false, ""},
		{"filter", 0, false, false, ""},
		{"filter = [ \"", 1, false, false, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct lvm_filter f;

		lvmconf_filter(rows[i].text, strlen(rows[i].text), &f);
		cr_assert_eq(f.line, rows[i].line, "%s: %u", rows[i].text, f.line);
		cr_assert_eq(f.takes_osencrypt, rows[i].takes, "%s", rows[i].text);
		cr_assert_eq(f.rejects_rest, rows[i].rest, "%s", rows[i].text);
		cr_assert_str_eq(f.rejects, rows[i].guid);
	}
}

Test(bootconf, a_kernel_configuration_says_y_m_or_n)
{
	static const char text[] = "CONFIG_VFAT_FS=m\nCONFIG_DM_CRYPT=y\n# CONFIG_X is not set\nCONFIG_VFAT_FS_Y=y";

	cr_assert_eq(kconfig_value(text, strlen(text), "CONFIG_VFAT_FS"), 'm');
	cr_assert_eq(kconfig_value(text, strlen(text), "CONFIG_DM_CRYPT"), 'y');
	cr_assert_eq(kconfig_value(text, strlen(text), "CONFIG_X"), 'n');
	cr_assert_eq(kconfig_value(text, strlen(text), "CONFIG_Y"), 0);
}
