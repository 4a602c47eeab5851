/* SPDX-License-Identifier: Apache-2.0 */
/* A check as an operation: the repository opened, checked, and the findings
 * handed out. */
#include "libbackup/check.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/repository/archive_view.h"
#include "libbackup/repository/repair.h"
#include "libbackup/store/store_parity.h"

#define ROUNDS 8 /* of repair, at the most */

/* What the result's texts live in. */
struct memory {
	const struct bkp_check_options *options; /* while it runs */
	struct bkp_repository *repository;
	struct bkp_repository *first; /* of `presence`, once there is another */
	unsigned looks;
	struct bkp_run *run;
	struct bkp_checker checker;
	struct bkp_check_packs earlier; /* owned: of the check before */
	uint64_t packs_read, bytes_read, chunks_read; /* in earlier ones */
	struct bkp_repair repair;
	struct bkp_presence *presence; /* NULL: no repair */
	struct bkp_finding *findings;  /* owned */
	struct bkp_repair_step *steps; /* owned */
};

static void
free_memory(struct memory *memory)
{
	if (memory == NULL)
		return;
	bkp_presence_end(memory->presence);
	bkp_repair_free(&memory->repair);
	bkp_checker_free(&memory->checker);
	bkp_repository_close(memory->repository);
	bkp_repository_close(memory->first);
	bkp_run_free(memory->run);
	free(memory->earlier.items);
	free(memory->findings);
	free(memory->steps);
	free(memory);
}

static int
compare_findings(const void *a, const void *b)
{
	const struct bkp_finding *x = a, *y = b;
	int order;

	if (x->level != y->level)
		return x->level > y->level ? -1 : 1;
	order = strcmp(x->kind, y->kind);
	return order != 0 ? order : strcmp(x->object, y->object);
}

static int
hand_out(struct memory *memory, struct bkp_check_result *result,
    struct bkp_error *err)
{
	const struct bkp_finding_list *list = &memory->checker.findings;
	uint64_t *counts[] = {
	    &result->notes, &result->warnings, &result->damage};

	memory->findings =
	    bkp_alloc_array(list->count + 1, sizeof(*memory->findings), err);
	if (memory->findings == NULL)
		return -1;
	for (size_t i = 0; i < list->count; i++) {
		const struct bkp_finding_item *item = &list->items[i];

		memory->findings[i] = (struct bkp_finding){item->level,
		    item->kind, item->object, item->text, item->hurt,
		    item->hurt_count, item->hurt_total};
		(*counts[item->level])++;
	}
	if (list->count > 1)
		qsort(memory->findings, list->count, sizeof(*memory->findings),
		    compare_findings);
	result->findings = memory->findings;
	result->finding_count = list->count;
	return 0;
}

static int
hand_out_steps(struct memory *memory, struct bkp_check_result *result,
    struct bkp_error *err)
{
	const struct bkp_repair *repair = &memory->repair;

	memory->steps =
	    bkp_alloc_array(repair->count + 1, sizeof(*memory->steps), err);
	if (memory->steps == NULL)
		return -1;
	for (size_t i = 0; i < repair->count; i++)
		memory->steps[i] =
		    (struct bkp_repair_step){repair->items[i].state,
			repair->items[i].object, repair->items[i].text};
	result->steps = memory->steps;
	result->step_count = repair->count;
	return 0;
}

static void
fill_counts(const struct memory *memory, struct bkp_check_result *result)
{
	const struct bkp_checker *checker = &memory->checker;

	result->snapshots = checker->history.snapshots.count;
	result->entries = checker->entries;
	result->hurt_snapshots = checker->findings.snapshot_count;
	result->indexes = memory->repository->index.count;
	result->packs = checker->packs.stored;
	result->pack_bytes = checker->packs.stored_bytes;
	result->packs_read = memory->packs_read + checker->packs_read;
	result->bytes_read = memory->bytes_read + checker->bytes_read;
	result->chunks_read = memory->chunks_read + checker->chunks_read;
	/* That something is there is what a check begins with. */
	result->is_clean = result->damage == 0;
}

/* ---- the course ---- */

static int
open_repository(struct memory *memory, struct bkp_error *err)
{
	const struct bkp_config *config = memory->options->config;
	struct bkp_keys keys = BKP_KEYS_INIT;

	if (config->repository == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "no repository is named; give 'repository:' in the "
		    "configuration or --repository");
	bkp_config_keys(config, &keys);
	if (bkp_repository_open(
		config->repository, &keys, &memory->repository, err) < 0 ||
	    bkp_archive_view_refuse(memory->repository, "check", err) < 0)
		return -1;
	bkp_repository_without_cache(memory->repository);
	return 0;
}

static int
check_once(struct memory *memory, struct bkp_error *err)
{
	struct bkp_checker *checker = &memory->checker;

	bkp_checker_init(checker, memory->repository, memory->run);
	checker->earlier = memory->earlier;
	checker->is_again = memory->looks++ > 0;
	memory->earlier = (struct bkp_check_packs){.items = NULL};
	checker->read_percent = memory->options->read_percent;
	checker->max_age_s = memory->options->max_age_s;
	checker->budget = memory->options->budget;
	checker->error_correction = memory->options->config->error_correction;
	memory->repair.checker = checker;
	return bkp_checker_run(checker, err);
}

