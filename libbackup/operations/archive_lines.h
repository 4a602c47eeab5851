/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_ARCHIVE_LINES_H
#define LIBBACKUP_OPERATIONS_ARCHIVE_LINES_H

/*
 * What an archive says of its members and can only say behind them: the lines
 * of the entries, with the places of their chunks, and the lines of SHA256SUMS.
 * Both are set aside in spools and cut into chunks of about
 * FMT_ARCHIVE_FRAME. Memory: one such chunk each, and 4 bytes a chunk.
 */

#include "formats/archive.h"
#include "libbackup/archive/spool.h"

struct bkp_archive_lines;

int bkp_archive_lines_new(
    size_t sources, struct bkp_archive_lines **out, struct bkp_error *err);
void bkp_archive_lines_free(struct bkp_archive_lines *lines);

int bkp_archive_lines_entry(struct bkp_archive_lines *lines,
    const struct fmt_entry *entry, struct bkp_error *err);
int bkp_archive_lines_sum(struct bkp_archive_lines *lines,
    const unsigned char sha256[32], const char *name, struct bkp_error *err);

/* The entries that follow are another source's: no chunk has lines of both. */
int bkp_archive_lines_end_source(
    struct bkp_archive_lines *lines, struct bkp_error *err);

/* How many chunks of entry lines each source has. */
const size_t *bkp_archive_lines_counts(const struct bkp_archive_lines *lines);

/* The lines of all entries, or of all sums, to be read now; the lengths of
 * their chunks. Both are borrowed. NULL: failed. */
struct bkp_spool *bkp_archive_lines_entries(struct bkp_archive_lines *lines,
    const uint32_t **lengths, size_t *count, struct bkp_error *err);
struct bkp_spool *bkp_archive_lines_sums(struct bkp_archive_lines *lines,
    const uint32_t **lengths, size_t *count, struct bkp_error *err);

#endif
