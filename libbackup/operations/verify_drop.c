/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Silent loss: a backup that is whole, of an application that is not. What a
 * snapshot holds is set against the last snapshots of the same source by the
 * same host, as their lists have recorded it; no content is read. Good backups
 * are still there when it is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pgcopy.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/verify_impl.h"
#include "libbackup/repository/history.h"

/* So many earlier snapshots, and this one, which is the first. */
#define EARLIER 5
#define MOMENTS (EARLIER + 1)
/* Where no limit is given, a drop of more than this is told. */
#define TOLD_PERCENT 50
/* A table of fewer rows than this says little by their number. */
#define FEW_ROWS 100
/* Of fewer than this, most may go and nobody has to be told. */
#define FEW_TOLD 10

/* One number at each moment. */
struct series {
	uint64_t at[MOMENTS];
	bool is_known[MOMENTS];
};

/* Rows of one table at one moment, and their bytes, which are others in
 * another form. */
struct seen {
	char *path; /* owned */
	unsigned moment;
	uint64_t rows, bytes;
	enum fmt_copy_form form;
};

struct drop {
	struct bkp_verify *verify;
	const struct bkp_chosen *chosen;
	const struct fmt_snapshot_source *sources[MOMENTS]; /* borrowed */
	unsigned count;                                     /* of these */
	struct seen *seen;                                  /* owned */
	size_t seen_count, seen_cap;
	size_t findings;
};

/* ---- judging one number ---- */

static int
compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of the earlier ones; *least is the least of them. 0: there are none. */
static uint64_t
median(const struct series *series, uint64_t *least)
{
	uint64_t values[EARLIER];
	size_t count = 0;

	for (unsigned i = 1; i < MOMENTS; i++)
		if (series->is_known[i])
			values[count++] = series->at[i];
	*least = 0;
	if (count == 0)
		return 0;
	qsort(values, count, sizeof(values[0]), compare_numbers);
	*least = values[0];
	return values[count / 2];
}

static unsigned
count_earlier(const struct series *series)
{
	unsigned count = 0;

	for (unsigned i = 1; i < MOMENTS; i++)
		count += series->is_known[i] ? 1 : 0;
	return count;
}

/* How much less it is, in percent of what it was, rounded up. */
static unsigned
drop_of(uint64_t now, uint64_t before)
{
	if (now >= before)
		return 0;
	return (unsigned)(((double)(before - now) * 100.0) / (double)before +
			  0.999999);
}

static int
tell(struct drop *drop, bool is_failure, const char *path, const char *noun,
    const struct series *series, uint64_t before, struct bkp_error *err)
{
	unsigned limit = drop->verify->limits.max_drop;
	uint64_t now = series->at[0];
	char *name = bkp_format(err, "%s/drop", path);
	char *what, allowed[64] = "";
	int rc = -1;

	if (is_failure && limit > 0 && now > 0)
		(void)snprintf(allowed, sizeof(allowed),
		    ", and at most %u%% is allowed", limit);
	what = bkp_format(err,
	    "%s, %s in the snapshots before (median of %u): %u%% less%s",
	    bkp_counted(now, noun).text, bkp_counted(before, noun).text,
	    count_earlier(series), drop_of(now, before), allowed);
	drop->findings++;
	if (name == NULL || what == NULL)
		goto out;
	if (is_failure) {
		rc = bkp_verdict_add(drop->verify->verdict, BKP_CHECK_FAIL, err,
		    name, "%s", what);
	} else {
		bkp_run_message(
		    drop->verify->run, BKP_WARNING, path, "%s", what);
		rc = bkp_verdict_add_about(drop->verify->verdict,
		    BKP_CHECK_PASS, err, name, "%s", what);
	}
out:
	free(name);
	free(what);
	return rc;
}

/*
 * `is_whole`: of a source or a database, where having nothing after always
 * having something is a failure whatever the limit. A single table may be
 * emptied every night.
 */
static int
judge(struct drop *drop, const char *path, const char *noun,
    const struct series *series, bool is_whole, struct bkp_error *err)
{
	unsigned limit = drop->verify->limits.max_drop, less;
	uint64_t least, before = median(series, &least);

	if (before == 0 || (less = drop_of(series->at[0], before)) == 0)
		return 0;
	if (series->at[0] == 0 && least > 0 && (is_whole || limit > 0))
		return tell(drop, true, path, noun, series, before, err);
	if (!is_whole && before < FEW_ROWS)
		return 0;
	if (limit > 0 && less > limit)
		return tell(drop, true, path, noun, series, before, err);
	if (limit == 0 && less > TOLD_PERCENT && before >= FEW_TOLD)
		return tell(drop, false, path, noun, series, before, err);
	return 0;
}

