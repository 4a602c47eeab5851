/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_H
#define LIBBACKUP_OPERATIONS_H

/*
 * The operations: backup, restore, verify. Each takes a configuration, runs to
 * its end on the calling thread (with workers of its own) and fills a result.
 * 0: done; look at omission_count (and problem_count): above 0 the run is
 * degraded, and the events named each omission. -1: failed, and err tells.
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
#include <libbackup/repository.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- backup ---- */

struct bkp_backup_options {
	size_t size;
	const struct bkp_config *config;
	const char *const *sources; /* prefixes; none: all of them */
	size_t source_count;
	const char *const *tags;
	size_t tag_count;
	struct bkp_events events;
	const struct bkp_cancel *cancel;
	const char *run; /* NULL: this process reads all. Else it leads a run of
			    this name (bkp_backup_share) */
	const char *time_limit; /* of a run: "6h"; NULL: none */
	int is_finishing; /* of a run: commits when all shares are there, and
			     not when bkp_backup_finish asks for it */
	int is_everywhere; /* into all repositories of the job, or of the
			      configuration; 0: the one that is chosen */
};

#define BKP_BACKUP_OPTIONS_INIT                                                \
	{                                                                      \
		.size = sizeof(struct bkp_backup_options)                      \
	}

#define BKP_BACKUP_REPOSITORIES 16 /* at most */

/* What became of one repository. */
struct bkp_backup_repository {
	char name[65];	       /* as configured */
	char snapshot[65];     /* "": there is no new one */
	struct bkp_error why;  /* then: why not */
	uint64_t stored_bytes; /* added to it */
	uint64_t new_chunks, known_chunks;
	size_t omission_count, problem_count; /* as below */
};

/* Of several repositories, what is of one is of the first that has a new
 * snapshot. */
struct bkp_backup_result {
	char snapshot[65];
	uint64_t entries;
	uint64_t bytes;        /* plaintext of all entries */
	uint64_t stored_bytes; /* added to the repository */
	uint64_t new_chunks, known_chunks;
	uint64_t rows, objects, files; /* by what they are */
	uint64_t duration_ms;
	size_t omission_count;
	size_t
	    problem_count; /* earlier snapshots that are damaged, missing...
			      and that warnings named; the new one is whole */
	int is_known;      /* an import: all of it was there already, as that
			      snapshot, and nothing was added */
	uint64_t reused_bytes; /* of `bytes`: known to be as they were at the
				  backup before, and not read again */
	/* In the order of the configuration; the backup is degraded where one
	 * has no snapshot. */
	struct bkp_backup_repository repositories[BKP_BACKUP_REPOSITORIES];
	size_t repository_count;
};

/*
 * Into one repository, or several at once. Of those that name chunks in one way
 * (backup-init --like) each source is read once, and only what all of them have
 * is taken over from earlier backups; each of the others is read for again. One
 * that cannot be reached or fails on the way is left behind and told of. -1
 * where none has a new snapshot.
 */
BKP_API int bkp_backup(const struct bkp_backup_options *options,
    struct bkp_backup_result *result, struct bkp_error *err);

/*
 * One backup that several processes make, on any hosts that reach the databases,
 * the buckets and the repository: bkp_backup with options.run holds the moment
 * of all databases, reads what is neither table nor bucket, and commits; N
 * shares read the tables in that moment, and fetch the objects of buckets; bkp_backup_finish waits for all of them, has the leader commit,
 * and tells of the snapshot. Nothing else is shared between them, and they may
 * begin in any order. A share that died is run again, and may be run twice. Where
 * the leader ends early there is no snapshot (BKP_NOTFOUND), and all of them
 * begin again.
 */
