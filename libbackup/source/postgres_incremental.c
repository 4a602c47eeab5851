/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/postgres_incremental.h"

#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/heaps.h"
#include "libbackup/repository/row_cache.h"

#define GENERATION 16
#define PRINT 32
#define MAGIC UINT64_C(0x31726e69706b6231) /* "1bkpinr1" */
#define NOTE "incremental"

/* One range in so many is read though it need not be. */
#define CHECK_EVERY 16

/* Numbers of transactions in the catalogue come again after 2^32. */
#define XIDS_MAX (UINT64_C(1) << 31)

/* A backup's moment, as its ranges are remembered with. */
struct moment {
	uint64_t magic;
	unsigned char generation[GENERATION]; /* of the ranges of this one */
	struct bkp_pg_wal_server server;
	uint64_t database;             /* OID */
	struct bkp_pg_wal_point start; /* later changes are in later WAL */
	uint64_t boundary;             /* a summary ends here */
	uint64_t number;               /* of backups without a full one */
};

struct range_note {
	unsigned char generation[GENERATION];
	unsigned char print[PRINT];
	uint64_t oid, first, last, bytes, rows, hash_low, hash_high, ref_count;
};

struct part {
	uint32_t oid;
	bool is_plain;
	unsigned char print[PRINT];
	struct bkp_pg_wal_heap wal; /* touched: owned */
};

struct bkp_pg_incremental {
	struct bkp_row_cache *rows; /* borrowed */
	struct part *parts;         /* owned; by OID */
	size_t part_count;
	struct moment old, now;
	bool has_old;       /* ranges of `old` are taken over */
	bool is_remembered; /* and those of this backup may be */
	char *why;          /* owned: why all is read; NULL */
	_Atomic uint64_t read, reused;
};

/* ---- the server ---- */

/* Anything but the end of the run or of memory is a reason to read all. */
static int
settle(char **why, const struct bkp_error *problem, struct bkp_error *err)
{
	if (problem->code == BKP_CANCELLED || problem->code == BKP_NOMEM) {
		if (err != NULL)
			*err = *problem;
		return -1;
	}
	free(*why);
	*why = bkp_strdup(problem->message, err);
	return *why == NULL ? -1 : 0;
}

int
bkp_pg_incremental_mark(
    struct bkp_pg_source *source, struct bkp_pg *pg, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	source->is_incremental = true;
	if (bkp_pg_wal_mark(pg, &source->wal, &problem) < 0)
		return settle(&source->wal_problem, &problem, err);
	return 0;
}

int
bkp_pg_incremental_begin(
    struct bkp_pg_source *source, struct bkp_run *run, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = 0;

	if (!source->is_incremental)
		return 0;
	if (source->wal_problem == NULL &&
	    (bkp_pg_open(&pg, source->config, source->front, run, &problem) <
		    0 ||
		bkp_pg_wal_summarise(&pg, &source->wal, &problem) < 0))
		rc = settle(&source->wal_problem, &problem, err);
	bkp_pg_close(&pg);
	if (rc == 0 && source->wal_problem != NULL)
		bkp_run_message(run, BKP_WARNING, source->base.prefix,
		    "nothing can be taken over from the backup before, all "
		    "rows are read: %s",
		    source->wal_problem);
	return rc;
}

/* ---- parts ---- */

static int
compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return (x->oid > y->oid) - (x->oid < y->oid);
}

static struct part *
find_part(const struct bkp_pg_incremental *incremental, uint32_t oid)
{
	struct part wanted = {.oid = oid};

	if (incremental->part_count == 0)
		return NULL;
	return bsearch(&wanted, incremental->parts, incremental->part_count,
	    sizeof(wanted), compare_parts);
}

