/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_TAR_H
#define LIBBACKUP_ARCHIVE_TAR_H

/*
 * A tar (pax), as libarchive writes it, without the contents: what stands
 * before a member's content and what stands behind it. The contents are put
 * between by others, who need not have them yet.
 */

#include <archive_entry.h>

#include "formats/buf.h"
#include "libbackup/error.h"

struct bkp_tar;

int bkp_tar_new(struct bkp_tar **out, struct bkp_error *err);
void bkp_tar_free(struct bkp_tar *tar); /* NULL is fine */

/* Appends the header of a member; its size says how much content follows. */
int bkp_tar_begin(struct bkp_tar *tar, struct archive_entry *member,
    struct fmt_buf *out, struct bkp_error *err);

/* After `len` bytes of content, in all as many as the header said. */
int bkp_tar_pass(struct bkp_tar *tar, uint64_t len, struct bkp_error *err);

/* Appends what fills the member's last block. */
int bkp_tar_end(
    struct bkp_tar *tar, struct fmt_buf *out, struct bkp_error *err);

/* Appends the end of the archive. */
int bkp_tar_finish(
    struct bkp_tar *tar, struct fmt_buf *out, struct bkp_error *err);

#endif
