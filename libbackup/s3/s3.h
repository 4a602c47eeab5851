/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_S3_H
#define LIBBACKUP_S3_S3_H

/*
 * One client for every use of S3: requests signed here (SigV4), sent by
 * libcurl, tried again where that may help.
 *
 * What it does                       and where that is held to
 *   SigV4 in headers and in links    test_s3_sigv4 (the public cases),
 *                                    test_s3_examples (Amazon's own)
 *   path and virtual-host style, any endpoint and region, CA file
 *   credentials: given, environment, files, ~/.aws, session token
 *                                    test_s3_credentials, test_s3_tls.py
 *   streams both ways; ranges; a broken download goes on where it broke,
 *   from the same version; lengths checked           test_s3.py
 *   listings of objects, versions, uploads under way; none is believed that
 *   is out of order, repeats itself or breaks off    test_s3_versions.py
 *   tags, versions by their ids, versioning on and off
 *   object lock: a bucket's rule, retention and legal hold at the PUT and
 *   afterwards; locked is told from forbidden        test_s3_lock.py
 *   deletions: one, a thousand, versions; each that is kept is told
 *   PUT where there is nothing, and whether the server keeps to that
 *   parts in a row or at once, aborted on failure; ranges at once
 *                                    test_s3_parallel.py
 *   tries again with full jitter: SlowDown, 429, 5xx, timeouts, resets, short
 *   bodies, Retry-After (seconds or a date), errors under status 200, wrong
 *   clocks (by the server's Date)    test_s3.py
 *   fewer requests at once while the server has too many   test_s3_limiter
 * It does not copy on the server, set ACLs or policies, or send trailers. TLS
 * is verified always. Servers that know signature version 2 only: libs3.h.
 *
 * A struct bkp_s3 is an endpoint with credentials and is shared by threads; a
 * struct bkp_s3_connection is one thread's (one curl handle, kept alive).
 *
 * Errors begin with what was asked ("GET s3://bucket/key"), give the server's
 * Code, Message and HTTP status (also in err->sys), and what to do next. Codes:
 *   NOTFOUND     no such bucket, key or version
 *   AUTH         credentials, signature, permission or certificate; with
 *                BKP_S3_LOCKED (sys), object lock keeps a version
 *   EXISTS       bucket exists or is not empty; with 412 (sys), an object
 *                exists that was to be put where there is none
 *   INVALID      wrong endpoint, region or bucket name
 *   UNSUPPORTED  the server cannot hold this key, or cannot do this at all
 *   RETRY        still failing after all tries; or 412 (sys), a condition
 *   CORRUPT      an answer that breaks the protocol
 *   CANCELLED    the caller asked to stop
 */

#include <stdbool.h>
#include <stdint.h>

#include "formats/buf.h"
#include "libbackup/cancel.h"
#include "libbackup/error.h"
#include "libbackup/s3/fields.h"

struct bkp_limits;
struct bkp_s3;
struct bkp_s3_connection;

#define BKP_S3_LOCKED 423 /* err->sys: object lock refuses */

/* NULL and 0: the default. Borrowed during bkp_s3_new. */
struct bkp_s3_options {
	const char *endpoint; /* "https://host:port"; AWS by region */
	const char *region;
	const char *access_key, *secret_key, *session_token;
	const char *profile;
	const char *ca_file; /* AWS_CA_BUNDLE, then the system's */
	bool is_virtual_host;
	/* Signature version 2, by libs3; and where that cannot verify whom
	 * https is spoken with, speak it all the same. */
	bool is_v2, accepts_unverified_tls;
	unsigned tries;      /* of a request, in all: 6 */
	unsigned backoff_ms; /* first wait at most; doubles up to 20 s: 200 */
	unsigned connect_ms; /* to connect: 10,000 */
	unsigned stall_s;    /* without progress: 60 */
	/* The same until the server has answered anything; then two tries that
	 * hear nothing are enough to call it silent. 0: no difference. */
	unsigned first_s;
	/* Requests at the same time, of all connections, at most: 64. Fewer
	 * while the server says SlowDown or falls silent. */
	unsigned concurrency;
	struct bkp_limits *limits; /* base/rate.h; borrowed until bkp_s3_free */
};

