/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_RESERVE_H
#define LIBBACKUP_REPOSITORY_RESERVE_H

/*
 * Room that is kept for a prune: a disk that is full to the brim has none for
 * what a prune writes before it may delete. The object "reserve" holds random
 * bytes (a file system may store others in no room at all), means nothing, and
 * may be deleted at any time. Buckets have none.
 */

#include <stdbool.h>

#include "libbackup/store/store.h"

#define BKP_RESERVE "reserve"
#define BKP_RESERVE_SIZE ((size_t)1 << 20)

/* Stores it where it is missing. */
int bkp_reserve_keep(struct bkp_store *store, struct bkp_error *err);

/* True where the error says that the store is full. */
bool bkp_reserve_is_full(const struct bkp_error *err);

/* Gives the room back where `err` says that the store is full; true: it is
 * worth another try, and *err is as new. Otherwise it may say what to do. */
bool bkp_reserve_release(struct bkp_store *store, struct bkp_error *err);

#endif
