/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/store/store_fault.h"

#include <stdlib.h>

#include "libbackup/base/fail.h"

struct faulty {
	struct bkp_store base;
	struct bkp_store *inner; /* owned */
	struct bkp_store_fault *fault;
};

enum verdict { GOES_THROUGH, FAILS_BEFORE, FAILS_AFTER };

static enum verdict
judge(struct faulty *faulty, bool is_change)
{
	struct bkp_store_fault *fault = faulty->fault;
	uint64_t call;

	if (fault->only_changes && !is_change)
		return fault->is_killed_after && atomic_load(&fault->hits) > 0
			   ? FAILS_BEFORE
			   : GOES_THROUGH;
	call = atomic_fetch_add(&fault->calls, 1) + 1;

	if (fault->fail_at == 0 || call < fault->fail_at)
		return GOES_THROUGH;
	if (call > fault->fail_at && !fault->is_killed_after)
		return GOES_THROUGH;
	atomic_fetch_add(&fault->hits, 1);
	if (call == fault->fail_at && fault->is_effect_done)
		return FAILS_AFTER;
	if (fault->strike != NULL)
		fault->strike();
	return FAILS_BEFORE;
}

static int
refuse(struct bkp_error *err)
{
	return bkp_fail(err, BKP_IO, "the store failed on purpose");
}

/* The two halves of every call: may it begin, and may its answer be told? */
static int
begin(struct bkp_store *store, bool is_change, enum verdict *verdict,
    struct faulty **faulty, struct bkp_error *err)
{
	*faulty = (struct faulty *)store;
	*verdict = judge(*faulty, is_change);
	return *verdict == FAILS_BEFORE ? refuse(err) : 0;
}

static int
answer(const struct faulty *faulty, enum verdict verdict, int rc,
    struct bkp_error *err)
{
	if (verdict == FAILS_AFTER && faulty->fault->strike != NULL)
		faulty->fault->strike();
	if (rc == 0 && verdict == FAILS_AFTER)
		return refuse(err);
	return rc;
}

static int
fault_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct faulty *faulty;
	enum verdict verdict;

	if (begin(store, true, &verdict, &faulty, err) < 0)
		return -1;
	return answer(faulty, verdict,
	    faulty->inner->ops->put(faulty->inner, name, data, len, err), err);
}

static int
fault_put_new(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct faulty *faulty;
	enum verdict verdict;

	if (begin(store, true, &verdict, &faulty, err) < 0)
		return -1;
	return answer(faulty, verdict,
	    faulty->inner->ops->put_new(faulty->inner, name, data, len, err),
	    err);
}

static int
fault_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	struct faulty *faulty;
	enum verdict verdict;

	if (begin(store, false, &verdict, &faulty, err) < 0)
		return -1;
	return answer(faulty, verdict,
	    faulty->inner->ops->get(faulty->inner, name, offset, len, out, err),
	    err);
}

static int
fault_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err)
{
	struct faulty *faulty;
	enum verdict verdict;

	if (begin(store, false, &verdict, &faulty, err) < 0)
		return -1;
	return answer(faulty, verdict,
	    faulty->inner->ops->stat(faulty->inner, name, out, err), err);
}

static int
fault_list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	struct faulty *faulty;
	enum verdict verdict;

	if (begin(store, false, &verdict, &faulty, err) < 0)
		return -1;
	return answer(faulty, verdict,
	    faulty->inner->ops->list(faulty->inner, prefix, fn, arg, err), err);
}

static int
fault_remove(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct faulty *faulty;
	enum verdict verdict;

	if (begin(store, true, &verdict, &faulty, err) < 0)
		return -1;
	return answer(faulty, verdict,
	    faulty->inner->ops->remove(faulty->inner, name, err), err);
}

static int
fault_probe(struct bkp_store *store, struct bkp_error *err)
{
	struct faulty *faulty;
	enum verdict verdict;

	if (begin(store, false, &verdict, &faulty, err) < 0)
		return -1;
	return answer(faulty, verdict,
	    faulty->inner->ops->probe(faulty->inner, err), err);
}

static void
fault_undo_create(struct bkp_store *store)
{
	bkp_store_undo_create(((struct faulty *)store)->inner);
}

static void
fault_close(struct bkp_store *store)
{
	struct faulty *faulty = (struct faulty *)store;

	bkp_store_close(faulty->inner);
	free(store->location);
	free(store);
}

static const struct bkp_store_ops fault_ops = {
    .driver = "fault",
    .put = fault_put,
    .put_new = fault_put_new,
    .get = fault_get,
    .stat = fault_stat,
    .list = fault_list,
    .remove = fault_remove,
    .probe = fault_probe,
    .undo_create = fault_undo_create,
    .close = fault_close,
};

int
bkp_store_fault_new(struct bkp_store *inner, struct bkp_store_fault *fault,
    struct bkp_store **out, struct bkp_error *err)
{
	struct faulty *faulty = bkp_alloc(sizeof(*faulty), err);

	if (faulty == NULL) {
		bkp_store_close(inner);
		return -1;
	}
	faulty->base.ops = &fault_ops;
	faulty->inner = inner;
	faulty->fault = fault;
	faulty->base.location = bkp_strdup(inner->location, err);
	if (faulty->base.location == NULL) {
		fault_close(&faulty->base);
		return -1;
	}
	*out = &faulty->base;
	return 0;
}
