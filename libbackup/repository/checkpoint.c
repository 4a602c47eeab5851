/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints in a repository: joining what is there, and writing the next. */
#include "libbackup/repository/history_own.h"

#include <stdlib.h>
#include <string.h>

#include "formats/checkpoint.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/copies.h"

#define FOLDER "checkpoints"
#define REPLACED_MAX 256
#define TRIES 10 /* while others replace what was just listed */
#define SESSION_ID 33

/* ---- sorted lists of names, each of `width` bytes with its NUL ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Where the name is, or belongs. */
static size_t
place_of(
    const char *items, size_t count, size_t width, const char *name, bool *has)
{
	size_t low = 0, high = count;

	*has = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(items + middle * width, name);

		if (order == 0) {
			*has = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
has_name(const void *items, size_t count, size_t width, const char *name)
{
	bool has;

	(void)place_of(items, count, width, name, &has);
	return has;
}

/* `items` points to the pointer. */
static int
add_name(void *items, size_t *count, size_t *cap, size_t width,
    const char *name, struct bkp_error *err)
{
	char *array;
	size_t at;
	bool has;

	if (strlen(name) != width - 1)
		return bkp_fail(err, BKP_INVALID,
		    "'%.80s' is no name that a checkpoint takes", name);
	if (bkp_grow(items, *count, cap, width, err) < 0)
		return -1;
	memcpy(&array, items, sizeof(array));
	at = place_of(array, *count, width, name, &has);
	if (has)
		return 0;
	memmove(array + (at + 1) * width, array + at * width,
	    (*count - at) * width);
	memcpy(array + at * width, name, width);
	(*count)++;
	return 0;
}

static void
sort_names(void *items, size_t *count, size_t width)
{
	char *array = items;
	size_t kept = 0;

	if (*count < 2)
		return;
	qsort(array, *count, width, compare_names);
	for (size_t i = 0; i < *count; i++) {
		if (kept > 0 &&
		    strcmp(array + (kept - 1) * width, array + i * width) == 0)
			continue;
		memmove(array + kept++ * width, array + i * width, width);
	}
	*count = kept;
}

static int
append_names(void *items, size_t *count, size_t *cap, size_t width,
    const void *more, size_t more_count, struct bkp_error *err)
{
	const char *from = more;
	char *array;

	for (size_t i = 0; i < more_count; i++) {
		if (bkp_grow(items, *count, cap, width, err) < 0)
			return -1;
		memcpy(&array, items, sizeof(array));
		memcpy(array + (*count)++ * width, from + i * width, width);
	}
	return 0;
}

/* ---- what a checkpoint says ---- */

void
bkp_checkpoint_free(struct bkp_checkpoint *checkpoint)
{
	free(checkpoint->kept);
	free(checkpoint->removed);
	free(checkpoint->expired);
	free(checkpoint->replaced);
	bkp_names_free(&checkpoint->unreadable);
	bkp_claims_free(&checkpoint->claims);
	memset(checkpoint, 0, sizeof(*checkpoint));
}

bool
bkp_checkpoint_has_kept(
    const struct bkp_checkpoint *checkpoint, const char *name)
{
	return has_name(
	    checkpoint->kept, checkpoint->kept_count, BKP_OBJECT_NAME, name);
}

bool
bkp_checkpoint_has_removed(
    const struct bkp_checkpoint *checkpoint, const char *name)
{
	return has_name(checkpoint->removed, checkpoint->removed_count,
	    BKP_OBJECT_NAME, name);
}

bool
bkp_checkpoint_has_expired(
    const struct bkp_checkpoint *checkpoint, const char *session)
{
	return has_name(checkpoint->expired, checkpoint->expired_count,
	    SESSION_ID, session);
}

bool
bkp_checkpoint_is_void(const struct bkp_checkpoint *checkpoint,
    const struct bkp_named_snapshot *snapshot)
{
	const char *session = snapshot->snapshot.session;

	if (bkp_checkpoint_has_removed(checkpoint, snapshot->name))
		return true;
	return session[0] != '\0' &&
	       bkp_checkpoint_has_expired(checkpoint, session) &&
	       !bkp_checkpoint_has_kept(checkpoint, snapshot->name);
}

int
bkp_checkpoint_keep(
    struct bkp_checkpoint *checkpoint, const char *name, struct bkp_error *err)
{
	if (bkp_checkpoint_has_removed(checkpoint, name))
		return 0;
	return add_name(&checkpoint->kept, &checkpoint->kept_count,
	    &checkpoint->kept_cap, BKP_OBJECT_NAME, name, err);
}

int
bkp_checkpoint_remove(
    struct bkp_checkpoint *checkpoint, const char *name, struct bkp_error *err)
{
	size_t at;
	bool has;

	if (add_name(&checkpoint->removed, &checkpoint->removed_count,
		&checkpoint->removed_cap, BKP_OBJECT_NAME, name, err) < 0)
		return -1;
	at = place_of((const char *)checkpoint->kept, checkpoint->kept_count,
	    BKP_OBJECT_NAME, name, &has);
	if (has) {
		checkpoint->kept_count--;
		memmove(checkpoint->kept[at], checkpoint->kept[at + 1],
		    (checkpoint->kept_count - at) * BKP_OBJECT_NAME);
	}
	return 0;
}

int
bkp_checkpoint_expire(struct bkp_checkpoint *checkpoint, const char *session,
    struct bkp_error *err)
{
	return add_name(&checkpoint->expired, &checkpoint->expired_count,
	    &checkpoint->expired_cap, SESSION_ID, session, err);
}

static bool
is_not_kept(const void *checkpoint, const char *name)
{
	return !bkp_checkpoint_has_kept(checkpoint, name);
}

/* Puts the lists in order; what is removed is not kept. */
static void
tidy(struct bkp_checkpoint *checkpoint)
{
	size_t kept = 0;

	sort_names(checkpoint->kept, &checkpoint->kept_count, BKP_OBJECT_NAME);
	sort_names(
	    checkpoint->removed, &checkpoint->removed_count, BKP_OBJECT_NAME);
	sort_names(checkpoint->expired, &checkpoint->expired_count, SESSION_ID);
	for (size_t i = 0; i < checkpoint->kept_count; i++) {
		if (bkp_checkpoint_has_removed(checkpoint, checkpoint->kept[i]))
			continue;
		memmove(checkpoint->kept[kept++], checkpoint->kept[i],
		    BKP_OBJECT_NAME);
	}
	checkpoint->kept_count = kept;
	bkp_claims_drop(&checkpoint->claims, is_not_kept, checkpoint);
}

/* ---- reading ---- */

struct stored {
	char name[BKP_OBJECT_NAME];
	struct fmt_checkpoint body; /* owned */
};

struct damaged {
	char name[BKP_OBJECT_NAME];
	struct bkp_error problem;
};

struct all_stored {
	struct stored *items; /* owned */
	size_t count, cap;
	struct damaged *damaged; /* owned */
	size_t damaged_count, damaged_cap;
};

#define ALL_STORED_INIT                                                        \
	{                                                                      \
		.items = NULL                                                  \
	}

static void
free_all(struct all_stored *all)
{
	for (size_t i = 0; i < all->count; i++)
		fmt_checkpoint_free(&all->items[i].body);
	free(all->items);
	free(all->damaged);
}

/* What a host had stated before it was revoked counts; what it states
 * afterwards does not. */
static bool
is_believed(const struct bkp_repository *repository,
    const struct bkp_roster *roster, const unsigned char key[32],
    const char *name)
{
	return memcmp(key, repository->keys.admin_public, 32) == 0 ||
	       bkp_roster_believes_checkpoint(roster, key, name);
}

static int
decode(struct bkp_repository *repository, const struct bkp_roster *roster,
    const char *name, const struct fmt_buf *text, struct fmt_checkpoint *out,
    struct bkp_error *err)
{
	struct fmt_checkpoint read = FMT_CHECKPOINT_INIT;
	enum fmt_status status;
	int rc = 0;

	status = fmt_checkpoint_decode(text->data, text->len, &read);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "reading it");
	if (strcmp(read.repository, repository->config.id) != 0)
		rc = bkp_fail(err, BKP_AUTH,
		    "it was made for repository %s, this is %s",
		    read.repository, repository->config.id);
	else if (!is_believed(repository, roster, read.signer, name))
		rc = bkp_fail(err, BKP_AUTH,
		    "it is signed by a key that may not remove snapshots");
	if (rc < 0)
		fmt_checkpoint_free(&read);
	else
		*out = read;
	return rc;
}

static int
read_one(struct bkp_repository *repository, const struct bkp_roster *roster,
    const char *name, struct fmt_checkpoint *out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = bkp_copies_open(repository->store, FOLDER, name,
	    repository->keys.metadata, repository->keys.count, &text, err);

	if (rc == 0 &&
	    (rc = decode(repository, roster, name, &text, out, err)) < 0)
		(void)bkp_fail_in(err, "%s: " FOLDER "/%s",
		    repository->store->location, name);
	fmt_buf_free(&text);
	return rc;
}

static bool
is_damage(const struct bkp_error *problem)
{
	return problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
	       problem->code == BKP_UNSUPPORTED;
}

/* 0 also where it is damaged; BKP_NOTFOUND: replaced since it was listed. */
static int
add_stored(struct bkp_repository *repository, const struct bkp_roster *roster,
    const char *name, struct all_stored *all, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct stored *item;

	if (bkp_grow(&all->items, all->count, &all->cap, sizeof(*all->items),
		err) < 0)
		return -1;
	item = &all->items[all->count];
	if (read_one(repository, roster, name, &item->body, &problem) == 0) {
		memcpy(item->name, name, BKP_OBJECT_NAME);
		all->count++;
		return 0;
	}
	if (!is_damage(&problem)) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (bkp_grow(&all->damaged, all->damaged_count, &all->damaged_cap,
		sizeof(*all->damaged), err) < 0)
		return -1;
	memcpy(all->damaged[all->damaged_count].name, name, BKP_OBJECT_NAME);
	all->damaged[all->damaged_count++].problem = problem;
	return 0;
}

/* Whoever replaces a checkpoint stores the new one first; so where one that
 * was listed is gone, the listing was too early, and is made again. */
static int
read_all(struct bkp_repository *repository, const struct bkp_roster *roster,
    struct all_stored *out, struct bkp_error *err)
{
	for (int n = 0; n < TRIES; n++) {
		struct bkp_error problem = BKP_ERROR_INIT;
		struct all_stored all = ALL_STORED_INIT;
		struct bkp_names names = BKP_NAMES_INIT;
		int rc = bkp_copies_names(
		    repository->store, FOLDER, &names, &problem);

		for (size_t i = 0; rc == 0 && i < names.count; i++)
			rc = add_stored(
			    repository, roster, names.items[i], &all, &problem);
		bkp_names_free(&names);
		if (rc == 0) {
			*out = all;
			return 0;
		}
		free_all(&all);
		if (problem.code != BKP_NOTFOUND) {
			if (err != NULL)
				*err = problem;
			return -1;
		}
	}
	return bkp_fail(err, BKP_RETRY,
	    "%s: the checkpoints change faster than they can be read; try "
	    "again later",
	    repository->store->location);
}

static bool
is_replaced(const struct all_stored *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct fmt_checkpoint *body = &all->items[i].body;

		for (size_t k = 0; k < body->replaced_count; k++)
			if (strcmp(body->replaced[k], name) == 0)
				return true;
	}
	return false;
}

