/* SPDX-License-Identifier: MIT */
/* Tests vm/state.c, statekeys.c, content.c, look.c and texts.c: every shape of the state directory, and that nothing that
 * cannot be looked at is called absent. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "ext-image.h"
#include "fs/fsfile.h"
#include "vmfix.h"

#define DIR STATE_DIR "/"
#define UUID "c49ff535-1df9-45ad-9dad-f0846509f052"

static void read_state(struct fix *f)
{
	cr_assert_eq(texts_read(&f->vm, &f->e), 0);
	cr_assert_eq(state_read(&f->vm, &f->g, &f->e), 0);
}

static const struct state_file *entry(const struct fix *f, const char *name)
{
	const struct state_file *s = state_find(&f->vm.state, name);

	cr_assert(s, "%s is not listed", name);
	return s;
}

/* ---- the directory ---- */

Test(state, no_directory_is_absent_and_leaves_no_gap)
{
	struct fix f;

	fix_init(&f);
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_NO);
	cr_assert_eq(f.vm.state.config.have, HAVE_NO);
	cr_assert_eq(f.vm.state.markers_have, HAVE_NO);
	cr_assert_eq(f.vm.archive_dir, HAVE_NO);
	cr_assert_eq(f.vm.old_places, HAVE_NO);
	cr_assert_eq(f.vm.ngaps, 0);
	fix_done(&f);
}

Test(state, reads_every_live_file_by_name)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, DIR "azure_crypt_config.ini", "[azure_crypt_config]\nvolumetype = All\n\n");
	mem_text(&f.root, DIR "azure_crypt_params.ini", "[azure_extension_params]\nkeyvaulturl = https://kv\n\n");
	mem_text(&f.root, DIR "azure_crypt_request_queue.ini", "[q]\nencryptionmode = Online\n\n");
	mem_text(&f.root, DIR "azure_decrypt_request_queue.ini", "[q]\nvolumetype = Data\n\n");
	mem_text(&f.root, DIR "azure_crypt_ongoing_item.ini", "[o]\nphase = EncryptingData\n\n");
	mem_text(&f.root, DIR "imds_stored_results.ini", "[i]\nsecuritytype = Standard\n\n");
	mem_text(&f.root, DIR "azure_crypt_mount", "osencrypt /dev/x /boot/luks/osluksheader / ext4 False -1\n");
	mem_text(&f.root, DIR "os_encryption_markers/PrereqState", "");
	mem_text(&f.root, DIR "os_encryption_markers/PatchBootSystemState", "")->mtime = 1700000000;
	mem_text(&f.root, DIR "daemon_lock_file.lck", "")->mtime = 1650000000;
	read_state(&f);

	cr_assert_eq(f.vm.state.have, HAVE_YES);
	cr_assert_str_eq(f.vm.state.path, STATE_DIR);
	cr_assert_str_eq(f.vm.state.real_path, STATE_DIR);
	cr_assert_eq(f.vm.state.mount->node, &f.node);
	cr_assert_str_eq(ini_get(&f.vm.state.config.ini, "VolumeType"), "All");
	cr_assert_str_eq(ini_get(&f.vm.state.params.ini, "keyvaulturl"), "https://kv");
	cr_assert_str_eq(ini_get(&f.vm.state.queue.ini, "encryptionmode"), "Online");
	cr_assert_str_eq(ini_get(&f.vm.state.dqueue.ini, "volumetype"), "Data");
	cr_assert_str_eq(ini_get(&f.vm.state.ongoing.ini, "phase"), "EncryptingData");
	cr_assert_str_eq(ini_get(&f.vm.state.imds.ini, "securitytype"), "Standard");
	cr_assert_eq(f.vm.state.crypt_mount.n, 1);
	cr_assert_eq(f.vm.state.nmarkers, 2);
	cr_assert(state_has_marker(&f.vm.state, "PatchBootSystemState"));
	cr_assert_not(state_has_marker(&f.vm.state, "ResumeEncryptionState"));
	cr_assert(state_has(&f.vm.state, SK_LOCK));
	cr_assert_eq(f.vm.state.newest, 1650000000, "markers are not entries of the directory itself");
	for (size_t i = 1; i < f.vm.state.n; i++)
		cr_assert(strcmp(f.vm.state.v[i - 1].name, f.vm.state.v[i].name) < 0, "sorted");
	cr_assert_eq(f.vm.ngaps, 0);
	fix_done(&f);
}

