/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A verification:
 *
 *   for every source of the snapshot
 *     make a scratch place and restore into it (or take the live place)
 *     run the source over that place with a sink that only digests
 *     compare what it sees, entry by entry, with what was recorded
 *     examine it: what no single entry tells
 *     replay the erasures that were recorded since, as a restore would
 *     see whether what the configuration asserts holds of it
 *
 * A kind that has no scratch place is proven by digest only: every byte is
 * read back, decrypted, decompressed and digested (verify_digest.c), and the
 * verdict says that this is less.
 */
#include "libbackup/operations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/operations/content.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/room.h"
#include "libbackup/operations/verify_impl.h"
#include "libbackup/source/bucket_folder.h"

/* ---- a scratch place ---- */

/* Where there is less, it was a lack of room. */
#define LEAST_ROOM ((uint64_t)16 * 1024 * 1024)

/* A server that has no room for its log ends in the middle of a sentence. */
static bool
is_without_room(const struct bkp_verify *verify,
    const struct bkp_chosen *chosen, const struct bkp_error *error)
{
	/* Programs of PostgreSQL have no more than words for it. */
	return error->sys == ENOSPC ||
	       strstr(error->message, "No space left on device") != NULL ||
	       (bkp_scratch_is_in_folder(chosen, &verify->choice) &&
		   !bkp_place_has_room(verify->folder.path, LEAST_ROOM));
}

/* But for a cancelled run and one without memory or room, where nothing is
 * known about the snapshot. */
static bool
is_about_the_snapshot(const struct bkp_verify *verify,
    const struct bkp_chosen *chosen, const struct bkp_error *error)
{
	return error->code != BKP_CANCELLED && error->code != BKP_NOMEM &&
	       !is_without_room(verify, chosen, error);
}

int
bkp_verify_judge_error(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, const struct bkp_error *error,
    struct bkp_error *err)
{
	if (is_about_the_snapshot(verify, chosen, error))
		return bkp_verdict_add(verify->verdict, BKP_CHECK_FAIL, err,
		    chosen->source->prefix, "%s", error->message);
	if (err != NULL)
		*err = *error;
	if (!is_without_room(verify, chosen, error))
		return -1;
	if (!bkp_scratch_is_in_folder(chosen, &verify->choice))
		return bkp_fail_in(
		    err, "the server for scratch databases has no more room");
	return bkp_fail_in(err,
	    "%s has no more room (--scratch-directory names another folder)",
	    verify->folder.path);
}

/* ---- what no entry tells ---- */

static int
take_remark(void *arg, enum bkp_remark remark, const char *name,
    const char *what, struct bkp_error *err)
{
	static const enum bkp_check_status statuses[] = {
	    [BKP_REMARK_GOOD] = BKP_CHECK_PASS,
	    [BKP_REMARK_BAD] = BKP_CHECK_FAIL,
	    [BKP_REMARK_UNTRIED] = BKP_CHECK_SKIP};
	struct bkp_verify *verify = arg;

	return bkp_verdict_add(
	    verify->verdict, statuses[remark], err, name, "%s", what);
}

static int
examine_kind(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	if (chosen->kind->examine == NULL)
		return 0;
	return chosen->kind->examine(place, supply,
	    verify->options->mode == BKP_VERIFY_SCRATCH, take_remark, verify,
	    err);
}

/* In this order, each of a source that is where it can be asked. */
static bkp_examine_fn *const examinations[] = {
    examine_kind, bkp_verify_references, NULL};

static int
examine(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	for (size_t i = 0; examinations[i] != NULL; i++)
		if (examinations[i](verify, chosen, supply, place, err) < 0)
			return -1;
	return 0;
}

static int
restore(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	uint64_t began_ms = bkp_clock_ms();
	int rc =
	    bkp_scratch_restore(chosen, supply, &verify->selected, place, err);

	verify->recovery_ms += bkp_clock_ms() - began_ms;
	return rc;
}

/* Of tables that were made for rows of theirs alone. */
static int
tell_bare(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_error *err)
{
	const char *path = bkp_verify_rows_of(chosen);
	char *name;
	int rc = -1;

	if (path == NULL)
		return 0;
	if ((name = bkp_format(err, "%s/constraints", path)) != NULL)
		rc = bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err, name,
		    "not made, nor indexes and triggers, for rows alone were "
		    "chosen: a verification of the database tries them");
	free(name);
	return rc;
}

