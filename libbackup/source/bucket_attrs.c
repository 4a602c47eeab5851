/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

#define META "x-amz-meta-"
#define META_LEN (sizeof(META) - 1)

/* Headers that go out with an object and come back with it. */
static const struct {
	const char *header;
	const char *attr;
} both_ways[] = {
    {"content-type", "content_type"},
    {"cache-control", "cache_control"},
    {"content-disposition", "content_disposition"},
    {"content-encoding", "content_encoding"},
    {"content-language", "content_language"},
    {"expires", "expires"},
    {"x-amz-website-redirect-location", "website_redirect"},
};

#define BOTH_WAYS (sizeof(both_ways) / sizeof(both_ways[0]))

/* ---- texts ---- */

static json_t *
hex_of(const char *text)
{
	struct fmt_buf hex = FMT_BUF_INIT;
	json_t *out = NULL;
	const char *digits;

	for (; *text != '\0'; text++)
		if (fmt_buf_printf(&hex, "%02x", (unsigned char)*text) !=
		    FMT_OK)
			break;
	if (*text == '\0' && (digits = fmt_buf_text(&hex)) != NULL)
		out = json_pack("{s:s}", "hex", digits);
	fmt_buf_free(&hex);
	return out;
}

/* json_string refuses what is not UTF-8. */
static json_t *
text_to_json(const char *text)
{
	json_t *string = json_string(text);

	return string != NULL ? string : hex_of(text);
}

static int
text_from_json(const json_t *json, struct fmt_buf *out, struct bkp_error *err)
{
	const char *hex;
	unsigned byte;

	fmt_buf_clear(out);
	if (json_is_string(json)) {
		if (fmt_buf_append(out, json_string_value(json),
			json_string_length(json)) != FMT_OK)
			return bkp_fail_nomem(err, "reading attributes");
	} else if ((hex = json_string_value(json_object_get(json, "hex"))) !=
		   NULL) {
		for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
			if (fmt_buf_append_byte(out, (unsigned char)byte) !=
			    FMT_OK)
				return bkp_fail_nomem(
				    err, "reading attributes");
	} else {
		return bkp_fail(err, BKP_CORRUPT, "an attribute is not a text");
	}
	if (fmt_buf_text(out) == NULL)
		return bkp_fail_nomem(err, "reading attributes");
	return 0;
}

int
bkp_bucket_attrs_set(
    json_t *attrs, const char *name, const char *text, struct bkp_error *err)
{
	json_t *value = text_to_json(text);

	if (value == NULL || json_object_set_new(attrs, name, value) < 0)
		return bkp_fail_nomem(err, "noting attributes");
	return 0;
}

const char *
bkp_bucket_attrs_get(const json_t *attrs, const char *name)
{
	return json_string_value(json_object_get(attrs, name));
}

/* ---- from headers ---- */

/* A header may come in several lines: HTTP says that they are one list. */
static int
add_metadata(json_t *metadata, const char *name, const char *value,
    struct bkp_error *err)
{
	const char *before = bkp_bucket_attrs_get(metadata, name);
	char *joined;
	int rc;

	if (before == NULL)
		return bkp_bucket_attrs_set(metadata, name, value, err);
	if ((joined = bkp_format(err, "%s,%s", before, value)) == NULL)
		return -1;
	rc = bkp_bucket_attrs_set(metadata, name, joined, err);
	free(joined);
	return rc;
}

static int
read_metadata(
    const struct bkp_s3_fields *headers, json_t *attrs, struct bkp_error *err)
{
	json_t *metadata = json_object();
	int rc =
	    metadata != NULL ? 0 : bkp_fail_nomem(err, "noting attributes");

	for (size_t i = 0; i < headers->count && rc == 0; i++) {
		const struct bkp_s3_field *header = &headers->items[i];

		if (strncasecmp(header->name, META, META_LEN) == 0)
			rc = add_metadata(metadata, header->name + META_LEN,
			    header->value, err);
	}
	if (rc == 0 && json_object_size(metadata) > 0 &&
	    json_object_set(attrs, "metadata", metadata) < 0)
		rc = bkp_fail_nomem(err, "noting attributes");
	json_decref(metadata);
	return rc;
}

/* "aws-chunked" tells how an object was sent, and is not part of it; some
 * servers keep it. */
static int
read_encoding(const char *value, json_t *attrs, struct bkp_error *err)
{
	static const char chunked[] = "aws-chunked";
	size_t len = sizeof(chunked) - 1;

	if (strncasecmp(value, chunked, len) == 0 &&
	    (value[len] == '\0' || value[len] == ','))
		value += len + strspn(value + len, ", ");
	if (*value == '\0')
		return 0;
	return bkp_bucket_attrs_set(attrs, "content_encoding", value, err);
}

/* ---- locks ---- */

