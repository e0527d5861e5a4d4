/* SPDX-License-Identifier: MIT */
/* Tests vm/extension.c and vm/logs.c: which handler directory is the live one, which settings count, and hostile JSON. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "vmfix.h"

#define SP WAAGENT_DIR "/Microsoft.Azure.Security.AzureDiskEncryptionForLinux-1.4.0.12/"
#define DP WAAGENT_DIR "/Microsoft.Azure.Security.AzureDiskEncryptionForLinux-0.1.0.999348/"
#define PUBLIC "{\"VolumeType\":\"All\",\"EncryptionOperation\":\"EnableEncryption\",\"KeyVaultURL\":\"https://kv/\"," \
	       "\"KeyVaultResourceId\":\"/s/kv\",\"KeyEncryptionKeyURL\":null,\"KekVaultResourceId\":\"\"," \
	       "\"KeyEncryptionAlgorithm\":\"RSA-OAEP\",\"SequenceVersion\":\"5d2b\"}"
#define WRAP(public, more) "{\"runtimeSettings\":[{\"handlerSettings\":{\"publicSettings\":" public more "}}]}"

static void read_ext(struct fix *f)
{
	cr_assert_eq(extensions_read(&f->vm, &f->e), 0);
}

Test(extension, none_is_told_apart_from_unreadable)
{
	struct fix f;

	fix_init(&f);
	read_ext(&f);
	cr_assert_eq(f.vm.waagent, HAVE_NO);
	cr_assert_null(f.vm.ext);
	mem_dir(&f.root, WAAGENT_DIR);
	read_ext(&f);
	cr_assert_eq(f.vm.waagent, HAVE_YES);
	cr_assert_eq(f.vm.nexts, 0);
	mem_fail(&f.root, WAAGENT_DIR, -EIO, 1);
	read_ext(&f);
	cr_assert_eq(f.vm.waagent, HAVE_UNKNOWN);
	cr_assert(fix_gap(&f, WAAGENT_DIR));
	fix_done(&f);
}

Test(extension, reads_settings_status_state_and_mrseq)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, SP "config/2.settings", WRAP(PUBLIC, ""))->mtime = 200;
	mem_text(&f.root, SP "config/10.settings", WRAP(PUBLIC, ""))->mtime = 100;
	mem_text(&f.root, SP "config/HandlerState", "Enabled");
	mem_text(&f.root, SP "mrseq", "2");
	mem_text(&f.root, SP "status/2.status",
		 "[{\"version\":\"1.0\",\"timestampUTC\":\"2014-05-29T04:20:13Z\",\"status\":{\"name\":\"n\",\"operation\":\"E\","
		 "\"status\":\"error\",\"code\":\"53\",\"formattedMessage\":{\"lang\":\"en-US\",\"message\":\"it failed\"},"
		 "\"substatus\":[{\"formattedMessage\":{\"message\":\"{\\\"data\\\": \\\"NotMounted\\\", \\\"os\\\": \\\"Encrypted\\\"}\"}}]}}]");
	mem_text(&f.root, SP "status/1.status", "[]");
	mem_text(&f.root, SP "status/3.status.rejected", "[]");
	read_ext(&f);

	cr_assert_eq(f.vm.nexts, 1);
	cr_assert(f.vm.ext->live);
	cr_assert_not(f.vm.ext->dual_pass);
	cr_assert_str_eq(f.vm.ext->version, "1.4.0.12");
	cr_assert_str_eq(f.vm.ext->handler_state, "Enabled");
	cr_assert(f.vm.ext->mrseq_have == HAVE_YES && f.vm.ext->mrseq == 2);
	cr_assert_eq(f.vm.ext->n, 2);
	cr_assert_eq(f.vm.ext->v[0].seq, 2, "by number, not by name");
	cr_assert_eq(f.vm.ext->newest->seq, 2, "by time, not by number");
	cr_assert_str_eq(f.vm.ext->newest->operation, "EnableEncryption");
	cr_assert_str_eq(f.vm.ext->newest->volume_type, "All");
	cr_assert_str_eq(f.vm.ext->newest->kv_url, "https://kv/");
	cr_assert_null(f.vm.ext->newest->kek_url);
	cr_assert_str_eq(f.vm.ext->newest->kek_kv_id, "");
	cr_assert_str_eq(f.vm.ext->newest->sequence_version, "5d2b");
	cr_assert_not(f.vm.ext->newest->has_protected);
	cr_assert_str_eq(f.vm.ext->last_status, "error");
	cr_assert_str_eq(f.vm.ext->last_message, "it failed");
	cr_assert_str_eq(f.vm.ext->status_os, "Encrypted");
	cr_assert_str_eq(f.vm.ext->status_data, "NotMounted");
	cr_assert_eq(f.vm.ext->last_status_time, 1401337213);
	cr_assert_eq(f.vm.ngaps, 0);
	fix_done(&f);
}

Test(extension, takes_public_settings_that_are_a_string_of_json)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, DP "config/0.settings",
		 WRAP("\"{\\\"VolumeType\\\":\\\"Data\\\",\\\"AADClientID\\\":\\\"8a\\\",\\\"DiskFormatQuery\\\":[{\\\"a\\\":1}]}\"",
		      ",\"protectedSettings\":\"MIIB\",\"protectedSettingsCertThumbprint\":\"AB\""));
	read_ext(&f);
	cr_assert(f.vm.ext->dual_pass);
	cr_assert_str_eq(f.vm.ext->newest->volume_type, "Data");
	cr_assert_str_eq(f.vm.ext->newest->aad_client_id, "8a");
	cr_assert(strstr(f.vm.ext->newest->format_query, "\"a\""));
	cr_assert(f.vm.ext->newest->has_protected);
	fix_done(&f);
}

Test(extension, rejected_settings_do_not_count)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, SP "config/1.settings", WRAP(PUBLIC, ""))->mtime = 100;
	mem_text(&f.root, SP "config/2.settings", WRAP(PUBLIC, ""))->mtime = 200;
	mem_text(&f.root, SP "config/2.settings.rejected", WRAP(PUBLIC, ""))->mtime = 300;
	mem_text(&f.root, SP "config/7.settings.rejected", WRAP(PUBLIC, ""));
	mem_text(&f.root, SP "config/x.settings", "no number");
	mem_text(&f.root, SP "config/3_settings", "renamed by old versions");
	read_ext(&f);
	cr_assert_eq(f.vm.ext->n, 3);
	cr_assert(f.vm.ext->v[1].rejected && f.vm.ext->v[2].rejected);
	cr_assert_eq(f.vm.ext->v[2].seq, 7);
	cr_assert_eq(f.vm.ext->newest->seq, 1);
	fix_done(&f);
}

Test(extension, knows_all_its_names_and_nobody_elses)
{
	static const char *const dirs[] = {
		"Microsoft.Azure.Security.AzureDiskEncryptionForLinux-1.2.0.9",
		"Microsoft.Azure.Security.AzureDiskEncryptionForLinux-1.2.0.10",
		"Microsoft.Azure.Security.AzureDiskEncryptionForLinuxTest-0.1.0.1",
		"Microsoft.Azure.Security.Edp.AzureDiskEncryptionForLinux-0.2.0",
		"Microsoft.OSTCExtensions.AzureDiskEncryptionForLinux-0.1.0.5",
		"Microsoft.Azure.Security.AzureDiskEncryptionForLinux-1.x",
		"Microsoft.Azure.Security.AzureDiskEncryptionForLinux",
		"Microsoft.Azure.Security.AzureDiskEncryptionForLinux__1.4.0.12.zip",
		"Microsoft.CPlat.Core.RunCommandLinux-1.0.5",
	};
	struct fix f;
	char path[200];

	fix_init(&f);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), WAAGENT_DIR "/%s", dirs[i]);
		mem_dir(&f.root, path);
	}
	mem_text(&f.root, WAAGENT_DIR "/Microsoft.Azure.Security.AzureDiskEncryptionForLinux-9.9", "a file");
	read_ext(&f);
	cr_assert_eq(f.vm.nexts, 5);
	cr_assert_str_eq(f.vm.ext->version, "1.2.0.10", "the highest version where none is enabled");
	fix_done(&f);
}

Test(extension, the_enabled_one_is_live_whatever_its_version)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, SP "config/HandlerState", "NotInstalled");
	mem_text(&f.root, DP "config/HandlerState", "Enabled\n");
	read_ext(&f);
	cr_assert(f.vm.ext->dual_pass && f.vm.ext->live);
	cr_assert_str_eq(f.vm.ext->handler_state, "Enabled");
	fix_done(&f);
}

Test(extension, settings_that_cannot_be_read_are_there_all_the_same)
{
	struct fix f;
	char *deep = malloc(200001);

	fix_init(&f);
	memset(deep, '[', 100000);
	memset(deep + 100000, ']', 100000);
	mem_bytes(&f.root, SP "config/1.settings", deep, 200000)->mtime = 900;
	mem_text(&f.root, SP "config/2.settings", "");
	mem_sparse(&f.root, SP "config/3.settings", 2 << 20);
	mem_node(&f.root, SP "config/4.settings", FS_FIFO);
	mem_text(&f.root, SP "config/5.settings", "{\"runtimeSettings\":[]}");
	mem_text(&f.root, SP "config/6.settings", WRAP("{}", "") "trailing");
	mem_text(&f.root, SP "config/7.settings", WRAP("[1]", ""));
	mem_text(&f.root, SP "config/8.settings", "{\"runtimeSettings\":[{\"handlerSettings\":{\"publicSettings\":\"{\"}}]}");
	mem_text(&f.root, SP "config/9.settings", "null");
	mem_bytes(&f.root, SP "config/10.settings", "{}\0", 3);
	read_ext(&f);
	cr_assert_eq(f.vm.ext->n, 10);
	for (size_t i = 0; i < 10; i++) {
		char path[200];

		snprintf(path, sizeof(path), SP "config/%zu.settings", i + 1);
		cr_assert(f.vm.ext->v[i].unreadable && f.vm.ext->v[i].why, "%s", path);
		cr_assert(fix_gap(&f, path), "%s", path);
	}
	fix_done(&f);
	free(deep);
}

Test(extension, takes_bom_blanks_and_a_hundred_kilobytes)
{
	struct fix f;
	cleanup_str struct str s = {0};

	fix_init(&f);
	str_add(&s, "\xef\xbb\xbf{\"runtimeSettings\":[{\"handlerSettings\":{\"publicSettings\":{\"VolumeType\":\"OS\",\"x\":\"");
	for (int i = 0; i < 100000; i++)
		str_add(&s, "y");
	str_add(&s, "\"}}}]}\r\n");
	mem_bytes(&f.root, SP "config/1.settings", s.p, s.n);
	read_ext(&f);
	cr_assert_not(f.vm.ext->newest->unreadable, "%s", f.vm.ext->newest->why);
	cr_assert_str_eq(f.vm.ext->newest->volume_type, "OS");
	fix_done(&f);
}

Test(extension, mrseq_is_a_number_or_none_or_not_to_be_told)
{
	static const struct { const char *text; enum have have; uint64_t n; } rows[] = {
		{"3", HAVE_YES, 3}, {"3\n", HAVE_YES, 3}, {" 12 ", HAVE_YES, 12}, {"", HAVE_NO, 0}, {"-1", HAVE_NO, 0},
		{"x", HAVE_UNKNOWN, 0}, {"99999999999999999999999", HAVE_UNKNOWN, 0}, {"\n", HAVE_UNKNOWN, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fix f;

		fix_init(&f);
		mem_text(&f.root, SP "mrseq", rows[i].text);
		read_ext(&f);
		cr_assert_eq(f.vm.ext->mrseq_have, rows[i].have, "'%s'", rows[i].text);
		cr_assert_eq(f.vm.ext->mrseq, rows[i].n);
		fix_done(&f);
	}
}

Test(extension, survives_mutated_json)
{
	static const char settings[] = WRAP("\"{\\\"VolumeType\\\":\\\"Data\\\",\\\"DiskFormatQuery\\\":[{\\\"a\\\":1}]}\"", ",\"protectedSettings\":null");
	static const char status[] = "[{\"timestampUTC\":\"2014-05-29T04:20:13Z\",\"status\":{\"status\":\"error\",\"formattedMessage\":{\"message\":\"m\"},"
				     "\"substatus\":[{\"formattedMessage\":{\"message\":\"{\\\"os\\\": 1e999}\"}}]}}]";
	char buf[sizeof(settings) + sizeof(status) + 64];
	uint64_t r = 3;
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, SP "config/1.settings", "");
	mem_text(&f.root, SP "status/1.status", "");
	for (int i = 0; i < 20000; i++) {
		size_t n = fix_mutate(settings, sizeof(settings) - 1, buf, &r);

		mem_bytes(&f.root, SP "config/1.settings", buf, n);
		n = fix_mutate(status, sizeof(status) - 1, buf, &r);
		mem_bytes(&f.root, SP "status/1.status", buf, n);
		read_ext(&f);
		cr_assert_eq(f.vm.ext->n, 1);
		facts_done(&f.vm);
	}
	fix_done(&f);
}

/* ---- the log ---- */
#define LOG "/var/log/azure/Microsoft.Azure.Security.AzureDiskEncryptionForLinux/"

