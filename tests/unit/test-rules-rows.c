/* SPDX-License-Identifier: MIT */
/* Each row of the contract's table by itself: holds, does not hold, cannot be told. */
#include <criterion/criterion.h>

#include "vm-builder.h"

#define CONFIG_ALL                                                                                           \
	"[azure_crypt_config]\nbekfilename = LinuxPassPhraseFileName\nvolumetype = All\nsecretseqnum = "     \
	"2\n\n"
#define CONFIG_DATA "[azure_crypt_config]\nvolumetype = Data\n\n"
#define CONFIG_OS "[azure_crypt_config]\nvolumetype = OS\nsecretseqnum = 1\n\n"
#define QUEUE "[encryption_request_queue]\nencryptionoperation = EnableEncryption\nvolumetype = All\n\n"
#define QUEUE_ONLINE QUEUE "encryptionmode = Online\nencryptionphase = Resume\n\n"

#define says(b, id, tri) cr_assert_eq(row_says(b, id), tri, "%s says %d", id, row_says(b, id))

static struct build b;

static void setup(void)
{
	build_plain(&b);
}
static void teardown(void)
{
	build_done(&b);
}
static void again(void)
{
	build_done(&b);
	build_plain(&b);
}
TestSuite(rows, .init = setup, .fini = teardown);

/* ---- 2 and 1 ---- */
Test(rows, a_lost_header_needs_an_opaque_root_and_a_boot_that_was_read_whole)
{
	says(&b, "os-header-lost", TRI_NO);
	b_lock_root(&b, VS_OPAQUE);
	says(&b, "os-header-lost", TRI_YES);
	b.vm.bootf.read_whole = false;
	says(&b, "os-header-lost", TRI_NO);
	says(&b, "root-locked", TRI_YES);
	b.vm.bootf.read_whole = true;
	b.vm.bootf.have = HAVE_NO;
	says(&b, "os-header-lost", TRI_NO);
}

Test(rows, a_zeroed_or_broken_header_is_a_lost_one)
{
	struct header *h;

	b_lock_root(&b, VS_OPAQUE);
	b.vm.bootf.osheader.path = b_str("/boot/luks/osluksheader");
	b.vm.bootf.osheader.zero_filled = true;
	says(&b, "os-header-lost", TRI_YES);
	h = b_boot_header(&b);
	says(&b, "os-header-lost", TRI_NO);
	h->info.broken = true;
	says(&b, "os-header-lost", TRI_YES);
	h->info.broken = false;
	h->info.slots[0].active = false;
	says(&b, "os-header-lost", TRI_YES);
}

Test(rows, a_broken_header_paired_with_the_root_is_a_lost_one_too)
{
	struct header *h;

	b_lock_root(&b, VS_OPAQUE);
	h = b_boot_header(&b);
	h->info.broken = true;
	b.vm.root_volume->state = VS_LOCKED;
	b.vm.root_volume->header = h;
	says(&b, "os-header-lost", TRI_YES);
	h->detached = false;
	says(&b, "os-header-lost", TRI_NO);
}

Test(rows, a_header_is_lost_though_a_copy_from_elsewhere_opens_the_root)
{
	struct header *copy;

	b_encrypted_os(&b);
	says(&b, "os-header-lost", TRI_NO);
	copy = b_header(&b, true);
	b_open(&b, b.vm.root_volume, copy);
	b.vm.bootf.header = NULL;
	b.vm.bootf.osheader.path = NULL;
	says(&b, "os-header-lost", TRI_YES);
	b.vm.bootf.read_whole = false;
	says(&b, "os-header-lost", TRI_UNKNOWN);
}

Test(rows, a_boot_read_past_its_journal_does_not_show_that_the_header_is_lost)
{
	b_lock_root(&b, VS_OPAQUE);
	b.vm.boot = b_node(&b, "sdc2", "ext2", &b.boot_fs);
	says(&b, "os-header-lost", TRI_YES);
	b.boot_fs.stale = true;
	says(&b, "os-header-lost", TRI_NO);
	says(&b, "root-locked", TRI_YES);
}

Test(rows, a_root_is_locked_where_nothing_opens_it)
{
	says(&b, "root-locked", TRI_NO);
	b_lock_root(&b, VS_LOCKED);
	says(&b, "root-locked", TRI_YES);
	b.vm.root_volume->state = VS_UNKNOWN;
	says(&b, "root-locked", TRI_UNKNOWN);
	b.vm.root_volume = NULL;
	says(&b, "root-locked", TRI_UNKNOWN);
	says(&b, "os-header-lost", TRI_UNKNOWN);
}

Test(rows, a_root_in_the_middle_of_a_reencryption_is_not_locked_when_a_key_opens_its_header)
{
	struct header *h;

	b_lock_root(&b, VS_LOCKED);
	h = b_boot_header(&b);
	b.vm.root_volume->header = h;
	h->info.online = true;
	says(&b, "root-locked", TRI_YES);
	h->vk = &b.fake;
	says(&b, "root-locked", TRI_NO);
	says(&b, "online-in-flight", TRI_YES);
}

