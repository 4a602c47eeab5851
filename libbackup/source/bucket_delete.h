/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_DELETE_H
#define LIBBACKUP_SOURCE_BUCKET_DELETE_H

#include "libbackup/s3/s3.h"
#include "libbackup/source/source.h"

/*
 * Deletes the objects of a bucket that are within what was chosen, and that
 * the snapshot has not. Only below the prefix that was backed up. A snapshot
 * that does not tell it, has nothing there, or whose list is damaged, is no
 * reason to delete anything: an omission says so. What the server keeps is one,
 * too.
 */
int bkp_bucket_delete_others(struct bkp_s3_connection *connection,
    const char *bucket, struct bkp_supply *supply, struct bkp_error *err);

#endif
