/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_REPAIR_H
#define LIBBACKUP_REPOSITORY_REPAIR_H

/*
 * Repair of what a check has found. Each round does what it can and is
 * followed by another check, until nothing is left that it could do:
 *
 *   repair_parity   error correction gives back what was there, and where it
 *                   is damaged itself is made anew
 *   repair_strays   what is no object, and sessions of nobody
 *   repair_places   bytes that lie under a wrong name are put back
 *   repair_packs    what is left of damaged packs is stored anew
 *   repair_index    index objects without the packs that are lost, and new
 *                   ones for packs that none names any more
 *   repair_rest     snapshots whose loss is accepted; what is left over
 *
 * What replaces something is stored before that is removed, and a damaged
 * object that may hold more than was saved is kept below damaged/.
 */

#include "libbackup/repository/checker.h"
#include "libbackup/repository/presence.h"

struct bkp_repair_item {
	enum bkp_repair_state state;
	char *object, *text; /* owned */
};

struct bkp_repair {
	struct bkp_checker *checker;   /* borrowed: what was found */
	struct bkp_presence *presence; /* borrowed; NULL: only planned */
	bool accepts_loss;
	struct bkp_repair_item *items; /* owned */
	size_t count, cap;
	size_t done;              /* of this round */
	struct bkp_names dropped; /* packs that leave the index */
};

void bkp_repair_init(struct bkp_repair *repair, struct bkp_checker *checker);
void bkp_repair_free(struct bkp_repair *repair);

/* One round, or the plan of it. */
int bkp_repair_round(struct bkp_repair *repair, struct bkp_error *err);

/* Announces it. BKP_RETRY: somebody else is at work. BKP_AUTH: the key at hand
 * cannot sign. */
int bkp_repair_begin(struct bkp_repository *repository,
    struct bkp_presence **out, struct bkp_error *err);

/* ---- its parts ---- */

int bkp_repair_parity(struct bkp_repair *repair, struct bkp_error *err);
int bkp_repair_strays(struct bkp_repair *repair, struct bkp_error *err);
int bkp_repair_places(struct bkp_repair *repair, struct bkp_error *err);
int bkp_repair_packs(struct bkp_repair *repair, struct bkp_error *err);
int bkp_repair_lost_packs(struct bkp_repair *repair, struct bkp_error *err);
int bkp_repair_orphans(struct bkp_repair *repair, struct bkp_error *err);
int bkp_repair_rest(struct bkp_repair *repair, struct bkp_error *err);

/* Notes a step. Planned: it would be done; needs: it cannot be done so. */
int bkp_repair_note(struct bkp_repair *repair, enum bkp_repair_state state,
    const char *object, struct bkp_error *err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* A step that was taken, or would be. */
int bkp_repair_did(struct bkp_repair *repair, const char *object,
    struct bkp_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes all index objects anew that name packs in `dropped`, then removes the
 * old ones. */
int bkp_repair_drop(struct bkp_repair *repair, struct bkp_error *err);

/* Stores an index of what the builder holds; takes the builder. */
int bkp_repair_put_index(struct bkp_repair *repair,
    struct fmt_index_builder *builder, struct bkp_error *err);

/* Objects by their whole names. set_aside moves one below damaged/. */
int bkp_repair_copy(struct bkp_repair *repair, const char *from, const char *to,
    struct bkp_error *err);
int bkp_repair_remove(
    struct bkp_repair *repair, const char *path, struct bkp_error *err);
int bkp_repair_set_aside(
    struct bkp_repair *repair, const char *path, struct bkp_error *err);

#endif
