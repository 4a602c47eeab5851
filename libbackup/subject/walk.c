/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/walk.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

int
bkp_walk_execute(struct bkp_walk *walk, struct fmt_buf *sql,
    enum fmt_status status, uint64_t *rows, struct bkp_error *err)
{
	PGresult *result = NULL;

	if (status == FMT_OK && fmt_buf_text(sql) == NULL)
		status = FMT_NOMEM;
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "making a statement");
	if (bkp_pg_query(
		&walk->pg, (const char *)sql->data, 0, NULL, &result, err) < 0)
		return -1;
	if (rows != NULL)
		*rows = strtoull(PQcmdTuples(result), NULL, 10);
	PQclear(result);
	return 0;
}

/* ---- the subject ---- */

static int
check_key(struct bkp_walk *walk, size_t key_count, struct bkp_error *err)
{
	const struct bkp_map *map = walk->map;

	if (key_count != map->key.count)
		return bkp_fail(err, BKP_INVALID,
		    "the key of %s has %zu columns, and %zu values were given",
		    map->table, map->key.count, key_count);
	for (size_t i = 0; i < key_count; i++)
		if (bkp_model_column(&walk->model.tables[walk->subject],
			map->key.items[i]) == SIZE_MAX)
			return bkp_fail(err, BKP_INVALID,
			    "%s has no column %s, which the map calls its key",
			    map->table, map->key.items[i]);
	return 0;
}

/* Without a cast the parameter is of the column's type, and nothing is cut:
 * 'abcdef'::varchar(5) would be somebody else. */
static enum fmt_status
append_key(struct fmt_buf *sql, const struct bkp_walk *walk,
    const struct bkp_model_table *table, const char *column, size_t at)
{
	enum fmt_status status = bkp_pg_sql(
	    sql, at == 0 ? " WHERE %I.%I" : " AND %I.%I", table->name, column);

	if (status == FMT_OK)
		status = bkp_walk_append_operator(sql, walk,
		    &table->columns[bkp_model_column(table, column)]);
	return status == FMT_OK ? bkp_pg_sql(sql, " $%u", (unsigned)at + 1)
				: status;
}

static int
select_by_key(struct bkp_walk *walk, struct fmt_buf *sql,
    enum fmt_status status, const char *const *key, size_t key_count,
    PGresult **out, struct bkp_error *err)
{
	if (status != FMT_OK || fmt_buf_text(sql) == NULL)
		return bkp_fail_nomem(err, "looking up a row");
	return bkp_pg_query(
	    &walk->pg, (const char *)sql->data, (int)key_count, key, out, err);
}

static int
begin_walk(struct bkp_walk *walk, const char *const *key, size_t key_count,
    struct bkp_error *err)
{
	const struct bkp_model_table *table =
	    &walk->model.tables[walk->subject];
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	uint64_t rows = 0;
	enum fmt_status status = bkp_pg_sql(&sql,
	    "INSERT INTO pg_temp.walk_%u (rel, tid, decided, edge, round,"
	    " lists) SELECT %I.tableoid, %I.ctid, %u, -1, 0, 0",
	    (unsigned)walk->subject, table->name, table->name,
	    (unsigned)BKP_OWN);

	if (status == FMT_OK)
		status = bkp_walk_append_from(&sql, table);
	for (size_t i = 0; status == FMT_OK && i < key_count; i++)
		status =
		    append_key(&sql, walk, table, walk->map->key.items[i], i);
	if (select_by_key(walk, &sql, status, key, key_count, &result, err) < 0)
		(void)bkp_fail_in(
		    err, "looking for the subject in %s", table->id);
	else
		rows = strtoull(PQcmdTuples(result), NULL, 10);
	fmt_buf_free(&sql);
	if (result == NULL)
		return -1;
	PQclear(result);
	if (rows == 0)
		return bkp_fail(err, BKP_NOTFOUND,
		    "there is no such subject in %s", table->id);
	if (rows > 1)
		return bkp_fail(err, BKP_INVALID,
		    "%llu rows of %s have this key, and a subject is one: the "
		    "map's key must be unique",
		    (unsigned long long)rows, table->id);
	walk->sets[walk->subject].rows++;
	walk->sets[walk->subject].last++;
	walk->sets[walk->subject].of[BKP_OWN]++;
	return 0;
}

/* ---- rounds ---- */

