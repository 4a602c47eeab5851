/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server of S3 answers: listings, versions, tags, deletions, uploads,
 * locks, errors, headers. The first byte says what is asked; the rest are the
 * answers, each up to a NUL: lines of headers ("status: 404" is the first), an
 * empty line, the body. No connection is made: the one call that would is
 * replaced here.
 */
#include <string.h>
#include <strings.h>

#include "libbackup/s3/request.h"
#include "libbackup/s3/s3.h"
#include "tests/fuzz/fuzz.h"

enum bkp_s3_end __wrap_bkp_s3_try(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err);

/* What is left of the answers; `at` is NULL at their end. */
static struct {
	const char *at, *end;
} answers;

/* ---- the server ---- */

static const char *
end_of(const char *at, const char *end, int c)
{
	const char *found = memchr(at, c, (size_t)(end - at));

	return found != NULL ? found : end;
}

/* Reads header lines; answers where the body begins. */
static const char *
take_headers(const char *at, const char *end, struct bkp_s3_response *response)
{
	while (at < end && *at != '<') {
		const char *stop = end_of(at, end, '\n');
		const char *colon = end_of(at, stop, ':');
		const char *value = colon < stop ? colon + 1 : stop;

		if (at == stop)
			return at + 1;
		while (value < stop && *value == ' ')
			value++;
		/* Waiting finds nothing. */
		if ((colon - at) == 11 &&
		    strncasecmp(at, "retry-after", 11) == 0)
			value = stop;
		require(bkp_s3_fields_add_len(&response->headers, at,
			    (size_t)(colon - at), value, (size_t)(stop - value),
			    NULL) == 0);
		at = stop < end ? stop + 1 : end;
	}
	return at;
}

static void
take_status(struct bkp_s3_response *response)
{
	const char *status = bkp_s3_fields_get(&response->headers, "status");

	response->status = 200;
	if (status != NULL)
		response->status = (long)(strtoul(status, NULL, 10) % 1000);
}

static enum bkp_s3_end
give_body(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request,
    const struct bkp_s3_response *response, struct bkp_error *err)
{
	if (request->write == NULL)
		return BKP_S3_DONE;
	if ((request->begin != NULL &&
		request->begin(request->arg, &response->headers, err) < 0) ||
	    request->write(
		request->arg, response->body.data, response->body.len, err) < 0)
		return BKP_S3_FAILED;
	/* The connection dies at the end of every answer. */
	return bkp_s3_judge_transport(
	    connection, request, CURLE_PARTIAL_FILE, "", err);
}

enum bkp_s3_end
__wrap_bkp_s3_try(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err)
{
	const char *at = answers.at, *end;

	bkp_s3_response_free(response);
	if (at == NULL)
		return bkp_s3_judge_transport(
		    connection, request, CURLE_COULDNT_CONNECT, "", err);
	end = end_of(at, answers.end, '\0');
	answers.at = end < answers.end ? end + 1 : NULL;
	at = take_headers(at, end, response);
	require(
	    fmt_buf_append(&response->body, at, (size_t)(end - at)) == FMT_OK);
	take_status(response);
	if (response->status >= 200 && response->status < 300)
		return give_body(connection, request, response, err);
	return bkp_s3_judge(request, response, err);
}

/* ---- what is asked ---- */

static int
take_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	size_t *sum = arg;

	(void)data;
	(void)err;
	*sum += len;
	return 0;
}

static int
ask_listing(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	struct bkp_s3_listing *listing = NULL;
	struct bkp_s3_object object;
	char before[4096] = "";
	int rc;

	require(bkp_s3_list_open(connection, "b", NULL, &listing, err) == 0);
	bkp_s3_list_ask_metadata(listing);
	while ((rc = bkp_s3_list_next(listing, &object, err)) > 0) {
		require(object.key[0] != '\0' && object.etag != NULL);
		require(object.last_modified != NULL &&
			object.storage_class != NULL);
		if (strlen(object.key) >= sizeof(before))
			continue;
		require(strcmp(before, object.key) < 0);
		memcpy(before, object.key, strlen(object.key) + 1);
	}
	bkp_s3_list_close(listing);
	return rc;
}

static int
ask_tags(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	struct bkp_s3_fields tags = BKP_S3_FIELDS_INIT;
	int rc = bkp_s3_get_tags(connection, "b", "k", &tags, err);

	if (rc == 0) {
		struct fmt_buf query = FMT_BUF_INIT;

		require(bkp_s3_encode_query(&tags, &query, err) == 0);
		fmt_buf_free(&query);
		rc = bkp_s3_put_tags(connection, "b", "k", &tags, err);
	}
	bkp_s3_fields_free(&tags);
	return rc;
}

