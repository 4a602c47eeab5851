/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_FOLDER_H
#define LIBBACKUP_SOURCE_BUCKET_FOLDER_H

/*
 * A folder in place of a bucket, for a machine that has no object storage: each
 * object is a file, named by its key as far as a file system can hold that, and
 * with the time that it had. Of its other attributes a folder holds none.
 *
 * Names, below the folder: the path of the entry without "bucket/", component
 * by component.
 *   %XX   a control character, '%', or the dots of "." and ".."
 *   %     a component that is empty
 *   NAME%+/REST   a component that is too long for a name
 *   NAME%d        a delete marker; an empty file
 *   NAME%o        an object beside which there are others "below" it
 */

#include <stdbool.h>

#include "libbackup/source/source.h"

/* Appends the name of an entry's file, or the path of the entry that a file is
 * of ("uploads/a/b"); false in *is_marker: it is no delete marker. */
enum fmt_status bkp_bucket_folder_encode(
    const char *path, bool is_marker, struct fmt_buf *out);
enum fmt_status bkp_bucket_folder_decode(
    const char *name, struct fmt_buf *out, bool *is_marker);

/* What is behind the name of an object that others are below. */
#define BKP_BUCKET_FOLDER_ASIDE "%o"

/* The whole name of the file of an entry as it is now; the caller's. */
char *bkp_bucket_folder_file(const char *folder, const char *path,
    bool is_marker, struct bkp_error *err);

/* Makes the folders that a file is to be in, below `folder`. `file` is as it
 * was afterwards. */
int bkp_bucket_folder_make(
    const char *folder, char *file, struct bkp_error *err);

/* The kind `bucket` with such a place (bkp_bucket_config.folder). */
extern const struct bkp_kind bkp_kind_bucket_folder;

/* bucket_folder_source.c, bucket_folder_target.c */
int bkp_bucket_folder_source_open(const struct bkp_source_config *config,
    struct bkp_source **out, struct bkp_error *err);
int bkp_bucket_folder_target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err);

#endif
