/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, joining and writing rosters, and what is asked of one. */
#include "libbackup/repository/roster.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/repository_own.h"

/* ---- memory ---- */

static void
free_key(struct bkp_roster_key *key)
{
	bkp_names_free(&key->passphrase);
}

static void
free_writer(struct bkp_roster_writer *writer)
{
	bkp_names_free(&writer->snapshots);
	bkp_names_free(&writer->indexes);
	bkp_names_free(&writer->checkpoints);
	bkp_names_free(&writer->erasures);
}

void
bkp_roster_free(struct bkp_roster *roster)
{
	for (size_t i = 0; i < roster->key_count; i++)
		free_key(&roster->keys[i]);
	for (size_t i = 0; i < roster->writer_count; i++)
		free_writer(&roster->writers[i]);
	free(roster->keys);
	free(roster->writers);
	bkp_names_free(&roster->admin_objects);
	bkp_names_free(&roster->host_objects);
	*roster = (struct bkp_roster)BKP_ROSTER_INIT;
}

struct bkp_roster_key *
bkp_roster_add_key(struct bkp_roster *roster, struct bkp_error *err)
{
	struct bkp_roster_key *key;

	if (bkp_grow(&roster->keys, roster->key_count, &roster->key_cap,
		sizeof(*roster->keys), err) < 0)
		return NULL;
	key = &roster->keys[roster->key_count++];
	memset(key, 0, sizeof(*key));
	return key;
}

struct bkp_roster_writer *
bkp_roster_add_writer(struct bkp_roster *roster, struct bkp_error *err)
{
	struct bkp_roster_writer *writer;

	if (bkp_grow(&roster->writers, roster->writer_count,
		&roster->writer_cap, sizeof(*roster->writers), err) < 0)
		return NULL;
	writer = &roster->writers[roster->writer_count++];
	memset(writer, 0, sizeof(*writer));
	return writer;
}

void
bkp_roster_remove_key(struct bkp_roster *roster, size_t n)
{
	free_key(&roster->keys[n]);
	roster->key_count--;
	memmove(&roster->keys[n], &roster->keys[n + 1],
	    (roster->key_count - n) * sizeof(*roster->keys));
}

/* ---- joining what was written at the same time ---- */

static bool
has_key(const struct bkp_roster *roster, const char *recipient)
{
	for (size_t i = 0; i < roster->key_count; i++) {
		if (strcmp(roster->keys[i].recipient, recipient) == 0)
			return true;
	}
	return false;
}

static int
copy_key(const struct bkp_roster_key *from, struct bkp_roster *to,
    struct bkp_error *err)
{
	struct bkp_roster_key *key = bkp_roster_add_key(to, err);

	if (key == NULL)
		return -1;
	*key = *from;
	key->passphrase = (struct bkp_names)BKP_NAMES_INIT;
	return bkp_names_join(&key->passphrase, &from->passphrase, err);
}

/* What one of them has and the other lacks was added by the one, or, where
 * they both began with it, taken away by the other. */
static int
join_keys(struct bkp_roster *roster, const struct bkp_roster *other,
    const struct bkp_roster *base, struct bkp_error *err)
{
	for (size_t i = roster->key_count; i-- > 0;) {
		const char *recipient = roster->keys[i].recipient;

		if (base != NULL && !has_key(other, recipient) &&
		    has_key(base, recipient))
			bkp_roster_remove_key(roster, i);
	}
	for (size_t i = 0; i < other->key_count; i++) {
		const char *recipient = other->keys[i].recipient;

		if (!has_key(roster, recipient) &&
		    (base == NULL || !has_key(base, recipient)) &&
		    copy_key(&other->keys[i], roster, err) < 0)
			return -1;
	}
	return 0;
}

static struct bkp_roster_writer *
find_writer(const struct bkp_roster *roster, const unsigned char key[32])
{
	for (size_t i = 0; i < roster->writer_count; i++) {
		if (memcmp(roster->writers[i].public_key, key, 32) == 0)
			return &roster->writers[i];
	}
	return NULL;
}

static int
join_writer(struct bkp_roster *roster, const struct bkp_roster_writer *other,
    struct bkp_error *err)
{
	struct bkp_roster_writer *writer =
	    find_writer(roster, other->public_key);

	if (writer == NULL) {
		if ((writer = bkp_roster_add_writer(roster, err)) == NULL)
			return -1;
		*writer = *other;
		writer->snapshots = (struct bkp_names)BKP_NAMES_INIT;
		writer->indexes = (struct bkp_names)BKP_NAMES_INIT;
		writer->checkpoints = (struct bkp_names)BKP_NAMES_INIT;
		writer->erasures = (struct bkp_names)BKP_NAMES_INIT;
	} else if (writer->revoked_us == 0) {
		writer->revoked_us = other->revoked_us;
	}
	if (bkp_names_join(&writer->snapshots, &other->snapshots, err) < 0 ||
	    bkp_names_join(&writer->checkpoints, &other->checkpoints, err) <
		0 ||
	    bkp_names_join(&writer->erasures, &other->erasures, err) < 0)
		return -1;
	return bkp_names_join(&writer->indexes, &other->indexes, err);
}

