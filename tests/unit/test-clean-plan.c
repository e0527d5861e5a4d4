/* SPDX-License-Identifier: MIT */
/* What a clean would do, and what forbids it: each safety rule is shown to matter by taking it out of the
 * table. */
#include <criterion/criterion.h>

#include "vm-builder.h"

#define CONFIG "[azure_crypt_config]\nvolumetype = All\nsecretseqnum = \n\n"

static struct build b;
static struct judgement *j;
static struct plan p;

static void setup(void)
{
	build_plain(&b);
	memset(&p, 0, sizeof(p));
	b_config(&b, CONFIG);
}
static void teardown(void)
{
	plan_done(&p);
	judgement_free(j);
	j = NULL;
	build_done(&b);
}
static void judged(void)
{
	judgement_free(j);
	j = NULL;
	cr_assert_eq(judge(&b.vm, &j, NULL), 0);
}
static int planned(char goal)
{
	plan_done(&p);
	strcpy(p.stamp, "20261123T031207Z");
	judged();
	return clean_plan(j, goal, &p, NULL);
}
static const struct edit *edit_of(const char *shown)
{
	for (size_t i = 0; i < p.n; i++)
		if (str_eq(p.v[i].shown_path, shown))
			return &p.v[i];
	return NULL;
}
static bool wants(const struct edit *e, const char *id)
{
	for (size_t i = 0; i < e->nbecause; i++)
		if (str_eq(e->because[i], id))
			return true;
	return false;
}

TestSuite(plan, .init = setup, .fini = teardown);
TestSuite(deny, .init = setup, .fini = teardown);

/* ---- the plan ---- */
Test(plan, the_directory_is_renamed_where_it_really_lies)
{
	const struct edit *e;

	b.vm.state.real_path = b_str("/lib/azure_disk_encryption_config");
	cr_assert_eq(planned(0), 0);
	cr_assert_eq(p.n, 1);
	e = &p.v[0];
	cr_assert_eq(e->kind, EDIT_RENAME);
	cr_assert_str_eq(e->path, "/lib/azure_disk_encryption_config");
	cr_assert_str_eq(e->new_name, "azure_disk_encryption_config.aderescue-20261123T031207Z");
	cr_assert_str_eq(e->shown_path, "/var/lib/azure_disk_encryption_config");
	cr_assert(wants(e, "stale-state"));
	cr_assert(wants(e, "stale-config-no-key"));
}

Test(plan, empty_roots_go_and_full_ones_stay)
{
	b.vm.oldroot = b.vm.memroot = HAVE_YES;
	b.vm.oldroot_empty = true;
	cr_assert_eq(planned(0), 0);
	cr_assert(edit_of("/oldroot"));
	cr_assert_str_eq(edit_of("/oldroot")->new_name, "oldroot.aderescue-20261123T031207Z");
	cr_assert_not(edit_of("/memroot"));
}

Test(plan, boot_luks_goes_only_under_its_row)
{
	cr_assert_eq(planned(0), 0);
	cr_assert_not(edit_of("/boot/luks"));
	b_boot_header(&b);
	cr_assert_eq(planned(0), 0, "%s", j->nrefused ? j->refused[0] : "");
	cr_assert_str_eq(edit_of("/boot/luks")->path, "/luks");
	cr_assert_eq(edit_of("/boot/luks")->on, b.vm.boot);
	cr_assert(wants(edit_of("/boot/luks"), "fresh-header-plain-root"));
	cr_assert(wants(edit_of("/boot/luks"), "stale-retry-blocker"));
	cr_assert(edit_of("/var/lib/azure_disk_encryption_config"));
}

Test(plan, boot_luks_on_the_root_has_its_path_there)
{
	b.vm.bootf.luks_dir = HAVE_YES;
	b.vm.bootf.luks_dir_only_header = true;
	cr_assert_eq(planned(0), 0);
	cr_assert_str_eq(edit_of("/boot/luks")->path, "/boot/luks");
}

