/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as calls of libs3. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/libs3_impl.h"

/* Since 2015, calls that take no context take a session token, too. */
#ifdef LIBS3_TAKES_TOKENS
#define KEYS(bucket) (bucket)->accessKeyId, (bucket)->secretAccessKey, NULL
#else
#define KEYS(bucket) (bucket)->accessKeyId, (bucket)->secretAccessKey
#endif

/* ---- without a body ---- */

static const S3ResponseHandler plain = {
    bkp_s3_libs3_take_properties, bkp_s3_libs3_take_end};

static void
start_head(struct libs3_call *call, const S3BucketContext *bucket)
{
	S3_head_object(bucket, call->request->key,
	    call->connection->libs3->context, &plain, call);
}

static void
start_delete(struct libs3_call *call, const S3BucketContext *bucket)
{
	S3_delete_object(bucket, call->request->key,
	    call->connection->libs3->context, &plain, call);
}

static void
start_head_bucket(struct libs3_call *call, const S3BucketContext *bucket)
{
	S3_test_bucket(bucket->protocol, bucket->uriStyle, KEYS(bucket),
	    bucket->hostName, bucket->bucketName, (int)sizeof(call->message),
	    call->message, call->connection->libs3->context, &plain, call);
}

static void
start_create_bucket(struct libs3_call *call, const S3BucketContext *bucket)
{
	const char *region = call->connection->s3->credentials.region;

	if (strcmp(region, "us-east-1") == 0)
		region = NULL;
	S3_create_bucket(bucket->protocol, KEYS(bucket), bucket->hostName,
	    bucket->bucketName, S3CannedAclPrivate, region,
	    call->connection->libs3->context, &plain, call);
}

static void
start_delete_bucket(struct libs3_call *call, const S3BucketContext *bucket)
{
	S3_delete_bucket(bucket->protocol, bucket->uriStyle, KEYS(bucket),
	    bucket->hostName, bucket->bucketName,
	    call->connection->libs3->context, &plain, call);
}

/* ---- put ---- */

/* libs3 would send a body that ends early as it is, and wait. */
static int
give_bytes(int room, char *to, void *arg)
{
	struct libs3_call *call = arg;
	const struct bkp_s3_body *body = call->request->body;
	uint64_t left = body->size - call->sent;
	size_t len = (size_t)room, got;

	if (call->error.code != BKP_OK)
		return -1;
	if (len > left)
		len = (size_t)left;
	len = bkp_s3_piece(call->connection, len);
	got = len;
	if (body->data != NULL)
		memcpy(to, (const char *)body->data + call->sent, len);
	else if (body->read(body->arg, to, len, &got, &call->error) < 0)
		return -1;
	if (got == 0 && left > 0) {
		(void)bkp_fail(&call->error, BKP_IO,
		    "the bytes to send ended before their size was reached");
		return -1;
	}
	call->sent += got;
	bkp_s3_pay(call->connection, true, got);
	return (int)got;
}

static void
start_put(struct libs3_call *call, const S3BucketContext *bucket)
{
	static const S3PutObjectHandler handler = {
	    {bkp_s3_libs3_take_properties, bkp_s3_libs3_take_end}, give_bytes};

	S3_put_object(bucket, call->request->key, call->request->body->size,
	    &call->properties, call->connection->libs3->context, &handler,
	    call);
}

/* Whether an ETag, in its quotes, is the MD5 that the request had in base64. */
static bool
is_md5(const char *etag, const char *base64)
{
	unsigned char md5[18]; /* 24 characters of base64 */
	char hex[2 * 16 + 3] = "\"";

	if (strlen(base64) != 24 ||
	    EVP_DecodeBlock(md5, (const unsigned char *)base64, 24) != 18)
		return false;
	for (size_t i = 0; i < 16; i++)
		(void)snprintf(hex + 1 + 2 * i, 3, "%02x", md5[i]);
	(void)snprintf(hex + 33, 2, "\"");
	return strcmp(etag, hex) == 0;
}

