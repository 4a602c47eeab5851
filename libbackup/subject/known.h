/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_KNOWN_H
#define LIBBACKUP_SUBJECT_KNOWN_H

/*
 * By what a subject is known for good: the values of its key as the server
 * writes them, which a hash of them must be made of. "007" is the number 7, and
 * a value that the column would cut or round is nobody's.
 */

#include "libbackup/subject/walk.h"

struct bkp_known {
	struct bkp_strings values; /* owned: in the order of the map's key */
	bool is_there;             /* its row is */
};

#define BKP_KNOWN_INIT                                                         \
	{                                                                      \
		{NULL, 0}, false                                               \
	}

/*
 * BKP_INVALID: there can be no such value in the column. BKP_UNSUPPORTED: of a
 * type or collation in which values are equal that are written differently
 * (citext), so that nobody could tell later how it was written.
 */
int bkp_known_find(struct bkp_walk *walk, const char *const *key,
    size_t key_count, struct bkp_known *out, struct bkp_error *err);
void bkp_known_free(struct bkp_known *known);

#endif
