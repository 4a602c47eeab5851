/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup:
 *
 *   open the repositories and begin a session in each (places.h)
 *   prepare every source: from here on all of them show one moment
 *   read which objects the databases name (references.h)
 *   run each source into the session; databases first, since an open database
 *     snapshot holds back vacuum, and each is let go as soon as it is copied
 *   commit: packs, index, and last the snapshot object
 *
 * Until the last step the repositories are as they were, whatever happens.
 * Those that are not alike have a turn each, one after the other.
 */
#include "libbackup/operations.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/backup_impl.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/shares.h"

/* A program that was built against an older header gives less. */
static struct bkp_backup_options
adopt(const struct bkp_backup_options *given)
{
	struct bkp_backup_options options = BKP_BACKUP_OPTIONS_INIT;

	memcpy(&options, given,
	    given->size < sizeof(options) ? given->size : sizeof(options));
	return options;
}

/* ---- the steps ---- */

static int
prepare_parts(struct backup *backup, struct bkp_error *err)
{
	for (size_t i = 0; i < backup->part_count; i++) {
		struct backup_part *part = &backup->parts[i];

		bkp_run_phase(
		    backup->run, 0, 0, "preparing %s", part->config->prefix);
		if (bkp_run_check(backup->run, err) < 0)
			return -1;
		if (part->source->ops->prepare(part->source, part->sink, err) <
		    0)
			return bkp_fail_in(err, "%s", part->config->prefix);
	}
	backup->snapshot.time_us = bkp_clock_utc_us();
	return 0;
}

static int
limit_references(struct backup *backup, struct bkp_error *err)
{
	const char **prefixes =
	    bkp_alloc_array(backup->part_count, sizeof(*prefixes), err);
	int rc;

	if (prefixes == NULL)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++)
		prefixes[i] = backup->parts[i].config->prefix;
	rc = bkp_backup_references_limit(&backup->references, prefixes,
	    backup->part_count, backup->run, err);
	free(prefixes);
	return rc;
}

/* All are understood before the first is read, and read before the first row is
 * copied: what is wrong in the configuration is told at once. */
static int
read_references(struct backup *backup, struct bkp_error *err)
{
	if (bkp_references_new(backup->config, &backup->references, err) < 0)
		return -1;
	if (backup->references.count == 0)
		return 0;
	if (limit_references(backup, err) < 0)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++)
		if (bkp_backup_references_check(
			&backup->references, backup->parts[i].source, err) < 0)
			return -1;
	for (size_t i = 0; i < backup->part_count; i++)
		if (bkp_backup_references_read(&backup->references,
			backup->parts[i].source, backup->run, err) < 0)
			return -1;
	return 0;
}

/* Runs a source, and looks at its objects beside the keys that rows name. */
static int
run_matched(struct backup *backup, struct backup_part *part, json_t **info,
    struct bkp_error *err)
{
	struct bkp_reference_bucket bucket;
	int rc = -1;

	if (bkp_reference_bucket_begin(
		&backup->references, part->config->prefix, &bucket, err) < 0)
		return -1;
	bkp_sink_watch(part->sink, bkp_reference_bucket_see, &bucket);
	if (part->source->ops->run(part->source, part->sink, err) == 0 &&
	    part->source->ops->info(part->source, info, err) == 0)
		rc = bkp_backup_references_tell(
		    &bucket, backup->run, *info, err);
	bkp_sink_watch(part->sink, NULL, NULL);
	bkp_reference_bucket_free(&bucket);
	return rc;
}

static int
run_part(struct backup *backup, size_t n, struct bkp_error *err)
{
	struct backup_part *part = &backup->parts[n];
	struct fmt_snapshot_source *source = &backup->snapshot.sources[n];
	const struct bkp_tally *tally;

	bkp_run_phase(backup->run, 0, 0, "backing up %s", part->config->prefix);
	if (bkp_run_check(backup->run, err) < 0)
		return -1;
	if (run_matched(backup, part, &source->info, err) < 0)
		return bkp_fail_in(err, "%s", part->config->prefix);
	part->source->ops->close(part->source);
	part->source = NULL;
	if (bkp_sink_finish(
		part->sink, &source->list, &source->list_count, err) < 0)
		return bkp_fail_in(err, "%s", part->config->prefix);
	bkp_backup_tell_earlier(backup, part);
	bkp_group_tell(backup->group, backup->run);
	tally = bkp_sink_tally(part->sink);
	source->entries = tally->entries;
	source->bytes = tally->bytes;
	bkp_run_message(backup->run, BKP_INFO, part->config->prefix,
	    "%llu entries", (unsigned long long)tally->entries);
	return 0;
}

