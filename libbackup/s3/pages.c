/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/pages.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

/* Pages without an entry, one after another, that are put up with. */
#define EMPTY_PAGES_MAX 100u

static void
forget_used(struct bkp_s3_pages *pages)
{
	for (size_t i = 0; i < pages->used_count; i++)
		free(pages->used_ids[i]);
	pages->used_count = 0;
}

void
bkp_s3_pages_close(struct bkp_s3_pages *pages)
{
	bkp_s3_entries_free(&pages->page);
	forget_used(pages);
	free(pages->used_ids);
	free(pages->bucket);
	free(pages->prefix);
	free(pages->last_key);
	free(pages->last_id);
	free(pages->key_marker);
	free(pages->id_marker);
	free(pages->next_key);
	free(pages->next_id);
	memset(pages, 0, sizeof(*pages));
}

int
bkp_s3_pages_open(struct bkp_s3_pages *pages,
    struct bkp_s3_connection *connection, const struct bkp_s3_pages_kind *kind,
    const char *bucket, const char *prefix, struct bkp_error *err)
{
	memset(pages, 0, sizeof(*pages));
	pages->connection = connection;
	pages->kind = kind;
	pages->asks_prefix = true;
	pages->bucket = bkp_strdup(bucket, err);
	pages->prefix = bkp_strdup(prefix != NULL ? prefix : "", err);
	if (pages->bucket != NULL && pages->prefix != NULL)
		return 0;
	bkp_s3_pages_close(pages);
	return -1;
}

static int
broken(
    const struct bkp_s3_pages *pages, struct bkp_error *err, const char *what)
{
	return bkp_s3_listing_broken(pages->bucket, err, what);
}

/* ---- one page ---- */

static int
take_marker(struct bkp_s3_pages *pages, const char *name, const char *text,
    size_t len, struct bkp_error *err)
{
	if (strcmp(name, "IsTruncated") == 0) {
		pages->has_truncated = true;
		pages->is_truncated = strcmp(text, "true") == 0;
		if (!pages->is_truncated && strcmp(text, "false") != 0)
			return broken(pages, err,
			    "IsTruncated is neither true nor false");
	} else if (strcmp(name, "EncodingType") == 0) {
		pages->is_encoded = strcmp(text, "url") == 0;
	} else if (strcmp(name, "NextKeyMarker") == 0) {
		return bkp_s3_set_text(&pages->next_key, text, len, err);
	} else if (strcmp(name, pages->kind->next_id) == 0) {
		return bkp_s3_set_text(&pages->next_id, text, len, err);
	}
	return 0;
}

static int
take_element(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	struct bkp_s3_pages *pages = arg;
	const struct bkp_s3_pages_kind *kind = pages->kind;

	if (strncmp(path, kind->root, strlen(kind->root)) != 0)
		return 0;
	path += strlen(kind->root);
	for (size_t i = 0; kind->elements[i].name != NULL; i++) {
		const char *name = kind->elements[i].name;
		size_t name_len = strlen(name);

		if (strcmp(path, name) == 0)
			return bkp_s3_entries_end(&pages->page, pages->bucket,
			    kind->elements[i].kind, err);
		if (strncmp(path, name, name_len) == 0 && path[name_len] == '/')
			return bkp_s3_entries_take(&pages->page, pages->bucket,
			    path + name_len + 1, text, len, err);
	}
	return take_marker(pages, path, text, len, err);
}

/* MinIO puts "[minio_cache:...]" behind the key in its markers, which is sent
 * back as it came and is no part of the order. */
static size_t
marked_len(const char *marker)
{
	const char *cache = strstr(marker, "[minio_cache:");

	return cache != NULL ? (size_t)(cache - marker) : strlen(marker);
}

static int
compare_markers(const char *a, const char *b)
{
	size_t a_len = marked_len(a), b_len = marked_len(b);
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	if (order == 0 && a_len != b_len)
		order = a_len < b_len ? -1 : 1;
	return order;
}

/* The markers of the next page must not be any that were used before, or the
 * listing would never end. */
static int
check_markers(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	int order;

	if (pages->next_key == NULL || pages->next_key[0] == '\0')
		return broken(pages, err, "there is more, but no marker");
	if (pages->key_marker == NULL)
		return 0;
	order = compare_markers(pages->key_marker, pages->next_key);
	if (order > 0)
		return broken(pages, err, "the server's marker goes back");
	if (order < 0)
		return 0;
	for (size_t i = 0; i < pages->used_count; i++)
		if (strcmp(pages->used_ids[i], pages->next_id) == 0)
			return broken(
			    pages, err, "the server repeats its marker");
	return 0;
}

