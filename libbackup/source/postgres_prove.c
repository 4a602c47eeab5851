/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a restored database takes the place of one that is in use, its rows
 * are read back out of the server: every table that the snapshot has, with as
 * many rows and the same hash, and no other. What went in was hashed on its
 * way; this sees what arrived. Rows that went into other partitions than they
 * were in are compared over all of these; where some of these were stored as
 * text and some in the binary form, whose hashes have nothing in common, they
 * can only be counted.
 *
 * Done before policies and triggers are there: they change no row now, and
 * could hide some from a role that is not a superuser.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/postgres/catalogue.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/source/postgres_target.h"

/* One table, as the snapshot has it. */
struct expected {
	char *path; /* owned: component below data/ */
	enum fmt_copy_form form;
	struct fmt_rowhash hash;
	bool is_found;
};

/* A table that has other rows than it had. */
struct other {
	const struct bkp_pg_table *table;
	const struct expected *expected;
	struct fmt_rowhash found;
	char *root; /* owned */
};

struct worker {
	struct bkp_pg pg;
	struct fmt_buf room;
};

struct prove {
	struct bkp_pg_target *target;
	struct bkp_run *run;
	const struct bkp_pg_target_database *database;
	struct bkp_pg_catalogue catalogue;
	struct expected *expected; /* by path */
	size_t expected_count, expected_cap;
	struct other *others;
	size_t other_count, other_cap;
	struct worker *workers;
	char *encoding; /* owned */
	size_t next;    /* table of the catalogue */
	uint64_t rows;
	uint64_t counted; /* of these, no more than that */
};

struct item {
	const struct bkp_pg_table *table;
	struct expected *expected; /* borrowed; NULL: nothing is */
	struct fmt_rowhash hash;
	char *root; /* owned; of a partition that has other rows than it had */
};

/* What a part is read back with. */
struct reading {
	struct prove *prove;
	struct item *item;
	enum fmt_copy_form form;
};

/* ---- what there should be ---- */

