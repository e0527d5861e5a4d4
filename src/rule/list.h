/* SPDX-License-Identifier: MIT */
/* The rules. Order is meaning. ROWS are the contract's table in its order: the first row that holds gives the verdict; what
 * loses data comes before what explains it, what is encrypted before what is stale, undecided last. FINDINGS give no verdict:
 * the sub-codes of stale-state first, then what must not be deleted, keys, disks, boot pieces, damage, hints. */
#ifndef RULE_LIST_H
#define RULE_LIST_H

#include "rule/rule.h"

#define ROWS(X)                                                                          \
	/* 2 1 4 3 5 6 */                                                                \
	X(os_header_lost) X(root_locked) X(decryption_stuck) X(inplace_copy_interrupted) \
	X(decrypting) X(online_in_flight)                                                \
	/* 7 7b 8 11 */                                                                  \
	X(dd_interrupted) X(vg_removed) X(only_header_copy) X(lvm_marker_missing)        \
	/* 10 12 13 9b 15 16 16b */                                                      \
	X(boot_pieces_missing) X(bek_empty) X(rotation_in_flight) X(os_attempt_pending)  \
	X(config_missing) X(volume_type_gap) X(os_never_finished)                        \
	/* 9 14 17 14b 18 19 20 21 */                                                    \
	X(finishing) X(consistent) X(fresh_header_plain_root) X(configured)              \
	X(stale_state) X(residue) X(no_state) X(undecided)

#define FINDINGS(X)                                                                             \
	/* 18a to 18i */                                                                        \
	X(stale_params_changed) X(stale_bek_backup) X(stale_config_no_key) X(stale_request_queue) \
	X(stale_volume_type) X(stale_os_markers) X(stale_retry_blocker) X(stale_temp_disk_entry) \
	X(stale_orphan_entries)                                                                 \
	/* never to be deleted */                                                               \
	X(header_without_volume) X(cvm_key_in_dir) X(cleartext_key_in_use)                      \
	/* keys */                                                                              \
	X(no_key) X(wrong_key) X(header_refused) X(bek_empty_file) X(empty_passphrase)          \
	/* disks and volumes */                                                                 \
	X(disk_not_attached) X(foreign_luks) X(stated_not_encrypted)                            \
	/* what ADE will do */                                                                  \
	X(request_pending) X(params_empty)                                                      \
	/* boot pieces */                                                                       \
	X(boot_piece_unread) X(boot_patched_plain_root) X(crypttab_glued)                       \
	/* what cannot be believed or read */                                                   \
	X(journal_not_replayed) X(gpt_damaged) X(luks_header_damaged) X(state_dir_is_link)      \
	X(state_file_linked) X(state_in_old_place) X(facts_moving) X(unread)                    \
	/* hints */                                                                             \
	X(fstab_device_names)

#define X(n) extern const struct rule rule_##n;
ROWS(X)
FINDINGS(X)
#undef X

#endif