/* Of two rotations at the same time everybody must choose the same one. */
static void
join_generation(struct bkp_roster *roster, const struct bkp_roster *other)
{
	if (other->generation < roster->generation ||
	    (other->generation == roster->generation &&
		strcmp(other->metadata_recipient, roster->metadata_recipient) <=
		    0))
		return;
	roster->generation = other->generation;
	memcpy(roster->data_recipient, other->data_recipient,
	    sizeof(roster->data_recipient));
	memcpy(roster->metadata_recipient, other->metadata_recipient,
	    sizeof(roster->metadata_recipient));
}

static int
join(struct bkp_roster *roster, const struct bkp_roster *other,
    const struct bkp_roster *base, struct bkp_error *err)
{
	roster->is_joined = true;
	join_generation(roster, other);
	if (roster->time_us < other->time_us)
		roster->time_us = other->time_us;
	for (size_t i = 0; i < other->writer_count; i++) {
		if (join_writer(roster, &other->writers[i], err) < 0)
			return -1;
	}
	if (join_keys(roster, other, base, err) < 0 ||
	    bkp_names_join(&roster->host_objects, &other->host_objects, err) <
		0)
		return -1;
	return bkp_names_join(
	    &roster->admin_objects, &other->admin_objects, err);
}

/* ---- reading ---- */

struct rosters {
	struct bkp_roster *items; /* owned, by number */
	size_t count, cap;
	size_t damaged;
	struct bkp_error damage;
};

static void
free_rosters(struct rosters *rosters)
{
	for (size_t i = 0; i < rosters->count; i++)
		bkp_roster_free(&rosters->items[i]);
	free(rosters->items);
}

static int
read_one(struct bkp_store *store, const struct bkp_key_ring *ring,
    const char *name, struct bkp_roster *out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = bkp_copies_get(store, "roster", name, &text, err);

	if (rc == 0 &&
	    (rc = bkp_roster_decode(text.data, text.len, ring, out, err)) < 0)
		(void)bkp_fail_in(err, "%s: roster/%s", store->location, name);
	fmt_buf_free(&text);
	return rc;
}

static bool
is_about_the_object(const struct bkp_error *err)
{
	return err->code == BKP_CORRUPT || err->code == BKP_AUTH ||
	       err->code == BKP_NOTFOUND;
}

static int
add_roster(struct bkp_store *store, const struct bkp_key_ring *ring,
    const char *name, struct rosters *out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_roster roster = BKP_ROSTER_INIT;
	size_t at = out->count;

	if (bkp_grow(&out->items, out->count, &out->cap, sizeof(*out->items),
		err) < 0)
		return -1;
	if (read_one(store, ring, name, &roster, &problem) < 0) {
		if (!is_about_the_object(&problem)) {
			if (err != NULL)
				*err = problem;
			return -1;
		}
		if (out->damaged++ == 0)
			out->damage = problem;
		return 0;
	}
	while (at > 0 && out->items[at - 1].number > roster.number)
		at--;
	memmove(&out->items[at + 1], &out->items[at],
	    (out->count++ - at) * sizeof(*out->items));
	out->items[at] = roster;
	return 0;
}

/* Joins all that have the highest number into the first of them. */
static int
join_newest(
    struct rosters *rosters, struct bkp_roster *out, struct bkp_error *err)
{
	size_t last = rosters->count - 1, first = last;
	const struct bkp_roster *base = NULL;
	struct bkp_roster *newest;

	while (first > 0 &&
	       rosters->items[first - 1].number == rosters->items[last].number)
		first--;
	newest = &rosters->items[first];
	if (first > 0 && newest[-1].number + 1 == newest->number)
		base = newest - 1;
	for (size_t i = first + 1; i <= last; i++) {
		if (join(newest, &rosters->items[i], base, err) < 0)
			return -1;
	}
	*out = *newest;
	*newest = (struct bkp_roster)BKP_ROSTER_INIT;
	return 0;
}

