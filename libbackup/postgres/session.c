/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/conninfo.h"
#include "libbackup/postgres/names.h"
#include "libbackup/postgres/pooler.h"

#define WAIT_MS 200

/* What the connection asked for by itself (options=-c lock_timeout=5s) is kept
 * for the one place that waits for locks: the holder. */
static const char keep_lock_timeout[] =
    "SELECT set_config('libbackup.lock_timeout',"
    " CASE WHEN source = 'client' THEN setting ELSE '60000' END, false)"
    " FROM pg_settings WHERE name = 'lock_timeout';"
    "SET lock_timeout TO 0;";

/* What pg_dump pins, and what makes the bytes the same tomorrow: the time
 * zone, the currency, and plans that keep the order of the heap. Where rows
 * are read, the transaction itself is read only. */
static const char preamble[] = "SET DateStyle TO 'ISO, YMD';"
			       "SET IntervalStyle TO postgres;"
			       "SET TimeZone TO 'UTC';"
			       "SET extra_float_digits TO 3;"
			       "SET lc_monetary TO 'C';"
			       "SET bytea_output TO hex;"
			       "SET xmloption TO content;"
			       "SET standard_conforming_strings TO on;"
			       "SET quote_all_identifiers TO off;"
			       "SET row_security TO off;"
			       "SET search_path TO '';"
			       "SET synchronize_seqscans TO off;"
			       "SET max_parallel_workers_per_gather TO 0;"
			       "SET statement_timeout TO 0;"
			       "SET default_transaction_read_only TO off;"
			       "SET idle_in_transaction_session_timeout TO 0;"
			       "SET client_min_messages TO warning;";

static void
ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

/* Settings that only newer servers know, and the encoding of names. */
static int
pin_settings(struct bkp_pg *pg, struct bkp_error *err)
{
	bool is_raw = strcmp(bkp_pg_name_encoding(pg), "SQL_ASCII") == 0;

	if (bkp_pg_do(pg, keep_lock_timeout, err) < 0 ||
	    bkp_pg_do(pg, preamble, err) < 0)
		return -1;
	if (bkp_pg_major(pg) >= 14 &&
	    bkp_pg_do(pg, "SET idle_session_timeout TO 0", err) < 0)
		return -1;
	if (bkp_pg_major(pg) >= 17 &&
	    bkp_pg_do(pg, "SET transaction_timeout TO 0", err) < 0)
		return -1;
	return bkp_pg_do(pg,
	    is_raw ? "SET client_encoding TO SQL_ASCII"
		   : "SET client_encoding TO UTF8",
	    err);
}

static int
fail_connect(PGconn *conn, struct bkp_error *err)
{
	const char *message = PQerrorMessage(conn);
	enum bkp_error_code code = BKP_IO;

	/* libpq tells no SQLSTATE here, only the server's words. */
	if (PQconnectionNeedsPassword(conn) ||
	    strstr(message, "authentication failed") != NULL ||
	    strstr(message, "pg_hba.conf") != NULL)
		code = BKP_AUTH;
	if (strstr(message, "does not exist") != NULL &&
	    strstr(message, "database \"") != NULL)
		code = BKP_NOTFOUND;
	return bkp_fail(err, code, "connecting to PostgreSQL: %s", message);
}

int
bkp_pg_open(struct bkp_pg *pg, const struct bkp_postgres_config *config,
    const char *database, struct bkp_run *run, struct bkp_error *err)
{
	struct bkp_conninfo info = BKP_CONNINFO_INIT;
	int rc = -1;

	*pg = (struct bkp_pg)BKP_PG_INIT;
	pg->run = run;
	if (bkp_conninfo_make(config, database, &info, err) < 0)
		return -1;
	pg->conn = PQconnectdbParams((const char *const *)info.keywords,
	    (const char *const *)info.values, 0);
	if (pg->conn == NULL) {
		(void)bkp_fail_nomem(err, "connecting to PostgreSQL");
		goto out;
	}
	if (PQstatus(pg->conn) != CONNECTION_OK) {
		(void)fail_connect(pg->conn, err);
		goto out;
	}
	(void)PQsetNoticeReceiver(pg->conn, ignore_notice, NULL);
	/* So that a connection that is ended has an SQLSTATE, too. */
	(void)PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
	if (PQserverVersion(pg->conn) < 120000) {
		(void)bkp_fail(err, BKP_UNSUPPORTED,
		    "the server is PostgreSQL %s; 12 is the oldest that is "
		    "supported",
		    PQparameterStatus(pg->conn, "server_version"));
		goto out;
	}
	if (bkp_pg_refuse_pooler(pg, &info, err) == 0)
		rc = pin_settings(pg, err);
out:
	bkp_conninfo_free(&info);
	if (rc < 0)
		bkp_pg_close(pg);
	return rc;
}