/* The leaves of an edge's source that have rows to follow it from. */
static int
list_leaves(struct bkp_walk *walk, const struct bkp_walk_edge *edge,
    bool is_first, bool *has_rows, struct bkp_error *err)
{
	size_t source = bkp_walk_source(edge);
	const struct bkp_model_table *table = &walk->model.tables[source];
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	enum fmt_status status;
	int rc = -1;

	if (table->leaf_count == 1) {
		has_rows[0] = true;
		return 0;
	}
	status = bkp_pg_sql(&sql,
	    "SELECT DISTINCT w.rel FROM pg_temp.walk_%u w WHERE w.round %s %u",
	    (unsigned)source, is_first ? "<" : "=",
	    is_first ? walk->round : walk->round - 1);
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "following an edge");
	else
		rc = bkp_pg_query(
		    &walk->pg, (const char *)sql.data, 0, NULL, &result, err);
	for (int i = 0; rc == 0 && i < PQntuples(result); i++)
		for (size_t k = 0; k < table->leaf_count; k++)
			if (strtoul(PQgetvalue(result, i, 0), NULL, 10) ==
			    table->leaves[k].oid)
				has_rows[k] = true;
	PQclear(result);
	fmt_buf_free(&sql);
	return rc;
}

/*
 * A value behind a condition is only good where the condition holds, and SQL
 * does not promise to look at it first. As it is an index can be used; where
 * that fails it is done again with the condition around the value.
 */
static int
follow_leaf(struct bkp_walk *walk, const struct bkp_walk_edge *edge,
    size_t leaf, bool is_first, uint64_t *rows, struct bkp_error *err)
{
	bool has_condition = edge->map != NULL && edge->map->is_declared &&
			     edge->map->when != NULL;
	struct bkp_error failure = BKP_ERROR_INIT;
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status =
	    bkp_walk_append_follow(&sql, walk, edge, leaf, is_first, false);
	int rc;

	if (has_condition &&
	    bkp_pg_do(&walk->pg, "SAVEPOINT follow", err) < 0) {
		fmt_buf_free(&sql);
		return -1;
	}
	rc = bkp_walk_execute(walk, &sql, status, rows, &failure);
	if (has_condition && rc < 0 && failure.code == BKP_INVALID) {
		fmt_buf_clear(&sql);
		status = bkp_walk_append_follow(
		    &sql, walk, edge, leaf, is_first, true);
		rc = bkp_pg_do(
		    &walk->pg, "ROLLBACK TO SAVEPOINT follow", &failure);
		if (rc == 0)
			rc = bkp_walk_execute(
			    walk, &sql, status, rows, &failure);
	}
	if (rc == 0 && has_condition)
		rc = bkp_pg_do(&walk->pg, "RELEASE SAVEPOINT follow", &failure);
	fmt_buf_free(&sql);
	if (rc < 0 && err != NULL)
		*err = failure;
	return rc;
}

static int
fail_follow(const struct bkp_walk_edge *edge, struct bkp_error *err)
{
	if (err != NULL && err->code == BKP_INVALID && edge->key == NULL)
		return bkp_fail_in(err,
		    "the reference %s cannot be read from every row (a "
		    "narrower 'when' leaves out those that it is not for)",
		    edge->id);
	return bkp_fail_in(err, "following %s", edge->id);
}

static int
follow(struct bkp_walk *walk, const struct bkp_walk_edge *edge, bool is_first,
    struct bkp_error *err)
{
	const struct bkp_model_table *source =
	    &walk->model.tables[bkp_walk_source(edge)];
	struct bkp_walk_set *set = &walk->sets[bkp_walk_target(edge)];
	bool *has_rows =
	    bkp_alloc_array(source->leaf_count, sizeof(*has_rows), err);
	int rc = -1;

	if (has_rows == NULL)
		return -1;
	if (list_leaves(walk, edge, is_first, has_rows, err) < 0)
		goto out;
	for (size_t i = 0; i < source->leaf_count; i++) {
		uint64_t rows = 0;

		if (!has_rows[i])
			continue;
		if (follow_leaf(walk, edge, i, is_first, &rows, err) < 0) {
			(void)fail_follow(edge, err);
			goto out;
		}
		set->now += rows;
		set->of[edge->decided] += rows;
		set->is_merged |= bkp_walk_is_merged(walk, edge);
		bkp_run_count(walk->run, 0, rows);
	}
	rc = 0;
out:
	free(has_rows);
	return rc;
}

/* Ends a round; what grew is counted, so that the next joins are planned for
 * as many rows as there are. */
static int
end_round(struct bkp_walk *walk, bool *is_new, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	int rc = 0;

	*is_new = false;
	for (size_t i = 0; i < walk->model.table_count; i++) {
		struct bkp_walk_set *set = &walk->sets[i];

		set->last = set->now;
		set->rows += set->now;
		set->now = 0;
		if (set->last == 0)
			continue;
		*is_new = true;
		if (set->rows - set->counted <= set->counted / 5 ||
		    status != FMT_OK)
			continue;
		status = bkp_pg_sql(&sql, "%s pg_temp.walk_%u",
		    sql.len > 0 ? "," : "ANALYZE", (unsigned)i);
		set->counted = set->rows;
	}
	if (sql.len > 0 || status != FMT_OK)
		rc = bkp_walk_execute(walk, &sql, status, NULL, err);
	fmt_buf_free(&sql);
	bkp_run_tick(walk->run);
	return rc == 0 ? bkp_run_check(walk->run, err) : -1;
}

