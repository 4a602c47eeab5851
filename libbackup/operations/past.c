/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What once was, in a database to ask:
 *
 *   the snapshot, and which database of it is meant
 *   a scratch cluster, and that database restored into it
 *   whoever was erased in the application since, erased there, too
 *   (the caller asks it)
 *   the cluster and its folder removed, however it ended
 */
#include "libbackup/operations/past.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/sink.h"
#include "libbackup/postgres/names.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/subject/known.h"

/* ---- which database ---- */

static bool
is_meant(const struct bkp_chosen *chosen, const char *source)
{
	return chosen->kind->kind == BKP_KIND_POSTGRES &&
	       (source == NULL || strcmp(chosen->source->prefix, source) == 0);
}

static int
find_source(struct bkp_past *past, const struct bkp_subject_source *from,
    struct bkp_error *err)
{
	const struct bkp_opened *opened = &past->opened;
	const struct bkp_chosen *found = NULL, *configured = NULL;
	size_t count = 0, configured_count = 0;

	for (size_t i = 0; i < opened->chosen_count; i++) {
		const struct bkp_chosen *chosen = &opened->chosen[i];

		if (!is_meant(chosen, from->source))
			continue;
		found = chosen;
		count++;
		if (chosen->config != NULL) {
			configured = chosen;
			configured_count++;
		}
	}
	if (count > 1 && configured_count == 1)
		found = configured;
	else if (count > 1)
		return bkp_fail(err, BKP_INVALID,
		    "snapshot %.12s holds %zu postgres sources; say which with "
		    "--source",
		    opened->name, count);
	if (found == NULL)
		return bkp_fail(err, BKP_NOTFOUND,
		    "snapshot %.12s holds no database source%s%s; "
		    "'backup-list %.12s' shows what it holds",
		    opened->name, from->source != NULL ? " " : "",
		    from->source != NULL ? from->source : "", opened->name);
	past->chosen = *found;
	return 0;
}

/* The name that options or configuration give; NULL: none. */
static const char *
named_database(
    const struct bkp_past *past, const struct bkp_subject_source *from)
{
	const struct bkp_source_config *config = past->chosen.config;

	if (from->database != NULL)
		return from->database;
	if (config != NULL && config->postgres.databases.count == 1 &&
	    !config->postgres.all_databases)
		return config->postgres.databases.items[0];
	return NULL;
}

static const char *
member(const json_t *facts, const char *name)
{
	return json_string_value(json_object_get(facts, name));
}

static const json_t *
find_database(struct bkp_past *past, const char *name, struct bkp_error *err)
{
	const json_t *list =
	    json_object_get(past->chosen.source->info, "databases");
	size_t count = json_array_size(list);

	if (name == NULL && count == 1)
		return json_array_get(list, 0);
	for (size_t i = 0; name != NULL && i < count; i++) {
		const json_t *facts = json_array_get(list, i);
		const char *its = member(facts, "name");

		if (its != NULL && strcmp(its, name) == 0)
			return facts;
	}
	if (name == NULL && count > 0)
		(void)bkp_fail(err, BKP_INVALID,
		    "%s has %zu databases in snapshot %.12s; say which with "
		    "--database",
		    past->chosen.source->prefix, count, past->opened.name);
	else
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "snapshot %.12s holds no database%s%s of %s; 'backup-list "
		    "%.12s %s' shows what it holds",
		    past->opened.name, name != NULL ? " " : "",
		    name != NULL ? name : "", past->chosen.source->prefix,
		    past->opened.name, past->chosen.source->prefix);
	return NULL;
}

static int
choose(struct bkp_past *past, const struct bkp_subject_source *from,
    struct bkp_error *err)
{
	const json_t *facts;
	const char *path, *time;

	if (find_source(past, from, err) < 0)
		return -1;
	facts = find_database(past, named_database(past, from), err);
	if (facts == NULL)
		return -1;
	path = member(facts, "path");
	time = member(facts, "time");
	past->database = member(facts, "name");
	past->lsn = member(facts, "lsn");
	if (path == NULL || past->database == NULL || past->lsn == NULL ||
	    time == NULL || strlen(time) < 17)
		return bkp_fail(err, BKP_CORRUPT,
		    "snapshot %.12s does not tell of which moment database %s "
		    "is",
		    past->opened.name,
		    past->database != NULL ? past->database : "?");
	past->selection = bkp_strdup(path, err);
	past->time = bkp_strdup(time, err);
	past->chosen.selection = past->selection;
	return past->selection != NULL && past->time != NULL ? 0 : -1;
}

