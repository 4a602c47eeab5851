/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows into tables. A piece is a run of chunks of one table, which a worker
 * loads with one COPY. Every row is hashed on its way, and what came together
 * is compared with what the backup recorded. Chunks hold whole rows: one that
 * the repository has lost is left out, and its table is named in the end.
 */
#include "libbackup/source/postgres_load.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "formats/rowhash.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/names.h"

/* As much goes into one COPY: enough that its cost does not show, little
 * enough that one table is spread over the workers. */
#define COPY_BYTES (16u * 1024u * 1024u)

/* Chunks that cannot be read any more. */
struct loss {
	size_t count;
	struct bkp_error why; /* of the first */
};

/* A table to load. */
struct table {
	struct fmt_entry entry;
	char *sql;    /* owned: COPY ... FROM STDIN */
	char *quoted; /* owned */
	struct fmt_rowhash expected, loaded;
	struct loss loss;
	const char *schema, *name; /* borrowed from the entry */
	size_t *cuts; /* owned: the first chunk of each piece, and the end */
	size_t cut_count, cut_cap;
	bool is_of_extension;
	bool had_path; /* it took the search path of the database */
};

/* One piece, while it is being loaded. */
struct piece {
	struct table *table; /* borrowed */
	size_t first, last;  /* chunks */
	struct fmt_rowhash hash;
	struct loss loss;
	bool had_path;
};

struct worker {
	struct bkp_pg pg;
	struct fmt_buf chunk;
};

struct bkp_pg_load {
	struct bkp_pg_target *target;
	struct bkp_supply *supply;
	struct bkp_run *run;
	const char *database;    /* to connect to */
	const json_t *facts;     /* borrowed */
	const atomic_bool *stop; /* borrowed, or NULL */
	struct worker *workers;
	struct table *tables; /* largest first */
	size_t table_count, table_cap;
	struct bkp_pg_there there; /* where a part was chosen */
	pthread_mutex_t mutex;     /* of what the pieces of a table come to */
};

/* ---- the tables ---- */

static void
free_table(struct table *table)
{
	fmt_entry_free(&table->entry);
	free(table->sql);
	free(table->quoted);
	free(table->cuts);
}

static void
free_load(struct bkp_pg_load *load)
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
make_sql(struct table *table, const char *schema, const char *name,
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
		encoding) != FMT_OK ||
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
read_table(struct table *table, struct fmt_entry *entry, struct bkp_error *err)
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
	return make_sql(table, schema, name, columns, encoding, err);
}

