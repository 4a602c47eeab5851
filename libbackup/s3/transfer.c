/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/rate.h"
#include "libbackup/s3/libs3.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

/* An answer that is kept (a page of a listing) may not be longer. */
#define KEPT_MAX (64u << 20)
#define HEADERS_MAX 1024
#define EMPTY_SHA256                                                           \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct bkp_s3_fields no_fields = BKP_S3_FIELDS_INIT;

/* One try under way: what the callbacks of libcurl see. */
struct transfer {
	struct bkp_s3_connection *connection;
	const struct bkp_s3_request *request;
	struct bkp_s3_response *response;
	struct bkp_error error; /* of our own side; code BKP_OK: none */
	uint64_t sent, received;
	bool has_begun;
};

void
bkp_s3_pay(
    const struct bkp_s3_connection *connection, bool is_upload, size_t len)
{
	struct bkp_limits *limits = connection->s3->limits;

	if (limits != NULL)
		bkp_rate_wait(is_upload ? &limits->upload : &limits->download,
		    len, connection->cancel);
}

size_t
bkp_s3_piece(const struct bkp_s3_connection *connection, size_t len)
{
	const struct bkp_limits *limits = connection->s3->limits;

	return limits == NULL || limits->upload.per_second == 0 ||
		       len < BKP_RATE_PIECE
		   ? len
		   : BKP_RATE_PIECE;
}

unsigned
bkp_s3_patience_s(const struct bkp_s3 *s3)
{
	bool is_first = s3->first_s > 0 && s3->first_s < s3->stall_s &&
			!atomic_load(&s3->has_answered);

	return is_first ? s3->first_s : s3->stall_s;
}

/* ---- callbacks ---- */

/* What is not read might be an object's metadata. */
static int
fail_headers(struct transfer *transfer)
{
	(void)bkp_fail(&transfer->error, BKP_UNSUPPORTED,
	    "the answer has more than %d headers", HEADERS_MAX);
	transfer->error.sys = 400;
	return bkp_s3_fail_request(transfer->request, &transfer->error);
}

static size_t
on_header(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	struct bkp_s3_fields *headers = &transfer->response->headers;
	size_t len = size * count, name_len = 0, begin;
	char *name;

	/* A new status line ("100 Continue" comes first): start again. */
	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
		bkp_s3_fields_free(headers);
		return len;
	}
	while (name_len < len && data[name_len] != ':')
		name_len++;
	if (name_len == len)
		return len;
	if (headers->count == HEADERS_MAX) {
		(void)fail_headers(transfer);
		return 0;
	}
	begin = name_len + 1;
	while (begin < len && isspace((unsigned char)data[begin]))
		begin++;
	while (len > begin && isspace((unsigned char)data[len - 1]))
		len--;
	if (bkp_s3_fields_add_len(headers, data, name_len, data + begin,
		len - begin, &transfer->error) < 0)
		return 0;
	name = headers->items[headers->count - 1].name;
	for (; *name != '\0'; name++)
		*name = (char)tolower((unsigned char)*name);
	return size * count;
}

/* True where the body is what was asked for, not an error document. */
static bool
is_good(const struct transfer *transfer)
{
	long status = 0;

	(void)curl_easy_getinfo(
	    transfer->connection->curl, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status < 300;
}

static int
begin_answer(struct transfer *transfer)
{
	const struct bkp_s3_request *request = transfer->request;

	if (transfer->has_begun)
		return 0;
	transfer->has_begun = true;
	if (request->begin == NULL)
		return 0;
	return request->begin(
	    request->arg, &transfer->response->headers, &transfer->error);
}

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	const struct bkp_s3_request *request = transfer->request;
	struct fmt_buf *kept = &transfer->response->body;
	size_t len = size * count;

	transfer->received += len;
	bkp_s3_pay(transfer->connection, false, len);
	if (is_good(transfer) && request->write != NULL) {
		if (begin_answer(transfer) < 0 ||
		    request->write(request->arg, data, len, &transfer->error) <
			0)
			return 0;
		return len;
	}
	if (kept->len + len > KEPT_MAX) {
		(void)bkp_fail(&transfer->error, BKP_CORRUPT,
		    "the answer is longer than any answer should be");
		return 0;
	}
	if (fmt_buf_append(kept, data, len) != FMT_OK) {
		(void)bkp_fail_nomem(&transfer->error, "reading an answer");
		return 0;
	}
	return len;
}

