/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows, indexes, constraints and foreign keys of a database, by all workers
 * from one queue: nobody waits for the last table before the first index
 * begins. Each worker has a connection for rows, with the settings that rows
 * want, and one for statements, with those that the archive wants.
 */
#include "libbackup/source/postgres_queue.h"

#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/postgres/restore.h"

/* A deadlock with the server's own work is tried again. */
#define ATTEMPTS 5

struct worker {
	struct bkp_pg pg;
	const char *tablespace; /* the statement that set it; borrowed */
};

struct queue {
	struct bkp_pg_target *target;
	struct bkp_run *run;
	const struct bkp_pg_target_database *database;
	const struct bkp_pg_restore *what;
	struct bkp_pg_toc *toc;
	struct bkp_pg_load *load;
	struct bkp_pg_plan plan;
	struct worker *workers;
	unsigned handed_out; /* of the workers, to the pipeline */
	atomic_bool stop;    /* somebody has failed */
};

/* ---- statements ---- */

static int
run_view(
    struct bkp_pg *pg, const struct bkp_pg_view *view, struct bkp_error *err)
{
	char *sql;
	int rc;

	if (view->text == NULL)
		return 0;
	sql = bkp_format(err, "%.*s", (int)view->len, view->text);
	if (sql == NULL)
		return -1;
	rc = bkp_pg_do(pg, sql, err);
	free(sql);
	return rc;
}

/* The session's own pins are for reading rows in their order: building and
 * checking may read as it likes. */
static int
open_worker(struct queue *queue, struct bkp_pg *pg, struct bkp_error *err)
{
	if (bkp_pg_target_connect(queue->target, queue->database->temporary,
		queue->run, pg, err) < 0)
		return -1;
	pg->stop = &queue->stop;
	if (bkp_pg_do(pg,
		"RESET synchronize_seqscans;"
		"RESET max_parallel_workers_per_gather;"
		"SET synchronous_commit TO off",
		err) < 0)
		return -1;
	return run_view(pg, &queue->toc->setup, err);
}

static int
set_tablespace(struct worker *worker, const struct bkp_pg_item *item,
    struct bkp_error *err)
{
	if (item->tablespace.text == worker->tablespace)
		return 0;
	worker->tablespace = NULL;
	if (run_view(&worker->pg, &item->tablespace, err) < 0)
		return -1;
	worker->tablespace = item->tablespace.text;
	return 0;
}

static int
try_statement(struct queue *queue, struct worker *worker,
    const struct bkp_pg_item *item, const char *sql, struct bkp_error *err)
{
	int rc = -1;

	if (worker->pg.conn == NULL && open_worker(queue, &worker->pg, err) < 0)
		return -1;
	if (set_tablespace(worker, item, err) < 0)
		return -1;
	for (int attempt = 0; rc < 0 && attempt < ATTEMPTS; attempt++) {
		rc = bkp_pg_do(&worker->pg, sql, err);
		if (rc < 0 && err->code != BKP_RETRY)
			break;
	}
	return rc;
}

/*
 * Rows do not hold a foreign key: what they need is lost, or they were so in
 * the original (somebody had looked away). It is made for those that come,
 * which is how it was there. A partitioned table cannot have it so.
 */
static int
make_unchecked(struct queue *queue, struct worker *worker,
    struct bkp_pg_item *item, const struct bkp_error *why,
    struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;
	char *name = bkp_pg_restore_name(item, err);
	char *sql = bkp_format(
	    err, "%.*s NOT VALID", (int)item->first.len - 1, item->first.text);
	int rc = -1;

	if (name == NULL || sql == NULL)
		goto out;
	if (try_statement(queue, worker, item, sql, &failure) == 0)
		rc = bkp_run_omit(queue->run, err, queue->database->path,
		    "rows do not hold it, so it is NOT VALID: it looks at what "
		    "is written from now on, and at the rest after ALTER TABLE "
		    "... VALIDATE CONSTRAINT: %s: %s",
		    name, why->message);
	else if (failure.code == BKP_CANCELLED)
		rc = bkp_pg_restore_fail(item, &failure, err);
	else
		rc = bkp_pg_restore_refuse(queue->what, item, why, err);
out:
	free(name);
	free(sql);
	return rc;
}

static int
run_statement(struct queue *queue, struct worker *worker,
    const struct bkp_pg_job *job, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	char *sql = bkp_pg_job_sql(job, err);
	int rc;

	if (sql == NULL)
		return -1;
	rc = try_statement(queue, worker, job->item, sql, &why);
	free(sql);
	if (rc == 0)
		return 0;
	if (job->item->step == BKP_PG_STEP_FOREIGN_KEYS &&
	    why.code == BKP_INVALID)
		return make_unchecked(queue, worker, job->item, &why, err);
	return bkp_pg_restore_fail(job->item, &why, err);
}

/* ---- the queue ---- */

static int
run_task(struct queue *queue, unsigned number, const struct bkp_task *task,
    struct bkp_error *err)
{
	const struct bkp_pg_job *job = &queue->plan.jobs[task->job];

	if (job->is_whole) {
		if (bkp_pg_load_whole(queue->load, number, job->table, err) < 0)
			return -1;
	} else if (job->is_load) {
		if (bkp_pg_load_piece(
			queue->load, number, job->table, task->unit, err) < 0)
			return -1;
	} else if (job->item != NULL) {
		if (run_statement(queue, &queue->workers[number], job, err) < 0)
			return -1;
	}
	if (!bkp_schedule_finish(queue->plan.schedule, task))
		return 0;
	if (job->is_load &&
	    bkp_pg_load_settle(queue->load, job->table, err) < 0)
		return -1;
	bkp_schedule_release(queue->plan.schedule, task);
	return 0;
}