static int
compare_tables(const void *a, const void *b)
{
	const struct table *x = a, *y = b;

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
note_loss(struct loss *loss, size_t count, const struct bkp_error *why)
{
	if (loss->count == 0)
		loss->why = *why;
	loss->count += count;
}

/* Loads the chunks [first, last) with one COPY, but for those that are lost. */
static int
load_chunks(struct bkp_pg_load *load, struct bkp_pg *pg, unsigned worker,
    struct fmt_buf *chunk, const struct table *table, size_t first, size_t last,
    struct fmt_rowhash *hash, struct loss *loss, struct bkp_error *err)
{
	struct bkp_chunk_reader *reader =
	    bkp_supply_reader(load->supply, worker);
	uint64_t rows = 0, before = hash->rows;

	if (bkp_pg_copy_in_begin(pg, table->sql, err) < 0)
		return -1;
	for (size_t i = first; i < last; i++) {
		struct bkp_error why = BKP_ERROR_INIT;

		fmt_buf_clear(chunk);
		if (bkp_chunk_reader_get(
			reader, &table->entry.chunks[i], chunk, &why) < 0) {
			if (why.code == BKP_CORRUPT) {
				note_loss(loss, 1, &why);
				continue;
			}
			bkp_pg_copy_in_abort(pg);
			if (err != NULL)
				*err = why;
			return -1;
		}
		if (fmt_rowhash_add_rows(hash, chunk->data, chunk->len) !=
		    FMT_OK) {
			bkp_pg_copy_in_abort(pg);
			return bkp_fail(err, BKP_CORRUPT,
			    "a chunk of it ends within a row");
		}
		if (bkp_pg_copy_in_put(pg, chunk->data, chunk->len, err) < 0)
			return -1;
		bkp_run_count(load->run, chunk->len, 0);
	}
	if (bkp_pg_copy_in_end(pg, &rows, err) < 0)
		return -1;
	if (rows != hash->rows - before)
		return bkp_fail(err, BKP_CORRUPT,
		    "%llu rows were sent and the server took %llu",
		    (unsigned long long)(hash->rows - before),
		    (unsigned long long)rows);
	return 0;
}

static int
compare_table(const struct table *table, struct bkp_error *err)
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

/* 0: the table has all its rows; 1: it has not, and that was noted. */
static int
settle_table(struct bkp_pg_load *load, const struct table *table,
    const char *became, struct bkp_error *err)
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

/* ---- many at once ---- */

static int
cut(struct table *table, struct bkp_error *err)
{
	const struct fmt_entry *entry = &table->entry;
	uint64_t bytes = COPY_BYTES;

	for (size_t i = 0; i <= entry->chunk_count; i++) {
		bool is_end = i == entry->chunk_count;

		if (is_end || bytes >= COPY_BYTES) {
			if (bkp_grow(&table->cuts, table->cut_count,
				&table->cut_cap, sizeof(*table->cuts), err) < 0)
				return -1;
			table->cuts[table->cut_count++] = i;
			bytes = 0;
		}
		bytes += is_end ? 0 : entry->chunks[i].len;
	}
	return 0;
}

static int
open_worker(struct bkp_pg_load *load, struct bkp_pg *pg, struct bkp_error *err)
{
	if (bkp_pg_target_connect(
		load->target, load->database, load->run, pg, err) < 0)
		return -1;
	pg->stop = load->stop;
	/* The rename at the end waits for the log, and so for all of this. */
	return bkp_pg_do(pg, "SET synchronous_commit TO off", err);
}

/* Configuration tables of extensions exist with their foreign keys; their rows
 * come in no order. Only a superuser may look away. */
static int
relax(struct bkp_pg *pg, bool is_of_extension, struct bkp_error *err)
{
	return bkp_pg_do(pg,
	    is_of_extension
		? "SELECT set_config('session_replication_role', 'replica',"
		  " false) FROM pg_roles"
		  " WHERE rolname = current_user AND rolsuper"
		: "RESET session_replication_role",
	    err);
}

/*
 * A function in a CHECK or a generated column may count on the search path
 * that the application has. With an empty one it finds nothing; so once more
 * with the database's own, and a word about it.
 */
static int
load_with_path(struct bkp_pg_load *load, struct worker *worker, unsigned number,
    struct piece *piece, struct bkp_error *err)
{
	int rc;

	if (bkp_pg_target_search_path(&worker->pg, load->facts, err) < 0)
		return -1;
	piece->had_path = true;
	piece->hash = (struct fmt_rowhash)FMT_ROWHASH_INIT;
	piece->loss.count = 0;
	rc =
	    load_chunks(load, &worker->pg, number, &worker->chunk, piece->table,
		piece->first, piece->last, &piece->hash, &piece->loss, err);
	if (rc == 0)
		rc = bkp_pg_do(&worker->pg, "SET search_path TO ''", err);
	return rc;
}

static int
load_piece(struct bkp_pg_load *load, struct worker *worker, unsigned number,
    struct piece *piece, struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;

	if (load_chunks(load, &worker->pg, number, &worker->chunk, piece->table,
		piece->first, piece->last, &piece->hash, &piece->loss,
		&failure) == 0)
		return 0;
	if (failure.code == BKP_NOTFOUND &&
	    load_with_path(load, worker, number, piece, NULL) == 0)
		return 0;
	if (err != NULL)
		*err = failure;
	return -1;
}

static int
work_piece(struct bkp_pg_load *load, unsigned number, struct piece *piece,
    struct bkp_error *err)
{
	struct worker *worker = &load->workers[number];
	const struct table *table = piece->table;

	if (worker->pg.conn == NULL && open_worker(load, &worker->pg, err) < 0)
		return -1;
	if (table->is_of_extension && relax(&worker->pg, true, err) < 0)
		return -1;
	if (load_piece(load, worker, number, piece, err) < 0) {
		if (err != NULL && err->code == BKP_CANCELLED)
			return -1;
		return bkp_fail_in(err, "table %s", table->quoted);
	}
	if (table->is_of_extension && relax(&worker->pg, false, err) < 0)
		return -1;
	return 0;
}

int
bkp_pg_load_piece(struct bkp_pg_load *load, unsigned worker, size_t number,
    uint64_t at, struct bkp_error *err)
{
	struct table *table = &load->tables[number];
	struct piece piece = {.table = table, .hash = FMT_ROWHASH_INIT};

	if (at + 1 >= table->cut_count)
		return 0; /* of a table without rows */
	piece.first = table->cuts[at];
	piece.last = table->cuts[at + 1];
	if (work_piece(load, worker, &piece, err) < 0)
		return -1;
	pthread_mutex_lock(&load->mutex);
	fmt_rowhash_merge(&table->loaded, &piece.hash);
	if (piece.loss.count > 0)
		note_loss(&table->loss, piece.loss.count, &piece.loss.why);
	table->had_path = table->had_path || piece.had_path;
	pthread_mutex_unlock(&load->mutex);
	return 0;
}

int
bkp_pg_load_settle(
    struct bkp_pg_load *load, size_t number, struct bkp_error *err)
{
	return settle_table(load, &load->tables[number], "", err) < 0 ? -1 : 0;
}

void
bkp_pg_load_tell(struct bkp_pg_load *load)
{
	for (size_t i = 0; i < load->table_count; i++)
		if (load->tables[i].had_path)
			bkp_run_message(load->run, BKP_WARNING,
			    load->tables[i].entry.path,
			    "a function that it uses counts on search_path; "
			    "it was loaded with the database's own (ALTER "
			    "FUNCTION ... SET search_path cures it)");
}

size_t
bkp_pg_load_count(const struct bkp_pg_load *load)
{
	return load->table_count;
}

void
bkp_pg_load_table(const struct bkp_pg_load *load, size_t number,
    struct bkp_pg_load_table *out)
{
	const struct table *table = &load->tables[number];

	*out = (struct bkp_pg_load_table){.schema = table->schema,
	    .name = table->name,
	    .bytes = table->entry.size,
	    .rows = table->expected.rows,
	    .pieces = table->cut_count > 1 ? table->cut_count - 1 : 1};
}

void
bkp_pg_load_close(struct bkp_pg_load *load)
{
	if (load == NULL)
		return;
	free_load(load);
	free(load);
}

int
bkp_pg_load_open(struct bkp_pg_target *target, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, const atomic_bool *stop,
    struct bkp_pg_load **out, struct bkp_error *err)
{
	struct bkp_pg_load *load = bkp_alloc(sizeof(*load), err);
	int rc = 0;

	if (load == NULL)
		return -1;
	*load = (struct bkp_pg_load){.target = target,
	    .supply = supply,
	    .run = bkp_supply_run(supply),
	    .database = database->temporary,
	    .facts = database->facts,
	    .stop = stop};
	pthread_mutex_init(&load->mutex, NULL);
	load->workers = bkp_alloc_array(
	    bkp_run_workers(load->run), sizeof(*load->workers), err);
	if (load->workers == NULL ||
	    (database->choice != NULL && look(load, err) < 0) ||
	    collect(load, database, err) < 0)
		rc = -1;
	for (size_t i = 0; rc == 0 && i < load->table_count; i++)
		rc = cut(&load->tables[i], err);
	if (rc < 0)
		bkp_pg_load_close(load);
	else
		*out = load;
	return rc;
}

/* ---- into tables that exist ---- */

/* *only: how to name just the table that the rows were in. Those of a
 * partitioned one are in its partitions; what inherits otherwise has its own.
 */
static int
check_kind(struct bkp_pg *pg, const struct table *table, const char **only,
    struct bkp_error *err)
{
	PGresult *result = NULL;

	if (bkp_pg_query(pg,
		"SELECT relkind = 'p' FROM pg_catalog.pg_class"
		" WHERE oid = $1::text::pg_catalog.regclass",
		1, (const char *[]){table->quoted}, &result, err) < 0)
		return bkp_fail_in(err,
		    "rows can be loaded only into a table that exists (make "
		    "it, or restore the whole database under another name)");
	*only = PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] == 't'
		    ? ""
		    : "ONLY ";
	PQclear(result);
	return 0;
}

