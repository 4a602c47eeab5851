/* SPDX-License-Identifier: Apache-2.0 */
/* The objects in buckets that belong to what is erased: those that no row names
 * that stays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/erase_own.h"
#include "libbackup/subject/named.h"

/* ---- what erased rows name ---- */

struct noting {
	struct eraser *e;
	const struct bkp_map_file *file;
};

/* An empty prefix is everybody's, and "user/4" is where "user/42" begins. */
static int
check_prefix(
    const struct bkp_map_file *file, const char *key, struct bkp_error *err)
{
	size_t len = strlen(key);

	if (file->key != NULL || (len > 0 && key[len - 1] == '/'))
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "the prefix \"%s\" does not end in '/', and other people's keys "
	    "may begin with it, too",
	    key);
}

static int
note(void *arg, const char *key, const char *name, struct bkp_error *err)
{
	const struct noting *noting = arg;
	struct bkp_erased *out = noting->e->out;
	struct bkp_erased_object *object;

	(void)name;
	if (key[0] == '\0' && noting->file->key != NULL)
		return 0;
	if (check_prefix(noting->file, key, err) < 0 ||
	    bkp_grow(&out->objects, out->object_count, &out->object_cap,
		sizeof(*out->objects), err) < 0)
		return -1;
	object = &out->objects[out->object_count++];
	*object =
	    (struct bkp_erased_object){.is_prefix = noting->file->key == NULL,
		.bucket = bkp_strdup(noting->file->bucket, err),
		.key = bkp_strdup(key, err)};
	return object->bucket != NULL && object->key != NULL ? 0 : -1;
}

int
bkp_erase_note_objects(struct eraser *e, struct bkp_error *err)
{
	const struct bkp_map *map = e->walk->map;

	for (size_t i = 0; i < map->file_count; i++) {
		struct noting noting = {e, &map->files[i]};

		if (bkp_named_each(e->walk, &map->files[i], BKP_OWN, note,
			&noting, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what rows that stay name, too ---- */

static int
list_objects(struct eraser *e, struct bkp_error *err)
{
	static const char insert[] =
	    "INSERT INTO pg_temp.erase_objects VALUES ($1::bigint, $2, $3,"
	    " $4::boolean, false)";

	if (bkp_pg_do(&e->walk->pg,
		"CREATE TEMPORARY TABLE erase_objects (number bigint,"
		" bucket text, key text COLLATE \"C\", is_prefix boolean,"
		" is_kept boolean) ON COMMIT DROP",
		err) < 0)
		return -1;
	for (size_t i = 0; i < e->out->object_count; i++) {
		const struct bkp_erased_object *object = &e->out->objects[i];
		char number[24];
		const char *values[] = {number, object->bucket, object->key,
		    object->is_prefix ? "t" : "f"};
		PGresult *result = NULL;

		(void)snprintf(number, sizeof(number), "%zu", i);
		if (bkp_pg_query(
			&e->walk->pg, insert, 4, values, &result, err) < 0)
			return -1;
		PQclear(result);
	}
	return bkp_pg_do(&e->walk->pg, "ANALYZE pg_temp.erase_objects", err);
}

/* A key that is named, or lies below a prefix that is. A prefix stays with
 * anything below it that is named: which of the rest is whose nobody knows. */
static int
look_in_leaf(struct eraser *e, const struct bkp_map_file *file,
    const struct bkp_model_leaf *leaf, bool is_array, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status = bkp_pg_sql(
	    &sql, "UPDATE pg_temp.erase_objects o SET is_kept = true FROM (");
	int rc;

	if (status == FMT_OK)
		status = bkp_named_append(
		    &sql, e->walk, file, leaf, is_array, BKP_UNDECIDED);
	if (status == FMT_OK)
		status = bkp_pg_sql(&sql,
		    ") n WHERE NOT o.is_kept AND o.bucket = %L AND ",
		    file->bucket);
	if (status == FMT_OK)
		status = bkp_pg_sql(&sql,
		    file->key != NULL
			? "(n.key = o.key OR (o.is_prefix"
			  " AND pg_catalog.strpos(n.key, o.key) = 1))"
			: "n.key <> '' AND (pg_catalog.strpos(o.key, n.key) = 1"
			  " OR (o.is_prefix"
			  " AND pg_catalog.strpos(n.key, o.key) = 1))");
	rc = bkp_erase_execute(e, &sql, status, NULL, err);
	fmt_buf_free(&sql);
	return rc;
}

static int
look(struct eraser *e, const struct bkp_map_file *file, struct bkp_error *err)
{
	const struct bkp_model *model = &e->walk->model;
	size_t number = bkp_model_table(model, file->table);
	bool is_array = false;
	int rc;

	if (number == SIZE_MAX || model->tables[number].is_foreign)
		return 0;
	rc = bkp_named_ask_array(e->walk, file, &is_array, err);
	for (size_t i = 0; rc == 0 && i < model->tables[number].leaf_count; i++)
		rc = look_in_leaf(
		    e, file, &model->tables[number].leaves[i], is_array, err);
	return rc == 0
		   ? 0
		   : bkp_fail_in(err, "files of table %s (line %u of the map)",
			 file->table, file->line);
}

int
bkp_erase_keep_objects(struct eraser *e, struct bkp_error *err)
{
	const struct bkp_map *map = e->walk->map;
	PGresult *result = NULL;

	if (e->out->object_count == 0)
		return 0;
	if (list_objects(e, err) < 0)
		return -1;
	for (size_t i = 0; i < map->file_count; i++)
		if (look(e, &map->files[i], err) < 0)
			return -1;
	if (bkp_pg_query(&e->walk->pg,
		"SELECT number FROM pg_temp.erase_objects WHERE is_kept", 0,
		NULL, &result, err) < 0)
		return -1;
	for (int i = 0; i < PQntuples(result); i++)
		e->out->objects[strtoul(PQgetvalue(result, i, 0), NULL, 10)]
		    .is_kept = true;
	PQclear(result);
	return 0;
}