/* After a repair nothing is as it was loaded: index, keys, snapshots. */
static int
check_again(struct memory *memory, struct bkp_error *err)
{
	struct bkp_repository *before = memory->repository;

	memory->packs_read += memory->checker.packs_read;
	memory->bytes_read += memory->checker.bytes_read;
	memory->chunks_read += memory->checker.chunks_read;
	memory->earlier = memory->checker.packs;
	memory->checker.packs = (struct bkp_check_packs){.items = NULL};
	bkp_checker_free(&memory->checker);
	bkp_checker_init(&memory->checker, NULL, memory->run);
	memory->repository = NULL;
	/* The presence goes on with the one it was begun with. */
	if (open_repository(memory, err) < 0) {
		memory->repository = before;
		return -1;
	}
	if (memory->presence != NULL && memory->first == NULL)
		memory->first = before;
	else
		bkp_repository_close(before);
	return check_once(memory, err);
}

static size_t
count_damage(const struct bkp_checker *checker)
{
	size_t count = 0;

	for (size_t i = 0; i < checker->findings.count; i++)
		count += checker->findings.items[i].level == BKP_FINDING_DAMAGE;
	return count;
}

/* Packs that were not what they should be and now are. */
static int
note_unsteady(
    struct memory *memory, size_t before, size_t after, struct bkp_error *err)
{
	if (after >= before)
		return 0;
	return bkp_finding_add(&memory->checker.findings, NULL,
	    BKP_FINDING_WARNING, "unsteady", "packs/", err,
	    "%s %s damaged when read first and %s good now: the store does "
	    "not always give what it holds",
	    bkp_counted(before - after, "pack").text, bkp_were(before - after),
	    bkp_are(before - after));
}

static size_t
count_bad_packs(const struct bkp_check_packs *packs)
{
	size_t count = 0;

	for (size_t i = 0; i < packs->count; i++)
		count += packs->items[i].is_stored &&
			 packs->items[i].state != BKP_PACK_GOOD;
	return count;
}

/* Somebody may have been at work, or a read have gone wrong: nobody shall be
 * alarmed, and nothing be repaired, for that. */
static int
look_twice(struct memory *memory, struct bkp_error *err)
{
	size_t before = count_bad_packs(&memory->checker.packs);

	if (count_damage(&memory->checker) == 0 && before == 0)
		return 0;
	if (check_again(memory, err) < 0)
		return -1;
	return note_unsteady(
	    memory, before, count_bad_packs(&memory->checker.packs), err);
}

/* What a repair stores has error correction from the beginning. A build that
 * knows none repairs what it can all the same. */
static bool
keep_parity(struct memory *memory)
{
	unsigned percent = memory->options->config->error_correction;
	struct bkp_error problem = BKP_ERROR_INIT;

	if (percent == 0)
		return false;
	if (bkp_store_parity_set(
		memory->repository->store, percent, &problem) == 0)
		return true;
	bkp_run_message(memory->run, BKP_WARNING, NULL, "%s", problem.message);
	return false;
}

/* What was stored before this host kept error correction gets some now. */
static int
complete_parity(struct memory *memory, struct bkp_error *err)
{
	const struct bkp_config *config = memory->options->config;
	size_t added = 0;

	if (bkp_repository_complete_parity(
		memory->repository, config->error_correction, &added, err) < 0)
		return -1;
	if (added == 0)
		return 0;
	bkp_run_message(memory->run, BKP_INFO, NULL,
	    "error correction was added for %zu %s", added,
	    added == 1 ? "object" : "objects");
	return check_again(memory, err);
}

static int
repair_in_rounds(struct memory *memory, struct bkp_error *err)
{
	bool is_real = memory->presence != NULL, keeps_parity = false;

	for (int round = 0; round < ROUNDS; round++) {
		keeps_parity = is_real && keep_parity(memory);
		if (bkp_repair_round(&memory->repair, err) < 0)
			return bkp_fail_in(err, "repairing");
		if (!is_real || memory->repair.done == 0)
			break;
		if (check_again(memory, err) < 0)
			return -1;
	}
	return keeps_parity ? complete_parity(memory, err) : 0;
}

static int
repair(struct memory *memory, struct bkp_error *err)
{
	int rc;

	memory->repair.accepts_loss = memory->options->accepts_loss != 0;
	if (memory->options->is_repair &&
	    bkp_repair_begin(memory->repository, &memory->presence, err) < 0)
		return -1;
	memory->repair.presence = memory->presence;
	rc = repair_in_rounds(memory, err);
	bkp_presence_end(memory->presence);
	memory->presence = NULL;
	return rc;
}

int
bkp_check(const struct bkp_check_options *options,
    struct bkp_check_result *result, struct bkp_error *err)
{
	struct memory *memory = bkp_alloc(sizeof(*memory), err);
	struct bkp_check_result found = {.is_clean = 0};
	uint64_t began_ms = bkp_clock_ms();

	if (memory == NULL)
		return -1;
	memory->options = options;
	bkp_checker_init(&memory->checker, NULL, NULL);
	bkp_repair_init(&memory->repair, &memory->checker);
	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &memory->run, err) < 0 ||
	    open_repository(memory, err) < 0 || check_once(memory, err) < 0 ||
	    look_twice(memory, err) < 0 || repair(memory, err) < 0 ||
	    hand_out(memory, &found, err) < 0 ||
	    hand_out_steps(memory, &found, err) < 0) {
		free_memory(memory);
		return -1;
	}
	fill_counts(memory, &found);
	found.duration_ms = bkp_clock_ms() - began_ms;
	found.memory = memory;
	*result = found;
	return 0;
}

void
bkp_check_result_free(struct bkp_check_result *result)
{
	free_memory(result->memory);
	*result = (struct bkp_check_result){.is_clean = 0};
}
