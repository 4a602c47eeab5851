/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/s3/entries.h"
#include "libbackup/s3/pages.h"
#include "libbackup/s3/ranges.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

/* Pages without a single key, one after another, that are put up with. */
#define EMPTY_PAGES_MAX 100u

struct bkp_s3_listing {
	struct bkp_s3_connection *connection; /* borrowed */
	char *bucket, *prefix;                /* owned */
	char *after, *until; /* owned; NULL: from the first, to the last key */
	bool is_beyond;      /* a key behind `until` was seen */
	struct bkp_s3_ranges *ranges; /* owned; NULL: all of it is read here */
	struct bkp_s3_entries shown;  /* the page being read */
	size_t next;
	bool reads_ahead;
	bool is_asked; /* for the page behind it, by `ahead`, to which all that
			  is below belongs until it is drained */
	struct bkp_background *ahead; /* owned; NULL: not yet */

	struct bkp_s3_entries page; /* the last one that came */
	char *last_key;             /* the greatest so far, of all pages */
	char *token;                /* of this page; NULL: the first */
	char *next_token;
	bool wants_metadata;
	bool is_encoded, is_truncated, has_truncated, has_page;
	uint64_t key_count; /* as the server says; UINT64_MAX: it does not */
	unsigned empty_pages;
};

void
bkp_s3_list_close(struct bkp_s3_listing *listing)
{
	if (listing == NULL)
		return;
	bkp_background_stop(listing->ahead);
	bkp_s3_ranges_close(listing->ranges);
	bkp_s3_entries_free(&listing->shown);
	bkp_s3_entries_free(&listing->page);
	free(listing->bucket);
	free(listing->prefix);
	free(listing->after);
	free(listing->until);
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

void
bkp_s3_list_read_ahead(struct bkp_s3_listing *listing)
{
	listing->reads_ahead = true;
}

/* ---- a part of it ---- */

int
bkp_s3_list_limit(struct bkp_s3_listing *listing, const char *behind,
    const char *last, struct bkp_error *err)
{
	if (behind != NULL &&
	    (listing->after = bkp_strdup(behind, err)) == NULL)
		return -1;
	if (last != NULL && (listing->until = bkp_strdup(last, err)) == NULL)
		return -1;
	return 0;
}

int
bkp_s3_list_between(struct bkp_s3_listing *listing, const char *after,
    const char *until, struct bkp_error *err)
{
	if (after != NULL &&
	    (listing->last_key = bkp_strdup(after, err)) == NULL)
		return -1;
	return bkp_s3_list_limit(listing, after, until, err);
}

bool
bkp_s3_list_is_all(const struct bkp_s3_listing *listing)
{
	return !listing->is_truncated && !listing->is_beyond;
}

const char *
bkp_s3_list_seen(const struct bkp_s3_listing *listing)
{
	const char *key = listing->last_key;

	/* Before the first page it is where the range begins. */
	if (key != NULL && listing->after != NULL &&
	    strcmp(key, listing->after) == 0)
		return NULL;
	return key;
}

bool
bkp_s3_list_has_metadata(const struct bkp_s3_listing *listing)
{
	return listing->wants_metadata;
}

int
bkp_s3_list_split(struct bkp_s3_listing *listing,
    struct bkp_s3_connection **connections, unsigned count,
    bkp_s3_bound_fn *bound, void *arg, struct bkp_error *err)
{
	return bkp_s3_ranges_open(connections, count, listing->bucket,
	    listing->prefix, bound, arg, &listing->ranges, err);
}

/* No key of the next page is wanted, or there is none. Not while it is asked
 * for. */
static bool
is_over(const struct bkp_s3_listing *listing)
{
	return !listing->is_truncated || listing->is_beyond ||
	       (listing->until != NULL && listing->last_key != NULL &&
		   strcmp(listing->last_key, listing->until) >= 0);
}

static int
broken(const struct bkp_s3_listing *listing, struct bkp_error *err,
    const char *what)
{
	return bkp_s3_listing_broken(listing->bucket, err, what);
}

/* ---- one page ---- */

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
		return bkp_s3_entries_end(
		    &listing->page, listing->bucket, BKP_S3_ENTRY_OBJECT, err);
	if (strncmp(path, contents, sizeof(contents) - 1) == 0 &&
	    path[sizeof(contents) - 1] == '/')
		return bkp_s3_entries_take(&listing->page, listing->bucket,
		    path + sizeof(contents), text, len, err);
	path += sizeof(root) - 1;
	if (strcmp(path, "IsTruncated") == 0) {
		listing->has_truncated = true;
		listing->is_truncated = strcmp(text, "true") == 0;
		if (!listing->is_truncated && strcmp(text, "false") != 0)
			return broken(listing, err,
			    "IsTruncated is neither true nor false");
	} else if (strcmp(path, "EncodingType") == 0) {
		listing->is_encoded = strcmp(text, "url") == 0;
	} else if (strcmp(path, "KeyCount") == 0) {
		listing->key_count = strtoull(text, NULL, 10);
	} else if (strcmp(path, "NextContinuationToken") == 0) {
		if (listing->token != NULL && strcmp(listing->token, text) == 0)
			return broken(
			    listing, err, "the server repeats its token");
		return bkp_s3_set_text(&listing->next_token, text, len, err);
	}
	return 0;
}

