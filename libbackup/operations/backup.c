/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup:
 *
 *   open the repository and begin a session
 *   prepare every source: from here on all of them show one moment
 *   read which objects the databases name (references.h)
 *   run each source into the session; databases first, since an open database
 *     snapshot holds back vacuum, and each is let go as soon as it is copied
 *   commit: packs, index, and last the snapshot object
 *
 * Until the last step the repository is as it was, whatever happens.
 */
#include "libbackup/operations.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/backup_references.h"
#include "libbackup/operations/locks.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/shares.h"
#include "libbackup/operations/sink.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/repository/reserve.h"

/* One source of the run. */
struct part {
	const struct bkp_source_config *config;
	const struct bkp_kind *kind;
	struct bkp_source *source;
	struct bkp_sink *sink;
	struct fmt_snapshot earlier; /* owned: what `previous` points into */
	struct bkp_previous previous;
	char earlier_name[65];
	bool is_led; /* others read it, too */
};

struct backup {
	const struct bkp_config *config;
	struct bkp_run *run;
	struct bkp_repository *repository;
	struct bkp_session *session;
	struct bkp_contents *contents;
	struct bkp_lead *lead; /* owned; NULL: nobody else reads */
	struct part *parts;    /* in the order of prefixes */
	size_t part_count;
	size_t problem_count; /* of earlier snapshots */
	struct bkp_references references;
	struct fmt_snapshot snapshot;
};

/* ---- which sources ---- */

static bool
is_wanted(const struct bkp_backup_options *options, const char *prefix)
{
	if (options->source_count == 0)
		return true;
	for (size_t i = 0; i < options->source_count; i++)
		if (strcmp(options->sources[i], prefix) == 0)
			return true;
	return false;
}

static int
check_names(const struct bkp_backup_options *options, struct bkp_error *err)
{
	const struct bkp_config *config = options->config;

	for (size_t i = 0; i < options->source_count; i++) {
		bool is_known = false;

		for (size_t k = 0; k < config->source_count; k++)
			if (strcmp(options->sources[i],
				config->sources[k].prefix) == 0)
				is_known = true;
		if (!is_known)
			return bkp_fail(err, BKP_INVALID,
			    "the configuration names no source '%s'; a source "
			    "is named by kind and name, as in 'postgres/app'",
			    options->sources[i]);
	}
	return 0;
}

static int
choose_parts(struct backup *backup, const struct bkp_backup_options *options,
    struct bkp_error *err)
{
	const struct bkp_config *config = options->config;

	if (check_names(options, err) < 0)
		return -1;
	if (config->source_count == 0)
		return bkp_fail(err, BKP_INVALID,
		    "the configuration names no source, so there is nothing "
		    "to back up; add one under 'sources:'");
	backup->parts =
	    bkp_alloc_array(config->source_count, sizeof(*backup->parts), err);
	if (backup->parts == NULL)
		return -1;
	for (size_t i = 0; i < config->source_count; i++) {
		struct part *part = &backup->parts[backup->part_count];

		if (!is_wanted(options, config->sources[i].prefix))
			continue;
		part->config = &config->sources[i];
		part->kind = bkp_kind_of(part->config->kind);
		backup->part_count++;
	}
	return 0;
}

/* ---- what was there before ---- */

static bool
has_source(const struct bkp_snapshot *snapshot, const char *prefix)
{
	for (size_t i = 0; i < snapshot->source_count; i++)
		if (strcmp(snapshot->sources[i].prefix, prefix) == 0)
			return true;
	return false;
}

static int
load_previous(struct backup *backup, struct part *part,
    const struct bkp_snapshot_list *list, struct bkp_error *err)
{
	size_t i = list->count;

	while (i > 0 && !has_source(&list->items[i - 1], part->config->prefix))
		i--;
	if (i == 0)
		return 0;
	if (bkp_repository_snapshot(backup->repository, list->items[i - 1].name,
		&part->earlier, err) < 0)
		return -1;
	memcpy(part->earlier_name, list->items[i - 1].name,
	    sizeof(part->earlier_name));
	for (size_t k = 0; k < part->earlier.source_count; k++) {
		const struct fmt_snapshot_source *source =
		    &part->earlier.sources[k];

		if (strcmp(source->prefix, part->config->prefix) != 0)
			continue;
		part->previous.repository = backup->repository;
		part->previous.list = source->list;
		part->previous.list_count = source->list_count;
	}
	return 0;
}