/* ---- tables ---- */

static int
compare_seen(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order != 0 ? order
			  : (x->moment > y->moment) - (x->moment < y->moment);
}

static int
add_table(struct drop *drop, unsigned moment, const struct fmt_entry *entry,
    struct bkp_error *err)
{
	json_int_t rows =
	    json_integer_value(json_object_get(entry->attrs, "rows"));
	struct seen *seen;

	if (bkp_grow(&drop->seen, drop->seen_count, &drop->seen_cap,
		sizeof(*drop->seen), err) < 0)
		return -1;
	seen = &drop->seen[drop->seen_count];
	*seen = (struct seen){.path = bkp_strdup(entry->path, err),
	    .moment = moment,
	    .rows = rows > 0 ? (uint64_t)rows : 0,
	    .bytes = entry->size,
	    .form = FMT_COPY_TEXT};
	(void)fmt_copy_form_parse(
	    json_string_value(json_object_get(entry->attrs, "format")),
	    &seen->form);
	if (seen->path == NULL)
		return -1;
	drop->seen_count++;
	return 0;
}

static int
read_tables(struct drop *drop, unsigned moment, struct bkp_error *err)
{
	const struct fmt_snapshot_source *source = drop->sources[moment];
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int got;

	if (bkp_entry_stream_open(drop->verify->opened.repository, source->list,
		source->list_count, NULL, &stream, err) < 0)
		return -1;
	while ((got = bkp_entry_stream_next(stream, &entry, err)) > 0) {
		int rc = strcmp(entry.kind, "postgres.table") == 0
			     ? add_table(drop, moment, &entry, err)
			     : 0;

		fmt_entry_free(&entry);
		if (rc < 0) {
			got = -1;
			break;
		}
	}
	bkp_entry_stream_close(stream);
	return got;
}

/* The length of the part of a table's path that names its database: one name
 * behind the prefix. Either may be called "data". */
static size_t
database_length(const struct drop *drop, const char *path)
{
	size_t len = strlen(drop->chosen->source->prefix) + 1;

	return len < strlen(path) ? len + strcspn(path + len, "/")
				  : strlen(path);
}

/* As many rows may hold less: a column was emptied. What has lost its rows is
 * told by these. */
static int
judge_amount(struct drop *drop, const char *path, const struct series *rows,
    const struct series *bytes, bool is_whole, struct bkp_error *err)
{
	size_t before = drop->findings;
	uint64_t least;

	if (judge(drop, path, "row", rows, is_whole, err) < 0)
		return -1;
	if (drop->findings > before || rows->at[0] == 0 ||
	    median(rows, &least) < FEW_ROWS)
		return 0;
	return judge(drop, path, "byte", bytes, is_whole, err);
}

/* A table that is gone had rows once, and is told with its database. */
static int
judge_table(struct drop *drop, const struct seen *first, size_t count,
    bool *is_gone, struct bkp_error *err)
{
	struct series rows = {.is_known = {false}}, bytes = rows;

	for (size_t i = 0; i < count; i++) {
		unsigned moment = first[i].moment;

		rows.at[moment] = first[i].rows;
		rows.is_known[moment] = true;
		bytes.at[moment] = first[i].bytes;
		bytes.is_known[moment] = first[i].form == first->form;
	}
	*is_gone = !rows.is_known[0];
	return *is_gone
		   ? 0
		   : judge_amount(drop, first->path, &rows, &bytes, false, err);
}

/* Bytes of a database at the moments at which every table that it has now had
 * the form that it has now. */
static void
add_bytes(struct series *bytes, bool is_other[MOMENTS],
    const struct seen *first, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned moment = first[i].moment;

		bytes->at[moment] += first[i].bytes;
		if (first->moment == 0 && first[i].form != first->form)
			is_other[moment] = true;
	}
}

static int
tell_gone(struct drop *drop, const char *path, size_t gone,
    const struct fmt_buf *names, struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/gone", path);
	int rc = -1;

	if (name != NULL)
		rc = bkp_verdict_add_about(drop->verify->verdict,
		    BKP_CHECK_PASS, err, name,
		    "%s of the snapshots before %s not there any more: %.*s%s",
		    bkp_counted(gone, "table").text, bkp_are(gone),
		    (int)names->len, (const char *)names->data,
		    gone > 5 ? ", ..." : "");
	free(name);
	return rc;
}

