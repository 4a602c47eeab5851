/* SPDX-License-Identifier: Apache-2.0 */
/* How rows came in, and rows that may have been meant to. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

/* A row of a set. */
struct place {
	size_t table;
	char rel[16], tid[32];
};

static void
set_place(struct place *place, size_t table, PGresult *result, int column)
{
	place->table = table;
	(void)snprintf(place->rel, sizeof(place->rel), "%s",
	    PQgetvalue(result, 0, column));
	(void)snprintf(place->tid, sizeof(place->tid), "%s",
	    PQgetvalue(result, 0, column + 1));
}

/* ---- the row that is asked for ---- */

static enum fmt_status
append_lookup(struct fmt_buf *sql, const struct bkp_walk *walk,
    const struct bkp_model_table *table)
{
	enum fmt_status status = bkp_pg_sql(
	    sql, "SELECT %I.tableoid, %I.ctid", table->name, table->name);

	if (status == FMT_OK)
		status = bkp_walk_append_from(sql, table);
	if (status == FMT_OK && table->key == NULL)
		return bkp_pg_sql(sql, " WHERE %I.ctid = $1", table->name);
	for (size_t i = 0; status == FMT_OK && i < table->key_count; i++) {
		const struct bkp_model_column *column =
		    &table->columns[table->key[i]];

		status = bkp_pg_sql(sql, i == 0 ? " WHERE %I.%I" : " AND %I.%I",
		    table->name, column->name);
		if (status == FMT_OK)
			status = bkp_walk_append_operator(sql, walk, column);
		if (status == FMT_OK)
			status = bkp_pg_sql(sql, " $%u", (unsigned)i + 1);
	}
	return status;
}

static int
find_row(struct bkp_walk *walk, size_t table, const char *const *key,
    size_t key_count, struct place *out, struct bkp_error *err)
{
	const struct bkp_model_table *t = &walk->model.tables[table];
	size_t wanted = t->key != NULL ? t->key_count : 1;
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	int rc = -1;

	if (key_count != wanted)
		return bkp_fail(err, BKP_INVALID,
		    t->key != NULL ? "the primary key of %s has %zu columns, "
				     "and %zu values were given"
				   : "%s has no primary key: a row of it is "
				     "named by its ctid, %zu value, and %zu "
				     "were given",
		    t->id, wanted, key_count);
	if (append_lookup(&sql, walk, t) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL) {
		(void)bkp_fail_nomem(err, "looking up a row");
	} else if (bkp_pg_query(&walk->pg, (const char *)sql.data,
		       (int)key_count, key, &result, err) < 0) {
		(void)bkp_fail_in(err, "looking for a row of %s", t->id);
	} else if (PQntuples(result) == 0) {
		(void)bkp_fail(err, BKP_NOTFOUND, "%s has no such row", t->id);
	} else {
		set_place(out, table, result, 0);
		rc = 0;
	}
	PQclear(result);
	fmt_buf_free(&sql);
	return rc;
}

/* ---- the way back ---- */

/* "id=7": the row as people know it. */
static char *
name_row(
    struct bkp_walk *walk, const struct place *place, struct bkp_error *err)
{
	const struct bkp_model_table *t = &walk->model.tables[place->table];
	const char *values[] = {place->rel, place->tid};
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	char *name = NULL;
	enum fmt_status status =
	    fmt_buf_append_text(&sql, "SELECT pg_catalog.concat_ws(', '");

	for (size_t i = 0; status == FMT_OK && i < t->key_count; i++)
		status = bkp_pg_sql(&sql, ", pg_catalog.concat(%L, '=', %I.%I)",
		    t->columns[t->key[i]].name, t->name,
		    t->columns[t->key[i]].name);
	if (status == FMT_OK && t->key_count == 0)
		status = bkp_pg_sql(&sql, ", %I.ctid", t->name);
	if (status == FMT_OK)
		status = fmt_buf_append_text(&sql, ")");
	if (status == FMT_OK)
		status = bkp_walk_append_from(&sql, t);
	if (status == FMT_OK)
		status =
		    bkp_pg_sql(&sql, " WHERE %I.tableoid = $1 AND %I.ctid = $2",
			t->name, t->name);
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "naming a row");
	else if (bkp_pg_query(&walk->pg, (const char *)sql.data, 2, values,
		     &result, err) == 0)
		name = bkp_strdup(PQgetvalue(result, 0, 0), err);
	PQclear(result);
	fmt_buf_free(&sql);
	return name;
}

/* Adds the step of a place; *at becomes the place that it came from, and
 * *is_start tells that there is none. */
static int
add_step(struct bkp_walk *walk, struct place *at, bool *is_start,
    struct bkp_walk_path *path, struct bkp_error *err)
{
	const char *values[] = {at->rel, at->tid};
	char *sql = bkp_format(err,
	    "SELECT edge, decided, from_rel, from_tid FROM pg_temp.walk_%zu"
	    " WHERE rel = $1 AND tid = $2",
	    at->table);
	struct bkp_walk_step step = {.table = at->table};
	PGresult *result = NULL;
	long edge;
	int rc = -1;

	if (sql == NULL ||
	    bkp_pg_query(&walk->pg, sql, 2, values, &result, err) < 0)
		goto out;
	if (PQntuples(result) == 0) {
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "the row of %s is not in the export: no edge of the map "
		    "leads to it",
		    walk->model.tables[at->table].id);
		goto out;
	}
	edge = strtol(PQgetvalue(result, 0, 0), NULL, 10);
	step.decided =
	    (enum bkp_decided)strtol(PQgetvalue(result, 0, 1), NULL, 10);
	if (edge >= 0)
		step.edge = walk->edges[edge].id;
	if (bkp_grow(&path->steps, path->count, &path->cap,
		sizeof(*path->steps), err) < 0 ||
	    (step.row = name_row(walk, at, err)) == NULL)
		goto out;
	path->steps[path->count++] = step;
	*is_start = edge < 0;
	if (edge >= 0)
		set_place(at, bkp_walk_source(&walk->edges[edge]), result, 2);
	rc = 0;
out:
	PQclear(result);
	free(sql);
	return rc;
}

int
bkp_walk_explain(struct bkp_walk *walk, size_t table, const char *const *key,
    size_t key_count, struct bkp_walk_path *out, struct bkp_error *err)
{
	struct bkp_walk_path path = {NULL, 0, 0};
	struct place at;
	bool is_start = false;

	if (find_row(walk, table, key, key_count, &at, err) < 0)
		return -1;
	if (!walk->sets[table].is_used)
		return bkp_fail(err, BKP_NOTFOUND,
		    "the row of %s is not in the export: no edge that the map "
		    "follows leads to the table",
		    walk->model.tables[table].id);
	while (!is_start)
		if (add_step(walk, &at, &is_start, &path, err) < 0) {
			bkp_walk_path_free(&path);
			return -1;
		}
	for (size_t i = 0; i < path.count / 2; i++) {
		struct bkp_walk_step step = path.steps[i];

		path.steps[i] = path.steps[path.count - 1 - i];
		path.steps[path.count - 1 - i] = step;
	}
	*out = path;
	return 0;
}

void
bkp_walk_path_free(struct bkp_walk_path *path)
{
	for (size_t i = 0; i < path->count; i++)
		free(path->steps[i].row);
	free(path->steps);
	*path = (struct bkp_walk_path){NULL, 0, 0};
}