Test(plan, orphan_lines_are_commented_and_nothing_else_changes)
{
	const struct edit *e;

	b_crypttab(&b,
		   "osencrypt /dev/sda1 none luks\nmine /dev/sdb1 /root/key luks\nresourceencrypt x y luks");
	b_line(&b, "/etc/crypttab", TAB_ADE_OS, "osencrypt", b.vm.root_volume);
	b_line(&b, "/etc/crypttab", TAB_ADE_TEMP, "resourceencrypt", NULL);
	b.rows[1].line = 3;
	cr_assert_eq(planned(0), 0, "%s", j->nrefused ? j->refused[0] : "");
	e = edit_of("/etc/crypttab");
	cr_assert(e);
	cr_assert_eq(e->kind, EDIT_REPLACE);
	cr_assert_eq(e->len, strlen("# aderescue: osencrypt /dev/sda1 none luks\nmine /dev/sdb1 /root/key "
				    "luks\n# aderescue: resourceencrypt x y luks"));
	cr_assert(!memcmp(e->data,
			  "# aderescue: osencrypt /dev/sda1 none luks\nmine /dev/sdb1 /root/key luks\n# "
			  "aderescue: resourceencrypt x y luks",
			  e->len));
	cr_assert_eq(e->nlines, 2);
	cr_assert(wants(e, "stale-orphan-entries"));
	cr_assert(wants(e, "stale-temp-disk-entry"));
}

Test(plan, a_row_with_two_entries_goes_only_where_both_may_go)
{
	struct volume *v = b_volume(&b, "sde1", VOL_DATA, VS_LOCKED);

	v->foreign_luks = true;
	b_crypttab(&b, "osencrypt a none luks,header=/boot/luks/osluksheadermine b c luks\n");
	b_line(&b, "/etc/crypttab", TAB_ADE_OS, "osencrypt", b.vm.root_volume);
	b_line(&b, "/etc/crypttab", TAB_ADE_DATA, "mine", v);
	b.rows[1].line = 1;
	b.lines[0].glued = b.lines[1].glued = true;
	b.vm.all_disks_attached = true;
	cr_assert_eq(planned(0), 0, "%s", j->nrefused ? j->refused[0] : "");
	cr_assert_not(edit_of("/etc/crypttab"));
}

Test(plan, the_line_of_the_bek_volume_stays)
{
	b_fstab(&b, "LABEL=BEK\\040VOLUME /mnt/azure_bek_disk auto nofail 0 0\n");
	b_line(&b, "/etc/fstab", TAB_ADE_BEK, NULL, NULL);
	cr_assert_eq(planned(0), 0);
	cr_assert_not(edit_of("/etc/fstab"));
}

Test(plan, no_start_writes_the_number_without_a_newline)
{
	const struct edit *e;

	b_settings(&b, 3, "EnableEncryption", "All", "https://kv/");
	b.ext.mrseq = 2;
	b.vm.archive_dir = HAVE_YES;
	cr_assert_eq(planned('e'), 0);
	cr_assert_eq(p.n, 1);
	cr_assert_eq(planned('n'), 0);
	cr_assert_eq(p.n, 3);
	e = edit_of("/var/lib/waagent/Microsoft.Azure.Security.AzureDiskEncryptionForLinux-1.4.0.12/mrseq");
	cr_assert(e);
	cr_assert_eq(e->kind, EDIT_REPLACE);
	cr_assert_eq(e->len, 1);
	cr_assert(!memcmp(e->data, "3", 1));
	e = edit_of("/var/lib/azure_disk_encryption_archive/mrseq");
	cr_assert(e && e->len == 1);
}

Test(plan, no_start_leaves_an_equal_number_alone)
{
	b_settings(&b, 3, "EnableEncryption", "All", "https://kv/");
	cr_assert_eq(planned('n'), 0);
	cr_assert_eq(p.n, 1);
}

Test(plan, no_start_follows_the_mount_that_holds_the_agents_directory)
{
	struct fs var_fs = {0};
	struct mount mounts[2] = {b.mount, {.at = b_str("/var"), .fs = &var_fs}};

	mounts[1].node = b_node(&b, "rootvg/varlv", "xfs", &var_fs);
	b.vm.tree = (struct tree){mounts, 2};
	b_settings(&b, 3, "EnableEncryption", "All", "https://kv/");
	b.ext.mrseq_have = HAVE_NO;
	cr_assert_eq(planned('n'), 0);
	cr_assert_eq(p.v[1].on, mounts[1].node);
	cr_assert(str_starts(p.v[1].path, "/lib/waagent/"));
}

Test(plan, no_start_is_refused_where_the_live_directory_is_not_known)
{
	b_settings(&b, 3, "EnableEncryption", "All", "https://kv/");
	b.vm.ext = NULL;
	cr_assert_eq(planned('n'), -EPERM);
	cr_assert_eq(planned('e'), 0);
}

Test(plan, there_is_none_for_another_verdict)
{
	b_encrypted_os(&b);
	cr_assert_eq(planned(0), -EPERM);
	cr_assert_eq(p.n, 0);
}

/* ---- the safety rules ---- */

