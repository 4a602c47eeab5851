/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_KEY_CHANGE_H
#define LIBBACKUP_REPOSITORY_KEY_CHANGE_H

/*
 * A change of who may open and who may write. First the objects of keys/, then
 * the roster, which is the moment at which it happens, then what no roster
 * needs any more goes. Killed anywhere, everybody gets in who could before or
 * can afterwards.
 */

#include "libbackup/repository/repository_own.h"

struct bkp_key_change {
	struct bkp_repository *repository; /* borrowed */
	struct bkp_key_ring ring;          /* secret; as it will be */
	struct bkp_roster roster;          /* owned; as it will be */
	bool has_new_admins;               /* keys or ways in differ */
	bool has_new_generation;
	bool is_uncertain; /* it failed, and may have happened */
};

/* Reads the roster once more, to begin with what is there now. */
int bkp_key_change_begin(struct bkp_repository *repository,
    struct bkp_key_change *out, struct bkp_error *err);

/* Seals, states, tidies up; the repository then has the new keys and roster. */
int bkp_key_change_commit(struct bkp_key_change *change, struct bkp_error *err);
void bkp_key_change_end(struct bkp_key_change *change);

#endif
