/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that refer to what is erased, and stay. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/erase_own.h"

/* ---- which edges ---- */

/* Whatever refers by an edge that was followed downwards is erased itself. */
static bool
is_open(const struct eraser *e, const struct bkp_walk_edge *edge)
{
	if (e->walk->sets[edge->parent].rows == 0)
		return false;
	return edge->is_up || !bkp_walk_is_followed(e->walk, edge);
}

static int
note(struct eraser *e, const struct bkp_walk_edge *edge, uint64_t rows,
    const char *why, struct bkp_error *err)
{
	struct bkp_erased *out = e->out;
	struct bkp_erased_reference *reference;

	if (bkp_grow(&out->references, out->reference_count,
		&out->reference_cap, sizeof(*out->references), err) < 0)
		return -1;
	reference = &out->references[out->reference_count++];
	*reference = (struct bkp_erased_reference){.rows = rows,
	    .why = why,
	    .is_wanted =
		edge->map != NULL && edge->map->erase == BKP_ERASE_KEEP};
	if (why != NULL)
		out->stayed += rows;
	else
		out->cleared += rows;
	return (reference->edge = bkp_strdup(edge->id, err)) != NULL ? 0 : -1;
}

/* ---- finding ---- */

static int
make_table(struct eraser *e, size_t child, struct bkp_error *err)
{
	if (e->has_references[child])
		return 0;
	e->has_references[child] = true;
	return bkp_pg_run(&e->walk->pg, err,
	    "CREATE TEMPORARY TABLE erase_%u (rel oid NOT NULL,"
	    " tid tid NOT NULL, edge int NOT NULL, PRIMARY KEY (edge, rel, "
	    "tid))"
	    " ON COMMIT DROP",
	    (unsigned)child);
}

static int
find(struct eraser *e, size_t number, struct bkp_error *err)
{
	struct bkp_walk *walk = e->walk;
	const struct bkp_walk_edge *edge = &walk->edges[number];
	const struct bkp_model_table *parent =
	    &walk->model.tables[edge->parent];
	struct fmt_buf sql = FMT_BUF_INIT;
	int rc = make_table(e, edge->child, err);

	for (size_t i = 0; rc == 0 && i < parent->leaf_count; i++) {
		enum fmt_status status = bkp_pg_sql(&sql,
		    "INSERT INTO pg_temp.erase_%u (rel, tid, edge)"
		    " SELECT r.rel, r.tid, %u FROM (",
		    (unsigned)edge->child, (unsigned)number);

		if (status == FMT_OK)
			status = bkp_walk_append_referring(
			    &sql, walk, edge, &parent->leaves[i]);
		if (status == FMT_OK)
			status = bkp_pg_sql(&sql, ") r ON CONFLICT DO NOTHING");
		rc = bkp_erase_execute(e, &sql, status, NULL, err);
	}
	fmt_buf_free(&sql);
	return rc == 0 ? 0
		       : bkp_fail_in(
			     err, "looking for what refers by %s", edge->id);
}

