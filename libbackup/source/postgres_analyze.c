/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of a database, the largest tables first and by all workers: a
 * plain ANALYZE takes them one after another. Small tables share a statement.
 *
 * Most plans are right with statistics of a few thousand rows a table, so of
 * large ones those come first, and the rest when the database is in use.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/postgres/analyze.h"
#include "libbackup/source/postgres_target.h"

/* A statement has tables of so many pages, or so many of them. */
#define SHARED_PAGES 1024
#define SHARED_TABLES 100

/* So large a table is not worth two statements. */
#define SMALL_PAGES 128

struct analysis {
	struct bkp_pg_target *target;
	struct bkp_run *run;
	const char *database;
	enum bkp_pg_statistics what;
	struct bkp_pg *workers;
	PGresult *tables; /* name, pages; the largest first */
	int next;
};

/* A statement, and what it takes. */
struct batch {
	char *sql; /* owned */
	bool is_rough;
};

static long
pages_of(const struct analysis *analysis, int row)
{
	return atol(PQgetvalue(analysis->tables, row, 1));
}

/* Appends tables that are all large or all small. */
static enum fmt_status
collect(struct analysis *analysis, struct fmt_buf *sql, bool is_large)
{
	enum fmt_status status = fmt_buf_append_text(sql, "ANALYZE ");
	long pages = 0;

	for (int count = 0; status == FMT_OK && count < SHARED_TABLES &&
			    pages < SHARED_PAGES &&
			    analysis->next < PQntuples(analysis->tables);
	     count++) {
		int row = analysis->next;

		if ((pages_of(analysis, row) > SMALL_PAGES) != is_large)
			break;
		status = fmt_buf_printf(sql, "%s%s", count > 0 ? ", " : "",
		    PQgetvalue(analysis->tables, row, 0));
		pages += pages_of(analysis, row);
		analysis->next++;
	}
	return status;
}

static void
discard(void *arg, void *item)
{
	struct batch *batch = item;

	(void)arg;
	free(batch->sql);
	free(batch);
}

static int
next(void *arg, void **item, struct bkp_error *err)
{
	struct analysis *analysis = arg;
	struct fmt_buf sql = FMT_BUF_INIT;
	struct batch *batch;
	bool is_large;
	int rc = -1;

	*item = NULL;
	if (analysis->next == PQntuples(analysis->tables))
		return 0;
	is_large = pages_of(analysis, analysis->next) > SMALL_PAGES;
	if (!is_large && analysis->what == BKP_PG_STATISTICS_REST)
		return 0;
	batch = bkp_alloc(sizeof(*batch), err);
	if (batch == NULL)
		return -1;
	batch->is_rough = is_large && analysis->what == BKP_PG_STATISTICS_FIRST;
	if (collect(analysis, &sql, is_large) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "listing tables");
	else if ((batch->sql = bkp_strdup((const char *)sql.data, err)) != NULL)
		rc = 0;
	fmt_buf_free(&sql);
	if (rc < 0)
		discard(NULL, batch);
	else
		*item = batch;
	return rc;
}

static int
work(void *arg, unsigned number, void *item, struct bkp_error *err)
{
	struct analysis *analysis = arg;
	struct bkp_pg *pg = &analysis->workers[number];
	const struct batch *batch = item;

	if (pg->conn == NULL &&
	    bkp_pg_target_connect(analysis->target, analysis->database,
		analysis->run, pg, err) < 0)
		return -1;
	if (bkp_pg_do(pg,
		batch->is_rough ? "SET default_statistics_target TO 10"
				: "RESET default_statistics_target",
		err) < 0)
		return -1;
	return bkp_pg_do(pg, batch->sql, err);
}

static void
tick(void *arg)
{
	bkp_run_tick(((struct analysis *)arg)->run);
}

static const struct bkp_pipeline_ops ops = {
    .next = next, .work = work, .discard = discard, .tick = tick};

int
bkp_pg_target_analyze(struct bkp_pg_target *target, struct bkp_run *run,
    struct bkp_pg *pg, const char *database, enum bkp_pg_statistics what,
    struct bkp_error *err)
{
	unsigned workers = bkp_run_workers(run);
	struct analysis analysis = {
	    .target = target, .run = run, .database = database, .what = what};
	int rc = -1;

	analysis.workers =
	    bkp_alloc_array(workers, sizeof(*analysis.workers), err);
	if (analysis.workers != NULL && bkp_pg_query(pg, bkp_pg_analyzed, 0,
					    NULL, &analysis.tables, err) == 0)
		rc = bkp_pipeline_run(workers, workers * 2, &ops, &analysis,
		    bkp_run_cancel(run), err);
	for (unsigned i = 0; analysis.workers != NULL && i < workers; i++)
		bkp_pg_close(&analysis.workers[i]);
	free(analysis.workers);
	PQclear(analysis.tables);
	return rc < 0 ? bkp_fail_in(err, "taking statistics") : 0;
}
