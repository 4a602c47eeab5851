/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive into a bucket, as one multipart upload: parts grow with their
 * number, so that 10,000 of them hold 5 TiB, and what is not completed is
 * aborted. Memory: one part, 16 MiB at first and 1 GiB at the very end of the
 * largest object that S3 takes.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/archive/bucket_input.h"
#include "libbackup/archive/output.h"
#include "libbackup/base/fail.h"
#include "libbackup/s3/s3.h"

#define FIRST_PART ((size_t)16 * 1024 * 1024)
#define LAST_PART ((size_t)1024 * 1024 * 1024)

/* After so many parts of one size the next are larger: 1000 x 16 MiB, then
 * 1000 x 32 MiB ... is over 5 TiB before the 10,000th. */
#define STEP 1000

struct object {
	struct bkp_archive_output base;
	struct bkp_s3 *s3;                    /* owned */
	struct bkp_s3_connection *connection; /* owned */
	struct bkp_s3_upload *upload;         /* owned */
	char *bucket, *key;                   /* owned */
	struct fmt_buf part;
	size_t count;
};

static size_t
part_size(const struct object *object)
{
	size_t doublings = object->count / STEP;
	size_t size = FIRST_PART;

	while (doublings-- > 0 && size < LAST_PART)
		size *= 2;
	return size;
}

static int
send_part(struct object *object, struct bkp_error *err)
{
	const struct bkp_s3_body body = {
	    .data = object->part.data, .size = object->part.len};

	if (bkp_s3_upload_part(object->upload, &body, err) < 0)
		return -1;
	object->count++;
	fmt_buf_clear(&object->part);
	return 0;
}

static int
write_object(struct bkp_archive_output *output, const void *data, size_t len,
    struct bkp_error *err)
{
	struct object *object = (struct object *)output;
	const unsigned char *bytes = data;

	while (len > 0) {
		size_t room = part_size(object) - object->part.len;
		size_t here = len < room ? len : room;

		if (fmt_buf_append(&object->part, bytes, here) != FMT_OK)
			return bkp_fail_nomem(err, "sending an archive");
		bytes += here;
		len -= here;
		if (here == room && send_part(object, err) < 0)
			return -1;
	}
	return 0;
}

static int
commit_object(
    struct bkp_archive_output *output, size_t *parts, struct bkp_error *err)
{
	struct object *object = (struct object *)output;

	if ((object->part.len > 0 && send_part(object, err) < 0) ||
	    bkp_s3_upload_complete(object->upload, NULL, err) < 0)
		return -1;
	*parts = 1;
	return 0;
}

static void
close_object(struct bkp_archive_output *output)
{
	struct object *object = (struct object *)output;

	bkp_s3_upload_end(object->upload);
	bkp_s3_disconnect(object->connection);
	bkp_s3_free(object->s3);
	fmt_buf_free(&object->part);
	free(object->bucket);
	free(object->key);
	free(object);
}

static const struct bkp_archive_output_ops object_ops = {
    .write = write_object,
    .commit = commit_object,
    .close = close_object,
};

static int
connect_object(struct object *object,
    const struct bkp_archive_output_options *options, struct bkp_error *err)
{
	const struct bkp_bucket_config *bucket = options->bucket;
	struct bkp_s3_options s3 = {.endpoint = NULL};

	if (bucket != NULL)
		s3 = bkp_s3_options_of(bucket);
	if (options->endpoint != NULL)
		s3.endpoint = options->endpoint;
	if (bkp_s3_new(&s3, &object->s3, err) < 0)
		return -1;
	return bkp_s3_connect(
	    object->s3, options->cancel, &object->connection, err);
}

/* Whether there is one of that name. A server that cannot say, or somebody
 * else's put at the same moment, is not a loss of ours. */
static int
check_free(struct object *object,
    const struct bkp_archive_output_options *options, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc;

	if (options->is_overwrite)
		return 0;
	rc = bkp_s3_head(object->connection, object->bucket, object->key, 0,
	    &headers, &problem);
	bkp_s3_fields_free(&headers);
	if (rc == 0)
		return bkp_fail(err, BKP_EXISTS,
		    "%s exists already; choose another key, or let it be "
		    "replaced with --overwrite",
		    options->location);
	/* A key that may only write is a good one to have. */
	if (problem.code == BKP_NOTFOUND || problem.code == BKP_AUTH)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_archive_output_open_bucket(const struct bkp_archive_output_options *options,
    struct bkp_archive_output **out, struct bkp_error *err)
{
	struct object *object = bkp_alloc(sizeof(*object), err);

	if (object == NULL)
		return -1;
	object->base.ops = &object_ops;
	if (bkp_bucket_split(
		options->location, &object->bucket, &object->key, err) < 0 ||
	    connect_object(object, options, err) < 0 ||
	    check_free(object, options, err) < 0 ||
	    bkp_s3_upload_begin(object->connection, object->bucket, object->key,
		NULL, &object->upload, err) < 0) {
		close_object(&object->base);
		return -1;
	}
	*out = &object->base;
	return 0;
}
