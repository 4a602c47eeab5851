/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a database. Every table is cut into ranges of pages; the ranges
 * of all tables, largest table first, go through one pipeline, so that one
 * large table uses every worker. Each worker has a connection that imports the
 * holder's snapshot. When all is copied the entries are handed over in the
 * order of their paths.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/longest.h"
#include "libbackup/postgres/names.h"
#include "libbackup/source/postgres_form.h"
#include "libbackup/source/postgres_incremental.h"
#include "libbackup/source/postgres_source.h"

/* A worker begins its transaction again after so many tables, which lets go of
 * their locks: the server's lock table is shared with everybody. */
#define TABLES_A_TRANSACTION 16

/* A connection keeps as much memory as its longest row took, for ever: beyond
 * this it is made anew. */
#define ROW_MAX (32u * 1024 * 1024)

/* The holder is asked for a sign of life this often. */
#define PING_PIECES 256

/* One COPY. */
struct piece {
	size_t table; /* in the catalogue */
	const struct bkp_pg_part *part;
	uint64_t first, last;       /* pages; last 0: to the end */
	struct fmt_chunk_ref *refs; /* owned */
	size_t ref_count, ref_cap;
	uint64_t bytes;
	struct fmt_rowhash hash;
	bool is_reused; /* of an earlier backup */
};

struct worker {
	struct bkp_pg pg;
	const struct bkp_pg_part *locked; /* the lock on it is held */
	unsigned table_count;             /* since the transaction began */
	bool is_swollen;                  /* by a row longer than ROW_MAX */
	struct fmt_buf room;
	struct fmt_buf known; /* of an earlier backup, of the piece */
	struct bkp_content *content;
};

struct tables {
	struct bkp_pg_source *source;
	struct bkp_pg_source_database *database;
	struct bkp_run *run;
	struct worker *workers;    /* one each */
	struct fmt_entry *entries; /* one a table, as in the catalogue */
	struct fmt_rowhash *hashes;
	const char *encoding;
	bool is_compared;                       /* and not stored */
	struct bkp_row_cache *rows;             /* borrowed; may be NULL */
	struct bkp_pg_incremental *incremental; /* owned; may be NULL */
	_Atomic bool is_refuted; /* what was known is not what is there */

	/* What the content of a table in the binary form begins and ends with:
	 * all of it is what COPY sends. */
	struct fmt_chunk_ref header, trailer;

	/* Where `next` is. */
	size_t *order; /* tables, largest first */
	size_t at_table, at_part;
	uint64_t at_page;
	uint64_t piece_count;

	/* The holder's connection, lent to a worker that cannot get a lock. */
	pthread_mutex_t holder_lock;
};

/* ---- cutting ---- */

static struct bkp_pg_table *
table_at(struct tables *tables, size_t n)
{
	return &tables->database->holder.catalogue.tables[n];
}

static enum fmt_copy_form
choose_form(const struct tables *tables, const struct bkp_pg_table *table,
    const json_t *known)
{
	return bkp_pg_form_choose(table, tables->source->config,
	    tables->encoding, tables->is_compared, known);
}

/* Takes what an earlier backup made of a table. */
static void
take_earlier(const struct tables *tables, struct bkp_pg_table *table,
    const struct fmt_entry *entry)
{
	table->range_pages = (uint64_t)json_integer_value(
	    json_object_get(entry->attrs, "range_pages"));
	table->form =
	    choose_form(tables, table, json_object_get(entry->attrs, "format"));
}

/* Takes over the range and the form of an earlier backup, so that chunks stay
 * what they are. */
