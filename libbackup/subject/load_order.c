/* SPDX-License-Identifier: Apache-2.0 */
/* In which order tables are filled, and what stands in the way of it: rows
 * that are there, triggers that would change what comes in, foreign keys that
 * go in a circle. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_own.h"

/* ---- order ---- */

static bool
is_pending(const struct bkp_load *load, size_t model, size_t from)
{
	for (size_t i = from; i < load->count; i++)
		if (load->tables[i].model == model)
			return true;
	return false;
}

/* Whether a parent of the table is still to be placed, among those from
 * `from` on. */
static bool
has_pending_parent(
    const struct bkp_load *load, const struct load_table *table, size_t from)
{
	for (size_t i = 0; i < load->model.edge_count; i++) {
		const struct bkp_model_edge *edge = &load->model.edges[i];

		if (edge->child == table->model &&
		    edge->parent != edge->child &&
		    is_pending(load, edge->parent, from))
			return true;
	}
	return false;
}

static void
mark(struct load_table *table, const size_t *columns, size_t count,
    bool is_child)
{
	for (size_t i = 0; i < count; i++) {
		struct load_column *column = &table->columns[columns[i]];

		column->is_linked = true;
		if (is_child)
			column->is_referring = true;
	}
}

static void
mark_links(struct bkp_load *load)
{
	for (size_t i = 0; i < load->model.edge_count; i++) {
		const struct bkp_model_edge *edge = &load->model.edges[i];

		if (!is_pending(load, edge->child, 0) ||
		    !is_pending(load, edge->parent, 0))
			continue;
		for (size_t k = 0; k < load->count; k++) {
			struct load_table *table = &load->tables[k];

			if (table->model == edge->child)
				mark(table, edge->child_columns,
				    edge->column_count,
				    edge->parent != edge->child);
			if (table->model == edge->parent)
				mark(table, edge->parent_columns,
				    edge->column_count, false);
		}
	}
}

/* Parents first. Where there is no such table left, one goes first whose
 * parent comes later: that foreign key is checked at the end. */
int
bkp_load_order(struct bkp_load *load, struct bkp_error *err)
{
	(void)err;
	mark_links(load);
	for (size_t done = 0; done < load->count; done++) {
		size_t next = done;
		struct load_table table;

		while (next < load->count &&
		       has_pending_parent(load, &load->tables[next], done))
			next++;
		if (next == load->count)
			next = done;
		table = load->tables[next];
		memmove(&load->tables[done + 1], &load->tables[done],
		    (next - done) * sizeof(table));
		load->tables[done] = table;
	}
	return 0;
}

/* ---- locks ---- */

/* How many rows are there; where there must be none, whether there is one. */
static int
count_before(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	int rc;

	if (bkp_pg_sql(&sql,
		load->options.is_appended
		    ? "SELECT pg_catalog.count(*) FROM ONLY %s"
		    : "SELECT CASE WHEN EXISTS (SELECT FROM %s) THEN 1 ELSE 0"
		      " END",
		table->to->quoted) != FMT_OK)
		rc = bkp_fail_nomem(err, "looking at the tables");
	else
		rc = bkp_load_number(load, &sql, &table->before, err);
	fmt_buf_free(&sql);
	return rc;
}

int
bkp_load_lock(struct bkp_load *load, struct bkp_error *err)
{
	struct fmt_buf full = FMT_BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < load->count && rc == 0; i++) {
		struct load_table *table = &load->tables[i];

		rc = bkp_pg_run(load->pg, err,
		    "LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE",
		    table->to->quoted);
		if (rc == 0 && table->from->decided != BKP_LOOKUP)
			rc = count_before(load, table, err);
		if (rc == 0 && table->before > 0 &&
		    !load->options.is_appended &&
		    fmt_buf_printf(&full, "%s%s", full.len > 0 ? ", " : "",
			table->to->id) != FMT_OK)
			rc = bkp_fail_nomem(err, "looking at the tables");
	}
	if (rc == 0 && full.len > 0)
		rc = bkp_fail(err, BKP_EXISTS,
		    "an export is loaded into empty tables, and these have "
		    "rows: %.300s; --append loads it beside them",
		    fmt_buf_text(&full) != NULL ? (const char *)full.data : "");
	fmt_buf_free(&full);
	return rc;
}

/* ---- triggers ---- */

/* Whatever the table's triggers do to a new row was done to this one when it
 * was new. Those of constraints stay. */
static const char trigger_query[] =
    "SELECT pg_catalog.quote_ident(n.nspname) || '.' ||"
    " pg_catalog.quote_ident(c.relname), pg_catalog.quote_ident(t.tgname),"
    " t.tgenabled = 'A' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE NOT t.tgisinternal AND t.tgconstraint = 0"
    " AND t.tgenabled IN ('O', 'A') AND t.tgtype & 4 <> 0 AND (c.oid = $1::oid"
    " OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1::oid)))";

static int
find_triggers(struct bkp_load *load, const struct load_table *table,
    struct bkp_error *err)
{
	char *oid = bkp_format(err, "%u", table->to->oid);
	const char *values[] = {oid};
	PGresult *result = NULL;
	int rc = -1;

	if (oid != NULL)
		rc = bkp_pg_query(
		    load->pg, trigger_query, 1, values, &result, err);
	for (int i = 0; rc == 0 && i < PQntuples(result); i++) {
		struct load_trigger *trigger;

		rc = bkp_grow(&load->triggers, load->trigger_count,
		    &load->trigger_cap, sizeof(*load->triggers), err);
		if (rc < 0)
			break;
		trigger = &load->triggers[load->trigger_count++];
		*trigger = (struct load_trigger){
		    .table = bkp_strdup(PQgetvalue(result, i, 0), err),
		    .is_always = *PQgetvalue(result, i, 2) == 't',
		};
		trigger->name = bkp_strdup(PQgetvalue(result, i, 1), err);
		if (trigger->table == NULL || trigger->name == NULL)
			rc = -1;
	}
	PQclear(result);
	free(oid);
	return rc;
}

