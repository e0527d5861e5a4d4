/* SPDX-License-Identifier: MIT */
/* What the disks say about one failed machine. Filled once by vm.c and its neighbours, then const: rules look at this and
 * at nothing else. Terms are those of the contract and of Azure Disk Encryption's own source.
 *
 * Everything can be absent, present or not to be told: enum have. What could not be read is in gaps, with the reason. */
#ifndef VM_VM_H
#define VM_VM_H

#include <stdbool.h>
#include <stdint.h>
#include "fs/tree.h"
#include "graph.h"
#include "vm/bootconf.h"
#include "vm/ini.h"
#include "vm/initramfs.h"
#include "vm/keys.h"
#include "vm/tab.h"

enum have { HAVE_NO, HAVE_YES, HAVE_UNKNOWN };
enum tri { TRI_NO, TRI_YES, TRI_UNKNOWN };
static inline enum tri tri_and(enum tri a, enum tri b) { return a == TRI_NO || b == TRI_NO ? TRI_NO : a == TRI_YES && b == TRI_YES ? TRI_YES : TRI_UNKNOWN; }
static inline enum tri tri_or(enum tri a, enum tri b) { return a == TRI_YES || b == TRI_YES ? TRI_YES : a == TRI_NO && b == TRI_NO ? TRI_NO : TRI_UNKNOWN; }
static inline enum tri tri_not(enum tri a) { return a == TRI_UNKNOWN ? a : a == TRI_YES ? TRI_NO : TRI_YES; }

/* What could not be read, and why: a rule must tell "no crypttab" from "could not read /etc". */
struct gap { const struct node *node; char *path; char *why; };

/* A text file of the failed system. "could not be read" is HAVE_UNKNOWN: I/O error, not a regular file, over 1 MiB. */
struct text_file {
	enum have have;
	char *path;                     /* in the failed system, links not resolved */
	char *text; size_t len;         /* when HAVE_YES */
	int64_t mtime;
	bool stale;                     /* read past a journal that was not replayed */
	char *why;                      /* when HAVE_UNKNOWN */
};

/* ---- the state directory ---- */
enum state_kind {
	SK_CONFIG, SK_PARAMS, SK_QUEUE, SK_DECRYPT_QUEUE, SK_ONGOING, SK_HEADER_SLICE, SK_ITEM_SLICE, SK_LUKS_HEADER,
	SK_CLEARTEXT_KEY, SK_BEK_BACKUP, SK_CRYPT_MOUNT, SK_MARKERS, SK_LOCK, SK_IMDS, SK_PASSPHRASE, SK_CUSTOM_CMK,
	SK_RESUME_STATUS, SK_COPY_PROGRESS, SK_ARCHIVE /* NAME_YYYY-MM-DD ... of a live file */, SK_ASIDE /* *.aderescue-* */, SK_OTHER
};
struct state_file {
	char *name;                     /* raw bytes, NUL-terminated */
	enum state_kind kind;           /* by name */
	enum fs_type type;
	uint64_t size;
	int64_t mtime;
	uint32_t mode, nlink;
	bool unreadable; char *why;     /* content could not be read or was over its limit */
	/* by content, for every regular file of the directory, whatever its name */
	bool is_luks;                   /* a LUKS header, primary or secondary magic (luks_read or magic found) */
	bool luks_damaged;              /* has the magic, but no copy parses */
	const struct header *header;    /* the graph's, when it parses */
	bool zero_filled;
	const struct key *key;          /* the graph's key when it may be one (172 bytes of base64, 128 bytes cleartext_key, ...) */
	bool opens;                     /* that key opens a header */
};
struct state_dir {
	enum have have;                 /* of the directory */
	char *path;                     /* "/var/lib/azure_disk_encryption_config" */
	const struct mount *mount;      /* where it really lies; NULL when not found */
	char *real_path;                /* in that mount's file system, links resolved */
	bool is_link;                   /* the last component is a symbolic link */
	bool link_leaves;               /* ... that leads into another file system, or nowhere */
	bool not_dir;                   /* something else of that name */
	char *why;                      /* HAVE_UNKNOWN: why */
	struct state_file *v; size_t n; /* of the directory, sorted by name; sub-directories not descended into but markers */
	bool too_many;                  /* more than 100,000 entries: not all listed */
	int64_t newest;                 /* newest mtime of an entry, 0: none */
	/* the ini files: have NO: absent; UNKNOWN: not readable */
	struct { enum have have; struct ini ini; } config, params, queue, dqueue, ongoing, imds;
	enum have crypt_mount_have; struct tab crypt_mount;
	char **markers; size_t nmarkers;/* names in os_encryption_markers/ */
	enum have markers_have;
	char *odd_marker;               /* a marker that is no empty file, as ADE makes them; NULL: none */
	/* copy_header_slice_file was compared with the first bytes of the plaintext device that the ongoing item names; and it was equal */
	bool slice_compared, slice_is_start;
};
const struct state_file *state_find(const struct state_dir *, const char *name);
bool state_has(const struct state_dir *, enum state_kind);
bool state_has_marker(const struct state_dir *, const char *name);