Test(state, knows_live_names_from_archives_and_asides)
{
	static const struct { const char *name; enum state_kind kind; } rows[] = {
		{"azure_crypt_config.ini", SK_CONFIG},
		{"azure_crypt_config.ini_2021-03-04 05:06:07.123456", SK_ARCHIVE},
		{"azure_crypt_params.ini_2021-03-04 05:06:07.123456", SK_ARCHIVE},
		{"azure_crypt_ongoing_item.ini_2021-03-04 05:06:07", SK_ARCHIVE},
		{"azure_crypt_mount_2021-03-04 05:06:07.1", SK_ARCHIVE},
		{"imds_stored_results.ini_2023-01-02T03:04:05", SK_ARCHIVE},
		{"azure_crypt_config.ini_", SK_OTHER},
		{"azure_crypt_config.ini_old", SK_OTHER},
		{"azure_crypt_mount", SK_CRYPT_MOUNT},
		{"Azure_crypt_mount", SK_OTHER},
		{"azureluksheader" UUID, SK_LUKS_HEADER},
		{"azureluksheader_2021", SK_LUKS_HEADER},
		{"LinuxPassPhraseFileName", SK_PASSPHRASE},
		{"LinuxPassPhraseFileName_1_0", SK_PASSPHRASE},
		{"cleartext_key" UUID, SK_CLEARTEXT_KEY},
		{"bek_backup", SK_BEK_BACKUP},
		{"bek_backup2", SK_OTHER},
		{"copy_header_slice_file", SK_HEADER_SLICE},
		{"copy_slice_item.bak", SK_ITEM_SLICE},
		{"custom_cmk.json", SK_CUSTOM_CMK},
		{"resume_daemon_status-osencrypt.txt", SK_RESUME_STATUS},
		{"enable_lock_file.lck", SK_LOCK},
		{"os_encryption_markers", SK_MARKERS},
		{"azure_crypt_copy_progress.ini", SK_COPY_PROGRESS},
		{"azure_crypt_params.ini.aderescue-20260101T000000Z", SK_ASIDE},
		{"x.aderescue-old", SK_OTHER},
		{"\x1b[2Jowned", SK_OTHER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_assert_eq(state_kind_of(rows[i].name), rows[i].kind, "%s", rows[i].name);
}

Test(state, an_empty_ini_is_there_and_empty)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, DIR "azure_crypt_params.ini", "");
	read_state(&f);
	cr_assert_eq(f.vm.state.params.have, HAVE_YES);
	cr_assert(f.vm.state.params.ini.empty);
	cr_assert_eq(f.vm.state.config.have, HAVE_NO);
	cr_assert_not(entry(&f, "azure_crypt_params.ini")->zero_filled, "no byte, no zero byte");
	cr_assert_eq(f.vm.ngaps, 0);
	fix_done(&f);
}

Test(state, what_cannot_be_read_is_unknown_never_absent)
{
	struct fix f;

	fix_init(&f);
	mem_sparse(&f.root, DIR "azure_crypt_config.ini", 1 << 30);
	mem_node(&f.root, DIR "azure_crypt_params.ini", FS_FIFO);
	mem_node(&f.root, DIR "azure_crypt_request_queue.ini", FS_CHAR);
	mem_dir(&f.root, DIR "azure_decrypt_request_queue.ini");
	mem_text(&f.root, DIR "azure_crypt_ongoing_item.ini", "[o]\nphase = Done\n");
	mem_fail(&f.root, DIR "azure_crypt_ongoing_item.ini", -EIO, 0);
	mem_link(&f.root, DIR "imds_stored_results.ini", "/nowhere");
	mem_node(&f.root, DIR "azure_crypt_mount", FS_SOCKET);
	mem_text(&f.root, DIR "os_encryption_markers", "a file");
	read_state(&f);

	cr_assert_eq(f.vm.state.config.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.state.params.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.state.queue.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.state.dqueue.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.state.ongoing.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.state.imds.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.state.crypt_mount_have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.state.markers_have, HAVE_UNKNOWN);
	cr_assert(strstr(fix_gap(&f, DIR "azure_crypt_config.ini")->why, "1G"), "the size in words");
	cr_assert(strstr(fix_gap(&f, DIR "azure_crypt_params.ini")->why, "FIFO"));
	cr_assert(entry(&f, "azure_crypt_params.ini")->unreadable);
	cr_assert(entry(&f, "azure_crypt_ongoing_item.ini")->unreadable);
	cr_assert(f.root.bytes_read < 80 << 20, "bounded");
	fix_done(&f);
}

/* ---- where it lies ---- */

