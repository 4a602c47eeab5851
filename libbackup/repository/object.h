/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_OBJECT_H
#define LIBBACKUP_REPOSITORY_OBJECT_H

/*
 * Objects of a repository: "<folder>/<name>", the name being the SHA-256 of
 * the stored bytes in hex. Whatever is read whole is held against its name.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/age.h"
#include "formats/buf.h"
#include "libbackup/store/store.h"

#define BKP_OBJECT_NAME 65 /* 64 hex digits and a NUL */

/* Names in byte order. */
struct bkp_names {
	char (*items)[BKP_OBJECT_NAME]; /* owned */
	size_t count, cap;
};

#define BKP_NAMES_INIT                                                         \
	{                                                                      \
		NULL, 0, 0                                                     \
	}

/* The objects of a folder ("index") whose names begin with `start` ("" for
 * all). What is not named as an object is not one. */
int bkp_object_names(struct bkp_store *store, const char *folder,
    const char *start, struct bkp_names *out, struct bkp_error *err);
void bkp_names_free(struct bkp_names *names);

/* Looks for a name; adds one, or all of another list, at their places unless
 * they are there. */
bool bkp_names_has(const struct bkp_names *names, const char *name);
int bkp_names_add(
    struct bkp_names *names, const char *name, struct bkp_error *err);
int bkp_names_join(struct bkp_names *names, const struct bkp_names *other,
    struct bkp_error *err);

/* Appends an object's stored bytes; BKP_CORRUPT where they do not fit the
 * name. */
int bkp_object_get(struct bkp_store *store, const char *folder,
    const char *name, struct fmt_buf *out, struct bkp_error *err);

/* The same, decrypted. BKP_AUTH: no identity opens it. */
int bkp_object_open(struct bkp_store *store, const char *folder,
    const char *name, const struct fmt_age_identity *identities, size_t count,
    struct fmt_buf *out, struct bkp_error *err);

/* Stores bytes under the name they have. Writes the name also where the store
 * then fails: the object may be there all the same. */
int bkp_object_put(struct bkp_store *store, const char *folder,
    const void *data, size_t len, char name[BKP_OBJECT_NAME],
    struct bkp_error *err);

/* Encrypts, then stores. *stored_size (may be NULL): what it takes. */
int bkp_object_seal(struct bkp_store *store, const char *folder,
    const struct fmt_age_recipient *recipients, size_t count, const void *plain,
    size_t len, char name[BKP_OBJECT_NAME], uint64_t *stored_size,
    struct bkp_error *err);

#endif