static int
choose_ranges(
    struct tables *tables, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_pg_catalogue *catalogue =
	    &tables->database->holder.catalogue;
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	size_t n = 0;
	int more = 0;

	for (; n < catalogue->table_count; n++)
		catalogue->tables[n].form =
		    choose_form(tables, &catalogue->tables[n], NULL);
	if ((tables->is_compared ? bkp_sink_recorded(sink, &stream, err)
				 : bkp_sink_previous(sink, &stream, err)) < 0)
		return -1;
	n = 0;
	while (stream != NULL &&
	       (more = bkp_entry_stream_next(stream, &entry, err)) > 0) {
		while (
		    n < catalogue->table_count &&
		    fmt_entry_compare(tables->entries[n].path, entry.path) < 0)
			n++;
		if (n < catalogue->table_count &&
		    strcmp(tables->entries[n].path, entry.path) == 0)
			take_earlier(tables, &catalogue->tables[n], &entry);
		fmt_entry_free(&entry);
	}
	bkp_entry_stream_close(stream);
	if (more < 0)
		return -1;
	for (n = 0; n < catalogue->table_count; n++) {
		struct bkp_pg_table *table = &catalogue->tables[n];
		uint64_t pages = 0;

		for (size_t p = 0; p < table->part_count; p++)
			pages += table->parts[p].pages;
		table->range_pages = table->has_ranges
					 ? bkp_pg_range_pages(pages,
					       table->bytes, table->range_pages)
					 : 0;
	}
	return 0;
}

static uint64_t
count_pieces(struct tables *tables)
{
	const struct bkp_pg_catalogue *catalogue =
	    &tables->database->holder.catalogue;
	uint64_t count = 0;

	for (size_t n = 0; n < catalogue->table_count; n++) {
		const struct bkp_pg_table *table = &catalogue->tables[n];

		for (size_t p = 0; p < table->part_count; p++) {
			uint64_t pages = table->parts[p].pages;

			count += table->range_pages == 0 || pages == 0
				     ? 1
				     : (pages - 1) / table->range_pages + 1;
		}
	}
	return count;
}

/* Moves to the next table that has something left to copy. NULL: the end. */
static struct bkp_pg_table *
current_table(struct tables *tables)
{
	size_t count = tables->database->holder.catalogue.table_count;

	while (tables->at_table < count) {
		struct bkp_pg_table *table =
		    table_at(tables, tables->order[tables->at_table]);

		if (tables->at_part < table->part_count)
			return table;
		tables->at_table++;
		tables->at_part = 0;
	}
	return NULL;
}

static int
next_piece(void *arg, void **item, struct bkp_error *err)
{
	struct tables *tables = arg;
	struct bkp_pg_table *table = current_table(tables);
	struct piece *piece;

	*item = NULL;
	if (table == NULL)
		return 0;
	if ((piece = bkp_alloc(sizeof(*piece), err)) == NULL)
		return -1;
	piece->table = tables->order[tables->at_table];
	piece->part = &table->parts[tables->at_part];
	piece->first = tables->at_page;
	tables->at_page += table->range_pages;
	/* The last range is open: rows may lie on pages that came since. */
	if (table->range_pages > 0 && tables->at_page < piece->part->pages)
		piece->last = tables->at_page;
	else {
		tables->at_part++;
		tables->at_page = 0;
	}
	*item = piece;
	return 0;
}

/* ---- copying ---- */

static void
discard_piece(void *arg, void *item)
{
	struct piece *piece = item;

	(void)arg;
	free(piece->refs);
	free(piece);
}

struct chunk_taker {
	struct worker *worker;
	enum fmt_copy_form form;
	struct bkp_row_cache *rows;
	struct piece *piece;
};

static int
take_chunk(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct chunk_taker *taker = arg;
	struct piece *piece = taker->piece;
	struct bkp_row_range range = {
	    piece->part->quoted, piece->first, piece->ref_count, taker->form};

	if (bkp_grow(&piece->refs, piece->ref_count, &piece->ref_cap,
		sizeof(*piece->refs), err) < 0 ||
	    bkp_content_rows(taker->worker->content, taker->rows, &range, data,
		len, &piece->refs[piece->ref_count], &piece->hash, err) < 0)
		return -1;
	piece->ref_count++;
	piece->bytes += len;
	if (len > ROW_MAX)
		taker->worker->is_swollen = true;
	return 0;
}