static size_t
on_read(char *to, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	const struct bkp_s3_body *body = transfer->request->body;
	uint64_t left = body->size - transfer->sent;
	size_t len = size * count, got = 0;

	if (len > left)
		len = (size_t)left;
	len = bkp_s3_piece(transfer->connection, len);
	if (body->data != NULL) {
		memcpy(to, (const char *)body->data + transfer->sent, len);
		got = len;
	} else if (len > 0 &&
		   body->read(body->arg, to, len, &got, &transfer->error) < 0) {
		return CURL_READFUNC_ABORT;
	}
	transfer->sent += got;
	bkp_s3_pay(transfer->connection, true, got);
	return got;
}

static int
rewind_body(struct transfer *transfer)
{
	const struct bkp_s3_body *body = transfer->request->body;

	transfer->sent = 0;
	if (body == NULL || body->data != NULL || body->rewind == NULL)
		return 0;
	return body->rewind(body->arg, &transfer->error);
}

/* libcurl starts a body again where a kept connection turned out dead. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *transfer = arg;

	if (offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	return rewind_body(transfer) < 0 ? CURL_SEEKFUNC_FAIL
					 : CURL_SEEKFUNC_OK;
}

static int
on_progress(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal,
    curl_off_t ulnow)
{
	struct transfer *transfer = arg;

	(void)dltotal;
	(void)dlnow;
	(void)ultotal;
	(void)ulnow;
	if (!bkp_cancel_is_requested(transfer->connection->cancel))
		return 0;
	(void)bkp_fail(&transfer->error, BKP_CANCELLED, "stopped on request");
	return 1;
}

/* ---- the request as sent ---- */

static int
build_url(const struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, const struct fmt_buf *host,
    const struct fmt_buf *path, struct fmt_buf *out, struct bkp_error *err)
{
	if (fmt_buf_append_text(out, connection->s3->scheme) != FMT_OK ||
	    fmt_buf_append(out, host->data, host->len) != FMT_OK ||
	    fmt_buf_append(out, path->data, path->len) != FMT_OK)
		return bkp_fail_nomem(err, "building a request");
	if (request->query != NULL && request->query->count > 0) {
		if (fmt_buf_append_byte(out, '?') != FMT_OK)
			return bkp_fail_nomem(err, "building a request");
		if (bkp_s3_encode_query(request->query, out, err) < 0)
			return -1;
	}
	if (fmt_buf_text(out) == NULL)
		return bkp_fail_nomem(err, "building a request");
	return 0;
}

/* The headers that every request has, then the caller's. */
static int
build_headers(const struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, const char *host,
    const char *timestamp, struct bkp_s3_fields *out, struct bkp_error *err)
{
	const struct bkp_s3_fields *more =
	    request->headers != NULL ? request->headers : &no_fields;
	const char *token = connection->s3->credentials.session_token;

	if (bkp_s3_fields_add(out, "host", host, err) < 0 ||
	    bkp_s3_fields_add(out, "x-amz-content-sha256",
		request->sha256 != NULL ? request->sha256 : EMPTY_SHA256,
		err) < 0 ||
	    bkp_s3_fields_add(out, "x-amz-date", timestamp, err) < 0)
		return -1;
	if (token != NULL &&
	    bkp_s3_fields_add(out, "x-amz-security-token", token, err) < 0)
		return -1;
	for (size_t i = 0; i < more->count; i++)
		if (bkp_s3_fields_add(out, more->items[i].name,
			more->items[i].value, err) < 0)
			return -1;
	return 0;
}

static int
add_line(struct curl_slist **list, const struct bkp_s3_field *header,
    struct bkp_error *err)
{
	struct curl_slist *longer;
	char *line;

	if (strpbrk(header->value, "\r\n") != NULL)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "the value of \"%s\" holds a line break, which no HTTP "
		    "header can",
		    header->name);
	/* libcurl's way to say a header without a value is "name;". */
	line = header->value[0] != '\0'
		   ? bkp_format(err, "%s: %s", header->name, header->value)
		   : bkp_format(err, "%s;", header->name);
	if (line == NULL)
		return -1;
	longer = curl_slist_append(*list, line);
	OPENSSL_cleanse(line, strlen(line));
	free(line);
	if (longer == NULL)
		return bkp_fail_nomem(err, "building a request");
	*list = longer;
	return 0;
}