/* ---- 4, 3, 5 ---- */
Test(rows, a_decryption_is_stuck_inside_a_disk)
{
	b_state(&b);
	says(&b, "decryption-stuck", TRI_NO);
	b_ongoing(&b, "DecryptingData");
	says(&b, "decryption-stuck", TRI_YES);
	says(&b, "inplace-copy-interrupted", TRI_NO);
}

Test(rows, any_ongoing_item_or_slice_beside_a_decrypt_queue_is_stuck)
{
	b_dqueue(&b);
	says(&b, "decryption-stuck", TRI_NO);
	b_file(&b, "copy_slice_item.bak", SK_ITEM_SLICE, 52428800);
	says(&b, "decryption-stuck", TRI_YES);
	b.vm.state.n--;
	b_ongoing(&b, "Done");
	says(&b, "decryption-stuck", TRI_YES);
}

Test(rows, a_stuck_decryption_cannot_be_told_without_the_directory_or_a_phase)
{
	b.vm.state.have = HAVE_UNKNOWN;
	says(&b, "decryption-stuck", TRI_UNKNOWN);
	says(&b, "inplace-copy-interrupted", TRI_UNKNOWN);
	says(&b, "decrypting", TRI_NO);
	b_volume(&b, "sde1", VOL_DATA, VS_LOCKED);
	says(&b, "decrypting", TRI_UNKNOWN);
	b_state(&b);
	B_INI(&b, ongoing, "azure_crypt_ongoing_item.ini", SK_ONGOING, "");
	says(&b, "decryption-stuck", TRI_UNKNOWN);
	says(&b, "inplace-copy-interrupted", TRI_UNKNOWN);
}

Test(rows, a_copy_is_interrupted_in_its_middle_phases)
{
	static const char *const phases[] = {"EncryptDevice", "EncryptingData", "RecoverHeader",
					     "encryptingdata"};

	for (size_t i = 0; i < 4; i++) {
		again();
		b_ongoing(&b, phases[i]);
		says(&b, "inplace-copy-interrupted", TRI_YES);
	}
	again();
	b_ongoing(&b, "BackupHeader");
	says(&b, "inplace-copy-interrupted", TRI_NO);
	again();
	b_ongoing(&b, "Sleeping");
	says(&b, "inplace-copy-interrupted", TRI_UNKNOWN);
}

Test(rows, a_slice_in_the_phase_that_writes_it_counts_only_where_it_differs_from_the_disk)
{
	b_ongoing(&b, "BackupHeader");
	b_file(&b, "copy_header_slice_file", SK_HEADER_SLICE, 52428800);
	says(&b, "inplace-copy-interrupted", TRI_UNKNOWN);
	b.vm.state.slice_compared = true;
	says(&b, "inplace-copy-interrupted", TRI_YES);
	b.vm.state.slice_is_start = true;
	says(&b, "inplace-copy-interrupted", TRI_NO);
	b_file(&b, "copy_slice_item.bak", SK_ITEM_SLICE, 1);
	says(&b, "inplace-copy-interrupted", TRI_YES);
}

Test(rows, a_slice_without_an_item_is_a_copy_that_was_interrupted_an_empty_one_is_not)
{
	b_file(&b, "copy_header_slice_file", SK_HEADER_SLICE, 0);
	says(&b, "inplace-copy-interrupted", TRI_NO);
	b.files[0].size = 512;
	says(&b, "inplace-copy-interrupted", TRI_YES);
}

Test(rows, a_decryption_goes_on_where_something_encrypted_is_left)
{
	struct volume *v;

	b_dqueue(&b);
	says(&b, "decrypting", TRI_NO);
	v = b_volume(&b, "sde1", VOL_DATA, VS_LOCKED);
	says(&b, "decrypting", TRI_YES);
	v->state = VS_PLAIN_FS;
	v->plain = TRI_UNKNOWN;
	says(&b, "decrypting", TRI_UNKNOWN);
	v->plain = TRI_YES;
	says(&b, "decrypting", TRI_NO);
	b_missing(&b, "lun 1 is not attached");
	says(&b, "decrypting", TRI_YES);
	b.vm.all_disks_attached = true;
	says(&b, "decrypting", TRI_NO);
	b_ongoing(&b, "Done");
	says(&b, "decrypting", TRI_NO);
}

/* ---- 6 ---- */
Test(rows, a_header_alone_tells_a_reencryption_in_flight)
{
	struct header *h;

	says(&b, "online-in-flight", TRI_NO);
	h = b_boot_header(&b);
	says(&b, "online-in-flight", TRI_NO);
	h->info.online = true;
	says(&b, "online-in-flight", TRI_YES);
	h->info.online = false;
	h->info.in_flight_magic = true;
	says(&b, "online-in-flight", TRI_YES);
}

