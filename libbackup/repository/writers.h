/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_WRITERS_H
#define LIBBACKUP_REPOSITORY_WRITERS_H

/*
 * Who may write: writers/<name> holds a line of JSON about a host and its
 * public key, and a second line with the administrators' signature over the
 * first, its newline included.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libbackup/repository/key_ring.h"
#include "libbackup/repository/object.h"

struct bkp_writer {
	unsigned char public_key[32];
	char name[BKP_WRITER_NAME];
};

struct bkp_writers {
	struct bkp_writer *items; /* owned */
	size_t count, cap;
	/* One damaged object must not lock everybody out; what is then missing
	 * is told when it is missed. */
	struct bkp_error damage; /* of the first one that was left out */
};

#define BKP_WRITERS_INIT                                                       \
	{                                                                      \
		NULL, 0, 0, BKP_ERROR_INIT                                     \
	}

/* Registers the ring's own writer; needs has_admin. Writes the name. */
int bkp_writer_put(struct bkp_store *store, const struct bkp_key_ring *ring,
    int64_t created_us, char name[BKP_OBJECT_NAME], struct bkp_error *err);

/* Reads all writers that the administrators signed for. */
int bkp_writers_load(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_writers *out, struct bkp_error *err);
void bkp_writers_free(struct bkp_writers *writers);

bool bkp_writers_has(
    const struct bkp_writers *writers, const unsigned char key[32]);

#endif