/* Works until there is nothing left. Of several that fail the first tells why:
 * the others were stopped. */
static int
work(void *arg, unsigned number, void *item, struct bkp_error *err)
{
	struct queue *queue = arg;
	struct bkp_task task;
	int answer;

	(void)item;
	while ((answer = bkp_schedule_take(queue->plan.schedule,
		    bkp_run_cancel(queue->run), &task, err)) > 0)
		if (run_task(queue, number, &task, err) < 0) {
			answer = -1;
			break;
		}
	if (answer == 0)
		return 0;
	bkp_schedule_stop(queue->plan.schedule);
	return atomic_exchange(&queue->stop, true) ? 0 : -1;
}

static int
next(void *arg, void **item, struct bkp_error *err)
{
	struct queue *queue = arg;

	(void)err;
	*item = queue->handed_out < bkp_run_workers(queue->run)
		    ? &queue->workers[queue->handed_out++]
		    : NULL;
	return 0;
}

static void
discard(void *arg, void *item)
{
	(void)arg;
	(void)item;
}

static void
tick(void *arg)
{
	bkp_run_tick(((struct queue *)arg)->run);
}

static const struct bkp_pipeline_ops ops = {
    .next = next, .work = work, .discard = discard, .tick = tick};

/* ---- the plan ---- */

/* The keys of partitioned tables. */
static int
read_partitioned(struct queue *queue, struct bkp_pg_plan_facts *facts,
    char ***keys, struct bkp_error *err)
{
	struct bkp_pg *pg = &queue->workers[0].pg;
	PGresult *result = NULL;
	int rc = 0;

	if (open_worker(queue, pg, err) < 0 ||
	    bkp_pg_query(pg,
		"SELECT nspname, relname FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace"
		" WHERE relkind = 'p'",
		0, NULL, &result, err) < 0)
		return -1;
	*keys = bkp_alloc_array((size_t)PQntuples(result), sizeof(**keys), err);
	rc = *keys != NULL ? 0 : -1;
	for (int i = 0; rc == 0 && i < PQntuples(result); i++) {
		struct fmt_buf key = FMT_BUF_INIT;

		if (bkp_pg_toc_key(&key, PQgetvalue(result, i, 0),
			PQgetvalue(result, i, 1)) != FMT_OK ||
		    fmt_buf_text(&key) == NULL)
			rc = bkp_fail_nomem(err, "planning the restore");
		else if (((*keys)[i] = bkp_strdup(
			      (const char *)key.data, err)) == NULL)
			rc = -1;
		else
			facts->partitioned_count++;
		fmt_buf_free(&key);
	}
	PQclear(result);
	if (rc == 0 && facts->partitioned_count > 0)
		qsort(*keys, facts->partitioned_count, sizeof(**keys),
		    bkp_compare_strings);
	return rc;
}

static int
make_plan(struct queue *queue, struct bkp_error *err)
{
	struct bkp_pg_plan_facts facts = {
	    .load_count = bkp_pg_load_count(queue->load),
	    .workers = bkp_run_workers(queue->run)};
	struct bkp_pg_load_table *loads =
	    bkp_alloc_array(facts.load_count, sizeof(*loads), err);
	char **keys = NULL;
	uint64_t bytes = 0;
	int rc = -1;

	if (loads == NULL)
		return -1;
	for (size_t i = 0; i < facts.load_count; i++) {
		bkp_pg_load_table(queue->load, i, &loads[i]);
		bytes += loads[i].bytes;
	}
	facts.loads = loads;
	if (read_partitioned(queue, &facts, &keys, err) == 0) {
		facts.partitioned = keys;
		rc = bkp_pg_plan_make(queue->toc, &facts, &queue->plan, err);
	}
	bkp_run_phase(queue->run, bytes, 0,
	    "%s: rows of %zu tables, indexes and constraints",
	    queue->database->name, facts.load_count);
	for (size_t i = 0; i < facts.partitioned_count; i++)
		free(keys[i]);
	free(keys);
	free(loads);
	return rc;
}

static int
run_queue(struct queue *queue, struct bkp_error *err)
{
	unsigned workers = bkp_run_workers(queue->run);
	int rc;

	queue->workers = bkp_alloc_array(workers, sizeof(*queue->workers), err);
	if (queue->workers == NULL)
		return -1;
	if (make_plan(queue, err) < 0)
		return -1;
	rc = bkp_pipeline_run(
	    workers, workers, &ops, queue, bkp_run_cancel(queue->run), err);
	if (rc == 0)
		bkp_pg_load_tell(queue->load);
	return rc;
}

int
bkp_pg_target_fill(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, const struct bkp_pg_restore *what,
    struct bkp_pg_toc *toc, struct bkp_error *err)
{
	struct queue queue = {.target = target,
	    .run = bkp_supply_run(supply),
	    .database = database,
	    .what = what,
	    .toc = toc,
	    .plan = BKP_PG_PLAN_INIT};
	int rc = -1;

	if (bkp_pg_load_open(
		target, supply, database, &queue.stop, &queue.load, err) == 0)
		rc = run_queue(&queue, err);
	if (rc == 0)
		database->has_moved = bkp_pg_load_has_moved(queue.load);
	for (unsigned i = 0;
	     queue.workers != NULL && i < bkp_run_workers(queue.run); i++)
		bkp_pg_close(&queue.workers[i].pg);
	free(queue.workers);
	bkp_pg_plan_free(&queue.plan);
	bkp_pg_load_close(queue.load);
	return rc;
}