Test(rows, a_reencryption_cannot_be_told_where_a_header_or_boot_cannot_be_read)
{
	struct header *h = b_boot_header(&b);
	struct volume *v;

	h->info.broken = true;
	says(&b, "online-in-flight", TRI_UNKNOWN);
	b.vm.bootf.osheader.is_luks = false;
	b.vm.bootf.header = NULL;
	says(&b, "online-in-flight", TRI_NO);
	b.vm.bootf.have = HAVE_NO;
	says(&b, "online-in-flight", TRI_UNKNOWN);
	b.vm.bootf.have = HAVE_YES;
	b.boot_fs.stale = true;
	says(&b, "online-in-flight", TRI_UNKNOWN);
	b.boot_fs.stale = false;
	v = b_volume(&b, "sde1", VOL_DATA, VS_LOCKED);
	says(&b, "online-in-flight", TRI_UNKNOWN);
	v->state = VS_UNKNOWN;
	v->opaque = TRI_UNKNOWN;
	says(&b, "online-in-flight", TRI_UNKNOWN);
	v->opaque = TRI_NO;
	says(&b, "online-in-flight", TRI_NO);
}

/* ---- 7, 7b, 11 ---- */
Test(rows, plaintext_in_the_raw_bytes_of_an_opened_root_is_a_copy_cut_off)
{
	says(&b, "dd-interrupted", TRI_NO);
	b_encrypted_os(&b);
	says(&b, "dd-interrupted", TRI_NO);
	b.vm.root_volume->dd_low = 1;
	says(&b, "dd-interrupted", TRI_YES);
	b.vm.root_volume->dd_asked = false;
	says(&b, "dd-interrupted", TRI_UNKNOWN);
	b.vm.root_volume->dd_asked = true;
	b.vm.root_volume->dd_low = b.vm.root_volume->dd_sampled = 0;
	says(&b, "dd-interrupted", TRI_UNKNOWN);
}

Test(rows, an_attached_header_is_never_a_copy_cut_off)
{
	b_encrypted_os(&b)->detached = false;
	b.vm.root_volume->dd_low = 5;
	says(&b, "dd-interrupted", TRI_NO);
}

Test(rows, lvm_rows_say_no_of_a_plain_root)
{
	says(&b, "vg-removed", TRI_NO);
	says(&b, "lvm-marker-missing", TRI_NO);
	b.vm.root_lvm = true;
	says(&b, "vg-removed", TRI_NO);
	says(&b, "lvm-marker-missing", TRI_NO);
}

Test(rows, lvm_rows_cannot_be_told_where_the_root_was_not_read)
{
	b.vm.root = NULL;
	says(&b, "vg-removed", TRI_UNKNOWN);
	says(&b, "lvm-marker-missing", TRI_UNKNOWN);
	b.vm.removed_vg.is = TRI_UNKNOWN;
	says(&b, "vg-removed", TRI_UNKNOWN);
}

Test(rows, a_removed_volume_group_is_told_with_the_text_to_keep)
{
	b.vm.removed_vg.is = TRI_YES;
	b.vm.removed_vg.pv = b.vm.root_volume->node;
	b.vm.removed_vg.name = b_str("rootvg");
	b.vm.removed_vg.seqno = 6;
	b.vm.removed_vg.nlvs = 5;
	b.vm.root = NULL;
	says(&b, "vg-removed", TRI_YES);
}

Test(rows, the_marker_is_missing_on_an_encrypted_lvm_root)
{
	b_encrypted_os(&b);
	b.vm.root_lvm = true;
	b_config(&b, CONFIG_ALL);
	says(&b, "lvm-marker-missing", TRI_YES);
	b_marker(&b, "PatchBootSystemState");
	says(&b, "lvm-marker-missing", TRI_NO);
}

Test(rows, the_marker_does_not_matter_where_mount_shows_osencrypt_or_on_el6)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG_ALL);
	says(&b, "lvm-marker-missing", TRI_NO);
	b.vm.root_lvm = true;
	b.vm.os.id = b_str("centos");
	b.vm.os.version = b_str("6.9");
	says(&b, "lvm-marker-missing", TRI_NO);
	b.vm.os.version = b_str("7.9");
	says(&b, "lvm-marker-missing", TRI_YES);
	b.vm.state.markers_have = HAVE_UNKNOWN;
	says(&b, "lvm-marker-missing", TRI_UNKNOWN);
}

