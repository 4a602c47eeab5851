/* SPDX-License-Identifier: Apache-2.0 */
/* What the server knows of the rows that were kept: by which row each came in,
 * how many more came by the same way, and what they look up. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/export_core.h"

/* The kept rows of a table, counted from 1. */
#define PLACES                                                                 \
	" ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]),"                 \
	" pg_catalog.unnest($2::pg_catalog.tid[]))"                            \
	" WITH ORDINALITY AS a(rel, tid, n)"

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "nesting the rows of the export");
}

int
bkp_export_find_root(struct bkp_export *export, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	int rc = -1;

	if (bkp_pg_sql(&sql,
		"SELECT rel, tid FROM pg_temp.walk_%u WHERE edge = -1",
		(unsigned)export->walk->subject) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL)
		(void)nomem(err);
	else
		rc = bkp_pg_query(&export->walk->pg, (const char *)sql.data, 0,
		    NULL, &result, err);
	if (rc == 0 && PQntuples(result) == 1)
		export->root = (struct bkp_rows_place){
		    (unsigned)strtoul(PQgetvalue(result, 0, 0), NULL, 10),
		    bkp_rows_tid(PQgetvalue(result, 0, 1))};
	PQclear(result);
	fmt_buf_free(&sql);
	return rc;
}

/* ---- asking about the rows of a table ---- */

static enum fmt_status
append_places(struct fmt_buf *rels, struct fmt_buf *tids,
    const struct bkp_exported_rows *kept)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < kept->count; i++) {
		struct bkp_rows_place place = kept->rows[i].place;

		status =
		    fmt_buf_printf(rels, "%c%u", i == 0 ? '{' : ',', place.rel);
		if (status == FMT_OK)
			status = fmt_buf_printf(tids, "%c\"(%llu,%u)\"",
			    i == 0 ? '{' : ',',
			    (unsigned long long)(place.tid >> 16),
			    (unsigned)(place.tid & 0xffff));
	}
	if (status == FMT_OK)
		status = fmt_buf_append_byte(rels, '}');
	return status == FMT_OK ? fmt_buf_append_byte(tids, '}') : status;
}

/* Runs a statement over PLACES for the kept rows of a table. */
static int
ask(struct bkp_core *core, size_t table, struct fmt_buf *sql,
    enum fmt_status status, PGresult **out, struct bkp_error *err)
{
	struct fmt_buf rels = FMT_BUF_INIT, tids = FMT_BUF_INIT;
	const char *values[2];
	int rc = -1;

	if (status == FMT_OK)
		status = append_places(
		    &rels, &tids, &core->export->tables[table].kept);
	values[0] = fmt_buf_text(&rels);
	values[1] = fmt_buf_text(&tids);
	if (status != FMT_OK || fmt_buf_text(sql) == NULL ||
	    values[0] == NULL || values[1] == NULL)
		(void)nomem(err);
	else
		rc = bkp_pg_query(&core->walk->pg, (const char *)sql->data, 2,
		    values, out, err);
	fmt_buf_free(&rels);
	fmt_buf_free(&tids);
	return rc;
}

/* The node that PLACES calls n. */
static size_t
node_of(
    const struct bkp_core *core, size_t table, const PGresult *result, int row)
{
	return core->first[table] - 1 +
	       (size_t)strtoull(PQgetvalue(result, row, 0), NULL, 10);
}

static struct bkp_rows_place
place_of(const PGresult *result, int row, int column)
{
	return (struct bkp_rows_place){
	    (unsigned)strtoul(PQgetvalue(result, row, column), NULL, 10),
	    bkp_rows_tid(PQgetvalue(result, row, column + 1))};
}

/* ---- parents ---- */

static void
take_parent(struct bkp_core *core, size_t table, const PGresult *result, int i)
{
	struct bkp_core_node *node =
	    &core->nodes[node_of(core, table, result, i)];
	const struct bkp_walk_edge *edge;
	size_t source;

	if (*PQgetvalue(result, i, 1) == '-') {
		core->root = (size_t)(node - core->nodes);
		return;
	}
	node->edge = (size_t)strtoull(PQgetvalue(result, i, 1), NULL, 10);
	edge = &core->walk->edges[node->edge];
	source = bkp_core_table(core->export, bkp_walk_source(edge), BKP_OWN);
	node->parent =
	    bkp_core_is_adopted(core->export, edge)
		? core->root
		: bkp_core_find(core, source, place_of(result, i, 2));
}

