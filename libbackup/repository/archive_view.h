/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_ARCHIVE_VIEW_H
#define LIBBACKUP_REPOSITORY_ARCHIVE_VIEW_H

/*
 * An archive read like a repository: one snapshot, its entries, their bytes.
 * Nothing can be written to it, and what only a repository has is not there.
 */

#include "libbackup/repository/repository_own.h"

/* keys: an identity file or a passphrase; a host key opens no archive. */
int bkp_archive_view_open(const char *location, const struct bkp_keys *keys,
    struct bkp_repository **out, struct bkp_error *err);

/* 0 for a repository; BKP_UNSUPPORTED for an archive, of which `what`
 * ("check", "back up into") cannot be asked. */
int bkp_archive_view_refuse(const struct bkp_repository *repository,
    const char *what, struct bkp_error *err);

/* The snapshot as the archive holds it; BKP_NOTFOUND for another name. */
int bkp_archive_view_snapshot(struct bkp_repository *repository,
    const char *name, struct fmt_snapshot *out, struct bkp_error *err);

#endif