/* ---- 8 ---- */
Test(rows, a_header_in_the_directory_counts_under_any_name)
{
	static const char *const names[] = {"azureluksheaderc49ff535", "notes.txt",
					    "azure_crypt_config.ini_2026-01-01 00:00:00.1", "x"};

	says(&b, "only-header-copy", TRI_NO);
	for (size_t i = 0; i < 4; i++) {
		again();
		b_file(&b, names[i], SK_OTHER, 0)->is_luks = true;
		says(&b, "only-header-copy", TRI_YES);
		b.files[0].is_luks = false;
		b.files[0].luks_damaged = true;
		says(&b, "only-header-copy", TRI_YES);
	}
}

Test(rows, a_header_that_opens_its_volume_leaves_a_finding_and_does_not_hold)
{
	struct volume *v = b_volume(&b, "sde1", VOL_DATA, VS_OPAQUE);
	struct header *h = b_header(&b, true);
	struct state_file *f = b_file(&b, "azureluksheaderc49ff535", SK_LUKS_HEADER, 32 << 20);
	struct findings out = {0};
	char *why = NULL;

	f->is_luks = true;
	f->header = h;
	says(&b, "only-header-copy", TRI_YES);
	b_open(&b, v, h);
	cr_assert_eq(rule_find("only-header-copy")->check(&b.vm, &out, &why), TRI_NO);
	cr_assert_eq(out.n, 1);
	cr_assert_eq(out.v[0].severity, SEV_NEVER_DELETE);
	findings_done(&out);
	free(why);
}

Test(rows, a_header_without_volume_needs_the_confirmation_and_that_nothing_names_it)
{
	b_file(&b, "azureluksheaderc49ff535", SK_LUKS_HEADER, 32 << 20)->is_luks = true;
	says(&b, "only-header-copy", TRI_YES);
	says(&b, "header-without-volume", TRI_NO);
	b.vm.all_disks_attached = true;
	says(&b, "only-header-copy", TRI_NO);
	says(&b, "header-without-volume", TRI_YES);
	b_volume(&b, "sde1", VOL_DATA, VS_UNKNOWN);
	says(&b, "only-header-copy", TRI_YES);
	b.vm.nvolumes--;
	b_line(&b, "/etc/crypttab", TAB_ADE_DATA, "c49ff535", NULL);
	says(&b, "only-header-copy", TRI_YES);
	b.vm.nlines--;
	b_ongoing(&b, "Done");
	says(&b, "only-header-copy", TRI_YES);
}

Test(rows, what_could_not_be_looked_at_may_be_a_header)
{
	b_file(&b, "azureluksheaderc49ff535", SK_LUKS_HEADER, 32 << 20)->unreadable = true;
	says(&b, "only-header-copy", TRI_UNKNOWN);
	b.vm.state.n = 0;
	says(&b, "only-header-copy", TRI_NO);
	b.vm.state.too_many = true;
	says(&b, "only-header-copy", TRI_UNKNOWN);
	b.vm.state.too_many = false;
	b.vm.old_places = HAVE_UNKNOWN;
	says(&b, "only-header-copy", TRI_UNKNOWN);
}

Test(rows, a_header_in_the_older_places_counts)
{
	b.vm.old_headers = b.old;
	b.vm.nold_headers = 1;
	b.old[0] = (struct state_file){.name = b_str("/azureluksheader7b9c"), .is_luks = true};
	says(&b, "only-header-copy", TRI_YES);
}

/* ---- 10 ---- */
Test(rows, boot_pieces_are_asked_of_an_encrypted_os_only)
{
	b.vm.crypttab_file.have = HAVE_NO;
	says(&b, "boot-pieces-missing", TRI_NO);
	b_encrypted_os(&b);
	says(&b, "boot-pieces-missing", TRI_NO);
	b.vm.nlines = 0;
	says(&b, "boot-pieces-missing", TRI_YES);
	b.vm.crypttab_file.have = HAVE_UNKNOWN;
	says(&b, "boot-pieces-missing", TRI_NO);
	b_lock_root(&b, VS_LOCKED);
	b.vm.root_volume->header = NULL;
	says(&b, "boot-pieces-missing", TRI_UNKNOWN);
}

Test(rows, a_crypttab_that_names_another_partition_or_header_disagrees)
{
	b_encrypted_os(&b);
	b.lines[0].device = b_str("/dev/disk/by-partuuid/00000000-1111-2222-3333-444444444444");
	says(&b, "boot-pieces-missing", TRI_YES);
	b.lines[0].device = b_str("/dev/disk/azure/root-part1");
	says(&b, "boot-pieces-missing", TRI_NO);
	b.lines[0].header = b_str("/osluksheader");
	says(&b, "boot-pieces-missing", TRI_NO);
	b.lines[0].header = b_str("/boot/luks/osluksheaderc49ff535");
	says(&b, "boot-pieces-missing", TRI_YES);
	b.lines[0].header = b_str("/root/osluksheader");
	says(&b, "boot-pieces-missing", TRI_YES);
}

static void entry(const char *args)
{
	b.entries[b.vm.bootf.n++] = (struct boot_entry){
		.args = b_str(args), .file = b_str("/boot/loader/entries/a.conf"), .line = 5};
	b.vm.bootf.v = b.entries;
}

