/* SPDX-License-Identifier: MIT */
/* The readers of the failed machine's files: each fills its part of struct vm from vm->tree. vm.c calls them
 * in the order texts, state, extensions, boot, logs, lines (state asks fstab whether /var lies elsewhere,
 * lines reads what texts and state left). All end in gaps for what could not be read and return 0, or
 * -ENOMEM; nothing that could not be read is ever called absent. */
#ifndef VM_FACTS_H
#define VM_FACTS_H

#include "vm/vm.h"

#define STATE_DIR "/var/lib/azure_disk_encryption_config"
#define STATE_ARCHIVE "/var/lib/azure_disk_encryption_archive"
#define WAAGENT_DIR "/var/lib/waagent"

enum {
	TEXT_MAX = 1 << 20,	  /* a text file above this is not read */
	HEADER_MAX = 32 << 20,	  /* of a header file, what luks_read may see */
	CONTENT_MAX = 64 << 20,	  /* of any other file, what is looked at */
	CONTENT_BUDGET = 1 << 30, /* of all files of one directory */
	KEY_MAX = 64 << 10,	  /* of a key file */
	STATE_MAX_ENTRIES = 100000,
};

/* fstab, crypttab, fstab.azure.backup, os-release, host name, machine id, VM id (what cloud-init or the agent
 * noted down), last boot. */
int texts_read(struct vm *, struct err *e);
/* The state directory, wherever links and mounts lead; the archive directory; the places of builds before
 * 0.1.0.98; /oldroot and /memroot. Registers what state_scan_keys would, so it may be called without it. */
int state_read(struct vm *, struct graph *, struct err *e);
/* All handler directories of the extension in /var/lib/waagent, under all its names. vm->ext: the Enabled one
 * of the highest version, else the highest version; NULL where there is none. */
int extensions_read(struct vm *, struct err *e);
/* /boot, on its own volume or on the root. bootf.osheader.path and the paths of boot entries (file) are paths
 * of the failed system ("/boot/luks/osluksheader"); node_path is the one in the file system that holds it. */
int boot_read(struct vm *, struct graph *, struct err *e);
/* The newest extension.log of any name and generation. Line numbers are 0 where only the tail of the log was
 * read. */
int logs_read(struct vm *, struct err *e);
/* ADE's lines of crypttab, azure_crypt_mount and fstab, in this order. Entries glued into one line give an
 * ade_line each, with the same row and glued set: such a row may be commented out only where that is right
 * for all of them, and never where shared is set. `volume` is NULL and `backed` unknown. */
int lines_read(struct vm *, struct err *e);
/* Frees what all of these filled. */
void facts_done(struct vm *);

/* Between two passes of the graph. Each looks at one file system and is idempotent. 1: something new was
 * added to the graph, 0: nothing (also where there is no such directory), -ENOMEM. dir is in this file
 * system: STATE_DIR, "/lib/..." on a /var of its own, also "/tmp" (172-byte keys that a failed rotation
 * forgot; where the last name does not begin with "azure_disk_encryption_", only such keys are looked for).
 * in_state_dir is set for headers where it begins like the state directory's. */
int state_scan_keys(struct graph *, const struct node *, struct fs *, const char *dir, struct err *e);
/* /azureluksheader* in the root of a file system: headers of builds before 0.1.0.98. */
int state_scan_old(struct graph *, const struct node *, struct fs *, struct err *e);
/* luks/osluksheader first, then other header files beside it, in luks*, as a boot partition has it and as
 * /boot on the root has it. */
int boot_scan_headers(struct graph *, const struct node *, struct fs *, struct err *e);

/* ---- shared by the readers (look.c) ---- */

/* Append to gaps; the same gap is kept once. 0 or -ENOMEM. */
int vm_gap(struct vm *, const struct node *, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The gap of one path that could not be read for err. A whole volume that is not here (-ENODEV) is one gap at
 * its mount point, not one for every path on it. */
void path_gap(struct vm *, const struct node *, const char *path, int err, const char *why);
const char *path_type(enum fs_type); /* "FIFO", "device node", ... */
/* A text file of the failed system; a gap is added where it is HAVE_UNKNOWN. */
void text_read(struct vm *, const char *path, struct text_file *ret);
void text_done(struct text_file *);
/* Where a path of the failed system really lies, and its stat. 0; -ENOENT: proved absent; all else: not to be
 * told (a dangling or looping link, a volume that is not here, no root, a parent that is no directory).
 * *ret_path is the caller's. */
int vm_where(const struct vm *, const char *path, const struct mount **ret, char **ret_path,
	     struct fs_stat *st, struct err *e);
/* HAVE_YES, NO or UNKNOWN (with a gap) for a path's existence, links followed; st may be NULL. */
enum have vm_exists(struct vm *, const char *path, struct fs_stat *st);
/* Does what is missing below /var/lib prove anything? Not without a /var/lib, unless fstab was read and gives
 * /var no volume of its own. */
bool vm_var_is_here(struct vm *);

/* Names of a directory, sorted by bytes, at most max. */
struct names {
	char **v;
	size_t n;
	bool too_many;
};
int names_list(struct fs *, const char *path, size_t max, struct names *ret, struct err *e);
void names_done(struct names *);
#define cleanup_names cleanup(names_done)
/* The names of a directory of the failed system; as vm_where where it cannot be found, -ENOTDIR where it is
 * none. */
int vm_names(const struct vm *, const char *path, size_t max, struct names *ret, struct err *e);
/* dir/name; NULL: out of memory */
char *path_join(const char *dir, const char *name);

/* ---- what a file holds, by its content (content.c) ---- */

struct content {
	uint64_t looked_at; /* bytes read */
	bool whole;	    /* all of the file was looked at */
	bool zero;	    /* every byte was zero, and there was one */
	bool header_place;  /* a LUKS magic where luks_read looks: at 0, or LUKS2's second copy at its eight
			       offsets */
	bool inside;	    /* a LUKS magic at another multiple of 512 */
};
/* Reads at most max bytes of a regular file (path: resolved). A read error: -errno, ret says how far it came.
 */
int content_look(struct fs *, const char *path, uint64_t size, uint64_t max, struct content *ret,
		 struct err *e);
/* The graph's header of this file: the one registered before, or a new one. 1 new, 0 known, -EBADMSG: none
 * that parses, else -errno. in_state_dir is set, never cleared. */
int content_header(struct graph *, const struct node *, const char *path, bool in_state_dir,
		   const struct header **ret, struct err *e);

/* One file of a directory by name and content; counts are those of the directory so far. */
struct state_look {
	struct graph *graph;
	const struct node *node;
	struct fs *fs;
	const char *dir; /* resolved */
	bool in_state_dir;
	bool keys_only;	 /* not a state directory: no headers, and of keys only those in base64 */
	uint64_t budget; /* bytes that may still be read for content */
	unsigned headers, named_keys, other_keys;
	bool added; /* something new was registered */
};
int state_look_file(struct state_look *, struct state_file *f, struct err *e);
enum state_kind state_kind_of(const char *name);
void state_file_done(struct state_file *);

void texts_done(struct vm *);
void state_done(struct vm *);
void extensions_done(struct vm *);
void boot_done(struct vm *);
void logs_done(struct vm *);
void lines_done(struct vm *);

#endif