static int
prove_in_scratch(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_scratch *scratch,
    struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;
	const struct bkp_source_config *place = &scratch->place;

	if (restore(verify, chosen, supply, place, &error) == 0 &&
	    bkp_verify_note_omissions(verify, &error) == 0 &&
	    bkp_verify_compare(verify, chosen, supply, place, &error) == 0 &&
	    examine(verify, chosen, supply, place, &error) == 0) {
		if (tell_bare(verify, chosen, err) < 0 ||
		    bkp_verify_replay(verify, chosen, supply, place, err) < 0)
			return -1;
		return bkp_verify_assertions(
		    verify, chosen, supply, place, err);
	}
	return bkp_verify_judge_error(verify, chosen, &error, err);
}

/* What can only be read back takes at least as long to be recovered. */
static int
read_back(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const char *why, struct bkp_error *err)
{
	uint64_t began_ms = bkp_clock_ms();
	int rc = bkp_verify_digests(verify, chosen, supply, why, err);

	verify->read_back++;

	verify->recovery_ms += bkp_clock_ms() - began_ms;
	return rc;
}

/* With the place that was made; of one below our folder it was asked before
 * there was any. */
static int
check_place(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_scratch *scratch,
    struct bkp_error *err)
{
	if (!bkp_scratch_is_in_folder(chosen, &verify->choice) &&
	    bkp_room_look_for_drill(chosen, &verify->selected, &scratch->place,
		verify->run, err) < 0)
		return -1;
	return scratch->ops->check == NULL
		   ? 0
		   : scratch->ops->check(scratch, supply, err);
}

static int
verify_scratch(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	struct bkp_scratch *scratch = NULL;
	const char *obstacle;
	int rc;

	if (bkp_verify_obstacle(verify, chosen, supply, &obstacle, err) < 0)
		return -1;
	if (obstacle != NULL)
		return read_back(verify, chosen, supply, obstacle, err);
	if ((bkp_scratch_is_in_folder(chosen, &verify->choice) &&
		bkp_scratch_check_room(
		    chosen, &verify->selected, verify->folder.path, err) < 0) ||
	    bkp_scratch_make(chosen, &verify->choice, verify->folder.path,
		verify->run, &scratch, err) < 0)
		return -1;
	if (scratch == NULL)
		return read_back(verify, chosen, supply, NULL, err);
	if (scratch->place.kind == BKP_KIND_POSTGRES)
		scratch->place.postgres.is_heapallindexed =
		    verify->limits.is_heapallindexed;
	/* A folder takes no attributes: that is less than a restore. */
	if (chosen->kind == &bkp_kind_bucket_folder)
		verify->read_back++;
	else
		verify->restored++;
	rc = check_place(verify, chosen, supply, scratch, err);
	if (rc == 0)
		rc = prove_in_scratch(verify, chosen, supply, scratch, err);
	scratch->ops->close(scratch);
	return rc;
}

/* As far as the level and the budget go. */
static int
verify_as_far(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	enum bkp_verify_level level = bkp_verify_level_of(verify, chosen);

	if (level != BKP_LEVEL_FULL)
		return bkp_verify_less(verify, chosen, supply, level, err);
	if (verify_scratch(verify, chosen, supply, err) < 0)
		return -1;
	verify->proven_bytes += verify->selected.bytes;
	return 0;
}

static int
verify_live(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	if (chosen->config == NULL)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_FAIL, err,
		    chosen->source->prefix,
		    "the configuration has no such source to compare with");
	if (chosen->kind->scratch_open == NULL)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err,
		    chosen->source->prefix,
		    "running it again would not give the same bytes; "
		    "without --live its digests are checked");
	if (bkp_verify_compare(verify, chosen, supply, chosen->config, err) < 0)
		return -1;
	return examine(verify, chosen, supply, chosen->config, err);
}

