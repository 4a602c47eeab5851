/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a snapshot, and one COPY. Every row is hashed on its way, and
 * what came together is compared with what the backup recorded. Chunks hold
 * whole rows: one that the repository has lost is left out, and its table is
 * named in the end.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/names.h"
#include "libbackup/source/postgres_form.h"
#include "libbackup/source/postgres_load_impl.h"

/* ---- the tables ---- */

static void
free_table(struct bkp_pg_loaded *table)
{
	fmt_entry_free(&table->entry);
	free(table->loss);
}

void
bkp_pg_load_fini(struct bkp_pg_load *load)
{
	for (size_t i = 0; i < load->table_count; i++)
		free_table(&load->tables[i]);
	free(load->tables);
	bkp_arena_free(&load->arena);
	for (unsigned i = 0;
	     load->workers != NULL && i < bkp_run_workers(load->run); i++) {
		bkp_pg_close(&load->workers[i].pg);
		fmt_buf_free(&load->workers[i].chunk);
	}
	free(load->workers);
	bkp_pg_there_free(&load->there);
	pthread_mutex_destroy(&load->mutex);
}

/* NULL: it is no list of texts, or memory is short. */
static const char **
take_names(struct bkp_arena *arena, const json_t *list, struct bkp_error *err)
{
	size_t count = json_array_size(list);
	const char **names = bkp_arena_room(arena, count * sizeof(*names), err);

	for (size_t i = 0; names != NULL && i < count; i++) {
		const char *name = json_string_value(json_array_get(list, i));

		if (name == NULL) {
			(void)bkp_fail(
			    err, BKP_CORRUPT, "its columns are not named");
			return NULL;
		}
		if ((names[i] = bkp_arena_string(arena, name, err)) == NULL)
			return NULL;
	}
	return names;
}

static int
take_columns(
    struct bkp_arena *arena, struct bkp_pg_loaded *table, struct bkp_error *err)
{
	const json_t *attrs = table->entry.attrs;
	const json_t *columns = json_object_get(attrs, "columns");
	const json_t *types = json_object_get(attrs, "types");

	table->columns = take_names(arena, columns, err);
	table->column_count = json_array_size(columns);
	if (table->columns == NULL)
		return bkp_fail_in(err, "%s", table->entry.path);
	if (table->form == FMT_COPY_TEXT)
		return 0;
	table->types = take_names(arena, types, err);
	return table->types != NULL ? 0
				    : bkp_fail_in(err, "%s", table->entry.path);
}

/* "schema"."name" */
static const char *
quote(struct bkp_arena *arena, const struct bkp_pg_loaded *table,
    struct bkp_error *err)
{
	struct fmt_buf quoted = FMT_BUF_INIT;
	const char *text = NULL;

	if (bkp_pg_sql(&quoted, "%I.%I", table->schema, table->name) == FMT_OK)
		text = bkp_arena_text(
		    arena, (const char *)quoted.data, quoted.len, err);
	else
		(void)bkp_fail_nomem(err, "loading a table");
	fmt_buf_free(&quoted);
	return text;
}

/* Takes what is needed of the attributes, which take ten times as much. */
static int
take_attributes(
    struct bkp_arena *arena, struct bkp_pg_loaded *table, struct bkp_error *err)
{
	json_t *attrs = table->entry.attrs;
	const char *schema, *name, *encoding, *hash;
	const json_t *rows = json_object_get(attrs, "rows");

	schema = json_string_value(json_object_get(attrs, "schema"));
	name = json_string_value(json_object_get(attrs, "name"));
	encoding = json_string_value(json_object_get(attrs, "encoding"));
	hash = json_string_value(json_object_get(attrs, "rowhash"));
	if (schema == NULL || name == NULL || encoding == NULL ||
	    hash == NULL || !json_is_integer(rows) ||
	    !json_is_array(json_object_get(attrs, "columns")) ||
	    fmt_rowhash_parse(hash, &table->expected) != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: its attributes are not those of a table",
		    table->entry.path);
	table->expected.rows = (uint64_t)json_integer_value(rows);
	table->is_of_extension = json_object_get(attrs, "extension") != NULL;
	table->schema = bkp_arena_string(arena, schema, err);
	table->name = bkp_arena_text(arena, name, strlen(name), err);
	table->encoding = bkp_arena_string(arena, encoding, err);
	if (table->schema == NULL || table->name == NULL ||
	    table->encoding == NULL ||
	    (table->quoted = quote(arena, table, err)) == NULL ||
	    bkp_pg_form_read(&table->entry, &table->form, err) < 0 ||
	    take_columns(arena, table, err) < 0)
		return -1;
	json_decref(attrs);
	table->entry.attrs = NULL;
	free(table->entry.kind);
	table->entry.kind = NULL;
	return 0;
}

