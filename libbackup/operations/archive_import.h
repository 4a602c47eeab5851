/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_ARCHIVE_IMPORT_H
#define LIBBACKUP_OPERATIONS_ARCHIVE_IMPORT_H

#include "libbackup/operations.h"

/* What a snapshot says of a source that came from an archive of a part. */
#define BKP_IMPORTED_PART "the archive that it came from holds a part"

/* bkp_archive_import into a repository that is open with the key of a host;
 * that of the configuration is not looked at. */
int bkp_archive_import_into(const struct bkp_import_options *options,
    struct bkp_repository *repository, struct bkp_backup_result *result,
    struct bkp_error *err);

#endif