Test(state, follows_relative_and_absolute_links)
{
	static const char *const targets[] = {"../../data/ade", "/data/ade", "/data/../data/./ade"};

	for (size_t i = 0; i < 3; i++) {
		struct fix f;

		fix_init(&f);
		mem_link(&f.root, STATE_DIR, targets[i]);
		mem_text(&f.root, "/data/ade/azure_crypt_config.ini", "[c]\nvolumetype = OS\n");
		read_state(&f);
		cr_assert_eq(f.vm.state.have, HAVE_YES);
		cr_assert(f.vm.state.is_link);
		cr_assert_not(f.vm.state.link_leaves);
		cr_assert_str_eq(f.vm.state.real_path, "/data/ade");
		cr_assert_str_eq(ini_get(&f.vm.state.config.ini, "volumetype"), "OS");
		fix_done(&f);
	}
}

Test(state, a_link_to_nowhere_or_to_itself_is_unknown)
{
	static const char *const targets[] = {"/nowhere", "azure_disk_encryption_config", ""};

	for (size_t i = 0; i < 2; i++) {
		struct fix f;

		fix_init(&f);
		mem_link(&f.root, STATE_DIR, targets[i]);
		read_state(&f);
		cr_assert_eq(f.vm.state.have, HAVE_UNKNOWN);
		cr_assert(f.vm.state.is_link && f.vm.state.link_leaves && f.vm.state.why);
		cr_assert_eq(f.vm.state.config.have, HAVE_UNKNOWN);
		cr_assert_eq(f.vm.state.markers_have, HAVE_UNKNOWN);
		cr_assert(fix_gap(&f, STATE_DIR));
		fix_done(&f);
	}
}

Test(state, a_link_into_another_volume_is_said_to_leave)
{
	struct fix f;
	struct memfs data;
	struct node other = {.name = (char *)(uintptr_t)"sdd1"};

	fix_init(&f);
	mem_init(&data);
	mem_text(&data, "/ade/azure_crypt_config.ini", "[c]\nvolumetype = OS\n");
	mem_dir(&f.root, "/data");
	mem_link(&f.root, STATE_DIR, "/data/ade");
	f.nodes[1] = &other;
	f.g.n = 2;
	tree_mount(&f.vm.tree, "/data", &data.fs, &other, NULL, NULL);
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_YES);
	cr_assert(f.vm.state.is_link && f.vm.state.link_leaves);
	cr_assert_eq(f.vm.state.mount->node, &other);
	cr_assert_str_eq(f.vm.state.real_path, "/ade");
	fix_done(&f);
	mem_done(&data);
}

Test(state, a_var_of_its_own_hides_the_one_on_the_root)
{
	struct fix f;
	struct memfs var;

	fix_init(&f);
	mem_init(&var);
	mem_text(&f.root, DIR "azure_crypt_config.ini", "[c]\nvolumetype = OS\n");
	mem_dir(&var, "/lib");
	tree_mount(&f.vm.tree, "/var", &var.fs, NULL, NULL, NULL);
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_NO);
	fix_done(&f);
	mem_done(&var);
}

Test(state, a_var_that_is_not_attached_makes_it_unknown)
{
	struct fix f;

	fix_init(&f);
	tree_mount(&f.vm.tree, "/var", NULL, NULL, "rootvg/varlv is not attached", NULL);
	read_state(&f);
	cr_assert_eq(extensions_read(&f.vm, NULL), 0);
	cr_assert_eq(f.vm.state.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.state.queue.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.archive_dir, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.waagent, HAVE_UNKNOWN);
	cr_assert_str_eq(fix_gap(&f, "/var")->why, "rootvg/varlv is not attached");
	fix_done(&f);
}

Test(state, without_var_lib_only_an_fstab_without_var_proves_absence)
{
	for (int i = 0; i < 3; i++) {
		struct fix f;

		fix_init(&f);
		mem_done(&f.root);
		mem_init(&f.root);
		mem_dir(&f.root, "/etc");
		if (i == 1)
			mem_text(&f.root, "/etc/fstab", "UUID=1 / ext4 defaults 0 1\n");
		if (i == 2)
			mem_text(&f.root, "/etc/fstab", "UUID=1 / ext4 x 0 1\n/dev/rootvg/varlv /var xfs x 0 0\n");
		read_state(&f);
		cr_assert_eq(extensions_read(&f.vm, NULL), 0);
		cr_assert_eq(f.vm.state.have, i == 1 ? HAVE_NO : HAVE_UNKNOWN, "case %d", i);
		cr_assert_eq(f.vm.waagent, i == 1 ? HAVE_NO : HAVE_UNKNOWN, "case %d", i);
		fix_done(&f);
	}
}

