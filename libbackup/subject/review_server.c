/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the server knows: whether SQL of the map means anything, what may
 * be read, what is unique.
 *
 * SQL is tried by preparing a statement and asking what it gives: the server
 * parses it, looks up its names and types, and runs nothing. The protocol
 * takes one statement at a time, the map's reader saw to it that an expression
 * does not leave its brackets, and the transaction is read only where we begin
 * it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/review_own.h"

/* ---- trying ---- */

struct trial {
	Oid type;      /* of the first column that it gives */
	char *problem; /* owned: the server's words; NULL: none */
};

/* The server looked at the statement and refused it: syntax, names, types. A
 * lock that did not come, or no memory, says nothing about the map. */
static bool
is_about_sql(const PGresult *result)
{
	static const char *const others[] = {
	    "08", "25", "40", "53", "55", "57", "58", "XX"};
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	for (size_t i = 0;
	     state != NULL && i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(state, others[i], 2) == 0)
			return false;
	return state != NULL;
}

/* Reads all results of what was sent. */
static int
finish(struct bkp_pg *pg, struct trial *trial, struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0;

	for (;;) {
		if (bkp_pg_result(pg, &result, err) < 0)
			return -1;
		if (result == NULL)
			return rc;
		if (PQresultStatus(result) == PGRES_COMMAND_OK) {
			if (PQnfields(result) > 0)
				trial->type = PQftype(result, 0);
		} else if (!is_about_sql(result)) {
			rc = bkp_pg_fail(pg, result, err);
		} else if (trial->problem == NULL) {
			trial->problem = bkp_strdup(
			    PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
			    err);
			rc = trial->problem != NULL ? 0 : -1;
		}
		PQclear(result);
	}
}

/* In a savepoint, for a refusal ends the transaction. */
static int
try_sql(struct reviewer *r, const char *sql, struct trial *trial,
    struct bkp_error *err)
{
	struct bkp_pg *pg = r->pg;

	if (bkp_pg_do(pg, "SAVEPOINT trial", err) < 0)
		return -1;
	if (!PQsendPrepare(pg->conn, "", sql, 0, NULL))
		return bkp_pg_fail(pg, NULL, err);
	if (finish(pg, trial, err) < 0)
		return -1;
	if (trial->problem == NULL) {
		if (!PQsendDescribePrepared(pg->conn, ""))
			return bkp_pg_fail(pg, NULL, err);
		if (finish(pg, trial, err) < 0)
			return -1;
	}
	return bkp_pg_do(
	    pg, "ROLLBACK TO SAVEPOINT trial; RELEASE SAVEPOINT trial", err);
}

/* The same for SQL in a buffer, which is freed. */
static int
try_buffer(struct reviewer *r, struct fmt_buf *sql, enum fmt_status status,
    struct trial *trial, struct bkp_error *err)
{
	int rc;

	*trial = (struct trial){0, NULL};
	if (status != FMT_OK || fmt_buf_text(sql) == NULL)
		rc = bkp_fail_nomem(err, "reviewing a map");
	else
		rc = try_sql(r, (const char *)sql->data, trial, err);
	fmt_buf_free(sql);
	return rc;
}

/* ---- references ---- */

/* The value stands in the condition, too, where the server takes neither
 * aggregates nor sets: a row has one value. */
static enum fmt_status
append_from(struct fmt_buf *sql, const struct bkp_model_table *table,
    const struct bkp_strings *values, const char *when)
{
	enum fmt_status status = bkp_pg_sql(
	    sql, " FROM %s AS %I WHERE true", table->quoted, table->name);

	for (size_t i = 0; status == FMT_OK && i < values->count; i++) {
		status = fmt_buf_append_text(sql, " AND ");
		if (status == FMT_OK)
			status = bkp_model_value(sql, table, values->items[i]);
		if (status == FMT_OK)
			status = fmt_buf_append_text(sql, " IS NOT NULL");
	}
	if (status == FMT_OK && when != NULL)
		status = bkp_pg_sql(sql, " AND (%s)", when);
	return status;
}

/* The values are compared with the columns by '='. One of a type that the
 * application made is cast to it instead, for its operators stand in a schema
 * that is not searched. */
static enum fmt_status
append_comparison(struct fmt_buf *sql, const struct bkp_model_table *parent,
    const char *name, unsigned number)
{
	const struct bkp_model_column *column =
	    &parent->columns[bkp_model_column(parent, name)];
	bool is_made = column->type_oid >= 16384;

	return is_made ? bkp_pg_sql(sql, "%sCAST(c.v%u AS %s) IS NOT NULL",
			     number > 0 ? " AND " : "", number, column->type)
		       : bkp_pg_sql(sql, "%sc.v%u = p.%I",
			     number > 0 ? " AND " : "", number, name);
}

