/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_ARCHIVE_H
#define FORMATS_ARCHIVE_H

/*
 * An archive: one snapshot, or a part of it, in one file that age, zstd and
 * tar open, and that can be read anywhere all the same. Here are the codecs of
 * what is beside tar in it: places, the manifest, the trailer, and the names
 * of members. formats/archive.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/entry.h"
#include "formats/status.h"

/* A frame ends with the first piece with which it has so much content: small
 * enough that damage in one place hurts little, large enough to compress. */
#define FMT_ARCHIVE_FRAME (256u * 1024u)

/* Names of the members that are no entries. */
#define FMT_ARCHIVE_SNAPSHOT ".libbackup/snapshot.json"
#define FMT_ARCHIVE_ENTRIES ".libbackup/entries.ndjson"
#define FMT_ARCHIVE_SUMS "SHA256SUMS"
#define FMT_ARCHIVE_MANIFEST ".libbackup/archive.json"

/* ---- places ---- */

/* Where a chunk lies, and what proves it: this is the chunk's id in an
 * archive, so that no table is needed to find it. */
struct fmt_archive_place {
	uint64_t frame;           /* offset of its zstd frame in the payload */
	uint32_t frame_len;       /* bytes of that frame */
	uint32_t offset;          /* of the chunk in the frame's content */
	unsigned char digest[16]; /* first half of the chunk's SHA-256 */
};

void fmt_archive_place_encode(
    const struct fmt_archive_place *place, unsigned char id[FMT_ID_SIZE]);
void fmt_archive_place_decode(
    const unsigned char id[FMT_ID_SIZE], struct fmt_archive_place *out);

/* A chunk is no larger: it is one row of a database at the most. */
#define FMT_ARCHIVE_CHUNK (1024u * 1024u * 1024u)

/* What tar itself writes between two chunks is no longer: it says the
 * attributes of an entry, which are in a line of 16 MiB, at most twice. */
#define FMT_ARCHIVE_BETWEEN (32u * 1024u * 1024u)

/* The most bytes that the content of a frame may have where a chunk of `len`
 * bytes lies in it at that place; 0: no chunk does. Whoever made the archive
 * chose all of these. */
uint32_t fmt_archive_frame_max(
    const struct fmt_archive_place *place, uint32_t len);

/* ---- the end of the payload ---- */

#define FMT_ARCHIVE_TRAILER 56 /* bytes */

/* Appends the trailer, a zstd skippable frame: where the manifest is. */
enum fmt_status fmt_archive_trailer_encode(
    const struct fmt_chunk_ref *manifest, struct fmt_buf *out);

/* `tail` is the last FMT_ARCHIVE_TRAILER bytes of a payload of payload_size.
 * FMT_MALFORMED: no archive ends like this. */
enum fmt_status fmt_archive_trailer_decode(
    const void *tail, uint64_t payload_size, struct fmt_chunk_ref *manifest);

#define FMT_ARCHIVE_VERSION 1 /* that is known here */

/* The version that a trailer says it has; 0: it is no trailer. */
uint32_t fmt_archive_trailer_version(const void *tail);

/* ---- the manifest ---- */

/* What the archive holds of one source of the snapshot. */
struct fmt_archive_source {
	char *prefix; /* owned */
	uint64_t entries, bytes;
	struct fmt_chunk_ref *list; /* owned: chunks of its entry list */
	size_t list_count;
};

struct fmt_archive_manifest {
	char repository[33]; /* that the snapshot belongs to */
	char snapshot[65];   /* its name there */
	int64_t created_us;
	char *path; /* owned: what was chosen; "" for everything */
	struct fmt_chunk_ref record;        /* the snapshot itself, signed */
	unsigned char entries_sha256[32];   /* of the member with the entries */
	unsigned char sums_sha256[32];      /* of SHA256SUMS */
	struct fmt_archive_source *sources; /* owned, sorted by prefix */
	size_t source_count;
	unsigned char signer[32]; /* Ed25519 public key; set by decode */
};

#define FMT_ARCHIVE_MANIFEST_INIT                                              \
	{                                                                      \
		.sources = NULL                                                \
	}

/* The version that a signed manifest says it has; 0: it is none. */
int64_t fmt_archive_manifest_version(const void *data, size_t len);

void fmt_archive_manifest_free(struct fmt_archive_manifest *manifest);

/* A signed record (formats/record.h). Who may sign is the caller's question. */
enum fmt_status fmt_archive_manifest_encode(
    const struct fmt_archive_manifest *manifest, const unsigned char seed[32],
    struct fmt_buf *out);
enum fmt_status fmt_archive_manifest_decode(
    const void *data, size_t len, struct fmt_archive_manifest *out);

/* ---- names of members ---- */

/*
 * Names that every tar and file system takes, from paths that need not be such
 * names: fmt_archive_names_next is given the paths of a source in order.
 * Memory: the paths that the last one begins with.
 */
struct fmt_archive_names;

enum fmt_status fmt_archive_names_new(struct fmt_archive_names **out);
void fmt_archive_names_free(struct fmt_archive_names *names);

/* Appends the member's name. is_folder: members may lie below it. */
enum fmt_status fmt_archive_names_next(struct fmt_archive_names *names,
    const char *path, bool is_folder, struct fmt_buf *out);

/* Appends the name of a path that lies below folders only. */
enum fmt_status fmt_archive_name(const char *path, struct fmt_buf *out);

/* Appends the path that a member's name stands for. */
enum fmt_status fmt_archive_name_decode(
    const char *name, size_t len, struct fmt_buf *out);

/* Appends a line of SHA256SUMS as sha256sum writes it. */
enum fmt_status fmt_archive_sum(
    const unsigned char sha256[32], const char *name, struct fmt_buf *out);

#endif
