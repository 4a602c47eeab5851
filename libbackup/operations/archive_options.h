/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_ARCHIVE_OPTIONS_H
#define LIBBACKUP_OPERATIONS_ARCHIVE_OPTIONS_H

/* Whom an archive is encrypted to, and where it goes. */

#include "formats/age.h"
#include "libbackup/archive/output.h"
#include "libbackup/operations.h"

struct bkp_archive_recipients {
	struct fmt_age_recipient *items; /* owned */
	size_t count;
};

#define BKP_ARCHIVE_RECIPIENTS_INIT                                            \
	{                                                                      \
		NULL, 0                                                        \
	}

/* Those named in the options; where none is, whoever opens the repository:
 * the identities of the identity file, or the passphrase (borrowed). */
int bkp_archive_recipients_init(struct bkp_archive_recipients *recipients,
    const struct bkp_archive_options *options, struct bkp_error *err);
void bkp_archive_recipients_fini(struct bkp_archive_recipients *recipients);

/* The bucket source of the configuration that "s3://bucket/key" is in; NULL:
 * there is none. Borrowed. */
const struct bkp_bucket_config *bkp_bucket_of(
    const struct bkp_config *config, const char *location);

/* The place that the options name; `expected` as in output.h. */
int bkp_archive_options_open(const struct bkp_archive_options *options,
    uint64_t expected, struct bkp_archive_output **out, struct bkp_error *err);

#endif