/* Heap and statement: the same print and the same pages give the same text. */
static int
make_print(const struct bkp_pg_heap *heap, const struct bkp_pg_table *table,
    const struct bkp_pg_part *part, const char *encoding,
    unsigned char print[PRINT], struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(&text, heap->print);

	if (status == FMT_OK)
		status = bkp_pg_copy_out_sql(&text, part->quoted,
		    table->columns, table->column_count, table->filter, 0, 0,
		    encoding, table->form);
	if (status == FMT_OK)
		status = fmt_sha256(text.data, text.len, print);
	fmt_buf_free(&text);
	return status == FMT_OK ? 0
				: bkp_fail_format(err, status,
				      "looking at table %s", part->quoted);
}

static int
set_part(struct part *out, const struct bkp_pg_heap *heap,
    const struct bkp_pg_table *table, const struct bkp_pg_part *part,
    const char *encoding, struct bkp_error *err)
{
	size_t count = 1;

	out->oid = part->oid;
	if (heap == NULL || table->range_pages == 0)
		return 0;
	if (part->pages > 0)
		count = (size_t)((part->pages - 1) / table->range_pages + 1);
	out->is_plain = heap->is_plain;
	out->wal = (struct bkp_pg_wal_heap){.filenode = heap->filenode,
	    .tablespace = heap->tablespace,
	    .range_pages = table->range_pages,
	    .range_count = count};
	out->wal.touched = bkp_alloc(count / 8 + 1, err);
	if (out->wal.touched == NULL)
		return -1;
	return make_print(heap, table, part, encoding, out->print, err);
}

static int
set_parts(struct bkp_pg_incremental *incremental,
    const struct bkp_pg_catalogue *catalogue, const struct bkp_pg_heaps *heaps,
    const char *encoding, struct bkp_error *err)
{
	size_t count = 0;

	for (size_t i = 0; i < catalogue->table_count; i++)
		count += catalogue->tables[i].part_count;
	incremental->parts =
	    bkp_alloc_array(count, sizeof(*incremental->parts), err);
	if (incremental->parts == NULL)
		return -1;
	for (size_t i = 0; i < catalogue->table_count; i++) {
		const struct bkp_pg_table *table = &catalogue->tables[i];

		for (size_t p = 0; p < table->part_count; p++)
			if (set_part(
				&incremental->parts[incremental->part_count++],
				bkp_pg_heaps_find(heaps, table->parts[p].oid),
				table, &table->parts[p], encoding, err) < 0)
				return -1;
	}
	if (count > 0)
		qsort(incremental->parts, count, sizeof(*incremental->parts),
		    compare_parts);
	return 0;
}

/* ---- the backup before ---- */

/* What a backup remembered that ran beside this one may be of a later moment
 * than this snapshot (seen by its transactions) or than the WAL that is asked
 * about: both have to be over when this one begins. */
static int
read_moment(struct bkp_pg_incremental *incremental,
    const struct bkp_pg_wal *wal, uint64_t xmin, struct bkp_error *err)
{
	struct moment *old = &incremental->old, *now = &incremental->now;
	struct fmt_buf note = FMT_BUF_INIT;
	const char *why = NULL;

	if (!bkp_row_cache_get_note(incremental->rows, NOTE, &note) ||
	    note.len != sizeof(*old))
		why = "no earlier backup is remembered that can be built upon";
	else
		memcpy(old, note.data, sizeof(*old));
	fmt_buf_free(&note);
	if (why == NULL && old->magic != MAGIC)
		why = "another version of this program made the one before";
	else if (why == NULL && (old->server.system != now->server.system ||
				    old->database != now->database))
		why = "the backup before is of another database";
	else if (why == NULL &&
		 (old->server.started_us != now->server.started_us ||
		     old->server.timeline != now->server.timeline))
		why = "the server was started again since the backup before";
	else if (why == NULL &&
		 (now->start.xid < old->start.xid ||
		     now->start.xid - old->start.xid > XIDS_MAX ||
		     now->boundary < old->boundary))
		why = "the server is not where the backup before left it";
	else if (why == NULL &&
		 (old->start.xid > xmin || old->boundary > wal->points[0].lsn))
		why = "the backup before was not over when this one began";
	incremental->has_old = why == NULL;
	if (why == NULL)
		return 0;
	incremental->why = bkp_strdup(why, err);
	return incremental->why == NULL ? -1 : 0;
}

