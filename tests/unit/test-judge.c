/* SPDX-License-Identifier: MIT */
/* The whole judgement: the worked examples of the reference, the order of rows and its guard, the data, what
 * follows. */
#include <criterion/criterion.h>

#include "vm-builder.h"

#define CONFIG(type, seq)                                                                                    \
	"[azure_crypt_config]\nbekfilename = LinuxPassPhraseFileName\nvolumetype = " type                    \
	"\nsecretseqnum = " seq "\n\n"
#define PARAMS(vault)                                                                                        \
	"[azure_extension_params]\nencryptionoperation = EnableEncryption\nkeyvaulturl = " vault             \
	"\nvolumetype = All\n\n"
#define QUEUE "[encryption_request_queue]\nencryptionoperation = EnableEncryption\nvolumetype = All\n\n"
#define QUEUE_ONLINE QUEUE "encryptionmode = Online\n\n"

static struct build b;
static struct judgement *j;

static void judged(void)
{
	judgement_free(j);
	j = NULL;
	cr_assert_eq(judge(&b.vm, &j, NULL), 0);
}

static void setup(void)
{
	build_plain(&b);
}
static void teardown(void)
{
	judgement_free(j);
	j = NULL;
	build_done(&b);
}
TestSuite(judge, .init = setup, .fini = teardown);

static void expect(const char *verdict, const char *rule, const char *data, unsigned code)
{
	judged();
	cr_assert_str_eq(verdict_name(j->verdict), verdict, "%s (%s), unknown: %s", verdict_name(j->verdict),
			 j->rule->id, j->nunknown ? j->unknown[0] : "none");
	cr_assert_str_eq(j->rule->id, rule);
	cr_assert_str_eq(data_name(j->data), data);
	cr_assert_eq(j->exit_code, code);
}

static void found(const char *id)
{
	cr_assert(finding_of(j, id), "%s is not among the findings", id);
}
static void not_found(const char *id)
{
	cr_assert_not(finding_of(j, id), "%s is among the findings", id);
}

static struct volume *data_open(const char *name)
{
	struct volume *v = b_volume(&b, name, VOL_DATA, VS_LOCKED);

	b_open(&b, v, b_header(&b, false));
	return v;
}

/* ---- the worked examples ---- */
Test(judge, e1_a_config_without_key_is_stale)
{
	b_config(&b, "[azure_crypt_config]\nvolumetype = All\n\n");
	b_file(&b, "daemon_lock_file.lck", SK_LOCK, 0);
	b_settings(&b, 1, "EnableEncryption", "All", "https://kv/");
	b.ext.mrseq_have = HAVE_NO;
	expect("stale", "stale-state", "intact", 4);
	found("stale-config-no-key");
	cr_assert(strstr(j->boot.text, "could not get the key file"), "%s", j->boot.text);
	cr_assert_eq(j->boot.outcome, OUT_FAILS);
	cr_assert(j->clean_allowed);
}

Test(judge, e2_changed_parameters_end_in_a_rotation_without_key)
{
	b_config(&b, "[azure_crypt_config]\nvolumetype = All\n\n");
	b_params(&b, PARAMS("https://kv-old/"));
	b_settings(&b, 3, "EnableEncryption", "All", "https://kv-new/");
	b.ext.mrseq = 2;
	expect("stale", "stale-state", "intact", 4);
	found("stale-params-changed");
	not_found("stale-config-no-key");
	cr_assert(strstr(j->enable.text, "Cannot find current passphrase file"), "%s", j->enable.text);
	cr_assert(j->starts_by_itself);
	cr_assert_eq(j->boot_after_clean.outcome, OUT_STARTS_ENCRYPTION);
	cr_assert(strstr(j->boot_after_clean.text, "BY ITSELF"));
	found("request-pending");
}

Test(judge, e2_with_an_old_version_ends_in_a_none_type)
{
	b_config(&b, "[azure_crypt_config]\nvolumetype = All\n\n");
	b_params(&b, PARAMS("https://kv-old/"));
	b.ext.version = b_str("1.1.0.30");
	b_settings(&b, 3, "EnableEncryption", "All", "https://kv-new/");
	b.ext.mrseq = 2;
	judged();
	cr_assert(strstr(j->boot.text, "NoneType"), "%s", j->boot.text);
}