void
bkp_pg_close(struct bkp_pg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
}

unsigned
bkp_pg_major(const struct bkp_pg *pg)
{
	return (unsigned)PQserverVersion(pg->conn) / 10000;
}

const char *
bkp_pg_encoding(const struct bkp_pg *pg)
{
	const char *encoding = PQparameterStatus(pg->conn, "server_encoding");

	return encoding != NULL ? encoding : "SQL_ASCII";
}

const char *
bkp_pg_name_encoding(const struct bkp_pg *pg)
{
	bool is_raw = strcmp(bkp_pg_encoding(pg), "SQL_ASCII") == 0;

	return is_raw ? "SQL_ASCII" : "UTF8";
}

/* ---- waiting ---- */

int
bkp_pg_check(struct bkp_pg *pg, struct bkp_error *err)
{
	if (pg->stop != NULL && atomic_load(pg->stop))
		return bkp_fail(err, BKP_CANCELLED,
		    "stopped, for something else has failed");
	if (pg->run == NULL)
		return 0;
	if (bkp_run_check(pg->run, err) < 0)
		return -1;
	if (pg->is_ticking)
		bkp_run_tick(pg->run);
	return 0;
}

int
bkp_pg_wait(struct bkp_pg *pg, bool is_write, struct bkp_error *err)
{
	struct pollfd fd = {.fd = PQsocket(pg->conn), .events = POLLIN};
	int ready;

	if (is_write)
		fd.events |= POLLOUT;
	do {
		if (bkp_pg_check(pg, err) < 0)
			return -1;
		ready = poll(&fd, 1, WAIT_MS);
		if (ready < 0 && errno != EINTR)
			return bkp_fail_errno(
			    err, errno, "waiting for PostgreSQL");
	} while (ready <= 0);
	return 0;
}

void
bkp_pg_interrupt(struct bkp_pg *pg)
{
	PGcancel *cancel = PQgetCancel(pg->conn);
	char reason[256];
	PGresult *result;

	if (cancel == NULL)
		return;
	(void)PQcancel(cancel, reason, sizeof(reason));
	PQfreeCancel(cancel);
	(void)PQsetnonblocking(pg->conn, 0);
	/* A COPY that the server gave up on ends with its results. */
	while ((result = PQgetResult(pg->conn)) != NULL) {
		ExecStatusType status = PQresultStatus(result);

		PQclear(result);
		if (status == PGRES_COPY_IN)
			(void)PQputCopyEnd(pg->conn, "cancelled");
		if (status == PGRES_COPY_OUT) {
			char *row = NULL;

			while (PQgetCopyData(pg->conn, &row, 0) > 0)
				PQfreemem(row);
		}
		if (PQstatus(pg->conn) != CONNECTION_OK)
			return;
	}
}

int
bkp_pg_result(struct bkp_pg *pg, PGresult **out, struct bkp_error *err)
{
	int flushed;

	while ((flushed = PQflush(pg->conn)) > 0) {
		if (bkp_pg_wait(pg, true, err) < 0)
			goto cancelled;
		if (PQconsumeInput(pg->conn) == 0)
			return bkp_pg_fail(pg, NULL, err);
	}
	if (flushed < 0)
		return bkp_pg_fail(pg, NULL, err);
	while (PQisBusy(pg->conn)) {
		if (bkp_pg_wait(pg, false, err) < 0)
			goto cancelled;
		if (PQconsumeInput(pg->conn) == 0)
			return bkp_pg_fail(pg, NULL, err);
	}
	*out = PQgetResult(pg->conn);
	return 0;
cancelled:
	bkp_pg_interrupt(pg);
	return -1;
}

/* ---- errors ---- */

