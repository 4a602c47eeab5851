/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_READ_H
#define LIBBACKUP_BASE_CONFIG_READ_H

#include "libbackup/base/config_impl.h"
#include "libbackup/base/config_yaml.h"

/* Fills an empty configuration from a parsed file, and reads the secret files
 * that it names. On failure the configuration holds a part, to be freed. */
int bkp_config_read(
    struct config_file *file, struct bkp_config *config, struct bkp_error *err);

#endif
