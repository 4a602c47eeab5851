/* SPDX-License-Identifier: Apache-2.0 */
/* A server that follows another one: whether it does, and whom its replay
 * stops. */
#include <stdlib.h>

#include "libbackup/base/duration.h"
#include "libbackup/doctor/database.h"

/* Longer than most backups; and than a primary is silent. */
#define LONG_MS ((uint64_t)3600 * 1000)

enum column {
	IS_STANDBY,
	HAS_FEEDBACK,
	DELAY_MS, /* -1: for ever */
	IS_PAUSED,
	IS_BEHIND,
	SINCE
};

/* Without changes on the primary the last one is old and nothing is wrong. Only
 * where nobody is listened to, or there is something to replay, it is behind.
 * Most of these functions fail on a primary. */
static const char query[] =
    "SELECT is_standby, current_setting('hot_standby_feedback') = 'on',"
    " (SELECT setting FROM pg_catalog.pg_settings"
    "  WHERE name = 'max_standby_streaming_delay'),"
    " CASE WHEN is_standby THEN pg_catalog.pg_is_wal_replay_paused()"
    "  ELSE false END,"
    " CASE WHEN is_standby THEN COALESCE("
    "   pg_catalog.pg_last_xact_replay_timestamp()"
    "   < pg_catalog.now() - interval '1 hour', false)"
    "  AND (NOT EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver)"
    "   OR COALESCE(pg_catalog.pg_last_wal_receive_lsn()"
    "   > pg_catalog.pg_last_wal_replay_lsn(), false)) ELSE false END,"
    " CASE WHEN is_standby THEN COALESCE("
    "  pg_catalog.pg_last_xact_replay_timestamp()::timestamp(0)::text,"
    "  'a time that it does not know') END"
    " FROM (SELECT pg_catalog.pg_is_in_recovery() AS is_standby) s";

/* What is backed up there is what came there. */
static int
tell_age(struct bkp_exam *exam, const PGresult *row, struct bkp_error *err)
{
	const char *since = PQgetvalue(row, 0, SINCE);

	if (bkp_exam_is_true(row, IS_PAUSED))
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "SELECT pg_wal_replay_resume()", err,
		    "its replay is paused: what it has, and what a backup of "
		    "it has, is of %s",
		    since);
	if (bkp_exam_is_true(row, IS_BEHIND))
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "look whether it still follows its primary (its log, "
		    "primary_conninfo, recovery_min_apply_delay); where "
		    "nothing was changed there since, all is well",
		    err,
		    "what it has, and what a backup of it has, is of %s: the "
		    "last change that came there",
		    since);
	return 0;
}

static int
tell_conflicts(
    struct bkp_exam *exam, const PGresult *row, struct bkp_error *err)
{
	int64_t delay = strtoll(PQgetvalue(row, 0, DELAY_MS), NULL, 10);

	if (delay < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "unlogged tables are empty on a standby", err,
		    "it is a standby");
	if ((uint64_t)delay >= LONG_MS)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "unlogged tables are empty on a standby; look whether a "
		    "backup takes less",
		    err,
		    "it is a standby whose replay waits for a backup for %s",
		    bkp_span((uint64_t)delay).text);
	if (bkp_exam_is_true(row, HAS_FEEDBACK))
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "unlogged tables are empty on a standby; "
		    "max_standby_streaming_delay, longer than a backup takes, "
		    "has replay wait for all of them",
		    err,
		    "it is a standby, and vacuum of its primary waits for a "
		    "backup; what locks a table there (ALTER TABLE, or a "
		    "vacuum that shortens it) ends the backup after %s",
		    bkp_span((uint64_t)delay).text);
	return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
	    "set max_standby_streaming_delay to longer than a backup takes, "
	    "or at least hot_standby_feedback = on",
	    err,
	    "it is a standby whose replay ends the transaction of a backup "
	    "after %s",
	    bkp_span((uint64_t)delay).text);
}

int
bkp_exam_standby(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_server *server = exam->state;
	PGresult *row = NULL;
	int rc;

	if (bkp_exam_row(&server->pg, query, &row, err) < 0)
		return -1;
	if (!bkp_exam_is_true(row, IS_STANDBY))
		rc = bkp_exam_ok(exam, err, "it is a primary");
	else if ((rc = tell_age(exam, row, err)) == 0)
		rc = tell_conflicts(exam, row, err);
	PQclear(row);
	return rc;
}