/* What the configuration says of a bucket; borrowed from it. */
struct bkp_bucket_config;
struct bkp_s3_options bkp_s3_options_of(const struct bkp_bucket_config *config);

/* Finds credentials (credentials.h); speaks to nobody yet. */
int bkp_s3_new(const struct bkp_s3_options *options, struct bkp_s3 **out,
    struct bkp_error *err);
void bkp_s3_free(struct bkp_s3 *s3);

/* Borrowed; for messages and for what a snapshot remembers. */
const char *bkp_s3_endpoint(const struct bkp_s3 *s3);

/* Seconds that the server's clock is ahead of ours; not 0 only where a server
 * refused our time and its own had to be used. */
int64_t bkp_s3_clock_offset(const struct bkp_s3 *s3);

/* How many requests may run now; the rest waits for a while. */
unsigned bkp_s3_concurrency(struct bkp_s3 *s3);

/* An address that anybody can GET an object from for so many seconds (at the
 * most 604800, a week) from now. *url is the caller's. */
int bkp_s3_link(const struct bkp_s3 *s3, const char *bucket, const char *key,
    unsigned seconds, char **url, struct bkp_error *err);

/* s3 and cancel (may be NULL) are borrowed until disconnect. */
int bkp_s3_connect(struct bkp_s3 *s3, const struct bkp_cancel *cancel,
    struct bkp_s3_connection **out, struct bkp_error *err);
void bkp_s3_disconnect(struct bkp_s3_connection *connection);

/* ---- bytes ---- */

/* Takes bytes of an answer; 0, or -1 (with err set) to stop. */
typedef int bkp_s3_write_fn(
    void *arg, const void *data, size_t len, struct bkp_error *err);

/* What is sent: memory, or a stream that can start again (a request may be
 * tried more than once). read fills *got (0: end). */
struct bkp_s3_body {
	const void *data; /* memory; NULL: the stream */
	uint64_t size;
	int (*rewind)(void *arg, struct bkp_error *err);
	int (*read)(void *arg, void *to, size_t len, size_t *got,
	    struct bkp_error *err);
	void *arg;
};

struct bkp_s3_digests {
	char sha256[65]; /* hexadecimal */
	unsigned char md5[16];
};

/* Reads a body through, once. */
int bkp_s3_digest_body(const struct bkp_s3_body *body,
    struct bkp_s3_digests *out, struct bkp_error *err);
/* The same without MD5, which takes longer than all else, for who knows it. */
int bkp_s3_digest_sha256(const struct bkp_s3_body *body,
    struct bkp_s3_digests *out, struct bkp_error *err);

/* ---- buckets (bucket.c) ---- */

int bkp_s3_head_bucket(struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_error *err);
int bkp_s3_create_bucket(struct bkp_s3_connection *connection,
    const char *bucket, struct bkp_error *err);
/* With object lock, and so with versioning; it cannot be taken away. */
int bkp_s3_create_bucket_with_lock(struct bkp_s3_connection *connection,
    const char *bucket, struct bkp_error *err);
int bkp_s3_delete_bucket(struct bkp_s3_connection *connection,
    const char *bucket, struct bkp_error *err);

enum bkp_s3_versioning {
	BKP_S3_VERSIONING_OFF,
	BKP_S3_VERSIONING_ON,
	BKP_S3_VERSIONING_SUSPENDED,
	BKP_S3_VERSIONING_UNKNOWN /* the server cannot or will not say */
};

int bkp_s3_get_versioning(struct bkp_s3_connection *connection,
    const char *bucket, enum bkp_s3_versioning *out, struct bkp_error *err);
/* ON or SUSPENDED. */
int bkp_s3_set_versioning(struct bkp_s3_connection *connection,
    const char *bucket, enum bkp_s3_versioning versioning,
    struct bkp_error *err);