static int
compare_expected(const void *a, const void *b)
{
	const struct expected *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int
add_expected(struct prove *prove, const struct fmt_entry *entry,
    size_t prefix_len, struct bkp_error *err)
{
	struct expected *expected;
	const char *hash =
	    json_string_value(json_object_get(entry->attrs, "rowhash"));
	json_int_t rows =
	    json_integer_value(json_object_get(entry->attrs, "rows"));

	if (bkp_grow(&prove->expected, prove->expected_count,
		&prove->expected_cap, sizeof(*prove->expected), err) < 0)
		return -1;
	expected = &prove->expected[prove->expected_count];
	memset(expected, 0, sizeof(*expected));
	if (hash == NULL || fmt_rowhash_parse(hash, &expected->hash) != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: its attributes are not those of a table", entry->path);
	(void)fmt_copy_form_parse(
	    json_string_value(json_object_get(entry->attrs, "format")),
	    &expected->form);
	expected->hash.rows = (uint64_t)rows;
	expected->path = bkp_strdup(entry->path + prefix_len, err);
	if (expected->path == NULL)
		return -1;
	prove->expected_count++;
	return 0;
}

static int
read_expected(
    struct prove *prove, struct bkp_supply *supply, struct bkp_error *err)
{
	char *prefix = bkp_format(err, "%s/data/", prove->database->path);
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int more = -1;

	if (prefix == NULL ||
	    bkp_supply_entries(supply, prefix, &stream, err) < 0)
		goto out;
	while ((more = bkp_entry_stream_next(stream, &entry, err)) > 0) {
		if (add_expected(prove, &entry, strlen(prefix), err) < 0) {
			more = -1;
			break;
		}
		fmt_entry_free(&entry);
	}
	if (more == 0 && prove->expected_count > 0)
		qsort(prove->expected, prove->expected_count,
		    sizeof(*prove->expected), compare_expected);
out:
	fmt_entry_free(&entry);
	bkp_entry_stream_close(stream);
	free(prefix);
	return more;
}

/* ---- what there is ---- */

static int
look(struct prove *prove, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc;

	if (bkp_pg_target_connect(prove->target, prove->database->temporary,
		prove->run, &pg, err) < 0)
		return -1;
	rc = bkp_pg_catalogue_read(&pg, &prove->catalogue, err);
	if (rc == 0 &&
	    (prove->encoding = bkp_strdup(bkp_pg_encoding(&pg), err)) == NULL)
		rc = -1;
	bkp_pg_close(&pg);
	return rc;
}

static int
compare_path(const void *path, const void *expected)
{
	return strcmp(path, ((const struct expected *)expected)->path);
}

static struct expected *
find_expected(const struct prove *prove, const char *path)
{
	return prove->expected_count == 0
		   ? NULL
		   : bsearch(path, prove->expected, prove->expected_count,
			 sizeof(*prove->expected), compare_path);
}

static int
next_table(void *arg, void **out, struct bkp_error *err)
{
	struct prove *prove = arg;
	struct item *item;

	*out = NULL;
	if (prove->next == prove->catalogue.table_count)
		return 0;
	if ((item = bkp_alloc(sizeof(*item), err)) == NULL)
		return -1;
	item->table = &prove->catalogue.tables[prove->next++];
	item->expected = find_expected(prove, item->table->path);
	*out = item;
	return 0;
}

static int
hash_rows(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	const struct reading *reading = arg;
	enum fmt_status status = fmt_rowhash_add_rows(
	    &reading->item->hash, reading->form, data, len);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "hashing rows");
	bkp_run_count(reading->prove->run, len, 0);
	return 0;
}

static int
read_part(struct prove *prove, struct worker *worker, struct item *item,
    const struct bkp_pg_part *part, struct bkp_error *err)
{
	const struct bkp_pg_table *table = item->table;
	struct reading reading = {prove, item,
	    item->expected != NULL ? item->expected->form : FMT_COPY_TEXT};
	struct fmt_buf sql = FMT_BUF_INIT;
	uint64_t rows = 0, before = item->hash.rows;
	int rc;

	if (bkp_pg_copy_out_sql(&sql, part->quoted, table->columns,
		table->column_count, table->filter, 0, 0, prove->encoding,
		reading.form) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL)
		rc = bkp_fail_nomem(err, "reading a table back");
	else
		rc = bkp_pg_copy_out(&worker->pg, (const char *)sql.data,
		    reading.form, &worker->room, hash_rows, &reading, &rows,
		    err);
	if (rc == 0)
		rc = bkp_pg_copy_compare(rows, item->hash.rows - before, err);
	fmt_buf_free(&sql);
	return rc;
}

static bool
is_as_it_was(const struct item *item)
{
	return item->expected->hash.rows == item->hash.rows &&
	       fmt_rowhash_is_equal(&item->expected->hash, &item->hash);
}

static int
read_table(void *arg, unsigned number, void *taken, struct bkp_error *err)
{
	struct prove *prove = arg;
	struct item *item = taken;
	struct worker *worker = &prove->workers[number];

	if (worker->pg.conn == NULL &&
	    bkp_pg_target_connect(prove->target, prove->database->temporary,
		prove->run, &worker->pg, err) < 0)
		return -1;
	for (size_t i = 0; i < item->table->part_count; i++)
		if (read_part(
			prove, worker, item, &item->table->parts[i], err) < 0)
			return bkp_fail_in(
			    err, "reading table %s back", item->table->quoted);
	return item->expected == NULL || is_as_it_was(item)
		   ? 0
		   : bkp_pg_part_root(
			 &worker->pg, item->table->quoted, &item->root, err);
}

static void
discard(void *arg, void *taken)
{
	struct item *item = taken;

	(void)arg;
	free(item->root);
	free(item);
}

static int
fail_other(const struct other *other, struct bkp_error *err)
{
	uint64_t was = other->expected->hash.rows, is = other->found.rows;

	return bkp_fail(err, BKP_CORRUPT,
	    "table %s: the snapshot has %llu rows and the restored table "
	    "%llu%s%s",
	    other->table->quoted, (unsigned long long)was,
	    (unsigned long long)is, was == is ? " others" : "",
	    other->root != NULL
		? "; with all the partitions that have others they are still "
		  "not those of the snapshot"
		: "");
}

/* Rows of a partition may be in another; those of no other table. */
static int
note_other(struct prove *prove, struct item *item, struct bkp_error *err)
{
	struct other other = {.table = item->table,
	    .expected = item->expected,
	    .found = item->hash,
	    .root = item->root};

	if (other.root == NULL)
		return fail_other(&other, err);
	if (bkp_grow(&prove->others, prove->other_count, &prove->other_cap,
		sizeof(*prove->others), err) < 0)
		return -1;
	prove->others[prove->other_count++] = other;
	item->root = NULL;
	return 0;
}

static int
compare_table(struct prove *prove, struct item *item, struct bkp_error *err)
{
	struct expected *expected = item->expected;

	/* A standby has no rows of it; its schema is there all the same. */
	if (expected == NULL && item->table->is_unlogged &&
	    item->hash.rows == 0)
		return 0;
	if (expected == NULL)
		return bkp_fail(err, BKP_CORRUPT,
		    "the restored database has a table %s, which is not in "
		    "the snapshot",
		    item->table->quoted);
	expected->is_found = true;
	prove->rows += item->hash.rows;
	return is_as_it_was(item) ? 0 : note_other(prove, item, err);
}

static int
done_table(void *arg, void *item, struct bkp_error *err)
{
	int rc = compare_table(arg, item, err);

	discard(arg, item);
	return rc;
}

static void
tick(void *arg)
{
	bkp_run_tick(((struct prove *)arg)->run);
}

static int
find_missing(const struct prove *prove, struct bkp_error *err)
{
	for (size_t i = 0; i < prove->expected_count; i++)
		if (!prove->expected[i].is_found)
			return bkp_fail(err, BKP_CORRUPT,
			    "the restored database lacks the table %s",
			    prove->expected[i].path);
	return 0;
}

/* ---- rows in other partitions ---- */

static int
compare_roots(const void *a, const void *b)
{
	const struct other *x = a, *y = b;

	return strcmp(x->root, y->root);
}

/* What partitions of one table had and have between them, by form. */
struct sums {
	struct fmt_rowhash expected[2], found[2];
	uint64_t had, have;
	bool has[2];
};

static void
sum_up(const struct other *others, size_t count, struct sums *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < count; i++) {
		const struct other *other = &others[i];
		unsigned form =
		    other->expected->form == FMT_COPY_BINARY ? 1 : 0;

		fmt_rowhash_merge(&out->expected[form], &other->expected->hash);
		fmt_rowhash_merge(&out->found[form], &other->found);
		out->had += other->expected->hash.rows;
		out->have += other->found.rows;
		out->has[form] = true;
	}
}