static enum bkp_error_code
code_of_state(const char *state)
{
	static const struct {
		const char *start;
		enum bkp_error_code code;
	} codes[] = {{"28", BKP_AUTH}, {"42501", BKP_AUTH},
	    {"3D000", BKP_NOTFOUND}, {"3F000", BKP_NOTFOUND},
	    {"42P04", BKP_EXISTS}, {"42710", BKP_EXISTS},
	    {"42704", BKP_NOTFOUND}, {"42P01", BKP_NOTFOUND},
	    {"42883", BKP_NOTFOUND}, {"55P03", BKP_RETRY}, {"40", BKP_RETRY},
	    {"22", BKP_INVALID}, {"23", BKP_INVALID}, {"53200", BKP_NOMEM},
	    {"XX001", BKP_CORRUPT}, {"XX002", BKP_CORRUPT},
	    {"0A000", BKP_UNSUPPORTED}};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strncmp(state, codes[i].start, strlen(codes[i].start)) == 0)
			return codes[i].code;
	return BKP_IO;
}

const char bkp_pg_conflict_advice[] =
    "this standby's replay went first: nothing is lost, try again; "
    "hot_standby_feedback = on there, a longer max_standby_streaming_delay "
    "(-1: wait for the backup) or a backup of the primary helps";

/* What the server does not say. */
static const char *
advice_for(const struct bkp_pg *pg, const char *from_server)
{
	if (bkp_pg_is_conflict(pg))
		return bkp_pg_conflict_advice;
	if (from_server == NULL && strcmp(pg->state, "42501") == 0)
		return "the role lacks this privilege: a backup reads with "
		       "pg_read_all_data and SELECT on large objects, a "
		       "restore creates databases and roles and sets owners";
	return from_server;
}

/* "FATAL:  57P01: terminating connection": takes the SQLSTATE out and answers
 * what follows it; NULL where there is none. */
