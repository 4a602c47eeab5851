/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/copy.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats/chunker.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"

#define PUT_MAX (1024u * 1024u)

/* So much of a table has come where more is on its way: shorter ones end
 * without a pause. */
#define FLOWING (32u * 1024u)
#define GATHER_NS 200000

#define BINARY "FORMAT binary, "

/* ---- the statements ---- */

static enum fmt_status
append_pages(struct fmt_buf *out, uint64_t first, uint64_t last)
{
	enum fmt_status status = FMT_OK;

	if (first > 0 || last > 0)
		status = bkp_pg_sql(out, " WHERE ctid >= '(%llu,0)'",
		    (unsigned long long)first);
	if (status == FMT_OK && last > 0)
		status = bkp_pg_sql(
		    out, " AND ctid < '(%llu,0)'", (unsigned long long)last);
	return status;
}

enum fmt_status
bkp_pg_copy_out_sql(struct fmt_buf *out, const char *quoted,
    const char *const *columns, size_t column_count, const char *filter,
    uint64_t first, uint64_t last, const char *encoding,
    enum fmt_copy_form form)
{
	enum fmt_status status = bkp_pg_sql(out, "COPY (SELECT ");

	for (size_t i = 0; status == FMT_OK && i < column_count; i++)
		status = bkp_pg_sql(out, i > 0 ? ", %I" : "%I", columns[i]);
	if (status == FMT_OK)
		status = bkp_pg_sql(out, " FROM ONLY %s %s", quoted, filter);
	if (status == FMT_OK)
		status = append_pages(out, first, last);
	if (status == FMT_OK)
		status = bkp_pg_sql(out, ") TO STDOUT (%sENCODING %L)",
		    form == FMT_COPY_BINARY ? BINARY : "", encoding);
	return status;
}

enum fmt_status
bkp_pg_copy_in_sql(struct fmt_buf *out, const char *quoted,
    const char *const *columns, size_t column_count, const char *encoding,
    enum fmt_copy_form form)
{
	enum fmt_status status = bkp_pg_sql(out, "COPY %s", quoted);

	/* A table without columns takes no list at all. */
	for (size_t i = 0; status == FMT_OK && i < column_count; i++)
		status = bkp_pg_sql(out, i > 0 ? ", %I" : " (%I", columns[i]);
	if (status == FMT_OK)
		status = bkp_pg_sql(out, "%s FROM STDIN (%sENCODING %L)",
		    column_count > 0 ? ")" : "",
		    form == FMT_COPY_BINARY ? BINARY : "", encoding);
	return status;
}

/* ---- out ---- */

/* The first result of a COPY: that it began, or the server's reason. */
static int
begin(struct bkp_pg *pg, const char *sql, ExecStatusType expected,
    struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0;

	pg->came = 0;
	/* The extended protocol: one statement and no more. */
	if (!PQsendQueryParams(pg->conn, sql, 0, NULL, NULL, NULL, NULL, 0))
		return bkp_pg_fail(pg, NULL, err);
	if (bkp_pg_result(pg, &result, err) < 0)
		return -1;
	if (PQresultStatus(result) != expected) {
		rc = bkp_pg_fail(pg, result, err);
		bkp_pg_interrupt(pg);
	}
	PQclear(result);
	return rc;
}

/* The results after the data: the command's tag, then nothing. */
static int
end(struct bkp_pg *pg, uint64_t *rows, struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0;

	do {
		if (bkp_pg_result(pg, &result, err) < 0)
			return -1;
		if (result == NULL)
			break;
		if (rc == 0 && PQresultStatus(result) != PGRES_COMMAND_OK)
			rc = bkp_pg_fail(pg, result, err);
		else if (rc == 0)
			*rows = strtoull(PQcmdTuples(result), NULL, 10);
		PQclear(result);
	} while (PQstatus(pg->conn) == CONNECTION_OK);
	if (rc == 0 && PQstatus(pg->conn) != CONNECTION_OK)
		rc = bkp_pg_fail(pg, NULL, err);
	return rc;
}

/* A server sends 8 kB at a time, and who wakes up for each of them keeps both
 * sides switching: a tenth of the processor that an unchanged backup takes.
 * Once rows flow, several are let come. The buffer of a socket (208 kB) takes
 * about as long to fill at a GB a second, which is more than a table gives, so
 * that the server does not wait. */
static void
let_gather(void)
{
	const struct timespec moment = {.tv_nsec = GATHER_NS};

	(void)nanosleep(&moment, NULL);
}