/* ---- the steps ---- */

static int
open_repository(struct backup *backup, struct bkp_error *err)
{
	if (bkp_opened_for_writing(backup->config, &backup->repository, err) <
	    0)
		return -1;
	/* Not for us; a disk that is full by now says so soon enough. */
	(void)bkp_reserve_keep(backup->repository->store, NULL);
	return bkp_session_begin(backup->repository, &backup->session, err);
}

/* Earlier snapshots only save work: that one of them is damaged or missing
 * must not keep new ones from being made. But whoever reads the log is told. */
static int
list_snapshots(struct backup *backup, struct bkp_snapshot_list *list,
    struct bkp_error *err)
{
	const struct bkp_snapshot_problem *problem;
	struct bkp_error damage = BKP_ERROR_INIT;

	if (bkp_session_check_index(backup->session, &damage) < 0) {
		bkp_run_message(backup->run, BKP_WARNING, NULL,
		    "an index object is damaged or gone, so that more may be "
		    "stored than has changed: %s; backup-check --repair puts "
		    "the index right",
		    damage.message);
		backup->problem_count++;
	}
	backup->problem_count +=
	    bkp_locks_remind(backup->repository, backup->config, backup->run);
	if (bkp_snapshot_list(backup->repository, list, err) < 0)
		return -1;
	for (size_t i = 0;
	     (problem = bkp_snapshot_list_problem(list, i)) != NULL; i++) {
		/* That there is none is over with this one. */
		bool is_note =
		    problem->is_note ||
		    strcmp(problem->kind,
			bkp_history_kind_name(BKP_HISTORY_NONE)) == 0;

		bkp_run_message(backup->run, is_note ? BKP_INFO : BKP_WARNING,
		    NULL, "%s", problem->text);
		backup->problem_count += !is_note;
	}
	return 0;
}

static int
open_parts(struct backup *backup, struct bkp_error *err)
{
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	int rc = -1;

	if (bkp_contents_new(backup->session, bkp_run_workers(backup->run),
		&backup->contents, err) < 0)
		return -1;
	if (list_snapshots(backup, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++) {
		struct part *part = &backup->parts[i];

		if (load_previous(backup, part, &list, err) < 0)
			goto out;
		if (bkp_sink_new(backup->run, backup->contents, backup->session,
			part->config->prefix, &part->previous, &part->sink,
			err) < 0)
			goto out;
		if (part->kind->source_open(part->config, &part->source, err) <
		    0) {
			(void)bkp_fail_in(err, "%s", part->config->prefix);
			goto out;
		}
	}
	rc = 0;
out:
	bkp_snapshot_list_free(&list);
	return rc;
}

static int
prepare_parts(struct backup *backup, struct bkp_error *err)
{
	for (size_t i = 0; i < backup->part_count; i++) {
		struct part *part = &backup->parts[i];

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
run_matched(struct backup *backup, struct part *part, json_t **info,
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
	struct part *part = &backup->parts[n];
	struct fmt_snapshot_source *source = &backup->snapshot.sources[n];
	const struct bkp_tally *tally;
	const struct bkp_error *damage;

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
	if ((damage = bkp_sink_damage(part->sink)) != NULL) {
		bkp_run_message(backup->run, BKP_WARNING, part->config->prefix,
		    "an earlier snapshot (%.12s) is damaged, so that more was "
		    "read and stored than had changed: %s; backup-check tells "
		    "what else is hurt",
		    part->earlier_name, damage->message);
		backup->problem_count++;
	}
	tally = bkp_sink_tally(part->sink);
	source->entries = tally->entries;
	source->bytes = tally->bytes;
	bkp_run_message(backup->run, BKP_INFO, part->config->prefix,
	    "%llu entries", (unsigned long long)tally->entries);
	return 0;
}

/* Others read databases: what is no database is read meanwhile. */
static int
run_led_parts(struct backup *backup, const struct bkp_backup_options *options,
    struct bkp_error *err)
{
	for (size_t i = 0; i < backup->part_count; i++)
		if (!backup->parts[i].is_led && run_part(backup, i, err) < 0)
			return -1;
	if (bkp_lead_wait(backup->lead, options->is_finishing != 0, err) < 0)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++)
		if (backup->parts[i].is_led && run_part(backup, i, err) < 0)
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
		backup->repository, backup->session, backup->run, &backup->lead,
		err) < 0)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++) {
		struct part *part = &backup->parts[i];

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

static int
begin_snapshot(struct backup *backup, struct bkp_error *err)
{
	struct fmt_snapshot *snapshot = &backup->snapshot;
	char host[256] = "unknown";

	(void)gethostname(host, sizeof(host) - 1);
	if ((snapshot->host = bkp_strdup(host, err)) == NULL)
		return -1;
	snapshot->sources = bkp_alloc_array(
	    backup->part_count, sizeof(*snapshot->sources), err);
	if (snapshot->sources == NULL)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++) {
		struct fmt_snapshot_source *source = &snapshot->sources[i];
		const struct part *part = &backup->parts[i];

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

/* The snapshot is made; that this machine cannot miss it costs no backup. */
static void
remember(struct backup *backup, const char *name)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_session_remember(
		backup->session, &backup->snapshot, name, &problem) < 0)
		bkp_run_message(backup->run, BKP_WARNING, NULL,
		    "the new snapshot is not remembered on this machine, so "
		    "it would not be missed here: %s",
		    problem.message);
}