/* The server's clock, seconds since 1970, by the Date of its answer; asks for
 * the bucket. */
int bkp_s3_get_date(struct bkp_s3_connection *connection, const char *bucket,
    int64_t *date, struct bkp_error *err);

/* When it answered, by its clock, microseconds since 1970: from `from` on, and
 * before `to`. Servers that make their Date once a second and not for every
 * answer are behind by up to that; versitygw is one. */
struct bkp_s3_time {
	int64_t from, to;
};
int bkp_s3_get_time(struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_s3_time *out, struct bkp_error *err);

/* ---- listing (list.c) ---- */

struct bkp_s3_object {
	const char *key; /* bytes without NUL */
	uint64_t size;
	const char *etag;          /* without quotes */
	const char *last_modified; /* as the server wrote it */
	const char *storage_class; /* "" where it did not say */
	const char *tags; /* "a=1&b=2", encoded; NULL: it did not say */
};

/*
 * Every object below a prefix (NULL: all), once, in strictly increasing byte
 * order of the keys. A listing that is not so, repeats its token, or miscounts
 * is BKP_CORRUPT: a listing that cannot be trusted is not used.
 */
struct bkp_s3_listing;
int bkp_s3_list_open(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, struct bkp_s3_listing **out, struct bkp_error *err);
/* Asks for the tags of each object too, before the first of them. MinIO and
 * RustFS tell; others give the plain listing. */
void bkp_s3_list_ask_metadata(struct bkp_s3_listing *listing);
/* While a page is read, a thread asks for the next one. Until the listing is at
 * its end or closed, nobody else uses the connection. */
void bkp_s3_list_read_ahead(struct bkp_s3_listing *listing);
/* Only keys behind one (NULL: from the first) up to and with another (NULL: to
 * the last), before the first page is asked for. A server that does not know
 * where to begin begins at the first all the same. */
int bkp_s3_list_limit(struct bkp_s3_listing *listing, const char *behind,
    const char *last, struct bkp_error *err);
/* Where a listing may be cut: 1, and a key that is valid until the next call; 0
 * where there is none any more; -1. Keys come in their order. */
typedef int bkp_s3_bound_fn(void *arg, const char **key, struct bkp_error *err);
/* Asks for that many ranges at once, each by a connection (borrowed as the own
 * one is) and a thread. What comes is the same, wherever it is cut. Reads ahead
 * by itself; before the first object. */
int bkp_s3_list_split(struct bkp_s3_listing *listing,
    struct bkp_s3_connection **connections, unsigned count,
    bkp_s3_bound_fn *bound, void *arg, struct bkp_error *err);
/* 1: *object is valid until the next call; 0: end; -1. */
int bkp_s3_list_next(struct bkp_s3_listing *listing,
    struct bkp_s3_object *object, struct bkp_error *err);
void bkp_s3_list_close(struct bkp_s3_listing *listing);

/* ---- versions (versions.c) ---- */

struct bkp_s3_version {
	const char *key;
	const char *version_id; /* "null": written without versioning */
	bool is_latest, is_delete_marker;
	uint64_t size;             /* as etag, of a delete marker: 0 */
	const char *etag;          /* without quotes; "" of a delete marker */
	const char *last_modified; /* as the server wrote it */
	int64_t modified_us;       /* since 1970: the end of what that tells */
	const char *storage_class; /* "" where it did not say */
	const char *tags; /* "a=1&b=2", encoded; NULL: it did not say */
};

/* Whether the id is a ULID, as versitygw names versions: such are in the order
 * of time. */
bool bkp_s3_is_time_ordered(const char *version_id);

/*
 * Every version and delete marker below a prefix (NULL: all), once: keys in
 * byte order, of each key the newest first. Held to that as bkp_s3_list_next
 * is; the order of one key's versions is the server's word, and only that the
 * latest comes first is checked. AWS dates a multipart object by the beginning
 * of its upload. A bucket without versioning gives its objects as version
 * "null"; a server without versions is BKP_UNSUPPORTED.
 */