#define ROOT_ARG "rd.luks.ade.partuuid=aaaaaaaa-1111-2222-3333-444444444444"
#define BOOT_ARG "rd.luks.ade.bootuuid=bbbbbbbb-1111-2222-3333-444444444444"

Test(rows, every_boot_entry_needs_the_arguments_that_one_has)
{
	b_encrypted_os(&b);
	b.vm.os.id = b_str("rhel");
	b.vm.os.version = b_str("9.4");
	entry("ro " ROOT_ARG " " BOOT_ARG " rd.debug");
	says(&b, "boot-pieces-missing", TRI_NO);
	entry("ro " ROOT_ARG);
	says(&b, "boot-pieces-missing", TRI_YES);
	b.vm.bootf.n--;
	entry("ro $kernelopts");
	says(&b, "boot-pieces-missing", TRI_NO);
	b.vm.bootf.n--;
	entry("ro " ROOT_ARG " rd.luks.ade.bootuuid= rd.debug");
	says(&b, "boot-pieces-missing", TRI_YES);
	b.vm.bootf.n--;
	entry("ro rd.luks.ade.partuuid=aaaaaaaa-1111-2222-3333-444444444445 " BOOT_ARG);
	says(&b, "boot-pieces-missing", TRI_YES);
}

Test(rows, ubuntu_needs_no_ade_arguments_but_no_raw_root_either)
{
	b_encrypted_os(&b);
	entry("root=UUID=cafe ro");
	says(&b, "boot-pieces-missing", TRI_NO);
	entry("root=PARTUUID=aaaaaaaa-1111-2222-3333-444444444444 ro");
	says(&b, "boot-pieces-missing", TRI_YES);
}

/* ---- 12, 13 ---- */
Test(rows, an_empty_key_file_matters_where_something_is_encrypted)
{
	b_bek(&b, "LinuxPassPhraseFileName", 0);
	says(&b, "bek-empty", TRI_NO);
	says(&b, "bek-empty-file", TRI_YES);
	b_encrypted_os(&b);
	says(&b, "bek-empty", TRI_YES);
	says(&b, "bek-empty-file", TRI_NO);
	b.bek_files[0].size = 172;
	says(&b, "bek-empty", TRI_NO);
	b.bek.nfiles = 0;
	strcpy(b.bek.why.msg, "I/O error");
	says(&b, "bek-empty", TRI_UNKNOWN);
}

Test(rows, an_empty_key_file_is_said_beside_a_locked_root_too)
{
	b_bek(&b, "LinuxPassPhraseFileName", 0);
	b_lock_root(&b, VS_LOCKED);
	says(&b, "bek-empty", TRI_YES);
}

Test(rows, a_rotation_shows_by_the_old_key_on_an_encrypted_machine)
{
	b_file(&b, "bek_backup", SK_BEK_BACKUP, 172);
	says(&b, "rotation-in-flight", TRI_NO);
	b_encrypted_os(&b);
	says(&b, "rotation-in-flight", TRI_YES);
	b.vm.state.n = 0;
	says(&b, "rotation-in-flight", TRI_NO);
	b.vm.state.have = HAVE_UNKNOWN;
	says(&b, "rotation-in-flight", TRI_UNKNOWN);
}

Test(rows, key_files_of_one_volume_that_differ_are_a_rotation)
{
	b_encrypted_os(&b);
	b_state(&b);
	b_bek(&b, "LinuxPassPhraseFileName", 172);
	b_key(&b, KEY_BEK, "LinuxPassPhraseFileName", 172);
	b.keys[0].node = b.bek.node;
	b.keys[0].opens = 1;
	says(&b, "rotation-in-flight", TRI_NO);
	b_key(&b, KEY_BEK, "LinuxPassPhraseFileName_1_0", 172);
	b.keys[1].node = b.bek.node;
	says(&b, "rotation-in-flight", TRI_YES);
}

/* ---- 9b, 15, 16, 16b ---- */
static struct volume *data_open(void)
{
	struct volume *v = b_volume(&b, "sde1", VOL_DATA, VS_LOCKED);

	b_open(&b, v, b_header(&b, false));
	return v;
}

Test(rows, the_os_is_attempted_again_while_its_queue_is_there)
{
	data_open();
	b_config(&b, CONFIG_ALL);
	says(&b, "os-attempt-pending", TRI_NO);
	says(&b, "os-never-finished", TRI_YES);
	b_queue(&b, QUEUE);
	says(&b, "os-attempt-pending", TRI_YES);
	says(&b, "os-never-finished", TRI_NO);
	b.vm.state.config.have = HAVE_UNKNOWN;
	says(&b, "os-attempt-pending", TRI_UNKNOWN);
	b.vm.state.have = HAVE_UNKNOWN;
	says(&b, "os-attempt-pending", TRI_UNKNOWN);
	says(&b, "os-never-finished", TRI_UNKNOWN);
}

