/* SPDX-License-Identifier: Apache-2.0 */
/* References in a verification: the restored databases beside the objects of
 * the snapshot. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/verify_impl.h"
#include "libbackup/postgres/catalogue.h"
#include "libbackup/postgres/names.h"

/* ---- a restored database ---- */

static bool
has_database(const struct fmt_snapshot_source *source, const char *path)
{
	const json_t *list = json_object_get(source->info, "databases");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *there = json_string_value(
		    json_object_get(json_array_get(list, i), "path"));

		if (there != NULL && strcmp(there, path) == 0)
			return true;
	}
	return false;
}

const char *
bkp_verify_lacks_database(const struct bkp_verify *verify,
    const struct bkp_chosen *chosen, const char *path)
{
	if (!has_database(chosen->source, path))
		return "the snapshot does not hold its database";
	if (!bkp_path_is_within(path, chosen->selection))
		return "no more than a part of its database was restored";
	if (verify->limits.level != BKP_LEVEL_FULL)
		return "rows are restored with the level full alone";
	return NULL;
}

/* Rows of foreign tables are where they always were. */
static bool
is_any_lost(const struct bkp_omitted *omitted, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(omitted[i].reason, BKP_PG_SKIPPED_FOREIGN) != 0)
			return true;
	return false;
}

int
bkp_verify_lacks_rows(
    struct bkp_verify *verify, const char *path, struct bkp_error *err)
{
	const struct bkp_omitted *own, *below;
	size_t count, more;

	if (bkp_opened_left_out(&verify->opened, path, &own, &count, err) < 0 ||
	    bkp_opened_left_out_below(
		&verify->opened, path, &below, &more, err) < 0)
		return -1;
	return is_any_lost(own, count) || is_any_lost(below, more);
}

/* A bkp_reference_lacks_fn. */
static int
lacks_table(void *arg, const struct bkp_reference_config *config,
    const char *schema, const char *table, struct bkp_error *err)
{
	struct bkp_verify *verify = arg;
	struct fmt_buf path = FMT_BUF_INIT;
	const char *text = NULL;
	int lacks;

	if (fmt_buf_printf(&path, "%s/data/", config->path) == FMT_OK &&
	    bkp_pg_path_table(&path, schema, table) == FMT_OK)
		text = fmt_buf_text(&path);
	lacks = text != NULL ? bkp_verify_lacks_rows(verify, text, err)
			     : bkp_fail_nomem(err, "looking for a table");
	fmt_buf_free(&path);
	return lacks;
}

static int
read_keys(struct bkp_verify *verify, const struct bkp_reference_config *config,
    const struct bkp_source_config *place, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (bkp_pg_open(
		&pg, &place->postgres, config->database, verify->run, err) < 0)
		return -1;
	pg.is_ticking = true;
	if (bkp_pg_do(&pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
		err) == 0)
		rc = bkp_references_read(
		    &verify->references, config->path, &pg, err);
	bkp_pg_close(&pg);
	return rc;
}

static bool
is_next(const struct bkp_reference *it, const struct bkp_chosen *chosen)
{
	return it->state == BKP_REFERENCE_WAITING &&
	       strcmp(it->config->source, chosen->source->prefix) == 0;
}

/* First of all, for one that is read has the others of its database read. */
static int
skip_some(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_error *err)
{
	for (size_t i = 0; i < verify->references.count; i++) {
		struct bkp_reference *it = &verify->references.items[i];
		const char *why;
		int lacks;

		if (!is_next(it, chosen))
			continue;
		why =
		    bkp_verify_lacks_database(verify, chosen, it->config->path);
		if ((lacks = lacks_table(verify, it->config, it->config->schema,
			 it->config->relation, err)) < 0)
			return -1;
		/* Where the backup has none of its rows, no row would name
		 * anything. */
		if (why == NULL && lacks > 0)
			why = "its table's rows were left out when the backup "
			      "was made";
		if (why != NULL && bkp_reference_skip(it, err, "%s", why) < 0)
			return -1;
	}
	return 0;
}

