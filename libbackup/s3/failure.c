/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

#define CLOCK_TOLERANCE_S (14 * 60)

/* What a server's code means to us. Sources: "Error responses" of the Amazon
 * S3 API reference; MinIO's cmd/api-errors.go for the XMinio ones. */
struct meaning {
	const char *code;
	enum bkp_s3_end end;
	enum bkp_error_code error;
	const char *hint; /* what to do next; "" where the message says it */
};

#define HINT_BUCKET "check the bucket's name and the endpoint"
#define HINT_SERVER "check that the server runs, and the endpoint"
#define HINT_KEY "this server cannot hold such a key"
#define HINT_TOKEN "get new temporary credentials"

static const struct meaning meanings[] = {
    {"InvalidAccessKeyId", BKP_S3_FAILED, BKP_AUTH,
	"check the access key (access_key, AWS_ACCESS_KEY_ID)"},
    {"SignatureDoesNotMatch", BKP_S3_FAILED, BKP_AUTH,
	"check the secret key (secret_key, AWS_SECRET_ACCESS_KEY); a proxy "
	"that rewrites requests does this too"},
    {"AccessDenied", BKP_S3_FAILED, BKP_AUTH,
	"these credentials lack the permission"},
    {"InvalidObjectState", BKP_S3_FAILED, BKP_AUTH,
	"its storage class cannot be read at once; have it restored there, "
	"and take what is needed out of the rule that moves objects"},
    {"AllAccessDisabled", BKP_S3_FAILED, BKP_AUTH, ""},
    {"ExpiredToken", BKP_S3_FAILED, BKP_AUTH, HINT_TOKEN},
    {"InvalidToken", BKP_S3_FAILED, BKP_AUTH, HINT_TOKEN},
    {"InvalidTokenId", BKP_S3_FAILED, BKP_AUTH, HINT_TOKEN},
    {"RequestTimeTooSkewed", BKP_S3_CLOCK, BKP_AUTH,
	"set this machine's clock"},
    {"NoSuchBucket", BKP_S3_FAILED, BKP_NOTFOUND, HINT_BUCKET},
    {"NoSuchKey", BKP_S3_FAILED, BKP_NOTFOUND, ""},
    {"NoSuchVersion", BKP_S3_FAILED, BKP_NOTFOUND, ""},
    {"NoSuchUpload", BKP_S3_FAILED, BKP_NOTFOUND, ""},
    {"NoSuchObjectLockConfiguration", BKP_S3_FAILED, BKP_NOTFOUND, ""},
    {"ObjectLockConfigurationNotFoundError", BKP_S3_FAILED, BKP_UNSUPPORTED,
	"the bucket was made without object lock"},
    {"ConditionalRequestConflict", BKP_S3_AGAIN, BKP_RETRY, ""},
    {"BucketAlreadyExists", BKP_S3_FAILED, BKP_EXISTS,
	"somebody else has a bucket of this name: choose another"},
    {"BucketAlreadyOwnedByYou", BKP_S3_FAILED, BKP_EXISTS, ""},
    {"BucketNotEmpty", BKP_S3_FAILED, BKP_EXISTS, ""},
    {"InvalidBucketName", BKP_S3_FAILED, BKP_INVALID,
	"3 to 63 of a-z, 0-9, dot and hyphen"},
    {"AuthorizationHeaderMalformed", BKP_S3_FAILED, BKP_INVALID,
	"set the region that the server names"},
    {"PermanentRedirect", BKP_S3_FAILED, BKP_INVALID,
	"set the endpoint or region that the bucket lives in"},
    {"TemporaryRedirect", BKP_S3_FAILED, BKP_INVALID,
	"set the endpoint or region that the bucket lives in"},
    {"KeyTooLongError", BKP_S3_FAILED, BKP_UNSUPPORTED, HINT_KEY},
    {"KeyTooLong", BKP_S3_FAILED, BKP_UNSUPPORTED, HINT_KEY},
    {"XMinioInvalidObjectName", BKP_S3_FAILED, BKP_UNSUPPORTED, HINT_KEY},
    {"XMinioInvalidResourceName", BKP_S3_FAILED, BKP_UNSUPPORTED, HINT_KEY},
    {"InvalidResourceName", BKP_S3_FAILED, BKP_UNSUPPORTED, HINT_KEY},
    {"InvalidObjectName", BKP_S3_FAILED, BKP_UNSUPPORTED, HINT_KEY},
    {"InvalidURI", BKP_S3_FAILED, BKP_UNSUPPORTED, HINT_KEY},
    {"XMinioObjectExistsAsDirectory", BKP_S3_FAILED, BKP_UNSUPPORTED,
	HINT_KEY " beside the others"},
    {"XMinioParentIsObject", BKP_S3_FAILED, BKP_UNSUPPORTED,
	HINT_KEY " beside the others"},
    {"MetadataTooLarge", BKP_S3_FAILED, BKP_UNSUPPORTED,
	"this server cannot hold so much metadata"},
    {"InvalidTag", BKP_S3_FAILED, BKP_UNSUPPORTED, ""},
    {"EntityTooLarge", BKP_S3_FAILED, BKP_UNSUPPORTED, ""},
    {"EntityTooSmall", BKP_S3_FAILED, BKP_UNSUPPORTED,
	"this server does not take parts of the original's size"},
    {"NotImplemented", BKP_S3_FAILED, BKP_UNSUPPORTED, ""},
    {"XMinioStorageFull", BKP_S3_FAILED, BKP_IO, "make room on the server"},
    {"QuotaExceeded", BKP_S3_FAILED, BKP_IO, "make room on the server"},
    {"XMinioAdminBucketQuotaExceeded", BKP_S3_FAILED, BKP_IO,
	"make room on the server"},
    {"BadDigest", BKP_S3_AGAIN, BKP_CORRUPT, "the bytes changed on their way"},
    {"XAmzContentSHA256Mismatch", BKP_S3_AGAIN, BKP_CORRUPT,
	"the bytes changed on their way"},
    {"IncompleteBody", BKP_S3_AGAIN, BKP_RETRY, ""},
    {"RequestTimeout", BKP_S3_AGAIN, BKP_RETRY, ""},
    {"SlowDown", BKP_S3_AGAIN, BKP_RETRY, "try again later"},
    {"SlowDownRead", BKP_S3_AGAIN, BKP_RETRY, "try again later"},
    {"SlowDownWrite", BKP_S3_AGAIN, BKP_RETRY, "try again later"},
    {"ServiceUnavailable", BKP_S3_AGAIN, BKP_RETRY, "try again later"},
    {"InternalError", BKP_S3_AGAIN, BKP_RETRY, "try again later"},
    {"OperationAborted", BKP_S3_AGAIN, BKP_RETRY, "try again later"},
    {"PreconditionFailed", BKP_S3_FAILED, BKP_RETRY, ""},
};