static int
read_all(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct rosters *out, size_t *listed, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_copies_names(store, "roster", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = add_roster(store, ring, names.items[i], out, err);
	*listed = names.count;
	bkp_names_free(&names);
	return rc;
}

int
bkp_roster_load(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_roster *out, struct bkp_error *err)
{
	struct rosters rosters = {NULL, 0, 0, 0, BKP_ERROR_INIT};
	struct bkp_roster roster = BKP_ROSTER_INIT;
	size_t listed;
	int rc = read_all(store, ring, &rosters, &listed, err);

	if (rc == 0 && rosters.count > 0)
		rc = join_newest(&rosters, &roster, err);
	if (rc == 0) {
		roster.damaged = rosters.damaged;
		roster.damage = rosters.damage;
		if (listed == 0)
			(void)bkp_fail(&roster.damage, BKP_CORRUPT,
			    "%s: its folder roster/ is empty, so that nobody "
			    "is known to write here; bring it back from a copy",
			    store->location);
		*out = roster;
	}
	free_rosters(&rosters);
	return rc;
}

int
bkp_roster_keys(const struct bkp_roster *roster, struct bkp_names *out,
    struct bkp_error *err)
{
	if (bkp_names_join(out, &roster->admin_objects, err) < 0 ||
	    bkp_names_join(out, &roster->host_objects, err) < 0)
		return -1;
	for (size_t i = 0; i < roster->key_count; i++) {
		if (bkp_names_join(out, &roster->keys[i].passphrase, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_roster_forgotten(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_names *out, struct bkp_error *err)
{
	struct rosters rosters = {NULL, 0, 0, 0, BKP_ERROR_INIT};
	struct bkp_names all = BKP_NAMES_INIT, kept = BKP_NAMES_INIT,
			 forgotten = BKP_NAMES_INIT;
	struct bkp_roster newest = BKP_ROSTER_INIT;
	size_t listed;
	int rc = read_all(store, ring, &rosters, &listed, err);

	for (size_t i = 0; rc == 0 && i < rosters.count; i++)
		rc = bkp_roster_keys(&rosters.items[i], &all, err);
	if (rc == 0 && rosters.count > 0)
		rc = join_newest(&rosters, &newest, err);
	if (rc == 0)
		rc = bkp_roster_keys(&newest, &kept, err);
	for (size_t i = 0; rc == 0 && i < all.count; i++) {
		if (!bkp_names_has(&kept, all.items[i]))
			rc = bkp_names_add(&forgotten, all.items[i], err);
	}
	if (rc == 0)
		*out = forgotten;
	else
		bkp_names_free(&forgotten);
	bkp_names_free(&all);
	bkp_names_free(&kept);
	bkp_roster_free(&newest);
	free_rosters(&rosters);
	return rc;
}

/* ---- writing ---- */

int
bkp_roster_put(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_roster *roster, char name[BKP_OBJECT_NAME],
    struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc;

	roster->number++;
	roster->time_us = bkp_now_us();
	rc = bkp_roster_encode(roster, ring, &text, err);
	if (rc == 0)
		rc = bkp_copies_put(
		    store, "roster", text.data, text.len, name, err);
	fmt_buf_free(&text);
	return rc;
}

/* ---- what is asked of it ---- */

bool
bkp_roster_may_write(
    const struct bkp_roster *roster, const unsigned char key[32])
{
	const struct bkp_roster_writer *writer = find_writer(roster, key);

	return writer != NULL && writer->revoked_us == 0;
}

bool
bkp_roster_may_prune(
    const struct bkp_roster *roster, const unsigned char key[32])
{
	const struct bkp_roster_writer *writer = find_writer(roster, key);

	return writer != NULL && writer->revoked_us == 0 && writer->may_prune;
}

bool
bkp_roster_believes_snapshot(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name)
{
	const struct bkp_roster_writer *writer = find_writer(roster, key);

	return writer != NULL && (writer->revoked_us == 0 ||
				     bkp_names_has(&writer->snapshots, name));
}

bool
bkp_roster_believes_index(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name)
{
	const struct bkp_roster_writer *writer = find_writer(roster, key);

	return writer != NULL && (writer->revoked_us == 0 ||
				     bkp_names_has(&writer->indexes, name));
}

bool
bkp_roster_believes_checkpoint(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name)
{
	const struct bkp_roster_writer *writer = find_writer(roster, key);

	return writer != NULL && writer->may_prune &&
	       (writer->revoked_us == 0 ||
		   bkp_names_has(&writer->checkpoints, name));
}

bool
bkp_roster_believes_erasure(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name)
{
	const struct bkp_roster_writer *writer = find_writer(roster, key);

	return writer != NULL && (writer->revoked_us == 0 ||
				     bkp_names_has(&writer->erasures, name));
}

const struct bkp_roster_writer *
bkp_roster_writer(const struct bkp_roster *roster, const unsigned char key[32])
{
	return find_writer(roster, key);
}

const char *
bkp_roster_writer_name(
    const struct bkp_roster *roster, const unsigned char key[32])
{
	const struct bkp_roster_writer *writer = find_writer(roster, key);

	return writer != NULL ? writer->name : NULL;
}

int
bkp_roster_refuse(const struct bkp_roster *roster, const unsigned char key[32],
    struct bkp_error *err)
{
	const struct bkp_roster_writer *writer = find_writer(roster, key);
	char date[32] = "";
	struct tm tm;
	time_t when;

	if (writer != NULL && writer->revoked_us != 0) {
		when = (time_t)(writer->revoked_us / 1000000);
		if (gmtime_r(&when, &tm) != NULL)
			(void)strftime(date, sizeof(date), "%Y-%m-%d", &tm);
		return bkp_fail(err, BKP_AUTH,
		    "it is signed by the key of %s, which was revoked on %s, "
		    "and is not among what that host had written by then",
		    writer->name, date);
	}
	if (roster->damage.code != BKP_OK)
		return bkp_fail(err, (enum bkp_error_code)roster->damage.code,
		    "its writer is not known, and a roster could not be read: "
		    "%s",
		    roster->damage.message);
	return bkp_fail(
	    err, BKP_AUTH, "it is signed by a key that is not a writer's");
}
