/* SPDX-License-Identifier: MIT */
/* Every header that is not open, every key and form that was not tried on it: one process each, on all cores,
 * within the memory there is. Headers are independent of one another, so they go side by side; the forms of
 * one header do only on cores that would be idle, for the likeliest one comes first and mostly fits, and
 * Argon2 with several lanes would only slow it down. What opened one header is the likeliest for the next. */
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/str.h"
#include "base/vec.h"
#include "vm/keys.h"
#include "vm/unlock_parts.h"

enum { MAX_WORKERS = 64, MAX_RANGES = LUKS_MAX_SLOTS + 1, WALL_SECONDS = 15 * 60 };
static const uint64_t overhead = 32 << 20, spare = 64 << 20; /* bytes: of one worker; left to the system */

struct pair {
	struct key *key;
	struct key_form form;
	unsigned index; /* of the form among its key's */
	bool started, ended;
};
struct target {
	struct header *h;
	struct trial trial; /* passphrase is filled for each pair */
	uint64_t memory;    /* of the dearest slot that is tried */
	unsigned cores;	    /* that one derivation keeps busy */
	struct pair *v;
	size_t n;
	unsigned running;
	bool over;
	struct err why;	  /* a trial that failed for another reason than a wrong key */
	struct err lacks; /* slots that are not tried for lack of memory */
};
struct job {
	struct worker w;
	struct target *t;
	struct pair *p;
};
struct pool {
	struct graph *g;
	struct target *targets;
	size_t ntargets;
	struct job jobs[MAX_WORKERS];
	unsigned njobs, ncpu, cores_used;
	uint64_t memory, memory_used;
	bool opened;
};

/* ---- what there is ---- */

static uint64_t memory_available(void)
{
	cleanup_file FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib;
	struct sysinfo s;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			return kib * 1024;
	/* without it the page cache counts as used, which it is not: three quarters of all is the better
	 * guess */
	return sysinfo(&s) == 0 ? (uint64_t)s.totalram * s.mem_unit / 4 * 3 : UINT64_MAX / 2;
}

