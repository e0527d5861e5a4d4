/* SPDX-License-Identifier: MIT */
/* The extension's folder: the input is its settings, its status, mrseq, HandlerState and its log all at once. */
#define FUZZ_TEXT
#include "fuzz.h"
#include "../unit/vmfix.h"

#define DIR WAAGENT_DIR "/Microsoft.Azure.Security.AzureDiskEncryptionForLinux-1.4.0.12/"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = {
		DIR "config/1.settings", DIR "status/1.status", DIR "mrseq", DIR "config/HandlerState", DIR "HandlerManifest.json",
		"/var/log/azure/Microsoft.Azure.Security.AzureDiskEncryptionForLinux/extension.log",
	};
	struct fix f;

	fix_init(&f);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		(void)mem_bytes(&f.root, files[i], data, size);
	MUST(extensions_read(&f.vm, &f.e) == 0 && logs_read(&f.vm, &f.e) == 0);
	MUST(f.vm.nexts == 1);
	fix_done(&f);
	return 0;
}