/* Where there is no document to read (HEAD, a proxy): by HTTP status. */
static struct meaning
meaning_of_status(long status, bool has_key)
{
	struct meaning meaning = {"", BKP_S3_FAILED, BKP_IO, ""};

	if (status == 404) {
		meaning.error = BKP_NOTFOUND;
		meaning.hint = has_key ? "" : HINT_BUCKET;
	} else if (status == 401 || status == 403) {
		meaning.error = BKP_AUTH;
		meaning.hint = "check the credentials and what they permit";
	} else if (status == 412) {
		meaning.error = BKP_RETRY;
	} else if (status == 501) {
		meaning.error = BKP_UNSUPPORTED;
	} else if (status == 507) {
		meaning.hint = "make room on the server";
	} else if (status == 408 || status == 429 || status >= 500) {
		meaning.end = BKP_S3_AGAIN;
		meaning.error = BKP_RETRY;
		meaning.hint = "try again later";
	} else if (status >= 300 && status < 400) {
		meaning.error = BKP_INVALID;
		meaning.hint = "set the endpoint or region that the bucket "
			       "lives in";
	} else if (status >= 400) {
		/* What a server has against one object is no reason to go
		 * without the others. */
		meaning.error = has_key ? BKP_UNSUPPORTED : BKP_INVALID;
	}
	return meaning;
}

/* Servers check a signature over the key as they understood it, so bytes that
 * are not UTF-8 make a right signature wrong for some. */