struct bkp_s3_versions;
int bkp_s3_versions_open(struct bkp_s3_connection *connection,
    const char *bucket, const char *prefix, struct bkp_s3_versions **out,
    struct bkp_error *err);
/* As bkp_s3_list_ask_metadata. */
void bkp_s3_versions_ask_metadata(struct bkp_s3_versions *versions);
/* 1: *version is valid until the next call; 0: end; -1. */
int bkp_s3_versions_next(struct bkp_s3_versions *versions,
    struct bkp_s3_version *version, struct bkp_error *err);
void bkp_s3_versions_close(struct bkp_s3_versions *versions);

/* As the calls below without "_version", which are these with version_id NULL:
 * the current one. A version that is a delete marker is BKP_NOTFOUND to all but
 * the deletion. */
int bkp_s3_head_version(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id, unsigned part,
    struct bkp_s3_fields *headers, struct bkp_error *err);
/* With a version id: that version or marker, for good. Without, in a bucket
 * with versioning: a delete marker is put on top. */
int bkp_s3_delete_version(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id,
    struct bkp_error *err);
int bkp_s3_get_tags_version(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id,
    struct bkp_s3_fields *tags, struct bkp_error *err);
int bkp_s3_put_tags_version(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id,
    const struct bkp_s3_fields *tags, struct bkp_error *err);

/* ---- objects (object.c) ---- */

/* Response headers (lower case names) are added to `headers`. part 0: the
 * whole object, else `?partNumber=`. */
int bkp_s3_head(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, unsigned part, struct bkp_s3_fields *headers,
    struct bkp_error *err);

struct bkp_s3_get_options {
	const char *if_match;   /* an ETag without quotes; NULL: any */
	const char *version_id; /* NULL: the current one */
	uint64_t first, len;    /* a range of bytes; len 0: the whole object */
	/* Called once, before the first byte, with the headers of the answer.
	 * May be NULL. */
	int (*begin)(void *arg, const struct bkp_s3_fields *headers,
	    struct bkp_error *err);
	bkp_s3_write_fn *write;
	void *arg;
};

/* Streams an object. A broken transfer goes on where it broke, from the same
 * version of the object. The length is always checked. */
int bkp_s3_get(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_get_options *options,
    struct bkp_error *err);

/* Sends an object, its bytes signed and with Content-MD5. `headers` are the
 * caller's own (content-type, x-amz-meta-*, x-amz-tagging ...; NULL: none).
 * digests NULL: computed by reading the body first. etag, where it is not
 * NULL, gets the answer's ETag without quotes. */
int bkp_s3_put(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_fields *headers,
    const struct bkp_s3_body *body, const struct bkp_s3_digests *digests,
    struct fmt_buf *etag, struct bkp_error *err);

struct bkp_s3_lock;

struct bkp_s3_put_options {
	const struct bkp_s3_fields *headers;  /* as bkp_s3_put */
	const struct bkp_s3_body *body;       /* required */
	const struct bkp_s3_digests *digests; /* NULL: computed */
	const struct bkp_s3_lock *lock;       /* NULL: the bucket's own rule */
	/* BKP_EXISTS (sys 412) where the key has an object. Servers ignore this
	 * without a word: bkp_s3_probe_if_absent tells, and what depends on
	 * it must be right without. */
	bool if_absent;
};

struct bkp_s3_put_result {
	struct fmt_buf etag;       /* text without quotes */
	struct fmt_buf version_id; /* text; "" where there are no versions */
};

#define BKP_S3_PUT_RESULT_INIT                                                 \
	{                                                                      \
		FMT_BUF_INIT, FMT_BUF_INIT                                     \
	}

void bkp_s3_put_result_free(struct bkp_s3_put_result *result);

