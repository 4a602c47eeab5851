/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Object lock. Every object is locked as it is put, but for those that say who
 * is at work and what is to go: nothing that a snapshot needs. To remove one
 * puts a deletion on top of it, which always works; the versions below are
 * taken away for good by a later run, when their locks are over.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/store/store_s3_own.h"

#define WORKERS 8
#define WINDOW 64
#define DAY_S INT64_C(86400)

/* So many failures without a single lock that was made longer, or version that
 * went, are no chance. */
#define FAILED_MAX 50

struct version {
	char *id; /* owned */
	bool is_marker;
	uint64_t size;
};

/* All versions of one key. */
struct group {
	char *key; /* owned */
	struct version *items;
	size_t count, cap;
	bool is_removed;    /* the latest is a deletion, */
	int64_t removed_us; /* of this time */
};

struct tending {
	struct bkp_s3_store *store;
	const struct bkp_store_tending *given;
	struct bkp_s3_versions *versions;
	struct group *ahead; /* begun by the version that ended the last */
	int64_t now_s;
	atomic_ullong renewed, purged, purged_bytes, locked, locked_bytes;
	pthread_mutex_t lock; /* of what follows, and of telling */
	uint64_t failed;
};

static bool
begins_with_any(const char *name, const char *const *folders)
{
	for (; *folders != NULL; folders++)
		if (strncmp(name, *folders, strlen(*folders)) == 0)
			return true;
	return false;
}

/* What a repository is made of, but for what says who is at work and what is
 * to go. Other objects below the prefix are somebody else's. */
static bool
is_lockable(const char *name)
{
	static const char *const folders[] = {"packs/", "index/", "snapshots/",
	    "keys/", "roster/", "checkpoints/", "erasures/", "proofs/",
	    "copies/", "parity/", "damaged/", NULL};

	return strcmp(name, "config") == 0 ||
	       (bkp_store_is_name(name) && begins_with_any(name, folders));
}

/* What prunes and sessions remove. What a repository begins with is never taken
 * away for good: who removed it is no friend. */
static bool
is_purgeable(const char *name)
{
	static const char *const folders[] = {"packs/", "index/", "snapshots/",
	    "checkpoints/", "sessions/", "condemned/", "runs/",
	    "copies/checkpoints/", "parity/packs/", "parity/index/",
	    "parity/snapshots/", "parity/checkpoints/", "tmp-", NULL};

	return begins_with_any(name, folders);
}

static int64_t
server_now_s(const struct bkp_s3_store *store)
{
	return (int64_t)time(NULL) + bkp_s3_pool_clock_offset(store->pool);
}

bool
bkp_s3_store_lock(
    const struct bkp_s3_store *store, const char *name, struct bkp_s3_lock *out)
{
	if (store->lock_mode == BKP_S3_LOCK_NONE || !is_lockable(name))
		return false;
	*out = (struct bkp_s3_lock){.mode = store->lock_mode,
	    .until = server_now_s(store) + store->lock_days * DAY_S};
	return true;
}

int
bkp_s3_store_check_lock(struct bkp_s3_store *store, struct bkp_error *err)
{
	struct bkp_s3_lock_rule rule = {.is_enabled = false};
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_s3_lent *lent;
	int rc;

	if (store->lock_mode == BKP_S3_LOCK_NONE)
		return 0;
	if ((lent = bkp_s3_pool_take(store->pool, err)) == NULL)
		return -1;
	rc = bkp_s3_get_lock_rule(
	    lent->connection, store->name, &rule, &problem);
	bkp_s3_pool_give(store->pool, lent);
	/* Whoever may not ask is told by the first object that is put. */
	if (rule.is_enabled ||
	    (rc < 0 && problem.code == BKP_AUTH && problem.sys == 403))
		return 0;
	if (rc < 0) {
		if (err != NULL)
			*err = problem;
		return bkp_fail_in(err, "%s", store->base.location);
	}
	return bkp_fail(err, BKP_INVALID,
	    "%s: 'object_lock' is configured, and the bucket has none; it can "
	    "only be given when a bucket is made: make another one with it, "
	    "or leave 'object_lock' out",
	    store->base.location);
}

/* ---- groups of versions ---- */

static void
free_group(void *arg, void *item)
{
	struct group *group = item;

	(void)arg;
	if (group == NULL)
		return;
	for (size_t i = 0; i < group->count; i++)
		free(group->items[i].id);
	free(group->items);
	free(group->key);
	free(group);
}

