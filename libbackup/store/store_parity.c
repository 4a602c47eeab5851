/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/store/store_parity.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/parity.h"
#include "libbackup/base/fail.h"
#include "libbackup/store/store_parity_own.h"

struct guarded {
	struct bkp_store base;
	struct bkp_store *inner; /* owned */
	atomic_uint percent;
};

static struct bkp_store *
inner_of(struct bkp_store *store)
{
	return ((struct guarded *)store)->inner;
}

bool
bkp_parity_covers(const char *name)
{
	static const char *const folders[] = {"packs/", "index/", "snapshots/",
	    "roster/", "keys/", "checkpoints/", "erasures/"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		if (strncmp(name, folders[i], strlen(folders[i])) == 0)
			return true;
	}
	return strcmp(name, "config") == 0;
}

bool
bkp_parity_name(const char *name, char parity[BKP_PARITY_NAME])
{
	int len =
	    snprintf(parity, BKP_PARITY_NAME, BKP_PARITY_FOLDER "%s", name);

	return len < BKP_PARITY_NAME && bkp_store_is_name(parity);
}

bool
bkp_parity_name_of(const char *name, char parity[BKP_PARITY_NAME])
{
	return bkp_parity_covers(name) && bkp_parity_name(name, parity);
}

int
bkp_parity_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, unsigned percent, struct bkp_error *err)
{
	struct fmt_buf parity = FMT_BUF_INIT;
	char parity_name[BKP_PARITY_NAME];
	enum fmt_status status;
	int rc;

	if (!bkp_parity_name(name, parity_name))
		return 0;
	status = fmt_parity_make(data, len, percent, &parity);
	if (status != FMT_OK)
		rc =
		    bkp_fail_format(err, status, "making the error correction");
	else
		rc = store->ops->put(
		    store, parity_name, parity.data, parity.len, err);
	if (rc < 0)
		(void)bkp_fail_in(err, "%s", parity_name);
	fmt_buf_free(&parity);
	return rc;
}

/* ---- the decorator ---- */

static int
guard(struct bkp_store *store, const char *name, const void *data, size_t len,
    struct bkp_error *err)
{
	struct guarded *guarded = (struct guarded *)store;
	unsigned percent = atomic_load(&guarded->percent);

	if (percent == 0 || !bkp_parity_covers(name))
		return 0;
	return bkp_parity_put(guarded->inner, name, data, len, percent, err);
}

static int
parity_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	if (inner->ops->put(inner, name, data, len, err) < 0)
		return -1;
	return guard(store, name, data, len, err);
}

static int
parity_put_new(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	if (inner->ops->put_new(inner, name, data, len, err) < 0)
		return -1;
	return guard(store, name, data, len, err);
}

static int
parity_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	return inner->ops->get(inner, name, offset, len, out, err);
}

static int
parity_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	return inner->ops->stat(inner, name, out, err);
}

struct listing {
	bkp_store_list_fn *fn;
	void *arg;
};

static int
pass_on(void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	const struct listing *listing = arg;

	if (strncmp(object->name, BKP_PARITY_FOLDER,
		strlen(BKP_PARITY_FOLDER)) == 0)
		return 0;
	return listing->fn(listing->arg, object, err);
}

static int
parity_list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);
	struct listing listing = {fn, arg};

	if (strncmp(prefix, BKP_PARITY_FOLDER, strlen(BKP_PARITY_FOLDER)) == 0)
		return inner->ops->list(inner, prefix, fn, arg, err);
	return inner->ops->list(inner, prefix, pass_on, &listing, err);
}

/* The parity first: what is left of a run that was killed in between is then
 * an object, and no parity of nothing. */
static int
parity_remove(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);
	struct bkp_error problem = BKP_ERROR_INIT;
	char parity_name[BKP_PARITY_NAME];

	if (bkp_parity_covers(name) && bkp_parity_name(name, parity_name) &&
	    inner->ops->remove(inner, parity_name, &problem) < 0 &&
	    problem.code != BKP_NOTFOUND) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	return inner->ops->remove(inner, name, err);
}

static int
parity_probe(struct bkp_store *store, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	return inner->ops->probe(inner, err);
}

/* Parities are objects like others, and are to go with what they are of. */
static int
parity_tend(struct bkp_store *store, const struct bkp_store_tending *tending,
    struct bkp_store_tended *out, struct bkp_error *err)
{
	return bkp_store_tend(inner_of(store), tending, out, err);
}

static void
parity_undo_create(struct bkp_store *store)
{
	bkp_store_undo_create(inner_of(store));
}

static void
parity_close(struct bkp_store *store)
{
	bkp_store_close(inner_of(store));
	free(store->location);
	free(store);
}

static const struct bkp_store_ops parity_ops = {
    .driver = "parity",
    .put = parity_put,
    .put_new = parity_put_new,
    .get = parity_get,
    .stat = parity_stat,
    .list = parity_list,
    .remove = parity_remove,
    .probe = parity_probe,
    .tend = parity_tend,
    .undo_create = parity_undo_create,
    .close = parity_close,
};

int
bkp_store_parity_new(
    struct bkp_store *inner, struct bkp_store **out, struct bkp_error *err)
{
	struct guarded *guarded = bkp_alloc(sizeof(*guarded), err);

	if (guarded == NULL) {
		bkp_store_close(inner);
		return -1;
	}
	guarded->base.ops = &parity_ops;
	guarded->inner = inner;
	guarded->base.is_past = inner->is_past;
	guarded->base.location = bkp_strdup(inner->location, err);
	if (guarded->base.location == NULL) {
		parity_close(&guarded->base);
		return -1;
	}
	*out = &guarded->base;
	return 0;
}

int
bkp_store_parity_set(
    struct bkp_store *store, unsigned percent, struct bkp_error *err)
{
	if (store->ops != &parity_ops)
		return bkp_fail(err, BKP_INVALID,
		    "%s: error correction is not kept here", store->location);
	if (percent > FMT_PARITY_MAX_PERCENT)
		return bkp_fail(err, BKP_INVALID,
		    "error correction of %u%% is more than the %u%% that can "
		    "be",
		    percent, FMT_PARITY_MAX_PERCENT);
	if (percent > 0 && !fmt_parity_is_available())
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "this build has no error correction (it was configured "
		    "without ISA-L); leave 'error_correction' out, or install "
		    "a build that has it");
	atomic_store(&((struct guarded *)store)->percent, percent);
	return 0;
}

unsigned
bkp_parity_percent(struct bkp_store *store)
{
	return store->ops == &parity_ops
		   ? atomic_load(&((struct guarded *)store)->percent)
		   : 0;
}
