/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which job waits for which. An item waits for what pg_dump says that it
 * depends on; where that is a table it waits for its rows. A table of which
 * the archive knows and the load does not (a partition that is filled through
 * its root) may get rows from any of them. What a partitioned table itself has
 * of an index needs no rows.
 *
 * Indexes of partitions are attached one after another when all are built, and
 * foreign keys come after that: attaching takes locks up and down the tree,
 * and two at once end in a deadlock now and then. Where there are partitions,
 * foreign keys wait for all rows: one that no longer fits its partition goes
 * into another, whose own load may have ended.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/postgres_queue.h"

#define NO_JOB SIZE_MAX

/* Nanoseconds, as far as they can be guessed: they are only compared. */
#define LOAD_BYTE 9
#define TREE_ROW 700
#define SLOW_BYTE 27 /* GIN, GiST, HNSW */
#define CHECK_ROW 200

/* A smaller table is not worth emptying it first. */
#define WHOLE_BYTES (1024u * 1024u)

struct keyed {
	char *key; /* owned */
	size_t load;
};

/* What an item's jobs are. */
struct done {
	size_t first, last; /* the same where it is one */
};

/* A table of the archive: its loads are sorted[from..to). */
struct place {
	size_t from, to;
	uint64_t bytes, rows;
	bool is_partitioned;
};

struct planning {
	struct bkp_pg_toc *toc;
	const struct bkp_pg_plan_facts *facts;
	struct bkp_pg_plan *plan;
	struct keyed *sorted;
	struct place *places;           /* of the tables of the toc */
	struct done *done;              /* of its items */
	size_t loaded, built, attached; /* jobs that stand for many */
};

static int
compare_keyed(const void *a, const void *b)
{
	return strcmp(
	    ((const struct keyed *)a)->key, ((const struct keyed *)b)->key);
}

static int
add_job(struct planning *p, uint64_t length, uint64_t units,
    const struct bkp_pg_job *job, size_t *number, struct bkp_error *err)
{
	struct bkp_pg_plan *plan = p->plan;

	if (bkp_grow(&plan->jobs, plan->job_count, &plan->job_cap,
		sizeof(*plan->jobs), err) < 0)
		return -1;
	if (bkp_schedule_add(plan->schedule, length, units, NULL, number, err) <
	    0)
		return -1;
	plan->jobs[plan->job_count++] = *job;
	return 0;
}

static int
after(struct planning *p, size_t job, size_t earlier, struct bkp_error *err)
{
	return bkp_schedule_after(p->plan->schedule, job, earlier, err);
}

/* ---- tables ---- */

static int
plan_loads(struct planning *p, struct bkp_error *err)
{
	const struct bkp_pg_job nothing = {.item = NULL};

	for (size_t i = 0; i < p->facts->load_count; i++) {
		const struct bkp_pg_load_table *load = &p->facts->loads[i];
		const struct bkp_pg_job job = {.is_load = true, .table = i};
		struct fmt_buf key = FMT_BUF_INIT;
		size_t number;

		if (bkp_pg_toc_key(&key, load->schema, load->name) == FMT_OK &&
		    fmt_buf_text(&key) != NULL)
			p->sorted[i].key =
			    bkp_strdup((const char *)key.data, NULL);
		fmt_buf_free(&key);
		p->sorted[i].load = i;
		if (p->sorted[i].key == NULL)
			return bkp_fail_nomem(err, "planning the restore");
		if (add_job(p, load->bytes * LOAD_BYTE, load->pieces, &job,
			&number, err) < 0)
			return -1;
	}
	if (p->facts->load_count > 0)
		qsort(p->sorted, p->facts->load_count, sizeof(*p->sorted),
		    compare_keyed);
	if (add_job(p, 0, 1, &nothing, &p->loaded, err) < 0)
		return -1;
	for (size_t i = 0; i < p->facts->load_count; i++)
		if (after(p, p->loaded, i, err) < 0)
			return -1;
	return 0;
}