/* The table without one row. */
static void without(const char *id, struct deny *out)
{
	size_t n = 0;

	for (size_t i = 0; deny_rules[i].id; i++)
		if (!str_eq(deny_rules[i].id, id))
			out[n++] = deny_rules[i];
	out[n] = (struct deny){NULL, NULL};
}

static bool denies(const char *id)
{
	for (size_t i = 0; deny_rules[i].id; i++)
		if (str_eq(deny_rules[i].id, id)) {
			char *why = NULL;
			enum tri t = deny_rules[i].denies(&b.vm, &why);

			cr_assert(t == TRI_NO || why, "%s says no reason", id);
			free(why);
			return t != TRI_NO;
		}
	cr_assert_fail("no rule %s", id);
	return false;
}

/* Only this rule keeps the machine from being cleaned, whose verdict is stale: without it the clean would be
 * allowed. */
static void alone_matters(const char *id)
{
	struct deny table[32];

	judged();
	cr_assert_eq(j->verdict, VERDICT_STALE, "%s: %s", id, j->rule->id);
	cr_assert_not(j->clean_allowed, "%s", id);
	cr_assert_eq(clean_plan(j, 0, &p, NULL), -EPERM);
	cr_assert_eq(p.n, 0);
	without(id, table);
	judgement_free(j);
	j = NULL;
	cr_assert_eq(judge_with(&b.vm, table, &j, NULL), 0);
	cr_assert(j->clean_allowed, "%s is not the only one: %s", id,
		  j->nrefused ? j->refused[0] : "a finding");
}

/* The rule forbids the clean even if the verdict were wrong. */
static void forbids(const char *id)
{
	cr_assert(denies(id), "%s", id);
}

Test(deny, nothing_forbids_a_plain_stale_machine)
{
	for (size_t i = 0; deny_rules[i].id; i++)
		cr_assert_not(denies(deny_rules[i].id), "%s", deny_rules[i].id);
	judged();
	cr_assert(j->clean_allowed);
	cr_assert_eq(j->nrefused, 0);
}

Test(deny, a_key_that_opens_something)
{
	b_file(&b, "anything", SK_OTHER, 172)->opens = true;
	alone_matters("working-key");
}

Test(deny, the_passphrase_of_a_confidential_vm)
{
	b_imds(&b, "ConfidentialVM");
	alone_matters("confidential-vm");
	b_file(&b, "LinuxPassPhraseFileName", SK_PASSPHRASE, 172);
	forbids("confidential-vm");
	judged();
	cr_assert(finding_of(j, "cvm-key-in-dir"));
	cr_assert_eq(finding_of(j, "cvm-key-in-dir")->severity, SEV_NEVER_DELETE);
	cr_assert_not(j->clean_allowed);
}

Test(deny, a_wrapped_key_of_a_confidential_vm)
{
	b_file(&b, "custom_cmk.json", SK_CUSTOM_CMK, 300);
	alone_matters("confidential-vm");
}

Test(deny, a_directory_a_link_or_a_device_inside)
{
	static const enum fs_type types[] = {FS_DIR,  FS_LINK,	 FS_CHAR, FS_BLOCK,
					     FS_FIFO, FS_SOCKET, FS_OTHER};
	struct state_file *f = b_file(&b, "strange", SK_OTHER, 0);

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		f->type = types[i];
		alone_matters("strange-entry");
	}
}

Test(deny, a_directory_that_is_a_link)
{
	b.vm.state.is_link = true;
	alone_matters("not-a-directory");
	judged();
	cr_assert(finding_of(j, "state-dir-is-link"));
	b.vm.state.is_link = false;
	b.vm.state.real_path = NULL;
	alone_matters("not-a-directory");
}

Test(deny, a_boot_luks_with_more_than_a_header)
{
	b_boot_header(&b);
	b.vm.bootf.luks_dir_only_header = false;
	alone_matters("boot-luks");
}

Test(deny, a_file_system_that_may_not_be_written)
{
	b.fs.write_refused = b_str("it has errors");
	alone_matters("filesystem");
}

Test(deny, a_word_on_a_volume_that_a_header_belongs_to)
{
	struct volume *v = b_volume(&b, "sde1", VOL_DATA, VS_PLAIN_FS);

	v->ade = v->not_encrypted = true;
	alone_matters("stated");
}

Test(deny, a_file_that_could_not_be_read)
{
	b_file(&b, "junk", SK_OTHER, 5)->unreadable = true;
	forbids("unreadable");
	b.files[1].type = FS_FIFO;
	forbids("strange-entry");
}