static bool
has_arrived(const struct libs3_call *call)
{
	const char *etag = bkp_s3_fields_get(&call->response->headers, "etag");
	const char *md5 = call->properties.md5;

	return call->announced == call->request->body->size && etag != NULL &&
	       (md5 == NULL || is_md5(etag, md5));
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* The first header that was sent and is not there afterwards, or NULL. Servers
 * give other bytes than ASCII back in other forms. */
static const char *
find_lost(const struct libs3_call *call)
{
	const S3PutProperties *sent = &call->properties;
	const struct bkp_s3_fields *there = &call->response->headers;
	const char *type = bkp_s3_fields_get(there, "content-type");
	char name[LIBS3_META_NAME_MAX];

	if (sent->contentType != NULL && type != NULL &&
	    strcmp(type, sent->contentType) != 0)
		return "content-type";
	for (int i = 0; i < sent->metaDataCount; i++) {
		const char *value;

		(void)snprintf(name, sizeof(name), "x-amz-meta-%s",
		    sent->metaData[i].name);
		value = bkp_s3_fields_get(there, name);
		if (is_ascii(sent->metaData[i].value) &&
		    (value == NULL ||
			strcmp(value, sent->metaData[i].value) != 0))
			return sent->metaData[i].name;
	}
	return NULL;
}

/* What libs3 or the server made something else of must not pass for whole. */
static enum bkp_s3_end
compare_headers(struct libs3_call *call, struct bkp_error *err)
{
	const char *lost = find_lost(call);

	if (lost == NULL)
		return BKP_S3_DONE;
	(void)bkp_fail(err, BKP_UNSUPPORTED,
	    "the header or metadata \"%s\" is not on the server as it was "
	    "sent by libs3, which signs with version 2",
	    lost);
	if (err != NULL)
		err->sys = 400;
	(void)bkp_s3_fail_request(call->request, err);
	return BKP_S3_FAILED;
}

/* libs3 looks for the answer's status when it begins to send, so it never sees
 * one, and takes every answer without a document for success: what is there
 * now has to say. */
static enum bkp_s3_end
verify_put(struct libs3_call *call, struct bkp_error *err)
{
	enum bkp_s3_end end;

	bkp_s3_fields_free(&call->response->headers);
	end = bkp_s3_libs3_call(call, start_head, err);
	if (end == BKP_S3_DONE ? !has_arrived(call)
			       : call->status == S3StatusHttpErrorNotFound)
		end = bkp_s3_judge_transport(call->connection, call->request,
		    CURLE_SEND_ERROR,
		    "what was sent is not what is there afterwards", err);
	return end == BKP_S3_DONE ? compare_headers(call, err) : end;
}

static enum bkp_s3_end
put(struct libs3_call *call, struct bkp_error *err)
{
	const struct bkp_s3_body *body = call->request->body;
	enum bkp_s3_end end = BKP_S3_FAILED;

	if (bkp_s3_libs3_put_headers(call, err) == 0 &&
	    (body->data != NULL || body->rewind == NULL ||
		body->rewind(body->arg, err) == 0))
		end = bkp_s3_libs3_call(call, start_put, err);
	if (end == BKP_S3_DONE)
		end = verify_put(call, err);
	free(call->filename);
	call->filename = NULL;
	return end;
}

/* As verify_put. */
static enum bkp_s3_end
create_bucket(struct libs3_call *call, struct bkp_error *err)
{
	enum bkp_s3_end end = bkp_s3_libs3_call(call, start_create_bucket, err);

	if (end != BKP_S3_DONE)
		return end;
	end = bkp_s3_libs3_call(call, start_head_bucket, err);
	if (end != BKP_S3_DONE &&
	    (call->status == S3StatusErrorNoSuchBucket ||
		call->status == S3StatusHttpErrorNotFound))
		end = bkp_s3_judge_transport(call->connection, call->request,
		    CURLE_SEND_ERROR, "the bucket is not there afterwards",
		    err);
	return end;
}

/* ---- get ---- */

/* libs3 does not tell whether a server gave the range or ignored it, which the
 * length does where the object's size is known. */
static int
check_range(struct libs3_call *call)
{
	struct bkp_s3_libs3 *libs3 = call->connection->libs3;
	uint64_t expected = call->size - call->first;

	if (call->is_size_known) {
		if (call->len > 0 && expected > call->len)
			expected = call->len;
		if (call->announced == expected && expected != call->size)
			libs3->are_ranges_proven = true;
		if (call->announced == expected)
			return 0;
	} else if (call->len == 0 || call->announced <= call->len) {
		return 0;
	}
	(void)bkp_fail(&call->error, BKP_CORRUPT,
	    "the server did not give the range that it was asked for");
	return bkp_s3_fail_request(call->request, &call->error);
}

/* The header that such an answer has, and libs3 does not show. */
static int
add_range(struct libs3_call *call)
{
	char text[64];

	if (!call->is_range)
		return 0;
	if (check_range(call) < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "bytes %llu-%llu/*",
	    (unsigned long long)call->first,
	    (unsigned long long)(call->first + call->announced - 1));
	return bkp_s3_fields_add(
	    &call->response->headers, "content-range", text, &call->error);
}

static S3Status
take_begin(const S3ResponseProperties *properties, void *arg)
{
	struct libs3_call *call = arg;
	const struct bkp_s3_request *request = call->request;
	S3Status status = bkp_s3_libs3_take_properties(properties, call);

	if (status != S3StatusOK)
		return status;
	if (add_range(call) < 0)
		return S3StatusAbortedByCallback;
	if (request->begin != NULL &&
	    request->begin(
		request->arg, &call->response->headers, &call->error) < 0)
		return S3StatusAbortedByCallback;
	return S3StatusOK;
}

static S3Status
take_bytes(int len, const char *data, void *arg)
{
	struct libs3_call *call = arg;
	const struct bkp_s3_request *request = call->request;

	if (call->error.code != BKP_OK)
		return S3StatusAbortedByCallback;
	if (call->announced == 0) {
		(void)bkp_fail(&call->error, BKP_UNSUPPORTED,
		    "the answer does not say how long it is, and libs3 takes "
		    "what broke off for whole");
		call->error.sys = 400;
		(void)bkp_s3_fail_request(request, &call->error);
		return S3StatusAbortedByCallback;
	}
	call->received += (uint64_t)len;
	bkp_s3_pay(call->connection, false, (size_t)len);
	if (request->write(request->arg, data, (size_t)len, &call->error) < 0)
		return S3StatusAbortedByCallback;
	return S3StatusOK;
}

static void
start_get(struct libs3_call *call, const S3BucketContext *bucket)
{
	static const S3GetObjectHandler handler = {
	    {take_begin, bkp_s3_libs3_take_end}, take_bytes};

	S3_get_object(bucket, call->request->key, &call->conditions,
	    call->first, call->len, call->connection->libs3->context, &handler,
	    call);
}

/* Learns the size of an object of which a part is wanted. */
static enum bkp_s3_end
find_size(struct libs3_call *call, struct bkp_error *err)
{
	enum bkp_s3_end end = bkp_s3_libs3_call(call, start_head, err);

	bkp_s3_fields_free(&call->response->headers);
	call->is_size_known = end == BKP_S3_DONE;
	call->size = call->announced;
	return end;
}

static enum bkp_s3_end
get(struct libs3_call *call, struct bkp_error *err)
{
	enum bkp_s3_end end = BKP_S3_DONE;

	if (bkp_s3_libs3_get_headers(call, err) < 0)
		return BKP_S3_FAILED;
	if (call->is_range && !call->connection->libs3->are_ranges_proven)
		end = find_size(call, err);
	if (end == BKP_S3_DONE)
		end = bkp_s3_libs3_call(call, start_get, err);
	/* libs3 takes an answer that broke off for whole. */
	if (end == BKP_S3_DONE && call->received != call->announced)
		end = bkp_s3_judge_transport(call->connection, call->request,
		    CURLE_PARTIAL_FILE, "", err);
	return end;
}

/* ---- any ---- */

static bool
is_method(const struct libs3_call *call, const char *method)
{
	return strcmp(call->request->method, method) == 0;
}

static enum bkp_s3_end
make(struct libs3_call *call, struct bkp_error *err)
{
	bool has_key = call->request->key != NULL;

	if (is_method(call, "HEAD"))
		return bkp_s3_libs3_call(
		    call, has_key ? start_head : start_head_bucket, err);
	if (is_method(call, "DELETE"))
		return bkp_s3_libs3_call(
		    call, has_key ? start_delete : start_delete_bucket, err);
	if (is_method(call, "GET") && has_key && call->request->write != NULL)
		return get(call, err);
	if (bkp_s3_libs3_is_listing(call->request))
		return bkp_s3_libs3_list(call, err);
	if (is_method(call, "PUT") && has_key && call->request->body != NULL)
		return put(call, err);
	if (is_method(call, "PUT") && !has_key)
		return create_bucket(call, err);
	(void)bkp_fail(err, BKP_UNSUPPORTED,
	    "libs3, which signs with version 2, knows no such request");
	(void)bkp_s3_fail_request(call->request, err);
	return BKP_S3_FAILED;
}

enum bkp_s3_end
bkp_s3_libs3_try(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err)
{
	struct libs3_call call = {.connection = connection,
	    .request = request,
	    .response = response,
	    .error = BKP_ERROR_INIT};
	enum bkp_s3_end end;

	if (bkp_cancel_is_requested(connection->cancel)) {
		(void)bkp_fail(err, BKP_CANCELLED, "stopped on request");
		return BKP_S3_FAILED;
	}
	if (bkp_s3_libs3_limit(request, err) < 0)
		return BKP_S3_FAILED;
	end = make(&call, err);
	if (end == BKP_S3_DONE && response->status == 0)
		response->status = 200;
	return end;
}