static bool
is_about_key(const char *code, const char *key)
{
	return key != NULL && strcmp(code, "SignatureDoesNotMatch") == 0 &&
	       !fmt_utf8_is_valid(key);
}

static struct meaning
meaning_of(const char *code, long status, const char *key)
{
	if (is_about_key(code, key))
		return (struct meaning){
		    "", BKP_S3_FAILED, BKP_UNSUPPORTED, HINT_KEY};
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strcmp(meanings[i].code, code) == 0)
			return meanings[i];
	return meaning_of_status(status, key != NULL);
}

/* ---- error documents ---- */

struct document {
	char code[64];
	char message[256];
	char region[64];
};

static int
take_error(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	struct document *document = arg;

	(void)len;
	(void)err;
	if (strcmp(path, "Error/Code") == 0)
		(void)snprintf(
		    document->code, sizeof(document->code), "%s", text);
	else if (strcmp(path, "Error/Message") == 0)
		(void)snprintf(
		    document->message, sizeof(document->message), "%s", text);
	else if (strcmp(path, "Error/Region") == 0)
		(void)snprintf(
		    document->region, sizeof(document->region), "%s", text);
	return 0;
}

static void
read_document(const struct bkp_s3_response *response, struct document *out)
{
	const char *bucket_region =
	    bkp_s3_fields_get(&response->headers, "x-amz-bucket-region");

	memset(out, 0, sizeof(*out));
	/* What is no XML says nothing; the HTTP status does. */
	(void)bkp_s3_xml_read(
	    response->body.data, response->body.len, take_error, out, NULL);
	if (out->region[0] == '\0' && bucket_region != NULL)
		(void)snprintf(
		    out->region, sizeof(out->region), "%s", bucket_region);
}

int
bkp_s3_fail_request(const struct bkp_s3_request *request, struct bkp_error *err)
{
	if (request->bucket == NULL)
		return bkp_fail_in(err, "%s s3://", request->method);
	if (request->key == NULL)
		return bkp_fail_in(
		    err, "%s s3://%s", request->method, request->bucket);
	/* A key may be longer than a message; leave room for the reason. */
	return bkp_fail_in(err, "%s s3://%s/%.200s", request->method,
	    request->bucket, request->key);
}

/* Asked for by its id, a delete marker is a method that is not allowed. */
static bool
is_delete_marker(const struct bkp_s3_response *response)
{
	const char *text =
	    bkp_s3_fields_get(&response->headers, "x-amz-delete-marker");

	return text != NULL && strcmp(text, "true") == 0;
}

/* AWS denies access, MinIO and versitygw call the request invalid; what both
 * mean is in their words only. */
static bool
is_locked(const struct document *document)
{
	return strcasestr(document->message, "WORM protected") != NULL ||
	       strcasestr(document->message, "protected by object lock") !=
		   NULL;
}

#define HINT_LOCK                                                              \
	"object lock keeps this version until its retention or legal hold "    \
	"ends"

enum bkp_s3_end
bkp_s3_judge_code(const char *code, const char *message, struct bkp_error *err)
{
	struct meaning meaning = meaning_of(code, 403, NULL);
	struct document document = {"", "", ""};
	bool keeps;

	(void)snprintf(
	    document.message, sizeof(document.message), "%s", message);
	keeps = is_locked(&document);
	(void)bkp_fail(err, keeps ? BKP_AUTH : meaning.error,
	    "the server refuses: %s%s%s%s%s",
	    code[0] != '\0' ? code : "no reason",
	    message[0] != '\0' ? ": " : "", document.message, keeps ? "; " : "",
	    keeps ? HINT_LOCK : "");
	if (err != NULL && keeps)
		err->sys = BKP_S3_LOCKED;
	return meaning.end;
}

static bool
keeps_version(const struct document *document, long status)
{
	return (status == 400 || status == 403) &&
	       (strcmp(document->code, "AccessDenied") == 0 ||
		   strcmp(document->code, "InvalidRequest") == 0 ||
		   strcmp(document->code, "ObjectLocked") == 0) &&
	       is_locked(document);
}

/* A HEAD has no document to say RequestTimeTooSkewed in. Servers put up with
 * 15 minutes. */