static int
join_one(struct bkp_checkpoint *out, const struct fmt_checkpoint *body,
    struct bkp_error *err)
{
	if (body->sequence > out->sequence)
		out->sequence = body->sequence;
	if (body->time_us > out->time_us)
		out->time_us = body->time_us;
	if (append_names(&out->kept, &out->kept_count, &out->kept_cap,
		BKP_OBJECT_NAME, body->kept, body->kept_count, err) < 0 ||
	    append_names(&out->removed, &out->removed_count, &out->removed_cap,
		BKP_OBJECT_NAME, body->removed, body->removed_count, err) < 0 ||
	    bkp_claims_join(
		&out->claims, body->claims, body->claim_count, err) < 0)
		return -1;
	return append_names(&out->expired, &out->expired_count,
	    &out->expired_cap, SESSION_ID, body->expired, body->expired_count,
	    err);
}

static int
replace_name(
    struct bkp_checkpoint *out, const char *name, struct bkp_error *err)
{
	for (size_t i = 0; i < out->replaced_count; i++)
		if (strcmp(out->replaced[i], name) == 0)
			return 0;
	if (out->replaced_count >= REPLACED_MAX)
		return 0;
	return append_names(&out->replaced, &out->replaced_count,
	    &out->replaced_cap, BKP_OBJECT_NAME, name, 1, err);
}