/* ---- circles ---- */

/* Foreign keys from one table to the other, with their partitions'; those of
 * partitions that come from the root's are the root's. */
static const char constraint_query[] =
    "SELECT pg_catalog.quote_ident(n.nspname) || '.' ||"
    " pg_catalog.quote_ident(c.relname), pg_catalog.quote_ident(k.conname)"
    " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT k.condeferrable"
    " AND (k.conrelid = $1::oid OR k.conrelid IN"
    " (SELECT relid FROM pg_catalog.pg_partition_tree($1::oid)))"
    " AND (k.confrelid = $2::oid OR k.confrelid IN"
    " (SELECT relid FROM pg_catalog.pg_partition_tree($2::oid)))";

static int
find_constraints(struct bkp_load *load, const struct bkp_model_edge *edge,
    struct bkp_error *err)
{
	char *child =
	    bkp_format(err, "%u", load->model.tables[edge->child].oid);
	char *parent =
	    bkp_format(err, "%u", load->model.tables[edge->parent].oid);
	const char *values[] = {child, parent};
	PGresult *result = NULL;
	int rc = -1;

	if (child != NULL && parent != NULL)
		rc = bkp_pg_query(
		    load->pg, constraint_query, 2, values, &result, err);
	for (int i = 0; rc == 0 && i < PQntuples(result); i++) {
		struct load_constraint *constraint;

		rc = bkp_grow(&load->constraints, load->constraint_count,
		    &load->constraint_cap, sizeof(*load->constraints), err);
		if (rc < 0)
			break;
		constraint = &load->constraints[load->constraint_count++];
		*constraint = (struct load_constraint){
		    .table = bkp_strdup(PQgetvalue(result, i, 0), err),
		};
		constraint->name = bkp_strdup(PQgetvalue(result, i, 1), err);
		if (constraint->table == NULL || constraint->name == NULL)
			rc = -1;
	}
	PQclear(result);
	free(child);
	free(parent);
	return rc;
}

/* True where a child is filled before one of its parents. */
static bool
is_backward(const struct bkp_load *load, const struct bkp_model_edge *edge)
{
	if (edge->child == edge->parent)
		return false;
	for (size_t i = 0; i < load->count; i++)
		if (load->tables[i].model == edge->child)
			return is_pending(load, edge->parent, i);
	return false;
}

/* A table that is loaded in several portions may refer to itself across them.
 */
static bool
is_split(const struct bkp_load *load, const struct bkp_model_edge *edge)
{
	size_t portions = 0;

	for (size_t i = 0; i < load->count; i++)
		portions += load->tables[i].model == edge->child;
	return edge->child == edge->parent && portions > 1;
}

static bool
is_known(const struct bkp_load *load, size_t before)
{
	const struct load_constraint *last = &load->constraints[before];

	for (size_t i = 0; i < before; i++)
		if (strcmp(load->constraints[i].table, last->table) == 0 &&
		    strcmp(load->constraints[i].name, last->name) == 0)
			return true;
	return false;
}

static int
defer(struct bkp_load *load, struct bkp_error *err)
{
	for (size_t i = 0; i < load->model.edge_count; i++) {
		const struct bkp_model_edge *edge = &load->model.edges[i];

		if ((is_backward(load, edge) || is_split(load, edge)) &&
		    find_constraints(load, edge, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < load->constraint_count; i++)
		if (!is_known(load, i) &&
		    bkp_pg_run(load->pg, err,
			"ALTER TABLE %s ALTER CONSTRAINT %s DEFERRABLE",
			load->constraints[i].table,
			load->constraints[i].name) < 0)
			return bkp_fail_in(err,
			    "foreign keys go in a circle, and only the owner "
			    "of %s can have %s checked at the end",
			    load->constraints[i].table,
			    load->constraints[i].name);
	return bkp_pg_do(load->pg, "SET CONSTRAINTS ALL DEFERRED", err);
}

/* ---- off and on ---- */

int
bkp_load_switch_off(struct bkp_load *load, struct bkp_error *err)
{
	for (size_t i = 0; i < load->count; i++) {
		bool is_first = true;

		for (size_t k = 0; k < i; k++)
			if (load->tables[k].model == load->tables[i].model)
				is_first = false;
		if (is_first && find_triggers(load, &load->tables[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < load->trigger_count; i++)
		if (bkp_pg_run(load->pg, err,
			"ALTER TABLE ONLY %s DISABLE TRIGGER %s",
			load->triggers[i].table, load->triggers[i].name) < 0)
			return bkp_fail_in(err,
			    "trigger %s would change rows on their way in, and "
			    "only the owner of %s can switch it off",
			    load->triggers[i].name, load->triggers[i].table);
	return defer(load, err);
}

int
bkp_load_switch_on(struct bkp_load *load, struct bkp_error *err)
{
	for (size_t i = 0; i < load->trigger_count; i++)
		if (bkp_pg_run(load->pg, err,
			"ALTER TABLE ONLY %s ENABLE %sTRIGGER %s",
			load->triggers[i].table,
			load->triggers[i].is_always ? "ALWAYS " : "",
			load->triggers[i].name) < 0)
			return -1;
	for (size_t i = 0; i < load->constraint_count; i++)
		if (!is_known(load, i) &&
		    bkp_pg_run(load->pg, err,
			"ALTER TABLE %s ALTER CONSTRAINT %s NOT DEFERRABLE",
			load->constraints[i].table,
			load->constraints[i].name) < 0)
			return -1;
	return 0;
}
