/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libs3. */
#include "libbackup/base/fail.h"
#include "libbackup/s3/libs3.h"

static int
refuse(struct bkp_error *err)
{
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "signature version 2 needs libs3, and this build is without it: "
	    "build again where libs3 is (configure --with-libs3), or, if the "
	    "server knows version 4, leave out \"signature\"");
}

bool
bkp_s3_libs3_is_built(void)
{
	return false;
}

int
bkp_s3_libs3_check(
    const struct bkp_s3 *s3, bool accepts_unverified_tls, struct bkp_error *err)
{
	(void)s3;
	(void)accepts_unverified_tls;
	return refuse(err);
}

int
bkp_s3_libs3_open(
    const struct bkp_s3 *s3, struct bkp_s3_libs3 **out, struct bkp_error *err)
{
	(void)s3;
	(void)out;
	return refuse(err);
}

void
bkp_s3_libs3_close(struct bkp_s3_libs3 *libs3)
{
	(void)libs3;
}

enum bkp_s3_end
bkp_s3_libs3_try(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err)
{
	(void)connection;
	(void)request;
	(void)response;
	(void)refuse(err);
	return BKP_S3_FAILED;
}
