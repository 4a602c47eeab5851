/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database that several processes read in one moment, as its leader sees it:
 * which ranges of which tables others can read, and what came of them. What is
 * not in the plan (the schema, large objects, tables that are read in a way of
 * their own) the leader reads himself.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/source/postgres_pieces.h"

/* Tasks of a database: about so many, of at least and at most so much. A share
 * that dies loses what it had not handed in; many small ones make the shares
 * equal. */
#define TASKS 1024
#define TASK_MIN ((uint64_t)4 << 20)
#define TASK_MAX ((uint64_t)1 << 30)

/* Where there are very many tables the small ones stay with the leader. */
#define TABLES_MANY 20000
#define TABLE_SMALL ((uint64_t)1 << 20)

#define NOT_SHARED SIZE_MAX

/* ---- the plan ---- */

static int
copy_text(char **out, const char *text, struct bkp_error *err)
{
	*out = bkp_strdup(text, err);
	return *out != NULL ? 0 : -1;
}

static char *
ask_moment(struct bkp_pg *pg, struct bkp_error *err)
{
	return bkp_pg_text(
	    pg, "SELECT pg_catalog.txid_current_snapshot()::text", err);
}

static int
add_database(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database,
    struct bkp_share_planning *planning, struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &database->holder;
	const char *system = json_string_value(
	    json_object_get(source->info, "system_identifier"));
	struct fmt_share_plan *plan = &planning->plan;
	struct fmt_share_database *added;

	if (bkp_grow(&plan->databases, plan->database_count,
		&planning->database_cap, sizeof(*plan->databases), err) < 0)
		return -1;
	added = &plan->databases[plan->database_count++];
	*added = (struct fmt_share_database){.source = NULL};
	if (copy_text(&added->source, source->base.prefix, err) < 0 ||
	    copy_text(&added->name, holder->database, err) < 0 ||
	    copy_text(&added->path, database->path, err) < 0 ||
	    copy_text(&added->snapshot, holder->snapshot, err) < 0 ||
	    copy_text(&added->system, system != NULL ? system : "", err) < 0 ||
	    copy_text(&added->encoding, bkp_pg_encoding(&holder->pg), err) < 0)
		return -1;
	added->moment = ask_moment(&holder->pg, err);
	return added->moment != NULL ? 0 : -1;
}

/* Only what every process reads in the same way by its name alone. */
static bool
may_share(
    const struct bkp_pg_catalogue *catalogue, const struct bkp_pg_table *table)
{
	if (table->part_count != 1 || table->parts[0].oid != table->oid ||
	    table->filter[0] != '\0' || !fmt_utf8_is_valid(table->schema) ||
	    !fmt_utf8_is_valid(table->name))
		return false;
	for (size_t i = 0; i < table->column_count; i++)
		if (!fmt_utf8_is_valid(table->columns[i]))
			return false;
	return catalogue->table_count <= TABLES_MANY ||
	       table->bytes >= TABLE_SMALL;
}

static int
add_table(const struct bkp_pg_table *table, struct bkp_share_planning *planning,
    struct bkp_error *err)
{
	struct fmt_share_plan *plan = &planning->plan;
	struct fmt_share_table *added;

	if (bkp_grow(&plan->tables, plan->table_count, &planning->table_cap,
		sizeof(*plan->tables), err) < 0)
		return -1;
	added = &plan->tables[plan->table_count++];
	*added = (struct fmt_share_table){
	    .database = (uint32_t)(plan->database_count - 1),
	    .form = table->form,
	    .range_pages = table->range_pages};
	if (copy_text(&added->schema, table->schema, err) < 0 ||
	    copy_text(&added->name, table->name, err) < 0)
		return -1;
	added->columns =
	    bkp_alloc_array(table->column_count, sizeof(*added->columns), err);
	if (added->columns == NULL)
		return -1;
	for (size_t i = 0; i < table->column_count; i++) {
		added->column_count++;
		if (copy_text(&added->columns[i], table->columns[i], err) < 0)
			return -1;
	}
	return 0;
}

