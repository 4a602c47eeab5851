/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

/* Pages without a single key, one after another, that are put up with. */
#define EMPTY_PAGES_MAX 100u

struct item {
	char *key, *etag, *last_modified, *storage_class; /* owned */
	char *tags; /* owned; NULL: the server did not say */
	uint64_t size;
	bool has_metadata; /* the server told more than it must */
};

struct bkp_s3_listing {
	struct bkp_s3_connection *connection; /* borrowed */
	char *bucket, *prefix;                /* owned */
	struct item *items;                   /* of this page */
	size_t count, cap, next;
	char *last_key; /* the greatest so far, of all pages */
	char *token;    /* of this page; NULL: the first */
	char *next_token;
	bool wants_metadata;
	bool is_encoded, is_truncated, has_truncated, has_page;
	uint64_t key_count; /* as the server says; UINT64_MAX: it does not */
	unsigned empty_pages;
};

static void
free_item(struct item *item)
{
	free(item->key);
	free(item->etag);
	free(item->last_modified);
	free(item->storage_class);
	free(item->tags);
	memset(item, 0, sizeof(*item));
}

static void
drop_page(struct bkp_s3_listing *listing)
{
	/* One more may have begun where a page broke off. */
	for (size_t i = 0; i < listing->cap && i <= listing->count; i++)
		free_item(&listing->items[i]);
	listing->count = listing->next = 0;
}

void
bkp_s3_list_close(struct bkp_s3_listing *listing)
{
	if (listing == NULL)
		return;
	drop_page(listing);
	free(listing->items);
	free(listing->bucket);
	free(listing->prefix);
	free(listing->last_key);
	free(listing->token);
	free(listing->next_token);
	free(listing);
}

int
bkp_s3_list_open(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, struct bkp_s3_listing **out, struct bkp_error *err)
{
	struct bkp_s3_listing *listing = bkp_alloc(sizeof(*listing), err);

	if (listing == NULL)
		return -1;
	listing->connection = connection;
	listing->bucket = bkp_strdup(bucket, err);
	listing->prefix = bkp_strdup(prefix != NULL ? prefix : "", err);
	if (listing->bucket == NULL || listing->prefix == NULL) {
		bkp_s3_list_close(listing);
		return -1;
	}
	*out = listing;
	return 0;
}

void
bkp_s3_list_ask_metadata(struct bkp_s3_listing *listing)
{
	listing->wants_metadata = true;
}

static int
broken(const struct bkp_s3_listing *listing, struct bkp_error *err,
    const char *what)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "listing s3://%s: %s; such a listing cannot be trusted, so "
	    "nothing is taken from it",
	    listing->bucket, what);
}

/* ---- one page ---- */

/* The element that is being filled: the one behind the last. */
static int
current_item(
    struct bkp_s3_listing *listing, struct item **out, struct bkp_error *err)
{
	size_t cap = listing->cap;

	if (bkp_grow(&listing->items, listing->count, &listing->cap,
		sizeof(*listing->items), err) < 0)
		return -1;
	for (; cap < listing->cap; cap++)
		memset(&listing->items[cap], 0, sizeof(*listing->items));
	*out = &listing->items[listing->count];
	return 0;
}

static int
set_text(char **to, const char *text, size_t len, struct bkp_error *err)
{
	free(*to);
	if ((*to = strndup(text, len)) == NULL)
		return bkp_fail_nomem(err, "reading a listing");
	return 0;
}

static int
set_etag(struct item *item, const char *text, size_t len, struct bkp_error *err)
{
	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		return set_text(&item->etag, text + 1, len - 2, err);
	return set_text(&item->etag, text, len, err);
}

static int
set_size(const struct bkp_s3_listing *listing, struct item *item,
    const char *text, struct bkp_error *err)
{
	char *end;

	errno = 0;
	item->size = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-')
		return broken(listing, err, "a size is not a number");
	return 0;
}