/* Makes a table of an entry, which it takes. */
static int
read_table(struct bkp_arena *arena, struct bkp_pg_loaded *table,
    struct fmt_entry *entry, struct bkp_error *err)
{
	memset(table, 0, sizeof(*table));
	table->entry = *entry;
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	return take_attributes(arena, table, err);
}

static int
compare_tables(const void *a, const void *b)
{
	const struct bkp_pg_loaded *x = a, *y = b;

	if (x->entry.size != y->entry.size)
		return x->entry.size < y->entry.size ? 1 : -1;
	return fmt_entry_compare(x->entry.path, y->entry.path);
}

/* Extensions do not work without the rows of theirs. */
static bool
is_wanted(const struct bkp_pg_load *load,
    const struct bkp_pg_target_database *database,
    const struct fmt_entry *entry)
{
	if (load->target->options.is_schema_only &&
	    json_object_get(entry->attrs, "extension") == NULL)
		return false;
	return database->choice == NULL
		   ? bkp_supply_is_selected(load->supply, entry->path)
		   : bkp_pg_there_has(
			 &load->there, strrchr(entry->path, '/') + 1);
}

static int
look(struct bkp_pg_load *load, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc;

	if (bkp_pg_target_connect(
		load->target, load->database, load->run, &pg, err) < 0)
		return -1;
	rc = bkp_pg_part_there(&pg, &load->there, err);
	bkp_pg_close(&pg);
	return rc;
}

/* Collects the entries below data/ (the selected ones). */
static int
collect(struct bkp_pg_load *load, const struct bkp_pg_target_database *database,
    struct bkp_error *err)
{
	char *prefix = bkp_format(err, "%s/data/", database->path);
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int more = -1;

	if (prefix == NULL ||
	    bkp_supply_entries(load->supply, prefix, &stream, err) < 0)
		goto out;
	while ((more = bkp_entry_stream_next(stream, &entry, err)) > 0) {
		if (!is_wanted(load, database, &entry)) {
			fmt_entry_free(&entry);
			continue;
		}
		more = -1;
		if (bkp_grow(&load->tables, load->table_count, &load->table_cap,
			sizeof(*load->tables), err) < 0)
			goto out;
		load->table_count++;
		if (read_table(&load->arena,
			&load->tables[load->table_count - 1], &entry, err) < 0)
			goto out;
	}
	if (more == 0 && load->table_count > 0)
		qsort(load->tables, load->table_count, sizeof(*load->tables),
		    compare_tables);
out:
	fmt_entry_free(&entry);
	bkp_entry_stream_close(stream);
	free(prefix);
	return more;
}

/* ---- one COPY ---- */

static void
note_loss(struct bkp_pg_loss *loss, size_t count, const struct bkp_error *why)
{
	if (loss->count == 0)
		loss->why = *why;
	loss->count += count;
}

static int
begin_copy(
    struct bkp_pg *pg, const struct bkp_pg_piece *piece, struct bkp_error *err)
{
	const struct bkp_pg_loaded *table = piece->table;
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = -1;

	status = bkp_pg_copy_in_sql(&sql,
	    piece->root != NULL ? piece->root : table->quoted, table->columns,
	    table->column_count, table->encoding, table->form);
	if (status == FMT_OK && piece->is_frozen) {
		sql.len--; /* the bracket that ends the options */
		status = fmt_buf_append_text(&sql, ", FREEZE)");
	}
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "loading a table");
	else
		rc = bkp_pg_copy_in_begin(pg, (const char *)sql.data, err);
	fmt_buf_free(&sql);
	return rc < 0 ? -1 : bkp_pg_form_begin(pg, table->form, err);
}