/* Follows the edges of one decision until nothing new comes. */
static int
walk_decision(
    struct bkp_walk *walk, enum bkp_decided decided, struct bkp_error *err)
{
	bool is_first = true, is_new;

	do {
		walk->round++;
		for (size_t i = 0; i < walk->edge_count; i++) {
			const struct bkp_walk_edge *edge = &walk->edges[i];
			const struct bkp_walk_set *set =
			    &walk->sets[bkp_walk_source(edge)];

			if (edge->decided != decided ||
			    !bkp_walk_is_followed(walk, edge) ||
			    bkp_walk_is_chain(walk, bkp_walk_target(edge)) ||
			    (is_first ? set->rows : set->last) == 0)
				continue;
			if (follow(walk, edge, is_first, err) < 0)
				return -1;
		}
		is_first = false;
		if (end_round(walk, &is_new, err) < 0)
			return -1;
	} while (is_new && decided != BKP_ACTOR);
	return 0;
}

/* ---- what came of it ---- */

/* Where rows were reached again by an edge that gives more of them, the
 * server's count was of both. */
static int
count_merged(struct bkp_walk *walk, size_t table, struct bkp_error *err)
{
	struct bkp_walk_set *set = &walk->sets[table];
	char *sql = bkp_format(err,
	    "SELECT decided, count(*) FROM pg_temp.walk_%zu GROUP BY 1", table);
	PGresult *result = NULL;
	int rc = -1;

	if (sql != NULL)
		rc = bkp_pg_query(&walk->pg, sql, 0, NULL, &result, err);
	for (int i = 0; rc == 0 && i < PQntuples(result); i++)
		set->of[strtoul(PQgetvalue(result, i, 0), NULL, 10)] =
		    strtoull(PQgetvalue(result, i, 1), NULL, 10);
	PQclear(result);
	free(sql);
	return rc;
}

static int
add_table(
    struct bkp_walk *walk, struct bkp_walk_table table, struct bkp_error *err)
{
	if (bkp_grow(&walk->tables, walk->table_count, &walk->table_cap,
		sizeof(*walk->tables), err) < 0)
		return -1;
	walk->tables[walk->table_count++] = table;
	return 0;
}

static int
count_table(struct bkp_walk *walk, size_t table, struct bkp_error *err)
{
	const struct bkp_walk_set *set = &walk->sets[table];

	if (bkp_walk_is_chain(walk, table))
		return bkp_walk_is_chain_empty(walk, table)
			   ? 0
			   : add_table(walk,
				 (struct bkp_walk_table){
				     table, BKP_OWN, BKP_WALK_ROWS_UNKNOWN},
				 err);
	if (set->rows == 0)
		return 0;
	if (set->is_merged && count_merged(walk, table, err) < 0)
		return -1;
	for (enum bkp_decided d = BKP_OWN; d <= BKP_LOOKUP; d++)
		if (set->of[d] > 0 &&
		    add_table(walk,
			(struct bkp_walk_table){table, d, set->of[d]}, err) < 0)
			return -1;
	return 0;
}

int
bkp_walk_run(struct bkp_walk *walk, const char *const *key, size_t key_count,
    struct bkp_error *err)
{
	return bkp_walk_run_many(walk, key, key_count, 1, err);
}

int
bkp_walk_run_many(struct bkp_walk *walk, const char *const *keys,
    size_t key_count, size_t subject_count, struct bkp_error *err)
{
	if (check_key(walk, key_count, err) < 0)
		return -1;
	bkp_run_phase(walk->run, 0, 0, "finding the rows");
	for (size_t i = 0; i < subject_count; i++)
		if (begin_walk(walk, keys + i * key_count, key_count, err) < 0)
			return -1;
	for (enum bkp_decided d = BKP_OWN; d <= BKP_LOOKUP; d++)
		if (walk_decision(walk, d, err) < 0)
			return -1;
	if (bkp_walk_report_types(walk, err) < 0 ||
	    (walk->is_reading && bkp_walk_tell_unread(walk, err) < 0))
		return -1;
	for (size_t i = 0; i < walk->model.table_count; i++)
		if (count_table(walk, i, err) < 0)
			return -1;
	return walk->is_reading ? bkp_walk_read_subject(walk, err) : 0;
}

const struct bkp_walk_table *
bkp_walk_tables(const struct bkp_walk *walk, size_t *count)
{
	*count = walk->table_count;
	return walk->tables;
}

struct bkp_pg *
bkp_walk_session(struct bkp_walk *walk)
{
	return &walk->pg;
}

const struct bkp_model *
bkp_walk_model(const struct bkp_walk *walk)
{
	return &walk->model;
}

bool
bkp_walk_uses(const struct bkp_walk *walk, size_t table)
{
	return walk->sets[table].is_used;
}

const char *
bkp_walk_lsn(const struct bkp_walk *walk)
{
	return walk->lsn;
}

const char *
bkp_walk_time(const struct bkp_walk *walk)
{
	return walk->time;
}
