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
#include "libbackup/source/postgres_form.h"
#include "libbackup/source/postgres_pieces.h"

/* What is only compared is no chunk that anybody knows again, and a statement
 * takes its time: so many ranges of a backup are read at once. */
#define RANGES_COMPARED 16

/* The holder is asked for a sign of life this often. */
#define PING_PIECES 256

/* ---- cutting ---- */

static enum fmt_copy_form
choose_form(const struct bkp_pg_copying *tables,
    const struct bkp_pg_table *table, const json_t *known)
{
	return bkp_pg_form_choose(table, tables->source->config,
	    tables->encoding, tables->is_compared, known);
}

/* Takes what an earlier backup made of a table. */
static void
take_earlier(const struct bkp_pg_copying *tables, struct bkp_pg_table *table,
    const struct fmt_entry *entry)
{
	table->range_pages = (uint64_t)json_integer_value(
	    json_object_get(entry->attrs, "range_pages"));
	table->form =
	    choose_form(tables, table, json_object_get(entry->attrs, "format"));
}

/* The path of an entry: made when it is wanted, for there may be 100,000. */
static char *
path_of(const struct bkp_pg_copying *tables, const struct bkp_pg_table *table,
    struct bkp_error *err)
{
	return bkp_format(
	    err, "%s/data/%s", tables->database->path, table->path);
}

/* The first table from *n on whose path is not before `path`: 0, with *n at it;
 * 1: it is that one. */
static int
find_table(const struct bkp_pg_copying *tables, const char *path, size_t *n,
    struct bkp_error *err)
{
	const struct bkp_pg_catalogue *catalogue =
	    &tables->database->holder.catalogue;

	for (; *n < catalogue->table_count; (*n)++) {
		char *own = path_of(tables, &catalogue->tables[*n], err);
		int order;

		if (own == NULL)
			return -1;
		order = fmt_entry_compare(own, path);
		free(own);
		if (order >= 0)
			return order == 0;
	}
	return 0;
}

static uint64_t
range_pages_of(
    const struct bkp_pg_copying *tables, const struct bkp_pg_table *table)
{
	uint64_t pages = 0;

	if (!table->has_ranges)
		return 0;
	for (size_t i = 0; i < table->part_count; i++)
		pages += table->parts[i].pages;
	return bkp_pg_range_pages(pages, table->bytes,
		   tables->is_compared ? 0 : table->range_pages) *
	       (tables->is_compared ? RANGES_COMPARED : 1);
}

/* Takes over the range and the form of an earlier backup, so that chunks stay
 * what they are. */
static int
choose_ranges(
    struct bkp_pg_copying *tables, struct bkp_sink *sink, struct bkp_error *err)
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
		int found = find_table(tables, entry.path, &n, err);

		if (found > 0)
			take_earlier(tables, &catalogue->tables[n], &entry);
		fmt_entry_free(&entry);
		if (found < 0) {
			more = -1;
			break;
		}
	}
	bkp_entry_stream_close(stream);
	if (more < 0)
		return -1;
	for (n = 0; n < catalogue->table_count; n++)
		catalogue->tables[n].range_pages =
		    range_pages_of(tables, &catalogue->tables[n]);
	return 0;
}

