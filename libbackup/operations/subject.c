/* SPDX-License-Identifier: Apache-2.0 */
/* Planning and checking a map against a database. */
#include "libbackup/subject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/subject_impl.h"

/* ---- which database ---- */

static const struct bkp_source_config *
find_source(const struct bkp_subject_source *from, struct bkp_error *err)
{
	const struct bkp_config *config = from->config;
	const struct bkp_source_config *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < config->source_count; i++) {
		const struct bkp_source_config *source = &config->sources[i];

		if (source->kind != BKP_KIND_POSTGRES ||
		    (from->source != NULL &&
			strcmp(source->prefix, from->source) != 0))
			continue;
		found = source;
		count++;
	}
	if (count == 1)
		return found;
	if (from->source != NULL)
		(void)bkp_fail(err, BKP_INVALID,
		    "the configuration names no database source '%s'; a "
		    "source is named by kind and name, as in 'postgres/app'",
		    from->source);
	else if (count == 0)
		(void)bkp_fail(err, BKP_INVALID,
		    "the configuration names no postgres source; add one "
		    "under 'sources:'");
	else
		(void)bkp_fail(err, BKP_INVALID,
		    "the configuration names %zu postgres sources; say which "
		    "with --source",
		    count);
	return NULL;
}

int
bkp_subject_database(const struct bkp_subject_source *from,
    const struct bkp_postgres_config **config, const char **database,
    struct bkp_error *err)
{
	const struct bkp_source_config *source = find_source(from, err);
	const struct bkp_strings *names;

	if (source == NULL)
		return -1;
	*config = &source->postgres;
	names = &source->postgres.databases;
	*database = from->database;
	if (from->database != NULL)
		return 0;
	if (names->count > 1 || source->postgres.all_databases)
		return bkp_fail(err, BKP_INVALID,
		    "source %s has several databases; say which with "
		    "--database",
		    source->prefix);
	if (names->count == 1)
		*database = names->items[0];
	return 0;
}

int
bkp_subject_place(const struct bkp_subject_source *from,
    const struct bkp_events *events, const struct bkp_cancel *cancel,
    bool is_for_rows, struct bkp_past **past,
    const struct bkp_postgres_config **config, const char **database,
    struct bkp_error *err)
{
	if (from->snapshot == NULL)
		return bkp_subject_database(from, config, database, err);
	if (bkp_past_open(from, events, cancel, is_for_rows, past, err) < 0)
		return -1;
	*config = bkp_past_place(*past);
	*database = (*past)->database;
	return 0;
}

int
bkp_subject_run(const struct bkp_events *events,
    const struct bkp_cancel *cancel, struct bkp_run **out,
    struct bkp_error *err)
{
	return bkp_run_new(1, events, cancel, out, err);
}

/* ---- a database as it is, or was ---- */

struct looked_at {
	struct bkp_run *run;
	struct bkp_past *past;
	struct bkp_pg pg;
	struct bkp_model model;
};

static int
look_at(struct looked_at *looked, const struct bkp_subject_source *from,
    const struct bkp_events *events, const struct bkp_cancel *cancel,
    struct bkp_error *err)
{
	const struct bkp_postgres_config *config;
	const char *database;

	if (bkp_subject_run(events, cancel, &looked->run, err) < 0 ||
	    bkp_subject_place(from, events, cancel, false, &looked->past,
		&config, &database, err) < 0)
		return -1;
	if (looked->past != NULL &&
	    bkp_past_note(looked->past, NULL, looked->run, err) < 0)
		return -1;
	if (bkp_pg_open(&looked->pg, config, database, looked->run, err) < 0 ||
	    bkp_pg_do(&looked->pg,
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err) < 0)
		return -1;
	return bkp_model_read(&looked->pg, &looked->model, err);
}

static void
look_away(struct looked_at *looked)
{
	bkp_model_free(&looked->model);
	bkp_pg_close(&looked->pg);
	bkp_past_close(looked->past);
	bkp_run_free(looked->run);
}

#define LOOKED_AT_INIT                                                         \
	{                                                                      \
		NULL, NULL, BKP_PG_INIT, BKP_MODEL_INIT                        \
	}

/* ---- plan ---- */