Test(state, a_dangling_var_is_unknown)
{
	struct fix f;

	fix_init(&f);
	mem_done(&f.root);
	mem_init(&f.root);
	mem_text(&f.root, "/etc/fstab", "UUID=1 / ext4 defaults 0 1\n");
	mem_link(&f.root, "/var", "mnt/var");
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_UNKNOWN);
	fix_done(&f);
}

Test(state, no_root_at_all_is_unknown)
{
	struct fix f;

	fix_init(&f);
	tree_done(&f.vm.tree);
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.fstab_file.have, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.oldroot, HAVE_UNKNOWN);
	cr_assert_eq(f.vm.old_places, HAVE_UNKNOWN);
	cr_assert(f.vm.ngaps <= 2, "one volume that is not there is not a gap a file: %zu", f.vm.ngaps);
	fix_done(&f);
}

Test(state, something_else_of_that_name_is_unknown)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, STATE_DIR, "a file");
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_UNKNOWN);
	cr_assert(f.vm.state.not_dir);
	fix_done(&f);
}

Test(state, a_directory_that_cannot_be_listed_is_unknown)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, DIR "azure_crypt_config.ini", "[c]\nvolumetype = OS\n");
	mem_fail(&f.root, STATE_DIR, -EIO, 1);
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_UNKNOWN);
	cr_assert(fix_gap(&f, STATE_DIR));
	fix_done(&f);
}

Test(state, lists_at_most_a_hundred_thousand_entries)
{
	struct fix f;
	char name[200];

	fix_init(&f);
	mem_dir(&f.root, STATE_DIR);
	for (int i = 0; i < 100500; i++) {
		snprintf(name, sizeof(name), DIR "x%06d", i);
		mem_text(&f.root, name, "");
	}
	read_state(&f);
	cr_assert_eq(f.vm.state.n, 100000);
	cr_assert(f.vm.state.too_many);
	cr_assert(f.vm.ngaps < 10);
	fix_done(&f);
}

/* ---- headers by content ---- */

Test(state, finds_a_header_under_any_name)
{
	struct fix f;
	void *luks = luks1_bytes();

	fix_init(&f);
	mem_bytes(&f.root, DIR "azureluksheader" UUID, luks, LUKS1_BYTES)->nlink = 2;
	mem_bytes(&f.root, DIR "holiday.jpg", luks, LUKS1_BYTES);
	mem_sparse(&f.root, DIR "azureluksheaderzero", 33554432);
	read_state(&f);

	cr_assert_eq(f.g.nheaders, 2);
	cr_assert(entry(&f, "holiday.jpg")->is_luks);
	cr_assert_not(entry(&f, "holiday.jpg")->luks_damaged);
	cr_assert_eq(entry(&f, "holiday.jpg")->header, f.g.headers[1]);
	cr_assert(f.g.headers[1]->detached && f.g.headers[1]->in_state_dir);
	cr_assert_eq(f.g.headers[1]->node, &f.node);
	cr_assert_str_eq(f.g.headers[1]->path, DIR "holiday.jpg");
	cr_assert_eq(f.g.headers[1]->blk->size, LUKS1_BYTES);
	cr_assert_eq(entry(&f, "azureluksheader" UUID)->nlink, 2);
	cr_assert(entry(&f, "azureluksheaderzero")->zero_filled);
	cr_assert_not(entry(&f, "azureluksheaderzero")->is_luks);
	fix_done(&f);
	free(luks);
}

Test(state, sees_second_copies_and_what_is_left_of_a_header)
{
	static const uint64_t places[] = {0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000};
	struct fix f;
	char *buf = calloc(1, 8 << 20), name[100];

	fix_init(&f);
	for (size_t i = 0; i < 9; i++) {
		memset(buf, 0, 8 << 20);
		memcpy(buf + places[i], "SKUL\xba\xbe\0\2", 8);
		snprintf(name, sizeof(name), DIR "second%zu", i);
		mem_bytes(&f.root, name, buf, 8 << 20);
	}
	memset(buf, 0, 8 << 20);
	memcpy(buf + 512, "LUKS\xba\xbe\0\2", 8);
	mem_bytes(&f.root, DIR "in-a-tar", buf, 8192);
	mem_bytes(&f.root, DIR "copy_header_slice_file", buf, 8192);
	memcpy(buf, "LUKS\xba\xbe\0\2", 8);
	mem_bytes(&f.root, DIR "torn", buf, 20);
	read_state(&f);

	for (size_t i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "second%zu", i);
		cr_assert(entry(&f, name)->is_luks && entry(&f, name)->luks_damaged, "%s", name);
		cr_assert_null(entry(&f, name)->header);
	}
	cr_assert(entry(&f, "in-a-tar")->is_luks && entry(&f, "in-a-tar")->luks_damaged);
	cr_assert(entry(&f, "torn")->is_luks && entry(&f, "torn")->luks_damaged);
	cr_assert_not(entry(&f, "copy_header_slice_file")->is_luks, "plaintext of a disk may hold anything inside");
	cr_assert_eq(f.g.nheaders, 0);
	fix_done(&f);
	free(buf);
}

