/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A restore: every target looks before any of them touches anything, then each
 * takes its entries back. Databases come behind files and objects, so that
 * what they name is there when they appear; and commands come last, for one may
 * build an index from a database, of which nobody who was erased since is to be
 * in it. What the repository has lost is named, and everything else goes back.
 */
#include "libbackup/operations.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/replay.h"
#include "libbackup/operations/restore_check.h"
#include "libbackup/operations/restore_left.h"
#include "libbackup/operations/room.h"
#include "libbackup/operations/sink.h"
#include "libbackup/repository/repository_own.h"

struct restore;

struct part {
	struct restore *restore; /* borrowed */
	const struct bkp_chosen *chosen;
	struct bkp_source_config bare; /* used where there is no other */
	struct bkp_target *target;
	struct bkp_supply *supply;
	struct bkp_amount amount;
	bool has_failed; /* a command, behind which all else is back */
};

struct restore {
	const struct bkp_restore_options *options;
	struct bkp_run *run;
	struct bkp_opened opened;
	struct part *parts;
	size_t part_count;
	struct bkp_replay *replay; /* NULL: there is nothing to be replayed */
	struct bkp_restore_result result;
};

/* Says where else it could go, for whoever has an empty machine. */
static void
refuse_unknown(const struct bkp_chosen *chosen, struct bkp_error *err)
{
	const char *prefix = chosen->source->prefix;
	const char *slash = strchr(prefix, '/');

	(void)bkp_fail(err, BKP_INVALID,
	    "the snapshot holds %s, but the configuration has no such source, "
	    "so it is not known where to restore it; add '%s: %s' %s",
	    prefix, chosen->kind->name, slash != NULL ? slash + 1 : "",
	    chosen->kind->kind == BKP_KIND_POSTGRES ||
		    chosen->kind->kind == BKP_KIND_BUCKET
		? "with its server under 'sources:', or choose another PATH"
		: "under 'sources:', or restore this source by itself into a "
		  "folder: --to FOLDER, and its name as PATH");
}

/* The configuration of a source that is in the snapshot. Where the machine has
 * none, files and command outputs can still go to a folder that is named. */
static const struct bkp_source_config *
config_of(struct restore *restore, struct part *part, struct bkp_error *err)
{
	const struct bkp_chosen *chosen = part->chosen;

	if (chosen->config != NULL)
		return chosen->config;
	if (restore->options->to == NULL ||
	    chosen->kind->kind == BKP_KIND_POSTGRES ||
	    chosen->kind->kind == BKP_KIND_BUCKET) {
		refuse_unknown(chosen, err);
		return NULL;
	}
	part->bare.kind = chosen->kind->kind;
	part->bare.prefix = bkp_strdup(chosen->source->prefix, err);
	part->bare.name = bkp_strdup(
	    chosen->source->prefix + strlen(chosen->kind->name) + 1, err);
	if (part->bare.prefix == NULL || part->bare.name == NULL)
		return NULL;
	return &part->bare;
}

/* ---- who was erased since ---- */

/* The part that restores a bucket that a map calls by this name, or NULL. */
static struct part *
bucket_part(struct restore *restore, const char *name)
{
	for (size_t i = 0; i < restore->part_count; i++) {
		const struct bkp_chosen *chosen = restore->parts[i].chosen;
		const char *slash = strchr(chosen->source->prefix, '/');

		if (chosen->kind->kind == BKP_KIND_BUCKET && slash != NULL &&
		    strcmp(slash + 1, name) == 0)
			return &restore->parts[i];
	}
	return NULL;
}

static void
tell_object(struct restore *restore, const struct bkp_erased_object *object,
    bool is_kept)
{
	bkp_run_message(restore->run, BKP_WARNING, NULL,
	    is_kept
		? "%s%s in bucket '%s' belongs to somebody who was erased, and "
		  "stays, for rows of others name it, too"
		: "%s%s in bucket '%s' belongs to somebody who was erased; the "
		  "bucket is not restored with the database: look whether it "
		  "is there",
	    object->is_prefix ? "what is below " : "", object->key,
	    object->bucket);
}