static size_t
count_undecided(const struct bkp_map *map)
{
	size_t count = 0;

	for (size_t i = 0; i < map->edge_count; i++)
		count += map->edges[i].decided == BKP_UNDECIDED;
	for (size_t i = 0; i < map->table_count; i++) {
		const struct bkp_map_table *table = &map->tables[i];

		count += table->is_undecided;
		for (size_t k = 0; k < table->column_count; k++)
			count += table->columns[k].is_undecided;
	}
	return count;
}

/* A proposal that does not read back would be of no use to anybody. */
static int
read_back(const struct fmt_buf *yaml, size_t *undecided, struct bkp_error *err)
{
	struct bkp_map map = BKP_MAP_INIT;
	int rc =
	    bkp_map_parse("the proposal", yaml->data, yaml->len, &map, err);

	if (rc == 0)
		*undecided = count_undecided(&map);
	bkp_map_free(&map);
	return rc;
}

int
bkp_subject_plan(const struct bkp_subject_plan_options *options, char **yaml,
    size_t *undecided, struct bkp_error *err)
{
	struct looked_at looked = LOOKED_AT_INIT;
	struct bkp_map before = BKP_MAP_INIT;
	struct fmt_buf out = FMT_BUF_INIT;
	const char *path = options->from.map;
	bool has_before = path != NULL && access(path, F_OK) == 0;
	int rc = -1;

	if (has_before && bkp_map_load(path, &before, err) < 0)
		goto out;
	if (options->table == NULL && !has_before) {
		(void)bkp_fail(err, BKP_INVALID,
		    "no table of the subject is named; give --table, as in "
		    "--table public.users");
		goto out;
	}
	if (look_at(&looked, &options->from, &options->events, options->cancel,
		err) < 0)
		goto out;
	if (bkp_propose(&looked.pg, &looked.model,
		options->table != NULL ? options->table : before.table,
		has_before ? &before : NULL, &out, err) < 0 ||
	    read_back(&out, undecided, err) < 0)
		goto out;
	if (fmt_buf_text(&out) == NULL) {
		(void)bkp_fail_nomem(err, "proposing a map");
		goto out;
	}
	*yaml = (char *)out.data;
	out = (struct fmt_buf)FMT_BUF_INIT;
	rc = 0;
out:
	fmt_buf_free(&out);
	bkp_map_free(&before);
	look_away(&looked);
	return rc;
}

/* ---- check ---- */

/* What a result owns. */
struct held {
	struct bkp_review review;
	struct bkp_subject_finding *findings;
};

static int
hand_over(struct held *held, struct bkp_subject_check_result *result,
    struct bkp_error *err)
{
	const struct bkp_review *review = &held->review;

	held->findings = bkp_alloc_array(review->count > 0 ? review->count : 1,
	    sizeof(*held->findings), err);
	if (held->findings == NULL)
		return -1;
	for (size_t i = 0; i < review->count; i++)
		held->findings[i] = (struct bkp_subject_finding){
		    .is_advice = review->findings[i].level == BKP_REVIEW_ADVICE,
		    .kind = review->findings[i].kind,
		    .what = review->findings[i].what,
		    .message = review->findings[i].message,
		    .line = review->findings[i].line,
		};
	result->findings = held->findings;
	result->finding_count = review->count;
	result->failing = review->failing;
	result->memory = held;
	return 0;
}

static void
free_held(struct held *held)
{
	if (held == NULL)
		return;
	bkp_review_free(&held->review);
	free(held->findings);
	free(held);
}

int
bkp_subject_check(const struct bkp_subject_check_options *options,
    struct bkp_subject_check_result *result, struct bkp_error *err)
{
	struct looked_at looked = LOOKED_AT_INIT;
	struct bkp_map map = BKP_MAP_INIT;
	struct held *held = bkp_alloc(sizeof(*held), err);
	int rc = -1;

	if (held == NULL)
		return -1;
	held->review = (struct bkp_review)BKP_REVIEW_INIT;
	if (bkp_map_load(options->from.map, &map, err) < 0 ||
	    look_at(&looked, &options->from, &options->events, options->cancel,
		err) < 0 ||
	    bkp_review(&looked.pg, &looked.model, &map, &held->review, err) <
		0 ||
	    hand_over(held, result, err) < 0)
		goto out;
	result->tables = looked.model.table_count;
	result->edges = looked.model.edge_count;
	held = NULL;
	rc = 0;
out:
	free_held(held);
	bkp_map_free(&map);
	look_away(&looked);
	return rc;
}

void
bkp_subject_check_result_free(struct bkp_subject_check_result *result)
{
	free_held(result->memory);
	result->memory = NULL;
}
