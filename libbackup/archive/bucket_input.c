/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/archive/bucket_input.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/archive/parts.h"
#include "libbackup/base/fail.h"
#include "libbackup/s3/s3.h"

/* Every read is of the version that was there at first. */
struct object {
	char *key, *etag; /* owned */
	uint64_t size;
};

struct bkp_bucket_input {
	struct bkp_s3 *s3; /* owned */
	char *bucket;      /* owned */
	struct object *objects;
	size_t count, cap;
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

/* ---- opening ---- */

static int
add_object(struct bkp_bucket_input *input, const char *key, const char *etag,
    size_t etag_len, uint64_t size, struct bkp_error *err)
{
	struct object object = {.size = size};

	if (bkp_grow(&input->objects, input->count, &input->cap,
		sizeof(*input->objects), err) < 0)
		return -1;
	object.key = bkp_strdup(key, err);
	object.etag = bkp_format(err, "%.*s", (int)etag_len, etag);
	input->objects[input->count++] = object;
	input->size += size;
	return object.key == NULL || object.etag == NULL ? -1 : 0;
}

static int
look(struct bkp_bucket_input *input, const char *key, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	const char *length, *etag;
	int rc = bkp_s3_head(
	    input->connection, input->bucket, key, 0, &headers, err);

	if (rc == 0) {
		length = bkp_s3_fields_get(&headers, "content-length");
		etag = bkp_s3_fields_get(&headers, "etag");
		if (length == NULL || etag == NULL || strlen(etag) < 2)
			rc = bkp_fail(err, BKP_CORRUPT,
			    "HEAD s3://%s/%s: the answer has no length or no "
			    "ETag",
			    input->bucket, key);
		else
			rc = add_object(input, key, etag + 1, strlen(etag) - 2,
			    strtoull(length, NULL, 10), err);
	}
	bkp_s3_fields_free(&headers);
	return rc;
}

/* One of the keys that begin as those of the parts do. */
static int
take_part(struct bkp_bucket_input *input, const char *location, size_t number,
    int digits, const struct bkp_s3_object *object, struct bkp_error *err)
{
	char *missing;

	if (number == input->count + 1)
		return add_object(input, object->key, object->etag,
		    strlen(object->etag), object->size, err);
	missing =
	    bkp_archive_part_name(location, input->count + 1, digits, err);
	if (missing != NULL)
		(void)bkp_archive_part_missing(location, missing, err);
	free(missing);
	return -1;
}

/* The parts whose numbers have so many digits; they are listed in order. */
static int
find_parts(struct bkp_bucket_input *input, const char *location,
    const char *key, int digits, struct bkp_error *err)
{
	struct bkp_s3_listing *listing = NULL;
	struct bkp_s3_object object;
	char *prefix = bkp_format(err, "%s.", key);
	int rc = -1;

	if (prefix != NULL && bkp_s3_list_open(input->connection, input->bucket,
				  prefix, &listing, err) == 0)
		while ((rc = bkp_s3_list_next(listing, &object, err)) == 1) {
			size_t number =
			    bkp_archive_part_number(object.key, key, digits);

			if (number > 0 && take_part(input, location, number,
					      digits, &object, err) < 0) {
				rc = -1;
				break;
			}
		}
	bkp_s3_list_close(listing);
	free(prefix);
	return rc;
}

static int
check_sizes(const struct bkp_bucket_input *input, const char *location,
    struct bkp_error *err)
{
	uint64_t largest = 0;

