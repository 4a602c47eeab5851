/* SPDX-License-Identifier: Apache-2.0 */
/* A check as an operation: the repository opened, checked, and the findings
 * handed out. */
#include "libbackup/check.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/repository/checker.h"

/* What the result's texts live in. */
struct memory {
	struct bkp_repository *repository;
	struct bkp_run *run;
	struct bkp_checker checker;
	struct bkp_finding *findings; /* owned */
};

static void
free_memory(struct memory *memory)
{
	if (memory == NULL)
		return;
	bkp_checker_free(&memory->checker);
	bkp_repository_close(memory->repository);
	bkp_run_free(memory->run);
	free(memory->findings);
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

static void
fill_counts(const struct memory *memory, struct bkp_check_result *result)
{
	const struct bkp_checker *checker = &memory->checker;

	result->snapshots = checker->history.snapshots.count;
	result->entries = checker->entries;
	result->hurt_snapshots = checker->hurt_snapshots;
	result->indexes = memory->repository->index.count;
	result->packs = checker->packs.stored;
	result->pack_bytes = checker->packs.stored_bytes;
	result->packs_read = checker->packs_read;
	result->bytes_read = checker->bytes_read;
	result->chunks_read = checker->chunks_read;
	/* That something is there is what a check begins with. */
	result->is_clean = result->damage == 0;
}

static int
open_repository(struct memory *memory, const struct bkp_check_options *options,
    struct bkp_error *err)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	if (options->config->repository == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "no repository is named; give 'repository:' in the "
		    "configuration or --repository");
	bkp_config_keys(options->config, &keys);
	return bkp_repository_open(
	    options->config->repository, &keys, &memory->repository, err);
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
	bkp_checker_init(&memory->checker, NULL, NULL);
	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &memory->run, err) < 0 ||
	    open_repository(memory, options, err) < 0)
		goto fail;
	bkp_repository_without_cache(memory->repository);
	memory->checker.repository = memory->repository;
	memory->checker.run = memory->run;
	memory->checker.read_percent = options->read_percent;
	memory->checker.max_age_s = options->max_age_s;
	memory->checker.budget = options->budget;
	if (bkp_checker_run(&memory->checker, err) < 0 ||
	    hand_out(memory, &found, err) < 0)
		goto fail;
	fill_counts(memory, &found);
	found.duration_ms = bkp_clock_ms() - began_ms;
	found.memory = memory;
	*result = found;
	return 0;
fail:
	free_memory(memory);
	return -1;
}

void
bkp_check_result_free(struct bkp_check_result *result)
{
	free_memory(result->memory);
	*result = (struct bkp_check_result){.is_clean = 0};
}