/* ---- the restore ---- */

/* What is left out is noted by the export, as far as it concerns it. */
static void
pass_message(
    void *arg, enum bkp_level level, const char *path, const char *text)
{
	const struct bkp_past *past = arg;

	if (level != BKP_OMISSION && past->events.message != NULL)
		past->events.message(past->events.arg, level, path, text);
}

static void
pass_progress(void *arg, const struct bkp_progress *progress)
{
	const struct bkp_past *past = arg;

	if (past->events.progress != NULL)
		past->events.progress(past->events.arg, progress);
}

static int
fail_restore(const struct bkp_past *past, struct bkp_error *err)
{
	size_t count;
	const struct bkp_omission *omissions =
	    bkp_run_omissions(past->run, &count);

	return bkp_fail(err, BKP_CORRUPT,
	    "snapshot %.12s does not give database %s back: %s: %s",
	    past->opened.name, past->database,
	    count > 0 ? omissions[0].path : past->selection,
	    count > 0 ? omissions[0].reason : "there is nothing of it");
}

static int
restore(struct bkp_past *past, struct bkp_error *err)
{
	struct bkp_amount amount = {0, 0};
	struct bkp_supply *supply = NULL;
	int rc = -1;

	if (bkp_supply_new(past->run, past->opened.repository,
		past->chosen.source, past->selection, &supply, err) < 0)
		return -1;
	if (bkp_opened_count(
		&past->opened, &past->chosen, supply, &amount, err) < 0 ||
	    bkp_scratch_check_room(
		&past->chosen, &amount, past->folder.path, err) < 0 ||
	    bkp_scratch_make(&past->chosen, NULL, past->folder.path, past->run,
		&past->scratch, err) < 0 ||
	    bkp_scratch_restore(
		&past->chosen, supply, &amount, &past->scratch->place, err) < 0)
		goto out;
	rc = bkp_supply_count(supply) > 0 ? 0 : fail_restore(past, err);
out:
	bkp_supply_free(supply);
	return rc;
}

/* ---- who was erased since ---- */

static int
replay(struct bkp_past *past, const struct bkp_subject_source *from,
    struct bkp_error *err)
{
	const struct bkp_replay_place place = {.source = past->chosen.source,
	    .database = past->database,
	    .config = bkp_past_place(past),
	    .name = past->database};
	struct bkp_replayed replayed = BKP_REPLAYED_INIT;

	if (past->opened.repository->archive != NULL) {
		bkp_run_message(
		    past->run, BKP_WARNING, NULL, BKP_REPLAY_NO_LEDGER);
		return 0;
	}
	if (bkp_replay_open(&past->opened, past->run, from->erasure_map,
		&past->replay, err) < 0)
		return -1;
	if (bkp_replay_count(past->replay, place.source, place.database) == 0)
		return 0;
	bkp_run_phase(past->run, 0, 0, "erasing who was erased since");
	if (bkp_replay_erasures(past->replay, &place, &replayed, err) < 0) {
		bkp_replayed_free(&replayed);
		return bkp_fail_in(err,
		    "erasing who was erased since (--erasure-map names "
		    "another version of the map)");
	}
	past->erased = replayed.erased;
	if (replayed.subjects > 0)
		bkp_run_message(past->run, BKP_INFO, past->selection,
		    "%s %s erased since, and %s not in it any more",
		    bkp_counted(replayed.subjects, "subject").text,
		    bkp_were(replayed.subjects), bkp_are(replayed.subjects));
	return 0;
}