static enum fmt_status
append_reference(struct fmt_buf *sql, const struct reviewer *r,
    const struct review_edge *edge)
{
	const struct bkp_model_table *child = &r->model->tables[edge->child];
	const struct bkp_model_table *parent = &r->model->tables[edge->parent];
	const struct bkp_map_edge *map = edge->map;
	enum fmt_status status = bkp_pg_sql(sql, "SELECT 1 FROM (SELECT ");

	for (size_t i = 0; status == FMT_OK && i < map->child_values.count;
	     i++) {
		status = fmt_buf_append_text(sql, i > 0 ? ", " : "");
		if (status == FMT_OK && map->is_array)
			status = fmt_buf_append_text(sql, "pg_catalog.unnest(");
		if (status == FMT_OK)
			status = bkp_model_value(
			    sql, child, map->child_values.items[i]);
		if (status == FMT_OK)
			status = bkp_pg_sql(sql, "%s AS v%u",
			    map->is_array ? ")" : "", (unsigned)i);
	}
	if (status == FMT_OK)
		status = append_from(sql, child, &map->child_values, map->when);
	if (status == FMT_OK)
		status =
		    bkp_pg_sql(sql, ") AS c, %s AS p WHERE ", parent->quoted);
	for (size_t i = 0; status == FMT_OK && i < map->child_values.count; i++)
		status = append_comparison(
		    sql, parent, map->parent_columns.items[i], (unsigned)i);
	return status;
}

/* The server does not even look at names in a schema that is closed. */
static bool
can_be_named(const struct reviewer *r, size_t table)
{
	return table != SIZE_MAX &&
	       r->model->tables[table].access != BKP_ACCESS_NONE;
}

/* What has no table or column has been told already, or will be where it
 * cannot be read. */
static bool
can_be_tried(const struct reviewer *r, const struct review_edge *edge)
{
	if (edge->key != NULL || !can_be_named(r, edge->child) ||
	    !can_be_named(r, edge->parent))
		return false;
	for (size_t i = 0; i < edge->map->parent_columns.count; i++)
		if (bkp_model_column(&r->model->tables[edge->parent],
			edge->map->parent_columns.items[i]) == SIZE_MAX)
			return false;
	return true;
}

static int
review_reference(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	struct trial trial;
	int rc;

	if (!can_be_tried(r, edge))
		return 0;
	rc = try_buffer(r, &sql, append_reference(&sql, r, edge), &trial, err);
	if (rc == 0 && trial.problem != NULL)
		rc = bkp_review_add(r, BKP_REVIEW_FINDING, "reference-broken",
		    edge->map->id, edge->map->line, err,
		    "the server refuses it: %s; put the expression right, with "
		    "a cast where types differ, as in (ref)::bigint",
		    trial.problem);
	else if (rc == 0 && r->is_read_only && r->model->is_for_advice)
		rc = bkp_review_index(r, edge, err);
	free(trial.problem);
	return rc;
}

/* ---- files ---- */

/* text, varchar, char, name, uuid, and arrays of text; what is still unknown
 * is a constant. */
static bool
is_text_like(Oid type, bool is_array_fine)
{
	static const Oid texts[] = {25, 1043, 1042, 19, 705, 2950};
	static const Oid arrays[] = {1009, 1015, 1014, 1003, 2951};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (type == texts[i])
			return true;
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		if (is_array_fine && type == arrays[i])
			return true;
	return false;
}

static int
review_text(struct reviewer *r, const struct bkp_map_file *file,
    const char *name, char *text, struct bkp_error *err)
{
	const struct bkp_strings values = {&text, 1};
	const struct bkp_model_table *table =
	    &r->model->tables[bkp_model_table(r->model, file->table)];
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(&sql, "SELECT ");
	struct trial trial;
	int rc;

	if (status == FMT_OK)
		status = bkp_model_value(&sql, table, text);
	if (status == FMT_OK)
		status = append_from(&sql, table, &values, file->when);
	rc = try_buffer(r, &sql, status, &trial, err);
	if (rc == 0 && trial.problem != NULL)
		rc = bkp_review_add(r, BKP_REVIEW_FINDING, "reference-broken",
		    file->table, file->line, err,
		    "the server refuses '%s' of an entry of 'files': %s", name,
		    trial.problem);
	else if (rc == 0 && !is_text_like(trial.type, strcmp(name, "key") == 0))
		rc = bkp_review_add(r, BKP_REVIEW_FINDING, "reference-broken",
		    file->table, file->line, err,
		    "'%s' of an entry of 'files' gives no text: cast it, as in "
		    "(%s)::text",
		    name, text);
	free(trial.problem);
	return rc;
}

