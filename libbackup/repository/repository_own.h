/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_REPOSITORY_OWN_H
#define LIBBACKUP_REPOSITORY_REPOSITORY_OWN_H

/* What the files of this room share and nobody else sees. */

#include "formats/index.h"
#include "libbackup/archive/reader.h"
#include "libbackup/repository/index_set.h"
#include "libbackup/repository/key_ring.h"
#include "libbackup/repository/object.h"
#include "libbackup/repository/repository_impl.h"
#include "libbackup/repository/roster.h"

struct bkp_repository {
	struct bkp_store *store;     /* owned */
	struct bkp_archive *archive; /* owned; NULL, or what is read in place
					of a repository (archive_view.h) */
	struct bkp_repository_config config;
	struct bkp_key_ring keys;     /* secret */
	char *lost_key_file;          /* owned; the key file that is named and
					 is not there, or NULL */
	struct bkp_roster roster;     /* who may open and write */
	struct bkp_names opened_keys; /* keys/<name> that are in the ring */
	struct bkp_index_set index;
};

/* The identity that makes whoever holds `keys` an administrator (X25519; wipe
 * it), also where a passphrase opens it. BKP_AUTH: there is none. */
int bkp_repository_admin_identity(struct bkp_repository *repository,
    const struct bkp_keys *keys, struct fmt_age_identity *out,
    struct bkp_error *err);

/* The keys as they are given, whatever the header that a program was built
 * against. */
struct bkp_keys bkp_keys_adopt(const struct bkp_keys *keys);

/* Finds the keys that fit into the ring, and the roster (open_keys.c). */
int bkp_repository_open_keys(struct bkp_repository *repository,
    const struct bkp_keys *keys, struct bkp_error *err);

/* Returns -1: `what` ("to prune, ...") wants a host's key and there is none. */
int bkp_repository_refuse_unsigned(const struct bkp_repository *repository,
    const char *what, struct bkp_error *err);

/* Loads the index objects that are not loaded yet; one that is damaged is an
 * error, and the others are loaded. */
int bkp_repository_load_index(
    struct bkp_repository *repository, struct bkp_error *err);

/* The same where damage is no error: for reading and for backups, which store
 * again what the damaged ones knew. */
int bkp_repository_load_good_index(
    struct bkp_repository *repository, struct bkp_error *err);

/* Holds what this machine's cache has of the loaded index against the store, so
 * much a run. What is damaged there is noted, as by loading it; `heals`: and
 * stored again from the copy. */
int bkp_repository_prove_index(
    struct bkp_repository *repository, bool heals, struct bkp_error *err);

/* Tells of index objects that this machine has a copy of, that are gone from
 * the store and that were not replaced, as of damaged ones, and stores them
 * again. Loading them must have left the copies (keeps_copies of the set);
 * those that nobody needs go now. */
struct bkp_condemned;
int bkp_repository_miss_index(struct bkp_repository *repository,
    const struct bkp_condemned *condemned, struct bkp_error *err);

/* Where a chunk is. Loads what is new in the index where it is not known:
 * another process may have written it since. BKP_CORRUPT: nowhere. */
int bkp_repository_find_chunk(struct bkp_repository *repository,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out,
    struct bkp_error *err);

/* Chunk ids: HMAC-SHA256 over kind and plaintext. One a thread. */
struct bkp_chunk_hasher {
	void *context; /* owned: EVP_MAC_CTX */
};

int bkp_chunk_hasher_init(struct bkp_chunk_hasher *hasher,
    const struct bkp_repository *repository, struct bkp_error *err);
void bkp_chunk_hasher_free(struct bkp_chunk_hasher *hasher);
int bkp_chunk_hasher_id(struct bkp_chunk_hasher *hasher,
    enum fmt_pack_kind kind, const void *data, size_t len,
    unsigned char id[FMT_ID_SIZE], struct bkp_error *err);

/* A reader of chunks of one kind; the public one reads data. */
int bkp_chunk_reader_new_of(struct bkp_repository *repository,
    enum fmt_pack_kind kind, struct bkp_chunk_reader **out,
    struct bkp_error *err);

/* The zstd frame of one copy of a chunk, proven to give the chunk; borrowed
 * until the next call. NULL on failure. */
const unsigned char *bkp_chunk_reader_frame(struct bkp_chunk_reader *reader,
    const struct fmt_index_place *place, struct bkp_error *err);

/* A writer of chunks of one kind; the public one writes data. */
int bkp_chunk_writer_new_of(struct bkp_session *session,
    enum fmt_pack_kind kind, struct bkp_chunk_writer **out,
    struct bkp_error *err);

struct bkp_named_snapshot {
	struct fmt_snapshot snapshot;
	char name[BKP_OBJECT_NAME];
};

/* One that is there and cannot be read, or is not believed. */
struct bkp_damaged_snapshot {
	char name[BKP_OBJECT_NAME];
	struct bkp_error problem;
};

/* Snapshots that could be read, and those that could not. */
struct bkp_snapshots {
	struct bkp_named_snapshot *items; /* owned, oldest first */
	size_t count, cap;
	struct bkp_damaged_snapshot *damaged; /* owned */
	size_t damaged_count, damaged_cap;
};

#define BKP_SNAPSHOTS_INIT                                                     \
	{                                                                      \
		.items = NULL                                                  \
	}

/* Reads those that count: no void ones (history.h). A damaged one is listed as
 * such, other errors are errors. bkp_history_read says what is missing, too. */
int bkp_snapshots_read(struct bkp_repository *repository,
    struct bkp_snapshots *out, struct bkp_error *err);
void bkp_snapshots_free(struct bkp_snapshots *snapshots);

/* Reads all that are stored, in no order, whether they count or not. Believes
 * whom that roster believes, which may be a newer one than the repository
 * was opened with. */
int bkp_snapshots_read_stored(struct bkp_repository *repository,
    const struct bkp_roster *roster, struct bkp_snapshots *out,
    struct bkp_error *err);

/* Reads one more by its name; nothing is added where it is not there. */
int bkp_snapshots_add(struct bkp_repository *repository,
    const struct bkp_roster *roster, const char *name,
    struct bkp_snapshots *snapshots, struct bkp_error *err);

/* The snapshot among these whose bytes lie under another name, too; *out is NULL
 * where they are no copy. Borrowed. */
int bkp_snapshots_copied(struct bkp_repository *repository,
    const struct bkp_snapshots *snapshots, const char *name,
    const struct bkp_named_snapshot **out, struct bkp_error *err);

/* Leaves out what does not count (history.h). */
struct bkp_checkpoint;
void bkp_snapshots_drop_void(
    struct bkp_snapshots *snapshots, const struct bkp_checkpoint *checkpoint);

/* Oldest first. */
void bkp_snapshots_sort(struct bkp_snapshots *snapshots);

/* Microseconds since 1970 UTC. */
int64_t bkp_now_us(void);

#endif
