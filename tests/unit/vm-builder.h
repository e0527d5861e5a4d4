/* SPDX-License-Identifier: MIT */
/* Machines as facts, for the tests of the rules: a plain one, and small functions that add what ADE leaves.
 * Everything borrowed lives in struct build; what was parsed is freed by build_done. */
#ifndef TESTS_VM_BUILDER_H
#define TESTS_VM_BUILDER_H

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "repair/plan.h"
#include "rule/list.h"
#include "rule/rule.h"
#include "vm/ini.h"
#include "vm/tab.h"

enum { B_NODES = 24, B_VOLUMES = 16, B_FILES = 32, B_LINES = 16, B_HEADERS = 12, B_KEYS = 8 };
struct build {
	struct vm vm;
	struct fs fs, boot_fs;
	struct mount mount;
	struct node nodes[B_NODES];
	size_t nnodes;
	struct volume volumes[B_VOLUMES];
	bool mine[B_VOLUMES];
	struct state_file files[B_FILES], old[4];
	struct ade_line lines[B_LINES];
	struct tab_row rows[B_LINES];
	struct header headers[B_HEADERS];
	size_t nheaders;
	struct extension ext;
	struct settings settings[8];
	struct bek_volume bek, *beks[1];
	struct bek_file bek_files[8];
	struct key keys[B_KEYS], *keyp[B_KEYS];
	struct node *nodep[B_NODES];
	struct graph graph;
	struct secret fake;
	char *markers[12], *missing[4], *var_missing[2], *old_paths[4];
	struct gap gaps[4];
	struct boot_entry entries[4];
};

static inline char *b_str(const char *s)
{
	return (char *)(uintptr_t)s;
}

static inline struct node *b_node(struct build *b, const char *name, const char *fmt, struct fs *fs)
{
	struct node *n = &b->nodes[b->nnodes];

	b->nodep[b->nnodes++] = n;
	n->name = b_str(name);
	strcpy(n->fmt, fmt);
	n->fs = fs;
	n->size = 30ull << 30;
	n->state = NODE_OPEN;
	b->graph.nodes = b->nodep;
	b->graph.n = b->nnodes;
	return n;
}

static inline struct volume *b_volume(struct build *b, const char *name, enum vol_role role,
				      enum vol_state state)
{
	struct volume *v = &b->volumes[b->vm.nvolumes];

	b->mine[b->vm.nvolumes++] = true;
	v->node = v->inner = b_node(b, name,
				    state == VS_PLAIN_FS		       ? "ext4"
				    : state == VS_LOCKED || state == VS_OPENED ? "crypto_LUKS"
									       : "",
				    NULL);
	v->role = role;
	v->state = state;
	v->plain = state == VS_PLAIN_FS || state == VS_BLANK ? TRI_YES
		   : state == VS_UNKNOWN		     ? TRI_UNKNOWN
							     : TRI_NO;
	v->opaque = state == VS_OPAQUE ? TRI_YES : state == VS_UNKNOWN ? TRI_UNKNOWN : TRI_NO;
	return v;
}

/* Ubuntu 22.04 on sdc1, /boot a directory of it, nothing of ADE. */
static inline void build_plain(struct build *b)
{
	struct node *root;

	memset(b, 0, sizeof(*b));
	b->vm.data_disks_said = -1;
	b->vm.volumes = b->volumes;
	b->vm.mine = b->mine;
	b->vm.graph = &b->graph;
	b->vm.root_volume = b_volume(b, "sdc1", VOL_ROOT, VS_PLAIN_FS);
	root = (struct node *)(uintptr_t)b->vm.root_volume->node;
	root->fs = &b->fs;
	strcpy(root->partuuid, "aaaaaaaa-1111-2222-3333-444444444444");
	b->vm.root = b->vm.root_raw = root;
	b->vm.name = b_str("web07");
	b->vm.os.id = b_str("ubuntu");
	b->vm.os.version = b_str("22.04");
	b->mount = (struct mount){.at = b_str("/"), .fs = &b->fs, .node = root};
	b->vm.tree = (struct tree){&b->mount, 1};
	b->vm.state.path = b_str("/var/lib/azure_disk_encryption_config");
	b->vm.bootf.have = HAVE_YES;
	b->vm.bootf.read_whole = true;
	b->vm.bootf.on_root = true;
	b->vm.fstab_file.have = HAVE_YES;
}

/* An empty state directory. */
static inline void b_state(struct build *b)
{
	b->vm.state.have = HAVE_YES;
	b->vm.state.mount = &b->mount;
	b->vm.state.real_path = b_str("/var/lib/azure_disk_encryption_config");
	b->vm.state.v = b->files;
}

static inline struct state_file *b_file(struct build *b, const char *name, enum state_kind kind,
					uint64_t size)
{
	struct state_file *f;

	b_state(b);
	f = &b->files[b->vm.state.n++];
	f->name = b_str(name);
	f->kind = kind;
	f->type = kind == SK_MARKERS ? FS_DIR : FS_FILE;
	f->size = size;
	f->nlink = 1;
	return f;
}