static bool
is_clock_wrong(const struct bkp_s3_request *request,
    const struct bkp_s3_response *response)
{
	const char *date = bkp_s3_fields_get(&response->headers, "date");
	time_t server, own = time(NULL);

	if (response->status != 403 || strcmp(request->method, "HEAD") != 0 ||
	    date == NULL || (server = curl_getdate(date, NULL)) == -1)
		return false;
	return server > own + CLOCK_TOLERANCE_S ||
	       server < own - CLOCK_TOLERANCE_S;
}

enum bkp_s3_end
bkp_s3_judge(const struct bkp_s3_request *request,
    const struct bkp_s3_response *response, struct bkp_error *err)
{
	struct document document;
	struct meaning meaning;
	bool is_misplaced, keeps;

	read_document(response, &document);
	meaning = meaning_of(document.code, response->status, request->key);
	if (response->status == 405 && is_delete_marker(response))
		meaning = (struct meaning){"", BKP_S3_FAILED, BKP_NOTFOUND,
		    "this version says that the object was deleted"};
	if (is_clock_wrong(request, response))
		meaning = meaning_of("RequestTimeTooSkewed", 403, NULL);
	keeps = keeps_version(&document, response->status);
	if (keeps)
		meaning =
		    (struct meaning){"", BKP_S3_FAILED, BKP_AUTH, HINT_LOCK};
	is_misplaced =
	    document.region[0] != '\0' && meaning.error == BKP_INVALID;
	if (document.code[0] == '\0')
		(void)snprintf(
		    document.code, sizeof(document.code), "the server refuses");
	(void)bkp_fail(err, meaning.error, "%s%s%s (HTTP %ld)%s%s%s%s",
	    document.code, document.message[0] != '\0' ? ": " : "",
	    document.message, response->status,
	    is_misplaced ? "; its region is " : "",
	    is_misplaced ? document.region : "",
	    meaning.hint[0] != '\0' ? "; " : "", meaning.hint);
	(void)bkp_s3_fail_request(request, err);
	if (err != NULL)
		err->sys = keeps ? BKP_S3_LOCKED : (int)response->status;
	return meaning.end;
}

/* ---- libcurl ---- */

static struct meaning
meaning_of_curl(CURLcode code)
{
	struct meaning meaning = {"", BKP_S3_FAILED, BKP_IO, ""};

	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		meaning.error = BKP_AUTH;
		meaning.hint = "if its certificate is of your own authority, "
			       "name that in ca_file";
		break;
	case CURLE_SSL_CACERT_BADFILE:
		meaning.error = BKP_INVALID;
		meaning.hint = "check ca_file";
		break;
	case CURLE_OUT_OF_MEMORY:
		meaning.error = BKP_NOMEM;
		break;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		meaning.end = BKP_S3_AGAIN;
		meaning.error = BKP_RETRY;
		meaning.hint = HINT_SERVER;
		break;
	case CURLE_SSL_CONNECT_ERROR:
		meaning.end = BKP_S3_AGAIN;
		meaning.error = BKP_RETRY;
		meaning.hint = "if it speaks no TLS, write http:// in the "
			       "endpoint; otherwise try again later";
		break;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_AGAIN:
	case CURLE_WEIRD_SERVER_REPLY:
		meaning.end = BKP_S3_AGAIN;
		meaning.error = BKP_RETRY;
		meaning.hint = "try again later";
		break;
	default:
		break;
	}
	return meaning;
}

enum bkp_s3_end
bkp_s3_judge_transport(const struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, CURLcode code, const char *detail,
    struct bkp_error *err)
{
	struct meaning meaning = meaning_of_curl(code);

	if (code == CURLE_OPERATION_TIMEDOUT &&
	    !atomic_load(&connection->s3->has_answered))
		meaning.hint = HINT_SERVER;
	(void)bkp_fail(err, meaning.error, "%s: %s%s%s",
	    connection->s3->endpoint,
	    detail[0] != '\0' ? detail : curl_easy_strerror(code),
	    meaning.hint[0] != '\0' ? "; " : "", meaning.hint);
	(void)bkp_s3_fail_request(request, err);
	return meaning.end;
}