static int
ask_deletion(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	char first[] = "a&<", second[] = "b\n";
	char *keys[] = {first, second};

	return bkp_s3_delete_many(connection, "b", keys, 2, err);
}

static int
ask_versions(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	struct bkp_s3_versions *listing = NULL;
	struct bkp_s3_version version;
	char before[4096] = "";
	int rc;

	require(
	    bkp_s3_versions_open(connection, "b", NULL, &listing, err) == 0);
	bkp_s3_versions_ask_metadata(listing);
	while ((rc = bkp_s3_versions_next(listing, &version, err)) > 0) {
		require(
		    version.key[0] != '\0' && version.version_id[0] != '\0');
		require(version.etag != NULL && version.last_modified != NULL &&
			version.storage_class != NULL);
		if (strlen(version.key) >= sizeof(before))
			break;
		require(strcmp(before, version.key) <= 0);
		memcpy(before, version.key, strlen(version.key) + 1);
	}
	bkp_s3_versions_close(listing);
	return rc > 0 ? 0 : rc;
}

static int
ask_leftovers(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	struct bkp_s3_uploads *listing = NULL;
	struct bkp_s3_leftover leftover;
	int rc;

	require(bkp_s3_uploads_open(connection, "b", "a", &listing, err) == 0);
	while ((rc = bkp_s3_uploads_next(listing, &leftover, err)) > 0)
		require(leftover.key[0] == 'a' &&
			leftover.upload_id[0] != '\0' &&
			leftover.begun != NULL);
	bkp_s3_uploads_close(listing);
	return rc;
}

static int
take_kept(void *arg, const char *key, const char *version_id,
    const struct bkp_error *why, struct bkp_error *err)
{
	(void)arg;
	(void)version_id;
	(void)err;
	require(key != NULL && why->code != BKP_OK && why->message[0] != '\0');
	return 0;
}

static int
ask_doom(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	static const struct bkp_s3_doomed doomed[] = {
	    {"a&<", "1"}, {"b", NULL}};

	return bkp_s3_delete_versions(connection, "b", doomed, 2,
	    connection->random % 2 ? take_kept : NULL, NULL, err);
}

static int
ask_lock(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_lock_rule rule;
	struct bkp_s3_lock lock;
	int rc = bkp_s3_get_lock_rule(connection, "b", &rule, err);

	if (rc == 0)
		rc = bkp_s3_head_version(
		    connection, "b", "k", "v", 0, &headers, err);
	if (rc == 0)
		rc = bkp_s3_read_lock(&headers, &lock, err);
	bkp_s3_fields_free(&headers);
	return rc;
}

static int
ask_upload(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	static const struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_body body = {.data = "part", .size = 4};
	struct bkp_s3_upload *upload = NULL;
	struct fmt_buf etag = FMT_BUF_INIT;
	int rc =
	    bkp_s3_upload_begin(connection, "b", "k", &headers, &upload, err);

	if (rc < 0)
		return -1;
	rc = bkp_s3_upload_part(upload, &body, err);
	if (rc == 0)
		rc = bkp_s3_upload_complete(upload, &etag, err);
	bkp_s3_upload_end(upload);
	fmt_buf_free(&etag);
	return rc;
}

static int
ask_object(struct bkp_s3_connection *connection, struct bkp_error *err)
{
	struct bkp_s3_get_options options = {.write = take_bytes};
	enum bkp_s3_versioning versioning;
	size_t sum = 0;

	options.arg = &sum;
	options.len = connection->random % 2;
	if (bkp_s3_get_versioning(connection, "b", &versioning, err) < 0)
		return -1;
	return bkp_s3_get(connection, "b", "k", &options, err);
}

typedef int ask_fn(struct bkp_s3_connection *connection, struct bkp_error *err);

static ask_fn *const asks[] = {ask_listing, ask_tags, ask_deletion, ask_upload,
    ask_object, ask_versions, ask_leftovers, ask_doom, ask_lock};

#define ASKS (sizeof(asks) / sizeof(*asks))

static void
try_answers(uint8_t which, const uint8_t *data, size_t size)
{
	static char endpoint[] = "http://localhost";
	struct bkp_s3 s3 = {.endpoint = endpoint, .tries = 3};
	struct bkp_s3_connection connection = {.s3 = &s3};
	struct bkp_error err = BKP_ERROR_INIT;

	connection.random = which / ASKS;
	answers.at = (const char *)data;
	answers.end = answers.at + size;
	if (asks[which % ASKS](&connection, &err) < 0)
		require(err.code != BKP_OK && err.message[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		try_answers(data[0], data + 1, size - 1);
	return 0;
}
