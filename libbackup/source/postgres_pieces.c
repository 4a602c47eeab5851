/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/postgres_pieces.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/longest.h"
#include "libbackup/postgres/names.h"

/* A worker begins its transaction again after so many tables, which lets go of
 * their locks: the server's lock table is shared with everybody. */
#define TABLES_A_TRANSACTION 16

/* A connection keeps as much memory as its longest row took, for ever: beyond
 * this it is made anew. */
#define ROW_MAX (32u * 1024 * 1024)

struct bkp_pg_table *
bkp_pg_copying_table(struct bkp_pg_copying *tables, size_t n)
{
	return &tables->database->holder.catalogue.tables[n];
}

/* ---- copying ---- */

void
bkp_pg_piece_discard(void *arg, void *item)
{
	struct bkp_pg_piece *piece = item;

	(void)arg;
	free(piece->refs);
	free(piece);
}

struct chunk_taker {
	struct bkp_pg_copier *worker;
	enum fmt_copy_form form;
	struct bkp_row_cache *rows;
	struct bkp_pg_piece *piece;
};

static int
take_chunk(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct chunk_taker *taker = arg;
	struct bkp_pg_piece *piece = taker->piece;
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
lock_part(struct bkp_pg_copying *tables, struct bkp_pg_copier *worker,
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
copy_with(struct bkp_pg_copying *tables, struct bkp_pg_copier *worker,
    struct bkp_pg *pg, struct bkp_pg_piece *piece, struct bkp_error *err)
{
	const struct bkp_pg_table *table =
	    bkp_pg_copying_table(tables, piece->table);
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
copy_piece(struct bkp_pg_copying *tables, struct bkp_pg_copier *worker,
    struct bkp_pg_piece *piece, struct bkp_error *err)
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
	if (tables->is_share) {
		piece->is_left = true;
		return 0;
	}
	/* The holder has its lock already. This is the one lock here that is
	 * held across a transfer: the connection is what it guards. */
	pthread_mutex_lock(&tables->holder_lock);
	rc =
	    copy_with(tables, worker, &tables->database->holder.pg, piece, err);
	pthread_mutex_unlock(&tables->holder_lock);
	return rc;
}

static void
shrink(struct bkp_pg_copier *worker)
{
	if (!worker->is_swollen)
		return;
	bkp_pg_close(&worker->pg);
	worker->locked = NULL;
	worker->table_count = 0;
	worker->is_swollen = false;
}

/* ---- taking over ---- */

struct bkp_pg_range
bkp_pg_piece_range(const struct bkp_pg_piece *piece)
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
fill_piece(struct bkp_pg_copying *tables, struct bkp_pg_copier *worker,
    struct bkp_pg_piece *piece, const struct bkp_pg_range *known,
    struct bkp_error *err)
{
	for (size_t i = 0; i < known->ref_count; i++) {
		struct bkp_row_range range = {piece->part->quoted, piece->first,
		    i, bkp_pg_copying_table(tables, piece->table)->form};

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

/* What somebody else has read in the same moment; 1: it is that. */
static int
take_shared(struct bkp_pg_copying *tables, struct bkp_pg_piece *piece,
    struct bkp_error *err)
{
	const struct fmt_share_piece *shared = NULL;

	if (tables->shared != NULL)
		shared = bkp_pg_shared_find(tables->shared,
		    bkp_pg_copying_table(tables, piece->table), piece);
	if (shared == NULL || shared->is_left)
		return 0;
	piece->refs =
	    bkp_alloc_array(shared->ref_count, sizeof(*piece->refs), err);
	if (piece->refs == NULL)
		return -1;
	if (shared->ref_count > 0)
		memcpy(piece->refs, shared->refs,
		    shared->ref_count * sizeof(*piece->refs));
	piece->ref_count = piece->ref_cap = shared->ref_count;
	piece->bytes = shared->bytes;
	piece->hash = shared->hash;
	return 1;
}

/* Takes the piece over, or copies it; and compares, where it is known and is
 * copied all the same. */
static int
make_piece(struct bkp_pg_copying *tables, struct bkp_pg_copier *worker,
    struct bkp_pg_piece *piece, struct bkp_error *err)
{
	struct bkp_pg_range known = bkp_pg_piece_range(piece);
	int is_shared = take_shared(tables, piece, err);
	bool is_checked = false;
	bool is_known = tables->incremental != NULL &&
			bkp_pg_incremental_find(tables->incremental,
			    &worker->known, &known, &is_checked);

	if (is_shared != 0)
		return is_shared < 0 ? -1 : 0;
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

int
bkp_pg_piece_work(void *arg, unsigned number, void *item, struct bkp_error *err)
{
	struct bkp_pg_copying *tables = arg;
	struct bkp_pg_piece *piece = item;

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
		    bkp_pg_copying_table(tables, piece->table)->form,
		    piece->first, piece->last, err);
	if (piece->last > 0)
		return bkp_fail_in(err, "table %s, pages %llu to %llu",
		    piece->part->quoted, (unsigned long long)piece->first,
		    (unsigned long long)piece->last - 1);
	if (piece->first > 0)
		return bkp_fail_in(err, "table %s, pages from %llu on",
		    piece->part->quoted, (unsigned long long)piece->first);
	return bkp_fail_in(err, "table %s", piece->part->quoted);
}

/* ---- workers ---- */

int
bkp_pg_copying_start(
    struct bkp_pg_copying *tables, struct bkp_sink *sink, struct bkp_error *err)
{
	unsigned count = bkp_run_workers(tables->run);

	tables->workers = bkp_alloc_array(count, sizeof(*tables->workers), err);
	if (tables->workers == NULL)
		return -1;
	pthread_mutex_init(&tables->holder_lock, NULL);
	for (unsigned i = 0; i < count; i++)
		tables->workers[i].content = bkp_sink_content(sink, i);
	return 0;
}

void
bkp_pg_copying_stop(struct bkp_pg_copying *tables)
{
	unsigned count = bkp_run_workers(tables->run);

	if (tables->workers == NULL)
		return;
	for (unsigned i = 0; i < count; i++) {
		bkp_pg_close(&tables->workers[i].pg);
		fmt_buf_free(&tables->workers[i].room);
		fmt_buf_free(&tables->workers[i].known);
	}
	free(tables->workers);
	tables->workers = NULL;
	pthread_mutex_destroy(&tables->holder_lock);
}
