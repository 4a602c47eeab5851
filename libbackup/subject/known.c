/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

void
bkp_known_free(struct bkp_known *known)
{
	bkp_strings_free(&known->values);
	*known = (struct bkp_known)BKP_KNOWN_INIT;
}

static const struct bkp_model_table *
subject_table(const struct bkp_walk *walk)
{
	return &walk->model.tables[walk->subject];
}

/* Runs what was written into `sql`, and frees it. */
static int
ask(struct bkp_walk *walk, struct fmt_buf *sql, enum fmt_status status,
    int count, const char *const *values, PGresult **out, struct bkp_error *err)
{
	int rc = -1;

	if (status != FMT_OK || fmt_buf_text(sql) == NULL)
		(void)bkp_fail_nomem(err, "making a statement");
	else
		rc = bkp_pg_query(&walk->pg, (const char *)sql->data, count,
		    values, out, err);
	fmt_buf_free(sql);
	return rc;
}

/* ---- what equal values look like ---- */

/* Types of the system and enums compare as they are written; what extensions
 * bring need not, nor does a collation that is not deterministic (which servers
 * before 12 do not have). */
static int
check_column(struct bkp_walk *walk, const struct bkp_model_column *column,
    struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT t.oid < 16384 OR t.typtype = 'e', COALESCE(("
	    " SELECT pg_catalog.to_jsonb(c)->>'collisdeterministic'"
	    " FROM pg_catalog.pg_attribute a"
	    " JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation"
	    " WHERE a.attrelid = $2::pg_catalog.oid AND a.attname = $3),"
	    " 'true') FROM pg_catalog.pg_type t"
	    " WHERE t.oid = $1::pg_catalog.oid";
	const struct bkp_model_table *table = subject_table(walk);
	char type[16], relation[16];
	const char *const values[] = {type, relation, column->name};
	PGresult *result = NULL;
	bool is_plain;

	(void)snprintf(type, sizeof(type), "%u", column->type_oid);
	(void)snprintf(relation, sizeof(relation), "%u", table->oid);
	if (bkp_pg_query(&walk->pg, sql, 3, values, &result, err) < 0)
		return -1;
	is_plain = PQntuples(result) == 1 &&
		   PQgetvalue(result, 0, 0)[0] == 't' &&
		   PQgetvalue(result, 0, 1)[0] == 't';
	PQclear(result);
	if (is_plain)
		return 0;
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "%s.%s is of the type %s, in which values are equal that are "
	    "written differently; a subject that is to be known later needs a "
	    "key of another type: let the map name another unique column",
	    table->id, column->name, column->type);
}

/* ---- the values ---- */

/* By way of the column's type and back, and whether that changed what it
 * means; both casts are of text, so that the parameter has one type. */
static int
normalise(struct bkp_walk *walk, const struct bkp_model_column *column,
    const char *value, char **out, struct bkp_error *err)
{
	const struct bkp_model_table *table = subject_table(walk);
	char type[16];
	const char *const values[] = {value, type};
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	char *base = NULL;
	enum fmt_status status;
	int rc = -1;

	(void)snprintf(type, sizeof(type), "%u", column->type_oid);
	if (bkp_pg_query(&walk->pg,
		"SELECT pg_catalog.format_type($1::pg_catalog.oid, NULL)", 1,
		&values[1], &result, err) < 0)
		return -1;
	base = bkp_strdup(PQgetvalue(result, 0, 0), err);
	PQclear(result);
	if (base == NULL)
		return -1;
	status = bkp_pg_sql(&sql,
	    "SELECT v.key::pg_catalog.text, v.key = v.given FROM (SELECT"
	    " $1::pg_catalog.text::%s AS key, $1::pg_catalog.text::%s AS given"
	    ") v",
	    column->type, base);
	free(base);
	result = NULL;
	if (ask(walk, &sql, status, 1, values, &result, err) < 0)
		return bkp_fail_in(
		    err, "the subject's %s.%s", table->id, column->name);
	if (PQgetvalue(result, 0, 1)[0] != 't')
		(void)bkp_fail(err, BKP_INVALID,
		    "%s.%s is of the type %s, which does not hold the value "
		    "that is given",
		    table->id, column->name, column->type);
	else if ((*out = bkp_strdup(PQgetvalue(result, 0, 0), err)) != NULL)
		rc = 0;
	PQclear(result);
	return rc;
}

static int
normalise_all(struct bkp_walk *walk, const char *const *key, size_t count,
    struct bkp_strings *out, struct bkp_error *err)
{
	const struct bkp_model_table *table = subject_table(walk);

	out->items = bkp_alloc_array(count, sizeof(*out->items), err);
	if (out->items == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct bkp_strings *names = &walk->map->key;
		size_t number = bkp_model_column(table, names->items[i]);

		if (number == SIZE_MAX)
			return bkp_fail(err, BKP_INVALID,
			    "%s has no column %s, which the map calls its key",
			    table->id, names->items[i]);
		if (check_column(walk, &table->columns[number], err) < 0 ||
		    normalise(walk, &table->columns[number], key[i],
			&out->items[i], err) < 0)
			return -1;
		out->count++;
	}
	return 0;
}

/* ---- the row ---- */

static int
look_for_row(
    struct bkp_walk *walk, struct bkp_known *known, struct bkp_error *err)
{
	const struct bkp_model_table *table = subject_table(walk);
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	enum fmt_status status =
	    fmt_buf_append_text(&sql, "SELECT EXISTS (SELECT 1");

	if (status == FMT_OK)
		status = bkp_walk_append_from(&sql, table);
	for (size_t i = 0; status == FMT_OK && i < known->values.count; i++)
		status = bkp_pg_sql(&sql,
		    i == 0 ? " WHERE %I.%I = $%u" : " AND %I.%I = $%u",
		    table->name, walk->map->key.items[i], (unsigned)i + 1);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(&sql, ')');
	if (ask(walk, &sql, status, (int)known->values.count,
		(const char *const *)known->values.items, &result, err) < 0)
		return bkp_fail_in(
		    err, "looking for the subject in %s", table->id);
	known->is_there = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return 0;
}

int
bkp_known_find(struct bkp_walk *walk, const char *const *key, size_t key_count,
    struct bkp_known *out, struct bkp_error *err)
{
	struct bkp_known known = BKP_KNOWN_INIT;

	if (key_count != walk->map->key.count)
		return bkp_fail(err, BKP_INVALID,
		    "the key of %s has %zu columns, and %zu values were given",
		    walk->map->table, walk->map->key.count, key_count);
	if (normalise_all(walk, key, key_count, &known.values, err) < 0 ||
	    look_for_row(walk, &known, err) < 0) {
		bkp_known_free(&known);
		return -1;
	}
	*out = known;
	return 0;
}