static int
add_lines(struct curl_slist **list, const struct bkp_s3_fields *headers,
    const char *authorization, struct bkp_error *err)
{
	/* No Content-Type that nobody gave; no Transfer-Encoding. */
	static const char *const unwanted[] = {
	    "Transfer-Encoding:", "Accept:", "Content-Type:"};
	bool has_type = bkp_s3_fields_get(headers, "content-type") != NULL;

	for (size_t i = 0; i < headers->count; i++)
		if (add_line(list, &headers->items[i], err) < 0)
			return -1;
	for (size_t i = 0; i < (has_type ? 2 : 3); i++) {
		struct curl_slist *longer =
		    curl_slist_append(*list, unwanted[i]);

		if (longer == NULL)
			return bkp_fail_nomem(err, "building a request");
		*list = longer;
	}
	{
		struct curl_slist *longer =
		    curl_slist_append(*list, authorization);

		if (longer == NULL)
			return bkp_fail_nomem(err, "building a request");
		*list = longer;
	}
	return 0;
}

/* Signs, and gives libcurl's list and URL. */
static int
build(const struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct curl_slist **list,
    struct fmt_buf *url, struct bkp_error *err)
{
	const struct bkp_s3 *s3 = connection->s3;
	const struct bkp_s3_signer signer = {s3->credentials.access_key,
	    s3->credentials.secret_key, s3->credentials.region, "s3"};
	struct fmt_buf path = FMT_BUF_INIT, host = FMT_BUF_INIT;
	struct fmt_buf authorization = FMT_BUF_INIT;
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_signable signable;
	char timestamp[BKP_S3_TIMESTAMP];
	int rc = -1;

	bkp_s3_timestamp(
	    (int64_t)time(NULL) + atomic_load(&s3->clock_offset), timestamp);
	if (bkp_s3_path(connection->s3, request->bucket, request->key, &path,
		err) < 0 ||
	    bkp_s3_host(connection->s3, request->bucket, &host, err) < 0 ||
	    build_url(connection, request, &host, &path, url, err) < 0 ||
	    build_headers(connection, request, (const char *)host.data,
		timestamp, &headers, err) < 0)
		goto out;
	signable = (struct bkp_s3_signable){request->method,
	    (const char *)path.data, request->query, &headers,
	    request->sha256 != NULL ? request->sha256 : EMPTY_SHA256};
	if (fmt_buf_append_text(&authorization, "Authorization: ") != FMT_OK) {
		(void)bkp_fail_nomem(err, "building a request");
		goto out;
	}
	if (bkp_s3_authorize(
		&signer, &signable, timestamp, &authorization, err) < 0)
		goto out;
	if (fmt_buf_text(&authorization) == NULL) {
		(void)bkp_fail_nomem(err, "building a request");
		goto out;
	}
	rc = add_lines(list, &headers, (const char *)authorization.data, err);
out:
	fmt_buf_free(&path);
	fmt_buf_free(&host);
	fmt_buf_free(&authorization);
	bkp_s3_fields_free(&headers);
	return rc;
}

/* ---- one try ---- */

