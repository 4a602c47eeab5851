/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/keys.h"

#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

static int
declare(struct bkp_pg *pg, const struct bkp_model_table *table,
    const struct bkp_map *map, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status = bkp_pg_sql(
	    &sql, "DECLARE subject_keys NO SCROLL CURSOR FOR SELECT");
	int rc = -1;

	for (size_t i = 0; status == FMT_OK && i < map->key.count; i++)
		status = bkp_pg_sql(&sql, "%s %I.%I::text", i > 0 ? "," : "",
		    table->name, map->key.items[i]);
	if (status == FMT_OK)
		status = bkp_walk_append_from(&sql, table);
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "reading keys");
	else
		rc = bkp_pg_do(pg, (const char *)sql.data, err);
	fmt_buf_free(&sql);
	return rc;
}

static int
take_row(const PGresult *result, int row, const char **values,
    int (*each)(void *arg, const char *const *values, struct bkp_error *err),
    void *arg, struct bkp_error *err)
{
	for (int i = 0; i < PQnfields(result); i++) {
		if (PQgetisnull(result, row, i))
			return 0;
		values[i] = PQgetvalue(result, row, i);
	}
	return each(arg, values, err);
}

/* 1, or 0 at the end. */
static int
take_batch(struct bkp_pg *pg, const char **values,
    int (*each)(void *arg, const char *const *values, struct bkp_error *err),
    void *arg, struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0, rows;

	if (bkp_pg_query(
		pg, "FETCH 10000 FROM subject_keys", 0, NULL, &result, err) < 0)
		return -1;
	rows = PQntuples(result);
	for (int i = 0; rc == 0 && i < rows; i++)
		rc = take_row(result, i, values, each, arg, err);
	PQclear(result);
	return rc < 0 ? -1 : rows > 0;
}

int
bkp_subject_keys(struct bkp_pg *pg, const struct bkp_model *model,
    const struct bkp_map *map,
    int (*each)(void *arg, const char *const *values, struct bkp_error *err),
    void *arg, struct bkp_error *err)
{
	size_t table = bkp_model_table(model, map->table);
	const char **values;
	int more = -1;

	if (table == SIZE_MAX)
		return bkp_fail(err, BKP_NOTFOUND,
		    "there is no table %s, in which the map has its subject",
		    map->table);
	for (size_t i = 0; i < map->key.count; i++)
		if (bkp_model_column(
			&model->tables[table], map->key.items[i]) == SIZE_MAX)
			return bkp_fail(err, BKP_NOTFOUND,
			    "%s has no column %s, which the map calls its key",
			    map->table, map->key.items[i]);
	values = bkp_alloc_array(map->key.count, sizeof(*values), err);
	if (values == NULL)
		return -1;
	if (declare(pg, &model->tables[table], map, err) == 0)
		while ((more = take_batch(pg, values, each, arg, err)) > 0)
			continue;
	free(values);
	return more < 0 ? -1 : bkp_pg_do(pg, "CLOSE subject_keys", err);
}
