/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PRESENCE_H
#define FORMATS_PRESENCE_H

/* A session: somebody is at work. A signed record. formats/presence.md. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

/* Which process it is, for those on the same machine. */
struct fmt_process {
	char machine[33]; /* hex; the same on no other machine */
	char boot[37];    /* of this boot */
	char space[33];   /* the namespace that the id is of */
	int64_t pid;      /* 0: not known, and the others are "" and 0 */
	uint64_t start;   /* clock ticks after the boot */
};

#define FMT_PRESENCE_CONTEXT "libbackup session v1"

struct fmt_presence {
	char repository[33]; /* hex id of the repository it belongs to */
	char session[33];    /* hex id, and the name of the object */
	char what[16];       /* "backup", "prune", ... */
	char host[65];       /* of the writer; longer ones are cut */
	int64_t began_us;    /* by the server's clock; 0: not known yet */
	bool is_ended;
	char (*heeds)[65]; /* owned, sorted: condemned lists that it has read */
	size_t heed_count;
	struct fmt_process process;
	unsigned char signer[32]; /* Ed25519 public key; set by decode */
};

#define FMT_PRESENCE_INIT                                                      \
	{                                                                      \
		.heeds = NULL                                                  \
	}

void fmt_presence_free(struct fmt_presence *presence);

/* Appends both lines, signed with an Ed25519 seed. */
enum fmt_status fmt_presence_encode(const struct fmt_presence *presence,
    const unsigned char seed[32], struct fmt_buf *out);

/* Reads it and checks the signature against the key that it names; whether
 * that key is a known writer's is the caller's question. FMT_UNSUPPORTED: a
 * newer version. */
enum fmt_status fmt_presence_decode(
    const void *data, size_t len, struct fmt_presence *out);

#endif
