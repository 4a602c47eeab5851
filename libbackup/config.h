/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_CONFIG_H
#define LIBBACKUP_CONFIG_H

/*
 * The configuration: one YAML file that names the repository, the keys and the
 * sources. backup.yaml(5) describes every key.
 */

#include <stddef.h>

#include <libbackup/cancel.h>
#include <libbackup/error.h>
#include <libbackup/export.h>
#include <libbackup/repository.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bkp_config;

/* How much of a snapshot a verification looks at: backup-verify(1). */
enum bkp_verify_level {
	BKP_LEVEL_UNSET,  /* as configured, or full */
	BKP_LEVEL_QUICK,  /* structure: what is there, without its contents */
	BKP_LEVEL_SAMPLE, /* and the contents of a part, each time another */
	BKP_LEVEL_FULL
};

/*
 * Loads `path`, or where that is NULL the first that exists of
 * $BACKUP_CONFIG, ./backup.yaml, $XDG_CONFIG_HOME/libbackup/backup.yaml
 * (~/.config/...) and /etc/libbackup/backup.yaml. Secrets in files and the
 * environment are read now; of a notification they may be missing, which is told
 * when it is sent. A mistake is BKP_INVALID with file, line and, for an unknown
 * key, the one that may have been meant. The caller owns *out.
 */
BKP_API int bkp_config_load(
    const char *path, struct bkp_config **out, struct bkp_error *err);

/*
 * Where bkp_config_load failed because of `why`: what can be read of the file
 * all the same, without what cannot, so that others are told. It is for
 * bkp_job_run alone, which fails each of its jobs with the message of `why`,
 * and for what names jobs and repositories. The caller owns *out.
 */
BKP_API int bkp_config_load_to_tell(const char *path,
    const struct bkp_error *why, struct bkp_config **out,
    struct bkp_error *err);

/* Wipes the secrets. NULL is fine. */
BKP_API void bkp_config_free(struct bkp_config *config);

/* The file that was loaded; borrowed until free. */
BKP_API const char *bkp_config_path(const struct bkp_config *config);

/*
 * A file may have several jobs and several repositories. What the functions
 * below answer is of the job and the repository that were chosen last: at first
 * of no job, which is all sources, and of the first repository, or the one that
 * $BACKUP_REPOSITORY says (a name or a location).
 *
 * A file without `jobs` has one, "default"; one without `repositories` has one
 * of that name, too.
 */

/* The names of the jobs as the file has them; NULL beyond the end. */
BKP_API const char *bkp_config_job(const struct bkp_config *config, size_t n);

/* Narrows it to the job: its sources, tags, retention and the like, and the
 * first of its repositories. NULL: to none again. BKP_INVALID: there is no such
 * job. */
BKP_API int bkp_config_use_job(
    struct bkp_config *config, const char *name, struct bkp_error *err);

/* The job that was chosen; NULL: none was, and there are some. */
BKP_API const char *bkp_config_job_used(const struct bkp_config *config);

/* The names of the job's repositories, or of all where there is no job; where
 * one that is not configured was set, "default" alone. NULL beyond the end.
 * Borrowed until free. */
BKP_API const char *bkp_config_repository_name(
    const struct bkp_config *config, size_t n);

/* Makes one of the file the one that is meant below, with its keys, storage and
 * retention. What was set by bkp_config_set_key_file and its like is to be set
 * again. BKP_INVALID: there is none of that name. */
BKP_API int bkp_config_use_repository(
    struct bkp_config *config, const char *name, struct bkp_error *err);

/* The name of that one; "default" where it has none. */
BKP_API const char *bkp_config_repository_used(
    const struct bkp_config *config);

/* The repository's location; $BACKUP_REPOSITORY wins over the file. Borrowed
 * until free, use or set. */
BKP_API const char *bkp_config_repository(const struct bkp_config *config);

/* Overrides from a command line (copied). The repository may also be the name
 * of one that is configured; a name has no '/' and no ':'. */
BKP_API int bkp_config_set_repository(struct bkp_config *config,
    const char *location, struct bkp_error *err);
BKP_API int bkp_config_set_key_file(
    struct bkp_config *config, const char *path, struct bkp_error *err);
BKP_API int bkp_config_set_identity_file(
    struct bkp_config *config, const char *path, struct bkp_error *err);
BKP_API int bkp_config_set_passphrase(struct bkp_config *config,
    const char *passphrase, struct bkp_error *err);
BKP_API int bkp_config_set_workers(
    struct bkp_config *config, unsigned workers, struct bkp_error *err);

/* No faster than so many bytes a second, "10MiB" or "500K": what goes to
 * repositories and buckets, and what comes from them, over all connections.
 * Wins over `limits`; before anything is done with the configuration. NULL: as
 * it was. BKP_INVALID: that is none. */
BKP_API int bkp_config_set_limits(struct bkp_config *config,
    const char *upload, const char *download, struct bkp_error *err);

/* 1 where the configuration says that whoever has something to do goes first
 * (`priority: idle`): it is for the application to ask the system for that. */
BKP_API int bkp_config_is_idle(const struct bkp_config *config);

/* A configuration without a file, for commands that can do with a repository
 * and keys alone (list, cat, verify). The caller owns *out. */
BKP_API int bkp_config_new(struct bkp_config **out, struct bkp_error *err);

/* Whether to stop is asked of this also while a repository in a bucket is
 * waited for. Borrowed until free; NULL: nobody asks. */
BKP_API void bkp_config_set_cancel(
    struct bkp_config *config, const struct bkp_cancel *cancel);

/* Reads a repository in a bucket that keeps versions as it was at a time
 * ("2026-11-20", as bkp_snapshot_find takes it), by the server's clock; nothing
 * can be written then. BKP_INVALID: that is no time. */
BKP_API int bkp_config_set_as_of(
    struct bkp_config *config, const char *time, struct bkp_error *err);

/* How a repository in a bucket is reached, for bkp_repository_init; borrowed
 * until free. */
BKP_API const struct bkp_storage_config *bkp_config_storage(
    const struct bkp_config *config);

/* The keys to open the repository with, and how it is reached; borrowed until
 * free or set. */
BKP_API void bkp_config_keys(
    const struct bkp_config *config, struct bkp_keys *out);

/* The sources by their path prefix ("postgres/app"); NULL beyond the end. */
BKP_API const char *bkp_config_source(
    const struct bkp_config *config, size_t n);

#ifdef __cplusplus
}
#endif

#endif
