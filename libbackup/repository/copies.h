/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_COPIES_H
#define LIBBACKUP_REPOSITORY_COPIES_H

/*
 * Objects without which nothing opens (config, keys/, roster/), or nobody knows
 * what should be there (checkpoints/) or gone (erasures/), are stored twice:
 * "<folder>/<name>" and "copies/<folder>/<name>". They are few and small, and
 * one rotten sector must not cost everything. Either can be made from the other
 * without any key.
 */

#include "libbackup/repository/object.h"

#define BKP_COPIES "copies/"

/* The names of both folders together. */
int bkp_copies_names(struct bkp_store *store, const char *folder,
    struct bkp_names *out, struct bkp_error *err);

/* Appends the bytes of the first, or of its copy where that is missing or
 * damaged. What is wrong with the first is told where the copy is no better. */
int bkp_copies_get(struct bkp_store *store, const char *folder,
    const char *name, struct fmt_buf *out, struct bkp_error *err);

/* Stores both, the copy first. Writes the name also where the store fails: one
 * may be there all the same. */
int bkp_copies_put(struct bkp_store *store, const char *folder,
    const void *data, size_t len, char name[BKP_OBJECT_NAME],
    struct bkp_error *err);

/* The same, decrypted, and encrypted before. */
int bkp_copies_open(struct bkp_store *store, const char *folder,
    const char *name, const struct fmt_age_identity *identities, size_t count,
    struct fmt_buf *out, struct bkp_error *err);
int bkp_copies_seal(struct bkp_store *store, const char *folder,
    const struct fmt_age_recipient *recipient, const void *plain, size_t len,
    char name[BKP_OBJECT_NAME], struct bkp_error *err);

/* Removes both, the copy last; that one is not there is fine. */
int bkp_copies_remove(struct bkp_store *store, const char *folder,
    const char *name, struct bkp_error *err);

/* The folder of the copies; `folder` is a short constant. */
void bkp_copies_folder(const char *folder, char out[32]);

#endif