#define B_INI(b, member, name, kind, text)                                                                   \
	do {                                                                                                 \
		b_file(b, name, kind, strlen(text));                                                         \
		(b)->vm.state.member.have = HAVE_YES;                                                        \
		ini_parse(text, strlen(text), &(b)->vm.state.member.ini, NULL);                              \
	} while (0)

static inline void b_config(struct build *b, const char *text)
{
	B_INI(b, config, "azure_crypt_config.ini", SK_CONFIG, text);
}
static inline void b_params(struct build *b, const char *text)
{
	B_INI(b, params, "azure_crypt_params.ini", SK_PARAMS, text);
}
static inline void b_queue(struct build *b, const char *text)
{
	B_INI(b, queue, "azure_crypt_request_queue.ini", SK_QUEUE, text);
}
static inline void b_dqueue(struct build *b)
{
	B_INI(b, dqueue, "azure_decrypt_request_queue.ini", SK_DECRYPT_QUEUE,
	      "[decryption_request_queue]\nvolumetype = Data\n\n");
}
static inline void b_ongoing(struct build *b, const char *phase)
{
	cleanup_free char *text =
		str_printf("[azure_crypt_ongoing_item_config]\nphase = %s\nmappername = c49ff535\n\n", phase);

	B_INI(b, ongoing, "azure_crypt_ongoing_item.ini", SK_ONGOING, text);
}
static inline void b_imds(struct build *b, const char *type)
{
	cleanup_free char *text = str_printf("[imds_stored_results]\nsecuritytype = %s\n\n", type);

	B_INI(b, imds, "imds_stored_results.ini", SK_IMDS, text);
}

static inline void b_marker(struct build *b, const char *name)
{
	b_state(b);
	if (!b->vm.state.nmarkers)
		b_file(b, "os_encryption_markers", SK_MARKERS, 0);
	b->markers[b->vm.state.nmarkers++] = b_str(name);
	b->vm.state.markers = b->markers;
	b->vm.state.markers_have = HAVE_YES;
}

/* The extension, single pass 1.4; then its requests. mrseq is the newest unless said otherwise. */
static inline struct settings *b_settings(struct build *b, uint64_t seq, const char *op, const char *type,
					  const char *vault)
{
	struct settings *s = &b->settings[b->ext.n++];

	b->ext.dir = b_str("/var/lib/waagent/Microsoft.Azure.Security.AzureDiskEncryptionForLinux-1.4.0.12");
	b->ext.version = b->ext.version ? b->ext.version : b_str("1.4.0.12");
	b->ext.live = true;
	b->ext.v = b->settings;
	b->ext.newest = s;
	b->ext.mrseq_have = HAVE_YES;
	b->ext.mrseq = seq;
	b->vm.waagent = HAVE_YES;
	b->vm.exts = &b->ext;
	b->vm.nexts = 1;
	b->vm.ext = &b->ext;
	*s = (struct settings){
		.seq = seq, .operation = b_str(op), .volume_type = b_str(type), .kv_url = b_str(vault)};
	return s;
}

static inline void b_bek(struct build *b, const char *name, uint64_t size)
{
	if (!b->vm.nbeks)
		b->bek.node = b_node(b, "sdd1", "vfat", NULL);
	b->bek.files = b->bek_files;
	b->bek_files[b->bek.nfiles++] =
		(struct bek_file){.name = b_str(name), .size = size, .passphrase = true};
	b->beks[0] = &b->bek;
	b->vm.beks = b->beks;
	b->vm.nbeks = 1;
}

static inline struct header *b_header(struct build *b, bool detached)
{
	struct header *h = &b->headers[b->nheaders++];

	h->detached = detached;
	h->info.version = 2;
	strcpy(h->info.uuid, "9f1c0000-aaaa-bbbb-cccc-dddddddddddd");
	h->info.nslots = 1;
	h->info.slots[0].active = true;
	h->slot = -1;
	return h;
}

static inline void b_open(struct build *b, struct volume *v, struct header *h)
{
	h->vk = &b->fake;
	h->slot = 0;
	h->opened = b_node(b, "opened", "ext4", NULL);
	h->volume = (struct node *)(uintptr_t)v->node;
	v->inner = h->opened;
	v->header = h;
	v->state = VS_OPENED;
	v->plain = TRI_NO;
	v->ade = true;
}

/* /boot on a partition of its own, with a header in it. */
static inline struct header *b_boot_header(struct build *b)
{
	struct node *boot = b_node(b, "sdc2", "ext2", &b->boot_fs);
	struct header *h = b_header(b, true);
	struct volume *v = b_volume(b, "sdc2", VOL_BOOT, VS_PLAIN_FS);

	v->node = v->inner = boot;
	strcpy(boot->uuid, "bbbbbbbb-1111-2222-3333-444444444444");
	b->vm.boot = boot;
	b->vm.boot_volume = v;
	b->vm.bootf.on_root = false;
	b->vm.bootf.luks_dir = HAVE_YES;
	b->vm.bootf.luks_dir_only_header = true;
	b->vm.bootf.osheader.path = b_str("/boot/luks/osluksheader");
	b->vm.bootf.osheader.is_luks = true;
	b->vm.bootf.osheader.size = 32 << 20;
	b->vm.bootf.header = h;
	h->node = boot;
	h->path = b_str("/luks/osluksheader");
	return h;
}