/* What others read, too: databases first, whose moment is held until then. */
static int
run_shared_parts(struct backup *backup, bool is_database, struct bkp_error *err)
{
	for (size_t i = 0; i < backup->part_count; i++) {
		const struct backup_part *part = &backup->parts[i];

		if (part->is_led &&
		    (part->config->kind == BKP_KIND_POSTGRES) == is_database &&
		    run_part(backup, i, err) < 0)
			return -1;
	}
	return 0;
}

/* What nobody else reads is read meanwhile. */
static int
run_led_parts(struct backup *backup, const struct bkp_backup_options *options,
    struct bkp_error *err)
{
	for (size_t i = 0; i < backup->part_count; i++)
		if (!backup->parts[i].is_led && run_part(backup, i, err) < 0)
			return -1;
	if (bkp_lead_wait(backup->lead, options->is_finishing != 0, err) < 0 ||
	    run_shared_parts(backup, true, err) < 0 ||
	    run_shared_parts(backup, false, err) < 0)
		return -1;
	return bkp_contents_flush(backup->contents, err);
}

static int
lead_parts(struct backup *backup, const struct bkp_backup_options *options,
    struct bkp_error *err)
{
	if (options->run == NULL)
		return 0;
	if (bkp_lead_begin(options->run, options->time_limit,
		bkp_group_first(backup->group)->repository, backup->session,
		backup->run, &backup->lead, err) < 0)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++) {
		struct backup_part *part = &backup->parts[i];

		if (bkp_lead_add(backup->lead, part->source, part->sink,
			&part->is_led, err) < 0)
			return bkp_fail_in(err, "%s", part->config->prefix);
	}
	return bkp_lead_publish(backup->lead, err);
}

static int
run_parts(struct backup *backup, const struct bkp_backup_options *options,
    struct bkp_error *err)
{
	if (backup->lead != NULL)
		return run_led_parts(backup, options, err);
	for (size_t i = 0; i < backup->part_count; i++)
		if (backup->parts[i].config->kind == BKP_KIND_POSTGRES &&
		    run_part(backup, i, err) < 0)
			return -1;
	for (size_t i = 0; i < backup->part_count; i++)
		if (backup->parts[i].config->kind != BKP_KIND_POSTGRES &&
		    run_part(backup, i, err) < 0)
			return -1;
	return bkp_contents_flush(backup->contents, err);
}

/* ---- the snapshot ---- */

/* By which snapshots in several repositories are known to be of one moment. */
static int
name_run(struct fmt_snapshot *snapshot, struct bkp_error *err)
{
	unsigned char id[16];
	enum fmt_status status = fmt_random(id, sizeof(id));

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "naming the run");
	fmt_hex(id, sizeof(id), snapshot->run);
	return 0;
}

static int
begin_snapshot(struct backup *backup, struct bkp_error *err)
{
	struct fmt_snapshot *snapshot = &backup->snapshot;
	char host[256] = "unknown";

	if (name_run(snapshot, err) < 0)
		return -1;
	(void)gethostname(host, sizeof(host) - 1);
	if ((snapshot->host = bkp_strdup(host, err)) == NULL)
		return -1;
	snapshot->sources = bkp_alloc_array(
	    backup->part_count, sizeof(*snapshot->sources), err);
	if (snapshot->sources == NULL)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++) {
		struct fmt_snapshot_source *source = &snapshot->sources[i];
		const struct backup_part *part = &backup->parts[i];

		snapshot->source_count++;
		source->prefix = bkp_strdup(part->config->prefix, err);
		source->kind = bkp_strdup(part->kind->name, err);
		if (source->prefix == NULL || source->kind == NULL)
			return -1;
	}
	return 0;
}

