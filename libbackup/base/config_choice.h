/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_CHOICE_H
#define LIBBACKUP_BASE_CONFIG_CHOICE_H

/*
 * Of several repositories and jobs one each: what the file says for all, over
 * that what the repository says, over that what the job says. A map such as
 * `retention` that one of them gives stands for the whole map; tags are added.
 */

#include "libbackup/base/config_impl.h"

/* After a file was read: the first repository, no job. */
int bkp_config_choice_begin(struct bkp_config *config, struct bkp_error *err);
void bkp_config_choice_free(struct bkp_config *config);

/* A location, or the name of a configured repository. */
int bkp_config_choose_repository(
    struct bkp_config *config, const char *text, struct bkp_error *err);

/* The names, for a message: "local, offsite". */
struct bkp_names {
	char text[200];
};

struct bkp_names bkp_config_names(
    const struct bkp_named_config *items, size_t count);

/* NULL: there is none of that name. */
const struct bkp_named_config *bkp_config_find_named(
    const struct bkp_named_config *items, size_t count, const char *name);

/* What $BACKUP_REPOSITORY and $BACKUP_PASSPHRASE say, over the file
 * (config.c). */
int bkp_config_apply_environment(
    struct bkp_config *config, struct bkp_error *err);
int bkp_config_apply_passphrase(
    struct bkp_config *config, struct bkp_error *err);

/* Where the repository is, and that no source reads it (config.c). */
int bkp_config_set_location(
    struct bkp_config *config, const char *location, struct bkp_error *err);

#endif
