/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command with a way back:
 *
 *   look whether there would be one; take a snapshot; look again, with it
 *   write the journal; from here on whoever finds it can go back
 *   run the command, then the health check
 *   all is well: remove the journal and say how to go back later
 *   it is not: put back, start, check, remove the journal
 *
 * Once the command may have been run, nobody is left without an outcome: what
 * fails then is a part of it.
 */
#include "libbackup/guard.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations.h"
#include "libbackup/operations/guard_impl.h"
#include "libbackup/operations/opened.h"

#define GUARD_INIT                                                             \
	{                                                                      \
		.lock = -1                                                     \
	}

/* ---- the outcome ---- */

static void
copy_name(char out[65], const char *name)
{
	size_t len = strlen(name);

	out[0] = '\0';
	if (len == 64)
		memcpy(out, name, len + 1);
}

/* What is not as it was. Also by earlier processes. */
static void
count_changes(const struct guard *guard, struct bkp_guard_result *result)
{
	const json_t *sources = json_object_get(guard->state, "sources");

	for (size_t i = 0; i < json_array_size(sources); i++) {
		const json_t *source = json_array_get(sources, i);
		const json_t *count = json_object_get(source, "new_files");

		if (json_is_null(count))
			result->is_new_unknown = 1;
		else
			result->new_files +=
			    (uint64_t)json_integer_value(count);
		count = json_object_get(source, "refused");
		result->refused += (uint64_t)json_integer_value(count);
		result->lacks += bkp_guard_lacks(source, GUARD_LACKS);
	}
}

/* The texts are the result's, and so is the state, which has others. */
static void
fill_result(struct guard *guard, enum bkp_guard_outcome outcome,
    uint64_t began_ms, struct bkp_guard_result *result)
{
	struct guard *kept = bkp_alloc(sizeof(*kept), NULL);
	const char *reason = bkp_guard_text(guard, "reason");

	memset(result, 0, sizeof(*result));
	result->outcome = outcome;
	copy_name(result->snapshot, bkp_guard_text(guard, "snapshot"));
	copy_name(result->failed, bkp_guard_text(guard, "failed"));
	count_changes(guard, result);
	result->duration_ms = bkp_clock_ms() - began_ms;
	if (kept == NULL)
		return;
	*kept = (struct guard){.lock = -1,
	    .state = json_incref(guard->state),
	    .lines = guard->lines,
	    .formers = guard->formers};
	memset(&guard->lines, 0, sizeof(guard->lines));
	memset(&guard->formers, 0, sizeof(guard->formers));
	result->memory = kept;
	result->reason = reason[0] != '\0' ? reason : NULL;
	result->lines = (const char *const *)kept->lines.items;
	result->line_count = kept->lines.count;
	result->formers = (const char *const *)kept->formers.items;
	result->former_count = kept->formers.count;
}

void
bkp_guard_result_free(struct bkp_guard_result *result)
{
	struct guard *kept = result->memory;

	if (kept != NULL) {
		bkp_guard_texts_free(&kept->lines);
		bkp_guard_texts_free(&kept->formers);
		json_decref(kept->state);
		free(kept);
	}
	memset(result, 0, sizeof(*result));
}

static void
warn(struct guard *guard, const char *message)
{
	bkp_run_message(guard->run, BKP_WARNING, NULL, "%s", message);
}

/* Nothing is left to be done. */
static void
forget(struct guard *guard)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_guard_journal_remove(guard, &why) < 0)
		warn(guard, why.message);
}

/* How to go on. */
static void
tell_resume(struct guard *guard)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_guard_add_resume(guard, &why) < 0)
		warn(guard, why.message);
}

static enum bkp_guard_outcome
end_broken(struct guard *guard, const struct bkp_error *why)
{
	warn(guard, why->message);
	tell_resume(guard);
	return BKP_GUARD_BROKEN;
}

/* ---- it failed ---- */

/* All is back; the application is told so, and asked. */
static enum bkp_guard_outcome
go_after(struct guard *guard)
{
	unsigned tries = (unsigned)bkp_guard_number(guard, "health_tries");
	struct bkp_error why = BKP_ERROR_INIT;

	bkp_guard_journal_note(guard, GUARD_AFTER);
	if (bkp_guard_run_shell(guard, "start",
		"the command to start the application", &why) < 0) {
		(void)bkp_fail_in(&why, "everything is put back, but");
		return end_broken(guard, &why);
	}
	if (bkp_guard_run_health(guard, tries, NULL, &why) < 0) {
		(void)bkp_fail_in(&why, "everything is put back, but");
		if (bkp_guard_flag(guard, "was_healthy"))
			return end_broken(guard, &why);
		(void)bkp_fail_in(&why, "as before all this");
		warn(guard, why.message);
	}
	forget(guard);
	return BKP_GUARD_PUT_BACK;
}

