/* SPDX-License-Identifier: Apache-2.0 */
/* What the snapshots tell: whether all are there, how old the last backup of
 * each source and the last proof are, and whether there is room for more. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/doctor/repository.h"
#include "libbackup/operations/opened.h"

#define HOUR_MS ((uint64_t)3600 * 1000)
#define BACKUP_MS (26 * HOUR_MS)
#define PROOF_MS (7 * 24 * HOUR_MS)      /* where nothing is configured */
#define PROOF_LATE_MS (2 * 24 * HOUR_MS) /* beside what is */
#define AHEAD_US ((int64_t)300 * 1000000)

#define MIB ((uint64_t)1024 * 1024)
#define LEAST_BYTES (256 * MIB)
#define LOOK_BACK 14    /* snapshots */
#define NIGHTS 7        /* that there should be room for */
#define LEAST_PERCENT 5 /* of a file system */

/* Problems that are told one by one. */
#define TOLD_MOST 20

int
bkp_exam_history(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_snapshot_problem *problem;
	const struct bkp_snapshot_list *list;
	size_t n;

	if (bkp_exam_snapshots(exam, &list, err) < 0)
		return -1;
	for (n = 0; (problem = bkp_snapshot_list_problem(list, n)) != NULL &&
		    n < TOLD_MOST;
	     n++)
		if (bkp_exam_tell(exam,
			problem->is_note ? BKP_HEALTH_NOTE : BKP_HEALTH_ERROR,
			NULL, NULL, err, "%s", problem->text) < 0)
			return -1;
	if (n > 0)
		return 0;
	if (list->count == 0)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "backup-create makes the first one", err,
		    "there is no snapshot yet");
	return bkp_exam_ok(exam, err,
	    "%zu snapshots, and none that should be there is missing",
	    list->count);
}

static bool
has_source(const struct bkp_snapshot *snapshot, const char *prefix)
{
	for (size_t i = 0; i < snapshot->source_count; i++)
		if (strcmp(snapshot->sources[i].prefix, prefix) == 0)
			return true;
	return false;
}

/* What backup-guard kept of a state that had failed is no backup. */
static bool
is_of_failure(const struct bkp_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->tag_count; i++)
		if (strcmp(snapshot->tags[i], "guard-failed") == 0)
			return true;
	return false;
}

/* The newest backup with this source (NULL: any), or NULL. */
static const struct bkp_snapshot *
newest(const struct bkp_snapshot_list *list, const char *prefix)
{
	for (size_t i = list->count; i > 0; i--) {
		const struct bkp_snapshot *one = &list->items[i - 1];

		if (!is_of_failure(one) &&
		    (prefix == NULL || has_source(one, prefix)))
			return one;
	}
	return NULL;
}

static uint64_t
age_ms(int64_t then_us)
{
	int64_t age = bkp_clock_utc_us() - then_us;

	return age > 0 ? (uint64_t)age / 1000 : 0;
}

static int
look_at_source(struct bkp_exam *exam, const struct bkp_snapshot_list *list,
    const char *prefix, uint64_t limit, struct bkp_error *err)
{
	const struct bkp_snapshot *last = newest(list, prefix);
	uint64_t age;

	if (last == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, prefix,
		    "run backup-create, and look whether it goes well", err,
		    "no snapshot has it");
	if (last->time_us > bkp_clock_utc_us() + AHEAD_US)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, prefix,
		    "look at the clocks of this machine and of host that made "
		    "it",
		    err, "snapshot %.12s is of a time that is yet to come",
		    last->name);
	age = age_ms(last->time_us);
	if (age > limit)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, prefix,
		    "look why it was not backed up since: the timer, its "
		    "journal, backup-list",
		    err, "the last backup is %s old, and may be %s",
		    bkp_span(age).text, bkp_span(limit).text);
	return bkp_exam_tell(exam, BKP_HEALTH_OK, prefix, NULL, err,
	    "the last backup is %s old", bkp_span(age).text);
}