/*
 * Makes the worker's session ready to read the part. 1: ready; 0: somebody
 * waits for an exclusive lock on it, and behind him we would wait for ever,
 * since he waits for the holder; -1.
 */
static int
lock_part(struct tables *tables, struct worker *worker,
    const struct bkp_pg_part *part, struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &tables->database->holder;
	struct bkp_error failure = BKP_ERROR_INIT;
	char *sql;
	int rc;

	if (worker->pg.conn == NULL) {
		if (bkp_pg_import(&worker->pg, tables->source->config,
			holder->database, holder->snapshot, tables->run,
			err) < 0)
			return -1;
	} else if (worker->table_count >= TABLES_A_TRANSACTION) {
		if (bkp_pg_import_again(&worker->pg, holder->snapshot, err) < 0)
			return -1;
		worker->table_count = 0;
	}
	sql = bkp_format(err, "LOCK TABLE ONLY %s IN ACCESS SHARE MODE NOWAIT",
	    part->quoted);
	if (sql == NULL)
		return -1;
	rc = bkp_pg_do(&worker->pg, sql, &failure);
	free(sql);
	if (rc == 0) {
		worker->table_count++;
		worker->locked = part;
		return 1;
	}
	if (!bkp_pg_is_locked(&worker->pg)) {
		if (err != NULL)
			*err = failure;
		return -1;
	}
	worker->table_count = 0;
	return bkp_pg_import_again(&worker->pg, holder->snapshot, err);
}

static int
copy_with(struct tables *tables, struct worker *worker, struct bkp_pg *pg,
    struct piece *piece, struct bkp_error *err)
{
	const struct bkp_pg_table *table = table_at(tables, piece->table);
	struct chunk_taker taker = {worker, table->form, tables->rows, piece};
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	uint64_t rows = 0;
	int rc;

	status = bkp_pg_copy_out_sql(&sql, piece->part->quoted, table->columns,
	    table->column_count, table->filter, piece->first, piece->last,
	    tables->encoding, table->form);
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		rc = bkp_fail_nomem(err, "copying a table");
	else
		rc = bkp_pg_copy_out(pg, (const char *)sql.data, table->form,
		    &worker->room, take_chunk, &taker, &rows, err);
	fmt_buf_free(&sql);
	return rc < 0 ? -1 : bkp_pg_copy_compare(rows, piece->hash.rows, err);
}

static int
copy_piece(struct tables *tables, struct worker *worker, struct piece *piece,
    struct bkp_error *err)
{
	int rc = 1;

	if (worker->locked != piece->part) {
		worker->locked = NULL;
		rc = lock_part(tables, worker, piece->part, err);
	}
	if (rc < 0)
		return -1;
	if (rc > 0)
		return copy_with(tables, worker, &worker->pg, piece, err);
	/* The holder has its lock already. This is the one lock here that is
	 * held across a transfer: the connection is what it guards. */
	pthread_mutex_lock(&tables->holder_lock);
	rc =
	    copy_with(tables, worker, &tables->database->holder.pg, piece, err);
	pthread_mutex_unlock(&tables->holder_lock);
	return rc;
}

static void
shrink(struct worker *worker)
{
	if (!worker->is_swollen)
		return;
	bkp_pg_close(&worker->pg);
	worker->locked = NULL;
	worker->table_count = 0;
	worker->is_swollen = false;
}

/* ---- taking over ---- */

static struct bkp_pg_range
range_of(const struct piece *piece)
{
	return (struct bkp_pg_range){.oid = piece->part->oid,
	    .first = piece->first,
	    .last = piece->last,
	    .bytes = piece->bytes,
	    .hash = piece->hash,
	    .refs = piece->refs,
	    .ref_count = piece->ref_count};
}