static const char *
split_state(struct bkp_pg *pg, const char *message)
{
	static const char code[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *at = strstr(message, ":  ");

	if (at == NULL || strspn(at + 3, code) != 5 || at[8] != ':')
		return NULL;
	memcpy(pg->state, at + 3, 5);
	pg->state[5] = '\0';
	return at[9] == ' ' ? at + 10 : at + 9;
}

/* Of a connection's several lines the first tells what happened. */
static int
fail_lost(struct bkp_pg *pg, struct bkp_error *err)
{
	const char *message = PQerrorMessage(pg->conn);
	const char *said = split_state(pg, message), *advice;

	if (said == NULL)
		said = message;
	if (said[0] == '\0')
		said = "the server sent no answer";
	advice = advice_for(pg, NULL);
	return bkp_fail(err,
	    pg->state[0] != '\0' ? code_of_state(pg->state) : BKP_IO,
	    "PostgreSQL: %.*s%s%s", (int)strcspn(said, "\n"), said,
	    advice != NULL ? "; " : "", advice != NULL ? advice : "");
}

int
bkp_pg_fail(struct bkp_pg *pg, const PGresult *result, struct bkp_error *err)
{
	const char *state, *primary, *detail, *context;

	pg->state[0] = '\0';
	if (result == NULL || (primary = PQresultErrorField(
				   result, PG_DIAG_MESSAGE_PRIMARY)) == NULL)
		return fail_lost(pg, err);
	state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	(void)snprintf(
	    pg->state, sizeof(pg->state), "%s", state != NULL ? state : "");
	detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	if (context == NULL)
		context = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	context = advice_for(pg, context);
	(void)bkp_fail(err, code_of_state(pg->state), "%s%s%s%s%s%s", primary,
	    detail != NULL ? " (" : "", detail != NULL ? detail : "",
	    detail != NULL ? ")" : "", context != NULL ? "; " : "",
	    context != NULL ? context : "");
	if (err != NULL && strcmp(pg->state, "53100") == 0)
		err->sys = ENOSPC;
	return -1;
}

bool
bkp_pg_is_locked(const struct bkp_pg *pg)
{
	return strcmp(pg->state, "55P03") == 0 ||
	       strcmp(pg->state, "40P01") == 0;
}

/* On a standby nothing else has this state: what is read cannot change. */
bool
bkp_pg_is_conflict(const struct bkp_pg *pg)
{
	const char *standby = PQparameterStatus(pg->conn, "in_hot_standby");

	return strcmp(pg->state, "40001") == 0 && standby != NULL &&
	       strcmp(standby, "on") == 0;
}

bool
bkp_pg_is_elsewhere(const struct bkp_pg *pg)
{
	return strncmp(pg->state, "08", 2) == 0 ||
	       strncmp(pg->state, "HV", 2) == 0;
}

bool
bkp_pg_is_state(const PGresult *result, const char *state)
{
	const char *is = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return is != NULL && strcmp(is, state) == 0;
}

/* ---- statements ---- */

/* Reads every result of what was sent; the last one is *out where that is
 * wanted. */
static int
collect(struct bkp_pg *pg, PGresult **out, struct bkp_error *err)
{
	PGresult *result = NULL, *last = NULL;
	int rc = 0;

	for (;;) {
		if (bkp_pg_result(pg, &result, err) < 0) {
			PQclear(last);
			return -1;
		}
		if (result == NULL)
			break;
		if (rc == 0 && PQresultStatus(result) != PGRES_COMMAND_OK &&
		    PQresultStatus(result) != PGRES_TUPLES_OK &&
		    PQresultStatus(result) != PGRES_EMPTY_QUERY)
			rc = bkp_pg_fail(pg, result, err);
		PQclear(last);
		last = result;
	}
	if (rc == 0 && last == NULL)
		rc = bkp_pg_fail(pg, NULL, err);
	if (rc == 0 && out != NULL)
		*out = last;
	else
		PQclear(last);
	return rc;
}

int
bkp_pg_do(struct bkp_pg *pg, const char *sql, struct bkp_error *err)
{
	if (!PQsendQuery(pg->conn, sql))
		return bkp_pg_fail(pg, NULL, err);
	return collect(pg, NULL, err);
}

int
bkp_pg_query(struct bkp_pg *pg, const char *sql, int count,
    const char *const *values, PGresult **out, struct bkp_error *err)
{
	if (!PQsendQueryParams(
		pg->conn, sql, count, NULL, values, NULL, NULL, 0))
		return bkp_pg_fail(pg, NULL, err);
	return collect(pg, out, err);
}

/* What was given up is read to its end before the session is used again. */
int
bkp_pg_each(struct bkp_pg *pg, const char *sql, bkp_pg_row_fn *take, void *arg,
    struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0;

	if (!PQsendQueryParams(pg->conn, sql, 0, NULL, NULL, NULL, NULL, 0) ||
	    !PQsetSingleRowMode(pg->conn))
		return bkp_pg_fail(pg, NULL, err);
	for (;;) {
		if (bkp_pg_result(pg, &result, err) < 0)
			return -1;
		if (result == NULL)
			return rc;
		if (rc == 0 && PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
			rc = take(arg, result, err);
			if (rc < 0) {
				PQclear(result);
				bkp_pg_interrupt(pg);
				return -1;
			}
		} else if (rc == 0 &&
			   PQresultStatus(result) != PGRES_TUPLES_OK) {
			rc = bkp_pg_fail(pg, result, err);
		}
		PQclear(result);
	}
}

int
bkp_pg_statement(struct bkp_pg *pg, const char *sql, struct bkp_error *err)
{
	return bkp_pg_query(pg, sql, 0, NULL, NULL, err);
}

int
bkp_pg_run(struct bkp_pg *pg, struct bkp_error *err, const char *format, ...)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	va_list ap;
	int rc;

	va_start(ap, format);
	status = bkp_pg_vsql(&sql, format, &ap);
	va_end(ap);
	if (status == FMT_OK && fmt_buf_text(&sql) == NULL)
		status = FMT_NOMEM;
	rc = status == FMT_OK
		 ? bkp_pg_statement(pg, (const char *)sql.data, err)
		 : bkp_fail_format(err, status, "making a statement");
	fmt_buf_free(&sql);
	return rc;
}

char *
bkp_pg_text(struct bkp_pg *pg, const char *sql, struct bkp_error *err)
{
	PGresult *result = NULL;
	char *text = NULL;

	if (bkp_pg_query(pg, sql, 0, NULL, &result, err) < 0)
		return NULL;
	if (PQntuples(result) != 1)
		(void)bkp_fail(err, BKP_IO,
		    "PostgreSQL answered %d rows where one was expected",
		    PQntuples(result));
	else
		text = bkp_strdup(PQgetvalue(result, 0, 0), err);
	PQclear(result);
	return text;
}
