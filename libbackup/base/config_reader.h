/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_READER_H
#define LIBBACKUP_BASE_CONFIG_READER_H

/* What those share who read a configuration: the keys of maps, the values of
 * single keys, and the list of sources. */

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_read.h"

/* What is being filled: the whole configuration, or one source. */
struct config_reader {
	struct config_file *file;
	struct bkp_config *config;
	const char *what; /* "a postgres source", "the configuration" */
	const struct config_field *fields;
	void *base;
	unsigned seen[CONFIG_FIELDS_MAX]; /* the line of each field, 0: none */
};

static inline yaml_node_t *
config_node(const struct config_reader *r, int index)
{
	return yaml_document_get_node(&r->file->document, index);
}

/* ---- config_read.c ---- */

/* Reads a map by the table of its keys. */
int bkp_config_read_keys(
    struct config_reader *r, const yaml_node_t *node, struct bkp_error *err);

/* The key of the table nearest to a misspelt one, or NULL where none is
 * near. */
const char *bkp_config_nearest(
    const struct config_field *fields, const char *key);

/* Whether a failure leaves out what it is of, and no more. */
static inline bool
config_forgives(const struct config_file *file, const struct bkp_error *err)
{
	return file->is_lenient && (err == NULL || err->code != BKP_NOMEM);
}

/* ---- config_values.c ---- */

/* The value of a key that is no map of its own and no list of maps. */
int bkp_config_read_value(struct config_reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err);

/* ---- config_sources.c ---- */

int bkp_config_read_sources(
    struct config_reader *r, const yaml_node_t *node, struct bkp_error *err);

#endif