Test(state, a_read_error_is_no_proof_that_there_is_no_header)
{
	struct fix f;

	fix_init(&f);
	mem_sparse(&f.root, DIR "azureluksheader1", 33554432);
	mem_fail(&f.root, DIR "azureluksheader1", -EIO, 30000000);
	mem_sparse(&f.root, DIR "big", 1ULL << 40);
	read_state(&f);
	cr_assert(entry(&f, "azureluksheader1")->unreadable);
	cr_assert_not(entry(&f, "azureluksheader1")->zero_filled);
	cr_assert(entry(&f, "big")->unreadable, "not all of it was looked at");
	cr_assert_not(entry(&f, "big")->zero_filled);
	cr_assert(f.root.bytes_read < 100 << 20);
	fix_done(&f);
}

Test(state, looks_through_links_inside_the_file_system)
{
	struct fix f;
	void *luks = luks1_bytes();

	fix_init(&f);
	mem_bytes(&f.root, "/root/hdr", luks, LUKS1_BYTES);
	mem_link(&f.root, DIR "azureluksheader1", "../../../root/hdr");
	mem_link(&f.root, DIR "azureluksheader2", "/gone");
	read_state(&f);
	cr_assert_eq(entry(&f, "azureluksheader1")->type, FS_LINK);
	cr_assert(entry(&f, "azureluksheader1")->header);
	cr_assert(entry(&f, "azureluksheader2")->unreadable);
	fix_done(&f);
	free(luks);
}

/* ---- keys ---- */

Test(state, takes_files_that_may_be_keys)
{
	struct fix f;
	char key[176], bin[128];

	fix_init(&f);
	key172(key, 'A');
	mem_bytes(&f.root, DIR "LinuxPassPhraseFileName", key, 172);
	key172(key, 'B');
	key[172] = '\n';
	mem_bytes(&f.root, DIR "bek_backup", key, 173);
	key172(key, 'C');
	memcpy(key + 172, "\r\n", 2);
	mem_bytes(&f.root, DIR "copy-of-key", key, 174);
	memset(bin, 0, sizeof(bin));
	bin[7] = (char)0x80;
	mem_bytes(&f.root, DIR "cleartext_key" UUID, bin, 128);
	bin[8] = (char)0x81;
	mem_bytes(&f.root, DIR "saved", bin, 128);
	memset(bin, 'x', sizeof(bin));
	mem_bytes(&f.root, DIR "text-of-128", bin, 128);
	key172(key, 'D');
	key[0] = '!';
	mem_bytes(&f.root, DIR "not-base64", key, 172);
	mem_sparse(&f.root, DIR "LinuxPassPhraseFileName_1_0", 0);
	read_state(&f);

	cr_assert(entry(&f, "LinuxPassPhraseFileName")->key->cvm);
	cr_assert_eq(entry(&f, "LinuxPassPhraseFileName")->key->origin, KEY_STATE_DIR);
	cr_assert_str_eq(entry(&f, "LinuxPassPhraseFileName")->key->found_at, "sdc1:" DIR "LinuxPassPhraseFileName");
	cr_assert_eq(entry(&f, "bek_backup")->key->length, 173);
	cr_assert(entry(&f, "copy-of-key")->key);
	cr_assert(entry(&f, "cleartext_key" UUID)->key);
	cr_assert(entry(&f, "saved")->key);
	cr_assert_null(entry(&f, "text-of-128")->key);
	cr_assert_null(entry(&f, "not-base64")->key);
	cr_assert(entry(&f, "LinuxPassPhraseFileName_1_0")->key->empty_file);
	cr_assert_eq(f.vm.ngaps, 0);
	fix_done(&f);
}