/* All that was seen of one database. */
static int
judge_database(struct drop *drop, const char *path, const struct seen *first,
    size_t count, struct bkp_error *err)
{
	struct series rows = {.is_known = {false}};
	struct series tables = {.is_known = {false}}, bytes = tables;
	bool is_other[MOMENTS] = {false};
	struct fmt_buf names = FMT_BUF_INIT;
	size_t gone = 0, next;
	int rc = 0;

	rows.is_known[0] = tables.is_known[0] = true;
	for (size_t i = 0; i < count; i++) {
		unsigned moment = first[i].moment;

		rows.at[moment] += first[i].rows;
		tables.at[moment]++;
		rows.is_known[moment] = tables.is_known[moment] = true;
	}
	for (size_t i = 0; rc == 0 && i < count; i = next) {
		bool is_gone;

		for (next = i + 1; next < count && strcmp(first[next].path,
						       first[i].path) == 0;)
			next++;
		add_bytes(&bytes, is_other, &first[i], next - i);
		rc = judge_table(drop, &first[i], next - i, &is_gone, err);
		if (rc == 0 && is_gone && gone++ < 5 &&
		    fmt_buf_printf(&names, "%s%s", names.len > 0 ? ", " : "",
			first[i].path + strlen(path) + strlen("/data/")) !=
			FMT_OK)
			rc = bkp_fail_nomem(err, "counting tables");
	}
	for (unsigned i = 0; i < MOMENTS; i++)
		bytes.is_known[i] = rows.is_known[i] && !is_other[i];
	if (rc == 0)
		rc = judge_amount(drop, path, &rows, &bytes, true, err);
	if (rc == 0 && rows.at[0] > 0)
		rc = judge(drop, path, "table", &tables, true, err);
	if (rc == 0 && gone > 0 && tables.at[0] > 0)
		rc = tell_gone(drop, path, gone, &names, err);
	fmt_buf_free(&names);
	return rc;
}

/* A database that is not backed up any more is a matter of the configuration,
 * or of a DROP DATABASE, and is told. */
static bool
is_backed_up(const struct drop *drop, const char *path)
{
	const json_t *list =
	    json_object_get(drop->chosen->source->info, "databases");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *other = json_string_value(
		    json_object_get(json_array_get(list, i), "path"));

		if (other != NULL && strcmp(other, path) == 0)
			return true;
	}
	return false;
}

static int
judge_or_miss(struct drop *drop, const struct seen *first, size_t count,
    struct bkp_error *err)
{
	size_t len = database_length(drop, first->path);
	char *path = bkp_format(err, "%.*s", (int)len, first->path);
	char *name = NULL;
	int rc = -1;

	if (path == NULL)
		return -1;
	if (is_backed_up(drop, path)) {
		rc = judge_database(drop, path, first, count, err);
	} else if ((name = bkp_format(err, "%s/gone", path)) != NULL) {
		drop->findings++;
		bkp_run_message(drop->verify->run, BKP_WARNING, path,
		    "snapshots before have this database, this one has not");
		rc = bkp_verdict_add_about(drop->verify->verdict,
		    BKP_CHECK_PASS, err, name,
		    "snapshots before have this database, this one has not");
	}
	free(name);
	free(path);
	return rc;
}

static int
judge_tables(struct drop *drop, struct bkp_error *err)
{
	size_t next;
	int rc = 0;

	for (unsigned i = 0; i < drop->count; i++)
		if (read_tables(drop, i, err) < 0)
			return -1;
	if (drop->seen_count > 0)
		qsort(drop->seen, drop->seen_count, sizeof(*drop->seen),
		    compare_seen);
	for (size_t i = 0; rc == 0 && i < drop->seen_count; i = next) {
		size_t len = database_length(drop, drop->seen[i].path);

		for (next = i + 1;
		     next < drop->seen_count &&
		     database_length(drop, drop->seen[next].path) == len &&
		     memcmp(drop->seen[next].path, drop->seen[i].path, len) ==
			 0;)
			next++;
		rc = judge_or_miss(drop, &drop->seen[i], next - i, err);
	}
	return rc;
}

/* ---- a source ---- */

/* What its list and its bytes tell. */
static int
judge_totals(struct drop *drop, struct bkp_error *err)
{
	const char *prefix = drop->chosen->source->prefix;
	enum bkp_source_kind kind = drop->chosen->kind->kind;
	struct series entries = {.is_known = {false}}, bytes = entries;

	for (unsigned i = 0; i < drop->count; i++) {
		entries.at[i] = drop->sources[i]->entries;
		bytes.at[i] = drop->sources[i]->bytes;
		entries.is_known[i] = bytes.is_known[i] = true;
	}
	if (kind != BKP_KIND_COMMAND &&
	    judge(drop, prefix, kind == BKP_KIND_BUCKET ? "object" : "entry",
		&entries, true, err) < 0)
		return -1;
	if (kind != BKP_KIND_COMMAND && entries.at[0] == 0)
		return 0;
	return judge(drop, prefix, "byte", &bytes, true, err);
}

