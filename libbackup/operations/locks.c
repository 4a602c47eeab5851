/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/locks.h"

#include <string.h>
#include <time.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/prune.h"
#include "libbackup/repository/repository_impl.h"

/* So many are named, then they are only counted. */
#define NAMED_MAX 30

#define DAY_US (INT64_C(86400) * 1000000)

/* ---- what cannot be locked ---- */

void
bkp_lock_faults_note(
    void *arg, const char *name, bool is_needed, const struct bkp_error *why)
{
	struct bkp_lock_faults *faults = arg;

	/* Without memory for its name it is counted all the same. */
	if (faults->count++ < NAMED_MAX)
		(void)bkp_run_omit(faults->run, NULL, name, "%s: %s",
		    is_needed
			? "its object lock could not be made longer, and when "
			  "that is over anybody may delete it"
			: "it was removed, and could not be deleted for good",
		    why->message);
}

int
bkp_lock_faults_end(const struct bkp_lock_faults *faults, struct bkp_error *err)
{
	size_t told;
	int rc = 0;

	if (faults->count > NAMED_MAX)
		rc = bkp_run_omit(faults->run, err, "packs",
		    "%llu more objects could not be locked or deleted; the "
		    "first are named above",
		    (unsigned long long)(faults->count - NAMED_MAX));
	(void)bkp_run_omissions(faults->run, &told);
	return rc;
}

void
bkp_locks_keep(struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, struct bkp_run *run,
    const struct bkp_error *reason)
{
	struct bkp_store_tended done = {.renewed = 0};
	struct bkp_error problem = BKP_ERROR_INIT;
	size_t told;

	if (bkp_run_is_cancelled(run))
		return;
	if (bkp_prune_keep_locks(repository, limits,
		reason->code == BKP_CORRUPT, &done, bkp_run_cancel(run),
		&problem) < 0)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "nor could the object locks of what is there be made "
		    "longer: %s",
		    problem.message);
	else if (done.renewed > 0)
		bkp_run_message(run, BKP_INFO, NULL,
		    "the object locks of %s were made longer all the same",
		    bkp_counted(done.renewed, "object").text);
	(void)bkp_run_omissions(run, &told);
}

/* ---- how long they last ---- */

static int
take_newest(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	int64_t *newest = arg;

	(void)err;
	if (object->modified_us > *newest)
		*newest = object->modified_us;
	return 0;
}

/* A prune leaves no lock that is less than half, and states in a checkpoint
 * which snapshots there are. What came later has the whole time. */
int
bkp_lock_outlook_read(struct bkp_store *store, unsigned days, int64_t now_us,
    struct bkp_lock_outlook *out, struct bkp_error *err)
{
	const int64_t whole = days * DAY_US;
	struct bkp_store_object config;
	int64_t last = 0;

	if (bkp_store_list(store, "checkpoints/", take_newest, &last, err) < 0)
		return -1;
	if (last == 0) {
		if (bkp_store_stat(store, "config", &config, err) < 0)
			return -1;
		last = config.modified_us;
	}
	*out = (struct bkp_lock_outlook){.pruned_us = last,
	    .ends_us = last + whole / 2,
	    .is_due = now_us - last >= whole / 4,
	    .is_over = now_us - last >= whole / 2};
	return 0;
}

static const char *
date_of(int64_t us, char text[32])
{
	time_t when = (time_t)(us / 1000000);
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL ||
	    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	return text;
}

size_t
bkp_locks_remind(struct bkp_repository *repository,
    const struct bkp_config *config, struct bkp_run *run)
{
	unsigned days = config->storage.lock_days;
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_lock_outlook outlook;
	char pruned[32], ends[32];

	if (days == 0)
		return 0;
	if (bkp_lock_outlook_read(repository->store, days,
		(int64_t)time(NULL) * 1000000, &outlook, &problem) < 0) {
		bkp_run_message(run, BKP_WARNING, NULL,
		    "how long object locks last is not known: %s",
		    problem.message);
		return 1;
	}
	if (!outlook.is_due)
		return 0;
	bkp_run_message(run, BKP_WARNING, NULL,
	    "there was no prune since %s, and only prunes lengthen object "
	    "locks: those of older snapshots' objects %s from %s on; run "
	    "backup-prune, and at least every %u days",
	    date_of(outlook.pruned_us, pruned),
	    outlook.is_over ? "may be over" : "will be over",
	    date_of(outlook.ends_us, ends), days > 4 ? days / 4 : 1);
	return outlook.is_over ? 1 : 0;
}
