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

/* What of an item a job is. */
enum bkp_pg_half {
	BKP_PG_HALF_BOTH,       /* all statements, which end together */
	BKP_PG_HALF_FIRST,      /* its first statement */
	BKP_PG_HALF_MORE,       /* those that follow */
	BKP_PG_HALF_INDEX,      /* of a constraint (bkp_pg_toc_split) */
	BKP_PG_HALF_CONSTRAINT, /* and the rest of it, and what follows */
};

/* A job: the rows of a table, statements of an item, or nothing but a place in
 * the order. There may be 500,000. */
struct bkp_pg_job {
	bool is_load;
	bool is_whole; /* a load of all rows by one worker, in one go */
	enum bkp_pg_half half;
	size_t table;             /* of the load */
	struct bkp_pg_item *item; /* borrowed from the toc; NULL: none */
};

/* The statements of a job that has an item; the caller frees them. NULL where
 * memory is short. */
char *bkp_pg_job_sql(const struct bkp_pg_job *job, struct bkp_error *err);

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
