/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_IMPORT_H
#define LIBBACKUP_SUBJECT_IMPORT_H

/* An export of one person or organisation, loaded into an empty application
 * schema. */

#include <stddef.h>
#include <stdint.h>

#include <libbackup/cancel.h>
#include <libbackup/config.h>
#include <libbackup/error.h>
#include <libbackup/events.h>
#include <libbackup/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Begins with its size; strings are borrowed until the call returns. */
struct bkp_subject_import_options {
	size_t size;
	const struct bkp_config *config;
	const char *source;     /* "postgres/app"; NULL: the only one */
	const char *database;   /* NULL: the only one that the source names */
	const char *input;      /* a folder, FILE (or its parts FILE.001...),
				   "-", or "s3://bucket/key" */
	const char *passphrase; /* of the export; NULL: none */
	int has_shared;         /* load shared rows, too */
	int has_actor;          /* and those that the subject acted on */
	int is_remapped;        /* new keys, and references to them rewritten;
				   0: keys as they were */
	int is_rehearsal;       /* do everything and roll it back */
	int is_nulled;          /* references to rows that the export does not
				   have become NULL where they may */
	int is_appended;        /* tables may have rows */
	/* Values of columns that the export does not have:
	 * "public.users.password_hash='!'", an SQL expression each. */
	const char *const *fill;
	size_t fill_count;
	/* Tables that are left out: "public.blocks". */
	const char *const *leave_out;
	size_t leave_out_count;
	/* Buckets for the files: "bucket/uploads", a source of the
	 * configuration, for all; "NAME=bucket/uploads" for those of the bucket
	 * that the export calls NAME. None: files are left out. */
	const char *const *files_to;
	size_t files_to_count;
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_SUBJECT_IMPORT_OPTIONS_INIT                                        \
	{                                                                      \
		.size = sizeof(struct bkp_subject_import_options)              \
	}

struct bkp_subject_import_result {
	uint64_t rows;       /* put into tables */
	uint64_t existing;   /* looked-up rows that were there, equal */
	uint64_t rows_left;  /* context that was not asked for, and tables that
				were left out */
	uint64_t remapped;   /* rows with a new key */
	uint64_t nulled;     /* references that became NULL */
	uint64_t unfollowed; /* rows with references that nobody could rewrite
				to new keys; messages named them */
	uint64_t files;      /* put into buckets */
	uint64_t files_left; /* no bucket was named for them */
	size_t tables;
	uint64_t duration_ms;
	int is_partial; /* the export itself says that it lacks something, or
			   `unfollowed` is more than 0 */
};

/*
 * Everything is proven by the digests of the export's manifest before it is
 * used, then loaded in one transaction; a failure leaves nothing. BKP_CORRUPT:
 * the export is damaged; BKP_INVALID: it does not fit the tables, or its rows
 * refer to others that it does not have, which messages named; BKP_EXISTS:
 * tables are not empty, or objects are there; BKP_AUTH: nothing at hand opens
 * it.
 */
BKP_API int bkp_subject_import(const struct bkp_subject_import_options *options,
    struct bkp_subject_import_result *result, struct bkp_error *err);

#ifdef __cplusplus
}
#endif

#endif