static int
fill_piece(struct tables *tables, struct worker *worker, struct piece *piece,
    const struct bkp_pg_range *known, struct bkp_error *err)
{
	for (size_t i = 0; i < known->ref_count; i++) {
		struct bkp_row_range range = {piece->part->quoted, piece->first,
		    i, table_at(tables, piece->table)->form};

		if (!bkp_content_reuse_rows(
			worker->content, tables->rows, &range, &known->refs[i]))
			return 0;
	}
	piece->refs =
	    bkp_alloc_array(known->ref_count, sizeof(*piece->refs), err);
	if (piece->refs == NULL)
		return -1;
	if (known->ref_count > 0)
		memcpy(piece->refs, known->refs,
		    known->ref_count * sizeof(*piece->refs));
	piece->ref_count = piece->ref_cap = known->ref_count;
	piece->bytes = known->bytes;
	piece->hash = known->hash;
	piece->is_reused = true;
	return 0;
}

/* Takes the piece over, or copies it; and compares, where it is known and is
 * copied all the same. */
static int
make_piece(struct tables *tables, struct worker *worker, struct piece *piece,
    struct bkp_error *err)
{
	struct bkp_pg_range known = range_of(piece);
	bool is_checked = false;
	bool is_known = tables->incremental != NULL &&
			bkp_pg_incremental_find(tables->incremental,
			    &worker->known, &known, &is_checked);

	if (is_known && !is_checked &&
	    fill_piece(tables, worker, piece, &known, err) < 0)
		return -1;
	if (piece->is_reused)
		return 0;
	if (copy_piece(tables, worker, piece, err) < 0)
		return -1;
	if (is_known && !fmt_rowhash_is_equal(&known.hash, &piece->hash))
		atomic_store(&tables->is_refuted, true);
	return 0;
}

static int
work_piece(void *arg, unsigned number, void *item, struct bkp_error *err)
{
	struct tables *tables = arg;
	struct piece *piece = item;

	if (make_piece(tables, &tables->workers[number], piece, err) == 0) {
		shrink(&tables->workers[number]);
		bkp_run_count(tables->run, piece->bytes, 1);
		return 0;
	}
	if (err != NULL && err->code == BKP_CANCELLED)
		return -1;
	if (tables->workers[number].pg.conn != NULL)
		bkp_pg_explain_length(&tables->workers[number].pg,
		    tables->database->holder.snapshot, piece->part->quoted,
		    table_at(tables, piece->table)->form, piece->first,
		    piece->last, err);
	if (piece->last > 0)
		return bkp_fail_in(err, "table %s, pages %llu to %llu",
		    piece->part->quoted, (unsigned long long)piece->first,
		    (unsigned long long)piece->last - 1);
	if (piece->first > 0)
		return bkp_fail_in(err, "table %s, pages from %llu on",
		    piece->part->quoted, (unsigned long long)piece->first);
	return bkp_fail_in(err, "table %s", piece->part->quoted);
}

static int
done_piece(void *arg, void *item, struct bkp_error *err)
{
	struct tables *tables = arg;
	struct piece *piece = item;
	struct fmt_entry *entry = &tables->entries[piece->table];
	enum fmt_status status = FMT_OK;
	int rc = 0;

	for (size_t i = 0; status == FMT_OK && i < piece->ref_count; i++)
		status = fmt_entry_add_chunk(entry, &piece->refs[i]);
	entry->size += piece->bytes;
	fmt_rowhash_merge(&tables->hashes[piece->table], &piece->hash);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "listing chunks");
	else if (tables->incremental != NULL) {
		struct bkp_pg_range range = range_of(piece);

		rc = bkp_pg_incremental_put(
		    tables->incremental, &range, piece->is_reused, err);
	}
	/* Where it is lent it is alive. */
	if (rc == 0 && ++tables->piece_count % PING_PIECES == 0 &&
	    pthread_mutex_trylock(&tables->holder_lock) == 0) {
		rc = bkp_pg_holder_ping(&tables->database->holder, err);
		pthread_mutex_unlock(&tables->holder_lock);
	}
	discard_piece(arg, item);
	return rc;
}

