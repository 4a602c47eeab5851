/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_H
#define LIBBACKUP_REPOSITORY_H

/*
 * Repositories: making one, opening one, its snapshots, entries and bytes.
 *
 *     bkp_repository_init      once
 *     bkp_repository_open      with the keys at hand
 *     bkp_snapshot_find        "latest", a time, or the start of a name
 *     bkp_entries_open/next    the entries of a snapshot, in path order
 *     bkp_entry_read           the bytes of one entry, proven by SHA-256
 *     bkp_version_find         which entry is a version of an object
 *
 * Thread rule: a repository may be read from several threads at once; an
 * iterator belongs to one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include <libbackup/error.h>
#include <libbackup/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bkp_repository;
struct bkp_entries;

/* How a repository that is in a bucket (s3://BUCKET/PREFIX) is reached; a
 * configuration has one, see bkp_config_keys and bkp_config_storage. Where
 * there is none, the environment (AWS_*) and ~/.aws tell. */
struct bkp_storage_config;

/*
 * Keys as a person holds them. All strings are borrowed for the call. A backup
 * host has key_file; an administrator has identity_file or a passphrase.
 */
struct bkp_keys {
	size_t size;		   /* sizeof(struct bkp_keys) */
	const char *key_file;	   /* host key: metadata only; may be NULL */
	const char *identity_file; /* age identities; may be NULL */
	const char *passphrase;	   /* NUL ended; may be NULL */
	const struct bkp_storage_config *storage; /* borrowed until the
			repository is closed; may be NULL */
};

#define BKP_KEYS_INIT {sizeof(struct bkp_keys), 0, 0, 0, 0}

/* Who may open a new repository. At least one recipient or a passphrase. */
struct bkp_init_options {
	size_t size;
	const char *const *recipients; /* "age1..."; borrowed */
	size_t recipient_count;
	const char *passphrase; /* may be NULL */
	const char *key_file;	/* the host key to write; must not exist */
	unsigned work_factor;	/* scrypt log2 N for the passphrase; 0: 18 */
	const struct bkp_storage_config *storage; /* may be NULL */
	/* A repository that is open (borrowed for the call): the new one takes
	 * the secret of its chunk ids, so that a backup into both reads its
	 * sources once. All other keys are new. NULL: it has its own. */
	const struct bkp_repository *like;
};

#define BKP_INIT_OPTIONS_INIT                                                  \
	{sizeof(struct bkp_init_options), 0, 0, 0, 0, 0, 0, 0}

/* Makes a repository in an empty or missing place and writes the host key file
 * (mode 0600). BKP_EXISTS where there is one already; nothing is changed. */
BKP_API int bkp_repository_init(const char *location,
    const struct bkp_init_options *options, struct bkp_error *err);

/* Opens with whatever keys fit. BKP_AUTH: none does. The caller owns *out. */
BKP_API int bkp_repository_open(const char *location,
    const struct bkp_keys *keys, struct bkp_repository **out,
    struct bkp_error *err);

/* NULL is fine. Wipes the keys. */
BKP_API void bkp_repository_close(struct bkp_repository *repository);

/* 1 where the keys open contents, 0 where only metadata. */
BKP_API int bkp_repository_can_read(const struct bkp_repository *repository);

/* 1 where both name chunks by one secret (`like` above): a backup into both
 * reads its sources once. */
BKP_API int bkp_repository_is_like(
    const struct bkp_repository *a, const struct bkp_repository *b);

/* 32 hex digits; borrowed until close. */
BKP_API const char *bkp_repository_id(const struct bkp_repository *repository);

/* The Ed25519 public key, 64 hex digits, that an archive which was opened is
 * signed with: 1. Whose it is tells bkp_key_list of the repository that it came
 * from. 0: it is no archive, and key is "". */
BKP_API int bkp_repository_archive_signer(
    const struct bkp_repository *repository, char key[65]);

/* ---- snapshots ---- */

struct bkp_snapshot_source {
	const char *prefix; /* "postgres/app" */
	const char *kind;   /* "postgres" */
	uint64_t entries;
	uint64_t bytes;
	uint64_t reused_bytes; /* of these, known to be as they were and not
				  read again */
};

/* What the verification found that is the last one to say something of a
 * snapshot; a part that was proven is no whole, and does not. */
struct bkp_snapshot_proof {
	int64_t time_us; /* of the verdict */
	int is_proven;
	const char *host;  /* where it was tried */
	const char *path;  /* what failed; "": all of it was tried */
	const char *level; /* "restored", "partly restored" or "read" */
	uint64_t passed, failed, skipped; /* checks */
	uint64_t rows, objects, files;    /* compared */
	uint64_t duration_ms;
	/* 0 or "": not recorded */
	uint64_t recovery_ms; /* of it, until all was restored */
	uint64_t bytes;       /* plaintext of what was tried */
	const char *program;  /* "libbackup 0.1.0" */
};

