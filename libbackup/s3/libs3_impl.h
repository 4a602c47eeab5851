/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_LIBS3_IMPL_H
#define LIBBACKUP_S3_LIBS3_IMPL_H

/* Between the files of the libs3 driver. */

#include <libs3.h>

#include "libbackup/s3/libs3.h"

#define LIBS3_METADATA_MAX 100
#define LIBS3_META_NAME_MAX (S3_MAX_METADATA_SIZE + 16)

struct bkp_s3_libs3 {
	const struct bkp_s3 *s3;   /* borrowed */
	S3RequestContext *context; /* NULL: made by the next call */
	bool are_ranges_proven;    /* this server gives the ranges asked for */
};

/* One call of libs3: what its callbacks see. */
struct libs3_call {
	struct bkp_s3_connection *connection;
	const struct bkp_s3_request *request;
	struct bkp_s3_response *response;
	struct bkp_error error; /* of our own side; code BKP_OK: none */
	uint64_t sent, received;
	uint64_t announced; /* the length of the answer; 0: none, or not told */

	/* How it ended. */
	bool is_complete;
	S3Status status;
	char message[256]; /* the server's */

	/* Of a GET. */
	uint64_t first, len;
	bool is_range, is_size_known;
	uint64_t size; /* of the whole object */
	S3GetConditions conditions;

	/* Of a PUT. */
	S3PutProperties properties;
	S3NameValue metadata[LIBS3_METADATA_MAX];
	char *filename; /* owned */

	/* Of a listing. */
	const char *prefix, *marker; /* NULL: none */
	struct fmt_buf *last_key;
	size_t keys; /* in this answer */
};

/* Gives libs3 the call. */
typedef void libs3_start_fn(
    struct libs3_call *call, const S3BucketContext *bucket);

/* Makes the call and waits for its end (libs3_call.c). */
enum bkp_s3_end bkp_s3_libs3_call(
    struct libs3_call *call, libs3_start_fn *start, struct bkp_error *err);

/* The answer's properties as headers. A callback of libs3, as the next. */
S3Status bkp_s3_libs3_take_properties(
    const S3ResponseProperties *properties, void *arg);
void bkp_s3_libs3_take_end(
    S3Status status, const S3ErrorDetails *details, void *arg);

/* Judges how a call ended on the other side (libs3_judge.c). */
enum bkp_s3_end bkp_s3_libs3_judge(
    const struct libs3_call *call, struct bkp_error *err);

bool bkp_s3_libs3_is_listing(const struct bkp_s3_request *request);

/* What libs3 has no words for, or gets wrong: BKP_UNSUPPORTED, named
 * (libs3_limits.c). */
int bkp_s3_libs3_limit(
    const struct bkp_s3_request *request, struct bkp_error *err);
int bkp_s3_libs3_limit_account(const struct bkp_s3 *s3, struct bkp_error *err);
int bkp_s3_libs3_limit_listed(const char *key, struct bkp_error *err);

/* Headers of a PUT as libs3 wants them; of a GET (libs3_headers.c). */
int bkp_s3_libs3_put_headers(struct libs3_call *call, struct bkp_error *err);
int bkp_s3_libs3_get_headers(struct libs3_call *call, struct bkp_error *err);

/* A page of a listing, as the document that list.c reads (libs3_list.c). */
enum bkp_s3_end bkp_s3_libs3_list(
    struct libs3_call *call, struct bkp_error *err);

#endif
