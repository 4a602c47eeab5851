/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_NAMED_KEYS_H
#define LIBBACKUP_OPERATIONS_NAMED_KEYS_H

/*
 * Keys that rows name, and whether there are objects of that name. The keys of
 * a reference come in the order of their bytes, are set aside, and are then
 * walked beside the objects of a bucket, which come in the same order: memory
 * does not grow with either.
 *
 *     bkp_named_new, bkp_named_add     for each reference
 *     bkp_match_new, bkp_match_see, bkp_match_finish     for its bucket
 *     bkp_named_tally, bkp_match_orphans     what came of it
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/error.h"

/* So many are told by name; more are only counted. */
#define BKP_NAMED_SHOWN 20

struct bkp_named;

int bkp_named_new(struct bkp_named **out, struct bkp_error *err);
void bkp_named_free(struct bkp_named *named); /* NULL is fine */

/* The same key again is no other one. BKP_IO where it comes before the last. */
int bkp_named_add(struct bkp_named *named, const char *key, size_t len,
    struct bkp_error *err);

struct bkp_key_tally {
	uint64_t count;               /* keys in all */
	uint64_t missing;             /* of which there is no object */
	char *shown[BKP_NAMED_SHOWN]; /* owned: the first of these */
	size_t shown_count;
};

/* `missing` when the match is finished. Borrowed. */
const struct bkp_key_tally *bkp_named_tally(const struct bkp_named *named);

/* ---- beside objects ---- */

struct bkp_match;

/* All of these are of one bucket; borrowed until free. */
int bkp_match_new(struct bkp_named *const *named, size_t count,
    struct bkp_match **out, struct bkp_error *err);
void bkp_match_free(struct bkp_match *match); /* NULL is fine */

/* There is an object of this key; in the order of their bytes. */
int bkp_match_see(
    struct bkp_match *match, const char *key, struct bkp_error *err);

/* There are no more. */
int bkp_match_finish(struct bkp_match *match, struct bkp_error *err);

/* Objects that no row names: of `count`, `missing` ones. Borrowed. */
const struct bkp_key_tally *bkp_match_orphans(const struct bkp_match *match);

#endif