/* The rows told it themselves. */
static void
take_chain(struct bkp_core *core, size_t table)
{
	const struct bkp_walk *walk = core->walk;
	const struct bkp_walk_edge *edge =
	    walk->sets[core->export->tables[table].table].chain;
	size_t source = bkp_core_table(core->export, edge->parent, BKP_OWN);
	bool is_below_root = bkp_walk_hangs_on_subject(walk, edge) ||
			     bkp_core_is_adopted(core->export, edge);

	for (size_t i = core->first[table]; i < core->first[table + 1]; i++) {
		struct bkp_core_node *node = &core->nodes[i];

		node->edge = (size_t)(edge - walk->edges);
		node->parent = is_below_root ? core->root
					     : bkp_core_find(core, source,
						   node->row->parent);
	}
}

static int
read_parents(struct bkp_core *core, size_t table, struct bkp_error *err)
{
	size_t model = core->export->tables[table].table;
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	enum fmt_status status = bkp_pg_sql(&sql,
	    "SELECT a.n, w.edge, w.from_rel, w.from_tid FROM" PLACES
	    " JOIN pg_temp.walk_%u w ON w.rel = a.rel AND w.tid = a.tid",
	    (unsigned)model);
	int rc = ask(core, table, &sql, status, &result, err);

	for (int i = 0; rc == 0 && i < PQntuples(result); i++)
		take_parent(core, table, result, i);
	PQclear(result);
	fmt_buf_free(&sql);
	return rc;
}

