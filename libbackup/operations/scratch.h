/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_SCRATCH_H
#define LIBBACKUP_OPERATIONS_SCRATCH_H

/* A part of a snapshot, restored where nobody else is: for a verification, and
 * for an export of what once was. */

#include "libbackup/operations.h"
#include "libbackup/operations/opened.h"

/* A folder that scratch places are made in, and that is gone afterwards. */
struct bkp_scratch_folder {
	char *path; /* owned: whole, without links */
	int lock;   /* says that it is in use, also when we are killed */
};

#define BKP_SCRATCH_FOLDER_INIT                                                \
	{                                                                      \
		.path = NULL, .lock = -1                                       \
	}

/* Makes "<base>/<command>-XXXXXX" (base NULL: the temporary folder). Removes
 * those that runs of that command left when they were killed, and tells of
 * them. Close it also where this fails. (scratch_folder.c) */
int bkp_scratch_folder_open(struct bkp_scratch_folder *folder, const char *base,
    const char *command, struct bkp_run *run, struct bkp_error *err);
void bkp_scratch_folder_close(struct bkp_scratch_folder *folder);

/* Where somebody wants it otherwise than in a folder of ours. */
struct bkp_scratch_choice {
	const char *server; /* for databases, libpq's conninfo; NULL: ours */
	bool may_be_source; /* also where it is what the backup is of */
	enum bkp_verify_objects objects;
};

/* Bytes of the databases that were chosen, as their server had them; 0 where
 * one of them has no size. (scratch_room.c) */
uint64_t bkp_scratch_recorded(const struct bkp_chosen *chosen);

/* Bytes that a part of a snapshot takes in a scratch place below a folder, as
 * far as anybody can say before it is there; 0: none. (scratch_room.c) */
uint64_t bkp_scratch_need(
    const struct bkp_chosen *chosen, const struct bkp_amount *amount);

/* BKP_IO, with what is needed and what there is, where `directory` has not
 * that much room. */
int bkp_scratch_check_room(const struct bkp_chosen *chosen,
    const struct bkp_amount *amount, const char *directory,
    struct bkp_error *err);

/* The same for every source that was chosen whole, before any is tried. */
int bkp_scratch_check_all(const struct bkp_opened *opened,
    const struct bkp_scratch_choice *choice, const char *directory,
    struct bkp_error *err);

/* False where the place is not below the folder. */
bool bkp_scratch_is_in_folder(
    const struct bkp_chosen *chosen, const struct bkp_scratch_choice *choice);

/* Makes an empty scratch place for a source below `directory`, also where the
 * configuration does not know the source; *out is NULL where its kind has
 * none. `choice` may be NULL. The caller closes it. */
int bkp_scratch_make(const struct bkp_chosen *chosen,
    const struct bkp_scratch_choice *choice, const char *directory,
    struct bkp_run *run, struct bkp_scratch **out, struct bkp_error *err);

/* Restores what the supply selects, which is `amount`, into the place. */
int bkp_scratch_restore(const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_amount *amount,
    const struct bkp_source_config *place, struct bkp_error *err);

#endif
