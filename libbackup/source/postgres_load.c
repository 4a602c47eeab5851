/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows into the tables of a database that is being built. A piece is a run of
 * chunks of one table, which a worker loads with one COPY; a table that one
 * worker has to itself is loaded whole.
 */
#include "libbackup/source/postgres_load.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/postgres_load_impl.h"

/* As much goes into one COPY: enough that its cost does not show, little
 * enough that one table is spread over the workers. */
#define COPY_BYTES (16u * 1024u * 1024u)

/* Where the pieces of a table begin, and where the last one ends; how many
 * places that are. `cuts` NULL: only that. */
static size_t
find_cuts(const struct fmt_entry *entry, size_t *cuts)
{
	uint64_t bytes = COPY_BYTES;
	size_t count = 0;

	for (size_t i = 0; i < entry->chunk_count; i++) {
		if (bytes >= COPY_BYTES) {
			if (cuts != NULL)
				cuts[count] = i;
			count++;
			bytes = 0;
		}
		bytes += entry->chunks[i].len;
	}
	if (cuts != NULL)
		cuts[count] = entry->chunk_count;
	return count + 1;
}

static int
cut(struct bkp_pg_load *load, struct bkp_pg_loaded *table,
    struct bkp_error *err)
{
	table->cut_count = find_cuts(&table->entry, NULL);
	table->cuts = bkp_arena_room(
	    &load->arena, table->cut_count * sizeof(*table->cuts), err);
	if (table->cuts == NULL)
		return -1;
	(void)find_cuts(&table->entry, table->cuts);
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
 * come in no order. A superuser may look away, and who was given the right;
 * whoever may not has nothing to put back either. */
static int
relax(struct bkp_pg *pg, bool is_of_extension, struct bkp_error *err)
{
	return bkp_pg_run(pg, err,
	    "SELECT set_config(%L, %L, false) FROM pg_roles"
	    " WHERE rolname = current_user AND (rolsuper%s)",
	    "session_replication_role", is_of_extension ? "replica" : "origin",
	    bkp_pg_major(pg) >= 15
		? " OR has_parameter_privilege('session_replication_role',"
		  " 'SET')"
		: "");
}

/* What whoever may not look away meets. */
static int
fail_piece(
    struct bkp_pg *pg, const struct bkp_pg_loaded *table, struct bkp_error *err)
{
	if (table->is_of_extension && strcmp(pg->state, "23503") == 0 &&
	    err != NULL) {
		struct bkp_error why = *err;

		(void)bkp_fail(err, (enum bkp_error_code)why.code,
		    "%s; rows of this extension's own tables need each other, "
		    "and only a superuser puts them back in any order (from "
		    "PostgreSQL 15 on, also a role that was granted SET ON "
		    "PARAMETER session_replication_role)",
		    why.message);
	}
	return bkp_fail_in(err, "table %s", table->quoted);
}

static void
begin_anew(struct bkp_pg_piece *piece)
{
	piece->hash = (struct fmt_rowhash)FMT_ROWHASH_INIT;
	piece->loss.count = 0;
}

/*
 * A function in a CHECK or a generated column may count on the search path
 * that the application has. With an empty one it finds nothing; so once more
 * with the database's own, and a word about it. What comes after finds the
 * path empty again, whatever became of this.
 */
static int
load_with_path(struct bkp_pg_load *load, struct bkp_pg_loader *worker,
    unsigned number, struct bkp_pg_piece *piece, struct bkp_error *err)
{
	int rc;

	if (bkp_pg_target_search_path(&worker->pg, load->facts, err) < 0)
		return -1;
	begin_anew(piece);
	rc = bkp_pg_load_chunks(load, &worker->pg, number, piece, err);
	if (rc < 0) {
		(void)bkp_pg_do(&worker->pg, "SET search_path TO ''", NULL);
		return -1;
	}
	piece->had_path = true;
	return bkp_pg_do(&worker->pg, "SET search_path TO ''", err);
}

static int
load_piece(struct bkp_pg_load *load, struct bkp_pg_loader *worker,
    unsigned number, struct bkp_pg_piece *piece, struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;

	if (bkp_pg_load_chunks(load, &worker->pg, number, piece, &failure) == 0)
		return 0;
	if (failure.code == BKP_NOTFOUND &&
	    load_with_path(load, worker, number, piece, NULL) == 0)
		return 0;
	if (err != NULL)
		*err = failure;
	return -1;
}

/* Rows of another partition may have come first (load_by_root); nobody else
 * brings any once the lock is had. */
static int
check_empty(
    struct bkp_pg *pg, const struct bkp_pg_loaded *table, struct bkp_error *err)
{
	char *sql = bkp_format(
	    err, "SELECT EXISTS (SELECT FROM ONLY %s)", table->quoted);
	char *answer = NULL;
	int rc = -1;

