/* SPDX-License-Identifier: MIT */
/* What several rules ask of a struct vm. All answers are three-valued; a TRI_UNKNOWN leaves the first reason
 * in *why (malloc'd; an earlier one is kept). Positive facts count whatever else could not be read; "no"
 * needs that all it rests on was read. */
#ifndef RULE_FACTS_H
#define RULE_FACTS_H

#include "base/str.h"
#include "rule/rule.h"

/* TRI_UNKNOWN, with the reason. Raw bytes are allowed in it: finding_say and judge escape. */
enum tri cannot_tell(char **why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline const char *or_dash(const char *s)
{
	return s ? s : "-";
}
static inline const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* ---- volumes ---- */
const char *vol_name(const struct volume *);
bool vol_is_mine(const struct vm *, size_t i);
/* Not the BEK VOLUME, the temporary disk, or something too small to hold a volume. */
bool vol_relevant(const struct volume *);
bool header_usable(const struct header *); /* parses, and has a key slot */
bool header_online(const struct header *); /* a re-encryption is in flight */
enum tri vol_unencrypted(const struct volume *, char **why);
enum tri os_encrypted(const struct vm *, char **why);
enum tri data_encrypted(const struct vm *, char **why);
enum tri any_encrypted(const struct vm *, char **why);
/* "Nothing is encrypted anywhere": this machine's disks and those that belong to none. */
enum tri nothing_encrypted(const struct vm *, char **why);
enum tri root_plain(const struct vm *, char **why); /* proved from the raw bytes */
enum tri root_looks_plain(const struct vm *, char **why);
enum tri any_online(const struct vm *, char **why); /* a re-encryption of this machine's is in flight */
enum tri boot_luks_there(const struct vm *,
			 char **why); /* /boot/luks itself, not a copy under another name */
bool boot_believed(const struct vm *, char **why); /* /boot was read, whole and not past a journal */

/* ---- the state directory ---- */
bool state_believed(const struct vm *, char **why); /* what it does not show is not there */
enum tri state_file_there(const struct vm *, enum have, const char *name, char **why);
enum tri state_kind_there(const struct vm *, enum state_kind, const char *name, char **why);
enum tri state_kind_filled(const struct vm *, enum state_kind, const char *name,
			   char **why); /* more than 0 bytes */
enum tri marker_there(const struct vm *, const char *marker, char **why);
enum tri any_marker(const struct vm *, char **why);
enum phase { PHASE_NONE, PHASE_BACKUP, PHASE_COPY, PHASE_DECRYPT, PHASE_DONE, PHASE_UNKNOWN };
enum phase ongoing_phase(const struct vm *, char **why);
enum tri config_there(const struct vm *, char **why);
enum tri params_there(const struct vm *, char **why);
enum tri queue_there(const struct vm *, char **why);
enum tri decrypt_queue_there(const struct vm *, char **why);
enum tri ongoing_there(const struct vm *, char **why);
const char *config_volume_type(const struct vm *); /* NULL: not told; "" never */
bool queue_is_online(const struct vm *);
/* Is there anything that makes row 18, apart from lines and encryption? */
enum tri state_leftover(const struct vm *, char **why);

/* A LUKS header file of the state directory or of the older places. */
enum header_fate { HEADER_OPENS, HEADER_ALONE, HEADER_WITHOUT_VOLUME };
enum header_fate header_file_fate(const struct vm *, const struct state_file *);
/* fn for each file that is a LUKS header, whatever its name; path is malloc'd for the call. */
void each_header_file(const struct vm *,
		      void (*fn)(void *arg, const struct vm *, const struct state_file *, const char *path),
		      void *arg);

/* Do rows 17 or 18 hold, each for itself? The sub-codes 18a to 18i are asked only then. */
bool looks_stale(const struct vm *);
/* A finding on a file of the state directory; name NULL: on the directory. */
struct finding *finding_in_state(struct findings *out, const struct rule *, const struct vm *,
				 const char *name);

/* ---- disks, lines, keys ---- */
bool disks_confirmed(const struct vm *); /* the operator's word, and nothing attached contradicts it */
char *
disks_contradiction(const struct vm *); /* why it does contradict; NULL: it does not (or out of memory) */
enum tri disks_complete(const struct vm *,
			char **why); /* YES: nothing names a disk that is not here, or confirmed */
bool line_is_item(const struct ade_line *); /* stands for an encrypted volume: not the BEK line */
bool line_is_tab(const struct ade_line *); /* of crypttab or fstab */
enum tri line_orphan(const struct vm *, const struct ade_line *, char **why);
size_t count_lines(const struct vm *, bool (*pred)(const struct ade_line *));
bool have_key(const struct vm *); /* a key file with something in it, anywhere */
bool have_bek_key(const struct vm *); /* ... on an attached BEK VOLUME */
bool is_locked(const struct volume *); /* LUKS or opaque, and no key opened its header */

/* ---- what a reader must have seen ---- */
/* fstab, crypttab, gaps where ADE leaves things: needed before "nothing is here" is said. */
enum tri all_looked_at(const struct vm *, char **why);
/* What rows 17, 14b, 18, 19 and 20 share: nothing is encrypted, no disk is missing, all was looked at,
 * nothing is in flight. */
enum tri nothing_here(const struct vm *, char **why);

#endif