static int
check_page(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	if (!pages->has_truncated)
		return broken(pages, err, "the answer has no IsTruncated");
	if (pages->next_id == NULL &&
	    bkp_s3_set_text(&pages->next_id, "", 0, err) < 0)
		return -1;
	if (pages->is_encoded &&
	    (bkp_s3_entries_decode(&pages->page, pages->bucket, err) < 0 ||
		(pages->next_key != NULL && bkp_s3_decode_key(&pages->next_key,
						pages->bucket, err) < 0)))
		return -1;
	if (pages->kind->check != NULL && pages->kind->check(pages, err) < 0)
		return -1;
	if (pages->is_truncated && check_markers(pages, err) < 0)
		return -1;
	pages->empty_pages =
	    pages->page.count == 0 ? pages->empty_pages + 1 : 0;
	if (pages->empty_pages > EMPTY_PAGES_MAX)
		return broken(pages, err, "page after page is empty");
	return 0;
}

static int
build_query(const struct bkp_s3_pages *pages, struct bkp_s3_fields *query,
    struct bkp_error *err)
{
	if (bkp_s3_fields_add(query, pages->kind->question, "", err) < 0 ||
	    bkp_s3_fields_add(query, "encoding-type", "url", err) < 0)
		return -1;
	if (pages->asks_prefix && pages->prefix[0] != '\0' &&
	    bkp_s3_fields_add(query, "prefix", pages->prefix, err) < 0)
		return -1;
	if (pages->key_marker != NULL &&
	    bkp_s3_fields_add(query, "key-marker", pages->key_marker, err) < 0)
		return -1;
	if (pages->id_marker != NULL && pages->id_marker[0] != '\0' &&
	    bkp_s3_fields_add(
		query, pages->kind->id_marker, pages->id_marker, err) < 0)
		return -1;
	if (pages->wants_metadata &&
	    bkp_s3_fields_add(query, "metadata", "true", err) < 0)
		return -1;
	return 0;
}

/* What the next page is compared with. */
static int
keep_last(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	const struct bkp_s3_entry *last;

	if (pages->page.count == 0)
		return 0;
	last = &pages->page.items[pages->page.count - 1];
	if (bkp_s3_set_text(
		&pages->last_key, last->key, strlen(last->key), err) < 0)
		return -1;
	return bkp_s3_set_text(
	    &pages->last_id, last->id, strlen(last->id), err);
}

static void
empty_page(struct bkp_s3_pages *pages)
{
	bkp_s3_entries_drop(&pages->page);
	pages->next = 0;
	pages->is_encoded = pages->has_truncated = false;
	pages->is_truncated = false;
	free(pages->next_key);
	free(pages->next_id);
	pages->next_key = pages->next_id = NULL;
}

static int
ask_page(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "GET", .bucket = pages->bucket, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = build_query(pages, &query, err);

	empty_page(pages);
	if (rc == 0)
		rc = bkp_s3_ask(pages->connection, &request, &response, err);
	if (rc == 0) {
		rc = bkp_s3_xml_read(response.body.data, response.body.len,
		    take_element, pages, err);
		if (rc == 0)
			rc = check_page(pages, err);
		else
			(void)bkp_fail_in(
			    err, "listing s3://%s", pages->bucket);
	}
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

/* Remembers the id that the next page goes on behind. */
static int
note_used(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	char *id;

	if (pages->key_marker == NULL || pages->next_key == NULL ||
	    compare_markers(pages->key_marker, pages->next_key) != 0)
		forget_used(pages);
	if (bkp_grow(&pages->used_ids, pages->used_count, &pages->used_cap,
		sizeof(*pages->used_ids), err) < 0 ||
	    (id = bkp_strdup(pages->next_id, err)) == NULL)
		return -1;
	pages->used_ids[pages->used_count++] = id;
	return 0;
}

static int
fetch_page(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = keep_last(pages, &why);

	pages->has_page = false;
	if (rc == 0)
		rc = ask_page(pages, &why);
	if (rc < 0 && pages->wants_metadata &&
	    bkp_s3_is_worth_asking_plainly((enum bkp_error_code)why.code)) {
		pages->wants_metadata = false;
		rc = ask_page(pages, &why);
	}
	if (rc == 0)
		rc = note_used(pages, &why);
	if (rc < 0) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	free(pages->key_marker);
	free(pages->id_marker);
	pages->key_marker = pages->next_key;
	pages->id_marker = pages->next_id;
	pages->next_key = pages->next_id = NULL;
	pages->has_page = true;
	return 0;
}

int
bkp_s3_pages_next(struct bkp_s3_pages *pages, const struct bkp_s3_entry **entry,
    struct bkp_error *err)
{
	while (pages->next == pages->page.count) {
		if (pages->has_page && !pages->is_truncated)
			return 0;
		if (fetch_page(pages, err) < 0)
			return -1;
	}
	*entry = &pages->page.items[pages->next++];
	return 1;
}
