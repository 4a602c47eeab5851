/* SPDX-License-Identifier: Apache-2.0 */
/* Using the error correction that store_parity.c keeps, and adding what is
 * missing of it. */
#include <stdlib.h>
#include <string.h>

#include "formats/parity.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/store/store_parity_own.h"

#define HEX_NAME 65

/* ---- what an object should be ---- */

/* The digest that the name tells; false for a name that tells none. */
static bool
digest_of_name(const char *name, unsigned char digest[32])
{
	const char *slash = strrchr(name, '/');

	return slash != NULL && fmt_unhex(slash + 1, digest, 32) == FMT_OK;
}

/* 1: the bytes are those; 0; -1. */
static int
is_it(const struct fmt_buf *bytes, const unsigned char expected[32],
    struct bkp_error *err)
{
	unsigned char digest[32];
	enum fmt_status status =
	    fmt_sha256(bytes->len > 0 ? bytes->data : (const void *)"",
		bytes->len, digest);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "hashing an object");
	return memcmp(digest, expected, sizeof(digest)) == 0 ? 1 : 0;
}

/* ---- repairing ---- */

struct patient {
	struct bkp_store *store;
	const char *name;
	char parity_name[BKP_PARITY_NAME];
	struct fmt_buf object, parity, repaired; /* owned */
	struct fmt_parity view;
	unsigned char digest[32]; /* of what it should be */
};

/* What is there of an object: one that is gone is all damage. */
static int
get_whatever(struct bkp_store *store, const char *name, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_store_get(store, name, 0, BKP_STORE_WHOLE, out, &problem) ==
		0 ||
	    problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
examine(struct patient *patient, struct bkp_error *err)
{
	enum fmt_status status;

	if (!bkp_parity_covers(patient->name) ||
	    !bkp_parity_name(patient->name, patient->parity_name))
		return bkp_fail(err, BKP_NOTFOUND,
		    "%s: %s has no error correction", patient->store->location,
		    patient->name);
	if (bkp_store_get(patient->store, patient->parity_name, 0,
		BKP_STORE_WHOLE, &patient->parity, err) < 0 ||
	    get_whatever(patient->store, patient->name, &patient->object, err) <
		0)
		return -1;
	status = fmt_parity_open(
	    patient->parity.data, patient->parity.len, &patient->view);
	if (digest_of_name(patient->name, patient->digest))
		return 0;
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "%s: %s",
		    patient->store->location, patient->parity_name);
	memcpy(patient->digest, patient->view.object_digest, 32);
	return 0;
}

/* Whether a parity is whole, and of that object (NULL: of any). */
static enum fmt_status
judge(const struct fmt_buf *parity, const unsigned char *digest)
{
	struct fmt_parity view;
	enum fmt_status status = fmt_parity_check(parity->data, parity->len);

	if (status == FMT_OK)
		status = fmt_parity_open(parity->data, parity->len, &view);
	/* A parity of something else is as bad as a damaged one. */
	if (status == FMT_OK && digest != NULL &&
	    memcmp(view.object_digest, digest, 32) != 0)
		status = FMT_AUTH;
	return status;
}

/* How much parity there was is told by what can be read of it, unless
 * something is set. */
static unsigned
percent_for(struct bkp_store *store, const struct fmt_parity *view)
{
	unsigned percent = bkp_parity_percent(store);

	if (percent == 0 && view->data_shards > 0)
		percent = 100 * view->parity_shards / view->data_shards;
	return percent == 0 || percent > FMT_PARITY_MAX_PERCENT
		   ? FMT_PARITY_MAX_PERCENT
		   : percent;
}

/* The object is good. */
static int
mend_parity(struct patient *patient, enum bkp_parity_outcome *outcome,
    struct bkp_error *err)
{
	enum fmt_status status = judge(&patient->parity, patient->digest);

	*outcome = BKP_PARITY_FINE;
	if (status == FMT_OK)
		return 0;
	if (status != FMT_AUTH)
		return bkp_fail_format(err, status, "%s: %s",
		    patient->store->location, patient->parity_name);
	*outcome = BKP_PARITY_REMADE;
	return bkp_parity_put(patient->store, patient->name,
	    patient->object.data, patient->object.len,
	    percent_for(patient->store, &patient->view), err);
}

static int
mend_object(struct patient *patient, struct bkp_error *err)
{
	enum fmt_status status = fmt_parity_repair(patient->parity.data,
	    patient->parity.len, patient->object.data, patient->object.len,
	    &patient->repaired, NULL);
	int rc = 0;

	if (status == FMT_OK) {
		if ((rc = is_it(&patient->repaired, patient->digest, err)) < 0)
			return -1;
		if (rc == 0)
			status = FMT_LIMIT;
	}
	if (status == FMT_UNSUPPORTED || status == FMT_NOMEM ||
	    status == FMT_CRYPTO)
		return bkp_fail_format(err, status, "%s: repairing %s",
		    patient->store->location, patient->name);
	if (status != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: %s: more of it is damaged than its error correction "
		    "makes up for",
		    patient->store->location, patient->name);
	return bkp_store_put(patient->store, patient->name,
	    patient->repaired.data, patient->repaired.len, err);
}