bool
bkp_bucket_attrs_lock(const json_t *attrs, struct bkp_s3_lock *lock)
{
	const char *mode = bkp_bucket_attrs_get(attrs, "lock_mode");
	const json_t *until = json_object_get(attrs, "lock_until");

	*lock = (struct bkp_s3_lock){.mode = BKP_S3_LOCK_NONE};
	lock->has_legal_hold =
	    json_is_true(json_object_get(attrs, "legal_hold"));
	if (mode != NULL && json_is_integer(until)) {
		lock->mode = strcmp(mode, "COMPLIANCE") == 0
				 ? BKP_S3_LOCK_COMPLIANCE
				 : BKP_S3_LOCK_GOVERNANCE;
		lock->until = json_integer_value(until);
	}
	if (lock->until <= (int64_t)time(NULL))
		lock->mode = BKP_S3_LOCK_NONE;
	return lock->has_legal_hold || lock->mode != BKP_S3_LOCK_NONE;
}

int
bkp_bucket_attrs_add_lock(
    json_t *attrs, const struct bkp_s3_lock *lock, struct bkp_error *err)
{
	if (lock->has_legal_hold &&
	    json_object_set_new(attrs, "legal_hold", json_true()) < 0)
		return bkp_fail_nomem(err, "noting attributes");
	if (lock->mode == BKP_S3_LOCK_NONE)
		return 0;
	if (json_object_set_new(attrs, "lock_mode",
		json_string(lock->mode == BKP_S3_LOCK_COMPLIANCE
				? "COMPLIANCE"
				: "GOVERNANCE")) < 0 ||
	    json_object_set_new(
		attrs, "lock_until", json_integer((json_int_t)lock->until)) < 0)
		return bkp_fail_nomem(err, "noting attributes");
	return 0;
}

static int
read_lock(
    const struct bkp_s3_fields *headers, json_t *attrs, struct bkp_error *err)
{
	struct bkp_s3_lock lock = {.mode = BKP_S3_LOCK_NONE};

	if (bkp_s3_read_lock(headers, &lock, NULL) < 0)
		return 0;
	return bkp_bucket_attrs_add_lock(attrs, &lock, err);
}

int
bkp_bucket_attrs_read(
    const struct bkp_s3_fields *headers, json_t **out, struct bkp_error *err)
{
	json_t *attrs = json_object();
	const char *value;
	int rc = attrs != NULL ? 0 : bkp_fail_nomem(err, "noting attributes");

	for (size_t i = 0; i < BOTH_WAYS && rc == 0; i++) {
		value = bkp_s3_fields_get(headers, both_ways[i].header);
		if (value == NULL)
			continue;
		if (strcmp(both_ways[i].header, "content-encoding") == 0)
			rc = read_encoding(value, attrs, err);
		else
			rc = bkp_bucket_attrs_set(
			    attrs, both_ways[i].attr, value, err);
	}
	value = bkp_s3_fields_get(headers, "x-amz-version-id");
	if (rc == 0 && value != NULL && strcmp(value, "null") != 0)
		rc = bkp_bucket_attrs_set(attrs, "version_id", value, err);
	if (rc == 0)
		rc = read_lock(headers, attrs, err);
	if (rc == 0)
		rc = read_metadata(headers, attrs, err);
	if (rc < 0)
		json_decref(attrs);
	else
		*out = attrs;
	return rc;
}

int
bkp_bucket_attrs_add_tags(
    json_t *attrs, const struct bkp_s3_fields *tags, struct bkp_error *err)
{
	json_t *object;
	int rc = 0;

	if (tags->count == 0)
		return 0;
	if ((object = json_object()) == NULL)
		return bkp_fail_nomem(err, "noting attributes");
	for (size_t i = 0; i < tags->count && rc == 0; i++)
		rc = bkp_bucket_attrs_set(
		    object, tags->items[i].name, tags->items[i].value, err);
	if (rc == 0 && json_object_set(attrs, "tags", object) < 0)
		rc = bkp_fail_nomem(err, "noting attributes");
	json_decref(object);
	return rc;
}

/* Sets the tag that stands in `len` bytes of a query. */
static int
add_tag(json_t *tags, const char *text, size_t len)
{
	struct fmt_buf name = FMT_BUF_INIT, value = FMT_BUF_INIT;
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
	size_t rest = equals != NULL ? len - name_len - 1 : 0;
	int rc = -1;

	if (bkp_s3_decode(text, name_len, true, &name) == FMT_OK &&
	    bkp_s3_decode(text + len - rest, rest, true, &value) == FMT_OK &&
	    fmt_buf_text(&name) != NULL && fmt_buf_text(&value) != NULL)
		rc = bkp_bucket_attrs_set(tags, (const char *)name.data,
		    (const char *)value.data, NULL);
	fmt_buf_free(&name);
	fmt_buf_free(&value);
	return rc;
}

/* What cannot be read is not the same: then the object is looked at. */
bool
bkp_bucket_attrs_have_tags(const json_t *attrs, const char *query)
{
	const json_t *before = json_object_get(attrs, "tags");
	json_t *now = json_object();
	bool is_same = now != NULL;

	while (is_same && *query != '\0') {
		size_t len = strcspn(query, "&");

		is_same = len == 0 || add_tag(now, query, len) == 0;
		query += len + (query[len] == '&');
	}
	if (is_same)
		is_same = before != NULL ? json_equal(before, now) == 1
					 : json_object_size(now) == 0;
	json_decref(now);
	return is_same;
}

