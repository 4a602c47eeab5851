/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_ARCHIVE_WRITER_H
#define LIBBACKUP_OPERATIONS_ARCHIVE_WRITER_H

/*
 * Writes an archive (formats/archive.md) from members that come one after
 * another:
 *
 *   plan (calling thread)  tar headers by libarchive, cut into frames
 *   make (workers)         chunks read from the repository, frames compressed
 *   put (calling thread)   in order: digests, places, age, output
 *
 * Memory, with W workers: 2 W + 2 frames, each the content and its compressed
 * form: 512 KiB at the most, or one larger chunk. What is known of members when
 * they are done is set aside in spools, not kept.
 */

#include "formats/age.h"
#include "formats/archive.h"
#include "libbackup/archive/output.h"
#include "libbackup/archive/spool.h"
#include "libbackup/archive/tar.h"
#include "libbackup/base/run.h"
#include "libbackup/source/source.h"

struct bkp_archive_writer;

/* Sees a member that is done: its chunks are places now, and its digest is
 * known (of content). */
typedef int bkp_member_done_fn(void *arg, const struct fmt_entry *entry,
    const char *name, const unsigned char sha256[32], struct bkp_error *err);

/* A member on its way; owned by whoever holds it. */
struct bkp_member {
	struct fmt_entry entry;  /* its chunks say how the content is cut */
	struct fmt_buf name;     /* NUL ended */
	const void *data;        /* borrowed: its content; or */
	struct bkp_spool *spool; /* borrowed: where that is read from; or both
				    NULL: chunks of the repository */
	const struct bkp_kind *kind; /* who knows its attributes; may be NULL */
	int64_t time_us; /* of a member that has no time of its own */
	void *digest;    /* owned: EVP_MD_CTX */
	uint64_t size;   /* of what was put */
	uint64_t given;  /* of `data` */
};

/* The entry's content moves to the member. */
int bkp_member_new(
    struct fmt_entry *entry, struct bkp_member **out, struct bkp_error *err);
void bkp_member_free(struct bkp_member *member); /* NULL is fine */

/* Recipients and output are borrowed until free. */
int bkp_archive_writer_new(struct bkp_run *run,
    const struct fmt_age_recipient *recipients, size_t count,
    struct bkp_archive_output *output, struct bkp_archive_writer **out,
    struct bkp_error *err);
void bkp_archive_writer_free(struct bkp_archive_writer *writer);

/* Gives the next member, which becomes the writer's; NULL at the end. */
typedef int bkp_member_next_fn(
    void *arg, struct bkp_member **out, struct bkp_error *err);

/* Where members come from, and who reads their chunks: worker n's reader. */
struct bkp_member_feed {
	bkp_member_next_fn *next;
	bkp_member_done_fn *done;
	void *arg;
	struct bkp_supply *supply; /* NULL: no member has chunks to read */
};

int bkp_archive_writer_run(struct bkp_archive_writer *writer,
    const struct bkp_member_feed *feed, struct bkp_error *err);

/* Ends the tar, the payload (with a trailer that names the manifest) and the
 * age file. *stored: bytes written in all. */
int bkp_archive_writer_finish(struct bkp_archive_writer *writer,
    const struct fmt_chunk_ref *manifest, uint64_t *stored,
    struct bkp_error *err);

#endif