static void
tick(void *arg)
{
	bkp_run_tick(((struct tables *)arg)->run);
}

static const struct bkp_pipeline_ops ops = {.next = next_piece,
    .work = work_piece,
    .done = done_piece,
    .discard = discard_piece,
    .tick = tick};

/* ---- entries ---- */

static int
make_entries(struct tables *tables, struct bkp_error *err)
{
	size_t count = tables->database->holder.catalogue.table_count;

	tables->entries = bkp_alloc_array(count, sizeof(*tables->entries), err);
	tables->hashes = bkp_alloc_array(count, sizeof(*tables->hashes), err);
	tables->order = bkp_alloc_array(count, sizeof(*tables->order), err);
	if (tables->entries == NULL || tables->hashes == NULL ||
	    tables->order == NULL)
		return -1;
	for (size_t n = 0; n < count; n++) {
		char *path = bkp_format(err, "%s/data/%s",
		    tables->database->path, table_at(tables, n)->path);
		enum fmt_status status;

		if (path == NULL)
			return -1;
		status =
		    fmt_entry_init(&tables->entries[n], path, "postgres.table");
		free(path);
		if (status != FMT_OK)
			return bkp_fail_format(err, status, "making an entry");
		tables->entries[n].has_content = true;
		tables->order[n] = n;
	}
	return 0;
}

static int
compare_sizes(const void *a, const void *b, void *arg)
{
	uint64_t x = table_at(arg, *(const size_t *)a)->bytes;
	uint64_t y = table_at(arg, *(const size_t *)b)->bytes;

	return (x < y) - (x > y);
}