int
bkp_pg_load_chunks(struct bkp_pg_load *load, struct bkp_pg *pg, unsigned worker,
    struct bkp_pg_piece *piece, struct bkp_error *err)
{
	const struct bkp_pg_loaded *table = piece->table;
	struct fmt_buf *chunk = &load->workers[worker].chunk;
	struct bkp_chunk_reader *reader =
	    bkp_supply_reader(load->supply, worker);
	uint64_t rows = 0;

	if (bkp_pg_form_check(pg, table->quoted, table->columns, table->types,
		table->column_count, err) < 0 ||
	    begin_copy(pg, piece, err) < 0)
		return -1;
	for (size_t i = piece->first; i < piece->last; i++) {
		struct bkp_error why = BKP_ERROR_INIT;

		fmt_buf_clear(chunk);
		if (bkp_chunk_reader_get(
			reader, &table->entry.chunks[i], chunk, &why) < 0) {
			if (why.code == BKP_CORRUPT) {
				note_loss(&piece->loss, 1, &why);
				continue;
			}
			bkp_pg_copy_in_abort(pg);
			if (err != NULL)
				*err = why;
			return -1;
		}
		if (fmt_rowhash_add_rows(&piece->hash, table->form, chunk->data,
			chunk->len) != FMT_OK) {
			bkp_pg_copy_in_abort(pg);
			return bkp_fail(err, BKP_CORRUPT,
			    "a chunk of it ends within a row");
		}
		if (bkp_pg_copy_in_put(pg, chunk->data, chunk->len, err) < 0)
			return -1;
		bkp_run_count(load->run, chunk->len, 0);
	}
	if (bkp_pg_form_end(pg, table->form, err) < 0 ||
	    bkp_pg_copy_in_end(pg, &rows, err) < 0)
		return -1;
	if (rows != piece->hash.rows)
		return bkp_fail(err, BKP_CORRUPT,
		    "%llu rows were sent and the server took %llu",
		    (unsigned long long)(piece->hash.rows),
		    (unsigned long long)rows);
	return 0;
}

int
bkp_pg_load_add(struct bkp_pg_loaded *table, const struct bkp_pg_piece *piece,
    struct bkp_error *err)
{
	fmt_rowhash_merge(&table->loaded, &piece->hash);
	table->had_path = table->had_path || piece->had_path;
	if (piece->loss.count == 0)
		return 0;
	if (table->loss == NULL &&
	    (table->loss = bkp_alloc(sizeof(*table->loss), err)) == NULL)
		return -1;
	note_loss(table->loss, piece->loss.count, &piece->loss.why);
	return 0;
}

static int
compare_table(const struct bkp_pg_loaded *table, struct bkp_error *err)
{
	if (table->expected.rows == table->loaded.rows &&
	    fmt_rowhash_is_equal(&table->expected, &table->loaded))
		return 0;
	return bkp_fail(err, BKP_CORRUPT,
	    "table %s: the backup recorded %llu rows and its chunks hold "
	    "%llu%s",
	    table->quoted, (unsigned long long)table->expected.rows,
	    (unsigned long long)table->loaded.rows,
	    table->expected.rows == table->loaded.rows ? " others" : "");
}

int
bkp_pg_load_settle_table(struct bkp_pg_load *load,
    const struct bkp_pg_loaded *table, const char *became,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (compare_table(table, &why) == 0)
		return 0;
	if (table->loss != NULL)
		why = table->loss->why;
	if (bkp_supply_lose(load->supply, err, &why, table->entry.path,
		"%s%llu of %llu rows are left, %zu of %zu chunks are lost",
		became, (unsigned long long)table->loaded.rows,
		(unsigned long long)table->expected.rows,
		table->loss != NULL ? table->loss->count : 0,
		table->entry.chunk_count) < 0)
		return -1;
	return 1;
}

/* ---- both of it ---- */

int
bkp_pg_load_init(struct bkp_pg_load *load,
    const struct bkp_pg_target_database *database, struct bkp_error *err)
{
	pthread_mutex_init(&load->mutex, NULL);
	load->workers = bkp_alloc_array(
	    bkp_run_workers(load->run), sizeof(*load->workers), err);
	if (load->workers == NULL ||
	    (database->choice != NULL && look(load, err) < 0))
		return -1;
	return collect(load, database, err);
}
