/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/wal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"

/* So long a server may take to summarise what a checkpoint ended. */
#define PATIENCE_S 60
#define LOOK_MS 20

static uint64_t
number_at(const PGresult *result, int row, int column)
{
	return strtoull(PQgetvalue(result, row, column), NULL, 10);
}

/* One row, of a statement without parameters. */
static int
ask(struct bkp_pg *pg, const char *sql, PGresult **out, struct bkp_error *err)
{
	if (bkp_pg_query(pg, sql, 0, NULL, out, err) < 0)
		return -1;
	if (PQntuples(*out) == 1)
		return 0;
	PQclear(*out);
	*out = NULL;
	return bkp_fail(err, BKP_IO, "the server answered with no row");
}

/* ---- before the snapshot ---- */

static int
check_server(struct bkp_pg *pg, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT pg_is_in_recovery(), current_setting('summarize_wal', true)"
	    " IS NOT DISTINCT FROM 'on',"
	    " current_setting('wal_level') IN ('replica', 'logical')";
	PGresult *result = NULL;
	const char *why = NULL;

	if (bkp_pg_major(pg) < 17)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "servers before PostgreSQL 17 keep no summaries of WAL");
	if (ask(pg, sql, &result, err) < 0)
		return -1;
	if (PQgetvalue(result, 0, 0)[0] == 't')
		why = "the server is a standby";
	else if (PQgetvalue(result, 0, 1)[0] != 't')
		why = "summarize_wal is off";
	else if (PQgetvalue(result, 0, 2)[0] != 't')
		why = "wal_level is minimal";
	PQclear(result);
	return why == NULL ? 0 : bkp_fail(err, BKP_UNSUPPORTED, "%s", why);
}

static int
read_server(
    struct bkp_pg *pg, struct bkp_pg_wal_server *out, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT s.system_identifier,"
	    " (extract(epoch FROM pg_postmaster_start_time()) * 1000000)"
	    "  ::bigint,"
	    " ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))"
	    "  ::bit(32)::bigint "
	    "FROM pg_control_system() s";
	PGresult *result = NULL;

	if (ask(pg, sql, &result, err) < 0)
		return -1;
	out->system = number_at(result, 0, 0);
	out->started_us = (int64_t)number_at(result, 0, 1);
	out->timeline = (uint32_t)number_at(result, 0, 2);
	PQclear(result);
	return 0;
}

bool
bkp_pg_wal_is_server(
    const struct bkp_pg_wal_server *a, const struct bkp_pg_wal_server *b)
{
	return a->system == b->system && a->started_us == b->started_us &&
	       a->timeline == b->timeline;
}

int
bkp_pg_wal_check(
    struct bkp_pg *pg, const struct bkp_pg_wal *wal, struct bkp_error *err)
{
	struct bkp_pg_wal_server server;

	if (read_server(pg, &server, err) < 0)
		return -1;
	if (!bkp_pg_wal_is_server(&server, &wal->server))
		return bkp_fail(err, BKP_IO,
		    "connections do not all lead to the same server");
	return 0;
}

/*
 * The end of WAL is looked at before the number is taken: whoever gets a later
 * number writes later WAL. The upper bound of a snapshot would not do, for it
 * is one above the last transaction that ended, and others may be at work
 * already with numbers above. A checkpoint keeps the next number in the same
 * way, taken after its place in WAL was.
 */
int
bkp_pg_wal_mark(
    struct bkp_pg *pg, struct bkp_pg_wal *wal, struct bkp_error *err)
{
	static const char before[] =
	    "SELECT redo_lsn - '0/0'::pg_lsn,"
	    " split_part(next_xid, ':', 1)::numeric * 4294967296"
	    "  + split_part(next_xid, ':', 2)::numeric,"
	    " pg_current_wal_insert_lsn() - '0/0'::pg_lsn "
	    "FROM pg_control_checkpoint()";
	PGresult *result = NULL;

