/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_PARTS_H
#define LIBBACKUP_ARCHIVE_PARTS_H

/* The files of an archive that was split: FILE.001, FILE.002, ..., or with
 * five digits where there may be more than 999, so that `cat FILE.*` puts them
 * together in order. */

#include <stdbool.h>
#include <stddef.h>

#include "libbackup/error.h"

/* The name of part n (from 1); the caller's (free()). */
char *bkp_archive_part_name(
    const char *location, size_t n, int digits, struct bkp_error *err);

/* True where there is any part. */
bool bkp_archive_has_parts(const char *location);

/* 0 where a file that is there may be an archive; BKP_INVALID where it is one
 * part of an archive: err says how to name that. */
int bkp_archive_part_refuse(const char *path, struct bkp_error *err);

struct bkp_archive_parts {
	char **names; /* owned */
	size_t count, cap;
};

#define BKP_ARCHIVE_PARTS_INIT                                                 \
	{                                                                      \
		NULL, 0, 0                                                     \
	}

/* The parts that are there, in order. BKP_NOTFOUND: there is none.
 * BKP_CORRUPT: one is missing between others, and is named. Whether the last
 * one is missing is for the archive's end to tell. */
int bkp_archive_parts_find(
    const char *location, struct bkp_archive_parts *out, struct bkp_error *err);
void bkp_archive_parts_free(struct bkp_archive_parts *parts);

#endif
