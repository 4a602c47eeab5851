/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_KEY_OBJECTS_H
#define LIBBACKUP_REPOSITORY_KEY_OBJECTS_H

/* Writing the objects of keys/ and noting them in a roster that is going to be
 * put. */

#include "libbackup/repository/roster.h"

#define BKP_PASSPHRASE_LABEL "passphrase" /* where none is given */

/* Seals all that the ring holds to everybody in roster->keys. Afterwards
 * admin_objects is this object only. */
int bkp_key_objects_put_admin(struct bkp_store *store,
    const struct bkp_key_ring *ring, struct bkp_roster *roster,
    struct bkp_error *err);

/* The same for the hosts that are let in. */
int bkp_key_objects_put_hosts(struct bkp_store *store,
    const struct bkp_key_ring *ring, struct bkp_roster *roster,
    struct bkp_error *err);

/* Adds a person's age recipient; one that is there already stays as it is. */
int bkp_roster_add_recipient(struct bkp_roster *roster, const char *text,
    const char *label, struct bkp_error *err);

/* The administrator that a passphrase is of already; *out is NULL where it is
 * nobody's, as far as the objects can be read. Borrowed from the roster. */
int bkp_key_objects_find_passphrase(struct bkp_store *store,
    const struct bkp_roster *roster, const char *passphrase,
    const struct bkp_roster_key **out, struct bkp_error *err);

/* Makes an identity that a passphrase opens, stores it, and adds it to the
 * roster's keys. Its age object holds it as text, as `age -i` takes it. */
int bkp_key_objects_add_passphrase(struct bkp_store *store,
    struct bkp_roster *roster, const char *passphrase, unsigned work_factor,
    const char *label, struct bkp_error *err);

/* Adds the ring's own host to the roster's writers. */
int bkp_roster_add_host(struct bkp_roster *roster,
    const struct bkp_key_ring *ring, bool may_prune, struct bkp_error *err);

/* Notes the generation that the ring writes with. */
int bkp_roster_set_generation(struct bkp_roster *roster, uint64_t generation,
    const struct bkp_key_ring *ring, struct bkp_error *err);

#endif
