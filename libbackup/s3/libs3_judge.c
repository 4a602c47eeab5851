/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libs3 says of a call that failed, in the words of failure.c. libs3's own
 * list of what may be tried again is not used: SlowDown is missing in it, and
 * so is every break of a connection but three (the others it calls
 * InternalError), and every code that it does not know, ServiceUnavailable
 * among them.
 */
#include <stdio.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/libs3_impl.h"

/* The HTTP status of what the server said; libs3 keeps it to itself. */
static const struct {
	S3Status status;
	long http;
} known[] = {
    {S3StatusErrorAccessDenied, 403},
    {S3StatusErrorAccountProblem, 403},
    {S3StatusErrorBucketAlreadyExists, 409},
    {S3StatusErrorBucketAlreadyOwnedByYou, 409},
    {S3StatusErrorBucketNotEmpty, 409},
    {S3StatusErrorInternalError, 500},
    {S3StatusErrorInvalidAccessKeyId, 403},
    {S3StatusErrorInvalidRange, 416},
    {S3StatusErrorInvalidSecurity, 403},
    {S3StatusErrorMethodNotAllowed, 405},
    {S3StatusErrorMissingContentLength, 411},
    {S3StatusErrorNoSuchBucket, 404},
    {S3StatusErrorNoSuchKey, 404},
    {S3StatusErrorNotImplemented, 501},
    {S3StatusErrorNotSignedUp, 403},
    {S3StatusErrorOperationAborted, 409},
    {S3StatusErrorPermanentRedirect, 301},
    {S3StatusErrorPreconditionFailed, 412},
    {S3StatusErrorRedirect, 307},
    {S3StatusErrorRequestTimeTooSkewed, 403},
    {S3StatusErrorSignatureDoesNotMatch, 403},
    {S3StatusErrorSlowDown, 503},
    {S3StatusErrorTemporaryRedirect, 307},
    {S3StatusHttpErrorMovedTemporarily, 307},
    {S3StatusHttpErrorBadRequest, 400},
    {S3StatusHttpErrorForbidden, 403},
    {S3StatusHttpErrorNotFound, 404},
    {S3StatusHttpErrorConflict, 409},
};

/* libs3 drops a code that it does not know, and keeps the message. These are
 * MinIO's (cmd/api-errors.go). */
static const struct {
	const char *words, *code;
} messages[] = {
    {"Object name already exists as a directory",
	"XMinioObjectExistsAsDirectory"},
    {"Object-prefix is already an object", "XMinioParentIsObject"},
    {"Object name contains", "XMinioInvalidObjectName"},
    {"Resource name contains", "XMinioInvalidResourceName"},
    {"Your key is too long", "KeyTooLongError"},
    {"minimum free drive threshold", "XMinioStorageFull"},
};

static long
http_of(S3Status status)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status)
			return known[i].http;
	return 400;
}

static const char *
code_of_message(const char *message)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (strstr(message, messages[i].words) != NULL)
			return messages[i].code;
	return NULL;
}

/* As the server's own document, so that one table says what codes mean. */
static enum bkp_s3_end
judge_code(const struct libs3_call *call, const char *code, long http,
    struct bkp_error *err)
{
	struct bkp_s3_response answer = BKP_S3_RESPONSE_INIT;
	enum bkp_s3_end end = BKP_S3_FAILED;
	char message[sizeof(call->message)];

	(void)snprintf(message, sizeof(message), "%s", call->message);
	for (char *c = message; (c = strpbrk(c, "<>&")) != NULL;)
		*c = '?';
	answer.status = http;
	if (*code != '\0' && fmt_buf_printf(&answer.body,
				 "<Error><Code>%s</Code><Message>%s</Message>"
				 "</Error>",
				 code, message) != FMT_OK)
		(void)bkp_fail_nomem(err, "reading an answer");
	else
		end = bkp_s3_judge(call->request, &answer, err);
	bkp_s3_response_free(&answer);
	return end;
}

static CURLcode
curl_code_of(S3Status status)
{
	switch (status) {
	case S3StatusNameLookupError:
		return CURLE_COULDNT_RESOLVE_HOST;
	case S3StatusFailedToConnect:
		return CURLE_COULDNT_CONNECT;
	case S3StatusServerFailedVerification:
		return CURLE_PEER_FAILED_VERIFICATION;
	case S3StatusOutOfMemory:
		return CURLE_OUT_OF_MEMORY;
	default:
		return CURLE_RECV_ERROR;
	}
}

static enum bkp_s3_end
judge_transport(const struct libs3_call *call, struct bkp_error *err)
{
	char detail[sizeof(call->message) + 64] = "";

	if (call->status == S3StatusErrorUnknown)
		(void)snprintf(detail, sizeof(detail),
		    "the server refuses, with a code that libs3 does not know"
		    "%s%s",
		    call->message[0] != '\0' ? ": " : "", call->message);
	else if (curl_code_of(call->status) == CURLE_RECV_ERROR)
		(void)snprintf(detail, sizeof(detail),
		    "no whole answer came (libs3 says %s)",
		    S3_get_status_name(call->status));
	return bkp_s3_judge_transport(call->connection, call->request,
	    curl_code_of(call->status), detail, err);
}

/* What libs3 would not even send. */
static enum bkp_s3_end
judge_own(const struct libs3_call *call, struct bkp_error *err)
{
	bool is_name = call->status >= S3StatusInvalidBucketNameTooLong &&
		       call->status <= S3StatusInvalidBucketNameDotQuadNotation;

	(void)bkp_fail(err, is_name ? BKP_INVALID : BKP_UNSUPPORTED,
	    "libs3 refuses this request: %s", S3_get_status_name(call->status));
	(void)bkp_s3_fail_request(call->request, err);
	if (err != NULL && call->request->key != NULL)
		err->sys = 400;
	return BKP_S3_FAILED;
}

enum bkp_s3_end
bkp_s3_libs3_judge(const struct libs3_call *call, struct bkp_error *err)
{
	const char *code;

	switch (call->status) {
	case S3StatusErrorUnknown:
		code = code_of_message(call->message);
		if (code != NULL)
			return judge_code(call, code, 400, err);
		return judge_transport(call, err);
	case S3StatusHttpErrorUnknown:
	case S3StatusInternalError:
	case S3StatusOutOfMemory:
	case S3StatusInterrupted:
	case S3StatusFailedToInitializeRequest:
	case S3StatusXmlParseFailure:
	case S3StatusNameLookupError:
	case S3StatusFailedToConnect:
	case S3StatusServerFailedVerification:
	case S3StatusConnectionFailed:
	case S3StatusAbortedByCallback:
		return judge_transport(call, err);
	default:
		break;
	}
	if (call->status >= S3StatusHttpErrorMovedTemporarily)
		return judge_code(call, "", http_of(call->status), err);
	if (call->status < S3StatusErrorAccessDenied)
		return judge_own(call, err);
	/* "ErrorNoSuchKey" is the server's "NoSuchKey". */
	code = S3_get_status_name(call->status);
	if (strncmp(code, "Error", 5) == 0)
		code += 5;
	return judge_code(call, code, http_of(call->status), err);
}