const char *
bkp_past_when_erased(const struct bkp_past *past, struct bkp_walk *walk,
    const struct bkp_map *map, const char *const *key, size_t key_count,
    char text[32])
{
	struct bkp_known known = BKP_KNOWN_INIT;
	int64_t time_us = 0;
	time_t when;
	struct tm tm;

	if (past->replay == NULL ||
	    bkp_known_find(walk, key, key_count, &known, NULL) < 0)
		return NULL;
	(void)bkp_replay_when(past->replay, past->chosen.source, past->database,
	    map->table, (const char *const *)known.values.items,
	    known.values.count, &time_us, NULL);
	bkp_known_free(&known);
	when = (time_t)(time_us / 1000000);
	if (time_us == 0 || gmtime_r(&when, &tm) == NULL ||
	    strftime(text, 32, "%Y-%m-%d", &tm) == 0)
		return NULL;
	return text;
}

/* ---- */

static int
open_past(struct bkp_past *past, const struct bkp_subject_source *from,
    const struct bkp_cancel *cancel, bool is_for_rows, struct bkp_error *err)
{
	const struct bkp_events events = {past, pass_message, pass_progress};

	if (bkp_run_new(bkp_worker_count(from->config), &events, cancel,
		&past->run, err) < 0)
		return -1;
	bkp_run_phase(past->run, 0, 0, "opening the repository");
	if (bkp_opened_init(
		&past->opened, from->config, from->snapshot, NULL, err) < 0 ||
	    bkp_opened_warn(&past->opened, past->run, err) < 0 ||
	    bkp_opened_index(&past->opened, past->run, err) < 0 ||
	    choose(past, from, err) < 0)
		return -1;
	if (bkp_scratch_folder_open(&past->folder, from->scratch_directory,
		"backup-export", past->run, err) < 0)
		return -1;
	if (restore(past, err) < 0 ||
	    (is_for_rows && replay(past, from, err) < 0))
		return bkp_fail_in(err, "%s", past->selection);
	return 0;
}

int
bkp_past_open(const struct bkp_subject_source *from,
    const struct bkp_events *events, const struct bkp_cancel *cancel,
    bool is_for_rows, struct bkp_past **out, struct bkp_error *err)
{
	struct bkp_past *past = bkp_alloc(sizeof(*past), err);

	if (past == NULL)
		return -1;
	past->opened = (struct bkp_opened)BKP_OPENED_INIT;
	past->folder = (struct bkp_scratch_folder)BKP_SCRATCH_FOLDER_INIT;
	past->erased = (struct bkp_erased)BKP_ERASED_INIT;
	past->events = *events;
	if (open_past(past, from, cancel, is_for_rows, err) < 0) {
		bkp_past_close(past);
		return -1;
	}
	*out = past;
	return 0;
}

void
bkp_past_close(struct bkp_past *past)
{
	if (past == NULL)
		return;
	if (past->scratch != NULL)
		past->scratch->ops->close(past->scratch);
	bkp_scratch_folder_close(&past->folder);
	bkp_erased_free(&past->erased);
	bkp_replay_close(past->replay);
	free(past->selection);
	free(past->time);
	bkp_opened_fini(&past->opened);
	bkp_run_free(past->run);
	free(past);
}

const struct bkp_postgres_config *
bkp_past_place(const struct bkp_past *past)
{
	return &past->scratch->place.postgres;
}

/* ---- what it lacks ---- */

/* Reads `"schema"."name"` as the component of a path. */
static enum fmt_status
leaf_path(const char *quoted, struct fmt_buf *out)
{
	struct fmt_buf names[2] = {FMT_BUF_INIT, FMT_BUF_INIT};
	enum fmt_status status = FMT_OK;
	size_t at = 0;
	bool is_within = false;

	for (; *quoted != '\0' && status == FMT_OK; quoted++) {
		if (*quoted == '.' && !is_within) {
			at = 1;
			continue;
		}
		if (*quoted == '"' && !(is_within && quoted[1] == '"')) {
			is_within = !is_within;
			continue;
		}
		quoted += *quoted == '"';
		status =
		    fmt_buf_append_byte(&names[at], (unsigned char)*quoted);
	}
	if (status == FMT_OK && (fmt_buf_text(&names[0]) == NULL ||
				    fmt_buf_text(&names[1]) == NULL))
		status = FMT_NOMEM;
	if (status == FMT_OK)
		status = bkp_pg_path_table(out, (const char *)names[0].data,
		    (const char *)names[1].data);
	fmt_buf_free(&names[0]);
	fmt_buf_free(&names[1]);
	return status;
}

