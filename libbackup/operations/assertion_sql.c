/* SPDX-License-Identifier: Apache-2.0 */
/* Queries about a restored database. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/assertions.h"
#include "libbackup/postgres/session.h"

#define ROWS_MAX 1000 /* more are not waited for */
#define SHOWN_MAX 400 /* bytes of the first row */
#define VALUE_MAX 120 /* bytes of each of its values */

/* What one statement gave. */
struct answer {
	uint64_t rows;
	int columns;
	bool is_null;         /* the first value is */
	char *value;          /* owned: the first */
	struct fmt_buf shown; /* the first row, for people */
};

struct asker {
	const struct bkp_assertion *assertion;
	struct bkp_pg pg;
	struct fmt_buf *what;
	struct answer answer; /* the last one that came */
	uint64_t answers;
	uint64_t checks; /* that give no rows: DO */
};

/* ---- one answer ---- */

static void
clear_answer(struct answer *answer)
{
	free(answer->value);
	fmt_buf_free(&answer->shown);
	*answer = (struct answer){.shown = FMT_BUF_INIT};
}

/* A value as far as it can be shown: not in the middle of a character. */
static int
shown_length(const char *value)
{
	size_t len = strlen(value);

	if (len <= VALUE_MAX)
		return (int)len;
	len = VALUE_MAX;
	while (len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80)
		len--;
	return (int)len;
}

static enum fmt_status
show_row(struct answer *answer, const PGresult *result)
{
	enum fmt_status status = FMT_OK;

	for (int i = 0; i < PQnfields(result) && status == FMT_OK; i++) {
		const char *value = PQgetisnull(result, 0, i)
					? "NULL"
					: PQgetvalue(result, 0, i);

		if (answer->shown.len > SHOWN_MAX)
			return fmt_buf_append_text(&answer->shown, ", ...");
		status = fmt_buf_printf(&answer->shown, "%s%s = %.*s",
		    i > 0 ? ", " : "", PQfname(result, i), shown_length(value),
		    value);
	}
	return status;
}

static int
take_row(struct asker *asker, const PGresult *result, struct bkp_error *err)
{
	struct answer *answer = &asker->answer;

	if (answer->rows++ > 0)
		return 0;
	answer->columns = PQnfields(result);
	if (answer->columns > 0) {
		answer->is_null = PQgetisnull(result, 0, 0);
		answer->value = bkp_strdup(PQgetvalue(result, 0, 0), err);
		if (answer->value == NULL)
			return -1;
	}
	if (show_row(answer, result) != FMT_OK)
		return bkp_fail_nomem(err, "keeping a row");
	return 0;
}

/* What was found, once the words for it are written. */
static int
say(enum fmt_status status, int answer, struct bkp_error *err)
{
	return status == FMT_OK ? answer
				: bkp_fail_nomem(err, "judging an assertion");
}

/* There must be no row. */
static int
judge_empty(struct asker *asker, struct bkp_error *err)
{
	struct answer *answer = &asker->answer;
	const char *shown = fmt_buf_text(&answer->shown);

	if (answer->rows == 0)
		return 1;
	return say(shown == NULL
		       ? FMT_NOMEM
		       : fmt_buf_printf(asker->what,
			     "there must be no row, and there %s %s%s%s%s",
			     answer->rows == 1 ? "is" : "are",
			     bkp_counted(answer->rows, "row").text,
			     answer->rows >= ROWS_MAX ? " or more" : "",
			     shown[0] != '\0' ? "; the first: " : "", shown),
	    0, err);
}

/* There must be this value. */
static int
judge_value(struct asker *asker, struct bkp_error *err)
{
	const char *expect = asker->assertion->config->expect;
	struct answer *answer = &asker->answer;
	enum fmt_status status;

	if (answer->rows != 1 || answer->columns != 1)
		status = fmt_buf_printf(asker->what,
		    "the answer must be one row of one column, and is %s%s of "
		    "%s",
		    bkp_counted(answer->rows, "row").text,
		    answer->rows >= ROWS_MAX ? " or more" : "",
		    bkp_counted((uint64_t)answer->columns, "column").text);
	else if (answer->is_null)
		status = fmt_buf_printf(asker->what,
		    "the answer must be '%s', and is NULL", expect);
	else if (strcmp(answer->value, expect) != 0)
		status = fmt_buf_printf(asker->what,
		    "the answer must be '%s', and is '%.*s'", expect,
		    shown_length(answer->value), answer->value);
	else
		return 1;
	return say(status, 0, err);
}

/* ---- all of them ---- */

/* The line that a character of the text is on. */
static unsigned
line_of(const char *text, const char *position)
{
	unsigned long left = position != NULL ? strtoul(position, NULL, 10) : 0;
	unsigned line = 1;

	for (; left > 1 && *text != '\0'; text++) {
		if (((unsigned char)text[1] & 0xc0) != 0x80)
			left--;
		if (*text == '\n')
			line++;
	}
	return line;
}

/* What the server says of it is a finding. */
static int
take_failure(struct asker *asker, const PGresult *result, struct bkp_error *err)
{
	const struct bkp_assertion *assertion = asker->assertion;
	struct bkp_error why = BKP_ERROR_INIT;
	const char *position =
	    PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);

	(void)bkp_pg_fail(&asker->pg, result, &why);
	if (strcmp(asker->pg.state, "57014") == 0)
		return say(
		    fmt_buf_printf(asker->what,
			"a statement took longer than %llu s, and was stopped",
			(unsigned long long)assertion->config->timeout_ms /
			    1000),
		    0, err);
	if (position != NULL)
		return say(fmt_buf_printf(asker->what, "line %u: %s",
			       line_of(assertion->sql, position), why.message),
		    0, err);
	return say(fmt_buf_append_text(asker->what, why.message), 0, err);
}

