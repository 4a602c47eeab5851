/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions of a bucket's objects there were at a time. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/etag.h"
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
		struct bkp_s3_past_object *object = &past->items[i];

		for (size_t k = 0; k < object->count; k++)
			free(object->versions[k].id);
		free(object->versions);
		free(object->name);
	}
	free(past->items);
	free(past);
}

static struct bkp_s3_past_object *
add_object(struct bkp_s3_past *past, const char *name, struct bkp_error *err)
{
	struct bkp_s3_past_object object = {.versions = NULL};

	if (bkp_grow(&past->items, past->count, &past->cap,
		sizeof(*past->items), err) < 0 ||
	    (object.name = bkp_strdup(name, err)) == NULL)
		return NULL;
	past->items[past->count] = object;
	return &past->items[past->count++];
}

/* Before those that were put in parts, where it was not. */
static int
add_version(struct bkp_s3_past_object *object,
    const struct bkp_s3_version *version, struct bkp_error *err)
{
	struct bkp_s3_past_version item = {.size = version->size,
	    .modified_us = version->modified_us,
	    .is_in_parts = bkp_s3_etag_parts(version->etag) > 0};
	size_t at = object->count;

	if (bkp_grow(&object->versions, object->count, &object->cap,
		sizeof(*object->versions), err) < 0 ||
	    (item.id = bkp_strdup(version->version_id, err)) == NULL)
		return -1;
	for (; !item.is_in_parts && at > 0 &&
	       object->versions[at - 1].is_in_parts;
	     at--)
		object->versions[at] = object->versions[at - 1];
	object->versions[at] = item;
	object->count++;
	return 0;
}

/* The walk through all versions, of each key the newest first. */
struct choice {
	struct bkp_s3_past *past;
	int64_t as_of_us;
	char *key;      /* owned: whose versions come now */
	bool is_over;   /* a deletion came: what is below it was gone */
	bool has_found; /* the last object of past is this key's */
};

static int
turn_to(struct choice *choice, const char *key, struct bkp_error *err)
{
	if (choice->key != NULL && strcmp(choice->key, key) == 0)
		return 0;
	free(choice->key);
	choice->is_over = choice->has_found = false;
	choice->key = bkp_strdup(key, err);
	return choice->key != NULL ? 0 : -1;
}

static int
take(struct choice *choice, const char *name,
    const struct bkp_s3_version *version, struct bkp_error *err)
{
	struct bkp_s3_past *past = choice->past;

	if (version->modified_us > choice->as_of_us || !bkp_store_is_name(name))
		return 0;
	if (turn_to(choice, version->key, err) < 0)
		return -1;
	choice->is_over = choice->is_over || version->is_delete_marker;
	if (choice->is_over)
		return 0;
	if (!choice->has_found && add_object(past, name, err) == NULL)
		return -1;
	choice->has_found = true;
	return add_version(&past->items[past->count - 1], version, err);
}

static int
choose(struct bkp_s3_past *past, struct bkp_s3_versions *versions,
    const struct bkp_s3_store *store, int64_t as_of_us, struct bkp_error *err)
{
	struct choice choice = {.past = past, .as_of_us = as_of_us};
	struct bkp_s3_version version;
	int rc;

	while ((rc = bkp_s3_versions_next(versions, &version, err)) == 1 &&
	       (rc = take(&choice, version.key + strlen(store->prefix),
		    &version, err)) == 0)
		;
	free(choice.key);
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

struct bkp_s3_past_object *
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
		struct bkp_s3_past_object *item = &past->items[i];
		const struct bkp_s3_past_version *version =
		    &item->versions[atomic_load(&item->chosen)];
		const struct bkp_store_object object = {.name = item->name,
		    .size = version->size,
		    .modified_us = version->modified_us};

		if (strncmp(item->name, prefix, strlen(prefix)) != 0)
			break;
		if (fn(arg, &object, err) < 0)
			return -1;
	}
	return 0;
}