	if (sql != NULL &&
	    bkp_pg_run(pg, err, "LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE",
		table->quoted) == 0)
		answer = bkp_pg_text(pg, sql, err);
	if (answer != NULL)
		rc = answer[0] == 'f' ? 0
				      : bkp_fail(err, BKP_RETRY, "it has rows");
	free(answer);
	free(sql);
	return rc;
}

/* Rows are frozen by whoever has emptied the table just before. The commit
 * waits for the log whatever synchronous_commit says, for the file that the
 * table had goes: once a table, of those that are loaded whole. */
static int
load_frozen(struct bkp_pg_load *load, struct bkp_pg *pg, unsigned number,
    struct bkp_pg_piece *piece, struct bkp_error *err)
{
	const struct bkp_pg_loaded *table = piece->table;
	int rc = -1;

	piece->is_frozen = true;
	if (bkp_pg_do(pg, "BEGIN", err) == 0 &&
	    check_empty(pg, table, err) == 0 &&
	    bkp_pg_run(pg, err, "TRUNCATE TABLE ONLY %s", table->quoted) == 0 &&
	    bkp_pg_load_chunks(load, pg, number, piece, err) == 0)
		rc = bkp_pg_do(pg, "COMMIT", err);
	piece->is_frozen = false;
	return rc;
}

/* What is no fault of the rows: a role that may write into a table and not
 * empty it, a kind of table that knows nothing of frozen rows or is in use, a
 * function that is not found. Whatever else the server refuses it refuses
 * again. */
static bool
is_worth_another_way(const struct bkp_pg *pg, const struct bkp_error *why)
{
	static const char *const states[] = {
	    "25000", "42809", "55000", "55006"};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(pg->state, states[i]) == 0)
			return true;
	return why->code == BKP_AUTH || why->code == BKP_UNSUPPORTED ||
	       why->code == BKP_NOTFOUND || why->code == BKP_RETRY;
}

static int
load_whole(struct bkp_pg_load *load, struct bkp_pg_loader *worker,
    unsigned number, struct bkp_pg_piece *piece, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	worker->pg.state[0] = '\0';
	if (load_frozen(load, &worker->pg, number, piece, &why) == 0)
		return 0;
	if (is_worth_another_way(&worker->pg, &why) &&
	    bkp_pg_do(&worker->pg, "ROLLBACK", NULL) == 0) {
		begin_anew(piece);
		if (why.code != BKP_NOTFOUND)
			return load_piece(load, worker, number, piece, err);
		/* All was sent before the server's answer was heard: that is
		 * for once more, and not for twice. */
		if (load_with_path(load, worker, number, piece, NULL) == 0)
			return 0;
	}
	if (err != NULL)
		*err = why;
	return -1;
}

/*
 * A row that no longer fits its partition, for texts come in another order
 * here, or another hash, or an expression is another: the server finds the
 * partition that it belongs to. `err` is what the first attempt met, and stays
 * where there is no other way.
 */
static int
load_by_root(struct bkp_pg_load *load, struct bkp_pg_loader *worker,
    unsigned number, struct bkp_pg_piece *piece, struct bkp_error *err)
{
	if (bkp_pg_do(&worker->pg, "ROLLBACK", NULL) < 0 ||
	    bkp_pg_part_root(
		&worker->pg, piece->table->quoted, &piece->root, NULL) < 0 ||
	    piece->root == NULL)
		return -1;
	begin_anew(piece);
	return load_piece(load, worker, number, piece, err);
}

static int
load_somehow(struct bkp_pg_load *load, struct bkp_pg_loader *worker,
    unsigned number, struct bkp_pg_piece *piece, bool is_whole,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	worker->pg.state[0] = '\0';
	if ((is_whole ? load_whole(load, worker, number, piece, &why)
		      : load_piece(load, worker, number, piece, &why)) == 0)
		return 0;
	if (why.code != BKP_CANCELLED &&
	    strcmp(worker->pg.state, "23514") == 0 &&
	    load_by_root(load, worker, number, piece, &why) == 0)
		return 0;
	if (err != NULL)
		*err = why;
	return -1;
}

static int
work_piece(struct bkp_pg_load *load, unsigned number,
    struct bkp_pg_piece *piece, bool is_whole, struct bkp_error *err)
{
	struct bkp_pg_loader *worker = &load->workers[number];
	const struct bkp_pg_loaded *table = piece->table;