Test(logs, reads_errors_and_known_failures)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, LOG "extension.log",
		 "2020/01/01 00:00:00 [x-1.0]: 2020-01-01 00:00:00   Info   started\n"
		 "2020/01/01 00:00:01 [x-1.0]: 2020-01-01 00:00:01   Error   first: coercing to Unicode: need string or buffer, NoneType found\n"
		 "2020/01/01 00:00:02 [x-1.0]: [StatusReport (2)] msg: Encryption succeeded for all volumes\r\n"
		 "2020/01/01 00:00:03 ERROR:[x-1.0]: Cannot find current passphrase file. This could\n"
		 "ValueError: True is not in list\nTypeError: a bytes-like object is required, not 'str'");
	cr_assert_eq(logs_read(&f.vm, NULL), 0);
	cr_assert_eq(f.vm.log.file.have, HAVE_YES);
	cr_assert_str_eq(f.vm.log.file.path, LOG "extension.log");
	cr_assert(strstr(f.vm.log.first_error, "first"));
	cr_assert_eq(f.vm.log.first_error_line, 2);
	cr_assert(strstr(f.vm.log.last_error, "Cannot find"));
	cr_assert_eq(f.vm.log.last_error_line, 4);
	cr_assert(strstr(f.vm.log.last_success, "Encryption succeeded for all volumes"));
	cr_assert_null(strchr(f.vm.log.last_success, '\r'));
	cr_assert(f.vm.log.none_type && f.vm.log.cannot_find_passphrase && f.vm.log.true_not_in_list && f.vm.log.bytes_like);
	fix_done(&f);
}

