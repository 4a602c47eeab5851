/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a map with their columns, and the files that rows name. */
#include <stdlib.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"
#include "libbackup/subject/map_own.h"
#include "libbackup/subject/names.h"

static int
read_origin(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	static const char *const words[] = {
	    "undecided", "provided", "observed", "derived"};
	const char *text = bkp_config_scalar(value);
	enum bkp_origin *origin = slot;

	for (size_t i = 0; text != NULL && i < 4; i++)
		if (strcmp(text, words[i]) == 0) {
			*origin = (enum bkp_origin)i;
			return 0;
		}
	return bkp_config_fail(&r->file, value, err,
	    "'%s' is provided (by the person), observed, derived, or "
	    "undecided",
	    name);
}

/* ---- columns ---- */

static int
treat(struct map_reader *r, const yaml_node_t *value,
    struct bkp_map_column *column, enum bkp_treatment treatment,
    struct bkp_error *err)
{
	if (column->treatment != BKP_KEEP)
		return bkp_config_fail(&r->file, value, err,
		    "a column has one treatment: omit, mask or pseudonym");
	column->treatment = treatment;
	return 0;
}

static int
read_omit(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct bkp_map_column *column = slot;

	if (treat(r, value, column, BKP_OMIT, err) < 0)
		return -1;
	return bkp_map_read_text(r, name, value, &column->reason, err);
}

static int
read_mask(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	bool is_masked = false;

	if (bkp_map_read_flag(r, name, value, &is_masked, err) < 0)
		return -1;
	return is_masked ? treat(r, value, slot, BKP_MASK, err) : 0;
}

static int
read_pseudonym(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct bkp_map_column *column = slot;

	if (treat(r, value, column, BKP_PSEUDONYM, err) < 0)
		return -1;
	return bkp_map_read_text(r, name, value, &column->realm, err);
}

static int
read_value(struct map_reader *r, const yaml_node_t *key,
    const yaml_node_t *value, void *arg, struct bkp_error *err)
{
	struct bkp_map_column *column = arg;
	struct bkp_map_value *item;

	if (bkp_grow(&column->values, column->value_count, &column->value_cap,
		sizeof(*column->values), err) < 0)
		return -1;
	item = &column->values[column->value_count++];
	memset(item, 0, sizeof(*item));
	if (bkp_map_read_text(r, "values", key, &item->value, err) < 0)
		return -1;
	return bkp_map_read_text(r, item->value, value, &item->label, err);
}

static int
compare_values(const void *a, const void *b)
{
	const struct bkp_map_value *left = a, *right = b;

	return strcmp(left->value, right->value);
}

static int
read_labels(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct bkp_map_column *column = slot;

	(void)name;
	if (bkp_map_read_pairs(r, "'values'", value, read_value, column, err) <
	    0)
		return -1;
	if (column->value_count > 0)
		qsort(column->values, column->value_count,
		    sizeof(*column->values), compare_values);
	for (size_t i = 1; i < column->value_count; i++)
		if (compare_values(
			&column->values[i - 1], &column->values[i]) == 0)
			return bkp_config_fail(&r->file, value, err,
			    "the value '%s' has two labels",
			    column->values[i].value);
	return 0;
}

#define COLUMN(member) offsetof(struct bkp_map_column, member)

static const struct map_field column_fields[] = {
    {"label", bkp_map_read_text, COLUMN(label), false},
    {"omit", read_omit, 0, false}, {"mask", read_mask, 0, false},
    {"pseudonym", read_pseudonym, 0, false},
    {"plain", bkp_map_read_flag, COLUMN(is_plain), false},
    {"origin", read_origin, COLUMN(origin), false},
    {"values", read_labels, 0, false},
    {"undecided", bkp_map_read_flag, COLUMN(is_undecided), false},
    {NULL, NULL, 0, false}};

static int
read_column(struct map_reader *r, const yaml_node_t *key,
    const yaml_node_t *value, void *arg, struct bkp_error *err)
{
	struct bkp_map_table *table = arg;
	struct bkp_map_column *column;

	if (bkp_grow(&table->columns, table->column_count, &table->column_cap,
		sizeof(*table->columns), err) < 0)
		return -1;
	column = &table->columns[table->column_count++];
	memset(column, 0, sizeof(*column));
	column->line = bkp_config_line(key);
	if (bkp_map_read_text(r, "columns", key, &column->name, err) < 0)
		return -1;
	if (bkp_map_is_undecided(value)) {
		column->is_undecided = true;
		return 0;
	}
	return bkp_map_read_fields(
	    r, "a column", column_fields, value, column, err);
}