/* ---- the extension ---- */
struct settings {                       /* config/N.settings */
	uint64_t seq; bool rejected; int64_t mtime; uint32_t mtime_nsec;
	bool unreadable; char *why;     /* JSON that does not parse, over 1 MiB, ... */
	char *operation, *volume_type, *kv_url, *kv_id, *kek_url, *kek_kv_id, *kek_alg, *sequence_version, *format_query;
	char *aad_client_id, *aad_thumbprint, *keystore_type, *migrate_flag;
	bool has_protected;             /* protectedSettings are there */
};
struct extension {                      /* one handler directory of /var/lib/waagent */
	char *dir, *version;            /* full name in the failed system; "1.4.0.12" */
	bool dual_pass;                 /* 0.1.x */
	char *handler_state;            /* "Enabled", ...; NULL: no file */
	struct settings *v; size_t n;   /* by seq */
	const struct settings *newest;  /* newest mtime, not rejected; NULL: none */
	enum have mrseq_have; uint64_t mrseq;
	char *last_status, *last_message, *status_os, *status_data;  /* of the newest N.status; NULL: none */
	int64_t last_status_time;
	bool live;
};

/* ---- keys, boot, volumes ---- */
struct boot_entry { char *title, *kernel, *initrd, *args; char *file; unsigned line; char *node_path; };
/* A header embedded in an initramfs, against the one of /boot. */
enum boot_copy {
	COPY_NONE,      /* none is embedded, or it was not looked for */
	COPY_EQUAL,     /* the same header */
	COPY_OPENS,     /* another state of it, with the same key slot that opens the OS volume */
	COPY_OLDER,     /* ... without that slot: the key was rotated */
	COPY_OTHER,     /* the header of another volume */
	COPY_DAMAGED,   /* no header that can be read */
	COPY_ALONE      /* a header, and none in /boot to compare it with */
};
struct boot_image {                     /* an initramfs that was looked into */
	char *name;                     /* "initrd.img-5.15.0-1075-azure" */
	char *path;                     /* "/boot/initrd.img-..." */
	struct initramfs in;            /* without the bytes of the header */
	enum boot_copy copy;
	uint64_t copy_seqid;            /* LUKS2 */
};
/* What ADE puts into the system for the boot, by file. */
enum boot_hook { HOOK_LUKSHEADER, HOOK_KEY_SCRIPT, HOOK_ADE_HOOK, HOOK_ADE_BOOT, HOOK_91ADE, HOOK_91ADE_ONLINE, HOOK_ADE_CONF,
		 HOOK_FORCE_PARTUUID /* cloud-init's, which must be gone */, HOOKS };
extern const char *const boot_hook_path[HOOKS];
struct boot_pieces {                    /* all false and unknown where not looked */
	bool looked;
	enum have hook[HOOKS];
	char boot_partuuid[40]; bool boot_token;      /* of crypt-ade-boot in the system */
	char *kernel;                   /* version of the kernel that boots by default; NULL: not told */
	char vfat, dm_crypt;            /* its configuration: 'y', 'm', 'n', 0 not told */
	enum have modprobe;             /* YES: vfat_off says which line keeps vfat off; NO: none does */
	char *vfat_off_path, *vfat_off; unsigned vfat_off_line;
	enum have lvm;                  /* lvm.conf */
	struct lvm_filter filter;
	struct boot_image *images; size_t nimages;    /* looked into, the default kernel's first */
	bool has_default;               /* images[0] is the default kernel's */
};
struct boot_facts {
	struct boot_pieces pieces;
	enum have have;                 /* of /boot as a whole: NO: no readable /boot; UNKNOWN: damaged */
	struct text_file grub_cfg, default_grub;
	struct boot_entry *v; size_t n; /* menu entries and BLS entries */
	struct { char *path; bool is_luks; uint64_t size; bool zero_filled; } osheader;  /* path NULL: no luks/osluksheader */
	const struct header *header;    /* the graph's, of osluksheader; NULL: none that parses */
	enum have luks_dir;             /* /boot/luks */
	bool luks_dir_only_header;      /* nothing in it, or nothing but osluksheader */
	bool on_root;                   /* /boot is a directory of the root file system */
	bool read_whole;                /* every block of luks/ and the directory were read without an error */
	char **kernels; size_t nkernels;/* vmlinuz-* */
	char **initrds; size_t ninitrds;
};