/* What the next one stands for: all that were read, and what they stood
 * for. */
static int
join_replaced(struct bkp_checkpoint *out, const struct all_stored *all,
    struct bkp_error *err)
{
	for (size_t i = 0; i < all->count; i++)
		if (replace_name(out, all->items[i].name, err) < 0)
			return -1;
	for (size_t i = 0; i < all->count; i++) {
		const struct fmt_checkpoint *body = &all->items[i].body;

		for (size_t k = 0; k < body->replaced_count; k++)
			if (replace_name(out, body->replaced[k], err) < 0)
				return -1;
	}
	return 0;
}

static int
join(struct bkp_checkpoint *out, const struct all_stored *all,
    struct bkp_error *err)
{
	for (size_t i = 0; i < all->count; i++)
		if (!is_replaced(all, all->items[i].name) &&
		    join_one(out, &all->items[i].body, err) < 0)
			return -1;
	if (join_replaced(out, all, err) < 0)
		return -1;
	/* What another one stands for is missed by nobody. */
	for (size_t i = 0; i < all->damaged_count; i++) {
		const struct damaged *damaged = &all->damaged[i];

		if (is_replaced(all, damaged->name))
			continue;
		if (out->damaged++ == 0)
			out->damage = damaged->problem;
		if (bkp_names_add(&out->unreadable, damaged->name, err) < 0)
			return -1;
	}
	tidy(out);
	return 0;
}

