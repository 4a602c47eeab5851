/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPLAY_H
#define LIBBACKUP_OPERATIONS_REPLAY_H

/*
 * Erasing once more whom an older snapshot brings back. The repository's ledger
 * (repository/erasures.h) says who was erased in the application since; a
 * database that was restored from the snapshot, and that nobody uses yet, is
 * asked for the keys of all its subjects, each is hashed as the ledger's
 * entries are, and those that match are erased by the map of their entry
 * (subject/erase.h).
 */

#include "libbackup/operations/opened.h"
#include "libbackup/subject/erase.h"

struct bkp_replay; /* the ledger, for one snapshot; of one thread */

/* What is told of databases that come out of an archive. */
#define BKP_REPLAY_NO_LEDGER                                                   \
	"an archive has no ledger of erasures: whoever was erased since is "   \
	"still in it"

/* Reads the ledger; what is missing from it or damaged is noted as left out,
 * for it may be about anybody. bkp_opened_warn, which says how many entries
 * there should be, came before. `map` (may be NULL): a file that takes the
 * place of the maps that the entries have. Borrows opened and run until
 * closed. */
int bkp_replay_open(const struct bkp_opened *opened, struct bkp_run *run,
    const char *map, struct bkp_replay **out, struct bkp_error *err);
void bkp_replay_close(struct bkp_replay *replay); /* NULL is fine */

/* A database of a snapshot, and where it is now. */
struct bkp_replay_place {
	const struct fmt_snapshot_source *source; /* "postgres/app" */
	const char *database;                     /* in the snapshot */
	const struct bkp_postgres_config *config; /* of the server it is on */
	const char *name;                         /* that it has there */
	bool is_uncounted; /* the planner knows nothing of it yet */
};

struct bkp_replayed {
	uint64_t entries;  /* of the ledger, about this database, since then */
	uint64_t subjects; /* of them in it, and erased */
	struct bkp_erased erased;
};

#define BKP_REPLAYED_INIT                                                      \
	{                                                                      \
		0, 0, BKP_ERASED_INIT                                          \
	}

/* How many entries concern a database, without looking at it. */
uint64_t bkp_replay_count(const struct bkp_replay *replay,
    const struct fmt_snapshot_source *source, const char *database);

/* Erases. What stays of declared references is told. Where it fails the
 * database must not be used: some may be erased and others not. */
int bkp_replay_erasures(struct bkp_replay *replay,
    const struct bkp_replay_place *place, struct bkp_replayed *out,
    struct bkp_error *err);
void bkp_replayed_free(struct bkp_replayed *replayed);

/* When a subject was erased, by the values of its key as the server writes
 * them: *time_us is 0 where it was not, since the snapshot was made. */
int bkp_replay_when(struct bkp_replay *replay,
    const struct fmt_snapshot_source *source, const char *database,
    const char *table, const char *const *values, size_t count,
    int64_t *time_us, struct bkp_error *err);

/* Tells where objects may come back whose owners cannot be known, for what
 * names them is not restored with them: the buckets that maps of the ledger
 * name. `bucket`: "uploads". */
int bkp_replay_warn_bucket(
    struct bkp_replay *replay, const char *bucket, struct bkp_error *err);

#endif