/* Before more is read, where that was found to be nothing so many times since
 * the last row. What has come already is taken without asking whether it has:
 * a second call for each message costs as much as the message. */
static int
before_reading(struct bkp_pg *pg, unsigned empty, struct bkp_error *err)
{
	if (empty > 1 || (empty == 1 && pg->came < FLOWING))
		return bkp_pg_wait(pg, false, err);
	if (empty == 1)
		let_gather();
	return bkp_pg_check(pg, err);
}

/* Gives the next row: 1, or 0 at the end. */
static int
next_row(struct bkp_pg *pg, char **row, int *len, struct bkp_error *err)
{
	for (unsigned empty = 0;; empty++) {
		*len = PQgetCopyData(pg->conn, row, 1);
		if (*len > 0) {
			pg->came += (uint64_t)*len;
			return 1;
		}
		if (*len == -1)
			return 0;
		if (*len < -1)
			return bkp_pg_fail(pg, NULL, err);
		if (before_reading(pg, empty, err) < 0) {
			bkp_pg_interrupt(pg);
			return -1;
		}
		if (PQconsumeInput(pg->conn) == 0)
			return bkp_pg_fail(pg, NULL, err);
	}
}

struct taker {
	struct fmt_buf *room;
	bkp_bytes_fn *take;
	void *arg;
	uint64_t rows;
	bool has_begun, has_ended; /* in the binary form */
};

static int
flush(struct taker *taker, struct bkp_error *err)
{
	if (taker->room->len == 0)
		return 0;
	if (taker->take(taker->arg, taker->room->data, taker->room->len, err) <
	    0)
		return -1;
	fmt_buf_clear(taker->room);
	return 0;
}

static int
fail_row(struct bkp_error *err)
{
	return bkp_fail(err, BKP_IO,
	    "the server sent a row that does not end with a newline");
}

static int
keep_row(
    struct taker *taker, const void *row, size_t len, struct bkp_error *err)
{
	enum fmt_status status;

	if (taker->room->len + len > FMT_CHUNKER_MAX && flush(taker, err) < 0)
		return -1;
	/* Not copied once more: it may be of 1 GB. */
	if (len > FMT_CHUNKER_MAX)
		return taker->take(taker->arg, row, len, err);
	status = fmt_buf_append(taker->room, row, len);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "a row of %zu bytes", len);
	return 0;
}

static int
add_line(
    struct taker *taker, const char *row, size_t len, struct bkp_error *err)
{
	if (row[len - 1] != '\n')
		return fail_row(err);
	taker->rows++;
	return keep_row(taker, row, len, err);
}

static int
fail_binary(struct bkp_error *err)
{
	return bkp_fail(err, BKP_IO,
	    "the server sent something else than whole rows in COPY's binary "
	    "form");
}

/* A message of the binary form: the header, whole rows, the trailer, or some
 * of these. */
static int
add_tuples(struct taker *taker, const unsigned char *data, size_t len,
    struct bkp_error *err)
{
	size_t size = 0;

