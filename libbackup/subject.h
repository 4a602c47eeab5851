/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_H
#define LIBBACKUP_SUBJECT_H

/*
 * All that a database and its buckets hold about one subject, a person or an
 * organisation: planned, checked, exported, explained. The decisions are in a
 * map (backup-export-map(5)) that is kept with the application; nothing that
 * it does not decide is exported.
 *
 * Option structs begin with their size and have an INIT constant; strings are
 * borrowed until the call returns. Results own their memory until freed.
 */

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

/* Where the data is, for all that follows. */
struct bkp_subject_source {
	const struct bkp_config *config;
	const char *source;   /* "postgres/app"; NULL: the only one */
	const char *database; /* NULL: the only one that the source names */
	const char *map;      /* a file */
	/* Not as it is, but as a snapshot has it: "latest", the start of a
	 * name, or a time, as for bkp_snapshot_find; of the configuration's
	 * repository or archive, with a key that opens contents. The database
	 * is restored into a scratch cluster, which is gone afterwards, and
	 * objects come out of the snapshot: neither the server nor the buckets
	 * are asked, and the configuration need not name them. NULL: as it
	 * is. */
	const char *snapshot;
	const char *scratch_directory; /* for it; NULL: $TMPDIR or /tmp */
	/* Of a snapshot: a map by which those are erased from it whom the
	 * ledger of erasures names; NULL: by the one of each entry. */
	const char *erasure_map;
};

/* ---- plan ---- */

