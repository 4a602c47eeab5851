/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPORT_SAVE_H
#define LIBBACKUP_OPERATIONS_REPORT_SAVE_H

/* Files that others read while they are replaced. */

#include <stddef.h>
#include <sys/types.h>

#include "formats/buf.h"
#include "libbackup/error.h"

/* Makes or replaces a regular file, also behind a symbolic link, by a rename;
 * readable by whom the umask lets. What is no regular file is written to. */
int bkp_report_file_write(
    const char *file, const void *data, size_t len, struct bkp_error *err);

/* The same with these modes, whatever the umask; 0: as above. */
int bkp_report_file_write_mode(const char *file, mode_t mode, const void *data,
    size_t len, struct bkp_error *err);

/* Reads a regular file that is not large. -1: there is none. */
int bkp_report_file_read(const char *file, struct fmt_buf *out);

#endif
