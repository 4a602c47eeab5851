/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A share of a database: ranges of tables that the leader's plan names, read in
 * the moment that the leader holds. The catalogue is made of the plan: nothing
 * of the schema is read here, and no lock is held that the leader has not.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/postgres/identity.h"
#include "libbackup/postgres/names.h"
#include "libbackup/source/postgres_pieces.h"

struct share {
	struct bkp_pg_copying copying; /* first: pieces know only this */
	const struct bkp_share_work *work;
	uint32_t database;  /* in the plan */
	size_t first_table; /* of it; its tables are all in one place */
	size_t task;        /* where `next` is */
	uint32_t piece;
	size_t done_task; /* and `done` */
	uint32_t done_piece;
};

/* ---- the moment ---- */

static int
tell_gone(const struct fmt_share_database *database,
    const struct bkp_error *why, struct bkp_error *err)
{
	return bkp_fail(err, BKP_NOTFOUND,
	    "the moment of this run is gone (snapshot %s of database %s): its "
	    "leader, backup-create --plan, has ended or lost its connection, "
	    "or this is another server; begin again with a new --plan (%s)",
	    database->snapshot, database->name, why->message);
}

static int
compare_servers(struct bkp_pg *pg, const struct fmt_share_database *database,
    struct bkp_error *err)
{
	char *system = NULL;
	int rc = 0;

	if (strcmp(bkp_pg_encoding(pg), database->encoding) != 0)
		return bkp_fail(err, BKP_INVALID,
		    "database %s has the encoding %s here and %s where the "
		    "leader is: both must reach the same server",
		    database->name, bkp_pg_encoding(pg), database->encoding);
	if (bkp_pg_identity(pg, &system, err) < 0)
		return -1;
	if (system != NULL && database->system[0] != '\0' &&
	    strcmp(system, database->system) != 0)
		rc = bkp_fail(err, BKP_INVALID,
		    "this is another server (system identifier %s) than the "
		    "leader's (%s): both must reach the same one",
		    system, database->system);
	free(system);
	return rc;
}

/* A snapshot of this name may be another one on another server. */
static int
compare_moments(struct bkp_pg *pg, const struct fmt_share_database *database,
    struct bkp_error *err)
{
	char *moment = bkp_pg_text(
	    pg, "SELECT pg_catalog.txid_current_snapshot()::text", err);
	int rc = 0;

	if (moment == NULL)
		return -1;
	if (strcmp(moment, database->moment) != 0)
		rc = bkp_fail(err, BKP_INVALID,
		    "snapshot %s is of another moment here (%s) than where the "
		    "leader is (%s): both must reach the same server",
		    database->snapshot, moment, database->moment);
	free(moment);
	return rc;
}

/* Before anything is read, and after a failure: whether the moment is there.
 * Connections that cannot be had are no answer. */
static int
check_moment(const struct bkp_postgres_config *config,
    const struct fmt_share_database *database, struct bkp_run *run,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc;

	if (bkp_pg_open(&pg, config, database->name, run, err) < 0)
		return -1;
	rc = compare_servers(&pg, database, err);
	if (rc == 0 && bkp_pg_import_again(&pg, database->snapshot, &why) < 0) {
		rc = -1;
		if (strcmp(pg.state, "22023") == 0 ||
		    strcmp(pg.state, "42704") == 0 ||
		    strcmp(pg.state, "55000") == 0)
			(void)tell_gone(database, &why, err);
		else if (err != NULL)
			*err = why;
	}
	if (rc == 0)
		rc = compare_moments(&pg, database, err);
	bkp_pg_close(&pg);
	return rc;
}

/* ---- a catalogue from the plan ---- */

static bool
is_ours(const struct share *share, size_t task)
{
	const struct fmt_share_plan *plan = share->work->plan;

	return share->work->is_chosen[task] &&
	       plan->tables[plan->tasks[task].table].database ==
		   share->database;
}