/* The subject's own table comes first, and so its row is known by then. */
int
bkp_core_read_parents(struct bkp_core *core, struct bkp_error *err)
{
	for (size_t i = 0; i < core->export->table_count; i++) {
		const struct bkp_exported_table *table =
		    &core->export->tables[i];

		if (table->decided != BKP_OWN || table->kept.count == 0)
			continue;
		if (bkp_walk_is_chain(core->walk, table->table))
			take_chain(core, i);
		else if (read_parents(core, i, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- totals ---- */

static int
add_total(struct bkp_core *core, size_t node, size_t edge, uint64_t rows,
    struct bkp_error *err)
{
	if (bkp_grow(&core->totals, core->total_count, &core->total_cap,
		sizeof(*core->totals), err) < 0)
		return -1;
	core->totals[core->total_count++] =
	    (struct bkp_core_total){node, edge, rows};
	return 0;
}

static enum fmt_status
append_chain_counts(
    struct fmt_buf *out, const struct bkp_walk *walk, size_t model)
{
	const struct bkp_walk_edge *edge = walk->sets[model].chain;
	enum fmt_status status = bkp_pg_sql(out,
	    "SELECT a.n, pg_catalog.count(*) FROM" PLACES
	    " JOIN ONLY %s p ON p.ctid = a.tid JOIN ONLY %s c ON ",
	    walk->model.tables[edge->parent].quoted,
	    walk->model.tables[edge->child].quoted);

	if (status == FMT_OK)
		status = bkp_walk_append_chain_link(out, walk, model);
	return status == FMT_OK ? fmt_buf_append_text(out, " GROUP BY 1")
				: status;
}

static int
count_by_node(
    struct bkp_core *core, size_t at, size_t source, struct bkp_error *err)
{
	const struct bkp_walk_edge *edge = &core->walk->edges[at];
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	enum fmt_status status =
	    bkp_walk_is_chain(core->walk, bkp_walk_target(edge))
		? append_chain_counts(&sql, core->walk, bkp_walk_target(edge))
		: bkp_pg_sql(&sql,
		      "SELECT a.n, pg_catalog.count(*) FROM" PLACES
		      " JOIN pg_temp.walk_%u w ON w.from_rel = a.rel"
		      " AND w.from_tid = a.tid"
		      " WHERE w.edge = %u AND w.decided = %u GROUP BY 1",
		      (unsigned)bkp_walk_target(edge), (unsigned)at,
		      (unsigned)BKP_OWN);
	int rc = ask(core, source, &sql, status, &result, err);

	for (int i = 0; rc == 0 && i < PQntuples(result); i++)
		rc = add_total(core, node_of(core, source, result, i), at,
		    strtoull(PQgetvalue(result, i, 1), NULL, 10), err);
	PQclear(result);
	fmt_buf_free(&sql);
	return rc;
}

static int
count_adopted(struct bkp_core *core, size_t at, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	enum fmt_status status = bkp_pg_sql(&sql,
	    "SELECT pg_catalog.count(*) FROM pg_temp.walk_%u w"
	    " WHERE w.edge = %u AND w.decided = %u",
	    (unsigned)bkp_walk_target(&core->walk->edges[at]), (unsigned)at,
	    (unsigned)BKP_OWN);
	int rc = -1;

	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)nomem(err);
	else
		rc = bkp_pg_query(&core->walk->pg, (const char *)sql.data, 0,
		    NULL, &result, err);
	if (rc == 0)
		rc = add_total(core, core->root, at,
		    strtoull(PQgetvalue(result, 0, 0), NULL, 10), err);
	PQclear(result);
	fmt_buf_free(&sql);
	return rc;
}

/* Where all rows of a table were kept they count themselves. */
int
bkp_core_read_totals(struct bkp_core *core, struct bkp_error *err)
{
	const struct bkp_export *export = core->export;

	for (size_t i = 0; i < core->walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &core->walk->edges[i];
		size_t source =
		    bkp_core_table(export, bkp_walk_source(edge), BKP_OWN);
		size_t target =
		    bkp_core_table(export, bkp_walk_target(edge), BKP_OWN);
		int rc;

		if (edge->decided != BKP_OWN || target == BKP_CORE_NONE ||
		    export->tables[target].rows ==
			export->tables[target].kept.count)
			continue;
		if (bkp_walk_is_chain(core->walk, bkp_walk_target(edge)) &&
		    (bkp_core_is_adopted(export, edge) ||
			bkp_walk_hangs_on_subject(core->walk, edge)))
			rc = add_total(core, core->root, i,
			    export->tables[target].rows, err);
		else if (bkp_core_is_adopted(export, edge))
			rc = count_adopted(core, i, err);
		else
			rc = count_by_node(core, i, source, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- lookups ---- */

static enum fmt_status
append_links(struct fmt_buf *out, const struct bkp_core *core,
    const struct bkp_walk_edge *edge)
{
	const struct bkp_model_table *parent =
	    &core->walk->model.tables[edge->parent];
	enum fmt_status status = fmt_buf_append_text(out,
	    "SELECT DISTINCT a.n, p.tableoid, p.ctid FROM" PLACES " JOIN ");

	if (status == FMT_OK)
		status =
		    bkp_walk_append_child(out, core->walk, edge, NULL, true);
	if (status == FMT_OK)
		status = bkp_pg_sql(out,
		    " c ON c.rel = a.rel AND c.tid = a.tid JOIN %s%s p ON ",
		    bkp_walk_is_partitioned(parent) ? "" : "ONLY ",
		    parent->quoted);
	if (status == FMT_OK)
		status = bkp_walk_append_join(out, core->walk, edge, "c");
	return status == FMT_OK
		   ? bkp_pg_sql(out,
			 " JOIN pg_temp.walk_%u w ON w.rel = p.tableoid"
			 " AND w.tid = p.ctid WHERE w.decided = %u",
			 (unsigned)edge->parent, (unsigned)BKP_LOOKUP)
		   : status;
}

static int
read_links(struct bkp_core *core, size_t at, size_t source, size_t target,
    struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	enum fmt_status status =
	    append_links(&sql, core, &core->walk->edges[at]);
	int rc = ask(core, source, &sql, status, &result, err);

	for (int i = 0; rc == 0 && i < PQntuples(result); i++) {
		rc = bkp_grow(&core->links, core->link_count, &core->link_cap,
		    sizeof(*core->links), err);
		if (rc == 0)
			core->links[core->link_count++] =
			    (struct bkp_core_link){
				node_of(core, source, result, i), at,
				bkp_core_find(
				    core, target, place_of(result, i, 1))};
	}
	PQclear(result);
	fmt_buf_free(&sql);
	return rc < 0
		   ? bkp_fail_in(err, "following %s", core->walk->edges[at].id)
		   : 0;
}

int
bkp_core_read_links(struct bkp_core *core, struct bkp_error *err)
{
	static const enum bkp_decided from[] = {BKP_OWN, BKP_LOOKUP};
	const struct bkp_export *export = core->export;

	for (size_t i = 0; i < core->walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &core->walk->edges[i];
		size_t target =
		    bkp_core_table(export, bkp_walk_target(edge), BKP_LOOKUP);

		if (edge->decided != BKP_LOOKUP || target == BKP_CORE_NONE ||
		    !bkp_walk_is_followed(core->walk, edge))
			continue;
		for (size_t k = 0; k < 2; k++) {
			size_t source = bkp_core_table(
			    export, bkp_walk_source(edge), from[k]);

			if (source != BKP_CORE_NONE &&
			    export->tables[source].kept.count > 0 &&
			    read_links(core, i, source, target, err) < 0)
				return -1;
		}
	}
	return 0;
}
