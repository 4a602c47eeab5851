/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings. libs3 hands out keys as it reads them and calls an answer that
 * broke off a whole one, so neither the end of an answer nor what it says about
 * more to come can be believed: keys are asked for behind the last one until
 * there are none, more than once. The pages are written down as the document
 * that other servers send, so that one reader judges all (list.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/libs3_impl.h"

/* Longer than any answer without keys, but for what it repeats. */
#define EMPTY_ANSWER_MAX 2048u

/* A character of a key in XML at its longest: "&quot;". */
#define ESCAPED_MAX 6u

/* So often nothing must come before it is the end. */
#define TIMES 2
#define TIMES_UNTOLD 5

/* libs3 encodes what it asks for into 3 * 1024 bytes, and writes a NUL
 * behind them. */
#define ASKED_MAX 1023u

/* The server's words again: libs3 read them as a time of this machine's zone,
 * which is undone here. Only the hour that a zone leaves out in spring may come
 * out as its neighbour. */
static int
add_date(struct fmt_buf *out, int64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm tm;

	if (seconds == -1 || localtime_r(&time, &tm) == NULL)
		return 0;
	return fmt_buf_printf(out,
		   "<LastModified>%04d-%02d-%02dT%02d:%02d:%02d.000Z"
		   "</LastModified>",
		   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		   tm.tm_min, tm.tm_sec) == FMT_OK
		   ? 0
		   : -1;
}

/* An ETag that XML would misread is left out, so refused by the reader. */
static int
add_etag(struct fmt_buf *out, const char *etag)
{
	if (strpbrk(etag, "<>&") != NULL || etag[0] == '\0')
		return 0;
	return fmt_buf_printf(out, "<ETag>%s</ETag>", etag) == FMT_OK ? 0 : -1;
}

static int
add_object(struct fmt_buf *out, const S3ListBucketContent *content)
{
	if (fmt_buf_append_text(out, "<Contents><Key>") != FMT_OK ||
	    bkp_s3_encode(content->key, true, out) != FMT_OK ||
	    fmt_buf_printf(out, "</Key><Size>%llu</Size>",
		(unsigned long long)content->size) != FMT_OK ||
	    add_etag(out, content->eTag) < 0 ||
	    add_date(out, content->lastModified) < 0 ||
	    fmt_buf_append_text(out, "</Contents>") != FMT_OK)
		return -1;
	return 0;
}

static int
keep_last(struct libs3_call *call, const char *key)
{
	fmt_buf_clear(call->last_key);
	if (fmt_buf_append_text(call->last_key, key) != FMT_OK)
		return -1;
	return fmt_buf_text(call->last_key) != NULL ? 0 : -1;
}

static S3Status
take_objects(int is_truncated, const char *next_marker, int count,
    const S3ListBucketContent *contents, int prefixes, const char **prefix,
    void *arg)
{
	struct libs3_call *call = arg;

	(void)is_truncated;
	(void)next_marker;
	(void)prefixes;
	(void)prefix;
	for (int i = 0; i < count && call->error.code == BKP_OK; i++) {
		if (bkp_s3_libs3_limit_listed(contents[i].key, &call->error) <
		    0)
			break;
		if (add_object(&call->response->body, &contents[i]) < 0 ||
		    keep_last(call, contents[i].key) < 0)
			(void)bkp_fail_nomem(&call->error, "reading a listing");
		call->keys++;
		call->received++;
	}
	return call->error.code == BKP_OK ? S3StatusOK
					  : S3StatusAbortedByCallback;
}

static void
start_list(struct libs3_call *call, const S3BucketContext *bucket)
{
	static const S3ListBucketHandler handler = {
	    {bkp_s3_libs3_take_properties, bkp_s3_libs3_take_end},
	    take_objects};

	S3_list_bucket(bucket, call->prefix, call->marker, NULL, 0,
	    call->connection->libs3->context, &handler, call);
}

/* An answer that is long and held no key broke off before the first. */
static bool
is_cut(const struct libs3_call *call)
{
	size_t repeated = 0;

	if (call->prefix != NULL)
		repeated += strlen(call->prefix);
	if (call->marker != NULL)
		repeated += strlen(call->marker);
	return call->keys == 0 &&
	       call->announced > EMPTY_ANSWER_MAX + ESCAPED_MAX * repeated;
}

/* libs3 finds no keys in what is no listing at all, and says nothing of it. */
static bool
is_xml(const struct libs3_call *call)
{
	const char *type =
	    bkp_s3_fields_get(&call->response->headers, "content-type");

	return type != NULL && strstr(type, "xml") != NULL;
}

/* Asks for what is behind the marker, and again if that is nothing: more often
 * where nothing tells how long the answer should have been. */
static enum bkp_s3_end
ask_page(struct libs3_call *call, struct bkp_error *err)
{
	enum bkp_s3_end end = BKP_S3_DONE;
	int times = TIMES;

	for (int i = 0; i < times && call->keys == 0; i++) {
		bkp_s3_fields_free(&call->response->headers);
		end = bkp_s3_libs3_call(call, start_list, err);
		if (end != BKP_S3_DONE)
			return end;
		if (call->keys == 0 && !is_xml(call)) {
			(void)bkp_fail(err, BKP_CORRUPT,
			    "the answer is no XML, and no listing to be "
			    "trusted");
			(void)bkp_s3_fail_request(call->request, err);
			return BKP_S3_FAILED;
		}
		if (call->announced == 0)
			times = TIMES_UNTOLD;
		if (is_cut(call))
			return bkp_s3_judge_transport(call->connection,
			    call->request, CURLE_PARTIAL_FILE,
			    "the listing broke off", err);
	}
	return end;
}

/* The key to go on behind, encoded, is the token. */
static int
end_page(struct libs3_call *call, struct bkp_error *err)
{
	struct fmt_buf *out = &call->response->body;
	enum fmt_status status = FMT_OK;

	if (call->keys > 0) {
		status = fmt_buf_append_text(out, "<NextContinuationToken>");
		if (status == FMT_OK)
			status = bkp_s3_encode(
			    (const char *)call->last_key->data, false, out);
		if (status == FMT_OK)
			status = fmt_buf_append_text(
			    out, "</NextContinuationToken>");
	}
	if (status != FMT_OK ||
	    fmt_buf_printf(out,
		"<EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>"
		"</ListBucketResult>",
		call->keys > 0 ? "true" : "false") != FMT_OK)
		return bkp_fail_nomem(err, "reading a listing");
	return 0;
}

static int
read_query(
    struct libs3_call *call, struct fmt_buf *marker, struct bkp_error *err)
{
	const struct bkp_s3_fields *query = call->request->query;
	const char *token = bkp_s3_fields_get(query, "continuation-token");

	call->prefix = bkp_s3_fields_get(query, "prefix");
	if (token != NULL) {
		if (bkp_s3_decode(token, strlen(token), false, marker) !=
			FMT_OK ||
		    (call->marker = fmt_buf_text(marker)) == NULL)
			return bkp_fail_nomem(err, "building a request");
	}
	if (call->prefix != NULL && strlen(call->prefix) > ASKED_MAX) {
		(void)bkp_fail(err, BKP_UNSUPPORTED,
		    "libs3, which signs with version 2, lists no prefix as "
		    "long as this");
		return bkp_s3_fail_request(call->request, err);
	}
	return 0;
}

enum bkp_s3_end
bkp_s3_libs3_list(struct libs3_call *call, struct bkp_error *err)
{
	struct fmt_buf marker = FMT_BUF_INIT, last_key = FMT_BUF_INIT;
	enum bkp_s3_end end = BKP_S3_FAILED;

	call->last_key = &last_key;
	if (read_query(call, &marker, err) < 0)
		goto out;
	if (fmt_buf_append_text(&call->response->body, "<ListBucketResult>") !=
	    FMT_OK) {
		(void)bkp_fail_nomem(err, "reading a listing");
		goto out;
	}
	end = ask_page(call, err);
	if (end == BKP_S3_DONE && end_page(call, err) < 0)
		end = BKP_S3_FAILED;
	if (end == BKP_S3_DONE)
		call->response->status = 200;
out:
	call->last_key = NULL;
	fmt_buf_free(&marker);
	fmt_buf_free(&last_key);
	return end;
}
