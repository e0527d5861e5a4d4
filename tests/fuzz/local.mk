# Fuzz targets as replay programs: make check gives them the corpora, with any compiler.
FUZZ_REPLAY = \
	tests/bin/fuzz-parts \
	tests/bin/fuzz-fat \
	tests/bin/fuzz-luks \
	tests/bin/fuzz-luks2-json \
	tests/bin/fuzz-lvm \
	tests/bin/fuzz-lvm-text \
	tests/bin/fuzz-ext \
	tests/bin/fuzz-xfs \
	tests/bin/fuzz-scan \
	tests/bin/fuzz-ini \
	tests/bin/fuzz-tab \
	tests/bin/fuzz-bootcfg \
	tests/bin/fuzz-settings \
	tests/bin/fuzz-undo
tests_bin_fuzz_parts_SOURCES = tests/fuzz/fuzz-parts.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_parts_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_fat_SOURCES = tests/fuzz/fuzz-fat.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_fat_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_luks_SOURCES = tests/fuzz/fuzz-luks.c tests/fuzz/fuzz.h tests/fuzz/replay.h tests/fuzz/luks.h
tests_bin_fuzz_luks_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_luks2_json_SOURCES = tests/fuzz/fuzz-luks2-json.c tests/fuzz/fuzz.h tests/fuzz/replay.h tests/fuzz/luks.h
tests_bin_fuzz_luks2_json_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_lvm_SOURCES = tests/fuzz/fuzz-lvm.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_lvm_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_lvm_text_SOURCES = tests/fuzz/fuzz-lvm-text.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_lvm_text_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_ext_SOURCES = tests/fuzz/fuzz-ext.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_ext_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_xfs_SOURCES = tests/fuzz/fuzz-xfs.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_xfs_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_scan_SOURCES = tests/fuzz/fuzz-scan.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_scan_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_ini_SOURCES = tests/fuzz/fuzz-ini.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_ini_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_tab_SOURCES = tests/fuzz/fuzz-tab.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_tab_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_bootcfg_SOURCES = tests/fuzz/fuzz-bootcfg.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_bootcfg_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_settings_SOURCES = tests/fuzz/fuzz-settings.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_settings_LDADD = libaderescue.a $(LIBS_ALL)
tests_bin_fuzz_undo_SOURCES = tests/fuzz/fuzz-undo.c tests/fuzz/fuzz.h tests/fuzz/replay.h
tests_bin_fuzz_undo_LDADD = libaderescue.a $(LIBS_ALL)
check_PROGRAMS += $(FUZZ_REPLAY)
SCRIPT_TESTS += tests/check-fuzz
EXTRA_DIST += tests/check-fuzz tests/fuzz/bootcfg.dict tests/fuzz/build.mk tests/fuzz/corpus tests/fuzz/luks2-json.dict tests/fuzz/lvm-text.dict \
	tests/fuzz/pack tests/fuzz/run tests/fuzz/seeds tests/fuzz/settings.dict tests/fuzz/targets tests/fuzz/unpack tests/foreign

.PHONY: check-fuzz
check-fuzz:
	'$(srcdir)/tests/fuzz/run' 60
