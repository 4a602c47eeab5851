/* SPDX-License-Identifier: Apache-2.0 */
/* Headers: of requests into libs3's structures, and of answers out of them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/libs3_impl.h"

#define META "x-amz-meta-"
#define META_LEN (sizeof(META) - 1)

/* A header of libs3's own, with its name; all metadata together. */
#define LINE_MAX_BYTES 127
#define METADATA_MAX_BYTES S3_MAX_METADATA_SIZE

/* Texts of an answer share this much; what is left over is lost. */
#define TEXTS_MAX (5 * 129)

static int
refuse_header(const char *name, const char *why, struct bkp_error *err)
{
	(void)bkp_fail(err, BKP_UNSUPPORTED,
	    "libs3, which signs with version 2, cannot send the header "
	    "\"%s\"%s",
	    name, why);
	if (err != NULL)
		err->sys = 400;
	return -1;
}

/* ---- of a PUT ---- */

static bool
is_edge_blank(const char *value)
{
	size_t len = strlen(value);

	return len > 0 && (isspace((unsigned char)value[0]) ||
			      isspace((unsigned char)value[len - 1]));
}

/* libs3 runs past the end of metadata without a value. */
static int
add_metadata(struct libs3_call *call, const struct bkp_s3_field *header,
    size_t *bytes, struct bkp_error *err)
{
	S3PutProperties *put = &call->properties;

	if (header->value[0] == '\0')
		return refuse_header(header->name, " without a value", err);
	*bytes += strlen(header->name) + strlen(header->value) + 3;
	if (*bytes > METADATA_MAX_BYTES ||
	    put->metaDataCount == LIBS3_METADATA_MAX)
		return refuse_header(
		    header->name, ": there is too much metadata", err);
	call->metadata[put->metaDataCount++] =
	    (S3NameValue){header->name + META_LEN, header->value};
	return 0;
}

/* It knows this header only as a file to be saved. */
static int
add_disposition(struct libs3_call *call, const struct bkp_s3_field *header,
    struct bkp_error *err)
{
	static const char begin[] = "attachment; filename=\"";
	const char *name = header->value + sizeof(begin) - 1;
	size_t len;

	if (strncmp(header->value, begin, sizeof(begin) - 1) != 0 ||
	    (len = strlen(name)) < 2 || strchr(name, '"') != name + len - 1 ||
	    isspace((unsigned char)name[0]))
		return refuse_header(header->name, " of this form", err);
	free(call->filename);
	if ((call->filename = strndup(name, len - 1)) == NULL)
		return bkp_fail_nomem(err, "building a request");
	call->properties.contentDispositionFilename = call->filename;
	return 0;
}

static const char **
slot_of(struct libs3_call *call, const char *name)
{
	if (strcasecmp(name, "content-type") == 0)
		return &call->properties.contentType;
	if (strcasecmp(name, "content-md5") == 0)
		return &call->properties.md5;
	if (strcasecmp(name, "cache-control") == 0)
		return &call->properties.cacheControl;
	if (strcasecmp(name, "content-encoding") == 0)
		return &call->properties.contentEncoding;
	return NULL;
}

static int
put_header(struct libs3_call *call, const struct bkp_s3_field *header,
    size_t *metadata_bytes, struct bkp_error *err)
{
	const char **slot = slot_of(call, header->name);

	if (strpbrk(header->value, "\r\n") != NULL)
		return refuse_header(header->name, " with a line break", err);
	if (is_edge_blank(header->value))
		return refuse_header(
		    header->name, " with blanks around its value", err);
	if (strncasecmp(header->name, META, META_LEN) == 0)
		return add_metadata(call, header, metadata_bytes, err);
	if (strlen(header->name) + 2 + strlen(header->value) > LINE_MAX_BYTES)
		return refuse_header(header->name, ": it is too long", err);
	if (strcasecmp(header->name, "content-disposition") == 0)
		return add_disposition(call, header, err);
	if (slot == NULL)
		return refuse_header(header->name, "", err);
	*slot = header->value;
	return 0;
}

int
bkp_s3_libs3_put_headers(struct libs3_call *call, struct bkp_error *err)
{
	const struct bkp_s3_fields *headers = call->request->headers;
	size_t bytes = 0;

	call->properties = (S3PutProperties){.expires = -1,
	    .cannedAcl = S3CannedAclPrivate,
	    .metaData = call->metadata};
	for (size_t i = 0; headers != NULL && i < headers->count; i++)
		if (put_header(call, &headers->items[i], &bytes, err) < 0)
			return bkp_s3_fail_request(call->request, err);
	return 0;
}

/* ---- of a GET ---- */

static int
get_header(struct libs3_call *call, const struct bkp_s3_field *header,
    struct bkp_error *err)
{
	unsigned long long first = 0, last = 0;
	int found;

