# Unit tests: one program a file; then the whole program on real disks. Test programs need the library and Criterion.
LDADD = libaderescue.a $(CRITERION_LIBS) $(LIBS_ALL)
if HAVE_CRITERION
UNIT_TESTS = \
	tests/bin/test-blk \
	tests/bin/test-boot-pieces \
	tests/bin/test-boot \
	tests/bin/test-bytes \
	tests/bin/test-clean-plan \
	tests/bin/test-commit \
	tests/bin/test-crypt \
	tests/bin/test-ext-write \
	tests/bin/test-ext \
	tests/bin/test-extension \
	tests/bin/test-fat \
	tests/bin/test-fs \
	tests/bin/test-gpt \
	tests/bin/test-ini \
	tests/bin/test-initramfs \
	tests/bin/test-judge-random \
	tests/bin/test-judge \
	tests/bin/test-keys \
	tests/bin/test-kserve \
	tests/bin/test-lines \
	tests/bin/test-luks-reencrypt \
	tests/bin/test-luks \
	tests/bin/test-lvm \
	tests/bin/test-mbr \
	tests/bin/test-other \
	tests/bin/test-overlay \
	tests/bin/test-places \
	tests/bin/test-plain \
	tests/bin/test-plan \
	tests/bin/test-rules-rows \
	tests/bin/test-secret \
	tests/bin/test-stage \
	tests/bin/test-state \
	tests/bin/test-str \
	tests/bin/test-stripe \
	tests/bin/test-tab \
	tests/bin/test-tree \
	tests/bin/test-undo \
	tests/bin/test-unlock \
	tests/bin/test-vhd \
	tests/bin/test-vm-lvm \
	tests/bin/test-vm \
	tests/bin/test-volumes \
	tests/bin/test-xfs
tests_bin_test_blk_SOURCES = tests/unit/test-blk.c
tests_bin_test_boot_pieces_SOURCES = tests/unit/test-boot-pieces.c
tests_bin_test_boot_SOURCES = tests/unit/test-boot.c
tests_bin_test_bytes_SOURCES = tests/unit/test-bytes.c
tests_bin_test_clean_plan_SOURCES = tests/unit/test-clean-plan.c
tests_bin_test_commit_SOURCES = tests/unit/test-commit.c
tests_bin_test_crypt_SOURCES = tests/unit/test-crypt.c
tests_bin_test_ext_write_SOURCES = tests/unit/test-ext-write.c
tests_bin_test_ext_SOURCES = tests/unit/test-ext.c
tests_bin_test_extension_SOURCES = tests/unit/test-extension.c
tests_bin_test_fat_SOURCES = tests/unit/test-fat.c
tests_bin_test_fs_SOURCES = tests/unit/test-fs.c
tests_bin_test_gpt_SOURCES = tests/unit/test-gpt.c
tests_bin_test_ini_SOURCES = tests/unit/test-ini.c
tests_bin_test_initramfs_SOURCES = tests/unit/test-initramfs.c
tests_bin_test_judge_random_SOURCES = tests/unit/test-judge-random.c
tests_bin_test_judge_SOURCES = tests/unit/test-judge.c
tests_bin_test_keys_SOURCES = tests/unit/test-keys.c
tests_bin_test_kserve_SOURCES = tests/unit/test-kserve.c
tests_bin_test_lines_SOURCES = tests/unit/test-lines.c
tests_bin_test_luks_reencrypt_SOURCES = tests/unit/test-luks-reencrypt.c
tests_bin_test_luks_SOURCES = tests/unit/test-luks.c
tests_bin_test_lvm_SOURCES = tests/unit/test-lvm.c
tests_bin_test_mbr_SOURCES = tests/unit/test-mbr.c
tests_bin_test_other_SOURCES = tests/unit/test-other.c
tests_bin_test_overlay_SOURCES = tests/unit/test-overlay.c
tests_bin_test_places_SOURCES = tests/unit/test-places.c
tests_bin_test_plain_SOURCES = tests/unit/test-plain.c
tests_bin_test_plan_SOURCES = tests/unit/test-plan.c
tests_bin_test_rules_rows_SOURCES = tests/unit/test-rules-rows.c
tests_bin_test_secret_SOURCES = tests/unit/test-secret.c
tests_bin_test_stage_SOURCES = tests/unit/test-stage.c
tests_bin_test_state_SOURCES = tests/unit/test-state.c
tests_bin_test_str_SOURCES = tests/unit/test-str.c
tests_bin_test_stripe_SOURCES = tests/unit/test-stripe.c
tests_bin_test_tab_SOURCES = tests/unit/test-tab.c
tests_bin_test_tree_SOURCES = tests/unit/test-tree.c
tests_bin_test_undo_SOURCES = tests/unit/test-undo.c
tests_bin_test_unlock_SOURCES = tests/unit/test-unlock.c
tests_bin_test_vhd_SOURCES = tests/unit/test-vhd.c
tests_bin_test_vm_lvm_SOURCES = tests/unit/test-vm-lvm.c
tests_bin_test_vm_SOURCES = tests/unit/test-vm.c
tests_bin_test_volumes_SOURCES = tests/unit/test-volumes.c
tests_bin_test_xfs_SOURCES = tests/unit/test-xfs.c
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif
EXTRA_DIST += tests/unit/disk.h tests/unit/ext-image.h tests/unit/fake-fs.h tests/unit/make-luks.h tests/unit/memfs.h tests/unit/vm-builder.h tests/unit/vmfix.h tests/unit/vmgraph.h