/* bkp_s3_put with all that can be said. result: NULL, or INIT and the
 * caller's. Where the answer to a first try was lost, an object that is in the
 * way and has the same bytes is taken for our own: give a lock's holder
 * bytes of its own. */
int bkp_s3_put_object(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_put_options *options,
    struct bkp_s3_put_result *result, struct bkp_error *err);

/* Puts a byte twice below a prefix (NULL: none) and removes it: *is_kept where
 * the server held the second against the condition of if_absent. */
int bkp_s3_probe_if_absent(struct bkp_s3_connection *connection,
    const char *bucket, const char *prefix, bool *is_kept,
    struct bkp_error *err);

int bkp_s3_delete(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, struct bkp_error *err);

/* Deletes up to 1000 keys; any that the server keeps is an error. */
int bkp_s3_delete_many(struct bkp_s3_connection *connection, const char *bucket,
    char *const *keys, size_t count, struct bkp_error *err);

struct bkp_s3_doomed {
	const char *key;
	const char *version_id; /* NULL: as bkp_s3_delete */
};

/* Told of what the server keeps, and why; 0 to go on, -1 (with err set). */
typedef int bkp_s3_kept_fn(void *arg, const char *key, const char *version_id,
    const struct bkp_error *why, struct bkp_error *err);

/* Deletes up to 1000 versions or keys; what is not there is no error. kept
 * NULL: the first that the server keeps is the error. */
int bkp_s3_delete_versions(struct bkp_s3_connection *connection,
    const char *bucket, const struct bkp_s3_doomed *doomed, size_t count,
    bkp_s3_kept_fn *kept, void *arg, struct bkp_error *err);

/* Adds the tags to a list; replaces them. */
int bkp_s3_get_tags(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, struct bkp_s3_fields *tags, struct bkp_error *err);
int bkp_s3_put_tags(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_fields *tags, struct bkp_error *err);

/* ---- object lock (lock.c) ---- */

enum bkp_s3_lock_mode {
	BKP_S3_LOCK_NONE,
	BKP_S3_LOCK_GOVERNANCE, /* who has a permission can take it away */
	BKP_S3_LOCK_COMPLIANCE  /* nobody can */
};

/* Of a version. */
struct bkp_s3_lock {
	enum bkp_s3_lock_mode mode;
	int64_t until; /* seconds since 1970; where mode is not NONE */
	bool has_legal_hold;
};

/* Of a bucket: whether it has object lock, and what a version gets that is put
 * without a lock of its own (days or years, the other is 0). */
struct bkp_s3_lock_rule {
	bool is_enabled;
	enum bkp_s3_lock_mode mode; /* NONE: nothing */
	unsigned days, years;
};

/* A bucket or a server without object lock is not enabled, no error. */
int bkp_s3_get_lock_rule(struct bkp_s3_connection *connection,
    const char *bucket, struct bkp_s3_lock_rule *out, struct bkp_error *err);
int bkp_s3_set_lock_rule(struct bkp_s3_connection *connection,
    const char *bucket, const struct bkp_s3_lock_rule *rule,
    struct bkp_error *err);

/* Adds the headers that lock what is put or begun (bkp_s3_upload_begin); reads
 * those that head and get answer. A server leaves them out where there is no
 * lock, and where the credentials may not see it. */
int bkp_s3_add_lock(struct bkp_s3_fields *headers,
    const struct bkp_s3_lock *lock, struct bkp_error *err);
int bkp_s3_read_lock(const struct bkp_s3_fields *headers,
    struct bkp_s3_lock *lock, struct bkp_error *err);

/* Asks for it by itself, which are two requests (BKP_AUTH: not for these
 * credentials). Versitygw leaves those headers out where a version is not the
 * current one any more. */
int bkp_s3_get_lock(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, struct bkp_s3_lock *out,
    struct bkp_error *err);

/* Sets a retention or makes it longer; one that is there is never made shorter
 * (BKP_AUTH, sys BKP_S3_LOCKED). version_id NULL: the current one. */