/* Asks which ranges were touched since. */
static int
read_touched(struct bkp_pg_incremental *incremental, struct bkp_pg *pg,
    const struct bkp_pg_wal *wal, struct bkp_error *err)
{
	size_t count = incremental->part_count, asked = 0;
	struct bkp_pg_wal_heap *heaps =
	    bkp_alloc_array(count, sizeof(*heaps), err);
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc = 0;

	if (heaps == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (incremental->parts[i].is_plain)
			heaps[asked++] = incremental->parts[i].wal;
	if (bkp_pg_wal_touched(pg, wal, incremental->old.start.lsn,
		incremental->old.boundary, heaps, asked, &problem) < 0) {
		incremental->has_old = false;
		rc = settle(&incremental->why, &problem, err);
	}
	free(heaps);
	return rc;
}

/*
 * From where on WAL holds all that later snapshots see and this one does not:
 * every transaction that this one does not see has at least the number xmin.
 */
static void
choose_start(struct bkp_pg_incremental *incremental,
    const struct bkp_pg_wal *wal, uint64_t xmin)
{
	struct moment *now = &incremental->now;
	bool has_start = false;

	for (size_t i = 0; !has_start && i < BKP_PG_WAL_POINTS; i++)
		if (wal->points[i].xid <= xmin) {
			now->start = wal->points[i];
			has_start = true;
		}
	if (!has_start && incremental->has_old &&
	    incremental->old.start.xid <= xmin) {
		now->start = incremental->old.start;
		has_start = true;
	}
	incremental->is_remembered = has_start;
}

/* ---- opening and closing ---- */

static int
make_generation(struct moment *now, struct bkp_error *err)
{
	if (RAND_bytes(now->generation, sizeof(now->generation)) != 1)
		return bkp_fail(err, BKP_IO, "there are no random numbers");
	return 0;
}

/* In a session of its own: what fails there ends no snapshot. */
static int
look(struct bkp_pg_incremental *incremental, struct bkp_pg_source *source,
    const struct bkp_pg_source_database *database, struct bkp_pg *pg,
    struct bkp_error *err)
{
	struct bkp_pg_heaps heaps = BKP_PG_HEAPS_INIT;
	struct moment *now = &incremental->now;
	int rc = -1;

	if (bkp_pg_wal_check(pg, &source->wal, err) < 0 ||
	    bkp_pg_heaps_read(pg, &heaps, err) < 0 ||
	    set_parts(incremental, &database->holder.catalogue, &heaps,
		bkp_pg_encoding(pg), err) < 0 ||
	    make_generation(now, err) < 0)
		goto out;
	now->magic = MAGIC;
	now->server = source->wal.server;
	now->database = heaps.database;
	now->boundary = source->wal.boundary;
	now->start = source->wal.points[0];
	if (read_moment(incremental, &source->wal, heaps.xmin, err) < 0 ||
	    (incremental->has_old &&
		read_touched(incremental, pg, &source->wal, err) < 0))
		goto out;
	if (incremental->has_old)
		now->number = incremental->old.number + 1;
	choose_start(incremental, &source->wal, heaps.xmin);
	rc = 0;
out:
	bkp_pg_heaps_free(&heaps);
	return rc;
}

int
bkp_pg_incremental_open(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_row_cache *rows,
    struct bkp_run *run, struct bkp_pg_incremental **out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_pg_incremental *incremental;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = 0;

	*out = NULL;
	if (!source->is_incremental)
		return 0;
	if ((incremental = bkp_alloc(sizeof(*incremental), err)) == NULL)
		return -1;
	*out = incremental;
	incremental->rows = rows;
	if (source->wal_problem != NULL || rows == NULL) {
		incremental->why =
		    bkp_strdup(rows == NULL ? "there is no place for a "
					      "cache"
					    : source->wal_problem,
			err);
		return incremental->why == NULL ? -1 : 0;
	}
	if (bkp_pg_import(&pg, source->config, database->holder.database,
		database->holder.snapshot, run, &problem) < 0 ||
	    look(incremental, source, database, &pg, &problem) < 0) {
		incremental->has_old = incremental->is_remembered = false;
		rc = settle(&incremental->why, &problem, err);
	}
	bkp_pg_close(&pg);
	return rc;
}

void
bkp_pg_incremental_free(struct bkp_pg_incremental *incremental)
{
	if (incremental == NULL)
		return;
	for (size_t i = 0; i < incremental->part_count; i++)
		free(incremental->parts[i].wal.touched);
	free(incremental->parts);
	free(incremental->why);
	free(incremental);
}

/* ---- ranges ---- */

static enum fmt_status
name_range(struct fmt_buf *out, const struct bkp_pg_range *range)
{
	enum fmt_status status;

	fmt_buf_clear(out);
	status = fmt_buf_printf(out, NOTE " %lu %llu",
	    (unsigned long)range->oid, (unsigned long long)range->first);
	if (status == FMT_OK && fmt_buf_text(out) == NULL)
		status = FMT_NOMEM;
	return status;
}

static bool
is_touched(const struct part *part, const struct bkp_pg_range *range)
{
	uint64_t number = range->first / part->wal.range_pages;

	return number >= part->wal.range_count ||
	       (part->wal.touched[number / 8] & 1u << number % 8) != 0;
}

/* Takes the note apart; false: it is not of this range as it is now. */
static bool
read_note(const struct bkp_pg_incremental *incremental, const struct part *part,
    const struct fmt_buf *room, struct bkp_pg_range *range)
{
	struct range_note note;

	if (room->len < sizeof(note))
		return false;
	memcpy(&note, room->data, sizeof(note));
	if (memcmp(note.generation, incremental->old.generation, GENERATION) !=
		0 ||
	    memcmp(note.print, part->print, PRINT) != 0 ||
	    note.oid != range->oid || note.first != range->first ||
	    note.last != range->last ||
	    room->len - sizeof(note) != note.ref_count * sizeof(*range->refs))
		return false;
	range->bytes = note.bytes;
	range->hash =
	    (struct fmt_rowhash){note.hash_low, note.hash_high, note.rows};
	range->refs = (const struct fmt_chunk_ref *)(room->data + sizeof(note));
	range->ref_count = (size_t)note.ref_count;
	return true;
}

bool
bkp_pg_incremental_find(struct bkp_pg_incremental *incremental,
    struct fmt_buf *room, struct bkp_pg_range *range, bool *is_checked)
{
	const struct part *part;
	struct fmt_buf name = FMT_BUF_INIT;
	bool is_found = false;

	if (!incremental->has_old)
		return false;
	part = find_part(incremental, range->oid);
	if (part == NULL || !part->is_plain || is_touched(part, range))
		return false;
	if (name_range(&name, range) == FMT_OK)
		is_found = bkp_row_cache_get_note(incremental->rows,
			       (const char *)name.data, room) &&
			   read_note(incremental, part, room, range);
	fmt_buf_free(&name);
	*is_checked = (range->oid + range->first / part->wal.range_pages +
			  incremental->now.number) %
			  CHECK_EVERY ==
		      0;
	return is_found;
}

static int
put_note(struct bkp_pg_incremental *incremental, const struct part *part,
    const struct bkp_pg_range *range, struct bkp_error *err)
{
	struct fmt_buf name = FMT_BUF_INIT, data = FMT_BUF_INIT;
	struct range_note note = {.oid = range->oid,
	    .first = range->first,
	    .last = range->last,
	    .bytes = range->bytes,
	    .rows = range->hash.rows,
	    .hash_low = range->hash.low,
	    .hash_high = range->hash.high,
	    .ref_count = range->ref_count};
	enum fmt_status status = name_range(&name, range);
	int rc = -1;

	memcpy(note.generation, incremental->now.generation, GENERATION);
	memcpy(note.print, part->print, PRINT);
	if (status == FMT_OK)
		status = fmt_buf_append(&data, &note, sizeof(note));
	if (status == FMT_OK && range->ref_count > 0)
		status = fmt_buf_append(&data, range->refs,
		    range->ref_count * sizeof(*range->refs));
	if (status != FMT_OK)
		(void)bkp_fail_format(err, status, "remembering rows");
	else
		rc = bkp_row_cache_put_note(
		    incremental->rows, (const char *)name.data, &data, err);
	fmt_buf_free(&name);
	fmt_buf_free(&data);
	return rc;
}

int
bkp_pg_incremental_put(struct bkp_pg_incremental *incremental,
    const struct bkp_pg_range *range, bool is_reused, struct bkp_error *err)
{
	const struct part *part = find_part(incremental, range->oid);

	atomic_fetch_add(is_reused ? &incremental->reused : &incremental->read,
	    range->bytes);
	if (!incremental->is_remembered || part == NULL || !part->is_plain)
		return 0;
	return put_note(incremental, part, range, err);
}

int
bkp_pg_incremental_distrust(struct bkp_pg_incremental *incremental,
    struct bkp_run *run, struct bkp_error *err)
{
	static const char why[] =
	    "a range of pages that nothing was said to have touched came with "
	    "other rows";

	bkp_run_message(run, BKP_WARNING, NULL,
	    "%s: the server's summaries of WAL cannot be relied on; all rows "
	    "are read again",
	    why);
	free(incremental->why);
	incremental->why = bkp_strdup(why, err);
	incremental->has_old = incremental->is_remembered = false;
	atomic_store(&incremental->reused, 0);
	return incremental->why == NULL ? -1 : 0;
}

/* ---- the end ---- */

static int
put_moment(struct bkp_pg_incremental *incremental, struct bkp_error *err)
{
	struct fmt_buf data = FMT_BUF_INIT;
	int rc = -1;

	if (fmt_buf_append(
		&data, &incremental->now, sizeof(incremental->now)) != FMT_OK)
		(void)bkp_fail_nomem(err, "remembering rows");
	else
		rc =
		    bkp_row_cache_put_note(incremental->rows, NOTE, &data, err);
	fmt_buf_free(&data);
	return rc;
}

int
bkp_pg_incremental_finish(struct bkp_pg_incremental *incremental,
    struct bkp_run *run, json_t *facts, struct bkp_error *err)
{
	uint64_t read = atomic_load(&incremental->read);
	uint64_t reused = atomic_load(&incremental->reused);

	if (incremental->is_remembered && put_moment(incremental, err) < 0)
		return -1;
	if (incremental->why != NULL)
		bkp_run_message(run, BKP_INFO,
		    json_string_value(json_object_get(facts, "path")),
		    "all rows were read: %s", incremental->why);
	if (json_object_set_new(
		facts, "bytes_read", json_integer((json_int_t)read)) < 0 ||
	    json_object_set_new(facts, "bytes_taken_over",
		json_integer((json_int_t)reused)) < 0 ||
	    (incremental->why != NULL &&
		json_object_set_new(
		    facts, "read_because", json_string(incremental->why)) < 0))
		return bkp_fail_nomem(err, "describing what was read");
	return 0;
}

int
bkp_pg_incremental_sum(struct bkp_pg_source *source, struct bkp_error *err)
{
	const json_t *databases = json_object_get(source->info, "databases");
	json_int_t sum = 0;

	if (!source->is_incremental)
		return 0;
	for (size_t i = 0; i < json_array_size(databases); i++)
		sum += json_integer_value(json_object_get(
		    json_array_get(databases, i), "bytes_taken_over"));
	if (json_object_set_new(
		source->info, "bytes_taken_over", json_integer(sum)) < 0)
		return bkp_fail_nomem(err, "describing what was read");
	return 0;
}