	if (check_server(pg, err) < 0 ||
	    read_server(pg, &wal->server, err) < 0 ||
	    ask(pg, before, &result, err) < 0)
		return -1;
	wal->points[1].lsn = number_at(result, 0, 0);
	wal->points[1].xid = number_at(result, 0, 1);
	wal->points[0].lsn = number_at(result, 0, 2);
	PQclear(result);
	if (ask(pg, "SELECT pg_current_xact_id()", &result, err) < 0)
		return -1;
	wal->points[0].xid = number_at(result, 0, 0);
	PQclear(result);
	return 0;
}

/* ---- after the snapshot ---- */

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static int
look(struct bkp_pg *pg, struct bkp_pg_wal *wal, struct bkp_error *err)
{
	PGresult *result = NULL;

	if (ask(pg,
		"SELECT COALESCE(summarized_lsn, '0/0') - '0/0'::pg_lsn,"
		" summarized_tli FROM pg_get_wal_summarizer_state()",
		&result, err) < 0)
		return -1;
	wal->boundary = number_at(result, 0, 1) == wal->server.timeline
			    ? number_at(result, 0, 0)
			    : 0;
	PQclear(result);
	return 0;
}

int
bkp_pg_wal_summarise(
    struct bkp_pg *pg, struct bkp_pg_wal *wal, struct bkp_error *err)
{
	const struct timespec pause = {0, LOOK_MS * 1000000L};
	int64_t until;
	char *text;

	if (bkp_pg_wal_check(pg, wal, err) < 0)
		return -1;
	text = bkp_pg_text(
	    pg, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn", err);
	if (text == NULL)
		return -1;
	wal->end = strtoull(text, NULL, 10);
	free(text);
	if (bkp_pg_do(pg, "CHECKPOINT", err) < 0)
		return -1;
	until = now_ms() + PATIENCE_S * INT64_C(1000);
	for (;;) {
		if (look(pg, wal, err) < 0)
			return -1;
		if (wal->boundary >= wal->end)
			return 0;
		if (now_ms() > until)
			return bkp_fail(err, BKP_IO,
			    "the server has not summarised its WAL in %d s",
			    PATIENCE_S);
		if (bkp_run_check(pg->run, err) < 0)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
}

/* ---- pages ---- */

static void
set_bit(struct bkp_pg_wal_heap *heap, uint64_t range)
{
	if (range >= heap->range_count)
		range = heap->range_count - 1;
	heap->touched[range / 8] |= (unsigned char)(1u << range % 8);
}

/* From a page on all may be new: it was cut off there. */
static void
set_from(struct bkp_pg_wal_heap *heap, uint64_t range)
{
	set_bit(heap, range);
	for (; range < heap->range_count; range++)
		set_bit(heap, range);
}

static int
take_touched(const PGresult *result, struct bkp_pg_wal_heap *heaps,
    size_t count, struct bkp_error *err)
{
	for (int row = 0; row < PQntuples(result); row++) {
		uint64_t number = number_at(result, row, 0);
		uint64_t range = number_at(result, row, 1);

		if (number == 0)
			return bkp_fail(err, BKP_IO,
			    "the database was copied or moved as a whole");
		if (number > count)
			return bkp_fail(
			    err, BKP_IO, "the server tells of another heap");
		if (PQgetvalue(result, row, 2)[0] == 't')
			set_from(&heaps[number - 1], range);
		else
			set_bit(&heaps[number - 1], range);
	}
	return 0;
}

/* The heaps as three arrays. */
static enum fmt_status
write_arrays(
    const struct bkp_pg_wal_heap *heaps, size_t count, struct fmt_buf arrays[3])
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < count; i++) {
		const unsigned long long values[3] = {heaps[i].filenode,
		    heaps[i].tablespace, heaps[i].range_pages};

		for (size_t k = 0; status == FMT_OK && k < 3; k++)
			status = fmt_buf_printf(&arrays[k], "%c%llu",
			    i == 0 ? '{' : ',', values[k]);
	}
	for (size_t k = 0; status == FMT_OK && k < 3; k++)
		status =
		    fmt_buf_append_text(&arrays[k], count == 0 ? "{}" : "}");
	for (size_t k = 0; status == FMT_OK && k < 3; k++)
		if (fmt_buf_text(&arrays[k]) == NULL)
			status = FMT_NOMEM;
	return status;
}

