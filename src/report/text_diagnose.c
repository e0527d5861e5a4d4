/* SPDX-License-Identifier: MIT */
/* diagnose for people: at most 25 lines and 2,000 bytes a machine, 80 columns, plain ASCII; the machine and the verdict first, the data second, what must
 * not be done last but for the line that scripts read. What a disk cannot tell is left out, never invented. */
#include "report/page.h"
#include "report/report.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

#define INDENT "       "
enum { MAX_LINES = 25, MAX_BYTES = 2000 };
enum { R_HIGH = 10, R_MIDDLE = 20, R_LOW = 30, R_LEAST = 40 };

char *text_machine_name(const char *raw)
{
	char *s;

	if (!raw || !*raw)
		return str_printf("-");
	s = str_ndup(raw, strnlen(raw, 64));
	for (char *c = s; s && *c; c++)
		if (!((*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr("._-", *c)))
			*c = '?';
	return s;
}

void text_last_line(const struct judgement *j, unsigned exit_code, FILE *f)
{
	cleanup_free char *name = text_machine_name(j ? j->vm->name : NULL);

	fprintf(f, "aderescue: %s verdict=%s rule=%s data=%s exit=%u\n", name ? name : "-", j ? verdict_name(j->verdict) : "unknown",
		j ? j->rule ? j->rule->id : "undecided" : "none", j ? data_name(j->data) : "unknown", exit_code);
}

static void time_text(int64_t t, char out[24])
{
	time_t seconds = (time_t)t;
	struct tm tm;

	*out = '\0';
	if (t && gmtime_r(&seconds, &tm))
		strftime(out, 24, "%Y-%m-%d %H:%MZ", &tm);
}

/* ---- the parts of the page ---- */

static const struct header *root_header(const struct vm *vm)
{
	return vm->root_volume && vm->root_volume->header ? vm->root_volume->header : vm->bootf.header;
}

static void part_data(struct page *p, const struct judgement *j)
{
	const struct header *h = root_header(j->vm);

	switch (j->data) {
	case DATA_INTACT:
		if (h && h->vk && h->by && h->volume)
			page_addf(p, RANK_MUST, "data   ", INDENT, "intact; opens with the key at %s, slot %d", h->by->found_at, h->slot);
		else
			page_add(p, RANK_MUST, "data   ", INDENT, "intact, readable without a key");
		break;
	case DATA_LOCKED:
		page_add(p, RANK_MUST, "data   ", INDENT, "not known until it opens; nothing read so far points to a loss");
		break;
	case DATA_AT_RISK:
		page_add(p, RANK_MUST, "data   ", INDENT, "at risk: the next step decides; change nothing before a snapshot");
		break;
	case DATA_LOST:
		page_add(p, RANK_MUST, "data   ", INDENT, "lost with these disks: no copy of the header opens the root");
		break;
	case DATA_UNKNOWN:
		page_add(p, RANK_MUST, "data   ", INDENT, "not known: not everything that matters could be read");
		break;
	}
}

static const char *volume_word(const struct volume *v)
{
	switch (v->state) {
	case VS_PLAIN_FS:
		return v->plain == TRI_YES ? "plain" : "not proved plain";
	case VS_BLANK:
		return "blank";
	case VS_OPENED:
		return "encrypted, open";
	case VS_LOCKED:
		return "LOCKED";
	case VS_OPAQUE:
		return "SCRAMBLED";
	case VS_OTHER:
		return "other";
	case VS_UNKNOWN:
		return "unknown";
	}
	return "";
}

/* "OS Ubuntu 22.04 (sdc1), last boot ..." */
static void disk_os(const struct vm *vm, struct str *s)
{
	const struct node *root = vm->root_raw ? vm->root_raw : vm->root;
	char when[24];

	str_add(s, "  OS");
	if (vm->os.id)
		str_addf(s, " %s %s", vm->os.id, vm->os.version ? vm->os.version : "");
	if (root)
		str_addf(s, " (%s%s)", root->name, vm->root_volume && vm->root_volume->state == VS_OPENED ? ", encrypted" : "");
	time_text(vm->last_boot, when);
	if (*when)
		str_addf(s, ", last boot %s", when);
}

static void disk_volumes(const struct vm *vm, int disk, struct str *s)
{
	unsigned shown = 0;

	for (size_t i = 0; i < vm->nvolumes; i++) {
		const struct volume *v = &vm->volumes[i];

		if (v->node->disk != disk || v->role == VOL_SMALL || shown >= 4)
			continue;
		str_addf(s, "%s %s", shown++ ? "," : " ", *v->node->fmt ? v->node->fmt : v->node->name);
		if (v->node->label && *v->node->label)
			str_addf(s, " \"%s\"", v->node->label);
		str_addf(s, " %s", v->role == VOL_BEK ? "" : volume_word(v));
		if (!vm->mine[i] && v->role != VOL_BEK)
			str_add(s, " (unassigned)");
	}
}

static bool disk_shown(const struct vm *vm, int disk)
{
	for (size_t i = 0; i < vm->ndisks; i++)
		if (vm->disks[i] == disk)
			return true;
	for (size_t i = 0; i < vm->nvolumes; i++)
		if (vm->volumes[i].node->disk == disk)
			return true;
	return false;
}

static const struct bek_volume *disk_bek(const struct rescue *r, int disk)
{
	for (size_t i = 0; i < r->find.nbeks; i++)
		if (r->find.beks[i]->node->disk == disk)
			return r->find.beks[i];
	return NULL;
}

static void part_disks(struct page *p, const struct rescue *r, const struct vm *vm)
{
	bool first = true;

	for (size_t i = 0; i < r->ndisks; i++) {
		const struct host_disk *d = &r->disks[i];
		const struct bek_volume *bek = disk_bek(r, (int)i);
		cleanup_str struct str s = { 0 };
		char size[16];
		const struct node *root = vm->root_raw ? vm->root_raw : vm->root;

		if (!bek && !disk_shown(vm, (int)i))
			continue;
		str_size(d->size, size);
		str_add(&s, d->name);
		if (*d->lun)
			str_addf(&s, " LUN %s", d->lun);
		str_addf(&s, " %s", size);
		if (bek)
			str_addf(&s, "  BEK VOLUME, %zu file%s", bek->nfiles, bek->nfiles == 1 ? "" : "s");
		else if ((root && root->disk == (int)i) || (!root && vm->boot && vm->boot->disk == (int)i))
			disk_os(vm, &s);
		else
			disk_volumes(vm, (int)i, &s);
		page_add(p, first ? R_HIGH : R_MIDDLE, first ? "disks  " : INDENT, INDENT "  ", str_text(&s));
		first = false;
	}
	if (!r->find.nbeks)
		page_add(p, R_LOW, INDENT, INDENT, "no BEK VOLUME here");
}

static void part_header(struct page *p, const struct vm *vm)
{
	const struct header *h = root_header(vm);
	cleanup_free char *place = header_place(h);
	cleanup_str struct str s = { 0 };
	unsigned slots = 0;

	if (!h)
		return;
	for (unsigned i = 0; i < h->info.nslots; i++)
		slots += h->info.slots[i].active && !h->info.slots[i].reencrypt;
	str_addf(&s, "%s, LUKS%d %.8s..., %u slot%s", place ? place : "?", h->info.version, h->info.uuid, slots, slots == 1 ? "" : "s");
	if (h->info.nrequirements)
		str_addf(&s, ", IN FLIGHT: %s", h->info.requirements[0]);
	if (*h->info.damage.msg)
		str_addf(&s, ", damaged: %s", h->info.damage.msg);
	page_add(p, R_MIDDLE, "header ", INDENT, str_text(&s));
}

static void part_state(struct page *p, const struct vm *vm)
{
	char when[24];

	if (vm->state.have == HAVE_UNKNOWN)
		page_addf(p, R_HIGH, "state  ", INDENT, "%s could not be looked at: %s", vm->state.path ? vm->state.path : "the state directory", vm->state.why ? vm->state.why : "");
	if (vm->state.have != HAVE_YES || !vm->state.mount || !vm->state.mount->node)
		return;
	time_text(vm->state.newest, when);
	page_addf(p, R_MIDDLE, "state  ", INDENT, "%s:%s, %zu entr%s%s%s", vm->state.mount->node->name, vm->state.path, vm->state.n,
		  vm->state.n == 1 ? "y" : "ies", *when ? ", newest " : "", when);
}

/* Was the same said of an earlier finding (two boot entries with one fault)? */
static bool said_before(const struct judgement *j, size_t i)
{
	const struct finding *f = &j->findings.v[i];

	for (size_t k = 0; k < i; k++)
		if (j->findings.v[k].rule == f->rule && str_eq(j->findings.v[k].nevidence ? j->findings.v[k].evidence[0] : NULL, f->nevidence ? f->evidence[0] : NULL))
			return true;
	return false;
}

/* The evidence of the row that decided, then the other findings by severity. */
static void part_why(struct page *p, const struct judgement *j)
{
	bool first = true;

	for (size_t i = 0; i < j->findings.n; i++) {
		const struct finding *f = &j->findings.v[i];

		if (f->rule != j->rule)
			continue;
		for (size_t k = 0; k < f->nevidence; k++) {
			page_add(p, k < 3 ? R_HIGH : R_LOW, first ? "why    " : INDENT, INDENT, f->evidence[k]);
			first = false;
		}
	}
	for (size_t i = 0; i < j->findings.n; i++) {
		const struct finding *f = &j->findings.v[i];
		int rank = f->severity >= SEV_ERROR ? R_HIGH + 1 : f->severity == SEV_WARNING ? R_MIDDLE : R_LEAST;

		if (f->rule == j->rule || said_before(j, i))
			continue;
		page_addf(p, rank, first ? "why    " : INDENT, INDENT, "%s: %s", f->rule->id, f->nevidence ? f->evidence[0] : f->rule->title);
		first = false;
	}
	for (size_t i = 0; first && j->verdict == VERDICT_UNKNOWN && i < j->nunknown; i++)
		page_add(p, i < 4 ? R_HIGH : R_LOW, i ? INDENT : "why    ", INDENT, j->unknown[i]);
}

static void part_boot(struct page *p, const struct judgement *j)
{
	const char *after = j->boot_after_clean.text ? j->boot_after_clean.text : "";
	bool said = j->boot_after_clean.outcome == OUT_STARTS_ENCRYPTION;

	bool first = j->verdict == VERDICT_STALE && j->starts_by_itself;

	/* before all else: among the first five lines */
	if (first)
		page_addf(p, RANK_MUST, "boot   ", INDENT, "CLEANED: %s%s", said ? "" : "ADE STARTS BY ITSELF AT THE NEXT BOOT: ", after);
	if (j->boot.text)
		page_addf(p, R_HIGH, first ? INDENT : "boot   ", INDENT, "%s%s", first ? "as it is: " : "", j->boot.text);
}

static void part_later(struct page *p, const struct judgement *j)
{
	if (j->enable.text && !str_eq(j->enable.text, j->boot.text))
		page_add(p, R_MIDDLE, "enable ", INDENT, j->enable.text);
	if (j->disable.text && j->disable.outcome != OUT_NOTHING)
		page_add(p, R_LOW, "disable ", INDENT, j->disable.text);
	if (j->verdict == VERDICT_STALE && !j->starts_by_itself && j->boot_after_clean.text)
		page_add(p, R_MIDDLE, "cleaned ", INDENT, j->boot_after_clean.text);
}

static void part_here(struct page *p, const struct rescue *r)
{
	for (size_t i = 0; i < r->host.nbusy; i++)
		page_addf(p, i ? R_MIDDLE : R_HIGH, i ? INDENT : "here   ", INDENT, "%s IS IN USE on this VM (%s): %s", r->host.busy[i].node, r->host.busy[i].holder, r->host.busy[i].release);
	if (!r->host.nbusy)
		page_add(p, R_LOW, "here   ", INDENT, "nothing of these disks is in use on this VM: safe to detach");
}

static void part_next(struct page *p, const struct judgement *j)
{
	for (size_t i = 0; i < j->nnext; i++) {
		cleanup_free char *head = str_printf("%s%zu ", i ? INDENT : "next   ", i + 1);

		page_add(p, i < 4 ? R_HIGH : R_LOW, head ? head : INDENT, INDENT "  ", j->next[i]);
	}
	for (size_t i = 0; i < j->nstop; i++)
		page_add(p, i < 2 ? RANK_MUST : R_HIGH, i ? INDENT : "STOP   ", INDENT, j->stop[i]);
	if (j->rule)
		page_addf(p, R_LOW, "more   ", INDENT, "aderescue explain %s", j->rule->id);
}

/* The rule's sentence as the second half of a line. */
static char *headline_title(const struct rule *rule)
{
	char *s = str_printf("%s", rule ? rule->title : "not everything could be told");
	size_t n = s ? strlen(s) : 0;

	if (n && s[n - 1] == '.')
		s[n - 1] = '\0';
	if (n > 1 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'a' && s[1] <= 'z')
		s[0] = (char)(s[0] - 'A' + 'a');
	return s;
}

static void machine_page(struct page *p, const struct rescue *r, const struct judgement *j)
{
	cleanup_free char *name = text_machine_name(j->vm->name);
	cleanup_free char *head = str_printf("%-6s ", j->vm->name && *j->vm->name ? name : "(name unknown)");

	cleanup_free char *title = headline_title(j->rule);

	page_addf(p, RANK_MUST, head ? head : "", INDENT, "%s: %s", verdict_headline(j->verdict, j->rule), title ? title : "?");
	part_data(p, j);
	part_boot(p, j);
	part_disks(p, r, j->vm);
	part_header(p, j->vm);
	part_state(p, j->vm);
	part_why(p, j);
	part_later(p, j);
	part_here(p, r);
	part_next(p, j);
}

/* 7 > 8 > 6 > 5 > 4 > 0 */
static unsigned weight(unsigned code)
{
	static const unsigned char weights[] = { [0] = 0, [4] = 1, [5] = 2, [6] = 3, [8] = 4, [7] = 5 };

	return code < sizeof(weights) ? weights[code] : 0;
}

unsigned diagnose_exit(const struct rescue *r)
{
	unsigned worst = 0;

	for (size_t i = 0; i < r->nvms; i++)
		if (weight(r->judged[i]->exit_code) > weight(worst))
			worst = r->judged[i]->exit_code;
	return r->nvms ? worst : 3;
}

/* Where there is no machine the disks are still described. */
static int no_machine(const struct rescue *r, FILE *f)
{
	struct page p = { 0 };
	int ret;

	page_add(&p, RANK_MUST, "", INDENT, "NO MACHINE: no root and no /boot of a failed system on these disks");
	for (size_t i = 0; i < r->graph.n; i++) {
		const struct node *n = r->graph.nodes[i];
		char size[16];

		str_size(n->size, size);
		if (n->kind == KIND_DISK || *n->fmt || n->opaque == 1)
			page_addf(&p, R_LOW, i ? INDENT : "disks  ", INDENT "  ", "%s %s %s%s%s", n->name, size, n->kind == KIND_BEK ? "BEK VOLUME" : *n->fmt ? n->fmt : n->opaque == 1 ? "SCRAMBLED" : "nothing recognised",
				  n->state == NODE_OPEN ? "" : ", ", n->state == NODE_OPEN ? "" : *n->why.msg ? n->why.msg : node_state_name(n->state));
	}
	page_add(&p, R_HIGH, "next   ", INDENT, "attach the OS disk of the failed VM as well: ADE's state lies on it");
	page_fit(&p, MAX_LINES - 1, MAX_BYTES - 80);
	ret = page_print(&p, f);
	page_done(&p);
	text_last_line(NULL, 3, f);
	return ret;
}

/* -v: all that could not be read, and every row that could not be told. */
static void part_gaps(struct page *p, const struct judgement *j)
{
	for (size_t i = 0; i < j->vm->ngaps; i++)
		page_addf(p, R_LEAST, i ? INDENT : "unread ", INDENT, "%s%s%s: %s", j->vm->gaps[i].node ? j->vm->gaps[i].node->name : "",
			  j->vm->gaps[i].node ? ":" : "", j->vm->gaps[i].path ? j->vm->gaps[i].path : "", j->vm->gaps[i].why ? j->vm->gaps[i].why : "");
	for (size_t i = 0; j->verdict != VERDICT_UNKNOWN && i < j->nunknown; i++)
		page_add(p, R_LEAST, i ? INDENT : "untold ", INDENT, j->unknown[i]);
}

static int one_machine(const struct rescue *r, const struct judgement *j, FILE *f)
{
	struct page p = { 0 };
	int ret;

	machine_page(&p, r, j);
	if (r->opt.verbose)
		part_gaps(&p, j);
	else
		page_fit(&p, MAX_LINES - 1, MAX_BYTES - 150);
	ret = page_print(&p, f);
	page_done(&p);
	return ret;
}

int text_diagnose(const struct rescue *r, FILE *f)
{
	int ret = 0;

	if (!r->nvms)
		return no_machine(r, f);
	/* the most severe last: it survives a cut of the output */
	for (unsigned w = 0; ret == 0 && w <= 5; w++)
		for (size_t i = 0; ret == 0 && i < r->nvms; i++)
			if (weight(r->judged[i]->exit_code) == w) {
				ret = one_machine(r, r->judged[i], f);
				if (r->nvms > 1)
					fputc('\n', f);
			}
	for (unsigned w = 0; w <= 5; w++)
		for (size_t i = 0; i < r->nvms; i++)
			if (weight(r->judged[i]->exit_code) == w)
				text_last_line(r->judged[i], r->judged[i]->exit_code, f);
	return ret || fflush(f) ? -EIO : 0;
}
