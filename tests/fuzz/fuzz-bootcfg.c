/* SPDX-License-Identifier: MIT */
/* Boot menus: grub.cfg, BLS entries, grubenv. The first byte says which. */
#define FUZZ_TEXT
#include "fuzz.h"
#include "vm/bootcfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_entry *v = NULL;
	size_t n = 0;
	struct bootvars vars = { 0 };
	struct bootmenu menu = { .v = &v, .n = &n, .file = "/boot/x", .node_path = "/x", .vars = &vars };
	const char *text = (const char *)data + 1;

	if (!size)
		return 0;
	(void)bootvars_parse("kernelopts=root=UUID=1 quiet\n", 29, &vars, NULL);
	if (data[0] % 3 == 0)
		(void)bootmenu_grub(&menu, text, size - 1, NULL);
	else if (data[0] % 3 == 1)
		(void)bootmenu_bls(&menu, text, size - 1, NULL);
	else
		(void)bootvars_parse(text, size - 1, &vars, NULL);
	MUST(n <= BOOT_MAX_ENTRIES);
	for (size_t i = 0; i < n; i++) {
		if (v[i].args)
			free(bootargs_patched(v[i].args));
		boot_entry_done(&v[i]);
	}
	free(v);
	bootvars_done(&vars);
	return 0;
}