struct bkp_subject_plan_options {
	size_t size;
	struct bkp_subject_source from; /* its map, where the file exists, keeps
					   its decisions; NULL: none yet */
	const char *table;              /* of the subject: "public.users" */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_SUBJECT_PLAN_OPTIONS_INIT                                          \
	{                                                                      \
		.size = sizeof(struct bkp_subject_plan_options)                \
	}

/* A map as YAML; the caller frees *yaml. *undecided: how much of it is left to
 * people. */
BKP_API int bkp_subject_plan(const struct bkp_subject_plan_options *options,
    char **yaml, size_t *undecided, struct bkp_error *err);

/* ---- check ---- */

struct bkp_subject_check_options {
	size_t size;
	struct bkp_subject_source from;
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_SUBJECT_CHECK_OPTIONS_INIT                                         \
	{                                                                      \
		.size = sizeof(struct bkp_subject_check_options)               \
	}

struct bkp_subject_finding {
	int is_advice;    /* 0: an export would be refused */
	const char *kind; /* "edge-gone"; backup-export-map(5) has them */
	const char *what;
	const char *message;
	unsigned line; /* of the map; 0: of nothing in it */
};

struct bkp_subject_check_result {
	const struct bkp_subject_finding *findings;
	size_t finding_count;
	size_t failing;       /* those that are no advice */
	size_t tables, edges; /* that were compared */
	void *memory;
};

BKP_API int bkp_subject_check(const struct bkp_subject_check_options *options,
    struct bkp_subject_check_result *result, struct bkp_error *err);
BKP_API void bkp_subject_check_result_free(
    struct bkp_subject_check_result *result);

/* ---- export ---- */

enum bkp_subject_form {
	BKP_SUBJECT_FOLDER,
	BKP_SUBJECT_TAR_ZST,
	BKP_SUBJECT_ZIP
};

struct bkp_subject_export_options {
	size_t size;
	struct bkp_subject_source from;
	const char *const *key; /* of the subject, as text, a value a column */
	size_t key_count;
	int is_portability; /* what was provided and observed, nothing derived;
			       the map has to tell them apart */
	int has_csv;        /* CSV beside the JSON */
	int has_no_files;   /* no objects of buckets; the manifest says so */
	enum bkp_subject_form form;
	const char *output; /* a file or folder, "-", or "s3://bucket/key" */
	const char *const *recipients; /* "age1..."; or */
	size_t recipient_count;
	const char *passphrase;
	int is_open;           /* neither: on purpose not encrypted */
	uint64_t split;        /* files, or objects, of so many bytes; 0: one */
	const char *endpoint;  /* of the bucket it goes to */
	unsigned link_seconds; /* a presigned link for so long; 0: none */
	int is_overwrite;
	const char *requester; /* for the audit: who asked; NULL: the user that
				  runs this */
	const char *audit;     /* the audit file; NULL: exports.log in the state
				  directory */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_SUBJECT_EXPORT_OPTIONS_INIT                                        \
	{                                                                      \
		.size = sizeof(struct bkp_subject_export_options)              \
	}

struct bkp_subject_export_result {
	uint64_t rows, tables, files, file_bytes;
	uint64_t stored_bytes;
	size_t parts;
	char sha256[65]; /* of what was written */
	char *link;      /* presigned, or NULL */
	uint64_t duration_ms;
	size_t
	    omission_count; /* what could not be had: the export is partial */
	char snapshot[65];  /* that it is from, or "" */
	void *memory;
};

/* BKP_INVALID: the map does not fit the database (the events name each
 * finding). BKP_NOTFOUND: there is no such subject. BKP_CORRUPT: it may be in
 * what the snapshot lacks; what that lacks else, of the tables that the export
 * is from and of its files, is an omission. */
BKP_API int bkp_subject_export(const struct bkp_subject_export_options *options,
    struct bkp_subject_export_result *result, struct bkp_error *err);
BKP_API void bkp_subject_export_result_free(
    struct bkp_subject_export_result *result);

/* ---- forget ---- */

struct bkp_subject_forget_options {
	size_t size;
	struct bkp_subject_source from; /* its configuration names the
					   repository and the host's key */
	const char *const *key;         /* of the subject, as for an export */
	size_t key_count;
	const char *requester; /* for the audit; so is `audit` */
	const char *audit;
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_SUBJECT_FORGET_OPTIONS_INIT                                        \
	{                                                                      \
		.size = sizeof(struct bkp_subject_forget_options)              \
	}

struct bkp_subject_forget_result {
	char entry[65];     /* its name in the ledger of the repository */
	uint64_t entries;   /* in the ledger, with this one */
	uint64_t snapshots; /* that may bring the subject back */
};

/*
 * Records in the repository that a subject was erased in the application, so
 * that it is erased once more from what a snapshot from before brings back. It
 * erases nothing itself. BKP_EXISTS: the subject is still there.
 */
BKP_API int bkp_subject_forget(const struct bkp_subject_forget_options *options,
    struct bkp_subject_forget_result *result, struct bkp_error *err);

/* ---- audit ---- */

struct bkp_subject_audit_result {
	char *path; /* of the file */
	uint64_t lines;
	char head[65]; /* SHA-256 of the last line: whoever keeps it sees a
			  line that is cut off */
	void *memory;
};

/* Reads the audit file through. BKP_CORRUPT: somebody changed it. `path` NULL:
 * as for an export. */
BKP_API int bkp_subject_audit(const char *path,
    struct bkp_subject_audit_result *result, struct bkp_error *err);
BKP_API void bkp_subject_audit_result_free(
    struct bkp_subject_audit_result *result);

/* ---- explain ---- */

struct bkp_subject_explain_options {
	size_t size;
	struct bkp_subject_source from;
	const char *const *key; /* of the subject */
	size_t key_count;
	const char *table;      /* of the row */
	const char *const *row; /* its primary key */
	size_t row_count;
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_SUBJECT_EXPLAIN_OPTIONS_INIT                                       \
	{                                                                      \
		.size = sizeof(struct bkp_subject_explain_options)             \
	}

struct bkp_subject_step {
	const char *table;
	const char *row;  /* "id=7" */
	const char *edge; /* NULL: the subject itself */
	const char *decision;
};

struct bkp_subject_explain_result {
	const struct bkp_subject_step *steps; /* from the subject to the row */
	size_t step_count;
	void *memory;
};

/* BKP_NOTFOUND: the row is not in the export. */
BKP_API int bkp_subject_explain(
    const struct bkp_subject_explain_options *options,
    struct bkp_subject_explain_result *result, struct bkp_error *err);
BKP_API void bkp_subject_explain_result_free(
    struct bkp_subject_explain_result *result);

#ifdef __cplusplus
}
#endif

#endif
