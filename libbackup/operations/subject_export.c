/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An export:
 *
 *   of a snapshot: restore its database into a scratch cluster
 *   open the walk: one snapshot, every table locked against change of shape
 *   review: a map that leaves anything undecided is refused
 *   walk: which rows
 *   write: rows, files, pages for people, and the manifest last
 *   commit: only now does it have its name
 */
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/archive/bucket_input.h"
#include "libbackup/operations/archive_options.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/subject_impl.h"
#include "libbackup/s3/s3.h"
#include "libbackup/subject/audit.h"
#include "libbackup/subject/exported.h"

/* ---- the beginning ---- */

/* One for portability cannot tell what is derived where the map does not. */
static bool
lacks_origin(const struct bkp_subject_opened *opened,
    const struct bkp_review_finding *finding)
{
	return opened->is_portability &&
	       strcmp(finding->kind, "origin-undecided") == 0;
}

/* Advice is what an export can do without. Where rows are read, the walk goes
 * without tables that cannot be, and says so. */
static bool
is_open(const struct bkp_subject_opened *opened,
    const struct bkp_review_finding *finding, bool is_reading)
{
	if (is_reading && strcmp(finding->kind, "table-unreadable") == 0)
		return strcmp(finding->what, opened->map.table) == 0;
	return finding->level == BKP_REVIEW_FINDING ||
	       lacks_origin(opened, finding);
}

/* Tells of everything that is open; how much is, and how much of that is an
 * origin only. */
static size_t
tell_open(const struct bkp_subject_opened *opened,
    const struct bkp_review *review, bool is_reading, size_t *origins)
{
	size_t count = 0;

	for (size_t i = 0; i < review->count; i++) {
		const struct bkp_review_finding *finding = &review->findings[i];

		if (!is_open(opened, finding, is_reading))
			continue;
		bkp_run_message(opened->run, BKP_WARNING, NULL, "%s: %s",
		    finding->what, finding->message);
		count++;
		*origins += lacks_origin(opened, finding);
	}
	return count;
}

static int
refuse(const struct bkp_subject_opened *opened, size_t count, size_t origins,
    struct bkp_error *err)
{
	if (count == origins)
		return bkp_fail(err, BKP_INVALID,
		    "the map %s does not say of %zu table%s, named above, "
		    "where the rows are from, and an export for portability is "
		    "of what was provided and observed: give each an origin "
		    "under 'tables'",
		    opened->map.path, count, count == 1 ? "" : "s");
	if (opened->past != NULL && bkp_past_is_damaged(opened->past))
		return bkp_fail(err, BKP_CORRUPT,
		    "snapshot %.12s could not be restored whole, as is named "
		    "above, and the map %s does not fit what is left of the "
		    "database (%zu findings): take another snapshot, or "
		    "backup-check --repair first",
		    opened->past->opened.name, opened->map.path, count);
	return bkp_fail(err, BKP_INVALID,
	    "the map %s does not fit the database (%zu findings), and nothing "
	    "undecided is exported; backup-export check lists what to decide",
	    opened->map.path, count);
}

static int
review(
    struct bkp_subject_opened *opened, bool is_reading, struct bkp_error *err)
{
	struct bkp_review review = BKP_REVIEW_INIT;
	size_t count = 0;
	size_t origins = 0;
	int rc = bkp_review(bkp_walk_session(opened->walk),
	    bkp_walk_model(opened->walk), &opened->map, &review, err);

	if (rc == 0)
		count = tell_open(opened, &review, is_reading, &origins);
	if (count > 0)
		rc = refuse(opened, count, origins, err);
	bkp_review_free(&review);
	return rc;
}

static int
check_key(const struct bkp_map *map, size_t count, struct bkp_error *err)
{
	if (count == map->key.count)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "the subject is known by %zu column%s of %s, and %zu value%s given",
	    map->key.count, map->key.count == 1 ? "" : "s", map->table, count,
	    count == 1 ? " is" : "s are");
}