Test(judge, e3_an_old_passphrase_is_said_beside_it)
{
	b_config(&b, "[azure_crypt_config]\nvolumetype = All\n\n");
	b_params(&b, PARAMS("https://kv-old/"));
	b_file(&b, "bek_backup", SK_BEK_BACKUP, 172);
	b_settings(&b, 3, "EnableEncryption", "All", "https://kv-new/");
	expect("stale", "stale-state", "intact", 4);
	found("stale-params-changed");
	found("stale-bek-backup");
}

Test(judge, e4_the_remembered_type_forbids_the_request)
{
	b_config(&b, "[azure_crypt_config]\nvolumetype = Data\n\n");
	b_settings(&b, 2, "EnableEncryption", "OS", "https://kv/");
	expect("stale", "stale-state", "intact", 4);
	found("stale-volume-type");
	cr_assert(strstr(j->enable.text, "Moving from volume type Data to volume type OS is not allowed"),
		  "%s", j->enable.text);
}

Test(judge, e5_a_queue_a_marker_and_oldroot)
{
	b_config(&b, "[azure_crypt_config]\nvolumetype = All\n\n");
	b_params(&b, PARAMS("https://kv/"));
	b_queue(&b, QUEUE);
	b_marker(&b, "PrereqState");
	b_settings(&b, 1, "EnableEncryption", "All", "https://kv/");
	b.vm.oldroot = HAVE_YES;
	b.vm.oldroot_empty = true;
	expect("stale", "stale-state", "intact", 4);
	found("stale-request-queue");
	found("stale-retry-blocker");
	found("stale-os-markers");
	cr_assert_eq(j->boot.outcome, OUT_FAILS);
}

Test(judge, e6_markers_of_an_online_distribution_make_a_false_success)
{
	b.vm.os.id = b_str("rhel");
	b.vm.os.version = b_str("8.6");
	b_config(&b, CONFIG("All", "1"));
	b_bek(&b, "LinuxPassPhraseFileName", 172);
	b_marker(&b, "PrereqState");
	b_marker(&b, "PatchBootSystemState");
	b_queue(&b, QUEUE_ONLINE);
	b_settings(&b, 1, "EnableEncryption", "All", "https://kv/");
	expect("stale", "stale-state", "intact", 4);
	found("stale-os-markers");
	cr_assert_eq(j->boot.outcome, OUT_FAILS);
	cr_assert(strstr(j->boot.text, "success"), "%s", j->boot.text);
}

Test(judge, e7_a_plain_looking_root_with_a_reencryption_in_its_header_is_unfinished)
{
	struct header *h = b_boot_header(&b);

	h->info.online = true;
	b_config(&b, CONFIG("All", "1"));
	b_queue(&b, QUEUE);
	b.vm.boot_patched = true;
	expect("unfinished", "online-in-flight", "at-risk", 5);
	not_found("stale-state");
	not_found("boot-patched-plain-root");
	cr_assert_not(j->clean_allowed);
}

Test(judge, e8_an_encrypted_lvm_root_with_its_markers_is_consistent)
{
	b_encrypted_os(&b);
	b.vm.root_lvm = true;
	b.vm.os.id = b_str("rhel");
	b.vm.os.version = b_str("8.8");
	b_config(&b, CONFIG("All", "2"));
	b_params(&b, PARAMS("https://kv/"));
	b_marker(&b, "PrereqState");
	b_marker(&b, "PatchBootSystemState");
	b_settings(&b, 2, "EnableEncryption", "All", "https://kv/");
	expect("consistent", "consistent", "intact", 0);
	cr_assert_eq(j->enable.outcome, OUT_WORKS);
	cr_assert(strstr(j->enable.text, "markers"), "%s", j->enable.text);
}

Test(judge, consistent_is_not_said_where_the_volume_group_cannot_be_told)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG("All", "2"));
	b_params(&b, PARAMS("https://kv/"));
	b_settings(&b, 2, "EnableEncryption", "All", "https://kv/");
	b.vm.removed_vg.is = TRI_UNKNOWN;
	b.vm.removed_vg.why = b_str("its metadata is damaged");
	expect("unknown", "undecided", "unknown", 8);
}

Test(judge, e8_without_lvm_is_consistent)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG("All", "2"));
	b_params(&b, PARAMS("https://kv/"));
	b_marker(&b, "PrereqState");
	b_settings(&b, 2, "EnableEncryption", "All", "https://kv/");
	expect("consistent", "consistent", "intact", 0);
	found("boot-piece-unread");
	cr_assert_eq(j->boot.outcome, OUT_NOTHING);
	cr_assert_eq(j->disable.outcome, OUT_FAILS);
	cr_assert_not(j->clean_allowed);
	cr_assert(j->nstop);
}

