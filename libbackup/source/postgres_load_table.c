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
	free(table->sql);
	free(table->quoted);
	free(table->cuts);
}

void
bkp_pg_load_fini(struct bkp_pg_load *load)
{
	for (size_t i = 0; i < load->table_count; i++)
		free_table(&load->tables[i]);
	free(load->tables);
	for (unsigned i = 0;
	     load->workers != NULL && i < bkp_run_workers(load->run); i++) {
		bkp_pg_close(&load->workers[i].pg);
		fmt_buf_free(&load->workers[i].chunk);
	}
	free(load->workers);
	bkp_pg_there_free(&load->there);
	pthread_mutex_destroy(&load->mutex);
}

/* The statement, from the entry's attributes. */
static int
make_sql(struct bkp_pg_loaded *table, const char *schema, const char *name,
    const json_t *columns, const char *encoding, struct bkp_error *err)
{
	size_t count = json_array_size(columns);
	const char **names = bkp_alloc_array(count, sizeof(*names), err);
	struct fmt_buf sql = FMT_BUF_INIT, quoted = FMT_BUF_INIT;
	int rc = -1;

	if (names == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		names[i] = json_string_value(json_array_get(columns, i));
		if (names[i] == NULL) {
			(void)bkp_fail(err, BKP_CORRUPT,
			    "%s: its columns are not named", table->entry.path);
			goto out;
		}
	}
	if (bkp_pg_sql(&quoted, "%I.%I", schema, name) != FMT_OK ||
	    fmt_buf_text(&quoted) == NULL ||
	    bkp_pg_copy_in_sql(&sql, (const char *)quoted.data, names, count,
		encoding, table->form) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL) {
		(void)bkp_fail_nomem(err, "loading a table");
		goto out;
	}
	table->sql = bkp_strdup((const char *)sql.data, err);
	table->quoted = bkp_strdup((const char *)quoted.data, err);
	if (table->sql != NULL && table->quoted != NULL)
		rc = 0;
out:
	free(names);
	fmt_buf_free(&sql);
	fmt_buf_free(&quoted);
	return rc;
}

/* Makes a table of an entry, which it takes. */
static int
read_table(
    struct bkp_pg_loaded *table, struct fmt_entry *entry, struct bkp_error *err)
{
	const char *schema, *name, *encoding, *hash;
	const json_t *rows, *columns;

	memset(table, 0, sizeof(*table));
	table->entry = *entry;
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	entry = &table->entry;
	schema = json_string_value(json_object_get(entry->attrs, "schema"));
	name = json_string_value(json_object_get(entry->attrs, "name"));
	encoding = json_string_value(json_object_get(entry->attrs, "encoding"));
	hash = json_string_value(json_object_get(entry->attrs, "rowhash"));
	rows = json_object_get(entry->attrs, "rows");
	columns = json_object_get(entry->attrs, "columns");
	if (schema == NULL || name == NULL || encoding == NULL ||
	    hash == NULL || !json_is_integer(rows) || !json_is_array(columns) ||
	    fmt_rowhash_parse(hash, &table->expected) != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: its attributes are not those of a table", entry->path);
	table->expected.rows = (uint64_t)json_integer_value(rows);
	table->is_of_extension =
	    json_object_get(entry->attrs, "extension") != NULL;
	table->schema = schema;
	table->name = name;
	if (bkp_pg_form_read(entry, &table->form, err) < 0)
		return -1;
	return make_sql(table, schema, name, columns, encoding, err);
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
		if (read_table(
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

int
bkp_pg_load_chunks(struct bkp_pg_load *load, struct bkp_pg *pg, unsigned worker,
    struct bkp_pg_piece *piece, struct bkp_error *err)
{
	const struct bkp_pg_loaded *table = piece->table;
	struct fmt_buf *chunk = &load->workers[worker].chunk;
	struct bkp_chunk_reader *reader =
	    bkp_supply_reader(load->supply, worker);
	uint64_t rows = 0;

	if (bkp_pg_form_check(
		pg, &table->entry, table->form, table->quoted, err) < 0 ||
	    bkp_pg_copy_in_begin(
		pg, piece->sql != NULL ? piece->sql : table->sql, err) < 0 ||
	    bkp_pg_form_begin(pg, table->form, err) < 0)
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

void
bkp_pg_load_add(struct bkp_pg_loaded *table, const struct bkp_pg_piece *piece)
{
	fmt_rowhash_merge(&table->loaded, &piece->hash);
	if (piece->loss.count > 0)
		note_loss(&table->loss, piece->loss.count, &piece->loss.why);
	table->had_path = table->had_path || piece->had_path;
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
	if (table->loss.count > 0)
		why = table->loss.why;
	if (bkp_supply_lose(load->supply, err, &why, table->entry.path,
		"%s%llu of %llu rows are left, %zu of %zu chunks are lost",
		became, (unsigned long long)table->loaded.rows,
		(unsigned long long)table->expected.rows, table->loss.count,
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
