/* SPDX-License-Identifier: Apache-2.0 */
/* A large object in pieces, several at the same time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/s3/request.h"

/* ---- up ---- */

struct sending {
	const struct bkp_s3_parts *parts;
	struct bkp_s3_connection *const *connections;
	struct bkp_s3_upload *upload;
	size_t next;
};

struct part {
	unsigned number; /* from 1 */
	struct fmt_buf bytes;
};

static void
free_part(void *arg, void *item)
{
	struct part *part = item;

	(void)arg;
	if (part != NULL)
		fmt_buf_free(&part->bytes);
	free(part);
}

/* All of a part, or it is an error: the sizes were promised. */
static int
read_part(const struct bkp_s3_parts *parts, uint64_t size, struct fmt_buf *out,
    struct bkp_error *err)
{
	if (size > SIZE_MAX - 1 ||
	    fmt_buf_reserve(out, (size_t)size + 1) != FMT_OK)
		return bkp_fail_nomem(err, "reading a part");
	while (out->len < size) {
		size_t got = 0;

		if (parts->read(parts->arg, out->data + out->len,
			(size_t)size - out->len, &got, err) < 0)
			return -1;
		if (got == 0)
			return bkp_fail(err, BKP_CORRUPT,
			    "an object ends before its size says so");
		out->len += got;
	}
	return 0;
}

static int
next_part(void *arg, void **item, struct bkp_error *err)
{
	struct sending *sending = arg;
	struct part *part;

	*item = NULL;
	if (sending->next == sending->parts->count)
		return 0;
	if ((part = bkp_alloc(sizeof(*part), err)) == NULL)
		return -1;
	part->number = (unsigned)sending->next + 1;
	if (read_part(sending->parts, sending->parts->sizes[sending->next],
		&part->bytes, err) < 0) {
		free_part(NULL, part);
		return -1;
	}
	sending->next++;
	*item = part;
	return 0;
}

static int
send_part(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct sending *sending = arg;
	const struct part *part = item;
	const struct bkp_s3_body body = {
	    .data = part->bytes.data, .size = part->bytes.len};

	return bkp_s3_upload_part_at(sending->upload,
	    sending->connections[worker], part->number, &body, err);
}

int
bkp_s3_put_parts(struct bkp_s3_connection *const *connections, unsigned count,
    const char *bucket, const char *key, const struct bkp_s3_fields *headers,
    const struct bkp_s3_parts *parts, struct bkp_s3_put_result *result,
    struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {
	    .next = next_part, .work = send_part, .discard = free_part};
	struct sending sending = {.parts = parts, .connections = connections};
	int rc = bkp_s3_upload_begin(
	    connections[0], bucket, key, headers, &sending.upload, err);

	if (rc == 0)
		rc = bkp_s3_upload_expect(sending.upload, parts->count, err);
	if (rc == 0)
		rc = bkp_pipeline_run(count, count + 1, &ops, &sending,
		    connections[0]->cancel, err);
	if (rc == 0)
		rc = bkp_s3_upload_finish(sending.upload, result, err);
	bkp_s3_upload_end(sending.upload);
	return rc;
}

/* ---- down ---- */

struct fetching {
	const struct bkp_s3_get_options *options;
	struct bkp_s3_connection *const *connections;
	const char *bucket, *key;
	uint64_t size, range, next;
};

struct range {
	uint64_t first, len;
	struct fmt_buf bytes;
	struct bkp_s3_fields headers; /* of the first range */
};

static void
free_range(void *arg, void *item)
{
	struct range *range = item;

	(void)arg;
	if (range != NULL) {
		fmt_buf_free(&range->bytes);
		bkp_s3_fields_free(&range->headers);
	}
	free(range);
}

static int
next_range(void *arg, void **item, struct bkp_error *err)
{
	struct fetching *fetching = arg;
	uint64_t left = fetching->size - fetching->next;
	struct range *range;

	*item = NULL;
	if (left == 0)
		return 0;
	if ((range = bkp_alloc(sizeof(*range), err)) == NULL)
		return -1;
	range->first = fetching->next;
	range->len = left < fetching->range ? left : fetching->range;
	fetching->next += range->len;
	*item = range;
	return 0;
}

static int
keep_headers(
    void *arg, const struct bkp_s3_fields *headers, struct bkp_error *err)
{
	struct range *range = arg;

	for (size_t i = 0; range->first == 0 && i < headers->count; i++)
		if (bkp_s3_fields_add(&range->headers, headers->items[i].name,
			headers->items[i].value, err) < 0)
			return -1;
	return 0;
}

static int
keep_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct range *range = arg;

	if (len > range->len - range->bytes.len)
		return bkp_fail(err, BKP_CORRUPT,
		    "the server gave more than it was asked for");
	if (fmt_buf_append(&range->bytes, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "fetching an object");
	return 0;
}

static int
fetch_range(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct fetching *fetching = arg;
	struct range *range = item;
	const struct bkp_s3_get_options options = {
	    .if_match = fetching->options->if_match,
	    .version_id = fetching->options->version_id,
	    .first = range->first,
	    .len = range->len,
	    .begin = keep_headers,
	    .write = keep_bytes,
	    .arg = range,
	};

	if (fmt_buf_reserve(&range->bytes, (size_t)range->len) != FMT_OK)
		return bkp_fail_nomem(err, "fetching an object");
	if (bkp_s3_get(fetching->connections[worker], fetching->bucket,
		fetching->key, &options, err) < 0)
		return -1;
	if (range->bytes.len != range->len)
		return bkp_fail(err, BKP_CORRUPT,
		    "GET s3://%s/%.200s: %zu bytes came where %llu were asked "
		    "for",
		    fetching->bucket, fetching->key, range->bytes.len,
		    (unsigned long long)range->len);
	return 0;
}

static int
give_range(void *arg, void *item, struct bkp_error *err)
{
	struct fetching *fetching = arg;
	const struct bkp_s3_get_options *options = fetching->options;
	struct range *range = item;
	int rc = 0;

	if (range->first == 0 && options->begin != NULL)
		rc = options->begin(options->arg, &range->headers, err);
	if (rc == 0)
		rc = options->write(
		    options->arg, range->bytes.data, range->bytes.len, err);
	free_range(NULL, range);
	return rc;
}

int
bkp_s3_get_ranges(struct bkp_s3_connection *const *connections, unsigned count,
    const char *bucket, const char *key,
    const struct bkp_s3_get_options *options, uint64_t size, uint64_t range,
    struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next_range,
	    .work = fetch_range,
	    .done = give_range,
	    .discard = free_range};
	struct fetching fetching = {.options = options,
	    .connections = connections,
	    .bucket = bucket,
	    .key = key,
	    .size = size,
	    .range = range};

	if (count < 2 || size <= range)
		return bkp_s3_get(connections[0], bucket, key, options, err);
	if (options->if_match == NULL && options->version_id == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "GET s3://%s/%.200s: ranges of an object whose version is "
		    "not told may be of two",
		    bucket, key);
	return bkp_pipeline_run(
	    count, count + 1, &ops, &fetching, connections[0]->cancel, err);
}
