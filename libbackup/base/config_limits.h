/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_LIMITS_H
#define LIBBACKUP_BASE_CONFIG_LIMITS_H

#include "libbackup/base/config_impl.h"

/* Makes the limits of a configuration that has been read, and tells everything
 * that speaks with a store about them. */
int bkp_config_limits_begin(struct bkp_config *config, struct bkp_error *err);
void bkp_config_limits_free(struct bkp_config *config);

#endif