int
bkp_checkpoint_load(struct bkp_repository *repository,
    struct bkp_checkpoint *out, struct bkp_error *err)
{
	return bkp_checkpoint_load_as(
	    repository, &repository->roster, out, err);
}

int
bkp_checkpoint_load_as(struct bkp_repository *repository,
    const struct bkp_roster *roster, struct bkp_checkpoint *out,
    struct bkp_error *err)
{
	struct all_stored all = ALL_STORED_INIT;
	struct bkp_checkpoint joined = {.loaded_us = bkp_now_us()};
	int rc;

	if (read_all(repository, roster, &all, err) < 0)
		return -1;
	rc = join(&joined, &all, err);
	free_all(&all);
	if (rc < 0)
		bkp_checkpoint_free(&joined);
	else
		*out = joined;
	return rc;
}

int
bkp_checkpoint_do_without(
    struct bkp_checkpoint *checkpoint, struct bkp_error *err)
{
	for (size_t i = 0; i < checkpoint->unreadable.count; i++)
		if (replace_name(
			checkpoint, checkpoint->unreadable.items[i], err) < 0)
			return -1;
	return 0;
}

/* ---- writing ---- */

/* Who says it: this host where it may, else the administrators. */
static int
choose_seed(struct bkp_repository *repository, const unsigned char **seed,
    struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &repository->keys;
	unsigned char public_key[32];
	enum fmt_status status;

	if (keys->has_signing) {
		status = fmt_sign_public(keys->signing_seed, public_key);
		if (status != FMT_OK)
			return bkp_fail_format(
			    err, status, "preparing to sign");
		if (bkp_roster_may_prune(&repository->roster, public_key)) {
			*seed = keys->signing_seed;
			return 0;
		}
	}
	if (keys->has_admin) {
		*seed = keys->admin_seed;
		return 0;
	}
	return bkp_fail(err, BKP_AUTH,
	    "%s: the key at hand may not remove snapshots; use the key of a "
	    "host that may, or an administrator's identity",
	    repository->store->location);
}