static bool
are_equal(const struct sums *sums)
{
	for (unsigned i = 0; i < 2; i++)
		if (sums->expected[i].rows != sums->found[i].rows ||
		    !fmt_rowhash_is_equal(&sums->expected[i], &sums->found[i]))
			return false;
	return true;
}

/* What the first `count` of them, of one table, come to together. */
static int
compare_moved(struct prove *prove, const struct other *others, size_t count,
    struct bkp_error *err)
{
	struct sums sums;

	sum_up(others, count, &sums);
	if (are_equal(&sums)) {
		bkp_run_message(prove->run, BKP_INFO, prove->database->path,
		    "read back: %zu partitions of %s have the rows of the "
		    "snapshot between them, some in another than before",
		    count, others->root);
		return 0;
	}
	if (!prove->database->has_moved || !sums.has[0] || !sums.has[1] ||
	    sums.had != sums.have)
		return fail_other(others, err);
	prove->counted += sums.have;
	bkp_run_message(prove->run, BKP_WARNING, prove->database->path,
	    "read back: %zu partitions of %s have %llu rows between them, as "
	    "many as in the snapshot; they are in other partitions now, and "
	    "their hashes could not be compared, for some were stored as text "
	    "and some in the binary form. What was sent to the server was "
	    "compared with the snapshot",
	    count, others->root, (unsigned long long)sums.have);
	return 0;
}

static int
compare_others(struct prove *prove, struct bkp_error *err)
{
	size_t from = 0, to;

	if (prove->other_count > 0)
		qsort(prove->others, prove->other_count, sizeof(*prove->others),
		    compare_roots);
	for (; from < prove->other_count; from = to) {
		for (to = from + 1; to < prove->other_count; to++)
			if (compare_roots(
				&prove->others[from], &prove->others[to]) != 0)
				break;
		if (compare_moved(prove, &prove->others[from], to - from, err) <
		    0)
			return -1;
	}
	return 0;
}

static void
free_prove(struct prove *prove)
{
	for (unsigned i = 0;
	     prove->workers != NULL && i < bkp_run_workers(prove->run); i++) {
		bkp_pg_close(&prove->workers[i].pg);
		fmt_buf_free(&prove->workers[i].room);
	}
	for (size_t i = 0; i < prove->expected_count; i++)
		free(prove->expected[i].path);
	for (size_t i = 0; i < prove->other_count; i++)
		free(prove->others[i].root);
	free(prove->others);
	free(prove->workers);
	free(prove->expected);
	free(prove->encoding);
	bkp_pg_catalogue_free(&prove->catalogue);
}

int
bkp_pg_target_prove(struct bkp_pg_target *target, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next_table,
	    .work = read_table,
	    .done = done_table,
	    .discard = discard,
	    .tick = tick};
	struct prove prove = {.target = target,
	    .run = bkp_supply_run(supply),
	    .database = database,
	    .catalogue = BKP_PG_CATALOGUE_INIT};
	unsigned workers = bkp_run_workers(prove.run);
	uint64_t bytes = 0;
	int rc = -1;

	prove.workers = bkp_alloc_array(workers, sizeof(*prove.workers), err);
	if (prove.workers == NULL || read_expected(&prove, supply, err) < 0 ||
	    look(&prove, err) < 0)
		goto out;
	for (size_t i = 0; i < prove.catalogue.table_count; i++)
		bytes += prove.catalogue.tables[i].bytes;
	bkp_run_phase(
	    prove.run, bytes, 0, "%s: reading the rows back", database->name);
	if (bkp_pipeline_run(workers, workers * 4, &ops, &prove,
		bkp_run_cancel(prove.run), err) < 0 ||
	    find_missing(&prove, err) < 0 || compare_others(&prove, err) < 0)
		goto out;
	bkp_run_message(prove.run, BKP_INFO, database->path,
	    prove.counted == 0
		? "read back: %llu rows in %zu tables, all as in the snapshot"
		: "read back: %llu rows in %zu tables, all as in the snapshot "
		  "but for %llu that could only be counted",
	    (unsigned long long)prove.rows, prove.catalogue.table_count,
	    (unsigned long long)prove.counted);
	rc = 0;
out:
	free_prove(&prove);
	return rc;
}
