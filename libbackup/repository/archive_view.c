/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/archive_view.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/archive/reader.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/s3/s3.h"

/* ---- the store that an archive is not ---- */

struct view_store {
	struct bkp_store base;
	struct bkp_repository *repository; /* borrowed: it owns the store */
};

static int
refuse(struct bkp_error *err)
{
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "this is an archive, which can only be read; to work on it as on a "
	    "repository, take it into one with backup-archive --import");
}

static int
put(struct bkp_store *store, const char *name, const void *data, size_t len,
    struct bkp_error *err)
{
	(void)store;
	(void)name;
	(void)data;
	(void)len;
	return refuse(err);
}

static int
get(struct bkp_store *store, const char *name, uint64_t offset, uint64_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	(void)store;
	(void)name;
	(void)offset;
	(void)len;
	(void)out;
	return bkp_fail(err, BKP_NOTFOUND, "an archive has no such object");
}

static int
look(struct bkp_store *store, const char *name, struct bkp_store_object *out,
    struct bkp_error *err)
{
	(void)store;
	(void)name;
	(void)out;
	return bkp_fail(err, BKP_NOTFOUND, "an archive has no such object");
}

/* The one snapshot is the one object. */
static int
list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	const struct view_store *view = (const struct view_store *)store;
	const struct fmt_archive_manifest *manifest =
	    bkp_archive_manifest(view->repository->archive);
	char name[96];
	const struct bkp_store_object object = {
	    .name = name, .size = 0, .modified_us = manifest->created_us};

	(void)snprintf(name, sizeof(name), "snapshots/%s", manifest->snapshot);
	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return 0;
	return fn(arg, &object, err);
}

static int delete (
    struct bkp_store *store, const char *name, struct bkp_error *err)
{
	(void)store;
	(void)name;
	return refuse(err);
}

static int
probe(struct bkp_store *store, struct bkp_error *err)
{
	(void)store;
	return refuse(err);
}

static void
close_view(struct bkp_store *store)
{
	free(store->location);
	free(store);
}

static const struct bkp_store_ops ops = {
    .driver = "archive",
    .put = put,
    .put_new = put,
    .get = get,
    .stat = look,
    .list = list,
    .remove = delete,
    .probe = probe,
    .close = close_view,
};

static struct bkp_store *
new_store(struct bkp_repository *repository, struct bkp_error *err)
{
	struct view_store *view = bkp_alloc(sizeof(*view), err);

	if (view == NULL)
		return NULL;
	view->base.ops = &ops;
	view->repository = repository;
	view->base.location =
	    bkp_strdup(bkp_archive_location(repository->archive), err);
	if (view->base.location == NULL) {
		free(view);
		return NULL;
	}
	return &view->base;
}

/* ---- opening ---- */

static int
open_archive(const char *location, const struct bkp_keys *keys,
    struct bkp_archive **out, struct bkp_error *err)
{
	struct fmt_age_identity *identities = NULL;
	struct bkp_s3_options options = {.endpoint = NULL};
	size_t count = 0;
	int rc;

	if (keys->storage != NULL)
		options = bkp_s3_options_of(&keys->storage->bucket);
	if (keys->storage != NULL && keys->storage->as_of_us > 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s is an archive: it is one snapshot, and there is no "
		    "earlier time to read it as of (--as-of)",
		    location);
	if (keys->identity_file == NULL && keys->passphrase == NULL)
		return bkp_fail(err, BKP_AUTH,
		    "%s is an archive: give the identity file of one of those "
		    "it was written for (--identity-file), or its passphrase "
		    "(--passphrase-file)%s",
		    location,
		    keys->key_file != NULL ? "; a host key opens none" : "");
	if (bkp_keys_identities(keys, &identities, &count, err) < 0)
		return -1;
	rc = bkp_archive_open(location, &options, identities, count, out, err);
	bkp_identities_free(identities, count);
	return rc;
}

int
bkp_archive_view_open(const char *location, const struct bkp_keys *keys,
    struct bkp_repository **out, struct bkp_error *err)
{
	struct bkp_repository *repository = bkp_alloc(sizeof(*repository), err);
	struct bkp_keys known = bkp_keys_adopt(keys);

	if (repository == NULL)
		return -1;
	bkp_index_set_init(&repository->index);
	if (open_archive(location, &known, &repository->archive, err) < 0 ||
	    (repository->store = new_store(repository, err)) == NULL) {
		bkp_repository_close(repository);
		return -1;
	}
	memcpy(repository->config.id,
	    bkp_archive_manifest(repository->archive)->repository,
	    sizeof(repository->config.id));
	repository->keys.has_data = true;
	*out = repository;
	return 0;
}

int
bkp_repository_archive_signer(
    const struct bkp_repository *repository, char key[65])
{
	key[0] = '\0';
	if (repository->archive == NULL)
		return 0;
	fmt_hex(bkp_archive_manifest(repository->archive)->signer, 32, key);
	return 1;
}

int
bkp_archive_view_refuse(const struct bkp_repository *repository,
    const char *what, struct bkp_error *err)
{
	if (repository->archive == NULL)
		return 0;
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "%s is an archive, not a repository: there is no way to %s it; "
	    "backup-verify reads all of an archive, and backup-archive "
	    "--import takes it into a repository",
	    repository->store->location, what);
}

int
bkp_archive_view_snapshot(struct bkp_repository *repository, const char *name,
    struct fmt_snapshot *out, struct bkp_error *err)
{
	if (strcmp(name, bkp_archive_manifest(repository->archive)->snapshot) !=
	    0)
		return bkp_fail(err, BKP_NOTFOUND,
		    "the archive %s does not hold snapshot %s",
		    repository->store->location, name);
	return bkp_archive_snapshot(repository->archive, out, err);
}
