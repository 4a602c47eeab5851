/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_YAML_H
#define LIBBACKUP_BASE_CONFIG_YAML_H

/* The configuration file as YAML: loading, lines for messages, values. */

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "libbackup/error.h"

struct config_file {
	char *path;   /* owned: as it was named, for messages */
	char *folder; /* owned: absolute; relative paths begin here */
	yaml_document_t document;
	bool has_document;
	bool is_private;      /* only its owner can read it */
	unsigned secret_line; /* where a secret stands in it; 0: none does */
	bool is_lenient; /* what cannot be read is left out, and the rest read
			  */
};

/* Loads and parses; a file that is missing is BKP_NOTFOUND, one that is no
 * YAML BKP_INVALID with its line. */
int bkp_config_file_load(
    const char *path, struct config_file *out, struct bkp_error *err);

/* The same for bytes at hand (tests, fuzzing). */
int bkp_config_file_parse(struct config_file *file, const void *data,
    size_t len, struct bkp_error *err);

/* Wipes and frees. */
void bkp_config_file_close(struct config_file *file);

/* "file:line: <formatted>" as BKP_INVALID. */
int bkp_config_fail(const struct config_file *file, const yaml_node_t *node,
    struct bkp_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

unsigned bkp_config_line(const yaml_node_t *node);

/* The node's text, or NULL where it is no scalar, null or holds a NUL. Borrowed
 * until close. */
const char *bkp_config_scalar(const yaml_node_t *node);

/* True where the scalar stands without quotes, as numbers and booleans do. */
bool bkp_config_is_plain(const yaml_node_t *node);

/*
 * The scalar with ${NAME} and ${NAME:-default} replaced from the environment
 * ("$$" is one '$'). *has_literal (may be NULL) tells whether the file itself
 * holds a part of the value. The caller frees *out.
 */
int bkp_config_expand(const struct config_file *file, const yaml_node_t *node,
    const char *key, char **out, bool *has_literal, struct bkp_error *err);

/* An absolute path without ".", ".." and double slashes: "~/" is the home
 * folder, what is relative begins at the file's folder. */
char *bkp_config_absolute(
    const struct config_file *file, const char *path, struct bkp_error *err);

/* How many letters to add, drop, change or swap to get from a to b. */
size_t bkp_config_distance(const char *a, const char *b);

#endif
