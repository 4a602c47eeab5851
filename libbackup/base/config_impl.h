/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_IMPL_H
#define LIBBACKUP_BASE_CONFIG_IMPL_H

/* The configuration as the library's parts read it. All strings are owned by
 * the configuration; a NULL string was not given. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/config.h"

enum bkp_source_kind {
	BKP_KIND_POSTGRES,
	BKP_KIND_BUCKET,
	BKP_KIND_FILES,
	BKP_KIND_COMMAND
};

struct bkp_strings {
	char **items;
	size_t count;
};

struct bkp_pg_renamed;
struct bkp_limits;

/* How rows are read. */
enum bkp_copy {
	BKP_COPY_BY_SIZE, /* as before; a new table by its size */
	BKP_COPY_TEXT,
	BKP_COPY_BINARY /* but for tables that cannot be */
};

struct bkp_postgres_config {
	char *conninfo; /* libpq's; without a password in it */
	char *password; /* secret; from password, password_file, or NULL for
			   libpq's own ways (PGPASSWORD, passfile, service) */
	struct bkp_strings databases; /* empty: the one of conninfo */
	bool all_databases;           /* every one that allows connections */
	char *bindir; /* where pg_dump and the server are looked for first */
	bool is_incremental; /* pages that no WAL touched are not read again */
	unsigned copy;       /* enum bkp_copy */
	const struct bkp_pg_renamed *renamed; /* not a key, borrowed: what
		databases of a snapshot are called there (postgres/renamed.h);
		NULL: what they are called */
	bool is_heapallindexed; /* not a key: of a scratch place, where
				   pg_amcheck asks every index for all rows */
};

struct bkp_bucket_config {
	char *bucket;
	char *endpoint; /* "http://127.0.0.1:9000"; NULL: AWS by region */
	char *region;   /* NULL: us-east-1 */
	char *prefix;   /* only keys that begin with it; NULL: all */
	char *access_key, *secret_key, *session_token; /* secret; NULL: the
		environment (AWS_*) and ~/.aws/credentials, by s3/credentials */
	char *profile;        /* of ~/.aws; NULL: $AWS_PROFILE or default */
	char *ca_file;        /* PEM */
	bool is_virtual_host; /* bucket in the host name; default: path style */
	bool is_v2;           /* signature version 2, by libs3 */
	bool accepts_unverified_tls; /* where libs3 cannot verify */
	bool has_scratch_bucket; /* a verification may make a bucket of its own
				    at the endpoint, and removes it again */
	char *abort_uploads; /* "7d": multipart uploads that are older and not
				finished are aborted; NULL: told of */
	bool has_all_versions; /* of every object, not the current one alone */
	bool asks_each; /* of every object whether its tags and metadata are
			   what they were, although the listing says nothing */
	const char *folder; /* not a key; borrowed: of a scratch place that is
			       no bucket (source/bucket_folder.h); NULL: none */
	struct bkp_limits *limits; /* not a key, borrowed: how fast; NULL: as
				      fast as it goes (base/rate.h) */
};

struct bkp_files_config {
	struct bkp_strings paths;   /* absolute */
	struct bkp_strings exclude; /* fnmatch patterns */
	bool one_file_system;
	char *root; /* a folder that stands for "/": `paths` are looked up below
		       it, and recorded without it. NULL: "/" itself */
	char *repository; /* not a key: where the repository is, which is not
			     backed up into itself; NULL: not on this machine */
	const struct bkp_strings *repositories; /* not a key, borrowed: where
		all are that are configured; NULL: that one */
};

struct bkp_command_config {
	struct bkp_strings run;     /* argv */
	struct bkp_strings restore; /* argv that takes the bytes on stdin */
	char *output;               /* entry name: "dump.rdb" */
};

struct bkp_source_config {
	enum bkp_source_kind kind;
	char *name;    /* "app" */
	char *prefix;  /* "postgres/app" */
	unsigned line; /* in the file, for messages; 0: none */
	union {
		struct bkp_postgres_config postgres;
		struct bkp_bucket_config bucket;
		struct bkp_files_config files;
		struct bkp_command_config command;
	};
};

