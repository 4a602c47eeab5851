/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk as a program, for the tests that hold it against walks that were
 * written by hand in SQL.
 *
 *   walk_tool rows CONNINFO MAP KEY...    a line of JSON for each row
 *   walk_tool portability CONNINFO MAP KEY...    both as exports read them
 *   walk_tool count CONNINFO MAP KEY...   table TAB decision TAB rows
 *   walk_tool places CONNINFO MAP KEY...  leaf's OID TAB ctid TAB decision
 *   walk_tool erase CONNINFO MAP KEY...   of one subject after the other
 *   walk_tool explain CONNINFO MAP TABLE ROW KEY...
 *
 * ROW is a primary key, its columns divided by '|'. What was left out goes to
 * stderr as "omitted PATH: REASON". Exit status: 0, or 1 with "code CODE:
 * MESSAGE" on stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/subject/erase.h"
#include "libbackup/subject/rows.h"

static const unsigned char secret[32] = "a secret of thirty-two bytes ...";

static void
print_value(struct fmt_buf *line, const struct bkp_model_column *column,
    const struct bkp_rows_value *value)
{
	enum fmt_pgjson kind =
	    column->is_composite ? FMT_PGJSON_JSON : column->kind;
	enum fmt_status status;

	if (value->text == NULL)
		status = fmt_buf_append_text(line, "null");
	else if (value->form == BKP_ROWS_STRING)
		status = fmt_pgjson_string(line, value->text, value->len, NULL);
	else if (value->form == BKP_ROWS_STRINGS)
		status = fmt_pgjson_array(
		    line, FMT_PGJSON_TEXT, ',', value->text, value->len, NULL);
	else if (column->is_array && !column->is_composite)
		status = fmt_pgjson_array(
		    line, kind, ',', value->text, value->len, NULL);
	else
		status =
		    fmt_pgjson_value(line, kind, value->text, value->len, NULL);
	if (status != FMT_OK) {
		(void)fprintf(stderr, "code 0: %s: %s\n", column->name,
		    fmt_status_text(status));
		exit(1);
	}
}

static void
print_row(const struct bkp_model_table *table, enum bkp_decided decided,
    const struct bkp_rows *rows, const struct bkp_rows_value *values)
{
	struct fmt_buf line = FMT_BUF_INIT;
	const struct bkp_rows_column *columns;
	bool is_first = true;
	size_t count;

	(void)fmt_buf_append_text(&line, "{\"table\":");
	(void)fmt_pgjson_string(&line, table->id, strlen(table->id), NULL);
	(void)fmt_buf_printf(
	    &line, ",\"decided\":\"%s\",\"row\":{", bkp_decided_name(decided));
	columns = bkp_rows_columns(rows, &count);
	for (size_t i = 0; i < count; i++) {
		if (values[i].form == BKP_ROWS_ABSENT)
			continue;
		if (!is_first)
			(void)fmt_buf_append_byte(&line, ',');
		is_first = false;
		(void)fmt_pgjson_string(
		    &line, columns[i].name, strlen(columns[i].name), NULL);
		(void)fmt_buf_append_byte(&line, ':');
		print_value(
		    &line, &table->columns[columns[i].column], &values[i]);
	}
	(void)fmt_buf_append_text(&line, "}}\n");
	(void)fwrite(line.data, 1, line.len, stdout);
	fmt_buf_free(&line);
}

static int
print_table(struct bkp_walk *walk, const struct bkp_walk_table *reached,
    enum bkp_profile profile, struct bkp_error *err)
{
	const struct bkp_rows_value *values;
	struct bkp_rows *rows;
	int more;

	if (bkp_rows_open(walk, reached->table, reached->decided, profile,
		secret, 0, &rows, err) < 0)
		return -1;
	while ((more = bkp_rows_next(rows, &values, err)) > 0)
		print_row(&bkp_walk_model(walk)->tables[reached->table],
		    reached->decided, rows, values);
	bkp_rows_close(rows);
	return more;
}

static int
print_places(struct bkp_walk *walk, size_t table, struct bkp_error *err)
{
	char sql[128];
	PGresult *result = NULL;

	(void)snprintf(sql, sizeof(sql),
	    "SELECT rel, tid, decided FROM pg_temp.walk_%zu", table);
	if (bkp_pg_query(bkp_walk_session(walk), sql, 0, NULL, &result, err) <
	    0)
		return -1;
	for (int i = 0; i < PQntuples(result); i++)
		(void)printf("%s\t%s\t%s\n", PQgetvalue(result, i, 0),
		    PQgetvalue(result, i, 1),
		    bkp_decided_name(
			(enum bkp_decided)atoi(PQgetvalue(result, i, 2))));
	PQclear(result);
	return 0;
}

static int
print_tables(struct bkp_walk *walk, const char *what, struct bkp_error *err)
{
	size_t count;
	const struct bkp_walk_table *tables = bkp_walk_tables(walk, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(what, "count") == 0)
			(void)printf("%s\t%s\t%llu\n",
			    bkp_walk_model(walk)->tables[tables[i].table].id,
			    bkp_decided_name(tables[i].decided),
			    (unsigned long long)tables[i].rows);
		else if (strcmp(what, "places") == 0) {
			if ((i == 0 ||
				tables[i - 1].table != tables[i].table) &&
			    print_places(walk, tables[i].table, err) < 0)
				return -1;
		} else if (print_table(walk, &tables[i],
			       strcmp(what, "portability") == 0
				   ? BKP_PROFILE_PORTABILITY
				   : BKP_PROFILE_ACCESS,
			       err) < 0)
			return -1;
	}
	return 0;
}

