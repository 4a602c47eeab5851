/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_ETAG_H
#define LIBBACKUP_S3_ETAG_H

/*
 * Whether an ETag is what MD5 makes of the bytes: of all of them, or "-N" of
 * the MD5s of N parts. Servers that encrypt give ETags that are not; those
 * are tokens for change and nothing else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/error.h"

/* The number of parts an ETag tells of ("...-3"); 0: not multipart. */
unsigned bkp_s3_etag_parts(const char *etag);

/* True where it looks like the MD5 of all bytes. */
bool bkp_s3_etag_is_md5(const char *etag);

struct bkp_s3_etag;

/* The object has `size` bytes. part_sizes are borrowed until free; with a
 * count of 0 the usual sizes that fit are all tried at once. */
int bkp_s3_etag_new(const char *etag, uint64_t size, const uint64_t *part_sizes,
    size_t part_count, struct bkp_s3_etag **out, struct bkp_error *err);
int bkp_s3_etag_update(struct bkp_s3_etag *check, const void *data, size_t len,
    struct bkp_error *err);

/* After the last byte. *part_size is that of all parts but the last; 0 where
 * the sizes were given, or there are no parts. */
int bkp_s3_etag_finish(struct bkp_s3_etag *check, bool *is_match,
    uint64_t *part_size, struct bkp_error *err);
void bkp_s3_etag_free(struct bkp_s3_etag *check);

#endif
