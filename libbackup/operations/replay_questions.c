/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replay, for one database:
 *
 *   the entries that concern it, opened, by what they ask: the key columns of
 *   a table
 *   for each such question, all keys of the database, hashed and looked up
 *   those that match erased by the map of their entry, and asked once more,
 *   until nobody is found
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/replay_own.h"
#include "libbackup/postgres/analyze.h"
#include "libbackup/subject/keys.h"
#include "libbackup/subject/review.h"

/* ---- questions ---- */

/* An entry that is looked for, by the hash of its subject. */
struct needle {
	const unsigned char *hash; /* borrowed */
	size_t entry;
};

struct match {
	size_t entry;
	char **values; /* owned */
};

/* Which subjects of one table, known by the same columns, are in a
 * database. */
struct question {
	struct bkp_replay *replay;
	const struct bkp_map *map; /* one of those that ask so */
	const char *table;         /* that the hashes name: the entries' own */
	struct needle *needles;
	size_t needle_count, needle_cap;
	const unsigned char **keys; /* no two equal */
	size_t key_count, key_cap;
	struct match *matches;
	size_t match_count, match_cap;
};

static int
compare_needles(const void *a, const void *b)
{
	const struct needle *x = a, *y = b;
	int order = memcmp(x->hash, y->hash, FMT_ERASURE_HASH);

	return order != 0 ? order
			  : (x->entry > y->entry) - (x->entry < y->entry);
}

/* The newest entry with this hash, or SIZE_MAX. */
static size_t
find_needle(const struct question *q, const unsigned char *hash)
{
	size_t low = 0, high = q->needle_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(q->needles[middle].hash, hash, FMT_ERASURE_HASH) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == 0 ||
	    memcmp(q->needles[low - 1].hash, hash, FMT_ERASURE_HASH) != 0)
		return SIZE_MAX;
	return q->needles[low - 1].entry;
}

static int
add_match(struct question *q, size_t entry, const char *const *values,
    struct bkp_error *err)
{
	size_t count = q->map->key.count;
	struct match *match;

	if (bkp_grow(&q->matches, q->match_count, &q->match_cap,
		sizeof(*q->matches), err) < 0)
		return -1;
	match = &q->matches[q->match_count++];
	match->entry = entry;
	match->values = bkp_alloc_array(count, sizeof(*match->values), err);
	if (match->values == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		if ((match->values[i] = bkp_strdup(values[i], err)) == NULL)
			return -1;
	return 0;
}

static void
drop_matches(struct question *q)
{
	for (size_t i = 0; i < q->match_count; i++) {
		for (size_t k = 0;
		     q->matches[i].values != NULL && k < q->map->key.count; k++)
			free(q->matches[i].values[k]);
		free(q->matches[i].values);
	}
	q->match_count = 0;
}

static void
free_question(struct question *q)
{
	drop_matches(q);
	free(q->needles);
	free(q->keys);
	free(q->matches);
}

/* The newest entry that is about these values, or SIZE_MAX. */
static int
look_up(const struct question *q, const char *const *values, size_t *found,
    struct bkp_error *err)
{
	unsigned char hash[FMT_ERASURE_HASH];

	*found = SIZE_MAX;
	for (size_t i = 0; i < q->key_count; i++) {
		size_t entry;

		if (bkp_erasure_hash(q->keys[i], q->table, values,
			q->map->key.count, hash, err) < 0)
			return -1;
		entry = find_needle(q, hash);
		if (entry != SIZE_MAX && (*found == SIZE_MAX || entry > *found))
			*found = entry;
	}
	return 0;
}

static int
see(void *arg, const char *const *values, struct bkp_error *err)
{
	struct question *q = arg;
	size_t entry;

	if (look_up(q, values, &entry, err) < 0)
		return -1;
	return entry != SIZE_MAX ? add_match(q, entry, values, err) : 0;
}

static int
add_needle(struct question *q, size_t entry, struct bkp_error *err)
{
	const struct bkp_replay_known *known = &q->replay->known[entry];
	bool is_known = false;

	if (bkp_grow(&q->needles, q->needle_count, &q->needle_cap,
		sizeof(*q->needles), err) < 0)
		return -1;
	q->needles[q->needle_count++] = (struct needle){
	    q->replay->erasures.items[entry].record.hash, entry};
	for (size_t i = 0; i < q->key_count && !is_known; i++)
		is_known = memcmp(q->keys[i], known->key, FMT_ERASURE_KEY) == 0;
	if (is_known)
		return 0;
	if (bkp_grow(
		&q->keys, q->key_count, &q->key_cap, sizeof(*q->keys), err) < 0)
		return -1;
	q->keys[q->key_count++] = known->key;
	return 0;
}

/* ---- by which map ---- */

/* The map that is given takes the place of those that have its table; where
 * nothing has it the table has another name now, and was one. */
static const struct bkp_map *
map_of(const struct bkp_replay *replay, size_t entry, bool is_renamed)
{
	const struct fmt_erasure *record =
	    &replay->erasures.items[entry].record;

	if (replay->instead.path != NULL &&
	    (is_renamed || strcmp(replay->instead.table, record->table) == 0))
		return &replay->instead;
	return &replay->maps[replay->known[entry].map];
}

static bool
is_same_key(const struct bkp_map *a, const struct bkp_map *b)
{
	if (strcmp(a->table, b->table) != 0 || a->key.count != b->key.count)
		return false;
	for (size_t i = 0; i < a->key.count; i++)
		if (strcmp(a->key.items[i], b->key.items[i]) != 0)
			return false;
	return true;
}

/* The entries that concern a database, opened. */
struct concern {
	size_t *entries; /* owned, oldest first */
	size_t count;
	bool *is_asked; /* owned */
	bool is_renamed;
};

static int
gather(struct bkp_replay *replay, const struct bkp_replay_place *place,
    struct concern *out, struct bkp_error *err)
{
	const char *table = NULL;
	bool is_one = true, is_named = false;