static uint64_t
count_ranges(const struct bkp_pg_table *table)
{
	uint64_t pages = table->parts[0].pages;

	return table->range_pages == 0 || pages == 0
		   ? 1
		   : (pages - 1) / table->range_pages + 1;
}

static int
add_tasks(const struct bkp_pg_table *table, uint64_t size,
    struct bkp_share_planning *planning, struct bkp_error *err)
{
	struct fmt_share_plan *plan = &planning->plan;
	uint64_t ranges = count_ranges(table), done = 0;
	uint64_t each = table->bytes / ranges + 1;
	uint64_t at_once = size / each;

	if (at_once < 1)
		at_once = 1;
	if (at_once > FMT_SHARE_PIECES)
		at_once = FMT_SHARE_PIECES;
	for (; done < ranges; done += at_once) {
		uint64_t left = ranges - done;
		uint64_t pieces = left < at_once ? left : at_once;

		if (bkp_grow(&plan->tasks, plan->task_count,
			&planning->task_cap, sizeof(*plan->tasks), err) < 0)
			return -1;
		plan->tasks[plan->task_count++] = (struct fmt_share_task){
		    .table = (uint32_t)(plan->table_count - 1),
		    .pieces = (uint32_t)pieces,
		    .first = done * table->range_pages,
		    .is_open = pieces == left,
		    .bytes = pieces * each};
	}
	return 0;
}

static uint64_t
task_size(const struct bkp_pg_catalogue *catalogue)
{
	uint64_t size = 0;

	for (size_t i = 0; i < catalogue->table_count; i++)
		size += catalogue->tables[i].bytes;
	size /= TASKS;
	if (size < TASK_MIN)
		return TASK_MIN;
	return size < TASK_MAX ? size : TASK_MAX;
}

static int
plan_database(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_share_planning *planning, struct bkp_error *err)
{
	const struct bkp_pg_catalogue *catalogue = &database->holder.catalogue;
	uint64_t size = task_size(catalogue);

	if (bkp_pg_source_ranges(source, database, sink, err) < 0 ||
	    add_database(source, database, planning, err) < 0)
		return -1;
	for (size_t i = 0; i < catalogue->table_count; i++) {
		const struct bkp_pg_table *table = &catalogue->tables[i];

		if (may_share(catalogue, table) &&
		    (add_table(table, planning, err) < 0 ||
			add_tasks(table, size, planning, err) < 0))
			return -1;
	}
	return 0;
}

int
bkp_pg_source_plan(struct bkp_source *base, struct bkp_sink *sink,
    struct bkp_share_planning *planning, struct bkp_error *err)
{
	struct bkp_pg_source *source = (struct bkp_pg_source *)base;

	/* Nobody remembers for the next backup what all of them read. */
	source->is_incremental = false;
	for (size_t i = 0; i < source->database_count; i++) {
		struct bkp_pg_source_database *database = &source->databases[i];

		/* A plan is text in UTF-8: what is not, the leader reads. */
		if (fmt_utf8_is_valid(database->holder.database) &&
		    fmt_utf8_is_valid(database->path) &&
		    plan_database(source, database, sink, planning, err) < 0)
			return bkp_fail_in(
			    err, "database %s", database->holder.database);
	}
	return 0;
}

/* ---- what came of it ---- */

struct bkp_pg_shared {
	const struct bkp_shared *shared;
	size_t *tables; /* owned: of each of the catalogue, in the plan */
	size_t *first;  /* owned: of each of the plan, its first task */
	const struct bkp_pg_table *catalogue_tables; /* borrowed */
};

static size_t
find_database(const struct fmt_share_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->database_count; i++)
		if (strcmp(plan->databases[i].path, path) == 0)
			return i;
	return NOT_SHARED;
}