static int
check_empty(struct bkp_pg_load *load, struct bkp_pg *pg,
    const struct table *table, const char *only, bool *has_rows,
    struct bkp_error *err)
{
	char *sql = bkp_format(
	    err, "SELECT EXISTS (SELECT FROM %s%s)", only, table->quoted);
	char *answer;

	if (sql == NULL)
		return -1;
	answer = bkp_pg_text(pg, sql, err);
	free(sql);
	if (answer == NULL)
		return -1;
	*has_rows = answer[0] == 't';
	free(answer);
	if (*has_rows && !load->target->options.is_overwrite)
		return bkp_fail(err, BKP_EXISTS,
		    "table %s has rows: empty it first, or replace them "
		    "(--overwrite)",
		    table->quoted);
	return 0;
}

/* A table of which rows are lost stays as it was: it has its name, and nobody
 * would see by it what it lacks. */
static int
load_one(struct bkp_pg_load *load, struct bkp_pg *pg, struct table *table,
    struct fmt_buf *undo, uint64_t *loaded, struct bkp_error *err)
{
	const char *only = "";
	bool has_rows = false;
	int outcome;

	if (bkp_pg_do(pg, "SAVEPOINT one", err) < 0 ||
	    check_kind(pg, table, &only, err) < 0 ||
	    check_empty(load, pg, table, only, &has_rows, err) < 0 ||
	    bkp_pg_part_hush(pg, table->quoted, undo, err) < 0 ||
	    (has_rows && bkp_pg_run(pg, err, "TRUNCATE TABLE %s%s", only,
			     table->quoted) < 0))
		return -1;
	if (load_chunks(load, pg, 0, &load->workers[0].chunk, table, 0,
		table->entry.chunk_count, &table->loaded, &table->loss,
		err) < 0)
		return bkp_fail_in(err, "table %s", table->quoted);
	outcome = settle_table(load, table,
	    "left as it was (a restore of the database under another name has "
	    "what there is): ",
	    err);
	if (outcome < 0)
		return -1;
	*loaded += outcome == 0 ? 1 : 0;
	return bkp_pg_do(pg,
	    outcome == 0 ? "RELEASE SAVEPOINT one"
			 : "ROLLBACK TO SAVEPOINT one",
	    err);
}