static void
set_method(CURL *curl, const struct bkp_s3_request *request)
{
	if (strcmp(request->method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	if (request->body != NULL) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE,
		    (curl_off_t)request->body->size);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* curl_easy_reset keeps the open connections, the session and DNS caches. */
static void
set_options(struct transfer *transfer, const struct fmt_buf *url,
    struct curl_slist *list, char *detail)
{
	const struct bkp_s3 *s3 = transfer->connection->s3;
	CURL *curl = transfer->connection->curl;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, (const char *)url->data);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(
	    curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "libbackup");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)s3->connect_ms);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(
	    curl, CURLOPT_LOW_SPEED_TIME, (long)bkp_s3_patience_s(s3));
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L * 1024);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
	if (s3->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, s3->ca_file);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(curl, CURLOPT_READDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(curl, CURLOPT_SEEKDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	set_method(curl, transfer->request);
}

/* libcurl compares the length of a body with Content-Length; this holds it to
 * that also where a proxy or a version of it would not. */
static bool
is_short(const struct transfer *transfer)
{
	const char *text =
	    bkp_s3_fields_get(&transfer->response->headers, "content-length");

	return text != NULL && strcmp(transfer->request->method, "HEAD") != 0 &&
	       transfer->response->status != 204 &&
	       strtoull(text, NULL, 10) != transfer->received;
}

static int
note_error(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	(void)text;
	(void)len;
	(void)err;
	if (strcmp(path, "Error/Code") == 0)
		*(bool *)arg = true;
	return 0;
}

/* What takes long is answered 200 before it is done (parts put together, a
 * copy, many deletions); its failure is in the body. */
static bool
is_hidden_error(const struct transfer *transfer)
{
	const struct fmt_buf *body = &transfer->response->body;
	bool is_error = false;

	if (transfer->request->write == NULL && body->len > 0 &&
	    memmem(body->data, body->len, "<Error", 6) != NULL)
		(void)bkp_s3_xml_read(
		    body->data, body->len, note_error, &is_error, NULL);
	return is_error;
}

static enum bkp_s3_end
judge_end(struct transfer *transfer, CURLcode code, const char *detail,
    struct bkp_error *err)
{
	struct bkp_s3_response *response = transfer->response;

	(void)curl_easy_getinfo(transfer->connection->curl,
	    CURLINFO_RESPONSE_CODE, &response->status);
	if (response->status != 0)
		atomic_store(&transfer->connection->s3->has_answered, true);
	response->is_timeout = code == CURLE_OPERATION_TIMEDOUT;
	/* A server may refuse before it has read a body, and hang up. */
	if (transfer->error.code == BKP_OK && code != CURLE_OK &&
	    response->status >= 400 && response->body.len > 0)
		code = CURLE_OK;
	else if (code == CURLE_OK && is_short(transfer))
		code = CURLE_PARTIAL_FILE;
	if (transfer->error.code == BKP_OK && code == CURLE_OK &&
	    is_good(transfer) && !is_hidden_error(transfer)) {
		(void)begin_answer(transfer);
		if (transfer->error.code == BKP_OK)
			return BKP_S3_DONE;
	}
	if (transfer->error.code != BKP_OK) {
		if (err != NULL)
			*err = transfer->error;
		return BKP_S3_FAILED;
	}
	if (code != CURLE_OK)
		return bkp_s3_judge_transport(
		    transfer->connection, transfer->request, code, detail, err);
	return bkp_s3_judge(transfer->request, response, err);
}

static enum bkp_s3_end
try_by_curl(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err)
{
	struct transfer transfer = {.connection = connection,
	    .request = request,
	    .response = response,
	    .error = BKP_ERROR_INIT};
	char detail[CURL_ERROR_SIZE] = "";
	struct fmt_buf url = FMT_BUF_INIT;
	struct curl_slist *list = NULL;
	enum bkp_s3_end end = BKP_S3_FAILED;

	if (bkp_cancel_is_requested(connection->cancel)) {
		(void)bkp_fail(err, BKP_CANCELLED, "stopped on request");
		goto out;
	}
	if (rewind_body(&transfer) < 0) {
		if (err != NULL)
			*err = transfer.error;
		goto out;
	}
	if (build(connection, request, &list, &url, err) < 0)
		goto out;
	set_options(&transfer, &url, list, detail);
	end = judge_end(
	    &transfer, curl_easy_perform(connection->curl), detail, err);
	/* The handle must not keep pointers into this frame. */
	curl_easy_reset(connection->curl);
out:
	curl_slist_free_all(list);
	fmt_buf_free(&url);
	return end;
}

/* What an end says about the server's load. */
static enum bkp_s3_load
load_of(enum bkp_s3_end end, const struct bkp_s3_response *response)
{
	if (end == BKP_S3_DONE)
		return BKP_S3_LOAD_GOOD;
	if (end == BKP_S3_AGAIN &&
	    (response->is_timeout || response->status == 503 ||
		response->status == 429 || response->status == 408))
		return BKP_S3_LOAD_TOO_MUCH;
	return BKP_S3_LOAD_UNKNOWN;
}

enum bkp_s3_end
bkp_s3_try(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err)
{
	struct bkp_s3_limiter *limiter = &connection->s3->limiter;
	enum bkp_s3_end end;
	uint64_t ticket;

	bkp_s3_response_free(response);
	bkp_s3_limiter_enter(limiter, connection->cancel, &ticket);
	end = connection->libs3 != NULL
		  ? bkp_s3_libs3_try(connection, request, response, err)
		  : try_by_curl(connection, request, response, err);
	if (end == BKP_S3_DONE || response->status != 0)
		atomic_store(&connection->s3->has_answered, true);
	bkp_s3_limiter_leave(limiter, ticket, load_of(end, response));
	return end;
}
