/* SPDX-License-Identifier: MIT */
/* clean: the plan for stale state; with --apply carried out. Shown first, and applied whole or not at all. The refusals come in this order: no machine,
 * several, verdict, safety rules, missing confirmations, a goal that is not named, a disk that is held here. */
#include "cmd/clean.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/str.h"
#include "base/vec.h"

static void push_line(char ***v, size_t *n, const char *fmt, va_list ap)
{
	cleanup_str struct str s = { 0 };
	char **slot;

	str_addv(&s, fmt, ap);
	slot = vec_push(v, n);
	if (slot)
		*slot = str_take(&s);
	if (slot && !*slot)
		(*n)--;
}

void clean_refuse(struct clean *c, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	push_line(&c->why, &c->nwhy, fmt, ap);
	va_end(ap);
	c->code = code;
}

void clean_first(struct clean *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	push_line(&c->first, &c->nfirst, fmt, ap);
	va_end(ap);
}

static const struct judgement *first_look(const struct clean *c)
{
	return c->r->judged[c->which];
}

/* The one machine meant; 0 or an exit code. */
static int choose_machine(struct clean *c)
{
	const struct rescue *r = c->r;
	size_t n = 0;

	for (size_t i = 0; i < r->nvms; i++)
		if (!r->opt.machine || str_eq(r->vms[i]->name, r->opt.machine)) {
			c->which = i;
			n++;
		}
	if (n == 1)
		return 0;
	if (n == 0) {
		clean_refuse(c, EXIT_NONE, r->opt.machine ? "no machine of that name on these disks" : "no failed machine on these disks: no OS disk among them");
		return EXIT_NONE;
	}
	clean_refuse(c, EXIT_AMBIGUOUS, "%zu machines are on these disks; --machine NAME decides", n);
	for (size_t i = 0; i < r->nvms; i++)
		clean_first(c, "aderescue clean --machine %s", r->vms[i]->name ? r->vms[i]->name : "-");
	return EXIT_AMBIGUOUS;
}

static bool is_confirmed(const struct options *o)
{
	return o->all_disks_attached || o->data_disks >= 0;
}

/* By the verdict and the safety rules. */
static int check_verdict(struct clean *c)
{
	const struct judgement *j = first_look(c);

	if (j->verdict != VERDICT_STALE) {
		clean_refuse(c, EXIT_REFUSED, "the verdict is %s (%s); only stale state is cleaned", verdict_name(j->verdict), j->rule ? j->rule->id : "undecided");
		for (size_t i = 0; i < j->nunknown && i < 4; i++)
			clean_refuse(c, EXIT_REFUSED, "%s", j->unknown[i]);
		clean_first(c, "aderescue diagnose");
		return EXIT_REFUSED;
	}
	if (!j->clean_allowed) {
		for (size_t i = 0; i < j->nrefused; i++)
			clean_refuse(c, EXIT_REFUSED, "%s", j->refused[i]);
		if (!j->nrefused)
			clean_refuse(c, EXIT_REFUSED, "a finding forbids it");
		clean_first(c, "aderescue save DIR");
		return EXIT_REFUSED;
	}
	return 0;
}

/* By what the operator has not said yet. */
static int check_confirmed(struct clean *c)
{
	const struct options *o = &c->r->opt;
	const struct judgement *j = first_look(c);

	if (o->data_disks >= 0 && j->vm->data_disks_attached < (unsigned)o->data_disks) {
		clean_refuse(c, EXIT_REFUSED, "the failed VM has %d data disks, %u of them are here", o->data_disks, j->vm->data_disks_attached);
		for (size_t i = 0; i < j->vm->nmissing; i++)
			clean_refuse(c, EXIT_REFUSED, "%s", j->vm->missing[i]);
	}
	if (o->data_disks >= 0 && (unsigned)o->data_disks < j->vm->data_disks_named) {
		clean_refuse(c, EXIT_REFUSED, "--data-disks %d, but the failed system's own files name %u", o->data_disks, j->vm->data_disks_named);
		for (size_t i = 0; i < j->vm->nmissing; i++)
			clean_refuse(c, EXIT_REFUSED, "%s", j->vm->missing[i]);
	}
	if (!o->apply)
		return c->code;
	if (!is_confirmed(o)) {
		clean_refuse(c, EXIT_REFUSED, "--apply needs --data-disks N or --all-disks-attached: a disk that is not here may be encrypted");
		clean_first(c, "az vm show -g RG -n VM --query \"length(storageProfile.dataDisks)\"");
	}
	if (j->starts_by_itself && !o->goal) {
		clean_refuse(c, EXIT_REFUSED, "--apply needs --for enable or --for no-start: after the clean ADE would start by itself at the next boot");
		clean_first(c, "aderescue explain stale-request-queue");
	}
	return c->code;
}

