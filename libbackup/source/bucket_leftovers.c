/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

/* An upload may go on for hours; one that is a day old is forgotten. */
#define DAY_US ((int64_t)86400 * 1000000)

struct leftovers {
	struct bkp_s3_connection *connection;
	const struct bkp_bucket_config *config;
	int64_t age_us;
	int64_t now_us; /* by the server, whose dates they have; 0: not asked */
	uint64_t found, aborted;
	char oldest[64]; /* when it was begun, as the server wrote it */
	int64_t oldest_us;
};

static int
ask_time(struct leftovers *leftovers, struct bkp_error *err)
{
	int64_t seconds;

	if (leftovers->now_us != 0)
		return 0;
	if (bkp_s3_get_date(leftovers->connection, leftovers->config->bucket,
		&seconds, err) < 0)
		return -1;
	leftovers->now_us = seconds * 1000000;
	return 0;
}

static int
take(struct leftovers *leftovers, const struct bkp_s3_leftover *leftover,
    struct bkp_error *err)
{
	if (ask_time(leftovers, err) < 0)
		return -1;
	if (leftover->begun_us > leftovers->now_us - leftovers->age_us)
		return 0;
	if (leftovers->found++ == 0 ||
	    leftover->begun_us < leftovers->oldest_us) {
		leftovers->oldest_us = leftover->begun_us;
		(void)snprintf(leftovers->oldest, sizeof(leftovers->oldest),
		    "%s", leftover->begun);
	}
	if (leftovers->config->abort_uploads == NULL)
		return 0;
	if (bkp_s3_abort_upload(leftovers->connection,
		leftovers->config->bucket, leftover->key, leftover->upload_id,
		err) < 0)
		return -1;
	leftovers->aborted++;
	return 0;
}

static int
walk(struct leftovers *leftovers, struct bkp_error *err)
{
	const struct bkp_bucket_config *config = leftovers->config;
	struct bkp_s3_uploads *uploads = NULL;
	struct bkp_s3_leftover leftover;
	int rc;

	leftovers->age_us = DAY_US;
	if (config->abort_uploads != NULL &&
	    bkp_duration_read(config->abort_uploads, &leftovers->age_us, err) <
		0)
		return -1;
	rc = bkp_s3_uploads_open(leftovers->connection, config->bucket,
	    config->prefix, &uploads, err);
	while (
	    rc == 0 && (rc = bkp_s3_uploads_next(uploads, &leftover, err)) == 1)
		rc = take(leftovers, &leftover, err);
	bkp_s3_uploads_close(uploads);
	return rc;
}

void
bkp_bucket_look_for_leftovers(struct bkp_s3_connection *connection,
    const struct bkp_bucket_config *config, struct bkp_run *run,
    const char *prefix)
{
	struct leftovers leftovers = {
	    .connection = connection, .config = config};
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = walk(&leftovers, &why);

	if (leftovers.aborted > 0)
		bkp_run_message(run, BKP_INFO, prefix,
		    "%llu uploads that nobody finished within %s were aborted",
		    (unsigned long long)leftovers.aborted,
		    config->abort_uploads);
	else if (leftovers.found > 0 && config->abort_uploads == NULL)
		bkp_run_message(run, BKP_WARNING, prefix,
		    "%llu uploads that nobody finished are older than a day, "
		    "the oldest of %s, and take up space that no listing "
		    "shows; 'abort_uploads: 1d' in the configuration of this "
		    "source removes such ones",
		    (unsigned long long)leftovers.found, leftovers.oldest);
	/* Whoever did not ask for anything need not be able to do it. */
	if (rc < 0 && config->abort_uploads != NULL)
		bkp_run_message(run, BKP_WARNING, prefix,
		    "uploads that nobody finished are still there "
		    "(abort_uploads): %s",
		    why.message);
}
