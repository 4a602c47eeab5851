/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_UNPACK_OWN_H
#define LIBBACKUP_SUBJECT_UNPACK_OWN_H

/* What the ways to read an export share. */

#include "libbackup/subject/unpack.h"

/* A member: begin, put any number of times, end. Names that lead out of a
 * folder are refused. */
int bkp_unpack_begin(
    struct bkp_unpack *unpack, const char *name, struct bkp_error *err);
int bkp_unpack_put(struct bkp_unpack *unpack, const void *data, size_t len,
    struct bkp_error *err);
int bkp_unpack_end(struct bkp_unpack *unpack, struct bkp_error *err);

/* Every member of it, by those. */
int bkp_unpack_folder(
    struct bkp_unpack *unpack, const char *location, struct bkp_error *err);
int bkp_unpack_packed(struct bkp_unpack *unpack,
    const struct bkp_unpack_options *options, struct bkp_error *err);

/* Reads the manifest and compares everything with it. */
int bkp_unpack_prove(struct bkp_unpack *unpack, struct bkp_error *err);

#endif