/* A new answer: the one before was not the last. */
static int
turn_page(struct asker *asker, struct bkp_error *err)
{
	int holds = asker->answers > 0 ? judge_empty(asker, err) : 1;

	clear_answer(&asker->answer);
	asker->answers++;
	return holds;
}

/* 1: it goes on; 0: a finding; -1. *is_open: within the rows of an answer. */
static int
take_result(
    struct asker *asker, PGresult *result, bool *is_open, struct bkp_error *err)
{
	ExecStatusType status = PQresultStatus(result);
	bool is_row = status == PGRES_SINGLE_TUPLE;

	if (is_row || status == PGRES_TUPLES_OK) {
		int holds = *is_open ? 1 : turn_page(asker, err);

		*is_open = is_row;
		if (holds != 1 || !is_row) {
			asker->answer.columns = PQnfields(result);
			return holds;
		}
		if (take_row(asker, result, err) < 0)
			return -1;
		return asker->answer.rows < ROWS_MAX ? 1 : 0;
	}
	if (status == PGRES_COMMAND_OK) {
		asker->checks += strcmp(PQcmdStatus(result), "DO") == 0;
		return 1;
	}
	if (status == PGRES_EMPTY_QUERY)
		return 1;
	if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE)
		return take_failure(asker, result, err);
	return say(fmt_buf_append_text(
		       asker->what, "COPY is neither a row nor a value"),
	    0, err);
}

static int
judge_last(struct asker *asker, struct bkp_error *err)
{
	enum fmt_status status;

	if (PQtransactionStatus(asker->pg.conn) != PQTRANS_INTRANS)
		return say(
		    fmt_buf_append_text(asker->what,
			"it ends the transaction that keeps it from changing "
			"anything: leave out COMMIT and ROLLBACK"),
		    0, err);
	if (asker->answers == 0 && asker->checks == 0)
		return say(
		    fmt_buf_append_text(asker->what,
			"nothing is asked: no statement of it can give a row"),
		    0, err);
	if (asker->assertion->config->expect != NULL) {
		int holds = judge_value(asker, err);

		if (holds != 1)
			return holds;
		status = fmt_buf_printf(asker->what, "the answer is '%s'",
		    asker->assertion->config->expect);
		return say(status, 1, err);
	}
	if (asker->answers > 0) {
		int holds = judge_empty(asker, err);

		if (holds != 1)
			return holds;
	}
	status = asker->answers > 0
		     ? fmt_buf_append_text(asker->what, "no row")
		     : fmt_buf_append_text(asker->what, "raises no error");
	return say(status, 1, err);
}

static int
ask(struct asker *asker, struct bkp_error *err)
{
	struct bkp_pg *pg = &asker->pg;
	bool is_open = false;
	int holds = 1;

	if (!PQsendQuery(pg->conn, asker->assertion->sql) ||
	    !PQsetSingleRowMode(pg->conn))
		return bkp_pg_fail(pg, NULL, err);
	while (holds == 1) {
		PGresult *result = NULL;

		if (bkp_pg_result(pg, &result, err) < 0)
			return -1;
		if (result == NULL)
			return judge_last(asker, err);
		holds = take_result(asker, result, &is_open, err);
		PQclear(result);
	}
	/* The rest is not waited for. */
	bkp_pg_interrupt(pg);
	if (holds == 0 && asker->what->len == 0)
		holds = asker->assertion->config->expect != NULL
			    ? judge_value(asker, err)
			    : judge_empty(asker, err);
	return holds;
}

/* As a session of an application begins; but it may only read. */
static int
begin(struct asker *asker, const struct bkp_postgres_config *place,
    struct bkp_run *run, struct bkp_error *err)
{
	const struct bkp_assertion_config *config = asker->assertion->config;
	struct bkp_pg *pg = &asker->pg;
	char *limit = NULL;
	int rc = -1;

	if (bkp_pg_open(pg, place, config->database_name, run, err) < 0)
		return -1;
	pg->is_ticking = true;
	limit = bkp_format(err, "SET statement_timeout TO %llu",
	    (unsigned long long)config->timeout_ms);
	if (limit != NULL && bkp_pg_do(pg, "RESET ALL", err) == 0 &&
	    (strcmp(bkp_pg_encoding(pg), "SQL_ASCII") == 0 ||
		bkp_pg_do(pg, "SET client_encoding TO 'UTF8'", err) == 0) &&
	    bkp_pg_do(pg, limit, err) == 0)
		rc = bkp_pg_do(pg,
		    "SET default_transaction_read_only TO on;"
		    "SET idle_in_transaction_session_timeout TO 0;"
		    "BEGIN READ ONLY",
		    err);
	free(limit);
	return rc;
}

int
bkp_assertion_ask(const struct bkp_assertion *assertion,
    const struct bkp_postgres_config *place, struct bkp_run *run,
    struct fmt_buf *what, struct bkp_error *err)
{
	struct asker asker = {.assertion = assertion,
	    .pg = BKP_PG_INIT,
	    .what = what,
	    .answer = {.shown = FMT_BUF_INIT}};
	struct bkp_error why = BKP_ERROR_INIT;
	int holds = begin(&asker, place, run, &why);

	if (holds == 0)
		holds = ask(&asker, &why);
	clear_answer(&asker.answer);
	bkp_pg_close(&asker.pg);
	if (holds >= 0)
		return holds;
	if (why.code == BKP_CANCELLED || why.code == BKP_NOMEM) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	return say(fmt_buf_append_text(what, why.message), 0, err);
}
