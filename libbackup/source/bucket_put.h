/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_PUT_H
#define LIBBACKUP_SOURCE_BUCKET_PUT_H

#include "libbackup/base/slots.h"
#include "libbackup/s3/s3.h"
#include "libbackup/source/source.h"

/* What was wrong. Where an object was not put and none of these is set, it is
 * the server's fault. */
struct bkp_bucket_fault {
	bool is_lost;    /* the repository has lost it (BKP_CORRUPT) */
	bool is_ours;    /* it could not be read there */
	bool is_altered; /* it is there, and is not what was sent */
	bool lacks_tags; /* it was put without its tags: the server has none */
};

/*
 * Sends an entry's bytes from its chunks with all of its attributes, cut as
 * it was cut, and compares what the server says it has. BKP_UNSUPPORTED: the
 * server cannot hold it. BKP_CORRUPT: what arrived is not what was sent, or,
 * by *fault, the repository has lost it, and nothing was sent. is_locking: with
 * the object lock that it had, as far as that is not over.
 */
int bkp_bucket_put(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct fmt_entry *entry, bool is_locking,
    struct bkp_supply *supply, struct bkp_slots *slots,
    struct bkp_bucket_fault *fault, struct bkp_error *err);

#endif
