/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_REFERENCES_H
#define LIBBACKUP_BASE_CONFIG_REFERENCES_H

/* The lists `references` and `assertions`. */

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/config_yaml.h"

/* ---- a list of maps ---- */

/* One of the lists: what its maps hold, and where they go. */
struct config_list {
	const char *name; /* "references" */
	const char *what; /* "a reference" */
	const struct config_field *fields;
	size_t size; /* of one item, zeroed before it is read */
	/* What follows from the keys of one item, which stands on `line`. */
	int (*complete)(const struct config_file *file, void *item,
	    unsigned line, struct bkp_error *err);
};

/* Reads it: *items (owned, also on failure) holds *count. */
int bkp_config_read_items(struct config_file *file, struct bkp_config *config,
    const struct config_list *list, const yaml_node_t *node, void *items,
    size_t *count, struct bkp_error *err);

/* "postgres/app/shop" as source "postgres/app" and database "shop"; the rest
 * behind a third slash, or NULL. The names of databases are written as in the
 * paths of snapshots (names.h). `what` names the key in messages. */
struct config_database {
	char *source; /* owned */
	char *path;   /* owned: "postgres/app/shop" */
	char *name;   /* owned: as the server has it */
	const char *rest;
};

int bkp_config_read_database(const struct config_file *file, unsigned line,
    const char *what, const char *text, struct config_database *out,
    struct bkp_error *err);

/* A part of such a path with "=2E" and the like written out; NULL with err
 * where it is empty or not written so. */
char *bkp_config_decode_name(const struct config_file *file, unsigned line,
    const char *what, const char *text, size_t len, struct bkp_error *err);

/* Whether there is a source of that prefix and, unless that is NULL, the
 * database may be one of its own. A configuration without any sources, as where
 * only proofs are made, does not tell. */
int bkp_config_check_database(const struct config_file *file,
    const struct bkp_config *config, unsigned line, const char *what,
    const char *source, const char *database, struct bkp_error *err);

/* ---- the two of them ---- */

int bkp_config_read_references(struct config_file *file,
    struct bkp_config *config, const yaml_node_t *node, struct bkp_error *err);
int bkp_config_read_assertions(struct config_file *file,
    struct bkp_config *config, const yaml_node_t *node, struct bkp_error *err);

/* When all of the file is read: whether the sources that they name are
 * there. */
int bkp_config_check_references(const struct config_file *file,
    const struct bkp_config *config, struct bkp_error *err);
int bkp_config_check_assertions(const struct config_file *file,
    const struct bkp_config *config, struct bkp_error *err);

void bkp_config_references_free(struct bkp_config *config);
void bkp_config_assertions_free(struct bkp_config *config);

#endif
