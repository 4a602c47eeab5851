/* SPDX-License-Identifier: Apache-2.0 */
/* What is there and what of it is needed. */
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/prune_own.h"

/* ---- whether it may be decided at all ---- */

static int
refuse(const struct bkp_repository *repository,
    const struct bkp_history_finding *finding, struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "%s: nothing is deleted while something is wrong with the "
	    "snapshots: %s",
	    repository->store->location, finding->text);
}

/* Of a snapshot that cannot be read nobody knows what it needs, whoever says
 * that it does not matter; it goes by being removed by name, which comes before
 * what a dry run stands for. */
static int
check_history(const struct bkp_repository *repository,
    const struct bkp_history *history, const struct bkp_prune_limits *limits,
    struct bkp_error *err)
{
	for (size_t i = 0; i < history->count; i++) {
		const struct bkp_history_finding *finding =
		    &history->findings[i];

		if (finding->is_note ||
		    (limits->is_acknowledged &&
			(finding->kind != BKP_HISTORY_DAMAGED ||
			    limits->is_dry_run)))
			continue;
		return refuse(repository, finding, err);
	}
	return 0;
}

struct misses {
	const struct bkp_repository *repository;
	const struct bkp_prune_limits *limits;
	uint64_t count;
};

/* Behind a list chunk that is missing there may be anything. */
static int
note_missing(void *arg, const char *snapshot, const char *path,
    const struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	struct misses *misses = arg;
	struct fmt_buf text = FMT_BUF_INIT;
	char hex[2 * FMT_ID_SIZE + 1];

	misses->count++;
	if (misses->limits->is_acknowledged && path != NULL)
		return 0;
	fmt_hex(ref->id, FMT_ID_SIZE, hex);
	if (path != NULL)
		(void)fmt_path_escape(path, &text);
	(void)bkp_fail(err, BKP_CORRUPT,
	    "%s: nothing is deleted while something is missing: snapshot "
	    "%.12s: %s: chunk %.12s; run backup-check --repair",
	    misses->repository->store->location, snapshot,
	    path == NULL || fmt_buf_text(&text) == NULL ? "its entry list"
							: (char *)text.data,
	    hex);
	fmt_buf_free(&text);
	return -1;
}

/* ---- reading ---- */

static bool
is_left_out(const struct bkp_prune_limits *limits, const char *name)
{
	for (size_t i = 0; i < limits->without_count; i++)
		if (strcmp(limits->without[i], name) == 0)
			return true;
	return false;
}

static int
mark_all(struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, const struct bkp_cancel *cancel,
    struct bkp_survey *survey, struct bkp_error *err)
{
	struct misses misses = {repository, limits, 0};
	const struct bkp_snapshots *all = &survey->history.snapshots;

	for (size_t i = 0; i < all->count; i++) {
		if (bkp_cancel_is_requested(cancel))
			return bkp_fail(err, BKP_CANCELLED, "cancelled");
		if (is_left_out(limits, all->items[i].name))
			continue;
		if (bkp_reach_add(survey->reach, &all->items[i], note_missing,
			&misses, err) < 0)
			return -1;
	}
	survey->missing = misses.count;
	return 0;
}

/* What a snapshot needs is in the index before the snapshot is there, and in
 * the packs before it is in the index; so they are read the other way. */
static int
read_all(struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, const struct bkp_cancel *cancel,
    struct bkp_survey *survey, struct bkp_error *err)
{
	if (bkp_history_read(repository, &survey->history, err) < 0 ||
	    check_history(repository, &survey->history, limits, err) < 0)
		return -1;
	bkp_index_set_clear(&repository->index);
	if (bkp_repository_load_index(repository, err) < 0 ||
	    bkp_condemned_load(repository, &survey->condemned, err) < 0 ||
	    bkp_stored_packs_list(repository->store, &survey->stored, err) <
		0 ||
	    bkp_index_set_check_packs(
		&repository->index, repository->store, err) < 0)
		return -1;
	if (bkp_reach_new_under(
		repository, &survey->condemned, &survey->reach, err) < 0 ||
	    mark_all(repository, limits, cancel, survey, err) < 0)
		return -1;
	return bkp_reach_packs(
	    survey->reach, &survey->packs, &survey->pack_count, err);
}

int
bkp_survey_make(struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, const struct bkp_cancel *cancel,
    struct bkp_survey *out, struct bkp_error *err)
{
	struct bkp_survey survey = BKP_SURVEY_INIT;

	if (read_all(repository, limits, cancel, &survey, err) < 0) {
		bkp_survey_free(&survey);
		return -1;
	}
	*out = survey;
	return 0;
}

void
bkp_survey_free(struct bkp_survey *survey)
{
	bkp_history_free(&survey->history);
	bkp_condemned_free(&survey->condemned);
	bkp_stored_packs_free(&survey->stored);
	bkp_reach_free(survey->reach);
	free(survey->packs);
	*survey = (struct bkp_survey)BKP_SURVEY_INIT;
}

static int
compare_packs(const void *a, const void *b)
{
	const struct bkp_reach_pack *pack = b;

	return memcmp(a, pack->name, sizeof(pack->name));
}

const struct bkp_reach_pack *
bkp_survey_find(const struct bkp_survey *survey, const unsigned char name[32])
{
	return survey->pack_count > 0
		   ? bsearch(name, survey->packs, survey->pack_count,
			 sizeof(*survey->packs), compare_packs)
		   : NULL;
}