static bool plan_touches(const struct plan *p, int disk)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].on->disk == disk)
			return true;
	return false;
}

static int check_busy(struct clean *c)
{
	const struct host *h = &c->r->host;

	for (size_t i = 0; c->r->opt.apply && i < h->nbusy; i++)
		if (plan_touches(&c->plan, h->busy[i].disk)) {
			clean_refuse(c, EXIT_BUSY, "%s is in use on this system: %s", h->busy[i].node, h->busy[i].holder);
			clean_first(c, "%s", h->busy[i].release);
		}
	return c->code;
}

static void make_stamp(struct clean *c)
{
	time_t now = (time_t)c->r->now;
	unsigned char salt[2] = { 0 };
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(c->plan.stamp, sizeof(c->plan.stamp), "%Y%m%dT%H%M%SZ", &tm);
	if (getrandom(salt, sizeof(salt), 0) != sizeof(salt))
		salt[0] = (unsigned char)c->r->now;
	snprintf(c->run, sizeof(c->run), "%s-%02x%02x", c->plan.stamp, salt[0], salt[1]);
}

static int make_plan(struct clean *c)
{
	const struct judgement *j = first_look(c);
	struct err e = { "" };
	int ret;

	make_stamp(c);
	c->plan.goal = c->r->opt.goal;
	c->plan.machine = c->name;
	ret = clean_plan(j, c->r->opt.goal, &c->plan, &e);
	if (ret < 0) {
		clean_refuse(c, ret == -EPERM ? EXIT_REFUSED : EXIT_FAIL, "%s", e.msg);
		return c->code;
	}
	c->starts_by_itself = j->starts_by_itself && c->r->opt.goal != 'n';
	c->boot_text = str_printf("%s", j->boot_after_clean.text ? j->boot_after_clean.text : "");
	c->verdict_before = verdict_name(j->verdict);
	c->rule_before = j->rule ? j->rule->id : "undecided";
	c->data = j->data;
	return c->boot_text ? 0 : EXIT_FAIL;
}

static int commit(struct clean *c)
{
	struct err e = { "" };
	int ret;

	if (c->r->opt.plan && strcmp(c->r->opt.plan, c->plan_id)) {
		clean_refuse(c, EXIT_CHANGED, "the plan is %s now, not %s: the disks are not what they were when it was shown; nothing was written", c->plan_id,
			     c->r->opt.plan);
		return c->code;
	}
	if (!c->r->opt.apply)
		return 0;
	ret = broker_commit(c->r->broker, &c->cs, c->disk_index, c->bounds, c->nbounds, &c->result, &e);
	if (ret < 0) {
		clean_refuse(c, ret == -ESTALE ? EXIT_CHANGED : ret == -EBUSY ? EXIT_BUSY : EXIT_FAIL, "%s", e.msg);
		return c->code;
	}
	c->applied = true;
	return 0;
}

static int clean(struct clean *c)
{
	const struct judgement *j;
	int code = choose_machine(c);

	if (code)
		return code;
	j = first_look(c);
	c->name = str_printf("%s", j->vm->name ? j->vm->name : "-");
	c->verdict_before = c->verdict_after = verdict_name(j->verdict);
	c->rule_before = c->rule_after = j->rule ? j->rule->id : "undecided";
	c->data = j->data;
	if (j->verdict == VERDICT_NO_STATE)
		return 0;
	code = check_verdict(c);
	if (code == 0)
		code = check_confirmed(c);
	if (code == 0)
		code = make_plan(c);
	if (code == 0)
		code = check_busy(c);
	if (code == 0)
		code = clean_stage(c);
	if (code == 0)
		code = commit(c);
	return code;
}

int cmd_clean(struct rescue *r)
{
	struct clean c = { .r = r };

	c.code = clean(&c);
	if (clean_print(&c) < 0)
		c.code = c.code ? c.code : EXIT_FAIL;
	clean_done(&c);
	return c.code;
}

static void free_lines(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

void clean_done(struct clean *c)
{
	plan_done(&c->plan);
	change_set_done(&c->cs);
	commit_result_done(&c->result);
	json_object_put(c->edits);
	json_object_put(c->by_hand);
	json_object_put(c->findings);
	free(c->disk_index);
	free(c->bounds);
	free(c->watches);
	free_lines(c->why, c->nwhy);
	free_lines(c->first, c->nfirst);
	free(c->boot_text);
	free(c->checked);
	free(c->name);
}
