/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/store/store_limit.h"

#include <stdlib.h>

#include "libbackup/base/fail.h"

/* What is put to end a run in good order is no longer; packs are. */
#define LATE_MAX (256u << 10)

struct limited {
	struct bkp_store base;
	struct bkp_store *inner; /* owned */
	struct bkp_limits *limits;
	const struct bkp_cancel *cancel;
};

static struct bkp_store *
inner_of(struct bkp_store *store)
{
	return ((struct limited *)store)->inner;
}

static void
pay(struct bkp_store *store, bool is_upload, uint64_t bytes)
{
	struct limited *limited = (struct limited *)store;

	bkp_rate_wait(
	    is_upload ? &limited->limits->upload : &limited->limits->download,
	    bytes, limited->cancel);
}

/* Before an upload. Who was asked to stop waits no more: what is small goes at
 * once, so that a run can tidy up; what is left of the work is not done, for it
 * would go at full speed. */
static int
pay_upload(struct bkp_store *store, uint64_t bytes, struct bkp_error *err)
{
	const struct limited *limited = (const struct limited *)store;

	pay(store, true, bytes);
	if (bytes > LATE_MAX && limited->limits->upload.per_second > 0 &&
	    bkp_cancel_is_requested(limited->cancel))
		return bkp_fail(err, BKP_CANCELLED, "stopped on request");
	return 0;
}

static int
limit_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	if (pay_upload(store, len, err) < 0)
		return -1;
	return inner->ops->put(inner, name, data, len, err);
}

static int
limit_put_new(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	if (pay_upload(store, len, err) < 0)
		return -1;
	return inner->ops->put_new(inner, name, data, len, err);
}

static int
limit_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);
	size_t before = out->len;
	int rc = inner->ops->get(inner, name, offset, len, out, err);

	if (rc == 0)
		pay(store, false, out->len - before);
	return rc;
}

static int
limit_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	return inner->ops->stat(inner, name, out, err);
}

static int
limit_list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	return inner->ops->list(inner, prefix, fn, arg, err);
}

static int
limit_remove(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	return inner->ops->remove(inner, name, err);
}

static int
limit_probe(struct bkp_store *store, struct bkp_error *err)
{
	struct bkp_store *inner = inner_of(store);

	return inner->ops->probe(inner, err);
}

static void
limit_undo_create(struct bkp_store *store)
{
	bkp_store_undo_create(inner_of(store));
}

static void
limit_close(struct bkp_store *store)
{
	struct limited *limited = (struct limited *)store;

	bkp_store_close(limited->inner);
	free(limited->base.location);
	free(limited);
}

static const struct bkp_store_ops limit_ops = {.driver = "limit",
    .put = limit_put,
    .put_new = limit_put_new,
    .get = limit_get,
    .stat = limit_stat,
    .list = limit_list,
    .remove = limit_remove,
    .probe = limit_probe,
    .undo_create = limit_undo_create,
    .close = limit_close};

int
bkp_store_limit_new(struct bkp_store *inner, struct bkp_limits *limits,
    const struct bkp_cancel *cancel, struct bkp_store **out,
    struct bkp_error *err)
{
	struct limited *limited = bkp_alloc(sizeof(*limited), err);

	if (limited == NULL) {
		bkp_store_close(inner);
		return -1;
	}
	limited->base.ops = &limit_ops;
	limited->base.is_past = inner->is_past;
	limited->inner = inner;
	limited->limits = limits;
	limited->cancel = cancel;
	limited->base.location = bkp_strdup(inner->location, err);
	if (limited->base.location == NULL) {
		limit_close(&limited->base);
		return -1;
	}
	*out = &limited->base;
	return 0;
}
