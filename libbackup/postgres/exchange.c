/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/front.h"
#include "libbackup/postgres/names.h"

/* Connections are ended again after so long, while the server waits. */
#define PAUSE_MS 50

static uint64_t
clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- who is connected ---- */

/* Only whom this role may end: asking for others is an error of the whole
 * statement. What has no user is a process of the server's own. */
static void
end_connections(struct bkp_pg *pg, const char *name)
{
	(void)bkp_pg_run(pg, NULL,
	    "SELECT pg_catalog.pg_terminate_backend(a.pid)"
	    " FROM pg_catalog.pg_stat_activity a"
	    " LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid"
	    " WHERE a.datname = %L AND a.pid <> pg_catalog.pg_backend_pid()"
	    " AND ((SELECT m.rolsuper FROM pg_catalog.pg_roles m"
	    "   WHERE m.rolname = current_user)"
	    "  OR (NOT r.rolsuper AND"
	    "   (pg_catalog.pg_has_role(r.oid, 'USAGE') OR"
	    "    pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'))))",
	    name);
}

/* A phrase about who is there still, or NULL. */
static char *
name_connections(struct bkp_pg *pg, const char *name)
{
	PGresult *result = NULL;
	char *text = NULL;

	if (bkp_pg_query(pg,
		"SELECT string_agg(pg_catalog.format('pid %s of %s%s', a.pid,"
		" COALESCE(a.usename, a.backend_type),"
		" CASE WHEN a.application_name <> ''"
		"  THEN ' (' || a.application_name || ')' ELSE '' END), ', ')"
		" FROM pg_catalog.pg_stat_activity a WHERE a.datname = $1",
		1, &name, &result, NULL) < 0)
		return NULL;
	if (!PQgetisnull(result, 0, 0))
		text = strdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	return text;
}

static int
fail_in_use(struct bkp_pg *ender, const char *name, const struct bkp_error *why,
    struct bkp_error *err)
{
	char *who = name_connections(ender, name);

	(void)bkp_fail(err, BKP_RETRY,
	    "%s: %s. End that by hand (a prepared transaction: ROLLBACK "
	    "PREPARED), or as a superuser or a member of pg_signal_backend",
	    why->message,
	    who != NULL ? who
			: "nobody is connected, so something waits in "
			  "it");
	free(who);
	return -1;
}

/* ---- renaming ---- */

/* Reads what the statement under way answers. */
static int
read_answer(struct bkp_pg *pg, bool *is_in_use, struct bkp_error *err)
{
	PGresult *result;
	int rc = 0;

	while ((result = PQgetResult(pg->conn)) != NULL) {
		if (rc == 0 && PQresultStatus(result) != PGRES_COMMAND_OK) {
			*is_in_use = bkp_pg_is_state(result, "55006");
			rc = bkp_pg_fail(pg, result, err);
		}
		PQclear(result);
	}
	return rc == 0 && PQstatus(pg->conn) != CONNECTION_OK
		   ? bkp_pg_fail(pg, NULL, err)
		   : rc;
}

static int
send_rename(
    struct bkp_pg *pg, const char *from, const char *to, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	int rc = 0;

	if (bkp_pg_sql(&sql, "ALTER DATABASE %I RENAME TO %I", from, to) !=
		FMT_OK ||
	    fmt_buf_text(&sql) == NULL)
		rc = bkp_fail_nomem(err, "renaming a database");
	else if (!PQsendQuery(pg->conn, (const char *)sql.data))
		rc = bkp_pg_fail(pg, NULL, err);
	fmt_buf_free(&sql);
	return rc;
}

/* While the server waits (five seconds at the most) it lets nobody in. */
static int
rename_used(struct bkp_pg *pg, struct bkp_pg *ender, const char *from,
    const char *to, struct bkp_error *err)
{
	struct pollfd fd = {.fd = PQsocket(pg->conn), .events = POLLIN};
	struct bkp_error why = BKP_ERROR_INIT;
	bool is_in_use = false;

	if (send_rename(pg, from, to, err) < 0)
		return -1;
	while (PQisBusy(pg->conn)) {
		end_connections(ender, from);
		if (poll(&fd, 1, PAUSE_MS) < 0 && errno != EINTR)
			return bkp_fail_errno(
			    err, errno, "waiting for PostgreSQL");
		if (PQconsumeInput(pg->conn) == 0)
			return bkp_pg_fail(pg, NULL, err);
	}
	if (read_answer(pg, &is_in_use, &why) == 0)
		return 0;
	if (is_in_use)
		return fail_in_use(ender, from, &why, err);
	if (err != NULL)
		*err = why;
	return -1;
}

static int
rename_both(struct bkp_pg *pg, struct bkp_pg *ender,
    const struct bkp_pg_exchange *exchange, struct bkp_error *err)
{
	/* Somebody may be changing a setting of the database. */
	if (bkp_pg_do(pg, "BEGIN; SET LOCAL lock_timeout TO '10s'", err) < 0)
		return -1;
	if ((exchange->aside != NULL && rename_used(pg, ender, exchange->name,
					    exchange->aside, err) < 0) ||
	    rename_used(pg, ender, exchange->in, exchange->name, err) < 0) {
		(void)bkp_pg_do(pg, "ROLLBACK", NULL);
		return -1;
	}
	return 0;
}

/* Where the server went away before it answered, what it did is there to be
 * seen. */
static int
look_again(const struct bkp_postgres_config *config,
    const struct bkp_pg_exchange *exchange, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	PGresult *result = NULL;
	bool is_done = false;

	if (bkp_pg_open_beside(&pg, config, exchange->in, NULL, NULL) == 0 &&
	    bkp_pg_query(&pg,
		"SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", 1,
		&exchange->in, &result, NULL) == 0)
		is_done = PQntuples(result) == 0;
	PQclear(result);
	bkp_pg_close(&pg);
	return is_done ? 0
		       : bkp_fail_in(err,
			     "renaming databases (where the server was lost: "
			     "either both have their new names or none)");
}

int
bkp_pg_exchange(const struct bkp_postgres_config *config,
    struct bkp_pg_exchange *exchange, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT, ender = BKP_PG_INIT;
	uint64_t began_ms;
	int rc = -1;

	/* A matter of moments, and not to be left half done: no cancel. */
	if (bkp_pg_open_beside(&pg, config, exchange->name, NULL, err) < 0 ||
	    bkp_pg_open_beside(&ender, config, exchange->name, NULL, err) < 0)
		goto out;
	began_ms = clock_ms();
	if (rename_both(&pg, &ender, exchange, err) < 0)
		goto out;
	rc = bkp_pg_do(&pg, "COMMIT", err);
	if (rc < 0)
		rc = look_again(config, exchange, err);
	exchange->took_ms = clock_ms() - began_ms;
out:
	bkp_pg_close(&pg);
	bkp_pg_close(&ender);
	return rc;
}
