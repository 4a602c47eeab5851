/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/store/store.h"

#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/store/store_limit.h"
#include "libbackup/store/store_s3.h"

#define NAME_MAX_BYTES 200

static bool
is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '_' || c == '-';
}

static bool
is_component(const char *text, size_t len)
{
	if (len == 0 || (len == 1 && text[0] == '.') ||
	    (len == 2 && text[0] == '.' && text[1] == '.'))
		return false;
	if (len >= 4 && memcmp(text, "tmp-", 4) == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_name_byte(text[i]))
			return false;
	}
	return true;
}

bool
bkp_store_is_name(const char *name)
{
	if (strlen(name) > NAME_MAX_BYTES)
		return false;
	for (;;) {
		size_t len = strcspn(name, "/");

		if (!is_component(name, len))
			return false;
		if (name[len] == '\0')
			return true;
		name += len + 1;
	}
}

static int
check_name(
    const struct bkp_store *store, const char *name, struct bkp_error *err)
{
	if (bkp_store_is_name(name))
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "%s: '%.200s' is not a name an object can have", store->location,
	    name);
}

/* Gives an error its noun: where, and which object. */
static int
named(const struct bkp_store *store, const char *name, int rc,
    struct bkp_error *err)
{
	if (rc < 0)
		return bkp_fail_in(err, "%s: %s", store->location, name);
	return 0;
}

int
bkp_store_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	if (check_name(store, name, err) < 0)
		return -1;
	return named(
	    store, name, store->ops->put(store, name, data, len, err), err);
}

int
bkp_store_put_new(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	if (check_name(store, name, err) < 0)
		return -1;
	return named(
	    store, name, store->ops->put_new(store, name, data, len, err), err);
}

int
bkp_store_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	size_t before = out->len;
	int rc;

	if (check_name(store, name, err) < 0)
		return -1;
	rc = store->ops->get(store, name, offset, len, out, err);
	if (rc < 0)
		out->len = before;
	return named(store, name, rc, err);
}

int
bkp_store_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err)
{
	struct bkp_store_object found;

	if (check_name(store, name, err) < 0)
		return -1;
	if (store->ops->stat(store, name, &found, err) < 0)
		return named(store, name, -1, err);
	found.name = name;
	*out = found;
	return 0;
}

int
bkp_store_list(struct bkp_store *store, const char *prefix,
    bkp_store_list_fn *fn, void *arg, struct bkp_error *err)
{
	if (store->ops->list(store, prefix, fn, arg, err) < 0)
		return bkp_fail_in(err, "%s: listing %s", store->location,
		    prefix[0] != '\0' ? prefix : "all objects");
	return 0;
}

int
bkp_store_remove(
    struct bkp_store *store, const char *name, struct bkp_error *err)
{
	if (check_name(store, name, err) < 0)
		return -1;
	return named(store, name, store->ops->remove(store, name, err), err);
}

int
bkp_store_probe(struct bkp_store *store, struct bkp_error *err)
{
	if (store->ops->probe(store, err) < 0)
		return bkp_fail_in(err, "%s: trying to write", store->location);
	return 0;
}

int
bkp_store_tend(struct bkp_store *store, const struct bkp_store_tending *tending,
    struct bkp_store_tended *out, struct bkp_error *err)
{
	struct bkp_store_tended done = {.renewed = 0};

	if (store->ops->tend != NULL &&
	    store->ops->tend(store, tending, &done, err) < 0)
		return bkp_fail_in(err, "%s", store->location);
	*out = done;
	return 0;
}

void
bkp_store_undo_create(struct bkp_store *store)
{
	if (store->ops->undo_create != NULL)
		store->ops->undo_create(store);
}

void
bkp_store_close(struct bkp_store *store)
{
	if (store != NULL)
		store->ops->close(store);
}

bool
bkp_store_is_bucket(const char *location)
{
	return strncmp(location, "s3://", 5) == 0;
}

unsigned
bkp_store_reads(const struct bkp_store *store)
{
	return bkp_store_is_bucket(store->location) ? 5 : 1;
}

/* A folder is limited here; buckets are in their requests. */
static int
limit(const struct bkp_storage_config *storage, struct bkp_store **store,
    struct bkp_error *err)
{
	struct bkp_limits *limits =
	    storage != NULL ? storage->bucket.limits : NULL;
	struct bkp_store *inner = *store;

	if (limits == NULL || (limits->upload.per_second == 0 &&
				  limits->download.per_second == 0))
		return 0;
	*store = NULL;
	return bkp_store_limit_new(inner, limits, storage->cancel, store, err);
}

int
bkp_store_open_at(const char *location,
    const struct bkp_storage_config *storage, enum bkp_store_mode mode,
    struct bkp_store **out, struct bkp_error *err)
{
	const char *scheme_end;

	if (location == NULL || location[0] == '\0')
		return bkp_fail(err, BKP_INVALID,
		    "no repository given: name a directory, or "
		    "s3://BUCKET/PREFIX");
	if (bkp_store_is_bucket(location))
		return bkp_store_s3_open(location, storage, mode, out, err);
	if (storage != NULL && storage->as_of_us > 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s: only of a bucket that keeps versions can be known "
		    "what was there at an earlier time (--as-of)",
		    location);
	if ((scheme_end = strstr(location, "://")) != NULL)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "%s: repositories at '%.*s://' are not supported; name a "
		    "directory, or s3://BUCKET/PREFIX",
		    location, (int)(scheme_end - location), location);
	if (bkp_store_directory_open(location, mode, out, err) < 0)
		return -1;
	return limit(storage, out, err);
}

int
bkp_store_open(const char *location, enum bkp_store_mode mode,
    struct bkp_store **out, struct bkp_error *err)
{
	return bkp_store_open_at(location, NULL, mode, out, err);
}