static bool
is_same_table(
    const struct bkp_pg_table *table, const struct fmt_share_table *planned)
{
	return strcmp(table->schema, planned->schema) == 0 &&
	       strcmp(table->name, planned->name) == 0 &&
	       table->range_pages == planned->range_pages &&
	       table->form == planned->form;
}

/* They are in the plan in the order of the catalogue. */
static void
match_tables(struct bkp_pg_shared *shared,
    const struct bkp_pg_catalogue *catalogue, size_t database)
{
	const struct fmt_share_plan *plan = shared->shared->plan;
	size_t n = 0;

	for (size_t i = 0; i < catalogue->table_count; i++)
		shared->tables[i] = NOT_SHARED;
	for (size_t t = 0; t < plan->table_count; t++) {
		size_t i = n;

		if (plan->tables[t].database != database)
			continue;
		while (i < catalogue->table_count &&
		       !is_same_table(&catalogue->tables[i], &plan->tables[t]))
			i++;
		if (i == catalogue->table_count)
			continue;
		shared->tables[i] = t;
		n = i + 1;
	}
}

/* So are the tasks of a table. */
static void
match_tasks(struct bkp_pg_shared *shared)
{
	const struct fmt_share_plan *plan = shared->shared->plan;
	size_t task = 0;

	for (size_t t = 0; t <= plan->table_count; t++) {
		while (task < plan->task_count && plan->tasks[task].table < t)
			task++;
		shared->first[t] = task;
	}
}

int
bkp_pg_shared_open(const struct bkp_shared *given,
    struct bkp_pg_source_database *database, struct bkp_pg_shared **out,
    struct bkp_error *err)
{
	const struct bkp_pg_catalogue *catalogue = &database->holder.catalogue;
	struct bkp_pg_shared *shared;
	size_t number;

	*out = NULL;
	if (given == NULL)
		return 0;
	if ((shared = bkp_alloc(sizeof(*shared), err)) == NULL)
		return -1;
	shared->shared = given;
	shared->catalogue_tables = catalogue->tables;
	shared->tables = bkp_alloc_array(
	    catalogue->table_count, sizeof(*shared->tables), err);
	shared->first = bkp_alloc_array(
	    given->plan->table_count + 1, sizeof(*shared->first), err);
	if (shared->tables == NULL || shared->first == NULL) {
		bkp_pg_shared_free(shared);
		return -1;
	}
	number = find_database(given->plan, database->path);
	match_tables(shared, catalogue, number);
	match_tasks(shared);
	*out = shared;
	return 0;
}

void
bkp_pg_shared_free(struct bkp_pg_shared *shared)
{
	if (shared == NULL)
		return;
	free(shared->tables);
	free(shared->first);
	free(shared);
}

const struct fmt_share_piece *
bkp_pg_shared_find(const struct bkp_pg_shared *shared,
    const struct bkp_pg_table *table, const struct bkp_pg_piece *piece)
{
	const struct fmt_share_plan *plan = shared->shared->plan;
	size_t t = shared->tables[table - shared->catalogue_tables];

	if (t == NOT_SHARED)
		return NULL;
	for (size_t low = shared->first[t], high = shared->first[t + 1];
	     low < high;) {
		size_t middle = low + (high - low) / 2;
		const struct fmt_share_task *task = &plan->tasks[middle];
		const struct fmt_share_done *done =
		    &shared->shared->done[middle];
		uint64_t n = 0;

		if (piece->first < task->first) {
			high = middle;
			continue;
		}
		if (table->range_pages > 0)
			n = (piece->first - task->first) / table->range_pages;
		if (n >= task->pieces) {
			low = middle + 1;
			continue;
		}
		if ((piece->last == 0) !=
			(task->is_open && n == task->pieces - 1) ||
		    n >= done->piece_count)
			return NULL;
		return &done->pieces[n];
	}
	return NULL;
}
