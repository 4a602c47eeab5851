/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_QUEUE_H
#define LIBBACKUP_SOURCE_POSTGRES_QUEUE_H

/*
 * The plan of a restore: rows, indexes, constraints and foreign keys as jobs
 * of one schedule, each begun as soon as what it needs is there.
 */

#include "libbackup/base/schedule.h"
#include "libbackup/postgres/toc.h"
#include "libbackup/source/postgres_load.h"

/* A job: the rows of a table, a statement, or nothing but a place in the
 * order. */
struct bkp_pg_job {
	bool is_load;
	bool is_whole; /* a load of all rows by one worker, in one go */
	size_t table;  /* of the load */
	struct bkp_pg_item *item; /* borrowed from the toc */
	char *sql;                /* owned; NULL: there is nothing to do */
};

/* Job n of the schedule is jobs[n]. */
struct bkp_pg_plan {
	struct bkp_schedule *schedule;
	struct bkp_pg_job *jobs;
	size_t job_count, job_cap;
};

#define BKP_PG_PLAN_INIT                                                       \
	{                                                                      \
		.schedule = NULL                                               \
	}

/* What is known of the tables of a plan. */
struct bkp_pg_plan_facts {
	const struct bkp_pg_load_table *loads;
	size_t load_count;
	char *const *partitioned; /* keys (bkp_pg_toc_key), sorted by strcmp */
	size_t partitioned_count;
	unsigned workers;
};

/* Makes the plan and starts its schedule; everything is borrowed until free. */
int bkp_pg_plan_make(struct bkp_pg_toc *toc,
    const struct bkp_pg_plan_facts *facts, struct bkp_pg_plan *out,
    struct bkp_error *err);
void bkp_pg_plan_free(struct bkp_pg_plan *plan);

#endif