/* The ranges that differ, not the pages: there may be millions of those. */
static int
ask_touched(struct bkp_pg *pg, const char *timeline, const char *from,
    const char *to, struct bkp_pg_wal_heap *heaps, size_t count,
    struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT DISTINCT COALESCE(h.number, 0),"
	    " COALESCE(s.relblocknumber / h.pages, 0), s.is_limit_block "
	    "FROM pg_available_wal_summaries() w,"
	    " LATERAL pg_wal_summary_contents("
	    "  w.tli, w.start_lsn, w.end_lsn) s"
	    " LEFT JOIN unnest($4::oid[], $5::oid[], $6::bigint[])"
	    "  WITH ORDINALITY AS h(filenode, tablespace, pages, number)"
	    "  ON h.filenode = s.relfilenode"
	    "  AND h.tablespace = s.reltablespace "
	    "WHERE w.tli = $1::bigint AND s.relforknumber = 0"
	    " AND w.end_lsn > '0/0'::pg_lsn + $2::numeric"
	    " AND w.start_lsn < '0/0'::pg_lsn + $3::numeric"
	    " AND s.reldatabase = (SELECT oid FROM pg_database"
	    "  WHERE datname = current_database())"
	    " AND (h.number IS NOT NULL OR s.relfilenode = 0)";
	struct fmt_buf arrays[3] = {FMT_BUF_INIT, FMT_BUF_INIT, FMT_BUF_INIT};
	enum fmt_status status = write_arrays(heaps, count, arrays);
	PGresult *result = NULL;
	int rc = -1;

	if (status != FMT_OK)
		(void)bkp_fail_format(err, status, "asking for summaries");
	else if (bkp_pg_query(pg, sql, 6,
		     (const char *[]){timeline, from, to,
			 (const char *)arrays[0].data,
			 (const char *)arrays[1].data,
			 (const char *)arrays[2].data},
		     &result, err) == 0)
		rc = take_touched(result, heaps, count, err);
	PQclear(result);
	for (size_t k = 0; k < 3; k++)
		fmt_buf_free(&arrays[k]);
	return rc;
}

/* Summaries are removed, never made again: those that are there now were there
 * a moment ago as well. */
static int
check_cover(struct bkp_pg *pg, const char *timeline, uint64_t from, uint64_t to,
    uint64_t boundary, struct bkp_error *err)
{
	static const char sql[] = "SELECT start_lsn - '0/0'::pg_lsn,"
				  " end_lsn - '0/0'::pg_lsn "
				  "FROM pg_available_wal_summaries() "
				  "WHERE tli = $1::bigint ORDER BY start_lsn";
	PGresult *result = NULL;
	bool is_same = false;

	if (bkp_pg_query(pg, sql, 1, &timeline, &result, err) < 0)
		return -1;
	for (int row = 0; row < PQntuples(result); row++) {
		uint64_t start = number_at(result, row, 0);
		uint64_t end = number_at(result, row, 1);

		if (start <= from && end > from)
			from = end;
		if (end == boundary)
			is_same = true;
	}
	PQclear(result);
	if (from < to)
		return bkp_fail(err, BKP_NOTFOUND,
		    "summaries of the WAL since the last backup are missing");
	if (!is_same)
		return bkp_fail(err, BKP_NOTFOUND,
		    "the WAL is not the one of the last backup");
	return 0;
}

int
bkp_pg_wal_touched(struct bkp_pg *pg, const struct bkp_pg_wal *wal,
    uint64_t from, uint64_t boundary, struct bkp_pg_wal_heap *heaps,
    size_t count, struct bkp_error *err)
{
	char *timeline = bkp_format(err, "%u", (unsigned)wal->server.timeline);
	char *begin = bkp_format(err, "%llu", (unsigned long long)from);
	char *end = bkp_format(err, "%llu", (unsigned long long)wal->end);
	int rc = -1;

	if (timeline != NULL && begin != NULL && end != NULL &&
	    ask_touched(pg, timeline, begin, end, heaps, count, err) == 0)
		rc = check_cover(pg, timeline, from, wal->end, boundary, err);
	free(timeline);
	free(begin);
	free(end);
	return rc;
}
