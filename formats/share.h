/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_SHARE_H
#define FORMATS_SHARE_H

/*
 * A backup that several processes make together: what is to be read, what came
 * of it, and what the processes tell each other besides. Signed records.
 * formats/share.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/entry.h"
#include "formats/pgcopy.h"
#include "formats/rowhash.h"
#include "formats/status.h"

#define FMT_SHARE_NAME_MAX 63  /* bytes of the name of a run */
#define FMT_SHARES_MAX 4096    /* processes */
#define FMT_SHARE_PIECES 65536 /* ranges of a task, at the most */

#define FMT_SHARE_PLAN_CONTEXT "libbackup share plan v1"
#define FMT_SHARE_RESULT_CONTEXT "libbackup share result v1"
#define FMT_SHARE_NOTE_CONTEXT "libbackup share note v1"

/* True for 1 to 63 of a-z, A-Z, 0-9, '.', '_' and '-', the first a letter or
 * a digit. */
bool fmt_share_is_run(const char *name);

/* ---- plan ---- */

/* A database whose moment is held. */
struct fmt_share_database {
	char *source;   /* "postgres/app" */
	char *name;     /* on the server */
	char *path;     /* "postgres/app/shop" */
	char *snapshot; /* for SET TRANSACTION SNAPSHOT */
	char *moment;   /* what the server says of it */
	char *system;   /* which server it is; "": not known */
	char *encoding; /* "UTF8" */
};

struct fmt_share_table {
	uint32_t database; /* in the plan */
	char *schema, *name;
	char **columns;
	size_t column_count;
	enum fmt_copy_form form;
	uint64_t range_pages; /* 0: read as a whole */
};

/* So many ranges of a table, one after another from the page `first` on. The
 * last one goes to the end of the table where it is open. */
struct fmt_share_task {
	uint32_t table;  /* in the plan */
	uint32_t pieces; /* 1 to FMT_SHARE_PIECES */
	uint64_t first;
	bool is_open;
	uint64_t bytes; /* about */
};

/* A bucket that is listed and fetched range by range. */
struct fmt_share_bucket {
	char *source; /* "bucket/uploads" */
	char *name;   /* on the server */
	char *prefix; /* of its keys; "": all */
};

/* The keys of a bucket behind the last one of the range before, or from its
 * first on, up to and with `last`. */
struct fmt_share_range {
	uint32_t bucket; /* in the plan */
	char *last;      /* NULL: to the end of the bucket */
	uint64_t bytes;  /* about */
};

struct fmt_share_plan {
	char repository[33]; /* hex id of the repository it belongs to */
	char run[FMT_SHARE_NAME_MAX + 1];
	char session[33]; /* of the process that holds the moment */
	char host[65];    /* where that is; longer ones are cut */
	int64_t time_us;
	struct fmt_share_database *databases; /* owned, and their texts */
	size_t database_count;
	struct fmt_share_table *tables; /* owned, and their texts */
	size_t table_count;
	struct fmt_share_task *tasks; /* owned */
	size_t task_count;
	struct fmt_share_bucket *buckets; /* owned, and their texts */
	size_t bucket_count;
	struct fmt_share_range *ranges; /* owned, and their texts */
	size_t range_count;
	unsigned char signer[32]; /* Ed25519 public key; set by decode */
};

#define FMT_SHARE_PLAN_INIT                                                    \
	{                                                                      \
		.databases = NULL                                              \
	}

void fmt_share_plan_free(struct fmt_share_plan *plan);
void fmt_share_bucket_free(struct fmt_share_bucket *bucket);

/* What is to be done is numbered: first the tasks, then the ranges. */
size_t fmt_share_plan_count(const struct fmt_share_plan *plan);
uint64_t fmt_share_plan_bytes(const struct fmt_share_plan *plan, size_t n);
uint32_t fmt_share_plan_pieces(const struct fmt_share_plan *plan, size_t n);

/* "postgres/app", "bucket/uploads". */
const char *fmt_share_plan_source(const struct fmt_share_plan *plan, size_t n);

/* NULL where it is no range; *behind, if not NULL, is the key that it begins
 * behind, "" where that is the first of all. */
const struct fmt_share_range *fmt_share_plan_range(
    const struct fmt_share_plan *plan, size_t n, const char **behind);

enum fmt_status fmt_share_plan_encode(const struct fmt_share_plan *plan,
    const unsigned char seed[32], struct fmt_buf *out);
enum fmt_status fmt_share_plan_decode(
    const void *data, size_t len, struct fmt_share_plan *out);

/* ---- result ---- */

/* What came of a range of a table, or of a bucket: there it is a list of
 * entries, and `rows` of the hash says how many. */
struct fmt_share_piece {
	bool is_left; /* it could not be read here; the rest is not set */
	uint64_t bytes;
	struct fmt_rowhash hash;
	struct fmt_chunk_ref *refs; /* owned */
	size_t ref_count;
};

struct fmt_share_done {
	uint32_t task;                  /* its number in the plan */
	struct fmt_share_piece *pieces; /* owned: all, in order */
	size_t piece_count;
};

struct fmt_share_result {
	char repository[33], session[33]; /* as in the plan */
	char host[65];
	uint32_t share, shares; /* of 0 to shares - 1 */
	uint64_t new_chunks, known_chunks, stored_bytes;
	struct fmt_share_done *tasks; /* owned; strictly increasing */
	size_t task_count;
	unsigned char signer[32];
};

#define FMT_SHARE_RESULT_INIT                                                  \
	{                                                                      \
		.tasks = NULL                                                  \
	}

void fmt_share_result_free(struct fmt_share_result *result);
enum fmt_status fmt_share_result_encode(const struct fmt_share_result *result,
    const unsigned char seed[32], struct fmt_buf *out);
enum fmt_status fmt_share_result_decode(
    const void *data, size_t len, struct fmt_share_result *out);

/* ---- note ---- */

/* "finish": make the snapshot. "made": it is there, `text` being its name.
 * "failed": it will not be; `text` says why. */
struct fmt_share_note {
	char repository[33], session[33];
	char what[16];
	char *text; /* owned; "" where there is nothing to say */
	unsigned char signer[32];
};

#define FMT_SHARE_NOTE_INIT                                                    \
	{                                                                      \
		.text = NULL                                                   \
	}

void fmt_share_note_free(struct fmt_share_note *note);
enum fmt_status fmt_share_note_encode(const struct fmt_share_note *note,
    const unsigned char seed[32], struct fmt_buf *out);
enum fmt_status fmt_share_note_decode(
    const void *data, size_t len, struct fmt_share_note *out);

#endif
