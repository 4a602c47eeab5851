/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger, for one snapshot. */
#include "libbackup/operations/replay.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/replay_own.h"

/* ---- the ledger ---- */

/* What snapshots knew of was asked for when they were read, and not once more
 * for this: most repositories have no ledger. */
static int
tell_gaps(struct bkp_replay *replay, struct bkp_error *err)
{
	const struct bkp_erasures *erasures = &replay->erasures;
	uint64_t found = erasures->count + erasures->damaged;

	if (erasures->damaged > 0 &&
	    bkp_run_omit(replay->run, err, "erasures",
		"%s of the erasure ledger cannot be read, and whoever is "
		"meant may be back: %s",
		bkp_counted(erasures->damaged, "entry").text,
		erasures->damage.message) < 0)
		return -1;
	if (!replay->opened->is_history_read &&
	    bkp_run_omit(replay->run, err, "erasures",
		"whether entries of the erasure ledger are missing is not "
		"known, for the other snapshots could not be read") < 0)
		return -1;
	if (replay->opened->repository->store->is_past &&
	    bkp_run_omit(replay->run, err, "erasures",
		"of a bucket as it was no entry of the erasure ledger is read "
		"that was recorded since, and whoever is meant may be back: "
		"erase them again") < 0)
		return -1;
	if (replay->opened->erasures <= found)
		return 0;
	return bkp_run_omit(replay->run, err, "erasures",
	    "%s of the erasure ledger %s gone, and whoever is meant may be "
	    "back",
	    bkp_counted(replay->opened->erasures - found, "entry").text,
	    bkp_are(replay->opened->erasures - found));
}

int
bkp_replay_open(const struct bkp_opened *opened, struct bkp_run *run,
    const char *map, struct bkp_replay **out, struct bkp_error *err)
{
	struct bkp_replay *replay = bkp_alloc(sizeof(*replay), err);

	if (replay == NULL)
		return -1;
	replay->opened = opened;
	replay->run = run;
	replay->erasures = (struct bkp_erasures)BKP_ERASURES_INIT;
	if (bkp_erasures_load(opened->repository, &replay->erasures, err) < 0 ||
	    tell_gaps(replay, err) < 0)
		goto fail;
	replay->known = bkp_alloc_array(
	    replay->erasures.count + 1, sizeof(*replay->known), err);
	if (replay->known == NULL ||
	    (map != NULL && bkp_map_load(map, &replay->instead, err) < 0))
		goto fail;
	*out = replay;
	return 0;
fail:
	bkp_replay_close(replay);
	return -1;
}

void
bkp_replay_close(struct bkp_replay *replay)
{
	if (replay == NULL)
		return;
	for (size_t i = 0; i < replay->map_count; i++)
		bkp_map_free(&replay->maps[i]);
	bkp_map_free(&replay->instead);
	if (replay->known != NULL)
		OPENSSL_cleanse(replay->known,
		    replay->erasures.count * sizeof(*replay->known));
	free(replay->known);
	free(replay->maps);
	bkp_erasures_free(&replay->erasures);
	free(replay);
}

/* Takes the map of an entry in, unless it is there already. */
static int
take_map(struct bkp_replay *replay, size_t entry,
    const struct bkp_erasure_secret *secret, struct bkp_error *err)
{
	const struct fmt_erasure *record =
	    &replay->erasures.items[entry].record;
	struct bkp_map map = BKP_MAP_INIT;

	for (size_t i = 0; i < replay->map_count; i++)
		if (strcmp(replay->maps[i].sha256, record->map) == 0) {
			replay->known[entry].map = i;
			return 0;
		}
	if (bkp_grow(&replay->maps, replay->map_count, &replay->map_cap,
		sizeof(*replay->maps), err) < 0 ||
	    bkp_map_parse("the map of the erasure", secret->map,
		secret->map_len, &map, err) < 0)
		return -1;
	replay->known[entry].map = replay->map_count;
	replay->maps[replay->map_count++] = map;
	return 0;
}