int
bkp_subject_open(struct bkp_subject_opened *opened,
    const struct bkp_subject_source *from, size_t key_count, bool is_reading,
    const struct bkp_events *events, const struct bkp_cancel *cancel,
    struct bkp_error *err)
{
	const struct bkp_postgres_config *config;
	const char *database;

	if (bkp_subject_run(events, cancel, &opened->run, err) < 0 ||
	    bkp_map_load(from->map, &opened->map, err) < 0 ||
	    check_key(&opened->map, key_count, err) < 0 ||
	    bkp_subject_place(from, events, cancel, true, &opened->past,
		&config, &database, err) < 0)
		return -1;
	if ((is_reading ? bkp_walk_open_reading : bkp_walk_open)(config,
		database, &opened->map, opened->run, &opened->walk, err) < 0)
		return -1;
	if (opened->past != NULL &&
	    bkp_past_note(opened->past, opened->walk, opened->run, err) < 0)
		return -1;
	return review(opened, is_reading, err);
}

void
bkp_subject_close(struct bkp_subject_opened *opened)
{
	bkp_walk_close(opened->walk);
	bkp_past_close(opened->past);
	bkp_map_free(&opened->map);
	bkp_run_free(opened->run);
}

/* Finds the rows. Where a snapshot's subject is not there, it may have been
 * erased since, or be in what the repository has lost. */
static int
find_rows(struct bkp_subject_opened *opened, const char *const *key,
    size_t key_count, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	const char *when = NULL;
	char text[32];

	if (bkp_walk_run(opened->walk, key, key_count, &why) == 0)
		return 0;
	if (why.code == BKP_NOTFOUND && opened->past != NULL)
		when = bkp_past_when_erased(opened->past, opened->walk,
		    &opened->map, key, key_count, text);
	if (when != NULL)
		return bkp_fail(err, BKP_NOTFOUND,
		    "the subject was erased on %s (UTC), and what backups hold "
		    "of it is not given out",
		    when);
	if (why.code == BKP_NOTFOUND && opened->past != NULL &&
	    bkp_past_is_damaged(opened->past))
		return bkp_fail(err, BKP_CORRUPT,
		    "%s, but snapshot %.12s could not be restored whole, as is "
		    "named above, so it may be in what is lost: take another "
		    "snapshot, or backup-check --repair first",
		    why.message, opened->past->opened.name);
	if (err != NULL)
		*err = why;
	return -1;
}

/* ---- the export ---- */

static int
open_package(const struct bkp_subject_export_options *options,
    struct bkp_run *run, struct bkp_package **out, struct bkp_error *err)
{
	static const enum bkp_package_form forms[] = {
	    [BKP_SUBJECT_FOLDER] = BKP_PACKAGE_FOLDER,
	    [BKP_SUBJECT_TAR_ZST] = BKP_PACKAGE_TAR_ZST,
	    [BKP_SUBJECT_ZIP] = BKP_PACKAGE_ZIP,
	};
	const struct bkp_package_options package = {
	    .form = forms[options->form],
	    .recipients = options->recipients,
	    .recipient_count = options->recipient_count,
	    .passphrase = options->passphrase,
	    .time = bkp_clock_utc_us() / 1000000,
	    .output =
		{
		    .location = options->output,
		    .split = options->split,
		    .is_overwrite = options->is_overwrite != 0,
		    .bucket =
			bkp_bucket_of(options->from.config, options->output),
		    .endpoint = options->endpoint,
		    .cancel = options->cancel,
		},
	};

	if (options->form != BKP_SUBJECT_FOLDER &&
	    options->recipient_count == 0 && options->passphrase == NULL &&
	    !options->is_open)
		return bkp_fail(err, BKP_INVALID,
		    "nobody is named to encrypt the export to; give "
		    "recipients or a passphrase, or say that it is not to be "
		    "encrypted");
	return bkp_package_open(&package, run, out, err);
}

