/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_LIBS3_H
#define LIBBACKUP_S3_LIBS3_H

/*
 * Inside libbackup/s3: servers that know only signature version 2, spoken to
 * by libs3.
 *
 * It takes the place of one try (bkp_s3_try), so that what is above it (tries
 * and their waits, transfers that go on, what a listing must be to be believed)
 * is the same for both. A request that libs3 has no words for is refused here,
 * by name, as BKP_UNSUPPORTED; so whatever is new in s3.h is refused until it
 * is taught.
 *
 * Built with libs3 or without (libs3_none.c, which refuses all).
 */

#include "libbackup/s3/request.h"

struct bkp_s3_libs3; /* one connection's; one thread's */

/* Whether this build has libs3. */
bool bkp_s3_libs3_is_built(void);

/* Whether libs3 is there and may be used with this endpoint. */
int bkp_s3_libs3_check(const struct bkp_s3 *s3, bool accepts_unverified_tls,
    struct bkp_error *err);

/* s3 is borrowed until close, which takes NULL too. */
int bkp_s3_libs3_open(
    const struct bkp_s3 *s3, struct bkp_s3_libs3 **out, struct bkp_error *err);
void bkp_s3_libs3_close(struct bkp_s3_libs3 *libs3);

/* As bkp_s3_try; `response` is empty. */
enum bkp_s3_end bkp_s3_libs3_try(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err);

#endif
