/* SPDX-License-Identifier: MIT */
/* Open, scan, read, judge: the sentence that every verb begins. */
#ifndef PIPELINE_H
#define PIPELINE_H

#include "graph.h"
#include "proc/broker.h"
#include "rule/rule.h"
#include "vm/host.h"
#include "vm/vm.h"

enum progress_mode { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER, PROGRESS_JSON };
struct options {
	bool json, quiet, verbose, summary, apply, all_disks_attached, require_sandbox, running;
	int data_disks;                 /* -1: not said */
	char goal;                      /* 0, 'e', 'n' */
	const char *machine, *plan, *undo_file;
	char **key_files; size_t nkey_files;
	char **headers; size_t nheaders;
	char **not_encrypted; size_t n_not_encrypted;
	int color;                      /* 0 never, 1 always (auto is resolved) */
	enum progress_mode progress;
	unsigned wait;
	bool list;                      /* undo --list */
	bool long_form, archive;        /* ls -l, cp -a */
};
/* A volume key once derived, to look again at the same disks. */
struct known_vk { char uuid[40]; struct secret *vk; int slot; char *found_at; const char *variant; };
struct rescue {
	struct options opt;
	const struct verb *verb;
	struct host host;
	struct host_disk *disks; size_t ndisks;       /* opened by the parent */
	char **disk_args; size_t ndisk_args;          /* DISK words of the command line; borrowed */
	char **args; size_t nargs;                    /* what is left for the verb: NODE:PATH..., rule ids, ...; borrowed */
	struct { char *name; int fd; bool is_stdin; } *key_fds; size_t nkey_fds;
	struct { char *name; int fd; } *header_fds; size_t nheader_fds;
	bool dest_is_dir;                             /* cp: the destination is a folder that is there */
	bool open_failed;                             /* something named could not be opened: exit 1 at the end */
	struct broker *broker;
	struct kernel_hook kernel;
	struct graph graph;
	struct key **given_keys; size_t ngiven_keys;  /* read once: standard input cannot be read twice */
	struct known_vk *known; size_t nknown;        /* volume keys that were derived: no second derivation after rescue_forget */
	struct node **roots;                          /* the disks' nodes, parallel to disks; NULL: not readable */
	struct blk **overlays;                        /* parallel to disks: the bottom overlays */
	struct find_state find;
	struct vm **vms; size_t nvms;
	int *unassigned; size_t nunassigned;
	struct judgement **judged;                    /* parallel to vms */
	int64_t now;                                  /* SOURCE_DATE_EPOCH or the clock */
};
int rescue_scan(struct rescue *, struct err *e);
int rescue_read_vms(struct rescue *, struct err *e);
int rescue_judge(struct rescue *, struct err *e);
/* Forget what was read (graph, machines, judgements) but keep the overlays with their writes: to look again at what a plan left. */
void rescue_forget(struct rescue *);
void rescue_done(struct rescue *);

#endif
