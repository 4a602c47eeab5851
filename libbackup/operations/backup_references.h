/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_BACKUP_REFERENCES_H
#define LIBBACKUP_OPERATIONS_BACKUP_REFERENCES_H

/* References in a backup: under the moments that its databases are held at,
 * beside the objects that it stores. */

#include "libbackup/operations/references.h"
#include "libbackup/operations/sink.h"

/* Of sources that are not among the prefixes of this backup nothing is asked,
 * which is told. */
int bkp_backup_references_limit(struct bkp_references *references,
    const char *const *prefixes, size_t count, struct bkp_run *run,
    struct bkp_error *err);

/* A prepared source: whether its databases understand what they will be
 * asked. */
int bkp_backup_references_check(struct bkp_references *references,
    struct bkp_source *source, struct bkp_error *err);

/* And asks them. What cannot be read is noted as left out. */
int bkp_backup_references_read(struct bkp_references *references,
    struct bkp_source *source, struct bkp_run *run, struct bkp_error *err);

/* When the objects of a bucket are through: tells, notes keys without an object
 * as left out unless they are accepted, and adds the counts to `info`. */
int bkp_backup_references_tell(struct bkp_reference_bucket *bucket,
    struct bkp_run *run, json_t *info, struct bkp_error *err);

#endif
