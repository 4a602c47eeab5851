/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions of a bucket's objects there were at a time. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/store/store_s3_own.h"

struct bkp_s3_past {
	struct bkp_s3_past_object *items; /* owned, sorted by name */
	size_t count, cap;
};

void
bkp_s3_past_free(struct bkp_s3_past *past)
{
	if (past == NULL)
		return;
	for (size_t i = 0; i < past->count; i++) {
		free(past->items[i].name);
		free(past->items[i].version);
	}
	free(past->items);
	free(past);
}

static int
keep(struct bkp_s3_past *past, const char *name,
    const struct bkp_s3_version *version, struct bkp_error *err)
{
	struct bkp_s3_past_object object = {
	    .size = version->size, .modified_us = version->modified_us};

	if (bkp_grow(&past->items, past->count, &past->cap,
		sizeof(*past->items), err) < 0)
		return -1;
	object.name = bkp_strdup(name, err);
	object.version = bkp_strdup(version->version_id, err);
	past->items[past->count++] = object;
	return object.name != NULL && object.version != NULL ? 0 : -1;
}

/* They come by key, of each key the newest first. */
static int
choose(struct bkp_s3_past *past, struct bkp_s3_versions *versions,
    const struct bkp_s3_store *store, int64_t as_of_us, struct bkp_error *err)
{
	struct bkp_s3_version version;
	char *decided = NULL; /* the last key that one was chosen of */
	int rc;

	while ((rc = bkp_s3_versions_next(versions, &version, err)) == 1) {
		const char *name = version.key + strlen(store->prefix);

		if (version.modified_us > as_of_us ||
		    (decided != NULL && strcmp(decided, version.key) == 0))
			continue;
		free(decided);
		decided = bkp_strdup(version.key, err);
		rc = decided == NULL ? -1 : 0;
		if (rc == 0 && !version.is_delete_marker &&
		    bkp_store_is_name(name))
			rc = keep(past, name, &version, err);
		if (rc < 0)
			break;
	}
	free(decided);
	return rc;
}

static int
check_versions(struct bkp_s3_store *store, struct bkp_s3_connection *connection,
    struct bkp_error *err)
{
	enum bkp_s3_versioning versioning = BKP_S3_VERSIONING_UNKNOWN;

	if (bkp_s3_get_versioning(connection, store->name, &versioning, err) <
	    0)
		return -1;
	if (versioning != BKP_S3_VERSIONING_OFF)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "the bucket keeps no versions, so nobody can know what was in it "
	    "at an earlier time");
}

int
bkp_s3_past_read(struct bkp_s3_store *store, int64_t as_of_us,
    struct bkp_s3_past **out, struct bkp_error *err)
{
	struct bkp_s3_lent *lent = bkp_s3_pool_take(store->pool, err);
	struct bkp_s3_past *past = bkp_alloc(sizeof(*past), err);
	struct bkp_s3_versions *versions = NULL;
	int rc = -1;

	if (lent != NULL && past != NULL &&
	    check_versions(store, lent->connection, err) == 0 &&
	    bkp_s3_versions_open(lent->connection, store->name, store->prefix,
		&versions, err) == 0)
		rc = choose(past, versions, store, as_of_us, err);
	bkp_s3_versions_close(versions);
	bkp_s3_pool_give(store->pool, lent);
	if (rc < 0) {
		bkp_s3_past_free(past);
		return bkp_fail_in(err,
		    "%s: looking for what was there at that time",
		    store->base.location);
	}
	*out = past;
	return 0;
}

/* The first object whose name is not below `name`. */
static size_t
lower_bound(const struct bkp_s3_past *past, const char *name)
{
	size_t low = 0, high = past->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(past->items[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct bkp_s3_past_object *
bkp_s3_past_find(const struct bkp_s3_past *past, const char *name)
{
	size_t at = lower_bound(past, name);

	return at < past->count && strcmp(past->items[at].name, name) == 0
		   ? &past->items[at]
		   : NULL;
}

int
bkp_s3_past_list(const struct bkp_s3_past *past, const char *prefix,
    bkp_store_list_fn *fn, void *arg, struct bkp_error *err)
{
	for (size_t i = lower_bound(past, prefix); i < past->count; i++) {
		const struct bkp_s3_past_object *item = &past->items[i];
		const struct bkp_store_object object = {.name = item->name,
		    .size = item->size,
		    .modified_us = item->modified_us};

		if (strncmp(item->name, prefix, strlen(prefix)) != 0)
			break;
		if (fn(arg, &object, err) < 0)
			return -1;
	}
	return 0;
}