Test(judge, e9_an_encrypted_lvm_root_without_markers_is_a_time_bomb)
{
	b_encrypted_os(&b);
	b.vm.root_lvm = true;
	b_config(&b, CONFIG("All", "2"));
	b_settings(&b, 2, "EnableEncryption", "All", "https://kv/");
	expect("dangerous", "lvm-marker-missing", "at-risk", 7);
	cr_assert_eq(j->enable.outcome, OUT_DESTROYS);
	cr_assert_eq(j->boot.outcome, OUT_NOTHING);
	b.ext.mrseq = 1;
	judged();
	cr_assert_eq(j->boot.outcome, OUT_DESTROYS);
}

static void dual_pass(enum vol_state state, bool attached)
{
	struct state_file *f = b_file(&b, "azureluksheaderc49ff535", SK_LUKS_HEADER, 32 << 20);
	struct header *h = b_header(&b, true);
	struct volume *v = attached ? b_volume(&b, "sde1", VOL_DATA, VS_OPAQUE) : NULL;

	f->is_luks = true;
	f->header = h;
	h->in_state_dir = true;
	if (state == VS_OPENED)
		b_open(&b, v, h);
	b_config(&b, CONFIG("Data", "2"));
	b.vm.state.crypt_mount_have = HAVE_YES;
	b_file(&b, "azure_crypt_mount", SK_CRYPT_MOUNT, 200);
	b_line(&b, "/var/lib/azure_disk_encryption_config/azure_crypt_mount", TAB_ADE_DATA, "c49ff535", v);
	if (v)
		v->ade = true;
}

Test(judge, e10_a_dual_pass_disk_that_opens_is_consistent_with_a_never_delete_finding)
{
	dual_pass(VS_OPENED, true);
	expect("consistent", "consistent", "intact", 0);
	found("only-header-copy");
	cr_assert_eq(finding_of(j, "only-header-copy")->severity, SEV_NEVER_DELETE);
}

Test(judge, e10_a_dual_pass_disk_that_does_not_open_is_dangerous)
{
	dual_pass(VS_OPAQUE, true);
	expect("dangerous", "only-header-copy", "at-risk", 7);
}

Test(judge, e11_a_dual_pass_disk_that_is_not_attached_is_dangerous)
{
	dual_pass(VS_OPAQUE, false);
	expect("dangerous", "only-header-copy", "at-risk", 7);
	found("disk-not-attached");
	b.vm.all_disks_attached = true;
	judged();
	cr_assert_str_eq(j->rule->id, "only-header-copy");
}

Test(judge, e12_a_copy_that_was_interrupted_is_unfinished)
{
	b_ongoing(&b, "EncryptingData");
	b_file(&b, "copy_header_slice_file", SK_HEADER_SLICE, 52428800);
	b_config(&b, CONFIG("Data", "1"));
	b_volume(&b, "sde1", VOL_DATA, VS_LOCKED);
	expect("unfinished", "inplace-copy-interrupted", "at-risk", 5);
}

Test(judge, e13_a_stuck_decryption_is_dangerous)
{
	b_ongoing(&b, "DecryptingData");
	b_dqueue(&b);
	b_file(&b, "cleartext_keyc49ff535", SK_CLEARTEXT_KEY, 128);
	b_volume(&b, "sde1", VOL_DATA, VS_UNKNOWN);
	expect("dangerous", "decryption-stuck", "at-risk", 7);
}

Test(judge, e14_an_encrypted_os_with_its_queue_boots_once_to_finish)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG("All", "1"));
	b_queue(&b, QUEUE);
	expect("consistent", "finishing", "intact", 0);
	cr_assert_str_eq(verdict_headline(j->verdict, j->rule), "BOOT ONCE TO FINISH");
	cr_assert_eq(j->boot.outcome, OUT_WORKS);
}

Test(judge, e15_plaintext_left_in_the_raw_bytes_is_dangerous)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG("All", "1"));
	b_queue(&b, QUEUE);
	b.vm.root_volume->dd_low = 3;
	expect("dangerous", "dd-interrupted", "at-risk", 7);
}

Test(judge, e16_a_lock_alone_is_residue)
{
	b_file(&b, "status_lock_file.lck", SK_LOCK, 0);
	expect("no-state", "residue", "intact", 0);
}

