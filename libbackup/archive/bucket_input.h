/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_BUCKET_INPUT_H
#define LIBBACKUP_ARCHIVE_BUCKET_INPUT_H

/* An archive in a bucket, in one object or in parts, read by ranges of one
 * version of each. */

#include <stdint.h>

#include "formats/buf.h"
#include "libbackup/error.h"

/* Splits "s3://bucket/key"; both are the caller's (free()). */
int bkp_bucket_split(
    const char *location, char **bucket, char **key, struct bkp_error *err);

struct bkp_bucket_input;

struct bkp_s3_options;

/* options are borrowed for the call; NULL: endpoint and credentials are the
 * environment's (s3/credentials.h). */
int bkp_bucket_input_open(const char *location,
    const struct bkp_s3_options *options, struct bkp_bucket_input **out,
    struct bkp_error *err);
void bkp_bucket_input_close(struct bkp_bucket_input *input);
uint64_t bkp_bucket_input_size(const struct bkp_bucket_input *input);

/* Any thread. */
int bkp_bucket_input_read(struct bkp_bucket_input *input, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err);

#endif