/* Objects are back before the database that tells whose they are. */
static int
remove_objects(struct restore *restore, const struct bkp_erased *erased,
    struct bkp_error *err)
{
	for (size_t i = 0; i < erased->object_count; i++) {
		const struct bkp_erased_object *object = &erased->objects[i];
		struct part *part = bucket_part(restore, object->bucket);

		if (object->is_kept || part == NULL)
			tell_object(restore, object, object->is_kept);
		else if (part->target->ops->remove(part->target, part->supply,
			     object->key, object->is_prefix,
			     &restore->result.erased_objects, err) < 0)
			return bkp_fail_in(err,
			    "deleting an object of somebody who was erased "
			    "since");
	}
	return 0;
}

/* The name that a database has in the snapshot, by its path. */
static const char *
database_at(const struct fmt_snapshot_source *source, const char *path)
{
	const json_t *list = json_object_get(source->info, "databases");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *facts = json_array_get(list, i);
		const char *its =
		    json_string_value(json_object_get(facts, "path"));

		if (its != NULL && strcmp(its, path) == 0)
			return json_string_value(
			    json_object_get(facts, "name"));
	}
	return NULL;
}

static int
fail_rows(uint64_t count, struct bkp_error *err)
{
	if (count == 0)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "%s %s erased since this snapshot was made, and who "
	    "of them comes back with the rows of one table cannot be seen to: "
	    "restore the whole database under another name (--to) and take the "
	    "rows from there, or say --without-erasures",
	    bkp_counted(count, "subject").text, bkp_were(count));
}

static int
settle(void *arg, const char *path, const struct bkp_postgres_config *config,
    const char *name, struct bkp_error *err)
{
	struct part *part = arg;
	struct restore *restore = part->restore;
	const struct fmt_snapshot_source *source = part->chosen->source;
	struct bkp_replayed replayed = BKP_REPLAYED_INIT;
	const struct bkp_replay_place place = {.source = source,
	    .database = database_at(source, path),
	    .config = config,
	    .name = name,
	    .is_uncounted = true};
	int rc = -1;

	if (restore->replay == NULL || place.database == NULL)
		return 0;
	if (name == NULL)
		return fail_rows(
		    bkp_replay_count(restore->replay, source, place.database),
		    err);
	if (bkp_replay_erasures(restore->replay, &place, &replayed, err) == 0 &&
	    remove_objects(restore, &replayed.erased, err) == 0) {
		restore->result.erasures += replayed.entries;
		restore->result.erased_subjects += replayed.subjects;
		restore->result.erased_rows += replayed.erased.rows;
		restore->result.cleared_references += replayed.erased.cleared;
		rc = 0;
	}
	bkp_replayed_free(&replayed);
	return rc < 0 ? bkp_fail_in(err,
			    "not called ready (--map names another version of "
			    "the map, --without-erasures goes without)")
		      : 0;
}

static bool
has_kind(const struct bkp_opened *opened, enum bkp_source_kind kind)
{
	for (size_t i = 0; i < opened->chosen_count; i++)
		if (opened->chosen[i].kind->kind == kind)
			return true;
	return false;
}

/* Whether its rows are chosen or not: objects belong to whom they name. */
static bool
holds_database(const struct fmt_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->source_count; i++)
		if (strcmp(snapshot->sources[i].kind, "postgres") == 0)
			return true;
	return false;
}

