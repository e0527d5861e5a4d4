/* SPDX-License-Identifier: MIT */
/* What the files that find the machines share: struct vm in the making. Every answer is found, not attached, several, or
 * not to be told; only the first is ever acted upon. */
#ifndef VM_MACHINE_H
#define VM_MACHINE_H

#include "vm/vm.h"

/* .azure_ade_backup_mount_info of one file system: which mapper it was, as ADE wrote it down. */
struct backup_info { const struct node *node; char *path, *mapper, *device, *mount_at; };

struct machine;
struct work {
	struct graph *g;
	struct node **disks; size_t ndisks;
	struct bek_volume **beks; size_t nbeks;
	const struct vm_options *opt;
	struct machine **v; size_t n;  /* owned */
	struct backup_info *infos; size_t ninfos;
};
struct machine {
	struct work *w;
	struct vm *vm;
	bool *disk;                     /* parallel to w->disks: this machine's */
	bool *seed;                     /* ... by its root or its /boot: never another's */
	int os_disk;                    /* -1: not one disk */
	struct tab fstab, crypttab;     /* read before the tree was whole */
	const struct node *boot_found;  /* /boot by content, for a machine without a root */
	bool boot_unread;               /* an OS disk by its layout: neither its root nor its /boot can be read */
};

/* ---- nodes (nodes.c) ---- */
/* The device below: partition, disk or LV that a LUKS volume, or an LV's first PV, lies on; see vm.h, root_raw. */
const struct node *node_raw(const struct node *);
const struct node *node_below(const struct node *, size_t i);   /* what its bytes come from; NULL: no more */
/* Does n lie on `on`, through partitions, volume groups and opened volumes, but not by a header that is kept there? */
bool node_lies_on(const struct node *n, const struct node *on);
bool node_is_on_disk(const struct node *, int disk);
int node_disk(const struct node *);                     /* the one disk, -1: several or none */
bool node_is_bek(const struct work *, const struct node *);
/* The LUKS volume on this device that is open, or NULL; the header that is on it or belongs to it, or NULL. */
const struct header *node_header(const struct graph *, const struct node *);
const struct node *node_luks_above(const struct node *);        /* the KIND_LUKS that n is or lies on, or NULL */
bool node_is_taken(const struct machine *, const struct node *);/* on a disk that is the seed of another machine */
struct fs *node_files(const struct node *, struct err *e);      /* node_fs of a const node: opening is no change of facts */
bool fs_has(struct fs *, const char *path, enum fs_type);
bool fs_has_any(struct fs *, const char *path);                 /* of whatever type, a link not followed */
bool fs_is_root(struct fs *);
bool fs_is_boot(struct fs *);

/* ---- devices by the names the failed system gives them (device.c) ---- */
enum found { FOUND_NONE, FOUND_ONE, FOUND_MANY, FOUND_UNTOLD };
enum dev_kind {
	DEV_NONE,       /* no device: tmpfs, none, a share */
	DEV_UUID, DEV_LABEL, DEV_PARTUUID, DEV_PARTLABEL, DEV_MAPPER, DEV_LV,
	DEV_OS,         /* a partition of the OS disk, by an Azure link or a kernel name */
	DEV_LUN,        /* a data disk by LUN: cannot be followed on another machine */
	DEV_TEMP,       /* the temporary disk */
	DEV_BEK,
	DEV_KERNEL,     /* a kernel name of another disk */
	DEV_OTHER       /* by-id, by-path, md, ...: cannot be followed */
};
struct dev { enum dev_kind kind; char value[256]; unsigned partno, lun; };
void dev_parse(const struct machine *, const char *spec, struct dev *ret);
/* The node; why (200 bytes) says why not. DEV_MAPPER gives the opened volume or the LV. */
enum found dev_find(const struct machine *, const char *spec, const struct node **ret, char why[200]);
/* Is it a key of no secret: /dev/urandom, /dev/random? Such swap is new at each boot. */
bool crypttab_is_swap(const struct tab_row *);
/* Could this spec, which cannot be followed, mean that node? */
bool dev_can_mean(const struct dev *, const struct node *);
/* "/dev/mapper/NAME" -> NAME, else NULL */
const char *dev_mapper(const char *spec);

/* ---- the rest, one file each ---- */
int infos_read(struct work *, struct err *e);                           /* infos.c */
void infos_done(struct work *);
int roots_find(struct work *, struct err *e);                           /* roots.c */
int boots_find(struct work *, struct err *e);                           /* disks with a /boot and no root */
bool disk_starts(const struct work *, int disk);                         /* the firmware starts from it, by its partitions or boot sector */
void boots_find_root(struct machine *);                                 /* root_raw where the root cannot be read; after boot_read */
struct machine *machine_new(struct work *, struct err *e);
void machines_done(struct work *);                                      /* vm.c: of a work's machines and infos */
void machine_seed(struct machine *, const struct node *);
int mounts_read(struct machine *, struct err *e);                       /* mounts.c */
/* rootvg.c: where a disk has physical volumes and no root, the volumes of a removed group as nodes, read-only; before roots_find. */
int removed_open(struct work *, struct err *e);
int removed_read(struct machine *, struct err *e);                      /* vm->removed_vg; once root_raw is known */
int group_disks(struct work *, int **ret_unassigned, size_t *ret_n, struct err *e);     /* group.c */
bool disk_is_free(const struct work *, int disk);                       /* belongs to no machine */
int volumes_read(struct machine *, struct err *e);                      /* volumes.c */
int volumes_judge(struct machine *, struct err *e);                     /* volstate.c: states, proofs; before lines are backed */
int volumes_flags(struct machine *, struct err *e);                     /* ade, foreign, --not-encrypted; after */
int backing_read(struct machine *, struct err *e);                      /* backing.c: lines[].volume and backed */
int missing_read(struct machine *, struct err *e);                      /* missing.c */
void slice_compare(struct machine *);                                   /* slice.c */

#endif