/* Borrows the lists. */
static struct fmt_checkpoint
body_of(const struct bkp_repository *repository,
    const struct bkp_checkpoint *checkpoint)
{
	struct fmt_checkpoint body = {
	    .sequence = checkpoint->sequence + 1,
	    .time_us = checkpoint->loaded_us,
	    .kept = checkpoint->kept,
	    .kept_count = checkpoint->kept_count,
	    .removed = checkpoint->removed,
	    .removed_count = checkpoint->removed_count,
	    .expired = checkpoint->expired,
	    .expired_count = checkpoint->expired_count,
	    .replaced = checkpoint->replaced,
	    .replaced_count = checkpoint->replaced_count,
	    .claims = checkpoint->claims.items,
	    .claim_count = checkpoint->claims.count,
	};

	memcpy(body.repository, repository->config.id, sizeof(body.repository));
	return body;
}

/* One that stays is passed over by every reader, and the next one that is
 * written tries again: no reason to fail. */
static void
delete_replaced(struct bkp_repository *repository,
    const struct bkp_checkpoint *checkpoint, const char *newest)
{
	struct bkp_names names = BKP_NAMES_INIT;

	if (bkp_copies_names(repository->store, FOLDER, &names, NULL) < 0)
		return;
	for (size_t i = 0; i < checkpoint->replaced_count; i++) {
		const char *name = checkpoint->replaced[i];

		if (strcmp(name, newest) == 0 ||
		    !has_name(names.items, names.count, BKP_OBJECT_NAME, name))
			continue;
		(void)bkp_copies_remove(repository->store, FOLDER, name, NULL);
	}
	bkp_names_free(&names);
}

/* Puts the newest in front. */
static int
remember_written(
    struct bkp_checkpoint *checkpoint, const char *name, struct bkp_error *err)
{
	size_t count = checkpoint->replaced_count;

	if (count == REPLACED_MAX)
		count = REPLACED_MAX - 1;
	if (bkp_grow(&checkpoint->replaced, count, &checkpoint->replaced_cap,
		BKP_OBJECT_NAME, err) < 0)
		return -1;
	if (count > 0)
		memmove(checkpoint->replaced[1], checkpoint->replaced[0],
		    count * BKP_OBJECT_NAME);
	memcpy(checkpoint->replaced[0], name, BKP_OBJECT_NAME);
	checkpoint->replaced_count = count + 1;
	return 0;
}

int
bkp_checkpoint_put(struct bkp_repository *repository,
    struct bkp_checkpoint *checkpoint, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	const unsigned char *seed = NULL;
	char name[BKP_OBJECT_NAME];
	struct fmt_checkpoint body;
	enum fmt_status status;
	int rc = -1;

	if (choose_seed(repository, &seed, err) < 0)
		return -1;
	tidy(checkpoint);
	body = body_of(repository, checkpoint);
	status = fmt_checkpoint_encode(&body, seed, &text);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing a checkpoint");
	else
		rc = bkp_copies_seal(repository->store, FOLDER,
		    &repository->keys.metadata_recipient, text.data, text.len,
		    name, err);
	if (rc == 0) {
		checkpoint->sequence = body.sequence;
		checkpoint->time_us = body.time_us;
		delete_replaced(repository, checkpoint, name);
		rc = remember_written(checkpoint, name, err);
	}
	fmt_buf_free(&text);
	return rc;
}