/* An element of "Contents" ended. */
static int
take_content(struct bkp_s3_listing *listing, const char *name, const char *text,
    size_t len, struct bkp_error *err)
{
	struct item *item;

	if (current_item(listing, &item, err) < 0)
		return -1;
	if (strcmp(name, "Key") == 0)
		return set_text(&item->key, text, len, err);
	if (strcmp(name, "ETag") == 0)
		return set_etag(item, text, len, err);
	if (strcmp(name, "LastModified") == 0)
		return set_text(&item->last_modified, text, len, err);
	if (strcmp(name, "StorageClass") == 0)
		return set_text(&item->storage_class, text, len, err);
	if (strcmp(name, "Size") == 0)
		return set_size(listing, item, text, err);
	if (strcmp(name, "UserMetadata") == 0 || strcmp(name, "Internal") == 0)
		item->has_metadata = true;
	if (strcmp(name, "UserTags") == 0)
		return set_text(&item->tags, text, len, err);
	return 0;
}

static int
end_content(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	struct item *item;

	if (current_item(listing, &item, err) < 0)
		return -1;
	if (item->key == NULL || item->key[0] == '\0' || item->etag == NULL ||
	    item->last_modified == NULL)
		return broken(
		    listing, err, "an object is without key, ETag or date");
	if (item->storage_class == NULL &&
	    set_text(&item->storage_class, "", 0, err) < 0)
		return -1;
	/* A server that tells metadata leaves out the tags that are not. */
	if (item->tags == NULL && item->has_metadata &&
	    set_text(&item->tags, "", 0, err) < 0)
		return -1;
	listing->count++;
	return 0;
}

static int
take_element(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	static const char root[] = "ListBucketResult/";
	static const char contents[] = "ListBucketResult/Contents";
	struct bkp_s3_listing *listing = arg;

	if (strncmp(path, root, sizeof(root) - 1) != 0)
		return 0;
	if (strcmp(path, contents) == 0)
		return end_content(listing, err);
	if (strncmp(path, contents, sizeof(contents) - 1) == 0 &&
	    path[sizeof(contents) - 1] == '/')
		return take_content(
		    listing, path + sizeof(contents), text, len, err);
	path += sizeof(root) - 1;
	if (strcmp(path, "IsTruncated") == 0) {
		listing->has_truncated = true;
		listing->is_truncated = strcmp(text, "true") == 0;
	} else if (strcmp(path, "EncodingType") == 0) {
		listing->is_encoded = strcmp(text, "url") == 0;
	} else if (strcmp(path, "KeyCount") == 0) {
		listing->key_count = strtoull(text, NULL, 10);
	} else if (strcmp(path, "NextContinuationToken") == 0) {
		if (listing->token != NULL && strcmp(listing->token, text) == 0)
			return broken(
			    listing, err, "the server repeats its token");
		return set_text(&listing->next_token, text, len, err);
	}
	return 0;
}

/* Undoes encoding-type=url where the server says that it did it. */
static int
decode_keys(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	struct fmt_buf key = FMT_BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < listing->count && rc == 0; i++) {
		struct item *item = &listing->items[i];
		enum fmt_status status;

		fmt_buf_clear(&key);
		status =
		    bkp_s3_decode(item->key, strlen(item->key), true, &key);
		if (status == FMT_MALFORMED)
			rc = broken(listing, err, "a key is encoded wrongly");
		else if (status != FMT_OK)
			rc = bkp_fail_nomem(err, "reading a listing");
		else if (memchr(key.data, '\0', key.len) != NULL)
			rc = broken(listing, err, "a key holds a NUL byte");
		else
			rc = set_text(
			    &item->key, (const char *)key.data, key.len, err);
	}
	fmt_buf_free(&key);
	return rc;
}

static int
check_order(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	const char *before = listing->last_key;

	for (size_t i = 0; i < listing->count; i++) {
		const char *key = listing->items[i].key;

		if (before != NULL && strcmp(before, key) >= 0)
			return bkp_fail(err, BKP_CORRUPT,
			    "listing s3://%s: key \"%s\" comes after \"%s\", "
			    "so keys are repeated or out of order; such a "
			    "listing cannot be trusted",
			    listing->bucket, key, before);
		if (strncmp(key, listing->prefix, strlen(listing->prefix)) != 0)
			return broken(
			    listing, err, "a key is not below the prefix");
		before = key;
	}
	if (listing->count == 0)
		return 0;
	return set_text(&listing->last_key, before, strlen(before), err);
}

