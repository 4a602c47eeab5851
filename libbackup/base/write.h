/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_WRITE_H
#define LIBBACKUP_BASE_WRITE_H

/* What write(2) leaves to its callers. */

#include <stddef.h>

#include "libbackup/error.h"

/* Writes all of it where the descriptor stands, however often it takes. -1:
 * errno says why. */
int bkp_write_all(int fd, const void *data, size_t len);

/* Makes the name of a file last: syncs the folder that holds it. */
int bkp_sync_folder_of(const char *path, struct bkp_error *err);

#endif
