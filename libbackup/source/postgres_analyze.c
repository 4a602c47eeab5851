/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of a database, the largest tables first and by all workers: a
 * plain ANALYZE takes them one after another. Small tables share a statement.
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

struct analysis {
	struct bkp_pg_target *target;
	struct bkp_run *run;
	const char *database;
	struct bkp_pg *workers;
	PGresult *tables; /* name, pages */
	int next;
};

static int
next(void *arg, void **item, struct bkp_error *err)
{
	struct analysis *analysis = arg;
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(&sql, "ANALYZE ");
	long pages = 0;
	int count = 0;

	*item = NULL;
	while (status == FMT_OK &&
	       analysis->next < PQntuples(analysis->tables) &&
	       count < SHARED_TABLES && pages < SHARED_PAGES) {
		int row = analysis->next++;

		status = fmt_buf_printf(&sql, "%s%s", count > 0 ? ", " : "",
		    PQgetvalue(analysis->tables, row, 0));
		pages += atol(PQgetvalue(analysis->tables, row, 1));
		count++;
	}
	if (status == FMT_OK && count > 0 && fmt_buf_text(&sql) != NULL)
		*item = bkp_strdup((const char *)sql.data, err);
	fmt_buf_free(&sql);
	return count == 0 || *item != NULL
		   ? 0
		   : bkp_fail_nomem(err, "listing tables");
}

static int
work(void *arg, unsigned number, void *item, struct bkp_error *err)
{
	struct analysis *analysis = arg;
	struct bkp_pg *pg = &analysis->workers[number];

	if (pg->conn == NULL &&
	    bkp_pg_target_connect(analysis->target, analysis->database,
		analysis->run, pg, err) < 0)
		return -1;
	return bkp_pg_do(pg, item, err);
}

static void
discard(void *arg, void *item)
{
	(void)arg;
	free(item);
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
    struct bkp_pg *pg, const char *database, struct bkp_error *err)
{
	unsigned workers = bkp_run_workers(run);
	struct analysis analysis = {
	    .target = target, .run = run, .database = database};
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