int bkp_s3_put_retention(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id,
    enum bkp_s3_lock_mode mode, int64_t until, struct bkp_error *err);
int bkp_s3_put_legal_hold(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id, bool is_on,
    struct bkp_error *err);

/* ---- multipart (multipart.c) ---- */

struct bkp_s3_upload; /* one object under way; one thread's */

int bkp_s3_upload_begin(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const struct bkp_s3_fields *headers,
    struct bkp_s3_upload **out, struct bkp_error *err);
/* Parts come in order, each read twice: digested, then sent. */
int bkp_s3_upload_part(struct bkp_s3_upload *upload,
    const struct bkp_s3_body *body, struct bkp_error *err);
/* Puts the parts together. etag as in bkp_s3_put. */
int bkp_s3_upload_complete(
    struct bkp_s3_upload *upload, struct fmt_buf *etag, struct bkp_error *err);
/* The same, and tells the version too; result as in bkp_s3_put_object. */
int bkp_s3_upload_finish(struct bkp_s3_upload *upload,
    struct bkp_s3_put_result *result, struct bkp_error *err);
/* Aborts on the server what was not completed, and frees. NULL is fine. */
void bkp_s3_upload_end(struct bkp_s3_upload *upload);

/* Parts in any order: their number is told first; each is then sent by any
 * thread, once, through a connection of that thread. */
int bkp_s3_upload_expect(
    struct bkp_s3_upload *upload, size_t count, struct bkp_error *err);
int bkp_s3_upload_part_at(struct bkp_s3_upload *upload,
    struct bkp_s3_connection *connection, unsigned number,
    const struct bkp_s3_body *body, struct bkp_error *err);

/* ---- large objects over several connections (parallel.c) ---- */

/* An object that is read once, on the caller's thread. */
struct bkp_s3_parts {
	const uint64_t *sizes; /* of each part, by which the ETag is made */
	size_t count;
	int (*read)(void *arg, void *to, size_t len, size_t *got,
	    struct bkp_error *err);
	void *arg;
};

/* Sends an object in parts, as many at once as there are connections, and
 * aborts it where one fails. One part more than that is in memory. headers and
 * result as in bkp_s3_put_object. */
int bkp_s3_put_parts(struct bkp_s3_connection *const *connections,
    unsigned count, const char *bucket, const char *key,
    const struct bkp_s3_fields *headers, const struct bkp_s3_parts *parts,
    struct bkp_s3_put_result *result, struct bkp_error *err);

/* bkp_s3_get of a whole object of `size` bytes, in ranges, as many at once as
 * there are connections; options->begin (headers of the first range) and write
 * are called on the caller's thread, in order. One range more than that is in
 * memory. options names an ETag or a version, and no range. */
int bkp_s3_get_ranges(struct bkp_s3_connection *const *connections,
    unsigned count, const char *bucket, const char *key,
    const struct bkp_s3_get_options *options, uint64_t size, uint64_t range,
    struct bkp_error *err);

/* ---- uploads that nobody finished (uploads.c) ---- */

struct bkp_s3_leftover {
	const char *key, *upload_id;
	const char *begun; /* as the server wrote it */
	int64_t begun_us;  /* since 1970: the end of what that tells */
};

/* Every upload under way below a prefix (NULL: all), ours and others', in no
 * order. MinIO names those begun since it was started. */
struct bkp_s3_uploads;
int bkp_s3_uploads_open(struct bkp_s3_connection *connection,
    const char *bucket, const char *prefix, struct bkp_s3_uploads **out,
    struct bkp_error *err);
/* 1: *leftover is valid until the next call; 0: end; -1. */
int bkp_s3_uploads_next(struct bkp_s3_uploads *uploads,
    struct bkp_s3_leftover *leftover, struct bkp_error *err);
void bkp_s3_uploads_close(struct bkp_s3_uploads *uploads);

/* Frees what it holds on the server; one that is gone is no error. */
int bkp_s3_abort_upload(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *upload_id,
    struct bkp_error *err);

#endif