# Crash states of the commit protocol
check_PROGRAMS += tests/bin/crash
tests_bin_crash_SOURCES = tests/fault/crash.c tests/fault/crash_sim.h
tests_bin_crash_LDADD = libaderescue.a $(LIBS_ALL)

# The whole program, on disks
SCRIPT_TESTS = tests/check-lint tests/check-cases tests/check-generator tests/check-oracles tests/check-cli tests/check-crash \
	tests/check-half tests/kernel-fs
AM_TESTS_ENVIRONMENT = ADERESCUE='$(abs_top_builddir)/aderescue'; export ADERESCUE; \
	ADERESCUE_CRASH='$(abs_top_builddir)/tests/bin/crash'; export ADERESCUE_CRASH; \
	if ! test -w '$(abs_top_srcdir)' && test -z "$$ADERESCUE_FIXTURE_CACHE"; then \
		ADERESCUE_FIXTURE_CACHE='$(abs_top_builddir)/fixtures'; export ADERESCUE_FIXTURE_CACHE; fi;
TEST_FILES = tests/check-lint tests/check-cases tests/check-generator tests/check-oracles tests/check-cli tests/check-crash tests/check-half \
	tests/kernel-fs tests/generator tests/all tests/tally tests/demo tests/make-disks tests/run-case tests/run-cases tests/oracles tests/cli \
	tests/valgrind tests/cases tests/lint tests/vm tests/bench tests/unit/data fixtures
EXTRA_DIST += $(TEST_FILES)
# folders are copied whole: leave out what is no part of the source
dist-hook:
	rm -rf '$(distdir)/cache' '$(distdir)'/tests/*/__pycache__

include tests/fuzz/local.mk
TESTS += $(SCRIPT_TESTS)

.PHONY: fixtures bench rules check-crash check-valgrind
fixtures:
	'$(srcdir)/fixtures/build' all
bench: aderescue
	'$(srcdir)/tests/bench/run' '$(abs_top_builddir)/aderescue'
rules: aderescue
	'$(srcdir)/tests/lint/rules-md' '$(abs_top_builddir)/aderescue' > '$(srcdir)/doc/rules.md'
check-crash: tests/bin/crash
	tests/bin/crash -n 10000
check-valgrind: aderescue
	'$(srcdir)/tests/valgrind' '$(abs_top_builddir)/aderescue'