static int
add_tag(struct fmt_snapshot *snapshot, const char *tag, struct bkp_error *err)
{
	for (size_t i = 0; i < snapshot->tag_count; i++)
		if (strcmp(snapshot->tags[i], tag) == 0)
			return 0;
	snapshot->tags[snapshot->tag_count] = bkp_strdup(tag, err);
	if (snapshot->tags[snapshot->tag_count] == NULL)
		return -1;
	snapshot->tag_count++;
	return 0;
}

static int
add_tags(struct backup *backup, const struct bkp_backup_options *options,
    struct bkp_error *err)
{
	const struct bkp_strings *tags = &backup->config->tags;
	struct fmt_snapshot *snapshot = &backup->snapshot;

	snapshot->tags = bkp_alloc_array(
	    tags->count + options->tag_count, sizeof(*snapshot->tags), err);
	if (snapshot->tags == NULL)
		return -1;
	for (size_t i = 0; i < tags->count; i++)
		if (add_tag(snapshot, tags->items[i], err) < 0)
			return -1;
	for (size_t i = 0; i < options->tag_count; i++)
		if (add_tag(snapshot, options->tags[i], err) < 0)
			return -1;
	return 0;
}

/* What was left out becomes part of the snapshot, so that nobody who restores
 * it takes it for whole. */
static int
add_omissions(struct backup *backup, size_t *count, struct bkp_error *err)
{
	const struct bkp_omission *omissions =
	    bkp_run_omissions(backup->run, count);
	struct fmt_buf path = FMT_BUF_INIT;
	json_t *array = json_array();
	int rc = -1;

	for (size_t i = 0; array != NULL && i < *count; i++) {
		const char *text = NULL;
		json_t *item;

		fmt_buf_clear(&path);
		if (fmt_path_escape(omissions[i].path, &path) != FMT_OK ||
		    (text = fmt_buf_text(&path)) == NULL)
			goto out;
		item = json_pack(
		    "{s:s, s:s?}", "path", text, "reason", omissions[i].reason);
		if (item == NULL || json_array_append_new(array, item) < 0)
			goto out;
	}
	if (array != NULL)
		rc = 0;
out:
	fmt_buf_free(&path);
	if (rc < 0) {
		json_decref(array);
		return bkp_fail_nomem(err, "listing what was left out");
	}
	backup->snapshot.omissions = array;
	return 0;
}

/* What came through the sinks: the same for all of the group. */
static void
fill_tally(const struct backup *backup, struct bkp_backup_result *result)
{
	const struct fmt_snapshot *snapshot = &backup->snapshot;

	for (size_t i = 0; i < backup->part_count; i++) {
		const struct backup_part *part = &backup->parts[i];
		const struct bkp_tally *tally = bkp_sink_tally(part->sink);

		result->entries += tally->entries;
		result->bytes += tally->bytes;
		result->rows += tally->rows;
		result->reused_bytes +=
		    (uint64_t)json_integer_value(json_object_get(
			snapshot->sources[i].info, "bytes_taken_over"));
		if (part->config->kind == BKP_KIND_BUCKET)
			result->objects += tally->contents;
		if (part->config->kind == BKP_KIND_FILES)
			result->files += tally->contents;
	}
}

/* The members that are of one repository: the first that has a snapshot. */
static void
fill_result(const struct backup *backup, size_t omission_count,
    struct bkp_backup_result *result)
{
	const struct bkp_backup_repository *first;

	if (result->snapshot[0] != '\0')
		return;
	first = &bkp_group_first(backup->group)->result;
	memcpy(result->snapshot, first->snapshot, sizeof(result->snapshot));
	result->stored_bytes = first->stored_bytes;
	result->new_chunks = first->new_chunks;
	result->known_chunks = first->known_chunks;
	result->omission_count = omission_count;
	result->problem_count = first->problem_count;
	fill_tally(backup, result);
}

static void
end_backup(struct backup *backup)
{
	bkp_backup_parts_free(backup);
	bkp_references_free(&backup->references);
	bkp_lead_free(backup->lead);
	bkp_contents_free(backup->contents);
	bkp_group_end(backup->group);
	fmt_snapshot_free(&backup->snapshot);
}

