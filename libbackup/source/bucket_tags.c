/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tags of objects that are fetched. Servers count them in an object's
 * headers, and need not be asked for those of objects without any; but some
 * never count, and others count for those only who may read tags. So one that
 * was not yet seen to count is asked.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

/* What these have no tags of, they do not count: one question tells whether
 * these credentials may read tags. */
static bool
is_known_to_count(const struct bkp_s3_fields *headers)
{
	const char *server = bkp_s3_fields_get(headers, "server");

	return server != NULL && (strcasecmp(server, "AmazonS3") == 0 ||
				     strcasecmp(server, "MinIO") == 0);
}

bool
bkp_bucket_may_have_tags(struct bkp_bucket_tagging *tagging,
    const struct bkp_s3_fields *headers, bool *is_counted)
{
	const char *count = bkp_s3_fields_get(headers, "x-amz-tagging-count");

	*is_counted = count != NULL;
	if (count != NULL) {
		atomic_store(&tagging->is_counting, true);
		return strtoul(count, NULL, 10) > 0;
	}
	if (atomic_load(&tagging->is_counting) ||
	    atomic_load(&tagging->is_silent))
		return false;
	return !atomic_load(&tagging->is_asked) || !is_known_to_count(headers);
}

/* The first who may not read them says so for all. */
static int
tell_forbidden(struct bkp_bucket_tagging *tagging, struct bkp_run *run,
    const char *prefix, const struct bkp_error *why, struct bkp_error *err)
{
	atomic_store(&tagging->is_silent, true);
	if (atomic_exchange(&tagging->is_forbidden, true))
		return 0;
	return bkp_run_omit(run, err, prefix,
	    "the tags of its objects: these credentials may not read them "
	    "(s3:GetObjectTagging, s3:GetObjectVersionTagging): %s",
	    why->message);
}

int
bkp_bucket_judge_tags(struct bkp_bucket_tagging *tagging, struct bkp_run *run,
    const char *prefix, const struct bkp_error *why, struct bkp_error *err)
{
	switch (why->code) {
	case BKP_UNSUPPORTED:
		atomic_store(&tagging->is_silent, true);
		return 0;
	case BKP_NOTFOUND: /* the word of some servers for none */
		return 0;
	case BKP_AUTH:
		if (why->sys == 403)
			return tell_forbidden(tagging, run, prefix, why, err);
		break;
	default:
		break;
	}
	if (err != NULL)
		*err = *why;
	return -1;
}
