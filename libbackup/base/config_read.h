/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_READ_H
#define LIBBACKUP_BASE_CONFIG_READ_H

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/config_yaml.h"

/* Fills an empty configuration from a parsed file, and reads the secret files
 * that it names. On failure the configuration holds a part, to be freed. */
int bkp_config_read(
    struct config_file *file, struct bkp_config *config, struct bkp_error *err);

/* Whether it may name a source, a repository or a job. */
bool bkp_config_is_name(const char *text);

/* A map of its own: fills the struct that `base` points to by a table of its
 * keys. `what` names the map in messages: "an assertion". */
int bkp_config_read_map(struct config_file *file, struct bkp_config *config,
    const char *what, const struct config_field *fields, void *base,
    const yaml_node_t *node, struct bkp_error *err);

/* The same; *given gets a bit for every field that is there. */
int bkp_config_read_given(struct config_file *file, struct bkp_config *config,
    const char *what, const struct config_field *fields, void *base,
    const yaml_node_t *node, uint32_t *given, struct bkp_error *err);

#endif
