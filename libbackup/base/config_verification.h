/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_VERIFICATION_H
#define LIBBACKUP_BASE_CONFIG_VERIFICATION_H

/* The values of `verification`. */

#include <stdbool.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_yaml.h"

/* A time, a percentage or a level, into the field's place. */
int bkp_config_read_limit(const struct config_file *file,
    const yaml_node_t *node, const struct config_field *field, void *base,
    struct bkp_error *err);

/* "quick", "sample", "full"; false: it is none. */
bool bkp_level_read(const char *text, unsigned *level);
const char *bkp_level_name(unsigned level);

/* "20%" or "20", 1 to 100; false: it is none. */
bool bkp_drop_read(const char *text, unsigned *percent);

#endif