static int
open_replay(struct restore *restore, struct bkp_error *err)
{
	const struct bkp_opened *opened = &restore->opened;
	bool has_database = has_kind(opened, BKP_KIND_POSTGRES);

	restore->result.has_no_ledger = opened->repository->archive != NULL;
	if (!has_database && !has_kind(opened, BKP_KIND_BUCKET))
		return 0;
	if (restore->options->is_without_erasures) {
		bkp_run_message(restore->run, BKP_WARNING, NULL,
		    "erasures that were recorded since the snapshot are not "
		    "replayed, as asked: whoever was erased may be back");
		return 0;
	}
	if (restore->result.has_no_ledger) {
		if (holds_database(&opened->snapshot))
			bkp_run_message(restore->run, BKP_WARNING, NULL,
			    BKP_REPLAY_NO_LEDGER);
		return 0;
	}
	if (bkp_replay_open(opened, restore->run, restore->options->map,
		&restore->replay, err) < 0)
		return -1;
	for (size_t i = 0; !has_database && i < opened->chosen_count; i++) {
		const char *prefix = opened->chosen[i].source->prefix;
		const char *slash = strchr(prefix, '/');

		if (opened->chosen[i].kind->kind == BKP_KIND_BUCKET &&
		    bkp_replay_warn_bucket(restore->replay,
			slash != NULL ? slash + 1 : prefix, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- parts ---- */

static int
open_part(struct restore *restore, struct part *part, struct bkp_error *err)
{
	const struct bkp_chosen *chosen = part->chosen;
	const struct bkp_target_options options = {
	    .to = restore->options->to,
	    .is_overwrite = restore->options->is_overwrite != 0,
	    .is_swap = restore->options->is_swap != 0,
	    .is_locking = restore->options->is_locking != 0,
	    .is_delete = restore->options->is_delete != 0,
	    .is_every_version = restore->options->is_every_version != 0,
	    .role = restore->options->role,
	    .has_no_owner = restore->options->is_without_owners != 0 ||
			    restore->options->role != NULL,
	    .has_no_privileges = restore->options->is_without_privileges != 0,
	    .may_skip = restore->options->is_skipping != 0,
	    .only = restore->options->only,
	    .only_count = restore->options->only_count,
	    .is_schema_only = restore->options->is_schema_only != 0,
	    .settle = settle,
	    .settle_arg = part,
	};
	const struct bkp_source_config *config = config_of(restore, part, err);

	if (config == NULL)
		return -1;
	if (bkp_supply_new(restore->run, restore->opened.repository,
		chosen->source, chosen->selection, &part->supply, err) < 0 ||
	    bkp_opened_count(
		&restore->opened, chosen, part->supply, &part->amount, err) < 0)
		return -1;
	if (chosen->kind->target_open(config, &options, &part->target, err) < 0)
		return -1;
	bkp_run_phase(
	    restore->run, 0, 0, "checking %s", chosen->source->prefix);
	if (restore->options->is_rehearsal &&
	    bkp_room_look(chosen, config, restore->run, err) < 0)
		return -1;
	return part->target->ops->check(part->target, part->supply, err);
}

static int
open_parts(struct restore *restore, struct bkp_error *err)
{
	struct bkp_opened *opened = &restore->opened;

	if (restore->options->to != NULL && opened->chosen_count != 1)
		return bkp_fail(err, BKP_INVALID,
		    "'%s' can be the place of one source only, and %zu are "
		    "chosen; name one of them as PATH, such as '%s'",
		    restore->options->to, opened->chosen_count,
		    opened->chosen[0].source->prefix);
	if (bkp_restore_check(restore->options, opened, err) < 0)
		return -1;
	restore->parts =
	    bkp_alloc_array(opened->chosen_count, sizeof(*restore->parts), err);
	if (restore->parts == NULL)
		return -1;
	for (size_t i = 0; i < opened->chosen_count; i++) {
		struct part *part = &restore->parts[i];

		restore->part_count++;
		part->restore = restore;
		part->chosen = &opened->chosen[i];
		if (bkp_run_check(restore->run, err) < 0)
			return -1;
		if (open_part(restore, part, err) < 0)
			return bkp_fail_in(
			    err, "%s", part->chosen->source->prefix);
	}
	return 0;
}

static int
run_part(struct restore *restore, struct part *part, struct bkp_error *err)
{
	const struct fmt_snapshot_source *source = part->chosen->source;

	bkp_run_phase(restore->run, part->amount.bytes, part->amount.entries,
	    "restoring %s", source->prefix);
	if (bkp_run_check(restore->run, err) < 0)
		return -1;
	if (part->target->ops->run(part->target, part->supply, err) < 0)
		return bkp_fail_in(err, "%s", source->prefix);
	bkp_run_message(restore->run, BKP_INFO, source->prefix,
	    bkp_supply_count(part->supply) == 0 && part->amount.entries > 0
		? "nothing of it was restored"
	    : bkp_supply_lost(part->supply) > 0
		? "restored, but for what is lost"
		: "restored");
	return 0;
}

/* All else is back, and stays: a command that fails is one that somebody runs
 * again. */
static int
run_command(struct restore *restore, struct part *part, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (run_part(restore, part, &why) == 0)
		return 0;
	if (restore->part_count > 1 && why.code != BKP_CANCELLED &&
	    why.code != BKP_NOMEM) {
		part->has_failed = true;
		return bkp_run_omit(restore->run, err,
		    part->chosen->source->prefix, "not restored: %s",
		    why.message);
	}
	if (err != NULL)
		*err = why;
	return -1;
}

static int
run_parts(struct restore *restore, struct bkp_error *err)
{
	for (int turn = 0; turn <= BKP_TURN_LAST; turn++)
		for (size_t i = 0; i < restore->part_count; i++) {
			struct part *part = &restore->parts[i];
			enum bkp_source_kind kind = part->chosen->kind->kind;

			if (bkp_restore_turn(kind) == turn &&
			    (kind == BKP_KIND_COMMAND
				    ? run_command(restore, part, err)
				    : run_part(restore, part, err)) < 0)
				return -1;
		}
	return 0;
}

/* A snapshot that was taken with something left out is restored with that
 * left out: said again here, where it matters. */
static int
repeat_omissions(struct restore *restore, struct bkp_error *err)
{
	const struct bkp_omitted *omitted;
	size_t count;

	omitted = bkp_opened_omissions(&restore->opened, &count);
	for (size_t i = 0; i < count; i++)
		if (bkp_run_omit(restore->run, err, omitted[i].path,
			"not in the snapshot: %s", omitted[i].reason) < 0)
			return -1;
	restore->result.repeated_count = count;
	return 0;
}

/* Somebody who reads this has just lost something: what to do about it. */
static void
advise(const struct restore *restore)
{
	if (restore->opened.repository->archive != NULL)
		bkp_run_message(restore->run, BKP_WARNING, NULL,
		    "the archive is damaged: what was named cannot be read "
		    "from it any more; everything else is restored. Get the "
		    "archive again from where it was copied to, or take them "
		    "from another one");
	else
		bkp_run_message(restore->run, BKP_WARNING, NULL,
		    "the repository is damaged: what was named cannot be read "
		    "from it any more; everything else is restored. "
		    "'backup-check --read-data' tells which snapshots are "
		    "hurt, and 'backup-check --repair' brings back what can "
		    "be: restore these once more then, or from an older "
		    "snapshot (backup-restore SNAPSHOT PATH)");
}

/* Sums up. That there was nothing to restore is a success. */
static int
take_stock(struct restore *restore, struct bkp_restore_result *result,
    struct bkp_error *err)
{
	uint64_t restored = 0, lost = 0, refused = 0;
	size_t count;

	for (size_t i = 0; i < restore->part_count; i++) {
		restored += bkp_supply_count(restore->parts[i].supply);
		lost += bkp_supply_lost(restore->parts[i].supply);
		refused += bkp_supply_refused(restore->parts[i].supply);
	}
	(void)bkp_run_omissions(restore->run, &count);
	if (lost > 0)
		advise(restore);
	if (restored == 0 && count > 0)
		return bkp_fail(err, lost > 0 ? BKP_CORRUPT : BKP_IO,
		    "nothing was restored: %s %s left out, each named above "
		    "with the reason",
		    bkp_counted(count, "thing").text, bkp_were(count));
	result->lost_count = (size_t)lost;
	result->refused_count = (size_t)refused;
	return 0;
}

static int
restore_parts(struct restore *restore, struct bkp_error *err)
{
	if (run_parts(restore, err) < 0 ||
	    take_stock(restore, &restore->result, err) < 0)
		return -1;
	return repeat_omissions(restore, err);
}

/* Of parts it is databases that are counted. */
static void
add_amount(const struct restore *restore, const struct part *part,
    struct bkp_restore_result *result)
{
	if (restore->options->is_schema_only ||
	    restore->options->only_count > 0) {
		result->entries += bkp_supply_count(part->supply);
		return;
	}
	result->entries += part->amount.entries;
	result->bytes += part->amount.bytes;
}

/* Of what was looked into another place nothing is left to be done. */
static int
find_left(struct restore *restore, struct bkp_restore_result *result,
    struct bkp_error *err)
{
	const struct bkp_opened *opened = &restore->opened;
	enum bkp_left *states;
	int rc;

	if (restore->options->to != NULL || restore->options->is_rehearsal)
		return 0;
	states = bkp_alloc_array(
	    opened->snapshot.source_count, sizeof(*states), err);
	if (states == NULL)
		return -1;
	for (size_t i = 0; i < restore->part_count; i++) {
		const struct part *part = &restore->parts[i];

		states[part->chosen->source - opened->snapshot.sources] =
		    part->has_failed ? BKP_LEFT_FAILED : BKP_LEFT_NOTHING;
	}
	rc = bkp_restore_find_left(
	    opened, restore->options->config, states, result, err);
	free(states);
	return rc;
}

static void
end_restore(struct restore *restore)
{
	for (size_t i = 0; i < restore->part_count; i++) {
		struct part *part = &restore->parts[i];

		if (part->target != NULL)
			part->target->ops->close(part->target);
		bkp_supply_free(part->supply);
		bkp_source_config_free(&part->bare);
	}
	free(restore->parts);
	bkp_replay_close(restore->replay);
	bkp_opened_fini(&restore->opened);
	bkp_run_free(restore->run);
}

int
bkp_restore(const struct bkp_restore_options *options,
    struct bkp_restore_result *result, struct bkp_error *err)
{
	struct restore restore = {.options = options};
	uint64_t began_ms = bkp_clock_ms(), ready_ms;
	int rc = -1;

	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &restore.run, err) < 0)
		goto out;
	if (bkp_opened_init(&restore.opened, options->config, options->snapshot,
		options->path, err) < 0 ||
	    bkp_opened_warn(&restore.opened, restore.run, err) < 0 ||
	    bkp_opened_index(&restore.opened, restore.run, err) < 0 ||
	    open_replay(&restore, err) < 0 || open_parts(&restore, err) < 0)
		goto out;
	if (!options->is_rehearsal && restore_parts(&restore, err) < 0)
		goto out;
	if (find_left(&restore, &restore.result, err) < 0)
		goto out;
	*result = restore.result;
	memcpy(result->snapshot, restore.opened.name, sizeof(result->snapshot));
	for (size_t i = 0; i < restore.part_count; i++) {
		add_amount(&restore, &restore.parts[i], result);
		ready_ms = bkp_supply_ready_ms(restore.parts[i].supply);
		if (ready_ms > began_ms + result->ready_ms)
			result->ready_ms = ready_ms - began_ms;
	}
	(void)bkp_run_omissions(restore.run, &result->omission_count);
	result->duration_ms = bkp_clock_ms() - began_ms;
	rc = 0;
out:
	end_restore(&restore);
	return rc;
}