static int
tell_none(struct drop *drop, const char *what, struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/drop", drop->chosen->source->prefix);
	int rc = -1;

	if (name != NULL)
		rc = bkp_verdict_add_about(drop->verify->verdict,
		    BKP_CHECK_PASS, err, name, "%s", what);
	free(name);
	return rc;
}

/* An earlier list that is damaged is no mark on this snapshot. */
static int
judge_source(struct drop *drop, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	char *what;
	int rc;

	if (drop->count < 2)
		return tell_none(drop,
		    "there is no earlier snapshot of it to compare with", err);
	rc = drop->chosen->kind->kind == BKP_KIND_POSTGRES
		 ? judge_tables(drop, &why)
		 : judge_totals(drop, &why);
	if (rc < 0 && (why.code == BKP_NOMEM || why.code == BKP_CANCELLED)) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	if (rc < 0)
		return bkp_verdict_add_about(drop->verify->verdict,
		    BKP_CHECK_SKIP, err, drop->chosen->source->prefix,
		    "not compared with the snapshots before: %s", why.message);
	if (drop->findings > 0)
		return 0;
	what = bkp_format(err, "no less than %s had, but for at most %u%%",
	    bkp_counted(drop->count - 1, "snapshot").text,
	    drop->verify->limits.max_drop > 0 ? drop->verify->limits.max_drop
					      : TOLD_PERCENT);
	rc = what != NULL ? tell_none(drop, what, err) : -1;
	free(what);
	return rc;
}

/* The source as another snapshot has it; NULL: it has not. */
static const struct fmt_snapshot_source *
find_source(
    const struct fmt_snapshot *snapshot, const struct fmt_snapshot_source *of)
{
	for (size_t i = 0; i < snapshot->source_count; i++)
		if (strcmp(snapshot->sources[i].prefix, of->prefix) == 0 &&
		    strcmp(snapshot->sources[i].kind, of->kind) == 0)
			return &snapshot->sources[i];
	return NULL;
}

/* The newest ones before it. */
static void
find_earlier(struct drop *drop, const struct bkp_history *history)
{
	const struct fmt_snapshot *own = &drop->verify->opened.snapshot;

	drop->sources[drop->count++] = drop->chosen->source;
	for (size_t i = history->snapshots.count;
	     i-- > 0 && drop->count < MOMENTS;) {
		const struct bkp_named_snapshot *other =
		    &history->snapshots.items[i];
		const struct fmt_snapshot_source *source;

		if (strcmp(other->name, drop->verify->opened.name) == 0 ||
		    other->snapshot.time_us >= own->time_us ||
		    other->snapshot.host == NULL ||
		    strcmp(other->snapshot.host, own->host) != 0)
			continue;
		source = find_source(&other->snapshot, drop->chosen->source);
		if (source != NULL)
			drop->sources[drop->count++] = source;
	}
}

static int
verify_source(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    const struct bkp_history *history, struct bkp_error *err)
{
	struct drop drop = {.verify = verify, .chosen = chosen};
	int rc;

	/* A part has no counts of its own. */
	if (strcmp(chosen->selection, chosen->source->prefix) != 0)
		return 0;
	find_earlier(&drop, history);
	rc = judge_source(&drop, err);
	for (size_t i = 0; i < drop.seen_count; i++)
		free(drop.seen[i].path);
	free(drop.seen);
	return rc;
}

int
bkp_verify_drop(struct bkp_verify *verify, struct bkp_error *err)
{
	struct bkp_history history = BKP_HISTORY_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = 0;

	if (verify->options->mode != BKP_VERIFY_SCRATCH)
		return 0;
	if (verify->opened.repository->archive != NULL)
		return verify->limits.max_drop == 0
			   ? 0
			   : bkp_verdict_add_about(verify->verdict,
				 BKP_CHECK_SKIP, err, "drop",
				 "an archive has no earlier snapshots to "
				 "compare with");
	bkp_run_phase(verify->run, 0, 0, "comparing with the snapshots before");
	if (bkp_history_read(verify->opened.repository, &history, &why) < 0) {
		if (why.code != BKP_NOMEM && why.code != BKP_CANCELLED)
			return bkp_verdict_add_about(verify->verdict,
			    BKP_CHECK_SKIP, err, "drop",
			    "not compared with the snapshots before: %s",
			    why.message);
		if (err != NULL)
			*err = why;
		return -1;
	}
	for (size_t i = 0; rc == 0 && i < verify->opened.chosen_count; i++)
		rc = verify_source(
		    verify, &verify->opened.chosen[i], &history, err);
	bkp_history_free(&history);
	return rc;
}