Test(rows, data_alone_is_no_os_attempt)
{
	data_open();
	b_config(&b, CONFIG_DATA);
	b_queue(&b, QUEUE);
	says(&b, "os-attempt-pending", TRI_NO);
	says(&b, "os-never-finished", TRI_NO);
	says(&b, "volume-type-gap", TRI_NO);
}

Test(rows, the_configuration_is_missed_where_something_is_encrypted)
{
	says(&b, "config-missing", TRI_NO);
	data_open();
	says(&b, "config-missing", TRI_YES);
	b_config(&b, CONFIG_DATA);
	says(&b, "config-missing", TRI_NO);
	b.vm.state.config.have = HAVE_UNKNOWN;
	says(&b, "config-missing", TRI_UNKNOWN);
}

Test(rows, an_empty_configuration_is_a_missing_one)
{
	data_open();
	b_config(&b, "");
	says(&b, "config-missing", TRI_YES);
}

Test(rows, the_volume_type_must_cover_what_is_encrypted)
{
	b_config(&b, CONFIG_OS);
	says(&b, "volume-type-gap", TRI_NO);
	data_open();
	says(&b, "volume-type-gap", TRI_YES);
	b.vm.state.have = HAVE_UNKNOWN;
	says(&b, "volume-type-gap", TRI_UNKNOWN);
}

Test(rows, an_encrypted_os_is_not_covered_by_data)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG_DATA);
	says(&b, "volume-type-gap", TRI_YES);
}

/* ---- 9, 14 ---- */
Test(rows, a_queue_of_the_ram_root_method_is_finished_by_one_boot)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG_ALL);
	says(&b, "finishing", TRI_NO);
	says(&b, "consistent", TRI_YES);
	b_queue(&b, QUEUE);
	says(&b, "finishing", TRI_YES);
	says(&b, "consistent", TRI_NO);
	b_ongoing(&b, "Done");
	says(&b, "finishing", TRI_NO);
	b.vm.state.have = HAVE_UNKNOWN;
	says(&b, "finishing", TRI_UNKNOWN);
	says(&b, "consistent", TRI_UNKNOWN);
}

Test(rows, an_online_queue_is_not_finishing)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG_ALL);
	b_queue(&b, QUEUE_ONLINE);
	says(&b, "finishing", TRI_UNKNOWN);
}

Test(rows, consistent_needs_every_volume_open_and_its_type)
{
	struct volume *v;

	says(&b, "consistent", TRI_NO);
	data_open();
	b_config(&b, "[azure_crypt_config]\nvolumetype = data\nsecretseqnum = \n\n");
	says(&b, "consistent", TRI_YES);
	v = b_volume(&b, "sdf1", VOL_DATA, VS_OPAQUE);
	says(&b, "consistent", TRI_UNKNOWN);
	v->ade = true;
	says(&b, "consistent", TRI_NO);
	v->state = VS_LOCKED;
	v->foreign_luks = true;
	v->ade = false;
	says(&b, "consistent", TRI_YES);
}

/* ---- 17, 14b, 18 ---- */
Test(rows, a_fresh_header_is_stale_only_on_a_root_proved_plain)
{
	struct header *h;

	says(&b, "fresh-header-plain-root", TRI_NO);
	h = b_boot_header(&b);
	says(&b, "fresh-header-plain-root", TRI_YES);
	b.vm.root_volume->plain = TRI_UNKNOWN;
	says(&b, "fresh-header-plain-root", TRI_UNKNOWN);
	b.vm.root_volume->plain = TRI_YES;
	h->info.online = true;
	says(&b, "fresh-header-plain-root", TRI_NO);
	h->info.online = false;
	h->info.broken = true;
	says(&b, "fresh-header-plain-root", TRI_UNKNOWN);
	h->info.broken = false;
	b_missing(&b, "lun 0");
	says(&b, "fresh-header-plain-root", TRI_UNKNOWN);
}

Test(rows, configured_is_a_machine_with_nothing_to_encrypt_on_its_own_terms)
{
	b_config(&b, CONFIG_DATA);
	b_settings(&b, 1, "EnableEncryption", "Data", "https://kv/");
	says(&b, "configured", TRI_NO);
	b_bek(&b, "LinuxPassPhraseFileName", 172);
	says(&b, "configured", TRI_YES);
	b_volume(&b, "sde1", VOL_DATA, VS_PLAIN_FS);
	says(&b, "configured", TRI_NO);
	b.vm.nvolumes--;
	b_marker(&b, "PrereqState");
	says(&b, "configured", TRI_NO);
}