static enum bkp_guard_outcome
go_back(struct guard *guard)
{
	struct bkp_config *config = guard->options->config;
	struct bkp_error why = BKP_ERROR_INIT;
	enum bkp_guard_outcome outcome;

	/* What asked the command to stop must not stop the way back. */
	bkp_config_set_cancel(config, NULL);
	bkp_guard_journal_note(guard, GUARD_BACK);
	bkp_run_message(guard->run, BKP_INFO, NULL,
	    "putting everything back as it was in snapshot %.12s",
	    bkp_guard_text(guard, "snapshot"));
	if (bkp_guard_find_way(guard, &why) < 0) {
		(void)bkp_fail_in(&why,
		    "nothing is stopped and nothing put back, for the snapshot "
		    "to go back to cannot be found");
		outcome = end_broken(guard, &why);
	} else if (bkp_guard_put_back(guard, &why) < 0) {
		outcome = end_broken(guard, &why);
	} else {
		outcome = go_after(guard);
	}
	bkp_config_set_cancel(config, guard->options->cancel);
	return outcome;
}

static enum bkp_guard_outcome
have_failed(struct guard *guard, const char *reason)
{
	struct bkp_error why = BKP_ERROR_INIT;

	warn(guard, reason);
	if (bkp_guard_set(guard, "reason", json_string(reason), &why) < 0)
		warn(guard, why.message);
	if (!guard->options->is_leaving)
		return go_back(guard);
	bkp_guard_journal_note(guard, GUARD_LEFT);
	tell_resume(guard);
	return BKP_GUARD_LEFT;
}

/* ---- it may have gone well ---- */

static enum bkp_guard_outcome
have_run(struct guard *guard)
{
	unsigned tries = (unsigned)bkp_guard_number(guard, "health_tries");
	struct bkp_error why = BKP_ERROR_INIT;

	bkp_guard_journal_note(guard, GUARD_HEALTH);
	if (bkp_guard_run_health(guard, tries, guard->options->cancel, &why) <
	    0)
		return have_failed(guard, why.message);
	if (bkp_guard_add_lines(guard, &why) < 0)
		warn(guard, why.message);
	forget(guard);
	return BKP_GUARD_KEPT;
}

/* -1: it could not even be started. */
static int
run_command(
    struct guard *guard, enum bkp_guard_outcome *outcome, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	bkp_run_message(guard->run, BKP_INFO, NULL, "running %s",
	    bkp_guard_text(guard, "command"));
	if (bkp_guard_run_command(guard, &why) == 0) {
		*outcome = have_run(guard);
		return 0;
	}
	if (guard->has_started) {
		*outcome = have_failed(guard, why.message);
		return 0;
	}
	(void)bkp_fail_in(&why, "nothing was run, and nothing is changed");
	if (err != NULL)
		*err = why;
	return -1;
}

/* ---- before ---- */

static int
take_snapshot(struct guard *guard, struct bkp_error *err)
{
	static const char *const tags[] = {"guard"};
	const struct bkp_guard_options *given = guard->options;
	struct bkp_backup_options options = BKP_BACKUP_OPTIONS_INIT;
	struct bkp_backup_result result = {.entries = 0};

	options.config = given->config;
	options.sources = given->sources;
	options.source_count = given->source_count;
	options.tags = tags;
	options.tag_count = 1;
	options.events = given->events;
	options.cancel = given->cancel;
	if (bkp_backup(&options, &result, err) < 0)
		return bkp_fail_in(err, "taking the snapshot");
	if (result.omission_count > 0 && !given->may_lack)
		return bkp_fail(err, BKP_INVALID,
		    "snapshot %.12s lacks what was named above, and the way "
		    "back would lack it, too: mend that, or say that it may "
		    "(--allow-omissions)",
		    result.snapshot);
	if (bkp_guard_set(
		guard, "snapshot", json_string(result.snapshot), err) < 0)
		return -1;
	return bkp_guard_count_lacks(
	    guard, result.snapshot, result.omission_count, GUARD_LACKS, err);
}

/* A journal of one that had run nothing is in nobody's way. */
static int
refuse_unfinished(const struct guard *guard, struct bkp_error *err)
{
	if (guard->state == NULL || bkp_guard_is_at(guard, GUARD_SNAPSHOT))
		return 0;
	return bkp_fail(err, BKP_EXISTS,
	    "an earlier backup-guard of %s has not been finished (%s): "
	    "--resume goes on with it, --forget takes it for finished",
	    bkp_guard_text(guard, "command"), guard->journal);
}