static bool
is_in(const struct bkp_strings *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return true;
	return names->count == 0;
}

/* Whether a job puts the source into this repository. One that was chosen has
 * narrowed the sources; without jobs, all go everywhere. */
static bool
is_wanted(const struct bkp_config *config, const char *prefix)
{
	const char *repository = bkp_config_repository_used(config);

	if (config->job_count == 0 || config->chosen_job != NULL ||
	    config->is_elsewhere)
		return true;
	for (size_t i = 0; i < config->job_count; i++) {
		const struct bkp_job_config *job = &config->jobs[i].values->job;

		if (is_in(&job->sources, prefix) &&
		    is_in(&job->repositories, repository))
			return true;
	}
	return false;
}

int
bkp_exam_last_backup(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;
	uint64_t limit = config->verification.max_age_ms;
	const struct bkp_snapshot_list *list;

	if (bkp_exam_snapshots(exam, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < config->source_count; i++)
		if (is_wanted(config, config->sources[i].prefix) &&
		    look_at_source(exam, list, config->sources[i].prefix,
			limit > 0 ? limit : BACKUP_MS, err) < 0)
			return -1;
	return 0;
}

/* Of one source (NULL: any). One that shares its snapshot with a source before
 * it says no more than that one. */
static int
look_for_omissions(struct bkp_exam *exam, const struct bkp_snapshot_list *list,
    size_t n, const struct bkp_snapshot *last, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;

	if (last->omission_count == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (is_wanted(config, config->sources[i].prefix) &&
		    newest(list, config->sources[i].prefix) == last)
			return 0;
	exam->has_found = true;
	return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
	    "backup-list SNAPSHOT names what", err,
	    "snapshot %.12s, the last one%s%s, left %zu things out", last->name,
	    n < config->source_count ? " of " : "",
	    n < config->source_count ? config->sources[n].prefix : "",
	    last->omission_count);
}

int
bkp_exam_omissions(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;
	const struct bkp_snapshot_list *list;
	const struct bkp_snapshot *last;
	size_t count = 0;

	if (bkp_exam_snapshots(exam, &list, err) < 0)
		return -1;
	for (size_t i = 0; i == 0 || i < config->source_count; i++) {
		const char *prefix =
		    config->source_count > 0 ? config->sources[i].prefix : NULL;

		if ((prefix != NULL && !is_wanted(config, prefix)) ||
		    (last = newest(list, prefix)) == NULL)
			continue;
		count++;
		if (look_for_omissions(exam, list, i, last, err) < 0)
			return -1;
	}
	if (count == 0)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "there is no snapshot yet");
	if (exam->has_found)
		return 0;
	return bkp_exam_ok(exam, err, "the last backups left nothing out");
}

/* ---- proofs ---- */

/* What a job says of verifications stands in place of what the file says. */
static uint64_t
every_of(const struct bkp_config *config, const struct bkp_named_config *job)
{
	if (bkp_exam_is_said(bkp_config_job_fields, job, "verification"))
		return job->values->verification.every_ms;
	return config->verification.every_ms;
}

/* How old the last proof may be: what backup-run does every so often may take
 * its time, and wait for the next night. Of several jobs, the strictest. */
static uint64_t
proof_limit(const struct bkp_config *config)
{
	bool is_open = config->job_count > 0 && config->chosen_job == NULL &&
		       !config->is_elsewhere;
	uint64_t every = is_open ? 0 : config->verification.every_ms;

	for (size_t i = 0; is_open && i < config->job_count; i++) {
		const struct bkp_named_config *job = &config->jobs[i];
		uint64_t own = every_of(config, job);

		if (is_in(&job->values->job.repositories,
			bkp_config_repository_used(config)) &&
		    own > 0 && (every == 0 || own < every))
			every = own;
	}
	return every > 0 ? every + PROOF_LATE_MS : PROOF_MS;
}

/* The one whose verification failed last and was not made good by a later proof
 * of any, or the newest where it failed itself; NULL: none. */