static struct group *
new_group(const struct bkp_s3_version *version, struct bkp_error *err)
{
	struct group *group = bkp_alloc(sizeof(*group), err);

	if (group == NULL)
		return NULL;
	group->is_removed = version->is_delete_marker;
	group->removed_us = version->modified_us;
	if ((group->key = bkp_strdup(version->key, err)) == NULL) {
		free_group(NULL, group);
		return NULL;
	}
	return group;
}

/* The latest one tells, also where what was on top of it went meanwhile. */
static int
add_version(struct group *group, const struct bkp_s3_version *version,
    struct bkp_error *err)
{
	struct version item = {
	    .is_marker = version->is_delete_marker, .size = version->size};

	if (bkp_grow(&group->items, group->count, &group->cap,
		sizeof(*group->items), err) < 0 ||
	    (item.id = bkp_strdup(version->version_id, err)) == NULL)
		return -1;
	group->items[group->count++] = item;
	if (version->is_latest) {
		group->is_removed = version->is_delete_marker;
		group->removed_us = version->modified_us;
	}
	return 0;
}

/* The listing gives the newest version of a key first, then the others. */
static int
next_group(void *arg, void **item, struct bkp_error *err)
{
	struct tending *tending = arg;
	struct group *group = tending->ahead;
	struct bkp_s3_version version;
	int rc;

	tending->ahead = NULL;
	while ((rc = bkp_s3_versions_next(tending->versions, &version, err)) ==
	       1) {
		struct group *of = group;

		if (group == NULL || strcmp(group->key, version.key) != 0)
			of = new_group(&version, err);
		if (of == NULL || add_version(of, &version, err) < 0) {
			if (of != group)
				free_group(NULL, of);
			rc = -1;
			break;
		}
		if (group == NULL) {
			group = of;
		} else if (of != group) {
			tending->ahead = of;
			break;
		}
	}
	if (rc < 0) {
		free_group(NULL, group);
		return -1;
	}
	*item = group;
	return 0;
}

/* ---- what cannot be done ---- */

/* Of one version only, while the server still answers for the bucket. */
static bool
is_about_version(const struct tending *tending,
    struct bkp_s3_connection *connection, const struct bkp_error *why)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (why->code == BKP_CANCELLED || why->code == BKP_NOMEM)
		return false;
	return bkp_s3_head_bucket(connection, tending->store->name, &problem) ==
		   0 ||
	       (problem.code == BKP_AUTH && problem.sys == 403);
}

/* 0: it is told, and the others get their turn. */
static int
note_failure(struct tending *tending, struct bkp_s3_connection *connection,
    const struct group *group, bool is_needed, const struct bkp_error *why,
    struct bkp_error *err)
{
	const struct bkp_store_tending *given = tending->given;
	bool goes_on = is_about_version(tending, connection, why);

	if (goes_on) {
		(void)pthread_mutex_lock(&tending->lock);
		goes_on = ++tending->failed < FAILED_MAX ||
			  tending->renewed > 0 || tending->purged > 0;
		if (given->fault != NULL)
			given->fault(given->fault_arg,
			    group->key + strlen(tending->store->prefix),
			    is_needed, why);
		(void)pthread_mutex_unlock(&tending->lock);
	}
	if (goes_on)
		return 0;
	if (err != NULL)
		*err = *why;
	return bkp_fail_in(err, "%s",
	    is_needed ? "renewing object locks" : "deleting what was removed");
}

/* ---- what is needed ---- */

/* Every version: where one is not as it was, another one is. */
static int
renew_version(struct tending *tending, struct bkp_s3_connection *connection,
    const char *key, const char *id, struct bkp_error *err)
{
	const struct bkp_s3_store *store = tending->store;
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	int64_t whole_s = store->lock_days * DAY_S;
	struct bkp_s3_lock lock = {.mode = BKP_S3_LOCK_NONE};
	enum bkp_s3_lock_mode mode = store->lock_mode;
	int rc = bkp_s3_head_version(
	    connection, store->name, key, id, 0, &headers, err);

	if (rc == 0)
		rc = bkp_s3_read_lock(&headers, &lock, err);
	bkp_s3_fields_free(&headers);
	if (rc < 0 || (lock.mode != BKP_S3_LOCK_NONE &&
			  lock.until - tending->now_s >= whole_s / 2))
		return rc;
	if (lock.mode == BKP_S3_LOCK_COMPLIANCE)
		mode = lock.mode; /* it cannot be less */
	if (bkp_s3_put_retention(connection, store->name, key, id, mode,
		tending->now_s + whole_s, err) < 0)
		return -1;
	atomic_fetch_add(&tending->renewed, 1);
	return 0;
}