static int
make_table(const struct fmt_share_table *planned, struct bkp_arena *arena,
    struct bkp_pg_table *out, struct bkp_error *err)
{
	struct fmt_buf quoted = FMT_BUF_INIT;
	struct bkp_pg_part *part = bkp_arena_room(arena, sizeof(*part), err);
	const char **columns = bkp_arena_room(
	    arena, (planned->column_count + 1) * sizeof(*columns), err);
	enum fmt_status status;

	if (part == NULL || columns == NULL)
		return -1;
	for (size_t i = 0; i < planned->column_count; i++)
		columns[i] = planned->columns[i];
	status = bkp_pg_sql(&quoted, "%I.%I", planned->schema, planned->name);
	if (status == FMT_OK)
		part->quoted = bkp_arena_text(
		    arena, (const char *)quoted.data, quoted.len, err);
	else
		(void)bkp_fail_format(err, status, "reading the plan");
	fmt_buf_free(&quoted);
	if (part->quoted == NULL)
		return -1;
	*out = (struct bkp_pg_table){.schema = planned->schema,
	    .name = planned->name,
	    .quoted = part->quoted,
	    .filter = "",
	    .columns = columns,
	    .column_count = planned->column_count,
	    .form = planned->form,
	    .range_pages = planned->range_pages,
	    .parts = part,
	    .part_count = 1};
	return 0;
}

static int
make_catalogue(
    struct share *share, struct bkp_pg_catalogue *out, struct bkp_error *err)
{
	const struct fmt_share_plan *plan = share->work->plan;
	size_t end;

	while (share->first_table < plan->table_count &&
	       plan->tables[share->first_table].database != share->database)
		share->first_table++;
	end = share->first_table;
	while (end < plan->table_count &&
	       plan->tables[end].database == share->database)
		end++;
	out->tables = bkp_alloc_array(
	    end - share->first_table, sizeof(*out->tables), err);
	if (out->tables == NULL)
		return -1;
	for (size_t t = share->first_table; t < end; t++)
		if (make_table(&plan->tables[t], &out->arena,
			&out->tables[out->table_count++], err) < 0)
			return -1;
	/* Tables of one database are in one place: pieces count on it. */
	for (size_t i = 0; i < plan->task_count; i++)
		if (is_ours(share, i) &&
		    (plan->tasks[i].table < share->first_table ||
			plan->tasks[i].table >= end))
			return bkp_fail(err, BKP_CORRUPT,
			    "the plan of run %s: the tables of a database are "
			    "not in one place",
			    plan->run);
	return 0;
}

/* ---- pieces ---- */

static size_t
next_task(const struct share *share, size_t from)
{
	while (from < share->work->plan->task_count && !is_ours(share, from))
		from++;
	return from;
}

static int
next_piece(void *arg, void **item, struct bkp_error *err)
{
	struct share *share = arg;
	const struct fmt_share_plan *plan = share->work->plan;
	const struct fmt_share_task *task;
	const struct bkp_pg_table *table;
	struct bkp_pg_piece *piece;

	*item = NULL;
	share->task = next_task(share, share->task);
	if (share->task == plan->task_count)
		return 0;
	task = &plan->tasks[share->task];
	if ((piece = bkp_alloc(sizeof(*piece), err)) == NULL)
		return -1;
	piece->table = task->table - share->first_table;
	table = bkp_pg_copying_table(&share->copying, piece->table);
	piece->part = &table->parts[0];
	piece->first = task->first + share->piece * table->range_pages;
	if (!task->is_open || share->piece + 1 < task->pieces)
		piece->last = piece->first + table->range_pages;
	if (++share->piece == task->pieces) {
		share->task++;
		share->piece = 0;
	}
	*item = piece;
	return 0;
}