	if (worker->pg.conn == NULL && open_worker(load, &worker->pg, err) < 0)
		return -1;
	if (table->is_of_extension && relax(&worker->pg, true, err) < 0)
		return -1;
	if (load_somehow(load, worker, number, piece, is_whole, err) < 0) {
		if (err != NULL && err->code == BKP_CANCELLED)
			return -1;
		return fail_piece(&worker->pg, table, err);
	}
	if (table->is_of_extension && relax(&worker->pg, false, err) < 0)
		return -1;
	return 0;
}

static int
load_cuts(struct bkp_pg_load *load, unsigned worker, size_t number,
    uint64_t from, uint64_t to, bool is_whole, struct bkp_error *err)
{
	struct bkp_pg_loaded *table = &load->tables[number];
	struct bkp_pg_piece piece = {.table = table,
	    .first = table->cuts[from],
	    .last = table->cuts[to],
	    .hash = FMT_ROWHASH_INIT};
	int rc = work_piece(load, worker, &piece, is_whole, err);

	pthread_mutex_lock(&load->mutex);
	if (rc == 0 && piece.root != NULL &&
	    (table->root = bkp_arena_string(&load->arena, piece.root, err)) ==
		NULL)
		rc = -1;
	if (rc == 0)
		rc = bkp_pg_load_add(table, &piece, err);
	pthread_mutex_unlock(&load->mutex);
	free(piece.root);
	return rc;
}

int
bkp_pg_load_piece(struct bkp_pg_load *load, unsigned worker, size_t number,
    uint64_t at, struct bkp_error *err)
{
	if (at + 1 >= load->tables[number].cut_count)
		return 0; /* of a table without rows */
	return load_cuts(load, worker, number, at, at + 1, false, err);
}

int
bkp_pg_load_whole(struct bkp_pg_load *load, unsigned worker, size_t number,
    struct bkp_error *err)
{
	return load_cuts(load, worker, number, 0,
	    load->tables[number].cut_count - 1, true, err);
}

int
bkp_pg_load_settle(
    struct bkp_pg_load *load, size_t number, struct bkp_error *err)
{
	return bkp_pg_load_settle_table(load, &load->tables[number], "", err) <
		       0
		   ? -1
		   : 0;
}

void
bkp_pg_load_tell(struct bkp_pg_load *load)
{
	for (size_t i = 0; i < load->table_count; i++) {
		const struct bkp_pg_loaded *table = &load->tables[i];

		if (table->had_path)
			bkp_run_message(load->run, BKP_WARNING,
			    table->entry.path,
			    "a function that it uses counts on search_path; "
			    "it was loaded with the database's own (ALTER "
			    "FUNCTION ... SET search_path cures it)");
		if (table->root != NULL)
			bkp_run_message(load->run, BKP_WARNING,
			    table->entry.path,
			    "rows that this partition has no longer a place "
			    "for (texts come in another order here, or a hash "
			    "or an expression is another) were loaded through "
			    "%s: they are in other partitions of it now",
			    table->root);
	}
}

bool
bkp_pg_load_has_moved(const struct bkp_pg_load *load)
{
	for (size_t i = 0; i < load->table_count; i++)
		if (load->tables[i].root != NULL)
			return true;
	return false;
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
	const struct bkp_pg_loaded *table = &load->tables[number];

	*out = (struct bkp_pg_load_table){.schema = table->schema,
	    .name = table->name,
	    .bytes = table->entry.size,
	    .rows = table->expected.rows,
	    .pieces = table->cut_count > 1 ? table->cut_count - 1 : 1,
	    .is_of_extension = table->is_of_extension};
}

void
bkp_pg_load_close(struct bkp_pg_load *load)
{
	if (load == NULL)
		return;
	bkp_pg_load_fini(load);
	free(load);
}

int
bkp_pg_load_open(struct bkp_pg_target *target, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, const atomic_bool *stop,
    struct bkp_pg_load **out, struct bkp_error *err)
{
	struct bkp_pg_load *load = bkp_alloc(sizeof(*load), err);
	int rc;

	if (load == NULL)
		return -1;
	*load = (struct bkp_pg_load){.target = target,
	    .supply = supply,
	    .run = bkp_supply_run(supply),
	    .database = database->temporary,
	    .facts = database->facts,
	    .stop = stop};
	rc = bkp_pg_load_init(load, database, err);
	for (size_t i = 0; rc == 0 && i < load->table_count; i++)
		rc = cut(load, &load->tables[i], err);
	if (rc < 0)
		bkp_pg_load_close(load);
	else
		*out = load;
	return rc;
}