Test(state, a_scan_and_a_read_find_the_same_things_once)
{
	struct fix f;
	void *luks = luks1_bytes();
	char key[176];
	size_t nkeys;

	fix_init(&f);
	key172(key, 'A');
	mem_bytes(&f.root, DIR "LinuxPassPhraseFileName", key, 172);
	mem_sparse(&f.root, DIR "LinuxPassPhraseFileName_1_0", 0);
	mem_bytes(&f.root, DIR "azureluksheader1", luks, LUKS1_BYTES);
	cr_assert_eq(state_scan_keys(&f.g, &f.node, &f.root.fs, STATE_DIR, NULL), 1);
	nkeys = f.g.nkeys;
	cr_assert_eq(f.g.nheaders, 1);
	cr_assert_eq(state_scan_keys(&f.g, &f.node, &f.root.fs, STATE_DIR, NULL), 0);
	f.g.keys[0]->opens = 1;
	read_state(&f);
	cr_assert_eq(f.g.nheaders, 1);
	cr_assert_eq(f.g.nkeys, nkeys);
	cr_assert_eq(entry(&f, "azureluksheader1")->header, f.g.headers[0]);
	cr_assert(entry(&f, "LinuxPassPhraseFileName")->opens);
	cr_assert_not(entry(&f, "LinuxPassPhraseFileName_1_0")->opens);
	fix_done(&f);
	free(luks);
}

Test(state, scanning_what_is_not_there_finds_nothing)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, "/file", "");
	cr_assert_eq(state_scan_keys(&f.g, &f.node, &f.root.fs, "/nowhere", NULL), 0);
	cr_assert_eq(state_scan_keys(&f.g, &f.node, &f.root.fs, "/file", NULL), 0);
	cr_assert_eq(state_scan_old(&f.g, &f.node, &f.root.fs, NULL), 0);
	fix_done(&f);
}

Test(state, in_tmp_only_base64_keys_are_taken)
{
	struct fix f;
	void *luks = luks1_bytes();
	char key[176], bin[128] = {1};

	fix_init(&f);
	key172(key, 'A');
	mem_bytes(&f.root, "/tmp/tmpAbCd", key, 172);
	mem_bytes(&f.root, "/tmp/bin", bin, 128);
	mem_bytes(&f.root, "/tmp/hdr", luks, LUKS1_BYTES);
	cr_assert_eq(state_scan_keys(&f.g, &f.node, &f.root.fs, "/tmp", NULL), 1);
	cr_assert_eq(f.g.nkeys, 1);
	cr_assert_eq(f.g.nheaders, 0);
	fix_done(&f);
	free(luks);
}

Test(state, a_flood_of_would_be_keys_is_bounded_and_said)
{
	struct fix f;
	char name[100], bin[128] = {0};

	fix_init(&f);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), DIR "junk%03d", i);
		bin[0] = (char)i;
		bin[1] = (char)(i >> 8);
		mem_bytes(&f.root, name, bin, 128);
	}
	read_state(&f);
	cr_assert_eq(f.g.nkeys, 32);
	cr_assert(entry(&f, "junk499")->unreadable);
	fix_done(&f);
}

/* ---- older places, leftovers ---- */

Test(state, finds_the_places_of_old_builds)
{
	struct fix f;
	void *luks = luks1_bytes();

	fix_init(&f);
	mem_text(&f.root, "/etc/azure_crypt_config.ini", "");
	mem_text(&f.root, "/etc/azure_crypt_mount", "");
	mem_bytes(&f.root, "/azureluksheader" UUID, luks, LUKS1_BYTES);
	mem_dir(&f.root, STATE_ARCHIVE);
	mem_dir(&f.root, "/oldroot");
	mem_text(&f.root, "/memroot/x", "");
	cr_assert_eq(state_scan_old(&f.g, &f.node, &f.root.fs, NULL), 1);
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_NO);
	cr_assert_eq(f.vm.old_places, HAVE_YES);
	cr_assert_eq(f.vm.nold_paths, 3);
	cr_assert_eq(f.vm.nold_headers, 1);
	cr_assert_str_eq(f.vm.old_headers[0].name, "/azureluksheader" UUID);
	cr_assert_eq(f.vm.old_headers[0].header, f.g.headers[0]);
	cr_assert_eq(f.g.nheaders, 1);
	cr_assert_str_eq(f.g.headers[0]->path, "/azureluksheader" UUID);
	cr_assert_eq(f.vm.archive_dir, HAVE_YES);
	cr_assert(f.vm.oldroot == HAVE_YES && f.vm.oldroot_empty);
	cr_assert(f.vm.memroot == HAVE_YES && !f.vm.memroot_empty);
	fix_done(&f);
	free(luks);
}

/* ---- texts ---- */

