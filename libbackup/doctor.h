/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_H
#define LIBBACKUP_DOCTOR_H

/*
 * Looking before something breaks, and after: versions, the configuration, the
 * server and its role, room, clocks, the repository, how old the last backup
 * and the last proof are. Every check is made by itself, in a process of its
 * own that is ended at a limit of time, so one that hangs or crashes is a
 * finding and keeps no other from being made. Nothing is written anywhere
 * unless it is asked for.
 *
 * Forks: to be called from a process that has one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include <libbackup/cancel.h>
#include <libbackup/config.h>
#include <libbackup/error.h>
#include <libbackup/export.h>
#include <libbackup/repository.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bkp_health {
	BKP_HEALTH_OK,
	BKP_HEALTH_NOTE,    /* worth knowing, and no harm */
	BKP_HEALTH_SKIPPED, /* not looked at, and `seen` says why */
	BKP_HEALTH_WARNING, /* it works, and somebody should look */
	BKP_HEALTH_ERROR    /* a backup or a restore fails because of it */
};

/* "ok", "note", "skipped", "warning", "error". */
BKP_API const char *bkp_health_name(enum bkp_health health);

struct bkp_symptom {
	const char *id; /* "lock-table"; backup-doctor(1) has the list */
	enum bkp_health health;
	const char *subject; /* "postgres/app", "repository" */
	const char *seen;    /* what was found */
	const char *advice;  /* what to do, or "" */
};

/* Borrowed until the callback returns. */
typedef void bkp_symptom_fn(void *arg, const struct bkp_symptom *symptom);

struct bkp_doctor_options {
	size_t size;
	struct bkp_config *config; /* NULL: it could not be loaded. Which of its
				      repositories is used is as before */
	const char *config_file;   /* that was to be loaded; NULL: as config */
	const struct bkp_error *config_error; /* why there is none */
	int is_offline; /* ask no server and no repository */
	int may_write;  /* put a trifle into the repository and remove it */
	const char *scratch_directory; /* NULL: $TMPDIR or /tmp */
	const char *limit;    /* of each check, "30s" (also where it is NULL) */
	bkp_symptom_fn *tell; /* as soon as one is found; may be NULL */
	void *arg;
	const struct bkp_cancel *cancel;
};

#define BKP_DOCTOR_OPTIONS_INIT                                                \
	{                                                                      \
		.size = sizeof(struct bkp_doctor_options)                      \
	}

struct bkp_doctor_result {
	const struct bkp_symptom *symptoms; /* in the order of the checks */
	size_t symptom_count;
	uint64_t ok, notes, skipped, warnings, errors;
	uint64_t duration_ms;
	void *memory;
};

/* 0 where everything was looked at, good or bad; -1 where that was not
 * possible. Free the result. */
BKP_API int bkp_doctor(const struct bkp_doctor_options *options,
    struct bkp_doctor_result *result, struct bkp_error *err);
BKP_API void bkp_doctor_result_free(struct bkp_doctor_result *result);

/* ---- a bundle for whoever helps ---- */

/*
 * Versions, findings, the shape of the configuration, how the last runs ended
 * and the end of a log, in a zip that anybody can open. Of the configuration
 * only keys that are known, numbers and words of a list are told; names of
 * hosts, databases, buckets, roles and paths are replaced by others ("host-1");
 * no content of any row, object or file is in it.
 *
 * Before anything is given to `fn`, every secret that the configuration knows,
 * and canaries that were planted beside them, are looked for in every file, in
 * all the forms that they may take. BKP_AUTH: one is there. Nothing was given
 * out, and err names the field, not the value.
 */
struct bkp_bundle_options {
	size_t size;
	struct bkp_config *config; /* as for bkp_doctor; so the next */
	const char *config_file;
	const struct bkp_doctor_result *result;
	const char *log_file; /* lines of these commands in it; may be NULL */
	int is_text; /* all files as one text, to look at, and no zip */
	bkp_bytes_fn *fn;
	void *arg;
};

#define BKP_BUNDLE_OPTIONS_INIT                                                \
	{                                                                      \
		.size = sizeof(struct bkp_bundle_options)                      \
	}

BKP_API int bkp_doctor_bundle(
    const struct bkp_bundle_options *options, struct bkp_error *err);

#ifdef __cplusplus
}
#endif

#endif
