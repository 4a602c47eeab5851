/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the rows of an export fit into the tables that are there. All that
 * does not is told, not only the first of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_own.h"

struct comparison {
	struct bkp_load *load;
	size_t differences;
	char first[300];
};

static int
differs(struct comparison *comparison, struct bkp_error *err, const char *what,
    const char *column, const char *text)
{
	char *message = column != NULL
			    ? bkp_format(err, "%s.%s: %s", what, column, text)
			    : bkp_format(err, "%s: %s", what, text);

	if (message == NULL)
		return -1;
	bkp_run_message(
	    comparison->load->run, BKP_WARNING, NULL, "%s", message);
	if (comparison->differences++ == 0)
		(void)snprintf(comparison->first, sizeof(comparison->first),
		    "%s", message);
	free(message);
	return 0;
}

/* ---- which tables ---- */

static bool
is_wanted(const struct bkp_load *load, const struct bkp_unpack_table *table)
{
	if (bkp_load_is_left(load, table->id))
		return false;
	switch (table->decided) {
	case BKP_OWN:
	case BKP_LOOKUP:
		return true;
	case BKP_SHARED:
		return load->options.has_shared;
	case BKP_ACTOR:
		return load->options.has_actor;
	case BKP_UNDECIDED:
	case BKP_SKIP:
		break;
	}
	return false;
}

static int
find_member(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err)
{
	const struct bkp_unpack_member *member =
	    bkp_unpack_find(load->unpack, table->from->name);

	if (member == NULL || member->place != BKP_UNPACK_ROWS)
		return bkp_fail(err, BKP_CORRUPT,
		    "the manifest has the rows of %s in %s, where no rows are",
		    table->from->id, table->from->name);
	table->member = (size_t)(member - load->unpack->members);
	for (size_t i = 0; i < load->count; i++)
		if (load->tables[i].member == table->member)
			return bkp_fail(err, BKP_CORRUPT,
			    "the manifest names %s twice", table->from->name);
	return 0;
}

/* ---- columns ---- */

/* The default of each column, the sequence behind it, and how a new key is
 * had: names are whole, for search_path is empty. */