static int
renew(struct tending *tending, struct bkp_s3_connection *connection,
    const struct group *group, struct bkp_error *err)
{
	for (size_t i = 0; i < group->count; i++) {
		const struct version *version = &group->items[i];
		struct bkp_error problem = BKP_ERROR_INIT;

		if (version->is_marker ||
		    renew_version(tending, connection, group->key, version->id,
			&problem) == 0 ||
		    problem.code == BKP_NOTFOUND) /* gone a moment ago */
			continue;
		if (note_failure(
			tending, connection, group, true, &problem, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what was removed ---- */

/* 1: it is gone; 0: the lock keeps it. */
static int
purge_version(struct tending *tending, struct bkp_s3_connection *connection,
    const struct group *group, const struct version *version,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_s3_delete_version(connection, tending->store->name, group->key,
		version->id, &problem) == 0 ||
	    problem.code == BKP_NOTFOUND) {
		if (!version->is_marker) {
			atomic_fetch_add(&tending->purged, 1);
			atomic_fetch_add(&tending->purged_bytes, version->size);
		}
		return 1;
	}
	if (problem.sys == BKP_S3_LOCKED) {
		atomic_fetch_add(&tending->locked, 1);
		atomic_fetch_add(&tending->locked_bytes, version->size);
		return 0;
	}
	return note_failure(tending, connection, group, false, &problem, err);
}

/* The versions first: without the deletion on top of it, what the lock keeps
 * would be there again. */
static int
purge(struct tending *tending, struct bkp_s3_connection *connection,
    const struct group *group, struct bkp_error *err)
{
	bool is_locked = false;

	for (int markers = 0; markers < 2 && !is_locked; markers++) {
		for (size_t i = group->count; i-- > 0;) {
			const struct version *version = &group->items[i];
			int rc;

			if (version->is_marker != (markers == 1))
				continue;
			rc = purge_version(
			    tending, connection, group, version, err);
			if (rc < 0)
				return -1;
			is_locked = is_locked || rc == 0;
		}
	}
	return 0;
}

static int
tend_group(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct tending *tending = arg;
	const struct group *group = item;
	const char *name = group->key + strlen(tending->store->prefix);
	struct bkp_s3_lent *lent;
	int rc = 0;

	(void)worker;
	if ((lent = bkp_s3_pool_take(tending->store->pool, err)) == NULL)
		return -1;
	if ((!group->is_removed || tending->given->keeps_removed) &&
	    is_lockable(name) &&
	    !tending->given->is_condemned(tending->given->arg, name))
		rc = renew(tending, lent->connection, group, err);
	else if (group->is_removed && tending->given->may_purge &&
		 group->removed_us < tending->given->before_us &&
		 is_purgeable(name))
		rc = purge(tending, lent->connection, group, err);
	bkp_s3_pool_give(tending->store->pool, lent);
	return rc;
}

static int
run(struct tending *tending, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {
	    .next = next_group, .work = tend_group, .discard = free_group};
	struct bkp_s3_lent *lent = bkp_s3_pool_take(tending->store->pool, err);
	int rc = -1;

	if (lent != NULL &&
	    bkp_s3_versions_open(lent->connection, tending->store->name,
		tending->store->prefix, &tending->versions, err) == 0)
		rc = bkp_pipeline_run(WORKERS, WINDOW, &ops, tending,
		    tending->given->cancel, err);
	bkp_s3_versions_close(tending->versions);
	free_group(NULL, tending->ahead);
	bkp_s3_pool_give(tending->store->pool, lent);
	return rc;
}

int
bkp_s3_store_tend(struct bkp_store *store,
    const struct bkp_store_tending *given, struct bkp_store_tended *out,
    struct bkp_error *err)
{
	struct tending tending = {
	    .store = (struct bkp_s3_store *)store, .given = given};
	int rc;

	if (tending.store->lock_mode == BKP_S3_LOCK_NONE)
		return 0;
	tending.now_s = server_now_s(tending.store);
	(void)pthread_mutex_init(&tending.lock, NULL);
	rc = run(&tending, err);
	(void)pthread_mutex_destroy(&tending.lock);
	if (rc < 0)
		return -1;
	*out = (struct bkp_store_tended){.renewed = tending.renewed,
	    .purged = tending.purged,
	    .purged_bytes = tending.purged_bytes,
	    .locked = tending.locked,
	    .locked_bytes = tending.locked_bytes,
	    .failed = tending.failed};
	return 0;
}