	for (size_t i = 0; i < input->count; i++)
		if (input->objects[i].size > largest)
			largest = input->objects[i].size;
	for (size_t i = 0; i + 1 < input->count; i++)
		if (bkp_archive_part_check(location, input->objects[i].key,
			input->objects[i].size, largest, err) < 0)
			return -1;
	return 0;
}

/* There is no object of that name, so there may be parts of one. */
static int
open_parts(struct bkp_bucket_input *input, const char *location,
    const char *key, const struct bkp_error *why, struct bkp_error *err)
{
	if (find_parts(input, location, key, 3, err) < 0 ||
	    (input->count == 0 && find_parts(input, location, key, 5, err) < 0))
		return -1;
	if (input->count > 0)
		return check_sizes(input, location, err);
	if (err != NULL)
		*err = *why;
	return -1;
}

/* ---- a part that is named alone ---- */

static int
begins_as_age(
    struct bkp_bucket_input *input, size_t n, bool *out, struct bkp_error *err)
{
	static const size_t len = sizeof(BKP_ARCHIVE_INTRO) - 1;
	struct fmt_buf head = FMT_BUF_INIT;
	uint64_t before = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		before += input->objects[i].size;
	*out = false;
	if (input->objects[n].size < len)
		return 0;
	rc = bkp_bucket_input_read(input, before, len, &head, err);
	*out = rc == 0 && memcmp(head.data, BKP_ARCHIVE_INTRO, len) == 0;
	fmt_buf_free(&head);
	return rc;
}

static void
drop_last(struct bkp_bucket_input *input)
{
	struct object *object = &input->objects[--input->count];

	input->size -= object->size;
	free(object->key);
	free(object->etag);
}

/* Whether an object is the first of several: the second one is there, and is
 * none that could be read alone. */
static int
has_second(struct bkp_bucket_input *input, const char *key, size_t base,
    int digits, bool *out, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	char *whole = bkp_format(err, "%.*s", (int)base, key);
	char *second =
	    whole != NULL ? bkp_archive_part_name(whole, 2, digits, err) : NULL;
	bool is_age = false;
	size_t count = input->count;
	int rc = second == NULL ? -1 : 0;

	*out = false;
	if (rc == 0 && look(input, second, &why) == 0) {
		rc = begins_as_age(input, count, &is_age, err);
		*out = rc == 0 && !is_age;
	}
	while (input->count > count)
		drop_last(input);
	free(second);
	free(whole);
	return rc;
}

static int
refuse_part(struct bkp_bucket_input *input, const char *location,
    const char *key, struct bkp_error *err)
{
	size_t base = 0, number;
	int digits = 0, rc;
	bool is_age = false, is_part = false;

	if ((number = bkp_archive_part_of(key, &base, &digits)) == 0)
		return 0;
	if (number == 1) {
		rc = has_second(input, key, base, digits, &is_part, err);
	} else {
		rc = begins_as_age(input, 0, &is_age, err);
		is_part = !is_age;
	}
	if (rc < 0 || !is_part)
		return rc;
	return bkp_archive_part_fail(
	    location, strlen(location) - strlen(key) + base, err);
}

static int
open_objects(struct bkp_bucket_input *input, const char *location,
    const char *key, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (look(input, key, &why) == 0)
		return refuse_part(input, location, key, err);
	if (why.code == BKP_NOTFOUND)
		return open_parts(input, location, key, &why, err);
	if (err != NULL)
		*err = why;
	return -1;
}

int
bkp_bucket_input_open(const char *location,
    const struct bkp_s3_options *options, struct bkp_bucket_input **out,
    struct bkp_error *err)
{
	static const struct bkp_s3_options environment = {.endpoint = NULL};
	struct bkp_bucket_input *input = bkp_alloc(sizeof(*input), err);
	char *key = NULL;
	int rc = -1;

	if (input == NULL)
		return -1;
	pthread_mutex_init(&input->lock, NULL);
	if (bkp_bucket_split(location, &input->bucket, &key, err) == 0 &&
	    bkp_s3_new(options != NULL ? options : &environment, &input->s3,
		err) == 0 &&
	    bkp_s3_connect(input->s3, NULL, &input->connection, err) == 0)
		rc = open_objects(input, location, key, err);
	free(key);
	if (rc < 0)
		bkp_bucket_input_close(input);
	else
		*out = input;
	return rc;
}

void
bkp_bucket_input_close(struct bkp_bucket_input *input)
{
	if (input == NULL)
		return;
	while (input->count > 0)
		drop_last(input);
	free(input->objects);
	bkp_s3_disconnect(input->connection);
	bkp_s3_free(input->s3);
	pthread_mutex_destroy(&input->lock);
	free(input->bucket);
	free(input);
}

uint64_t
bkp_bucket_input_size(const struct bkp_bucket_input *input)
{
	return input->size;
}

/* ---- reading ---- */

static int
append(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	if (fmt_buf_append(arg, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "reading an archive");
	return 0;
}

/* One request at a time: a connection is one thread's. */
static int
read_object(struct bkp_bucket_input *input, const struct object *object,
    uint64_t offset, uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	const struct bkp_s3_get_options options = {
	    .if_match = object->etag,
	    .first = offset,
	    .len = len,
	    .write = append,
	    .arg = out,
	};
	size_t before = out->len;
	int rc;

	pthread_mutex_lock(&input->lock);
	rc = bkp_s3_get(
	    input->connection, input->bucket, object->key, &options, err);
	pthread_mutex_unlock(&input->lock);
	if (rc == 0 && out->len - before != len)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "GET s3://%s/%s: other bytes came than were asked for",
		    input->bucket, object->key);
	return rc;
}

int
bkp_bucket_input_read(struct bkp_bucket_input *input, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < input->count && len > 0; i++) {
		const struct object *object = &input->objects[i];
		uint64_t here;

		if (offset >= object->size) {
			offset -= object->size;
			continue;
		}
		here =
		    object->size - offset < len ? object->size - offset : len;
		rc = read_object(input, object, offset, here, out, err);
		offset = 0;
		len -= here;
	}
	return rc;
}