struct bkp_share_options {
	size_t size;
	const struct bkp_config *config;
	const char *run;	/* 1 to 63 of a-z A-Z 0-9 . _ - */
	uint32_t share, shares; /* from 0; for bkp_backup_finish unused */
	const char *wait; /* "10m", which is NULL, too: for the plan; finish: for
			     shares as well */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_SHARE_OPTIONS_INIT                                                 \
	{                                                                      \
		.size = sizeof(struct bkp_share_options)                       \
	}

struct bkp_share_result {
	uint64_t tasks, known_tasks; /* known: done by an earlier run of it */
	uint64_t left_pieces; /* parts of them that the leader reads, for
				 somebody waits for a lock on the table, or the
				 bucket cannot be read here */
	uint64_t bytes, rows; /* read now */
	uint64_t new_chunks, known_chunks, stored_bytes;
	uint64_t duration_ms;
	uint64_t objects; /* fetched; their bytes are among the above */
};

/* 1 where a text is such a time: "90s", "30m", "1h30m", "2d". */
BKP_API int bkp_is_span(const char *text);

/* 1 where a text can be the name of a run: 1 to 63 letters, digits, '.', '_'
 * and '-', the first a letter or a digit. */
BKP_API int bkp_is_run_name(const char *text);

BKP_API int bkp_backup_share(const struct bkp_share_options *options,
    struct bkp_share_result *result, struct bkp_error *err);

/* Rows, objects and files of the result are not counted. BKP_RETRY: shares are
 * missing, and named. */
BKP_API int bkp_backup_finish(const struct bkp_share_options *options,
    struct bkp_backup_result *result, struct bkp_error *err);

/* ---- restore ---- */

struct bkp_restore_options {
	size_t size;
	const struct bkp_config *config;
	const char *snapshot; /* "latest" or the start of a name */
	const char *path; /* NULL or "": everything; else a source or a path */
	const char *to; /* another database, bucket, folder; one source only */
	int is_overwrite; /* may replace what exists */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
	const char *map; /* by which to erase once more, in place of the maps
			    that the ledger of erasures has; NULL: those */
	int is_without_erasures; /* does not: whoever was erased since the
				    snapshot was made comes back with it */
	int is_swap; /* databases only: each is read back and compared, then
			takes the place of the one that is there, which is kept
			under another name (bkp_former_list) */
	const char *role;      /* databases: this role makes and owns all */
	int is_without_owners; /* databases: all belongs to whoever restores */
	int is_without_privileges; /* databases: nothing is granted */
	const char *const *only;   /* of one database: these schemas and tables
				      (SCHEMA.TABLE, in double quotes as SQL has
				      them), with what they need */
	size_t only_count;
	int is_schema_only; /* databases: no rows, but for those that extensions
			       need; no large objects; sequences begin anew */
	int is_skipping;    /* databases: what the server lets only superusers
			       make, and nothing else needs, is an omission where
			       it is refused */
	int is_locking;     /* buckets: objects get the retention and legal hold
			       that they had; else none */
	int is_delete;      /* buckets: objects that the snapshot has not are
			       deleted, after all else went well */
	int is_every_version; /* buckets: of a part that `path` chooses the
				 older versions and delete markers go back, too,
				 as they do with all of a source; BKP_INVALID
				 where the snapshot has none */
	int is_rehearsal; /* every place looks whether it could take back what
			     it should, and nothing is done */
};

#define BKP_RESTORE_OPTIONS_INIT                                               \
	{                                                                      \
		.size = sizeof(struct bkp_restore_options)                     \
	}

/* Of a source of kind command: its output, which a restore did not give back,
 * and for which the configuration of this machine names a program. */
struct bkp_restore_left {
	const char *source;  /* "command/search" */
	const char *output;  /* its path: "command/search/rebuild.sh" */
	const char *program; /* what takes it, without its arguments: "sh" */
	int has_failed;      /* it was tried; why not is among the omissions */
};

struct bkp_restore_result {
	char snapshot[65];
	uint64_t entries;
	uint64_t bytes;
	uint64_t duration_ms;
	size_t omission_count;
	size_t lost_count; /* of these: what the repository has lost */
	size_t refused_count; /* of these: what the server refused, as it may
				 (is_skipping) */
	uint64_t erasures; /* recorded since the snapshot, of its databases */
	uint64_t erased_subjects; /* of these: who was in it, and is not now */
	uint64_t erased_rows, cleared_references, erased_objects;
	uint64_t ready_ms; /* until the last database was in its place and
			      answered queries; 0: there was none */
	int has_no_ledger; /* 1: it came out of an archive, and whoever was
			      erased since came with it */
	/* Still to be restored, each by itself; none where `to` was given. */
	const struct bkp_restore_left *left;
	size_t left_count;
	void *memory;
	size_t repeated_count; /* of omission_count: left out when the snapshot
				  was made, so that it could not come back */
};

/*
 * Databases come behind files and objects, and commands come last: what builds
 * something from a database finds it. One that fails is an omission where there
 * was more to restore.
 *
 * What cannot be read from the repository any more is an omission, and so is
 * what its place refuses. A run that put nothing back has failed.
 *
 * Who was erased in the application since the snapshot was made, by the ledger
 * of erasures in the repository, is erased from the databases before they have
 * their names; BKP_INVALID where that cannot be done, and then they are not
 * there.
 */
BKP_API int bkp_restore(const struct bkp_restore_options *options,
    struct bkp_restore_result *result, struct bkp_error *err);
BKP_API void bkp_restore_result_free(struct bkp_restore_result *result);

/* ---- databases beside others ---- */

/*
 * What restores left on a server under names of their own: databases that a
 * swap keeps, such as "shop.before-20261121T100203Z", or that have not got
 * their place.
 */
enum bkp_former_state {
	BKP_FORMER_KEPT,       /* was in the place before a swap */
	BKP_FORMER_READY,      /* whole and proven, and not in its place */
	BKP_FORMER_INCOMPLETE, /* lacks what a restore named */
	BKP_FORMER_UNFINISHED  /* of a restore that runs, or was killed */
};

struct bkp_former {
	const char *name;
	enum bkp_former_state state;
	uint64_t bytes;
	uint64_t connections; /* to it, now */
};

struct bkp_former_options {
	size_t size;
	const struct bkp_config *config;
	const char *path; /* a source; put: a database of it */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_FORMER_OPTIONS_INIT                                                \
	{                                                                      \
		.size = sizeof(struct bkp_former_options)                      \
	}

struct bkp_former_result {
	const struct bkp_former *formers;
	size_t former_count;
	void *memory;
};

BKP_API int bkp_former_list(const struct bkp_former_options *options,
    struct bkp_former_result *result, struct bkp_error *err);
BKP_API void bkp_former_result_free(struct bkp_former_result *result);

/* Puts the database `name` into the place that the path names; what is there
 * is kept, and an event tells its name. Refused for one that is unfinished. */
BKP_API int bkp_former_put(const struct bkp_former_options *options,
    const char *name, struct bkp_error *err);

/* Drops it. Only what bkp_former_list tells, and nobody is connected to. */
BKP_API int bkp_former_drop(const struct bkp_former_options *options,
    const char *name, struct bkp_error *err);

/* ---- verify ---- */

enum bkp_verify_mode {
	BKP_VERIFY_SCRATCH, /* restore into scratch places and compare */
	BKP_VERIFY_LIVE     /* compare the configured places as they are */
};

/* Where the objects of buckets are tried. */
enum bkp_verify_objects {
	BKP_OBJECTS_AS_CONFIGURED, /* scratch_bucket of the source */
	BKP_OBJECTS_BUCKET,        /* into a bucket that is made for it */
	BKP_OBJECTS_DIGEST, /* nowhere: they are read back and digested */
	BKP_OBJECTS_FOLDER  /* into files below the scratch directory */
};

struct bkp_verify_options {
	size_t size;
	const struct bkp_config *config;
	const char *snapshot;
	const char *path; /* as in restore */
	enum bkp_verify_mode mode;
	const char *scratch_directory; /* NULL: $TMPDIR or /tmp */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
	const char *map; /* as in restore; so the next */
	int is_without_erasures;
	/* Each NULL: as the configuration has it, whose words these are
	 * (backup.yaml(5), Verification). */
	const char *level;        /* "quick", "sample", "full" */
	const char *budget;       /* "30m" */
	const char *max_age;      /* "26h" */
	const char *max_recovery; /* "2h" */
	const char *max_drop;     /* "20%" */
	int has_history; /* the result has it, for reports (report.h) */
	/* Databases on a server that is there, libpq's conninfo without a
	 * password, instead of one that is made. The one that the backup is of
	 * is refused, unless it may be. */
	const char *server;
	int may_be_source;
	enum bkp_verify_objects objects;
};

#define BKP_VERIFY_OPTIONS_INIT                                                \
	{                                                                      \
		.size = sizeof(struct bkp_verify_options)                      \
	}

enum bkp_check_status { BKP_CHECK_PASS, BKP_CHECK_FAIL, BKP_CHECK_SKIP };

struct bkp_check {
	enum bkp_check_status status;
	const char *name; /* "postgres/app/shop/data/public.users" */
	const char *what; /* "rows 1000, hash equal", or the difference */
	uint64_t count;   /* how many things it speaks of: 1, or entries that
			     agree and are told in one line */
	uint64_t duration_ms; /* since the check before it, or the beginning */
};

struct bkp_verify_result {
	char snapshot[65];
	int is_proven; /* 1: something was compared and nothing failed */
	const struct bkp_check *checks;
	size_t check_count;
	uint64_t passed, failed, skipped;
	uint64_t rows, objects, files; /* compared */
	uint64_t duration_ms;
	size_t omission_count; /* left out when the backup was made: what is
				  proven is not everything */
	void *memory;
	uint64_t erasures, erased_subjects; /* as in restore; compared first */
	enum bkp_verify_level level; /* what was looked at; never unset */
	int is_whole; /* 1: neither the level nor the budget nor the path left
			 anything out, so that it may be a proof of the whole */
	int is_partial; /* 1: the level or the budget left something out */
	int64_t snapshot_time_us; /* the recovery point, UTC */
	uint64_t age_ms; /* of that, at the verdict: what would be lost (RPO) */
	uint64_t about_passed, about_failed; /* of passed and failed: about the
			age and times, not about what the snapshot holds */
	uint64_t recovery_ms; /* what was restored took so long, from the empty
				 place to the last database that answers and
				 the last object (RTO); 0: nothing was */
	const struct bkp_snapshot_list *history; /* NULL: not asked for, or it
				  could not be read; with this verdict, where
				  that was kept */
};

/* Whether the level and the limits can be understood: BKP_INVALID says what is
 * wrong with which. */
BKP_API int bkp_verify_check(
    const struct bkp_verify_options *options, struct bkp_error *err);

/* 0 where a verdict was reached, good or bad (is_proven); -1 where none was. */
BKP_API int bkp_verify(const struct bkp_verify_options *options,
    struct bkp_verify_result *result, struct bkp_error *err);
BKP_API void bkp_verify_result_free(struct bkp_verify_result *result);

/* ---- retention ---- */

/*
 * Which snapshots stay. A group is a host and the set of sources that it
 * backed up together; each rule is applied to each group by itself, and what
 * one rule keeps stays. backup-prune(1) says what each rule means.
 */
struct bkp_retention {
	size_t size;
	unsigned keep_last; /* 0: there is no such rule; so for the next ones */
	unsigned keep_hourly, keep_daily, keep_weekly; /* by UTC, ISO weeks */
	unsigned keep_monthly, keep_yearly;
	const char *keep_within;      /* "30d", "1y6m"; NULL: no such rule */
	const char *const *keep_tags; /* these stay for ever */
	size_t keep_tag_count;
};

#define BKP_RETENTION_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct bkp_retention)                           \
	}

/* Why one snapshot stays or goes. */
struct bkp_decision {
	const char *snapshot; /* whole name */
	const char *host;
	const char *sources; /* "files/etc, postgres/app" */
	int64_t time_us;
	int is_kept;
	const char *const *reasons; /* "daily 3 of 7 (2026-11-18)" */
	size_t reason_count;
};

/* What the configuration says; borrowed from it. */
BKP_API void bkp_config_retention(
    const struct bkp_config *config, struct bkp_retention *out);

/* From now on, what is written to the repository has the error correction that
 * the configuration asks for: for changes of keys. What stands here does so
 * itself. */
BKP_API int bkp_config_keep_parity(const struct bkp_config *config,
    struct bkp_repository *repository, struct bkp_error *err);

/* ---- prune ---- */

/* 1 where a text is a time as `grace` and `keep_within` take it. */
BKP_API int bkp_is_duration(const char *text);

struct bkp_prune_options {
	size_t size;
	const struct bkp_config *config;
	const struct bkp_retention *retention; /* NULL: the configuration's */
	const char *const *hosts; /* only snapshots of these; none: of all */
	size_t host_count;
	const char *const *sources; /* only those that hold nothing else */
	size_t source_count;
	const char *grace; /* between condemning what nobody needs and deleting
			      it: "24h" (also where it is NULL), "0" */
	int is_dry_run;    /* decides and tells, and writes nothing */
	int has_no_repack; /* leaves packs that are hardly used as they are */
	int is_acknowledged; /* goes on where snapshots are missing, damaged or
				forged: the missing and the damaged ones are
				given up */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_PRUNE_OPTIONS_INIT                                                 \
	{                                                                      \
		.size = sizeof(struct bkp_prune_options)                       \
	}

/* A dry run tells what would be. */
struct bkp_prune_result {
	const struct bkp_decision *decisions; /* oldest snapshot first */
	size_t decision_count;
	uint64_t kept, removed; /* snapshots */
	uint64_t given_up;      /* of removed: missing or damaged ones */
	uint64_t freed_packs, freed_bytes;     /* dry run: with what waits */
	uint64_t waiting_packs, waiting_bytes; /* for the grace, or sessions */
	uint64_t held_bytes;   /* nobody's, in packs that are needed in part */
	uint64_t stored_bytes; /* all packs, when it began */
	const char *waiting_for; /* a phrase, or NULL: nothing waits */
	uint64_t duration_ms;
	void *memory;
	/* Object lock, where it is configured: objects whose locks were made
	 * longer; what was removed and is gone for good now; what was removed
	 * and is kept by its lock. */
	uint64_t renewed_objects, purged_objects;
	uint64_t locked_objects, locked_bytes;
	/* Objects that could not be seen to; the first of them are told as
	 * omissions. The prune is degraded by them. */
	uint64_t failed_locks;
};

/*
 * Removes snapshots that no rule keeps, and gives back what only they used.
 * Needs the metadata identity and a writer that may prune: a backup host's
 * key is enough. BKP_RETRY: another prune is at work. BKP_CORRUPT: the history
 * has problems, which the events named, and nobody acknowledged them.
 */
BKP_API int bkp_prune(const struct bkp_prune_options *options,
    struct bkp_prune_result *result, struct bkp_error *err);
BKP_API void bkp_prune_result_free(struct bkp_prune_result *result);

/* ---- archives ---- */

/*
 * One snapshot, or a part of it, into one file that age, zstd and tar open,
 * and that can be named wherever a repository is read. Needs a key that opens
 * contents. The file is there when it is whole, or not at all.
 */
struct bkp_archive_options {
	size_t size;
	const struct bkp_config *config;
	const char *snapshot;          /* as in restore */
	const char *path;              /* as in restore */
	const char *output;            /* a file, "-", or "s3://bucket/key" */
	const char *const *recipients; /* "age1..."; or */
	size_t recipient_count;
	const char *passphrase; /* alone; neither: whoever opens the
				   repository opens the archive */
	unsigned work_factor;   /* scrypt log2 N for the passphrase; 0: 18 */
	uint64_t split;         /* files, or objects, of so many bytes:
				   FILE.001..., at least
				   BKP_ARCHIVE_SPLIT_LEAST; 0: one */
	const char *endpoint;   /* of the bucket; NULL: a configured source of
				   that bucket, or the environment */
	int is_overwrite;       /* may replace what has that name */
	const char *scratch_directory; /* bkp_backup_archive; NULL: beside the
					  archive, or $TMPDIR or /tmp */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_ARCHIVE_SPLIT_LEAST 65536

#define BKP_ARCHIVE_OPTIONS_INIT                                               \
	{                                                                      \
		.size = sizeof(struct bkp_archive_options)                     \
	}

struct bkp_archive_result {
	char snapshot[65];
	uint64_t entries;
	uint64_t bytes;        /* plaintext of all entries */
	uint64_t stored_bytes; /* of the archive */
	size_t parts;          /* files */
	uint64_t duration_ms;
	size_t omission_count; /* left out when the snapshot was made */
};

BKP_API int bkp_archive_write(const struct bkp_archive_options *options,
    struct bkp_archive_result *result, struct bkp_error *err);

/*
 * A backup into an archive, without a repository: config, snapshot and path of
 * `archive` are not looked at. Takes about twice the room of the archive while
 * it runs.
 */
BKP_API int bkp_backup_archive(const struct bkp_backup_options *backup,
    const struct bkp_archive_options *archive, struct bkp_backup_result *result,
    struct bkp_archive_result *archived, struct bkp_error *err);

/* An archive into the repository of the configuration, as a snapshot. */
struct bkp_import_options {
	size_t size;
	const struct bkp_config *config; /* with the key file of this host */
	const char *archive;             /* a file, "-", or "s3://bucket/key" */
	const char *passphrase; /* of the archive; NULL: the keys of config */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_IMPORT_OPTIONS_INIT                                                \
	{                                                                      \
		.size = sizeof(struct bkp_import_options)                      \
	}

BKP_API int bkp_archive_import(const struct bkp_import_options *options,
    struct bkp_backup_result *result, struct bkp_error *err);

#ifdef __cplusplus
}
#endif

#endif