Test(deny, a_number_of_disks_that_does_not_fit)
{
	b.vm.data_disks_said = 2;
	alone_matters("disks");
	b.vm.data_disks_attached = 2;
	cr_assert_not(denies("disks"));
	b_missing(&b, "lun 0");
	b.vm.data_disks_said = -1;
	forbids("disks");
}

/* Those that the table of verdicts forbids as well: shown by the rule itself. */
Test(deny, volumes_that_may_be_encrypted)
{
	struct volume *v = b_volume(&b, "sde1", VOL_DATA, VS_OPAQUE);

	forbids("encrypted-volume");
	v->state = VS_LOCKED;
	forbids("encrypted-volume");
	v->ade = true;
	forbids("encrypted-volume");
	v->state = VS_UNKNOWN;
	forbids("encrypted-volume");
	v->ade = false;
	v->state = VS_PLAIN_FS;
	v->plain = TRI_UNKNOWN;
	forbids("encrypted-volume");
	b_open(&b, v, b_header(&b, false));
	forbids("encrypted-volume");
	b.vm.nvolumes--;
	cr_assert_not(denies("encrypted-volume"));
	b.vm.root_volume->plain = TRI_UNKNOWN;
	forbids("root-not-plain");
}

Test(deny, a_reencryption)
{
	b_boot_header(&b)->info.online = true;
	forbids("online-in-flight");
}

Test(deny, a_luks_header_under_any_name)
{
	static const char *const names[] = {"azureluksheader1", "x", "bek_backup", "status_lock_file.lck",
					    "azure_crypt_config.ini_2026"};

	for (size_t i = 0; i < 5; i++) {
		struct state_file *f = b_file(&b, names[i], (enum state_kind)i, 32 << 20);

		f->is_luks = true;
		forbids("luks-header");
		f->is_luks = false;
		f->luks_damaged = true;
		forbids("luks-header");
		b.vm.state.n--;
		*f = (struct state_file){0};
	}
	cr_assert_not(denies("luks-header"));
}

Test(deny, a_header_without_volume_all_the_same)
{
	b_file(&b, "azureluksheader1", SK_LUKS_HEADER, 32 << 20)->is_luks = true;
	b.vm.all_disks_attached = true;
	judged();
	cr_assert_eq(j->verdict, VERDICT_STALE);
	cr_assert(finding_of(j, "header-without-volume"));
	cr_assert_not(j->clean_allowed);
}

Test(deny, a_header_in_the_older_places)
{
	b.vm.old_headers = b.old;
	b.vm.nold_headers = 1;
	b.old[0] = (struct state_file){.name = b_str("/azureluksheader1"), .is_luks = true};
	forbids("old-luks-header");
}

Test(deny, a_cleartext_key_while_a_disk_is_missing)
{
	b_file(&b, "cleartext_key1", SK_CLEARTEXT_KEY, 128);
	cr_assert_not(denies("cleartext-key"));
	b_missing(&b, "lun 0");
	forbids("cleartext-key");
}

Test(deny, slices_and_items_in_the_middle)
{
	struct state_file *f = b_file(&b, "copy_slice_item.bak", SK_ITEM_SLICE, 1);

	forbids("slices");
	f->kind = SK_HEADER_SLICE;
	forbids("slices");
	b_ongoing(&b, "BackupHeader");
	b.vm.state.slice_compared = b.vm.state.slice_is_start = true;
	cr_assert_not(denies("slices"));
	cr_assert_not(denies("ongoing-item"));
	judged();
	cr_assert(j->clean_allowed, "%s", j->nrefused ? j->refused[0] : j->rule->id);
}

Test(deny, an_item_in_the_middle)
{
	b_ongoing(&b, "EncryptingData");
	forbids("ongoing-item");
}

Test(deny, an_item_without_a_phase)
{
	b_ongoing(&b, "");
	forbids("ongoing-item");
}

Test(deny, a_registry_of_volumes_not_proved_plain)
{
	b_line(&b, "/var/lib/azure_disk_encryption_config/azure_crypt_mount", TAB_ADE_DATA, "c49f", NULL);
	forbids("crypt-mount");
	b.vm.all_disks_attached = true;
	cr_assert_not(denies("crypt-mount"));
	b.lines[0].volume = b_volume(&b, "sde1", VOL_DATA, VS_UNKNOWN);
	forbids("crypt-mount");
}

Test(deny, a_journal_that_was_not_replayed)
{
	b.fs.stale = true;
	forbids("filesystem");
	forbids("unreadable");
}