/* Borrowed from the list that it came in. */
struct bkp_snapshot {
	const char *name; /* 64 hex digits: SHA-256 of the stored object */
	const char *host;
	int64_t time_us;     /* recovery point, microseconds since 1970 UTC */
	int64_t finished_us; /* committed */
	const char *const *tags;
	size_t tag_count;
	size_t omission_count; /* above 0: degraded */
	int64_t proven_us; /* the last verification that went well; 0: none */
	int64_t failed_us; /* the last one that did not; 0: none */
	uint64_t stored_bytes; /* what it added to the repository */
	uint64_t new_chunks;
	uint64_t known_chunks;
	const struct bkp_snapshot_source *sources;
	size_t source_count;
	const char *json; /* the whole snapshot, one line of JSON */
	const struct bkp_snapshot_proof *proof; /* NULL: never verified */
};

struct bkp_snapshot_list {
	struct bkp_snapshot *items; /* oldest first */
	size_t count;
	void *memory;
};

#define BKP_SNAPSHOT_LIST_INIT {0, 0, 0}

/* Reads every snapshot object, checks digest and signature, and whether those
 * that should be there are. Lists the good ones; what is wrong with others is
 * a problem of the list, not an error. What was seen is remembered on this
 * machine, so that it is missed when it is gone. Free with
 * bkp_snapshot_list_free. */
BKP_API int bkp_snapshot_list(struct bkp_repository *repository,
    struct bkp_snapshot_list *out, struct bkp_error *err);
BKP_API void bkp_snapshot_list_free(struct bkp_snapshot_list *list);

/* Borrowed from the list. Only the library makes them: members may be added. */
struct bkp_snapshot_problem {
	const char *kind; /* "snapshot-missing"; backup-list(1) has the list */
	const char *name; /* of the snapshot, or "" */
	const char *text; /* what is wrong, and what to do */
	int is_note;	  /* 1: worth knowing, and no harm */
};

/* The n-th problem of a list, from 0; NULL beyond the last. */
BKP_API const struct bkp_snapshot_problem *bkp_snapshot_list_problem(
    const struct bkp_snapshot_list *list, size_t n);

/* Finds "latest", the start (4 or more digits) of a name, or the newest up to a
 * time: "2026-11-20", "2026-11-20T12:00" or "2026-11-20 12:00:05", with 'Z' or
 * "+01:00" behind it or of the local time zone, to the end of that day, minute
 * or second. BKP_NOTFOUND or, where several fit, BKP_INVALID naming them.
 * Writes the whole name. Where the newest may be one that is missing or
 * damaged, there is none: the error tells that and names the newest of the
 * others. */
BKP_API int bkp_snapshot_find(struct bkp_repository *repository,
    const char *text, char name[65], struct bkp_error *err);

/* ---- entries ---- */

/* Borrowed until the next call on the iterator. */
struct bkp_entry {
	const char *path; /* bytes, NUL ended */
	const char *kind; /* "bucket.object", ... */
	int has_content;
	uint64_t size;
	const char *sha256; /* hex, or NULL without content */
	const char *attributes; /* one line of JSON */
};

/* Starts at `prefix` ("" or NULL: everything): paths that equal it or begin
 * with it. `snapshot` is a whole name. */
BKP_API int bkp_entries_open(struct bkp_repository *repository,
    const char *snapshot, const char *prefix, struct bkp_entries **out,
    struct bkp_error *err);

/* 1: *entry is set; 0: the end; -1: error. */
BKP_API int bkp_entries_next(struct bkp_entries *entries,
    struct bkp_entry *entry, struct bkp_error *err);
BKP_API void bkp_entries_close(struct bkp_entries *entries);

/* Takes bytes; answers 0, or -1 (with err set) to stop. */
typedef int bkp_bytes_fn(
    void *arg, const void *data, size_t len, struct bkp_error *err);

/* Streams the bytes of the entry at exactly `path`. Each piece is
 * authenticated before it is given; at the end size and SHA-256 are compared
 * (BKP_CORRUPT). BKP_NOTFOUND: no such entry. BKP_AUTH: the keys at hand open
 * metadata only. */
BKP_API int bkp_entry_read(struct bkp_repository *repository,
    const char *snapshot, const char *path, bkp_bytes_fn *fn, void *arg,
    struct bkp_error *err);

/* The path of the entry that is a version of the object at `path`, the current
 * one or an older one, by the id that the server gave it ("null": written while
 * the bucket kept none). *entry_path is the caller's (free()). BKP_NOTFOUND:
 * there is no such version, or it is a delete marker; BKP_INVALID: the path is
 * of no object. */
BKP_API int bkp_version_find(struct bkp_repository *repository,
    const char *snapshot, const char *path, const char *version_id,
    char **entry_path, struct bkp_error *err);

#ifdef __cplusplus
}
#endif

#endif