/* All or nothing: one transaction, and rows that were there come back where
 * anything fails. */
static int
load_selected(
    struct bkp_pg_load *load, struct bkp_pg *pg, struct bkp_error *err)
{
	struct fmt_buf undo = FMT_BUF_INIT;
	uint64_t loaded = 0;
	int rc = bkp_pg_do(pg, "BEGIN", err);

	for (size_t i = 0; rc == 0 && i < load->table_count; i++)
		rc = load_one(load, pg, &load->tables[i], &undo, &loaded, err);
	/* A table that something deferred is still to be done to cannot be
	 * altered. */
	if (rc == 0 && undo.len > 0)
		rc = fmt_buf_text(&undo) == NULL
			 ? bkp_fail_nomem(err, "waking triggers")
			 : bkp_pg_do(pg, "SET CONSTRAINTS ALL IMMEDIATE", err);
	if (rc == 0 && undo.len > 0)
		rc = bkp_pg_do(pg, (const char *)undo.data, err);
	if (rc == 0)
		rc = bkp_pg_do(pg, "COMMIT", err);
	if (rc == 0)
		bkp_supply_restored(load->supply, loaded);
	fmt_buf_free(&undo);
	return rc;
}

int
bkp_pg_target_load_rows(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_pg_load load = {.target = target,
	    .supply = supply,
	    .run = bkp_supply_run(supply),
	    .database = database->name};
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	pthread_mutex_init(&load.mutex, NULL);
	load.workers = bkp_alloc_array(
	    bkp_run_workers(load.run), sizeof(*load.workers), err);
	if (load.workers == NULL || collect(&load, database, err) < 0)
		goto out;
	if (load.table_count == 0 && bkp_supply_has_whole_list(supply)) {
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "the snapshot holds no rows below %s",
		    bkp_supply_selection(supply));
		goto out;
	}
	bkp_run_phase(load.run, 0, 0, "%s: rows", database->name);
	if (bkp_pg_open(&pg, target->config, database->name, load.run, err) < 0)
		goto out;
	pg.is_ticking = true;
	rc = load_selected(&load, &pg, err);
out:
	bkp_pg_close(&pg);
	free_load(&load);
	return rc;
}
