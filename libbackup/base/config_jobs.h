/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_JOBS_H
#define LIBBACKUP_BASE_CONFIG_JOBS_H

/* `repositories` and `jobs`: maps by names, and the values that only they
 * have. */

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/config_yaml.h"

int bkp_config_read_repositories(struct config_file *file,
    struct bkp_config *config, const yaml_node_t *node, struct bkp_error *err);
int bkp_config_read_jobs(struct config_file *file, struct bkp_config *config,
    const yaml_node_t *node, struct bkp_error *err);

/* "22:00-06:00". */
int bkp_config_read_window(const struct config_file *file,
    const yaml_node_t *node, struct bkp_window_config *out,
    struct bkp_error *err);

/* A list of {run: [...], timeout: 5m}; `name` is its key. */
int bkp_config_read_hooks(struct config_file *file, struct bkp_config *config,
    const char *name, const yaml_node_t *node, struct bkp_hook_list *out,
    struct bkp_error *err);

/* When all of the file is read: whether what the jobs name is there. */
int bkp_config_check_jobs(struct config_file *file,
    const struct bkp_config *config, struct bkp_error *err);

void bkp_config_named_free(struct bkp_named_config *items, size_t count);

#endif