Test(rows, configured_counts_a_last_status_of_success_and_not_a_queue)
{
	b_config(&b, CONFIG_DATA);
	b_settings(&b, 1, "EnableEncryption", "Data", "https://kv/");
	b.ext.last_status = b_str("success");
	says(&b, "configured", TRI_YES);
	b_missing(&b, "lun 0");
	says(&b, "configured", TRI_UNKNOWN);
	b.vm.nmissing = 0;
	b_queue(&b, QUEUE);
	says(&b, "configured", TRI_NO);
	b.vm.waagent = HAVE_UNKNOWN;
	b.vm.ext = NULL;
	says(&b, "configured", TRI_NO);
}

Test(rows, each_piece_of_leftover_state_alone_is_stale)
{
	says(&b, "stale-state", TRI_NO);
	b_config(&b, CONFIG_ALL);
	says(&b, "stale-state", TRI_YES);
	again();
	b_params(&b, "");
	says(&b, "stale-state", TRI_YES);
	again();
	b_queue(&b, "");
	says(&b, "stale-state", TRI_YES);
	again();
	b_dqueue(&b);
	says(&b, "stale-state", TRI_YES);
	again();
	b_file(&b, "bek_backup", SK_BEK_BACKUP, 172);
	says(&b, "stale-state", TRI_YES);
	again();
	b_marker(&b, "PrereqState");
	says(&b, "stale-state", TRI_YES);
	again();
	b_ongoing(&b, "BackupHeader");
	says(&b, "stale-state", TRI_YES);
	again();
	b_line(&b, "/etc/crypttab", TAB_ADE_TEMP, "resourceencrypt", NULL);
	says(&b, "stale-state", TRI_YES);
	again();
	b_state(&b);
	b.vm.state.crypt_mount_have = HAVE_YES;
	says(&b, "stale-state", TRI_YES);
	again();
	b_file(&b, "daemon_lock_file.lck", SK_LOCK, 0);
	says(&b, "stale-state", TRI_NO);
	b_line(&b, "/etc/fstab", TAB_ADE_BEK, NULL, NULL);
	says(&b, "stale-state", TRI_NO);
}

Test(rows, stale_is_not_told_where_anything_it_rests_on_is_not)
{
	struct volume *v;

	b_config(&b, CONFIG_ALL);
	v = b_volume(&b, "sde1", VOL_DATA, VS_PLAIN_FS);
	says(&b, "stale-state", TRI_YES);
	v->plain = TRI_UNKNOWN;
	says(&b, "stale-state", TRI_UNKNOWN);
	v->state = VS_OPAQUE;
	says(&b, "stale-state", TRI_UNKNOWN);
	v->ade = true;
	says(&b, "stale-state", TRI_NO);
	v->ade = false;
	v->state = VS_OTHER;
	says(&b, "stale-state", TRI_UNKNOWN);
	v->state = VS_BLANK;
	says(&b, "stale-state", TRI_YES);
	b.vm.fstab_file.have = HAVE_UNKNOWN;
	says(&b, "stale-state", TRI_UNKNOWN);
	b.vm.fstab_file.have = HAVE_YES;
	b.vm.crypttab_file.have = HAVE_UNKNOWN;
	says(&b, "stale-state", TRI_UNKNOWN);
	b.vm.crypttab_file.have = HAVE_NO;
	b.fs.stale = true;
	says(&b, "stale-state", TRI_UNKNOWN);
	b.fs.stale = false;
	b.vm.bootf.have = HAVE_NO;
	says(&b, "stale-state", TRI_UNKNOWN);
	b.vm.bootf.have = HAVE_YES;
	says(&b, "stale-state", TRI_YES);
}

Test(rows, a_volume_of_no_machine_counts_for_nothing_is_encrypted)
{
	b_config(&b, CONFIG_ALL);
	b_volume(&b, "sdz1", VOL_DATA, VS_LOCKED);
	b.mine[1] = false;
	says(&b, "stale-state", TRI_UNKNOWN);
	b.volumes[1].foreign_luks = true;
	says(&b, "stale-state", TRI_YES);
}

Test(rows, a_disk_that_lines_name_makes_stale_impossible_to_tell_until_confirmed)
{
	b_config(&b, CONFIG_ALL);
	b_line(&b, "/etc/crypttab", TAB_ADE_DATA, "c49ff535", NULL);
	says(&b, "stale-state", TRI_UNKNOWN);
	says(&b, "disk-not-attached", TRI_YES);
	b.vm.all_disks_attached = true;
	says(&b, "stale-state", TRI_YES);
	says(&b, "disk-not-attached", TRI_NO);
	says(&b, "stale-orphan-entries", TRI_YES);
	b.vm.all_disks_attached = false;
	b.vm.data_disks_said = 0;
	b.vm.data_disks_named = 1;
	says(&b, "stale-state", TRI_UNKNOWN);
	b.vm.data_disks_said = 1;
	says(&b, "stale-state", TRI_UNKNOWN);
	b.vm.data_disks_attached = 1;
	says(&b, "stale-state", TRI_YES);
}