int
bkp_parity_repair(struct bkp_store *store, const char *name,
    enum bkp_parity_outcome *outcome, struct bkp_error *err)
{
	struct patient patient = {.store = store,
	    .name = name,
	    .object = FMT_BUF_INIT,
	    .parity = FMT_BUF_INIT,
	    .repaired = FMT_BUF_INIT};
	int rc = examine(&patient, err), is_good = 0;

	if (rc == 0)
		is_good = is_it(&patient.object, patient.digest, err);
	if (rc < 0 || is_good < 0)
		rc = -1;
	else if (is_good == 1)
		rc = mend_parity(&patient, outcome, err);
	else if ((rc = mend_object(&patient, err)) == 0)
		*outcome = BKP_PARITY_REPAIRED;
	fmt_buf_free(&patient.object);
	fmt_buf_free(&patient.parity);
	fmt_buf_free(&patient.repaired);
	return rc;
}

/* ---- the parity by itself ---- */

int
bkp_parity_check(struct bkp_store *store, const char *name,
    const unsigned char digest[32], struct bkp_error *err)
{
	struct fmt_buf parity = FMT_BUF_INIT;
	char parity_name[BKP_PARITY_NAME];
	unsigned char told[32];
	enum fmt_status status;

	if (!bkp_parity_name_of(name, parity_name))
		return bkp_fail(err, BKP_NOTFOUND,
		    "%s: %s has no error correction", store->location, name);
	if (bkp_store_get(
		store, parity_name, 0, BKP_STORE_WHOLE, &parity, err) < 0)
		return -1;
	if (digest == NULL && digest_of_name(name, told))
		digest = told;
	status = judge(&parity, digest);
	fmt_buf_free(&parity);
	if (status == FMT_AUTH)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: %s is not the error correction of %s that was stored",
		    store->location, parity_name, name);
	return status == FMT_OK ? 0
				: bkp_fail_format(err, status, "%s: %s",
				      store->location, parity_name);
}

int
bkp_parity_renew(
    struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct fmt_buf object = FMT_BUF_INIT, parity = FMT_BUF_INIT;
	struct fmt_parity view = {.data_shards = 0};
	char parity_name[BKP_PARITY_NAME];
	int rc = bkp_store_get(store, name, 0, BKP_STORE_WHOLE, &object, err);

	if (rc == 0 && bkp_parity_name(name, parity_name) &&
	    bkp_store_get(
		store, parity_name, 0, BKP_STORE_WHOLE, &parity, NULL) == 0 &&
	    fmt_parity_open(parity.data, parity.len, &view) != FMT_OK)
		view.data_shards = 0;
	if (rc == 0)
		rc = bkp_parity_put(store, name, object.data, object.len,
		    percent_for(store, &view), err);
	fmt_buf_free(&object);
	fmt_buf_free(&parity);
	return rc;
}

/* ---- adding what is missing ---- */

struct completion {
	struct bkp_store *store;
	size_t added;
};

static int
add_one(struct completion *completion, const char *name, struct bkp_error *err)
{
	struct fmt_buf object = FMT_BUF_INIT;
	unsigned char digest[32];
	int rc = bkp_store_get(
	    completion->store, name, 0, BKP_STORE_WHOLE, &object, err);

	/* What is damaged must not become what is kept. */
	if (rc == 0 && digest_of_name(name, digest))
		rc = is_it(&object, digest, err);
	else if (rc == 0)
		rc = 1;
	if (rc == 1) {
		rc = bkp_parity_put(completion->store, name, object.data,
		    object.len, bkp_parity_percent(completion->store), err);
		completion->added += rc == 0 ? 1 : 0;
	}
	fmt_buf_free(&object);
	return rc;
}

static int
complete_one(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct completion *completion = arg;
	struct bkp_error problem = BKP_ERROR_INIT;
	char name[BKP_PARITY_NAME], parity_name[BKP_PARITY_NAME];
	struct bkp_store_object found;

	if (!bkp_parity_covers(object->name) ||
	    !bkp_parity_name(object->name, parity_name))
		return 0;
	if (bkp_store_stat(completion->store, parity_name, &found, &problem) ==
	    0)
		return 0;
	if (problem.code != BKP_NOTFOUND) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	memcpy(name, object->name, strlen(object->name) + 1);
	return add_one(completion, name, err);
}

int
bkp_parity_complete(struct bkp_store *store, const char *prefix, size_t *added,
    struct bkp_error *err)
{
	struct completion completion = {store, 0};
	int rc;

	if (bkp_parity_percent(store) == 0)
		return 0;
	rc = bkp_store_list(store, prefix, complete_one, &completion, err);
	if (added != NULL)
		*added = completion.added;
	return rc;
}