int
bkp_erase_find(struct eraser *e, struct bkp_error *err)
{
	struct bkp_walk *walk = e->walk;

	for (size_t i = 0; i < walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &walk->edges[i];

		if (!is_open(e, edge))
			continue;
		if (walk->model.tables[edge->child].is_foreign) {
			if (note(e, edge, 0,
				"it is in a foreign table, which is no part of "
				"this database",
				err) < 0)
				return -1;
			continue;
		}
		if (find(e, i, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- clearing ---- */

static int
count(struct eraser *e, size_t number, uint64_t *rows, struct bkp_error *err)
{
	char *sql = bkp_format(err,
	    "SELECT count(*) FROM pg_temp.erase_%zu WHERE edge = %zu",
	    e->walk->edges[number].child, number);
	char *text = sql != NULL ? bkp_pg_text(&e->walk->pg, sql, err) : NULL;

	free(sql);
	if (text == NULL)
		return -1;
	*rows = strtoull(text, NULL, 10);
	free(text);
	return 0;
}

/* An update moves its row: the rows that other edges wait for are told where
 * they are now. No row gets a place that another has had, for what this
 * transaction leaves is not reused before it ends. */
static int
update(struct eraser *e, size_t number, const struct fmt_buf *cleared,
    struct bkp_error *err)
{
	const struct bkp_walk_edge *edge = &e->walk->edges[number];
	const struct bkp_model_table *child =
	    &e->walk->model.tables[edge->child];
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status =
	    bkp_pg_sql(&sql, "WITH u AS (UPDATE %s%s AS %I SET ",
		bkp_walk_is_partitioned(child) ? "" : "ONLY ", child->quoted,
		child->name);
	int rc;

	if (status == FMT_OK)
		status = fmt_buf_append(&sql, cleared->data, cleared->len);
	if (status == FMT_OK)
		status = bkp_pg_sql(&sql,
		    " FROM pg_temp.erase_%u \"walk r\" WHERE"
		    " \"walk r\".edge = %u AND %I.tableoid = \"walk r\".rel"
		    " AND %I.ctid = \"walk r\".tid"
		    " RETURNING \"walk r\".rel, \"walk r\".tid,"
		    " %I.tableoid AS new_rel, %I.ctid AS new_tid) "
		    "UPDATE pg_temp.erase_%u m SET rel = u.new_rel,"
		    " tid = u.new_tid FROM u"
		    " WHERE m.rel = u.rel AND m.tid = u.tid",
		    (unsigned)edge->child, (unsigned)number, child->name,
		    child->name, child->name, child->name,
		    (unsigned)edge->child);
	rc = bkp_erase_execute(e, &sql, status, NULL, err);
	fmt_buf_free(&sql);
	return rc;
}

/* What people must write where a foreign key stands in the way. */
static int
fail_open(const struct eraser *e, const struct bkp_walk_edge *edge,
    uint64_t rows, const char *why, struct bkp_error *err)
{
	bool is_own_up = edge->map != NULL && edge->map->is_up &&
			 edge->map->decided == BKP_OWN;

	return bkp_fail(err, BKP_INVALID,
	    "%llu rows of %s refer to rows that are to be erased by %s, and "
	    "%s: say in the map %s",
	    (unsigned long long)rows, e->walk->model.tables[edge->child].id,
	    edge->id, why,
	    is_own_up ? "'erase: keep' there, and the row they refer to stays"
		      : "'erase: delete' there, and they are erased, too");
}

static int
clear_edge(struct eraser *e, size_t number, struct bkp_error *err)
{
	const struct bkp_walk_edge *edge = &e->walk->edges[number];
	struct fmt_buf cleared = FMT_BUF_INIT;
	struct bkp_error failure = BKP_ERROR_INIT;
	const char *why = NULL;
	uint64_t rows = 0;
	int rc = -1;

	if (count(e, number, &rows, err) < 0)
		return -1;
	if (rows == 0)
		return 0;
	if (bkp_erase_append_cleared(&cleared, e->walk, edge, &why) != FMT_OK)
		(void)bkp_fail_nomem(err, "clearing references");
	else if (why != NULL && edge->key != NULL)
		(void)fail_open(e, edge, rows, why, err);
	else if (why != NULL)
		rc = note(e, edge, rows, why, err);
	else if (update(e, number, &cleared, &failure) == 0)
		rc = note(e, edge, rows, NULL, err);
	else if (failure.code == BKP_INVALID)
		(void)fail_open(e, edge, rows, failure.message, err);
	else if (err != NULL)
		*err = failure;
	fmt_buf_free(&cleared);
	return rc;
}

int
bkp_erase_clear(struct eraser *e, struct bkp_error *err)
{
	for (size_t i = 0; i < e->walk->edge_count; i++)
		if (is_open(e, &e->walk->edges[i]) &&
		    !e->walk->model.tables[e->walk->edges[i].child]
			 .is_foreign &&
		    clear_edge(e, i, err) < 0)
			return -1;
	return 0;
}

/* ---- proving ---- */

/* With the rows still there: afterwards nobody could tell what they were. */
static int
prove(struct eraser *e, const struct bkp_walk_edge *edge, struct bkp_error *err)
{
	const struct bkp_model_table *parent =
	    &e->walk->model.tables[edge->parent];
	struct fmt_buf sql = FMT_BUF_INIT;
	uint64_t left = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && left == 0 && i < parent->leaf_count;
	     i++) {
		enum fmt_status status = bkp_walk_append_referring(
		    &sql, e->walk, edge, &parent->leaves[i]);

		if (status == FMT_OK)
			status = bkp_pg_sql(&sql, " LIMIT 1");
		rc = bkp_erase_execute(e, &sql, status, &left, err);
	}
	fmt_buf_free(&sql);
	if (rc == 0 && left > 0)
		return bkp_fail(err, BKP_INVALID,
		    "rows of %s would be left that refer by %s to rows that "
		    "are to be erased",
		    e->walk->model.tables[edge->child].id, edge->id);
	return rc;
}

int
bkp_erase_prove(struct eraser *e, struct bkp_error *err)
{
	for (size_t i = 0; i < e->walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &e->walk->edges[i];

		if (edge->key != NULL && e->walk->sets[edge->parent].rows > 0 &&
		    prove(e, edge, err) < 0)
			return -1;
	}
	return 0;
}
