/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_INDEX_FETCH_H
#define LIBBACKUP_REPOSITORY_INDEX_FETCH_H

/* Index objects on their way from the store into a file. */

#include "libbackup/repository/object.h"

/*
 * Fetches index/<name>, decrypts it into the file a piece at a time, and holds
 * what was fetched against the name. *plain_len: what the file holds then.
 * BKP_NOTFOUND: it is not there (any more). *is_file_bad (set in any case)
 * says that it was the file that would not take it.
 */
int bkp_index_fetch(struct bkp_store *store,
    const struct fmt_age_identity *metadata, size_t count, const char *name,
    int fd, uint64_t *plain_len, bool *is_file_bad, struct bkp_error *err);

#endif