static int
verify_part(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_error *err)
{
	struct bkp_supply *supply = NULL;
	int rc = -1;

	if (bkp_run_check(verify->run, err) < 0)
		return -1;
	if (bkp_supply_new(verify->run, verify->opened.repository,
		chosen->source, chosen->selection, &supply, err) < 0)
		return -1;
	if (bkp_opened_count(
		&verify->opened, chosen, supply, &verify->selected, err) < 0)
		rc = -1;
	else if (verify->options->mode == BKP_VERIFY_LIVE)
		rc = verify_live(verify, chosen, supply, err);
	else
		rc = verify_as_far(verify, chosen, supply, err);
	verify->bytes += verify->selected.bytes;
	verify->lost += bkp_supply_lost(supply);
	if (rc < 0)
		(void)bkp_fail_in(err, "%s", chosen->source->prefix);
	bkp_supply_free(supply);
	return rc;
}

/* Where time is short, databases go first. */
static int
verify_kinds(struct bkp_verify *verify, bool is_first, struct bkp_error *err)
{
	bool is_short = verify->limits.budget_ms > 0;

	for (size_t i = 0; i < verify->opened.chosen_count; i++) {
		const struct bkp_chosen *chosen = &verify->opened.chosen[i];

		if ((!is_short || chosen->kind->kind == BKP_KIND_POSTGRES) ==
			is_first &&
		    verify_part(verify, chosen, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the whole ---- */

void
bkp_verify_tally(struct bkp_verify *verify, enum bkp_source_kind kind,
    const struct fmt_entry *entry)
{
	json_int_t rows =
	    json_integer_value(json_object_get(entry->attrs, "rows"));

	if (rows > 0)
		verify->rows += (uint64_t)rows;
	if (kind == BKP_KIND_BUCKET && entry->has_content)
		verify->objects++;
	if (kind == BKP_KIND_FILES && entry->has_content)
		verify->files++;
}

static int
tell_recorded(struct bkp_verify *verify, struct bkp_verify_result *result,
    struct bkp_error *err)
{
	const struct bkp_omitted *omitted;
	size_t count;
	int rc = 0;

	omitted = bkp_opened_omissions(&verify->opened, &count);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		result->omission_count++;
		rc = bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err,
		    omitted[i].path,
		    "was left out when the backup was made: %s",
		    omitted[i].reason);
	}
	return rc;
}

/* What was left out is part of the verdict: now it is a failure to restore,
 * also where the backup had told something else about the same thing; when the
 * backup was made it was told, and is said again. */
static int
tell_omissions(struct bkp_verify *verify, struct bkp_verify_result *result,
    struct bkp_error *err)
{
	const struct bkp_omission *omissions;
	size_t count;

	omissions = bkp_run_omissions(verify->run, &count);
	for (size_t i = 0; i < count; i++) {
		int found = bkp_verify_is_excused(verify, &omissions[i], err);

		if (found < 0)
			return -1;
		if (found == 0 &&
		    bkp_verdict_add(verify->verdict, BKP_CHECK_FAIL, err,
			omissions[i].path, "%s", omissions[i].reason) < 0)
			return -1;
	}
	return tell_recorded(verify, result, err);
}

static void
end_verify(struct bkp_verify *verify)
{
	bkp_scratch_folder_close(&verify->folder);
	free(verify->named);
	bkp_verify_free_samples(verify);
	bkp_contents_free(verify->contents);
	bkp_replay_close(verify->replay);
	bkp_references_free(&verify->references);
	bkp_assertions_free(&verify->assertions);
	bkp_opened_fini(&verify->opened);
	bkp_verdict_free(verify->verdict);
	bkp_run_free(verify->run);
}

/* Objects become files. */
static void
choose_folder(struct bkp_opened *opened)
{
	for (size_t i = 0; i < opened->chosen_count; i++)
		if (opened->chosen[i].kind->kind == BKP_KIND_BUCKET)
			opened->chosen[i].kind = &bkp_kind_bucket_folder;
}

static int
begin_verify(struct bkp_verify *verify, struct bkp_error *err)
{
	const struct bkp_verify_options *options = verify->options;

	if (bkp_limits_of(options, &verify->limits, err) < 0 ||
	    bkp_references_new(options->config, &verify->references, err) < 0 ||
	    bkp_assertions_new(options->config, &verify->assertions, err) < 0)
		return -1;
	verify->began_ms = bkp_clock_ms();
	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &verify->run, err) < 0)
		return -1;
	if (bkp_opened_init(&verify->opened, options->config, options->snapshot,
		options->path, err) < 0)
		return -1;
	bkp_repository_without_cache(verify->opened.repository);
	if (bkp_opened_warn(&verify->opened, verify->run, err) < 0)
		return -1;
	if (bkp_verdict_new(&verify->verdict, err) < 0)
		return -1;
	if (bkp_contents_new(
		NULL, bkp_run_workers(verify->run), &verify->contents, err) < 0)
		return -1;
	if (options->mode == BKP_VERIFY_LIVE)
		return 0;
	verify->choice = (struct bkp_scratch_choice){
	    .server = options->server != NULL
			  ? options->server
			  : options->config->verification.server,
	    .may_be_source = options->may_be_source,
	    .objects = options->objects};
	if (options->objects == BKP_OBJECTS_FOLDER)
		choose_folder(&verify->opened);
	if (bkp_scratch_folder_open(&verify->folder, options->scratch_directory,
		"backup-verify", verify->run, err) < 0)
		return -1;
	/* What is not restored needs no room. */
	if (verify->limits.level != BKP_LEVEL_FULL ||
	    verify->limits.budget_ms > 0)
		return 0;
	return bkp_scratch_check_all(
	    &verify->opened, &verify->choice, verify->folder.path, err);
}