Test(texts, says_which_system_it_was)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, "/usr/lib/os-release", "NAME=\"Red Hat\"\nVERSION_ID=\"8.8\"\nID=rhel\nID_LIKE='fedora'\nPRETTY_NAME=\"RHEL \\\"8\\\"\"\n");
	mem_link(&f.root, "/etc/os-release", "../usr/lib/os-release");
	mem_text(&f.root, "/etc/hostname", "  web\x1b[2J07\nsecond\n");
	mem_text(&f.root, "/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
	mem_text(&f.root, "/var/lib/cloud/data/instance-id", "6E1B7A8C-0000-4000-8000-0123456789AB\n");
	mem_text(&f.root, "/etc/fstab", "UUID=1 / ext4 defaults 0 1\n");
	mem_text(&f.root, "/etc/fstab.azure.backup", "UUID=2 /data ext4 x 0 0\n");
	mem_text(&f.root, "/var/log/wtmp", "")->mtime = 1700000000;
	mem_text(&f.root, "/var/log/dmesg", "")->mtime = 1600000001;
	cr_assert_eq(texts_read(&f.vm, NULL), 0);
	cr_assert_str_eq(f.vm.os.id, "rhel");
	cr_assert_str_eq(f.vm.os.version, "8.8");
	cr_assert_str_eq(f.vm.os.name, "RHEL \"8\"");
	cr_assert_str_eq(f.vm.os.like, "fedora");
	cr_assert_str_eq(f.vm.name, "web??2J07");
	cr_assert_str_eq(f.vm.machine_id, "0123456789abcdef0123456789abcdef");
	cr_assert_str_eq(f.vm.vm_id, "6E1B7A8C-0000-4000-8000-0123456789AB");
	cr_assert_eq(f.vm.last_boot, 1700000000);
	cr_assert_eq(f.vm.fstab.n, 1);
	cr_assert_eq(f.vm.crypttab_file.have, HAVE_NO);
	cr_assert_eq(f.vm.fstab_azure_backup.have, HAVE_YES);
	cr_assert_eq(f.vm.ngaps, 0);
	fix_done(&f);
}

Test(texts, a_release_before_os_release_is_known_by_its_own_file)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, "/etc/redhat-release", "CentOS release 6.9 (Final)\n");
	mem_text(&f.root, "/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=old6\n");
	mem_text(&f.root, "/etc/machine-id", "uninitialized\n");
	cr_assert_eq(texts_read(&f.vm, NULL), 0);
	cr_assert_str_eq(f.vm.os.id, "centos");
	cr_assert_str_eq(f.vm.os.version, "6.9");
	cr_assert_str_eq(f.vm.name, "old6");
	cr_assert_null(f.vm.machine_id);
	fix_done(&f);
}

Test(texts, a_crypttab_that_cannot_be_read_is_not_an_empty_one)
{
	struct fix f;
	char *rows = malloc(30001);

	fix_init(&f);
	mem_text(&f.root, "/etc/crypttab", "osencrypt x none luks\n");
	mem_fail(&f.root, "/etc/crypttab", -EIO, 0);
	for (int i = 0; i < 15000; i++)
		memcpy(rows + 2 * i, "a\n", 2);
	mem_bytes(&f.root, "/etc/fstab", rows, 30000);
	cr_assert_eq(texts_read(&f.vm, NULL), 0);
	cr_assert_eq(f.vm.crypttab_file.have, HAVE_UNKNOWN);
	cr_assert(f.vm.crypttab_file.why);
	cr_assert_eq(f.vm.fstab_file.have, HAVE_UNKNOWN, "too many rows");
	cr_assert(fix_gap(&f, "/etc/crypttab") && fix_gap(&f, "/etc/fstab"));
	fix_done(&f);
	free(rows);
}

Test(texts, says_when_a_journal_was_not_replayed)
{
	struct fix f;

	fix_init(&f);
	f.root.fs.stale = true;
	mem_text(&f.root, "/etc/fstab", "");
	cr_assert_eq(texts_read(&f.vm, NULL), 0);
	cr_assert(f.vm.fstab_file.stale);
	fix_done(&f);
}

/* ---- a file as a run of bytes ---- */