enum vol_role { VOL_ROOT, VOL_BOOT, VOL_ESP, VOL_VAR, VOL_USR, VOL_OS /* other OS mount */, VOL_DATA, VOL_SWAP, VOL_TEMP, VOL_BEK,
		VOL_SMALL /* BIOS boot, PReP, MSR, under 16 MiB, container */ };
enum vol_state {
	VS_PLAIN_FS,    /* a file system or PV in the raw bytes (proved in `plain`) */
	VS_BLANK,       /* all that was sampled is zero */
	VS_OPENED,      /* LUKS or detached header, opened */
	VS_LOCKED,      /* a LUKS signature, or in pair with a header, not opened */
	VS_OPAQUE,      /* no signature, ciphertext by its bytes */
	VS_OTHER,       /* something recognised that bears no ADE meaning (swap, MD member, foreign format) */
	VS_UNKNOWN      /* neither signature nor opaque, or unreadable */
};
struct volume {                         /* a leaf: disk, partition or LV that is no container of partitions */
	const struct node *node;        /* the raw device */
	const struct node *inner;       /* the opened volume, or the node itself */
	enum vol_role role;
	enum vol_state state;
	enum tri plain;                 /* the contract's term: proved to be plaintext from its raw bytes */
	char *plain_why;                /* evidence: "7 of 7 backup superblocks, 3 of 3 blocks low entropy", or what is missing */
	enum tri opaque;                /* the contract's term */
	const struct header *header;    /* attached, or the detached one that opened or belongs to it */
	bool foreign_luks;              /* the owner's own LUKS, not ADE's */
	bool ade;                       /* named by an ADE crypttab line, azure_crypt_mount, backup_mount_info, opened by a key of this machine */
	bool not_encrypted;             /* --not-encrypted accepted by the operator */
	char *mount_at;                 /* by the failed fstab; NULL: none */
	/* mid-dd sampling for detached volumes that open: low-entropy raw blocks among sampled non-zero raw ones */
	unsigned dd_low, dd_sampled; bool dd_asked;
	char *backup_mount_info;        /* path of .azure_ade_backup_mount_info when it has one */
};

enum tab_owner { TAB_NOT_ADE, TAB_ADE_OS, TAB_ADE_DATA, TAB_ADE_TEMP, TAB_ADE_BEK /* fstab's BEK line */ };
struct ade_line {                       /* a crypttab, fstab or azure_crypt_mount line that is ADE's */
	const char *file;               /* "/etc/crypttab", ...; borrowed */
	const struct tab_row *row;
	enum tab_owner owner;
	char *mapper;                   /* mapper name: osencrypt, resourceencrypt, uuid4 */
	char *device, *key, *header, *mount_at;  /* NULL where the line has none */
	bool cleartext;                 /* the key is a cleartext_key* */
	bool glued;                     /* a second entry is glued to this line */
	bool shared;                    /* ... and one of the entries is the owner's: the line must not be commented out */
	const struct volume *volume;    /* what backs it; NULL: nothing attached */
	enum tri backed;                /* TRI_NO: known that no attached device backs it */
};

struct log_facts {                      /* extension.log */
	struct text_file file;          /* the last 1 MiB */
	char *first_error, *last_error, *last_success; unsigned first_error_line, last_error_line;
	bool none_type, cannot_find_passphrase, true_not_in_list, bytes_like;
};

