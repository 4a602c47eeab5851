/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_TEMPORARY_H
#define LIBBACKUP_BASE_TEMPORARY_H

/* Things that are gone when we are done. */

#include "libbackup/error.h"

/* Where they are made: $TMPDIR, or /tmp. Borrowed. */
const char *bkp_temporary_directory(void);

/* A file without a name, for reading and writing, that ends with its
 * descriptor. The descriptor, or -1. */
int bkp_temporary_file(struct bkp_error *err);

/* Removes a folder of ours and all below it, as far as that goes, without
 * following links. NULL is fine. */
void bkp_temporary_remove(const char *path);

#endif
