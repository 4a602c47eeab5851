/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_parts.h"

#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/etag.h"

/* An object that is asked about. */
struct place {
	struct bkp_s3_connection *connection;
	const char *bucket;
	const struct bkp_bucket_item *item;
};

void
bkp_bucket_parts_free(struct bkp_bucket_parts *parts)
{
	free(parts->sizes);
	parts->sizes = NULL;
	parts->count = 0;
}

/* One part's size, and how many there are; 0 where the server cannot say. */
static int
head_part(const struct place *place, unsigned part, uint64_t *size,
    unsigned *count, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = bkp_s3_head_version(place->connection, place->bucket,
	    place->item->key, place->item->version_id, part, &headers, &why);
	const char *length, *parts;

	*count = 0;
	if (rc < 0 && why.code == BKP_UNSUPPORTED) {
		rc = 0;
	} else if (rc < 0) {
		if (err != NULL)
			*err = why;
	} else {
		parts = bkp_s3_fields_get(&headers, "x-amz-mp-parts-count");
		length = bkp_s3_fields_get(&headers, "content-length");
		if (parts != NULL && length != NULL) {
			*count = (unsigned)strtoul(parts, NULL, 10);
			*size = strtoull(length, NULL, 10);
		}
	}
	bkp_s3_fields_free(&headers);
	return rc;
}

/* Asks for the sizes of all parts. */
static int
list_parts(struct bkp_bucket_parts *parts, const struct place *place,
    unsigned count, struct bkp_error *err)
{
	parts->is_listed = true;
	for (unsigned i = 0; i < count; i++) {
		unsigned seen;

		if (head_part(place, i + 1, &parts->sizes[i], &seen, err) < 0)
			return -1;
		if (seen != count) {
			parts->count = 0;
			return 0;
		}
	}
	parts->count = count;
	return 0;
}

/* The sizes that the parts have if all but the last are like the first; that
 * is nearly always so, and the ETag tells whether it was. */
static void
guess_parts(struct bkp_bucket_parts *parts, uint64_t size, uint64_t first,
    unsigned count)
{
	uint64_t left = size;

	for (unsigned i = 0; i < count; i++) {
		parts->sizes[i] = i + 1 < count ? first : left;
		left -= first <= left ? first : left;
	}
	parts->count = count;
}

static bool
fits_guess(uint64_t size, uint64_t first, unsigned count)
{
	uint64_t before = first * (count - 1);

	return first > 0 && before < size && size - before <= first;
}

static int
make_room(struct bkp_bucket_parts *parts, unsigned count, struct bkp_error *err)
{
	bkp_bucket_parts_free(parts);
	parts->sizes = bkp_alloc_array(count, sizeof(*parts->sizes), err);
	return parts->sizes != NULL ? 0 : -1;
}

int
bkp_bucket_parts_find(struct bkp_bucket_parts *parts,
    struct bkp_s3_connection *connection, const char *bucket,
    const struct bkp_bucket_item *item, const char *etag, struct bkp_error *err)
{
	const struct place place = {connection, bucket, item};
	unsigned expected = bkp_s3_etag_parts(etag), count;
	uint64_t first = 0;

	bkp_bucket_parts_free(parts);
	if (expected == 0)
		return 0;
	if (head_part(&place, 1, &first, &count, err) < 0)
		return -1;
	if (count != expected)
		return 0;
	if (make_room(parts, count, err) < 0)
		return -1;
	if (!parts->is_listed && fits_guess(item->size, first, count)) {
		guess_parts(parts, item->size, first, count);
		return 0;
	}
	return list_parts(parts, &place, count, err);
}

void
bkp_bucket_parts_check(struct bkp_bucket_parts *parts, uint64_t size)
{
	uint64_t left = size;

	for (size_t i = 0; i < parts->count; i++) {
		if (parts->sizes[i] > left) {
			parts->count = 0;
			return;
		}
		left -= parts->sizes[i];
	}
	if (left > 0)
		parts->count = 0;
}

int
bkp_bucket_parts_set(struct bkp_bucket_parts *parts, uint64_t size,
    uint64_t first, unsigned count, struct bkp_error *err)
{
	if (make_room(parts, count, err) < 0)
		return -1;
	guess_parts(parts, size, first, count);
	return 0;
}