/* Row 7b: the physical volume that the root was on names no logical volumes any more, but its ring has an older text that does. */
struct removed_vg {
	enum tri is; char *why;         /* TRI_UNKNOWN: why */
	const struct node *pv;          /* looked at, as a device or inside the opened volume; NULL: there is none */
	bool encrypted;                 /* ... inside the opened volume */
	char *now;                      /* the VG that it names now, without volumes; NULL: none */
	char *name;                     /* TRI_YES: of the text to keep, from before the removals */
	uint64_t seqno, offset; size_t nlvs; int64_t when;
	const struct node *opened;      /* the VG of that text, read-only; NULL: could not be put together */
};

struct vm {
	char *name;                     /* /etc/hostname cleaned for display, or NULL */
	char *machine_id, *vm_id;
	int64_t last_boot, last_write;  /* seconds, 0: not told */
	const struct node *root_raw;    /* the raw root device (partition or disk); NULL: not found */
	const struct node *root;        /* the node with the root file system; NULL: not readable */
	/* a logical volume lies between the root and the LUKS volume or partition: the list of mounts never shows osencrypt */
	bool root_lvm;
	const char *root_lv;            /* the LV that the root is, or that its LUKS volume lies on; NULL: none */
	struct removed_vg removed_vg;
	const struct node *boot, *esp;
	int *disks; size_t ndisks;      /* indexes of this machine's disks */
	struct tree tree;
	struct { char *id, *version, *name, *like; } os;
	struct text_file fstab_file, crypttab_file, fstab_azure_backup;
	struct tab fstab, crypttab;
	struct ade_line *lines; size_t nlines;
	struct volume *volumes; size_t nvolumes;      /* this machine's and the unassigned ones: `mine` tells */
	bool *mine;                     /* parallel to volumes */
	struct volume *root_volume, *boot_volume;     /* into volumes, or NULL */
	struct state_dir state;
	enum have archive_dir;          /* /var/lib/azure_disk_encryption_archive */
	enum have old_places;           /* /etc/azure_crypt_*, /azureluksheader*: of builds before 0.1.0.98 */
	char **old_paths; size_t nold_paths;
	struct state_file *old_headers; size_t nold_headers;  /* azureluksheader* there, looked at by content; name is the path */
	struct extension *exts; size_t nexts; const struct extension *ext;  /* the live one */
	enum have waagent;              /* could /var/lib/waagent be looked at? */
	struct log_facts log;
	struct boot_facts bootf;
	enum have oldroot, memroot;     /* /oldroot, /memroot exist */
	bool oldroot_empty, memroot_empty;
	struct bek_volume **beks; size_t nbeks;       /* borrowed: all BEK VOLUMEs attached */
	bool boot_patched; char *boot_patch_evidence; /* root=/dev/mapper/osencrypt, rd.luks.ade.* or hooks are there */
	char **var_missing; size_t nvar_missing;      /* devices that fstab names for /var and that are not attached */
	char **missing; size_t nmissing;              /* disk-not-attached: sentences naming what is missing */
	unsigned data_disks_attached;
	unsigned data_disks_named;      /* how many the failed system's own files name */
	struct gap *gaps; size_t ngaps;
	const struct graph *graph;
	/* the operator's word */
	bool all_disks_attached; int data_disks_said; /* -1: not said */
	bool look_closer;               /* -v: also where it takes longer */
};

/* Options that change what is taken as known. */
struct vm_options { bool all_disks_attached; int data_disks; char **not_encrypted; size_t n_not_encrypted; const char *machine; bool look_closer; };

/* Find the machines among the nodes and fill each. Disks that belong to none: unassigned (indexes). *ret is an array of
 * n machines, the caller's to free with vms_free. 0 or -ENOMEM; all else ends in gaps. */
int vms_read(struct graph *, struct node **disks, size_t ndisks, struct bek_volume **beks, size_t nbeks, const struct vm_options *,
	     struct vm ***ret, size_t *ret_n, int **ret_unassigned, size_t *ret_nunassigned, struct err *e);
void vm_free(struct vm *);
void vms_free(struct vm **, size_t n);
/* Between two passes of the graph: look into newly opened file systems and add keys (BEK VOLUMEs, state directories) and
 * detached headers (luks/osluksheader on any boot-like file system, LUKS headers in state directories). 1 something
 * was added, 0 nothing. `seen` is the caller's bookkeeping, {0} at first. */
struct find_state { const struct node **seen; size_t nseen; struct bek_volume **beks; size_t nbeks; };
int vm_find_keys_and_headers(struct graph *, struct find_state *, struct err *e);

#endif