/* The table of the model whose rows, or some of them, have this path; SIZE_MAX:
 * none. 0 or -1. */
static int
find_table(const struct bkp_model *model, const char *path, size_t *out,
    struct bkp_error *err)
{
	struct fmt_buf its = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;

	*out = SIZE_MAX;
	for (size_t i = 0; i < model->table_count && *out == SIZE_MAX; i++)
		for (size_t k = 0; k < model->tables[i].leaf_count; k++) {
			fmt_buf_clear(&its);
			status =
			    leaf_path(model->tables[i].leaves[k].quoted, &its);
			if (status == FMT_OK && fmt_buf_text(&its) == NULL)
				status = FMT_NOMEM;
			if (status != FMT_OK)
				goto out;
			if (strcmp((const char *)its.data, path) == 0)
				*out = i;
		}
out:
	fmt_buf_free(&its);
	return status == FMT_OK ? 0
				: bkp_fail_nomem(err, "telling what is lost");
}

/* 1 where it is of a table that is nothing to the walk; 0 or -1. */
static int
is_elsewhere(const struct bkp_past *past, const struct bkp_walk *walk,
    const char *path, struct bkp_error *err)
{
	size_t len = strlen(past->selection), table;

	if (walk == NULL || strncmp(path, past->selection, len) != 0 ||
	    strncmp(path + len, "/data/", 6) != 0)
		return 0;
	if (find_table(bkp_walk_model(walk), path + len + 6, &table, err) < 0)
		return -1;
	return table != SIZE_MAX && !bkp_walk_uses(walk, table);
}

static int
note(const struct bkp_past *past, const struct bkp_walk *walk,
    struct bkp_run *run, const char *path, const char *reason,
    struct bkp_error *err)
{
	struct fmt_buf escaped = FMT_BUF_INIT;
	const char *text;
	int elsewhere = is_elsewhere(past, walk, path, err);
	int rc = -1;

	if (elsewhere < 0)
		return -1;
	if (fmt_path_escape(path, &escaped) != FMT_OK ||
	    (text = fmt_buf_text(&escaped)) == NULL) {
		(void)bkp_fail_nomem(err, "telling what is lost");
	} else if (elsewhere > 0) {
		bkp_run_message(run, BKP_WARNING, text,
		    "%s; no row of this table is asked for", reason);
		rc = 0;
	} else {
		rc = bkp_run_omit(run, err, text, "%s", reason);
	}
	fmt_buf_free(&escaped);
	return rc;
}

/* What was left out when the backup was made, of this database. */
static int
note_recorded(const struct bkp_past *past, const struct bkp_walk *walk,
    struct bkp_run *run, const char *path, const char *reason,
    struct bkp_error *err)
{
	struct fmt_buf raw = FMT_BUF_INIT;
	size_t len = strlen(past->selection);
	const char *text;
	int rc = 0;

	if (fmt_path_unescape(path, strlen(path), &raw) != FMT_OK ||
	    (text = fmt_buf_text(&raw)) == NULL)
		rc = bkp_fail_nomem(err, "telling what was left out");
	else if (strcmp(text, past->chosen.source->prefix) == 0 ||
		 (strncmp(text, past->selection, len) == 0 &&
		     (text[len] == '/' || text[len] == '\0')))
		rc = note(past, walk, run, text, reason, err);
	fmt_buf_free(&raw);
	return rc;
}

int
bkp_past_note(const struct bkp_past *past, const struct bkp_walk *walk,
    struct bkp_run *run, struct bkp_error *err)
{
	size_t count;
	const struct bkp_omission *omissions =
	    bkp_run_omissions(past->run, &count);
	const struct bkp_omitted *omitted;

	for (size_t i = 0; i < count; i++)
		if (note(past, walk, run, omissions[i].path,
			omissions[i].reason, err) < 0)
			return -1;
	omitted = bkp_opened_omissions(&past->opened, &count);
	for (size_t i = 0; i < count; i++)
		if (note_recorded(past, walk, run, omitted[i].path,
			omitted[i].reason, err) < 0)
			return -1;
	return 0;
}

bool
bkp_past_is_damaged(const struct bkp_past *past)
{
	size_t count;

	(void)bkp_run_omissions(past->run, &count);
	return count > 0;
}