Test(judge, e17_stamped_and_never_encrypted_is_stale)
{
	b_config(&b, CONFIG("All", "2"));
	b_params(&b, PARAMS("https://kv/"));
	b_settings(&b, 2, "EnableEncryption", "All", "https://kv/");
	b_bek(&b, "LinuxPassPhraseFileName", 172);
	expect("stale", "stale-state", "intact", 4);
	not_found("stale-config-no-key");
	cr_assert_not(j->starts_by_itself);
	cr_assert_eq(j->boot_after_clean.outcome, OUT_NOTHING);
}

Test(judge, e18_empty_parameters_on_an_encrypted_machine_are_a_warning)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG("All", "2"));
	b_params(&b, "");
	expect("consistent", "consistent", "intact", 0);
	found("params-empty");
}

Test(judge, e19_an_empty_secretseqnum_is_no_damage)
{
	data_open("sde1");
	b_config(&b, CONFIG("Data", ""));
	expect("consistent", "consistent", "intact", 0);
}

/* ---- order and guard ---- */
Test(judge, rows_come_in_the_order_of_the_contract)
{
	static const char *const order[] = {"2",   "1",	  "4",	 "3",	"5",   "6",   "7",   "7b",  "8",
					    "11",  "10",  "12",	 "13",	"9b",  "15",  "16",  "16b", "9",
					    "14",  "17",  "14b", "18",	"19",  "20",  "21",  "18a", "18b",
					    "18c", "18d", "18e", "18f", "18g", "18h", "18i", ""};

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		cr_assert_str_eq(rules[i]->row, order[i]);
}

Test(judge, every_rule_says_all_that_explain_prints)
{
	for (size_t i = 0; rules[i]; i++) {
		cr_assert(rules[i]->title && rules[i]->why && rules[i]->advice && rules[i]->row &&
				  rules[i]->check,
			  "%s", rules[i]->id);
		cr_assert(str_ends(rules[i]->title, ".") && str_ends(rules[i]->why, ".") &&
				  str_ends(rules[i]->advice, "."),
			  "%s", rules[i]->id);
		cr_assert_eq(rule_find(rules[i]->id), rules[i]);
		for (size_t k = 0; k < i; k++)
			cr_assert_str_neq(rules[i]->id, rules[k]->id);
	}
}

Test(judge, a_lost_header_comes_before_a_locked_root)
{
	b_lock_root(&b, VS_OPAQUE);
	expect("dangerous", "os-header-lost", "lost", 7);
	b.vm.bootf.read_whole = false;
	expect("unknown", "root-locked", "locked", 8);
	found("no-key");
	cr_assert_str_eq(verdict_headline(j->verdict, j->rule), "LOCKED");
}

Test(judge, a_lost_header_whose_copy_opens_the_root_is_at_risk)
{
	b_encrypted_os(&b);
	b_open(&b, b.vm.root_volume, b_header(&b, true));
	b.vm.bootf.header = NULL;
	b.vm.bootf.osheader.path = NULL;
	expect("dangerous", "os-header-lost", "at-risk", 7);
}

Test(judge, a_decryption_comes_before_a_copy)
{
	b_dqueue(&b);
	b_file(&b, "copy_slice_item.bak", SK_ITEM_SLICE, 52428800);
	expect("dangerous", "decryption-stuck", "at-risk", 7);
	found("inplace-copy-interrupted");
}

Test(judge, a_fresh_header_comes_before_the_stale_state_beside_it)
{
	b_boot_header(&b);
	b_config(&b, CONFIG("All", "1"));
	expect("stale", "fresh-header-plain-root", "intact", 4);
	found("stale-state");
	found("stale-retry-blocker");
}

Test(judge, a_dangerous_row_is_given_though_rows_above_cannot_be_told)
{
	b_file(&b, "azureluksheader1", SK_LUKS_HEADER, 1)->is_luks = true;
	b_volume(&b, "sde1", VOL_DATA, VS_UNKNOWN);
	b.vm.removed_vg.is = TRI_UNKNOWN;
	expect("dangerous", "only-header-copy", "at-risk", 7);
}

Test(judge, stale_is_undecided_where_a_row_above_cannot_be_told)
{
	b_config(&b, CONFIG("All", "1"));
	b.vm.removed_vg.is = TRI_UNKNOWN;
	b.vm.removed_vg.why = b_str("its metadata is damaged");
	expect("unknown", "undecided", "unknown", 8);
	not_found("stale-state");
	not_found("stale-config-no-key");
	cr_assert_gt(j->nunknown, 0);
	cr_assert(strstr(j->unknown[0], "vg-removed"), "%s", j->unknown[0]);
	cr_assert(finding_of(j, "undecided")->nevidence >= 2);
	cr_assert_not(j->clean_allowed);
}

