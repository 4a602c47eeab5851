/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_REQUEST_H
#define LIBBACKUP_S3_REQUEST_H

/* Inside libbackup/s3: one signed request and its answer. */

#include <curl/curl.h>
#include <stdatomic.h>

#include "libbackup/s3/credentials.h"
#include "libbackup/s3/limiter.h"
#include "libbackup/s3/s3.h"
#include "libbackup/s3/signing.h"
#include "libbackup/s3/xml.h"

struct bkp_s3_libs3;

struct bkp_s3 {
	struct bkp_s3_credentials credentials;
	char *endpoint; /* without a slash at the end */
	char *scheme;   /* "https://" */
	char *host;     /* "host:port" as in the Host header */
	char *ca_file;
	bool is_virtual_host;
	bool is_v2;
	unsigned tries, backoff_ms, connect_ms, stall_s, first_s;
	struct bkp_limits *limits; /* borrowed; NULL: none */
	struct bkp_s3_limiter limiter;
	atomic_llong clock_offset; /* seconds; this and what follows change */
	atomic_bool has_answered;  /* anything, since we know it */
};

struct bkp_s3_connection {
	struct bkp_s3 *s3;
	const struct bkp_cancel *cancel;
	CURL *curl;
	struct bkp_s3_libs3 *libs3; /* what tries go through; NULL: curl */
	unsigned random;            /* state of the jitter */
};

/* What is asked. Everything is borrowed. */
struct bkp_s3_request {
	const char *method;
	const char *bucket;
	const char *key; /* NULL: the bucket itself */
	const struct bkp_s3_fields *query;
	const struct bkp_s3_fields *headers;
	const struct bkp_s3_body *body; /* NULL: none */
	const char *sha256;             /* of the body; hexadecimal */
	bkp_s3_write_fn *write; /* takes a good answer; NULL: it is kept */
	/* Called before the first byte of a good answer; may be NULL. */
	int (*begin)(void *arg, const struct bkp_s3_fields *headers,
	    struct bkp_error *err);
	void *arg;
};

struct bkp_s3_response {
	long status;
	struct bkp_s3_fields headers; /* names in lower case */
	struct fmt_buf body;          /* of an error, or where write is NULL */
	unsigned failed; /* tries before this one: some may have been done */
	bool is_timeout; /* the server fell silent */
};

#define BKP_S3_RESPONSE_INIT                                                   \
	{                                                                      \
		0, BKP_S3_FIELDS_INIT, FMT_BUF_INIT, 0, false                  \
	}

void bkp_s3_response_free(struct bkp_s3_response *response);

/* Asks, and asks again where that may help (request.c). 0 where the status is
 * 2xx. `response` is of the last try. */
int bkp_s3_ask(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err);

/* GETs "?question" about a bucket, or an object of it (key; version_id NULL:
 * the current version), and reads the document that is the answer
 * (documents.c). */
int bkp_s3_ask_document(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id,
    const char *question, bkp_s3_xml_fn *fn, void *arg, struct bkp_error *err);

/* Bytes that come and go, as they do: waits where there is a limit. The second
 * tells how many of `len` are best sent at once (transfer.c). */
void bkp_s3_pay(
    const struct bkp_s3_connection *connection, bool is_upload, size_t len);
size_t bkp_s3_piece(const struct bkp_s3_connection *connection, size_t len);

/* Seconds that a try may be without progress (transfer.c). */
unsigned bkp_s3_patience_s(const struct bkp_s3 *s3);

/* How a try ended. */
enum bkp_s3_end {
	BKP_S3_DONE,
	BKP_S3_FAILED, /* for good */
	BKP_S3_AGAIN,  /* may go through on another try */
	BKP_S3_CLOCK   /* the server refuses our time */
};

/* One try (transfer.c). Empties `response` first. */
enum bkp_s3_end bkp_s3_try(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err);

/* After a try: 0 done, 1 try again (after a wait), -1 give up. */
struct bkp_s3_tries {
	unsigned failed;
	unsigned silent; /* of these, without a word */
	bool is_clock_set;
};
int bkp_s3_after(struct bkp_s3_connection *connection,
    struct bkp_s3_tries *tries, enum bkp_s3_end end,
    const struct bkp_s3_response *response, struct bkp_error *err);

/* Judges an answer that is not 2xx, or an error document under 200
 * (failure.c). */
enum bkp_s3_end bkp_s3_judge(const struct bkp_s3_request *request,
    const struct bkp_s3_response *response, struct bkp_error *err);

/* Puts what was asked before a message: "GET s3://bucket/key". -1. */
int bkp_s3_fail_request(
    const struct bkp_s3_request *request, struct bkp_error *err);

/* Judges a code and a message inside an answer that is good as a whole. */
enum bkp_s3_end bkp_s3_judge_code(
    const char *code, const char *message, struct bkp_error *err);

/* Judges what libcurl says. */
enum bkp_s3_end bkp_s3_judge_transport(
    const struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, CURLcode code, const char *detail,
    struct bkp_error *err);

/* "/bucket/key", encoded, or, with the bucket in the host name, "/key"; and the
 * Host header. bucket and key may be NULL. Appended, with a NUL behind
 * (link.c).
 */
int bkp_s3_path(const struct bkp_s3 *s3, const char *bucket, const char *key,
    struct fmt_buf *out, struct bkp_error *err);
int bkp_s3_host(const struct bkp_s3 *s3, const char *bucket,
    struct fmt_buf *out, struct bkp_error *err);

/* Adds versionId; NULL: the current version, so nothing (object.c). */
int bkp_s3_add_version(
    struct bkp_s3_fields *query, const char *version_id, struct bkp_error *err);

/* Sends a document with its digests (documents.c). The request has a query
 * and may have headers, which get more. */
int bkp_s3_send_document(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, const struct fmt_buf *text,
    struct bkp_s3_response *response, struct bkp_error *err);

/* Appends text as XML holds it; "\r" would be read as a line end. */
enum fmt_status bkp_s3_append_escaped(const char *text, struct fmt_buf *out);

/* Copies an ETag header without its quotes. */
int bkp_s3_copy_etag(const struct bkp_s3_response *response,
    struct fmt_buf *etag, struct bkp_error *err);

/* Adds Content-MD5. */
int bkp_s3_add_md5(struct bkp_s3_fields *headers, const unsigned char md5[16],
    struct bkp_error *err);

#endif
