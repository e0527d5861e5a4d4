/* SPDX-License-Identifier: MIT */
/* ADE's ini files: any text gives pairs, each of which is found by its key. */
#define FUZZ_TEXT
#include <strings.h>
#include "fuzz.h"
#include "vm/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ini ini = { 0 };
	unsigned line = 0;

	MUST(ini_parse((const char *)data, size, &ini, NULL) == 0);
	for (size_t i = 0; i < ini.n; i++) {
		MUST(ini.v[i].key && ini.v[i].value && ini.v[i].line >= line && ini_get(&ini, ini.v[i].key));
		line = ini.v[i].line;
	}
	ini_done(&ini);
	return 0;
}
