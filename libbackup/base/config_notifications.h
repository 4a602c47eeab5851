/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_NOTIFICATIONS_H
#define LIBBACKUP_BASE_CONFIG_NOTIFICATIONS_H

/* The list `notifications`. */

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/config_yaml.h"

struct config_reader;

int bkp_config_read_notifications(struct config_file *file,
    struct bkp_config *config, const yaml_node_t *node,
    struct bkp_notifications *out, struct bkp_error *err);

/* All of them into an empty list; on failure it holds a part. */
int bkp_config_notifications_copy(const struct bkp_notifications *from,
    struct bkp_notifications *to, struct bkp_error *err);

/* Wipes the secrets. */
void bkp_config_notifications_free(struct bkp_notifications *notifications);

/* Whether it is a value from elsewhere (a file, a variable) that could not be
 * had: the notification says so itself when it should be sent. */
bool bkp_config_notification_lacks(struct config_reader *r,
    const yaml_node_t *node, const struct config_field *field,
    const struct bkp_error *problem);

#endif
