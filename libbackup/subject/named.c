/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/named.h"

#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

/* The map's SQL stands in a sub-select that knows nothing but the table, and is
 * looked at behind its condition. */
enum fmt_status
bkp_named_append(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_map_file *file, const struct bkp_model_leaf *leaf,
    bool is_array, enum bkp_decided decided)
{
	size_t number = bkp_model_table(&walk->model, file->table);
	const char *table = walk->model.tables[number].name;
	const char *when = file->when != NULL ? file->when : "true";
	enum fmt_status status;

	status = bkp_pg_sql(out,
	    "SELECT %s::text AS key, c.name::text AS name FROM (SELECT %I.ctid"
	    " AS tid, CASE WHEN (%s) THEN (%s) END AS key,"
	    " CASE WHEN (%s) THEN (%s) END AS name FROM ONLY %s AS %I) c",
	    is_array ? "e.key" : "c.key", table, when,
	    file->key != NULL ? file->key : file->prefix, when,
	    file->name != NULL ? file->name : "NULL", leaf->quoted, table);
	if (status == FMT_OK && decided != BKP_UNDECIDED)
		status = bkp_pg_sql(out,
		    " JOIN pg_temp.walk_%u w ON w.tid = c.tid AND w.rel = %u"
		    " AND w.decided = %u",
		    (unsigned)number, leaf->oid, (unsigned)decided);
	if (status == FMT_OK && is_array)
		status = bkp_pg_sql(out,
		    " CROSS JOIN LATERAL pg_catalog.unnest(c.key) AS e(key)");
	return status == FMT_OK ? bkp_pg_sql(out, " WHERE c.key IS NOT NULL")
				: status;
}

int
bkp_named_ask_array(struct bkp_walk *walk, const struct bkp_map_file *file,
    bool *out, struct bkp_error *err)
{
	const struct bkp_model_table *table =
	    &walk->model.tables[bkp_model_table(&walk->model, file->table)];
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	int rc = -1;

	if (bkp_pg_sql(&sql,
		"SELECT t.typcategory = 'A' FROM pg_catalog.pg_type t WHERE"
		" t.oid = (SELECT pg_catalog.pg_typeof((SELECT (%s) FROM %s AS"
		" %I LIMIT 0)))",
		file->key != NULL ? file->key : file->prefix, table->quoted,
		table->name) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL) {
		(void)bkp_fail_nomem(err, "collecting files");
		goto out;
	}
	if (bkp_pg_query(
		&walk->pg, (const char *)sql.data, 0, NULL, &result, err) < 0)
		goto out;
	*out = PQntuples(result) == 1 && *PQgetvalue(result, 0, 0) == 't';
	rc = 0;
out:
	PQclear(result);
	fmt_buf_free(&sql);
	return rc;
}

static int
each_of_leaf(struct bkp_walk *walk, const struct bkp_map_file *file,
    const struct bkp_model_leaf *leaf, bool is_array, enum bkp_decided decided,
    int (*each)(
	void *arg, const char *key, const char *name, struct bkp_error *err),
    void *arg, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *result = NULL;
	int rc = -1;

	if (bkp_named_append(&sql, walk, file, leaf, is_array, decided) !=
		FMT_OK ||
	    fmt_buf_text(&sql) == NULL) {
		(void)bkp_fail_nomem(err, "collecting files");
		goto out;
	}
	if (bkp_pg_query(
		&walk->pg, (const char *)sql.data, 0, NULL, &result, err) < 0)
		goto out;
	rc = 0;
	for (int i = 0; i < PQntuples(result) && rc == 0; i++)
		if (!PQgetisnull(result, i, 0))
			rc = each(arg, PQgetvalue(result, i, 0),
			    PQgetisnull(result, i, 1)
				? NULL
				: PQgetvalue(result, i, 1),
			    err);
out:
	PQclear(result);
	fmt_buf_free(&sql);
	return rc;
}

int
bkp_named_each(struct bkp_walk *walk, const struct bkp_map_file *file,
    enum bkp_decided decided,
    int (*each)(
	void *arg, const char *key, const char *name, struct bkp_error *err),
    void *arg, struct bkp_error *err)
{
	size_t number = bkp_model_table(&walk->model, file->table);
	const struct bkp_model_table *table;
	bool is_array = false;
	int rc;

	if (number == SIZE_MAX || walk->sets[number].of[decided] == 0)
		return 0;
	table = &walk->model.tables[number];
	rc = bkp_named_ask_array(walk, file, &is_array, err);
	for (size_t i = 0; i < table->leaf_count && rc == 0; i++)
		rc = each_of_leaf(walk, file, &table->leaves[i], is_array,
		    decided, each, arg, err);
	return rc == 0
		   ? 0
		   : bkp_fail_in(err, "files of table %s (line %u of the map)",
			 file->table, file->line);
}