static void
find_place(struct planning *p, const char *key, struct place *place)
{
	size_t low = 0, high = p->facts->load_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(p->sorted[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	place->from = place->to = low;
	while (place->to < p->facts->load_count &&
	       strcmp(p->sorted[place->to].key, key) == 0) {
		size_t load = p->sorted[place->to++].load;

		place->bytes += p->facts->loads[load].bytes;
		place->rows += p->facts->loads[load].rows;
	}
	place->is_partitioned =
	    p->facts->partitioned_count > 0 &&
	    bsearch(&key, p->facts->partitioned, p->facts->partitioned_count,
		sizeof(*p->facts->partitioned), bkp_compare_strings) != NULL;
}

static int
find_places(struct planning *p, struct bkp_error *err)
{
	for (size_t i = 0; i < p->toc->table_count; i++) {
		const struct bkp_pg_view *view = &p->toc->tables[i].key;
		char *key;

		if (view->text == NULL)
			continue;
		key = bkp_format(err, "%.*s", (int)view->len, view->text);
		if (key == NULL)
			return -1;
		find_place(p, key, &p->places[i]);
		free(key);
	}
	return 0;
}

/* The number of a table of the archive, or NO_JOB. */
static size_t
table_of(const struct planning *p, unsigned long id)
{
	size_t low = 0, high = p->toc->table_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->toc->tables[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->toc->table_count && p->toc->tables[low].id == id
		   ? low
		   : NO_JOB;
}

/* The n-th need of an item where that is a table that none before it was. */
static size_t
new_table(const struct planning *p, const struct bkp_pg_item *item, size_t n)
{
	const unsigned long *needs = &p->toc->needs[item->first_need];

	for (size_t i = 0; i < n; i++)
		if (needs[i] == needs[n])
			return NO_JOB;
	return table_of(p, needs[n]);
}

/* ---- items ---- */

static bool
is_partitioned(const struct planning *p, const struct bkp_pg_item *item)
{
	for (size_t i = 0; i < item->need_count; i++) {
		size_t table = new_table(p, item, i);

		if (table != NO_JOB && p->places[table].is_partitioned)
			return true;
	}
	return false;
}

static bool
has_words(const struct bkp_pg_view *view, const char *words)
{
	return memmem(view->text, view->len, words, strlen(words)) != NULL;
}

static bool
is_create(const struct bkp_pg_view *statement)
{
	static const char word[] = "CREATE ";

	return statement->len >= sizeof(word) - 1 &&
	       memcmp(statement->text, word, sizeof(word) - 1) == 0;
}

static uint64_t
guess(const struct planning *p, const struct bkp_pg_item *item)
{
	uint64_t bytes = 0, rows = 0;

	for (size_t i = 0; i < item->need_count; i++) {
		size_t table = new_table(p, item, i);

		if (table != NO_JOB) {
			bytes += p->places[table].bytes;
			rows += p->places[table].rows;
		}
	}
	if (item->step == BKP_PG_STEP_FOREIGN_KEYS)
		return rows * CHECK_ROW;
	if (item->step == BKP_PG_STEP_ATTACH)
		return 0;
	if (has_words(&item->first, " USING brin "))
		return bytes / 4;
	if (is_create(&item->first) &&
	    !has_words(&item->first, " USING btree ") &&
	    !has_words(&item->first, " USING hash "))
		return bytes * SLOW_BYTE;
	if (has_words(&item->first, " EXCLUDE USING gist "))
		return bytes * SLOW_BYTE;
	return rows * TREE_ROW;
}

static int
lock_tables(struct planning *p, const struct bkp_pg_item *item, size_t job,
    bool is_alone, struct bkp_error *err)
{
	for (size_t i = 0; i < item->need_count; i++) {
		size_t table = new_table(p, item, i);

		if (table != NO_JOB && bkp_schedule_lock(p->plan->schedule, job,
					   table, is_alone, err) < 0)
			return -1;
	}
	return 0;
}

/* Adds one statement (or several that are one: they end together). */
static int
add_statement(struct planning *p, struct bkp_pg_item *item,
    enum bkp_pg_half half, uint64_t length, bool is_alone, size_t *number,
    struct bkp_error *err)
{
	const struct bkp_pg_job job = {.item = item, .half = half};

	if (add_job(p, length, 1, &job, number, err) < 0)
		return -1;
	return lock_tables(p, item, *number, is_alone, err);
}

/* In two steps: one with others, the other alone and in no time. */
static int
plan_two(struct planning *p, struct bkp_pg_item *item, enum bkp_pg_half one,
    enum bkp_pg_half other, struct done *done, struct bkp_error *err)
{
	if (add_statement(
		p, item, one, guess(p, item), false, &done->first, err) < 0 ||
	    add_statement(p, item, other, 0, true, &done->last, err) < 0)
		return -1;
	return after(p, done->last, done->first, err);
}

static int
plan_one(struct planning *p, struct bkp_pg_item *item, bool is_alone,
    struct done *done, struct bkp_error *err)
{
	if (add_statement(p, item, BKP_PG_HALF_BOTH, guess(p, item), is_alone,
		&done->first, err) < 0)
		return -1;
	done->last = done->first;
	return 0;
}

static int
plan_constraint(struct planning *p, struct bkp_pg_item *item, struct done *done,
    struct bkp_error *err)
{
	struct fmt_buf index = FMT_BUF_INIT, constraint = FMT_BUF_INIT;
	enum fmt_status status =
	    is_partitioned(p, item)
		? FMT_UNSUPPORTED
		: bkp_pg_toc_split(&item->first, &index, &constraint);

	fmt_buf_free(&index);
	fmt_buf_free(&constraint);
	if (status == FMT_OK)
		return plan_two(p, item, BKP_PG_HALF_INDEX,
		    BKP_PG_HALF_CONSTRAINT, done, err);
	if (status == FMT_UNSUPPORTED)
		return plan_one(p, item, true, done, err);
	return bkp_fail_format(err, status, "planning the restore");
}

static int
plan_item(struct planning *p, struct bkp_pg_item *item, struct done *done,
    struct bkp_error *err)
{
	if (item->step != BKP_PG_STEP_INDEXES)
		return plan_one(p, item, true, done, err);
	if (!is_create(&item->first))
		return plan_constraint(p, item, done, err);
	if (item->more.text == NULL)
		return plan_one(p, item, false, done, err);
	return plan_two(
	    p, item, BKP_PG_HALF_FIRST, BKP_PG_HALF_MORE, done, err);
}

static int
plan_items(struct planning *p, struct bkp_error *err)
{
	for (size_t i = 0; i < p->toc->item_count; i++) {
		p->done[i] = (struct done){NO_JOB, NO_JOB};
		if (!p->toc->items[i].is_late &&
		    plan_item(p, &p->toc->items[i], &p->done[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Made when it is wanted: all of them would take half as much as the toc. */
char *
bkp_pg_job_sql(const struct bkp_pg_job *job, struct bkp_error *err)
{
	const struct bkp_pg_item *item = job->item;
	struct fmt_buf index = FMT_BUF_INIT, sql = FMT_BUF_INIT;
	bool has_more =
	    job->half != BKP_PG_HALF_FIRST && job->half != BKP_PG_HALF_INDEX;
	enum fmt_status status = FMT_OK;
	char *text = NULL;

	if (job->half == BKP_PG_HALF_INDEX)
		status = bkp_pg_toc_split(&item->first, &sql, &index);
	else if (job->half == BKP_PG_HALF_CONSTRAINT)
		status = bkp_pg_toc_split(&item->first, &index, &sql);
	else if (job->half != BKP_PG_HALF_MORE)
		status =
		    fmt_buf_append(&sql, item->first.text, item->first.len);
	if (status == FMT_OK && has_more && item->more.text != NULL)
		status = fmt_buf_printf(
		    &sql, "\n%.*s", (int)item->more.len, item->more.text);
	if (status == FMT_OK && fmt_buf_text(&sql) != NULL)
		text = bkp_strdup(fmt_buf_text(&sql), err);
	else
		(void)bkp_fail_nomem(err, "reading a statement");
	fmt_buf_free(&index);
	fmt_buf_free(&sql);
	return text;
}

/* ---- the order ---- */

/* How often an item needs a table, and what is neither that nor an item: a
 * function that an index calls. */
struct needed {
	size_t tables, others;
};

static int
wait_for(struct planning *p, const struct bkp_pg_item *item, size_t job,
    unsigned long id, struct needed *needed, struct bkp_error *err)
{
	const struct bkp_pg_item *need = bkp_pg_toc_item(p->toc, id);
	size_t table = table_of(p, id);
	const struct place *place;

	if (need != NULL)
		return after(p, job, p->done[need - p->toc->items].last, err);
	if (table == NO_JOB) {
		needed->others++;
		return 0;
	}
	needed->tables++;
	place = &p->places[table];
	for (size_t i = place->from; i < place->to; i++)
		if (after(p, job, p->sorted[i].load, err) < 0)
			return -1;
	if (place->from < place->to ||
	    (place->is_partitioned && item->step == BKP_PG_STEP_INDEXES))
		return 0;
	return after(p, job, p->loaded, err);
}

/*
 * A foreign key that refers to a table of an extension names only one: its
 * rows may be any. Functions look into tables that nobody names, whatever they
 * promise, so an index that calls one waits for all rows.
 */
static int
order_item(struct planning *p, const struct bkp_pg_item *item, size_t job,
    struct bkp_error *err)
{
	bool is_key = item->step == BKP_PG_STEP_FOREIGN_KEYS;
	struct needed needed = {0, 0};

	for (size_t i = 0; i < item->need_count; i++)
		if (wait_for(p, item, job, p->toc->needs[item->first_need + i],
			&needed, err) < 0)
			return -1;
	if ((needed.tables < (is_key ? 2 : 1) || needed.others > 0) &&
	    after(p, job, p->loaded, err) < 0)
		return -1;
	if (!is_key)
		return 0;
	if (p->facts->partitioned_count > 0 &&
	    after(p, job, p->loaded, err) < 0)
		return -1;
	if (bkp_schedule_lock(p->plan->schedule, job, p->toc->table_count,
		is_partitioned(p, item), err) < 0)
		return -1;
	return p->attached == NO_JOB ? 0 : after(p, job, p->attached, err);
}

/* One attach after another, the first after all indexes. */
static int
order_attaches(struct planning *p, struct bkp_error *err)
{
	const struct bkp_pg_job nothing = {.item = NULL};
	const struct bkp_pg_toc *toc = p->toc;

	if (add_job(p, 0, 1, &nothing, &p->built, err) < 0)
		return -1;
	for (size_t i = 0; i < toc->item_count; i++)
		if (!toc->items[i].is_late &&
		    toc->items[i].step == BKP_PG_STEP_INDEXES &&
		    after(p, p->built, p->done[i].last, err) < 0)
			return -1;
	for (size_t i = 0; i < toc->item_count; i++) {
		if (toc->items[i].is_late ||
		    toc->items[i].step != BKP_PG_STEP_ATTACH)
			continue;
		if (after(p, p->done[i].first,
			p->attached == NO_JOB ? p->built : p->attached,
			err) < 0)
			return -1;
		p->attached = p->done[i].last;
	}
	return 0;
}

/* Not a root: its rows go to many tables. Not what an extension has made: it
 * may have rows that stay. */
static bool
may_be_whole(const struct planning *p, const struct keyed *load)
{
	const struct bkp_pg_load_table *table = &p->facts->loads[load->load];
	const char *key = load->key;

	return table->bytes >= WHOLE_BYTES && !table->is_of_extension &&
	       (p->facts->partitioned_count == 0 ||
		   bsearch(&key, p->facts->partitioned,
		       p->facts->partitioned_count,
		       sizeof(*p->facts->partitioned),
		       bkp_compare_strings) == NULL);
}

/* Only who has just made or emptied a table may load it whole, so a table is
 * for one worker, unless all would wait for it. */
static void
join_loads(struct planning *p)
{
	for (size_t i = 0; i < p->facts->load_count; i++) {
		size_t job = p->sorted[i].load;

		if (!may_be_whole(p, &p->sorted[i]) ||
		    !bkp_schedule_is_short(
			p->plan->schedule, job, p->facts->workers))
			continue;
		bkp_schedule_join(p->plan->schedule, job);
		p->plan->jobs[job].is_whole = true;
	}
}

static int
plan(struct planning *p, struct bkp_error *err)
{
	if (plan_loads(p, err) < 0 || find_places(p, err) < 0 ||
	    plan_items(p, err) < 0 || order_attaches(p, err) < 0)
		return -1;
	for (size_t i = 0; i < p->toc->item_count; i++)
		if (p->done[i].first != NO_JOB &&
		    order_item(p, &p->toc->items[i], p->done[i].first, err) < 0)
			return -1;
	if (bkp_schedule_start(p->plan->schedule, err) < 0)
		return -1;
	if (p->facts->workers > 0)
		join_loads(p);
	return 0;
}

static int
make(struct bkp_pg_toc *toc, const struct bkp_pg_plan_facts *facts,
    struct bkp_pg_plan *out, struct bkp_error *err)
{
	struct planning p = {
	    .toc = toc, .facts = facts, .plan = out, .attached = NO_JOB};
	int rc = -1;

	p.sorted = bkp_alloc_array(facts->load_count, sizeof(*p.sorted), err);
	p.places = bkp_alloc_array(toc->table_count, sizeof(*p.places), err);
	p.done = bkp_alloc_array(toc->item_count, sizeof(*p.done), err);
	if (p.sorted != NULL && p.places != NULL && p.done != NULL &&
	    bkp_schedule_new(&out->schedule, err) == 0)
		rc = plan(&p, err);
	for (size_t i = 0; p.sorted != NULL && i < facts->load_count; i++)
		free(p.sorted[i].key);
	free(p.sorted);
	free(p.places);
	free(p.done);
	if (rc < 0)
		bkp_pg_plan_free(out);
	return rc;
}

/* pg_restore has its ways with things that wait for each other in a circle, so
 * there it all goes back by that, after the rows. */
int
bkp_pg_plan_make(struct bkp_pg_toc *toc, const struct bkp_pg_plan_facts *facts,
    struct bkp_pg_plan *out, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (make(toc, facts, out, &why) == 0)
		return 0;
	if (why.code == BKP_INVALID) {
		for (size_t i = 0; i < toc->item_count; i++)
			toc->items[i].is_late = true;
		return make(toc, facts, out, err);
	}
	if (err != NULL)
		*err = why;
	return -1;
}

void
bkp_pg_plan_free(struct bkp_pg_plan *plan)
{
	free(plan->jobs);
	bkp_schedule_free(plan->schedule);
	*plan = (struct bkp_pg_plan)BKP_PG_PLAN_INIT;
}