/* What stays when snapshots are pruned; 0 and NULL: no such rule. */
struct bkp_retention_config {
	unsigned keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly,
	    keep_yearly;
	char *keep_within; /* "30d"; it was understood */
	struct bkp_strings keep_tags;
};

/* What a verification asks of a snapshot beside being whole; 0: nothing is
 * said, and backup-verify(1) tells what then counts. */
struct bkp_verification_config {
	unsigned level;           /* enum bkp_verify_level */
	uint64_t budget_ms;       /* how long it may take */
	uint64_t max_age_ms;      /* of the snapshot */
	uint64_t max_recovery_ms; /* until all of it is back */
	uint64_t every_ms;        /* backup-run(1): when the last is older */
	char *server; /* libpq's conninfo, without a password: databases are
			 tried there, not on one that is made for it */
	unsigned max_drop; /* percent, below what earlier snapshots hold */
	bool is_heapallindexed; /* pg_amcheck asks every index, not only those
				   that compute something */
};

/* A column that holds keys of objects. The names are written as in the paths
 * of snapshots (postgres/names.h), and below as the server has them. */
struct bkp_reference_config {
	char *column; /* "postgres/app/shop/public.documents.file_key", or */
	char *table;  /* without the column; NULL: the other one */
	char *bucket; /* "bucket/uploads" */
	char *key;    /* an expression; NULL: the column */
	char *where;  /* a condition; NULL: all rows */
	unsigned missing; /* so many keys may have no object */
	unsigned line;
	char *source, *path; /* "postgres/app", "postgres/app/shop" */
	char *database, *schema, *relation;
	char *attribute; /* NULL: with `table` */
};

/* Something of one's own that must hold of what was restored. */
struct bkp_assertion_config {
	char *name;
	char *database; /* "postgres/app/shop", or */
	char *source;   /* for a command "files/etc"; NULL: the other one */
	char *sql;      /* a file; or */
	char *query;    /* the text; or */
	struct bkp_strings run; /* argv */
	char *expect;           /* of a query; NULL: no row */
	uint64_t timeout_ms;
	unsigned line;
	char *prefix, *path; /* "postgres/app", "postgres/app/shop" */
	char *database_name; /* as the server has it; NULL: with `source` */
};

/* When somebody is told. */
enum {
	BKP_ON_START = 1,
	BKP_ON_SUCCESS = 2,
	BKP_ON_FAILURE = 4,
	BKP_ON_DEGRADED = 8,
	BKP_ON_RECOVERY = 16 /* a success after something else */
};

/* One of ping, webhook and mail. */
struct bkp_notification_config {
	char *ping;           /* secret: the address */
	bool has_exit_status; /* the end of a run is ADDRESS/N */
	char *webhook;        /* secret: the address */
	char *headers;        /* secret: lines "Name: value", or NULL */
	char *signing_key;    /* secret: for HMAC-SHA256, or NULL */
	char *ca_file;        /* PEM; NULL: the system's */
	uint64_t timeout_ms;
	struct bkp_strings mail;
	char *from; /* NULL: as the mailer has it */
	char *sendmail;
	struct bkp_strings on;
	unsigned moments; /* BKP_ON_...: of `on`, or the usual ones */
	unsigned line;
	char lack[400]; /* why it cannot be sent: a file or a variable is not
			   there; "": it can */
};

struct bkp_notifications {
	struct bkp_notification_config *items; /* owned */
	size_t count;
};

/* How a repository that is in a bucket is reached: endpoint and credentials
 * alone; the bucket is in the location. */
struct bkp_cancel;
struct bkp_storage_config {
	struct bkp_bucket_config bucket;
	unsigned lock_days; /* object lock of what is stored; 0: none */
	bool is_compliance; /* its mode, not governance */
	int64_t as_of_us;   /* not a key: read it as it was then; 0: as it is */
	const struct bkp_cancel *cancel; /* borrowed; may be NULL */
	bool has_others; /* other repositories wait for this one */
};

/* A command before or after a run, without a shell. */
struct bkp_hook_config {
	struct bkp_strings run; /* argv */
	uint64_t timeout_ms;
	unsigned line;
};