int
bkp_replay_know(struct bkp_replay *replay, size_t entry, struct bkp_error *err)
{
	const struct bkp_erasure *erasure = &replay->erasures.items[entry];
	struct bkp_erasure_secret secret = BKP_ERASURE_SECRET_INIT;
	struct bkp_replay_known *known = &replay->known[entry];
	int rc = -1;

	if (known->is_open)
		return 0;
	if (bkp_erasure_open(
		replay->opened->repository, erasure, &secret, err) == 0 &&
	    take_map(replay, entry, &secret, err) == 0) {
		memcpy(known->key, secret.key, sizeof(known->key));
		known->is_open = true;
		rc = 0;
	}
	bkp_erasure_secret_free(&secret);
	return rc == 0 ? 0
		       : bkp_fail_in(err, "the erasure ledger: erasures/%.12s",
			     erasure->name);
}

/* Of which moment a database is: an erasure that came after that and before the
 * end of the backup counts. */
static int64_t
moment_of(const struct bkp_replay *replay,
    const struct fmt_snapshot_source *source, const char *database)
{
	const json_t *list = json_object_get(source->info, "databases");
	int64_t moment = replay->opened->snapshot.time_us;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *facts = json_array_get(list, i);
		const char *name =
		    json_string_value(json_object_get(facts, "name"));
		json_int_t time_us =
		    json_integer_value(json_object_get(facts, "time_us"));

		if (name != NULL && strcmp(name, database) == 0 &&
		    time_us > 0 && time_us < moment)
			moment = time_us;
	}
	return moment;
}

bool
bkp_replay_concerns(const struct bkp_replay *replay, size_t entry,
    const struct fmt_snapshot_source *source, const char *database)
{
	return bkp_erasure_concerns(&replay->erasures.items[entry],
	    source->prefix, database, moment_of(replay, source, database));
}

uint64_t
bkp_replay_count(const struct bkp_replay *replay,
    const struct fmt_snapshot_source *source, const char *database)
{
	uint64_t count = 0;

	for (size_t i = 0; i < replay->erasures.count; i++)
		count += bkp_replay_concerns(replay, i, source, database);
	return count;
}

/* ---- what a caller asks ---- */

void
bkp_replayed_free(struct bkp_replayed *replayed)
{
	bkp_erased_free(&replayed->erased);
}

int
bkp_replay_when(struct bkp_replay *replay,
    const struct fmt_snapshot_source *source, const char *database,
    const char *table, const char *const *values, size_t count,
    int64_t *time_us, struct bkp_error *err)
{
	*time_us = 0;
	for (size_t i = 0; i < replay->erasures.count; i++) {
		const struct fmt_erasure *record =
		    &replay->erasures.items[i].record;
		unsigned char hash[FMT_ERASURE_HASH];

		if (!bkp_replay_concerns(replay, i, source, database) ||
		    strcmp(record->table, table) != 0)
			continue;
		if (bkp_replay_know(replay, i, err) < 0 ||
		    bkp_erasure_hash(replay->known[i].key, table, values, count,
			hash, err) < 0)
			return -1;
		if (memcmp(hash, record->hash, sizeof(hash)) == 0)
			*time_us = record->time_us;
	}
	return 0;
}

int
bkp_replay_warn_bucket(
    struct bkp_replay *replay, const char *bucket, struct bkp_error *err)
{
	uint64_t count = 0;

	for (size_t i = 0; i < replay->erasures.count; i++) {
		const struct bkp_map *map;
		bool is_named = false;

		if (replay->erasures.items[i].record.time_us <=
		    replay->opened->snapshot.time_us)
			continue;
		if (bkp_replay_know(replay, i, err) < 0)
			return -1;
		map = &replay->maps[replay->known[i].map];
		for (size_t k = 0; k < map->file_count && !is_named; k++)
			is_named = strcmp(map->files[k].bucket, bucket) == 0;
		count += is_named;
	}
	if (count > 0)
		bkp_run_message(replay->run, BKP_WARNING, NULL,
		    "%s %s erased since this snapshot who may "
		    "have objects in bucket '%s': which ones only their "
		    "database tells. Restore it together with the bucket",
		    bkp_counted(count, "subject").text, bkp_were(count),
		    bucket);
	return 0;
}