Test(rows, the_operators_word_counts_for_a_data_volume_and_never_for_the_root)
{
	struct volume *v = b_volume(&b, "sde1", VOL_DATA, VS_OPAQUE);

	b_config(&b, CONFIG_ALL);
	v->not_encrypted = true;
	says(&b, "stale-state", TRI_YES);
	v->ade = true;
	says(&b, "stale-state", TRI_NO);
	b.vm.nvolumes--;
	b.vm.root_volume->state = VS_OPAQUE;
	b.vm.root_volume->not_encrypted = true;
	says(&b, "stale-state", TRI_UNKNOWN);
}

/* ---- 19, 20 ---- */
Test(rows, residue_is_at_most_what_ade_never_reads)
{
	says(&b, "residue", TRI_NO);
	b_state(&b);
	says(&b, "residue", TRI_YES);
	b_file(&b, "status_lock_file.lck", SK_LOCK, 0);
	b_imds(&b, "Standard");
	b_file(&b, "azure_crypt_params.ini_2026-01-01 00:00:00.000000", SK_ARCHIVE, 300);
	b_file(&b, "resume_daemon_status-osencrypt.txt", SK_RESUME_STATUS, 30);
	b_file(&b, "cleartext_keyc49ff535", SK_CLEARTEXT_KEY, 128);
	says(&b, "residue", TRI_YES);
	b.files[4].opens = true;
	says(&b, "residue", TRI_NO);
	b.files[4].opens = false;
	b_file(&b, "stranger", SK_OTHER, 3);
	says(&b, "residue", TRI_UNKNOWN);
	b.vm.state.n--;
	b_config(&b, CONFIG_ALL);
	says(&b, "residue", TRI_NO);
}

Test(rows, an_extension_alone_is_residue)
{
	b_settings(&b, 1, "EnableEncryption", "All", "https://kv/");
	says(&b, "residue", TRI_YES);
	says(&b, "no-state", TRI_NO);
	b.vm.waagent = HAVE_UNKNOWN;
	says(&b, "residue", TRI_UNKNOWN);
}

Test(rows, no_state_needs_that_every_place_was_looked_at)
{
	says(&b, "no-state", TRI_YES);
	b.vm.waagent = HAVE_UNKNOWN;
	says(&b, "no-state", TRI_UNKNOWN);
	says(&b, "residue", TRI_UNKNOWN);
	b.vm.waagent = HAVE_NO;
	b.vm.state.have = HAVE_UNKNOWN;
	says(&b, "no-state", TRI_UNKNOWN);
	b.vm.state.have = HAVE_NO;
	b.vm.old_places = HAVE_UNKNOWN;
	says(&b, "no-state", TRI_UNKNOWN);
	b.vm.old_places = HAVE_NO;
	b.vm.var_missing = b.var_missing;
	b.vm.var_missing[0] = b_str("UUID=1");
	b.vm.nvar_missing = 1;
	b.vm.all_disks_attached = true;
	says(&b, "no-state", TRI_UNKNOWN);
	b.vm.nvar_missing = 0;
	b.vm.gaps = b.gaps;
	b.vm.ngaps = 1;
	b.gaps[0] = (struct gap){.path = b_str("/var/log/azure"), .why = b_str("I/O error")};
	says(&b, "no-state", TRI_YES);
	b.gaps[0].path = b_str("/var/lib");
	says(&b, "no-state", TRI_UNKNOWN);
	b.gaps[0].path = NULL;
	says(&b, "no-state", TRI_UNKNOWN);
}

Test(rows, no_state_is_never_said_without_the_os_disk)
{
	b.vm.root = NULL;
	says(&b, "no-state", TRI_UNKNOWN);
	b.vm.state.have = HAVE_YES;
	says(&b, "residue", TRI_UNKNOWN);
}

Test(rows, stale_does_not_hold_beside_a_half_copied_disk_or_a_header_file)
{
	b_config(&b, CONFIG_ALL);
	b_file(&b, "notes", SK_OTHER, 1)->is_luks = true;
	says(&b, "stale-state", TRI_NO);
	b.vm.state.n--;
	b_ongoing(&b, "EncryptingData");
	says(&b, "stale-state", TRI_NO);
	again();
	b_config(&b, CONFIG_ALL);
	B_INI(&b, ongoing, "azure_crypt_ongoing_item.ini", SK_ONGOING, "");
	says(&b, "stale-state", TRI_UNKNOWN);
}

Test(rows, past_an_unreplayed_journal_what_is_seen_counts_and_what_is_not_seen_is_unknown)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG_ALL);
	b.fs.stale = true;
	says(&b, "consistent", TRI_UNKNOWN);
	says(&b, "decryption-stuck", TRI_UNKNOWN);
	b_ongoing(&b, "EncryptingData");
	says(&b, "inplace-copy-interrupted", TRI_YES);
}
