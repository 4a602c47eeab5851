/* SPDX-License-Identifier: Apache-2.0 */
/* What snapshots have not of a source: the way back, where it was allowed to
 * lack something, and the copy of the failed state. */
#include "libbackup/base/fail.h"
#include "libbackup/operations/guard_impl.h"
#include "libbackup/operations/opened.h"

static int
count_one(const struct guard *guard, const char *snapshot, json_t *source,
    const char *name, struct bkp_error *err)
{
	const char *path = json_string_value(json_object_get(source, "path"));
	struct bkp_opened opened = BKP_OPENED_INIT;
	int rc = bkp_opened_init(
	    &opened, guard->options->config, snapshot, path, err);

	if (rc == 0 && json_object_set_new(source, name,
			   json_integer((json_int_t)opened.omitted_count)) < 0)
		rc = bkp_fail_nomem(err, "keeping the journal");
	bkp_opened_fini(&opened);
	return rc;
}

/* A source of which it has nothing lacks at least one thing. */
static int
count(const struct guard *guard, const char *snapshot, json_t *source,
    const char *name, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (count_one(guard, snapshot, source, name, &why) == 0 ||
	    (why.code == BKP_NOTFOUND &&
		json_object_set_new(source, name, json_integer(1)) == 0))
		return 0;
	if (err != NULL)
		*err = why;
	return bkp_fail_in(err, "finding what snapshot %.12s lacks", snapshot);
}

int
bkp_guard_count_lacks(struct guard *guard, const char *snapshot,
    size_t omissions, const char *name, struct bkp_error *err)
{
	json_t *sources = json_object_get(guard->state, "sources");

	for (size_t i = 0; i < json_array_size(sources); i++) {
		json_t *source = json_array_get(sources, i);

		if (omissions == 0 &&
		    json_object_set_new(source, name, json_integer(0)) < 0)
			return bkp_fail_nomem(err, "keeping the journal");
		if (omissions > 0 &&
		    count(guard, snapshot, source, name, err) < 0)
			return -1;
	}
	return 0;
}

uint64_t
bkp_guard_lacks(const json_t *source, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(source, name));
}