static const char column_query[] =
    "SELECT a.attname, a.atthasdef AND a.attgenerated = ''"
    " OR a.attidentity <> '' OR t.typdefault IS NOT NULL,"
    " coalesce(i.objid, s.refobjid, 0),"
    " CASE WHEN i.objid IS NOT NULL THEN 'pg_catalog.nextval(' || i.objid"
    " || '::pg_catalog.regclass)::' || pg_catalog.format_type(a.atttypid, NULL)"
    " WHEN s.refobjid IS NOT NULL OR a.atttypid = 'uuid'::pg_catalog.regtype"
    " AND d.adbin IS NOT NULL AND a.attgenerated = ''"
    " THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,"
    " a.atttypid = 'uuid'::pg_catalog.regtype"
    " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " LEFT JOIN LATERAL (SELECT p.objid FROM pg_depend p JOIN pg_class q"
    " ON q.oid = p.objid AND q.relkind = 'S' WHERE a.attidentity <> ''"
    " AND p.classid = 'pg_class'::pg_catalog.regclass"
    " AND p.refclassid = 'pg_class'::pg_catalog.regclass"
    " AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum"
    " AND p.deptype = 'i' LIMIT 1) i ON true"
    " LEFT JOIN LATERAL (SELECT p.refobjid FROM pg_depend p JOIN pg_class q"
    " ON q.oid = p.refobjid AND q.relkind = 'S'"
    " WHERE p.classid = 'pg_attrdef'::pg_catalog.regclass"
    " AND p.objid = d.oid AND a.attgenerated = '' LIMIT 1) s ON true"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped";

static int
take_default(struct bkp_load *load, struct load_column *column,
    const PGresult *result, int row, struct bkp_error *err)
{
	const char *fresh = NULL;

	column->has_default = *PQgetvalue(result, row, 1) == 't';
	column->sequence =
	    (unsigned)strtoul(PQgetvalue(result, row, 2), NULL, 10);
	if (!PQgetisnull(result, row, 3))
		fresh = PQgetvalue(result, row, 3);
	else if (*PQgetvalue(result, row, 4) == 't' &&
		 bkp_pg_major(load->pg) >= 13)
		fresh = "pg_catalog.gen_random_uuid()";
	if (fresh != NULL && (column->fresh = bkp_strdup(fresh, err)) == NULL)
		return -1;
	return 0;
}

static int
read_columns(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err)
{
	char *oid = bkp_format(err, "%u", table->to->oid);
	const char *values[] = {oid};
	PGresult *result = NULL;
	int rc = -1;

	table->columns = bkp_alloc_array(
	    table->to->column_count + 1, sizeof(*table->columns), err);
	if (oid != NULL && table->columns != NULL)
		rc = bkp_pg_query(
		    load->pg, column_query, 1, values, &result, err);
	for (size_t i = 0; rc == 0 && i < table->to->column_count; i++)
		table->columns[i].model = &table->to->columns[i];
	for (int i = 0; rc == 0 && i < PQntuples(result); i++) {
		size_t at =
		    bkp_model_column(table->to, PQgetvalue(result, i, 0));

		if (at != SIZE_MAX)
			rc = take_default(
			    load, &table->columns[at], result, i, err);
	}
	for (size_t i = 0; rc == 0 && i < table->to->key_count; i++)
		table->columns[table->to->key[i]].is_key = true;
	PQclear(result);
	free(oid);
	return rc;
}

static int
compare_column(struct comparison *comparison, struct load_table *table,
    const struct bkp_unpack_column *from, struct bkp_error *err)
{
	size_t at = bkp_model_column(table->to, from->name);
	struct load_column *column;
	char *text;
	int rc;

	if (at == SIZE_MAX)
		return differs(comparison, err, table->to->id, from->name,
		    "the export has this column, and the table has not");
	column = &table->columns[at];
	if (column->model->is_generated)
		return 0;
	if (from->is_replaced) {
		column->is_replaced = true;
		return 0;
	}
	if (column->is_loaded)
		return bkp_fail(err, BKP_CORRUPT,
		    "the manifest names column %s of %s twice", from->name,
		    table->to->id);
	column->is_loaded = true;
	column->is_named = from->names_others;
	if (strcmp(column->model->type, from->type) == 0)
		return 0;
	text = bkp_format(err, "it is of type %s, and was of type %s",
	    column->model->type, from->type);
	if (text == NULL)
		return -1;
	rc = differs(comparison, err, table->to->id, from->name, text);
	free(text);
	return rc;
}

/* Of rows that are looked up only the missing ones need what they lack, which
 * shows later. */
static int
compare_rest(struct comparison *comparison, const struct load_table *table,
    struct bkp_error *err)
{
	for (size_t i = 0; i < table->to->column_count; i++) {
		const struct load_column *column = &table->columns[i];

		if (column->is_loaded || column->model->is_generated ||
		    column->fill != NULL)
			continue;
		if (column->is_replaced && table->from->decided != BKP_LOOKUP)
			bkp_run_message(comparison->load->run, BKP_WARNING,
			    NULL,
			    "%s.%s: the export has replaced its values; it "
			    "gets its default, or NULL",
			    table->to->id, column->model->name);
		if (!column->model->is_not_null || column->has_default ||
		    table->from->decided == BKP_LOOKUP)
			continue;
		if (differs(comparison, err, table->to->id, column->model->name,
			column->is_replaced
			    ? "it must have a value and has no default, and "
			      "the export has replaced its values by a mask or "
			      "a pseudonym; --fill gives it one"
			    : "it must have a value and has no default, and "
			      "the export has none for it; --fill gives it "
			      "one") < 0)
			return -1;
	}
	return 0;
}

static bool
has_loaded(const struct load_table *table)
{
	for (size_t i = 0; i < table->to->column_count; i++)
		if (table->columns[i].is_loaded)
			return true;
	return false;
}

static int
compare_table(struct comparison *comparison,
    const struct bkp_unpack_table *from, struct bkp_error *err)
{
	struct bkp_load *load = comparison->load;
	struct load_table *table = &load->tables[load->count];

	*table = (struct load_table){.from = from};
	table->model = bkp_model_table(&load->model, from->id);
	if (table->model == SIZE_MAX)
		return differs(comparison, err, from->id, NULL,
		    "the export has rows of this table, and the database has "
		    "no such table");
	table->to = &load->model.tables[table->model];
	if (find_member(load, table, err) < 0)
		return -1;
	table->number = (unsigned)load->count;
	load->count++;
	if (read_columns(load, table, err) < 0)
		return -1;
	for (size_t i = 0; i < from->column_count; i++)
		if (compare_column(comparison, table, &from->columns[i], err) <
		    0)
			return -1;
	if (!has_loaded(table) && differs(comparison, err, from->id, NULL,
				      "no column of it can be loaded") < 0)
		return -1;
	return 0;
}

/* ---- all of it ---- */

static void
tell_left(struct bkp_load *load)
{
	for (size_t i = 0; i < load->unpack->table_count; i++) {
		const struct bkp_unpack_table *table = &load->unpack->tables[i];

		if (is_wanted(load, table))
			continue;
		load->counts.left += table->rows;
		if (bkp_load_is_left(load, table->id)) {
			bkp_run_message(load->run, BKP_WARNING, NULL,
			    "%s: %llu rows are left out, as was asked for",
			    table->id, (unsigned long long)table->rows);
			continue;
		}
		bkp_run_message(load->run, BKP_INFO, NULL,
		    "%s: %llu rows are context (%s) and are left out; --with "
		    "%s loads them",
		    table->id, (unsigned long long)table->rows,
		    bkp_decided_name(table->decided),
		    bkp_decided_name(table->decided));
	}
}

int
bkp_load_compare(struct bkp_load *load, struct bkp_error *err)
{
	struct comparison comparison = {.load = load};
	const struct bkp_unpack *unpack = load->unpack;

	load->tables = bkp_alloc_array(
	    unpack->table_count + 1, sizeof(*load->tables), err);
	if (load->tables == NULL)
		return -1;
	for (size_t i = 0; i < unpack->table_count; i++)
		if (is_wanted(load, &unpack->tables[i]) &&
		    compare_table(&comparison, &unpack->tables[i], err) < 0)
			return -1;
	if (bkp_load_choose(load, err) < 0)
		return -1;
	for (size_t i = 0; i < load->count; i++)
		if (compare_rest(&comparison, &load->tables[i], err) < 0)
			return -1;
	tell_left(load);
	if (comparison.differences == 0)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "the export does not fit the tables of the database (%zu "
	    "differences): %s; nothing was loaded",
	    comparison.differences, comparison.first);
}
