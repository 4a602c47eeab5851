/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_FILE_H
#define LIBBACKUP_REPOSITORY_FILE_H

/* Small files that hold a secret. */

#include <stdbool.h>
#include <stddef.h>

#include "formats/buf.h"
#include "libbackup/error.h"

/* Makes a file that must not exist (mode 0600, synced with its name). On
 * failure there is no file that was not there before. */
int bkp_secret_file_write(
    const char *path, const void *data, size_t len, struct bkp_error *err);

/* Appends a file's bytes (at most 64 KiB). With is_private a file of this user
 * that others may read is BKP_AUTH. */
int bkp_secret_file_read(const char *path, bool is_private, struct fmt_buf *out,
    struct bkp_error *err);

#endif