static int
compare_columns(const void *a, const void *b)
{
	const struct bkp_map_column *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int
read_columns(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct bkp_map_table *table = slot;
	const struct bkp_map_column *columns;

	(void)name;
	if (bkp_map_read_pairs(r, "'columns'", value, read_column, table, err) <
	    0)
		return -1;
	if ((columns = table->columns) != NULL)
		qsort(table->columns, table->column_count,
		    sizeof(*table->columns), compare_columns);
	for (size_t i = 1; i < table->column_count; i++)
		if (compare_columns(&columns[i - 1], &columns[i]) == 0)
			return bkp_map_fail_twice(r, "column", columns[i].name,
			    columns[i - 1].line, columns[i].line, err);
	return 0;
}

/* ---- tables ---- */

static int
read_skip(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct bkp_map_table *table = slot;

	table->is_undecided = bkp_map_is_undecided(value);
	if (table->is_undecided)
		return 0;
	return bkp_map_read_text(r, name, value, &table->skip, err);
}

#define TABLE(member) offsetof(struct bkp_map_table, member)

static const struct map_field table_fields[] = {
    {"label", bkp_map_read_text, TABLE(label), false},
    {"purpose", bkp_map_read_text, TABLE(purpose), false},
    {"retention", bkp_map_read_text, TABLE(retention), false},
    {"origin", read_origin, TABLE(origin), false},
    {"skip", read_skip, 0, false}, {"columns", read_columns, 0, false},
    {NULL, NULL, 0, false}};

static int
read_table(struct map_reader *r, const yaml_node_t *key,
    const yaml_node_t *value, void *arg, struct bkp_error *err)
{
	struct bkp_map *map = r->map;
	struct bkp_map_table *table;

	(void)arg;
	if (bkp_grow(&map->tables, map->table_count, &map->table_cap,
		sizeof(*map->tables), err) < 0)
		return -1;
	table = &map->tables[map->table_count++];
	memset(table, 0, sizeof(*table));
	table->line = bkp_config_line(key);
	if (bkp_map_read_table(r, "tables", key, &table->id, err) < 0)
		return -1;
	if (bkp_map_is_undecided(value)) {
		table->is_undecided = true;
		return 0;
	}
	return bkp_map_read_fields(
	    r, "a table", table_fields, value, table, err);
}

int
bkp_map_read_tables(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	(void)name;
	(void)slot;
	return bkp_map_read_pairs(r, "'tables'", value, read_table, NULL, err);
}

static int
compare_tables(const void *a, const void *b)
{
	const struct bkp_map_table *left = a, *right = b;

	return strcmp(left->id, right->id);
}

int
bkp_map_settle_tables(struct map_reader *r, struct bkp_error *err)
{
	struct bkp_map *map = r->map;

	if (map->table_count == 0)
		return 0;
	qsort(map->tables, map->table_count, sizeof(*map->tables),
	    compare_tables);
	for (size_t i = 1; i < map->table_count; i++)
		if (compare_tables(&map->tables[i - 1], &map->tables[i]) == 0)
			return bkp_map_fail_twice(r, "table", map->tables[i].id,
			    map->tables[i - 1].line, map->tables[i].line, err);
	return 0;
}

/* ---- files ---- */

#define FILES(member) offsetof(struct bkp_map_file, member)

/* Of what rows: nothing is given of shared ones unless somebody says so. */
static int
read_of(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(value);
	struct bkp_map_file *file = slot;

	file->is_shared = text != NULL && strcmp(text, "shared") == 0;
	if (!file->is_shared && (text == NULL || strcmp(text, "own") != 0))
		return bkp_config_fail(&r->file, value, err,
		    "'%s' is 'own' (the objects that owned rows name) or "
		    "'shared' (those of shared rows, too)",
		    name);
	return 0;
}

static const struct map_field file_fields[] = {
    {"table", bkp_map_read_table, FILES(table), true},
    {"bucket", bkp_map_read_text, FILES(bucket), true},
    {"key", bkp_map_read_sql, FILES(key), false},
    {"prefix", bkp_map_read_sql, FILES(prefix), false},
    {"name", bkp_map_read_sql, FILES(name), false},
    {"when", bkp_map_read_sql, FILES(when), false}, {"of", read_of, 0, false},
    {NULL, NULL, 0, false}};

static int
read_file(struct map_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	struct bkp_map *map = r->map;
	struct bkp_map_file *file;

	if (bkp_grow(&map->files, map->file_count, &map->file_cap,
		sizeof(*map->files), err) < 0)
		return -1;
	file = &map->files[map->file_count++];
	memset(file, 0, sizeof(*file));
	file->line = bkp_config_line(node);
	if (bkp_map_read_fields(
		r, "an entry of 'files'", file_fields, node, file, err) < 0)
		return -1;
	if ((file->key == NULL) == (file->prefix == NULL))
		return bkp_config_fail(&r->file, node, err,
		    "an entry of 'files' needs 'key' (an object) or 'prefix' "
		    "(all below it), one of them");
	return 0;
}

int
bkp_map_read_files(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	(void)slot;
	return bkp_map_read_items(r, name, value, read_file, err);
}