static int
write_files(const struct bkp_subject_opened *opened, struct bkp_export *export,
    const struct bkp_config *config, struct bkp_error *err)
{
	struct bkp_objects *objects = NULL;
	int rc;

	bkp_run_phase(export->run, 0, 0, "fetching files");
	rc = opened->past != NULL
		 ? bkp_past_objects(opened->past, export->run, &objects, err)
		 : bkp_objects_live(config, export->run, &objects, err);
	if (rc == 0)
		rc = bkp_export_files(export, objects, err);
	if (objects != NULL)
		objects->ops->close(objects);
	return rc;
}

static int
write_parts(const struct bkp_subject_opened *opened, struct bkp_export *export,
    const struct bkp_config *config, struct bkp_error *err)
{
	bkp_run_phase(export->run, 0, 0, "writing rows");
	if (bkp_export_tables(export, err) < 0 ||
	    bkp_export_core(export, err) < 0)
		return -1;
	if (write_files(opened, export, config, err) < 0 ||
	    bkp_export_pages(export, err) < 0 ||
	    bkp_export_schema(export, err) < 0)
		return -1;
	return bkp_export_manifest(export, err);
}

static void
fill_result(
    const struct bkp_export *export, struct bkp_subject_export_result *result)
{
	for (size_t i = 0; i < export->table_count; i++)
		result->rows += export->tables[i].rows;
	result->tables = export->table_count;
	result->files = export->object_count;
	result->file_bytes = export->object_bytes;
	(void)bkp_run_omissions(export->run, &result->omission_count);
}

/* The address that the export is handed over by. */
static int
make_link(const struct bkp_subject_export_options *options, char **link,
    struct bkp_error *err)
{
	const struct bkp_bucket_config *config =
	    bkp_bucket_of(options->from.config, options->output);
	struct bkp_s3_options s3_options = {.endpoint = NULL};
	struct bkp_s3 *s3 = NULL;
	char *bucket = NULL, *key = NULL;
	int rc = -1;

	if (config != NULL)
		s3_options = bkp_s3_options_of(config);
	if (options->endpoint != NULL)
		s3_options.endpoint = options->endpoint;
	if (bkp_bucket_split(options->output, &bucket, &key, err) == 0 &&
	    bkp_s3_new(&s3_options, &s3, err) == 0)
		rc = bkp_s3_link(
		    s3, bucket, key, options->link_seconds, link, err);
	bkp_s3_free(s3);
	free(bucket);
	free(key);
	return rc;
}

static int
renew_link(const struct bkp_subject_export_options *options, char **link,
    struct bkp_error *err)
{
	if (options->link_seconds == 0)
		return 0;
	if (options->split > 0)
		return bkp_fail(err, BKP_INVALID,
		    "a link is to one object, and this export is split");
	free(*link);
	*link = NULL;
	return make_link(options, link, err);
}

/* What is exported, and of which moment. */
static int
begin_export(const struct bkp_subject_opened *opened,
    const struct bkp_subject_export_options *options, struct bkp_export *export,
    struct bkp_error *err)
{
	export->walk = opened->walk;
	export->map = &opened->map;
	export->run = opened->run;
	export->key = options->key;
	export->key_count = options->key_count;
	export->profile = options->is_portability ? BKP_PROFILE_PORTABILITY
						  : BKP_PROFILE_ACCESS;
	export->has_csv = options->has_csv != 0;
	export->has_files = !options->has_no_files;
	export->time = bkp_walk_time(opened->walk);
	export->lsn = bkp_walk_lsn(opened->walk);
	if (opened->past != NULL) {
		export->time = opened->past->time;
		export->lsn = opened->past->lsn;
		export->snapshot = opened->past->opened.name;
	}
	if (fmt_random(export->secret, sizeof(export->secret)) != FMT_OK)
		return bkp_fail(err, BKP_IO, "OpenSSL has no random bytes");
	return 0;
}