static inline struct ade_line *b_line(struct build *b, const char *file, enum tab_owner owner,
				      const char *mapper, const struct volume *v)
{
	struct ade_line *l = &b->lines[b->vm.nlines];
	struct tab_row *row = &b->rows[b->vm.nlines++];

	b->vm.lines = b->lines;
	row->line = (unsigned)b->vm.nlines;
	*l = (struct ade_line){
		.file = file, .row = row, .owner = owner, .mapper = b_str(mapper), .volume = v};
	l->backed = v && (v->state == VS_OPENED || v->state == VS_LOCKED || v->state == VS_OPAQUE) ? TRI_YES
												   : TRI_NO;
	return l;
}

/* The text of crypttab and fstab; lines are told by b_line, in the same order. */
static inline void b_crypttab(struct build *b, const char *text)
{
	b->vm.crypttab_file.have = HAVE_YES;
	tab_parse(text, strlen(text), false, &b->vm.crypttab, NULL);
}
static inline void b_fstab(struct build *b, const char *text)
{
	tab_parse(text, strlen(text), true, &b->vm.fstab, NULL);
}

/* The OS encrypted with a detached header, opened, crypttab in order, the raw bytes all ciphertext. */
static inline struct header *b_encrypted_os(struct build *b)
{
	struct header *h = b_boot_header(b);
	struct volume *v = b->vm.root_volume;
	struct node *raw = (struct node *)(uintptr_t)v->node;
	struct ade_line *l;

	raw->fmt[0] = 0;
	raw->fs = NULL;
	b_open(b, v, h);
	v->opaque = TRI_YES;
	v->dd_asked = true;
	v->dd_sampled = 256;
	h->opened->fs = &b->fs;
	b->vm.root = h->opened;
	b->mount.node = h->opened;
	b->vm.crypttab_file.have = HAVE_YES;
	l = b_line(b, "/etc/crypttab", TAB_ADE_OS, "osencrypt", v);
	l->device = b_str("/dev/disk/by-partuuid/aaaaaaaa-1111-2222-3333-444444444444");
	l->header = b_str("/boot/luks/osluksheader");
	return h;
}

/* The OS volume locked: nothing behind it was read. */
static inline void b_lock_root(struct build *b, enum vol_state state)
{
	struct volume *v = b->vm.root_volume;

	v->state = state;
	v->plain = TRI_NO;
	v->opaque = state == VS_OPAQUE ? TRI_YES : TRI_NO;
	b->vm.root = NULL;
	b->vm.tree = (struct tree){0};
	b->vm.state.have = HAVE_UNKNOWN;
	b->vm.state.why = b_str("the root file system could not be read");
	b->vm.fstab_file.have = b->vm.crypttab_file.have = HAVE_UNKNOWN;
	b->vm.waagent = b->vm.old_places = b->vm.archive_dir = HAVE_UNKNOWN;
	b->vm.bootf.on_root = false;
}

static inline void b_key(struct build *b, enum key_origin origin, const char *name, uint64_t length)
{
	struct key *k = &b->keys[b->graph.nkeys];

	k->origin = origin;
	k->name = k->found_at = b_str(name);
	k->length = length;
	k->empty_file = !length;
	b->keyp[b->graph.nkeys++] = k;
	b->graph.keys = b->keyp;
}

static inline void b_missing(struct build *b, const char *sentence)
{
	b->missing[b->vm.nmissing++] = b_str(sentence);
	b->vm.missing = b->missing;
	b->vm.data_disks_named++;
}

static inline void build_done(struct build *b)
{
	ini_done(&b->vm.state.config.ini);
	ini_done(&b->vm.state.params.ini);
	ini_done(&b->vm.state.queue.ini);
	ini_done(&b->vm.state.dqueue.ini);
	ini_done(&b->vm.state.ongoing.ini);
	ini_done(&b->vm.state.imds.ini);
	tab_done(&b->vm.crypttab);
	tab_done(&b->vm.fstab);
}

/* ---- asking ---- */
static inline enum tri row_says(const struct build *b, const char *id)
{
	const struct rule *r = rule_find(id);
	struct findings f = {0};
	char *why = NULL;
	enum tri t = r->check(&b->vm, &f, &why);

	findings_done(&f);
	free(why);
	return t;
}

static inline const struct finding *finding_of(const struct judgement *j, const char *id)
{
	for (size_t i = 0; i < j->findings.n; i++)
		if (str_eq(j->findings.v[i].rule->id, id))
			return &j->findings.v[i];
	return NULL;
}

#endif