static int
check_order(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	const char *before = listing->last_key;

	for (size_t i = 0; i < listing->page.count; i++) {
		const char *key = listing->page.items[i].key;

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
	if (listing->page.count == 0)
		return 0;
	return bkp_s3_set_text(&listing->last_key, before, strlen(before), err);
}

static int
check_page(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	if (!listing->has_truncated)
		return broken(listing, err, "the answer has no IsTruncated");
	if (listing->is_truncated && listing->next_token == NULL)
		return broken(listing, err, "there is more, but no token");
	if (listing->key_count != UINT64_MAX &&
	    listing->key_count != listing->page.count)
		return broken(
		    listing, err, "KeyCount is not the number of keys");
	if (listing->is_encoded &&
	    bkp_s3_entries_decode(&listing->page, listing->bucket, err) < 0)
		return -1;
	if (check_order(listing, err) < 0)
		return -1;
	listing->empty_pages =
	    listing->page.count == 0 ? listing->empty_pages + 1 : 0;
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
	if (listing->token == NULL && listing->after != NULL &&
	    bkp_s3_fields_add(query, "start-after", listing->after, err) < 0)
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
	bkp_s3_entries_drop(&listing->page);
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
bool
bkp_s3_is_worth_asking_plainly(enum bkp_error_code code)
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
	    bkp_s3_is_worth_asking_plainly((enum bkp_error_code)why.code)) {
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

/* ---- one page after another ---- */

static int
fetch_ahead(void *arg, void *item, struct bkp_error *err)
{
	(void)item;
	return fetch_page(arg, err);
}

static void
discard(void *arg, void *item)
{
	(void)arg;
	(void)item;
}

/* Servers take as long over a page as we do: each can be at its own. */
int
bkp_s3_list_ask_ahead(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	static const struct bkp_background_ops ops = {
	    .work = fetch_ahead, .discard = discard};

	if (listing->ahead == NULL &&
	    bkp_background_start(1, 1, &ops, listing, &listing->ahead, err) < 0)
		return -1;
	if (bkp_background_submit(listing->ahead, listing, err) < 0)
		return -1;
	listing->is_asked = true;
	return 0;
}

/* Puts the next page in the place of the one that is read. */
static int
turn_page(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	struct bkp_s3_entries read = listing->shown;
	int rc = listing->is_asked ? bkp_background_drain(listing->ahead, err)
				   : fetch_page(listing, err);

	listing->is_asked = false;
	listing->shown = listing->page;
	listing->page = read;
	listing->next = 0;
	if (rc == 0 && listing->reads_ahead && !is_over(listing))
		rc = bkp_s3_list_ask_ahead(listing, err);
	return rc;
}

/* The next one: 1; 0 at the end; -1. */
static int
next_entry(struct bkp_s3_listing *listing, struct bkp_error *err)
{
	while (listing->next == listing->shown.count) {
		if (!listing->is_asked && listing->has_page && is_over(listing))
			return 0;
		if (turn_page(listing, err) < 0)
			return -1;
	}
	if (listing->until != NULL &&
	    strcmp(listing->shown.items[listing->next].key, listing->until) > 0)
		listing->is_beyond = true;
	return listing->is_beyond ? 0 : 1;
}

int
bkp_s3_list_next(struct bkp_s3_listing *listing, struct bkp_s3_object *object,
    struct bkp_error *err)
{
	const struct bkp_s3_entry *item;
	int rc;

	if (listing->ranges != NULL)
		return bkp_s3_ranges_next(
		    listing->ranges, listing->wants_metadata, object, err);
	if ((rc = next_entry(listing, err)) != 1)
		return rc;
	item = &listing->shown.items[listing->next++];
	object->key = item->key;
	object->size = item->size;
	object->etag = item->etag;
	object->last_modified = item->last_modified;
	object->storage_class = item->storage_class;
	object->tags = item->tags;
	return 1;
}
