/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_SNAPSHOT_H
#define FORMATS_SNAPSHOT_H

/*
 * A snapshot: one moment of all sources. Two lines of JSON: the snapshot, and
 * the writer's Ed25519 signature over the first line. formats/snapshot.md.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/claims.h"
#include "formats/entry.h"
#include "formats/status.h"

/* What one source gave. */
struct fmt_snapshot_source {
	char *prefix; /* owned: "postgres/app", the prefix of its paths */
	char *kind;   /* owned: "postgres", "bucket", "files", "command" */
	json_t *info; /* owned: facts of the moment (server version, LSN...) */
	struct fmt_chunk_ref *list; /* owned: chunks of its entry list */
	size_t list_count;
	uint64_t entries, bytes; /* in the list; plaintext bytes */
};

struct fmt_snapshot {
	char repository[33]; /* hex id of the repository it belongs to */
	char *host;          /* owned: who wrote it */
	int64_t time_us;     /* the recovery point, microseconds UTC */
	int64_t finished_us; /* when it was committed */
	uint64_t sequence;   /* 1, 2, 3... of this writer */
	char previous[65];   /* name of this writer's previous one, or "" */
	char session[33];    /* id of the session that wrote it, or "" */
	char run[33];        /* id of the run: that of snapshots in other
				repositories that are of the same moment; or "" */
	char (*seen)[65];    /* owned: names of the snapshots, of any writer,
				that nothing came after when it was made */
	size_t seen_count;
	uint64_t roster;     /* number of the roster that was valid then */
	uint64_t checkpoint; /* the highest number of one that was known */
	uint64_t erasures;   /* how many entries of the ledger there were */
	struct fmt_claim *claims; /* owned, sorted: proofs that were known */
	size_t claim_count;
	char **tags; /* owned */
	size_t tag_count;
	json_t *omissions; /* owned: array of {path, reason}; empty: whole */
	uint64_t stored_bytes; /* what it added to the repository */
	uint64_t new_chunks, known_chunks;
	struct fmt_snapshot_source *sources; /* owned, sorted by prefix */
	size_t source_count;
	unsigned char signer[32]; /* Ed25519 public key; set by decode */
};

#define FMT_SNAPSHOT_INIT                                                      \
	{                                                                      \
		.sources = NULL                                                \
	}

void fmt_snapshot_free(struct fmt_snapshot *snapshot);

/* Appends both lines, signed with an Ed25519 seed. */
enum fmt_status fmt_snapshot_encode(const struct fmt_snapshot *snapshot,
    const unsigned char seed[32], struct fmt_buf *out);

/* Reads it and checks the signature against the key that it names; whether
 * that key is a known writer's is the caller's question. FMT_UNSUPPORTED: a
 * newer version. */
enum fmt_status fmt_snapshot_decode(
    const void *data, size_t len, struct fmt_snapshot *out);

#endif
