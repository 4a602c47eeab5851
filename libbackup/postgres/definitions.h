/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_DEFINITIONS_H
#define LIBBACKUP_POSTGRES_DEFINITIONS_H

/*
 * pg_dump reads the catalogue in the holder's snapshot, but has the server
 * write definitions: of views, functions' arguments, defaults, indexes,
 * triggers, and every name in them. For those the server looks at what is
 * committed by now. Tables are locked, and nothing else is.
 */

#include "libbackup/postgres/holder.h"

/*
 * The name of something that has been replaced, renamed or dropped since the
 * holder's snapshot; *out is a new string, or NULL where there is nothing.
 * Looks at the catalogue once, and again by a new connection where somebody
 * has written to a row that the snapshot sees.
 */
int bkp_pg_definitions_changed(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, char **out,
    struct bkp_error *err);

/* The same for a label of an enum that is there and has another name: values
 * come with the labels of now, their type with those of the snapshot. */
int bkp_pg_labels_renamed(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, char **out,
    struct bkp_error *err);

#endif