static const struct bkp_snapshot *
doubtful(const struct bkp_snapshot_list *list, int64_t proven_us)
{
	const struct bkp_snapshot *last = newest(list, NULL), *found = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct bkp_snapshot *one = &list->items[i];

		if (one->failed_us > proven_us &&
		    (found == NULL || one->failed_us >= found->failed_us))
			found = one;
	}
	if (found == NULL && last != NULL && last->failed_us > last->proven_us)
		found = last;
	return found;
}

int
bkp_exam_last_proof(struct bkp_exam *exam, struct bkp_error *err)
{
	uint64_t limit = proof_limit(exam->config);
	const struct bkp_snapshot_list *list;
	const struct bkp_snapshot *failed;
	int64_t proven_us = 0;

	if (bkp_exam_snapshots(exam, &list, err) < 0)
		return -1;
	if (list->count == 0)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "there is no snapshot yet");
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].proven_us > proven_us)
			proven_us = list->items[i].proven_us;
	if ((failed = doubtful(list, proven_us)) != NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "run backup-verify again and read what fails", err,
		    "the last verification of snapshot %.12s failed",
		    failed->name);
	if (proven_us == 0)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "run backup-verify with an administrator's key: a backup "
		    "that was never restored is a hope",
		    err, "no snapshot was ever proven");
	if (age_ms(proven_us) > limit)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "run backup-verify; every week is a good rule", err,
		    "the last proof is %s old, and may be %s",
		    bkp_span(age_ms(proven_us)).text, bkp_span(limit).text);
	return bkp_exam_ok(exam, err, "the last proof is %s old",
	    bkp_span(age_ms(proven_us)).text);
}

/* ---- room ---- */

static uint64_t
largest(const struct bkp_snapshot_list *list)
{
	uint64_t most = 0;
	size_t first = list->count > LOOK_BACK ? list->count - LOOK_BACK : 0;

	for (size_t i = first; i < list->count; i++)
		if (list->items[i].stored_bytes > most)
			most = list->items[i].stored_bytes;
	return most;
}

int
bkp_exam_room(struct bkp_exam *exam, struct bkp_error *err)
{
	const char *location = exam->config->repository;
	const struct bkp_snapshot_list *list;
	uint64_t room, all, most;
	struct statvfs fs;

	if (bkp_store_is_bucket(location))
		return bkp_exam_ok(exam, err, "a bucket tells no room");
	if (statvfs(location, &fs) < 0)
		return bkp_fail_errno(
		    err, errno, "asking for room in %s", location);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	most = bkp_exam_snapshots(exam, &list, NULL) == 0 ? largest(list) : 0;
	if (room < most)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "make room, or have backup-prune keep less", err,
		    BKP_NAMED
		    " has %llu MiB left, and one of the last backups took "
		    "%llu MiB",
		    location, (unsigned long long)(room / MIB),
		    (unsigned long long)(most / MIB));
	if (room < LEAST_BYTES)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    most > 0 ? "make room, or have backup-prune keep less"
			     : "make room, or put the repository on another "
			       "file system",
		    err,
		    BKP_NAMED
		    " has %llu MiB left, and should have %llu MiB at least",
		    location, (unsigned long long)(room / MIB),
		    (unsigned long long)(LEAST_BYTES / MIB));
	if (room < NIGHTS * most || room < all / 100 * LEAST_PERCENT ||
	    (fs.f_files > 0 && fs.f_favail < fs.f_files / 100 * LEAST_PERCENT))
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "make room soon, or have backup-prune keep less", err,
		    BKP_NAMED
		    " has %llu MiB of %llu and %llu files left; the largest of"
		    " the last backups took %llu MiB",
		    location, (unsigned long long)(room / MIB),
		    (unsigned long long)(all / MIB),
		    (unsigned long long)fs.f_favail,
		    (unsigned long long)(most / MIB));
	return bkp_exam_ok(exam, err, BKP_NAMED " has %llu MiB left", location,
	    (unsigned long long)(room / MIB));
}
