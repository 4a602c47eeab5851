/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/archive/bucket_input.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/s3.h"

struct bkp_bucket_input {
	struct bkp_s3 *s3;         /* owned */
	char *bucket, *key, *etag; /* owned */
	uint64_t size;
	pthread_mutex_t lock;                 /* of what follows */
	struct bkp_s3_connection *connection; /* owned */
};

int
bkp_bucket_split(
    const char *location, char **bucket, char **key, struct bkp_error *err)
{
	const char *name = location + strlen("s3://");
	const char *slash = strchr(name, '/');
	char *first, *second;

	if (slash == NULL || slash == name || slash[1] == '\0')
		return bkp_fail(err, BKP_INVALID,
		    "%s names no object; write s3://BUCKET/KEY", location);
	first = bkp_format(err, "%.*s", (int)(slash - name), name);
	second = bkp_strdup(slash + 1, err);
	if (first == NULL || second == NULL) {
		free(first);
		free(second);
		return -1;
	}
	*bucket = first;
	*key = second;
	return 0;
}

/* Every read is of the version that is there now. */
static int
look(struct bkp_bucket_input *input, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	const char *length, *etag;
	int rc = bkp_s3_head(
	    input->connection, input->bucket, input->key, 0, &headers, err);

	if (rc == 0) {
		length = bkp_s3_fields_get(&headers, "content-length");
		etag = bkp_s3_fields_get(&headers, "etag");
		if (length == NULL || etag == NULL || strlen(etag) < 2)
			rc = bkp_fail(err, BKP_CORRUPT,
			    "HEAD s3://%s/%s: the answer has no length or no "
			    "ETag",
			    input->bucket, input->key);
		else if ((input->etag = bkp_format(err, "%.*s",
			      (int)strlen(etag) - 2, etag + 1)) == NULL)
			rc = -1;
		else
			input->size = strtoull(length, NULL, 10);
	}
	bkp_s3_fields_free(&headers);
	return rc;
}

int
bkp_bucket_input_open(
    const char *location, struct bkp_bucket_input **out, struct bkp_error *err)
{
	static const struct bkp_s3_options options = {.endpoint = NULL};
	struct bkp_bucket_input *input = bkp_alloc(sizeof(*input), err);

	if (input == NULL)
		return -1;
	pthread_mutex_init(&input->lock, NULL);
	if (bkp_bucket_split(location, &input->bucket, &input->key, err) < 0 ||
	    bkp_s3_new(&options, &input->s3, err) < 0 ||
	    bkp_s3_connect(input->s3, NULL, &input->connection, err) < 0 ||
	    look(input, err) < 0) {
		bkp_bucket_input_close(input);
		return -1;
	}
	*out = input;
	return 0;
}

void
bkp_bucket_input_close(struct bkp_bucket_input *input)
{
	if (input == NULL)
		return;
	bkp_s3_disconnect(input->connection);
	bkp_s3_free(input->s3);
	pthread_mutex_destroy(&input->lock);
	free(input->bucket);
	free(input->key);
	free(input->etag);
	free(input);
}

uint64_t
bkp_bucket_input_size(const struct bkp_bucket_input *input)
{
	return input->size;
}

static int
append(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	if (fmt_buf_append(arg, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "reading an archive");
	return 0;
}

/* One request at a time: a connection is one thread's. */
int
bkp_bucket_input_read(struct bkp_bucket_input *input, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	const struct bkp_s3_get_options options = {
	    .if_match = input->etag,
	    .first = offset,
	    .len = len,
	    .write = append,
	    .arg = out,
	};
	size_t before = out->len;
	int rc;

	if (len == 0)
		return 0;
	pthread_mutex_lock(&input->lock);
	rc = bkp_s3_get(
	    input->connection, input->bucket, input->key, &options, err);
	pthread_mutex_unlock(&input->lock);
	if (rc == 0 && out->len - before != len)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "GET s3://%s/%s: other bytes came than were asked for",
		    input->bucket, input->key);
	return rc;
}
