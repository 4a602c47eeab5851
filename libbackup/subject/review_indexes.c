/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an index serves a declared reference: the server plans, and does not
 * run, the query that would follow it, with scans of whole tables as the last
 * resort. For planning evaluates constant parts of an expression this is done
 * in transactions that are read only, and nowhere else.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/names.h"
#include "libbackup/subject/review_own.h"

/* The condition that an index may have. Where references of several types are
 * told apart by theirs, rows of an unknown type are looked for as well, which
 * is by the value alone. */
static const char *
condition(const struct reviewer *r, const struct review_edge *edge)
{
	const struct bkp_map_edge *map = edge->map;

	for (size_t i = 0; map->when != NULL && i < r->edge_count; i++) {
		const struct review_edge *other = &r->edges[i];

		if (other != edge && other->key == NULL &&
		    other->child == edge->child && other->map->when != NULL &&
		    strcmp(other->map->child_values.items[0],
			map->child_values.items[0]) == 0)
			return NULL;
	}
	return map->when;
}

/* " WHERE value = (SELECT NULL::type) AND ...": the values of one side against
 * the types of the parent. */
static enum fmt_status
append_lookup(struct fmt_buf *sql, const struct reviewer *r,
    const struct review_edge *edge, bool is_child)
{
	const struct bkp_model_table *parent = &r->model->tables[edge->parent];
	const struct bkp_model_table *table =
	    is_child ? &r->model->tables[edge->child] : parent;
	const struct bkp_strings *names = &edge->map->parent_columns;
	const struct bkp_strings *values =
	    is_child ? &edge->map->child_values : names;
	enum fmt_status status =
	    bkp_pg_sql(sql, "EXPLAIN SELECT 1 FROM %s AS %I WHERE true",
		table->quoted, table->name);

	for (size_t i = 0; status == FMT_OK && i < values->count; i++) {
		size_t column = bkp_model_column(parent, names->items[i]);

		status = fmt_buf_append_text(sql, " AND ");
		if (status == FMT_OK)
			status = bkp_model_value(sql, table, values->items[i]);
		if (status == FMT_OK)
			status = bkp_pg_sql(sql,
			    is_child && edge->map->is_array
				? " @> ARRAY[(SELECT CAST(NULL AS %s))]"
				: " = (SELECT CAST(NULL AS %s))",
			    parent->columns[column].type);
	}
	if (status == FMT_OK && is_child && condition(r, edge) != NULL)
		status = bkp_pg_sql(sql, " AND (%s)", condition(r, edge));
	return status;
}

/* *is_scan: the plan reads a whole table. A statement that the server refuses
 * is none that can be told anything about. */
static int
plan(struct bkp_pg *pg, const char *sql, bool *is_scan, struct bkp_error *err)
{
	struct bkp_error refused = BKP_ERROR_INIT;
	PGresult *result = NULL;

	*is_scan = false;
	if (bkp_pg_do(pg,
		"SAVEPOINT plan; SET LOCAL enable_seqscan TO off;"
		"SET LOCAL statement_timeout TO '10s'",
		err) < 0)
		return -1;
	if (bkp_pg_query(pg, sql, 0, NULL, &result, &refused) < 0 &&
	    PQtransactionStatus(pg->conn) != PQTRANS_INERROR) {
		if (err != NULL)
			*err = refused;
		return -1;
	}
	for (int i = 0; result != NULL && i < PQntuples(result); i++)
		*is_scan |=
		    strstr(PQgetvalue(result, i, 0), "Seq Scan on") != NULL;
	PQclear(result);
	return bkp_pg_do(
	    pg, "ROLLBACK TO SAVEPOINT plan; RELEASE SAVEPOINT plan", err);
}

/* "public.events (((payload->>'user')::bigint)) WHERE kind = 'user'", "public.t
 * USING gin (ids)" */
static enum fmt_status
append_index(struct fmt_buf *out, const struct reviewer *r,
    const struct review_edge *edge, bool is_child)
{
	const struct bkp_model_table *table =
	    &r->model->tables[is_child ? edge->child : edge->parent];
	const struct bkp_strings *values =
	    is_child ? &edge->map->child_values : &edge->map->parent_columns;
	enum fmt_status status = fmt_buf_append_text(out, table->id);

	if (status == FMT_OK && is_child && edge->map->is_array)
		status = fmt_buf_append_text(out, " USING gin");
	for (size_t i = 0; status == FMT_OK && i < values->count; i++) {
		const char *value = values->items[i];

		status = fmt_buf_append_text(out, i > 0 ? ", " : " (");
		if (status != FMT_OK)
			break;
		status = bkp_model_column(table, value) != SIZE_MAX
			     ? bkp_subject_identifier(out, value)
			     : fmt_buf_printf(out, "(%s)", value);
	}
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, ')');
	if (status == FMT_OK && is_child && condition(r, edge) != NULL)
		status = fmt_buf_printf(out, " WHERE %s", condition(r, edge));
	return status;
}

static int
advise(struct reviewer *r, const struct review_edge *edge, bool is_child,
    struct bkp_error *err)
{
	struct fmt_buf index = FMT_BUF_INIT;
	int rc;

	if (append_index(&index, r, edge, is_child) != FMT_OK ||
	    fmt_buf_text(&index) == NULL)
		rc = bkp_fail_nomem(err, "reviewing a map");
	else
		rc = bkp_review_add(r, BKP_REVIEW_ADVICE, "no-index",
		    edge->map->id, edge->map->line, err,
		    "no index serves it, so every export reads the whole "
		    "table: CREATE INDEX ON %s",
		    (const char *)index.data);
	fmt_buf_free(&index);
	return rc;
}

/* No index of the server's own serves an expression that makes an array, or an
 * array of another type than what it names. */
static int
advise_array(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	const struct bkp_model_table *parent = &r->model->tables[edge->parent];
	const char *name = edge->map->parent_columns.items[0];

	return bkp_review_add(r, BKP_REVIEW_ADVICE, "no-index", edge->map->id,
	    edge->map->line, err,
	    "no index can serve it, so every export reads the whole table: "
	    "that takes a column of type %s[], as %s.%s has it, with a GIN "
	    "index",
	    parent->columns[bkp_model_column(parent, name)].type, parent->id,
	    name);
}

static bool
is_array_of_parent(const struct reviewer *r, const struct review_edge *edge)
{
	const struct bkp_model_table *parent = &r->model->tables[edge->parent];
	size_t column =
	    bkp_model_column(parent, edge->map->parent_columns.items[0]);

	return bkp_model_is_array_of(&r->model->tables[edge->child],
	    edge->map->child_values.items[0], &parent->columns[column]);
}

int
bkp_review_index(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	bool is_child = !edge->map->is_up && edge->map->decided != BKP_LOOKUP;
	struct fmt_buf sql = FMT_BUF_INIT;
	bool is_scan = false;
	int rc;

	if (edge->map->decided == BKP_SKIP ||
	    edge->map->decided == BKP_UNDECIDED)
		return 0;
	if (edge->map->is_array && is_child && !is_array_of_parent(r, edge))
		return advise_array(r, edge, err);
	if (append_lookup(&sql, r, edge, is_child) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL)
		rc = bkp_fail_nomem(err, "reviewing a map");
	else
		rc = plan(r->pg, (const char *)sql.data, &is_scan, err);
	fmt_buf_free(&sql);
	return rc == 0 && is_scan ? advise(r, edge, is_child, err) : rc;
}