	if (!taker->has_begun) {
		size = FMT_COPY_HEADER_LEN;
		if (len < size || memcmp(data, fmt_copy_header, size) != 0)
			return fail_binary(err);
		taker->has_begun = true;
	}
	for (data += size, len -= size; len > 0; data += size, len -= size) {
		if (len == FMT_COPY_TRAILER_LEN && !taker->has_ended &&
		    memcmp(data, fmt_copy_trailer, len) == 0) {
			taker->has_ended = true;
			return 0;
		}
		if (taker->has_ended ||
		    fmt_copy_row(FMT_COPY_BINARY, data, len, &size) != FMT_OK)
			return fail_binary(err);
		taker->rows++;
		if (keep_row(taker, data, size, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_pg_copy_out_begin(struct bkp_pg *pg, const char *sql, struct bkp_error *err)
{
	return begin(pg, sql, PGRES_COPY_OUT, err);
}

int
bkp_pg_copy_out_row(
    struct bkp_pg *pg, char **row, size_t *len, struct bkp_error *err)
{
	int size = 0, more;

	*row = NULL;
	more = next_row(pg, row, &size, err);
	if (more <= 0)
		return more;
	if ((*row)[size - 1] != '\n') {
		PQfreemem(*row);
		*row = NULL;
		bkp_pg_interrupt(pg);
		return fail_row(err);
	}
	*len = (size_t)size;
	return 1;
}

int
bkp_pg_copy_out_end(struct bkp_pg *pg, uint64_t came, struct bkp_error *err)
{
	uint64_t rows = 0;

	if (end(pg, &rows, err) < 0)
		return -1;
	if (rows != came)
		return bkp_fail(err, BKP_IO,
		    "the server says it sent %llu rows and %llu came",
		    (unsigned long long)rows, (unsigned long long)came);
	return 0;
}

int
bkp_pg_copy_out(struct bkp_pg *pg, const char *sql, enum fmt_copy_form form,
    struct fmt_buf *room, bkp_bytes_fn *take, void *arg, uint64_t *rows,
    struct bkp_error *err)
{
	struct taker taker = {.room = room, .take = take, .arg = arg};
	char *row = NULL;
	int len, more;

	fmt_buf_clear(room);
	if (begin(pg, sql, PGRES_COPY_OUT, err) < 0)
		return -1;
	while ((more = next_row(pg, &row, &len, err)) > 0) {
		int rc = form == FMT_COPY_BINARY
			     ? add_tuples(&taker, (unsigned char *)row,
				   (size_t)len, err)
			     : add_line(&taker, row, (size_t)len, err);

		PQfreemem(row);
		if (rc < 0) {
			bkp_pg_interrupt(pg);
			return -1;
		}
	}
	if (more < 0 || bkp_pg_copy_out_end(pg, taker.rows, err) < 0 ||
	    flush(&taker, err) < 0)
		return -1;
	if (form == FMT_COPY_BINARY && !taker.has_ended)
		return fail_binary(err);
	*rows = taker.rows;
	return 0;
}

int
bkp_pg_copy_compare(uint64_t sent, uint64_t hashed, struct bkp_error *err)
{
	if (sent == hashed)
		return 0;
	return bkp_fail(err, BKP_IO,
	    "the server sent %llu rows and %llu were hashed",
	    (unsigned long long)sent, (unsigned long long)hashed);
}

/* ---- in ---- */

int
bkp_pg_copy_in_begin(struct bkp_pg *pg, const char *sql, struct bkp_error *err)
{
	if (begin(pg, sql, PGRES_COPY_IN, err) < 0)
		return -1;
	/* So that a server that stops reading cannot keep us from seeing a
	 * cancel. */
	if (PQsetnonblocking(pg->conn, 1) < 0)
		return bkp_pg_fail(pg, NULL, err);
	return 0;
}

/* Waits for room in the connection, and reads what the server may say. */
static int
make_room(struct bkp_pg *pg, struct bkp_error *err)
{
	if (bkp_pg_wait(pg, true, err) < 0) {
		bkp_pg_interrupt(pg);
		return -1;
	}
	if (PQconsumeInput(pg->conn) == 0)
		return bkp_pg_fail(pg, NULL, err);
	return 0;
}

int
bkp_pg_copy_in_put(
    struct bkp_pg *pg, const void *data, size_t len, struct bkp_error *err)
{
	const char *at = data;

	while (len > 0) {
		size_t part = len < PUT_MAX ? len : PUT_MAX;
		int put = PQputCopyData(pg->conn, at, (int)part);

		if (put < 0)
			return bkp_pg_fail(pg, NULL, err);
		if (put == 0) {
			if (make_room(pg, err) < 0)
				return -1;
			continue;
		}
		at += part;
		len -= part;
		/* Without this libpq would keep it all in memory. */
		while ((put = PQflush(pg->conn)) > 0)
			if (make_room(pg, err) < 0)
				return -1;
		if (put < 0)
			return bkp_pg_fail(pg, NULL, err);
	}
	return 0;
}

int
bkp_pg_copy_in_end(struct bkp_pg *pg, uint64_t *rows, struct bkp_error *err)
{
	int put;

	while ((put = PQputCopyEnd(pg->conn, NULL)) == 0)
		if (make_room(pg, err) < 0)
			return -1;
	if (put < 0)
		return bkp_pg_fail(pg, NULL, err);
	if (end(pg, rows, err) < 0) {
		(void)PQsetnonblocking(pg->conn, 0);
		return -1;
	}
	(void)PQsetnonblocking(pg->conn, 0);
	return 0;
}

void
bkp_pg_copy_in_abort(struct bkp_pg *pg)
{
	PGresult *result;

	(void)PQsetnonblocking(pg->conn, 0);
	(void)PQputCopyEnd(pg->conn, "the data could not be read");
	while ((result = PQgetResult(pg->conn)) != NULL) {
		PQclear(result);
		if (PQstatus(pg->conn) != CONNECTION_OK)
			return;
	}
}