struct bkp_hook_list {
	struct bkp_hook_config *items;
	size_t count;
};

/* The hours in which a run may begin, in minutes of the local day; `to` may be
 * of the next. */
struct bkp_window_config {
	bool is_given;
	unsigned from_min, to_min;
};

/* What backup-run(1) does beside the backup itself. */
struct bkp_job_config {
	struct bkp_strings sources;      /* prefixes; empty: all */
	struct bkp_strings repositories; /* names; empty: all */
	struct bkp_hook_list before, after, failure, always;
	struct bkp_window_config window;
	uint64_t time_limit_ms; /* 0: none */
	bool prunes_after;
};

/* One of `repositories` or `jobs`: what it says beside what holds for all. */
struct bkp_named_config {
	char *name;
	unsigned line;
	unsigned sources_line, repositories_line; /* of a job's lists */
	uint32_t given;            /* which fields of its table are there */
	struct bkp_config *values; /* owned: those alone are filled */
};

/* Bytes a second; 0: as fast as it goes. */
struct bkp_limits_config {
	uint64_t upload, download;
};

/* What is plain here is what holds for the job and the repository that are
 * chosen: config_choice.h. */
struct bkp_config {
	char *path;
	char *trouble; /* why the file could not be loaded, and this is what is
			  there to tell of it; NULL: all is well */
	char *repository;
	struct bkp_storage_config storage;
	char *key_file;
	char *identity_file;
	char *passphrase;          /* secret */
	unsigned workers;          /* 0: the number of processors, at most 8 */
	unsigned error_correction; /* percent of what is stored; 0: none */
	struct bkp_strings tags;   /* put on every snapshot */
	struct bkp_retention_config retention;
	struct bkp_verification_config verification;
	struct bkp_reference_config *references;
	size_t reference_count;
	struct bkp_assertion_config *assertions;
	size_t assertion_count;
	struct bkp_notifications notifications;
	char *metrics_file; /* for a monitor; NULL: none */
	struct bkp_source_config *sources; /* sorted by prefix; behind those of
					      the job the others */
	size_t source_count;
	struct bkp_job_config job;
	struct bkp_named_config *repositories; /* as the file has them */
	size_t repository_count;
	struct bkp_named_config *jobs; /* the same */
	size_t job_count;
	struct bkp_config *defaults; /* what the file says for all; NULL: there
					is nothing to choose from */
	const struct bkp_named_config *chosen_job, *chosen_repository;
	bool is_elsewhere; /* the repository is none of the configured ones */
	char *own_repository; /* as the file has it for all; NULL: it has none
				 */
	struct bkp_strings locations; /* of all repositories */
	struct bkp_limits_config limits_wanted;
	struct bkp_limits *limits; /* owned: of all that is done with this */
	bool is_idle; /* whoever has time to spare goes first */
	size_t all_sources, all_references, all_assertions;
};

/* What holds for a configured repository, and nothing else of the configuration.
 * The caller owns *out. */
int bkp_config_of_repository(const struct bkp_config *config, const char *name,
    struct bkp_config **out, struct bkp_error *err);

/* Deep copy and free of one source (the free wipes secrets; the struct itself
 * is the caller's). Used to point a source at another place. */
int bkp_source_config_copy(const struct bkp_source_config *from,
    struct bkp_source_config *to, struct bkp_error *err);
void bkp_source_config_free(struct bkp_source_config *source);

/* Frees and wipes a secret string; NULL is fine. */
void bkp_secret_free(char *secret);

/*
 * A secret by the three usual ways: the value itself, a file that holds it
 * (one trailing newline dropped), or NAME / NAME_FILE in the environment; the
 * first of these that is given wins; giving two is BKP_INVALID. *out may
 * become NULL: none given. `what` names it in messages.
 */
int bkp_secret_load(const char *what, const char *value, const char *file,
    const char *env_name, char **out, struct bkp_error *err);

/* What of the environment is secret, and is neither told nor shown; NULL
 * ended. */
extern const char *const bkp_secret_variables[];

#endif
