/* SPDX-License-Identifier: Apache-2.0 */
/* What stands between us and the server, and whether a backup gets through. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/doctor/database.h"
#include "libbackup/postgres/conninfo.h"

/* Connects once more, the way pg_dump is told to. */
static int
connect_with_options(
    const struct bkp_conninfo *info, char **refusal, struct bkp_error *err)
{
	const char **keywords =
	    bkp_alloc_array(info->count + 2, sizeof(char *), err);
	const char **values =
	    bkp_alloc_array(info->count + 2, sizeof(char *), err);
	PGconn *conn;
	int rc = -1;

	if (keywords == NULL || values == NULL)
		goto out;
	/* The last one of a name counts. */
	for (size_t i = 0; i < info->count; i++) {
		keywords[i] = info->keywords[i];
		values[i] = info->values[i];
	}
	keywords[info->count] = "options";
	values[info->count] = "-c bytea_output=hex";
	conn = PQconnectdbParams(keywords, values, 0);
	if (PQstatus(conn) != CONNECTION_OK)
		rc = (*refusal = bkp_strdup(PQerrorMessage(conn), err)) != NULL
			 ? 0
			 : -1;
	else
		rc = 0;
	PQfinish(conn);
out:
	free(keywords);
	free(values);
	return rc;
}

static int
tell_pooler(struct bkp_exam *exam, const char *refusal, struct bkp_error *err)
{
	if (refusal == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "use the server's own port where you can: a pooler ends "
		    "long sessions by its own rules",
		    err, "a connection pooler in session mode is in between");
	return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
	    "use the server's own port; or, in PgBouncer, "
	    "ignore_startup_parameters = options",
	    err,
	    "a connection pooler is in between, and does not take what "
	    "pg_dump says when it connects: %.*s",
	    (int)strcspn(refusal, "\n"), refusal);
}

/* Transaction mode was refused when it was opened. */
int
bkp_exam_pooler(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_server *server = exam->state;
	struct bkp_conninfo info = BKP_CONNINFO_INIT;
	char *pid, *refusal = NULL;
	bool is_direct;
	int rc = -1;

	if ((pid = bkp_pg_text(&server->pg,
		 "SELECT pg_catalog.pg_backend_pid()", err)) == NULL)
		return -1;
	is_direct = atoi(pid) == PQbackendPID(server->pg.conn);
	free(pid);
	if (is_direct)
		return bkp_exam_ok(exam, err, "nothing is in between");
	if (bkp_conninfo_make(&exam->source->postgres, PQdb(server->pg.conn),
		&info, err) == 0 &&
	    connect_with_options(&info, &refusal, err) == 0)
		rc = tell_pooler(exam, refusal, err);
	free(refusal);
	bkp_conninfo_free(&info);
	return rc;
}
