/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_CONDEMNED_H
#define FORMATS_CONDEMNED_H

/* A condemned list: packs that are to go. A signed record.
 * formats/condemned.md. */

#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

struct fmt_condemned {
	char repository[33]; /* hex id of the repository it belongs to */
	int64_t time_us;     /* when it was made, microseconds UTC */
	char (*packs)[65];   /* owned, sorted, nothing twice */
	size_t pack_count;
	unsigned char signer[32]; /* Ed25519 public key; set by decode */
};

#define FMT_CONDEMNED_INIT                                                     \
	{                                                                      \
		.packs = NULL                                                  \
	}

void fmt_condemned_free(struct fmt_condemned *condemned);

/* Appends both lines, signed with an Ed25519 seed. */
enum fmt_status fmt_condemned_encode(const struct fmt_condemned *condemned,
    const unsigned char seed[32], struct fmt_buf *out);

/* Reads it and checks the signature against the key that it names; whether
 * that key may say such a thing is the caller's question. FMT_UNSUPPORTED: a
 * newer version. */
enum fmt_status fmt_condemned_decode(
    const void *data, size_t len, struct fmt_condemned *out);

#endif