static int
hand_over(struct tables *tables, struct bkp_sink *sink, struct bkp_error *err)
{
	size_t count = tables->database->holder.catalogue.table_count;

	for (size_t n = 0; n < count; n++) {
		struct fmt_entry *entry = &tables->entries[n];

		entry->attrs = bkp_pg_form_describe(
		    table_at(tables, n), &tables->hashes[n], tables->encoding);
		if (entry->attrs == NULL)
			return bkp_fail(err, BKP_UNSUPPORTED,
			    "table %s cannot be described: a name is not "
			    "UTF-8, or memory is short",
			    table_at(tables, n)->quoted);
		if (bkp_sink_entry(sink, entry, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the whole ---- */

static int
start_workers(
    struct tables *tables, struct bkp_sink *sink, struct bkp_error *err)
{
	unsigned count = bkp_run_workers(tables->run);

	tables->workers = bkp_alloc_array(count, sizeof(*tables->workers), err);
	if (tables->workers == NULL)
		return -1;
	for (unsigned i = 0; i < count; i++)
		tables->workers[i].content = bkp_sink_content(sink, i);
	return 0;
}

static void
free_tables(struct tables *tables)
{
	unsigned workers = bkp_run_workers(tables->run);
	size_t count = tables->database->holder.catalogue.table_count;

	for (unsigned i = 0; tables->workers != NULL && i < workers; i++) {
		bkp_pg_close(&tables->workers[i].pg);
		fmt_buf_free(&tables->workers[i].room);
		fmt_buf_free(&tables->workers[i].known);
	}
	for (size_t n = 0; tables->entries != NULL && n < count; n++)
		fmt_entry_free(&tables->entries[n]);
	bkp_pg_incremental_free(tables->incremental);
	free(tables->workers);
	free(tables->entries);
	free(tables->hashes);
	free(tables->order);
	pthread_mutex_destroy(&tables->holder_lock);
}

/* Adds what the content of a table in the binary form begins or ends with. */
static int
frame_all(struct tables *tables, const struct fmt_chunk_ref *ref,
    struct bkp_error *err)
{
	size_t count = tables->database->holder.catalogue.table_count;

	for (size_t n = 0; n < count; n++) {
		if (table_at(tables, n)->form == FMT_COPY_TEXT)
			continue;
		if (fmt_entry_add_chunk(&tables->entries[n], ref) != FMT_OK)
			return bkp_fail_nomem(err, "listing chunks");
		tables->entries[n].size += ref->len;
	}
	return 0;
}

/* Only where there is such a table. */
static int
store_frames(
    struct tables *tables, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_content *content = bkp_sink_content(sink, 0);
	size_t count = tables->database->holder.catalogue.table_count, n = 0;

	while (n < count && table_at(tables, n)->form == FMT_COPY_TEXT)
		n++;
	if (n == count)
		return 0;
	if (bkp_content_chunk(content, fmt_copy_header, FMT_COPY_HEADER_LEN,
		&tables->header, err) < 0)
		return -1;
	return bkp_content_chunk(content, fmt_copy_trailer,
	    FMT_COPY_TRAILER_LEN, &tables->trailer, err);
}

/* Every piece of every table, from the first. */
static int
copy_all(struct tables *tables, struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &tables->database->holder;
	size_t count = holder->catalogue.table_count;
	unsigned workers = bkp_run_workers(tables->run);
	int rc;

	for (size_t n = 0; n < count; n++) {
		tables->entries[n].chunk_count = 0;
		tables->entries[n].size = 0;
		tables->hashes[n] = (struct fmt_rowhash)FMT_ROWHASH_INIT;
	}
	tables->at_table = tables->at_part = 0;
	tables->at_page = tables->piece_count = 0;
	if (frame_all(tables, &tables->header, err) < 0)
		return -1;
	bkp_run_phase(tables->run, 0, count_pieces(tables), "%s: %zu tables",
	    tables->database->path, count);
	holder->pg.is_ticking = false;
	rc = bkp_pipeline_run(workers, workers * 4, &ops, tables,
	    bkp_run_cancel(tables->run), err);
	holder->pg.is_ticking = true;
	return rc < 0 ? -1 : frame_all(tables, &tables->trailer, err);
}

static int
copy_tables(struct tables *tables, struct bkp_error *err)
{
	struct bkp_pg_source *source = tables->source;
	json_t *facts;

	if (bkp_pg_incremental_open(source, tables->database, tables->rows,
		tables->run, &tables->incremental, err) < 0 ||
	    copy_all(tables, err) < 0)
		return -1;
	if (tables->incremental == NULL)
		return 0;
	if (atomic_load(&tables->is_refuted) &&
	    (bkp_pg_incremental_distrust(
		 tables->incremental, tables->run, err) < 0 ||
		copy_all(tables, err) < 0))
		return -1;
	facts = json_array_get(json_object_get(source->info, "databases"),
	    (size_t)(tables->database - source->databases));
	return bkp_pg_incremental_finish(
	    tables->incremental, tables->run, facts, err);
}

int
bkp_pg_source_tables(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &database->holder;
	size_t count = holder->catalogue.table_count;
	struct tables tables = {.source = source,
	    .database = database,
	    .run = bkp_sink_run(sink),
	    .encoding = bkp_pg_encoding(&holder->pg),
	    .is_compared = bkp_sink_is_digest_only(sink)};
	int rc = -1;

	pthread_mutex_init(&tables.holder_lock, NULL);
	if (start_workers(&tables, sink, err) < 0 ||
	    make_entries(&tables, err) < 0 ||
	    bkp_sink_rows(sink, database->path, &tables.rows, err) < 0 ||
	    choose_ranges(&tables, sink, err) < 0 ||
	    store_frames(&tables, sink, err) < 0)
		goto out;
	if (count > 0)
		qsort_r(tables.order, count, sizeof(*tables.order),
		    compare_sizes, &tables);
	if (copy_tables(&tables, err) == 0)
		rc = hand_over(&tables, sink, err);
out:
	free_tables(&tables);
	return rc;
}