/* ---- to headers ---- */

/* Adds a header, or a tag, from a JSON text. */
static int
add_field(struct bkp_s3_fields *fields, const char *name, const json_t *value,
    struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = text_from_json(value, &text, err);

	if (rc == 0)
		rc = bkp_s3_fields_add(
		    fields, name, (const char *)text.data, err);
	fmt_buf_free(&text);
	return rc;
}

static int
add_metadata_header(struct bkp_s3_fields *headers, const char *name,
    const json_t *value, struct bkp_error *err)
{
	char *header = bkp_format(err, META "%s", name);
	int rc = -1;

	if (header != NULL)
		rc = add_field(headers, header, value, err);
	free(header);
	return rc;
}

int
bkp_bucket_attrs_headers(
    const json_t *attrs, struct bkp_s3_fields *headers, struct bkp_error *err)
{
	json_t *metadata = json_object_get(attrs, "metadata"), *value;
	const char *name;

	for (size_t i = 0; i < BOTH_WAYS; i++) {
		value = json_object_get(attrs, both_ways[i].attr);
		if (value != NULL &&
		    add_field(headers, both_ways[i].header, value, err) < 0)
			return -1;
	}
	json_object_foreach(metadata, name,
	    value) if (add_metadata_header(headers, name, value, err) <
		       0) return -1;
	return 0;
}

int
bkp_bucket_attrs_tags(
    const json_t *attrs, struct bkp_s3_fields *tags, struct bkp_error *err)
{
	json_t *object = json_object_get(attrs, "tags"), *value;
	const char *name;

	json_object_foreach(object, name,
	    value) if (add_field(tags, name, value, err) < 0) return -1;
	return 0;
}

/* ---- parts ---- */

static bool
is_uniform(const uint64_t *sizes, size_t count)
{
	for (size_t i = 1; i + 1 < count; i++)
		if (sizes[i] != sizes[0])
			return false;
	return sizes[count - 1] <= sizes[0];
}

static int
add_list(
    json_t *attrs, const uint64_t *sizes, size_t count, struct bkp_error *err)
{
	json_t *list = json_array();
	bool is_good = list != NULL;

	for (size_t i = 0; i < count && is_good; i++)
		is_good = json_array_append_new(
			      list, json_integer((json_int_t)sizes[i])) == 0;
	is_good = is_good && json_object_set(attrs, "part_sizes", list) == 0;
	json_decref(list);
	return is_good ? 0 : bkp_fail_nomem(err, "noting attributes");
}

int
bkp_bucket_attrs_add_parts(
    json_t *attrs, const uint64_t *sizes, size_t count, struct bkp_error *err)
{
	if (count == 0)
		return 0;
	if (!is_uniform(sizes, count))
		return add_list(attrs, sizes, count, err);
	if (json_object_set_new(
		attrs, "part_size", json_integer((json_int_t)sizes[0])) < 0 ||
	    json_object_set_new(
		attrs, "part_count", json_integer((json_int_t)count)) < 0)
		return bkp_fail_nomem(err, "noting attributes");
	return 0;
}

/* The sizes as recorded, whatever they add up to. */
static int
load_parts(const json_t *attrs, uint64_t size, uint64_t **sizes, size_t *count,
    struct bkp_error *err)
{
	const json_t *list = json_object_get(attrs, "part_sizes");
	json_int_t part =
	    json_integer_value(json_object_get(attrs, "part_size"));
	json_int_t parts =
	    json_integer_value(json_object_get(attrs, "part_count"));
	uint64_t left = size;

	*count = json_array_size(list);
	if (*count == 0 && part > 0 && parts > 0 && parts <= 10000)
		*count = (size_t)parts;
	if (*count == 0)
		return 0;
	if ((*sizes = bkp_alloc_array(*count, sizeof(**sizes), err)) == NULL)
		return -1;
	for (size_t i = 0; i < *count; i++) {
		json_int_t value =
		    list != NULL ? json_integer_value(json_array_get(list, i))
				 : part;

		if (list == NULL && i + 1 == *count)
			value = (json_int_t)left;
		(*sizes)[i] = value > 0 ? (uint64_t)value : 0;
		left -= (*sizes)[i] <= left ? (*sizes)[i] : left;
	}
	return 0;
}

int
bkp_bucket_attrs_parts(const json_t *attrs, uint64_t size, uint64_t **sizes,
    size_t *count, struct bkp_error *err)
{
	uint64_t *found = NULL, sum = 0;
	size_t parts = 0;

	if (load_parts(attrs, size, &found, &parts, err) < 0)
		return -1;
	for (size_t i = 0; i < parts; i++)
		sum += found[i];
	/* Then nobody knows how it was cut, and its bytes are good all the
	 * same. */
	if (parts > 0 && sum != size) {
		free(found);
		found = NULL;
		parts = 0;
	}
	*sizes = found;
	*count = parts;
	return 0;
}
