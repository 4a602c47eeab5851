/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_ERASURES_H
#define LIBBACKUP_REPOSITORY_ERASURES_H

/*
 * The erasure ledger: which subjects were erased in the application, so that
 * they are erased once more from whatever an older snapshot brings back.
 *
 * erasures/<name> is a record signed by a host that may write, encrypted to the
 * metadata recipient and stored twice (copies.h), because a lost one brings a
 * person back. It names nobody: the subject is a hash under a key that only the
 * host has, and that is sealed in the entry to the data recipient together with
 * the map. So a host that cannot read backups can write entries, and nobody
 * without the data key can try whom one is about. formats/erasure.md.
 *
 * Entries are kept for ever. Those of a host that was revoked since count where
 * they were there then.
 */

#include "formats/erasure.h"
#include "libbackup/repository/repository_own.h"

struct bkp_erasure {
	struct fmt_erasure record;
	char name[BKP_OBJECT_NAME];
};

struct bkp_erasures {
	struct bkp_erasure *items; /* owned, oldest first */
	size_t count, cap;
	size_t damaged; /* that are there and cannot be read, or are not
			   believed: who is meant by them is not known */
	struct bkp_error damage; /* of the first one */
};

#define BKP_ERASURES_INIT                                                      \
	{                                                                      \
		NULL, 0, 0, 0, BKP_ERROR_INIT                                  \
	}

/* Every entry that counts: verified, by a writer who is believed. An archive in
 * place of a repository has none. -1 only where the store or memory fails. */
int bkp_erasures_load(struct bkp_repository *repository,
    struct bkp_erasures *out, struct bkp_error *err);
void bkp_erasures_free(struct bkp_erasures *erasures);

/* The same for one of them. BKP_AUTH: nobody who is believed signed it. */
int bkp_erasure_read(struct bkp_repository *repository, const char *name,
    struct fmt_erasure *out, struct bkp_error *err);

/* How many there should be by what snapshots say: the highest number that one
 * of them knew of. */
uint64_t bkp_erasures_expected(const struct bkp_snapshots *snapshots);

/* How many objects are there, read or not; and how many shall be missed from
 * now on where they go: as many as are `known`, or as are genuine now. Reads
 * them only where there are more than that. */
int bkp_erasures_count(struct bkp_repository *repository, uint64_t known,
    uint64_t *listed, uint64_t *genuine, struct bkp_error *err);

/* Whether an entry is to be replayed on what a snapshot of that time has of a
 * database of a source ("postgres/app", "app"). */
bool bkp_erasure_concerns(const struct bkp_erasure *erasure, const char *source,
    const char *database, int64_t snapshot_us);

/* ---- what is sealed ---- */

/* Secret: free it with bkp_erasure_secret_free, which wipes it. */
struct bkp_erasure_secret {
	unsigned char key[FMT_ERASURE_KEY]; /* one for all entries of a host */
	char *map;                          /* owned: YAML, NUL ended */
	size_t map_len;
};

#define BKP_ERASURE_SECRET_INIT                                                \
	{                                                                      \
		.map = NULL                                                    \
	}

/* Needs an administrator's keys (BKP_AUTH without). The map is held against
 * the digest that the entry names. */
int bkp_erasure_open(struct bkp_repository *repository,
    const struct bkp_erasure *erasure, struct bkp_erasure_secret *out,
    struct bkp_error *err);
void bkp_erasure_secret_free(struct bkp_erasure_secret *secret);

/* A subject by the values of its key, as PostgreSQL writes them as text, in the
 * order of the map's `key`; `table` as in the entry. */
int bkp_erasure_hash(const unsigned char key[FMT_ERASURE_KEY],
    const char *table, const char *const *values, size_t count,
    unsigned char out[FMT_ERASURE_HASH], struct bkp_error *err);

/* ---- writing ---- */

/* Borrowed for the call. */
struct bkp_erasure_entry {
	const char *source, *database, *table;
	const char *const *values; /* of the subject's key */
	size_t value_count;
	const char *map; /* its text */
	size_t map_len;
};

/* Adds an entry as of now (and after every snapshot, whatever clock its host
 * goes by), signed as this host (BKP_AUTH: there is no host key)
 * and not to be seen by whom. Writes its name. */
int bkp_erasure_append(struct bkp_repository *repository,
    const struct bkp_erasure_entry *entry, char name[BKP_OBJECT_NAME],
    struct bkp_error *err);

#endif