Test(judge, a_plain_root_on_lvm_is_judged_as_any_other)
{
	b.vm.root_lvm = true;
	expect("no-state", "no-state", "intact", 0);
	b_config(&b, CONFIG("All", "1"));
	expect("stale", "stale-state", "intact", 4);
	not_found("lvm-marker-missing");
}

Test(judge, a_plain_machine_has_no_state)
{
	expect("no-state", "no-state", "intact", 0);
	cr_assert_eq(j->boot.outcome, OUT_NOTHING);
	cr_assert_str_eq(verdict_headline(j->verdict, j->rule), "NO ADE STATE");
}

Test(judge, a_disk_that_is_missing_leaves_consistent_alone_and_keeps_stale_from_being_said)
{
	b_encrypted_os(&b);
	b_config(&b, CONFIG("All", "1"));
	b_missing(&b, "lun 0");
	expect("consistent", "consistent", "intact", 0);
	found("disk-not-attached");
	build_done(&b);
	build_plain(&b);
	b_config(&b, CONFIG("All", "1"));
	b_missing(&b, "lun 0");
	expect("unknown", "undecided", "intact", 8);
	b.vm.all_disks_attached = true;
	expect("stale", "stale-state", "intact", 4);
}

Test(judge, a_locked_data_disk_is_locked_data)
{
	b_volume(&b, "sde1", VOL_DATA, VS_LOCKED);
	b_config(&b, CONFIG("All", "1"));
	judged();
	cr_assert_eq(j->data, DATA_LOCKED);
	cr_assert_str_eq(j->rule->id, "undecided");
	found("no-key");
	b_bek(&b, "LinuxPassPhraseFileName", 172);
	judged();
	found("wrong-key");
	not_found("no-key");
}

Test(judge, a_foreign_volume_is_a_note_and_nothing_else)
{
	b_volume(&b, "sde1", VOL_DATA, VS_LOCKED)->foreign_luks = true;
	expect("no-state", "no-state", "intact", 0);
	found("foreign-luks");
	cr_assert_eq(finding_of(j, "foreign-luks")->severity, SEV_NOTE);
	not_found("no-key");
}

Test(judge, a_journal_that_was_not_replayed_is_not_believed)
{
	b_config(&b, CONFIG("All", "1"));
	b.fs.stale = true;
	expect("unknown", "undecided", "unknown", 8);
	found("journal-not-replayed");
}

Test(judge, boot_patches_on_a_plain_root_are_said)
{
	b_config(&b, CONFIG("All", "1"));
	b.vm.boot_patched = true;
	b.vm.boot_patch_evidence = b_str("root=/dev/mapper/osencrypt in /etc/default/grub");
	expect("stale", "stale-state", "intact", 4);
	found("boot-patched-plain-root");
	cr_assert_eq(j->boot.outcome, OUT_FAILS);
	cr_assert_eq(j->boot_after_clean.outcome, OUT_FAILS);
}

Test(judge, the_empty_passphrase_is_said_loudly)
{
	struct volume *v = data_open("sde1");

	b_config(&b, CONFIG("Data", ""));
	b_key(&b, KEY_EMPTY, "empty", 0);
	((struct header *)(uintptr_t)v->header)->by = &b.keys[0];
	judged();
	found("empty-passphrase");
	cr_assert_eq(finding_of(j, "empty-passphrase")->severity, SEV_ERROR);
}

/* ---- what follows ---- */
Test(judge, a_pending_format_of_all_disks_destroys)
{
	b_config(&b, CONFIG("All", ""));
	b_settings(&b, 4, "EnableEncryptionFormatAll", "All", "https://kv/");
	b.ext.mrseq = 3;
	b_volume(&b, "sde1", VOL_DATA, VS_PLAIN_FS);
	judged();
	cr_assert_eq(j->boot_after_clean.outcome, OUT_DESTROYS);
	cr_assert(j->starts_by_itself);
}

