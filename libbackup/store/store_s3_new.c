/* SPDX-License-Identifier: Apache-2.0 */
/* A name that nobody has yet: without trust in conditions, which servers ignore
 * without a word (store_s3.h). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "libbackup/base/fail.h"
#include "libbackup/store/store_s3_own.h"

#define CLAIM "tmp-new-"
#define CLAIM_SIZE 32
#define CLAIM_LEFT_US (INT64_C(15) * 60 * 1000000) /* nobody takes so long */

struct claim {
	struct bkp_store *store;
	char name[CLAIM_SIZE];
	int64_t stored_us;
};

/* One that nobody minds any more is taken away. */
static int
judge_claim(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	const struct claim *claim = arg;

	if (strcmp(object->name, claim->name) == 0)
		return 0;
	if (claim->stored_us - object->modified_us >= CLAIM_LEFT_US)
		return bkp_s3_remove_hidden(claim->store, object->name, err);
	return bkp_fail(err, BKP_EXISTS,
	    "somebody else is making the same at this moment (%s); where that "
	    "was a run that was killed, try again in 15 minutes",
	    object->name);
}

/* Announces that a name is to be taken. Of two who do, at least one sees the
 * other's claim, or what he made of it. */
static int
stake(struct claim *claim, struct bkp_error *err)
{
	struct bkp_store_object object;
	struct bkp_s3_call call;
	int rc;

	if (bkp_s3_put_hidden(claim->store, claim->name, err) < 0 ||
	    bkp_s3_store_stat(claim->store, claim->name, &object, err) < 0)
		return -1;
	claim->stored_us = object.modified_us;
	if (bkp_s3_call_begin(claim->store, CLAIM, &call, err) < 0)
		return -1;
	rc = bkp_s3_call_list(&call, true, judge_claim, claim, err);
	(void)bkp_s3_call_end(&call, 0, NULL);
	return rc;
}

static int
is_free(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_store_object object;

	if (bkp_s3_store_stat(store, name, &object, &problem) == 0)
		return bkp_fail(err, BKP_EXISTS, "exists already");
	if (problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* What is there now must be what was put; a put that was sent again because
 * its answer was lost is refused, as the first one made it. */
static int
put_once(struct bkp_s3_call *call, const void *data, size_t len,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_buf there = FMT_BUF_INIT;
	int rc = bkp_s3_call_put(call, data, len, true, &problem);

	/* A server that has no conditions may say so. */
	if (rc < 0 && bkp_s3_is_status(&problem, 501))
		rc = bkp_s3_call_put(call, data, len, false, &problem);
	if (rc < 0 && !bkp_s3_is_status(&problem, 412)) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	rc = bkp_s3_call_read(call, &there, err);
	if (rc == 0 && (there.len != len || memcmp(there.data, data, len) != 0))
		rc = bkp_fail(err, BKP_EXISTS, "exists already");
	fmt_buf_free(&there);
	return rc;
}

int
bkp_s3_store_put_new(struct bkp_store *store, const char *name,
    const void *data, size_t len, struct bkp_error *err)
{
	struct claim claim = {.store = store};
	struct bkp_s3_call call;
	uint64_t random;
	int rc;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return bkp_fail(err, BKP_IO, "making a random number failed");
	(void)snprintf(
	    claim.name, sizeof(claim.name), CLAIM "%016" PRIx64, random);
	if (is_free(store, name, err) < 0)
		return -1;
	rc = stake(&claim, err);
	if (rc == 0)
		rc = is_free(store, name, err);
	if (rc == 0 && (rc = bkp_s3_call_begin(store, name, &call, err)) == 0)
		rc = bkp_s3_call_end(
		    &call, put_once(&call, data, len, err), err);
	(void)bkp_s3_remove_hidden(store, claim.name, NULL);
	return rc;
}