Test(fsfile, reads_within_the_size_it_had)
{
	struct fix f;
	struct blk *b = NULL;
	char buf[8];

	fix_init(&f);
	mem_text(&f.root, "/f", "0123456789");
	cr_assert_eq(blk_open_fsfile(&f.node, "/f", 8, &b, NULL), 0);
	cr_assert_eq(b->size, 8);
	cr_assert_eq(blk_pread(b, buf, 4, 3, NULL), 0);
	cr_assert_eq(memcmp(buf, "3456", 4), 0);
	cr_assert_eq(blk_pread(b, buf, 4, 5, NULL), -ERANGE);
	mem_find(&f.root, "/f")->size = 2;
	cr_assert_eq(blk_pread(b, buf, 4, 0, NULL), -EIO, "a file that shrank");
	blk_unref(b);
	mem_node(&f.root, "/fifo", FS_FIFO);
	cr_assert_eq(blk_open_fsfile(&f.node, "/fifo", 8, &b, NULL), -EINVAL);
	cr_assert_eq(blk_open_fsfile(&f.node, "/none", 8, &b, NULL), -ENOENT);
	fix_done(&f);
}

/* ---- on a real file system ---- */

static void image_sparse(const struct image *i, const char *name, off_t size)
{
	char path[400];

	image_put(i, name, "", 0);
	(void)snprintf(path, sizeof(path), "%s/%s", i->folder, name);
	cr_assert_eq(truncate(path, size), 0);
}

static void image_special(const struct image *i, const char *dir)
{
	char path[400], other[420];

	(void)snprintf(path, sizeof(path), "%s%s/fifo", i->folder, dir);
	cr_assert_eq(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s%s/bek_backup", i->folder, dir);
	(void)snprintf(other, sizeof(other), "%s/etc/another-name", i->folder);
	cr_assert_eq(link(path, other), 0);
}

Test(state, reads_all_shapes_from_ext4)
{
	static const char archive[] = "var/lib/azure_disk_encryption_config/azure_crypt_config.ini_2021-03-04 05:06:07.123456";
	struct image i;
	struct fix f;
	void *luks = luks1_bytes();
	char key[176];

	image_new(&i);
	image_mkdir(&i, "etc");
	image_mkdir(&i, "var");
	image_mkdir(&i, "var/lib");
	image_mkdir(&i, "var/lib/azure_disk_encryption_config");
	image_mkdir(&i, "var/lib/azure_disk_encryption_config/os_encryption_markers");
	image_put(&i, "var/lib/azure_disk_encryption_config/os_encryption_markers/PrereqState", "", 0);
	image_put(&i, "var/lib/azure_disk_encryption_config/azure_crypt_config.ini", "[c]\nvolumetype = All\n", 21);
	image_put(&i, "var/lib/azure_disk_encryption_config/azure_crypt_params.ini", "", 0);
	image_put(&i, archive, "x", 1);
	image_put(&i, "var/lib/azure_disk_encryption_config/\x1b[2J\xff\n", "x", 1);
	key172(key, 'A');
	image_put(&i, "var/lib/azure_disk_encryption_config/bek_backup", key, 172);
	image_put(&i, "var/lib/azure_disk_encryption_config/azureluksheader" UUID, luks, LUKS1_BYTES);
	image_sparse(&i, "var/lib/azure_disk_encryption_config/azureluksheaderzero", 33554432);
	image_sparse(&i, "var/lib/azure_disk_encryption_config/azure_crypt_request_queue.ini", 1 << 30);
	image_link(&i, "var/lib/azure_disk_encryption_config/loop", "loop");
	image_special(&i, "/var/lib/azure_disk_encryption_config");
	image_make(&i, "-t ext4", "64M");
	image_open(&i);

	fix_init(&f);
	tree_done(&f.vm.tree);
	f.nodes[0] = &i.node;
	i.node.fs = i.fs;
	tree_mount(&f.vm.tree, "/", i.fs, &i.node, NULL, NULL);
	read_state(&f);
	cr_assert_eq(f.vm.state.have, HAVE_YES);
	cr_assert_str_eq(ini_get(&f.vm.state.config.ini, "volumetype"), "All");
	cr_assert(f.vm.state.params.have == HAVE_YES && f.vm.state.params.ini.empty);
	cr_assert_eq(f.vm.state.queue.have, HAVE_UNKNOWN);
	cr_assert_eq(entry(&f, strrchr(archive, '/') + 1)->kind, SK_ARCHIVE);
	cr_assert_eq(entry(&f, "\x1b[2J\xff\n")->kind, SK_OTHER);
	cr_assert(entry(&f, "azureluksheader" UUID)->header);
	cr_assert(entry(&f, "azureluksheaderzero")->zero_filled);
	cr_assert(entry(&f, "bek_backup")->key && entry(&f, "bek_backup")->nlink == 2);
	cr_assert(entry(&f, "fifo")->unreadable && entry(&f, "loop")->unreadable);
	cr_assert(state_has_marker(&f.vm.state, "PrereqState"));
	fix_done(&f);
	i.node.fs = NULL;
	image_done(&i);
	free(luks);
}
