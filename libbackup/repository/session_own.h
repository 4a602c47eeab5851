/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_SESSION_OWN_H
#define LIBBACKUP_REPOSITORY_SESSION_OWN_H

/*
 * A session, as its writers see it.
 *
 * Memory, with W chunk writers and chunks of up to C bytes (C is 8 MiB for
 * content that is cut by content, and the longest row otherwise):
 *
 *   packs       (W + 1 being filled) + (2 queued) + (2 being stored), of
 *               16 MiB each, or of one larger chunk: 112 MiB for W = 2; where
 *               rows are stored as differences W more being filled
 *   rows        W x (8 bytes a row of the base, 20 of the chunk, and twice
 *               the longest difference): 7 MiB at most, and 48 bytes a range
 *   writers     (W + 1) x (a frame of C at most, and about 3 MiB for zstd)
 *   known       about 40 bytes a chunk that no index object holds yet; an
 *               index object is written every BKP_INDEX_CHUNKS chunks
 *   index       while one is written: about (2 x 48 + 88) bytes x
 *               BKP_INDEX_CHUNKS, 24 MiB; the loaded ones are mapped files
 *
 * That is at most 225 MiB with two writers, whatever the size of the backup.
 *
 * Sessions that are joined share the writers: each more takes its own packs,
 * bases of rows, known chunks and index, 190 MiB with two writers, and no
 * compressor. A slow one holds back the others once what it has queued is full.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "libbackup/base/pipeline.h"
#include "libbackup/repository/condemned.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/known_set.h"
#include "libbackup/repository/pack_builder.h"
#include "libbackup/repository/presence.h"

#define BKP_INDEX_CHUNKS 131072

struct bkp_session {
	struct bkp_repository *repository;
	struct fmt_chunker chunker;
	unsigned char public_key[32];   /* the writer's */
	struct bkp_presence *presence;  /* owned */
	struct bkp_condemned condemned; /* not built upon */
	struct bkp_known_set known;
	struct bkp_background *uploads; /* owned */
	struct bkp_chunk_writer *lists; /* owned: all entry lists' chunks */
	struct bkp_row_cache **rows;    /* owned, and what it holds */
	size_t row_count, row_cap;
	_Atomic uint64_t new_chunks, known_chunks; /* of content */
	_Atomic unsigned unflushed; /* writers that hold chunks */
	_Atomic bool has_failed;    /* a chunk counts as known and is not */
	_Atomic bool is_lost;       /* nothing more is stored here */
	bool is_committed;
	struct bkp_session *first; /* whose writers write here: itself, or the
				      one that it has joined; borrowed */
	struct bkp_session *next;  /* joined after this one; borrowed */
	struct bkp_history history; /* as the commit read it */

	pthread_mutex_t lock;              /* of what follows */
	struct fmt_index_builder *builder; /* owned: stored, in no index */
	size_t builder_chunks;
	struct bkp_pack *spare; /* owned: packs to use again */
	uint64_t stored_bytes;
	struct bkp_error lost; /* is_lost: why */
};

/* True where a chunk need not be stored: it is in the repository, in a pack
 * that is not to go, and so is what it is a difference to; or this session
 * stores it. Whoever builds upon a chunk asks this, not the index. */
bool bkp_session_knows(
    struct bkp_session *session, const unsigned char id[FMT_ID_SIZE]);

/* The same without what this session is storing. */
bool bkp_session_finds(
    struct bkp_session *session, const unsigned char id[FMT_ID_SIZE]);

/* A copy that is stored whole in a pack that is not to go: what a difference
 * may be to. */
bool bkp_session_finds_whole(struct bkp_session *session,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out);

/* A pack to fill, begun; the caller's. */
int bkp_session_take_pack(struct bkp_session *session, enum fmt_pack_kind kind,
    struct bkp_pack **out, struct bkp_error *err);

/* Gives a finished pack away to be stored; waits for room. */
int bkp_session_submit(
    struct bkp_session *session, struct bkp_pack *pack, struct bkp_error *err);

/* Writes what is stored and in no index yet as an index object. */
int bkp_session_write_index(struct bkp_session *session, struct bkp_error *err);

/* Nothing of this session was lost on its way, and nothing waits. */
int bkp_session_check_whole(struct bkp_session *session, struct bkp_error *err);

/* Packs that are known on this machine to be damaged are not built upon. */
int bkp_session_shun_damaged(
    struct bkp_repository *repository, struct bkp_error *err);

extern const struct bkp_background_ops bkp_session_upload_ops;

#endif