/* All of the story, for repositories that are alike. */
static int
back_up(const struct bkp_backup_options *options, struct bkp_group *group,
    struct bkp_run *run, struct bkp_backup_result *result,
    struct bkp_error *err)
{
	struct backup backup = {
	    .config = options->config, .run = run, .group = group};
	size_t omission_count = 0;
	int rc = -1;

	if (bkp_backup_choose_parts(&backup, options, err) < 0 ||
	    bkp_group_begin(group, run, err) < 0)
		goto out;
	backup.session = bkp_group_session(group);
	if (begin_snapshot(&backup, err) < 0 ||
	    add_tags(&backup, options, err) < 0 ||
	    bkp_backup_open_parts(&backup, err) < 0 ||
	    prepare_parts(&backup, err) < 0 ||
	    read_references(&backup, err) < 0 ||
	    lead_parts(&backup, options, err) < 0 ||
	    run_parts(&backup, options, err) < 0 ||
	    add_omissions(&backup, &omission_count, err) < 0)
		goto out;
	bkp_run_phase(run, 0, 0, "committing");
	if (bkp_run_check(run, err) < 0 ||
	    bkp_group_commit(
		group, &backup.snapshot, omission_count, run, err) < 0)
		goto out;
	fill_result(&backup, omission_count, result);
	rc = 0;
out:
	if (rc < 0) {
		bkp_group_tell(group, run);
		bkp_group_advise(group, err);
	}
	if (backup.lead != NULL)
		bkp_lead_end(backup.lead,
		    rc == 0 ? group->items[0]->result.snapshot : NULL, err);
	end_backup(&backup);
	return rc;
}

/* What was left out is of one group; so is the run. */
static int
renew_run(const struct bkp_backup_options *options, struct bkp_run **run,
    struct bkp_error *err)
{
	bkp_run_free(*run);
	*run = NULL;
	return bkp_run_new(bkp_worker_count(options->config), &options->events,
	    options->cancel, run, err);
}

/* One group after the other. -1 where none has a snapshot, with the reason that
 * was there first. */
static int
back_up_all(const struct bkp_backup_options *options, struct bkp_places *places,
    struct bkp_run **run, struct bkp_backup_result *result,
    struct bkp_error *err)
{
	struct bkp_error first = BKP_ERROR_INIT, problem = BKP_ERROR_INIT;
	struct bkp_group group;
	int rc = 0;

	for (size_t n = 0; rc == 0 && bkp_places_next(places, &group); n++) {
		if (n > 0 && renew_run(options, run, &problem) < 0)
			rc = -1;
		else if (back_up(options, &group, *run, result, &problem) < 0) {
			if (first.code == BKP_OK)
				first = problem;
			if (!group.is_alone)
				bkp_group_fail(&group, *run, &problem);
			rc = problem.code == BKP_CANCELLED ||
				     problem.code == BKP_NOMEM
				 ? -1
				 : 0;
		}
	}
	if (result->snapshot[0] != '\0')
		return 0;
	if (err != NULL)
		*err = first.code != BKP_OK ? first : problem;
	return -1;
}

int
bkp_backup(const struct bkp_backup_options *given,
    struct bkp_backup_result *result, struct bkp_error *err)
{
	struct bkp_backup_options options = adopt(given);
	struct bkp_places *places = bkp_alloc(sizeof(*places), err);
	struct bkp_backup_result made = {.entries = 0};
	uint64_t began_ms = bkp_clock_ms();
	struct bkp_run *run = NULL;
	int rc = -1;

	if (places == NULL)
		return -1;
	if (renew_run(&options, &run, err) < 0 ||
	    bkp_backup_check_sources(&options, err) < 0 ||
	    bkp_places_init(places, &options, err) < 0 ||
	    bkp_places_open(places, run, err) < 0 ||
	    back_up_all(&options, places, &run, &made, err) < 0)
		goto out;
	made.duration_ms = bkp_clock_ms() - began_ms;
	made.repository_count = places->count;
	for (size_t i = 0; i < places->count; i++)
		made.repositories[i] = places->items[i].result;
	*result = made;
	rc = 0;
out:
	bkp_places_fini(places);
	free(places);
	bkp_run_free(run);
	return rc;
}