	out->entries = bkp_alloc_array(
	    replay->erasures.count + 1, sizeof(*out->entries), err);
	out->is_asked = bkp_alloc_array(
	    replay->erasures.count + 1, sizeof(*out->is_asked), err);
	if (out->entries == NULL || out->is_asked == NULL)
		return -1;
	for (size_t i = 0; i < replay->erasures.count; i++) {
		const char *its = replay->erasures.items[i].record.table;

		if (!bkp_replay_concerns(
			replay, i, place->source, place->database))
			continue;
		if (bkp_replay_know(replay, i, err) < 0)
			return -1;
		out->entries[out->count++] = i;
		is_one = is_one && (table == NULL || strcmp(table, its) == 0);
		is_named =
		    is_named || (replay->instead.path != NULL &&
				    strcmp(its, replay->instead.table) == 0);
		table = its;
	}
	out->is_renamed = replay->instead.path != NULL && !is_named && is_one;
	if (replay->instead.path != NULL && !is_named && !is_one)
		return bkp_fail(err, BKP_INVALID,
		    "%s is about subjects in %s, and the erasures are of "
		    "others, in more than one table",
		    replay->instead.path, replay->instead.table);
	return 0;
}

/* The first entry that nobody has asked about, and all that ask the same. 1, 0
 * where there is none, or -1. */
static int
pose(struct bkp_replay *replay, struct concern *concern, struct question *q,
    struct bkp_error *err)
{
	*q = (struct question){.replay = replay};
	for (size_t i = 0; i < concern->count; i++) {
		size_t entry = concern->entries[i];
		const struct bkp_map *map =
		    map_of(replay, entry, concern->is_renamed);
		const char *table = replay->erasures.items[entry].record.table;

		if (concern->is_asked[i] ||
		    (q->map != NULL && (!is_same_key(map, q->map) ||
					   strcmp(table, q->table) != 0)))
			continue;
		concern->is_asked[i] = true;
		q->map = map;
		q->table = table;
		if (add_needle(q, entry, err) < 0)
			return -1;
	}
	if (q->needle_count > 0)
		qsort(q->needles, q->needle_count, sizeof(*q->needles),
		    compare_needles);
	return q->map != NULL;
}

/* ---- asking a database ---- */

static int
ask(struct question *q, const struct bkp_replay_place *place,
    struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	struct bkp_model model = BKP_MODEL_INIT;
	int rc = -1;

	drop_matches(q);
	if (bkp_pg_open(&pg, place->config, place->name, q->replay->run, err) <
	    0)
		return -1;
	pg.is_ticking = true;
	if (bkp_pg_do(&pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
		err) == 0 &&
	    bkp_model_read(&pg, &model, err) == 0 &&
	    bkp_subject_keys(&pg, &model, q->map, see, q, err) == 0)
		rc = 0;
	bkp_model_free(&model);
	bkp_pg_close(&pg);
	return rc;
}

static int
check_fit(struct bkp_replay *replay, struct bkp_walk *walk,
    const struct bkp_map *map, struct bkp_error *err)
{
	struct bkp_review review = BKP_REVIEW_INIT;
	int rc = bkp_review(
	    bkp_walk_session(walk), bkp_walk_model(walk), map, &review, err);

	for (size_t i = 0; rc == 0 && i < review.count; i++)
		if (review.findings[i].level == BKP_REVIEW_FINDING)
			bkp_run_message(replay->run, BKP_WARNING, NULL,
			    "%s: %s", review.findings[i].what,
			    review.findings[i].message);
	if (rc == 0 && review.failing > 0)
		rc = bkp_fail(err, BKP_INVALID,
		    "the map that they were erased by does not fit the "
		    "database as it was then (%zu findings, told above)",
		    review.failing);
	bkp_review_free(&review);
	return rc;
}

/* Erases those that have the map of the first one. */
static int
erase_by(struct question *q, const struct bkp_replay_place *place,
    bool is_renamed, struct bkp_replayed *out, struct bkp_error *err)
{
	struct bkp_replay *replay = q->replay;
	const struct bkp_map *map =
	    map_of(replay, q->matches[0].entry, is_renamed);
	size_t width = map->key.count, count = 0;
	const char **keys =
	    bkp_alloc_array(q->match_count * width, sizeof(*keys), err);
	struct bkp_walk *walk = NULL;
	int rc = -1;

	if (keys == NULL)
		return -1;
	for (size_t i = 0; i < q->match_count; i++) {
		if (map_of(replay, q->matches[i].entry, is_renamed) != map)
			continue;
		for (size_t k = 0; k < width; k++)
			keys[count * width + k] = q->matches[i].values[k];
		count++;
	}
	if (bkp_walk_open_erasing(place->config, place->name, map, replay->run,
		&walk, err) == 0 &&
	    check_fit(replay, walk, map, err) == 0 &&
	    bkp_walk_run_many(walk, keys, width, count, err) == 0 &&
	    bkp_erase(walk, &out->erased, err) == 0) {
		out->subjects += count;
		rc = 0;
	}
	bkp_walk_close(walk);
	free(keys);
	return rc;
}

/* A walk of tables that nobody has counted is planned badly. */
static int
count_rows(struct question *q, const struct bkp_replay_place *place,
    struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc =
	    bkp_pg_open(&pg, place->config, place->name, q->replay->run, err);

	pg.is_ticking = true;
	if (rc == 0)
		rc = bkp_pg_analyze(&pg, err);
	bkp_pg_close(&pg);
	return rc;
}

static int
answer(struct question *q, const struct bkp_replay_place *place,
    bool is_renamed, struct bkp_replayed *out, struct bkp_error *err)
{
	for (bool is_first = true;; is_first = false) {
		if (ask(q, place, err) < 0)
			return -1;
		if (q->match_count == 0)
			return 0;
		if (is_first && place->is_uncounted &&
		    count_rows(q, place, err) < 0)
			return -1;
		if (erase_by(q, place, is_renamed, out, err) < 0)
			return -1;
	}
}

/* ---- */

static void
tell(const struct bkp_replay *replay, const struct bkp_replay_place *place,
    const struct bkp_replayed *out)
{
	for (size_t i = 0; i < out->erased.reference_count; i++) {
		const struct bkp_erased_reference *reference =
		    &out->erased.references[i];

		if (reference->why != NULL)
			bkp_run_message(replay->run,
			    reference->is_wanted ? BKP_INFO : BKP_WARNING,
			    place->source->prefix,
			    "%llu rows still refer to somebody who was erased, "
			    "by %s: %s",
			    (unsigned long long)reference->rows,
			    reference->edge, reference->why);
	}
}

int
bkp_replay_erasures(struct bkp_replay *replay,
    const struct bkp_replay_place *place, struct bkp_replayed *out,
    struct bkp_error *err)
{
	struct concern concern = {NULL, 0, NULL, false};
	struct question q;
	int more = -1;

	out->entries = bkp_replay_count(replay, place->source, place->database);
	if (out->entries == 0)
		return 0;
	bkp_run_phase(replay->run, 0, 0,
	    "%s: looking for those who were erased since", place->database);
	if (gather(replay, place, &concern, err) < 0)
		goto out;
	while ((more = pose(replay, &concern, &q, err)) > 0) {
		int rc = answer(&q, place, concern.is_renamed, out, err);

		free_question(&q);
		if (rc < 0) {
			more = -1;
			goto out;
		}
	}
	if (more < 0)
		free_question(&q);
	else
		tell(replay, place, out);
out:
	free(concern.entries);
	free(concern.is_asked);
	return more < 0
		   ? bkp_fail_in(err,
			 "erasing once more who was erased since the snapshot")
		   : 0;
}
