/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_PARTS_H
#define LIBBACKUP_ARCHIVE_PARTS_H

/* The files, or objects, of an archive that was split: FILE.001, FILE.002,
 * ..., or with five digits where there may be more than 999, so that
 * `cat FILE.*` puts them together in order. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/error.h"

#define BKP_ARCHIVE_PARTS_FEW 999    /* that three digits count */
#define BKP_ARCHIVE_PARTS_MANY 99999 /* and five */

/* How many digits the numbers of the parts have, where about so many bytes at
 * the most are written (0: nobody knows). */
int bkp_archive_part_digits(uint64_t expected, uint64_t split);

/* 0 where one more than `count` is possible. */
int bkp_archive_part_allow(
    size_t count, int digits, uint64_t split, struct bkp_error *err);

/* The name of part n (from 1); the caller's (free()). */
char *bkp_archive_part_name(
    const char *location, size_t n, int digits, struct bkp_error *err);

/* The number that `name` has as a part of `base`; 0: it is none. */
size_t bkp_archive_part_number(const char *name, const char *base, int digits);

/* The number that a name ends in, if that may be the name of a part: *base is
 * then the length of what stands before it. 0: it may not. */
size_t bkp_archive_part_of(const char *name, size_t *base, int *digits);

/* How an archive begins, and none of its later parts. */
#define BKP_ARCHIVE_INTRO "age-encryption.org/"

/* Tells how to name an archive of which one part was named. */
int bkp_archive_part_fail(const char *name, size_t base, struct bkp_error *err);

/* Tells that a part between others is not there. */
int bkp_archive_part_missing(
    const char *location, const char *part, struct bkp_error *err);

/* 0 where a part that is not the last has as many bytes as the largest: that is
 * how one that is cut is found. */
int bkp_archive_part_check(const char *location, const char *part,
    uint64_t size, uint64_t largest, struct bkp_error *err);

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
