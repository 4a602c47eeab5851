/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_INPUT_H
#define LIBBACKUP_ARCHIVE_INPUT_H

/*
 * The bytes of an archive as they are stored, read anywhere: a file, the parts
 * FILE.001, FILE.002, ... of one that was split, standard input ("-", which is
 * kept in a file without a name as it is, encrypted), or an object in a bucket
 * ("s3://bucket/key") or the parts of one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "formats/buf.h"
#include "libbackup/error.h"

struct bkp_archive_input;

/* True where the location is that of an archive, not of a folder. */
bool bkp_archive_is_location(const char *location);

struct bkp_s3_options;

/* options: how a bucket is reached, borrowed for the call; NULL: as the
 * environment says. */
int bkp_archive_input_open(const char *location,
    const struct bkp_s3_options *options, struct bkp_archive_input **out,
    struct bkp_error *err);
void bkp_archive_input_close(struct bkp_archive_input *input);

uint64_t bkp_archive_input_size(const struct bkp_archive_input *input);
/* What it is called in messages; borrowed. */
const char *bkp_archive_input_name(const struct bkp_archive_input *input);

/* Appends [offset, offset + len). Any thread. BKP_CORRUPT: it is shorter. */
int bkp_archive_input_read(struct bkp_archive_input *input, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err);

#endif
