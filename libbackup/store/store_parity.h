/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_STORE_PARITY_H
#define LIBBACKUP_STORE_STORE_PARITY_H

/*
 * A decorator that keeps error correction (formats/parity.md) beside what a
 * repository cannot do without: for each object of packs/, index/, snapshots/,
 * roster/, keys/, checkpoints/, and for config, an object parity/<its name>.
 *
 * A listing shows parity/ only to who asks for it by a prefix that begins so;
 * removing an object removes its parity first. Reading is as it was. An object
 * whose parity could not be put is not an object that was put: the error is
 * told, and the next try writes both.
 */

#include "libbackup/store/store.h"

/* Takes `inner`, also on failure. Nothing is written until a percentage is
 * set. */
int bkp_store_parity_new(
    struct bkp_store *inner, struct bkp_store **out, struct bkp_error *err);

/* How much is written from now on (0 to FMT_PARITY_MAX_PERCENT; 0: nothing).
 * BKP_UNSUPPORTED: this build has no error correction. */
int bkp_store_parity_set(
    struct bkp_store *store, unsigned percent, struct bkp_error *err);

/* Writes what is missing of parity/ for the objects that begin with `prefix`
 * ("" for all), as much as was set. An object whose bytes do not fit its name
 * gets none. *added (may be NULL): how many. */
int bkp_parity_complete(struct bkp_store *store, const char *prefix,
    size_t *added, struct bkp_error *err);

enum bkp_parity_outcome {
	BKP_PARITY_FINE,     /* object and parity are as they should be */
	BKP_PARITY_REPAIRED, /* the object is whole again */
	BKP_PARITY_REMADE    /* the object was good, its parity was not */
};

/* What an object's parity is called: "parity/<name>"; false for one that has
 * none. */
#define BKP_PARITY_FOLDER "parity/"
#define BKP_PARITY_NAME 208
bool bkp_parity_name_of(const char *name, char parity[BKP_PARITY_NAME]);

/*
 * Reads the parity of an object, and not the object. `digest`: of the object;
 * NULL: as its name tells, and where that tells none it is not compared.
 * BKP_NOTFOUND: there is none; BKP_CORRUPT: it is damaged, or of something
 * else; BKP_UNSUPPORTED: a newer version wrote it.
 */
int bkp_parity_check(struct bkp_store *store, const char *name,
    const unsigned char digest[32], struct bkp_error *err);

/* Writes the parity of an object anew. The object is one that is known to be
 * good. */
int bkp_parity_renew(
    struct bkp_store *store, const char *name, struct bkp_error *err);

/*
 * Looks at an object (any store, decorated or not) and at its parity, and
 * makes good what is damaged; an object that is gone is made anew where the
 * parity suffices. What comes out has the SHA-256 that the object's name tells
 * (for config: that the parity tells, so ask only for one that is known to be
 * damaged), or nothing is changed. BKP_NOTFOUND: it has no parity; BKP_CORRUPT:
 * there is more damage than that makes up for.
 */
int bkp_parity_repair(struct bkp_store *store, const char *name,
    enum bkp_parity_outcome *outcome, struct bkp_error *err);

#endif