static int
print_path(
    struct bkp_walk *walk, const char *table, char *row, struct bkp_error *err)
{
	struct bkp_walk_path path = {NULL, 0, 0};
	const char *key[8];
	size_t count = 0, at = bkp_model_table(bkp_walk_model(walk), table);

	for (char *part; count < 8 && (part = strsep(&row, "|")) != NULL;)
		key[count++] = part;
	if (at == SIZE_MAX) {
		(void)fprintf(stderr, "code 0: there is no table %s\n", table);
		return -1;
	}
	if (bkp_walk_explain(walk, at, key, count, &path, err) < 0)
		return -1;
	for (size_t i = 0; i < path.count; i++)
		(void)printf("%s\t%s\t%s\t%s\n",
		    bkp_walk_model(walk)->tables[path.steps[i].table].id,
		    path.steps[i].row, bkp_decided_name(path.steps[i].decided),
		    path.steps[i].edge != NULL ? path.steps[i].edge : "");
	bkp_walk_path_free(&path);
	return 0;
}

static void
print_omissions(struct bkp_run *run)
{
	size_t count;
	const struct bkp_omission *omissions = bkp_run_omissions(run, &count);

	for (size_t i = 0; i < count; i++)
		(void)fprintf(stderr, "omitted %s: %s\n", omissions[i].path,
		    omissions[i].reason);
}

static int
erase(struct bkp_walk *walk, const struct bkp_map *map, char **keys,
    size_t count, struct bkp_error *err)
{
	struct bkp_erased erased = BKP_ERASED_INIT;
	int rc = bkp_walk_run_many(walk, (const char *const *)keys,
	    map->key.count, count / map->key.count, err);

	if (rc == 0)
		rc = bkp_erase(walk, &erased, err);
	for (size_t i = 0; rc == 0 && i < erased.table_count; i++)
		(void)printf("deleted\t%s\t%llu\n", erased.tables[i].table,
		    (unsigned long long)erased.tables[i].rows);
	for (size_t i = 0; rc == 0 && i < erased.reference_count; i++)
		(void)printf("%s\t%s\t%llu\t%s\n",
		    erased.references[i].why == NULL ? "cleared" : "stays",
		    erased.references[i].edge,
		    (unsigned long long)erased.references[i].rows,
		    erased.references[i].why != NULL ? erased.references[i].why
						     : "");
	for (size_t i = 0; rc == 0 && i < erased.object_count; i++)
		(void)printf("%s\t%s\t%s%s\n",
		    erased.objects[i].is_kept ? "kept" : "object",
		    erased.objects[i].bucket, erased.objects[i].key,
		    erased.objects[i].is_prefix ? "*" : "");
	bkp_erased_free(&erased);
	return rc;
}

/* Which of them the tool is asked for. */
static int
run(int argc, char **argv, const struct bkp_postgres_config *config,
    const struct bkp_map *map, struct bkp_run *run, struct bkp_walk **walk,
    struct bkp_error *err)
{
	bool is_explain = strcmp(argv[1], "explain") == 0,
	     is_reading = strcmp(argv[1], "rows") == 0 ||
			  strcmp(argv[1], "portability") == 0;
	int keys = is_explain ? 6 : 4;

	if (strcmp(argv[1], "erase") == 0)
		return bkp_walk_open_erasing(
			   config, NULL, map, run, walk, err) == 0
			   ? erase(*walk, map, argv + keys,
				 (size_t)(argc - keys), err)
			   : -1;
	if ((is_reading ? bkp_walk_open_reading : bkp_walk_open)(
		config, NULL, map, run, walk, err) < 0 ||
	    bkp_walk_run(*walk, (const char *const *)argv + keys,
		(size_t)(argc - keys), err) < 0)
		return -1;
	return is_explain ? print_path(*walk, argv[4], argv[5], err)
			  : print_tables(*walk, argv[1], err);
}

int
main(int argc, char **argv)
{
	struct bkp_postgres_config config = {.conninfo = argv[2]};
	int rc = -1;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_events events = BKP_EVENTS_INIT;
	struct bkp_map map = BKP_MAP_INIT;
	struct bkp_walk *walk = NULL;
	struct bkp_run *shared = NULL;

	if (argc <= (argc > 1 && strcmp(argv[1], "explain") == 0 ? 6 : 4))
		return 2;
	if (bkp_run_new(1, &events, NULL, &shared, &err) == 0 &&
	    bkp_map_load(argv[3], &map, &err) == 0)
		rc = run(argc, argv, &config, &map, shared, &walk, &err);
	if (rc < 0)
		(void)fprintf(stderr, "code %d: %s\n", err.code, err.message);
	if (shared != NULL)
		print_omissions(shared);
	bkp_walk_close(walk);
	bkp_map_free(&map);
	bkp_run_free(shared);
	return rc < 0;
}
