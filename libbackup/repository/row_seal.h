/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_ROW_SEAL_H
#define LIBBACKUP_REPOSITORY_ROW_SEAL_H

/*
 * A seal tells whether rows are the same as before, at a fifth of what their
 * id costs: GMAC (NIST SP 800-38D) over the bytes, with AES-256, under a key of
 * the repository and a random nonce. Who has not got the key can make two
 * chunks of one seal with a chance of their length in 2^132, whatever he knows
 * of others.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libbackup/error.h"

#define BKP_SEAL_KEY 32

struct bkp_row_seal {
	unsigned char nonce[12];
	unsigned char tag[16];
};

/* One thread's; starts as NULL. */
struct bkp_sealer;

int bkp_sealer_new(const unsigned char key[BKP_SEAL_KEY],
    struct bkp_sealer **out, struct bkp_error *err);
void bkp_sealer_free(struct bkp_sealer *sealer); /* NULL is fine */

int bkp_seal_make(struct bkp_sealer *sealer, const void *data, size_t len,
    struct bkp_row_seal *out, struct bkp_error *err);

/* Whether the bytes are those that the seal was made of; false also where that
 * cannot be said. */
bool bkp_seal_fits(struct bkp_sealer *sealer, const struct bkp_row_seal *seal,
    const void *data, size_t len);

#endif