static int
review_file(
    struct reviewer *r, const struct bkp_map_file *file, struct bkp_error *err)
{
	if (!can_be_named(r, bkp_model_table(r->model, file->table)))
		return 0;
	if (file->key != NULL &&
	    review_text(r, file, "key", file->key, err) < 0)
		return -1;
	if (file->prefix != NULL &&
	    review_text(r, file, "prefix", file->prefix, err) < 0)
		return -1;
	return file->name != NULL
		   ? review_text(r, file, "name", file->name, err)
		   : 0;
}

/* ---- what may be read ---- */

static int
review_access(struct reviewer *r, struct bkp_error *err)
{
	for (size_t i = 0; i < r->model->table_count; i++) {
		const struct bkp_model_table *table = &r->model->tables[i];
		const char *why = bkp_model_unreadable(table);

		if (why != NULL && r->out->reached[i] != BKP_UNDECIDED &&
		    bkp_review_add(r, BKP_REVIEW_FINDING, "table-unreadable",
			table->id, 0, err, "%s", why) < 0)
			return -1;
	}
	return 0;
}

/* ---- the subject's key ---- */

/* The columns of each unique index, a row an index. */
static const char unique_sql[] =
    "SELECT array_to_string(ARRAY(SELECT a.attname::text"
    "  FROM unnest(i.indkey) WITH ORDINALITY k(attnum, place)"
    "  JOIN pg_attribute a ON a.attrelid = i.indrelid"
    "   AND a.attnum = k.attnum"
    "  WHERE k.place <= i.indnkeyatts ORDER BY 1), chr(1)) "
    "FROM pg_index i WHERE i.indrelid = $1::oid AND i.indisunique"
    " AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL";

/* The key's columns as an index's are told. */
static int
append_key(struct fmt_buf *out, const struct bkp_strings *key)
{
	const char *names[32];
	size_t count = key->count < 32 ? key->count : 32;
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < count; i++)
		names[i] = key->items[i];
	qsort(names, count, sizeof(*names), bkp_compare_strings);
	for (size_t i = 0; status == FMT_OK && i < count; i++)
		status = bkp_pg_sql(out, "%s%s", i > 0 ? "\001" : "", names[i]);
	return status == FMT_OK && fmt_buf_text(out) != NULL ? 0 : -1;
}

static int
review_key(struct reviewer *r, struct bkp_error *err)
{
	struct fmt_buf key = FMT_BUF_INIT;
	PGresult *result = NULL;
	char oid[16];
	const char *const values[] = {oid};
	bool is_unique = false;
	int rc;

	if (r->subject == SIZE_MAX)
		return 0;
	(void)snprintf(
	    oid, sizeof(oid), "%u", r->model->tables[r->subject].oid);
	rc = bkp_pg_query(r->pg, unique_sql, 1, values, &result, err);
	if (rc == 0 && append_key(&key, &r->map->key) < 0)
		rc = bkp_fail_nomem(err, "reviewing a map");
	for (int i = 0; rc == 0 && i < PQntuples(result); i++)
		is_unique |= strcmp(PQgetvalue(result, i, 0),
				 (const char *)key.data) == 0;
	if (rc == 0 && !is_unique)
		rc = bkp_review_add(r, BKP_REVIEW_FINDING, "subject-not-unique",
		    r->map->table, 0, err,
		    "no unique index has exactly the columns of the subject's "
		    "key, so that a key may be that of two: name others, or "
		    "make such an index");
	PQclear(result);
	fmt_buf_free(&key);
	return rc;
}

/* ---- all of it ---- */

static int
review_all(struct reviewer *r, struct bkp_error *err)
{
	for (size_t i = 0; i < r->edge_count; i++)
		if (review_reference(r, &r->edges[i], err) < 0)
			return -1;
	for (size_t i = 0; i < r->map->file_count; i++)
		if (review_file(r, &r->map->files[i], err) < 0)
			return -1;
	if (review_access(r, err) < 0)
		return -1;
	return review_key(r, err);
}

static int
find_read_only(struct reviewer *r, struct bkp_error *err)
{
	char *state = bkp_pg_text(r->pg, "SHOW transaction_read_only", err);

	r->is_read_only = state != NULL && strcmp(state, "on") == 0;
	free(state);
	return state != NULL ? 0 : -1;
}

int
bkp_review_server(struct reviewer *r, struct bkp_error *err)
{
	bool is_ours = PQtransactionStatus(r->pg->conn) == PQTRANS_IDLE;
	int rc;

	if (is_ours &&
	    bkp_pg_do(r->pg, "BEGIN READ ONLY; SET LOCAL lock_timeout TO '10s'",
		err) < 0)
		return -1;
	rc = find_read_only(r, err);
	if (rc == 0)
		rc = review_all(r, err);
	if (is_ours && bkp_pg_do(r->pg, "ROLLBACK", rc == 0 ? err : NULL) < 0)
		rc = -1;
	return rc;
}