static void
fill_result(struct backup *backup, const char *name, uint64_t began_ms,
    size_t omission_count, struct bkp_backup_result *result)
{
	const struct fmt_snapshot *snapshot = &backup->snapshot;

	memset(result, 0, sizeof(*result));
	memcpy(result->snapshot, name, sizeof(result->snapshot));
	result->stored_bytes = snapshot->stored_bytes;
	result->new_chunks = snapshot->new_chunks;
	result->known_chunks = snapshot->known_chunks;
	result->omission_count = omission_count;
	result->problem_count = backup->problem_count;
	for (size_t i = 0; i < backup->part_count; i++) {
		const struct part *part = &backup->parts[i];
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
	result->duration_ms = bkp_clock_ms() - began_ms;
}

static void
end_backup(struct backup *backup)
{
	for (size_t i = 0; i < backup->part_count; i++) {
		struct part *part = &backup->parts[i];

		if (part->source != NULL)
			part->source->ops->close(part->source);
		bkp_sink_free(part->sink);
		fmt_snapshot_free(&part->earlier);
	}
	free(backup->parts);
	bkp_references_free(&backup->references);
	bkp_lead_free(backup->lead);
	bkp_contents_free(backup->contents);
	bkp_session_end(backup->session);
	bkp_repository_close(backup->repository);
	fmt_snapshot_free(&backup->snapshot);
	bkp_run_free(backup->run);
}

/* Where it is the disk of the repository that is full, and no other one. */
static void
advise_room(const struct backup *backup, struct bkp_error *err)
{
	if (err == NULL || backup->repository == NULL ||
	    !bkp_reserve_is_full(err) ||
	    strstr(err->message, backup->repository->store->location) == NULL)
		return;
	(void)bkp_fail_in(err,
	    "no room is left where the repository is (backup-prune --grace 0 "
	    "gives back at once what no snapshot needs, on a full disk, too)");
}

int
bkp_backup(const struct bkp_backup_options *options,
    struct bkp_backup_result *result, struct bkp_error *err)
{
	struct backup backup = {.config = options->config};
	uint64_t began_ms = bkp_clock_ms();
	size_t omission_count = 0;
	char name[65];
	int rc = -1;

	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &backup.run, err) < 0)
		goto out;
	if (choose_parts(&backup, options, err) < 0 ||
	    open_repository(&backup, err) < 0 ||
	    begin_snapshot(&backup, err) < 0 ||
	    add_tags(&backup, options, err) < 0 ||
	    open_parts(&backup, err) < 0 || prepare_parts(&backup, err) < 0 ||
	    read_references(&backup, err) < 0 ||
	    lead_parts(&backup, options, err) < 0 ||
	    run_parts(&backup, options, err) < 0 ||
	    add_omissions(&backup, &omission_count, err) < 0)
		goto out;
	bkp_run_phase(backup.run, 0, 0, "committing");
	if (bkp_run_check(backup.run, err) < 0 ||
	    bkp_session_commit(backup.session, &backup.snapshot, name, err) < 0)
		goto out;
	remember(&backup, name);
	fill_result(&backup, name, began_ms, omission_count, result);
	rc = 0;
out:
	if (rc < 0)
		advise_room(&backup, err);
	if (backup.lead != NULL)
		bkp_lead_end(backup.lead, rc == 0 ? name : NULL, err);
	end_backup(&backup);
	return rc;
}