static int
prepare(struct guard *guard, struct bkp_error *err)
{
	if (bkp_guard_journal_open(guard, err) < 0 ||
	    refuse_unfinished(guard, err) < 0 ||
	    bkp_guard_preflight(guard, err) < 0 ||
	    bkp_guard_journal_save(guard, GUARD_SNAPSHOT, err) < 0 ||
	    take_snapshot(guard, err) < 0)
		return -1;
	if (bkp_guard_rehearse(guard, err) < 0)
		return bkp_fail_in(
		    err, "there would be no way back, so that nothing is run");
	return bkp_run_check(guard->run, err);
}

static int
begin(struct guard *guard, const struct bkp_guard_options *options,
    struct bkp_error *err)
{
	guard->options = options;
	return bkp_run_new(
	    1, &options->events, options->cancel, &guard->run, err);
}

static void
end(struct guard *guard)
{
	bkp_guard_texts_free(&guard->lines);
	bkp_guard_texts_free(&guard->formers);
	bkp_guard_journal_close(guard);
	bkp_run_free(guard->run);
}

int
bkp_guard(const struct bkp_guard_options *options,
    struct bkp_guard_result *result, struct bkp_error *err)
{
	uint64_t began_ms = bkp_clock_ms();
	struct guard guard = GUARD_INIT;
	enum bkp_guard_outcome outcome;
	bool is_ours = false;
	int rc = -1;

	if (begin(&guard, options, err) < 0)
		goto out;
	rc = prepare(&guard, err);
	is_ours = bkp_guard_is_at(&guard, GUARD_SNAPSHOT);
	/* What exists is no earlier run then. */
	if (rc < 0 && is_ours && err != NULL && err->code == BKP_EXISTS)
		err->code = BKP_INVALID;
	if (rc == 0)
		rc = bkp_guard_journal_save(&guard, GUARD_COMMAND, err);
	if (rc == 0)
		rc = run_command(&guard, &outcome, err);
	if (rc == 0)
		fill_result(&guard, outcome, began_ms, result);
	else if (is_ours)
		forget(&guard);
out:
	end(&guard);
	return rc;
}

/* ---- later ---- */

static int
need_state(const struct guard *guard, struct bkp_error *err)
{
	if (guard->state != NULL)
		return 0;
	return bkp_fail(err, BKP_NOTFOUND,
	    "there is nothing to be finished: no journal is in %s",
	    guard->journal);
}

static enum bkp_guard_outcome
go_on(struct guard *guard)
{
	if (bkp_guard_is_at(guard, GUARD_SNAPSHOT)) {
		forget(guard);
		return BKP_GUARD_UNTOUCHED;
	}
	if (bkp_guard_is_at(guard, GUARD_COMMAND))
		return have_failed(
		    guard, "backup-guard was ended while the command ran");
	if (bkp_guard_is_at(guard, GUARD_HEALTH))
		return have_run(guard);
	if (bkp_guard_is_at(guard, GUARD_AFTER)) {
		bkp_guard_note_formers(guard);
		return go_after(guard);
	}
	return go_back(guard);
}

int
bkp_guard_resume(const struct bkp_guard_options *options,
    struct bkp_guard_result *result, struct bkp_error *err)
{
	uint64_t began_ms = bkp_clock_ms();
	struct guard guard = GUARD_INIT;
	int rc = -1;

	if (begin(&guard, options, err) == 0 &&
	    bkp_guard_journal_open(&guard, err) == 0 &&
	    need_state(&guard, err) == 0 &&
	    bkp_guard_check_ended(&guard, err) == 0) {
		if (!bkp_guard_is_at(&guard, GUARD_SNAPSHOT))
			bkp_run_message(guard.run, BKP_INFO, NULL,
			    "going on with what was begun for %s",
			    bkp_guard_text(&guard, "command"));
		fill_result(&guard, go_on(&guard), began_ms, result);
		rc = 0;
	}
	end(&guard);
	return rc;
}

int
bkp_guard_forget(const struct bkp_guard_options *options, struct bkp_error *err)
{
	struct guard guard = GUARD_INIT;
	int rc = -1;

	if (begin(&guard, options, err) == 0 &&
	    bkp_guard_journal_open(&guard, err) == 0 &&
	    need_state(&guard, err) == 0)
		rc = bkp_guard_journal_remove(&guard, err);
	end(&guard);
	return rc;
}
