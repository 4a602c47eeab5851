/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_READER_H
#define LIBBACKUP_ARCHIVE_READER_H

/*
 * Reading an archive anywhere: its manifest, its snapshot, any chunk. What is
 * read is authenticated by age, segment by segment, and held against its
 * SHA-256.
 */

#include "formats/age.h"
#include "formats/archive.h"
#include "formats/snapshot.h"
#include "libbackup/error.h"

struct bkp_archive;

struct bkp_s3_options;

/* Identities and options (as bkp_archive_input_open's) are borrowed for the
 * call. BKP_AUTH: none opens it. BKP_CORRUPT
 * where it is cut, or its end is damaged: then what is left comes back with
 * age, zstd and tar. */
int bkp_archive_open(const char *location, const struct bkp_s3_options *options,
    const struct fmt_age_identity *identities, size_t count,
    struct bkp_archive **out, struct bkp_error *err);
void bkp_archive_close(struct bkp_archive *archive); /* wipes the key */

/* Borrowed until close. */
const char *bkp_archive_location(const struct bkp_archive *archive);
const struct fmt_archive_manifest *bkp_archive_manifest(
    const struct bkp_archive *archive);

/* The snapshot as it was signed: both lines, appended to `out`. */
int bkp_archive_record(
    struct bkp_archive *archive, struct fmt_buf *out, struct bkp_error *err);

/* The snapshot with what the archive holds of it: sources that are not in it
 * are left out, and the lists of the others are the archive's. */
int bkp_archive_snapshot(struct bkp_archive *archive, struct fmt_snapshot *out,
    struct bkp_error *err);

/*
 * Reads chunks; one a thread. Memory: the content of a frame
 * (fmt_archive_frame_max), its stored form, and a zstd context.
 */
struct bkp_archive_cursor;

int bkp_archive_cursor_new(struct bkp_archive *archive,
    struct bkp_archive_cursor **out, struct bkp_error *err);
void bkp_archive_cursor_free(struct bkp_archive_cursor *cursor);

/* Appends the chunk's bytes. */
int bkp_archive_cursor_get(struct bkp_archive_cursor *cursor,
    const struct fmt_chunk_ref *ref, struct fmt_buf *out,
    struct bkp_error *err);

#endif