int
bkp_verify_references(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_source_config *place, struct bkp_error *err)
{
	struct bkp_references *references = &verify->references;

	(void)supply;
	if (verify->options->mode == BKP_VERIFY_LIVE || place == NULL)
		return 0;
	if (skip_some(verify, chosen, err) < 0)
		return -1;
	references->lacks = lacks_table;
	references->lacks_arg = verify;
	for (size_t i = 0; i < references->count; i++) {
		const struct bkp_reference *it = &references->items[i];

		if (!is_next(it, chosen))
			continue;
		bkp_run_phase(
		    verify->run, 0, 0, "%s: keys of objects", it->config->path);
		if (read_keys(verify, it->config, place, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the objects ---- */

/* What cannot be read of the list of objects is known to be missing to
 * nobody. */
static int
fail_all(struct bkp_references *references, const char *prefix,
    const struct bkp_error *why, struct bkp_error *err)
{
	for (size_t i = 0; i < references->count; i++)
		if (references->items[i].state == BKP_REFERENCE_READ &&
		    strcmp(references->items[i].config->bucket, prefix) == 0 &&
		    bkp_reference_fail(&references->items[i], err,
			"the objects of %s are not known: %s", prefix,
			why->message) < 0)
			return -1;
	return 0;
}

static int
see_objects(struct bkp_verify *verify, const struct fmt_snapshot_source *source,
    struct bkp_reference_bucket *bucket, struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int more;

	if (bkp_entry_stream_open(verify->opened.repository, source->list,
		source->list_count, NULL, &stream, err) < 0)
		return -1;
	while ((more = bkp_entry_stream_next(stream, &entry, err)) == 1) {
		if (bkp_run_check(verify->run, err) < 0 ||
		    bkp_reference_bucket_see(bucket, &entry, err) < 0)
			more = -1;
		fmt_entry_free(&entry);
		if (more < 0)
			break;
	}
	bkp_entry_stream_close(stream);
	return more < 0 ? -1 : bkp_reference_bucket_finish(bucket, err);
}

static int
tell_orphans(struct bkp_verify *verify,
    const struct bkp_reference_bucket *bucket, struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/references", bucket->prefix);
	char *text = bkp_reference_bucket_tell(bucket, err);
	int rc = -1;

	if (name != NULL && text != NULL)
		rc = bkp_verdict_add(
		    verify->verdict, BKP_CHECK_PASS, err, name, "%s", text);
	free(name);
	free(text);
	return rc;
}

static int
match_bucket(struct bkp_verify *verify,
    const struct fmt_snapshot_source *source, struct bkp_error *err)
{
	struct bkp_references *references = &verify->references;
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_reference_bucket bucket;
	int rc = 0;

	if (bkp_reference_bucket_begin(
		references, source->prefix, &bucket, err) < 0)
		return -1;
	if (bucket.match == NULL)
		goto out;
	if (see_objects(verify, source, &bucket, &why) == 0) {
		rc = bucket.is_whole ? tell_orphans(verify, &bucket, err) : 0;
	} else if (why.code == BKP_CORRUPT) {
		rc = fail_all(references, source->prefix, &why, err);
	} else {
		rc = -1;
		if (err != NULL)
			*err = why;
	}
out:
	bkp_reference_bucket_free(&bucket);
	return rc;
}

/* ---- the lines ---- */

static int
tell_one(
    struct bkp_verify *verify, struct bkp_reference *it, struct bkp_error *err)
{
	struct bkp_verdict *verdict = verify->verdict;
	enum bkp_check_status status = BKP_CHECK_PASS;
	char *text;
	int rc;

	if (it->state == BKP_REFERENCE_FAILED)
		return bkp_verdict_add(
		    verdict, BKP_CHECK_FAIL, err, it->name, "%s", it->why);
	if (it->state == BKP_REFERENCE_READ)
		return bkp_verdict_add(verdict, BKP_CHECK_SKIP, err, it->name,
		    "the snapshot does not hold %s", it->config->bucket);
	if (it->state != BKP_REFERENCE_MATCHED)
		return bkp_verdict_add(verdict, BKP_CHECK_SKIP, err, it->name,
		    "%s",
		    it->why != NULL ? it->why
		    : verify->options->mode == BKP_VERIFY_LIVE
			? "a database in use has moved on from the objects of "
			  "the snapshot"
			: "its database was not restored");
	if (bkp_reference_is_broken(it))
		status = BKP_CHECK_FAIL;
	else if (it->lacks != NULL)
		status = BKP_CHECK_SKIP;
	if ((text = bkp_reference_tell(it, err)) == NULL)
		return -1;
	rc = bkp_verdict_add(verdict, status, err, it->name, "%s%s%s", text,
	    it->lacks != NULL ? "; keys were not looked for in rows that were "
				"left out when the backup was made, of "
			      : "",
	    it->lacks != NULL ? it->lacks : "");
	free(text);
	return rc;
}

int
bkp_verify_tell_references(struct bkp_verify *verify, struct bkp_error *err)
{
	const struct fmt_snapshot *snapshot = &verify->opened.snapshot;
	struct bkp_references *references = &verify->references;

	if (references->count == 0)
		return 0;
	for (size_t i = 0; i < snapshot->source_count; i++)
		if (match_bucket(verify, &snapshot->sources[i], err) < 0)
			return -1;
	for (size_t i = 0; i < references->count; i++)
		if (tell_one(verify, &references->items[i], err) < 0)
			return -1;
	return 0;
}