	if (strcasecmp(header->name, "if-match") == 0) {
		if (strlen(header->value) + 10 > LINE_MAX_BYTES)
			return refuse_header(
			    header->name, ": it is too long", err);
		call->conditions.ifMatchETag = header->value;
		return 0;
	}
	if (strcasecmp(header->name, "range") != 0)
		return refuse_header(header->name, "", err);
	found = sscanf(header->value, "bytes=%llu-%llu", &first, &last);
	if (found < 1 || (found == 2 && last < first))
		return refuse_header(header->name, " of this form", err);
	call->is_range = true;
	call->first = first;
	call->len = found == 2 ? last - first + 1 : 0;
	return 0;
}

int
bkp_s3_libs3_get_headers(struct libs3_call *call, struct bkp_error *err)
{
	const struct bkp_s3_fields *headers = call->request->headers;

	call->conditions =
	    (S3GetConditions){.ifModifiedSince = -1, .ifNotModifiedSince = -1};
	for (size_t i = 0; headers != NULL && i < headers->count; i++)
		if (get_header(call, &headers->items[i], err) < 0)
			return bkp_s3_fail_request(call->request, err);
	return 0;
}

/* ---- of an answer ---- */

static size_t
room_of(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

/* An ETag that libs3 had no room for is whatever lay behind. */
static bool
is_legible(const S3ResponseProperties *properties)
{
	const char *etag = properties->eTag;

	if (room_of(etag) + room_of(properties->contentType) +
		room_of(properties->requestId) +
		room_of(properties->requestId2) + room_of(properties->server) >=
	    TEXTS_MAX)
		return false;
	for (; etag != NULL && *etag != '\0'; etag++)
		if (*etag < ' ' || *etag > '~')
			return false;
	return true;
}

static int
add_number(struct libs3_call *call, const char *name, uint64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return bkp_s3_fields_add(
	    &call->response->headers, name, text, &call->error);
}

static int
add_text(struct libs3_call *call, const char *name, const char *value)
{
	if (value == NULL)
		return 0;
	return bkp_s3_fields_add(
	    &call->response->headers, name, value, &call->error);
}

/* As HTTP writes it, whatever the program's language. */
static int
add_date(struct libs3_call *call, int64_t seconds)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t time = (time_t)seconds;
	struct tm tm;
	char text[64];

	if (seconds < 0 || gmtime_r(&time, &tm) == NULL)
		return 0;
	(void)snprintf(text, sizeof(text),
	    "%.3s, %02d %.3s %d %02d:%02d:%02d GMT",
	    days + (size_t)tm.tm_wday * 3, tm.tm_mday,
	    months + (size_t)tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
	return add_text(call, "last-modified", text);
}

static int
add_all_metadata(
    struct libs3_call *call, const S3ResponseProperties *properties)
{
	char name[METADATA_MAX_BYTES + META_LEN + 1];

	for (int i = 0; i < properties->metaDataCount; i++) {
		const S3NameValue *pair = &properties->metaData[i];

		(void)snprintf(name, sizeof(name), META "%s", pair->name);
		if (bkp_s3_fields_add(&call->response->headers, name,
			pair->value, &call->error) < 0)
			return -1;
	}
	return 0;
}

/* Every answer to a HEAD or GET of an object has an ETag; where libs3 sees
 * none, it has not understood the header lines at all. */
static bool
needs_etag(const struct libs3_call *call)
{
	return call->request->key != NULL &&
	       (strcmp(call->request->method, "GET") == 0 ||
		   strcmp(call->request->method, "HEAD") == 0);
}

S3Status
bkp_s3_libs3_take_properties(const S3ResponseProperties *properties, void *arg)
{
	struct libs3_call *call = arg;

	if (call->error.code != BKP_OK)
		return S3StatusAbortedByCallback;
	call->announced = properties->contentLength;
	if (needs_etag(call) && properties->eTag == NULL)
		(void)bkp_fail(&call->error, BKP_UNSUPPORTED,
		    "libs3, which signs with version 2, finds no ETag in the "
		    "answer: it knows the names of headers in one spelling "
		    "alone, and this server or a proxy uses another");
	else if (!is_legible(properties))
		(void)bkp_fail(&call->error, BKP_UNSUPPORTED,
		    "libs3, which signs with version 2, has no room for the "
		    "headers of this answer");
	if (call->error.code != BKP_OK) {
		call->error.sys = call->request->key != NULL ? 400 : 0;
		(void)bkp_s3_fail_request(call->request, &call->error);
		return S3StatusAbortedByCallback;
	}
	if (add_number(call, "content-length", call->announced) < 0 ||
	    add_text(call, "content-type", properties->contentType) < 0 ||
	    add_text(call, "etag", properties->eTag) < 0 ||
	    add_date(call, properties->lastModified) < 0 ||
	    add_all_metadata(call, properties) < 0)
		return S3StatusAbortedByCallback;
	return S3StatusOK;
}