static int
done_piece(void *arg, void *item, struct bkp_error *err)
{
	struct share *share = arg;
	struct bkp_pg_piece *piece = item;
	struct fmt_share_done *done;
	uint32_t count;

	share->done_task = next_task(share, share->done_task);
	done = &share->work->done[share->done_task];
	count = share->work->plan->tasks[share->done_task].pieces;
	if (done->pieces == NULL) {
		done->pieces =
		    bkp_alloc_array(count, sizeof(*done->pieces), err);
		if (done->pieces == NULL) {
			bkp_pg_piece_discard(arg, item);
			return -1;
		}
		done->task = (uint32_t)share->done_task;
		done->piece_count = count;
	}
	done->pieces[share->done_piece] =
	    (struct fmt_share_piece){.is_left = piece->is_left,
		.bytes = piece->bytes,
		.hash = piece->hash,
		.refs = piece->refs,
		.ref_count = piece->ref_count};
	piece->refs = NULL;
	bkp_pg_piece_discard(arg, item);
	if (++share->done_piece == count) {
		share->done_task++;
		share->done_piece = 0;
	}
	return 0;
}

static void
tick(void *arg)
{
	bkp_run_tick(((struct share *)arg)->copying.run);
}

static const struct bkp_pipeline_ops ops = {.next = next_piece,
    .work = bkp_pg_piece_work,
    .done = done_piece,
    .discard = bkp_pg_piece_discard,
    .tick = tick};

/* ---- the whole ---- */

static uint64_t
count_pieces(const struct share *share)
{
	uint64_t count = 0;

	for (size_t i = 0; i < share->work->plan->task_count; i++)
		if (is_ours(share, i))
			count += share->work->plan->tasks[i].pieces;
	return count;
}

static int
run_share(struct share *share, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_run *run = share->copying.run;
	unsigned workers = bkp_run_workers(run);

	if (make_catalogue(
		share, &share->copying.database->holder.catalogue, err) < 0 ||
	    bkp_pg_copying_start(&share->copying, sink, err) < 0)
		return -1;
	return bkp_pipeline_run(
	    workers, workers * 4, &ops, share, bkp_run_cancel(run), err);
}

static int
share_database(const struct bkp_source_config *config,
    const struct bkp_share_work *work, uint32_t number, struct bkp_sink *sink,
    struct bkp_error *err)
{
	const struct fmt_share_database *planned =
	    &work->plan->databases[number];
	struct bkp_pg_source source = {.config = &config->postgres};
	struct bkp_pg_source_database database = {.path = planned->path,
	    .holder = {.pg = BKP_PG_INIT,
		.database = planned->name,
		.snapshot = planned->snapshot}};
	struct share share = {.copying = {.source = &source,
				  .database = &database,
				  .run = bkp_sink_run(sink),
				  .encoding = planned->encoding,
				  .is_share = true},
	    .work = work,
	    .database = number};
	struct bkp_error gone = BKP_ERROR_INIT;
	uint64_t pieces = count_pieces(&share);
	int rc;

	if (pieces == 0)
		return 0;
	bkp_run_phase(bkp_sink_run(sink), 0, pieces, "%s", planned->path);
	if (check_moment(&config->postgres, planned, bkp_sink_run(sink), err) <
	    0)
		return -1;
	rc = run_share(&share, sink, err);
	if (rc < 0 && err != NULL && err->code != BKP_CANCELLED &&
	    check_moment(
		&config->postgres, planned, bkp_sink_run(sink), &gone) < 0 &&
	    gone.code == BKP_NOTFOUND)
		*err = gone;
	bkp_pg_copying_stop(&share.copying);
	bkp_pg_catalogue_free(&database.holder.catalogue);
	return rc;
}

int
bkp_pg_share_check(const struct bkp_source_config *config,
    const struct fmt_share_database *database, struct bkp_run *run,
    struct bkp_error *err)
{
	return check_moment(&config->postgres, database, run, err);
}

int
bkp_pg_share(const struct bkp_source_config *config,
    const struct bkp_share_work *work, struct bkp_sink *sink,
    struct bkp_error *err)
{
	for (size_t i = 0; i < work->plan->database_count; i++) {
		const struct fmt_share_database *database =
		    &work->plan->databases[i];

		if (strcmp(database->source, config->prefix) == 0 &&
		    share_database(config, work, (uint32_t)i, sink, err) < 0)
			return bkp_fail_in(err, "database %s", database->name);
	}
	return 0;
}