/* Everything but the audit. */
static int
write_export(struct bkp_subject_opened *opened,
    const struct bkp_subject_export_options *options,
    struct bkp_subject_export_result *result, struct bkp_error *err)
{
	struct bkp_export export = BKP_EXPORT_INIT;
	struct bkp_package *package = NULL;
	int rc = -1;

	if (begin_export(opened, options, &export, err) < 0)
		goto out;
	/* Made first to see that it can be, and again when there is something
	 * at the other end: its time begins then. */
	if (renew_link(options, &result->link, err) < 0 ||
	    open_package(options, opened->run, &package, err) < 0)
		goto out;
	export.package = package;
	if (write_parts(opened, &export, options->from.config, err) < 0 ||
	    bkp_package_commit(package, result->sha256, &result->stored_bytes,
		&result->parts, err) < 0 ||
	    renew_link(options, &result->link, err) < 0)
		goto out;
	fill_result(&export, result);
	if (export.snapshot != NULL)
		memcpy(result->snapshot, export.snapshot,
		    sizeof(result->snapshot));
	rc = 0;
out:
	bkp_package_close(package);
	bkp_export_fini(&export);
	return rc;
}

/* An export that nobody could look up later is not made: what cannot be
 * written to the audit file does not begin. */
static int
export_subject(struct bkp_subject_opened *opened,
    const struct bkp_subject_export_options *options,
    struct bkp_subject_export_result *result, struct bkp_error *err)
{
	struct bkp_audit_entry entry = {
	    .event = "export-begun",
	    .who = options->requester,
	    .table = opened->map.table,
	    .key = options->key,
	    .key_count = options->key_count,
	    .map_sha256 = opened->map.sha256,
	    .snapshot = opened->past != NULL ? opened->past->opened.name : NULL,
	};
	struct bkp_audit *audit = NULL;
	int rc = -1;

	bkp_run_phase(opened->run, 0, 0, "finding the rows");
	if (find_rows(opened, options->key, options->key_count, err) < 0 ||
	    bkp_audit_open(options->audit, &audit, err) < 0 ||
	    bkp_audit_append(audit, &entry, err) < 0)
		goto out;
	rc = write_export(opened, options, result, err);
	entry.event = "export-ended";
	entry.state = rc < 0                       ? "failed"
		      : result->omission_count > 0 ? "partial"
						   : "complete";
	entry.sha256 = rc == 0 ? result->sha256 : NULL;
	if (bkp_audit_append(audit, &entry, rc == 0 ? err : NULL) < 0 &&
	    rc == 0) {
		(void)bkp_fail_in(err, "the export was written, and");
		rc = -1;
	}
out:
	bkp_audit_close(audit);
	return rc;
}

int
bkp_subject_export(const struct bkp_subject_export_options *options,
    struct bkp_subject_export_result *result, struct bkp_error *err)
{
	struct bkp_subject_opened opened = BKP_SUBJECT_OPENED_INIT;
	struct bkp_subject_export_result made = {.rows = 0};
	uint64_t began = bkp_clock_ms();
	int rc = -1;

	opened.is_portability = options->is_portability != 0;
	if (bkp_subject_open(&opened, &options->from, options->key_count, true,
		&options->events, options->cancel, err) == 0)
		rc = export_subject(&opened, options, &made, err);
	bkp_subject_close(&opened);
	if (rc == 0) {
		made.duration_ms = bkp_clock_ms() - began;
		*result = made;
	} else {
		bkp_subject_export_result_free(&made);
	}
	return rc;
}

void
bkp_subject_export_result_free(struct bkp_subject_export_result *result)
{
	free(result->link);
	result->link = NULL;
}

/* ---- audit ---- */

int
bkp_subject_audit(const char *path, struct bkp_subject_audit_result *result,
    struct bkp_error *err)
{
	struct bkp_audit *audit = NULL;
	int rc = -1;