static unsigned cpu_count(unsigned asked)
{
	cpu_set_t set;
	unsigned n = asked;

	if (!n && sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (unsigned)CPU_COUNT(&set);
	return n < 1 ? 1 : n > MAX_WORKERS ? MAX_WORKERS : n;
}

/* ---- targets ---- */

static bool was_tried(const struct header *h, const struct key *k)
{
	for (size_t i = 0; i < h->ntried; i++)
		if (h->tried[i] == k)
			return true;
	return false;
}

static int add_pairs(struct target *t, struct key *k, struct err *e)
{
	struct key_form forms[8];
	int n = key_forms(k, forms);

	if (n < 0)
		return err_oom(e);
	for (int i = 0; i < n; i++) {
		struct pair *p = vec_push(&t->v, &t->n);

		if (!p) {
			for (; i < n; i++)
				secret_free(forms[i].bytes);
			return err_oom(e);
		}
		*p = (struct pair){ .key = k, .form = forms[i], .index = (unsigned)i };
	}
	return 0;
}

/* The slots to try: preferred ones first, ignored ones last, those that are bad, or belong to no segment, not
 * at all. */
static void choose_slots(struct target *t, uint64_t memory, unsigned ncpu)
{
	const struct luks_info *info = &t->h->info;

	for (int priority = 2; priority >= 0; priority--)
		for (unsigned i = 0; i < info->nslots; i++) {
			const struct luks_slot *s = &info->slots[i];

			if (!s->active || s->unbound || s->bad.msg[0] || s->priority != priority)
				continue;
			if (s->memory + overhead > memory) {
				err_set(&t->lacks, 0,
					"key slot %d is not tried: this machine lacks %ju MiB of memory for "
					"it",
					s->id,
					(uintmax_t)((s->memory + overhead - memory + (1 << 20) - 1) >> 20));
				continue;
			}
			t->trial.slots[t->trial.nslots++] = s->id;
			if (s->memory > t->memory)
				t->memory = s->memory;
			if (s->cpus > t->cores)
				t->cores = s->cpus;
		}
	if (t->cores < 1)
		t->cores = 1;
	if (t->cores > ncpu)
		t->cores = ncpu;
}

static int add_target(struct pool *p, struct header *h, struct err *e)
{
	struct target *t = vec_push(&p->targets, &p->ntargets);

	if (!t)
		return err_oom(e);
	t->h = h;
	t->trial.stage = -1;
	choose_slots(t, p->memory, p->ncpu);
	for (size_t i = 0; t->trial.nslots && i < p->g->nkeys; i++) {
		int r = was_tried(h, p->g->keys[i]) ? 0 : add_pairs(t, p->g->keys[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}

static void pool_done(struct pool *p)
{
	for (unsigned i = 0; i < p->njobs; i++)
		worker_kill(&p->jobs[i].w);
	for (size_t i = 0; i < p->ntargets; i++) {
		struct target *t = &p->targets[i];

		for (size_t j = 0; j < t->n; j++)
			secret_free(t->v[j].form.bytes);
		free(t->v);
		if (t->trial.stage >= 0)
			close(t->trial.stage);
	}
	free(p->targets);
}

/* ---- what the header says afterwards ---- */

static int count_tried(const struct header *h)
{
	int n = 0;

	for (size_t i = 0; i < h->ntried; i++)
		n += h->tried[i]->origin != KEY_EMPTY && !h->tried[i]->empty_file;
	return n;
}

static int say_why(struct target *t, struct err *e)
{
	const struct header *h = t->h;
	cleanup_str struct str s = { 0 };
	int n = count_tried(h);

	if (!h->ntried)
		str_add(&s,
			t->trial.nslots ? "locked: no key was found" : "locked: no key slot can be tried");
	else if (n == 1)
		str_add(&s, "locked: the only key that was found does not open it");
	else
		str_addf(&s, "locked: none of the %d keys that were found opens it", n);
	for (unsigned i = 0; i < h->info.nslots; i++)
		if (h->info.slots[i].bad.msg[0])
			str_addf(&s, "; key slot %d is not tried: %s", h->info.slots[i].id,
				 h->info.slots[i].bad.msg);
	if (t->lacks.msg[0])
		str_addf(&s, "; %s", t->lacks.msg);
	if (t->why.msg[0])
		str_addf(&s, "; %s", t->why.msg);
	if (h->info.online)
		str_add(&s, "; a re-encryption is in flight");
	if (s.failed)
		return err_oom(e);
	free(t->h->why);
	t->h->why = str_take(&s);
	if (!t->h->why)
		return err_oom(e);
	/* no further pass may come: the volume says it at once */
	if (!h->detached && h->node)
		err_set(&t->h->node->why, 0, "%s%s%s", h->why, h->info.damage.msg[0] ? "; " : "",
			h->info.damage.msg);
	return 0;
}

static int end_target(struct pool *p, struct target *t, struct err *e)
{
	struct header *h = t->h;

	t->over = true;
	if (t->trial.stage >= 0)
		close(t->trial.stage);
	t->trial.stage = -1;
	if (h->vk) {
		free(h->why);
		h->why = NULL;
		return 0;
	}
	for (size_t i = 0; t->trial.nslots && i < p->g->nkeys; i++) {
		const struct key **slot =
			was_tried(h, p->g->keys[i]) ? NULL : vec_push(&h->tried, &h->ntried);

		if (slot)
			*slot = p->g->keys[i];
	}
	h->keys_tried = (unsigned)h->ntried;
	h->tried_all = t->trial.nslots > 0;
	return say_why(t, e);
}

/* ---- order ---- */

static unsigned rank_of(const struct pair *p)
{
	const struct key *k = p->key;
	unsigned kind = 2;

	if (k->origin == KEY_EMPTY)
		return 1000;
	if (k->opens && k->variant && str_eq(k->variant, p->form.variant))
		return 0;
	if (k->opens)
		return 1;
	if (k->origin == KEY_FILE || k->origin == KEY_STDIN || str_eq(k->name, "LinuxPassPhraseFileName"))
		kind = 0;
	else if (k->origin == KEY_BEK)
		kind = 1;
	if (k->wrapped)
		kind = 3;
	return 10 + 10 * p->index + kind;
}

static struct pair *next_pair(const struct target *t)
{
	struct pair *best = NULL;

	for (size_t i = 0; i < t->n; i++) {
		struct pair *p = &t->v[i];

		if (!p->started && (!best || rank_of(p) < rank_of(best)))
			best = p;
	}
	return best;
}

static bool fits(const struct pool *p, const struct target *t)
{
	return p->njobs < p->ncpu && (!p->njobs || p->memory_used + t->memory + overhead <= p->memory);
}

/* The next thing to start: a header that nobody works on, else one more key on a header where cores are
 * idle. */
static struct target *next_target(struct pool *p)
{
	struct target *second = NULL;

	for (size_t i = 0; i < p->ntargets; i++) {
		struct target *t = &p->targets[i];

		if (t->over || !fits(p, t) || !next_pair(t))
			continue;
		if (!t->running)
			return t;
		/* another key, never a second form of a key whose first is under way: it would cost as much as the whole answer */
		if (!second && p->cores_used + t->cores <= p->ncpu && next_pair(t)->index == 0)
			second = t;
	}
	return second;
}

/* ---- running ---- */

static int stage_header(struct target *t, struct err *e)
{
	struct stage_range r[MAX_RANGES];
	const struct luks_info *info = &t->h->info;
	size_t n = luks_ranges(info, r, MAX_RANGES), kept = 0;
	uint64_t size = info->total_size, far = 1ULL << 42;

	for (size_t i = 0; i < n; i++) {
		if (r[i].off >= t->h->blk->size)
			continue;
		if (r[i].len > t->h->blk->size - r[i].off)
			r[i].len = t->h->blk->size - r[i].off;
		r[kept++] = r[i];
	}
	/* the library wants to see that the payload begins inside the device */
	if (info->payload_offset > size && info->payload_offset < far)
		size = info->payload_offset;
	return blk_stage(t->h->blk, size + (1 << 20), r, kept, &t->trial.stage, e);
}

static void tell_progress(const struct pool *p, const struct header *h, const struct key *k)
{
	cleanup_str struct str s = { 0 };

	if (!p->g->progress)
		return;
	if (h->node)
		str_add_escaped(&s, h->node->name, strlen(h->node->name), false);
	if (h->node && h->path)
		str_add(&s, ":");
	if (h->path)
		str_add_escaped(&s, h->path, strlen(h->path), false);
	str_add(&s, ": trying ");
	str_add_escaped(&s, k->found_at, k->found_at ? strlen(k->found_at) : 0, false);
	p->g->progress(p->g->progress_arg, str_text(&s));
}

/* 1 started, 0 not (the target is over, or there is no process to be had now), <0. */
static int start_job(struct pool *p, struct target *t, struct err *e)
{
	struct pair *pair = next_pair(t);
	struct job *j = &p->jobs[p->njobs];
	int r;

	if (t->trial.stage < 0 && stage_header(t, &t->why) < 0)
		return end_target(p, t, e);
	t->trial.passphrase = pair->form.bytes;
	r = worker_start(&j->w, &t->trial, e);
	if (r == -EAGAIN && p->njobs) {
		p->ncpu = p->njobs; /* so many it can be */
		return 0;
	}
	if (r < 0)
		return r;
	pair->started = true;
	j->t = t;
	j->p = pair;
	t->running++;
	p->njobs++;
	p->cores_used += t->cores;
	p->memory_used += t->memory + overhead;
	tell_progress(p, t->h, pair->key);
	return 1;
}

/* Its process is gone: take the job off the list. */
static void drop_job(struct pool *p, struct job *j)
{
	j->p->ended = true;
	j->t->running--;
	p->cores_used -= j->t->cores;
	p->memory_used -= j->t->memory + overhead;
	*j = p->jobs[--p->njobs];
}

static int opened_with(struct pool *p, struct target *t, struct pair *pair, int slot, struct secret *vk,
		       struct err *e)
{
	struct header *h = t->h;

	h->vk = vk;
	h->slot = slot;
	h->by = pair->key;
	pair->key->variant = pair->form.variant;
	pair->key->opens++;
	p->opened = true;
	for (unsigned i = p->njobs; i-- > 0;)
		if (p->jobs[i].t == t) {
			worker_kill(&p->jobs[i].w);
			drop_job(p, &p->jobs[i]);
		}
	return end_target(p, t, e);
}

static bool all_ended(const struct target *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (!t->v[i].ended)
			return false;
	return true;
}

static int collect(struct pool *p, struct job *j, struct err *e)
{
	struct target *t = j->t;
	struct pair *pair = j->p;
	struct secret *vk = NULL;
	struct err why = { "" };
	int slot = worker_collect(&j->w, &vk, &why);

	drop_job(p, j);
	if (slot >= 0 && vk->len == t->h->info.key_size)
		return opened_with(p, t, pair, slot, vk, e);
	secret_free(vk);
	if (slot >= 0)
		err_set(&t->why, 0, "key slot %d holds a key that is not the volume's", slot);
	else if (slot != -EPERM)
		err_set(&t->why, 0, "a key could not be tried: %.200s", why.msg);
	return all_ended(t) ? end_target(p, t, e) : 0;
}

static int kill_late(struct pool *p, struct err *e)
{
	int64_t now = worker_now();
	int r = 0;

	for (unsigned i = p->njobs; !r && i-- > 0;) {
		struct target *t = p->jobs[i].t;

		if (now - p->jobs[i].w.started < WALL_SECONDS)
			continue;
		worker_kill(&p->jobs[i].w);
		drop_job(p, &p->jobs[i]);
		err_set(&t->why, 0, "a key derivation was given up after %d minutes", WALL_SECONDS / 60);
		if (all_ended(t))
			r = end_target(p, t, e);
	}
	return r;
}

static int wait_some(struct pool *p, struct err *e)
{
	struct pollfd fds[MAX_WORKERS];
	unsigned n = p->njobs;
	int r;

	for (unsigned i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = p->jobs[i].w.pipe, .events = POLLIN };
	r = poll(fds, n, 1000);
	if (r < 0 && errno != EINTR)
		return err_set(e, -errno, "waiting for key derivations: %s", strerror(errno));
	/* one at a time: collecting moves the jobs */
	for (unsigned i = 0; r > 0 && i < n; i++)
		if (fds[i].revents)
			return collect(p, &p->jobs[i], e);
	return kill_late(p, e);
}

static int run(struct pool *p, struct err *e)
{
	int r = 0;

	for (;;) {
		struct target *t = next_target(p);

		if (t)
			r = start_job(p, t, e);
		else if (p->njobs)
			r = wait_some(p, e);
		else
			return 0;
		if (r < 0)
			return r;
		if (t && r == 0 && p->njobs)
			r = wait_some(p, e);
		if (r < 0)
			return r;
	}
}

int unlock_within(struct graph *g, unsigned ncpu, uint64_t memory, struct err *e)
{
	cleanup(pool_done) struct pool p = { .g = g, .ncpu = cpu_count(ncpu) };
	int r = 0;

	p.memory = memory > spare ? memory - spare : 0;
	for (size_t i = 0; i < g->nheaders && r >= 0; i++) {
		const struct header *h = g->headers[i];

		if (!h->vk && !h->info.broken && !h->info.refused.msg[0] && h->blk)
			r = add_target(&p, g->headers[i], e);
	}
	/* what has nothing to try says so at once */
	for (size_t i = 0; i < p.ntargets && r >= 0; i++)
		if (!p.targets[i].n)
			r = end_target(&p, &p.targets[i], e);
	if (r >= 0)
		r = run(&p, e);
	return r < 0 ? r : p.opened;
}

int keys_unlock(struct graph *g, unsigned ncpu, struct err *e)
{
	return unlock_within(g, ncpu, memory_available(), e);
}