static int
check_page(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	if (!listing->has_truncated)
		return broken(listing, err, "the answer has no IsTruncated");
	if (listing->is_truncated && listing->next_token == NULL)
		return broken(listing, err, "there is more, but no token");
	if (listing->key_count != UINT64_MAX &&
	    listing->key_count != listing->count)
		return broken(
		    listing, err, "KeyCount is not the number of keys");
	if (listing->is_encoded && decode_keys(listing, err) < 0)
		return -1;
	if (check_order(listing, err) < 0)
		return -1;
	listing->empty_pages =
	    listing->count == 0 ? listing->empty_pages + 1 : 0;
	if (listing->empty_pages > EMPTY_PAGES_MAX)
		return broken(listing, err, "page after page is empty");
	return 0;
}

static int
build_query(const struct bkp_s3_listing *listing, struct bkp_s3_fields *query,
    struct bkp_error *err)
{
	if (bkp_s3_fields_add(query, "list-type", "2", err) < 0 ||
	    bkp_s3_fields_add(query, "encoding-type", "url", err) < 0)
		return -1;
	if (listing->prefix[0] != '\0' &&
	    bkp_s3_fields_add(query, "prefix", listing->prefix, err) < 0)
		return -1;
	if (listing->token != NULL &&
	    bkp_s3_fields_add(
		query, "continuation-token", listing->token, err) < 0)
		return -1;
	if (listing->wants_metadata &&
	    bkp_s3_fields_add(query, "metadata", "true", err) < 0)
		return -1;
	return 0;
}

static int
ask_page(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "GET", .bucket = listing->bucket, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = build_query(listing, &query, err);

	if (rc == 0)
		rc = bkp_s3_ask(listing->connection, &request, &response, err);
	drop_page(listing);
	listing->is_encoded = listing->has_truncated = false;
	listing->is_truncated = false;
	listing->key_count = UINT64_MAX;
	free(listing->next_token);
	listing->next_token = NULL;
	if (rc == 0) {
		rc = bkp_s3_xml_read(response.body.data, response.body.len,
		    take_element, listing, err);
		if (rc == 0)
			rc = check_page(listing, err);
		else
			(void)bkp_fail_in(
			    err, "listing s3://%s", listing->bucket);
	}
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

/* MinIO writes the names of metadata as those of elements, and not every name
 * makes one; a stricter server may refuse a parameter that it does not know. */
static bool
is_worth_asking_plainly(enum bkp_error_code code)
{
	return code == BKP_CORRUPT || code == BKP_INVALID ||
	       code == BKP_UNSUPPORTED || code == BKP_AUTH;
}

static int
fetch_page(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = ask_page(listing, &why);

	if (rc < 0 && listing->wants_metadata &&
	    is_worth_asking_plainly((enum bkp_error_code)why.code)) {
		listing->wants_metadata = false;
		rc = ask_page(listing, &why);
	}
	listing->has_page = rc == 0;
	if (rc < 0) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	free(listing->token);
	listing->token = listing->next_token;
	listing->next_token = NULL;
	return 0;
}

int
bkp_s3_list_next(struct bkp_s3_listing *listing, struct bkp_s3_object *object,
    struct bkp_error *err)
{
	const struct item *item;

	while (listing->next == listing->count) {
		if (listing->has_page && !listing->is_truncated)
			return 0;
		if (fetch_page(listing, err) < 0)
			return -1;
	}
	item = &listing->items[listing->next++];
	object->key = item->key;
	object->size = item->size;
	object->etag = item->etag;
	object->last_modified = item->last_modified;
	object->storage_class = item->storage_class;
	object->tags = item->tags;
	return 1;
}