Test(judge, a_missing_or_unread_mrseq_counts_as_starting_by_itself)
{
	b_config(&b, CONFIG("All", ""));
	b_settings(&b, 4, "EnableEncryption", "All", "https://kv/");
	judged();
	cr_assert_not(j->starts_by_itself);
	b.ext.mrseq_have = HAVE_NO;
	judged();
	cr_assert(j->starts_by_itself);
	b.ext.mrseq_have = HAVE_UNKNOWN;
	judged();
	cr_assert(j->starts_by_itself);
	cr_assert_eq(j->boot_after_clean.outcome, OUT_UNKNOWN);
	b.vm.waagent = HAVE_UNKNOWN;
	judged();
	cr_assert(j->starts_by_itself);
}

Test(judge, a_queue_without_config_and_a_config_without_type_have_their_own_messages)
{
	b_queue(&b, QUEUE);
	b_settings(&b, 1, "EnableEncryption", "All", "https://kv/");
	judged();
	cr_assert(strstr(j->boot.text, "Encryption config not found."), "%s", j->boot.text);
	b_config(&b, "");
	judged();
	cr_assert(strstr(j->boot.text, "crashes"), "%s", j->boot.text);
}

Test(judge, lines_change_how_a_rotation_fails)
{
	b_config(&b, "[azure_crypt_config]\nvolumetype = All\n\n");
	b_params(&b, PARAMS("https://kv-old/"));
	b_settings(&b, 3, "EnableEncryption", "All", "https://kv-new/");
	b.ext.mrseq = 2;
	b_line(&b, "/etc/crypttab", TAB_ADE_OS, "osencrypt", b.vm.root_volume);
	judged();
	cr_assert(strstr(j->boot.text, "True is not in list"), "%s", j->boot.text);
	found("stale-orphan-entries");
}

Test(judge, urls_that_differ_in_case_or_a_slash_are_equal)
{
	b_config(&b, "[azure_crypt_config]\nvolumetype = All\n\n");
	b_params(&b, PARAMS("https://KV.vault.azure.net"));
	b_settings(&b, 3, "EnableEncryptionFormat", "All", "https://kv.vault.azure.net/");
	judged();
	not_found("stale-params-changed");
}

Test(judge, only_harmless_commands_are_advised)
{
	static const char *const allowed[] = {"aderescue ",
					      "az snapshot create ",
					      "az vm show ",
					      "az vm deallocate ",
					      "az vm start ",
					      "az disk show ",
					      "az keyvault secret show ",
					      "az vm encryption show "};

	b.vm.name = b_str("web07; rm -rf /");
	for (unsigned k = 0; k < 4; k++) {
		if (k == 1)
			b_config(&b, CONFIG("All", ""));
		if (k == 2)
			b_boot_header(&b)->info.online = true;
		if (k == 3)
			b_lock_root(&b, VS_LOCKED);
		judged();
		cr_assert_gt(j->nnext, 0);
		for (size_t i = 0; i < j->nnext; i++) {
			bool ok = false;

			for (size_t a = 0; a < sizeof(allowed) / sizeof(*allowed); a++)
				ok |= str_starts(j->next[i], allowed[a]);
			cr_assert(ok, "%s", j->next[i]);
			cr_assert_not(strstr(j->next[i], "rm -rf"));
		}
	}
}

Test(judge, a_pending_request_offers_both_goals)
{
	b_config(&b, CONFIG("All", ""));
	b_settings(&b, 4, "EnableEncryption", "All", "https://kv/");
	b.ext.mrseq = 3;
	judged();
	cr_assert_str_eq(j->next[0], "az snapshot create -g RG -n web07-before --source OSDISK");
	cr_assert(str_starts(j->next[2], "aderescue clean --data-disks N --for enable"));
	cr_assert(str_starts(j->next[3], "aderescue clean --data-disks N --for no-start"));
}

Test(judge, names_of_a_hostile_disk_are_escaped)
{
	b_config(&b, CONFIG("All", ""));
	b.files[0].name = b_str("evil\n\x1b[31maderescue: x");
	judged();
	for (size_t i = 0; i < j->findings.n; i++)
		for (size_t k = 0; k < j->findings.v[i].nevidence; k++)
			for (const char *p = j->findings.v[i].evidence[k]; *p; p++)
				cr_assert((unsigned char)*p >= 0x20 && *p != 0x7f);
}

Test(judge, every_future_has_a_text)
{
	for (unsigned k = 0; k < 3; k++) {
		if (k == 1)
			b_config(&b, CONFIG("All", ""));
		if (k == 2)
			b.vm.root_lvm = true;
		judged();
		cr_assert(j->boot.text && j->enable.text && j->disable.text && j->boot_after_clean.text);
	}
}