	if (bkp_audit_open(path, &audit, err) < 0)
		return -1;
	result->path = bkp_strdup(bkp_audit_path(audit), err);
	if (result->path != NULL) {
		result->lines = bkp_audit_lines(audit);
		memcpy(
		    result->head, bkp_audit_head(audit), sizeof(result->head));
		rc = 0;
	}
	bkp_audit_close(audit);
	return rc;
}

void
bkp_subject_audit_result_free(struct bkp_subject_audit_result *result)
{
	free(result->path);
	result->path = NULL;
}

/* ---- explain ---- */

struct held {
	struct bkp_walk_path path;
	struct bkp_subject_step *steps;
	char **texts; /* owned: tables and edges, which outlive the model */
	size_t text_count;
};

static void
free_held(struct held *held)
{
	if (held == NULL)
		return;
	bkp_walk_path_free(&held->path);
	for (size_t i = 0; i < held->text_count; i++)
		free(held->texts[i]);
	free(held->texts);
	free(held->steps);
	free(held);
}

static const char *
keep(struct held *held, const char *text, struct bkp_error *err)
{
	char *copy = bkp_strdup(text, err);

	if (copy != NULL)
		held->texts[held->text_count++] = copy;
	return copy;
}

static int
hand_over(struct held *held, const struct bkp_model *model,
    struct bkp_subject_explain_result *result, struct bkp_error *err)
{
	size_t count = held->path.count;

	held->steps =
	    bkp_alloc_array(count > 0 ? count : 1, sizeof(*held->steps), err);
	held->texts = bkp_alloc_array(
	    2 * (count > 0 ? count : 1), sizeof(*held->texts), err);
	if (held->steps == NULL || held->texts == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct bkp_walk_step *step = &held->path.steps[i];
		struct bkp_subject_step *out = &held->steps[i];

		out->table = keep(held, model->tables[step->table].id, err);
		out->row = step->row;
		out->decision = bkp_decided_name(step->decided);
		if (step->edge != NULL)
			out->edge = keep(held, step->edge, err);
		if (out->table == NULL ||
		    (step->edge != NULL && out->edge == NULL))
			return -1;
	}
	result->steps = held->steps;
	result->step_count = count;
	result->memory = held;
	return 0;
}

static int
explain(struct bkp_subject_opened *opened,
    const struct bkp_subject_explain_options *options, struct held *held,
    struct bkp_error *err)
{
	const struct bkp_model *model = bkp_walk_model(opened->walk);
	size_t table = bkp_model_table(model, options->table);

	if (table == SIZE_MAX)
		return bkp_fail(err, BKP_NOTFOUND,
		    "the database has no table %s; name it with its schema, "
		    "as in public.orders",
		    options->table);
	if (find_rows(opened, options->key, options->key_count, err) < 0)
		return -1;
	return bkp_walk_explain(opened->walk, table, options->row,
	    options->row_count, &held->path, err);
}

int
bkp_subject_explain(const struct bkp_subject_explain_options *options,
    struct bkp_subject_explain_result *result, struct bkp_error *err)
{
	struct bkp_subject_opened opened = BKP_SUBJECT_OPENED_INIT;
	struct held *held = bkp_alloc(sizeof(*held), err);
	int rc = -1;

	if (held == NULL)
		return -1;
	if (bkp_subject_open(&opened, &options->from, options->key_count, false,
		&options->events, options->cancel, err) == 0 &&
	    explain(&opened, options, held, err) == 0)
		rc = hand_over(held, bkp_walk_model(opened.walk), result, err);
	if (rc < 0)
		free_held(held);
	bkp_subject_close(&opened);
	return rc;
}

void
bkp_subject_explain_result_free(struct bkp_subject_explain_result *result)
{
	free_held(result->memory);
	result->memory = NULL;
}
