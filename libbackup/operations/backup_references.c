/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/backup_references.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"

/* ---- before any row is copied ---- */

static bool
is_one_of(const char *prefix, const char *const *prefixes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(prefixes[i], prefix) == 0)
			return true;
	return false;
}

int
bkp_backup_references_limit(struct bkp_references *references,
    const char *const *prefixes, size_t count, struct bkp_run *run,
    struct bkp_error *err)
{
	for (size_t i = 0; i < references->count; i++) {
		struct bkp_reference *it = &references->items[i];
		const char *other = NULL;

		if (!is_one_of(it->config->source, prefixes, count))
			other = it->config->source;
		else if (!is_one_of(it->config->bucket, prefixes, count))
			other = it->config->bucket;
		if (other == NULL)
			continue;
		if (bkp_reference_skip(
			it, err, "%s is not part of this backup", other) < 0)
			return -1;
		bkp_run_message(
		    run, BKP_INFO, it->name, "not looked at: %s", it->why);
	}
	return 0;
}

/* The first of several references of one database. */
static bool
is_first(const struct bkp_references *references, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (references->items[i].state == BKP_REFERENCE_WAITING &&
		    strcmp(references->items[i].config->path,
			references->items[n].config->path) == 0)
			return false;
	return references->items[n].state == BKP_REFERENCE_WAITING;
}

int
bkp_backup_references_check(struct bkp_references *references,
    struct bkp_source *source, struct bkp_error *err)
{
	for (size_t i = 0; i < references->count; i++) {
		const struct bkp_reference_config *config =
		    references->items[i].config;
		struct bkp_pg *pg = NULL;

		if (strcmp(config->source, source->prefix) != 0 ||
		    !is_first(references, i))
			continue;
		if (source->ops->session != NULL)
			pg = source->ops->session(source, config->path);
		if (pg == NULL)
			return bkp_fail(err, BKP_INVALID,
			    "%s:%u: the reference %s: the database %s is none "
			    "of those that %s backs up",
			    references->config->path, config->line,
			    references->items[i].name, config->database,
			    config->source);
		if (bkp_references_check(references, config->path, pg, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_backup_references_read(struct bkp_references *references,
    struct bkp_source *source, struct bkp_run *run, struct bkp_error *err)
{
	for (size_t i = 0; i < references->count; i++) {
		struct bkp_reference *it = &references->items[i];

		if (strcmp(it->config->source, source->prefix) != 0 ||
		    it->state != BKP_REFERENCE_WAITING)
			continue;
		bkp_run_phase(
		    run, 0, 0, "%s: keys of objects", it->config->path);
		if (bkp_references_read(references, it->config->path,
			source->ops->session(source, it->config->path),
			err) < 0)
			return -1;
	}
	for (size_t i = 0; i < references->count; i++) {
		const struct bkp_reference *it = &references->items[i];

		if (it->state == BKP_REFERENCE_FAILED &&
		    strcmp(it->config->source, source->prefix) == 0 &&
		    bkp_run_omit(run, err, it->name,
			"whether its keys have objects in %s is not known: %s",
			it->config->bucket, it->why) < 0)
			return -1;
	}
	return 0;
}

/* ---- after the objects ---- */

/* Keys that only are missing here. */
static int
note_missing(const struct bkp_reference *reference, struct bkp_run *run,
    struct bkp_error *err)
{
	const struct bkp_key_tally *tally = bkp_named_tally(reference->named);
	const struct bkp_reference_config *config = reference->config;

	for (size_t i = 0; i < tally->shown_count; i++) {
		char *path =
		    bkp_format(err, "%s/%s", config->bucket, tally->shown[i]);
		int rc = -1;

		if (path != NULL)
			rc = bkp_run_omit(run, err, path,
			    "a row names it (%s), and there is no such object",
			    reference->name);
		free(path);
		if (rc < 0)
			return -1;
	}
	if (tally->missing == tally->shown_count)
		return 0;
	return bkp_run_omit(run, err, reference->name,
	    "%s more of no object in %s; the first %d are named",
	    bkp_counted(tally->missing - tally->shown_count, "key").text,
	    config->bucket, BKP_NAMED_SHOWN);
}

static int
tell_one(const struct bkp_reference *reference, struct bkp_run *run,
    json_t *list, struct bkp_error *err)
{
	const struct bkp_key_tally *tally = bkp_named_tally(reference->named);
	bool is_broken = bkp_reference_is_broken(reference);
	char *text = bkp_reference_tell(reference, err);

	if (text == NULL)
		return -1;
	bkp_run_message(run, is_broken ? BKP_WARNING : BKP_INFO,
	    reference->name, "%s", text);
	free(text);
	if (json_array_append_new(
		list, json_pack("{s:s, s:I, s:I, s:i}", "name", reference->name,
			  "keys", (json_int_t)tally->count, "missing",
			  (json_int_t)tally->missing, "accepted",
			  (int)reference->config->missing)) < 0)
		return bkp_fail_nomem(err, "telling of keys");
	return is_broken ? note_missing(reference, run, err) : 0;
}

static int
tell_orphans(const struct bkp_reference_bucket *bucket, struct bkp_run *run,
    json_t *info, struct bkp_error *err)
{
	json_int_t missing =
	    (json_int_t)bkp_match_orphans(bucket->match)->missing;
	char *text;

	if (!bucket->is_whole)
		return 0;
	if ((text = bkp_reference_bucket_tell(bucket, err)) == NULL)
		return -1;
	bkp_run_message(run, BKP_INFO, bucket->prefix, "%s", text);
	free(text);
	if (json_object_set_new(
		info, "objects_no_row_names", json_integer(missing)) < 0)
		return bkp_fail_nomem(err, "telling of keys");
	return 0;
}

int
bkp_backup_references_tell(struct bkp_reference_bucket *bucket,
    struct bkp_run *run, json_t *info, struct bkp_error *err)
{
	struct bkp_references *references = bucket->references;
	json_t *list;

	if (bucket->match == NULL)
		return 0;
	if (bkp_reference_bucket_finish(bucket, err) < 0)
		return -1;
	if ((list = json_array()) == NULL ||
	    json_object_set_new(info, "references", list) < 0)
		return bkp_fail_nomem(err, "telling of keys");
	for (size_t i = 0; i < references->count; i++) {
		const struct bkp_reference *it = &references->items[i];

		if (it->state == BKP_REFERENCE_MATCHED &&
		    strcmp(it->config->bucket, bucket->prefix) == 0 &&
		    tell_one(it, run, list, err) < 0)
			return -1;
	}
	return tell_orphans(bucket, run, info, err);
}