static int
finish_verify(struct bkp_verify *verify, uint64_t began_ms,
    struct bkp_verify_result *result, struct bkp_error *err)
{
	struct bkp_verify_result answer = {.rows = verify->rows,
	    .objects = verify->objects,
	    .files = verify->files,
	    .erasures = verify->erasures,
	    .erased_subjects = verify->erased_subjects,
	    .level = (enum bkp_verify_level)verify->limits.level,
	    .snapshot_time_us = verify->opened.snapshot.time_us,
	    .recovery_ms = verify->recovery_ms};
	const char *path = verify->options->path;

	if (bkp_verify_tell_references(verify, err) < 0 ||
	    bkp_verify_skip_assertions(verify, err) < 0 ||
	    tell_omissions(verify, &answer, err) < 0 ||
	    bkp_verify_times(verify, err) < 0 ||
	    bkp_verdict_finish(verify->verdict, &answer, err) < 0)
		return -1;
	verify->verdict = NULL; /* the result's now */
	memcpy(answer.snapshot, verify->opened.name, sizeof(answer.snapshot));
	answer.is_partial = verify->is_partial;
	answer.is_whole =
	    !verify->is_partial && (path == NULL || path[0] == '\0');
	answer.age_ms = bkp_snapshot_age_ms(&verify->opened.snapshot);
	answer.duration_ms = bkp_clock_ms() - began_ms;
	*result = answer;
	return 0;
}

/* For reports, and with the verdict that was just kept. The verdict stands
 * without it. */
static void
add_history(struct bkp_verify *verify, struct bkp_verify_result *result)
{
	struct bkp_error error = BKP_ERROR_INIT;

	if (verify->options->has_history &&
	    bkp_verdict_add_history(verify->opened.repository, result, &error) <
		0)
		bkp_run_message(verify->run, BKP_WARNING, NULL,
		    "the reports are without a history, which could not be "
		    "read: %s",
		    error.message);
}

int
bkp_verify(const struct bkp_verify_options *options,
    struct bkp_verify_result *result, struct bkp_error *err)
{
	struct bkp_verify verify = {
	    .options = options, .folder = BKP_SCRATCH_FOLDER_INIT};
	uint64_t began_ms = bkp_clock_ms();
	int rc = -1;

	if (begin_verify(&verify, err) < 0)
		goto out;
	if (verify_kinds(&verify, true, err) < 0 ||
	    verify_kinds(&verify, false, err) < 0)
		goto out;
	if (bkp_verify_drop(&verify, err) < 0)
		goto out;
	rc = finish_verify(&verify, began_ms, result, err);
	if (rc == 0) {
		bkp_verify_record(&verify, result);
		add_history(&verify, result);
	}
out:
	end_verify(&verify);
	return rc;
}
