/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_CONDEMNED_H
#define LIBBACKUP_REPOSITORY_CONDEMNED_H

/*
 * Packs that are to go: condemned/<name>, a signed record by a writer that may
 * prune, encrypted to the metadata recipient. Its age is told by the server's
 * clock. A session reads the lists after it announced itself and does not
 * build upon what they name. formats/condemned.md.
 */

#include "libbackup/repository/repository_own.h"

struct bkp_condemned_list {
	char name[BKP_OBJECT_NAME];
	int64_t stored_us;              /* server's clock */
	char (*packs)[BKP_OBJECT_NAME]; /* owned, sorted */
	size_t count, cap;
};

struct bkp_condemned {
	struct bkp_condemned_list *lists; /* owned */
	size_t count, cap;
	size_t damaged; /* lists that cannot be read; nobody acts on them */
	struct bkp_error damage;
	unsigned char (*packs)[32]; /* owned, sorted: of all lists */
	size_t pack_count;
};

#define BKP_CONDEMNED_INIT                                                     \
	{                                                                      \
		.lists = NULL                                                  \
	}

/* Every list that counts. One that goes while they are read may have become
 * another: then all are read again. */
int bkp_condemned_load(struct bkp_repository *repository,
    struct bkp_condemned *out, struct bkp_error *err);
void bkp_condemned_free(struct bkp_condemned *condemned);
int bkp_condemned_put(struct bkp_repository *repository,
    const struct bkp_condemned_list *list, char name[BKP_OBJECT_NAME],
    struct bkp_error *err);

/* Whether a pack is in one of them. */
bool bkp_condemned_has(
    const struct bkp_condemned *condemned, const unsigned char pack[32]);

#endif