static uint64_t
count_pieces(struct bkp_pg_copying *tables)
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
current_table(struct bkp_pg_copying *tables)
{
	size_t count = tables->database->holder.catalogue.table_count;

	while (tables->at_table < count) {
		struct bkp_pg_table *table = bkp_pg_copying_table(
		    tables, tables->order[tables->at_table]);

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
	struct bkp_pg_copying *tables = arg;
	struct bkp_pg_table *table = current_table(tables);
	struct bkp_pg_piece *piece;

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

static int
done_piece(void *arg, void *item, struct bkp_error *err)
{
	struct bkp_pg_copying *tables = arg;
	struct bkp_pg_piece *piece = item;
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
		struct bkp_pg_range range = bkp_pg_piece_range(piece);

		rc = bkp_pg_incremental_put(
		    tables->incremental, &range, piece->is_reused, err);
	}
	/* Where it is lent it is alive. */
	if (rc == 0 && ++tables->piece_count % PING_PIECES == 0 &&
	    pthread_mutex_trylock(&tables->holder_lock) == 0) {
		rc = bkp_pg_holder_ping(&tables->database->holder, err);
		pthread_mutex_unlock(&tables->holder_lock);
	}
	bkp_pg_piece_discard(arg, item);
	return rc;
}

static void
tick(void *arg)
{
	bkp_run_tick(((struct bkp_pg_copying *)arg)->run);
}

static const struct bkp_pipeline_ops ops = {.next = next_piece,
    .work = bkp_pg_piece_work,
    .done = done_piece,
    .discard = bkp_pg_piece_discard,
    .tick = tick};

/* ---- entries ---- */

static int
make_entries(struct bkp_pg_copying *tables, struct bkp_error *err)
{
	size_t count = tables->database->holder.catalogue.table_count;

	tables->entries = bkp_alloc_array(count, sizeof(*tables->entries), err);
	tables->hashes = bkp_alloc_array(count, sizeof(*tables->hashes), err);
	tables->order = bkp_alloc_array(count, sizeof(*tables->order), err);
	if (tables->entries == NULL || tables->hashes == NULL ||
	    tables->order == NULL)
		return -1;
	for (size_t n = 0; n < count; n++) {
		tables->entries[n] = (struct fmt_entry)FMT_ENTRY_INIT;
		tables->entries[n].has_content = true;
		tables->order[n] = n;
	}
	return 0;
}

static int
compare_sizes(const void *a, const void *b, void *arg)
{
	uint64_t x = bkp_pg_copying_table(arg, *(const size_t *)a)->bytes;
	uint64_t y = bkp_pg_copying_table(arg, *(const size_t *)b)->bytes;

	return (x < y) - (x > y);
}

static int
hand_over(
    struct bkp_pg_copying *tables, struct bkp_sink *sink, struct bkp_error *err)
{
	size_t count = tables->database->holder.catalogue.table_count;

	for (size_t n = 0; n < count; n++) {
		const struct bkp_pg_table *table =
		    bkp_pg_copying_table(tables, n);
		struct fmt_entry *entry = &tables->entries[n];

		entry->path = path_of(tables, table, err);
		entry->kind = bkp_strdup("postgres.table", err);
		if (entry->path == NULL || entry->kind == NULL)
			return -1;
		entry->attrs = bkp_pg_form_describe(
		    table, &tables->hashes[n], tables->encoding);
		if (entry->attrs == NULL)
			return bkp_fail(err, BKP_UNSUPPORTED,
			    "table %s cannot be described: a name is not "
			    "UTF-8, or memory is short",
			    table->quoted);
		if (bkp_sink_entry(sink, entry, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the whole ---- */

static void
free_tables(struct bkp_pg_copying *tables)
{
	size_t count = tables->database->holder.catalogue.table_count;

	bkp_pg_copying_stop(tables);
	bkp_pg_shared_free(tables->shared);
	for (size_t n = 0; tables->entries != NULL && n < count; n++)
		fmt_entry_free(&tables->entries[n]);
	bkp_pg_incremental_free(tables->incremental);
	free(tables->entries);
	free(tables->hashes);
	free(tables->order);
}

/* Adds what the content of a table in the binary form begins or ends with. */
static int
frame_all(struct bkp_pg_copying *tables, const struct fmt_chunk_ref *ref,
    struct bkp_error *err)
{
	size_t count = tables->database->holder.catalogue.table_count;

	for (size_t n = 0; n < count; n++) {
		if (bkp_pg_copying_table(tables, n)->form == FMT_COPY_TEXT)
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
    struct bkp_pg_copying *tables, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_content *content = bkp_sink_content(sink, 0);
	size_t count = tables->database->holder.catalogue.table_count, n = 0;

	while (
	    n < count && bkp_pg_copying_table(tables, n)->form == FMT_COPY_TEXT)
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
copy_all(struct bkp_pg_copying *tables, struct bkp_error *err)
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
copy_tables(struct bkp_pg_copying *tables, struct bkp_error *err)
{
	struct bkp_pg_source *source = tables->source;
	json_t *facts;

	if (tables->shared != NULL)
		return copy_all(tables, err);
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

/* What others read is not remembered here, and what was stays as it was. */
static int
open_rows(
    struct bkp_pg_copying *tables, struct bkp_sink *sink, struct bkp_error *err)
{
	return tables->shared != NULL
		   ? 0
		   : bkp_sink_rows(
			 sink, tables->database->path, &tables->rows, err);
}

/* The ranges that a backup would take, for whoever tells others of them. */
int
bkp_pg_source_ranges(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err)
{
	struct bkp_pg_copying tables = {.source = source,
	    .database = database,
	    .run = bkp_sink_run(sink),
	    .encoding = bkp_pg_encoding(&database->holder.pg)};
	int rc = make_entries(&tables, err);

	if (rc == 0)
		rc = choose_ranges(&tables, sink, err);
	free_tables(&tables);
	return rc;
}

int
bkp_pg_source_tables(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &database->holder;
	size_t count = holder->catalogue.table_count;
	struct bkp_pg_copying tables = {.source = source,
	    .database = database,
	    .run = bkp_sink_run(sink),
	    .encoding = bkp_pg_encoding(&holder->pg),
	    .is_compared = bkp_sink_is_digest_only(sink)};
	int rc = -1;

	if (bkp_pg_copying_start(&tables, sink, err) < 0 ||
	    make_entries(&tables, err) < 0 ||
	    bkp_pg_shared_open(
		bkp_sink_shared(sink), database, &tables.shared, err) < 0 ||
	    open_rows(&tables, sink, err) < 0 ||
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