Test(logs, takes_the_newest_of_all_generations)
{
	struct fix f;

	fix_init(&f);
	mem_text(&f.root, LOG "extension.log", "old")->mtime = 100;
	mem_text(&f.root, LOG "0.1.0.999348/extension.log", "newer")->mtime = 300;
	mem_text(&f.root, "/var/log/azure/Microsoft.Azure.Security.AzureDiskEncryptionForLinux.Stripdown/extension.log", "x")->mtime = 200;
	mem_text(&f.root, "/var/log/azure/Microsoft.CPlat.Core/extension.log", "other")->mtime = 900;
	cr_assert_eq(logs_read(&f.vm, NULL), 0);
	cr_assert_str_eq(f.vm.log.file.text, "newer");
	fix_done(&f);
}

Test(logs, reads_the_last_mebibyte_of_a_huge_one)
{
	struct fix f;
	size_t n = 5 << 20;
	char *text = malloc(n);

	fix_init(&f);
	memset(text, 'x', n);
	memcpy(text, "   Error   early\n", 17);
	memcpy(text + n - 17, "\n   Error   late\n", 17);
	mem_bytes(&f.root, LOG "extension.log", text, n);
	cr_assert_eq(logs_read(&f.vm, NULL), 0);
	cr_assert_eq(f.vm.log.file.len, TEXT_MAX);
	cr_assert_str_eq(f.vm.log.first_error, "   Error   late");
	cr_assert_eq(f.vm.log.first_error_line, 0, "the line number is not known");
	cr_assert(f.root.bytes_read <= TEXT_MAX);
	fix_done(&f);
	free(text);
}

Test(logs, one_that_cannot_be_read_is_unknown)
{
	struct fix f;

	fix_init(&f);
	cr_assert_eq(logs_read(&f.vm, NULL), 0);
	cr_assert_eq(f.vm.log.file.have, HAVE_NO);
	mem_node(&f.root, LOG "extension.log", FS_FIFO);
	cr_assert_eq(logs_read(&f.vm, NULL), 0);
	cr_assert_eq(f.vm.log.file.have, HAVE_UNKNOWN);
	cr_assert(fix_gap(&f, LOG "extension.log"));
	fix_done(&f);
}
